// SPDX-License-Identifier: MIT
/* block.c - one layer of a model as a model of its own, for a reproduction that fits into a mail.
 *
 * Its embeddings are the hidden states that the layer read, a row for each position. Where it
 * depends on a layer's number what it computes (windows, layers without rotation), the number is
 * kept modulo the period: the layers before it are copies whose output matrices are 0, so that they
 * add nothing.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dtype/dtype.h"
#include "lockstep/convert.h"
#include "lockstep/gguf_write.h"
#include "lockstep/tokenizer.h"
#include "model/arch.h"

enum { MIN_VOCAB = 32, NAME = 128 };

typedef struct block {
    const ls_gguf          *g;
    const ls_block_options *opt;
    const ls_arch          *arch;
    ls_model_config         c;
    int32_t                 at; /* its number in the new model */
    size_t                  n_vocab;
    float                  *embeddings; /* [n_vocab][D], without rows of the model's own */
    bool                    exact;
    ls_gguf_writer         *w;
    ls_error               *err;
} block;

/* After so many layers their kinds repeat. */
static int32_t period_of(const ls_arch *a)
{
    if (a->swa_period > 1) return a->swa_period;
    return a->mini_layers > 1 ? a->mini_layers - 1 : 1;
}

static bool begins(ls_str s, const char *with)
{
    size_t n = strlen(with);
    return s.len >= n && memcmp(s.p, with, n) == 0;
}

/* ---- embeddings ---- */

/* The float that times `scale` is y, or the nearest to it. */
static float unscaled(float y, float scale, bool *exact)
{
    float x = y / scale, best = x;
    if (x * scale == y || !isfinite(y)) return x;
    for (int up = 0; up < 2; up++) {
        float z = nextafterf(x, up ? INFINITY : -INFINITY);
        if (z * scale == y) return z;
        if (fabsf(z * scale - y) < fabsf(best * scale - y)) best = z;
    }
    *exact = false;
    return best;
}

static ls_status make_embeddings(block *b)
{
    size_t D = (size_t)b->c.n_embd, n = b->opt->n_rows * D;
    float  scale = b->arch->keys & LS_KEY_EMBED_SCALE ? 1 : (float)b->c.embedding_scale;
    if (!b->opt->input) return LS_OK;
    LS_TRY(ls_alloc(&b->embeddings, b->n_vocab * D, sizeof(float), "the embeddings", b->err));
    for (size_t i = 0; i < n; i++) {
        b->embeddings[i] =
            scale == 1 ? b->opt->input[i] : unscaled(b->opt->input[i], scale, &b->exact);
    }
    return LS_OK;
}

/* ---- metadata ---- */

static bool is_kept(ls_str key)
{
    return !begins(key, "tokenizer.") && !begins(key, "split.") &&
           !begins(key, "general.base_model.");
}

/* What the file holds for each layer: the value of this one, as often as there are layers now. */
static ls_status put_layer_values(const block *b, const ls_gguf_kv *kv)
{
    static const size_t sizes[LS_GGUF_N_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    size_t              size = sizes[kv->elem_type], n = (size_t)b->at + 1;
    char                key[NAME];
    uint8_t            *v;
    ls_status           status;
    snprintf(key, sizeof(key), "%.*s", (int)kv->key.len, kv->key.p);
    LS_TRY(ls_alloc(&v, n, size, "metadata", b->err));
    for (size_t i = 0; i < n; i++) {
        memcpy(v + i * size, (const uint8_t *)kv->data + (size_t)b->opt->layer * size, size);
    }
    status = ls_gguf_write_array(b->w, key, kv->elem_type, v, n, b->err);
    free(v);
    return status;
}

static ls_status put_int(const block *b, const char *suffix, int64_t v)
{
    char key[NAME];
    snprintf(key, sizeof(key), "%s.%s", b->arch->name, suffix);
    return ls_gguf_write_int(b->w, key, LS_GGUF_U32, v, b->err);
}

static ls_status put_metadata(const block *b)
{
    ls_str name = LS_STR("a model");
    char   text[256], key[NAME];
    for (size_t i = 0; i < ls_gguf_n_kv(b->g); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(b->g, i);
        bool per_layer = kv->type == LS_GGUF_ARRAY && kv->n == (uint64_t)b->c.n_layers &&
                         kv->elem_type != LS_GGUF_STR && kv->elem_type != LS_GGUF_ARRAY &&
                         begins(kv->key, b->arch->name) && kv->key.len < NAME;
        if (!is_kept(kv->key)) continue;
        LS_TRY(per_layer ? put_layer_values(b, kv) : ls_gguf_write_kv(b->w, kv, b->err));
    }
    ls_gguf_str(b->g, "general.name", &name);
    snprintf(text, sizeof(text), "layer %d of %.*s", (int)b->opt->layer,
             (int)(name.len < 100 ? name.len : 100), name.p);
    LS_TRY(ls_gguf_write_str(b->w, "general.name", (ls_str){text, strlen(text)}, b->err));
    LS_TRY(put_int(b, "block_count", b->at + 1));
    LS_TRY(put_int(b, "vocab_size", (int64_t)b->n_vocab));
    if (!b->opt->input || !(b->arch->keys & LS_KEY_EMBED_SCALE)) return LS_OK;
    snprintf(key, sizeof(key), "%s.embedding_scale", b->arch->name);
    return ls_gguf_write_float(b->w, key, LS_GGUF_F32, 1, b->err);
}

/* A vocabulary of words that say their position: no text becomes them, ids are given. */
static ls_status put_vocabulary(const block *b)
{
    enum { TEXT = 24 };
    size_t   n = b->n_vocab;
    ls_str  *tokens = NULL;
    float   *scores = NULL;
    int32_t *types = NULL;
    char(*texts)[TEXT] = NULL;
    ls_gguf_writer *w = b->w;
    ls_error       *err = b->err;
    ls_status       status = ls_alloc(&tokens, n, sizeof(*tokens), "the vocabulary", err);
    if (status == LS_OK) status = ls_alloc(&scores, n, sizeof(*scores), "the vocabulary", err);
    if (status == LS_OK) status = ls_alloc(&types, n, sizeof(*types), "the vocabulary", err);
    if (status == LS_OK) status = ls_alloc(&texts, n, sizeof(*texts), "the vocabulary", err);
    for (size_t i = 0; status == LS_OK && i < n; i++) {
        snprintf(texts[i], TEXT, "row%zu", i);
        tokens[i] = (ls_str){texts[i], strlen(texts[i])};
        scores[i] = -(float)i;
        types[i] = LS_TOKEN_NORMAL;
    }
    if (status == LS_OK)
        status = ls_gguf_write_str(w, "tokenizer.ggml.model", LS_STR("llama"), err);
    if (status == LS_OK) status = ls_gguf_write_strs(w, "tokenizer.ggml.tokens", tokens, n, err);
    if (status == LS_OK)
        status = ls_gguf_write_array(w, "tokenizer.ggml.scores", LS_GGUF_F32, scores, n, err);
    if (status == LS_OK)
        status = ls_gguf_write_array(w, "tokenizer.ggml.token_type", LS_GGUF_I32, types, n, err);
    if (status == LS_OK) status = ls_gguf_write_bool(w, "tokenizer.ggml.add_bos_token", false, err);
    free(tokens);
    free(scores);
    free(types);
    free(texts);
    return status;
}

/* ---- tensors ---- */

/* What becomes of one. */
typedef enum fate {
    DROPPED,
    KEPT,
    CUT,        /* the first n_vocab rows, and from the top again where it has fewer */
    PICKED,     /* the rows of the ids                                               */
    EMBEDDINGS, /* the hidden states, as floats                                      */
    ZEROED,
} fate;

static fate fate_of(const block *b, const ls_tensor *t)
{
    if (begins(t->name, "blk.")) return DROPPED; /* comes with its layer */
    if (ls_str_is(t->name, "token_embd.weight")) return b->opt->input ? EMBEDDINGS : PICKED;
    if (ls_str_is(t->name, "output.weight") || ls_str_is(t->name, "output.bias")) return CUT;
    if (ls_str_is(t->name, "position_embd.weight")) return b->opt->input ? ZEROED : KEPT;
    return KEPT;
}

/* Bytes of one row of the vocabulary's, 0 where rows do not lie one after the other. */
static size_t row_bytes(const block *b, const ls_tensor *t)
{
    size_t rows = (size_t)b->c.n_vocab;
    size_t n = t->n_dims > 1 ? (size_t)t->ne[0] : 1, unit = ls_dtype_block(t->dtype);
    if (!unit || n % unit || t->n_bytes != rows * (n / unit) * ls_dtype_block_bytes(t->dtype)) {
        return 0;
    }
    return t->n_bytes / rows;
}

static ls_status announce(const block *b, ls_str name, const ls_tensor *t, fate f)
{
    int64_t  ne[LS_MAX_DIMS];
    uint32_t n_dims = t->n_dims;
    memcpy(ne, t->ne, sizeof(ne));
    if (f == CUT || f == PICKED || f == EMBEDDINGS) ne[n_dims - 1] = (int64_t)b->n_vocab;
    if ((f == CUT || f == PICKED) && !row_bytes(b, t)) {
        ls_fail(b->err, LS_ERR_UNSUPPORTED, "rows of tensor '%.*s' cannot be taken out",
                LS_FMT(t->name));
        return ls_gguf_fail_at(b->g, t->name.p, b->err), LS_ERR_UNSUPPORTED;
    }
    return ls_gguf_write_tensor(b->w, name, f == EMBEDDINGS ? LS_DTYPE_F32 : t->dtype, n_dims, ne,
                                f == KEPT || f == ZEROED ? t->n_bytes : 0, b->err);
}

static ls_status put_zeros(const block *b, size_t n)
{
    static const uint8_t zeros[4096];
    for (size_t k; n > 0; n -= k) {
        k = n < sizeof(zeros) ? n : sizeof(zeros);
        LS_TRY(ls_gguf_write_data(b->w, zeros, k, b->err));
    }
    return LS_OK;
}

static ls_status put_rows(const block *b, const ls_tensor *t, fate f)
{
    size_t size = row_bytes(b, t), rows = (size_t)b->c.n_vocab;
    for (size_t i = 0; i < b->n_vocab; i++) {
        size_t row = f == PICKED && i < b->opt->n_rows ? (size_t)b->opt->ids[i] : i % rows;
        LS_TRY(ls_gguf_write_data(b->w, (const uint8_t *)t->data + row * size, size, b->err));
    }
    return LS_OK;
}

static ls_status put_data(const block *b, const ls_tensor *t, fate f)
{
    switch (f) {
    case CUT:
    case PICKED:
        return put_rows(b, t, f);
    case EMBEDDINGS:
        return ls_gguf_write_data(b->w, b->embeddings,
                                  b->n_vocab * (size_t)b->c.n_embd * sizeof(float), b->err);
    case ZEROED:
        return put_zeros(b, t->n_bytes);
    default:
        return ls_gguf_write_data(b->w, t->data, t->n_bytes, b->err);
    }
}

/* What a layer adds to the residual stream goes through one of these. */
static bool is_output(ls_str rest)
{
    return begins(rest, "attn_output.") || begins(rest, "ffn_down.") ||
           begins(rest, "ffn_down_exps.") || begins(rest, "ffn_down_shexp.");
}

/* Tensors of the layer, once for each that stands before it and once for itself. */
static ls_status each_of_layers(const block *b, bool data)
{
    char prefix[32];
    snprintf(prefix, sizeof(prefix), "blk.%d.", (int)b->opt->layer);
    for (int32_t i = 0; i <= b->at; i++) {
        for (size_t k = 0; k < ls_gguf_n_tensors(b->g); k++) {
            const ls_tensor *t = ls_gguf_tensor_at(b->g, k);
            char             name[NAME];
            ls_str           rest = {t->name.p + strlen(prefix), t->name.len - strlen(prefix)};
            fate             f;
            if (!begins(t->name, prefix)) continue;
            f = i < b->at && is_output(rest) ? ZEROED : KEPT;
            snprintf(name, sizeof(name), "blk.%d.%.*s", (int)i, LS_FMT(rest));
            LS_TRY(data ? put_data(b, t, f) : announce(b, (ls_str){name, strlen(name)}, t, f));
        }
    }
    return LS_OK;
}

static ls_status each_tensor(const block *b, bool data)
{
    for (size_t k = 0; k < ls_gguf_n_tensors(b->g); k++) {
        const ls_tensor *t = ls_gguf_tensor_at(b->g, k);
        fate             f = fate_of(b, t);
        if (f == DROPPED) continue;
        LS_TRY(data ? put_data(b, t, f) : announce(b, t->name, t, f));
    }
    return each_of_layers(b, data);
}

static ls_status write_all(const block *b, const char *path)
{
    LS_TRY(put_metadata(b));
    LS_TRY(put_vocabulary(b));
    LS_TRY(each_tensor(b, false));
    LS_TRY(ls_gguf_write_begin(b->w, path, b->err));
    LS_TRY(each_tensor(b, true));
    return ls_gguf_write_finish(b->w, b->err);
}

/* ---- is it the same layer? ---- */

/* Some models scale by the number of their layers: what follows from the metadata must not have
 * changed. */
static ls_status check_config(const block *b, const char *path)
{
    ls_model_config c;
    const ls_arch  *arch;
    ls_gguf        *g;
    ls_status       status;
    LS_TRY(ls_gguf_open(&g, path, b->err));
    status = ls_config_read(&c, &arch, g, b->err);
    ls_gguf_close(g);
    LS_TRY(status);
    if (c.attn_scale == b->c.attn_scale && c.n_swa == b->c.n_swa && c.rope_base == b->c.rope_base &&
        c.rope_base_swa == b->c.rope_base_swa && c.rope_scale == b->c.rope_scale &&
        c.rope_scale_swa == b->c.rope_scale_swa && c.residual_scale == b->c.residual_scale &&
        c.attn_softcap == b->c.attn_softcap && c.parallel == b->c.parallel &&
        c.tied_output == b->c.tied_output) {
        return LS_OK;
    }
    remove(path);
    return ls_fail(b->err, LS_ERR_UNSUPPORTED,
                   "a layer of this model computes something else without the others");
}

static ls_status check_options(const block *b)
{
    const ls_block_options *o = b->opt;
    if (o->layer < 0 || o->layer >= b->c.n_layers)
        return ls_fail(b->err, LS_ERR_USAGE, "the model has no layer %d", (int)o->layer);
    if (o->n_rows == 0 || o->n_rows > INT32_MAX / 2)
        return ls_fail(b->err, LS_ERR_USAGE, "a block of %zu positions", o->n_rows);
    for (size_t i = 0; !o->input && i < o->n_rows; i++) {
        if (o->ids[i] < 0 || o->ids[i] >= b->c.n_vocab)
            return ls_fail(b->err, LS_ERR_USAGE, "the model has no token %d", (int)o->ids[i]);
    }
    for (size_t i = 0; i < ls_gguf_n_tensors(b->g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(b->g, i);
        if (t->data && t->name.len < NAME - 16) continue;
        return ls_fail(b->err, LS_ERR_UNSUPPORTED, "tensor '%.*s' cannot be written",
                       LS_FMT(t->name));
    }
    return LS_OK;
}

ls_status ls_convert_block(const char *path, const ls_gguf *model, const ls_block_options *opt,
                           ls_block_info *out, ls_error *err)
{
    block     b = {.g = model, .opt = opt, .exact = true, .err = err};
    ls_status status;
    *out = (ls_block_info){0};
    LS_TRY(ls_config_read(&b.c, &b.arch, model, err));
    LS_TRY(check_options(&b));
    b.at = opt->layer % period_of(b.arch);
    b.n_vocab = opt->n_rows > MIN_VOCAB ? opt->n_rows : MIN_VOCAB;
    status = make_embeddings(&b);
    if (status == LS_OK) status = ls_gguf_writer_create(&b.w, err);
    if (status == LS_OK) status = write_all(&b, path);
    if (status == LS_OK) {
        *out = (ls_block_info){b.at, (int32_t)b.n_vocab, b.exact, ls_gguf_writer_bytes(b.w)};
        status = check_config(&b, path);
    }
    ls_gguf_writer_destroy(b.w);
    free(b.embeddings);
    return status;
}
