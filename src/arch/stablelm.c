// SPDX-License-Identifier: MIT
/* stablelm.c - StableLM 2 (Bellagente et al. 2024): LayerNorm, RoPE on a part of each head, norms
 * of query and key heads in the larger ones, which also have their blocks side by side. */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {
    LS_GLOBALS,
    LS_GLOBAL("output_norm.bias", output_norm.b, LS_W_VECTOR, LS_DIM_1, LS_DIM_D, LS_NEEDED),
    LS_WEIGHTS_END,
};

static const ls_weight weights[] = {
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_VECTOR("attn_norm.bias", attn_norm.b, LS_DIM_D, LS_NEEDED),
    LS_SEPARATE_QKV,
    LS_VECTORS("attn_q_norm.weight", q_norm.w, LS_DIM_H, LS_DIM_K, LS_OPTIONAL),
    LS_VECTORS("attn_k_norm.weight", k_norm.w, LS_DIM_G, LS_DIM_K, LS_OPTIONAL),
    LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),
    LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_OPTIONAL),
    LS_VECTOR("ffn_norm.bias", ffn_norm.b, LS_DIM_D, LS_OPTIONAL),
    LS_GATED_FFN,
    LS_WEIGHTS_END,
};

static void layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    const ls_model_config *c = &s->model->config;
    ls_attn                a = ls_attn_default(s, i);
    size_t                 D = l->q.n;
    ls_input               x;

    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, D, T);
    ls_qkv(s, l, i, x, T);
    if (l->q_norm.w) {
        ls_layer_norm_heads(s, LS_OP_Q_NORM, i, s->q, &l->q_norm, (size_t)c->n_heads, T);
    }
    if (l->k_norm.w) {
        ls_layer_norm_heads(s, LS_OP_K_NORM, i, ls_keys(s), &l->k_norm, (size_t)c->n_kv_heads, T);
    }
    a.k_angles = ls_rope(s, i, T);
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_input_made(&x);
    if (l->ffn_norm.w) {
        x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, D, T);
    }
    ls_ffn_up_gated(s, l, i, LS_SILU, x, T);
    ls_ffn_down(s, l, i, s->proj, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

static const ls_optional_op optional[] = {LS_OPTIONAL_OP(Q_NORM, q_norm.w),
                                          LS_OPTIONAL_OP(K_NORM, k_norm.w),
                                          LS_OPTIONAL_OP(FFN_NORM, ffn_norm.w),
                                          {LS_N_OPS, 0}};

const ls_arch ls_arch_stablelm = {
    .name = "stablelm",
    .rope = LS_ROPE_NEOX,
    .layer_norm = true,
    .ops = LS_OPS_LLAMA | LS_OPS_QK_NORM,
    .optional = optional,
    .mini = LS_MINI_PARTIAL,
    .globals = globals,
    .weights = weights,
    .layer = layer,
};
