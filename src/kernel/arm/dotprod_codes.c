// SPDX-License-Identifier: MIT
/* dotprod_codes.c - products of rows of quantised formats, with SDOT. */
#include <arm_neon.h>

/* Sums of four bytes' products. */
static inline int32x4_t dot4(int8x16_t a, int8x16_t b) { return vdotq_s32(vdupq_n_s32(0), a, b); }

static inline int32x4_t dot_small(int8x16_t a, int8x16_t x, int8x16_t b, int8x16_t y)
{
    return vdotq_s32(dot4(a, x), b, y);
}

#include "kernel/arm/blocks_inl.h"
#include "kernel/arm/codes_inl.h"

void ls_kernels_dotprod_codes(ls_kernels *k)
{
    arm_codes_fill(k);
    arm_blocks_fill(k);
}
