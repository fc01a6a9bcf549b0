// SPDX-License-Identifier: MIT
/* oracle.c - the oracle behind the engines' common interface: opening, memory, logits on demand. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "lockstep/lockstep.h"
#include "oracle/oracle_priv.h"

enum { DEFAULT_BATCH = 512, MAX_THREADS = 256, LOGIT_ROWS = 16 };

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

static size_t ffn_width(const ls_model_config *c)
{
    return larger((size_t)c->n_ff, larger((size_t)c->n_ff_expert, (size_t)c->n_ff_shared));
}

/* The longest row of any product, or of a tap but scores and logits. */
static size_t widest(const ls_model_config *c)
{
    size_t HK = (size_t)c->n_heads * (size_t)c->head_dim;
    return larger(larger((size_t)c->n_embd, HK), larger(ffn_width(c), (size_t)c->n_expert));
}

/* Elements of the longest tensor of one dimension, or of biases of experts. */
static size_t longest_vector(const ls_gguf *g, size_t least)
{
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        bool bias = t->name.len > 5 && ls_str_is((ls_str){t->name.p + t->name.len - 5, 5}, ".bias");
        bool norm = t->ne[2] == 1 && t->ne[1] <= 4096 && t->name.len > 11 &&
                    ls_str_is((ls_str){t->name.p + t->name.len - 11, 11}, "norm.weight");
        size_t n = (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
        if ((t->ne[1] == 1 || bias || norm) && n > least) least = n;
    }
    return least;
}

/* ---- memory of one evaluation ---- */

typedef struct plan {
    double **out;
    size_t   n, more; /* T + more rows of n */
} plan;

static ls_status reserve_kv(oracle *o, size_t need, ls_error *err)
{
    size_t GK = (size_t)o->c->n_kv_heads * (size_t)o->c->head_dim, cap = o->kv_cap;
    if (need <= cap) return LS_OK;
    cap = larger(need, larger(2 * cap, 64));
    for (size_t i = 0; i < 2 * (size_t)o->c->n_layers; i++) {
        double **at = i % 2 ? &o->values[i / 2] : &o->keys[i / 2];
        void    *more = realloc(*at, cap * GK * sizeof(double));
        if (!more) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the KV cache");
        *at = more;
    }
    o->kv_cap = cap;
    return LS_OK;
}

static ls_status reserve(oracle *o, size_t T, ls_error *err)
{
    const ls_model_config *c = o->c;
    size_t                 D = (size_t)c->n_embd, K = (size_t)c->head_dim, H = (size_t)c->n_heads,
           G = (size_t)c->n_kv_heads, used = (size_t)c->n_expert_used, P = (size_t)o->pos + T,
           n = 0, rows;
    size_t     F = larger(ffn_width(c), used * (size_t)c->n_ff_expert);
    const plan plans[] = {{&o->x, D, 0},
                          {&o->norm, D, 0},
                          {&o->norm2, D, 0},
                          {&o->proj, D, 0},
                          {&o->ffn, D, 0},
                          {&o->hidden, D, 0},
                          {&o->q, H * K, 0},
                          {&o->att, H * K, 0},
                          {&o->k, G * K, 0},
                          {&o->v, G * K, 0},
                          {&o->gate, F, 0},
                          {&o->up, F, 0},
                          {&o->rounded, o->widest, LS_ORACLE_TOKENS},
                          {&o->router, (size_t)c->n_expert, 0},
                          {&o->chosen, used, 0},
                          {&o->weight, used, 0},
                          {&o->made, used * D, 0},
                          {&o->scores, H * P, 0}};
    enum { N_PLANS = sizeof(plans) / sizeof(plans[0]) };
    LS_TRY(reserve_kv(o, P, err));
    for (size_t i = 0; i < N_PLANS; i++) {
        if (!ls_mul_size(plans[i].n, T + plans[i].more, &rows) || !ls_add_size(n, rows, &n))
            return ls_fail(err, LS_ERR_NOMEM, "not enough memory for %zu tokens", T);
    }
    LS_TRY(ls_grow(&o->scratch, &o->scratch_cap, n, sizeof(double), "activations", err));
    LS_TRY(ls_grow(
        &o->shown, &o->shown_cap,
        larger(T * larger(larger(H * P, o->widest), larger(F, used * D)), (size_t)c->n_vocab),
        sizeof(float), "a tap", err));
    n = 0;
    for (size_t i = 0; i < N_PLANS; i++) {
        *plans[i].out = (double *)o->scratch + n;
        n += plans[i].n * (T + plans[i].more);
    }
    return LS_OK;
}

static ls_status reserve_logits(oracle *o, size_t n, ls_error *err)
{
    size_t V = (size_t)o->c->n_vocab;
    free(o->logits);
    free(o->logits_f);
    o->logits = NULL;
    o->logits_f = NULL;
    o->logit_rows = 0;
    LS_TRY(ls_alloc(&o->logits, n * V, sizeof(double), "logits", err));
    LS_TRY(ls_alloc(&o->logits_f, n * V, sizeof(float), "logits", err));
    o->logit_rows = n;
    return LS_OK;
}

/* ---- the engine's operations ---- */

static ls_status oracle_tokenize(ls_engine *e, const char *text, size_t len,
                                 const ls_encode_options *opt, int32_t **ids, size_t *n,
                                 ls_error *err)
{
    return ls_tokenizer_encode(((oracle *)e)->tokenizer, text, len, opt, ids, n, err);
}

static ls_status oracle_eval(ls_engine *e, const int32_t *tokens, size_t n, ls_error *err)
{
    oracle  *o = (oracle *)e;
    uint64_t start = ls_now_ns();
    if (n > (size_t)(e->info.n_ctx - o->pos)) {
        return ls_fail(err, LS_ERR_LIMIT, "%zu tokens do not fit: %d of %d positions are taken", n,
                       (int)o->pos, (int)e->info.n_ctx);
    }
    o->logit_n = 0;
    LS_TRY(reserve(o, n, err));
    o->at = o->pos;
    o->T = n;
    ls_oracle_forward(o, tokens);
    o->pos += (int32_t)n;
    e->stats.eval_ns += ls_now_ns() - start;
    return LS_OK;
}

static ls_status rows_at(oracle *o, size_t i, ls_error *err)
{
    size_t   n = o->T - i < LOGIT_ROWS ? o->T - i : LOGIT_ROWS;
    uint64_t start = ls_now_ns();
    if (i >= o->logit_first && i - o->logit_first < o->logit_n) return LS_OK;
    o->logit_n = 0;
    if (n > o->logit_rows) LS_TRY(reserve_logits(o, n, err));
    ls_oracle_head(o, i, n);
    o->logit_first = i;
    o->logit_n = n;
    o->base.stats.eval_ns += ls_now_ns() - start;
    return LS_OK;
}

static ls_status oracle_logits(ls_engine *e, size_t i, const float **row, ls_error *err)
{
    oracle *o = (oracle *)e;
    LS_TRY(rows_at(o, i, err));
    *row = o->logits_f + (i - o->logit_first) * (size_t)o->c->n_vocab;
    return LS_OK;
}

ls_status ls_oracle_logits(ls_engine *e, size_t i, const double **row, ls_error *err)
{
    oracle *o = (oracle *)e;
    *row = NULL;
    if (i >= e->n_last) {
        return ls_fail(err, LS_ERR_USAGE, "no logits for token %zu: the last evaluation had %zu", i,
                       e->n_last);
    }
    LS_TRY(rows_at(o, i, err));
    *row = o->logits + (i - o->logit_first) * (size_t)o->c->n_vocab;
    return LS_OK;
}

static ls_status oracle_rewind(ls_engine *e, size_t n_keep, ls_error *err)
{
    oracle *o = (oracle *)e;
    (void)err;
    o->pos = (int32_t)n_keep;
    o->logit_n = 0;
    return LS_OK;
}

static void oracle_close(ls_engine *e)
{
    oracle *o = (oracle *)e;
    for (size_t i = 0; o->keys && i < (size_t)o->c->n_layers; i++) {
        free(o->keys[i]);
        if (o->values) free(o->values[i]);
    }
    void *const owned[] = {o->keys,  o->values, o->layers, o->scratch, o->row,
                           o->shown, o->wide,   o->logits, o->logits_f};
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) free(owned[i]);
    ls_pool_destroy(o->pool);
    ls_tokenizer_destroy(o->tokenizer);
    ls_model_close(o->model);
    free(o);
}

static const ls_engine_ops ops = {oracle_tokenize, oracle_eval,  oracle_logits,
                                  oracle_rewind,   oracle_close, NULL};

/* ---- opening ---- */

static ls_status resolve(oracle *o, ls_error *err)
{
    const ls_engine_options *b = &o->opt.base;
    ls_engine_info          *info = &o->base.info;
    int32_t                  n_ctx = b->n_ctx ? b->n_ctx : o->c->n_ctx_train;
    long                     cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (b->n_ctx < 0 || b->n_batch < 0 || b->n_threads < 0 || b->n_threads > MAX_THREADS) {
        return ls_fail(err, LS_ERR_USAGE,
                       "context, batch and threads (at most %d) must not be negative", MAX_THREADS);
    }
    if (n_ctx > o->c->n_ctx_train) {
        return ls_fail(err, LS_ERR_LIMIT, "%d positions do not fit the model's context of %d",
                       (int)n_ctx, (int)o->c->n_ctx_train);
    }
    snprintf(info->engine, sizeof(info->engine), "oracle");
    snprintf(info->version, sizeof(info->version), "%s", ls_version());
    snprintf(info->isa, sizeof(info->isa), "float64");
    info->n_ctx = n_ctx;
    info->n_batch = b->n_batch ? b->n_batch : DEFAULT_BATCH;
    if (info->n_batch > n_ctx) info->n_batch = n_ctx;
    info->n_threads = b->n_threads ? b->n_threads
                      : cores < 1  ? 1
                                   : (int32_t)larger(1, (size_t)cores);
    if (info->n_threads > MAX_THREADS) info->n_threads = MAX_THREADS;
    info->n_vocab = o->c->n_vocab;
    if (b->faults) o->faults = *b->faults;
    return LS_OK;
}

static void name_kv(oracle *o)
{
    static const char *const names[] = {"f64", "f32", "f16", "bf16", "q8_0"};
    snprintf(o->base.info.kv_type, sizeof(o->base.info.kv_type), "%s", names[o->s.kv]);
}

static ls_status take_semantics(oracle *o, ls_error *err)
{
    LS_TRY(ls_oracle_semantics(&o->s, o->model, err));
    if (o->opt.semantics) {
        o->s = *o->opt.semantics;
    } else {
        if (o->opt.base.kv_type == LS_DTYPE_F16) o->s.kv = LS_SEM_KV_F16;
        if (o->opt.base.kv_type == LS_DTYPE_BF16) o->s.kv = LS_SEM_KV_BF16;
        if (o->opt.base.kv_type == LS_DTYPE_Q8_0) o->s.kv = LS_SEM_KV_Q8_0;
        if (o->opt.base.rounding == LS_ROUND_I8) o->s.round = LS_SEM_I8_ROW;
    }
    name_kv(o);
    return LS_OK;
}

static ls_status allocate(oracle *o, ls_error *err)
{
    size_t L = (size_t)o->c->n_layers, threads = (size_t)o->base.info.n_threads;
    size_t n = 2 * (size_t)o->c->n_embd;
    o->widest = widest(o->c);
    n = larger(longest_vector(ls_model_gguf(o->model), larger(n, o->widest)),
               (size_t)o->c->n_vocab);
    LS_TRY(ls_alloc(&o->keys, L, sizeof(*o->keys), "the KV cache", err));
    LS_TRY(ls_alloc(&o->values, L, sizeof(*o->values), "the KV cache", err));
    LS_TRY(ls_alloc(&o->row, threads * o->widest, sizeof(float), "rows of weights", err));
    LS_TRY(ls_alloc(&o->wide, n, sizeof(double), "a vector of weights", err));
    return ls_pool_create(&o->pool, o->base.info.n_threads, err);
}

static ls_status open_oracle(oracle *o, ls_error *err)
{
    const ls_engine_options *b = &o->opt.base;
    LS_TRY(b->model ? ls_model_open_gguf(&o->model, b->model, err)
                    : ls_model_open(&o->model, b->model_path, err));
    o->c = ls_model_get_config(o->model);
    LS_TRY(ls_tokenizer_create(&o->tokenizer, ls_model_gguf(o->model), err));
    LS_TRY(resolve(o, err));
    LS_TRY(take_semantics(o, err));
    LS_TRY(ls_oracle_bind(o, err));
    return allocate(o, err);
}

ls_status ls_engine_open_oracle(ls_engine **out, const ls_oracle_options *opt, ls_error *err)
{
    oracle   *o;
    uint64_t  start = ls_now_ns();
    ls_status status;
    *out = NULL;
    LS_TRY(ls_alloc(&o, 1, sizeof(*o), "an oracle", err));
    o->base.ops = &ops;
    o->opt = *opt;
    status = open_oracle(o, err);
    if (status != LS_OK) {
        oracle_close(&o->base);
        return status;
    }
    o->base.stats.load_ns = ls_now_ns() - start;
    *out = &o->base;
    return LS_OK;
}

void ls_oracle_set_semantics(ls_engine *e, const ls_semantics *s)
{
    ((oracle *)e)->s = *s;
    name_kv((oracle *)e);
}

const ls_semantics *ls_oracle_get_semantics(const ls_engine *e) { return &((const oracle *)e)->s; }

const ls_model *ls_oracle_model(const ls_engine *e) { return ((const oracle *)e)->model; }
