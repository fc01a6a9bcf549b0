// SPDX-License-Identifier: MIT
/* avx2_codes.c - AVX2 products of the formats without a kernel of their own: codes_inl.h under the
 * tier's flags, with its integer sums in one register. */
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

#include "dtype/codes_inl.h"

/* isum[l] = sum of scale * q * x over elements 4l to 4l + 3 of each of `groups` times 32. Two
 * products stay below 2^15: |q| <= 128, |x| <= 127 (NUMERICS.md, clauses 3 and 4). */
static inline void ls_code_lanes(int32_t isum[8], const int8_t *q, const int32_t *scale,
                                 const int8_t *x, int groups)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i       sum = _mm256_setzero_si256();
    for (int g = 0; g < groups; g++, q += 32, x += 32, scale += 2) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)q);
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)x);
        __m256i s = _mm256_set_m128i(_mm_set1_epi32(scale[1]), _mm_set1_epi32(scale[0]));
        __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
        sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(_mm256_madd_epi16(pairs, ones), s));
    }
    _mm256_storeu_si256((__m256i *)(void *)isum, sum);
}

#include "kernel/codes_inl.h"

void ls_kernels_avx2_codes(ls_kernels *k) { codes_fill(k); }
