// SPDX-License-Identifier: MIT
/* bench.c - what the commands that time engines have in common: lists of numbers, the model,
 * samples. */
#include "cli/bench.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/facts.h"

/* ---- the plan ---- */

static void add_test(bench *b, ls_bench_test t)
{
    int32_t need = t.n_depth + t.n_prompt + t.n_gen + 1;
    if (t.n_prompt + t.n_gen == 0) return;
    b->tests[b->n_tests++] = t;
    if (need > b->n_ctx) b->n_ctx = need;
}

static ls_status plan_threads(bench *b, ls_error *err)
{
    const cli_numbers counts = {1, 256, BENCH_MAX};
    b->n_threads = 1;
    b->threads[0] = 0;
    if (b->o->threads)
        return cli_numbers_read(b->ctx, "threads", b->o->threads, &counts, b->threads,
                                &b->n_threads, err);
    LS_TRY(cli_env_threads(b->ctx->env, &b->threads[0], err));
    if (!b->threads[0]) b->threads[0] = b->machine.n_cpus;
    return LS_OK;
}

ls_status bench_plan(bench *b, cli_context *ctx, const bench_opts *o, bool every_depth,
                     ls_error *err)
{
    enum { MOST = 1 << 22 };
    const cli_numbers sizes = {0, MOST, BENCH_MAX};
    int32_t           prompt[BENCH_MAX], gen[BENCH_MAX], depth[BENCH_MAX];
    size_t            n_prompt, n_gen, n_depth;
    b->ctx = ctx;
    b->o = o;
    ls_machine_describe(&b->machine);
    LS_TRY(cli_model_check(ctx, &o->model, err));
    LS_TRY(cli_numbers_read(ctx, "prompt", o->prompt, &sizes, prompt, &n_prompt, err));
    LS_TRY(cli_numbers_read(ctx, "gen", o->gen, &sizes, gen, &n_gen, err));
    LS_TRY(cli_numbers_read(ctx, "depth", o->depth, &sizes, depth, &n_depth, err));
    LS_TRY(plan_threads(b, err));
    for (size_t d = 0; d < (every_depth ? n_depth : 1); d++) {
        for (size_t i = 0; i < n_prompt; i++)
            add_test(b, (ls_bench_test){prompt[i], 0, every_depth ? depth[d] : 0});
        for (size_t i = 0; every_depth && i < n_gen; i++)
            add_test(b, (ls_bench_test){0, gen[i], depth[d]});
    }
    for (size_t d = 0; !every_depth && d < n_depth; d++)
        for (size_t i = 0; i < n_gen; i++) add_test(b, (ls_bench_test){0, gen[i], depth[d]});
    if (b->n_tests == 0)
        return cli_usage(ctx, err, "options '--prompt' and '--gen' leave nothing to measure");
    return LS_OK;
}

/* ---- the model ---- */

/* "1B", "135M": the number of weights in the words of model names. */
static void size_name(uint64_t n, char *out, size_t cap)
{
    double x = (double)n;
    if (x >= 1e9)
        snprintf(out, cap, "%.*fB", x < 9.5e9 && x / 1e9 - (double)(n / 1000000000u) >= 0.25,
                 x / 1e9);
    else
        snprintf(out, cap, "%.*fM", x < 1e6, x / 1e6);
}

ls_status bench_open_model(bench *b, ls_error *err)
{
    ls_model   *model;
    model_facts facts;
    char        size[16];
    LS_TRY(ls_gguf_open(&b->gguf, b->o->model.path, err));
    LS_TRY(ls_model_open_gguf(&model, b->gguf, err));
    b->config = *ls_model_get_config(model);
    ls_model_close(model);
    if (b->n_ctx > b->config.n_ctx_train) {
        ls_fail(err, LS_ERR_LIMIT, "%d positions do not fit the model's context of %d", b->n_ctx,
                b->config.n_ctx_train);
        ls_fail_hint(err, "give shorter tests with --prompt, --gen and --depth");
        return LS_ERR_LIMIT;
    }
    ls_bench_work_of(&b->work, b->gguf, &b->config, LS_DTYPE_F16);
    model_facts_of(&facts, b->gguf, &b->config);
    size_name(b->work.n_params, size, sizeof(size));
    snprintf(b->type, sizeof(b->type), "%s %s %.*s", b->config.arch, size,
             (int)strcspn(facts.flavour, ","), facts.flavour);
    return LS_OK;
}

void bench_fini(bench *b)
{
    ls_gguf_close(b->gguf);
    *b = (bench){0};
}

/* ---- engines ---- */

ls_status bench_engine_options(const bench *b, int engine, int32_t n_threads,
                               ls_engine_options *out, ls_error *err)
{
    cli_engine_opts o = CLI_ENGINE_DEFAULTS;
    ls_faults       none;
    o.isa = b->o->isa;
    o.prepacked = b->o->prepacked;
    o.timeout_s = b->o->timeout_s;
    LS_TRY(cli_engine_resolve(b->ctx, &o, out, &none, err));
    out->model_path = b->o->model.path;
    out->n_ctx = b->n_ctx;
    out->n_threads = n_threads;
    out->n_batch = engine == BENCH_NATIVE ? 512 : 2048; /* 2048: llama.cpp's own default */
    out->faults = NULL;
    out->for_speed = true;
    return LS_OK;
}

ls_status bench_open_engine(const ls_engine_options *opt, const char *exe, ls_engine **out,
                            ls_error *err)
{
    if (exe) return ls_engine_open_reference(out, exe, opt, err);
    return ls_engine_open_native(out, opt, err);
}

void bench_pause(void)
{
    struct timespec t = {0, BENCH_PAUSE_MS * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- samples ---- */

ls_status bench_samples_init(bench_samples *s, int32_t reps, ls_error *err)
{
    s->ns = calloc((size_t)reps, sizeof(*s->ns));
    s->ts = calloc((size_t)reps, sizeof(*s->ts));
    if (s->ns && s->ts) return LS_OK;
    bench_samples_fini(s);
    return ls_fail(err, LS_ERR_NOMEM, "not enough memory for samples");
}

void bench_samples_add(bench_samples *s, const ls_bench_test *t, size_t i, uint64_t ns)
{
    s->ns[i] = ns ? ns : 1;
    s->ts[i] = (t->n_prompt + t->n_gen) * 1e9 / (double)s->ns[i];
}

ls_status bench_samples_finish(bench_samples *s, int32_t reps, ls_error *err)
{
    double   *ns = calloc((size_t)reps, sizeof(*ns));
    ls_status status;
    if (!ns) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for samples");
    for (int32_t i = 0; i < reps; i++) ns[i] = (double)s->ns[i];
    status = ls_bench_stats_of(&s->in_ns, ns, (size_t)reps, err);
    free(ns);
    if (status != LS_OK) return status;
    return ls_bench_stats_of(&s->in_ts, s->ts, (size_t)reps, err);
}

void bench_samples_fini(bench_samples *s)
{
    free(s->ns);
    free(s->ts);
    *s = (bench_samples){0};
}

/* ---- in words and in JSON ---- */

const char *bench_test_name(const ls_bench_test *t, char *buf, size_t cap)
{
    int n =
        t->n_gen ? snprintf(buf, cap, "tg%d", t->n_gen) : snprintf(buf, cap, "pp%d", t->n_prompt);
    if (t->n_depth) snprintf(buf + n, cap - (size_t)n, " @ d%d", t->n_depth);
    return buf;
}

/* What llama-bench writes of settings that a CPU has none of, or that are as they always are here.
 */
static const struct {
    const char *key;
    const char *text; /* NULL: the number */
    int         number;
} fixed[] = {
    {"build_number", NULL, 0},   {"gpu_info", "", 0},
    {"backends", "CPU", 0},      {"n_ubatch", NULL, 512},
    {"cpu_mask", "0x0", 0},      {"cpu_strict", NULL, -1},
    {"n_gpu_layers", NULL, 0},   {"n_cpu_moe", NULL, 0},
    {"split_mode", "layer", 0},  {"main_gpu", NULL, 0},
    {"no_kv_offload", NULL, -2}, {"devices", "none", 0},
    {"tensor_split", "0.00", 0}, {"tensor_buft_overrides", "none", 0},
    {"load_mode", "auto", 0},    {"lazy_mode", "auto", 0},
    {"embeddings", NULL, -1},    {"no_op_offload", NULL, 1},
    {"no_host", NULL, -1},       {"fit_target", NULL, 0},
    {"fit_min_ctx", NULL, 0},
};

static void set(json_t *row, const char *key, json_t *value)
{
    json_object_set_new(row, key, value);
}

static json_t *samples_json(const bench_samples *s, int32_t reps, bool ns)
{
    json_t *a = json_array();
    for (int32_t i = 0; a && i < reps; i++)
        json_array_append_new(a, ns ? json_integer((json_int_t)s->ns[i]) : cli_json_real(s->ts[i]));
    return a;
}

json_t *bench_row_json(const bench *b, const ls_engine_info *info, const ls_bench_test *t,
                       const bench_samples *s)
{
    json_t   *row = json_object();
    time_t    now = time(NULL);
    struct tm utc;
    char      when[32] = "";
    if (!row) return NULL;
    if (gmtime_r(&now, &utc)) strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &utc);
    set(row, "build_commit", json_string(info->version));
    set(row, "cpu_info", json_string(b->machine.cpu));
    set(row, "model_filename", cli_json_text(b->o->model.path, strlen(b->o->model.path)));
    set(row, "model_type", json_string(b->type));
    set(row, "model_size", json_integer((json_int_t)b->work.n_bytes));
    set(row, "model_n_params", json_integer((json_int_t)b->work.n_params));
    set(row, "n_batch", json_integer(info->n_batch));
    set(row, "n_threads", json_integer(info->n_threads));
    set(row, "poll", json_integer(strcmp(info->engine, "native") == 0 ? 0 : 50));
    set(row, "type_k", json_string(info->kv_type));
    set(row, "type_v", json_string(info->kv_type));
    set(row, "flash_attn", json_integer(info->flash_attn));
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        set(row, fixed[i].key,
            fixed[i].text         ? json_string(fixed[i].text)
            : fixed[i].number < 0 ? json_boolean(fixed[i].number == -2)
                                  : json_integer(fixed[i].number));
    }
    set(row, "n_prompt", json_integer(t->n_prompt));
    set(row, "n_gen", json_integer(t->n_gen));
    set(row, "n_depth", json_integer(t->n_depth));
    set(row, "test_time", json_string(when));
    set(row, "avg_ns", json_integer((json_int_t)s->in_ns.mean));
    set(row, "stddev_ns", json_integer((json_int_t)s->in_ns.stddev));
    set(row, "avg_ts", cli_json_real(s->in_ts.mean));
    set(row, "stddev_ts", cli_json_real(s->in_ts.stddev));
    set(row, "median_ts", cli_json_real(s->in_ts.median));
    set(row, "samples_ns", samples_json(s, b->o->reps, true));
    set(row, "samples_ts", samples_json(s, b->o->reps, false));
    set(row, "engine", json_string(info->engine));
    set(row, "engine_version", json_string(info->version));
    set(row, "isa", json_string(info->isa));
    return row;
}

json_t *bench_machine_json(const ls_machine *m)
{
    return json_pack("{s:s, s:s, s:s, s:i}", "cpu", m->cpu, "features", m->features, "tier",
                     ls_tier_name(m->tier), "n_cpus", m->n_cpus);
}

static json_t *peak_json(const ls_peak *p)
{
    if (!(p->per_second > 0)) return json_null();
    return json_pack("{s:o, s:s}", "per_second", cli_json_real(p->per_second), "how", p->how);
}

json_t *bench_limits_json(const ls_limits *l)
{
    return json_pack("{s:i, s:o, s:b, s:o, s:o, s:o}", "n_threads", l->n_threads, "read_bytes",
                     cli_json_real(l->read_bytes), "huge_pages", l->huge_pages, "int8_ops",
                     peak_json(&l->int8), "fp32_ops", peak_json(&l->fp32), "bf16_ops",
                     peak_json(&l->bf16));
}

const char *bench_peak_text(const ls_peak *p, const char *unit, char *buf, size_t cap)
{
    if (p->per_second > 0)
        snprintf(buf, cap, "%.1f %s (%s)", p->per_second / 1e9, unit, p->how);
    else
        snprintf(buf, cap, "not known here");
    return buf;
}

/* ---- the command line ---- */

#define AT(field) offsetof(bench_opts, field)

const cli_option bench_table[] = {
    {.name = "prompt",
     .kind = CLI_STRING,
     .off = AT(prompt),
     .metavar = "N[,N]",
     .help = "Tokens evaluated together; 0: no such test."},
    {.name = "gen",
     .kind = CLI_STRING,
     .off = AT(gen),
     .metavar = "N[,N]",
     .help = "Tokens evaluated one after the other; 0: no such test."},
    {.name = "depth",
     .kind = CLI_STRING,
     .off = AT(depth),
     .metavar = "N[,N]",
     .help = "Positions that are there before; evaluating them is not timed."},
    {.name = "threads",
     .letter = 't',
     .kind = CLI_STRING,
     .off = AT(threads),
     .metavar = "N[,N]",
     .def = "one per core",
     .help = "Threads to compute with."},
    {.name = "reps",
     .letter = 'r',
     .kind = CLI_INT,
     .off = AT(reps),
     .metavar = "N",
     .min = 1,
     .max = 1000,
     .help = "Samples of each test, after one that does not count."},
    {.name = "isa",
     .kind = CLI_ENUM,
     .off = AT(isa),
     .metavar = "TIER",
     .choices = cli_tiers,
     .def = "auto",
     .help = "Instruction set of the native engine."},
    {.name = "prepacked",
     .kind = CLI_STRING,
     .off = AT(prepacked),
     .metavar = "FILE",
     .def = "the file beside the model, if it is there and fits",
     .help = "Weights of the native engine as `model prepack` wrote them; none: do not look for "
             "them."},
    {.name = "timeout",
     .kind = CLI_DOUBLE,
     .off = AT(timeout_s),
     .metavar = "SECONDS",
     .min = 0.001,
     .max = 1e6,
     .def = "300",
     .help = "How long a reference may take to answer one request."},
    {0},
};
