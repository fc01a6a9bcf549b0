// SPDX-License-Identifier: MIT
/* config.c - hyper-parameters out of GGUF metadata, checked before anything is sized by them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "model/arch.h"

/* Keys that change what a model computes and that no architecture here has. A file that sets one
 * to something else than `neutral` is refused: ignoring it would give wrong numbers. */
static const struct {
    const char *suffix;
    double      neutral;
} refused[] = {
    {"attention.max_alibi_bias", 0},
    {"attention.clamp_kqv", 0},
    {"rope.scaling.alpha", 0},
    {"rope.scaling.yarn_log_multiplier", 0},
    {"rope.scaling.yarn_ext_factor", -1},
    {"rope.scaling.yarn_attn_factor", -1},
    {"rope.scaling.yarn_beta_fast", 32},
    {"rope.scaling.yarn_beta_slow", 1},
};

/* Numbers that some architectures have; for the others they are among the refused. */
static const struct {
    ls_key      key;
    const char *suffix;
    size_t      member;
    double      neutral;
} numbers[] = {
#define NUMBER(key, suffix, member, neutral)                                                       \
    {                                                                                              \
        LS_KEY_##key, suffix, offsetof(ls_model_config, member), neutral                           \
    }
    NUMBER(ATTN_SCALE, "attention.scale", attn_scale, 0),
    NUMBER(ATTN_SOFTCAP, "attn_logit_softcapping", attn_softcap, 0),
    NUMBER(FINAL_SOFTCAP, "final_logit_softcapping", final_softcap, 0),
    NUMBER(LOGIT_SCALE, "logit_scale", logit_scale, 1),
    NUMBER(RESIDUAL_SCALE, "residual_scale", residual_scale, 1),
    NUMBER(EMBED_SCALE, "embedding_scale", embedding_scale, 1),
#undef NUMBER
};

/* A key of the architecture's name space: "llama.block_count". */
typedef struct key_name {
    char s[128];
} key_name;

static key_name key_of(const ls_model_config *c, const char *suffix)
{
    key_name k;
    snprintf(k.s, sizeof(k.s), "%s.%s", c->arch, suffix);
    return k;
}

/* FORMAT at the byte of a key, or of the file when the key is absent. */
LS_PRINTF(4, 5)
static ls_status bad_key(const ls_gguf *g, const char *key, ls_error *err, const char *fmt, ...)
{
    const ls_gguf_kv *kv = ls_gguf_find(g, key);
    char              what[sizeof(err->what)];
    va_list           ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(err, LS_ERR_FORMAT, "%s", what);
    if (kv) {
        ls_gguf_fail_at(g, kv->key.p, err);
    } else {
        ls_fail_at(err, "%s: byte 24 (the metadata)", ls_gguf_path(g));
    }
    return LS_ERR_FORMAT;
}

/* A positive integer of at most `max`. `fallback` < 0: the key must be there. */
static ls_status read_size(const ls_gguf *g, const ls_model_config *c, const char *suffix,
                           int64_t fallback, int64_t max, int32_t *out, ls_error *err)
{
    key_name key = key_of(c, suffix);
    int64_t  v = fallback;
    if (!ls_gguf_int(g, key.s, &v)) {
        if (ls_gguf_find(g, key.s)) {
            return bad_key(g, key.s, err, "metadata key '%s' is not an integer", key.s);
        }
        if (fallback < 0) return bad_key(g, key.s, err, "metadata key '%s' is missing", key.s);
    }
    if (v < 1 || v > max) {
        return bad_key(g, key.s, err, "metadata key '%s' is %lld, expected 1 to %lld", key.s,
                       (long long)v, (long long)max);
    }
    *out = (int32_t)v;
    return LS_OK;
}

static ls_status find_arch(ls_model_config *c, const ls_arch **arch, const ls_gguf *g,
                           ls_error *err)
{
    ls_str name;
    char   known[256];
    if (!ls_gguf_str(g, "general.architecture", &name)) {
        return bad_key(g, "general.architecture", err,
                       "metadata key 'general.architecture' is missing");
    }
    *arch = ls_arch_find(name);
    if (*arch) {
        snprintf(c->arch, sizeof(c->arch), "%s", (*arch)->name);
        c->rope_order = (*arch)->rope;
        return LS_OK;
    }
    ls_fail(err, LS_ERR_UNSUPPORTED, "the native engine does not evaluate architecture '%.*s'",
            LS_FMT(name));
    ls_gguf_fail_at(g, name.p, err);
    ls_fail_hint(err, "it evaluates %s", ls_arch_names(known, sizeof(known)));
    return LS_ERR_UNSUPPORTED;
}

/* UNSUPPORTED if the file sets a key to something else than its neutral value. */
static ls_status refuse_key(const ls_model_config *c, const ls_gguf *g, const char *suffix,
                            double neutral, ls_error *err)
{
    key_name          key = key_of(c, suffix);
    const ls_gguf_kv *kv = ls_gguf_find(g, key.s);
    double            v;
    if (!kv || (ls_gguf_float(g, key.s, &v) && v == neutral)) return LS_OK;
    ls_fail(err, LS_ERR_UNSUPPORTED,
            "metadata key '%s' asks for something that the native engine does not compute", key.s);
    ls_gguf_fail_at(g, kv->key.p, err);
    return LS_ERR_UNSUPPORTED;
}

/* The numbers that this architecture has; no others. */
static ls_status read_numbers(ls_model_config *c, const ls_arch *arch, const ls_gguf *g,
                              ls_error *err)
{
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        LS_TRY(refuse_key(c, g, refused[i].suffix, refused[i].neutral, err));
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        double  *v = (double *)(void *)((char *)c + numbers[i].member);
        key_name key = key_of(c, numbers[i].suffix);
        *v = numbers[i].neutral;
        if (!(arch->keys & numbers[i].key)) {
            LS_TRY(refuse_key(c, g, numbers[i].suffix, numbers[i].neutral, err));
        } else if (ls_gguf_float(g, key.s, v) && !(*v >= 0 && *v < 1e30)) {
            return bad_key(g, key.s, err, "metadata key '%s' is %g, expected a number", key.s, *v);
        }
    }
    return LS_OK;
}

static ls_status read_positive(const ls_gguf *g, const char *key, double *v, ls_error *err)
{
    if (!ls_gguf_float(g, key, v)) {
        if (!ls_gguf_find(g, key)) return LS_OK;
        return bad_key(g, key, err, "metadata key '%s' is not a number", key);
    }
    if (!(*v > 0 && *v < 1e30)) {
        return bad_key(g, key, err, "metadata key '%s' is %g, expected a positive number", key, *v);
    }
    return LS_OK;
}

/* RoPE: base, dimensions and the scaling keys. "linear" (also without a type) divides positions
 * by the factor; "yarn" is Peng et al. 2023 (arXiv:2309.00071), section 3.4. */
static ls_status read_rope(ls_model_config *c, const ls_arch *arch, const ls_gguf *g, ls_error *err)
{
    key_name key = key_of(c, "rope.dimension_count");
    double   factor = 0;
    ls_str   type = LS_STR("linear");

    LS_TRY(read_size(g, c, "rope.dimension_count", c->head_dim, c->head_dim, &c->rope_dims, err));
    if (c->rope_dims % 2) {
        return bad_key(g, key.s, err, "metadata key '%s' is odd; RoPE rotates pairs", key.s);
    }
    c->rope_base = 10000;
    key = key_of(c, "rope.freq_base");
    LS_TRY(read_positive(g, key.s, &c->rope_base, err));
    key = key_of(c, "rope.scaling.factor");
    if (!ls_gguf_find(g, key.s)) key = key_of(c, "rope.scale_linear");
    if (ls_gguf_float(g, key.s, &factor) && factor != 0) {
        LS_TRY(read_positive(g, key.s, &factor, err));
    }
    c->rope_scale = factor != 0 ? 1 / factor : 1;
    c->rope_attn_factor = 1;
    key = key_of(c, "rope.scaling.attn_factor");
    LS_TRY(read_positive(g, key.s, &c->rope_attn_factor, err));
    LS_TRY(read_size(g, c, "rope.scaling.original_context_length", c->n_ctx_train, INT32_MAX,
                     &c->rope_ctx_orig, err));

    key = key_of(c, "rope.scaling.type");
    ls_gguf_str(g, key.s, &type);
    if (ls_str_is(type, "none")) {
        c->rope_scale = 1;
    } else if (ls_str_is(type, "yarn")) {
        c->rope_yarn = true;
    } else if (ls_str_is(type, "longrope") && arch->keys & LS_KEY_LONGROPE) {
        c->rope_scale = 1; /* the divisors do it */
    } else if (!ls_str_is(type, "linear")) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "RoPE scaling '%.*s' is not supported", LS_FMT(type));
        ls_fail_at(err, "%s: metadata key '%s'", ls_gguf_path(g), key.s);
        return LS_ERR_UNSUPPORTED;
    }
    return LS_OK;
}

static ls_status read_heads(ls_model_config *c, const ls_gguf *g, ls_error *err)
{
    key_name key = key_of(c, "attention.head_count_kv");
    int32_t  v_dim;
    LS_TRY(read_size(g, c, "attention.head_count", -1, c->n_embd, &c->n_heads, err));
    LS_TRY(read_size(g, c, "attention.head_count_kv", c->n_heads, c->n_heads, &c->n_kv_heads, err));
    if (c->n_heads % c->n_kv_heads) {
        return bad_key(g, key.s, err, "%d query heads cannot share %d KV heads", c->n_heads,
                       c->n_kv_heads);
    }
    LS_TRY(read_size(g, c, "attention.key_length", c->n_embd / c->n_heads, 1 << 16, &c->head_dim,
                     err));
    LS_TRY(read_size(g, c, "attention.value_length", c->head_dim, 1 << 16, &v_dim, err));
    if (v_dim != c->head_dim) {
        ls_fail(err, LS_ERR_UNSUPPORTED,
                "keys of %d and values of %d elements per head are not "
                "supported",
                c->head_dim, v_dim);
        ls_fail_at(err, "%s", ls_gguf_path(g));
        return LS_ERR_UNSUPPORTED;
    }
    return LS_OK;
}

/* Experts: how many, how many of them a token uses, and how wide they are. */
static ls_status read_experts(ls_model_config *c, const ls_arch *arch, const ls_gguf *g,
                              ls_error *err)
{
    key_name key = key_of(c, "expert_count");
    int64_t  n = 0;
    if (!(arch->keys & LS_KEY_EXPERTS)) return refuse_key(c, g, "expert_count", 0, err);
    if (!ls_gguf_int(g, key.s, &n) || n == 0) return LS_OK;
    LS_TRY(read_size(g, c, "expert_count", -1, 4096, &c->n_expert, err));
    LS_TRY(read_size(g, c, "expert_used_count", -1, c->n_expert, &c->n_expert_used, err));
    c->n_ff_expert = c->n_ff;
    if (arch->keys & LS_KEY_EXPERT_FF) {
        LS_TRY(read_size(g, c, "expert_feed_forward_length", c->n_ff / c->n_expert_used, 1 << 24,
                         &c->n_ff_expert, err));
    }
    if (arch->keys & LS_KEY_SHARED_FF) {
        LS_TRY(read_size(g, c, "expert_shared_feed_forward_length", c->n_ff, 1 << 24,
                         &c->n_ff_shared, err));
    }
    return LS_OK;
}

/* The sliding window, and what RoPE is in the layers that have it. */
static ls_status read_window(ls_model_config *c, const ls_arch *arch, const ls_gguf *g,
                             ls_error *err)
{
    key_name key = key_of(c, "attention.sliding_window");
    int64_t  n = 0;
    c->rope_base_swa = arch->swa_base > 0 ? arch->swa_base : c->rope_base;
    c->rope_scale_swa = c->rope_scale;
    c->swa_period = arch->swa_period;
    if (arch->keys & LS_KEY_WINDOW_UNUSED) return LS_OK;
    if (!(arch->keys & LS_KEY_WINDOW)) {
        return refuse_key(c, g, "attention.sliding_window", 0, err);
    }
    LS_TRY(refuse_key(c, g, "attention.sliding_window_pattern", arch->swa_period, err));
    if (!ls_gguf_int(g, key.s, &n) || n == 0) return LS_OK;
    LS_TRY(read_size(g, c, "attention.sliding_window", -1, INT32_MAX, &c->n_swa, err));
    key = key_of(c, "rope.freq_base_swa");
    return read_positive(g, key.s, &c->rope_base_swa, err);
}

static ls_status read_norm_eps(ls_model_config *c, const ls_arch *arch, const ls_gguf *g,
                               ls_error *err)
{
    key_name key = key_of(c, arch->layer_norm ? "attention.layer_norm_epsilon"
                                              : "attention.layer_norm_rms_epsilon");
    double   eps = -1;
    LS_TRY(read_positive(g, key.s, &eps, err));
    if (eps < 0) return bad_key(g, key.s, err, "metadata key '%s' is missing", key.s);
    c->norm_eps = (float)eps;
    return LS_OK;
}

static ls_status read_parallel(ls_model_config *c, const ls_arch *arch, const ls_gguf *g,
                               ls_error *err)
{
    key_name key = key_of(c, "use_parallel_residual");
    if (!(arch->keys & LS_KEY_PARALLEL)) return LS_OK;
    if (ls_gguf_bool(g, key.s, &c->parallel)) return LS_OK;
    return bad_key(g, key.s, err, "metadata key '%s' is missing", key.s);
}

ls_status ls_config_read(ls_model_config *c, const ls_arch **out, const ls_gguf *g, ls_error *err)
{
    const ls_tensor *embd = ls_gguf_tensor(g, "token_embd.weight");
    const ls_arch   *arch;

    *c = (ls_model_config){0};
    if (ls_gguf_n_tensors(g) == 0) {
        ls_fail(err, LS_ERR_FORMAT, "the file holds no weights, only metadata and a vocabulary");
        ls_fail_at(err, "%s: byte 8 (the number of tensors)", ls_gguf_path(g));
        return ls_fail_hint(err, "'lockstep model tokenize' works with it"), LS_ERR_FORMAT;
    }
    LS_TRY(find_arch(c, out, g, err));
    arch = *out;
    LS_TRY(read_numbers(c, arch, g, err));
    /* A layer has at least one tensor, so that the tensor count bounds the layer count. */
    LS_TRY(
        read_size(g, c, "block_count", -1, (int64_t)ls_gguf_n_tensors(g) + 1, &c->n_layers, err));
    LS_TRY(read_size(g, c, "embedding_length", -1, 1 << 20, &c->n_embd, err));
    LS_TRY(read_size(g, c, "feed_forward_length", -1, 1 << 24, &c->n_ff, err));
    LS_TRY(read_size(g, c, "context_length", -1, INT32_MAX, &c->n_ctx_train, err));
    LS_TRY(read_heads(c, g, err));
    LS_TRY(read_rope(c, arch, g, err));
    LS_TRY(read_window(c, arch, g, err));
    LS_TRY(read_experts(c, arch, g, err));
    LS_TRY(read_parallel(c, arch, g, err));
    LS_TRY(read_norm_eps(c, arch, g, err));
    if (arch->derive) arch->derive(c);

    if (!embd || embd->n_dims < 2 || embd->ne[1] > INT32_MAX) {
        ls_fail(err, LS_ERR_FORMAT, "tensor 'token_embd.weight' is missing or has no vocabulary");
        ls_fail_at(err, "%s: byte %llu", ls_gguf_path(g),
                   embd ? (unsigned long long)ls_gguf_offset(g, embd->name.p) : 24ull);
        return LS_ERR_FORMAT;
    }
    c->n_vocab = (int32_t)embd->ne[1];
    return LS_OK;
}
