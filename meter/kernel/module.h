/* The Python face: a class `Kernel`, typed and described in _kernel.pyi. */
#ifndef METER_MODULE_H
#define METER_MODULE_H

#include "kernel.h"

/* ---- source.c ---- */
typedef struct { /* zeroes: none */
    PyObject *from, *held;           /* a list of records, and the value last read; or the bytes that a broker sent */
    const byte *at, *batch_end, *end; /* `end`: of the bytes; NULL where there is a list */
    int64_t start, base_offset, first_ms;
    Py_ssize_t index; /* of the next record, among those from offset `start` on */
    uint32_t count, left; /* in the present batch of Kafka's: records, and those to come */
    bool is_brokers_time;
} source;
typedef struct { /* a record; `value`: NULL where there is none */
    const byte *value;
    size_t value_bytes;
    int64_t offset, produced_ms;
} fetched;
enum status intern_attribute_names(void);
void open_list(source *s, PyObject *records);
void open_sent(source *s, PyObject *data, int64_t start, Py_ssize_t bytes);
enum status next_record(source *s, fetched *found); 
void close_source(source *s);
static inline void go_back(source *s, const source *to) { /* to where it stood before; what it holds it still holds */
    PyObject *held = s->held;
    *s = *to;
    s->held = held;
}

typedef struct {
    PyObject_HEAD
    kernel k;
    source source;
    bool is_begun, is_broken;
} Kernel;

kernel *usable(Kernel *self); /* NULL with RuntimeError: memory was short once, and a step may be half done */
PyObject *no_memory(Kernel *self);

/* ---- ingest.c ---- */
enum { GROUP = 64, KEYS_ROOM = 3 * MOST_KEY_BYTES };
typedef struct {
    event events[GROUP];
    source after[GROUP]; /* where the source stood when it had given the event */
    uint32_t count;
    byte keys[KEYS_ROOM];
    uint32_t keys_bytes;
} group;
static inline bool has_room(const group *g) { /* for one more */
    return g->count < GROUP && KEYS_ROOM - g->keys_bytes >= MOST_KEY_BYTES;
}
bool read_record(const kernel *k, group *g, const fetched *record); /* false: for others to judge */
void fetch_group(const kernel *k, const group *g); /* what it will look at, into the cache */
PyObject *begin_listed(Kernel *self, PyObject *records);
PyObject *begin_sent(Kernel *self, PyObject *args);
PyObject *ingest_records(Kernel *self, PyObject *none);
PyObject *ingest_fields(Kernel *self, PyObject *args);

/* ---- spill.c ---- */
enum { STORED_HEAD_BYTES = 12 };
PyObject *spill_interactions(Kernel *self, PyObject *args);
PyObject *list_dropped_ids(Kernel *self, PyObject *none);
void digest_of_key(byte kind, const byte *key, uint32_t bytes, byte *to); /* 1 + ID_BYTES */
void encode_descending(byte *to, int64_t number); /* 8 bytes, which are ordered as numbers are, from 0 on */
enum status add_key(PyObject *list, byte kind, const event_id *id);

/* ---- unspill.c ---- */
PyObject *list_wanted(Kernel *self, PyObject *none);
PyObject *unspill_interactions(Kernel *self, PyObject *values);
PyObject *split_block(Kernel *self, PyObject *args);

/* ---- crc.c ---- */
enum status add_crc32c(PyObject *module); /* where the processor can */

/* ---- py_entries.c ---- */
PyObject *list_changed(Kernel *self, PyObject *args);
PyObject *sweep_entries(Kernel *self, PyObject *args);
PyObject *load_entries(Kernel *self, PyObject *args);
PyObject *finish_entries(Kernel *self, PyObject *args);
#endif
