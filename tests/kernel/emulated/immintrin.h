// SPDX-License-Identifier: MIT
/* immintrin.h - the AVX-512 intrinsics that src/kernel/x86 uses, spelled out for AVX2 machines.
 *
 * Found before the compiler's own header when checkkern_emulated is built. Each follows the
 * pseudocode of the Intel Intrinsics Guide, lane by lane; only what is used is here. General
 * emulations exist, but compute multiply-adds with two roundings, which is not these bits. */
#ifndef LS_TESTS_EMULATED_IMMINTRIN_H
#define LS_TESTS_EMULATED_IMMINTRIN_H

#include_next <immintrin.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Kernels unroll their loops over dozens of these: calls keep the compiler's time in bounds. */
#define EMU static __attribute__((noinline))

#undef __AVX512VNNI__
#define __AVX512VNNI__ 1

typedef struct emu_f32x16 {
    float f[16];
} emu_f32x16;
typedef struct emu_i32x16 {
    uint32_t i[16];
} emu_i32x16;
#define __m512  emu_f32x16
#define __m512i emu_i32x16

EMU emu_f32x16 emu_set1(float a)
{
    emu_f32x16 r;
    for (int j = 0; j < 16; j++) r.f[j] = a;
    return r;
}

EMU emu_f32x16 emu_setzero(void) { return emu_set1(0.0f); }

/* Lanes that the mask leaves out are not read from memory. */
EMU emu_f32x16 emu_maskz_loadu(uint16_t mask, const void *p)
{
    emu_f32x16 r = emu_setzero();
    for (int j = 0; j < 16; j++) {
        if (mask >> j & 1) memcpy(&r.f[j], (const uint8_t *)p + 4 * j, 4);
    }
    return r;
}

EMU emu_f32x16 emu_loadu(const void *p) { return emu_maskz_loadu(0xffff, p); }

EMU void emu_mask_storeu(void *p, uint16_t mask, emu_f32x16 a)
{
    for (int j = 0; j < 16; j++) {
        if (mask >> j & 1) memcpy((uint8_t *)p + 4 * j, &a.f[j], 4);
    }
}

EMU __m256i emu_maskz_loadu16(uint16_t mask, const void *p)
{
    uint16_t r[16] = {0};
    for (int j = 0; j < 16; j++) {
        if (mask >> j & 1) memcpy(&r[j], (const uint8_t *)p + 2 * j, 2);
    }
    return _mm256_loadu_si256((const __m256i *)(const void *)r);
}

EMU emu_f32x16 emu_cvtph_ps(__m256i a)
{
    emu_f32x16 r;
    _mm256_storeu_ps(r.f, _mm256_cvtph_ps(_mm256_castsi256_si128(a)));
    _mm256_storeu_ps(r.f + 8, _mm256_cvtph_ps(_mm256_extracti128_si256(a, 1)));
    return r;
}

EMU __m256i emu_cvtps_ph(emu_f32x16 a)
{
    __m128i lo = _mm256_cvtps_ph(_mm256_loadu_ps(a.f), _MM_FROUND_TO_NEAREST_INT);
    return _mm256_set_m128i(_mm256_cvtps_ph(_mm256_loadu_ps(a.f + 8), _MM_FROUND_TO_NEAREST_INT),
                            lo);
}

EMU emu_i32x16 emu_cvtepi8(__m128i a)
{
    int8_t     b[16];
    emu_i32x16 r;
    _mm_storeu_si128((__m128i *)(void *)b, a);
    for (int j = 0; j < 16; j++) r.i[j] = (uint32_t)(int32_t)b[j];
    return r;
}

EMU emu_i32x16 emu_cvtepu16(__m256i a)
{
    uint16_t   h[16];
    emu_i32x16 r;
    _mm256_storeu_si256((__m256i *)(void *)h, a);
    for (int j = 0; j < 16; j++) r.i[j] = h[j];
    return r;
}

EMU emu_i32x16 emu_cvtepu8(__m128i a)
{
    return emu_cvtepu16(_mm256_cvtepu8_epi16(a));
}

EMU emu_i32x16 emu_slli(emu_i32x16 a, unsigned n)
{
    for (int j = 0; j < 16; j++) a.i[j] <<= n;
    return a;
}

EMU emu_f32x16 emu_cast(emu_i32x16 a)
{
    emu_f32x16 r;
    memcpy(&r, &a, sizeof(r));
    return r;
}

/* Two numbers of a and two of b, by number, of every four. */
EMU emu_f32x16 emu_shuffle_ps(emu_f32x16 a, emu_f32x16 b, int at)
{
    emu_f32x16 r;
    for (int j = 0; j < 16; j++)
        r.f[j] = (j % 4 < 2 ? a : b).f[j / 4 * 4 + (at >> 2 * (j % 4) & 3)];
    return r;
}

/* Two fours of a and two of b, by number. */
EMU emu_f32x16 emu_shuffle_f32x4(emu_f32x16 a, emu_f32x16 b, int at)
{
    emu_f32x16 r;
    for (int j = 0; j < 16; j++) r.f[j] = (j < 8 ? a : b).f[4 * (at >> 2 * (j / 4) & 3) + j % 4];
    return r;
}

/* The first or the last two numbers of every four of a and b in turn. */
EMU emu_f32x16 emu_unpack_ps(emu_f32x16 a, emu_f32x16 b, int from)
{
    emu_f32x16 r;
    for (int j = 0; j < 16; j++) r.f[j] = (j % 2 ? b : a).f[j / 4 * 4 + from + j % 4 / 2];
    return r;
}

EMU __m256 emu_half(emu_f32x16 a, int which) { return _mm256_loadu_ps(a.f + 8 * which); }

/* mask3: lanes that the mask leaves out keep c. */
EMU emu_f32x16 emu_mask3_fmadd(emu_f32x16 a, emu_f32x16 b, emu_f32x16 c, uint16_t mask)
{
    for (int j = 0; j < 16; j++) {
        if (mask >> j & 1) c.f[j] = fmaf(a.f[j], b.f[j], c.f[j]);
    }
    return c;
}

EMU emu_f32x16 emu_fmadd(emu_f32x16 a, emu_f32x16 b, emu_f32x16 c)
{
    return emu_mask3_fmadd(a, b, c, 0xffff);
}

/* dst.dword += four products of unsigned by signed bytes, without saturation. */
EMU __m256i emu_dpbusd(__m256i c, __m256i a, __m256i b)
{
    uint8_t u[32];
    int8_t  s[32];
    int32_t d[8];
    _mm256_storeu_si256((__m256i *)(void *)u, a);
    _mm256_storeu_si256((__m256i *)(void *)s, b);
    _mm256_storeu_si256((__m256i *)(void *)d, c);
    for (int j = 0; j < 32; j++) d[j / 4] += u[j] * s[j];
    return _mm256_loadu_si256((const __m256i *)(const void *)d);
}

/* dst.dword += two products of signed words. */
EMU __m256i emu_dpwssd(__m256i c, __m256i a, __m256i b)
{
    return _mm256_add_epi32(c, _mm256_madd_epi16(a, b));
}

/* Integer lanes of 32 bits; those of 8 and 16 by way of AVX2, a half at a time. */
typedef struct emu_halves {
    __m256i h[2];
} emu_halves;

EMU emu_halves emu_split(emu_i32x16 a)
{
    emu_halves r;
    memcpy(&r, &a, sizeof(r));
    return r;
}

EMU emu_i32x16 emu_join(emu_halves a)
{
    emu_i32x16 r;
    memcpy(&r, &a, sizeof(r));
    return r;
}

#define EMU_UNARY(name, op)                                        \
    EMU emu_i32x16 name(emu_i32x16 a, long n)            \
    {                                                              \
        emu_halves h = emu_split(a);                               \
        for (int i = 0; i < 2; i++) h.h[i] = op(h.h[i], (int)n);   \
        return emu_join(h);                                        \
    }
#define EMU_BINARY(name, op)                                          \
    EMU emu_i32x16 name(emu_i32x16 a, emu_i32x16 b)         \
    {                                                                 \
        emu_halves h = emu_split(a), g = emu_split(b);                \
        for (int i = 0; i < 2; i++) h.h[i] = op(h.h[i], g.h[i]);      \
        return emu_join(h);                                           \
    }
#define EMU_TERNARY(name, op)                                                 \
    EMU emu_i32x16 name(emu_i32x16 c, emu_i32x16 a, emu_i32x16 b)   \
    {                                                                         \
        emu_halves r = emu_split(c), h = emu_split(a), g = emu_split(b);      \
        for (int i = 0; i < 2; i++) r.h[i] = op(r.h[i], h.h[i], g.h[i]);      \
        return emu_join(r);                                                   \
    }
#define EMU_SET(name, type, op)                         \
    EMU emu_i32x16 name(type a)               \
    {                                                   \
        emu_halves h = {{op(a), op(a)}};                \
        return emu_join(h);                             \
    }
#define EMU_FLOATS(name, sign)                                        \
    EMU emu_f32x16 name(emu_f32x16 a, emu_f32x16 b)         \
    {                                                                 \
        for (int j = 0; j < 16; j++) a.f[j] = a.f[j] sign b.f[j];     \
        return a;                                                     \
    }
EMU_UNARY(emu_srli16, _mm256_srli_epi16)
EMU_UNARY(emu_slli16, _mm256_slli_epi16)
EMU_UNARY(emu_srai16, _mm256_srai_epi16)
EMU_UNARY(emu_srli32, _mm256_srli_epi32)
EMU_UNARY(emu_srai32, _mm256_srai_epi32)
EMU_BINARY(emu_and, _mm256_and_si256)
EMU_BINARY(emu_or, _mm256_or_si256)
EMU_BINARY(emu_xor, _mm256_xor_si256)
EMU_BINARY(emu_add32, _mm256_add_epi32)
EMU_BINARY(emu_sub32, _mm256_sub_epi32)
EMU_BINARY(emu_mullo32, _mm256_mullo_epi32)
EMU_BINARY(emu_min8, _mm256_min_epu8)
EMU_BINARY(emu_max32, _mm256_max_epi32)
EMU_BINARY(emu_add8, _mm256_add_epi8)
EMU_BINARY(emu_sub8, _mm256_sub_epi8)
EMU_BINARY(emu_subs8, _mm256_subs_epu8)
EMU_BINARY(emu_shuffle8, _mm256_shuffle_epi8)
EMU_BINARY(emu_add16, _mm256_add_epi16)
EMU_BINARY(emu_sub16, _mm256_sub_epi16)
EMU_BINARY(emu_madd16, _mm256_madd_epi16)
EMU_BINARY(emu_unpacklo16, _mm256_unpacklo_epi16)
EMU_BINARY(emu_unpackhi16, _mm256_unpackhi_epi16)
EMU_TERNARY(emu_dpbusd512, emu_dpbusd)
EMU_TERNARY(emu_dpwssd512, emu_dpwssd)
EMU_SET(emu_set8, char, _mm256_set1_epi8)
EMU_SET(emu_set16, short, _mm256_set1_epi16)
EMU_SET(emu_set32, int, _mm256_set1_epi32)
EMU_SET(emu_broadcast128, __m128i, _mm256_broadcastsi128_si256)
EMU_FLOATS(emu_addf, +)
EMU_FLOATS(emu_subf, -)
EMU_FLOATS(emu_mulf, *)
EMU_FLOATS(emu_divf, /)

/* A bit for the upper bit of each byte; bytes of src where the mask has none, else a - b. */
EMU uint64_t emu_movepi8_mask(emu_i32x16 a)
{
    emu_halves h = emu_split(a);
    return (uint64_t)(uint32_t)_mm256_movemask_epi8(h.h[1]) << 32 |
           (uint32_t)_mm256_movemask_epi8(h.h[0]);
}

EMU emu_i32x16 emu_mask_sub8(emu_i32x16 src, uint64_t mask, emu_i32x16 a, emu_i32x16 b)
{
    uint8_t r[64], x[64], y[64];
    memcpy(r, &src, 64);
    memcpy(x, &a, 64);
    memcpy(y, &b, 64);
    for (int j = 0; j < 64; j++) {
        if (mask >> j & 1) r[j] = (uint8_t)(x[j] - y[j]);
    }
    memcpy(&src, r, 64);
    return src;
}

EMU __m256i emu_half_i(emu_i32x16 a, int at) { return emu_split(a).h[at]; }

EMU emu_i32x16 emu_loadi(const void *p)
{
    emu_i32x16 r;
    memcpy(&r, p, sizeof(r));
    return r;
}

EMU void emu_storei(void *p, emu_i32x16 a) { memcpy(p, &a, sizeof(a)); }
EMU void emu_storef(void *p, emu_f32x16 a) { memcpy(p, &a, sizeof(a)); }

EMU emu_f32x16 emu_cvti(emu_i32x16 a)
{
    emu_f32x16 r;
    for (int j = 0; j < 16; j++) r.f[j] = (float)(int32_t)a.i[j];
    return r;
}

#define _mm512_loadu_si512     emu_loadi
#define _mm512_storeu_si512    emu_storei
#define _mm512_storeu_ps       emu_storef
#define _mm512_setzero_si512() emu_set32(0)
#define _mm512_set1_epi8       emu_set8
#define _mm512_set1_epi16      emu_set16
#define _mm512_set1_epi32      emu_set32
#define _mm512_and_si512       emu_and
#define _mm512_or_si512        emu_or
#define _mm512_xor_si512       emu_xor
#define _mm512_add_epi32       emu_add32
#define _mm512_sub_epi32       emu_sub32
#define _mm512_mullo_epi32     emu_mullo32
#define _mm512_min_epu8        emu_min8
#define _mm512_max_epi32       emu_max32
#define _mm512_add_epi8        emu_add8
#define _mm512_sub_epi8        emu_sub8
#define _mm512_subs_epu8       emu_subs8
#define _mm512_cvtepu8_epi32   emu_cvtepu8
#define _mm512_shuffle_epi8    emu_shuffle8
#define _mm512_add_epi16       emu_add16
#define _mm512_sub_epi16       emu_sub16
#define _mm512_madd_epi16      emu_madd16
#define _mm512_unpacklo_epi16  emu_unpacklo16
#define _mm512_unpackhi_epi16  emu_unpackhi16
#define _mm512_movepi8_mask    emu_movepi8_mask
#define _mm512_mask_sub_epi8   emu_mask_sub8
#define _mm512_castsi512_si256(a) emu_half_i(a, 0)
#undef _mm512_extracti64x4_epi64
#define _mm512_extracti64x4_epi64 emu_half_i
#define _mm512_broadcast_i32x4 emu_broadcast128
#define _mm512_cvtepi32_ps     emu_cvti
#define _mm512_add_ps          emu_addf
#define _mm512_sub_ps          emu_subf
#define _mm512_mul_ps          emu_mulf
#define _mm512_div_ps          emu_divf
#undef _mm512_srli_epi16
#define _mm512_srli_epi16 emu_srli16
#undef _mm512_slli_epi16
#define _mm512_slli_epi16 emu_slli16
#undef _mm512_srai_epi16
#define _mm512_srai_epi16 emu_srai16
#undef _mm512_srli_epi32
#define _mm512_srli_epi32 emu_srli32
#undef _mm512_srai_epi32
#define _mm512_srai_epi32 emu_srai32
#undef _mm512_dpbusd_epi32
#define _mm512_dpbusd_epi32 emu_dpbusd512
#undef _mm512_dpwssd_epi32
#define _mm512_dpwssd_epi32 emu_dpwssd512
#define _mm512_set1_ps           emu_set1
#define _mm512_setzero_ps        emu_setzero
#define _mm512_loadu_ps          emu_loadu
#define _mm512_maskz_loadu_ps    emu_maskz_loadu
#define _mm512_mask_storeu_ps    emu_mask_storeu
#define _mm256_maskz_loadu_epi16 emu_maskz_loadu16
#define _mm512_cvtph_ps          emu_cvtph_ps
#undef _mm512_cvtps_ph
#define _mm512_cvtps_ph(a, rounding) emu_cvtps_ph(a)
#define _mm512_cvtepu16_epi32        emu_cvtepu16
#define _mm512_cvtepi8_epi32         emu_cvtepi8
#undef _mm512_slli_epi32
#define _mm512_slli_epi32         emu_slli
#define _mm512_castsi512_ps       emu_cast
#define _mm512_castps512_ps256(a) emu_half(a, 0)
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps emu_half
#undef _mm512_shuffle_ps
#define _mm512_shuffle_ps emu_shuffle_ps
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 emu_shuffle_f32x4
#define _mm512_unpacklo_ps(a, b) emu_unpack_ps(a, b, 0)
#define _mm512_unpackhi_ps(a, b) emu_unpack_ps(a, b, 2)
#define _mm512_fmadd_ps        emu_fmadd
#define _mm512_mask3_fmadd_ps  emu_mask3_fmadd
#undef _mm256_dpbusd_epi32
#define _mm256_dpbusd_epi32 emu_dpbusd
#undef _mm256_dpwssd_epi32
#define _mm256_dpwssd_epi32 emu_dpwssd

#endif
