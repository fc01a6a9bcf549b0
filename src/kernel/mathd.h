// SPDX-License-Identifier: MIT
/* mathd.h - double-precision elementary functions with the same bits on every machine.
 *
 * Built from + - * / and fma alone, never from libm functions whose last bit may differ
 * between versions (NUMERICS.md, clause 6). Used for RoPE frequencies and angles. */
#ifndef LS_KERNEL_MATHD_H
#define LS_KERNEL_MATHD_H

/* e^x, relative error below 2^-51; overflows to infinity, results below 2^-1022 are 0. */
double ls_exp_d(double x);
/* Natural logarithm, relative error below 2^-50; log(0) = -infinity, NaN below 0. */
double ls_log_d(double x);
/* base^x for base > 0, as exp(x * log(base)); exactly 1 for x = 0. Relative error below
 * 2^-51 * (2 + |x * log(base)|). */
double ls_pow_d(double base, double x);
/* *s = sin(x), *c = cos(x). Absolute error below 2^-51 for |x| <= 2^20 and below 1e-12 for
 * |x| <= 2^31; beyond that, and for infinities and NaN, both are NaN. */
void ls_sincos_d(double x, double *s, double *c);

/* e^x of a float, by the table and polynomial of Arm's optimized routines (expf), which the C
 * libraries in use share: error below 0.51 ULP. Infinity above 88.72284, 0 below -103.97. */
float ls_exp_f(float x);

/* tanh(x), from ls_exp_d, rounded to float once. */
float ls_tanh_f(float x);

/* *s = sin(x), *c = cos(x) of a float angle, by the polynomials of Arm's optimized routines
 * (sincosf), which the C libraries in use share: error below 0.57 ULP. NaN as ls_sincos_d. */
void ls_sincos_f(float x, float *s, float *c);

#endif
