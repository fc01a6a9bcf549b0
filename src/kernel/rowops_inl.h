// SPDX-License-Identifier: MIT
/* rowops_inl.h - row operations and the rounding of activations, one source for all tiers.
 *
 * The definition (NUMERICS.md, clauses 3 and 5). Each loop is either elementwise or runs over
 * 16 stripes, so a compiler that vectorises it cannot change a bit; checkkern proves that. */
#ifndef LS_KERNEL_ROWOPS_INL_H
#define LS_KERNEL_ROWOPS_INL_H

#include "dtype/blocks.h"
#include "dtype/dtype.h"
#include "kernel/mathd.h"
#include "kernel/numeric_inl.h"

/* ---- activations (clause 3) ---- */

/* Largest |x[i]| as bits. Magnitudes order like their bits, infinities above all numbers and
 * NaNs above those: one integer maximum finds the scale and every non-finite value. */
static inline uint32_t row_amax_bits(const float *x, size_t n)
{
    int32_t m = 0;
    for (size_t i = 0; i < n; i++) {
        int32_t a = (int32_t)(ls_f32_bits(x[i]) & 0x7fffffff);
        m = a > m ? a : m;
    }
    return (uint32_t)m;
}

#define ROW_INF_BITS 0x7f800000u
#define ROW_NAN_BITS 0x7fc00000u

/* q[i] = x[i] * id, to nearest even. |x[i] * id| is at most 127.0001. */
static inline void row_round_i8(int8_t *restrict q, const float *restrict x, float id, size_t n)
{
    for (size_t i = 0; i < n; i++) q[i] = (int8_t)ls_round_i32(x[i] * id);
}

static inline void row_act_q8_0(void *restrict y, const float *restrict x, size_t n)
{
    ls_q8_0 *b = y;
    for (; n; n -= 32, b++, x += 32) {
        uint32_t bits = row_amax_bits(x, 32);
        float    amax = ls_bits_f32(bits), id = 127.0f / amax;
        b->d = ls_f32_to_f16(amax / 127.0f);
        if (bits >= ROW_INF_BITS) {
            b->d = 0x7e00;
            id = 0;
        }
        if (bits < ROW_INF_BITS && ls_f32_bits(id) != ROW_INF_BITS) {
            row_round_i8(b->qs, x, id, 32);
        } else {
            memset(b->qs, 0, 32);
        }
    }
}

/* For products of codes that are larger than what they stand for. */
static inline void row_sums_q8_0(void *row, size_t n)
{
    const ls_q8_0 *b = row;
    uint8_t       *out = (uint8_t *)row + n / 32 * sizeof(*b);
    for (; n; n -= 32, b++, out += sizeof(ls_q8_sum)) {
        ls_q8_sum s = {ls_f16_to_f32(b->d), 0};
        for (int j = 0; j < 32; j++) s.sum += b->qs[j];
        memcpy(out, &s, sizeof(s));
    }
}

/* Q8_0 with the block's sum, which is multiplied by amax / 127 before that is rounded to F16. */
static inline void row_act_q8_1(void *restrict y, const float *restrict x, size_t n)
{
    ls_q8_1 *b = y;
    for (; n; n -= 32, b++, x += 32) {
        ls_q8_0 plain;
        int32_t sum = 0;
        row_act_q8_0(&plain, x, 32);
        memcpy(b->qs, plain.qs, 32);
        for (int j = 0; j < 32; j++) sum += plain.qs[j];
        b->d = plain.d;
        b->s = plain.d == 0x7e00 ? plain.d
                                 : ls_f32_to_f16(ls_bits_f32(row_amax_bits(x, 32)) / 127.0f * (float)sum);
    }
}

static inline void row_act_q8_k(void *restrict y, const float *restrict x, size_t n)
{
    ls_q8_k *b = y;
    for (; n; n -= 256, b++, x += 256) {
        uint32_t bits = row_amax_bits(x, 256);
        float    iscale = -127.0f / ls_bits_f32(bits);
        if (bits >= ROW_INF_BITS || ls_f32_bits(iscale) == (ROW_INF_BITS | 0x80000000u)) {
            memset(b, 0, sizeof(*b));
            b->d = ls_bits_f32(bits >= ROW_INF_BITS ? ROW_NAN_BITS : 0);
            continue;
        }
        /* The sign of the first value of the largest magnitude. */
        for (size_t i = 0; i < 256; i++) {
            if ((ls_f32_bits(x[i]) & 0x7fffffff) != bits) continue;
            if (x[i] < 0) iscale = -iscale;
            break;
        }
        row_round_i8(b->qs, x, iscale, 256);
        for (int j = 0; j < 16; j++) {
            int16_t sum = 0;
            for (int l = 0; l < 16; l++) sum = (int16_t)(sum + b->qs[16 * j + l]);
            b->bsums[j] = sum;
        }
        b->d = 1.0f / iscale;
    }
}

/* No magnitude below `least` is taken for the largest one of the row. */
static inline void row_act_i8(void *restrict y, const float *restrict x, size_t n, float least)
{
    ls_i8_row *row = y;
    uint32_t   bits = row_amax_bits(x, n);
    float      amax = ls_bits_f32(bits);
    int32_t    sum = 0;
    memset(row->qs + n, 0, (128 - n % 128) % 128);
    if (bits >= ROW_INF_BITS) {
        row->s = ls_bits_f32(ROW_NAN_BITS);
        row->sum = 0;
        memset(row->qs, 0, n);
        return;
    }
    row->s = 127.0f / (amax > least ? amax : least);
    row_round_i8(row->qs, x, row->s, n);
    for (size_t i = 0; i < n; i++) sum += row->qs[i];
    row->sum = sum;
}

static inline void row_act_i8_row(void *restrict y, const float *restrict x, size_t n)
{
    row_act_i8(y, x, n, 1e-5f);
}

/* As bitnet.cpp's table kernels: no bound but the one that keeps 127 / amax finite. */
static inline void row_act_i8_tl(void *restrict y, const float *restrict x, size_t n)
{
    row_act_i8(y, x, n, 0x1p-121f);
}

static inline void row_act_bf16(void *restrict y, const float *restrict x, size_t n)
{
    uint16_t *h = y;
    for (size_t i = 0; i < n; i++) {
        uint32_t u = ls_f32_bits(x[i]), even = (u + 0x7fff + (u >> 16 & 1)) >> 16;
        h[i] = (uint16_t)((u & 0x7fffffff) > ROW_INF_BITS ? u >> 16 | 64 : even);
    }
}

/* Rounded to BF16, as floats. */
static inline void row_floats_bf16(void *restrict y, const float *restrict x, size_t n)
{
    float *f = y;
    for (size_t i = 0; i < n; i++) {
        uint32_t u = ls_f32_bits(x[i]), even = (u + 0x7fff + (u >> 16 & 1)) & 0xffff0000u;
        f[i] = ls_bits_f32((u & 0x7fffffff) > ROW_INF_BITS ? (u & 0xffff0000u) | 64u << 16 : even);
    }
}

/* The same in place. */
static inline void row_round_bf16(float *y, const float *x, size_t n)
{
    float part[64];
    for (size_t i = 0, m; i < n; i += m) {
        m = n - i < 64 ? n - i : 64;
        row_floats_bf16(part, x + i, m);
        memcpy(y + i, part, m * sizeof(float));
    }
}

/* ---- row operations (clause 5) ---- */

/* Squares are rounded to float and summed in double, mean and scale are floats. */
static inline void row_rmsnorm(float *y, const float *x, const float *w, size_t n, float eps)
{
    double s[LS_STRIPES] = {0};
    float  mean, scale;
    size_t i = 0;
    for (; i + LS_STRIPES <= n; i += LS_STRIPES) {
        for (size_t l = 0; l < LS_STRIPES; l++) s[l] += (double)(x[i + l] * x[i + l]);
    }
    for (; i < n; i++) s[i % LS_STRIPES] += (double)(x[i] * x[i]);
    mean = (float)(ls_stripes_sum_d(s) / (double)n);
    scale = 1.0f / sqrtf(mean + eps);
    for (i = 0; i < n; i++) y[i] = (x[i] * scale) * w[i];
}

/* The mean from a sum in double, in order; squares of what is left as trees of `lanes` floats, the
 * trees in double, in order. b may be NULL. */
static inline __attribute__((always_inline)) void
row_layernorm_of(float *y, const float *x, const float *w, const float *b, size_t n, float eps,
                 int lanes)
{
    double sum = 0, squares = 0;
    float  mean, scale;
    size_t width = (size_t)lanes, i = 0;
    for (size_t j = 0; j < n; j++) sum += (double)x[j];
    mean = (float)sum / (float)n;
    for (; i + width <= n; i += width) {
        float v[LS_STRIPES];
        for (size_t l = 0; l < width; l++) {
            y[i + l] = x[i + l] - mean;
            v[l] = y[i + l] * y[i + l];
        }
        squares += (double)ls_tree_sum(v, lanes);
    }
    for (; i < n; i++) {
        y[i] = x[i] - mean;
        squares += (double)(y[i] * y[i]);
    }
    scale = 1.0f / sqrtf((float)(squares / (double)n) + eps);
    for (i = 0; i < n; i++) y[i] = (y[i] * scale) * w[i];
    for (i = 0; b && i < n; i++) y[i] += b[i];
}

static inline void row_layernorm(float *y, const float *x, const float *w, const float *b, size_t n,
                                 float eps, int lanes)
{
    if (lanes == 8) {
        row_layernorm_of(y, x, w, b, n, eps, 8);
    } else {
        row_layernorm_of(y, x, w, b, n, eps, 16);
    }
}

/* NaN needs no care in the maximum: it comes back through ls_expf and the sum. */
static inline float row_max(const float *x, size_t n)
{
    float  m[LS_STRIPES], max = -INFINITY;
    size_t i = 0;
    for (size_t l = 0; l < LS_STRIPES; l++) m[l] = -INFINITY;
    for (; i + LS_STRIPES <= n; i += LS_STRIPES) {
        for (size_t l = 0; l < LS_STRIPES; l++) m[l] = x[i + l] > m[l] ? x[i + l] : m[l];
    }
    for (; i < n; i++) m[i % LS_STRIPES] = x[i] > m[i % LS_STRIPES] ? x[i] : m[i % LS_STRIPES];
    for (size_t l = 0; l < LS_STRIPES; l++) max = m[l] > max ? m[l] : max;
    return max;
}

/* Groups of `lanes` values are added as a tree of floats, the groups in double, in order. */
static inline __attribute__((always_inline)) void row_softmax_of(float *x, size_t n, float sink,
                                                                 int lanes)
{
    double sum = 0;
    float  max = row_max(x, n), scale;
    size_t width = (size_t)lanes, i = 0;
    if (sink > max) max = sink;
    for (size_t j = 0; j < n; j++) x[j] = ls_expf(x[j] - max, lanes);
    for (; i + width <= n; i += width) sum += (double)ls_tree_sum(x + i, lanes);
    if (i < n) {
        float last[LS_STRIPES] = {0};
        memcpy(last, x + i, (n - i) * sizeof(float));
        sum += (double)ls_tree_sum(last, lanes);
    }
    if (sink > -INFINITY) sum += (double)ls_exp_f(sink - max);
    scale = (float)(1.0 / sum);
    for (i = 0; i < n; i++) x[i] *= scale;
}

/* A constant width lets compilers unroll the trees. */
static inline void row_softmax(float *x, size_t n, float sink, int lanes)
{
    if (lanes == 8) {
        row_softmax_of(x, n, sink, 8);
    } else {
        row_softmax_of(x, n, sink, 16);
    }
}

/* Whole groups of `lanes` use the vector form of e^x; what is left over the C libraries' form. */
static inline void row_silu_mul(float *y, const float *gate, const float *up, size_t n, int lanes)
{
    size_t i = 0, whole = n - n % (size_t)lanes;
    for (; i < whole; i++) y[i] = (gate[i] / (1.0f + ls_expf(-gate[i], lanes))) * up[i];
    for (; i < n; i++) y[i] = (gate[i] / (1.0f + ls_exp_f(-gate[i]))) * up[i];
}

static inline void row_relu2_mul(float *y, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float r = gate[i] < 0.0f ? 0.0f : gate[i]; /* NaN stays NaN */
        y[i] = (r * r) * up[i];
    }
}

static inline void row_add(float *y, const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static inline void row_scale(float *y, float a, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] *= a;
}

/* (a, b) -> (a c - b s, a s + b c): the product with b is rounded, then one fmaf. */
static inline void row_rope_normal(float *restrict x, const float *restrict sincos, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        float c = sincos[2 * i], s = sincos[2 * i + 1], a = x[2 * i], b = x[2 * i + 1];
        x[2 * i] = fmaf(a, c, -(b * s));
        x[2 * i + 1] = fmaf(a, s, b * c);
    }
}

static inline void row_rope_neox(float *restrict x, const float *restrict sincos, size_t n)
{
    for (size_t i = 0; i < n / 2; i++) {
        float c = sincos[2 * i], s = sincos[2 * i + 1], a = x[i], b = x[i + n / 2];
        x[i] = fmaf(a, c, -(b * s));
        x[i + n / 2] = fmaf(a, s, b * c);
    }
}

/* ---- attention ---- */

/* The end of a wide reduction: 4 * lanes stripes s added two and two, then as a tree (of neighbours
 * at the end where lanes is 8). */
static inline float row_wide_sum(const float *s, int lanes)
{
    float  t[LS_STRIPES] = {0};
    size_t width = (size_t)lanes;
    for (size_t l = 0; l < width; l++) {
        t[l] = (s[l] + s[l + 2 * width]) + (s[l + width] + s[l + 3 * width]);
    }
    if (lanes == 16) return ls_tree_sum(t, lanes);
    for (size_t l = 0; l < 4; l++) t[l] += t[l + 4];
    return (t[0] + t[1]) + (t[2] + t[3]);
}

/* What is left over of wide reductions: whole groups of lanes / 2 products are rounded and added one
 * by one, and the rest with one fmaf each: so do compilers lay out the reference's last loop. */
static inline float row_dot_f32_rest(float sum, const float *a, const float *b, size_t n, int lanes)
{
    size_t grouped = n - n % (size_t)(lanes / 2), i = 0;
    for (; i < grouped; i++) sum += a[i] * b[i];
    for (; i < n; i++) sum = fmaf(a[i], b[i], sum);
    return sum;
}

/* Wide reductions (clause 2): whole steps of 4 * lanes elements go to as many stripes. */
static inline float row_dot_f32(const float *a, const float *b, size_t n, int lanes)
{
    float  s[4 * LS_STRIPES] = {0};
    size_t step = 4 * (size_t)lanes, i = 0;
    for (; i + step <= n; i += step) {
        for (size_t l = 0; l < step; l++) s[l] = fmaf(a[i + l], b[i + l], s[l]);
    }
    return row_dot_f32_rest(row_wide_sum(s, lanes), a + i, b + i, n - i, lanes);
}

/* n halves to floats, exactly. */
typedef void row_halves_fn(float *restrict y, const uint16_t *restrict x, size_t n);

static inline float row_dot_f16_wide(const uint16_t *a, const uint16_t *b, size_t n, int lanes,
                                     row_halves_fn *halves)
{
    float  s[4 * LS_STRIPES] = {0}, u[4 * LS_STRIPES], v[4 * LS_STRIPES];
    size_t step = 4 * (size_t)lanes, i = 0;
    double sum;
    for (; i + step <= n; i += step) {
        halves(u, a + i, step);
        halves(v, b + i, step);
        for (size_t l = 0; l < step; l++) s[l] = fmaf(u[l], v[l], s[l]);
    }
    sum = (double)row_wide_sum(s, lanes);
    halves(u, a + i, n - i);
    halves(v, b + i, n - i);
    for (size_t l = 0; l < n - i; l++) sum += (double)(u[l] * v[l]);
    return (float)sum;
}

static inline float row_bf16(uint16_t h) { return ls_bits_f32((uint32_t)h << 16); }

/* What is left over of n is added in double. */
static inline float row_bf16_rest(double sum, const uint16_t *a, const uint16_t *b, size_t n)
{
    for (size_t i = 0; i < n; i++) sum += (double)(row_bf16(a[i]) * row_bf16(b[i]));
    return (float)sum;
}

/* The end of 32 stripes: one tree with 8 lanes, and two, added in double, with 16. */
static inline float row_bf16_wide_end(float *s, const uint16_t *a, const uint16_t *b, size_t n,
                                      int lanes)
{
    double sum;
    for (size_t l = 0; l < 8 && lanes == 8; l++) s[l] = (s[l] + s[l + 16]) + (s[l + 8] + s[l + 24]);
    sum = (double)ls_tree_sum(s, lanes);
    if (lanes == 16) sum += (double)ls_tree_sum(s + 16, 16);
    return row_bf16_rest(sum, a, b, n);
}

/* 32 stripes whatever `lanes` is. */
static inline float row_dot_bf16_wide(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    float  s[4 * LS_STRIPES] = {0};
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        for (size_t l = 0; l < 32; l++) s[l] = fmaf(row_bf16(a[i + l]), row_bf16(b[i + l]), s[l]);
    }
    return row_bf16_wide_end(s, a + i, b + i, n - i, lanes);
}

/* Zero of the same sign for a value below the normal range. */
static inline float row_flush(float x)
{
    uint32_t u = ls_f32_bits(x);
    return ls_bits_f32(u & 0x7f800000 ? u : u & 0x80000000);
}

/* The end of 16 stripes, or with 16 lanes of twice 16, as above. */
static inline float row_bf16_pairs_end(const float *s, const uint16_t *a, const uint16_t *b,
                                       size_t n, int lanes)
{
    double sum = (double)ls_tree_sum(s, 16);
    if (lanes == 16) sum += (double)ls_tree_sum(s + 16, 16);
    return row_bf16_rest(sum, a, b, n);
}

/* Of 32 elements, stripe l takes elements 2l + 1 and 2l, in this order, as VDPBF16PS does, which
 * knows no values below the normal range. 8 lanes: 16 stripes; 16 lanes: twice 16. */
static inline float row_dot_bf16_pairs(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    float  s[2 * LS_STRIPES] = {0};
    size_t width = (size_t)lanes * 2, step = 2 * width, i = 0;
    for (; i + step <= n; i += step) {
        for (size_t l = 0; l < width; l++) {
            const uint16_t *u = a + i + 2 * l, *v = b + i + 2 * l;
            float odd = row_flush(fmaf(row_flush(row_bf16(u[1])), row_flush(row_bf16(v[1])), s[l]));
            s[l] = row_flush(fmaf(row_flush(row_bf16(u[0])), row_flush(row_bf16(v[0])), odd));
        }
    }
    return row_bf16_pairs_end(s, a + i, b + i, n - i, lanes);
}

#endif
