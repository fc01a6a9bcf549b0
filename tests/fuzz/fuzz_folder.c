// SPDX-License-Identifier: MIT
/* fuzz_folder.c - any bytes as config.json, tokenizer.json, tokenizer_config.json, tokenizer.model
 * (with a zero byte between them) and the header of the weights of a Hugging Face folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "lockstep/gguf.h"

enum { N_FILES = 5, DATA = 4096 };
static const char *const names[N_FILES] = {"config.json", "tokenizer.json", "tokenizer_config.json",
                                           "model.safetensors", "tokenizer.model"};
static char              folder[64];
static int               fds[N_FILES];

static void remove_folder(void)
{
    char path[128];
    for (int i = 0; i < N_FILES; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* A folder of links to files in memory. */
static void make_folder(void)
{
    strcpy(folder, "/tmp/lockstep-fuzz-XXXXXX");
    if (!mkdtemp(folder)) abort();
    for (int i = 0; i < N_FILES; i++) {
        fds[i] = memfd_create("lockstep-fuzz", MFD_CLOEXEC);
        if (fds[i] < 0) abort();
    }
    atexit(remove_folder);
    for (int i = 0; i < N_FILES; i++) {
        char path[128], target[64];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        snprintf(target, sizeof(target), "/proc/self/fd/%d", fds[i]);
        if (symlink(target, path) != 0) abort();
    }
}

static void put_file(int i, const uint8_t *p, size_t n)
{
    if (ftruncate(fds[i], 0) != 0 || pwrite(fds[i], p, n, 0) != (ssize_t)n) abort();
}

/* The header of the weights, with data that are long enough for any small model. */
static void put_weights(const uint8_t *p, size_t n)
{
    uint64_t len = n;
    uint8_t *file = calloc(8 + n + DATA, 1);
    if (!file) abort();
    memcpy(file, &len, 8);
    memcpy(file + 8, p, n);
    put_file(3, file, 8 + n + DATA);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ls_error  err = {0};
    ls_gguf  *g;
    ls_status status;
    if (!folder[0]) make_folder();
    for (int i = 0; i < N_FILES; i++) {
        const uint8_t *end = i < N_FILES - 1 && size ? memchr(data, 0, size) : NULL;
        size_t         n = end ? (size_t)(end - data) : size;
        if (i == 3) {
            put_weights(data, n);
        } else if (n == 0 && (i == 1 || i == 2)) {
            put_file(i, (const uint8_t *)"{\"model\":{}}", 12);
        } else {
            put_file(i, data, n);
        }
        data += n;
        size -= n;
        if (end) data++, size--;
    }
    status = ls_gguf_open(&g, folder, &err);
    if (status != LS_OK) {
        FUZZ_REQUIRE(g == NULL && err.status == status && err.what[0]);
        return 0;
    }
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        char text[100];
        ls_gguf_format(ls_gguf_kv_at(g, i), text, sizeof(text));
        FUZZ_REQUIRE(strlen(text) < sizeof(text));
    }
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        volatile uint8_t last = t->n_bytes ? ((const uint8_t *)t->data)[t->n_bytes - 1] : 0;
        (void)last;
        FUZZ_REQUIRE((t->data == NULL) == (t->n_bytes == 0));
    }
    ls_gguf_close(g);
    return 0;
}

#define SIZES                                                                                      \
    "\"hidden_size\":8,\"num_hidden_layers\":1,\"num_attention_heads\":2,\"num_key_value_heads\":" \
    "1,\"vocab_size\":4"
#define W(name, shape, b, e)                                                                       \
    "\"" name "\":{\"dtype\":\"BF16\",\"shape\":" shape ",\"data_offsets\":[" #b "," #e "]}"
#define L "model.layers.0."

uint8_t *fuzz_seed(size_t i, size_t *size)
{
    static const struct {
        const char *bytes;
        size_t      n;
    } seeds[] = {
#define SEED(s) {s, sizeof(s) - 1}
        SEED(
            "{\"architectures\":[\"LlamaForCausalLM\"]," SIZES "}\0"
            "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a "
            "b\"]},"
            "\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true}],\"post_processor\":"
            "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\"}},{"
            "\"Sequence\":{}}]}}\0"
            "{\"bos_token\":\"<s>\",\"chat_template\":[{\"name\":\"default\",\"template\":\"x\"}]}"
            "\0"
            "{" W(L "self_attn.q_proj.weight", "[8,8]", 0, 128) "," W(L "self_attn.k_proj.weight",
                                                                      "[4,496]", 128, 4096) "}"),
        SEED("{\"architectures\":[\"BitNetForCausalLM\"]," SIZES "}\0\0\0"
             "{" W(L "mlp.up_proj.weight", "[8,256]", 0,
                   4096) "}\0\x0a\x0b\x0a\5hello\x15\0\0\0\0\x18\1"),
        SEED("{\"architectures\":[\"GPTNeoXForCausalLM\"]," SIZES ",\"rotary_pct\":0.5}\0\0\0"
             "{" W("gpt_neox.layers.0.attention.query_key_value.weight", "[24,8]", 0,
                   384) "," W("embed_out.weight", "[1,1856]", 384, 4096) "}"),
        SEED("{\"architectures\":[\"MixtralForCausalLM\"]," SIZES
             ",\"rope_scaling\":{\"type\":\"yarn\",\"factor\":2,"
             "\"original_max_position_embeddings\":8}}\0\0\0{" W(
                 L "block_sparse_moe.experts.0.w1.weight", "[4,256]", 0,
                 2048) "," W(L "block_sparse_moe.experts.1.w1.weight", "[4,256]", 2048, 4096) "}"),
        SEED("{\"architectures\":[\"Phi3ForCausalLM\"]," SIZES
             ",\"max_position_embeddings\":64,\"original_max_position_embeddings\":8,"
             "\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1,2],\"short_factor\":[1,2]}"
             "}\0\0\0{" W("model.norm.weight", "[2048]", 0, 4096) "}"),
    };
    uint8_t *out;
    if (i >= sizeof(seeds) / sizeof(seeds[0])) return NULL;
    *size = seeds[i].n;
    out = malloc(*size);
    if (!out) abort();
    memcpy(out, seeds[i].bytes, *size);
    return out;
}
