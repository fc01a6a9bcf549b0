// SPDX-License-Identifier: MIT
/* neon_lookup.c - the tables of sums that TL1 and TL2 look up, with NEON. */
#include <arm_neon.h>

#include "dtype/lookup.h"

typedef int16x8x2_t sixteen;

static inline sixteen sixteen_load(const int16_t *p)
{
    return (sixteen){{vld1q_s16(p), vld1q_s16(p + 8)}};
}

static inline sixteen sixteen_zero(void) { return (sixteen){{vdupq_n_s16(0), vdupq_n_s16(0)}}; }

static inline sixteen sixteen_add(sixteen sum, sixteen w, int8_t x)
{
    for (int i = 0; i < 2; i++) sum.val[i] = vmlaq_n_s16(sum.val[i], w.val[i], x);
    return sum;
}

/* Sixteen sums to low and high bytes; 1057 / 2^15 is 1 / 31 to more than the sums' length. */
static inline void put_table(int8_t *out, sixteen sums)
{
    int8x8_t low[2], high[2];
    for (int i = 0; i < 2; i++) {
        int16x8_t h = vqrdmulhq_n_s16(sums.val[i], 1057);
        high[i] = vmovn_s16(h);
        low[i] = vmovn_s16(vmlsq_n_s16(sums.val[i], h, LS_LOOKUP_BASE));
    }
    vst1q_s8(out, vcombine_s8(low[0], low[1]));
    vst1q_s8(out + 64, vcombine_s8(high[0], high[1]));
}

#include "kernel/lookup_tables_inl.h"

void ls_kernels_neon_lookup(ls_kernels *k) { tables_fill(k); }
