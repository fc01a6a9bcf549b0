// SPDX-License-Identifier: MIT
/* strips_inl.h - products of weights in strips (dtype/strips.h), for the x86 tiers.
 *
 * A lane of a register is a row of the strip, so that nothing is ever added across lanes: four
 * elements of an activation row, which stand in every lane, meet four codes of each row. One
 * float accumulator per row, fed block by block (NUMERICS.md, clause 4).
 *
 * A few columns read the strip as it is stored. Many columns read a panel: the strip's codes as
 * bytes and its scales as 16-bit pairs, unpacked once into scratch that stays in the cache.
 *
 * A tier defines, before it includes this: V_ROWS, the lanes of a register; vi and vf, registers of
 * integers and floats; the v_ functions; strip_part, strip_step and strip_end (the sums of a group);
 * STRIP_NARROW and STRIP_WIDE, columns that share a panel's loads in blocks of 32 and of 256;
 * STRIP_BIAS, what it adds to signed codes to make them unsigned. */
#ifndef LS_KERNEL_STRIPS_INL_H
#define LS_KERNEL_STRIPS_INL_H

#include <stddef.h>
#include <string.h>

#include "dtype/codes_inl.h"
#include "dtype/strips.h"
#include "kernel/kernel_priv.h"

#define LS_INLINE static inline __attribute__((always_inline))

enum { HALVES = LS_STRIP_ROWS / V_ROWS, MAX_COLS = 12, PANEL_FROM = 8, FETCH_AHEAD = 2048 };

/* What an output is made of. */
typedef struct strip_job {
    const uint8_t *strip; /* as stored; or the panel: */
    const uint8_t *q;     /* [n / 4][16][4] codes                              */
    const float   *d;     /* [blocks][16]                                      */
    const float   *dmin;  /* [blocks][16]                                      */
    const uint8_t *scale; /* [groups][16] a scale, twice, as int16             */
    const uint8_t *pair;  /* [n / 32][16] minimums of 16 elements, in pairs    */
    const uint8_t *x[MAX_COLS];
    float         *y[MAX_COLS];
    size_t         n;
    float          w_scale;
} strip_job;

/* ---- types: constants for the compiler ---- */

LS_INLINE int block_of(int t)
{
    return t == LS_DTYPE_I2_S                              ? 128
           : t == LS_DTYPE_Q2_K || t == LS_DTYPE_Q4_K || t == LS_DTYPE_Q5_K ||
                     t == LS_DTYPE_Q6_K || t == LS_DTYPE_TQ2_0 ? 256
                                                               : 32;
}

/* Elements that share an integer scale; 0: there is none. */
LS_INLINE int group_of(int t)
{
    return t == LS_DTYPE_Q2_K || t == LS_DTYPE_Q6_K ? 16
           : t == LS_DTYPE_Q4_K || t == LS_DTYPE_Q5_K ? 32
                                                      : 0;
}

/* Products of pairs that may be added in 16 bits: codes times 127, 2^15 at most. 0: signed codes. */
LS_INLINE int adds_of(int t)
{
    switch (t) {
    case LS_DTYPE_Q8_0:
    case LS_DTYPE_IQ4_NL:
        return 0;
    case LS_DTYPE_Q6_K:
        return 2;
    case LS_DTYPE_Q5_0:
    case LS_DTYPE_Q5_1:
    case LS_DTYPE_Q5_K:
        return 4;
    case LS_DTYPE_TQ2_0:
    case LS_DTYPE_I2_S:
    case LS_DTYPE_Q2_K:
        return 32;
    default:
        return 8;
    }
}

/* What codes are larger by than what they stand for, in blocks of 32. */
LS_INLINE int offset_of(int t)
{
    return t == LS_DTYPE_Q4_0 ? 8 : t == LS_DTYPE_Q5_0 ? 16 : adds_of(t) == 0 ? STRIP_BIAS : 0;
}

LS_INLINE bool has_min(int t)
{
    return t == LS_DTYPE_Q4_1 || t == LS_DTYPE_Q5_1 || t == LS_DTYPE_Q2_K || t == LS_DTYPE_Q4_K ||
           t == LS_DTYPE_Q5_K;
}

/* Sums of activations that are taken off the integer sum, in blocks of 256. */
LS_INLINE bool has_pairs(int t) { return has_min(t) || t == LS_DTYPE_Q6_K || t == LS_DTYPE_TQ2_0; }

LS_INLINE size_t halves_of(int t) { return t == LS_DTYPE_I2_S ? 0 : has_min(t) ? 2 : 1; }

LS_INLINE size_t bytes_of(int t)
{
    switch (t) {
#define LS_DTYPE(sym, id, name, block, bytes, act) \
    case LS_DTYPE_##sym:                           \
        return bytes;
#include "lockstep/dtypes.def"
#undef LS_DTYPE
    default:
        return 0;
    }
}

/* What is read once, out of memory, does not come fast enough by itself: the lines that lie two
 * kilobytes behind these bytes. */
LS_INLINE void fetch_ahead(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const void *)((uintptr_t)p + FETCH_AHEAD + i));
}

/* ---- a stored block: p, half h of the rows ---- */

LS_INLINE vi word_at(int t, const uint8_t *p, int w, int h)
{
    return v_load(p + 32 * halves_of(t) + 64 * (size_t)w + 4 * V_ROWS * (size_t)h);
}

LS_INLINE vf half_at(const uint8_t *p, int i, int h)
{
    return v_f16(p + 32 * (size_t)i + 2 * V_ROWS * (size_t)h);
}

LS_INLINE vi low_bits(vi w, int shift, int mask)
{
    return v_and(shift ? v_srl16(w, shift) : w, v_set8(mask));
}

/* Bits 4k to 4k + 3 of each word as 16 or 0 in its bytes. */
LS_INLINE vi fifth_bits(vi w, int k)
{
    vi bits = v_and(v_pick(w, k / 2, k / 2, k / 2, k / 2), v_set32(k % 2 ? (int)0x80402010 : 0x08040201));
    return v_sll16(v_min8(bits, v_set8(1)), 4);
}

/* Codes of elements 4k to 4k + 3 of the block. */
LS_INLINE vi stored_codes(int t, const uint8_t *p, int k, int h)
{
    switch (t) {
    case LS_DTYPE_Q4_0:
    case LS_DTYPE_Q4_1:
        return low_bits(word_at(t, p, k % 4, h), 4 * (k / 4), 15);
    case LS_DTYPE_IQ4_NL:
        return v_table(ls_values_iq4, low_bits(word_at(t, p, k % 4, h), 4 * (k / 4), 15));
    case LS_DTYPE_Q5_0:
    case LS_DTYPE_Q5_1:
        return v_or(low_bits(word_at(t, p, 1 + k % 4, h), 4 * (k / 4), 15),
                    fifth_bits(word_at(t, p, 0, h), k));
    case LS_DTYPE_Q8_0:
        return word_at(t, p, k, h);
    case LS_DTYPE_Q2_K:
        return low_bits(word_at(t, p, 4 + 8 * (k / 32) + k % 8, h), 2 * (k % 32 / 8), 3);
    case LS_DTYPE_TQ2_0:
        return low_bits(word_at(t, p, 8 * (k / 32) + k % 8, h), 2 * (k % 32 / 8), 3);
    case LS_DTYPE_I2_S:
        return low_bits(word_at(t, p, k % 8, h), 6 - 2 * (k / 8), 3);
    case LS_DTYPE_Q4_K:
        return low_bits(word_at(t, p, 3 + 8 * (k / 16) + k % 8, h), 4 * (k % 16 / 8), 15);
    case LS_DTYPE_Q5_K:
        return v_or(low_bits(word_at(t, p, 11 + 8 * (k / 16) + k % 8, h), 4 * (k % 16 / 8), 15),
                    v_sll16(low_bits(word_at(t, p, 3 + k % 8, h), k / 8, 1), 4));
    default: { /* Q6_K */
        int part = k % 32 / 8, low = 16 * (k / 32) + 8 * (part & 1) + k % 8;
        vi  high = low_bits(word_at(t, p, 32 + 8 * (k / 32) + k % 8, h), 2 * part, 3);
        return v_or(low_bits(word_at(t, p, low, h), 4 * (part >> 1), 15), v_sll16(high, 4));
    }
    }
}

/* Scales and minimums of a block, four groups to a word, a byte each: unpacked once a block, and taken
 * from there by a shuffle. */
typedef struct strip_scales {
    vi scale[4], min[4];
} strip_scales;

LS_INLINE void scales_k4(int t, const uint8_t *p, int h, strip_scales *s)
{
    vi w[3], low = v_set8(15), six = v_set8(63), top = v_set8(48);
    for (int i = 0; i < 3; i++) w[i] = word_at(t, p, i, h);
    s->scale[0] = v_and(w[0], six);
    s->min[0] = v_and(w[1], six);
    s->scale[1] = v_or(v_and(w[2], low), v_and(v_srl16(w[0], 2), top));
    s->min[1] = v_or(v_and(v_srl16(w[2], 4), low), v_and(v_srl16(w[1], 2), top));
}

LS_INLINE void stored_scales(int t, const uint8_t *p, int h, strip_scales *s)
{
    for (int i = 0; i < 4; i++) s->scale[i] = s->min[i] = v_zero();
    if (group_of(t) == 32) scales_k4(t, p, h, s);
    for (int i = 0; i < 4 && group_of(t) == 16; i++) {
        vi w = word_at(t, p, t == LS_DTYPE_Q2_K ? i : 48 + i, h);
        s->scale[i] = t == LS_DTYPE_Q2_K ? v_and(w, v_set8(15)) : w;
        s->min[i] = t == LS_DTYPE_Q2_K ? v_and(v_srl16(w, 4), v_set8(15)) : w;
    }
}

/* The scale of group g, twice. */
LS_INLINE vi stored_scale(int t, const strip_scales *s, int g)
{
    int i = g % 4;
    if (t != LS_DTYPE_Q6_K) return v_pick(s->scale[g / 4], i, -1, i, -1);
    return v_sra16(v_pick(s->scale[g / 4], -1, i, -1, i), 8);
}

/* What multiplies the activations' sums of 16 elements 2i and 2i + 1. Q6_K: 32 * scale. */
LS_INLINE vi stored_pair(int t, const strip_scales *s, int i)
{
    int at = i % 4;
    if (t == LS_DTYPE_TQ2_0) return v_set32(0x00010001);
    if (group_of(t) == 32) return v_pick(s->min[i / 4], at, -1, at, -1);
    at = 2 * (i % 2);
    if (t == LS_DTYPE_Q2_K) return v_pick(s->min[i / 2], at, -1, at + 1, -1);
    return v_sra16(v_pick(s->min[i / 2], -1, at, -1, at + 1), 3);
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
    return panel && t != LS_DTYPE_TQ2_0 ? v_load(j->pair + at) : stored_pair(t, s, i);
}

LS_INLINE vf d_at(int t, bool panel, const strip_job *j, size_t b, int h, bool min)
{
    const float *d = min ? j->dmin : j->d;
    return panel ? vf_load(d + 16 * b + V_ROWS * (size_t)h)
                 : half_at(block_at(t, j, b), min, h);
}

/* ---- blocks of 32 ---- */

LS_INLINE void mul_32(int t, bool panel, const strip_job *j, int nc)
{
    size_t x_bytes = has_min(t) ? sizeof(ls_q8_1) : sizeof(ls_q8_0), blocks = j->n / 32;
    size_t codes = has_min(t) ? 4 : 2;
    vf     acc[MAX_COLS][HALVES], mins[MAX_COLS][HALVES];
    for (int c = 0; c < nc; c++) {
        for (int h = 0; h < HALVES; h++) acc[c][h] = mins[c][h] = vf_zero();
    }
    for (size_t b = 0; b < blocks; b++) {
        strip_part part[MAX_COLS][HALVES];
        vi         isum[MAX_COLS][HALVES];
        for (int c = 0; c < nc; c++) {
            for (int h = 0; h < HALVES; h++) isum[c][h] = v_zero();
        }
#pragma GCC unroll 8
        for (int k = 0; k < 8; k++) {
            vi w[HALVES];
            for (int h = 0; h < HALVES; h++) w[h] = codes_at(t, panel, j, b, k, h);
#pragma GCC unroll 12
            for (int c = 0; c < nc; c++) {
                vi x = v_broadcast(j->x[c] + x_bytes * b + codes + 4 * (size_t)k);
                for (int h = 0; h < HALVES; h++) {
                    strip_step(adds_of(t), k, 8, &part[c][h], &isum[c][h], w[h], x, v_set16(1), false);
                }
            }
        }
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            const uint8_t *xb = j->x[c] + x_bytes * b;
            vf             dx = v_f16_all(xb);
            for (int h = 0; h < HALVES; h++) {
                if (offset_of(t)) {
                    int16_t sum;
                    memcpy(&sum, j->x[c] + x_bytes * blocks + 2 * b, 2);
                    isum[c][h] = v_sub32(isum[c][h], v_set32(offset_of(t) * sum));
                }
                acc[c][h] = vf_fma(vf_mul(d_at(t, panel, j, b, h, false), dx), v_float(isum[c][h]), acc[c][h]);
                if (has_min(t)) {
                    mins[c][h] = vf_fma(d_at(t, panel, j, b, h, true), v_f16_all(xb + 2), mins[c][h]);
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

/* Group g of the block. */
LS_INLINE void mul_group(int t, bool panel, const strip_job *j, const strip_scales *s, size_t b,
                         int nc, int h, int g, strip_part *part, vi *isum)
{
    int group = group_of(t) ? group_of(t) : 128;
    vi  scale = group_of(t) ? scale_at(t, panel, j, s, b, g, h) : v_set16(1);
#pragma GCC unroll 32
    for (int k = 0; k < group / 4; k++) {
        vi w = codes_at(t, panel, j, b, g * group / 4 + k, h);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            const uint8_t *x = j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, qs);
            strip_step(adds_of(t), k, group / 4, &part[c], &isum[c], w,
                       v_broadcast(x + g * group + 4 * k), scale, group_of(t) != 0);
        }
    }
}

LS_INLINE void mul_256_block(int t, bool panel, const strip_job *j, size_t b, int nc, int h,
                             vi *isum, vi *msum)
{
    strip_part   part[MAX_COLS];
    strip_scales s;
    const int    groups = group_of(t) ? 256 / group_of(t) : 2;
    for (int c = 0; c < nc; c++) isum[c] = msum[c] = v_zero();
    if (!panel) stored_scales(t, block_at(t, j, b), h, &s);
    if (panel) {
        for (int g = 0; g < groups; g++) mul_group(t, panel, j, &s, b, nc, h, g, part, isum);
    } else { /* where a code stands is then known when this is compiled */
#pragma GCC unroll 16
        for (int g = 0; g < groups; g++) mul_group(t, panel, j, &s, b, nc, h, g, part, isum);
    }
    if (!has_pairs(t)) return;
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        vi m = pair_at(t, panel, j, &s, b, i, h);
#pragma GCC unroll 12
        for (int c = 0; c < nc; c++) {
            const uint8_t *sums = j->x[c] + sizeof(ls_q8_k) * b + offsetof(ls_q8_k, bsums);
            msum[c] = v_madd_add(msum[c], m, v_broadcast(sums + 4 * i));
        }
    }
}

LS_INLINE void mul_256(int t, bool panel, const strip_job *j, int nc)
{
    for (int h = 0; h < HALVES; h++) {
        vf acc[MAX_COLS], mins[MAX_COLS];
        for (int c = 0; c < nc; c++) acc[c] = mins[c] = vf_zero();
        for (size_t b = 0; b < j->n / 256; b++) {
            vi isum[MAX_COLS], msum[MAX_COLS];
            mul_256_block(t, panel, j, b, nc, h, isum, msum);
#pragma GCC unroll 12
            for (int c = 0; c < nc; c++) {
                vf dx = vf_all(j->x[c] + sizeof(ls_q8_k) * b);
                if (has_pairs(t) && !has_min(t)) isum[c] = v_sub32(isum[c], msum[c]);
                acc[c] = vf_fma(vf_mul(d_at(t, panel, j, b, h, false), dx), v_float(isum[c]), acc[c]);
                if (has_min(t)) {
                    mins[c] = vf_fma(vf_mul(d_at(t, panel, j, b, h, true), dx), v_float(msum[c]), mins[c]);
                }
            }
        }
        for (int c = 0; c < nc; c++) {
            vf_store(j->y[c] + V_ROWS * h, has_min(t) ? vf_sub(acc[c], mins[c]) : acc[c]);
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
        if (!panel) fetch_ahead(block_at(t, j, b), LS_STRIP_ROWS * bytes_of(t));
#pragma GCC unroll 32
        for (int k = 0; k < 32; k++) {
            vi w[HALVES];
            for (int h = 0; h < HALVES; h++) w[h] = codes_at(t, panel, j, b, k, h);
#pragma GCC unroll 12
            for (int c = 0; c < nc; c++) {
                vi x = v_broadcast(j->x[c] + sizeof(ls_i8_row) + 128 * b + 4 * (size_t)k);
                for (int h = 0; h < HALVES; h++) {
                    strip_step(adds_of(t), k, 32, &part[c][h], &isum[c][h], w[h], x, v_set16(1), false);
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
    if (block_of(t) == 32) mul_32(t, panel, j, nc);
    else if (block_of(t) == 256) mul_256(t, panel, j, nc);
    else mul_row(t, panel, j, nc);
}

/* ---- panels ---- */

LS_INLINE void unpack(int t, strip_job *j, uint8_t *scratch)
{
    size_t   block = (size_t)block_of(t), blocks = (j->n + block - 1) / block;
    size_t   groups = group_of(t) ? 256 / (size_t)group_of(t) : 0;
    uint8_t *q = scratch, *scale = q + blocks * block * 16, *pair = scale + blocks * groups * 64;
    float   *d = (float *)(void *)(pair + blocks * (block == 256 ? 8 : 0) * 64), *dmin = d + 16 * blocks;
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *p = block_at(t, j, b);
        for (int h = 0; h < HALVES; h++) {
            uint8_t     *to = q + b * block * 16 + 4 * V_ROWS * (size_t)h;
            strip_scales s;
            stored_scales(t, p, h, &s);
#pragma GCC unroll 64
            for (int k = 0; k < block_of(t) / 4; k++) v_store(to + 64 * k, stored_codes(t, p, k, h));
#pragma GCC unroll 16
            for (int g = 0; g < (int)groups; g++) {
                v_store(scale + (b * groups + (size_t)g) * 64 + 4 * V_ROWS * (size_t)h,
                        stored_scale(t, &s, g));
            }
#pragma GCC unroll 8
            for (int i = 0; i < 8; i++) {
                if (block != 256 || t == LS_DTYPE_TQ2_0) break;
                v_store(pair + (b * 8 + (size_t)i) * 64 + 4 * V_ROWS * (size_t)h,
                        stored_pair(t, &s, i));
            }
            if (halves_of(t)) vf_store(d + 16 * b + V_ROWS * h, half_at(p, 0, h));
            if (has_min(t)) vf_store(dmin + 16 * b + V_ROWS * h, half_at(p, 1, h));
        }
    }
    j->q = q;
    j->scale = scale;
    j->pair = pair;
    j->d = d;
    j->dmin = dmin;
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
    X(iq4_nl, IQ4_NL, STRIP_SIGNED)     \
    X(q2_k,   Q2_K,   STRIP_WIDE)       \
    X(q4_k,   Q4_K,   STRIP_WIDE)       \
    X(q5_k,   Q5_K,   STRIP_WIDE)       \
    X(q6_k,   Q6_K,   STRIP_WIDE)       \
    X(tq2_0,  TQ2_0,  STRIP_WIDE)       \
    X(i2_s,   I2_S,   STRIP_NARROW)

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

LS_INLINE void strips_fill(ls_kernels *k)
{
#define STRIP_KERNEL(name, sym, width) k->strips_##name = strips_##name;
    STRIP_TYPES(STRIP_KERNEL)
#undef STRIP_KERNEL
}

#endif
