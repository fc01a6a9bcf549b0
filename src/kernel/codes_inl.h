// SPDX-License-Identifier: MIT
/* codes_inl.h - products of every format that has no kernel of its own, by its unpacked integers.
 *
 * A block is unpacked once and multiplied with up to CODES_COLS activation rows. The order is that
 * of NUMERICS.md, clause 4: elements 4l to 4l + 3 of every 32 belong to lane l, their scaled
 * products are added as integers over one block, and each lane takes the block's sum with one fmaf.
 * The styles below are what differs. A tier defines ls_code_lanes before it includes this. */
#ifndef LS_KERNEL_CODES_INL_H
#define LS_KERNEL_CODES_INL_H

#include "dtype/codes_grid_inl.h"
#include "dtype/codes_inl.h"
#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"

enum { CODES_COLS = 16, CODES_STRETCH = 256 };

typedef enum codes_style {
    CODES_Q8_0,   /* 32 elements, activations Q8_0                              */
    CODES_Q8_1,   /* the same, activations Q8_1                                 */
    CODES_MIN,    /* CODES_Q8_1 and minimums, which multiply the sum s          */
    CODES_ONE,    /* CODES_Q8_0, one accumulator for all lanes                  */
    CODES_BITS,   /* 128 elements: four products with Q8_0, then the scale      */
    CODES_TWOS,   /* 64 elements: two products with Q8_0 in one accumulator     */
    CODES_NV,     /* 64 elements with a float scale for 16                      */
    CODES_Q8_K,   /* 256 elements, activations Q8_K                             */
    CODES_UP,     /* the same, codes raised by 1; sums 2l and 2l + 1 leave lane l */
    CODES_MINS,   /* the same, minimums in an accumulator of their own          */
    CODES_LANES,  /* the same, minimums 2l and 2l + 1 enter lane l before codes */
    CODES_SHIFT,  /* IQ1_S: the shifts by an eighth in one accumulator          */
    CODES_SHIFTS, /* IQ1_M: the shifts by an eighth in eight lanes              */
} codes_style;

/* One column's accumulators. */
typedef struct codes_sum {
    float acc[8], more[8], last_d, last;
} codes_sum;

static const int32_t codes_unit[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

static inline int32_t codes_total(const int32_t s[8])
{
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static inline void codes_add(float acc[8], float d, const int32_t isum[8])
{
    for (int l = 0; l < 8; l++) acc[l] = fmaf(d, (float)isum[l], acc[l]);
}

/* Blocks of 32 to 128 elements; x: the activation blocks beside them. */
static inline void codes_step_small(codes_style style, codes_sum *t, const ls_codes *c,
                                    const void *x)
{
    const ls_q8_0 *a = x;
    const ls_q8_1 *b = x;
    int32_t        isum[8];
    float          sub[8] = {0};
    switch (style) {
    case CODES_Q8_1:
    case CODES_MIN:
        ls_code_lanes(isum, c->q, c->scale, b->qs, 1);
        codes_add(t->acc, c->d * ls_f16_to_f32(b->d), isum);
        if (style == CODES_MIN) t->more[0] = fmaf(-c->dmin, ls_f16_to_f32(b->s), t->more[0]);
        return;
    case CODES_BITS:
        for (int k = 0; k < 4; k++, a++) {
            ls_code_lanes(isum, c->q + 32 * k, codes_unit, a->qs, 1);
            codes_add(sub, ls_f16_to_f32(a->d), isum);
        }
        for (int l = 0; l < 8; l++) t->acc[l] = fmaf(c->d, sub[l], t->acc[l]);
        return;
    case CODES_TWOS:
        for (int k = 0; k < 2; k++, a++) {
            ls_code_lanes(isum, c->q + 32 * k, codes_unit, a->qs, 1);
            sub[0] = fmaf(ls_f16_to_f32(a->d), (float)codes_total(isum), sub[0]);
        }
        t->acc[0] = fmaf(c->d, sub[0], t->acc[0]);
        return;
    case CODES_NV:
        for (int k = 0; k < 2; k++, a++) {
            float d = ls_f16_to_f32(a->d);
            ls_code_lanes(isum, c->q + 32 * k, codes_unit, a->qs, 1);
            for (int l = 0; l < 8; l++) {
                float ds = c->d * (float)c->scale[2 * k + l / 4] * d;
                t->acc[l] = fmaf(ds, (float)isum[l], t->acc[l]);
            }
        }
        return;
    case CODES_ONE:
        ls_code_lanes(isum, c->q, c->scale, a->qs, 1);
        t->acc[0] = fmaf(c->d * ls_f16_to_f32(a->d), (float)codes_total(isum), t->acc[0]);
        return;
    default:
        ls_code_lanes(isum, c->q, c->scale, a->qs, 1);
        codes_add(t->acc, c->d * ls_f16_to_f32(a->d), isum);
    }
}

/* IQ1: codes of eighths as units and shifts of plus or minus one eighth. */
static inline void codes_split(ls_codes *c, int8_t shift[256])
{
    for (int i = 0; i < 256; i++) {
        int unit = (c->q[i] + 1) >> 3;
        shift[i] = (int8_t)(c->q[i] - 8 * unit);
        c->q[i] = (int8_t)unit;
    }
    c->d *= 8.0f;
}

/* Blocks of 256 elements. */
static inline void codes_step_k(codes_style style, codes_sum *t, const ls_codes *c,
                                const int8_t *shift, const ls_q8_k *a)
{
    int32_t isum[8], mins[8];
    float   d = c->d * a->d, dmin = c->dmin * a->d;
    for (int l = 0; l < 8 && (style == CODES_MINS || style == CODES_LANES); l++) {
        mins[l] = c->min[2 * l] * a->bsums[2 * l] + c->min[2 * l + 1] * a->bsums[2 * l + 1];
    }
    if (style == CODES_MINS) t->more[0] = fmaf(-dmin, (float)codes_total(mins), t->more[0]);
    if (style == CODES_LANES) codes_add(t->acc, -dmin, mins);
    ls_code_lanes(isum, c->q, c->scale, a->qs, 8);
    for (int l = 0; l < 8 && style == CODES_UP; l++) isum[l] -= a->bsums[2 * l] + a->bsums[2 * l + 1];
    codes_add(t->acc, d, isum);
    if (style != CODES_SHIFT && style != CODES_SHIFTS) return;
    ls_code_lanes(isum, shift, c->scale, a->qs, 8);
    if (style == CODES_SHIFTS) codes_add(t->more, d, isum);
    if (style == CODES_SHIFT) t->more[0] = fmaf(d, (float)codes_total(isum), t->more[0]);
}

/* Larger blocks of 32s with one scale (NVFP4: one for 16), each of which is a block of its own. */
static inline void codes_step_whole_32(codes_style style, codes_sum *t, const ls_codes *c,
                                       const ls_q8_0 *a, int blocks)
{
    int32_t isum[8];
    for (int k = 0; k < blocks; k++, a++) {
        float dx = ls_f16_to_f32(a->d);
        ls_code_lanes(isum, c->q + 32 * k, codes_unit, a->qs, 1);
        if (style != CODES_NV) t->acc[0] = fmaf(c->d * dx, (float)codes_total(isum), t->acc[0]);
        for (int i = 0; i < 8 && style == CODES_NV; i += 4) {
            float   d = c->d * (float)c->scale[2 * k + i / 4] * dx;
            int32_t sum = (isum[i] + isum[i + 1]) + (isum[i + 2] + isum[i + 3]);
            t->acc[0] = fmaf(d, (float)sum, t->acc[0]);
        }
    }
}

/* One sum for the row and one for the minimums, the integers of a whole block at once
 * (ls_matmul.whole). */
static inline void codes_step_whole(codes_style style, codes_sum *t, const ls_codes *c,
                                    const void *x)
{
    bool           k = style >= CODES_Q8_K, eight_1 = style == CODES_Q8_1 || style == CODES_MIN;
    const ls_q8_k *a = x;
    const ls_q8_0 *b = x;
    const ls_q8_1 *s = x;
    int32_t        isum[8], mins = 0;
    if (style == CODES_BITS || style == CODES_TWOS || style == CODES_NV) {
        codes_step_whole_32(style, t, c, b, style == CODES_BITS ? 4 : 2);
        return;
    }
    float dx = k ? a->d : ls_f16_to_f32(eight_1 ? s->d : b->d);
    ls_code_lanes(isum, c->q, c->scale, k ? a->qs : eight_1 ? s->qs : b->qs, k ? 8 : 1);
    t->acc[0] = fmaf(c->d * dx, (float)codes_total(isum), t->acc[0]);
    if (style == CODES_MIN) t->more[0] = fmaf(-c->dmin, ls_f16_to_f32(s->s), t->more[0]);
    if (style != CODES_MINS && style != CODES_LANES) return;
    for (int g = 0; g < 16; g++) mins += c->min[g] * a->bsums[g];
    t->more[0] = fmaf(c->dmin * dx, (float)mins, t->more[0]);
}

static inline float codes_end_whole(codes_style style, const codes_sum *t)
{
    if (style == CODES_MIN) return t->acc[0] + t->more[0];
    return style == CODES_MINS || style == CODES_LANES ? t->acc[0] - t->more[0] : t->acc[0];
}

/* Block `i` of `n` of LS_ROWS_PAIRS. */
static inline void codes_step_pairs(codes_sum *t, const ls_codes *c, const ls_q8_0 *a, size_t i,
                                    size_t n)
{
    int32_t isum[8];
    float   d = ls_f16_to_f32(a->d) * c->d;
    ls_code_lanes(isum, c->q, c->scale, a->qs, 1);
    if (i + 1 < n || i % 2) {
        codes_add(i % 2 ? t->more : t->acc, d, isum);
        return;
    }
    t->last_d = d;
    t->last = (float)codes_total(isum);
}

static inline float codes_end_pairs(const codes_sum *t, bool odd)
{
    float s[8], sum;
    for (int l = 0; l < 8; l++) s[l] = t->acc[l] + t->more[l];
    sum = ls_tree_sum(s, 8);
    return odd ? fmaf(t->last_d, t->last, sum) : sum;
}

static inline float codes_end(codes_style style, const codes_sum *t)
{
    switch (style) {
    case CODES_ONE:
    case CODES_TWOS:
        return t->acc[0];
    case CODES_MIN:
    case CODES_MINS:
        return ls_tree_sum(t->acc, 8) + t->more[0];
    case CODES_SHIFT:
        return ls_tree_sum(t->acc, 8) + 0.125f * t->more[0];
    case CODES_SHIFTS:
        return ls_tree_sum(t->acc, 8) + 0.125f * ls_tree_sum(t->more, 8);
    default:
        return ls_tree_sum(t->acc, 8);
    }
}

/* Bytes of the activation blocks that stand beside a block of `block` weights. */
static inline size_t codes_x_bytes(codes_style style, size_t block)
{
    if (style >= CODES_Q8_K) return sizeof(ls_q8_k);
    return block / 32 * (style == CODES_Q8_1 || style == CODES_MIN ? sizeof(ls_q8_1) : sizeof(ls_q8_0));
}

static inline void codes_matmul(const ls_matmul *m, codes_style style, ls_unpack_fn *unpack,
                                size_t block, size_t bytes)
{
    size_t   x_bytes = codes_x_bytes(style, block);
    ls_codes c;
    int8_t   shift[256];
    bool     whole = m->whole;
    bool     pairs = !whole && m->rows == LS_ROWS_PAIRS && style == CODES_ONE;
    if (m->rows == LS_ROWS_LANES && style == CODES_ONE) style = CODES_Q8_0;
    for (size_t r = 0; r < m->n_rows; r++) {
        for (size_t c0 = 0; c0 < m->n_cols; c0 += CODES_COLS) {
            size_t         n_cols = m->n_cols - c0 < CODES_COLS ? m->n_cols - c0 : CODES_COLS;
            const uint8_t *w = (const uint8_t *)m->w + r * m->row_bytes;
            const uint8_t *x = (const uint8_t *)m->x + c0 * m->x_bytes;
            codes_sum      t[CODES_COLS] = {0};
            for (size_t i = 0; i < m->n; i += block, w += bytes, x += x_bytes) {
                unpack(&c, w);
                if (!whole && (style == CODES_SHIFT || style == CODES_SHIFTS)) codes_split(&c, shift);
                for (size_t k = 0; k < block && style == CODES_UP && !whole; k++) c.q[k]++;
                for (size_t k = 0; k < n_cols; k++) {
                    const void *a = x + k * m->x_bytes;
                    if (whole) {
                        codes_step_whole(style, &t[k], &c, a);
                    } else if (pairs) {
                        codes_step_pairs(&t[k], &c, a, i / block, m->n / block);
                    } else if (style >= CODES_Q8_K) {
                        codes_step_k(style, &t[k], &c, shift, a);
                    } else {
                        codes_step_small(style, &t[k], &c, a);
                    }
                }
            }
            for (size_t k = 0; k < n_cols; k++) {
                float y = whole ? codes_end_whole(style, &t[k]) : codes_end(style, &t[k]);
                m->y[(c0 + k) * m->ldy + r] = pairs ? codes_end_pairs(&t[k], m->n / block % 2) : y;
            }
        }
    }
}

/* Clause 2, of a stretch: element i enters stripe i mod lanes. */
static inline void codes_stripes(float *s, const float *w, const uint8_t *x, size_t n, size_t lanes)
{
    size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (size_t l = 0; l < lanes; l++) s[l] = fmaf(w[i + l], ls_load_f32(x, i + l), s[l]);
    }
    for (; i < n; i++) s[i % lanes] = fmaf(w[i], ls_load_f32(x, i), s[i % lanes]);
}

/* Plain numbers, by stretches of a row as floats. */
static inline void codes_matmul_plain(const ls_matmul *m, int dtype, size_t bytes)
{
    float w[CODES_STRETCH];
    for (size_t r = 0; r < m->n_rows; r++) {
        for (size_t c0 = 0; c0 < m->n_cols; c0 += CODES_COLS) {
            size_t n_cols = m->n_cols - c0 < CODES_COLS ? m->n_cols - c0 : CODES_COLS;
            float  t[CODES_COLS][16] = {{0}};
            for (size_t i = 0; i < m->n; i += CODES_STRETCH) {
                size_t n = m->n - i < CODES_STRETCH ? m->n - i : CODES_STRETCH;
                ls_dtype_decode(dtype, w, (const uint8_t *)m->w + r * m->row_bytes + i * bytes, n,
                                1.0f);
                for (size_t k = 0; k < n_cols; k++) {
                    const uint8_t *x = (const uint8_t *)m->x + (c0 + k) * m->x_bytes + 4 * i;
                    if (m->lanes == 16) codes_stripes(t[k], w, x, n, 16);
                    else codes_stripes(t[k], w, x, n, 8);
                }
            }
            for (size_t k = 0; k < n_cols; k++) {
                m->y[(c0 + k) * m->ldy + r] = ls_tree_sum(t[k], m->lanes);
            }
        }
    }
}

/* Name in the kernel table, type, style. First those out of code books: a tier that has products of
 * its own for them defines this empty. */
#ifndef CODES_BOOK_TYPES
#define CODES_BOOK_TYPES(X)          \
    X(iq2_xxs, IQ2_XXS, CODES_Q8_K)  \
    X(iq2_xs,  IQ2_XS,  CODES_Q8_K)  \
    X(iq2_s,   IQ2_S,   CODES_Q8_K)  \
    X(iq3_xxs, IQ3_XXS, CODES_Q8_K)  \
    X(iq3_s,   IQ3_S,   CODES_Q8_K)  \
    X(iq1_s,   IQ1_S,   CODES_SHIFT) \
    X(iq1_m,   IQ1_M,   CODES_SHIFTS)
#endif
#define CODES_TYPES(X)               \
    X(q4_1,    Q4_1,    CODES_MIN)   \
    X(q5_0,    Q5_0,    CODES_Q8_0)  \
    X(q5_1,    Q5_1,    CODES_MIN)   \
    X(q8_1,    Q8_1,    CODES_Q8_1)  \
    X(q2_k,    Q2_K,    CODES_LANES) \
    X(q3_k,    Q3_K,    CODES_Q8_K)  \
    X(q5_k,    Q5_K,    CODES_MINS)  \
    X(q8_k,    Q8_K,    CODES_Q8_K)  \
    X(iq4_nl,  IQ4_NL,  CODES_ONE)   \
    X(iq4_xs,  IQ4_XS,  CODES_Q8_K)  \
    X(tq1_0,   TQ1_0,   CODES_UP)    \
    X(mxfp4,   MXFP4,   CODES_ONE)   \
    X(nvfp4,   NVFP4,   CODES_NV)    \
    X(q1_0,    Q1_0,    CODES_BITS)  \
    X(q2_0,    Q2_0,    CODES_TWOS)  \
    X(q4_0_lanes, Q4_0, CODES_Q8_0)  \
    CODES_BOOK_TYPES(X)
#define CODES_PLAIN_TYPES(X) X(f64, F64) X(i8, I8) X(i16, I16) X(i32, I32) X(i64, I64)

/* Elements and bytes of a block, as constants. */
enum {
#define LS_DTYPE(sym, id, name, block, bytes, act) codes_block_##sym = (block), codes_bytes_##sym = (bytes),
#include "lockstep/dtypes.def"
#undef LS_DTYPE
};

#define CODES_KERNEL(name, sym, style)                                                           \
    static void matmul_##name(const ls_matmul *m)                                                \
    {                                                                                            \
        codes_matmul(m, style, codes_##sym, codes_block_##sym, codes_bytes_##sym);               \
    }
CODES_TYPES(CODES_KERNEL)
#undef CODES_KERNEL

#define CODES_PLAIN_KERNEL(name, sym)                                                            \
    static void matmul_##name(const ls_matmul *m)                                                \
    {                                                                                            \
        codes_matmul_plain(m, LS_DTYPE_##sym, codes_bytes_##sym);                                \
    }
CODES_PLAIN_TYPES(CODES_PLAIN_KERNEL)
#undef CODES_PLAIN_KERNEL

static inline void codes_fill(ls_kernels *k)
{
#define CODES_KERNEL(name, sym, style) k->matmul_##name = matmul_##name;
    CODES_TYPES(CODES_KERNEL)
#undef CODES_KERNEL
#define CODES_PLAIN_KERNEL(name, sym) k->matmul_##name = matmul_##name;
    CODES_PLAIN_TYPES(CODES_PLAIN_KERNEL)
#undef CODES_PLAIN_KERNEL
}

#endif
