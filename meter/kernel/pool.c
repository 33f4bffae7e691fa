/* Memory: chunks that are never moved, so that growing costs no copy and leaves no half-empty half behind. */
#include "memory.h"

enum { CHUNK_BYTES = 128 * 1024, LINE_BYTES = 64 };

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
        free(items->chunks[number]);
    }
    free(items->chunks);
    memset(items, 0, sizeof *items);
}

static size_t chunk_bytes(const pool *items) {
    size_t bytes = (size_t)items->item_bytes << items->shift;
    return (bytes + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

static bool add_chunk(pool *items) {
    if (items->chunk_count == items->chunk_room) {
        uint32_t room = items->chunk_room ? items->chunk_room * 2 : 8;
        byte **chunks = resized(items->chunks, items->chunk_room * sizeof *chunks, room * sizeof *chunks, items->held_bytes);
        if (chunks == NULL) {
            return false;
        }
        items->chunks = chunks;
        items->chunk_room = room;
    }
    byte *chunk = aligned_alloc(LINE_BYTES, chunk_bytes(items));
    if (chunk == NULL) {
        return false;
    }
    items->chunks[items->chunk_count++] = chunk;
    *items->held_bytes += chunk_bytes(items);
    return true;
}

uint32_t pool_take(pool *items) {
    uint32_t number = items->freed;
    if (number != 0) {
        memcpy(&items->freed, pool_at(items, number), sizeof items->freed);
    } else {
        number = items->made + 1;
        if (number > MOST_ITEMS || (number >> items->shift >= items->chunk_count && !add_chunk(items))) {
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
