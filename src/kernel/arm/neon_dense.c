// SPDX-License-Identifier: MIT
/* neon_dense.c - products of F32, F16 and BF16 rows and strips, and dot and axpy, for NEON.
 *
 * The engine's own order is plain_inl.h; as the reference adds (NUMERICS.md, clause 2), 8 stripes
 * are two registers and 16 are four. */
#include <arm_neon.h>

#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"

#define LS_INLINE static inline __attribute__((always_inline))

typedef enum elem { F32, F16, BF16 } elem;

LS_INLINE size_t elem_bytes(elem e) { return e == F32 ? 4 : 2; }

/* 24 sums, four registers of weights and one of an activation, of 32. */
#define PLAIN_LANES  4
#define PLAIN_STRIPS 1
#define PLAIN_COLS   6
typedef float32x4_t pf;

/* 4 elements from element i on, decoded exactly. */
LS_INLINE pf pf_load(elem e, const uint8_t *p, size_t i)
{
    const uint8_t *at = p + i * elem_bytes(e);
    switch (e) {
    case F32:
        return vreinterpretq_f32_u8(vld1q_u8(at));
    case F16:
        return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at)));
    case BF16:
        break;
    }
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(at)), 16));
}

LS_INLINE pf   pf_set(float f) { return vdupq_n_f32(f); }
LS_INLINE void pf_store(float *p, pf v) { vst1q_f32(p, v); }
LS_INLINE pf   pf_add(pf a, pf b) { return vaddq_f32(a, b); }
LS_INLINE pf   pf_fma(pf a, pf b, pf c) { return vfmaq_f32(c, a, b); }

/* v[i], element k + i of 4 rows. */
LS_INLINE void pf_square(elem e, const uint8_t *const *rows, size_t k, pf v[4])
{
    float32x4x2_t a = vtrnq_f32(pf_load(e, rows[0], k), pf_load(e, rows[1], k));
    float32x4x2_t b = vtrnq_f32(pf_load(e, rows[2], k), pf_load(e, rows[3], k));
    for (int i = 0; i < 2; i++) {
        v[i] = vcombine_f32(vget_low_f32(a.val[i]), vget_low_f32(b.val[i]));
        v[i + 2] = vcombine_f32(vget_high_f32(a.val[i]), vget_high_f32(b.val[i]));
    }
}

#include "kernel/mix_inl.h"
#include "kernel/plain_inl.h"

/* ---- as the reference adds ---- */

enum { TILE_ROWS = 4 };

/* y[r] = w[r] . x for R rows, which is constant, as are the stripes. */
LS_INLINE void dense_tile(elem e, int R, const uint8_t *const *w, const uint8_t *x, size_t n,
                          int lanes, float *y)
{
    const size_t width = (size_t)lanes, regs = width / 4;
    pf           acc[TILE_ROWS][LS_STRIPES / 4];
    size_t       i = 0;
    for (int r = 0; r < R; r++) {
        for (size_t h = 0; h < regs; h++) acc[r][h] = pf_set(0);
    }
    for (; i + width <= n; i += width) {
#pragma GCC unroll 4
        for (size_t h = 0; h < regs; h++) {
            pf xv = pf_load(e, x, i + 4 * h);
#pragma GCC unroll 4
            for (int r = 0; r < R; r++) {
                acc[r][h] = pf_fma(pf_load(e, w[r], i + 4 * h), xv, acc[r][h]);
            }
        }
    }
    for (int r = 0; r < R; r++) {
        float s[LS_STRIPES];
        for (size_t h = 0; h < regs; h++) pf_store(s + 4 * h, acc[r][h]);
        for (size_t k = i; k < n; k++) s[k - i] = fmaf(load1(e, w[r], k), load1(e, x, k), s[k - i]);
        y[r] = ls_tree_sum(s, lanes);
    }
}

LS_INLINE void dense_of(elem e, const ls_matmul *m, int lanes)
{
    for (size_t r = 0, rows; r < m->n_rows; r += rows) {
        const uint8_t *w[TILE_ROWS];
        rows = m->n_rows - r < TILE_ROWS ? 1 : TILE_ROWS;
        for (size_t k = 0; k < rows; k++) w[k] = (const uint8_t *)m->w + (r + k) * m->row_bytes;
        for (size_t c = 0; c < m->n_cols; c++) {
            const uint8_t *x = (const uint8_t *)m->x + c * m->x_bytes;
            float         *y = m->y + c * m->ldy + r;
            if (rows == 1)
                dense_tile(e, 1, w, x, m->n, lanes, y);
            else
                dense_tile(e, TILE_ROWS, w, x, m->n, lanes, y);
        }
    }
}

LS_INLINE void dense_matmul(elem e, const ls_matmul *m)
{
    if (m->lanes == 8)
        dense_of(e, m, 8);
    else
        dense_of(e, m, 16);
}

static void matmul_f32(const ls_matmul *m)
{
    if (m->whole)
        rows_f32(m);
    else
        dense_matmul(F32, m);
}

static void matmul_f16(const ls_matmul *m)
{
    if (m->whole)
        rows_f16(m);
    else
        dense_matmul(F16, m);
}

static void matmul_bf16(const ls_matmul *m)
{
    if (m->whole)
        rows_bf16(m);
    else
        dense_matmul(BF16, m);
}

static float dot_f16(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    const uint8_t *w = (const uint8_t *)a;
    float          y;
    if (lanes == 8)
        dense_tile(F16, 1, &w, (const uint8_t *)b, n, 8, &y);
    else
        dense_tile(F16, 1, &w, (const uint8_t *)b, n, 16, &y);
    return y;
}

void ls_kernels_neon_dense(ls_kernels *k)
{
    k->matmul_f32 = matmul_f32;
    k->strips_f32 = strips_f32;
    k->matmul_f16 = matmul_f16;
    k->strips_f16 = strips_f16;
    k->matmul_bf16 = matmul_bf16;
    k->strips_bf16 = strips_bf16;
    k->dot_f16 = dot_f16;
    k->mix_f16 = mix_f16;
}
