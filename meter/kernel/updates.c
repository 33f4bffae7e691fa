/* What one batch has to tell the wallets: each conversation once, as it stands at the end of the batch, and every
 * occurrence, in the order of the offset that last changed what is told. */
#include "kernel.h"

static uint32_t home(const kernel *k, const event_id *id) {
    return (uint32_t)id_hash(k->id_secret, id) & k->updates.mask;
}

/* The slot of a conversation's newest announcement, or the free one where it would be. */
static uint32_t *slot_of(const kernel *k, const event_id *id) {
    const updates *n = &k->updates;
    uint32_t at = home(k, id);
    while (n->slots[at] != 0 && memcmp(n->conversations.items[n->slots[at] - 1].id.bytes, id->bytes, ID_BYTES) != 0) {
        at = (at + 1) & n->mask;
    }
    return &n->slots[at];
}

bool has_update(const kernel *k, const event_id *id) {
    return k->updates.slots != NULL && *slot_of(k, id) != 0;
}

static enum status make_room(kernel *k) {
    updates *n = &k->updates;
    if (n->slots != NULL && 2 * (n->conversations.count + 1) <= n->mask) {
        return STATUS_OK;
    }
    uint32_t size = n->slots == NULL ? 64 : 2 * (n->mask + 1);
    uint32_t *slots = calloc(size, sizeof *slots);
    if (slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    k->held_bytes += (size - (n->slots == NULL ? 0 : n->mask + 1)) * sizeof *slots;
    free(n->slots);
    n->slots = slots;
    n->mask = size - 1;
    for (uint32_t number = 1; number <= n->conversations.count; number++) {
        const update *each = &n->conversations.items[number - 1];
        if (!each->replaced) {
            *slot_of(k, &each->id) = number;
        }
    }
    return STATUS_OK;
}

/* One more at the end of the list, with the names of its interaction. NULL: no memory. */
static update *add(kernel *k, update_list *list, uint32_t number) {
    updates *n = &k->updates;
    const interaction *i = interaction_at(k, number);
    uint32_t user_bytes;
    const byte *user = string_at(&k->strings, i->user, &user_bytes);
    if (grow(&list->items, &list->room, list->count + 1, sizeof *list->items, &k->held_bytes) < 0) {
        return NULL;
    }
    if (n->users_room - n->users_bytes < user_bytes) {
        size_t room = 2 * n->users_room + 2 * MOST_TEXT_BYTES;
        byte *names = resized(n->users, n->users_room, room, &k->held_bytes);
        if (names == NULL) {
            return NULL;
        }
        n->users = names;
        n->users_room = room;
    }
    update *one = &list->items[list->count++];
    memset(one, 0, sizeof *one);
    memcpy(n->users + n->users_bytes, user, user_bytes);
    one->user_at = n->users_bytes;
    one->user_bytes = (uint16_t)user_bytes;
    n->users_bytes += user_bytes;
    one->scope = i->scope;
    scope_at(k, i->scope)->uses++;
    return one;
}

enum status add_conversation_update(kernel *k, uint32_t number, const conversation *c, const event_id *into, int64_t offset, int64_t produced_ms) {
    TRY(make_room(k));
    uint32_t *slot = slot_of(k, &c->id);
    if (*slot != 0) {
        k->updates.conversations.items[*slot - 1].replaced = true;
    }
    update *one = add(k, &k->updates.conversations, number);
    if (one == NULL) {
        return STATUS_NO_MEMORY;
    }
    one->id = c->id;
    one->state = into != NULL ? ABSORBED : c->closed ? CLOSED : OPEN;
    one->opened_ms = ms(c->opened);
    one->first_ms = ms(c->first);
    one->last_ms = ms(c->last);
    one->offset = offset;
    one->produced_ms = produced_ms;
    if (into != NULL) {
        one->into = *into;
    } else {
        one->messages = c->messages;
        one->requests = c->requests;
    }
    *slot = k->updates.conversations.count;
    return STATUS_OK;
}

enum status add_occurrence_update(kernel *k, uint32_t number, const event *e) {
    update *one = add(k, &k->updates.occurrences, number);
    if (one == NULL) {
        return STATUS_NO_MEMORY;
    }
    one->id = e->id;
    one->event_class = e->event_class;
    one->first_ms = e->at_ms;
    one->offset = e->offset;
    one->produced_ms = e->produced_ms;
    return STATUS_OK;
}

const update *next_update(const kernel *k, uint32_t at[2], bool *is_conversation) {
    const update_list *said = &k->updates.conversations, *happened = &k->updates.occurrences;
    while (at[0] < said->count && said->items[at[0]].replaced) {
        at[0]++;
    }
    const update *one = at[0] < said->count ? &said->items[at[0]] : NULL;
    const update *other = at[1] < happened->count ? &happened->items[at[1]] : NULL;
    /* Of what one event caused, conversations come first. */
    *is_conversation = other == NULL || (one != NULL && one->offset <= other->offset);
    const update *next = *is_conversation ? one : other;
    at[*is_conversation ? 0 : 1] += next != NULL;
    return next;
}

static void clear_list(kernel *k, update_list *list, uint32_t most_room) {
    for (uint32_t each = 0; each < list->count; each++) {
        scope_release(k, list->items[each].scope);
    }
    list->count = 0;
    if (list->room > most_room) {
        k->held_bytes -= list->room * sizeof *list->items;
        free(list->items);
        list->items = NULL;
        list->room = 0;
    }
}

void clear_updates(kernel *k) {
    enum { USUAL = 16 * 1024 }; /* Room that is kept for the next batch. */
    updates *n = &k->updates;
    clear_list(k, &n->conversations, USUAL);
    clear_list(k, &n->occurrences, USUAL);
    n->users_bytes = 0;
    if (n->users_room > USUAL * 64) {
        k->held_bytes -= n->users_room;
        free(n->users);
        n->users = NULL;
        n->users_room = 0;
    }
    if (n->slots != NULL && n->mask < 4 * USUAL) {
        memset(n->slots, 0, (n->mask + 1) * sizeof *n->slots);
    } else if (n->slots != NULL) {
        k->held_bytes -= (n->mask + 1) * sizeof *n->slots;
        free(n->slots);
        n->slots = NULL;
    }
}
