// SPDX-License-Identifier: MIT
/* numeric_inl.h - the pieces of arithmetic that every tier compiles from this one source.
 *
 * Static inline only: tier files include it under their own flags. The order of every operation
 * is part of NUMERICS.md; compilers may vectorise these loops but not reorder them. */
#ifndef LS_KERNEL_NUMERIC_INL_H
#define LS_KERNEL_NUMERIC_INL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LS_STRIPES 16
/* Clause 2: elements that the engine's own order sums as one chain. */
#define LS_CHAIN 64

/* Loads from rows that may be unaligned. */
static inline float ls_load_f32(const void *p, size_t i)
{
    float f;
    memcpy(&f, (const uint8_t *)p + 4 * i, 4);
    return f;
}

static inline uint16_t ls_load_u16(const void *p, size_t i)
{
    uint16_t h;
    memcpy(&h, (const uint8_t *)p + 2 * i, 2);
    return h;
}

static inline uint32_t ls_f32_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float ls_bits_f32(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* Clause 2: add 8 or 16 stripes pairwise: (l with l + 8,) l with l + 4, + 2, + 1. */
static inline float ls_tree_sum(const float *s, int lanes)
{
    float t[8];
    memcpy(t, s, sizeof(t));
    for (int l = 0; l < 8 && lanes == 16; l++) t[l] += s[l + 8];
    for (int l = 0; l < 4; l++) t[l] += t[l + 4];
    return (t[0] + t[2]) + (t[1] + t[3]);
}

static inline double ls_stripes_sum_d(const double s[LS_STRIPES])
{
    double t[LS_STRIPES];
    memcpy(t, s, sizeof(t));
    for (int h = LS_STRIPES / 2; h; h /= 2) {
        for (int l = 0; l < h; l++) t[l] += t[l + h];
    }
    return t[0];
}

/* Clause 3: round to the nearest integer, ties to even, for |x| < 2^22. */
static inline int32_t ls_round_i32(float x)
{
    return (int32_t)(ls_f32_bits(x + 0x1.8p23f) - ls_f32_bits(0x1.8p23f));
}

/* Clause 6: e^x by Cephes-style reduction x = n ln 2 + b and a polynomial of degree 5 in b, the
 * coefficients of Arm's optimized routines; error below 2.3 ULP. `lanes` chooses between the two
 * ways in which vector units put 2^n on: 16: 2^n * (1 + p(b)), 8: 2^n + 2^n * p(b).
 * Exactly 1 at 0; infinity above 88.72284, 0 below -103.97208, NaN for NaN. */
static inline float ls_expf(float x, int lanes)
{
    float   z, n, b, u, j;
    int32_t e, e1;
    x = x > 89.0f ? 89.0f : x; /* comparisons that let NaN through */
    x = x < -104.0f ? -104.0f : x;
    z = fmaf(x, 0x1.715476p+0f, 0x1.8p23f);
    n = z - 0x1.8p23f;
    b = fmaf(-n, 0x1.7f7d1cp-20f, fmaf(-n, 0x1.62e4p-1f, x));
    u = b * b;
    j = fmaf(fmaf(0x1.0e4020p-7f, b, 0x1.573e2ep-5f), u, fmaf(0x1.555e66p-3f, b, 0x1.fffdb6p-2f));
    /* 2^n as two factors, so that results below the normal range are rounded once. */
    e = (int32_t)(ls_f32_bits(z) - 0x4b400000);
    e1 = e / 2;
    if (lanes == 16) {
        j = fmaf(j, u, fmaf(0x1.ffffecp-1f, b, 1.0f));
        return j * ls_bits_f32((uint32_t)(e1 + 127) << 23) *
               ls_bits_f32((uint32_t)(e - e1 + 127) << 23);
    }
    j = fmaf(j, u, 0x1.ffffecp-1f * b);
    j = fmaf(j, ls_bits_f32((uint32_t)(e1 + 127) << 23), ls_bits_f32((uint32_t)(e1 + 127) << 23));
    return j * ls_bits_f32((uint32_t)(e - e1 + 127) << 23);
}

#endif
