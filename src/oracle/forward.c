// SPDX-License-Identifier: MIT
/* forward.c - the forward pass, once, for every architecture: what differs is in ls_semantics.
 *
 * The order of the taps is that of the native engine. Sums go up one by one; threads share rows and
 * heads, never a sum. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtype/packed.h"
#include "oracle/oracle_priv.h"

enum { TOKENS = LS_ORACLE_TOKENS, GRAIN = 16 }; /* GRAIN: rows handed out at a time */

/* ---- taps ---- */

/* Faults and taps of floats: what they leave alone stays double. */
static void tap_floats(const oracle *o, ls_tap64 *t)
{
    float *f = o->shown;
    ls_tap tap = {t->op, t->layer, t->pos, t->head, f, t->n, o->T == 1};
    if (!o->faults.n && !o->opt.base.tap) return;
    for (size_t i = 0; i < t->n; i++) f[i] = (float)t->data[i];
    if (o->faults.n) ls_faults_tap((void *)(uintptr_t)&o->faults, &tap);
    if (o->opt.base.tap) o->opt.base.tap(o->opt.base.tap_ctx, &tap);
    for (size_t i = 0; i < t->n; i++) {
        float was = (float)t->data[i];
        if (memcmp(&was, &f[i], sizeof(was)) != 0) t->data[i] = (double)f[i];
    }
}

static void tap(const oracle *o, ls_op op, int32_t l, size_t t, int32_t head, double *row, size_t n)
{
    ls_tap64 shown = {op, l, o->at + (int32_t)t, head, row, n};
    if (o->opt.tap) o->opt.tap(o->opt.ctx, &shown);
    tap_floats(o, &shown);
}

static void watch(const oracle *o, ls_op op, int32_t l, const double *x, size_t heads, size_t n)
{
    ls_tap_values v = {op, l, o->at, heads, o->T, n, o->shown};
    if (!o->opt.base.watch.fn) return;
    for (size_t i = 0; i < heads * o->T * n; i++)
        o->shown[i] = x[i] == -(double)INFINITY ? 0.0f : (float)x[i];
    o->opt.base.watch.fn(o->opt.base.watch.ctx, &v);
}

static void show(const oracle *o, ls_op op, int32_t l, double *x, size_t n)
{
    for (size_t t = 0; t < o->T; t++) tap(o, op, l, t, -1, x + t * n, n);
    watch(o, op, l, x, 1, n);
}

/* x [used][T][n]: of each chosen expert. */
static void show_experts(const oracle *o, ls_op op, int32_t l, double *x, size_t n)
{
    size_t used = (size_t)o->c->n_expert_used;
    for (size_t i = 0; i < used * o->T; i++)
        tap(o, op, l, i % o->T, (int32_t)(i / o->T), x + i * n, n);
    watch(o, op, l, x, used, n);
}

/* Whether the taps supply this operation. It is then no number until they do (n 0: or what it was).
 */
static bool is_given(const oracle *o, ls_op op, int32_t l)
{
    return o->opt.given && o->opt.given(o->opt.ctx, op, l);
}

static bool given(const oracle *o, ls_op op, int32_t l, double *x, size_t n)
{
    if (!is_given(o, op, l)) return false;
    for (size_t i = 0; i < o->T * n; i++) x[i] = (double)NAN;
    return true;
}

/* ---- weights that are others (ls_sem_patch) ---- */

static bool is_patched(const ls_sem_patch *s, ls_op op, int32_t l, ls_sem_part part, size_t r)
{
    return s->n_rows && s->op == op && s->layer == l && s->part == part && r >= s->row &&
           r - s->row < s->n_rows;
}

/* Row r of a matrix, n wide. */
static void patch_row(const oracle *o, ls_op op, int32_t l, float *row, size_t r, size_t n)
{
    for (int k = 0; k < LS_SEM_PATCHES; k++) {
        const ls_sem_patch *s = &o->s.patch[k];
        if (!is_patched(s, op, l, LS_SEM_WEIGHTS, r)) continue;
        for (size_t i = s->col; i < n && i - s->col < s->n_cols; i++)
            row[i] = (float)((double)row[i] * s->factor + s->add);
    }
}

/* Elements [first, first + n) of a vector. */
static void patch_vector(const oracle *o, ls_op op, int32_t l, ls_sem_part part, size_t first,
                         double *v, size_t n)
{
    for (int k = 0; k < LS_SEM_PATCHES; k++) {
        const ls_sem_patch *s = &o->s.patch[k];
        for (size_t i = 0; i < n; i++) {
            if (!is_patched(s, op, l, part, first + i)) continue;
            v[i] = v[i] * s->factor + s->add + (s->each ? s->each[first + i - s->row] : 0);
        }
    }
}

static bool has_bias_patch(const oracle *o, ls_op op, int32_t l)
{
    for (int k = 0; k < LS_SEM_PATCHES; k++) {
        const ls_sem_patch *s = &o->s.patch[k];
        if (is_patched(s, op, l, LS_SEM_BIAS, s->row)) return true;
    }
    return false;
}

/* ---- products ---- */

typedef struct product {
    const oracle *o;
    matrix        w;
    double       *y; /* [T][rows] */
    const double *x; /* [T / TOKENS][n][TOKENS], rounded; the last group is filled with zeros */
    size_t        T;
    ls_op         op;
    int32_t       layer;
    size_t        first; /* number of the matrix's first row in patches */
} product;

/* Row r of the result is not needed. */
static bool is_idle(const product *p, size_t r)
{
    for (int k = 0; k < LS_SEM_PATCHES; k++) {
        const ls_sem_patch *s = &p->o->s.patch[k];
        if (s->only && s->n_rows && s->op == p->op && s->layer == p->layer &&
            !is_patched(s, p->op, p->layer, LS_SEM_WEIGHTS, r))
            return true;
    }
    return false;
}

static void multiply(void *ctx, size_t begin, size_t end, int thread)
{
    const product *p = ctx;
    size_t         n = p->w.n;
    float         *row = p->o->row + (size_t)thread * p->o->widest;
    for (size_t r = begin; r < end; r++) {
        if (is_idle(p, p->first + r)) {
            for (size_t t = 0; t < p->T; t++) p->y[t * p->w.rows + r] = (double)NAN;
            continue;
        }
        ls_tensor_decode(row, p->w.t, p->w.from + r, 1);
        patch_row(p->o, p->op, p->layer, row, p->first + r, n);
        for (size_t t0 = 0; t0 < p->T; t0 += TOKENS) {
            size_t        m = p->T - t0 < TOKENS ? p->T - t0 : TOKENS;
            const double *x = p->x + t0 * n;
            double        sum[TOKENS] = {0};
            for (size_t i = 0; i < n; i++) {
                for (size_t t = 0; t < TOKENS; t++) sum[t] += (double)row[i] * x[i * TOKENS + t];
            }
            for (size_t t = 0; t < m; t++) p->y[(t0 + t) * p->w.rows + r] = sum[t];
        }
    }
}

/* Elements [from, from + n) of the vector of that name; in patches the first of them is `first`.
 * Where the file has none, a patch may have one. */
static void add_bias(const oracle *o, ls_op op, int32_t l, const char *name, size_t from,
                     size_t first, double *y, size_t n, size_t T)
{
    double *bias = o->wide;
    if (ls_oracle_vector(o, l, name, o->wide))
        bias += from;
    else if (has_bias_patch(o, op, l))
        memset(bias, 0, n * sizeof(*bias));
    else
        return;
    patch_vector(o, op, l, LS_SEM_BIAS, first, bias, n);
    for (size_t i = 0; i < n * T; i++) y[i] += bias[i % n];
}

/* y[T][rows] = W round(x)[T][n] */
static void linear(const oracle *o, ls_op op, int32_t l, matrix w, double *y, const double *x,
                   size_t T, size_t first)
{
    product      p = {o, w, y, o->rounded, T, op, l, first};
    ls_sem_round form = l < 0 ? o->s.head_round : o->s.round;
    for (size_t t = 0; t < (T + TOKENS - 1) / TOKENS * TOKENS; t++) {
        double *to = o->rounded + t / TOKENS * TOKENS * w.n + t % TOKENS;
        if (t < T) ls_oracle_round(o->wide, x + t * w.n, w.n, form, w.t->dtype, o->s.half_away);
        for (size_t i = 0; i < w.n; i++) to[i * TOKENS] = t < T ? o->wide[i] : 0;
    }
    ls_pool_run(o->pool, multiply, &p, w.rows, GRAIN);
}

/* ---- norms ---- */

/* Rows of n by the norm of the residual stream. False: the layer has none of that name. */
static bool norm(const oracle *o, ls_op op, int32_t l, const char *name, double *y, const double *x)
{
    size_t D = (size_t)o->c->n_embd;
    char   weight[64], bias[64];
    bool   has_bias, skip;
    snprintf(weight, sizeof(weight), "%s.weight", name);
    snprintf(bias, sizeof(bias), "%s.bias", name);
    if (!ls_oracle_vector(o, l, weight, o->wide)) return false;
    patch_vector(o, op, l, LS_SEM_WEIGHTS, 0, o->wide, D);
    has_bias = ls_oracle_vector(o, l, bias, o->wide + D);
    if (!has_bias && has_bias_patch(o, op, l)) {
        memset(o->wide + D, 0, D * sizeof(*o->wide));
        has_bias = true;
    }
    patch_vector(o, op, l, LS_SEM_BIAS, 0, o->wide + D, has_bias ? D : 0);
    skip = given(o, op, l, y, D);
    for (size_t t = 0; t < o->T && !skip; t++) {
        if (o->s.norm == LS_SEM_LAYER_NORM)
            ls_oracle_layer_norm(y + t * D, x + t * D, o->wide, has_bias ? o->wide + D : NULL, D,
                                 o->s.norm_eps);
        else
            ls_oracle_rms_norm(y + t * D, x + t * D, o->wide, D, o->s.norm_eps);
    }
    show(o, op, l, y, D);
    return true;
}

/* BitNet's norms inside the blocks, in place. */
static void sub_norm(const oracle *o, ls_op op, int32_t l, const char *name, double *x, size_t n)
{
    if (!o->s.sub_norms || !ls_oracle_vector(o, l, name, o->wide)) return;
    patch_vector(o, op, l, LS_SEM_WEIGHTS, 0, o->wide, n);
    if (!given(o, op, l, x, n)) {
        for (size_t t = 0; t < o->T; t++)
            ls_oracle_rms_norm(x + t * n, x + t * n, o->wide, n, o->s.norm_eps);
    }
    show(o, op, l, x, n);
}

static void qk_norm(const oracle *o, ls_op op, int32_t l, const char *name, double *x, size_t heads)
{
    size_t K = (size_t)o->c->head_dim, n = heads * K;
    double eps = o->s.norm_eps, *w = o->wide;
    if (o->s.qk_norm == LS_SEM_QK_NONE || !ls_oracle_vector(o, l, name, w)) return;
    if (given(o, op, l, x, n)) {
        show(o, op, l, x, n);
        return;
    }
    patch_vector(o, op, l, LS_SEM_WEIGHTS, 0, w, o->s.qk_norm == LS_SEM_QK_SHARED ? K : n);
    for (size_t t = 0; t < o->T; t++) {
        double *row = x + t * n;
        if (o->s.qk_norm == LS_SEM_QK_ALL) ls_oracle_rms_norm(row, row, w, n, eps);
        for (size_t h = 0; h < heads; h++) {
            double *head = row + h * K;
            if (o->s.qk_norm == LS_SEM_QK_SHARED) ls_oracle_rms_norm(head, head, w, K, eps);
            if (o->s.qk_norm == LS_SEM_QK_HEADS)
                ls_oracle_layer_norm(head, head, w + h * K, NULL, K, eps);
        }
    }
    show(o, op, l, x, n);
}

/* ---- attention ---- */

/* The rows of each head in the order that the other RoPE has; o->wide is free. */
static void reorder(const oracle *o, double *x, size_t heads)
{
    size_t K = (size_t)o->c->head_dim, half = K / 2;
    for (size_t r = 0; r < o->T * heads && o->s.qk_rows != LS_SEM_ROWS_KEPT; r++, x += K) {
        memcpy(o->wide, x, K * sizeof(*x));
        for (size_t i = 0; i < half; i++) {
            bool paired = o->s.qk_rows == LS_SEM_ROWS_PAIRED;
            x[paired ? 2 * i : i] = o->wide[paired ? i : 2 * i];
            x[paired ? 2 * i + 1 : half + i] = o->wide[paired ? half + i : 2 * i + 1];
        }
    }
}

static void project(const oracle *o, int32_t l, const double *x)
{
    const layer *w = &o->layers[l];
    bool         fused = ls_oracle_has(o, l, "attn_qkv.bias");
    const struct {
        ls_op       op;
        matrix      w;
        double     *y;
        const char *bias;
        size_t      fused; /* where its part of a bias for all three begins */
        bool        turned;
    } p[] = {{LS_OP_Q_PROJ, w->q, o->q, "attn_q.bias", 0, true},
             {LS_OP_K_PROJ, w->k, o->k, "attn_k.bias", w->q.rows, true},
             {LS_OP_V_PROJ, w->v, o->v, "attn_v.bias", w->q.rows + w->k.rows, false}};
    for (size_t i = 0; i < 3; i++) {
        if (given(o, p[i].op, l, p[i].y, p[i].w.rows)) continue;
        linear(o, p[i].op, l, p[i].w, p[i].y, x, o->T, 0);
        add_bias(o, p[i].op, l, fused ? "attn_qkv.bias" : p[i].bias, fused ? p[i].fused : 0, 0,
                 p[i].y, p[i].w.rows, o->T);
        if (p[i].turned) reorder(o, p[i].y, p[i].w.rows / (size_t)o->c->head_dim);
    }
    for (size_t i = 0; i < 3; i++) show(o, p[i].op, l, p[i].y, p[i].w.rows);
}

static bool has_window(const oracle *o, int32_t l)
{
    int32_t period = o->s.window_period;
    return o->s.window > 0 && (period == 0 || l % period < period - 1);
}

/* Divisors of the angles, if the file has any. Of two sets the long one serves contexts longer than
 * that of pre-training; the reference takes multiples of 256. */
static const double *divisors(const oracle *o)
{
    int64_t n_ctx = ((int64_t)o->base.info.n_ctx + 255) / 256 * 256;
    bool    longer = n_ctx > o->s.rope_ctx_orig;
    if (o->s.rope_factors == LS_SEM_FACTORS_NONE) return NULL;
    if (ls_oracle_vector(o, -1, "rope_freqs.weight", o->wide)) return o->wide;
    if (o->s.rope_factors != LS_SEM_FACTORS_FILE) longer = o->s.rope_factors == LS_SEM_FACTORS_LONG;
    return ls_oracle_vector(
               o, -1, longer ? "rope_factors_long.weight" : "rope_factors_short.weight", o->wide)
               ? o->wide
               : NULL;
}

static void rotate(const oracle *o, int32_t l)
{
    size_t K = (size_t)o->c->head_dim, H = (size_t)o->c->n_heads, G = (size_t)o->c->n_kv_heads;
    const double *div = divisors(o);
    bool          skip_q, skip_k;
    if (o->s.rope_order == LS_ROPE_NONE) return;
    if (o->s.rope_skip > 0 && (l + 1) % o->s.rope_skip == 0) return;
    skip_q = given(o, LS_OP_Q_ROPE, l, o->q, H * K);
    skip_k = given(o, LS_OP_K_ROPE, l, o->k, G * K);
    for (size_t t = 0; t < o->T; t++) {
        int32_t pos = o->at + (int32_t)t;
        if (!skip_q) ls_oracle_rotate(o->q + t * H * K, H, K, &o->s, has_window(o, l), div, pos);
        if (!skip_k) ls_oracle_rotate(o->k + t * G * K, G, K, &o->s, has_window(o, l), div, pos);
    }
    show(o, LS_OP_Q_ROPE, l, o->q, H * K);
    show(o, LS_OP_K_ROPE, l, o->k, G * K);
}

typedef struct heads {
    const oracle *o;
    int32_t       l;
} heads;

/* Positions that a query at `at + t` does not see any more. */
static size_t before_window(const oracle *o, int32_t l, size_t t)
{
    size_t n = (size_t)o->at + t + 1, window = (size_t)o->s.window;
    return has_window(o, l) && n > window ? n - window : 0;
}

/* Scores of one head at one position: q . k, scaled, capped; before the window minus infinity. */
static void score(void *ctx, size_t begin, size_t end, int thread)
{
    const heads  *j = ctx;
    const oracle *o = j->o;
    size_t K = (size_t)o->c->head_dim, H = (size_t)o->c->n_heads, G = (size_t)o->c->n_kv_heads,
           P = (size_t)o->at + o->T;
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        size_t        h = item / o->T, t = item % o->T, n = (size_t)o->at + t + 1;
        size_t        hidden = before_window(o, j->l, t);
        const double *q = o->q + (t * H + h) * K, *k = o->keys[j->l] + h / (H / G) * K;
        double       *s = o->scores + item * P;
        for (size_t p = 0; p < P; p++) {
            s[p] = p < n && p >= hidden ? 0 : -(double)INFINITY;
            for (size_t i = 0; s[p] != -(double)INFINITY && i < K; i++)
                s[p] += q[i] * k[p * G * K + i];
            if (!o->s.scale_queries) s[p] *= o->s.attn_scale;
            if (o->s.attn_softcap > 0 && s[p] != -(double)INFINITY)
                s[p] = tanh(s[p] / o->s.attn_softcap) * o->s.attn_softcap;
        }
    }
}

static void mix(void *ctx, size_t begin, size_t end, int thread)
{
    const heads  *j = ctx;
    const oracle *o = j->o;
    size_t K = (size_t)o->c->head_dim, H = (size_t)o->c->n_heads, G = (size_t)o->c->n_kv_heads,
           P = (size_t)o->at + o->T;
    (void)thread;
    for (size_t item = begin; item < end; item++) {
        size_t        h = item / o->T, t = item % o->T, n = (size_t)o->at + t + 1;
        const double *v = o->values[j->l] + h / (H / G) * K, *s = o->scores + item * P;
        double       *y = o->att + (t * H + h) * K;
        memset(y, 0, K * sizeof(*y));
        for (size_t p = 0; p < n; p++) {
            double w = s[p];
            if (o->s.kv == LS_SEM_KV_F16 || o->s.kv == LS_SEM_KV_BF16)
                ls_oracle_keep(&w, 1, o->s.kv);
            for (size_t i = 0; i < K; i++) y[i] += w * v[p * G * K + i];
        }
    }
}

static void show_scores(const oracle *o, ls_op op, int32_t l)
{
    size_t H = (size_t)o->c->n_heads, P = (size_t)o->at + o->T;
    for (size_t i = 0; i < H * o->T; i++)
        tap(o, op, l, i % o->T, (int32_t)(i / o->T), o->scores + i * P,
            (size_t)o->at + i % o->T + 1);
    watch(o, op, l, o->scores, H, P);
}

/* Rows of this evaluation go to a layer's keys or values. */
static void cache(const oracle *o, double *to, const double *rows)
{
    size_t GK = (size_t)o->c->n_kv_heads * (size_t)o->c->head_dim;
    memcpy(to + (size_t)o->at * GK, rows, o->T * GK * sizeof(double));
    ls_oracle_keep(to + (size_t)o->at * GK, o->T * GK, o->s.kv);
}

/* Softmax(Q K^T) V, Vaswani et al. 2017, section 3.2.1; grouped heads, Ainslie et al. 2023. */
static void attend(const oracle *o, int32_t l)
{
    size_t K = (size_t)o->c->head_dim, H = (size_t)o->c->n_heads, P = (size_t)o->at + o->T;
    heads  j = {o, l};
    bool   sinks = o->s.sinks && ls_oracle_vector(o, l, "attn_sinks.weight", o->wide);
    bool   skip;

    /* What is never looked at stays untouched, and takes no memory: most layers of a search. */
    if (!is_given(o, LS_OP_ATTN_SCORES, l)) cache(o, o->keys[l], o->k);
    if (!is_given(o, LS_OP_ATTN_OUT, l)) cache(o, o->values[l], o->v);
    for (size_t i = 0; o->s.scale_queries && i < o->T * H * K; i++) o->q[i] *= o->s.attn_scale;
    if (o->s.kv >= LS_SEM_KV_F16) ls_oracle_keep(o->q, o->T * H * K, o->s.kv);

    if (!given(o, LS_OP_ATTN_SCORES, l, o->scores, H * P))
        ls_pool_run(o->pool, score, &j, H * o->T, 1);
    for (size_t i = 0; i < H * o->T; i++) {
        for (size_t p = before_window(o, l, i % o->T); p-- > 0;)
            o->scores[i * P + p] = -(double)INFINITY;
    }
    show_scores(o, LS_OP_ATTN_SCORES, l);
    skip = given(o, LS_OP_ATTN_SCORES_SOFTMAX, l, NULL, 0);
    for (size_t i = 0; i < H * o->T; i++) {
        double *row = o->scores + i * P;
        size_t  n = (size_t)o->at + i % o->T + 1;
        for (size_t p = 0; skip && p < n; p++) row[p] = (double)NAN;
        if (!skip) ls_oracle_softmax(row, n, sinks ? o->wide[i / o->T] : -(double)INFINITY);
        for (size_t p = n; p < P; p++) row[p] = 0;
    }
    show_scores(o, LS_OP_ATTN_SCORES_SOFTMAX, l);
    if (!given(o, LS_OP_ATTN_OUT, l, o->att, H * K)) ls_pool_run(o->pool, mix, &j, H * o->T, 1);
    show(o, LS_OP_ATTN_OUT, l, o->att, H * K);
}

/* o->proj = attention's output for rows x. */
static void attention(const oracle *o, int32_t l, const double *x)
{
    size_t D = (size_t)o->c->n_embd, K = (size_t)o->c->head_dim;
    project(o, l, x);
    qk_norm(o, LS_OP_Q_NORM, l, "attn_q_norm.weight", o->q, (size_t)o->c->n_heads);
    qk_norm(o, LS_OP_K_NORM, l, "attn_k_norm.weight", o->k, (size_t)o->c->n_kv_heads);
    rotate(o, l);
    attend(o, l);
    sub_norm(o, LS_OP_ATTN_SUB_NORM, l, "attn_sub_norm.weight", o->att, (size_t)o->c->n_heads * K);
    if (!given(o, LS_OP_ATTN_PROJ, l, o->proj, D)) {
        linear(o, LS_OP_ATTN_PROJ, l, o->layers[l].o, o->proj, o->att, o->T, 0);
        add_bias(o, LS_OP_ATTN_PROJ, l, "attn_output.bias", 0, 0, o->proj, D, o->T);
    }
    show(o, LS_OP_ATTN_PROJ, l, o->proj, D);
}

/* ---- feed-forward ---- */

/* o->ffn = feed-forward block of rows x; without a gate the activation is that of up. */
static void dense(const oracle *o, int32_t l, const double *x)
{
    const layer *w = &o->layers[l];
    size_t       F = w->up.rows, D = (size_t)o->c->n_embd;
    bool         gated = o->s.gated && w->gate.t, skip;
    if (gated && !given(o, LS_OP_FFN_GATE, l, o->gate, F)) {
        linear(o, LS_OP_FFN_GATE, l, w->gate, o->gate, x, o->T, 0);
        add_bias(o, LS_OP_FFN_GATE, l, "ffn_gate.bias", 0, 0, o->gate, F, o->T);
    }
    if (!given(o, LS_OP_FFN_UP, l, o->up, F)) {
        linear(o, LS_OP_FFN_UP, l, w->up, o->up, x, o->T, 0);
        add_bias(o, LS_OP_FFN_UP, l, "ffn_up.bias", 0, 0, o->up, F, o->T);
    }
    if (gated) show(o, LS_OP_FFN_GATE, l, o->gate, F);
    show(o, LS_OP_FFN_UP, l, o->up, F);
    skip = given(o, LS_OP_FFN_ACT, l, NULL, 0);
    for (size_t i = 0; i < o->T * F && !skip; i++)
        o->gate[i] = gated ? ls_oracle_act(o->s.act, o->gate[i], o->up[i])
                           : ls_oracle_act(o->s.act, o->up[i], 1);
    show(o, LS_OP_FFN_ACT, l, o->gate, F);
    sub_norm(o, LS_OP_FFN_SUB_NORM, l, "ffn_sub_norm.weight", o->gate, F);
    if (!given(o, LS_OP_FFN_DOWN, l, o->ffn, D)) {
        linear(o, LS_OP_FFN_DOWN, l, w->down, o->ffn, o->gate, o->T, 0);
        add_bias(o, LS_OP_FFN_DOWN, l, "ffn_down.bias", 0, 0, o->ffn, D, o->T);
    }
    show(o, LS_OP_FFN_DOWN, l, o->ffn, D);
}

/* The expert of the largest value; the lower number among equals. */
static size_t best_of(const double *value, const bool *taken, size_t n)
{
    size_t best = n;
    for (size_t e = 0; e < n; e++) {
        if (!taken[e] && (best == n || value[e] > value[best])) best = e;
    }
    return best;
}

/* The experts that a token's logits choose, best first, and their weights (Shazeer et al. 2017). */
static void choose(const oracle *o, double *logits, double *chosen, double *weight)
{
    size_t E = (size_t)o->c->n_expert, used = (size_t)o->c->n_expert_used;
    bool   taken[4096] = {false};
    double all = 0;
    if (!o->s.experts_softmax_chosen) ls_oracle_softmax(logits, E, -(double)INFINITY);
    for (size_t u = 0; u < used; u++) {
        size_t e = best_of(logits, taken, E);
        taken[e] = true;
        chosen[u] = (double)e;
        weight[u] = logits[e];
    }
    if (o->s.experts_softmax_chosen) ls_oracle_softmax(weight, used, -(double)INFINITY);
    for (size_t u = 0; u < used; u++) all += weight[u];
    for (size_t u = 0; o->s.experts_normalise && u < used; u++) weight[u] /= fmax(all, 0x1p-14);
}

static void route(const oracle *o, int32_t l, const double *x)
{
    size_t E = (size_t)o->c->n_expert, used = (size_t)o->c->n_expert_used;
    if (!given(o, LS_OP_FFN_ROUTER, l, o->router, E)) {
        linear(o, LS_OP_FFN_ROUTER, l, o->layers[l].router, o->router, x, o->T, 0);
        add_bias(o, LS_OP_FFN_ROUTER, l, "ffn_gate_inp.bias", 0, 0, o->router, E, o->T);
    }
    show(o, LS_OP_FFN_ROUTER, l, o->router, E);
    for (size_t t = 0; t < o->T; t++)
        choose(o, o->router + t * E, o->chosen + t * used, o->weight + t * used);
    given(o, LS_OP_FFN_MOE_TOPK, l, o->chosen, used);
    given(o, LS_OP_FFN_MOE_WEIGHTS, l, o->weight, used);
    show(o, LS_OP_FFN_MOE_TOPK, l, o->chosen, used);
    show(o, LS_OP_FFN_MOE_WEIGHTS, l, o->weight, used);
}

/* One product of every chosen expert: y [used][T][rows]; x [T][n], or with `own` [used][T][n]. */
static void of_experts(const oracle *o, ls_op op, int32_t l, matrix all, const char *bias,
                       double *y, const double *x, bool own)
{
    size_t E = (size_t)o->c->n_expert, used = (size_t)o->c->n_expert_used, rows = all.rows / E;
    bool   skip = given(o, op, l, y, used * rows);
    for (size_t i = 0; i < used * o->T && !skip; i++) {
        size_t  t = i % o->T;
        double  number = o->chosen[t * used + i / o->T]; /* a tap may have changed it */
        size_t  e = number >= 0 && number < (double)E ? (size_t)number : 0;
        matrix  one = {all.t, all.from + e * rows, rows, all.n};
        double *to = y + i * rows;
        linear(o, op, l, one, to, x + (own ? i : t) * all.n, 1, e * rows);
        add_bias(o, op, l, bias, e * rows, e * rows, to, rows, 1);
    }
}

/* y += sigmoid(r x) * the expert that serves all tokens (Dai et al. 2024). */
static void shared_expert(const oracle *o, int32_t l, const double *x, double *y)
{
    const layer *w = &o->layers[l];
    size_t       D = (size_t)o->c->n_embd, F = w->up_shared.rows;
    double      *one = o->norm2;
    double       g;
    linear(o, LS_N_OPS, l, w->router_shared, &g, x, 1, 0);
    linear(o, LS_N_OPS, l, w->gate_shared, o->gate, x, 1, 0);
    linear(o, LS_N_OPS, l, w->up_shared, o->up, x, 1, 0);
    for (size_t i = 0; i < F; i++) o->gate[i] = ls_oracle_act(o->s.act, o->gate[i], o->up[i]);
    linear(o, LS_N_OPS, l, w->down_shared, one, o->gate, 1, 0);
    for (size_t i = 0; i < D; i++) y[i] += one[i] / (1 + exp(-g));
}

/* o->ffn = the weighted sum of what the chosen experts make of rows x. */
static void experts(const oracle *o, int32_t l, const double *x)
{
    const layer *w = &o->layers[l];
    size_t       D = (size_t)o->c->n_embd, used = (size_t)o->c->n_expert_used,
           F = (size_t)o->c->n_ff_expert;
    bool shared = o->s.experts_shared && w->up_shared.t, skip;
    route(o, l, x);
    of_experts(o, LS_OP_FFN_GATE, l, w->gate_exps, "ffn_gate_exps.bias", o->gate, x, false);
    show_experts(o, LS_OP_FFN_GATE, l, o->gate, F);
    of_experts(o, LS_OP_FFN_UP, l, w->up_exps, "ffn_up_exps.bias", o->up, x, false);
    show_experts(o, LS_OP_FFN_UP, l, o->up, F);
    skip = given(o, LS_OP_FFN_ACT, l, NULL, 0);
    for (size_t i = 0; i < used * o->T * F && !skip; i++)
        o->gate[i] = ls_oracle_act(o->s.act, o->gate[i], o->up[i]);
    show_experts(o, LS_OP_FFN_ACT, l, o->gate, F);
    of_experts(o, LS_OP_FFN_DOWN, l, w->down_exps, "ffn_down_exps.bias", o->made, o->gate, true);
    show_experts(o, LS_OP_FFN_DOWN, l, o->made, D);
    skip = given(o, LS_OP_FFN_MOE_OUT, l, o->ffn, D);
    for (size_t i = 0; i < o->T * D && !skip; i++) {
        size_t t = i / D;
        o->ffn[i] = 0;
        for (size_t u = 0; u < used; u++)
            o->ffn[i] += o->weight[t * used + u] * o->made[(u * o->T + t) * D + i % D];
    }
    for (size_t t = 0; shared && t < o->T && !skip; t++)
        shared_expert(o, l, x + t * D, o->ffn + t * D);
    show(o, LS_OP_FFN_MOE_OUT, l, o->ffn, D);
}

/* o->ffn = the feed-forward block behind its norm; without one, of `beside`, attention's own input.
 */
static void feed_forward(const oracle *o, int32_t l, const double *beside)
{
    const double *x = beside;
    if (o->s.pre_norms && norm(o, LS_OP_FFN_NORM, l, o->s.ffn_norm, o->norm, o->x)) x = o->norm;
    if (!o->s.pre_norms) x = o->x;
    if (o->layers[l].router.t)
        experts(o, l, x);
    else
        dense(o, l, x);
}

/* ---- the layers ---- */

/* y = a + scale * b */
static void add(const oracle *o, ls_op op, int32_t l, double *y, const double *a, const double *b,
                double scale)
{
    size_t D = (size_t)o->c->n_embd;
    if (!given(o, op, l, y == a || y == b ? o->rounded : y, D)) {
        for (size_t i = 0; i < o->T * D; i++) y[i] = a[i] + scale * b[i];
    }
    show(o, op, l, y, D);
}

static void one_layer(const oracle *o, int32_t l)
{
    const double *in = o->x, *side = o->x;
    double        share = o->s.residual_scale;

    if (o->s.pre_norms) {
        bool two =
            ls_oracle_has(o, l, "attn_norm_2.weight"); /* the first is of feed-forward alone */
        norm(o, two ? LS_OP_FFN_NORM : LS_OP_ATTN_NORM, l, "attn_norm", o->norm, o->x);
        in = side = o->norm;
        if (norm(o, LS_OP_ATTN_NORM, l, "attn_norm_2", o->norm2, o->x)) in = o->norm2;
    }
    attention(o, l, in);
    if (o->s.post_norms) norm(o, LS_OP_ATTN_POST_NORM, l, "post_attention_norm", o->proj, o->proj);
    if (o->s.block == LS_SEM_SERIAL) add(o, LS_OP_RESIDUAL, l, o->x, o->x, o->proj, share);
    feed_forward(o, l, side);
    if (o->s.post_norms) norm(o, LS_OP_FFN_POST_NORM, l, "post_ffw_norm", o->ffn, o->ffn);
    switch (o->s.block) {
    case LS_SEM_SERIAL:
        add(o, LS_OP_LAYER_OUT, l, o->x, o->x, o->ffn, share);
        break;
    case LS_SEM_FFN_FIRST:
        add(o, LS_OP_RESIDUAL, l, o->x, o->x, o->ffn, share);
        add(o, LS_OP_LAYER_OUT, l, o->x, o->x, o->proj, share);
        break;
    case LS_SEM_BRANCHES:
        add(o, LS_OP_RESIDUAL, l, o->ffn, o->ffn, o->proj, 1);
        add(o, LS_OP_LAYER_OUT, l, o->x, o->x, o->ffn, share);
        break;
    }
}

static void embed(const oracle *o, const int32_t *tokens)
{
    size_t D = (size_t)o->c->n_embd;
    bool   skip = given(o, LS_OP_EMBEDDINGS, -1, o->x, D);
    for (size_t t = 0; t < o->T && !skip; t++) {
        ls_tensor_decode(o->row, o->embedding.t, (size_t)tokens[t], 1);
        patch_row(o, LS_OP_EMBEDDINGS, -1, o->row, (size_t)tokens[t], D);
        for (size_t i = 0; i < D; i++) o->x[t * D + i] = (double)o->row[i] * o->s.embedding_scale;
        if (!o->positions.t) continue;
        ls_tensor_decode(o->row, o->positions.t, (size_t)o->at + t, 1);
        for (size_t i = 0; i < D; i++) o->x[t * D + i] += (double)o->row[i];
    }
    show(o, LS_OP_EMBEDDINGS, -1, o->x, D);
}

void ls_oracle_forward(oracle *o, const int32_t *tokens)
{
    embed(o, tokens);
    for (int32_t l = 0; l < o->c->n_layers; l++) one_layer(o, l);
    norm(o, LS_OP_FINAL_NORM, -1, "output_norm", o->hidden, o->x);
}

void ls_oracle_head(oracle *o, size_t first, size_t n)
{
    size_t  V = (size_t)o->c->n_vocab, D = (size_t)o->c->n_embd;
    double *y = o->logits;
    matrix  w = o->output.t && !o->s.tied_output ? o->output : o->embedding;
    linear(o, LS_OP_LOGITS, -1, w, y, o->hidden + first * D, n, 0);
    add_bias(o, LS_OP_LOGITS, -1, "output.bias", 0, 0, y, V, n);
    for (size_t i = 0; i < n * V; i++) {
        y[i] *= o->s.logit_scale;
        if (o->s.final_softcap > 0) y[i] = tanh(y[i] / o->s.final_softcap) * o->s.final_softcap;
    }
    for (size_t t = 0; t < n; t++) tap(o, LS_OP_LOGITS, -1, first + t, -1, y + t * V, V);
    for (size_t i = 0; i < n * V; i++) o->logits_f[i] = (float)y[i];
    if (o->opt.base.watch.fn) {
        ls_tap_values v = {LS_OP_LOGITS, -1, o->at + (int32_t)first, 1, n, V, o->logits_f};
        o->opt.base.watch.fn(o->opt.base.watch.ctx, &v);
    }
}
