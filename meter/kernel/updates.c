/* What one batch tells the wallets: each conversation once, as it stands at the end of the batch, and every
 * occurrence, in the order of the offset that last changed what is told. The same rules, to be read, are
 * meter/core/sessions/updates.py.
 *
 * Owns the updates of the present batch, a table from conversation ids to them, and copies of the channel users'
 * names; each update uses a channel scope. Invariants: of a conversation only the newest update is not `replaced`,
 * and the table names it; both lists are in the order of offsets. */
#include "kernel.h"

static uint32_t home(const kernel *k, const event_id *id) {
    KERNEL_ASSERT_SLOW(((k->updates.mask + 1) & k->updates.mask) == 0); /* The size is a power of two. */
    return (uint32_t)id_hash(k->id_secret, id->bytes) & k->updates.mask;
}

/* The slot of a conversation's newest update, or the free one where it would be. */
static uint32_t *slot_of(const kernel *k, const event_id *id) {
    const updates *u = &k->updates;
    uint32_t at = home(k, id);
    KERNEL_ASSERT_SLOW(u->slots != NULL);
    KERNEL_ASSERT_SLOW(u->conversations.count <= u->mask); /* One slot is free, so the search ends. */
    while (u->slots[at] != 0 && memcmp(u->conversations.items[u->slots[at] - 1].id.bytes, id->bytes, ID_BYTES) != 0) {
        KERNEL_ASSERT_SLOW(u->slots[at] <= u->conversations.count);
        at = (at + 1) & u->mask;
    }
    return &u->slots[at];
}

/* Whether this batch tells of the conversation already. */
bool has_update(const kernel *k, const event_id *id) {
    KERNEL_ASSERT_SLOW(k->updates.slots != NULL || k->updates.conversations.count == 0);
    return k->updates.slots != NULL && *slot_of(k, id) != 0;
}

/* Makes room in the table for one more. It is at most half full. */
static enum status make_room(kernel *k) {
    updates *u = &k->updates;
    if (u->slots != NULL && 2 * (u->conversations.count + 1) <= u->mask) {
        return STATUS_OK;
    }
    KERNEL_ASSERT(u->mask < UINT32_MAX / 4);
    uint32_t size = u->slots == NULL ? 64 : 2 * (u->mask + 1);
    uint32_t *slots = calloc(size, sizeof *slots);
    if (slots == NULL) {
        return STATUS_NO_MEMORY;
    }
    k->held_bytes += (size - (u->slots == NULL ? 0 : u->mask + 1)) * sizeof *slots;
    free(u->slots);
    u->slots = slots;
    u->mask = size - 1;
    for (uint32_t number = 1; number <= u->conversations.count; number++) {
        const update *each = &u->conversations.items[number - 1];
        if (!each->replaced) {
            *slot_of(k, &each->id) = number;
        }
    }
    KERNEL_ASSERT(u->conversations.count < u->mask);
    return STATUS_OK;
}

/* Adds an update at the end of the list, with its channel user and one use of its scope, which the caller has acquired.
 * Returns NULL if there is no memory. */
static update *add(kernel *k, update_list *list, uint32_t scope, const byte *user, uint32_t user_bytes) {
    updates *u = &k->updates;
    KERNEL_ASSERT_SLOW(scope_at(k, scope)->uses > 0);
    KERNEL_ASSERT_SLOW(u->users_bytes <= u->users_room);
    if (grow(&list->items, &list->room, list->count + 1, sizeof *list->items, &k->held_bytes) < 0) {
        return NULL;
    }
    if (u->users_room - u->users_bytes < user_bytes) {
        size_t room = 2 * u->users_room + 2 * MAX_TEXT_BYTES;
        byte *users = resized(u->users, u->users_room, room, &k->held_bytes);
        if (users == NULL) {
            return NULL;
        }
        u->users = users;
        u->users_room = room;
    }
    KERNEL_ASSERT_SLOW(u->users_bytes + user_bytes <= u->users_room);
    KERNEL_ASSERT_SLOW(u->users_bytes <= UINT32_MAX);
    update *one = &list->items[list->count++];
    memset(one, 0, sizeof *one);
    memcpy(u->users + u->users_bytes, user, user_bytes);
    one->user_at = (uint32_t)u->users_bytes;
    one->user_bytes = (uint16_t)user_bytes;
    u->users_bytes += user_bytes;
    one->scope = scope;
    return one;
}

/* The same for the names of an interaction. */
static update *add_named(kernel *k, update_list *list, uint32_t number) {
    const interaction *i = interaction_at(k, number);
    KERNEL_ASSERT_SLOW(i->used);
    uint32_t user_bytes;
    const byte *user = string_at(&k->strings, i->user, &user_bytes);
    scope_at(k, i->scope)->uses++;
    KERNEL_ASSERT_SLOW(user_bytes <= MAX_TEXT_BYTES);
    return add(k, list, i->scope, user, user_bytes);
}

/* Adds the conversation's present state to the batch's updates. It replaces an earlier update of this batch. `into`:
 * the id of the conversation that has absorbed it, or NULL. Called after each change that a wallet has to hear of.
 * Copies what it is given. Returns STATUS_NO_MEMORY. */
enum status add_conversation_update(kernel *k, uint32_t number, const conversation *c, const event_id *into,
                                    int64_t offset, int64_t produced_ms) {
    TRY(make_room(k));
    uint32_t *slot = slot_of(k, &c->id);
    if (*slot != 0) {
        update *former = &k->updates.conversations.items[*slot - 1];
        KERNEL_ASSERT_SLOW(!former->replaced);
        former->replaced = true;
    }
    update *one = add_named(k, &k->updates.conversations, number);
    if (one == NULL) {
        return STATUS_NO_MEMORY;
    }
    one->id = c->id;
    one->state = into != NULL ? ABSORBED : c->closed ? CLOSED : OPEN;
    one->opened_ms = ms(c->opened);
    one->first_ms = ms(c->first);
    one->last_ms = ms(c->last);
    KERNEL_ASSERT_SLOW(one->first_ms <= one->last_ms);
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

/* Tells of an occurrence. Called once for each event that is one. Returns STATUS_NO_MEMORY. */
enum status add_occurrence_update(kernel *k, const event *e) {
    KERNEL_ASSERT_SLOW(e->event_class < EVENT_CLASSES);
    KERNEL_ASSERT_SLOW(e->event_class >> 3 != MESSAGE || (e->event_class & 3) >= BY_AGENT);
    uint32_t scope = scope_acquire(k, e->key, e->scope_bytes);
    if (scope == 0) {
        return STATUS_NO_MEMORY;
    }
    update *one = add(k, &k->updates.occurrences, scope, e->key + e->scope_bytes, e->key_bytes - e->scope_bytes);
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

/* Returns the next update in the order of offsets, or NULL at the end. `at` begins as {0, 0} and belongs to the
 * walk. No update may be added meanwhile. The update belongs to the kernel. */
const update *next_update(const kernel *k, uint32_t at[2], bool *is_conversation) {
    const update_list *conversations = &k->updates.conversations, *occurrences = &k->updates.occurrences;
    KERNEL_ASSERT_SLOW(at[0] <= conversations->count);
    KERNEL_ASSERT_SLOW(at[1] <= occurrences->count);
    while (at[0] < conversations->count && conversations->items[at[0]].replaced) {
        at[0]++;
    }
    const update *one = at[0] < conversations->count ? &conversations->items[at[0]] : NULL;
    const update *other = at[1] < occurrences->count ? &occurrences->items[at[1]] : NULL;
    KERNEL_ASSERT_SLOW(one == NULL || *slot_of(k, &one->id) == at[0] + 1);
    /* Of what one event caused, conversations come first. */
    *is_conversation = other == NULL || (one != NULL && one->offset <= other->offset);
    const update *next = *is_conversation ? one : other;
    at[*is_conversation ? 0 : 1] += next != NULL;
    return next;
}

static void clear_list(kernel *k, update_list *list, uint32_t max_room) {
    KERNEL_ASSERT(list->count <= list->room);
    for (uint32_t each = 0; each < list->count; each++) {
        scope_release(k, list->items[each].scope);
    }
    list->count = 0;
    if (list->room > max_room) {
        KERNEL_ASSERT(k->held_bytes >= list->room * sizeof *list->items);
        k->held_bytes -= list->room * sizeof *list->items;
        free(list->items);
        list->items = NULL;
        list->room = 0;
    }
}

/* Forgets all updates. Called when they were packed, or when a batch begins and those of the last one were not asked
 * for. Keeps the room that a batch of the usual size needs. */
void clear_updates(kernel *k) {
    enum { USUAL = 16 * 1024 };
    updates *u = &k->updates;
    clear_list(k, &u->conversations, USUAL);
    clear_list(k, &u->occurrences, USUAL);
    u->users_bytes = 0;
    if (u->users_room > USUAL * 64) {
        k->held_bytes -= u->users_room;
        free(u->users);
        u->users = NULL;
        u->users_room = 0;
    }
    if (u->slots != NULL && u->mask < 4 * USUAL) {
        memset(u->slots, 0, (u->mask + 1) * sizeof *u->slots);
    } else if (u->slots != NULL) {
        KERNEL_ASSERT(k->held_bytes >= (u->mask + 1) * sizeof *u->slots);
        k->held_bytes -= (u->mask + 1) * sizeof *u->slots;
        free(u->slots);
        u->slots = NULL;
    }
}

/* Counts the updates of the batch by kind. Called when a batch ends, before they are packed. */
void count_updates(const kernel *k, uint64_t counts[KINDS]) {
    uint32_t at[2] = {0, 0};
    bool is_conversation;
    memset(counts, 0, KINDS * sizeof *counts);
    for (const update *each; (each = next_update(k, at, &is_conversation)) != NULL;) {
        int kind = is_conversation ? (int)each->state : kind_of(each);
        KERNEL_ASSERT(kind >= 0);
        KERNEL_ASSERT(kind < KINDS);
        counts[kind]++;
    }
    KERNEL_ASSERT(at[0] == k->updates.conversations.count);
    KERNEL_ASSERT(at[1] == k->updates.occurrences.count);
}
