// SPDX-License-Identifier: MIT
/* session.c - life of a session: resolve options, size everything once, evaluate, hand out logits.
 *
 * Nothing is allocated after create.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "dtype/strips.h"
#include "session/session_priv.h"

enum { DEFAULT_BATCH = 512, MAX_THREADS = 256 };
/* A batch whose activations are more than a WEIGHTS_SHAREth of the weights passes through the
 * layers in parts of about PART tokens, unless somebody wants to see it or its shape decides about
 * sums: a prompt of 512 then takes some percent longer, activations a quarter of the memory. */
enum { PART = 128, MOST_OF_PART = PART + PART / 2, WEIGHTS_SHARE = 10 };
/* Rows of logits that are computed together: as many as fit into LOGIT_BYTES, or LOGIT_ROWS where
 * they take no more than MOST_LOGIT_BYTES. With 16 rows the products of a large vocabulary took 1.5
 * times as long as with 64. */
enum { LOGIT_BYTES = 8 << 20, LOGIT_ROWS = 64, MOST_LOGIT_BYTES = 64 << 20 };

static ls_status check_kv_type(const ls_session *s, ls_error *err)
{
    static const int known[] = {LS_DTYPE_F32, LS_DTYPE_F16, LS_DTYPE_BF16, LS_DTYPE_Q8_0};
    const char      *name = ls_dtype_name(s->opt.kv_type);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (s->opt.kv_type != known[i]) continue;
        if ((size_t)s->model->config.head_dim % ls_dtype_block(known[i]) == 0) return LS_OK;
        ls_fail(err, LS_ERR_UNSUPPORTED,
                "a KV cache of type %s rounds blocks of %zu, and the heads of this model have %d "
                "elements",
                name, ls_dtype_block(known[i]), s->model->config.head_dim);
        return ls_fail_hint(err, "take --kv-type f16 or bf16"), LS_ERR_UNSUPPORTED;
    }
    return ls_fail(err, LS_ERR_UNSUPPORTED, "a KV cache of type %s is not supported",
                   name ? name : "?");
}

static ls_status resolve(ls_session *s, const ls_session_options *opt, ls_error *err)
{
    int32_t n_ctx_train = s->model->config.n_ctx_train;

    if (opt) s->opt = *opt;
    if (s->opt.n_ctx < 0 || s->opt.n_batch < 0 || s->opt.n_threads < 0 ||
        s->opt.n_threads > MAX_THREADS) {
        return ls_fail(err, LS_ERR_USAGE,
                       "context, batch and threads (at most %d) must not be "
                       "negative",
                       MAX_THREADS);
    }
    if (s->opt.n_ctx == 0) s->opt.n_ctx = n_ctx_train;
    if (s->opt.n_ctx > n_ctx_train) {
        ls_fail(err, LS_ERR_LIMIT, "%d positions do not fit the model's context of %d",
                s->opt.n_ctx, n_ctx_train);
        return ls_fail_hint(err, "give a shorter prompt or fewer tokens"), LS_ERR_LIMIT;
    }
    if (s->opt.n_batch == 0) s->opt.n_batch = DEFAULT_BATCH;
    if (s->opt.n_batch > s->opt.n_ctx) s->opt.n_batch = s->opt.n_ctx;
    if (s->opt.n_threads == 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        s->opt.n_threads = n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : (int)n;
    }
    LS_TRY(check_kv_type(s, err));
    if (s->opt.lanes == 0) s->opt.lanes = 16;
    if (s->opt.lanes != 8 && s->opt.lanes != 16) {
        return ls_fail(err, LS_ERR_USAGE, "sums of %d lanes: only 8 and 16 are defined",
                       s->opt.lanes);
    }
    if (!ls_tier_available(s->opt.tier)) {
        return ls_fail(err, LS_ERR_UNSUPPORTED, "this machine has no %s",
                       ls_tier_name(s->opt.tier));
    }
    for (size_t i = 0; i < LS_MAX_TAPS; i++) s->has_taps |= s->opt.taps[i].fn != NULL;
    s->last_only = s->opt.last_only && !s->opt.follow && !ls_is_watched(s);
    return LS_OK;
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Width of the feed-forward rows, of experts or not. */
static size_t ffn_width(const ls_model_config *c)
{
    return larger((size_t)c->n_ff, larger((size_t)c->n_ff_expert, (size_t)c->n_ff_shared));
}

/* The longest row that any matrix multiplies. */
static size_t widest(const ls_model_config *c)
{
    return larger(larger((size_t)c->n_embd, ffn_width(c)),
                  (size_t)c->n_heads * (size_t)c->head_dim);
}

/* The longest rounded activation row that any matrix of the model asks for. */
static size_t act_row_bytes(const ls_model_config *c)
{
    size_t n = widest(c), max = 0;
    for (int a = 0; a < LS_N_ACTS; a++) {
        size_t bytes = ls_act_row_bytes((ls_act)a, n);
        if (bytes > max) max = bytes;
    }
    return max + LS_ACT_APART;
}

/* Rows of as many bytes that a few rows with tables of sums behind them take more. */
static size_t rows_of_tables(const ls_session *s)
{
    size_t row = act_row_bytes(&s->model->config), n = widest(&s->model->config);
    size_t with = s->work_rows < LS_LOOKUP_COLS ? s->work_rows : LS_LOOKUP_COLS;
    if (!s->model->lookups || s->opt.follow) return 0;
    return (with * ls_lookup_table_bytes(LS_DTYPE_TL1, n) + row - 1) / row;
}

static size_t rows_of_logits(const ls_session *s, size_t n_vocab)
{
    size_t T = s->work_rows, row = n_vocab * sizeof(float);
    size_t most = MOST_LOGIT_BYTES / row, few = most < LOGIT_ROWS ? most : LOGIT_ROWS;
    size_t rows = larger(larger(LOGIT_BYTES / row, few), 1);
    if (s->last_only) return 1;
    return rows < T ? rows : T;
}

/* One allocation: where its pointer goes, its dimensions, its name in an error. */
typedef struct plan_row {
    void       *out;
    size_t      n[3], size;
    const char *what;
    bool        scratch; /* written before it is read; much of it perhaps never */
} plan_row;

/* Floats of a token in q, kv and att, which lie where gate is later. */
static size_t of_attention(const ls_model_config *c)
{
    return 2 * (size_t)c->head_dim * (size_t)(c->n_heads + c->n_kv_heads);
}

static size_t rows_at_work(const ls_session *s)
{
    const ls_model_config *c = &s->model->config;
    size_t n_batch = (size_t)s->opt.n_batch, D = (size_t)c->n_embd, F = ffn_width(c), weights = 0;
    size_t token = (5 * D + larger(F, of_attention(c)) + F) * sizeof(float) + act_row_bytes(c);
    for (size_t i = 0; i < ls_gguf_n_tensors(s->model->gguf); i++)
        weights += ls_gguf_tensor_at(s->model->gguf, i)->n_bytes;
    if (s->opt.follow || ls_is_watched(s) || n_batch <= weights / WEIGHTS_SHARE / token)
        return n_batch;
    return n_batch < MOST_OF_PART ? n_batch : MOST_OF_PART;
}

/* Zeros that calloc need not write: of large blocks the system has them, page by page, when they
 * are first touched. What no token has come to takes no memory. */
static ls_status allocate_cache(void **out, void **owned, size_t n_layers, size_t n_positions,
                                size_t bytes, ls_error *err)
{
    size_t n;
    if (!ls_mul_size(n_layers, n_positions, &n) || !ls_mul_size(n, bytes, &n) ||
        !ls_add_size(n, 64, &n)) {
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the KV cache");
    }
    LS_TRY(ls_alloc(owned, n, 1, "the KV cache", err));
    *out = (uint8_t *)*owned + (64 - (uintptr_t)*owned % 64);
    return LS_OK;
}

static ls_status allocate(ls_session *s, ls_error *err)
{
    const ls_model_config *c = &s->model->config;
    size_t                 T = rows_at_work(s), P = (size_t)s->opt.n_ctx, L = (size_t)c->n_layers,
           D = (size_t)c->n_embd, F = ffn_width(c), K = (size_t)c->head_dim,
           HK = (size_t)c->n_heads * K, GK = (size_t)c->n_kv_heads * K, V = (size_t)c->n_vocab,
           threads = (size_t)s->opt.n_threads, half = (size_t)c->rope_dims / 2;
    size_t codes = s->opt.rounding == LS_ROUND_I8; /* rows only where they are used */
    size_t watched = s->opt.watch.fn ? (size_t)c->n_heads : 0;
    size_t P16 = (P + 15) / 16 * 16, K16 = (K + 15) / 16 * 16, GK16 = (size_t)c->n_kv_heads * K16;
    size_t k_bytes = GK * ls_kv_element(s), v_bytes = GK16 * ls_kv_element(s);
    size_t sums, experts = s->opt.watch.fn ? (size_t)c->n_expert_used : 0;

    s->work_rows = T;
    s->logit_rows = rows_of_logits(s, V);
    if (s->opt.kv_type == LS_DTYPE_Q8_0) {
        k_bytes = GK / 32 * sizeof(ls_q8_0);
        v_bytes = s->opt.follow ? k_bytes
                                : GK16 * LS_CHAIN_GROUP_BYTES / (LS_CHAIN_GROUP * LS_CHAIN_LANES);
    }
    s->attn_rows = s->opt.follow ? 0 : larger(threads * LS_ATTN_ROWS, (size_t)c->n_heads);
    s->half_row = (larger(P, 2 * K) + 63) / 64 * 64;
    s->panel_bytes = ls_strips_scratch(widest(c));
    s->strips_bytes = LS_ROWS_PACKED * widest(c) * sizeof(float);

    const plan_row plan[] = {
        {&s->x, {1, T, D}, 4, "activations", true},
        {&s->norm, {1, T, D}, 4, "activations", true},
        {&s->norm2, {1, T, D}, 4, "activations", true},
        {&s->gate, {1, T, larger(F, of_attention(c))}, 4, "activations", true},
        {&s->up, {1, T, F}, 4, "activations", true},
        {&s->proj, {1, T, D}, 4, "activations", true},
        {&s->ffn, {1, T, D}, 4, "activations", true},
        {&s->router, {3, T, larger((size_t)c->n_expert, 1)}, 4, "experts", false},
        {&s->chosen, {1, T, (size_t)c->n_expert_used}, 4, "experts", false},
        {&s->in_experts[0], {experts, T, F}, 4, "experts", false},
        {&s->in_experts[1], {experts, T, F}, 4, "experts", false},
        {&s->in_experts[2], {experts, T, F}, 4, "experts", false},
        {&s->in_experts[3], {experts, T, D}, 4, "experts", false},
        {&s->gelu, {1, s->model->arch->gelu, 65536}, 4, "the table of GELU", false},
        {&s->act, {1, T + rows_of_tables(s), act_row_bytes(c)}, 1, "rounded activations", true},
        {&s->codes, {codes, T, widest(c)}, 4, "rounded activations", false},
        {&s->code_scale, {1, 1, T}, 4, "rounded activations", false},
        {&s->sincos[0], {T, half, 2}, 4, "RoPE angles", false},
        {&s->sincos[1], {T, half, 2}, 4, "RoPE angles", false},
        {&s->rope_div, {1, 1, half}, 4, "RoPE angles", false},
        {&s->rope_mix, {1, 1, half}, 4, "RoPE angles", false},
        {&s->scores, {1, larger(s->attn_rows, 2 * threads), P16}, 4, "attention scores", false},
        {&s->queries, {1, s->attn_rows, K}, 4, "attention scores", false},
        {&s->mixed, {1, s->attn_rows, K16}, 4, "attention sums", false},
        {&s->spans, {1, 1 + threads, s->attn_rows}, sizeof(ls_span), "attention scores", false},
        {&s->shown[0], {watched, T, P}, 4, "attention scores", false},
        {&s->shown[1], {watched, T, P}, 4, "attention scores", false},
        {&s->stripes, {s->opt.follow ? threads : 0, LS_MAX_STRIPES, K}, 4, "attention sums", false},
        {&s->beside, {threads, T, LS_ROWS_BESIDE}, 4, "activations", true},
        {&s->panel, {1, threads, s->panel_bytes}, 1, "weights at work", false},
        {&s->strips, {1, threads, s->strips_bytes}, 1, "weights at work", true},
        {&s->half, {1, threads, s->half_row}, 2, "attention scores", false},
        {&s->hidden, {1, (size_t)s->opt.n_batch, D}, 4, "activations", true},
        {&s->logits, {1, s->logit_rows, V}, 4, "logits", true},
    };
    for (size_t i = 0; i < sizeof(plan) / sizeof(plan[0]); i++) {
        size_t n;
        if (!ls_mul_size(plan[i].n[0], plan[i].n[1], &n) || !ls_mul_size(n, plan[i].n[2], &n)) {
            return ls_fail(err, LS_ERR_NOMEM, "not enough memory for %s", plan[i].what);
        }
        LS_TRY((plan[i].scratch ? ls_alloc_scratch : ls_alloc_aligned)(plan[i].out, n, plan[i].size,
                                                                       plan[i].what, err));
    }
    LS_TRY(allocate_cache(&s->k_cache, &s->cache_memory[0], L, P16, k_bytes, err));
    LS_TRY(allocate_cache(&s->v_cache, &s->cache_memory[1], L, ls_v_positions(s), v_bytes, err));
    s->q = s->gate;
    s->kv = s->q + T * HK;
    s->att = s->kv + 2 * T * GK;
    /* Few elements for many threads: then chains of 64 positions are shared. */
    if (s->opt.follow || threads < 2 || GK16 / 16 >= 2 * threads) return LS_OK;
    if (!ls_mul_size((size_t)c->n_heads * K16, (P + 63) / 64, &sums))
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for attention sums");
    return ls_alloc_aligned(&s->chains, sums, sizeof(float), "attention sums", err);
}

ls_status ls_session_create(ls_session **out, const ls_model *m, const ls_session_options *opt,
                            ls_error *err)
{
    ls_session *s;
    ls_status   status;

    *out = NULL;
    LS_TRY(ls_alloc(&s, 1, sizeof(*s), "a session", err));
    s->model = m;
    status = resolve(s, opt, err);
    if (status == LS_OK) status = allocate(s, err);
    if (status == LS_OK) status = ls_pool_create(&s->pool, s->opt.n_threads, err);
    if (status != LS_OK) {
        ls_session_destroy(s);
        return status;
    }
    s->k = ls_kernels_for(s->opt.tier);
    s->opt.tier = s->k.tier;
    ls_rope_init(s);
    if (m->arch->gelu) ls_gelu_init(s->gelu);
    *out = s;
    return LS_OK;
}

void ls_session_destroy(ls_session *s)
{
    if (!s) return;
    ls_pool_destroy(s->pool);
    void *const owned[] = {s->cache_memory[0],
                           s->cache_memory[1],
                           s->x,
                           s->norm,
                           s->norm2,
                           s->gate,
                           s->up,
                           s->proj,
                           s->ffn,
                           s->router,
                           s->chosen,
                           s->gelu,
                           s->act,
                           s->codes,
                           s->code_scale,
                           s->sincos[0],
                           s->sincos[1],
                           s->rope_div,
                           s->rope_mix,
                           s->scores,
                           s->shown[0],
                           s->shown[1],
                           s->queries,
                           s->mixed,
                           s->spans,
                           s->chains,
                           s->stripes,
                           s->beside,
                           s->panel,
                           s->strips,
                           s->half,
                           s->hidden,
                           s->logits};
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) free(owned[i]);
    for (size_t k = 0; k < sizeof(s->in_experts) / sizeof(s->in_experts[0]); k++)
        free(s->in_experts[k]);
    free(s);
}

/* A batch of T tokens, in parts that differ by one token at most. */
static void eval_batch(ls_session *s, const int32_t *tokens, size_t T)
{
    size_t parts = T <= s->work_rows ? 1 : (T + PART / 2) / PART;
    size_t D = (size_t)s->model->config.n_embd;
    for (size_t i = 0; i < parts; i++) {
        size_t begin = T * i / parts, n = T * (i + 1) / parts - begin;
        size_t row = s->last_only ? 0 : begin;
        s->base = s->pos;
        s->n_rows = row + ls_forward(s, tokens + begin, n, s->hidden + row * D);
        s->pos += (int32_t)n;
    }
}

ls_status ls_session_eval(ls_session *s, const int32_t *tokens, size_t n, ls_error *err)
{
    size_t batch = (size_t)s->opt.n_batch, done = 0;

    if (n == 0) return ls_fail(err, LS_ERR_USAGE, "no tokens to evaluate");
    if (n > (size_t)(s->opt.n_ctx - s->pos)) {
        return ls_fail(err, LS_ERR_LIMIT, "%zu tokens do not fit: %d of %d positions are taken", n,
                       s->pos, s->opt.n_ctx);
    }
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || tokens[i] >= s->model->config.n_vocab) {
            return ls_fail(err, LS_ERR_USAGE, "token id %d is not in the vocabulary of %d",
                           tokens[i], s->model->config.n_vocab);
        }
    }
    /* The short batch comes first, so that the last one holds as many rows as possible. */
    while (done < n) {
        size_t T = done == 0 && n % batch ? n % batch : batch;
        eval_batch(s, tokens + done, T);
        done += T;
        s->row_skip = done - s->n_rows;
    }
    s->logit_n = 0;
    return LS_OK;
}

ls_status ls_session_logits(ls_session *s, size_t i, const float **row, ls_error *err)
{
    const ls_model_config *c = &s->model->config;
    size_t                 V = (size_t)c->n_vocab, D = (size_t)c->n_embd;

    if (i < s->row_skip || i - s->row_skip >= s->n_rows) {
        return ls_fail(err, LS_ERR_USAGE, "token %zu is not in the last batch", i);
    }
    i -= s->row_skip;
    if (s->logit_n == 0 || i < s->logit_first || i - s->logit_first >= s->logit_n) {
        size_t     n = s->n_rows - i < s->logit_rows ? s->n_rows - i : s->logit_rows;
        int32_t    base = s->base;
        ls_product p = {&s->model->output, s->logits, V};
        ls_linear(s, &p, 1, (ls_input){.x = s->hidden + i * D}, n, false);
        ls_finish_logits(s, n);
        s->base += (int32_t)i; /* taps count positions from the first row they are given */
        ls_tap_rows(s, LS_OP_LOGITS, -1, s->logits, V, V, n);
        s->base = base;
        s->logit_first = i;
        s->logit_n = n;
    }
    *row = s->logits + (i - s->logit_first) * V;
    return LS_OK;
}

void ls_session_rewind(ls_session *s, int32_t n_keep)
{
    if (n_keep >= 0 && n_keep < s->pos) s->pos = n_keep;
    s->n_rows = 0;
    s->logit_n = 0;
}

int32_t                   ls_session_pos(const ls_session *s) { return s->pos; }
const ls_session_options *ls_session_get_options(const ls_session *s) { return &s->opt; }
