// SPDX-License-Identifier: MIT
/* lookup_tables_inl.h - the tables of sums that TL1 and TL2 look up (dtype/lookup.h).
 *
 * scalar/lookup.c is the definition. A tier defines, before it includes this: sixteen, 16 numbers of
 * 16 bits; sixteen_load and sixteen_zero; sixteen_add(sum, w, x), sum + w * x for w of -1 to 1; and
 * put_table(out, sums), which parts them into low and high bytes. */
#ifndef LS_KERNEL_LOOKUP_TABLES_INL_H
#define LS_KERNEL_LOOKUP_TABLES_INL_H

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

/* The tables of one unit out of its activations, `step` to an index. */
static inline __attribute__((always_inline)) void put_unit(int8_t *out, const int8_t *x,
                                                           const int16_t weights[][16], int step)
{
    sixteen w[3];
    for (int k = 0; k < step; k++) w[k] = sixteen_load(weights[k]);
    for (size_t i = 0; i < LS_LOOKUP_INDICES; i++, x += step) {
        sixteen sums = sixteen_zero();
        for (int k = 0; k < step; k++) sums = sixteen_add(sums, w[k], x[k]);
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

static inline void tables_fill(ls_kernels *k)
{
    k->tables_tl1 = tables_tl1;
    k->tables_tl2 = tables_tl2;
}

#endif
