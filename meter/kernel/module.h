/* What Python sees: a class `Kernel`, described in _kernel.pyi. Its methods check their arguments and raise exceptions;
 * everything below them is given what is right. Each function's contract stands above its definition. */
#ifndef METER_MODULE_H
#define METER_MODULE_H

#include "kernel.h"

/* ---- source.c ---- */
typedef struct { /* where the records of a batch come from. All zero: no batch has begun */
    PyObject *from, *held;            /* owned: the list or the bytes; and the value of the record read last */
    const byte *at, *batch_end, *end; /* in the bytes that a broker sent; all NULL if `from` is a list */
    int64_t start, base_offset, first_ms; /* records below offset `start` are skipped */
    Py_ssize_t index;     /* of the next record, counted from the first one that is not skipped */
    uint32_t count, left; /* of the present Kafka batch: all its records, and those not read yet */
    bool is_broker_time;  /* the batch's records have the time at which the broker appended it */
} source;
typedef struct { /* a record; `value` is NULL if it has none, and belongs to the source until its next record is read */
    const byte *value;
    size_t value_bytes;
    int64_t offset, produced_ms;
} fetched;
enum status intern_attribute_names(void);
void open_list(source *s, PyObject *records);
void open_sent(source *s, PyObject *data, int64_t start, Py_ssize_t bytes);
enum status next_record(source *s, fetched *found);
void close_source(source *s);
/* Moves back to where the source stood when it was copied to `to`. It keeps the value that it holds. */
static inline void go_back(source *s, const source *to) {
    KERNEL_ASSERT(s->from == to->from);
    KERNEL_ASSERT(s->index >= to->index);
    PyObject *held = s->held;
    *s = *to;
    s->held = held;
}

/* ---- module.c ---- */
typedef struct {
    PyObject_HEAD
    kernel k;
    source source;
    bool is_begun;  /* kernel_begin was called */
    bool is_broken; /* a step may be half done: every method raises RuntimeError from now on */
} Kernel;
kernel *usable(Kernel *self);                /* NULL: RuntimeError is set */
PyObject *failed(Kernel *self, enum status status, const char *malformed); /* NULL, always */
enum status append_new(PyObject *list, PyObject *item);

/* ---- figures.c ---- */
extern PyGetSetDef FIGURES[];

/* ---- horizon.c ---- */
PyObject *change_horizon(Kernel *self, PyObject *args);

/* ---- ingest.c ---- */
enum { GROUP = 64, KEYS_ROOM = 3 * MAX_KEY_BYTES };
typedef struct { /* events that are looked up together */
    event events[GROUP];
    source after[GROUP]; /* where the source stood when it had given the event */
    uint32_t count;
    byte keys[KEYS_ROOM];
    uint32_t keys_bytes;
} group;
static inline bool has_room(const group *g) { /* for one more event */
    KERNEL_ASSERT_SLOW(g->count <= GROUP);
    KERNEL_ASSERT_SLOW(g->keys_bytes <= KEYS_ROOM);
    return g->count < GROUP && KEYS_ROOM - g->keys_bytes >= MAX_KEY_BYTES;
}
bool read_record(const kernel *k, group *g, const fetched *record); /* false: not plain */
void fetch_group(const kernel *k, const group *g);
PyObject *begin_listed(Kernel *self, PyObject *records);
PyObject *begin_raw(Kernel *self, PyObject *args);
PyObject *ingest_records(Kernel *self, PyObject *none);
PyObject *ingest_fields(Kernel *self, PyObject *args);

/* ---- spill.c, wanted.c, unspill.c: a store on disk ---- */
enum { STORED_HEAD_BYTES = 8, STORED_KEY_BYTES = 1 + ID_BYTES };
PyObject *spill_interactions(Kernel *self, PyObject *args);
void stored_key(byte kind, const byte *key, uint32_t bytes, byte to[STORED_KEY_BYTES]);
enum status add_key(PyObject *list, byte kind, const byte *name, Py_ssize_t bytes);
PyObject *list_wanted(Kernel *self, PyObject *none);
PyObject *unspill_interactions(Kernel *self, PyObject *values);
PyObject *split_block(Kernel *self, PyObject *args);

/* ---- spill_ids.c: the same for buckets of ids ---- */
PyObject *spill_buckets(Kernel *self, PyObject *args);
PyObject *lend_ids(Kernel *self, PyObject *ids);
PyObject *list_forgotten_buckets(Kernel *self, PyObject *none);

/* ---- crc.c ---- */
enum status add_crc32c(PyObject *module);

/* ---- py_entries.c ---- */
PyObject *list_changed(Kernel *self, PyObject *args);
PyObject *sweep_entries(Kernel *self, PyObject *args);
PyObject *load_entries(Kernel *self, PyObject *args);
PyObject *finish_entries(Kernel *self, PyObject *args);
#endif
