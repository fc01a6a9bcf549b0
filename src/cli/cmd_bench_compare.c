// SPDX-License-Identifier: MIT
/* cmd_bench_compare.c - `lockstep bench compare`: the native engine and a reference in turn, in one
 * run on one machine, against each other and against what the machine can do.
 *
 * Samples alternate, because the speed of memory and the load of a machine change over minutes; a
 * ratio is made of two samples that stand side by side.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/bench_probe.h"

enum { NATIVE, REFERENCE, N_SIDES };

typedef struct side {
    const char       *exe;  /* NULL: native */
    const char       *name; /* for the table */
    ls_engine_options opt;
    ls_engine        *engine;
    bench_samples     samples;
    double            of_limit; /* the share of what the machine can do */
    double           *first_s;  /* [reps] seconds to the first token */
    ls_bench_stats    first;
    uint64_t          peak_bytes;
} side;

typedef struct compare {
    bench         b;
    ls_ref_status found;
    side          sides[N_SIDES];
    ls_limits     limits; /* for the threads at hand */
    double *reads;  /* [reps + 1] bytes a second before each pair of samples, and behind them */
    double *shares; /* [reps] of them that an engine read */
    double *ratios;
    ls_bench_stats ratio;
    json_t        *runs, *tests; /* NULL: text */
    cli_progress   progress;
    size_t         n_done, n_steps;
} compare;

static void step(compare *c) { cli_progress_update(&c->progress, c->n_done++, c->n_steps); }

/* ---- measuring ---- */

/* What can be read just now; the best so far becomes the limit that is shown. */
static ls_status measure_reading(compare *c, double *read_bytes, ls_error *err)
{
    ls_limits_options o = {.n_threads = c->limits.n_threads, .only_read = true};
    ls_limits         now;
    *read_bytes = 0;
    if (c->b.o->no_limits) return LS_OK;
    LS_TRY(ls_limits_measure(&now, &o, err));
    *read_bytes = now.read_bytes;
    if (now.read_bytes <= c->limits.read_bytes) return LS_OK;
    c->limits.read_bytes = now.read_bytes;
    c->limits.huge_pages = now.huge_pages;
    return LS_OK;
}

static int32_t longest_prompt(const bench *b)
{
    int32_t n = 1;
    for (size_t i = 0; i < b->n_tests; i++)
        if (b->tests[i].n_prompt > n) n = b->tests[i].n_prompt;
    return n;
}

/* The first probe does not count: it brings the file into the system's cache. */
static ls_status probe(compare *c, ls_error *err)
{
    bench_probe p;
    LS_TRY(bench_probe_run(&p, &c->sides[NATIVE].opt, c->sides[NATIVE].exe, 1, err));
    for (int32_t i = 0; i < c->b.o->reps; i++) {
        for (int k = 0; k < N_SIDES; k++) {
            side *s = &c->sides[k];
            step(c);
            LS_TRY(cli_check_interrupt(err));
            LS_TRY(bench_probe_run(&p, &s->opt, s->exe, longest_prompt(&c->b), err));
            s->first_s[i] = (double)p.first_ns / 1e9;
            if (p.peak_bytes > s->peak_bytes) s->peak_bytes = p.peak_bytes;
        }
    }
    for (int k = 0; k < N_SIDES; k++)
        LS_TRY(
            ls_bench_stats_of(&c->sides[k].first, c->sides[k].first_s, (size_t)c->b.o->reps, err));
    return LS_OK;
}

/* Which part of the machine's limit an engine reaches: of computing with prompts; of reading with
 * single tokens, each sample of the better of the two measurements beside it, their median. */
static ls_status find_share(compare *c, const ls_bench_test *t, int k, ls_error *err)
{
    const bench_samples *s = &c->sides[k].samples;
    const double         peak = ls_limits_for(&c->limits, c->b.work.dtype)->per_second;
    double               bytes = ls_bench_bytes_per_token(&c->b.work, t->n_depth, t->n_gen);
    ls_bench_stats       median;
    c->sides[k].of_limit = 0;
    if (c->b.o->no_limits) return LS_OK;
    if (t->n_gen == 0) {
        c->sides[k].of_limit = peak > 0 ? s->in_ts.median * c->b.work.prefill_ops / peak : 0;
        return LS_OK;
    }
    for (int32_t i = 0; i < c->b.o->reps; i++) {
        double at_most = c->reads[i] > c->reads[i + 1] ? c->reads[i] : c->reads[i + 1];
        c->shares[i] = at_most > 0 ? s->ts[i] * bytes / at_most : 0;
    }
    LS_TRY(ls_bench_stats_of(&median, c->shares, (size_t)c->b.o->reps, err));
    c->sides[k].of_limit = median.median;
    return LS_OK;
}

static const char *limit_name(const compare *c, const ls_bench_test *t)
{
    const ls_peak *peak = ls_limits_for(&c->limits, c->b.work.dtype);
    if (t->n_gen) return "read";
    return peak == &c->limits.int8 ? "int8" : peak == &c->limits.bf16 ? "bf16" : "fp32";
}

/* A pair of samples for each repetition. Where memory is read, what can be read is measured before
 * each pair and behind the last: it differs from minute to minute. */
static ls_status sample_both(compare *c, const ls_bench_test *t, ls_error *err)
{
    int32_t reps = c->b.o->reps;
    for (int k = 0; k < N_SIDES; k++) LS_TRY(ls_bench_prepare(c->sides[k].engine, t, err));
    for (int32_t i = 0; i < reps; i++) {
        if (t->n_gen) LS_TRY(measure_reading(c, &c->reads[i], err));
        for (int k = 0; k < N_SIDES; k++) {
            uint64_t ns = 0;
            LS_TRY(cli_check_interrupt(err));
            step(c);
            bench_pause();
            LS_TRY(ls_bench_sample(c->sides[k].engine, t, &ns, err));
            bench_samples_add(&c->sides[k].samples, t, (size_t)i, ns);
        }
        c->ratios[i] = c->sides[NATIVE].samples.ts[i] / c->sides[REFERENCE].samples.ts[i];
    }
    if (t->n_gen) LS_TRY(measure_reading(c, &c->reads[reps], err));
    for (int k = 0; k < N_SIDES; k++) {
        LS_TRY(bench_samples_finish(&c->sides[k].samples, reps, err));
        LS_TRY(find_share(c, t, k, err));
    }
    return ls_bench_stats_of(&c->ratio, c->ratios, (size_t)reps, err);
}

/* ---- what it says ---- */

static void print_head(const compare *c)
{
    const bench *b = &c->b;
    char         size[32], weights[32], kv[32];
    printf("Model:      %s, %s, %s weights\n", b->type,
           cli_format_bytes(b->work.n_bytes, size, sizeof(size)),
           cli_format_count(b->work.n_params, weights, sizeof(weights)));
    printf("A token:    reads %s and %s for each position before it; %.2f GOP in matrices "
           "(%.2f where its logits are asked for)\n",
           cli_format_bytes(b->work.weight_bytes, size, sizeof(size)),
           cli_format_bytes(b->work.kv_bytes, kv, sizeof(kv)), b->work.prefill_ops / 1e9,
           b->work.matrix_ops / 1e9);
    printf("Machine:    %s (%s), %d CPU%s\n", b->machine.cpu, b->machine.features,
           b->machine.n_cpus, b->machine.n_cpus == 1 ? "" : "s");
}

static void print_engines(const compare *c)
{
    char int8[96], fp32[96];
    for (int k = 0; k < N_SIDES; k++) {
        const ls_engine_info *i = ls_engine_get_info(c->sides[k].engine);
        printf("%-11s %s, %s, KV cache in %s\n", k == NATIVE ? "Native:" : "Reference:", i->version,
               i->isa, i->kv_type);
    }
    printf("\nThreads: %d.", ls_engine_get_info(c->sides[NATIVE].engine)->n_threads);
    if (c->limits.n_threads)
        printf(" Limits: read %.1f GB/s (%s pages), int8 %s, fp32 %s", c->limits.read_bytes / 1e9,
               c->limits.huge_pages ? "huge" : "small",
               bench_peak_text(&c->limits.int8, "GOP/s", int8, sizeof(int8)),
               bench_peak_text(&c->limits.fp32, "GFLOP/s", fp32, sizeof(fp32)));
    printf("\n\n| %14s | %12s | %12s | %6s | %15s | %5s | %7s | %7s |\n", "test", "native t/s",
           c->sides[REFERENCE].name, "ratio", "min to max", "limit", "native", "other");
    printf("| %.13s: | %.11s: | %.11s: | %.5s: | %.14s: | %.5s | %.6s: | %.6s: |\n",
           "-------------", "------------", "------------", "------", "---------------", "-----",
           "------", "------");
    fflush(stdout);
}

static void print_test(const compare *c, const ls_bench_test *t)
{
    char name[48], spread[48];
    snprintf(spread, sizeof(spread), "%.2f to %.2f", c->ratio.min, c->ratio.max);
    printf("| %14s | %12.2f | %12.2f | %6.2f | %15s | %-5s | %5.0f %% | %5.0f %% |\n",
           bench_test_name(t, name, sizeof(name)), c->sides[NATIVE].samples.in_ts.median,
           c->sides[REFERENCE].samples.in_ts.median, c->ratio.median, spread, limit_name(c, t),
           100 * c->sides[NATIVE].of_limit, 100 * c->sides[REFERENCE].of_limit);
    fflush(stdout);
}

static uint64_t memory_needed(const bench *b)
{
    return b->work.n_bytes + b->work.kv_bytes * (uint64_t)b->n_ctx;
}

static void print_tail(const compare *c)
{
    const side *n = &c->sides[NATIVE], *r = &c->sides[REFERENCE];
    char        a[32], o[32], w[32];
    printf("\n");
    if (c->limits.n_threads)
        printf("Read at most, up to the end: %.1f GB/s\n", c->limits.read_bytes / 1e9);
    printf("Load to first token: native %.3f s, %s %.3f s; ratio of times %.2f\n", n->first.median,
           r->name, r->first.median, n->first.median / r->first.median);
    printf("Peak memory: native %s, %s %s; weights and KV cache %s\n\n",
           cli_format_bytes(n->peak_bytes, a, sizeof(a)), r->name,
           cli_format_bytes(r->peak_bytes, o, sizeof(o)),
           cli_format_bytes(memory_needed(&c->b), w, sizeof(w)));
}

static json_t *stats_json(const ls_bench_stats *s, const double *x, int32_t n)
{
    json_t *samples = json_array();
    for (int32_t i = 0; samples && i < n; i++) json_array_append_new(samples, cli_json_real(x[i]));
    return json_pack("{s:o, s:o, s:o, s:o}", "median", cli_json_real(s->median), "min",
                     cli_json_real(s->min), "max", cli_json_real(s->max), "samples", samples);
}

static json_t *test_json(const compare *c, const ls_bench_test *t)
{
    char    name[48];
    json_t *reads = json_array();
    for (int32_t i = 0; reads && t->n_gen && i <= c->b.o->reps; i++)
        json_array_append_new(reads, cli_json_real(c->reads[i]));
    return json_pack("{s:s, s:i, s:i, s:i, s:o, s:o, s:o, s:s, s:o, s:o, s:o}", "name",
                     bench_test_name(t, name, sizeof(name)), "n_prompt", t->n_prompt, "n_gen",
                     t->n_gen, "n_depth", t->n_depth, "native",
                     bench_row_json(&c->b, ls_engine_get_info(c->sides[NATIVE].engine), t,
                                    &c->sides[NATIVE].samples),
                     "reference",
                     bench_row_json(&c->b, ls_engine_get_info(c->sides[REFERENCE].engine), t,
                                    &c->sides[REFERENCE].samples),
                     "ratio", stats_json(&c->ratio, c->ratios, c->b.o->reps), "limit",
                     limit_name(c, t), "native_of_limit", cli_json_real(c->sides[NATIVE].of_limit),
                     "reference_of_limit", cli_json_real(c->sides[REFERENCE].of_limit), "reads",
                     reads);
}

static json_t *side_json(const compare *c, int k)
{
    const side           *s = &c->sides[k];
    const ls_engine_info *i = ls_engine_get_info(s->engine);
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:I}", "engine", i->engine, "version",
                     i->version, "isa", i->isa, "kv_type", i->kv_type, "n_batch", i->n_batch,
                     "first_token_s", stats_json(&s->first, s->first_s, c->b.o->reps), "peak_bytes",
                     (json_int_t)s->peak_bytes);
}

static json_t *document(const compare *c)
{
    const bench         *b = &c->b;
    const ls_bench_work *w = &b->work;
    return json_pack("{s:o, s:s, s:I, s:I, s:o, s:{s:I, s:I, s:o, s:o, s:o}, s:O}",
                     "model_filename", cli_json_text(b->o->model.path, strlen(b->o->model.path)),
                     "model_type", b->type, "model_size", (json_int_t)w->n_bytes, "model_n_params",
                     (json_int_t)w->n_params, "machine", bench_machine_json(&b->machine), "token",
                     "weight_bytes", (json_int_t)w->weight_bytes, "kv_bytes_per_position",
                     (json_int_t)w->kv_bytes, "prefill_ops", cli_json_real(w->prefill_ops),
                     "decode_ops", cli_json_real(w->matrix_ops), "attention_ops_per_position",
                     cli_json_real(w->attention_ops), "runs", c->runs);
}

/* ---- the run ---- */

static ls_status open_sides(compare *c, ls_error *err)
{
    for (int k = 0; k < N_SIDES; k++)
        LS_TRY(bench_open_engine(&c->sides[k].opt, c->sides[k].exe, &c->sides[k].engine, err));
    cli_engine_note(c->b.ctx, c->sides[NATIVE].engine);
    return LS_OK;
}

static void close_sides(compare *c)
{
    for (int k = 0; k < N_SIDES; k++) {
        ls_engine_close(c->sides[k].engine);
        c->sides[k].engine = NULL;
    }
}

static ls_status run_tests(compare *c, ls_error *err)
{
    LS_TRY(open_sides(c, err));
    cli_progress_erase();
    if (!c->runs) print_engines(c);
    for (size_t i = 0; i < c->b.n_tests; i++) {
        LS_TRY(sample_both(c, &c->b.tests[i], err));
        cli_progress_erase();
        if (c->tests)
            json_array_append_new(c->tests, test_json(c, &c->b.tests[i]));
        else
            print_test(c, &c->b.tests[i]);
    }
    return LS_OK;
}

static ls_status run_threads(compare *c, int32_t n_threads, ls_error *err)
{
    const int engines[N_SIDES] = {BENCH_NATIVE, c->b.o->engine};
    ls_status status;
    for (int k = 0; k < N_SIDES; k++) {
        LS_TRY(bench_engine_options(&c->b, engines[k], n_threads, &c->sides[k].opt, err));
        c->sides[k].peak_bytes = 0;
    }
    c->limits = (ls_limits){0};
    LS_TRY(probe(c, err));
    if (!c->b.o->no_limits)
        LS_TRY(ls_limits_measure(&c->limits, &(ls_limits_options){.n_threads = n_threads}, err));
    if (c->runs && !(c->tests = json_array())) return ls_fail(err, LS_ERR_NOMEM, "out of memory");
    status = run_tests(c, err);
    if (status == LS_OK && c->runs) {
        json_array_append_new(
            c->runs,
            json_pack("{s:i, s:o, s:o, s:o, s:I, s:O}", "n_threads", n_threads, "limits",
                      c->limits.n_threads ? bench_limits_json(&c->limits) : json_null(), "native",
                      side_json(c, NATIVE), "reference", side_json(c, REFERENCE),
                      "weights_and_kv_bytes", (json_int_t)memory_needed(&c->b), "tests", c->tests));
    } else if (status == LS_OK) {
        print_tail(c);
    }
    json_decref(c->tests);
    c->tests = NULL;
    close_sides(c);
    return status;
}

static ls_status allocate(compare *c, ls_error *err)
{
    size_t reps = (size_t)c->b.o->reps;
    c->ratios = calloc(reps, sizeof(*c->ratios));
    c->shares = calloc(reps, sizeof(*c->shares));
    c->reads = calloc(reps + 1, sizeof(*c->reads));
    for (int k = 0; k < N_SIDES; k++) {
        c->sides[k].first_s = calloc(reps, sizeof(*c->sides[k].first_s));
        if (!c->sides[k].first_s || !c->ratios || !c->shares || !c->reads)
            return ls_fail(err, LS_ERR_NOMEM, "out of memory");
        LS_TRY(bench_samples_init(&c->sides[k].samples, c->b.o->reps, err));
    }
    if (c->b.ctx->json && !(c->runs = json_array()))
        return ls_fail(err, LS_ERR_NOMEM, "out of memory");
    return LS_OK;
}

static ls_status run_with(compare *c, cli_context *ctx, const bench_opts *o, ls_error *err)
{
    ls_status status = LS_OK;
    LS_TRY(bench_plan(&c->b, ctx, o, false, err));
    LS_TRY(bench_open_model(&c->b, err));
    LS_TRY(cli_reference_find(ctx, (ls_ref_kind)o->engine, &c->found, err));
    c->sides[REFERENCE].exe = c->found.exe;
    c->sides[REFERENCE].name = ls_ref_display_name(c->found.kind);
    LS_TRY(allocate(c, err));
    if (!c->runs) print_head(c);
    c->n_steps = c->b.n_threads * N_SIDES * (size_t)o->reps * (c->b.n_tests + 1);
    cli_progress_begin(&c->progress, ctx, "measuring");
    for (size_t i = 0; status == LS_OK && i < c->b.n_threads; i++)
        status = run_threads(c, c->b.threads[i], err);
    cli_progress_end(&c->progress);
    if (status != LS_OK || !c->runs) return status;
    return cli_json_print(document(c), NULL, err);
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    compare  *c = calloc(1, sizeof(*c));
    ls_status status;
    if (!c) return ls_fail(err, LS_ERR_NOMEM, "not enough memory");
    status = run_with(c, ctx, opts, err);
    close_sides(c);
    for (int k = 0; k < N_SIDES; k++) {
        bench_samples_fini(&c->sides[k].samples);
        free(c->sides[k].first_s);
    }
    free(c->ratios);
    free(c->shares);
    free(c->reads);
    json_decref(c->runs);
    bench_fini(&c->b);
    free(c);
    return status;
}

static const cli_choice references[] = {
    {"llama", LS_REF_LLAMA}, {"bitnet", LS_REF_BITNET}, {NULL, 0}};

static const cli_option against_table[] = {
    {.name = "against",
     .kind = CLI_ENUM,
     .off = offsetof(bench_opts, engine),
     .metavar = "ENGINE",
     .choices = references,
     .def = "llama",
     .help = "The reference, run as fast as it does by default."},
    {.name = "no-limits",
     .kind = CLI_FLAG,
     .off = offsetof(bench_opts, no_limits),
     .help = "Do not measure what the machine can do; the shares of it are then 0."},
    {0},
};

static const cli_group  groups[] = {{"Model", cli_model_table, offsetof(bench_opts, model)},
                                    {"What is timed", against_table, 0},
                                    {"What is timed", bench_table, 0},
                                    {0}};
static const bench_opts defaults = {BENCH_DEFAULTS,    .prompt = "128,512", .gen = "64",
                                    .depth = "0,2048", .reps = 3,           .engine = LS_REF_LLAMA};

const cli_command cli_cmd_bench_compare = {
    .noun = "bench",
    .verb = "compare",
    .summary = "Time the native engine and a reference in turn",
    .details =
        "Both have the same file and the same threads, and their samples alternate within one run: "
        "speeds are medians, a ratio is made of two neighbouring samples. Prompts are evaluated "
        "from an empty cache, decoding is timed after each --depth. Without options: 128 and 512 "
        "tokens together, 64 one by one after 0 and after 2,048, three times. Beside that the "
        "limits of this machine, measured in the same run, and the share of them that each engine "
        "reaches, the time from opening the model to its first token, and the memory in use.\n",
    .examples = "$ lockstep bench compare -m model.gguf --threads 1,2\n"
                "$ lockstep bench compare -m model.gguf --prompt 512 --gen 64 --depth 0 --json\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(bench_opts),
    .reports = true,
    .run = run,
};
