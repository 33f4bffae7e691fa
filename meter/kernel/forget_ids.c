/* Buckets of ids leave memory: because no event can be a repeat of theirs, or because the store on disk has them.
 *
 * Owns the lists of what was dropped. Buckets go in the order in which they came, so dropping one costs what it holds
 * and finding it costs nothing. Invariant: the last bucket is never dropped and never leaves memory. */
#include "kernel.h"

/* Frees a bucket that the store on disk has now. Not for the last one, nor for one that a checkpoint waits for. */
void leave_bucket(kernel *k, bucket_place *place) {
    KERNEL_ASSERT(place->bucket != 0);
    KERNEL_ASSERT(place == &k->buckets.items[k->buckets.first + k->buckets.spilled]); /* They leave in order. */
    KERNEL_ASSERT(k->buckets.spilled + k->buckets.changed < buckets_held(k));
    KERNEL_ASSERT(k->buckets.spilled + 1 < buckets_held(k));
    release_bucket(k, place->bucket);
    place->bucket = 0;
    k->buckets.spilled++;
}

static enum status drop_first(kernel *k) {
    const bucket_place *first = &k->buckets.items[k->buckets.first];
    KERNEL_ASSERT(buckets_held(k) > 1);
    TRY(grow(&k->dropped.items, &k->dropped.room, k->dropped.count + 1, sizeof *k->dropped.items, &k->held_bytes));
    k->dropped.items[k->dropped.count++] = first->number;
    if (first->bucket != 0) {
        release_bucket(k, first->bucket);
    } else {
        TRY(grow(&k->stored_dropped.items, &k->stored_dropped.room, k->stored_dropped.count + 1,
                 sizeof *k->stored_dropped.items, &k->held_bytes));
        k->stored_dropped.items[k->stored_dropped.count++] = first->number;
        k->buckets.spilled--;
    }
    k->buckets.first++;
    if (k->buckets.changed > buckets_held(k)) {
        k->buckets.changed = buckets_held(k);
    }
    KERNEL_ASSERT(k->buckets.first < k->buckets.end);
    return STATUS_OK;
}

/* Drops the first buckets, up to one with an event within reach; never the last. An id that is out of reach may wait
 * for a newer one, but is free all the same (`step`). Called whenever event time has been dealt with. Returns
 * STATUS_NO_MEMORY. */
enum status forget_ids(kernel *k) {
    int64_t oldest = oldest_ms(k);
    KERNEL_ASSERT_SLOW(oldest <= k->watermark_ms);
    while (buckets_held(k) > 1 && k->buckets.items[k->buckets.first].newest_ms < oldest) {
        TRY(drop_first(k));
    }
    return STATUS_OK;
}

/* Removes the ids that the store on disk lent for a batch. Called before the next one begins. */
void drop_guests(kernel *k) {
    KERNEL_ASSERT(k->guests.count <= k->guests.room);
    for (; k->guests.count > 0; k->guests.count--) {
        release_bucket(k, k->guests.items[k->guests.count - 1]);
    }
}
