// SPDX-License-Identifier: MIT
/* gemma.c - Gemma 1, 2 and 3 (Gemma Team 2024, 2024, 2025): scaled embeddings, GELU, queries scaled
 * before the product; Gemma 2 adds norms behind each block, caps and windows; Gemma 3 norms queries
 * and keys instead of capping, and turns its windowed layers with another base. */
#include <math.h>

#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {LS_GLOBALS, LS_WEIGHTS_END};

#define BLOCKS                                                                                     \
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED), LS_SEPARATE_QKV,              \
        LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),                                \
        LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED), LS_GATED_FFN
#define POST_NORMS                                                                                 \
    LS_VECTOR("post_attention_norm.weight", attn_post_norm.w, LS_DIM_D, LS_NEEDED),                \
        LS_VECTOR("post_ffw_norm.weight", ffn_post_norm.w, LS_DIM_D, LS_NEEDED)

static const ls_weight gemma[] = {BLOCKS, LS_WEIGHTS_END};
static const ls_weight gemma2[] = {BLOCKS, POST_NORMS, LS_WEIGHTS_END};
static const ls_weight gemma3[] = {
    BLOCKS,
    POST_NORMS,
    LS_VECTOR("attn_q_norm.weight", q_norm.w, LS_DIM_K, LS_NEEDED),
    LS_VECTOR("attn_k_norm.weight", k_norm.w, LS_DIM_K, LS_NEEDED),
    LS_WEIGHTS_END,
};

/* Scaled queries stand in for the scale of their products. */
static size_t attend(ls_session *s, int32_t i, const float *k_angles, size_t T)
{
    ls_attn a = ls_attn_default(s, i);
    size_t  Q = (size_t)s->model->config.n_heads * (size_t)s->model->config.head_dim;
    ls_scale(s, s->q, a.scale, Q, T);
    a.scale = 1;
    a.k_angles = k_angles;
    return ls_attend(s, i, &a, T);
}

static void gemma_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    size_t   D = l->q.n;
    ls_input x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, D, T);
    ls_qkv(s, l, i, x, T);
    T = attend(s, i, ls_rope(s, i, T), T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, D, T);
    ls_ffn_up_gated(s, l, i, LS_GELU, x, T);
    ls_ffn_down(s, l, i, s->proj, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

static void post_norm_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    const ls_model_config *c = &s->model->config;
    size_t                 D = l->q.n;
    ls_input               x;
    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, D, T);
    ls_qkv(s, l, i, x, T);
    if (l->q_norm.w) {
        ls_rms_norm_heads(s, LS_OP_Q_NORM, i, s->q, &l->q_norm, (size_t)c->n_heads, T);
        ls_rms_norm_heads(s, LS_OP_K_NORM, i, ls_keys(s), &l->k_norm, (size_t)c->n_kv_heads, T);
    }
    T = attend(s, i, ls_rope(s, i, T), T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_rms_norm(s, LS_OP_ATTN_POST_NORM, i, s->proj, s->proj, &l->attn_post_norm, D, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, D, T);
    ls_ffn_up_gated(s, l, i, LS_GELU, x, T);
    ls_ffn_down(s, l, i, s->proj, T);
    ls_rms_norm(s, LS_OP_FFN_POST_NORM, i, s->proj, s->proj, &l->ffn_post_norm, D, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

static void derive_gemma(ls_model_config *c)
{
    c->embedding_scale = (double)sqrtf((float)c->n_embd);
}

/* The models of 27B (Gemma 2: 46 layers, Gemma 3: 62) scale by the width of a head that they would
 * have without a width of its own. */
static void derive_scale(ls_model_config *c, int32_t layers_of_27b)
{
    int32_t width = c->n_layers == layers_of_27b ? c->n_embd / c->n_heads : c->head_dim;
    derive_gemma(c);
    c->attn_scale = (double)(1.0f / sqrtf((float)width));
}

static void derive_gemma2(ls_model_config *c)
{
    derive_scale(c, 46);
    if (c->n_swa == 0) c->n_swa = 4096;
    if (c->attn_softcap == 0) c->attn_softcap = 50;
    if (c->final_softcap == 0) c->final_softcap = 30;
}

static void derive_gemma3(ls_model_config *c)
{
    derive_scale(c, 62);
    c->rope_scale_swa = 1;
}

const ls_arch ls_arch_gemma = {
    .name = "gemma",
    .rope = LS_ROPE_NEOX,
    .gelu = true,
    .ops = LS_OPS_LLAMA,
    .mini = LS_MINI_TIED,
    .globals = globals,
    .weights = gemma,
    .derive = derive_gemma,
    .layer = gemma_layer,
};

const ls_arch ls_arch_gemma2 = {
    .name = "gemma2",
    .rope = LS_ROPE_NEOX,
    .gelu = true,
    .keys = LS_KEY_WINDOW | LS_KEY_ATTN_SOFTCAP | LS_KEY_FINAL_SOFTCAP,
    .swa_period = 2,
    .ops = LS_OPS_LLAMA | LS_OPS_POST_NORMS,
    .mini = LS_MINI_TIED,
    .globals = globals,
    .weights = gemma2,
    .derive = derive_gemma2,
    .layer = post_norm_layer,
};

const ls_arch ls_arch_gemma3 = {
    .name = "gemma3",
    .rope = LS_ROPE_NEOX,
    .gelu = true,
    .keys = LS_KEY_WINDOW | LS_KEY_FINAL_SOFTCAP,
    .swa_period = 6,
    .swa_base = 10000,
    .ops = LS_OPS_LLAMA | LS_OPS_POST_NORMS | LS_OPS_QK_NORM,
    .globals = globals,
    .weights = gemma3,
    .derive = derive_gemma3,
    .layer = post_norm_layer,
};
