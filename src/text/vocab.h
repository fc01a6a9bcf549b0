// SPDX-License-Identifier: MIT
/* vocab.h - the vocabulary behind a tokenizer: texts, types, and look-ups by text. Private. */
#ifndef LS_TEXT_VOCAB_H
#define LS_TEXT_VOCAB_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "lockstep/tokenizer.h"

/* Open-addressing table from bytes to a non-negative number. */
typedef struct ls_str_map {
    struct { ls_str key; int32_t value; } *slots; /* value -1: empty */
    size_t mask;
} ls_str_map;

ls_status ls_str_map_init(ls_str_map *m, size_t n, ls_error *err);
void      ls_str_map_fini(ls_str_map *m);
/* Keeps the first value of a key that is put twice. The key is borrowed. */
void    ls_str_map_put(ls_str_map *m, ls_str key, int32_t value);
int32_t ls_str_map_get(const ls_str_map *m, ls_str key); /* -1: absent */
/* As get, for the key a + " " + b. */
int32_t ls_str_map_get_pair(const ls_str_map *m, ls_str a, ls_str b);

typedef enum ls_vocab_model { LS_VOCAB_SPM, LS_VOCAB_BPE } ls_vocab_model;

struct ls_tokenizer {
    ls_vocab_model model;
    char           pre[64];
    int32_t        n_vocab;
    ls_str        *text;   /* [n_vocab] borrowed from the file */
    uint8_t       *type;   /* [n_vocab] */
    float         *score;  /* [n_vocab], SPM */
    ls_str_map     ids;    /* text to id */
    ls_str_map     merges; /* "left right" to rank, BPE */
    pcre2_code    *pattern;
    int32_t        bos, eos, eot, unk;
    bool           add_bos, add_eos, add_space_prefix, ignore_merges;
    int32_t       *specials; /* ids of tokens that are cut out of text, longest first */
    size_t         n_specials;
    uint8_t       *is_end;   /* [n_vocab] */
    int32_t        byte_id[256];
};

/* Growing list of ids. */
typedef struct ls_ids {
    int32_t *at;
    size_t   n, cap;
} ls_ids;
ls_status ls_ids_push(ls_ids *ids, int32_t id, ls_error *err);

/* spm.c, bpe.c: tokenize a piece of text without special tokens. */
ls_status ls_spm_encode(const ls_tokenizer *t, const char *text, size_t len, ls_ids *out, ls_error *err);
ls_status ls_bpe_encode(const ls_tokenizer *t, const char *text, size_t len, ls_ids *out, ls_error *err);
ls_status ls_bpe_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err);
/* Bytes of a byte-level token text; returns the length. */
size_t ls_bpe_bytes(ls_str text, char *buf, size_t cap);

#endif
