// SPDX-License-Identifier: MIT
/* strip_sums_inl.h - the sums of strips_inl.h: rows of a strip or of a panel times some columns. */
#ifndef LS_KERNEL_STRIP_SUMS_INL_H
#define LS_KERNEL_STRIP_SUMS_INL_H

#include <stddef.h>
#include <string.h>

#include "dtype/strips.h"
#include "kernel/kernel_priv.h"

#define LS_INLINE static inline __attribute__((always_inline))

#include "kernel/strip_forms_inl.h"

enum { HALVES = LS_STRIP_ROWS / V_ROWS, MAX_COLS = 12, PANEL_FROM = 8 };
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

/* For part i of n of block b. */
LS_INLINE void fetch_ahead(int t, const strip_job *j, size_t b, int i, int n)
{
    ls_fetch_lines(block_at(t, j, b), LS_STRIP_ROWS * bytes_of(t), (size_t)i, (size_t)n);
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

LS_INLINE vi scale_at(int t, bool panel, const strip_job *j, const strip_scales *s, size_t b, int g,
                      int h)
{
    if (panel) return v_load(words_at(j->scale, b * 256 / (size_t)group_of(t) + (size_t)g, h));
    return stored_scale(t, s, g);
}

LS_INLINE vi pair_at(int t, bool panel, const strip_job *j, const strip_scales *s, size_t b, int i,
                     int h)
{
    return panel ? v_load(words_at(j->pair, 8 * b + (size_t)i, h)) : stored_pair(t, s, i);
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
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            vi x = v_broadcast(j->x[c] + from + 4 * (size_t)k);
            for (int h = 0; h < regs; h++) {
                strip_step(adds_of(t), k, steps, &part[c][h], &isum[c][h], w[h], x, v_set16(1),
                           false);
            }
        }
    }
#pragma GCC unroll 12
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
#pragma GCC unroll 12
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

/* ---- blocks of 256 ---- */

/* Step k of the 32 of 128 elements in an order in which the four codes of a byte follow each
 * other, so that what is loaded once serves four steps. */
LS_INLINE int by_word(int t, bool panel, int k)
{
    bool four = !panel && (t == LS_DTYPE_TQ2_0 || t == LS_DTYPE_I2_S);
    return four ? k % 4 * 8 + k / 4 : k;
}

/* Registers of rows in one product of a block of 256, from number h on: all of what is stored, so that
 * activations are loaded once; of a panel as many as leave room for the columns. */
LS_INLINE int regs_of_256(bool panel) { return panel ? STRIP_WIDE_REGS : HALVES; }

/* One column alone waits for each of its products in turn: integers without a scale are added in
 * CHAINS sums then, which take the places of columns that are not there. */
LS_INLINE int chains_of(int t, bool panel) { return !panel && group_of(t) == 0 ? CHAINS : 1; }

LS_INLINE void zero_chains(int t, bool panel, vi (*isum)[PANEL_REGS])
{
    for (int k = 1; k < chains_of(t, panel); k++) {
        for (int h = 0; h < regs_of(panel); h++) isum[k][h] = v_zero();
    }
}

LS_INLINE void add_chains(int t, bool panel, vi (*isum)[PANEL_REGS])
{
    for (int k = 1; k < chains_of(t, panel); k++) {
        for (int h = 0; h < regs_of(panel); h++) isum[0][h] = v_add32(isum[0][h], isum[k][h]);
    }
}

/* Group g of the block. */
LS_INLINE void mul_group(int t, bool panel, const strip_job *j, const strip_scales *s, size_t b,
                         int nc, int h, int g, strip_part (*part)[PANEL_REGS], vi (*isum)[PANEL_REGS])
{
    const int group = group_of(t) ? group_of(t) : 128, regs = regs_of_256(panel);
    const int chains = chains_of(t, panel);
    vi        scale[PANEL_REGS];
    for (int i = 0; i < regs; i++)
        scale[i] = group_of(t) ? scale_at(t, panel, j, s + i, b, g, h + i) : v_set16(1);
#pragma GCC unroll 32
    for (int k = 0; k < group / 4; k++) {
        const int at = by_word(t, panel, k);
        vi        w[PANEL_REGS];
        if (!panel) fetch_ahead(t, j, b, g * group / 4 + k, 64);
        for (int i = 0; i < regs; i++) w[i] = codes_at(t, panel, j, b, g * group / 4 + at, h + i);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            const uint8_t *x = j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, qs);
            vi             four = v_broadcast(x + g * group + 4 * at);
            for (int i = 0; i < regs; i++) {
                strip_step(adds_of(t), k, group / 4, &part[c][i], &isum[c + k % chains][i], w[i],
                           four, scale[i], group_of(t) != 0);
            }
        }
    }
}

/* Minimums, or the offset times the scales, times the sums of activations: pair i of eight. */
LS_INLINE void mul_pair(int t, bool panel, const strip_job *j, const strip_scales *s, size_t b, int nc,
                        int h, int i, vi (*msum)[PANEL_REGS])
{
    const int regs = regs_of_256(panel);
    vi        m[PANEL_REGS];
    for (int k = 0; k < regs; k++) m[k] = pair_at(t, panel, j, s + k, b, i, h + k);
#pragma GCC unroll 12
    for (int c = 0; c < nc; c++) {
        const uint8_t *sums = j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, bsums);
        vi             two = v_broadcast(sums + 4 * i);
        for (int k = 0; k < regs; k++) msum[c][k] = v_madd_add(msum[c][k], m[k], two);
    }
}

LS_INLINE void mul_pairs(int t, bool panel, const strip_job *j, const strip_scales *s, size_t b,
                         int nc, int h, vi (*msum)[PANEL_REGS])
{
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) mul_pair(t, panel, j, s, b, nc, h, i, msum);
}

/* Sum of 16 int16 of at most 2048 by their magnitude, as sums of 16 codes are: made positive, four words
 * of four are added without a carry, and so are the four at last. */
LS_INLINE int sum_of_16(const void *sums)
{
    const uint64_t ones = 0x0001000100010001;
    uint64_t       w[4], all = 0;
    memcpy(w, sums, sizeof(w));
    for (int i = 0; i < 4; i++) all += (w[i] ^ 0x8000 * ones) - (0x8000 - 2048) * ones;
    return (int)(all * ones >> 48) - 16 * 2048;
}

/* The offset times the sum of activations, where no scale differs from row to row. */
LS_INLINE void sum_block(int t, bool panel, const strip_job *j, size_t b, int nc,
                         vi (*msum)[PANEL_REGS])
{
    for (int c = 0; c < nc; c++) {
        const uint8_t *sums = j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, bsums);
        vi             sum = v_set32(offset_of(t) * sum_of_16(sums));
        for (int k = 0; k < regs_of_256(panel); k++) msum[c][k] = sum;
    }
}

LS_INLINE void mul_256_sums(int t, bool panel, const strip_job *j, size_t b, int nc, int h,
                            vi (*isum)[PANEL_REGS], vi (*msum)[PANEL_REGS])
{
    strip_part   part[MAX_COLS][PANEL_REGS];
    strip_scales s[PANEL_REGS];
    const int    groups = group_of(t) ? 256 / group_of(t) : 2, regs = regs_of_256(panel);
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < regs; i++) isum[c][i] = msum[c][i] = v_zero();
    }
    zero_chains(t, panel, isum);
    for (int i = 0; i < regs && !panel; i++)
        stored_scales(t, block_at(t, j, b), h + i, &s[i]);
    if (panel) {
        for (int g = 0; g < groups; g++) mul_group(t, panel, j, s, b, nc, h, g, part, isum);
    } else { /* where a code stands is then known when this is compiled */
#pragma GCC unroll 16
        for (int g = 0; g < groups; g++) {
            mul_group(t, panel, j, s, b, nc, h, g, part, isum);
        }
    }
    add_chains(t, panel, isum);
    if (group_of(t)) mul_pairs(t, panel, j, s, b, nc, h, msum);
    else if (has_pairs(t)) sum_block(t, panel, j, b, nc, msum);
}

LS_INLINE void mul_256(int t, bool panel, const strip_job *j, int nc, int h)
{
    const int regs = regs_of_256(panel);
    vf        acc[MAX_COLS][PANEL_REGS], mins[MAX_COLS][PANEL_REGS];
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < regs; i++) acc[c][i] = mins[c][i] = vf_zero();
    }
    for (size_t b = 0; b < j->n / 256; b++) {
        vi isum[MAX_COLS][PANEL_REGS], msum[MAX_COLS][PANEL_REGS];
        mul_256_sums(t, panel, j, b, nc, h, isum, msum);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            vf dx = vf_all(j->x[c] + sizeof(ls_q8_k) * b);
            for (int i = 0; i < regs; i++) {
                vi sum = isum[c][i];
                if (has_pairs(t) && !has_min(t)) sum = v_sub32(sum, msum[c][i]);
                vf d = vf_mul(d_at(t, panel, j, b, 0, h + i), dx);
                acc[c][i] = vf_fma(d, v_float(sum), acc[c][i]);
                if (!has_min(t)) continue;
                vf dmin = vf_mul(dmin_at(t, panel, j, b, h + i), dx);
                mins[c][i] = vf_fma(dmin, v_float(msum[c][i]), mins[c][i]);
            }
        }
    }
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < regs; i++) {
            vf y = has_min(t) ? vf_sub(acc[c][i], mins[c][i]) : acc[c][i];
            vf_store(j->y[c] + V_ROWS * (h + i), y);
        }
    }
}

/* ---- one sum over the row ---- */

LS_INLINE void mul_row(int t, bool panel, const strip_job *j, int nc)
{
    const int regs = regs_of(panel), chains = chains_of(t, panel);
    vi        isum[MAX_COLS][PANEL_REGS];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < regs; h++) isum[c][h] = v_zero();
    }
    zero_chains(t, panel, isum);
    for (size_t b = 0; b < (j->n + 127) / 128; b++) {
        strip_part part[MAX_COLS][PANEL_REGS];
#pragma GCC unroll 32
        for (int k = 0; k < 32; k++) {
            int i = by_word(t, panel, k);
            vi  w[PANEL_REGS];
            if (!panel) fetch_ahead(t, j, b, k, 32);
            for (int h = 0; h < regs; h++) w[h] = codes_at(t, panel, j, b, i, h);
#pragma GCC unroll 12
            for (int c = 0; c < nc; c++) {
                vi x = v_broadcast(j->x[c] + sizeof(ls_i8_row) + 128 * b + 4 * (size_t)i);
                for (int h = 0; h < regs; h++) {
                    strip_step(adds_of(t), k, 32, &part[c][h], &isum[c + k % chains][h], w[h], x,
                               v_set16(1), false);
                }
            }
        }
    }
    add_chains(t, panel, isum);
    for (int c = 0; c < nc; c++) {
        ls_i8_row x;
        memcpy(&x, j->x[c], sizeof(x));
        for (int h = 0; h < regs; h++) {
            vf v = vf_div(v_float(v_sub32(isum[c][h], v_set32(x.sum))), vf_set(x.s));
            vf_store(j->y[c] + V_ROWS * h, vf_mul(v, vf_set(j->w_scale)));
        }
    }
}

LS_INLINE void mul(int t, bool panel, const strip_job *j, int nc)
{
    if (t == LS_DTYPE_I2_S) mul_row(t, panel, j, nc);
    else if (block_of(t) < 256) mul_32(t, panel, j, nc);
    else {
        for (int h = 0; h < regs_of(panel); h += regs_of_256(panel)) mul_256(t, panel, j, nc, h);
    }
}

#endif
