/* When what is due: exact, and cheap for a million appointments that are mostly moved before they are kept.
 *
 * Time is cut into slots of 2^shift ms. What is due in the current slot or before lies in a heap; all else in a ring of
 * slots, each an unsorted list that is put into the heap when its time comes. An interaction's own due time says which
 * of its appointments is the valid one; others are passed over, wherever they lie. */
#include "kernel.h"

#define SLOTS ((int64_t)1 << RING_BITS)

enum status timers_begin(kernel *k, int64_t furthest_ms) {
    timers *d = &k->timers;
    int64_t span_ms = k->gap_ms + k->horizon_ms + 1;
    span_ms = furthest_ms - k->watermark_ms > span_ms ? furthest_ms - k->watermark_ms : span_ms;
    d->shift = 0;
    while (span_ms >> d->shift >= SLOTS - 2) {
        d->shift++;
    }
    d->slot = k->watermark_ms >> d->shift;
    if (d->ring == NULL) {
        pool_begin(&d->pages, sizeof(timer_page), &k->held_bytes);
        d->ring = calloc((size_t)SLOTS, sizeof *d->ring);
        k->held_bytes += (size_t)SLOTS * sizeof *d->ring;
    }
    return d->ring == NULL ? STATUS_NO_MEMORY : STATUS_OK;
}

void timers_end(kernel *k) {
    free(k->timers.near);
    free(k->timers.group);
    free(k->timers.ring);
    pool_end(&k->timers.pages);
}

static enum status heap_push(kernel *k, uint32_t number, int64_t due_ms) {
    timers *d = &k->timers;
    TRY(grow(&d->near, &d->near_room, d->near_count + 1, sizeof *d->near, &k->held_bytes));
    uint32_t at = d->near_count++;
    for (; at > 0 && d->near[(at - 1) / 2].due_ms > due_ms; at = (at - 1) / 2) {
        d->near[at] = d->near[(at - 1) / 2];
    }
    d->near[at] = (timer){due_ms, number};
    return STATUS_OK;
}

static timer heap_pop(timers *d) {
    timer first = d->near[0], last = d->near[--d->near_count];
    uint32_t at = 0, below;
    while ((below = 2 * at + 1) < d->near_count) {
        below += below + 1 < d->near_count && d->near[below + 1].due_ms < d->near[below].due_ms;
        if (d->near[below].due_ms >= last.due_ms) {
            break;
        }
        d->near[at] = d->near[below];
        at = below;
    }
    d->near[at] = last;
    return first;
}

static enum status ring_add(kernel *k, uint32_t number, int64_t slot) {
    timers *d = &k->timers;
    uint32_t at = (uint32_t)(slot & (SLOTS - 1));
    MUST(slot - d->slot < SLOTS);
    if (d->ring[at].page == 0 || d->ring[at].filled == PAGE_ITEMS) {
        uint32_t page = pool_allocate(&d->pages);
        if (page == 0) {
            return STATUS_NO_MEMORY;
        }
        ((timer_page *)pool_at(&d->pages, page))->next = d->ring[at].page;
        d->ring[at].page = page;
        d->ring[at].filled = 0;
    }
    ((timer_page *)pool_at(&d->pages, d->ring[at].page))->items[d->ring[at].filled++] = number;
    d->far_count++;
    return STATUS_OK;
}

enum status schedule(kernel *k, uint32_t number, int64_t due_ms) {
    interaction_at(k, number)->due = as_instant(due_ms);
    int64_t slot = due_ms >> k->timers.shift;
    return slot <= k->timers.slot ? heap_push(k, number, due_ms) : ring_add(k, number, slot);
}

/* Go on to the next slot: those of its appointments that are still valid become near. */
static enum status enter_next_slot(kernel *k) {
    timers *d = &k->timers;
    d->slot++;
    uint32_t at = (uint32_t)(d->slot & (SLOTS - 1)), filled = d->ring[at].filled;
    for (uint32_t number = d->ring[at].page, next; number != 0; number = next, filled = PAGE_ITEMS) {
        timer_page *page = pool_at(&d->pages, number);
        for (uint32_t each = 0; each < filled; each++) {
            __builtin_prefetch(interaction_at(k, page->items[each]));
        }
        for (uint32_t each = 0; each < filled; each++) {
            const interaction *i = interaction_at(k, page->items[each]);
            int64_t due_ms = ms(i->due);
            if (i->used && !i->ended && due_ms >> d->shift == d->slot && heap_push(k, page->items[each], due_ms) < 0) {
                return STATUS_NO_MEMORY;
            }
        }
        d->far_count -= filled;
        next = page->next;
        pool_release(&d->pages, number);
    }
    d->ring[at].page = d->ring[at].filled = 0;
    return STATUS_OK;
}

/* Make all appointments anew: one for each interaction. */
static enum status timers_rebuild(kernel *k) {
    timers *d = &k->timers;
    int64_t furthest_ms = k->watermark_ms;
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        furthest_ms = i->used && ms(i->due) > furthest_ms ? ms(i->due) : furthest_ms;
    }
    for (int64_t at = 0; at < SLOTS; at++) {
        for (uint32_t number = d->ring[at].page, next; number != 0; number = next) {
            next = ((timer_page *)pool_at(&d->pages, number))->next;
            pool_release(&d->pages, number);
        }
        d->ring[at].page = d->ring[at].filled = 0;
    }
    d->far_count = d->near_count = 0;
    TRY(timers_begin(k, furthest_ms));
    for (uint32_t number = 1; number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        if (i->used && !i->ended && schedule(k, number, ms(i->due)) < 0) {
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

enum status timers_extend(kernel *k, int64_t due_ms) {
    return (due_ms >> k->timers.shift) - k->timers.slot < SLOTS ? STATUS_OK : timers_rebuild(k);
}

/* Appointments of those that have left stay in the ring until their time comes, which may be a day. */
enum status timers_compact(kernel *k) {
    bool is_tidy = k->timers.far_count / 4 < k->interactions.used + PAGE_ITEMS * 64;
    return is_tidy ? STATUS_OK : timers_rebuild(k);
}

/* Everything near that is due at the instant of the first of them; one may be there twice. */
static enum status collect_instant(kernel *k, uint32_t *count) {
    timers *d = &k->timers;
    int64_t due_ms = d->near[0].due_ms;
    *count = 0;
    while (d->near_count > 0 && d->near[0].due_ms == due_ms) {
        TRY(grow(&d->group, &d->group_room, *count + 1, sizeof *d->group, &k->held_bytes));
        uint32_t number = heap_pop(d).number;
        const interaction *i = interaction_at(k, number);
        if (i->used && !i->ended && ms(i->due) == due_ms) {
            d->group[(*count)++] = number;
        }
    }
    return STATUS_OK;
}

enum status timers_advance(kernel *k) {
    timers *d = &k->timers;
    int64_t reached = k->watermark_ms >> d->shift;
    while (d->slot < reached) {
        if (d->far_count == 0) {
            d->slot = reached;
        } else if (enter_next_slot(k) < 0) {
            return STATUS_NO_MEMORY;
        }
    }
    return STATUS_OK;
}

enum status timers_next(kernel *k, uint32_t *count) {
    timers *d = &k->timers;
    *count = 0;
    TRY(timers_advance(k));
    while (*count == 0 && d->near_count > 0 && d->near[0].due_ms <= k->watermark_ms) {
        TRY(collect_instant(k, count));
    }
    return STATUS_OK;
}
