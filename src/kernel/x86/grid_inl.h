// SPDX-License-Identifier: MIT
/* grid_inl.h - products of the formats out of code books (dtype/codes_grid_inl.h), row by row.
 *
 * Look up and multiply in one pass: the words of a code book go from the table into a register, 32
 * elements at a time, and the signs to the activations. The integer sum of a block stands in eight
 * lanes, lane l that of the elements 4l to 4l + 3 of every 32, which serves both orders of
 * NUMERICS.md, clause 4: whole blocks add the lanes of four rows together, as the reference adds
 * each lane is a float sum. */
#ifndef LS_KERNEL_GRID_INL_H
#define LS_KERNEL_GRID_INL_H

#include "dtype/grid_tables.h"
#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"
#include "kernel/x86/grid_ready_inl.h"

/* Columns that share look-ups; rows that share the addition of lanes. */
enum { GRID_COLS = 4, GRID_ROWS = 4 };

/* ---- 32 elements ---- */

V uint64_t eight_bytes_at(const void *p)
{
    uint64_t u;
    memcpy(&u, p, 8);
    return u;
}

/* Four words of a code book by 16-bit indices, which one load fetches: loads are what there is
 * least of here. */
V vi four_words(const uint64_t *grid, const uint16_t *index)
{
    uint64_t i = eight_bytes_at(index);
    return _mm256_set_epi64x((long long)grid[i >> 48], (long long)grid[i >> 32 & 0xffff],
                             (long long)grid[i >> 16 & 0xffff], (long long)grid[i & 0xffff]);
}

/* By bytes; then taking a word apart costs more than it saves. */
V vi four_by_bytes(const uint64_t *grid, const uint8_t *i)
{
    return _mm256_set_epi64x((long long)grid[i[3]], (long long)grid[i[2]], (long long)grid[i[1]],
                             (long long)grid[i[0]]);
}

V __m128i four_halves(const uint32_t *grid, const uint16_t *index)
{
    uint64_t i = eight_bytes_at(index);
    return _mm_setr_epi32((int)grid[i & 0xffff], (int)grid[i >> 16 & 0xffff],
                          (int)grid[i >> 32 & 0xffff], (int)grid[i >> 48]);
}

V __m128i four_halves_by_bytes(const uint32_t *grid, const uint8_t *index)
{
    uint32_t i;
    memcpy(&i, index, 4);
    return _mm_setr_epi32((int)grid[i & 255], (int)grid[i >> 8 & 255], (int)grid[i >> 16 & 255],
                          (int)grid[i >> 24]);
}

/* Magnitudes; of IQ1 numbers. b: the block as stored. */
V vi codes(int t, const grid_block *r, const uint8_t *b, int g)
{
    const uint16_t *i = r->index + place(g);
    const uint8_t  *bytes = b + 2 + 8 * g;
    switch (t) {
    case LS_DTYPE_IQ1_S:
    case LS_DTYPE_IQ1_M: return four_words(ls_grid_iq1, i);
    case LS_DTYPE_IQ2_XXS: return four_by_bytes(ls_grid_iq2_xxs, bytes);
    case LS_DTYPE_IQ2_XS: return four_words(ls_grid_iq2_xs, r->index + 4 * g);
    case LS_DTYPE_IQ2_S: return four_words(ls_grid_iq2_s, i);
    case LS_DTYPE_IQ3_XXS:
        return _mm256_set_m128i(four_halves_by_bytes(ls_grid_iq3_xxs, bytes + 4),
                                four_halves_by_bytes(ls_grid_iq3_xxs, bytes));
    default:
        i = r->index + 32 * (g / 4) + 16 * (g % 2) + 8 * (g / 2 % 2);
        return _mm256_set_m128i(four_halves(ls_grid_iq3_s, i + 4), four_halves(ls_grid_iq3_s, i));
    }
}

/* A byte below 0 for a negative element, above 0 for another: bit j plus 2^7 - 2^j; plus 1 for
 * bit 7. */
V vi signs(const grid_block *r, int g)
{
    const vi bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const vi at = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const vi plus = _mm256_set1_epi64x(0x01406070787c7e7f);
    vi       s = _mm256_and_si256(_mm256_shuffle_epi8(v_set32((int)r->signs[g]), at), bit);
    return _mm256_add_epi8(s, plus);
}

/* As int16: of the elements' 16 or 32. */
V vi scale(int t, const grid_block *r, int g)
{
    if (!grid_forms[t].scale_16) return v_set32((int)r->scale[g]);
    return _mm256_shuffle_epi8(r->scales, v_set16(0x0100 + 0x0202 * g));
}

/* IQ1_M: scales with the signs of shifts, of 8 elements each. */
V vi shift_m(const grid_block *r, int g)
{
    const vi at = _mm256_setr_epi64x(0x0100010001000100, 0x0302030203020302, 0x0504050405040504,
                                     0x0706070607060706);
    uint64_t four = eight_bytes_at(r->shift + place(g));
    return _mm256_shuffle_epi8(_mm256_set1_epi64x((long long)four), at);
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
    const vi order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7), one = v_set16(1);
    vi       two[4];
    for (int i = 0; i < 4; i++) {
        vi x = _mm256_maddubs_epi16(_mm256_set1_epi8(1), v_load(qs + 64 * i));
        vi y = _mm256_maddubs_epi16(_mm256_set1_epi8(1), v_load(qs + 64 * i + 32));
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
        vi p = _mm256_maddubs_epi16(_mm256_set1_epi8(1), v_load(qs + 32 * g));
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
        vi q = codes(t, r, w, g), m = grid_forms[t].shifts ? q : signs(r, g), by = scale(t, r, g);
        if (grid_forms[t].shifts) q = _mm256_abs_epi8(q);
#pragma GCC unroll 4
        for (int c = 0; c < nc; c++) {
            vi a = v_load(column(j, x, c) + offsetof(ls_q8_k, qs) + 32 * (size_t)g);
            vi p = _mm256_maddubs_epi16(q, _mm256_sign_epi8(a, m));
            isum[c] = _mm256_add_epi32(isum[c], _mm256_madd_epi16(p, by));
        }
    }
    for (int c = 0; c < nc; c++) {
        vi s = _mm256_setzero_si256();
        if (t == LS_DTYPE_IQ1_S)
            s = _mm256_madd_epi16(v_load(column(j, x, c) + offsetof(ls_q8_k, bsums)), r->shifts);
        if (t == LS_DTYPE_IQ1_M && j->whole)
            s = _mm256_add_epi32(_mm256_madd_epi16(sums[c][0], v_load(r->shift)),
                                 _mm256_madd_epi16(sums[c][1], v_load(r->shift + 16)));
        if (t == LS_DTYPE_IQ1_M && !j->whole)
            s = shift_lanes(r, column(j, x, c) + offsetof(ls_q8_k, qs));
        if (grid_forms[t].shifts && j->whole)
            isum[c] = _mm256_add_epi32(_mm256_slli_epi32(isum[c], 3), s);
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

/* Four short rows at a time are more than the processor finds by itself: what lies `distance`
 * behind p. */
V void fetch_ahead(const uint8_t *p, size_t distance, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const void *)((uintptr_t)p + distance + i));
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
            fetch_ahead(w[k], GRID_ROWS * j->row_bytes, grid_forms[t].bytes);
            mul_block(t, j, &r[k], w[k], x, nc, part, k, sums);
            w[k] += grid_forms[t].bytes;
        }
        __m128 dw = _mm_cvtph_ps(v_load64(d));
        if (!grid_forms[t].shifts || j->whole) dw = _mm_mul_ps(dw, _mm_set1_ps(grid_forms[t].unit));
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

static void grid_run(const ls_matmul *m, grid_fn *const fns[GRID_COLS])
{
    grid_job j = {.row_bytes = m->row_bytes, .x_bytes = m->x_bytes, .ldy = m->ldy,
                  .blocks = m->n / 256, .whole = m->whole};
    for (size_t r = 0; r < m->n_rows; r += GRID_ROWS) {
        j.n_rows = m->n_rows - r < GRID_ROWS ? m->n_rows - r : GRID_ROWS;
        j.w = (const uint8_t *)m->w + r * m->row_bytes;
        for (size_t c = 0, n; c < m->n_cols; c += n) {
            n = m->n_cols - c < GRID_COLS ? m->n_cols - c : GRID_COLS;
            j.x = (const uint8_t *)m->x + c * m->x_bytes;
            j.y = m->y + c * m->ldy + r;
            fns[n - 1](&j);
        }
    }
}

#define GRID_KERNEL(name, sym, unit, scale_16, shifts)                            \
    static void one_##name(const grid_job *j) { mul_rows(LS_DTYPE_##sym, j, 1); }   \
    static void two_##name(const grid_job *j) { mul_rows(LS_DTYPE_##sym, j, 2); }   \
    static void three_##name(const grid_job *j) { mul_rows(LS_DTYPE_##sym, j, 3); } \
    static void four_##name(const grid_job *j) { mul_rows(LS_DTYPE_##sym, j, 4); }  \
    static void matmul_##name(const ls_matmul *m)                                   \
    {                                                                               \
        static grid_fn *const fns[GRID_COLS] = {one_##name, two_##name, three_##name,    \
                                                four_##name};                            \
        grid_run(m, fns);                                                                \
    }
GRID_TYPES(GRID_KERNEL)
#undef GRID_KERNEL

V void grid_fill(ls_kernels *k)
{
#define GRID_KERNEL(name, sym, unit, scale_16, shifts) k->matmul_##name = matmul_##name;
    GRID_TYPES(GRID_KERNEL)
#undef GRID_KERNEL
}

#endif
