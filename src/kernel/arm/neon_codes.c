// SPDX-License-Identifier: MIT
/* neon_codes.c - products of rows of quantised formats, for NEON. */
#include <arm_neon.h>

/* Sums of four bytes' products. Two stay below 2^15: |a| <= 128, |b| <= 127. */
static inline int32x4_t dot4(int8x16_t a, int8x16_t b)
{
    int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    return vpaddlq_s16(vpaddq_s16(low, vmull_high_s8(a, b)));
}

/* Four products of at most 15 * 127 stay below 2^15, too. */
static inline int32x4_t dot_small(int8x16_t a, int8x16_t x, int8x16_t b, int8x16_t y)
{
    int16x8_t sum = vmull_s8(vget_low_s8(a), vget_low_s8(x));
    sum = vmlal_high_s8(sum, a, x);
    sum = vmlal_s8(sum, vget_low_s8(b), vget_low_s8(y));
    return vpaddlq_s16(vmlal_high_s8(sum, b, y));
}

#include "kernel/arm/blocks_inl.h"
#include "kernel/arm/codes_inl.h"

void ls_kernels_neon_codes(ls_kernels *k)
{
    arm_codes_fill(k);
    arm_blocks_fill(k);
}
