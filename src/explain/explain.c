// SPDX-License-Identifier: MIT
/* explain.c - from the operation that was located to the meaning under which the reference agrees.
 */
#include "lockstep/explain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/explain_priv.h"

enum { POSITIONS = 64, LOGIT_POSITIONS = 2 }; /* evaluated where there are more */

const char *ls_explain_outcome_name(ls_explain_outcome o)
{
    static const char *const names[] = {"nothing", "candidate", "subject"};
    return (unsigned)o < sizeof(names) / sizeof(names[0]) ? names[o] : "?";
}

static void conclude(const work *w)
{
    ls_explained         *out = w->out;
    const ls_explain_row *best = out->n_rows ? out->rows : NULL;
    double                subject = w->opt->isolated;
    for (size_t i = 0; i < out->n_rows; i++)
        out->rows[i].agrees = ls_explain_agrees(w, &out->rows[i]);
    if (best && best->agrees) {
        out->outcome = LS_EXPLAIN_CANDIDATE;
        snprintf(out->sentence, sizeof(out->sentence), "in the reference %s", best->sentence);
    } else if (ls_explain_explains(out->own, subject) ||
               (isnan(subject) && ls_explain_explains(out->own, 1))) {
        out->outcome = LS_EXPLAIN_SUBJECT;
        snprintf(out->sentence, sizeof(out->sentence),
                 "the reference computes what the model says; it is the subject that does not");
    } else if (best && isfinite(best->nmse)) {
        snprintf(out->sentence, sizeof(out->sentence),
                 "nothing explains it: of %zu candidates the nearest is that %s (NMSE %.3g)",
                 out->n_rows, best->sentence, best->nmse);
    } else {
        snprintf(out->sentence, sizeof(out->sentence), "nothing explains it%s",
                 out->n_rows ? "" : ": there is no candidate for this operation");
    }
}

/* ---- the reference's values ---- */

static ls_status run_reference(work *w, ls_engine *e, ls_error *err)
{
    const ls_explain_options *o = w->opt;
    size_t                    n = o->n_prompt;
    for (size_t at = 0; at < w->positions; at += n, n = 1) {
        const int32_t *ids = at == 0 ? o->prompt : o->decoded + (at - o->n_prompt);
        if (o->cancelled && *o->cancelled) return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
        LS_TRY(ls_engine_eval(e, ids, n, err));
        if (o->op == LS_OP_LOGITS) LS_TRY(ls_explain_hold_logits(w, e, n, at, err));
    }
    return LS_OK;
}

static ls_status record(work *w, ls_error *err)
{
    ls_engine *e = NULL;
    ls_status  status =
        w->opt->open(w->opt->ctx, false, (ls_watch){ls_explain_watch, w}, NULL, NULL, &e, err);
    if (status == LS_OK) status = run_reference(w, e, err);
    if (w->opt->close && e)
        w->opt->close(w->opt->ctx, e);
    else
        ls_engine_close(e);
    if (status == LS_OK && w->status != LS_OK) {
        *err = w->error;
        status = w->status;
    }
    if (status == LS_OK && !w->held[w->opt->op].rows)
        status = ls_fail(err, LS_ERR_REFERENCE, "the reference does not show %s of layer %d",
                         ls_op_name(w->opt->op), (int)w->opt->layer);
    return status;
}

/* ---- the oracle ---- */

static void take_model(work *w)
{
    int32_t layer = w->opt->layer, period;
    w->own = *ls_oracle_get_semantics(w->oracle);
    period = w->own.window_period;
    w->window = w->own.window > 0 && layer >= 0 && (period == 0 || layer % period < period - 1);
}

static bool reference_is_finite(const work *w)
{
    const held *h = &w->held[w->opt->op];
    bool        scores = w->opt->op == LS_OP_ATTN_SCORES || w->opt->op == LS_OP_ATTN_SCORES_SOFTMAX;
    for (size_t p = 0; p < w->positions; p++) {
        for (size_t i = 0; h->rows[p] && i < h->heads * (scores ? p + 1 : h->n); i++) {
            if (!isfinite(h->rows[p][i])) return false;
        }
    }
    return true;
}

static ls_status search(work *w, ls_error *err)
{
    w->planned = 1 + ls_explain_plan(w);
    w->out->own = ls_explain_evaluate(w, &w->own);
    if (w->status == LS_OK && w->nobody)
        return ls_fail(err, LS_ERR_REFERENCE, "the oracle has no %s in layer %d",
                       ls_op_name(w->opt->op), (int)w->opt->layer);
    if (w->status == LS_OK && isnan(w->out->own) && reference_is_finite(w))
        return ls_fail(err, LS_ERR_REFERENCE, "the reference does not show what goes into %s",
                       ls_op_name(w->opt->op));
    if (w->status == LS_OK && isfinite(w->out->own) &&
        !ls_explain_explains(w->out->own, w->opt->isolated))
        ls_explain_all(w);
    if (w->status != LS_OK) {
        if (err) *err = w->error;
        return w->status;
    }
    ls_explain_sort(w);
    conclude(w);
    return LS_OK;
}

static size_t positions_of(const ls_explain_options *o)
{
    size_t all = o->n_prompt + o->n_decoded, most = POSITIONS, at = (size_t)o->position + 1;
    if (o->op == LS_OP_LOGITS) most = LOGIT_POSITIONS;
    if (at > most) most = at;
    return all < most ? all : most;
}

ls_status ls_explain(ls_explained *out, const ls_explain_options *opt, ls_error *err)
{
    work      w = {.opt = opt, .out = out};
    ls_status status;
    *out = (ls_explained){.op = opt->op, .layer = opt->layer};
    if (opt->position < 0 || opt->n_prompt == 0 || (unsigned)opt->op >= LS_N_OPS)
        return ls_fail(err, LS_ERR_USAGE, "no operation was located");
    out->positions = w.positions = positions_of(opt);
    status = opt->open_oracle(opt->ctx, ls_explain_tap, ls_explain_given, &w, &w.oracle, err);
    if (status == LS_OK) {
        w.n_layers = ls_model_get_config(ls_oracle_model(w.oracle))->n_layers;
        take_model(&w);
        status = record(&w, err);
    }
    if (status == LS_OK) status = search(&w, err);
    ls_engine_close(w.oracle);
    ls_explain_drop(&w);
    return status;
}

void ls_explained_fini(ls_explained *e)
{
    if (!e) return;
    free(e->rows);
    *e = (ls_explained){0};
}

/* ---- token ids ---- */

/* b is a without its first id. */
static bool lacks_first(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    return n_a == n_b + 1 && memcmp(a + 1, b, n_b * sizeof(*b)) == 0;
}

static bool lacks_last(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b)
{
    return n_a == n_b + 1 && memcmp(a, b, n_b * sizeof(*b)) == 0;
}

/* What `more` has that `less` has not. */
static bool name_ids(char *buf, size_t cap, const char *more, const char *less, const int32_t *a,
                     size_t n_a, const int32_t *b, size_t n_b, const ls_tokenizer *t)
{
    if (lacks_first(a, n_a, b, n_b)) {
        bool bos = a[0] == ls_tokenizer_bos(t), twice = bos && n_b > 0 && b[0] == a[0];
        if (twice)
            snprintf(buf, cap, "%s has BOS, %d, twice, %s once; all other ids are equal", more,
                     (int)a[0], less);
        else
            snprintf(buf, cap, "%s begins with %s%d, which %s lacks; all other ids are equal", more,
                     bos ? "BOS, " : "id ", (int)a[0], less);
        return true;
    }
    if (!lacks_last(a, n_a, b, n_b)) return false;
    snprintf(buf, cap, "%s ends with %s%d, which %s lacks; all other ids are equal", more,
             a[n_a - 1] == ls_tokenizer_eos(t) ? "EOS, " : "id ", (int)a[n_a - 1], less);
    return true;
}

bool ls_explain_ids(char *buf, size_t cap, const int32_t *subject, size_t n_subject,
                    const int32_t *reference, size_t n_reference, const ls_tokenizer *t)
{
    return name_ids(buf, cap, "the subject", "the reference", subject, n_subject, reference,
                    n_reference, t) ||
           name_ids(buf, cap, "the reference", "the subject", reference, n_reference, subject,
                    n_subject, t);
}
