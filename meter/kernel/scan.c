/* Recognising a plain chat event in one pass over its bytes.
 *
 * Plain is an object in UTF-8 that has each field that counts once, texts without escapes, and a time in UTC. What
 * meter/intake.py would refuse is never plain, and what it would read otherwise neither; of what it would read the same,
 * the rest (escapes, other offsets, nested extra fields, ticks) is left to it: here is judged only what is certain. */
#include "kernel.h"

enum { SPECVERSION, ID, SOURCE, TIME, TYPE, DATA, WORKSPACE, BOT, CHANNEL, USER, DIRECTION, ACTOR, FIELDS };
enum { INNER = WORKSPACE, ALL = (1 << FIELDS) - 1 };

typedef struct {
    const byte *at, *end;
    uint64_t high; /* not 0 once a text had a byte that is not ASCII */
    unsigned found;
    text fields[FIELDS];
} scanner;

#define EACH(value) (UINT64_C(0x0101010101010101) * (value))

static inline uint64_t zeros(uint64_t word) {
    return (word - EACH(0x01)) & ~word & EACH(0x80);
}

/* Reads a text whose opening quote has been read; false where it is broken off, has an escape or a control character. */
static inline bool take_text(scanner *s, text *found) {
    const byte *at = s->at;
    for (; s->end - at >= 8; at += 8) {
        uint64_t word = word_at(at);
        uint64_t stops = zeros(word ^ EACH('"')) | zeros(word ^ EACH('\\')) | ((word - EACH(0x20)) & ~word & EACH(0x80));
        if (stops != 0) {
            int bytes = __builtin_ctzll(stops) >> 3;
            s->high |= word & EACH(0x80) & ~(UINT64_MAX << 8 * bytes);
            at += bytes;
            goto stopped;
        }
        s->high |= word & EACH(0x80);
    }
    while (at < s->end && *at != '"' && *at != '\\' && *at >= 0x20) {
        s->high |= *at++ & 0x80;
    }
stopped:
    if (at == s->end || *at != '"') {
        return false;
    }
    *found = (text){s->at, (uint32_t)(at - s->at), (uint32_t)(at - s->at)};
    s->at = at + 1;
    return true;
}

static inline byte next(scanner *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\r' || *s->at == '\t')) {
        s->at++;
    }
    return s->at < s->end ? *s->at : 0;
}

static inline bool is(const text *found, const char *word, uint32_t bytes) {
    return found->bytes == bytes && memcmp(found->at, word, bytes) == 0;
}
#define IS(found, word) is((found), (word), sizeof(word) - 1)

static int field_of(const text *name, bool inside) {
    if (inside) {
        return IS(name, "workspace_id")      ? WORKSPACE
               : IS(name, "bot_id")          ? BOT
               : IS(name, "channel")         ? CHANNEL
               : IS(name, "channel_user_id") ? USER
               : IS(name, "direction")       ? DIRECTION
               : IS(name, "actor")           ? ACTOR
                                             : FIELDS;
    }
    return IS(name, "specversion") ? SPECVERSION
           : IS(name, "id")        ? ID
           : IS(name, "source")    ? SOURCE
           : IS(name, "time")      ? TIME
           : IS(name, "type")      ? TYPE
           : IS(name, "data")      ? DATA
                                   : FIELDS;
}

/* A field that nobody reads: a text, a whole number of few digits, true, false or null. */
static bool pass_over(scanner *s) {
    text ignored;
    if (next(s) == '"') {
        s->at++;
        return take_text(s, &ignored);
    }
    static const char *const WORDS[] = {"true", "false", "null"};
    for (int word = 0; word < 3; word++) {
        size_t bytes = strlen(WORDS[word]);
        if ((size_t)(s->end - s->at) >= bytes && memcmp(s->at, WORDS[word], bytes) == 0) {
            s->at += bytes;
            return true;
        }
    }
    s->at += *s->at == '-';
    const byte *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9' && s->at - start < 18) {
        s->at++;
    }
    /* What may follow a number is seen by whoever reads on. */
    return s->at > start && (*start != '0' || s->at == start + 1);
}

static bool take_object(scanner *s, bool inside) {
    if (next(s) != '{') {
        return false;
    }
    do {
        text name, *value;
        s->at++;
        if (next(s) != '"') {
            return false;
        }
        s->at++;
        if (!take_text(s, &name) || next(s) != ':') {
            return false;
        }
        s->at++;
        int field = field_of(&name, inside);
        if (field == FIELDS) {
            if (next(s) == 0 || !pass_over(s)) {
                return false;
            }
            continue;
        }
        if (s->found & 1u << field) {
            return false;
        }
        s->found |= 1u << field;
        value = &s->fields[field];
        if (field == DATA) {
            if (!take_object(s, true)) {
                return false;
            }
            continue;
        }
        if (next(s) != '"') {
            return false;
        }
        s->at++;
        if (!take_text(s, value)) {
            return false;
        }
    } while (next(s) == ',');
    if (s->at == s->end || *s->at != '}') {
        return false;
    }
    s->at++;
    return true;
}

static bool is_name(text *name, bool high) {
    if (high && name->bytes <= MOST_TEXT_BYTES) {
        name->characters = characters_of(name->at, name->bytes);
    }
    return name->characters >= 1 && name->characters <= MOST_CHARACTERS;
}

bool scan_event(const byte *value, size_t bytes, chat_event *found) {
    scanner s = {.at = value, .end = value + bytes};
    if (!take_object(&s, false) || next(&s) != 0 || s.at != s.end || s.found != ALL) {
        return false;
    }
    text *f = s.fields;
    bool high = s.high != 0;
    if (high && !is_utf8(value, bytes)) {
        return false;
    }
    int type = IS(&f[TYPE], "chat.message") ? 0 : IS(&f[TYPE], "chat.notification.proactive") ? 1 : 2;
    int actor = IS(&f[ACTOR], "user") ? 0 : IS(&f[ACTOR], "bot") ? 1 : IS(&f[ACTOR], "agent") ? 2 : 3;
    bool out = IS(&f[DIRECTION], "out");
    if ((type == 2 && !IS(&f[TYPE], "chat.notification.alert")) || (actor == 3 && !IS(&f[ACTOR], "developer")) ||
        (!out && !IS(&f[DIRECTION], "in")) || !IS(&f[SPECVERSION], "1.0")) {
        return false;
    }
    static const byte NAMES[] = {ID, SOURCE, WORKSPACE, BOT, CHANNEL, USER};
    for (size_t each = 0; each < sizeof NAMES; each++) {
        if (!is_name(&f[NAMES[each]], high)) {
            return false;
        }
    }
    found->at_ms = scan_time(&f[TIME]);
    found->what = (byte)(type * 8 + out * 4 + actor);
    found->workspace = f[WORKSPACE];
    found->bot = f[BOT];
    found->channel = f[CHANNEL];
    found->user = f[USER];
    found->source = f[SOURCE];
    found->id = f[ID];
    return found->at_ms >= 0;
}
