// SPDX-License-Identifier: MIT
/* pretok.h - cutting text into the words that byte-level BPE merges one by one. Private. */
#ifndef LS_TEXT_PRETOK_H
#define LS_TEXT_PRETOK_H

#include "lockstep/error.h"
#include "lockstep/types.h"
#include "text/unicode.h"

typedef struct ls_pretok ls_pretok;

/* Code points that a pattern names one by one: they stand in the outline as the kind of their
 * range, LS_PRETOK_A and up, whatever they are else. White space stays what it is. */
typedef struct ls_pretok_sets {
    const ls_kind_range *ranges;
    size_t               n;
} ls_pretok_sets;

enum { LS_PRETOK_A = 0x90 };

extern const ls_pretok_sets ls_pretok_deepseek_letters, ls_pretok_deepseek_signs,
    ls_pretok_deepseek_east, ls_pretok_kana_and_han, ls_pretok_youtu, ls_pretok_afmoe_scripts,
    ls_pretok_sentence_marks, ls_pretok_han;

/* What a pattern would do in quadratic time. */
typedef enum ls_pretok_rule {
    LS_PRETOK_NO_RULE,
    LS_PRETOK_BEHIND_THREES, /* behind groups of three in a number, counted from its end; the first
                              * one has what stands before it as its part                      */
    LS_PRETOK_BEFORE_THREES, /* before such groups of three digits of ASCII                    */
    LS_PRETOK_HALVES,        /* a run of spaces in 512, and the rest in powers of two          */
} ls_pretok_rule;

/* One way of cutting: by matches of a pattern over the outline, or by a rule. */
typedef struct ls_pretok_stage {
    const char           *pattern;
    const ls_pretok_sets *sets;
    ls_pretok_rule        rule;
} ls_pretok_stage;

#define LS_PRETOK_MAX_STAGES 6

/* What else the reference assumes with a pre-tokenizer's name. */
enum {
    LS_PRETOK_IGNORE_MERGES = 1, /* a word that is a token is that token, whatever the merges say */
    LS_PRETOK_ADD_BOS = 2,       /* where the metadata say nothing                                */
    LS_PRETOK_MUST_BOS = 4,      /* whatever the metadata say                                     */
    LS_PRETOK_NO_BOS_ID = 8,     /* no BOS token where the metadata name none                     */
    LS_PRETOK_RAW = 16,          /* words are UTF-8, not characters that stand for bytes          */
    LS_PRETOK_ESCAPE = 32,       /* U+2581 stands for a space                                     */
    LS_PRETOK_LINES = 64,        /* a word of line feeds that is a token is that token            */
    LS_PRETOK_NO_MERGES = 128,   /* the list of merges may be missing                             */
    LS_PRETOK_KEEP_SPACES = 256, /* decoded text keeps its spaces before punctuation              */
    LS_PRETOK_DROP_SPACES = 512, /* white space is no part of any token: tokenizer.ggml.model says */
};

typedef struct ls_pretok_family {
    const char     *names[12]; /* as tokenizer.ggml.pre has them; NULL ends the list */
    int             traits;
    ls_pretok_stage stages[LS_PRETOK_MAX_STAGES];
} ls_pretok_family;

/* pretok_families.c: the family of a name, or NULL. */
const ls_pretok_family *ls_pretok_find(ls_str name);
/* All families in order; NULL behind the last. */
const ls_pretok_family *ls_pretok_family_at(size_t i);

/* Pre-tokenizer of this name ("" means "default").
 * *traits gets LS_PRETOK_* flags.
 * Errors: UNSUPPORTED (the name), NOMEM. */
ls_status ls_pretok_create(ls_pretok **out, ls_str name, int *traits, ls_error *err);
void      ls_pretok_destroy(ls_pretok *p); /* NULL is allowed */

/* A text in well-formed UTF-8 and its words, one after the other. Release with ls_words_fini. */
typedef struct ls_words {
    char   *text;
    size_t  text_len;
    size_t *len; /* [n] bytes of each word, 0 for none; their sum is the text's length */
    size_t  n, cap;
} ls_words;

/* Cut a text of any bytes: what is no UTF-8 becomes U+FFFD, byte by byte. *out is to be finished
 * after a failure, too. */
ls_status ls_pretok_split(const ls_pretok *p, const char *text, size_t len, ls_words *out,
                          ls_error *err);
void      ls_words_fini(ls_words *w);

#endif
