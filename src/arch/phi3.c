// SPDX-License-Identifier: MIT
/* phi3.c - Phi-3 (Abdin et al. 2024): LLaMA with fused matrices and two sets of frequency divisors,
 * for short and for long contexts. Its window is not applied, as the reference does not apply it.
 */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {
    LS_GLOBALS,
    LS_GLOBAL("rope_factors_long.weight", rope_long, LS_W_VECTOR, LS_DIM_1, LS_DIM_R, LS_OPTIONAL),
    LS_GLOBAL("rope_factors_short.weight", rope_short, LS_W_VECTOR, LS_DIM_1, LS_DIM_R,
              LS_OPTIONAL),
    LS_WEIGHTS_END,
};

static const ls_weight weights[] = {
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_FUSED_QKV,
    LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),
    LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_FUSED_ROWS("ffn_up", gate, LS_DIM_F, LS_DIM_D, LS_DIM_2F, LS_DIM_1),
    LS_FUSED_ROWS("ffn_up", up, LS_DIM_F, LS_DIM_D, LS_DIM_2F, LS_DIM_F),
    LS_MATRIX("ffn_down", down, LS_DIM_D, LS_DIM_F, LS_NEEDED),
    LS_WEIGHTS_END,
};

static void layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    ls_attn  a = ls_attn_default(s, i);
    size_t   D = l->q.n;
    ls_input x;

    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, D, T);
    ls_qkv(s, l, i, x, T);
    a.k_angles = ls_rope(s, i, T);
    ls_scale(s, s->q, a.scale, l->q.n_rows, T);
    a.scale = 1;
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, D, T);
    ls_ffn_up_gated(s, l, i, LS_SILU, x, T);
    ls_ffn_down(s, l, i, s->proj, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->x, s->proj, T);
}

const ls_arch ls_arch_phi3 = {
    .name = "phi3",
    .rope = LS_ROPE_NEOX,
    .keys = LS_KEY_WINDOW_UNUSED | LS_KEY_LONGROPE,
    .ops = LS_OPS_LLAMA,
    .globals = globals,
    .weights = weights,
    .layer = layer,
};
