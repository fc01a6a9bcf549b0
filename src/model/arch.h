// SPDX-License-Identifier: MIT
/* arch.h - what an architecture says of itself: its tensors, its hyper-parameters, its layer.
 *
 * One constant of this type per architecture, in src/arch/. Everything that differs between
 * architectures is in it or in the function it names; no other file asks which one it has.
 */
#ifndef LS_MODEL_ARCH_H
#define LS_MODEL_ARCH_H

#include <stddef.h>
#include <stdint.h>

#include "lockstep/model.h"
#include "model/weights.h"

/* Sizes that shapes are made of. */
typedef enum ls_dim {
    LS_DIM_1,   /* one                                        */
    LS_DIM_D,   /* width                                      */
    LS_DIM_Q,   /* query heads * head width                   */
    LS_DIM_KV,  /* KV heads * head width                      */
    LS_DIM_QK,  /* DIM_Q + DIM_KV: where fused values begin   */
    LS_DIM_QKV, /* DIM_Q + 2 * DIM_KV: rows of a fused matrix */
    LS_DIM_F,   /* feed-forward width                         */
    LS_DIM_2F,  /* rows of a fused gate and up                */
    LS_DIM_K,   /* head width                                 */
    LS_DIM_H,   /* query heads                                */
    LS_DIM_G,   /* KV heads                                   */
    LS_DIM_V,   /* vocabulary                                 */
    LS_DIM_P,   /* positions of the training context          */
    LS_DIM_R,   /* rotated pairs of a head                    */
    LS_DIM_E,   /* experts                                    */
    LS_DIM_FE,  /* feed-forward width of one expert           */
    LS_DIM_FS,  /* feed-forward width of the shared expert    */
    LS_N_DIMS,
} ls_dim;

size_t ls_dim_of(const ls_model_config *c, ls_dim d);

typedef enum ls_weight_kind {
    LS_W_MATRIX,  /* ls_matrix [rows][cols]                                         */
    LS_W_VECTOR,  /* float [cols], decoded; with rows other than 1 float [rows][cols] */
    LS_W_EXPERTS, /* ls_matrix [rows][cols] of expert 0, the others behind it       */
} ls_weight_kind;

typedef enum ls_weight_when {
    LS_NEEDED,
    LS_OPTIONAL, /* zero or NULL where the file has none */
    LS_OPTIONAL_DENSE, /* the same, and refused with experts */
    LS_DENSE,    /* needed without experts               */
    LS_MOE,      /* needed with experts                  */
} ls_weight_when;

/* One tensor. `name` is that of the file, without "blk.N." for a layer's. `member` is the offset
 * in ls_layer or ls_model. Of a tensor that holds several (fused queries, keys and values) each
 * part has a row of its own: rows [from, from + rows) of `of`. */
typedef struct ls_weight {
    const char    *name;
    size_t         member;
    ls_weight_kind kind;
    ls_dim         rows, cols;
    ls_weight_when when;
    ls_dim         of, from; /* LS_DIM_1: the whole tensor */
} ls_weight;

/* Hyper-parameters beyond those that every architecture has; bits of ls_arch.keys. */
typedef enum ls_key {
    LS_KEY_EXPERTS        = 1 << 0, /* expert_count, expert_used_count          */
    LS_KEY_EXPERT_FF      = 1 << 1, /* expert_feed_forward_length               */
    LS_KEY_SHARED_FF      = 1 << 2, /* expert_shared_feed_forward_length        */
    LS_KEY_WINDOW         = 1 << 3, /* attention.sliding_window, its own base   */
    LS_KEY_ATTN_SCALE     = 1 << 4, /* attention.scale                          */
    LS_KEY_ATTN_SOFTCAP   = 1 << 5, /* attn_logit_softcapping                   */
    LS_KEY_FINAL_SOFTCAP  = 1 << 6, /* final_logit_softcapping                  */
    LS_KEY_LOGIT_SCALE    = 1 << 7, /* logit_scale                              */
    LS_KEY_RESIDUAL_SCALE = 1 << 8, /* residual_scale                           */
    LS_KEY_EMBED_SCALE    = 1 << 9, /* embedding_scale                          */
    LS_KEY_PARALLEL       = 1 << 10, /* use_parallel_residual                   */
    LS_KEY_WINDOW_UNUSED  = 1 << 11, /* a window that the reference ignores too */
    LS_KEY_LONGROPE       = 1 << 12, /* rope.scaling.type longrope                */
} ls_key;

/* What a made-up model must be like for the reference to read it; bits of ls_arch.mini. */
typedef enum ls_mini_need {
    LS_MINI_EXPERTS    = 1 << 0, /* there is no such model without experts */
    LS_MINI_PARTIAL    = 1 << 1, /* half of each head is rotated           */
    LS_MINI_FULL_HEADS = 1 << 2, /* as many KV heads as query heads        */
    LS_MINI_TIED       = 1 << 3, /* no output matrix of its own            */
    LS_MINI_BARE       = 1 << 4, /* nothing that is optional               */
} ls_mini_need;

/* A tap that a model shows only if a layer of it has this vector (an offset in ls_layer). */
typedef struct ls_optional_op {
    ls_op  op;
    size_t member;
} ls_optional_op;
#define LS_OPTIONAL_OP(op, member) {LS_OP_##op, offsetof(ls_layer, member)}

typedef struct ls_session ls_session;

typedef struct ls_arch {
    const char      *name; /* general.architecture */
    ls_rope_order    rope;
    bool             layer_norm; /* norms of the residual stream: LayerNorm, else RMSNorm */
    bool             gelu;       /* needs the table of GELU */
    unsigned         keys;       /* ls_key */
    int32_t          swa_period; /* every such layer has no window; LS_KEY_WINDOW */
    double           swa_base;   /* RoPE's base in layers with a window; 0: the same */
    const ls_weight *globals, *weights; /* end with a row without a name */
    uint64_t         ops;        /* the taps it shows: LS_OPS_* */
    const ls_optional_op *optional; /* those of them that a file may lack; NULL: none, ends with LS_N_OPS */
    /* What follows from the other hyper-parameters, once they are read; NULL: nothing. */
    void (*derive)(ls_model_config *c);
    unsigned mini;        /* ls_mini_need: how a made-up model must be */
    int32_t  mini_layers; /* and how many layers it has at least       */
    /* One layer: T rows of the residual stream in, the same out. */
    void (*layer)(ls_session *s, const ls_layer *l, int32_t i, size_t T);
} ls_arch;

/* The architecture of that name, NULL: none. */
const ls_arch *ls_arch_find(ls_str name);
/* Architecture i in the order in which people are told of them, NULL behind the last. */
const ls_arch *ls_arch_at(size_t i);
/* All names, "llama, bitnet, ...", for messages. Returns buf. */
const char *ls_arch_names(char *buf, size_t cap);

/* Sets of taps. */
#define LS_OP_BIT(op) ((uint64_t)1 << LS_OP_##op)
#define LS_OPS_ALL                                                                                 \
    (LS_OP_BIT(EMBEDDINGS) | LS_OP_BIT(Q_PROJ) | LS_OP_BIT(K_PROJ) | LS_OP_BIT(V_PROJ) |           \
     LS_OP_BIT(ATTN_SCORES) | LS_OP_BIT(ATTN_SCORES_SOFTMAX) | LS_OP_BIT(ATTN_OUT) |               \
     LS_OP_BIT(ATTN_PROJ) | LS_OP_BIT(FFN_UP) | LS_OP_BIT(FFN_ACT) | LS_OP_BIT(FFN_DOWN) |         \
     LS_OP_BIT(LAYER_OUT) | LS_OP_BIT(FINAL_NORM) | LS_OP_BIT(LOGITS))
#define LS_OPS_ROPE  (LS_OP_BIT(Q_ROPE) | LS_OP_BIT(K_ROPE))
#define LS_OPS_LLAMA                                                                               \
    (LS_OPS_ALL | LS_OPS_ROPE | LS_OP_BIT(ATTN_NORM) | LS_OP_BIT(RESIDUAL) | LS_OP_BIT(FFN_NORM) | \
     LS_OP_BIT(FFN_GATE))
#define LS_OPS_QK_NORM    (LS_OP_BIT(Q_NORM) | LS_OP_BIT(K_NORM))
#define LS_OPS_SUB_NORMS  (LS_OP_BIT(ATTN_SUB_NORM) | LS_OP_BIT(FFN_SUB_NORM))
#define LS_OPS_POST_NORMS (LS_OP_BIT(ATTN_POST_NORM) | LS_OP_BIT(FFN_POST_NORM))
#define LS_OPS_MOE                                                                                 \
    (LS_OP_BIT(FFN_ROUTER) | LS_OP_BIT(FFN_MOE_TOPK) | LS_OP_BIT(FFN_MOE_WEIGHTS) |                \
     LS_OP_BIT(FFN_MOE_OUT))

/* Rows of weight tables. */
#define LS_MATRIX(name, member, rows, cols, when)                                                  \
    {name ".weight", offsetof(ls_layer, member), LS_W_MATRIX, rows, cols, when, LS_DIM_1, LS_DIM_1}
#define LS_VECTOR(name, member, cols, when)                                                        \
    {name, offsetof(ls_layer, member), LS_W_VECTOR, LS_DIM_1, cols, when, LS_DIM_1, LS_DIM_1}
#define LS_VECTORS(name, member, rows, cols, when)                                                 \
    {name, offsetof(ls_layer, member), LS_W_VECTOR, rows, cols, when, LS_DIM_1, LS_DIM_1}
#define LS_EXPERTS(name, member, rows, cols)                                                       \
    {name ".weight", offsetof(ls_layer, member), LS_W_EXPERTS, rows, cols, LS_MOE, LS_DIM_1,       \
     LS_DIM_1}
#define LS_GLOBAL(name, member, kind, rows, cols, when)                                            \
    {name, offsetof(struct ls_model, member), kind, rows, cols, when, LS_DIM_1, LS_DIM_1}
#define LS_WEIGHTS_END                                                                             \
    {NULL, 0, LS_W_MATRIX, LS_DIM_1, LS_DIM_1, LS_NEEDED, LS_DIM_1, LS_DIM_1}

/* Parts that many tables share. */
#define LS_GLOBALS                                                                                 \
    LS_GLOBAL("token_embd.weight", token_embd, LS_W_MATRIX, LS_DIM_V, LS_DIM_D, LS_NEEDED),        \
        LS_GLOBAL("output_norm.weight", output_norm.w, LS_W_VECTOR, LS_DIM_1, LS_DIM_D,            \
                  LS_NEEDED),                                                                      \
        LS_GLOBAL("output.weight", output, LS_W_MATRIX, LS_DIM_V, LS_DIM_D, LS_OPTIONAL)
#define LS_QKV_MATRICES                                                                            \
    LS_MATRIX("attn_q", q, LS_DIM_Q, LS_DIM_D, LS_NEEDED),                                         \
        LS_MATRIX("attn_k", k, LS_DIM_KV, LS_DIM_D, LS_NEEDED),                                    \
        LS_MATRIX("attn_v", v, LS_DIM_KV, LS_DIM_D, LS_NEEDED)
#define LS_SEPARATE_QKV                                                                            \
    LS_QKV_MATRICES, LS_VECTOR("attn_q.bias", q_b, LS_DIM_Q, LS_OPTIONAL),                         \
        LS_VECTOR("attn_k.bias", k_b, LS_DIM_KV, LS_OPTIONAL),                                     \
        LS_VECTOR("attn_v.bias", v_b, LS_DIM_KV, LS_OPTIONAL)
#define LS_FUSED_ROWS(name, member, rows, cols, of, from)                                          \
    {name ".weight", offsetof(ls_layer, member), LS_W_MATRIX, rows, cols, LS_NEEDED, of, from}
#define LS_FUSED_BIAS(member, rows, from)                                                          \
    {"attn_qkv.bias", offsetof(ls_layer, member), LS_W_VECTOR, LS_DIM_1, rows, LS_OPTIONAL,        \
     LS_DIM_QKV, from}
#define LS_FUSED_QKV_MATRICES                                                                      \
    LS_FUSED_ROWS("attn_qkv", q, LS_DIM_Q, LS_DIM_D, LS_DIM_QKV, LS_DIM_1),                        \
        LS_FUSED_ROWS("attn_qkv", k, LS_DIM_KV, LS_DIM_D, LS_DIM_QKV, LS_DIM_Q),                   \
        LS_FUSED_ROWS("attn_qkv", v, LS_DIM_KV, LS_DIM_D, LS_DIM_QKV, LS_DIM_QK)
#define LS_FUSED_QKV                                                                               \
    LS_FUSED_QKV_MATRICES, LS_FUSED_BIAS(q_b, LS_DIM_Q, LS_DIM_1),                                 \
        LS_FUSED_BIAS(k_b, LS_DIM_KV, LS_DIM_Q),           \
        LS_FUSED_BIAS(v_b, LS_DIM_KV, LS_DIM_QK)
#define LS_GATED_FFN                                                                               \
    LS_MATRIX("ffn_gate", gate, LS_DIM_F, LS_DIM_D, LS_DENSE),                                     \
        LS_MATRIX("ffn_up", up, LS_DIM_F, LS_DIM_D, LS_DENSE),                                     \
        LS_MATRIX("ffn_down", down, LS_DIM_D, LS_DIM_F, LS_DENSE)
#define LS_EXPERT_FFN                                                                              \
    LS_MATRIX("ffn_gate_inp", router, LS_DIM_E, LS_DIM_D, LS_MOE),                                 \
        LS_EXPERTS("ffn_gate_exps", gate_exps, LS_DIM_FE, LS_DIM_D),                               \
        LS_EXPERTS("ffn_up_exps", up_exps, LS_DIM_FE, LS_DIM_D),                                   \
        LS_EXPERTS("ffn_down_exps", down_exps, LS_DIM_D, LS_DIM_FE)

#endif
