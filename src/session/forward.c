// SPDX-License-Identifier: MIT
/* forward.c - the decoder: tokens to hidden states, one batch at a time.
 *
 * The graph of LLaMA (Touvron et al. 2023, section 2.2): pre-norm with RMSNorm, RoPE, gated
 * feed-forward. BitNet b1.58 adds a norm before each output projection ("sub-norms"; Ma et al.
 * 2024, section 2). Every value of a token depends on the token's own row and on the cache
 * alone, so that neither the cut into batches nor the number of threads can change a bit.
 */
#include "session/session_priv.h"

void ls_tap_rows(ls_session *s, ls_op op, int32_t layer, float *data, size_t ld, size_t n, size_t T)
{
    if (!s->has_taps) return;
    for (size_t t = 0; t < T; t++) {
        ls_tap tap = {op, layer, s->base + (int32_t)t, -1, data + t * ld, n};
        for (size_t i = 0; i < LS_MAX_TAPS; i++) {
            if (s->opt.taps[i].fn) s->opt.taps[i].fn(s->opt.taps[i].ctx, &tap);
        }
    }
}

/* ---- row operations: each token's row on its own, shared between threads ---- */

typedef struct row_job {
    ls_session  *s;
    float       *y;
    const float *a, *b; /* inputs; b is the weight vector of a norm */
    size_t       n;     /* floats per row, rows are contiguous      */
} row_job;

static void norm_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const row_job *j = ctx;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        j->s->k.rmsnorm(j->y + t * j->n, j->a + t * j->n, j->b, j->n, j->s->model->config.norm_eps);
    }
}

static void act_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const row_job    *j = ctx;
    const ls_kernels *k = &j->s->k;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        float       *y = j->y + t * j->n;
        const float *gate = j->a + t * j->n, *up = j->b + t * j->n;
        if (j->s->model->config.act == LS_FFN_RELU2) {
            k->relu2_mul(y, gate, up, j->n);
        } else {
            k->silu_mul(y, gate, up, j->n, j->s->opt.lanes);
        }
    }
}

static void add_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const row_job *j = ctx;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        j->s->k.add(j->y + t * j->n, j->a + t * j->n, j->b + t * j->n, j->n);
    }
}

/* y = RMSNorm(x) * w over T rows of n, then its tap. y may be x. */
static void norm(ls_session *s, ls_op op, int32_t layer, float *y, const float *x, const float *w,
                 size_t n, size_t T)
{
    row_job j = {s, y, x, w, n};
    ls_pool_run(s->pool, norm_rows, &j, T, 1);
    ls_tap_rows(s, op, layer, y, n, n, T);
}

/* The residual stream takes in s->proj. */
static void add_residual(ls_session *s, ls_op op, int32_t layer, size_t T)
{
    size_t  D = (size_t)s->model->config.n_embd;
    row_job j = {s, s->x, s->x, s->proj, D};
    ls_pool_run(s->pool, add_rows, &j, T, 1);
    ls_tap_rows(s, op, layer, s->x, D, D, T);
}

/* ---- blocks ---- */

static void embed(ls_session *s, const int32_t *tokens, size_t T)
{
    const ls_matrix *w = &s->model->token_embd;
    size_t           D = w->n;
    for (size_t t = 0; t < T; t++) {
        const uint8_t *row = (const uint8_t *)w->data + (size_t)tokens[t] * w->row_bytes;
        ls_dtype_decode(w->dtype, s->x + t * D, row, D, w->scale);
    }
    ls_tap_rows(s, LS_OP_EMBEDDINGS, -1, s->x, D, D, T);
}

static void attention_block(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    const ls_model_config *c = &s->model->config;
    size_t                 D = (size_t)c->n_embd, H = (size_t)c->n_heads, G = (size_t)c->n_kv_heads,
           HK = H * (size_t)c->head_dim, GK = G * (size_t)c->head_dim;
    float           *keys = s->kv, *values = s->kv + (size_t)s->opt.n_batch * GK;
    const ls_product qkv[] = {{&l->q, s->q, HK}, {&l->k, keys, GK}, {&l->v, values, GK}};
    const ls_product out[] = {{&l->o, s->proj, D}};

    norm(s, LS_OP_ATTN_NORM, i, s->norm, s->x, l->attn_norm, D, T);
    ls_linear(s, qkv, 3, s->norm, D, T, true);
    ls_tap_rows(s, LS_OP_Q_PROJ, i, s->q, HK, HK, T);
    ls_tap_rows(s, LS_OP_K_PROJ, i, keys, GK, GK, T);
    ls_tap_rows(s, LS_OP_V_PROJ, i, values, GK, GK, T);
    ls_rope_rotate(s, s->q, H, T);
    ls_rope_rotate(s, keys, G, T);
    ls_tap_rows(s, LS_OP_Q_ROPE, i, s->q, HK, HK, T);
    ls_tap_rows(s, LS_OP_K_ROPE, i, keys, GK, GK, T);
    ls_cache_store(s, i, T);
    ls_attention(s, i, T);
    ls_tap_rows(s, LS_OP_ATTN_OUT, i, s->att, HK, HK, T);
    if (c->sub_norms) norm(s, LS_OP_ATTN_SUB_NORM, i, s->att, s->att, l->attn_sub_norm, HK, T);
    ls_linear(s, out, 1, s->att, HK, T, true);
    ls_tap_rows(s, LS_OP_ATTN_PROJ, i, s->proj, D, D, T);
    add_residual(s, LS_OP_RESIDUAL, i, T);
}

static void ffn_block(ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    const ls_model_config *c = &s->model->config;
    size_t                 D = (size_t)c->n_embd, F = (size_t)c->n_ff;
    const ls_product       gate_up[] = {{&l->gate, s->gate, F}, {&l->up, s->up, F}};
    const ls_product       down[] = {{&l->down, s->proj, D}};
    row_job                act = {s, s->gate, s->gate, s->up, F};

    norm(s, LS_OP_FFN_NORM, i, s->norm, s->x, l->ffn_norm, D, T);
    ls_linear(s, gate_up, 2, s->norm, D, T, true);
    ls_tap_rows(s, LS_OP_FFN_GATE, i, s->gate, F, F, T);
    ls_tap_rows(s, LS_OP_FFN_UP, i, s->up, F, F, T);
    ls_pool_run(s->pool, act_rows, &act, T, 1);
    ls_tap_rows(s, LS_OP_FFN_ACT, i, s->gate, F, F, T);
    if (c->sub_norms) norm(s, LS_OP_FFN_SUB_NORM, i, s->gate, s->gate, l->ffn_sub_norm, F, T);
    ls_linear(s, down, 1, s->gate, F, T, true);
    ls_tap_rows(s, LS_OP_FFN_DOWN, i, s->proj, D, D, T);
    add_residual(s, LS_OP_LAYER_OUT, i, T);
}

void ls_forward(ls_session *s, const int32_t *tokens, size_t T)
{
    const ls_model *m = s->model;
    size_t          D = (size_t)m->config.n_embd;

    ls_rope_angles(s, T);
    embed(s, tokens, T);
    for (int32_t i = 0; i < m->config.n_layers; i++) {
        attention_block(s, &m->layers[i], i, T);
        ffn_block(s, &m->layers[i], i, T);
    }
    norm(s, LS_OP_FINAL_NORM, -1, s->hidden, s->x, m->output_norm, D, T);
}
