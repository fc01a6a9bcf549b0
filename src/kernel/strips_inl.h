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

#include <stddef.h>
#include <string.h>

#include "dtype/codes_grid_inl.h"
#include "dtype/strips.h"
#include "kernel/kernel_priv.h"

#define LS_INLINE static inline __attribute__((always_inline))

#include "kernel/strip_forms_inl.h"

enum { HALVES = LS_STRIP_ROWS / V_ROWS, MAX_COLS = 12, PANEL_FROM = 8, FETCH_AHEAD = 2048 };

/* What an output is made of. */
typedef struct strip_job {
    const uint8_t *strip; /* as stored; or the panel: */
    const uint8_t *q;     /* [n / 4][16][4] codes                              */
    const float   *d;     /* [blocks][parts][16], in blocks of 256 [blocks][16] */
    const float   *dmin;  /* [blocks][16]                                      */
    const uint8_t *scale; /* [groups][16] a scale, twice, as int16             */
    const uint8_t *pair;  /* [n / 32][16] as stored_pair                       */
    const uint8_t *x[MAX_COLS];
    float         *y[MAX_COLS];
    size_t         n;
    float          w_scale;
} strip_job;

/* What is read once, out of memory, does not come fast enough by itself: part i of n of the lines
 * that lie FETCH_AHEAD behind these bytes; behind a large block by twice its size. The barrier keeps
 * the compiler from moving all parts together: memory takes few lines at a time. */
LS_INLINE void fetch_ahead(const uint8_t *p, size_t bytes, size_t i, size_t n)
{
    const size_t ahead = bytes > FETCH_AHEAD + 512 ? 2 * bytes : FETCH_AHEAD;
    __asm__ volatile("" ::: "memory");
    for (size_t line = (bytes * i / n + 63) / 64; line < (bytes * (i + 1) / n + 63) / 64; line++)
        __builtin_prefetch((const void *)((uintptr_t)p + ahead + 64 * line));
}

/* ---- one of both sources ---- */

LS_INLINE const uint8_t *block_at(int t, const strip_job *j, size_t b)
{
    return j->strip + b * LS_STRIP_ROWS * bytes_of(t);
}

LS_INLINE vi codes_at(int t, bool panel, const strip_job *j, size_t b, int k, int h)
{
    size_t at = (b * (size_t)block_of(t) / 4 + (size_t)k) * 64 + 4 * V_ROWS * (size_t)h;
    return panel ? v_load(j->q + at) : stored_codes(t, block_at(t, j, b), k, h);
}

LS_INLINE vi scale_at(int t, bool panel, const strip_job *j, const strip_scales *s, size_t b, int g,
                      int h)
{
    size_t groups = 256 / (size_t)group_of(t);
    size_t at = (b * groups + (size_t)g) * 64 + 4 * V_ROWS * (size_t)h;
    return panel ? v_load(j->scale + at) : stored_scale(t, s, g);
}

LS_INLINE vi pair_at(int t, bool panel, const strip_job *j, const strip_scales *s, size_t b, int i,
                     int h)
{
    size_t at = (b * 8 + (size_t)i) * 64 + 4 * V_ROWS * (size_t)h;
    return panel && group_of(t) ? v_load(j->pair + at) : stored_pair(t, s, i);
}

/* Scale of part i of a block. */
LS_INLINE vf d_at(int t, bool panel, const strip_job *j, size_t b, int i, int h)
{
    size_t parts = block_of(t) < 256 ? (size_t)parts_of(t) : 1;
    if (panel) return vf_load(j->d + 16 * (b * parts + (size_t)i) + V_ROWS * (size_t)h);
    return stored_d(t, block_at(t, j, b), t == LS_DTYPE_NVFP4 ? i : 0, h);
}

LS_INLINE vf dmin_at(int t, bool panel, const strip_job *j, size_t b, int h)
{
    return panel ? vf_load(j->dmin + 16 * b + V_ROWS * (size_t)h)
                 : stored_d(t, block_at(t, j, b), 1, h);
}

/* ---- blocks of 32, and of more with Q8_0 beside them ---- */

LS_INLINE size_t x_bytes_of(int t) { return takes_q8_1(t) ? sizeof(ls_q8_1) : sizeof(ls_q8_0); }

/* Sum of n codes of activations x; Q8_0 has those of 32 behind the row. */
LS_INLINE int sum_of(int t, const uint8_t *x, const uint8_t *stored, int n)
{
    int16_t sum16;
    int     sum = 0;
    if (!takes_q8_1(t) && n == 32) {
        memcpy(&sum16, stored, 2);
        return sum16;
    }
    for (int i = 0; i < n; i++) sum += (int8_t)x[i];
    return sum;
}

/* Part i of block b: xb is its block of activations. */
LS_INLINE void mul_part(int t, bool panel, const strip_job *j, size_t b, int i, size_t xb, int nc,
                        vi (*isum)[HALVES])
{
    const int  steps = part_of(t) / 4;
    size_t     codes = takes_q8_1(t) ? 4 : 2, sums = j->n / 32 * x_bytes_of(t) + 2 * xb;
    size_t     from = x_bytes_of(t) * xb + codes + 4 * (size_t)(i * steps % 8);
    strip_part part[MAX_COLS][HALVES];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < HALVES; h++) isum[c][h] = v_zero();
    }
#pragma GCC unroll 8
    for (int k = 0; k < steps; k++) {
        vi w[HALVES];
        for (int h = 0; h < HALVES; h++) w[h] = codes_at(t, panel, j, b, i * steps + k, h);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            vi x = v_broadcast(j->x[c] + from + 4 * (size_t)k);
            for (int h = 0; h < HALVES; h++) {
                strip_step(adds_of(t), k, steps, &part[c][h], &isum[c][h], w[h], x, v_set16(1),
                           false);
            }
        }
    }
#pragma GCC unroll 12
    for (int c = 0; c < nc; c++) {
        if (offset_of(t) == 0) break;
        vi sum = v_set32(offset_of(t) * sum_of(t, j->x[c] + from, j->x[c] + sums, 4 * steps));
        for (int h = 0; h < HALVES; h++) isum[c][h] = v_sub32(isum[c][h], sum);
    }
}

LS_INLINE void mul_32(int t, bool panel, const strip_job *j, int nc)
{
    const size_t x_blocks = (size_t)block_of(t) / 32;
    vf           acc[MAX_COLS][HALVES], mins[MAX_COLS][HALVES];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < HALVES; h++) acc[c][h] = mins[c][h] = vf_zero();
    }
    for (size_t b = 0; b < j->n / (size_t)block_of(t); b++) {
        if (!panel) fetch_ahead(block_at(t, j, b), LS_STRIP_ROWS * bytes_of(t), 0, 1);
#pragma GCC unroll 4
        for (int i = 0; i < parts_of(t); i++) {
            const size_t xb = b * x_blocks + (size_t)(i * part_of(t) / 32);
            vi           isum[MAX_COLS][HALVES];
            mul_part(t, panel, j, b, i, xb, nc, isum);
#pragma GCC unroll 12
            for (int c = 0; c < nc; c++) {
                const uint8_t *x = j->x[c] + x_bytes_of(t) * xb;
                vf             dx = v_f16_all(x);
                for (int h = 0; h < HALVES; h++) {
                    vf d = vf_mul(d_at(t, panel, j, b, i, h), dx);
                    acc[c][h] = vf_fma(d, v_float(isum[c][h]), acc[c][h]);
                    if (has_min(t)) {
                        vf m = dmin_at(t, panel, j, b, h);
                        mins[c][h] = vf_fma(m, v_f16_all(x + 2), mins[c][h]);
                    }
                }
            }
        }
    }
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < HALVES; h++) {
            vf_store(j->y[c] + V_ROWS * h, has_min(t) ? vf_add(acc[c][h], mins[c][h]) : acc[c][h]);
        }
    }
}

/* ---- blocks of 256 ---- */

/* Step k of the 32 of 128 elements in an order in which the four codes of a byte follow each
 * other, so that what is loaded once serves four steps. */
LS_INLINE int by_word(int t, bool panel, int k)
{
    bool four = !panel && (t == LS_DTYPE_TQ2_0 || t == LS_DTYPE_I2_S);
    return four ? k % 4 * 8 + k / 4 : k;
}

/* Rows of one product of a block of 256, from half h on: all of a strip as it is stored, so that
 * activations are loaded once; half of a panel, whose columns fill the registers. */
LS_INLINE int halves_at_once(bool panel) { return panel ? 1 : HALVES; }

/* Group g of the block. */
LS_INLINE void mul_group(int t, bool panel, const strip_job *j, const strip_scales *s, size_t b,
                         int nc, int h, int g, strip_part (*part)[HALVES], vi (*isum)[HALVES])
{
    const int group = group_of(t) ? group_of(t) : 128, nh = halves_at_once(panel);
    vi        scale[HALVES];
    for (int i = 0; i < nh; i++)
        scale[i] = group_of(t) ? scale_at(t, panel, j, s + i, b, g, h + i) : v_set16(1);
#pragma GCC unroll 32
    for (int k = 0; k < group / 4; k++) {
        const int at = by_word(t, panel, k);
        vi        w[HALVES];
        for (int i = 0; i < nh; i++) w[i] = codes_at(t, panel, j, b, g * group / 4 + at, h + i);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            const uint8_t *x = j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, qs);
            vi             four = v_broadcast(x + g * group + 4 * at);
            for (int i = 0; i < nh; i++) {
                strip_step(adds_of(t), k, group / 4, &part[c][i], &isum[c][i], w[i], four,
                           scale[i], group_of(t) != 0);
            }
        }
    }
}

LS_INLINE void mul_256_sums(int t, bool panel, const strip_job *j, size_t b, int nc, int h,
                            vi (*isum)[HALVES], vi (*msum)[HALVES])
{
    strip_part   part[MAX_COLS][HALVES];
    strip_scales s[HALVES];
    const int    groups = group_of(t) ? 256 / group_of(t) : 2, nh = halves_at_once(panel);
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < nh; i++) isum[c][i] = msum[c][i] = v_zero();
    }
    for (int i = 0; i < nh && !panel; i++) stored_scales(t, block_at(t, j, b), h + i, &s[i]);
    if (panel) {
        for (int g = 0; g < groups; g++) mul_group(t, panel, j, s, b, nc, h, g, part, isum);
    } else { /* where a code stands is then known when this is compiled */
#pragma GCC unroll 16
        for (int g = 0; g < groups; g++) {
            fetch_ahead(block_at(t, j, b), LS_STRIP_ROWS * bytes_of(t), (size_t)g, (size_t)groups);
            mul_group(t, panel, j, s, b, nc, h, g, part, isum);
        }
    }
    if (!has_pairs(t)) return;
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        vi m[HALVES];
        for (int k = 0; k < nh; k++) m[k] = pair_at(t, panel, j, s + k, b, i, h + k);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            const uint8_t *sums = j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, bsums);
            vi             two = v_broadcast(sums + 4 * i);
            for (int k = 0; k < nh; k++) msum[c][k] = v_madd_add(msum[c][k], m[k], two);
        }
    }
}

LS_INLINE void mul_256(int t, bool panel, const strip_job *j, int nc, int h)
{
    const int nh = halves_at_once(panel);
    vf        acc[MAX_COLS][HALVES], mins[MAX_COLS][HALVES];
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < nh; i++) acc[c][i] = mins[c][i] = vf_zero();
    }
    for (size_t b = 0; b < j->n / 256; b++) {
        vi isum[MAX_COLS][HALVES], msum[MAX_COLS][HALVES];
        mul_256_sums(t, panel, j, b, nc, h, isum, msum);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            vf dx = vf_all(j->x[c] + sizeof(ls_q8_k) * b);
            for (int i = 0; i < nh; i++) {
                vi sum = isum[c][i];
                if (has_pairs(t) && !has_min(t)) sum = v_sub32(sum, msum[c][i]);
                vf d = vf_mul(d_at(t, panel, j, b, 0, h + i), dx);
                acc[c][i] = vf_fma(d, v_float(sum), acc[c][i]);
                if (!has_min(t)) continue;
                vf dmin = vf_mul(dmin_at(t, panel, j, b, h + i), dx);
                mins[c][i] = vf_fma(dmin, v_float(msum[c][i]), mins[c][i]);
            }
        }
    }
    for (int c = 0; c < nc; c++) {
        for (int i = 0; i < nh; i++) {
            vf y = has_min(t) ? vf_sub(acc[c][i], mins[c][i]) : acc[c][i];
            vf_store(j->y[c] + V_ROWS * (h + i), y);
        }
    }
}

/* ---- one sum over the row ---- */

LS_INLINE void mul_row(int t, bool panel, const strip_job *j, int nc)
{
    vi isum[MAX_COLS][HALVES];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < HALVES; h++) isum[c][h] = v_zero();
    }
    for (size_t b = 0; b < (j->n + 127) / 128; b++) {
        strip_part part[MAX_COLS][HALVES];
        if (!panel) fetch_ahead(block_at(t, j, b), LS_STRIP_ROWS * bytes_of(t), 0, 1);
#pragma GCC unroll 32
        for (int k = 0; k < 32; k++) {
            int i = by_word(t, panel, k);
            vi  w[HALVES];
            for (int h = 0; h < HALVES; h++) w[h] = codes_at(t, panel, j, b, i, h);
#pragma GCC unroll 12
            for (int c = 0; c < nc; c++) {
                vi x = v_broadcast(j->x[c] + sizeof(ls_i8_row) + 128 * b + 4 * (size_t)i);
                for (int h = 0; h < HALVES; h++) {
                    strip_step(adds_of(t), k, 32, &part[c][h], &isum[c][h], w[h], x, v_set16(1),
                               false);
                }
            }
        }
    }
    for (int c = 0; c < nc; c++) {
        ls_i8_row x;
        memcpy(&x, j->x[c], sizeof(x));
        for (int h = 0; h < HALVES; h++) {
            vf v = vf_div(v_float(v_sub32(isum[c][h], v_set32(x.sum))), vf_set(x.s));
            vf_store(j->y[c] + V_ROWS * h, vf_mul(v, vf_set(j->w_scale)));
        }
    }
}

LS_INLINE void mul(int t, bool panel, const strip_job *j, int nc)
{
    if (t == LS_DTYPE_I2_S) mul_row(t, panel, j, nc);
    else if (block_of(t) < 256) mul_32(t, panel, j, nc);
    else {
        for (int h = 0; h < HALVES; h += halves_at_once(panel)) mul_256(t, panel, j, nc, h);
    }
}

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
        const uint8_t *p = block_at(t, j, b);
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

static void strips_run(const ls_matmul *m, unpack_fn *unpack_to, strip_fn *stored, strip_fn *one,
                       strip_fn *many, size_t width)
{
    bool      panel = m->n_cols >= PANEL_FROM;
    strip_job j = {.n = m->n, .w_scale = m->w_scale};
    for (size_t r = 0; r < m->n_rows; r += LS_STRIP_ROWS) {
        j.strip = (const uint8_t *)m->w + r * m->row_bytes;
        if (panel) unpack_to(&j, m->scratch);
        for (size_t c = 0, step; c < m->n_cols; c += step) {
            step = panel && m->n_cols - c >= width ? width : 1;
            for (size_t i = 0; i < step; i++) {
                j.x[i] = (const uint8_t *)m->x + (c + i) * m->x_bytes;
                j.y[i] = m->y + (c + i) * m->ldy + r;
            }
            (!panel ? stored : step == 1 ? one : many)(&j);
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

#define STRIP_KERNEL(name, sym, width)                                                          \
    static void unpack_##name(strip_job *j, uint8_t *s) { unpack(LS_DTYPE_##sym, j, s); }       \
    static void stored_##name(const strip_job *j) { mul(LS_DTYPE_##sym, false, j, 1); }         \
    static void one_##name(const strip_job *j) { mul(LS_DTYPE_##sym, true, j, 1); }             \
    static void many_##name(const strip_job *j) { mul(LS_DTYPE_##sym, true, j, width); }        \
    static void strips_##name(const ls_matmul *m)                                               \
    {                                                                                           \
        strips_run(m, unpack_##name, stored_##name, one_##name, many_##name, width);            \
    }
STRIP_TYPES(STRIP_KERNEL)
#undef STRIP_KERNEL

/* A few columns are not worth a panel. */
#define STRIP_KERNEL(name, sym, width)                                                          \
    static void unpack_##name(strip_job *j, uint8_t *s)                                         \
    {                                                                                           \
        unpack_rows(LS_DTYPE_##sym, codes_##sym, j, s);                                         \
    }                                                                                           \
    static void one_##name(const strip_job *j) { mul(LS_DTYPE_##sym, true, j, 1); }             \
    static void many_##name(const strip_job *j) { mul(LS_DTYPE_##sym, true, j, width); }        \
    static void strips_##name(const ls_matmul *m)                                               \
    {                                                                                           \
        ls_kernels k;                                                                           \
        ls_matmul  whole = *m;                                                                  \
        STRIP_CODES(&k);                                                                        \
        whole.whole = true;                                                                     \
        if (m->n_cols < PANEL_FROM) k.matmul_##name(&whole);                                    \
        else strips_run(m, unpack_##name, NULL, one_##name, many_##name, width);                \
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
