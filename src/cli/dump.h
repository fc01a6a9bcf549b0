// SPDX-License-Identifier: MIT
/* dump.h - logits kept for other tools: one file per engine, positions x vocabulary floats. */
#ifndef LS_CLI_DUMP_H
#define LS_CLI_DUMP_H

#include "cli/cli.h"

typedef struct cli_dump {
    cli_output subject, reference;
} cli_dump;

/* Begin PREFIX.subject.f32 and PREFIX.reference.f32, whichever is wanted. Errors: IO. */
ls_status cli_dump_open(cli_dump *d, const char *prefix, bool subject, bool reference,
                        ls_error *err);
/* An ls_rows_fn: appends both rows. */
ls_status cli_dump_rows(void *dump, const float *subject, const float *reference, size_t n,
                        ls_error *err);
/* Put the files into place; nothing to do on a zeroed struct. Errors: IO. */
ls_status cli_dump_commit(cli_dump *d, ls_error *err);
/* Remove what was not committed. */
void cli_dump_abort(cli_dump *d);

#endif
