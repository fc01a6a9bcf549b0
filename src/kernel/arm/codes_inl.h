// SPDX-License-Identifier: MIT
/* codes_inl.h - NEON products of rows by their unpacked integers: kernel/codes_inl.h with its
 * integer sums in registers, for four more formats than on x86.
 *
 * A tier defines dot4 before it includes this: a . b over groups of four bytes. */
#ifndef LS_KERNEL_ARM_CODES_INL_H
#define LS_KERNEL_ARM_CODES_INL_H

#include "dtype/dtype.h"

static inline float half(uint16_t h)
{
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))), 0);
}
#define ls_f16_to_f32 half

/* 2 * n nibbles as indices of sixteen values, n being 8 or 16. */
static inline void codes_table(int8_t *q, const uint8_t *qs, int n, const int8_t *values)
{
    int8x16_t v = vld1q_s8(values);
    if (n == 16) {
        uint8x16_t b = vld1q_u8(qs);
        vst1q_s8(q, vqtbl1q_s8(v, vandq_u8(b, vdupq_n_u8(15))));
        vst1q_s8(q + 16, vqtbl1q_s8(v, vshrq_n_u8(b, 4)));
    } else {
        uint8x8_t b = vld1_u8(qs);
        vst1_s8(q, vqtbl1_s8(v, vand_u8(b, vdup_n_u8(15))));
        vst1_s8(q + 8, vqtbl1_s8(v, vshr_n_u8(b, 4)));
    }
}
#define LS_CODES_TABLE

#include "dtype/codes_inl.h"

/* isum[l] = sum of scale * q * x over elements 4l to 4l + 3 of each of `groups` times 32. */
static inline void ls_code_lanes(int32_t isum[8], const int8_t *q, const int32_t *scale,
                                 const int8_t *x, int groups)
{
    int32x4_t sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
    for (int g = 0; g < groups; g++, q += 32, x += 32, scale += 2) {
        for (int h = 0; h < 2; h++) {
            int32x4_t dot = dot4(vld1q_s8(q + 16 * h), vld1q_s8(x + 16 * h));
            sum[h] = vmlaq_n_s32(sum[h], dot, scale[h]);
        }
    }
    vst1q_s32(isum, sum[0]);
    vst1q_s32(isum + 4, sum[1]);
}

#include "kernel/codes_inl.h"

/* ---- formats that have kernels of their own elsewhere ---- */

static void matmul_q8_0(const ls_matmul *m)
{
    codes_matmul(m, CODES_Q8_0, codes_Q8_0, codes_block_Q8_0, codes_bytes_Q8_0);
}

static void matmul_tq2_0(const ls_matmul *m)
{
    codes_matmul(m, CODES_UP, codes_TQ2_0, codes_block_TQ2_0, codes_bytes_TQ2_0);
}

/* Its other orders are a kernel of their own. */
static void matmul_q4_0(const ls_matmul *m)
{
    ls_matmul one = *m;
    one.rows = LS_ROWS_INTERLEAVED;
    codes_matmul(&one, CODES_ONE, codes_Q4_0, codes_block_Q4_0, codes_bytes_Q4_0);
}

/* One integer sum over the row; behind its end the activations are zeros. */
static inline int32_t dot_i2_s(const ls_i2_s *b, const int8_t *x, size_t n)
{
    const int8x16_t value = {-1, 0, 1, 0};
    int32x4_t       sum = vdupq_n_s32(0);
    for (size_t i = 0; i < n; i += 128, b++, x += 128) {
        for (int h = 0; h < 32; h += 16) {
            uint8x16_t q = vld1q_u8(b->qs + h);
            for (int j = 96; j >= 0; j -= 32) { /* the lowest bits are the last 32 elements */
                int8x16_t w = vqtbl1q_s8(value, vandq_u8(q, vdupq_n_u8(3)));
                sum = vaddq_s32(sum, dot4(w, vld1q_s8(x + j + h)));
                q = vshrq_n_u8(q, 2);
            }
        }
    }
    return vaddvq_s32(sum);
}

static void matmul_i2_s(const ls_matmul *m)
{
    for (size_t r = 0; r < m->n_rows; r++) {
        const void *w = (const uint8_t *)m->w + r * m->row_bytes;
        for (size_t c = 0; c < m->n_cols; c++) {
            const ls_i8_row *x = (const void *)((const uint8_t *)m->x + c * m->x_bytes);
            m->y[c * m->ldy + r] = (float)dot_i2_s(w, x->qs, m->n) / x->s * m->w_scale;
        }
    }
}

static inline void arm_codes_fill(ls_kernels *k)
{
    codes_fill(k);
    k->matmul_q8_0 = matmul_q8_0;
    k->matmul_tq2_0 = matmul_tq2_0;
    k->matmul_q4_0 = matmul_q4_0;
    k->matmul_i2_s = matmul_i2_s;
}

#endif
