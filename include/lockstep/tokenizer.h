// SPDX-License-Identifier: MIT
/* tokenizer.h - text to token ids and back, from the vocabulary inside a GGUF file, a tokenizer.json
 * or SentencePiece's tokenizer.model.
 *
 * Immutable after create; safe to share between threads.
 */
#ifndef LOCKSTEP_TOKENIZER_H
#define LOCKSTEP_TOKENIZER_H

#include "lockstep/gguf.h"

typedef struct ls_tokenizer ls_tokenizer;

/* Values of tokenizer.ggml.token_type. */
typedef enum ls_token_type {
    LS_TOKEN_UNDEFINED = 0, LS_TOKEN_NORMAL, LS_TOKEN_UNKNOWN, LS_TOKEN_CONTROL,
    LS_TOKEN_USER_DEFINED, LS_TOKEN_UNUSED, LS_TOKEN_BYTE,
} ls_token_type;

typedef enum ls_bos_mode {
    LS_BOS_AUTO = 0, /* as the model's metadata say */
    LS_BOS_YES,
    LS_BOS_NO,
} ls_bos_mode;

typedef struct ls_encode_options {
    ls_bos_mode bos;
    bool        parse_special; /* text of control tokens becomes the token, not its letters */
} ls_encode_options;

/* Build from the tokenizer.ggml.* metadata of g, which must outlive the tokenizer; where they name no
 * model, or a pre-tokenizer that has no name ("unknown"), from tokenizer.huggingface.json, the
 * tokenizer.json that a folder brings along.
 * Errors: FORMAT (missing or inconsistent keys), UNSUPPORTED (model or pre-tokenizer), NOMEM. */
LS_API ls_status ls_tokenizer_create(ls_tokenizer **out, const ls_gguf *g, ls_error *err);
/* Build from a file, told by its content: GGUF, tokenizer.json (with the tokenizer_config.json beside
 * it, which names BOS and EOS) or tokenizer.model; or from a folder: what ls_gguf_open makes of it, or
 * where it is no model, the tokenizer.json, else the tokenizer.model in it.
 * A tokenizer.json encodes as Hugging Face's tokenizers do it, a tokenizer.model as SentencePiece
 * does. Errors: IO, FORMAT (with the line, the member or the byte), UNSUPPORTED, NOMEM. */
LS_API ls_status ls_tokenizer_open(ls_tokenizer **out, const char *path, ls_error *err);
/* Build from tokenizer.huggingface.json of g alone, copying what it needs.
 * Errors: FORMAT (it is not there, or wrong), UNSUPPORTED, NOMEM. */
LS_API ls_status ls_tokenizer_create_json(ls_tokenizer **out, const ls_gguf *g, ls_error *err);
LS_API void      ls_tokenizer_destroy(ls_tokenizer *t); /* NULL is allowed */

/* Encode len bytes of text (any bytes; where UTF-8 is invalid, SentencePiece vocabularies of GGUF
 * files encode its bytes through byte tokens and all others encode U+FFFD, as the reference does).
 * *ids is owned: release with free(). len 0 gives what the BOS mode gives.
 * Errors: NOMEM, LIMIT (more than INT32_MAX / 4 bytes). */
LS_API ls_status ls_tokenizer_encode(const ls_tokenizer *t, const char *text, size_t len,
                                     const ls_encode_options *opt, int32_t **ids, size_t *n,
                                     ls_error *err);

/* Bytes of one token as they stand in running text: SentencePiece's U+2581 becomes a space,
 * byte tokens become their byte, control tokens become nothing unless `special`.
 * Writes at most cap bytes (no NUL) and returns the full length. Unknown ids give 0. */
LS_API size_t ls_tokenizer_piece(const ls_tokenizer *t, int32_t id, bool special, char *buf,
                                 size_t cap);

/* Text of n ids. SentencePiece's space before the first word is removed as the model's
 * add_space_prefix says, and spaces before punctuation where the reference does. *text is owned (free) and NUL-terminated; *len may be NULL. */
LS_API ls_status ls_tokenizer_decode(const ls_tokenizer *t, const int32_t *ids, size_t n,
                                     bool special, char **text, size_t *len, ls_error *err);

LS_API int32_t       ls_tokenizer_n_vocab(const ls_tokenizer *t);
LS_API ls_str        ls_tokenizer_text(const ls_tokenizer *t, int32_t id); /* raw vocabulary entry */
LS_API ls_token_type ls_tokenizer_type(const ls_tokenizer *t, int32_t id);
/* Id of the vocabulary entry with exactly this text, or -1. */
LS_API int32_t ls_tokenizer_find(const ls_tokenizer *t, const char *text);
/* Special ids, -1 where the model has none. */
LS_API int32_t ls_tokenizer_bos(const ls_tokenizer *t);
LS_API int32_t ls_tokenizer_eos(const ls_tokenizer *t);
LS_API int32_t ls_tokenizer_eot(const ls_tokenizer *t);
/* Whether LS_BOS_AUTO adds a BOS token. */
LS_API bool ls_tokenizer_adds_bos(const ls_tokenizer *t);
/* True if this token ends generation (EOS, EOT and the like). */
LS_API bool ls_tokenizer_is_end(const ls_tokenizer *t, int32_t id);
/* The model's name as the file has it ("llama", "gpt2", "bert", ...; "BPE", "Unigram", ... in a
 * tokenizer.json; "bpe", "unigram", ... in a tokenizer.model), and the pre-tokenizer's ("" if none). */
LS_API const char *ls_tokenizer_model(const ls_tokenizer *t);
LS_API const char *ls_tokenizer_pre(const ls_tokenizer *t);

/* ---- two descriptions of one vocabulary ---- */

typedef enum ls_vocab_difference {
    LS_VOCABS_AGREE = 0,
    LS_VOCABS_TOKEN,   /* a token is another text, or there on one side only   */
    LS_VOCABS_SPECIAL, /* a special id, where both name one; or whether BOS is added */
    LS_VOCABS_TEXT,    /* a text becomes other ids                             */
} ls_vocab_difference;

typedef struct ls_vocab_comparison {
    ls_vocab_difference difference; /* the first one */
    int32_t     id[2];      /* TOKEN, SPECIAL, TEXT: what it is on either side, -1 for none */
    const char *role;       /* SPECIAL: "BOS", "EOS", "a BOS token before every text"      */
    ls_str      text;       /* TEXT: which of the built-in texts                           */
    size_t      place;      /* TEXT: which of its ids                                      */
    size_t      n_texts;    /* how many built-in texts there are                           */
    ls_str      normalized; /* the first text on which they differ although they agree: one that
                             * only a normalizer changes (spaces, composed letters), which one of
                             * the descriptions may have no way to say; len 0 if there is none */
} ls_vocab_comparison;

/* Compare two descriptions of what should be one vocabulary: every token by its id (without rows of
 * padding), special ids, and the ids of built-in texts in many scripts. Errors: NOMEM, LIMIT, FORMAT
 * (a text cannot be encoded). */
LS_API ls_status ls_tokenizer_compare(const ls_tokenizer *a, const ls_tokenizer *b,
                                      ls_vocab_comparison *out, ls_error *err);

#endif
