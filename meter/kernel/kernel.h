/* The operations on the state of one partition of chat-events. The rules are those of docs/DOMAIN.md, Metering; the
 * same rules in Python, to be read, are meter/core/sessions/sessionize.py, accepted_ids.py, conversations.py and
 * updates.py.
 *
 *   record -> scan.c -> event -> sessions.c, conversations.c -> interactions -> timers.c, expiry.c -> closed, expired
 *                                         `-> updates.c -> metered.c, batches.c -> batches for the wallets
 *   state  <-> entries.c, values.c, restore.c (checkpoints)   <-> spill.c, unspill.c (a store on disk)
 *
 * Each function's contract stands above its definition in the file named. All of it runs under the interpreter's
 * lock. */
#ifndef METER_KERNEL_H
#define METER_KERNEL_H

#include "state.h"

/* ---- state.c: the whole state ---- */
enum status kernel_begin(kernel *k);
void kernel_end(kernel *k);
void check_interaction(const kernel *k, uint32_t number); /* only with KERNEL_CHECK; otherwise does nothing */
void check_counts(const kernel *k);                       /* the same */
void check_ids(const kernel *k);                          /* the same */

/* ---- index.c: interactions by key, and their older conversations ---- */
uint32_t find_interaction(const kernel *k, const byte *key, uint32_t key_bytes, uint32_t scope_bytes, uint64_t hash);
uint32_t add_interaction(kernel *k, const byte *key, uint32_t key_bytes, uint32_t scope_bytes, uint64_t hash);
void remove_interaction(kernel *k, uint32_t number);
enum status mark_changed(kernel *k, uint32_t number);
void insert_older(kernel *k, interaction *i, uint32_t after, uint32_t number);
void remove_older(kernel *k, interaction *i, uint32_t before, uint32_t number);
uint32_t key_of(const kernel *k, const interaction *i, byte *key);
static inline interaction *interaction_at(const kernel *k, uint32_t number) {
    return pool_at(&k->interactions, number);
}
static inline older_conversation *older_at(const kernel *k, uint32_t number) {
    return pool_at(&k->older_conversations, number);
}

/* ---- buckets.c: how an id is kept in a bucket ---- */
static inline id_bucket *bucket_at(const kernel *k, uint32_t number) {
    return pool_at(&k->id_buckets, number);
}
static inline upper_times *upper_times_at(const kernel *k, uint32_t number) {
    return pool_at(&k->upper_times, number);
}
/* The time of the event whose id is at `at` of a bucket, in milliseconds since 1970. */
static inline int64_t id_ms(const kernel *k, const id_bucket *b, uint32_t at) {
    uint16_t last_bits = b->ids[at].last_bits;
    KERNEL_ASSERT_SLOW(at < BUCKET_IDS);
    if (b->upper != 0) {
        return (int64_t)upper_times_at(k, b->upper)->bits[at] << 16 | last_bits;
    }
    return b->from_ms + (uint16_t)(last_bits - (uint16_t)b->from_ms);
}
void buckets_begin(kernel *k);
void buckets_end(kernel *k);
enum status allocate_bucket(kernel *k, uint32_t *number);
void free_bucket(kernel *k, uint32_t number);
enum status store_id(kernel *k, id_bucket *b, const accepted_id *a);

/* ---- ids.c: ids of accepted events: looked up, added ---- */
static inline int64_t ms_of_id(const kernel *k, uint32_t number) {
    KERNEL_ASSERT_SLOW((number & (BUCKET_IDS - 1)) < bucket_at(k, number >> BUCKET_BITS)->count);
    return id_ms(k, bucket_at(k, number >> BUCKET_BITS), number & (BUCKET_IDS - 1));
}
static inline uint32_t buckets_held(const kernel *k) {
    KERNEL_ASSERT_SLOW(k->buckets.first <= k->buckets.end);
    return k->buckets.end - k->buckets.first;
}
enum status ids_begin(kernel *k);
void ids_end(kernel *k);
uint32_t find_id(const kernel *k, const byte id[SHORT_ID_BYTES], uint64_t hash);
enum status add_id(kernel *k, const accepted_id *a, uint64_t hash, uint32_t known);
enum status add_guest(kernel *k, const accepted_id *a);
enum status index_bucket(kernel *k, uint32_t number);
enum status push_bucket(kernel *k, bucket_place place);
void release_bucket(kernel *k, uint32_t number);
/* What is kept of an event. Two classes of one interaction never have the same tag. */
static inline accepted_id accepted_id_of(const event *e, uint32_t key_tag) {
    uint32_t tag = key_tag ^ (uint32_t)e->event_class << CLASS_SHIFT;
    accepted_id a = {.tag = {(byte)tag, (byte)(tag >> 8), (byte)(tag >> 16)}, .at = as_instant(e->at_ms)};
    KERNEL_ASSERT_SLOW(tag >> KEY_TAG_BITS == 0);
    memcpy(a.id, e->id.bytes, SHORT_ID_BYTES);
    return a;
}

/* ---- forget_ids.c: buckets of ids leave memory ---- */
enum status forget_ids(kernel *k);
void leave_bucket(kernel *k, bucket_place *place);
void drop_guests(kernel *k);

/* ---- strings.c: texts that are held, and their encodings ---- */
void strings_begin(kernel *k);
uint32_t string_add(strings *s, const byte *text, uint32_t bytes); /* 0: no memory */
void string_remove(strings *s, uint32_t string);
static inline const void *string_item(const strings *s, uint32_t string) {
    KERNEL_ASSERT_SLOW(string >> ITEM_BITS < STRING_SIZES);
    return pool_at(&s->sizes[string >> ITEM_BITS], string & ITEM_MASK);
}
/* The bytes of a string, and how many. They belong to the string. */
static inline const byte *string_at(const strings *s, uint32_t string, uint32_t *bytes) {
    const byte *item = string_item(s, string);
    uint16_t length;
    memcpy(&length, item, sizeof length);
    KERNEL_ASSERT_SLOW(length <= MAX_TEXT_BYTES);
    *bytes = length;
    return item + sizeof length;
}
uint32_t put_length(byte *to, uint32_t length);
uint32_t get_length(const byte *from, const byte *end, uint32_t *length);
size_t json_text(byte *to, const byte *text, uint32_t bytes);
int compare_strings(const byte *one, uint32_t one_bytes, const byte *other, uint32_t other_bytes);

/* ---- scopes.c: channel scopes, and keys, which begin with one ---- */
uint32_t scope_acquire(kernel *k, const byte *key, uint32_t bytes); /* 0: no memory */
void scope_release(kernel *k, uint32_t number);
bool is_home(const kernel *k, const byte *key, uint32_t bytes);
static inline channel_scope *scope_at(const kernel *k, uint32_t number) {
    return pool_at(&k->scopes, number);
}
uint32_t scope_bytes_of(const byte *key, uint32_t bytes); /* 0: not a key */
bool is_key_of(const kernel *k, const interaction *i, const byte *key, uint32_t key_bytes, uint32_t scope_bytes);
int compare_keys(const kernel *k, const interaction *one, const interaction *other);

/* ---- sessions.c: one event; conversations.c: a message among the conversations of its interaction ---- */
enum status step(kernel *k, const event *e, enum outcome *outcome);
enum status join(kernel *k, uint32_t number, const event *e);
enum { MESSAGE, PROACTIVE, ALERT };                 /* event_class / 8 */
enum { BY_USER, BY_BOT, BY_AGENT, BY_DEVELOPER };   /* event_class % 4 */
enum { EVENT_CLASSES = 24 };
static inline uint32_t session_count(const kernel *k, int64_t first_ms, int64_t last_ms) {
    KERNEL_ASSERT_SLOW(k->gap_ms > 0);
    KERNEL_ASSERT_SLOW(first_ms <= last_ms);
    int64_t blocks = (last_ms - first_ms + k->gap_ms - 1) / k->gap_ms;
    return blocks > 1 ? (uint32_t)blocks : 1;
}

/* The earliest time of an event that is not late. It never goes back. */
static inline int64_t oldest_ms(const kernel *k) {
    int64_t reach_ms = k->watermark_ms - k->horizon_ms;
    return k->floor_ms > reach_ms ? k->floor_ms : reach_ms;
}

/* ---- expiry.c: what the passing of event time does ---- */
enum status advance(kernel *k, int64_t offset, int64_t produced_ms);
void move_watermark(kernel *k, int64_t at_ms, int64_t arrived_ms);
enum status close_all(kernel *k, int64_t offset, int64_t produced_ms);

/* ---- timers.c: when an interaction is due ---- */
enum status timers_begin(kernel *k, int64_t furthest_ms);
void timers_end(kernel *k);
enum status schedule(kernel *k, uint32_t number, int64_t due_ms);
enum status schedule_no_later(kernel *k, uint32_t number, int64_t due_ms);
enum status timers_advance(kernel *k);
enum status timers_rebuild(kernel *k);
enum status timers_extend(kernel *k, int64_t due_ms);
enum status timers_compact(kernel *k);
enum status timers_next(kernel *k, uint32_t *count);

/* ---- updates.c: what a batch tells the wallets; metered.c: as JSON; batches.c: as Kafka's batches ---- */
enum { KINDS = 7, FIRST_OCCURRENCE_KIND = 3 }; /* open, closed, absorbed, proactive, alert, agent, developer */
enum { MAX_METERED_BYTES = 1024 + 4 * 6 * MAX_TEXT_BYTES };
enum status add_conversation_update(kernel *k, uint32_t number, const conversation *c, const event_id *into,
                                    int64_t offset, int64_t produced_ms);
enum status add_occurrence_update(kernel *k, const event *e);
bool has_update(const kernel *k, const event_id *id);
void clear_updates(kernel *k);
const update *next_update(const kernel *k, uint32_t at[2], bool *is_conversation); /* NULL: no more */
void count_updates(const kernel *k, uint64_t counts[KINDS]);
byte *encode_metered(byte *to, const kernel *k, const update *each, bool is_conversation);
int kind_of(const update *occurrence);
PyObject *pack_updates(kernel *k, uint32_t partitions, size_t max_bytes); /* NULL: an exception is set */

/* ---- entries.c: state entries written; values.c: read; restore.c, restore_ids.c: put back ---- */
typedef struct { byte *bytes; size_t count, room; } buffer; /* all zero: empty. Its user frees `bytes` */
enum { FETCH_ENTRIES = 16, BUCKET_KEY_BYTES = 9 };
enum status buffer_room(kernel *k, buffer *to, size_t more);
void fetch_entries(const kernel *k, const uint32_t *numbers, uint32_t count);
enum status encode_entry(kernel *k, buffer *to, uint32_t number);
enum status encode_bucket(kernel *k, buffer *to, int64_t number, uint32_t bucket);
void encode_big_endian(byte to[8], int64_t number);
static inline bool is_bucket_key(const byte *key, uint32_t bytes) { /* no key of an interaction begins with 0 */
    KERNEL_ASSERT_SLOW(key != NULL);
    return bytes > 0 && key[0] == 0;
}
typedef struct { const byte *whole, *key, *value; uint32_t key_bytes, value_bytes; bool ended; } entry; /* in a block */
enum status next_entry(const byte **at, const byte *end, entry *found);
enum status decode_value(kernel *k, uint32_t number, const byte *value, size_t bytes);
enum status decode_bucket(kernel *k, const entry *e, bucket_place *place);
int64_t bucket_number_of(const entry *e); /* -1: not the key of a bucket */
enum status load_bucket(kernel *k, int64_t offset, const entry *e);
enum status finish_loading_ids(kernel *k, int64_t floor);
enum status load_block(kernel *k, int64_t offset, const byte *block, size_t bytes);
enum status load_one(kernel *k, const byte *entry, size_t bytes, uint32_t *number);
enum status finish_loading(kernel *k, int64_t floor);
void empty_interaction(kernel *k, interaction *i);
bool fits_time(const kernel *k, const interaction *i);

/* ---- quotes.c, scan.c, read.c: recognising a plain event ---- */
typedef struct { const byte *at; uint32_t bytes, characters; } text; /* a part of a record's value */
typedef struct { text workspace, bot, channel, user, source, id; int64_t at_ms; byte event_class; } chat_event;
enum { MAX_QUOTES = 128 };
typedef struct {
    uint32_t at[MAX_QUOTES + 64]; /* where quotes stand, in order */
    uint32_t count;
    bool has_non_ascii;
} quote_list;
bool find_quotes(const byte *value, size_t bytes, quote_list *found); /* false: not plain */
bool scan_event(const byte *value, size_t bytes, chat_event *found);  /* false: not plain */
bool scan_time(const text *written, int64_t *at_ms);                  /* false: not plain */
bool is_utf8(const byte *text, size_t bytes);
uint32_t characters_of(const byte *text, uint32_t bytes);
void event_id_of(const text *workspace, const text *source, const text *id, event_id *found);
#endif
