/* Texts that are held, and the places that interactions share: (workspace, bot, channel), each once. */
#include "kernel.h"

static const uint32_t STRING_ROOM[STRING_SIZES] = {16, 24, 32, 48, 64, 128, 256, 512, 1024, 2 + MOST_TEXT_BYTES};

void strings_begin(kernel *k) {
    for (int size = 0; size < STRING_SIZES; size++) {
        pool_begin(&k->strings.sizes[size], STRING_ROOM[size], &k->held_bytes);
    }
}

uint32_t string_add(strings *t, const byte *text, uint32_t bytes) {
    MUST(bytes <= MOST_TEXT_BYTES);
    uint32_t size = 0;
    while (STRING_ROOM[size] < bytes + 2) {
        size++;
    }
    uint32_t number = pool_allocate(&t->sizes[size]);
    if (number == 0) {
        return 0;
    }
    byte *item = pool_at(&t->sizes[size], number);
    uint16_t length = (uint16_t)bytes;
    memcpy(item, &length, sizeof length);
    memcpy(item + 2, text, bytes);
    return size << ITEM_BITS | number;
}

const byte *string_at(const strings *t, uint32_t text, uint32_t *bytes) {
    const byte *item = pool_at(&t->sizes[text >> ITEM_BITS], text & NUMBERS);
    uint16_t length;
    memcpy(&length, item, sizeof length);
    *bytes = length;
    return item + 2;
}

void string_remove(strings *t, uint32_t text) {
    pool_release(&t->sizes[text >> ITEM_BITS], text & NUMBERS);
}

uint32_t put_length(byte *to, uint32_t length) {
    uint32_t bytes = 0;
    for (; length >= 0x80; length >>= 7) {
        to[bytes++] = (byte)(length | 0x80);
    }
    to[bytes++] = (byte)length;
    return bytes;
}

uint32_t get_length(const byte *from, const byte *end, uint32_t *length) {
    uint32_t found = 0;
    *length = 0;
    for (uint32_t at = 0; at < 3 && from + at < end; at++) {
        found |= (uint32_t)(from[at] & 0x7F) << 7 * at;
        if (from[at] < 0x80) {
            *length = found;
            return found <= MOST_TEXT_BYTES ? at + 1 : 0;
        }
    }
    return 0;
}

size_t json_text(byte *to, const byte *text, uint32_t bytes) {
    static const char DIGITS[] = "0123456789abcdef", SHORT[] = "btn\0fr";
    byte *start = to;
    for (uint32_t at = 0; at < bytes; at++) {
        byte each = text[at];
        if (each >= 0x20 && each != '"' && each != '\\') {
            *to++ = each;
            continue;
        }
        *to++ = '\\';
        char one = each >= 8 && each <= 13 ? SHORT[each - 8] : 0;
        if (each >= 0x20) {
            *to++ = each;
        } else if (one) {
            *to++ = (byte)one;
        } else {
            memcpy(to, "u00", 3);
            to[3] = (byte)DIGITS[each >> 4];
            to[4] = (byte)DIGITS[each & 15];
            to += 5;
        }
    }
    return (size_t)(to - start);
}

/* The three texts as JSON, ready to stand before a channel user. */
static size_t scope_json(byte *to, const byte *key, uint32_t bytes) {
    static const char *const NAMES[] = {",\"workspace_id\":\"", "\",\"bot_id\":\"", "\",\"channel\":\""};
    static const char LAST[] = "\",\"channel_user_id\":\"";
    byte *start = to;
    const byte *at = key, *end = key + bytes;
    for (int part = 0; part < 3; part++) {
        uint32_t length;
        at += get_length(at, end, &length);
        memcpy(to, NAMES[part], strlen(NAMES[part]));
        to += strlen(NAMES[part]);
        to += json_text(to, at, length);
        at += length;
    }
    memcpy(to, LAST, sizeof LAST - 1);
    return (size_t)(to + sizeof LAST - 1 - start);
}

static uint64_t scope_hash(const kernel *k, const byte *key, uint32_t bytes) {
    return keyed_hash(k->key_secret, key, bytes);
}

static bool hash_of_scope(const kernel *k, uint32_t number, uint64_t *hash) {
    const channel_scope *p = scope_at(k, number);
    if (p->uses == 0) {
        return false;
    }
    *hash = scope_hash(k, p->key, p->key_bytes);
    return true;
}

uint32_t scope_acquire(kernel *k, const byte *key, uint32_t bytes) {
    if (table_make_room(k, &k->by_scope, &k->scopes, hash_of_scope) < 0) {
        return 0;
    }
    uint64_t hash = scope_hash(k, key, bytes);
    uint32_t at = table_home(&k->by_scope, hash), number;
    while ((number = table_next(&k->by_scope, hash, &at)) != 0) {
        channel_scope *p = scope_at(k, number);
        if (p->key_bytes == bytes && memcmp(p->key, key, bytes) == 0) {
            p->uses++;
            return number;
        }
    }
    byte json[3 * 6 * MOST_TEXT_BYTES + 100];
    size_t json_bytes = scope_json(json, key, bytes);
    byte *kept = resized(NULL, 0, bytes + json_bytes, &k->held_bytes);
    number = kept == NULL ? 0 : pool_allocate(&k->scopes);
    if (number == 0) {
        return 0;
    }
    memcpy(kept, key, bytes);
    memcpy(kept + bytes, json, json_bytes);
    uint32_t wallet_bytes, start = get_length(key, key + bytes, &wallet_bytes);
    uint32_t wallet = kafka_hash(key + start, wallet_bytes);
    *scope_at(k, number) = (channel_scope){0, 1, kept, bytes, (uint32_t)json_bytes, wallet};
    table_put(&k->by_scope, hash, number);
    return number;
}

void scope_release(kernel *k, uint32_t number) {
    channel_scope *p = scope_at(k, number);
    MUST(p->uses > 0);
    if (--p->uses > 0) {
        return;
    }
    table_remove(&k->by_scope, scope_hash(k, p->key, p->key_bytes), number);
    k->held_bytes -= p->key_bytes + p->json_bytes;
    free(p->key);
    pool_release(&k->scopes, number);
}

bool is_key_of(const kernel *k, const interaction *i, const byte *key, uint32_t key_bytes, uint32_t scope_bytes) {
    const channel_scope *p = scope_at(k, i->scope);
    uint32_t user_bytes;
    const byte *user = string_at(&k->strings, i->user, &user_bytes);
    return p->key_bytes == scope_bytes && user_bytes == key_bytes - scope_bytes &&
           memcmp(user, key + scope_bytes, user_bytes) == 0 && memcmp(p->key, key, scope_bytes) == 0;
}

static int compare_strings(const byte *one, uint32_t one_bytes, const byte *other, uint32_t other_bytes) {
    /* Bytes of UTF-8 are in the order of the characters. */
    int order = memcmp(one, other, one_bytes < other_bytes ? one_bytes : other_bytes);
    return order ? order : one_bytes < other_bytes ? -1 : one_bytes > other_bytes;
}

int compare_keys(const kernel *k, const interaction *one, const interaction *other) {
    const channel_scope *p = scope_at(k, one->scope), *q = scope_at(k, other->scope);
    const byte *a = p->key, *b = q->key;
    for (int part = 0; p != q && part < 3; part++) {
        uint32_t a_bytes, b_bytes;
        a += get_length(a, p->key + p->key_bytes, &a_bytes);
        b += get_length(b, q->key + q->key_bytes, &b_bytes);
        int order = compare_strings(a, a_bytes, b, b_bytes);
        if (order) {
            return order;
        }
        a += a_bytes;
        b += b_bytes;
    }
    uint32_t a_bytes, b_bytes;
    a = string_at(&k->strings, one->user, &a_bytes);
    b = string_at(&k->strings, other->user, &b_bytes);
    return compare_strings(a, a_bytes, b, b_bytes);
}
