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

static enum status load_entry(kernel *k, int64_t offset, const entry *e) {
    uint32_t scope_bytes = scope_bytes_of(e->key, e->key_bytes);
    if (scope_bytes == 0) {
        return STATUS_MALFORMED;
    }
    uint64_t hash = keyed_hash(k->key_secret, e->key, e->key_bytes);
    uint32_t number = find_interaction(k, e->key, e->key_bytes, scope_bytes, hash);
    bool known = number != 0;
    if (!known) {
        number = add_interaction(k, e->key, e->key_bytes, scope_bytes, hash);
    }
    if (number == 0 || grow(&k->loaded_at, &k->loaded_room, number + 1, sizeof *k->loaded_at, &k->held_bytes) < 0) {
        return STATUS_NO_MEMORY;
    }
    if (known && offset < k->loaded_at[number]) {
        return STATUS_OK;
    }
    interaction *i = interaction_at(k, number);
    k->loaded_at[number] = offset;
    empty_interaction(k, i);
    i->ended = e->ended;
    return e->ended ? STATUS_OK : decode_value(k, number, e->value, e->value_bytes);
}

enum status load_block(kernel *k, int64_t offset, const byte *block, size_t bytes) {
    entry e;
    enum status found;
    for (const byte *at = block; (found = next_entry(&at, block + bytes, &e)) == STATUS_OK;) {
        TRY(load_entry(k, offset, &e));
    }
    return found == STATUS_END ? STATUS_OK : found;
}

enum status load_one(kernel *k, const byte *at, size_t bytes, uint32_t *number) {
    const byte *end = at + bytes;
    entry e;
    uint32_t scope_bytes = next_entry(&at, end, &e) == STATUS_OK && !e.ended && at == end ? scope_bytes_of(e.key, e.key_bytes) : 0;
    if (scope_bytes == 0) {
        return STATUS_MALFORMED;
    }
    uint64_t hash = keyed_hash(k->key_secret, e.key, e.key_bytes);
    if (find_interaction(k, e.key, e.key_bytes, scope_bytes, hash) != 0) {
        return STATUS_MALFORMED;
    }
    *number = add_interaction(k, e.key, e.key_bytes, scope_bytes, hash);
    return *number == 0 ? STATUS_NO_MEMORY : decode_value(k, *number, e.value, e.value_bytes);
}

bool fits_time(const kernel *k, const interaction *i) {
    return ms(i->due) > k->watermark_ms && (!i->has_latest || ms(i->latest.last) <= k->watermark_ms);
}

enum status index_newest(kernel *k, uint32_t number) {
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

static enum status index_accepted_events(kernel *k, const interaction *i) {
    for (uint32_t number = i->newest_accepted; number != 0;) {
        number = accepted_at(k, number)->next;
        if (ms(accepted_at(k, number)->at) > k->watermark_ms) {
            return STATUS_MALFORMED;
        }
        TRY(index_newest(k, number));
        if (number == i->newest_accepted) {
            break;
        }
    }
    return STATUS_OK;
}

enum status finish_loading(kernel *k, int64_t floor) {
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
            return STATUS_MALFORMED;
        }
        k->live++;
        furthest_ms = ms(i->due) > furthest_ms ? ms(i->due) : furthest_ms;
    }
    TRY(timers_begin(k, furthest_ms));
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        enum status done = i->used && !i->ended ? index_accepted_events(k, i) : STATUS_OK;
        if (done == STATUS_OK && i->used && !i->ended) {
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
    return STATUS_OK;
}
