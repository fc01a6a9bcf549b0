// SPDX-License-Identifier: MIT
/* mini.h - small models with random weights, of any architecture that the native engine evaluates.
 *
 * They make no sense; they make every engine compute, and other engines read them, too.
 */
#ifndef LOCKSTEP_MINI_H
#define LOCKSTEP_MINI_H

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef enum ls_mini_size { LS_MINI_TINY = 0, LS_MINI_SMALL, LS_MINI_MEDIUM, LS_MINI_1B, LS_N_MINI_SIZES } ls_mini_size;

typedef struct ls_mini_options {
    const char  *arch;     /* as in general.architecture                                          */
    int          dtype;    /* of the matrices: a type for which ls_mini_has_dtype                 */
    ls_mini_size size;
    uint64_t     seed;     /* the same options give the same bytes on every machine               */
    bool         optional; /* with the parts that the architecture may have or not: biases, norms,
                            * experts, blocks side by side                                        */
} ls_mini_options;

/* Write the model to `path`; what is there is replaced when all is written.
 * Errors: UNSUPPORTED (architecture, type), IO, NOMEM. */
LS_API ls_status ls_mini_write(const char *path, const ls_mini_options *opt, ls_error *err);

/* Name of architecture i, NULL behind the last. */
LS_API const char *ls_mini_arch(size_t i);
/* Whether matrices of this type can be made up. */
LS_API bool ls_mini_has_dtype(int dtype);

#endif
