/* Interactions that memory has no room for go to a store on disk. wanted.c and unspill.c have the way back.
 *
 * Owns the form of what the store holds, by key:
 *
 *   'i' and the digest of an interaction's key   when it is due (8 bytes), its entry
 *   'd', when it is due, and that digest         whether a conversation of it is open (1 byte)
 *
 * spill_ids.c does the same for ids. Invariant: an interaction leaves only when no checkpoint waits for it. */
#include "module.h"

enum { DUE_KEY_BYTES = 1 + 8 + ID_BYTES };
enum { LOOK_AHEAD = 64 };

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
enum status add_key(PyObject *list, byte kind, const byte *name, Py_ssize_t bytes) {
    byte key[STORED_KEY_BYTES] = {kind};
    KERNEL_ASSERT(kind == 'i' || kind == 's');
    KERNEL_ASSERT(bytes <= ID_BYTES);
    memcpy(key + 1, name, (size_t)bytes);
    return append_new(list, PyBytes_FromStringAndSize((const char *)key, 1 + bytes));
}

static enum status add_pair(PyObject *list, const byte *key, size_t key_bytes, const byte *value, size_t value_bytes) {
    KERNEL_ASSERT(key_bytes == STORED_KEY_BYTES || key_bytes == DUE_KEY_BYTES);
    KERNEL_ASSERT(value_bytes > 0);
    return append_new(list, Py_BuildValue("y#y#", key, (Py_ssize_t)key_bytes, value, (Py_ssize_t)value_bytes));
}

/* Adds all that the store has to hold of an interaction. `b` is for use between calls. */
static enum status add_stored(kernel *k, uint32_t number, buffer *b, PyObject *pairs) {
    const interaction *i = interaction_at(k, number);
    byte stored[STORED_KEY_BYTES], due[DUE_KEY_BYTES] = {'d'}, is_open = i->has_latest && !i->latest.closed;
    byte key[MAX_KEY_BYTES];
    KERNEL_ASSERT(!i->has_older_open);
    KERNEL_ASSERT(ms(i->due) > k->watermark_ms);
    stored_key('i', key, key_of(k, i, key), stored);
    const byte *digest = stored + 1;
    encode_big_endian(due + 1, ms(i->due));
    memcpy(due + 1 + 8, digest, ID_BYTES);
    b->count = 0;
    TRY(buffer_room(k, b, STORED_HEAD_BYTES));
    b->count = STORED_HEAD_BYTES;
    TRY(encode_entry(k, b, number));
    KERNEL_ASSERT(b->count > STORED_HEAD_BYTES);
    memcpy(b->bytes, due + 1, STORED_HEAD_BYTES);
    TRY(add_pair(pairs, due, sizeof due, &is_open, 1));
    return add_pair(pairs, stored, sizeof stored, b->bytes, b->count);
}

static void leave_memory(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(!i->ended);
    KERNEL_ASSERT(!i->changed);
    KERNEL_ASSERT(k->live > 0);
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
