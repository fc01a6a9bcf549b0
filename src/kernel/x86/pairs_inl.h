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
 * pp_zero, pp_half (the second or the first of the pairs at p), pp_fma, pp_store; PAIRS_COLS, the
 * columns of a tile, and PAIRS_CHAINS, its registers of sums. */
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
    for (size_t r = 0; r < (b->n_rows + 7) / 8 * 8; r += (size_t)R) pairs_tile(b, r, R, C, H);
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

/* The trees of 16 stripes of 8 rows each, which lie behind each other in a block. */
LS_INLINE void pairs_trees(float y[8], const float *s)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256        a[8];
#pragma GCC unroll 8
    for (int r = 0; r < 8; r++, s += 2 * LS_STRIPES)
        a[r] = _mm256_add_ps(_mm256_loadu_ps(s), _mm256_loadu_ps(s + 8));
#pragma GCC unroll 4
    for (int r = 0; r < 8; r += 2)
        a[r] = _mm256_add_ps(_mm256_permute2f128_ps(a[r], a[r + 1], 0x20),
                             _mm256_permute2f128_ps(a[r], a[r + 1], 0x31));
#pragma GCC unroll 2
    for (int r = 0; r < 8; r += 4)
        a[r] = _mm256_add_ps(_mm256_shuffle_ps(a[r], a[r + 2], 0x44),
                             _mm256_shuffle_ps(a[r], a[r + 2], 0xee));
    a[0] = _mm256_add_ps(_mm256_shuffle_ps(a[0], a[4], 0x88), _mm256_shuffle_ps(a[0], a[4], 0xdd));
    _mm256_storeu_ps(y, _mm256_permutevar8x32_ps(a[0], order));
}

/* Column c of a block to y, with what is left over of n elements. */
LS_INLINE void pairs_end(const pairs_block *b, size_t c, float *y, size_t n, int lanes)
{
    float sum[2][PAIRS_ROWS] = {{0}};
    for (size_t r = 0; r < b->n_rows; r += 8) {
        pairs_trees(sum[0] + r, b->s[c][r]);
        if (lanes == 16) pairs_trees(sum[1] + r, &b->s[c][r][LS_STRIPES]);
    }
    for (size_t r = 0; r < b->n_rows; r++) {
        double all = (double)sum[0][r];
        if (lanes == 16) all += (double)sum[1][r];
        y[r] = row_bf16_rest(all, b->w[r] + b->n, b->x[c] + b->n, n - b->n);
    }
}

/* The block at row r0 and column c0, of C columns; rows past the end repeat the last one. */
LS_INLINE void pairs_at(const ls_matmul *m, pairs_fn *run, size_t r0, size_t c0, size_t C,
                        int lanes)
{
    const size_t left = m->n_rows - r0;
    pairs_block  b;
    bool         as_defined;
    b.n_rows = left < PAIRS_ROWS ? left : PAIRS_ROWS;
    b.n = m->n - m->n % (4 * (size_t)lanes);
    for (size_t r = 0; r < PAIRS_ROWS; r++) {
        size_t row = r0 + (r < b.n_rows ? r : b.n_rows - 1);
        b.w[r] = (const void *)((const uint8_t *)m->w + row * m->row_bytes);
    }
    for (size_t c = 0; c < C; c++)
        b.x[c] = (const void *)((const uint8_t *)m->x + (c0 + c) * m->x_bytes);
    as_defined = pairs_flushed(&b, run);
    for (size_t c = 0; c < C; c++) {
        float *y = m->y + (c0 + c) * m->ldy + r0;
        if (as_defined) pairs_end(&b, c, y, m->n, lanes);
        for (size_t r = 0; r < b.n_rows && !as_defined; r++)
            y[r] = row_dot_bf16_pairs(b.w[r], b.x[c], m->n, lanes);
    }
}

static void matmul_bf16_pairs(const ls_matmul *m)
{
    for (size_t r = 0; r < m->n_rows; r += PAIRS_ROWS) {
        size_t c = 0;
        for (; m->lanes == 8 && c + PAIRS_COLS <= m->n_cols; c += PAIRS_COLS)
            pairs_at(m, pairs_several, r, c, PAIRS_COLS, 8);
        for (; m->lanes == 8 && c < m->n_cols; c++) pairs_at(m, pairs_one, r, c, 1, 8);
        for (; c < m->n_cols; c++) pairs_at(m, pairs_twice, r, c, 1, 16);
    }
}

#endif
