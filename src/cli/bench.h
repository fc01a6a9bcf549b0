// SPDX-License-Identifier: MIT
/* bench.h - what the commands that time engines have in common: options, the model, an engine to be
 * timed, its samples, and a row of them in the words of llama.cpp's benchmark. */
#ifndef LS_CLI_BENCH_H
#define LS_CLI_BENCH_H

#include "cli/cli.h"
#include "cli/cli_json.h"

enum { BENCH_MAX = 16 }; /* values of a list */

typedef struct bench_opts {
    cli_model_opts model;
    const char    *prompt, *gen, *depth, *threads; /* lists of numbers; threads NULL: not given */
    int32_t        reps;
    bool           no_limits;
    int            isa;
    const char    *prepacked; /* as in cli_engine_opts */
    double         timeout_s;
    int            engine; /* BENCH_NATIVE or an ls_ref_kind: the engine, or what it is compared with */
} bench_opts;
enum { BENCH_NATIVE = -1 };
#define BENCH_DEFAULTS .isa = LS_TIER_AUTO

/* --prompt --gen --depth --threads --reps --isa --prepacked --timeout; the defaults of the first three and of reps
 * are the command's. */
extern const cli_option bench_table[];

/* How long an engine is left alone before another is timed: the longest that threads of llama.cpp poll
 * for work by default, and half as much again. */
#define BENCH_PAUSE_MS 250

typedef struct bench {
    cli_context      *ctx;
    const bench_opts *o;
    int32_t           threads[BENCH_MAX];
    size_t            n_threads;
    ls_bench_test     tests[3 * BENCH_MAX * BENCH_MAX];
    size_t            n_tests;
    int32_t           n_ctx; /* what the longest needs */
    ls_gguf          *gguf;
    ls_model_config   config;
    ls_bench_work     work;
    char              type[96]; /* "llama 1B Q4_0" */
    ls_machine        machine;
} bench;

/* Options into lists. `every_depth`: prompts are evaluated after each depth, not after none alone.
 * Errors: USAGE. */
ls_status bench_plan(bench *b, cli_context *ctx, const bench_opts *o, bool every_depth,
                     ls_error *err);
/* The model: what it is and what a token costs. Errors: as ls_model_open. */
ls_status bench_open_model(bench *b, ls_error *err);
void      bench_fini(bench *b); /* zeroed is allowed */

/* What an engine is opened with. */
ls_status bench_engine_options(const bench *b, int engine, int32_t n_threads,
                               ls_engine_options *out, ls_error *err);
/* exe NULL: the native one. */
ls_status bench_open_engine(const ls_engine_options *opt, const char *exe, ls_engine **out,
                            ls_error *err);
/* Wait until threads that still poll have stopped. */
void bench_pause(void);

typedef struct bench_samples {
    uint64_t      *ns; /* [reps], owned */
    double        *ts; /* tokens per second */
    ls_bench_stats in_ns, in_ts;
} bench_samples;
ls_status bench_samples_init(bench_samples *s, int32_t reps, ls_error *err);
void      bench_samples_add(bench_samples *s, const ls_bench_test *t, size_t i, uint64_t ns);
ls_status bench_samples_finish(bench_samples *s, int32_t reps, ls_error *err);
void      bench_samples_fini(bench_samples *s);

/* "pp512", "tg64 @ d2048". Returns buf. */
const char *bench_test_name(const ls_bench_test *t, char *buf, size_t cap);
/* An object with the keys of llama-bench -o json, and some more. NULL: no memory. */
json_t *bench_row_json(const bench *b, const ls_engine_info *info, const ls_bench_test *t,
                       const bench_samples *s);
json_t *bench_machine_json(const ls_machine *m);
json_t *bench_limits_json(const ls_limits *l);
/* "312.1 GOP/s (vpdpbusd, 512 bits)". Returns buf. */
const char *bench_peak_text(const ls_peak *p, const char *unit, char *buf, size_t cap);

#endif
