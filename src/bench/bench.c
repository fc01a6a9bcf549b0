// SPDX-License-Identifier: MIT
/* bench.c - timing an engine: bring it to the place, take samples, and what they say together.
 *
 * The ids are the same for every engine and every sample; an engine's speed does not depend on
 * them.
 */
#include "lockstep/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { AT_ONCE = 2048 };

/* SplitMix64 (Steele, Lea, Flood 2014). */
static int32_t next_id(uint64_t *state, int32_t n_vocab)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (int32_t)((z ^ z >> 31) % (uint64_t)n_vocab);
}

/* Evaluate n tokens, at most `batch` together, with the logits of the last of each batch. */
static ls_status feed(ls_engine *e, int32_t n, int32_t batch, uint64_t *random, ls_error *err)
{
    const ls_engine_info *info = ls_engine_get_info(e);
    int32_t               ids[AT_ONCE];
    const float          *row;
    if (batch > info->n_batch) batch = info->n_batch;
    if (batch > AT_ONCE) batch = AT_ONCE;
    while (n > 0) {
        int32_t k = n < batch ? n : batch;
        for (int32_t i = 0; i < k; i++) ids[i] = next_id(random, info->n_vocab);
        LS_TRY(ls_engine_eval(e, ids, (size_t)k, err));
        n -= k;
        /* A reference has them by then; the native engine computes what is asked for. */
        if (n == 0 || batch == 1) LS_TRY(ls_engine_logits(e, (size_t)k - 1, &row, err));
    }
    return LS_OK;
}

static ls_status go_to(ls_engine *e, const ls_bench_test *t, ls_error *err)
{
    uint64_t random = 1;
    LS_TRY(ls_engine_reset(e, err));
    return feed(e, t->n_depth, AT_ONCE, &random, err);
}

static ls_status evaluate(ls_engine *e, int32_t n_prompt, int32_t n_gen, ls_error *err)
{
    uint64_t random = 2;
    LS_TRY(feed(e, n_prompt, AT_ONCE, &random, err));
    return feed(e, n_gen, 1, &random, err);
}

ls_status ls_bench_prepare(ls_engine *e, const ls_bench_test *t, ls_error *err)
{
    int64_t need = (int64_t)t->n_depth + t->n_prompt + t->n_gen;
    int32_t n_ctx = ls_engine_get_info(e)->n_ctx;
    if (t->n_prompt < 0 || t->n_gen < 0 || t->n_depth < 0 || t->n_prompt + t->n_gen < 1) {
        return ls_fail(err, LS_ERR_USAGE, "nothing to measure: no token is evaluated");
    }
    if (need > n_ctx) {
        return ls_fail(err, LS_ERR_LIMIT, "%lld positions do not fit into a context of %d",
                       (long long)need, n_ctx);
    }
    LS_TRY(ls_engine_pack(e, err)); /* that is not to be timed */
    LS_TRY(go_to(e, t, err));
    return evaluate(e, t->n_prompt, t->n_gen > 0, err);
}

/* Back to the depth; over again with an engine that can only forget everything. */
static ls_status go_back(ls_engine *e, const ls_bench_test *t, ls_error *err)
{
    ls_error why = {0};
    if (ls_engine_rewind(e, (size_t)t->n_depth, &why) == LS_OK) return LS_OK;
    return go_to(e, t, err);
}

ls_status ls_bench_sample(ls_engine *e, const ls_bench_test *t, uint64_t *ns, ls_error *err)
{
    uint64_t before;
    LS_TRY(go_back(e, t, err));
    before = ls_engine_get_stats(e).eval_ns;
    LS_TRY(evaluate(e, t->n_prompt, t->n_gen, err));
    *ns = ls_engine_get_stats(e).eval_ns - before;
    return LS_OK;
}

/* ---- numbers ---- */

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

ls_status ls_bench_stats_of(ls_bench_stats *out, const double *x, size_t n, ls_error *err)
{
    double *sorted, sum = 0, squares = 0;
    *out = (ls_bench_stats){0};
    if (n == 0) return ls_fail(err, LS_ERR_USAGE, "no samples");
    LS_TRY(ls_alloc(&sorted, n, sizeof(*sorted), "samples", err));
    memcpy(sorted, x, n * sizeof(*x));
    qsort(sorted, n, sizeof(*sorted), ascending);
    for (size_t i = 0; i < n; i++) sum += x[i];
    out->mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) squares += (x[i] - out->mean) * (x[i] - out->mean);
    out->stddev = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    out->median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
    out->min = sorted[0];
    out->max = sorted[n - 1];
    free(sorted);
    return LS_OK;
}
