/* Updates as JSON: byte for byte what schemas/metered.py is when it is encoded.
 *
 * Owns the form of these records. The caller owns the memory: MAX_METERED_BYTES are enough for any of them. */
#include "kernel.h"

static byte *put(byte *to, const char *text, size_t bytes) {
    KERNEL_ASSERT_SLOW(to != NULL);
    KERNEL_ASSERT_SLOW(text != NULL);
    memcpy(to, text, bytes);
    return to + bytes;
}
#define PUT(to, text) put((to), (text), sizeof(text) - 1)

static byte *put_number(byte *to, int64_t number) {
    char digits[20];
    int at = sizeof digits;
    uint64_t left = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + left % 10);
    } while ((left /= 10) != 0);
    KERNEL_ASSERT_SLOW(at >= 0);
    if (number < 0) {
        *to++ = '-';
    }
    return put(to, digits + at, sizeof digits - (size_t)at);
}

static byte *put_id(byte *to, const event_id *id) {
    static const char DIGITS[] = "0123456789abcdef";
    for (int at = 0; at < ID_BYTES; at++) {
        *to++ = (byte)DIGITS[id->bytes[at] >> 4];
        *to++ = (byte)DIGITS[id->bytes[at] & 15];
    }
    return to;
}

static byte *put_conversation(byte *to, const kernel *k, const update *each) {
    KERNEL_ASSERT_SLOW(each->state <= ABSORBED);
    KERNEL_ASSERT_SLOW(!each->replaced);
    KERNEL_ASSERT_SLOW(each->first_ms <= each->last_ms);
    KERNEL_ASSERT_SLOW(each->requests <= each->messages);
    static const char *const STATES[] = {"open", "closed", "absorbed"};
    to = PUT(to, "{\"type\":\"meter.conversation\",\"conversation_id\":\"");
    to = put_id(to, &each->id);
    to = PUT(to, "\",\"opened_ms\":");
    to = put_number(to, each->opened_ms);
    to = PUT(to, ",\"state\":\"");
    to = put(to, STATES[each->state], strlen(STATES[each->state]));
    to = PUT(to, "\",\"first_ms\":");
    to = put_number(to, each->first_ms);
    to = PUT(to, ",\"last_ms\":");
    to = put_number(to, each->last_ms);
    to = PUT(to, ",\"messages\":");
    to = put_number(to, each->messages);
    to = PUT(to, ",\"requests\":");
    to = put_number(to, each->requests);
    to = PUT(to, ",\"sessions\":");
    to = put_number(to, each->state == ABSORBED ? 0 : session_count(k, each->first_ms, each->last_ms));
    if (each->state != ABSORBED) {
        return PUT(to, ",\"absorbed_into\":null");
    }
    to = PUT(to, ",\"absorbed_into\":\"");
    to = put_id(to, &each->into);
    return PUT(to, "\"");
}

/* Returns which of the KINDS an occurrence is: by its type, or, of a message, by who spoke. Not for a conversation. */
int kind_of(const update *occurrence) {
    int type = occurrence->event_class >> 3, actor = occurrence->event_class & 3;
    KERNEL_ASSERT_SLOW(occurrence->event_class < EVENT_CLASSES);
    KERNEL_ASSERT_SLOW(type != MESSAGE || actor >= BY_AGENT);
    return FIRST_OCCURRENCE_KIND + (type != MESSAGE ? type - 1 : actor);
}

static byte *put_occurrence(byte *to, const update *each) {
    static const char *const OCCURRENCES[] = {"proactive", "alert", "agent", "developer"};
    const char *kind = OCCURRENCES[kind_of(each) - FIRST_OCCURRENCE_KIND];
    KERNEL_ASSERT_SLOW(!each->replaced);
    KERNEL_ASSERT_SLOW(each->messages == 0);
    to = PUT(to, "{\"type\":\"meter.occurrence\",\"kind\":\"");
    to = put(to, kind, strlen(kind));
    to = PUT(to, "\",\"unit_id\":\"");
    to = put_id(to, &each->id);
    to = PUT(to, "\",\"at_ms\":");
    return put_number(to, each->first_ms);
}

enum { GENERATION_BITS = 48 }; /* as schemas/versions.py has it */

static byte *put_origin(byte *to, const kernel *k, const update *each) {
    const channel_scope *s = scope_at(k, each->scope);
    KERNEL_ASSERT_SLOW(s->uses > 0);
    KERNEL_ASSERT_SLOW(s->json_bytes > 0);
    KERNEL_ASSERT_SLOW(each->user_at + each->user_bytes <= k->updates.users_bytes);
    to = put(to, (const char *)s->key + s->key_bytes, s->json_bytes);
    to += json_text(to, k->updates.users + each->user_at, each->user_bytes);
    to = PUT(to, "\",\"origin_partition\":");
    to = put_number(to, k->partition);
    to = PUT(to, ",\"origin_offset\":");
    to = put_number(to, (k->generation << GENERATION_BITS) + each->offset);
    to = PUT(to, ",\"produced_ms\":");
    to = put_number(to, each->produced_ms);
    return PUT(to, ",\"format\":1}"); /* METERED_FORMAT of schemas/formats.py */
}

/* Writes an update as JSON and returns the end of it. `to` has room for MAX_METERED_BYTES. Called while the updates are
 * packed, before clear_updates. */
byte *encode_metered(byte *to, const kernel *k, const update *each, bool is_conversation) {
    byte *end = put_origin(is_conversation ? put_conversation(to, k, each) : put_occurrence(to, each), k, each);
    KERNEL_ASSERT_SLOW(end > to);
    KERNEL_ASSERT_SLOW(end - to <= MAX_METERED_BYTES);
    return end;
}
