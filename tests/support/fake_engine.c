// SPDX-License-Identifier: MIT
/* fake_engine.c - an engine without a model (fake_engine.h). */
#include "support/fake_engine.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine_ops.h"

typedef struct fake {
    ls_engine    base;
    fake_options opt;
    uint64_t     history; /* hash of all tokens so far         */
    uint64_t    *before;  /* [n_batch] history at each row     */
    int32_t      first;   /* position of row 0 of the last eval */
    int32_t      pos;
    float       *row;
    size_t       n_evals, n_rows, max_batch;
} fake;

static uint64_t mix(uint64_t x) /* splitmix64 */
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* About normal, standard deviation near 3: the sum of four uniform numbers. */
static float logit(uint64_t history, size_t id)
{
    uint64_t h = mix(history ^ mix(id));
    double   x = 0;
    for (int i = 0; i < 4; i++) x += (double)((h >> (16 * i)) & 0xffff) / 65536.0 - 0.5;
    return (float)(x * 5.2);
}

static ls_status fake_tokenize(ls_engine *e, const char *text, size_t len,
                               const ls_encode_options *opt, int32_t **ids, size_t *n,
                               ls_error *err)
{
    fake  *f = (fake *)e;
    size_t k = 0;
    if (f->opt.fault == FAKE_TOKENIZE_FAILS)
        return ls_fail(err, LS_ERR_REFERENCE, "%s cannot tokenize", e->info.engine);
    *ids = malloc((len + 2) * sizeof(**ids));
    assert(*ids);
    if (opt->bos != LS_BOS_NO) (*ids)[k++] = 1;
    for (size_t i = 0; i < len; i++) (*ids)[k++] = (unsigned char)text[i] % 60 + 2;
    if (f->opt.fault == FAKE_OTHER_ID && (size_t)f->opt.at < k) (*ids)[f->opt.at] ^= 1;
    if (f->opt.fault == FAKE_ID_LESS && k) k--;
    if (f->opt.fault == FAKE_ID_MORE) (*ids)[k++] = 3;
    if (f->opt.fault == FAKE_NO_IDS) k = 0;
    *n = k;
    return LS_OK;
}

static ls_status fake_eval(ls_engine *e, const int32_t *tokens, size_t n, ls_error *err)
{
    fake   *f = (fake *)e;
    int32_t at = f->opt.at;
    f->n_evals++;
    if (n > f->max_batch) f->max_batch = n;
    if (f->opt.on_eval) f->opt.on_eval(f->opt.on_eval_ctx);
    if (f->opt.fault == FAKE_EVAL_FAILS && at >= f->pos && at < f->pos + (int32_t)n)
        return ls_fail(err, LS_ERR_REFERENCE, "%s died while evaluating", e->info.engine);
    f->first = f->pos;
    for (size_t i = 0; i < n; i++) {
        if (f->opt.fault != FAKE_DEAF || f->pos != at)
            f->history = mix(f->history ^ (uint64_t)tokens[i]);
        f->before[i] = f->history;
        f->pos++;
    }
    return LS_OK;
}

static void spoil(fake *f, float *row, size_t n)
{
    float first = row[0];
    switch (f->opt.fault) {
    case FAKE_NAN:
        row[n / 2] = NAN;
        break;
    case FAKE_INF:
        row[n - 1] = -INFINITY;
        break;
    case FAKE_ZERO_ROW:
        memset(row, 0, n * sizeof(*row));
        break;
    case FAKE_SCALED:
        for (size_t i = 0; i < n; i++) row[i] *= 1.5f;
        break;
    case FAKE_NEGATED:
        for (size_t i = 0; i < n; i++) row[i] = -row[i];
        break;
    case FAKE_ONE_LOGIT:
        row[n / 3] += 20;
        break;
    case FAKE_STALE_ROW:
        for (size_t i = 0; i < n; i++) row[i] = logit(12345, i);
        break;
    case FAKE_ROTATED:
        memmove(row, row + 1, (n - 1) * sizeof(*row));
        row[n - 1] = first;
        break;
    default:
        break; /* the other faults are not in the numbers */
    }
}

static ls_status fake_logits(ls_engine *e, size_t i, const float **row, ls_error *err)
{
    fake   *f = (fake *)e;
    size_t  n = (size_t)e->info.n_vocab;
    int32_t pos = f->first + (int32_t)i;
    bool    here = pos == f->opt.at;
    f->n_rows++;
    if (here && f->opt.fault == FAKE_LOGITS_FAIL)
        return ls_fail(err, LS_ERR_REFERENCE, "%s lost its logits", e->info.engine);
    if (here && f->opt.fault == FAKE_NULL_ROW) return LS_OK;
    for (size_t k = 0; k < n; k++) f->row[k] = logit(f->before[i], k);
    if (here) spoil(f, f->row, n);
    if (f->opt.edit) f->opt.edit(f->opt.edit_ctx, pos, f->row, n);
    *row = f->row;
    return LS_OK;
}

static ls_status fake_rewind(ls_engine *e, size_t n_keep, ls_error *err)
{
    fake *f = (fake *)e;
    if (n_keep) return ls_fail(err, LS_ERR_REFERENCE, "%s cannot go back", e->info.engine);
    f->history = 0;
    f->pos = 0;
    return LS_OK;
}

static void fake_close(ls_engine *e)
{
    fake *f = (fake *)e;
    free(f->before);
    free(f->row);
    free(f);
}

static const ls_engine_ops fake_ops = {fake_tokenize, fake_eval,  fake_logits,
                                       fake_rewind,   fake_close, NULL};

ls_engine *fake_open(const fake_options *opt)
{
    fake *f = calloc(1, sizeof(*f));
    assert(f);
    f->opt = *opt;
    f->base.ops = &fake_ops;
    f->base.info.n_vocab = opt->n_vocab ? opt->n_vocab : 64;
    if (opt->fault == FAKE_OTHER_VOCAB) f->base.info.n_vocab++;
    f->base.info.n_ctx = opt->n_ctx ? opt->n_ctx : 4096;
    f->base.info.n_batch = opt->n_batch ? opt->n_batch : 512;
    f->base.info.n_threads = opt->n_threads ? opt->n_threads : 1;
    snprintf(f->base.info.engine, sizeof(f->base.info.engine), "%s",
             opt->name ? opt->name : "fake");
    f->before = calloc((size_t)f->base.info.n_batch, sizeof(*f->before));
    f->row = calloc((size_t)f->base.info.n_vocab, sizeof(*f->row));
    assert(f->before && f->row);
    return &f->base;
}

size_t fake_n_evals(const ls_engine *e) { return ((const fake *)e)->n_evals; }
size_t fake_n_rows(const ls_engine *e) { return ((const fake *)e)->n_rows; }
size_t fake_max_batch(const ls_engine *e) { return ((const fake *)e)->max_batch; }
