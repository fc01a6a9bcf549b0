// SPDX-License-Identifier: MIT
/* outlier.h - what the oracle allows an operation, and who is wrong about one. */
#ifndef LS_RECORD_OUTLIER_H
#define LS_RECORD_OUTLIER_H

#include "record/walk.h"

/* Neither may be much farther from the oracle than the other, but for last bits. In NMSE to the oracle. */
double ls_outlier_budget(const ls_locate_options *o, ls_walk_errors e);
bool   ls_outlier_over(const ls_locate_options *o, ls_walk_errors e);

/* Fills what out says of the two errors at its place. */
void ls_outlier_judge(const ls_locate_options *o, ls_located *out, ls_walk_errors e);
/* After an evaluation from position pos on by reference, oracle and subject: the same from the walk's
 * judged tap, if it has out's position. */
void ls_outlier_take(const ls_locate_options *o, ls_located *out, const ls_walk *w, int32_t pos);
/* Errors of row i of the last evaluation's logits, which no walk holds. Errors: as ls_engine_logits. */
ls_status ls_outlier_logits(ls_engine *subject, ls_engine *reference, ls_engine *oracle, size_t i,
                            ls_walk_errors *out, ls_error *err);

#endif
