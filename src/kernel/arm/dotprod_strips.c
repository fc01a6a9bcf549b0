// SPDX-License-Identifier: MIT
/* dotprod_strips.c - products of strips with SDOT, which adds four products of bytes to 32 bits.
 *
 * Codes are below 64 where they are unsigned, so that the signed instruction serves every type. */
#include "kernel/arm/strips_inl.h"

#define STRIP_PANEL      1
#define STRIP_NARROW     4
#define STRIP_SIGNED     4
#define STRIP_WIDE       8
#define STRIP_WIDE_REGS  1
#define STRIP_SUMS       8
#define STRIP_SUMS_REGS  1
#define STRIP_LANES      3
#define STRIP_LANES_WIDE 6
#define STRIP_STEPS      32
#define STRIP_CODES      ls_kernels_dotprod_codes

typedef vi strip_part; /* the sum of a group that is yet to be scaled */

/* Step k of n of a group: w . x. What has no scale goes straight into isum. */
V void strip_step(int adds, int k, int n, strip_part *part, vi *isum, vi w, vi x, vi scale,
                  bool scaled)
{
    (void)adds;
    if (!scaled) {
        *isum = vdotq_s32(*isum, v_s8(w), v_s8(x));
        return;
    }
    *part = vdotq_s32(k ? *part : v_zero(), v_s8(w), v_s8(x));
    if (k + 1 == n) *isum = vmlaq_s32(*isum, *part, v_sra32(scale, 16));
}

/* isum += scale * (w . x). */
V void strip_lane(int adds, vi *isum, vi w, vi x, vi scale, bool scaled)
{
    strip_part part;
    strip_step(adds, 0, 1, &part, isum, w, x, scale, scaled);
}

#include "kernel/strips_inl.h"

#include "kernel/arm/lookup_inl.h"

void ls_kernels_dotprod_strips(ls_kernels *k)
{
    strips_fill(k);
    lookup_fill(k);
}
