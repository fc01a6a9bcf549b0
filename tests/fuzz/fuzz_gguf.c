// SPDX-License-Identifier: MIT
/* fuzz_gguf.c - any bytes as a model file: opened, printed, tokenized with and evaluated. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "lockstep/lockstep.h"
#include "support/tiny_model.h"

static void check_error(ls_status status, const ls_error *err, const char *path)
{
    FUZZ_REQUIRE(err->status == status && err->what[0]);
    if (status != LS_ERR_FORMAT) return;
    FUZZ_REQUIRE(strncmp(err->where, path, strlen(path)) == 0);
    FUZZ_REQUIRE(strstr(err->where, ": byte "));
}

static void walk(const ls_gguf *g)
{
    char text[100];
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(g, i);
        ls_gguf_format(kv, text, sizeof(text));
        FUZZ_REQUIRE(strlen(text) < sizeof(text));
        if (kv->type == LS_GGUF_ARRAY && kv->elem_type == LS_GGUF_STR) {
            const void *p = kv->data;
            for (uint64_t j = 0; j < kv->n; j++) {
                ls_str s = ls_gguf_next_str(&p);
                FUZZ_REQUIRE(ls_gguf_offset(g, s.p) + s.len <= ls_gguf_file_bytes(g));
            }
        }
    }
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        FUZZ_REQUIRE(t->file_off + t->n_bytes <= ls_gguf_file_bytes(g));
        FUZZ_REQUIRE((t->data == NULL) == (t->n_bytes == 0));
    }
}

static void tokenize(const ls_gguf *g, const char *path)
{
    ls_tokenizer     *t;
    ls_error          err = {0};
    ls_encode_options o = {.parse_special = true};
    int32_t          *ids;
    size_t            n;
    ls_status         status = ls_tokenizer_create(&t, g, &err);
    if (status != LS_OK) {
        FUZZ_REQUIRE(err.what[0]);
        (void)path;
        return;
    }
    if (ls_tokenizer_encode(t, "a <s> b\xff", 8, &o, &ids, &n, NULL) == LS_OK) {
        for (size_t i = 0; i < n; i++) {
            FUZZ_REQUIRE(ids[i] >= 0 && ids[i] < ls_tokenizer_n_vocab(t));
        }
        free(ids);
    }
    ls_tokenizer_destroy(t);
}

static void evaluate(const ls_model *m)
{
    static const int32_t ids[3] = {0, 1, 2};
    ls_session_options   o = {.n_ctx = 4, .n_batch = 2, .n_threads = 1};
    ls_session          *s;
    const float         *row;
    if (ls_session_create(&s, m, &o, NULL) != LS_OK) return;
    if (ls_session_eval(s, ids, 3, NULL) == LS_OK) {
        FUZZ_REQUIRE(ls_session_logits(s, 2, &row, NULL) == LS_OK);
        (void)ls_argmax(row, (size_t)ls_model_get_config(m)->n_vocab);
    }
    ls_session_destroy(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    ls_error    err = {0};
    ls_model   *m;
    ls_gguf    *g;
    ls_status   status = ls_gguf_open(&g, path, &err);
    if (status != LS_OK) {
        check_error(status, &err, path);
        return 0;
    }
    walk(g);
    tokenize(g, path);
    ls_gguf_close(g);
    status = ls_model_open(&m, path, &err);
    if (status == LS_OK) {
        evaluate(m);
        ls_model_close(m);
    } else {
        check_error(status, &err, path);
    }
    return 0;
}

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    static const tiny_model seeds[] = {
        {.arch = "llama", .dtype = 8},
        {.arch = "bitnet", .dtype = 1, .ff = 32},
        {.arch = "bitnet-b1.58", .dtype = 0, .vocab = 286, .ff = 32},
        {.arch = "llama", .dtype = LS_DTYPE_Q5_1},
        {.arch = "llama", .dtype = LS_DTYPE_IQ4_NL},
        {.arch = "llama", .dtype = LS_DTYPE_MXFP4},
        {.arch = "bitnet", .dtype = LS_DTYPE_I2_S, .d = 128, .ff = 128},
        {.arch = "bitnet", .dtype = LS_DTYPE_I2_S32},
        {.arch = "bitnet", .dtype = LS_DTYPE_I2_S256},
        {.arch = "bitnet", .dtype = LS_DTYPE_TL1, .d = 64, .vocab = 288},
        {.arch = "bitnet", .dtype = LS_DTYPE_TL2, .d = 256, .ff = 256, .vocab = 288},
    };
    gguf_build b = {0};
    if (i >= sizeof(seeds) / sizeof(seeds[0])) return NULL;
    tiny_model_build(&b, &seeds[i]);
    *size = b.n;
    return b.data;
}
