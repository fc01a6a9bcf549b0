// SPDX-License-Identifier: MIT
/* session_priv.h - one timeline: KV cache, scratch, threads. Private to session/.
 *
 * Letters: T tokens in this batch, P positions in the cache, D width, H query heads, G KV heads,
 * K head width, F feed-forward width, V vocabulary. Row-major, last index fastest.
 */
#ifndef LS_SESSION_SESSION_PRIV_H
#define LS_SESSION_SESSION_PRIV_H

#include "base/pool.h"
#include "dtype/dtype.h"
#include "kernel/kernel.h"
#include "model/weights.h"

enum { LS_MAX_STRIPES = 64 }; /* 4 * lanes at most */

struct ls_session {
    const ls_model    *model;
    ls_session_options opt; /* defaults resolved */
    ls_kernels         k;
    ls_pool           *pool;
    bool               has_taps;

    int32_t pos;      /* tokens in the cache                                       */
    int32_t base;     /* position of row 0 of the current batch                    */
    size_t  n_rows;   /* T of the last batch: rows in `hidden`                     */
    size_t  row_skip; /* tokens of the last eval call before that batch            */

    void *k_cache, *v_cache; /* [L][n_ctx][G*K], elements of opt.kv_type           */
    float *x, *norm;         /* [T][D] residual stream; [T][D or H*K or F] normed  */
    float *q, *kv, *att;     /* [T][H*K]  [2][T][G*K] keys, values  [T][H*K]       */
    float *gate, *up;        /* [T][F]                                             */
    float *proj;             /* [T][D] output of a block before it is added        */
    void  *act;              /* [T] activation rows                                */
    float *codes;            /* [T][max(D, H*K, F)] LS_ROUND_I8 only: int8 codes   */
    float *code_scale;       /* [T] and the divisors of their rows                 */
    float *sincos;           /* [T][rope_dims/2][2]                                */
    float *rope_div;         /* [rope_dims/2] divisors of the angles               */
    float *rope_mix;         /* [rope_dims/2] YaRN: share of the unscaled angle    */
    float  rope_step;        /* factor from the angle of one pair to the next      */
    float  rope_mscale;      /* multiplies cosine and sine (YaRN)                  */
    float *scores;           /* [threads][n_ctx]                                   */
    float *stripes;          /* [threads][LS_MAX_STRIPES][K] sums of values        */
    uint16_t *half;          /* [threads][max(n_ctx, K)] rounded queries, weights  */
    float *hidden;           /* [T][D] after the final norm                        */
    float *logits;           /* [logit_rows][V]                                    */
    size_t logit_rows, logit_first, logit_n; /* rows held: [first, first + n)      */
};

/* forward.c: evaluate T <= n_batch tokens at position s->base; fills s->hidden. */
void ls_forward(ls_session *s, const int32_t *tokens, size_t T);
/* One product of a group: y[t][w->n_rows] = W . x[t], rows of y ldy floats apart. */
typedef struct ls_product {
    const ls_matrix *w;
    float           *y;
    size_t           ldy;
} ls_product;
/* linear.c: n products of the same T rows of x (ldx floats apart), rounded as each weight asks.
 * layer_weight: LS_ROUND_I8 applies. */
void ls_linear(ls_session *s, const ls_product *p, size_t n, const float *x, size_t ldx, size_t T,
               bool layer_weight);
/* Call the taps for T rows of n values (ld floats apart). */
void ls_tap_rows(ls_session *s, ls_op op, int32_t layer, float *data, size_t ld, size_t n, size_t T);
/* attention.c: s->att = attention of s->q over the cache of `layer` (which holds this batch). */
void ls_attention(ls_session *s, int32_t layer, size_t T);
/* Store keys and values of this batch in the cache. */
void ls_cache_store(ls_session *s, int32_t layer, size_t T);
/* rope.c: constants once; cosines and sines of T positions from `base`; rotate all heads. */
void ls_rope_init(ls_session *s);
void ls_rope_angles(ls_session *s, size_t T);
void ls_rope_rotate(ls_session *s, float *x, size_t n_heads, size_t T);

#endif
