// SPDX-License-Identifier: MIT
/* bitnet.c - BitNet b1.58 (Ma et al. 2024, section 2): the graph of LLaMA with a norm before each
 * output projection. As first converted it has SiLU; the 2B-4T model has squared ReLU. */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {LS_GLOBALS, LS_WEIGHTS_END};

static const ls_weight weights[] = {
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_QKV_MATRICES,
    LS_VECTOR("attn_sub_norm.weight", attn_sub_norm.w, LS_DIM_Q, LS_NEEDED),
    LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),
    LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_GATED_FFN,
    LS_VECTOR("ffn_sub_norm.weight", ffn_sub_norm.w, LS_DIM_F, LS_NEEDED),
    LS_WEIGHTS_END,
};

static void any_layer(ls_session *s, const ls_layer *l, int32_t i, ls_ffn_act act, size_t T)
{
    ls_attn  a = ls_attn_default(s, i);
    size_t   D = l->q.n;
    ls_input x;

    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, D, T);
    ls_qkv(s, l, i, x, T);
    a.k_angles = ls_rope(s, i, T);
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, D, T);
    ls_ffn_up_gated(s, l, i, act, x, T);
    ls_ffn_down(s, l, i, s->proj, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

static void silu_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    any_layer(s, l, i, LS_SILU, T);
}

static void relu2_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    any_layer(s, l, i, LS_RELU2, T);
}

const ls_arch ls_arch_bitnet = {
    .name = "bitnet",
    .rope = LS_ROPE_NEOX,
    .ops = LS_OPS_LLAMA | LS_OPS_SUB_NORMS,
    .mini = LS_MINI_TIED,
    .globals = globals,
    .weights = weights,
    .layer = silu_layer,
};

const ls_arch ls_arch_bitnet_b158 = {
    .name = "bitnet-b1.58",
    .rope = LS_ROPE_NEOX,
    .ops = LS_OPS_LLAMA | LS_OPS_SUB_NORMS,
    .mini = LS_MINI_TIED,
    .globals = globals,
    .weights = weights,
    .layer = relu2_layer,
};
