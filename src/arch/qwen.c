// SPDX-License-Identifier: MIT
/* qwen.c - Qwen2 (Yang et al. 2024): LLaMA with biases of queries, keys and values; Qwen3 (2025): a
 * norm of every query and key head instead; and both with experts. */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {LS_GLOBALS, LS_WEIGHTS_END};
static const ls_weight qwen2_globals[] = {
    LS_GLOBALS,
    LS_GLOBAL("output.bias", output_b, LS_W_VECTOR, LS_DIM_1, LS_DIM_V, LS_OPTIONAL),
    LS_WEIGHTS_END,
};

#define ATTENTION                                                                                  \
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED), LS_SEPARATE_QKV,              \
        LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),                                \
        LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED)
#define QK_NORMS                                                                                   \
    LS_VECTOR("attn_q_norm.weight", q_norm.w, LS_DIM_K, LS_NEEDED),                                \
        LS_VECTOR("attn_k_norm.weight", k_norm.w, LS_DIM_K, LS_NEEDED)

static const ls_weight qwen2[] = {ATTENTION, LS_GATED_FFN, LS_WEIGHTS_END};
static const ls_weight qwen3[] = {ATTENTION, QK_NORMS, LS_GATED_FFN, LS_WEIGHTS_END};
static const ls_weight qwen2moe[] = {
    ATTENTION,
    LS_EXPERT_FFN,
    LS_MATRIX("ffn_gate_inp_shexp", router_shared, LS_DIM_1, LS_DIM_D, LS_NEEDED),
    LS_MATRIX("ffn_gate_shexp", gate_shared, LS_DIM_FS, LS_DIM_D, LS_NEEDED),
    LS_MATRIX("ffn_up_shexp", up_shared, LS_DIM_FS, LS_DIM_D, LS_NEEDED),
    LS_MATRIX("ffn_down_shexp", down_shared, LS_DIM_D, LS_DIM_FS, LS_NEEDED),
    LS_WEIGHTS_END,
};
static const ls_weight qwen3moe[] = {ATTENTION, QK_NORMS, LS_EXPERT_FFN, LS_WEIGHTS_END};

static size_t attention(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    const ls_model_config *c = &s->model->config;
    ls_attn                a = ls_attn_default(s, i);
    ls_input               x;

    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, l->q.n, T);
    ls_qkv(s, l, i, x, T);
    if (l->q_norm.w) {
        ls_rms_norm_heads(s, LS_OP_Q_NORM, i, s->q, &l->q_norm, (size_t)c->n_heads, T);
        ls_rms_norm_heads(s, LS_OP_K_NORM, i, ls_keys(s), &l->k_norm, (size_t)c->n_kv_heads, T);
    }
    a.k_angles = ls_rope(s, i, T);
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    return T;
}

static ls_input ffn_rows(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    return ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, l->q.n, T);
}

static void dense_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    T = attention(s, l, i, T);
    ls_ffn_up_gated(s, l, i, LS_SILU, ffn_rows(s, l, i, T), T);
    ls_ffn_down(s, l, i, s->proj, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

static void qwen2moe_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    static const ls_moe moe = {.act = LS_SILU, .shared = true};
    T = attention(s, l, i, T);
    ls_moe_ffn(s, l, i, &moe, s->proj, ffn_rows(s, l, i, T), T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

static void qwen3moe_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    static const ls_moe moe = {.act = LS_SILU, .normalise = true};
    T = attention(s, l, i, T);
    ls_moe_ffn(s, l, i, &moe, s->proj, ffn_rows(s, l, i, T), T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

const ls_arch ls_arch_qwen2 = {
    .name = "qwen2",
    .rope = LS_ROPE_NEOX,
    .ops = LS_OPS_LLAMA,
    .globals = qwen2_globals,
    .weights = qwen2,
    .layer = dense_layer,
};

const ls_arch ls_arch_qwen3 = {
    .name = "qwen3",
    .rope = LS_ROPE_NEOX,
    .ops = LS_OPS_LLAMA | LS_OPS_QK_NORM,
    .globals = globals,
    .weights = qwen3,
    .layer = dense_layer,
};

const ls_arch ls_arch_qwen2moe = {
    .name = "qwen2moe",
    .rope = LS_ROPE_NEOX,
    .keys = LS_KEY_EXPERTS | LS_KEY_EXPERT_FF | LS_KEY_SHARED_FF,
    .ops = LS_OPS_LLAMA | LS_OPS_MOE,
    .mini = LS_MINI_EXPERTS,
    .globals = globals,
    .weights = qwen2moe,
    .layer = qwen2moe_layer,
};

const ls_arch ls_arch_qwen3moe = {
    .name = "qwen3moe",
    .rope = LS_ROPE_NEOX,
    .keys = LS_KEY_EXPERTS | LS_KEY_EXPERT_FF,
    .ops = LS_OPS_LLAMA | LS_OPS_QK_NORM | LS_OPS_MOE,
    .mini = LS_MINI_EXPERTS,
    .globals = globals,
    .weights = qwen3moe,
    .layer = qwen3moe_layer,
};
