// SPDX-License-Identifier: MIT
/* record_priv.h - what the files of record/ share. */
#ifndef LS_RECORD_RECORD_PRIV_H
#define LS_RECORD_RECORD_PRIV_H

#include "lockstep/record.h"

/* For qsort and bsearch over pointers to records: by evaluation, layer and operation, which name a
 * tap. */
int ls_trace_by_key(const void *a, const void *b);

#endif
