// SPDX-License-Identifier: MIT
/* blocks_inl.h - products of Q4_0, Q8_0, Q4_K and Q6_K rows for the x86 tiers.
 *
 * scalar/blocks.c is the definition; dtype/blocks.h has the layouts. */
#ifndef LS_KERNEL_BLOCKS_INL_H
#define LS_KERNEL_BLOCKS_INL_H

#include <stddef.h>

#include "kernel/x86/tile_inl.h"

/* Nibbles stay unsigned: the sums start at -8 times the sum of the activations. */
LS_INLINE void tile_q4_0(const ls_tile *t, int nc)
{
    __m256 acc[LS_TILE_COLS];
    for (int c = 0; c < nc; c++) acc[c] = _mm256_setzero_ps();
    for (size_t b = 0; b < t->n / 32; b++) {
        size_t  off = b * sizeof(ls_q4_0);
        __m256i p[LS_TILE_COLS][8], init[LS_TILE_COLS], xq[LS_TILE_COLS];
        __m256  dw = ls_row_scales(t, off);
        for (int c = 0; c < nc; c++) {
            const ls_q8_0 *x = (const ls_q8_0 *)(const void *)t->x[c] + b;
            xq[c] = ls_load256(x->qs);
            init[c] =
                _mm256_sub_epi32(_mm256_setzero_si256(),
                                 ls_dot_add(_mm256_setzero_si256(), _mm256_set1_epi8(8), xq[c]));
        }
#pragma GCC unroll 8
        for (int r = 0; r < 8; r++) {
            __m128i raw = _mm_loadu_si128((const __m128i *)(const void *)(t->w[r] + off + 2));
            if (b % 2 == 0) ls_tile_fetch(t, nc, r, off, sizeof(ls_q4_0));
            __m256i u = _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(raw, 4), raw),
                                         _mm256_set1_epi8(15));
            for (int c = 0; c < nc; c++) p[c][r] = ls_dot_add(init[c], u, xq[c]);
        }
        for (int c = 0; c < nc; c++) {
            const ls_q8_0 *x = (const ls_q8_0 *)(const void *)t->x[c] + b;
            acc[c] = _mm256_fmadd_ps(_mm256_mul_ps(dw, ls_f16_all(&x->d)),
                                     _mm256_cvtepi32_ps(ls_reduce8(p[c])), acc[c]);
        }
    }
    for (int c = 0; c < nc; c++) ls_tile_store(t, c, acc[c]);
}

/* w * x = |w| * (x with the sign of w). Weights may be -128, whose magnitude is 128 as an
 * unsigned byte; activations never are (clause 3), so their sign can be changed. */
LS_INLINE void tile_q8_0_whole(const ls_tile *t, int nc)
{
    __m256 acc[LS_TILE_COLS];
    for (int c = 0; c < nc; c++) acc[c] = _mm256_setzero_ps();
    for (size_t b = 0; b < t->n / 32; b++) {
        size_t  off = b * sizeof(ls_q8_0);
        __m256i p[LS_TILE_COLS][8];
        __m256  dw = ls_row_scales(t, off);
#pragma GCC unroll 8
        for (int r = 0; r < 8; r++) {
            __m256i w = ls_load256(t->w[r] + off + 2), u = _mm256_abs_epi8(w);
            ls_tile_fetch(t, nc, r, off, sizeof(ls_q8_0));
            for (int c = 0; c < nc; c++) {
                p[c][r] = ls_dot_add(_mm256_setzero_si256(), u,
                                     _mm256_sign_epi8(ls_load256(t->x[c] + off + 2), w));
            }
        }
        for (int c = 0; c < nc; c++) {
            acc[c] = _mm256_fmadd_ps(_mm256_mul_ps(dw, ls_f16_all(t->x[c] + off)),
                                     _mm256_cvtepi32_ps(ls_reduce8(p[c])), acc[c]);
        }
    }
    for (int c = 0; c < nc; c++) ls_tile_store(t, c, acc[c]);
}

LS_INLINE void tile_q8_0(const ls_tile *t, int nc)
{
    ls_tile_acc acc;
    ls_tile_clear(&acc, nc);
    for (size_t b = 0; b < t->n / 32; b++) {
        size_t  off = b * sizeof(ls_q8_0);
        __m256i xq[LS_TILE_COLS];
        float   d[LS_TILE_COLS][LS_TILE_ROWS];
        __m256  dw = ls_row_scales(t, off);
        for (int c = 0; c < nc; c++) {
            xq[c] = ls_load256(t->x[c] + off + 2);
            _mm256_storeu_ps(d[c], _mm256_mul_ps(dw, ls_f16_all(t->x[c] + off)));
        }
#pragma GCC unroll 8
        for (int r = 0; r < LS_TILE_ROWS; r++) {
            __m256i w = ls_load256(t->w[r] + off + 2), u = _mm256_abs_epi8(w);
            for (int c = 0; c < nc; c++) {
                __m256i sum = ls_dot_add(_mm256_setzero_si256(), u, _mm256_sign_epi8(xq[c], w));
                acc.v[c][r] =
                    _mm256_fmadd_ps(_mm256_set1_ps(d[c][r]), _mm256_cvtepi32_ps(sum), acc.v[c][r]);
            }
        }
    }
    ls_tile_finish(t, &acc, nc);
}

/* The eight scales and eight minimums of a Q4_K block as int16, four at a time in a word. */
LS_INLINE void q4_k_scales(const uint8_t *block, __m128i *scales, __m128i *mins)
{
    uint32_t s[3], sc[2], mn[2];
    memcpy(s, block + offsetof(ls_q4_k, scales), 12);
    sc[0] = s[0] & 0x3f3f3f3f;
    sc[1] = (s[2] & 0x0f0f0f0f) | (s[0] >> 2 & 0x30303030);
    mn[0] = s[1] & 0x3f3f3f3f;
    mn[1] = (s[2] >> 4 & 0x0f0f0f0f) | (s[1] >> 2 & 0x30303030);
    *scales = _mm_cvtepu8_epi16(_mm_setr_epi32((int)sc[0], (int)sc[1], 0, 0));
    *mins = _mm_cvtepu8_epi16(_mm_setr_epi32((int)mn[0], (int)mn[1], 0, 0));
}

/* Row r of a Q4_K block, for each column: lane k of p is the scaled sum of sub-blocks 2k and
 * 2k + 1, lane k of q that of their minimums. */
LS_INLINE void row_q4_k(const uint8_t *block, const ls_q8_k *const *x, int nc, int r,
                        __m128i (*p)[8], __m128i (*q)[8])
{
    __m128i scales, mins;
    __m256i sc, sum[LS_TILE_COLS][4];
    q4_k_scales(block, &scales, &mins);
    sc = _mm256_broadcastsi128_si256(scales);
#pragma GCC unroll 4
    for (int k = 0; k < 4; k++) { /* 32 bytes hold sub-blocks 2k and 2k + 1 */
        __m256i raw = ls_load256(block + offsetof(ls_q4_k, qs) + 32 * k);
        __m256i lo = _mm256_and_si256(raw, _mm256_set1_epi8(15));
        __m256i hi = _mm256_and_si256(_mm256_srli_epi16(raw, 4), _mm256_set1_epi8(15));
        /* bytes 4k, 4k + 1 (then 4k + 2, 4k + 3) of each half, in every int16 lane */
        __m256i sl = _mm256_shuffle_epi8(sc, _mm256_set1_epi16((short)(0x0100 + 0x0404 * k)));
        __m256i sh = _mm256_shuffle_epi8(sc, _mm256_set1_epi16((short)(0x0302 + 0x0404 * k)));
        for (int c = 0; c < nc; c++) {
            __m256i xl = ls_load256(x[c]->qs + 64 * k), xh = ls_load256(x[c]->qs + 64 * k + 32);
            __m256i s = _mm256_madd_epi16(_mm256_maddubs_epi16(lo, xl), sl);
            sum[c][k] = ls_madd_add(s, _mm256_maddubs_epi16(hi, xh), sh);
        }
    }
    for (int c = 0; c < nc; c++) {
        const __m128i *bs = (const __m128i *)(const void *)x[c]->bsums;
        __m128i        pairs = _mm_hadd_epi16(_mm_loadu_si128(bs), _mm_loadu_si128(bs + 1));
        __m256i        h = _mm256_hadd_epi32(_mm256_hadd_epi32(sum[c][0], sum[c][1]),
                                             _mm256_hadd_epi32(sum[c][2], sum[c][3]));
        p[c][r] = _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
        q[c][r] = _mm_madd_epi16(mins, pairs);
    }
}

/* acc += d * (lane k of the 8 rows p), k = 0..3 in turn, rows in the lanes of acc; `whole`: the
 * four are added as integers first. */
LS_INLINE __m256 add_4_sums(__m256 acc, __m256 d, const __m128i p[8], bool whole)
{
    __m256i a = _mm256_set_m128i(p[4], p[0]), b = _mm256_set_m128i(p[5], p[1]);
    __m256i c = _mm256_set_m128i(p[6], p[2]), e = _mm256_set_m128i(p[7], p[3]);
    __m256i ab = _mm256_unpacklo_epi32(a, b), ce = _mm256_unpacklo_epi32(c, e);
    __m256i AB = _mm256_unpackhi_epi32(a, b), CE = _mm256_unpackhi_epi32(c, e);
    if (whole) {
        __m256i s = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, ce), _mm256_unpackhi_epi64(ab, ce));
        __m256i S = _mm256_add_epi32(_mm256_unpacklo_epi64(AB, CE), _mm256_unpackhi_epi64(AB, CE));
        return _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(_mm256_add_epi32(s, S)), acc);
    }
    acc = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(_mm256_unpacklo_epi64(ab, ce)), acc);
    acc = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(_mm256_unpackhi_epi64(ab, ce)), acc);
    acc = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(_mm256_unpacklo_epi64(AB, CE)), acc);
    return _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(_mm256_unpackhi_epi64(AB, CE)), acc);
}

LS_INLINE void tile_q4_k(const ls_tile *t, int nc)
{
    __m256 acc[LS_TILE_COLS], mins[LS_TILE_COLS];
    for (int c = 0; c < nc; c++) acc[c] = mins[c] = _mm256_setzero_ps();
    for (size_t b = 0; b < t->n / 256; b++) {
        size_t         off = b * sizeof(ls_q4_k);
        const ls_q8_k *x[LS_TILE_COLS];
        __m128i        p[LS_TILE_COLS][8], q[LS_TILE_COLS][8];
        __m256         dw = ls_row_scales(t, off + offsetof(ls_q4_k, d));
        __m256         mw = ls_row_scales(t, off + offsetof(ls_q4_k, dmin));
        for (int c = 0; c < nc; c++) x[c] = (const ls_q8_k *)(const void *)t->x[c] + b;
        for (int r = 0; r < 8; r++) {
            ls_tile_fetch(t, nc, r, off, sizeof(ls_q4_k));
            row_q4_k(t->w[r] + off, x, nc, r, p, q);
        }
        for (int c = 0; c < nc; c++) {
            __m256 dx = _mm256_set1_ps(x[c]->d);
            /* with `follow` single columns are the last n_cols % 4 */
            bool whole = t->whole || (nc == 1 && t->follow);
            acc[c] = add_4_sums(acc[c], _mm256_mul_ps(dw, dx), p[c], whole);
            mins[c] = add_4_sums(mins[c], _mm256_mul_ps(mw, dx), q[c], whole);
        }
    }
    for (int c = 0; c < nc; c++) ls_tile_store(t, c, _mm256_sub_ps(acc[c], mins[c]));
}

/* The 128 six-bit codes of half a Q6_K block. */
LS_INLINE void q6_k_codes(__m256i u[4], const uint8_t *ql, const uint8_t *qh)
{
    __m256i nib = _mm256_set1_epi8(15), two = _mm256_set1_epi8(0x30);
    __m256i a = ls_load256(ql), b = ls_load256(ql + 32), h = ls_load256(qh);
    u[0] =
        _mm256_or_si256(_mm256_and_si256(a, nib), _mm256_and_si256(_mm256_slli_epi16(h, 4), two));
    u[1] =
        _mm256_or_si256(_mm256_and_si256(b, nib), _mm256_and_si256(_mm256_slli_epi16(h, 2), two));
    u[2] =
        _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(a, 4), nib), _mm256_and_si256(h, two));
    u[3] = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(b, 4), nib),
                           _mm256_and_si256(_mm256_srli_epi16(h, 2), two));
}

/* Row r of a Q6_K block: acc += d * (sums of each lane). Codes stay unsigned: the products of
 * scales and sums of activations, in pairs the lanes they belong to, take off 32 of each. */
LS_INLINE void row_q6_k(const uint8_t *block, const ls_q8_k *const *x, int nc, int r,
                        __m256i sum[LS_TILE_COLS])
{
    __m128i s8 =
        _mm_loadu_si128((const __m128i *)(const void *)(block + offsetof(ls_q6_k, scales)));
    __m256i s16 = _mm256_cvtepi8_epi16(s8);
    (void)r;
    for (int c = 0; c < nc; c++) {
        __m256i off = _mm256_madd_epi16(s16, ls_load256(x[c]->bsums));
        sum[c] = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(off, 5));
    }
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        __m256i u[4];
        q6_k_codes(u, block + 64 * h, block + offsetof(ls_q6_k, qh) + 32 * h);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) { /* scale 8h + 2j for 16 elements, then 8h + 2j + 1 */
            const long long first = 0x0101010101010101 * (8 * h + 2 * j);
            __m128i         pick = _mm_set_epi64x(first + 0x0101010101010101, first);
            __m256i         sc = _mm256_cvtepi8_epi16(_mm_shuffle_epi8(s8, pick));
            for (int c = 0; c < nc; c++) {
                __m256i xq = ls_load256(x[c]->qs + 128 * h + 32 * j);
                sum[c] = ls_madd_add(sum[c], _mm256_maddubs_epi16(u[j], xq), sc);
            }
        }
    }
}

LS_INLINE void tile_q6_k(const ls_tile *t, int nc)
{
    ls_tile_acc acc;
    ls_tile_clear(&acc, nc);
    for (size_t b = 0; b < t->n / 256; b++) {
        const ls_q8_k *x[LS_TILE_COLS];
        for (int c = 0; c < nc; c++) x[c] = (const ls_q8_k *)(const void *)t->x[c] + b;
        for (int r = 0; r < LS_TILE_ROWS; r++) {
            __m256i sum[LS_TILE_COLS];
            row_q6_k(t->w[r] + b * sizeof(ls_q6_k), x, nc, r, sum);
            ls_tile_add(t, &acc, nc, r, b * sizeof(ls_q6_k) + offsetof(ls_q6_k, d), x, sum);
        }
    }
    ls_tile_finish(t, &acc, nc);
}

LS_INLINE void tile_q6_k_whole(const ls_tile *t, int nc)
{
    __m256 acc[LS_TILE_COLS];
    for (int c = 0; c < nc; c++) acc[c] = _mm256_setzero_ps();
    for (size_t b = 0; b < t->n / 256; b++) {
        const ls_q8_k *x[LS_TILE_COLS];
        __m256i        sum[8][LS_TILE_COLS];
        for (int c = 0; c < nc; c++) x[c] = (const ls_q8_k *)(const void *)t->x[c] + b;
        for (int r = 0; r < 8; r++) {
            ls_tile_fetch(t, nc, r, b * sizeof(ls_q6_k), sizeof(ls_q6_k));
            row_q6_k(t->w[r] + b * sizeof(ls_q6_k), x, nc, r, sum[r]);
        }
        ls_tile_add_whole(t, acc, nc, b * sizeof(ls_q6_k) + offsetof(ls_q6_k, d), x, sum);
    }
    for (int c = 0; c < nc; c++) ls_tile_store(t, c, acc[c]);
}

static void tile_q4_0_x1(const ls_tile *t) { tile_q4_0(t, 1); }
static void tile_q4_0_x4(const ls_tile *t) { tile_q4_0(t, 4); }
static void tile_q8_0_x1(const ls_tile *t) { tile_q8_0(t, 1); }
static void tile_q8_0_x4(const ls_tile *t) { tile_q8_0(t, 4); }
static void tile_q8_0_whole_x1(const ls_tile *t) { tile_q8_0_whole(t, 1); }
static void tile_q8_0_whole_x4(const ls_tile *t) { tile_q8_0_whole(t, 4); }
static void tile_q4_k_x1(const ls_tile *t) { tile_q4_k(t, 1); }
static void tile_q4_k_x4(const ls_tile *t) { tile_q4_k(t, 4); }
static void tile_q6_k_x1(const ls_tile *t) { tile_q6_k(t, 1); }
static void tile_q6_k_x4(const ls_tile *t) { tile_q6_k(t, 4); }
static void tile_q6_k_whole_x1(const ls_tile *t) { tile_q6_k_whole(t, 1); }
static void tile_q6_k_whole_x4(const ls_tile *t) { tile_q6_k_whole(t, 4); }

static void matmul_q4_0(const ls_matmul *m) { ls_tiles_run(m, tile_q4_0_x1, tile_q4_0_x4); }
static void matmul_q8_0(const ls_matmul *m)
{
    if (m->whole) ls_tiles_run(m, tile_q8_0_whole_x1, tile_q8_0_whole_x4);
    else ls_tiles_run(m, tile_q8_0_x1, tile_q8_0_x4);
}

static void matmul_q4_k(const ls_matmul *m) { ls_tiles_run(m, tile_q4_k_x1, tile_q4_k_x4); }
static void matmul_q6_k(const ls_matmul *m)
{
    if (m->whole) ls_tiles_run(m, tile_q6_k_whole_x1, tile_q6_k_whole_x4);
    else ls_tiles_run(m, tile_q6_k_x1, tile_q6_k_x4);
}


LS_INLINE void blocks_fill(ls_kernels *k)
{
    k->matmul_q4_0 = matmul_q4_0;
    k->matmul_q8_0 = matmul_q8_0;
    k->matmul_q4_k = matmul_q4_k;
    k->matmul_q6_k = matmul_q6_k;
}

#endif
