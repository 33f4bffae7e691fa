/* Sessionizing one partition of chat-events, in memory made for it. The rules are those of docs/DOMAIN.md, Metering;
 * meter/core/sessions/sessionize.py, interactions.py and announce.py say the same to be read, and what is done here is compared
 * with them. All times are event time in milliseconds since 1970, at least 0 and less than 2^48.
 *
 *   record ─ scan.c ─> event ─ sessions.c ─> interactions, seen ids ─ timers.c, expiry.c ─> what closes, what is forgotten
 *                                  └─ updates.c ─ metered.c, batches.c ─> what wallets are told;  entries.c, restore.c: the state
 *
 * Where memory is short a function returns -1 (or 0 for an index that it should have found), and the kernel is not used
 * again: a step is never half done for whoever restores the checkpoint. What cannot be aborts the process (MUST). */
#ifndef METER_MEMORY_H
#define METER_MEMORY_H

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

/* No name here may be mistaken for another library's of the process; the module's entry alone is seen from outside. */
#pragma GCC visibility push(hidden)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernel is written for little-endian machines; without it the meter runs on its Python core"
#endif

/* What a function that can fail returns. A caller passes a value below 0 on: it is the end of what it was asked to do. */
enum status {
    STATUS_OK = 0,         /* done; a reader has found one more */
    STATUS_END = 1,        /* a reader has no more; nothing was found, and nothing failed */
    STATUS_NO_MEMORY = -1, /* memory is short: a step may be half done, so the kernel is not used again */
    STATUS_MALFORMED = -2, /* the bytes to read are damaged, or do not fit the state */
    STATUS_RAISED = -3,    /* a Python exception is set */
};
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        enum status status_ = (call);                                                                                  \
        if (status_ < 0) {                                                                                             \
            return status_;                                                                                            \
        }                                                                                                              \
    } while (0)

#define MUST(holds) ((holds) ? (void)0 : broken(#holds, __FILE__, __LINE__))
_Noreturn void broken(const char *law, const char *file, int line);

enum { ID_BYTES = 16, MOST_CHARACTERS = 512, MOST_TEXT_BYTES = 4 * MOST_CHARACTERS, MOST_KEY_BYTES = 4 * (3 + MOST_TEXT_BYTES), ITEM_BITS = 27 };
#define NUMBERS ((1u << ITEM_BITS) - 1) /* a mask; of all numbers the highest stands for none */
#define MOST_ITEMS (NUMBERS - 1)
#define TIME_LIMIT_MS ((int64_t)1 << 48)

typedef unsigned char byte;
typedef struct { byte bytes[ID_BYTES]; } event_id;
typedef struct { uint16_t parts[3]; } instant; /* 48 bits without padding */

static inline int64_t ms(instant at) {
    return (int64_t)((uint64_t)at.parts[0] | (uint64_t)at.parts[1] << 16 | (uint64_t)at.parts[2] << 32);
}
static inline instant as_instant(int64_t at_ms) {
    MUST(at_ms >= 0 && at_ms < TIME_LIMIT_MS);
    return (instant){{(uint16_t)at_ms, (uint16_t)(at_ms >> 16), (uint16_t)(at_ms >> 32)}};
}

/* ---- hash.c: ids and hashes ---- */
void blake2b_16(const byte *message, size_t bytes, const byte *salt, event_id *digest); /* RFC 7693; salt: 8 bytes or NULL */
void conversation_id(const event_id *first, int64_t at_ms, event_id *id);
uint64_t keyed_hash(const uint64_t secret[2], const byte *text, size_t bytes); /* SipHash-1-3 */
uint32_t kafka_hash(const byte *key, size_t bytes); /* MurmurHash2 without its sign, as Kafka's clients place keys */
static inline uint64_t word_at(const void *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}
__extension__ typedef unsigned __int128 wide;
/* Ids are hashes already, but a stranger can choose them; the secret keeps them from being chosen to collide. */
static inline uint64_t id_hash(const uint64_t secret[2], const event_id *id) {
    wide product = (wide)(word_at(id->bytes) ^ secret[0]) * (word_at(id->bytes + 8) ^ secret[1] ^ 0x9E3779B97F4A7C15u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* ---- pool.c: items of one size in chunks, by number from 1 on; what is given back is used again ---- */
typedef struct {
    byte **chunks;
    uint32_t chunk_count, chunk_room, item_bytes, shift;
    uint32_t made;  /* numbers handed out so far: 1 to made */
    uint32_t freed; /* the first one given back, which names the next; 0: none */
    uint32_t used;
    size_t *held_bytes;
} pool;
void pool_begin(pool *items, uint32_t item_bytes, size_t *held_bytes);
void pool_end(pool *items);
uint32_t pool_allocate(pool *items); /* 0: no memory */
void pool_release(pool *items, uint32_t number);
static inline void *pool_at(const pool *items, uint32_t number) {
    return items->chunks[number >> items->shift] + (size_t)(number & ((1u << items->shift) - 1)) * items->item_bytes;
}
/* Room for as many items; `items` points to the pointer to them. -1: no memory, and nothing has changed. */
enum status grow(void *items, uint32_t *room, uint32_t wanted, size_t item_bytes, size_t *held_bytes);
void *zeroed(size_t bytes); /* NULL: no memory */
void drop_zeroed(void *memory, size_t bytes);
void *resized(void *memory, size_t from_bytes, size_t to_bytes, size_t *held_bytes); /* NULL: no memory, the old stays */

/* ---- table.c: open addressing over the items of a pool ---- */
typedef struct {
    uint32_t *slots; /* 5 bits of hash, 27 bits of number; 0: free; GONE: taken out */
    uint32_t size, filled;
} table;
#define REMOVED UINT32_MAX
typedef struct kernel kernel;
typedef bool (*hash_of_item)(const kernel *k, uint32_t number, uint64_t *hash); /* false: not in the table */
enum status table_make_room(kernel *k, table *t, const pool *items, hash_of_item hash_of); /* for one more */
void table_put(table *t, uint64_t hash, uint32_t number);
void table_remove(table *t, uint64_t hash, uint32_t number);
void table_replace(table *t, uint64_t hash, uint32_t number, uint32_t by);
static inline uint32_t table_home(const table *t, uint64_t hash) {
    return (uint32_t)(((hash >> 32) * t->size) >> 32);
}
static inline uint32_t table_slot(uint64_t hash, uint32_t number) {
    return (uint32_t)(hash & 31) << ITEM_BITS | number;
}
/* The next number from slot `*at` on whose 5 bits agree; 0 when there is none. Leaves `*at` behind it. */
static inline uint32_t table_next(const table *t, uint64_t hash, uint32_t *at) {
    for (uint32_t slot; (slot = t->slots[*at]) != 0;) {
        *at = *at + 1 == t->size ? 0 : *at + 1;
        if (slot >> ITEM_BITS == (hash & 31) && slot != REMOVED) {
            return slot & NUMBERS;
        }
    }
    return 0;
}

#endif
