// SPDX-License-Identifier: MIT
/* bind.c - tensors of the file to weights by meaning, as the architecture's tables say.
 *
 * A tensor that the architecture does not use is an error: skipping it would compute another
 * model. Vectors are decoded to float into one allocation: a first pass counts, a second fills.
 * Rows of packed matrices, which take much longer, are shared between the machine's processors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "dtype/dtype.h"
#include "dtype/packed.h"
#include "model/arch.h"
#include "model/unpack.h"

typedef struct binder {
    ls_model *m;
    bool     *used;     /* [n_tensors] */
    size_t    n_floats; /* vector elements needed (first pass) or handed out (second) */
    float    *vectors;  /* NULL in the first pass */
    size_t    n_bytes;  /* the same for rows of packed matrices */
    uint8_t  *unpacked;
    ls_pool  *pool; /* for these */
    ls_error *err;
} binder;

size_t ls_dim_of(const ls_model_config *c, ls_dim d)
{
    size_t Q = (size_t)c->n_heads * (size_t)c->head_dim,
           KV = (size_t)c->n_kv_heads * (size_t)c->head_dim;
    size_t sizes[LS_N_DIMS] = {
        [LS_DIM_1] = 1,
        [LS_DIM_D] = (size_t)c->n_embd,
        [LS_DIM_Q] = Q,
        [LS_DIM_KV] = KV,
        [LS_DIM_QK] = Q + KV,
        [LS_DIM_QKV] = Q + 2 * KV,
        [LS_DIM_F] = (size_t)c->n_ff,
        [LS_DIM_2F] = 2 * (size_t)c->n_ff,
        [LS_DIM_K] = (size_t)c->head_dim,
        [LS_DIM_H] = (size_t)c->n_heads,
        [LS_DIM_G] = (size_t)c->n_kv_heads,
        [LS_DIM_V] = (size_t)c->n_vocab,
        [LS_DIM_P] = (size_t)c->n_ctx_train,
        [LS_DIM_R] = (size_t)c->rope_dims / 2,
        [LS_DIM_E] = (size_t)c->n_expert,
        [LS_DIM_FE] = (size_t)c->n_ff_expert,
        [LS_DIM_FS] = (size_t)c->n_ff_shared,
    };
    return sizes[d];
}

static const ls_tensor *find_tensor(binder *b, const char *name)
{
    const ls_gguf   *g = b->m->gguf;
    const ls_tensor *t = ls_gguf_tensor(g, name);
    if (t) b->used[t - ls_gguf_tensor_at(g, 0)] = true;
    return t;
}

static void at_tensor(binder *b, const ls_tensor *t)
{
    ls_gguf_fail_at(b->m->gguf, t->name.p, b->err);
}

/* The tensor must have shape [n, rows, depth]; vectors of several rows may be stored flat. */
static ls_status check_shape(binder *b, const ls_tensor *t, size_t n, size_t rows, size_t depth,
                             bool flat)
{
    size_t ne[4] = {(size_t)t->ne[0], (size_t)t->ne[1], (size_t)t->ne[2], (size_t)t->ne[3]};
    if (ne[0] == n && ne[1] == rows && ne[2] == depth && ne[3] == 1) return LS_OK;
    if (flat && ne[0] == n * rows && ne[1] == 1 && ne[2] == 1 && ne[3] == 1) return LS_OK;
    ls_fail(b->err, LS_ERR_FORMAT,
            "tensor '%.*s' has shape [%zu, %zu, %zu, %zu], the metadata ask for [%zu, %zu, %zu]",
            LS_FMT(t->name), ne[0], ne[1], ne[2], ne[3], n, rows, depth);
    at_tensor(b, t);
    return LS_ERR_FORMAT;
}

static ls_status check_type(binder *b, const ls_tensor *t)
{
    if (t->data) return LS_OK;
    if (t->dtype == LS_DTYPE_TL1 || t->dtype == LS_DTYPE_TL2) {
        ls_fail(b->err, LS_ERR_UNSUPPORTED,
                "nothing says how tensor '%.*s' is cut into tiles: bitnet.cpp has no preset for %s "
                "of %lld rows of %lld elements",
                LS_FMT(t->name), ls_dtype_name(t->dtype), (long long)t->ne[1], (long long)t->ne[0]);
        at_tensor(b, t);
        ls_fail_hint(b->err, "`lockstep model convert --kernels kernel_config.ini`, with the file "
                             "that the build was made with, writes it into the model");
        return LS_ERR_UNSUPPORTED;
    }
    ls_fail(b->err, LS_ERR_UNSUPPORTED, "tensor '%.*s' has type %s, which Lockstep does not decode",
            LS_FMT(t->name), ls_dtype_name(t->dtype));
    at_tensor(b, t);
    return LS_ERR_UNSUPPORTED;
}

static ls_status missing(binder *b, const char *name)
{
    const ls_gguf *g = b->m->gguf;
    ls_fail(b->err, LS_ERR_FORMAT, "tensor '%s' is missing", name);
    ls_fail_at(b->err, "%s: byte %llu (end of the tensor directory)", ls_gguf_path(g),
               (unsigned long long)ls_gguf_data_off(g));
    return LS_ERR_FORMAT;
}

static void bind_vector(binder *b, const float **out, const ls_tensor *t, size_t from, size_t n)
{
    size_t all = (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
    if (b->vectors) {
        float *v = b->vectors + b->n_floats;
        ls_tensor_decode(v, t, 0, all / (size_t)t->ne[0]);
        *out = v + from;
    }
    (void)n;
    b->n_floats += (all + 15) & ~(size_t)15;
}

/* A tensor of scales belongs to the matrix that it scales. */
static void use_scales(binder *b, const ls_tensor *t)
{
    const ls_gguf *g = b->m->gguf;
    for (size_t i = 0; i < ls_gguf_n_tensors(g) && t->scales; i++) {
        if (ls_gguf_tensor_at(g, i)->data == t->scales) b->used[i] = true;
    }
}

bool ls_lookup_pays(int dtype, ls_tier tier)
{
    return dtype == LS_DTYPE_TL2 && (tier == LS_TIER_AVX2 || tier == LS_TIER_AVX512);
}

typedef struct unpacking {
    const ls_tensor *t;
    uint8_t         *out;
    size_t           row_bytes, from;
    int              dtype;
    _Atomic bool     failed;
} unpacking;

static void unpack_rows(void *ctx, size_t begin, size_t end, int thread)
{
    unpacking *u = ctx;
    (void)thread;
    if (ls_unpack(u->out + begin * u->row_bytes, u->dtype, u->t, u->from + begin, end - begin,
                  NULL) != LS_OK)
        u->failed = true;
}

/* Rows that a thread takes at a time: those of one tile of most tensors. */
enum { ROWS_AT_ONCE = 64 };

static ls_status unpack(binder *b, uint8_t *out, const ls_matrix *w, const ls_tensor *t,
                        size_t from)
{
    unpacking u = {.t = t, .out = out, .row_bytes = w->row_bytes, .from = from, .dtype = w->dtype};
    ls_pool_run(b->pool, unpack_rows, &u, w->n_rows, ROWS_AT_ONCE);
    return u.failed ? ls_fail(b->err, LS_ERR_NOMEM, "not enough memory for a row of codes") : LS_OK;
}

static ls_status bind_packed(binder *b, ls_matrix *out, const ls_tensor *t, size_t from,
                             size_t rows)
{
    size_t n = (size_t)t->ne[0], bytes;
    int    dtype = ls_unpacked_dtype(t);
    use_scales(b, t);
    *out = (ls_matrix){.data = t->data,
                       .dtype = dtype,
                       .n_rows = rows,
                       .n = n,
                       .row_bytes = ls_unpacked_row_bytes(dtype, n),
                       .scale = ls_packed_scale(t, 0, 0),
                       .lookup = ls_lookup_pays(t->dtype, ls_tier_best()) ? t->dtype : 0};
    b->m->lookups |= out->lookup != 0;
    if (!ls_mul_size(rows, out->row_bytes, &bytes) || bytes > SIZE_MAX / 4 - b->n_bytes) {
        return ls_fail(b->err, LS_ERR_NOMEM, "not enough memory for the rows of '%.*s'",
                       LS_FMT(t->name));
    }
    if (b->unpacked) {
        out->data = b->unpacked + b->n_bytes;
        LS_TRY(unpack(b, b->unpacked + b->n_bytes, out, t, from));
    }
    b->n_bytes += (bytes + 63) & ~(size_t)63;
    return LS_OK;
}

/* One row of a table, bound to `owner` (the model or a layer). */
static ls_status bind_weight(binder *b, const ls_weight *w, void *owner, const char *name)
{
    const ls_model_config *c = &b->m->config;
    size_t rows = ls_dim_of(c, w->rows), n = ls_dim_of(c, w->cols), E = ls_dim_of(c, LS_DIM_E);
    size_t of = w->of == LS_DIM_1 ? 0 : ls_dim_of(c, w->of);
    size_t from = w->from == LS_DIM_1 ? 0 : ls_dim_of(c, w->from);
    bool   needed = w->when == LS_NEEDED || (w->when == LS_DENSE && !E) || (w->when == LS_MOE && E);
    bool   allowed = needed || w->when == LS_OPTIONAL || (w->when == LS_OPTIONAL_DENSE && !E);
    const ls_tensor *t = allowed ? find_tensor(b, name) : NULL;
    void            *out = (char *)owner + w->member;

    if (!t) return needed ? missing(b, name) : LS_OK;
    if (w->kind == LS_W_VECTOR) {
        LS_TRY(check_shape(b, t, of ? of : n, rows, 1, true));
        LS_TRY(check_type(b, t));
        bind_vector(b, out, t, from, n);
        return LS_OK;
    }
    LS_TRY(check_shape(b, t, n, of ? of : rows, w->kind == LS_W_EXPERTS ? E : 1, false));
    LS_TRY(check_type(b, t));
    if (w->kind == LS_W_EXPERTS && ls_dtype_flavour(t->dtype))
        return check_shape(b, t, 0, 0, 0, false);
    if (ls_dtype_is_packed(t->dtype)) return bind_packed(b, (ls_matrix *)out, t, from, rows);
    *(ls_matrix *)out = (ls_matrix){
        .data = (const uint8_t *)t->data + from * ls_dtype_row_bytes(t->dtype, n),
        .dtype = t->dtype,
        .n_rows = rows,
        .n = n,
        .row_bytes = ls_dtype_row_bytes(t->dtype, n),
        .scale = ls_dtype_tensor_scale(t->dtype, t->data, (of ? of : rows) * n),
    };
    return LS_OK;
}

static ls_status bind_all(binder *b)
{
    ls_model *m = b->m;
    b->n_floats = 0;
    b->n_bytes = 0;
    for (const ls_weight *w = m->arch->globals; w->name; w++) LS_TRY(bind_weight(b, w, m, w->name));
    m->config.tied_output = !m->output.data;
    for (int i = 0; i < m->config.n_layers; i++) {
        for (const ls_weight *w = m->arch->weights; w->name; w++) {
            char name[96];
            snprintf(name, sizeof(name), "blk.%d.%s", i, w->name);
            LS_TRY(bind_weight(b, w, &m->layers[i], name));
        }
    }
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
        ls_gguf_fail_at(g, t->name.p, b->err);
        ls_fail_hint(b->err, "evaluating the model without it would give other numbers");
        return LS_ERR_UNSUPPORTED;
    }
    return LS_OK;
}

ls_status ls_model_bind(ls_model *m, ls_error *err)
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
    if (status == LS_OK && b.n_bytes) {
        status = ls_alloc_aligned(&m->unpacked, b.n_bytes, 1, "the rows of packed matrices", err);
        if (status == LS_OK) status = ls_pool_create(&b.pool, ls_pool_processors(), err);
    }
    if (status == LS_OK) {
        b.vectors = m->vectors;
        b.unpacked = m->unpacked;
        status = bind_all(&b);
    }
    if (status == LS_OK && m->config.tied_output) m->output = m->token_embd;
    ls_pool_destroy(b.pool);
    free(b.used);
    return status;
}
