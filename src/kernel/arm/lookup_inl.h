// SPDX-License-Identifier: MIT
/* lookup_inl.h - registers of NEON for lookups: 16 bytes are what a table fills. */
#ifndef LS_KERNEL_ARM_LOOKUP_INL_H
#define LS_KERNEL_ARM_LOOKUP_INL_H

V vi v_of_s16(int16x8_t a) { return vreinterpretq_s32_s16(a); }
V vi v_of_s8(int8x16_t a) { return vreinterpretq_s32_s8(a); }
V vi v_shuffle(vi a, vi at) { return v_of_u8(vqtbl1q_u8(v_u8(a), v_u8(at))); }
V vi v_add16(vi a, vi b) { return v_of_s16(vaddq_s16(v_s16(a), v_s16(b))); }
V vi v_sub16(vi a, vi b) { return v_of_s16(vsubq_s16(v_s16(a), v_s16(b))); }
V vi v_madd(vi a, vi b) { return v_madd_add(v_zero(), a, b); }
V vi v_low16(vi a, vi b) { return v_of_s16(vzip1q_s16(v_s16(a), v_s16(b))); }
V vi v_high16(vi a, vi b) { return v_of_s16(vzip2q_s16(v_s16(a), v_s16(b))); }
V vi v_signed(vi a, vi s)
{
    return v_of_s8(vbslq_s8(vcltzq_s8(v_s8(s)), vnegq_s8(v_s8(a)), v_s8(a)));
}

typedef vi v16;

V v16  v_lanes(vi a) { return a; }
V v16  v16_load(const void *p) { return v_load(p); }
V void v16_store(void *p, v16 a) { v_store(p, a); }
V v16  v16_set8(int i) { return v_set8(i); }
V v16  v16_and(v16 a, v16 b) { return v_and(a, b); }
V v16  v16_add8(v16 a, v16 b) { return v_add8(a, b); }
V v16  v16_sub8(v16 a, v16 b) { return v_sub8(a, b); }
V v16  v16_add32(v16 a, v16 b) { return vaddq_s32(a, b); }
V v16  v16_times(v16 a, v16 s) { return v_of_s8(vmulq_s8(v_s8(a), v_s8(s))); }
V v16  v16_shuffle(v16 table, v16 index) { return v_shuffle(table, index); }
V v16  v16_srl16(v16 a, unsigned n) { return v_srl16(a, (int)n); }
V v16  v16_low8(v16 a, v16 b) { return v_of_u8(vzip1q_u8(v_u8(a), v_u8(b))); }
V v16  v16_high8(v16 a, v16 b) { return v_of_u8(vzip2q_u8(v_u8(a), v_u8(b))); }
V v16  v16_low16(v16 a, v16 b) { return v_low16(a, b); }
V v16  v16_high16(v16 a, v16 b) { return v_high16(a, b); }
V v16  v16_low32(v16 a, v16 b) { return vzip1q_s32(a, b); }
V v16  v16_high32(v16 a, v16 b) { return vzip2q_s32(a, b); }

#include "kernel/lookup_inl.h"

#endif
