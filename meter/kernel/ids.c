/* Ids of accepted events: what recognises a repeat and a conflict. The same rules, to be read, are
 * meter/core/sessions/accepted_ids.py.
 *
 * Owns the order of the buckets and the table `by_id`. An id is added to the last bucket; one that is full is closed
 * for ever, so a checkpoint writes each bucket about once; forget_ids.c drops the first ones whole. Guests are buckets
 * of ids that the store on disk has and the present batch asks for; they are no part of the state. Invariants: buckets
 * have ascending numbers; of one id exactly the newest is in `by_id`, the others are shadowed; the last bucket is in
 * memory. */
#include "kernel.h"

static bool is_shadowed(const id_bucket *b, uint32_t at) {
    KERNEL_ASSERT_SLOW(at < BUCKET_IDS);
    return b->shadowed[at / 64] >> at % 64 & 1;
}

static void shadow(kernel *k, uint32_t number) {
    id_bucket *b = bucket_at(k, number >> BUCKET_BITS);
    uint32_t at = number & (BUCKET_IDS - 1);
    KERNEL_ASSERT(at < b->count);
    KERNEL_ASSERT(!is_shadowed(b, at));
    b->shadowed[at / 64] |= UINT64_C(1) << at % 64;
}

static bool hash_of_id(const kernel *k, uint32_t number, uint64_t *hash) {
    if (number < BUCKET_IDS) {
        return false; /* There is no bucket 0. */
    }
    const id_bucket *b = bucket_at(k, number >> BUCKET_BITS);
    uint32_t at = number & (BUCKET_IDS - 1);
    KERNEL_ASSERT_SLOW(b->indexed <= b->count);
    if (at >= b->indexed || is_shadowed(b, at)) {
        return false;
    }
    *hash = id_hash(k->id_secret, b->ids[at].id);
    return true;
}

static enum status make_room(kernel *k) {
    items_of_table ids = {k->ids_held, (k->id_buckets.made + 1) * BUCKET_IDS - 1, hash_of_id};
    KERNEL_ASSERT_SLOW(k->id_buckets.made <= MAX_BUCKETS);
    return table_make_room(k, &k->by_id, ids, &k->held_bytes);
}

/* Makes the pool and the table. Called once, by kernel_begin. Returns STATUS_NO_MEMORY. */
enum status ids_begin(kernel *k) {
    KERNEL_ASSERT(k->ids_held == 0);
    buckets_begin(k);
    KERNEL_ASSERT(k->id_buckets.used == 0);
    k->by_id.shift = GROUP_BITS;
    return make_room(k);
}

/* Frees all memory of the ids. Called once, by kernel_end. */
void ids_end(kernel *k) {
    KERNEL_ASSERT(k->buckets.first <= k->buckets.end);
    KERNEL_ASSERT(k->buckets.end <= k->buckets.room);
    buckets_end(k);
    free(k->buckets.items);
    free(k->dropped.items);
    free(k->stored_dropped.items);
    free(k->guests.items);
    free(k->loaded_buckets.items);
}

/* Returns the number of the newest accepted event with this id, or 0. `hash` is id_hash of the id. The event may be
 * out of reach already, so that its id is free again. */
uint32_t find_id(const kernel *k, const byte id[SHORT_ID_BYTES], uint64_t hash) {
    KERNEL_ASSERT_SLOW(hash == id_hash(k->id_secret, id));
    uint32_t at = table_home(&k->by_id, hash), group;
    while ((group = table_next(&k->by_id, hash, &at)) != 0) {
        uint32_t number = group << GROUP_BITS, first = number & (BUCKET_IDS - 1);
        const id_bucket *b = bucket_at(k, number >> BUCKET_BITS);
        KERNEL_ASSERT_SLOW(first < b->indexed);
        for (uint32_t each = first; each < first + GROUP_IDS && each < b->indexed; each++) {
            if (memcmp(b->ids[each].id, id, SHORT_ID_BYTES) == 0 && !is_shadowed(b, each)) {
                return number + each - first;
            }
        }
    }
    return 0;
}

/* Appends a bucket to the state. Called with ascending numbers. Returns STATUS_NO_MEMORY. */
enum status push_bucket(kernel *k, bucket_place place) {
    uint32_t held = buckets_held(k);
    KERNEL_ASSERT(held == 0 || k->buckets.items[k->buckets.end - 1].number < place.number);
    if (k->buckets.end == k->buckets.room && k->buckets.first > k->buckets.room / 2) {
        memmove(k->buckets.items, k->buckets.items + k->buckets.first, held * sizeof *k->buckets.items);
        k->buckets.first = 0;
        k->buckets.end = held;
    }
    TRY(grow(&k->buckets.items, &k->buckets.room, k->buckets.end + 1, sizeof *k->buckets.items, &k->held_bytes));
    k->buckets.items[k->buckets.end++] = place;
    KERNEL_ASSERT(k->buckets.end <= k->buckets.room);
    return STATUS_OK;
}

/* The last bucket if one more id goes in; otherwise a new one behind it. */
static enum status open_bucket(kernel *k, bucket_place **found) {
    const bucket_place *last = buckets_held(k) == 0 ? NULL : &k->buckets.items[k->buckets.end - 1];
    if (last == NULL || bucket_at(k, last->bucket)->count >= k->bucket_ids) {
        bucket_place place = {last == NULL ? 0 : last->number + 1, 0, 0};
        TRY(allocate_bucket(k, &place.bucket));
        TRY(push_bucket(k, place));
        k->buckets.changed++;
    } else if (k->buckets.changed == 0) {
        k->buckets.changed = 1;
    }
    KERNEL_ASSERT_SLOW(k->buckets.changed <= buckets_held(k));
    *found = &k->buckets.items[k->buckets.end - 1];
    KERNEL_ASSERT((*found)->bucket != 0); /* The last one never leaves memory. */
    return STATUS_OK;
}

/* Puts the first id of a bucket that is not in the table there. `known`, if not 0, is an event with the same id that is
 * out of reach, or came before: it is shadowed from now on. */
static enum status index_next(kernel *k, uint32_t bucket, uint64_t hash, uint32_t known) {
    if (known == 0) {
        TRY(make_room(k));
    }
    id_bucket *b = bucket_at(k, bucket);
    KERNEL_ASSERT(b->indexed < b->count);
    KERNEL_ASSERT_SLOW(hash == id_hash(k->id_secret, b->ids[b->indexed].id));
    uint32_t number = bucket << BUCKET_BITS | b->indexed++;
    if (known == 0) {
        table_put(&k->by_id, hash, number);
        return STATUS_OK;
    }
    shadow(k, known);
    table_replace(&k->by_id, hash, known, number);
    return STATUS_OK;
}

static enum status append_id(kernel *k, uint32_t bucket, const accepted_id *a, uint64_t hash, uint32_t known) {
    id_bucket *b = bucket_at(k, bucket);
    KERNEL_ASSERT(b->count < BUCKET_IDS);
    KERNEL_ASSERT(b->count == b->indexed);
    TRY(store_id(k, b, a));
    k->ids_held++;
    return index_next(k, bucket, hash, known);
}

/* Adds the id of an event that is accepted now. `known` is what find_id found: 0, or out of reach. Returns
 * STATUS_NO_MEMORY or STATUS_FULL. */
enum status add_id(kernel *k, const accepted_id *a, uint64_t hash, uint32_t known) {
    bucket_place *last;
    KERNEL_ASSERT_SLOW(known == find_id(k, a->id, hash));
    KERNEL_ASSERT_SLOW(known == 0 || ms_of_id(k, known) < oldest_ms(k));
    TRY(open_bucket(k, &last));
    last->newest_ms = ms(a->at) > last->newest_ms ? ms(a->at) : last->newest_ms;
    return append_id(k, last->bucket, a, hash, known);
}

/* Adds an id that the store on disk has, until drop_guests. Does nothing if it is known. Returns STATUS_NO_MEMORY or
 * STATUS_FULL. */
enum status add_guest(kernel *k, const accepted_id *a) {
    uint64_t hash = id_hash(k->id_secret, a->id);
    KERNEL_ASSERT(k->guests.count <= k->guests.room);
    if (find_id(k, a->id, hash) != 0) {
        return STATUS_OK;
    }
    uint32_t last = k->guests.count == 0 ? 0 : k->guests.items[k->guests.count - 1];
    if (last == 0 || bucket_at(k, last)->count == BUCKET_IDS) {
        TRY(grow(&k->guests.items, &k->guests.room, k->guests.count + 1, sizeof *k->guests.items, &k->held_bytes));
        TRY(allocate_bucket(k, &last));
        k->guests.items[k->guests.count++] = last;
    }
    KERNEL_ASSERT(last != 0);
    return append_id(k, last, a, hash, 0);
}

/* Puts the ids of a loaded bucket into the table. Called for buckets in ascending order, so that of an id that came
 * again after the horizon the newer one counts. Returns STATUS_NO_MEMORY. */
enum status index_bucket(kernel *k, uint32_t number) {
    const id_bucket *b = bucket_at(k, number);
    KERNEL_ASSERT(b->count > 0);
    KERNEL_ASSERT(b->count <= BUCKET_IDS);
    KERNEL_ASSERT(b->indexed == 0);
    k->ids_held += b->count;
    while (b->indexed < b->count) {
        const stored_id *s = &b->ids[b->indexed];
        uint64_t hash = id_hash(k->id_secret, s->id);
        TRY(index_next(k, number, hash, find_id(k, s->id, hash)));
    }
    return STATUS_OK;
}

/* Frees a bucket in memory, and takes its ids out of the table. */
void release_bucket(kernel *k, uint32_t number) {
    const id_bucket *b = bucket_at(k, number);
    KERNEL_ASSERT(b->count > 0);
    KERNEL_ASSERT(k->ids_held >= b->count);
    for (uint32_t at = 0; at < b->count; at++) {
        if (!is_shadowed(b, at)) {
            table_remove(&k->by_id, id_hash(k->id_secret, b->ids[at].id), number << BUCKET_BITS | at);
        }
    }
    k->ids_held -= b->count;
    free_bucket(k, number);
}
