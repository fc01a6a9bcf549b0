// SPDX-License-Identifier: MIT
/* merge.h - greedy pair merging, the core that SentencePiece and byte-pair encoding share. */
#ifndef LS_TEXT_MERGE_H
#define LS_TEXT_MERGE_H

#include "text/vocab.h"

typedef struct ls_symbol {
    ls_str  s;          /* empty: joined to its left neighbour */
    int32_t sym;        /* BPE: what it is; -1: nothing known  */
    int32_t prev, next; /* -1: none */
} ls_symbol;

/* Priority of joining two neighbours a and b, lower first, and what sym gives; false: never. */
typedef bool ls_pair_fn(const ls_tokenizer *t, const ls_symbol *a, const ls_symbol *b,
                        double *priority, int32_t *sym);

typedef struct ls_candidate {
    double   priority;
    int32_t  left, right, sym;
    uint32_t len; /* of both when queued: stale if it has changed */
} ls_candidate;

/* Scratch that grows and is kept from word to word. */
typedef struct ls_merger {
    ls_symbol    *symbols;
    size_t        n_symbols, symbols_cap;
    ls_candidate *heap;
    size_t        n_heap, heap_cap;
} ls_merger;

/* Append a symbol (not empty) of the word that is about to be merged. */
ls_status ls_merger_add(ls_merger *m, ls_str s, int32_t sym, ls_error *err);
/* Join neighbours, lowest priority value first (leftmost among equals), until none is left. */
ls_status ls_merger_run(ls_merger *m, const ls_tokenizer *t, ls_pair_fn *pair, ls_error *err);
void      ls_merger_fini(ls_merger *m);

#endif
