/* What a partition holds: interactions by key, accepted events by id, and the lists between checkpoints. */
#include "kernel.h"

uint32_t key_of(const kernel *k, const interaction *i, byte *key) {
    const channel_scope *p = scope_at(k, i->scope);
    uint32_t user_bytes;
    const byte *user = string_at(&k->strings, i->user, &user_bytes);
    memcpy(key, p->key, p->key_bytes);
    memcpy(key + p->key_bytes, user, user_bytes);
    return p->key_bytes + user_bytes;
}

static bool hash_of_interaction(const kernel *k, uint32_t number, uint64_t *hash) {
    const interaction *i = interaction_at(k, number);
    if (!i->used) {
        return false;
    }
    byte key[MOST_KEY_BYTES];
    *hash = keyed_hash(k->key_secret, key, key_of(k, i, key));
    return true;
}

static bool hash_of_accepted(const kernel *k, uint32_t number, uint64_t *hash) {
    const accepted_event *s = accepted_at(k, number);
    if (s->owner == 0 || s->shadowed) {
        return false;
    }
    *hash = id_hash(k->id_secret, &s->id);
    return true;
}

static bool hash_of_none(const kernel *k, uint32_t number, uint64_t *hash) {
    (void)k, (void)number, (void)hash;
    return false;
}

enum status kernel_begin(kernel *k) {
    pool_begin(&k->interactions, sizeof(interaction), &k->held_bytes);
    pool_begin(&k->older_conversations, sizeof(older_conversation), &k->held_bytes);
    pool_begin(&k->accepted, sizeof(accepted_event), &k->held_bytes);
    pool_begin(&k->scopes, sizeof(channel_scope), &k->held_bytes);
    strings_begin(k);
    if (table_make_room(k, &k->by_key, &k->interactions, hash_of_none) < 0 ||
        table_make_room(k, &k->by_id, &k->accepted, hash_of_none) < 0 ||
        table_make_room(k, &k->by_scope, &k->scopes, hash_of_none) < 0) {
        return STATUS_NO_MEMORY;
    }
    return timers_begin(k, k->watermark_ms);
}

void kernel_end(kernel *k) {
    for (uint32_t number = 1; number <= k->scopes.made; number++) {
        channel_scope *p = scope_at(k, number);
        if (p->uses > 0) {
            free(p->key);
        }
    }
    pool *pools[] = {&k->interactions, &k->older_conversations, &k->accepted, &k->scopes};
    for (size_t each = 0; each < sizeof pools / sizeof *pools; each++) {
        pool_end(pools[each]);
    }
    for (int size = 0; size < STRING_SIZES; size++) {
        pool_end(&k->strings.sizes[size]);
    }
    table *tables[] = {&k->by_key, &k->by_id, &k->by_scope};
    for (size_t each = 0; each < sizeof tables / sizeof *tables; each++) {
        drop_zeroed(tables[each]->slots, tables[each]->size * sizeof *tables[each]->slots);
    }
    void *memory[] = {
        k->updates.conversations.items, k->updates.occurrences.items, k->updates.slots, k->updates.users, k->changed.items, k->loaded_at, k->dropped_ids.items,
    };
    for (size_t each = 0; each < sizeof memory / sizeof *memory; each++) {
        free(memory[each]);
    }
    timers_end(k);
}

uint32_t find_interaction(const kernel *k, const byte *key, uint32_t key_bytes, uint32_t scope_bytes, uint64_t hash) {
    uint32_t at = table_home(&k->by_key, hash), number;
    while ((number = table_next(&k->by_key, hash, &at)) != 0) {
        if (is_key_of(k, interaction_at(k, number), key, key_bytes, scope_bytes)) {
            return number;
        }
    }
    return STATUS_OK;
}

uint32_t add_interaction(kernel *k, const byte *key, uint32_t key_bytes, uint32_t scope_bytes, uint64_t hash) {
    if (table_make_room(k, &k->by_key, &k->interactions, hash_of_interaction) < 0) {
        return 0;
    }
    uint32_t in = scope_acquire(k, key, scope_bytes);
    uint32_t user = in == 0 ? 0 : string_add(&k->strings, key + scope_bytes, key_bytes - scope_bytes);
    uint32_t number = user == 0 ? 0 : pool_allocate(&k->interactions);
    if (number == 0) {
        return 0;
    }
    interaction *i = interaction_at(k, number);
    i->scope = in;
    i->user = user;
    i->used = 1;
    table_put(&k->by_key, hash, number);
    k->live++;
    return number;
}

void remove_interaction(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    uint64_t hash;
    MUST(i->ended && i->newest_accepted == 0 && !i->has_latest && hash_of_interaction(k, number, &hash));
    table_remove(&k->by_key, hash, number);
    string_remove(&k->strings, i->user);
    scope_release(k, i->scope);
    pool_release(&k->interactions, number);
}

enum status mark_changed(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    if (i->changed) {
        return STATUS_OK;
    }
    i->changed = 1;
    TRY(grow(&k->changed.items, &k->changed.room, k->changed.count + 1, sizeof *k->changed.items, &k->held_bytes));
    k->changed.items[k->changed.count++] = number;
    return STATUS_OK;
}

void append_accepted(kernel *k, interaction *i, uint32_t number) {
    accepted_event *s = accepted_at(k, number), *newest = i->newest_accepted == 0 ? s : accepted_at(k, i->newest_accepted);
    s->next = i->newest_accepted == 0 ? number : newest->next;
    newest->next = number;
    i->newest_accepted = number;
}

void insert_older(kernel *k, interaction *i, uint32_t after, uint32_t number) {
    older_conversation *one = older_at(k, number), *previous = i->older == 0 ? one : older_at(k, after ? after : i->older);
    one->next = i->older == 0 ? number : previous->next;
    previous->next = number;
    i->older = after == i->older ? number : i->older;
}

void remove_older(kernel *k, interaction *i, uint32_t before, uint32_t number) {
    older_at(k, before)->next = older_at(k, number)->next;
    if (i->older == number) {
        i->older = before == number ? 0 : before;
    }
    pool_release(&k->older_conversations, number);
}

uint32_t find_accepted(const kernel *k, const event_id *id, uint64_t hash) {
    uint32_t at = table_home(&k->by_id, hash), number;
    while ((number = table_next(&k->by_id, hash, &at)) != 0) {
        if (memcmp(accepted_at(k, number)->id.bytes, id->bytes, ID_BYTES) == 0) {
            return number;
        }
    }
    return 0;
}

enum status index_accepted(kernel *k, uint32_t number) {
    accepted_event *s = accepted_at(k, number);
    s->shadowed = 1; /* Not in the table yet, should it be made anew. */
    TRY(table_make_room(k, &k->by_id, &k->accepted, hash_of_accepted));
    s->shadowed = 0;
    table_put(&k->by_id, id_hash(k->id_secret, &s->id), number);
    return STATUS_OK;
}

enum status drop_stored_id(kernel *k, accepted_event *s) {
    if (!s->stored) {
        return STATUS_OK;
    }
    s->stored = 0;
    TRY(grow(&k->dropped_ids.items, &k->dropped_ids.room, k->dropped_ids.count + 1, sizeof *k->dropped_ids.items, &k->held_bytes));
    k->dropped_ids.items[k->dropped_ids.count++] = s->id;
    return STATUS_OK;
}
