/* Records in. A group of them is read first and looked up together, so that memory is fetched while others are read. */
#include "module.h"

enum { MOST_VALUE_BYTES = 1024 * 1024, MOST_KEY_BYTES = 4 * (2 + MOST_TEXT_BYTES), FIRST_GROUP = 8, GROUP = 64 };
#define LAST_MS INT64_C(253402387200000) /* of the year 9999, wherever on earth */
enum { KEYS_ROOM = 3 * MOST_KEY_BYTES };

static PyObject *OFFSET, *TIMESTAMP, *VALUE;

int name_attributes(void) {
    OFFSET = PyUnicode_InternFromString("offset");
    TIMESTAMP = PyUnicode_InternFromString("timestamp");
    VALUE = PyUnicode_InternFromString("value");
    return OFFSET == NULL || TIMESTAMP == NULL || VALUE == NULL ? -1 : 0;
}

typedef struct {
    event events[GROUP];
    uint32_t count;
    byte keys[KEYS_ROOM];
    uint32_t keys_bytes;
} group;

static byte *put_text(byte *to, const text *part) {
    to += put_length(to, part->bytes);
    memcpy(to, part->at, part->bytes);
    return to + part->bytes;
}

/* What is looked up of an event. Its key is written to `key`, which has room for any. */
static void prepare(const kernel *k, const chat_event *read, event *e, byte *key) {
    byte *end = put_text(put_text(put_text(key, &read->workspace), &read->bot), &read->channel);
    e->key = key;
    e->place_bytes = (uint32_t)(end - key);
    memcpy(end, read->user.at, read->user.bytes);
    e->key_bytes = e->place_bytes + read->user.bytes;
    e->what = read->what;
    e->at_ms = read->at_ms;
    identify(&read->workspace, &read->source, &read->id, &e->id);
    e->id_hash = id_hash(k->id_secret, &e->id);
    e->key_hash = keyed_hash(k->key_secret, key, e->key_bytes);
    __builtin_prefetch(&k->by_id.slots[table_home(&k->by_id, e->id_hash)]);
    __builtin_prefetch(&k->by_key.slots[table_home(&k->by_key, e->key_hash)]);
}

static int number_of(PyObject *record, PyObject *name, int64_t *found) {
    PyObject *number = PyObject_GetAttr(record, name);
    if (number == NULL) {
        return -1;
    }
    *found = PyLong_AsLongLong(number);
    Py_DECREF(number);
    return *found == -1 && PyErr_Occurred() ? -1 : 0;
}

/* 1: the record joined the group; 0: it is for others to judge; -1: an exception. */
static int read_record(const kernel *k, group *g, PyObject *record) {
    event *e = &g->events[g->count];
    PyObject *value = PyObject_GetAttr(record, VALUE);
    if (value == NULL) {
        return -1;
    }
    chat_event read;
    char *bytes;
    Py_ssize_t size;
    bool plain = PyBytes_Check(value) && PyBytes_AsStringAndSize(value, &bytes, &size) == 0 &&
                 size <= MOST_VALUE_BYTES && scan_event((const byte *)bytes, (size_t)size, &read);
    if (plain) {
        prepare(k, &read, e, g->keys + g->keys_bytes);
    }
    Py_DECREF(value);
    if (!plain) {
        return 0;
    }
    if (number_of(record, OFFSET, &e->offset) < 0 || number_of(record, TIMESTAMP, &e->produced_ms) < 0) {
        return -1;
    }
    if (e->at_ms - k->future_ms > e->produced_ms) {
        return 0;
    }
    g->keys_bytes += e->key_bytes;
    g->count++;
    return 1;
}

static void fetch(const kernel *k, const group *g) {
    uint32_t numbers[GROUP];
    for (uint32_t each = 0; each < g->count; each++) {
        const event *e = &g->events[each];
        uint32_t at = table_home(&k->by_key, e->key_hash), before = table_home(&k->by_id, e->id_hash);
        uint32_t known = table_next(&k->by_id, e->id_hash, &before);
        numbers[each] = table_next(&k->by_key, e->key_hash, &at);
        if (numbers[each] != 0) {
            __builtin_prefetch(interaction_at(k, numbers[each]), 1);
        }
        if (known != 0) {
            __builtin_prefetch(seen_at(k, known));
        }
    }
    for (uint32_t each = 0; each < g->count; each++) {
        if (numbers[each] != 0) {
            const interaction *i = interaction_at(k, numbers[each]);
            __builtin_prefetch(pool_at(&k->texts.sizes[i->user >> ITEM_BITS], i->user & NUMBERS));
            if (i->seen != 0) {
                __builtin_prefetch(seen_at(k, i->seen), 1);
            }
        }
    }
}

/* take(records, start) -> the index of the first record that it did not take. A batch begins with `start` 0. */
PyObject *take_records(Kernel *self, PyObject *args) {
    PyObject *records;
    Py_ssize_t at;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "On:take", &records, &at)) {
        return NULL;
    }
    if (at == 0 && k->news.conversations.count + k->news.occurrences.count > 0) {
        forget_news(k); /* nobody asked for what the last batch had to tell */
    }
    group g;
    int read = 1;
    for (uint32_t most = FIRST_GROUP; read == 1; most = 2 * most < GROUP ? 2 * most : GROUP) {
        g.count = g.keys_bytes = 0;
        while (read == 1 && g.count < most && KEYS_ROOM - g.keys_bytes >= MOST_KEY_BYTES) {
            if (at + (Py_ssize_t)g.count >= PyList_Size(records)) {
                read = 0;
                break;
            }
            PyObject *record = PyList_GetItem(records, at + (Py_ssize_t)g.count);
            if (record == NULL) {
                return NULL;
            }
            read = read_record(k, &g, record);
        }
        if (read < 0) {
            return NULL;
        }
        fetch(k, &g);
        for (uint32_t each = 0; each < g.count; each++, at++) {
            enum outcome found = step(k, &g.events[each]);
            if (found == NO_MEMORY) {
                return no_memory(self);
            }
            if (found == LATE) {
                return PyLong_FromSsize_t(at);
            }
        }
    }
    return PyLong_FromSsize_t(at);
}

static int text_from(PyObject *from, text *found) {
    Py_ssize_t bytes;
    const char *at = PyUnicode_AsUTF8AndSize(from, &bytes);
    if (at == NULL) {
        return -1;
    }
    *found = (text){(const byte *)at, (uint32_t)bytes, 0};
    found->characters = bytes <= MOST_TEXT_BYTES ? characters_of(found->at, found->bytes) : 0;
    if (found->characters < 1 || found->characters > MOST_CHARACTERS) {
        PyErr_SetString(PyExc_ValueError, "a name of an event has 1 to 512 characters");
        return -1;
    }
    return 0;
}

/* step(workspace_id, bot_id, channel, channel_user_id, source, id, at_ms, what, offset, produced_ms) -> outcome */
PyObject *take_fields(Kernel *self, PyObject *args) {
    PyObject *names[6];
    long long at_ms, offset, produced_ms;
    int what;
    chat_event read;
    event e;
    byte key[MOST_KEY_BYTES];
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "UUUUUULiLL:step", &names[0], &names[1], &names[2], &names[3], &names[4],
                                       &names[5], &at_ms, &what, &offset, &produced_ms)) {
        return NULL;
    }
    text *texts[] = {&read.workspace, &read.bot, &read.channel, &read.user, &read.source, &read.id};
    for (int each = 0; each < 6; each++) {
        if (text_from(names[each], texts[each]) < 0) {
            return NULL;
        }
    }
    if (at_ms < 0 || at_ms > LAST_MS || what < 0 || what > 23) {
        PyErr_SetString(PyExc_ValueError, "an event's time is from 1970 to 9999, and it is one of 24 kinds");
        return NULL;
    }
    read.at_ms = at_ms;
    read.what = (byte)what;
    prepare(k, &read, &e, key);
    e.offset = offset;
    e.produced_ms = produced_ms;
    enum outcome found = step(k, &e);
    return found == NO_MEMORY ? no_memory(self) : PyLong_FromLong(found);
}
