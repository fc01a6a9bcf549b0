// SPDX-License-Identifier: MIT
/* vocab.h - the vocabulary behind a tokenizer: texts, types, and look-ups by text. Private. */
#ifndef LS_TEXT_VOCAB_H
#define LS_TEXT_VOCAB_H

#include "lockstep/tokenizer.h"
#include "text/charsmap.h"
#include "text/maps.h"
#include "text/pretok.h"
#include "text/trie.h"

typedef enum ls_vocab_kind {
    LS_VOCAB_SPM,    /* SentencePiece, pairs by score                  */
    LS_VOCAB_BPE,    /* pairs by merge rank                            */
    LS_VOCAB_WPM,    /* WordPiece                                      */
    LS_VOCAB_UGM,    /* SentencePiece, unigrams                        */
    LS_VOCAB_RWKV,   /* longest tokens                                 */
    LS_VOCAB_PLAMO2, /* unigrams from the end, rounded scores          */
    LS_VOCAB_TJ,     /* what a tokenizer.json declares (text/tj.h)     */
    LS_VOCAB_SP,     /* SentencePiece's tokenizer.model (text/sp.h)    */
} ls_vocab_kind;

/* What a name of tokenizer.ggml.model means where the metadata say nothing else. */
typedef struct ls_vocab_model {
    const char   *name;
    ls_vocab_kind kind;
    const char   *pre; /* the pre-tokenizer, whatever the metadata say, or NULL */
    int32_t       bos, eos, unk, sep;
    bool          add_bos, add_eos, add_space_prefix;
} ls_vocab_model;

#define LS_N_BYTE_CHARS 324 /* code points that stand for bytes are below this */

/* Byte-pair encoding. Symbols are token ids and, from n_vocab on, texts of merges that are none. */
typedef struct ls_bpe {
    ls_pair_map merges; /* symbols left and right to rank and symbol */
    ls_str_map  extra;  /* text of a symbol that is no token */
    int32_t     n_extra;
    struct ls_bpe_text *texts; /* copies of such texts */
    char       *scratch;
    size_t      scratch_cap;
    bool        crosses[256];     /* something is joined between this byte and U+2581 */
    int32_t     byte_sym[256];    /* symbol of the character that stands for a byte, or -1 */
    char        byte_char[256][2]; /* that character in UTF-8 */
    uint8_t     byte_char_len[256];
    int16_t     char_byte[LS_N_BYTE_CHARS]; /* and back; -1: stands for none */
} ls_bpe;

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
    bool           clean_spaces;      /* of decoded text: before punctuation (detokenize.c)  */
    bool           drop_first_spaces; /* of decoded text: every space of the first token */
    bool           space_suffix;      /* of decoded text: the one behind the last word   */
    /* special.c: tokens that are cut out of text */
    size_t *special_lens; /* [n_special_lens] distinct lengths of their texts, longest first */
    size_t  n_special_lens;
    bool    special_first[256]; /* bytes that one of them begins with */
    uint8_t *strip; /* [n_vocab] LS_STRIP_*, or NULL: white space that goes with a special token */
    /* what spells the bytes of text that the vocabulary lacks, -1 for nothing */
    int32_t byte_id[256];
    /* WordPiece, and BPE without spaces */
    bool lower_case, strip_accents;
    /* unigrams, RWKV */
    ls_trie     trie, user_trie; /* tokens; user-defined tokens */
    ls_charsmap charsmap;
    float       unk_score, max_score;
    bool        merge_spaces;
    bool        byte_fallback; /* what is unknown is spelled in byte tokens */
    /* BPE by merges */
    int        traits; /* LS_PRETOK_* */
    ls_pretok *pretok;
    ls_bpe     bpe;
    struct ls_tj *tj;       /* NULL of other kinds */
    struct ls_sp *sp;       /* as well */
    ls_gguf      *own_gguf; /* closed with the tokenizer; may be NULL */
};

/* load.c: texts, scores, types, special ids and flags. */
ls_status ls_vocab_load(ls_tokenizer *t, const ls_gguf *g, ls_error *err);
/* The byte that a token like <0x0A> is, or -1. */
int  ls_vocab_byte_of(ls_str s);
void ls_vocab_find_bytes(ls_tokenizer *t); /* fills byte_id with tokens like <0x0A> */
void ls_vocab_mark_ends(ls_tokenizer *t);  /* eot and is_end, by texts alone */
/* bos and eos as the metadata name them, if they do. */
ls_status ls_vocab_named_ids(ls_tokenizer *t, const ls_gguf *g, ls_error *err);
/* FORMAT, saying that metadata key `key` is missing or (if it is there) `why`, and where. */
ls_status ls_vocab_bad_key(const ls_gguf *g, const char *key, const char *why, ls_error *err);

/* Growing list of ids. */
typedef struct ls_ids {
    int32_t *at;
    size_t   n, cap;
} ls_ids;
ls_status ls_ids_push(ls_ids *ids, int32_t id, ls_error *err);
/* Append ids [at, at + n) of the list once more. */
ls_status ls_ids_repeat(ls_ids *ids, size_t at, size_t n, ls_error *err);

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

/* One file each. What the model needs beside the lists, once they are there (ls_bpe_open_pretok
 * before that); and a piece of text without special tokens to ids, which are appended. */
void      ls_spm_init(ls_tokenizer *t);
ls_status ls_bpe_open_pretok(ls_tokenizer *t, const ls_gguf *g, ls_str pre, ls_error *err);
ls_status ls_bpe_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err);
ls_status ls_ugm_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err);
ls_status ls_rwkv_init(ls_tokenizer *t, ls_error *err);
ls_status ls_plamo2_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err);
ls_status ls_spm_encode(const ls_tokenizer *t, ls_str text, bool add_space, ls_ids *out,
                        ls_error *err);
ls_status ls_bpe_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
ls_status ls_wpm_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
ls_status ls_ugm_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
ls_status ls_rwkv_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
ls_status ls_plamo2_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
/* A normalized text by the tokens of the trie and their scores. */
ls_status ls_ugm_best(const ls_tokenizer *t, ls_str s, ls_ids *out, ls_error *err);
/* Text with U+2581 for each space, in buf [3 * text.len]. */
ls_str ls_spm_escape(ls_str text, char *buf);
/* Text of a token as bytes: at most cap are written, the whole length is returned. */
size_t ls_spm_bytes(ls_str text, char *buf, size_t cap);
size_t ls_bpe_bytes(const ls_tokenizer *t, ls_str text, char *buf, size_t cap);
size_t ls_rwkv_bytes(ls_str text, char *buf, size_t cap);

#endif
