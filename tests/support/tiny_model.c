// SPDX-License-Identifier: MIT
/* tiny_model.c - see tiny_model.h. */
#include "support/tiny_model.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "convert/mini_priv.h"
#include "dtype/dtype.h"
#include "dtype/packed.h"
#include "lockstep/mini.h"
#include "support/rng.h"

/* ---- vocabulary ---- */

enum { N_SPECIAL = 3, N_BYTES = 256, N_LETTERS = 27 };

static void token_text(uint32_t id, char *out, size_t cap)
{
    static const char *const special[N_SPECIAL] = {"<unk>", "<s>", "</s>"};
    if (id < N_SPECIAL)
        snprintf(out, cap, "%s", special[id]);
    else if (id < N_SPECIAL + N_BYTES)
        snprintf(out, cap, "<0x%02X>", id - N_SPECIAL);
    else if (id == N_SPECIAL + N_BYTES)
        snprintf(out, cap, "\xe2\x96\x81");
    else if (id < N_SPECIAL + N_BYTES + N_LETTERS)
        snprintf(out, cap, "%c", (int)('a' + id - N_SPECIAL - N_BYTES - 1));
    else
        snprintf(out, cap, "w%u", id);
}

static uint32_t token_type(uint32_t id) /* values of the format: unknown, control, byte, normal */
{
    if (id < N_SPECIAL) return id == 0 ? 2 : 3;
    return id < N_SPECIAL + N_BYTES ? 6 : 1;
}

void tiny_model_put_vocabulary(gguf_build *b, uint32_t vocab)
{
    char text[32];
    gguf_build_kv_str(b, "tokenizer.ggml.model", "llama");
    gguf_build_kv_array(b, "tokenizer.ggml.tokens", 8, vocab);
    for (uint32_t i = 0; i < vocab; i++) {
        token_text(i, text, sizeof(text));
        gguf_build_str(b, text);
    }
    gguf_build_kv_array(b, "tokenizer.ggml.scores", 6, vocab);
    for (uint32_t i = 0; i < vocab; i++) gguf_build_f32(b, -(float)i);
    gguf_build_kv_array(b, "tokenizer.ggml.token_type", 5, vocab);
    for (uint32_t i = 0; i < vocab; i++) gguf_build_u32(b, token_type(i));
    gguf_build_kv_u32(b, "tokenizer.ggml.bos_token_id", 1);
    gguf_build_kv_u32(b, "tokenizer.ggml.eos_token_id", 2);
    gguf_build_kv_u32(b, "tokenizer.ggml.unknown_token_id", 0);
}

/* ---- tensors ---- */

typedef struct plan { /* one pass counts, the next writes the directory, the last the data */
    gguf_build *b;
    enum { COUNT, DIRECTORY, DATA } pass;
    uint64_t n, offset;
    uint32_t dtype;
    rng      r;
} plan;

static const uint8_t scale_tail[32] = {0, 0, 0, 0x3d}; /* 2^-5, behind ternary codes */

static bool is_tiled(uint32_t dtype) { return dtype == LS_DTYPE_TL1 || dtype == LS_DTYPE_TL2; }

/* Scales such that values stay near those of the other types: of numbers that are whole, of blocks
 * whose scale would else be any, and of ternary codes, whose scale is behind them. */
static bool put_small(plan *p, uint32_t dtype, size_t n)
{
    size_t  block = ls_dtype_block_bytes((int)dtype), count = n;
    uint8_t bytes[320];
    bool    whole = dtype == LS_DTYPE_I16 || dtype == LS_DTYPE_I32 || dtype == LS_DTYPE_I64;
    bool    ternary = dtype == LS_DTYPE_I2_S, sums = dtype == LS_DTYPE_Q8_1;
    if (!ls_mini_has_dtype((int)dtype) && !whole && !sums) return false;
    for (count = n / ls_dtype_block((int)dtype); count; count--) {
        memset(bytes, 0, sizeof(bytes));
        if (whole)
            rng_bytes(&p->r, bytes, 1);
        else if (sums)
            rng_bytes(&p->r, bytes + 4, 32);
        else
            ls_mini_draw((int)dtype, bytes, ls_dtype_block((int)dtype), 0.125f, true, &p->r.state);
        if (sums) bytes[1] = 0x14; /* scale 2^-10, as of Q8_0 */
        gguf_build_bytes(p->b, bytes, block);
    }
    if (ternary) gguf_build_bytes(p->b, scale_tail, sizeof(scale_tail));
    return true;
}

static void put_weights(plan *p, uint32_t dtype, size_t rows, size_t n_per_row, bool norm)
{
    size_t n = rows * n_per_row;
    if (is_tiled(dtype)) {
        for (size_t i = ls_matrix_bytes((int)dtype, rows, n_per_row) - sizeof(scale_tail); i; i--) {
            uint64_t bits = rng_next(&p->r);
            gguf_build_bytes(p->b, &bits, 1);
        }
        gguf_build_bytes(p->b, scale_tail, sizeof(scale_tail));
        return;
    }
    if (dtype > 1 && dtype != LS_DTYPE_BF16 && dtype != 8 && put_small(p, dtype, n)) return;
    if (dtype == 8) {
        for (size_t i = 0; i < n / 32; i++) {
            uint8_t block[34] = {0x00, 0x14}; /* scale 2^-10 */
            rng_bytes(&p->r, block + 2, 32);
            gguf_build_bytes(p->b, block, sizeof(block));
        }
        return;
    }
    for (size_t i = ls_matrix_bytes((int)dtype, rows, n_per_row); i && dtype > 1; i--) {
        /* scales below 2 */
        bool exponent = dtype == LS_DTYPE_MXFP4 && i % 17 == 0; /* of a scale: 2^-8 to 2^-5 */
        gguf_build_fill(p->b,
                        (uint8_t)(exponent ? 120 + rng_below(&p->r, 4) : rng_below(&p->r, 64)), 1);
    }
    for (size_t i = 0; i < n && dtype <= 1; i++) {
        float    x = rng_unit(&p->r);
        uint16_t h = (uint16_t)((rng_next(&p->r) & 0x83ff) | 11 << 10); /* 2^-4 to 2^-3 */
        if (dtype == 1)
            gguf_build_bytes(p->b, &h, 2);
        else
            gguf_build_f32(p->b, norm ? 1.0f + 0.25f * x : 0.125f * x);
    }
}

/* Of I2_S32_SPLIT: the scales are a tensor of their own. */
static void scales(plan *p, const char *name, size_t n)
{
    const uint64_t ne[2] = {n, 1};
    char           own[80];
    snprintf(own, sizeof(own), "%.*s.scale", (int)(strlen(name) - strlen(".weight")), name);
    if (p->pass == COUNT) p->n++;
    if (p->pass == DIRECTORY) {
        gguf_build_tensor(p->b, own, 1, ne, LS_DTYPE_F16, p->offset);
        p->offset += (2 * n + 31) / 32 * 32;
    }
    if (p->pass == DATA) {
        put_weights(p, LS_DTYPE_F16, 1, n, false);
        gguf_build_pad(p->b, 32);
    }
}

static uint32_t type_of(const plan *p, uint64_t n, uint64_t rows)
{
    ls_tiles tiles;
    bool     fits = is_tiled(p->dtype) ? ls_tiles_for((int)p->dtype, rows, n, &tiles)
                                       : n % ls_dtype_block((int)p->dtype) == 0;
    return fits ? p->dtype : LS_DTYPE_Q8_0;
}

static void tensor(plan *p, const char *name, uint64_t n, uint64_t rows)
{
    uint64_t ne[2] = {n, rows};
    uint32_t dtype = rows ? type_of(p, n, rows) : LS_DTYPE_F32;
    size_t   high = (size_t)(rows ? rows : 1);
    if (p->pass == COUNT) p->n++;
    if (p->pass == DIRECTORY) {
        gguf_build_tensor(p->b, name, rows ? 2 : 1, ne, (uint32_t)ls_dtype_file_id((int)dtype),
                          p->offset);
        p->offset += (ls_matrix_bytes((int)dtype, high, (size_t)n) + 31) / 32 * 32;
    }
    if (p->pass == DATA) {
        put_weights(p, dtype, high, (size_t)n, !rows);
        gguf_build_pad(p->b, 32);
    }
    if (dtype == LS_DTYPE_I2_S32_SPLIT) scales(p, name, high * (size_t)n / 32);
}

static void all_tensors(plan *p, const tiny_model *t)
{
    uint32_t q = t->head * TINY_HEADS, kv = t->head * TINY_KV_HEADS;
    bool     sub_norms = strncmp(t->arch, "bitnet", 6) == 0;
    const struct {
        const char *name;
        uint64_t    n, rows;
        bool        wanted;
    } layer[] = {
        {"attn_norm", t->d, 0, true},       {"attn_q", t->d, q, true},
        {"attn_k", t->d, kv, true},         {"attn_v", t->d, kv, true},
        {"attn_sub_norm", q, 0, sub_norms}, {"attn_output", q, t->d, true},
        {"ffn_norm", t->d, 0, true},        {"ffn_gate", t->d, t->ff, true},
        {"ffn_up", t->d, t->ff, true},      {"ffn_sub_norm", t->ff, 0, sub_norms},
        {"ffn_down", t->ff, t->d, true},
    };
    char name[64];
    tensor(p, "token_embd.weight", t->d, t->vocab);
    tensor(p, "output_norm.weight", t->d, 0);
    for (uint32_t i = 0; i < t->layers; i++) {
        for (size_t j = 0; j < sizeof(layer) / sizeof(layer[0]); j++) {
            if (!layer[j].wanted) continue;
            snprintf(name, sizeof(name), "blk.%u.%s.weight", i, layer[j].name);
            tensor(p, name, layer[j].n, layer[j].rows);
        }
    }
}

static void put_config(gguf_build *b, const tiny_model *t)
{
    const struct {
        const char *key;
        uint32_t    v;
    } numbers[] = {
        {"block_count", t->layers},           {"context_length", t->ctx},
        {"embedding_length", t->d},           {"feed_forward_length", t->ff},
        {"attention.head_count", TINY_HEADS}, {"attention.head_count_kv", TINY_KV_HEADS},
        {"attention.key_length", t->head},    {"attention.value_length", t->head},
        {"rope.dimension_count", t->head},    {"vocab_size", t->vocab},
    };
    char key[64];
    gguf_build_kv_str(b, "general.architecture", t->arch);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        snprintf(key, sizeof(key), "%s.%s", t->arch, numbers[i].key);
        gguf_build_kv_u32(b, key, numbers[i].v);
    }
    snprintf(key, sizeof(key), "%s.attention.layer_norm_rms_epsilon", t->arch);
    gguf_build_kv_f32(b, key, 1e-5f);
}

/* How TL1 and TL2 matrices of these shapes are cut. */
static void put_tiles(gguf_build *b, const tiny_model *t)
{
    uint32_t       q = t->head * TINY_HEADS, kv = t->head * TINY_KV_HEADS;
    const uint32_t shapes[][2] = {{t->vocab, t->d}, {q, t->d},     {t->d, q},
                                  {kv, t->d},       {t->ff, t->d}, {t->d, t->ff}};
    gguf_build_kv_array(b, LS_KEY_TILES, 4, 5 * 6);
    for (size_t i = 0; i < 6; i++) {
        ls_tiles s = {0};
        ls_tiles_for((int)t->dtype, shapes[i][0], shapes[i][1], &s);
        gguf_build_u32(b, shapes[i][0]);
        gguf_build_u32(b, shapes[i][1]);
        gguf_build_u32(b, s.bm);
        gguf_build_u32(b, s.bk);
        gguf_build_u32(b, s.bmm);
    }
}

void tiny_model_build(gguf_build *b, const tiny_model *model)
{
    tiny_model t = *model;
    plan       p = {.b = b};
    bool       tiled = is_tiled(t.dtype);
    if (!t.arch) t.arch = "llama";
    if (!t.d) t.d = 32;
    if (!t.ff) t.ff = 64;
    if (!t.layers) t.layers = 1;
    if (!t.ctx) t.ctx = 64;
    if (!t.vocab) t.vocab = 300;
    if (!t.head) t.head = t.d / TINY_HEADS;
    p.dtype = t.dtype;
    p.r.state = t.seed;
    all_tensors(&p, &t);
    gguf_build_header(b, 3, p.n, 12 + TINY_VOCABULARY_KEYS + (tiled ? 1 : 0));
    put_config(b, &t);
    if (tiled) put_tiles(b, &t);
    tiny_model_put_vocabulary(b, t.vocab);
    p.pass = DIRECTORY;
    all_tensors(&p, &t);
    gguf_build_pad(b, 32);
    p.pass = DATA;
    all_tensors(&p, &t);
}
