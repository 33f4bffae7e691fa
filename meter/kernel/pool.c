/* Memory: pools of items of one size, growing arrays, and large zeroed areas.
 *
 * Owns the chunks of its pools. A chunk never moves, so growing copies nothing and pointers to items stay good until
 * the item is released. Invariants of a pool: `used` <= `made` <= MAX_ITEMS; every number up to `made` lies in a
 * chunk; a released item is all zero but for its first four bytes, which name the item released before it. */
#include "memory.h"

enum { CHUNK_BYTES = 128 * 1024, LINE_BYTES = 64 };
enum { SLAB_CHUNKS = 64, LARGE_PAGE_BYTES = 2 * 1024 * 1024 };

/* An area of its own from the system, in large pages if the system has any: reading at random in a gigabyte then misses
 * the cache once an access and not twice, for the page tables too. `free` would keep what growing tables leave behind;
 * this goes back to the system whole. */
#if defined(__linux__) && defined(MADV_HUGEPAGE)
static void *map_large(size_t bytes) {
    KERNEL_ASSERT(bytes >= LARGE_PAGE_BYTES);
    size_t spare = LARGE_PAGE_BYTES;
    byte *found = mmap(NULL, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (found == MAP_FAILED) {
        return NULL;
    }
    size_t before = (spare - (uintptr_t)found % spare) % spare;
    if (before > 0) {
        munmap(found, before);
    }
    munmap(found + before + bytes, spare - before);
    (void)madvise(found + before, bytes, MADV_HUGEPAGE); /* If it fails, small pages do, only slower. */
    KERNEL_ASSERT((uintptr_t)(found + before) % LARGE_PAGE_BYTES == 0);
    return found + before;
}
static void unmap_large(void *memory, size_t bytes) {
    KERNEL_ASSERT(memory != NULL);
    KERNEL_ASSERT((uintptr_t)memory % LARGE_PAGE_BYTES == 0);
    int unmapped = munmap(memory, bytes);
    KERNEL_ASSERT(unmapped == 0); /* It fails only for an address or a size that was never mapped. */
}
#else
static void *map_large(size_t bytes) {
    KERNEL_ASSERT(bytes >= LARGE_PAGE_BYTES);
    return calloc(1, bytes);
}
static void unmap_large(void *memory, size_t bytes) {
    KERNEL_ASSERT(memory != NULL);
    KERNEL_ASSERT(bytes >= LARGE_PAGE_BYTES);
    free(memory);
}
#endif

static size_t in_pages(size_t bytes) {
    enum { PAGE_BYTES = 64 * 1024 }; /* a multiple of every system's page */
    KERNEL_ASSERT(bytes <= SIZE_MAX - PAGE_BYTES);
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* Returns so many bytes, all zero, or NULL if there is no memory. The caller gives them back to drop_zeroed with the
 * same size, and counts them in held_bytes itself. */
void *zeroed(size_t bytes) {
    KERNEL_ASSERT(bytes > 0);
    void *memory = bytes < LARGE_PAGE_BYTES ? calloc(1, bytes) : map_large(in_pages(bytes));
    KERNEL_ASSERT_SLOW(memory == NULL || (((byte *)memory)[0] == 0 && ((byte *)memory)[bytes - 1] == 0));
    return memory;
}

/* Gives back what `zeroed` returned for so many bytes. NULL with 0 bytes does nothing. */
void drop_zeroed(void *memory, size_t bytes) {
    KERNEL_ASSERT((memory == NULL) == (bytes == 0));
    if (bytes < LARGE_PAGE_BYTES) {
        free(memory);
    } else {
        unmap_large(memory, in_pages(bytes));
    }
}

/* Called by KERNEL_ASSERT only. Does not return. */
void assertion_failed(const char *expression, const char *file, int line) {
    char message[300];
    static const char FORM[] = "the kernel's own state is wrong: %s does not hold (%s:%d)";
    snprintf(message, sizeof message, FORM, expression, file, line);
    Py_FatalError(message);
}

/* Resizes an area of the heap as `realloc` does, and counts the difference in `held_bytes`. Returns NULL if there is no
 * memory: the old area then stays, and stays the caller's. */
void *resized(void *memory, size_t from_bytes, size_t to_bytes, size_t *held_bytes) {
    KERNEL_ASSERT(to_bytes > 0);
    KERNEL_ASSERT((memory != NULL || from_bytes == 0));
    KERNEL_ASSERT(*held_bytes >= from_bytes);
    void *found = realloc(memory, to_bytes);
    if (found != NULL) {
        *held_bytes += to_bytes - from_bytes;
    }
    return found;
}

/* Makes room for `wanted` items in an array. `items` points to the caller's pointer to the array, of any type. Returns
 * STATUS_NO_MEMORY if there is none, and has then changed nothing. The caller frees the array. */
enum status grow(void *items, uint32_t *room, uint32_t wanted, size_t item_bytes, size_t *held_bytes) {
    if (wanted <= *room) {
        return STATUS_OK;
    }
    KERNEL_ASSERT(item_bytes > 0);
    KERNEL_ASSERT(*room < UINT32_MAX / 2);
    uint32_t larger = *room < 32 ? 64 : *room + *room / 2;
    larger = larger < wanted ? wanted : larger;
    void *memory;
    memcpy(&memory, items, sizeof memory);
    KERNEL_ASSERT((memory == NULL) == (*room == 0));
    memory = resized(memory, *room * item_bytes, larger * item_bytes, held_bytes);
    if (memory == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(items, &memory, sizeof memory);
    *room = larger;
    return STATUS_OK;
}

/* Makes an empty pool, which has no memory yet. Called once, before anything else is done with it. */
void pool_begin(pool *items, uint32_t item_bytes, size_t *held_bytes) {
    KERNEL_ASSERT(item_bytes >= sizeof items->freed);
    KERNEL_ASSERT(item_bytes <= CHUNK_BYTES);
    KERNEL_ASSERT(items->chunk_count == 0);
    KERNEL_ASSERT(held_bytes != NULL);
    memset(items, 0, sizeof *items);
    items->item_bytes = item_bytes;
    items->held_bytes = held_bytes;
    while ((size_t)item_bytes << (items->shift + 1) <= CHUNK_BYTES) {
        items->shift++;
    }
}

static size_t chunk_bytes(const pool *items) {
    size_t bytes = ((size_t)items->item_bytes << items->shift) + LINE_BYTES - 1;
    KERNEL_ASSERT(items->item_bytes > 0);
    KERNEL_ASSERT(bytes < CHUNK_BYTES + LINE_BYTES);
    return bytes - bytes % LINE_BYTES;
}

/* Frees all memory of a pool. Its items, and pointers to them, must not be used any more. A pool that was never
 * begun is left alone. */
void pool_end(pool *items) {
    KERNEL_ASSERT(items->used <= items->made);
    KERNEL_ASSERT((items->chunks == NULL) == (items->chunk_room == 0));
    uint32_t single = items->chunk_count < SLAB_CHUNKS ? items->chunk_count : SLAB_CHUNKS;
    for (uint32_t number = 0; number < single; number++) {
        free(items->chunks[number]);
    }
    for (uint32_t number = SLAB_CHUNKS; number < items->chunk_count; number += SLAB_CHUNKS) {
        drop_zeroed(items->chunks[number], SLAB_CHUNKS * chunk_bytes(items));
    }
    free(items->chunks);
    memset(items, 0, sizeof *items);
}

/* Adds the first chunks one by one, since most partitions are small, and later ones many at a time. */
static bool add_chunks(pool *items) {
    uint32_t more = items->chunk_count < SLAB_CHUNKS ? 1 : SLAB_CHUNKS, wanted = items->chunk_count + more;
    KERNEL_ASSERT(more == 1 || items->chunk_count % SLAB_CHUNKS == 0); /* pool_end relies on it */
    if (grow(&items->chunks, &items->chunk_room, wanted, sizeof *items->chunks, items->held_bytes) < 0) {
        return false;
    }
    size_t one = chunk_bytes(items), bytes = more * one;
    byte *memory = more == 1 ? aligned_alloc(LINE_BYTES, bytes) : zeroed(bytes);
    if (memory == NULL) {
        return false;
    }
    for (uint32_t each = 0; each < more; each++) {
        items->chunks[items->chunk_count++] = memory + each * one;
    }
    *items->held_bytes += bytes;
    KERNEL_ASSERT(items->chunk_count <= items->chunk_room);
    return true;
}

/* Returns the number of an item that is all zero, or 0 if there is no memory. The pool keeps the memory; the caller
 * gives the number back to pool_release once. */
uint32_t pool_allocate(pool *items) {
    uint32_t number = items->freed;
    if (number != 0) {
        memcpy(&items->freed, pool_at(items, number), sizeof items->freed);
        KERNEL_ASSERT_SLOW(items->freed <= items->made); /* Otherwise a released item was written to. */
    } else {
        KERNEL_ASSERT_SLOW(items->used == items->made); /* Nothing is free, so all are in use. */
        number = items->made + 1;
        if (number > MAX_ITEMS || (number >> items->shift >= items->chunk_count && !add_chunks(items))) {
            return 0;
        }
        items->made = number;
    }
    items->used++;
    memset(pool_at(items, number), 0, items->item_bytes);
    return number;
}

/* Takes a number back, to give it out again. The caller must have no pointer to the item, and no other item or table
 * may name it. */
void pool_release(pool *items, uint32_t number) {
    KERNEL_ASSERT(number != 0);
    KERNEL_ASSERT(number <= items->made);
    KERNEL_ASSERT(items->used > 0);
    KERNEL_ASSERT_SLOW(number != items->freed); /* Not released twice in a row. */
    byte *item = pool_at(items, number);
    memset(item, 0, items->item_bytes);
    memcpy(item, &items->freed, sizeof items->freed);
    items->freed = number;
    items->used--;
}
