// SPDX-License-Identifier: MIT
/* dense_inl.h - products of F32, F16 and BF16 rows in 256-bit registers.
 *
 * 8 stripes are one register, 16 are two. Independent chains come from rows and columns. The
 * AVX-512 tier uses this for 8 stripes. scalar/dense.c is the definition. */
#ifndef LS_KERNEL_DENSE_INL_H
#define LS_KERNEL_DENSE_INL_H

#include <immintrin.h>

#include "kernel/x86/tile_inl.h"

typedef enum elem { F32, F16, BF16 } elem;

LS_INLINE size_t elem_bytes(elem e) { return e == F32 ? 4 : 2; }

/* 8 elements from element i on, decoded exactly. */
LS_INLINE __m256 load8(elem e, const uint8_t *p, size_t i)
{
    const void *at = p + i * elem_bytes(e);
    switch (e) {
    case F32:
        return _mm256_loadu_ps(at);
    case F16:
        return _mm256_cvtph_ps(_mm_loadu_si128(at));
    case BF16:
        break;
    }
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(at)), 16));
}

/* All ones in the lanes of the first k of 8 elements. */
LS_INLINE __m256 first_lanes(int k)
{
    __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(k), lane));
}

/* The last n % lanes elements, then zeros. */
typedef struct tail {
    uint8_t b[64];
} tail;

LS_INLINE tail tail_of(elem e, const uint8_t *p, size_t n, size_t lanes)
{
    tail   t = {{0}};
    size_t i = n / lanes * lanes;
    memcpy(t.b, p + i * elem_bytes(e), (n - i) * elem_bytes(e));
    return t;
}

/* NUMERICS.md, clause 2. */
LS_INLINE float sum_lanes(const __m256 *acc, int lanes)
{
    return ls_tree256(lanes == 8 ? acc[0] : _mm256_add_ps(acc[0], acc[1]));
}

/* Stripes without an element in the tail must stay as they are: even adding +0 would turn a
 * stripe of -0 into +0. */
LS_INLINE void add_tail(elem e, __m256 *acc, const uint8_t *w, const uint8_t *x, size_t n,
                        int lanes)
{
    tail a = tail_of(e, w, n, (size_t)lanes), b = tail_of(e, x, n, (size_t)lanes);
    for (int h = 0; h < lanes / 8; h++) {
        __m256 s =
            _mm256_fmadd_ps(load8(e, a.b, 8 * (size_t)h), load8(e, b.b, 8 * (size_t)h), acc[h]);
        acc[h] = _mm256_blendv_ps(acc[h], s, first_lanes((int)(n % (size_t)lanes) - 8 * h));
    }
}

/* A tile of R <= 8 rows and C <= 3 columns, both constant, and its results out[c][r]. */
typedef struct dense_tile {
    const uint8_t *w[8], *x[3];
    float          out[3][8];
} dense_tile;

LS_INLINE void dense_run(dense_tile *t, elem e, int R, int C, size_t n, int lanes)
{
    const size_t width = (size_t)lanes;
    __m256       acc[3][8][2];
    size_t       i = 0;
    for (int c = 0; c < C; c++) {
        for (int r = 0; r < R; r++) acc[c][r][0] = acc[c][r][1] = _mm256_setzero_ps();
    }
    for (; i + width <= n; i += width) {
#pragma GCC unroll 2
        for (size_t h = 0; h < width / 8; h++) {
            __m256 xv[3];
#pragma GCC unroll 4
            for (int c = 0; c < C; c++) xv[c] = load8(e, t->x[c], i + 8 * h);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                __m256 wv = load8(e, t->w[r], i + 8 * h);
#pragma GCC unroll 4
                for (int c = 0; c < C; c++) acc[c][r][h] = _mm256_fmadd_ps(wv, xv[c], acc[c][r][h]);
            }
        }
    }
    for (int c = 0; c < C; c++) {
        for (int r = 0; r < R; r++) {
            if (i < n) add_tail(e, acc[c][r], t->w[r], t->x[c], n, lanes);
            t->out[c][r] = sum_lanes(acc[c][r], lanes);
        }
    }
}

/* One tile; rows past the end repeat the last one and are not stored. */
LS_INLINE void dense_at(elem e, int R, int C, const ls_matmul *m, size_t r0, size_t c0, int lanes)
{
    dense_tile t;
    for (size_t r = 0; r < (size_t)R; r++) {
        size_t row = r0 + r < m->n_rows ? r0 + r : m->n_rows - 1;
        t.w[r] = (const uint8_t *)m->w + row * m->row_bytes;
    }
    for (size_t c = 0; c < (size_t)C; c++) t.x[c] = (const uint8_t *)m->x + (c0 + c) * m->x_bytes;
    dense_run(&t, e, R, C, m->n, lanes);
    for (size_t c = 0; c < (size_t)C; c++) {
        for (size_t r = 0; r < (size_t)R && r0 + r < m->n_rows; r++) {
            m->y[(c0 + c) * m->ldy + r0 + r] = t.out[c][r];
        }
    }
}

/* Rows in groups that stay in the cache while the columns go by. Tiles of 8 chains for one
 * column; of 12 for three, which with 4 operands fill the 16 registers of AVX2. */
LS_INLINE void dense_matmul(elem e, const ls_matmul *m, int lanes)
{
    const int    R1 = 64 / lanes, R3 = 32 / lanes;
    const size_t group = 16;
    for (size_t g = 0; g < m->n_rows; g += group) {
        size_t end = m->n_rows - g < group ? m->n_rows : g + group, c = 0;
        for (; c + 3 <= m->n_cols; c += 3) {
            for (size_t r = g; r < end; r += (size_t)R3) dense_at(e, R3, 3, m, r, c, lanes);
        }
        for (; c < m->n_cols; c++) {
            for (size_t r = g; r < end; r += (size_t)R1) dense_at(e, R1, 1, m, r, c, lanes);
        }
    }
}

LS_INLINE float dense_dot(elem e, const void *a, const void *b, size_t n, int lanes)
{
    dense_tile t = {.w = {a}, .x = {b}};
    dense_run(&t, e, 1, 1, n, lanes);
    return t.out[0][0];
}

#endif
