/* When an interaction is due: exact, and cheap for a million timers most of which are moved before they come due.
 *
 * Owns the heap, the ring and its pages. Time is cut into slots of 2^shift ms. What is due in the current slot or
 * before lies in a heap, `near`; what is due later in a ring of slots, each an unsorted list that is put into the
 * heap when its time comes. Moving a timer only adds a new one: an interaction's own `due` says which of its timers
 * is valid, and the others are skipped where they are met. Invariants: every live interaction has a valid timer;
 * `far_count` counts all timers in the ring; no timer lies in a slot that has passed. */
#include "kernel.h"

#define SLOTS ((int64_t)1 << RING_BITS)

static timer_page *page_at(const timers *t, uint32_t number) {
    KERNEL_ASSERT_SLOW(number != 0);
    KERNEL_ASSERT_SLOW(t->ring != NULL);
    return pool_at(&t->pages, number);
}

/* Makes an empty ring that reaches from the watermark to a gap and a horizon behind it, or to `furthest_ms` if that
 * is later. Called once at the beginning, and again when the ring has to reach further: all timers must have been
 * removed. Returns STATUS_NO_MEMORY. */
enum status timers_begin(kernel *k, int64_t furthest_ms) {
    timers *t = &k->timers;
    KERNEL_ASSERT(t->far_count == 0);
    KERNEL_ASSERT(t->near_count == 0);
    int64_t span_ms = k->gap_ms + k->horizon_ms + 1;
    span_ms = furthest_ms - k->watermark_ms > span_ms ? furthest_ms - k->watermark_ms : span_ms;
    t->shift = 0;
    while (span_ms >> t->shift >= SLOTS - 2) {
        t->shift++;
    }
    KERNEL_ASSERT(t->shift < 48);
    t->slot = k->watermark_ms >> t->shift;
    if (t->ring == NULL) {
        pool_begin(&t->pages, sizeof(timer_page), &k->held_bytes);
        t->ring = calloc((size_t)SLOTS, sizeof *t->ring);
        k->held_bytes += (size_t)SLOTS * sizeof *t->ring;
    }
    return t->ring == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

/* Frees all memory of the timers. Called once, by kernel_end. */
void timers_end(kernel *k) {
    KERNEL_ASSERT(k->timers.near_count <= k->timers.near_room);
    free(k->timers.near);
    free(k->timers.group);
    free(k->timers.ring);
    pool_end(&k->timers.pages);
}

static enum status heap_push(kernel *k, uint32_t number, int64_t due_ms) {
    timers *t = &k->timers;
    KERNEL_ASSERT_SLOW(due_ms >> t->shift <= t->slot);
    TRY(grow(&t->near, &t->near_room, t->near_count + 1, sizeof *t->near, &k->held_bytes));
    uint32_t at = t->near_count++;
    for (; at > 0 && t->near[(at - 1) / 2].due_ms > due_ms; at = (at - 1) / 2) {
        t->near[at] = t->near[(at - 1) / 2];
    }
    KERNEL_ASSERT_SLOW(at < t->near_count);
    t->near[at] = (timer){due_ms, number};
    return STATUS_OK;
}

static timer heap_pop(timers *t) {
    KERNEL_ASSERT_SLOW(t->near_count > 0);
    timer first = t->near[0], last = t->near[--t->near_count];
    uint32_t at = 0, below;
    while ((below = 2 * at + 1) < t->near_count) {
        below += below + 1 < t->near_count && t->near[below + 1].due_ms < t->near[below].due_ms;
        if (t->near[below].due_ms >= last.due_ms) {
            break;
        }
        t->near[at] = t->near[below];
        at = below;
    }
    t->near[at] = last;
    KERNEL_ASSERT_SLOW(t->near_count == 0 || t->near[0].due_ms >= first.due_ms);
    return first;
}

static enum status ring_add(kernel *k, uint32_t number, int64_t slot) {
    timers *t = &k->timers;
    uint32_t at = (uint32_t)(slot & (SLOTS - 1));
    KERNEL_ASSERT(slot > t->slot);
    KERNEL_ASSERT(slot - t->slot < SLOTS);
    if (t->ring[at].page == 0 || t->ring[at].filled == PAGE_ITEMS) {
        uint32_t page = pool_allocate(&t->pages);
        if (page == 0) {
            return STATUS_NO_MEMORY;
        }
        page_at(t, page)->next = t->ring[at].page;
        t->ring[at].page = page;
        t->ring[at].filled = 0;
    }
    KERNEL_ASSERT_SLOW(t->ring[at].filled < PAGE_ITEMS);
    page_at(t, t->ring[at].page)->items[t->ring[at].filled++] = number;
    t->far_count++;
    return STATUS_OK;
}

/* Sets when an interaction is due, in place of its former due time. Called when it has just been dealt with, or has
 * to be dealt with earlier than before. Not for a time further than the ring reaches: see timers_extend. Returns
 * STATUS_NO_MEMORY. */
enum status schedule(kernel *k, uint32_t number, int64_t due_ms) {
    KERNEL_ASSERT_SLOW(interaction_at(k, number)->used);
    KERNEL_ASSERT_SLOW(!interaction_at(k, number)->ended);
    KERNEL_ASSERT_SLOW(due_ms > 0);
    interaction_at(k, number)->due = as_instant(due_ms);
    int64_t slot = due_ms >> k->timers.shift;
    return slot <= k->timers.slot ? heap_push(k, number, due_ms) : ring_add(k, number, slot);
}

/* Schedules an interaction for `due_ms` unless it is due before. Called after timers_advance. Returns
 * STATUS_NO_MEMORY. */
enum status schedule_no_later(kernel *k, uint32_t number, int64_t due_ms) {
    int64_t known_ms = ms(interaction_at(k, number)->due);
    KERNEL_ASSERT_SLOW(due_ms > 0);
    KERNEL_ASSERT_SLOW(!interaction_at(k, number)->ended);
    return known_ms == 0 || due_ms < known_ms ? schedule(k, number, due_ms) : STATUS_OK;
}

/* Whether a timer met at `due_ms` is the valid one of its interaction. */
static bool is_valid(const interaction *i, int64_t due_ms) {
    KERNEL_ASSERT_SLOW(due_ms > 0);
    return i->used && !i->ended && ms(i->due) == due_ms;
}

static void empty_slot(timers *t, uint32_t at) {
    KERNEL_ASSERT_SLOW(at < SLOTS);
    t->ring[at].page = t->ring[at].filled = 0;
}

/* Moves on to the next slot: those of its timers that are still valid go to the heap. */
static enum status enter_next_slot(kernel *k) {
    timers *t = &k->timers;
    t->slot++;
    uint32_t at = (uint32_t)(t->slot & (SLOTS - 1)), filled = t->ring[at].filled;
    KERNEL_ASSERT_SLOW(filled <= PAGE_ITEMS);
    KERNEL_ASSERT_SLOW(t->far_count > 0);
    for (uint32_t number = t->ring[at].page, next; number != 0; number = next, filled = PAGE_ITEMS) {
        timer_page *page = page_at(t, number);
        for (uint32_t each = 0; each < filled; each++) {
            __builtin_prefetch(interaction_at(k, page->items[each]));
        }
        for (uint32_t each = 0; each < filled; each++) {
            const interaction *i = interaction_at(k, page->items[each]);
            int64_t due_ms = ms(i->due);
            if (due_ms >> t->shift == t->slot && is_valid(i, due_ms)) {
                TRY(heap_push(k, page->items[each], due_ms));
            }
        }
        KERNEL_ASSERT_SLOW(t->far_count >= filled);
        t->far_count -= filled;
        next = page->next;
        pool_release(&t->pages, number);
    }
    empty_slot(t, at);
    return STATUS_OK;
}

/* Removes all timers and makes one for each live interaction, in a ring that reaches far enough. Called when the ring
 * has to reach further, between two records. Returns STATUS_NO_MEMORY. */
enum status timers_rebuild(kernel *k) {
    timers *t = &k->timers;
    int64_t furthest_ms = k->watermark_ms;
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        furthest_ms = i->used && ms(i->due) > furthest_ms ? ms(i->due) : furthest_ms;
    }
    for (uint32_t at = 0; at < SLOTS; at++) {
        for (uint32_t number = t->ring[at].page, next; number != 0; number = next) {
            next = page_at(t, number)->next;
            pool_release(&t->pages, number);
        }
        empty_slot(t, at);
    }
    KERNEL_ASSERT(t->pages.used == 0);
    t->far_count = t->near_count = 0;
    TRY(timers_begin(k, furthest_ms));
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        if (i->used && !i->ended) {
            TRY(schedule(k, number, ms(i->due)));
        }
    }
    KERNEL_ASSERT(t->near_count + t->far_count <= (uint64_t)k->live);
    return STATUS_OK;
}

/* Makes the ring reach to `due_ms`, so that an interaction that was held elsewhere can be scheduled for then. Called
 * before that `schedule`. Returns STATUS_NO_MEMORY. */
enum status timers_extend(kernel *k, int64_t due_ms) {
    KERNEL_ASSERT(due_ms > k->watermark_ms);
    return (due_ms >> k->timers.shift) - k->timers.slot < SLOTS ? STATUS_OK : timers_rebuild(k);
}

/* Removes timers of interactions that have left, if there are many: they would stay in the ring until their time
 * comes, which may be a day. Called after many interactions have left memory. Returns STATUS_NO_MEMORY. */
enum status timers_compact(kernel *k) {
    KERNEL_ASSERT(k->interactions.used >= k->live);
    bool is_compact = k->timers.far_count / 4 < k->interactions.used + PAGE_ITEMS * 64;
    return is_compact ? STATUS_OK : timers_rebuild(k);
}

/* Takes all timers of the first instant from the heap. Their valid interactions are in `group`; one may be there
 * twice. */
static enum status collect_instant(kernel *k, uint32_t *count) {
    timers *t = &k->timers;
    KERNEL_ASSERT_SLOW(t->near_count > 0);
    int64_t due_ms = t->near[0].due_ms;
    *count = 0;
    while (t->near_count > 0 && t->near[0].due_ms == due_ms) {
        TRY(grow(&t->group, &t->group_room, *count + 1, sizeof *t->group, &k->held_bytes));
        uint32_t number = heap_pop(t).number;
        if (is_valid(interaction_at(k, number), due_ms)) {
            t->group[(*count)++] = number;
        }
    }
    return STATUS_OK;
}

/* Moves the current slot to the watermark. Called whenever the watermark has moved, before anything is scheduled.
 * Returns STATUS_NO_MEMORY. */
enum status timers_advance(kernel *k) {
    timers *t = &k->timers;
    int64_t reached = k->watermark_ms >> t->shift;
    while (t->slot < reached) {
        if (t->far_count == 0) {
            t->slot = reached;
        } else {
            TRY(enter_next_slot(k));
        }
    }
    KERNEL_ASSERT_SLOW(t->slot >= reached);
    return STATUS_OK;
}

/* Finds the interactions that are due next, at the watermark or before, at one instant. They are in `timers.group`,
 * `count` of them, until the next call; 0: nothing is due. The caller deals with each of them and schedules it again.
 * Returns STATUS_NO_MEMORY. */
enum status timers_next(kernel *k, uint32_t *count) {
    timers *t = &k->timers;
    *count = 0;
    TRY(timers_advance(k));
    while (*count == 0 && t->near_count > 0 && t->near[0].due_ms <= k->watermark_ms) {
        TRY(collect_instant(k, count));
    }
    KERNEL_ASSERT_SLOW(*count > 0 || t->near_count == 0 || t->near[0].due_ms > k->watermark_ms);
    return STATUS_OK;
}
