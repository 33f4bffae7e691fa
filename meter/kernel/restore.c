/* State put back from entries, in any order: of each key the newest entry counts, and nothing is derived from the
 * entries (timers, the count of live interactions) until all of them are there. restore_ids.c does it for ids.
 *
 * Owns the list `loaded_at` while it restores. Entries may come from anywhere: what is wrong is STATUS_MALFORMED.
 * Invariant: when finish_loading has returned STATUS_OK, the state is one that a sequence of events could have left. */
#include "kernel.h"

/* Frees all that hangs on an interaction but its key. */
void empty_interaction(kernel *k, interaction *i) {
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT((i->older == 0 || i->has_latest));
    while (i->older != 0) {
        remove_older(k, i, i->older, older_at(k, i->older)->next);
    }
    i->has_latest = 0;
    i->due = as_instant(0);
}

static enum status load_entry(kernel *k, int64_t offset, const entry *e) {
    if (is_bucket_key(e->key, e->key_bytes)) {
        return load_bucket(k, offset, e);
    }
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
    if (number == 0) {
        return STATUS_NO_MEMORY;
    }
    TRY(grow(&k->loaded_at, &k->loaded_room, number + 1, sizeof *k->loaded_at, &k->held_bytes));
    KERNEL_ASSERT(number < k->loaded_room);
    if (known && offset < k->loaded_at[number]) {
        return STATUS_OK;
    }
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(!i->changed); /* Nothing has happened yet but loading. */
    k->loaded_at[number] = offset;
    empty_interaction(k, i);
    i->ended = 0;
    if (e->ended) {
        i->ended = 1;
        return STATUS_OK;
    }
    return decode_value(k, number, e->value, e->value_bytes);
}

/* Loads the entries of a block that was written at `offset`. Called for each block of a checkpoint, in any order,
 * before finish_loading. The block stays the caller's. Returns STATUS_MALFORMED if it cannot be read, or
 * STATUS_NO_MEMORY; the kernel must not be used again then. */
enum status load_block(kernel *k, int64_t offset, const byte *block, size_t bytes) {
    entry e;
    enum status found;
    KERNEL_ASSERT(k->restoring);
    for (const byte *at = block; (found = next_entry(&at, block + bytes, &e)) == STATUS_OK;) {
        KERNEL_ASSERT(at <= block + bytes);
        TRY(load_entry(k, offset, &e));
    }
    return found == STATUS_END ? STATUS_OK : found;
}

/* Loads a single entry of an interaction that is not held, and writes its number to `number`. Called outside a
 * restore, when an interaction comes back from the store on disk. The caller schedules it.
 * Returns STATUS_MALFORMED if it is not an entry with a value, or its key is held; or STATUS_NO_MEMORY. The kernel
 * must not be used again then. */
enum status load_one(kernel *k, const byte *at, size_t bytes, uint32_t *number) {
    const byte *end = at + bytes;
    entry e;
    KERNEL_ASSERT(!k->restoring);
    if (next_entry(&at, end, &e) != STATUS_OK || e.ended || at != end) {
        return STATUS_MALFORMED;
    }
    uint32_t scope_bytes = scope_bytes_of(e.key, e.key_bytes);
    if (scope_bytes == 0) {
        return STATUS_MALFORMED;
    }
    uint64_t hash = keyed_hash(k->key_secret, e.key, e.key_bytes);
    if (find_interaction(k, e.key, e.key_bytes, scope_bytes, hash) != 0) {
        return STATUS_MALFORMED;
    }
    *number = add_interaction(k, e.key, e.key_bytes, scope_bytes, hash);
    if (*number == 0) {
        return STATUS_NO_MEMORY;
    }
    KERNEL_ASSERT(!interaction_at(k, *number)->changed);
    return decode_value(k, *number, e.value, e.value_bytes);
}

/* Whether an interaction that was loaded fits the watermark. What event time had passed had ended, or was due again
 * later, when its checkpoint was written; and no message was later than event time. */
bool fits_time(const kernel *k, const interaction *i) {
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(!i->ended);
    KERNEL_ASSERT(i->has_latest);
    return ms(i->due) > k->watermark_ms && ms(i->latest.last) <= k->watermark_ms;
}

/* Removes what does not count, checks and counts the rest, and finds the latest time at which something is due. */
static enum status sift_loaded(kernel *k, int64_t floor, int64_t *furthest_ms) {
    *furthest_ms = k->watermark_ms;
    k->live = 0;
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        interaction *i = interaction_at(k, number);
        if (!i->used) {
            continue;
        }
        KERNEL_ASSERT(number < k->loaded_room);
        KERNEL_ASSERT(!i->changed);
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
        *furthest_ms = ms(i->due) > *furthest_ms ? ms(i->due) : *furthest_ms;
    }
    KERNEL_ASSERT(k->live == k->interactions.used);
    return STATUS_OK;
}

/* Ends a restore: entries of offset `floor` or below do not count, ids go into the table, timers are set. Called
 * once, when all blocks were loaded and the watermark was set. Returns STATUS_MALFORMED if an entry does not fit the
 * watermark, or STATUS_NO_MEMORY; the kernel must not be used then. */
enum status finish_loading(kernel *k, int64_t floor) {
    int64_t furthest_ms;
    KERNEL_ASSERT(k->changed.count == 0);
    TRY(sift_loaded(k, floor, &furthest_ms));
    TRY(timers_begin(k, furthest_ms));
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        if (i->used) {
            TRY(schedule(k, number, ms(i->due)));
        }
    }
    TRY(finish_loading_ids(k, floor));
    KERNEL_ASSERT(k->held_bytes >= k->loaded_room * sizeof *k->loaded_at);
    k->held_bytes -= k->loaded_room * sizeof *k->loaded_at;
    free(k->loaded_at);
    k->loaded_at = NULL;
    k->loaded_room = 0;
    k->restoring = false;
    check_counts(k);
    return STATUS_OK;
}
