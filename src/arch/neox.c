// SPDX-License-Identifier: MIT
/* neox.c - blocks side by side: GPT-NeoX (Black et al. 2022), which can also have them one after
 * the other, and Falcon (Almazrouei et al. 2023). LayerNorm, fused queries, keys and values, RoPE,
 * GELU. */
#include "model/arch.h"
#include "session/ops.h"

static const ls_weight globals[] = {
    LS_GLOBALS,
    LS_GLOBAL("output_norm.bias", output_norm.b, LS_W_VECTOR, LS_DIM_1, LS_DIM_D, LS_NEEDED),
    LS_WEIGHTS_END,
};

#define BLOCKS                                                                                     \
    LS_VECTOR("attn_norm.weight", attn_norm.w, LS_DIM_D, LS_NEEDED),                               \
        LS_VECTOR("attn_norm.bias", attn_norm.b, LS_DIM_D, LS_NEEDED),                             \
        LS_MATRIX("attn_output", o, LS_DIM_D, LS_DIM_Q, LS_NEEDED),                                \
        LS_MATRIX("ffn_up", up, LS_DIM_F, LS_DIM_D, LS_NEEDED),                                    \
        LS_MATRIX("ffn_down", down, LS_DIM_D, LS_DIM_F, LS_NEEDED)

static const ls_weight gptneox[] = {
    BLOCKS,
    LS_FUSED_QKV,
    LS_VECTOR("attn_output.bias", o_b, LS_DIM_D, LS_NEEDED),
    LS_VECTOR("ffn_norm.weight", ffn_norm.w, LS_DIM_D, LS_NEEDED),
    LS_VECTOR("ffn_norm.bias", ffn_norm.b, LS_DIM_D, LS_NEEDED),
    LS_VECTOR("ffn_up.bias", up_b, LS_DIM_F, LS_NEEDED),
    LS_VECTOR("ffn_down.bias", down_b, LS_DIM_D, LS_NEEDED),
    LS_WEIGHTS_END,
};
static const ls_weight falcon[] = {
    BLOCKS,
    LS_FUSED_QKV_MATRICES,
    LS_VECTOR("attn_norm_2.weight", attn_norm_2.w, LS_DIM_D, LS_OPTIONAL),
    LS_VECTOR("attn_norm_2.bias", attn_norm_2.b, LS_DIM_D, LS_OPTIONAL),
    LS_WEIGHTS_END,
};

static size_t attention(ls_session *s, const ls_layer *l, int32_t i, ls_input x, size_t T)
{
    ls_attn a = ls_attn_default(s, i);
    ls_qkv(s, l, i, x, T);
    a.k_angles = ls_rope(s, i, T);
    T = ls_attend(s, i, &a, T);
    ls_attn_output(s, l, i, s->proj, T);
    return T;
}

static void gptneox_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    bool     parallel = s->model->config.parallel;
    size_t   D = l->q.n;
    ls_input x;

    x = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm, s->x, &l->attn_norm, D, T);
    T = attention(s, l, i, x, T);
    if (!parallel) ls_add(s, LS_OP_RESIDUAL, i, s->x, s->proj, s->x, T);
    x = ls_normed(s, LS_OP_FFN_NORM, i, s->norm, s->x, &l->ffn_norm, D, T);
    ls_ffn_up_plain(s, l, i, LS_GELU, x, T);
    ls_ffn_down(s, l, i, s->ffn, T);
    if (parallel) ls_add(s, LS_OP_RESIDUAL, i, s->x, s->ffn, s->x, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, parallel ? s->x : s->ffn, parallel ? s->proj : s->x, T);
}

static void falcon_layer(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    size_t   D = l->q.n;
    bool     two = l->attn_norm_2.w; /* then the first one is of the feed-forward block alone */
    ls_op    op = two ? LS_OP_FFN_NORM : LS_OP_ATTN_NORM;
    ls_input x = ls_normed(s, op, i, s->norm, s->x, &l->attn_norm, D, T), x2 = x;

    if (two) x2 = ls_normed(s, LS_OP_ATTN_NORM, i, s->norm2, s->x, &l->attn_norm_2, D, T);
    T = attention(s, l, i, x2, T);
    ls_ffn_up_plain(s, l, i, LS_GELU, two ? x : ls_input_made(&x), T);
    ls_ffn_down(s, l, i, s->ffn, T);
    ls_add(s, LS_OP_RESIDUAL, i, s->ffn, s->ffn, s->proj, T);
    ls_add(s, LS_OP_LAYER_OUT, i, s->x, s->ffn, s->x, T);
}

#define OPS (LS_OPS_ALL | LS_OPS_ROPE | LS_OP_BIT(ATTN_NORM) | LS_OP_BIT(RESIDUAL))

/* With one norm it is that of attention. */
static const ls_optional_op falcon_optional[] = {LS_OPTIONAL_OP(FFN_NORM, attn_norm_2.w),
                                                 {LS_N_OPS, 0}};

const ls_arch ls_arch_gptneox = {
    .name = "gptneox",
    .rope = LS_ROPE_NEOX,
    .layer_norm = true,
    .gelu = true,
    .keys = LS_KEY_PARALLEL,
    .ops = OPS | LS_OP_BIT(FFN_NORM),
    .mini = LS_MINI_PARTIAL | LS_MINI_FULL_HEADS,
    .globals = globals,
    .weights = gptneox,
    .layer = gptneox_layer,
};

const ls_arch ls_arch_falcon = {
    .name = "falcon",
    .rope = LS_ROPE_NEOX,
    .layer_norm = true,
    .gelu = true,
    .ops = OPS | LS_OP_BIT(FFN_NORM),
    .optional = falcon_optional,
    .globals = globals,
    .weights = falcon,
    .layer = falcon_layer,
};
