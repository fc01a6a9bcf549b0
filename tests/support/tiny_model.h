// SPDX-License-Identifier: MIT
/* tiny_model.h - complete models of any small shape from a seed: random weights, a SentencePiece
 * vocabulary of bytes and letters. They make no sense; they make every engine compute. */
#ifndef TESTS_TINY_MODEL_H
#define TESTS_TINY_MODEL_H

#include "support/gguf_build.h"

typedef struct tiny_model {      /* zero means: default */
    const char *arch;            /* "llama", "bitnet" or "bitnet-b1.58"; default llama */
    uint32_t    dtype;           /* of the matrices: 0 (F32), 1 (F16), or another type          */
    uint32_t    d;               /* width: 32, a multiple of 8 heads                  */
    uint32_t    ff, layers, ctx; /* 64, 1, 64                                         */
    uint32_t    head;            /* width of a head: d / 4                            */
    uint32_t    vocab;           /* 300; at least 286, or texts cannot be tokenized   */
    uint64_t    seed;
} tiny_model;

enum { TINY_HEADS = 4, TINY_KV_HEADS = 2 };

/* Append a whole file to an empty builder. Matrices that cannot be of dtype
 * are Q8_0: their rows are no whole blocks, or nothing cuts them into tiles. */
void tiny_model_build(gguf_build *b, const tiny_model *t);

/* Append the metadata of its vocabulary, of TINY_VOCABULARY_KEYS keys. */
enum { TINY_VOCABULARY_KEYS = 7 };
void tiny_model_put_vocabulary(gguf_build *b, uint32_t vocab);

#endif
