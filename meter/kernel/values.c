/* State entries read: the format that meter/core/sessions/state_codec.py describes.
 *
 * Owns the decoding. Entries may come from anywhere, so every number is checked before it is used, and what is wrong
 * is STATUS_MALFORMED and never an assertion. Invariant: a value that is accepted describes an interaction that
 * could exist: conversations in order and each closed except the last, times within range, at least one
 * conversation; or a bucket with at least one id. */
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

/* Fills an interaction that has only its key from the value of its entry. No timer is set. Returns STATUS_MALFORMED if
 * the value is not one, STATUS_NO_MEMORY; the interaction is then half filled, and the kernel must not be used. */
enum status decode_value(kernel *k, uint32_t number, const byte *value, size_t bytes) {
    reader r = {value, value + bytes, false};
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(!i->ended);
    KERNEL_ASSERT(!i->has_latest);
    KERNEL_ASSERT(i->older == 0);
    int64_t due_ms = decode_time(&r, 0);
    uint64_t conversations = decode_varint(&r);
    r.wrong |= due_ms == 0 || conversations == 0;
    for (uint64_t each = 0; each < conversations && !r.wrong; each++) {
        conversation c = decode_conversation(&r, due_ms);
        /* Nothing closes before it is due. What expires may be due later than now: the horizon may have been longer. */
        r.wrong |= !c.closed && due_ms > ms(c.last) + k->gap_ms + 1;
        TRY(add_conversation(k, i, &c, &r));
    }
    i->due = as_instant(due_ms);
    return r.wrong || r.at != r.end ? STATUS_MALFORMED : STATUS_OK;
}

/* Reads a bucket of ids, which is then in the pool and in no table: its place says where. Returns STATUS_MALFORMED if
 * it is not one, STATUS_FULL or STATUS_NO_MEMORY; nothing was allocated then. */
enum status decode_bucket(kernel *k, const entry *e, bucket_place *place) {
    reader r = {e->value, e->value + e->value_bytes, false};
    KERNEL_ASSERT(is_bucket_key(e->key, e->key_bytes));
    KERNEL_ASSERT(!e->ended);
    *place = (bucket_place){bucket_number_of(e), 0, 0};
    if (place->number < 0 || e->value_bytes == 0) {
        return STATUS_MALFORMED;
    }
    TRY(allocate_bucket(k, &place->bucket));
    id_bucket *b = bucket_at(k, place->bucket);
    int64_t at_ms = 0;
    enum status done = STATUS_OK;
    while (r.at < r.end && b->count < BUCKET_IDS && !r.wrong && done == STATUS_OK) {
        accepted_id a;
        if (r.end - r.at < SHORT_ID_BYTES + TAG_BYTES) {
            r.wrong = true;
            break;
        }
        memcpy(a.id, r.at, SHORT_ID_BYTES);
        memcpy(a.tag, r.at + SHORT_ID_BYTES, TAG_BYTES);
        r.at += SHORT_ID_BYTES + TAG_BYTES;
        at_ms = decode_time(&r, at_ms);
        a.at = as_instant(at_ms);
        done = store_id(k, b, &a);
        place->newest_ms = at_ms > place->newest_ms ? at_ms : place->newest_ms;
    }
    if (done == STATUS_OK && (r.wrong || r.at != r.end)) {
        done = STATUS_MALFORMED;
    }
    if (done < 0) {
        free_bucket(k, place->bucket);
    }
    return done;
}

/* The number in the key of a bucket; -1 if the key is not one. */
int64_t bucket_number_of(const entry *e) {
    uint64_t number = 0;
    if (e->key_bytes != BUCKET_KEY_BYTES || e->key[0] != 0 || e->key[1] >= 0x80) {
        return -1;
    }
    for (int each = 1; each < BUCKET_KEY_BYTES; each++) {
        number = number << 8 | e->key[each];
    }
    KERNEL_ASSERT(number <= INT64_MAX);
    return (int64_t)number;
}
