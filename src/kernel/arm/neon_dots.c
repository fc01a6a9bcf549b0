// SPDX-License-Identifier: MIT
/* neon_dots.c - the sums of attention as the reference adds them, for NEON: wide and in pairs.
 *
 * rowops_inl.h is the definition, and ends every sum. */
#include <arm_neon.h>

#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"

#define LS_INLINE static inline __attribute__((always_inline))

/* Stripes: four in a register. */
enum { REGS = 4 * LS_STRIPES / 4 };
typedef float32x4_t rf;

LS_INLINE void stripes_clear(rf *s, size_t regs)
{
    for (size_t k = 0; k < regs; k++) s[k] = vdupq_n_f32(0);
}

LS_INLINE void stripes_store(float *out, const rf *s, size_t regs)
{
    for (size_t k = 0; k < regs; k++) vst1q_f32(out + 4 * k, s[k]);
}

/* ---- F32 and F16 ---- */

LS_INLINE rf load_f32(const void *p, size_t i) { return vld1q_f32((const float *)p + i); }

LS_INLINE rf load_f16(const void *p, size_t i)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16((const uint16_t *)p + i)));
}

typedef rf load_fn(const void *p, size_t i);

/* Whole steps of 4 * lanes elements, to their end; *at is where they end. */
LS_INLINE float wide_sum(load_fn *load, const void *a, const void *b, size_t n, int lanes,
                         size_t *at)
{
    const size_t regs = (size_t)lanes;
    rf           s[REGS];
    float        stripes[4 * LS_STRIPES];
    size_t       i = 0;
    stripes_clear(s, regs);
    for (; i + 4 * regs <= n; i += 4 * regs) {
#pragma GCC unroll 16
        for (size_t k = 0; k < regs; k++) {
            s[k] = vfmaq_f32(s[k], load(a, i + 4 * k), load(b, i + 4 * k));
        }
    }
    stripes_store(stripes, s, regs);
    *at = i;
    return row_wide_sum(stripes, lanes);
}

static float wide_f32(const float *a, const float *b, size_t n, int lanes, size_t *at)
{
    return lanes == 8 ? wide_sum(load_f32, a, b, n, 8, at) : wide_sum(load_f32, a, b, n, 16, at);
}

static float wide_f16(const uint16_t *a, const uint16_t *b, size_t n, int lanes, size_t *at)
{
    return lanes == 8 ? wide_sum(load_f16, a, b, n, 8, at) : wide_sum(load_f16, a, b, n, 16, at);
}

static float dot_f32(const float *a, const float *b, size_t n, int lanes)
{
    size_t i;
    float  sum = wide_f32(a, b, n, lanes, &i);
    return row_dot_f32_rest(sum, a + i, b + i, n - i, lanes);
}

static float dot_f16_wide(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    size_t i;
    double sum = (double)wide_f16(a, b, n, lanes, &i);
    for (; i < n; i++) sum += (double)(ls_f16_to_f32(a[i]) * ls_f16_to_f32(b[i]));
    return (float)sum;
}

static void axpy_f32(float *restrict y, float a, const float *restrict x, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        vst1q_f32(y + i, vfmaq_f32(vld1q_f32(y + i), vdupq_n_f32(a), vld1q_f32(x + i)));
    }
    for (; i < n; i++) y[i] = fmaf(a, x[i], y[i]);
}

/* ---- BF16 ---- */

static float dot_bf16_wide(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    rf     s[8];
    float  stripes[4 * LS_STRIPES];
    size_t i = 0;
    stripes_clear(s, 8);
    for (; i + 32 <= n; i += 32) {
#pragma GCC unroll 8
        for (size_t k = 0; k < 8; k++) {
            rf u = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(a + i + 4 * k), 16));
            rf v = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(b + i + 4 * k), 16));
            s[k] = vfmaq_f32(s[k], u, v);
        }
    }
    stripes_store(stripes, s, 8);
    return row_bf16_wide_end(stripes, a + i, b + i, n - i, lanes);
}

/* row_flush of four. */
LS_INLINE rf flushed(uint32x4_t u)
{
    uint32x4_t normal = vtstq_u32(u, vdupq_n_u32(0x7f800000));
    return vreinterpretq_f32_u32(vandq_u32(u, vorrq_u32(normal, vdupq_n_u32(0x80000000))));
}

/* Elements 2l and, where `odd`, 2l + 1 of eight. */
LS_INLINE rf half_pairs(uint32x4_t u, bool odd)
{
    return flushed(odd ? vandq_u32(u, vdupq_n_u32(0xffff0000)) : vshlq_n_u32(u, 16));
}

LS_INLINE float pairs_of(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    const size_t regs = (size_t)lanes / 2;
    rf           s[8];
    float        stripes[2 * LS_STRIPES];
    size_t       i = 0;
    stripes_clear(s, regs);
    for (; i + 8 * regs <= n; i += 8 * regs) {
#pragma GCC unroll 8
        for (size_t k = 0; k < regs; k++) {
            uint32x4_t u = vreinterpretq_u32_u16(vld1q_u16(a + i + 8 * k));
            uint32x4_t v = vreinterpretq_u32_u16(vld1q_u16(b + i + 8 * k));
            for (int odd = 1; odd >= 0; odd--) {
                rf sum = vfmaq_f32(s[k], half_pairs(u, odd), half_pairs(v, odd));
                s[k] = flushed(vreinterpretq_u32_f32(sum));
            }
        }
    }
    stripes_store(stripes, s, regs);
    return row_bf16_pairs_end(stripes, a + i, b + i, n - i, lanes);
}

static void matmul_bf16_pairs(const ls_matmul *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        const void *x = (const uint8_t *)m->x + c * m->x_bytes;
        for (size_t r = 0; r < m->n_rows; r++) {
            const void *w = (const uint8_t *)m->w + r * m->row_bytes;
            m->y[c * m->ldy + r] =
                m->lanes == 8 ? pairs_of(w, x, m->n, 8) : pairs_of(w, x, m->n, 16);
        }
    }
}

void ls_kernels_neon_dots(ls_kernels *k)
{
    k->dot_f32 = dot_f32;
    k->dot_f16_wide = dot_f16_wide;
    k->dot_bf16_wide = dot_bf16_wide;
    k->matmul_bf16_pairs = matmul_bf16_pairs;
    k->axpy_f32 = axpy_f32;
}
