/* The state's entries as Python sees them: in blocks, and put back from blocks. */
#include "module.h"

static PyObject *as_bytes(const buffer *from, size_t start, size_t bytes) {
    return PyBytes_FromStringAndSize((const char *)from->bytes + start, (Py_ssize_t)bytes);
}

static void drop_buffer(kernel *k, buffer *b) {
    k->held_bytes -= b->room;
    free(b->bytes);
}

/* What has been told of is not touched any more; of what ended not even its key is left. */
static void mark_written(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    i->changed = 0;
    if (i->ended) {
        remove_interaction(k, number);
    }
}

/* The buffer as a block, unless something went wrong. */
static PyObject *block_or_error(Kernel *self, buffer *b, enum status done) {
    PyObject *block = done < 0 ? NULL : as_bytes(b, 0, b->count);
    drop_buffer(&self->k, b);
    if (done < 0) {
        return no_memory(self);
    }
    self->is_broken |= block == NULL;
    return block;
}

/* changed(size_bytes) -> a block of what changed or ended since last asked, empty if nothing is left of it */
PyObject *list_changed(Kernel *self, PyObject *args) {
    Py_ssize_t size;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "n:changed", &size)) {
        return NULL;
    }
    buffer b = {NULL, 0, 0};
    enum status done = STATUS_OK;
    for (uint32_t fetched = 0; done == STATUS_OK && k->changed.count > 0 && (Py_ssize_t)b.count < size; fetched--) {
        if (fetched == 0) {
            fetched = k->changed.count < FETCH_ENTRIES ? k->changed.count : FETCH_ENTRIES;
            fetch_entries(k, k->changed.items + k->changed.count - fetched, fetched);
        }
        uint32_t number = k->changed.items[k->changed.count - 1];
        done = encode_entry(k, &b, number);
        if (done == STATUS_OK) {
            k->changed.count--;
            mark_written(k, number);
        }
    }
    return block_or_error(self, &b, done);
}

/* The numbers of the next live interactions from `number` on. */
static uint32_t next_live(const kernel *k, size_t number, uint32_t group[FETCH_ENTRIES]) {
    uint32_t count = 0;
    for (; count < FETCH_ENTRIES && number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, (uint32_t)number);
        if (i->used && !i->ended) {
            group[count++] = (uint32_t)number;
        }
    }
    return count;
}

/* sweep(cursor, size_bytes) -> (a block, next cursor): live entries in the order of their numbers. */
PyObject *sweep_entries(Kernel *self, PyObject *args) {
    Py_ssize_t cursor, size;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "nn:sweep", &cursor, &size)) {
        return NULL;
    }
    if (cursor < 0) {
        PyErr_SetString(PyExc_ValueError, "a sweep goes on at a cursor that it gave");
        return NULL;
    }
    buffer b = {NULL, 0, 0};
    enum status done = STATUS_OK;
    uint32_t group[FETCH_ENTRIES];
    size_t next = (size_t)cursor + (cursor == 0), end = (size_t)k->interactions.made + 1;
    while (done == STATUS_OK && next < end && (Py_ssize_t)b.count < size) {
        uint32_t count = next_live(k, next, group);
        fetch_entries(k, group, count);
        next = count == 0 ? end : next;
        for (uint32_t each = 0; done == STATUS_OK && each < count && (Py_ssize_t)b.count < size; each++) {
            done = encode_entry(k, &b, group[each]);
            next = (size_t)group[each] + 1;
        }
    }
    Py_ssize_t after = next >= end ? 0 : (Py_ssize_t)next;
    PyObject *block = block_or_error(self, &b, done);
    return block == NULL ? NULL : Py_BuildValue("Nn", block, after);
}

/* load(offset, block) */
PyObject *load_entries(Kernel *self, PyObject *args) {
    long long offset;
    const char *block;
    Py_ssize_t bytes;
    if (self->is_broken || !self->is_begun || (!self->k.restoring && self->k.interactions.made > 0)) {
        PyErr_SetString(PyExc_RuntimeError, "a kernel is loaded before it takes anything");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "Ly#:load", &offset, &block, &bytes)) {
        return NULL;
    }
    kernel *k = &self->k;
    k->restoring = true;
    enum status done = load_block(k, offset, (const byte *)block, (size_t)bytes);
    if (done == STATUS_MALFORMED) {
        self->is_broken = true;
        PyErr_SetString(PyExc_ValueError, "this block of entries cannot be read");
        return NULL;
    }
    if (done < 0) {
        return no_memory(self);
    }
    Py_RETURN_NONE;
}

/* finish(floor, watermark_ms, closed_messages) */
PyObject *finish_entries(Kernel *self, PyObject *args) {
    long long floor, watermark_ms, closed_messages;
    if (!PyArg_ParseTuple(args, "LLL:finish", &floor, &watermark_ms, &closed_messages)) {
        return NULL;
    }
    if (self->is_broken || !self->is_begun) {
        return (PyObject *)usable(self);
    }
    if (watermark_ms < 0 || watermark_ms >= TIME_LIMIT_MS) {
        PyErr_SetString(PyExc_ValueError, "a watermark is from 1970 to 9999");
        return NULL;
    }
    self->k.watermark_ms = watermark_ms;
    self->k.closed_messages = closed_messages;
    enum status done = finish_loading(&self->k, floor);
    if (done == STATUS_MALFORMED) {
        self->is_broken = true;
        PyErr_SetString(PyExc_ValueError, "an entry does not fit the time that its checkpoint had reached");
        return NULL;
    }
    if (done < 0) {
        return no_memory(self);
    }
    Py_RETURN_NONE;
}
