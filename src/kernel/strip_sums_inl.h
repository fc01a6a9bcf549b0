// SPDX-License-Identifier: MIT
/* strip_sums_inl.h - the sums of strips_inl.h: a strip as it is stored times one column, and what panels
 * (strip_panels_inl.h) have in common with that. */
#ifndef LS_KERNEL_STRIP_SUMS_INL_H
#define LS_KERNEL_STRIP_SUMS_INL_H

#include <stddef.h>
#include <string.h>

#include "dtype/strips.h"
#include "kernel/kernel_priv.h"

#define LS_INLINE static inline __attribute__((always_inline))

#include "kernel/strip_forms_inl.h"

enum { HALVES = LS_STRIP_ROWS / V_ROWS, MAX_COLS = 8, PANEL_FROM = 8 };
enum { PANEL_ROWS = STRIP_PANEL * LS_STRIP_ROWS, PANEL_REGS = PANEL_ROWS / V_ROWS };
enum { CHAINS = 4 };

/* What an output is made of. */
typedef struct strip_job {
    const uint8_t *strip; /* as stored; or the panel: */
    const uint8_t *q;     /* [n / 4][R][4] codes, R = PANEL_ROWS               */
    const float   *d;     /* [blocks][parts][R], in blocks of 256 [blocks][R]  */
    const float   *dmin;  /* [blocks][R]                                       */
    const uint8_t *scale; /* [groups][R] a scale, twice, as int16              */
    const uint8_t *pair;  /* [n / 32][R] as stored_pair                        */
    const uint8_t *x[MAX_COLS];
    float         *y[MAX_COLS];
    size_t         n;
    float          w_scale;
    uint8_t       *scratch; /* the panel's, ls_strips_scratch(n) bytes */
} strip_job;

/* ---- one of both sources: a strip as it is stored, or a panel ---- */

LS_INLINE const uint8_t *block_at(int t, const strip_job *j, size_t b)
{
    return j->strip + b * LS_STRIP_ROWS * bytes_of(t);
}

/* For part i of n of block b. A block of Q6_K begins with what stands at its end, 3 KiB behind: twice as far. */
LS_INLINE void fetch_ahead(int t, const strip_job *j, size_t b, int i, int n)
{
    const uint8_t *from = block_at(t, j, b) + (t == LS_DTYPE_Q6_K ? LS_FETCH_AHEAD : 0);
    ls_fetch_lines(from, LS_STRIP_ROWS * bytes_of(t), (size_t)i, (size_t)n);
}

/* Words of a panel, number `at` of them; those of register h. */
LS_INLINE const uint8_t *words_at(const uint8_t *from, size_t at, int h)
{
    return from + 4 * (PANEL_ROWS * at + V_ROWS * (size_t)h);
}

LS_INLINE vf floats_at(const float *from, size_t at, int h)
{
    return vf_load(from + PANEL_ROWS * at + V_ROWS * (size_t)h);
}

LS_INLINE vi codes_at(int t, bool panel, const strip_job *j, size_t b, int k, int h)
{
    if (panel) return v_load(words_at(j->q, b * (size_t)block_of(t) / 4 + (size_t)k, h));
    return strip_code(adds_of(t), stored_codes(t, block_at(t, j, b), k, h));
}

/* Scale of part i of a block. */
LS_INLINE vf d_at(int t, bool panel, const strip_job *j, size_t b, int i, int h)
{
    size_t parts = block_of(t) < 256 ? (size_t)parts_of(t) : 1;
    if (panel) return floats_at(j->d, b * parts + (size_t)i, h);
    return stored_d(t, block_at(t, j, b), t == LS_DTYPE_NVFP4 ? i : 0, h);
}

LS_INLINE vf dmin_at(int t, bool panel, const strip_job *j, size_t b, int h)
{
    return panel ? floats_at(j->dmin, b, h) : stored_d(t, block_at(t, j, b), 1, h);
}

/* ---- blocks of 32, and of more with Q8_0 beside them ---- */

LS_INLINE size_t x_bytes_of(int t) { return takes_q8_1(t) ? sizeof(ls_q8_1) : sizeof(ls_q8_0); }

/* Block b of column c; what stands behind its row. */
LS_INLINE const uint8_t *x_block(int t, const strip_job *j, int c, size_t b)
{
    return j->x[c] + x_bytes_of(t) * b;
}

LS_INLINE const uint8_t *x_sum(int t, const strip_job *j, int c, size_t b)
{
    return j->x[c] + x_bytes_of(t) * (j->n / 32) + sizeof(ls_q8_sum) * b;
}

/* The scale of a block of activations. */
LS_INLINE vf dx_of(int t, const strip_job *j, int c, size_t b)
{
    return takes_q8_1(t) ? v_f16_all(x_block(t, j, c, b)) : vf_all(x_sum(t, j, c, b));
}

/* The offset times the sum of a part's activations. */
LS_INLINE vi offset_sum(int t, const strip_job *j, int c, size_t b, int i)
{
    const int      offset = offset_of(t), n = part_of(t);
    const uint8_t *x = x_block(t, j, c, b) + (takes_q8_1(t) ? 4 : 2);
    int            sum = 0;
    if (!takes_q8_1(t) && n == 32) {
        vi s = v_broadcast(x_sum(t, j, c, b) + offsetof(ls_q8_sum, sum));
        if (offset == 12) return v_add32(v_sll32(s, 3), v_sll32(s, 2));
        return v_sll32(s, __builtin_ctz((unsigned)offset));
    }
    for (int k = 0; k < n; k++) sum += (int8_t)x[i * n % 32 + k];
    return v_set32(offset * sum);
}

LS_INLINE int regs_of(bool panel) { return panel ? PANEL_REGS : HALVES; }

/* Part i of block b: xb is its block of activations. */
LS_INLINE void mul_part(int t, bool panel, const strip_job *j, size_t b, int i, size_t xb, int nc,
                        vi (*isum)[PANEL_REGS])
{
    const int  steps = part_of(t) / 4, regs = regs_of(panel);
    size_t     codes = takes_q8_1(t) ? 4 : 2;
    size_t     from = x_bytes_of(t) * xb + codes + 4 * (size_t)(i * steps % 8);
    strip_part part[MAX_COLS][PANEL_REGS];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < regs; h++) isum[c][h] = v_zero();
    }
#pragma GCC unroll 8
    for (int k = 0; k < steps; k++) {
        vi w[PANEL_REGS];
        if (!panel) fetch_ahead(t, j, b, i * steps + k, steps * parts_of(t));
        for (int h = 0; h < regs; h++) w[h] = codes_at(t, panel, j, b, i * steps + k, h);
#pragma GCC unroll 8
        for (int c = 0; c < nc; c++) {
            vi x = v_broadcast(j->x[c] + from + 4 * (size_t)k);
            for (int h = 0; h < regs; h++) {
                strip_step(adds_of(t), k, steps, &part[c][h], &isum[c][h], w[h], x, v_set16(1),
                           false);
            }
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < nc; c++) {
        if (offset_of(t) == 0) break;
        vi sum = offset_sum(t, j, c, xb, i);
        for (int h = 0; h < regs; h++) isum[c][h] = v_sub32(isum[c][h], sum);
    }
}

LS_INLINE void mul_32(int t, bool panel, const strip_job *j, int nc)
{
    const int    regs = regs_of(panel);
    const size_t x_blocks = (size_t)block_of(t) / 32;
    vf           acc[MAX_COLS][PANEL_REGS], mins[MAX_COLS][PANEL_REGS];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < regs; h++) acc[c][h] = mins[c][h] = vf_zero();
    }
    for (size_t b = 0; b < j->n / (size_t)block_of(t); b++) {
#pragma GCC unroll 4
        for (int i = 0; i < parts_of(t); i++) {
            const size_t xb = b * x_blocks + (size_t)(i * part_of(t) / 32);
            vi           isum[MAX_COLS][PANEL_REGS];
            mul_part(t, panel, j, b, i, xb, nc, isum);
#pragma GCC unroll 8
            for (int c = 0; c < nc; c++) {
                vf dx = dx_of(t, j, c, xb);
                for (int h = 0; h < regs; h++) {
                    vf d = vf_mul(d_at(t, panel, j, b, i, h), dx);
                    acc[c][h] = vf_fma(d, v_float(isum[c][h]), acc[c][h]);
                    if (has_min(t)) {
                        vf m = dmin_at(t, panel, j, b, h);
                        mins[c][h] = vf_fma(m, v_f16_all(x_block(t, j, c, xb) + 2), mins[c][h]);
                    }
                }
            }
        }
    }
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < regs; h++) {
            vf_store(j->y[c] + V_ROWS * h, has_min(t) ? vf_add(acc[c][h], mins[c][h]) : acc[c][h]);
        }
    }
}

/* ---- what blocks of 256 and rows end with ---- */

/* Word i of the sums of 16 activations in block b of column c: numbers 2i and 2i + 1. */
LS_INLINE vi sums_16(const strip_job *j, int c, size_t b, int i)
{
    return v_broadcast(j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, bsums) + 4 * (size_t)i);
}

/* The offset times the sum of activations, where no scale differs from row to row. */
LS_INLINE vi offset_of_block(int t, const strip_job *j, int c, size_t b)
{
    vi sum = v_sum16(j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, bsums));
    return v_sll32(sum, __builtin_ctz((unsigned)offset_of(t)));
}

/* A block of 256 joins its output: the sum of its codes, that of minimums or of offsets. */
LS_INLINE void take_256(int t, bool panel, const strip_job *j, int c, size_t b, int h, vi isum,
                        vi msum, vf *acc, vf *mins)
{
    vf dx = vf_all(j->x[c] + sizeof(ls_q8_k) * b);
    if (has_pairs(t) && !has_min(t)) isum = v_sub32(isum, msum);
    *acc = vf_fma(vf_mul(d_at(t, panel, j, b, 0, h), dx), v_float(isum), *acc);
    if (has_min(t)) *mins = vf_fma(vf_mul(dmin_at(t, panel, j, b, h), dx), v_float(msum), *mins);
}

LS_INLINE void store_row(const strip_job *j, int c, int h, vi isum)
{
    ls_i8_row x;
    memcpy(&x, j->x[c], sizeof(x));
    vf v = vf_div(v_float(v_sub32(isum, v_set32(x.sum))), vf_set(x.s));
    vf_store(j->y[c] + V_ROWS * h, vf_mul(v, vf_set(j->w_scale)));
}

/* ---- blocks of 256, a strip as it is stored, one column ---- */

/* Step k of the 32 of 128 elements in an order in which the four codes of a byte follow each
 * other, so that what is loaded once serves four steps. */
LS_INLINE int by_word(int t, int k)
{
    return t == LS_DTYPE_TQ2_0 || t == LS_DTYPE_I2_S ? k % 4 * 8 + k / 4 : k;
}

/* One column alone waits for each of its products in turn: integers without a scale are added in
 * CHAINS sums then. */
LS_INLINE int chains_of(int t) { return group_of(t) == 0 ? CHAINS : 1; }

LS_INLINE void zero_chains(vi (*isum)[HALVES])
{
    for (int k = 0; k < CHAINS; k++) {
        for (int h = 0; h < HALVES; h++) isum[k][h] = v_zero();
    }
}

LS_INLINE void add_chains(int t, vi (*isum)[HALVES])
{
    for (int k = 1; k < chains_of(t); k++) {
        for (int h = 0; h < HALVES; h++) isum[0][h] = v_add32(isum[0][h], isum[k][h]);
    }
}

/* Group g of block b; without scales 128 elements. */
LS_INLINE void stored_group(int t, const strip_job *j, const strip_scales *s, size_t b, int g,
                            strip_part *part, vi (*isum)[HALVES])
{
    const int      steps = (group_of(t) ? group_of(t) : 128) / 4;
    const uint8_t *x = j->x[0] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, qs);
    vi             scale[HALVES];
    for (int h = 0; h < HALVES; h++)
        scale[h] = group_of(t) ? stored_scale(t, s + h, g) : v_set16(1);
#pragma GCC unroll 32
    for (int k = 0; k < steps; k++) {
        const int at = g * steps + by_word(t, k);
        vi        w[HALVES], four = v_broadcast(x + 4 * at);
        fetch_ahead(t, j, b, g * steps + k, 64);
        for (int h = 0; h < HALVES; h++) w[h] = codes_at(t, false, j, b, at, h);
        for (int h = 0; h < HALVES; h++) {
            strip_step(adds_of(t), k, steps, &part[h], &isum[k % chains_of(t)][h], w[h], four, scale[h],
                       group_of(t) != 0);
        }
    }
}

/* Minimums, or the offset times the scales, times the sums of activations of block b. */
LS_INLINE void stored_pairs(int t, const strip_job *j, const strip_scales *s, size_t b, vi *msum)
{
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        vi two = sums_16(j, 0, b, i);
        for (int h = 0; h < HALVES; h++) msum[h] = v_madd_add(msum[h], stored_pair(t, s + h, i), two);
    }
}

LS_INLINE void stored_256(int t, const strip_job *j)
{
    const int groups = group_of(t) ? 256 / group_of(t) : 2;
    vf        acc[HALVES], mins[HALVES];
    for (int h = 0; h < HALVES; h++) acc[h] = mins[h] = vf_zero();
    for (size_t b = 0; b < j->n / 256; b++) {
        vi           isum[CHAINS][HALVES], msum[HALVES];
        strip_part   part[HALVES];
        strip_scales s[HALVES];
        vi           offset = has_pairs(t) && !group_of(t) ? offset_of_block(t, j, 0, b) : v_zero();
        zero_chains(isum);
        for (int h = 0; h < HALVES; h++) {
            msum[h] = offset;
            stored_scales(t, block_at(t, j, b), h, &s[h]);
        }
#pragma GCC unroll 16 /* where a code stands is then known when this is compiled */
        for (int g = 0; g < groups; g++) stored_group(t, j, s, b, g, part, isum);
        add_chains(t, isum);
        if (group_of(t)) stored_pairs(t, j, s, b, msum);
        for (int h = 0; h < HALVES; h++)
            take_256(t, false, j, 0, b, h, isum[0][h], msum[h], &acc[h], &mins[h]);
    }
    for (int h = 0; h < HALVES; h++)
        vf_store(j->y[0] + V_ROWS * h, has_min(t) ? vf_sub(acc[h], mins[h]) : acc[h]);
}

/* ---- one sum over the row, the same ---- */

LS_INLINE void stored_row(int t, const strip_job *j)
{
    vi         isum[CHAINS][HALVES];
    strip_part part[HALVES];
    zero_chains(isum);
    for (size_t b = 0; b < (j->n + 127) / 128; b++) {
#pragma GCC unroll 32
        for (int k = 0; k < 32; k++) {
            int i = by_word(t, k);
            vi  x = v_broadcast(j->x[0] + sizeof(ls_i8_row) + 128 * b + 4 * (size_t)i);
            fetch_ahead(t, j, b, k, 32);
            for (int h = 0; h < HALVES; h++) {
                strip_step(adds_of(t), k, 32, &part[h], &isum[k % chains_of(t)][h],
                           codes_at(t, false, j, b, i, h), x, v_set16(1), false);
            }
        }
    }
    add_chains(t, isum);
    for (int h = 0; h < HALVES; h++) store_row(j, 0, h, isum[0][h]);
}

LS_INLINE void mul_stored(int t, const strip_job *j)
{
    if (t == LS_DTYPE_I2_S) stored_row(t, j);
    else if (block_of(t) == 256) stored_256(t, j);
    else mul_32(t, false, j, 1);
}

#endif
