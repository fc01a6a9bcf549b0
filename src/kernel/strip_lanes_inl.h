// SPDX-License-Identifier: MIT
/* strip_lanes_inl.h - panels of strips summed as the reference adds (NUMERICS.md, clauses 4 and 9).
 *
 * The reference has eight float sums to an output: lane l takes elements 4l to 4l + 3 of every 32.
 * These four are a word of the panel, and a lane of a register is a row here, too, so that the eight
 * sums are eight registers and the tree at the end adds registers.
 *
 * Codes stand in these panels as what they stand for where the format has an offset, else unsigned.
 * A tier defines STRIP_LANES and STRIP_LANES_WIDE, the columns that share loads in blocks of 32 and
 * of 256, and strip_lane, the product of four signed (adds == 0) or unsigned codes. Where STRIP_BIAS
 * is not 0 its instruction wants one of the operands unsigned: then activations are, larger by
 * that, if codes are signed, and strip_lane starts from what that adds. */
#ifndef LS_KERNEL_STRIP_LANES_INL_H
#define LS_KERNEL_STRIP_LANES_INL_H

#include "kernel/strip_panels_inl.h"

enum { LANES = 8 };

/* Signed codes: what a pair of sums of activations does not take off. */
LS_INLINE bool lanes_signed(int t)
{
    return adds_of(t) == 0 || (block_of(t) == 32 && offset_of(t)) || t == LS_DTYPE_Q3_K;
}

LS_INLINE int lanes_adds(int t) { return lanes_signed(t) ? 0 : adds_of(t); }

LS_INLINE vi lanes_code(int t, vi stored)
{
    return adds_of(t) && lanes_signed(t) ? v_sub8(stored, v_set8(offset_of(t))) : stored;
}

/* ---- activations ---- */

/* Larger by STRIP_BIAS and without what is between blocks, at the end of the scratch, of which a panel
 * takes less than 46 n bytes. */
LS_INLINE uint8_t *raised_column(const strip_job *j, int c)
{
    return j->scratch + ls_strips_scratch(j->n) - (size_t)(c + 1) * ((j->n + 63) & ~(size_t)63);
}

LS_INLINE bool lanes_raise(int t) { return STRIP_BIAS && lanes_signed(t); }

/* The codes of block b of column c, as they come. */
LS_INLINE const uint8_t *lanes_block(int t, const strip_job *j, int c, size_t b)
{
    if (block_of(t) == 256) return j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, qs);
    return x_block(t, j, c, b) + (takes_q8_1(t) ? 4 : 2);
}

LS_INLINE const uint8_t *lanes_x(int t, const strip_job *j, int c, size_t b)
{
    if (lanes_raise(t)) return raised_column(j, c) + (size_t)block_of(t) * b;
    return lanes_block(t, j, c, b);
}

LS_INLINE void raise_columns(int t, const strip_job *j, int nc)
{
    const size_t block = (size_t)block_of(t);
    for (int c = 0; c < nc && lanes_raise(t); c++) {
        uint8_t *to = raised_column(j, c);
        for (size_t b = 0; b < j->n / block; b++) {
            uint8_t x[256]; /* of its own, so that compilers make a vector of it */
            memcpy(x, lanes_block(t, j, c, b), block);
            for (size_t i = 0; i < block; i++) x[i] ^= STRIP_BIAS;
            memcpy(to + block * b, x, block);
        }
    }
}

/* ---- sums ---- */

/* NUMERICS.md, clause 2: the tree of 8 stripes. */
LS_INLINE vf lanes_tree(const vf s[LANES])
{
    vf a[4];
    for (int l = 0; l < 4; l++) a[l] = vf_add(s[l], s[l + 4]);
    return vf_add(vf_add(a[0], a[2]), vf_add(a[1], a[3]));
}

/* Blocks of 32, rows of register h. */
LS_INLINE void lanes_32(int t, const strip_job *j, int nc, int h)
{
    vf acc[STRIP_LANES][LANES], mins[STRIP_LANES], d[STRIP_LANES];
    for (int c = 0; c < nc; c++) {
        mins[c] = vf_zero();
#pragma GCC unroll 8
        for (int l = 0; l < LANES; l++) acc[c][l] = vf_zero();
    }
    for (size_t b = 0; b < j->n / 32; b++) {
        const vf dw = floats_at(j->d, b, h);
        for (int c = 0; c < nc; c++) d[c] = vf_mul(dw, v_f16_all(x_block(t, j, c, b)));
#pragma GCC unroll 8
        for (int l = 0; l < LANES; l++) {
            vi w = v_load(words_at(j->q, LANES * b + (size_t)l, h));
#pragma GCC unroll 4
            for (int c = 0; c < nc; c++) {
                vi x = v_broadcast(lanes_x(t, j, c, b) + 4 * l), isum = v_zero();
                strip_lane(lanes_adds(t), &isum, w, x, v_set16(1), false);
                acc[c][l] = vf_fma(d[c], v_float(isum), acc[c][l]);
            }
        }
        for (int c = 0; c < nc && has_min(t); c++) {
            vf s = v_f16_all(x_block(t, j, c, b) + 2);
            mins[c] = vf_fma(floats_at(j->dmin, b, h), s, mins[c]);
        }
    }
    for (int c = 0; c < nc; c++) {
        vf y = lanes_tree(acc[c]);
        vf_store(j->y[c] + V_ROWS * h, has_min(t) ? vf_add(y, mins[c]) : y);
    }
}

/* Lane l of block b, each column's integer. */
LS_INLINE void lane_256(int t, const strip_job *j, size_t b, int l, int nc, int h,
                        vi isum[STRIP_LANES_WIDE])
{
    const int group = group_of(t);
    for (int c = 0; c < nc; c++) isum[c] = v_zero();
#pragma GCC unroll 8
    for (int k = 0; k < 8; k++) {
        vi w = v_load(words_at(j->q, 64 * b + LANES * (size_t)k + (size_t)l, h));
        vi scale = v_set16(1);
        if (group) {
            size_t at = b * 256 / (size_t)group + (size_t)((32 * k + 4 * l) / group);
            scale = v_load(words_at(j->scale, at, h));
        }
#pragma GCC unroll 8
        for (int c = 0; c < nc; c++) {
            vi x = v_broadcast(lanes_x(t, j, c, b) + 32 * k + 4 * l);
            strip_lane(lanes_adds(t), &isum[c], w, x, scale, group != 0);
        }
    }
    if (has_min(t) || lanes_signed(t)) return;
    vi pair = group ? v_load(words_at(j->pair, 8 * b + (size_t)l, h)) : v_set16(offset_of(t));
    for (int c = 0; c < nc; c++)
        isum[c] = v_sub32(isum[c], v_madd_add(v_zero(), pair, sums_16(j, c, b, l)));
}

/* Minimums of block b: Q2_K, those of each lane; Q5_K, all of them in one sum. */
LS_INLINE void lanes_mins(int t, const strip_job *j, size_t b, int nc, int h, const vf *dx,
                          vf (*acc)[LANES], vf *mins)
{
    const vf dmin = floats_at(j->dmin, b, h);
    for (int c = 0; c < nc; c++) {
        const vf d = vf_mul(dmin, vf_sub(vf_set(-0.0f), dx[c]));
        vi       all = v_zero();
        for (int i = 0; i < 8; i++) {
            vi pair = v_load(words_at(j->pair, 8 * b + (size_t)i, h)), two = sums_16(j, c, b, i);
            if (group_of(t) == 32) all = v_madd_add(all, pair, two);
            else acc[c][i] = vf_fma(d, v_float(v_madd_add(v_zero(), pair, two)), acc[c][i]);
        }
        if (group_of(t) == 32) mins[c] = vf_fma(d, v_float(all), mins[c]);
    }
}

/* Blocks of 256, rows of register h. */
LS_INLINE void lanes_256(int t, const strip_job *j, int nc, int h)
{
    const bool apart = has_min(t) && group_of(t) == 32;
    vf         acc[STRIP_LANES_WIDE][LANES], mins[STRIP_LANES_WIDE], dx[STRIP_LANES_WIDE];
    for (int c = 0; c < nc; c++) {
        mins[c] = vf_zero();
        for (int l = 0; l < LANES; l++) acc[c][l] = vf_zero();
    }
    for (size_t b = 0; b < j->n / 256; b++) {
        const vf dw = floats_at(j->d, b, h);
        for (int c = 0; c < nc; c++) dx[c] = vf_all(j->x[c] + sizeof(ls_q8_k) * b);
        if (has_min(t)) lanes_mins(t, j, b, nc, h, dx, acc, mins);
#pragma GCC unroll 8
        for (int l = 0; l < LANES; l++) {
            vi isum[STRIP_LANES_WIDE];
            lane_256(t, j, b, l, nc, h, isum);
#pragma GCC unroll 8
            for (int c = 0; c < nc; c++)
                acc[c][l] = vf_fma(vf_mul(dw, dx[c]), v_float(isum[c]), acc[c][l]);
        }
    }
    for (int c = 0; c < nc; c++) {
        vf y = lanes_tree(acc[c]);
        vf_store(j->y[c] + V_ROWS * h, apart ? vf_add(y, mins[c]) : y);
    }
}

LS_INLINE void mul_lanes(int t, const strip_job *j, int nc)
{
    if (t == LS_DTYPE_Q4_K) { /* one sum, and one of minimums, which take every 64 elements */
        for (int h = 0; h < PANEL_REGS; h += STRIP_WIDE_REGS) scaled_256(t, j, 4, nc, h);
        return;
    }
    raise_columns(t, j, nc);
    for (int h = 0; h < PANEL_REGS; h++) {
        if (block_of(t) == 32) lanes_32(t, j, nc, h);
        else lanes_256(t, j, nc, h);
    }
}

#endif
