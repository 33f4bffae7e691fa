/* What everything in the kernel stands on: ids and times, hashes, pools of items, and hash tables over pools.
 *
 * Owns no state. Invariants: a time is in milliseconds since 1970, at least 0 and less than 2^48; an item is named
 * by its number in its pool, from 1 to MAX_ITEMS, and 0 means "none". Each function's contract stands above its
 * definition. */
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

/* Hidden, so that no name here is mistaken for another library's in the process. Only the module's entry is visible. */
#pragma GCC visibility push(hidden)

#include "check.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernel is written for little-endian machines; without it the meter runs on its Python core"
#endif

enum {
    ID_BYTES = 16,
    SHORT_ID_BYTES = 11, /* of an event's id, what is kept of it */
    MAX_CHARACTERS = 512, /* of a name in an event */
    MAX_TEXT_BYTES = 4 * MAX_CHARACTERS,
    MAX_KEY_BYTES = 4 * (3 + MAX_TEXT_BYTES), /* four texts, each after a length of at most three bytes */
    ITEM_BITS = 27,
};
#define ITEM_MASK ((1u << ITEM_BITS) - 1) /* the highest number is never given out: with five bits set it is REMOVED */
#define MAX_ITEMS (ITEM_MASK - 1)
#define TIME_LIMIT_MS ((int64_t)1 << 48)

typedef unsigned char byte;
typedef struct { byte bytes[ID_BYTES]; } event_id;
typedef struct { uint16_t parts[3]; } instant; /* a time in 48 bits, without padding */

static inline int64_t ms(instant at) {
    return (int64_t)((uint64_t)at.parts[0] | (uint64_t)at.parts[1] << 16 | (uint64_t)at.parts[2] << 32);
}
static inline instant as_instant(int64_t at_ms) {
    KERNEL_ASSERT(at_ms >= 0);
    KERNEL_ASSERT(at_ms < TIME_LIMIT_MS);
    return (instant){{(uint16_t)at_ms, (uint16_t)(at_ms >> 16), (uint16_t)(at_ms >> 32)}};
}

/* ---- hash.c: ids and hashes ---- */
void blake2b_16(const byte *message, size_t bytes, const byte *salt, event_id *digest); /* salt: 8 bytes, or NULL */
void conversation_id(const event_id *first, int64_t at_ms, event_id *id);
uint64_t keyed_hash(const uint64_t secret[2], const byte *text, size_t bytes);
uint32_t kafka_hash(const byte *key, size_t bytes);
uint32_t key_tag_of(const byte *key, uint32_t key_bytes);
static inline uint64_t word_at(const void *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}
__extension__ typedef unsigned __int128 wide;
/* Ids are hashes already, but an unknown producer can choose what is hashed. The secret stops ids chosen to collide in
 * a table. */
static inline uint64_t id_hash(const uint64_t secret[2], const byte id[SHORT_ID_BYTES]) {
    uint64_t last = word_at(id + SHORT_ID_BYTES - sizeof last);
    wide product = (wide)(word_at(id) ^ secret[0]) * (last ^ secret[1] ^ 0x9E3779B97F4A7C15u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* ---- pool.c: items of one size, in chunks that never move ---- */
typedef struct {
    byte **chunks;
    uint32_t chunk_count, chunk_room, item_bytes, shift; /* a chunk has 2^shift items */
    uint32_t made;      /* the highest number given out so far */
    uint32_t freed;     /* the number released last; that item's first four bytes name the one before. 0: none */
    uint32_t used;      /* items that are allocated now */
    size_t *held_bytes; /* the owner's count of bytes taken from the system */
} pool;
void pool_begin(pool *items, uint32_t item_bytes, size_t *held_bytes);
void pool_end(pool *items);
uint32_t pool_allocate(pool *items); /* 0: no memory */
void pool_release(pool *items, uint32_t number);
static inline void *pool_at(const pool *items, uint32_t number) {
    KERNEL_ASSERT_SLOW(number != 0);
    KERNEL_ASSERT_SLOW(number <= items->made);
    return items->chunks[number >> items->shift] + (size_t)(number & ((1u << items->shift) - 1)) * items->item_bytes;
}
enum status grow(void *items, uint32_t *room, uint32_t wanted, size_t item_bytes, size_t *held_bytes);
void *zeroed(size_t bytes); /* NULL: no memory */
void drop_zeroed(void *memory, size_t bytes);
void *resized(void *memory, size_t from_bytes, size_t to_bytes, size_t *held_bytes); /* NULL: no memory */

/* ---- table.c: open addressing over numbered items ---- */
typedef struct {
    uint32_t *slots; /* 5 bits of the hash, then 27 bits of the number; 0: free; REMOVED: a search goes on behind it */
    uint32_t size, filled; /* `filled` counts REMOVED slots too */
    uint32_t shift;        /* a slot has an item's number without that many of its last bits */
} table;
#define REMOVED UINT32_MAX
typedef struct kernel kernel;
typedef bool (*hash_of_item)(const kernel *k, uint32_t number, uint64_t *hash); /* false: not in the table */
typedef struct { uint32_t used, made; hash_of_item hash_of; } items_of_table; /* numbers are from 1 to `made` */
enum status table_make_room(kernel *k, table *t, items_of_table items, size_t *held_bytes);
void table_put(table *t, uint64_t hash, uint32_t number);
void table_remove(table *t, uint64_t hash, uint32_t number);
void table_replace(table *t, uint64_t hash, uint32_t number, uint32_t by);
/* The slot at which a search for `hash` begins. */
static inline uint32_t table_home(const table *t, uint64_t hash) {
    KERNEL_ASSERT_SLOW(t->slots != NULL);
    KERNEL_ASSERT_SLOW(t->size > t->filled);
    return (uint32_t)(((hash >> 32) * t->size) >> 32);
}
static inline uint32_t table_slot(const table *t, uint64_t hash, uint32_t number) {
    KERNEL_ASSERT_SLOW(number >> t->shift <= MAX_ITEMS);
    return (uint32_t)(hash & 31) << ITEM_BITS | number >> t->shift;
}
/* The next number from slot `*at` on whose five bits of hash agree, so that it may be the one searched for; 0: there is
 * none. It is without its last `shift` bits. Moves `*at` past the slot found. */
static inline uint32_t table_next(const table *t, uint64_t hash, uint32_t *at) {
    KERNEL_ASSERT_SLOW(*at < t->size);
    for (uint32_t slot; (slot = t->slots[*at]) != 0;) {
        *at = *at + 1 == t->size ? 0 : *at + 1;
        if (slot >> ITEM_BITS == (hash & 31) && slot != REMOVED) {
            return slot & ITEM_MASK;
        }
    }
    return 0;
}

#endif
