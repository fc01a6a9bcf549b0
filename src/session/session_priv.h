// SPDX-License-Identifier: MIT
/* session_priv.h - one timeline: KV cache, scratch, threads. Private to session/.
 *
 * Letters: T tokens at work, P positions in the cache, D width, H query heads, G KV heads,
 * K head width, F feed-forward width, V vocabulary. Row-major, last index fastest.
 */
#ifndef LS_SESSION_SESSION_PRIV_H
#define LS_SESSION_SESSION_PRIV_H

#include "base/pool.h"
#include "dtype/dtype.h"
#include "kernel/kernel.h"
#include "model/arch.h"

enum {
    LS_ACT_APART = 64,   /* bytes that a row of activations may be moved on by */
    LS_MAX_STRIPES = 64, /* 4 * lanes at most */
    LS_ATTN_ROWS = 12,   /* queries of one KV head that a thread works on at once */
    LS_ROWS_BESIDE = 64, /* weight rows that are claimed at a time, at most */
    LS_ROWS_PACKED = 32, /* and that are put into strips for one product    */
};

struct ls_session {
    const ls_model    *model;
    ls_session_options opt; /* defaults resolved */
    ls_kernels         k;
    ls_pool           *pool;
    bool               has_taps;
    bool               last_only; /* of the last layer one row is enough */
    size_t             work_rows; /* tokens that pass through the layers together, at most: the rows of
                                   * the buffers for activations; less than a batch may have */

    int32_t pos;      /* tokens in the cache                                       */
    int32_t base;     /* position of the first token at work                       */
    size_t  n_rows;   /* rows in `hidden`, of the last batch                       */
    size_t  row_skip; /* tokens of the last eval call before those                 */

    void *k_cache, *v_cache; /* [L][n_ctx][G*K], elements of opt.kv_type, values in BF16 [L][G*K][n_ctx];
                              * own sums: in strips of 16, [L][G][n_ctx/16][K][16] and
                              * [L][G][K/16][ls_v_positions][16] */
    void *cache_memory[2];   /* what they lie in, to be freed                      */
    float *x, *norm, *norm2; /* [T][D] residual stream; normed                     */
    float *gate, *up;        /* [T][F] or of experts                               */
    float *q, *kv, *att;     /* [T][H*K]  [2][T][G*K] keys, values  [T][H*K]; in the memory of
                              * gate: a layer is done with its attention before that is made */
    float *proj, *ffn;       /* [T][D] outputs of a block before they are added    */
    float *router;           /* [T][E] logits of the experts; behind them [T][used] weights, numbers */
    int32_t *chosen;         /* [T][used] experts of each token                    */
    float *in_experts[4];    /* [used][T][F], the last one of D: their taps for who watches */
    size_t expert_batch;     /* tokens of this batch that the expert at work has; 0: no experts */
    float *gelu;             /* [65536] GELU of every F16, for those that need it  */
    void  *act;              /* [T] activation rows                                */
    float *codes;            /* [T][max(D, H*K, F)] LS_ROUND_I8 only: int8 codes   */
    float *code_scale;       /* [T] and the divisors of their rows                 */
    float *sincos[2];        /* [T][rope_dims/2][2]; [1]: of layers with a window  */
    float *rope_div;         /* [rope_dims/2] divisors of the angles               */
    float *rope_mix;         /* [rope_dims/2] YaRN: share of the unscaled angle    */
    float  rope_step[2];     /* factor from the angle of one pair to the next      */
    float  rope_mscale[2];   /* multiplies cosine and sine (YaRN)                  */
    size_t attn_rows;        /* own sums: queries at work, LS_ATTN_ROWS a thread or H */
    float *scores;           /* [2 * threads or attn_rows][n_ctx]                  */
    float *queries;          /* [attn_rows][K] rounded                             */
    float *mixed;            /* [attn_rows][K] sums of values                      */
    ls_span *spans;          /* [1 + threads][attn_rows] positions that a query sees, of a block */
    float *chains;           /* [n_ctx/64][H][K] sums of 64 values, where few elements keep
                              * the threads waiting; else NULL                     */
    float *shown[2];         /* [H][T][n_ctx] scores and weights for who watches   */
    float *stripes;          /* [threads][LS_MAX_STRIPES][K] sums of values        */
    float *beside;           /* [threads][T][LS_ROWS_BESIDE] a part of up          */
    uint8_t *panel;          /* [threads][panel_bytes] strips at work                */
    size_t panel_bytes;
    uint8_t *strips;         /* [threads][strips_bytes] rows of matrices that are not in strips */
    size_t strips_bytes;
    uint16_t *half;          /* [threads][half_row] rounded queries, weights, blocks of Q8_0 */
    size_t half_row;
    float *hidden;           /* [n_batch][D] after the final norm                  */
    float *logits;           /* [logit_rows][V]                                    */
    size_t logit_rows, logit_first, logit_n; /* rows held: [first, first + n)      */
};

/* Bytes of a plain element of the cache. */
static inline size_t ls_kv_element(const ls_session *s)
{
    return s->opt.kv_type == LS_DTYPE_F32 ? 4 : 2;
}
/* Positions that there is room for in a strip of values: some more, so that strips do not all begin
 * in one set of the processor's cache. Sums as the reference adds them take BF16 in whole steps. */
static inline size_t ls_v_positions(const ls_session *s)
{
    size_t n = ((size_t)s->opt.n_ctx + 15) / 16 * 16;
    if (s->opt.follow) return (n + 63) / 64 * 64;
    return n + (s->opt.kv_type == LS_DTYPE_Q8_0 ? LS_CHAIN_GROUP : 2);
}

/* forward.c: evaluate T <= work_rows tokens at position s->base; fills rows of `hidden`: T, or 1 with
 * last_only, which is returned. */
size_t ls_forward(ls_session *s, const int32_t *tokens, size_t T, float *hidden);
/* Once the cache has the keys and values of layer i: the rows that this layer goes on with. Where
 * that is the last one alone, it becomes row 0 of q, x and norm, at position s->base. */
size_t ls_last_rows(ls_session *s, int32_t i, size_t T);
/* One product of a group: y[t][w->n_rows] = W . x[t], rows of y ldy floats apart. */
typedef struct ls_product {
    const ls_matrix *w;
    float           *y;
    size_t           ldy;
} ls_product;
/* Rows that products take, one behind the other: x, or y, which becomes their norm. The thread that
 * rounds a row of y norms it just before, while it is in the cache. */
typedef struct ls_input {
    const float   *x;
    const ls_norm *norm; /* NULL: x are the rows           */
    float         *y;    /* may be x                       */
} ls_input;
/* ops.c: row t, of n floats, normed where that is asked for. */
const float *ls_make_row(ls_session *s, const ls_input *x, size_t n, size_t t);
/* The same rows once they are made. */
static inline ls_input ls_input_made(const ls_input *x)
{
    return (ls_input){.x = x->norm ? x->y : x->x};
}
/* linear.c: n <= 4 products of the same T rows, rounded as each weight asks. Rows with a norm are
 * made once. layer_weight: LS_ROUND_I8 applies. */
void ls_linear(ls_session *s, const ls_product *p, size_t n, ls_input x, size_t T,
               bool layer_weight);
/* What comes of elements [begin, end) of each row of y, as soon as all products have them; begin is
 * a multiple of 16. Those of the second product begin at `second`, rows ld floats apart, and are
 * gone afterwards; NULL: there is one product. Called by several threads. */
typedef struct ls_row_end {
    void (*fn)(void *ctx, size_t begin, size_t end, float *second, size_t ld);
    void *ctx;
} ls_row_end;
/* The same with one or two layer weights of as many rows each, and then `end` for every element. */
void ls_linear_end(ls_session *s, const ls_product *p, size_t n, ls_input x, size_t T,
                   const ls_row_end *end);
/* Does anybody see what the operations compute? Then each of them is done by itself. */
static inline bool ls_is_watched(const ls_session *s) { return s->has_taps || s->opt.watch.fn; }
/* Call the taps for T rows of n values (ld floats apart), and show them to who watches (ld = n). */
void ls_tap_rows(ls_session *s, ls_op op, int32_t layer, float *data, size_t ld, size_t n, size_t T);
/* ops.c: fill the table; the head's scale, bias and cap on n rows of s->logits. */
void ls_gelu_init(float *table);
void ls_finish_logits(ls_session *s, size_t n);
/* rope.c: constants once; cosines and sines of T positions from `base`. */
void ls_rope_init(ls_session *s);
void ls_rope_angles(ls_session *s, size_t T);
/* Turn a head's query or key by the cosines and sines of its position. */
void ls_rotate(const ls_session *s, float *x, const float *sincos);
/* Does layer i have a sliding window? */
bool ls_has_window(const ls_session *s, int32_t i);
/* The keys and values of this batch: [T][G*K] each. */
static inline float *ls_keys(const ls_session *s) { return s->kv; }
static inline float *ls_values(const ls_session *s)
{
    const ls_model_config *c = &s->model->config;
    return s->kv + s->work_rows * (size_t)c->n_kv_heads * (size_t)c->head_dim;
}

#endif
