/* What event time does: conversations close, and what no late event can reach any more is forgotten. */
#include "kernel.h"

enum status close_conversation(kernel *k, uint32_t number, conversation *c, int64_t offset, int64_t produced_ms) {
    c->closed = 1;
    k->closed_messages += c->messages;
    return add_conversation_update(k, number, c, NULL, offset, produced_ms);
}

/* Close those of an interaction that have been silent for longer than the gap, the first one first. */
static enum status close_silent(kernel *k, uint32_t number, int64_t offset, int64_t produced_ms) {
    interaction *i = interaction_at(k, number);
    if (i->has_older_open) {
        uint32_t each = i->older;
        i->has_older_open = 0;
        do {
            each = older_at(k, each)->next;
            conversation *c = &older_at(k, each)->conversation;
            MUST(c->closed || ms(c->last) + k->gap_ms < k->watermark_ms); /* The latest one began after that. */
            if (!c->closed && close_conversation(k, number, c, offset, produced_ms) < 0) {
                return STATUS_NO_MEMORY;
            }
        } while (each != i->older);
    }
    if (i->has_latest && !i->latest.closed && ms(i->latest.last) + k->gap_ms < k->watermark_ms) {
        return close_conversation(k, number, &i->latest, offset, produced_ms);
    }
    return STATUS_OK;
}

/* In the order in which they came, as far as they are out of reach. */
static enum status expire_accepted(kernel *k, interaction *i, int64_t oldest_ms) {
    while (i->newest_accepted != 0) {
        accepted_event *newest = accepted_at(k, i->newest_accepted);
        uint32_t number = newest->next;
        accepted_event *s = accepted_at(k, number);
        if (ms(s->at) >= oldest_ms) {
            return STATUS_OK;
        }
        TRY(drop_stored_id(k, s));
        if (!s->shadowed) {
            table_remove(&k->by_id, id_hash(k->id_secret, &s->id), number);
        }
        newest->next = s->next;
        i->newest_accepted = i->newest_accepted == number ? 0 : i->newest_accepted;
        pool_release(&k->accepted, number);
    }
    return STATUS_OK;
}

static void expire_conversations(kernel *k, interaction *i, int64_t reach_ms) {
    while (i->older != 0) {
        uint32_t number = older_at(k, i->older)->next;
        if (ms(older_at(k, number)->conversation.last) >= reach_ms) {
            return;
        }
        remove_older(k, i, i->older, number);
    }
    if (i->has_latest && ms(i->latest.last) < reach_ms) {
        i->has_latest = 0;
    }
}

/* Of the conversations that are closed, the oldest is the first to be forgotten; only the latest can be open. */
static int64_t next_due_ms(const kernel *k, const interaction *i, int64_t oldest_ms) {
    int64_t found = INT64_MAX;
    if (i->has_latest) {
        found = ms(i->latest.last) + k->gap_ms + 1 + (i->latest.closed ? k->horizon_ms : 0);
    }
    if (i->older != 0) {
        int64_t due_ms = ms(older_at(k, older_at(k, i->older)->next)->conversation.last) + k->gap_ms + 1 + k->horizon_ms;
        found = due_ms < found ? due_ms : found;
    }
    if (i->newest_accepted != 0) {
        const accepted_event *s = accepted_at(k, i->newest_accepted);
        s = ms(s->at) >= oldest_ms ? s : accepted_at(k, s->next);
        int64_t due_ms = ms(s->at) + k->horizon_ms + 1;
        found = due_ms < found ? due_ms : found;
    }
    return found;
}

enum status end_interaction(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    i->ended = 1;
    i->due = as_instant(0);
    k->live--;
    return mark_changed(k, number);
}

static enum status expire_interaction(kernel *k, uint32_t number, int64_t offset, int64_t produced_ms) {
    interaction *i = interaction_at(k, number);
    int64_t oldest_ms = k->watermark_ms - k->horizon_ms;
    if (mark_changed(k, number) < 0 || close_silent(k, number, offset, produced_ms) < 0) {
        return STATUS_NO_MEMORY;
    }
    TRY(expire_accepted(k, i, oldest_ms));
    expire_conversations(k, i, oldest_ms - k->gap_ms);
    if (i->newest_accepted == 0 && !i->has_latest) {
        return end_interaction(k, number);
    }
    return schedule(k, number, next_due_ms(k, i, oldest_ms));
}

static const kernel *sorted_in; /* For comparing; the lock of the interpreter is held while sorting. */

static int by_key(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return a == b ? 0 : compare_keys(sorted_in, interaction_at(sorted_in, a), interaction_at(sorted_in, b));
}

enum status advance(kernel *k, int64_t offset, int64_t produced_ms) {
    uint32_t count;
    while (timers_next(k, &count) == 0) {
        if (count == 0) {
            return STATUS_OK;
        }
        uint32_t *group = k->timers.group;
        if (count > 1) {
            sorted_in = k;
            qsort(group, count, sizeof *group, by_key);
        }
        for (uint32_t each = 0; each < count; each++) {
            bool again = each > 0 && group[each] == group[each - 1];
            if (!again && expire_interaction(k, group[each], offset, produced_ms) < 0) {
                return STATUS_NO_MEMORY;
            }
        }
    }
    return STATUS_NO_MEMORY;
}

typedef struct { int64_t last_ms; uint32_t number; } still_open;

static int by_end(const void *one, const void *other) {
    const still_open *a = one, *b = other;
    if (a->last_ms != b->last_ms) {
        return a->last_ms < b->last_ms ? -1 : 1;
    }
    return by_key(&a->number, &b->number);
}

enum status close_all(kernel *k, int64_t offset, int64_t produced_ms) {
    still_open *all = NULL;
    uint32_t count = 0, room = 0;
    enum status done = STATUS_OK;
    for (uint32_t number = 1; done == STATUS_OK && number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, number);
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
    k->held_bytes -= room * sizeof *all;
    free(all);
    return done;
}
