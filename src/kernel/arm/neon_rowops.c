// SPDX-License-Identifier: MIT
/* neon_rowops.c - conversions between floats and F16 for NEON.
 *
 * Every other row operation is rowops_inl.h as the scalar tier has it: NEON and fused
 * multiplications belong to every AArch64 processor, so that compilers vectorise that one. */
#include <arm_neon.h>

#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"

static float16x4_t rounded(const float *x) { return vcvt_f16_f32(vld1q_f32(x)); }

static void act_f16(void *restrict y, const float *restrict x, size_t n)
{
    uint16_t *h = y;
    size_t    i = 0;
    for (; i + 4 <= n; i += 4) vst1_u16(h + i, vreinterpret_u16_f16(rounded(x + i)));
    for (; i < n; i++) h[i] = ls_f32_to_f16(x[i]);
}

/* y may equal x. */
static void round_f16(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) vst1q_f32(y + i, vcvt_f32_f16(rounded(x + i)));
    for (; i < n; i++) y[i] = ls_f16_to_f32(ls_f32_to_f16(x[i]));
}

static void floats_f16(void *restrict y, const float *restrict x, size_t n) { round_f16(y, x, n); }

static void halves(float *restrict y, const uint16_t *restrict x, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        vst1q_f32(y + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x + i))));
    }
    for (; i < n; i++) y[i] = ls_f16_to_f32(x[i]);
}

static float dot_f16_wide(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    return lanes == 8 ? row_dot_f16_wide(a, b, n, 8, halves)
                      : row_dot_f16_wide(a, b, n, 16, halves);
}

void ls_kernels_neon_rowops(ls_kernels *k)
{
    k->act_f16 = act_f16;
    k->floats_f16 = floats_f16;
    k->round_f16 = round_f16;
    k->dot_f16_wide = dot_f16_wide;
}
