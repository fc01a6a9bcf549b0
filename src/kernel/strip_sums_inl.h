// SPDX-License-Identifier: MIT
/* strip_sums_inl.h - the sums of strips_inl.h: rows of one or two strips, or of a panel, times some
 * columns. */
#ifndef LS_KERNEL_STRIP_SUMS_INL_H
#define LS_KERNEL_STRIP_SUMS_INL_H

#include <stddef.h>
#include <string.h>

#include "dtype/strips.h"
#include "kernel/kernel_priv.h"

#define LS_INLINE static inline __attribute__((always_inline))

#include "kernel/strip_forms_inl.h"

enum { HALVES = LS_STRIP_ROWS / V_ROWS, MAX_COLS = 12, PANEL_FROM = 8, FETCH_AHEAD = 2048 };

/* Where a product reads: S strips at once as they are stored, or PANEL. */
enum { PANEL = 0, MAX_STRIPS = 2, MAX_REGS = MAX_STRIPS * HALVES };

/* What an output is made of. */
typedef struct strip_job {
    const uint8_t *strip; /* as stored; or the panel: */
    size_t         bytes; /* of a strip                                        */
    const uint8_t *q;     /* [n / 4][16][4] codes                              */
    const float   *d;     /* [blocks][parts][16], in blocks of 256 [blocks][16] */
    const float   *dmin;  /* [blocks][16]                                      */
    const uint8_t *scale; /* [groups][16] a scale, twice, as int16             */
    const uint8_t *pair;  /* [n / 32][16] as stored_pair                       */
    const uint8_t *x[MAX_COLS];
    float         *y[MAX_COLS];
    size_t         n;
    float          w_scale;
} strip_job;

/* ---- one of both sources ---- */

/* Rows V_ROWS h and on, counted through all the strips. */
LS_INLINE const uint8_t *block_at(int t, const strip_job *j, size_t b, int h)
{
    return j->strip + (size_t)(h / HALVES) * j->bytes + b * LS_STRIP_ROWS * bytes_of(t);
}

/* What is read once, out of memory, does not come fast enough by itself: part i of n of the lines
 * that lie FETCH_AHEAD behind these bytes; behind a large block by twice its size. The barrier keeps
 * the compiler from moving all parts together: memory takes few lines at a time. */
LS_INLINE void fetch_lines(const uint8_t *p, size_t bytes, size_t i, size_t n)
{
    const size_t ahead = bytes > FETCH_AHEAD + 512 ? 2 * bytes : FETCH_AHEAD;
    __asm__ volatile("" ::: "memory");
    for (size_t line = (bytes * i / n + 63) / 64; line < (bytes * (i + 1) / n + 63) / 64; line++)
        __builtin_prefetch((const void *)((uintptr_t)p + ahead + 64 * line));
}

/* Part i of n of what is far enough behind block b. The end of a strip is followed by what is read
 * after all S of them. */
LS_INLINE void fetch_ahead(int t, int S, const strip_job *j, size_t b, size_t i, size_t n)
{
    const size_t bytes = LS_STRIP_ROWS * bytes_of(t);
    const bool   over = b * bytes + FETCH_AHEAD >= j->bytes;
    for (int s = 0; s < S; s++) {
        const uint8_t *p = block_at(t, j, b, s * HALVES);
        fetch_lines(S > 1 && over ? p + (size_t)(S - 1) * j->bytes : p, bytes, i, n);
    }
}

LS_INLINE vi codes_at(int t, int S, const strip_job *j, size_t b, int k, int h)
{
    size_t at = (b * (size_t)block_of(t) / 4 + (size_t)k) * 64 + 4 * V_ROWS * (size_t)h;
    return S == PANEL ? v_load(j->q + at) : stored_codes(t, block_at(t, j, b, h), k, h % HALVES);
}

LS_INLINE vi scale_at(int t, int S, const strip_job *j, const strip_scales *s, size_t b, int g,
                      int h)
{
    size_t groups = 256 / (size_t)group_of(t);
    size_t at = (b * groups + (size_t)g) * 64 + 4 * V_ROWS * (size_t)h;
    return S == PANEL ? v_load(j->scale + at) : stored_scale(t, s, g);
}

LS_INLINE vi pair_at(int t, int S, const strip_job *j, const strip_scales *s, size_t b, int i,
                     int h)
{
    size_t at = (b * 8 + (size_t)i) * 64 + 4 * V_ROWS * (size_t)h;
    return S == PANEL && group_of(t) ? v_load(j->pair + at) : stored_pair(t, s, i);
}

/* Scale of part i of a block. */
LS_INLINE vf d_at(int t, int S, const strip_job *j, size_t b, int i, int h)
{
    size_t parts = block_of(t) < 256 ? (size_t)parts_of(t) : 1;
    if (S == PANEL) return vf_load(j->d + 16 * (b * parts + (size_t)i) + V_ROWS * (size_t)h);
    return stored_d(t, block_at(t, j, b, h), t == LS_DTYPE_NVFP4 ? i : 0, h % HALVES);
}

LS_INLINE vf dmin_at(int t, int S, const strip_job *j, size_t b, int h)
{
    return S == PANEL ? vf_load(j->dmin + 16 * b + V_ROWS * (size_t)h)
                      : stored_d(t, block_at(t, j, b, h), 1, h % HALVES);
}

/* ---- blocks of 32, and of more with Q8_0 beside them ---- */

LS_INLINE size_t x_bytes_of(int t) { return takes_q8_1(t) ? sizeof(ls_q8_1) : sizeof(ls_q8_0); }

/* Sum of n codes of activations x; Q8_0 has those of 32 behind the row. */
LS_INLINE int sum_of(int t, const uint8_t *x, const uint8_t *stored, int n)
{
    int16_t sum16;
    int     sum = 0;
    if (!takes_q8_1(t) && n == 32) {
        memcpy(&sum16, stored, 2);
        return sum16;
    }
    for (int i = 0; i < n; i++) sum += (int8_t)x[i];
    return sum;
}

LS_INLINE int regs_of(int S) { return S == PANEL ? HALVES : S * HALVES; }

/* Part i of block b: xb is its block of activations. */
LS_INLINE void mul_part(int t, int S, const strip_job *j, size_t b, int i, size_t xb, int nc,
                        vi (*isum)[MAX_REGS])
{
    const int  steps = part_of(t) / 4, regs = regs_of(S);
    size_t     codes = takes_q8_1(t) ? 4 : 2, sums = j->n / 32 * x_bytes_of(t) + 2 * xb;
    size_t     from = x_bytes_of(t) * xb + codes + 4 * (size_t)(i * steps % 8);
    strip_part part[MAX_COLS][MAX_REGS];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < regs; h++) isum[c][h] = v_zero();
    }
#pragma GCC unroll 8
    for (int k = 0; k < steps; k++) {
        vi w[MAX_REGS];
        for (int h = 0; h < regs; h++) w[h] = codes_at(t, S, j, b, i * steps + k, h);
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
        vi sum = v_set32(offset_of(t) * sum_of(t, j->x[c] + from, j->x[c] + sums, 4 * steps));
        for (int h = 0; h < regs; h++) isum[c][h] = v_sub32(isum[c][h], sum);
    }
}

LS_INLINE void mul_32(int t, int S, const strip_job *j, int nc)
{
    const int    regs = regs_of(S);
    const size_t x_blocks = (size_t)block_of(t) / 32;
    vf           acc[MAX_COLS][MAX_REGS], mins[MAX_COLS][MAX_REGS];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < regs; h++) acc[c][h] = mins[c][h] = vf_zero();
    }
    for (size_t b = 0; b < j->n / (size_t)block_of(t); b++) {
        fetch_ahead(t, S, j, b, 0, 1);
#pragma GCC unroll 4
        for (int i = 0; i < parts_of(t); i++) {
            const size_t xb = b * x_blocks + (size_t)(i * part_of(t) / 32);
            vi           isum[MAX_COLS][MAX_REGS];
            mul_part(t, S, j, b, i, xb, nc, isum);
#pragma GCC unroll 12
            for (int c = 0; c < nc; c++) {
                const uint8_t *x = j->x[c] + x_bytes_of(t) * xb;
                vf             dx = v_f16_all(x);
                for (int h = 0; h < regs; h++) {
                    vf d = vf_mul(d_at(t, S, j, b, i, h), dx);
                    acc[c][h] = vf_fma(d, v_float(isum[c][h]), acc[c][h]);
                    if (has_min(t)) {
                        vf m = dmin_at(t, S, j, b, h);
                        mins[c][h] = vf_fma(m, v_f16_all(x + 2), mins[c][h]);
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
LS_INLINE int by_word(int t, int S, int k)
{
    bool four = S != PANEL && (t == LS_DTYPE_TQ2_0 || t == LS_DTYPE_I2_S);
    return four ? k % 4 * 8 + k / 4 : k;
}

/* Registers of rows in one product of a block of 256, from number h on: all as they are stored, so
 * that activations are loaded once; one of a S, whose columns fill the others. */
LS_INLINE int regs_of_256(int S) { return S == PANEL ? 1 : S * HALVES; }

/* Group g of the block. */
LS_INLINE void mul_group(int t, int S, const strip_job *j, const strip_scales *s, size_t b,
                         int nc, int h, int g, strip_part (*part)[MAX_REGS], vi (*isum)[MAX_REGS])
{
    const int group = group_of(t) ? group_of(t) : 128, regs = regs_of_256(S);
    vi        scale[MAX_REGS];
    for (int i = 0; i < regs; i++)
        scale[i] = group_of(t) ? scale_at(t, S, j, s + i, b, g, h + i) : v_set16(1);
#pragma GCC unroll 32
    for (int k = 0; k < group / 4; k++) {
        const int at = by_word(t, S, k);
        vi        w[MAX_REGS];
        for (int i = 0; i < regs; i++) w[i] = codes_at(t, S, j, b, g * group / 4 + at, h + i);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            const uint8_t *x = j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, qs);
            vi             four = v_broadcast(x + g * group + 4 * at);
            for (int i = 0; i < regs; i++) {
                strip_step(adds_of(t), k, group / 4, &part[c][i], &isum[c][i], w[i], four,
                           scale[i], group_of(t) != 0);
            }
        }
    }
}

LS_INLINE void mul_256_sums(int t, int S, const strip_job *j, size_t b, int nc, int h,
                            vi (*isum)[MAX_REGS], vi (*msum)[MAX_REGS])
{
    strip_part   part[MAX_COLS][MAX_REGS];
    strip_scales s[MAX_REGS];
    const int    groups = group_of(t) ? 256 / group_of(t) : 2, regs = regs_of_256(S);
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < regs; i++) isum[c][i] = msum[c][i] = v_zero();
    }
    for (int i = 0; i < regs && S != PANEL; i++)
        stored_scales(t, block_at(t, j, b, h + i), (h + i) % HALVES, &s[i]);
    if (S == PANEL) {
        for (int g = 0; g < groups; g++) mul_group(t, S, j, s, b, nc, h, g, part, isum);
    } else { /* where a code stands is then known when this is compiled */
#pragma GCC unroll 16
        for (int g = 0; g < groups; g++) {
            fetch_ahead(t, S, j, b, (size_t)g, (size_t)groups);
            mul_group(t, S, j, s, b, nc, h, g, part, isum);
        }
    }
    if (!has_pairs(t)) return;
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        vi m[MAX_REGS];
        for (int k = 0; k < regs; k++) m[k] = pair_at(t, S, j, s + k, b, i, h + k);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            const uint8_t *sums = j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, bsums);
            vi             two = v_broadcast(sums + 4 * i);
            for (int k = 0; k < regs; k++) msum[c][k] = v_madd_add(msum[c][k], m[k], two);
        }
    }
}

LS_INLINE void mul_256(int t, int S, const strip_job *j, int nc, int h)
{
    const int regs = regs_of_256(S);
    vf        acc[MAX_COLS][MAX_REGS], mins[MAX_COLS][MAX_REGS];
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < regs; i++) acc[c][i] = mins[c][i] = vf_zero();
    }
    for (size_t b = 0; b < j->n / 256; b++) {
        vi isum[MAX_COLS][MAX_REGS], msum[MAX_COLS][MAX_REGS];
        mul_256_sums(t, S, j, b, nc, h, isum, msum);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            vf dx = vf_all(j->x[c] + sizeof(ls_q8_k) * b);
            for (int i = 0; i < regs; i++) {
                vi sum = isum[c][i];
                if (has_pairs(t) && !has_min(t)) sum = v_sub32(sum, msum[c][i]);
                vf d = vf_mul(d_at(t, S, j, b, 0, h + i), dx);
                acc[c][i] = vf_fma(d, v_float(sum), acc[c][i]);
                if (!has_min(t)) continue;
                vf dmin = vf_mul(dmin_at(t, S, j, b, h + i), dx);
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

LS_INLINE void mul_row(int t, int S, const strip_job *j, int nc)
{
    const int regs = regs_of(S);
    vi isum[MAX_COLS][MAX_REGS];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < regs; h++) isum[c][h] = v_zero();
    }
    for (size_t b = 0; b < (j->n + 127) / 128; b++) {
        strip_part part[MAX_COLS][MAX_REGS];
        fetch_ahead(t, S, j, b, 0, 1);
#pragma GCC unroll 32
        for (int k = 0; k < 32; k++) {
            int i = by_word(t, S, k);
            vi  w[MAX_REGS];
            for (int h = 0; h < regs; h++) w[h] = codes_at(t, S, j, b, i, h);
#pragma GCC unroll 12
            for (int c = 0; c < nc; c++) {
                vi x = v_broadcast(j->x[c] + sizeof(ls_i8_row) + 128 * b + 4 * (size_t)i);
                for (int h = 0; h < regs; h++) {
                    strip_step(adds_of(t), k, 32, &part[c][h], &isum[c][h], w[h], x, v_set16(1),
                               false);
                }
            }
        }
    }
    for (int c = 0; c < nc; c++) {
        ls_i8_row x;
        memcpy(&x, j->x[c], sizeof(x));
        for (int h = 0; h < regs; h++) {
            vf v = vf_div(v_float(v_sub32(isum[c][h], v_set32(x.sum))), vf_set(x.s));
            vf_store(j->y[c] + V_ROWS * h, vf_mul(v, vf_set(j->w_scale)));
        }
    }
}

LS_INLINE void mul(int t, int S, const strip_job *j, int nc)
{
    if (t == LS_DTYPE_I2_S) mul_row(t, S, j, nc);
    else if (block_of(t) < 256) mul_32(t, S, j, nc);
    else if (S == PANEL) {
        for (int h = 0; h < HALVES; h++) mul_256(t, S, j, nc, h);
    } else {
        mul_256(t, S, j, nc, 0);
    }
}

/* Strips at once as they are stored: two streams out of memory, where both have room in the
 * registers. */
LS_INLINE int strips_of(int t) { return block_of(t) == 32 ? MAX_STRIPS : 1; }

#endif
