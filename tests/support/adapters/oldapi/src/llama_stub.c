// SPDX-License-Identifier: MIT
/* llama_stub.c - becomes the test's libllama.so: a toy engine behind the API of autumn 2024.
 *
 * The logit of token j after the history of ids h is stub_sum(h) * 0.25 + j * 0.5, where the sum
 * depends on every id and its position: a cache that was not cleared, a wrong position or a
 * missing row all show. It refuses settings that the adapter has to get right. */
#include "llama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUB_VOCAB 260
#define STUB_BOS   257
#define GUARD      0x10c57e9

struct llama_model {
    int unused;
};
struct llama_context {
    struct llama_context_params params;
    int32_t                     n_past, sum, n_last;
    float                      *rows;
};

static ggml_log_callback log_to;

static void complain(const char *text)
{
    if (log_to) log_to(GGML_LOG_LEVEL_ERROR, text, NULL);
}

void llama_backend_init(void) {}

void llama_log_set(ggml_log_callback callback, void *user_data)
{
    (void)user_data;
    log_to = callback;
}

const char *llama_print_system_info(void)
{
    return ggml_stub_answer() == 42 ? "AVX = 1 | AVX2 = 1 | AVX512 = 0 | NEON = 0 | " : "";
}

struct llama_model_params llama_model_default_params(void)
{
    return (struct llama_model_params){.use_mmap = true, .guard = GUARD, .n_gpu_layers = 99};
}

struct llama_context_params llama_context_default_params(void)
{
    return (struct llama_context_params){.guard = GUARD,
                                         .offload_kqv = true,
                                         .n_ctx = 512,
                                         .n_batch = 2048,
                                         .n_ubatch = 512,
                                         .flash_attn = true};
}

struct llama_model *llama_load_model_from_file(const char *path, struct llama_model_params params)
{
    FILE *f = fopen(path, "rb");
    if (!f) complain("error loading model: the stub cannot open it\n");
    if (f && (params.guard != GUARD || params.n_gpu_layers != 0))
        complain("wrong model parameters\n");
    if (f) fclose(f);
    if (!f || params.guard != GUARD || params.n_gpu_layers != 0) return NULL;
    return calloc(1, sizeof(struct llama_model));
}

void llama_free_model(struct llama_model *model) { free(model); }

struct llama_context *llama_new_context_with_model(struct llama_model         *model,
                                                   struct llama_context_params params)
{
    struct llama_context *ctx;
    if (!model || params.guard != GUARD || !params.logits_all || params.flash_attn ||
        params.offload_kqv || params.n_ubatch != params.n_batch || params.type_k != params.type_v ||
        params.n_threads != params.n_threads_batch) {
        complain("wrong context parameters\n");
        return NULL;
    }
    ctx = calloc(1, sizeof(*ctx));
    if (!ctx) return NULL;
    ctx->params = params;
    ctx->rows = calloc((size_t)params.n_batch * STUB_VOCAB, sizeof(float));
    return ctx;
}

void llama_free(struct llama_context *ctx)
{
    free(ctx->rows);
    free(ctx);
}

int32_t llama_n_vocab(const struct llama_model *model) { return model ? STUB_VOCAB : 0; }

llama_token llama_token_bos(const struct llama_model *model) { return model ? STUB_BOS : -1; }

uint32_t llama_n_ctx(const struct llama_context *ctx) { return ctx->params.n_ctx; }

uint32_t llama_n_batch(const struct llama_context *ctx) { return ctx->params.n_batch; }

/* A byte is a token, except that "<s>" is BOS when special tokens are parsed. Every 'w' counts
 * as ten tokens, so that the first guess of a buffer is too small. */
int32_t llama_tokenize(const struct llama_model *model, const char *text, int32_t text_len,
                       llama_token *tokens, int32_t n_tokens_max, bool add_special,
                       bool parse_special)
{
    int32_t n = 0;
    (void)model;
    if (add_special && n++ < n_tokens_max) tokens[n - 1] = STUB_BOS;
    for (int32_t i = 0; i < text_len; i++) {
        bool    special = parse_special && text_len - i >= 3 && memcmp(text + i, "<s>", 3) == 0;
        int32_t times = text[i] == 'w' ? 10 : 1;
        for (int32_t k = 0; k < times; k++, n++) {
            if (n < n_tokens_max) tokens[n] = special ? STUB_BOS : (unsigned char)text[i];
        }
        if (special) i += 2;
    }
    return n > n_tokens_max ? -n : n;
}

struct llama_batch llama_batch_init(int32_t n_tokens, int32_t embd, int32_t n_seq_max)
{
    struct llama_batch b = {0};
    size_t             n = (size_t)n_tokens;
    (void)embd;
    b.logits = calloc(n, sizeof(*b.logits));
    b.token = calloc(n, sizeof(*b.token));
    b.pos = calloc(n, sizeof(*b.pos));
    b.n_seq_id = calloc(n, sizeof(*b.n_seq_id));
    b.seq_id = calloc(n + 1, sizeof(*b.seq_id));
    for (size_t i = 0; i < n; i++) b.seq_id[i] = calloc((size_t)n_seq_max, sizeof(llama_seq_id));
    return b;
}

void llama_batch_free(struct llama_batch b)
{
    for (size_t i = 0; b.seq_id[i]; i++) free(b.seq_id[i]);
    free(b.logits);
    free(b.token);
    free(b.pos);
    free(b.n_seq_id);
    free(b.seq_id);
}

/* The graph's nodes, for who asks: a norm of two values a token, its rows 16 bytes apart; a product
 * that is named after its weight alone, of halves; the same with its bias; and one nobody knows. */
static void show_nodes(const struct llama_context *ctx, struct llama_batch batch)
{
    float              rows[64][4];
    ggml_fp16_t        halves[64];
    struct ggml_tensor weight = {.name = "blk.1.attn_q.weight"},
                       bias = {.name = "blk.1.attn_q.bias"};
    int64_t            n = batch.n_tokens;
    struct ggml_tensor nodes[] = {
        {.name = "attn_norm-1",
         .op = GGML_OP_MUL,
         .ne = {2, n, 1, 1},
         .nb = {4, 16, 16 * 64, 16 * 64},
         .data = rows},
        {.name = "node_7",
         .op = GGML_OP_MUL_MAT,
         .type = GGML_TYPE_F16,
         .src = {&weight},
         .ne = {1, n, 1, 1},
         .nb = {2, 2, 2, 2},
         .data = halves},
        {.name = "node_8",
         .op = GGML_OP_ADD,
         .src = {NULL, &bias},
         .ne = {2, n, 1, 1},
         .nb = {4, 16, 16 * 64, 16 * 64},
         .data = rows[0] + 1},
        {.name = "whatever-1",
         .op = GGML_OP_MUL,
         .ne = {1, 1, 1, 1},
         .nb = {4, 4, 4, 4},
         .data = rows},
        {.name = "attn_norm-1 (view)",
         .op = GGML_OP_MUL,
         .ne = {1, 1, 1, 1},
         .nb = {4, 4, 4, 4},
         .data = rows},
    };
    nodes[2].src[0] = &nodes[1];
    for (int64_t i = 0; i < n; i++) {
        halves[i] = (ggml_fp16_t)((15 + batch.pos[i]) << 10);
        for (int k = 0; k < 4; k++)
            rows[i][k] = (float)(100 * batch.pos[i] + 10 * batch.token[i] + k);
    }
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        if (ctx->params.cb_eval(&nodes[i], true, ctx->params.cb_eval_user_data))
            ctx->params.cb_eval(&nodes[i], false, ctx->params.cb_eval_user_data);
    }
}

int32_t llama_decode(struct llama_context *ctx, struct llama_batch batch)
{
    if (ctx->n_past + batch.n_tokens > (int32_t)ctx->params.n_ctx) return 1;
    ctx->n_last = 0;
    for (int32_t i = 0; i < batch.n_tokens; i++) {
        if (batch.pos[i] != ctx->n_past || !batch.logits[i] || batch.seq_id[i][0] != 0) return -1;
        ctx->sum = (ctx->sum * 31 + batch.token[i] * (batch.pos[i] + 1)) % 1009;
        for (int32_t j = 0; j < STUB_VOCAB; j++) {
            ctx->rows[i * STUB_VOCAB + j] = (float)ctx->sum * 0.25f + (float)j * 0.5f;
        }
        ctx->n_past++;
        ctx->n_last++;
    }
    if (ctx->params.cb_eval && batch.n_tokens <= 64) show_nodes(ctx, batch);
    return 0;
}

float *llama_get_logits_ith(struct llama_context *ctx, int32_t i)
{
    return i < ctx->n_last ? ctx->rows + (size_t)i * STUB_VOCAB : NULL;
}

void llama_kv_cache_clear(struct llama_context *ctx)
{
    ctx->n_past = 0;
    ctx->sum = 0;
}
