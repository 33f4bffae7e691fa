/* The state of one partition and what is done with it. See memory.h for what this stands on. */
#ifndef METER_KERNEL_H
#define METER_KERNEL_H

#include "memory.h"

/* ---- what is held ---- */
typedef struct __attribute__((packed, aligned(2))) { /* an accepted event, 30 bytes */
    event_id id;
    instant at;
    uint32_t next : ITEM_BITS; /* the event of this interaction accepted after this one; of the newest: the oldest */
    uint32_t event_class : 5;         /* type * 8 + direction * 4 + actor */
    uint32_t owner : ITEM_BITS; /* its interaction; 0: given back */
    uint32_t shadowed : 1;     /* its id came again after the horizon: it is not in the table any more */
    uint32_t stored : 1;       /* the store on disk has its id */
} accepted_event;

typedef struct __attribute__((packed, aligned(2))) { /* 42 bytes */
    event_id id;
    instant opened, first, last;
    uint32_t messages;
    uint32_t requests : 31, closed : 1;
} conversation;

typedef struct { /* 64 bytes, one line of the cache */
    conversation latest; /* where `speaks`: the conversation that begins last */
    instant due;         /* the earliest event time at which something here may close or be forgotten */
    uint32_t scope, user;
    uint32_t newest_accepted : ITEM_BITS, used : 1, has_latest : 1, changed : 1, ended : 1, has_older_open : 1;
    uint32_t older; /* the conversation before the latest one; 0: none */
} interaction;  /* `seen`: the newest. `ended`: nothing is left of it but its key, until a checkpoint has heard of it.
                   `behind`: an older conversation is open, as may be between an event and what its time does */

typedef struct { /* an older conversation */
    conversation conversation;
    uint32_t next; /* the one that begins after this one; of the newest of them: the oldest */
} older_conversation;

typedef struct { /* a workspace's bot on a channel: what many interactions have in common */
    uint32_t link, uses;
    byte *key;         /* three texts, each after its length; then the same as JSON, up to the channel user */
    uint32_t key_bytes, json_bytes;
    uint32_t wallet; /* the workspace's id as Kafka hashes keys: says which partition its wallet is in */
} channel_scope;

enum { STRING_SIZES = 10 };
typedef struct { pool sizes[STRING_SIZES]; } strings; /* by size; each begins with its length in two bytes */

typedef struct { int64_t due_ms; uint32_t number; } timer;
enum { RING_BITS = 14, PAGE_ITEMS = 15 };
typedef struct { uint32_t next, items[PAGE_ITEMS]; } timer_page;
typedef struct { /* near: a heap of what is due in the ring's current slot or before; far: a ring of slots, unsorted */
    timer *near;
    uint32_t near_count, near_room, group_room;
    uint32_t *group; /* what is due at one instant */
    struct { uint32_t page, filled; } *ring;
    pool pages;
    int64_t slot; /* the current one, as time >> shift */
    uint32_t shift;
    uint64_t far_count;
} timers;

enum state { OPEN, CLOSED, ABSORBED };
typedef struct { /* a conversation as it stood when it was last announced in this batch, or an occurrence */
    event_id id, into;
    int64_t opened_ms, first_ms, last_ms, offset, produced_ms;
    uint32_t messages, requests, scope, user_at;
    uint16_t user_bytes;
    byte state, event_class;
    bool replaced;
} update;
typedef struct {
    update *items;
    uint32_t count, room;
} update_list;
typedef struct {
    update_list conversations, occurrences;
    uint32_t *slots, mask; /* conversation id -> its newest place in `conversations`, counted from 1 */
    byte *users;           /* the channel users, since their interactions may end before the batch does */
    size_t users_bytes, users_room;
} updates;

typedef struct { /* a chat event that can be metered */
    event_id id;
    uint64_t id_hash, key_hash;
    const byte *key; /* of its interaction: three texts, each after its length, and the channel user */
    uint32_t key_bytes, scope_bytes;
    byte event_class;
    int64_t at_ms, offset, produced_ms;
} event;

enum outcome { ADDED_TO_CONVERSATION, ADDED_OCCURRENCE, DUPLICATE, CONFLICT, OUTCOMES, LATE = OUTCOMES };

struct kernel {
    int64_t gap_ms, horizon_ms, future_ms, partition;
    int64_t watermark_ms, closed_messages, live;
    uint64_t id_secret[2], key_secret[2];
    size_t held_bytes;
    pool interactions, older_conversations, accepted, scopes;
    strings strings;
    table by_key, by_id, by_scope;
    timers timers;
    updates updates;
    uint64_t outcomes[OUTCOMES];
    struct { uint32_t *items, count, room; } changed; /* interactions that changed or ended since last asked */
    struct { event_id *items; uint32_t count, room; } dropped_ids; /* ids that the store on disk need not have any more */
    int64_t *loaded_at; /* the input offset of each interaction's entry while restoring, else NULL */
    uint32_t loaded_room;
    bool restoring;
};

/* ---- index.c: interactions and what hangs on them ---- */
enum status kernel_begin(kernel *k); /* after the numbers are set */
void kernel_end(kernel *k);
uint32_t find_interaction(const kernel *k, const byte *key, uint32_t key_bytes, uint32_t scope_bytes, uint64_t hash);
uint32_t add_interaction(kernel *k, const byte *key, uint32_t key_bytes, uint32_t scope_bytes, uint64_t hash);
void remove_interaction(kernel *k, uint32_t number); /* one of which nothing is left */
enum status mark_changed(kernel *k, uint32_t number);
uint32_t find_accepted(const kernel *k, const event_id *id, uint64_t hash);
enum status index_accepted(kernel *k, uint32_t number);
void append_accepted(kernel *k, interaction *i, uint32_t number); /* as the newest */
void insert_older(kernel *k, interaction *i, uint32_t after, uint32_t number); /* after: 0 before all, older: after all */
void remove_older(kernel *k, interaction *i, uint32_t before, uint32_t number);
uint32_t key_of(const kernel *k, const interaction *i, byte *key); /* its bytes, which it writes to `key` */
enum status drop_stored_id(kernel *k, accepted_event *s); /* before it is shadowed or given back */
static inline interaction *interaction_at(const kernel *k, uint32_t number) {
    return pool_at(&k->interactions, number);
}
static inline accepted_event *accepted_at(const kernel *k, uint32_t number) {
    return pool_at(&k->accepted, number);
}
static inline older_conversation *older_at(const kernel *k, uint32_t number) {
    return pool_at(&k->older_conversations, number);
}

/* ---- strings.c: texts that are held, places, keys ---- */
void strings_begin(kernel *k);
uint32_t string_add(strings *t, const byte *text, uint32_t bytes); /* 0: no memory */
const byte *string_at(const strings *t, uint32_t text, uint32_t *bytes);
void string_remove(strings *t, uint32_t text);
uint32_t scope_acquire(kernel *k, const byte *key, uint32_t bytes); /* 0: no memory */
void scope_release(kernel *k, uint32_t number);
static inline channel_scope *scope_at(const kernel *k, uint32_t number) {
    return pool_at(&k->scopes, number);
}
bool is_key_of(const kernel *k, const interaction *i, const byte *key, uint32_t key_bytes, uint32_t scope_bytes);
int compare_keys(const kernel *k, const interaction *one, const interaction *other); /* as the four texts in order */
size_t json_text(byte *to, const byte *text, uint32_t bytes); /* at most six times as long */
uint32_t put_length(byte *to, uint32_t length);
uint32_t get_length(const byte *from, const byte *end, uint32_t *length); /* bytes read; 0: broken off or too large */

/* ---- sessions.c: one event; expiry.c: what its time does ---- */
enum status step(kernel *k, const event *e, enum outcome *outcome);
enum status close_conversation(kernel *k, uint32_t number, conversation *c, int64_t offset, int64_t produced_ms);
enum status advance(kernel *k, int64_t offset, int64_t produced_ms);
enum status close_all(kernel *k, int64_t offset, int64_t produced_ms);
enum status end_interaction(kernel *k, uint32_t number);
static inline uint32_t sessions_of(const kernel *k, int64_t first_ms, int64_t last_ms) {
    int64_t blocks = (last_ms - first_ms + k->gap_ms - 1) / k->gap_ms;
    return blocks > 1 ? (uint32_t)blocks : 1;
}

/* ---- timers.c ---- */
enum status timers_begin(kernel *k, int64_t furthest_ms); /* nothing will be due later than that beyond the watermark */
void timers_end(kernel *k);
enum status schedule(kernel *k, uint32_t number, int64_t due_ms);
enum status timers_advance(kernel *k); /* after the watermark has moved, before anything is scheduled by it */
enum status timers_extend(kernel *k, int64_t due_ms); /* so that something that is held already can be scheduled for then */
enum status timers_compact(kernel *k); /* after many have left: no more appointments than a few for each that is held */
enum status timers_next(kernel *k, uint32_t *count); /* what is due next, up to the watermark, at one instant: in due.group */

/* ---- updates.c, metered.c, batches.c ---- */
enum status add_conversation_update(kernel *k, uint32_t number, const conversation *c, const event_id *into, int64_t offset, int64_t produced_ms);
enum status add_occurrence_update(kernel *k, uint32_t number, const event *e);
bool has_update(const kernel *k, const event_id *id);
void clear_updates(kernel *k);
enum { MOST_METERED_BYTES = 1024 + 4 * 6 * MOST_TEXT_BYTES };
byte *encode_metered(byte *to, const kernel *k, const update *each, bool is_conversation); /* as JSON */
int kind_of(const update *occurrence); /* which of the kinds */
const update *next_update(const kernel *k, uint32_t at[2], bool *is_conversation); /* begins at {0, 0}; NULL: no more */
enum { KINDS = 7 }; /* open, closed, absorbed, proactive, alert, agent, developer */
void count_updates(const kernel *k, uint64_t counts[KINDS]);
/* A list of (partition, records as a batch of Kafka's holds them, how many); NULL with an exception. */
PyObject *pack_updates(kernel *k, uint32_t partitions, size_t most_bytes);

/* ---- entries.c, values.c, restore.c: the state as checkpoints hold it ---- */
typedef struct { byte *bytes; size_t count, room; } buffer;
enum { FETCH_ENTRIES = 16 };
enum status buffer_room(kernel *k, buffer *to, size_t more);
void fetch_entries(const kernel *k, const uint32_t *numbers, uint32_t count); /* into the cache: put_entry comes next */
enum status encode_entry(kernel *k, buffer *to, uint32_t number); /* what ended has no value */
typedef struct { const byte *whole, *key, *value; uint32_t key_bytes, value_bytes; bool ended; } entry;
enum status next_entry(const byte **at, const byte *end, entry *found); 
enum status decode_value(kernel *k, uint32_t number, const byte *value, size_t bytes); /* ids in no table yet */
uint32_t scope_bytes_of(const byte *key, uint32_t bytes); /* of the first three texts of a key; 0: it is not one */
enum status load_block(kernel *k, int64_t offset, const byte *block, size_t bytes); 
enum status load_one(kernel *k, const byte *entry, size_t bytes, uint32_t *number); /* one that is not held */
void empty_interaction(kernel *k, interaction *i); /* of ids, which are in no table any more, and conversations */
enum status index_newest(kernel *k, uint32_t number); /* an id that came back after the horizon belongs to the newer event */
/* What time has passed had ended, or was due again later, when a checkpoint was written; and nobody had spoken later than
 * event time had come. */
bool fits_time(const kernel *k, const interaction *i);
enum status finish_loading(kernel *k, int64_t floor); /* what was loaded as of it or before does not count */

/* ---- scan.c ---- */
typedef struct { const byte *at; uint32_t bytes, characters; } text;
typedef struct { text workspace, bot, channel, user, source, id; int64_t at_ms; byte event_class; } chat_event;
bool scan_event(const byte *value, size_t bytes, chat_event *found); /* false: for others to judge */
bool scan_time(const text *written, int64_t *at_ms); /* false: for others to judge */
bool is_utf8(const byte *text, size_t bytes);
uint32_t characters_of(const byte *text, uint32_t bytes); /* of valid UTF-8 */
void event_id_of(const text *workspace, const text *source, const text *id, event_id *found);
#endif
