/* One interaction as a checkpoint holds it: the format that meter/core/sessions/state_codec.py describes. */
#include "kernel.h"

enum status buffer_room(kernel *k, buffer *to, size_t more) {
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
    for (; number >= 0x80; number >>= 7) {
        *to++ = (byte)(number | 0x80);
    }
    *to++ = (byte)number;
    return to;
}

static byte *encode_signed(byte *to, int64_t number) {
    return encode_varint(to, (uint64_t)number << 1 ^ (uint64_t)(number >> 63));
}

static byte *encode_conversation(byte *to, const conversation *c, int64_t due_ms) {
    memcpy(to, c->id.bytes, ID_BYTES);
    to = encode_signed(to + ID_BYTES, ms(c->opened) - due_ms);
    to = encode_signed(to, ms(c->first) - ms(c->opened));
    to = encode_signed(to, ms(c->last) - ms(c->first));
    to = encode_varint(to, c->messages);
    return encode_varint(to, (uint64_t)c->requests << 1 | c->closed);
}

enum { MOST_CONVERSATION_BYTES = ID_BYTES + 5 * 10, MOST_ACCEPTED_BYTES = ID_BYTES + 10 + 1, MOST_HEAD_BYTES = 30 };

static enum status encode_value(kernel *k, buffer *to, const interaction *i) {
    uint32_t conversations = i->has_latest, accepted = 0, next;
    for (next = i->older; next != 0; next = older_at(k, next)->next == i->older ? 0 : older_at(k, next)->next) {
        conversations++;
    }
    for (next = i->newest_accepted; next != 0; next = accepted_at(k, next)->next == i->newest_accepted ? 0 : accepted_at(k, next)->next) {
        accepted++;
    }
    size_t most = MOST_HEAD_BYTES + (size_t)conversations * MOST_CONVERSATION_BYTES + (size_t)accepted * MOST_ACCEPTED_BYTES;
    TRY(buffer_room(k, to, most));
    byte *at = to->bytes + to->count;
    int64_t due_ms = ms(i->due), before_ms = due_ms;
    at = encode_varint(encode_varint(encode_signed(at, due_ms), conversations), accepted);
    next = i->older;
    for (uint32_t left = conversations - i->has_latest; left > 0; left--) {
        next = older_at(k, next)->next;
        at = encode_conversation(at, &older_at(k, next)->conversation, due_ms);
    }
    at = i->has_latest ? encode_conversation(at, &i->latest, due_ms) : at;
    next = i->newest_accepted;
    for (; accepted > 0; accepted--) {
        next = accepted_at(k, next)->next;
        const accepted_event *s = accepted_at(k, next);
        memcpy(at, s->id.bytes, ID_BYTES);
        at = encode_signed(at + ID_BYTES, ms(s->at) - before_ms);
        *at++ = (byte)s->event_class;
        before_ms = ms(s->at);
    }
    to->count = (size_t)(at - to->bytes);
    return STATUS_OK;
}

/* Where the next event or older conversation lies says only the one before it, and each is a wait for memory. So the
 * chains of a group are walked side by side, a step of each at a time, before any of them is written. */
void fetch_entries(const kernel *k, const uint32_t *numbers, uint32_t count) {
    enum { MOST_STEPS = 64 };
    uint32_t accepted[FETCH_ENTRIES], olders[FETCH_ENTRIES];
    MUST(count <= FETCH_ENTRIES);
    for (uint32_t each = 0; each < count; each++) {
        __builtin_prefetch(interaction_at(k, numbers[each]));
    }
    for (uint32_t each = 0; each < count; each++) {
        const interaction *i = interaction_at(k, numbers[each]);
        accepted[each] = i->newest_accepted;
        olders[each] = i->older;
        __builtin_prefetch(pool_at(&k->strings.sizes[i->user >> ITEM_BITS], i->user & NUMBERS));
        if (i->newest_accepted != 0) {
            __builtin_prefetch(accepted_at(k, i->newest_accepted));
        }
        if (i->older != 0) {
            __builtin_prefetch(older_at(k, i->older));
        }
    }
    uint32_t walking = count;
    for (uint32_t step = 0; step < MOST_STEPS && walking > 0; step++) {
        walking = 0;
        for (uint32_t each = 0; each < count; each++) {
            const interaction *i = interaction_at(k, numbers[each]);
            uint32_t s = accepted[each] == 0 ? 0 : accepted_at(k, accepted[each])->next;
            uint32_t o = olders[each] == 0 ? 0 : older_at(k, olders[each])->next;
            accepted[each] = s == i->newest_accepted ? 0 : s;
            olders[each] = o == i->older ? 0 : o;
            if (accepted[each] != 0) {
                __builtin_prefetch(accepted_at(k, s));
                walking++;
            }
            if (olders[each] != 0) {
                __builtin_prefetch(older_at(k, o));
                walking++;
            }
        }
    }
}

enum status encode_entry(kernel *k, buffer *to, uint32_t number) {
    const interaction *i = interaction_at(k, number);
    const channel_scope *p = scope_at(k, i->scope);
    uint32_t user_bytes, lengths[2];
    const byte *user = string_at(&k->strings, i->user, &user_bytes);
    uint32_t key_bytes = p->key_bytes + user_bytes;
    size_t start = to->count;
    TRY(buffer_room(k, to, sizeof lengths + key_bytes));
    byte *at = to->bytes + start + sizeof lengths;
    memcpy(at, p->key, p->key_bytes);
    memcpy(at + p->key_bytes, user, user_bytes);
    to->count += sizeof lengths + key_bytes;
    if (!i->ended && encode_value(k, to, i) < 0) {
        return STATUS_NO_MEMORY;
    }
    size_t value_bytes = to->count - start - sizeof lengths - key_bytes;
    if (value_bytes >= UINT32_MAX) {
        return STATUS_NO_MEMORY;
    }
    lengths[0] = key_bytes;
    lengths[1] = i->ended ? UINT32_MAX : (uint32_t)value_bytes;
    memcpy(to->bytes + start, lengths, sizeof lengths);
    return STATUS_OK;
}
