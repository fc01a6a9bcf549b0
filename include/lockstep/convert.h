// SPDX-License-Identifier: MIT
/* convert.h - models from one form into another. */
#ifndef LOCKSTEP_CONVERT_H
#define LOCKSTEP_CONVERT_H

#include "lockstep/gguf.h"

typedef void ls_convert_progress_fn(void *ctx, size_t done, size_t total);

typedef struct ls_convert_options {
    int  dtype;                      /* of matrices that are F64, F32, F16 or BF16; -1: as they are */
    ls_convert_progress_fn *progress; /* tensors; NULL: none                                       */
    void                   *progress_ctx;
} ls_convert_options;

/* Write a model, whatever it was read from (one file, several, a Hugging Face folder), as one GGUF
 * file. Vectors are written as F32, as other readers want them; with dtype F32, F16 or BF16 so are
 * matrices, rounded to nearest even. What is at `path` is replaced when all is written.
 * Errors: UNSUPPORTED (a type that cannot be written), IO, NOMEM. */
LS_API ls_status ls_convert_to_gguf(const char *path, const ls_gguf *model,
                                    const ls_convert_options *opt, ls_error *err);

#endif
