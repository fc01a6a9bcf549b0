// SPDX-License-Identifier: MIT
/* tj.h - what a tokenizer.json declares: normalizer, pre-tokenizer, model, post-processor, decoder
 * and added tokens, as lists of steps. Private to tj*.c, tokenizer.c and detokenize.c.
 *
 * Nested sequences are flattened when the file is read; a step is a kind with its parameters.
 */
#ifndef LS_TEXT_TJ_H
#define LS_TEXT_TJ_H

#include <jansson.h>

#include "text/regex.h"
#include "text/vocab.h"

/* ---- where one is in the file ---- */

typedef struct ls_tj_place { /* a chain on the stack: parent, and its key or index */
    const struct ls_tj_place *up;
    const char                 *key; /* NULL: index */
    size_t                      index;
} ls_tj_place;

typedef struct ls_tj_file {
    const char *path; /* of the file, for errors */
} ls_tj_file;

/* FORMAT (or `status`) with the file and the place in it. */
ls_status ls_tj_fail(const ls_tj_file *f, const ls_tj_place *at, ls_status status,
                       ls_error *err, const char *fmt, ...) LS_PRINTF(5, 6);
/* Say where an error was that is recorded already. */
void ls_tj_at(const ls_tj_file *f, const ls_tj_place *at, ls_error *err);
/* Members of an object; absent and null leave *out as it is. */
ls_status ls_tj_bool(const ls_tj_file *f, const ls_tj_place *at, const json_t *o,
                       const char *key, bool *out, ls_error *err);
ls_status ls_tj_int(const ls_tj_file *f, const ls_tj_place *at, const json_t *o,
                      const char *key, int64_t least, int64_t most, int64_t *out, ls_error *err);
/* Owned by the caller: copied. *out stays {NULL, 0} where there is none. */
ls_status ls_tj_str(const ls_tj_file *f, const ls_tj_place *at, const json_t *o,
                      const char *key, ls_str *out, ls_error *err);

/* ---- steps ---- */

typedef enum ls_step_kind {
    /* normalizers */
    LS_STEP_NFC, LS_STEP_NFD, LS_STEP_NFKC, LS_STEP_NFKD, LS_STEP_LOWERCASE, LS_STEP_STRIP,
    LS_STEP_STRIP_ACCENTS, LS_STEP_REPLACE, LS_STEP_PREPEND, LS_STEP_BERT, LS_STEP_NMT,
    LS_STEP_CHARSMAP,
    /* pre-tokenizers; BYTE_LEVEL, METASPACE and REPLACE serve elsewhere, too */
    LS_STEP_BERT_WORDS, LS_STEP_BYTE_LEVEL, LS_STEP_DELIMITER, LS_STEP_METASPACE, LS_STEP_WORDS,
    LS_STEP_SPACE_SPLIT, LS_STEP_SPLIT, LS_STEP_PUNCTUATION, LS_STEP_DIGITS, LS_STEP_FIXED,
    /* decoders */
    LS_STEP_BYTE_FALLBACK, LS_STEP_FUSE, LS_STEP_WORDPIECE, LS_STEP_BPE_SUFFIX,
} ls_step_kind;

/* What becomes of a match that cuts a text. */
typedef enum ls_split_behavior {
    LS_SPLIT_REMOVED, LS_SPLIT_ISOLATED, LS_SPLIT_WITH_PREVIOUS, LS_SPLIT_WITH_NEXT,
    LS_SPLIT_CONTIGUOUS,
} ls_split_behavior;

typedef enum ls_prepend_scheme { LS_PREPEND_ALWAYS, LS_PREPEND_FIRST, LS_PREPEND_NEVER } ls_prepend_scheme;

typedef struct ls_step {
    ls_step_kind      kind;
    ls_str            text;    /* what is put in, prepended, cut at; owned           */
    ls_regex         *pattern; /* REPLACE, SPLIT; owned                              */
    ls_charsmap       charsmap;
    char             *charsmap_bytes; /* owned */
    ls_split_behavior behavior;
    ls_prepend_scheme scheme;  /* METASPACE */
    size_t            start, stop; /* STRIP of a decoder: how many; FIXED: start     */
    bool left, right;          /* STRIP                                              */
    bool clean, chinese, accents, lower; /* BERT                                      */
    bool prefix_space, words;  /* BYTE_LEVEL: a space before the text, cut it in words */
    bool split, invert, each;  /* METASPACE; SPLIT; DIGITS                           */
} ls_step;

typedef struct ls_steps {
    ls_step *at;
    size_t   n, cap;
} ls_steps;

void ls_steps_fini(ls_steps *s);

typedef enum ls_tj_model { LS_TJ_BPE, LS_TJ_UNIGRAM, LS_TJ_WORDPIECE, LS_TJ_WORDLEVEL } ls_tj_model;

/* An added token: cut out of the text as it is, or (normalized) after the text was normalized. */
enum { LS_ADDED_SPECIAL = 1, LS_ADDED_NORMALIZED = 2, LS_ADDED_WORD = 4, LS_ADDED_LEFT = 8,
       LS_ADDED_RIGHT = 16 };

typedef struct ls_tj {
    ls_tj_model model;
    ls_steps    normalizer, pretok, decoder;
    uint8_t    *added;          /* [n_vocab] flags of added tokens */
    ls_trie     raw, normal;    /* texts of added tokens */
    ls_str_map  model_ids;      /* the model's own vocabulary, without added tokens */
    ls_ids      before, behind; /* ids that the post-processor puts on */
    ls_str      prefix, suffix; /* of words that go on, of words that end; owned */
    bool        byte_fallback, fuse_unk, ignore_merges;
    size_t      max_chars;      /* WordPiece: longer words are unknown */
    char       *texts;          /* of the vocabulary, owned */
    ls_str     *pieces;         /* [n_vocab] tokens as the decoder writes them inside a text */
    char       *piece_texts;
} ls_tj;

/* ---- texts in pieces ---- */

typedef struct ls_piece {
    size_t at, len; /* in the text of the list */
} ls_piece;

/* A text and what of it is words so far, in order. */
typedef struct ls_pieces {
    char     *text;
    size_t    len, cap;
    ls_piece *at;
    size_t    n, n_cap;
} ls_pieces;

ls_status ls_pieces_append(ls_pieces *p, const char *s, size_t len, ls_error *err);
ls_status ls_pieces_cut(ls_pieces *p, size_t at, size_t len, ls_error *err); /* len 0: nothing */
void      ls_pieces_fini(ls_pieces *p);

/* tj_norm.c: *text (owned, well-formed UTF-8) becomes its normalized form. */
ls_status ls_tj_normalize(const ls_tj *tj, char **text, size_t *len, ls_error *err);
/* One step of it; a text of more than `limit` bytes is refused (LIMIT). */
ls_status ls_tj_apply(const ls_step *s, char **text, size_t *len, size_t limit, ls_error *err);
/* tj_pretok.c: cut into words. `at_start`: the text begins where all began. */
ls_status ls_tj_pretokenize(const ls_tj *tj, ls_str text, bool at_start, ls_pieces *out,
                            ls_error *err);
/* tj_steps.c: read one of the three lists. */
ls_status ls_tj_read_normalizer(ls_tj *tj, const ls_tj_file *f, const json_t *root, ls_error *err);
ls_status ls_tj_read_pretok(ls_tj *tj, const ls_tj_file *f, const json_t *root, ls_error *err);
ls_status ls_tj_read_decoder(ls_tj *tj, const ls_tj_file *f, const json_t *root, ls_error *err);
/* tj_vocab.c: model and added tokens. tj_post.c: post-processor. */
ls_status ls_tj_read_vocab(ls_tokenizer *t, const ls_tj_file *f, const json_t *root, ls_error *err);
ls_status ls_tj_read_post(ls_tokenizer *t, const ls_tj_file *f, const json_t *root, ls_error *err);
/* tj_decode.c: fills `pieces`; the decoder is there. */
ls_status ls_tj_decode_all(ls_tokenizer *t, const ls_tj_file *f, ls_error *err);
/* tj_encode.c */
ls_status ls_tj_encode(const ls_tokenizer *t, ls_str text, bool parse_special, ls_ids *out,
                       ls_error *err);
/* tj.c: from the bytes of a tokenizer.json, and of the tokenizer_config.json beside it (len 0: there
 * is none). */
ls_status ls_tj_open(ls_tokenizer *t, const char *path, ls_str json, ls_str config, ls_error *err);
void      ls_tj_destroy(ls_tj *tj);

#endif
