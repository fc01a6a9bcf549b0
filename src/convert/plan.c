// SPDX-License-Identifier: MIT
/* plan.c - what becomes of each tensor: what is kept, what the user asks for, what the mixture
 * says, types for rows that fit no block, and importance. Everything is refused here that can be
 * refused before a byte is written. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "convert/mini_priv.h"
#include "convert/mixture.h"
#include "dtype/dtype.h"
#include "lockstep/quant.h"

enum { MAX_OVERRIDES = 256 };

typedef struct planner {
    const ls_mixture          *m;
    const ls_gguf             *g;
    const ls_quantize_options *opt;
    ls_mixer                   mixer;
    bool                       mixed; /* rules hold: mixer is ready */
    pcre2_code                *patterns[MAX_OVERRIDES];
    pcre2_match_data          *match;
} planner;

static bool is_integer(int dtype) { return dtype >= LS_DTYPE_I8 && dtype <= LS_DTYPE_I64; }

/* Matrices that engines read as floats only, or that are too small to be worth it. */
static bool stays_float(const ls_tensor *t)
{
    static const char *const parts[] = {
        "_norm.weight",
        "ffn_gate_inp.weight", /* what routes tokens to experts */
        "ffn_gate_tid2eid.weight",
        "altup",
        "laurel",
        "per_layer_model_proj",
        "position_embd.weight",
        "token_types.weight",
        "ssm_conv1d",
        "shortconv.conv.weight",
        "indexer.k_proj.weight",
        "indexer.q_proj.weight",
        "time_mix_first.weight", /* RWKV's */
        "time_mix_w0.weight",
        "time_mix_w1.weight",
        "time_mix_w2.weight",
        "time_mix_v0.weight",
        "time_mix_v1.weight",
        "time_mix_v2.weight",
        "time_mix_a0.weight",
        "time_mix_a1.weight",
        "time_mix_a2.weight",
        "time_mix_g1.weight",
        "time_mix_g2.weight",
        "time_mix_decay_w1.weight",
        "time_mix_decay_w2.weight",
        "time_mix_lerp_fused.weight",
        "attn_rel_b.weight",
        ".position_embd", /* from here on: of images and sound */
        "sam.pos_embd",
        "sam.neck.",
        "sam.net_",
        ".rel_pos",
        ".patch_embd",
        ".patch_merger",
        "a.rvq.codebook",
        "mm.a.code_embd",
    };
    if (t->ne[1] * t->ne[2] * t->ne[3] == 1) return true;
    if (t->name.len < 6 || memcmp(t->name.p + t->name.len - 6, "weight", 6) != 0) return true;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (ls_contains(t->name, parts[i])) return true;
    }
    return false;
}

/* ---- types ---- */

/* Types for rows that are no multiple of a block of 256. */
static int fallback_of(int dtype)
{
    static const struct {
        int from, to;
    } rows[] = {
        {LS_DTYPE_IQ1_S, LS_DTYPE_IQ4_NL},   {LS_DTYPE_IQ1_M, LS_DTYPE_IQ4_NL},
        {LS_DTYPE_IQ2_XXS, LS_DTYPE_IQ4_NL}, {LS_DTYPE_IQ2_XS, LS_DTYPE_IQ4_NL},
        {LS_DTYPE_IQ2_S, LS_DTYPE_IQ4_NL},   {LS_DTYPE_IQ3_XXS, LS_DTYPE_IQ4_NL},
        {LS_DTYPE_IQ3_S, LS_DTYPE_IQ4_NL},   {LS_DTYPE_IQ4_XS, LS_DTYPE_IQ4_NL},
        {LS_DTYPE_Q2_0, LS_DTYPE_Q4_0},      {LS_DTYPE_Q2_K, LS_DTYPE_Q4_0},
        {LS_DTYPE_Q3_K, LS_DTYPE_Q4_0},      {LS_DTYPE_TQ1_0, LS_DTYPE_Q4_0},
        {LS_DTYPE_TQ2_0, LS_DTYPE_Q4_0},     {LS_DTYPE_Q4_K, LS_DTYPE_Q5_0},
        {LS_DTYPE_Q5_K, LS_DTYPE_Q5_1},      {LS_DTYPE_Q6_K, LS_DTYPE_Q8_0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].from == dtype) return rows[i].to;
    }
    return ls_dtype_block(dtype) <= 32 ? LS_DTYPE_F16 : LS_DTYPE_NONE;
}

static bool fits(const ls_tensor *t, int dtype)
{
    return (size_t)t->ne[0] % ls_dtype_block(dtype) == 0;
}

static ls_status fit(const ls_tensor *t, ls_plan *p, ls_error *err)
{
    int to;
    if (fits(t, p->dtype)) return LS_OK;
    to = fallback_of(p->dtype);
    if (to == LS_DTYPE_NONE) {
        return ls_fail(err, LS_ERR_UNSUPPORTED,
                       "rows of %lld weights cannot be %s, and there is no type to take instead",
                       (long long)t->ne[0], ls_dtype_name(p->dtype));
    }
    p->dtype = fits(t, to) ? to : LS_DTYPE_F16;
    p->fallback = true;
    return LS_OK;
}

/* The override for this tensor, NULL: none. */
static const ls_quantize_override *override_of(const planner *p, ls_str name)
{
    for (size_t i = 0; i < p->opt->n_overrides; i++) {
        if (pcre2_match(p->patterns[i], (PCRE2_SPTR)name.p, name.len, 0, 0, p->match, NULL) >= 0) {
            return &p->opt->overrides[i];
        }
    }
    return NULL;
}

static ls_status choose(planner *p, const ls_tensor *t, ls_plan *out, ls_error *err)
{
    const ls_quantize_options  *opt = p->opt;
    const ls_quantize_override *own = override_of(p, t->name);
    ls_role                     role = ls_role_of(t->name);
    bool                        layer_embed = ls_str_is(t->name, "per_layer_token_embd.weight");
    if (role == LS_ROLE_EMBED && opt->embedding_type != LS_DTYPE_NONE && !(layer_embed && own)) {
        out->dtype = opt->embedding_type;
        return LS_OK;
    }
    if (role == LS_ROLE_OUTPUT && opt->output_type != LS_DTYPE_NONE) {
        out->dtype = opt->output_type;
        return LS_OK;
    }
    out->dtype = p->m->dtype;
    if (ls_mini_is_plain(p->m->dtype)) return LS_OK;
    if (own) {
        out->dtype = own->dtype;
    } else if (p->mixed && p->mixer.tied && role == LS_ROLE_EMBED &&
               opt->output_type != LS_DTYPE_NONE) {
        out->dtype = opt->output_type; /* the embeddings are the output */
    } else if (p->mixed) {
        LS_TRY(ls_mixer_next(&p->mixer, t, &out->dtype, err));
    }
    return fit(t, out, err);
}

static bool is_kept(const planner *p, const ls_tensor *t)
{
    if (stays_float(t)) return true;
    return p->opt->keep_output && ls_str_is(t->name, "output.weight");
}

/* ---- importance ---- */

static bool needs_importance(const planner *p, const ls_plan *out)
{
    ls_role role = ls_role_of(out->tensor->name);
    if (ls_quant_needs_importance(out->dtype)) return true;
    if (role == LS_ROLE_EMBED || role == LS_ROLE_OUTPUT) return false;
    return ls_mixture_needs_importance(p->m, out->dtype);
}

static ls_status find_importance(const planner *p, ls_plan *out, ls_error *err)
{
    const ls_imatrix *im = p->opt->imatrix;
    const ls_tensor  *t = out->tensor;
    size_t            n = (size_t)(t->ne[0] * t->ne[2]);
    out->importance = im ? ls_imatrix_find(im, t->name) : NULL;
    if (out->importance && out->importance->n != n) {
        size_t n_there = out->importance->n;
        out->importance = NULL;
        /* What was measured for embeddings is no importance of theirs. */
        if (ls_role_of(t->name) != LS_ROLE_EMBED) {
            ls_fail(err, LS_ERR_FORMAT, "importance of %zu columns, but tensor '%.*s' has %zu",
                    n_there, LS_FMT(t->name), n);
            ls_fail_hint(err, "it was measured for another model");
            return ls_fail_at(err, "%s", ls_imatrix_path(im)), LS_ERR_FORMAT;
        }
    }
    out->missing = !out->importance && needs_importance(p, out);
    if (!out->missing || p->opt->dry_run) return LS_OK;
    ls_fail(err, LS_ERR_USAGE, "%s for tensor '%.*s' is garbage without importance%s",
            ls_dtype_name(out->dtype), LS_FMT(t->name), im ? ", and the file has none for it" : "");
    return ls_fail_hint(err, "measure it with llama-imatrix and give --imatrix FILE, or take a "
                             "larger type"),
           LS_ERR_USAGE;
}

/* ---- one tensor ---- */

static ls_status check_conversion(const planner *p, const ls_plan *out, ls_error *err)
{
    const ls_tensor *t = out->tensor;
    const char      *from = ls_dtype_name(t->dtype), *to = ls_dtype_name(out->dtype);
    if (!ls_quant_by_rows(out->dtype) || is_integer(t->dtype)) {
        return ls_fail(err, LS_ERR_UNSUPPORTED, "%s cannot be made of %s", to ? to : "?", from);
    }
    if (!fits(t, out->dtype)) {
        return ls_fail(err, LS_ERR_UNSUPPORTED, "rows of %lld weights cannot be %s",
                       (long long)t->ne[0], to);
    }
    if (!ls_mini_is_plain(t->dtype) && t->dtype != LS_DTYPE_F64 && !p->opt->requantize) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "the weights are quantised already, as %s", from);
        return ls_fail_hint(err, "quantise the model that it was made from; --allow-requantize "
                                 "loses twice"),
               LS_ERR_UNSUPPORTED;
    }
    return LS_OK;
}

static ls_status plan_tensor(planner *p, ls_plan *out, ls_error *err)
{
    const ls_tensor *t = out->tensor;
    const char      *name = ls_dtype_name(t->dtype);
    out->dtype = t->dtype;
    if (!t->data) {
        return ls_fail(err, LS_ERR_UNSUPPORTED, "its type is %s, which cannot be written",
                       name ? name : "unknown");
    }
    if (!is_kept(p, t)) {
        LS_TRY(choose(p, t, out, err));
        if (out->dtype != t->dtype || !p->opt->imatrix) LS_TRY(find_importance(p, out, err));
    } else if (ls_gguf_get_source(p->g) == LS_SOURCE_HF && ls_mini_is_plain(t->dtype) &&
               stays_float(t)) {
        out->dtype = LS_DTYPE_F32; /* as the converter would have written it */
    }
    return out->dtype == t->dtype ? LS_OK : check_conversion(p, out, err);
}

/* ---- all of them ---- */

static int in_file_order(const void *a, const void *b)
{
    ls_str x = ((const ls_plan *)a)->tensor->name, y = ((const ls_plan *)b)->tensor->name;
    int    i = ls_layer_in(x), j = ls_layer_in(y), d;
    if (i != j) return (i > j) - (i < j);
    d = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);
    return d ? d : (x.len > y.len) - (x.len < y.len);
}

static ls_status compile(planner *p, ls_error *err)
{
    p->match = pcre2_match_data_create(1, NULL);
    if (!p->match) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for patterns");
    for (size_t i = 0; i < p->opt->n_overrides; i++) {
        const char *pattern = p->opt->overrides[i].pattern;
        PCRE2_UCHAR why[128];
        int         code;
        PCRE2_SIZE  at;
        p->patterns[i] = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_CASELESS,
                                       &code, &at, NULL);
        if (p->patterns[i]) continue;
        pcre2_get_error_message(code, why, sizeof(why));
        return ls_fail(err, LS_ERR_USAGE, "'%s' is no regular expression: %s at character %zu",
                       pattern, (const char *)why, at + 1);
    }
    return LS_OK;
}

static ls_status check_options(const ls_quantize_options *opt, ls_error *err)
{
    if (opt->n_overrides > MAX_OVERRIDES) {
        return ls_fail(err, LS_ERR_USAGE, "types for more than %d patterns", MAX_OVERRIDES);
    }
    for (size_t i = 0; i < opt->n_overrides + 2; i++) {
        int dtype = i < opt->n_overrides    ? opt->overrides[i].dtype
                    : i == opt->n_overrides ? opt->output_type
                                            : opt->embedding_type;
        if (dtype == LS_DTYPE_NONE && i >= opt->n_overrides) continue;
        if (ls_quant_by_rows(dtype)) continue;
        return ls_fail(err, LS_ERR_USAGE, "there is no quantiser of rows for %s",
                       ls_dtype_name(dtype) ? ls_dtype_name(dtype) : "a type that does not exist");
    }
    return LS_OK;
}

static ls_status plan_all(planner *p, ls_plan *plan, ls_error *err)
{
    size_t n = ls_gguf_n_tensors(p->g);
    LS_TRY(compile(p, err));
    p->mixed = !p->opt->pure && !p->m->pure && !ls_mini_is_plain(p->m->dtype);
    if (p->mixed) LS_TRY(ls_mixer_init(&p->mixer, p->m, p->g, p->opt->imatrix != NULL, err));
    for (size_t i = 0; i < n; i++) plan[i] = (ls_plan){.tensor = ls_gguf_tensor_at(p->g, i)};
    qsort(plan, n, sizeof(*plan), in_file_order);
    for (size_t i = 0; i < n; i++) {
        ls_status status = plan_tensor(p, &plan[i], err);
        if (status == LS_OK) continue;
        if (status != LS_ERR_USAGE) ls_fail_at(err, "tensor '%.*s'", LS_FMT(plan[i].tensor->name));
        return status;
    }
    return LS_OK;
}

ls_status ls_plan_make(ls_plan *plan, const ls_mixture *m, const ls_gguf *g,
                       const ls_quantize_options *opt, ls_error *err)
{
    planner  *p;
    ls_status status;
    LS_TRY(check_options(opt, err));
    LS_TRY(ls_alloc(&p, 1, sizeof(*p), "a plan", err));
    p->m = m;
    p->g = g;
    p->opt = opt;
    status = plan_all(p, plan, err);
    for (size_t i = 0; i < opt->n_overrides; i++) pcre2_code_free(p->patterns[i]);
    pcre2_match_data_free(p->match);
    free(p);
    return status;
}
