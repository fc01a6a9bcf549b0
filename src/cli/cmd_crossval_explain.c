// SPDX-License-Identifier: MIT
/* cmd_crossval_explain.c - `lockstep crossval explain`: where two engines part, and under which
 * other meaning of that operation the reference agrees.
 *
 * The comparison and the verdict are those of `per-token --locate`; what comes after them changes
 * neither. An operation that is inside its budget is explained, too: small errors have causes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_json.h"
#include "cli/locate.h"
#include "cli/pair.h"
#include "cli/report.h"
#include "lockstep/explain.h"

enum { SHOWN = 12 };

/* What is left where nothing differs but the order of sums: anything above has a cause. */
static const double noise = 1e-12;

typedef struct explain_opts {
    cli_comparison_opts c;
    const char         *output;
    bool                all;
} explain_opts;

typedef struct state {
    cli_context        *ctx;
    explain_opts       *o;
    cli_comparison      c;
    cli_pair            pair;
    ls_per_token_result result;
    ls_located          located;
    bool                looked, below; /* below: what was found is inside the budget */
    ls_explained        explained;
    char                ids[256]; /* what names the difference of ids, or "" */
} state;

/* ---- before the comparison ---- */

/* A template that puts BOS first would hide that one of two files says so and the other not: then
 * each engine does as its file says. */
static void follow_files(state *s)
{
    ls_gguf      *g = NULL;
    ls_tokenizer *t = NULL;
    const char   *path = s->o->c.reference_model;
    if (!path || s->c.in.ids || cli_given(s->ctx, "bos") || s->c.in.prompt.encode.bos != LS_BOS_YES)
        return;
    if (ls_gguf_open(&g, path, NULL) == LS_OK && ls_tokenizer_create(&t, g, NULL) == LS_OK &&
        ls_tokenizer_adds_bos(t) != ls_tokenizer_adds_bos(s->c.in.tokenizer))
        s->c.in.prompt.encode.bos = LS_BOS_AUTO;
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
}

static ls_status prepare(state *s, ls_error *err)
{
    LS_TRY(cli_comparison_check(&s->c, err));
    LS_TRY(cli_comparison_open(&s->c, err));
    follow_files(s);
    /* Taps are of one batch; a prompt that is longer than the default one makes it larger. */
    if (!cli_given(s->ctx, "batch") && s->c.subject.n_batch < (int32_t)s->c.n_positions)
        s->c.subject.n_batch = (int32_t)s->c.n_positions;
    LS_TRY(cli_comparison_find(&s->c, err));
    s->pair = cli_pair_of(&s->c);
    return cli_check_interrupt(err);
}

/* A reference that refuses a file which we can read says nothing about the file. */
static ls_status open_pair(state *s, ls_error *err)
{
    ls_status status = cli_pair_open(&s->pair, err);
    bool      refused = s->pair.exe && !s->pair.sides[0].engine &&
                   (status == LS_ERR_FORMAT || status == LS_ERR_UNSUPPORTED);
    if (refused) status = err->status = LS_ERR_REFERENCE;
    cli_scratch_remove(&s->c.scratch);
    return status;
}

/* ---- comparison, place, cause ---- */

static ls_status compare(state *s, ls_error *err)
{
    cli_progress         progress;
    ls_engine           *subject, *reference;
    ls_per_token_options opt = cli_comparison_per_token(&s->c);
    ls_status            status;
    LS_TRY(cli_pair_take(&s->pair, true, (ls_watch){0}, NULL, NULL, &subject, err));
    LS_TRY(cli_pair_take(&s->pair, false, (ls_watch){0}, NULL, NULL, &reference, err));
    opt.progress = cli_progress_update;
    opt.progress_ctx = &progress;
    cli_progress_begin(&progress, s->ctx, "comparing");
    status = ls_verify_per_token(&s->result, subject, reference, &opt, err);
    cli_progress_end(&progress);
    return status;
}

/* The subject's model and settings, but not its faults. */
static ls_status open_oracle(void *ctx, ls_tap64_fn *tap, ls_given_fn *given, void *tap_ctx,
                             ls_engine **out, ls_error *err)
{
    const cli_pair   *p = ctx;
    ls_oracle_options opt = {.base = p->subject, .tap = tap, .given = given, .ctx = tap_ctx};
    opt.base.faults = NULL;
    return ls_engine_open_oracle(out, &opt, err);
}

static ls_status locate(state *s, double tap_tol, ls_located *out, ls_error *err)
{
    cli_locate_progress progress = {.ctx = s->ctx};
    ls_status           status;
    ls_locate_options   opt = {.prompt = s->result.ids_subject,
                               .n_prompt = s->result.n_ids_subject,
                               .decoded = s->result.decoded,
                               .n_decoded = s->result.n_decoded,
                               .tap_tol = tap_tol,
                               .open = cli_pair_take,
                               .close = cli_pair_leave,
                               .open_oracle = open_oracle,
                               .ctx = &s->pair,
                               .cancelled = cli_catch_interrupt(),
                               .progress = cli_locate_tell,
                               .progress_ctx = &progress};
    status = ls_locate(out, &opt, err);
    cli_progress_end(&progress.bar);
    return status;
}

/* What is inside the budget changes no verdict. */
static ls_status find_place(state *s, ls_error *err)
{
    ls_located *at = &s->located, small = {0};
    LS_TRY(locate(s, s->o->c.budget.tap_tol, at, err));
    cli_locate_judge(at, &s->result);
    s->looked = true;
    if ((at->found && at->born) || !at->other_bits || s->o->c.budget.tap_tol <= noise) return LS_OK;
    LS_TRY(locate(s, noise, &small, err));
    s->below = small.found && small.born;
    ls_located_fini(s->below ? at : &small);
    if (s->below) *at = small;
    return LS_OK;
}

/* An operation that cannot be evaluated alone takes nothing from the verdict. */
static ls_status find_cause(state *s, ls_error *err)
{
    ls_error           why = {0};
    ls_status          status;
    cli_progress       progress;
    ls_explain_options opt = {.prompt = s->result.ids_subject,
                              .n_prompt = s->result.n_ids_subject,
                              .decoded = s->result.decoded,
                              .n_decoded = s->result.n_decoded,
                              .op = s->located.op,
                              .layer = s->located.layer,
                              .position = s->located.position,
                              .isolated = s->located.isolated,
                              .open = cli_pair_take,
                              .close = cli_pair_leave,
                              .open_oracle = open_oracle,
                              .ctx = &s->pair,
                              .cancelled = cli_catch_interrupt(),
                              .progress = cli_progress_update,
                              .progress_ctx = &progress};
    if (!s->located.found || !s->located.born) return LS_OK;
    cli_progress_begin(&progress, s->ctx, "explaining");
    status = ls_explain(&s->explained, &opt, &why);
    cli_progress_end(&progress);
    if (status == LS_ERR_REFERENCE || status == LS_ERR_UNSUPPORTED) {
        ls_explained_fini(&s->explained);
        snprintf(s->explained.sentence, sizeof(s->explained.sentence), "it cannot be explained: %s",
                 why.what);
        return LS_OK;
    }
    if (status != LS_OK) *err = why;
    return status;
}

static ls_status work(state *s, ls_error *err)
{
    const ls_per_token_result *x = &s->result;
    LS_TRY(prepare(s, err));
    LS_TRY(open_pair(s, err));
    LS_TRY(compare(s, err));
    if (x->verdict == LS_VERDICT_TOKENS_DIFFER)
        ls_explain_ids(s->ids, sizeof(s->ids), x->ids_subject, x->n_ids_subject, x->ids_reference,
                       x->n_ids_reference, s->c.in.tokenizer);
    if (x->verdict != LS_VERDICT_MATCH && x->verdict != LS_VERDICT_DIVERGED) return LS_OK;
    LS_TRY(find_place(s, err));
    return find_cause(s, err);
}

/* ---- the report ---- */

/* One sentence: what the run has found out. */
static const char *answer(const state *s)
{
    if (s->ids[0]) return s->ids;
    if (s->result.verdict == LS_VERDICT_TOKENS_DIFFER)
        return "the ids differ in more than a first or last one";
    if (!s->looked) return "";
    if (!s->located.found) return "there is nothing to explain: no operation differs";
    if (!s->located.born)
        return "no single operation differs by more than its sums' order: roundings add up";
    return s->explained.sentence;
}

static void print_rows(const state *s, FILE *f)
{
    const ls_explained *e = &s->explained;
    if (!e->positions) return;
    fprintf(f, "\n  NMSE to the reference, on the reference's own input, %zu positions\n",
            e->positions);
    fprintf(f, "  %10.3g  the model's own meaning\n", e->own);
    for (size_t i = 0; i < e->n_rows && (s->o->all || i < SHOWN); i++)
        fprintf(f, "%c %10.3g  %s: %s\n", e->rows[i].agrees ? '=' : ' ', e->rows[i].nmse,
                e->rows[i].what, e->rows[i].sentence);
    if (!s->o->all && e->n_rows > SHOWN)
        fprintf(f, "  ... and %zu more (--all)\n", e->n_rows - SHOWN);
}

static void print_text(const state *s, FILE *f)
{
    const ls_per_token_result *x = &s->result;
    char                       place[96];
    fprintf(f, "subject    %s, %s\n", cli_engine_name(&x->subject_info), s->o->c.in.model.path);
    fprintf(f, "reference  %s, %s\n", cli_engine_name(&x->reference_info),
            s->c.reference.model_path);
    fprintf(f, "verdict    %s%s%s\n", ls_verdict_name(x->verdict), x->reason[0] ? ": " : "",
            x->reason);
    if (s->located.found)
        fprintf(f, "place      %s: NMSE %.3g on the reference's own input%s\n",
                cli_located_place(&s->located, place, sizeof(place)), s->located.isolated,
                s->below ? ", inside the budget" : "");
    if (*answer(s)) fprintf(f, "cause      %s\n", answer(s));
    print_rows(s, f);
}

static json_t *rows(const ls_explained *e)
{
    json_t *a = json_array();
    for (size_t i = 0; i < e->n_rows; i++) {
        const ls_explain_row *r = &e->rows[i];
        json_array_append_new(a, json_pack("{s:s, s:s, s:s, s:s, s:i, s:o, s:b}", "what", r->what,
                                           "value", r->value, "own", r->own, "sentence",
                                           r->sentence, "changes", r->changes, "nmse",
                                           cli_json_real(r->nmse), "agrees", (int)r->agrees));
    }
    return a;
}

static json_t *place(const state *s)
{
    const ls_located *l = &s->located;
    if (!l->found) return json_null();
    return json_pack("{s:o, s:s, s:i, s:s, s:s, s:o, s:b}", "layer",
                     l->layer < 0 ? json_null() : json_integer(l->layer), "op", ls_op_name(l->op),
                     "position", (int)l->position, "origin", l->born ? "born" : "carried",
                     "outlier", ls_outlier_name(l->outlier), "isolated", cli_json_real(l->isolated),
                     "inside_budget", (int)s->below);
}

static json_t *explained(const state *s)
{
    const ls_explained *e = &s->explained;
    const char         *outcome = s->ids[0] ? "ids" : ls_explain_outcome_name(e->outcome);
    return json_pack("{s:s, s:s, s:o, s:I, s:o}", "outcome", outcome, "sentence", answer(s),
                     "own_nmse", e->positions ? cli_json_real(e->own) : json_null(), "positions",
                     (json_int_t)e->positions, "candidates", rows(e));
}

/* `why`: what ended the run without a verdict, or NULL. */
static json_t *report(const state *s, int exit_code, const ls_error *why)
{
    const ls_per_token_result *x = &s->result;
    const char                *reason = why ? why->what : x->reason,
               *model = s->o->c.in.model.path ? s->o->c.in.model.path : "";
    const char *other = s->c.reference.model_path ? s->c.reference.model_path : "";
    json_t     *root = json_pack(
            "{s:s, s:s, s:i, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "schema", "lockstep.explain/1",
            "verdict", ls_verdict_name(x->verdict), "exit_code", exit_code, "reason",
            cli_json_text(reason, strlen(reason)), "subject", cli_engine_name(&x->subject_info),
            "reference", cli_engine_name(&x->reference_info), "model",
            cli_json_text(model, strlen(model)), "reference_model", cli_json_text(other, strlen(other)),
            "located", place(s), "explained", explained(s));
    if (root && why) json_object_set_new(root, "error", cli_json_error(why));
    return root;
}

static ls_status print_report(const state *s, int exit_code, const ls_error *why, ls_error *err)
{
    cli_output out = {0};
    ls_status  status;
    if (s->ctx->json) return cli_json_print(report(s, exit_code, why), s->o->output, err);
    if (why) return LS_OK;
    LS_TRY(cli_output_open(&out, s->o->output, err));
    print_text(s, out.f);
    status = cli_output_commit(&out, err);
    cli_output_abort(&out);
    return status;
}

/* A reference that is missing leaves no verdict: exit 3, as everywhere; JSON is printed even so. */
static ls_status finish(state *s, ls_status status, const ls_error *why, ls_error *err)
{
    s->ctx->exit_code =
        status == LS_OK ? ls_verdict_exit_code(s->result.verdict) : ls_exit_code(status, why);
    if (status != LS_OK && s->result.verdict == LS_VERDICT_MATCH)
        s->result.verdict = LS_VERDICT_INCONCLUSIVE;
    LS_TRY(print_report(s, s->ctx->exit_code, status == LS_OK ? NULL : why, err));
    if (status != LS_OK) *err = *why;
    return status;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    explain_opts *o = opts;
    state         s = {.ctx = ctx, .o = o, .c = {.ctx = ctx, .o = &o->c}};
    ls_error      why = {0};
    ls_status     status;
    ls_per_token_fini(&s.result); /* an empty result: INCONCLUSIVE */
    cli_catch_interrupt();
    status = work(&s, &why);
    if (status != LS_OK && cli_check_interrupt(NULL) != LS_OK) { /* of which engines die, too */
        ls_error_clear(&why);
        status = cli_check_interrupt(&why);
    }
    status = finish(&s, status, &why, err);
    cli_pair_close(&s.pair);
    ls_explained_fini(&s.explained);
    ls_located_fini(&s.located);
    ls_per_token_fini(&s.result);
    cli_comparison_fini(&s.c);
    return status;
}

/* ---- the command line ---- */

#define AT(field) offsetof(explain_opts, field)

static const cli_option reporting[] = {
    {.name = "all",
     .kind = CLI_FLAG,
     .off = AT(all),
     .help = "Print every candidate, not the nearest alone. JSON always has them all."},
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .off = AT(output),
     .metavar = "FILE",
     .help = "Write the report to FILE instead of standard output."},
    {0},
};

static const cli_group groups[] = {
    CLI_COMPARISON_GROUPS(explain_opts, c),
    {"Report", reporting, 0},
    CLI_COMPARISON_ENGINE(explain_opts, c),
    {0},
};

static const explain_opts defaults = {
    .c = {CLI_COMPARISON_DEFAULTS},
};

const cli_command cli_cmd_crossval_explain = {
    .noun = "crossval",
    .verb = "explain",
    .summary = "Say why two engines differ: under which other meaning the reference agrees",
    .details =
        "Compares as `crossval per-token --locate` does. The first operation that differs is then "
        "evaluated in double precision, on the reference's own input, with one thing changed at a "
        "time: another activation, another order, base or scaling of RoPE, another epsilon, scale, "
        "cap or window, other roundings, another type of the KV cache, other weights: a tensor, "
        "row, block or element. Where no change alone is enough, up to three at once are tried. "
        "The "
        "report names what makes the reference agree, and shows how near the others come. That "
        "nothing explains it is an answer, too.\n\n"
        "Where the token ids differ, it says whether a BOS or EOS makes the difference. Of two "
        "files of which only one asks for a BOS each is tokenized as it asks, unless --bos "
        "decides.\n\n"
        "Exit codes are those of the verdict: MATCH (0), DIVERGED (1, explained or not), "
        "TOKENS_DIFFER (2), INCONCLUSIVE (3).\n",
    .examples = "$ lockstep crossval explain -m model.gguf -p \"Once upon a time\"\n"
                "$ lockstep crossval explain -m mine.gguf --reference-model theirs.gguf -p \"Hi\"\n"
                "$ lockstep crossval explain -m model.gguf -p \"Hi\" --kv-type f32 "
                "--reference-kv-type f16\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(explain_opts),
    .init = cli_comparison_init,
    .reports = true,
    .run = run,
};
