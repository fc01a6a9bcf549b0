// SPDX-License-Identifier: MIT
/* outlier.h - who is wrong about the operation that was found. */
#ifndef LS_RECORD_OUTLIER_H
#define LS_RECORD_OUTLIER_H

#include "record/walk.h"

/* After an evaluation from position pos on by reference, subject and oracle: fills what out says of
 * them, if its position is among them. */
void ls_outlier_take(ls_located *out, const ls_walk *w, int32_t pos);
/* The same for logits, which no walk holds. Errors: as ls_engine_logits. */
ls_status ls_outlier_take_logits(ls_located *out, ls_engine *subject, ls_engine *reference,
                                 ls_engine *oracle, size_t n, int32_t pos, ls_error *err);

#endif
