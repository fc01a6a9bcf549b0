// SPDX-License-Identifier: MIT
/* logits.c - logits of a model as bytes, for comparison between processors.
 *
 *   usage: logits MODEL TIER THREADS BATCH IDS [f32|f16|bf16|q8_0]     the last: type of the KV
 * cache, f16
 *
 * Writes the logits [ids][n_vocab] of the ids '1,2,3' to standard output, as the processor has
 * floats in memory: their SHA-256 is what `lockstep crossval determinism` prints. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockstep/model.h"

enum { MAX_IDS = 1024 };

static int fail(const ls_error *err)
{
    fprintf(stderr, "logits: %s\n", err->what);
    return 1;
}

/* Rows of one batch after the other; the session keeps those of the last batch. */
static int write_rows(ls_session *s, const ls_model_config *c, size_t batch, const int32_t *ids,
                      size_t n)
{
    const float *row;
    ls_error     err;
    for (size_t at = 0, k; at < n; at += k) {
        k = n - at < batch ? n - at : batch;
        if (ls_session_eval(s, ids + at, k, &err)) return fail(&err);
        for (size_t i = 0; i < k; i++) {
            if (ls_session_logits(s, i, &row, &err)) return fail(&err);
            if (fwrite(row, sizeof(float), (size_t)c->n_vocab, stdout) != (size_t)c->n_vocab) {
                return 1;
            }
        }
    }
    return fflush(stdout) ? 1 : 0;
}

static size_t read_ids(int32_t ids[MAX_IDS], const char *text)
{
    size_t n = 0;
    for (char *end; *text && n < MAX_IDS; text = *end ? end + 1 : end) {
        ids[n++] = (int32_t)strtol(text, &end, 10);
    }
    return n;
}

static bool read_kv_type(ls_session_options *opt, const char *name)
{
    static const struct {
        const char *name;
        int         dtype;
    } types[] = {{"f32", LS_DTYPE_F32},
                 {"f16", LS_DTYPE_F16},
                 {"bf16", LS_DTYPE_BF16},
                 {"q8_0", LS_DTYPE_Q8_0}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcmp(name, types[i].name) != 0) continue;
        opt->kv_type = types[i].dtype;
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    ls_session_options opt = {.kv_type = LS_DTYPE_F16};
    ls_model          *m;
    ls_session        *s;
    ls_error           err;
    int32_t            ids[MAX_IDS];
    size_t             n;
    int                code;
    if (argc < 6 || argc > 7 || !ls_tier_parse(argv[2], &opt.tier) ||
        (argc == 7 && !read_kv_type(&opt, argv[6]))) {
        fprintf(stderr, "usage: logits MODEL TIER THREADS BATCH IDS [f32|f16|bf16|q8_0]\n");
        return 2;
    }
    opt.n_threads = atoi(argv[3]);
    opt.n_batch = atoi(argv[4]);
    n = read_ids(ids, argv[5]);
    opt.n_ctx = (int32_t)n;
    if (opt.n_batch < 1) return 2;
    if (ls_model_open(&m, argv[1], &err)) return fail(&err);
    if (ls_model_pack(m, opt.n_threads, &err)) return fail(&err);
    if (ls_session_create(&s, m, &opt, &err)) return fail(&err);
    code = write_rows(s, ls_model_get_config(m), (size_t)opt.n_batch, ids, n);
    ls_session_destroy(s);
    ls_model_close(m);
    return code;
}
