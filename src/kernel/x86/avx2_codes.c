// SPDX-License-Identifier: MIT
/* avx2_codes.c - AVX2 products of the formats without a kernel of their own: codes_inl.h under the
 * tier's flags, with its integer sums in one register. */
#include "kernel/x86/avx2_unpack_inl.h"

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

#define CODES_BOOK_TYPES(X) /* avx2_grid.c */
#include "kernel/codes_inl.h"

void ls_kernels_avx2_codes(ls_kernels *k) { codes_fill(k); }
