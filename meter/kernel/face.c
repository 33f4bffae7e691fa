/* The state's entries as Python sees them: pairs, blocks, and blocks put back. */
#include "module.h"

static PyObject *as_bytes(const buffer *from, size_t start, size_t bytes) {
    return PyBytes_FromStringAndSize((const char *)from->bytes + start, (Py_ssize_t)bytes);
}

static void drop_buffer(kernel *k, buffer *b) {
    k->held_bytes -= b->room;
    free(b->bytes);
}

/* What has been told of is not touched any more; of what ended not even its key is left. */
static void settle(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    i->touched = 0;
    if (i->ended) {
        drop_interaction(k, number);
    }
}

static int append(PyObject *list, PyObject *item) {
    int done = item == NULL ? -1 : PyList_Append(list, item);
    Py_XDECREF(item);
    return done;
}

/* changes() -> [(key, value or None)] */
PyObject *list_changes(Kernel *self, PyObject *Py_UNUSED(none)) {
    kernel *k = usable(self);
    PyObject *list = k == NULL ? NULL : PyList_New(0);
    buffer b = {NULL, 0, 0};
    for (uint32_t each = 0; list != NULL && each < k->touched.count; each++) {
        uint32_t number = k->touched.items[each], key_bytes;
        bool ended = interaction_at(k, number)->ended;
        b.count = 0;
        if (put_entry(k, &b, number, false, &key_bytes) < 0) {
            Py_CLEAR(list);
            no_memory(self);
            break;
        }
        PyObject *key = as_bytes(&b, 0, key_bytes);
        PyObject *value = ended ? Py_None : as_bytes(&b, key_bytes, b.count - key_bytes);
        if (ended) {
            Py_INCREF(Py_None);
        }
        PyObject *pair = key == NULL || value == NULL ? NULL : PyTuple_Pack(2, key, value);
        Py_XDECREF(key);
        Py_XDECREF(value);
        if (append(list, pair) < 0) {
            Py_CLEAR(list);
            self->is_broken = true;
        } else {
            settle(k, number);
        }
    }
    if (k != NULL) {
        k->touched.count = list == NULL ? k->touched.count : 0;
        drop_buffer(k, &b);
    }
    return list;
}

/* One more entry in the buffer; before it grows beyond `most` it becomes a block of the list. */
static int put_framed(kernel *k, PyObject *blocks, buffer *b, uint32_t number, size_t most) {
    uint32_t key_bytes;
    size_t before = b->count;
    if (put_entry(k, b, number, true, &key_bytes) < 0) {
        PyErr_NoMemory();
        return -1;
    }
    if (b->count <= most || before == 0) {
        return 0;
    }
    if (append(blocks, as_bytes(b, 0, before)) < 0) {
        return -1;
    }
    memmove(b->bytes, b->bytes + before, b->count - before);
    b->count -= before;
    return 0;
}

static PyObject *finished(Kernel *self, PyObject *blocks, buffer *b, int done) {
    if (done == 0 && b->count > 0) {
        done = append(blocks, as_bytes(b, 0, b->count));
    }
    drop_buffer(&self->k, b);
    if (done < 0) {
        self->is_broken = true;
        Py_CLEAR(blocks);
    }
    return blocks;
}

static bool is_size(Py_ssize_t most) {
    if (most < 1) {
        PyErr_SetString(PyExc_ValueError, "a block has at least one byte");
    }
    return most >= 1;
}

/* changed(max_block_bytes) -> blocks */
PyObject *list_changed(Kernel *self, PyObject *args) {
    Py_ssize_t most;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "n:changed", &most) || !is_size(most)) {
        return NULL;
    }
    PyObject *blocks = PyList_New(0);
    buffer b = {NULL, 0, 0};
    int done = blocks == NULL ? -1 : 0;
    for (uint32_t each = 0; done == 0 && each < k->touched.count; each++) {
        done = put_framed(k, blocks, &b, k->touched.items[each], (size_t)most);
        if (done == 0) {
            settle(k, k->touched.items[each]);
        }
    }
    k->touched.count = done == 0 ? 0 : k->touched.count;
    return finished(self, blocks, &b, done);
}

/* sweep(cursor, count, max_block_bytes) -> (blocks, next cursor): live entries in the order of their numbers. */
PyObject *sweep_entries(Kernel *self, PyObject *args) {
    Py_ssize_t cursor, count, most;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "nnn:sweep", &cursor, &count, &most) || !is_size(most)) {
        return NULL;
    }
    if (cursor < 0 || count < 1) {
        PyErr_SetString(PyExc_ValueError, "a sweep goes on at a cursor that it gave, over at least one entry");
        return NULL;
    }
    PyObject *blocks = PyList_New(0);
    buffer b = {NULL, 0, 0};
    int done = blocks == NULL ? -1 : 0;
    size_t number = (size_t)cursor + (cursor == 0);
    for (; done == 0 && count > 0 && number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, (uint32_t)number);
        if (i->used && !i->ended) {
            done = put_framed(k, blocks, &b, (uint32_t)number, (size_t)most);
            count--;
        }
    }
    blocks = finished(self, blocks, &b, done);
    Py_ssize_t after = number > k->interactions.made ? 0 : (Py_ssize_t)number;
    return blocks == NULL ? NULL : Py_BuildValue("Nn", blocks, after);
}

/* load(offset, source, block) */
PyObject *load_entries(Kernel *self, PyObject *args) {
    origin from;
    long long offset, source;
    const char *block;
    Py_ssize_t bytes;
    if (self->is_broken || !self->is_begun || (!self->k.restoring && self->k.interactions.made > 0)) {
        PyErr_SetString(PyExc_RuntimeError, "a kernel is loaded before it takes anything");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "LLy#:load", &offset, &source, &block, &bytes)) {
        return NULL;
    }
    kernel *k = &self->k;
    k->restoring = true;
    from = (origin){offset, source};
    int done = load_block(k, &from, (const byte *)block, (size_t)bytes);
    if (done == -2) {
        self->is_broken = true;
        PyErr_SetString(PyExc_ValueError, "this block of entries cannot be read");
        return NULL;
    }
    if (done < 0) {
        return no_memory(self);
    }
    Py_RETURN_NONE;
}

typedef struct { PyObject *set; bool failed; } dead_sources;

static bool is_dead(void *context, int64_t source) {
    dead_sources *dead = context;
    PyObject *number = PyLong_FromLongLong(source);
    int found = number == NULL ? -1 : PySet_Contains(dead->set, number);
    Py_XDECREF(number);
    dead->failed |= found < 0;
    return found > 0;
}

/* finish(dead_sources) */
PyObject *finish_entries(Kernel *self, PyObject *args) {
    dead_sources dead = {NULL, false};
    if (!PyArg_ParseTuple(args, "O:finish", &dead.set)) {
        return NULL;
    }
    if (self->is_broken || !self->is_begun) {
        return (PyObject *)usable(self);
    }
    if (!PyAnySet_Check(dead.set)) {
        PyErr_SetString(PyExc_TypeError, "the dead sources are a set");
        return NULL;
    }
    if (finish_loading(&self->k, is_dead, &dead) < 0) {
        return no_memory(self);
    }
    if (dead.failed) {
        self->is_broken = true;
        return NULL;
    }
    Py_RETURN_NONE;
}
