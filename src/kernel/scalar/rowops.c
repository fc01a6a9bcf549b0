// SPDX-License-Identifier: MIT
/* rowops.c - scalar rounding of activations and row operations; rowops_inl.h defines them. */
#include "dtype/dtype.h"
#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"

static void act_f16(void *restrict y, const float *restrict x, size_t n)
{
    uint16_t *h = y;
    for (size_t i = 0; i < n; i++) h[i] = ls_f32_to_f16(x[i]);
}

static void floats_f16(void *restrict y, const float *restrict x, size_t n)
{
    float *f = y;
    for (size_t i = 0; i < n; i++) f[i] = ls_f16_to_f32(ls_f32_to_f16(x[i]));
}

static void halves(float *restrict y, const uint16_t *restrict x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] = ls_f16_to_f32(x[i]);
}

static float dot_f16_wide(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    return row_dot_f16_wide(a, b, n, lanes, halves);
}

void ls_kernels_scalar_rowops(ls_kernels *k)
{
    k->act_f16 = act_f16;
    k->act_bf16 = row_act_bf16;
    k->floats_f16 = floats_f16;
    k->floats_bf16 = row_floats_bf16;
    k->act_q8_0 = row_act_q8_0;
    k->sums_q8_0 = row_sums_q8_0;
    k->act_q8_1 = row_act_q8_1;
    k->act_q8_k = row_act_q8_k;
    k->act_i8_row = row_act_i8_row;
    k->act_i8_tl = row_act_i8_tl;
    k->dot_f32 = row_dot_f32;
    k->dot_bf16_wide = row_dot_bf16_wide;
    k->dot_f16_wide = dot_f16_wide;
    k->rmsnorm = row_rmsnorm;
    k->layernorm = row_layernorm;
    k->softmax = row_softmax;
    k->silu_mul = row_silu_mul;
    k->relu2_mul = row_relu2_mul;
    k->add = row_add;
    k->scale = row_scale;
    k->rope_normal = row_rope_normal;
    k->rope_neox = row_rope_neox;
}
