// SPDX-License-Identifier: MIT
/* sp.h - SentencePiece's own files (tokenizer.model): a vocabulary with scores, and how text is
 * normalized before. Private.
 *
 * Encodes as SentencePiece does, not as llama.cpp's reading of such a vocabulary: extra spaces go if
 * the file says so, user-defined pieces are one symbol, and texts of control tokens are just text.
 */
#ifndef LS_TEXT_SP_H
#define LS_TEXT_SP_H

#include "text/vocab.h"

typedef enum ls_sp_model { LS_SP_UNIGRAM = 1, LS_SP_BPE, LS_SP_WORD, LS_SP_CHAR } ls_sp_model;

typedef struct ls_sp {
    int     model; /* ls_sp_model */
    bool    dummy_prefix, merge_spaces, escape_spaces, space_suffix, byte_fallback;
    int64_t bos, eos, unk;
    ls_str  charsmap;
    char   *bytes; /* the file, owned: texts are borrowed from it */
} ls_sp;

/* bytes: the file, NUL-terminated behind its end; taken over, whatever happens.
 * Errors: FORMAT with the byte where the file is wrong, UNSUPPORTED, NOMEM. */
ls_status ls_sp_open(ls_tokenizer *t, const char *path, char *bytes, size_t len, ls_error *err);
ls_status ls_sp_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err);
void      ls_sp_destroy(ls_sp *sp);

#endif
