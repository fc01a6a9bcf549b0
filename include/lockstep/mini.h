// SPDX-License-Identifier: MIT
/* mini.h - small models with random weights, of any architecture that the native engine evaluates.
 *
 * They make no sense; they make every engine compute, and other engines read them, too.
 */
#ifndef LOCKSTEP_MINI_H
#define LOCKSTEP_MINI_H

#include "lockstep/error.h"
#include "lockstep/types.h"

/* Widths, heads and layers. */
typedef enum ls_mini_shape {
    LS_MINI_TINY = 0, LS_MINI_SMALL, LS_MINI_MEDIUM, /* about 2, 15 and 45 million weights */
    LS_MINI_LLAMA_100M,
    LS_MINI_LLAMA_1B,  /* that of Llama 3.2 1B     */
    LS_MINI_BITNET_2B, /* that of BitNet b1.58 2B4T */
    LS_N_MINI_SHAPES,
} ls_mini_shape;

typedef void ls_mini_progress_fn(void *ctx, size_t done, size_t total); /* bytes */

typedef struct ls_mini_options {
    const char   *arch;     /* as in general.architecture                                          */
    int           dtype;    /* of the matrices: a type for which ls_mini_has_dtype                 */
    const char   *mixture;  /* instead of that: types by the rules of ls_quantize_model; NULL: none */
    ls_mini_shape shape;
    uint64_t      seed;     /* the same options give the same bytes on every machine               */
    bool          optional; /* with the parts that the architecture may have or not: biases, norms,
                             * experts, blocks side by side                                        */
    int           n_threads; /* 0: one per core; the bytes do not depend on it                      */
    ls_mini_progress_fn *progress; /* NULL: none                                                    */
    void                *progress_ctx;
} ls_mini_options;

/* Write the model to `path`; what is there is replaced when all is written.
 * Errors: UNSUPPORTED (architecture, type, mixture), IO, NOMEM. */
LS_API ls_status ls_mini_write(const char *path, const ls_mini_options *opt, ls_error *err);

/* Name of architecture i, NULL behind the last. */
LS_API const char *ls_mini_arch(size_t i);
/* The architecture that a shape is taken from; "llama" for those of none. */
LS_API const char *ls_mini_shape_arch(ls_mini_shape shape);
/* Whether matrices of this type can be made up. Embeddings are F16 where the type is for ternary
 * matrices alone (I2_S, TL1, TL2); TL1 and TL2 are no types for every shape. */
LS_API bool ls_mini_has_dtype(int dtype);

#endif
