// SPDX-License-Identifier: MIT
/* neon_rowops.c - row operations for NEON: norms, softmax, gates, sums and RoPE.
 *
 * rowops_inl.h is the definition, and does what is left over of whole registers. */
#include <arm_neon.h>

#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"

#define LS_INLINE static inline __attribute__((always_inline))

/* ---- registers of floats (exp_inl.h) ---- */

#define R_LANES 4
typedef float32x4_t rf;

LS_INLINE rf   rf_load(const float *p) { return vld1q_f32(p); }
LS_INLINE void rf_store(float *p, rf a) { vst1q_f32(p, a); }
LS_INLINE rf   rf_set(float a) { return vdupq_n_f32(a); }
LS_INLINE rf   rf_add(rf a, rf b) { return vaddq_f32(a, b); }
LS_INLINE rf   rf_sub(rf a, rf b) { return vsubq_f32(a, b); }
LS_INLINE rf   rf_mul(rf a, rf b) { return vmulq_f32(a, b); }
LS_INLINE rf   rf_div(rf a, rf b) { return vdivq_f32(a, b); }
LS_INLINE rf   rf_fma(rf a, rf b, rf c) { return vfmaq_f32(c, a, b); }
LS_INLINE rf   rf_fnma(rf a, rf b, rf c) { return vfmsq_f32(c, a, b); }
LS_INLINE rf   rf_negative(rf a) { return vnegq_f32(a); }
LS_INLINE rf   rf_larger(rf a, rf b) { return vmaxq_f32(a, b); }

/* FMIN and FMAX give NaN where one operand is. */
LS_INLINE rf rf_within(rf a, float least, float most)
{
    return vmaxq_f32(vminq_f32(a, vdupq_n_f32(most)), vdupq_n_f32(least));
}

/* 2^n for integers n that floats have room for. */
LS_INLINE rf power(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}

LS_INLINE void rf_powers(rf z, rf *a, rf *b)
{
    int32x4_t n = vsubq_s32(vreinterpretq_s32_f32(z), vdupq_n_s32(0x4b400000));
    int32x4_t half = vshrq_n_s32(vsubq_s32(n, vshrq_n_s32(n, 31)), 1); /* rounded towards 0 */
    *a = power(half);
    *b = power(vsubq_s32(n, half));
}

LS_INLINE float rf_tree(const rf *v, int lanes)
{
    rf a = lanes == 16 ? vaddq_f32(v[0], v[2]) : v[0];
    rf b = lanes == 16 ? vaddq_f32(v[1], v[3]) : v[1];
    rf four = vaddq_f32(a, b);
    return vpadds_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)));
}

#include "kernel/exp_inl.h"

/* ---- norms ---- */

/* Stripes 2k and 2k + 1 are register k. */
static void rmsnorm(float *y, const float *x, const float *w, size_t n, float eps)
{
    float64x2_t sum[LS_STRIPES / 2];
    double      s[LS_STRIPES];
    float       scale;
    size_t      i = 0;
    for (int k = 0; k < LS_STRIPES / 2; k++) sum[k] = vdupq_n_f64(0);
    for (; i + LS_STRIPES <= n; i += LS_STRIPES) {
#pragma GCC unroll 4
        for (int k = 0; k < LS_STRIPES / 4; k++) {
            rf v = rf_load(x + i + 4 * k);
            v = rf_mul(v, v);
            sum[2 * k] = vaddq_f64(sum[2 * k], vcvt_f64_f32(vget_low_f32(v)));
            sum[2 * k + 1] = vaddq_f64(sum[2 * k + 1], vcvt_high_f64_f32(v));
        }
    }
    for (int k = 0; k < LS_STRIPES / 2; k++) vst1q_f64(s + 2 * k, sum[k]);
    for (; i < n; i++) s[i % LS_STRIPES] += (double)(x[i] * x[i]);
    scale = 1.0f / sqrtf((float)(ls_stripes_sum_d(s) / (double)n) + eps);
    for (i = 0; i + 4 <= n; i += 4) {
        rf_store(y + i, rf_mul(rf_mul(rf_load(x + i), rf_set(scale)), rf_load(w + i)));
    }
    for (; i < n; i++) y[i] = (x[i] * scale) * w[i];
}

/* y = x - mean; the sum of the squares. */
LS_INLINE double squares_of(float *y, const float *x, size_t n, float mean, int lanes)
{
    const size_t width = (size_t)lanes;
    double       squares = 0;
    size_t       i = 0;
    for (; i + width <= n; i += width) {
        rf v[4];
        for (size_t k = 0; k < width / 4; k++) {
            rf d = rf_sub(rf_load(x + i + 4 * k), rf_set(mean));
            rf_store(y + i + 4 * k, d);
            v[k] = rf_mul(d, d);
        }
        squares += (double)rf_tree(v, lanes);
    }
    for (; i < n; i++) {
        y[i] = x[i] - mean;
        squares += (double)(y[i] * y[i]);
    }
    return squares;
}

static void layernorm(float *y, const float *x, const float *w, const float *b, size_t n, float eps,
                      int lanes)
{
    double sum = 0, squares;
    float  mean, scale;
    size_t i = 0;
    for (size_t j = 0; j < n; j++) sum += (double)x[j]; /* in order */
    mean = (float)sum / (float)n;
    squares = lanes == 8 ? squares_of(y, x, n, mean, 8) : squares_of(y, x, n, mean, 16);
    scale = 1.0f / sqrtf((float)(squares / (double)n) + eps);
    for (; i + 4 <= n; i += 4) {
        rf v = rf_mul(rf_mul(rf_load(y + i), rf_set(scale)), rf_load(w + i));
        rf_store(y + i, b ? rf_add(v, rf_load(b + i)) : v);
    }
    for (; i < n; i++) {
        y[i] = (y[i] * scale) * w[i];
        if (b) y[i] += b[i];
    }
}

/* ---- one element after the other ---- */

static void relu2_mul(float *y, const float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        rf g = rf_load(gate + i);
        g = vbslq_f32(vcltzq_f32(g), rf_set(0), g); /* NaN stays NaN */
        rf_store(y + i, rf_mul(rf_mul(g, g), rf_load(up + i)));
    }
    row_relu2_mul(y + i, gate + i, up + i, n - i);
}

static void add(float *y, const float *a, const float *b, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) rf_store(y + i, rf_add(rf_load(a + i), rf_load(b + i)));
    row_add(y + i, a + i, b + i, n - i);
}

static void scale(float *y, float a, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4) rf_store(y + i, rf_mul(rf_load(y + i), rf_set(a)));
    row_scale(y + i, a, n - i);
}

/* ---- RoPE ---- */

/* (a c - b s, a s + b c): the products with b are rounded. */
LS_INLINE float32x4x2_t turned(rf a, rf b, rf c, rf s)
{
    float32x4x2_t v;
    v.val[0] = rf_fma(a, c, rf_negative(rf_mul(b, s)));
    v.val[1] = rf_fma(a, s, rf_mul(b, c));
    return v;
}

static void rope_normal(float *restrict x, const float *restrict sincos, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float32x4x2_t v = vld2q_f32(x + i), cs = vld2q_f32(sincos + i);
        vst2q_f32(x + i, turned(v.val[0], v.val[1], cs.val[0], cs.val[1]));
    }
    row_rope_normal(x + i, sincos + i, n - i);
}

static void rope_neox(float *restrict x, const float *restrict sincos, size_t n)
{
    size_t i = 0, half = n / 2;
    for (; i + 4 <= half; i += 4) {
        float32x4x2_t cs = vld2q_f32(sincos + 2 * i);
        float32x4x2_t v = turned(rf_load(x + i), rf_load(x + half + i), cs.val[0], cs.val[1]);
        rf_store(x + i, v.val[0]);
        rf_store(x + half + i, v.val[1]);
    }
    for (; i < half; i++) {
        float pair[2] = {x[i], x[half + i]};
        row_rope_normal(pair, sincos + 2 * i, 2);
        x[i] = pair[0];
        x[half + i] = pair[1];
    }
}

void ls_kernels_neon_rowops(ls_kernels *k)
{
    k->rmsnorm = rmsnorm;
    k->layernorm = layernorm;
    k->softmax = softmax;
    k->silu_mul = silu_mul;
    k->relu2_mul = relu2_mul;
    k->add = add;
    k->scale = scale;
    k->rope_normal = rope_normal;
    k->rope_neox = rope_neox;
}
