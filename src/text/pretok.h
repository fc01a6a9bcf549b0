// SPDX-License-Identifier: MIT
/* pretok.h - cutting text into the words that byte-level BPE merges one by one. Private. */
#ifndef LS_TEXT_PRETOK_H
#define LS_TEXT_PRETOK_H

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef struct ls_pretok ls_pretok;

/* What else the reference assumes with a pre-tokenizer's name. */
typedef struct ls_pretok_traits {
    bool ignore_merges; /* a word that is a token is that token, whatever the merges say */
    bool add_bos;       /* where the metadata say nothing                                */
} ls_pretok_traits;

/* Pre-tokenizer of this name ("" means "default").
 * Errors: UNSUPPORTED (the name, with a hint that lists the patterns), NOMEM. */
ls_status ls_pretok_create(ls_pretok **out, ls_str name, ls_pretok_traits *traits, ls_error *err);
void      ls_pretok_destroy(ls_pretok *p); /* NULL is allowed */

/* A text in well-formed UTF-8 and its words, one after the other. Release with ls_words_fini. */
typedef struct ls_words {
    char   *text;
    size_t *len; /* [n] bytes of each word, 0 for none; their sum is the text's length */
    size_t  n, cap;
} ls_words;

/* Cut a text of any bytes: what is no UTF-8 becomes U+FFFD, byte by byte. *out is to be finished
 * after a failure, too. */
ls_status ls_pretok_split(const ls_pretok *p, const char *text, size_t len, ls_words *out,
                          ls_error *err);
void      ls_words_fini(ls_words *w);

#endif
