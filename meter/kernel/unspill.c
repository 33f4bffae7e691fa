/* Interactions come back to memory: from a store on disk, or from a checkpoint's blocks that were split for it.
 * spill.c says what the store holds.
 *
 * Owns nothing. Values may come from anywhere: what is wrong is a ValueError. Invariant: an interaction is in memory
 * or in the store, and never in both. */
#include "module.h"

/* A bucket of ids from a checkpoint, in the order of their numbers. */
static enum status restore_bucket(kernel *k, const entry *e) {
    bucket_place place;
    if (e->ended) {
        return STATUS_MALFORMED;
    }
    TRY(decode_bucket(k, e, &place));
    uint32_t held = buckets_held(k);
    bool is_behind = held == 0 || k->buckets.items[k->buckets.end - 1].number < place.number;
    if (!is_behind || place.newest_ms > k->watermark_ms) {
        return STATUS_MALFORMED;
    }
    TRY(push_bucket(k, place));
    KERNEL_ASSERT(buckets_held(k) == held + 1);
    KERNEL_ASSERT(place.bucket != 0);
    return index_bucket(k, place.bucket);
}

static enum status unspill_one(kernel *k, const byte *value, size_t bytes) {
    static const byte NOT_STORED[STORED_HEAD_BYTES]; /* in place of when it is due: the entry is a checkpoint's */
    uint32_t number;
    KERNEL_ASSERT(value != NULL);
    if (bytes < STORED_HEAD_BYTES) {
        return STATUS_MALFORMED;
    }
    bool is_stored = memcmp(value, NOT_STORED, STORED_HEAD_BYTES) != 0;
    const byte *at = value + STORED_HEAD_BYTES;
    entry e;
    if (!is_stored && next_entry(&at, value + bytes, &e) == STATUS_OK && is_bucket_key(e.key, e.key_bytes)) {
        return at == value + bytes ? restore_bucket(k, &e) : STATUS_MALFORMED;
    }
    TRY(load_one(k, value + STORED_HEAD_BYTES, bytes - STORED_HEAD_BYTES, &number));
    const interaction *i = interaction_at(k, number);
    if (!fits_time(k, i)) {
        return STATUS_MALFORMED;
    }
    TRY(timers_extend(k, ms(i->due)));
    TRY(schedule(k, number, ms(i->due)));
    KERNEL_ASSERT(!i->changed);
    /* A sweep that is under way has to write it, and may have passed its number: so the next checkpoint writes it. */
    return is_stored ? mark_changed(k, number) : STATUS_OK;
}

/* bring_back(values): puts interactions back into memory, from the store or from a checkpoint, and buckets of ids from
 * a checkpoint. */
PyObject *unspill_interactions(Kernel *self, PyObject *values) {
    kernel *k = usable(self);
    if (k == NULL || !PyList_Check(values)) {
        return k == NULL ? NULL : (PyErr_SetString(PyExc_TypeError, "they are brought back as a list"), NULL);
    }
    enum status done = STATUS_OK;
    for (Py_ssize_t each = 0; done == STATUS_OK && each < PyList_Size(values); each++) {
        PyObject *value = PyList_GetItem(values, each);
        if (value == NULL || !PyBytes_Check(value)) {
            PyErr_SetString(PyExc_TypeError, "what is brought back is bytes");
            return NULL;
        }
        KERNEL_ASSERT(PyBytes_Size(value) >= 0);
        done = unspill_one(k, (const byte *)PyBytes_AsString(value), (size_t)PyBytes_Size(value));
    }
    if (done < 0) {
        return failed(self, done, "an entry does not fit the time that its checkpoint had reached, or cannot be read");
    }
    KERNEL_ASSERT(!self->is_broken);
    Py_RETURN_NONE;
}

enum { LOADED_KEY_BYTES = STORED_KEY_BYTES + 8 };

/* The key of an entry: 'l', the digest of its own key, and the offset, the highest first. Buckets of ids come before
 * interactions and in the order of their numbers, so they have 0 and their number in place of a digest. */
static enum status loaded_key(const entry *e, int64_t offset, byte key[LOADED_KEY_BYTES]) {
    KERNEL_ASSERT(offset >= 0);
    if (is_bucket_key(e->key, e->key_bytes)) {
        int64_t number = bucket_number_of(e);
        if (number < 0) {
            return STATUS_MALFORMED;
        }
        memset(key, 0, STORED_KEY_BYTES);
        key[0] = 'l';
        encode_big_endian(key + STORED_KEY_BYTES - 8, number);
    } else {
        stored_key('l', e->key, e->key_bytes, key);
    }
    encode_big_endian(key + STORED_KEY_BYTES, INT64_MAX - offset);
    KERNEL_ASSERT(key[0] == 'l');
    return STATUS_OK;
}

/* Adds an entry under its key, as unspill_one reads it: a head with no due time, then the entry. */
static enum status add_loaded(PyObject *pairs, const byte key[LOADED_KEY_BYTES], const byte *entry, size_t bytes) {
    PyObject *value = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(STORED_HEAD_BYTES + bytes));
    KERNEL_ASSERT(key[0] == 'l');
    if (value == NULL) {
        return STATUS_RAISED;
    }
    byte *to = (byte *)PyBytes_AsString(value);
    memset(to, 0, STORED_HEAD_BYTES);
    memcpy(to + STORED_HEAD_BYTES, entry, bytes);
    KERNEL_ASSERT(PyBytes_Size(value) == (Py_ssize_t)(STORED_HEAD_BYTES + bytes));
    return append_new(pairs, Py_BuildValue("y#N", key, (Py_ssize_t)LOADED_KEY_BYTES, value));
}

/* split(offset, block) -> (key, value) of each entry of a checkpoint's block. A value is as bring_back reads it, with
 * nothing after its head if the entry has ended. */
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
        if (found < 0 || loaded_key(&e, offset, key) < 0) {
            PyErr_SetString(PyExc_ValueError, "this block of entries cannot be read");
            Py_CLEAR(pairs);
            break;
        }
        KERNEL_ASSERT(e.whole < at);
        KERNEL_ASSERT(at <= end);
        if (add_loaded(pairs, key, e.whole, e.ended ? 0 : (size_t)(at - e.whole)) < 0) {
            Py_CLEAR(pairs);
        }
    }
    return pairs;
}
