/* One interaction as a checkpoint holds it: the format that meter/core/sessions/state_codec.py describes. */
#include "kernel.h"

int buffer_room(kernel *k, buffer *to, size_t more) {
    if (to->room - to->count >= more) {
        return 0;
    }
    size_t room = 2 * to->room + more;
    byte *bytes = resized(to->bytes, to->room, room, &k->held_bytes);
    if (bytes == NULL) {
        return -1;
    }
    to->bytes = bytes;
    to->room = room;
    return 0;
}

static byte *put_count(byte *to, uint64_t number) {
    for (; number >= 0x80; number >>= 7) {
        *to++ = (byte)(number | 0x80);
    }
    *to++ = (byte)number;
    return to;
}

static byte *put_signed(byte *to, int64_t number) {
    return put_count(to, (uint64_t)number << 1 ^ (uint64_t)(number >> 63));
}

static byte *put_said(byte *to, const conversation *c, int64_t due_ms) {
    memcpy(to, c->id.bytes, ID_BYTES);
    to = put_signed(to + ID_BYTES, ms(c->opened) - due_ms);
    to = put_signed(to, ms(c->first) - ms(c->opened));
    to = put_signed(to, ms(c->last) - ms(c->first));
    to = put_count(to, c->messages);
    return put_count(to, (uint64_t)c->requests << 1 | c->closed);
}

enum { MOST_SAID_BYTES = ID_BYTES + 5 * 10, MOST_SEEN_BYTES = ID_BYTES + 10 + 1, MOST_HEAD_BYTES = 30 };

static int put_value(kernel *k, buffer *to, const interaction *i) {
    uint32_t conversations = i->speaks, seens = 0, next;
    for (next = i->older; next != 0; next = earlier_at(k, next)->next == i->older ? 0 : earlier_at(k, next)->next) {
        conversations++;
    }
    for (next = i->seen; next != 0; next = seen_at(k, next)->next == i->seen ? 0 : seen_at(k, next)->next) {
        seens++;
    }
    size_t most = MOST_HEAD_BYTES + (size_t)conversations * MOST_SAID_BYTES + (size_t)seens * MOST_SEEN_BYTES;
    if (buffer_room(k, to, most) < 0) {
        return -1;
    }
    byte *at = to->bytes + to->count;
    int64_t due_ms = ms(i->due), before_ms = due_ms;
    at = put_count(put_count(put_signed(at, due_ms), conversations), seens);
    next = i->older;
    for (uint32_t left = conversations - i->speaks; left > 0; left--) {
        next = earlier_at(k, next)->next;
        at = put_said(at, &earlier_at(k, next)->said, due_ms);
    }
    at = i->speaks ? put_said(at, &i->latest, due_ms) : at;
    next = i->seen;
    for (; seens > 0; seens--) {
        next = seen_at(k, next)->next;
        const seen *s = seen_at(k, next);
        memcpy(at, s->id.bytes, ID_BYTES);
        at = put_signed(at + ID_BYTES, ms(s->at) - before_ms);
        *at++ = (byte)s->what;
        before_ms = ms(s->at);
    }
    to->count = (size_t)(at - to->bytes);
    return 0;
}

/* Where the next event or older conversation lies says only the one before it, and each is a wait for memory. So the
 * chains of a group are walked side by side, a step of each at a time, before any of them is written. */
void fetch_entries(const kernel *k, const uint32_t *numbers, uint32_t count) {
    enum { MOST_STEPS = 64 };
    uint32_t seens[FETCH_ENTRIES], olders[FETCH_ENTRIES];
    MUST(count <= FETCH_ENTRIES);
    for (uint32_t each = 0; each < count; each++) {
        __builtin_prefetch(interaction_at(k, numbers[each]));
    }
    for (uint32_t each = 0; each < count; each++) {
        const interaction *i = interaction_at(k, numbers[each]);
        seens[each] = i->seen;
        olders[each] = i->older;
        __builtin_prefetch(pool_at(&k->texts.sizes[i->user >> ITEM_BITS], i->user & NUMBERS));
        if (i->seen != 0) {
            __builtin_prefetch(seen_at(k, i->seen));
        }
        if (i->older != 0) {
            __builtin_prefetch(earlier_at(k, i->older));
        }
    }
    uint32_t walking = count;
    for (uint32_t step = 0; step < MOST_STEPS && walking > 0; step++) {
        walking = 0;
        for (uint32_t each = 0; each < count; each++) {
            const interaction *i = interaction_at(k, numbers[each]);
            uint32_t s = seens[each] == 0 ? 0 : seen_at(k, seens[each])->next;
            uint32_t o = olders[each] == 0 ? 0 : earlier_at(k, olders[each])->next;
            seens[each] = s == i->seen ? 0 : s;
            olders[each] = o == i->older ? 0 : o;
            if (seens[each] != 0) {
                __builtin_prefetch(seen_at(k, s));
                walking++;
            }
            if (olders[each] != 0) {
                __builtin_prefetch(earlier_at(k, o));
                walking++;
            }
        }
    }
}

int put_entry(kernel *k, buffer *to, uint32_t number) {
    const interaction *i = interaction_at(k, number);
    const place *p = place_at(k, i->place);
    uint32_t user_bytes, lengths[2];
    const byte *user = text_of(&k->texts, i->user, &user_bytes);
    uint32_t key_bytes = p->key_bytes + user_bytes;
    size_t start = to->count;
    if (buffer_room(k, to, sizeof lengths + key_bytes) < 0) {
        return -1;
    }
    byte *at = to->bytes + start + sizeof lengths;
    memcpy(at, p->key, p->key_bytes);
    memcpy(at + p->key_bytes, user, user_bytes);
    to->count += sizeof lengths + key_bytes;
    if (!i->ended && put_value(k, to, i) < 0) {
        return -1;
    }
    size_t value_bytes = to->count - start - sizeof lengths - key_bytes;
    if (value_bytes >= UINT32_MAX) {
        return -1;
    }
    lengths[0] = key_bytes;
    lengths[1] = i->ended ? UINT32_MAX : (uint32_t)value_bytes;
    memcpy(to->bytes + start, lengths, sizeof lengths);
    return 0;
}
