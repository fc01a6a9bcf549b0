// SPDX-License-Identifier: MIT
/* olmo.c - OLMo 2 (2024), whose norms stand behind its blocks, and OLMoE (Muennighoff et al. 2024).
 * Both norm queries and keys over all heads at once. */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {LS_GLOBALS, LS_WEIGHTS_END};

#define ATTENTION                                                                                  \
    LS_SEPARATE_QKV, LS_VECTOR("attn_q_norm.weight", q_norm.w, LS_DIM_Q, LS_NEEDED),               \
        LS_VECTOR("attn_k_norm.weight", k_norm.w, LS_DIM_KV, LS_NEEDED),                           \
        LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED)

static const ls_weight olmo2[] = {
    ATTENTION,      LS_VECTOR("post_attention_norm.weight", attn_post_norm.w, LS_DIM_D, LS_NEEDED),
    LS_GATED_FFN,   LS_VECTOR("post_ffw_norm.weight", ffn_post_norm.w, LS_DIM_D, LS_NEEDED),
    LS_WEIGHTS_END,
};
static const ls_weight olmoe[] = {
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),
    ATTENTION,
    LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_EXPERT_FFN,
    LS_WEIGHTS_END,
};

static size_t attention(ls_session *s, const ls_layer *l, int32_t i, ls_input x, size_t T)
{
    ls_attn a = ls_attn_default(s, i);
    ls_qkv(s, l, i, x, T);
    ls_rms_norm(s, LS_OP_Q_NORM, i, s->q, s->q, &l->q_norm, l->q.n_rows, T);
    ls_rms_norm(s, LS_OP_K_NORM, i, ls_keys(s), ls_keys(s), &l->k_norm, l->k.n_rows, T);
    a.k_angles = ls_rope(s, i, T);
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    return T;
}

static void olmo2_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    size_t D = l->q.n;
    T = attention(s, l, i, (ls_input){.x = s->x}, T);
    ls_rms_norm(s, LS_OP_ATTN_POST_NORM, i, s->proj, s->proj, &l->attn_post_norm, D, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    ls_ffn_up_gated(s, l, i, LS_SILU, (ls_input){.x = s->x}, T);
    ls_ffn_down(s, l, i, s->proj, T);
    ls_rms_norm(s, LS_OP_FFN_POST_NORM, i, s->proj, s->proj, &l->ffn_post_norm, D, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

static void olmoe_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    static const ls_moe moe = {.act = LS_SILU};
    ls_input            x;
    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, l->q.n, T);
    T = attention(s, l, i, x, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, l->q.n, T);
    ls_moe_ffn(s, l, i, &moe, s->proj, x, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

/* Layers with a window are turned without scaling. */
static void derive(ls_model_config *c)
{
    c->rope_base_swa = c->rope_base;
    c->rope_scale_swa = 1;
    c->rope_plain_swa = true;
}

const ls_arch ls_arch_olmo2 = {
    .name = "olmo2",
    .rope = LS_ROPE_NEOX,
    .keys = LS_KEY_WINDOW,
    .swa_period = 4,
    .ops = LS_OPS_ALL | LS_OPS_ROPE | LS_OPS_QK_NORM | LS_OPS_POST_NORMS | LS_OP_BIT(RESIDUAL) |
           LS_OP_BIT(FFN_GATE),
    .globals = globals,
    .weights = olmo2,
    .derive = derive,
    .layer = olmo2_layer,
};

const ls_arch ls_arch_olmoe = {
    .name = "olmoe",
    .rope = LS_ROPE_NEOX,
    .keys = LS_KEY_EXPERTS,
    .ops = LS_OPS_LLAMA | LS_OPS_QK_NORM | LS_OPS_MOE,
    .mini = LS_MINI_FULL_HEADS | LS_MINI_EXPERTS,
    .globals = globals,
    .weights = olmoe,
    .layer = olmoe_layer,
};
