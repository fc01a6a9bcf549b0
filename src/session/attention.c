// SPDX-License-Identifier: MIT
/* attention.c - causal attention with grouped queries, and its sums as the reference adds.
 *
 * Softmax(Q K^T / sqrt(K)) V, Vaswani et al. 2017, section 3.2.1; grouped heads, Ainslie et al.
 * 2023. One work item is one head of one token, so that threads never share a sum. With an F16
 * cache queries and weights are rounded to F16 as well, as the reference rounds them
 * (NUMERICS.md, clauses 7 and 9). The engine's own order of sums is in attention_own.c.
 */
#include <math.h>
#include <string.h>

#include "session/attention.h"

typedef ls_attn_job job;

enum { BF16_STEP = 64 }; /* elements that every order of BF16 takes whole steps of */

static size_t kv_row(const ls_session *s)
{
    return (size_t)s->model->config.n_kv_heads * (size_t)s->model->config.head_dim;
}

/* Values in BF16: the positions of an element lie side by side, as in the reference. The rest of a
 * step is zeroed: it is multiplied by 0. */
static void store_across(ls_session *s, int32_t layer, size_t p, const float *v)
{
    size_t    n = kv_row(s), room = ls_v_positions(s);
    uint16_t *to = (uint16_t *)s->v_cache + (size_t)layer * n * room;
    for (size_t e = 0; e < n; e++, to += room) {
        to[p] = ls_f32_to_bf16(v[e]);
        for (size_t z = p + 1; z % BF16_STEP; z++) to[z] = 0;
    }
}

static void cache_store(ls_session *s, int32_t layer, size_t T)
{
    size_t n = kv_row(s), at = ((size_t)layer * (size_t)s->opt.n_ctx + (size_t)s->base) * n;

    for (size_t t = 0; t < T; t++, at += n) {
        const float *k = ls_keys(s) + t * n, *v = ls_values(s) + t * n;
        if (s->opt.kv_type == LS_DTYPE_BF16) {
            s->k.act_bf16((uint16_t *)s->k_cache + at, k, n);
            store_across(s, layer, (size_t)s->base + t, v);
        } else if (s->opt.kv_type == LS_DTYPE_F16) {
            s->k.act_f16((uint16_t *)s->k_cache + at, k, n);
            s->k.act_f16((uint16_t *)s->v_cache + at, v, n);
        } else {
            memcpy((float *)s->k_cache + at, k, n * sizeof(float));
            memcpy((float *)s->v_cache + at, v, n * sizeof(float));
        }
    }
}

/* Keep a row for who watches: [head][t], as long as the cache is full, hidden positions 0. */
static void show_scores(const job *j, float *shown, size_t t, size_t head, const float *scores,
                        size_t n)
{
    size_t n_kv = (size_t)j->s->base + j->T;
    float *row = shown + (head * j->T + t) * n_kv;
    for (size_t p = 0; p < n_kv; p++) row[p] = p < n && scores[p] != -INFINITY ? scores[p] : 0.0f;
}

void ls_attn_tap(const ls_attn_job *j, ls_op op, size_t t, size_t head, float *scores, size_t n)
{
    ls_session *s = j->s;
    ls_tap      tap = {op, j->layer, s->base + (int32_t)t, (int32_t)head, scores, n, j->T == 1};
    for (size_t i = 0; s->has_taps && i < LS_MAX_TAPS; i++) {
        if (s->opt.taps[i].fn) s->opt.taps[i].fn(s->opt.taps[i].ctx, &tap);
    }
    if (s->opt.watch.fn) show_scores(j, s->shown[op != LS_OP_ATTN_SCORES], t, head, scores, n);
}

static void weights_f32(const job *j, float *scores, const float *q, size_t at, size_t n)
{
    const ls_session *s = j->s;
    size_t            K = (size_t)s->model->config.head_dim, ld = kv_row(s);
    const float      *k = (const float *)s->k_cache + at;
    for (size_t p = 0; p < n; p++) scores[p] = s->k.dot_f32(q, k + p * ld, K, s->opt.lanes);
}

static void weights_f16(const job *j, float *scores, const float *q, size_t at, size_t n,
                        uint16_t *q16)
{
    const ls_session *s = j->s;
    size_t            K = (size_t)s->model->config.head_dim, ld = kv_row(s);
    const uint16_t   *k = (const uint16_t *)s->k_cache + at;
    ls_matmul         m = {.y = scores,
                           .ldy = n,
                           .w = k,
                           .row_bytes = ld * sizeof(*k),
                           .n_rows = n,
                           .x = q16,
                           .n_cols = 1,
                           .n = K,
                           .lanes = s->opt.lanes};
    s->k.act_f16(q16, q, K);
    if (!j->wide_scores) s->k.matmul_f16(&m);
    for (size_t p = 0; p < n && j->wide_scores; p++)
        scores[p] = s->k.dot_f16_wide(q16, k + p * ld, K, s->opt.lanes);
}

/* y[r] = row r of w . x, BF16, in the order that the reference takes for this shape; `rows` is what
 * it multiplies at once. */
static void multiply_bf16(const job *j, float *y, ls_matmul *m, size_t rows)
{
    const ls_session *s = j->s;
    bool              pairs = s->opt.bf16_pairs;
    bool              vectors = j->T == 1 || m->n % (pairs ? 32 : (size_t)s->opt.lanes) || rows % 4;
    if (pairs) {
        m->lanes = vectors ? 16 : 8;
        s->k.matmul_bf16_pairs(m);
        return;
    }
    for (size_t r = 0; r < m->n_rows && vectors; r++) {
        const void *w = (const uint8_t *)m->w + r * m->row_bytes;
        y[r] = s->k.dot_bf16_wide(w, m->x, m->n, s->opt.lanes);
    }
    if (!vectors) s->k.matmul_bf16(m);
}

static void weights_bf16(const job *j, float *scores, const float *q, size_t at, size_t n,
                         uint16_t *q16)
{
    const ls_session *s = j->s;
    size_t            K = (size_t)s->model->config.head_dim;
    ls_matmul         m = {.y = scores,
                           .ldy = n,
                           .w = (const uint16_t *)s->k_cache + at,
                           .row_bytes = 2 * kv_row(s),
                           .n_rows = n,
                           .x = q16,
                           .n_cols = 1,
                           .n = K,
                           .lanes = s->opt.lanes};
    s->k.act_bf16(q16, q, K);
    multiply_bf16(j, scores, &m, 4); /* the reference's cache is used in whole pages */
}

/* out[K] = weights . values of KV head g. */
static void mix_bf16(const job *j, float *out, const float *weights, size_t g, size_t n,
                     uint16_t *w16)
{
    const ls_session *s = j->s;
    size_t            K = (size_t)s->model->config.head_dim, room = ls_v_positions(s);
    size_t            whole = (n + BF16_STEP - 1) / BF16_STEP * BF16_STEP;
    ls_matmul         m = {.y = out,
                           .ldy = K,
                           .w =
                               (const uint16_t *)s->v_cache + ((size_t)j->layer * kv_row(s) + g * K) * room,
                           .row_bytes = 2 * room,
                           .n_rows = K,
                           .x = w16,
                           .n_cols = 1,
                           .n = whole,
                           .lanes = s->opt.lanes};
    s->k.act_bf16(w16, weights, n);
    memset(w16 + n, 0, (whole - n) * sizeof(*w16));
    multiply_bf16(j, out, &m, K);
}

/* Rows a and b of the stripes: a += b, for n rows of K. */
static void join(const ls_session *s, float *stripes, size_t a, size_t b, size_t n)
{
    size_t K = (size_t)s->model->config.head_dim;
    s->k.add(stripes + a * K, stripes + a * K, stripes + b * K, n * K);
}

/* The stripes as a tree, the result in stripe 0: the same trees as those of dot products. */
static void join_all(const job *j, float *stripes)
{
    const ls_session *s = j->s;
    size_t            lanes = (size_t)s->opt.lanes;
    if (j->wide_values) {
        join(s, stripes, 0, 2 * lanes, 2 * lanes);
        join(s, stripes, 0, lanes, lanes);
    }
    if (j->wide_values && lanes == 8) { /* neighbours at the end */
        join(s, stripes, 0, 4, 4);
        join(s, stripes, 0, 1, 1);
        join(s, stripes, 2, 3, 1);
        join(s, stripes, 0, 2, 1);
        return;
    }
    for (size_t h = lanes / 2; h; h /= 2) join(s, stripes, 0, h, h);
}

/* out[K] = sum over positions of weight * value: position p goes to stripe p mod their number, in
 * ascending order. Weights become those of an F16 cache. */
static void mix(const job *j, float *out, float *weights, size_t at, size_t n, float *stripes)
{
    const ls_session *s = j->s;
    size_t            K = (size_t)s->model->config.head_dim, ld = kv_row(s);
    size_t            n_stripes = (size_t)s->opt.lanes * (j->wide_values ? 4 : 1);
    if (s->opt.kv_type == LS_DTYPE_F16) {
        s->k.round_f16(weights, weights, n);
        s->k.mix_f16(&(ls_mix){.y = stripes,
                               .weights = weights,
                               .v = (const uint16_t *)s->v_cache + at,
                               .ld = ld,
                               .n = n,
                               .width = K,
                               .stripes = n_stripes});
    } else {
        const float *v = (const float *)s->v_cache + at;
        memset(stripes, 0, n_stripes * K * sizeof(float));
        for (size_t p = 0; p < n; p++) {
            s->k.axpy_f32(stripes + p % n_stripes * K, weights[p], v + p * ld, K);
        }
    }
    join_all(j, stripes);
    memcpy(out, stripes, K * sizeof(float));
}

/* Cap, scale, and take out what lies before the window. */
static void limit_scores(const job *j, float *scores, size_t n)
{
    const ls_attn *a = j->a;
    size_t         hidden = ls_attn_from(j, n);
    if (a->softcap > 0) ls_softcap(j->s, scores, a->softcap, n);
    j->s->k.scale(scores, a->scale, n);
    for (size_t p = 0; p < hidden; p++) scores[p] = -INFINITY;
}

static void attend(void *ctx, size_t begin, size_t end, int thread)
{
    const job             *j = ctx;
    ls_session            *s = j->s;
    const ls_model_config *c = &s->model->config;
    size_t    H = (size_t)c->n_heads, K = (size_t)c->head_dim, P = (size_t)s->opt.n_ctx;
    size_t    per_group = H / (size_t)c->n_kv_heads;
    float    *scores = s->scores + (size_t)thread * P;
    float    *stripes = s->stripes + (size_t)thread * LS_MAX_STRIPES * K;
    uint16_t *half = s->half + (size_t)thread * s->half_row;

    for (size_t item = begin; item < end; item++) {
        size_t       t = item / H, h = item % H, n = (size_t)s->base + t + 1;
        size_t       at = (size_t)j->layer * P * kv_row(s) + h / per_group * K;
        const float *q = s->q + item * K;
        if (s->opt.kv_type == LS_DTYPE_BF16) {
            weights_bf16(j, scores, q, at, n, half);
        } else if (s->opt.kv_type == LS_DTYPE_F16) {
            weights_f16(j, scores, q, at, n, half);
        } else {
            weights_f32(j, scores, q, at, n);
        }
        limit_scores(j, scores, n);
        ls_attn_tap(j, LS_OP_ATTN_SCORES, t, h, scores, n);
        s->k.softmax(scores, n, j->a->sinks ? j->a->sinks[h] : -INFINITY, s->opt.lanes);
        ls_attn_tap(j, LS_OP_ATTN_SCORES_SOFTMAX, t, h, scores, n);
        if (s->opt.kv_type == LS_DTYPE_BF16) {
            mix_bf16(j, s->att + item * K, scores, h / per_group, n, half);
        } else {
            mix(j, s->att + item * K, scores, at, n, stripes);
        }
    }
}

ls_attn ls_attn_default(const ls_session *s, int32_t i)
{
    const ls_model_config *c = &s->model->config;
    return (ls_attn){
        .scale = c->attn_scale > 0 ? (float)c->attn_scale : 1.0f / sqrtf((float)c->head_dim),
        .softcap = (float)c->attn_softcap,
        .window = ls_has_window(s, i) ? c->n_swa : 0,
    };
}

size_t ls_attend(ls_session *s, int32_t i, const ls_attn *a, size_t T)
{
    const ls_model_config *c = &s->model->config;
    size_t                 HK = (size_t)c->n_heads * (size_t)c->head_dim;
    /* The reference multiplies matrices for two tokens and more, vectors for one, and vectors
     * also where the head width is no multiple of its registers. */
    bool vectors = s->opt.follow && T == 1;
    job  j = {.s = s,
              .layer = i,
              .a = a,
              .T = T,
              .wide_scores = vectors || (s->opt.follow && c->head_dim % s->opt.lanes),
              .wide_values = vectors};
    if (!s->opt.follow) {
        ls_attend_own(&j);
        T = j.T;
    } else if (s->opt.kv_type == LS_DTYPE_Q8_0) {
        ls_attend_flash(&j);
    } else {
        cache_store(s, i, T);
        ls_pool_run(s->pool, attend, &j, T * (size_t)c->n_heads, 1);
    }
    for (int k = 0; s->opt.watch.fn && k < 2; k++) {
        ls_tap_values v = {k ? LS_OP_ATTN_SCORES_SOFTMAX : LS_OP_ATTN_SCORES,
                           i,
                           s->base,
                           (size_t)c->n_heads,
                           T,
                           (size_t)s->base + T,
                           s->shown[k]};
        s->opt.watch.fn(s->opt.watch.ctx, &v);
    }
    ls_tap_rows(s, LS_OP_ATTN_OUT, i, s->att, HK, HK, T);
    return T;
}
