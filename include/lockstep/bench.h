// SPDX-License-Identifier: MIT
/* bench.h - how fast an engine is, and how fast this machine could be.
 *
 * Engines are timed as llama.cpp's own benchmark times: evaluation alone, measured in the process that
 * evaluates, logits of the last position only, ids drawn at random, nothing sampled. What a token
 * costs at least (bytes read, operations done) follows from the model's tensors; what the machine can
 * do at most is measured.
 */
#ifndef LOCKSTEP_BENCH_H
#define LOCKSTEP_BENCH_H

#include "lockstep/engine.h"

/* ---- engines ---- */

/* n_depth positions are there already; then n_prompt tokens are evaluated together (in batches that the
 * engine takes), then n_gen tokens one after the other. */
typedef struct ls_bench_test {
    int32_t n_prompt, n_gen, n_depth;
} ls_bench_test;

/* Bring an engine to where the test begins, with everything touched once that the test will touch, and
 * all weights packed (ls_engine_pack).
 * Errors: as ls_engine_eval; LIMIT where the context is too short. */
LS_API ls_status ls_bench_prepare(ls_engine *e, const ls_bench_test *t, ls_error *err);
/* One sample: back to n_depth, then the test. *ns is the time that the engine says it took. Errors: as
 * ls_engine_eval. */
LS_API ls_status ls_bench_sample(ls_engine *e, const ls_bench_test *t, uint64_t *ns, ls_error *err);

typedef struct ls_bench_stats {
    double mean, stddev; /* of the sample: n - 1; 0 where there is one */
    double median, min, max;
} ls_bench_stats;
/* Of x[n], n >= 1. Errors: NOMEM. */
LS_API ls_status ls_bench_stats_of(ls_bench_stats *out, const double *x, size_t n, ls_error *err);

/* ---- what a token costs ---- */

typedef struct ls_bench_work {
    uint64_t n_params, n_bytes;  /* of all tensors                                              */
    uint64_t weight_bytes;       /* read for a token: matrices of the experts that are used, the
                                  * output matrix, vectors; one row of the embeddings            */
    double   matrix_ops;         /* multiplications and additions in matrices, with the output's */
    double   prefill_ops;        /* without it: one position of many has logits                  */
    uint64_t kv_bytes;           /* read for each position before it, by attention               */
    double   attention_ops;      /* the same                                                     */
    int      dtype;              /* of the matrices that do most operations                      */
} ls_bench_work;

/* `kv_dtype`: type of the KV cache. Windows of attention are taken as unbounded. */
LS_API void ls_bench_work_of(ls_bench_work *out, const ls_gguf *g, const ls_model_config *c,
                             int kv_dtype);
/* Bytes that decoding n tokens after `depth` positions reads for a token, on average. */
LS_API double ls_bench_bytes_per_token(const ls_bench_work *w, int32_t depth, int32_t n);

/* ---- what the machine can do ---- */

typedef struct ls_machine {
    char    cpu[96];       /* as the system names it; "" unknown             */
    char    features[192]; /* instruction sets that matter here, with blanks */
    ls_tier tier;
    int     n_cpus;        /* that this process may use                      */
} ls_machine;
LS_API void ls_machine_describe(ls_machine *out);

typedef struct ls_peak {
    double      per_second; /* operations (a multiplication and an addition are two); 0: not known */
    const char *how;        /* "vpdpbusd, 512 bits"; static                                        */
} ls_peak;

typedef struct ls_limits {
    int     n_threads;
    double  read_bytes; /* per second, out of memory, all threads together */
    bool    huge_pages; /* whether most of what was read lay in such       */
    ls_peak int8, fp32, bf16;
} ls_limits;

typedef struct ls_limits_options { /* zero means: default */
    int    n_threads;    /* 0: one per CPU that this process may use           */
    size_t buffer_bytes; /* to read; 0: 512 MiB, beyond any cache of today     */
    double seconds;      /* for each of the four limits, at least; 0: 0.2      */
    bool   only_read;    /* leave the others 0                                 */
} ls_limits_options;

/* Measure; the best of several passes each. Errors: NOMEM, IO (threads), USAGE. */
LS_API ls_status ls_limits_measure(ls_limits *out, const ls_limits_options *opt, ls_error *err);

/* The limit that matrices of this type run into: products of bytes, of BF16 pairs where the machine
 * has them, or of floats. */
LS_API const ls_peak *ls_limits_for(const ls_limits *l, int dtype);

#endif
