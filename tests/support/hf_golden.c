// SPDX-License-Identifier: MIT
/* hf_golden.c - folders from the descriptions of tests/golden/hf. */
#include "support/hf_golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockstep/safetensors_write.h"
#include "support/files.h"

enum { MAX_BYTES = 1 << 20 };

const char *const hf_golden_names[] = {
    "llama",    "mistral",  "mixtral",   "qwen2",      "qwen3",      "gemma",    "gemma2",
    "gemma3",   "phi3",     "gpt2",      "gpt2b",      "stablelm",   "olmo2",    "olmo3",
    "smollm3",  "granite",  "command-r", "starcoder2", "falcon7",    "falcon40", "gptneox",
    "qwen2moe", "qwen3moe", "olmoe",     "gpt-oss",    "gpt-oss-mx", "bitnet",   NULL,
};

const char *hf_golden_path(const char *folder, const char *name)
{
    static char path[600];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* Data by name: see tests/golden/hf/README.md. */
static size_t generate(uint8_t *out, const char *name, bool bytes, size_t n)
{
    uint64_t s = 0xcbf29ce484222325u;
    for (const char *p = name; *p; p++) s = (s ^ (uint8_t)*p) * 0x100000001b3u;
    for (size_t i = 0; i < n; i++) {
        uint16_t b, v;
        s = s * 6364136223846793005u + 1442695040888963407u;
        b = (uint16_t)(s >> 48);
        v = (uint16_t)((b & 0x8000) | (0x3c00 + b % 0x300));
        if (bytes) {
            out[i] = (uint8_t)(b >> 8);
        } else {
            memcpy(out + 2 * i, &v, 2);
        }
    }
    return bytes ? n : 2 * n;
}

/* "in NAME TYPE SHAPE...": announced in the first pass, written in the second. */
static void put_tensor(ls_safetensors_writer *w, char *line, bool announce)
{
    static uint8_t data[MAX_BYTES];
    char    *save, *name = strtok_r(line + 3, " ", &save), *type = strtok_r(NULL, " ", &save), *d;
    bool     bytes = strcmp(type, "U8") == 0;
    int64_t  shape[8];
    uint32_t n_dims = 0;
    size_t   n = 1;
    while ((d = strtok_r(NULL, " ", &save)) != NULL) {
        shape[n_dims] = atoll(d);
        n *= (size_t)shape[n_dims++];
    }
    assert_true(2 * n <= sizeof(data));
    if (announce) {
        assert_int_equal(ls_safetensors_add(w, (ls_str){name, strlen(name)},
                                            bytes ? LS_CKPT_U8 : LS_CKPT_BF16, n_dims, shape, NULL),
                         LS_OK);
    } else {
        assert_int_equal(ls_safetensors_data(w, data, generate(data, name, bytes, n), NULL), LS_OK);
    }
}

void hf_golden_lines(const char *golden, const char *with, hf_golden_fn *fn, void *ctx)
{
    char   path[512], *text, *p;
    size_t n;
    snprintf(path, sizeof(path), "%s/tests/golden/hf/%s.txt", LS_SOURCE_DIR, golden);
    text = (char *)file_read(path, &n);
    text[n] = '\0';
    for (p = text; *p;) {
        char *end = strchr(p, '\n'), *next = end ? end + 1 : p + strlen(p);
        if (end) *end = '\0';
        if (strncmp(p, with, strlen(with)) == 0) fn(ctx, p);
        p = next;
    }
    free(text);
}

static void write_config(void *folder, char *line)
{
    file_write(hf_golden_path(folder, "config.json"), line + 7, strlen(line + 7));
}
static void announce(void *w, char *line) { put_tensor(w, line, true); }
static void put_data(void *w, char *line) { put_tensor(w, line, false); }

void hf_golden_build(const char *golden, const char *folder)
{
    ls_safetensors_writer *w;
    char                   folder_[300];
    snprintf(folder_, sizeof(folder_), "%s", folder);
    hf_golden_lines(golden, "config ", write_config, folder_);
    assert_int_equal(ls_safetensors_writer_create(&w, NULL), LS_OK);
    hf_golden_lines(golden, "in ", announce, w);
    assert_int_equal(ls_safetensors_begin(w, hf_golden_path(folder, "model.safetensors"), NULL),
                     LS_OK);
    hf_golden_lines(golden, "in ", put_data, w);
    assert_int_equal(ls_safetensors_finish(w, NULL), LS_OK);
    ls_safetensors_writer_destroy(w);
}
