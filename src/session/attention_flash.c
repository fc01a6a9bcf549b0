// SPDX-License-Identifier: MIT
/* attention_flash.c - attention with a Q8_0 cache as the reference adds: with flash attention,
 * which is the only way that it has such a cache.
 *
 * A softmax that is normalised as it goes, Milakov and Gimelshein 2018, one position after the
 * other (NUMERICS.md, clause 9). Heads of a multiple of 64 elements are turned by a Walsh-Hadamard
 * transform before they are rounded; values are turned back behind the sum. */
#include <math.h>
#include <string.h>

#include "kernel/mathd.h"
#include "session/attention.h"

typedef ls_attn_job job;

static size_t head_dim(const ls_session *s) { return (size_t)s->model->config.head_dim; }
static size_t n_groups(const ls_session *s) { return (size_t)s->model->config.n_kv_heads; }
static size_t blocks_of(const ls_session *s) { return head_dim(s) / 32; }

/* The block that holds the first elements of KV head g at position p. */
static ls_q8_0 *cached(const ls_session *s, void *cache, int32_t layer, size_t p, size_t g)
{
    size_t row = (size_t)layer * (size_t)s->opt.n_ctx + p;
    return (ls_q8_0 *)cache + (row * n_groups(s) + g) * blocks_of(s);
}

/* ---- turning ---- */

/* Elements of a head that are turned together: the largest power of two from 64 on; values: 64. */
static size_t turned_keys(size_t K)
{
    size_t n = 64;
    while (K % (2 * n) == 0) n *= 2;
    return K % 64 ? 0 : n;
}
static size_t turned_values(size_t K) { return K % 64 ? 0 : 64; }

/* y = x [n], every `size` elements turned; size 0: as they are. */
static void turn(float *y, const float *x, size_t n, size_t size)
{
    float scale = 1.0f / sqrtf((float)size);
    if (y != x) memcpy(y, x, n * sizeof(*y));
    for (size_t i = 0; size && i < n; i++) y[i] *= scale;
    for (size_t len = 1; len < size; len *= 2) {
        for (size_t i = 0; i < n; i++) {
            float a = y[i], b;
            if (i & len) continue;
            b = y[i + len];
            y[i] = a + b;
            y[i + len] = a - b;
        }
    }
}

/* ---- one head of one token ---- */

/* Where a thread works. */
typedef struct room {
    float *sum, *value, *query; /* [K] each */
    float *scores, *shown;      /* [n_ctx]  */
    void  *rounded;             /* Q8_0 row */
} room;

static room room_of(const ls_session *s, int thread)
{
    size_t K = head_dim(s), P16 = ((size_t)s->opt.n_ctx + 15) / 16 * 16;
    float *work = s->stripes + (size_t)thread * LS_MAX_STRIPES * K;
    float *scores = s->scores + 2 * (size_t)thread * P16;
    return (room){work,   work + K,     work + 2 * K,
                  scores, scores + P16, s->half + (size_t)thread * s->half_row};
}

/* Scores of positions [from, n), scaled and capped; -infinity before. */
static void score(const job *j, const room *r, const float *q, size_t g, size_t from, size_t n)
{
    const ls_session *s = j->s;
    size_t            K = head_dim(s);
    ls_matmul         m = {.y = r->scores + from,
                           .ldy = n,
                           .w = cached(s, s->k_cache, j->layer, from, g),
                           .row_bytes = n_groups(s) * blocks_of(s) * sizeof(ls_q8_0),
                           .n_rows = n - from,
                           .x = r->rounded,
                           .n_cols = 1,
                           .n = K,
                           .lanes = s->opt.lanes,
                           .follow = true};
    float             cap = j->a->softcap;
    turn(r->query, q, K, turned_keys(K));
    s->k.act_q8_0(r->rounded, r->query, K);
    s->k.matmul_q8_0(&m);
    s->k.scale(r->scores + from, cap > 0 ? j->a->scale / cap : j->a->scale, n - from);
    for (size_t p = from; cap > 0 && p < n; p++) r->scores[p] = cap * tanhf(r->scores[p]);
    for (size_t p = 0; p < from; p++) r->scores[p] = -INFINITY;
}

/* sum = fmaf(value of a position, weight, sum) */
static void add_value(const job *j, const room *r, size_t p, size_t g, float weight)
{
    const ls_session *s = j->s;
    ls_dtype_decode(LS_DTYPE_Q8_0, r->value, cached(s, s->v_cache, j->layer, p, g), head_dim(s), 1);
    s->k.axpy_f32(r->sum, weight, r->value, head_dim(s));
}

/* The weighted values of positions [from, n) to r->sum, and the weights, where somebody looks. */
static void mix(const job *j, const room *r, size_t g, size_t h, size_t from, size_t n, bool looked)
{
    const ls_session *s = j->s;
    size_t            K = head_dim(s);
    float             most = -INFINITY, total = 0, sink = j->a->sinks ? j->a->sinks[h] : 0;
    memset(r->sum, 0, K * sizeof(float));
    for (size_t p = from; p < n; p++) {
        float x = r->scores[p], weight = 1;
        if (x > most) {
            float less = ls_exp_f(most - x);
            most = x;
            s->k.scale(r->sum, less, K);
            total = total * less + 1;
        } else {
            weight = ls_exp_f(x - most);
            total = total + weight;
        }
        add_value(j, r, p, g, weight);
    }
    if (j->a->sinks) {
        float less = sink > most ? ls_exp_f(most - sink) : 1;
        s->k.scale(r->sum, less, K);
        total = total * less + (sink > most ? 1 : ls_exp_f(sink - most));
        most = sink > most ? sink : most;
    }
    total = total == 0 ? 0 : 1 / total;
    s->k.scale(r->sum, total, K);
    for (size_t p = 0; looked && p < n; p++)
        r->scores[p] = p < from ? 0 : ls_exp_f(r->scores[p] - most) * total;
}

/* Show the weights. Only where a tap has changed them are they what values are multiplied by. */
static void show_weights(const job *j, const room *r, size_t t, size_t h, size_t g, size_t n)
{
    memcpy(r->shown, r->scores, n * sizeof(float));
    ls_attn_tap(j, LS_OP_ATTN_SCORES_SOFTMAX, t, h, r->scores, n);
    if (memcmp(r->shown, r->scores, n * sizeof(float)) == 0) return;
    memset(r->sum, 0, head_dim(j->s) * sizeof(float));
    for (size_t p = 0; p < n; p++) add_value(j, r, p, g, r->scores[p]);
}

static void attend(void *ctx, size_t begin, size_t end, int thread)
{
    const job  *j = ctx;
    ls_session *s = j->s;
    room        r = room_of(s, thread);
    size_t      H = (size_t)s->model->config.n_heads, K = head_dim(s);
    bool        looked = s->has_taps || s->opt.watch.fn;

    for (size_t item = begin; item < end; item++) {
        size_t t = item / H, h = item % H, g = h / (H / n_groups(s)), n = (size_t)s->base + t + 1;
        size_t from = ls_attn_from(j, n);
        score(j, &r, s->q + item * K, g, from, n);
        ls_attn_tap(j, LS_OP_ATTN_SCORES, t, h, r.scores, n);
        mix(j, &r, g, h, from, n, looked);
        if (looked) show_weights(j, &r, t, h, g, n);
        turn(s->att + item * K, r.sum, K, turned_values(K));
    }
}

static void store(const job *j)
{
    const ls_session *s = j->s;
    size_t            K = head_dim(s), G = n_groups(s);
    float            *turned = room_of(s, 0).value;
    for (size_t t = 0; t < j->T; t++) {
        for (size_t g = 0; g < G; g++) {
            size_t at = (t * G + g) * K, p = (size_t)s->base + t;
            turn(turned, ls_keys(s) + at, K, turned_keys(K));
            s->k.act_q8_0(cached(s, s->k_cache, j->layer, p, g), turned, K);
            turn(turned, ls_values(s) + at, K, turned_values(K));
            s->k.act_q8_0(cached(s, s->v_cache, j->layer, p, g), turned, K);
        }
    }
}

void ls_attend_flash(const ls_attn_job *j)
{
    job copy = *j;
    store(j);
    ls_pool_run(j->s->pool, attend, &copy, j->T * (size_t)j->s->model->config.n_heads, 1);
}
