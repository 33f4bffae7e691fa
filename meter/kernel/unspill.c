/* Interactions come back to memory: from a store on disk, or from a checkpoint's blocks that were split for it.
 * spill.c says what the store holds.
 *
 * Owns nothing. Values may come from anywhere: what is wrong is a ValueError. Invariant: an interaction is in memory
 * or in the store, and never in both. */
#include "module.h"

#define NOT_STORED UINT32_MAX /* in place of how many ids are shadowed: the entry is a checkpoint's */

/* Whether a position is among `count` positions of four bytes each. */
static bool is_listed(const byte *positions, uint32_t count, uint32_t position) {
    KERNEL_ASSERT_SLOW(count != NOT_STORED);
    for (uint32_t each = 0; each < count; each++) {
        uint32_t listed;
        memcpy(&listed, positions + each * sizeof listed, sizeof listed);
        if (listed == position) {
            return true;
        }
    }
    return false;
}

/* Puts the ids of an interaction into the table. Those that the store may have for another interaction are added to
 * `unsure`, as the store's keys. */
static enum status index_ids(kernel *k, const interaction *i, const byte *positions, uint32_t shadowed,
                             PyObject *unsure) {
    bool is_stored = shadowed != NOT_STORED;
    uint32_t position = 0;
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(!i->ended);
    for (uint32_t number = i->newest_accepted; number != 0; position++) {
        number = accepted_at(k, number)->next;
        accepted_event *a = accepted_at(k, number);
        KERNEL_ASSERT(a->shadowed);
        KERNEL_ASSERT(!a->stored); /* As decode_value leaves it. */
        if (ms(a->at) > k->watermark_ms) {
            return STATUS_MALFORMED;
        }
        /* A checkpoint does not say which of the ids that are out of reach came again. They are left out of the
         * table: no event can be a repeat of them. */
        bool is_within_reach = ms(a->at) >= oldest_ms(k);
        bool counts = is_stored ? !is_listed(positions, shadowed, position) : is_within_reach;
        a->stored = counts && is_stored;
        if (counts) {
            TRY(index_newest(k, number));
        }
        if (counts && !is_stored) {
            TRY(add_key(unsure, 's', &a->id));
        }
        if (number == i->newest_accepted) {
            break;
        }
    }
    return STATUS_OK;
}

static enum status unspill_one(kernel *k, const byte *value, size_t bytes, PyObject *unsure) {
    uint32_t shadowed, number;
    KERNEL_ASSERT(value != NULL);
    KERNEL_ASSERT(unsure != NULL);
    if (bytes < STORED_HEAD_BYTES) {
        return STATUS_MALFORMED;
    }
    memcpy(&shadowed, value + 8, sizeof shadowed);
    size_t listed = shadowed == NOT_STORED ? 0 : shadowed * sizeof shadowed;
    if (bytes - STORED_HEAD_BYTES < listed) {
        return STATUS_MALFORMED;
    }
    const byte *positions = value + STORED_HEAD_BYTES;
    TRY(load_one(k, positions + listed, bytes - STORED_HEAD_BYTES - listed, &number));
    const interaction *i = interaction_at(k, number);
    if (!fits_time(k, i)) {
        return STATUS_MALFORMED;
    }
    TRY(index_ids(k, i, positions, shadowed, unsure));
    TRY(timers_extend(k, ms(i->due)));
    TRY(schedule(k, number, ms(i->due)));
    KERNEL_ASSERT(!i->changed);
    /* A sweep that is under way has to write it, and may have passed its number: so the next checkpoint writes it. */
    return shadowed == NOT_STORED ? STATUS_OK : mark_changed(k, number);
}

/* bring_back(values) -> keys of ids: puts interactions back into memory, from the store or from a checkpoint.
 * A checkpoint may have been written under a shorter horizon. Then the same id may belong to a second interaction in
 * the store, so the ids of a checkpoint's interactions are returned, and the caller looks them up. */
PyObject *unspill_interactions(Kernel *self, PyObject *values) {
    kernel *k = usable(self);
    if (k == NULL || !PyList_Check(values)) {
        return k == NULL ? NULL : (PyErr_SetString(PyExc_TypeError, "they are brought back as a list"), NULL);
    }
    PyObject *unsure = PyList_New(0);
    enum status done = unsure == NULL ? STATUS_RAISED : STATUS_OK;
    for (Py_ssize_t each = 0; done == STATUS_OK && each < PyList_Size(values); each++) {
        PyObject *value = PyList_GetItem(values, each);
        if (value == NULL || !PyBytes_Check(value)) {
            Py_DECREF(unsure);
            PyErr_SetString(PyExc_TypeError, "what is brought back is bytes");
            return NULL;
        }
        KERNEL_ASSERT(PyBytes_Size(value) >= 0);
        done = unspill_one(k, (const byte *)PyBytes_AsString(value), (size_t)PyBytes_Size(value), unsure);
    }
    if (done < 0) {
        Py_XDECREF(unsure);
        return failed(self, done, "an entry does not fit the time that its checkpoint had reached, or cannot be read");
    }
    KERNEL_ASSERT(unsure != NULL);
    return unsure;
}

enum { LOADED_KEY_BYTES = STORED_KEY_BYTES + 8 };

/* Adds an entry under its key, as unspill_one reads it: a head with no due time and NOT_STORED, then the entry. */
static enum status add_loaded(PyObject *pairs, const byte key[LOADED_KEY_BYTES], const byte *entry, size_t bytes) {
    PyObject *value = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(STORED_HEAD_BYTES + bytes));
    KERNEL_ASSERT(key[0] == 'l');
    if (value == NULL) {
        return STATUS_RAISED;
    }
    byte *to = (byte *)PyBytes_AsString(value);
    uint32_t shadowed = NOT_STORED;
    memset(to, 0, 8);
    memcpy(to + 8, &shadowed, sizeof shadowed);
    memcpy(to + STORED_HEAD_BYTES, entry, bytes);
    KERNEL_ASSERT(PyBytes_Size(value) == (Py_ssize_t)(STORED_HEAD_BYTES + bytes));
    return append_new(pairs, Py_BuildValue("y#N", key, (Py_ssize_t)LOADED_KEY_BYTES, value));
}

/* split(offset, block) -> (key, value) of each entry of a checkpoint's block. A key is 'l', the digest of the
 * entry's key, and the offset, the highest first; a value is as bring_back reads it, with nothing after its head if
 * the entry has ended. */
PyObject *split_block(Kernel *self, PyObject *args) {
    long long offset;
    const char *block;
    Py_ssize_t bytes;
    (void)self;
    if (!PyArg_ParseTuple(args, "Ly#:split", &offset, &block, &bytes)) {
        return NULL;
    }
    if (offset < 0) {
        PyErr_SetString(PyExc_ValueError, "an offset is from 0 on");
        return NULL;
    }
    PyObject *pairs = PyList_New(0);
    const byte *at = (const byte *)block, *end = at + bytes;
    entry e;
    for (enum status found; pairs != NULL && (found = next_entry(&at, end, &e)) != STATUS_END;) {
        byte key[LOADED_KEY_BYTES];
        if (found < 0) {
            PyErr_SetString(PyExc_ValueError, "this block of entries cannot be read");
            Py_CLEAR(pairs);
            break;
        }
        KERNEL_ASSERT(e.whole < at);
        KERNEL_ASSERT(at <= end);
        stored_key('l', e.key, e.key_bytes, key);
        encode_big_endian(key + STORED_KEY_BYTES, INT64_MAX - offset);
        if (add_loaded(pairs, key, e.whole, e.ended ? 0 : (size_t)(at - e.whole)) < 0) {
            Py_CLEAR(pairs);
        }
    }
    return pairs;
}
