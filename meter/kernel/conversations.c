/* A message among the conversations of its interaction: it opens one, extends one, or bridges two. The same rules,
 * to be read, are `join` in meter/core/sessions/conversations.py.
 *
 * Owns the conversations of an interaction. Invariants: they are in order of time and more than a gap apart, so a
 * message touches at most two; the latest lies in the interaction, the others in the ring `older`. */
#include "kernel.h"

/* Whether a message at that time belongs to the conversation: at most a gap from either end, or between. */
static bool touches(const kernel *k, const conversation *c, int64_t at_ms) {
    KERNEL_ASSERT_SLOW(ms(c->first) <= ms(c->last));
    KERNEL_ASSERT_SLOW(c->requests <= c->messages);
    return ms(c->first) - k->gap_ms <= at_ms && at_ms <= ms(c->last) + k->gap_ms;
}

typedef struct { /* where a message belongs */
    conversation *kept, *later; /* the one it touches, and the next one if it touches both; NULL: none */
    uint32_t kept_number;       /* of `kept` if it is an older one, else 0 */
    uint32_t later_number;      /* the same of `later` */
    uint32_t after;             /* the last older conversation that begins before the message; 0: none does */
} placement;

static placement find_placement(const kernel *k, interaction *i, int64_t at_ms) {
    placement found = {NULL, NULL, 0, 0, i->older};
    bool touches_latest = i->has_latest && touches(k, &i->latest, at_ms);
    /* The latest one begins more than a gap after the others end, so a message after its beginning touches none of
     * them. */
    if (i->older != 0 && at_ms < ms(i->latest.first)) {
        KERNEL_ASSERT_SLOW(i->has_latest);
        found.after = 0;
        uint32_t number = i->older;
        do {
            number = older_at(k, number)->next;
            conversation *each = &older_at(k, number)->conversation;
            if (touches(k, each, at_ms)) {
                KERNEL_ASSERT(found.later == NULL);
                *(found.kept == NULL ? &found.kept : &found.later) = each;
                *(found.kept_number == 0 ? &found.kept_number : &found.later_number) = number;
            }
            if (ms(each->first) > at_ms) {
                break;
            }
            found.after = number;
        } while (number != i->older);
    }
    if (touches_latest) {
        KERNEL_ASSERT(found.later == NULL);
        *(found.kept == NULL ? &found.kept : &found.later) = &i->latest;
    }
    KERNEL_ASSERT(found.kept != NULL || found.later == NULL);
    return found;
}

/* Opens a conversation, still without a message, between the others. Returns NULL if there is no memory. */
static conversation *open_conversation(kernel *k, interaction *i, const event *e, uint32_t after) {
    instant at = as_instant(e->at_ms);
    conversation begun = {.opened = at, .first = at, .last = at};
    conversation_id(&e->id, e->at_ms, &begun.id);
    if (!i->has_latest) {
        KERNEL_ASSERT_SLOW(i->older == 0);
        KERNEL_ASSERT_SLOW(after == 0);
        i->has_latest = 1;
        i->latest = begun;
        return &i->latest;
    }
    uint32_t number = pool_allocate(&k->older_conversations);
    if (number == 0) {
        return NULL;
    }
    KERNEL_ASSERT_SLOW(ms(i->latest.first) != e->at_ms); /* Then the message would belong to it. */
    bool is_latest = ms(i->latest.first) < e->at_ms;
    older_at(k, number)->conversation = is_latest ? i->latest : begun;
    insert_older(k, i, after, number);
    if (is_latest) {
        i->has_older_open |= !i->latest.closed;
        i->latest = begun;
    }
    return is_latest ? &i->latest : &older_at(k, number)->conversation;
}

/* A message has bridged two conversations: adds the later one to the earlier one, which keeps its id, and removes it.
 * Returns where the one that is left lies now. */
static conversation *absorb(kernel *k, interaction *i, const placement *in) {
    conversation *c = in->kept;
    KERNEL_ASSERT(in->kept_number != 0); /* Another one is later, so it is not the latest. */
    KERNEL_ASSERT(c->messages <= UINT32_MAX / 2 - in->later->messages);
    c->first = ms(in->later->first) < ms(c->first) ? in->later->first : c->first;
    c->last = ms(in->later->last) > ms(c->last) ? in->later->last : c->last;
    c->messages += in->later->messages;
    c->requests += in->later->requests;
    if (in->later_number != 0) {
        KERNEL_ASSERT(older_at(k, in->kept_number)->next == in->later_number);
        remove_older(k, i, in->kept_number, in->later_number);
        return c;
    }
    i->latest = *c;
    KERNEL_ASSERT(i->older == in->kept_number);
    uint32_t before = i->older;
    while (older_at(k, before)->next != in->kept_number) {
        before = older_at(k, before)->next;
    }
    remove_older(k, i, before, in->kept_number);
    return &i->latest;
}

typedef struct { /* what a charge depends on: whether there is one, from when, and for how many sessions */
    bool billable;
    int64_t first_ms;
    uint32_t sessions;
} charge;

static charge charged_by(const kernel *k, const conversation *c) {
    KERNEL_ASSERT_SLOW(ms(c->first) <= ms(c->last));
    return (charge){c->requests > 0, ms(c->first), session_count(k, ms(c->first), ms(c->last))};
}

static bool is_same_charge(const charge *one, const charge *other) {
    KERNEL_ASSERT_SLOW(one->sessions > 0);
    KERNEL_ASSERT_SLOW(other->sessions > 0);
    return one->billable == other->billable && one->first_ms == other->first_ms && one->sessions == other->sessions;
}

/* Adds a message to the conversations of its interaction, schedules the interaction, and notes what the wallet has
 * to be told. Called when the event is accepted and the watermark has moved, before `advance`. Returns
 * STATUS_NO_MEMORY. */
enum status join(kernel *k, uint32_t number, const event *e) {
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT_SLOW(i->used);
    KERNEL_ASSERT_SLOW(!i->ended);
    KERNEL_ASSERT_SLOW(e->event_class >> 3 == MESSAGE);
    KERNEL_ASSERT_SLOW(e->at_ms <= k->watermark_ms);
    placement in = find_placement(k, i, e->at_ms);
    bool is_new = in.kept == NULL;
    if (is_new && (in.kept = open_conversation(k, i, e, in.after)) == NULL) {
        return STATUS_NO_MEMORY;
    }
    conversation *c = in.kept, absorbed;
    charge before = charged_by(k, c);
    bool was_closed = c->closed;
    k->closed_messages -= c->closed ? c->messages : 0;
    c->first = e->at_ms < ms(c->first) ? as_instant(e->at_ms) : c->first;
    c->last = e->at_ms > ms(c->last) ? as_instant(e->at_ms) : c->last;
    KERNEL_ASSERT(c->messages < UINT32_MAX / 2);
    KERNEL_ASSERT(c->requests <= c->messages);
    c->messages++;
    c->requests += (e->event_class & 3) == BY_USER;
    if (in.later != NULL) {
        absorbed = *in.later;
        k->closed_messages -= absorbed.closed ? absorbed.messages : 0;
        c = absorb(k, i, &in);
    }
    /* A closed conversation that a message has extended is open again, unless event time has passed it by now. */
    c->closed = was_closed && ms(c->last) + k->gap_ms < k->watermark_ms;
    i->has_older_open |= c != &i->latest && !c->closed;
    k->closed_messages += c->closed ? c->messages : 0;
    charge after = charged_by(k, c);
    bool changed = is_new || in.later != NULL || !is_same_charge(&before, &after);
    TRY(schedule_no_later(k, number, ms(c->last) + k->gap_ms + 1));
    if (in.later != NULL) { /* The wallet is told in any case: an earlier run may have told of the absorbed one. */
        TRY(add_conversation_update(k, number, &absorbed, &c->id, e->offset, e->produced_ms));
    }
    bool is_told = was_closed || (c->requests > 0 && changed) || has_update(k, &c->id);
    return is_told ? add_conversation_update(k, number, c, NULL, e->offset, e->produced_ms) : STATUS_OK;
}
