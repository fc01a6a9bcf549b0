// SPDX-License-Identifier: MIT
/* attention_own.c - attention with sums in the engine's own order, and the KV cache in strips for
 * it.
 *
 * Scores: a lane is a position; values: a lane is an element (kernel.h, ls_chains; NUMERICS.md,
 * clause 7). The keys of a Q8_0 cache are a matrix of weights in strips (dtype/strips.h). The
 * queries that share a KV head, of all tokens of the batch, are its rows: row r is head r mod R of
 * token r / R, with R queries to a KV head. A work item is LS_ATTN_ROWS of them; where that is too
 * few items for the threads, positions, rows and elements are shared instead, and where these are
 * too few, too, the chains that a sum is made of. Nothing is added in another order, so that the
 * bits are the same.
 */
#include <math.h>
#include <string.h>

#include "session/attention.h"

enum { LANES = LS_CHAIN_LANES, BLOCK = 64, FEW = 32 };

typedef ls_attn_job job;

/* Rows [first, first + n) of KV head g, which use the buffers' rows from `at` on. */
typedef struct part {
    size_t g, first, n, at;
} part;

static size_t padded(size_t n) { return (n + LANES - 1) / LANES * LANES; }
static size_t head_dim(const job *j) { return (size_t)j->s->model->config.head_dim; }
static size_t n_groups(const job *j) { return (size_t)j->s->model->config.n_kv_heads; }
static size_t per_group(const job *j) { return (size_t)j->s->model->config.n_heads / n_groups(j); }
static size_t row_token(const job *j, size_t r) { return r / per_group(j); }
static size_t row_head(const job *j, size_t g, size_t r)
{
    return g * per_group(j) + r % per_group(j);
}
/* Positions up to that of row r's token. */
static size_t row_n(const job *j, size_t r) { return (size_t)j->s->base + row_token(j, r) + 1; }

static float *row_scores(const job *j, size_t at)
{
    return j->s->scores + at * padded((size_t)j->s->opt.n_ctx);
}

/* ---- the cache ---- */

static bool is_q8_0(const job *j) { return j->s->opt.kv_type == LS_DTYPE_Q8_0; }

static size_t v_strip(const job *j) { return ls_v_positions(j->s) * LANES; }

/* Element where the keys or values of KV head g begin. */
static size_t k_at(const job *j, size_t g)
{
    size_t head = (size_t)j->layer * n_groups(j) + g;
    return head * padded((size_t)j->s->opt.n_ctx) * head_dim(j);
}
static size_t v_at(const job *j, size_t g)
{
    size_t head = (size_t)j->layer * n_groups(j) + g;
    return head * (padded(head_dim(j)) / LANES) * v_strip(j);
}

static void *k_element(const job *j, size_t at)
{
    size_t bytes = is_q8_0(j) ? at / 32 * sizeof(ls_q8_0) : at * ls_kv_element(j->s);
    return (uint8_t *)j->s->k_cache + bytes;
}

static void *v_element(const job *j, size_t at)
{
    enum { GROUP = LS_CHAIN_GROUP * LANES };
    size_t bytes = is_q8_0(j) ? at / GROUP * LS_CHAIN_GROUP_BYTES : at * ls_kv_element(j->s);
    return (uint8_t *)j->s->v_cache + bytes;
}

/* Put n elements into the cache, `step` apart, rounded to its type. */
static void put(const job *j, void *to, const float *x, size_t n, size_t step, uint16_t *half)
{
    const ls_session *s = j->s;
    if (s->opt.kv_type == LS_DTYPE_F32) {
        for (size_t i = 0; i < n; i++) ((float *)to)[i * step] = x[i];
        return;
    }
    ls_kernels_act(&s->k, (int)ls_dtype_act(s->opt.kv_type))(half, x, n);
    for (size_t i = 0; i < n; i++) ((uint16_t *)to)[i * step] = half[i];
}

static void put_row(const job *j, size_t g, size_t p, const float *k, const float *v,
                    uint16_t *half)
{
    size_t K = head_dim(j), at = v_at(j, g) + p * LANES;
    put(j, k_element(j, k_at(j, g) + p / LANES * LANES * K + p % LANES), k, K, LANES, half);
    for (size_t e = 0; e < K; e += LANES, at += v_strip(j)) {
        put(j, v_element(j, at), v + e, K - e < LANES ? K - e : LANES, 1, half);
    }
}

/* The same in Q8_0: keys as a row of a strip of weights, values in the groups of ls_chains, where
 * both strips of a block have its scale. */
static void put_row_q8_0(const job *j, size_t g, size_t p, const float *k, const float *v,
                         ls_q8_0 *block)
{
    const ls_session *s = j->s;
    size_t   K = head_dim(j), group = v_at(j, g) + p / LS_CHAIN_GROUP * LS_CHAIN_GROUP * LANES;
    uint8_t *to = k_element(j, k_at(j, g) + p / LANES * LANES * K);

    s->k.act_q8_0(block, k, K);
    for (size_t b = 0; b < K / 32; b++, to += sizeof(ls_q8_0) * LANES) {
        memcpy(to + 2 * (p % LANES), &block[b].d, 2);
        for (size_t w = 0; w < 8; w++)
            memcpy(to + 2 * LANES + 4 * (w * LANES + p % LANES), block[b].qs + 4 * w, 4);
    }
    s->k.act_q8_0(block, v, K);
    for (size_t e = 0; e < K; e += LANES, group += v_strip(j)) {
        uint8_t *at = v_element(j, group);
        memcpy(at + 2 * (p % LS_CHAIN_GROUP), &block[e / 32].d, 2);
        memcpy(at + 2 * LS_CHAIN_GROUP + p % LS_CHAIN_GROUP * LANES, block[e / 32].qs + e % 32,
               LANES);
    }
}

/* Items are KV heads: no two threads write to a strip. Keys are turned on their way. */
static void store(void *ctx, size_t begin, size_t end, int thread)
{
    const job  *j = ctx;
    ls_session *s = j->s;
    size_t      K = head_dim(j), G = n_groups(j), n = (size_t)s->model->config.rope_dims;
    uint16_t   *half = s->half + (size_t)thread * s->half_row;

    for (size_t g = begin; g < end; g++) {
        for (size_t t = 0; t < j->T; t++) {
            float *k = ls_keys(s) + (t * G + g) * K, *v = ls_values(s) + (t * G + g) * K;
            size_t p = (size_t)s->base + t;
            if (j->a->k_angles) ls_rotate(s, k, j->a->k_angles + t * n);
            if (is_q8_0(j))
                put_row_q8_0(j, g, p, k, v, (ls_q8_0 *)half);
            else
                put_row(j, g, p, k, v, half);
        }
    }
}

/* ---- sums ---- */

/* What queries and weights are rounded by in a cache of plain numbers; NULL: they stay. */
static void (*rounding(const job *j))(float *, const float *, size_t)
{
    if (j->s->opt.kv_type == LS_DTYPE_F16) return j->s->k.round_f16;
    return j->s->opt.kv_type == LS_DTYPE_BF16 ? j->s->k.round_bf16 : NULL;
}

/* The queries of a part, rounded as the cache is, and what each of them sees. */
static void prepare(const job *j, const part *p)
{
    const ls_session *s = j->s;
    size_t            K = head_dim(j), H = (size_t)s->model->config.n_heads;
    for (size_t i = 0; i < p->n; i++) {
        size_t       r = p->first + i, n = row_n(j, r);
        const float *q = s->q + (row_token(j, r) * H + row_head(j, p->g, r)) * K;
        float       *to = s->queries + (p->at + i) * K;
        s->spans[p->at + i] = (ls_span){ls_attn_from(j, n), n};
        if (is_q8_0(j)) {
            s->k.act_q8_0(to, q, K);
            s->k.sums_q8_0(to, K);
        } else if (rounding(j)) {
            rounding(j)(to, q, K);
        } else {
            memcpy(to, q, K * sizeof(float));
        }
    }
}

/* Scores of the positions in strips [begin, end). */
static void multiply_keys(const job *j, const part *p, size_t begin, size_t end, int thread)
{
    const ls_session *s = j->s;
    size_t            K = head_dim(j);
    ls_chains         m = {
                .y = row_scores(j, p->at) + begin * LANES,
                .ldy = padded((size_t)s->opt.n_ctx),
                .w = k_element(j, k_at(j, p->g) + begin * LANES * K),
                .strip = LANES * K,
                .n_strips = end - begin,
                .x = s->queries + p->at * K,
                .ldx = K,
                .n_cols = p->n,
                .n = K,
                .block = K,
    };
    if (begin >= end) return;
    if (!is_q8_0(j)) {
        ls_kernels_chains(&s->k, s->opt.kv_type)(&m);
        return;
    }
    s->k.strips_q8_0(&(ls_matmul){.y = m.y,
                                  .ldy = m.ldy,
                                  .w = m.w,
                                  .row_bytes = K / 32 * sizeof(ls_q8_0),
                                  .n_rows = m.n_strips * LANES,
                                  .x = m.x,
                                  .x_bytes = K * sizeof(float),
                                  .n_cols = m.n_cols,
                                  .n = K,
                                  .whole = true,
                                  .scratch = s->panel + (size_t)thread * s->panel_bytes});
}

/* From scores to weights, rounded as the cache is. What a window hides is of no interest unless
 * somebody looks: groups of 16 that are hidden add nothing to the sum of softmax. */
static void weigh(const job *j, const part *p, size_t i)
{
    ls_session *s = j->s;
    size_t      r = p->first + i, t = row_token(j, r), h = row_head(j, p->g, r);
    size_t      from = s->spans[p->at + i].from, n = s->spans[p->at + i].to;
    size_t      start = ls_is_watched(s) ? 0 : from / LANES * LANES;
    float      *scores = row_scores(j, p->at + i);

    if (j->a->softcap > 0) ls_softcap(s, scores + from, j->a->softcap, n - from);
    s->k.scale(scores + from, j->a->scale, n - from);
    for (size_t k = start; k < from; k++) scores[k] = -INFINITY;
    ls_attn_tap(j, LS_OP_ATTN_SCORES, t, h, scores, n);
    s->k.softmax(scores + start, n - start, j->a->sinks ? j->a->sinks[h] : -INFINITY, s->opt.lanes);
    ls_attn_tap(j, LS_OP_ATTN_SCORES_SOFTMAX, t, h, scores, n);
    if (rounding(j)) rounding(j)(scores + from, scores + from, n - from);
}

/* Row i of a part, elements from `from` on. */
static float *row_out(const job *j, const part *p, size_t i, size_t from)
{
    size_t r = p->first + i, H = (size_t)j->s->model->config.n_heads;
    return j->s->att + (row_token(j, r) * H + row_head(j, p->g, r)) * head_dim(j) + from;
}

/* Elements in strips [begin, end) of the weighted values. */
static void multiply_values(const job *j, const part *p, size_t begin, size_t end)
{
    const ls_session *s = j->s;
    size_t            K = head_dim(j), n = row_n(j, p->first + p->n - 1);
    size_t            from = begin * LANES, to = end * LANES < K ? end * LANES : K;
    ls_chains         m = {
                .y = s->mixed + p->at * padded(K) + from,
                .ldy = padded(K),
                .w = v_element(j, v_at(j, p->g) + begin * v_strip(j)),
                .strip = v_strip(j),
                .n_strips = end - begin,
                .x = row_scores(j, p->at),
                .ldx = padded((size_t)s->opt.n_ctx),
                .n_cols = p->n,
                .n = n,
                .block = BLOCK,
                .spans = s->spans + p->at,
    };
    ls_kernels_chains(&s->k, s->opt.kv_type)(&m);
    for (size_t i = 0; i < p->n; i++)
        memcpy(row_out(j, p, i, from), m.y + i * m.ldy, (to - from) * sizeof(float));
}

/* Chain b of every element of a part whose rows see the same positions, to s->chains. */
static void multiply_block(const job *j, const part *p, size_t b, int thread)
{
    const ls_session *s = j->s;
    size_t            K = head_dim(j), n = row_n(j, 0), stop = (b + 1) * BLOCK;
    ls_span          *spans = s->spans + ((size_t)thread + 1) * s->attn_rows;
    ls_chains         m = {
                .y = s->chains + (b * (size_t)s->model->config.n_heads + p->at) * padded(K),
                .ldy = padded(K),
                .w = v_element(j, v_at(j, p->g)),
                .strip = v_strip(j),
                .n_strips = padded(K) / LANES,
                .x = row_scores(j, p->at),
                .ldx = padded((size_t)s->opt.n_ctx),
                .n_cols = p->n,
                .n = n < stop ? n : stop,
                .block = BLOCK,
                .spans = spans,
    };
    for (size_t i = 0; i < p->n; i++) {
        size_t from = s->spans[p->at + i].from;
        spans[i] = (ls_span){from > b * BLOCK ? from : b * BLOCK, m.n};
    }
    ls_kernels_chains(&s->k, s->opt.kv_type)(&m);
}

/* ---- work ---- */

static size_t n_strips(size_t n) { return padded(n) / LANES; }

/* The first strip that any row of a part sees. */
static size_t first_strip(const job *j, const part *p)
{
    return ls_attn_from(j, row_n(j, p->first)) / LANES;
}

/* Items: LS_ATTN_ROWS rows of a KV head. */
static void attend_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const job *j = ctx;
    size_t     rows = j->T * per_group(j), blocks = (rows + LS_ATTN_ROWS - 1) / LS_ATTN_ROWS;
    for (size_t item = begin; item < end; item++) {
        part p = {item / blocks, item % blocks * LS_ATTN_ROWS, 0, (size_t)thread * LS_ATTN_ROWS};
        p.n = rows - p.first < LS_ATTN_ROWS ? rows - p.first : LS_ATTN_ROWS;
        prepare(j, &p);
        multiply_keys(j, &p, first_strip(j, &p), n_strips(row_n(j, p.first + p.n - 1)), thread);
        for (size_t i = 0; i < p.n; i++) weigh(j, &p, i);
        multiply_values(j, &p, 0, n_strips(head_dim(j)));
    }
}

/* One step of all rows at once: `parts` items to a KV head, each of `grain` strips. */
typedef struct shared {
    const job *j;
    size_t     parts, grain;
} shared;

static part whole_head(const job *j, size_t g)
{
    size_t rows = j->T * per_group(j);
    return (part){g, 0, rows, g * rows};
}

static void share_keys(void *ctx, size_t begin, size_t end, int thread)
{
    const shared *w = ctx;
    for (size_t item = begin; item < end; item++) {
        part   p = whole_head(w->j, item / w->parts);
        size_t last = n_strips(row_n(w->j, p.n - 1)), at = item % w->parts * w->grain;
        size_t stop = at + w->grain < last ? at + w->grain : last;
        size_t first = first_strip(w->j, &p);
        multiply_keys(w->j, &p, at > first ? at : first, stop, thread);
    }
}

static void share_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const shared *w = ctx;
    size_t        rows = w->j->T * per_group(w->j);
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        part p = whole_head(w->j, item / rows);
        weigh(w->j, &p, item % rows);
    }
}

static void share_values(void *ctx, size_t begin, size_t end, int thread)
{
    const shared *w = ctx;
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        part   p = whole_head(w->j, item / w->parts);
        size_t last = n_strips(head_dim(w->j)), at = item % w->parts * w->grain;
        multiply_values(w->j, &p, at, at + w->grain < last ? at + w->grain : last);
    }
}

static size_t first_block(const job *j) { return ls_attn_from(j, row_n(j, 0)) / BLOCK; }

static void share_blocks(void *ctx, size_t begin, size_t end, int thread)
{
    const shared *w = ctx;
    for (size_t item = begin; item < end; item++) {
        part   p = whole_head(w->j, item / w->parts);
        size_t last = (row_n(w->j, 0) + BLOCK - 1) / BLOCK, at = item % w->parts * w->grain;
        for (size_t b = at; b < at + w->grain && b < last; b++) {
            if (b >= first_block(w->j)) multiply_block(w->j, &p, b, thread);
        }
    }
}

/* The chains of a row, added in ascending order. */
static void add_blocks(void *ctx, size_t begin, size_t end, int thread)
{
    const shared     *w = ctx;
    const ls_session *s = w->j->s;
    size_t            K = head_dim(w->j), rows = per_group(w->j);
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        part   p = whole_head(w->j, item / rows);
        float *y = row_out(w->j, &p, item % rows, 0);
        memset(y, 0, K * sizeof(float));
        for (size_t b = first_block(w->j); b * BLOCK < row_n(w->j, 0); b++)
            s->k.add(y, y, s->chains + (b * rows * n_groups(w->j) + item) * padded(K), K);
    }
}

/* Items for a step over n strips of each KV head, about four to a thread. */
static void share(const job *j, ls_pool_fn *fn, size_t n)
{
    size_t want = 4 * (size_t)j->s->opt.n_threads / n_groups(j) + 1;
    shared w = {j, 0, n < want ? 1 : n / want};
    w.parts = (n + w.grain - 1) / w.grain;
    ls_pool_run(j->s->pool, fn, &w, n_groups(j) * w.parts, 1);
}

void ls_attend_own(ls_attn_job *j)
{
    ls_session *s = j->s;
    size_t      G = n_groups(j), all = j->T;
    ls_pool_run(s->pool, store, j, G, all > 1 ? 1 : G);
    j->T = ls_last_rows(s, j->layer, all);

    size_t rows = j->T * per_group(j), threads = (size_t)s->opt.n_threads;
    size_t items = (rows + LS_ATTN_ROWS - 1) / LS_ATTN_ROWS * G, n = row_n(j, rows - 1);
    bool   few = threads > 1 && items < 2 * threads && G * rows <= s->attn_rows && n >= FEW;

    if (!few) {
        ls_pool_run(s->pool, attend_rows, j, items, 1);
        return;
    }
    for (size_t g = 0; g < G; g++) {
        part p = whole_head(j, g);
        prepare(j, &p);
    }
    shared w = {j, 1, 1};
    share(j, share_keys, n_strips(n));
    ls_pool_run(s->pool, share_rows, &w, G * rows, 1);
    if (s->chains && j->T == 1) {
        share(j, share_blocks, (n + BLOCK - 1) / BLOCK);
        ls_pool_run(s->pool, add_blocks, &w, G * rows, 1);
    } else {
        share(j, share_values, n_strips(head_dim(j)));
    }
}
