// SPDX-License-Identifier: MIT
/* vocab.h - the vocabulary behind a tokenizer: texts, types, and look-ups by text. Private. */
#ifndef LS_TEXT_VOCAB_H
#define LS_TEXT_VOCAB_H

#include "lockstep/tokenizer.h"
#include "text/pretok.h"

/* Open-addressing table from bytes to a non-negative number. */
typedef struct ls_str_map {
    struct ls_str_slot {
        ls_str  key;
        int32_t value; /* -1: empty */
    } *slots;
    size_t mask;
} ls_str_map;

ls_status ls_str_map_init(ls_str_map *m, size_t n, ls_error *err);
void      ls_str_map_fini(ls_str_map *m);
/* Keeps the first value of a key that is put twice, and returns false then. The key is borrowed. */
bool    ls_str_map_put(ls_str_map *m, ls_str key, int32_t value);
int32_t ls_str_map_get(const ls_str_map *m, ls_str key); /* -1: absent */
/* As get, for the key a + " " + b. */
int32_t ls_str_map_get_pair(const ls_str_map *m, ls_str a, ls_str b);

typedef enum ls_vocab_kind {
    LS_VOCAB_SPM, /* SentencePiece, pairs by score */
    LS_VOCAB_BPE, /* pairs by merge rank           */
    LS_VOCAB_WPM, /* WordPiece                     */
    LS_VOCAB_UGM, /* SentencePiece, unigrams       */
} ls_vocab_kind;

typedef struct ls_ugm ls_ugm;

/* What a name of tokenizer.ggml.model means where the metadata say nothing else. */
typedef struct ls_vocab_model {
    const char   *name;
    ls_vocab_kind kind;
    const char   *pre; /* the pre-tokenizer, whatever the metadata say, or NULL */
    int32_t       bos, eos, unk, sep;
    bool          add_bos, add_eos, add_space_prefix;
} ls_vocab_model;

#define LS_N_BYTE_CHARS 324 /* code points that stand for bytes are below this */

struct ls_tokenizer {
    const ls_vocab_model *model;
    char    pre[64];
    int32_t n_vocab;
    ls_str        *text;   /* [n_vocab] borrowed from the file or from `names` */
    uint8_t       *type;   /* [n_vocab] */
    float         *score;  /* [n_vocab] */
    uint8_t       *is_end; /* [n_vocab] */
    char          *names;  /* made-up texts of tokens that have none */
    ls_str_map     ids;    /* text to id */
    size_t         max_len; /* of a text */
    int32_t        bos, eos, eot, unk, sep;
    bool           add_bos, add_eos, add_space_prefix;
    /* special.c: tokens that are cut out of text */
    size_t *special_lens; /* [n_special_lens] distinct lengths of their texts, longest first */
    size_t  n_special_lens;
    bool    special_first[256]; /* bytes that one of them begins with */
    uint8_t *strip; /* [n_vocab] LS_STRIP_*, or NULL: white space that goes with a special token */
    /* what spells the bytes of text that the vocabulary lacks, -1 for nothing */
    int32_t byte_id[256];
    /* WordPiece */
    bool lower_case, strip_accents;
    /* unigrams */
    ls_ugm *ugm;
    bool    merge_spaces;
    /* BPE by merges */
    int        traits; /* LS_PRETOK_* */
    ls_str_map merges; /* "left right" to rank */
    ls_pretok *pretok;
    char       byte_char[256][2]; /* the character that stands for a byte, in UTF-8 */
    uint8_t    byte_char_len[256];
    int16_t    char_byte[LS_N_BYTE_CHARS]; /* and back; -1: stands for none */
};

/* load.c: texts, scores, types, special ids and flags. */
ls_status ls_vocab_load(ls_tokenizer *t, const ls_gguf *g, ls_error *err);
/* FORMAT, saying that metadata key `key` is missing or (if it is there) `why`, and where. */
ls_status ls_vocab_bad_key(const ls_gguf *g, const char *key, const char *why, ls_error *err);

/* Growing list of ids. */
typedef struct ls_ids {
    int32_t *at;
    size_t   n, cap;
} ls_ids;
ls_status ls_ids_push(ls_ids *ids, int32_t id, ls_error *err);

/* A piece of text, or the special token that stood there. */
typedef struct ls_fragment {
    ls_str  text;
    int32_t id; /* -1: text */
} ls_fragment;

typedef struct ls_fragments {
    ls_fragment *at;
    size_t       n, cap;
} ls_fragments;

enum { LS_STRIP_LEFT = 1, LS_STRIP_RIGHT = 2 };

/* strip.c: which special tokens take white space along, known by the names of model, pre-tokenizer
 * and architecture. */
ls_status ls_strip_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err);

/* special.c: cut special tokens out of text. The list is the caller's to free, even on failure. */
ls_status ls_special_init(ls_tokenizer *t, ls_error *err);
ls_status ls_special_split(const ls_tokenizer *t, ls_str text, bool parse_special,
                           ls_fragments *out, ls_error *err);

/* spm.c, bpe.c, wpm.c, ugm.c: tokenize a piece of text without special tokens. */
void      ls_spm_init(ls_tokenizer *t);
ls_status ls_bpe_init(ls_tokenizer *t, const ls_gguf *g, ls_str pre, ls_error *err);
ls_status ls_spm_encode(const ls_tokenizer *t, ls_str text, bool add_space, ls_ids *out,
                        ls_error *err);
ls_status ls_bpe_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
ls_status ls_wpm_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
ls_status ls_ugm_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
/* After the vocabulary is loaded. Errors: FORMAT (the map of characters), NOMEM. */
ls_status ls_ugm_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err);
void      ls_ugm_destroy(ls_ugm *u); /* NULL is allowed */
/* After the vocabulary is loaded. */
void ls_bpe_init_bytes(ls_tokenizer *t);
/* Text with U+2581 for each space, in buf [3 * text.len]. */
ls_str ls_spm_escape(ls_str text, char *buf);
/* Text of a token as bytes: at most cap are written, the whole length is returned. */
size_t ls_spm_bytes(ls_str text, char *buf, size_t cap);
size_t ls_bpe_bytes(const ls_tokenizer *t, ls_str text, char *buf, size_t cap);

#endif
