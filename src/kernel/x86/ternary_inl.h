// SPDX-License-Identifier: MIT
/* ternary_inl.h - products of TQ2_0 and I2_S rows for the x86 tiers.
 *
 * scalar/ternary.c is the definition. Codes 0..3 stay unsigned; subtracting the sum of the
 * activations makes them -1..2. */
#ifndef LS_KERNEL_TERNARY_INL_H
#define LS_KERNEL_TERNARY_INL_H

#include <stddef.h>

#include "kernel/x86/tile_inl.h"

/* The sums of each lane of a TQ2_0 block. */
LS_INLINE void row_tq2_0(const uint8_t *block, const ls_q8_k *const *x, int nc,
                         __m256i sum[LS_TILE_COLS])
{
    __m256i u[4], three = _mm256_set1_epi8(3);
    for (int c = 0; c < nc; c++) {
        sum[c] = _mm256_madd_epi16(ls_load256(x[c]->bsums), _mm256_set1_epi16(-1));
    }
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        __m256i raw = ls_load256(block + 32 * h);
        u[0] = _mm256_and_si256(raw, three);
        u[1] = _mm256_and_si256(_mm256_srli_epi16(raw, 2), three);
        u[2] = _mm256_and_si256(_mm256_srli_epi16(raw, 4), three);
        u[3] = _mm256_and_si256(_mm256_srli_epi16(raw, 6), three);
        for (int c = 0; c < nc; c++) sum[c] = ls_dot_add_small(sum[c], u, x[c]->qs + 128 * h);
    }
}

LS_INLINE void tile_tq2_0(const ls_tile *t, int nc)
{
    ls_tile_acc acc;
    ls_tile_clear(&acc, nc);
    for (size_t b = 0; b < t->n / 256; b++) {
        const ls_q8_k *x[LS_TILE_COLS];
        for (int c = 0; c < nc; c++) x[c] = (const ls_q8_k *)(const void *)t->x[c] + b;
#pragma GCC unroll 8
        for (int r = 0; r < LS_TILE_ROWS; r++) {
            __m256i sum[LS_TILE_COLS];
            row_tq2_0(t->w[r] + b * sizeof(ls_tq2_0), x, nc, sum);
            ls_tile_add(t, &acc, nc, r, b * sizeof(ls_tq2_0) + offsetof(ls_tq2_0, d), x, sum);
        }
    }
    ls_tile_finish(t, &acc, nc);
}

LS_INLINE void tile_tq2_0_whole(const ls_tile *t, int nc)
{
    __m256 acc[LS_TILE_COLS];
    for (int c = 0; c < nc; c++) acc[c] = _mm256_setzero_ps();
    for (size_t b = 0; b < t->n / 256; b++) {
        const ls_q8_k *x[LS_TILE_COLS];
        __m256i        sum[8][LS_TILE_COLS];
        for (int c = 0; c < nc; c++) x[c] = (const ls_q8_k *)(const void *)t->x[c] + b;
        for (int r = 0; r < 8; r++) {
            ls_tile_fetch(t, nc, r, b * sizeof(ls_tq2_0), sizeof(ls_tq2_0));
            row_tq2_0(t->w[r] + b * sizeof(ls_tq2_0), x, nc, sum[r]);
        }
        ls_tile_add_whole(t, acc, nc, b * sizeof(ls_tq2_0) + offsetof(ls_tq2_0, d), x, sum);
    }
    for (int c = 0; c < nc; c++) ls_tile_store(t, c, acc[c]);
}

/* One integer sum over the row, so rows are done one after the other. */
LS_INLINE void tile_i2_s(const ls_tile *t, int nc)
{
    __m256i p[LS_TILE_COLS][8];
    for (int r = 0; r < 8; r++) {
        __m256i sum[LS_TILE_COLS], two = _mm256_set1_epi8(3), u[4];
        for (int c = 0; c < nc; c++) sum[c] = _mm256_setzero_si256();
        for (size_t b = 0; b < (t->n + 127) / 128; b++) {
            __m256i raw = ls_load256(t->w[r] + 32 * b);
            if (b % 2 == 0) ls_tile_fetch(t, nc, r, 32 * b, 64);
            /* Code 3 counts as 0, which is code 1: where both bits are set, clear the upper. */
            __m256i both = _mm256_and_si256(_mm256_and_si256(raw, _mm256_srli_epi16(raw, 1)),
                                            _mm256_set1_epi8(0x55));
            raw = _mm256_xor_si256(raw, _mm256_add_epi8(both, both));
            u[0] = _mm256_and_si256(_mm256_srli_epi16(raw, 6), two);
            u[1] = _mm256_and_si256(_mm256_srli_epi16(raw, 4), two);
            u[2] = _mm256_and_si256(_mm256_srli_epi16(raw, 2), two);
            u[3] = _mm256_and_si256(raw, two);
            for (int c = 0; c < nc; c++) {
                sum[c] = ls_dot_add_small(sum[c], u, t->x[c] + sizeof(ls_i8_row) + 128 * b);
            }
        }
        for (int c = 0; c < nc; c++) p[c][r] = sum[c];
    }
    for (int c = 0; c < nc; c++) {
        const ls_i8_row *x = (const void *)t->x[c];
        __m256i          isum = _mm256_sub_epi32(ls_reduce8(p[c]), _mm256_set1_epi32(x->sum));
        __m256           v = _mm256_div_ps(_mm256_cvtepi32_ps(isum), _mm256_set1_ps(x->s));
        ls_tile_store(t, c, _mm256_mul_ps(v, _mm256_set1_ps(t->w_scale)));
    }
}

static void tile_tq2_0_x1(const ls_tile *t) { tile_tq2_0(t, 1); }
static void tile_tq2_0_x4(const ls_tile *t) { tile_tq2_0(t, 4); }
static void tile_tq2_0_whole_x1(const ls_tile *t) { tile_tq2_0_whole(t, 1); }
static void tile_tq2_0_whole_x4(const ls_tile *t) { tile_tq2_0_whole(t, 4); }
static void tile_i2_s_x1(const ls_tile *t) { tile_i2_s(t, 1); }
static void tile_i2_s_x4(const ls_tile *t) { tile_i2_s(t, 4); }

static void matmul_tq2_0(const ls_matmul *m)
{
    if (m->whole) ls_tiles_run(m, tile_tq2_0_whole_x1, tile_tq2_0_whole_x4);
    else ls_tiles_run(m, tile_tq2_0_x1, tile_tq2_0_x4);
}

static void matmul_i2_s(const ls_matmul *m) { ls_tiles_run(m, tile_i2_s_x1, tile_i2_s_x4); }

LS_INLINE void ternary_fill(ls_kernels *k)
{
    k->matmul_tq2_0 = matmul_tq2_0;
    k->matmul_i2_s = matmul_i2_s;
}

#endif
