// SPDX-License-Identifier: MIT
/* avx2_unpack_inl.h - what the unpacking of blocks (dtype/codes_inl.h, dtype/codes_grid_inl.h) lets
 * a tier bring along, with AVX2. */
#ifndef LS_KERNEL_AVX2_UNPACK_INL_H
#define LS_KERNEL_AVX2_UNPACK_INL_H

#include <immintrin.h>

#include "dtype/dtype.h"

static inline float half(uint16_t h) { return _cvtsh_ss(h); }
#define ls_f16_to_f32 half

/* 2 * n nibbles as indices of sixteen values, n being 8 or 16. */
static inline void codes_table(int8_t *q, const uint8_t *qs, int n, const int8_t *values)
{
    const __m128i low = _mm_set1_epi8(15);
    __m128i       v = _mm_loadu_si128((const __m128i *)(const void *)values);
    __m128i       b = n == 16 ? _mm_loadu_si128((const __m128i *)(const void *)qs)
                              : _mm_loadl_epi64((const __m128i *)(const void *)qs);
    __m128i       lo = _mm_shuffle_epi8(v, _mm_and_si128(b, low));
    __m128i       hi = _mm_shuffle_epi8(v, _mm_and_si128(_mm_srli_epi16(b, 4), low));
    if (n == 16) {
        _mm_storeu_si128((__m128i *)(void *)q, lo);
        _mm_storeu_si128((__m128i *)(void *)(q + 16), hi);
    } else {
        _mm_storeu_si128((__m128i *)(void *)q, _mm_unpacklo_epi64(lo, hi));
    }
}
#define LS_CODES_TABLE

/* 256 codes negated where `signs` has a bit: of each 32, that of code j is bit j % 8 of byte
 * j / 8. */
static inline void codes_negate(int8_t *q, const uint32_t *signs)
{
    const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202,
                                            0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    for (int g = 0; g < 8; g++, q += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)q);
        __m256i s = _mm256_shuffle_epi8(_mm256_set1_epi32((int)signs[g]), byte);
        __m256i minus = _mm256_cmpeq_epi8(_mm256_and_si256(s, bit), bit);
        v = _mm256_sub_epi8(_mm256_xor_si256(v, minus), minus);
        _mm256_storeu_si256((__m256i *)(void *)q, v);
    }
}
#define LS_CODES_NEGATE

#include "dtype/codes_grid_inl.h"

#endif
