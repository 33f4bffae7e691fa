/* The figures of a kernel that Python reads as attributes, and the one that it sets.
 *
 * Owns what an item is taken to cost in `used_bytes`. Invariant: reading a figure changes nothing. */
#include "module.h"

static int set_generation(Kernel *self, PyObject *value, void *offset) {
    (void)offset;
    long long generation = value == NULL ? -1 : PyLong_AsLongLong(value);
    if (PyErr_Occurred()) {
        return -1;
    }
    if (generation < 0 || generation > INT16_MAX) {
        PyErr_SetString(PyExc_ValueError, "a generation is from 0 to 32767");
        return -1;
    }
    self->k.generation = generation;
    return 0;
}

/* A number of the state. `offset` is where it lies in the kernel. */
static PyObject *get_number(Kernel *self, void *offset) {
    int64_t number;
    KERNEL_ASSERT((size_t)offset + sizeof number <= sizeof self->k);
    memcpy(&number, (const char *)&self->k + (size_t)offset, sizeof number);
    return PyLong_FromLongLong(number);
}

static PyObject *get_ids(Kernel *self, void *Py_UNUSED(none)) {
    KERNEL_ASSERT(self->k.ids_held <= MAX_BUCKETS * (uint64_t)BUCKET_IDS);
    KERNEL_ASSERT(self->k.id_buckets.used <= MAX_BUCKETS);
    return PyLong_FromUnsignedLong(self->k.ids_held);
}

enum { INTERACTION_BYTES = 104, OLDER_BYTES = 48, KEPT_ID_BYTES = 22 }; /* with their share of tables and strings */

static PyObject *get_used_bytes(Kernel *self, void *Py_UNUSED(none)) {
    const kernel *k = &self->k;
    KERNEL_ASSERT(sizeof(interaction) < INTERACTION_BYTES);
    KERNEL_ASSERT(sizeof(stored_id) < KEPT_ID_BYTES);
    KERNEL_ASSERT(k->interactions.used <= k->interactions.made);
    return PyLong_FromSize_t((size_t)k->interactions.used * INTERACTION_BYTES +
                             (size_t)k->older_conversations.used * OLDER_BYTES +
                             (size_t)k->ids_held * KEPT_ID_BYTES +
                             (size_t)k->upper_times.used * sizeof(upper_times));
}

PyGetSetDef FIGURES[] = {
    {"generation", (getter)get_number, (setter)set_generation, NULL, (void *)offsetof(kernel, generation)},
    {"watermark_ms", (getter)get_number, NULL, NULL, (void *)offsetof(kernel, watermark_ms)},
    {"arrived_ms", (getter)get_number, NULL, NULL, (void *)offsetof(kernel, arrived_ms)},
    {"closed_messages", (getter)get_number, NULL, NULL, (void *)offsetof(kernel, closed_messages)},
    {"live", (getter)get_number, NULL, NULL, (void *)offsetof(kernel, live)},
    {"ids", (getter)get_ids, NULL, NULL, NULL},
    {"held_bytes", (getter)get_number, NULL, NULL, (void *)offsetof(kernel, held_bytes)},
    {"used_bytes", (getter)get_used_bytes, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
