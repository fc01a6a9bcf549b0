// SPDX-License-Identifier: MIT
/* convert.h - models from one form into another. */
#ifndef LOCKSTEP_CONVERT_H
#define LOCKSTEP_CONVERT_H

#include "lockstep/gguf.h"

typedef void ls_convert_progress_fn(void *ctx, size_t done, size_t total);

/* What became of one tensor. */
typedef struct ls_convert_tensor {
    ls_str   name;
    int      from, to;          /* types                                                      */
    uint64_t bytes_in, bytes_out;
    double   error;             /* RMS of the difference / RMS of the weights; 0: nothing lost */
} ls_convert_tensor;
typedef void ls_convert_tensor_fn(void *ctx, const ls_convert_tensor *t);
/* A sentence about something that the result does not hold, or holds in another form. */
typedef void ls_convert_note_fn(void *ctx, const char *note);

typedef struct ls_convert_options {
    int  dtype;                      /* of matrices that are F32, F16 or BF16; -1: as they are     */
    ls_convert_progress_fn *progress; /* tensors; NULL: none                                       */
    void                   *progress_ctx;
    ls_convert_tensor_fn   *tensor;  /* called for each, in the order of the file; NULL: none      */
    void                   *tensor_ctx;
    ls_convert_note_fn     *note;    /* folders only; NULL: none                                   */
    void                   *note_ctx;
    uint64_t max_shard_bytes;        /* folders only: of data in a file; 0: 5 GB                   */
    bool     replace;                /* folders only: a folder that is there may be replaced       */
} ls_convert_options;

/* Write a model, whatever it was read from (one file, several, a Hugging Face folder), as one GGUF
 * file. Vectors are written as F32, as other readers want them; with dtype F32, F16 or BF16 so are
 * matrices, rounded to nearest even. A type that ls_quantize knows is for matrices of layers,
 * embeddings and outputs; where rows are no multiple of its block they become Q8_0, or F16 if that
 * does not fit either, and what routes experts or holds positions stays a float. What is at `path`
 * is replaced when all is written.
 * Errors: UNSUPPORTED (a type that cannot be written, weights that do not fit it), IO, NOMEM. */
LS_API ls_status ls_convert_to_gguf(const char *path, const ls_gguf *model,
                                    const ls_convert_options *opt, ls_error *err);

/* Write a model as a Hugging Face folder: model.safetensors (or several with their index),
 * config.json, generation_config.json, tokenizer_config.json, and tokenizer.json or tokenizer.model.
 * Names, shapes and the order of rows are those of the class that config.json names. F32, F16 and
 * BF16 stay what they are with dtype -1 and are rounded with another; vectors are written in the
 * type of the matrices where nothing is lost by it. I2_S is packed, MXFP4 of gpt-oss kept as
 * blocks; everything else is decoded, to F16 with dtype -1.
 * config.json and the vocabulary are read again before any weight is written: what they cannot
 * carry and a result depends on is an error, anything else is told by `note`. The folder is
 * written beside `path` and renamed. With `replace` a folder at `path` that holds nothing but the
 * files of a model goes away.
 * Errors: UNSUPPORTED (an architecture, key, tensor or vocabulary that no folder has), USAGE (a
 * folder that is there), IO, NOMEM. */
LS_API ls_status ls_convert_to_folder(const char *path, const ls_gguf *model,
                                      const ls_convert_options *opt, ls_error *err);

/* One layer of a model as a model of its own, which computes from token ids 0 .. n_rows - 1 what that
 * layer computes from these hidden states: they are its embeddings. */
typedef struct ls_block_options {
    int32_t        layer;
    const float   *input; /* [n_rows][width]: what the layer read, after all that is done to embeddings.
                           * NULL: the rows of the model's own embeddings that `ids` names, unscaled */
    const int32_t *ids;   /* [n_rows], only without input */
    size_t         n_rows;
} ls_block_options;

typedef struct ls_block_info {
    int32_t  layer;   /* of the block in the new model: 0, but where it depends on a layer's number what
                       * it computes; layers that change nothing then stand before it */
    int32_t  n_vocab; /* n_rows, at least 32 */
    bool     exact;   /* the layer reads the input to the last bit; scaled embeddings may lose some */
    uint64_t n_bytes; /* of the file */
} ls_block_info;

/* Write it to `path`. Final norm and rotary factors stay, the output matrix keeps as many of its rows
 * as the vocabulary has tokens, learned positions become 0.
 * Errors: UNSUPPORTED (an architecture that the native engine does not evaluate, a layer whose
 * arithmetic depends on the other layers), USAGE (no such layer or id), FORMAT, IO, NOMEM. */
LS_API ls_status ls_convert_block(const char *path, const ls_gguf *model, const ls_block_options *opt,
                                  ls_block_info *out, ls_error *err);

#endif
