// SPDX-License-Identifier: MIT
/* llama.h - a stand-in for the tests: llama.cpp's API of autumn 2024, which bitnet.cpp's fork
 * still has. Tokenizing works on the model, there is no vocabulary object and no memory object,
 * and the context parameters have logits_all and a boolean flash_attn.
 *
 * The order of the struct fields is deliberately not that of any real version: an adapter that
 * was compiled against other headers than these passes garbage, and the stub notices. */
#ifndef STUB_LLAMA_H
#define STUB_LLAMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ggml.h"

struct llama_model;
struct llama_context;
typedef int32_t llama_pos, llama_token, llama_seq_id;

typedef struct llama_batch {
    int8_t        *logits;
    int32_t        n_tokens;
    llama_token   *token;
    float         *embd;
    llama_pos     *pos;
    int32_t       *n_seq_id;
    llama_seq_id **seq_id;
} llama_batch;

struct llama_model_params {
    bool    vocab_only, use_mmap;
    int64_t guard;
    int32_t n_gpu_layers;
};

struct llama_context_params {
    bool           logits_all, embeddings, offload_kqv, flash_attn, no_perf;
    int64_t        guard;
    enum ggml_type type_v, type_k;
    int32_t        n_threads_batch, n_threads;
    uint32_t       n_ubatch, n_batch, n_ctx;
    bool (*cb_eval)(struct ggml_tensor *t, bool ask, void *user_data);
    void *cb_eval_user_data;
};

void                        llama_backend_init(void);
void                        llama_log_set(ggml_log_callback callback, void *user_data);
const char                 *llama_print_system_info(void);
struct llama_model_params   llama_model_default_params(void);
struct llama_context_params llama_context_default_params(void);

struct llama_model   *llama_load_model_from_file(const char *path, struct llama_model_params params);
void                  llama_free_model(struct llama_model *model);
struct llama_context *llama_new_context_with_model(struct llama_model         *model,
                                                   struct llama_context_params params);
void                  llama_free(struct llama_context *ctx);

int32_t     llama_n_vocab(const struct llama_model *model);
llama_token llama_token_bos(const struct llama_model *model);
uint32_t    llama_n_ctx(const struct llama_context *ctx);
uint32_t    llama_n_batch(const struct llama_context *ctx);
int32_t     llama_tokenize(const struct llama_model *model, const char *text, int32_t text_len,
                           llama_token *tokens, int32_t n_tokens_max, bool add_special,
                           bool parse_special);

struct llama_batch llama_batch_init(int32_t n_tokens, int32_t embd, int32_t n_seq_max);
void               llama_batch_free(struct llama_batch batch);
int32_t            llama_decode(struct llama_context *ctx, struct llama_batch batch);
float             *llama_get_logits_ith(struct llama_context *ctx, int32_t i);
void               llama_kv_cache_clear(struct llama_context *ctx);

#endif
