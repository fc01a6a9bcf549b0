// SPDX-License-Identifier: MIT
/* neon_chains.c - the sums of attention for NEON: a strip is four registers, tiles 6 x 1 to 1 x 4.
 */
#include <arm_neon.h>
#include <string.h>

#include "dtype/dtype.h"
#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"

#define LS_INLINE static inline __attribute__((always_inline))

typedef enum elem { F32, F16, BF16, Q8_0 } elem;
typedef float32x4_t vec;

/* 24 sums, four registers of a strip and one of x, of 32. */
#define VECS           4
#define MAX_STRIPS     4
#define TILE_STRIPS(C) ((C) >= 3 ? 1 : (C) == 2 ? 2 : 4)

LS_INLINE vec vec_load(elem e, const uint8_t *p)
{
    uint32_t four;
    switch (e) {
    case F32:
        return vreinterpretq_f32_u8(vld1q_u8(p));
    case F16:
        return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
    case BF16:
        return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
    default:
        memcpy(&four, p, 4);
        return vcvtq_f32_s32(
            vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four))))));
    }
}

/* The F16 number at p, in every lane. */
LS_INLINE vec vec_f16(const uint8_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(ls_load_u16(p, 0))));
}

LS_INLINE vec  vec_set1(float a) { return vdupq_n_f32(a); }
LS_INLINE vec  vec_zero(void) { return vdupq_n_f32(0); }
LS_INLINE vec  vec_fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
LS_INLINE vec  vec_add(vec a, vec b) { return vaddq_f32(a, b); }
LS_INLINE vec  vec_mul(vec a, vec b) { return vmulq_f32(a, b); }
LS_INLINE void vec_store(float *p, vec a) { vst1q_f32(p, a); }

#include "kernel/chains_inl.h"

static void chains_f32(const ls_chains *m) { run_chains(F32, m); }
static void chains_f16(const ls_chains *m) { run_chains(F16, m); }
static void chains_bf16(const ls_chains *m) { run_chains(BF16, m); }
static void chains_q8_0(const ls_chains *m) { run_chains(Q8_0, m); }

void ls_kernels_neon_chains(ls_kernels *k)
{
    k->chains_f32 = chains_f32;
    k->chains_f16 = chains_f16;
    k->chains_bf16 = chains_bf16;
    k->chains_q8_0 = chains_q8_0;
}
