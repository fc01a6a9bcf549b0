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

enum { GRID_COLS = 4 };

/* A block made ready. */
typedef struct grid_block {
    _Alignas(32) uint16_t index[64]; /* into the code book, where a byte does not hold it      */
    _Alignas(32) uint32_t signs[8];  /* a bit for each element, set: negative                  */
    _Alignas(32) uint32_t scale[8];  /* of 32 elements, twice, as int16                        */
    _Alignas(32) int16_t shift[32];  /* IQ1_M: of 8 elements, the scale with the shift's sign  */
    vi    scales;                    /* of 16 elements, as int16: the even ones, the odd ones  */
    vi    shifts;                    /* IQ1_S: of 16 elements, as IQ1_M's                      */
    float d;
} grid_block;

/* ---- what the types are ---- */

V bool is_iq1(int t) { return t == LS_DTYPE_IQ1_S || t == LS_DTYPE_IQ1_M; }
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
V void ready_iq2_s(grid_block *r, const ls_iq2_s *b)
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
    r->d = _cvtsh_ss(b->d) * 0.125f;
}

V void ready_iq2_xxs(grid_block *r, const ls_iq2_xxs *b)
{
    __m256 x = _mm256_castsi256_ps(load(b->qs)), y = _mm256_castsi256_ps(load(b->qs + 16));
    vi     words = _mm256_castps_si256(_mm256_shuffle_ps(x, y, 0xdd));
    ready_words(r, _mm256_permute4x64_epi64(words, 0xd8));
    r->d = _cvtsh_ss(b->d) * 0.125f;
}

V void ready_iq2_xs(grid_block *r, const ls_iq2_xs *b)
{
    vi x = load(b->qs), y = load(b->qs + 16);
    store(r->index, _mm256_and_si256(x, set16(511)));
    store(r->index + 16, _mm256_and_si256(y, set16(511)));
    vi sevens = _mm256_packus_epi16(_mm256_srli_epi16(x, 9), _mm256_srli_epi16(y, 9));
    store(r->signs, even_signs(_mm256_permute4x64_epi64(sevens, 0xd8)));
    ready_scales_iq2(r, b->scales);
    r->d = _cvtsh_ss(b->d) * 0.125f;
}

V void ready_iq3_xxs(grid_block *r, const ls_iq3_xxs *b)
{
    ready_words(r, load(b->words));
    r->d = _cvtsh_ss(b->d) * 0.25f;
}

V void ready_iq3_s(grid_block *r, const ls_iq3_s *b)
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
    r->d = _cvtsh_ss(b->d);
}

V void ready_iq1_s(grid_block *r, const ls_iq1_s *b)
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
    r->d = _cvtsh_ss(b->d);
}

V void ready_iq1_m(grid_block *r, const ls_iq1_m *b)
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
    r->d = _cvtsh_ss(d);
}

V void ready(int t, grid_block *r, const uint8_t *b)
{
    switch (t) {
    case LS_DTYPE_IQ1_S: ready_iq1_s(r, (const void *)b); break;
    case LS_DTYPE_IQ1_M: ready_iq1_m(r, (const void *)b); break;
    case LS_DTYPE_IQ2_XXS: ready_iq2_xxs(r, (const void *)b); break;
    case LS_DTYPE_IQ2_XS: ready_iq2_xs(r, (const void *)b); break;
    case LS_DTYPE_IQ2_S: ready_iq2_s(r, (const void *)b); break;
    case LS_DTYPE_IQ3_XXS: ready_iq3_xxs(r, (const void *)b); break;
    default: ready_iq3_s(r, (const void *)b);
    }
}

/* ---- 32 elements ---- */

V vi four(const uint64_t *grid, const uint16_t *i)
{
    return _mm256_set_epi64x((long long)grid[i[3]], (long long)grid[i[2]], (long long)grid[i[1]],
                             (long long)grid[i[0]]);
}

V vi four_bytes(const uint64_t *grid, const uint8_t *i)
{
    return _mm256_set_epi64x((long long)grid[i[3]], (long long)grid[i[2]], (long long)grid[i[1]],
                             (long long)grid[i[0]]);
}

V vi eight(const uint32_t *grid, const uint16_t *i)
{
    return _mm256_setr_epi32((int)grid[i[0]], (int)grid[i[1]], (int)grid[i[2]], (int)grid[i[3]],
                             (int)grid[i[4]], (int)grid[i[5]], (int)grid[i[6]], (int)grid[i[7]]);
}

V vi eight_bytes(const uint32_t *grid, const uint8_t *i)
{
    return _mm256_setr_epi32((int)grid[i[0]], (int)grid[i[1]], (int)grid[i[2]], (int)grid[i[3]],
                             (int)grid[i[4]], (int)grid[i[5]], (int)grid[i[6]], (int)grid[i[7]]);
}

V vi codes(int t, const grid_block *r, const uint8_t *b, int g)
{
    switch (t) {
    case LS_DTYPE_IQ1_S:
    case LS_DTYPE_IQ1_M: return four(ls_grid_iq1, r->index + place(g, 0));
    case LS_DTYPE_IQ2_XXS: return four_bytes(ls_grid_iq2_xxs, b + 2 + 8 * g);
    case LS_DTYPE_IQ2_XS: return four(ls_grid_iq2_xs, r->index + 4 * g);
    case LS_DTYPE_IQ2_S: return four(ls_grid_iq2_s, r->index + place(g, 0));
    case LS_DTYPE_IQ3_XXS: return eight_bytes(ls_grid_iq3_xxs, b + 2 + 8 * g);
    default:
        return eight(ls_grid_iq3_s, r->index + 32 * (g / 4) + 16 * (g % 2) + 8 * (g / 2 % 2));
    }
}

V vi signs(const grid_block *r, int g)
{
    const vi bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const vi at = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    vi       s = _mm256_and_si256(_mm256_shuffle_epi8(set32((int)r->signs[g]), at), bit);
    return _mm256_or_si256(_mm256_cmpeq_epi8(s, bit), _mm256_set1_epi8(1));
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

/* ---- a row ---- */

typedef struct grid_job {
    const uint8_t *w;
    const uint8_t *x[GRID_COLS];
    float         *y[GRID_COLS];
    size_t         blocks;
    bool           whole;
} grid_job;

typedef struct grid_sum {
    __m256 acc, more; /* whole: lane 0 of acc */
} grid_sum;

V __m128i total(vi v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
}

/* The sums of a block: of codes, and for IQ1 of shifts by an eighth. */
V void add_block(int t, grid_sum *s, bool whole, float d, vi isum, vi shifts)
{
    __m256 dd = _mm256_set1_ps(d);
    if (whole) {
        if (is_iq1(t)) isum = _mm256_add_epi32(_mm256_slli_epi32(isum, 3), shifts);
        __m128 f = _mm_cvtepi32_ps(total(isum));
        s->acc = _mm256_castps128_ps256(
            _mm_fmadd_ps(_mm256_castps256_ps128(dd), f, _mm256_castps256_ps128(s->acc)));
        return;
    }
    s->acc = _mm256_fmadd_ps(dd, _mm256_cvtepi32_ps(isum), s->acc);
    if (t == LS_DTYPE_IQ1_M) s->more = _mm256_fmadd_ps(dd, _mm256_cvtepi32_ps(shifts), s->more);
    if (t != LS_DTYPE_IQ1_S) return;
    __m128 f = _mm_cvtepi32_ps(total(shifts));
    s->more = _mm256_castps128_ps256(
        _mm_fmadd_ps(_mm256_castps256_ps128(dd), f, _mm256_castps256_ps128(s->more)));
}

V float end_row(int t, const grid_sum *s, bool whole)
{
    float acc[8], more[8];
    _mm256_storeu_ps(acc, s->acc);
    _mm256_storeu_ps(more, s->more);
    if (whole) return acc[0];
    if (t == LS_DTYPE_IQ1_S) return ls_tree_sum(acc, 8) + 0.125f * more[0];
    if (t == LS_DTYPE_IQ1_M) return ls_tree_sum(acc, 8) + 0.125f * ls_tree_sum(more, 8);
    return ls_tree_sum(acc, 8);
}

V void mul_block(int t, const grid_job *j, size_t b, int nc, grid_sum *s)
{
    const uint8_t *w = j->w + b * grid_bytes(t);
    grid_block     r;
    vi             isum[GRID_COLS], shifts[GRID_COLS];
    ready(t, &r, w);
    for (int c = 0; c < nc; c++) isum[c] = shifts[c] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        vi q = codes(t, &r, w, g), m = is_iq1(t) ? q : signs(&r, g), by = scale(t, &r, g);
        if (is_iq1(t)) q = _mm256_abs_epi8(q);
#pragma GCC unroll 4
        for (int c = 0; c < nc; c++) {
            vi x = load(j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, qs) + 32 * (size_t)g);
            vi p = _mm256_maddubs_epi16(q, _mm256_sign_epi8(x, m));
            isum[c] = _mm256_add_epi32(isum[c], _mm256_madd_epi16(p, by));
            if (t != LS_DTYPE_IQ1_M) continue;
            p = _mm256_maddubs_epi16(_mm256_set1_epi8(1), x);
            shifts[c] = _mm256_add_epi32(shifts[c], _mm256_madd_epi16(p, shift_m(&r, g)));
        }
    }
#pragma GCC unroll 4
    for (int c = 0; c < nc; c++) {
        const uint8_t *x = j->x[c] + sizeof(ls_q8_k) * b;
        if (t == LS_DTYPE_IQ1_S)
            shifts[c] = _mm256_madd_epi16(load(x + offsetof(ls_q8_k, bsums)), r.shifts);
        float d = is_iq1(t) && j->whole ? r.d * 0.125f : r.d;
        add_block(t, &s[c], j->whole, d * ls_load_f32(x, 0), isum[c], shifts[c]);
    }
}

V void mul_row(int t, const grid_job *j, int nc)
{
    grid_sum s[GRID_COLS];
    for (int c = 0; c < nc; c++) s[c].acc = s[c].more = _mm256_setzero_ps();
    for (size_t b = 0; b < j->blocks; b++) mul_block(t, j, b, nc, s);
    for (int c = 0; c < nc; c++) *j->y[c] = end_row(t, &s[c], j->whole);
}

typedef void grid_fn(const grid_job *j);

static void grid_run(const ls_matmul *m, grid_fn *const fns[3])
{
    grid_job j = {.blocks = m->n / 256, .whole = m->whole};
    for (size_t r = 0; r < m->n_rows; r++) {
        j.w = (const uint8_t *)m->w + r * m->row_bytes;
        for (size_t c = 0, n; c < m->n_cols; c += n) {
            size_t left = m->n_cols - c;
            int    i = left >= 4 ? 2 : left >= 2 ? 1 : 0;
            n = (size_t)1 << i;
            for (size_t k = 0; k < n; k++) {
                j.x[k] = (const uint8_t *)m->x + (c + k) * m->x_bytes;
                j.y[k] = m->y + (c + k) * m->ldy + r;
            }
            fns[i](&j);
        }
    }
}

#define GRID_TYPES(X)                                                                              \
    X(iq1_s, IQ1_S) X(iq1_m, IQ1_M) X(iq2_xxs, IQ2_XXS) X(iq2_xs, IQ2_XS) X(iq2_s, IQ2_S)          \
    X(iq3_xxs, IQ3_XXS) X(iq3_s, IQ3_S)

#define GRID_KERNEL(name, sym)                                                                     \
    static void one_##name(const grid_job *j) { mul_row(LS_DTYPE_##sym, j, 1); }                   \
    static void two_##name(const grid_job *j) { mul_row(LS_DTYPE_##sym, j, 2); }                   \
    static void four_##name(const grid_job *j) { mul_row(LS_DTYPE_##sym, j, 4); }                  \
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
