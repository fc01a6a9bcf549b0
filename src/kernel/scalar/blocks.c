// SPDX-License-Identifier: MIT
/* blocks.c - scalar products of block-quantised rows: Q4_0, Q8_0, Q4_K, Q6_K.
 *
 * The definition (NUMERICS.md, clause 4): integer sums are exact; they enter float accumulators
 * with one fmaf each. `whole`: one accumulator, fed block by block. Otherwise in the order that
 * llama.cpp's x86 kernels share: Q4_0 one accumulator, Q8_0 and Q6_K eight (elements 4l to 4l + 3
 * of every 32 belong to lane l), Q4_K one for the scaled quants and one for the minimums, fed every
 * 64 elements (every 256 where m->follow says so). */
#include "dtype/dtype.h"
#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"

typedef float dot_fn(const void *w, const void *x, size_t n, bool whole);

static inline void matmul(dot_fn *dot, const ls_matmul *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        for (size_t r = 0; r < m->n_rows; r++) {
            m->y[c * m->ldy + r] = dot((const uint8_t *)m->w + r * m->row_bytes,
                                       (const uint8_t *)m->x + c * m->x_bytes, m->n, m->whole);
        }
    }
}

static float dot_q4_0(const void *w, const void *x, size_t n, bool whole)
{
    const ls_q4_0 *b = w;
    const ls_q8_0 *a = x;
    float          acc = 0;
    (void)whole;
    for (; n; n -= 32, b++, a++) {
        int32_t isum = 0;
        for (int j = 0; j < 16; j++) {
            isum += ((b->qs[j] & 15) - 8) * a->qs[j] + ((b->qs[j] >> 4) - 8) * a->qs[j + 16];
        }
        acc = fmaf(ls_f16_to_f32(b->d) * ls_f16_to_f32(a->d), (float)isum, acc);
    }
    return acc;
}

/* The block's integers into eight accumulators, or as a whole into the first. */
static void add_lanes(float acc[8], float d, const int32_t isum[8], bool whole)
{
    int32_t all = 0;
    for (int l = 0; l < 8; l++) {
        if (!whole) acc[l] = fmaf(d, (float)isum[l], acc[l]);
        all += isum[l];
    }
    if (whole) acc[0] = fmaf(d, (float)all, acc[0]);
}

static float end_lanes(const float acc[8], bool whole)
{
    return whole ? acc[0] : ls_tree_sum(acc, 8);
}

static float dot_q8_0(const void *w, const void *x, size_t n, bool whole)
{
    const ls_q8_0 *b = w, *a = x;
    float          acc[8] = {0};
    for (; n; n -= 32, b++, a++) {
        int32_t isum[8] = {0};
        for (int j = 0; j < 32; j++) isum[j / 4] += b->qs[j] * a->qs[j];
        add_lanes(acc, ls_f16_to_f32(b->d) * ls_f16_to_f32(a->d), isum, whole);
    }
    return end_lanes(acc, whole);
}

/* isum carries the scales, msum the minimums, which multiply the plain sums of x. */
static float dot_q4_k(const void *w, const void *x, size_t n, int per_sum)
{
    const ls_q4_k *b = w;
    const ls_q8_k *a = x;
    float          acc = 0, mins = 0;
    for (; n; n -= 256, b++, a++) {
        const uint8_t *s = b->scales;
        float          d = ls_f16_to_f32(b->d) * a->d, dmin = ls_f16_to_f32(b->dmin) * a->d;
        int32_t        isum = 0, msum = 0;
        for (int j = 0; j < 8; j++) {
            int sc = j < 4 ? s[j] & 63 : (s[j + 4] & 15) | (s[j - 4] >> 6) << 4;
            int mn = j < 4 ? s[j + 4] & 63 : s[j + 4] >> 4 | (s[j] >> 6) << 4;
            int dot = 0;
            for (int l = 0; l < 32; l++) {
                dot += (b->qs[32 * (j / 2) + l] >> (4 * (j & 1)) & 15) * a->qs[32 * j + l];
            }
            isum += sc * dot;
            msum += mn * (a->bsums[2 * j] + a->bsums[2 * j + 1]);
            if ((j + 1) % per_sum) continue;
            acc = fmaf(d, (float)isum, acc);
            mins = fmaf(dmin, (float)msum, mins);
            isum = msum = 0;
        }
    }
    return acc - mins;
}

/* The offset of 32 is taken off by the sums of x: 32 * (scale j * sum j) leaves lane j / 2. */
static float dot_q6_k(const void *w, const void *x, size_t n, bool whole)
{
    const ls_q6_k *b = w;
    const ls_q8_k *a = x;
    float          acc[8] = {0};
    for (; n; n -= 256, b++, a++) {
        float   d = ls_f16_to_f32(b->d) * a->d;
        int32_t isum[8] = {0};
        for (int i = 0; i < 256; i++) {
            int h = i / 128, part = i % 128 / 32, l = i % 32;
            int lo = b->ql[64 * h + 32 * (part & 1) + l] >> (4 * (part >> 1)) & 15;
            int hi = b->qh[32 * h + l] >> (2 * part) & 3;
            isum[l / 4] += b->scales[8 * h + 2 * part + l / 16] * (lo | hi << 4) * a->qs[i];
        }
        for (int j = 0; j < 16; j++) isum[j / 2] -= 32 * b->scales[j] * a->bsums[j];
        add_lanes(acc, d, isum, whole);
    }
    return end_lanes(acc, whole);
}

static void matmul_q4_0(const ls_matmul *m) { matmul(dot_q4_0, m); }
static void matmul_q8_0(const ls_matmul *m) { matmul(dot_q8_0, m); }

static void matmul_q4_k(const ls_matmul *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        bool last = m->follow && c >= m->n_cols - m->n_cols % 4;
        int  per_sum = m->whole || last ? 8 : 2; /* sub-blocks of 32 */
        for (size_t r = 0; r < m->n_rows; r++) {
            m->y[c * m->ldy + r] = dot_q4_k((const uint8_t *)m->w + r * m->row_bytes,
                                            (const uint8_t *)m->x + c * m->x_bytes, m->n, per_sum);
        }
    }
}

static void matmul_q6_k(const ls_matmul *m) { matmul(dot_q6_k, m); }

void ls_kernels_scalar_blocks(ls_kernels *k)
{
    k->matmul_q4_0 = matmul_q4_0;
    k->matmul_q8_0 = matmul_q8_0;
    k->matmul_q4_k = matmul_q4_k;
    k->matmul_q6_k = matmul_q6_k;
}
