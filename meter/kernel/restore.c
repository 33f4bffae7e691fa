/* State put back from entries, in any order: of each key the newest counts, and nothing is derived until all are there. */
#include "kernel.h"

enum { KINDS_OF_EVENT = 24 };
typedef struct { const byte *at, *end; bool wrong; } reader;

static uint64_t take_count(reader *r) {
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

static int64_t take_signed(reader *r) {
    uint64_t found = take_count(r);
    return (int64_t)(found >> 1) ^ -(int64_t)(found & 1);
}

/* A time, so and so far from another one. */
static int64_t take_time(reader *r, int64_t from_ms) {
    int64_t found = from_ms + take_signed(r); /* Both are smaller than 2^62. */
    if (found < 0 || found >= TIME_LIMIT_MS) {
        r->wrong = true;
        return 0;
    }
    return found;
}

static void take_id(reader *r, event_id *id) {
    if (r->end - r->at < ID_BYTES) {
        r->wrong = true;
        return;
    }
    memcpy(id->bytes, r->at, ID_BYTES);
    r->at += ID_BYTES;
}

static conversation take_said(reader *r, int64_t due_ms) {
    conversation c = {.closed = 0};
    take_id(r, &c.id);
    int64_t opened_ms = take_time(r, due_ms), first_ms = take_time(r, opened_ms), last_ms = take_time(r, first_ms);
    uint64_t messages = take_count(r), requests = take_count(r);
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

static void empty(kernel *k, interaction *i) {
    while (i->seen != 0) {
        uint32_t number = seen_at(k, i->seen)->next;
        seen_at(k, i->seen)->next = seen_at(k, number)->next;
        i->seen = i->seen == number ? 0 : i->seen;
        pool_give(&k->seens, number);
    }
    while (i->older != 0) {
        remove_earlier(k, i, i->older, earlier_at(k, i->older)->next);
    }
    i->speaks = 0;
    i->due = as_instant(0);
}

static int take_value(kernel *k, uint32_t number, reader *r) {
    interaction *i = interaction_at(k, number);
    int64_t due_ms = take_time(r, 0);
    uint64_t conversations = take_count(r), seens = take_count(r);
    r->wrong |= due_ms == 0 || conversations + seens == 0;
    for (uint64_t each = 0; each < conversations && !r->wrong; each++) {
        conversation said = take_said(r, due_ms);
        /* Nothing closes or is forgotten before it is due. */
        r->wrong |= due_ms > ms(said.last) + k->gap_ms + 1 + (said.closed ? k->horizon_ms : 0);
        if (i->speaks) {
            /* They follow one another, and of all but the last it is known that they have ended. */
            r->wrong |= ms(said.first) <= ms(i->latest.last) || !i->latest.closed;
            uint32_t older = pool_take(&k->earliers);
            if (older == 0) {
                return -1;
            }
            earlier_at(k, older)->said = i->latest;
            add_earlier(k, i, i->older, older);
        }
        i->latest = said;
        i->speaks = 1;
    }
    int64_t at_ms = due_ms;
    for (uint64_t each = 0; each < seens && !r->wrong; each++) {
        uint32_t next = pool_take(&k->seens);
        if (next == 0) {
            return -1;
        }
        seen *s = seen_at(k, next);
        take_id(r, &s->id);
        at_ms = take_time(r, at_ms);
        s->at = as_instant(at_ms);
        uint32_t what = r->at < r->end ? *r->at : KINDS_OF_EVENT;
        r->wrong |= what >= KINDS_OF_EVENT;
        s->what = what & 31;
        r->at += !r->wrong;
        s->owner = number & NUMBERS;
        s->shadowed = 1; /* Until all is there. */
        add_seen(k, i, next);
    }
    i->due = as_instant(due_ms);
    return r->wrong || r->at != r->end ? -2 : 0;
}

/* The bytes of the first three texts of a key; 0: it is not one. */
static uint32_t place_bytes_of(const byte *key, uint32_t bytes) {
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

static int load_entry(kernel *k, int64_t offset, const byte *key, uint32_t key_bytes, reader *value) {
    uint32_t place_bytes = place_bytes_of(key, key_bytes);
    if (place_bytes == 0) {
        return -2;
    }
    uint64_t hash = keyed_hash(k->key_secret, key, key_bytes);
    uint32_t number = find_interaction(k, key, key_bytes, place_bytes, hash);
    bool known = number != 0;
    if (!known) {
        number = add_interaction(k, key, key_bytes, place_bytes, hash);
    }
    if (number == 0 || grow(&k->loaded_at, &k->loaded_room, number + 1, sizeof *k->loaded_at, &k->held_bytes) < 0) {
        return -1;
    }
    if (known && offset < k->loaded_at[number]) {
        return 0;
    }
    interaction *i = interaction_at(k, number);
    k->loaded_at[number] = offset;
    empty(k, i);
    i->ended = value == NULL;
    return value == NULL ? 0 : take_value(k, number, value);
}

int load_block(kernel *k, int64_t offset, const byte *block, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        uint32_t lengths[2];
        if (bytes - at < sizeof lengths) {
            return -2;
        }
        memcpy(lengths, block + at, sizeof lengths);
        at += sizeof lengths;
        bool ended = lengths[1] == UINT32_MAX;
        size_t value_bytes = ended ? 0 : lengths[1];
        if (bytes - at < lengths[0] || bytes - at - lengths[0] < value_bytes) {
            return -2;
        }
        const byte *key = block + at, *value = key + lengths[0];
        reader r = {value, value + value_bytes, false};
        int done = load_entry(k, offset, key, lengths[0], ended ? NULL : &r);
        if (done < 0) {
            return done;
        }
        at += lengths[0] + value_bytes;
    }
    return 0;
}

/* An id that came back after the horizon may be there twice: the newer event has it. */
static int derive_seen(kernel *k, const interaction *i) {
    for (uint32_t number = i->seen; number != 0;) {
        number = seen_at(k, number)->next;
        seen *s = seen_at(k, number);
        if (ms(s->at) > k->watermark_ms) {
            return -2;
        }
        uint64_t hash = id_hash(k->id_secret, &s->id);
        uint32_t known = find_seen(k, &s->id, hash);
        if (known == 0) {
            if (index_seen(k, number) < 0) {
                return -1;
            }
        } else if (ms(seen_at(k, known)->at) < ms(s->at)) {
            seen_at(k, known)->shadowed = 1;
            s->shadowed = 0;
            table_replace(&k->by_id, hash, known, number);
        }
        if (number == i->seen) {
            break;
        }
    }
    return 0;
}

int finish_loading(kernel *k, int64_t floor) {
    int64_t furthest_ms = k->watermark_ms;
    k->live = 0;
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        interaction *i = interaction_at(k, number);
        if (!i->used) {
            continue;
        }
        if (i->ended || k->loaded_at[number] <= floor) {
            empty(k, i);
            i->ended = 1;
            drop_interaction(k, number);
            continue;
        }
        /* What time has passed had ended, or was due again later, when a checkpoint was written; and nobody had spoken
         * later than event time had come. */
        if (ms(i->due) <= k->watermark_ms || (i->speaks && ms(i->latest.last) > k->watermark_ms)) {
            return -2;
        }
        k->live++;
        furthest_ms = ms(i->due) > furthest_ms ? ms(i->due) : furthest_ms;
    }
    if (due_begin(k, furthest_ms) < 0) {
        return -1;
    }
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        int done = i->used && !i->ended ? derive_seen(k, i) : 0;
        if (done == 0 && i->used && !i->ended) {
            done = schedule(k, number, ms(i->due));
        }
        if (done < 0) {
            return done;
        }
    }
    k->held_bytes -= k->loaded_room * sizeof *k->loaded_at;
    free(k->loaded_at);
    k->loaded_at = NULL;
    k->loaded_room = 0;
    k->restoring = false;
    return 0;
}
