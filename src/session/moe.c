// SPDX-License-Identifier: MIT
/* moe.c - mixtures of experts: a router chooses some feed-forward blocks for each token.
 *
 * Shazeer et al. 2017 (arXiv:1701.06538), section 2.1; the shared expert: Dai et al. 2024
 * (arXiv:2401.06066), section 3.2. Token by token, so that batches cannot matter.
 */
#include <string.h>

#include "session/ops.h"

#include "kernel/mathd.h"
#include "kernel/numeric_inl.h"

static ls_matrix expert(const ls_matrix *of, size_t e)
{
    ls_matrix w = *of;
    w.data = (const uint8_t *)w.data + e * w.n_rows * w.row_bytes;
    w.n_packed = of->n_packed < e * w.n_rows ? 0 : of->n_packed - e * w.n_rows;
    if (w.n_packed > w.n_rows) w.n_packed = w.n_rows;
    w.strips = w.n_packed ? of->strips + e * w.n_rows * ls_matrix_strip_row(&w) : NULL;
    return w;
}

/* y[n_rows] = W x + b */
static void multiply(ls_session *s, const ls_matrix *w, const float *bias, float *y, const float *x)
{
    const ls_product p = {w, y, w->n_rows};
    ls_linear(s, &p, 1, (ls_input){.x = x}, 1, true);
    if (bias) s->k.add(y, y, bias, w->n_rows);
}

/* What is computed: token t of T, in layer i, by the chosen expert number u, the best being 0. */
typedef struct place {
    int32_t i;
    size_t  t, u, T;
} place;

static const ls_op inside[] = {LS_OP_FFN_GATE, LS_OP_FFN_UP, LS_OP_FFN_ACT, LS_OP_FFN_DOWN};

/* One row of inside[k]. Who watches sees the rows of all tokens and experts when all are there. */
static void tap(ls_session *s, int k, const place *at, float *row, size_t n)
{
    ls_tap shown = {inside[k], at->i, s->base + (int32_t)at->t, (int32_t)at->u, row, n, at->T == 1};
    for (size_t j = 0; s->has_taps && j < LS_MAX_TAPS; j++) {
        if (s->opt.taps[j].fn) s->opt.taps[j].fn(s->opt.taps[j].ctx, &shown);
    }
    if (s->opt.watch.fn)
        memcpy(s->in_experts[k] + (at->u * at->T + at->t) * n, row, n * sizeof(*row));
}

static void show_inside(const ls_session *s, const ls_layer *l, int32_t i, size_t T)
{
    size_t used = (size_t)s->model->config.n_expert_used;
    for (int k = 0; s->opt.watch.fn && k < 4; k++) {
        size_t        n = inside[k] == LS_OP_FFN_DOWN ? l->down_exps.n_rows : l->up_exps.n_rows;
        ls_tap_values v = {inside[k], i, s->base, used, T, n, s->in_experts[k]};
        s->opt.watch.fn(s->opt.watch.ctx, &v);
    }
}

/* Softmax over experts. Attention's rows end where the reference's are padded with zeros; these do
 * not: what is left over of groups of `lanes` is exponentiated and added one by one. */
static void softmax(const ls_session *s, float *x, size_t n)
{
    size_t lanes = (size_t)s->opt.lanes, whole = n - n % lanes, i = 0;
    float  max = x[0], scale;
    double sum = 0;
    for (size_t e = 1; e < n; e++) max = x[e] > max ? x[e] : max;
    for (size_t e = 0; e < whole; e++) x[e] = ls_expf(x[e] - max, s->opt.lanes);
    for (; i < whole; i += lanes) sum += (double)ls_tree_sum(x + i, s->opt.lanes);
    for (; i < n; i++) {
        x[i] = ls_exp_f(x[i] - max);
        sum += (double)x[i];
    }
    scale = (float)(1.0 / sum);
    s->k.scale(x, scale, n);
}

/* The largest `used` of n values, best first; the lower index among equals. */
static void choose(int32_t *chosen, size_t used, const float *value, size_t n)
{
    for (size_t u = 0; u < used; u++) {
        int32_t best = -1;
        for (size_t e = 0; e < n; e++) {
            bool taken = false;
            for (size_t k = 0; k < u; k++) taken = taken || chosen[k] == (int32_t)e;
            if (!taken && (best < 0 || value[e] > value[best])) best = (int32_t)e;
        }
        chosen[u] = best;
    }
}

/* The experts of one token and their weights, from its row of logits. */
static void route(const ls_session *s, const ls_moe *moe, float *logits, int32_t *chosen,
                  float *weights)
{
    const ls_model_config *c = &s->model->config;
    size_t                 E = (size_t)c->n_expert, used = (size_t)c->n_expert_used;
    double                 sum = 0;

    if (!moe->softmax_chosen) softmax(s, logits, E);
    choose(chosen, used, logits, E);
    for (size_t u = 0; u < used; u++) weights[u] = logits[chosen[u]];
    if (moe->softmax_chosen) softmax(s, weights, used);
    for (size_t u = 0; moe->normalise && u < used; u++) sum += (double)weights[u];
    for (size_t u = 0; moe->normalise && u < used; u++) {
        float all = (float)sum;
        weights[u] /= all > 0x1p-14f ? all : 0x1p-14f; /* the smallest normal F16 */
    }
}

/* The experts' numbers and weights as taps. A number that a tap has changed is obeyed. */
static void show_choice(ls_session *s, int32_t i, float *weights, size_t T)
{
    size_t used = (size_t)s->model->config.n_expert_used, E = (size_t)s->model->config.n_expert;
    float *numbers = s->router + 2 * T * E;
    if (!ls_is_watched(s)) return;
    for (size_t k = 0; k < T * used; k++) numbers[k] = (float)s->chosen[k];
    ls_tap_rows(s, LS_OP_FFN_MOE_TOPK, i, numbers, used, used, T);
    for (size_t k = 0; k < T * used; k++) {
        if (numbers[k] >= 0 && numbers[k] < (float)E) s->chosen[k] = (int32_t)numbers[k];
    }
    ls_tap_rows(s, LS_OP_FFN_MOE_WEIGHTS, i, weights, used, used, T);
}

/* y = the output of expert e for the row x of a token. */
static void run_expert(ls_session *s, const ls_layer *l, const place *at, const ls_moe *moe,
                       size_t e, const float *x, float *y)
{
    const ls_matrix gate = expert(&l->gate_exps, e), up = expert(&l->up_exps, e),
                    down = expert(&l->down_exps, e);
    size_t        F = up.n_rows, D = down.n_rows;
    const ls_gate w = {&gate, &up, l->gate_exps_b ? l->gate_exps_b + e * F : NULL,
                       l->up_exps_b ? l->up_exps_b + e * F : NULL};
    if (ls_is_watched(s)) {
        multiply(s, &up, w.up_b, s->up, x);
        multiply(s, &gate, w.gate_b, s->gate, x);
        tap(s, 0, at, s->gate, F);
        tap(s, 1, at, s->up, F);
        ls_act_rows(s, moe->act, s->up, F, 1);
        tap(s, 2, at, s->gate, F);
    } else {
        ls_gated(s, &w, moe->act, (ls_input){.x = x}, 1);
    }
    multiply(s, &down, l->down_exps_b ? l->down_exps_b + e * D : NULL, y, s->gate);
    tap(s, 3, at, y, D);
}

/* y += sigmoid(w x) * shared expert of x, the sigmoid as silu(g) / g, as the reference has it. */
static void add_shared(ls_session *s, const ls_layer *l, const ls_moe *moe, float *y, ls_input x,
                       size_t T)
{
    size_t           D = l->down_shared.n_rows;
    const ls_gate    up = {&l->gate_shared, &l->up_shared, NULL, NULL};
    const ls_product down = {&l->down_shared, s->ffn, D},
                     router = {&l->router_shared, s->router, 1};
    ls_linear(s, &router, 1, x, T, true);
    ls_gated(s, &up, moe->act, x, T);
    ls_linear(s, &down, 1, (ls_input){.x = s->gate}, T, true);
    for (size_t t = 0; t < T; t++) {
        float g = s->router[t];
        s->k.scale(s->ffn + t * D, g / (1.0f + ls_exp_f(-g)) / g, D);
        s->k.add(y + t * D, y + t * D, s->ffn + t * D, D);
    }
}

/* Tokens of this batch that chose expert e: the order of sums that is followed may depend on it. */
static size_t tokens_of(const ls_session *s, int32_t e, size_t n)
{
    size_t count = 0;
    for (size_t k = 0; s->opt.follow && k < n; k++) count += s->chosen[k] == e;
    return count;
}

void ls_moe_ffn(ls_session *s, const ls_layer *l, int32_t i, const ls_moe *moe, float *y,
                ls_input x, size_t T)
{
    const ls_model_config *c = &s->model->config;
    size_t D = (size_t)c->n_embd, E = (size_t)c->n_expert, used = (size_t)c->n_expert_used;
    const ls_product router = {&l->router, s->router, E};
    const ls_input   made = ls_input_made(&x);
    float           *weights = s->router + T * E;

    ls_linear(s, &router, 1, x, T, true);
    for (size_t t = 0; l->router_b && t < T; t++) {
        s->k.add(s->router + t * E, s->router + t * E, l->router_b, E);
    }
    ls_tap_rows(s, LS_OP_FFN_ROUTER, i, s->router, E, E, T);
    for (size_t t = 0; t < T; t++) {
        route(s, moe, s->router + t * E, s->chosen + t * used, weights + t * used);
    }
    show_choice(s, i, weights, T);
    for (size_t t = 0; t < T; t++) {
        const float *row = made.x + t * D;
        float       *out = y + t * D;
        for (size_t u = 0; u < used; u++) {
            const place at = {i, t, u, T};
            int32_t     e = s->chosen[t * used + u];
            float      *one = u ? s->ffn : out;
            s->expert_batch = tokens_of(s, e, T * used);
            run_expert(s, l, &at, moe, (size_t)e, row, one);
            s->k.scale(one, weights[t * used + u], D);
            if (u) s->k.add(out, out, one, D);
        }
    }
    s->expert_batch = 0;
    show_inside(s, l, i, T);
    if (moe->shared) add_shared(s, l, moe, y, made, T);
    ls_tap_rows(s, LS_OP_FFN_MOE_OUT, i, y, D, D, T);
}
