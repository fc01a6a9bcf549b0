// SPDX-License-Identifier: MIT
/* walk.c - the reference's values of one evaluation, and the subject's beside them. */
#include "record/walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

ls_status ls_walk_init(ls_walk *w, ls_error *err)
{
    return ls_alloc(&w->index, LS_N_OPS * (w->n_layers + 1), sizeof(*w->index), "taps", err);
}

void ls_walk_drop(ls_walk *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->taps[i].data);
        free(w->taps[i].d2);
        free(w->taps[i].r2);
        free(w->taps[i].free_run);
        free(w->taps[i].exact);
        free(w->taps[i].s2);
        free(w->taps[i].f2);
        free(w->taps[i].e2);
    }
    if (w->index) memset(w->index, 0, LS_N_OPS * (w->n_layers + 1) * sizeof(*w->index));
    w->n = w->bytes = 0;
}

void ls_walk_fini(ls_walk *w)
{
    ls_walk_drop(w);
    free(w->taps);
    free(w->index);
    *w = (ls_walk){0};
}

static size_t *slot(const ls_walk *w, ls_op op, int32_t layer)
{
    return &w->index[(size_t)op * (w->n_layers + 1) + (size_t)(layer + 1)];
}

ls_walk_tap *ls_walk_find(const ls_walk *w, ls_op op, int32_t layer)
{
    size_t at = layer < (int32_t)w->n_layers ? *slot(w, op, layer) : 0;
    return at ? &w->taps[at - 1] : NULL;
}

double ls_walk_nmse(double d2, double r2)
{
    if (!isfinite(d2) || !isfinite(r2)) return (double)NAN;
    return d2 == 0 ? 0 : r2 > 0 ? d2 / r2 : (double)INFINITY;
}

double ls_walk_centred_nmse(const float *a, const float *b, size_t n)
{
    double mean_a = 0, mean_b = 0, d2 = 0, r2 = 0;
    for (size_t k = 0; k < n; k++) {
        mean_a += (double)a[k] / (double)n;
        mean_b += (double)b[k] / (double)n;
    }
    for (size_t k = 0; k < n; k++) {
        double x = (double)a[k] - mean_a, y = (double)b[k] - mean_b;
        d2 += (x - y) * (x - y);
        r2 += y * y;
    }
    return ls_walk_nmse(d2, r2);
}

/* ---- the reference ---- */

size_t ls_walk_tap_bytes(const ls_walk *w, size_t heads, size_t rows, size_t n, bool exact)
{
    size_t value = sizeof(float) + (exact ? sizeof(double) : 0);
    size_t row = (exact ? 5 : 2) * sizeof(double); /* d2, r2; s2, f2, e2 */
    return heads * rows * (n * value + row) + (w->free_run ? rows * sizeof(ls_map_cell) : 0);
}

static ls_status hold(ls_walk *w, const ls_tap_values *v, ls_error *err)
{
    size_t       n_rows = v->heads * v->rows, n = n_rows * v->n;
    bool         judged = v->op == w->judged_op && v->layer == w->judged_layer;
    bool         exact = w->oracle && (!w->judging || judged);
    ls_walk_tap *t;
    w->bytes += ls_walk_tap_bytes(w, v->heads, v->rows, v->n, exact);
    if (w->bytes > w->max_bytes)
        return ls_fail(err, LS_ERR_LIMIT, "the taps of layers %d to %d take more than %zu MiB",
                       w->first, w->last, w->max_bytes >> 20);
    LS_TRY(ls_grow(&w->taps, &w->cap, w->n + 1, sizeof(*w->taps), "taps", err));
    t = &w->taps[w->n];
    *t = (ls_walk_tap){.op = v->op,
                       .layer = v->layer,
                       .pos = v->pos,
                       .heads = v->heads,
                       .rows = v->rows,
                       .n = v->n};
    LS_TRY(ls_alloc(&t->data, n, sizeof(float), "a tap", err));
    w->n++; /* from here on it is freed with the others */
    LS_TRY(ls_alloc(&t->d2, n_rows, sizeof(double), "a tap", err));
    LS_TRY(ls_alloc(&t->r2, n_rows, sizeof(double), "a tap", err));
    if (w->free_run) LS_TRY(ls_alloc(&t->free_run, v->rows, sizeof(*t->free_run), "a tap", err));
    if (exact) {
        LS_TRY(ls_alloc(&t->exact, n, sizeof(double), "a tap", err));
        LS_TRY(ls_alloc(&t->s2, n_rows, sizeof(double), "a tap", err));
        LS_TRY(ls_alloc(&t->f2, n_rows, sizeof(double), "a tap", err));
        LS_TRY(ls_alloc(&t->e2, n_rows, sizeof(double), "a tap", err));
    }
    memcpy(t->data, v->data, n * sizeof(float));
    for (size_t r = 0; r < n_rows; r++) t->d2[r] = -1;
    for (size_t r = 0; t->free_run && r < v->rows; r++) t->free_run[r].accumulated = -1;
    *slot(w, v->op, v->layer) = w->n;
    return LS_OK;
}

static bool wanted(const ls_walk *w, ls_op op, int32_t layer)
{
    if (op == LS_OP_LOGITS || layer >= (int32_t)w->n_layers) return false;
    if (op == LS_OP_FINAL_NORM) return w->last + 1 >= (int32_t)w->n_layers;
    if (op == LS_OP_LAYER_OUT && layer == w->first - 1) return true;
    return layer < 0 || (layer >= w->first && layer <= w->last);
}

void ls_walk_hold(void *ctx, const ls_tap_values *v)
{
    ls_walk *w = ctx;
    if (w->status == LS_OK && wanted(w, v->op, v->layer)) w->status = hold(w, v, &w->error);
}

/* ---- the subject by itself ---- */

/* Keep the coordinates that differ most, the largest first; what is not finite is larger still. */
void ls_walk_keep_worst(ls_map_cell *c, size_t index, float subject, float reference)
{
    float        d = fabsf(subject - reference);
    ls_map_value v = {.index = (uint32_t)index, .subject = subject, .reference = reference};
    uint32_t     at = c->n_worst;
    if (d == 0) return;
    if (isnan(d)) d = INFINITY;
    for (; at > 0; at--) {
        float other = fabsf(c->worst[at - 1].subject - c->worst[at - 1].reference);
        if (!(d > other)) break;
        if (at < LS_MAP_VALUES) c->worst[at] = c->worst[at - 1];
    }
    if (at == LS_MAP_VALUES) return;
    c->worst[at] = v;
    if (c->n_worst < LS_MAP_VALUES) c->n_worst++;
}

/* The difference that one has to exceed to be kept. */
static double least_kept(const ls_map_cell *c)
{
    const ls_map_value *v = &c->worst[LS_MAP_VALUES - 1];
    float               d = c->n_worst < LS_MAP_VALUES ? 0 : fabsf(v->subject - v->reference);
    return (double)d;
}

void ls_walk_free(void *ctx, const ls_tap_values *v)
{
    const ls_walk *w = ctx;
    ls_walk_tap   *t = ls_walk_find(w, v->op, v->layer);
    if (!t || t->heads != v->heads || t->rows != v->rows || t->n != v->n || t->pos != v->pos)
        return;
    for (size_t r = 0; r < t->rows; r++) {
        ls_map_cell *c = &t->free_run[r];
        double       d2 = 0, r2 = 0, least = 0;
        for (size_t h = 0; h < t->heads; h++) {
            const float *a = v->data + (h * t->rows + r) * t->n;
            const float *b = t->data + (h * t->rows + r) * t->n;
            for (size_t i = 0; i < t->n; i++) {
                double d = (double)a[i] - (double)b[i];
                d2 += d * d;
                r2 += (double)b[i] * (double)b[i];
                /* Most are no larger than what is kept already; NaN is. */
                if (d != 0 && !(fabs(d) <= least)) {
                    ls_walk_keep_worst(c, h * t->n + i, a[i], b[i]);
                    least = least_kept(c);
                }
            }
        }
        c->accumulated = ls_walk_nmse(d2, r2);
    }
}

/* ---- in the reference's steps ---- */

/* Index in t->data of the row that a tap shows; SIZE_MAX: it is not there. */
static size_t row_start(const ls_walk_tap *t, int32_t pos, int32_t head_or_none, size_t n)
{
    size_t head = head_or_none < 0 ? 0 : (size_t)head_or_none;
    if (!t || pos < t->pos || (size_t)(pos - t->pos) >= t->rows) return SIZE_MAX;
    if (head >= t->heads || n > t->n) return SIZE_MAX;
    return (head * t->rows + (size_t)(pos - t->pos)) * t->n;
}

static void compare_with_oracle(ls_walk_tap *t, size_t at, const ls_tap *tap)
{
    double s2 = 0, f2 = 0, e2 = 0;
    for (size_t i = 0; i < tap->n; i++) {
        double e = t->exact[at + i], s = (double)tap->data[i], f = (double)t->data[at + i];
        if (e == -(double)INFINITY && f == 0 && s == e) continue;
        s2 += (s - e) * (s - e);
        f2 += (f - e) * (f - e);
        e2 += e * e;
    }
    t->s2[at / t->n] = s2;
    t->f2[at / t->n] = f2;
    t->e2[at / t->n] = e2;
}

/* A row of attention ends at its position; what its window hides (minus infinity) stays hidden. */
void ls_walk_step(void *ctx, const ls_tap *tap)
{
    ls_walk_tap *t = ls_walk_find(ctx, tap->op, tap->layer);
    size_t       at = row_start(t, tap->pos, tap->head, tap->n);
    double       d2 = 0, r2 = 0;
    if (at == SIZE_MAX) return;
    if (t->exact) compare_with_oracle(t, at, tap);
    for (size_t i = 0; i < tap->n; i++) {
        float  ref = t->data[at + i];
        double d;
        if (tap->data[i] == -INFINITY && ref == 0) continue;
        d = (double)tap->data[i] - (double)ref;
        d2 += d * d;
        r2 += (double)ref * (double)ref;
        tap->data[i] = ref;
    }
    t->d2[at / t->n] = d2;
    t->r2[at / t->n] = r2;
}

void ls_walk_step64(void *ctx, const ls_tap64 *tap)
{
    ls_walk_tap *t = ls_walk_find(ctx, tap->op, tap->layer);
    size_t       at = row_start(t, tap->pos, tap->head, tap->n);
    for (size_t i = 0; at != SIZE_MAX && i < tap->n; i++) {
        if (t->exact) t->exact[at + i] = tap->data[i];
        if (tap->data[i] == -(double)INFINITY && t->data[at + i] == 0) continue;
        tap->data[i] = (double)t->data[at + i];
    }
}

/* Outside the layers that are held nothing is needed: what comes in from there is the reference's.
 */
bool ls_walk_given(void *ctx, ls_op op, int32_t layer)
{
    const ls_walk *w = ctx;
    bool           at_end = w->last + 1 >= (int32_t)w->n_layers;
    if (w->judging && (op != w->judged_op || layer != w->judged_layer))
        return layer != w->judged_layer || ls_walk_find(w, op, layer) != NULL;
    if (layer >= 0) return layer < w->first || layer > w->last;
    return op != LS_OP_EMBEDDINGS && !at_end;
}

double ls_walk_isolated(const ls_walk_tap *t, size_t row)
{
    double d2 = 0, r2 = 0;
    for (size_t h = 0; h < t->heads; h++) {
        if (t->d2[h * t->rows + row] < 0) return -1;
        d2 += t->d2[h * t->rows + row];
        r2 += t->r2[h * t->rows + row];
    }
    return ls_walk_nmse(d2, r2);
}

ls_walk_errors ls_walk_oracle_errors(const ls_walk_tap *t, size_t row)
{
    double s2 = 0, f2 = 0, e2 = 0;
    for (size_t h = 0; h < t->heads; h++) {
        s2 += t->s2[h * t->rows + row];
        f2 += t->f2[h * t->rows + row];
        e2 += t->e2[h * t->rows + row];
    }
    return (ls_walk_errors){ls_walk_nmse(s2, e2), ls_walk_nmse(f2, e2)};
}
