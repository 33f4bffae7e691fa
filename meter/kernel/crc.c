/* Kafka's checksum, CRC-32C, by the processor's own instruction.
 *
 * Owns nothing. Invariant: the function exists in the module only if the processor has the instruction. */
#include "module.h"

#if defined(__x86_64__)
#include <immintrin.h>

static bool has_instruction(void) {
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t checksum(const byte *data, size_t bytes) {
    KERNEL_ASSERT(data != NULL);
    uint64_t sum = UINT32_MAX;
    for (; bytes >= 8; data += 8, bytes -= 8) {
        sum = _mm_crc32_u64(sum, word_at(data));
    }
    for (; bytes > 0; data++, bytes--) {
        sum = _mm_crc32_u8((uint32_t)sum, *data);
    }
    KERNEL_ASSERT(sum <= UINT32_MAX); /* The instruction clears the upper half. */
    return ~(uint32_t)sum;
}
#else
static bool has_instruction(void) {
    return false;
}

static uint32_t checksum(const byte *data, size_t bytes) {
    (void)data;
    (void)bytes;
    assertion_failed("has_instruction()", __FILE__, __LINE__); /* add_crc32c does not offer it. */
}
#endif

/* crc32c(data) -> the checksum of its bytes. */
static PyObject *crc32c(PyObject *Py_UNUSED(module), PyObject *data) {
    char *bytes;
    Py_ssize_t size;
    if (PyBytes_AsStringAndSize(data, &bytes, &size) < 0) {
        return NULL;
    }
    KERNEL_ASSERT(size >= 0);
    KERNEL_ASSERT(has_instruction());
    return PyLong_FromUnsignedLong(checksum((const byte *)bytes, (size_t)size));
}

/* Adds the function `crc32c` to the module if the processor has the instruction; otherwise does nothing. Called
 * once, when the module is made. Returns STATUS_RAISED if Python could not add it. */
enum status add_crc32c(PyObject *module) {
    KERNEL_ASSERT(module != NULL);
    static PyMethodDef CRC32C[] = {{"crc32c", crc32c, METH_O, NULL}, {NULL, NULL, 0, NULL}};
    return has_instruction() && PyModule_AddFunctions(module, CRC32C) < 0 ? STATUS_RAISED : STATUS_OK;
}
