// SPDX-License-Identifier: MIT
/* tile_inl.h - tiles of 8 weight rows and 1 or 4 columns, for the quantised products on x86.
 *
 * Compiled for AVX2 and again for AVX-512, where VNNI instructions replace two or three others.
 * Where an output has 8 float lanes (NUMERICS.md, clause 4) they are the lanes of a register;
 * where it has one, the integer sums of 8 rows are brought into the lanes of one register.
 * Columns share the decoding of the weights. */
#ifndef LS_KERNEL_TILE_INL_H
#define LS_KERNEL_TILE_INL_H

#include <immintrin.h>
#include <string.h>

#define LS_TILE_ROWS 8
#define LS_TILE_COLS 4
#include "kernel/tiles_inl.h"

LS_INLINE void ls_tile_store(const ls_tile *t, int c, __m256 v)
{
    float lanes[LS_TILE_ROWS];
    if (t->n_rows == LS_TILE_ROWS) {
        _mm256_storeu_ps(t->y[c], v);
        return;
    }
    _mm256_storeu_ps(lanes, v);
    memcpy(t->y[c], lanes, t->n_rows * sizeof(float));
}

LS_INLINE __m256i ls_load256(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }

/* acc + a . b over pairs of int16. */
LS_INLINE __m256i ls_madd_add(__m256i acc, __m256i a, __m256i b)
{
#if defined(__AVX512VNNI__)
    return _mm256_dpwssd_epi32(acc, a, b);
#else
    return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b));
#endif
}

/* acc + u . s over groups of four bytes, u unsigned. Without VNNI the sums of two products
 * pass through int16: callers keep 2 * max(u) * max|s| below 2^15. */
LS_INLINE __m256i ls_dot_add(__m256i acc, __m256i u, __m256i s)
{
#if defined(__AVX512VNNI__)
    return _mm256_dpbusd_epi32(acc, u, s);
#else
    return ls_madd_add(acc, _mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1));
#endif
}

/* acc + u . s over 128 elements with u <= 3: int16 holds four sums of two products. */
LS_INLINE __m256i ls_dot_add_small(__m256i acc, const __m256i u[4], const void *s)
{
    const uint8_t *p = s;
#if defined(__AVX512VNNI__)
    for (int j = 0; j < 4; j++) acc = _mm256_dpbusd_epi32(acc, u[j], ls_load256(p + 32 * j));
    return acc;
#else
    __m256i a = _mm256_add_epi16(_mm256_maddubs_epi16(u[0], ls_load256(p)),
                                 _mm256_maddubs_epi16(u[1], ls_load256(p + 32)));
    __m256i b = _mm256_add_epi16(_mm256_maddubs_epi16(u[2], ls_load256(p + 64)),
                                 _mm256_maddubs_epi16(u[3], ls_load256(p + 96)));
    return ls_madd_add(acc, _mm256_add_epi16(a, b), _mm256_set1_epi16(1));
#endif
}

/* NUMERICS.md, clause 2: the tree of 8 stripes, + 4, + 2, + 1. */
LS_INLINE float ls_tree256(__m256 s8)
{
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

/* The float lanes of a tile's outputs. */
typedef struct ls_tile_acc {
    __m256 v[LS_TILE_COLS][LS_TILE_ROWS];
} ls_tile_acc;

LS_INLINE void ls_tile_clear(ls_tile_acc *acc, int nc)
{
    for (int c = 0; c < nc; c++) {
#pragma GCC unroll 8
        for (int r = 0; r < LS_TILE_ROWS; r++) acc->v[c][r] = _mm256_setzero_ps();
    }
}

LS_INLINE void ls_tile_finish(const ls_tile *t, const ls_tile_acc *acc, int nc)
{
    for (int c = 0; c < nc; c++) {
        float y[LS_TILE_ROWS];
#pragma GCC unroll 8
        for (int r = 0; r < LS_TILE_ROWS; r++) y[r] = ls_tree256(acc->v[c][r]);
        memcpy(t->y[c], y, t->n_rows * sizeof(float));
    }
}

/* Lane r of the result is the sum of the lanes of p[r]. */
LS_INLINE __m256i ls_reduce8(const __m256i p[8])
{
    __m256i a = _mm256_hadd_epi32(_mm256_hadd_epi32(p[0], p[1]), _mm256_hadd_epi32(p[2], p[3]));
    __m256i b = _mm256_hadd_epi32(_mm256_hadd_epi32(p[4], p[5]), _mm256_hadd_epi32(p[6], p[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20),
                            _mm256_permute2x128_si256(a, b, 0x31));
}

/* The F16 value at p in every lane. */
LS_INLINE __m256 ls_f16_all(const void *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return _mm256_cvtph_ps(_mm_set1_epi16((short)h));
}

/* The F16 values at byte `off` of the 8 rows, decoded. */
LS_INLINE __m256 ls_row_scales(const ls_tile *t, size_t off)
{
    uint16_t d[LS_TILE_ROWS];
    for (int r = 0; r < LS_TILE_ROWS; r++) memcpy(&d[r], t->w[r] + off, 2);
    return _mm256_cvtph_ps(_mm_setr_epi16((short)d[0], (short)d[1], (short)d[2], (short)d[3],
                                          (short)d[4], (short)d[5], (short)d[6], (short)d[7]));
}

/* Lanes of row r, blocks of 256: acc += (scale at byte `off` of the row) * dx * sum. */
LS_INLINE void ls_tile_add(const ls_tile *t, ls_tile_acc *acc, int nc, int r, size_t off,
                           const ls_q8_k *const *x, const __m256i *sum)
{
    __m256 dw = ls_f16_all(t->w[r] + off);
    for (int c = 0; c < nc; c++) {
        acc->v[c][r] = _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_set1_ps(x[c]->d)),
                                       _mm256_cvtepi32_ps(sum[c]), acc->v[c][r]);
    }
}

/* The same with one accumulator a row: the lanes of acc are the rows. */
LS_INLINE void ls_tile_add_whole(const ls_tile *t, __m256 *acc, int nc, size_t off,
                                 const ls_q8_k *const *x, __m256i (*sum)[LS_TILE_COLS])
{
    __m256 dw = ls_row_scales(t, off);
    for (int c = 0; c < nc; c++) {
        __m256i p[8];
        for (int r = 0; r < 8; r++) p[r] = sum[r][c];
        acc[c] = _mm256_fmadd_ps(_mm256_mul_ps(dw, _mm256_set1_ps(x[c]->d)),
                                 _mm256_cvtepi32_ps(ls_reduce8(p)), acc[c]);
    }
}

#endif
