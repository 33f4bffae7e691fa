/* Recognising a plain chat event in one pass over its bytes.
 *
 * Owns the decision which records are plain: a JSON object in UTF-8 that has each field that counts exactly once,
 * texts without escapes, and a time in UTC. Invariants: what meter/core/decode.py would refuse, or would read
 * differently, is never plain. The rest (escapes, other offsets from UTC, nested extra fields, ticks) is left to it:
 * only what is certain is judged here. */
#include "kernel.h"

enum { SPECVERSION, ID, SOURCE, TIME, TYPE, DATA, WORKSPACE, BOT, CHANNEL, USER, DIRECTION, ACTOR, FIELDS };
enum { ALL_FIELDS = (1 << FIELDS) - 1 };

typedef struct {
    const byte *at, *start, *end; /* start <= at <= end */
    uint32_t read;                /* quotes passed */
    unsigned found;               /* a bit for each field that was read */
    quote_list quotes;
    text fields[FIELDS];
} scanner;

/* Reads a text, of which the opening quote comes next. Returns false if it does not, or the closing quote is
 * missing. */
static inline bool read_text(scanner *s, text *found) {
    const quote_list *quotes = &s->quotes;
    if (s->read + 2 > quotes->count || s->start + quotes->at[s->read] != s->at) {
        return false;
    }
    KERNEL_ASSERT_SLOW(quotes->at[s->read] < quotes->at[s->read + 1]);
    uint32_t end = quotes->at[s->read + 1], bytes = end - quotes->at[s->read] - 1;
    *found = (text){s->at + 1, bytes, bytes};
    s->at = s->start + end + 1;
    s->read += 2;
    KERNEL_ASSERT_SLOW(s->at <= s->end);
    return true;
}

/* Skips spaces and returns the next byte, which is not passed yet; 0 at the end. Other white space is not plain. */
static inline byte next(scanner *s) {
    KERNEL_ASSERT_SLOW(s->at >= s->start);
    KERNEL_ASSERT_SLOW(s->at <= s->end);
    while (s->at < s->end && *s->at == ' ') {
        s->at++;
    }
    return s->at < s->end ? *s->at : 0;
}

static inline bool is(const text *found, const char *word, uint32_t bytes) {
    KERNEL_ASSERT_SLOW(found->at != NULL);
    KERNEL_ASSERT_SLOW(word[bytes] == 0);
    return found->bytes == bytes && memcmp(found->at, word, bytes) == 0;
}
#define IS(found, word) is((found), (word), sizeof(word) - 1)

/* Which field has this name; FIELDS: none that counts. By its length first: of names in one object only `time`,
 * `type` and `data` have the same. */
static inline int field_of(const text *name, bool is_inner) {
    switch (name->bytes + (is_inner ? 100 : 0)) {
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

/* Skips the value of a field that does not count: a text, a whole number of at most 18 digits, true, false or null.
 * Returns false if it is anything else. */
static bool skip_value(scanner *s) {
    text ignored;
    KERNEL_ASSERT_SLOW(s->at < s->end);
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
    KERNEL_ASSERT_SLOW(s->at <= s->end);
    /* The caller judges what follows the number: it expects a comma or a brace. */
    return s->at > start && (*start != '0' || s->at == start + 1);
}

/* Reads an object: the event, or its `data` (`is_inner`). Returns false if it is not plain. */
static bool read_object(scanner *s, bool is_inner) {
    if (next(s) != '{') {
        return false;
    }
    do {
        text name;
        KERNEL_ASSERT_SLOW(s->at < s->end); /* At the brace, or at a comma. */
        s->at++;
        next(s);
        if (!read_text(s, &name) || next(s) != ':') {
            return false;
        }
        s->at++;
        byte first = next(s);
        int field = field_of(&name, is_inner);
        if (field == FIELDS) {
            if (first == 0 || !skip_value(s)) {
                return false;
            }
            continue;
        }
        KERNEL_ASSERT_SLOW(is_inner == (field >= WORKSPACE)); /* So `data` is never read inside `data`. */
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

/* Whether a name has 1 to 512 characters. Counts them if they may be fewer than its bytes. */
static bool is_name(text *name, bool has_non_ascii) {
    if (has_non_ascii && name->bytes <= MAX_TEXT_BYTES) {
        name->characters = characters_of(name->at, name->bytes);
    }
    KERNEL_ASSERT_SLOW(name->characters <= name->bytes);
    return name->characters >= 1 && name->characters <= MAX_CHARACTERS;
}

/* Reads a record's value. Returns true if it is a plain event, false if it is for meter/core/decode.py to judge.
 * What is found points into the value. */
bool scan_event(const byte *value, size_t bytes, chat_event *found) {
    scanner s;
    s.at = s.start = value;
    s.end = value + bytes;
    s.read = s.found = 0;
    if (!find_quotes(value, bytes, &s.quotes) || !read_object(&s, false) || next(&s) != 0 || s.at != s.end ||
        s.found != ALL_FIELDS) {
        return false;
    }
    KERNEL_ASSERT_SLOW(s.read <= s.quotes.count);
    text *f = s.fields;
    if (s.quotes.has_non_ascii && !is_utf8(value, bytes)) {
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
        if (!is_name(&f[NAMES[each]], s.quotes.has_non_ascii)) {
            return false;
        }
    }
    found->event_class = (byte)(type * 8 + out * 4 + actor);
    KERNEL_ASSERT_SLOW(found->event_class < EVENT_CLASSES);
    found->workspace = f[WORKSPACE];
    found->bot = f[BOT];
    found->channel = f[CHANNEL];
    found->user = f[USER];
    found->source = f[SOURCE];
    found->id = f[ID];
    return scan_time(&f[TIME], &found->at_ms);
}
