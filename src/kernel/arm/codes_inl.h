// SPDX-License-Identifier: MIT
/* codes_inl.h - NEON products of the formats without a kernel of their own: kernel/codes_inl.h
 * with its integer sums in registers.
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

#endif
