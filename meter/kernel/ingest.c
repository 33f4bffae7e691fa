/* Records in. A group of them is read first and looked up together, so that memory is fetched while others are read. */
#include "module.h"

enum { MOST_VALUE_BYTES = 1024 * 1024, FIRST_GROUP = 8 };
#define LAST_MS INT64_C(253402387200000) /* of the year 9999, wherever on earth */

static byte *put_text(byte *to, const text *part) {
    to += put_length(to, part->bytes);
    memcpy(to, part->at, part->bytes);
    return to + part->bytes;
}

/* What is looked up of an event. Its key is written to `key`, which has room for any. */
static void prepare(const kernel *k, const chat_event *read, event *e, byte *key) {
    byte *end = put_text(put_text(put_text(key, &read->workspace), &read->bot), &read->channel);
    e->key = key;
    e->scope_bytes = (uint32_t)(end - key);
    memcpy(end, read->user.at, read->user.bytes);
    e->key_bytes = e->scope_bytes + read->user.bytes;
    e->event_class = read->event_class;
    e->at_ms = read->at_ms;
    event_id_of(&read->workspace, &read->source, &read->id, &e->id);
    e->id_hash = id_hash(k->id_secret, &e->id);
    e->key_hash = keyed_hash(k->key_secret, key, e->key_bytes);
    __builtin_prefetch(&k->by_id.slots[table_home(&k->by_id, e->id_hash)]);
    __builtin_prefetch(&k->by_key.slots[table_home(&k->by_key, e->key_hash)]);
}

/* Whether the record joins the group; if not, it is for others to judge. */
bool read_record(const kernel *k, group *g, const fetched *record) {
    event *e = &g->events[g->count];
    chat_event read;
    if (record->value == NULL || record->value_bytes > MOST_VALUE_BYTES ||
        !scan_event(record->value, record->value_bytes, &read) || read.at_ms - k->future_ms > record->produced_ms) {
        return false;
    }
    prepare(k, &read, e, g->keys + g->keys_bytes);
    e->offset = record->offset;
    e->produced_ms = record->produced_ms;
    g->keys_bytes += e->key_bytes;
    g->count++;
    return true;
}

void fetch_group(const kernel *k, const group *g) {
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
            __builtin_prefetch(accepted_at(k, known));
        }
    }
    for (uint32_t each = 0; each < g->count; each++) {
        if (numbers[each] != 0) {
            const interaction *i = interaction_at(k, numbers[each]);
            __builtin_prefetch(pool_at(&k->strings.sizes[i->user >> ITEM_BITS], i->user & NUMBERS));
            if (i->newest_accepted != 0) {
                __builtin_prefetch(accepted_at(k, i->newest_accepted), 1);
            }
        }
    }
}

static void begin_batch(kernel *k) {
    if (k->updates.conversations.count + k->updates.occurrences.count > 0) {
        clear_updates(k); /* nobody asked for what the last batch had to tell */
    }
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
    Py_RETURN_NONE;
}

/* begin_sent(data, bytes, start): a batch that is what a broker sent, so many bytes of it, from an offset on. */
PyObject *begin_sent(Kernel *self, PyObject *args) {
    PyObject *data;
    Py_ssize_t bytes;
    long long start;
    kernel *k = usable(self);
    if (k == NULL || !PyArg_ParseTuple(args, "SnL:begin_sent", &data, &bytes, &start)) {
        return NULL;
    }
    if (bytes < 0 || bytes > PyBytes_Size(data)) {
        PyErr_SetString(PyExc_ValueError, "there are not so many bytes");
        return NULL;
    }
    begin_batch(k);
    open_sent(&self->source, data, start, bytes);
    Py_RETURN_NONE;
}

/* take() -> the index of the next record of the batch that others have to judge; at its end, how many it had. */
PyObject *ingest_records(Kernel *self, PyObject *Py_UNUSED(none)) {
    kernel *k = usable(self);
    if (k == NULL || self->source.from == NULL) {
        return k == NULL ? NULL : (PyErr_SetString(PyExc_RuntimeError, "begin() comes first"), NULL);
    }
    group g;
    source *s = &self->source;
    for (uint32_t most = FIRST_GROUP;; most = 2 * most < GROUP ? 2 * most : GROUP) {
        fetched record;
        enum status read = STATUS_OK;
        bool is_ours = true;
        g.count = g.keys_bytes = 0;
        while (is_ours && g.count < most && has_room(&g) &&
               (read = next_record(s, &record)) == STATUS_OK) {
            is_ours = read_record(k, &g, &record);
            g.after[g.count - is_ours] = *s;
        }
        if (read < 0) {
            self->is_broken = true;
            return NULL;
        }
        fetch_group(k, &g);
        for (uint32_t each = 0; each < g.count; each++) {
            enum outcome found;
            if (step(k, &g.events[each], &found) < 0) {
                return no_memory(self);
            }
            if (found == LATE) {
                go_back(s, &g.after[each]);
                return PyLong_FromSsize_t(s->index - 1);
            }
        }
        if (read == STATUS_END || !is_ours) {
            Py_ssize_t index = s->index - !is_ours;
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
    found->characters = bytes <= MOST_TEXT_BYTES ? characters_of(found->at, found->bytes) : 0;
    if (found->characters < 1 || found->characters > MOST_CHARACTERS) {
        PyErr_SetString(PyExc_ValueError, "a name of an event has 1 to 512 characters");
        return STATUS_RAISED;
    }
    return STATUS_OK;
}

/* step(workspace_id, bot_id, channel, channel_user_id, source, id, at_ms, what, offset, produced_ms) -> outcome */
PyObject *ingest_fields(Kernel *self, PyObject *args) {
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
    text *strings[] = {&read.workspace, &read.bot, &read.channel, &read.user, &read.source, &read.id};
    for (int each = 0; each < 6; each++) {
        if (text_from(names[each], strings[each]) < 0) {
            return NULL;
        }
    }
    if (at_ms < 0 || at_ms > LAST_MS || what < 0 || what > 23) {
        PyErr_SetString(PyExc_ValueError, "an event's time is from 1970 to 9999, and it is one of 24 kinds");
        return NULL;
    }
    read.at_ms = at_ms;
    read.event_class = (byte)what;
    prepare(k, &read, &e, key);
    e.offset = offset;
    e.produced_ms = produced_ms;
    enum outcome found;
    return step(k, &e, &found) < 0 ? no_memory(self) : PyLong_FromLong(found);
}
