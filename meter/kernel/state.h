/* The state of one partition: which structures hold it, and what is always true of them.
 *
 * Lists are rings of numbers: an interaction names the newest item, and the newest item's `next` is the oldest. So
 * adding at the end and removing at the beginning take one step, and a ring needs one number an item. */
#ifndef METER_STATE_H
#define METER_STATE_H

#include "memory.h"

enum { TAG_BYTES = 3, KEY_TAG_BITS = 24, CLASS_SHIFT = 19 };
enum { BUCKET_BITS = 8, BUCKET_IDS = 1 << BUCKET_BITS, GROUP_BITS = 3, GROUP_IDS = 1 << GROUP_BITS };
#define MAX_BUCKETS ((ITEM_MASK >> (BUCKET_BITS - GROUP_BITS)) - 1) /* so that a group has a number below MAX_ITEMS */
typedef struct { /* the id of an event that was accepted, on its way into a bucket */
    byte id[SHORT_ID_BYTES];
    byte tag[TAG_BYTES]; /* of its interaction and class: see tag_of */
    instant at;
} accepted_id;

typedef struct { /* the same in a bucket, 16 bytes */
    byte id[SHORT_ID_BYTES];
    byte tag[TAG_BYTES];
    uint16_t last_bits; /* of its time: see id_ms */
} stored_id;

typedef struct { uint32_t bits[BUCKET_IDS]; } upper_times; /* of each id of a bucket: its time >> 16 */

typedef struct {    /* ids by acceptance. The number of an id is its bucket's, then its place there in BUCKET_BITS */
    uint32_t link;    /* the pool's, while this item is free */
    uint16_t count;   /* 0: this item is free */
    uint16_t indexed; /* the first so many are in `by_id`: all of them, except while it is being restored */
    uint64_t shadowed[BUCKET_IDS / 64]; /* bits of ids not in `by_id`: they came again after the horizon */
    int64_t from_ms; /* all times are less than 2^16 ms behind it, unless `upper` is set */
    uint32_t upper;  /* the upper bits of the times, by number in the pool `upper_times`; 0: none */
    byte unused[12]; /* the ids begin with a cache line */
    stored_id ids[BUCKET_IDS];
} id_bucket;

typedef struct { /* what is known of a bucket wherever it is */
    int64_t number;    /* since the partition's first event; the buckets of a state have ascending ones */
    int64_t newest_ms; /* the newest of its events' times */
    uint32_t bucket;   /* in the pool; 0: the store on disk has it */
} bucket_place;

typedef struct __attribute__((packed, aligned(2))) { /* 42 bytes. first <= opened <= last; requests <= messages */
    event_id id;
    instant opened, first, last;
    uint32_t messages;
    uint32_t requests : 31, closed : 1;
} conversation;

typedef struct { /* 64 bytes, one cache line */
    conversation latest; /* if `has_latest`: the conversation that begins last */
    instant due;         /* the earliest event time at which something here may close or expire; 0: not scheduled */
    uint32_t scope, user; /* its key: the number of a channel scope, and of a string */
    uint32_t key_tag : KEY_TAG_BITS; /* the beginning of its key's digest */
    uint32_t used : 1;           /* 0: this item is free */
    uint32_t has_latest : 1;     /* if not set, it has no conversation at all */
    uint32_t changed : 1;        /* its number is in the list `changed`: the next checkpoint writes it */
    uint32_t ended : 1;          /* only its key is left, until a checkpoint has written that it ended */
    uint32_t has_older_open : 1; /* an older conversation may be open; true only between an event and its `advance` */
    uint32_t older;              /* the newest conversation before the latest; 0: none */
} interaction;

typedef struct { /* a conversation before the latest one of its interaction */
    conversation conversation;
    uint32_t next; /* the one that begins after this one; of the newest of them: the oldest */
} older_conversation;

typedef struct { /* (workspace, bot, channel), which many interactions share */
    uint32_t link;     /* the pool's, while this item is free */
    uint32_t uses;     /* interactions and updates that name it; 0: this item is free */
    byte *key;         /* the three texts, each after its length; then the same as JSON, up to the channel user */
    uint32_t key_bytes, json_bytes;
    uint32_t wallet_hash; /* of the workspace's id, as Kafka hashes keys: decides the partition of its wallet */
} channel_scope;

enum { STRING_SIZES = 10 };
typedef struct { pool sizes[STRING_SIZES]; } strings; /* an item is a length in two bytes, then the bytes */

typedef struct { int64_t due_ms; uint32_t number; } timer; /* valid only while its interaction's `due` is `due_ms` */
enum { RING_BITS = 14, PAGE_ITEMS = 15 };
typedef struct { uint32_t next, items[PAGE_ITEMS]; } timer_page;
typedef struct { /* see timers.c */
    timer *near; /* a heap: what is due in the current slot or before */
    uint32_t near_count, near_room, group_room;
    uint32_t *group; /* the interactions that are due at one instant */
    struct { uint32_t page, filled; } *ring; /* what is due later, by slot, unsorted; `filled` is of the first page */
    pool pages;
    int64_t slot;   /* the current one: event time >> shift */
    uint32_t shift; /* a slot is 2^shift ms */
    uint64_t far_count; /* timers in the ring, valid or not */
} timers;

enum state { OPEN, CLOSED, ABSORBED };
typedef struct { /* an occurrence, or a conversation as it stood when this batch last changed what is told of it */
    event_id id, into;
    int64_t opened_ms, first_ms, last_ms, offset, produced_ms;
    uint32_t messages, requests, scope, user_at;
    uint16_t user_bytes;
    byte state, event_class;
    bool replaced; /* a later update of this batch is of the same conversation: this one is not sent */
} update;
typedef struct {
    update *items;
    uint32_t count, room;
} update_list;
typedef struct { /* see updates.c */
    update_list conversations, occurrences;
    uint32_t *slots, mask; /* conversation id -> its newest update in `conversations`, counted from 1; 0: free */
    byte *users;           /* copies of channel users: an interaction may end before the batch does */
    size_t users_bytes, users_room;
} updates;

typedef struct { /* a chat event that can be metered, with the hashes to look it up. Points into others' memory */
    event_id id;
    uint64_t id_hash, key_hash;
    const byte *key; /* of its interaction: three texts, each after its length, and the channel user */
    uint32_t key_bytes, scope_bytes; /* scope_bytes: of the three texts */
    byte event_class;
    int64_t at_ms, offset, produced_ms;
} event;

typedef struct { /* the newest entry of a bucket so far */
    int64_t number, offset;
    uint32_t bucket; /* in the pool; 0: it has ended */
} loaded_bucket;

enum outcome { ADDED_TO_CONVERSATION, ADDED_OCCURRENCE, DUPLICATE, CONFLICT, OUTCOMES, LATE = OUTCOMES, MISPLACED };

struct kernel {
    int64_t gap_ms, future_ms, partition; /* do not change after kernel_begin */
    int64_t horizon_ms;      /* the late horizon: set_horizon changes it */
    int64_t floor_ms;        /* events before it stay late, although the horizon has become longer since */
    uint32_t partitions;     /* of the topic; does not change either */
    uint32_t bucket_ids;     /* how many ids close a bucket: BUCKET_IDS, fewer in tests; does not change either */
    int64_t generation;      /* of chat-events; part of the origins of updates */
    int64_t watermark_ms;    /* the newest event time seen; never goes back */
    int64_t arrived_ms;      /* Kafka's time of the record that moved the watermark last; 0 if none has yet */
    int64_t closed_messages; /* messages of closed conversations, expired ones too */
    int64_t live;            /* interactions that are used and have not ended */
    uint64_t id_secret[2], key_secret[2];
    size_t held_bytes; /* bytes taken from the system for all of this */
    pool interactions, older_conversations, id_buckets, upper_times, scopes;
    strings strings;
    table by_key, by_id, by_scope, by_bucket; /* by_bucket: only while restoring */
    timers timers;
    updates updates;
    uint64_t outcomes[OUTCOMES]; /* of the present batch */
    struct { uint32_t *items, count, room; } changed; /* interactions that changed or ended since the last checkpoint */
    struct { bucket_place *items; uint32_t first, end, room; /* `spilled`: so many of the first the store has */
             uint32_t spilled, changed; } buckets;           /* `changed`: so many of the last have to be written */
    struct { int64_t *items; uint32_t count, room; } dropped;        /* buckets to be written as ended */
    struct { int64_t *items; uint32_t count, room; } stored_dropped; /* buckets that the store on disk can forget */
    struct { uint32_t *items; uint32_t count, room; } guests; /* buckets of ids that the store has, for one batch */
    uint32_t ids_held;  /* in all buckets in memory, guests and shadowed ones too */
    int64_t *loaded_at; /* while restoring: the input offset of each interaction's newest entry; else NULL */
    uint32_t loaded_room;
    struct { loaded_bucket *items; uint32_t count, room; } loaded_buckets; /* while restoring */
    bool restoring; /* between the first load_block and the end of finish_loading */
};

#endif
