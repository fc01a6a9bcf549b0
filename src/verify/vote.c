// SPDX-License-Identifier: MIT
/* vote.c - several engines over the same tokens, each compared with each: who stands alone. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "lockstep/verify.h"

typedef struct run {
    ls_vote               *out;
    ls_engine *const      *engines;
    const ls_vote_options *opt;
    size_t                 n_vocab, pos;
} run;

static double *slot(const ls_vote *v, size_t position, size_t i, size_t j)
{
    return &v->nmse[(position * v->n + i) * v->n + j];
}

double ls_vote_nmse(const ls_vote *v, size_t position, size_t i, size_t j)
{
    return i < j ? *slot(v, position, i, j) : *slot(v, position, j, i);
}

/* NaN is worse than any number. */
static void keep_worst(ls_vote *v, size_t i, size_t j, double x, size_t position)
{
    double worst = v->worst[i][j];
    if (v->worst_at[i][j] >= 0 && (isnan(worst) || !(x > worst || isnan(x)))) return;
    v->worst[i][j] = v->worst[j][i] = x;
    v->worst_at[i][j] = v->worst_at[j][i] = (int32_t)position;
}

static void compare_rows(run *r, const float *const *rows)
{
    static const ls_budget any = {0};
    ls_vote               *v = r->out;
    for (size_t i = 0; i < v->n; i++) {
        for (size_t j = i + 1; j < v->n; j++) {
            ls_position p;
            double      x;
            ls_compare_row(&p, rows[i], rows[j], r->n_vocab, &any);
            x = p.finite ? p.nmse : (double)NAN;
            *slot(v, r->pos, i, j) = x;
            keep_worst(v, i, j, x, r->pos);
        }
    }
}

/* n tokens by every engine, then row by row. */
static ls_status step(run *r, const int32_t *ids, size_t n, ls_error *err)
{
    const ls_vote_options *o = r->opt;
    const float           *rows[LS_VOTE_MAX];
    for (size_t e = 0; e < r->out->n; e++) {
        if (o->cancelled && *o->cancelled) return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
        LS_TRY(ls_engine_eval(r->engines[e], ids, n, err));
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t e = 0; e < r->out->n; e++)
            LS_TRY(ls_engine_logits(r->engines[e], i, &rows[e], err));
        compare_rows(r, rows);
        r->pos++;
        if (o->progress) o->progress(o->progress_ctx, r->pos, r->out->n_positions);
    }
    return LS_OK;
}

static ls_status evaluate(run *r, size_t n_batch, ls_error *err)
{
    const ls_vote_options *o = r->opt;
    for (size_t done = 0, n = 0; done < o->n_prompt; done += n) {
        n = o->n_prompt - done < n_batch ? o->n_prompt - done : n_batch;
        LS_TRY(step(r, o->prompt + done, n, err));
    }
    for (size_t i = 0; i < o->n_decoded; i++) LS_TRY(step(r, o->decoded + i, 1, err));
    return LS_OK;
}

/* Whether all but `alone` (which may be none of them) are within tol of one another. */
static bool others_agree(const ls_vote *v, size_t alone, double tol)
{
    for (size_t i = 0; i < v->n; i++)
        for (size_t j = i + 1; j < v->n; j++)
            if (i != alone && j != alone && !(v->worst[i][j] <= tol)) return false;
    return true;
}

static bool far_from_all(const ls_vote *v, size_t i, double tol)
{
    for (size_t j = 0; j < v->n; j++)
        if (j != i && v->worst[i][j] <= tol) return false;
    return true;
}

static void judge(ls_vote *v, double tol)
{
    v->agree = others_agree(v, v->n, tol);
    for (size_t i = 0; v->n >= 3 && i < v->n; i++)
        if (far_from_all(v, i, tol) && others_agree(v, i, tol)) v->outlier = (int32_t)i;
}

static ls_status check(const run *r, size_t *n_batch, ls_error *err)
{
    const ls_vote *v = r->out;
    for (size_t e = 0; e < v->n; e++) {
        const ls_engine_info *info = ls_engine_get_info(r->engines[e]);
        if ((size_t)info->n_vocab != r->n_vocab)
            return ls_fail(err, LS_ERR_LIMIT, "'%s' has logits of %zu tokens, '%s' of %d",
                           ls_engine_get_info(r->engines[0])->engine, r->n_vocab, info->engine,
                           info->n_vocab);
        if (info->n_batch > 0 && (size_t)info->n_batch < *n_batch) *n_batch = (size_t)info->n_batch;
    }
    return LS_OK;
}

ls_status ls_vote_run(ls_vote *out, ls_engine *const *engines, size_t n, const ls_vote_options *opt,
                      ls_error *err)
{
    run       r = {.out = out, .engines = engines, .opt = opt};
    size_t    n_batch = 512;
    ls_status status;
    *out = (ls_vote){.n = n, .n_positions = opt->n_prompt + opt->n_decoded, .outlier = -1};
    if (n < 2 || n > LS_VOTE_MAX || !out->n_positions)
        return ls_fail(err, LS_ERR_USAGE, "%zu engines at %zu positions", n, out->n_positions);
    for (size_t i = 0; i < n * n; i++) out->worst_at[i / n][i % n] = -1;
    r.n_vocab = (size_t)ls_engine_get_info(engines[0])->n_vocab;
    LS_TRY(check(&r, &n_batch, err));
    LS_TRY(ls_alloc(&out->nmse, out->n_positions * n * n, sizeof(*out->nmse), "a vote", err));
    status = evaluate(&r, n_batch, err);
    if (status == LS_OK) judge(out, opt->tol);
    return status;
}

void ls_vote_fini(ls_vote *v)
{
    if (!v) return;
    free(v->nmse);
    *v = (ls_vote){.outlier = -1};
}
