/* State put back from entries, in any order: of each key the newest counts, and nothing is derived until all are there. */
#include "kernel.h"

void empty_interaction(kernel *k, interaction *i) {
    while (i->newest_accepted != 0) {
        uint32_t number = accepted_at(k, i->newest_accepted)->next;
        accepted_at(k, i->newest_accepted)->next = accepted_at(k, number)->next;
        i->newest_accepted = i->newest_accepted == number ? 0 : i->newest_accepted;
        pool_release(&k->accepted, number);
    }
    while (i->older != 0) {
        remove_older(k, i, i->older, older_at(k, i->older)->next);
    }
    i->has_latest = 0;
    i->due = as_instant(0);
}

static int load_entry(kernel *k, int64_t offset, const entry *e) {
    uint32_t scope_bytes = scope_bytes_of(e->key, e->key_bytes);
    if (scope_bytes == 0) {
        return -2;
    }
    uint64_t hash = keyed_hash(k->key_secret, e->key, e->key_bytes);
    uint32_t number = find_interaction(k, e->key, e->key_bytes, scope_bytes, hash);
    bool known = number != 0;
    if (!known) {
        number = add_interaction(k, e->key, e->key_bytes, scope_bytes, hash);
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
    i->ended = e->ended;
    return e->ended ? 0 : decode_value(k, number, e->value, e->value_bytes);
}

int load_block(kernel *k, int64_t offset, const byte *block, size_t bytes) {
    entry e;
    int found;
    for (const byte *at = block; (found = next_entry(&at, block + bytes, &e)) > 0;) {
        int done = load_entry(k, offset, &e);
        if (done < 0) {
            return done;
        }
    }
    return found;
}

int load_one(kernel *k, const byte *at, size_t bytes, uint32_t *number) {
    const byte *end = at + bytes;
    entry e;
    uint32_t scope_bytes = next_entry(&at, end, &e) > 0 && !e.ended && at == end ? scope_bytes_of(e.key, e.key_bytes) : 0;
    if (scope_bytes == 0) {
        return -2;
    }
    uint64_t hash = keyed_hash(k->key_secret, e.key, e.key_bytes);
    if (find_interaction(k, e.key, e.key_bytes, scope_bytes, hash) != 0) {
        return -2;
    }
    *number = add_interaction(k, e.key, e.key_bytes, scope_bytes, hash);
    return *number == 0 ? -1 : decode_value(k, *number, e.value, e.value_bytes);
}

bool fits_time(const kernel *k, const interaction *i) {
    return ms(i->due) > k->watermark_ms && (!i->has_latest || ms(i->latest.last) <= k->watermark_ms);
}

int index_newest(kernel *k, uint32_t number) {
    accepted_event *s = accepted_at(k, number);
    uint64_t hash = id_hash(k->id_secret, &s->id);
    uint32_t known = find_accepted(k, &s->id, hash);
    if (known == 0) {
        return index_accepted(k, number);
    }
    bool is_newer = ms(accepted_at(k, known)->at) < ms(s->at);
    accepted_event *older = is_newer ? accepted_at(k, known) : s;
    if (is_newer) {
        s->shadowed = 0;
        table_replace(&k->by_id, hash, known, number);
    }
    older->shadowed = 1;
    return drop_stored_id(k, older);
}

static int index_accepted_events(kernel *k, const interaction *i) {
    for (uint32_t number = i->newest_accepted; number != 0;) {
        number = accepted_at(k, number)->next;
        if (ms(accepted_at(k, number)->at) > k->watermark_ms) {
            return -2;
        }
        if (index_newest(k, number) < 0) {
            return -1;
        }
        if (number == i->newest_accepted) {
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
            remove_interaction(k, number);
            continue;
        }
        if (!fits_time(k, i)) {
            return -2;
        }
        k->live++;
        furthest_ms = ms(i->due) > furthest_ms ? ms(i->due) : furthest_ms;
    }
    if (timers_begin(k, furthest_ms) < 0) {
        return -1;
    }
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        int done = i->used && !i->ended ? index_accepted_events(k, i) : 0;
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
