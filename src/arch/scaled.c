// SPDX-License-Identifier: MIT
/* scaled.c - LLaMA with a small difference: SmolLM3 (2025) leaves every fourth layer unrotated,
 * Granite (IBM 2024) scales embeddings, blocks, attention and logits. */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight smollm3_globals[] = {LS_GLOBALS, LS_WEIGHTS_END};
static const ls_weight granite_globals[] = {
    LS_GLOBALS,
    LS_GLOBAL("rope_freqs.weight", rope_factors, LS_W_VECTOR, LS_DIM_1, LS_DIM_R, LS_OPTIONAL),
    LS_WEIGHTS_END,
};

static const ls_weight weights[] = {
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_SEPARATE_QKV,
    LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),
    LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_GATED_FFN,
    LS_WEIGHTS_END,
};

static void any_layer(ls_session *s, const ls_layer *l, int32_t i, bool rotate, size_t T)
{
    ls_attn  a = ls_attn_default(s, i);
    float    share = (float)s->model->config.residual_scale;
    size_t   D = l->q.n;
    ls_input x;

    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, D, T);
    ls_qkv(s, l, i, x, T);
    if (rotate) a.k_angles = ls_rope(s, i, T);
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_scale(s, s->proj, share, D, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, D, T);
    ls_ffn_up_gated(s, l, i, LS_SILU, x, T);
    ls_ffn_down(s, l, i, s->proj, T);
    ls_scale(s, s->proj, share, D, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

static void smollm3_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    any_layer(s, l, i, (i + 1) % 4 != 0, T);
}

static void granite_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    any_layer(s, l, i, true, T);
}

/* The file holds what logits are divided by. */
static void derive_granite(ls_model_config *c)
{
    c->logit_scale = (double)(1.0f / (float)c->logit_scale);
    if (c->embedding_scale == 0) c->embedding_scale = 1;
    if (c->residual_scale == 0) c->residual_scale = 1;
}

const ls_arch ls_arch_smollm3 = {
    .name = "smollm3",
    .rope = LS_ROPE_NORMAL,
    .ops = LS_OPS_LLAMA,
    .mini_layers = 5,
    .globals = smollm3_globals,
    .weights = weights,
    .layer = smollm3_layer,
};

const ls_arch ls_arch_granite = {
    .name = "granite",
    .rope = LS_ROPE_NORMAL,
    .keys = LS_KEY_ATTN_SCALE | LS_KEY_EMBED_SCALE | LS_KEY_RESIDUAL_SCALE | LS_KEY_LOGIT_SCALE,
    .ops = LS_OPS_LLAMA,
    .globals = granite_globals,
    .weights = weights,
    .derive = derive_granite,
    .layer = granite_layer,
};
