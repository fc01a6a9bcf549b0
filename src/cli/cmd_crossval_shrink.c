// SPDX-License-Identifier: MIT
/* cmd_crossval_shrink.c - `lockstep crossval shrink`: the shortest prompt that still diverges, and
 * a folder that shows it again.
 *
 * Both engines are opened once. The prompt is compared as `crossval per-token --locate` does it;
 * what is found there, an operation in whose result an error is born or else logits outside their
 * budget, is what every shorter prompt has to show, too.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli_json.h"
#include "cli/locate.h"
#include "cli/shrink.h"
#include "cli/text.h"

typedef struct shrink_opts {
    cli_comparison_opts c;
    int32_t             max_tests;
    const char         *out;
    bool                force;
} shrink_opts;

typedef struct state {
    cli_context        *ctx;
    shrink_opts        *o;
    cli_comparison      c;
    int32_t            *ids; /* of the prompt, then decoded ones; the shortest, at last */
    size_t              n_ids;
    cli_pair            pair;
    ls_per_token_result result;
    cli_progress        progress;
    bool                differs; /* there is something to shrink */
    cli_shrink          x;
} state;

/* ---- preparing ---- */

/* All in one evaluation, so that positions of the prompt are computed alike in every test. */
static void plan_engines(cli_comparison *c)
{
    int32_t n = (int32_t)c->n_positions + 1;
    if (c->subject.n_ctx < n && !c->o->engine.ctx) c->subject.n_ctx = n;
    if (c->subject.n_batch < n) c->subject.n_batch = n;
}

static ls_status prepare(state *s, ls_error *err)
{
    const shrink_opts *o = s->o;
    LS_TRY(cli_model_check(s->ctx, &o->c.in.model, err));
    if (!o->out || !o->out[0]) return cli_usage(s->ctx, err, "no folder given (-o DIR)");
    if (o->c.reference_model || o->c.reference_kv != CLI_SAME_KV)
        return cli_usage(s->ctx, err,
                         "the folder has one model and one setting for both engines: leave out "
                         "'--reference-model' and '--reference-kv-type'");
    s->x.folder = o->out;
    LS_TRY(cli_shrink_check_folder(&s->x, o->force, err));
    LS_TRY(cli_comparison_check(&s->c, err));
    LS_TRY(cli_comparison_open(&s->c, err));
    plan_engines(&s->c);
    LS_TRY(cli_comparison_find(&s->c, err));
    s->pair = cli_pair_of(&s->c);
    s->x.gguf = s->c.in.gguf;
    s->x.budget = o->c.budget;
    s->x.against = s->pair.exe ? ls_ref_name(s->c.found.kind) : "native";
    return cli_pair_open(&s->pair, err);
}

/* ---- the whole prompt ---- */

static ls_status locate(state *s, const int32_t *ids, size_t n, const int32_t *decoded,
                        size_t n_decoded, ls_located *out, ls_error *err)
{
    ls_locate_options opt = {.prompt = ids,
                             .n_prompt = n,
                             .decoded = decoded,
                             .n_decoded = n_decoded,
                             .tap_tol = s->o->c.budget.tap_tol,
                             .open = cli_pair_take,
                             .close = cli_pair_leave,
                             .ctx = &s->pair,
                             .cancelled = cli_catch_interrupt()};
    return ls_locate(out, &opt, err);
}

/* What the prompt shows becomes what is looked for. */
static ls_status compare(state *s, ls_error *err)
{
    ls_per_token_options opt = cli_comparison_per_token(&s->c);
    ls_per_token_result *r = &s->result;
    cli_shrink          *x = &s->x;
    opt.progress = cli_progress_update;
    opt.progress_ctx = &s->progress;
    cli_progress_begin(&s->progress, s->ctx, "comparing");
    LS_TRY(ls_verify_per_token(r, s->pair.sides[1].engine, s->pair.sides[0].engine, &opt, err));
    x->verdict = r->verdict;
    snprintf(x->reason, sizeof(x->reason), "%s", r->reason);
    if (r->verdict != LS_VERDICT_MATCH && r->verdict != LS_VERDICT_DIVERGED) return LS_OK;
    LS_TRY(locate(s, r->ids_subject, r->n_ids_subject, r->decoded, r->n_decoded, &x->located, err));
    x->by_op = x->located.found && x->located.born;
    s->differs = x->by_op || r->verdict == LS_VERDICT_DIVERGED;
    if (x->by_op) x->verdict = LS_VERDICT_DIVERGED;
    return LS_OK;
}

/* ---- shorter ones ---- */

static ls_status test_logits(state *s, const int32_t *ids, size_t n, bool *still, ls_error *err)
{
    ls_per_token_options opt = {.ids = ids,
                                .n_ids = n,
                                .batch = s->x.alone ? 1 : 0,
                                .budget = s->o->c.budget,
                                .cancelled = cli_catch_interrupt()};
    ls_per_token_result  r;
    ls_engine           *a, *b;
    ls_status            status;
    LS_TRY(cli_pair_take(&s->pair, true, (ls_watch){0}, NULL, NULL, &a, err));
    LS_TRY(cli_pair_take(&s->pair, false, (ls_watch){0}, NULL, NULL, &b, err));
    status = ls_verify_per_token(&r, a, b, &opt, err);
    *still = r.verdict == LS_VERDICT_DIVERGED;
    if (status == LS_OK && r.verdict == LS_VERDICT_INCONCLUSIVE) {
        *err = r.error;
        status = ls_fail(err, LS_ERR_REFERENCE, "%.400s", r.reason);
    }
    ls_per_token_fini(&r);
    return status;
}

/* As a prompt, or one after the other. */
static ls_status locate_ids(state *s, const int32_t *ids, size_t n, ls_located *out, ls_error *err)
{
    size_t prompt = s->x.alone ? 1 : n;
    return locate(s, ids, prompt, ids + prompt, n - prompt, out, err);
}

/* An ls_shrink_test_fn: the same operation of the same layer, or logits outside their budget. */
static ls_status test(void *ctx, const int32_t *ids, size_t n, bool *still, ls_error *err)
{
    state            *s = ctx;
    const ls_located *wanted = &s->x.located;
    ls_located        l = {0};
    LS_TRY(cli_check_interrupt(err));
    if (!s->x.by_op) return test_logits(s, ids, n, still, err);
    LS_TRY(locate_ids(s, ids, n, &l, err));
    *still = l.found && l.born && l.op == wanted->op && l.layer == wanted->layer;
    ls_located_fini(&l);
    return LS_OK;
}

/* Where to start from: the prompt, else with what was decoded as part of it, else all of it one
 * token at a time, as decoding does. */
static ls_status find_start(state *s, bool *still, ls_error *err)
{
    const ls_per_token_result *r = &s->result;
    free(s->ids);
    s->ids = malloc((r->n_ids_subject + r->n_decoded) * sizeof(*s->ids));
    if (!s->ids) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the prompt");
    memcpy(s->ids, r->ids_subject, r->n_ids_subject * sizeof(*s->ids));
    if (r->n_decoded) memcpy(s->ids + r->n_ids_subject, r->decoded, r->n_decoded * sizeof(*s->ids));
    s->n_ids = r->n_ids_subject;
    LS_TRY(test(s, s->ids, s->n_ids, still, err));
    if (*still || r->n_decoded == 0) return LS_OK;
    s->n_ids += r->n_decoded;
    LS_TRY(test(s, s->ids, s->n_ids, still, err));
    if (*still) return LS_OK;
    s->x.alone = true;
    return test(s, s->ids, s->n_ids, still, err);
}

static ls_status search(state *s, ls_error *err)
{
    ls_shrink_options opt = {.test = test,
                             .ctx = s,
                             .max_tests = (size_t)s->o->max_tests,
                             .progress = cli_progress_update,
                             .progress_ctx = &s->progress};
    ls_located        last = {0};
    s->x.n_original = s->n_ids;
    cli_progress_begin(&s->progress, s->ctx, "shrinking");
    LS_TRY(ls_shrink(s->ids, s->n_ids, &opt, &s->x.shrunk, err));
    s->n_ids = s->x.shrunk.n;
    s->x.ids = s->ids;
    LS_TRY(locate_ids(s, s->ids, s->n_ids, &last, err));
    ls_located_fini(&s->x.located);
    s->x.located = last;
    return LS_OK;
}

static ls_status work(state *s, ls_error *err)
{
    bool still;
    LS_TRY(prepare(s, err));
    LS_TRY(compare(s, err));
    if (!s->differs) return LS_OK;
    LS_TRY(find_start(s, &still, err));
    if (!still) return LS_OK;
    LS_TRY(search(s, err));
    cli_progress_end(&s->progress);
    return cli_shrink_write(&s->x, err);
}

/* ---- the report ---- */

static void print_found(const cli_shrink *x)
{
    const ls_located *l = &x->located;
    char              place[96], size[32];
    if (x->by_op) {
        printf("DIVERGED: %s: born here, NMSE %.3g on the reference's own input\n",
               cli_located_place(l, place, sizeof(place)), l->isolated);
    } else {
        printf("DIVERGED: the logits; no single operation is over %g\n", x->budget.tap_tol);
    }
    printf("prompt: %zu of %zu tokens%s in %zu tests%s\n  --ids ", x->shrunk.n, x->n_original,
           x->alone ? ", one at a time (--batch 1)," : "", x->shrunk.n_tests,
           x->shrunk.minimal ? "; none of them can be left out" : "; --max-tests ended the search");
    for (size_t i = 0; i < x->shrunk.n; i++) printf("%s%d", i ? "," : "", (int)x->ids[i]);
    printf("\n");
    if (x->block.n_vocab) {
        printf("block: layer %d as layer %d of a model of %s%s\n", (int)x->block_layer,
               (int)x->block.layer, cli_format_bytes(x->block.n_bytes, size, sizeof(size)),
               x->block.exact ? "" : "; its input is not exact to the last bit");
        printf("replay: %s\n", x->replayed ? "shows the same operation"
                                           : "does NOT show it: it takes more than this layer");
    }
    printf("%s: sh %s/replay.sh\n", x->folder, x->folder);
}

static ls_status report(state *s, ls_error *err)
{
    const cli_shrink *x = &s->x;
    if (s->ctx->json) return cli_json_print(cli_shrink_json(x), NULL, err);
    if (x->shrunk.n > 0)
        print_found(x);
    else if (s->differs)
        printf(
            "DIVERGED: only while it decodes behind this prompt, and not when the same tokens are "
            "evaluated together or one at a time: nothing is written\n");
    else
        printf("%s%s%s: there is nothing to shrink\n", ls_verdict_name(x->verdict),
               x->reason[0] ? ": " : "", x->reason);
    return LS_OK;
}

/* What a reference cannot do is a verdict: INCONCLUSIVE. */
static ls_status finish(state *s, ls_status status, ls_error *err)
{
    if (status == LS_OK && s->result.error.status != LS_OK) {
        *err = s->result.error;
        return err->status;
    }
    if (status != LS_OK) return status;
    s->ctx->exit_code = ls_verdict_exit_code(s->x.verdict);
    return report(s, err);
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    shrink_opts *o = opts;
    state        s = {.ctx = ctx, .o = o, .c = {.ctx = ctx, .o = &o->c}};
    ls_status    status;
    ls_per_token_fini(&s.result);
    cli_catch_interrupt();
    s.x = (cli_shrink){.ctx = ctx,
                       .engine = &o->c.engine,
                       .faults = &s.c.faults,
                       .model_path = o->c.in.model.path,
                       .pair = &s.pair,
                       .against = "",
                       .own_sums = o->c.sums == CLI_SUMS_OWN,
                       .verdict = LS_VERDICT_INCONCLUSIVE};
    status = work(&s, err);
    cli_progress_end(&s.progress);
    if (status != LS_OK && cli_check_interrupt(NULL) != LS_OK) {
        ls_error_clear(err);
        status = cli_check_interrupt(err);
    }
    status = finish(&s, status, err);
    cli_pair_close(&s.pair);
    ls_per_token_fini(&s.result);
    ls_located_fini(&s.x.located);
    ls_located_fini(&s.x.replay);
    cli_comparison_fini(&s.c);
    free(s.ids);
    return status;
}

/* ---- the command line ---- */

#define AT(field) offsetof(shrink_opts, field)

static const cli_option shrinking[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .off = AT(out),
     .metavar = "DIR",
     .help = "The folder to write. Required."},
    {.name = "force",
     .kind = CLI_FLAG,
     .off = AT(force),
     .help = "Replace a folder that this command has written."},
    {.name = "max-tests",
     .kind = CLI_INT,
     .off = AT(max_tests),
     .metavar = "N",
     .min = 1,
     .max = 1e9,
     .def = "1000",
     .help = "Shorter prompts to try at most."},
    {0},
};

static const cli_group groups[] = {
    {"Shrinking", shrinking, 0},
    CLI_COMPARISON_GROUPS(shrink_opts, c),
    CLI_COMPARISON_ENGINE(shrink_opts, c),
    {0},
};

static const shrink_opts defaults = {
    .c = {CLI_COMPARISON_DEFAULTS},
    .max_tests = 1000,
};

const cli_command cli_cmd_crossval_shrink = {
    .noun = "crossval",
    .verb = "shrink",
    .summary = "Make a divergence small: the shortest prompt, one layer, a folder that replays it",
    .details =
        "Compares both engines as 'crossval per-token --locate' does. Where they diverge, tokens "
        "are left out of the prompt as long as the same operation is still found (or, where none "
        "is, logits outside their budget). Then a folder is written: a GGUF file that holds just "
        "the layer in question, whose embeddings are the hidden states that it read; these "
        "states; what both engines made of them; and replay.sh, which shows it again.\n\n"
        "Exit 1 is a divergence that was shrunk, 0 that there is none: then no folder is "
        "written.\n",
    .examples = "$ lockstep crossval shrink -m model.gguf -p \"Once upon a time\" -o repro\n"
                "$ sh repro/replay.sh\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(shrink_opts),
    .init = cli_comparison_init,
    .reports = true,
    .run = run,
};
