// SPDX-License-Identifier: MIT
/* mini.c - small models with random weights, from the architectures' own tables of tensors.
 *
 * Widths are multiples of 256, which every block length divides. Matrices are drawn so that
 * a product with them keeps the size of a vector; norms are near 1, biases near 0. Large ones are
 * drawn in pieces, each from a seed of its own, so that threads can share them.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pool.h"
#include "convert/mini_priv.h"
#include "convert/mixture.h"
#include "dtype/dtype.h"
#include "dtype/packed.h"
#include "format/hf_rope.h"
#include "lockstep/gguf_write.h"
#include "lockstep/mini.h"

/* One row per shape. */
static const struct {
    int32_t     n_embd, n_ff, n_heads, n_kv_heads, n_layers, n_vocab, n_ctx;
    bool        tied;
    const char *arch;
} shapes[LS_N_MINI_SHAPES] = {
    [LS_MINI_TINY] = {256, 512, 8, 2, 2, 320, 512, false, "llama"},
    [LS_MINI_SMALL] = {512, 1536, 8, 4, 4, 1024, 1024, false, "llama"},
    [LS_MINI_MEDIUM] = {768, 2048, 12, 4, 6, 4096, 2048, false, "llama"},
    [LS_MINI_LLAMA_100M] = {768, 2048, 12, 4, 12, 32000, 65536, true, "llama"},
    [LS_MINI_LLAMA_1B] = {2048, 8192, 32, 8, 16, 128256, 131072, true, "llama"},
    [LS_MINI_BITNET_2B] = {2560, 6912, 20, 5, 30, 128256, 4096, true, "bitnet"},
};

const char *ls_mini_shape_arch(ls_mini_shape shape) { return shapes[shape].arch; }

static ls_model_config config_of(const ls_arch *arch, const ls_mini_options *opt)
{
    bool moe = (arch->keys & LS_KEY_EXPERTS) && (opt->optional || (arch->mini & LS_MINI_EXPERTS));
    ls_model_config c = {.n_embd = shapes[opt->shape].n_embd,
                         .n_heads = shapes[opt->shape].n_heads,
                         .n_kv_heads = shapes[opt->shape].n_kv_heads,
                         .n_ff = shapes[opt->shape].n_ff,
                         .n_vocab = shapes[opt->shape].n_vocab,
                         .n_ctx_train = shapes[opt->shape].n_ctx,
                         .n_layers = shapes[opt->shape].n_layers,
                         .tied_output = (arch->mini & LS_MINI_TIED) || shapes[opt->shape].tied,
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
    ls_mixer        mixer;
    bool            mixed;
    uint64_t        random; /* state */
    uint8_t        *block;  /* encoded values on their way to the file */
    ls_pool        *pool;
    ls_mini_tiles   tiles;
    size_t          done, total; /* bytes */
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
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Even in [-1, 1). */
static float unit(uint64_t *state) { return (float)(int32_t)(next(state) >> 40) * 0x1p-23f - 1.0f; }

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
               .dtype = plain      ? LS_DTYPE_F32
                        : m->mixed ? m->mixer.m->dtype
                                   : m->opt.dtype,
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
    if (strcmp(w->name, "output.weight") == 0) return !m->c.tied_output;
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

/* The type of a matrix: what was asked for, or what a mixture's rules say of one of this name. */
static ls_status type_of(const mini *m, ls_mixer *mixer, const char *name, shape *s)
{
    ls_tensor t = {.name = {name, strlen(name)}, .n_dims = s->n_dims};
    if (s->dtype == LS_DTYPE_F32) return LS_OK;
    for (size_t i = 0; i < 3; i++) t.ne[i] = s->ne[i];
    t.ne[3] = 1;
    if (m->mixed) LS_TRY(ls_mixer_next(mixer, &t, &s->dtype, m->err));
    if ((s->dtype == LS_DTYPE_I2_S || ls_mini_is_tiled(s->dtype)) &&
        (ls_role_of(t.name) == LS_ROLE_EMBED || ls_role_of(t.name) == LS_ROLE_OUTPUT))
        s->dtype = LS_DTYPE_F16;
    if (ls_mini_has_dtype(s->dtype)) return LS_OK;
    return ls_fail(m->err, LS_ERR_UNSUPPORTED, "weights of type %s cannot be made up",
                   ls_dtype_name(s->dtype));
}

typedef ls_status tensor_fn(mini *m, const ls_weight *w, const char *name);

static size_t bytes_of(const shape *s)
{
    if (ls_mini_is_tiled(s->dtype))
        return ls_matrix_bytes(s->dtype, (size_t)s->ne[1], (size_t)s->ne[0]);
    return ls_dtype_tensor_bytes(s->dtype, (size_t)(s->ne[0] * s->ne[1] * s->ne[2]));
}

static ls_status announce(mini *m, const ls_weight *w, const char *name)
{
    shape s = shape_of(m, w);
    LS_TRY(type_of(m, &m->mixer, name, &s));
    if (ls_mini_is_tiled(s.dtype))
        LS_TRY(ls_mini_add_tiles(&m->tiles, s.dtype, name, s.ne, m->err));
    m->total += bytes_of(&s);
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

enum {
    CHUNK = 4096,    /* elements; every block length divides it or the tensor is shorter */
    LARGE = 1 << 22, /* elements of a tensor that is drawn in pieces */
    PIECE = 1 << 16, /* elements of one; CHUNK divides it            */
    AT_ONCE = 64,    /* pieces between two writes                    */
};

/* Up to CHUNK elements, encoded. */
static void draw(const mini *m, const shape *s, const char *name, uint8_t *out, size_t k,
                 bool large, uint64_t *random)
{
    float x[CHUNK];
    if (!ls_mini_is_plain(s->dtype)) {
        ls_mini_draw(s->dtype, out, k, s->spread, large, random);
        return;
    }
    for (size_t i = 0; i < k; i++) x[i] = s->centre + s->spread * unit(random);
    if (strcmp(name, "rope_freqs.weight") == 0) put_rope_factors(m, x, k);
    ls_mini_encode(s->dtype, out, x, k);
}

static ls_status put(mini *m, const void *data, size_t n)
{
    LS_TRY(ls_gguf_write_data(m->w, data, n, m->err));
    m->done += n;
    if (m->opt.progress) m->opt.progress(m->opt.progress_ctx, m->done, m->total);
    return LS_OK;
}

typedef struct pieces {
    const mini  *m;
    const shape *s;
    const char  *name;
    size_t       first, n, bytes; /* elements of the tensor from the first on; bytes of a piece */
    uint64_t     seed;
} pieces;

static void draw_pieces(void *ctx, size_t begin, size_t end, int thread)
{
    const pieces *p = ctx;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        uint64_t random = p->seed + (p->first / PIECE + i) * 0xd1342543de82ef95u;
        size_t   left = p->n - i * PIECE;
        uint8_t *out = p->m->block + i * p->bytes;
        random = next(&random);
        for (size_t k = 0; k < PIECE && k < left; k += CHUNK) {
            size_t n = left - k < CHUNK ? left - k : CHUNK;
            draw(p->m, p->s, p->name, out, n, true, &random);
            out += ls_dtype_row_bytes(p->s->dtype, n);
        }
    }
}

static ls_status fill_large(mini *m, const shape *s, const char *name, size_t n)
{
    pieces p = {.m = m,
                .s = s,
                .name = name,
                .n = n,
                .bytes = ls_dtype_row_bytes(s->dtype, PIECE),
                .seed = next(&m->random)};
    while (p.n > 0) {
        size_t k = p.n < (size_t)AT_ONCE * PIECE ? p.n : (size_t)AT_ONCE * PIECE;
        ls_pool_run(m->pool, draw_pieces, &p, (k + PIECE - 1) / PIECE, 1);
        LS_TRY(put(m, m->block, ls_dtype_row_bytes(s->dtype, k)));
        p.first += k;
        p.n -= k;
    }
    return LS_OK;
}

/* Behind the codes of an I2_S tensor: its one scale. */
static ls_status put_tail(mini *m, const shape *s, size_t n)
{
    uint8_t tail[64] = {0};
    size_t  bytes = bytes_of(s) - n / 4;
    memcpy(tail, &s->spread, sizeof(s->spread));
    return s->dtype == LS_DTYPE_I2_S && bytes <= sizeof(tail) ? put(m, tail, bytes) : LS_OK;
}

static ls_status fill_tiled(mini *m, const shape *s)
{
    uint8_t  *data;
    size_t    bytes;
    ls_status status;
    LS_TRY(ls_mini_draw_tiles(&data, &bytes, s->dtype, s->ne, s->spread, next(&m->random), m->pool,
                              m->err));
    status = put(m, data, bytes);
    free(data);
    return status;
}

static ls_status fill(mini *m, const ls_weight *w, const char *name)
{
    shape  s = shape_of(m, w);
    size_t n = (size_t)(s.ne[0] * s.ne[1] * s.ne[2]), left = n;
    LS_TRY(type_of(m, &m->mixer, name, &s));
    if (ls_mini_is_tiled(s.dtype)) return fill_tiled(m, &s);
    if (n >= LARGE) {
        LS_TRY(fill_large(m, &s, name, n));
        left = 0;
    }
    while (left > 0) {
        size_t k = left < CHUNK ? left : CHUNK;
        draw(m, &s, name, m->block, k, false, &m->random);
        LS_TRY(put(m, m->block, ls_dtype_row_bytes(s.dtype, k)));
        left -= k;
    }
    return put_tail(m, &s, n);
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

static void start_mixer(mini *m)
{
    const ls_mixture *mixture = ls_mixture_find(m->opt.mixture);
    m->mixed = mixture != NULL;
    if (!mixture) return;
    ls_mixer_start(&m->mixer, mixture, (ls_str){m->arch->name, strlen(m->arch->name)},
                   m->c.n_layers, m->c.n_heads, m->c.n_kv_heads, m->c.n_expert, false);
    m->mixer.tied = m->c.tied_output;
}

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
    if (m->mixed && m->mixer.m->file_type >= 0)
        LS_TRY(ls_gguf_write_int(m->w, "general.file_type", LS_GGUF_U32, m->mixer.m->file_type,
                                 m->err));
    LS_TRY(ls_mini_vocabulary(m->w, (uint32_t)m->c.n_vocab, m->err));
    start_mixer(m);
    LS_TRY(each_tensor(m, announce));
    LS_TRY(ls_mini_put_tiles(m->w, &m->tiles, m->err));
    LS_TRY(ls_gguf_write_begin(m->w, path, m->err));
    start_mixer(m);
    LS_TRY(each_tensor(m, fill));
    return ls_gguf_write_finish(m->w, m->err);
}

static int n_threads_of(const ls_mini_options *opt)
{
    long n = opt->n_threads > 0 ? opt->n_threads : sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n > 64 ? 64 : (int)n;
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
    if (opt->mixture && !ls_mixture_find(opt->mixture)) {
        return ls_fail(err, LS_ERR_UNSUPPORTED, "there is no mixture '%s'", opt->mixture);
    }
    if (!opt->mixture && !ls_mini_has_dtype(opt->dtype)) {
        const char *name = ls_dtype_name(opt->dtype);
        return ls_fail(err, LS_ERR_UNSUPPORTED, "weights of type %s cannot be made up",
                       name ? name : "?");
    }
    m.c = config_of(m.arch, opt);
    start_mixer(&m);
    LS_TRY(ls_alloc(&m.block, (size_t)AT_ONCE * PIECE, sizeof(float), "weights", err));
    status = ls_pool_create(&m.pool, n_threads_of(opt), err);
    if (status == LS_OK) status = ls_gguf_writer_create(&m.w, err);
    if (status == LS_OK) status = write_all(&m, path);
    ls_gguf_writer_destroy(m.w);
    ls_pool_destroy(m.pool);
    free(m.block);
    return status;
}

const char *ls_mini_arch(size_t i) { return ls_arch_at(i) ? ls_arch_at(i)->name : NULL; }
