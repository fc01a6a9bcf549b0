// SPDX-License-Identifier: MIT
/* strips_inl.h - registers of NEON for the products of strips: 4 rows a register, four a strip.
 *
 * Everything but the dot product itself. A tier defines STRIP_NARROW, STRIP_SIGNED, STRIP_WIDE,
 * strip_part and strip_step (kernel/strips_inl.h) behind this. */
#ifndef LS_KERNEL_ARM_STRIPS_INL_H
#define LS_KERNEL_ARM_STRIPS_INL_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define V_ROWS     4
#define STRIP_BIAS 0

typedef int32x4_t   vi;
typedef float32x4_t vf;
#define V static inline __attribute__((always_inline))

/* The same register as bytes, as 16-bit numbers, and back. */
V int8x16_t  v_s8(vi a) { return vreinterpretq_s8_s32(a); }
V uint8x16_t v_u8(vi a) { return vreinterpretq_u8_s32(a); }
V int16x8_t  v_s16(vi a) { return vreinterpretq_s16_s32(a); }
V uint16x8_t v_u16(vi a) { return vreinterpretq_u16_s32(a); }
V vi         v_of_u8(uint8x16_t a) { return vreinterpretq_s32_u8(a); }
V vi         v_of_u16(uint16x8_t a) { return vreinterpretq_s32_u16(a); }

V vi   v_load(const void *p) { return v_of_u8(vld1q_u8(p)); }
V void v_store(void *p, vi v) { vst1q_u8(p, v_u8(v)); }
V vi   v_zero(void) { return vdupq_n_s32(0); }
V vi   v_set8(int i) { return v_of_u8(vdupq_n_u8((uint8_t)i)); }
V vi   v_set16(int i) { return v_of_u16(vdupq_n_u16((uint16_t)i)); }
V vi   v_set32(int i) { return vdupq_n_s32(i); }
V vi   v_and(vi a, vi b) { return vandq_s32(a, b); }
V vi   v_or(vi a, vi b) { return vorrq_s32(a, b); }
V vi   v_srl16(vi a, int n) { return v_of_u16(v_u16(a) >> vdupq_n_u16((uint16_t)n)); }
V vi   v_sll16(vi a, int n) { return v_of_u16(v_u16(a) << vdupq_n_u16((uint16_t)n)); }
V vi   v_sra16(vi a, int n) { return vreinterpretq_s32_s16(v_s16(a) >> vdupq_n_s16((int16_t)n)); }
V vi   v_sra32(vi a, int n) { return a >> vdupq_n_s32(n); }
V vi   v_min8(vi a, vi b) { return v_of_u8(vminq_u8(v_u8(a), v_u8(b))); }
V vi   v_add8(vi a, vi b) { return v_of_u8(vaddq_u8(v_u8(a), v_u8(b))); }
V vi   v_sub8(vi a, vi b) { return v_of_u8(vsubq_u8(v_u8(a), v_u8(b))); }
V vi   v_subs8(vi a, vi b) { return v_of_u8(vqsubq_u8(v_u8(a), v_u8(b))); }
V vi   v_add32(vi a, vi b) { return vaddq_s32(a, b); }
V vi   v_sub32(vi a, vi b) { return vsubq_s32(a, b); }
V vi   v_max32(vi a, vi b) { return vmaxq_s32(a, b); }
V vi   v_sll32(vi a, int n) { return a << vdupq_n_s32(n); }
V vf   v_as_float(vi a) { return vreinterpretq_f32_s32(a); }
V vf   v_float(vi a) { return vcvtq_f32_s32(a); }
V vf   vf_zero(void) { return vdupq_n_f32(0); }
V vf   vf_set(float f) { return vdupq_n_f32(f); }
V vf   vf_load(const float *p) { return vld1q_f32(p); }
V void vf_store(float *p, vf v) { vst1q_f32(p, v); }
V vf   vf_add(vf a, vf b) { return vaddq_f32(a, b); }
V vf   vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
V vf   vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
V vf   vf_div(vf a, vf b) { return vdivq_f32(a, b); }
V vf   vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
/* 4 words of 16 bits, 4 bytes: zeros before them. */
V vi v_halves(const void *p) { return vreinterpretq_s32_u32(vmovl_u16(vreinterpret_u16_u8(vld1_u8(p)))); }
V vi v_bytes(const void *p)
{
    uint32_t four;
    memcpy(&four, p, 4);
    uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
}
/* 4 halves; the half, the float, the word at p in every lane. */
V vf v_f16(const void *p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))); }
V vf v_f16_all(const void *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h)));
}
V vf vf_all(const void *p)
{
    float f;
    memcpy(&f, p, 4);
    return vdupq_n_f32(f);
}
V vi v_broadcast(const void *p)
{
    int32_t i;
    memcpy(&i, p, 4);
    return vdupq_n_s32(i);
}
V vi v_table(const int8_t *values, vi index)
{
    return vreinterpretq_s32_s8(vqtbl1q_s8(vld1q_s8(values), v_u8(index)));
}
/* Bytes of each 32-bit lane, by number; -1: zero, as whatever lies outside of the table. */
V vi v_pick(vi a, int i, int j, int k, int l)
{
    const int byte[4] = {i, j, k, l};
    uint8_t   at[16];
    for (int b = 0; b < 16; b++) {
        at[b] = (uint8_t)(byte[b % 4] < 0 ? 255 : b / 4 * 4 + byte[b % 4]);
    }
    return v_of_u8(vqtbl1q_u8(v_u8(a), vld1q_u8(at)));
}
/* acc + a . b over pairs of int16. */
V vi strip_code(int adds, vi w)
{
    (void)adds;
    return w;
}
/* The sum of 16 int16. */
V vi v_sum16(const void *p)
{
    return vdupq_n_s32(vaddlvq_s16(vld1q_s16(p)) + vaddlvq_s16(vld1q_s16((const int16_t *)p + 8)));
}
V vi v_madd_add(vi acc, vi a, vi b)
{
    vi low = vmull_s16(vget_low_s16(v_s16(a)), vget_low_s16(v_s16(b)));
    return vaddq_s32(acc, vpaddq_s32(low, vmull_high_s16(v_s16(a), v_s16(b))));
}

#endif
