/* A bucket of ids: how an id and its time are kept in it, in 16 bytes.
 *
 * Owns the pools of buckets and of the upper halves of times. An id has the last 16 bits of its time. If all times of a
 * bucket lie in one window of 2^16 ms, its first time says the rest. In any other bucket each id has the upper 32 bits
 * too, in an item of their own: with a late event, or in a partition with less than four events a second. Invariant:
 * what id_ms returns is the time that was put in, to the millisecond. */
#include "kernel.h"

enum { WINDOW_MS = 1 << 16, BEFORE_MS = WINDOW_MS / 4 }; /* of the first id's time, for those of earlier events */

/* Makes the pools. Called once, by ids_begin. */
void buckets_begin(kernel *k) {
    KERNEL_ASSERT(sizeof(stored_id) == 16);
    KERNEL_ASSERT(offsetof(id_bucket, ids) == 64); /* So that a group of ids is two cache lines. */
    pool_begin(&k->id_buckets, sizeof(id_bucket), &k->held_bytes);
    pool_begin(&k->upper_times, sizeof(upper_times), &k->held_bytes);
}

/* Frees the pools. Called once, by ids_end. */
void buckets_end(kernel *k) {
    KERNEL_ASSERT(k->upper_times.used <= k->upper_times.made);
    KERNEL_ASSERT(k->id_buckets.used <= k->id_buckets.made);
    pool_end(&k->id_buckets);
    pool_end(&k->upper_times);
}

/* Writes the number of an empty bucket in the pool to `number`. Returns STATUS_NO_MEMORY or STATUS_FULL. */
enum status allocate_bucket(kernel *k, uint32_t *number) {
    KERNEL_ASSERT(k->id_buckets.used <= k->id_buckets.made);
    if (k->id_buckets.used >= MAX_BUCKETS) {
        return STATUS_FULL;
    }
    *number = pool_allocate(&k->id_buckets);
    KERNEL_ASSERT(*number <= MAX_BUCKETS);
    return *number == 0 ? STATUS_NO_MEMORY : STATUS_OK;
}

/* Frees a bucket. None of its ids may be in the table any more. */
void free_bucket(kernel *k, uint32_t number) {
    const id_bucket *b = bucket_at(k, number);
    KERNEL_ASSERT(b->count <= BUCKET_IDS);
    KERNEL_ASSERT(b->upper <= k->upper_times.made);
    if (b->upper != 0) {
        pool_release(&k->upper_times, b->upper);
    }
    pool_release(&k->id_buckets, number);
}

/* Gives each id of a bucket the upper bits of its time. Returns STATUS_NO_MEMORY, and has then changed nothing. */
static enum status widen(kernel *k, id_bucket *b) {
    KERNEL_ASSERT(b->upper == 0);
    KERNEL_ASSERT(b->count > 0);
    uint32_t number = pool_allocate(&k->upper_times);
    if (number == 0) {
        return STATUS_NO_MEMORY;
    }
    upper_times *upper = upper_times_at(k, number);
    for (uint32_t each = 0; each < b->count; each++) {
        upper->bits[each] = (uint32_t)(id_ms(k, b, each) >> 16);
    }
    b->upper = number;
    return STATUS_OK;
}

/* Puts an id at the end of a bucket that is not full. Returns STATUS_NO_MEMORY, and has then changed nothing. */
enum status store_id(kernel *k, id_bucket *b, const accepted_id *a) {
    int64_t at_ms = ms(a->at);
    KERNEL_ASSERT(b->count < BUCKET_IDS);
    if (b->count == 0) {
        b->from_ms = at_ms > BEFORE_MS ? at_ms - BEFORE_MS : 0;
    }
    if (b->upper == 0 && (at_ms < b->from_ms || at_ms >= b->from_ms + WINDOW_MS)) {
        TRY(widen(k, b));
    }
    if (b->upper != 0) {
        upper_times_at(k, b->upper)->bits[b->count] = (uint32_t)(at_ms >> 16);
    }
    stored_id *to = &b->ids[b->count];
    memcpy(to->id, a->id, SHORT_ID_BYTES);
    memcpy(to->tag, a->tag, TAG_BYTES);
    to->last_bits = (uint16_t)at_ms;
    KERNEL_ASSERT(id_ms(k, b, b->count) == at_ms);
    b->count++;
    return STATUS_OK;
}
