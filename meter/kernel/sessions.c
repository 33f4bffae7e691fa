/* One event: repeated, contradicting, late, or taken in. As Sessions.step and interactions.join, rule by rule. */
#include "kernel.h"

enum { MESSAGE, PROACTIVE, ALERT };
enum { BY_USER, BY_BOT, BY_AGENT, BY_DEVELOPER };

static bool is_occurrence(const event *e) {
    return e->event_class >> 3 != MESSAGE || (e->event_class & 3) >= BY_AGENT;
}

static enum status schedule_no_later(kernel *k, uint32_t number, int64_t due_ms) {
    int64_t known_ms = ms(interaction_at(k, number)->due);
    return known_ms == 0 || due_ms < known_ms ? schedule(k, number, due_ms) : STATUS_OK;
}

/* The number of the accepted event, now the newest of its interaction; `known` has the same id and is out of reach. */
static uint32_t store_accepted(kernel *k, uint32_t in, const event *e, uint32_t known) {
    uint32_t number = pool_allocate(&k->accepted);
    if (number == 0) {
        return 0;
    }
    interaction *i = interaction_at(k, in);
    accepted_event *s = accepted_at(k, number);
    s->id = e->id;
    s->at = as_instant(e->at_ms);
    s->event_class = e->event_class & 31;
    s->owner = in & NUMBERS;
    append_accepted(k, i, number);
    if (known != 0) {
        if (drop_stored_id(k, accepted_at(k, known)) < 0) {
            return 0;
        }
        accepted_at(k, known)->shadowed = 1;
        table_replace(&k->by_id, e->id_hash, known, number);
        return number;
    }
    return index_accepted(k, number) < 0 ? 0 : number;
}

static bool touches(const kernel *k, const conversation *c, int64_t at_ms) {
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
    bool latest = i->has_latest && touches(k, &i->latest, at_ms);
    /* More than a gap lies before the latest one, so what comes after its beginning touches none of the others. */
    if (i->older != 0 && at_ms < ms(i->latest.first)) {
        found.after = 0;
        uint32_t number = i->older;
        do {
            number = older_at(k, number)->next;
            conversation *each = &older_at(k, number)->conversation;
            if (touches(k, each, at_ms)) {
                MUST(found.later == NULL);
                *(found.kept == NULL ? &found.kept : &found.later) = each;
                *(found.kept_number == 0 ? &found.kept_number : &found.later_number) = number;
            }
            if (ms(each->first) > at_ms) {
                break;
            }
            found.after = number;
        } while (number != i->older);
    }
    if (latest) {
        MUST(found.later == NULL);
        *(found.kept == NULL ? &found.kept : &found.later) = &i->latest;
    }
    return found;
}

/* A conversation of one message, in its place among the others. NULL: no memory. */
static conversation *open_conversation(kernel *k, interaction *i, const event *e, uint32_t after) {
    conversation begun = {.opened = as_instant(e->at_ms), .first = as_instant(e->at_ms), .last = as_instant(e->at_ms)};
    conversation_id(&e->id, e->at_ms, &begun.id);
    if (!i->has_latest) {
        i->has_latest = 1;
        i->latest = begun;
        return &i->latest;
    }
    uint32_t number = pool_allocate(&k->older_conversations);
    if (number == 0) {
        return NULL;
    }
    bool is_latest = ms(i->latest.first) < e->at_ms;
    older_at(k, number)->conversation = is_latest ? i->latest : begun;
    insert_older(k, i, after, number);
    if (is_latest) {
        i->has_older_open |= !i->latest.closed;
        i->latest = begun;
    }
    return is_latest ? &i->latest : &older_at(k, number)->conversation;
}

/* The message has bridged two conversations: the later one goes into the other. */
static conversation *absorb(kernel *k, interaction *i, const placement *in) {
    conversation *c = in->kept;
    c->first = ms(in->later->first) < ms(c->first) ? in->later->first : c->first;
    c->last = ms(in->later->last) > ms(c->last) ? in->later->last : c->last;
    MUST(in->kept_number != 0 && c->messages <= UINT32_MAX / 2 - in->later->messages);
    c->messages += in->later->messages;
    c->requests += in->later->requests;
    if (in->later_number != 0) {
        MUST(older_at(k, in->kept_number)->next == in->later_number);
        remove_older(k, i, in->kept_number, in->later_number);
        return c;
    }
    i->latest = *c;
    MUST(i->older == in->kept_number);
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
    return (charge){c->requests > 0, ms(c->first), sessions_of(k, ms(c->first), ms(c->last))};
}

static enum status join(kernel *k, uint32_t number, const event *e) {
    interaction *i = interaction_at(k, number);
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
    MUST(c->messages < UINT32_MAX / 2);
    c->messages++;
    c->requests += (e->event_class & 3) == BY_USER;
    if (in.later != NULL) {
        absorbed = *in.later;
        k->closed_messages -= absorbed.closed ? absorbed.messages : 0;
        c = absorb(k, i, &in);
    }
    c->closed = was_closed && ms(c->last) + k->gap_ms < k->watermark_ms;
    i->has_older_open |= c != &i->latest && !c->closed;
    k->closed_messages += c->closed ? c->messages : 0;
    charge after = charged_by(k, c);
    bool changed = is_new || in.later != NULL || before.billable != after.billable ||
                   before.first_ms != after.first_ms || before.sessions != after.sessions;
    if (schedule_no_later(k, number, ms(c->last) + k->gap_ms + 1) < 0 ||
        (in.later != NULL && add_conversation_update(k, number, &absorbed, &c->id, e->offset, e->produced_ms) < 0)) {
        return STATUS_NO_MEMORY;
    }
    bool tell = was_closed || (c->requests > 0 && changed) || has_update(k, &c->id);
    return tell ? add_conversation_update(k, number, c, NULL, e->offset, e->produced_ms) : STATUS_OK;
}

static enum status accept_event(kernel *k, const event *e, uint32_t known) {
    uint32_t number = find_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash);
    if (number == 0) {
        number = add_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash);
    }
    if (number == 0 || mark_changed(k, number) < 0 || store_accepted(k, number, e, known) == 0) {
        return STATUS_NO_MEMORY;
    }
    interaction *i = interaction_at(k, number);
    if (i->ended) {
        i->ended = 0;
        i->due = as_instant(0);
        k->live++;
    }
    k->watermark_ms = e->at_ms > k->watermark_ms ? e->at_ms : k->watermark_ms;
    TRY(timers_advance(k));
    if (!is_occurrence(e)) {
        return join(k, number, e);
    }
    TRY(schedule_no_later(k, number, e->at_ms + k->horizon_ms + 1));
    return add_occurrence_update(k, number, e);
}

enum status step(kernel *k, const event *e, enum outcome *outcome) {
    int64_t oldest_ms = k->watermark_ms - k->horizon_ms;
    uint32_t known = find_accepted(k, &e->id, e->id_hash);
    enum outcome found = is_occurrence(e) ? ADDED_OCCURRENCE : ADDED_TO_CONVERSATION;
    if (known != 0 && ms(accepted_at(k, known)->at) >= oldest_ms) {
        const accepted_event *s = accepted_at(k, known);
        bool same = ms(s->at) == e->at_ms && s->event_class == e->event_class &&
                    is_key_of(k, interaction_at(k, s->owner), e->key, e->key_bytes, e->scope_bytes);
        found = same ? DUPLICATE : CONFLICT;
        k->watermark_ms = e->at_ms > k->watermark_ms ? e->at_ms : k->watermark_ms;
    } else if (e->at_ms < oldest_ms) {
        *outcome = LATE;
        return STATUS_OK;
    } else {
        TRY(accept_event(k, e, known));
    }
    k->outcomes[found]++;
    *outcome = found;
    return advance(k, e->offset, e->produced_ms);
}
