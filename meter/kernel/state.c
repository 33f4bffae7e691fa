/* The whole state of one partition: made, freed, and checked.
 *
 * Owns the order in which the parts are made and freed. The checks below walk the state and compare what must agree;
 * they are compiled only with -DKERNEL_CHECK, since they cost more than the work they check. */
#include "kernel.h"

static bool hash_of_none(const kernel *k, uint32_t number, uint64_t *hash) {
    (void)k, (void)number, (void)hash;
    return false;
}

/* Makes an empty state. Called once, when the durations and the secrets are set and all else is 0. Returns
 * STATUS_NO_MEMORY; kernel_end must be called then too. */
enum status kernel_begin(kernel *k) {
    KERNEL_ASSERT(k->gap_ms > 0);
    KERNEL_ASSERT(k->horizon_ms > 0);
    KERNEL_ASSERT(k->future_ms >= 0);
    KERNEL_ASSERT(k->watermark_ms == 0);
    KERNEL_ASSERT(k->live == 0);
    KERNEL_ASSERT(k->held_bytes == 0);
    pool_begin(&k->interactions, sizeof(interaction), &k->held_bytes);
    pool_begin(&k->older_conversations, sizeof(older_conversation), &k->held_bytes);
    pool_begin(&k->scopes, sizeof(channel_scope), &k->held_bytes);
    strings_begin(k);
    const items_of_table none = {0, 0, hash_of_none};
    TRY(table_make_room(k, &k->by_key, none, &k->held_bytes));
    TRY(table_make_room(k, &k->by_scope, none, &k->held_bytes));
    TRY(ids_begin(k));
    return timers_begin(k, k->watermark_ms);
}

/* Frees all memory of the state. Called once, at the end, whether or not anything failed before. */
void kernel_end(kernel *k) {
    KERNEL_ASSERT(k->scopes.used <= k->scopes.made);
    for (uint32_t number = 1; number <= k->scopes.made; number++) {
        channel_scope *s = scope_at(k, number);
        if (s->uses > 0) {
            KERNEL_ASSERT(s->key != NULL);
            free(s->key);
        }
    }
    pool *pools[] = {&k->interactions, &k->older_conversations, &k->scopes};
    for (size_t each = 0; each < sizeof pools / sizeof *pools; each++) {
        pool_end(pools[each]);
    }
    for (int size = 0; size < STRING_SIZES; size++) {
        pool_end(&k->strings.sizes[size]);
    }
    table *tables[] = {&k->by_key, &k->by_id, &k->by_scope, &k->by_bucket};
    for (size_t each = 0; each < sizeof tables / sizeof *tables; each++) {
        drop_zeroed(tables[each]->slots, tables[each]->size * sizeof *tables[each]->slots);
    }
    void *memory[] = {
        k->updates.conversations.items,
        k->updates.occurrences.items,
        k->updates.slots,
        k->updates.users,
        k->changed.items,
        k->loaded_at,
    };
    for (size_t each = 0; each < sizeof memory / sizeof *memory; each++) {
        free(memory[each]);
    }
    ids_end(k);
    timers_end(k);
}

#ifdef KERNEL_CHECK
static void check_conversation(const conversation *c) {
    KERNEL_ASSERT(ms(c->first) <= ms(c->last));
    KERNEL_ASSERT(c->requests <= c->messages);
}

/* Checks all that hangs on an interaction. Called when its event time has been dealt with. Changes nothing. */
void check_interaction(const kernel *k, uint32_t number) {
    const interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(scope_at(k, i->scope)->uses > 0);
    KERNEL_ASSERT(i->older == 0 || i->has_latest);
    KERNEL_ASSERT(!i->ended || (!i->has_latest && i->changed));
    KERNEL_ASSERT(i->ended || i->has_latest);
    KERNEL_ASSERT(i->ended || ms(i->due) > k->watermark_ms);
    const conversation *previous = NULL;
    for (uint32_t each = i->older; each != 0;) {
        each = older_at(k, each)->next;
        const conversation *c = &older_at(k, each)->conversation;
        check_conversation(c);
        KERNEL_ASSERT(c->closed); /* Only the latest can be open once time is dealt with. */
        KERNEL_ASSERT(previous == NULL || ms(previous->last) < ms(c->first));
        previous = c;
        each = each == i->older ? 0 : each;
    }
    if (i->has_latest) {
        check_conversation(&i->latest);
        KERNEL_ASSERT(previous == NULL || ms(previous->last) < ms(i->latest.first));
    }
}

/* Checks the buckets of ids: their order, their count, and that of an id exactly one is in the table. */
void check_ids(const kernel *k) {
    uint32_t held = 0;
    for (uint32_t each = k->buckets.first; each < k->buckets.end; each++) {
        const bucket_place *place = &k->buckets.items[each];
        const id_bucket *b = place->bucket == 0 ? NULL : bucket_at(k, place->bucket);
        KERNEL_ASSERT(each == k->buckets.first || place[-1].number < place->number);
        KERNEL_ASSERT((b == NULL) == (each - k->buckets.first < k->buckets.spilled));
        KERNEL_ASSERT(place->newest_ms <= k->watermark_ms);
        for (uint32_t at = 0; b != NULL && at < b->count; at++) {
            uint32_t found = find_id(k, b->ids[at].id, id_hash(k->id_secret, b->ids[at].id));
            bool shadowed = b->shadowed[at / 64] >> at % 64 & 1;
            KERNEL_ASSERT(found != 0 || shadowed); /* 0: the newer one was dropped before; its bucket is behind. */
            KERNEL_ASSERT(shadowed == (found != (place->bucket << BUCKET_BITS | at)));
            KERNEL_ASSERT(id_ms(k, b, at) <= place->newest_ms);
        }
        held += b == NULL ? 0 : b->count;
    }
    for (uint32_t each = 0; each < k->guests.count; each++) {
        held += bucket_at(k, k->guests.items[each])->count;
    }
    KERNEL_ASSERT(held == k->ids_held);
}

/* Checks that what is counted agrees with what is held. Called between batches. Changes nothing. */
void check_counts(const kernel *k) {
    uint32_t used = 0, changed = 0;
    int64_t live = 0;
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        used += i->used;
        changed += i->used && i->changed;
        live += i->used && !i->ended;
    }
    KERNEL_ASSERT(used == k->interactions.used);
    KERNEL_ASSERT(changed == k->changed.count);
    KERNEL_ASSERT(live == k->live);
    for (uint32_t each = 0; each < k->changed.count; each++) {
        KERNEL_ASSERT(interaction_at(k, k->changed.items[each])->changed);
    }
    check_ids(k);
}
#else
void check_interaction(const kernel *k, uint32_t number) {
    (void)k, (void)number;
}

void check_counts(const kernel *k) {
    (void)k;
}

void check_ids(const kernel *k) {
    (void)k;
}
#endif
