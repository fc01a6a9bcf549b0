// SPDX-License-Identifier: MIT
/* cmd_bench_run.c - `lockstep bench run`: how fast one engine is, in the tables and keys of
 * llama.cpp's own benchmark. */
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"

static const cli_choice engines[] = {
    {"native", BENCH_NATIVE}, {"llama", LS_REF_LLAMA}, {"bitnet", LS_REF_BITNET}, {NULL, 0}};

static void print_head(void)
{
    printf("| %-30s | %10s | %8s | %-22s | %7s | %15s | %18s |\n", "model", "size", "params",
           "engine", "threads", "test", "t/s");
    printf("| %.30s | %.9s: | %.7s: | %.22s | %.6s: | %.14s: | %.17s: |\n",
           "------------------------------", "---------", "-------", "----------------------",
           "------", "--------------", "-----------------");
}

static void print_row(const bench *b, const ls_engine_info *info, const ls_bench_test *t,
                      const bench_samples *s)
{
    char size[32], params[32], engine[128], name[48], speed[48];
    snprintf(params, sizeof(params), "%.2f %s",
             (double)b->work.n_params / (b->work.n_params >= 1000000000u ? 1e9 : 1e6),
             b->work.n_params >= 1000000000u ? "B" : "M");
    snprintf(engine, sizeof(engine), "%s %s", info->engine, info->isa);
    snprintf(speed, sizeof(speed), "%.2f \xc2\xb1 %.2f", s->in_ts.mean, s->in_ts.stddev);
    /* one byte more than characters in `speed` */
    printf("| %-30s | %10s | %8s | %-22s | %7d | %15s | %19s |\n", b->type,
           cli_format_bytes(b->work.n_bytes, size, sizeof(size)), params, engine, info->n_threads,
           bench_test_name(t, name, sizeof(name)), speed);
    fflush(stdout);
}

/* One test: samples, and a row of them. */
static ls_status run_test(const bench *b, ls_engine *e, const ls_bench_test *t, json_t *rows,
                          ls_error *err)
{
    const ls_engine_info *info = ls_engine_get_info(e);
    bench_samples         s = {0};
    ls_status             status;
    LS_TRY(bench_samples_init(&s, b->o->reps, err));
    status = ls_bench_prepare(e, t, err);
    for (int32_t i = 0; status == LS_OK && i < b->o->reps; i++) {
        uint64_t ns = 0;
        status = cli_check_interrupt(err);
        if (status == LS_OK) status = ls_bench_sample(e, t, &ns, err);
        bench_samples_add(&s, t, (size_t)i, ns);
    }
    if (status == LS_OK) status = bench_samples_finish(&s, b->o->reps, err);
    if (status == LS_OK && rows) json_array_append_new(rows, bench_row_json(b, info, t, &s));
    if (status == LS_OK && !rows) print_row(b, info, t, &s);
    bench_samples_fini(&s);
    return status;
}

static ls_status run_all(const bench *b, const char *exe, json_t *rows, ls_error *err)
{
    cli_progress progress;
    ls_status    status = LS_OK;
    size_t       total = b->n_threads * b->n_tests, done = 0;
    if (!rows) print_head();
    for (size_t i = 0; status == LS_OK && i < b->n_threads; i++) {
        ls_engine_options opt;
        ls_engine        *e;
        LS_TRY(bench_engine_options(b, b->o->engine, b->threads[i], &opt, err));
        LS_TRY(bench_open_engine(&opt, exe, &e, err));
        cli_engine_note(b->ctx, e);
        for (size_t k = 0; status == LS_OK && k < b->n_tests; k++) {
            cli_progress_begin(&progress, b->ctx, "measuring");
            cli_progress_update(&progress, done++, total);
            status = run_test(b, e, &b->tests[k], rows, err);
            cli_progress_end(&progress);
        }
        ls_engine_close(e);
    }
    return status;
}

static ls_status run_with(bench *b, cli_context *ctx, const bench_opts *o, ls_error *err)
{
    ls_ref_status found = {0};
    json_t       *rows = NULL;
    ls_status     status;
    LS_TRY(bench_plan(b, ctx, o, true, err));
    LS_TRY(bench_open_model(b, err));
    if (o->engine != BENCH_NATIVE)
        LS_TRY(cli_reference_find(ctx, (ls_ref_kind)o->engine, &found, err));
    if (ctx->json && !(rows = json_array()))
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the JSON document");
    status = run_all(b, o->engine == BENCH_NATIVE ? NULL : found.exe, rows, err);
    if (status == LS_OK && rows) return cli_json_print(rows, NULL, err);
    json_decref(rows);
    return status;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    bench    *b = calloc(1, sizeof(*b));
    ls_status status;
    if (!b) return ls_fail(err, LS_ERR_NOMEM, "not enough memory");
    status = run_with(b, ctx, opts, err);
    bench_fini(b);
    free(b);
    return status;
}

static const cli_option engine_table[] = {
    {.name = "engine",
     .kind = CLI_ENUM,
     .off = offsetof(bench_opts, engine),
     .metavar = "ENGINE",
     .choices = engines,
     .def = "native",
     .help = "Which engine is timed."},
    {0},
};

static const cli_group  groups[] = {{"Model", cli_model_table, offsetof(bench_opts, model)},
                                    {"What is timed", engine_table, 0},
                                    {"What is timed", bench_table, 0},
                                    {0}};
static const bench_opts defaults = {BENCH_DEFAULTS, .prompt = "512", .gen = "128",
                                    .depth = "0",   .reps = 5,       .engine = BENCH_NATIVE};

const cli_command cli_cmd_bench_run = {
    .noun = "bench",
    .verb = "run",
    .summary = "Time one engine",
    .details =
        "Tokens per second, as llama.cpp's llama-bench measures them: evaluation alone, logits of "
        "the last position, nothing sampled. Each --prompt and each --gen is a test of its own, "
        "after each --depth. Without options 512 tokens together and 128 one by one, five times. "
        "--json prints an array with llama-bench's keys.\n",
    .examples = "$ lockstep bench run -m model.gguf --prompt 512 --gen 64 --threads 1,2 --reps 3\n"
                "$ lockstep bench run -m model.gguf --engine llama --json\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(bench_opts),
    .reports = true,
    .run = run,
};
