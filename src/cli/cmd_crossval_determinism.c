// SPDX-License-Identifier: MIT
/* cmd_crossval_determinism.c - `lockstep crossval determinism`: the native engine against itself.
 *
 * Every combination of threads, batch and instruction set evaluates the prompt in an engine of its
 * own; on each instruction set one engine does it twice, the second time on a KV cache that has
 * been used. The hashes of all logits must be one.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_json.h"
#include "cli/input.h"
#include "cli/text.h"
#include "cli/tracing.h"

enum {
    MAX_THREADS = 64,
    MAX_BATCHES = 8,
    MAX_BATCH = 1 << 16,
    WARM_BATCH = 7,
    MAX_RUNS = LS_N_TIERS * (MAX_BATCHES * MAX_THREADS + 1),
};

typedef struct determinism_opts {
    cli_input_opts in;
    int32_t        threads_max;
    const char    *threads, *batches; /* "1,2"; threads NULL: 1 to threads_max */
    int            isa, kv_type, lanes;
    cli_list       faults;
} determinism_opts;

typedef struct run_row {
    ls_tier tier;
    int32_t threads, batch;
    bool    warm; /* on a KV cache that has been used */
    bool    done, finite;
    int32_t first_difference; /* from the first run; -1: none */
    char    sha256[2 * LS_FINGERPRINT_BYTES + 1];
} run_row;

typedef struct state {
    cli_context            *ctx;
    const determinism_opts *o;
    cli_input               in;
    int32_t                 threads[MAX_THREADS], batches[MAX_BATCHES];
    size_t                  n_threads, n_batches;
    ls_faults               faults; /* of every run but the first */
    run_row                *rows;   /* [MAX_RUNS] */
    size_t                  n_rows, n_done, n_different, n_not_finite;
    ls_fingerprint          first;
    ls_engine_info          info; /* of the first engine */
    ls_verdict              verdict;
    char                    reason[256];
} state;

/* ---- the plan ---- */

static void add_row(state *s, ls_tier tier, int32_t threads, int32_t batch, bool warm)
{
    s->rows[s->n_rows++] = (run_row){
        .tier = tier, .threads = threads, .batch = batch, .warm = warm, .first_difference = -1};
}

static ls_status read_lists(state *s, ls_error *err)
{
    const determinism_opts *o = s->o;
    const cli_numbers       threads = {1, MAX_THREADS, MAX_THREADS};
    const cli_numbers       batches = {1, MAX_BATCH, MAX_BATCHES};
    if (o->threads) {
        if (cli_given(s->ctx, "threads-max"))
            return cli_usage(s->ctx, err,
                             "options '--threads' and '--threads-max' cannot be used together");
        LS_TRY(cli_numbers_read(s->ctx, "threads", o->threads, &threads, s->threads, &s->n_threads,
                                err));
    }
    for (int32_t n = 1; !o->threads && n <= o->threads_max; n++) s->threads[s->n_threads++] = n;
    LS_TRY(
        cli_numbers_read(s->ctx, "batches", o->batches, &batches, s->batches, &s->n_batches, err));
    return cli_faults_read(&o->faults, &s->faults, err);
}

/* The first row is what all others are compared with: unless told otherwise one thread, one token
 * at a time, on the simplest tier. */
static void plan(state *s)
{
    for (int t = LS_TIER_SCALAR; t < LS_N_TIERS; t++) {
        ls_tier tier = (ls_tier)t;
        if (s->o->isa != LS_TIER_AUTO ? s->o->isa != t : !ls_tier_available(tier)) continue;
        for (size_t b = 0; b < s->n_batches; b++)
            for (size_t n = 0; n < s->n_threads; n++)
                add_row(s, tier, s->threads[n], s->batches[b], false);
        add_row(s, tier, s->threads[s->n_threads - 1], WARM_BATCH, true);
    }
}

static ls_status prepare(state *s, ls_error *err)
{
    const determinism_opts *o = s->o;
    LS_TRY(cli_model_check(s->ctx, &o->in.model, err));
    LS_TRY(read_lists(s, err));
    if (!ls_tier_available((ls_tier)o->isa)) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "this machine cannot run the instruction set '%s'",
                ls_tier_name((ls_tier)o->isa));
        return ls_fail_hint(err, "its best is '%s'", ls_tier_name(ls_tier_best()));
    }
    LS_TRY(cli_tracing_check(s->ctx, NULL, err));
    LS_TRY(cli_input_check(s->ctx, &o->in, &s->in, err));
    LS_TRY(cli_input_open(s->ctx, &o->in, &s->in, err));
    LS_TRY(cli_input_encode(&o->in, &s->in, err));
    s->rows = calloc(MAX_RUNS, sizeof(*s->rows));
    if (!s->rows) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the runs");
    if (s->in.n_ids) plan(s);
    return LS_OK;
}

/* ---- the runs ---- */

static void take(state *s, run_row *row, ls_fingerprint *f)
{
    ls_hex(row->sha256, f->all, LS_FINGERPRINT_BYTES);
    row->finite = f->finite;
    row->done = true;
    if (s->n_done++ == 0) {
        s->first = *f;
        *f = (ls_fingerprint){0};
    } else {
        row->first_difference = ls_fingerprint_compare(&s->first, f);
        /* A hash of the whole that differs where no row does would be an error of ours. */
        if (row->first_difference < 0 && strcmp(row->sha256, s->rows[0].sha256) != 0)
            row->first_difference = 0;
    }
    s->n_different += row->first_difference >= 0;
    s->n_not_finite += !row->finite;
}

static ls_engine_options options_of(const state *s, const run_row *row)
{
    return (ls_engine_options){.model_path = s->o->in.model.path,
                               .model = s->in.gguf,
                               .n_ctx = (int32_t)s->in.n_ids,
                               .n_batch = row->batch,
                               .n_threads = row->threads,
                               .kv_type = s->o->kv_type,
                               .tier = row->tier,
                               .lanes = s->o->lanes,
                               .faults = row > s->rows && s->faults.n ? &s->faults : NULL};
}

/* For LOCKSTEP_TRACE_DIR: the run that the others are compared with. */
static ls_status leave_trace(const state *s, ls_error *err)
{
    ls_engine_options opt = options_of(s, &s->rows[0]);
    cli_tracing       t = {.engine = &opt,
                           .model_path = s->o->in.model.path,
                           .gguf = s->in.gguf,
                           .trace = {.prompt = s->in.ids, .n_prompt = s->in.n_ids}};
    return cli_tracing_write(s->ctx, &t, NULL, err);
}

static ls_status run_one(state *s, run_row *row, ls_error *err)
{
    const volatile int *cancelled = cli_catch_interrupt();
    ls_engine_options   opt = options_of(s, row);
    ls_fingerprint      f = {0};
    ls_engine          *e;
    size_t              batch = (size_t)row->batch;
    ls_status           status;
    LS_TRY(ls_engine_open_native(&e, &opt, err));
    if (s->n_done == 0) s->info = *ls_engine_get_info(e);
    if (s->n_done == 0) cli_engine_note(s->ctx, e);
    status = ls_fingerprint_run(&f, e, s->in.ids, s->in.n_ids, batch, cancelled, err);
    if (status == LS_OK && row->warm) {
        ls_fingerprint_fini(&f);
        status = ls_engine_reset(e, err);
        if (status == LS_OK)
            status = ls_fingerprint_run(&f, e, s->in.ids, s->in.n_ids, batch, cancelled, err);
    }
    if (status == LS_OK) take(s, row, &f);
    ls_fingerprint_fini(&f);
    ls_engine_close(e);
    return status;
}

static const char *describe(const run_row *r, char *buf, size_t cap)
{
    snprintf(buf, cap, "%s, %d thread%s, batch %d%s", ls_tier_name(r->tier), (int)r->threads,
             r->threads == 1 ? "" : "s", (int)r->batch, r->warm ? ", used KV cache" : "");
    return buf;
}

static void decide(state *s)
{
    char name[96];
    s->verdict = LS_VERDICT_INCONCLUSIVE;
    if (s->in.n_ids == 0)
        snprintf(s->reason, sizeof(s->reason), "the prompt has no tokens: nothing was evaluated");
    else if (s->n_done < s->n_rows || s->n_done < 2)
        snprintf(s->reason, sizeof(s->reason), "less was compared than planned");
    else if (s->n_not_finite || s->n_different) {
        s->verdict = LS_VERDICT_DIVERGED;
        for (size_t i = s->n_rows; i-- > 0;) {
            const run_row *r = &s->rows[i];
            if (r->first_difference >= 0)
                snprintf(s->reason, sizeof(s->reason),
                         "%s differs from the first run, first at position %d",
                         describe(r, name, sizeof(name)), (int)r->first_difference);
            else if (!r->finite)
                snprintf(s->reason, sizeof(s->reason), "%s gives logits that are NaN or infinite",
                         describe(r, name, sizeof(name)));
        }
    } else
        s->verdict = LS_VERDICT_MATCH;
}

static ls_status run_all(state *s, ls_error *err)
{
    cli_progress progress;
    ls_status    status = LS_OK;
    cli_catch_interrupt();
    cli_progress_begin(&progress, s->ctx, "runs");
    for (size_t i = 0; i < s->n_rows && status == LS_OK; i++) {
        cli_progress_update(&progress, i, s->n_rows);
        status = run_one(s, &s->rows[i], err);
    }
    cli_progress_end(&progress);
    if (status == LS_OK) decide(s);
    return status == LS_OK ? leave_trace(s, err) : status;
}

/* ---- the report ---- */

static void print_matrix(const state *s)
{
    char   cell[32];
    size_t column = 0;
    printf("\n tier    batch");
    for (size_t n = 0; n < s->n_threads; n++) {
        snprintf(cell, sizeof(cell), "%d thread%s", (int)s->threads[n],
                 s->threads[n] == 1 ? "" : "s");
        printf("  %10s", cell);
    }
    for (size_t i = 0; i < s->n_rows; i++) {
        const run_row *r = &s->rows[i];
        if (column == 0 || r->warm) {
            snprintf(cell, sizeof(cell), "%d", (int)r->batch);
            printf("\n %-7s %5s", ls_tier_name(r->tier), r->warm ? "used" : cell);
        }
        /* the run on a used cache has the last number of threads: it stands under its column */
        for (size_t n = 1; r->warm && n < s->n_threads; n++) printf("%12s", "");
        column = r->warm || column + 1 == s->n_threads ? 0 : column + 1;
        printf("  %s%.8s", r->first_difference >= 0 ? "! " : "  ", r->sha256);
    }
    puts("\n(the first digits of the SHA-256 of all logits; used: the second run on one KV cache)");
}

static void print_report(const state *s)
{
    printf("Model      %s\nPrompt     ", s->o->in.model.path);
    if (s->in.text)
        cli_print_quoted(stdout, (ls_str){s->in.text, s->in.len}, 60);
    else
        fputs("given as ids", stdout);
    printf(": %zu token%s\n", s->in.n_ids, s->in.n_ids == 1 ? "" : "s");
    if (s->n_done) {
        printf("Engine     native %s, KV %s, %d-wide sums\n", s->info.version, s->info.kv_type,
               (int)s->info.lanes);
        print_matrix(s);
    }
    printf("\ncompared %zu/%zu runs x %zu/%zu positions x %zu/%zu logits\n", s->n_done, s->n_rows,
           s->first.n, s->in.n_ids, s->first.n_vocab, s->first.n_vocab);
    if (s->verdict == LS_VERDICT_MATCH)
        printf("✓ MATCH: bit-identical, SHA-256 %s\n", s->rows[0].sha256);
    else
        printf("%s %s: %s\n", s->verdict == LS_VERDICT_DIVERGED ? "✗" : "?",
               ls_verdict_name(s->verdict), s->reason);
}

static json_t *rows_json(const state *s)
{
    json_t *a = json_array();
    for (size_t i = 0; i < s->n_rows && s->rows[i].done; i++) {
        const run_row *r = &s->rows[i];
        json_array_append_new(
            a, json_pack(
                   "{s:s, s:i, s:i, s:b, s:s, s:b, s:o}", "isa", ls_tier_name(r->tier), "threads",
                   (int)r->threads, "batch", (int)r->batch, "used_kv_cache", (int)r->warm, "sha256",
                   r->sha256, "finite", (int)r->finite, "first_difference",
                   r->first_difference < 0 ? json_null() : json_integer(r->first_difference)));
    }
    return a;
}

static json_t *report_json(const state *s, int exit_code, const ls_error *failure)
{
    json_t *ids = json_array();
    json_t *j;
    for (size_t i = 0; i < s->in.n_ids; i++) json_array_append_new(ids, json_integer(s->in.ids[i]));
    j = json_pack(
        "{s:s, s:s, s:i, s:s, s:o, s:o, s:s, s:i, s:o, s:{s:o}, s:{s:I, s:I, s:I, s:I}, s:o}",
        "schema", "lockstep.determinism/1", "verdict", ls_verdict_name(s->verdict), "exit_code",
        exit_code, "status", failure ? "error" : ls_verdict_status(s->verdict), "reason",
        cli_json_text(failure ? failure->what : s->reason,
                      strlen(failure ? failure->what : s->reason)),
        "model",
        cli_json_text(s->o->in.model.path ? s->o->in.model.path : "",
                      s->o->in.model.path ? strlen(s->o->in.model.path) : 0),
        "kv_type", ls_dtype_name(s->o->kv_type), "lanes", (int)s->info.lanes, "sha256",
        s->verdict == LS_VERDICT_MATCH ? json_string(s->rows[0].sha256) : json_null(), "tokens",
        "prompt", ids, "coverage", "runs_planned", (json_int_t)s->n_rows, "runs_compared",
        (json_int_t)s->n_done, "positions", (json_int_t)s->first.n, "vocab",
        (json_int_t)s->first.n_vocab, "runs", rows_json(s));
    return j;
}

/* ---- the command ---- */

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    state     s = {.ctx = ctx, .o = opts, .verdict = LS_VERDICT_INCONCLUSIVE};
    ls_error  why = {0};
    ls_status status = prepare(&s, &why), printed = LS_OK;
    if (status == LS_OK) status = run_all(&s, &why);
    ctx->exit_code = status == LS_OK ? ls_verdict_exit_code(s.verdict) : ls_exit_code(status, &why);
    if (ctx->json)
        printed = cli_json_print(report_json(&s, ctx->exit_code, status == LS_OK ? NULL : &why),
                                 NULL, err);
    else if (status == LS_OK)
        print_report(&s);
    if (status != LS_OK && printed == LS_OK) *err = why;
    ls_fingerprint_fini(&s.first);
    free(s.rows);
    cli_input_fini(&s.in);
    return status != LS_OK ? status : printed;
}

static const cli_choice tiers[] = {{"all", LS_TIER_AUTO},
                                   {"scalar", LS_TIER_SCALAR},
                                   {"avx2", LS_TIER_AVX2},
                                   {"avx512", LS_TIER_AVX512},
                                   {"neon", LS_TIER_NEON},
                                   {"dotprod", LS_TIER_DOTPROD},
                                   {NULL, 0}};
static const cli_choice lane_counts[] = {{"8", 8}, {"16", 16}, {NULL, 0}};

static const cli_option variation[] = {
    {.name = "threads-max",
     .kind = CLI_INT,
     .off = offsetof(determinism_opts, threads_max),
     .metavar = "N",
     .min = 1,
     .max = MAX_THREADS,
     .def = "4",
     .help = "Run with 1 to N threads."},
    {.name = "threads",
     .kind = CLI_STRING,
     .off = offsetof(determinism_opts, threads),
     .metavar = "LIST",
     .help = "Numbers of threads to run with, '1,3', instead of 1 to N."},
    {.name = "batches",
     .kind = CLI_STRING,
     .off = offsetof(determinism_opts, batches),
     .metavar = "LIST",
     .def = "1,7,64,512",
     .help = "Tokens to evaluate together."},
    {.name = "isa",
     .kind = CLI_ENUM,
     .off = offsetof(determinism_opts, isa),
     .metavar = "TIER",
     .choices = tiers,
     .def = "all",
     .help = "Run on this instruction set alone, instead of every one that the machine has."},
    {.name = "kv-type",
     .kind = CLI_ENUM,
     .off = offsetof(determinism_opts, kv_type),
     .metavar = "TYPE",
     .choices = cli_kv_types,
     .def = "f16",
     .help = "Number type of the KV cache."},
    {.name = "lanes",
     .kind = CLI_ENUM,
     .off = offsetof(determinism_opts, lanes),
     .metavar = "N",
     .choices = lane_counts,
     .def = "16",
     .help = "Width of the vector sums: a part of the arithmetic, the same on every instruction "
             "set."},
    {.name = "fault",
     .kind = CLI_LIST,
     .off = offsetof(determinism_opts, faults),
     .metavar = "FAULT",
     .help = "Inject a fault into every run but the first, to see that it is noticed; as in "
             "'crossval per-token'."},
    {0},
};

static const cli_group groups[] = {
    CLI_INPUT_GROUPS(offsetof(determinism_opts, in)),
    {"Runs", variation, 0},
    {0},
};

static const determinism_opts defaults = {.in = CLI_INPUT_DEFAULTS,
                                          .threads_max = 4,
                                          .batches = "1,7,64,512",
                                          .isa = LS_TIER_AUTO,
                                          .kv_type = LS_DTYPE_F16,
                                          .lanes = 16};

const cli_command cli_cmd_crossval_determinism = {
    .noun = "crossval",
    .verb = "determinism",
    .summary = "Show that threads, batches and instruction sets do not change a bit",
    .details =
        "Evaluates the prompt with every combination of 1 to 4 threads, batches of 1, 7, 64 and "
        "512 tokens and each instruction set of the machine, every time in an engine of its own, "
        "and on each instruction set once more on a KV cache that has been used. The SHA-256 of "
        "all logits must be the same everywhere.\n\n"
        "Exit code: 0 if it is, 1 if a run differs (it is named, and the first position where it "
        "does), 3 if nothing could be compared.\n",
    .examples = "$ lockstep crossval determinism -m model.gguf -p \"Once upon a time\"\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(determinism_opts),
    .reports = true,
    .run = run,
};
