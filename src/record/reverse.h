// SPDX-License-Identifier: MIT
/* reverse.h - an operation that was found, once more the other way round: the reference on the
 * subject's input. */
#ifndef LS_RECORD_REVERSE_H
#define LS_RECORD_REVERSE_H

#include "lockstep/record.h"

/* Fills `reversed`, `isolated_reverse` and `not_stepped` of what was found. n_layers: of the model.
 * Errors: those of the engines; NOMEM; CANCELLED. */
ls_status ls_reverse(ls_located *out, const ls_locate_options *opt, size_t n_layers, ls_error *err);

#endif
