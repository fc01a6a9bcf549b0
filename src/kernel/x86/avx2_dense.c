// SPDX-License-Identifier: MIT
/* avx2_dense.c - products of F32, F16 and BF16 rows and the attention kernels for AVX2. */
#include "kernel/numeric_inl.h"
#include "kernel/x86/dense_inl.h"

/* 12 sums, 2 registers of weights and one of an activation fill the 16 registers. */
#define PLAIN_LANES  8
#define PLAIN_STRIPS 1
#define PLAIN_COLS   6
typedef __m256 pf;
LS_INLINE pf   pf_set(float f) { return _mm256_set1_ps(f); }
LS_INLINE pf   pf_load(elem e, const uint8_t *p, size_t i) { return load8(e, p, i); }
LS_INLINE void pf_store(float *p, pf v) { _mm256_storeu_ps(p, v); }
LS_INLINE pf   pf_add(pf a, pf b) { return _mm256_add_ps(a, b); }
LS_INLINE pf   pf_fma(pf a, pf b, pf c) { return _mm256_fmadd_ps(a, b, c); }
/* v[j], element j of 8 rows, from v[r], 8 elements of row r. */
LS_INLINE void transpose8(__m256 v[8])
{
    __m256 a[8], b[8];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}

LS_INLINE void pf_square(elem e, const uint8_t *const *rows, size_t k, pf v[8])
{
#pragma GCC unroll 8
    for (size_t l = 0; l < 8; l++) v[l] = load8(e, rows[l], k);
    transpose8(v);
}
#include "kernel/mix_inl.h"
#include "kernel/plain_inl.h"

/* 12 sums and 3 registers of activations; masks come from memory. */
#define PAIRS_LANES  8
#define PAIRS_CHAINS 12
#define PAIRS_COLS   3
typedef __m256 pp;
LS_INLINE pp   pp_zero(void) { return _mm256_setzero_ps(); }
LS_INLINE pp   pp_half(const uint16_t *p, bool odd)
{
    __m256i v = ls_load256(p);
    return _mm256_castsi256_ps(odd ? _mm256_and_si256(v, _mm256_set1_epi32((int)0xffff0000))
                                   : _mm256_slli_epi32(v, 16));
}
LS_INLINE pp   pp_fma(pp a, pp b, pp c) { return _mm256_fmadd_ps(a, b, c); }
LS_INLINE void pp_store(float *p, pp v) { _mm256_storeu_ps(p, v); }
#include "kernel/x86/pairs_inl.h"

LS_INLINE void both_widths(elem e, const ls_matmul *m)
{
    if (m->lanes == 8) {
        dense_matmul(e, m, 8);
    } else {
        dense_matmul(e, m, 16);
    }
}

static void matmul_f32(const ls_matmul *m)
{
    if (m->whole) {
        rows_f32(m);
    } else {
        both_widths(F32, m);
    }
}

static void matmul_f16(const ls_matmul *m)
{
    if (m->whole) {
        rows_f16(m);
    } else {
        both_widths(F16, m);
    }
}

static void matmul_bf16(const ls_matmul *m)
{
    if (m->whole) {
        rows_bf16(m);
    } else {
        both_widths(BF16, m);
    }
}

static float dot_f16(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    return lanes == 8 ? dense_dot(F16, a, b, n, 8) : dense_dot(F16, a, b, n, 16);
}

/* Whole steps of 4 * lanes elements, a stripe each, and what is left over. */
LS_INLINE float wide_f16(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    const size_t   step = 4 * (size_t)lanes;
    const uint8_t *p = (const void *)a, *q = (const void *)b;
    __m256         s[8];
    float          stripes[4 * LS_STRIPES];
    size_t         i = 0;
    double         sum;
    for (size_t k = 0; k < step / 8; k++) s[k] = _mm256_setzero_ps();
    for (; i + step <= n; i += step) {
#pragma GCC unroll 8
        for (size_t k = 0; k < step / 8; k++)
            s[k] = _mm256_fmadd_ps(load8(F16, p, i + 8 * k), load8(F16, q, i + 8 * k), s[k]);
    }
    for (size_t k = 0; k < step / 8; k++) _mm256_storeu_ps(stripes + 8 * k, s[k]);
    sum = (double)row_wide_sum(stripes, lanes);
    for (; i < n; i++) sum += (double)(_cvtsh_ss(a[i]) * _cvtsh_ss(b[i]));
    return (float)sum;
}

static float dot_f16_wide(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    return lanes == 8 ? wide_f16(a, b, n, 8) : wide_f16(a, b, n, 16);
}

static void axpy_f32(float *restrict y, float a, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = fmaf(a, x[i], y[i]);
}

void ls_kernels_avx2_dense(ls_kernels *k)
{
    k->matmul_f32 = matmul_f32;
    k->strips_f32 = strips_f32;
    k->matmul_f16 = matmul_f16;
    k->strips_f16 = strips_f16;
    k->matmul_bf16 = matmul_bf16;
    k->strips_bf16 = strips_bf16;
    k->matmul_bf16_pairs = matmul_bf16_pairs;
    k->dot_f16 = dot_f16;
    k->dot_f16_wide = dot_f16_wide;
    k->axpy_f32 = axpy_f32;
    k->mix_f16 = mix_f16;
}
