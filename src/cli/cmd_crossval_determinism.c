// SPDX-License-Identifier: MIT
/* cmd_crossval_determinism.c - `lockstep crossval determinism`: the row of its command. */
#include "cli/cli.h"

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    (void)ctx;
    (void)opts;
    return ls_fail(err, LS_ERR_INTERNAL, "'crossval determinism' is not part of this build");
}

const cli_command cli_cmd_crossval_determinism = {
    .noun = "crossval",
    .verb = "determinism",
    .summary = "Show that threads, batches and instruction sets do not change a bit",
    .reports = true,
    .run = run,
};
