// SPDX-License-Identifier: MIT
/* gpt2.c - GPT-2 (Radford et al. 2019): LayerNorm, learned positions, GELU without a gate; and
 * StarCoder2 (Lozhkov et al. 2024), which has RoPE instead of learned positions. */
#include "model/arch.h"
#include "session/ops.h"

#define LAYER_NORM_HEAD                                                                            \
    LS_GLOBALS,                                                                                    \
        LS_GLOBAL("output_norm.bias", output_norm.b, LS_W_VECTOR, LS_DIM_1, LS_DIM_D, LS_NEEDED)
#define BLOCKS                                                                                     \
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),                               \
        LS_VECTOR("attn_norm.bias", attn_norm.b, LS_DIM_D, LS_NEEDED),                             \
        LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),                                \
        LS_VECTOR("attn_output.bias", o_b, LS_DIM_D, LS_NEEDED),                                   \
        LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED),                             \
        LS_VECTOR("ffn_norm.bias", ffn_norm.b, LS_DIM_D, LS_NEEDED),                               \
        LS_MATRIX("ffn_up", up, LS_DIM_F, LS_DIM_D, LS_NEEDED),                                    \
        LS_VECTOR("ffn_up.bias", up_b, LS_DIM_F, LS_NEEDED),                                       \
        LS_MATRIX("ffn_down", down, LS_DIM_D, LS_DIM_F, LS_NEEDED),                                \
        LS_VECTOR("ffn_down.bias", down_b, LS_DIM_D, LS_NEEDED)

static const ls_weight gpt2_globals[] = {
    LAYER_NORM_HEAD,
    LS_GLOBAL("position_embd.weight", pos_embd, LS_W_MATRIX, LS_DIM_P, LS_DIM_D, LS_NEEDED),
    LS_WEIGHTS_END,
};
static const ls_weight gpt2[] = {BLOCKS, LS_FUSED_QKV, LS_WEIGHTS_END};
static const ls_weight starcoder2_globals[] = {LAYER_NORM_HEAD, LS_WEIGHTS_END};
static const ls_weight starcoder2[] = {BLOCKS, LS_SEPARATE_QKV, LS_WEIGHTS_END};

static size_t attention(ls_session *s, const ls_layer *l, int32_t i, const float *k_angles,
                        size_t T)
{
    ls_attn a = ls_attn_default(s, i);
    a.k_angles = k_angles;
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    return T;
}

static void feed_forward(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    ls_input x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, l->q.n, T);
    ls_ffn_up_plain(s, l, i, LS_GELU, x, T);
    ls_ffn_down(s, l, i, s->proj, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->proj, s->x, T);
}

static void gpt2_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    ls_input x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, l->q.n, T);
    ls_qkv(s, l, i, x, T);
    T = attention(s, l, i, NULL, T);
    feed_forward(s, l, i, T);
}

static void starcoder2_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    ls_input x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, l->q.n, T);
    ls_qkv(s, l, i, x, T);
    T = attention(s, l, i, ls_rope(s, i, T), T);
    feed_forward(s, l, i, T);
}

#define OPS (LS_OPS_ALL | LS_OP_BIT(ATTN_NORM) | LS_OP_BIT(RESIDUAL) | LS_OP_BIT(FFN_NORM))

const ls_arch ls_arch_gpt2 = {
    .name = "gpt2",
    .rope = LS_ROPE_NONE,
    .layer_norm = true,
    .gelu = true,
    .ops = OPS,
    .mini = LS_MINI_FULL_HEADS,
    .globals = gpt2_globals,
    .weights = gpt2,
    .layer = gpt2_layer,
};

const ls_arch ls_arch_starcoder2 = {
    .name = "starcoder2",
    .rope = LS_ROPE_NEOX,
    .layer_norm = true,
    .gelu = true,
    .keys = LS_KEY_WINDOW_UNUSED,
    .ops = OPS | LS_OPS_ROPE,
    .globals = starcoder2_globals,
    .weights = starcoder2,
    .layer = starcoder2_layer,
};
