// SPDX-License-Identifier: MIT
/* test_lookup.c - TL1 and TL2 as indices of tables of sums: the layout against the codes that went
 * into it, tables and products against sums of integers, on every tier that this machine has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dtype/blocks.h"
#include "dtype/dtype.h"
#include "dtype/lookup.h"
#include "dtype/strips.h"
#include "kernel/kernel.h"
#include "model/weights.h"

enum { ROWS = 80, WIDEST = 25056, COLS = 9 }; /* 261 units of triples, 392 of pairs */

static const int types[] = {LS_DTYPE_TL1, LS_DTYPE_TL2};
static int8_t    codes[ROWS][WIDEST];
static ls_i2_s   rows[ROWS][(WIDEST + 127) / 128];
static uint8_t   strips[ROWS * WIDEST / 4 + ROWS * 64];
static _Alignas(64) uint8_t act[COLS * (WIDEST * 17 + 8192)], scratch[32 * WIDEST + 4096];

static uint32_t random_number(void)
{
    static uint64_t state = 7;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

/* Row r of `codes` as blocks: elements 32 apart share a byte, the first in the upper bits. */
static void store_row(size_t r, size_t n)
{
    memset(rows[r], 0x55, sizeof(rows[r]));
    for (size_t j = 0; j < n; j++) {
        uint8_t *byte = &rows[r][j / 128].qs[j % 32];
        unsigned bit = (unsigned)(6 - j % 128 / 32 * 2);
        *byte = (uint8_t)((*byte & ~(3u << bit)) | (unsigned)(codes[r][j] + 1) << bit);
    }
}

static void pack_all(int dtype, size_t n)
{
    for (size_t r = 0; r < ROWS; r += LS_STRIP_ROWS)
        ls_lookup_pack(dtype, strips + r * ls_lookup_row_bytes(dtype, n), rows[r], sizeof(rows[r]),
                       n);
}

static void a_weight_takes_two_bits_in_pairs_and_five_thirds_in_triples(void **unused)
{
    (void)unused;
    assert_int_equal(ls_lookup_row_bytes(LS_DTYPE_TL1, 2560), 640);
    assert_int_equal(ls_lookup_row_bytes(LS_DTYPE_TL2, 6912), 1440);
    assert_int_equal(ls_lookup_row_bytes(LS_DTYPE_TL2, 2560), 26 * 20 + 16);
    assert_int_equal(ls_lookup_row_bytes(LS_DTYPE_TL1, 32), 16);
    assert_int_equal(ls_lookup_table_bytes(LS_DTYPE_TL2, 2560), 27 * 1024);
}

static void strips_give_back_the_rows_that_went_into_them(void **unused)
{
    static ls_i2_s back[(WIDEST + 127) / 128];
    (void)unused;
    for (size_t n = 32; n <= 1024; n += 32) {
        size_t blocks = (n + 127) / 128;
        for (size_t r = 0; r < LS_STRIP_ROWS; r++) {
            for (size_t j = 0; j < n; j++) codes[r][j] = (int8_t)(random_number() % 3) - 1;
            store_row(r, n);
        }
        for (size_t t = 0; t < 2; t++) {
            size_t bytes = LS_STRIP_ROWS * ls_lookup_row_bytes(types[t], n);
            memset(strips, 0xa5, sizeof(strips));
            ls_lookup_pack(types[t], strips, rows[0], sizeof(rows[0]), n);
            assert_int_equal(strips[bytes], 0xa5);
            for (size_t r = 0; r < LS_STRIP_ROWS; r++) {
                ls_lookup_row(types[t], back, strips, r, n);
                assert_memory_equal(back, rows[r], blocks * sizeof(ls_i2_s));
            }
        }
    }
}

/* Index 7 of pairs is 1, 0; index 5 of triples is 1, -1, -1. */
static void a_table_holds_the_sum_that_each_index_stands_for(void **unused)
{
    enum { N = 192 };
    (void)unused;
    for (int tier = LS_TIER_SCALAR; tier < LS_N_TIERS; tier++) {
        if (!ls_tier_available((ls_tier)tier)) continue;
        const ls_kernels k = ls_kernels_for((ls_tier)tier);
        ls_i8_row       *x = (void *)act;
        const int8_t    *tables = (const int8_t *)act + ls_act_row_bytes(LS_ACT_I8_TL, N);
        for (size_t j = 0; j < N; j++) x->qs[j] = (int8_t)((int)(random_number() % 256) - 128);
        k.tables_tl1(x, N);
        for (size_t i = 0; i < N / 2; i++) {
            const int8_t *low = tables + i / 32 * 1024 + i % 32 / 4 * 128 + i % 4 * 16;
            assert_int_equal(31 * low[64 + 7] + low[7], x->qs[2 * i]);
            assert_int_equal(31 * low[64] + low[0], -x->qs[2 * i] - x->qs[2 * i + 1]);
            for (size_t e = 0; e < 16; e++) assert_in_range(low[e] + 15, 0, 30);
            for (size_t e = 9; e < 16; e++) assert_int_equal(low[e] | low[64 + e], 0);
        }
        k.tables_tl2(x, N);
        for (size_t i = 0; i < N / 3; i++) {
            const int8_t *low = tables + i / 32 * 1024 + i % 32 / 4 * 128 + i % 4 * 16;
            const int8_t *q = x->qs + 3 * i;
            assert_int_equal(31 * low[64 + 13] + low[13], q[0] + q[1] + q[2]);
            assert_int_equal(31 * low[64 + 5] + low[5], q[0] - q[1] - q[2]);
            for (size_t e = 0; e < 16; e++) assert_in_range(low[e] + 15, 0, 30);
        }
    }
}

/* Activations of which half have the largest magnitude, and weights of the same signs in row 0, of
 * the others in row 1: sums as large as they can be. */
static void make_inputs(int dtype, size_t n, size_t cols, size_t stride, const ls_kernels *k)
{
    for (size_t c = 0; c < cols; c++) {
        ls_i8_row *x = (void *)(act + c * stride);
        memset(x, 0, stride);
        x->s = 1;
        for (size_t j = 0; j < n; j++) {
            int end = j % 7 < 3 ? -128 : 127;
            x->qs[j] = (int8_t)(c % 2 ? (int)(random_number() % 255) - 127 : end);
            x->sum += x->qs[j];
        }
        if (cols < LS_LOOKUP_COLS) (dtype == LS_DTYPE_TL1 ? k->tables_tl1 : k->tables_tl2)(x, n);
    }
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t j = 0; j < n; j++) {
            int sign = j % 7 < 3 ? -1 : 1;
            codes[r][j] = (int8_t)(r < 2 ? (r ? -sign : sign) : (int)(random_number() % 3) - 1);
        }
        store_row(r, n);
    }
    pack_all(dtype, n);
}

static void check_products(int dtype, size_t n, size_t cols, const ls_kernels *k)
{
    static float y[COLS * ROWS];
    size_t       tables = cols < LS_LOOKUP_COLS ? ls_lookup_table_bytes(dtype, n) : 0;
    ls_matmul    m = {.y = y,
                      .ldy = ROWS,
                      .w = strips,
                      .row_bytes = ls_lookup_row_bytes(dtype, n),
                      .n_rows = ROWS,
                      .x = act,
                      .x_bytes = ls_act_row_bytes(LS_ACT_I8_TL, n) + tables,
                      .n_cols = cols,
                      .n = n,
                      .w_scale = 1,
                      .whole = true,
                      .scratch = scratch};
    make_inputs(dtype, n, cols, m.x_bytes, k);
    ls_kernels_strips(k, dtype)(&m);
    for (size_t c = 0; c < cols; c++) {
        const ls_i8_row *x = (const void *)(act + c * m.x_bytes);
        for (size_t r = 0; r < ROWS; r++) {
            int32_t sum = 0;
            for (size_t j = 0; j < n; j++) sum += codes[r][j] * x->qs[j];
            assert_int_equal((int32_t)y[c * ROWS + r], sum); /* below 2^24: a float holds it */
        }
    }
}

static void products_are_sums_of_integers_however_large(void **unused)
{
    static const size_t lengths[] = {32, 96, 160, 2560, WIDEST};
    (void)unused;
    for (int tier = LS_TIER_SCALAR; tier < LS_N_TIERS; tier++) {
        if (!ls_tier_available((ls_tier)tier)) continue;
        const ls_kernels k = ls_kernels_for((ls_tier)tier);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            for (size_t t = 0; t < 2; t++) {
                check_products(types[t], lengths[i], 2, &k);
                if (i < 4) check_products(types[t], lengths[i], COLS, &k);
            }
        }
    }
}

/* The rule against the kernels that there are. */
static void a_tier_looks_up_only_with_kernels_of_its_own(void **unused)
{
    const ls_kernels scalar = ls_kernels_for(LS_TIER_SCALAR);
    (void)unused;
    for (int tier = LS_TIER_SCALAR; tier < LS_N_TIERS; tier++) {
        if (!ls_tier_available((ls_tier)tier)) continue;
        const ls_kernels k = ls_kernels_for((ls_tier)tier);
        assert_int_equal(ls_lookup_pays(LS_DTYPE_TL2, (ls_tier)tier),
                         k.strips_tl2 != scalar.strips_tl2 && k.tables_tl2 != scalar.tables_tl2);
        assert_false(ls_lookup_pays(LS_DTYPE_TL1, (ls_tier)tier));
        assert_false(ls_lookup_pays(LS_DTYPE_I2_S, (ls_tier)tier));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_weight_takes_two_bits_in_pairs_and_five_thirds_in_triples),
        cmocka_unit_test(strips_give_back_the_rows_that_went_into_them),
        cmocka_unit_test(a_table_holds_the_sum_that_each_index_stands_for),
        cmocka_unit_test(products_are_sums_of_integers_however_large),
        cmocka_unit_test(a_tier_looks_up_only_with_kernels_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
