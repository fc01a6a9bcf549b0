// SPDX-License-Identifier: MIT
/* gpt_oss.c - gpt-oss (OpenAI 2025): experts with biases and a clamped unit, windows in every other
 * layer, and a learned logit per head that takes its share of the attention. */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {LS_GLOBALS, LS_WEIGHTS_END};

static const ls_weight weights[] = {
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_SEPARATE_QKV,
    LS_VECTOR("attn_sinks.weight", sinks, LS_DIM_H, LS_NEEDED),
    LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),
    LS_VECTOR("attn_output.bias", o_b, LS_DIM_D, LS_NEEDED),
    LS_VECTOR("post_attention_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_EXPERT_FFN,
    LS_VECTOR("ffn_gate_inp.bias", router_b, LS_DIM_E, LS_NEEDED),
    LS_VECTORS("ffn_gate_exps.bias", gate_exps_b, LS_DIM_E, LS_DIM_FE, LS_NEEDED),
    LS_VECTORS("ffn_up_exps.bias", up_exps_b, LS_DIM_E, LS_DIM_FE, LS_NEEDED),
    LS_VECTORS("ffn_down_exps.bias", down_exps_b, LS_DIM_E, LS_DIM_D, LS_NEEDED),
    LS_WEIGHTS_END,
};

static void layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    static const ls_moe moe = {.act = LS_SWIGLU_OAI, .softmax_chosen = true};
    ls_attn             a = ls_attn_default(s, i);
    ls_input            x;
    a.sinks = l->sinks;

    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, l->q.n, T);
    ls_qkv(s, l, i, x, T);
    a.k_angles = ls_rope(s, i, T);
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, l->q.n, T);
    ls_moe_ffn(s, l, i, &moe, s->proj, x, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

const ls_arch ls_arch_gpt_oss = {
    .name = "gpt-oss",
    .rope = LS_ROPE_NEOX,
    .keys = LS_KEY_EXPERTS | LS_KEY_EXPERT_FF | LS_KEY_WINDOW,
    .swa_period = 2,
    .ops = LS_OPS_LLAMA | LS_OPS_MOE,
    .mini = LS_MINI_EXPERTS,
    .globals = globals,
    .weights = weights,
    .layer = layer,
};
