/* The state of one partition and what is done with it. See memory.h for what this stands on. */
#ifndef METER_KERNEL_H
#define METER_KERNEL_H

#include "memory.h"

/* ---- what is held ---- */
typedef struct __attribute__((packed, aligned(2))) { /* an accepted event, 30 bytes */
    event_id id;
    instant at;
    uint32_t next : ITEM_BITS; /* the event of this interaction accepted after this one; of the newest: the oldest */
    uint32_t what : 5;         /* type * 8 + direction * 4 + actor */
    uint32_t owner : ITEM_BITS; /* its interaction; 0: given back */
    uint32_t shadowed : 1;     /* its id came again after the horizon: it is not in the table any more */
    uint32_t stored : 1;       /* the store on disk has its id */
} seen;

typedef struct __attribute__((packed, aligned(2))) { /* 42 bytes */
    event_id id;
    instant opened, first, last;
    uint32_t messages;
    uint32_t requests : 31, closed : 1;
} conversation;

typedef struct { /* 64 bytes, one line of the cache */
    conversation latest; /* where `speaks`: the conversation that begins last */
    instant due;         /* the earliest event time at which something here may close or be forgotten */
    uint32_t place, user;
    uint32_t seen : ITEM_BITS, used : 1, speaks : 1, touched : 1, ended : 1, behind : 1;
    uint32_t older; /* the conversation before the latest one; 0: none */
} interaction;  /* `seen`: the newest. `ended`: nothing is left of it but its key, until a checkpoint has heard of it.
                   `behind`: an older conversation is open, as may be between an event and what its time does */

typedef struct { /* an older conversation */
    conversation said;
    uint32_t next; /* the one that begins after this one; of the newest of them: the oldest */
} earlier;

typedef struct { /* a workspace's bot on a channel: what many interactions have in common */
    uint32_t link, uses;
    byte *key;         /* three texts, each after its length; then the same as JSON, up to the channel user */
    uint32_t key_bytes, json_bytes;
    uint32_t wallet; /* the workspace's id as Kafka hashes keys: says which partition its wallet is in */
} place;

enum { TEXT_SIZES = 10 };
typedef struct { pool sizes[TEXT_SIZES]; } texts; /* by size; each begins with its length in two bytes */

typedef struct { int64_t due_ms; uint32_t number; } appointment;
enum { RING_BITS = 14, PAGE_ITEMS = 15 };
typedef struct { uint32_t next, items[PAGE_ITEMS]; } due_page;
typedef struct { /* near: a heap of what is due in the ring's current slot or before; far: a ring of slots, unsorted */
    appointment *near;
    uint32_t near_count, near_room, group_room;
    uint32_t *group; /* what is due at one instant */
    struct { uint32_t page, filled; } *ring;
    pool pages;
    int64_t slot; /* the current one, as time >> shift */
    uint32_t shift;
    uint64_t far_count;
} due_times;

enum state { OPEN, CLOSED, ABSORBED };
typedef struct { /* a conversation as it stood when it was last announced in this batch, or an occurrence */
    event_id id, into;
    int64_t opened_ms, first_ms, last_ms, offset, produced_ms;
    uint32_t messages, requests, place, user_at;
    uint16_t user_bytes;
    byte state, what;
    bool replaced;
} told;
typedef struct {
    told *items;
    uint32_t count, room;
} told_list;
typedef struct {
    told_list conversations, occurrences;
    uint32_t *slots, mask; /* conversation id -> its newest place in `conversations`, counted from 1 */
    byte *names;           /* the channel users, since their interactions may end before the batch does */
    size_t names_bytes, names_room;
} announcements;

typedef struct { /* a chat event that can be metered */
    event_id id;
    uint64_t id_hash, key_hash;
    const byte *key; /* of its interaction: three texts, each after its length, and the channel user */
    uint32_t key_bytes, place_bytes;
    byte what;
    int64_t at_ms, offset, produced_ms;
} event;

enum outcome { NO_MEMORY = -1, TOLD_CONVERSATION, TOLD_OCCURRENCE, DUPLICATE, CONFLICT, OUTCOMES, LATE = OUTCOMES };

struct kernel {
    int64_t gap_ms, horizon_ms, future_ms, partition;
    int64_t watermark_ms, closed_messages, live;
    uint64_t id_secret[2], key_secret[2];
    size_t held_bytes;
    pool interactions, earliers, seens, places;
    texts texts;
    table by_key, by_id, by_place;
    due_times due;
    announcements news;
    uint64_t outcomes[OUTCOMES];
    struct { uint32_t *items, count, room; } touched; /* interactions that changed or ended since last asked */
    struct { event_id *items; uint32_t count, room; } unstored; /* ids that the store on disk need not have any more */
    int64_t *loaded_at; /* the input offset of each interaction's entry while restoring, else NULL */
    uint32_t loaded_room;
    bool restoring;
};

/* ---- index.c: interactions and what hangs on them ---- */
int kernel_begin(kernel *k); /* after the numbers are set */
void kernel_end(kernel *k);
uint32_t find_interaction(const kernel *k, const byte *key, uint32_t key_bytes, uint32_t place_bytes, uint64_t hash);
uint32_t add_interaction(kernel *k, const byte *key, uint32_t key_bytes, uint32_t place_bytes, uint64_t hash);
void drop_interaction(kernel *k, uint32_t number); /* one of which nothing is left */
int touch(kernel *k, uint32_t number);
uint32_t find_seen(const kernel *k, const event_id *id, uint64_t hash);
int index_seen(kernel *k, uint32_t number);
void add_seen(kernel *k, interaction *i, uint32_t number); /* as the newest */
void add_earlier(kernel *k, interaction *i, uint32_t after, uint32_t number); /* after: 0 before all, older: after all */
void remove_earlier(kernel *k, interaction *i, uint32_t before, uint32_t number);
uint32_t key_of(const kernel *k, const interaction *i, byte *key); /* its bytes, which it writes to `key` */
int forget_stored(kernel *k, seen *s); /* before it is shadowed or given back */
static inline interaction *interaction_at(const kernel *k, uint32_t number) {
    return pool_at(&k->interactions, number);
}
static inline seen *seen_at(const kernel *k, uint32_t number) {
    return pool_at(&k->seens, number);
}
static inline earlier *earlier_at(const kernel *k, uint32_t number) {
    return pool_at(&k->earliers, number);
}

/* ---- strings.c: texts that are held, places, keys ---- */
void texts_begin(kernel *k);
uint32_t text_keep(texts *t, const byte *text, uint32_t bytes); /* 0: no memory */
const byte *text_of(const texts *t, uint32_t text, uint32_t *bytes);
void text_drop(texts *t, uint32_t text);
uint32_t place_use(kernel *k, const byte *key, uint32_t bytes); /* 0: no memory */
void place_leave(kernel *k, uint32_t number);
static inline place *place_at(const kernel *k, uint32_t number) {
    return pool_at(&k->places, number);
}
bool is_key_of(const kernel *k, const interaction *i, const byte *key, uint32_t key_bytes, uint32_t place_bytes);
int compare_keys(const kernel *k, const interaction *one, const interaction *other); /* as the four texts in order */
size_t json_text(byte *to, const byte *text, uint32_t bytes); /* at most six times as long */
uint32_t put_length(byte *to, uint32_t length);
uint32_t get_length(const byte *from, const byte *end, uint32_t *length); /* bytes read; 0: broken off or too large */

/* ---- sessions.c: one event; expiry.c: what its time does ---- */
enum outcome step(kernel *k, const event *e);
int close_conversation(kernel *k, uint32_t number, conversation *c, int64_t offset, int64_t produced_ms);
int advance(kernel *k, int64_t offset, int64_t produced_ms);
int close_all(kernel *k, int64_t offset, int64_t produced_ms);
int end_interaction(kernel *k, uint32_t number);
static inline uint32_t sessions_of(const kernel *k, int64_t first_ms, int64_t last_ms) {
    int64_t blocks = (last_ms - first_ms + k->gap_ms - 1) / k->gap_ms;
    return blocks > 1 ? (uint32_t)blocks : 1;
}

/* ---- timers.c ---- */
int due_begin(kernel *k, int64_t furthest_ms); /* nothing will be due later than that beyond the watermark */
void due_end(kernel *k);
int schedule(kernel *k, uint32_t number, int64_t due_ms);
int due_reach(kernel *k); /* after the watermark has moved, before anything is scheduled by it */
int due_extend(kernel *k, int64_t due_ms); /* so that something that is held already can be scheduled for then */
int due_tidy(kernel *k); /* after many have left: no more appointments than a few for each that is held */
int due_next(kernel *k, uint32_t *count); /* what is due next, up to the watermark, at one instant: in due.group */

/* ---- updates.c, metered.c, batches.c ---- */
int announce(kernel *k, uint32_t number, const conversation *c, const event_id *into, int64_t offset, int64_t produced_ms);
int occurred(kernel *k, uint32_t number, const event *e);
bool is_announced(const kernel *k, const event_id *id);
void forget_news(kernel *k);
enum { MOST_METERED_BYTES = 1024 + 4 * 6 * MOST_TEXT_BYTES };
byte *put_metered(byte *to, const kernel *k, const told *each, bool is_conversation); /* as JSON */
int kind_of(const told *occurrence); /* which of the kinds */
const told *next_news(const kernel *k, uint32_t at[2], bool *is_conversation); /* begins at {0, 0}; NULL: no more */
enum { KINDS = 7 }; /* open, closed, absorbed, proactive, alert, agent, developer */
void count_news(const kernel *k, uint64_t counts[KINDS]);
/* A list of (partition, records as a batch of Kafka's holds them, how many); NULL with an exception. */
PyObject *pack_news(kernel *k, uint32_t partitions, size_t most_bytes);

/* ---- entries.c, values.c, restore.c: the state as checkpoints hold it ---- */
typedef struct { byte *bytes; size_t count, room; } buffer;
enum { FETCH_ENTRIES = 16 };
int buffer_room(kernel *k, buffer *to, size_t more);
void fetch_entries(const kernel *k, const uint32_t *numbers, uint32_t count); /* into the cache: put_entry comes next */
int put_entry(kernel *k, buffer *to, uint32_t number); /* what ended has no value */
typedef struct { const byte *whole, *key, *value; uint32_t key_bytes, value_bytes; bool ended; } entry;
int next_entry(const byte **at, const byte *end, entry *found); /* 1; 0: there is none; -2: it breaks off */
int take_value(kernel *k, uint32_t number, const byte *value, size_t bytes); /* ids in no table yet; -2: cannot be */
uint32_t place_bytes_of(const byte *key, uint32_t bytes); /* of the first three texts of a key; 0: it is not one */
int load_block(kernel *k, int64_t offset, const byte *block, size_t bytes); /* -2: it is not a block */
int load_alone(kernel *k, const byte *entry, size_t bytes, uint32_t *number); /* one that is not held; -2 as above */
void empty_interaction(kernel *k, interaction *i); /* of ids, which are in no table any more, and conversations */
int index_newest(kernel *k, uint32_t number); /* an id that came back after the horizon belongs to the newer event */
/* What time has passed had ended, or was due again later, when a checkpoint was written; and nobody had spoken later than
 * event time had come. */
bool fits_time(const kernel *k, const interaction *i);
int finish_loading(kernel *k, int64_t floor); /* what was loaded as of it or before does not count; -2: cannot be */

/* ---- scan.c ---- */
typedef struct { const byte *at; uint32_t bytes, characters; } text;
typedef struct { text workspace, bot, channel, user, source, id; int64_t at_ms; byte what; } chat_event;
bool scan_event(const byte *value, size_t bytes, chat_event *found); /* false: for others to judge */
int64_t scan_time(const text *written); /* -1: for others to judge */
bool is_utf8(const byte *text, size_t bytes);
uint32_t characters_of(const byte *text, uint32_t bytes); /* of valid UTF-8 */
void identify(const text *workspace, const text *source, const text *id, event_id *found);
#endif
