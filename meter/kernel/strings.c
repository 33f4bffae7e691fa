/* Texts that are held, and how texts are encoded.
 *
 * Owns the memory of channel users' names: in pools by size, so that a name that is given back makes room for
 * another one. A string's number is its size (an index into STRING_ROOM), then its number in that size's pool.
 * Invariant: an item is a length in two bytes, at most MAX_TEXT_BYTES, and that many bytes of UTF-8. */
#include "kernel.h"

enum { LENGTH_BYTES = 2 };
static const uint32_t STRING_ROOM[STRING_SIZES] = {
    16, 24, 32, 48, 64, 128, 256, 512, 1024, LENGTH_BYTES + MAX_TEXT_BYTES,
};

/* Makes the pools. Called once, by kernel_begin. */
void strings_begin(kernel *k) {
    for (int size = 0; size < STRING_SIZES; size++) {
        KERNEL_ASSERT(size == 0 || STRING_ROOM[size] > STRING_ROOM[size - 1]);
        pool_begin(&k->strings.sizes[size], STRING_ROOM[size], &k->held_bytes);
    }
}

/* Returns the number of a copy of the text, or 0 if there is no memory. The caller gives it back to string_remove. */
uint32_t string_add(strings *s, const byte *text, uint32_t bytes) {
    KERNEL_ASSERT(bytes <= MAX_TEXT_BYTES);
    uint32_t size = 0;
    while (STRING_ROOM[size] < bytes + LENGTH_BYTES) {
        size++;
    }
    KERNEL_ASSERT(size < STRING_SIZES);
    uint32_t number = pool_allocate(&s->sizes[size]);
    if (number == 0) {
        return 0;
    }
    byte *item = pool_at(&s->sizes[size], number);
    uint16_t length = (uint16_t)bytes;
    memcpy(item, &length, sizeof length);
    memcpy(item + LENGTH_BYTES, text, bytes);
    return size << ITEM_BITS | number;
}

/* Frees a string. Nothing may name it any more. */
void string_remove(strings *s, uint32_t string) {
    KERNEL_ASSERT(string != 0);
    KERNEL_ASSERT(string >> ITEM_BITS < STRING_SIZES);
    pool_release(&s->sizes[string >> ITEM_BITS], string & ITEM_MASK);
}

/* Writes a length as keys have it, seven bits a byte, the lowest first, and returns how many bytes that takes: 1 to
 * 3. */
uint32_t put_length(byte *to, uint32_t length) {
    KERNEL_ASSERT_SLOW(length <= MAX_TEXT_BYTES);
    uint32_t bytes = 0;
    for (; length >= 0x80; length >>= 7) {
        to[bytes++] = (byte)(length | 0x80);
    }
    to[bytes++] = (byte)length;
    KERNEL_ASSERT_SLOW(bytes <= 3);
    return bytes;
}

/* Reads a length that may come from anywhere. Returns how many bytes it takes; 0 if it breaks off at `end`, or is
 * more than MAX_TEXT_BYTES. Does not check that so many bytes follow. */
uint32_t get_length(const byte *from, const byte *end, uint32_t *length) {
    KERNEL_ASSERT_SLOW(from <= end);
    uint32_t found = 0;
    *length = 0;
    for (uint32_t at = 0; at < 3 && from + at < end; at++) {
        found |= (uint32_t)(from[at] & 0x7F) << 7 * at;
        if (from[at] < 0x80) {
            KERNEL_ASSERT_SLOW(found < 1u << 21);
            *length = found;
            return found <= MAX_TEXT_BYTES ? at + 1 : 0;
        }
    }
    return 0;
}

/* Writes a text as the inside of a JSON string and returns how many bytes that takes: at most six a byte. The text is
 * UTF-8 already, so only quotes, backslashes and control characters need an escape. */
size_t json_text(byte *to, const byte *text, uint32_t bytes) {
    static const char DIGITS[] = "0123456789abcdef", SHORT[] = "btn\0fr"; /* \b \t \n, none for 11, \f \r */
    KERNEL_ASSERT_SLOW(bytes <= MAX_TEXT_BYTES);
    byte *start = to;
    for (uint32_t at = 0; at < bytes; at++) {
        byte each = text[at];
        if (each >= 0x20 && each != '"' && each != '\\') {
            *to++ = each;
            continue;
        }
        *to++ = '\\';
        char one = each >= 8 && each <= 13 ? SHORT[each - 8] : 0;
        if (each >= 0x20) {
            *to++ = each;
        } else if (one) {
            *to++ = (byte)one;
        } else {
            memcpy(to, "u00", 3);
            to[3] = (byte)DIGITS[each >> 4];
            to[4] = (byte)DIGITS[each & 15];
            to += 5;
        }
    }
    KERNEL_ASSERT_SLOW((size_t)(to - start) >= bytes);
    KERNEL_ASSERT_SLOW((size_t)(to - start) <= 6 * (size_t)bytes);
    return (size_t)(to - start);
}

/* Compares two texts in UTF-8 as Python compares strings: below 0, 0, or above 0. */
int compare_strings(const byte *one, uint32_t one_bytes, const byte *other, uint32_t other_bytes) {
    KERNEL_ASSERT_SLOW(one != NULL);
    KERNEL_ASSERT_SLOW(other != NULL);
    KERNEL_ASSERT_SLOW(one_bytes <= MAX_TEXT_BYTES);
    KERNEL_ASSERT_SLOW(other_bytes <= MAX_TEXT_BYTES);
    /* The order of bytes in UTF-8 is the order of the characters. */
    int order = memcmp(one, other, one_bytes < other_bytes ? one_bytes : other_bytes);
    return order ? order : one_bytes < other_bytes ? -1 : one_bytes > other_bytes;
}
