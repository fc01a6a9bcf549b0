// SPDX-License-Identifier: MIT
/* per_token.c - both engines over one sequence, in lockstep.
 *
 * Tokens first: nothing is evaluated unless both sides see the same ids. Then batch by batch, on
 * both sides at once if there are processors for both, the rows of both engines being compared as
 * they come, so that memory does not grow with the number of logits. Whose failure it is decides
 * what it means: the reference's is a verdict (INCONCLUSIVE), the subject's is an error.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "verify/verify_priv.h"

#define DEFAULT_BATCH 512 /* where an engine does not say */
/* Rows that are compared at once: of one engine, as many as the window of a reference has */
#define HELD_BYTES ((size_t)4 << 20)
enum { MAX_THREADS = 64 };

typedef struct run {
    ls_per_token_result        *r;
    const ls_per_token_options *opt;
    ls_engine                  *subject, *reference; /* NULL: that side does not run */
    ls_findings                 f;
    bool                        reference_failed;
    size_t                      n_prompt, n_batch;
    size_t                      pos;   /* tokens evaluated so far */
    ls_pool                    *pool;  /* compares; NULL: one row at a time is compared here */
    ls_pool                    *sides; /* evaluates both sides at once; NULL: one after the other */
    float                      *held[2]; /* [n_held][vocab] of each engine */
    size_t                      n_held;
} run;

static void obstacle(run *v, const char *code, const char *text)
{
    if (v->f.obstacle[0]) return;
    snprintf(v->f.obstacle_code, sizeof(v->f.obstacle_code), "%s", code);
    snprintf(v->f.obstacle, sizeof(v->f.obstacle), "%s", text);
}

static ls_status check_cancelled(run *v, ls_error *err)
{
    if (!v->opt->cancelled || !*v->opt->cancelled) return LS_OK;
    obstacle(v, "interrupted", "interrupted");
    return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
}

/* After a failed call on `e`. An interrupt reaches a reference's process as well: its death is
 * then not the news. */
static ls_status side_failed(run *v, const ls_engine *e, ls_status status, const ls_error *cause,
                             ls_error *err)
{
    LS_TRY(check_cancelled(v, err));
    if (e == v->reference) {
        v->reference_failed = true;
        v->r->error = *cause;
        if (v->r->error.status == LS_OK)
            ls_fail(&v->r->error, status, "the reference failed without saying why");
        obstacle(v, "reference-failed", v->r->error.what);
        return status;
    }
    obstacle(v, "subject-failed", cause->what[0] ? cause->what : "the subject failed");
    if (err && err->status == LS_OK) *err = *cause;
    return ls_fail(err, status, "the subject failed without saying why");
}

/* ---- tokens ---- */

static ls_status tokenize(run *v, ls_engine *e, ls_encode_options enc, int32_t **ids, size_t *n,
                          ls_error *err)
{
    ls_error  cause = {0};
    ls_status status = ls_engine_tokenize(e, v->opt->text, v->opt->len, &enc, ids, n, &cause);
    return status == LS_OK ? LS_OK : side_failed(v, e, status, &cause, err);
}

/* Ids that are given are the same for both. */
static ls_status take_ids(const run *v, int32_t **ids, size_t *n, ls_error *err)
{
    LS_TRY(ls_alloc(ids, v->opt->n_ids, sizeof(**ids), "the prompt", err));
    memcpy(*ids, v->opt->ids, v->opt->n_ids * sizeof(**ids));
    *n = v->opt->n_ids;
    return LS_OK;
}

static ls_status tokenize_both(run *v, ls_error *err)
{
    ls_per_token_result *r = v->r;
    ls_encode_options    enc = v->opt->encode;
    if (v->opt->ids) {
        if (v->subject) LS_TRY(take_ids(v, &r->ids_subject, &r->n_ids_subject, err));
        return v->reference ? take_ids(v, &r->ids_reference, &r->n_ids_reference, err) : LS_OK;
    }
    if (v->opt->subject_bos != LS_BOS_AUTO) enc.bos = v->opt->subject_bos;
    if (v->subject) LS_TRY(tokenize(v, v->subject, enc, &r->ids_subject, &r->n_ids_subject, err));
    LS_TRY(check_cancelled(v, err));
    if (v->reference)
        LS_TRY(
            tokenize(v, v->reference, v->opt->encode, &r->ids_reference, &r->n_ids_reference, err));
    return check_cancelled(v, err);
}

/* Index of the first difference (the shorter length where one begins the other), or -1. */
static int32_t first_difference(const ls_per_token_result *r)
{
    size_t n = r->n_ids_subject < r->n_ids_reference ? r->n_ids_subject : r->n_ids_reference;
    for (size_t i = 0; i < n; i++)
        if (r->ids_subject[i] != r->ids_reference[i]) return (int32_t)i;
    return r->n_ids_subject == r->n_ids_reference ? -1 : (int32_t)n;
}

/* ---- plan ---- */

static ls_status check_room(run *v, const ls_engine *e, ls_error *err)
{
    size_t                need = v->r->coverage.positions_planned;
    const ls_engine_info *info = e ? ls_engine_get_info(e) : NULL;
    if (!info || info->n_ctx <= 0 || need <= (size_t)info->n_ctx) return LS_OK;
    obstacle(v, "limit", "prompt and decoded tokens do not fit into the context");
    ls_fail(err, LS_ERR_LIMIT,
            "%zu prompt and %d decoded tokens need %zu positions, the context of '%s' has %d",
            v->n_prompt, v->opt->max_tokens, need, info->engine, info->n_ctx);
    return ls_fail_hint(err, "shorten the prompt or decode fewer tokens");
}

static size_t batch_of(const ls_engine *e, size_t n)
{
    int32_t own = e ? ls_engine_get_info(e)->n_batch : 0;
    size_t  batch = own > 0 ? (size_t)own : DEFAULT_BATCH;
    return e && batch < n ? batch : n;
}

static void check_vocabularies(run *v)
{
    const ls_engine_info *s = &v->r->subject_info, *t = &v->r->reference_info;
    char                  text[200];
    if (s->n_vocab == t->n_vocab) return;
    snprintf(text, sizeof(text), "the vocabulary of %s has %d tokens, that of %s has %d", s->engine,
             s->n_vocab, t->engine, t->n_vocab);
    obstacle(v, "vocabulary-size", text);
}

static ls_status plan(run *v, ls_error *err)
{
    ls_per_token_result *r = v->r;
    size_t               decode = (size_t)v->opt->max_tokens;
    v->n_prompt = v->subject ? r->n_ids_subject : r->n_ids_reference;
    if (!ls_add_size(v->n_prompt, decode, &r->coverage.positions_planned) ||
        r->coverage.positions_planned > INT32_MAX)
        return ls_fail(err, LS_ERR_LIMIT, "too many positions");
    r->coverage.vocab = (size_t)(v->subject ? r->subject_info : r->reference_info).n_vocab;
    if (v->n_prompt == 0)
        obstacle(v, "no-positions", "the prompt has no tokens: there is nothing to evaluate");
    if (v->f.compares) check_vocabularies(v);
    return LS_OK;
}

/* Threads for the comparison, as many as the engines have: they wait meanwhile. */
static ls_status prepare_threads(run *v, ls_error *err)
{
    const ls_engine_info *s = &v->r->subject_info, *t = &v->r->reference_info;
    int32_t               n = s->n_threads > t->n_threads ? s->n_threads : t->n_threads;
    size_t                vocab = v->r->coverage.vocab, rows;
    if (!v->f.compares || n < 2 || v->n_prompt < 2 || vocab == 0) return LS_OK;
    rows = HELD_BYTES / (vocab * sizeof(float));
    if (rows < (size_t)n) rows = (size_t)n;
    v->n_held = rows < v->n_batch ? rows : v->n_batch;
    for (int i = 0; i < 2; i++)
        LS_TRY(ls_alloc(&v->held[i], v->n_held, vocab * sizeof(float), "rows of logits", err));
    return ls_pool_create(&v->pool, n < MAX_THREADS ? n : MAX_THREADS, err);
}

/* Engines that have processors enough for both work at once; else they would only take them from
 * each other. */
static ls_status prepare_sides(run *v, ls_error *err)
{
    const ls_per_token_result *r = v->r;
    const int32_t              s = r->subject_info.n_threads, t = r->reference_info.n_threads;
    if (!v->subject || !v->reference || s < 1 || t < 1) return LS_OK;
    if ((int64_t)s + t > ls_pool_processors()) return LS_OK;
    return ls_pool_create(&v->sides, 2, err);
}

static ls_status prepare(run *v, ls_error *err)
{
    ls_per_token_result *r = v->r;
    LS_TRY(check_room(v, v->subject, err));
    LS_TRY(check_room(v, v->reference, err));
    v->n_batch = batch_of(v->reference, batch_of(v->subject, DEFAULT_BATCH));
    if (v->opt->batch && v->opt->batch < v->n_batch) v->n_batch = v->opt->batch;
    r->n_batch = v->n_batch;
    LS_TRY(prepare_threads(v, err));
    LS_TRY(prepare_sides(v, err));
    LS_TRY(ls_alloc(&r->positions, r->coverage.positions_planned, sizeof(*r->positions),
                    "the positions", err));
    return ls_alloc(&r->decoded, (size_t)v->opt->max_tokens, sizeof(*r->decoded),
                    "the decoded tokens", err);
}

/* ---- evaluating and comparing ---- */

/* The same tokens for both sides: number 0, which the caller's thread waits for, is the reference,
 * because an interrupt is that thread's; number 1 is the subject. */
typedef struct evaluation {
    ls_engine     *engines[2];
    const int32_t *ids;
    size_t         n;
    ls_status      status[2];
    ls_error       cause[2];
} evaluation;

static void eval_sides(void *ctx, size_t begin, size_t end, int thread)
{
    evaluation *e = ctx;
    (void)thread;
    for (size_t k = begin; k < end; k++) {
        if (e->engines[k]) e->status[k] = ls_engine_eval(e->engines[k], e->ids, e->n, &e->cause[k]);
    }
}

/* One after the other, the reference does not begin if the subject fails. */
static ls_status evaluate(run *v, const int32_t *ids, size_t n, ls_error *err)
{
    evaluation e = {.engines = {v->reference, v->subject}, .ids = ids, .n = n};
    if (v->sides) {
        LS_TRY(check_cancelled(v, err));
        ls_pool_run(v->sides, eval_sides, &e, 2, 1);
    }
    for (size_t k = 2; k-- > 0;) {
        if (!v->sides && e.engines[k]) {
            LS_TRY(check_cancelled(v, err));
            eval_sides(&e, k, k + 1, 0);
        }
        if (e.status[k] != LS_OK)
            return side_failed(v, e.engines[k], e.status[k], &e.cause[k], err);
    }
    return LS_OK;
}

static ls_status fetch(run *v, ls_engine *e, size_t i, const float **row, ls_error *err)
{
    ls_error  cause = {0};
    ls_status status;
    *row = NULL;
    if (!e) return LS_OK;
    status = ls_engine_logits(e, i, row, &cause);
    if (status == LS_OK && !*row)
        status = ls_fail(&cause, LS_ERR_INTERNAL, "an engine gave no row of logits");
    return status == LS_OK ? LS_OK : side_failed(v, e, status, &cause, err);
}

static bool note_non_finite(run *v, const char *engine, const float *row, size_t n)
{
    for (size_t i = 0; row && i < n; i++) {
        if (isfinite(row[i])) continue;
        snprintf(v->f.non_finite, sizeof(v->f.non_finite), "a logit of %s is %s (token %zu)",
                 engine, isnan(row[i]) ? "NaN" : "infinite", i);
        return true;
    }
    return false;
}

/* Position number i from here on, without what its place says. Called from several threads. */
static void compare(const run *v, size_t i, const float *s, const float *t)
{
    const ls_per_token_result *r = v->r;
    ls_position               *p = &r->positions[r->n_positions + i];
    if (v->f.compares)
        ls_compare_row(p, s, t, r->coverage.vocab, &v->opt->budget);
    else
        ls_describe_row(p, s ? s : t, r->coverage.vocab, t != NULL);
}

/* The next position, which has been compared: both rows are there. */
static ls_status take_rows(run *v, const float *s, const float *t, int32_t token, ls_error *err)
{
    ls_per_token_result *r = v->r;
    ls_position         *p = &r->positions[r->n_positions];
    size_t               n = r->coverage.vocab;
    p->pos = (int32_t)r->n_positions;
    p->token = token;
    p->decode = r->n_positions >= v->n_prompt;
    if (v->f.compares) {
        r->coverage.positions_compared++;
        r->coverage.logits_compared = n;
    }
    if (!p->finite && !v->f.non_finite[0] && !note_non_finite(v, r->subject_info.engine, s, n))
        note_non_finite(v, r->reference_info.engine, t, n);
    r->n_positions++;
    if (v->opt->rows) {
        ls_status status = v->opt->rows(v->opt->rows_ctx, s, t, n, err);
        if (status != LS_OK) {
            obstacle(v, "output-failed", "the logits could not be written");
            return status;
        }
    }
    if (v->opt->progress)
        v->opt->progress(v->opt->progress_ctx, r->n_positions, r->coverage.positions_planned);
    return LS_OK;
}

static ls_status fetch_both(run *v, size_t i, const float **s, const float **t, ls_error *err)
{
    LS_TRY(check_cancelled(v, err));
    LS_TRY(fetch(v, v->subject, i, s, err));
    return fetch(v, v->reference, i, t, err);
}

static void compare_held(void *ctx, size_t begin, size_t end, int thread)
{
    const run *v = ctx;
    size_t     n = v->r->coverage.vocab;
    (void)thread;
    for (size_t i = begin; i < end; i++) compare(v, i, v->held[0] + i * n, v->held[1] + i * n);
}

/* Rows [first, first + n) of the last evaluation, compared by all threads at once: a row that an
 * engine lends does not outlast its next one, so they are copied. What was fetched before a failure
 * counts. */
static ls_status step_held(run *v, const int32_t *ids, size_t first, size_t n, ls_error *err)
{
    size_t    vocab = v->r->coverage.vocab, got = 0;
    ls_status status = LS_OK, taken = LS_OK;
    for (; got < n; got++) {
        const float *s, *t;
        status = fetch_both(v, first + got, &s, &t, err);
        if (status != LS_OK) break;
        memcpy(v->held[0] + got * vocab, s, vocab * sizeof(*s));
        memcpy(v->held[1] + got * vocab, t, vocab * sizeof(*t));
    }
    ls_pool_run(v->pool, compare_held, v, got, 1);
    for (size_t i = 0; i < got && taken == LS_OK; i++)
        taken = take_rows(v, v->held[0] + i * vocab, v->held[1] + i * vocab, ids[first + i],
                          status == LS_OK ? err : NULL);
    return status != LS_OK ? status : taken;
}

/* Evaluate n tokens on both sides and take their rows. */
static ls_status step(run *v, const int32_t *ids, size_t n, ls_error *err)
{
    LS_TRY(evaluate(v, ids, n, err));
    for (size_t i = 0, k; i < n; i += k) {
        const float *s, *t;
        k = 1;
        if (v->pool && n > 1) {
            k = n - i < v->n_held ? n - i : v->n_held;
            LS_TRY(step_held(v, ids, i, k, err));
            continue;
        }
        LS_TRY(fetch_both(v, i, &s, &t, err));
        compare(v, 0, s, t);
        LS_TRY(take_rows(v, s, t, ids[i], err));
    }
    return LS_OK;
}

static ls_status run_prompt(run *v, ls_error *err)
{
    const int32_t *ids = v->subject ? v->r->ids_subject : v->r->ids_reference;
    for (size_t done = 0, n = 0; done < v->n_prompt; done += n) {
        n = v->n_prompt - done < v->n_batch ? v->n_prompt - done : v->n_batch;
        LS_TRY(step(v, ids + done, n, err));
    }
    return LS_OK;
}

/* The reference's choice is fed to both, so that one flipped token does not spoil the rest. */
static ls_status run_decode(run *v, ls_error *err)
{
    ls_per_token_result *r = v->r;
    for (int32_t i = 0; i < v->opt->max_tokens; i++) {
        const ls_position *last = &r->positions[r->n_positions - 1];
        int32_t            id = v->reference ? last->top1_reference : last->top1_subject;
        r->decoded[r->n_decoded++] = id;
        LS_TRY(step(v, &id, 1, err));
    }
    return LS_OK;
}

static ls_status run_all(run *v, ls_error *err)
{
    LS_TRY(tokenize_both(v, err));
    if (v->f.compares) v->r->first_difference = first_difference(v->r);
    LS_TRY(plan(v, err));
    if (v->r->first_difference >= 0 || v->f.obstacle[0]) return LS_OK;
    LS_TRY(prepare(v, err));
    LS_TRY(run_prompt(v, err));
    return run_decode(v, err);
}

static ls_status check_options(const ls_engine *subject, const ls_engine *reference,
                               const ls_per_token_options *opt, ls_error *err)
{
    if (!subject && !reference) return ls_fail(err, LS_ERR_USAGE, "no engine to run");
    if (subject == reference)
        return ls_fail(err, LS_ERR_USAGE, "an engine cannot run beside itself: open two");
    if (opt->max_tokens < 0)
        return ls_fail(err, LS_ERR_USAGE, "%d decoded tokens", opt->max_tokens);
    return LS_OK;
}

/* Nothing is known yet. */
static void begin(ls_per_token_result *result)
{
    *result = (ls_per_token_result){.verdict = LS_VERDICT_INCONCLUSIVE, .first_difference = -1};
    ls_summarise(&result->summary, NULL, 0);
}

ls_status ls_verify_per_token(ls_per_token_result *result, ls_engine *subject, ls_engine *reference,
                              const ls_per_token_options *opt, ls_error *err)
{
    run       v = {.r = result, .opt = opt, .subject = subject, .reference = reference};
    ls_status status;
    begin(result);
    LS_TRY(check_options(subject, reference, opt, err));
    v.f.compares = subject && reference;
    if (subject) result->subject_info = *ls_engine_get_info(subject);
    if (reference) result->reference_info = *ls_engine_get_info(reference);
    status = run_all(&v, err);
    if (v.reference_failed) status = LS_OK;
    if (status != LS_OK) obstacle(&v, "failed", "the run failed");
    if (subject) result->subject_stats = ls_engine_get_stats(subject);
    if (reference) result->reference_stats = ls_engine_get_stats(reference);
    ls_decide(result, &opt->budget, &v.f);
    ls_pool_destroy(v.pool);
    ls_pool_destroy(v.sides);
    free(v.held[0]);
    free(v.held[1]);
    return status;
}

void ls_per_token_fini(ls_per_token_result *result)
{
    if (!result) return;
    free(result->ids_subject);
    free(result->ids_reference);
    free(result->decoded);
    free(result->positions);
    begin(result);
}
