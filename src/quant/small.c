// SPDX-License-Identifier: MIT
/* small.c - encoders of blocks with one scale: 32 to 128 elements, and the ternary formats. */
#include <float.h>
#include <math.h>

#include "quant/quant_priv.h"

/* 32 codes of up to five bits: low nibbles into qs, and bit 4 into qh unless that is NULL. */
static void put_nibbles(uint8_t *qs, uint8_t *qh, const uint8_t *code)
{
    for (int j = 0; j < 16; j++) qs[j] = (uint8_t)((code[j] & 15) | (code[j + 16] & 15) << 4);
    for (int k = 0; qh && k < 4; k++) {
        qh[k] = 0;
        for (int j = 0; j < 8; j++) qh[k] |= (uint8_t)((code[8 * k + j] >> 4 & 1) << j);
    }
}

/* Codes around nmax, the scale that of the largest value, or of a search by importance. */
static float centred(uint8_t *code, const float *x, int nmax, const float *weight)
{
    int8_t found[32];
    float  max, d, inverse;
    if (weight) {
        d = ls_q_symmetric(32, nmax, x, weight, found);
        memcpy(code, found, 32);
        return d;
    }
    ls_q_largest(x, 32, &max);
    d = max / (float)-nmax;
    inverse = d != 0 ? 1.0f / d : 0;
    for (int j = 0; j < 32; j++) {
        int l = (int8_t)ls_q_toward_zero(x[j] * inverse + ((float)nmax + 0.5f));
        code[j] = (uint8_t)(l < 2 * nmax - 1 ? l : 2 * nmax - 1);
    }
    return d;
}

/* Codes 0 to nmax above *min, likewise. */
static float above_minimum(uint8_t *code, const float *x, int nmax, const float *weight, float *min)
{
    static const ls_q_steps steps = {-0.9f, 0.05f, 36, false};
    float                   low = FLT_MAX, high = -FLT_MAX, d, inverse;
    if (weight) {
        d = ls_q_affine(32, nmax, x, weight, code, &low, &steps);
        *min = -low;
        return d;
    }
    for (int j = 0; j < 32; j++) {
        if (x[j] < low) low = x[j];
        if (x[j] > high) high = x[j];
    }
    d = (high - low) / (float)nmax;
    inverse = d != 0 ? 1.0f / d : 0;
    for (int j = 0; j < 32; j++) {
        int l = (int8_t)ls_q_toward_zero((x[j] - low) * inverse + 0.5f);
        code[j] = (uint8_t)(l < nmax ? l : nmax);
    }
    *min = low;
    return d;
}

/* The weights of block i, or NULL without importance. */
static const float *block_weights(float w[32], const float *x, const float *importance, size_t i,
                                  float sigma2)
{
    if (!importance) return NULL;
    ls_q_weigh(w, x + i, importance + i, sigma2, 32);
    return w;
}

static float mean_square(const float *x, size_t n, const float *importance)
{
    return importance ? ls_q_sum_squares(x, n) / (float)n : 0;
}

void ls_encode_Q4_0(void *out, const float *x, size_t n, const float *importance)
{
    ls_q4_0 *b = out;
    float    sigma2 = mean_square(x, n, importance), w[32];
    uint8_t  code[32];
    for (size_t i = 0; i < n; i += 32, b++) {
        b->d = ls_f32_to_f16(centred(code, x + i, 8, block_weights(w, x, importance, i, sigma2)));
        put_nibbles(b->qs, NULL, code);
    }
}

void ls_encode_Q5_0(void *out, const float *x, size_t n, const float *importance)
{
    ls_q5_0 *b = out;
    float    sigma2 = mean_square(x, n, importance), w[32];
    uint8_t  code[32];
    for (size_t i = 0; i < n; i += 32, b++) {
        b->d = ls_f32_to_f16(centred(code, x + i, 16, block_weights(w, x, importance, i, sigma2)));
        put_nibbles(b->qs, b->qh, code);
    }
}

void ls_encode_Q4_1(void *out, const float *x, size_t n, const float *importance)
{
    ls_q4_1 *b = out;
    float    sigma2 = mean_square(x, n, importance), w[32], min;
    uint8_t  code[32];
    for (size_t i = 0; i < n; i += 32, b++) {
        b->d = ls_f32_to_f16(
            above_minimum(code, x + i, 15, block_weights(w, x, importance, i, sigma2), &min));
        b->m = ls_f32_to_f16(min);
        put_nibbles(b->qs, NULL, code);
    }
}

void ls_encode_Q5_1(void *out, const float *x, size_t n, const float *importance)
{
    ls_q5_1 *b = out;
    float    sigma2 = mean_square(x, n, importance), w[32], min;
    uint8_t  code[32];
    for (size_t i = 0; i < n; i += 32, b++) {
        b->d = ls_f32_to_f16(
            above_minimum(code, x + i, 31, block_weights(w, x, importance, i, sigma2), &min));
        b->m = ls_f32_to_f16(min);
        put_nibbles(b->qs, b->qh, code);
    }
}

/* 32 times int8: the scale, and the sum of the codes. Halves go away from zero. */
static float bytes_of(int8_t *q, const float *x, int *sum)
{
    float max, d = ls_q_largest(x, 32, &max) / 127.0f, inverse = d != 0 ? 1.0f / d : 0;
    *sum = 0;
    for (int j = 0; j < 32; j++) {
        q[j] = (int8_t)ls_q_toward_zero(roundf(x[j] * inverse));
        *sum += q[j];
    }
    return d;
}

void ls_encode_Q8_0(void *out, const float *x, size_t n, const float *importance)
{
    ls_q8_0 *b = out;
    int      sum;
    (void)importance;
    for (size_t i = 0; i < n; i += 32, b++) b->d = ls_f32_to_f16(bytes_of(b->qs, x + i, &sum));
}

void ls_encode_Q8_1(void *out, const float *x, size_t n, const float *importance)
{
    ls_q8_1 *b = out;
    int      sum;
    (void)importance;
    for (size_t i = 0; i < n; i += 32, b++) {
        float d = bytes_of(b->qs, x + i, &sum);
        b->d = ls_f32_to_f16(d);
        b->s = ls_f32_to_f16((float)sum * d);
    }
}

void ls_encode_Q1_0(void *out, const float *x, size_t n, const float *importance)
{
    ls_q1_0 *b = out;
    (void)importance;
    for (size_t i = 0; i < n; i += 128, b++, x += 128) {
        float sum = 0;
        memset(b->qs, 0, sizeof(b->qs));
        for (int j = 0; j < 128; j++) {
            sum += fabsf(x[j]);
            b->qs[j / 8] |= (uint8_t)((x[j] >= 0) << (j % 8));
        }
        b->d = ls_f32_to_f16(sum / 128.0f);
    }
}

void ls_encode_Q2_0(void *out, const float *x, size_t n, const float *importance)
{
    ls_q2_0 *b = out;
    (void)importance;
    for (size_t i = 0; i < n; i += 64, b++, x += 64) {
        float max, d = ls_q_largest(x, 64, &max), inverse = d > 0 ? 1.0f / d : 0;
        b->d = ls_f32_to_f16(d);
        memset(b->qs, 0, sizeof(b->qs));
        for (int j = 0; j < 64; j++) {
            int l = ls_q_clamp(ls_q_toward_zero(roundf(x[j] * inverse)), -1, 2) + 1;
            b->qs[j / 4] |= (uint8_t)(l << (2 * (j % 4)));
        }
    }
}

/* The first of the sixteen values, times d, that is nearest to x. */
static uint8_t nearest_fp4(float x, float d)
{
    int   best = 0;
    float least = fabsf((float)ls_values_fp4[0] * d - x);
    for (int i = 1; i < 16; i++) {
        float error = fabsf((float)ls_values_fp4[i] * d - x);
        if (!(error < least)) continue;
        least = error;
        best = i;
    }
    return (uint8_t)best;
}

static void put_fp4(uint8_t *qs, const float *x, int half, float d)
{
    for (int j = 0; j < half; j++) {
        qs[j] = (uint8_t)(nearest_fp4(x[j], d) | nearest_fp4(x[j + half], d) << 4);
    }
}

/* The integer below log2 of x rounded to float, as floorf(log2f(x)) gives it in the reference: one
 * too large where x is so little below a power of two that the logarithm rounds up to it. */
static int floor_log2(float x)
{
    int    e;
    double u = 1.0 - (double)frexpf(x, &e); /* x = (1 - u) * 2^e; log2(1 - u) by its series */
    if (u > 0x1p-10) return e - 1;
    u = (u + u * u / 2 + u * u * u / 3) * 1.4426950408889634;
    return (int)floorf((float)((double)e - u));
}

/* Blocks whose largest value is below 2^-125, where the reference's exponent wraps, get scale 0. */
void ls_encode_MXFP4(void *out, const float *x, size_t n, const float *importance)
{
    ls_mxfp4 *b = out;
    (void)importance;
    for (size_t i = 0; i < n; i += 32, b++) {
        float max, amax = ls_q_largest(x + i, 32, &max);
        int   e = amax > 0 ? floor_log2(amax) - 2 + 127 : 0;
        b->e = (uint8_t)(e > 0 ? e : 0);
        put_fp4(b->qs, x + i, 16, ls_half_e8m0(b->e));
    }
}

/* E4M3 without sign, halves rounded up, 448 at most. */
static uint8_t unsigned_e4m3(float x)
{
    uint32_t u;
    int      e, code;
    if (!(x > 0)) return 0;
    if (x > 448.0f) x = 448.0f;
    memcpy(&u, &x, 4);
    e = (int)(u >> 23) - 127 + 7;
    if (e <= 0) { /* steps of 2^-9 */
        code = ls_q_toward_zero(x * 512.0f + 0.5f);
        return (uint8_t)(code > 7 ? 7 : code);
    }
    code = (int)((unsigned)e << 3 | (u >> 20 & 7)) + (int)(u >> 19 & 1);
    return (uint8_t)(code >= 15 << 3 ? 0x7e : code);
}

void ls_encode_NVFP4(void *out, const float *x, size_t n, const float *importance)
{
    ls_nvfp4 *b = out;
    (void)importance;
    for (size_t i = 0; i < n; i += 64, b++) {
        ls_codes c;
        for (int s = 0; s < 4; s++) {
            float max;
            b->d[s] = unsigned_e4m3(ls_q_largest(x + i + 16 * s, 16, &max) / 6.0f);
        }
        memset(b->qs, 0, sizeof(b->qs));
        codes_NVFP4(&c, b); /* the scales as they will be read */
        for (int s = 0; s < 4; s++) {
            put_fp4(b->qs + 8 * s, x + i + 16 * s, 8, c.d * (float)c.scale[s]);
        }
    }
}

/* -1, 0 or 1 as a digit 0 to 2; halves away from zero. */
static int digit(float x, float inverse)
{
    float v = roundf(x * inverse);
    return v >= -1 && v <= 1 ? (int)v + 1 : 1;
}

/* n digits, `apart` elements from each other, as a fraction of 256 rounded up. */
static uint8_t fraction(const float *x, float inverse, int n, int apart)
{
    int q = 0;
    for (int k = 0; k < 5; k++) q = q * 3 + (k < n ? digit(x[k * apart], inverse) : 0);
    return (uint8_t)((q * 256 + 242) / 243);
}

void ls_encode_TQ1_0(void *out, const float *x, size_t n, const float *importance)
{
    ls_tq1_0 *b = out;
    (void)importance;
    for (size_t i = 0; i < n; i += 256, b++, x += 256) {
        float max, d = ls_q_largest(x, 256, &max), inverse = d != 0 ? 1.0f / d : 0;
        b->d = ls_f32_to_f16(d);
        for (int m = 0; m < 32; m++) b->qs[m] = fraction(x + m, inverse, 5, 32);
        for (int m = 0; m < 16; m++) b->qs[32 + m] = fraction(x + 160 + m, inverse, 5, 16);
        for (int m = 0; m < 4; m++) b->qh[m] = fraction(x + 240 + m, inverse, 4, 4);
    }
}

void ls_encode_TQ2_0(void *out, const float *x, size_t n, const float *importance)
{
    ls_tq2_0 *b = out;
    (void)importance;
    for (size_t i = 0; i < n; i += 256, b++, x += 256) {
        float max, d = ls_q_largest(x, 256, &max), inverse = d != 0 ? 1.0f / d : 0;
        b->d = ls_f32_to_f16(d);
        memset(b->qs, 0, sizeof(b->qs));
        for (int j = 0; j < 256; j++) {
            b->qs[32 * (j / 128) + j % 32] |=
                (uint8_t)(digit(x[j], inverse) << (2 * (j % 128 / 32)));
        }
    }
}
