/* What a partition holds: interactions by key, and the ring of older conversations that hangs on each.
 *
 * Owns the table `by_key` and the list `changed`. Invariants: every used interaction is in `by_key`; an interaction is
 * in `changed` exactly if its flag says so. */
#include "kernel.h"

/* Writes the key of an interaction to `key`, which has room for MAX_KEY_BYTES, and returns how many bytes it has. */
uint32_t key_of(const kernel *k, const interaction *i, byte *key) {
    KERNEL_ASSERT_SLOW(i->used);
    const channel_scope *s = scope_at(k, i->scope);
    uint32_t user_bytes;
    const byte *user = string_at(&k->strings, i->user, &user_bytes);
    KERNEL_ASSERT_SLOW(s->key_bytes + user_bytes <= MAX_KEY_BYTES);
    memcpy(key, s->key, s->key_bytes);
    memcpy(key + s->key_bytes, user, user_bytes);
    return s->key_bytes + user_bytes;
}

static bool hash_of_interaction(const kernel *k, uint32_t number, uint64_t *hash) {
    const interaction *i = interaction_at(k, number);
    if (!i->used) {
        return false;
    }
    KERNEL_ASSERT_SLOW(i->scope != 0);
    KERNEL_ASSERT_SLOW(i->user != 0);
    byte key[MAX_KEY_BYTES];
    *hash = keyed_hash(k->key_secret, key, key_of(k, i, key));
    return true;
}

/* Returns the number of the interaction with this key, or 0. `hash` is keyed_hash of the key. */
uint32_t find_interaction(const kernel *k, const byte *key, uint32_t key_bytes, uint32_t scope_bytes, uint64_t hash) {
    KERNEL_ASSERT_SLOW(scope_bytes > 0);
    KERNEL_ASSERT_SLOW(scope_bytes <= key_bytes);
    KERNEL_ASSERT_SLOW(hash == keyed_hash(k->key_secret, key, key_bytes));
    uint32_t at = table_home(&k->by_key, hash), number;
    while ((number = table_next(&k->by_key, hash, &at)) != 0) {
        KERNEL_ASSERT_SLOW(interaction_at(k, number)->used);
        if (is_key_of(k, interaction_at(k, number), key, key_bytes, scope_bytes)) {
            return number;
        }
    }
    return 0;
}

/* Adds an interaction with only its key, which it copies. Called when find_interaction has found none.
 * Returns its number, or 0 if there is no memory. The caller must give it something to hold, and schedule it. */
uint32_t add_interaction(kernel *k, const byte *key, uint32_t key_bytes, uint32_t scope_bytes, uint64_t hash) {
    KERNEL_ASSERT_SLOW(scope_bytes > 0);
    KERNEL_ASSERT_SLOW(scope_bytes <= key_bytes);
    KERNEL_ASSERT_SLOW(key_bytes <= MAX_KEY_BYTES);
    KERNEL_ASSERT_SLOW(find_interaction(k, key, key_bytes, scope_bytes, hash) == 0);
    items_of_table interactions = {k->interactions.used, k->interactions.made, hash_of_interaction};
    if (table_make_room(k, &k->by_key, interactions, &k->held_bytes) < 0) {
        return 0;
    }
    uint32_t scope = scope_acquire(k, key, scope_bytes);
    uint32_t user = scope == 0 ? 0 : string_add(&k->strings, key + scope_bytes, key_bytes - scope_bytes);
    uint32_t number = user == 0 ? 0 : pool_allocate(&k->interactions);
    if (number == 0) {
        return 0;
    }
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT_SLOW(!i->used);
    KERNEL_ASSERT_SLOW(!i->changed);
    KERNEL_ASSERT_SLOW(!i->has_latest);
    i->scope = scope;
    i->user = user;
    i->key_tag = key_tag_of(key, key_bytes) & ((1u << KEY_TAG_BITS) - 1);
    i->used = 1;
    table_put(&k->by_key, hash, number);
    k->live++;
    return number;
}

/* Frees an interaction that has ended, and its key. The caller has emptied it, and made sure that no checkpoint
 * waits for it: it must not be in the list `changed`. */
void remove_interaction(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(i->ended);
    KERNEL_ASSERT(!i->changed);
    KERNEL_ASSERT(!i->has_latest);
    KERNEL_ASSERT(i->older == 0);
    uint64_t hash;
    bool is_indexed = hash_of_interaction(k, number, &hash);
    KERNEL_ASSERT(is_indexed);
    table_remove(&k->by_key, hash, number);
    string_remove(&k->strings, i->user);
    scope_release(k, i->scope);
    pool_release(&k->interactions, number);
}

/* Adds an interaction to the list `changed`, so that the next checkpoint writes it. Called before or after each
 * change. Does nothing if it is there already. Returns STATUS_NO_MEMORY. */
enum status mark_changed(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT_SLOW(i->used);
    if (i->changed) {
        KERNEL_ASSERT_SLOW(k->changed.count > 0);
        return STATUS_OK;
    }
    i->changed = 1;
    TRY(grow(&k->changed.items, &k->changed.room, k->changed.count + 1, sizeof *k->changed.items, &k->held_bytes));
    k->changed.items[k->changed.count++] = number;
    KERNEL_ASSERT_SLOW(k->changed.count <= k->interactions.used); /* Each is there once. */
    return STATUS_OK;
}

/* Puts an older conversation into its interaction's ring: behind `after`, before all others if that is 0, or behind all
 * others if that is the newest. */
void insert_older(kernel *k, interaction *i, uint32_t after, uint32_t number) {
    KERNEL_ASSERT(number != 0);
    KERNEL_ASSERT(number != after);
    KERNEL_ASSERT(number != i->older);
    KERNEL_ASSERT(after == 0 || i->older != 0);
    older_conversation *one = older_at(k, number);
    older_conversation *previous = i->older == 0 ? one : older_at(k, after ? after : i->older);
    one->next = i->older == 0 ? number : previous->next;
    previous->next = number;
    i->older = after == i->older ? number : i->older;
}

/* Takes an older conversation out of the ring and frees it. `before` is the one before it; if it is alone, itself. */
void remove_older(kernel *k, interaction *i, uint32_t before, uint32_t number) {
    KERNEL_ASSERT(i->older != 0);
    KERNEL_ASSERT(older_at(k, before)->next == number);
    older_at(k, before)->next = older_at(k, number)->next;
    if (i->older == number) {
        i->older = before == number ? 0 : before;
    }
    pool_release(&k->older_conversations, number);
}
