/* Finds what a batch needs from the store on disk, before any of its records is processed, so that the caller can
 * bring it back first.
 *
 * Owns a copy of the batch's source while it looks. Invariant: nothing changes in the state, and the batch still
 * begins at its first record afterwards. */
#include "module.h"

typedef struct { /* the lists are owned */
    PyObject *interactions, *ids, *others;
    int64_t until_ms;
} wanted;

static enum status add_wanted(const kernel *k, const event *e, wanted *w) {
    KERNEL_ASSERT(e->key_bytes <= MAX_KEY_BYTES);
    if (find_interaction(k, e->key, e->key_bytes, e->scope_bytes, e->key_hash) == 0) {
        event_id digest;
        blake2b_16(e->key, e->key_bytes, NULL, &digest);
        TRY(add_key(w->interactions, 'i', digest.bytes, ID_BYTES));
    }
    if (find_id(k, e->id.bytes, e->id_hash) == 0) {
        TRY(add_key(w->ids, 's', e->id.bytes, SHORT_ID_BYTES));
    }
    w->until_ms = e->at_ms > w->until_ms ? e->at_ms : w->until_ms;
    KERNEL_ASSERT(w->until_ms >= k->watermark_ms);
    return STATUS_OK;
}

/* Reads a group of plain events, and adds the indexes of the others to the list. Returns STATUS_END after the last
 * record. */
static enum status read_group(const kernel *k, source *s, group *g, wanted *w) {
    g->count = g->keys_bytes = 0;
    while (has_room(g)) {
        fetched record;
        enum status read = next_record(s, &record);
        if (read != STATUS_OK) {
            return read;
        }
        KERNEL_ASSERT(s->index > 0);
        if (!read_record(k, g, &record)) {
            TRY(append_new(w->others, PyLong_FromSsize_t(s->index - 1)));
        }
    }
    KERNEL_ASSERT(g->count > 0);
    return STATUS_OK;
}

static enum status look_through(const kernel *k, source *s, wanted *w) {
    group g;
    enum status read;
    KERNEL_ASSERT(w->interactions != NULL);
    KERNEL_ASSERT(w->ids != NULL);
    KERNEL_ASSERT(w->others != NULL);
    do {
        read = read_group(k, s, &g, w);
        TRY(read);
        fetch_group(k, &g);
        for (uint32_t each = 0; each < g.count; each++) {
            TRY(add_wanted(k, &g.events[each], w));
        }
    } while (read == STATUS_OK);
    KERNEL_ASSERT(read == STATUS_END);
    return STATUS_OK;
}

/* wanted() -> (keys of interactions, keys of ids, indexes of records that are not plain, how far event time may
 * come): what the caller must look up in the store before it processes the batch that has begun. */
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
    if (w.interactions != NULL && w.ids != NULL && w.others != NULL && look_through(k, &look, &w) == STATUS_OK) {
        KERNEL_ASSERT(w.until_ms < TIME_LIMIT_MS);
        found = Py_BuildValue("OOOL", w.interactions, w.ids, w.others, (long long)w.until_ms);
    }
    self->is_broken |= found == NULL;
    KERNEL_ASSERT(look.from == self->source.from);
    close_source(&look);
    Py_XDECREF(w.interactions);
    Py_XDECREF(w.ids);
    Py_XDECREF(w.others);
    return found;
}
