/* Channel scopes: (workspace, bot, channel), which many interactions share; and keys, which begin with one.
 *
 * Owns the table `by_scope` and each scope's bytes. The key of an interaction is four texts: workspace, bot and
 * channel, each after its length, and the channel user, which goes to the end. The first three are the key of its
 * scope. Invariant: a scope is in `by_scope` exactly while it is used, and `uses` counts the interactions and the
 * updates that name it. */
#include "kernel.h"

enum { SCOPE_PARTS = 3, MAX_SCOPE_JSON_BYTES = SCOPE_PARTS * 6 * MAX_TEXT_BYTES + 100 };

/* Writes the three texts as fields of a JSON object, up to the opening quote of the channel user. */
static size_t scope_json(byte *to, const byte *key, uint32_t bytes) {
    static const char *const NAMES[SCOPE_PARTS] = {",\"workspace_id\":\"", "\",\"bot_id\":\"", "\",\"channel\":\""};
    static const char LAST[] = "\",\"channel_user_id\":\"";
    byte *start = to;
    const byte *at = key, *end = key + bytes;
    for (int part = 0; part < SCOPE_PARTS; part++) {
        uint32_t length, read = get_length(at, end, &length);
        KERNEL_ASSERT(read > 0);
        KERNEL_ASSERT(length <= (size_t)(end - at) - read);
        at += read;
        memcpy(to, NAMES[part], strlen(NAMES[part]));
        to += strlen(NAMES[part]);
        to += json_text(to, at, length);
        at += length;
    }
    KERNEL_ASSERT(at == end);
    memcpy(to, LAST, sizeof LAST - 1);
    return (size_t)(to + sizeof LAST - 1 - start);
}

static uint64_t scope_hash(const kernel *k, const byte *key, uint32_t bytes) {
    KERNEL_ASSERT_SLOW(bytes >= SCOPE_PARTS); /* Each text has a length. */
    return keyed_hash(k->key_secret, key, bytes);
}

static bool hash_of_scope(const kernel *k, uint32_t number, uint64_t *hash) {
    const channel_scope *s = scope_at(k, number);
    KERNEL_ASSERT_SLOW((s->uses == 0) == (s->key == NULL));
    if (s->uses == 0) {
        return false;
    }
    *hash = scope_hash(k, s->key, s->key_bytes);
    return true;
}

/* Returns the number of the scope with this key, made if there is none yet, or 0 if there is no memory. Copies the
 * key. The caller gives the number back to scope_release once. */
uint32_t scope_acquire(kernel *k, const byte *key, uint32_t bytes) {
    KERNEL_ASSERT_SLOW(bytes >= SCOPE_PARTS);
    KERNEL_ASSERT_SLOW(bytes <= MAX_KEY_BYTES);
    items_of_table scopes = {k->scopes.used, k->scopes.made, hash_of_scope};
    if (table_make_room(k, &k->by_scope, scopes, &k->held_bytes) < 0) {
        return 0;
    }
    uint64_t hash = scope_hash(k, key, bytes);
    uint32_t at = table_home(&k->by_scope, hash), number;
    while ((number = table_next(&k->by_scope, hash, &at)) != 0) {
        channel_scope *s = scope_at(k, number);
        KERNEL_ASSERT_SLOW(s->uses > 0);
        KERNEL_ASSERT_SLOW(s->uses < UINT32_MAX);
        if (s->key_bytes == bytes && memcmp(s->key, key, bytes) == 0) {
            s->uses++;
            return number;
        }
    }
    byte json[MAX_SCOPE_JSON_BYTES];
    size_t json_bytes = scope_json(json, key, bytes);
    byte *kept = resized(NULL, 0, bytes + json_bytes, &k->held_bytes);
    number = kept == NULL ? 0 : pool_allocate(&k->scopes);
    if (number == 0) {
        return 0;
    }
    memcpy(kept, key, bytes);
    memcpy(kept + bytes, json, json_bytes);
    uint32_t workspace_bytes, start = get_length(key, key + bytes, &workspace_bytes);
    *scope_at(k, number) = (channel_scope){
        .uses = 1,
        .key = kept,
        .key_bytes = bytes,
        .json_bytes = (uint32_t)json_bytes,
        .wallet_hash = kafka_hash(key + start, workspace_bytes),
    };
    table_put(&k->by_scope, hash, number);
    return number;
}

/* Whether the workspace of a scope's key belongs to this partition: Kafka's default partitioner puts it here. */
bool is_home(const kernel *k, const byte *key, uint32_t bytes) {
    uint32_t workspace_bytes, start = get_length(key, key + bytes, &workspace_bytes);
    KERNEL_ASSERT(start > 0);
    KERNEL_ASSERT(workspace_bytes <= bytes - start);
    return kafka_hash(key + start, workspace_bytes) % k->partitions == (uint64_t)k->partition;
}

/* Gives back one use of a scope; with the last one its memory is freed. */
void scope_release(kernel *k, uint32_t number) {
    channel_scope *s = scope_at(k, number);
    KERNEL_ASSERT(s->uses > 0);
    KERNEL_ASSERT(s->key != NULL);
    if (--s->uses > 0) {
        return;
    }
    table_remove(&k->by_scope, scope_hash(k, s->key, s->key_bytes), number);
    KERNEL_ASSERT(k->held_bytes >= s->key_bytes + s->json_bytes);
    k->held_bytes -= s->key_bytes + s->json_bytes;
    free(s->key);
    pool_release(&k->scopes, number);
}

/* Returns how many bytes of an interaction's key are its scope's; 0 if it is not a key. The key may come from
 * anywhere. */
uint32_t scope_bytes_of(const byte *key, uint32_t bytes) {
    const byte *at = key, *end = key + bytes;
    for (int part = 0; part < SCOPE_PARTS; part++) {
        uint32_t length, read = get_length(at, end, &length);
        if (read == 0 || (size_t)(end - at) - read < length) {
            return 0;
        }
        at += read + length;
    }
    KERNEL_ASSERT(at <= end);
    KERNEL_ASSERT(at - key <= SCOPE_PARTS * (3 + MAX_TEXT_BYTES)); /* So with a user it is at most MAX_KEY_BYTES. */
    return end - at > MAX_TEXT_BYTES ? 0 : (uint32_t)(at - key);
}

/* Whether the interaction has this key. */
bool is_key_of(const kernel *k, const interaction *i, const byte *key, uint32_t key_bytes, uint32_t scope_bytes) {
    KERNEL_ASSERT_SLOW(i->used);
    KERNEL_ASSERT_SLOW(scope_bytes <= key_bytes);
    const channel_scope *s = scope_at(k, i->scope);
    uint32_t user_bytes;
    const byte *user = string_at(&k->strings, i->user, &user_bytes);
    KERNEL_ASSERT_SLOW(s->uses > 0);
    KERNEL_ASSERT_SLOW(s->key != NULL);
    return s->key_bytes == scope_bytes && user_bytes == key_bytes - scope_bytes &&
           memcmp(user, key + scope_bytes, user_bytes) == 0 && memcmp(s->key, key, scope_bytes) == 0;
}

/* Compares the keys of two interactions as Python compares tuples of the four texts: below 0, 0, or above 0. */
int compare_keys(const kernel *k, const interaction *one, const interaction *other) {
    KERNEL_ASSERT(one->used);
    KERNEL_ASSERT(other->used);
    const channel_scope *s = scope_at(k, one->scope), *t = scope_at(k, other->scope);
    const byte *a = s->key, *b = t->key;
    for (int part = 0; s != t && part < SCOPE_PARTS; part++) {
        uint32_t a_bytes, b_bytes;
        a += get_length(a, s->key + s->key_bytes, &a_bytes);
        b += get_length(b, t->key + t->key_bytes, &b_bytes);
        int order = compare_strings(a, a_bytes, b, b_bytes);
        if (order) {
            return order;
        }
        a += a_bytes;
        b += b_bytes;
    }
    KERNEL_ASSERT(a <= s->key + s->key_bytes);
    KERNEL_ASSERT(b <= t->key + t->key_bytes);
    uint32_t a_bytes, b_bytes;
    a = string_at(&k->strings, one->user, &a_bytes);
    b = string_at(&k->strings, other->user, &b_bytes);
    return compare_strings(a, a_bytes, b, b_bytes);
}
