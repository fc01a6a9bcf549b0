// SPDX-License-Identifier: MIT
/* command_r.c - Command R (Cohere 2024): attention and feed-forward side by side behind one
 * LayerNorm without bias; logits are scaled. The large one norms queries and keys. */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {LS_GLOBALS, LS_WEIGHTS_END};

static const ls_weight weights[] = {
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_SEPARATE_QKV,
    LS_VECTORS("attn_q_norm.weight", q_norm.w, LS_DIM_H, LS_DIM_K, LS_OPTIONAL),
    LS_VECTORS("attn_k_norm.weight", k_norm.w, LS_DIM_G, LS_DIM_K, LS_OPTIONAL),
    LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),
    LS_GATED_FFN,
    LS_WEIGHTS_END,
};

static void layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    const ls_model_config *c = &s->model->config;
    ls_attn                a = ls_attn_default(s, i);
    ls_input               x;

    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, l->q.n, T);
    ls_qkv(s, l, i, x, T);
    if (l->q_norm.w) {
        ls_layer_norm_heads(s, LS_OP_Q_NORM, i, s->q, &l->q_norm, (size_t)c->n_heads, T);
        ls_layer_norm_heads(s, LS_OP_K_NORM, i, ls_keys(s), &l->k_norm, (size_t)c->n_kv_heads, T);
    }
    a.k_angles = ls_rope(s, i, T);
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_ffn_up_gated(s, l, i, LS_SILU, ls_input_made(&x), T);
    ls_ffn_down(s, l, i, s->ffn, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->ffn, s->x, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->x, s->proj, T);
}

static const ls_optional_op optional[] = {
    LS_OPTIONAL_OP(Q_NORM, q_norm.w), LS_OPTIONAL_OP(K_NORM, k_norm.w), {LS_N_OPS, 0}};

const ls_arch ls_arch_command_r = {
    .name = "command-r",
    .rope = LS_ROPE_NORMAL,
    .layer_norm = true,
    .keys = LS_KEY_LOGIT_SCALE,
    .ops = LS_OPS_ALL | LS_OPS_ROPE | LS_OPS_QK_NORM | LS_OP_BIT(ATTN_NORM) | LS_OP_BIT(RESIDUAL) |
           LS_OP_BIT(FFN_GATE),
    .optional = optional,
    .mini = LS_MINI_TIED | LS_MINI_BARE, /* norms of queries and keys: from 64 layers on */
    .globals = globals,
    .weights = weights,
    .layer = layer,
};
