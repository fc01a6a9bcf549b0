// SPDX-License-Identifier: MIT
/* exp_inl.h - what takes e^x, in registers: softmax and SiLU, with e^x and the groups' trees in one
 * pass. rowops_inl.h and numeric_inl.h are the definition.
 *
 * A tier defines, before it includes this: R_LANES, 4 or 8, and rf, a register of as many floats;
 * the rf_ functions; of those rf_fma(a, b, c) is a * b + c, rf_fnma c - a * b, rf_within bounds a
 * and keeps NaN, rf_larger may lose NaN, rf_powers gives 2^n as two factors where z is
 * n + 1.5 * 2^23, and rf_tree adds the lanes of 8 or 16 floats as clause 2 says. */
#ifndef LS_KERNEL_EXP_INL_H
#define LS_KERNEL_EXP_INL_H

#include "kernel/rowops_inl.h"

#define LS_INLINE static inline __attribute__((always_inline))

enum { R_GROUP = 16 / R_LANES };

/* ls_expf, a register at a time. */
LS_INLINE rf exp_of(rf x, int lanes)
{
    const rf magic = rf_set(0x1.8p23f), c1 = rf_set(0x1.ffffecp-1f);
    rf       z, n, b, u, j, p, f1, f2;
    x = rf_within(x, -104.0f, 89.0f);
    z = rf_fma(x, rf_set(0x1.715476p+0f), magic);
    n = rf_sub(z, magic);
    b = rf_fnma(n, rf_set(0x1.62e4p-1f), x);
    b = rf_fnma(n, rf_set(0x1.7f7d1cp-20f), b);
    u = rf_mul(b, b);
    j = rf_fma(rf_set(0x1.0e4020p-7f), b, rf_set(0x1.573e2ep-5f));
    p = rf_fma(rf_set(0x1.555e66p-3f), b, rf_set(0x1.fffdb6p-2f));
    j = rf_fma(j, u, p);
    rf_powers(z, &f1, &f2);
    if (lanes == 16) {
        j = rf_fma(j, u, rf_fma(c1, b, rf_set(1.0f)));
        return rf_mul(rf_mul(j, f1), f2);
    }
    j = rf_fma(j, u, rf_mul(c1, b));
    return rf_mul(rf_fma(j, f1, f1), f2);
}

/* The largest value; which one does not matter if one is NaN. */
LS_INLINE float max_of(const float *x, size_t n)
{
    rf     m[4];
    float  lane[R_LANES], max;
    size_t i = 0;
    for (int k = 0; k < 4; k++) m[k] = rf_set(-INFINITY);
    for (; i + 4 * R_LANES <= n; i += 4 * R_LANES) {
        for (int k = 0; k < 4; k++) m[k] = rf_larger(rf_load(x + i + R_LANES * k), m[k]);
    }
    m[0] = rf_larger(rf_larger(m[0], m[1]), rf_larger(m[2], m[3]));
    for (; i + R_LANES <= n; i += R_LANES) m[0] = rf_larger(rf_load(x + i), m[0]);
    rf_store(lane, m[0]);
    max = lane[0];
    for (int k = 1; k < R_LANES; k++) max = lane[k] > max ? lane[k] : max;
    for (; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

/* e^(x - max) of 16 values, and their trees in double, one of 16 or two of 8 lanes. */
LS_INLINE double exp_group(float *x, rf max, double sum, int lanes)
{
    rf e[R_GROUP];
    for (int k = 0; k < R_GROUP; k++) {
        e[k] = exp_of(rf_sub(rf_load(x + R_LANES * k), max), lanes);
        rf_store(x + R_LANES * k, e[k]);
    }
    if (lanes == 16) return sum + (double)rf_tree(e, 16);
    return sum + (double)rf_tree(e, 8) + (double)rf_tree(e + R_GROUP / 2, 8);
}

/* What is left over of 16 is filled up with -infinity, whose weight is +0. */
LS_INLINE void softmax_of(float *x, size_t n, float sink, int lanes)
{
    double sum = 0;
    float  top = max_of(x, n), scale, last[16];
    size_t i = 0;
    if (sink > top) top = sink;
    rf max = rf_set(top);
    for (; i + 16 <= n; i += 16) sum = exp_group(x + i, max, sum, lanes);
    if (i < n) {
        for (size_t l = 0; l < 16; l++) last[l] = i + l < n ? x[i + l] : -INFINITY;
        sum = exp_group(last, max, sum, lanes);
        memcpy(x + i, last, (n - i) * sizeof(float));
    }
    if (sink > -INFINITY) sum += (double)ls_exp_f(sink - top);
    scale = (float)(1.0 / sum);
    for (i = 0; i + R_LANES <= n; i += R_LANES) {
        rf_store(x + i, rf_mul(rf_load(x + i), rf_set(scale)));
    }
    for (; i < n; i++) x[i] *= scale;
}

static void softmax(float *x, size_t n, float sink, int lanes)
{
    if (lanes == 8) {
        softmax_of(x, n, sink, 8);
    } else {
        softmax_of(x, n, sink, 16);
    }
}

LS_INLINE void silu_of(float *y, const float *gate, const float *up, size_t n, int lanes)
{
    size_t i = 0, whole = n - n % (size_t)lanes;
    for (; i < whole; i += R_LANES) {
        rf g = rf_load(gate + i), e = exp_of(rf_negative(g), lanes);
        g = rf_div(g, rf_add(rf_set(1.0f), e));
        rf_store(y + i, rf_mul(g, rf_load(up + i)));
    }
    row_silu_mul(y + i, gate + i, up + i, n - i, lanes);
}

static void silu_mul(float *y, const float *gate, const float *up, size_t n, int lanes)
{
    if (lanes == 8) {
        silu_of(y, gate, up, n, 8);
    } else {
        silu_of(y, gate, up, n, 16);
    }
}

#endif
