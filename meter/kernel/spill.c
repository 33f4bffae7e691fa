/* Interactions that memory has no room for go to a store on disk. unspill.c has the way back.
 *
 * What the store holds, by key:
 *
 *   'i' and the digest of an interaction's key   when it is due (8 bytes), which of its ids are shadowed, its entry
 *   'd', when it is due, and that digest         whether a conversation of it is open (1 byte)
 *   's' and the id of an accepted event          the digest of the interaction that has accepted it
 *
 * An id goes to the store once, the first time its interaction does, and stays there until it is forgotten: where it is
 * not found in memory the store is asked. So of an id that came again after the horizon the store knows the newer event
 * only, and the older one, which is shadowed, is not to remove it. */
#include "module.h"

enum { DUE_KEY_BYTES = 1 + 8 + ID_BYTES };
enum { LOOK_AHEAD = 64 };

void encode_descending(byte *to, int64_t number) {
    for (int each = 0; each < 8; each++) {
        to[each] = (byte)((uint64_t)number >> (56 - 8 * each));
    }
}

void digest_of_key(byte kind, const byte *key, uint32_t bytes, byte *to) {
    event_id digest;
    blake2b_16(key, bytes, NULL, &digest);
    to[0] = kind;
    memcpy(to + 1, digest.bytes, ID_BYTES);
}

enum status add_key(PyObject *list, byte kind, const event_id *id) {
    byte key[1 + ID_BYTES] = {kind};
    memcpy(key + 1, id->bytes, ID_BYTES);
    PyObject *item = PyBytes_FromStringAndSize((const char *)key, sizeof key);
    int done = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(item);
    return done < 0 ? STATUS_RAISED : STATUS_OK;
}

static enum status add_pair(PyObject *list, const byte *key, size_t key_bytes, const byte *value, size_t value_bytes) {
    PyObject *pair = Py_BuildValue("y#y#", key, (Py_ssize_t)key_bytes, value, (Py_ssize_t)value_bytes);
    int done = pair == NULL ? -1 : PyList_Append(list, pair);
    Py_XDECREF(pair);
    return done < 0 ? STATUS_RAISED : STATUS_OK;
}

/* The ids that the store does not have yet, and of those that are shadowed their places, written to `to` from `at` on. */
static enum status add_ids(kernel *k, const interaction *i, const byte *digest, PyObject *pairs, buffer *to, uint32_t *shadowed) {
    uint32_t position = 0;
    for (uint32_t number = i->newest_accepted; number != 0; position++) {
        number = accepted_at(k, number)->next;
        const accepted_event *s = accepted_at(k, number);
        if (s->shadowed) {
            TRY(buffer_room(k, to, sizeof position));
            memcpy(to->bytes + to->count, &position, sizeof position);
            to->count += sizeof position;
            ++*shadowed;
        } else if (!s->stored) {
            byte key[1 + ID_BYTES] = {'s'};
            memcpy(key + 1, s->id.bytes, ID_BYTES);
            TRY(add_pair(pairs, key, sizeof key, digest + 1, ID_BYTES));
        }
        if (number == i->newest_accepted) {
            break;
        }
    }
    return STATUS_OK;
}

static enum status add_stored(kernel *k, uint32_t number, buffer *b, PyObject *pairs) {
    const interaction *i = interaction_at(k, number);
    byte digest[1 + ID_BYTES], due[DUE_KEY_BYTES] = {'d'}, is_open = i->has_latest && !i->latest.closed, key[MOST_KEY_BYTES];
    uint32_t shadowed = 0;
    digest_of_key('i', key, key_of(k, i, key), digest);
    encode_descending(due + 1, ms(i->due));
    memcpy(due + 9, digest + 1, ID_BYTES);
    b->count = 0;
    TRY(buffer_room(k, b, STORED_HEAD_BYTES));
    b->count = STORED_HEAD_BYTES;
    TRY(add_ids(k, i, digest, pairs, b, &shadowed));
    TRY(encode_entry(k, b, number));
    memcpy(b->bytes, due + 1, 8);
    memcpy(b->bytes + 8, &shadowed, sizeof shadowed);
    TRY(add_pair(pairs, due, sizeof due, &is_open, 1));
    return add_pair(pairs, digest, sizeof digest, b->bytes, b->count);
}

static void leave_memory(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    for (uint32_t each = i->newest_accepted; each != 0;) {
        each = accepted_at(k, each)->next;
        const accepted_event *s = accepted_at(k, each);
        if (!s->shadowed) {
            table_remove(&k->by_id, id_hash(k->id_secret, &s->id), each);
        }
        each = each == i->newest_accepted ? 0 : each;
    }
    empty_interaction(k, i);
    i->ended = 1;
    k->live--;
    remove_interaction(k, number);
}

/* spill(cursor, most) -> (what the store is to hold, how many interactions that is, next cursor): from the cursor on, 1 to
 * begin, as many as that of those that no checkpoint waits for; the next cursor is 0 once all have been looked at. */
PyObject *spill_interactions(Kernel *self, PyObject *args) {
    Py_ssize_t cursor, most, count = 0;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "nn:spill", &cursor, &most)) {
        return NULL;
    }
    if (cursor < 1 || most < 1) {
        PyErr_SetString(PyExc_ValueError, "interactions have numbers from 1 on");
        return NULL;
    }
    PyObject *pairs = PyList_New(0);
    buffer b = {NULL, 0, 0};
    enum status done = pairs == NULL ? STATUS_RAISED : STATUS_OK;
    for (; done == STATUS_OK && count < most && cursor <= (Py_ssize_t)k->interactions.made; cursor++) {
        const interaction *i = interaction_at(k, (uint32_t)cursor);
        if (cursor + LOOK_AHEAD <= (Py_ssize_t)k->interactions.made) {
            __builtin_prefetch(interaction_at(k, (uint32_t)cursor + LOOK_AHEAD));
        }
        if (i->used && !i->ended && !i->changed) {
            done = add_stored(k, (uint32_t)cursor, &b, pairs);
            if (done == STATUS_OK) {
                leave_memory(k, (uint32_t)cursor);
                count++;
            }
        }
    }
    k->held_bytes -= b.room;
    free(b.bytes);
    if (done < 0 || timers_compact(k) < 0) {
        Py_XDECREF(pairs);
        return no_memory(self);
    }
    return Py_BuildValue("Nnn", pairs, count, cursor > (Py_ssize_t)k->interactions.made ? 0 : cursor);
}

/* forgotten() -> keys of the ids that the store had and need not have any more, since last asked. */
PyObject *list_dropped_ids(Kernel *self, PyObject *Py_UNUSED(none)) {
    kernel *k = usable(self);
    PyObject *keys = k == NULL ? NULL : PyList_New(0);
    enum status done = keys == NULL ? STATUS_RAISED : STATUS_OK;
    for (uint32_t each = 0; done == STATUS_OK && each < k->dropped_ids.count; each++) {
        done = add_key(keys, 's', &k->dropped_ids.items[each]);
    }
    if (done < 0) {
        Py_CLEAR(keys);
        self->is_broken |= k != NULL;
        return NULL;
    }
    k->dropped_ids.count = 0;
    return keys;
}
