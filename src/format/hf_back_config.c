// SPDX-License-Identifier: MIT
/* hf_back_config.c - metadata to config.json and generation_config.json, by the tables by which
 * they are read. Of the names that a key goes by, those of the architecture's own class. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/outfile.h"
#include "dtype/dtype.h"
#include "format/hf_back.h"
#include "format/hf_vocab.h"

enum { MAX_LAYERS = 1 << 16 };

/* ---- what the model says ---- */

/* "ARCH.suffix", or the suffix itself if it is a whole key. */
static const char *key_of(const ls_hf_back *b, const char *suffix, char buf[128])
{
    bool global = strncmp(suffix, "general.", 8) == 0;
    snprintf(buf, 128, global ? "%.0s%s" : "%s.%s", b->arch->name, suffix);
    return buf;
}

bool ls_hf_back_num(const ls_hf_back *b, const char *suffix, double *out)
{
    char    key[128];
    int64_t i;
    key_of(b, suffix, key);
    if (ls_gguf_int(b->g, key, &i)) {
        *out = (double)i;
        return true;
    }
    return ls_gguf_float(b->g, key, out);
}

bool ls_hf_back_str(const ls_hf_back *b, const char *suffix, ls_str *out)
{
    char key[128];
    return ls_gguf_str(b->g, key_of(b, suffix, key), out);
}

/* ---- values of config.json ---- */

static ls_status no_memory(const ls_hf_back *b)
{
    return ls_fail(b->err, LS_ERR_NOMEM, "not enough memory for config.json");
}

static ls_status put(const ls_hf_back *b, json_t *o, const char *name, json_t *v)
{
    return v && json_object_set_new(o, name, v) == 0 ? LS_OK : no_memory(b);
}

/* The shortest decimal that is the same float. */
static json_t *number(double v)
{
    char text[32];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtof(text, NULL) == (float)v) break;
    }
    return json_real(strtod(text, NULL));
}

static json_t *value(ls_gguf_type type, double v)
{
    if (type == LS_GGUF_BOOL) return json_boolean(v != 0);
    if (type == LS_GGUF_F32) return number(v);
    return json_integer((json_int_t)v);
}

static bool is_own(const ls_hf_back *b, const char *name)
{
    for (size_t i = 0; i < sizeof(b->arch->own) / sizeof(b->arch->own[0]); i++) {
        if (b->arch->own[i] && strcmp(b->arch->own[i], name) == 0) return true;
    }
    return false;
}

/* Under each of the names that are the class's own, or under the first. */
static ls_status put_key(const ls_hf_back *b, const ls_hf_key *k, double v)
{
    size_t n = 0;
    for (size_t i = 0; i < 6 && k->from[i]; i++) {
        if (!is_own(b, k->from[i])) continue;
        LS_TRY(put(b, b->config, k->from[i], value(k->type, v)));
        n++;
    }
    if (n || !k->from[0]) return LS_OK;
    return put(b, b->config, k->from[0], value(k->type, v));
}

static ls_status put_if_there(const ls_hf_back *b, const ls_hf_key *k)
{
    double v;
    return ls_hf_back_num(b, k->key, &v) ? put_key(b, k, v) : LS_OK;
}

static ls_status put_keys(const ls_hf_back *b)
{
    for (const ls_hf_key *k = ls_hf_common_keys; k->key; k++) {
        if (!ls_hf_overridden(b->arch, k)) LS_TRY(put_if_there(b, k));
    }
    for (size_t i = 0; i < 3 && b->arch->keys[i]; i++) {
        for (const ls_hf_key *k = b->arch->keys[i]; k->key; k++) LS_TRY(put_if_there(b, k));
    }
    LS_TRY(put_if_there(b, &ls_hf_layers_key));
    if (is_own(b, "head_dim")) {
        LS_TRY(put(b, b->config, "head_dim", json_integer((json_int_t)b->heads.dim)));
    }
    for (size_t i = 0; i < 4 && b->arch->flags[i].key; i++) {
        bool there = ls_gguf_tensor(b->g, b->arch->flags[i].tensor) != NULL;
        LS_TRY(put(b, b->config, b->arch->flags[i].key, json_boolean(there)));
    }
    return LS_OK;
}

/* ---- RoPE ---- */

/* The RoPE object, made when it is first needed. */
static json_t *rope_object(const ls_hf_back *b, const char *type)
{
    json_t *o = json_object_get(b->config, "rope_scaling");
    if (!json_is_object(o)) {
        json_object_set_new(b->config, "rope_scaling", json_object());
        o = json_object_get(b->config, "rope_scaling");
    }
    if (type) {
        json_object_set_new(o, "rope_type", json_string(type));
        json_object_set_new(o, "type", json_string(type));
    }
    return o;
}

static bool has_step(const ls_hf_back *b, ls_hf_fn *step)
{
    for (size_t i = 0; i < 4 && b->arch->more[i]; i++) {
        if (b->arch->more[i] == step) return true;
    }
    return false;
}

static ls_status put_rope_key(const ls_hf_back *b, json_t *rope, const char *suffix,
                              const char *name, bool integer)
{
    double v;
    if (!ls_hf_back_num(b, suffix, &v)) return LS_OK;
    return put(b, rope, name, integer ? json_integer((json_int_t)v) : number(v));
}

static ls_status put_scaling(const ls_hf_back *b)
{
    const ls_hf_scaling *s = ls_hf_scalings;
    ls_str               type;
    double               factor = 0;
    json_t              *rope;
    if (!ls_hf_back_str(b, "rope.scaling.type", &type) || ls_str_is(type, "none")) return LS_OK;
    ls_hf_back_num(b, "rope.scaling.factor", &factor);
    if (has_step(b, ls_hf_bitnet_scaling) && factor == 1) return LS_OK;
    while (s->type && (!s->gguf || !ls_str_is(type, s->gguf))) s++;
    if (!s->type) {
        ls_fail(b->err, LS_ERR_UNSUPPORTED, "RoPE scaling '%.*s' is none that config.json can say",
                LS_FMT(type));
        return ls_gguf_fail_at(b->g, type.p, b->err);
    }
    rope = rope_object(b, s->type);
    if (!rope) return no_memory(b);
    if (s->factor) LS_TRY(put_rope_key(b, rope, "rope.scaling.factor", "factor", false));
    if (!s->yarn) return LS_OK;
    LS_TRY(put_rope_key(b, rope, "rope.scaling.original_context_length",
                        "original_max_position_embeddings", true));
    for (const ls_hf_key *k = ls_hf_yarn_keys; k->key; k++) {
        LS_TRY(put_rope_key(b, rope, k->key, k->from[0], false));
    }
    return LS_OK;
}

/* Engines take 10000 where a GGUF file does not say; classes have defaults of their own. */
static ls_status put_rope(const ls_hf_back *b)
{
    double base = 10000;
    if (ls_gguf_tensor(b->g, "position_embd.weight")) return LS_OK; /* no RoPE */
    ls_hf_back_num(b, "rope.freq_base", &base);
    if (is_own(b, "rotary_emb_base")) {
        LS_TRY(put_key(b, &ls_hf_rope_base_key, base));
    } else {
        LS_TRY(put(b, b->config, "rope_theta", number(base)));
    }
    return put_scaling(b);
}

/* ---- the steps of `more`, backwards ---- */

static ls_status back_rope_dims(ls_hf_back *b)
{
    double      dims = (double)b->heads.dim, f;
    char        text[32];
    const char *name = is_own(b, "rotary_pct") ? "rotary_pct" : "partial_rotary_factor";
    ls_hf_back_num(b, "rope.dimension_count", &dims);
    f = dims / (double)b->heads.dim;
    if (f == 1 && !is_own(b, name)) return LS_OK;
    snprintf(text, sizeof(text), "%.9g", f);
    f = strtod(text, NULL);
    if ((double)(int64_t)(f * (double)b->heads.dim) < dims) f += 1e-9; /* it is rounded down */
    snprintf(text, sizeof(text), "%.9g", f);
    return put(b, b->config, name, json_real(strtod(text, NULL)));
}

static ls_status factors_of(const ls_hf_back *b, const char *name, json_t **out)
{
    const ls_tensor *t = ls_gguf_tensor(b->g, name);
    *out = NULL;
    if (!t) return LS_OK;
    if (t->dtype != LS_DTYPE_F32 || t->n_dims != 1) {
        return ls_hf_back_refuse(b, t, "is no list of numbers");
    }
    *out = json_array();
    for (int64_t i = 0; i < t->ne[0]; i++) {
        float f;
        memcpy(&f, (const char *)t->data + 4 * i, 4);
        if (!*out || json_array_append_new(*out, number((double)f)) != 0) return no_memory(b);
    }
    return LS_OK;
}

/* The parameters from which the reader computes these very factors. The rules that models come
 * with are few: the factor is the largest of all, the rest is looked for. */
static bool find_llama3(const ls_hf_back *b, const float *want, size_t n, double *factor,
                        double *low, double *high, double *ctx)
{
    static const double lows[] = {1, 2}, highs[] = {4, 2, 8, 3};
    double              base = 10000;
    ls_hf_back_num(b, "rope.freq_base", &base);
    *factor = (double)want[n - 1];
    for (size_t i = 0; i < 8; i++) {
        *low = lows[i / 4];
        *high = highs[i % 4];
        for (*ctx = 32; *ctx <= 1 << 22 && *high > *low; *ctx *= 2) {
            size_t k = 0;
            while (k < n &&
                   ls_hf_llama3_factor(k, 2 * n, base, *factor, *low, *high, *ctx) == want[k])
                k++;
            if (k == n) return true;
        }
    }
    return false;
}

static ls_status back_llama3_freqs(ls_hf_back *b)
{
    const ls_tensor *t = ls_gguf_tensor(b->g, "rope_freqs.weight");
    double           factor, low, high, ctx;
    json_t          *rope;
    if (!t) return LS_OK;
    if (t->dtype != LS_DTYPE_F32 || (size_t)t->ne[0] * 2 != b->heads.dim ||
        !find_llama3(b, t->data, (size_t)t->ne[0], &factor, &low, &high, &ctx)) {
        return ls_hf_back_refuse(b, t,
                                 "holds factors that no \"rope_scaling\" of type llama3 "
                                 "gives");
    }
    rope = rope_object(b, "llama3");
    if (!rope) return no_memory(b);
    LS_TRY(put(b, rope, "factor", number(factor)));
    LS_TRY(put(b, rope, "low_freq_factor", number(low)));
    LS_TRY(put(b, rope, "high_freq_factor", number(high)));
    return put(b, rope, "original_max_position_embeddings", json_integer((json_int_t)ctx));
}

static ls_status back_longrope(ls_hf_back *b)
{
    json_t *longs, *shorts, *rope;
    LS_TRY(put_rope_key(b, b->config, "rope.scaling.original_context_length",
                        "original_max_position_embeddings", true));
    LS_TRY(factors_of(b, "rope_factors_long.weight", &longs));
    if (!longs) return LS_OK;
    LS_TRY(factors_of(b, "rope_factors_short.weight", &shorts));
    rope = rope_object(b, "longrope");
    LS_TRY(put(b, rope, "long_factor", longs));
    return shorts ? put(b, rope, "short_factor", shorts) : LS_OK;
}

static ls_status back_gemma3_rope(ls_hf_back *b)
{
    return put_rope_key(b, b->config, "rope.freq_base_swa", "rope_local_base_freq", false);
}

static ls_status back_sliding_window(ls_hf_back *b)
{
    return put_rope_key(b, b->config, "attention.sliding_window", "sliding_window", true);
}

static ls_status back_sliding_layers(ls_hf_back *b)
{
    char              key[128];
    const ls_gguf_kv *kv =
        ls_gguf_array(b->g, key_of(b, "attention.sliding_window_pattern", key), LS_GGUF_BOOL);
    json_t *list;
    double  window, layers = 0;
    LS_TRY(back_sliding_window(b));
    ls_hf_back_num(b, "block_count", &layers);
    if (!ls_hf_back_num(b, "attention.sliding_window", &window) || layers > MAX_LAYERS) {
        return LS_OK; /* the reader refuses that many */
    }
    list = json_array();
    for (size_t i = 0; i < (size_t)layers; i++) { /* three of four where the model does not say */
        bool local = kv ? i < kv->n && ls_gguf_num_at(kv, i) != 0 : (i + 1) % 4 != 0;
        json_array_append_new(list, json_string(local ? "sliding_attention" : "full_attention"));
    }
    return put(b, b->config, "layer_types", list);
}

static ls_status back_ff_4(ls_hf_back *b)
{
    return put_rope_key(b, b->config, "feed_forward_length",
                        is_own(b, "ffn_hidden_size") ? "ffn_hidden_size" : "n_inner", true);
}

static ls_status back_falcon_heads(ls_hf_back *b)
{
    bool two_norms = ls_gguf_tensor(b->g, "blk.0.attn_norm_2.weight") != NULL;
    bool grouped = two_norms || (b->heads.kv != 1 && b->heads.kv != b->heads.n);
    LS_TRY(put(b, b->config, "new_decoder_architecture", json_boolean(grouped)));
    LS_TRY(put(b, b->config, "multi_query", json_boolean(b->heads.kv == 1)));
    if (!grouped) return LS_OK;
    LS_TRY(put(b, b->config, "num_ln_in_parallel_attn", json_integer(two_norms ? 2 : 1)));
    return put(b, b->config, "num_kv_heads", json_integer((json_int_t)b->heads.kv));
}

static const struct {
    ls_hf_fn      *step;
    ls_hf_back_fn *back; /* NULL: the reader needs nothing for it */
} steps[] = {
    {ls_hf_rope_dims, back_rope_dims},
    {ls_hf_llama3_freqs, back_llama3_freqs},
    {ls_hf_longrope, back_longrope},
    {ls_hf_no_rope_scaling, NULL},
    {ls_hf_gemma3_rope, back_gemma3_rope},
    {ls_hf_bitnet_scaling, NULL},
    {ls_hf_sliding_window, back_sliding_window},
    {ls_hf_sliding_layers, back_sliding_layers},
    {ls_hf_ff_4, back_ff_4},
    {ls_hf_falcon_heads, back_falcon_heads},
};

/* ---- `extra` ---- */

/* Gemma scales queries by the head's size, but in the largest models by the width per head. */
ls_status ls_hf_back_query_scale(ls_hf_back *b)
{
    double embd = 0, layers = 0, scale = (double)b->heads.dim;
    ls_hf_back_num(b, "embedding_length", &embd);
    ls_hf_back_num(b, "block_count", &layers);
    if (layers == (strcmp(b->arch->name, "gemma2") == 0 ? 46 : 62)) {
        scale = embd / (double)b->heads.n;
    }
    return put(b, b->config, "query_pre_attn_scalar", json_integer((json_int_t)scale));
}

/* Engines take the usual scale where the model does not say; the class takes one. */
ls_status ls_hf_back_attention_scale(ls_hf_back *b)
{
    double v;
    if (ls_hf_back_num(b, "attention.scale", &v)) return LS_OK;
    return put(b, b->config, "attention_multiplier",
               number((double)(1.0f / sqrtf((float)b->heads.dim))));
}

/* ---- the files ---- */

ls_status ls_hf_back_file(const ls_hf_back *b, const char *name, const void *data, size_t n)
{
    ls_outfile o;
    char       path[4096];
    int        len = snprintf(path, sizeof(path), "%s%s", b->folder, name);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        return ls_fail(b->err, LS_ERR_USAGE, "the path of the folder is too long");
    }
    LS_TRY(ls_outfile_open(&o, path, b->err));
    fwrite(data, 1, n, o.f); /* commit sees whether it failed */
    return ls_outfile_commit(&o, b->err);
}

ls_status ls_hf_back_json(const ls_hf_back *b, const char *name, const json_t *v)
{
    char     *text = json_dumps(v, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    ls_status status;
    size_t    n;
    if (!text) return no_memory(b);
    n = strlen(text);
    text[n] = '\n'; /* in place of the end */
    status = ls_hf_back_file(b, name, text, n + 1);
    free(text);
    return status;
}

/* Weights that are no plain floats, in the terms of the programs that read such. */
static json_t *quantisation(const ls_hf_back *b)
{
    if (b->mxfp4) return json_pack("{s:s}", "quant_method", "mxfp4");
    return json_pack("{s:s, s:s, s:s}", "quant_method", "bitnet", "linear_class", "autobitlinear",
                     "quantization_mode", "offline");
}

static const char *dtype_name(ls_ckpt_dtype dtype)
{
    return dtype == LS_CKPT_F16 ? "float16" : dtype == LS_CKPT_BF16 ? "bfloat16" : "float32";
}

/* Ids of special tokens; of those that end or pad texts alone where `few`. */
static ls_status put_roles(const ls_hf_back *b, json_t *o, bool few)
{
    for (const ls_hf_role *r = ls_hf_roles; r->name; r++) {
        char    key[64], name[32];
        int64_t id;
        bool    common = r - ls_hf_roles < 2 || strcmp(r->name, "pad") == 0;
        snprintf(key, sizeof(key), "tokenizer.ggml.%s", r->gguf_id);
        if ((few && !common) || !ls_gguf_int(b->g, key, &id)) continue;
        snprintf(name, sizeof(name), "%s_token_id", r->name);
        LS_TRY(put(b, o, name, json_integer(id)));
    }
    return LS_OK;
}

static ls_status put_config(ls_hf_back *b)
{
    const ls_tensor *embd = ls_gguf_tensor(b->g, "token_embd.weight");
    bool             tied = !ls_gguf_tensor(b->g, "output.weight");
    b->config = json_loads(b->arch->fixed, 0, NULL);
    if (!b->config) return no_memory(b);
    LS_TRY(put(b, b->config, "architectures", json_pack("[s]", b->arch->classes[0])));
    if (b->arch->when[0]) {
        LS_TRY(put(b, b->config, b->arch->when[0], json_string(b->arch->when[1])));
    }
    LS_TRY(put(b, b->config, "torch_dtype", json_string(dtype_name(b->main))));
    LS_TRY(put(b, b->config, "tie_word_embeddings", json_boolean(tied)));
    LS_TRY(put_keys(b));
    if (embd) LS_TRY(put(b, b->config, "vocab_size", json_integer((json_int_t)embd->ne[1])));
    LS_TRY(put_rope(b));
    for (size_t i = 0; i < 4 && b->arch->more[i]; i++) {
        for (size_t k = 0; k < sizeof(steps) / sizeof(steps[0]); k++) {
            if (steps[k].step == b->arch->more[i] && steps[k].back) LS_TRY(steps[k].back(b));
        }
    }
    if (b->arch->extra) LS_TRY(b->arch->extra(b));
    LS_TRY(put_roles(b, b->config, false));
    if (b->mxfp4 || b->ternary) LS_TRY(put(b, b->config, "quantization_config", quantisation(b)));
    return ls_hf_back_json(b, "config.json", b->config);
}

static ls_status put_generation(ls_hf_back *b)
{
    json_t   *o = json_object();
    ls_status status = put_roles(b, o, true);
    for (const ls_hf_key *k = ls_hf_sampling_keys; k->key && status == LS_OK; k++) {
        double v;
        if (ls_hf_back_num(b, k->key, &v)) status = put(b, o, k->from[0], value(k->type, v));
    }
    if (status == LS_OK) status = ls_hf_back_json(b, "generation_config.json", o);
    json_decref(o);
    return status;
}

ls_status ls_hf_back_config(ls_hf_back *b)
{
    LS_TRY(put_config(b));
    return put_generation(b);
}
