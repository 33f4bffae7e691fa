/* The state's entries as Python sees them: written in blocks, and put back from blocks.
 *
 * Owns the walk over the interactions that have to be written. A block is entries one after another; it may be
 * larger than asked for by one entry. Invariant: an interaction leaves the list `changed` only when its entry is in
 * a block. */
#include "module.h"

static PyObject *as_bytes(const buffer *from) {
    KERNEL_ASSERT(from->count <= from->room);
    return PyBytes_FromStringAndSize((const char *)from->bytes, (Py_ssize_t)from->count);
}

static void drop_buffer(kernel *k, buffer *b) {
    KERNEL_ASSERT(k->held_bytes >= b->room);
    k->held_bytes -= b->room;
    free(b->bytes);
    *b = (buffer){NULL, 0, 0};
}

/* The entry of a changed interaction was written: it is not changed any more, and of one that has ended nothing is
 * left. */
static void mark_written(kernel *k, uint32_t number) {
    interaction *i = interaction_at(k, number);
    KERNEL_ASSERT(i->used);
    KERNEL_ASSERT(i->changed);
    i->changed = 0;
    if (i->ended) {
        remove_interaction(k, number);
    }
}

/* The buffer as a new bytes object, unless something has failed; frees the buffer. */
static PyObject *block_or_error(Kernel *self, buffer *b, enum status done) {
    PyObject *block = done < 0 ? NULL : as_bytes(b);
    drop_buffer(&self->k, b);
    if (done < 0) {
        return failed(self, done, NULL);
    }
    self->is_broken |= block == NULL;
    KERNEL_ASSERT(block != NULL || self->is_broken);
    return block;
}

static enum status encode_interactions(kernel *k, buffer *b, Py_ssize_t size) {
    enum status done = STATUS_OK;
    KERNEL_ASSERT(k->changed.count <= k->interactions.used);
    for (uint32_t fetched = 0; done == STATUS_OK && k->changed.count > 0 && (Py_ssize_t)b->count < size; fetched--) {
        if (fetched == 0) {
            fetched = k->changed.count < FETCH_ENTRIES ? k->changed.count : FETCH_ENTRIES;
            fetch_entries(k, k->changed.items + k->changed.count - fetched, fetched);
        }
        uint32_t number = k->changed.items[k->changed.count - 1];
        done = encode_entry(k, b, number);
        if (done == STATUS_OK) {
            k->changed.count--;
            mark_written(k, number);
        }
    }
    return done;
}

/* Buckets of ids that were dropped, and those that are new or have more ids. */
static enum status encode_buckets(kernel *k, buffer *b, Py_ssize_t size) {
    KERNEL_ASSERT(k->buckets.changed <= buckets_held(k));
    while (k->dropped.count > 0 && (Py_ssize_t)b->count < size) {
        TRY(encode_bucket(k, b, k->dropped.items[k->dropped.count - 1], 0));
        k->dropped.count--;
    }
    while (k->buckets.changed > 0 && (Py_ssize_t)b->count < size) {
        const bucket_place *place = &k->buckets.items[k->buckets.end - k->buckets.changed];
        KERNEL_ASSERT(place->bucket != 0); /* It leaves memory only when it was written. */
        TRY(encode_bucket(k, b, place->number, place->bucket));
        k->buckets.changed--;
    }
    return STATUS_OK;
}

/* changed(size_bytes) -> a block of what changed or ended since it was last called; empty once nothing is left. */
PyObject *list_changed(Kernel *self, PyObject *args) {
    Py_ssize_t size;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "n:changed", &size)) {
        return NULL;
    }
    buffer b = {NULL, 0, 0};
    check_counts(k);
    enum status done = encode_interactions(k, &b, size);
    done = done == STATUS_OK ? encode_buckets(k, &b, size) : done;
    return block_or_error(self, &b, done);
}

/* The numbers of the next live interactions from `number` on; returns how many. */
static uint32_t next_live(const kernel *k, size_t number, uint32_t group[FETCH_ENTRIES]) {
    uint32_t count = 0;
    KERNEL_ASSERT(number > 0);
    for (; count < FETCH_ENTRIES && number <= k->interactions.made; number++) {
        const interaction *i = interaction_at(k, (uint32_t)number);
        if (i->used && !i->ended) {
            group[count++] = (uint32_t)number;
        }
    }
    KERNEL_ASSERT(count <= k->live);
    return count;
}

#define FIRST_BUCKET (INT64_C(1) << 40) /* cursors from here on are of buckets: the number of the next one is added */

/* Live interactions in the order of their numbers, from the cursor on. */
static enum status sweep_interactions(kernel *k, buffer *b, Py_ssize_t size, int64_t *cursor) {
    uint32_t group[FETCH_ENTRIES];
    size_t next = (size_t)*cursor + (*cursor == 0), end = (size_t)k->interactions.made + 1;
    enum status done = STATUS_OK;
    KERNEL_ASSERT(*cursor < FIRST_BUCKET);
    while (done == STATUS_OK && next < end && (Py_ssize_t)b->count < size) {
        uint32_t count = next_live(k, next, group);
        fetch_entries(k, group, count);
        next = count == 0 ? end : next;
        for (uint32_t each = 0; done == STATUS_OK && each < count && (Py_ssize_t)b->count < size; each++) {
            KERNEL_ASSERT(group[each] >= next);
            done = encode_entry(k, b, group[each]);
            next = (size_t)group[each] + 1;
        }
    }
    *cursor = next >= end ? FIRST_BUCKET : (int64_t)next;
    return done;
}

/* The position of the first bucket with this number or a higher one. */
static uint32_t bucket_from(const kernel *k, int64_t number) {
    uint32_t from = k->buckets.first, to = k->buckets.end;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        KERNEL_ASSERT_SLOW(middle < k->buckets.end);
        if (k->buckets.items[middle].number < number) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    KERNEL_ASSERT(from <= k->buckets.end);
    return from;
}

/* Buckets in memory in the order of their numbers, from the cursor on. */
static enum status sweep_buckets(kernel *k, buffer *b, Py_ssize_t size, int64_t *cursor) {
    KERNEL_ASSERT(*cursor >= FIRST_BUCKET);
    uint32_t at = bucket_from(k, *cursor - FIRST_BUCKET);
    for (; at < k->buckets.end && (Py_ssize_t)b->count < size; at++) {
        const bucket_place *place = &k->buckets.items[at];
        KERNEL_ASSERT(place->number >= *cursor - FIRST_BUCKET);
        if (place->bucket != 0) {
            TRY(encode_bucket(k, b, place->number, place->bucket));
        }
    }
    *cursor = at == k->buckets.end ? 0 : FIRST_BUCKET + k->buckets.items[at].number;
    return STATUS_OK;
}

/* sweep(cursor, size_bytes) -> (a block, next cursor): live interactions, then buckets of ids, from the cursor on. */
PyObject *sweep_entries(Kernel *self, PyObject *args) {
    long long from;
    Py_ssize_t size;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "Ln:sweep", &from, &size)) {
        return NULL;
    }
    if (from < 0) {
        PyErr_SetString(PyExc_ValueError, "a sweep goes on at a cursor that it gave");
        return NULL;
    }
    buffer b = {NULL, 0, 0};
    int64_t cursor = from;
    enum status done = cursor < FIRST_BUCKET ? sweep_interactions(k, &b, size, &cursor) : STATUS_OK;
    if (done == STATUS_OK && cursor >= FIRST_BUCKET) {
        done = sweep_buckets(k, &b, size, &cursor);
    }
    KERNEL_ASSERT(cursor == 0 || cursor > from || done < 0 || b.count == 0);
    PyObject *block = block_or_error(self, &b, done);
    return block == NULL ? NULL : Py_BuildValue("NL", block, (long long)cursor);
}

/* Whether the kernel has not taken anything yet, so that a state can be loaded; if not, RuntimeError is set. */
static bool is_loadable(const Kernel *self) {
    const kernel *k = &self->k;
    if (self->is_broken || !self->is_begun || (!k->restoring && k->interactions.made + k->id_buckets.made > 0)) {
        PyErr_SetString(PyExc_RuntimeError, "a kernel is loaded before it takes anything");
        return false;
    }
    KERNEL_ASSERT(k->changed.count == 0);
    KERNEL_ASSERT(k->timers.far_count == 0);
    KERNEL_ASSERT(k->updates.conversations.count + k->updates.occurrences.count == 0);
    return true;
}

/* load(offset, block) */
PyObject *load_entries(Kernel *self, PyObject *args) {
    long long offset;
    const char *block;
    Py_ssize_t bytes;
    if (!is_loadable(self) || !PyArg_ParseTuple(args, "Ly#:load", &offset, &block, &bytes)) {
        return NULL;
    }
    KERNEL_ASSERT(bytes >= 0);
    self->k.restoring = true;
    enum status done = load_block(&self->k, offset, (const byte *)block, (size_t)bytes);
    if (done < 0) {
        return failed(self, done, "this block of entries cannot be read");
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
        return (PyObject *)usable(self); /* NULL: it sets the exception. */
    }
    if (watermark_ms < 0 || watermark_ms >= TIME_LIMIT_MS) {
        PyErr_SetString(PyExc_ValueError, "a watermark is from 1970 to 9999");
        return NULL;
    }
    if (!is_loadable(self)) {
        return NULL;
    }
    self->k.watermark_ms = watermark_ms;
    self->k.closed_messages = closed_messages;
    enum status done = finish_loading(&self->k, floor);
    if (done < 0) {
        return failed(self, done, "an entry does not fit the time that its checkpoint had reached");
    }
    KERNEL_ASSERT(!self->k.restoring);
    Py_RETURN_NONE;
}
