/* Updates as the records of Kafka's batches (magic 2), a list for each partition of the wallets' topic. Python has
 * only to put a head before them: no Python object is made for a single record.
 *
 * Owns the batches while they grow; what it returns belongs to Python. Invariant: a batch is larger than the
 * caller's limit only if it has a single record. */
#include "kernel.h"

enum { MAX_VARINT_BYTES = 10, MAX_HEAD_BYTES = 40 + MAX_TEXT_BYTES }; /* of a record: its numbers and its key */

typedef struct {
    byte *bytes;
    size_t count, room;
    uint32_t records;
} batch;

/* Writes a whole number as Kafka's records have it: zigzag, seven bits a byte. */
static byte *put_varint(byte *to, int64_t number) {
    const byte *start = to;
    uint64_t left = (uint64_t)number << 1 ^ (uint64_t)(number >> 63);
    for (; left >= 0x80; left >>= 7) {
        *to++ = (byte)(left | 0x80);
    }
    *to++ = (byte)left;
    KERNEL_ASSERT_SLOW(to - start <= MAX_VARINT_BYTES);
    return to;
}

/* Adds one record at the end of the batch, keyed by the workspace. */
static enum status add(kernel *k, batch *b, const channel_scope *s, const byte *value, size_t value_bytes) {
    byte head[MAX_HEAD_BYTES], length[MAX_VARINT_BYTES];
    uint32_t key_bytes, start = get_length(s->key, s->key + s->key_bytes, &key_bytes);
    KERNEL_ASSERT_SLOW(start > 0);
    KERNEL_ASSERT_SLOW(key_bytes <= s->key_bytes - start);
    byte *to = head;
    *to++ = 0;                       /* attributes: none are in use */
    *to++ = 0;                       /* milliseconds after the batch's first timestamp */
    to = put_varint(to, b->records); /* its offset after the batch's first one */
    to = put_varint(to, key_bytes);
    memcpy(to, s->key + start, key_bytes);
    to = put_varint(to + key_bytes, (int64_t)value_bytes);
    size_t head_bytes = (size_t)(to - head), wanted = sizeof length + head_bytes + value_bytes + 1;
    KERNEL_ASSERT_SLOW(head_bytes <= sizeof head);
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
    KERNEL_ASSERT_SLOW(b->count <= b->room);
    return STATUS_OK;
}

/* Adds the batch to the list, and empties it. */
static enum status finish(PyObject *list, batch *b, uint32_t partition) {
    KERNEL_ASSERT(b->records > 0);
    KERNEL_ASSERT(b->count > 0);
    PyObject *packed = Py_BuildValue("Iy#I", partition, (const char *)b->bytes, (Py_ssize_t)b->count, b->records);
    int added = packed == NULL ? -1 : PyList_Append(list, packed);
    Py_XDECREF(packed);
    b->count = b->records = 0;
    return added < 0 ? STATUS_RAISED : STATUS_OK;
}

static enum status pack_all(kernel *k, PyObject *list, batch *batches, uint32_t partitions, size_t max_bytes) {
    byte value[MAX_METERED_BYTES];
    uint32_t at[2] = {0, 0};
    bool is_conversation;
    KERNEL_ASSERT_SLOW(partitions > 0);
    for (const update *each; (each = next_update(k, at, &is_conversation)) != NULL;) {
        const channel_scope *s = scope_at(k, each->scope);
        KERNEL_ASSERT_SLOW(s->uses > 0);
        uint32_t partition = s->wallet_hash % partitions;
        batch *b = &batches[partition];
        size_t bytes = (size_t)(encode_metered(value, k, each, is_conversation) - value);
        if (b->records > 0 && b->count + MAX_HEAD_BYTES + bytes > max_bytes) {
            TRY(finish(list, b, partition));
        }
        TRY(add(k, b, s, value, bytes));
    }
    for (uint32_t partition = 0; partition < partitions; partition++) {
        if (batches[partition].records > 0) {
            TRY(finish(list, &batches[partition], partition));
        }
    }
    return STATUS_OK;
}

/* Returns a new list of (partition, records as a Kafka batch holds them, how many), and forgets the updates. Called
 * once, when a batch ends. Returns NULL with a Python exception if memory is short: the updates are lost, and the
 * kernel must not be used again. */
PyObject *pack_updates(kernel *k, uint32_t partitions, size_t max_bytes) {
    KERNEL_ASSERT(partitions > 0);
    batch *batches = calloc(partitions, sizeof *batches);
    PyObject *list = batches == NULL ? PyErr_NoMemory() : PyList_New(0);
    enum status done = list == NULL ? STATUS_RAISED : pack_all(k, list, batches, partitions, max_bytes);
    if (done == STATUS_NO_MEMORY) {
        PyErr_NoMemory();
    }
    if (done != STATUS_OK) {
        Py_CLEAR(list);
    }
    for (uint32_t partition = 0; batches != NULL && partition < partitions; partition++) {
        KERNEL_ASSERT(k->held_bytes >= batches[partition].room);
        k->held_bytes -= batches[partition].room;
        free(batches[partition].bytes);
    }
    free(batches);
    clear_updates(k);
    return list;
}
