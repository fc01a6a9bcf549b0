// SPDX-License-Identifier: MIT
/* quant.h - floats to weights of a block format.
 *
 * The bytes are those that llama.cpp's quantiser writes for the same floats and the same weights of
 * importance, whatever the machine. (One exception: an IQ3_S row with 32 zeros beside other weights,
 * where llama.cpp v0.5.0 writes what it cannot read.) */
#ifndef LOCKSTEP_QUANT_H
#define LOCKSTEP_QUANT_H

#include "lockstep/error.h"
#include "lockstep/types.h"

/* True if floats can be turned into this type; true if weights of importance change the result;
 * true if it cannot do without (IQ1_S, IQ2_XXS and IQ2_XS). */
LS_API bool ls_quant_supported(int dtype);
LS_API bool ls_quant_uses_importance(int dtype);
LS_API bool ls_quant_needs_importance(int dtype);
/* True if each row is quantised on its own; of I2_S a whole tensor is. */
LS_API bool ls_quant_by_rows(int dtype);

/* Bytes of n_rows rows of n_per_row elements, with I2_S's tail (32 bytes, once for a tensor).
 * 0 if there is no quantiser for the type, n_per_row is no multiple of its block, or the size
 * overflows. */
LS_API size_t ls_quant_bytes(int dtype, size_t n_rows, size_t n_per_row);

/* A quantiser of one type, with the code books that the IQ types need. Immutable: threads may share
 * it. Errors: USAGE (no such quantiser), NOMEM. On success *out is owned: destroy it. */
typedef struct ls_quantizer ls_quantizer;
LS_API ls_status ls_quantizer_create(ls_quantizer **out, int dtype, ls_error *err);
LS_API void      ls_quantizer_destroy(ls_quantizer *q); /* NULL is allowed */

/* Quantise n_rows rows of n_per_row floats into `out`, which has ls_quant_bytes bytes. Rows do not
 * touch each other: a tensor may be cut into calls at rows, except I2_S, whose one scale is that of
 * all rows together. `first_row` is the number of the first one in messages. `importance` has n_per_row weights, zero or larger, shared by all rows; NULL:
 * none. I2_S takes ternary weights only, those that are -s, 0 or s for one s, and loses nothing.
 * Errors: USAGE (no such size, importance needed), NOMEM; UNSUPPORTED, naming row and column: a
 * value that is no number, that the type's scales cannot reach, or that is not ternary. `out` then
 * holds nothing of use. */
LS_API ls_status ls_quantizer_rows(const ls_quantizer *q, void *out, const float *x,
                                   size_t first_row, size_t n_rows, size_t n_per_row,
                                   const float *importance, ls_error *err);
/* The same with a quantiser for this call. */
LS_API ls_status ls_quantize(int dtype, void *out, const float *x, size_t n_rows, size_t n_per_row,
                             const float *importance, ls_error *err);

#endif
