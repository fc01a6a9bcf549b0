// SPDX-License-Identifier: MIT
/* unpack.h - rows that can be multiplied, out of ternary matrices that files hold as a whole
 * (dtype/packed.h). */
#ifndef LS_MODEL_UNPACK_H
#define LS_MODEL_UNPACK_H

#include "lockstep/error.h"
#include "lockstep/gguf.h"

/* The type of the rows of a packed matrix, and bytes of such a row of n elements. */
int    ls_unpacked_dtype(const ls_tensor *t);
size_t ls_unpacked_row_bytes(int dtype, size_t n);
/* Rows [from, from + n_rows) into `out`, aligned as ls_alloc_aligned does it. Errors: NOMEM. */
ls_status ls_unpack(uint8_t *out, int dtype, const ls_tensor *t, size_t from, size_t n_rows,
                    ls_error *err);

#endif
