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

/* Whether the event that has the id already is the same one: its tag and its time agree. */
static bool is_repeat(const kernel *k, uint32_t known, const accepted_id *again) {
    const stored_id *s = &bucket_at(k, known >> BUCKET_BITS)->ids[known & (BUCKET_IDS - 1)];
    KERNEL_ASSERT_SLOW(known != 0);
    KERNEL_ASSERT_SLOW(memcmp(s->id, again->id, SHORT_ID_BYTES) == 0);
    return memcmp(s->tag, again->tag, TAG_BYTES) == 0 && ms_of_id(k, known) == ms(again->at);
}

/* Accepts an event outside conversations. It needs no interaction: nothing of it is left but its id. */
static enum status accept_occurrence(kernel *k, const event *e, uint32_t known) {
    accepted_id a = accepted_id_of(e, key_tag_of(e->key, e->key_bytes));
    KERNEL_ASSERT_SLOW(is_occurrence(e));
    KERNEL_ASSERT_SLOW(is_home(k, e->key, e->scope_bytes));
    TRY(add_id(k, &a, e->id_hash, known));
    move_watermark(k, e->at_ms, e->produced_ms);
    TRY(timers_advance(k));
    KERNEL_ASSERT_SLOW(e->at_ms <= k->watermark_ms);
    return add_occurrence_update(k, e);
}

/* Accepts a message of interaction `number`; 0: of one that is not in the state. */
static enum status accept_message(kernel *k, const event *e, uint32_t known, uint32_t number) {
    KERNEL_ASSERT_SLOW(!is_occurrence(e));
    KERNEL_ASSERT_SLOW(number != 0 || is_home(k, e->key, e->scope_bytes));
    if (number == 0) {
        number = add_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash);
    }
    if (number == 0) {
        return STATUS_NO_MEMORY;
    }
    TRY(mark_changed(k, number));
    interaction *i = interaction_at(k, number);
    accepted_id a = accepted_id_of(e, i->key_tag);
    TRY(add_id(k, &a, e->id_hash, known));
    KERNEL_ASSERT_SLOW(i->used);
    if (i->ended) { /* It ended, and no checkpoint has written that yet: it goes on, with nothing. */
        KERNEL_ASSERT_SLOW(!i->has_latest);
        i->ended = 0;
        i->due = as_instant(0);
        k->live++;
    }
    move_watermark(k, e->at_ms, e->produced_ms);
    TRY(timers_advance(k));
    return join(k, number, e);
}

/* Does all that one event does, and writes what became of it to `outcome`. Called for each event in the order of
 * offsets. If it is LATE or MISPLACED, nothing has changed, and the caller refuses or moves the record. All
 * interactions and ids in the state are of workspaces that belong here, so only a new interaction and an
 * occurrence have to be looked at. Returns STATUS_NO_MEMORY. */
enum status step(kernel *k, const event *e, enum outcome *outcome) {
    KERNEL_ASSERT_SLOW(e->at_ms >= 0);
    KERNEL_ASSERT_SLOW(e->at_ms < TIME_LIMIT_MS);
    KERNEL_ASSERT_SLOW(!k->restoring);
    int64_t oldest = oldest_ms(k);
    uint32_t known = find_id(k, e->id.bytes, e->id_hash);
    enum outcome found = is_occurrence(e) ? ADDED_OCCURRENCE : ADDED_TO_CONVERSATION;
    /* An id is free again once its event is out of reach, whether or not it has been forgotten yet. */
    if (known != 0 && ms_of_id(k, known) >= oldest) {
        accepted_id again = accepted_id_of(e, key_tag_of(e->key, e->key_bytes));
        found = is_repeat(k, known, &again) ? DUPLICATE : CONFLICT;
        move_watermark(k, e->at_ms, e->produced_ms); /* A repeat tells the time all the same. */
    } else if (e->at_ms < oldest) {
        *outcome = LATE;
        return STATUS_OK;
    } else {
        bool is_message = found == ADDED_TO_CONVERSATION;
        uint32_t number = is_message ? find_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash) : 0;
        if (number == 0 && !is_home(k, e->key, e->scope_bytes)) {
            *outcome = MISPLACED;
            return STATUS_OK;
        }
        TRY(is_message ? accept_message(k, e, known, number) : accept_occurrence(k, e, known));
    }
    k->outcomes[found]++;
    *outcome = found;
    TRY(advance(k, e->offset, e->produced_ms));
    KERNEL_ASSERT_SLOW(k->watermark_ms >= e->at_ms);
#ifdef KERNEL_CHECK
    uint32_t number = find_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash);
    if (number != 0) { /* 0: a repeat, a conflict or an occurrence without an interaction */
        check_interaction(k, number);
    }
#endif
    return STATUS_OK;
}
