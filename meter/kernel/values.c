/* State entries read: the format that meter/core/sessions/state_codec.py describes.
 *
 * Owns the decoding. Entries may come from anywhere, so every number is checked before it is used, and what is wrong
 * is STATUS_MALFORMED and never an assertion. Invariant: a value that is accepted describes an interaction that
 * could exist: conversations in order and each closed except the last, times within range, at least one conversation
 * or event. */
#include "kernel.h"

/* Reads the next entry of a block and moves `at` behind it. Returns STATUS_END at the end of the block,
 * STATUS_MALFORMED if the entry is longer than what is left. What is found points into the block. */
enum status next_entry(const byte **at, const byte *end, entry *found) {
    uint32_t lengths[2];
    KERNEL_ASSERT(*at <= end);
    size_t left = (size_t)(end - *at), whole = sizeof lengths;
    if (left == 0) {
        return STATUS_END;
    }
    if (left >= whole) {
        memcpy(lengths, *at, sizeof lengths);
        found->ended = lengths[1] == UINT32_MAX;
        found->key_bytes = lengths[0];
        found->value_bytes = found->ended ? 0 : lengths[1];
        whole += (size_t)found->key_bytes + found->value_bytes;
    }
    if (left < whole) {
        return STATUS_MALFORMED;
    }
    found->whole = *at;
    found->key = *at + sizeof lengths;
    found->value = found->key + found->key_bytes;
    *at += whole;
    KERNEL_ASSERT(*at <= end);
    KERNEL_ASSERT(found->value + found->value_bytes == *at);
    return STATUS_OK;
}

typedef struct { const byte *at, *end; bool wrong; } reader; /* `wrong`: something did not fit, and 0 was read */

static uint64_t decode_varint(reader *r) {
    uint64_t found = 0;
    KERNEL_ASSERT_SLOW(r->at <= r->end);
    for (int shift = 0; shift < 63 && r->at < r->end; shift += 7) {
        byte each = *r->at++;
        found |= (uint64_t)(each & 0x7F) << shift;
        if (each < 0x80) {
            KERNEL_ASSERT_SLOW(found <= INT64_MAX);
            return found;
        }
    }
    r->wrong = true;
    return 0;
}

static int64_t decode_signed(reader *r) {
    uint64_t found = decode_varint(r);
    int64_t number = (int64_t)(found >> 1) ^ -(int64_t)(found & 1);
    KERNEL_ASSERT_SLOW(number >= -(INT64_C(1) << 62));
    KERNEL_ASSERT_SLOW(number < INT64_C(1) << 62);
    return number;
}

/* A time, given by its distance from another one. */
static int64_t decode_time(reader *r, int64_t from_ms) {
    KERNEL_ASSERT_SLOW(from_ms >= 0);
    KERNEL_ASSERT_SLOW(from_ms < TIME_LIMIT_MS);
    int64_t found = from_ms + decode_signed(r); /* The sum fits: the distance is less than 2^62. */
    if (found < 0 || found >= TIME_LIMIT_MS) {
        r->wrong = true;
        return 0;
    }
    return found;
}

static void decode_id(reader *r, event_id *id) {
    KERNEL_ASSERT_SLOW(r->at <= r->end);
    if (r->end - r->at < ID_BYTES) {
        r->wrong = true;
        return;
    }
    memcpy(id->bytes, r->at, ID_BYTES);
    r->at += ID_BYTES;
}

static conversation decode_conversation(reader *r, int64_t due_ms) {
    conversation c = {.closed = 0};
    decode_id(r, &c.id);
    int64_t opened_ms = decode_time(r, due_ms);
    int64_t first_ms = decode_time(r, opened_ms), last_ms = decode_time(r, first_ms);
    uint64_t messages = decode_varint(r), requests = decode_varint(r);
    if (last_ms < first_ms || messages > UINT32_MAX / 8 || requests >> 1 > messages) {
        r->wrong = true;
        return c;
    }
    c.opened = as_instant(opened_ms);
    c.first = as_instant(first_ms);
    c.last = as_instant(last_ms);
    c.messages = (uint32_t)messages;
    c.requests = (uint32_t)(requests >> 1);
    c.closed = requests & 1;
    KERNEL_ASSERT(c.requests <= c.messages);
    KERNEL_ASSERT(ms(c.first) <= ms(c.last));
    return c;
}

/* Adds a conversation behind those of the interaction. */
static enum status add_conversation(kernel *k, interaction *i, const conversation *c, reader *r) {
    KERNEL_ASSERT(i->older == 0 || i->has_latest);
    if (i->has_latest) {
        /* They follow one another, and each except the last is known to have closed. */
        r->wrong |= ms(c->first) <= ms(i->latest.last) || !i->latest.closed;
        uint32_t older = pool_allocate(&k->older_conversations);
        if (older == 0) {
            return STATUS_NO_MEMORY;
        }
        older_at(k, older)->conversation = i->latest;
        insert_older(k, i, i->older, older);
    }
    i->latest = *c;
    i->has_latest = 1;
    KERNEL_ASSERT(i->used);
    return STATUS_OK;
}

/* Reads an accepted event and adds it to the interaction. Returns its time, from which the next one's is counted. */
static enum status add_accepted(kernel *k, uint32_t owner, reader *r, int64_t *at_ms) {
    uint32_t number = pool_allocate(&k->accepted);
    if (number == 0) {
        return STATUS_NO_MEMORY;
    }
    accepted_event *a = accepted_at(k, number);
    decode_id(r, &a->id);
    *at_ms = decode_time(r, *at_ms);
    a->at = as_instant(*at_ms);
    uint32_t event_class = r->at < r->end ? *r->at : EVENT_CLASSES;
    r->wrong |= event_class >= EVENT_CLASSES;
    a->event_class = event_class & 31;
    r->at += !r->wrong;
    a->owner = owner & ITEM_MASK;
    a->shadowed = 1; /* It is in no table until all entries are there: index_newest decides. */
    append_accepted(k, interaction_at(k, owner), number);
    KERNEL_ASSERT(r->at <= r->end);
    return STATUS_OK;
}

/* Fills an interaction that has only its key from the value of its entry. The ids are not in the table yet,
 * and no timer is set. Returns STATUS_MALFORMED if the value is not one, STATUS_NO_MEMORY; the interaction is then
 * half filled, and the kernel must not be used again. */
enum status decode_value(kernel *k, uint32_t number, const byte *value, size_t bytes) {
    reader r = {value, value + bytes, false};
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(!i->ended);
    KERNEL_ASSERT(i->newest_accepted == 0);
    KERNEL_ASSERT(!i->has_latest);
    KERNEL_ASSERT(i->older == 0);
    int64_t due_ms = decode_time(&r, 0);
    uint64_t conversations = decode_varint(&r), accepted = decode_varint(&r);
    r.wrong |= due_ms == 0 || conversations + accepted == 0;
    for (uint64_t each = 0; each < conversations && !r.wrong; each++) {
        conversation c = decode_conversation(&r, due_ms);
        /* Nothing closes before it is due. What expires may be due later than now: the horizon may have been longer. */
        r.wrong |= !c.closed && due_ms > ms(c.last) + k->gap_ms + 1;
        TRY(add_conversation(k, i, &c, &r));
    }
    int64_t at_ms = due_ms;
    for (uint64_t each = 0; each < accepted && !r.wrong; each++) {
        TRY(add_accepted(k, number, &r, &at_ms));
    }
    i->due = as_instant(due_ms);
    return r.wrong || r.at != r.end ? STATUS_MALFORMED : STATUS_OK;
}
