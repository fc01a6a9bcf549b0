// SPDX-License-Identifier: MIT
/* dense.c - scalar products of F32, F16 and BF16 rows, and the attention kernels.
 *
 * The definition (NUMERICS.md, clause 2): other tiers must match these bits. */
#include "dtype/dtype.h"
#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"
#include "kernel/rowops_inl.h"

/* Element i of a row, decoded exactly. */
typedef float load_fn(const void *row, size_t i);

static float load_f32(const void *row, size_t i) { return ls_load_f32(row, i); }
static float load_f16(const void *row, size_t i) { return ls_f16_to_f32(ls_load_u16(row, i)); }
static float load_bf16(const void *row, size_t i) { return ls_bf16_to_f32(ls_load_u16(row, i)); }

/* Element i goes to stripe i mod `lanes` with one fmaf. */
static inline float dot(load_fn *load, const void *a, const void *b, size_t n, int lanes)
{
    float  stripe[LS_STRIPES] = {0};
    size_t width = (size_t)lanes;
    for (size_t i = 0; i < n; i++) {
        stripe[i % width] = fmaf(load(a, i), load(b, i), stripe[i % width]);
    }
    return ls_tree_sum(stripe, lanes);
}

/* The engine's own order: chains of LS_CHAIN elements, added in order. */
static inline float dot_whole(load_fn *load, const void *a, const void *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n;) {
        float  part = 0;
        size_t end = n - i < LS_CHAIN ? n : i + LS_CHAIN;
        for (; i < end; i++) part = fmaf(load(a, i), load(b, i), part);
        sum += part;
    }
    return sum;
}

static inline void matmul(load_fn *load, const ls_matmul *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        const uint8_t *x = (const uint8_t *)m->x + c * m->x_bytes;
        for (size_t r = 0; r < m->n_rows; r++) {
            const uint8_t *w = (const uint8_t *)m->w + r * m->row_bytes;
            m->y[c * m->ldy + r] =
                m->whole ? dot_whole(load, w, x, m->n) : dot(load, w, x, m->n, m->lanes);
        }
    }
}

static void matmul_f32(const ls_matmul *m) { matmul(load_f32, m); }
static void matmul_f16(const ls_matmul *m) { matmul(load_f16, m); }
static void matmul_bf16(const ls_matmul *m) { matmul(load_bf16, m); }

static void matmul_bf16_pairs(const ls_matmul *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        const void *x = (const uint8_t *)m->x + c * m->x_bytes;
        for (size_t r = 0; r < m->n_rows; r++) {
            const void *w = (const uint8_t *)m->w + r * m->row_bytes;
            m->y[c * m->ldy + r] = row_dot_bf16_pairs(w, x, m->n, m->lanes);
        }
    }
}

static float dot_f16(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    return dot(load_f16, a, b, n, lanes);
}

static void axpy_f32(float *restrict y, float a, const float *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = fmaf(a, x[i], y[i]);
}

static void mix_f16(const ls_mix *m)
{
    memset(m->y, 0, m->stripes * m->width * sizeof(float));
    for (size_t p = 0; p < m->n; p++) {
        const uint16_t *v = (const uint16_t *)m->v + p * m->ld;
        float          *y = m->y + p % m->stripes * m->width;
        for (size_t e = 0; e < m->width; e++) y[e] = fmaf(m->weights[p], ls_f16_to_f32(v[e]), y[e]);
    }
}

void ls_kernels_scalar_dense(ls_kernels *k)
{
    k->matmul_f32 = matmul_f32;
    k->matmul_f16 = matmul_f16;
    k->matmul_bf16 = matmul_bf16;
    k->matmul_bf16_pairs = matmul_bf16_pairs;
    k->dot_f16 = dot_f16;
    k->axpy_f32 = axpy_f32;
    k->mix_f16 = mix_f16;
}
