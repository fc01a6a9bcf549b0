// SPDX-License-Identifier: MIT
/* hf_extra.c - keys and tensors that take more than copying a value: what rows of hf_archs.c name
 * under `more`. */
#include <math.h>
#include <string.h>

#include "format/hf_priv.h"

static ls_status bad_config(ls_hf *hf, const char *key, const char *what)
{
    return ls_json_fail(&hf->config, key, hf->err, "\"%s\" of config.json %s", key, what);
}

/* A tensor that is computed from config.json. */
static ls_status emit_computed(ls_hf *hf, const char *name, const float *v, size_t n)
{
    static const ls_ckpt_tensor none = {0};
    int64_t                     shape[1] = {(int64_t)n};
    ls_str                      s;
    LS_TRY(ls_arena_str(&hf->g->mem, &s, name, strlen(name), hf->err));
    return ls_hf_emit_blocks(hf, s, LS_DTYPE_F32, 1, shape, v, &none);
}

static double rope_number(const ls_hf *hf, const char *key, double fallback)
{
    const json_t *v = json_object_get(ls_hf_rope(hf), key);
    return json_is_number(v) ? json_number_value(v) : fallback;
}

/* ---- RoPE ---- */

static double rope_fraction(const ls_hf *hf)
{
    double v = 1;
    if (!ls_hf_num(hf, "partial_rotary_factor", &v) && !ls_hf_num(hf, "rotary_pct", &v)) {
        ls_hf_num(hf, "rope_pct", &v);
    }
    return rope_number(hf, "partial_rotary_factor", v);
}

ls_status ls_hf_rope_dims(ls_hf *hf)
{
    double v = rope_fraction(hf) * (double)hf->head_dim;
    if (!(v >= 2 && v <= (double)hf->head_dim)) {
        return bad_config(hf, "partial_rotary_factor", "leaves no dimensions to rotate");
    }
    return ls_hf_set_int(hf, "rope.dimension_count", (int64_t)v);
}

float ls_hf_llama3_factor(size_t i, size_t dim, double base, double factor, double low, double high,
                          double ctx)
{ /* single precision, as the converter computes it */
    float freq = 1 / (float)pow(base, (double)((float)(2 * i) / (float)dim));
    float wave = (float)(2 * 3.14159265358979323846) / freq, smooth;
    smooth = ((float)ctx / wave - (float)low) / (float)(high - low);
    return (double)wave < ctx / high  ? 1
           : (double)wave > ctx / low ? (float)factor
                                      : 1 / ((1 - smooth) / (float)factor + smooth);
}

/* Llama 3.1: low frequencies are stretched, high ones kept, and those between interpolated. */
ls_status ls_hf_llama3_freqs(ls_hf *hf)
{
    ls_str type = ls_json_str(json_object_get(ls_hf_rope(hf), "rope_type"));
    double base = 10000, factor = rope_number(hf, "factor", 8),
           low = rope_number(hf, "low_freq_factor", 1),
           high = rope_number(hf, "high_freq_factor", 4),
           ctx = rope_number(hf, "original_max_position_embeddings", 8192);
    size_t n = (size_t)hf->head_dim / 2;
    float *out;
    if (!type.p || !ls_str_is(type, "llama3")) return LS_OK;
    ls_hf_num(hf, "rope_theta", &base);
    base = rope_number(hf, "rope_theta", base);
    if (!(base > 0 && factor > 0 && low > 0 && high > low && ctx > 0)) {
        return bad_config(hf, "rope_scaling", "has factors that no frequencies follow from");
    }
    LS_TRY(ls_arena_alloc(&hf->g->mem, &out, n, sizeof(*out), "RoPE factors", hf->err));
    for (size_t i = 0; i < n; i++) {
        out[i] = ls_hf_llama3_factor(i, (size_t)hf->head_dim, base, factor, low, high, ctx);
    }
    return emit_computed(hf, "rope_freqs.weight", out, n);
}

static ls_status emit_factors(ls_hf *hf, const json_t *list, const char *name, size_t n)
{
    float *out;
    if (json_array_size(list) != n) {
        return bad_config(hf, "rope_scaling", "has another number of factors than dimensions");
    }
    LS_TRY(ls_arena_alloc(&hf->g->mem, &out, n, sizeof(*out), "RoPE factors", hf->err));
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_number(v))
            return bad_config(hf, "rope_scaling", "has a factor that is no number");
        out[i] = (float)json_number_value(v);
    }
    return emit_computed(hf, name, out, n);
}

/* Phi-3's long context: factors for short and long texts, and a factor of the attention. */
ls_status ls_hf_longrope(ls_hf *hf)
{
    const json_t *rope = ls_hf_rope(hf), *longs = json_object_get(rope, "long_factor");
    double        orig = 0, ctx = 0, scale, attn = 1;
    size_t        n = (size_t)(rope_fraction(hf) * (double)hf->head_dim) / 2;
    ls_hf_num(hf, "max_position_embeddings", &ctx);
    orig = ctx;
    ls_hf_num(hf, "original_max_position_embeddings", &orig);
    orig = rope_number(hf, "original_max_position_embeddings", orig);
    if (!(orig >= 1 && orig <= UINT32_MAX && ctx >= 1)) {
        return bad_config(hf, "original_max_position_embeddings", "is no number of positions");
    }
    LS_TRY(ls_hf_set_int(hf, "rope.scaling.original_context_length", (int64_t)orig));
    if (!longs) return LS_OK;
    scale = ctx / orig;
    if (scale > 1) attn = sqrt(1 + log(scale) / log(orig));
    LS_TRY(ls_hf_set_float(hf, "rope.scaling.attn_factor", attn));
    LS_TRY(emit_factors(hf, longs, "rope_factors_long.weight", n));
    return emit_factors(hf, json_object_get(rope, "short_factor"), "rope_factors_short.weight", n);
}

ls_status ls_hf_no_rope_scaling(ls_hf *hf)
{
    char key[128];
    return ls_meta_str(&hf->meta, ls_hf_key_name(hf, "rope.scaling.type", key), LS_STR("none"),
                       hf->err);
}

/* BitNet files say that positions are scaled by one. */
ls_status ls_hf_bitnet_scaling(ls_hf *hf)
{
    char key[128];
    LS_TRY(ls_meta_str(&hf->meta, ls_hf_key_name(hf, "rope.scaling.type", key), LS_STR("linear"),
                       hf->err));
    return ls_hf_set_float(hf, "rope.scaling.factor", 1);
}

/* Gemma 3 rotates its local layers with a base of their own. */
ls_status ls_hf_gemma3_rope(ls_hf *hf)
{
    const json_t *local = json_object_get(
        json_object_get(ls_hf_get(hf, "rope_parameters"), "sliding_attention"), "rope_theta");
    double base = 1e6, v;
    ls_hf_num(hf, "rope_theta", &base);
    LS_TRY(ls_hf_set_float(hf, "rope.freq_base", rope_number(hf, "rope_theta", base)));
    if (json_is_number(local)) {
        return ls_hf_set_float(hf, "rope.freq_base_swa", json_number_value(local));
    }
    if (!ls_hf_num(hf, "rope_local_base_freq", &v)) return LS_OK;
    return ls_hf_set_float(hf, "rope.freq_base_swa", v);
}

/* ---- attention windows ---- */

/* The window, unless every layer is said to see everything. */
ls_status ls_hf_sliding_window(ls_hf *hf)
{
    double pattern = 0, v;
    ls_hf_num(hf, "sliding_window_pattern", &pattern);
    if (pattern == 1 || !ls_hf_num(hf, "sliding_window", &v)) return LS_OK;
    if (!(v >= 0 && v <= UINT32_MAX)) return bad_config(hf, "sliding_window", "is no window");
    return ls_hf_set_int(hf, "attention.sliding_window", (int64_t)v);
}

/* OLMo 3: which layers have the window. Three of four where config.json does not say. */
ls_status ls_hf_sliding_layers(ls_hf *hf)
{
    const json_t *types = ls_hf_get(hf, "layer_types");
    char          key[128];
    uint8_t      *local;
    double        window;
    if (!ls_hf_num(hf, "sliding_window", &window)) return LS_OK;
    if (types && json_array_size(types) != (size_t)hf->n_layers) {
        return bad_config(hf, "layer_types", "does not have one entry for each layer");
    }
    LS_TRY(ls_hf_sliding_window(hf));
    LS_TRY(ls_arena_alloc(&hf->g->mem, &local, (size_t)hf->n_layers, 1, "the layers", hf->err));
    for (size_t i = 0; i < (size_t)hf->n_layers; i++) {
        ls_str type = ls_json_str(json_array_get(types, i));
        local[i] = types ? type.p && ls_str_is(type, "sliding_attention") : (i + 1) % 4 != 0;
    }
    return ls_meta_array(&hf->meta, ls_hf_key_name(hf, "attention.sliding_window_pattern", key),
                         LS_GGUF_BOOL, local, (size_t)hf->n_layers, hf->err);
}

/* ---- what old configurations leave out ---- */

/* Four times the width, where no other width is given. */
ls_status ls_hf_ff_4(ls_hf *hf)
{
    double v;
    if (ls_hf_num(hf, "n_inner", &v) || ls_hf_num(hf, "ffn_hidden_size", &v)) {
        if (!(v >= 1 && v <= UINT32_MAX)) return bad_config(hf, "n_inner", "is no width");
        return ls_hf_set_int(hf, "feed_forward_length", (int64_t)v);
    }
    return ls_hf_set_int(hf, "feed_forward_length", 4 * hf->n_embd);
}

/* Falcon: how many keys and values there are depends on the generation of the model. */
ls_status ls_hf_falcon_heads(ls_hf *hf)
{
    char key[128];
    bool grouped = json_is_true(ls_hf_get(hf, "new_decoder_architecture"));
    if (!grouped) hf->n_kv_heads = json_is_false(ls_hf_get(hf, "multi_query")) ? hf->n_heads : 1;
    LS_TRY(ls_hf_set_int(hf, "attention.head_count_kv", hf->n_kv_heads));
    return ls_meta_str(&hf->meta, ls_hf_key_name(hf, "tensor_data_layout", key), LS_STR("jploski"),
                       hf->err);
}
