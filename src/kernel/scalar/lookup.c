// SPDX-License-Identifier: MIT
/* lookup.c - scalar products of TL1 and TL2 by tables of sums (dtype/lookup.h), and the tables: the
 * definition. An index picks a sum of two or three activations, and the sums are added. */
#include "dtype/lookup.h"

#include <string.h>

#include "dtype/blocks.h"
#include "dtype/dtype.h"
#include "dtype/strips.h"
#include "kernel/kernel_priv.h"

/* What each index of each table of a unit stands for. */
typedef int16_t unit_sums[LS_LOOKUP_INDICES][16];

static void sums_of_pair(int16_t sums[16], const int8_t *x)
{
    memset(sums, 0, 16 * sizeof(*sums));
    for (int a = -1; a <= 1; a++) {
        for (int b = -1; b <= 1; b++) sums[3 * a + b + 4] = (int16_t)(a * x[0] + b * x[1]);
    }
}

static void sums_of_triple(int16_t sums[16], const int8_t *x)
{
    memset(sums, 0, 16 * sizeof(*sums));
    for (int a = -1; a <= 1; a++) {
        for (int b = -1; b <= 1; b++) {
            for (int c = -1; c <= 1; c++) {
                int index = 9 * a + 3 * b + c;
                if (index >= 0) sums[index] = (int16_t)(a * x[0] + b * x[1] + c * x[2]);
            }
        }
    }
}

/* The table of the `step` elements from `at` on; behind the end of the row there are zeros. */
static void sums_of(int16_t sums[16], const ls_i8_row *x, size_t at, size_t step, size_t n)
{
    int8_t q[3] = {0};
    for (size_t j = 0; j < step && at + j < n; j++) q[j] = x->qs[at + j];
    (step == 3 ? sums_of_triple : sums_of_pair)(sums, q);
}

/* Those of a row, unit by unit. */
static void sums_of_row(unit_sums *sums, int dtype, const ls_i8_row *x, size_t n)
{
    const ls_lookup_units u = ls_lookup_units_of(dtype, n);
    size_t                at = 0;
    for (size_t k = 0; k < u.triples + u.pairs; k++) {
        size_t step = k < u.triples ? 3 : 2;
        for (size_t i = 0; i < LS_LOOKUP_INDICES; i++, at += step)
            sums_of(sums[k][i], x, at, step, n);
    }
}

static int32_t add_unit(unit_sums sums, const uint8_t *unit, size_t r, bool triples)
{
    const uint8_t *indices = unit + (triples ? LS_LOOKUP_SIGNS : 0) + r;
    int32_t        isum = 0;
    for (size_t i = 0; i < LS_LOOKUP_INDICES; i++) {
        int  sum = sums[i][indices[ls_lookup_byte(i)] >> ls_lookup_shift(i) & 15];
        bool negative = triples && unit[16 * (i % 4) + r] >> (7 - i / 4) & 1;
        isum += negative ? -sum : sum;
    }
    return isum;
}

static void multiply(const ls_matmul *m, int dtype)
{
    const ls_lookup_units u = ls_lookup_units_of(dtype, m->n);
    unit_sums            *sums = m->scratch;
    for (size_t c = 0; c < m->n_cols; c++) {
        const ls_i8_row *x = (const void *)((const uint8_t *)m->x + c * m->x_bytes);
        sums_of_row(sums, dtype, x, m->n);
        for (size_t r = 0; r < m->n_rows; r++) {
            size_t         in_strip = r % LS_STRIP_ROWS;
            const uint8_t *unit = (const uint8_t *)m->w + (r - in_strip) * m->row_bytes;
            int32_t        isum = 0;
            for (size_t k = 0; k < u.triples + u.pairs; k++) {
                isum += add_unit(sums[k], unit, in_strip, k < u.triples);
                unit += ls_lookup_unit_bytes(k < u.triples);
            }
            m->y[c * m->ldy + r] = (float)isum / x->s * m->w_scale;
        }
    }
}

/* The sums in two bytes each: the low one is -15 to 15. */
static void put_table(int8_t *out, const int16_t sums[16])
{
    for (size_t e = 0; e < 16; e++) {
        int high = (sums[e] + (sums[e] < 0 ? -15 : 15)) / LS_LOOKUP_BASE;
        out[e] = (int8_t)(sums[e] - LS_LOOKUP_BASE * high);
        out[e + 64] = (int8_t)high;
    }
}

static void put_tables(void *row, size_t n, int dtype)
{
    const ls_lookup_units u = ls_lookup_units_of(dtype, n);
    int8_t               *out = (int8_t *)row + ls_act_row_bytes(LS_ACT_I8_TL, n);
    size_t                at = 0;
    for (size_t k = 0; k < u.triples + u.pairs; k++, out += LS_LOOKUP_TABLES) {
        size_t step = k < u.triples ? 3 : 2;
        for (size_t i = 0; i < LS_LOOKUP_INDICES; i++, at += step) {
            int16_t sums[16];
            sums_of(sums, row, at, step, n);
            put_table(out + 128 * (i / 4) + 16 * (i % 4), sums);
        }
    }
}

static void strips_tl1(const ls_matmul *m) { multiply(m, LS_DTYPE_TL1); }
static void strips_tl2(const ls_matmul *m) { multiply(m, LS_DTYPE_TL2); }
static void tables_tl1(void *row, size_t n) { put_tables(row, n, LS_DTYPE_TL1); }
static void tables_tl2(void *row, size_t n) { put_tables(row, n, LS_DTYPE_TL2); }

void ls_kernels_scalar_lookup(ls_kernels *k)
{
    k->strips_tl1 = strips_tl1;
    k->strips_tl2 = strips_tl2;
    k->tables_tl1 = tables_tl1;
    k->tables_tl2 = tables_tl2;
}
