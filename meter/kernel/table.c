/* Tables from a hash to the number of an item: linear probing, four bytes a slot, 65 to 81 of 100 filled.
 *
 * Five bits of the hash in each slot spare most looks at an item that is another one. What is taken out leaves a mark
 * (GONE) where a search must go on, and nothing where the next slot is free. */
#include "memory.h"

enum { FIRST_SLOTS = 64 };

static uint32_t max_filled(uint32_t size) {
    return (uint32_t)((uint64_t)size * 13 / 16);
}

enum status table_make_room(kernel *k, table *t, const pool *items, hash_of_item hash_of) {
    if (t->filled < max_filled(t->size)) {
        return STATUS_OK;
    }
    table grown = {NULL, t->size ? t->size : FIRST_SLOTS, 0};
    while ((uint64_t)max_filled(grown.size) * 9 / 10 < items->used) {
        grown.size += grown.size / 4; /* Larger only if it is full of items, and not of marks. */
    }
    size_t bytes = grown.size * sizeof *grown.slots;
    grown.slots = zeroed(bytes);
    if (grown.slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    *items->held_bytes += bytes - t->size * sizeof *t->slots;
    for (uint32_t number = 1; number <= items->made; number++) {
        uint64_t hash;
        if (hash_of(k, number, &hash)) {
            table_put(&grown, hash, number);
        }
    }
    drop_zeroed(t->slots, t->size * sizeof *t->slots);
    *t = grown;
    return STATUS_OK;
}

void table_put(table *t, uint64_t hash, uint32_t number) {
    uint32_t at = table_home(t, hash);
    while (t->slots[at] != 0 && t->slots[at] != REMOVED) {
        at = at + 1 == t->size ? 0 : at + 1;
    }
    t->filled += t->slots[at] == 0;
    MUST(t->filled < t->size && number != 0 && number <= MOST_ITEMS);
    t->slots[at] = table_slot(hash, number);
}

static uint32_t slot_of(const table *t, uint64_t hash, uint32_t number) {
    uint32_t at = table_home(t, hash);
    while (t->slots[at] != table_slot(hash, number)) {
        MUST(t->slots[at] != 0);
        at = at + 1 == t->size ? 0 : at + 1;
    }
    return at;
}

void table_remove(table *t, uint64_t hash, uint32_t number) {
    uint32_t at = slot_of(t, hash, number);
    uint32_t after = at + 1 == t->size ? 0 : at + 1;
    t->slots[at] = REMOVED;
    while (t->slots[after] == 0 && t->slots[at] == REMOVED) {
        t->slots[at] = 0;
        t->filled--;
        after = at;
        at = at == 0 ? t->size - 1 : at - 1;
    }
}

void table_replace(table *t, uint64_t hash, uint32_t number, uint32_t by) {
    t->slots[slot_of(t, hash, number)] = table_slot(hash, by);
}
