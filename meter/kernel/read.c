/* Reads an event's texts: characters, times, and the id that recognises a repeated event.
 *
 * Owns nothing. Invariants: the id is that of schemas.ids.event_key; a time is read as schemas.instants reads it, or
 * not at all. */
#include "kernel.h"

/* Returns how many characters a text has, which is valid UTF-8. */
uint32_t characters_of(const byte *text, uint32_t bytes) {
    uint32_t found = 0;
    for (uint32_t at = 0; at < bytes; at++) {
        found += (text[at] & 0xC0) != 0x80;
    }
    KERNEL_ASSERT_SLOW(found <= bytes);
    return found;
}

/* Whether the bytes are valid UTF-8: no surrogates, no character written longer than it has to be. */
bool is_utf8(const byte *text, size_t bytes) {
    for (size_t at = 0; at < bytes;) {
        byte lead = text[at++];
        if (lead < 0x80) {
            continue;
        }
        KERNEL_ASSERT_SLOW(at <= bytes);
        int more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
        /* The second byte shows a character written too long, half of a surrogate pair, or a number above U+10FFFF. */
        byte least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        byte most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        if (lead < 0xC2 || lead > 0xF4 || bytes - at < (size_t)more || text[at] < least || text[at] > most) {
            return false;
        }
        for (at++; --more > 0; at++) {
            if ((text[at] & 0xC0) != 0x80) {
                return false;
            }
        }
        KERNEL_ASSERT_SLOW(at <= bytes);
    }
    return true;
}

enum { NOT_DIGITS = -1 };

/* The number that `count` digits write; NOT_DIGITS if one of them is none. */
static int digits_at(const byte *at, int count) {
    int number = 0;
    KERNEL_ASSERT_SLOW(count > 0);
    KERNEL_ASSERT_SLOW(count <= 9); /* More do not fit an int. */
    while (count-- > 0) {
        byte digit = (byte)(*at++ - '0');
        if (digit > 9) {
            return NOT_DIGITS;
        }
        number = number * 10 + digit;
    }
    KERNEL_ASSERT_SLOW(number >= 0);
    return number;
}

/* Days since 1970 of a day on the calendar. Years are counted from March, so that a leap day is the last of its
 * year. */
static int64_t day_number(int year, int month, int day) {
    KERNEL_ASSERT_SLOW(year >= 1970);
    KERNEL_ASSERT_SLOW(month >= 1);
    KERNEL_ASSERT_SLOW(month <= 12);
    KERNEL_ASSERT_SLOW(day >= 1);
    KERNEL_ASSERT_SLOW(day <= 31);
    int64_t y = month > 2 ? year : year - 1;
    int64_t days_of_months = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5;
    int64_t number = 365 * y + y / 4 - y / 100 + y / 400 + days_of_months + day - 1 - 719468;
    KERNEL_ASSERT_SLOW(number >= 0);
    KERNEL_ASSERT_SLOW(number < TIME_LIMIT_MS / (24 * 3600 * 1000));
    return number;
}

static bool is_day(int year, int month, int day) {
    static const byte DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month >= 1 && month <= 12 && day >= 1 && day <= DAYS[month - 1] + (month == 2 && leap);
}

/* Reads YYYY-MM-DDTHH:MM:SS, an optional fraction of 1 to 9 digits, and Z: from 1970 on, cut to the millisecond.
 * Returns false if the text is anything else, which meter/core/decode.py then judges; `at_ms` is not written then. */
bool scan_time(const text *written, int64_t *at_ms) {
    const byte *t = written->at;
    if (written->bytes < 20 || written->bytes > 30 || t[4] != '-' || t[7] != '-' || t[10] != 'T' || t[13] != ':' ||
        t[16] != ':' || t[written->bytes - 1] != 'Z') {
        return false;
    }
    int year = digits_at(t, 4), month = digits_at(t + 5, 2), day = digits_at(t + 8, 2);
    int hour = digits_at(t + 11, 2), minute = digits_at(t + 14, 2), second = digits_at(t + 17, 2);
    int thousandths = 0;
    if (written->bytes > 20) {
        int digits = (int)written->bytes - 21;
        KERNEL_ASSERT_SLOW(digits <= 9);
        if (t[19] != '.' || digits < 1 || digits_at(t + 20, digits) < 0) {
            return false;
        }
        thousandths = digits_at(t + 20, digits < 3 ? digits : 3) * (digits == 1 ? 100 : digits == 2 ? 10 : 1);
    }
    if (year < 1970 || !is_day(year, month, day) || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
        second > 59) {
        return false;
    }
    KERNEL_ASSERT_SLOW(thousandths >= 0);
    KERNEL_ASSERT_SLOW(thousandths < 1000);
    *at_ms = ((day_number(year, month, day) * 24 + hour) * 60 + minute) * INT64_C(60000) + second * 1000 + thousandths;
    return true;
}

/* Writes the number of characters, a colon and the text; before every part except the first a zero byte. */
static byte *put_part(byte *to, const text *part, bool is_first) {
    char digits[12];
    int count = 0;
    KERNEL_ASSERT_SLOW(part->characters > 0);
    KERNEL_ASSERT_SLOW(part->characters <= part->bytes);
    KERNEL_ASSERT_SLOW(part->bytes <= MAX_TEXT_BYTES);
    if (!is_first) {
        *to++ = 0;
    }
    for (uint32_t left = part->characters; left > 0; left /= 10) {
        digits[count++] = (char)('0' + left % 10);
    }
    while (count > 0) {
        *to++ = (byte)digits[--count];
    }
    *to++ = ':';
    memcpy(to, part->at, part->bytes);
    return to + part->bytes;
}

/* Writes the id of an event, as schemas.ids.event_key makes it. No part is empty. */
void event_id_of(const text *workspace, const text *source, const text *id, event_id *found) {
    byte message[3 * (MAX_TEXT_BYTES + 12)];
    byte *end = put_part(message, workspace, true);
    end = put_part(end, source, false);
    end = put_part(end, id, false);
    KERNEL_ASSERT_SLOW((size_t)(end - message) <= sizeof message);
    blake2b_16(message, (size_t)(end - message), NULL, found);
}
