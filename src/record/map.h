// SPDX-License-Identifier: MIT
/* map.h - filling the errors of every tap at every position. */
#ifndef LS_RECORD_MAP_H
#define LS_RECORD_MAP_H

#include "record/walk.h"

/* A row for each tap that both traces have, logits last; every cell "not compared". Errors: NOMEM. */
ls_status ls_tap_map_create(ls_tap_map *m, const ls_trace_diff *d, size_t n_positions, ls_error *err);
/* What a walk compared in one evaluation. */
void ls_tap_map_take(ls_tap_map *m, const ls_walk *w);
/* A row of n logits of the subject, which ran free or else in the reference's steps. */
void ls_tap_map_take_logits(ls_tap_map *m, size_t position, bool free_run, const float *subject,
                            const float *reference, size_t n);
/* How far both are from the oracle, in the reference's steps. */
void ls_tap_map_take_logits_oracle(ls_tap_map *m, size_t position, ls_walk_errors e);

#endif
