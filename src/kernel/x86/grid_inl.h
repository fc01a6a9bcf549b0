// SPDX-License-Identifier: MIT
/* grid_inl.h - products of the formats out of code books (dtype/codes_grid_inl.h) with a few columns.
 *
 * Look up and multiply in one pass: the words of a code book go from the table into a register, 32
 * elements at a time, the signs to the activations. What can be made ready for a whole block of 256
 * is: indices, bits of signs, scales. The integer sum of a block stands in eight lanes, lane l that
 * of the elements 4l to 4l + 3 of every 32, which serve both orders of NUMERICS.md, clause 4. */
#ifndef LS_KERNEL_GRID_INL_H
#define LS_KERNEL_GRID_INL_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "dtype/blocks.h"
#include "dtype/grid_tables.h"
#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"
#include "lockstep/types.h"

typedef __m256i vi;
#define V static inline __attribute__((always_inline))

enum { GRID_COLS = 4, GRID_ROWS = 4 };

/* A block made ready. */
typedef struct grid_block {
    _Alignas(32) uint16_t index[64]; /* into the code book, where a byte does not hold it      */
    _Alignas(32) uint32_t signs[8];  /* a bit for each element, set: negative                  */
    _Alignas(32) uint32_t scale[8];  /* of 32 elements, twice, as int16                        */
    _Alignas(32) int16_t shift[32];  /* IQ1_M: of 8 elements, the scale with the shift's sign  */
    vi    scales;                    /* of 16 elements, as int16: the even ones, the odd ones  */
    vi    shifts;                    /* IQ1_S: of 16 elements, as IQ1_M's                      */
} grid_block;

/* ---- what the types are ---- */

V bool is_iq1(int t) { return t == LS_DTYPE_IQ1_S || t == LS_DTYPE_IQ1_M; }
/* What the code book's numbers and scales are multiples of, beside the block's scale. */
V float unit_of(int t) { return t == LS_DTYPE_IQ3_S ? 1.0f : t == LS_DTYPE_IQ3_XXS ? 0.25f : 0.125f; }
/* A scale for 16 elements, not 32. */
V bool has_scale_16(int t)
{
    return t == LS_DTYPE_IQ1_M || t == LS_DTYPE_IQ2_XS || t == LS_DTYPE_IQ2_S;
}
V size_t grid_bytes(int t)
{
    switch (t) {
    case LS_DTYPE_IQ1_S: return sizeof(ls_iq1_s);
    case LS_DTYPE_IQ1_M: return sizeof(ls_iq1_m);
    case LS_DTYPE_IQ2_XXS: return sizeof(ls_iq2_xxs);
    case LS_DTYPE_IQ2_XS: return sizeof(ls_iq2_xs);
    case LS_DTYPE_IQ2_S: return sizeof(ls_iq2_s);
    case LS_DTYPE_IQ3_XXS: return sizeof(ls_iq3_xxs);
    default: return sizeof(ls_iq3_s);
    }
}

/* ---- registers ---- */

V vi   load(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
V void store(void *p, vi v) { _mm256_storeu_si256((__m256i *)p, v); }
V vi   set16(int i) { return _mm256_set1_epi16((short)i); }
V vi   set32(int i) { return _mm256_set1_epi32(i); }
V vi   both(__m128i v) { return _mm256_broadcastsi128_si256(v); }
V __m128i load128(const void *p) { return _mm_loadu_si128((const __m128i *)p); }
V __m128i load64(const void *p) { return _mm_loadl_epi64((const __m128i *)p); }

/* ---- signs and scales ---- */

/* The eighth bits of bytes with seven, which make the number of bits even. */
V vi even_signs(vi sevens)
{
    const vi odd = both(_mm_setr_epi8(0, -128, -128, 0, -128, 0, 0, -128, -128, 0, 0, -128, 0, -128,
                                      -128, 0));
    vi high = _mm256_and_si256(_mm256_srli_epi16(sevens, 4), _mm256_set1_epi8(7));
    vi eighth =
        _mm256_xor_si256(_mm256_shuffle_epi8(odd, sevens), _mm256_shuffle_epi8(odd, high));
    return _mm256_or_si256(sevens, eighth);
}

/* Eight words of four times seven signs and a scale of four bits. */
V void ready_words(grid_block *r, vi words)
{
    vi s = _mm256_and_si256(words, set32(0x7f));
    s = _mm256_or_si256(s, _mm256_and_si256(_mm256_slli_epi32(words, 1), set32(0x7f00)));
    s = _mm256_or_si256(s, _mm256_and_si256(_mm256_slli_epi32(words, 2), set32(0x7f0000)));
    s = _mm256_or_si256(s, _mm256_and_si256(_mm256_slli_epi32(words, 3), set32(0x7f000000)));
    store(r->signs, even_signs(s));
    vi scale = _mm256_and_si256(_mm256_srli_epi32(words, 27), set32(0x1e));
    scale = _mm256_or_si256(scale, _mm256_slli_epi32(scale, 16));
    store(r->scale, _mm256_or_si256(scale, set16(1)));
}

/* Eight bytes of two scales of four bits. */
V void ready_scales_iq2(grid_block *r, const uint8_t *scales)
{
    __m128i s = _mm_cvtepu8_epi16(load64(scales)), mask = _mm_set1_epi16(0x1e);
    __m128i even = _mm_and_si128(_mm_slli_epi16(s, 1), mask);
    __m128i odd = _mm_and_si128(_mm_srli_epi16(s, 3), mask);
    r->scales = _mm256_or_si256(_mm256_set_m128i(odd, even), set16(1));
}

/* ---- indices ---- */

/* 32 low bytes and what stands above them, `high`: eight words of each half in `a`, the other eight in `b`. */
V void ready_indices(grid_block *r, const uint8_t *low, vi a, vi b)
{
    vi q = load(low), zero = _mm256_setzero_si256();
    store(r->index, _mm256_or_si256(_mm256_unpacklo_epi8(q, zero), a));
    store(r->index + 16, _mm256_or_si256(_mm256_unpackhi_epi8(q, zero), b));
}

/* Where ready_indices puts index l of the 32 elements g. */
V int place(int g, int l) { return 16 * (g / 2 % 2) + 8 * (g / 4) + 4 * (g % 2) + l; }

/* A pattern for vpshufb that takes, in the words of ready_indices' halves, byte i / 4 of eight
 * (`words`: word i / 4) or i / 2 of sixteen. */
V uint16_t ready_iq2_s(grid_block *r, const ls_iq2_s *b)
{
    const vi up = _mm256_set1_epi64x(0x0004001000400100);
    const vi at = _mm256_setr_epi64x((long long)0x8000800080008000, (long long)0x8001800180018001,
                                     (long long)0x8004800480048004, (long long)0x8005800580058005);
    vi       high = both(load64(b->qh));
    vi       x = _mm256_mullo_epi16(_mm256_shuffle_epi8(high, at), up);
    vi       y = _mm256_mullo_epi16(_mm256_shuffle_epi8(high, _mm256_add_epi8(at, set16(2))), up);
    ready_indices(r, b->qs, _mm256_and_si256(x, set16(0x300)), _mm256_and_si256(y, set16(0x300)));
    memcpy(r->signs, b->signs, 32);
    ready_scales_iq2(r, b->scales);
    return b->d;
}

V uint16_t ready_iq2_xxs(grid_block *r, const ls_iq2_xxs *b)
{
    __m256 x = _mm256_castsi256_ps(load(b->qs)), y = _mm256_castsi256_ps(load(b->qs + 16));
    vi     words = _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xdd));
    ready_words(r, _mm256_permute4x64_epi64(words, 0xd8));
    return b->d;
}

V uint16_t ready_iq2_xs(grid_block *r, const ls_iq2_xs *b)
{
    vi x = load(b->qs), y = load(b->qs + 16);
    store(r->index, _mm256_and_si256(x, set16(511)));
    store(r->index + 16, _mm256_and_si256(y, set16(511)));
    vi sevens = _mm256_packus_epi16(_mm256_srli_epi16(x, 9), _mm256_srli_epi16(y, 9));
    store(r->signs, even_signs(_mm256_permute4x64_epi64(sevens, 0xd8)));
    ready_scales_iq2(r, b->scales);
    return b->d;
}

V uint16_t ready_iq3_xxs(grid_block *r, const ls_iq3_xxs *b)
{
    ready_words(r, load(b->words));
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
        vi q = load(b->qs + 32 * h);
        vi set = _mm256_and_si256(_mm256_shuffle_epi8(set32((int)high), at), bit);
        vi up = _mm256_and_si256(_mm256_cmpeq_epi8(set, bit), _mm256_set1_epi8(1));
        store(r->index + 32 * h, _mm256_unpacklo_epi8(q, up));
        store(r->index + 32 * h + 16, _mm256_unpackhi_epi8(q, up));
    }
    memcpy(r->signs, b->signs, 32);
    memcpy(&scales, b->scales, 4);
    vi s = _mm256_srlv_epi32(set32((int)scales), _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
    s = _mm256_slli_epi32(_mm256_and_si256(s, set32(15)), 1);
    store(r->scale, _mm256_or_si256(_mm256_or_si256(s, _mm256_slli_epi32(s, 16)), set16(1)));
    return b->d;
}

V uint16_t ready_iq1_s(grid_block *r, const ls_iq1_s *b)
{
    const vi up = _mm256_set1_epi64x(0x0001000800400200);
    const vi at = _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302, 0x0908090809080908,
                                     0x0b0a0b0a0b0a0b0a);
    __m128i  h = load128(b->qh);
    vi       x = _mm256_mullo_epi16(_mm256_shuffle_epi8(both(h), at), up);
    vi y = _mm256_mullo_epi16(_mm256_shuffle_epi8(both(h), _mm256_add_epi8(at, _mm256_set1_epi8(4))),
                              up);
    ready_indices(r, b->qs, _mm256_and_si256(_mm256_srli_epi16(x, 1), set16(0x700)),
                  _mm256_and_si256(_mm256_srli_epi16(y, 1), set16(0x700)));
    __m128i one = _mm_set1_epi16(1);
    __m128i s = _mm_or_si128(_mm_and_si128(_mm_srli_epi16(h, 11), _mm_set1_epi16(14)), one);
    __m128i t = _mm_sign_epi16(s, _mm_or_si128(h, one));
    r->shifts = _mm256_set_m128i(_mm_unpackhi_epi16(t, t), _mm_unpacklo_epi16(t, t));
    store(r->scale, _mm256_set_m128i(_mm_unpackhi_epi16(s, s), _mm_unpacklo_epi16(s, s)));
    return b->d;
}

V uint16_t ready_iq1_m(grid_block *r, const ls_iq1_m *b)
{
    const vi up = set32(0x00100100);
    const vi at = _mm256_setr_epi64x((long long)0x8001800180008000, (long long)0x8003800380028002,
                                     (long long)0x8009800980088008, (long long)0x800b800b800a800a);
    const vi scale_at = _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302,
                                           0x0504050405040504, 0x0706070607060706);
    uint16_t sc[4], d = 0;
    memcpy(sc, b->scales, 8);
    for (int j = 0; j < 4; j++) d = (uint16_t)(d | (sc[j] >> 12) << (4 * j));
    vi high = both(load128(b->qh));
    vi x = _mm256_mullo_epi16(_mm256_shuffle_epi8(high, at), up);
    vi y = _mm256_mullo_epi16(_mm256_shuffle_epi8(high, _mm256_add_epi8(at, set16(4))), up);
    ready_indices(r, b->qs, _mm256_and_si256(x, set16(0x700)), _mm256_and_si256(y, set16(0x700)));
    /* scale j in bits 3 (j mod 4) of word j / 4 */
    vi s = _mm256_shuffle_epi8(both(load64(b->scales)), scale_at);
    s = _mm256_mullo_epi16(s, _mm256_set1_epi64x(0x0001000800400200));
    s = _mm256_and_si256(_mm256_srli_epi16(s, 8), set16(14));
    s = _mm256_or_si256(s, set16(1));
    /* a nibble's upper bit is the sign of the shift */
    x = _mm256_or_si256(_mm256_slli_epi16(x, 4), set16(1));
    y = _mm256_or_si256(_mm256_slli_epi16(y, 4), set16(1));
    store(r->shift, _mm256_sign_epi16(_mm256_unpacklo_epi16(s, s), x));
    store(r->shift + 16, _mm256_sign_epi16(_mm256_unpackhi_epi16(s, s), y));
    /* the even ones, the odd ones */
    s = _mm256_shuffle_epi8(s, both(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14,
                                                  15)));
    r->scales = _mm256_permute4x64_epi64(s, 0xd8);
    return d;
}

/* Returns its scale, F16. */
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

/* ---- 32 elements ---- */

/* Fewer loads: indices come out of one word. */
V vi four(const uint64_t *grid, uint64_t i)
{
    return _mm256_set_epi64x((long long)grid[i >> 48], (long long)grid[i >> 32 & 0xffff],
                             (long long)grid[i >> 16 & 0xffff], (long long)grid[i & 0xffff]);
}

V vi four_bytes(const uint64_t *grid, const uint8_t *i)
{
    return _mm256_set_epi64x((long long)grid[i[3]], (long long)grid[i[2]], (long long)grid[i[1]],
                             (long long)grid[i[0]]);
}

V __m128i quad(const uint32_t *grid, uint64_t i)
{
    return _mm_setr_epi32((int)grid[i & 0xffff], (int)grid[i >> 16 & 0xffff],
                          (int)grid[i >> 32 & 0xffff], (int)grid[i >> 48]);
}

V __m128i quad_bytes(const uint32_t *grid, uint32_t i)
{
    return _mm_setr_epi32((int)grid[i & 255], (int)grid[i >> 8 & 255],
                          (int)grid[i >> 16 & 255], (int)grid[i >> 24]);
}
V uint64_t word64(const void*p){uint64_t u;memcpy(&u,p,8);return u;}
V uint32_t word32(const void*p){uint32_t u;memcpy(&u,p,4);return u;}

V vi eight(const uint32_t *grid, const uint16_t *i)
{
    return _mm256_set_m128i(quad(grid,word64(i+4)),quad(grid,word64(i)));
}

V vi eight_bytes(const uint32_t *grid, const uint8_t *i)
{
    return _mm256_set_m128i(quad_bytes(grid,word32(i+4)),quad_bytes(grid,word32(i)));
}

V vi codes(int t, const grid_block *r, const uint8_t *b, int g)
{
    switch (t) {
    case LS_DTYPE_IQ1_S:
    case LS_DTYPE_IQ1_M: return four(ls_grid_iq1, word64(r->index + place(g, 0)));
    case LS_DTYPE_IQ2_XXS: return four_bytes(ls_grid_iq2_xxs, b + 2 + 8 * g);
    case LS_DTYPE_IQ2_XS: return four(ls_grid_iq2_xs, word64(r->index + 4 * g));
    case LS_DTYPE_IQ2_S: return four(ls_grid_iq2_s, word64(r->index + place(g, 0)));
    case LS_DTYPE_IQ3_XXS: return eight_bytes(ls_grid_iq3_xxs, b + 2 + 8 * g);
    default:
        return eight(ls_grid_iq3_s, r->index + 32 * (g / 4) + 16 * (g % 2) + 8 * (g / 2 % 2));
    }
}

V vi signs(const grid_block *r, int g)
{
    const vi bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const vi at = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const vi pos = _mm256_set1_epi64x(0x01406070787c7e7f);
    vi       s = _mm256_and_si256(_mm256_shuffle_epi8(set32((int)r->signs[g]), at), bit);
    return _mm256_add_epi8(s, pos);
}

V vi scale(int t, const grid_block *r, int g)
{
    if (!has_scale_16(t)) return set32((int)r->scale[g]);
    return _mm256_shuffle_epi8(r->scales, set16(0x0100 + 0x0202 * g));
}

V vi shift_m(const grid_block *r, int g)
{
    const vi  at = _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302, 0x0504050405040504,
                                      0x0706070607060706);
    long long four_words;
    memcpy(&four_words, r->shift + place(g, 0), 8);
    return _mm256_shuffle_epi8(_mm256_set1_epi64x(four_words), at);
}

/* ---- rows ---- */

/* Some rows and columns. */
typedef struct grid_job {
    const uint8_t *w, *x;
    float         *y;
    size_t         row_bytes, x_bytes, ldy, n_rows, blocks;
    bool           whole;
} grid_job;

/* Sums of four rows: whole, or of each row in lanes; those of shifts by an eighth likewise. */
typedef struct grid_sum {
    __m128 acc, more;
    __m256 lanes[GRID_ROWS], more_lanes[GRID_ROWS];
} grid_sum;

/* A block of four rows with a column: integer sums of codes and of shifts. */
typedef struct grid_part {
    vi codes[GRID_ROWS], shifts[GRID_ROWS];
} grid_part;

V const uint8_t *column(const grid_job *j, const uint8_t *x, int c)
{
    return x + (size_t)c * j->x_bytes;
}

/* The sums of 8 activations, in the order of ready_indices. */
V void sums_of_8(vi sums[2], const uint8_t *qs)
{
    const vi order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7), one = set16(1);
    vi       two[4];
    for (int i = 0; i < 4; i++) {
        vi x = _mm256_maddubs_epi16(_mm256_set1_epi8(1), load(qs + 64 * i));
        vi y = _mm256_maddubs_epi16(_mm256_set1_epi8(1), load(qs + 64 * i + 32));
        x = _mm256_packs_epi32(_mm256_madd_epi16(x, one), _mm256_madd_epi16(y, one));
        two[i] = _mm256_madd_epi16(x, one);
    }
    for (int i = 0; i < 2; i++)
        sums[i] = _mm256_permutevar8x32_epi32(_mm256_packs_epi32(two[i], two[i + 2]), order);
}

/* IQ1_M: the shifts of a block, in lanes as the codes. */
V vi shift_lanes(const grid_block *r, const uint8_t *qs)
{
    vi sum = _mm256_setzero_si256();
    for (int g = 0; g < 8; g++) {
        vi p = _mm256_maddubs_epi16(_mm256_set1_epi8(1), load(qs + 32 * g));
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(p, shift_m(r, g)));
    }
    return sum;
}

/* Row k. */
V void mul_block(int t, const grid_job *j, const grid_block *r, const uint8_t *w, const uint8_t *x,
                 int nc, grid_part *part, int k, vi (*sums)[2])
{
    vi isum[GRID_COLS];
    for (int c = 0; c < nc; c++) isum[c] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        vi q = codes(t, r, w, g), m = is_iq1(t) ? q : signs(r, g), by = scale(t, r, g);
        if (is_iq1(t)) q = _mm256_abs_epi8(q);
#pragma GCC unroll 4
        for (int c = 0; c < nc; c++) {
            vi a = load(column(j, x, c) + offsetof(ls_q8_k, qs) + 32 * (size_t)g);
            vi p = _mm256_maddubs_epi16(q, _mm256_sign_epi8(a, m));
            isum[c] = _mm256_add_epi32(isum[c], _mm256_madd_epi16(p, by));
        }
    }
    for (int c = 0; c < nc; c++) {
        vi s = _mm256_setzero_si256();
        if (t == LS_DTYPE_IQ1_S)
            s = _mm256_madd_epi16(load(column(j, x, c) + offsetof(ls_q8_k, bsums)), r->shifts);
        if (t == LS_DTYPE_IQ1_M && j->whole)
            s = _mm256_add_epi32(_mm256_madd_epi16(sums[c][0], load(r->shift)),
                                 _mm256_madd_epi16(sums[c][1], load(r->shift + 16)));
        if (t == LS_DTYPE_IQ1_M && !j->whole)
            s = shift_lanes(r, column(j, x, c) + offsetof(ls_q8_k, qs));
        if (is_iq1(t) && j->whole) isum[c] = _mm256_add_epi32(_mm256_slli_epi32(isum[c], 3), s);
        part[c].codes[k] = isum[c];
        part[c].shifts[k] = s;
    }
}

/* The sums over the lanes of four rows. */
V __m128 totals(const vi *v)
{
    vi a = _mm256_add_epi32(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
    vi b = _mm256_add_epi32(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
    vi c = _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    return _mm_cvtepi32_ps(
        _mm_add_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1)));
}

V void add_block(int t, grid_sum *s, bool whole, __m128 d, const grid_part *p)
{
    float each[GRID_ROWS];
    if (whole) {
        s->acc = _mm_fmadd_ps(d, totals(p->codes), s->acc);
        return;
    }
    if (t == LS_DTYPE_IQ1_S) s->more = _mm_fmadd_ps(d, totals(p->shifts), s->more);
    _mm_storeu_ps(each, d);
    for (int k = 0; k < GRID_ROWS; k++) {
        __m256 dk = _mm256_set1_ps(each[k]), codes_k = _mm256_cvtepi32_ps(p->codes[k]);
        __m256 shifts_k = _mm256_cvtepi32_ps(p->shifts[k]);
        s->lanes[k] = _mm256_fmadd_ps(dk, codes_k, s->lanes[k]);
        if (t == LS_DTYPE_IQ1_M)
            s->more_lanes[k] = _mm256_fmadd_ps(dk, shifts_k, s->more_lanes[k]);
    }
}

V float tree(__m256 v)
{
    float s[8];
    _mm256_storeu_ps(s, v);
    return ls_tree_sum(s, 8);
}

V void end_rows(int t, const grid_sum *s, bool whole, float y[GRID_ROWS])
{
    float more[GRID_ROWS];
    _mm_storeu_ps(y, s->acc);
    _mm_storeu_ps(more, s->more);
    for (int k = 0; k < GRID_ROWS && !whole; k++) {
        y[k] = tree(s->lanes[k]);
        if (t == LS_DTYPE_IQ1_S) y[k] += 0.125f * more[k];
        if (t == LS_DTYPE_IQ1_M) y[k] += 0.125f * tree(s->more_lanes[k]);
    }
}

/* The processor does not see by itself where short rows, four at a time, go on. */
V void fetch_ahead(const uint8_t *p, size_t distance, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const void *)((uintptr_t)p + distance + i));
}

/* Up to four rows; behind the last one, that row again. */
V void mul_rows(int t, const grid_job *j, int nc)
{
    const uint8_t *w[GRID_ROWS];
    grid_sum       s[GRID_COLS];
    memset(s, 0, sizeof(s[0]) * (size_t)nc);
    for (size_t k = 0; k < GRID_ROWS; k++)
        w[k] = j->w + (k < j->n_rows ? k : j->n_rows - 1) * j->row_bytes;
    for (size_t b = 0; b < j->blocks; b++) {
        const uint8_t *x = j->x + sizeof(ls_q8_k) * b;
        grid_block     r[GRID_ROWS];
        grid_part      part[GRID_COLS];
        uint16_t       d[GRID_ROWS];
        vi             sums[GRID_COLS][2];
#pragma GCC unroll 1
        for (int k = 0; k < GRID_ROWS; k++) d[k] = ready(t, &r[k], w[k]);
        for (int c = 0; c < nc && t == LS_DTYPE_IQ1_M && j->whole; c++)
            sums_of_8(sums[c], column(j, x, c) + offsetof(ls_q8_k, qs));
#pragma GCC unroll 1
        for (int k = 0; k < GRID_ROWS; k++) {
            fetch_ahead(w[k], GRID_ROWS * j->row_bytes, grid_bytes(t));
            mul_block(t, j, &r[k], w[k], x, nc, part, k, sums);
            w[k] += grid_bytes(t);
        }
        __m128 dw = _mm_cvtph_ps(load64(d));
        if (!is_iq1(t) || j->whole) dw = _mm_mul_ps(dw, _mm_set1_ps(unit_of(t)));
        for (int c = 0; c < nc; c++) {
            __m128 dx = _mm_set1_ps(ls_load_f32(column(j, x, c), 0));
            add_block(t, &s[c], j->whole, _mm_mul_ps(dw, dx), &part[c]);
        }
    }
    for (int c = 0; c < nc; c++) {
        float y[GRID_ROWS];
        end_rows(t, &s[c], j->whole, y);
        memcpy(j->y + (size_t)c * j->ldy, y, sizeof(float) * j->n_rows);
    }
}

typedef void grid_fn(const grid_job *j);

static void grid_run(const ls_matmul *m, grid_fn *const fns[3])
{
    grid_job j = {.row_bytes = m->row_bytes, .x_bytes = m->x_bytes, .ldy = m->ldy,
                  .blocks = m->n / 256, .whole = m->whole};
    for (size_t r = 0; r < m->n_rows; r += GRID_ROWS) {
        j.n_rows = m->n_rows - r < GRID_ROWS ? m->n_rows - r : GRID_ROWS;
        j.w = (const uint8_t *)m->w + r * m->row_bytes;
        for (size_t c = 0, n; c < m->n_cols; c += n) {
            size_t left = m->n_cols - c;
            int    i = left >= 4 ? 2 : left >= 2 ? 1 : 0;
            n = (size_t)1 << i;
            j.x = (const uint8_t *)m->x + c * m->x_bytes;
            j.y = m->y + c * m->ldy + r;
            fns[i](&j);
        }
    }
}

#define GRID_TYPES(X)                                                                              \
    X(iq1_s, IQ1_S) X(iq1_m, IQ1_M) X(iq2_xxs, IQ2_XXS) X(iq2_xs, IQ2_XS) X(iq2_s, IQ2_S)          \
    X(iq3_xxs, IQ3_XXS) X(iq3_s, IQ3_S)

#define GRID_KERNEL(name, sym)                                                                     \
    static void one_##name(const grid_job *j) { mul_rows(LS_DTYPE_##sym, j, 1); }                   \
    static void two_##name(const grid_job *j) { mul_rows(LS_DTYPE_##sym, j, 2); }                   \
    static void four_##name(const grid_job *j) { mul_rows(LS_DTYPE_##sym, j, 4); }                  \
    static void matmul_##name(const ls_matmul *m)                                                  \
    {                                                                                              \
        grid_run(m, (grid_fn *const[]){one_##name, two_##name, four_##name});                      \
    }
GRID_TYPES(GRID_KERNEL)
#undef GRID_KERNEL

V void grid_fill(ls_kernels *k)
{
#define GRID_KERNEL(name, sym) k->matmul_##name = matmul_##name;
    GRID_TYPES(GRID_KERNEL)
#undef GRID_KERNEL
}

#endif
