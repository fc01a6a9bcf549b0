// SPDX-License-Identifier: MIT
/* avx2_lookup.c - the tables of sums that TL1 and TL2 look up (dtype/lookup.h), with AVX2: a table
 * is a register of sixteen sums. The tiers above take these, too. */
#include <immintrin.h>
#include <string.h>

#include "dtype/blocks.h"
#include "dtype/dtype.h"
#include "dtype/lookup.h"
#include "kernel/kernel_priv.h"

/* What index e has of each activation, behind each other in threes and twos. */
static const int16_t weights_of_triples[3][16] = {
    {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0},
    {0, 0, 1, 1, 1, -1, -1, -1, 0, 0, 0, 1, 1, 1, 0, 0},
    {0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, 0, 0},
};
static const int16_t weights_of_pairs[2][16] = {
    {-1, -1, -1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0},
    {-1, 0, 1, -1, 0, 1, -1, 0, 1, 0, 0, 0, 0, 0, 0, 0},
};

/* Sixteen sums to low and high bytes; 1057 / 2^15 is 1 / 31 to more than the sums' length. */
static inline void put_table(int8_t *out, __m256i sums)
{
    __m256i high = _mm256_mulhrs_epi16(sums, _mm256_set1_epi16(1057));
    __m256i low =
        _mm256_sub_epi16(sums, _mm256_mullo_epi16(high, _mm256_set1_epi16(LS_LOOKUP_BASE)));
    __m256i both = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);
    _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(both));
    _mm_storeu_si128((__m128i *)(void *)(out + 64), _mm256_extracti128_si256(both, 1));
}

/* The tables of one unit out of its activations, `step` to an index. */
static inline __attribute__((always_inline)) void put_unit(int8_t *out, const int8_t *x,
                                                           const int16_t weights[][16], int step)
{
    __m256i w[3];
    for (int k = 0; k < step; k++)
        w[k] = _mm256_loadu_si256((const __m256i *)(const void *)weights[k]);
    for (size_t i = 0; i < LS_LOOKUP_INDICES; i++, x += step) {
        __m256i sums = _mm256_setzero_si256();
        for (int k = 0; k < step; k++)
            sums = _mm256_add_epi16(sums, _mm256_sign_epi16(_mm256_set1_epi16(x[k]), w[k]));
        put_table(out + 128 * (i / 4) + 16 * (i % 4), sums);
    }
}

static inline __attribute__((always_inline)) void put_tables(void *row, size_t n, int dtype)
{
    const ls_lookup_units u = ls_lookup_units_of(dtype, n);
    const ls_i8_row      *x = row;
    int8_t               *out = (int8_t *)row + ls_act_row_bytes(LS_ACT_I8_TL, n);
    size_t                at = 0;
    for (size_t k = 0; k < u.triples; k++, at += LS_LOOKUP_TRIPLES, out += LS_LOOKUP_TABLES)
        put_unit(out, x->qs + at, weights_of_triples, 3);
    for (size_t k = 0; k < u.pairs; k++, at += LS_LOOKUP_PAIRS, out += LS_LOOKUP_TABLES) {
        int8_t        last[LS_LOOKUP_PAIRS] = {0};
        const int8_t *q = x->qs + at;
        if (n - at < LS_LOOKUP_PAIRS) q = memcpy(last, q, n - at);
        put_unit(out, q, weights_of_pairs, 2);
    }
}

static void tables_tl1(void *row, size_t n) { put_tables(row, n, LS_DTYPE_TL1); }
static void tables_tl2(void *row, size_t n) { put_tables(row, n, LS_DTYPE_TL2); }

void ls_kernels_avx2_lookup(ls_kernels *k)
{
    k->tables_tl1 = tables_tl1;
    k->tables_tl2 = tables_tl2;
}
