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

typedef struct ls_convert_options {
    int  dtype;                      /* of matrices that are F32, F16 or BF16; -1: as they are     */
    ls_convert_progress_fn *progress; /* tensors; NULL: none                                       */
    void                   *progress_ctx;
    ls_convert_tensor_fn   *tensor;  /* called for each, in the order of the file; NULL: none      */
    void                   *tensor_ctx;
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

#endif
