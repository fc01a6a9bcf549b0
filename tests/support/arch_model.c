// SPDX-License-Identifier: MIT
/* arch_model.c - see arch_model.h. */
#include "support/arch_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dtype/dtype.h"
#include "model/arch.h"
#include "support/rng.h"
#include "support/tiny_model.h"

typedef struct plan { /* one pass counts, the next writes the directory, the last the data */
    gguf_build     *b;
    const ls_arch  *arch;
    ls_model_config c;
    enum { COUNT, DIRECTORY, DATA } pass;
    uint64_t n, n_kv, offset;
    uint32_t dtype;
    bool     variant;
    rng      r;
} plan;

static ls_model_config config_of(const ls_arch *arch, bool variant)
{
    bool            moe = arch->keys & LS_KEY_EXPERTS && (variant || arch->keys & LS_KEY_EXPERT_FF);
    ls_model_config c = {.n_embd = 256,
                         .n_heads = 8,
                         .n_kv_heads = 2,
                         .head_dim = 32,
                         .n_ff = 512,
                         .n_vocab = 320,
                         .n_ctx_train = 512,
                         .n_layers = 2,
                         .rope_dims = 32};
    if (strcmp(arch->name, "olmoe") == 0) moe = true, c.n_kv_heads = 8;
    if (strcmp(arch->name, "gpt2") == 0) c.n_kv_heads = 8;
    if (strcmp(arch->name, "stablelm") == 0 || strcmp(arch->name, "gptneox") == 0) c.rope_dims = 16;
    if (strcmp(arch->name, "smollm3") == 0) c.n_layers = 5;
    if (arch->keys & LS_KEY_WINDOW) c.n_layers = arch->swa_period + 1;
    if (!moe) return c;
    c.n_expert = 4;
    c.n_expert_used = 2;
    c.n_ff_expert = arch->keys & LS_KEY_EXPERT_FF ? 256 : c.n_ff;
    c.n_ff_shared = 256;
    return c;
}

/* ---- metadata ---- */

static void key_u32(plan *p, const char *suffix, uint32_t v)
{
    char key[96];
    snprintf(key, sizeof(key), "%s.%s", p->arch->name, suffix);
    gguf_build_kv_u32(p->b, key, v);
    p->n_kv++;
}

static void key_f32(plan *p, const char *suffix, float v)
{
    char key[96];
    snprintf(key, sizeof(key), "%s.%s", p->arch->name, suffix);
    gguf_build_kv_f32(p->b, key, v);
    p->n_kv++;
}

static void put_config(plan *p)
{
    const ls_model_config *c = &p->c;
    unsigned               keys = p->arch->keys;
    char                   name[64];
    key_u32(p, "block_count", (uint32_t)c->n_layers);
    key_u32(p, "context_length", (uint32_t)c->n_ctx_train);
    key_u32(p, "embedding_length", (uint32_t)c->n_embd);
    key_u32(p, "feed_forward_length", (uint32_t)c->n_ff);
    key_u32(p, "attention.head_count", (uint32_t)c->n_heads);
    key_u32(p, "attention.head_count_kv", (uint32_t)c->n_kv_heads);
    key_u32(p, "rope.dimension_count", (uint32_t)c->rope_dims);
    key_u32(p, "vocab_size", (uint32_t)c->n_vocab);
    key_f32(p,
            p->arch->layer_norm ? "attention.layer_norm_epsilon"
                                : "attention.layer_norm_rms_epsilon",
            1e-5f);
    if (c->n_expert) {
        key_u32(p, "expert_count", (uint32_t)c->n_expert);
        key_u32(p, "expert_used_count", (uint32_t)c->n_expert_used);
    }
    if (keys & LS_KEY_EXPERT_FF) key_u32(p, "expert_feed_forward_length", (uint32_t)c->n_ff_expert);
    if (keys & LS_KEY_SHARED_FF) {
        key_u32(p, "expert_shared_feed_forward_length", (uint32_t)c->n_ff_shared);
    }
    if (keys & LS_KEY_WINDOW) key_u32(p, "attention.sliding_window", 24);
    if (keys & LS_KEY_ATTN_SOFTCAP) key_f32(p, "attn_logit_softcapping", 5);
    if (keys & LS_KEY_FINAL_SOFTCAP) key_f32(p, "final_logit_softcapping", 8);
    if (keys & LS_KEY_LOGIT_SCALE) key_f32(p, "logit_scale", 0.75f);
    if (keys & LS_KEY_RESIDUAL_SCALE) key_f32(p, "residual_scale", 0.5f);
    if (keys & LS_KEY_EMBED_SCALE) key_f32(p, "embedding_scale", 3);
    if (keys & LS_KEY_ATTN_SCALE && p->variant) key_f32(p, "attention.scale", 0.125f);
    if (keys & LS_KEY_PARALLEL) {
        snprintf(name, sizeof(name), "%s.use_parallel_residual", p->arch->name);
        gguf_build_key(p->b, name, 7);
        gguf_build_u8(p->b, p->variant);
        p->n_kv++;
    }
}

/* ---- tensors ---- */

static void put_floats(plan *p, uint32_t dtype, size_t n, float scale, float centre)
{
    for (size_t i = 0; i < n; i++) {
        float    x = centre + scale * rng_unit(&p->r);
        uint16_t h = ls_f32_to_f16(x);
        if (dtype == LS_DTYPE_F16) {
            gguf_build_bytes(p->b, &h, 2);
        } else {
            gguf_build_f32(p->b, x);
        }
    }
}

/* Any bytes are codes; the scales in front (Q4_K: of the codes and of their minimum) are set. */
static void put_blocks(plan *p, uint32_t dtype, size_t n, float scale)
{
    size_t bytes = ls_dtype_block_bytes((int)dtype), count = n / ls_dtype_block((int)dtype);
    for (size_t i = 0; i < count; i++) {
        uint8_t  block[256];
        uint16_t d = ls_f32_to_f16(dtype == LS_DTYPE_Q8_0 ? scale / 127 : scale / 256);
        uint16_t m = ls_f32_to_f16(scale / 32);
        rng_bytes(&p->r, block, bytes);
        memcpy(block, &d, 2);
        if (dtype == LS_DTYPE_Q4_K) memcpy(block + 2, &m, 2);
        gguf_build_bytes(p->b, block, bytes);
    }
}

static void put_tensor(plan *p, const ls_weight *w, const char *name)
{
    const ls_model_config *c = &p->c;
    size_t   cols = ls_dim_of(c, w->cols), rows = ls_dim_of(c, w->of ? w->of : w->rows);
    bool     vector = w->kind == LS_W_VECTOR, bias = strstr(name, ".bias") || strstr(name, "sinks");
    size_t   E = w->kind == LS_W_EXPERTS ? (size_t)c->n_expert : 1;
    uint64_t ne[3] = {vector && w->of ? rows : cols, vector && w->of ? 1 : rows, E};
    uint32_t n_dims = E > 1 ? 3 : ne[1] > 1 || !vector ? 2 : 1;
    bool     plain = vector || strstr(name, "gate_inp") || strstr(name, "position_embd");
    uint32_t dtype = plain ? 0 : p->dtype;
    size_t   n = (size_t)(ne[0] * ne[1] * ne[2]);
    if (strstr(name, "gate_inp_shexp")) n_dims = 1;
    if (p->pass == COUNT) p->n++;
    if (p->pass == DIRECTORY) {
        gguf_build_tensor(p->b, name, n_dims, ne, dtype, p->offset);
        p->offset += (ls_dtype_tensor_bytes((int)dtype, n) + 31) / 32 * 32;
    }
    if (p->pass != DATA) return;
    if (dtype > 1) {
        put_blocks(p, dtype, n, 2.0f / sqrtf((float)cols));
    } else if (vector) {
        put_floats(p, 0, n, 0.25f, bias ? 0.0f : 1.0f);
    } else {
        put_floats(p, dtype, n, 2.0f / sqrtf((float)cols), 0);
    }
    gguf_build_pad(p->b, 32);
}

static bool wanted(const plan *p, const ls_weight *w)
{
    if (w->from != LS_DIM_1) return false; /* a part of a tensor that is there already */
    if (strcmp(w->name, "output.weight") == 0)
        return !strstr("gemma gemma2 command-r bitnet", p->arch->name);
    if (w->when == LS_OPTIONAL_DENSE) return p->variant && !p->c.n_expert;
    if (strcmp(p->arch->name, "command-r") == 0 && w->when == LS_OPTIONAL)
        return false; /* 64 layers */
    if (w->when == LS_OPTIONAL) return p->variant || strstr(w->name, "qkv.bias");
    return w->when == LS_NEEDED || (w->when == LS_MOE) == (p->c.n_expert > 0);
}

static void all_tensors(plan *p)
{
    for (const ls_weight *w = p->arch->globals; w->name; w++) {
        if (wanted(p, w)) put_tensor(p, w, w->name);
    }
    for (int32_t i = 0; i < p->c.n_layers; i++) {
        for (const ls_weight *w = p->arch->weights; w->name; w++) {
            char name[96];
            snprintf(name, sizeof(name), "blk.%d.%s", (int)i, w->name);
            if (wanted(p, w)) put_tensor(p, w, name);
        }
    }
}

bool arch_model_build(gguf_build *b, const char *arch, uint32_t dtype, uint64_t seed, bool variant)
{
    gguf_build metadata = {0};
    plan       p = {.dtype = dtype, .r = {seed}, .variant = variant};
    p.arch = ls_arch_find((ls_str){arch, strlen(arch)});
    if (!p.arch) return false;
    p.c = config_of(p.arch, variant);
    all_tensors(&p);
    p.b = &metadata;
    gguf_build_kv_str(&metadata, "general.architecture", arch);
    put_config(&p);
    tiny_model_put_vocabulary(&metadata, (uint32_t)p.c.n_vocab);
    gguf_build_header(b, 3, p.n, p.n_kv + 1 + TINY_VOCABULARY_KEYS);
    gguf_build_bytes(b, metadata.data, metadata.n);
    gguf_build_free(&metadata);
    p.b = b;
    p.pass = DIRECTORY;
    all_tensors(&p);
    gguf_build_pad(b, 32);
    p.pass = DATA;
    all_tensors(&p);
    return true;
}
