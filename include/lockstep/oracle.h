// SPDX-License-Identifier: MIT
/* oracle.h - a model evaluated in double precision, plainly, to say who is right.
 *
 * The same weights as the engines have, decoded exactly; every sum in double and in order. It shares
 * no kernel and no graph with the native engine: a fault in those cannot hide here. What a model
 * means - its activation, its RoPE, its roundings - is one struct, ls_semantics, that can be changed
 * before it is evaluated: so "which meaning makes the other engine agree" becomes a question that
 * can be computed.
 */
#ifndef LOCKSTEP_ORACLE_H
#define LOCKSTEP_ORACLE_H

#include "lockstep/engine.h"

typedef enum ls_sem_norm { LS_SEM_RMS_NORM, LS_SEM_LAYER_NORM } ls_sem_norm;

/* Norms of queries and keys. */
typedef enum ls_sem_qk_norm {
    LS_SEM_QK_NONE,
    LS_SEM_QK_SHARED, /* RMSNorm of every head, its weights [K] shared by the heads     */
    LS_SEM_QK_HEADS,  /* LayerNorm of every head, weights [heads][K]                    */
    LS_SEM_QK_ALL,    /* RMSNorm of all heads together, weights [heads * K]             */
} ls_sem_qk_norm;

/* The rows of each head of Q and K: as they are, or in the other order that RoPE can have. */
typedef enum ls_sem_rows {
    LS_SEM_ROWS_KEPT,
    LS_SEM_ROWS_PAIRED, /* row i of the first half and row i of the second become neighbours */
    LS_SEM_ROWS_HALVED, /* the way back: neighbours go to the two halves                     */
} ls_sem_rows;

/* How attention A and feed-forward F of a layer are added to its input x. */
typedef enum ls_sem_block {
    LS_SEM_SERIAL,    /* r = x + A(x); r + F(r)                     */
    LS_SEM_FFN_FIRST, /* r = x + F(x); r + A(x)                     */
    LS_SEM_BRANCHES,  /* r = F(x) + A(x); x + r                     */
} ls_sem_block;

typedef enum ls_sem_act {
    LS_SEM_SILU,
    LS_SEM_RELU,
    LS_SEM_RELU2,      /* max(x, 0)^2                                                  */
    LS_SEM_GELU_ERF,   /* x (1 + erf(x / sqrt 2)) / 2                                  */
    LS_SEM_GELU_TANH,  /* its tanh form                                                */
    LS_SEM_GELU_F16,   /* that of x rounded to F16, rounded to F16; 0 from -10 down, x from 10 up */
    LS_SEM_GELU_QUICK, /* x sigmoid(1.702 x)                                           */
    LS_SEM_SWIGLU_OAI, /* gpt-oss: g at most 7, |u| at most 7; g sigmoid(1.702 g) (u + 1) */
    LS_SEM_N_ACTS,
} ls_sem_act;

/* What the vector in front of a matrix product is rounded to (NUMERICS.md, clause 3). */
typedef enum ls_sem_round {
    LS_SEM_BY_TYPE, /* as the weight's type asks */
    LS_SEM_EXACT,
    LS_SEM_F16,
    LS_SEM_BF16,
    LS_SEM_Q8_0,
    LS_SEM_Q8_K,
    LS_SEM_I8_ROW,
    LS_SEM_N_ROUNDS,
} ls_sem_round;

/* What keys and values are kept as; with F16 and BF16 queries and attention's weights are rounded,
 * too, with Q8_0 queries. */
typedef enum ls_sem_kv {
    LS_SEM_KV_F64, LS_SEM_KV_F32, LS_SEM_KV_F16, LS_SEM_KV_BF16, LS_SEM_KV_Q8_0,
} ls_sem_kv;

/* Divisors of RoPE's angles. */
typedef enum ls_sem_factors {
    LS_SEM_FACTORS_FILE, /* those that the file has; of two sets the one for this context */
    LS_SEM_FACTORS_NONE,
    LS_SEM_FACTORS_LONG,
    LS_SEM_FACTORS_SHORT,
} ls_sem_factors;

/* Weights that are others: w becomes factor * w + add, and each[r - row] more in row r. */
typedef enum ls_sem_part {
    LS_SEM_WEIGHTS, /* of a product, a norm, or the embeddings                                */
    LS_SEM_BIAS,    /* what is added there; of the embeddings the rows of positions. Where the
                     * model has none it is 0                                                 */
} ls_sem_part;

typedef struct ls_sem_patch {
    ls_op         op;    /* where they enter: EMBEDDINGS, Q_PROJ, ATTN_NORM, ..., LOGITS */
    int32_t       layer; /* -1: of no layer */
    ls_sem_part   part;
    size_t        row, n_rows; /* of a matrix rows (experts: of all, one after the other), of a vector
                                * elements. n_rows 0: no patch */
    size_t        col, n_cols; /* of a matrix: these columns of each row */
    double        factor, add;
    const double *each; /* borrowed; NULL: nothing */
    bool          only; /* of a matrix: nobody needs its other rows, whose products are NaN */
} ls_sem_patch;
enum { LS_SEM_PATCHES = 3 };

/* What a model computes. [1] of a pair holds for layers with a sliding window. */
typedef struct ls_semantics {
    /* the residual stream */
    ls_sem_block block;
    ls_sem_norm  norm;
    double       norm_eps;
    bool         pre_norms, sub_norms, post_norms;
    const char  *ffn_norm; /* tensor of the norm before the feed-forward block; static */
    double       embedding_scale, residual_scale;
    /* attention */
    ls_sem_qk_norm qk_norm;
    ls_sem_rows    qk_rows;
    ls_rope_order  rope_order;
    int32_t        rope_dims;
    double         rope_base[2], rope_scale[2]; /* positions are multiplied by the scale */
    bool           rope_yarn[2];
    double         rope_attn_factor[2]; /* multiplies cosine and sine, beside YaRN's own */
    int32_t        rope_ctx_orig;
    ls_sem_factors rope_factors;
    int32_t        rope_skip; /* every such layer is not rotated; 0: all are */
    double         attn_scale, attn_softcap; /* softcap 0: none */
    bool           scale_queries; /* before they are rounded for the cache, else their products */
    int32_t        window, window_period; /* 0: none; every such layer has none */
    bool           sinks;
    ls_sem_kv      kv;
    /* feed-forward */
    ls_sem_act act;
    bool       gated;
    bool       experts_softmax_chosen; /* weights: softmax of the chosen logits, else of all */
    bool       experts_normalise;      /* the chosen weights add up to 1                     */
    bool       experts_shared;
    /* the head */
    bool   tied_output; /* token_embd serves as output matrix */
    double logit_scale, final_softcap;
    /* rounding of activations */
    ls_sem_round round, head_round; /* in layers; before the output matrix */
    bool         half_away;         /* halves away from zero, else to even */
    ls_sem_patch patch[LS_SEM_PATCHES];
} ls_semantics;

/* The model's own. Its cache is F32. Errors: UNSUPPORTED (an architecture without a row). */
LS_API ls_status ls_oracle_semantics(ls_semantics *out, const ls_model *m, ls_error *err);

/* As ls_tap, in double: data may be changed, and later operations see the change. */
typedef struct ls_tap64 {
    ls_op   op;
    int32_t layer, pos, head;
    double *data; /* [n] */
    size_t  n;
} ls_tap64;
/* Called for every row of every tap, in the order of evaluation, by the thread that evaluates. */
typedef void ls_tap64_fn(void *ctx, const ls_tap64 *tap);

/* Whether the taps replace every value of this operation, so that it need not be computed. The answer
 * stays the same from one reset to the next. */
typedef bool ls_given_fn(void *ctx, ls_op op, int32_t layer);

typedef struct ls_oracle_options {
    ls_engine_options   base; /* as for the native engine; tier, lanes, follow do not matter. Without
                               * semantics, kv_type and rounding hold */
    const ls_semantics *semantics; /* NULL: the model's; copied */
    ls_tap64_fn        *tap;       /* NULL: none; called before base's faults and tap */
    ls_given_fn        *given;     /* NULL: nothing is given. Values are NaN until a tap sets them */
    void               *ctx;       /* of both; borrowed until close */
} ls_oracle_options;

/* The oracle as an engine. Errors: as ls_engine_open_native. */
LS_API ls_status ls_engine_open_oracle(ls_engine **out, const ls_oracle_options *opt, ls_error *err);

/* What follows takes engines opened by ls_engine_open_oracle, no others. */

/* Other semantics from the next evaluation on; copied. */
LS_API void ls_oracle_set_semantics(ls_engine *e, const ls_semantics *s);
LS_API const ls_semantics *ls_oracle_get_semantics(const ls_engine *e);
LS_API const ls_model     *ls_oracle_model(const ls_engine *e);
/* As ls_engine_logits, in double. */
LS_API ls_status ls_oracle_logits(ls_engine *e, size_t i, const double **row, ls_error *err);

/* The weights that enter an operation: rows [from, from + rows) of t, cols wide; of a vector the
 * elements, cols 1. t is borrowed from the model; NULL: a bias that the operation could have. */
typedef struct ls_oracle_part {
    const ls_tensor *t;
    size_t           from, rows, cols;
    size_t           expert; /* rows of one expert; 0: they are of no expert */
    char             name[96]; /* of the tensor; "" where there is none */
} ls_oracle_part;

/* False where the operation has no such part. */
LS_API bool ls_oracle_weights(const ls_engine *e, ls_op op, int32_t layer, ls_sem_part part,
                              ls_oracle_part *out);
/* One of these weights, decoded. NaN where memory runs out. */
LS_API double ls_oracle_weight(const ls_oracle_part *part, size_t row, size_t col);

#endif
