// SPDX-License-Identifier: MIT
/* outfile.h - files written beside their target and renamed when complete. */
#ifndef LS_BASE_OUTFILE_H
#define LS_BASE_OUTFILE_H

#include <stdio.h>

#include "lockstep/error.h"

typedef struct ls_outfile {
    FILE *f;
    char  path[4096], tmp[4200];
} ls_outfile;

/* Begin writing `path`. Nothing at `path` changes until commit. Errors: IO. */
ls_status ls_outfile_open(ls_outfile *o, const char *path, ls_error *err);
/* Flush, sync, rename. Errors: IO (also for any earlier write that failed); then nothing changed. */
ls_status ls_outfile_commit(ls_outfile *o, ls_error *err);
/* Give up: remove what was written. Safe after commit, and on a zeroed struct. */
void ls_outfile_abort(ls_outfile *o);

#endif
