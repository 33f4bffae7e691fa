/* What a partition holds: interactions by key, accepted events by id, and the lists between checkpoints. */
#include "kernel.h"

uint32_t key_of(const kernel *k, const interaction *i, byte *key) {
    const place *p = place_at(k, i->place);
    uint32_t user_bytes;
    const byte *user = text_of(&k->texts, i->user, &user_bytes);
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

static bool hash_of_seen(const kernel *k, uint32_t number, uint64_t *hash) {
    const seen *s = seen_at(k, number);
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

int kernel_begin(kernel *k) {
    pool_begin(&k->interactions, sizeof(interaction), &k->held_bytes);
    pool_begin(&k->earliers, sizeof(earlier), &k->held_bytes);
    pool_begin(&k->seens, sizeof(seen), &k->held_bytes);
    pool_begin(&k->places, sizeof(place), &k->held_bytes);
    texts_begin(k);
    if (table_make_room(k, &k->by_key, &k->interactions, hash_of_none) < 0 ||
        table_make_room(k, &k->by_id, &k->seens, hash_of_none) < 0 ||
        table_make_room(k, &k->by_place, &k->places, hash_of_none) < 0) {
        return -1;
    }
    return due_begin(k, k->watermark_ms);
}

void kernel_end(kernel *k) {
    for (uint32_t number = 1; number <= k->places.made; number++) {
        place *p = place_at(k, number);
        if (p->uses > 0) {
            free(p->key);
        }
    }
    pool *pools[] = {&k->interactions, &k->earliers, &k->seens, &k->places};
    for (size_t each = 0; each < sizeof pools / sizeof *pools; each++) {
        pool_end(pools[each]);
    }
    for (int size = 0; size < TEXT_SIZES; size++) {
        pool_end(&k->texts.sizes[size]);
    }
    table *tables[] = {&k->by_key, &k->by_id, &k->by_place};
    for (size_t each = 0; each < sizeof tables / sizeof *tables; each++) {
        drop_zeroed(tables[each]->slots, tables[each]->size * sizeof *tables[each]->slots);
    }
    void *memory[] = {
        k->news.conversations.items, k->news.occurrences.items, k->news.slots, k->news.names, k->touched.items, k->loaded_at, k->unstored.items,
    };
    for (size_t each = 0; each < sizeof memory / sizeof *memory; each++) {
        free(memory[each]);
    }
    due_end(k);
}

uint32_t find_interaction(const kernel *k, const byte *key, uint32_t key_bytes, uint32_t place_bytes, uint64_t hash) {
    uint32_t at = table_home(&k->by_key, hash), number;
    while ((number = table_next(&k->by_key, hash, &at)) != 0) {
        if (is_key_of(k, interaction_at(k, number), key, key_bytes, place_bytes)) {
            return number;
        }
    }
    return 0;
}

uint32_t add_interaction(kernel *k, const byte *key, uint32_t key_bytes, uint32_t place_bytes, uint64_t hash) {
    if (table_make_room(k, &k->by_key, &k->interactions, hash_of_interaction) < 0) {
        return 0;
    }
    uint32_t in = place_use(k, key, place_bytes);
    uint32_t user = in == 0 ? 0 : text_keep(&k->texts, key + place_bytes, key_bytes - place_bytes);
    uint32_t number = user == 0 ? 0 : pool_take(&k->interactions);
    if (number == 0) {
        return 0;
    }
    interaction *i = interaction_at(k, number);
    i->place = in;
    i->user = user;
    i->used = 1;
    table_put(&k->by_key, hash, number);
    k->live++;
    return number;
}

void drop_interaction(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    uint64_t hash;
    MUST(i->ended && i->seen == 0 && !i->speaks && hash_of_interaction(k, number, &hash));
    table_remove(&k->by_key, hash, number);
    text_drop(&k->texts, i->user);
    place_leave(k, i->place);
    pool_give(&k->interactions, number);
}

int touch(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    if (i->touched) {
        return 0;
    }
    i->touched = 1;
    if (grow(&k->touched.items, &k->touched.room, k->touched.count + 1, sizeof *k->touched.items, &k->held_bytes) < 0) {
        return -1;
    }
    k->touched.items[k->touched.count++] = number;
    return 0;
}

void add_seen(kernel *k, interaction *i, uint32_t number) {
    seen *s = seen_at(k, number), *newest = i->seen == 0 ? s : seen_at(k, i->seen);
    s->next = i->seen == 0 ? number : newest->next;
    newest->next = number;
    i->seen = number;
}

void add_earlier(kernel *k, interaction *i, uint32_t after, uint32_t number) {
    earlier *one = earlier_at(k, number), *previous = i->older == 0 ? one : earlier_at(k, after ? after : i->older);
    one->next = i->older == 0 ? number : previous->next;
    previous->next = number;
    i->older = after == i->older ? number : i->older;
}

void remove_earlier(kernel *k, interaction *i, uint32_t before, uint32_t number) {
    earlier_at(k, before)->next = earlier_at(k, number)->next;
    if (i->older == number) {
        i->older = before == number ? 0 : before;
    }
    pool_give(&k->earliers, number);
}

uint32_t find_seen(const kernel *k, const event_id *id, uint64_t hash) {
    uint32_t at = table_home(&k->by_id, hash), number;
    while ((number = table_next(&k->by_id, hash, &at)) != 0) {
        if (memcmp(seen_at(k, number)->id.bytes, id->bytes, ID_BYTES) == 0) {
            return number;
        }
    }
    return 0;
}

int index_seen(kernel *k, uint32_t number) {
    seen *s = seen_at(k, number);
    s->shadowed = 1; /* Not in the table yet, should it be made anew. */
    if (table_make_room(k, &k->by_id, &k->seens, hash_of_seen) < 0) {
        return -1;
    }
    s->shadowed = 0;
    table_put(&k->by_id, id_hash(k->id_secret, &s->id), number);
    return 0;
}

int forget_stored(kernel *k, seen *s) {
    if (!s->stored) {
        return 0;
    }
    s->stored = 0;
    if (grow(&k->unstored.items, &k->unstored.room, k->unstored.count + 1, sizeof *k->unstored.items, &k->held_bytes) < 0) {
        return -1;
    }
    k->unstored.items[k->unstored.count++] = s->id;
    return 0;
}
