// SPDX-License-Identifier: MIT
/* blake3_lanes.c - chaining values of eight whole chunks at once, one in each lane of a vector.
 *
 * The same function in plain C with vectors of the compiler's (gcc and clang), translated twice on
 * x86: for AVX2, where a vector is one register, and for any processor. Chunks do not depend on
 * each other (O'Connor et al. 2020, section 5.3), so that nothing but speed can differ.
 */
#include <string.h>

#include "base/blake3.h"

typedef uint32_t lanes __attribute__((vector_size(4 * LS_BLAKE3_LANES)));

#define INLINE static inline __attribute__((always_inline))

/* Section 2.2: the message word of each place in each round; the permutation of table 2, repeated.
 */
static const uint8_t schedule[7][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8},
    {3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1},
    {10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6},
    {12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4},
    {9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7},
    {11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13},
};

INLINE void mix(lanes *a, lanes *b, lanes *c, lanes *d, const lanes *x, const lanes *y)
{
    *a += *b + *x;
    *d ^= *a;
    *d = *d >> 16 | *d << 16;
    *c += *d;
    *b ^= *c;
    *b = *b >> 12 | *b << 20;
    *a += *b + *y;
    *d ^= *a;
    *d = *d >> 8 | *d << 24;
    *c += *d;
    *b ^= *c;
    *b = *b >> 7 | *b << 25;
}

/* Word i of a block of each chunk; the words lie little-endian. */
INLINE void load(lanes m[16], const uint8_t *block)
{
    for (int i = 0; i < 16; i++) {
        for (int k = 0; k < LS_BLAKE3_LANES; k++) {
            const uint8_t *p = block + (size_t)k * LS_BLAKE3_CHUNK + 4 * i;
            m[i][k] =
                (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
        }
    }
}

INLINE void compress(lanes cv[8], const lanes m[16], const lanes counter[2], const uint32_t iv[8],
                     uint32_t flags)
{
    const lanes zero = {0};
    lanes       v[16] = {0};
    for (int i = 0; i < 8; i++) v[i] = cv[i];
    for (int i = 0; i < 4; i++) v[8 + i] = zero + iv[i];
    v[12] = counter[0];
    v[13] = counter[1];
    v[14] = zero + 64;
    v[15] = zero + flags;
#pragma GCC unroll 7
    for (int r = 0; r < 7; r++) {
        const uint8_t *s = schedule[r];
        mix(&v[0], &v[4], &v[8], &v[12], &m[s[0]], &m[s[1]]);
        mix(&v[1], &v[5], &v[9], &v[13], &m[s[2]], &m[s[3]]);
        mix(&v[2], &v[6], &v[10], &v[14], &m[s[4]], &m[s[5]]);
        mix(&v[3], &v[7], &v[11], &v[15], &m[s[6]], &m[s[7]]);
        mix(&v[0], &v[5], &v[10], &v[15], &m[s[8]], &m[s[9]]);
        mix(&v[1], &v[6], &v[11], &v[12], &m[s[10]], &m[s[11]]);
        mix(&v[2], &v[7], &v[8], &v[13], &m[s[12]], &m[s[13]]);
        mix(&v[3], &v[4], &v[9], &v[14], &m[s[14]], &m[s[15]]);
    }
    for (int i = 0; i < 8; i++) cv[i] = v[i] ^ v[i + 8];
}

INLINE void chunks(uint32_t out[LS_BLAKE3_LANES][8], const uint8_t *data, uint64_t first,
                   const uint32_t iv[8], const uint32_t flags[16])
{
    const lanes zero = {0};
    lanes       cv[8], m[16], counter[2];
    for (int i = 0; i < 8; i++) cv[i] = zero + iv[i];
    for (int k = 0; k < LS_BLAKE3_LANES; k++) {
        counter[0][k] = (uint32_t)(first + (uint64_t)k);
        counter[1][k] = (uint32_t)((first + (uint64_t)k) >> 32);
    }
    for (int b = 0; b < 16; b++) {
        load(m, data + 64 * b);
        compress(cv, m, counter, iv, flags[b]);
    }
    for (int k = 0; k < LS_BLAKE3_LANES; k++) {
        for (int i = 0; i < 8; i++) out[k][i] = cv[i][k];
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void chunks_avx2(uint32_t       out[LS_BLAKE3_LANES][8],
                                                        const uint8_t *data, uint64_t first,
                                                        const uint32_t iv[8],
                                                        const uint32_t flags[16])
{
    chunks(out, data, first, iv, flags);
}
#endif

void ls_blake3_chunks(uint32_t out[LS_BLAKE3_LANES][8], const uint8_t *data, uint64_t first,
                      const uint32_t iv[8], const uint32_t flags[16])
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        chunks_avx2(out, data, first, iv, flags);
        return;
    }
#endif
    chunks(out, data, first, iv, flags);
}
