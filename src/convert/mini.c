// SPDX-License-Identifier: MIT
/* mini.c - small models with random weights, from the architectures' own tables of tensors.
 *
 * Widths are multiples of 256, which every block length divides. Matrices are drawn so that
 * a product with them keeps the size of a vector; norms are near 1, biases near 0.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "convert/mini_priv.h"
#include "dtype/dtype.h"
#include "format/hf_rope.h"
#include "lockstep/gguf_write.h"
#include "lockstep/mini.h"

/* One row per size. */
static const struct {
    int32_t n_embd, n_ff, n_heads, n_kv_heads, n_layers, n_vocab, n_ctx;
} sizes[LS_N_MINI_SIZES] = {
    [LS_MINI_TINY] = {256, 512, 8, 2, 2, 320, 512},
    [LS_MINI_SMALL] = {512, 1536, 8, 4, 4, 1024, 1024},
    [LS_MINI_MEDIUM] = {768, 2048, 12, 4, 6, 4096, 2048},
    [LS_MINI_1B] = {2048, 8192, 32, 8, 16, 32000, 4096}, /* as small models of today: for timing */
};

static ls_model_config config_of(const ls_arch *arch, const ls_mini_options *opt)
{
    bool moe = (arch->keys & LS_KEY_EXPERTS) && (opt->optional || (arch->mini & LS_MINI_EXPERTS));
    ls_model_config c = {.n_embd = sizes[opt->size].n_embd,
                         .n_heads = sizes[opt->size].n_heads,
                         .n_kv_heads = sizes[opt->size].n_kv_heads,
                         .n_ff = sizes[opt->size].n_ff,
                         .n_vocab = sizes[opt->size].n_vocab,
                         .n_ctx_train = sizes[opt->size].n_ctx,
                         .n_layers = sizes[opt->size].n_layers,
                         .parallel = opt->optional};
    c.head_dim = c.n_embd / c.n_heads;
    c.rope_dims = arch->mini & LS_MINI_PARTIAL ? c.head_dim / 2 : c.head_dim;
    if (arch->mini & LS_MINI_FULL_HEADS) c.n_kv_heads = c.n_heads;
    /* A layer of every kind. */
    if (c.n_layers < arch->mini_layers) c.n_layers = arch->mini_layers;
    if (c.n_layers <= arch->swa_period) c.n_layers = arch->swa_period + 1;
    if (!moe) return c;
    c.n_expert = 4;
    c.n_expert_used = 2;
    c.n_ff_expert = arch->keys & LS_KEY_EXPERT_FF ? 256 : c.n_ff;
    c.n_ff_shared = 256;
    return c;
}

/* ---- metadata ---- */

typedef struct mini {
    ls_gguf_writer *w;
    const ls_arch  *arch;
    ls_mini_options opt;
    ls_model_config c;
    uint64_t        random; /* state */
    uint8_t        *block;  /* encoded values on their way to the file */
    ls_error       *err;
} mini;

static ls_status put_int(const mini *m, const char *suffix, int64_t v)
{
    char key[96];
    snprintf(key, sizeof(key), "%s.%s", m->arch->name, suffix);
    return ls_gguf_write_int(m->w, key, LS_GGUF_U32, v, m->err);
}

static ls_status put_float(const mini *m, const char *suffix, double v)
{
    char key[96];
    snprintf(key, sizeof(key), "%s.%s", m->arch->name, suffix);
    return ls_gguf_write_float(m->w, key, LS_GGUF_F32, v, m->err);
}

static ls_status put_shape(const mini *m)
{
    const ls_model_config *c = &m->c;
    const struct {
        const char *suffix;
        int64_t     value;
        unsigned    key; /* 0: always */
    } rows[] = {
        {"block_count", c->n_layers, 0},
        {"context_length", c->n_ctx_train, 0},
        {"embedding_length", c->n_embd, 0},
        {"feed_forward_length", c->n_ff, 0},
        {"attention.head_count", c->n_heads, 0},
        {"attention.head_count_kv", c->n_kv_heads, 0},
        {"rope.dimension_count", c->rope_dims, 0},
        {"vocab_size", c->n_vocab, 0},
        {"expert_count", c->n_expert, c->n_expert ? LS_KEY_EXPERTS : 1u << 31},
        {"expert_used_count", c->n_expert_used, c->n_expert ? LS_KEY_EXPERTS : 1u << 31},
        {"expert_feed_forward_length", c->n_ff_expert, LS_KEY_EXPERT_FF},
        {"expert_shared_feed_forward_length", c->n_ff_shared, LS_KEY_SHARED_FF},
        {"attention.sliding_window", 24, LS_KEY_WINDOW},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].key && !(m->arch->keys & rows[i].key)) continue;
        LS_TRY(put_int(m, rows[i].suffix, rows[i].value));
    }
    return LS_OK;
}

/* Values that are seen: neither what they would be without the key, nor so large that they hide
 * everything else. */
static ls_status put_numbers(const mini *m)
{
    const struct {
        const char *suffix;
        double      value;
        unsigned    key;
    } rows[] = {
        {"attn_logit_softcapping", 5, LS_KEY_ATTN_SOFTCAP},
        {"final_logit_softcapping", 8, LS_KEY_FINAL_SOFTCAP},
        {"logit_scale", 0.75, LS_KEY_LOGIT_SCALE},
        {"residual_scale", 0.5, LS_KEY_RESIDUAL_SCALE},
        {"embedding_scale", 3, LS_KEY_EMBED_SCALE},
        {"attention.scale", 0.125, m->opt.optional ? LS_KEY_ATTN_SCALE : 1u << 31},
    };
    char key[96];
    LS_TRY(put_float(m,
                     m->arch->layer_norm ? "attention.layer_norm_epsilon"
                                         : "attention.layer_norm_rms_epsilon",
                     1e-5));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (m->arch->keys & rows[i].key) LS_TRY(put_float(m, rows[i].suffix, rows[i].value));
    }
    if (!(m->arch->keys & LS_KEY_PARALLEL)) return LS_OK;
    snprintf(key, sizeof(key), "%s.use_parallel_residual", m->arch->name);
    return ls_gguf_write_bool(m->w, key, m->c.parallel, m->err);
}

/* ---- tensors ---- */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next(mini *m)
{
    uint64_t z = m->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Even in [-1, 1). */
static float unit(mini *m) { return (float)(int32_t)(next(m) >> 40) * 0x1p-23f - 1.0f; }

typedef struct shape {
    int64_t  ne[3];
    uint32_t n_dims;
    int      dtype;
    float    spread, centre;
} shape;

static shape shape_of(const mini *m, const ls_weight *w)
{
    size_t cols = ls_dim_of(&m->c, w->cols), rows = ls_dim_of(&m->c, w->of ? w->of : w->rows);
    bool   vector = w->kind == LS_W_VECTOR, flat = vector && w->of;
    bool   bias = strstr(w->name, ".bias") || strstr(w->name, "sinks");
    /* What the reference reads as floats only. */
    bool  plain = vector || strstr(w->name, "gate_inp") || strstr(w->name, "position_embd");
    shape s = {.ne = {(int64_t)(flat ? rows : cols), (int64_t)(flat ? 1 : rows), 1},
               .dtype = plain ? LS_DTYPE_F32 : m->opt.dtype,
               .spread = vector ? 0.25f : 2.0f / sqrtf((float)cols),
               .centre = vector && !bias ? 1.0f : 0.0f};
    if (w->kind == LS_W_EXPERTS) s.ne[2] = m->c.n_expert;
    s.n_dims = s.ne[2] > 1 ? 3 : s.ne[1] > 1 || (!vector && w->rows != LS_DIM_1) ? 2 : 1;
    return s;
}

static bool wanted(const mini *m, const ls_weight *w)
{
    bool optional = m->opt.optional;
    if (w->from != LS_DIM_1) return false; /* a part of a tensor that is there already */
    if (strcmp(w->name, "output.weight") == 0) return !(m->arch->mini & LS_MINI_TIED);
    switch (w->when) {
    case LS_NEEDED:
        return true;
    case LS_OPTIONAL:
        return (optional || w->of) && !(m->arch->mini & LS_MINI_BARE);
    case LS_OPTIONAL_DENSE:
        return optional && !m->c.n_expert;
    case LS_DENSE:
        return !m->c.n_expert;
    case LS_MOE:
        return m->c.n_expert > 0;
    }
    return false;
}

typedef ls_status tensor_fn(mini *m, const ls_weight *w, const char *name);

static ls_status announce(mini *m, const ls_weight *w, const char *name)
{
    shape s = shape_of(m, w);
    return ls_gguf_write_tensor(m->w, (ls_str){name, strlen(name)}, s.dtype, s.n_dims, s.ne, 0,
                                m->err);
}

/* Factors by which frequencies are divided: any would do for an engine, but only those of Llama 3's
 * rule have a place in config.json. */
static void put_rope_factors(const mini *m, float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = ls_hf_llama3_factor(i, (size_t)m->c.head_dim, 10000, 8, 1, 4,
                                   (double)m->c.n_ctx_train / 8);
    }
}

static ls_status fill(mini *m, const ls_weight *w, const char *name)
{
    enum { CHUNK = 4096 }; /* elements; every block length divides it or the tensor is shorter */
    shape  s = shape_of(m, w);
    size_t n = (size_t)(s.ne[0] * s.ne[1] * s.ne[2]);
    float  x[CHUNK];
    while (n > 0) {
        size_t k = n < CHUNK ? n : CHUNK;
        if (ls_mini_is_plain(s.dtype)) {
            for (size_t i = 0; i < k; i++) x[i] = s.centre + s.spread * unit(m);
            if (strcmp(name, "rope_freqs.weight") == 0) put_rope_factors(m, x, k);
            ls_mini_encode(s.dtype, m->block, x, k);
        } else {
            ls_mini_draw(s.dtype, m->block, k, s.spread, &m->random);
        }
        LS_TRY(ls_gguf_write_data(m->w, m->block, ls_dtype_row_bytes(s.dtype, k), m->err));
        n -= k;
    }
    return LS_OK;
}

static ls_status each_tensor(mini *m, tensor_fn *f)
{
    for (const ls_weight *w = m->arch->globals; w->name; w++) {
        if (wanted(m, w)) LS_TRY(f(m, w, w->name));
    }
    for (int32_t i = 0; i < m->c.n_layers; i++) {
        for (const ls_weight *w = m->arch->weights; w->name; w++) {
            char name[96];
            snprintf(name, sizeof(name), "blk.%d.%s", (int)i, w->name);
            if (wanted(m, w)) LS_TRY(f(m, w, name));
        }
    }
    return LS_OK;
}

/* ---- the file ---- */

static ls_status write_all(mini *m, const char *path)
{
    char name[96];
    /* Without the architecture: readers know some models by their names. */
    snprintf(name, sizeof(name), "random weights, seed %llu", (unsigned long long)m->opt.seed);
    LS_TRY(ls_gguf_write_str(m->w, "general.architecture",
                             (ls_str){m->arch->name, strlen(m->arch->name)}, m->err));
    LS_TRY(ls_gguf_write_str(m->w, "general.name", (ls_str){name, strlen(name)}, m->err));
    LS_TRY(put_shape(m));
    LS_TRY(put_numbers(m));
    LS_TRY(ls_mini_vocabulary(m->w, (uint32_t)m->c.n_vocab, m->err));
    LS_TRY(each_tensor(m, announce));
    LS_TRY(ls_gguf_write_begin(m->w, path, m->err));
    LS_TRY(each_tensor(m, fill));
    return ls_gguf_write_finish(m->w, m->err);
}

ls_status ls_mini_write(const char *path, const ls_mini_options *opt, ls_error *err)
{
    mini      m = {.opt = *opt, .random = opt->seed, .err = err};
    ls_status status;

    m.arch = ls_arch_find((ls_str){opt->arch, strlen(opt->arch)});
    if (!m.arch) {
        char known[256];
        ls_fail(err, LS_ERR_UNSUPPORTED, "there is no architecture '%s'", opt->arch);
        return ls_fail_hint(err, "there are %s", ls_arch_names(known, sizeof(known))),
               LS_ERR_UNSUPPORTED;
    }
    if (!ls_mini_has_dtype(opt->dtype)) {
        const char *name = ls_dtype_name(opt->dtype);
        return ls_fail(err, LS_ERR_UNSUPPORTED, "weights of type %s cannot be made up",
                       name ? name : "?");
    }
    m.c = config_of(m.arch, opt);
    LS_TRY(ls_alloc(&m.block, 4096, sizeof(float), "weights", err));
    status = ls_gguf_writer_create(&m.w, err);
    if (status == LS_OK) status = write_all(&m, path);
    ls_gguf_writer_destroy(m.w);
    free(m.block);
    return status;
}

const char *ls_mini_arch(size_t i) { return ls_arch_at(i) ? ls_arch_at(i)->name : NULL; }
