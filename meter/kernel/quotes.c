/* Finds all quotes of a record's value in one pass, before any text is read. So the end of each text is known at once.
 *
 * Owns nothing. Invariant: what is found stands in order, and the value has no backslash and no control character,
 * so that every quote opens or closes a text. */
#include "kernel.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { WIDTH = 64 }; /* bytes that are looked at together */

/* Which of 16 bytes are quotes, as bits. Sets a bit of `odd` where one is a backslash or a control character, and of
 * `high` where one is not ASCII. */
typedef struct { uint32_t odd, high; } others;
#ifdef __SSE2__
static inline uint64_t quotes_in(const byte *at, others *found) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)at);
    __m128i controls = _mm_cmpeq_epi8(_mm_max_epu8(bytes, _mm_set1_epi8(0x1F)), _mm_set1_epi8(0x1F));
    found->odd |= (uint32_t)_mm_movemask_epi8(_mm_or_si128(controls, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))));
    found->high |= (uint32_t)_mm_movemask_epi8(bytes);
    uint64_t quotes = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
    KERNEL_ASSERT_SLOW(quotes <= UINT16_MAX);
    KERNEL_ASSERT_SLOW(found->odd <= UINT16_MAX);
    return quotes;
}
#else
static inline uint64_t quotes_in(const byte *at, others *found) {
    uint64_t quotes = 0;
    for (int each = 0; each < 16; each++) {
        quotes |= (uint64_t)(at[each] == '"') << each;
        found->odd |= at[each] < 0x20 || at[each] == '\\';
        found->high |= at[each] & 0x80;
    }
    KERNEL_ASSERT_SLOW(quotes <= UINT16_MAX);
    KERNEL_ASSERT_SLOW(found->odd <= 1);
    return quotes;
}
#endif

/* Finds the quotes of a value, and whether all of it is ASCII. Returns false if the value is not plain: it has more
 * than MAX_QUOTES quotes, a backslash or a control character. */
bool find_quotes(const byte *value, size_t bytes, quote_list *list) {
    others found = {0, 0};
    byte rest[WIDTH];
    uint32_t count = 0;
    KERNEL_ASSERT_SLOW(value != NULL);
    KERNEL_ASSERT_SLOW(bytes <= UINT32_MAX);
    for (size_t at = 0; at < bytes; at += sizeof rest) {
        const byte *from = value + at;
        if (bytes - at < sizeof rest) {
            memset(rest, ' ', sizeof rest);
            from = memcpy(rest, from, bytes - at);
        }
        uint64_t quotes = quotes_in(from, &found) | quotes_in(from + 16, &found) << 16 |
                          quotes_in(from + 32, &found) << 32 | quotes_in(from + 48, &found) << 48;
        if (found.odd != 0 || count > MAX_QUOTES) {
            return false;
        }
        for (; quotes != 0; quotes &= quotes - 1) {
            list->at[count++] = (uint32_t)at + (uint32_t)__builtin_ctzll(quotes);
        }
    }
    KERNEL_ASSERT_SLOW(count <= sizeof list->at / sizeof *list->at);
    KERNEL_ASSERT_SLOW(count == 0 || list->at[count - 1] < bytes);
    list->count = count;
    list->has_non_ascii = found.high != 0;
    return true;
}
