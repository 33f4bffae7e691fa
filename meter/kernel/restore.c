/* State put back from entries, in any order: of each key the newest counts, and nothing is derived until all are there. */
#include "kernel.h"

void empty_interaction(kernel *k, interaction *i) {
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

static int load_entry(kernel *k, int64_t offset, const byte *key, uint32_t key_bytes, const byte *value, size_t bytes) {
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
    empty_interaction(k, i);
    i->ended = value == NULL;
    return value == NULL ? 0 : take_value(k, number, value, bytes);
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
        int done = load_entry(k, offset, key, lengths[0], ended ? NULL : value, value_bytes);
        if (done < 0) {
            return done;
        }
        at += lengths[0] + value_bytes;
    }
    return 0;
}

int load_alone(kernel *k, const byte *entry, size_t bytes, uint32_t *number) {
    uint32_t lengths[2];
    if (bytes < sizeof lengths) {
        return -2;
    }
    memcpy(lengths, entry, sizeof lengths);
    const byte *key = entry + sizeof lengths;
    uint32_t place_bytes = 0;
    if (bytes - sizeof lengths == (size_t)lengths[0] + lengths[1]) {
        place_bytes = place_bytes_of(key, lengths[0]);
    }
    if (place_bytes == 0) {
        return -2;
    }
    uint64_t hash = keyed_hash(k->key_secret, key, lengths[0]);
    if (find_interaction(k, key, lengths[0], place_bytes, hash) != 0) {
        return -2;
    }
    *number = add_interaction(k, key, lengths[0], place_bytes, hash);
    return *number == 0 ? -1 : take_value(k, *number, key + lengths[0], lengths[1]);
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
            empty_interaction(k, i);
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
