/* State entries written: an interaction or a bucket of ids as a checkpoint holds it, in the format of
 * meter/core/sessions/state_codec.py.
 *
 * Owns the encoding. Invariant: what is written here decode_value and decode_bucket read back to the same, and the
 * Python core to an equal one. */
#include "kernel.h"

enum { MAX_VARINT_BYTES = 10, ENTRY_HEAD_BYTES = 2 * sizeof(uint32_t) };
enum { MAX_CONVERSATION_BYTES = ID_BYTES + 5 * MAX_VARINT_BYTES };
enum { MAX_ACCEPTED_BYTES = SHORT_ID_BYTES + TAG_BYTES + MAX_VARINT_BYTES };

/* Makes room for `more` bytes at the end of a buffer. Returns STATUS_NO_MEMORY, and has then changed nothing. */
enum status buffer_room(kernel *k, buffer *to, size_t more) {
    KERNEL_ASSERT(to->count <= to->room);
    KERNEL_ASSERT((to->bytes == NULL) == (to->room == 0));
    if (to->room - to->count >= more) {
        return STATUS_OK;
    }
    size_t room = 2 * to->room + more;
    byte *bytes = resized(to->bytes, to->room, room, &k->held_bytes);
    if (bytes == NULL) {
        return STATUS_NO_MEMORY;
    }
    to->bytes = bytes;
    to->room = room;
    return STATUS_OK;
}

static byte *encode_varint(byte *to, uint64_t number) {
    const byte *start = to;
    for (; number >= 0x80; number >>= 7) {
        *to++ = (byte)(number | 0x80);
    }
    *to++ = (byte)number;
    KERNEL_ASSERT_SLOW(to - start <= MAX_VARINT_BYTES);
    return to;
}

static byte *encode_signed(byte *to, int64_t number) {
    KERNEL_ASSERT_SLOW(number > -TIME_LIMIT_MS);
    KERNEL_ASSERT_SLOW(number < TIME_LIMIT_MS); /* It is a time, or between two times. */
    return encode_varint(to, (uint64_t)number << 1 ^ (uint64_t)(number >> 63));
}

static byte *encode_conversation(byte *to, const conversation *c, int64_t due_ms) {
    KERNEL_ASSERT(ms(c->first) <= ms(c->last));
    KERNEL_ASSERT(c->requests <= c->messages);
    const byte *start = to;
    memcpy(to, c->id.bytes, ID_BYTES);
    to = encode_signed(to + ID_BYTES, ms(c->opened) - due_ms);
    to = encode_signed(to, ms(c->first) - ms(c->opened));
    to = encode_signed(to, ms(c->last) - ms(c->first));
    to = encode_varint(to, c->messages);
    to = encode_varint(to, (uint64_t)c->requests << 1 | c->closed);
    KERNEL_ASSERT(to - start <= MAX_CONVERSATION_BYTES);
    return to;
}

static uint32_t count_conversations(const kernel *k, const interaction *i) {
    uint32_t count = i->has_latest;
    KERNEL_ASSERT(i->older == 0 || i->has_latest);
    for (uint32_t next = i->older; next != 0;) {
        next = older_at(k, next)->next == i->older ? 0 : older_at(k, next)->next;
        count++;
    }
    KERNEL_ASSERT(count <= k->older_conversations.used + 1);
    return count;
}

static enum status encode_value(kernel *k, buffer *to, const interaction *i) {
    uint32_t conversations = count_conversations(k, i);
    KERNEL_ASSERT(conversations > 0);
    KERNEL_ASSERT(ms(i->due) > 0); /* Otherwise it would have ended. */
    TRY(buffer_room(k, to, 2 * MAX_VARINT_BYTES + (size_t)conversations * MAX_CONVERSATION_BYTES));
    byte *at = to->bytes + to->count;
    int64_t due_ms = ms(i->due);
    at = encode_varint(encode_signed(at, due_ms), conversations);
    uint32_t next = i->older;
    for (uint32_t left = conversations - i->has_latest; left > 0; left--) {
        next = older_at(k, next)->next;
        at = encode_conversation(at, &older_at(k, next)->conversation, due_ms);
    }
    at = i->has_latest ? encode_conversation(at, &i->latest, due_ms) : at;
    KERNEL_ASSERT((size_t)(at - to->bytes) <= to->room);
    to->count = (size_t)(at - to->bytes);
    return STATUS_OK;
}

/* Loads what encode_entry will read into the cache, for at most FETCH_ENTRIES interactions. Called before a group of
 * entries is written; it changes nothing. Only an item says where the next one of its ring lies, so each step waits
 * for memory: here the rings of all interactions of the group are walked side by side, one step of each at a time. */
void fetch_entries(const kernel *k, const uint32_t *numbers, uint32_t count) {
    enum { MAX_STEPS = 64 };
    uint32_t olders[FETCH_ENTRIES];
    KERNEL_ASSERT(count <= FETCH_ENTRIES);
    for (uint32_t each = 0; each < count; each++) {
        __builtin_prefetch(interaction_at(k, numbers[each]));
    }
    for (uint32_t each = 0; each < count; each++) {
        const interaction *i = interaction_at(k, numbers[each]);
        KERNEL_ASSERT_SLOW(i->used);
        olders[each] = i->older;
        __builtin_prefetch(string_item(&k->strings, i->user));
        if (i->older != 0) {
            __builtin_prefetch(older_at(k, i->older));
        }
    }
    uint32_t walking = count;
    for (uint32_t step = 0; step < MAX_STEPS && walking > 0; step++) {
        walking = 0;
        for (uint32_t each = 0; each < count; each++) {
            const interaction *i = interaction_at(k, numbers[each]);
            uint32_t o = olders[each] == 0 ? 0 : older_at(k, olders[each])->next;
            olders[each] = o == i->older ? 0 : o;
            if (olders[each] != 0) {
                __builtin_prefetch(older_at(k, o));
                walking++;
            }
        }
    }
}

/* Writes the entry of an interaction to the end of a buffer: two lengths, its key, its value; no value if it has
 * ended. The buffer stays the caller's. Returns STATUS_NO_MEMORY. */
enum status encode_entry(kernel *k, buffer *to, uint32_t number) {
    const interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    const channel_scope *s = scope_at(k, i->scope);
    uint32_t user_bytes, lengths[2];
    const byte *user = string_at(&k->strings, i->user, &user_bytes);
    uint32_t key_bytes = s->key_bytes + user_bytes;
    size_t start = to->count;
    KERNEL_ASSERT(key_bytes <= MAX_KEY_BYTES);
    TRY(buffer_room(k, to, ENTRY_HEAD_BYTES + key_bytes));
    byte *at = to->bytes + start + ENTRY_HEAD_BYTES;
    memcpy(at, s->key, s->key_bytes);
    memcpy(at + s->key_bytes, user, user_bytes);
    to->count += ENTRY_HEAD_BYTES + key_bytes;
    if (!i->ended) {
        TRY(encode_value(k, to, i));
    }
    size_t value_bytes = to->count - start - ENTRY_HEAD_BYTES - key_bytes;
    if (value_bytes >= UINT32_MAX) {
        return STATUS_NO_MEMORY;
    }
    lengths[0] = key_bytes;
    lengths[1] = i->ended ? UINT32_MAX : (uint32_t)value_bytes;
    KERNEL_ASSERT(sizeof lengths == ENTRY_HEAD_BYTES);
    KERNEL_ASSERT(i->ended == (value_bytes == 0));
    memcpy(to->bytes + start, lengths, sizeof lengths);
    return STATUS_OK;
}

/* Writes a number from 0 on in eight bytes that sort as numbers do: the highest byte first. */
void encode_big_endian(byte to[8], int64_t number) {
    KERNEL_ASSERT(number >= 0);
    for (int each = 0; each < 8; each++) {
        to[each] = (byte)((uint64_t)number >> (56 - 8 * each));
    }
    KERNEL_ASSERT(to[0] < 0x80); /* Otherwise it would sort behind every other. */
}

/* Writes the entry of a bucket of ids to the end of a buffer; no value if `bucket` is 0: it has ended. Returns
 * STATUS_NO_MEMORY. */
enum status encode_bucket(kernel *k, buffer *to, int64_t number, uint32_t bucket) {
    const id_bucket *b = bucket == 0 ? NULL : bucket_at(k, bucket);
    uint32_t lengths[2] = {BUCKET_KEY_BYTES, UINT32_MAX};
    size_t start = to->count, most = (b == NULL ? 0 : b->count) * (size_t)MAX_ACCEPTED_BYTES;
    TRY(buffer_room(k, to, ENTRY_HEAD_BYTES + BUCKET_KEY_BYTES + most));
    byte *at = to->bytes + start + ENTRY_HEAD_BYTES, *value = at + BUCKET_KEY_BYTES;
    *at = 0;
    encode_big_endian(at + 1, number);
    at = value;
    int64_t before_ms = 0;
    for (uint32_t each = 0; b != NULL && each < b->count; each++) {
        int64_t at_ms = id_ms(k, b, each);
        memcpy(at, b->ids[each].id, SHORT_ID_BYTES);
        memcpy(at + SHORT_ID_BYTES, b->ids[each].tag, TAG_BYTES);
        at = encode_signed(at + SHORT_ID_BYTES + TAG_BYTES, at_ms - before_ms);
        before_ms = at_ms;
    }
    KERNEL_ASSERT((b == NULL) == (at == value));
    lengths[1] = b == NULL ? UINT32_MAX : (uint32_t)(at - value);
    memcpy(to->bytes + start, lengths, sizeof lengths);
    to->count = (size_t)(at - to->bytes);
    KERNEL_ASSERT(to->count <= to->room);
    return STATUS_OK;
}
