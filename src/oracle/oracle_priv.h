// SPDX-License-Identifier: MIT
/* oracle_priv.h - the oracle's state: semantics, weights by name, and one timeline in double.
 *
 * Letters as in model.h; T tokens of this evaluation, row-major, last index fastest.
 */
#ifndef LS_ORACLE_ORACLE_PRIV_H
#define LS_ORACLE_ORACLE_PRIV_H

#include "base/pool.h"
#include "engine/engine_ops.h"
#include "lockstep/oracle.h"

/* A matrix in the file: rows [from, from + rows) of t, n wide; t NULL: there is none. */
typedef struct matrix {
    const ls_tensor *t;
    size_t           from, rows, n;
} matrix;

/* matrix name in a layer; those of experts are rows of all experts, one after the other */
#define LS_ORACLE_MATRICES(X)                                                                      \
    X(q, "attn_q")                                                                                 \
    X(k, "attn_k")                                                                                 \
    X(v, "attn_v")                                                                                 \
    X(o, "attn_output")                                                                            \
    X(gate, "ffn_gate")                                                                            \
    X(up, "ffn_up")                                                                                \
    X(down, "ffn_down")                                                                            \
    X(router, "ffn_gate_inp")                                                                      \
    X(gate_exps, "ffn_gate_exps")                                                                  \
    X(up_exps, "ffn_up_exps")                                                                      \
    X(down_exps, "ffn_down_exps")                                                                  \
    X(router_shared, "ffn_gate_inp_shexp")                                                         \
    X(gate_shared, "ffn_gate_shexp")                                                               \
    X(up_shared, "ffn_up_shexp")                                                                   \
    X(down_shared, "ffn_down_shexp")

typedef struct layer {
#define FIELD(name, tensor) matrix name;
    LS_ORACLE_MATRICES(FIELD)
#undef FIELD
} layer;

typedef struct oracle {
    ls_engine              base; /* first: the public handle */
    ls_model              *model;
    const ls_model_config *c;
    ls_tokenizer          *tokenizer;
    ls_pool               *pool;
    ls_semantics           s;
    ls_oracle_options      opt;
    ls_faults              faults;

    layer *layers; /* [L] */
    matrix embedding, positions, output;

    int32_t  pos;  /* tokens in the cache                  */
    int32_t  at;   /* position of row 0 of this evaluation */
    size_t   T;
    double **keys, **values; /* [L][cap][G*K] */
    size_t   kv_cap;

    double *x, *norm, *norm2, *proj, *ffn; /* [T][D]                          */
    double *q, *k, *v, *att;               /* [T][H*K] [T][G*K] [T][G*K] [T][H*K] */
    double *gate, *up;                     /* [T][widest F]                   */
    double *rounded;                       /* [T][widest]                     */
    double *scores;                        /* [H][T][at + T]                  */
    double *router;                        /* [T][E]                          */
    double *chosen, *shares;               /* [T][used] experts, best first; their weights */
    double *inside[4];                     /* [used][T][widest F or D] their taps, for who watches */
    double *hidden;                        /* [T][D] after the final norm     */
    void   *scratch;                       /* owned: all of the above         */
    size_t  scratch_cap;

    float  *row;  /* [threads][widest] a decoded row of weights           */
    float  *shown; /* [widest tap] a tap as floats                        */
    size_t  shown_cap;
    size_t  widest;
    double *wide; /* the longest vector of weights, two of width D at least */
    double *logits; /* [logit_rows][V], rows [logit_first, + logit_n) of T */
    float  *logits_f;
    size_t  logit_rows, logit_first, logit_n, n_rows;
} oracle;

/* weights.c */
ls_status ls_oracle_bind(oracle *o, ls_error *err);
/* A vector of layer l (-1: of the model) into `out`, as long as the tensor is; false: there is none.
 * `name` in full: "attn_norm.weight". */
bool ls_oracle_vector(const oracle *o, int32_t l, const char *name, double *out);
bool ls_oracle_has(const oracle *o, int32_t l, const char *name);

/* round.c: y = x as the form has it; y may be x. For a weight of type dtype. */
void ls_oracle_round(double *y, const double *x, size_t n, ls_sem_round form, int dtype,
                     bool half_away);
double ls_oracle_f16(double x);
void   ls_oracle_keep(double *x, size_t n, ls_sem_kv kv);

/* functions.c: norms, activations, rotation, softmax, each on one row */
void   ls_oracle_rms_norm(double *y, const double *x, const double *w, size_t n, double eps);
void   ls_oracle_layer_norm(double *y, const double *x, const double *w, const double *b, size_t n,
                            double eps);
double ls_oracle_act(ls_sem_act act, double gate, double up);
void   ls_oracle_softmax(double *x, size_t n, double sink);
/* Rotate heads of K by their position; div [dims / 2] or NULL. */
void ls_oracle_rotate(double *x, size_t heads, size_t K, const ls_semantics *s, bool window,
                      const double *div, int32_t pos);

/* forward.c: T tokens at o->at; fills o->hidden. */
void ls_oracle_forward(oracle *o, const int32_t *tokens);
/* Rows [first, first + n) of the logits. */
void ls_oracle_head(oracle *o, size_t first, size_t n);

#endif
