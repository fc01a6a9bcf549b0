// SPDX-License-Identifier: MIT
/* ops.c - norms, projections and feed-forward blocks, shared between threads by rows. */
#include "session/ops.h"

#include <math.h>

#include "kernel/mathd.h"

/* ---- norms ---- */

typedef struct norm_job {
    ls_session    *s;
    float         *y;
    const float   *x;
    const ls_norm *norm;
    size_t         n;      /* floats per row, rows are contiguous             */
    size_t         groups; /* rows that have weights of their own, in rotation */
    bool           layer;
} norm_job;

static void norm_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const norm_job   *j = ctx;
    const ls_kernels *k = &j->s->k;
    float             eps = j->s->model->config.norm_eps;
    (void)thread;
    for (size_t r = begin; r < end; r++) {
        size_t       at = r % j->groups * j->n;
        float       *y = j->y + r * j->n;
        const float *x = j->x + r * j->n, *b = j->norm->b ? j->norm->b + at : NULL;
        if (j->layer) {
            k->layernorm(y, x, j->norm->w + at, b, j->n, eps, j->s->opt.lanes);
        } else {
            k->rmsnorm(y, x, j->norm->w + at, j->n, eps);
        }
    }
}

void ls_rms_norm(ls_session *s, ls_op op, int32_t i, float *y, const float *x, const ls_norm *norm,
                 size_t n, size_t T)
{
    norm_job j = {s, y, x, norm, n, 1, false};
    ls_pool_run(s->pool, norm_rows, &j, T, 1);
    ls_tap_rows(s, op, i, y, n, n, T);
}

void ls_layer_norm(ls_session *s, ls_op op, int32_t i, float *y, const float *x,
                   const ls_norm *norm, size_t n, size_t T)
{
    norm_job j = {s, y, x, norm, n, 1, true};
    ls_pool_run(s->pool, norm_rows, &j, T, 1);
    ls_tap_rows(s, op, i, y, n, n, T);
}

ls_input ls_normed(ls_session *s, ls_op op, int32_t i, float *y, const float *x,
                   const ls_norm *norm, size_t n, size_t T)
{
    ls_input rows = {x, norm, y};
    if (!ls_is_watched(s)) return rows;
    (s->model->arch->layer_norm ? ls_layer_norm : ls_rms_norm)(s, op, i, y, x, norm, n, T);
    return ls_input_made(&rows);
}

const float *ls_make_row(ls_session *s, const ls_input *x, size_t n, size_t t)
{
    norm_job j = {s, x->y, x->x, x->norm, n, 1, s->model->arch->layer_norm};
    if (!x->norm) return x->x + t * n;
    norm_rows(&j, t, t + 1, 0);
    return x->y + t * n;
}

void ls_rms_norm_heads(ls_session *s, ls_op op, int32_t i, float *x, const ls_norm *norm,
                       size_t n_heads, size_t T)
{
    size_t   K = (size_t)s->model->config.head_dim;
    norm_job j = {s, x, x, norm, K, 1, false};
    ls_pool_run(s->pool, norm_rows, &j, T * n_heads, 8);
    ls_tap_rows(s, op, i, x, n_heads * K, n_heads * K, T);
}

void ls_layer_norm_heads(ls_session *s, ls_op op, int32_t i, float *x, const ls_norm *norm,
                         size_t n_heads, size_t T)
{
    size_t   K = (size_t)s->model->config.head_dim;
    norm_job j = {s, x, x, norm, K, n_heads, true};
    ls_pool_run(s->pool, norm_rows, &j, T * n_heads, 8);
    ls_tap_rows(s, op, i, x, n_heads * K, n_heads * K, T);
}

/* ---- elementwise ---- */

typedef struct row_job {
    ls_session  *s;
    float       *y;
    const float *a, *b;
    float        scale;
    size_t       n;  /* floats per row, rows are contiguous */
    size_t       ld; /* floats between rows of b            */
    ls_ffn_act   act;
} row_job;

static void add_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const row_job *j = ctx;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        j->s->k.add(j->y + t * j->n, j->a + t * j->n, j->b + t * j->ld, j->n);
    }
}

void ls_add(ls_session *s, ls_op op, int32_t i, float *y, const float *a, const float *b, size_t T)
{
    size_t  D = (size_t)s->model->config.n_embd;
    row_job j = {.s = s, .y = y, .a = a, .b = b, .n = D, .ld = D};
    ls_pool_run(s->pool, add_rows, &j, T, 1);
    if (op != LS_N_OPS) ls_tap_rows(s, op, i, y, D, D, T);
}

/* y += bias in each of T rows of n; NULL: none. */
static void add_bias(ls_session *s, float *y, const float *bias, size_t n, size_t T)
{
    row_job j = {.s = s, .y = y, .a = y, .b = bias, .n = n};
    if (bias) ls_pool_run(s->pool, add_rows, &j, T, 1);
}

static void scale_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const row_job *j = ctx;
    (void)thread;
    for (size_t t = begin; t < end; t++) j->s->k.scale(j->y + t * j->n, j->scale, j->n);
}

void ls_scale(ls_session *s, float *x, float a, size_t n, size_t T)
{
    row_job j = {.s = s, .y = x, .scale = a, .n = n};
    if (a != 1.0f) ls_pool_run(s->pool, scale_rows, &j, T, 1);
}

/* ---- attention's projections ---- */

void ls_qkv(ls_session *s, const ls_layer *l, int32_t i, ls_input x, size_t T)
{
    size_t           Q = l->q.n_rows, KV = l->k.n_rows;
    float           *keys = ls_keys(s), *values = ls_values(s);
    const ls_product p[] = {{&l->q, s->q, Q}, {&l->k, keys, KV}, {&l->v, values, KV}};
    ls_linear(s, p, 3, x, T, true);
    add_bias(s, s->q, l->q_b, Q, T);
    add_bias(s, keys, l->k_b, KV, T);
    add_bias(s, values, l->v_b, KV, T);
    ls_tap_rows(s, LS_OP_Q_PROJ, i, s->q, Q, Q, T);
    ls_tap_rows(s, LS_OP_K_PROJ, i, keys, KV, KV, T);
    ls_tap_rows(s, LS_OP_V_PROJ, i, values, KV, KV, T);
}

/* The rows within a block, x, with a norm where the layer has one (BitNet). */
static ls_input block_rows(ls_session *s, ls_op op, int32_t i, float *x, const ls_norm *norm,
                           size_t n, size_t T)
{
    return norm->w ? ls_normed(s, op, i, x, x, norm, n, T) : (ls_input){.x = x};
}

void ls_attn_output(ls_session *s, const ls_layer *l, int32_t i, float *y, size_t T)
{
    size_t           D = l->o.n_rows;
    const ls_product p = {&l->o, y, D};
    ls_linear(s, &p, 1, block_rows(s, LS_OP_ATTN_SUB_NORM, i, s->att, &l->attn_sub_norm, l->o.n, T),
              T, true);
    add_bias(s, y, l->o_b, D, T);
    ls_tap_rows(s, LS_OP_ATTN_PROJ, i, y, D, D, T);
}

/* ---- feed-forward ---- */

/* GELU by its tanh form (Hendrycks and Gimpel 2016, section 2) of every F16, rounded to F16: the
 * reference has such a table, and looks floats between -10 and 10 up in it. */
void ls_gelu_init(float *table)
{
    for (uint32_t h = 0; h < 65536; h++) {
        float x = ls_f16_to_f32((uint16_t)h);
        float inner = 0.79788456080286535587989211986876f * x * fmaf(0.044715f * x, x, 1.0f);
        table[h] = ls_f16_to_f32(ls_f32_to_f16(0.5f * x * (1.0f + ls_tanh_f(inner))));
    }
}

static float gelu(const float *table, float x)
{
    if (x <= -10.0f) return 0.0f;
    return x >= 10.0f ? x : table[ls_f32_to_f16(x)]; /* NaN has an entry too */
}

/* The gated unit of gpt-oss: both sides are clamped, and the linear one is off by 1. */
static float swiglu_oai(float g, float u)
{
    float x = g > 7.0f ? 7.0f : g, y = u > 7.0f ? 7.0f : u;
    if (y < -7.0f) y = -7.0f;
    return x / (1.0f + ls_exp_f(1.702f * -x)) * (y + 1.0f);
}

/* y = the activation of n elements of g, times u; NULL: of them alone. */
static void act_part(const row_job *j, float *y, const float *g, const float *u, size_t n)
{
    const ls_kernels *k = &j->s->k;
    switch (j->act) {
    case LS_SILU:
        k->silu_mul(y, g, u, n, j->s->opt.lanes);
        break;
    case LS_RELU2:
        k->relu2_mul(y, g, u, n);
        break;
    case LS_GELU:
        for (size_t i = 0; i < n; i++) y[i] = gelu(j->s->gelu, g[i]) * (u ? u[i] : 1.0f);
        break;
    case LS_SWIGLU_OAI:
        for (size_t i = 0; i < n; i++) y[i] = swiglu_oai(g[i], u[i]);
        break;
    }
}

static void act_rows(void *ctx, size_t begin, size_t end, int thread)
{
    const row_job *j = ctx;
    (void)thread;
    for (size_t t = begin; t < end; t++) {
        size_t at = t * j->n;
        act_part(j, j->y + at, j->a + at, j->b ? j->b + at : NULL, j->n);
    }
}

void ls_act_rows(ls_session *s, ls_ffn_act act, const float *up, size_t n, size_t T)
{
    row_job j = {.s = s, .y = s->gate, .a = s->gate, .b = up, .n = n, .act = act};
    ls_pool_run(s->pool, act_rows, &j, T, 1);
}

/* Part of the rows of a feed-forward block, while they are in the cache: biases and activation. */
typedef struct up_job {
    row_job      act;
    const float *gate_b, *up_b;
    size_t       T;
} up_job;

static void act_columns(void *ctx, size_t begin, size_t end, float *up, size_t ld)
{
    const up_job     *j = ctx;
    const ls_kernels *k = &j->act.s->k;
    for (size_t t = 0; t < j->T; t++) {
        float *g = j->act.s->gate + t * j->act.n + begin, *u = up ? up + t * ld : NULL;
        if (j->gate_b) k->add(g, g, j->gate_b + begin, end - begin);
        if (j->up_b) k->add(u, u, j->up_b + begin, end - begin);
        act_part(&j->act, g, g, u, end - begin);
    }
}

void ls_gated(ls_session *s, const ls_gate *w, ls_ffn_act act, ls_input x, size_t T)
{
    size_t           F = w->up->n_rows;
    const ls_product p[] = {{w->gate, s->gate, F}, {w->up, s->up, F}};
    up_job           j = {{.s = s, .n = F, .act = act}, w->gate_b, w->up_b, T};
    ls_row_end       end = {act_columns, &j};
    ls_linear_end(s, p, 2, x, T, &end);
}

void ls_ffn_up_gated(ls_session *s, const ls_layer *l, int32_t i, ls_ffn_act act, ls_input x,
                     size_t T)
{
    size_t           F = l->up.n_rows;
    const ls_product p[] = {{&l->gate, s->gate, F}, {&l->up, s->up, F}};
    const ls_gate    w = {&l->gate, &l->up, l->gate_b, l->up_b};
    if (!ls_is_watched(s)) {
        ls_gated(s, &w, act, x, T);
        return;
    }
    ls_linear(s, p, 2, x, T, true);
    add_bias(s, s->gate, l->gate_b, F, T);
    add_bias(s, s->up, l->up_b, F, T);
    ls_tap_rows(s, LS_OP_FFN_GATE, i, s->gate, F, F, T);
    ls_tap_rows(s, LS_OP_FFN_UP, i, s->up, F, F, T);
    ls_act_rows(s, act, s->up, F, T);
    ls_tap_rows(s, LS_OP_FFN_ACT, i, s->gate, F, F, T);
}

void ls_ffn_up_plain(ls_session *s, const ls_layer *l, int32_t i, ls_ffn_act act, ls_input x,
                     size_t T)
{
    size_t           F = l->up.n_rows;
    const ls_product p = {&l->up, s->gate, F};
    up_job           j = {{.s = s, .n = F, .act = act}, l->up_b, NULL, T};
    const ls_row_end end = {act_columns, &j};
    if (!ls_is_watched(s)) {
        ls_linear_end(s, &p, 1, x, T, &end);
        return;
    }
    ls_linear(s, &p, 1, x, T, true);
    add_bias(s, s->gate, l->up_b, F, T);
    ls_tap_rows(s, LS_OP_FFN_UP, i, s->gate, F, F, T);
    ls_act_rows(s, act, NULL, F, T);
    ls_tap_rows(s, LS_OP_FFN_ACT, i, s->gate, F, F, T);
}

void ls_ffn_down(ls_session *s, const ls_layer *l, int32_t i, float *y, size_t T)
{
    size_t           D = l->down.n_rows;
    const ls_product p = {&l->down, y, D};
    ls_linear(s, &p, 1,
              block_rows(s, LS_OP_FFN_SUB_NORM, i, s->gate, &l->ffn_sub_norm, l->down.n, T), T,
              true);
    add_bias(s, y, l->down_b, D, T);
    ls_tap_rows(s, LS_OP_FFN_DOWN, i, y, D, D, T);
}

/* ---- the head ---- */

void ls_softcap(const ls_session *s, float *x, float cap, size_t n)
{
    float inverse = 1.0f / cap;
    for (size_t i = 0; i < n; i++) {
        float r = x[i] * inverse;
        x[i] = (s->opt.follow ? tanhf(r) : ls_tanh_f(r)) * cap;
    }
}

void ls_finish_logits(ls_session *s, size_t n)
{
    const ls_model_config *c = &s->model->config;
    size_t                 V = (size_t)c->n_vocab;
    add_bias(s, s->logits, s->model->output_b, V, n);
    ls_scale(s, s->logits, (float)c->logit_scale, V, n);
    for (size_t t = 0; c->final_softcap > 0 && t < n; t++) {
        ls_softcap(s, s->logits + t * V, (float)c->final_softcap, V);
    }
}
