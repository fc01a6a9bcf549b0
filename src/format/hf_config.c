// SPDX-License-Identifier: MIT
/* hf_config.c - config.json to metadata: the keys that all architectures have in common, by a
 * table of the names that they go by. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/hf_priv.h"

#define NONE LS_HF_ABSENT

/* The order in which names are tried is the converter's. */
const ls_hf_key ls_hf_common_keys[] = {
    {"context_length",
     LS_GGUF_U32,
     {"max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length",
      "model_max_length"},
     NONE},
    {"embedding_length", LS_GGUF_U32, {"hidden_size", "n_embd", "dim"}, NONE},
    {"feed_forward_length", LS_GGUF_U32, {"intermediate_size", "n_inner", "hidden_dim"}, NONE},
    {"attention.head_count", LS_GGUF_U32, {"num_attention_heads", "n_head", "n_heads"}, NONE},
    {"attention.head_count_kv", LS_GGUF_U32, {"num_key_value_heads", "n_kv_heads"}, NONE},
    {"attention.layer_norm_rms_epsilon", LS_GGUF_F32, {"rms_norm_eps", "norm_eps"}, NONE},
    {"attention.layer_norm_epsilon",
     LS_GGUF_F32,
     {"layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"},
     NONE},
    {"expert_count", LS_GGUF_U32, {"num_local_experts", "num_experts", "n_routed_experts"}, NONE},
    {"expert_used_count",
     LS_GGUF_U32,
     {"num_experts_per_tok", "num_experts_per_token", "top_k_experts"},
     NONE},
    {"attention.key_length", LS_GGUF_U32, {"head_dim"}, NONE},
    {"attention.value_length", LS_GGUF_U32, {"head_dim"}, NONE},
    {"vocab_size", LS_GGUF_U32, {"vocab_size"}, NONE},
    {0},
};

const ls_hf_key ls_hf_layers_key = {
    "block_count", LS_GGUF_U32, {"num_hidden_layers", "n_layers", "n_layer", "num_layers"}, NONE};
const ls_hf_key ls_hf_rope_base_key = {
    "rope.freq_base", LS_GGUF_F32, {"global_rope_theta", "rope_theta", "rotary_emb_base"}, NONE};

const json_t *ls_hf_get(const ls_hf *hf, const char *key)
{
    const json_t *v = hf->text ? json_object_get(hf->text, key) : NULL;
    if (!v) v = json_object_get(hf->config.root, key);
    return json_is_null(v) ? NULL : v;
}

bool ls_hf_num(const ls_hf *hf, const char *key, double *out)
{
    const json_t *v = ls_hf_get(hf, key);
    if (!json_is_number(v)) return false;
    *out = json_number_value(v);
    return true;
}

bool ls_hf_str(const ls_hf *hf, const char *key, ls_str *out)
{
    const json_t *v = ls_hf_get(hf, key);
    if (!json_is_string(v)) return false;
    *out = ls_json_str(v);
    return true;
}

const json_t *ls_hf_rope(const ls_hf *hf)
{
    const json_t *v = ls_hf_get(hf, "rope_parameters"), *full;
    if (!json_is_object(v)) v = ls_hf_get(hf, "rope_scaling");
    full = json_object_get(v, "full_attention");
    if (json_is_object(full)) return full;
    return json_is_object(v) ? v : NULL;
}

const char *ls_hf_key_name(const ls_hf *hf, const char *suffix, char buf[128])
{
    bool global = strncmp(suffix, "general.", 8) == 0 || strncmp(suffix, "tokenizer.", 10) == 0;
    snprintf(buf, 128, global ? "%.0s%s" : "%s.%s", hf->arch->name, suffix);
    return buf;
}

ls_status ls_hf_set_float(ls_hf *hf, const char *suffix, double v)
{
    char key[128];
    return ls_meta_float(&hf->meta, ls_hf_key_name(hf, suffix, key), LS_GGUF_F32, v, hf->err);
}

ls_status ls_hf_set_int(ls_hf *hf, const char *suffix, int64_t v)
{
    char key[128];
    return ls_meta_int(&hf->meta, ls_hf_key_name(hf, suffix, key), LS_GGUF_U32, v, hf->err);
}

/* The value of a row: what config.json says, or the fallback; *from NULL for the latter. */
static bool find_value(const ls_hf *hf, const ls_hf_key *k, const json_t **v, const char **from)
{
    *v = NULL;
    for (size_t i = 0; i < 6 && k->from[i]; i++) {
        *v = ls_hf_get(hf, k->from[i]);
        *from = k->from[i];
        if (*v) return true;
    }
    *from = NULL;
    return k->fallback != LS_HF_ABSENT; /* the same constant, not a result */
}

static ls_status set_key(ls_hf *hf, const ls_hf_key *k)
{
    char          buf[128];
    const char   *key = ls_hf_key_name(hf, k->key, buf), *from;
    const json_t *v;
    double        x = k->fallback;
    if (!find_value(hf, k, &v, &from)) return LS_OK;
    if (k->type == LS_GGUF_BOOL) {
        if (v && !json_is_boolean(v)) goto bad;
        return ls_meta_bool(&hf->meta, key, v ? json_is_true(v) : x != 0, hf->err);
    }
    if (v && !json_is_number(v)) goto bad;
    if (v) x = json_number_value(v);
    if (!isfinite(x)) goto bad;
    if (k->type == LS_GGUF_F32) return ls_meta_float(&hf->meta, key, k->type, x, hf->err);
    if (x != floor(x) || x < 0 || x > UINT32_MAX) goto bad;
    return ls_meta_int(&hf->meta, key, k->type, (int64_t)x, hf->err);
bad:
    return ls_json_fail(&hf->config, from, hf->err, "\"%s\" of config.json is no value for '%s'",
                        from ? from : k->key, key);
}

/* The row that sets `key`: one of the architecture's own comes before a common one. */
bool ls_hf_overridden(const ls_hf_arch *arch, const ls_hf_key *k)
{
    for (size_t i = 0; i < 3 && arch->keys[i]; i++) {
        for (const ls_hf_key *own = arch->keys[i]; own->key; own++) {
            if (strcmp(own->key, k->key) == 0) return true;
        }
    }
    return false;
}

static ls_status read_size(ls_hf *hf, const char *const *names, int64_t fallback, int64_t max,
                           int64_t *out)
{
    for (size_t i = 0; names[i]; i++) {
        const json_t *v = ls_hf_get(hf, names[i]);
        if (!v) continue;
        *out = json_integer_value(v);
        if (json_is_integer(v) && *out >= 1 && *out <= max) return LS_OK;
        return ls_json_fail(&hf->config, names[i], hf->err,
                            "\"%s\" of config.json is no integer from 1 to %lld", names[i],
                            (long long)max);
    }
    *out = fallback;
    if (fallback >= 0) return LS_OK;
    return ls_json_fail(&hf->config, NULL, hf->err, "config.json has no \"%s\"", names[0]);
}

ls_status ls_hf_read_sizes(ls_hf *hf)
{
    static const char *const        embd[] = {"hidden_size", "n_embd", "dim", NULL},
                             *const heads[] = {"num_attention_heads", "n_head", "n_heads", NULL},
                             *const kv[] = {"num_key_value_heads", "n_kv_heads", "num_kv_heads",
                                            "n_head_kv", NULL},
                             *const dim[] = {"head_dim", NULL},
                             *const experts[] = {"num_local_experts", "num_experts",
                                                 "n_routed_experts", NULL},
                             *const vocab[] = {"vocab_size", NULL};
    enum { MAX = 1 << 24 };
    LS_TRY(read_size(hf, ls_hf_layers_key.from, -1, 1 << 16, &hf->n_layers));
    LS_TRY(read_size(hf, embd, -1, MAX, &hf->n_embd));
    LS_TRY(read_size(hf, heads, -1, MAX, &hf->n_heads));
    LS_TRY(read_size(hf, kv, hf->n_heads, MAX, &hf->n_kv_heads));
    LS_TRY(read_size(hf, dim, hf->n_embd / hf->n_heads, MAX, &hf->head_dim));
    LS_TRY(read_size(hf, experts, 0, 1 << 16, &hf->n_experts));
    return read_size(hf, vocab, 0, 1 << 28, &hf->n_vocab);
}

/* rope_theta under the names that it has had, inside the rope object and outside. */
static ls_status read_rope_base(ls_hf *hf, const json_t *rope)
{
    const char *const *names = ls_hf_rope_base_key.from;
    const json_t      *v = json_object_get(rope, "rope_theta");
    for (size_t i = 0; names[i] && !json_is_number(v); i++) v = ls_hf_get(hf, names[i]);
    if (!v) return LS_OK;
    if (!json_is_number(v) || !(json_number_value(v) > 0)) {
        return ls_json_fail(&hf->config, "rope_theta", hf->err,
                            "\"rope_theta\" of config.json is no positive number");
    }
    return ls_hf_set_float(hf, "rope.freq_base", json_number_value(v));
}

/* What each type of RoPE scaling becomes. Those that add tensors are in the architectures' rows. */
const ls_hf_scaling ls_hf_scalings[] = {
    {"default", NULL, false, false},
    {"llama3", NULL, false, false},
    {"linear", "linear", true, false},
    {"yarn", "yarn", true, true},
    {"longrope", "longrope", false, false},
    {"su", "longrope", false, false},
    {NULL, NULL, false, false},
};

const ls_hf_key ls_hf_yarn_keys[] = {
    {"rope.scaling.yarn_ext_factor", LS_GGUF_F32, {"extrapolation_factor"}, NONE},
    {"rope.scaling.yarn_attn_factor", LS_GGUF_F32, {"attention_factor", "attn_factor"}, NONE},
    {"rope.scaling.yarn_beta_fast", LS_GGUF_F32, {"beta_fast"}, NONE},
    {"rope.scaling.yarn_beta_slow", LS_GGUF_F32, {"beta_slow"}, NONE},
    {0},
};

static ls_status read_yarn(ls_hf *hf, const json_t *rope)
{
    const json_t *orig = json_object_get(rope, "original_max_position_embeddings");
    if (!json_is_integer(orig)) orig = ls_hf_get(hf, "original_max_position_embeddings");
    if (!json_is_integer(orig) || json_integer_value(orig) < 1 ||
        json_integer_value(orig) > UINT32_MAX) {
        return ls_json_fail(&hf->config, "rope_scaling", hf->err,
                            "YaRN needs \"original_max_position_embeddings\"");
    }
    LS_TRY(ls_hf_set_int(hf, "rope.scaling.original_context_length", json_integer_value(orig)));
    for (const ls_hf_key *k = ls_hf_yarn_keys; k->key; k++) {
        for (size_t j = 0; k->from[j]; j++) {
            const json_t *v = json_object_get(rope, k->from[j]);
            if (!json_is_number(v)) continue;
            LS_TRY(ls_hf_set_float(hf, k->key, json_number_value(v)));
            break;
        }
    }
    return LS_OK;
}

static ls_status read_rope(ls_hf *hf)
{
    const json_t        *rope = ls_hf_rope(hf), *type = json_object_get(rope, "rope_type"), *factor;
    ls_str               name;
    char                 key[128];
    size_t               i = 0;
    const ls_hf_scaling *s;
    LS_TRY(read_rope_base(hf, rope));
    if (!json_is_string(type)) type = json_object_get(rope, "type");
    if (!json_is_string(type)) return LS_OK;
    name = ls_json_str(type);
    while (ls_hf_scalings[i].type && !ls_str_is(name, ls_hf_scalings[i].type)) i++;
    s = &ls_hf_scalings[i];
    if (!s->type) {
        ls_fail(hf->err, LS_ERR_UNSUPPORTED, "RoPE scaling '%.*s' is not supported", LS_FMT(name));
        return ls_fail_at(hf->err, "%s", hf->config_path);
    }
    if (!s->gguf) return LS_OK;
    LS_TRY(ls_meta_str(&hf->meta, ls_hf_key_name(hf, "rope.scaling.type", key),
                       (ls_str){s->gguf, strlen(s->gguf)}, hf->err));
    factor = json_object_get(rope, "factor");
    if (s->factor) {
        if (!(json_number_value(factor) > 0)) {
            return ls_json_fail(&hf->config, "rope_scaling", hf->err,
                                "RoPE scaling '%s' needs a positive \"factor\"", s->type);
        }
        LS_TRY(ls_hf_set_float(hf, "rope.scaling.factor", json_number_value(factor)));
    }
    return s->yarn ? read_yarn(hf, rope) : LS_OK;
}

/* The last part of the folder's path. */
static ls_str folder_name(const ls_hf *hf)
{
    size_t end = strlen(hf->folder), start;
    while (end && hf->folder[end - 1] == '/') end--;
    start = end;
    while (start && hf->folder[start - 1] != '/') start--;
    return (ls_str){hf->folder + start, end - start};
}

ls_status ls_hf_read_config(ls_hf *hf)
{
    ls_str name = folder_name(hf);
    LS_TRY(ls_meta_str(&hf->meta, "general.architecture",
                       (ls_str){hf->arch->name, strlen(hf->arch->name)}, hf->err));
    LS_TRY(ls_meta_str(&hf->meta, "general.type", LS_STR("model"), hf->err));
    if (name.len) LS_TRY(ls_meta_str(&hf->meta, "general.name", name, hf->err));
    LS_TRY(ls_hf_set_int(hf, "block_count", hf->n_layers));
    for (const ls_hf_key *k = ls_hf_common_keys; k->key; k++) {
        if (!ls_hf_overridden(hf->arch, k)) LS_TRY(set_key(hf, k));
    }
    LS_TRY(read_rope(hf));
    for (size_t i = 0; i < 3 && hf->arch->keys[i]; i++) {
        for (const ls_hf_key *k = hf->arch->keys[i]; k->key; k++) LS_TRY(set_key(hf, k));
    }
    for (size_t i = 0; i < 4 && hf->arch->more[i]; i++) LS_TRY(hf->arch->more[i](hf));
    return LS_OK;
}

/* ---- generation_config.json ---- */

/* What the model's authors sample with. */
const ls_hf_key ls_hf_sampling_keys[] = {
    {"general.sampling.top_k", LS_GGUF_I32, {"top_k"}, NONE},
    {"general.sampling.top_p", LS_GGUF_F32, {"top_p"}, NONE},
    {"general.sampling.min_p", LS_GGUF_F32, {"min_p"}, NONE},
    {"general.sampling.temp", LS_GGUF_F32, {"temperature"}, NONE},
    {"general.sampling.penalty_repeat", LS_GGUF_F32, {"repetition_penalty"}, NONE},
    {0},
};

ls_status ls_hf_read_generation(ls_hf *hf)
{
    for (const ls_hf_key *k = ls_hf_sampling_keys; k->key; k++) {
        const json_t *v = json_object_get(hf->generation.root, k->from[0]);
        double        x = json_number_value(v);
        if (!v || json_is_null(v)) continue;
        if (!json_is_number(v) || !isfinite(x) || x < 0 || x > INT32_MAX ||
            (k->type == LS_GGUF_I32 && x != floor(x))) {
            return ls_json_fail(&hf->generation, k->from[0], hf->err,
                                "\"%s\" of generation_config.json is no value to sample with",
                                k->from[0]);
        }
        if (k->type == LS_GGUF_I32) {
            LS_TRY(ls_meta_int(&hf->meta, k->key, LS_GGUF_I32, (int64_t)x, hf->err));
        } else {
            LS_TRY(ls_meta_float(&hf->meta, k->key, LS_GGUF_F32, x, hf->err));
        }
    }
    return LS_OK;
}
