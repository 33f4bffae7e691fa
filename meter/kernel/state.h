/* The state of one partition: which structures hold it, and what is always true of them.
 *
 * Lists are rings of numbers: an interaction names the newest item, and the newest item's `next` is the oldest. So
 * adding at the end and removing at the beginning take one step, and a ring needs one number an item. */
#ifndef METER_STATE_H
#define METER_STATE_H

#include "memory.h"

typedef struct __attribute__((packed, aligned(2))) { /* an event that was accepted, 30 bytes */
    event_id id;
    instant at;
    uint32_t next : ITEM_BITS;  /* the event of this interaction accepted after this one; of the newest: the oldest */
    uint32_t event_class : 5;   /* type * 8 + direction * 4 + actor */
    uint32_t owner : ITEM_BITS; /* the number of its interaction; 0: this item is free */
    uint32_t shadowed : 1;      /* not in `by_id`: its id came again after the horizon, or it is being restored */
    uint32_t stored : 1;        /* the store on disk has its id */
} accepted_event;

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
    uint32_t newest_accepted : ITEM_BITS; /* 0: none */
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

enum outcome { ADDED_TO_CONVERSATION, ADDED_OCCURRENCE, DUPLICATE, CONFLICT, OUTCOMES, LATE = OUTCOMES, MISPLACED };

struct kernel {
    int64_t gap_ms, future_ms, partition; /* do not change after kernel_begin */
    int64_t horizon_ms;      /* the late horizon: set_horizon changes it */
    int64_t floor_ms;        /* events before it stay late, although the horizon has become longer since */
    uint32_t partitions;     /* of the topic; does not change either */
    int64_t generation;      /* of chat-events; part of the origins of updates */
    int64_t watermark_ms;    /* the newest event time seen; never goes back */
    int64_t arrived_ms;      /* Kafka's time of the record that moved the watermark last; 0 if none has yet */
    int64_t closed_messages; /* messages of closed conversations, expired ones too */
    int64_t live;            /* interactions that are used and have not ended */
    uint64_t id_secret[2], key_secret[2];
    size_t held_bytes; /* bytes taken from the system for all of this */
    pool interactions, older_conversations, accepted, scopes;
    strings strings;
    table by_key, by_id, by_scope;
    timers timers;
    updates updates;
    uint64_t outcomes[OUTCOMES]; /* of the present batch */
    struct { uint32_t *items, count, room; } changed; /* interactions that changed or ended since the last checkpoint */
    struct { event_id *items; uint32_t count, room; } dropped_ids; /* ids that the store on disk can forget */
    int64_t *loaded_at; /* while restoring: the input offset of each interaction's newest entry; else NULL */
    uint32_t loaded_room;
    bool restoring; /* between the first load_block and the end of finish_loading */
};

#endif
