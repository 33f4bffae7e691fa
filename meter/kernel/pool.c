/* Memory: chunks that are never moved, so that growing costs no copy and leaves no half-empty half behind. */
#include "memory.h"

enum { CHUNK_BYTES = 128 * 1024, LINE_BYTES = 64 };
enum { SLAB_CHUNKS = 16, SLAB_BYTES = SLAB_CHUNKS * CHUNK_BYTES };

/* Memory in large pages, if the system has them: a look into a gigabyte then costs no second one into its page tables. */
static void *large(size_t bytes) {
    void *found = aligned_alloc(SLAB_BYTES, bytes);
#ifdef MADV_HUGEPAGE
    if (found != NULL) {
        (void)madvise(found, bytes, MADV_HUGEPAGE);
    }
#endif
    return found;
}

void *zeroed(size_t bytes) {
    if (bytes < SLAB_BYTES) {
        return calloc(1, bytes);
    }
    void *found = large((bytes + SLAB_BYTES - 1) / SLAB_BYTES * SLAB_BYTES);
    return found == NULL ? NULL : memset(found, 0, bytes);
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

int grow(void *items, uint32_t *room, uint32_t wanted, size_t item_bytes, size_t *held_bytes) {
    if (wanted <= *room) {
        return 0;
    }
    uint32_t larger = *room < 32 ? 64 : *room + *room / 2;
    larger = larger < wanted ? wanted : larger;
    void *memory;
    memcpy(&memory, items, sizeof memory);
    memory = resized(memory, *room * item_bytes, larger * item_bytes, held_bytes);
    if (memory == NULL) {
        return -1;
    }
    memcpy(items, &memory, sizeof memory);
    *room = larger;
    return 0;
}

void pool_begin(pool *items, uint32_t item_bytes, size_t *held_bytes) {
    memset(items, 0, sizeof *items);
    items->item_bytes = item_bytes;
    items->held_bytes = held_bytes;
    while ((size_t)item_bytes << (items->shift + 1) <= CHUNK_BYTES) {
        items->shift++;
    }
}

void pool_end(pool *items) {
    for (uint32_t number = 0; number < items->chunk_count; number++) {
        if (number < SLAB_CHUNKS || number % SLAB_CHUNKS == 0) {
            free(items->chunks[number]);
        }
    }
    free(items->chunks);
    memset(items, 0, sizeof *items);
}

/* The first chunks one by one, since most partitions are small; then many at once. */
static bool add_chunks(pool *items) {
    uint32_t more = items->chunk_count < SLAB_CHUNKS ? 1 : SLAB_CHUNKS;
    size_t bytes = (size_t)more * CHUNK_BYTES;
    if (grow(&items->chunks, &items->chunk_room, items->chunk_count + more, sizeof *items->chunks, items->held_bytes) < 0) {
        return false;
    }
    byte *memory = more == 1 ? aligned_alloc(LINE_BYTES, bytes) : large(bytes);
    if (memory == NULL) {
        return false;
    }
    for (uint32_t each = 0; each < more; each++) {
        items->chunks[items->chunk_count++] = memory + (size_t)each * CHUNK_BYTES;
    }
    *items->held_bytes += bytes;
    return true;
}

uint32_t pool_take(pool *items) {
    uint32_t number = items->freed;
    if (number != 0) {
        memcpy(&items->freed, pool_at(items, number), sizeof items->freed);
    } else {
        number = items->made + 1;
        if (number > MOST_ITEMS || (number >> items->shift >= items->chunk_count && !add_chunks(items))) {
            return 0;
        }
        items->made = number;
    }
    items->used++;
    memset(pool_at(items, number), 0, items->item_bytes);
    return number;
}

void pool_give(pool *items, uint32_t number) {
    MUST(number != 0 && number <= items->made && items->used > 0);
    byte *item = pool_at(items, number);
    memset(item, 0, items->item_bytes);
    memcpy(item, &items->freed, sizeof items->freed);
    items->freed = number;
    items->used--;
}
