/* Interactions that memory has no room for go to a store on disk. wanted.c and unspill.c have the way back.
 *
 * Owns the form of what the store holds, by key:
 *
 *   'i' and the digest of an interaction's key   due (8 bytes), how many of its ids are shadowed (4), the position of
 *                                                each of these among its ids (4 each), its entry
 *   'd', when it is due, and that digest         whether a conversation of it is open (1 byte)
 *   's' and the id of an accepted event          the digest of the interaction that has accepted it
 *
 * An id goes to the store once, the first time its interaction does, and stays there until it is forgotten: an id
 * that is not found in memory is looked up in the store. Invariant: of an id that came again after the horizon the
 * store knows only the newer event, so forgetting the older, shadowed one must not remove it. */
#include "module.h"

enum { DUE_KEY_BYTES = 1 + 8 + ID_BYTES };
enum { LOOK_AHEAD = 64 };

/* Writes a number from 0 on in eight bytes that sort as numbers do: the highest byte first. */
void encode_big_endian(byte to[8], int64_t number) {
    KERNEL_ASSERT(number >= 0);
    for (int each = 0; each < 8; each++) {
        to[each] = (byte)((uint64_t)number >> (56 - 8 * each));
    }
    KERNEL_ASSERT(to[0] < 0x80); /* Otherwise it would sort behind every other. */
}

/* Writes a key of the store: the kind, and the digest of an interaction's key. */
void stored_key(byte kind, const byte *key, uint32_t bytes, byte to[STORED_KEY_BYTES]) {
    event_id digest;
    KERNEL_ASSERT(kind == 'i' || kind == 'l');
    blake2b_16(key, bytes, NULL, &digest);
    to[0] = kind;
    memcpy(to + 1, digest.bytes, ID_BYTES);
}

/* Appends a new object to a list, which then owns it. Returns STATUS_RAISED if it could not, or if the object is
 * NULL. */
enum status append_new(PyObject *list, PyObject *item) {
    KERNEL_ASSERT(list != NULL);
    KERNEL_ASSERT(item != NULL || PyErr_Occurred());
    int appended = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(item);
    return appended < 0 ? STATUS_RAISED : STATUS_OK;
}

/* Appends a key of the store, as bytes: the kind and an id or a digest. Returns STATUS_RAISED. */
enum status add_key(PyObject *list, byte kind, const event_id *id) {
    byte key[STORED_KEY_BYTES] = {kind};
    KERNEL_ASSERT(kind == 'i' || kind == 's');
    memcpy(key + 1, id->bytes, ID_BYTES);
    return append_new(list, PyBytes_FromStringAndSize((const char *)key, sizeof key));
}

static enum status add_pair(PyObject *list, const byte *key, size_t key_bytes, const byte *value, size_t value_bytes) {
    KERNEL_ASSERT(key_bytes == STORED_KEY_BYTES || key_bytes == DUE_KEY_BYTES);
    KERNEL_ASSERT(value_bytes > 0);
    return append_new(list, Py_BuildValue("y#y#", key, (Py_ssize_t)key_bytes, value, (Py_ssize_t)value_bytes));
}

/* Adds the ids that the store does not have yet to `pairs`, and writes the positions of those that are shadowed to
 * `to`. */
static enum status add_ids(kernel *k, const interaction *i, const byte *digest, PyObject *pairs, buffer *to,
                           uint32_t *shadowed) {
    uint32_t position = 0;
    KERNEL_ASSERT(*shadowed == 0);
    for (uint32_t number = i->newest_accepted; number != 0; position++) {
        number = accepted_at(k, number)->next;
        const accepted_event *a = accepted_at(k, number);
        KERNEL_ASSERT(!(a->shadowed && a->stored));
        if (a->shadowed) {
            TRY(buffer_room(k, to, sizeof position));
            memcpy(to->bytes + to->count, &position, sizeof position);
            to->count += sizeof position;
            ++*shadowed;
        } else if (!a->stored) {
            byte key[STORED_KEY_BYTES] = {'s'};
            memcpy(key + 1, a->id.bytes, ID_BYTES);
            TRY(add_pair(pairs, key, sizeof key, digest, ID_BYTES));
        }
        if (number == i->newest_accepted) {
            break;
        }
    }
    KERNEL_ASSERT(*shadowed <= position + 1);
    return STATUS_OK;
}

/* Adds all that the store has to hold of an interaction. `b` is for use between calls. */
static enum status add_stored(kernel *k, uint32_t number, buffer *b, PyObject *pairs) {
    const interaction *i = interaction_at(k, number);
    byte stored[STORED_KEY_BYTES], due[DUE_KEY_BYTES] = {'d'}, is_open = i->has_latest && !i->latest.closed;
    byte key[MAX_KEY_BYTES];
    uint32_t shadowed = 0;
    KERNEL_ASSERT(!i->has_older_open);
    KERNEL_ASSERT(ms(i->due) > k->watermark_ms);
    stored_key('i', key, key_of(k, i, key), stored);
    const byte *digest = stored + 1;
    encode_big_endian(due + 1, ms(i->due));
    memcpy(due + 1 + 8, digest, ID_BYTES);
    b->count = 0;
    TRY(buffer_room(k, b, STORED_HEAD_BYTES));
    b->count = STORED_HEAD_BYTES;
    TRY(add_ids(k, i, digest, pairs, b, &shadowed));
    TRY(encode_entry(k, b, number));
    KERNEL_ASSERT(b->count > STORED_HEAD_BYTES + shadowed * sizeof shadowed);
    memcpy(b->bytes, due + 1, 8);
    memcpy(b->bytes + 8, &shadowed, sizeof shadowed);
    TRY(add_pair(pairs, due, sizeof due, &is_open, 1));
    return add_pair(pairs, stored, sizeof stored, b->bytes, b->count);
}

static void leave_memory(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(!i->ended);
    KERNEL_ASSERT(!i->changed);
    KERNEL_ASSERT(k->live > 0);
    for (uint32_t each = i->newest_accepted; each != 0;) {
        each = accepted_at(k, each)->next;
        const accepted_event *a = accepted_at(k, each);
        KERNEL_ASSERT(a->owner == number);
        if (!a->shadowed) {
            table_remove(&k->by_id, id_hash(k->id_secret, &a->id), each);
        }
        each = each == i->newest_accepted ? 0 : each;
    }
    empty_interaction(k, i);
    i->ended = 1;
    k->live--;
    remove_interaction(k, number);
}

/* spill(cursor, most) -> (what the store has to hold, how many interactions that is, next cursor): from the cursor
 * on, 1 to begin, at most so many of those that no checkpoint waits for; the next cursor is 0 once all were looked
 * at. */
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
    KERNEL_ASSERT(count <= most);
    KERNEL_ASSERT(k->held_bytes >= b.room);
    k->held_bytes -= b.room;
    free(b.bytes);
    done = done == STATUS_OK ? timers_compact(k) : done;
    if (done < 0) {
        Py_XDECREF(pairs);
        return failed(self, done, NULL);
    }
    check_counts(k);
    return Py_BuildValue("Nnn", pairs, count, cursor > (Py_ssize_t)k->interactions.made ? 0 : cursor);
}

/* forgotten() -> keys of the ids that the store had and does not need any more, since it was last called. */
PyObject *list_dropped_ids(Kernel *self, PyObject *Py_UNUSED(none)) {
    kernel *k = usable(self);
    if (k == NULL) {
        return NULL;
    }
    PyObject *keys = PyList_New(0);
    enum status done = keys == NULL ? STATUS_RAISED : STATUS_OK;
    KERNEL_ASSERT(k->dropped_ids.count <= k->dropped_ids.room);
    for (uint32_t each = 0; done == STATUS_OK && each < k->dropped_ids.count; each++) {
        done = add_key(keys, 's', &k->dropped_ids.items[each]);
    }
    if (done < 0) {
        Py_CLEAR(keys);
        return failed(self, done, NULL);
    }
    KERNEL_ASSERT(PyList_Size(keys) == (Py_ssize_t)k->dropped_ids.count);
    k->dropped_ids.count = 0;
    return keys;
}
