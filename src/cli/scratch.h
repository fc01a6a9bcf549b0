// SPDX-License-Identifier: MIT
/* scratch.h - a model as a GGUF file for an engine that reads nothing else; it goes away again. */
#ifndef LS_CLI_SCRATCH_H
#define LS_CLI_SCRATCH_H

#include "cli/cli.h"

typedef struct cli_scratch { /* zeroed: nothing */
    char folder[4096], file[4200];
} cli_scratch;

/* Write `g` into a folder of its own under TMPDIR and say so on standard error. Errors: IO, and as
 * ls_convert_to_gguf. */
ls_status cli_scratch_gguf(cli_scratch *s, cli_context *ctx, const ls_gguf *g, ls_error *err);
/* Remove what is there. An engine that has mapped the file keeps it. Safe on a zeroed struct. */
void cli_scratch_remove(cli_scratch *s);

#endif
