// SPDX-License-Identifier: MIT
/* comparison.c - from the command line to two engines that can be opened: options, text, reference.
 */
#include "cli/comparison.h"

#include <stdlib.h>

/* ---- options and text ---- */

void cli_comparison_init(void *opts)
{
    ((cli_comparison_opts *)opts)->budget = ls_budget_default();
}

ls_status cli_comparison_check(cli_comparison *c, ls_error *err)
{
    cli_comparison_opts *o = c->o;
    LS_TRY(cli_model_check(c->ctx, &o->in.model, err));
    if (o->against.n > 1 && !c->votes)
        return cli_usage(c->ctx, err, "option '--against' can be given once");
    c->against = o->against.n ? o->against.at[0] : CLI_AGAINST_AUTO;
    cli_budget_resolve(c->ctx, &o->budget);
    LS_TRY(cli_engine_resolve(c->ctx, &o->engine, &c->subject, &c->faults, err));
    c->subject.model_path = o->in.model.path;
    return cli_input_check(c->ctx, &o->in, &c->in, err);
}

static ls_status count_tokens(const cli_comparison *c, const ls_encode_options *enc, size_t *n,
                              ls_error *err)
{
    int32_t *ids = NULL;
    LS_TRY(ls_tokenizer_encode(c->in.tokenizer, c->in.prompt.text, c->in.prompt.len, enc, &ids, n,
                               err));
    free(ids);
    return LS_OK;
}

/* Room for the prompt, as either side may see it, and the decoded tokens. */
static ls_status plan_context(cli_comparison *c, ls_error *err)
{
    ls_encode_options enc = c->in.prompt.encode;
    size_t            own = 0;
    c->n_prompt = c->in.n_ids;
    if (!c->in.ids) {
        LS_TRY(count_tokens(c, &enc, &c->n_prompt, err));
        if (c->o->in.chat.bos != LS_BOS_AUTO) enc.bos = (ls_bos_mode)c->o->in.chat.bos;
        LS_TRY(count_tokens(c, &enc, &own, err));
    }
    if (own > c->n_prompt) c->n_prompt = own;
    c->n_positions = c->n_prompt + (size_t)c->o->max_tokens;
    if (c->n_positions > INT32_MAX)
        return ls_fail(err, LS_ERR_LIMIT, "%zu positions are too many", c->n_positions);
    if (!c->subject.n_ctx) c->subject.n_ctx = (int32_t)c->n_positions;
    return LS_OK;
}

ls_status cli_comparison_open(cli_comparison *c, ls_error *err)
{
    LS_TRY(cli_input_open(c->ctx, &c->o->in, &c->in, err));
    c->subject.model = c->in.gguf;
    return plan_context(c, err);
}

/* ---- the reference ---- */

static ls_status find(cli_comparison *c, ls_error *err)
{
    bool        asked = c->against >= 0;
    ls_ref_kind kind = asked ? (ls_ref_kind)c->against : ls_ref_for_model(c->o->in.model.path);
    ls_error    missing = {0};
    c->why = asked ? "as asked for" : "by the model's path";
    if (cli_reference_find(c->ctx, kind, &c->found, &missing) == LS_OK) return LS_OK;
    for (int other = 0; !asked && other < LS_N_REFS; other++) {
        if (cli_reference_find(c->ctx, (ls_ref_kind)other, &c->found, NULL) != LS_OK) continue;
        cli_note(c->ctx, "note: %s, which the model's path suggests, is not installed; using %s",
                 ls_ref_display_name(kind), ls_ref_display_name((ls_ref_kind)other));
        c->why = "the one that is installed";
        return LS_OK;
    }
    *err = missing;
    return missing.status;
}

ls_engine_options cli_comparison_other_native(const cli_comparison *c)
{
    ls_engine_options opt = c->subject;
    ls_tier           own = opt.tier == LS_TIER_AUTO ? ls_tier_best() : opt.tier;
    opt.tier = own == LS_TIER_SCALAR ? ls_tier_best() : LS_TIER_SCALAR;
    opt.faults = NULL;
    return opt;
}

static ls_status check_file(const char *path, ls_error *err)
{
    ls_gguf *g;
    LS_TRY(ls_gguf_open(&g, path, err));
    ls_gguf_close(g);
    return LS_OK;
}

ls_status cli_comparison_find(cli_comparison *c, ls_error *err)
{
    const cli_comparison_opts *o = c->o;
    bool                       native = c->against == CLI_AGAINST_NATIVE;
    if (o->reference_model) LS_TRY(check_file(o->reference_model, err));
    c->reference = native ? cli_comparison_other_native(c) : c->subject;
    if (!native) LS_TRY(find(c, err));
    c->reference.faults = NULL;
    if (!native || o->reference_model) c->reference.model = NULL;
    if (o->reference_kv != CLI_SAME_KV) c->reference.kv_type = o->reference_kv;
    if (o->reference_model) {
        c->reference.model_path = o->reference_model;
    } else if (!native && ls_gguf_get_source(c->in.gguf) == LS_SOURCE_HF) {
        LS_TRY(cli_scratch_gguf(&c->scratch, c->ctx, c->in.gguf, err));
        c->reference.model_path = c->scratch.file;
    }
    return LS_OK;
}

const char *cli_comparison_exe(const cli_comparison *c)
{
    return c->against == CLI_AGAINST_NATIVE ? NULL : c->found.exe;
}

void cli_comparison_follow(cli_comparison *c, const ls_engine_info *reference)
{
    if (!c->subject.lanes) c->subject.lanes = reference->lanes;
    c->subject.follow = cli_comparison_exe(c) && c->o->sums == CLI_SUMS_REFERENCE;
    c->subject.bf16_pairs = c->subject.follow && reference->bf16_pairs;
}

ls_per_token_options cli_comparison_per_token(const cli_comparison *c)
{
    return (ls_per_token_options){
        .text = c->in.prompt.text,
        .len = c->in.prompt.len,
        .ids = c->in.ids,
        .n_ids = c->in.n_ids,
        .encode = c->in.prompt.encode,
        .subject_bos = (ls_bos_mode)c->o->in.chat.bos,
        .max_tokens = c->o->max_tokens,
        .budget = c->o->budget,
        .cancelled = cli_catch_interrupt(),
    };
}

void cli_comparison_fini(cli_comparison *c)
{
    cli_scratch_remove(&c->scratch);
    cli_input_fini(&c->in);
    *c = (cli_comparison){0};
}

/* ---- the command line ---- */

static const cli_choice sums[] = {
    {"reference", CLI_SUMS_REFERENCE}, {"own", CLI_SUMS_OWN}, {NULL, 0}};
static const cli_choice engines[] = {{"auto", CLI_AGAINST_AUTO},
                                     {"llama", LS_REF_LLAMA},
                                     {"bitnet", LS_REF_BITNET},
                                     {"native", CLI_AGAINST_NATIVE},
                                     {NULL, 0}};
static const cli_choice kv_types[] = {{"same", CLI_SAME_KV},   {"f16", LS_DTYPE_F16},
                                      {"f32", LS_DTYPE_F32},   {"bf16", LS_DTYPE_BF16},
                                      {"q8_0", LS_DTYPE_Q8_0}, {NULL, 0}};

#define AT(field) offsetof(cli_comparison_opts, field)

const cli_option cli_comparison_table[] = {
    {.name = "against",
     .kind = CLI_ENUMS,
     .off = AT(against),
     .metavar = "ENGINE",
     .choices = engines,
     .def = "auto",
     .aliases = "cpp-backend",
     .help = "The reference. auto: bitnet where the model's path says so, else llama, and an "
             "installed one where that is missing. native: this engine itself, on the scalar "
             "tier."},
    {.name = "reference-model",
     .kind = CLI_STRING,
     .off = AT(reference_model),
     .metavar = "MODEL",
     .help = "A file of its own for the reference: the same model in another writing."},
    {.name = "reference-kv-type",
     .kind = CLI_ENUM,
     .off = AT(reference_kv),
     .metavar = "TYPE",
     .choices = kv_types,
     .def = "same",
     .help = "Number type of the reference's KV cache."},
    {.name = "sums",
     .kind = CLI_ENUM,
     .off = AT(sums),
     .metavar = "ORDER",
     .choices = sums,
     .def = "reference",
     .help = "Order in which the native engine adds: that of the reference's kernels for the same "
             "batch, so that rounding to int8 does not amplify last bits, or its own, which no "
             "batch changes."},
    {.name = "max-tokens",
     .letter = 'n',
     .kind = CLI_INT,
     .off = AT(max_tokens),
     .metavar = "N",
     .min = 0,
     .max = 1 << 24,
     .def = "4",
     .help = "Positions to decode after the prompt; both engines are fed the reference's choice. "
             "0: the prompt alone."},
    {0},
};
