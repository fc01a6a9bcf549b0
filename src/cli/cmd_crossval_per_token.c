// SPDX-License-Identifier: MIT
/* cmd_crossval_per_token.c - `lockstep crossval per-token`: the native engine against a reference.
 *
 * Cheapest failure first: options, tokenizer, template, is there a reference, then the engines;
 * the verifier compares token ids before anything is evaluated. The reference is opened before
 * the native engine, which takes the width of its vector sums from it. Every form of the report
 * gives the same exit code, and all but text are printed whatever happens.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/comparison.h"
#include "cli/dump.h"
#include "cli/locate.h"
#include "cli/offer.h"
#include "cli/report.h"
#include "cli/tracing.h"
#include "cli/vote.h"

enum { BACKEND_BOTH, BACKEND_NATIVE, BACKEND_CPP };

typedef struct per_token_opts {
    cli_comparison_opts c;
    int                 backend, format;
    bool                verbose, dump_ids, dump_reference_ids, locate, oracle;
    const char         *dump_logits, *output;
} per_token_opts;

/* Everything that lives as long as the command. */
typedef struct state {
    cli_context        *ctx;
    per_token_opts     *o;
    cli_comparison      c;
    ls_engine          *subject, *reference;
    cli_dump            dump;
    ls_per_token_result result;
    cli_report          report;
    ls_located          located;
    cli_vote            vote;
    char               *locate_command;
} state;

/* Text for people, who may then be asked: but not of a prompt that was typed in. */
static bool may_ask(const state *s)
{
    const char *file = s->o->c.in.prompt.file;
    return !s->o->locate && s->o->format == CLI_FORM_TEXT && !cli_given(s->ctx, "format") &&
           !(file && strcmp(file, "-") == 0) && cli_can_ask(s->ctx);
}

/* ---- before the engines: options, tokenizer, template, length ---- */

static bool votes(const state *s) { return s->o->c.against.n > 1 || s->o->oracle; }

static ls_status check_vote(const state *s, ls_error *err)
{
    const cli_enums *engines = &s->o->c.against;
    size_t           n = 1 + (engines->n ? engines->n : 1) + s->o->oracle;
    if (!votes(s)) return LS_OK;
    if (s->o->backend != BACKEND_BOTH)
        return cli_usage(s->ctx, err, "a vote needs both engines: leave out '--backend'");
    if (n > LS_VOTE_MAX)
        return cli_usage(s->ctx, err, "%zu engines are more than %d", n, LS_VOTE_MAX);
    for (size_t i = 0; i < engines->n; i++)
        for (size_t j = 0; j < i; j++)
            if (engines->at[i] == engines->at[j])
                return cli_usage(s->ctx, err, "option '--against' names an engine twice");
    return LS_OK;
}

static ls_status check_options(state *s, ls_error *err)
{
    static const char *const only_native[] = {"fault", "isa", "act-quant", "lanes", "sums", "bos"};
    LS_TRY(cli_model_check(s->ctx, &s->o->c.in.model, err));
    for (size_t i = 0;
         s->o->backend == BACKEND_CPP && i < sizeof(only_native) / sizeof(only_native[0]); i++)
        if (cli_given(s->ctx, only_native[i]))
            return cli_usage(s->ctx, err,
                             "option '--%s' acts on the native engine, which "
                             "--backend cpp leaves out",
                             only_native[i]);
    LS_TRY(check_vote(s, err));
    LS_TRY(cli_comparison_check(&s->c, err));
    s->report.budget = s->o->c.budget;
    return LS_OK;
}

static ls_status open_text(state *s, ls_error *err)
{
    ls_status status = cli_comparison_open(&s->c, err);
    s->report.gguf = s->c.in.gguf;
    s->report.tokenizer = s->c.in.tokenizer;
    if (s->c.in.tokenizer) {
        s->report.prompt = s->c.in.text;
        s->report.prompt_len = s->c.in.len;
    }
    if (s->c.in.prompt.template_name) s->report.template_name = s->c.in.prompt.template_name;
    if (status != LS_OK) return status;
    s->result.coverage.positions_planned = s->c.n_positions;
    s->result.coverage.vocab = (size_t)ls_tokenizer_n_vocab(s->c.in.tokenizer);
    return LS_OK;
}

/* ---- the engines ---- */

/* A reference that is missing or does not start is no error of the run but its verdict. Returns
 * LS_ERR_REFERENCE, so that nothing more is done. */
static ls_status no_reference(state *s, const char *code, const ls_error *why)
{
    ls_per_token_result *x = &s->result;
    x->verdict = LS_VERDICT_INCONCLUSIVE;
    x->error = *why;
    x->error.status = LS_ERR_REFERENCE;
    snprintf(x->reason, sizeof(x->reason), "%s", why->what);
    snprintf(x->reason_code, sizeof(x->reason_code), "%s", code);
    return LS_ERR_REFERENCE;
}

static ls_status find_reference(state *s, ls_error *err)
{
    ls_error  why = {0};
    ls_status status = cli_comparison_find(&s->c, &why);
    if (status == LS_ERR_REFERENCE) return no_reference(s, "reference-missing", &why);
    if (status != LS_OK) {
        *err = why;
        return status;
    }
    if (s->o->verbose && cli_comparison_exe(&s->c))
        cli_note(s->ctx, "reference: %s (%s), %s", ls_ref_display_name(s->c.found.kind), s->c.why,
                 s->c.found.exe);
    return LS_OK;
}

static ls_status open_external(state *s, ls_error *err)
{
    ls_error  why = {0};
    ls_status status =
        ls_engine_open_reference(&s->reference, s->c.found.exe, &s->c.reference, &why);
    if (status == LS_ERR_REFERENCE) return no_reference(s, "reference-failed", &why);
    if (status == LS_ERR_FORMAT || status == LS_ERR_UNSUPPORTED) {
        /* We can read the file: that the reference cannot says nothing about the file. */
        ls_fail_hint(&why, "compare with another reference: --against native, llama or bitnet");
        return no_reference(s, "reference-refuses", &why);
    }
    if (status != LS_OK && err) *err = why;
    return status;
}

static ls_status open_reference(state *s, ls_error *err)
{
    LS_TRY(find_reference(s, err));
    if (!cli_comparison_exe(&s->c))
        return ls_engine_open_native(&s->reference, &s->c.reference, err);
    LS_TRY(open_external(s, err));
    /* A scratch file that nobody opens again. */
    if (!s->o->locate && !votes(s) && !may_ask(s) && !s->ctx->env->trace_dir)
        cli_scratch_remove(&s->c.scratch);
    return LS_OK;
}

/* A model that the native engine cannot run is to be known before a reference loads it. */
static ls_status check_model(const state *s, ls_error *err)
{
    ls_model *model;
    LS_TRY(ls_model_open_gguf(&model, s->c.in.gguf, err));
    ls_model_close(model);
    return LS_OK;
}

static ls_status open_engines(state *s, ls_error *err)
{
    bool   native = s->o->backend != BACKEND_CPP;
    ls_cut cut;
    if (native) LS_TRY(check_model(s, err));
    if (s->o->locate && s->o->backend == BACKEND_BOTH)
        LS_TRY(cli_locate_cut(&cut, s->c.in.gguf, s->c.n_prompt, s->c.n_positions, 0, s->o->oracle,
                              err));
    if (s->o->backend != BACKEND_NATIVE) LS_TRY(open_reference(s, err));
    if (!native) return LS_OK;
    if (s->reference) cli_comparison_follow(&s->c, ls_engine_get_info(s->reference));
    return ls_engine_open_native(&s->subject, &s->c.subject, err);
}

/* ---- the comparison ---- */

static ls_status compare(state *s, ls_error *err)
{
    cli_progress         progress;
    ls_per_token_options opt = cli_comparison_per_token(&s->c);
    ls_status            status;
    opt.progress = cli_progress_update;
    opt.progress_ctx = &progress;
    if (s->o->dump_logits) {
        LS_TRY(cli_dump_open(&s->dump, s->o->dump_logits, s->subject != NULL, s->reference != NULL,
                             err));
        opt.rows = cli_dump_rows;
        opt.rows_ctx = &s->dump;
    }
    cli_progress_begin(&progress, s->ctx, "comparing");
    status = ls_verify_per_token(&s->result, s->subject, s->reference, &opt, err);
    cli_progress_end(&progress);
    if (status != LS_OK || !s->o->dump_logits) return status;
    if (s->result.n_positions == s->result.coverage.positions_planned && s->result.n_positions)
        return cli_dump_commit(&s->dump, err);
    cli_note(s->ctx, "note: not every position was evaluated, so no logits are written");
    return LS_OK;
}

/* Both engines again, with taps; those that compared logits are closed first. */
static ls_status locate(state *s, ls_error *err)
{
    cli_locate l = {.subject = &s->c.subject,
                    .reference = &s->c.reference,
                    .reference_exe = cli_comparison_exe(&s->c),
                    .budget = &s->o->c.budget,
                    .by_oracle = s->o->oracle,
                    .map = cli_report_forms[s->o->format].map,
                    .ctx = s->ctx,
                    .cancelled = cli_catch_interrupt()};
    if (s->result.verdict != LS_VERDICT_MATCH && s->result.verdict != LS_VERDICT_DIVERGED)
        return LS_OK;
    LS_TRY(cli_locate_cut(&l.cut, s->c.in.gguf, s->result.n_ids_subject,
                          s->result.n_ids_subject + s->result.n_decoded, s->result.n_batch,
                          s->o->oracle, err));
    ls_engine_close(s->subject);
    ls_engine_close(s->reference);
    s->subject = s->reference = NULL;
    LS_TRY(cli_locate_run(&l, &s->result, &s->located, err));
    s->report.located = &s->located;
    return LS_OK;
}

/* ---- more engines ---- */

/* The engine of an --against, with whatever it needs to read the model. */
static ls_status add_voter(state *s, int against, ls_error *err)
{
    cli_voter    *v = &s->vote.voters[s->vote.n++];
    ls_ref_status found;
    if (against == CLI_AGAINST_NATIVE) {
        v->options = cli_comparison_other_native(&s->c);
        snprintf(v->name, sizeof(v->name), "native on another tier");
        return LS_OK;
    }
    if (against == CLI_AGAINST_AUTO) against = (int)ls_ref_for_model(s->o->c.in.model.path);
    LS_TRY(cli_reference_find(s->ctx, (ls_ref_kind)against, &found, err));
    v->options = s->c.reference;
    v->options.model = NULL;
    v->options.tier = s->c.subject.tier;
    snprintf(v->exe, sizeof(v->exe), "%s", found.exe);
    snprintf(v->name, sizeof(v->name), "%s", ls_ref_display_name((ls_ref_kind)against));
    return LS_OK;
}

static ls_status vote(state *s, ls_error *err)
{
    cli_vote *v = &s->vote;
    if (s->result.verdict != LS_VERDICT_MATCH && s->result.verdict != LS_VERDICT_DIVERGED)
        return LS_OK;
    v->voters[v->n++] = (cli_voter){.name = "native", .options = s->c.subject};
    v->voters[v->n] = (cli_voter){.options = s->c.reference};
    snprintf(v->voters[v->n].exe, sizeof(v->voters[v->n].exe), "%s", s->c.found.exe);
    snprintf(v->voters[v->n++].name, sizeof(v->voters[0].name), "%s",
             cli_comparison_exe(&s->c) ? ls_ref_display_name(s->c.found.kind)
                                       : "native on another tier");
    for (size_t i = 1; i < s->o->c.against.n; i++) LS_TRY(add_voter(s, s->o->c.against.at[i], err));
    v->oracle = s->o->oracle ? (int)v->n : -1;
    if (s->o->oracle) {
        v->voters[v->n] = (cli_voter){.name = "oracle", .options = s->c.subject, .oracle = true};
        v->voters[v->n++].options.faults = NULL;
    }
    ls_engine_close(s->subject);
    ls_engine_close(s->reference);
    s->subject = s->reference = NULL;
    LS_TRY(cli_vote_run(v, s->ctx, &s->result, s->o->c.budget.nmse_tol, err));
    s->report.vote = v;
    return LS_OK;
}

/* Both engines once more, for LOCKSTEP_TRACE_DIR. */
static ls_status leave_traces(state *s, ls_error *err)
{
    const ls_per_token_result *x = &s->result;
    cli_tracing                t = {.engine = &s->c.subject,
                                    .model_path = s->o->c.in.model.path,
                                    .gguf = s->c.in.gguf,
                                    .trace = {.prompt = x->ids_subject,
                                              .n_prompt = x->n_ids_subject,
                                              .decoded = x->decoded,
                                              .max_tokens = (int32_t)x->n_decoded}};
    if (!s->ctx->env->trace_dir || x->n_positions == 0) return LS_OK;
    if (x->subject_info.engine[0]) LS_TRY(cli_tracing_write(s->ctx, &t, NULL, err));
    if (!x->reference_info.engine[0]) return LS_OK;
    t.engine = &s->c.reference;
    t.exe = cli_comparison_exe(&s->c);
    t.trace.prompt = x->ids_reference;
    t.trace.n_prompt = x->n_ids_reference;
    return cli_tracing_write(s->ctx, &t, "reference", err);
}

static ls_status work(state *s, ls_error *err)
{
    LS_TRY(cli_tracing_check(s->ctx, NULL, err));
    if (s->o->backend != BACKEND_NATIVE) LS_TRY(cli_tracing_check(s->ctx, "reference", err));
    LS_TRY(check_options(s, err));
    LS_TRY(open_text(s, err));
    LS_TRY(cli_check_interrupt(err));
    LS_TRY(open_engines(s, err));
    LS_TRY(compare(s, err));
    if (s->o->locate) LS_TRY(locate(s, err));
    if (votes(s)) LS_TRY(vote(s, err));
    return leave_traces(s, err);
}

/* ---- the report ---- */

static void print_ids(const char *who, const char *backend, const int32_t *ids, size_t n)
{
    if (!ids) return;
    cli_progress_erase();
    fprintf(stderr, "%s tokens (%zu total%s%s):\n  [", who, n, backend ? ", backend: " : "",
            backend ? backend : "");
    for (size_t i = 0; i < n; i++) fprintf(stderr, "%s%d", i ? ", " : "", (int)ids[i]);
    fputs("]\n", stderr);
}

static void dump_ids(const state *s)
{
    const ls_per_token_result *x = &s->result;
    if (s->o->dump_ids)
        print_ids(cli_engine_name(&x->subject_info), NULL, x->ids_subject, x->n_ids_subject);
    if (s->o->dump_reference_ids)
        print_ids(cli_engine_name(&x->reference_info), x->reference_info.engine, x->ids_reference,
                  x->n_ids_reference);
}

static ls_status print_report(state *s, ls_error *err)
{
    cli_output out = {0};
    ls_status  status;
    LS_TRY(cli_output_open(&out, s->o->output, err));
    status = cli_report_forms[s->o->format].write(&s->report, out.f, err);
    if (status == LS_OK) status = cli_output_commit(&out, err);
    cli_output_abort(&out);
    return status;
}

/* What else the user has to know, on standard error. */
static void print_aside(const state *s)
{
    bool same_screen = !s->o->output && isatty(STDOUT_FILENO) && isatty(STDERR_FILENO);
    bool text = s->o->format == CLI_FORM_TEXT;
    if (s->result.verdict == LS_VERDICT_TOKENS_DIFFER && text && !s->ctx->quiet)
        cli_report_mismatch(&s->report, stderr);
    else if (s->result.error.status != LS_OK && !(text && same_screen))
        cli_print_error(s->ctx, &s->result.error);
    else if (s->o->output)
        cli_note(s->ctx, "%s; the report is in %s", ls_verdict_name(s->result.verdict),
                 s->o->output);
}

/* On a terminal, after DIVERGED: the same process goes on to find the operation. A failure of that
 * changes neither verdict nor exit code. */
static void offer_locate(state *s)
{
    ls_error  err = {0};
    ls_status status;
    if (s->result.verdict != LS_VERDICT_DIVERGED || !may_ask(s)) return;
    if (!cli_ask("Locate the first divergent operation now?")) return;
    status = locate(s, &err);
    if (status == LS_OK && s->o->output)
        status = print_report(s, &err);
    else if (status == LS_OK)
        cli_report_located(&s->located, stdout);
    if (status != LS_OK) cli_print_error(s->ctx, &err);
}

/* `status` and `why` say how the work ended; the report says it to the user. */
static ls_status finish(state *s, ls_status status, const ls_error *why, ls_error *err)
{
    bool verdict = status == LS_OK || s->result.error.status != LS_OK;
    bool report = verdict || cli_report_forms[s->o->format].always;
    /* What was to be looked at after the comparison could have changed its verdict. */
    if (!verdict) s->result.verdict = LS_VERDICT_INCONCLUSIVE;
    dump_ids(s);
    if (s->c.in.gguf && report) ls_gguf_sha256(s->report.sha256, s->c.in.gguf, NULL);
    s->report.exit_code =
        verdict ? ls_verdict_exit_code(s->result.verdict) : ls_exit_code(status, why);
    s->report.error = verdict ? NULL : why;
    if (report) LS_TRY(print_report(s, err));
    if (!verdict) {
        *err = *why;
        return status;
    }
    print_aside(s);
    offer_locate(s);
    s->ctx->exit_code = s->report.exit_code;
    return LS_OK;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    static const char *const backend_names[] = {"both", "native", "cpp"};
    per_token_opts          *o = opts;
    state                    s = {.ctx = ctx, .o = o, .c = {.ctx = ctx, .o = &o->c, .votes = true}};
    ls_error                 why = {0};
    ls_status                status;
    if (ctx->json) o->format = CLI_FORM_JSON;
    if (o->format == CLI_FORM_JSON) ctx->json_errors = 1;
    if (cli_report_forms[o->format].locates) o->locate = true;
    ls_per_token_fini(&s.result); /* an empty result: INCONCLUSIVE */
    s.report = (cli_report){.model_path = o->c.in.model.path ? o->c.in.model.path : "",
                            .backend = backend_names[o->backend],
                            .template_name = o->c.in.chat.name,
                            .budget = o->c.budget,
                            .faults = &o->c.engine.faults,
                            .act_quant = o->c.engine.act_quant,
                            .verbose = o->verbose,
                            .result = &s.result};
    if (!o->locate) s.report.locate_command = s.locate_command = cli_command_line(ctx, "--locate");
    cli_catch_interrupt();
    status = work(&s, &why);
    if (status != LS_OK && cli_check_interrupt(NULL) != LS_OK) { /* of which engines die, too */
        ls_error_clear(&why);
        ls_error_clear(&s.result.error);
        status = cli_check_interrupt(&why);
    }
    status = finish(&s, status, &why, err);
    free(s.locate_command);
    cli_dump_abort(&s.dump);
    ls_engine_close(s.subject);
    ls_engine_close(s.reference);
    cli_vote_fini(&s.vote);
    ls_located_fini(&s.located);
    ls_per_token_fini(&s.result);
    cli_comparison_fini(&s.c);
    return status;
}

/* ---- the command line ---- */

static const cli_choice backends[] = {
    {"both", BACKEND_BOTH}, {"native", BACKEND_NATIVE}, {"cpp", BACKEND_CPP}, {NULL, 0}};
#define AT(field) offsetof(per_token_opts, field)

static const cli_option comparison[] = {
    {.name = "oracle",
     .kind = CLI_FLAG,
     .off = AT(oracle),
     .help =
         "Evaluate the model in double precision, too, and say how far each engine is from "
         "that. With --locate: an operation is over its budget when one engine is three times as "
         "far from it as the other. Slow."},
    {.name = "locate",
     .kind = CLI_FLAG,
     .off = AT(locate),
     .help = "Compare every operation, too, and name the first that is over its budget on the "
             "reference's own input. Runs both engines twice more."},
    {.name = "backend",
     .kind = CLI_ENUM,
     .off = AT(backend),
     .metavar = "WHICH",
     .choices = backends,
     .def = "both",
     .help = "Engines to run. native or cpp (the reference) alone compares nothing: the verdict "
             "is NONE."},
    {0},
};

static const cli_option reporting[] = {
    {.name = "format",
     .kind = CLI_ENUM,
     .off = AT(format),
     .metavar = "FORM",
     .choices = cli_report_names,
     .def = "text",
     .help = "Form of the report; --json is short for --format json. html is one page to look at, "
             "and implies --locate; junit is for test runners, markdown for pull requests, csv has "
             "one row per position."},
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .off = AT(output),
     .metavar = "FILE",
     .help = "Write the report to FILE instead of standard output."},
    {.name = "dump-logits",
     .kind = CLI_STRING,
     .off = AT(dump_logits),
     .metavar = "PREFIX",
     .help = "Write PREFIX.subject.f32 and PREFIX.reference.f32: positions x vocabulary, "
             "little-endian floats."},
    {.name = "dump-ids",
     .kind = CLI_FLAG,
     .off = AT(dump_ids),
     .help = "Print the subject's prompt ids on standard error."},
    {.name = "dump-cpp-ids",
     .kind = CLI_FLAG,
     .off = AT(dump_reference_ids),
     .help = "Print the reference's prompt ids on standard error."},
    {.name = "verbose",
     .letter = 'v',
     .kind = CLI_FLAG,
     .off = AT(verbose),
     .help = "Show every position, and which reference is used and why."},
    {0},
};

static const cli_group groups[] = {
    CLI_COMPARISON_GROUPS(per_token_opts, c),
    {"Comparison", comparison, 0},
    {"Report", reporting, 0},
    CLI_COMPARISON_ENGINE(per_token_opts, c),
    {0},
};

static const per_token_opts defaults = {
    .c = {CLI_COMPARISON_DEFAULTS},
};

const cli_command cli_cmd_crossval_per_token = {
    .noun = "crossval",
    .verb = "per-token",
    .summary = "Compare the logits of two engines, position by position",
    .details =
        "Runs the native engine (the subject) and a reference over the same tokens and compares "
        "the logits of every position: all of the prompt's, then one per decoded token. Token "
        "ids are compared first; where they differ, nothing is evaluated.\n\n"
        "A position is inside its budget when the centred cosine, the centred NMSE and the KL "
        "divergence are, no logit is NaN or infinite, and both engines find the same token most "
        "likely or the reference itself can hardly tell the two apart (a near tie).\n\n"
        "After DIVERGED, on a terminal, it asks whether to go on as --locate does; elsewhere the "
        "report "
        "has the command for that.\n\n"
        "--against given again adds engines that see the same tokens; one that stands alone among "
        "all of them is named.\n\n"
        "Verdicts: MATCH (exit 0), DIVERGED (1), TOKENS_DIFFER (2), INCONCLUSIVE (3: the "
        "reference is missing or failed, or less was compared than planned), NONE (0: one engine "
        "ran alone).\n",
    .examples =
        "$ lockstep crossval per-token -m model.gguf -p \"Once upon a time\"\n"
        "$ lockstep crossval per-token -m model.gguf -f prompt.txt -n 64 --json -o report.json\n"
        "$ lockstep crossval per-token -m model.gguf -p \"Hello\" --format html -o report.html\n"
        "$ lockstep crossval per-token -m model.gguf -p \"Hello\" --fault 1.attn_norm=scale:2\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(per_token_opts),
    .init = cli_comparison_init,
    .reports = true,
    .run = run,
};
