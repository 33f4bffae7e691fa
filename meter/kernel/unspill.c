/* Back from a store on disk, and from checkpoints for it. spill.c says what the store holds. */
#include "module.h"

#define NOT_STORED UINT32_MAX /* in place of how many ids are shadowed: the entry is a checkpoint's */

typedef struct { PyObject *interactions, *ids, *others; int64_t until_ms; } wanted;

static enum status add_wanted(const kernel *k, const event *e, wanted *w) {
    if (find_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash) == 0) {
        event_id digest;
        blake2b_16(e->key, e->key_bytes, NULL, &digest);
        TRY(add_key(w->interactions, 'i', &digest));
    }
    if (find_accepted(k, &e->id, e->id_hash) == 0) {
        TRY(add_key(w->ids, 's', &e->id));
    }
    w->until_ms = e->at_ms > w->until_ms ? e->at_ms : w->until_ms;
    return STATUS_OK;
}

static enum status look_through(Kernel *self, source *s, wanted *w) {
    kernel *k = &self->k;
    group g;
    for (enum status read = STATUS_OK; read == STATUS_OK;) {
        g.count = g.keys_bytes = 0;
        while (has_room(&g)) {
            fetched record;
            read = next_record(s, &record);
            if (read != STATUS_OK) {
                break;
            }
            if (!read_record(k, &g, &record)) {
                PyObject *index = PyLong_FromSsize_t(s->index - 1);
                int done = index == NULL ? -1 : PyList_Append(w->others, index);
                Py_XDECREF(index);
                if (done < 0) {
                    return STATUS_RAISED;
                }
            }
        }
        if (read < 0) {
            return read;
        }
        fetch_group(k, &g);
        for (uint32_t each = 0; each < g.count; each++) {
            TRY(add_wanted(k, &g.events[each], w));
        }
    }
    return STATUS_OK;
}

/* wanted() -> (keys of interactions, keys of ids, indexes of records that are not plain, how far event time may come): what
 * the store has to be asked for before the batch that has begun is taken. */
PyObject *list_wanted(Kernel *self, PyObject *Py_UNUSED(none)) {
    kernel *k = usable(self);
    if (k == NULL || self->source.from == NULL) {
        return k == NULL ? NULL : (PyErr_SetString(PyExc_RuntimeError, "begin() comes first"), NULL);
    }
    source look = self->source;
    Py_XINCREF(look.from);
    Py_XINCREF(look.held);
    wanted w = {PyList_New(0), PyList_New(0), PyList_New(0), k->watermark_ms};
    PyObject *found = NULL;
    if (w.interactions != NULL && w.ids != NULL && w.others != NULL && look_through(self, &look, &w) == STATUS_OK) {
        found = Py_BuildValue("OOOL", w.interactions, w.ids, w.others, (long long)w.until_ms);
    }
    self->is_broken |= found == NULL;
    close_source(&look);
    Py_XDECREF(w.interactions);
    Py_XDECREF(w.ids);
    Py_XDECREF(w.others);
    return found;
}

static bool is_listed(const byte *positions, uint32_t count, uint32_t position) {
    for (uint32_t each = 0; each < count; each++) {
        uint32_t listed;
        memcpy(&listed, positions + each * sizeof listed, sizeof listed);
        if (listed == position) {
            return true;
        }
    }
    return false;
}

/* Put the ids into the table. Those that the store may have for another interaction are added to `unsure`, as its keys. */
static enum status index_ids(kernel *k, const interaction *i, const byte *positions, uint32_t shadowed, PyObject *unsure) {
    bool is_stored = shadowed != NOT_STORED;
    uint32_t position = 0;
    for (uint32_t number = i->newest_accepted; number != 0; position++) {
        number = accepted_at(k, number)->next;
        accepted_event *s = accepted_at(k, number);
        if (ms(s->at) > k->watermark_ms) {
            return STATUS_MALFORMED;
        }
        /* Of a checkpoint's ids that are out of reach nobody knows which came again; and nobody will ask for them. */
        bool counts = is_stored ? !is_listed(positions, shadowed, position) : ms(s->at) >= k->watermark_ms - k->horizon_ms;
        s->stored = counts && is_stored;
        if (counts) {
            TRY(index_newest(k, number));
        }
        if (counts && !is_stored) {
            TRY(add_key(unsure, 's', &s->id));
        }
        if (number == i->newest_accepted) {
            break;
        }
    }
    return STATUS_OK;
}

static enum status unspill_one(kernel *k, const byte *value, size_t bytes, PyObject *unsure) {
    uint32_t shadowed, number;
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
    /* A sweep has to meet it, and may have passed its number: so the next checkpoint writes it. */
    return shadowed == NOT_STORED ? STATUS_OK : mark_changed(k, number);
}

/* bring_back(values) -> keys of ids: interactions as the store holds them, or a checkpoint; of a checkpoint's the ids, which
 * the store may have for others, since the horizon may have been shorter when they were accepted. */
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
        done = unspill_one(k, (const byte *)PyBytes_AsString(value), (size_t)PyBytes_Size(value), unsure);
    }
    if (done == STATUS_OK) {
        return unsure;
    }
    Py_XDECREF(unsure);
    self->is_broken = true;
    if (done == STATUS_MALFORMED) {
        PyErr_SetString(PyExc_ValueError, "an entry does not fit the time that its checkpoint had reached, or cannot be read");
        return NULL;
    }
    return no_memory(self);
}

enum { LOADED_KEY_BYTES = 1 + ID_BYTES + 8 };

static enum status add_loaded(PyObject *pairs, const byte key[LOADED_KEY_BYTES], const byte *entry, size_t bytes) {
    PyObject *value = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(STORED_HEAD_BYTES + bytes));
    if (value == NULL) {
        return STATUS_RAISED;
    }
    byte *to = (byte *)PyBytes_AsString(value);
    uint32_t shadowed = NOT_STORED;
    memset(to, 0, 8);
    memcpy(to + 8, &shadowed, sizeof shadowed);
    memcpy(to + STORED_HEAD_BYTES, entry, bytes);
    PyObject *pair = Py_BuildValue("y#N", key, (Py_ssize_t)LOADED_KEY_BYTES, value);
    int done = pair == NULL ? -1 : PyList_Append(pairs, pair);
    Py_XDECREF(pair);
    return done < 0 ? STATUS_RAISED : STATUS_OK;
}

/* split(offset, block) -> (key, value) of each entry of a checkpoint's block. A key is 'l', the digest of the entry's, and
 * the offset, the highest first; a value is as bring_back takes it, with nothing after its head where the entry ended. */
PyObject *split_block(Kernel *self, PyObject *args) {
    long long offset;
    const char *block;
    Py_ssize_t bytes;
    (void)self;
    if (!PyArg_ParseTuple(args, "Ly#:split", &offset, &block, &bytes)) {
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
        digest_of_key('l', e.key, e.key_bytes, key);
        encode_descending(key + 1 + ID_BYTES, INT64_MAX - offset);
        if (add_loaded(pairs, key, e.whole, e.ended ? 0 : (size_t)(at - e.whole)) < 0) {
            Py_CLEAR(pairs);
        }
    }
    return pairs;
}
