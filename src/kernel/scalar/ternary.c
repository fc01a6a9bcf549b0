// SPDX-License-Identifier: MIT
/* ternary.c - scalar products of ternary rows: TQ2_0 (a scale per block) and I2_S (a scale per
 * tensor, activations with a scale per row).
 *
 * The definition: NUMERICS.md, clause 4. Code 3 is 2 in TQ2_0 and 0 in I2_S, as in decode.c. */
#include "dtype/dtype.h"
#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"

static float dot_tq2_0(const void *w, const void *x, size_t n, bool whole)
{
    const ls_tq2_0 *b = w;
    const ls_q8_k  *a = x;
    float           acc[8] = {0};
    for (; n; n -= 256, b++, a++) {
        float   d = ls_f16_to_f32(b->d) * a->d;
        int32_t isum[8] = {0};
        for (int i = 0; i < 256; i++) {
            int code = b->qs[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3;
            isum[i % 32 / 4] += code * a->qs[i];
        }
        for (int j = 0; j < 16; j++) isum[j / 2] -= a->bsums[j]; /* the offset of 1 */
        for (int l = 1; l < 8 && whole; l++) {
            isum[0] += isum[l];
            isum[l] = 0;
        }
        for (int l = 0; l < 8; l++) acc[l] = fmaf(d, (float)isum[l], acc[l]);
    }
    return whole ? acc[0] : ls_tree_sum(acc, 8);
}

static void matmul_tq2_0(const ls_matmul *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        for (size_t r = 0; r < m->n_rows; r++) {
            m->y[c * m->ldy + r] =
                dot_tq2_0((const uint8_t *)m->w + r * m->row_bytes,
                          (const uint8_t *)m->x + c * m->x_bytes, m->n, m->whole);
        }
    }
}

/* One integer sum over the whole row; behind its end the activations are zeros. */
static int32_t dot_i2_s(const ls_i2_s *b, const int8_t *q, size_t n)
{
    static const int value[4] = {-1, 0, 1, 0};
    int32_t          isum = 0;
    for (size_t i = 0; i < n; i += 128, b++, q += 128) {
        for (int j = 0; j < 128; j++) isum += value[b->qs[j % 32] >> (6 - 2 * (j / 32)) & 3] * q[j];
    }
    return isum;
}

static void matmul_i2_s(const ls_matmul *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        const ls_i8_row *x = (const void *)((const uint8_t *)m->x + c * m->x_bytes);
        for (size_t r = 0; r < m->n_rows; r++) {
            const void *w = (const uint8_t *)m->w + r * m->row_bytes;
            m->y[c * m->ldy + r] = (float)dot_i2_s(w, x->qs, m->n) / x->s * m->w_scale;
        }
    }
}

void ls_kernels_scalar_ternary(ls_kernels *k)
{
    k->matmul_tq2_0 = matmul_tq2_0;
    k->matmul_i2_s = matmul_i2_s;
}
