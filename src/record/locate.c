// SPDX-License-Identifier: MIT
/* locate.c - the first operation that differs, and whether its error was born there.
 *
 * The subject is made to walk in the reference's steps: at every tap its value is compared with the
 * reference's and then replaced by it. What differs then was computed from the reference's own
 * input, by this operation alone; nothing is carried along.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lockstep/record.h"

#define DEFAULT_BYTES ((size_t)256 << 20)

/* A tap of the reference, all positions of the evaluation at work. */
typedef struct entry {
    ls_op   op;
    int32_t layer, pos;
    size_t  heads, rows, n;
    float  *data;    /* [heads][rows][n] */
    double *d2, *r2; /* [heads][rows]: of the subject in isolation */
} entry;

typedef struct work {
    const ls_locate_options *opt;
    ls_located              *out;
    int32_t                  first, last; /* layers whose values are held */
    size_t                   bytes, max_bytes;
    entry                   *entries;
    size_t                   n, cap;
    size_t                  *index; /* [LS_N_OPS][n_layers + 1]: entry + 1, 0: none */
    size_t                   n_layers;
    ls_status                status; /* of the watch */
    ls_error                 error;
} work;

static size_t *slot(const work *w, ls_op op, int32_t layer)
{
    return &w->index[(size_t)op * (w->n_layers + 1) + (size_t)(layer + 1)];
}

/* ---- the reference's values ---- */

static ls_status hold(work *w, const ls_tap_values *v, ls_error *err)
{
    size_t n_rows = v->heads * v->rows, n = n_rows * v->n;
    entry *e;
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 256;
        void  *more = realloc(w->entries, cap * sizeof(*w->entries));
        if (!more) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for %zu taps", cap);
        w->entries = more;
        w->cap = cap;
    }
    w->bytes += n * sizeof(float);
    if (w->bytes > w->max_bytes) {
        return ls_fail(err, LS_ERR_LIMIT, "the taps of layers %d to %d take more than %zu MiB",
                       w->first, w->last, w->max_bytes >> 20);
    }
    e = &w->entries[w->n];
    *e = (entry){.op = v->op,
                 .layer = v->layer,
                 .pos = v->pos,
                 .heads = v->heads,
                 .rows = v->rows,
                 .n = v->n};
    LS_TRY(ls_alloc(&e->data, n, sizeof(float), "a tap", err));
    w->n++; /* from here on it is freed with the others */
    LS_TRY(ls_alloc(&e->d2, n_rows, sizeof(double), "a tap", err));
    LS_TRY(ls_alloc(&e->r2, n_rows, sizeof(double), "a tap", err));
    memcpy(e->data, v->data, n * sizeof(float));
    for (size_t r = 0; r < n_rows; r++) e->d2[r] = -1; /* not compared */
    *slot(w, v->op, v->layer) = w->n;
    return LS_OK;
}

static void drop(work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        *slot(w, w->entries[i].op, w->entries[i].layer) = 0;
        free(w->entries[i].data);
        free(w->entries[i].d2);
        free(w->entries[i].r2);
    }
    w->n = w->bytes = 0;
}

static void watch(void *ctx, const ls_tap_values *v)
{
    work *w = ctx;
    bool  inside = v->layer < 0 || (v->layer >= w->first && v->layer <= w->last);
    if (w->status != LS_OK || !inside || v->op == LS_OP_LOGITS || v->layer >= (int32_t)w->n_layers)
        return;
    w->status = hold(w, v, &w->error);
}

/* ---- the subject in its steps ---- */

static entry *find(const work *w, const ls_tap *tap)
{
    size_t at = tap->layer < (int32_t)w->n_layers ? *slot(w, tap->op, tap->layer) : 0;
    entry *e = at ? &w->entries[at - 1] : NULL;
    return e && tap->pos >= e->pos && (size_t)(tap->pos - e->pos) < e->rows ? e : NULL;
}

/* Compare one row and put the reference's in its place. Rows of one tap may come from several
 * threads, but each row from one. A row of attention ends at its position; what its window hides
 * (minus infinity) stays hidden. */
static void step(void *ctx, const ls_tap *tap)
{
    const work  *w = ctx;
    entry       *e = find(w, tap);
    size_t       head = tap->head < 0 ? 0 : (size_t)tap->head, r;
    const float *ref;
    double       d2 = 0, r2 = 0;
    if (!e || head >= e->heads || tap->n > e->n) return;
    r = head * e->rows + (size_t)(tap->pos - e->pos);
    ref = e->data + r * e->n;
    for (size_t i = 0; i < tap->n; i++) {
        double d;
        if (tap->data[i] == -INFINITY && ref[i] == 0) continue;
        d = (double)tap->data[i] - (double)ref[i];
        d2 += d * d;
        r2 += (double)ref[i] * (double)ref[i];
        tap->data[i] = ref[i];
    }
    e->d2[r] = d2;
    e->r2[r] = r2;
}

static double nmse(double d2, double r2)
{
    if (!isfinite(d2) || !isfinite(r2)) return (double)NAN;
    return d2 == 0 ? 0 : r2 > 0 ? d2 / r2 : (double)INFINITY;
}

/* Of one position of a tap, over its heads; -1: not compared. */
static double isolated_at(const entry *e, size_t row)
{
    double d2 = 0, r2 = 0;
    for (size_t h = 0; h < e->heads; h++) {
        if (e->d2[h * e->rows + row] < 0) return -1;
        d2 += e->d2[h * e->rows + row];
        r2 += e->r2[h * e->rows + row];
    }
    return nmse(d2, r2);
}

static void take_birth(work *w, ls_op op, int32_t layer, int32_t pos, double x)
{
    ls_located *out = w->out;
    out->found = out->born = true;
    out->op = op;
    out->layer = layer;
    out->position = pos;
    out->isolated = x;
}

/* The first operation over the budget, in the order in which the reference showed its taps. */
static void find_birth(work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const entry *e = &w->entries[i];
        for (size_t row = 0; row < e->rows; row++) {
            double x = isolated_at(e, row);
            if (x == -1 || x <= w->opt->tap_tol) continue;
            take_birth(w, e->op, e->layer, e->pos + (int32_t)row, x);
            return;
        }
    }
}

/* Of two rows, each minus its mean: a constant changes no probability. */
static double centred_nmse(const float *a, const float *b, size_t n)
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
    return nmse(d2, r2);
}

/* The logits, from the reference's own final norm: no tap can replace them, but they are the last.
 */
static ls_status compare_logits(work *w, ls_engine *subject, ls_engine *reference, size_t n,
                                int32_t pos, ls_error *err)
{
    size_t V = (size_t)ls_engine_get_info(subject)->n_vocab;
    for (size_t i = 0; i < n && !w->out->found; i++) {
        const float *a, *b;
        double       x;
        LS_TRY(ls_engine_logits(subject, i, &a, err));
        LS_TRY(ls_engine_logits(reference, i, &b, err));
        x = centred_nmse(a, b, V);
        if (!(x <= w->opt->tap_tol)) take_birth(w, LS_OP_LOGITS, -1, pos + (int32_t)i, x);
    }
    return LS_OK;
}

/* ---- the passes ---- */

static void close_engine(const ls_locate_options *o, ls_engine *e)
{
    if (e && o->close)
        o->close(o->ctx, e);
    else
        ls_engine_close(e);
}

static ls_status record_one(const work *w, bool subject, ls_trace *out, ls_error *err)
{
    const ls_locate_options *o = w->opt;
    ls_trace_options         to = {.prompt = o->prompt,
                                   .n_prompt = o->n_prompt,
                                   .decoded = o->decoded,
                                   .max_tokens = (int32_t)o->n_decoded,
                                   .cancelled = o->cancelled};
    ls_recorder             *r;
    ls_engine               *e = NULL;
    ls_status                status;
    for (int op = 0; op < LS_N_OPS; op++) to.ops[op] = true;
    LS_TRY(ls_recorder_create(&r, &to, err));
    status = o->open(o->ctx, subject, ls_recorder_watch(r), NULL, NULL, &e, err);
    if (status == LS_OK) status = ls_recorder_run(r, e, out, err);
    close_engine(o, e);
    ls_recorder_destroy(r);
    return status;
}

/* One evaluation by both: the reference first, whose values the subject is then given. */
static ls_status walk(work *w, ls_engine *subject, ls_engine *reference, const int32_t *ids,
                      size_t n, int32_t pos, ls_error *err)
{
    ls_status status;
    if (w->opt->cancelled && *w->opt->cancelled)
        return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
    LS_TRY(ls_engine_eval(reference, ids, n, err));
    if (w->status != LS_OK) {
        *err = w->error;
        return w->status;
    }
    LS_TRY(ls_engine_eval(subject, ids, n, err));
    find_birth(w);
    status = compare_logits(w, subject, reference, n, pos, err);
    drop(w);
    return status;
}

static ls_status isolate(work *w, ls_error *err)
{
    const ls_locate_options *o = w->opt;
    ls_engine               *subject = NULL, *reference = NULL;
    ls_status                status;
    status = o->open(o->ctx, false, (ls_watch){watch, w}, NULL, NULL, &reference, err);
    if (status == LS_OK) status = o->open(o->ctx, true, (ls_watch){0}, step, w, &subject, err);
    if (status == LS_OK) status = walk(w, subject, reference, o->prompt, o->n_prompt, 0, err);
    for (size_t i = 0; status == LS_OK && !w->out->found && i < o->n_decoded; i++) {
        status = walk(w, subject, reference, o->decoded + i, 1, (int32_t)(o->n_prompt + i), err);
    }
    close_engine(o, subject);
    close_engine(o, reference);
    return status;
}

static int32_t layers_of(const ls_trace *t)
{
    int32_t n = 0;
    for (size_t i = 0; i < t->n_records; i++) {
        if (t->records[i].layer >= n) n = t->records[i].layer + 1;
    }
    return n;
}

/* Where the error shows, if nothing is found to be born anywhere: rounding that added up. */
static void take_carried(work *w, const ls_trace_diff *d)
{
    const ls_trace_diff_row *r = &d->rows[d->first_over];
    if (r->a->op == LS_OP_LOGITS) return; /* these have a budget of their own */
    w->out->found = true;
    w->out->op = r->a->op;
    w->out->layer = r->a->layer;
    w->out->position = r->a->pos;
}

static double accumulated(const ls_trace_diff *d, const ls_located *at)
{
    double worst = 0;
    for (size_t i = 0; i < d->n_rows; i++) {
        const ls_trace_diff_row *r = &d->rows[i];
        if (!r->a || !r->b || r->a->op != at->op || r->a->layer != at->layer) continue;
        if (!r->d.finite) return (double)NAN;
        if (r->d.nmse > worst) worst = r->d.nmse;
    }
    return worst;
}

static ls_status search(work *w, const ls_trace_diff *d, ls_error *err)
{
    int32_t   at = d->rows[d->first_over].a->layer, n = (int32_t)w->n_layers;
    ls_status status;
    bool      end = d->rows[d->first_over].a->op == LS_OP_FINAL_NORM ||
               d->rows[d->first_over].a->op == LS_OP_LOGITS;
    w->first = at < 0 ? (end ? n - 1 : 0) : at - 1;
    w->last = at < 0 ? (end ? n - 1 : 0) : at + 1;
    LS_TRY(ls_alloc(&w->index, LS_N_OPS * (w->n_layers + 1), sizeof(*w->index), "taps", err));
    status = isolate(w, err);
    if (status == LS_OK && !w->out->found) take_carried(w, d);
    if (status == LS_OK) w->out->accumulated = accumulated(d, w->out);
    return status;
}

static ls_status compare(work *w, const ls_trace *a, const ls_trace *b, ls_error *err)
{
    ls_trace_diff d;
    ls_status     status;
    LS_TRY(ls_trace_compare(&d, a, b, w->opt->tap_tol, err));
    w->out->taps_planned = d.n_planned;
    w->out->taps_compared = d.n_compared;
    w->out->taps_equal = d.n_same_bits;
    for (int op = 0; op < LS_N_OPS; op++)
        w->out->declined[op] = b->declined[op] && !a->declined[op];
    w->n_layers = (size_t)layers_of(a);
    status = d.n_compared == 0 || d.n_findings > 0
                 ? ls_fail(err, LS_ERR_REFERENCE, "the taps cannot be compared: %s",
                           d.reason[0] ? d.reason : "none are there")
                 : LS_OK;
    if (d.first_bits >= 0) {
        w->out->other_bits = true;
        w->out->bits_op = d.rows[d.first_bits].a->op;
        w->out->bits_layer = d.rows[d.first_bits].a->layer;
    }
    if (status == LS_OK && d.first_over >= 0) status = search(w, &d, err);
    ls_trace_diff_fini(&d);
    return status;
}

ls_status ls_locate(ls_located *out, const ls_locate_options *opt, ls_error *err)
{
    work      w = {.opt = opt, .out = out};
    ls_trace  a = {0}, b = {0};
    ls_status status;
    *out = (ls_located){.layer = -1, .position = -1, .budget = opt->tap_tol};
    w.max_bytes = opt->max_bytes ? opt->max_bytes : DEFAULT_BYTES;
    status = record_one(&w, true, &a, err);
    if (status == LS_OK) status = record_one(&w, false, &b, err);
    if (status == LS_OK) status = compare(&w, &a, &b, err);
    if (w.index) drop(&w);
    free(w.entries);
    free(w.index);
    ls_trace_fini(&a);
    ls_trace_fini(&b);
    return status;
}
