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
    size_t         longest; /* bytes of the longest text */
    pcre2_code    *pattern; /* cuts words, over character classes (see chars.h); BPE */
    int32_t        bos, eos, eot, unk;
    bool           add_bos, add_eos, add_space_prefix, ignore_merges;
    int32_t       *specials; /* ids of tokens that are cut out of text, longest first */
    size_t         n_specials;
    uint8_t       *is_end;   /* [n_vocab] */
    int32_t        byte_id[256]; /* SPM: the token that stands for a byte, or -1 */
};

/* Growing list of ids. */
typedef struct ls_ids {
    int32_t *at;
    size_t   n, cap;
} ls_ids;
ls_status ls_ids_push(ls_ids *ids, int32_t id, ls_error *err);

/* spm.c: tokenize text that holds no special tokens, with a space before it if `prefix`. */
ls_status ls_spm_encode(const ls_tokenizer *t, ls_str text, bool prefix, ls_ids *out, ls_error *err);

/* bpe.c: the same for byte-level vocabularies. */
ls_status ls_bpe_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
/* Bytes that a byte-level token text stands for; writes at most cap, returns the full length. */
size_t ls_bpe_bytes(ls_str text, char *buf, size_t cap);

/* pretok.c: set the pattern and flags that go with the pre-tokenizer t->pre.
 * Errors: UNSUPPORTED (a name that is not known), NOMEM. */
ls_status ls_pretok_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err);

/* special.c: end tokens, forced types, and the list of tokens that are cut out of text. */
ls_status ls_specials_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err);
/* A stretch of text, or (id >= 0) a special token. */
typedef struct ls_fragment {
    ls_str  text;
    int32_t id;
} ls_fragment;
typedef struct ls_fragments {
    ls_fragment *at;
    size_t       n, cap;
} ls_fragments;
/* Cut special tokens out of text. out->at is owned: free(). */
ls_status ls_specials_cut(const ls_tokenizer *t, ls_str text, bool parse_special, ls_fragments *out,
                          ls_error *err);

/* tokenizer.c: read a token id of the metadata. *id keeps its value where the key is absent and
 * becomes -1 where the file says "none". Errors: FORMAT (past the vocabulary). */
ls_status ls_vocab_read_id(const ls_tokenizer *t, const ls_gguf *g, const char *key, int32_t *id,
                           ls_error *err);

#endif
