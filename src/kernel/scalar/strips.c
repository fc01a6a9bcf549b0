// SPDX-License-Identifier: MIT
/* strips.c - scalar products of strips: each row is put together again and multiplied as plain rows
 * are. The definition of what the other tiers compute without leaving the strip. */
#include "dtype/strips.h"

#include "dtype/blocks.h"
#include "dtype/dtype.h"
#include "kernel/kernel_priv.h"

static void multiply(const ls_matmul *m, int dtype)
{
    const ls_kernels k = ls_kernels_for(LS_TIER_SCALAR);
    ls_matmul        row = *m;
    row.w = m->scratch;
    row.n_rows = 1;
    row.whole = m->whole || !ls_strips_follow(dtype);
    for (size_t r = 0; r < m->n_rows; r++) {
        size_t         in_strip = r % LS_STRIP_ROWS;
        const uint8_t *strip = (const uint8_t *)m->w + (r - in_strip) * m->row_bytes;
        ls_strips_row(dtype, m->scratch, strip, in_strip, m->n);
        row.y = m->y + r;
        ls_kernels_matmul(&k, dtype)(&row);
    }
}

/* Plain numbers: as floats, like their activations. */
static void multiply_plain(const ls_matmul *m, int dtype)
{
    const ls_kernels k = ls_kernels_for(LS_TIER_SCALAR);
    ls_matmul        row = *m;
    float           *w = m->scratch;
    row.w = w;
    row.n_rows = 1;
    row.whole = true;
    for (size_t r = 0; r < m->n_rows; r++) {
        size_t         in_strip = r % LS_STRIP_ROWS;
        const uint8_t *strip = (const uint8_t *)m->w + (r - in_strip) * m->row_bytes;
        uint8_t       *stored = (uint8_t *)(w + m->n);
        ls_strips_row(dtype, stored, strip, in_strip, m->n);
        ls_dtype_decode(dtype, w, stored, m->n, 1);
        row.y = m->y + r;
        k.matmul_f32(&row);
    }
}

static void strips_f32(const ls_matmul *m) { multiply_plain(m, LS_DTYPE_F32); }
static void strips_f16(const ls_matmul *m) { multiply_plain(m, LS_DTYPE_F16); }
static void strips_bf16(const ls_matmul *m) { multiply_plain(m, LS_DTYPE_BF16); }

/* name in the kernel table, type */
#define TYPES(X)                                                                                   \
    X(q4_0, Q4_0)                                                                                  \
    X(q4_1, Q4_1)                                                                                  \
    X(q5_0, Q5_0)                                                                                  \
    X(q5_1, Q5_1)                                                                                  \
    X(q8_0, Q8_0)                                                                                  \
    X(q8_1, Q8_1)                                                                                  \
    X(iq4_nl, IQ4_NL)                                                                              \
    X(mxfp4, MXFP4)                                                                                \
    X(nvfp4, NVFP4)                                                                                \
    X(q1_0, Q1_0)                                                                                  \
    X(q2_0, Q2_0)                                                                                  \
    X(q2_k, Q2_K)                                                                                  \
    X(q3_k, Q3_K)                                                                                  \
    X(q4_k, Q4_K)                                                                                  \
    X(q5_k, Q5_K)                                                                                  \
    X(q6_k, Q6_K)                                                                                  \
    X(q8_k, Q8_K)                                                                                  \
    X(iq4_xs, IQ4_XS)                                                                              \
    X(tq1_0, TQ1_0)                                                                                \
    X(tq2_0, TQ2_0)                                                                                \
    X(iq1_s, IQ1_S)                                                                                \
    X(iq1_m, IQ1_M)                                                                                \
    X(iq2_xxs, IQ2_XXS)                                                                            \
    X(iq2_xs, IQ2_XS)                                                                              \
    X(iq2_s, IQ2_S)                                                                                \
    X(iq3_xxs, IQ3_XXS)                                                                            \
    X(iq3_s, IQ3_S)                                                                                \
    X(i2_s, I2_S)

#define KERNEL(name, sym)                                                                          \
    static void strips_##name(const ls_matmul *m) { multiply(m, LS_DTYPE_##sym); }
TYPES(KERNEL)
#undef KERNEL

void ls_kernels_scalar_strips(ls_kernels *k)
{
    k->strips_f32 = strips_f32;
    k->strips_f16 = strips_f16;
    k->strips_bf16 = strips_bf16;
#define KERNEL(name, sym) k->strips_##name = strips_##name;
    TYPES(KERNEL)
#undef KERNEL
}
