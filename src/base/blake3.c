// SPDX-License-Identifier: MIT
/* blake3.c - BLAKE3 in its plain hash mode, written from the specification.
 *
 * O'Connor, Aumasson, Neves, Wilcox-O'Hearn, "BLAKE3: one function, fast everywhere" (2020);
 * section numbers below are that paper's. One compression at a time, but for runs of whole chunks,
 * which blake3_lanes.c takes eight at a time.
 */
#include "base/blake3.h"

#include <string.h>

#define BLOCK_BYTES  64u
#define CHUNK_BLOCKS 16u /* 1 KiB chunks, section 2.1 */

/* Domain flags, table 3. */
enum { CHUNK_START = 1, CHUNK_END = 2, PARENT = 4, ROOT = 8 };

/* Table 1: the initial value, which is SHA-256's. */
static const uint32_t iv[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                               0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

/* Table 2: the permutation of the message words between rounds. */
static const uint8_t permutation[16] = {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8};

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t rotr(uint32_t x, int n) { return x >> n | x << (32 - n); }

/* Section 2.2, the function G on one column or diagonal. */
static inline void mix(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
{
    v[a] += v[b] + x;
    v[d] = rotr(v[d] ^ v[a], 16);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 12);
    v[a] += v[b] + y;
    v[d] = rotr(v[d] ^ v[a], 8);
    v[c] += v[d];
    v[b] = rotr(v[b] ^ v[c], 7);
}

/* Section 2.2: the compression function, cut to the eight words that make a chaining value
 * (and the first 32 bytes of output). `out` may be `cv`. */
static void compress(uint32_t out[8], const uint32_t cv[8], const uint32_t words[16],
                     uint64_t counter, uint32_t len, uint32_t flags)
{
    uint32_t v[16], m[16], next[16];

    memcpy(v, cv, 8 * sizeof(*v));
    memcpy(v + 8, iv, 4 * sizeof(*v));
    v[12] = (uint32_t)counter;
    v[13] = (uint32_t)(counter >> 32);
    v[14] = len;
    v[15] = flags;
    memcpy(m, words, sizeof(m));
    for (int round = 0; round < 7; round++) {
        mix(v, 0, 4, 8, 12, m[0], m[1]);
        mix(v, 1, 5, 9, 13, m[2], m[3]);
        mix(v, 2, 6, 10, 14, m[4], m[5]);
        mix(v, 3, 7, 11, 15, m[6], m[7]);
        mix(v, 0, 5, 10, 15, m[8], m[9]);
        mix(v, 1, 6, 11, 12, m[10], m[11]);
        mix(v, 2, 7, 8, 13, m[12], m[13]);
        mix(v, 3, 4, 9, 14, m[14], m[15]);
        for (int i = 0; i < 16; i++) next[i] = m[permutation[i]];
        memcpy(m, next, sizeof(m));
    }
    for (int i = 0; i < 8; i++) out[i] = v[i] ^ v[i + 8];
}

/* The block in hand as message words; a short block is padded with zeros. */
static void block_words(uint32_t words[16], const ls_blake3 *b)
{
    uint8_t padded[BLOCK_BYTES] = {0};
    memcpy(padded, b->block, b->block_len);
    for (int i = 0; i < 16; i++) words[i] = load32(padded + 4 * i);
}

static void parent_words(uint32_t words[16], const uint32_t left[8], const uint32_t right[8])
{
    memcpy(words, left, 8 * sizeof(*words));
    memcpy(words + 8, right, 8 * sizeof(*words));
}

static uint32_t start_flag(const ls_blake3 *b) { return b->n_blocks == 0 ? CHUNK_START : 0; }

/* A chunk is complete and more input follows: put its chaining value on the stack, merging each
 * pair of complete subtrees of equal size (section 5.1.2: one merge per trailing zero bit of the
 * number of chunks so far). */
static void push(ls_blake3 *b, uint32_t cv[8])
{
    uint32_t words[16];
    uint64_t n_chunks = ++b->chunk;
    for (; (n_chunks & 1) == 0; n_chunks >>= 1) {
        parent_words(words, b->stack[--b->n_stack], cv);
        compress(cv, iv, words, 0, BLOCK_BYTES, PARENT);
    }
    memcpy(b->stack[b->n_stack++], cv, 8 * sizeof(*cv));
}

/* The last block of a chunk is full and more input follows: start the next chunk. */
static void end_chunk(ls_blake3 *b)
{
    uint32_t words[16], cv[8];
    block_words(words, b);
    compress(cv, b->cv, words, b->chunk, BLOCK_BYTES, start_flag(b) | CHUNK_END);
    push(b, cv);
    b->n_blocks = 0;
    b->block_len = 0;
    memcpy(b->cv, iv, sizeof(iv));
}

/* The block in hand is full and more input follows in the same chunk. */
static void end_block(ls_blake3 *b)
{
    uint32_t words[16];
    block_words(words, b);
    compress(b->cv, b->cv, words, b->chunk, BLOCK_BYTES, start_flag(b));
    b->n_blocks++;
    b->block_len = 0;
}

void ls_blake3_init(ls_blake3 *b)
{
    memset(b, 0, sizeof(*b));
    memcpy(b->cv, iv, sizeof(iv));
}

/* Eight whole chunks. Whether anything follows the last of them is not known, so that it waits: a
 * merge that turns out to be the last one has a flag of its own. */
static void eight_chunks(ls_blake3 *b, const uint8_t *p)
{
    static const uint32_t flags[CHUNK_BLOCKS] = {[0] = CHUNK_START, [CHUNK_BLOCKS - 1] = CHUNK_END};
    uint32_t              cv[LS_BLAKE3_LANES][8];
    ls_blake3_chunks(cv, p, b->chunk, iv, flags);
    for (int k = 0; k < LS_BLAKE3_LANES - 1; k++) push(b, cv[k]);
    memcpy(b->last, cv[LS_BLAKE3_LANES - 1], sizeof(b->last));
    b->has_last = 1;
}

void ls_blake3_update(ls_blake3 *b, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (n > 0) {
        if (b->has_last) {
            push(b, b->last);
            b->has_last = 0;
        }
        /* The last block of a chunk and of the input get flags of their own, so a full block
         * is only compressed once it is known that something follows. */
        if (b->block_len == BLOCK_BYTES) {
            if (b->n_blocks == CHUNK_BLOCKS - 1) {
                end_chunk(b);
            } else {
                end_block(b);
            }
        }
        if (b->n_blocks == 0 && b->block_len == 0 && n >= LS_BLAKE3_LANES * LS_BLAKE3_CHUNK) {
            eight_chunks(b, p);
            p += LS_BLAKE3_LANES * LS_BLAKE3_CHUNK;
            n -= LS_BLAKE3_LANES * LS_BLAKE3_CHUNK;
            continue;
        }
        size_t take = BLOCK_BYTES - b->block_len;
        if (take > n) take = n;
        memcpy(b->block + b->block_len, p, take);
        b->block_len += (uint32_t)take;
        p += take;
        n -= take;
    }
}

void ls_blake3_final(const ls_blake3 *b, uint8_t digest[32])
{
    uint32_t words[16], out[8];
    uint32_t n = b->n_stack;
    uint32_t flags = start_flag(b) | CHUNK_END;

    if (b->has_last) { /* there are others on the stack: it is not the root */
        memcpy(out, b->last, sizeof(out));
    } else {
        block_words(words, b);
        compress(out, b->cv, words, b->chunk, b->block_len, flags | (n == 0 ? ROOT : 0));
    }
    while (n > 0) {
        n--;
        parent_words(words, b->stack[n], out);
        compress(out, iv, words, 0, BLOCK_BYTES, PARENT | (n == 0 ? ROOT : 0u));
    }
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 4; k++) digest[4 * i + k] = (uint8_t)(out[i] >> (8 * k));
    }
}
