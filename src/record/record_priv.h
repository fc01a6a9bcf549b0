// SPDX-License-Identifier: MIT
/* record_priv.h - what the files of record/ share. */
#ifndef LS_RECORD_RECORD_PRIV_H
#define LS_RECORD_RECORD_PRIV_H

#include <jansson.h>

#include "lockstep/record.h"

/* For qsort and bsearch over pointers to records: by evaluation, layer and operation, which name a
 * tap. */
int ls_trace_by_key(const void *a, const void *b);

/* trace_read.c: a record as trace.jsonl has it; what is wrong with it, NULL if nothing is. */
const char *ls_trace_take_record(const json_t *j, ls_trace_record *r);
/* Append a record; *cap starts at 0. Errors: LIMIT, NOMEM. */
ls_status ls_trace_add(ls_trace *t, const ls_trace_record *r, size_t *cap, ls_error *err);
/* trace_files.c: a folder of NAME.trace files. It may have none. Errors: IO, FORMAT, NOMEM. */
ls_status ls_trace_read_files(ls_trace *t, const char *folder, ls_error *err);

#endif
