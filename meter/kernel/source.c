/* Where records come from: a list of Python objects, or the bytes that a broker sent, of which no object is made.
 *
 * Owns the walk over the records of a batch, and a reference to what they lie in. Bytes may come from anywhere: a
 * checksum that fits does not make them true. Invariant: `at` never passes `batch_end`, nor that `end`. */
#include "module.h"

/* The head of a Kafka batch, magic 2. The length field does not count the base offset nor the field itself. */
enum { HEAD_BYTES = 61, NOT_IN_LENGTH = 12 };
enum { AT_LENGTH = 8, AT_ATTRIBUTES = 21, AT_FIRST_MS = 27, AT_LAST_MS = 35, AT_COUNT = 57 };
enum { BROKER_TIME = 8 }; /* a bit of the attributes: the time at which the broker appended the batch counts */

static PyObject *OFFSET, *TIMESTAMP, *VALUE;

/* Makes the names of the attributes that are read of a record. Called once, when the module is made. Returns
 * STATUS_RAISED. */
enum status intern_attribute_names(void) {
    KERNEL_ASSERT(OFFSET == NULL || VALUE != NULL);
    OFFSET = PyUnicode_InternFromString("offset");
    TIMESTAMP = PyUnicode_InternFromString("timestamp");
    VALUE = PyUnicode_InternFromString("value");
    return OFFSET == NULL || TIMESTAMP == NULL || VALUE == NULL ? STATUS_RAISED : STATUS_OK;
}

/* The number in so many bytes, the highest first. */
static int64_t number_at(const byte *at, int bytes) {
    uint64_t number = 0;
    KERNEL_ASSERT_SLOW(at != NULL);
    KERNEL_ASSERT_SLOW(bytes > 0);
    KERNEL_ASSERT_SLOW(bytes <= 8);
    for (int each = 0; each < bytes; each++) {
        number = number << 8 | at[each];
    }
    return (int64_t)number;
}

/* Reads a number in zigzag, seven bits a byte. Returns where it ends; NULL if it breaks off, or has more than 64
 * bits. */
static const byte *get_varint(const byte *at, const byte *end, int64_t *number) {
    uint64_t read = 0;
    KERNEL_ASSERT_SLOW(at != NULL);
    KERNEL_ASSERT_SLOW(at <= end);
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        read |= (uint64_t)(*at & 0x7F) << shift;
        if (*at++ < 0x80) {
            *number = (int64_t)(read >> 1) ^ -(int64_t)(read & 1);
            return at;
        }
    }
    return NULL;
}

/* Reads a key or a value with its length; -1: there is none, and `part` is NULL. Returns where it ends; NULL if it
 * breaks off. */
static const byte *get_part(const byte *at, const byte *end, const byte **part, int64_t *bytes) {
    at = get_varint(at, end, bytes);
    if (at == NULL || *bytes < -1 || *bytes > end - at) {
        return NULL;
    }
    *part = *bytes < 0 ? NULL : at;
    KERNEL_ASSERT_SLOW(*bytes == -1 || at + *bytes <= end);
    return *bytes < 0 ? at : at + *bytes;
}

static enum status refuse_batch(void) {
    PyErr_SetString(PyExc_ValueError, "a batch of records does not hold together, although its checksum fits");
    return STATUS_RAISED;
}

static enum status next_batch(source *s) {
    const byte *at = s->batch_end;
    KERNEL_ASSERT(s->left == 0);
    KERNEL_ASSERT(at <= s->end);
    int64_t bytes = s->end - at < HEAD_BYTES ? -1 : number_at(at + AT_LENGTH, 4) + NOT_IN_LENGTH;
    if (bytes < HEAD_BYTES || bytes > s->end - at) {
        return refuse_batch();
    }
    bool is_broker_time = at[AT_ATTRIBUTES + 1] & BROKER_TIME;
    s->base_offset = number_at(at, 8);
    s->first_ms = number_at(at + (is_broker_time ? AT_LAST_MS : AT_FIRST_MS), 8);
    s->is_broker_time = is_broker_time;
    s->count = s->left = (uint32_t)number_at(at + AT_COUNT, 4);
    s->at = at + HEAD_BYTES;
    s->batch_end = at + bytes;
    KERNEL_ASSERT(s->at <= s->batch_end);
    KERNEL_ASSERT(s->batch_end <= s->end);
    return STATUS_OK;
}

static enum status next_sent(source *s, fetched *found) {
    do {
        while (s->left == 0) {
            if (s->batch_end == s->end) {
                return STATUS_END;
            }
            TRY(next_batch(s));
        }
        KERNEL_ASSERT_SLOW(s->left <= s->count);
        KERNEL_ASSERT_SLOW(s->at <= s->batch_end);
        int64_t bytes, ms_after, offsets_after, value_bytes;
        const byte *at = get_varint(s->at, s->batch_end, &bytes), *key;
        if (at == NULL || bytes < 1 || bytes > s->batch_end - at) {
            return refuse_batch();
        }
        const byte *end = at + bytes;
        at = get_varint(at + 1, end, &ms_after);
        at = at == NULL ? NULL : get_varint(at, end, &offsets_after);
        at = at == NULL ? NULL : get_part(at, end, &key, &bytes);
        at = at == NULL ? NULL : get_part(at, end, &found->value, &value_bytes);
        /* A plain batch has no gaps in its offsets, and its last record ends where the batch does. */
        if (at == NULL || offsets_after != s->count - s->left || (s->left == 1 && end != s->batch_end)) {
            return refuse_batch();
        }
        found->value_bytes = value_bytes < 0 ? 0 : (size_t)value_bytes;
        found->offset = s->base_offset + offsets_after;
        found->produced_ms = s->first_ms + (s->is_broker_time ? 0 : ms_after);
        s->at = end;
        s->left--;
    } while (found->offset < s->start);
    s->index++;
    KERNEL_ASSERT_SLOW(s->at <= s->batch_end);
    return STATUS_OK;
}

static enum status number_of(PyObject *record, PyObject *name, int64_t *found) {
    KERNEL_ASSERT_SLOW(record != NULL);
    KERNEL_ASSERT_SLOW(name != NULL);
    PyObject *number = PyObject_GetAttr(record, name);
    if (number == NULL) {
        return STATUS_RAISED;
    }
    *found = PyLong_AsLongLong(number);
    Py_DECREF(number);
    return *found == -1 && PyErr_Occurred() ? STATUS_RAISED : STATUS_OK;
}

static enum status next_listed(source *s, fetched *found) {
    KERNEL_ASSERT_SLOW(s->from != NULL);
    KERNEL_ASSERT_SLOW(s->index >= 0);
    if (s->index >= PyList_Size(s->from)) {
        return STATUS_END;
    }
    PyObject *record = PyList_GetItem(s->from, s->index);
    PyObject *value = record == NULL ? NULL : PyObject_GetAttr(record, VALUE);
    if (value == NULL || number_of(record, OFFSET, &found->offset) < 0 ||
        number_of(record, TIMESTAMP, &found->produced_ms) < 0) {
        Py_XDECREF(value);
        return STATUS_RAISED;
    }
    found->value = NULL;
    if (PyBytes_Check(value)) {
        found->value = (const byte *)PyBytes_AsString(value);
        found->value_bytes = (size_t)PyBytes_Size(value);
    }
    Py_XDECREF(s->held);
    s->held = value; /* The record may have created this object just now. The reference keeps its bytes alive. */
    s->index++;
    return STATUS_OK;
}

/* Reads the next record of the batch. What is found belongs to the source, until the next record is read. Returns
 * STATUS_END after the last one, or STATUS_RAISED with ValueError if the bytes are damaged; nothing of the batch may
 * be read then. */
enum status next_record(source *s, fetched *found) {
    KERNEL_ASSERT_SLOW(s->from != NULL);
    return s->end == NULL ? next_listed(s, found) : next_sent(s, found);
}

/* Begins a batch that is a list of records, and takes a reference to it. A batch that has begun before is closed. */
void open_list(source *s, PyObject *records) {
    KERNEL_ASSERT(records != NULL);
    close_source(s);
    Py_INCREF(records);
    s->from = records;
}

/* Begins a batch that is the first `bytes` bytes of what a broker sent, from offset `start` on, and takes a
 * reference to the bytes. A batch that has begun before is closed. */
void open_sent(source *s, PyObject *data, int64_t start, Py_ssize_t bytes) {
    KERNEL_ASSERT(bytes >= 0);
    KERNEL_ASSERT(bytes <= PyBytes_Size(data));
    close_source(s);
    Py_INCREF(data);
    s->from = data;
    s->batch_end = (const byte *)PyBytes_AsString(data);
    s->end = s->batch_end + bytes;
    s->start = start;
    KERNEL_ASSERT(s->batch_end != NULL); /* `end` tells bytes from a list. */
}

/* Ends a batch and drops the references. Called at its end, or before; does nothing if none has begun. */
void close_source(source *s) {
    KERNEL_ASSERT(s->from != NULL || s->held == NULL);
    PyObject *from = s->from, *held = s->held;
    *s = (source){0};
    Py_XDECREF(from);
    Py_XDECREF(held);
}
