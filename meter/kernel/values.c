/* What an entry says of its interaction: the format that meter/core/sessions/state_codec.py describes, from anywhere, so checked. */
#include "kernel.h"

enum status next_entry(const byte **at, const byte *end, entry *found) {
    uint32_t lengths[2];
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
    return STATUS_OK;
}

enum { KINDS_OF_EVENT = 24 };
typedef struct { const byte *at, *end; bool wrong; } reader;

static uint64_t decode_varint(reader *r) {
    uint64_t found = 0;
    for (int shift = 0; shift < 63 && r->at < r->end; shift += 7) {
        byte each = *r->at++;
        found |= (uint64_t)(each & 0x7F) << shift;
        if (each < 0x80) {
            return found;
        }
    }
    r->wrong = true;
    return 0;
}

static int64_t decode_signed(reader *r) {
    uint64_t found = decode_varint(r);
    return (int64_t)(found >> 1) ^ -(int64_t)(found & 1);
}

/* A time, so and so far from another one. */
static int64_t decode_time(reader *r, int64_t from_ms) {
    int64_t found = from_ms + decode_signed(r); /* Both are smaller than 2^62. */
    if (found < 0 || found >= TIME_LIMIT_MS) {
        r->wrong = true;
        return 0;
    }
    return found;
}

static void decode_id(reader *r, event_id *id) {
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
    int64_t opened_ms = decode_time(r, due_ms), first_ms = decode_time(r, opened_ms), last_ms = decode_time(r, first_ms);
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
    return c;
}

static enum status decode_parts(kernel *k, uint32_t number, reader *r) {
    interaction *i = interaction_at(k, number);
    int64_t due_ms = decode_time(r, 0);
    uint64_t conversations = decode_varint(r), accepted = decode_varint(r);
    r->wrong |= due_ms == 0 || conversations + accepted == 0;
    for (uint64_t each = 0; each < conversations && !r->wrong; each++) {
        conversation said = decode_conversation(r, due_ms);
        /* Nothing closes before it is due. What is forgotten may be due later than now: the horizon may have been longer. */
        r->wrong |= !said.closed && due_ms > ms(said.last) + k->gap_ms + 1;
        if (i->has_latest) {
            /* They follow one another, and of all but the last it is known that they have ended. */
            r->wrong |= ms(said.first) <= ms(i->latest.last) || !i->latest.closed;
            uint32_t older = pool_allocate(&k->older_conversations);
            if (older == 0) {
                return STATUS_NO_MEMORY;
            }
            older_at(k, older)->conversation = i->latest;
            insert_older(k, i, i->older, older);
        }
        i->latest = said;
        i->has_latest = 1;
    }
    int64_t at_ms = due_ms;
    for (uint64_t each = 0; each < accepted && !r->wrong; each++) {
        uint32_t next = pool_allocate(&k->accepted);
        if (next == 0) {
            return STATUS_NO_MEMORY;
        }
        accepted_event *s = accepted_at(k, next);
        decode_id(r, &s->id);
        at_ms = decode_time(r, at_ms);
        s->at = as_instant(at_ms);
        uint32_t what = r->at < r->end ? *r->at : KINDS_OF_EVENT;
        r->wrong |= what >= KINDS_OF_EVENT;
        s->event_class = what & 31;
        r->at += !r->wrong;
        s->owner = number & NUMBERS;
        s->shadowed = 1; /* Until all is there. */
        append_accepted(k, i, next);
    }
    i->due = as_instant(due_ms);
    return r->wrong || r->at != r->end ? STATUS_MALFORMED : STATUS_OK;
}

enum status decode_value(kernel *k, uint32_t number, const byte *value, size_t bytes) {
    reader r = {value, value + bytes, false};
    return decode_parts(k, number, &r);
}

uint32_t scope_bytes_of(const byte *key, uint32_t bytes) {
    const byte *at = key, *end = key + bytes;
    for (int part = 0; part < 3; part++) {
        uint32_t length, read = get_length(at, end, &length);
        if (read == 0 || (size_t)(end - at) - read < length) {
            return 0;
        }
        at += read + length;
    }
    return end - at > MOST_TEXT_BYTES ? 0 : (uint32_t)(at - key);
}
