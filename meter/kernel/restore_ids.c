/* Buckets of ids put back from entries, in any order: of each bucket the newest entry counts, and no id is in the table
 * until all of them are there.
 *
 * Owns the list `loaded_buckets` and the table `by_bucket` while it restores. Entries may come from anywhere: what is
 * wrong is STATUS_MALFORMED. Invariant: afterwards the buckets are in the order of their numbers, and of an id that
 * came again after the horizon the newer event counts. */
#include "kernel.h"

static uint64_t hash_of_number(const kernel *k, int64_t number) {
    KERNEL_ASSERT_SLOW(number >= 0);
    wide product = (wide)((uint64_t)number ^ k->key_secret[0]) * (k->key_secret[1] | 1);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static bool hash_of_loaded(const kernel *k, uint32_t number, uint64_t *hash) {
    KERNEL_ASSERT_SLOW(number <= k->loaded_buckets.count);
    *hash = hash_of_number(k, k->loaded_buckets.items[number - 1].number);
    return true;
}

/* The place of a bucket in the list, counted from 1; 0: no entry of it was loaded yet. */
static uint32_t find_loaded(const kernel *k, int64_t number, uint64_t hash) {
    uint32_t at = table_home(&k->by_bucket, hash), found;
    KERNEL_ASSERT(k->by_bucket.slots != NULL);
    while ((found = table_next(&k->by_bucket, hash, &at)) != 0) {
        KERNEL_ASSERT_SLOW(found <= k->loaded_buckets.count);
        if (k->loaded_buckets.items[found - 1].number == number) {
            return found;
        }
    }
    return 0;
}

static enum status add_loaded(kernel *k, int64_t number, uint64_t hash, loaded_bucket **found) {
    KERNEL_ASSERT(find_loaded(k, number, hash) == 0);
    TRY(grow(&k->loaded_buckets.items, &k->loaded_buckets.room, k->loaded_buckets.count + 1,
             sizeof *k->loaded_buckets.items, &k->held_bytes));
    *found = &k->loaded_buckets.items[k->loaded_buckets.count++];
    **found = (loaded_bucket){number, -1, 0};
    table_put(&k->by_bucket, hash, k->loaded_buckets.count);
    KERNEL_ASSERT(find_loaded(k, number, hash) == k->loaded_buckets.count);
    return STATUS_OK;
}

/* Loads an entry of a bucket that was written at `offset`. Called for each one of a checkpoint, in any order, before
 * finish_loading_ids. Returns STATUS_MALFORMED if it cannot be read, STATUS_NO_MEMORY or STATUS_FULL. */
enum status load_bucket(kernel *k, int64_t offset, const entry *e) {
    int64_t number = bucket_number_of(e);
    KERNEL_ASSERT(k->restoring);
    if (number < 0) {
        return STATUS_MALFORMED;
    }
    items_of_table loaded = {k->loaded_buckets.count, k->loaded_buckets.count, hash_of_loaded};
    TRY(table_make_room(k, &k->by_bucket, loaded, &k->held_bytes));
    uint64_t hash = hash_of_number(k, number);
    uint32_t at = find_loaded(k, number, hash);
    loaded_bucket *found = at == 0 ? NULL : &k->loaded_buckets.items[at - 1];
    if (found == NULL) {
        TRY(add_loaded(k, number, hash, &found));
    } else if (offset < found->offset) {
        return STATUS_OK;
    }
    found->offset = offset;
    if (found->bucket != 0) {
        free_bucket(k, found->bucket);
        found->bucket = 0;
    }
    if (e->ended) {
        return STATUS_OK;
    }
    bucket_place place;
    TRY(decode_bucket(k, e, &place));
    found->bucket = place.bucket;
    KERNEL_ASSERT(place.number == number);
    return STATUS_OK;
}

static int by_number(const void *one, const void *other) {
    const loaded_bucket *a = one, *b = other;
    KERNEL_ASSERT_SLOW(a->number >= 0);
    KERNEL_ASSERT_SLOW(a == b || a->number != b->number);
    return (a->number > b->number) - (a->number < b->number);
}

/* Appends a loaded bucket to the state, unless it is as of `floor` or below or has ended. */
static enum status keep_loaded(kernel *k, const loaded_bucket *loaded, int64_t floor) {
    bucket_place place = {loaded->number, 0, loaded->bucket};
    if (loaded->bucket == 0) {
        return STATUS_OK;
    }
    if (loaded->offset <= floor) {
        free_bucket(k, loaded->bucket);
        return STATUS_OK;
    }
    const id_bucket *b = bucket_at(k, loaded->bucket);
    KERNEL_ASSERT(b->count > 0);
    KERNEL_ASSERT(b->count <= BUCKET_IDS);
    for (uint32_t each = 0; each < b->count; each++) {
        int64_t at_ms = id_ms(k, b, each);
        place.newest_ms = at_ms > place.newest_ms ? at_ms : place.newest_ms;
    }
    if (place.newest_ms > k->watermark_ms) {
        return STATUS_MALFORMED;
    }
    return push_bucket(k, place);
}

/* Ends the loading of buckets: those that count are put in order, and their ids into the table. What is out of reach,
 * if the horizon was longer, is forgotten with the next event. Called once. Returns STATUS_MALFORMED if an id is newer
 * than event time, or STATUS_NO_MEMORY. */
enum status finish_loading_ids(kernel *k, int64_t floor) {
    KERNEL_ASSERT(buckets_held(k) == 0);
    KERNEL_ASSERT(k->ids_held == 0);
    if (k->loaded_buckets.count > 1) {
        qsort(k->loaded_buckets.items, k->loaded_buckets.count, sizeof *k->loaded_buckets.items, by_number);
    }
    for (uint32_t each = 0; each < k->loaded_buckets.count; each++) {
        TRY(keep_loaded(k, &k->loaded_buckets.items[each], floor));
    }
    for (uint32_t each = k->buckets.first; each < k->buckets.end; each++) {
        TRY(index_bucket(k, k->buckets.items[each].bucket));
    }
    KERNEL_ASSERT(k->held_bytes >= k->loaded_buckets.room * sizeof *k->loaded_buckets.items);
    k->held_bytes -= k->loaded_buckets.room * sizeof *k->loaded_buckets.items;
    k->held_bytes -= k->by_bucket.size * sizeof *k->by_bucket.slots;
    free(k->loaded_buckets.items);
    drop_zeroed(k->by_bucket.slots, k->by_bucket.size * sizeof *k->by_bucket.slots);
    memset(&k->loaded_buckets, 0, sizeof k->loaded_buckets);
    memset(&k->by_bucket, 0, sizeof k->by_bucket);
    return STATUS_OK;
}
