/* Kafka's checksum, CRC-32C, by the processor's own instruction where it has one. */
#include "module.h"

#if defined(__x86_64__)
#include <immintrin.h>

static bool can_count(void) {
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t checksum(const byte *data, size_t bytes) {
    uint64_t sum = UINT32_MAX;
    for (; bytes >= 8; data += 8, bytes -= 8) {
        sum = _mm_crc32_u64(sum, word_at(data));
    }
    for (; bytes > 0; data++, bytes--) {
        sum = _mm_crc32_u8((uint32_t)sum, *data);
    }
    return ~(uint32_t)sum;
}
#else
static bool can_count(void) {
    return false;
}

static uint32_t checksum(const byte *data, size_t bytes) {
    (void)data;
    (void)bytes;
    broken("a processor that can", __FILE__, __LINE__);
}
#endif

/* crc32c(data) -> its checksum. Not there where the processor cannot. */
static PyObject *crc32c(PyObject *Py_UNUSED(module), PyObject *data) {
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(data, &bytes, &size) < 0) {
        return NULL;
    }
    return PyLong_FromUnsignedLong(checksum((const byte *)bytes, (size_t)size));
}

enum status add_crc32c(PyObject *module) {
    static PyMethodDef CRC32C[] = {{"crc32c", crc32c, METH_O, NULL}, {NULL, NULL, 0, NULL}};
    return can_count() && PyModule_AddFunctions(module, CRC32C) < 0 ? STATUS_RAISED : STATUS_OK;
}
