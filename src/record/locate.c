// SPDX-License-Identifier: MIT
/* locate.c - the first operation that differs, and whether its error was born there.
 *
 * Sketches of both engines say around which layer to look. There the subject is made to walk in the
 * reference's steps (walk.h), so that what differs was computed from the reference's own input.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "record/map.h"
#include "record/outlier.h"
#include "record/reverse.h"

typedef struct work {
    const ls_locate_options *opt;
    ls_located              *out;
    ls_walk                  walk;
    ls_engine               *reference, *subject;
    ls_engine               *free_subject, *oracle; /* where they are needed, else NULL */
    size_t                   window;                /* bytes of layers that are held together */
    size_t rank;     /* of what was found: its place among the taps of an evaluation */
    char   pass[80]; /* what is being done */
} work;

/* ---- engines ---- */

static void close_engine(const ls_locate_options *o, ls_engine *e)
{
    if (e && o->close)
        o->close(o->ctx, e);
    else
        ls_engine_close(e);
}

static void close_engines(work *w)
{
    close_engine(w->opt, w->subject);
    close_engine(w->opt, w->reference);
    close_engine(w->opt, w->free_subject);
    ls_engine_close(w->oracle);
    w->subject = w->reference = w->free_subject = w->oracle = NULL;
}

static ls_status open_engines(work *w, ls_error *err)
{
    const ls_locate_options *o = w->opt;
    LS_TRY(
        o->open(o->ctx, false, (ls_watch){ls_walk_hold, &w->walk}, NULL, NULL, &w->reference, err));
    LS_TRY(o->open(o->ctx, true, (ls_watch){0}, ls_walk_step, &w->walk, &w->subject, err));
    if (w->walk.oracle)
        LS_TRY(o->open_oracle(o->ctx, ls_walk_step64, ls_walk_given, &w->walk, &w->oracle, err));
    if (!w->walk.free_run) return LS_OK;
    return o->open(o->ctx, true, (ls_watch){ls_walk_free, &w->walk}, NULL, NULL, &w->free_subject,
                   err);
}

/* One evaluation by all: the reference first, with whose values the subject is then compared. */
static ls_status evaluate(work *w, const int32_t *ids, size_t n, ls_error *err)
{
    if (w->opt->cancelled && *w->opt->cancelled)
        return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
    ls_walk_drop(&w->walk);
    LS_TRY(ls_engine_eval(w->reference, ids, n, err));
    if (w->walk.status != LS_OK) {
        *err = w->walk.error;
        return w->walk.status;
    }
    if (w->oracle) LS_TRY(ls_engine_eval(w->oracle, ids, n, err));
    if (w->free_subject) LS_TRY(ls_engine_eval(w->free_subject, ids, n, err));
    return ls_engine_eval(w->subject, ids, n, err);
}

static void tell(const work *w, size_t done)
{
    const ls_locate_options *o = w->opt;
    if (o->progress) o->progress(o->progress_ctx, w->pass, done, o->n_prompt + o->n_decoded);
}

/* What is done after each evaluation of n tokens from position pos on; *done ends the walk. */
typedef ls_status after_fn(work *w, size_t n, int32_t pos, bool *done, ls_error *err);

static ls_status walk_tokens(work *w, after_fn *after, bool *done, ls_error *err)
{
    const ls_locate_options *o = w->opt;
    size_t                   n, at = 0;
    for (; !*done && at < o->n_prompt + o->n_decoded; at += n) {
        bool prompt = at < o->n_prompt;
        n = prompt ? ls_cut_next(o->cut, o->n_prompt, at) : 1;
        tell(w, at);
        LS_TRY(evaluate(w, prompt ? o->prompt + at : o->decoded + (at - o->n_prompt), n, err));
        LS_TRY(after(w, n, (int32_t)at, done, err));
    }
    return LS_OK;
}

/* Bytes of a layer's taps in the largest evaluation. */
static size_t layer_bytes(const work *w, const ls_trace *t, int32_t layer)
{
    size_t  bytes = 0, most = 0;
    int32_t seq = -1;
    for (size_t i = 0; i < t->n_records; i++) {
        const ls_trace_record *r = &t->records[i];
        if (r->layer != layer || r->op == LS_OP_LOGITS) continue;
        if (r->seq != seq) bytes = 0;
        seq = r->seq;
        bytes += ls_walk_tap_bytes(&w->walk, r->heads, r->rows, r->n, w->walk.oracle);
        if (bytes > most) most = bytes;
    }
    return most;
}

/* From layer `first` to the end, as many layers at a time as fit (at most `most`). t: what the
 * reference shows; what: for, in a word. */
static ls_status walk_layers(work *w, const char *what, const ls_trace *t, int32_t first,
                             int32_t most, after_fn *after, ls_error *err)
{
    int32_t n = (int32_t)w->walk.n_layers;
    bool    done = false;
    LS_TRY(open_engines(w, err));
    while (true) {
        /* Besides the layers: what belongs to none, and the output of the layer before. */
        size_t bytes = 2 * layer_bytes(w, t, -1) + layer_bytes(w, t, first);
        w->walk.first = w->walk.last = first;
        while (w->walk.last + 1 < n && w->walk.last + 1 - first < most &&
               (bytes += layer_bytes(w, t, w->walk.last + 1)) <= w->window)
            w->walk.last++;
        snprintf(w->pass, sizeof(w->pass), "%s, layers %d-%d of 0-%d", what, (int)first,
                 (int)w->walk.last, (int)n - 1);
        LS_TRY(walk_tokens(w, after, &done, err));
        first = w->walk.last + 1;
        if (done || first >= n) return LS_OK;
        LS_TRY(ls_engine_reset(w->reference, err));
        LS_TRY(ls_engine_reset(w->subject, err));
        if (w->free_subject) LS_TRY(ls_engine_reset(w->free_subject, err));
        if (w->oracle) LS_TRY(ls_engine_reset(w->oracle, err));
    }
}

static bool at_end(const work *w) { return w->walk.last + 1 >= (int32_t)w->walk.n_layers; }

/* ---- where an error is born ---- */

static void take_birth(work *w, ls_op op, int32_t layer, int32_t pos, double x,
                       const ls_walk_errors *e)
{
    ls_located *out = w->out;
    out->found = out->born = true;
    out->outlier = LS_OUTLIER_UNCLEAR;
    if (w->oracle) {
        ls_outlier_judge(w->opt, out, *e);
        if (w->opt->by_oracle) out->budget = ls_outlier_budget(w->opt, *e);
    }
    out->op = op;
    out->layer = layer;
    out->position = pos;
    out->isolated = x;
}

/* Whether a row is over its budget. */
static bool over(const work *w, double isolated, const ls_walk_errors *e)
{
    return w->opt->by_oracle ? ls_outlier_over(w->opt, *e) : !(isolated <= w->opt->tap_tol);
}

/* The first operation over the budget, in the order in which the reference showed its taps, before
 * the one that an earlier piece of the prompt has shown. */
static void find_birth(work *w)
{
    for (size_t i = 0; i < w->walk.n; i++) {
        const ls_walk_tap *t = &w->walk.taps[i];
        if (w->out->found && i >= w->rank) return;
        if (t->layer >= 0 && t->layer < w->walk.first) continue;
        for (size_t row = 0; row < t->rows; row++) {
            double         x = ls_walk_isolated(t, row);
            ls_walk_errors e = {0};
            if (x == -1) continue;
            if (w->oracle) e = ls_walk_oracle_errors(t, row);
            if (!over(w, x, &e)) continue;
            take_birth(w, t->op, t->layer, t->pos + (int32_t)row, x, &e);
            w->rank = i;
            return;
        }
    }
}

/* The logits, from the reference's own final norm: no tap can replace them, but they are the last.
 */
static ls_status after_search(work *w, size_t n, int32_t pos, bool *done, ls_error *err)
{
    size_t V = (size_t)ls_engine_get_info(w->subject)->n_vocab;
    find_birth(w);
    for (size_t i = 0; at_end(w) && i < n && !w->out->found; i++) {
        const float   *a, *b;
        double         x;
        ls_walk_errors e = {0};
        if (w->oracle) LS_TRY(ls_outlier_logits(w->subject, w->reference, w->oracle, i, &e, err));
        LS_TRY(ls_engine_logits(w->subject, i, &a, err));
        LS_TRY(ls_engine_logits(w->reference, i, &b, err));
        x = ls_walk_centred_nmse(a, b, V);
        if (!over(w, x, &e)) continue;
        take_birth(w, LS_OP_LOGITS, -1, pos + (int32_t)i, x, &e);
        w->rank = w->walk.n;
    }
    /* Of the prompt's pieces a later one may show an earlier operation. */
    *done = w->out->found && (size_t)pos + n >= w->opt->n_prompt;
    return LS_OK;
}

/* The first row that is over its budget, or has other bits, in the order of the graph: the pieces
 * of the prompt count as one evaluation. -1: none. */
static ptrdiff_t first_row(const work *w, const ls_trace_diff *d, bool over)
{
    ptrdiff_t best = -1;
    size_t    rank = 0, best_rank = SIZE_MAX;
    int32_t   seq = 0;
    for (size_t i = 0; i < d->n_rows; i++, rank++) {
        const ls_trace_diff_row *r = &d->rows[i];
        if (!r->a || !r->b) continue;
        if (r->a->seq != seq) rank = 0;
        seq = r->a->seq;
        if (best >= 0 && (rank >= best_rank || (size_t)r->a->pos >= w->opt->n_prompt)) continue;
        if (over ? r->d.ok : r->d.same_bits) continue;
        best = (ptrdiff_t)i;
        best_rank = (size_t)r->a->pos < w->opt->n_prompt ? rank : 0;
    }
    return best;
}

/* Where the error shows, if nothing is found to be born anywhere: rounding that added up. */
static void take_carried(work *w, const ls_trace_diff *d)
{
    const ls_trace_record *a = d->rows[first_row(w, d, true)].a;
    if (a->op == LS_OP_LOGITS) return; /* these have a budget of their own */
    w->out->found = true;
    w->out->op = a->op;
    w->out->layer = a->layer;
    w->out->position = a->pos;
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

/* Just before the first tap that is over the budget as the subject ran. */
static int32_t first_layer(const work *w, const ls_trace_diff *d)
{
    const ls_trace_record *r = d->rows[first_row(w, d, true)].a;
    bool                   end = r->op == LS_OP_FINAL_NORM || r->op == LS_OP_LOGITS;
    int32_t                at = end ? (int32_t)w->walk.n_layers : r->layer;
    return at > 0 ? at - 1 : 0;
}

static ls_status search(work *w, const ls_trace_diff *d, const ls_trace *t, ls_error *err)
{
    enum { LAYERS_AT_ONCE = 3 }; /* it is most often found in the first few */
    int32_t   first = w->opt->by_oracle ? 0 : first_layer(w, d);
    ls_status status;
    w->walk.oracle = w->opt->by_oracle;
    status = walk_layers(w, "searching", t, first, LAYERS_AT_ONCE, after_search, err);
    close_engines(w);
    w->walk.oracle = false;
    if (status == LS_OK && !w->out->found && d->first_over >= 0) take_carried(w, d);
    if (status == LS_OK && w->out->found) w->out->accumulated = accumulated(d, w->out);
    return status;
}

/* ---- who is wrong ---- */

static ls_status after_judging(work *w, size_t n, int32_t pos, bool *done, ls_error *err)
{
    ls_walk_errors e;
    *done = w->out->position < pos + (int32_t)n;
    if (!*done) return LS_OK;
    if (w->out->op != LS_OP_LOGITS) {
        ls_outlier_take(w->opt, w->out, &w->walk, pos);
        return LS_OK;
    }
    LS_TRY(ls_outlier_logits(w->subject, w->reference, w->oracle, (size_t)(w->out->position - pos),
                             &e, err));
    ls_outlier_judge(w->opt, w->out, e);
    return LS_OK;
}

/* The operation that was found once more, now with the oracle beside. */
static ls_status judge(work *w, const ls_trace *t, ls_error *err)
{
    int32_t   first = w->out->layer;
    ls_status status;
    if (first < 0) first = w->out->op == LS_OP_EMBEDDINGS ? 0 : (int32_t)w->walk.n_layers - 1;
    w->walk.oracle = w->walk.judging = true;
    w->walk.judged_op = w->out->op;
    w->walk.judged_layer = w->out->layer;
    status = walk_layers(w, "asking the oracle", t, first, 1, after_judging, err);
    close_engines(w);
    w->walk.oracle = w->walk.judging = false;
    return status;
}

/* ---- the errors of all taps ---- */

static ls_status after_map(work *w, size_t n, int32_t pos, bool *done, ls_error *err)
{
    size_t V = (size_t)ls_engine_get_info(w->subject)->n_vocab;
    (void)done;
    ls_tap_map_take(&w->out->map, &w->walk);
    for (size_t i = 0; at_end(w) && i < n; i++) {
        const float   *a, *b;
        ls_walk_errors e;
        if (w->oracle) {
            LS_TRY(ls_outlier_logits(w->subject, w->reference, w->oracle, i, &e, err));
            ls_tap_map_take_logits_oracle(&w->out->map, (size_t)pos + i, e);
        }
        LS_TRY(ls_engine_logits(w->reference, i, &b, err));
        LS_TRY(ls_engine_logits(w->subject, i, &a, err));
        ls_tap_map_take_logits(&w->out->map, (size_t)pos + i, false, a, b, V);
        LS_TRY(ls_engine_logits(w->free_subject, i, &a, err));
        ls_tap_map_take_logits(&w->out->map, (size_t)pos + i, true, a, b, V);
    }
    return LS_OK;
}

static ls_status make_map(work *w, const ls_trace_diff *d, const ls_trace *t, ls_error *err)
{
    ls_status status;
    LS_TRY(ls_tap_map_create(&w->out->map, d, w->opt->n_prompt + w->opt->n_decoded, err));
    w->walk.free_run = true;
    w->walk.oracle = w->opt->by_oracle;
    status = walk_layers(w, "mapping", t, 0, INT32_MAX, after_map, err);
    close_engines(w);
    w->walk.oracle = false;
    return status;
}

/* ---- the passes ---- */

static void tell_recorded(void *ctx, size_t done, size_t total)
{
    (void)total;
    tell(ctx, done);
}

static ls_status record_one(work *w, bool subject, ls_trace *out, ls_error *err)
{
    const ls_locate_options *o = w->opt;
    ls_trace_options         to = {.prompt = o->prompt,
                                   .n_prompt = o->n_prompt,
                                   .cut = o->cut,
                                   .decoded = o->decoded,
                                   .max_tokens = (int32_t)o->n_decoded,
                                   .cancelled = o->cancelled,
                                   .progress = tell_recorded,
                                   .progress_ctx = w};
    ls_recorder             *r;
    ls_engine               *e = NULL;
    ls_status                status;
    for (int op = 0; op < LS_N_OPS; op++) to.ops[op] = true;
    snprintf(w->pass, sizeof(w->pass), "sketches of the %s", subject ? "subject" : "reference");
    LS_TRY(ls_recorder_create(&r, &to, err));
    status = o->open(o->ctx, subject, ls_recorder_watch(r), NULL, NULL, &e, err);
    if (status == LS_OK) status = ls_recorder_run(r, e, out, err);
    close_engine(o, e);
    ls_recorder_destroy(r);
    return status;
}

static size_t layers_of(const ls_trace *t)
{
    int32_t n = 0;
    for (size_t i = 0; i < t->n_records; i++) {
        if (t->records[i].layer >= n) n = t->records[i].layer + 1;
    }
    return (size_t)n;
}

static void take_coverage(const work *w, const ls_trace_diff *d, const ls_trace *a,
                          const ls_trace *b)
{
    ls_located *out = w->out;
    ptrdiff_t   first = first_row(w, d, false);
    out->taps_planned = d->n_planned;
    out->taps_compared = d->n_compared;
    out->taps_equal = d->n_same_bits;
    for (int op = 0; op < LS_N_OPS; op++) out->declined[op] = b->declined[op] && !a->declined[op];
    if (first < 0) return;
    out->other_bits = true;
    out->bits_op = d->rows[first].a->op;
    out->bits_layer = d->rows[first].a->layer;
}

static ls_status compare(work *w, const ls_trace *a, const ls_trace *b, ls_error *err)
{
    ls_trace_diff d;
    ls_status     status;
    LS_TRY(ls_trace_compare(&d, a, b, w->opt->tap_tol, err));
    take_coverage(w, &d, a, b);
    w->walk.n_layers = layers_of(a);
    status = d.n_compared == 0 || d.n_findings > 0
                 ? ls_fail(err, LS_ERR_REFERENCE, "the taps cannot be compared: %s",
                           d.reason[0] ? d.reason : "none are there")
                 : ls_walk_init(&w->walk, err);
    if (status == LS_OK && (d.first_over >= 0 || w->opt->by_oracle)) status = search(w, &d, b, err);
    if (status == LS_OK && w->out->born && !w->out->judged && w->opt->open_oracle)
        status = judge(w, b, err);
    if (status == LS_OK && w->out->born && w->opt->reverse)
        status = ls_reverse(w->out, w->opt, w->walk.n_layers, err);
    if (status == LS_OK && w->opt->map) status = make_map(w, &d, b, err);
    ls_trace_diff_fini(&d);
    return status;
}

ls_status ls_locate(ls_located *out, const ls_locate_options *opt, ls_error *err)
{
    const ls_budget   usual = ls_budget_default();
    ls_locate_options own = *opt;
    work              w = {.opt = &own, .out = out};
    ls_trace          a = {0}, b = {0};
    ls_status         status;
    *out = (ls_located){
        .layer = -1, .position = -1, .budget = opt->tap_tol, .by_oracle = opt->by_oracle};
    if (opt->by_oracle && !opt->open_oracle)
        return ls_fail(err, LS_ERR_USAGE, "budgets by the oracle, but no oracle");
    if (own.rho_tol == 0) own.rho_tol = usual.rho_tol, own.rho_floor = usual.rho_floor;
    w.window = opt->max_bytes ? opt->max_bytes : LS_LOCATE_MOST;
    w.walk.max_bytes = w.window > LS_LOCATE_MOST ? w.window : LS_LOCATE_MOST;
    status = record_one(&w, true, &a, err);
    if (status == LS_OK) status = record_one(&w, false, &b, err);
    if (status == LS_OK) status = compare(&w, &a, &b, err);
    ls_walk_fini(&w.walk);
    ls_trace_fini(&a);
    ls_trace_fini(&b);
    return status;
}
