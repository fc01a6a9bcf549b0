// SPDX-License-Identifier: MIT
/* cmd_trace_record.c - `lockstep trace record`: the taps of one engine's run, into a folder. */
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_json.h"
#include "cli/input.h"
#include "cli/scratch.h"
#include "cli/text.h"
#include "cli/tracing.h"

enum { ENGINE_NATIVE = -1 };
static const cli_choice engines[] = {
    {"native", ENGINE_NATIVE}, {"llama", LS_REF_LLAMA}, {"bitnet", LS_REF_BITNET}, {NULL, 0}};
enum { VALUES_SKETCH, VALUES_FULL };
static const cli_choice values[] = {{"sketch", VALUES_SKETCH}, {"full", VALUES_FULL}, {NULL, 0}};

typedef struct record_opts {
    cli_input_opts  in;
    cli_engine_opts engine;
    const char     *out, *taps;
    int             which, values;
    int32_t         max_tokens;
    bool            per_file, force, no_check;
} record_opts;

typedef struct state {
    cli_context       *ctx;
    const record_opts *o;
    cli_input          in;
    ls_trace_options   trace_options;
    ls_engine_options  engine_options;
    ls_faults          faults;
    ls_ref_status      ref;
    ls_trace           trace;
    cli_scratch        scratch; /* what a reference reads in a folder's stead */
} state;

/* ---- preparing ---- */

/* The taps whose names a comma-separated list of shell patterns matches. */
static ls_status choose_taps(state *s, ls_error *err)
{
    const char *at = s->o->taps ? s->o->taps : "*";
    while (*at) {
        char   pattern[64];
        size_t n = strcspn(at, ",");
        bool   any = false;
        if (n == 0 || n >= sizeof(pattern))
            return cli_usage(s->ctx, err, "'%s' is no list of taps", s->o->taps);
        memcpy(pattern, at, n);
        pattern[n] = '\0';
        for (int op = 0; op < LS_N_OPS; op++) {
            if (fnmatch(pattern, ls_op_name((ls_op)op), 0) != 0) continue;
            s->trace_options.ops[op] = any = true;
        }
        if (!any) return cli_usage(s->ctx, err, "no tap is called '%s'", pattern);
        at += n + (at[n] == ',');
    }
    return LS_OK;
}

static ls_status check_folder(state *s, ls_error *err)
{
    if (!s->o->out || !s->o->out[0]) return cli_usage(s->ctx, err, "no folder given (-o DIR)");
    if (cli_tracing_is_there(s->o->out) && !s->o->force) {
        ls_fail(err, LS_ERR_USAGE, "'%s' holds a trace already", s->o->out);
        return ls_fail_hint(err, "choose another folder, or --force to replace it"), LS_ERR_USAGE;
    }
    return LS_OK;
}

static ls_status prepare(state *s, ls_error *err)
{
    const record_opts *o = s->o;
    LS_TRY(cli_model_check(s->ctx, &o->in.model, err));
    LS_TRY(check_folder(s, err));
    LS_TRY(choose_taps(s, err));
    LS_TRY(cli_input_check(s->ctx, &o->in, &s->in, err));
    LS_TRY(cli_input_open(s->ctx, &o->in, &s->in, err));
    LS_TRY(cli_input_encode(&o->in, &s->in, err));
    if (s->in.n_ids == 0) return cli_usage(s->ctx, err, "the prompt has no tokens");
    LS_TRY(cli_engine_resolve(s->ctx, &o->engine, &s->engine_options, &s->faults, err));
    s->engine_options.model_path = o->in.model.path;
    s->engine_options.n_ctx = (int32_t)s->in.n_ids + o->max_tokens;
    s->engine_options.n_batch = (int32_t)s->in.n_ids; /* one evaluation, one record of each tap */
    s->engine_options.cancelled = cli_catch_interrupt();
    s->trace_options.prompt = s->in.ids;
    s->trace_options.n_prompt = s->in.n_ids;
    s->trace_options.max_tokens = o->max_tokens;
    s->trace_options.cancelled = s->engine_options.cancelled;
    if (o->which == ENGINE_NATIVE) {
        s->engine_options.model = s->in.gguf;
        return LS_OK;
    }
    LS_TRY(cli_reference_find(s->ctx, (ls_ref_kind)o->which, &s->ref, err));
    if (ls_gguf_get_source(s->in.gguf) != LS_SOURCE_HF) return LS_OK;
    s->engine_options.model_path = s->scratch.file;
    return cli_scratch_gguf(&s->scratch, s->ctx, s->in.gguf, err);
}

/* ---- recording ---- */

static ls_status record(state *s, ls_error *err)
{
    cli_tracing t = {.engine = &s->engine_options,
                     .exe = s->o->which == ENGINE_NATIVE ? NULL : s->ref.exe,
                     .model_path = s->o->in.model.path,
                     .gguf = s->in.gguf,
                     .trace = s->trace_options,
                     .folder = s->o->out,
                     .values = s->o->values == VALUES_FULL,
                     .per_file = s->o->per_file,
                     .no_check = s->o->no_check};
    return cli_tracing_record(s->ctx, &t, &s->trace, err);
}

/* ---- the report ---- */

static ls_status report(state *s, ls_error *err)
{
    const ls_trace *t = &s->trace;
    json_t         *declined = json_array();
    char            list[512] = "";
    size_t          n = 0;
    for (int op = 0; op < LS_N_OPS; op++) {
        if (!t->declined[op]) continue;
        json_array_append_new(declined, json_string(ls_op_name((ls_op)op)));
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "",
                              ls_op_name((ls_op)op));
    }
    if (s->ctx->json) {
        return cli_json_print(
            json_pack("{s:s, s:s, s:I, s:I, s:o, s:s, s:o}", "folder", s->o->out, "engine",
                      t->engine.engine, "n_records", (json_int_t)t->n_records, "n_tokens",
                      (json_int_t)t->n_tokens, "declined", declined, "logits_sha256",
                      t->logits_sha256, "perturbed",
                      t->perturbed < 0 ? json_null() : json_boolean(t->perturbed)),
            NULL, err);
    }
    json_decref(declined);
    printf("%zu taps of %s%s%s over %zu tokens in %s\n", t->n_records, t->engine.engine,
           t->engine.isa[0] ? ", " : "", t->engine.isa, t->n_tokens, s->o->out);
    if (list[0]) printf("not there in this engine or model: %s\n", list);
    if (t->perturbed >= 0)
        printf("logits %s without taps\n", t->perturbed ? "are OTHERS" : "are the same");
    return LS_OK;
}

static ls_status run_command(cli_context *ctx, void *opts, ls_error *err)
{
    state     s = {.ctx = ctx, .o = opts};
    ls_status status = prepare(&s, err);
    if (status == LS_OK) status = record(&s, err);
    if (status == LS_OK) status = report(&s, err);
    cli_scratch_remove(&s.scratch);
    ls_trace_fini(&s.trace);
    cli_input_fini(&s.in);
    return status;
}

static const cli_option table[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .off = offsetof(record_opts, out),
     .metavar = "DIR",
     .help = "Folder for the trace; it is made. Required."},
    {.name = "engine",
     .kind = CLI_ENUM,
     .off = offsetof(record_opts, which),
     .metavar = "NAME",
     .choices = engines,
     .def = "native",
     .help = "Engine to look into."},
    {.name = "taps",
     .kind = CLI_STRING,
     .off = offsetof(record_opts, taps),
     .metavar = "PATTERNS",
     .def = "*",
     .help = "Taps to record: names or shell patterns, separated by commas."},
    {.name = "values",
     .kind = CLI_ENUM,
     .off = offsetof(record_opts, values),
     .metavar = "WHAT",
     .choices = values,
     .def = "sketch",
     .help =
         "sketch: hash, statistics and eight projections of each tap. full: its values, too, in "
         "values.safetensors."},
    {.name = "max-tokens",
     .letter = 'n',
     .kind = CLI_INT,
     .off = offsetof(record_opts, max_tokens),
     .metavar = "N",
     .min = 0,
     .max = 1 << 20,
     .def = "0",
     .help = "Tokens to decode (greedily) and record after the prompt."},
    {.name = "per-file",
     .kind = CLI_FLAG,
     .off = offsetof(record_opts, per_file),
     .help = "Write one NAME.trace file for each tap as well."},
    {.name = "no-check",
     .kind = CLI_FLAG,
     .off = offsetof(record_opts, no_check),
     .help = "Do not run a second time without taps to see whether the logits stay the same."},
    {.name = "force",
     .kind = CLI_FLAG,
     .off = offsetof(record_opts, force),
     .help = "Replace a trace that is there."},
    {0},
};

static const cli_group groups[] = {
    CLI_INPUT_GROUPS(offsetof(record_opts, in)),
    {"Trace", table, 0},
    {"Engine", cli_engine_table, offsetof(record_opts, engine)},
    {0},
};
static const record_opts defaults = {
    .in = CLI_INPUT_DEFAULTS, .engine = CLI_ENGINE_DEFAULTS, .which = ENGINE_NATIVE};

const cli_command cli_cmd_trace_record = {
    .noun = "trace",
    .verb = "record",
    .summary = "Record what an engine computes, operation by operation",
    .details = "Evaluates the prompt once (and N decoded tokens, one at a time) and records every "
               "tap: the result of an operation in a layer, with its shape, hash and a sketch. "
               "References show theirs through the evaluation callback of their public interface; "
               "nothing in them is patched.",
    .examples =
        "$ lockstep trace record -m model.gguf -p \"Once upon a time\" -o native\n"
        "$ lockstep trace record -m model.gguf -p \"Once upon a time\" --engine llama -o llama\n"
        "$ lockstep trace diff native llama",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(record_opts),
    .reports = true,
    .run = run_command,
};
