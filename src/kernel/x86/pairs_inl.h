// SPDX-License-Identifier: MIT
/* pairs_inl.h - products of BF16 rows in pairs (NUMERICS.md, clause 2), for AVX2 and AVX-512.
 *
 * Stripes are the lanes of registers: of as many neighbours each takes the second, then the first.
 * Independent chains come from rows and columns, which share loads. That operands and results below
 * the normal range are zero is left to the processor, which is told so (DAZ, FTZ) for as long as the
 * stripes of a tile take. DAZ is the rule for operands. FTZ is that for results but for one thing:
 * what would be rounded up to the least normal number from less than half an ulp of smaller ones is
 * zero to it. But it says that a result was tiny (UE), and then the tile is computed as it is defined.
 *
 * A tier defines, before it includes this: PAIRS_LANES, the lanes of a register; pp, a register;
 * pp_zero, pp_half (the second or the first of the pairs at p), pp_fma, pp_store; pp_tree, the sum of
 * 16 stripes; PAIRS_CHAINS, registers of sums in a tile of several columns; PAIRS_COLS, its columns
 * where 16 stripes are one order. */
#ifndef LS_KERNEL_PAIRS_INL_H
#define LS_KERNEL_PAIRS_INL_H

#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"

enum {
    PAIRS_ROWS = 8, /* at most                         */
    PAIRS_GROUP = 16,
    PAIRS_REGS = LS_STRIPES / PAIRS_LANES,
    FLUSHING = 0x9fc0, /* MXCSR: to nearest, exceptions masked, FTZ, DAZ, nothing happened */
    UNDERFLOW_SEEN = 0x10,
};

typedef struct pairs_tile {
    const uint16_t *w[PAIRS_ROWS], *x[PAIRS_COLS];
    float           s[PAIRS_COLS][PAIRS_ROWS][2 * LS_STRIPES];
} pairs_tile;

/* The stripes of R rows and C columns, H registers each, n a multiple of their pairs; all three
 * constant. */
LS_INLINE void pairs_run(pairs_tile *t, int R, int C, int H, size_t n)
{
    pp acc[PAIRS_COLS][PAIRS_ROWS][2 * PAIRS_REGS];
    for (int c = 0; c < C; c++) {
        for (int r = 0; r < R; r++) {
            for (int h = 0; h < H; h++) acc[c][r][h] = pp_zero();
        }
    }
    for (size_t i = 0; i < n; i += 2 * PAIRS_LANES * (size_t)H) {
#pragma GCC unroll 4
        for (int h = 0; h < H; h++) {
            const size_t at = i + 2 * PAIRS_LANES * (size_t)h;
#pragma GCC unroll 2
            for (int odd = 1; odd >= 0; odd--) {
                pp x[PAIRS_COLS];
#pragma GCC unroll 8
                for (int c = 0; c < C; c++) x[c] = pp_half(t->x[c] + at, odd);
#pragma GCC unroll 8
                for (int r = 0; r < R; r++) {
                    pp w = pp_half(t->w[r] + at, odd);
#pragma GCC unroll 8
                    for (int c = 0; c < C; c++) acc[c][r][h] = pp_fma(w, x[c], acc[c][r][h]);
                }
            }
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
#pragma GCC unroll 4
            for (int h = 0; h < H; h++) pp_store(&t->s[c][r][PAIRS_LANES * h], acc[c][r][h]);
        }
    }
}

/* Functions that are called, so that no arithmetic of theirs or of the caller's leaves its place
 * between or outside of the changes of MXCSR: tiles of several columns and of one, with 16 stripes and
 * with twice 16. */
enum { SEVERAL_ROWS = PAIRS_CHAINS / PAIRS_COLS / PAIRS_REGS, ONE_ROWS = 8 / PAIRS_REGS };
typedef void pairs_fn(pairs_tile *t, size_t n);
static __attribute__((noinline)) void pairs_several(pairs_tile *t, size_t n)
{
    pairs_run(t, SEVERAL_ROWS, PAIRS_COLS, PAIRS_REGS, n);
}

static __attribute__((noinline)) void pairs_one(pairs_tile *t, size_t n)
{
    pairs_run(t, ONE_ROWS, 1, PAIRS_REGS, n);
}

static __attribute__((noinline)) void pairs_twice(pairs_tile *t, size_t n)
{
    pairs_run(t, ONE_ROWS / 2, 1, 2 * PAIRS_REGS, n);
}

/* Whether the stripes are what they are by definition. */
static bool pairs_flushed(pairs_tile *t, pairs_fn *run, size_t n)
{
    const unsigned before = _mm_getcsr();
    unsigned       after;
    _mm_setcsr(FLUSHING);
    run(t, n);
    after = _mm_getcsr();
    _mm_setcsr(before);
    return !(after & UNDERFLOW_SEEN);
}

/* One tile; rows past the end repeat the last one and are not stored. */
LS_INLINE void pairs_at(const ls_matmul *m, pairs_fn *run, size_t R, size_t C, size_t r0, size_t c0)
{
    const size_t step = 4 * (size_t)m->lanes, whole = m->n - m->n % step;
    pairs_tile   t;
    bool         as_defined;
    for (size_t r = 0; r < R; r++) {
        size_t row = r0 + r < m->n_rows ? r0 + r : m->n_rows - 1;
        t.w[r] = (const void *)((const uint8_t *)m->w + row * m->row_bytes);
    }
    for (size_t c = 0; c < C; c++)
        t.x[c] = (const void *)((const uint8_t *)m->x + (c0 + c) * m->x_bytes);
    as_defined = pairs_flushed(&t, run, whole);
    for (size_t c = 0; c < C; c++) {
        for (size_t r = 0; r < R && r0 + r < m->n_rows; r++) {
            const uint16_t *w = t.w[r], *x = t.x[c];
            double          sum = (double)pp_tree(t.s[c][r]);
            if (m->lanes == 16) sum += (double)pp_tree(t.s[c][r] + LS_STRIPES);
            m->y[(c0 + c) * m->ldy + r0 + r] =
                as_defined ? row_bf16_rest(sum, w + whole, x + whole, m->n - whole)
                           : row_dot_bf16_pairs(w, x, m->n, m->lanes);
        }
    }
}

/* Rows in groups that stay in the cache while the columns go by. */
static void matmul_bf16_pairs(const ls_matmul *m)
{
    const bool   twice = m->lanes == 16;
    const size_t R1 = twice ? ONE_ROWS / 2 : ONE_ROWS;
    for (size_t g = 0; g < m->n_rows; g += PAIRS_GROUP) {
        size_t end = m->n_rows - g < PAIRS_GROUP ? m->n_rows : g + PAIRS_GROUP, c = 0;
        for (; c + PAIRS_COLS <= m->n_cols && !twice; c += PAIRS_COLS) {
            for (size_t r = g; r < end; r += SEVERAL_ROWS)
                pairs_at(m, pairs_several, SEVERAL_ROWS, PAIRS_COLS, r, c);
        }
        for (; c < m->n_cols; c++) {
            for (size_t r = g; r < end; r += R1)
                pairs_at(m, twice ? pairs_twice : pairs_one, R1, 1, r, c);
        }
    }
}

#endif
