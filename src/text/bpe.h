// SPDX-License-Identifier: MIT
/* bpe.h - merges of byte-pair encoding, whichever file they come from. Private. */
#ifndef LS_TEXT_BPE_H
#define LS_TEXT_BPE_H

#include "text/merge.h"

/* Which characters stand for bytes; t->ids is there. */
void ls_bpe_init_bytes(ls_tokenizer *t);
/* After the merges, of a vocabulary of GGUF: what stands for a byte of text that no token has. */
void ls_bpe_find_bytes(ls_tokenizer *t);
/* Make room for n merges. */
ls_status ls_bpe_begin(ls_tokenizer *t, size_t n, ls_error *err);
/* Merge number `rank`, which gives a text of its own (`joined`, NULL: left and right together).
 * The texts left and right are borrowed for as long as the tokenizer is there. */
ls_status ls_bpe_add(ls_tokenizer *t, ls_str left, ls_str right, const ls_str *joined, int32_t rank,
                     ls_error *err);
/* Parts of a merge, which a space separates; the first may begin with one. False: no such space. */
bool ls_bpe_parts(ls_str merge, ls_str *left, ls_str *right);
void ls_bpe_fini(ls_bpe *b);

/* For ls_merger_run: by rank. */
ls_pair_fn ls_bpe_pair;

#endif
