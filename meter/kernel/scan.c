/* Recognising a plain chat event in one pass over its bytes.
 *
 * Plain is an object in UTF-8 that has each field that counts once, texts without escapes, and a time in UTC. What
 * meter/core/decode.py would refuse is never plain, and what it would read otherwise neither; of what it would read the same,
 * the rest (escapes, other offsets, nested extra fields, ticks) is left to it: here is judged only what is certain. */
#include "kernel.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { SPECVERSION, ID, SOURCE, TIME, TYPE, DATA, WORKSPACE, BOT, CHANNEL, USER, DIRECTION, ACTOR, FIELDS };
enum { INNER = WORKSPACE, ALL = (1 << FIELDS) - 1 };

enum { MOST_QUOTES = 128 };

typedef struct {
    const byte *at, *start, *end;
    uint32_t quotes[MOST_QUOTES + 64], count, read;
    bool high; /* not all of it is ASCII */
    unsigned found;
    text fields[FIELDS];
} scanner;

/* Which of 16 bytes are quotes. Sets `odd` where one is a backslash or a control character, `high` if not ASCII. */
typedef struct { uint32_t odd, high; } others;
#ifdef __SSE2__
static inline uint64_t quotes_in(const byte *at, others *found) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    __m128i controls = _mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8(0x1F)), _mm_set1_epi8(0x1F));
    found->odd |= (uint32_t)_mm_movemask_epi8(_mm_or_si128(controls, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
    found->high |= (uint32_t)_mm_movemask_epi8(bytes);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
}
#else
static inline uint64_t quotes_in(const byte *at, others *found) {
    uint64_t quotes = 0;
    for (int each = 0; each < 16; each++) {
        quotes |= (uint64_t)(at[each] == '"') << each;
        found->odd |= at[each] < 0x20 || at[each] == '\\';
        found->high |= at[each] & 0x80;
    }
    return quotes;
}
#endif

/* Finds all quotes first: where a text ends is then known before the one before it has been read. */
static bool find_quotes(scanner *s) {
    others found = {0, 0};
    byte rest[64];
    uint32_t count = 0;
    size_t bytes = (size_t)(s->end - s->start);
    for (size_t at = 0; at < bytes; at += sizeof rest) {
        const byte *from = s->start + at;
        if (bytes - at < sizeof rest) {
            memset(rest, ' ', sizeof rest);
            from = memcpy(rest, from, bytes - at);
        }
        uint64_t quotes = quotes_in(from, &found) | quotes_in(from + 16, &found) << 16 |
                          quotes_in(from + 32, &found) << 32 | quotes_in(from + 48, &found) << 48;
        if (found.odd != 0 || count > MOST_QUOTES) {
            return false;
        }
        for (; quotes != 0; quotes &= quotes - 1) {
            s->quotes[count++] = (uint32_t)at + (uint32_t)__builtin_ctzll(quotes);
        }
    }
    s->count = count;
    s->high = found.high != 0;
    return true;
}

/* Reads a text, of which the opening quote comes next; false if it does not, or the other one is missing. */
static inline bool read_text(scanner *s, text *found) {
    if (s->read + 2 > s->count || s->start + s->quotes[s->read] != s->at) {
        return false;
    }
    uint32_t end = s->quotes[s->read + 1], bytes = end - s->quotes[s->read] - 1;
    *found = (text){s->at + 1, bytes, bytes};
    s->at = s->start + end + 1;
    s->read += 2;
    return true;
}

static inline byte next(scanner *s) {
    while (s->at < s->end && *s->at == ' ') {
        s->at++;
    }
    return s->at < s->end ? *s->at : 0;
}

static inline bool is(const text *found, const char *word, uint32_t bytes) {
    return found->bytes == bytes && memcmp(found->at, word, bytes) == 0;
}
#define IS(found, word) is((found), (word), sizeof(word) - 1)

/* By its length first: no two fields of one place have the same but `time`, `type` and `data`. */
static inline int field_of(const text *name, bool inside) {
    switch (name->bytes + (inside ? 100 : 0)) {
    case 2: return IS(name, "id") ? ID : FIELDS;
    case 4: return IS(name, "time") ? TIME : IS(name, "type") ? TYPE : IS(name, "data") ? DATA : FIELDS;
    case 6: return IS(name, "source") ? SOURCE : FIELDS;
    case 11: return IS(name, "specversion") ? SPECVERSION : FIELDS;
    case 105: return IS(name, "actor") ? ACTOR : FIELDS;
    case 106: return IS(name, "bot_id") ? BOT : FIELDS;
    case 107: return IS(name, "channel") ? CHANNEL : FIELDS;
    case 109: return IS(name, "direction") ? DIRECTION : FIELDS;
    case 112: return IS(name, "workspace_id") ? WORKSPACE : FIELDS;
    case 115: return IS(name, "channel_user_id") ? USER : FIELDS;
    default: return FIELDS;
    }
}

/* A field that nobody reads: a text, a whole number of few digits, true, false or null. */
static bool skip_value(scanner *s) {
    text ignored;
    if (next(s) == '"') {
        return read_text(s, &ignored);
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

static bool read_object(scanner *s, bool inside) {
    if (next(s) != '{') {
        return false;
    }
    do {
        text name;
        s->at++;
        next(s);
        if (!read_text(s, &name) || next(s) != ':') {
            return false;
        }
        s->at++;
        byte first = next(s);
        int field = field_of(&name, inside);
        if (field == FIELDS) {
            if (first == 0 || !skip_value(s)) {
                return false;
            }
            continue;
        }
        if (s->found & 1u << field) {
            return false;
        }
        s->found |= 1u << field;
        if (field == DATA ? !read_object(s, true) : !read_text(s, &s->fields[field])) {
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
    scanner s;
    s.at = s.start = value;
    s.end = value + bytes;
    s.read = s.found = 0;
    if (!find_quotes(&s) || !read_object(&s, false) || next(&s) != 0 || s.at != s.end || s.found != ALL) {
        return false;
    }
    text *f = s.fields;
    if (s.high && !is_utf8(value, bytes)) {
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
        if (!is_name(&f[NAMES[each]], s.high)) {
            return false;
        }
    }
    found->event_class = (byte)(type * 8 + out * 4 + actor);
    found->workspace = f[WORKSPACE];
    found->bot = f[BOT];
    found->channel = f[CHANNEL];
    found->user = f[USER];
    found->source = f[SOURCE];
    found->id = f[ID];
    return scan_time(&f[TIME], &found->at_ms);
}
