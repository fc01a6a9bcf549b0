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
    PAIRS_ROWS = 16, /* of a block: they stay in the cache while the columns go by */
    PAIRS_REGS = LS_STRIPES / PAIRS_LANES,
    FLUSHING = 0x9fc0, /* MXCSR: to nearest, exceptions masked, FTZ, DAZ, nothing happened */
    UNDERFLOW_SEEN = 0x10,
};

/* Rows and columns and their stripes, from n elements, a multiple of what a step takes. */
typedef struct pairs_block {
    const uint16_t *w[PAIRS_ROWS], *x[PAIRS_COLS];
    size_t          n_rows, n;
    float           s[PAIRS_COLS][PAIRS_ROWS][2 * LS_STRIPES];
} pairs_block;

/* A tile of the block: rows from r0 on. R rows, C columns and H registers each are constant. */
LS_INLINE void pairs_tile(pairs_block *b, size_t r0, int R, int C, int H)
{
    pp acc[PAIRS_COLS][8][2 * PAIRS_REGS];
    for (int c = 0; c < C; c++) {
        for (int r = 0; r < R; r++) {
            for (int h = 0; h < H; h++) acc[c][r][h] = pp_zero();
        }
    }
    for (size_t i = 0; i < b->n; i += 2 * PAIRS_LANES * (size_t)H) {
#pragma GCC unroll 4
        for (int h = 0; h < H; h++) {
            const size_t at = i + 2 * PAIRS_LANES * (size_t)h;
#pragma GCC unroll 2
            for (int odd = 1; odd >= 0; odd--) {
                pp x[PAIRS_COLS];
#pragma GCC unroll 8
                for (int c = 0; c < C; c++) x[c] = pp_half(b->x[c] + at, odd);
#pragma GCC unroll 8
                for (int r = 0; r < R; r++) {
                    pp w = pp_half(b->w[r0 + (size_t)r] + at, odd);
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
            for (int h = 0; h < H; h++)
                pp_store(&b->s[c][r0 + (size_t)r][PAIRS_LANES * h], acc[c][r][h]);
        }
    }
}

LS_INLINE void pairs_tiles(pairs_block *b, int R, int C, int H)
{
    for (size_t r = 0; r < b->n_rows; r += (size_t)R) pairs_tile(b, r, R, C, H);
}

/* Functions that are called, so that no arithmetic of theirs or of the caller's leaves its place
 * between or outside of the changes of MXCSR: several columns; one; one with twice 16 stripes. */
typedef void pairs_fn(pairs_block *b);
static __attribute__((noinline)) void pairs_several(pairs_block *b)
{
    pairs_tiles(b, PAIRS_CHAINS / PAIRS_COLS / PAIRS_REGS, PAIRS_COLS, PAIRS_REGS);
}

static __attribute__((noinline)) void pairs_one(pairs_block *b)
{
    pairs_tiles(b, 8 / PAIRS_REGS, 1, PAIRS_REGS);
}

static __attribute__((noinline)) void pairs_twice(pairs_block *b)
{
    pairs_tiles(b, 4 / PAIRS_REGS, 1, 2 * PAIRS_REGS);
}

/* Whether the stripes are what they are by definition. */
static bool pairs_flushed(pairs_block *b, pairs_fn *run)
{
    const unsigned before = _mm_getcsr();
    unsigned       after;
    _mm_setcsr(FLUSHING);
    run(b);
    after = _mm_getcsr();
    _mm_setcsr(before);
    return !(after & UNDERFLOW_SEEN);
}

/* The block at row r0 and column c0, of C columns; rows past the end repeat the last one. */
static void pairs_at(const ls_matmul *m, pairs_fn *run, size_t r0, size_t c0, size_t C)
{
    const size_t left = m->n_rows - r0, rows = left < PAIRS_ROWS ? left : PAIRS_ROWS;
    const size_t whole = m->n - m->n % (4 * (size_t)m->lanes);
    pairs_block  b;
    bool         as_defined;
    b.n_rows = rows;
    b.n = whole;
    for (size_t r = 0; r < PAIRS_ROWS; r++) {
        size_t row = r0 + (r < rows ? r : rows - 1);
        b.w[r] = (const void *)((const uint8_t *)m->w + row * m->row_bytes);
    }
    for (size_t c = 0; c < C; c++)
        b.x[c] = (const void *)((const uint8_t *)m->x + (c0 + c) * m->x_bytes);
    as_defined = pairs_flushed(&b, run);
    for (size_t c = 0; c < C; c++) {
        float *y = m->y + (c0 + c) * m->ldy + r0;
        for (size_t r = 0; r < rows; r++) {
            const uint16_t *w = b.w[r], *x = b.x[c];
            double          sum = (double)pp_tree(b.s[c][r]);
            if (m->lanes == 16) sum += (double)pp_tree(b.s[c][r] + LS_STRIPES);
            y[r] = as_defined ? row_bf16_rest(sum, w + whole, x + whole, m->n - whole)
                              : row_dot_bf16_pairs(w, x, m->n, m->lanes);
        }
    }
}

static void matmul_bf16_pairs(const ls_matmul *m)
{
    for (size_t r = 0; r < m->n_rows; r += PAIRS_ROWS) {
        size_t c = 0;
        for (; m->lanes == 8 && c + PAIRS_COLS <= m->n_cols; c += PAIRS_COLS)
            pairs_at(m, pairs_several, r, c, PAIRS_COLS);
        for (; c < m->n_cols; c++) pairs_at(m, m->lanes == 8 ? pairs_one : pairs_twice, r, c, 1);
    }
}

#endif
