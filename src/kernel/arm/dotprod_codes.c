// SPDX-License-Identifier: MIT
/* dotprod_codes.c - products of formats by their unpacked integers, with SDOT. */
#include <arm_neon.h>

/* Sums of four bytes' products. */
static inline int32x4_t dot4(int8x16_t a, int8x16_t b) { return vdotq_s32(vdupq_n_s32(0), a, b); }

#include "kernel/arm/codes_inl.h"

void ls_kernels_dotprod_codes(ls_kernels *k) { arm_codes_fill(k); }
