// SPDX-License-Identifier: MIT
/* text_vocab.h - tokenizers for tests: of models that lie around, and of tiny vocabularies written
 * key by key, any of which a test can replace or leave out. */
#ifndef TESTS_TEXT_VOCAB_H
#define TESTS_TEXT_VOCAB_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/tokenizer.h"
#include "support/files.h"
#include "support/gguf_build.h"

typedef void text_write_fn(gguf_build *b, const char *key);

typedef struct text_entry {
    const char    *key;   /* without "tokenizer.ggml." */
    text_write_fn *write; /* NULL: not there           */
} text_entry;

/* Write a vocabulary of n entries, of which `change` (may be NULL) replaces the one of its key or is
 * added, and open it. The caller closes *g. */
static inline ls_status text_vocab_open(const text_entry *entries, size_t n,
                                        const text_entry *change, ls_gguf **g, ls_tokenizer **t,
                                        ls_error *err)
{
    gguf_build b = {0}, body = {0};
    char       path[256], key[64];
    uint64_t   n_kv = 0;
    bool       added = change == NULL;
    ls_status  status;
    for (size_t i = 0; i < n || !added; i++) {
        const text_entry *e = i < n ? &entries[i] : change;
        if (change && strcmp(e->key, change->key) == 0) {
            e = change;
            added = true;
        }
        if (!e->write) continue;
        snprintf(key, sizeof(key), "tokenizer.ggml.%s", e->key);
        e->write(&body, key);
        n_kv++;
    }
    gguf_build_header(&b, 3, 0, n_kv);
    gguf_build_bytes(&b, body.data, body.n);
    gguf_build_pad(&b, 32);
    file_temporary(path, sizeof(path), "lockstep-vocab");
    file_write(path, b.data, b.n);
    gguf_build_free(&b);
    gguf_build_free(&body);
    *g = NULL;
    *t = NULL;
    status = ls_gguf_open(g, path, err);
    unlink(path);
    if (status == LS_OK) status = ls_tokenizer_create(t, *g, err);
    return status;
}

/* The folder shared by everything around the project. */
static inline const char *text_shared(void)
{
    const char *shared = getenv("LOCKSTEP_SHARED");
    return shared && shared[0] ? shared : LS_SOURCE_DIR "/../shared";
}

/* Ids of a text as numbers with spaces between; owned by the caller. The text is copied to a block of
 * just its length, so that sanitizers see a read past its end. */
static inline char *text_ids(const ls_tokenizer *t, const char *text, size_t len, ls_bos_mode bos,
                             bool special)
{
    const ls_encode_options o = {bos, special};
    int32_t *ids;
    size_t   n, at = 0;
    char    *line, *copy = malloc(len ? len : 1);
    bool     ok;
    if (!copy) abort();
    memcpy(copy, text, len);
    ok = ls_tokenizer_encode(t, copy, len, &o, &ids, &n, NULL) == LS_OK;
    free(copy);
    if (!ok) return NULL;
    line = malloc(12 * n + 1);
    if (!line) abort();
    line[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        at += (size_t)sprintf(line + at, "%s%d", i ? " " : "", (int)ids[i]);
    }
    free(ids);
    return line;
}

#endif
