/* What a batch tells the wallets, as the records of Kafka's batches (magic 2), a list for each partition of theirs.
 * Python has only to put a head before them: nothing is made for a single record. */
#include "kernel.h"

enum { MOST_HEAD_BYTES = 40 + MOST_TEXT_BYTES }; /* of a record: its numbers and its key */

typedef struct {
    byte *bytes;
    size_t count, room;
    uint32_t records;
} batch;

/* Whole numbers as Kafka writes them in records: zigzag, seven bits a byte. */
static byte *put_varint(byte *to, int64_t number) {
    uint64_t left = (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
    for (; left >= 0x80; left >>= 7) {
        *to++ = (byte)(left | 0x80);
    }
    *to++ = (byte)left;
    return to;
}

/* One more record at the batch's end. */
static enum status add(kernel *k, batch *b, const channel_scope *p, const byte *value, size_t value_bytes) {
    byte head[MOST_HEAD_BYTES], length[10];
    uint32_t key_bytes, start = get_length(p->key, p->key + p->key_bytes, &key_bytes);
    byte *to = head;
    *to++ = 0;                       /* attributes: none are in use */
    *to++ = 0;                       /* as many milliseconds after the batch's first timestamp */
    to = put_varint(to, b->records); /* and offsets after its first offset */
    to = put_varint(to, key_bytes);
    memcpy(to, p->key + start, key_bytes);
    to = put_varint(to + key_bytes, (int64_t)value_bytes);
    size_t head_bytes = (size_t)(to - head), wanted = sizeof length + head_bytes + value_bytes + 1;
    if (b->room - b->count < wanted) {
        size_t room = 2 * b->room + wanted + 4096;
        byte *bytes = resized(b->bytes, b->room, room, &k->held_bytes);
        if (bytes == NULL) {
            return STATUS_NO_MEMORY;
        }
        b->bytes = bytes;
        b->room = room;
    }
    to = put_varint(b->bytes + b->count, (int64_t)(head_bytes + value_bytes + 1));
    memcpy(to, head, head_bytes);
    memcpy(to + head_bytes, value, value_bytes);
    to[head_bytes + value_bytes] = 0; /* headers: none */
    b->count = (size_t)(to + head_bytes + value_bytes + 1 - b->bytes);
    b->records++;
    return STATUS_OK;
}

/* The batch joins the list, and begins anew. */
static enum status finish(PyObject *list, batch *b, uint32_t partition) {
    PyObject *packed = Py_BuildValue("Iy#I", partition, (const char *)b->bytes, (Py_ssize_t)b->count, b->records);
    int added = packed == NULL ? -1 : PyList_Append(list, packed);
    Py_XDECREF(packed);
    b->count = b->records = 0;
    return added < 0 ? STATUS_RAISED : STATUS_OK;
}

static enum status pack_all(kernel *k, PyObject *list, batch *batches, uint32_t partitions, size_t most_bytes) {
    byte value[MOST_METERED_BYTES];
    uint32_t at[2] = {0, 0};
    bool is_conversation;
    for (const update *each; (each = next_update(k, at, &is_conversation)) != NULL;) {
        const channel_scope *p = scope_at(k, each->scope);
        uint32_t partition = p->wallet % partitions;
        batch *b = &batches[partition];
        size_t bytes = (size_t)(encode_metered(value, k, each, is_conversation) - value);
        if (b->records > 0 && b->count + MOST_HEAD_BYTES + bytes > most_bytes && finish(list, b, partition) < 0) {
            return STATUS_RAISED;
        }
        if (add(k, b, p, value, bytes) < 0) {
            PyErr_NoMemory();
            return STATUS_RAISED;
        }
    }
    for (uint32_t partition = 0; partition < partitions; partition++) {
        if (batches[partition].records > 0 && finish(list, &batches[partition], partition) < 0) {
            return STATUS_RAISED;
        }
    }
    return STATUS_OK;
}

PyObject *pack_updates(kernel *k, uint32_t partitions, size_t most_bytes) {
    batch *batches = calloc(partitions, sizeof *batches);
    PyObject *list = batches == NULL ? PyErr_NoMemory() : PyList_New(0);
    if (list != NULL && pack_all(k, list, batches, partitions, most_bytes) < 0) {
        Py_CLEAR(list);
    }
    for (uint32_t partition = 0; batches != NULL && partition < partitions; partition++) {
        k->held_bytes -= batches[partition].room;
        free(batches[partition].bytes);
    }
    free(batches);
    clear_updates(k);
    return list;
}

void count_updates(const kernel *k, uint64_t counts[KINDS]) {
    uint32_t at[2] = {0, 0};
    bool is_conversation;
    memset(counts, 0, KINDS * sizeof *counts);
    for (const update *each; (each = next_update(k, at, &is_conversation)) != NULL;) {
        counts[is_conversation ? (int)each->state : kind_of(each)]++;
    }
}
