// SPDX-License-Identifier: MIT
/* model.c - opening a model: every tensor is found, its shape checked, and used exactly once.
 *
 * After this file tensors are addressed by meaning (ls_layer), never by name. A tensor that the
 * architecture does not use is an error: skipping it would compute another model.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dtype/dtype.h"
#include "model/weights.h"

typedef struct binder {
    ls_model *m;
    bool     *used;     /* [n_tensors] */
    size_t    n_floats; /* vector elements needed (first pass) or handed out (second) */
    float    *vectors;  /* NULL in the first pass */
    ls_error *err;
} binder;

static const ls_tensor *find_tensor(binder *b, const char *name)
{
    const ls_gguf   *g = b->m->gguf;
    const ls_tensor *first = ls_gguf_tensor_at(g, 0), *t = ls_gguf_tensor(g, name);
    if (t) b->used[t - first] = true;
    return t;
}

static ls_status misfit(binder *b, const ls_tensor *t, size_t rows, size_t n)
{
    const ls_gguf *g = b->m->gguf;
    ls_fail(b->err, LS_ERR_FORMAT,
            "tensor '%.*s' has shape [%lld, %lld, %lld, %lld], the metadata ask for [%zu, %zu]",
            LS_FMT(t->name), (long long)t->ne[0], (long long)t->ne[1], (long long)t->ne[2],
            (long long)t->ne[3], n, rows);
    ls_fail_at(b->err, "%s: byte %llu", ls_gguf_path(g),
               (unsigned long long)ls_gguf_offset(g, t->name.p));
    return LS_ERR_FORMAT;
}

static ls_status check_tensor(binder *b, const ls_tensor *t, const char *name, size_t rows,
                              size_t n)
{
    const ls_gguf *g = b->m->gguf;
    if (!t) {
        ls_fail(b->err, LS_ERR_FORMAT, "tensor '%s' is missing", name);
        ls_fail_at(b->err, "%s: byte %llu (end of the tensor directory)", ls_gguf_path(g),
                   (unsigned long long)ls_gguf_data_off(g));
        return LS_ERR_FORMAT;
    }
    if ((size_t)t->ne[0] != n || (size_t)t->ne[1] != rows || t->ne[2] != 1 || t->ne[3] != 1) {
        return misfit(b, t, rows, n);
    }
    if (!t->data) {
        ls_fail(b->err, LS_ERR_UNSUPPORTED,
                "tensor '%s' has type %s, which Lockstep does not "
                "decode",
                name, ls_dtype_name(t->dtype));
        ls_fail_at(b->err, "%s: byte %llu", ls_gguf_path(g),
                   (unsigned long long)ls_gguf_offset(g, t->name.p));
        return LS_ERR_UNSUPPORTED;
    }
    return LS_OK;
}

static ls_status bind_matrix(binder *b, ls_matrix *out, const char *name, size_t rows, size_t n)
{
    const ls_tensor *t = find_tensor(b, name);
    LS_TRY(check_tensor(b, t, name, rows, n));
    *out = (ls_matrix){
        .data = t->data,
        .dtype = t->dtype,
        .n_rows = rows,
        .n = n,
        .row_bytes = ls_dtype_row_bytes(t->dtype, n),
        .scale = ls_dtype_tensor_scale(t->dtype, t->data, rows * n),
    };
    return LS_OK;
}

/* Vectors are decoded to float into one allocation: counted in the first pass, filled in the
 * second. */
static ls_status bind_vector(binder *b, const float **out, const char *name, size_t n)
{
    const ls_tensor *t = find_tensor(b, name);
    LS_TRY(check_tensor(b, t, name, 1, n));
    if (b->vectors) {
        float *v = b->vectors + b->n_floats;
        ls_dtype_decode(t->dtype, v, t->data, n, ls_dtype_tensor_scale(t->dtype, t->data, n));
        *out = v;
    }
    b->n_floats += (n + 15) & ~(size_t)15;
    return LS_OK;
}

static ls_status bind_layer(binder *b, ls_layer *l, int i)
{
    const ls_model_config *c = &b->m->config;
    size_t                 D = (size_t)c->n_embd, F = (size_t)c->n_ff,
           HK = (size_t)c->n_heads * (size_t)c->head_dim,
           GK = (size_t)c->n_kv_heads * (size_t)c->head_dim;
    const struct {
        const char *name;
        ls_matrix  *m;
        size_t      rows, n;
    } matrices[] = {
        {"attn_q", &l->q, HK, D},      {"attn_k", &l->k, GK, D},     {"attn_v", &l->v, GK, D},
        {"attn_output", &l->o, D, HK}, {"ffn_gate", &l->gate, F, D}, {"ffn_up", &l->up, F, D},
        {"ffn_down", &l->down, D, F},
    };
    const struct {
        const char   *name;
        const float **v;
        size_t        n;
        bool          wanted;
    } vectors[] = {
        {"attn_norm", &l->attn_norm, D, true},
        {"attn_sub_norm", &l->attn_sub_norm, HK, c->sub_norms},
        {"ffn_norm", &l->ffn_norm, D, true},
        {"ffn_sub_norm", &l->ffn_sub_norm, F, c->sub_norms},
    };
    char name[64];
    for (size_t j = 0; j < sizeof(matrices) / sizeof(matrices[0]); j++) {
        snprintf(name, sizeof(name), "blk.%d.%s.weight", i, matrices[j].name);
        LS_TRY(bind_matrix(b, matrices[j].m, name, matrices[j].rows, matrices[j].n));
    }
    for (size_t j = 0; j < sizeof(vectors) / sizeof(vectors[0]); j++) {
        if (!vectors[j].wanted) continue;
        snprintf(name, sizeof(name), "blk.%d.%s.weight", i, vectors[j].name);
        LS_TRY(bind_vector(b, vectors[j].v, name, vectors[j].n));
    }
    return LS_OK;
}

static ls_status bind_all(binder *b)
{
    ls_model        *m = b->m;
    ls_model_config *c = &m->config;
    size_t           D = (size_t)c->n_embd, V = (size_t)c->n_vocab;

    b->n_floats = 0;
    LS_TRY(bind_matrix(b, &m->token_embd, "token_embd.weight", V, D));
    LS_TRY(bind_vector(b, &m->output_norm, "output_norm.weight", D));
    c->tied_output = !ls_gguf_tensor(m->gguf, "output.weight");
    if (c->tied_output) {
        m->output = m->token_embd;
    } else {
        LS_TRY(bind_matrix(b, &m->output, "output.weight", V, D));
    }
    if (ls_gguf_tensor(m->gguf, "rope_freqs.weight")) {
        LS_TRY(bind_vector(b, &m->rope_factors, "rope_freqs.weight", (size_t)c->rope_dims / 2));
    }
    for (int i = 0; i < c->n_layers; i++) LS_TRY(bind_layer(b, &m->layers[i], i));
    return LS_OK;
}

static ls_status refuse_unused(const binder *b)
{
    const ls_gguf *g = b->m->gguf;
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        if (b->used[i]) continue;
        ls_fail(b->err, LS_ERR_UNSUPPORTED, "architecture '%s' has no use for tensor '%.*s'",
                b->m->config.arch, LS_FMT(t->name));
        ls_fail_at(b->err, "%s: byte %llu", ls_gguf_path(g),
                   (unsigned long long)ls_gguf_offset(g, t->name.p));
        ls_fail_hint(b->err, "evaluating the model without it would give other numbers");
        return LS_ERR_UNSUPPORTED;
    }
    return LS_OK;
}

static ls_status bind_model(ls_model *m, ls_error *err)
{
    binder    b = {.m = m, .err = err};
    ls_status status;

    LS_TRY(ls_alloc(&m->layers, (size_t)m->config.n_layers, sizeof(*m->layers), "the layers", err));
    LS_TRY(ls_alloc(&b.used, ls_gguf_n_tensors(m->gguf), sizeof(*b.used), "the layers", err));
    status = bind_all(&b);
    if (status == LS_OK) status = refuse_unused(&b);
    if (status == LS_OK) {
        status = ls_alloc_aligned(&m->vectors, b.n_floats, sizeof(float), "the norm weights", err);
    }
    if (status == LS_OK) {
        b.vectors = m->vectors;
        status = bind_all(&b);
    }
    free(b.used);
    return status;
}

ls_status ls_model_open(ls_model **out, const char *path, ls_error *err)
{
    ls_model *m;
    ls_status status;

    *out = NULL;
    LS_TRY(ls_alloc(&m, 1, sizeof(*m), "a model", err));
    status = ls_gguf_open(&m->gguf, path, err);
    if (status == LS_OK) status = ls_config_read(&m->config, m->gguf, err);
    if (status == LS_OK) status = bind_model(m, err);
    if (status != LS_OK) {
        ls_model_close(m);
        return status;
    }
    *out = m;
    return LS_OK;
}

void ls_model_close(ls_model *m)
{
    if (!m) return;
    ls_gguf_close(m->gguf);
    free(m->layers);
    free(m->vectors);
    free(m);
}

const ls_gguf         *ls_model_gguf(const ls_model *m) { return m->gguf; }
const ls_model_config *ls_model_get_config(const ls_model *m) { return &m->config; }
