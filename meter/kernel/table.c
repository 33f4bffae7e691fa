/* Hash tables from a hash to an item's number: linear probing, four bytes a slot, 65 to 81 of 100 filled.
 *
 * Owns its slots; the items belong to others, and keep the hashes, or what they are made of. If a table's `shift` is
 * not 0, items whose numbers differ in their last bits only share a number in the slots: there are more items than
 * numbers then, and a search looks at each of those that share. Slots with equal bits are as good as one another: one
 * that lies on the way of a search is met by every search that goes on behind it. Five bits of the
 * hash in each slot spare most looks at an item that is not the one searched for. Removing leaves a mark (REMOVED)
 * where a search must go on, and nothing where the next slot is free. Invariants: at least one slot is free, so
 * every search ends; an item has at most one slot. */
#include "memory.h"

enum { FIRST_SLOTS = 64 };

static uint32_t max_filled(uint32_t size) {
    return (uint32_t)((uint64_t)size * 13 / 16);
}

/* Makes room for one more number. Called before table_put, and once to make the table. It may build the table again
 * from all items: `hash_of` says of each whether it is in the table, and its hash. Items that are being added or
 * removed must be marked so that `hash_of` answers rightly. Returns STATUS_NO_MEMORY, and has then changed nothing. */
enum status table_make_room(kernel *k, table *t, items_of_table items, size_t *held_bytes) {
    KERNEL_ASSERT_SLOW((t->slots == NULL) == (t->size == 0));
    if (t->filled < max_filled(t->size)) {
        return STATUS_OK;
    }
    table grown = {NULL, t->size ? t->size : FIRST_SLOTS, 0, t->shift};
    while ((uint64_t)max_filled(grown.size) * 9 / 10 < items.used) {
        grown.size += grown.size / 4; /* Larger only if it is full of items, and not of marks. */
    }
    size_t bytes = grown.size * sizeof *grown.slots;
    grown.slots = zeroed(bytes);
    if (grown.slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    *held_bytes += bytes - t->size * sizeof *t->slots;
    for (uint32_t number = 1; number <= items.made; number++) {
        uint64_t hash;
        if (items.hash_of(k, number, &hash)) {
            table_put(&grown, hash, number);
        }
    }
    KERNEL_ASSERT_SLOW(grown.filled <= t->filled);
    KERNEL_ASSERT_SLOW(grown.filled < max_filled(grown.size));
    drop_zeroed(t->slots, t->size * sizeof *t->slots);
    *t = grown;
    return STATUS_OK;
}

/* Adds a number that is not in the table. Called after table_make_room, with nothing added in between. */
void table_put(table *t, uint64_t hash, uint32_t number) {
    uint32_t at = table_home(t, hash);
    while (t->slots[at] != 0 && t->slots[at] != REMOVED) {
        KERNEL_ASSERT_SLOW(t->shift > 0 || (t->slots[at] & ITEM_MASK) != number);
        at = at + 1 == t->size ? 0 : at + 1;
    }
    t->filled += t->slots[at] == 0;
    KERNEL_ASSERT(t->filled < t->size);
    KERNEL_ASSERT(number >> t->shift != 0);
    KERNEL_ASSERT(number >> t->shift <= MAX_ITEMS);
    t->slots[at] = table_slot(t, hash, number);
}

static uint32_t slot_of(const table *t, uint64_t hash, uint32_t number) {
    KERNEL_ASSERT(number >> t->shift != 0);
    KERNEL_ASSERT(number >> t->shift <= MAX_ITEMS);
    uint32_t at = table_home(t, hash);
    while (t->slots[at] != table_slot(t, hash, number)) {
        KERNEL_ASSERT(t->slots[at] != 0); /* It is in the table. */
        at = at + 1 == t->size ? 0 : at + 1;
    }
    return at;
}

/* Removes a number that is in the table under this hash. Ends the process if it is not. */
void table_remove(table *t, uint64_t hash, uint32_t number) {
    uint32_t at = slot_of(t, hash, number);
    uint32_t after = at + 1 == t->size ? 0 : at + 1;
    KERNEL_ASSERT_SLOW(t->filled > 0);
    t->slots[at] = REMOVED;
    /* A mark before a free slot helps no search: free it, and the marks before it. */
    while (t->slots[after] == 0 && t->slots[at] == REMOVED) {
        KERNEL_ASSERT_SLOW(t->filled > 0);
        t->slots[at] = 0;
        t->filled--;
        after = at;
        at = at == 0 ? t->size - 1 : at - 1;
    }
}

/* Puts the number `by` where `number` is: the two items have the same hash. `by` must not be in the table yet. */
void table_replace(table *t, uint64_t hash, uint32_t number, uint32_t by) {
    KERNEL_ASSERT_SLOW(by != number);
    KERNEL_ASSERT_SLOW(by >> t->shift != 0);
    uint32_t at = slot_of(t, hash, number);
    KERNEL_ASSERT_SLOW(at < t->size);
    t->slots[at] = table_slot(t, hash, by);
}
