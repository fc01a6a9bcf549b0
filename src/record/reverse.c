// SPDX-License-Identifier: MIT
/* reverse.c - the reference on the subject's input (reverse.h).
 *
 * The walk of walk.h with its parts exchanged: the subject runs as it is, and its values are held;
 * the reference walks in its steps. Only the operations that lead to the one in question are held:
 * those before it in its layer, and what comes in from the layer before.
 */
#include "record/reverse.h"

#include <stdlib.h>
#include <string.h>

#include "record/walk.h"

typedef struct work {
    const ls_locate_options *opt;
    ls_located              *out;
    ls_walk                  walk; /* the subject's values */
    ls_engine               *subject, *reference;
} work;

static bool leads_there(const work *w, ls_op op, int32_t layer)
{
    const ls_located *at = w->out;
    if (at->layer < 0 && at->op == LS_OP_EMBEDDINGS) return op == LS_OP_EMBEDDINGS;
    if (at->layer < 0) /* at the end */
        return op == LS_OP_FINAL_NORM || (op == LS_OP_LAYER_OUT && layer == w->walk.last);
    if (layer == at->layer) return op <= at->op;
    return at->layer > 0 ? op == LS_OP_LAYER_OUT && layer == at->layer - 1 : op == LS_OP_EMBEDDINGS;
}

static void watch(void *ctx, const ls_tap_values *v)
{
    work *w = ctx;
    if (leads_there(w, v->op, v->layer)) ls_walk_hold(&w->walk, v);
}

/* The result in question is compared and left as it is: what the reference goes on to do is not
 * looked at, and a NaN might harm it. */
static void step(void *ctx, const ls_tap *tap)
{
    work  *w = ctx;
    ls_tap copy = *tap;
    if (tap->op != w->out->op || tap->layer != w->out->layer) {
        ls_walk_step(&w->walk, tap);
        return;
    }
    copy.data = malloc(tap->n * sizeof(float));
    if (!copy.data) return; /* it counts as not stepped */
    memcpy(copy.data, tap->data, tap->n * sizeof(float));
    ls_walk_step(&w->walk, &copy);
    free(copy.data);
}

static void close_engine(const ls_locate_options *o, ls_engine *e)
{
    if (e && o->close)
        o->close(o->ctx, e);
    else
        ls_engine_close(e);
}

static ls_status evaluate(work *w, const int32_t *ids, size_t n, ls_error *err)
{
    if (w->opt->cancelled && *w->opt->cancelled)
        return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
    ls_walk_drop(&w->walk);
    LS_TRY(ls_engine_eval(w->subject, ids, n, err));
    if (w->walk.status != LS_OK) {
        *err = w->walk.error;
        return w->walk.status;
    }
    return ls_engine_eval(w->reference, ids, n, err);
}

static ls_status take_logits(work *w, size_t i, ls_error *err)
{
    const float *a, *b;
    LS_TRY(ls_engine_logits(w->reference, i, &a, err));
    LS_TRY(ls_engine_logits(w->subject, i, &b, err));
    w->out->reversed = true;
    w->out->isolated_reverse =
        ls_walk_centred_nmse(a, b, (size_t)ls_engine_get_info(w->subject)->n_vocab);
    return LS_OK;
}

/* Row i of the last evaluation is the position in question. */
static ls_status take(work *w, size_t i, ls_error *err)
{
    ls_located *out = w->out;
    if (out->op == LS_OP_LOGITS) LS_TRY(take_logits(w, i, err));
    for (size_t k = 0; k < w->walk.n; k++) {
        const ls_walk_tap *t = &w->walk.taps[k];
        double             x = i < t->rows ? ls_walk_isolated(t, i) : -1;
        if (t->op == out->op && t->layer == out->layer) {
            out->reversed = x != -1;
            out->isolated_reverse = out->reversed ? x : 0;
        } else if (x == -1) {
            out->not_stepped[t->op] = true;
        }
    }
    return LS_OK;
}

static ls_status walk(work *w, ls_error *err)
{
    const ls_locate_options *o = w->opt;
    size_t                   at = (size_t)w->out->position, n = 0, done = 0;
    LS_TRY(o->open(o->ctx, true, (ls_watch){watch, w}, NULL, NULL, &w->subject, err));
    LS_TRY(o->open(o->ctx, false, (ls_watch){0}, step, w, &w->reference, err));
    for (; done <= at; done += n) {
        bool prompt = done < o->n_prompt;
        n = prompt ? ls_cut_next(o->cut, o->n_prompt, done) : 1;
        LS_TRY(evaluate(w, prompt ? o->prompt + done : o->decoded + (done - o->n_prompt), n, err));
        if (done + n > at) return take(w, at - done, err);
    }
    return LS_OK;
}

bool ls_located_ways_disagree(const ls_located *l)
{
    return l->born && l->reversed && !l->by_oracle && l->isolated_reverse <= l->budget;
}

ls_status ls_reverse(ls_located *out, const ls_locate_options *opt, size_t n_layers, ls_error *err)
{
    work      w = {.opt = opt, .out = out};
    bool      first = out->op == LS_OP_EMBEDDINGS;
    ls_status status;
    w.walk.n_layers = n_layers;
    w.walk.max_bytes = SIZE_MAX; /* less than the search itself held */
    w.walk.first = w.walk.last = out->layer >= 0 ? out->layer : first ? 0 : (int32_t)n_layers - 1;
    status = ls_walk_init(&w.walk, err);
    if (status == LS_OK) status = walk(&w, err);
    close_engine(opt, w.subject);
    close_engine(opt, w.reference);
    ls_walk_fini(&w.walk);
    return status;
}
