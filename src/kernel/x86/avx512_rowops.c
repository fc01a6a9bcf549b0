// SPDX-License-Identifier: MIT
/* avx512_rowops.c - rounding of activations and row operations, compiled for AVX-512.
 *
 * The source is rowops_inl.h, as for the scalar tier. Those of the AVX2 tier are conversions to and
 * from F16, which are bound by memory, rounding to Q8_0 and Q8_K, RoPE of neighbours and softmax.
 */
#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"

void ls_kernels_avx512_rowops(ls_kernels *k)
{
    k->act_bf16 = row_act_bf16;
    k->floats_bf16 = row_floats_bf16;
    k->round_bf16 = row_round_bf16;
    k->sums_q8_0 = row_sums_q8_0;
    k->act_i8_row = row_act_i8_row;
    k->act_i8_tl = row_act_i8_tl;
    k->dot_f32 = row_dot_f32;
    k->dot_bf16_wide = row_dot_bf16_wide;
    k->rmsnorm = row_rmsnorm;
    k->layernorm = row_layernorm;
    k->silu_mul = row_silu_mul;
    k->relu2_mul = row_relu2_mul;
    k->add = row_add;
    k->scale = row_scale;
    k->rope_neox = row_rope_neox;
}
