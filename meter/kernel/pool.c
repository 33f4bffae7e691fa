/* Memory: chunks that are never moved, so that growing costs no copy and leaves no half-empty half behind. */
#include "memory.h"

enum { CHUNK_BYTES = 128 * 1024, LINE_BYTES = 64 };
enum { SLAB_CHUNKS = 64, LARGE_PAGE_BYTES = 2 * 1024 * 1024 };

/* Memory of its own from the system, zeroed, which goes back to it whole; in large pages if there are any: a look into a
 * gigabyte then costs no second one into its page tables. The heap would keep what growing tables leave behind. */
#if defined(__linux__) && defined(MADV_HUGEPAGE)
static void *map_large(size_t bytes) {
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
    (void)madvise(found + before, bytes, MADV_HUGEPAGE);
    return found + before;
}
static void unmap_large(void *memory, size_t bytes) {
    munmap(memory, bytes);
}
#else
static void *map_large(size_t bytes) {
    return calloc(1, bytes);
}
static void unmap_large(void *memory, size_t bytes) {
    (void)bytes;
    free(memory);
}
#endif

static size_t in_pages(size_t bytes) {
    enum { PAGE_BYTES = 64 * 1024 }; /* Of any system's size a multiple. */
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

void *zeroed(size_t bytes) {
    return bytes < LARGE_PAGE_BYTES ? calloc(1, bytes) : map_large(in_pages(bytes));
}

void drop_zeroed(void *memory, size_t bytes) {
    if (bytes < LARGE_PAGE_BYTES) {
        free(memory);
    } else {
        unmap_large(memory, in_pages(bytes));
    }
}

void broken(const char *law, const char *file, int line) {
    fprintf(stderr, "the kernel's own state is wrong (%s, %s:%d): ending the process\n", law, file, line);
    abort();
}

void *resized(void *memory, size_t from_bytes, size_t to_bytes, size_t *held_bytes) {
    void *found = realloc(memory, to_bytes);
    if (found != NULL) {
        *held_bytes += to_bytes - from_bytes;
    }
    return found;
}

enum status grow(void *items, uint32_t *room, uint32_t wanted, size_t item_bytes, size_t *held_bytes) {
    if (wanted <= *room) {
        return STATUS_OK;
    }
    uint32_t larger = *room < 32 ? 64 : *room + *room / 2;
    larger = larger < wanted ? wanted : larger;
    void *memory;
    memcpy(&memory, items, sizeof memory);
    memory = resized(memory, *room * item_bytes, larger * item_bytes, held_bytes);
    if (memory == NULL) {
        return STATUS_NO_MEMORY;
    }
    memcpy(items, &memory, sizeof memory);
    *room = larger;
    return STATUS_OK;
}

void pool_begin(pool *items, uint32_t item_bytes, size_t *held_bytes) {
    memset(items, 0, sizeof *items);
    items->item_bytes = item_bytes;
    items->held_bytes = held_bytes;
    while ((size_t)item_bytes << (items->shift + 1) <= CHUNK_BYTES) {
        items->shift++;
    }
}

static size_t chunk_bytes(const pool *items) {
    size_t bytes = ((size_t)items->item_bytes << items->shift) + LINE_BYTES - 1;
    return bytes - bytes % LINE_BYTES;
}

void pool_end(pool *items) {
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

/* The first chunks one by one, since most partitions are small; then many at once. */
static bool add_chunks(pool *items) {
    uint32_t more = items->chunk_count < SLAB_CHUNKS ? 1 : SLAB_CHUNKS, wanted = items->chunk_count + more;
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
    return true;
}

uint32_t pool_allocate(pool *items) {
    uint32_t number = items->freed;
    if (number != 0) {
        memcpy(&items->freed, pool_at(items, number), sizeof items->freed);
    } else {
        number = items->made + 1;
        if (number > MOST_ITEMS || (number >> items->shift >= items->chunk_count && !add_chunks(items))) {
            return STATUS_OK;
        }
        items->made = number;
    }
    items->used++;
    memset(pool_at(items, number), 0, items->item_bytes);
    return number;
}

void pool_release(pool *items, uint32_t number) {
    MUST(number != 0 && number <= items->made && items->used > 0);
    byte *item = pool_at(items, number);
    memset(item, 0, items->item_bytes);
    memcpy(item, &items->freed, sizeof items->freed);
    items->freed = number;
    items->used--;
}
