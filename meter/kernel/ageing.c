/* What event time does: conversations close, and what no late event can reach any more is forgotten. */
#include "kernel.h"

int close_conversation(kernel *k, uint32_t number, conversation *c, int64_t offset, int64_t produced_ms) {
    c->closed = 1;
    k->closed_messages += c->messages;
    return announce(k, number, c, NULL, offset, produced_ms);
}

/* Close those of an interaction that have been silent for longer than the gap, the first one first. */
static int close_silent(kernel *k, uint32_t number, int64_t offset, int64_t produced_ms) {
    interaction *i = interaction_at(k, number);
    uint32_t count = 0;
    for (uint32_t next = i->older; next != 0; next = earlier_at(k, next)->older) {
        const conversation *c = &earlier_at(k, next)->said;
        if (!c->closed && ms(c->last) + k->gap_ms < k->watermark_ms) {
            if (grow(&k->closing.items, &k->closing.room, count + 1, sizeof *k->closing.items, &k->held_bytes) < 0) {
                return -1;
            }
            k->closing.items[count++] = next;
        }
    }
    while (count > 0) {
        conversation *c = &earlier_at(k, k->closing.items[--count])->said;
        if (close_conversation(k, number, c, offset, produced_ms) < 0) {
            return -1;
        }
    }
    if (i->speaks && !i->latest.closed && ms(i->latest.last) + k->gap_ms < k->watermark_ms) {
        return close_conversation(k, number, &i->latest, offset, produced_ms);
    }
    return 0;
}

static void forget_seen(kernel *k, interaction *i, int64_t oldest_ms) {
    uint32_t kept = 0, next;
    for (uint32_t number = i->seen; number != 0; number = next) {
        seen *s = seen_at(k, number);
        next = s->before;
        if ((int64_t)s->at_ms >= oldest_ms) {
            kept = number;
            continue;
        }
        if (!s->shadowed) {
            table_remove(&k->by_id, id_hash(k->id_secret, &s->id), number);
        }
        pool_give(&k->seens, number);
        if (kept == 0) {
            i->seen = next;
        } else {
            seen_at(k, kept)->before = next;
        }
    }
}

/* Those that begin first end first, so what is out of reach is the end of the chain. */
static void forget_conversations(kernel *k, interaction *i, int64_t reach_ms) {
    uint32_t kept = 0, next;
    for (uint32_t number = i->older; number != 0; number = next) {
        earlier *each = earlier_at(k, number);
        next = each->older;
        if (ms(each->said.last) >= reach_ms) {
            kept = number;
            continue;
        }
        pool_give(&k->earliers, number);
        if (kept == 0) {
            i->older = next;
        } else {
            earlier_at(k, kept)->older = next;
        }
    }
    if (i->speaks && ms(i->latest.last) < reach_ms) {
        MUST(i->older == 0);
        i->speaks = 0;
    }
}

static int64_t next_due_ms(const kernel *k, const interaction *i) {
    int64_t found = INT64_MAX;
    if (i->seen != 0) {
        found = (int64_t)seen_at(k, i->seen)->at_ms + k->horizon_ms + 1;
    }
    const conversation *c = i->speaks ? &i->latest : NULL;
    for (uint32_t next = i->older; c != NULL;) {
        int64_t due_ms = ms(c->last) + k->gap_ms + 1 + (c->closed ? k->horizon_ms : 0);
        found = due_ms < found ? due_ms : found;
        c = next == 0 ? NULL : &earlier_at(k, next)->said;
        next = next == 0 ? 0 : earlier_at(k, next)->older;
    }
    return found;
}

int end_interaction(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    i->ended = 1;
    i->due = as_instant(0);
    k->live--;
    return touch(k, number);
}

static int age(kernel *k, uint32_t number, int64_t offset, int64_t produced_ms) {
    interaction *i = interaction_at(k, number);
    int64_t oldest_ms = k->watermark_ms - k->horizon_ms;
    if (touch(k, number) < 0 || close_silent(k, number, offset, produced_ms) < 0) {
        return -1;
    }
    forget_seen(k, i, oldest_ms);
    forget_conversations(k, i, oldest_ms - k->gap_ms);
    if (i->seen == 0 && !i->speaks) {
        return end_interaction(k, number);
    }
    return schedule(k, number, next_due_ms(k, i));
}

static const kernel *sorted_in; /* For comparing; the lock of the interpreter is held while sorting. */

static int by_key(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return a == b ? 0 : compare_keys(sorted_in, interaction_at(sorted_in, a), interaction_at(sorted_in, b));
}

int advance(kernel *k, int64_t offset, int64_t produced_ms) {
    uint32_t count;
    while (due_next(k, &count) == 0) {
        if (count == 0) {
            return 0;
        }
        uint32_t *group = k->due.group;
        if (count > 1) {
            sorted_in = k;
            qsort(group, count, sizeof *group, by_key);
        }
        for (uint32_t each = 0; each < count; each++) {
            bool again = each > 0 && group[each] == group[each - 1];
            if (!again && age(k, group[each], offset, produced_ms) < 0) {
                return -1;
            }
        }
    }
    return -1;
}

typedef struct { int64_t last_ms; uint32_t number; conversation *said; } still_open;

static int by_end(const void *one, const void *other) {
    const still_open *a = one, *b = other;
    if (a->last_ms != b->last_ms) {
        return a->last_ms < b->last_ms ? -1 : 1;
    }
    return by_key(&a->number, &b->number);
}

int close_all(kernel *k, int64_t offset, int64_t produced_ms) {
    still_open *all = NULL;
    uint32_t count = 0, room = 0;
    int done = 0;
    for (uint32_t number = 1; done == 0 && number <= k->interactions.made; number++) {
        interaction *i = interaction_at(k, number);
        conversation *c = i->used && i->speaks ? &i->latest : NULL;
        for (uint32_t next = c == NULL ? 0 : i->older; done == 0 && c != NULL;) {
            if (!c->closed && (done = grow(&all, &room, count + 1, sizeof *all, &k->held_bytes)) == 0) {
                all[count++] = (still_open){ms(c->last), number, c};
            }
            c = next == 0 ? NULL : &earlier_at(k, next)->said;
            next = next == 0 ? 0 : earlier_at(k, next)->older;
        }
    }
    sorted_in = k;
    if (count > 1) {
        qsort(all, count, sizeof *all, by_end);
    }
    for (uint32_t each = 0; done == 0 && each < count; each++) {
        done = touch(k, all[each].number);
        done = done == 0 ? close_conversation(k, all[each].number, all[each].said, offset, produced_ms) : done;
    }
    k->held_bytes -= room * sizeof *all;
    free(all);
    return done;
}
