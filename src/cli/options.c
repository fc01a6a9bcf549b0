// SPDX-License-Identifier: MIT
/* options.c - option groups that commands share, and what becomes of their values. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* ---- model ---- */

const cli_option cli_model_table[] = {
    {.name = "model",
     .letter = 'm',
     .kind = CLI_STRING,
     .off = offsetof(cli_model_opts, path),
     .metavar = "MODEL",
     .help = "The model: a GGUF file. Required."},
    {0},
};

ls_status cli_model_check(const cli_context *ctx, const cli_model_opts *o, ls_error *err)
{
    if (!o->path) return cli_usage(ctx, err, "option '--model' is missing");
    if (!*o->path) return cli_usage(ctx, err, "option '--model' is empty");
    return LS_OK;
}

/* ---- prompt ---- */

const cli_option cli_prompt_table[] = {
    {.name = "prompt",
     .letter = 'p',
     .kind = CLI_STRING,
     .off = offsetof(cli_prompt_opts, text),
     .metavar = "TEXT",
     .help = "The prompt."},
    {.name = "file",
     .letter = 'f',
     .kind = CLI_STRING,
     .off = offsetof(cli_prompt_opts, file),
     .metavar = "FILE",
     .help = "Read the prompt from this file, byte for byte: a newline at its "
             "end is part of the prompt. '-' is standard input."},
    {0},
};

ls_status cli_prompt_read(const cli_context *ctx, const cli_prompt_opts *o, char **text,
                          size_t *len, ls_error *err)
{
    *text = NULL;
    *len = 0;
    if (o->text && o->file)
        return cli_usage(ctx, err, "options '--prompt' and '--file' cannot be used together");
    if (o->file) return cli_read_file(o->file, text, len, err);
    if (!o->text) return cli_usage(ctx, err, "no prompt: give '--prompt TEXT' or '--file FILE'");
    *text = strdup(o->text);
    if (!*text) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the prompt");
    *len = strlen(*text);
    return LS_OK;
}

const cli_option cli_ids_table[] = {
    {.name = "ids",
     .kind = CLI_STRING,
     .off = offsetof(cli_ids_opts, text),
     .metavar = "LIST",
     .help = "Token ids instead of a prompt, '1,15043,3186': nothing is tokenized, nothing put "
             "before them."},
    {0},
};

/* How many ids a list has at most: numbers, and commas or blanks between them. */
static size_t most_ids(const char *text)
{
    size_t n = 1;
    for (; *text; text++) n += *text == ',' || *text == ' ';
    return n;
}

static ls_status parse_id(const cli_context *ctx, const char **at, int32_t n_vocab, int32_t *out,
                          ls_error *err)
{
    size_t len = strcspn(*at, ", ");
    char  *end;
    long   v = strtol(*at, &end, 10);
    if (len == 0 || (size_t)(end - *at) != len || **at < '0' || **at > '9')
        return cli_usage(ctx, err, "option '--ids': '%.*s' is no token id",
                         (int)(len < 40 ? len : 40), *at);
    if (len > 10 || v >= n_vocab)
        return cli_usage(ctx, err, "option '--ids': the vocabulary has %d tokens, none of id %.*s",
                         (int)n_vocab, (int)(len < 40 ? len : 40), *at);
    *out = (int32_t)v;
    *at = end;
    return LS_OK;
}

ls_status cli_ids_read(const cli_context *ctx, const cli_ids_opts *o, int32_t n_vocab,
                       int32_t **ids, size_t *n, ls_error *err)
{
    static const char *const others[] = {"prompt", "file", "prompt-template", "system-prompt",
                                         "bos"};
    const char              *at = o->text;
    *ids = NULL;
    *n = 0;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (cli_given(ctx, others[i]))
            return cli_usage(ctx, err, "options '--ids' and '--%s' cannot be used together",
                             others[i]);
    }
    *ids = calloc(most_ids(at), sizeof(**ids));
    if (!*ids) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the ids");
    for (at += strspn(at, " "); *at; at += strspn(at, " ")) {
        ls_status status = parse_id(ctx, &at, n_vocab, &(*ids)[*n], err);
        if (status != LS_OK) return free(*ids), *ids = NULL, status;
        *n += 1;
        at += strspn(at, " ");
        if (*at == ',') at++;
    }
    if (*n > 0) return LS_OK;
    free(*ids);
    *ids = NULL;
    return cli_usage(ctx, err, "option '--ids' is empty");
}

/* ---- numbers ---- */

ls_status cli_numbers_read(const cli_context *ctx, const char *option, const char *text,
                           const cli_numbers *range, int32_t *out, size_t *n, ls_error *err)
{
    const char *at = text;
    *n = 0;
    for (;;) {
        char *end;
        long  v = strtol(at, &end, 10);
        if (end == at || *at < '0' || *at > '9' || (*end != ',' && *end != '\0'))
            return cli_usage(ctx, err, "option '--%s': '%s' is no list of numbers", option, text);
        if (v < range->min || v > range->max)
            return cli_usage(ctx, err, "option '--%s': %.*s is not from %d to %d", option,
                             (int)(end - at), at, (int)range->min, (int)range->max);
        if (*n == range->most)
            return cli_usage(ctx, err, "option '--%s': more than %zu numbers", option, range->most);
        out[(*n)++] = (int32_t)v;
        if (*end == '\0') return LS_OK;
        at = end + 1;
    }
}

/* ---- engine ---- */

const cli_choice        cli_kv_types[] = {{"f16", LS_DTYPE_F16},
                                          {"f32", LS_DTYPE_F32},
                                          {"bf16", LS_DTYPE_BF16},
                                          {"q8_0", LS_DTYPE_Q8_0},
                                          {NULL, 0}};
const cli_choice        cli_tiers[] = {{"auto", LS_TIER_AUTO},
                                       {"scalar", LS_TIER_SCALAR},
                                       {"avx2", LS_TIER_AVX2},
                                       {"avx512", LS_TIER_AVX512},
                                       {"neon", LS_TIER_NEON},
                                       {"dotprod", LS_TIER_DOTPROD},
                                       {NULL, 0}};
static const cli_choice lane_counts[] = {{"auto", 0}, {"8", 8}, {"16", 16}, {NULL, 0}};
static const cli_choice roundings[] = {{"auto", LS_ROUND_AUTO}, {"i8", LS_ROUND_I8}, {NULL, 0}};

const cli_option cli_engine_table[] = {
    {.name = "threads",
     .letter = 't',
     .kind = CLI_INT,
     .off = offsetof(cli_engine_opts, threads),
     .metavar = "N",
     .min = 1,
     .max = 1024,
     .def = "one per core",
     .help = "Threads to compute with."},
    {.name = "batch",
     .kind = CLI_INT,
     .off = offsetof(cli_engine_opts, batch),
     .metavar = "N",
     .min = 1,
     .max = 65536,
     .def = "512",
     .help = "Prompt tokens evaluated together at most."},
    {.name = "ctx",
     .kind = CLI_INT,
     .off = offsetof(cli_engine_opts, ctx),
     .metavar = "N",
     .min = 1,
     .max = INT32_MAX,
     .def = "what prompt and answer need",
     .help = "Positions to make room for, at most what the model was trained on."},
    {.name = "kv-type",
     .kind = CLI_ENUM,
     .off = offsetof(cli_engine_opts, kv_type),
     .metavar = "TYPE",
     .choices = cli_kv_types,
     .def = "f16",
     .help = "Number type of the KV cache."},
    {.name = "isa",
     .kind = CLI_ENUM,
     .off = offsetof(cli_engine_opts, isa),
     .metavar = "TIER",
     .choices = cli_tiers,
     .def = "auto",
     .help = "Instruction set of the native engine; the results are the same to the bit."},
    {.name = "lanes",
     .kind = CLI_ENUM,
     .off = offsetof(cli_engine_opts, lanes),
     .metavar = "N",
     .choices = lane_counts,
     .def = "auto",
     .help = "Width of the native engine's vector sums: 8 or 16. It is part of the arithmetic, "
             "on every instruction set; auto: the reference's, else 16."},
    {.name = "act-quant",
     .kind = CLI_ENUM,
     .off = offsetof(cli_engine_opts, act_quant),
     .metavar = "HOW",
     .choices = roundings,
     .def = "auto",
     .help = "Rounding of activations in the native engine: as the weights' type asks, or int8 "
             "per row before every matrix of the layers, as I2_S does it."},
    {.name = "prepacked",
     .kind = CLI_STRING,
     .off = offsetof(cli_engine_opts, prepacked),
     .metavar = "FILE",
     .def = "the file beside the model, if it is there and fits",
     .help = "Weights of the native engine as `model prepack` wrote them; none: do not look for "
             "them. The results are the same to the bit."},
    {.name = "timeout",
     .kind = CLI_DOUBLE,
     .off = offsetof(cli_engine_opts, timeout_s),
     .metavar = "SECONDS",
     .min = 0.001,
     .max = 1e6,
     .def = "300",
     .help = "How long a reference may take to answer one request."},
    {.name = "fault",
     .kind = CLI_LIST,
     .off = offsetof(cli_engine_opts, faults),
     .metavar = "FAULT",
     .help = "Inject a fault into the native engine, to prove that the harness can fail: "
             "LAYER.OP[@POSITION][#ELEMENT[-LAST]]=scale:X|add:X|nan|ulp[:N], without 'LAYER.' for "
             "what "
             "belongs to no layer; '*' is every operation. May be given several times."},
    {0},
};

ls_status cli_faults_read(const cli_list *list, ls_faults *out, ls_error *err)
{
    *out = (ls_faults){0};
    for (size_t i = 0; i < list->n; i++) {
        ls_status status = ls_faults_add(out, list->at[i], err);
        if (status != LS_OK) {
            ls_fail_at(err, "--fault %s", list->at[i]);
            return status;
        }
    }
    return LS_OK;
}

ls_status cli_engine_resolve(const cli_context *ctx, const cli_engine_opts *o,
                             ls_engine_options *out, ls_faults *faults, ls_error *err)
{
    *out = (ls_engine_options){.n_ctx = o->ctx,
                               .n_batch = o->batch,
                               .n_threads = o->threads,
                               .kv_type = o->kv_type,
                               .timeout_s = o->timeout_s,
                               .cancelled = cli_catch_interrupt(),
                               .tier = (ls_tier)o->isa,
                               .rounding = (ls_act_rounding)o->act_quant,
                               .lanes = o->lanes,
                               .prepacked = o->prepacked};
    if (o->prepacked && strcmp(o->prepacked, "none") == 0) out->prepacked = "";
    if (!cli_given(ctx, "threads")) LS_TRY(cli_env_threads(ctx->env, &out->n_threads, err));
    if (!cli_given(ctx, "timeout")) LS_TRY(cli_env_timeout(ctx->env, &out->timeout_s, err));
    if (!ls_tier_available(out->tier)) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "this machine cannot run the instruction set '%s'",
                ls_tier_name(out->tier));
        return ls_fail_hint(err, "its best is '%s'", ls_tier_name(ls_tier_best()));
    }
    LS_TRY(cli_faults_read(&o->faults, faults, err));
    if (faults->n) out->faults = faults;
    return LS_OK;
}

void cli_engine_note(const cli_context *ctx, const ls_engine *e)
{
    const char *note = ls_engine_get_info(e)->note;
    if (note[0]) cli_note(ctx, "note: %s; packing the weights instead", note);
}

/* ---- template ---- */

static const cli_choice bos_modes[] = {
    {"auto", LS_BOS_AUTO}, {"yes", LS_BOS_YES}, {"no", LS_BOS_NO}, {NULL, 0}};

const cli_option cli_template_table[] = {
    {.name = "prompt-template",
     .kind = CLI_STRING,
     .off = offsetof(cli_template_opts, name),
     .metavar = "NAME",
     .suggest = ls_chat_template_name,
     .def = "raw",
     .aliases = "template",
     .help = "Text put around the prompt: raw (none), instruct, llama3-chat, chatml, bitnet-chat, "
             "or auto, which goes by the model's own metadata."},
    {.name = "system-prompt",
     .kind = CLI_STRING,
     .off = offsetof(cli_template_opts, system),
     .metavar = "TEXT",
     .aliases = "system",
     .help = "System prompt, where the template has a place for one."},
    {.name = "bos",
     .kind = CLI_ENUM,
     .off = offsetof(cli_template_opts, bos),
     .metavar = "WHEN",
     .choices = bos_modes,
     .def = "auto",
     .help = "Whether a beginning-of-text token is put first; auto: as template and model say."},
    {0},
};

ls_status cli_template_apply(const cli_context *ctx, const cli_template_opts *o, const char *text,
                             size_t len, const ls_tokenizer *t, const ls_gguf *g, ls_prompt *out,
                             ls_error *err)
{
    ls_message messages[2];
    size_t     n = 0;
    if (o->system)
        messages[n++] = (ls_message){.role = "system", .text = o->system, .len = strlen(o->system)};
    messages[n++] = (ls_message){.role = "user", .text = text, .len = len};
    LS_TRY(ls_chat_apply(out, o->name, messages, n, t, g, err));
    if (out->system_ignored)
        cli_note(ctx, "note: the template '%s' has no place for a system prompt; it is left out",
                 out->template_name);
    return LS_OK;
}

/* ---- references ---- */

ls_status cli_reference_find(const cli_context *ctx, ls_ref_kind kind, ls_ref_status *out,
                             ls_error *err)
{
    ls_ref_find(out, kind, &ctx->env->refs);
    if (out->state == LS_REF_READY) return LS_OK;
    ls_fail(err, LS_ERR_REFERENCE, "the reference '%s' cannot be used: %s", ls_ref_name(kind),
            out->missing[0] ? out->missing : "it is not installed");
    if (out->lib_dir[0]) ls_fail_at(err, "%s", out->lib_dir);
    if (out->fix[0]) ls_fail_hint(err, "run: %s", out->fix);
    return LS_ERR_REFERENCE;
}

/* ---- budgets ---- */

#define LS_TOLERANCE(field, value, what) static const char text_##field[] = #value;
#include "lockstep/tolerances.def"
#undef LS_TOLERANCE

const cli_option cli_budget_table[] = {
    {.name = "tap-tol",
     .kind = CLI_DOUBLE,
     .off = offsetof(ls_budget, tap_tol),
     .metavar = "X",
     .min = 0,
     .max = 1e9,
     .def = text_tap_tol,
     .help = "Largest NMSE of one operation's result at one position."},
    {.name = "cos-tol",
     .kind = CLI_DOUBLE,
     .off = offsetof(ls_budget, cos_tol),
     .metavar = "X",
     .min = 0,
     .max = 1,
     .def = text_cos_tol,
     .aliases = "cos-tolerance",
     .help = "Centred cosine that every position must reach. A value below 0.5 is read as 1 - "
             "cosine."},
    {.name = "nmse-tol",
     .kind = CLI_DOUBLE,
     .off = offsetof(ls_budget, nmse_tol),
     .metavar = "X",
     .min = 0,
     .max = 1e300,
     .def = text_nmse_tol,
     .help = "Centred NMSE that no position may exceed."},
    {.name = "kl-tol",
     .kind = CLI_DOUBLE,
     .off = offsetof(ls_budget, kl_tol),
     .metavar = "X",
     .min = 0,
     .max = 1e300,
     .def = text_kl_tol,
     .help = "KL(reference, subject) in nats that no position may exceed."},
    {.name = "strict",
     .kind = CLI_FLAG,
     .off = offsetof(ls_budget, strict),
     .help = "A near tie that flips the most likely token is a divergence, too."},
    {0},
};

void cli_budget_resolve(const cli_context *ctx, ls_budget *b)
{
    double as_cosine = 1 - b->cos_tol;
    if (b->cos_tol >= 0.5) return;
    cli_note(ctx, "note: --cos-tol %g is read as 1 - cosine: a cosine of at least %.10g",
             b->cos_tol, as_cosine);
    b->cos_tol = as_cosine;
}
