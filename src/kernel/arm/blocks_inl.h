// SPDX-License-Identifier: MIT
/* blocks_inl.h - NEON products of Q4_K and Q6_K rows, in every order that these have.
 *
 * scalar/blocks.c is the definition. A tier defines dot4, a . b over groups of four bytes, and
 * dot_small, the same of 32 bytes with |a| <= 15, added up in any lanes, before it includes this. */
#ifndef LS_KERNEL_ARM_BLOCKS_INL_H
#define LS_KERNEL_ARM_BLOCKS_INL_H

#include <stddef.h>
#include <string.h>

#define LS_TILE_ROWS 4
#define LS_TILE_COLS 4
#include "kernel/tiles_inl.h"

/* The F16 number at p. */
LS_INLINE float block_half(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))), 0);
}

/* Those at byte `off` of the four rows. */
LS_INLINE float32x4_t row_halves(const ls_tile *t, size_t off)
{
    uint16_t h[LS_TILE_ROWS];
    for (int r = 0; r < LS_TILE_ROWS; r++) memcpy(&h[r], t->w[r] + off, 2);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(h)));
}

/* ---- Q4_K ---- */

/* The eight scales and eight minimums of a block, each four in a word. */
LS_INLINE void q4_k_scales(const uint8_t *block, uint8_t scales[8], uint8_t mins[8])
{
    uint32_t s[3], sc[2], mn[2];
    memcpy(s, block + offsetof(ls_q4_k, scales), 12);
    sc[0] = s[0] & 0x3f3f3f3f;
    sc[1] = (s[2] & 0x0f0f0f0f) | (s[0] >> 2 & 0x30303030);
    mn[0] = s[1] & 0x3f3f3f3f;
    mn[1] = (s[2] >> 4 & 0x0f0f0f0f) | (s[1] >> 2 & 0x30303030);
    memcpy(scales, sc, 8);
    memcpy(mins, mn, 8);
}

/* a . b over the elements of a sub-block of 32. */
LS_INLINE int32x4_t dot_sub(const int8x16_t a[2], const int8_t *x)
{
    return dot_small(a[0], vld1q_s8(x), a[1], vld1q_s8(x + 16));
}

/* Row r of a block, for each column: lane k of p is the scaled sum of sub-blocks 2k and 2k + 1,
 * lane k of q that of their minimums. */
LS_INLINE void row_q4_k(const uint8_t *block, const ls_q8_k *const *x, int nc, int r,
                        int32x4_t (*p)[LS_TILE_ROWS], int32x4_t (*q)[LS_TILE_ROWS])
{
    uint8_t   scales[8], mins[8];
    int32x4_t sum[LS_TILE_COLS][4];
    q4_k_scales(block, scales, mins);
    int16x8_t mins16 = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(mins)));
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) { /* 32 bytes hold sub-blocks 2k and 2k + 1 */
        int8x16_t low[2], high[2];
        for (int i = 0; i < 2; i++) {
            uint8x16_t raw = vld1q_u8(block + offsetof(ls_q4_k, qs) + 32 * k + 16 * i);
            low[i] = vreinterpretq_s8_u8(vandq_u8(raw, vdupq_n_u8(15)));
            high[i] = vreinterpretq_s8_u8(vshrq_n_u8(raw, 4));
        }
        for (int c = 0; c < nc; c++) {
            const int8_t *xq = x[c]->qs + 64 * k;
            int32x4_t     s = vmulq_n_s32(dot_sub(low, xq), scales[2 * k]);
            sum[c][k] = vmlaq_n_s32(s, dot_sub(high, xq + 32), scales[2 * k + 1]);
        }
    }
    for (int c = 0; c < nc; c++) {
        int16x8_t pairs = vpaddq_s16(vld1q_s16(x[c]->bsums), vld1q_s16(x[c]->bsums + 8));
        int32x4_t first = vmull_s16(vget_low_s16(mins16), vget_low_s16(pairs));
        p[c][r] = vpaddq_s32(vpaddq_s32(sum[c][0], sum[c][1]), vpaddq_s32(sum[c][2], sum[c][3]));
        q[c][r] = vpaddq_s32(first, vmull_high_s16(mins16, pairs));
    }
}

/* acc + d * lane k of the four rows p, k = 0..3 in turn, rows in the lanes of acc; `whole`: the
 * four are added as integers first. */
LS_INLINE float32x4_t add_4_sums(float32x4_t acc, float32x4_t d, const int32x4_t p[4], bool whole)
{
    if (whole) {
        int32x4_t s = vpaddq_s32(vpaddq_s32(p[0], p[1]), vpaddq_s32(p[2], p[3]));
        return vfmaq_f32(acc, d, vcvtq_f32_s32(s));
    }
    int32x4x2_t a = vtrnq_s32(p[0], p[1]), b = vtrnq_s32(p[2], p[3]);
    for (int i = 0; i < 2; i++) { /* k = 0 and 1 */
        int32x4_t s = vcombine_s32(vget_low_s32(a.val[i]), vget_low_s32(b.val[i]));
        acc = vfmaq_f32(acc, d, vcvtq_f32_s32(s));
    }
    for (int i = 0; i < 2; i++) {
        int32x4_t s = vcombine_s32(vget_high_s32(a.val[i]), vget_high_s32(b.val[i]));
        acc = vfmaq_f32(acc, d, vcvtq_f32_s32(s));
    }
    return acc;
}

LS_INLINE void tile_q4_k(const ls_tile *t, int nc)
{
    float32x4_t acc[LS_TILE_COLS], mins[LS_TILE_COLS];
    for (int c = 0; c < nc; c++) acc[c] = mins[c] = vdupq_n_f32(0);
    for (size_t b = 0; b < t->n / 256; b++) {
        size_t         off = b * sizeof(ls_q4_k);
        const ls_q8_k *x[LS_TILE_COLS];
        int32x4_t      p[LS_TILE_COLS][LS_TILE_ROWS], q[LS_TILE_COLS][LS_TILE_ROWS];
        float32x4_t    dw = row_halves(t, off + offsetof(ls_q4_k, d));
        float32x4_t    mw = row_halves(t, off + offsetof(ls_q4_k, dmin));
        for (int c = 0; c < nc; c++) x[c] = (const ls_q8_k *)(const void *)t->x[c] + b;
        for (int r = 0; r < LS_TILE_ROWS; r++) row_q4_k(t->w[r] + off, x, nc, r, p, q);
        for (int c = 0; c < nc; c++) {
            /* with `follow` single columns are the last n_cols % 4 */
            bool whole = t->whole || (nc == 1 && t->follow);
            acc[c] = add_4_sums(acc[c], vmulq_n_f32(dw, x[c]->d), p[c], whole);
            mins[c] = add_4_sums(mins[c], vmulq_n_f32(mw, x[c]->d), q[c], whole);
        }
    }
    for (int c = 0; c < nc; c++) {
        float y[LS_TILE_ROWS];
        vst1q_f32(y, vsubq_f32(acc[c], mins[c]));
        memcpy(t->y[c], y, t->n_rows * sizeof(float));
    }
}

/* ---- Q6_K ---- */

/* Codes 16 i on of part j of half h of a block: 16 of the 32 that lie 32 j behind its beginning. */
LS_INLINE int8x16_t q6_k_codes(const uint8_t *block, int h, int j, int i)
{
    uint8x16_t low = vld1q_u8(block + offsetof(ls_q6_k, ql) + 64 * h + 32 * (j & 1) + 16 * i);
    uint8x16_t high = vld1q_u8(block + offsetof(ls_q6_k, qh) + 32 * h + 16 * i);
    low = j > 1 ? vshrq_n_u8(low, 4) : vandq_u8(low, vdupq_n_u8(15));
    high = vshlq_u8(high, vdupq_n_s8((int8_t)(4 - 2 * j)));
    return vreinterpretq_s8_u8(vorrq_u8(low, vandq_u8(high, vdupq_n_u8(0x30))));
}

/* The sums of a block, lanes 0 to 3 and 4 to 7. Codes stay unsigned: the products of scales and sums
 * of activations, in pairs the lanes they belong to, take off 32 of each. */
LS_INLINE void row_q6_k(const uint8_t *block, const ls_q8_k *const *x, int nc, int32x4_t (*sum)[2])
{
    const int8_t *scales = (const int8_t *)block + offsetof(ls_q6_k, scales);
    int8x16_t     s8 = vld1q_s8(scales);
    int16x8_t     s16[2] = {vmovl_s8(vget_low_s8(s8)), vmovl_high_s8(s8)};
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < 2; i++) {
            int16x8_t sums = vld1q_s16(x[c]->bsums + 8 * i);
            int32x4_t first = vmull_s16(vget_low_s16(s16[i]), vget_low_s16(sums));
            int32x4_t off = vpaddq_s32(first, vmull_high_s16(s16[i], sums));
            sum[c][i] = vmulq_n_s32(off, -32);
        }
    }
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            for (int i = 0; i < 2; i++) {
                int8x16_t u = q6_k_codes(block, h, j, i);
                for (int c = 0; c < nc; c++) {
                    int8x16_t xq = vld1q_s8(x[c]->qs + 128 * h + 32 * j + 16 * i);
                    sum[c][i] = vmlaq_n_s32(sum[c][i], dot4(u, xq), scales[8 * h + 2 * j + i]);
                }
            }
        }
    }
}

/* Row by row: a row and a column have eight sums. */
LS_INLINE void tile_q6_k(const ls_tile *t, int nc, bool whole)
{
    for (size_t r = 0; r < t->n_rows; r++) {
        float32x4_t acc[LS_TILE_COLS][2];
        for (int c = 0; c < nc; c++) acc[c][0] = acc[c][1] = vdupq_n_f32(0);
        for (size_t b = 0; b < t->n / 256; b++) {
            const uint8_t *block = t->w[r] + b * sizeof(ls_q6_k);
            const ls_q8_k *x[LS_TILE_COLS];
            int32x4_t      sum[LS_TILE_COLS][2];
            float          dw = block_half(block + offsetof(ls_q6_k, d));
            for (int c = 0; c < nc; c++) x[c] = (const ls_q8_k *)(const void *)t->x[c] + b;
            row_q6_k(block, x, nc, sum);
            for (int c = 0; c < nc; c++) {
                float32x4_t d = vdupq_n_f32(dw * x[c]->d);
                if (whole) { /* all in every lane */
                    int32_t all = vaddvq_s32(vaddq_s32(sum[c][0], sum[c][1]));
                    acc[c][0] = vfmaq_f32(acc[c][0], d, vdupq_n_f32((float)all));
                    continue;
                }
                for (int i = 0; i < 2; i++) {
                    acc[c][i] = vfmaq_f32(acc[c][i], d, vcvtq_f32_s32(sum[c][i]));
                }
            }
        }
        for (int c = 0; c < nc; c++) {
            float32x4_t four = vaddq_f32(acc[c][0], acc[c][1]); /* clause 2: + 4, + 2, + 1 */
            float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            t->y[c][r] = whole ? vgetq_lane_f32(acc[c][0], 0) : vpadds_f32(two);
        }
    }
}

static void tile_q4_k_x1(const ls_tile *t) { tile_q4_k(t, 1); }
static void tile_q4_k_x4(const ls_tile *t) { tile_q4_k(t, 4); }
static void tile_q6_k_x1(const ls_tile *t) { tile_q6_k(t, 1, false); }
static void tile_q6_k_x4(const ls_tile *t) { tile_q6_k(t, 4, false); }
static void tile_q6_k_whole_x1(const ls_tile *t) { tile_q6_k(t, 1, true); }
static void tile_q6_k_whole_x4(const ls_tile *t) { tile_q6_k(t, 4, true); }

static void matmul_q4_k(const ls_matmul *m) { ls_tiles_run(m, tile_q4_k_x1, tile_q4_k_x4); }
static void matmul_q6_k(const ls_matmul *m)
{
    if (m->whole) ls_tiles_run(m, tile_q6_k_whole_x1, tile_q6_k_whole_x4);
    else ls_tiles_run(m, tile_q6_k_x1, tile_q6_k_x4);
}

static inline void arm_blocks_fill(ls_kernels *k)
{
    k->matmul_q4_k = matmul_q4_k;
    k->matmul_q6_k = matmul_q6_k;
}

#endif
