// SPDX-License-Identifier: MIT
/* ref_taps.h - what a reference shows of its graph, as taps: which node is which operation. */
#ifndef LS_ENGINE_REF_TAPS_H
#define LS_ENGINE_REF_TAPS_H

#include "adapters/ref_protocol.h"
#include "lockstep/trace.h"

typedef struct ls_ref_taps ls_ref_taps;

/* NULL is never returned without LS_ERR_NOMEM. */
ls_status ls_ref_taps_create(ls_ref_taps **out, ls_watch watch, ls_error *err);
void      ls_ref_taps_destroy(ls_ref_taps *t); /* NULL is allowed */

/* Names of all nodes that are asked for, '\n' after each, into out. Returns the length. */
size_t ls_ref_taps_names(char *out, size_t cap);

/* An evaluation of n tokens at position pos begins. */
void ls_ref_taps_begin(ls_ref_taps *t, int32_t pos, size_t n);
/* A node and its values (n_floats of them, in memory of the caller). Errors: REFERENCE when they do
 * not have the shape that the operation has; NOMEM. */
ls_status ls_ref_taps_node(ls_ref_taps *t, const ls_ref_tap *node, const float *data,
                           size_t n_floats, ls_error *err);
/* The evaluation has ended: what was held back is shown. */
void ls_ref_taps_end(ls_ref_taps *t);

#endif
