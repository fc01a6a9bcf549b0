// SPDX-License-Identifier: MIT
/* avx512_dense.c - products of F32, F16 and BF16 rows and the attention kernels for AVX-512.
 *
 * 16 stripes are one register; tiles are 8 x 1 (decoding) and 4 x 4. Masked loads read the tail
 * of a row without touching what lies behind it. 8 stripes: dense_inl.h. */
#include "kernel/numeric_inl.h"
#include "kernel/x86/dense_inl.h"

/* The elements i.. that `mask` selects, decoded exactly; zero elsewhere. */
LS_INLINE __m512 load16(elem e, const uint8_t *p, size_t i, __mmask16 mask)
{
    switch (e) {
    case F32:
        return _mm512_maskz_loadu_ps(mask, p + 4 * i);
    case F16:
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, p + 2 * i));
    case BF16:
        break;
    }
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p + 2 * i)), 16));
}

/* 24 sums and 2 registers of weights; activations come with the multiplications. */
#define PLAIN_LANES  16
#define PLAIN_STRIPS 2
#define PLAIN_COLS   12
typedef __m512 pf;
LS_INLINE pf   pf_set(float f) { return _mm512_set1_ps(f); }
LS_INLINE pf   pf_load(elem e, const uint8_t *p, size_t i) { return load16(e, p, i, 0xffff); }
LS_INLINE void pf_store(float *p, pf v) { _mm512_storeu_ps(p, v); }
LS_INLINE pf   pf_add(pf a, pf b) { return _mm512_add_ps(a, b); }
LS_INLINE pf   pf_fma(pf a, pf b, pf c) { return _mm512_fmadd_ps(a, b, c); }
/* v[j], element j of 16 rows, from v[r], 16 elements of row r: within 128 bits, then of these. */
LS_INLINE void transpose16(__m512 v[16])
{
    __m512 a[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        a[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
        a[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        v[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
        v[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
        v[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        v[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        a[i] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0x88);
        a[i + 4] = _mm512_shuffle_f32x4(v[i], v[i + 4], 0xdd);
        a[i + 8] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0x88);
        a[i + 12] = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0xdd);
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        v[i] = _mm512_shuffle_f32x4(a[i], a[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_f32x4(a[i], a[i + 8], 0xdd);
    }
}

LS_INLINE void pf_square(elem e, const uint8_t *const *rows, size_t k, pf v[16])
{
#pragma GCC unroll 16
    for (size_t l = 0; l < 16; l++) v[l] = pf_load(e, rows[l], k);
    transpose16(v);
}
#include "kernel/mix_inl.h"
#include "kernel/plain_inl.h"

/* NUMERICS.md, clause 2: + 8, + 4, + 2, + 1. */
LS_INLINE float sum16(__m512 v)
{
    return ls_tree256(_mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)));
}

/* 24 sums, 6 registers of activations, one of weights and one of a mask. */
#define PAIRS_LANES  16
#define PAIRS_CHAINS 24
#define PAIRS_COLS   6
typedef __m512 pp;
LS_INLINE pp   pp_zero(void) { return _mm512_setzero_ps(); }
LS_INLINE pp   pp_half(const uint16_t *p, bool odd)
{
    __m512i v = _mm512_loadu_si512(p);
    return _mm512_castsi512_ps(odd ? _mm512_and_si512(v, _mm512_set1_epi32((int)0xffff0000))
                                   : _mm512_slli_epi32(v, 16));
}
LS_INLINE pp   pp_fma(pp a, pp b, pp c) { return _mm512_fmadd_ps(a, b, c); }
LS_INLINE void pp_store(float *p, pp v) { _mm512_storeu_ps(p, v); }
#include "kernel/x86/pairs_inl.h"

/* out[c][r] = w[r] . x[c] for R <= 8 rows and C <= 4 columns, both constant. In the tail,
 * stripes without an element keep their value: even adding +0 would turn -0 into +0. */
LS_INLINE void tile(elem e, int R, int C, const uint8_t *const *w, const uint8_t *const *x,
                    size_t n, float (*out)[8])
{
    const __mmask16 rest = (__mmask16)((1u << (n % 16)) - 1);
    __m512          acc[4][8];
    size_t          i = 0;
    for (int c = 0; c < C; c++) {
        for (int r = 0; r < R; r++) acc[c][r] = _mm512_setzero_ps();
    }
    for (; i + 16 <= n; i += 16) {
        __m512 xv[4];
#pragma GCC unroll 4
        for (int c = 0; c < C; c++) xv[c] = load16(e, x[c], i, 0xffff);
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            __m512 wv = load16(e, w[r], i, 0xffff);
#pragma GCC unroll 4
            for (int c = 0; c < C; c++) acc[c][r] = _mm512_fmadd_ps(wv, xv[c], acc[c][r]);
        }
    }
#pragma GCC unroll 4
    for (int c = 0; c < C; c++) {
#pragma GCC unroll 8
        for (int r = 0; r < R; r++) {
            acc[c][r] = _mm512_mask3_fmadd_ps(load16(e, w[r], i, rest), load16(e, x[c], i, rest),
                                              acc[c][r], rest);
            out[c][r] = sum16(acc[c][r]);
        }
    }
}

/* One tile; rows past the end repeat the last one and are not stored. */
LS_INLINE void tile_at(elem e, int R, int C, const ls_matmul *m, size_t r0, size_t c0)
{
    const uint8_t *w[8], *x[4];
    float          out[4][8];
    for (size_t r = 0; r < (size_t)R; r++) {
        size_t row = r0 + r < m->n_rows ? r0 + r : m->n_rows - 1;
        w[r] = (const uint8_t *)m->w + row * m->row_bytes;
    }
    for (size_t c = 0; c < (size_t)C; c++) x[c] = (const uint8_t *)m->x + (c0 + c) * m->x_bytes;
    tile(e, R, C, w, x, m->n, out);
    for (size_t c = 0; c < (size_t)C; c++) {
        for (size_t r = 0; r < (size_t)R && r0 + r < m->n_rows; r++) {
            m->y[(c0 + c) * m->ldy + r0 + r] = out[c][r];
        }
    }
}

/* Rows in groups that stay in the cache while the columns go by. */
LS_INLINE void matmul(elem e, const ls_matmul *m)
{
    enum { GROUP = 16 };
    if (m->lanes == 8) {
        dense_matmul(e, m, 8);
        return;
    }
    for (size_t g = 0; g < m->n_rows; g += GROUP) {
        size_t end = m->n_rows - g < GROUP ? m->n_rows : g + GROUP, c = 0;
        for (; c + 4 <= m->n_cols; c += 4) {
            for (size_t r = g; r < end; r += 4) tile_at(e, 4, 4, m, r, c);
        }
        for (; c < m->n_cols; c++) {
            for (size_t r = g; r < end; r += 8) tile_at(e, 8, 1, m, r, c);
        }
    }
}

static void matmul_f32(const ls_matmul *m)
{
    if (m->whole) {
        rows_f32(m);
    } else {
        matmul(F32, m);
    }
}

static void matmul_f16(const ls_matmul *m)
{
    if (m->whole) {
        rows_f16(m);
    } else {
        matmul(F16, m);
    }
}

static void matmul_bf16(const ls_matmul *m)
{
    if (m->whole) {
        rows_bf16(m);
    } else {
        matmul(BF16, m);
    }
}

LS_INLINE float dot(elem e, const void *a, const void *b, size_t n, int lanes)
{
    const uint8_t *w = a, *x = b;
    float          out[1][8];
    if (lanes == 8) return dense_dot(e, a, b, n, 8);
    tile(e, 1, 1, &w, &x, n, out);
    return out[0][0];
}

static float dot_f16(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    return dot(F16, a, b, n, lanes);
}

LS_INLINE void axpy(elem e, float *restrict y, float a, const void *restrict x, size_t n)
{
    const uint8_t *p = x;
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = (__mmask16)(n - i < 16 ? (1u << (n - i)) - 1 : 0xffff);
        __m512    v = _mm512_maskz_loadu_ps(mask, y + i);
        v = _mm512_fmadd_ps(_mm512_set1_ps(a), load16(e, p, i, mask), v);
        _mm512_mask_storeu_ps(y + i, mask, v);
    }
}

static void axpy_f32(float *restrict y, float a, const float *restrict x, size_t n)
{
    axpy(F32, y, a, x, n);
}

void ls_kernels_avx512_dense(ls_kernels *k)
{
    k->matmul_f32 = matmul_f32;
    k->strips_f32 = strips_f32;
    k->matmul_f16 = matmul_f16;
    k->strips_f16 = strips_f16;
    k->matmul_bf16 = matmul_bf16;
    k->strips_bf16 = strips_bf16;
    k->matmul_bf16_pairs = matmul_bf16_pairs;
    k->dot_f16 = dot_f16;
    k->axpy_f32 = axpy_f32;
    k->mix_f16 = mix_f16;
}
