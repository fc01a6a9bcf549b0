// SPDX-License-Identifier: MIT
/* neon_acts.c - rounding of activations for NEON: to F16 and BF16 and back, and to int8.
 *
 * rowops_inl.h is the definition. */
#include <arm_neon.h>

#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"

#define LS_INLINE static inline __attribute__((always_inline))

/* ---- F16 ---- */

LS_INLINE float16x4_t rounded(const float *x) { return vcvt_f16_f32(vld1q_f32(x)); }

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

/* ---- BF16 ---- */

/* Four numbers, rounded, in the upper halves; the lower ones hold what is cut off. */
LS_INLINE uint32x4_t rounded_bf16(const float *x)
{
    uint32x4_t u = vreinterpretq_u32_f32(vld1q_f32(x));
    uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    uint32x4_t even = vaddq_u32(vaddq_u32(u, vdupq_n_u32(0x7fff)), odd);
    uint32x4_t nan = vcgtq_u32(vandq_u32(u, vdupq_n_u32(0x7fffffff)), vdupq_n_u32(ROW_INF_BITS));
    return vbslq_u32(nan, vorrq_u32(u, vdupq_n_u32(64u << 16)), even);
}

static void act_bf16(void *restrict y, const float *restrict x, size_t n)
{
    uint16_t *h = y;
    size_t    i = 0;
    for (; i + 4 <= n; i += 4) vst1_u16(h + i, vshrn_n_u32(rounded_bf16(x + i), 16));
    row_act_bf16(h + i, x + i, n - i);
}

/* y may equal x. */
static void round_bf16(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        uint32x4_t u = vandq_u32(rounded_bf16(x + i), vdupq_n_u32(0xffff0000));
        vst1q_f32(y + i, vreinterpretq_f32_u32(u));
    }
    row_round_bf16(y + i, x + i, n - i);
}

static void floats_bf16(void *restrict y, const float *restrict x, size_t n)
{
    round_bf16(y, x, n);
}

/* ---- int8 ---- */

LS_INLINE uint32x4_t larger_bits(uint32x4_t m, const float *x)
{
    uint32x4_t a = vreinterpretq_u32_f32(vld1q_f32(x));
    return vmaxq_u32(m, vandq_u32(a, vdupq_n_u32(0x7fffffff)));
}

/* row_amax_bits of whole blocks of 32. */
LS_INLINE uint32_t amax_bits(const float *x, size_t n)
{
    uint32x4_t m[4] = {vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0), vdupq_n_u32(0)};
    for (size_t i = 0; i < n; i += 16) {
        for (int k = 0; k < 4; k++) m[k] = larger_bits(m[k], x + i + 4 * k);
    }
    return vmaxvq_u32(vmaxq_u32(vmaxq_u32(m[0], m[1]), vmaxq_u32(m[2], m[3])));
}

/* 16 codes. */
LS_INLINE int8x16_t round_16(const float *x, float32x4_t id)
{
    int16x4_t four[4];
    for (int k = 0; k < 4; k++) {
        four[k] = vqmovn_s32(vcvtnq_s32_f32(vmulq_f32(vld1q_f32(x + 4 * k), id)));
    }
    return vcombine_s8(vqmovn_s16(vcombine_s16(four[0], four[1])),
                       vqmovn_s16(vcombine_s16(four[2], four[3])));
}

/* row_round_i8 of 32. */
LS_INLINE void round_32(int8_t *q, const float *x, float id)
{
    vst1q_s8(q, round_16(x, vdupq_n_f32(id)));
    vst1q_s8(q + 16, round_16(x + 16, vdupq_n_f32(id)));
}

/* The first value of that magnitude. */
LS_INLINE float first_of(const float *x, uint32_t bits)
{
    const uint16x4_t lane = {1, 2, 4, 8};
    for (;; x += 4) {
        uint32x4_t at = vceqq_u32(larger_bits(vdupq_n_u32(0), x), vdupq_n_u32(bits));
        unsigned   found = vaddv_u16(vand_u16(vmovn_u32(at), lane));
        if (found) return x[__builtin_ctz(found)];
    }
}

/* The sums of 16 and 16 codes. */
LS_INLINE void sum_32(const int8_t *q, int16_t sums[2])
{
    sums[0] = vaddlvq_s8(vld1q_s8(q));
    sums[1] = vaddlvq_s8(vld1q_s8(q + 16));
}

LS_INLINE uint16_t half_of(float x)
{
    return vget_lane_u16(vreinterpret_u16_f16(vcvt_f16_f32(vdupq_n_f32(x))), 0);
}

#include "kernel/acts_inl.h"

static void sums_q8_0(void *row, size_t n)
{
    const ls_q8_0 *b = row;
    uint8_t       *out = (uint8_t *)row + n / 32 * sizeof(*b);
    for (; n; n -= 32, b++, out += sizeof(ls_q8_sum)) {
        ls_q8_sum s = {ls_f16_to_f32(b->d),
                       vaddvq_s16(vpadalq_s8(vpaddlq_s8(vld1q_s8(b->qs)), vld1q_s8(b->qs + 16)))};
        memcpy(out, &s, sizeof(s));
    }
}

void ls_kernels_neon_acts(ls_kernels *k)
{
    k->act_f16 = act_f16;
    k->floats_f16 = floats_f16;
    k->round_f16 = round_f16;
    k->act_bf16 = act_bf16;
    k->floats_bf16 = floats_bf16;
    k->round_bf16 = round_bf16;
    k->act_q8_0 = act_q8_0;
    k->sums_q8_0 = sums_q8_0;
    k->act_q8_1 = act_q8_1;
    k->act_q8_k = act_q8_k;
    k->act_i8_row = act_i8_row;
    k->act_i8_tl = act_i8_tl;
}
