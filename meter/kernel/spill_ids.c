/* Buckets of ids that memory has no room for go to the store on disk, the oldest first. Only copies of single ids come
 * back, as guests for one batch.
 *
 * Owns the form of what the store holds of ids, by key:
 *
 *   'b' and a bucket's number   its entry
 *   's' and an id               the bucket's number (8 bytes), the event's time (8), its tag (3)
 *
 * Invariant: of an id that came again after the horizon the store knows the newer event once that one's bucket is
 * there, so forgetting the older bucket must leave what names another one. */
#include "module.h"

enum { BUCKET_NAME_BYTES = 1 + 8, ID_NAME_BYTES = 1 + SHORT_ID_BYTES, STORED_ID_BYTES = 8 + 8 + TAG_BYTES };

static enum status add_pair(PyObject *pairs, const byte *key, Py_ssize_t key_bytes, const byte *value, size_t bytes) {
    KERNEL_ASSERT(key_bytes == BUCKET_NAME_BYTES || key_bytes == ID_NAME_BYTES);
    KERNEL_ASSERT(bytes > 0);
    return append_new(pairs, Py_BuildValue("y#y#", key, key_bytes, value, (Py_ssize_t)bytes));
}

static enum status add_bucket(kernel *k, const bucket_place *place, buffer *entry_of, PyObject *pairs) {
    const id_bucket *b = bucket_at(k, place->bucket);
    byte name[BUCKET_NAME_BYTES] = {'b'}, id_name[ID_NAME_BYTES] = {'s'}, value[STORED_ID_BYTES];
    KERNEL_ASSERT(b->count > 0);
    encode_big_endian(name + 1, place->number);
    entry_of->count = 0;
    TRY(encode_bucket(k, entry_of, place->number, place->bucket));
    TRY(add_pair(pairs, name, sizeof name, entry_of->bytes, entry_of->count));
    memcpy(value, name + 1, 8);
    for (uint32_t each = 0; each < b->count; each++) {
        const stored_id *s = &b->ids[each];
        if (b->shadowed[each / 64] >> each % 64 & 1) {
            continue; /* The newer event has the id. */
        }
        memcpy(id_name + 1, s->id, SHORT_ID_BYTES);
        encode_big_endian(value + 8, id_ms(k, b, each));
        memcpy(value + 16, s->tag, TAG_BYTES);
        TRY(add_pair(pairs, id_name, sizeof id_name, value, sizeof value));
    }
    KERNEL_ASSERT(PyList_Size(pairs) > 0);
    return STATUS_OK;
}

/* spill_ids(most) -> what the store has to hold: of at most so many buckets, the oldest in memory. Empty if all others
 * are the last one, or wait for a checkpoint. */
PyObject *spill_buckets(Kernel *self, PyObject *args) {
    Py_ssize_t most;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "n:spill_ids", &most)) {
        return NULL;
    }
    PyObject *pairs = PyList_New(0);
    buffer b = {NULL, 0, 0};
    enum status done = pairs == NULL ? STATUS_RAISED : STATUS_OK;
    uint32_t waiting = k->buckets.changed > 1 ? k->buckets.changed : 1;
    for (; done == STATUS_OK && most > 0 && k->buckets.spilled + waiting < buckets_held(k); most--) {
        bucket_place *place = &k->buckets.items[k->buckets.first + k->buckets.spilled];
        KERNEL_ASSERT(place->bucket != 0);
        done = add_bucket(k, place, &b, pairs);
        if (done == STATUS_OK) {
            leave_bucket(k, place);
        }
    }
    KERNEL_ASSERT(k->held_bytes >= b.room);
    k->held_bytes -= b.room;
    free(b.bytes);
    if (done < 0) {
        Py_XDECREF(pairs);
        return failed(self, done, NULL);
    }
    check_ids(k);
    return pairs;
}

static enum status lend_one(kernel *k, const byte *id, const byte *value) {
    accepted_id a;
    int64_t at_ms = 0;
    KERNEL_ASSERT(id != NULL);
    KERNEL_ASSERT(value != NULL);
    for (int each = 8; each < 16; each++) {
        at_ms = (int64_t)((uint64_t)at_ms << 8 | value[each]);
    }
    if (at_ms < 0 || at_ms > k->watermark_ms) {
        return STATUS_MALFORMED;
    }
    memcpy(a.id, id, SHORT_ID_BYTES);
    memcpy(a.tag, value + 16, TAG_BYTES);
    a.at = as_instant(at_ms);
    return add_guest(k, &a);
}

/* lend(ids): what the store has of ids that the batch which has begun asks for, as (key, value), until the next batch
 * begins. */
PyObject *lend_ids(Kernel *self, PyObject *ids) {
    kernel *k = usable(self);
    if (k == NULL || !PyList_Check(ids)) {
        return k == NULL ? NULL : (PyErr_SetString(PyExc_TypeError, "ids are lent as a list"), NULL);
    }
    for (Py_ssize_t each = 0; each < PyList_Size(ids); each++) {
        const char *key, *value;
        Py_ssize_t key_bytes, value_bytes;
        PyObject *pair = PyList_GetItem(ids, each);
        if (pair == NULL || !PyArg_ParseTuple(pair, "y#y#:lend", &key, &key_bytes, &value, &value_bytes)) {
            return NULL;
        }
        bool fits = key_bytes == ID_NAME_BYTES && value_bytes == STORED_ID_BYTES;
        enum status done = fits ? lend_one(k, (const byte *)key + 1, (const byte *)value) : STATUS_MALFORMED;
        if (done < 0) {
            return failed(self, done, "what the store has of an id cannot be read");
        }
    }
    KERNEL_ASSERT(k->guests.count <= k->id_buckets.used);
    Py_RETURN_NONE;
}

/* forgotten() -> numbers of the buckets that the store had and does not need any more, since it was last called. */
PyObject *list_forgotten_buckets(Kernel *self, PyObject *Py_UNUSED(none)) {
    kernel *k = usable(self);
    if (k == NULL) {
        return NULL;
    }
    PyObject *numbers = PyList_New(0);
    enum status done = numbers == NULL ? STATUS_RAISED : STATUS_OK;
    KERNEL_ASSERT(k->stored_dropped.count <= k->stored_dropped.room);
    for (uint32_t each = 0; done == STATUS_OK && each < k->stored_dropped.count; each++) {
        done = append_new(numbers, PyLong_FromLongLong(k->stored_dropped.items[each]));
    }
    if (done < 0) {
        Py_XDECREF(numbers);
        return failed(self, done, NULL);
    }
    KERNEL_ASSERT(PyList_Size(numbers) == (Py_ssize_t)k->stored_dropped.count);
    k->stored_dropped.count = 0;
    return numbers;
}
