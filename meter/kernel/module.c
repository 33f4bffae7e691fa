/* The module and its class: made, freed, told the time, and what a batch has come to.
 *
 * Owns the Python object. Invariant: once a method has left a step half done, `is_broken` is set and every later method
 * raises RuntimeError, so that a half-done state is never used. */
#include "module.h"

/* Returns the kernel, or NULL with RuntimeError if its state is not whole. Called first by every method that uses
 * the state. */
kernel *usable(Kernel *self) {
    KERNEL_ASSERT(self != NULL);
    if (!self->is_begun || self->is_broken || self->k.restoring) {
        PyErr_SetString(PyExc_RuntimeError, "this state is not whole: restore it from its checkpoint");
        return NULL;
    }
    return &self->k;
}

static const char FULL[] = "partition is full: it holds 1,073,741,312 ids of events that are not older than the late "
                           "horizon; spread its workspaces over more partitions";

/* Turns a failure into a Python exception and marks the kernel as broken: ValueError with the text `malformed` for
 * STATUS_MALFORMED, MemoryError for STATUS_NO_MEMORY; of STATUS_RAISED the exception is set already. Returns NULL. */
PyObject *failed(Kernel *self, enum status status, const char *malformed) {
    KERNEL_ASSERT(status < 0);
    KERNEL_ASSERT(status != STATUS_MALFORMED || malformed != NULL);
    KERNEL_ASSERT(status != STATUS_RAISED || PyErr_Occurred());
    self->is_broken = true;
    if (status == STATUS_MALFORMED) {
        PyErr_SetString(PyExc_ValueError, malformed);
    } else if (status == STATUS_NO_MEMORY) {
        PyErr_NoMemory();
    } else if (status == STATUS_FULL) {
        PyErr_SetString(PyExc_OverflowError, FULL);
    }
    return NULL;
}

static PyObject *kernel_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    static char *NAMES[] = {"partition",  "gap_ms", "horizon_ms", "future_ms",
                            "bucket_ids", "secret", "partitions", NULL};
    long long partition, gap_ms, horizon_ms, future_ms, bucket_ids, partitions = 1;
    const char *secret;
    Py_ssize_t secret_bytes;
    if (!PyArg_ParseTupleAndKeywords(args, names, "LLLLLy#|L:Kernel", NAMES, &partition, &gap_ms, &horizon_ms,
                                     &future_ms, &bucket_ids, &secret, &secret_bytes, &partitions)) {
        return NULL;
    }
    const int64_t most_ms = TIME_LIMIT_MS / 32;
    if (gap_ms < 1 || gap_ms > most_ms || horizon_ms < 1 || horizon_ms > most_ms || future_ms < 0 ||
        future_ms > most_ms || secret_bytes != 32 || bucket_ids < 1 || bucket_ids > BUCKET_IDS) {
        PyErr_SetString(PyExc_ValueError, "a kernel needs durations above 0, buckets of 1 to 256, 32 bytes of secret");
        return NULL;
    }
    if (partition < 0 || partition >= partitions || partitions > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "a kernel is of one of the topic's partitions, which count from 0");
        return NULL;
    }
    Kernel *self = (Kernel *)PyType_GenericAlloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    kernel *k = &self->k;
    k->partition = partition;
    k->partitions = (uint32_t)partitions;
    k->gap_ms = gap_ms;
    k->horizon_ms = horizon_ms;
    k->future_ms = future_ms;
    k->floor_ms = INT64_MIN;
    k->bucket_ids = (uint32_t)bucket_ids;
    KERNEL_ASSERT(sizeof k->id_secret + sizeof k->key_secret == (size_t)secret_bytes);
    memcpy(k->id_secret, secret, sizeof k->id_secret);
    memcpy(k->key_secret, secret + sizeof k->id_secret, sizeof k->key_secret);
    self->is_begun = true;
    if (kernel_begin(k) < 0) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void kernel_dealloc(Kernel *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    KERNEL_ASSERT(release != NULL);
    if (self->is_begun) {
        kernel_end(&self->k);
    }
    close_source(&self->source);
    release(self);
    Py_DECREF(type);
}

/* tick(at_ms, offset, produced_ms): event time has come to `at_ms`. */
static PyObject *tick_clock(Kernel *self, PyObject *args) {
    long long at_ms, offset, produced_ms;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "LLL:tick", &at_ms, &offset, &produced_ms)) {
        return NULL;
    }
    if (at_ms >= TIME_LIMIT_MS) {
        PyErr_SetString(PyExc_ValueError, "a tick's time is before the year 10000");
        return NULL;
    }
    move_watermark(k, at_ms, produced_ms);
    enum status done = advance(k, offset, produced_ms);
    if (done < 0) {
        return failed(self, done, NULL);
    }
    KERNEL_ASSERT(k->watermark_ms >= at_ms);
    KERNEL_ASSERT(k->watermark_ms < TIME_LIMIT_MS);
    Py_RETURN_NONE;
}

/* close_all(offset, produced_ms): a finite feed ends here. */
static PyObject *close_feed(Kernel *self, PyObject *args) {
    long long offset, produced_ms;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "LL:close_all", &offset, &produced_ms)) {
        return NULL;
    }
    enum status done = close_all(k, offset, produced_ms);
    if (done < 0) {
        return failed(self, done, NULL);
    }
    Py_RETURN_NONE;
}

/* counts() -> (updates by kind, events by outcome), of the batch that ends here. */
static PyObject *list_counts(Kernel *self, PyObject *Py_UNUSED(none)) {
    uint64_t c[KINDS], o[OUTCOMES];
    kernel *k = usable(self);
    if (k == NULL) {
        return NULL;
    }
    count_updates(k, c);
    KERNEL_ASSERT(c[OPEN] + c[CLOSED] + c[ABSORBED] <= k->updates.conversations.count);
    memcpy(o, k->outcomes, sizeof o);
    memset(k->outcomes, 0, sizeof o);
    return Py_BuildValue("(KKKKKKK)(KKKK)", (unsigned long long)c[0], (unsigned long long)c[1],
                         (unsigned long long)c[2], (unsigned long long)c[3], (unsigned long long)c[4],
                         (unsigned long long)c[5], (unsigned long long)c[6], (unsigned long long)o[0],
                         (unsigned long long)o[1], (unsigned long long)o[2], (unsigned long long)o[3]);
}

/* pack(partitions, most_bytes) -> what the batch that ends here tells the wallets. */
static PyObject *list_packed(Kernel *self, PyObject *args) {
    int partitions;
    Py_ssize_t most_bytes;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "in:pack", &partitions, &most_bytes)) {
        return NULL;
    }
    if (partitions < 1 || most_bytes < 0) {
        PyErr_SetString(PyExc_ValueError, "updates go to at least one partition");
        return NULL;
    }
    PyObject *packed = pack_updates(k, (uint32_t)partitions, (size_t)most_bytes);
    self->is_broken = packed == NULL;
    KERNEL_ASSERT(k->updates.conversations.count == 0);
    KERNEL_ASSERT(k->updates.occurrences.count == 0);
    return packed;
}

static PyMethodDef METHODS[] = {
    {"begin", (PyCFunction)begin_listed, METH_O, NULL},
    {"begin_raw", (PyCFunction)begin_raw, METH_VARARGS, NULL},
    {"process", (PyCFunction)ingest_records, METH_NOARGS, NULL},
    {"step", (PyCFunction)ingest_fields, METH_VARARGS, NULL},
    {"tick", (PyCFunction)tick_clock, METH_VARARGS, NULL},
    {"set_horizon", (PyCFunction)change_horizon, METH_VARARGS, NULL},
    {"close_all", (PyCFunction)close_feed, METH_VARARGS, NULL},
    {"counts", (PyCFunction)list_counts, METH_NOARGS, NULL},
    {"pack", (PyCFunction)list_packed, METH_VARARGS, NULL},
    {"changed", (PyCFunction)list_changed, METH_VARARGS, NULL},
    {"sweep", (PyCFunction)sweep_entries, METH_VARARGS, NULL},
    {"load", (PyCFunction)load_entries, METH_VARARGS, NULL},
    {"finish", (PyCFunction)finish_entries, METH_VARARGS, NULL},
    {"spill", (PyCFunction)spill_interactions, METH_VARARGS, NULL},
    {"wanted", (PyCFunction)list_wanted, METH_NOARGS, NULL},
    {"bring_back", (PyCFunction)unspill_interactions, METH_O, NULL},
    {"spill_ids", (PyCFunction)spill_buckets, METH_VARARGS, NULL},
    {"lend", (PyCFunction)lend_ids, METH_O, NULL},
    {"forgotten", (PyCFunction)list_forgotten_buckets, METH_NOARGS, NULL},
    {"split", (PyCFunction)split_block, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot SLOTS[] = {
    {Py_tp_doc, "The state of one partition of chat-events. See meter/kernel/README.md."},
    {Py_tp_new, kernel_new},
    {Py_tp_dealloc, kernel_dealloc},
    {Py_tp_methods, METHODS},
    {Py_tp_getset, FIGURES},
    {0, NULL},
};

static PyType_Spec SPEC = {"meter.kernel._kernel.Kernel", sizeof(Kernel), 0, Py_TPFLAGS_DEFAULT, SLOTS};

static PyModuleDef MODULE = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "meter.kernel._kernel",
    .m_doc = "Sessionizing, compiled. See meter/kernel/README.md.",
    .m_size = -1,
};

/* Makes the module. Called by Python when it is imported. */
PyMODINIT_FUNC PyInit__kernel(void) {
    KERNEL_ASSERT(sizeof(stored_id) == 16);
    KERNEL_ASSERT(sizeof(conversation) == 42);
    KERNEL_ASSERT(sizeof(interaction) == 64);
    PyObject *module = PyModule_Create(&MODULE);
    PyObject *type = module == NULL || intern_attribute_names() < 0 ? NULL : PyType_FromSpec(&SPEC);
    if (type == NULL || PyModule_AddObjectRef(module, "Kernel", type) < 0 || add_crc32c(module) < 0) {
        Py_CLEAR(module);
    }
    Py_XDECREF(type);
    return module;
}
