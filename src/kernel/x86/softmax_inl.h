// SPDX-License-Identifier: MIT
/* softmax_inl.h - softmax in 256-bit registers: e^x and the groups' trees in one pass.
 *
 * rowops_inl.h and numeric_inl.h are the definition. */
#ifndef LS_KERNEL_SOFTMAX_INL_H
#define LS_KERNEL_SOFTMAX_INL_H

#include "kernel/numeric_inl.h"
#include "kernel/x86/tile_inl.h"

/* 2^n for integers n that floats have room for. */
LS_INLINE __m256 power256(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

/* ls_expf, eight at a time. The bounds come first in min and max, which give their second operand
 * where one is NaN. */
LS_INLINE __m256 exp256(__m256 x, int lanes)
{
    const __m256 magic = _mm256_set1_ps(0x1.8p23f), c1 = _mm256_set1_ps(0x1.ffffecp-1f);
    __m256       z, n, b, u, j, p, f1, f2;
    __m256i      e, e1;
    x = _mm256_max_ps(_mm256_set1_ps(-104.0f), _mm256_min_ps(_mm256_set1_ps(89.0f), x));
    z = _mm256_fmadd_ps(x, _mm256_set1_ps(0x1.715476p+0f), magic);
    n = _mm256_sub_ps(z, magic);
    b = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.62e4p-1f), x);
    b = _mm256_fnmadd_ps(n, _mm256_set1_ps(0x1.7f7d1cp-20f), b);
    u = _mm256_mul_ps(b, b);
    j = _mm256_fmadd_ps(_mm256_set1_ps(0x1.0e4020p-7f), b, _mm256_set1_ps(0x1.573e2ep-5f));
    p = _mm256_fmadd_ps(_mm256_set1_ps(0x1.555e66p-3f), b, _mm256_set1_ps(0x1.fffdb6p-2f));
    j = _mm256_fmadd_ps(j, u, p);
    e = _mm256_sub_epi32(_mm256_castps_si256(z), _mm256_set1_epi32(0x4b400000));
    e1 = _mm256_srai_epi32(_mm256_add_epi32(e, _mm256_srli_epi32(e, 31)), 1); /* towards 0 */
    f1 = power256(e1);
    f2 = power256(_mm256_sub_epi32(e, e1));
    if (lanes == 16) {
        j = _mm256_fmadd_ps(j, u, _mm256_fmadd_ps(c1, b, _mm256_set1_ps(1.0f)));
        return _mm256_mul_ps(_mm256_mul_ps(j, f1), f2);
    }
    j = _mm256_fmadd_ps(j, u, _mm256_mul_ps(c1, b));
    return _mm256_mul_ps(_mm256_fmadd_ps(j, f1, f1), f2);
}

LS_INLINE float max256(const float *x, size_t n)
{
    __m256 m[4];
    float  lane[8], max;
    size_t i = 0;
    for (int k = 0; k < 4; k++) m[k] = _mm256_set1_ps(-INFINITY);
    for (; i + 32 <= n; i += 32) {
        for (int k = 0; k < 4; k++) m[k] = _mm256_max_ps(_mm256_loadu_ps(x + i + 8 * k), m[k]);
    }
    m[0] = _mm256_max_ps(_mm256_max_ps(m[0], m[1]), _mm256_max_ps(m[2], m[3]));
    for (; i + 8 <= n; i += 8) m[0] = _mm256_max_ps(_mm256_loadu_ps(x + i), m[0]);
    _mm256_storeu_ps(lane, m[0]);
    max = lane[0];
    for (int k = 1; k < 8; k++) max = lane[k] > max ? lane[k] : max;
    for (; i < n; i++) max = x[i] > max ? x[i] : max;
    return max;
}

/* e^(x - max) of 16 values, and their trees in double, one of 16 or two of 8 lanes. */
LS_INLINE double exp_group(float *x, __m256 max, double sum, int lanes)
{
    __m256 a = exp256(_mm256_sub_ps(_mm256_loadu_ps(x), max), lanes);
    __m256 b = exp256(_mm256_sub_ps(_mm256_loadu_ps(x + 8), max), lanes);
    _mm256_storeu_ps(x, a);
    _mm256_storeu_ps(x + 8, b);
    if (lanes == 16) return sum + (double)ls_tree256(_mm256_add_ps(a, b));
    return sum + (double)ls_tree256(a) + (double)ls_tree256(b);
}

/* What is left over of 16 is filled up with -infinity, whose weight is +0. */
LS_INLINE void softmax256(float *x, size_t n, float sink, int lanes)
{
    double sum = 0;
    float  top = max256(x, n), scale, last[16];
    size_t i = 0;
    if (sink > top) top = sink;
    __m256 max = _mm256_set1_ps(top);
    for (; i + 16 <= n; i += 16) sum = exp_group(x + i, max, sum, lanes);
    if (i < n) {
        for (size_t l = 0; l < 16; l++) last[l] = i + l < n ? x[i + l] : -INFINITY;
        sum = exp_group(last, max, sum, lanes);
        memcpy(x + i, last, (n - i) * sizeof(float));
    }
    if (sink > -INFINITY) sum += (double)ls_exp_f(sink - top);
    scale = (float)(1.0 / sum);
    for (i = 0; i < n; i++) x[i] *= scale;
}

#endif
