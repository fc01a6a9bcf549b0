// SPDX-License-Identifier: MIT
/* ref_step.h - a reference made to go on from other values: its nodes, changed by a tap function.
 *
 * A node is changed when it is the last of its operation, so that nothing is added to what was put
 * there; which one that is shows the first evaluation, from which only its graph is learned.
 */
#ifndef LS_ENGINE_REF_STEP_H
#define LS_ENGINE_REF_STEP_H

#include "lockstep/trace.h"

typedef struct ls_ref_step ls_ref_step;

/* Errors: NOMEM. */
ls_status ls_ref_step_create(ls_ref_step **out, ls_tap_fn *fn, void *ctx, ls_error *err);
void      ls_ref_step_destroy(ls_ref_step *s); /* NULL is allowed */

/* An evaluation of n tokens at position pos begins; learning: nothing is changed in it. */
void ls_ref_step_begin(ls_ref_step *s, int32_t pos, size_t n, bool learning);

/* A node of this operation: whether it is its last, and to be changed. */
bool ls_ref_step_is_last(ls_ref_step *s, ls_op op, int32_t layer);
/* Learned: the layer computes gate and up projection as halves of each row of one product. */
void ls_ref_step_halves(ls_ref_step *s, int32_t layer);

/* Hand a node's rows to the tap function and take what it makes of them; *changed: something was.
 * Shapes are known to be right. Errors: NOMEM. */
/* [rows][n] */
ls_status ls_ref_step_rows(ls_ref_step *s, ls_op op, int32_t layer, float *data, size_t n,
                           bool *changed, ls_error *err);
/* [rows][chosen][n] */
ls_status ls_ref_step_experts(ls_ref_step *s, ls_op op, int32_t layer, float *data, size_t chosen,
                              size_t n, bool *changed, ls_error *err);
/* [heads][rows][padded] */
ls_status ls_ref_step_weights(ls_ref_step *s, int32_t layer, float *data, size_t heads,
                              size_t padded, bool *changed, ls_error *err);
/* The same of what softmax is about to take: scores are that times scale, plus the mask. */
ls_status ls_ref_step_scores(ls_ref_step *s, int32_t layer, float *data, size_t heads,
                             size_t padded, bool *changed, ls_error *err);
/* [rows][padded], before the scores. Errors: NOMEM. */
ls_status ls_ref_step_mask(ls_ref_step *s, const float *mask, size_t padded, float scale,
                           ls_error *err);

#endif
