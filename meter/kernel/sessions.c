/* One event: repeated, contradicting, late, or taken in. As Sessions.step and interactions.join, rule by rule. */
#include "kernel.h"

enum { MESSAGE, PROACTIVE, ALERT };
enum { BY_USER, BY_BOT, BY_AGENT, BY_DEVELOPER };

static bool stands_for_itself(const event *e) {
    return e->what >> 3 != MESSAGE || (e->what & 3) >= BY_AGENT;
}

static int due_by(kernel *k, uint32_t number, int64_t due_ms) {
    int64_t known_ms = ms(interaction_at(k, number)->due);
    return known_ms == 0 || due_ms < known_ms ? schedule(k, number, due_ms) : 0;
}

/* The number of the accepted event, now the newest of its interaction; `known` has the same id and is out of reach. */
static uint32_t accept(kernel *k, uint32_t in, const event *e, uint32_t known) {
    uint32_t number = pool_take(&k->seens);
    if (number == 0) {
        return 0;
    }
    interaction *i = interaction_at(k, in);
    seen *s = seen_at(k, number);
    s->id = e->id;
    s->at_ms = (uint64_t)e->at_ms;
    s->what = e->what;
    s->before = i->seen;
    s->owner = in;
    i->seen = number;
    if (known != 0) {
        seen_at(k, known)->shadowed = 1;
        table_replace(&k->by_id, e->id_hash, known, number);
        return number;
    }
    return index_seen(k, number) < 0 ? 0 : number;
}

/* A conversation of one message, in its place among the others: the one that begins last first. */
static conversation *open_conversation(kernel *k, interaction *i, const event *e) {
    conversation begun = {.opened = as_instant(e->at_ms), .first = as_instant(e->at_ms), .last = as_instant(e->at_ms)};
    conversation_id(&e->id, e->at_ms, &begun.id);
    if (!i->speaks) {
        i->speaks = 1;
        i->latest = begun;
        return &i->latest;
    }
    uint32_t number = pool_take(&k->earliers);
    if (number == 0) {
        return NULL;
    }
    earlier *one = earlier_at(k, number);
    if (ms(i->latest.first) < e->at_ms) {
        *one = (earlier){i->latest, i->older};
        i->older = number;
        i->latest = begun;
        return &i->latest;
    }
    earlier *after = NULL;
    uint32_t next = i->older;
    while (next != 0 && ms(earlier_at(k, next)->said.first) > e->at_ms) {
        after = earlier_at(k, next);
        next = after->older;
    }
    *one = (earlier){begun, next};
    *(after == NULL ? &i->older : &after->older) = number;
    return &one->said;
}

/* Two conversations that the event has bridged, `after` NULL where the later one is the interaction's latest. */
static conversation *absorb(kernel *k, interaction *i, earlier *after, conversation *later, uint32_t number) {
    earlier *kept = earlier_at(k, number);
    conversation *c = &kept->said;
    c->first = ms(later->first) < ms(c->first) ? later->first : c->first;
    c->last = ms(later->last) > ms(c->last) ? later->last : c->last;
    MUST(c->messages <= UINT32_MAX - later->messages);
    c->messages += later->messages;
    c->requests += later->requests;
    if (later == &i->latest) {
        MUST(i->older == number);
        i->latest = kept->said;
        i->older = kept->older;
        pool_give(&k->earliers, number);
        return &i->latest;
    }
    uint32_t gone = after == NULL ? i->older : after->older;
    *(after == NULL ? &i->older : &after->older) = number;
    pool_give(&k->earliers, gone);
    return c;
}

static bool touches(const kernel *k, const conversation *c, int64_t at_ms) {
    return ms(c->first) - k->gap_ms <= at_ms && at_ms <= ms(c->last) + k->gap_ms;
}

static int join(kernel *k, uint32_t number, const event *e) {
    interaction *i = interaction_at(k, number);
    conversation *kept = NULL, *later = NULL;
    earlier *after = NULL; /* The one whose `older` names `later`; NULL where the interaction does. */
    uint32_t older = 0;
    if (i->speaks && touches(k, &i->latest, e->at_ms)) {
        kept = &i->latest;
    }
    earlier *previous = NULL;
    for (uint32_t next = i->older; next != 0;) {
        earlier *each = earlier_at(k, next);
        if (touches(k, &each->said, e->at_ms)) {
            MUST(later == NULL);
            later = kept;
            kept = &each->said;
            if (later == NULL) {
                after = previous;
            }
            older = next;
        } else if (ms(each->said.last) + k->gap_ms < e->at_ms) {
            break;
        }
        previous = each;
        next = each->older;
    }
    bool is_new = kept == NULL;
    if (is_new && (kept = open_conversation(k, i, e)) == NULL) {
        return -1;
    }
    int64_t first_ms = ms(kept->first);
    bool was_billable = kept->requests > 0, was_closed = kept->closed;
    uint32_t sessions = sessions_of(k, first_ms, ms(kept->last));
    k->closed_messages -= kept->closed ? kept->messages : 0;
    kept->first = e->at_ms < first_ms ? as_instant(e->at_ms) : kept->first;
    kept->last = e->at_ms > ms(kept->last) ? as_instant(e->at_ms) : kept->last;
    MUST(kept->messages < UINT32_MAX / 2);
    kept->messages++;
    kept->requests += (e->what & 3) == BY_USER;
    conversation absorbed;
    if (later != NULL) {
        absorbed = *later;
        k->closed_messages -= later->closed ? later->messages : 0;
        kept = absorb(k, i, after, later, older);
    }
    kept->closed = was_closed && ms(kept->last) + k->gap_ms < k->watermark_ms;
    k->closed_messages += kept->closed ? kept->messages : 0;
    bool changed = is_new || later != NULL || was_billable != (kept->requests > 0) || first_ms != ms(kept->first) ||
                   sessions != sessions_of(k, ms(kept->first), ms(kept->last));
    conversation stands = *kept;
    if (due_by(k, number, ms(stands.last) + k->gap_ms + 1) < 0) {
        return -1;
    }
    if (later != NULL && announce(k, number, &absorbed, &stands.id, e->offset, e->produced_ms) < 0) {
        return -1;
    }
    bool tell = was_closed || (stands.requests > 0 && changed) || is_announced(k, &stands.id);
    return tell ? announce(k, number, &stands, NULL, e->offset, e->produced_ms) : 0;
}

static int take_in(kernel *k, const event *e, uint32_t known) {
    uint32_t number = find_interaction(k, e->key, e->key_bytes, e->place_bytes, e->key_hash);
    if (number == 0) {
        number = add_interaction(k, e->key, e->key_bytes, e->place_bytes, e->key_hash);
    }
    if (number == 0 || touch(k, number) < 0 || accept(k, number, e, known) == 0) {
        return -1;
    }
    interaction *i = interaction_at(k, number);
    if (i->ended) {
        i->ended = 0;
        i->due = as_instant(0);
        k->live++;
    }
    k->watermark_ms = e->at_ms > k->watermark_ms ? e->at_ms : k->watermark_ms;
    if (due_reach(k) < 0) {
        return -1;
    }
    if (!stands_for_itself(e)) {
        return join(k, number, e);
    }
    return due_by(k, number, e->at_ms + k->horizon_ms + 1) < 0 ? -1 : occurred(k, number, e);
}

enum outcome step(kernel *k, const event *e) {
    int64_t oldest_ms = k->watermark_ms - k->horizon_ms;
    uint32_t known = find_seen(k, &e->id, e->id_hash);
    enum outcome found = stands_for_itself(e) ? TOLD_OCCURRENCE : TOLD_CONVERSATION;
    if (known != 0 && (int64_t)seen_at(k, known)->at_ms >= oldest_ms) {
        const seen *s = seen_at(k, known);
        bool same = (int64_t)s->at_ms == e->at_ms && s->what == e->what &&
                    is_key_of(k, interaction_at(k, s->owner), e->key, e->key_bytes, e->place_bytes);
        found = same ? DUPLICATE : CONFLICT;
        k->watermark_ms = e->at_ms > k->watermark_ms ? e->at_ms : k->watermark_ms;
    } else if (e->at_ms < oldest_ms) {
        return LATE;
    } else if (take_in(k, e, known) < 0) {
        return NO_MEMORY;
    }
    k->outcomes[found]++;
    return advance(k, e->offset, e->produced_ms) < 0 ? NO_MEMORY : found;
}
