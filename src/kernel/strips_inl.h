// SPDX-License-Identifier: MIT
/* strips_inl.h - products of weights in strips (dtype/strips.h).
 *
 * A lane of a register is a row of the strip, so that nothing is ever added across lanes: four
 * elements of an activation row, which stand in every lane, meet four codes of each row. One
 * float accumulator per row, fed block by block (NUMERICS.md, clause 4).
 *
 * A few columns read the strip as it is stored. Many columns read a panel: the strip's codes as
 * bytes and its scales as 16-bit pairs, unpacked once into scratch that stays in the cache.
 *
 * A tier defines, before it includes this: V_ROWS, the lanes of a register; vi and vf, registers of
 * integers and floats; the v_ functions; strip_code (codes as they are multiplied), strip_part and
 * strip_step (the sums of a group); STRIP_PANEL, strips of a panel; columns that share its loads:
 * STRIP_NARROW in blocks of 32, STRIP_SIGNED in those with signed codes, STRIP_WIDE in blocks of 256,
 * STRIP_SUMS where nothing is scaled within a block of 256 or a row; STRIP_WIDE_REGS and
 * STRIP_SUMS_REGS, registers of rows that share loads in these; STRIP_STEPS, four elements each, which
 * a loop of the latter has in a row, a multiple of what fits 16 bits;
 * STRIP_BIAS, what it adds to signed codes to make them unsigned; STRIP_CODES, what fills a table
 * with its products of plain rows. */
#ifndef LS_KERNEL_STRIPS_INL_H
#define LS_KERNEL_STRIPS_INL_H

#include "dtype/codes_grid_inl.h"
#include "kernel/strip_lanes_inl.h"
#include "kernel/strip_sums_inl.h"

/* ---- panels ---- */

/* A panel while it is filled: as in strip_job. */
typedef struct strip_panel {
    uint8_t *q, *scale, *pair;
    float   *d, *dmin;
} strip_panel;

/* Where the parts of a panel lie in the scratch. */
LS_INLINE void place_panel(int t, strip_job *j, uint8_t *scratch, strip_panel *to)
{
    size_t block = (size_t)block_of(t), blocks = (j->n + block - 1) / block;
    size_t groups = block == 256 && group_of(t) ? 256 / (size_t)group_of(t) : 0;
    to->q = scratch;
    to->scale = to->q + blocks * block * PANEL_ROWS;
    to->pair = to->scale + 4 * blocks * groups * PANEL_ROWS;
    to->d = (float *)(void *)(to->pair + 4 * blocks * (groups ? 8 : 0) * PANEL_ROWS);
    to->dmin = to->d + blocks * PANEL_ROWS * (block < 256 ? (size_t)parts_of(t) : 1);
    j->q = to->q;
    j->scale = to->scale;
    j->pair = to->pair;
    j->d = to->d;
    j->dmin = to->dmin;
}

/* Word `at` of a panel, the rows of register h. */
LS_INLINE void put_words(uint8_t *to, size_t at, int h, vi v)
{
    v_store(to + 4 * (PANEL_ROWS * at + V_ROWS * (size_t)h), v);
}

LS_INLINE void put_floats(float *to, size_t at, int h, vf v)
{
    vf_store(to + PANEL_ROWS * at + V_ROWS * (size_t)h, v);
}

/* Codes as they are multiplied. */
LS_INLINE vi panel_code(int t, bool lanes, vi stored)
{
    return lanes ? lanes_code(t, stored) : strip_code(adds_of(t), stored);
}

/* Half h of block b becomes register `reg` of the panel. */
LS_INLINE void unpack_block(int t, bool lanes, const strip_job *j, const strip_panel *to, size_t b,
                            int h, int reg)
{
    const size_t   block = (size_t)block_of(t);
    const size_t   groups = block == 256 && group_of(t) ? 256 / (size_t)group_of(t) : 0;
    const size_t   scales = t == LS_DTYPE_I2_S ? 0 : block < 256 ? (size_t)parts_of(t) : 1;
    const uint8_t *p = block_at(t, j, b);
    strip_scales   s;
    stored_scales(t, p, h, &s);
#pragma GCC unroll 64
    for (size_t k = 0; k < (size_t)block_of(t) / 4; k++)
        put_words(to->q, b * block / 4 + k, reg,
                  panel_code(t, lanes, stored_codes(t, p, (int)k, h)));
#pragma GCC unroll 16
    for (size_t g = 0; g < groups; g++)
        put_words(to->scale, b * groups + g, reg, stored_scale(t, &s, (int)g));
#pragma GCC unroll 8
    for (size_t i = 0; i < 8 && groups; i++)
        put_words(to->pair, 8 * b + i, reg, stored_pair(t, &s, (int)i));
    if (has_min(t)) put_floats(to->dmin, b, reg, stored_d(t, p, 1, h));
#pragma GCC unroll 4
    for (size_t i = 0; i < scales; i++)
        put_floats(to->d, b * scales + i, reg, stored_d(t, p, t == LS_DTYPE_NVFP4 ? (int)i : 0, h));
}

/* Strip j->strip becomes number s of the panel. */
LS_INLINE void unpack(int t, bool lanes, strip_job *j, int s, uint8_t *scratch)
{
    const size_t block = (size_t)block_of(t), blocks = (j->n + block - 1) / block;
    strip_panel  to;
    place_panel(t, j, scratch, &to);
    for (size_t b = 0; b < blocks; b++) {
        fetch_ahead(t, j, b, 0, 1);
        for (int h = 0; h < HALVES; h++) unpack_block(t, lanes, j, &to, b, h, s * HALVES + h);
    }
}

/* ---- panels of rows, whose blocks of 256 dtype/codes_grid_inl.h unpacks ---- */

/* Two int16 side by side. */
LS_INLINE uint32_t two(int low, int high)
{
    return ((uint32_t)low & 0xffff) | (uint32_t)high << 16;
}

/* Word `at` of row r. */
LS_INLINE void put_word(uint8_t *to, size_t at, size_t r, const void *word)
{
    memcpy(to + 4 * (PANEL_ROWS * at + r), word, 4);
}

/* Block b of row r. */
LS_INLINE void put_codes(int t, const strip_panel *to, ls_codes *c, size_t b, size_t r)
{
    const size_t group = (size_t)group_of(t), groups = 256 / group;
    for (size_t i = 0; i < 256; i++) c->q[i] = (int8_t)(c->q[i] + offset_of(t));
    for (size_t k = 0; k < 64; k++) put_word(to->q, 64 * b + k, r, c->q + 4 * k);
    for (size_t g = 0; g < groups; g++) {
        uint32_t s = two(c->scale[g * group / 16], c->scale[g * group / 16]);
        put_word(to->scale, groups * b + g, r, &s);
    }
    for (size_t i = 0; i < 8; i++) {
        uint32_t m = two(offset_of(t) * c->scale[2 * i], offset_of(t) * c->scale[2 * i + 1]);
        put_word(to->pair, 8 * b + i, r, &m);
    }
    to->d[PANEL_ROWS * b + r] = c->d;
}

LS_INLINE void unpack_rows(int t, ls_unpack_fn *codes, strip_job *j, int s, uint8_t *scratch)
{
    const size_t blocks = j->n / 256;
    strip_panel  to;
    ls_codes     c;
    place_panel(t, j, scratch, &to);
    for (size_t b = 0; b < blocks; b++) {
        for (size_t r = 0; r < LS_STRIP_ROWS; r++) {
            codes(&c, j->strip + (r * blocks + b) * bytes_of(t));
            put_codes(t, &to, &c, b, (size_t)s * LS_STRIP_ROWS + r);
        }
    }
}

typedef void strip_fn(const strip_job *j);
typedef void unpack_fn(strip_job *j, int s, uint8_t *scratch);

/* Products of one type. */
typedef struct strip_fns {
    unpack_fn *unpack;
    strip_fn  *stored;     /* a strip: a column                           */
    strip_fn  *one, *many; /* of a panel: a column, `width` columns       */
    size_t     width;
} strip_fns;

/* A few columns. */
static void strips_stored(const ls_matmul *m, const strip_fns *f)
{
    strip_job j = {.n = m->n, .w_scale = m->w_scale};
    for (size_t r = 0; r < m->n_rows; r += LS_STRIP_ROWS) {
        j.strip = (const uint8_t *)m->w + r * m->row_bytes;
        for (size_t c = 0; c < m->n_cols; c++) {
            j.x[0] = (const uint8_t *)m->x + c * m->x_bytes;
            j.y[0] = m->y + c * m->ldy + r;
            f->stored(&j);
        }
    }
}

/* Columns c to c + n of the panel's n_rows rows, the first of which is r. A panel that is not full has
 * its last strip twice, and its results take a detour. */
static void panel_columns(const ls_matmul *m, const strip_fns *f, strip_job *j, size_t r,
                          size_t n_rows, size_t c, size_t n)
{
    float full[MAX_COLS][PANEL_ROWS];
    for (size_t i = 0; i < n; i++) {
        j->x[i] = (const uint8_t *)m->x + (c + i) * m->x_bytes;
        j->y[i] = n_rows < PANEL_ROWS ? full[i] : m->y + (c + i) * m->ldy + r;
    }
    (n == f->width ? f->many : f->one)(j);
    for (size_t i = 0; i < n && n_rows < PANEL_ROWS; i++)
        memcpy(m->y + (c + i) * m->ldy + r, full[i], n_rows * sizeof(float));
}

static void strips_panels(const ls_matmul *m, const strip_fns *f)
{
    strip_job j = {.n = m->n, .w_scale = m->w_scale, .scratch = m->scratch};
    for (size_t r = 0; r < m->n_rows; r += PANEL_ROWS) {
        const size_t n_rows = m->n_rows - r < PANEL_ROWS ? m->n_rows - r : PANEL_ROWS;
        for (size_t s = 0; s < STRIP_PANEL; s++) {
            size_t strip = s * LS_STRIP_ROWS < n_rows ? s : n_rows / LS_STRIP_ROWS - 1;
            j.strip = (const uint8_t *)m->w + (r + strip * LS_STRIP_ROWS) * m->row_bytes;
            f->unpack(&j, (int)s, m->scratch);
        }
        for (size_t c = 0, step = m->n_cols < f->width ? 1 : f->width; c < m->n_cols; c += step) {
            /* the last ones together with some that were there before, which are the same again */
            size_t from = c + step > m->n_cols ? m->n_cols - step : c;
            panel_columns(m, f, &j, r, n_rows, from, step);
        }
    }
}

static void strips_run(const ls_matmul *m, const strip_fns *f)
{
    (m->n_cols < PANEL_FROM ? strips_stored : strips_panels)(m, f);
}

/* As the reference adds; it multiplies the last few columns one by one (ls_matmul.follow), of which
 * `last` has the sums. */
static void strips_follow(const ls_matmul *m, const strip_fns *f, const strip_fns *last)
{
    const size_t n_last = last && m->follow ? m->n_cols % 4 : 0;
    ls_matmul    part = *m;
    part.n_cols -= n_last;
    strips_panels(&part, f);
    if (n_last == 0) return;
    part.x = (const uint8_t *)m->x + part.n_cols * m->x_bytes;
    part.y = m->y + part.n_cols * m->ldy;
    part.n_cols = n_last;
    strips_run(&part, last);
}

/* name in the kernel table, type, columns at once */
#define STRIP_TYPES(X)                  \
    X(q4_0,   Q4_0,   STRIP_NARROW)     \
    X(iq4_nl, IQ4_NL, STRIP_SIGNED)     \
    X(mxfp4,  MXFP4,  STRIP_NARROW)     \
    X(nvfp4,  NVFP4,  STRIP_SIGNED)     \
    X(q1_0,   Q1_0,   STRIP_NARROW)     \
    X(q2_0,   Q2_0,   STRIP_NARROW)     \
    X(iq4_xs, IQ4_XS, STRIP_WIDE)       \
    X(i2_s,   I2_S,   STRIP_SUMS)

/* The same of types that the reference adds in another order, columns at once of that, the last columns
 * in the own order. */
#define STRIP_LANE_TYPES(X)                                       \
    X(q4_1,   Q4_1,   STRIP_NARROW,   STRIP_LANES,      false)    \
    X(q5_0,   Q5_0,   STRIP_NARROW,   STRIP_LANES,      false)    \
    X(q5_1,   Q5_1,   STRIP_NARROW,   STRIP_LANES,      false)    \
    X(q8_0,   Q8_0,   STRIP_SIGNED,   STRIP_LANES,      false)    \
    X(q8_1,   Q8_1,   STRIP_SIGNED,   STRIP_LANES,      false)    \
    X(q2_k,   Q2_K,   STRIP_WIDE,     STRIP_LANES_WIDE, false)    \
    X(q3_k,   Q3_K,   STRIP_WIDE,     STRIP_LANES_WIDE, false)    \
    X(q4_k,   Q4_K,   STRIP_WIDE,     STRIP_WIDE,       true)     \
    X(q5_k,   Q5_K,   STRIP_WIDE,     STRIP_LANES_WIDE, false)    \
    X(q6_k,   Q6_K,   STRIP_WIDE,     STRIP_LANES_WIDE, false)    \
    X(q8_k,   Q8_K,   STRIP_SUMS,     STRIP_LANES_WIDE, false)    \
    X(tq1_0,  TQ1_0,  STRIP_SUMS,     STRIP_LANES_WIDE, false)    \
    X(tq2_0,  TQ2_0,  STRIP_SUMS,     STRIP_LANES_WIDE, false)

/* The same of types that stay rows. */
#define STRIP_ROW_TYPES(X)              \
    X(iq1_s,   IQ1_S,   STRIP_WIDE)     \
    X(iq1_m,   IQ1_M,   STRIP_WIDE)     \
    X(iq2_xxs, IQ2_XXS, STRIP_WIDE)     \
    X(iq2_xs,  IQ2_XS,  STRIP_WIDE)     \
    X(iq2_s,   IQ2_S,   STRIP_WIDE)     \
    X(iq3_xxs, IQ3_XXS, STRIP_WIDE)     \
    X(iq3_s,   IQ3_S,   STRIP_WIDE)

#define PANEL_KERNELS(name, sym, width)                                                         \
    static void one_##name(const strip_job *j) { mul_panel(LS_DTYPE_##sym, j, 1); }             \
    static void many_##name(const strip_job *j) { mul_panel(LS_DTYPE_##sym, j, width); }

#define STORED_KERNELS(name, sym, width)                                                        \
    PANEL_KERNELS(name, sym, width)                                                             \
    static void stored_##name(const strip_job *j) { mul_stored(LS_DTYPE_##sym, j); }         \
    static void unpack_##name(strip_job *j, int s, uint8_t *to)                                 \
    {                                                                                           \
        unpack(LS_DTYPE_##sym, false, j, s, to);                                                \
    }

#define STRIP_KERNEL(name, sym, width)                                                          \
    STORED_KERNELS(name, sym, width)                                                            \
    static void strips_##name(const ls_matmul *m)                                               \
    {                                                                                           \
        const strip_fns f = {unpack_##name, stored_##name, one_##name, many_##name, width};     \
        strips_run(m, &f);                                                                      \
    }
STRIP_TYPES(STRIP_KERNEL)
#undef STRIP_KERNEL

#define STRIP_KERNEL(name, sym, width, lanes_width, last)                                       \
    STORED_KERNELS(name, sym, width)                                                            \
    static void lane_##name(const strip_job *j) { mul_lanes(LS_DTYPE_##sym, j, 1); }            \
    static void lanes_##name(const strip_job *j) { mul_lanes(LS_DTYPE_##sym, j, lanes_width); } \
    static void unpack_lanes_##name(strip_job *j, int s, uint8_t *to)                                 \
    {                                                                                           \
        unpack(LS_DTYPE_##sym, true, j, s, to);                                                 \
    }                                                                                           \
    static void strips_##name(const ls_matmul *m)                                               \
    {                                                                                           \
        const strip_fns f = {unpack_##name, stored_##name, one_##name, many_##name, width};     \
        const strip_fns l = {unpack_lanes_##name, NULL, lane_##name, lanes_##name, lanes_width};      \
        if (m->whole) strips_run(m, &f);                                                        \
        else strips_follow(m, &l, last ? &f : NULL);                                            \
    }
STRIP_LANE_TYPES(STRIP_KERNEL)
#undef STRIP_KERNEL

/* A few columns are not worth a panel. */
#define STRIP_KERNEL(name, sym, width)                                                          \
    PANEL_KERNELS(name, sym, width)                                                             \
    static void unpack_##name(strip_job *j, int s, uint8_t *to)                                 \
    {                                                                                           \
        unpack_rows(LS_DTYPE_##sym, codes_##sym, j, s, to);                                     \
    }                                                                                           \
    static void strips_##name(const ls_matmul *m)                                               \
    {                                                                                           \
        ls_kernels k;                                                                           \
        ls_matmul  whole = *m;                                                                  \
        const strip_fns f = {unpack_##name, NULL, one_##name, many_##name, width};              \
        STRIP_CODES(&k);                                                                        \
        whole.whole = true;                                                                     \
        if (m->n_cols < PANEL_FROM) k.matmul_##name(&whole);                                    \
        else strips_panels(m, &f);                                                              \
    }
STRIP_ROW_TYPES(STRIP_KERNEL)
#undef STRIP_KERNEL

LS_INLINE void strips_fill(ls_kernels *k)
{
#define STRIP_KERNEL(name, sym, ...) k->strips_##name = strips_##name;
    STRIP_TYPES(STRIP_KERNEL)
    STRIP_LANE_TYPES(STRIP_KERNEL)
    STRIP_ROW_TYPES(STRIP_KERNEL)
#undef STRIP_KERNEL
}

#endif
