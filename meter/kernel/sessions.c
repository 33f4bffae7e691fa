/* One event: a repeat, a conflict, late, or accepted. The same rules, to be read, are Sessions.step in
 * meter/core/sessions/sessionize.py.
 *
 * Owns the order of what an event does: it is looked up, accepted, joined to a conversation or counted as an
 * occurrence, and then event time is dealt with. Invariants: the watermark never goes back; a late event changes
 * nothing. */
#include "kernel.h"

static bool is_occurrence(const event *e) {
    KERNEL_ASSERT_SLOW(e->event_class < EVENT_CLASSES);
    return e->event_class >> 3 != MESSAGE || (e->event_class & 3) >= BY_AGENT;
}

void move_watermark(kernel *k, int64_t at_ms, int64_t arrived_ms) {
    KERNEL_ASSERT_SLOW(at_ms < TIME_LIMIT_MS);
    KERNEL_ASSERT_SLOW(k->watermark_ms >= 0);
    if (at_ms > k->watermark_ms) {
        k->watermark_ms = at_ms;
        k->arrived_ms = arrived_ms;
    }
}

/* Stores an event as the newest of the interaction `owner`, and indexes its id. `known`, if not 0, has the same id
 * and is out of reach: it is shadowed from now on. */
static enum status store_accepted(kernel *k, uint32_t owner, const event *e, uint32_t known) {
    KERNEL_ASSERT_SLOW(owner != 0);
    KERNEL_ASSERT_SLOW(owner <= MAX_ITEMS);
    uint32_t number = pool_allocate(&k->accepted);
    if (number == 0) {
        return STATUS_NO_MEMORY;
    }
    interaction *i = interaction_at(k, owner);
    accepted_event *a = accepted_at(k, number);
    a->id = e->id;
    a->at = as_instant(e->at_ms);
    a->event_class = e->event_class & 31;
    a->owner = owner & ITEM_MASK;
    append_accepted(k, i, number);
    if (known == 0) {
        return index_accepted(k, number);
    }
    KERNEL_ASSERT_SLOW(known != number);
    KERNEL_ASSERT_SLOW(!accepted_at(k, known)->shadowed);
    KERNEL_ASSERT_SLOW(ms(accepted_at(k, known)->at) < oldest_ms(k));
    TRY(drop_stored_id(k, accepted_at(k, known)));
    accepted_at(k, known)->shadowed = 1;
    table_replace(&k->by_id, e->id_hash, known, number);
    return STATUS_OK;
}

/* Accepts an event of interaction `number`; 0: of one that is not in the state. */
static enum status accept_event(kernel *k, const event *e, uint32_t known, uint32_t number) {
    KERNEL_ASSERT_SLOW(number != 0 || is_home(k, e->key, e->scope_bytes));
    if (number == 0) {
        number = add_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash);
    }
    if (number == 0) {
        return STATUS_NO_MEMORY;
    }
    TRY(mark_changed(k, number));
    TRY(store_accepted(k, number, e, known));
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT_SLOW(i->used);
    KERNEL_ASSERT_SLOW(i->newest_accepted != 0);
    if (i->ended) { /* It ended, and no checkpoint has written that yet: it goes on, with nothing. */
        KERNEL_ASSERT_SLOW(!i->has_latest);
        i->ended = 0;
        i->due = as_instant(0);
        k->live++;
    }
    move_watermark(k, e->at_ms, e->produced_ms);
    TRY(timers_advance(k));
    if (!is_occurrence(e)) {
        return join(k, number, e);
    }
    TRY(schedule_no_later(k, number, e->at_ms + k->horizon_ms + 1));
    return add_occurrence_update(k, number, e);
}

/* Does all that one event does, and writes what became of it to `outcome`. Called for each event in the order of
 * offsets. If it is LATE or MISPLACED, nothing has changed, and the caller refuses or moves the record. All
 * interactions and ids in the state are of workspaces that belong here, so only a new interaction has to be looked
 * at. Returns STATUS_NO_MEMORY. */
enum status step(kernel *k, const event *e, enum outcome *outcome) {
    KERNEL_ASSERT_SLOW(e->at_ms >= 0);
    KERNEL_ASSERT_SLOW(e->at_ms < TIME_LIMIT_MS);
    KERNEL_ASSERT_SLOW(!k->restoring);
    int64_t oldest = oldest_ms(k);
    uint32_t known = find_accepted(k, &e->id, e->id_hash);
    enum outcome found = is_occurrence(e) ? ADDED_OCCURRENCE : ADDED_TO_CONVERSATION;
    /* An id is free again once its event is out of reach, whether or not it has been forgotten yet. */
    if (known != 0 && ms(accepted_at(k, known)->at) >= oldest) {
        const accepted_event *a = accepted_at(k, known);
        KERNEL_ASSERT_SLOW(a->owner != 0);
        KERNEL_ASSERT_SLOW(!a->shadowed);
        bool same = ms(a->at) == e->at_ms && a->event_class == e->event_class &&
                    is_key_of(k, interaction_at(k, a->owner), e->key, e->key_bytes, e->scope_bytes);
        found = same ? DUPLICATE : CONFLICT;
        move_watermark(k, e->at_ms, e->produced_ms); /* A repeat tells the time all the same. */
    } else if (e->at_ms < oldest) {
        *outcome = LATE;
        return STATUS_OK;
    } else {
        uint32_t owner = find_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash);
        if (owner == 0 && !is_home(k, e->key, e->scope_bytes)) {
            *outcome = MISPLACED;
            return STATUS_OK;
        }
        TRY(accept_event(k, e, known, owner));
    }
    k->outcomes[found]++;
    *outcome = found;
    TRY(advance(k, e->offset, e->produced_ms));
    KERNEL_ASSERT_SLOW(k->watermark_ms >= e->at_ms);
#ifdef KERNEL_CHECK
    uint32_t number = find_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash);
    if (number != 0) { /* 0: a conflict whose own key is not known */
        check_interaction(k, number);
    }
#endif
    return STATUS_OK;
}
