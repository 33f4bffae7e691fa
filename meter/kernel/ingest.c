/* Records in: a batch is read in groups of plain events, each group is looked up together, and then taken event by
 * event.
 *
 * Owns the group, and the limits of what is plain by size and time. Reading a group first lets memory that its
 * events need be fetched while others are still read. Invariant: a record that is handed back to Python has changed
 * nothing, and all records before it have been taken. */
#include "module.h"

enum { MAX_VALUE_BYTES = 1024 * 1024, FIRST_GROUP = 8 };
#define LAST_MS INT64_C(253402387200000) /* the end of the year 9999, at the largest offset from UTC */

static byte *put_text(byte *to, const text *part) {
    KERNEL_ASSERT_SLOW(part->bytes > 0);
    KERNEL_ASSERT_SLOW(part->bytes <= MAX_TEXT_BYTES);
    to += put_length(to, part->bytes);
    memcpy(to, part->at, part->bytes);
    return to + part->bytes;
}

/* Writes what is looked up of an event. Its key is written to `key`, which has room for MAX_KEY_BYTES. */
static void prepare(const kernel *k, const chat_event *read, event *e, byte *key) {
    byte *end = put_text(put_text(put_text(key, &read->workspace), &read->bot), &read->channel);
    KERNEL_ASSERT_SLOW(read->user.bytes > 0);
    KERNEL_ASSERT_SLOW(read->user.bytes <= MAX_TEXT_BYTES);
    e->key = key;
    e->scope_bytes = (uint32_t)(end - key);
    memcpy(end, read->user.at, read->user.bytes);
    e->key_bytes = e->scope_bytes + read->user.bytes;
    KERNEL_ASSERT_SLOW(e->key_bytes <= MAX_KEY_BYTES);
    e->event_class = read->event_class;
    e->at_ms = read->at_ms;
    event_id_of(&read->workspace, &read->source, &read->id, &e->id);
    e->id_hash = id_hash(k->id_secret, e->id.bytes);
    e->key_hash = keyed_hash(k->key_secret, key, e->key_bytes);
    __builtin_prefetch(&k->by_id.slots[table_home(&k->by_id, e->id_hash)]);
    __builtin_prefetch(&k->by_key.slots[table_home(&k->by_key, e->key_hash)]);
}

/* Adds the record to the group if it is a plain event, and not in the future of its arrival. Returns false if it is
 * for Python to judge; the group has not changed then. Called only while has_room says so. */
bool read_record(const kernel *k, group *g, const fetched *record) {
    KERNEL_ASSERT_SLOW(has_room(g));
    event *e = &g->events[g->count];
    chat_event read;
    if (record->value == NULL || record->value_bytes > MAX_VALUE_BYTES ||
        !scan_event(record->value, record->value_bytes, &read) || read.at_ms - k->future_ms > record->produced_ms) {
        return false;
    }
    prepare(k, &read, e, g->keys + g->keys_bytes);
    e->offset = record->offset;
    e->produced_ms = record->produced_ms;
    g->keys_bytes += e->key_bytes;
    g->count++;
    KERNEL_ASSERT_SLOW(g->keys_bytes <= KEYS_ROOM);
    return true;
}

/* Loads what the events of a group will look at into the cache. Called before they are taken; changes nothing. */
void fetch_group(const kernel *k, const group *g) {
    uint32_t numbers[GROUP];
    KERNEL_ASSERT_SLOW(g->count <= GROUP);
    for (uint32_t each = 0; each < g->count; each++) {
        const event *e = &g->events[each];
        uint32_t at = table_home(&k->by_key, e->key_hash), id_at = table_home(&k->by_id, e->id_hash);
        uint32_t known = table_next(&k->by_id, e->id_hash, &id_at);
        numbers[each] = table_next(&k->by_key, e->key_hash, &at);
        if (numbers[each] != 0) {
            __builtin_prefetch(interaction_at(k, numbers[each]), 1);
        }
        if (known != 0) {
            uint32_t first = known << GROUP_BITS;
            const stored_id *group = &bucket_at(k, first >> BUCKET_BITS)->ids[first & (BUCKET_IDS - 1)];
            __builtin_prefetch(group);
            __builtin_prefetch(group + GROUP_IDS / 2);
        }
    }
    for (uint32_t each = 0; each < g->count; each++) {
        if (numbers[each] != 0) {
            const interaction *i = interaction_at(k, numbers[each]);
            KERNEL_ASSERT_SLOW(i->used);
            __builtin_prefetch(string_item(&k->strings, i->user));
        }
    }
}

static void begin_batch(kernel *k) {
    drop_guests(k);
    if (k->updates.conversations.count + k->updates.occurrences.count > 0) {
        clear_updates(k); /* Those of the last batch were not asked for. */
    }
    KERNEL_ASSERT(k->updates.conversations.count == 0);
    KERNEL_ASSERT(k->updates.occurrences.count == 0);
    KERNEL_ASSERT(k->updates.users_bytes == 0);
}

/* begin(records): a batch that is a list of records. */
PyObject *begin_listed(Kernel *self, PyObject *records) {
    kernel *k = usable(self);
    if (k == NULL) {
        return NULL;
    }
    if (!PyList_Check(records)) {
        PyErr_SetString(PyExc_TypeError, "a batch is a list of records");
        return NULL;
    }
    begin_batch(k);
    open_list(&self->source, records);
    KERNEL_ASSERT(self->source.index == 0);
    Py_RETURN_NONE;
}

/* begin_raw(data, bytes, start): a batch that is the first `bytes` bytes of what a broker sent, from offset `start`
 * on. */
PyObject *begin_raw(Kernel *self, PyObject *args) {
    PyObject *data;
    Py_ssize_t bytes;
    long long start;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "SnL:begin_raw", &data, &bytes, &start)) {
        return NULL;
    }
    if (bytes < 0 || bytes > PyBytes_Size(data)) {
        PyErr_SetString(PyExc_ValueError, "there are not so many bytes");
        return NULL;
    }
    begin_batch(k);
    open_sent(&self->source, data, start, bytes);
    KERNEL_ASSERT(self->source.index == 0);
    Py_RETURN_NONE;
}

/* Reads up to `most` events into a group, up to the first record that is not plain: `is_plain` is then false. Returns
 * STATUS_END after the last record. */
static enum status read_plain(const kernel *k, source *s, group *g, uint32_t most, bool *is_plain) {
    enum status read = STATUS_OK;
    fetched record;
    KERNEL_ASSERT_SLOW(most > 0);
    KERNEL_ASSERT_SLOW(most <= GROUP);
    g->count = g->keys_bytes = 0;
    *is_plain = true;
    while (*is_plain && g->count < most && has_room(g) && (read = next_record(s, &record)) == STATUS_OK) {
        *is_plain = read_record(k, g, &record);
        g->after[g->count - *is_plain] = *s; /* Not used if it is not plain. */
    }
    KERNEL_ASSERT_SLOW(read != STATUS_END || *is_plain);
    return read;
}

/* process() -> the index of the next record that Python has to read; at the batch's end, the number of its records. */
PyObject *ingest_records(Kernel *self, PyObject *Py_UNUSED(none)) {
    kernel *k = usable(self);
    if (k == NULL || self->source.from == NULL) {
        return k == NULL ? NULL : (PyErr_SetString(PyExc_RuntimeError, "begin() comes first"), NULL);
    }
    group g;
    source *s = &self->source;
    for (uint32_t most = FIRST_GROUP;; most = 2 * most < GROUP ? 2 * most : GROUP) {
        bool is_plain;
        enum status read = read_plain(k, s, &g, most, &is_plain);
        if (read < 0) {
            return failed(self, read, NULL);
        }
        fetch_group(k, &g);
        for (uint32_t each = 0; each < g.count; each++) {
            enum outcome found;
            enum status done = step(k, &g.events[each], &found);
            if (done < 0) {
                return failed(self, done, NULL);
            }
            if (found >= LATE) { /* Python refuses or moves it, and the events behind it are read again. */
                go_back(s, &g.after[each]);
                KERNEL_ASSERT_SLOW(s->index > 0);
                return PyLong_FromSsize_t(s->index - 1);
            }
        }
        if (read == STATUS_END || !is_plain) {
            Py_ssize_t index = s->index - !is_plain;
            KERNEL_ASSERT_SLOW(index >= 0);
            if (read == STATUS_END) {
                close_source(s);
            }
            return PyLong_FromSsize_t(index);
        }
    }
}

static enum status text_from(PyObject *from, text *found) {
    Py_ssize_t bytes;
    const char *at = PyUnicode_AsUTF8AndSize(from, &bytes);
    if (at == NULL) {
        return STATUS_RAISED;
    }
    *found = (text){(const byte *)at, (uint32_t)bytes, 0};
    found->characters = bytes <= MAX_TEXT_BYTES ? characters_of(found->at, found->bytes) : 0;
    if (found->characters < 1 || found->characters > MAX_CHARACTERS) {
        PyErr_SetString(PyExc_ValueError, "a name of an event has 1 to 512 characters");
        return STATUS_RAISED;
    }
    KERNEL_ASSERT(found->bytes <= MAX_TEXT_BYTES);
    return STATUS_OK;
}

/* step(workspace_id, bot_id, channel, channel_user_id, source, id, at_ms, event_class, offset, produced_ms) ->
 * outcome */
PyObject *ingest_fields(Kernel *self, PyObject *args) {
    PyObject *names[6];
    long long at_ms, offset, produced_ms;
    int event_class;
    chat_event read;
    event e;
    byte key[MAX_KEY_BYTES];
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "UUUUUULiLL:step", &names[0], &names[1], &names[2], &names[3], &names[4],
                                       &names[5], &at_ms, &event_class, &offset, &produced_ms)) {
        return NULL;
    }
    text *texts[] = {&read.workspace, &read.bot, &read.channel, &read.user, &read.source, &read.id};
    for (int each = 0; each < 6; each++) {
        if (text_from(names[each], texts[each]) < 0) {
            return NULL;
        }
    }
    if (at_ms < 0 || at_ms > LAST_MS || event_class < 0 || event_class >= EVENT_CLASSES) {
        PyErr_SetString(PyExc_ValueError, "an event's time is from 1970 to 9999, and it is one of 24 kinds");
        return NULL;
    }
    read.at_ms = at_ms;
    read.event_class = (byte)event_class;
    prepare(k, &read, &e, key);
    e.offset = offset;
    e.produced_ms = produced_ms;
    enum outcome found;
    enum status done = step(k, &e, &found);
    KERNEL_ASSERT(done < 0 || (found >= 0 && found <= MISPLACED));
    return done < 0 ? failed(self, done, NULL) : PyLong_FromLong(found);
}
