// SPDX-License-Identifier: MIT
/* avx512_strips.c - products of strips with AVX-512 and VNNI: a register is the 16 rows of a strip.
 *
 * vpdpbusd adds four products to 32 bits without an intermediate result; signed codes are made
 * unsigned by 128, which the activations' sums take off again. */
#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define V_ROWS           16
#define STRIP_BIAS       128
#define STRIP_PANEL      2
#define STRIP_NARROW     4
#define STRIP_SIGNED     4
#define STRIP_WIDE       6
#define STRIP_WIDE_REGS  2
#define STRIP_SUMS       8
#define STRIP_SUMS_REGS  2
#define STRIP_LANES      3
#define STRIP_LANES_WIDE 6
#define STRIP_STEPS      4
#define STRIP_CODES      ls_kernels_avx2_grid

typedef __m512i vi;
typedef __m512  vf;
/* Compilers disagree about the type of these counts. */
#if defined(__clang__)
typedef unsigned shift16;
#else
typedef int shift16;
#endif
#define V static inline __attribute__((always_inline))

V vi   v_load(const void *p) { return _mm512_loadu_si512(p); }
V void v_store(void *p, vi v) { _mm512_storeu_si512(p, v); }
V vi   v_zero(void) { return _mm512_setzero_si512(); }
V vi   v_set8(int i) { return _mm512_set1_epi8((char)i); }
V vi   v_set16(int i) { return _mm512_set1_epi16((short)i); }
V vi   v_set32(int i) { return _mm512_set1_epi32(i); }
V vi   v_and(vi a, vi b) { return _mm512_and_si512(a, b); }
V vi   v_or(vi a, vi b) { return _mm512_or_si512(a, b); }
V vi   v_srl16(vi a, int n) { return _mm512_srli_epi16(a, (shift16)n); }
V vi   v_sll16(vi a, int n) { return _mm512_slli_epi16(a, (shift16)n); }
V vi   v_sra16(vi a, int n) { return _mm512_srai_epi16(a, (shift16)n); }
V vi   v_min8(vi a, vi b) { return _mm512_min_epu8(a, b); }
V vi   v_add8(vi a, vi b) { return _mm512_add_epi8(a, b); }
V vi   v_sub8(vi a, vi b) { return _mm512_sub_epi8(a, b); }
V vi   v_subs8(vi a, vi b) { return _mm512_subs_epu8(a, b); }
V vi   v_add32(vi a, vi b) { return _mm512_add_epi32(a, b); }
V vi   v_sub32(vi a, vi b) { return _mm512_sub_epi32(a, b); }
V vi   v_max32(vi a, vi b) { return _mm512_max_epi32(a, b); }
V vi   v_sll32(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
V vf   v_as_float(vi a) { return _mm512_castsi512_ps(a); }
V vf   v_float(vi a) { return _mm512_cvtepi32_ps(a); }
V vf   vf_zero(void) { return _mm512_setzero_ps(); }
V vf   vf_set(float f) { return _mm512_set1_ps(f); }
V vf   vf_load(const float *p) { return _mm512_loadu_ps(p); }
V void vf_store(float *p, vf v) { _mm512_storeu_ps(p, v); }
V vf   vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
V vf   vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
V vf   vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
V vf   vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
V vf   vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
/* 16 bytes, 16 words of 16 bits: zeros before them. */
V vi v_bytes(const void *p) { return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)); }
V vi v_halves(const void *p)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
}
/* 16 halves; the half, the float, the word at p in every lane. */
V vf v_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
V vf v_f16_all(const void *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)h));
}
V vf vf_all(const void *p)
{
    float f;
    memcpy(&f, p, 4);
    return _mm512_set1_ps(f);
}
V vi v_broadcast(const void *p)
{
    int32_t i;
    memcpy(&i, p, 4);
    return _mm512_set1_epi32(i);
}
V vi v_table(const int8_t *values, vi index)
{
    __m128i t = _mm_loadu_si128((const __m128i *)(const void *)values);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), index);
}
/* Bytes of each 32-bit lane, by number; -1: zero. */
V vi v_pick(vi a, int i, int j, int k, int l)
{
    const int byte[4] = {i, j, k, l};
    int8_t    at[16];
    for (int b = 0; b < 16; b++) at[b] = (int8_t)(byte[b % 4] < 0 ? -1 : b / 4 * 4 + byte[b % 4]);
    return _mm512_shuffle_epi8(
        a, _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)at)));
}
/* The sum of 16 int16. */
V vi v_sum16(const void *p)
{
    __m256i pairs = _mm256_madd_epi16(_mm256_loadu_si256(p), _mm256_set1_epi16(1));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm512_set1_epi32(_mm_cvtsi128_si32(s));
}
V vi v_madd_add(vi acc, vi a, vi b) { return _mm512_dpwssd_epi32(acc, a, b); }

/* Of lookups (lookup_inl.h). */
typedef __m128i v16;
V vi            v_shuffle(vi a, vi at) { return _mm512_shuffle_epi8(a, at); }
V vi            v_add16(vi a, vi b) { return _mm512_add_epi16(a, b); }
V vi            v_sub16(vi a, vi b) { return _mm512_sub_epi16(a, b); }
V vi            v_madd(vi a, vi b) { return _mm512_madd_epi16(a, b); }
V vi            v_low16(vi a, vi b) { return _mm512_unpacklo_epi16(a, b); }
V vi            v_high16(vi a, vi b) { return _mm512_unpackhi_epi16(a, b); }
V vi            v_signed(vi a, vi s)
{
    return _mm512_mask_sub_epi8(a, _mm512_movepi8_mask(s), _mm512_setzero_si512(), a);
}
V v16 v_lanes(vi a)
{
    __m256i b = _mm256_add_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
}

/* Signed codes become unsigned. */
V vi strip_code(int adds, vi w) { return adds == 0 ? _mm512_xor_si512(w, v_set8(128)) : w; }

typedef vi strip_part; /* the sum of a group that is yet to be scaled */

/* Step k of n of a group: w . x. What has no scale goes straight into isum. */
V void strip_step(int adds, int k, int n, strip_part *part, vi *isum, vi w, vi x, vi scale,
                  bool scaled)
{
    (void)adds;
    if (!scaled) {
        *isum = _mm512_dpbusd_epi32(*isum, w, x);
        return;
    }
    *part = _mm512_dpbusd_epi32(k ? *part : v_zero(), w, x);
    if (k + 1 == n) {
        *isum = _mm512_add_epi32(*isum, _mm512_mullo_epi32(*part, _mm512_srai_epi32(scale, 16)));
    }
}

/* isum += scale * (w . x). Signed codes: x is raised, and 128 times the codes begins the sum. A sum
 * of four unsigned products fits 16 bits, and the scale stands in the lower half of its pair. */
V void strip_lane(int adds, vi *isum, vi w, vi x, vi scale, bool scaled)
{
    vi start = v_sub32(v_zero(), _mm512_dpbusd_epi32(v_zero(), v_set8(128), w));
    if (!scaled && adds == 0)
        *isum = _mm512_dpbusd_epi32(v_add32(*isum, start), x, w);
    else if (!scaled)
        *isum = _mm512_dpbusd_epi32(*isum, w, x);
    else {
        vi part = adds ? _mm512_dpbusd_epi32(v_zero(), w, x) : _mm512_dpbusd_epi32(start, x, w);
        *isum = _mm512_dpwssd_epi32(*isum, part, v_and(scale, v_set32(0xffff)));
    }
}

#include "kernel/x86/avx2_unpack_inl.h"
/* what strips_inl.h lets a tier bring along stands before it */
#include "kernel/strips_inl.h"

#include "kernel/x86/lookup_inl.h"

void ls_kernels_avx512_strips(ls_kernels *k)
{
    strips_fill(k);
    lookup_fill(k);
}
