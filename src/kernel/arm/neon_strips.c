// SPDX-License-Identifier: MIT
/* neon_strips.c - products of strips with the NEON of every AArch64 processor.
 *
 * Products of bytes are added in 16 bits as long as they fit, two and two at first: the sum of a
 * row's four bytes is then two 16-bit lanes, which one instruction adds to 32 bits. */
#include "kernel/arm/strips_inl.h"

#define STRIP_PANEL      1
#define STRIP_NARROW     2
#define STRIP_SIGNED     2
#define STRIP_WIDE       4
#define STRIP_WIDE_REGS  1
#define STRIP_SUMS       4
#define STRIP_SUMS_REGS  1
#define STRIP_LANES      2
#define STRIP_LANES_WIDE 4
#define STRIP_STEPS      32
#define STRIP_CODES      ls_kernels_neon_codes

/* Sums of products in 16 bits, rows 0 and 1, rows 2 and 3; the group's sum, yet to be scaled. */
typedef struct strip_part {
    int16x8_t low, high;
    vi        sum;
} strip_part;

/* Step k of n of a group: w . x into part, and from there to 32 bits before 16 bits are full.
 * adds: how many pairs fit; of signed codes one does. */
V void strip_step(int adds, int k, int n, strip_part *part, vi *isum, vi w, vi x, vi scale,
                  bool scaled)
{
    const int every = adds ? adds : 1;
    int8x16_t a = v_s8(w), b = v_s8(x);
    int16x8_t pairs;
    if (k % every) {
        part->low = vmlal_s8(part->low, vget_low_s8(a), vget_low_s8(b));
        part->high = vmlal_high_s8(part->high, a, b);
    } else {
        part->low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
        part->high = vmull_high_s8(a, b);
    }
    if ((k + 1) % every && k + 1 < n) return;
    pairs = vpaddq_s16(part->low, part->high);
    if (!scaled) {
        *isum = vpadalq_s16(*isum, pairs);
        return;
    }
    part->sum = k < every ? vpaddlq_s16(pairs) : vpadalq_s16(part->sum, pairs);
    if (k + 1 == n) *isum = vmlaq_s32(*isum, part->sum, v_sra32(scale, 16));
}

/* isum += scale * (w . x). */
V void strip_lane(int adds, vi *isum, vi w, vi x, vi scale, bool scaled)
{
    strip_part part;
    strip_step(adds, 0, 1, &part, isum, w, x, scale, scaled);
}

#include "kernel/strips_inl.h"

#include "kernel/arm/lookup_inl.h"

void ls_kernels_neon_strips(ls_kernels *k)
{
    strips_fill(k);
    lookup_fill(k);
}
