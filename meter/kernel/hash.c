/* Ids and hashes: BLAKE2b (RFC 7693) for ids, SipHash-1-3 (Aumasson and Bernstein, 2012) for keys in tables,
 * MurmurHash2 for Kafka's partitions.
 *
 * Owns nothing and keeps no state. Invariant: ids are those that schemas/ids.py makes, and partitions those that
 * Kafka's clients choose, so neither may ever change. */
#include "memory.h"

static const uint64_t START[8] = {
    0x6A09E667F3BCC908u, 0xBB67AE8584CAA73Bu, 0x3C6EF372FE94F82Bu, 0xA54FF53A5F1D36F1u,
    0x510E527FADE682D1u, 0x9B05688C2B3E6C1Fu, 0x1F83D9ABFB41BD6Bu, 0x5BE0CD19137E2179u,
};
static const byte ORDER[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};
enum { BLOCK_BYTES = 128, ROUNDS = 12 };

static inline uint64_t rotate_right(uint64_t word, int right) {
    KERNEL_ASSERT_SLOW(right > 0);
    KERNEL_ASSERT_SLOW(right < 64); /* A shift by 64 is undefined. */
    return word >> right | word << (64 - right);
}

static inline void mix(uint64_t *a, uint64_t *b, uint64_t *c, uint64_t *d, uint64_t x, uint64_t y) {
    *a += *b + x;
    *d = rotate_right(*d ^ *a, 32);
    *c += *d;
    *b = rotate_right(*b ^ *c, 24);
    *a += *b + y;
    *d = rotate_right(*d ^ *a, 16);
    *c += *d;
    *b = rotate_right(*b ^ *c, 63);
}

static void compress(uint64_t state[8], const byte *block, uint64_t bytes_so_far, bool last) {
    KERNEL_ASSERT_SLOW(block != NULL);
    KERNEL_ASSERT_SLOW((last || bytes_so_far % BLOCK_BYTES == 0));
    uint64_t m[16], v[16];
    KERNEL_ASSERT_SLOW(state[0] != START[0]); /* The parameters were mixed in. */
    memcpy(m, block, BLOCK_BYTES);
    memcpy(v, state, 8 * sizeof *v);
    memcpy(v + 8, START, sizeof START);
    v[12] ^= bytes_so_far;
    v[14] ^= last ? UINT64_MAX : 0;
#define ROUND(number)                                                                                                  \
    do {                                                                                                               \
        const byte *s = ORDER[(number) % 10];                                                                          \
        mix(&v[0], &v[4], &v[8], &v[12], m[s[0]], m[s[1]]);                                                            \
        mix(&v[1], &v[5], &v[9], &v[13], m[s[2]], m[s[3]]);                                                            \
        mix(&v[2], &v[6], &v[10], &v[14], m[s[4]], m[s[5]]);                                                           \
        mix(&v[3], &v[7], &v[11], &v[15], m[s[6]], m[s[7]]);                                                           \
        mix(&v[0], &v[5], &v[10], &v[15], m[s[8]], m[s[9]]);                                                           \
        mix(&v[1], &v[6], &v[11], &v[12], m[s[10]], m[s[11]]);                                                         \
        mix(&v[2], &v[7], &v[8], &v[13], m[s[12]], m[s[13]]);                                                          \
        mix(&v[3], &v[4], &v[9], &v[14], m[s[14]], m[s[15]]);                                                          \
    } while (0)
    /* Written out and not a loop, so that the compiler knows the order of the words. */
    ROUND(0); ROUND(1); ROUND(2); ROUND(3); ROUND(4); ROUND(5);
    ROUND(6); ROUND(7); ROUND(8); ROUND(9); ROUND(10); ROUND(11);
#undef ROUND
    for (int i = 0; i < 8; i++) {
        state[i] ^= v[i] ^ v[i + 8];
    }
}

/* Writes BLAKE2b's digest of 16 bytes. `salt` is 8 bytes, or NULL for none. `digest` must not lie inside `message`. */
void blake2b_16(const byte *message, size_t bytes, const byte *salt, event_id *digest) {
    KERNEL_ASSERT_SLOW(message != NULL);
    KERNEL_ASSERT_SLOW(digest != NULL);
    uint64_t state[8];
    byte block[BLOCK_BYTES];
    size_t taken = 0;
    memcpy(state, START, sizeof state);
    state[0] ^= 0x01010000u ^ ID_BYTES;
    if (salt != NULL) {
        state[4] ^= word_at(salt); /* Its other eight bytes are 0. */
    }
    for (; bytes - taken > BLOCK_BYTES; taken += BLOCK_BYTES) {
        compress(state, message + taken, taken + BLOCK_BYTES, false);
    }
    KERNEL_ASSERT_SLOW(bytes - taken <= sizeof block);
    memset(block, 0, sizeof block);
    memcpy(block, message + taken, bytes - taken);
    compress(state, block, bytes, true);
    memcpy(digest->bytes, state, ID_BYTES);
}

/* Writes the id of the conversation that the event `first` opens at `at_ms`, as schemas.ids.conversation_id. */
void conversation_id(const event_id *first, int64_t at_ms, event_id *id) {
    KERNEL_ASSERT_SLOW(at_ms >= 0);
    KERNEL_ASSERT_SLOW(at_ms < TIME_LIMIT_MS);
    KERNEL_ASSERT_SLOW(first != id);
    byte salt[8];
    for (int i = 0; i < 8; i++) {
        salt[i] = (byte)((uint64_t)at_ms >> (56 - 8 * i));
    }
    blake2b_16(first->bytes, ID_BYTES, salt, id);
}

static inline void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[1] = rotate_right(v[1], 51) ^ v[0];
    v[0] = rotate_right(v[0], 32);
    v[2] += v[3];
    v[3] = rotate_right(v[3], 48) ^ v[2];
    v[0] += v[3];
    v[3] = rotate_right(v[3], 43) ^ v[0];
    v[2] += v[1];
    v[1] = rotate_right(v[1], 47) ^ v[2];
    v[2] = rotate_right(v[2], 32);
}

/* Returns SipHash-1-3 of a text. The secret stops an unknown producer from choosing texts that collide in a table. */
uint64_t keyed_hash(const uint64_t secret[2], const byte *text, size_t bytes) {
    KERNEL_ASSERT_SLOW(text != NULL);
    KERNEL_ASSERT_SLOW(bytes <= MAX_KEY_BYTES);
    uint64_t v[4] = {
        secret[0] ^ 0x736F6D6570736575u,
        secret[1] ^ 0x646F72616E646F6Du,
        secret[0] ^ 0x6C7967656E657261u,
        secret[1] ^ 0x7465646279746573u,
    };
    uint64_t rest = (uint64_t)bytes << 56;
    size_t whole = bytes & ~(size_t)7;
    for (size_t at = 0; at < whole; at += 8) {
        uint64_t word = word_at(text + at);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    KERNEL_ASSERT_SLOW(bytes - whole < 8);
    for (size_t at = whole; at < bytes; at++) {
        rest |= (uint64_t)text[at] << 8 * (at & 7);
    }
    v[3] ^= rest;
    sip_round(v);
    v[0] ^= rest;
    v[2] ^= 0xFF;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* Returns MurmurHash2 of a record's key without its sign, as Kafka's clients use it to choose a partition. */
uint32_t kafka_hash(const byte *key, size_t bytes) {
    KERNEL_ASSERT_SLOW(key != NULL);
    KERNEL_ASSERT_SLOW(bytes <= MAX_TEXT_BYTES);
    const uint32_t factor = 0x5BD1E995;
    uint32_t hash = 0x9747B28C ^ (uint32_t)bytes;
    size_t at = 0;
    for (; bytes - at >= 4; at += 4) {
        uint32_t word;
        memcpy(&word, key + at, sizeof word);
        word *= factor;
        hash = hash * factor ^ (word ^ word >> 24) * factor;
    }
    KERNEL_ASSERT_SLOW(bytes - at < sizeof(uint32_t));
    if (at < bytes) {
        uint32_t rest = 0;
        memcpy(&rest, key + at, bytes - at);
        hash = (hash ^ rest) * factor;
    }
    hash = (hash ^ hash >> 13) * factor;
    return (hash ^ hash >> 15) & 0x7FFFFFFF;
}

/* The beginning of the digest of an interaction's key: three bytes as the core's `tag_of` takes them. */
uint32_t key_tag_of(const byte *key, uint32_t key_bytes) {
    event_id digest;
    KERNEL_ASSERT_SLOW(key != NULL);
    KERNEL_ASSERT_SLOW(key_bytes <= MAX_KEY_BYTES);
    blake2b_16(key, key_bytes, NULL, &digest);
    return digest.bytes[0] | (uint32_t)digest.bytes[1] << 8 | (uint32_t)digest.bytes[2] << 16;
}
