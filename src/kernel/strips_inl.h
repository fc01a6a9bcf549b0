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
 * integers and floats; the v_ functions; strip_part and strip_step (the sums of a group);
 * STRIP_NARROW and STRIP_WIDE, columns that share a panel's loads in blocks of 32 and of 256;
 * STRIP_BIAS, what it adds to signed codes to make them unsigned; STRIP_CODES, what fills a table
 * with its products of plain rows. */
#ifndef LS_KERNEL_STRIPS_INL_H
#define LS_KERNEL_STRIPS_INL_H

#include "dtype/codes_grid_inl.h"
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
    to->scale = to->q + blocks * block * 16;
    to->pair = to->scale + blocks * groups * 64;
    to->d = (float *)(void *)(to->pair + blocks * (groups ? 8 : 0) * 64);
    to->dmin = to->d + 16 * blocks * (block < 256 ? (size_t)parts_of(t) : 1);
    j->q = to->q;
    j->scale = to->scale;
    j->pair = to->pair;
    j->d = to->d;
    j->dmin = to->dmin;
}

LS_INLINE void unpack(int t, strip_job *j, uint8_t *scratch)
{
    size_t      block = (size_t)block_of(t), blocks = (j->n + block - 1) / block;
    const int   groups = block == 256 && group_of(t) ? 256 / group_of(t) : 0;
    strip_panel to;
    place_panel(t, j, scratch, &to);
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *p = block_at(t, j, b, 0);
        for (int h = 0; h < HALVES; h++) {
            const size_t at = 4 * V_ROWS * (size_t)h;
            strip_scales s;
            stored_scales(t, p, h, &s);
#pragma GCC unroll 64
            for (size_t k = 0; k < (size_t)block_of(t) / 4; k++) {
                v_store(to.q + b * block * 16 + 64 * k + at, stored_codes(t, p, (int)k, h));
            }
#pragma GCC unroll 16
            for (int g = 0; g < groups; g++) {
                uint8_t *scale = to.scale + (b * (size_t)groups + (size_t)g) * 64;
                v_store(scale + at, stored_scale(t, &s, g));
            }
#pragma GCC unroll 8
            for (int i = 0; i < 8 && groups; i++) {
                v_store(to.pair + (b * 8 + (size_t)i) * 64 + at, stored_pair(t, &s, i));
            }
            if (has_min(t)) vf_store(to.dmin + 16 * b + V_ROWS * h, stored_d(t, p, 1, h));
            const int scales = t == LS_DTYPE_I2_S ? 0 : block < 256 ? parts_of(t) : 1;
#pragma GCC unroll 4
            for (int i = 0; i < scales; i++) {
                vf d = stored_d(t, p, t == LS_DTYPE_NVFP4 ? i : 0, h);
                vf_store(to.d + 16 * (b * (size_t)scales + (size_t)i) + V_ROWS * h, d);
            }
        }
    }
}

/* ---- panels of rows, whose blocks of 256 dtype/codes_grid_inl.h unpacks ---- */

/* Two int16 side by side. */
LS_INLINE uint32_t two(int low, int high)
{
    return ((uint32_t)low & 0xffff) | (uint32_t)high << 16;
}

/* Block b of row r. */
LS_INLINE void put_codes(int t, const strip_panel *to, ls_codes *c, size_t b, size_t r)
{
    const size_t group = (size_t)group_of(t), groups = 256 / group;
    for (size_t i = 0; i < 256; i++) c->q[i] = (int8_t)(c->q[i] + offset_of(t));
    for (size_t k = 0; k < 64; k++) memcpy(to->q + (64 * b + k) * 64 + 4 * r, c->q + 4 * k, 4);
    for (size_t g = 0; g < groups; g++) {
        uint32_t s = two(c->scale[g * group / 16], c->scale[g * group / 16]);
        memcpy(to->scale + (groups * b + g) * 64 + 4 * r, &s, 4);
    }
    for (size_t i = 0; i < 8; i++) {
        uint32_t m = two(offset_of(t) * c->scale[2 * i], offset_of(t) * c->scale[2 * i + 1]);
        memcpy(to->pair + (8 * b + i) * 64 + 4 * r, &m, 4);
    }
    to->d[16 * b + r] = c->d;
}

LS_INLINE void unpack_rows(int t, ls_unpack_fn *codes, strip_job *j, uint8_t *scratch)
{
    const size_t blocks = j->n / 256;
    strip_panel  to;
    ls_codes     c;
    place_panel(t, j, scratch, &to);
    for (size_t b = 0; b < blocks; b++) {
        for (size_t r = 0; r < LS_STRIP_ROWS; r++) {
            codes(&c, j->strip + (r * blocks + b) * bytes_of(t));
            put_codes(t, &to, &c, b, r);
        }
    }
}

typedef void strip_fn(const strip_job *j);
typedef void unpack_fn(strip_job *j, uint8_t *scratch);

/* Products of one type. */
typedef struct strip_fns {
    unpack_fn *unpack;
    strip_fn  *stored, *together; /* a strip, `strips` of them: a column    */
    strip_fn  *one, *many;        /* of a panel: a column, `width` columns */
    size_t     strips, width;
} strip_fns;

/* A few columns. */
static void strips_stored(const ls_matmul *m, const strip_fns *f, strip_job *j)
{
    for (size_t r = 0, strips; r < m->n_rows; r += strips * LS_STRIP_ROWS) {
        strips = m->n_rows - r < f->strips * LS_STRIP_ROWS ? 1 : f->strips;
        j->strip = (const uint8_t *)m->w + r * m->row_bytes;
        for (size_t c = 0; c < m->n_cols; c++) {
            j->x[0] = (const uint8_t *)m->x + c * m->x_bytes;
            j->y[0] = m->y + c * m->ldy + r;
            (strips == 1 ? f->stored : f->together)(j);
        }
    }
}

static void strips_run(const ls_matmul *m, const strip_fns *f)
{
    strip_job j = {.n = m->n, .w_scale = m->w_scale, .bytes = LS_STRIP_ROWS * m->row_bytes};
    if (m->n_cols < PANEL_FROM) {
        strips_stored(m, f, &j);
        return;
    }
    for (size_t r = 0; r < m->n_rows; r += LS_STRIP_ROWS) {
        j.strip = (const uint8_t *)m->w + r * m->row_bytes;
        f->unpack(&j, m->scratch);
        for (size_t c = 0, step; c < m->n_cols; c += step) {
            step = m->n_cols - c >= f->width ? f->width : 1;
            for (size_t i = 0; i < step; i++) {
                j.x[i] = (const uint8_t *)m->x + (c + i) * m->x_bytes;
                j.y[i] = m->y + (c + i) * m->ldy + r;
            }
            (step == 1 ? f->one : f->many)(&j);
        }
    }
}

/* name in the kernel table, type, columns at once */
#define STRIP_TYPES(X)                  \
    X(q4_0,   Q4_0,   STRIP_NARROW)     \
    X(q4_1,   Q4_1,   STRIP_NARROW)     \
    X(q5_0,   Q5_0,   STRIP_NARROW)     \
    X(q5_1,   Q5_1,   STRIP_NARROW)     \
    X(q8_0,   Q8_0,   STRIP_SIGNED)     \
    X(q8_1,   Q8_1,   STRIP_SIGNED)     \
    X(iq4_nl, IQ4_NL, STRIP_SIGNED)     \
    X(mxfp4,  MXFP4,  STRIP_NARROW)     \
    X(nvfp4,  NVFP4,  STRIP_SIGNED)     \
    X(q1_0,   Q1_0,   STRIP_NARROW)     \
    X(q2_0,   Q2_0,   STRIP_NARROW)     \
    X(q2_k,   Q2_K,   STRIP_WIDE)       \
    X(q3_k,   Q3_K,   STRIP_WIDE)       \
    X(q4_k,   Q4_K,   STRIP_WIDE)       \
    X(q5_k,   Q5_K,   STRIP_WIDE)       \
    X(q6_k,   Q6_K,   STRIP_WIDE)       \
    X(q8_k,   Q8_K,   STRIP_WIDE)       \
    X(iq4_xs, IQ4_XS, STRIP_WIDE)       \
    X(tq1_0,  TQ1_0,  STRIP_WIDE)       \
    X(tq2_0,  TQ2_0,  STRIP_WIDE)       \
    X(i2_s,   I2_S,   STRIP_NARROW)

/* The same of types that stay rows. */
#define STRIP_ROW_TYPES(X)              \
    X(iq1_s,   IQ1_S,   STRIP_WIDE)     \
    X(iq1_m,   IQ1_M,   STRIP_WIDE)     \
    X(iq2_xxs, IQ2_XXS, STRIP_WIDE)     \
    X(iq2_xs,  IQ2_XS,  STRIP_WIDE)     \
    X(iq2_s,   IQ2_S,   STRIP_WIDE)     \
    X(iq3_xxs, IQ3_XXS, STRIP_WIDE)     \
    X(iq3_s,   IQ3_S,   STRIP_WIDE)

#define STRIP_PANEL(name, sym, width)                                                           \
    static void one_##name(const strip_job *j) { mul(LS_DTYPE_##sym, PANEL, j, 1); }            \
    static void many_##name(const strip_job *j) { mul(LS_DTYPE_##sym, PANEL, j, width); }

#define STRIP_STORED(name, sym)                                                                 \
    static void stored_##name(const strip_job *j) { mul(LS_DTYPE_##sym, 1, j, 1); }             \
    static void together_##name(const strip_job *j)                                             \
    {                                                                                           \
        if (strips_of(LS_DTYPE_##sym) > 1) mul(LS_DTYPE_##sym, MAX_STRIPS, j, 1);               \
    }

#define STRIP_KERNEL(name, sym, width)                                                          \
    STRIP_PANEL(name, sym, width)                                                               \
    STRIP_STORED(name, sym)                                                                     \
    static void unpack_##name(strip_job *j, uint8_t *s) { unpack(LS_DTYPE_##sym, j, s); }       \
    static void strips_##name(const ls_matmul *m)                                               \
    {                                                                                           \
        const strip_fns f = {unpack_##name, stored_##name, together_##name, one_##name,         \
                             many_##name, (size_t)strips_of(LS_DTYPE_##sym), width};            \
        strips_run(m, &f);                                                                      \
    }
STRIP_TYPES(STRIP_KERNEL)
#undef STRIP_KERNEL

/* A few columns are not worth a panel. */
#define STRIP_KERNEL(name, sym, width)                                                          \
    STRIP_PANEL(name, sym, width)                                                               \
    static void unpack_##name(strip_job *j, uint8_t *s)                                         \
    {                                                                                           \
        unpack_rows(LS_DTYPE_##sym, codes_##sym, j, s);                                         \
    }                                                                                           \
    static void strips_##name(const ls_matmul *m)                                               \
    {                                                                                           \
        ls_kernels k;                                                                           \
        ls_matmul  whole = *m;                                                                  \
        const strip_fns f = {unpack_##name, NULL, NULL, one_##name, many_##name, 1, width};     \
        STRIP_CODES(&k);                                                                        \
        whole.whole = true;                                                                     \
        if (m->n_cols < PANEL_FROM) k.matmul_##name(&whole);                                    \
        else strips_run(m, &f);                                                                 \
    }
STRIP_ROW_TYPES(STRIP_KERNEL)
#undef STRIP_KERNEL

LS_INLINE void strips_fill(ls_kernels *k)
{
#define STRIP_KERNEL(name, sym, width) k->strips_##name = strips_##name;
    STRIP_TYPES(STRIP_KERNEL)
    STRIP_ROW_TYPES(STRIP_KERNEL)
#undef STRIP_KERNEL
}

#endif
