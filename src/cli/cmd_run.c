// SPDX-License-Identifier: MIT
/* cmd_run.c - `lockstep run`: a prompt and its continuation, by the best engine that is there.
 *
 * Prompt and continuation go to standard output, everything else to standard error. Text is cut
 * into tokens and put together by our own tokenizer, whichever engine evaluates.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/input.h"
#include "cli/stream.h"
#include "cli/tracing.h"

enum { ENGINE_AUTO = -2, ENGINE_NATIVE = -1 }; /* else an ls_ref_kind */

typedef struct run_opts {
    cli_input_opts  in;
    cli_engine_opts engine;
    int             which;
    int32_t         n;
    double          temp;
    uint64_t        seed;
    bool            no_prompt;
} run_opts;

/* Everything that lives as long as the command. */
typedef struct run_state {
    cli_context      *ctx;
    const run_opts   *o;
    cli_input         in;
    int32_t           n_ctx;
    ls_faults         faults;
    ls_engine_options engine_options;
    ls_engine        *engine;
    int32_t           stop_ids[LS_MAX_STOPS];
    size_t            n_stop_ids;
    ls_sampler        sampler;
    cli_stream        out;
    size_t            n_generated;
    int32_t          *fed; /* [n] those of them that were evaluated */
    size_t            n_fed;
    ls_ref_status     ref; /* exe "": the engine is native */
    uint64_t          prompt_ns, answer_ns;
} run_state;

static const cli_choice engines[] = {{"auto", ENGINE_AUTO},
                                     {"native", ENGINE_NATIVE},
                                     {"llama", LS_REF_LLAMA},
                                     {"bitnet", LS_REF_BITNET},
                                     {NULL, 0}};

static const cli_option generation[] = {
    {.name = "n-predict",
     .letter = 'n',
     .kind = CLI_INT,
     .off = offsetof(run_opts, n),
     .metavar = "N",
     .min = 0,
     .max = INT32_MAX,
     .def = "128",
     .aliases = "max-tokens max-new-tokens",
     .help = "Tokens to generate at most; 0 prints the prompt alone."},
    {.name = "temp",
     .kind = CLI_DOUBLE,
     .off = offsetof(run_opts, temp),
     .metavar = "X",
     .min = 0,
     .max = 100,
     .def = "0.8",
     .aliases = "temperature",
     .help = "Temperature of sampling. 0 always takes the most likely token."},
    {.name = "seed",
     .kind = CLI_U64,
     .off = offsetof(run_opts, seed),
     .metavar = "N",
     .def = "42",
     .help = "Seed of sampling: the same seed gives the same text, on every machine."},
    {.name = "engine",
     .kind = CLI_ENUM,
     .off = offsetof(run_opts, which),
     .metavar = "NAME",
     .choices = engines,
     .def = "auto",
     .help = "Engine that evaluates the model. auto: native, and where it does not support the "
             "file, an installed reference."},
    {.name = "no-prompt",
     .kind = CLI_FLAG,
     .off = offsetof(run_opts, no_prompt),
     .help = "Print the continuation alone."},
    {0},
};

/* ---- preparing ---- */

static ls_status open_text(run_state *r, ls_error *err)
{
    const run_opts *o = r->o;
    LS_TRY(cli_input_check(r->ctx, &o->in, &r->in, err));
    LS_TRY(cli_input_open(r->ctx, &o->in, &r->in, err));
    LS_TRY(cli_input_encode(&o->in, &r->in, err));
    if (r->in.n_ids == 0)
        return cli_usage(r->ctx, err, "the prompt has no tokens: there is nothing to continue");
    /* A stop text that is one control token never shows up as text: it stops by its id. */
    for (size_t i = 0; i < LS_MAX_STOPS && r->in.prompt.stops[i]; i++) {
        int32_t id = ls_tokenizer_find(r->in.tokenizer, r->in.prompt.stops[i]);
        if (id >= 0) r->stop_ids[r->n_stop_ids++] = id;
    }
    return LS_OK;
}

/* Room for the prompt and the answer, at most what the model was trained on. */
static ls_status plan_context(run_state *r, ls_error *err)
{
    ls_str  arch = {"", 0};
    char    key[128];
    int64_t trained = INT32_MAX, want = (int64_t)r->in.n_ids + r->o->n;
    ls_gguf_str(r->in.gguf, "general.architecture", &arch);
    snprintf(key, sizeof(key), "%.*s.context_length", LS_FMT(arch));
    ls_gguf_int(r->in.gguf, key, &trained);
    if (r->o->engine.ctx > trained)
        return ls_fail(err, LS_ERR_LIMIT,
                       "--ctx %d exceeds the %lld positions that the model was "
                       "trained on",
                       (int)r->o->engine.ctx, (long long)trained);
    if (r->o->engine.ctx)
        want = r->o->engine.ctx;
    else if (want > trained)
        want = trained;
    if (want > INT32_MAX) want = INT32_MAX;
    if ((int64_t)r->in.n_ids > want) {
        ls_fail(err, LS_ERR_LIMIT, "the prompt has %zu tokens, the context %lld", r->in.n_ids,
                (long long)want);
        return ls_fail_hint(err, r->o->engine.ctx ? "raise --ctx or shorten the prompt"
                                                  : "shorten the prompt");
    }
    r->n_ctx = (int32_t)want;
    r->engine_options.n_ctx = r->n_ctx;
    return LS_OK;
}

static ls_status open_reference(run_state *r, ls_ref_kind kind, ls_error *err)
{
    static const char *const only_native[] = {"fault", "isa", "act-quant", "lanes", "prepacked"};
    for (size_t i = 0; i < sizeof(only_native) / sizeof(only_native[0]); i++)
        if (cli_given(r->ctx, only_native[i]))
            return cli_usage(r->ctx, err, "option '--%s' acts on the native engine, not on '%s'",
                             only_native[i], ls_ref_name(kind));
    LS_TRY(cli_reference_find(r->ctx, kind, &r->ref, err));
    return ls_engine_open_reference(&r->engine, r->ref.exe, &r->engine_options, err);
}

/* Native does not support the file: the reference that its path suggests, else the other. */
static ls_status open_any_reference(run_state *r, const ls_error *native, ls_error *err)
{
    ls_ref_kind   first = ls_ref_for_model(r->o->in.model.path);
    ls_ref_status ref;
    for (int i = 0; i < LS_N_REFS; i++) {
        ls_ref_kind kind = (ls_ref_kind)(((int)first + i) % LS_N_REFS);
        ls_ref_find(&ref, kind, &r->ctx->env->refs);
        if (ref.state != LS_REF_READY) continue;
        cli_note(r->ctx, "the native engine cannot run this file (%s); using %s", native->what,
                 ls_ref_display_name(kind));
        return open_reference(r, kind, err);
    }
    *err = *native;
    err->hint[0] = '\0'; /* the native engine's own hint does not know of the other engines */
    ls_fail_hint(err, "%s%sa reference may read it: run 'lockstep engine setup llama'",
                 native->hint, native->hint[0] ? "; " : "");
    return native->status;
}

static ls_status open_engine(run_state *r, ls_error *err)
{
    ls_error  native = {0};
    ls_status status;
    r->engine_options.model_path = r->o->in.model.path;
    r->engine_options.last_only = !r->ctx->env->trace_dir; /* a trace takes what all tokens gave */
    r->engine_options.model = r->in.gguf;
    if (r->o->which >= 0) return open_reference(r, (ls_ref_kind)r->o->which, err);
    status = ls_engine_open_native(&r->engine, &r->engine_options, &native);
    if (status == LS_OK) return LS_OK;
    if (status == LS_ERR_UNSUPPORTED && r->o->which == ENGINE_AUTO)
        return open_any_reference(r, &native, err);
    *err = native;
    return status;
}

static void say_engine(const run_state *r)
{
    const ls_engine_info *i = ls_engine_get_info(r->engine);
    cli_engine_note(r->ctx, r->engine);
    cli_note(r->ctx, "engine %s%s%s%s%s, %d thread%s", i->engine, i->version[0] ? " " : "",
             i->version, i->isa[0] ? ", " : "", i->isa, (int)i->n_threads,
             i->n_threads == 1 ? "" : "s");
}

/* ---- generating ---- */

static ls_status eval_prompt(run_state *r, ls_error *err)
{
    size_t   n_batch = (size_t)ls_engine_get_info(r->engine)->n_batch, n = 0;
    uint64_t begin = cli_now_ns();
    if (n_batch == 0) n_batch = 1;
    for (size_t done = 0; done < r->in.n_ids; done += n) {
        n = r->in.n_ids - done < n_batch ? r->in.n_ids - done : n_batch;
        LS_TRY(cli_check_interrupt(err));
        LS_TRY(ls_engine_eval(r->engine, r->in.ids + done, n, err));
    }
    r->prompt_ns = cli_now_ns() - begin;
    return LS_OK;
}

static bool ends(const run_state *r, int32_t id)
{
    for (size_t i = 0; i < r->n_stop_ids; i++)
        if (r->stop_ids[i] == id) return true;
    return ls_tokenizer_is_end(r->in.tokenizer, id);
}

/* The token after the last one evaluated, which was number `last` of its batch. */
static ls_status pick(run_state *r, size_t last, int32_t *id, ls_error *err)
{
    const float *row;
    size_t       n_vocab = (size_t)ls_engine_get_info(r->engine)->n_vocab;
    ls_error     cause = {0};
    LS_TRY(ls_engine_logits(r->engine, last, &row, err));
    if (ls_sampler_pick(&r->sampler, row, n_vocab, id, &cause) == LS_OK) return LS_OK;
    return ls_fail(err, LS_ERR_UNSUPPORTED,
                   "no token can be chosen at position %zu: every logit "
                   "is NaN or infinite",
                   r->in.n_ids + r->n_generated);
}

static ls_status print_token(run_state *r, int32_t id, ls_error *err)
{
    char      small[256], *buf = small;
    size_t    len = ls_tokenizer_piece(r->in.tokenizer, id, false, small, sizeof(small));
    ls_status status;
    if (len > sizeof(small)) {
        buf = malloc(len);
        if (!buf) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a token's text");
        ls_tokenizer_piece(r->in.tokenizer, id, false, buf, len);
    }
    status = cli_stream_add(&r->out, buf, len, err);
    if (buf != small) free(buf);
    return status;
}

static ls_status generate(run_state *r, ls_error *err)
{
    size_t   n_batch = (size_t)ls_engine_get_info(r->engine)->n_batch;
    size_t   last = n_batch > 1 ? (r->in.n_ids - 1) % n_batch : 0;
    uint64_t begin = cli_now_ns();
    int32_t  id;
    while (r->n_generated < (size_t)r->o->n) {
        LS_TRY(cli_check_interrupt(err));
        LS_TRY(pick(r, last, &id, err));
        if (ends(r, id)) break;
        r->n_generated++;
        r->answer_ns = cli_now_ns() - begin;
        LS_TRY(print_token(r, id, err));
        if (r->out.stopped || r->n_generated == (size_t)r->o->n) break;
        if (ferror(stdout)) break;
        if (r->in.n_ids + r->n_generated > (size_t)r->n_ctx) {
            cli_stream_end(&r->out);
            cli_note(r->ctx, "stopped: the context of %d positions is full", (int)r->n_ctx);
            break;
        }
        LS_TRY(ls_engine_eval(r->engine, &id, 1, err));
        if (r->fed) r->fed[r->n_fed++] = id;
        last = 0;
    }
    return LS_OK;
}

/* The ids that were evaluated once more, for LOCKSTEP_TRACE_DIR. */
static ls_status leave_trace(run_state *r, ls_error *err)
{
    cli_tracing t = {.engine = &r->engine_options,
                     .exe = r->ref.exe[0] ? r->ref.exe : NULL,
                     .model_path = r->o->in.model.path,
                     .gguf = r->in.gguf,
                     .trace = {.prompt = r->in.ids,
                               .n_prompt = r->in.n_ids,
                               .decoded = r->fed,
                               .max_tokens = (int32_t)r->n_fed}};
    if (!r->ctx->env->trace_dir) return LS_OK;
    ls_engine_close(r->engine);
    r->engine = NULL;
    return cli_tracing_write(r->ctx, &t, NULL, err);
}

static double rate(size_t n, uint64_t ns) { return ns ? (double)n * 1e9 / (double)ns : 0; }

static void say_speed(const run_state *r)
{
    cli_note(r->ctx,
             "prompt %zu token%s in %.3f s (%.1f tokens/s), answer %zu token%s in %.3f s "
             "(%.1f tokens/s)",
             r->in.n_ids, r->in.n_ids == 1 ? "" : "s", (double)r->prompt_ns * 1e-9,
             rate(r->in.n_ids, r->prompt_ns), r->n_generated, r->n_generated == 1 ? "" : "s",
             (double)r->answer_ns * 1e-9, rate(r->n_generated, r->answer_ns));
}

/* The text as it was put to the engine; of ids, what they spell. */
static ls_status print_prompt(run_state *r, ls_error *err)
{
    char     *text;
    size_t    len;
    ls_status status;
    if (r->in.prompt.text) return cli_stream_add(&r->out, r->in.prompt.text, r->in.prompt.len, err);
    LS_TRY(ls_tokenizer_decode(r->in.tokenizer, r->in.ids, r->in.n_ids, false, &text, &len, err));
    status = cli_stream_add(&r->out, text, len, err);
    free(text);
    return status;
}

static ls_status run_with(run_state *r, ls_error *err)
{
    const run_opts *o = r->o;
    ls_status       status;
    uint64_t        seed = o->seed;
    LS_TRY(cli_model_check(r->ctx, &o->in.model, err));
    LS_TRY(cli_tracing_check(r->ctx, NULL, err));
    LS_TRY(cli_engine_resolve(r->ctx, &o->engine, &r->engine_options, &r->faults, err));
    if (!cli_given(r->ctx, "seed")) LS_TRY(cli_env_seed(r->ctx->env, &seed, err));
    LS_TRY(open_text(r, err));
    LS_TRY(plan_context(r, err));
    if (r->ctx->env->trace_dir && !(r->fed = calloc((size_t)r->n_ctx + 1, sizeof(*r->fed))))
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the ids of a trace");
    LS_TRY(open_engine(r, err));
    say_engine(r);
    ls_sampler_init(&r->sampler, (float)o->temp, seed);
    cli_catch_interrupt();
    if (!o->no_prompt) LS_TRY(print_prompt(r, err));
    /* The stop texts of a template may well stand in its prompt: they count from here on. */
    r->out.stops = r->in.prompt.stops;
    r->out.n_stops = LS_MAX_STOPS;
    status = eval_prompt(r, err);
    if (status == LS_OK) status = generate(r, err);
    cli_stream_end(&r->out);
    if (status == LS_OK) say_speed(r);
    return status == LS_OK ? leave_trace(r, err) : status;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    run_state r = {.ctx = ctx, .o = opts};
    ls_status status;
    cli_stream_init(&r.out, stdout, NULL, 0);
    status = run_with(&r, err);
    cli_stream_fini(&r.out);
    ls_engine_close(r.engine);
    cli_input_fini(&r.in);
    free(r.fed);
    return status;
}

static const cli_group groups[] = {
    CLI_INPUT_GROUPS(offsetof(run_opts, in)),
    {"Generation", generation, 0},
    {"Engine", cli_engine_table, offsetof(run_opts, engine)},
    {0},
};

static const run_opts defaults = {.in = CLI_INPUT_DEFAULTS,
                                  .engine = CLI_ENGINE_DEFAULTS,
                                  .which = ENGINE_AUTO,
                                  .n = 128,
                                  .temp = 0.8,
                                  .seed = 42};

const cli_command cli_cmd_run = {
    .noun = "run",
    .summary = "Continue a prompt",
    .details = "Prompt and continuation go to standard output as they come, everything else to "
               "standard error. Generation ends after -n tokens, at an end-of-text token, at a "
               "stop text of the template, or when the context is full.\n",
    .examples = "$ lockstep run -m stories260K.gguf -p \"Once upon a time\" --temp 0\n"
                "$ lockstep run -m model.gguf -f question.txt --prompt-template auto -n 256\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(run_opts),
    .run = run,
};
