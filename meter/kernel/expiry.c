/* Acts when event time passes: closes conversations, and forgets data that no late event can reach any more.
 *
 * Owns the order in which interactions are dealt with: by the time at which they are due, and by key at one instant,
 * as the core does. Invariant: after `advance` no interaction is due at the watermark or before, and only the latest
 * conversation of an interaction can be open. */
#include "kernel.h"

static enum status close_conversation(kernel *k, uint32_t number, conversation *c, int64_t offset,
                                      int64_t produced_ms) {
    KERNEL_ASSERT_SLOW(!c->closed);
    KERNEL_ASSERT(c->requests <= c->messages);
    c->closed = 1;
    k->closed_messages += c->messages;
    return add_conversation_update(k, number, c, NULL, offset, produced_ms);
}

/* Closes those conversations of an interaction that have been silent for longer than the gap, the first one first. */
static enum status close_silent(kernel *k, uint32_t number, int64_t offset, int64_t produced_ms) {
    interaction *i = interaction_at(k, number);
    if (i->has_older_open) {
        uint32_t each = i->older;
        KERNEL_ASSERT(each != 0);
        KERNEL_ASSERT(i->has_latest);
        i->has_older_open = 0;
        do {
            each = older_at(k, each)->next;
            conversation *c = &older_at(k, each)->conversation;
            KERNEL_ASSERT(c->closed || ms(c->last) + k->gap_ms < k->watermark_ms); /* The next one began after that. */
            if (!c->closed) {
                TRY(close_conversation(k, number, c, offset, produced_ms));
            }
        } while (each != i->older);
    }
    if (i->has_latest && !i->latest.closed && ms(i->latest.last) + k->gap_ms < k->watermark_ms) {
        return close_conversation(k, number, &i->latest, offset, produced_ms);
    }
    return STATUS_OK;
}

/* Forgets conversations that ended before `reach_ms`, which no late message can touch. */
static void expire_conversations(kernel *k, interaction *i, int64_t reach_ms) {
    KERNEL_ASSERT_SLOW(i->older == 0 || i->has_latest);
    while (i->older != 0) {
        uint32_t number = older_at(k, i->older)->next;
        const conversation *c = &older_at(k, number)->conversation;
        if (ms(c->last) >= reach_ms) {
            return;
        }
        KERNEL_ASSERT_SLOW(c->closed);
        remove_older(k, i, i->older, number);
    }
    if (i->has_latest && ms(i->latest.last) < reach_ms) {
        KERNEL_ASSERT_SLOW(i->latest.closed);
        i->has_latest = 0;
    }
}

/* When something here closes or expires next. Only the latest conversation can be open; of the closed ones the oldest
 * expires first. */
static int64_t next_due_ms(const kernel *k, const interaction *i) {
    KERNEL_ASSERT_SLOW(i->has_latest);
    int64_t found = ms(i->latest.last) + k->gap_ms + 1 + (i->latest.closed ? k->horizon_ms : 0);
    if (i->older != 0) {
        const conversation *oldest = &older_at(k, older_at(k, i->older)->next)->conversation;
        int64_t due_ms = ms(oldest->last) + k->gap_ms + 1 + k->horizon_ms;
        found = due_ms < found ? due_ms : found;
    }
    KERNEL_ASSERT_SLOW(found > k->watermark_ms); /* So `advance` comes to an end. */
    return found;
}

/* Nothing is left of an interaction. Its key stays until a checkpoint has written that it ended. */
static enum status end_interaction(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(!i->ended);
    KERNEL_ASSERT(i->changed);
    KERNEL_ASSERT(!i->has_latest);
    KERNEL_ASSERT(i->older == 0);
    KERNEL_ASSERT(k->live > 0);
    i->ended = 1;
    i->due = as_instant(0);
    k->live--;
    return STATUS_OK;
}

static enum status expire_interaction(kernel *k, uint32_t number, int64_t offset, int64_t produced_ms) {
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(!i->ended);
    KERNEL_ASSERT(ms(i->due) <= k->watermark_ms);
    TRY(mark_changed(k, number));
    TRY(close_silent(k, number, offset, produced_ms));
    expire_conversations(k, i, oldest_ms(k) - k->gap_ms);
    return i->has_latest ? schedule(k, number, next_due_ms(k, i)) : end_interaction(k, number);
}

static const kernel *sorted_in; /* qsort hands nothing on to its comparison. Sorting holds the interpreter's lock. */

static int by_key(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    KERNEL_ASSERT_SLOW(sorted_in != NULL);
    KERNEL_ASSERT_SLOW(a != 0);
    KERNEL_ASSERT_SLOW(b != 0);
    int order = a == b ? 0 : compare_keys(sorted_in, interaction_at(sorted_in, a), interaction_at(sorted_in, b));
    return order != 0 ? order : (a > b) - (a < b); /* So that one number stands beside itself. */
}

/* Deals with every interaction that is due at the watermark or before, and forgets ids. Called after each event and
 * each tick; the updates it makes carry the offset and the time of that record. Returns STATUS_NO_MEMORY. */
enum status advance(kernel *k, int64_t offset, int64_t produced_ms) {
    uint32_t count;
    KERNEL_ASSERT_SLOW(!k->restoring);
    for (;;) {
        TRY(timers_next(k, &count));
        if (count == 0) {
            return forget_ids(k);
        }
        uint32_t *group = k->timers.group;
        KERNEL_ASSERT_SLOW(count <= k->timers.group_room);
        if (count > 1) {
            sorted_in = k;
            qsort(group, count, sizeof *group, by_key);
        }
        for (uint32_t each = 0; each < count; each++) {
            bool is_repeated = each > 0 && group[each] == group[each - 1];
            if (!is_repeated) {
                TRY(expire_interaction(k, group[each], offset, produced_ms));
            }
        }
    }
}

typedef struct { int64_t last_ms; uint32_t number; } still_open;

static int by_end(const void *one, const void *other) {
    const still_open *a = one, *b = other;
    KERNEL_ASSERT_SLOW(a->number != 0);
    KERNEL_ASSERT_SLOW(b->number != 0);
    if (a->last_ms != b->last_ms) {
        return a->last_ms < b->last_ms ? -1 : 1;
    }
    return by_key(&a->number, &b->number);
}

/* Closes every conversation that is open, in the order of their ends, and of keys at one instant. Called when a
 * finite feed has come to its end, after `advance`. A later message may open one again. Returns STATUS_NO_MEMORY. */
enum status close_all(kernel *k, int64_t offset, int64_t produced_ms) {
    still_open *all = NULL;
    uint32_t count = 0, room = 0;
    enum status done = STATUS_OK;
    KERNEL_ASSERT(!k->restoring);
    for (uint32_t number = 1; done == STATUS_OK && number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
        KERNEL_ASSERT(!i->has_older_open);
        if (i->used && i->has_latest && !i->latest.closed) {
            done = grow(&all, &room, count + 1, sizeof *all, &k->held_bytes);
            if (done == STATUS_OK) {
                all[count++] = (still_open){ms(i->latest.last), number};
            }
        }
    }
    sorted_in = k;
    if (count > 1) {
        qsort(all, count, sizeof *all, by_end);
    }
    for (uint32_t each = 0; done == STATUS_OK && each < count; each++) {
        conversation *c = &interaction_at(k, all[each].number)->latest;
        done = mark_changed(k, all[each].number);
        done = done == STATUS_OK ? close_conversation(k, all[each].number, c, offset, produced_ms) : done;
    }
    KERNEL_ASSERT(k->held_bytes >= room * sizeof *all);
    k->held_bytes -= room * sizeof *all;
    free(all);
    return done;
}
