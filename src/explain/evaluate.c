// SPDX-License-Identifier: MIT
/* evaluate.c - the oracle in the reference's steps: everything but one operation is the
 * reference's, and that one is compared with it. */
#include <math.h>
#include <string.h>

#include "explain/explain_priv.h"

static const held *find(const work *w, ls_op op, int32_t layer)
{
    int32_t     at = w->opt->layer;
    const held *h = NULL;
    if (op == LS_OP_LAYER_OUT && layer == (at < 0 ? w->n_layers : at) - 1)
        h = &w->before;
    else if (layer == at || !ls_op_per_layer(op))
        h = &w->held[op];
    return h && h->rows ? h : NULL;
}

static bool is_target(const work *w, ls_op op, int32_t layer)
{
    return op == w->opt->op && layer == w->opt->layer;
}

/* What the reference has shown, and all that plays no part. */
bool ls_explain_given(void *ctx, ls_op op, int32_t layer)
{
    const work *w = ctx;
    bool        part = layer == w->opt->layer || layer < 0;
    if (is_target(w, op, layer)) return false;
    return !part || find(w, op, layer);
}

/* Logits are compared without what all of a row have in common. */
static double mean_of_difference(const ls_tap64 *tap, const float *ref)
{
    double mean = 0;
    for (size_t i = 0; i < tap->n; i++) mean += (tap->data[i] - (double)ref[i]) / (double)tap->n;
    return mean;
}

static double mean_of(const float *x, size_t n)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++) mean += (double)x[i] / (double)n;
    return mean;
}

static void compare(work *w, const held *h, const ls_tap64 *tap, const float *ref)
{
    size_t head = tap->head < 0 ? 0 : (size_t)tap->head;
    bool   logits = tap->op == LS_OP_LOGITS;
    double shift = logits ? mean_of_difference(tap, ref) : 0;
    double mean = logits ? mean_of(ref, tap->n) : 0;
    w->nobody = false;
    for (size_t i = 0; i < tap->n; i++) {
        double y = tap->data[i], r = (double)ref[i], d = y - r - shift;
        if (y == -(double)INFINITY) d = r; /* hidden; in the reference that is 0 */
        w->d2 += d * d;
        w->r2 += (r - mean) * (r - mean);
    }
    if (w->capture)
        memcpy(w->capture + ((size_t)tap->pos * h->heads + head) * tap->n, tap->data,
               tap->n * sizeof(double));
}

static void replace(const ls_tap64 *tap, const float *ref)
{
    for (size_t i = 0; i < tap->n; i++) {
        if (tap->data[i] == -(double)INFINITY && ref[i] == 0) continue;
        tap->data[i] = (double)ref[i];
    }
}

void ls_explain_tap(void *ctx, const ls_tap64 *tap)
{
    work        *w = ctx;
    const held  *h = find(w, tap->op, tap->layer);
    size_t       head = tap->head < 0 ? 0 : (size_t)tap->head;
    const float *ref;
    if (!h || (size_t)tap->pos >= w->positions || !h->rows[tap->pos] || head >= h->heads) return;
    if (tap->op != LS_OP_ATTN_SCORES && tap->op != LS_OP_ATTN_SCORES_SOFTMAX && tap->n != h->n)
        return;
    ref = h->rows[tap->pos] + head * tap->n;
    if (is_target(w, tap->op, tap->layer)) compare(w, h, tap, ref);
    replace(tap, ref);
}

int32_t ls_explain_id(const work *w, size_t position)
{
    const ls_explain_options *o = w->opt;
    return position < o->n_prompt ? o->prompt[position] : o->decoded[position - o->n_prompt];
}

static void tell(work *w)
{
    if (++w->done > w->planned) w->planned = w->done;
    if (w->opt->progress) w->opt->progress(w->opt->progress_ctx, w->done, w->planned);
}

static ls_status run(work *w, ls_error *err)
{
    const ls_explain_options *o = w->opt;
    size_t                    n = o->n_prompt < w->positions ? o->n_prompt : w->positions;
    const double             *row;
    if (o->cancelled && *o->cancelled) return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
    LS_TRY(ls_engine_reset(w->oracle, err));
    for (size_t at = 0; at < w->positions; at += n, n = 1) {
        const int32_t *ids = at == 0 ? o->prompt : o->decoded + (at - o->n_prompt);
        LS_TRY(ls_engine_eval(w->oracle, ids, n, err));
        for (size_t i = 0; o->op == LS_OP_LOGITS && i < n; i++) {
            if (w->held[LS_OP_LOGITS].rows && w->held[LS_OP_LOGITS].rows[at + i])
                LS_TRY(ls_oracle_logits(w->oracle, i, &row, err));
        }
    }
    return LS_OK;
}

double ls_explain_evaluate(work *w, const ls_semantics *s)
{
    if (w->status != LS_OK) return (double)NAN;
    ls_oracle_set_semantics(w->oracle, s);
    w->d2 = w->r2 = 0;
    w->nobody = true;
    w->status = run(w, &w->error);
    tell(w);
    if (w->status != LS_OK || w->nobody || !isfinite(w->d2) || !isfinite(w->r2)) return (double)NAN;
    return w->d2 == 0 ? 0 : w->r2 > 0 ? w->d2 / w->r2 : (double)INFINITY;
}
