// SPDX-License-Identifier: MIT
/* avx2_strips.c - products of strips with AVX2: 8 rows a register, two registers a strip.
 *
 * Codes meet activations in vpmaddubsw, whose sums of two products are added in 16 bits as long as
 * they fit; vpmaddwd adds them in pairs and multiplies by the scale. */
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define V_ROWS           8
#define STRIP_BIAS       0
#define STRIP_PANEL      1
#define STRIP_NARROW     4
#define STRIP_SIGNED     3
#define STRIP_WIDE       6
#define STRIP_WIDE_REGS  1
#define STRIP_SUMS       4
#define STRIP_SUMS_REGS  2
#define STRIP_LANES      1
#define STRIP_LANES_WIDE 4
#define STRIP_STEPS      32
#define STRIP_CODES      ls_kernels_avx2_grid

typedef __m256i vi;
typedef __m256  vf;
#define V static inline __attribute__((always_inline))

V vi   v_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
V void v_store(void *p, vi v) { _mm256_storeu_si256((__m256i *)p, v); }
V vi   v_zero(void) { return _mm256_setzero_si256(); }
V vi   v_set8(int i) { return _mm256_set1_epi8((char)i); }
V vi   v_set16(int i) { return _mm256_set1_epi16((short)i); }
V vi   v_set32(int i) { return _mm256_set1_epi32(i); }
V vi   v_and(vi a, vi b) { return _mm256_and_si256(a, b); }
V vi   v_or(vi a, vi b) { return _mm256_or_si256(a, b); }
V vi   v_srl16(vi a, int n) { return _mm256_srli_epi16(a, n); }
V vi   v_sll16(vi a, int n) { return _mm256_slli_epi16(a, n); }
V vi   v_sra16(vi a, int n) { return _mm256_srai_epi16(a, n); }
V vi   v_min8(vi a, vi b) { return _mm256_min_epu8(a, b); }
V vi   v_add8(vi a, vi b) { return _mm256_add_epi8(a, b); }
V vi   v_sub8(vi a, vi b) { return _mm256_sub_epi8(a, b); }
V vi   v_subs8(vi a, vi b) { return _mm256_subs_epu8(a, b); }
V vi   v_add32(vi a, vi b) { return _mm256_add_epi32(a, b); }
V vi   v_sub32(vi a, vi b) { return _mm256_sub_epi32(a, b); }
V vi   v_max32(vi a, vi b) { return _mm256_max_epi32(a, b); }
V vi   v_sll32(vi a, int n) { return _mm256_slli_epi32(a, n); }
V vf   v_as_float(vi a) { return _mm256_castsi256_ps(a); }
V vf   v_float(vi a) { return _mm256_cvtepi32_ps(a); }
V vf   vf_zero(void) { return _mm256_setzero_ps(); }
V vf   vf_set(float f) { return _mm256_set1_ps(f); }
V vf   vf_load(const float *p) { return _mm256_loadu_ps(p); }
V void vf_store(float *p, vf v) { _mm256_storeu_ps(p, v); }
V vf   vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
V vf   vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
V vf   vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
V vf   vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
V vf   vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
/* 8 bytes, 8 words of 16 bits: zeros before them. */
V vi v_bytes(const void *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
V vi v_halves(const void *p) { return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)); }
/* 8 halves; the half, the float, the word at p in every lane. */
V vf v_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
V vf v_f16_all(const void *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return _mm256_cvtph_ps(_mm_set1_epi16((short)h));
}
V vf vf_all(const void *p)
{
    float f;
    memcpy(&f, p, 4);
    return _mm256_set1_ps(f);
}
V vi v_broadcast(const void *p)
{
    int32_t i;
    memcpy(&i, p, 4);
    return _mm256_set1_epi32(i);
}
V vi v_table(const int8_t *values, vi index)
{
    __m128i t = _mm_loadu_si128((const __m128i *)(const void *)values);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(t), index);
}
/* Bytes of each 32-bit lane, by number; -1: zero. */
V vi v_pick(vi a, int i, int j, int k, int l)
{
    const int byte[4] = {i, j, k, l};
    int8_t    at[16];
    for (int b = 0; b < 16; b++) at[b] = (int8_t)(byte[b % 4] < 0 ? -1 : b / 4 * 4 + byte[b % 4]);
    return _mm256_shuffle_epi8(
        a, _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)at)));
}
/* The sum of 16 int16. */
V vi v_sum16(const void *p)
{
    __m256i pairs = _mm256_madd_epi16(_mm256_loadu_si256(p), _mm256_set1_epi16(1));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm256_broadcastd_epi32(s);
}
V vi v_madd_add(vi acc, vi a, vi b) { return _mm256_add_epi32(acc, _mm256_madd_epi16(a, b)); }

/* Of lookups (lookup_inl.h). */
typedef __m128i v16;
V vi            v_shuffle(vi a, vi at) { return _mm256_shuffle_epi8(a, at); }
V vi            v_add16(vi a, vi b) { return _mm256_add_epi16(a, b); }
V vi            v_sub16(vi a, vi b) { return _mm256_sub_epi16(a, b); }
V vi            v_madd(vi a, vi b) { return _mm256_madd_epi16(a, b); }
V vi            v_low16(vi a, vi b) { return _mm256_unpacklo_epi16(a, b); }
V vi            v_high16(vi a, vi b) { return _mm256_unpackhi_epi16(a, b); }
V vi            v_signed(vi a, vi s) { return _mm256_sign_epi8(a, s); }
V v16           v_lanes(vi a)
{
    return _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
}

V vi strip_code(int adds, vi w)
{
    (void)adds;
    return w;
}

typedef vi strip_part; /* sums of products in 16 bits */

/* Step k of n of a group: w . x into part, and from there into isum before 16 bits are full.
 * adds: how many fit; 0: signed codes, whose sign is given to x, and two products fill them. */
V void strip_step(int adds, int k, int n, strip_part *part, vi *isum, vi w, vi x, vi scale,
                  bool scaled)
{
    (void)scaled;
    if (adds == 0) {
        vi pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
        *isum = _mm256_add_epi32(*isum, _mm256_madd_epi16(pairs, scale));
        return;
    }
    vi pairs = _mm256_maddubs_epi16(w, x);
    *part = k % adds ? _mm256_add_epi16(*part, pairs) : pairs;
    if ((k + 1) % adds == 0 || k + 1 == n) {
        *isum = _mm256_add_epi32(*isum, _mm256_madd_epi16(*part, scale));
    }
}

/* isum += scale * (w . x). */
V void strip_lane(int adds, vi *isum, vi w, vi x, vi scale, bool scaled)
{
    strip_part part;
    strip_step(adds, 0, 1, &part, isum, w, x, scale, scaled);
}

#include "kernel/x86/avx2_unpack_inl.h"
/* what strips_inl.h lets a tier bring along stands before it */
#include "kernel/strips_inl.h"

#include "kernel/x86/lookup_inl.h"

void ls_kernels_avx2_strips(ls_kernels *k)
{
    strips_fill(k);
    lookup_fill(k);
}
