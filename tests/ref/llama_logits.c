// SPDX-License-Identifier: MIT
/* llama_logits.c - logits of given tokens, read through llama.h alone: the second witness of what
 * the reference says. Compiled by tests against an installation's own headers; shares no code with
 * Lockstep or its adapter.
 *
 *   usage: llama_logits LIBRARY_FOLDER MODEL OUT f16|f32 THREADS N_PROMPT ID...
 *
 * Evaluates the first N_PROMPT ids in one batch and the rest one by one; writes OUT, rows of
 * little-endian floats. */
#define WITNESS "llama_logits"
#include "llama_lib.h"

int main(int argc, char **argv)
{
    struct llama_model_params   mp;
    struct llama_context_params cp;
    struct llama_model         *model;
    struct llama_context       *ctx;
    int                         n_ids = argc - 7, n_prompt, n_vocab, done = 0;
    FILE                       *out;
    if (n_ids < 1)
        die("usage: llama_logits LIBRARY_FOLDER MODEL OUT f16|f32 THREADS N_PROMPT ID...");
    n_prompt = atoi(argv[6]);
    load_llama(argv[1]);
    mp = CALL(llama_model_default_params)();
    mp.n_gpu_layers = 0;
    model = CALL(llama_model_load_from_file)(argv[2], mp);
    if (!model) die("the model does not load");
    cp = CALL(llama_context_default_params)();
    cp.n_ctx = (uint32_t)n_ids;
    cp.n_batch = cp.n_ubatch = (uint32_t)n_ids;
    cp.n_threads = cp.n_threads_batch = atoi(argv[5]);
    cp.type_k = cp.type_v = strcmp(argv[4], "f32") == 0 ? GGML_TYPE_F32 : GGML_TYPE_F16;
    cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    ctx = CALL(llama_init_from_model)(model, cp);
    if (!ctx) die("no context");
    n_vocab = CALL(llama_vocab_n_tokens)(CALL(llama_model_get_vocab)(model));
    out = fopen(argv[3], "wb");
    if (!out) die("cannot write");
    while (done < n_ids) {
        int                n = done == 0 ? n_prompt : 1;
        struct llama_batch b = CALL(llama_batch_init)(n, 0, 1);
        for (int i = 0; i < n; i++) {
            b.token[i] = atoi(argv[7 + done + i]);
            b.pos[i] = done + i;
            b.n_seq_id[i] = 1;
            b.seq_id[i][0] = 0;
            b.logits[i] = 1;
        }
        b.n_tokens = n;
        if (CALL(llama_decode)(ctx, b) != 0) die("llama_decode failed");
        for (int i = 0; i < n; i++) {
            const float *row = CALL(llama_get_logits_ith)(ctx, i);
            if (fwrite(row, sizeof(*row), (size_t)n_vocab, out) != (size_t)n_vocab)
                die("cannot write");
        }
        CALL(llama_batch_free)(b);
        done += n;
    }
    if (fclose(out) != 0) die("cannot write");
    CALL(llama_free)(ctx);
    CALL(llama_model_free)(model);
    return 0;
}
