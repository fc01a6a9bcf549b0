// SPDX-License-Identifier: MIT
/* grid_ready_inl.h - blocks of the formats out of code books made ready for products (grid_inl.h).
 *
 * What takes no look-up is done for a whole block of 256 at once: indices that are more than a
 * byte, a bit of sign for each element, scales as int16. The rest is done 32 elements at a time. */
#ifndef LS_KERNEL_GRID_READY_INL_H
#define LS_KERNEL_GRID_READY_INL_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "dtype/blocks.h"
#include "lockstep/types.h"

typedef __m256i vi;
#define V static inline __attribute__((always_inline))

/* A block made ready. */
typedef struct grid_block {
    _Alignas(32) uint16_t index[64]; /* into the code book, where a byte does not hold it      */
    _Alignas(32) uint32_t signs[8];  /* a bit for each element, set: negative                  */
    _Alignas(32) uint32_t scale[8];  /* of 32 elements, twice, as int16                        */
    _Alignas(32) int16_t shift[32];  /* IQ1_M: of 8 elements, the scale with the shift's sign  */
    vi    scales;                    /* of 16 elements, as int16: the even ones, the odd ones  */
    vi    shifts;                    /* IQ1_S: of 16 elements, as IQ1_M's                      */
} grid_block;

/* name in the kernel table, type; what the numbers are multiples of, beside the block's scale; a
 * scale for 16 elements, not 32; numbers -1, 0, 1 and shifts by an eighth */
#define GRID_TYPES(X)                          \
    X(iq1_s,   IQ1_S,   0.125f, false, true)   \
    X(iq1_m,   IQ1_M,   0.125f, true,  true)   \
    X(iq2_xxs, IQ2_XXS, 0.125f, false, false)  \
    X(iq2_xs,  IQ2_XS,  0.125f, true,  false)  \
    X(iq2_s,   IQ2_S,   0.125f, true,  false)  \
    X(iq3_xxs, IQ3_XXS, 0.25f,  false, false)  \
    X(iq3_s,   IQ3_S,   1.0f,   false, false)

typedef struct grid_form {
    size_t bytes;
    float  unit;
    bool   scale_16, shifts;
} grid_form;

static const grid_form grid_forms[] = {
#define GRID_FORM(name, sym, unit, scale_16, shifts) \
    [LS_DTYPE_##sym] = {sizeof(ls_##name), unit, scale_16, shifts},
    GRID_TYPES(GRID_FORM)
#undef GRID_FORM
};

/* ---- registers ---- */

V vi   v_load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
V void v_store(void *p, vi v) { _mm256_storeu_si256((__m256i *)p, v); }
V vi   v_set16(int i) { return _mm256_set1_epi16((short)i); }
V vi   v_set32(int i) { return _mm256_set1_epi32(i); }
V vi   v_both(__m128i v) { return _mm256_broadcastsi128_si256(v); }
V __m128i v_load128(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
V __m128i v_load64(const void *p) { return _mm_loadl_epi64((const __m128i *)p); }

/* ---- signs and scales ---- */

/* The eighth bits of bytes with seven, which make the number of bits even. */
V vi even_signs(vi sevens)
{
    const vi odd = v_both(_mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0,
                                        -128, -128, 0));
    vi high = _mm256_and_si256(_mm256_srli_epi16(sevens, 4), _mm256_set1_epi8(7));
    vi eighth =
        _mm256_xor_si256(_mm256_shuffle_epi8(odd, sevens), _mm256_shuffle_epi8(odd, high));
    return _mm256_or_si256(sevens, eighth);
}

/* Eight words of four times seven signs and a scale of four bits. */
V void ready_words(grid_block *r, vi words)
{
    vi s = _mm256_and_si256(words, v_set32(0x7f));
    s = _mm256_or_si256(s, _mm256_and_si256(_mm256_slli_epi32(words, 1), v_set32(0x7f00)));
    s = _mm256_or_si256(s, _mm256_and_si256(_mm256_slli_epi32(words, 2), v_set32(0x7f0000)));
    s = _mm256_or_si256(s, _mm256_and_si256(_mm256_slli_epi32(words, 3), v_set32(0x7f000000)));
    v_store(r->signs, even_signs(s));
    vi scale = _mm256_and_si256(_mm256_srli_epi32(words, 27), v_set32(0x1e));
    scale = _mm256_or_si256(scale, _mm256_slli_epi32(scale, 16));
    v_store(r->scale, _mm256_or_si256(scale, v_set16(1)));
}

/* Eight bytes of two scales of four bits. */
V void ready_scales_iq2(grid_block *r, const uint8_t *scales)
{
    __m128i s = _mm_cvtepu8_epi16(v_load64(scales)), mask = _mm_set1_epi16(0x1e);
    __m128i even = _mm_and_si128(_mm_slli_epi16(s, 1), mask);
    __m128i odd = _mm_and_si128(_mm_srli_epi16(s, 3), mask);
    r->scales = _mm256_or_si256(_mm256_set_m128i(odd, even), v_set16(1));
}

/* ---- indices ---- */

/* What stands above the low bytes of indices, brought to its place: bytes `at` of `high`, and those
 * `next` behind, times powers of two. */
V vi lifted(__m128i high, vi at, int next, vi up)
{
    at = _mm256_add_epi8(at, _mm256_set1_epi8((char)next));
    return _mm256_mullo_epi16(_mm256_shuffle_epi8(v_both(high), at), up);
}

/* 32 low bytes and the bits `mask` of what stands above them. Of both halves of the register, the
 * first eight belong to `a`, the others to `b`. */
V void ready_indices(grid_block *r, const uint8_t *low, vi a, vi b, int mask)
{
    vi q = v_load(low), zero = _mm256_setzero_si256(), m = v_set16(mask);
    a = _mm256_and_si256(a, m);
    b = _mm256_and_si256(b, m);
    v_store(r->index, _mm256_or_si256(_mm256_unpacklo_epi8(q, zero), a));
    v_store(r->index + 16, _mm256_or_si256(_mm256_unpackhi_epi8(q, zero), b));
}

/* Where ready_indices puts those of the 32 elements g. */
V int place(int g) { return 16 * (g / 2 % 2) + 8 * (g / 4) + 4 * (g % 2); }

V uint16_t ready_iq2_s(grid_block *r, const ls_iq2_s *b)
{
    const vi up = _mm256_set1_epi64x(0x0004001000400100);
    const vi at = _mm256_setr_epi64x((long long)0x8000800080008000, (long long)0x8001800180018001,
                                     (long long)0x8004800480048004, (long long)0x8005800580058005);
    __m128i  high = v_load64(b->qh);
    ready_indices(r, b->qs, lifted(high, at, 0, up), lifted(high, at, 2, up), 0x300);
    memcpy(r->signs, b->signs, 32);
    ready_scales_iq2(r, b->scales);
    return b->d;
}

V uint16_t ready_iq2_xxs(grid_block *r, const ls_iq2_xxs *b)
{
    __m256 x = _mm256_castsi256_ps(v_load(b->qs)), y = _mm256_castsi256_ps(v_load(b->qs + 16));
    vi     words = _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xdd));
    ready_words(r, _mm256_permute4x64_epi64(words, 0xd8));
    return b->d;
}

V uint16_t ready_iq2_xs(grid_block *r, const ls_iq2_xs *b)
{
    vi x = v_load(b->qs), y = v_load(b->qs + 16);
    v_store(r->index, _mm256_and_si256(x, v_set16(511)));
    v_store(r->index + 16, _mm256_and_si256(y, v_set16(511)));
    vi sevens = _mm256_packus_epi16(_mm256_srli_epi16(x, 9), _mm256_srli_epi16(y, 9));
    v_store(r->signs, even_signs(_mm256_permute4x64_epi64(sevens, 0xd8)));
    ready_scales_iq2(r, b->scales);
    return b->d;
}

V uint16_t ready_iq3_xxs(grid_block *r, const ls_iq3_xxs *b)
{
    ready_words(r, v_load(b->words));
    return b->d;
}

V uint16_t ready_iq3_s(grid_block *r, const ls_iq3_s *b)
{
    const vi bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const vi at = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    uint32_t scales;
    for (int h = 0; h < 2; h++) {
        uint32_t high;
        memcpy(&high, b->qh + 4 * h, 4);
        vi q = v_load(b->qs + 32 * h);
        vi set = _mm256_and_si256(_mm256_shuffle_epi8(v_set32((int)high), at), bit);
        vi up = _mm256_and_si256(_mm256_cmpeq_epi8(set, bit), _mm256_set1_epi8(1));
        v_store(r->index + 32 * h, _mm256_unpacklo_epi8(q, up));
        v_store(r->index + 32 * h + 16, _mm256_unpackhi_epi8(q, up));
    }
    memcpy(r->signs, b->signs, 32);
    memcpy(&scales, b->scales, 4);
    vi s = _mm256_srlv_epi32(v_set32((int)scales), _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
    s = _mm256_slli_epi32(_mm256_and_si256(s, v_set32(15)), 1);
    v_store(r->scale, _mm256_or_si256(_mm256_or_si256(s, _mm256_slli_epi32(s, 16)), v_set16(1)));
    return b->d;
}

V uint16_t ready_iq1_s(grid_block *r, const ls_iq1_s *b)
{
    const vi up = _mm256_set1_epi64x(0x0001000800400200);
    const vi at = _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302, 0x0908090809080908,
                                     0x0b0a0b0a0b0a0b0a);
    __m128i  h = v_load128(b->qh);
    ready_indices(r, b->qs, _mm256_srli_epi16(lifted(h, at, 0, up), 1),
                  _mm256_srli_epi16(lifted(h, at, 4, up), 1), 0x700);
    __m128i one = _mm_set1_epi16(1);
    __m128i s = _mm_or_si128(_mm_and_si128(_mm_srli_epi16(h, 11), _mm_set1_epi16(14)), one);
    __m128i t = _mm_sign_epi16(s, _mm_or_si128(h, one));
    r->shifts = _mm256_set_m128i(_mm_unpackhi_epi16(t, t), _mm_unpacklo_epi16(t, t));
    v_store(r->scale, _mm256_set_m128i(_mm_unpackhi_epi16(s, s), _mm_unpacklo_epi16(s, s)));
    return b->d;
}

V uint16_t ready_iq1_m(grid_block *r, const ls_iq1_m *b)
{
    const vi up = v_set32(0x00100100);
    const vi at = _mm256_setr_epi64x((long long)0x8001800180008000, (long long)0x8003800380028002,
                                     (long long)0x8009800980088008, (long long)0x800b800b800a800a);
    const vi scale_at = _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302,
                                           0x0504050405040504, 0x0706070607060706);
    uint16_t sc[4], d = 0;
    memcpy(sc, b->scales, 8);
    for (int j = 0; j < 4; j++) d = (uint16_t)(d | (sc[j] >> 12) << (4 * j));
    __m128i high = v_load128(b->qh);
    vi      x = lifted(high, at, 0, up), y = lifted(high, at, 4, up);
    ready_indices(r, b->qs, x, y, 0x700);
    /* scale j in bits 3 (j mod 4) of word j / 4 */
    vi s = _mm256_shuffle_epi8(v_both(v_load64(b->scales)), scale_at);
    s = _mm256_mullo_epi16(s, _mm256_set1_epi64x(0x0001000800400200));
    s = _mm256_and_si256(_mm256_srli_epi16(s, 8), v_set16(14));
    s = _mm256_or_si256(s, v_set16(1));
    /* a nibble's upper bit is the sign of the shift */
    x = _mm256_or_si256(_mm256_slli_epi16(x, 4), v_set16(1));
    y = _mm256_or_si256(_mm256_slli_epi16(y, 4), v_set16(1));
    v_store(r->shift, _mm256_sign_epi16(_mm256_unpacklo_epi16(s, s), x));
    v_store(r->shift + 16, _mm256_sign_epi16(_mm256_unpackhi_epi16(s, s), y));
    /* the even ones, the odd ones */
    s = _mm256_shuffle_epi8(s, v_both(_mm_setr_epi16(0x100, 0x504, 0x908, 0xd0c, 0x302, 0x706,
                                                     0xb0a, 0xf0e)));
    r->scales = _mm256_permute4x64_epi64(s, 0xd8);
    return d;
}

/* Returns the block's scale, F16. */
V uint16_t ready(int t, grid_block *r, const uint8_t *b)
{
    switch (t) {
    case LS_DTYPE_IQ1_S: return ready_iq1_s(r, (const void *)b);
    case LS_DTYPE_IQ1_M: return ready_iq1_m(r, (const void *)b);
    case LS_DTYPE_IQ2_XXS: return ready_iq2_xxs(r, (const void *)b);
    case LS_DTYPE_IQ2_XS: return ready_iq2_xs(r, (const void *)b);
    case LS_DTYPE_IQ2_S: return ready_iq2_s(r, (const void *)b);
    case LS_DTYPE_IQ3_XXS: return ready_iq3_xxs(r, (const void *)b);
    default: return ready_iq3_s(r, (const void *)b);
    }
}

#endif
