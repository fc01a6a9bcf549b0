// SPDX-License-Identifier: MIT
/* avx2_lookup.c - the tables of sums that TL1 and TL2 look up, with AVX2: a table is a register of
 * sixteen sums. The tiers above take these, too. */
#include <immintrin.h>
#include <stdint.h>

#include "dtype/lookup.h"

typedef __m256i sixteen;

static inline sixteen sixteen_load(const int16_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline sixteen sixteen_zero(void) { return _mm256_setzero_si256(); }

static inline sixteen sixteen_add(sixteen sum, sixteen w, int8_t x)
{
    return _mm256_add_epi16(sum, _mm256_sign_epi16(_mm256_set1_epi16(x), w));
}

/* Sixteen sums to low and high bytes; 1057 / 2^15 is 1 / 31 to more than the sums' length. */
static inline void put_table(int8_t *out, sixteen sums)
{
    __m256i high = _mm256_mulhrs_epi16(sums, _mm256_set1_epi16(1057));
    __m256i low =
        _mm256_sub_epi16(sums, _mm256_mullo_epi16(high, _mm256_set1_epi16(LS_LOOKUP_BASE)));
    __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);
    _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(both));
    _mm_storeu_si128((__m128i *)(void *)(out + 64), _mm256_extracti128_si256(both, 1));
}

#include "kernel/lookup_tables_inl.h"

void ls_kernels_avx2_lookup(ls_kernels *k) { tables_fill(k); }
