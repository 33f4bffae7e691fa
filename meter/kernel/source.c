/* Where records come from: a list of objects, or what a broker sent, in which nothing is an object yet. */
#include "module.h"

enum { HEAD_BYTES = 61, NOT_IN_LENGTH = 12 }; /* of a batch of Kafka's, magic 2; the base offset and the length itself */
enum { AT_LENGTH = 8, AT_ATTRIBUTES = 21, AT_FIRST_MS = 27, AT_LAST_MS = 35, AT_COUNT = 57 };
enum { BROKERS_TIME = 8 }; /* of the attributes: when the broker had them counts */

static PyObject *OFFSET, *TIMESTAMP, *VALUE;

enum status intern_attribute_names(void) {
    OFFSET = PyUnicode_InternFromString("offset");
    TIMESTAMP = PyUnicode_InternFromString("timestamp");
    VALUE = PyUnicode_InternFromString("value");
    return OFFSET == NULL || TIMESTAMP == NULL || VALUE == NULL ? STATUS_RAISED : STATUS_OK;
}

static int64_t number_at(const byte *at, int bytes) {
    uint64_t number = 0;
    for (int each = 0; each < bytes; each++) {
        number = number << 8 | at[each];
    }
    return (int64_t)number;
}

/* Zigzag, seven bits a byte. NULL: it breaks off, or is too long for a number. */
static const byte *get_varint(const byte *at, const byte *end, int64_t *number) {
    uint64_t read = 0;
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        read |= (uint64_t)(*at & 0x7F) << shift;
        if (*at++ < 0x80) {
            *number = (int64_t)(read >> 1) ^ -(int64_t)(read & 1);
            return at;
        }
    }
    return NULL;
}

/* A text of a record; none has length -1. NULL: it breaks off. */
static const byte *get_part(const byte *at, const byte *end, const byte **part, int64_t *bytes) {
    at = get_varint(at, end, bytes);
    if (at == NULL || *bytes < -1 || *bytes > end - at) {
        return NULL;
    }
    *part = *bytes < 0 ? NULL : at;
    return *bytes < 0 ? at : at + *bytes;
}

static enum status refuse_batch(void) {
    PyErr_SetString(PyExc_ValueError, "a batch of records does not hold together, although its checksum fits");
    return STATUS_RAISED;
}

static enum status next_batch(source *s) {
    const byte *at = s->batch_end;
    int64_t bytes = s->end - at < HEAD_BYTES ? -1 : number_at(at + AT_LENGTH, 4) + NOT_IN_LENGTH;
    if (bytes < HEAD_BYTES || bytes > s->end - at) {
        return refuse_batch();
    }
    bool is_brokers_time = at[AT_ATTRIBUTES + 1] & BROKERS_TIME;
    s->base_offset = number_at(at, 8);
    s->first_ms = number_at(at + (is_brokers_time ? AT_LAST_MS : AT_FIRST_MS), 8);
    s->is_brokers_time = is_brokers_time;
    s->count = s->left = (uint32_t)number_at(at + AT_COUNT, 4);
    s->at = at + HEAD_BYTES;
    s->batch_end = at + bytes;
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
        /* Without gaps offsets follow from places, and the last record ends where the batch does. */
        if (at == NULL || offsets_after != s->count - s->left || (s->left == 1 && end != s->batch_end)) {
            return refuse_batch();
        }
        found->value_bytes = value_bytes < 0 ? 0 : (size_t)value_bytes;
        found->offset = s->base_offset + offsets_after;
        found->produced_ms = s->first_ms + (s->is_brokers_time ? 0 : ms_after);
        s->at = end;
        s->left--;
    } while (found->offset < s->start);
    s->index++;
    return STATUS_OK;
}

static enum status number_of(PyObject *record, PyObject *name, int64_t *found) {
    PyObject *number = PyObject_GetAttr(record, name);
    if (number == NULL) {
        return STATUS_RAISED;
    }
    *found = PyLong_AsLongLong(number);
    Py_DECREF(number);
    return *found == -1 && PyErr_Occurred() ? STATUS_RAISED : STATUS_OK;
}

static enum status next_listed(source *s, fetched *found) {
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
    s->held = value; /* The record may have made it for us alone. */
    s->index++;
    return STATUS_OK;
}

enum status next_record(source *s, fetched *found) {
    return s->end == NULL ? next_listed(s, found) : next_sent(s, found);
}

void open_list(source *s, PyObject *records) {
    close_source(s);
    Py_INCREF(records);
    s->from = records;
}

void open_sent(source *s, PyObject *data, int64_t start, Py_ssize_t bytes) {
    close_source(s);
    Py_INCREF(data);
    s->from = data;
    s->batch_end = (const byte *)PyBytes_AsString(data);
    s->end = s->batch_end + bytes;
    s->start = start;
}

void close_source(source *s) {
    PyObject *from = s->from, *held = s->held;
    *s = (source){0};
    Py_XDECREF(from);
    Py_XDECREF(held);
}
