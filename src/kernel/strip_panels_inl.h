// SPDX-License-Identifier: MIT
/* strip_panels_inl.h - the sums of strips_inl.h: a panel of strips times some columns. */
#ifndef LS_KERNEL_STRIP_PANELS_INL_H
#define LS_KERNEL_STRIP_PANELS_INL_H

#include "kernel/strip_sums_inl.h"

/* Sums of a panel's rows, of some columns. */
typedef vi panel_ints[MAX_COLS][PANEL_REGS];
typedef vf panel_floats[MAX_COLS][PANEL_REGS];

/* Word k of the panel, rows of registers h and so on, times four activations `from` bytes behind the
 * beginning of each column: step `step` of `steps`. */
LS_INLINE void mul_word(int adds, const strip_job *j, size_t k, size_t from, int step, int steps, int nc,
                        int h, int regs, const vi *scale, strip_part (*part)[PANEL_REGS], panel_ints isum)
{
    vi w[PANEL_REGS];
#pragma GCC unroll 4
    for (int i = 0; i < regs; i++) w[i] = v_load(words_at(j->q, k, h + i));
#pragma GCC unroll 8
    for (int c = 0; c < nc; c++) {
        vi x = v_broadcast(j->x[c] + from);
#pragma GCC unroll 4
        for (int i = 0; i < regs; i++) {
            strip_step(adds, step, steps, &part[c][i], &isum[c][i], w[i], x,
                       scale ? scale[i] : v_set16(1), scale != NULL);
        }
    }
}

/* ---- codes without scales: one integer for a block of 256 or a row ---- */

/* n words of the panel from number `at` on. */
LS_INLINE void add_words(int adds, const strip_job *j, size_t at, size_t from, size_t n, int nc, int h,
                         panel_ints to)
{
    panel_ints isum;
    strip_part part[MAX_COLS][PANEL_REGS];
#pragma GCC unroll 8
    for (int c = 0; c < nc; c++) {
#pragma GCC unroll 4
        for (int i = 0; i < STRIP_SUMS_REGS; i++) isum[c][i] = v_zero();
    }
    for (size_t k = 0; k < n; k += STRIP_STEPS) {
#pragma GCC unroll 32
        for (int i = 0; i < STRIP_STEPS; i++) {
            size_t word = k + (size_t)i;
            mul_word(adds, j, at + word, from + 4 * word, i, STRIP_STEPS, nc, h, STRIP_SUMS_REGS, NULL,
                     part, isum);
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < nc; c++) {
#pragma GCC unroll 4
        for (int i = 0; i < STRIP_SUMS_REGS; i++) to[c][i] = isum[c][i];
    }
}

/* Functions of their own: where floats follow in the same one, gcc keeps half of the sums on the stack
 * within the loop. */
#define WORDS(name, adds, nc)                                                                      \
    static __attribute__((noinline)) void words_##name(const strip_job *j, size_t at, size_t from, \
                                                       size_t n, int h, panel_ints to)             \
    {                                                                                              \
        add_words(adds, j, at, from, n, nc, h, to);                                                \
    }
WORDS(one, 32, 1)
WORDS(many, 32, STRIP_SUMS)
WORDS(signed_one, 0, 1)
WORDS(signed_many, 0, STRIP_SUMS)
#undef WORDS

LS_INLINE void mul_words(int t, const strip_job *j, size_t at, size_t from, size_t n, int nc, int h,
                         panel_ints to)
{
    if (adds_of(t)) (nc == 1 ? words_one : words_many)(j, at, from, n, h, to);
    else (nc == 1 ? words_signed_one : words_signed_many)(j, at, from, n, h, to);
}

LS_INLINE void plain_256(int t, const strip_job *j, int nc, int h)
{
    panel_floats acc;
    memset(acc, 0, sizeof(acc));
    for (size_t b = 0; b < j->n / 256; b++) {
        panel_ints isum;
        mul_words(t, j, 64 * b, sizeof(ls_q8_k) * b + offsetof(ls_q8_k, qs), 64, nc, h, isum);
        for (int c = 0; c < nc; c++) {
            vi sum = has_pairs(t) ? offset_of_block(t, j, c, b) : v_zero();
            for (int i = 0; i < STRIP_SUMS_REGS; i++)
                take_256(t, true, j, c, b, h + i, isum[c][i], sum, &acc[c][i], NULL);
        }
    }
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < STRIP_SUMS_REGS; i++) vf_store(j->y[c] + V_ROWS * (h + i), acc[c][i]);
    }
}

LS_INLINE void plain_row(int t, const strip_job *j, int nc, int h)
{
    panel_ints isum;
    mul_words(t, j, 0, sizeof(ls_i8_row), (j->n + 127) / 128 * 32, nc, h, isum);
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < STRIP_SUMS_REGS; i++) store_row(j, c, h + i, isum[c][i]);
    }
}

/* ---- codes with scales ---- */

/* Group g of all. */
LS_INLINE void mul_group(int t, const strip_job *j, size_t g, int nc, int h,
                         strip_part (*part)[PANEL_REGS], panel_ints isum)
{
    const size_t group = (size_t)group_of(t), b = g * group / 256;
    const size_t from = sizeof(ls_q8_k) * b + offsetof(ls_q8_k, qs) + g * group % 256;
    vi           scale[STRIP_WIDE_REGS];
    for (int i = 0; i < STRIP_WIDE_REGS; i++) scale[i] = v_load(words_at(j->scale, g, h + i));
#pragma GCC unroll 8
    for (size_t k = 0; k < group / 4; k++) {
        mul_word(adds_of(t), j, g * group / 4 + k, from + 4 * k, (int)k, (int)group / 4, nc, h,
                 STRIP_WIDE_REGS, scale, part, isum);
    }
}

/* Minimums, or the offset times the scales, times the sums of activations: pair p of all. */
LS_INLINE void mul_pair(const strip_job *j, size_t p, int nc, int h, panel_ints msum)
{
    vi m[STRIP_WIDE_REGS];
    for (int i = 0; i < STRIP_WIDE_REGS; i++) m[i] = v_load(words_at(j->pair, p, h + i));
#pragma GCC unroll 8
    for (int c = 0; c < nc; c++) {
        vi two = sums_16(j, c, p / 8, (int)(p % 8));
        for (int i = 0; i < STRIP_WIDE_REGS; i++) msum[c][i] = v_madd_add(msum[c][i], m[i], two);
    }
}

/* Floats take each of `parts` parts of a block by itself. */
LS_INLINE void scaled_256(int t, const strip_job *j, size_t parts, int nc, int h)
{
    const size_t groups = 256 / (size_t)group_of(t) / parts, pairs = 8 / parts;
    panel_floats acc, mins;
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < STRIP_WIDE_REGS; i++) acc[c][i] = mins[c][i] = vf_zero();
    }
    for (size_t p = 0; p < j->n / 256 * parts; p++) {
        panel_ints isum, msum;
        strip_part part[MAX_COLS][PANEL_REGS];
        for (int c = 0; c < nc; c++) {
            for (int i = 0; i < STRIP_WIDE_REGS; i++) isum[c][i] = msum[c][i] = v_zero();
        }
        for (size_t g = 0; g < groups; g++) mul_group(t, j, p * groups + g, nc, h, part, isum);
#pragma GCC unroll 8
        for (size_t i = 0; i < pairs; i++) mul_pair(j, p * pairs + i, nc, h, msum);
#pragma GCC unroll 8
        for (int c = 0; c < nc; c++) {
            for (int i = 0; i < STRIP_WIDE_REGS; i++) {
                take_256(t, true, j, c, p / parts, h + i, isum[c][i], msum[c][i], &acc[c][i],
                         &mins[c][i]);
            }
        }
    }
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < STRIP_WIDE_REGS; i++) {
            vf y = has_min(t) ? vf_sub(acc[c][i], mins[c][i]) : acc[c][i];
            vf_store(j->y[c] + V_ROWS * (h + i), y);
        }
    }
}

LS_INLINE void mul_panel(int t, const strip_job *j, int nc)
{
    if (t == LS_DTYPE_I2_S) {
        for (int h = 0; h < PANEL_REGS; h += STRIP_SUMS_REGS) plain_row(t, j, nc, h);
    } else if (block_of(t) < 256) {
        mul_32(t, true, j, nc);
    } else if (group_of(t) == 0) {
        for (int h = 0; h < PANEL_REGS; h += STRIP_SUMS_REGS) plain_256(t, j, nc, h);
    } else {
        for (int h = 0; h < PANEL_REGS; h += STRIP_WIDE_REGS) scaled_256(t, j, 1, nc, h);
    }
}

#endif
