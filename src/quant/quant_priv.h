// SPDX-License-Identifier: MIT
/* quant_priv.h - encoders of one row each, and the searches for scales that they share.
 *
 * Everything here repeats the arithmetic of llama.cpp v0.5.0's reference quantisers operation by
 * operation, single floats in the order given, because the bytes are to be the same. */
#ifndef LS_QUANT_QUANT_PRIV_H
#define LS_QUANT_QUANT_PRIV_H

#include "dtype/codes_inl.h"

/* One row of n floats (a multiple of the block) to blocks; `importance` may be NULL. */
typedef void ls_encode_fn(void *out, const float *x, size_t n, const float *importance);

ls_encode_fn ls_encode_Q1_0, ls_encode_Q2_0, ls_encode_Q4_0, ls_encode_Q4_1, ls_encode_Q5_0,
    ls_encode_Q5_1, ls_encode_Q8_0, ls_encode_Q8_1, ls_encode_MXFP4, ls_encode_NVFP4,
    ls_encode_TQ1_0, ls_encode_TQ2_0, ls_encode_Q2_K, ls_encode_Q3_K, ls_encode_Q4_K,
    ls_encode_Q5_K, ls_encode_Q6_K, ls_encode_Q8_K, ls_encode_IQ4_NL, ls_encode_IQ4_XS;

/* Below this a group counts as zero. */
#define LS_Q_TINY 1e-15f

/* To the nearest integer, ties to even, by adding 1.5 * 2^23. Out of range: what the bits give. */
static inline int ls_q_nearest(float v)
{
    float    shifted = v + 12582912.0f;
    uint32_t u;
    memcpy(&u, &shifted, 4);
    return (int)(u & 0x7fffff) - 0x400000;
}

/* Towards zero; INT32_MIN where there is no such integer, as processors have it. */
static inline int ls_q_toward_zero(float v)
{
    return v >= -2147483648.0f && v < 2147483648.0f ? (int)v : INT32_MIN;
}

static inline int ls_q_clamp(int v, int low, int high) { return v > high ? high : v < low ? low : v; }

static inline float ls_q_sum_squares(const float *x, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sum;
}

/* Largest magnitude; *value is the first element that has it, with its sign. */
float ls_q_largest(const float *x, size_t n, float *value);
/* Weights of a group: importance times sqrt(sigma2 + x^2). */
void ls_q_weigh(float *w, const float *x, const float *importance, float sigma2, int n);

/* Scale s and codes so that x = s * (code - nmax), codes 0 to 2 nmax - 1; eighteen scales beside
 * that of the largest value are tried. w NULL: squares of x. */
float ls_q_symmetric(int n, int nmax, const float *x, const float *w, int8_t *code);
/* The same with squares as weights, by moving one code at a time while that helps. */
float ls_q_descent(int n, int nmax, const float *x, int8_t *code);
/* Scale s and codes 0 to nmax for x that is not negative. */
float ls_q_positive(int n, int nmax, const float *x, const float *w, uint8_t *code);

/* How many scales are tried for s and minimum m in x = s * code - m, and which. */
typedef struct ls_q_steps {
    float first, step;
    int   n;
    bool  absolute; /* errors are absolute values, not squares */
} ls_q_steps;
float ls_q_affine(int n, int nmax, const float *x, const float *w, uint8_t *code, float *min,
                  const ls_q_steps *steps);

/* -s, 0 and s to I2_S, TL1 or TL2, into ls_quant_bytes bytes. Errors: NOMEM; UNSUPPORTED, naming row
 * and column, where a weight is none of them. */
ls_status ls_encode_ternary(int dtype, uint8_t *out, const float *x, size_t n_rows, size_t n,
                            ls_error *err);

#endif
