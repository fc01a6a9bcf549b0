// SPDX-License-Identifier: MIT
/* engine.c - the public engine calls: arguments are checked here, once, for every engine, then
 * forwarded; what is counted for every engine is counted here too. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "engine/engine_ops.h"

void ls_engine_close(ls_engine *e)
{
    if (e) e->ops->close(e);
}

const ls_engine_info *ls_engine_get_info(const ls_engine *e) { return &e->info; }

ls_engine_stats ls_engine_get_stats(const ls_engine *e) { return e->stats; }

ls_status ls_engine_tokenize(ls_engine *e, const char *text, size_t len,
                             const ls_encode_options *opt, int32_t **ids, size_t *n, ls_error *err)
{
    static const ls_encode_options defaults;
    *ids = NULL;
    *n = 0;
    if (!text && len > 0) return ls_fail(err, LS_ERR_USAGE, "no text to tokenize");
    return e->ops->tokenize(e, text ? text : "", len, opt ? opt : &defaults, ids, n, err);
}

ls_status ls_engine_eval(ls_engine *e, const int32_t *tokens, size_t n, ls_error *err)
{
    ls_status status;
    e->n_last = 0;
    if (n < 1 || n > (size_t)e->info.n_batch) {
        return ls_fail(err, LS_ERR_USAGE,
                       "cannot evaluate %zu tokens at once, 1 to %d are possible", n,
                       e->info.n_batch);
    }
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= e->info.n_vocab) {
            return ls_fail(err, LS_ERR_USAGE, "token %d is not in the vocabulary of %d of '%s'",
                           tokens[i], e->info.n_vocab, e->info.engine);
        }
    }
    status = e->ops->eval(e, tokens, n, err);
    if (status != LS_OK) return status;
    e->n_last = n;
    e->pos += n;
    e->stats.n_tokens += n;
    return LS_OK;
}

ls_status ls_engine_logits(ls_engine *e, size_t i, const float **row, ls_error *err)
{
    *row = NULL;
    if (i >= e->n_last) {
        return ls_fail(err, LS_ERR_USAGE, "no logits for token %zu: the last evaluation had %zu", i,
                       e->n_last);
    }
    return e->ops->logits(e, i, row, err);
}

ls_status ls_engine_pack(ls_engine *e, ls_error *err)
{
    return e->ops->pack ? e->ops->pack(e, err) : LS_OK;
}

ls_status ls_engine_reset(ls_engine *e, ls_error *err)
{
    e->n_last = 0;
    e->pos = 0;
    return e->ops->rewind(e, 0, err);
}

ls_status ls_engine_rewind(ls_engine *e, size_t n_keep, ls_error *err)
{
    if (n_keep > e->pos) {
        return ls_fail(err, LS_ERR_USAGE, "cannot go back to position %zu: %zu are evaluated",
                       n_keep, e->pos);
    }
    e->n_last = 0;
    LS_TRY(e->ops->rewind(e, n_keep, err));
    e->pos = n_keep;
    return LS_OK;
}

uint64_t ls_engine_peak_bytes(const ls_engine *e)
{
    char               path[64], line[256];
    unsigned long long kib = 0;
    FILE              *f;
    if (e->pid)
        snprintf(path, sizeof(path), "/proc/%ld/status", (long)e->pid);
    else
        snprintf(path, sizeof(path), "/proc/self/status");
    f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f) && sscanf(line, "VmHWM: %llu kB", &kib) != 1) {
    }
    if (f) fclose(f);
    return (uint64_t)kib << 10;
}
