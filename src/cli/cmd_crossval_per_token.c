// SPDX-License-Identifier: MIT
/* cmd_crossval_per_token.c - `lockstep crossval per-token`: native against a reference.
 *
 * Order, cheapest failure first: options and template, tokenizer, token ids, then the engines.
 * The reference is opened first, because the native engine takes the width of its vector sums
 * from it. Text and JSON give the same exit code.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/dump.h"
#include "cli/report.h"

enum { AGAINST_AUTO = -2, AGAINST_NATIVE = -1 }; /* else an ls_ref_kind */
enum { BACKEND_BOTH, BACKEND_NATIVE, BACKEND_CPP };
enum { FORMAT_TEXT, FORMAT_JSON };
enum { SUMS_REFERENCE, SUMS_OWN };

typedef struct per_token_opts {
    cli_model_opts    model;
    cli_prompt_opts   prompt;
    cli_template_opts chat;
    cli_engine_opts   engine;
    int               backend, against, format, sums;
    int32_t           max_tokens;
    ls_budget         budget;
    bool              verbose, dump_ids, dump_reference_ids;
    const char       *dump_logits, *output;
} per_token_opts;

static const cli_choice backends[] = {
    {"both", BACKEND_BOTH}, {"native", BACKEND_NATIVE}, {"cpp", BACKEND_CPP}, {NULL, 0}};
static const cli_choice targets[] = {{"auto", AGAINST_AUTO}, {"llama", LS_REF_LLAMA},
                                     {"bitnet", LS_REF_BITNET}, {"native", AGAINST_NATIVE}, {NULL, 0}};
static const cli_choice formats[] = {{"text", FORMAT_TEXT}, {"json", FORMAT_JSON}, {NULL, 0}};

static const cli_choice sums[] = {{"reference", SUMS_REFERENCE}, {"own", SUMS_OWN}, {NULL, 0}};

#define AT(field) offsetof(per_token_opts, field)
static const cli_option comparison[] = {
    {.name = "against", .kind = CLI_ENUM, .off = AT(against), .metavar = "ENGINE",
     .choices = targets, .aliases = "cpp-backend", .def = "by the model's path",
     .help = "Reference to compare with: llama, bitnet, or native (the scalar tier)."},
    {.name = "backend", .kind = CLI_ENUM, .off = AT(backend), .metavar = "WHICH",
     .choices = backends, .def = "both",
     .help = "Engines to run: both compares them; native or cpp runs one alone, without a verdict."},
    {.name = "max-tokens", .letter = 'n', .kind = CLI_INT, .off = AT(max_tokens), .metavar = "N",
     .min = 0, .max = 1 << 24, .def = "4",
     .help = "Decoded positions after the prompt, fed the reference's choice on both sides."},
    {.name = "sums", .kind = CLI_ENUM, .off = AT(sums), .metavar = "ORDER", .choices = sums,
     .def = "reference",
     .help = "Order in which the native engine adds: that of the reference's kernels, so that "
             "rounding to int8 does not amplify last bits, or its own, which no batch changes."},
    {.name = "cos-tol", .kind = CLI_DOUBLE, .off = AT(budget.cos_tol), .metavar = "X", .min = 0,
     .max = 1, .aliases = "cos-tolerance", .def = "0.999",
     .help = "Centred cosine that every position must reach. Below 0.5 it is read as 1 - cosine."},
    {.name = "nmse-tol", .kind = CLI_DOUBLE, .off = AT(budget.nmse_tol), .metavar = "X", .min = 0,
     .max = 1e9, .def = "1e-4", .help = "Centred NMSE that no position may exceed."},
    {.name = "kl-tol", .kind = CLI_DOUBLE, .off = AT(budget.kl_tol), .metavar = "X", .min = 0,
     .max = 1e9, .def = "1e-3", .help = "KL(reference, subject) in nats that no position may exceed."},
    {.name = "strict", .kind = CLI_FLAG, .off = AT(budget.strict),
     .help = "A near tie that flips the top token is a divergence, too."},
    {0},
};
static const cli_option reporting[] = {
    {.name = "format", .kind = CLI_ENUM, .off = AT(format), .metavar = "FORMAT", .choices = formats,
     .def = "text", .help = "Form of the report; --json is short for --format json."},
    {.name = "output", .letter = 'o', .kind = CLI_STRING, .off = AT(output), .metavar = "FILE",
     .help = "Write the report to FILE instead of standard output."},
    {.name = "dump-logits", .kind = CLI_STRING, .off = AT(dump_logits), .metavar = "PREFIX",
     .help = "Write PREFIX.subject.f32 and PREFIX.reference.f32: positions x vocabulary, "
             "little-endian floats."},
    {.name = "dump-ids", .kind = CLI_FLAG, .off = AT(dump_ids),
     .help = "Print the subject's token ids on standard error."},
    {.name = "dump-cpp-ids", .kind = CLI_FLAG, .off = AT(dump_reference_ids),
     .help = "Print the reference's token ids on standard error."},
    {.name = "verbose", .letter = 'v', .kind = CLI_FLAG, .off = AT(verbose),
     .help = "Show every position, and what is done on standard error."},
    {0},
};
static const cli_group groups[] = {
    {"Model", cli_model_table, AT(model)},       {"Prompt", cli_prompt_table, AT(prompt)},
    {"Template", cli_template_table, AT(chat)},  {"Comparison", comparison, 0},
    {"Engine", cli_engine_table, AT(engine)},    {"Report", reporting, 0},
    {NULL, NULL, 0},
};

/* Everything that lives as long as the command. */
typedef struct state {
    cli_context         *ctx;
    per_token_opts      *o;
    char                *text;
    size_t               len;
    ls_gguf             *gguf;
    ls_tokenizer        *tokenizer;
    ls_prompt            prompt;
    int32_t              n_positions; /* that prompt and decoded tokens need */
    ls_faults            faults;
    ls_engine_options    engine_options;
    ls_engine           *subject, *reference;
    cli_dump             dump;
    ls_per_token_result  result;
    cli_report           report;
} state;

static void verbose(const state *s, const char *what)
{
    if (s->o->verbose) cli_note(s->ctx, "%s", what);
}

/* ---- steps 1 to 4: options, tokenizer, template, length ---- */

static void read_budget(state *s)
{
    per_token_opts *o = s->o;
    if (o->budget.cos_tol < 0.5) {
        cli_note(s->ctx, "note: --cos-tol %g is read as 1 - cosine: every position must reach %.9g",
                 o->budget.cos_tol, 1 - o->budget.cos_tol);
        o->budget.cos_tol = 1 - o->budget.cos_tol;
    }
    s->report.budget = o->budget;
}

static ls_status open_text(state *s, ls_error *err)
{
    const per_token_opts *o = s->o;
    int32_t              *ids;
    size_t                n;

    LS_TRY(ls_gguf_open(&s->gguf, o->model.path, err));
    cli_report_types(s->report.types, sizeof(s->report.types), s->gguf);
    ls_str arch;
    if (ls_gguf_str(s->gguf, "general.architecture", &arch)) {
        snprintf(s->report.arch, sizeof(s->report.arch), "%.*s", LS_FMT(arch));
    }
    LS_TRY(ls_tokenizer_create(&s->tokenizer, s->gguf, err));
    LS_TRY(cli_template_apply(s->ctx, &o->chat, s->text, s->len, s->tokenizer, s->gguf, &s->prompt,
                              err));
    s->report.template_name = s->prompt.template_name;
    LS_TRY(ls_tokenizer_encode(s->tokenizer, s->prompt.text, s->prompt.len, &s->prompt.encode, &ids,
                               &n, err));
    free(ids);
    if (n + (size_t)o->max_tokens + 1 > INT32_MAX) {
        return ls_fail(err, LS_ERR_LIMIT, "%zu tokens are too many", n);
    }
    s->n_positions = (int32_t)n + o->max_tokens + (o->chat.bos == LS_BOS_YES); /* one BOS more */
    return LS_OK;
}

/* ---- the engines ---- */

/* Which reference: the one asked for or suggested by the path; if that is not there and nothing
 * was asked for, another that is. */
static ls_status find_reference(state *s, ls_ref_status *found, ls_error *err)
{
    int         against = s->o->against;
    ls_ref_kind kind = against >= 0 ? (ls_ref_kind)against : ls_ref_for_model(s->o->model.path);
    ls_error    why = {0};
    ls_status   status = cli_reference_find(s->ctx, kind, found, &why);

    for (int other = 0; status != LS_OK && against == AGAINST_AUTO && other < LS_N_REFS; other++) {
        if (cli_reference_find(s->ctx, (ls_ref_kind)other, found, NULL) != LS_OK) continue;
        cli_note(s->ctx, "note: %s is not ready; comparing with %s instead",
                 ls_ref_display_name(kind), ls_ref_display_name((ls_ref_kind)other));
        return LS_OK;
    }
    if (status == LS_OK && s->o->verbose) {
        cli_note(s->ctx, "selected backend: %s (%s)", ls_ref_display_name(kind), found->exe);
    }
    if (status != LS_OK && err) *err = why;
    return status;
}

static ls_status open_reference(state *s, ls_error *err)
{
    ls_engine_options opt = s->engine_options;
    ls_ref_status     found;
    ls_status         status;

    if (s->o->against == AGAINST_NATIVE) { /* our own arithmetic, without vector instructions */
        opt.tier = LS_TIER_SCALAR;
        opt.faults = NULL;
        return ls_engine_open_native(&s->reference, &opt, err);
    }
    LS_TRY(find_reference(s, &found, err));
    status = ls_engine_open_reference(&s->reference, found.exe, &opt, err);
    /* The file is one that we have read: what the reference cannot do with it is its own limit. */
    if (status == LS_ERR_FORMAT || status == LS_ERR_UNSUPPORTED) {
        if (err) err->status = LS_ERR_REFERENCE;
        return LS_ERR_REFERENCE;
    }
    return status;
}

static ls_status open_engines(state *s, ls_error *err)
{
    ls_engine_options *opt = &s->engine_options;
    int32_t            lanes;

    LS_TRY(cli_engine_resolve(s->ctx, &s->o->engine, opt, &s->faults, err));
    opt->model_path = s->o->model.path;
    if (opt->n_ctx < s->n_positions) opt->n_ctx = s->n_positions;
    lanes = opt->lanes;
    if (s->o->backend != BACKEND_NATIVE) {
        verbose(s, "opening the reference");
        LS_TRY(open_reference(s, err));
        if (!lanes) lanes = ls_engine_get_info(s->reference)->lanes;
    }
    if (s->o->backend != BACKEND_CPP) {
        verbose(s, "opening the native engine");
        opt->lanes = lanes;
        opt->follow = s->reference && s->o->against != AGAINST_NATIVE && s->o->sums != SUMS_OWN;
        LS_TRY(ls_engine_open_native(&s->subject, opt, err));
    }
    return LS_OK;
}

/* ---- the comparison ---- */

static ls_status compare(state *s, ls_error *err)
{
    cli_progress         progress;
    ls_per_token_options opt = {
        .text = s->prompt.text, .len = s->prompt.len, .encode = s->prompt.encode,
        .subject_bos = (ls_bos_mode)s->o->chat.bos, .max_tokens = s->o->max_tokens,
        .budget = s->o->budget, .progress = cli_progress_update, .progress_ctx = &progress,
        .cancelled = cli_catch_interrupt(),
    };
    ls_status status;

    if (s->o->dump_logits) {
        LS_TRY(cli_dump_open(&s->dump, s->o->dump_logits, s->subject != NULL, s->reference != NULL,
                             err));
        opt.rows = cli_dump_rows;
        opt.rows_ctx = &s->dump;
    }
    verbose(s, "evaluating");
    cli_progress_begin(&progress, s->ctx, "positions");
    status = ls_verify_per_token(&s->result, s->subject, s->reference, &opt, err);
    cli_progress_end(&progress);
    return status == LS_OK ? cli_dump_commit(&s->dump, err) : status;
}

static void print_ids(const state *s, const char *who, const int32_t *ids, size_t n)
{
    if (!ids) return;
    cli_progress_erase();
    fprintf(stderr, "%s tokens (%zu total):\n  [", who, n);
    for (size_t i = 0; i < n; i++) fprintf(stderr, "%s%d", i ? ", " : "", ids[i]);
    fprintf(stderr, "]\n");
    (void)s;
}

static ls_status work(state *s, ls_error *err)
{
    LS_TRY(cli_model_check(s->ctx, &s->o->model, err));
    LS_TRY(cli_prompt_read(s->ctx, &s->o->prompt, &s->text, &s->len, err));
    LS_TRY(open_text(s, err));
    LS_TRY(open_engines(s, err));
    LS_TRY(compare(s, err));
    if (s->o->dump_ids) print_ids(s, "Subject", s->result.ids_subject, s->result.n_ids_subject);
    if (s->o->dump_reference_ids) {
        print_ids(s, "Reference", s->result.ids_reference, s->result.n_ids_reference);
    }
    return ls_hash_file(s->report.sha256, sizeof(s->report.sha256), LS_SHA256,
                        s->o->model.path, err);
}

/* ---- the report ---- */

/* A reference that is missing or does not start is no failure of the run but its verdict. */
static void no_reference(state *s, ls_error *why)
{
    s->result.verdict = LS_VERDICT_INCONCLUSIVE;
    s->result.error = *why;
    snprintf(s->result.reason, sizeof(s->result.reason), "%s", why->what);
    snprintf(s->result.reason_code, sizeof(s->result.reason_code), "reference-unavailable");
}

static ls_status print_report(state *s, ls_error *err)
{
    cli_output out = {0};
    ls_status  status = cli_output_open(&out, s->o->output, err);
    if (status == LS_OK) {
        status = s->o->format == FORMAT_JSON ? cli_report_json(&s->report, out.f, err)
                                             : cli_report_text(&s->report, out.f, err);
    }
    if (status == LS_OK) status = cli_output_commit(&out, err);
    cli_output_abort(&out);
    return status;
}

/* Print the report; `status` and `why` say how the work ended. */
static ls_status finish(state *s, ls_status status, ls_error *why, ls_error *err)
{
    bool missing = status == LS_ERR_REFERENCE;
    int  code;

    if (missing) no_reference(s, why);
    code = status == LS_OK || missing ? ls_verdict_exit_code(s->result.verdict)
                                      : ls_exit_code(status, why);
    s->report.exit_code = code;
    s->report.error = status == LS_OK || missing ? NULL : why;
    if (s->report.error && s->o->format == FORMAT_TEXT) {
        *err = *why;
        return status;
    }
    if (status == LS_ERR_USAGE || (missing && s->o->format == FORMAT_TEXT)) {
        *err = *why; /* one clear message says it all */
        return status;
    }
    LS_TRY(print_report(s, err));
    s->ctx->exit_code = code;
    if (s->result.verdict == LS_VERDICT_INCONCLUSIVE && s->result.error.what[0]) {
        cli_print_error(s->ctx, &s->result.error);
    } else if (s->report.error) {
        cli_print_error(s->ctx, why);
    }
    return LS_OK;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    static const char *const backend_names[] = {"both", "native", "cpp"};
    static const char *const bos_names[] = {"auto", "yes", "no"};
    per_token_opts *o = opts;
    state           s = {.ctx = ctx, .o = o};
    ls_error        why = {0};
    ls_status       status;

    if (ctx->json) o->format = FORMAT_JSON;
    if (o->format == FORMAT_JSON) ctx->json_errors = 1;
    s.result = (ls_per_token_result){.verdict = LS_VERDICT_INCONCLUSIVE, .first_difference = -1};
    s.result.summary.first_divergence = -1;
    s.report = (cli_report){.model_path = o->model.path ? o->model.path : "",
                            .backend = backend_names[o->backend], .template_name = "",
                            .bos = bos_names[o->chat.bos], .verbose = o->verbose,
                            .result = &s.result};
    read_budget(&s);
    status = work(&s, &why);
    status = finish(&s, status, &why, err);
    cli_dump_abort(&s.dump);
    ls_engine_close(s.subject);
    ls_engine_close(s.reference);
    ls_per_token_fini(&s.result);
    ls_prompt_fini(&s.prompt);
    ls_tokenizer_destroy(s.tokenizer);
    ls_gguf_close(s.gguf);
    free(s.text);
    return status;
}

const cli_command cli_cmd_crossval_per_token = {
    .noun = "crossval",
    .verb = "per-token",
    .summary = "Compare two engines position by position",
    .details = "Runs the native engine and a reference over the same tokens and compares their "
               "logits at every position: the prompt's, then one per decoded token. Token ids are "
               "compared first; if they differ nothing is evaluated.\n\n"
               "Exit code: 0 MATCH, 1 DIVERGED, 2 TOKENS_DIFFER, 3 INCONCLUSIVE (the reference is "
               "missing or failed, or less was compared than planned), 4 template error, 5 bad "
               "model file.",
    .examples = "$ lockstep crossval per-token -m model.gguf -p \"Once upon a time\"\n"
                "$ lockstep crossval per-token -m model.gguf -f prompt.txt -n 64 --json -o out.json\n"
                "$ lockstep crossval per-token -m model.gguf -p hi --fault 1.attn_norm=scale:2",
    .groups = groups,
    .defaults = &(const per_token_opts){
        .chat = CLI_TEMPLATE_DEFAULTS, .engine = CLI_ENGINE_DEFAULTS, .against = AGAINST_AUTO,
        .max_tokens = 4, .budget = {.cos_tol = 0.999, .nmse_tol = 1e-4, .kl_tol = 1e-3}},
    .opts_bytes = sizeof(per_token_opts),
    .reports = true,
    .run = run,
};
