// SPDX-License-Identifier: MIT
/* ref_taps.h - what a reference shows of its graph, as taps: which node is which operation. */
#ifndef LS_ENGINE_REF_TAPS_H
#define LS_ENGINE_REF_TAPS_H

#include "adapters/ref_protocol.h"
#include "lockstep/trace.h"

typedef struct ls_ref_taps ls_ref_taps;

/* tap: may change every row of every tap (ref_step.h); NULL: nobody does. watch.fn may be NULL, too.
 * NULL is never returned without LS_ERR_NOMEM. */
ls_status ls_ref_taps_create(ls_ref_taps **out, ls_watch watch, ls_tap_fn *tap, void *tap_ctx,
                             ls_error *err);
void      ls_ref_taps_destroy(ls_ref_taps *t); /* NULL is allowed */

/* Names of all nodes that are asked for, '\n' after each, into out. Returns the length. */
size_t ls_ref_taps_names(char *out, size_t cap);

/* Whether the evaluations to come only teach what the graph is like: nobody sees or changes any. */
void ls_ref_taps_learn(ls_ref_taps *t, bool on);
/* An evaluation of n tokens at position pos begins. */
void ls_ref_taps_begin(ls_ref_taps *t, int32_t pos, size_t n);
/* A node and its values (n_floats of them, in memory of the caller). *changed becomes true when they
 * are others afterwards, which the node is to have. Errors: REFERENCE when they do not have the shape
 * that the operation has; NOMEM. */
ls_status ls_ref_taps_node(ls_ref_taps *t, const ls_ref_tap *node, float *data, size_t n_floats,
                           bool *changed, ls_error *err);
/* The evaluation has ended: what was held back is shown. */
void ls_ref_taps_end(ls_ref_taps *t);

#endif
