// SPDX-License-Identifier: MIT
/* chains.c - scalar attention: scores and weighted values as chains of fmaf.
 *
 * The definition (NUMERICS.md, clause 7): other tiers must match these bits. */
#include "dtype/dtype.h"
#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"

/* Element i of cached keys or values, decoded exactly: a scale of 11 bits times a code of 8 is a
 * float. */
typedef float load_fn(const void *row, size_t i);

static float load_f32(const void *row, size_t i) { return ls_load_f32(row, i); }
static float load_f16(const void *row, size_t i) { return ls_f16_to_f32(ls_load_u16(row, i)); }
static float load_bf16(const void *row, size_t i) { return ls_bf16_to_f32(ls_load_u16(row, i)); }

static float load_q8_0(const void *row, size_t i)
{
    enum { ELEMENTS = LS_CHAIN_GROUP * LS_CHAIN_LANES };
    const uint8_t *group = (const uint8_t *)row + i / ELEMENTS * LS_CHAIN_GROUP_BYTES;
    const int8_t  *codes = (const int8_t *)(group + 2 * LS_CHAIN_GROUP);
    float          d = ls_f16_to_f32(ls_load_u16(group, i % ELEMENTS / LS_CHAIN_LANES));
    return d * (float)codes[i % ELEMENTS];
}

/* One output: the terms from `from` on, before `to`, in blocks that are chains of their own. */
static inline float sum(load_fn *load, const ls_chains *m, const float *x, size_t at, ls_span span)
{
    float y = 0;
    for (size_t b = 0; b < span.to; b += m->block) {
        size_t i = b < span.from ? span.from : b,
               end = span.to - b < m->block ? span.to : b + m->block;
        float chain = 0;
        for (; i < end; i++) chain = fmaf(x[i], load(m->w, at + i * LS_CHAIN_LANES), chain);
        y += chain;
    }
    return y;
}

static inline void chains(load_fn *load, const ls_chains *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        ls_span span = m->spans ? m->spans[c] : (ls_span){0, m->n};
        for (size_t r = 0; r < m->n_strips * LS_CHAIN_LANES; r++) {
            size_t at = r / LS_CHAIN_LANES * m->strip + r % LS_CHAIN_LANES;
            m->y[c * m->ldy + r] = sum(load, m, m->x + c * m->ldx, at, span);
        }
    }
}

static void chains_f32(const ls_chains *m) { chains(load_f32, m); }
static void chains_f16(const ls_chains *m) { chains(load_f16, m); }
static void chains_bf16(const ls_chains *m) { chains(load_bf16, m); }
static void chains_q8_0(const ls_chains *m) { chains(load_q8_0, m); }

/* Clause 3, and back. */
static void round_f16(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = ls_f16_to_f32(ls_f32_to_f16(x[i]));
}

static void round_bf16(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = ls_bf16_to_f32(ls_f32_to_bf16(x[i]));
}

void ls_kernels_scalar_chains(ls_kernels *k)
{
    k->chains_f32 = chains_f32;
    k->chains_f16 = chains_f16;
    k->chains_bf16 = chains_bf16;
    k->chains_q8_0 = chains_q8_0;
    k->round_f16 = round_f16;
    k->round_bf16 = round_bf16;
}
