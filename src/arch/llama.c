// SPDX-License-Identifier: MIT
/* llama.c - LLaMA and its descendants of the same graph (Touvron et al. 2023, section 2.2):
 * pre-norm, RoPE, gated SiLU. Mistral is it, Mixtral (Jiang et al. 2024) is it with experts. */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {
    LS_GLOBALS,
    LS_GLOBAL("rope_freqs.weight", rope_factors, LS_W_VECTOR, LS_DIM_1, LS_DIM_R, LS_OPTIONAL),
    LS_WEIGHTS_END,
};

static const ls_weight weights[] = {
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_SEPARATE_QKV,
    LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),
    LS_VECTOR("attn_output.bias", o_b, LS_DIM_D, LS_OPTIONAL),
    LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_GATED_FFN,
    LS_VECTOR("ffn_gate.bias", gate_b, LS_DIM_F, LS_OPTIONAL_DENSE),
    LS_VECTOR("ffn_up.bias", up_b, LS_DIM_F, LS_OPTIONAL_DENSE),
    LS_VECTOR("ffn_down.bias", down_b, LS_DIM_D, LS_OPTIONAL_DENSE),
    LS_EXPERT_FFN,
    LS_WEIGHTS_END,
};

static void layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    static const ls_moe moe = {.act = LS_SILU, .normalise = true};
    ls_attn             a = ls_attn_default(s, i);
    size_t              D = l->q.n;
    ls_input            x;

    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, D, T);
    ls_qkv(s, l, i, x, T);
    a.k_angles = ls_rope(s, i, T);
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, D, T);
    if (l->router.data) {
        ls_moe_ffn(s, l, i, &moe, s->proj, x, T);
    } else {
        ls_ffn_up_gated(s, l, i, LS_SILU, x, T);
        ls_ffn_down(s, l, i, s->proj, T);
    }
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

const ls_arch ls_arch_llama = {
    .name = "llama",
    .rope = LS_ROPE_NORMAL,
    .keys = LS_KEY_EXPERTS,
    .ops = LS_OPS_LLAMA | LS_OPS_MOE,
    .globals = globals,
    .weights = weights,
    .layer = layer,
};
