// SPDX-License-Identifier: MIT
/* tracing.h - a run of an engine as a trace folder: what `trace record` does, and what every command that
 * evaluates does when LOCKSTEP_TRACE_DIR names a folder. */
#ifndef LS_CLI_TRACING_H
#define LS_CLI_TRACING_H

#include "cli/cli.h"

typedef struct cli_tracing {
    const ls_engine_options *engine;
    const char              *exe;   /* of a reference; NULL: native */
    const char              *model_path;
    const ls_gguf           *gguf;
    ls_trace_options         trace; /* all but values_path and progress */
    const char              *folder;
    bool                     values, per_file, no_check;
} cli_tracing;

/* Evaluate the ids with taps, and unless no_check once more without, and write the folder, which is made
 * where it is not there; a trace in it goes away. *out is the trace: ls_trace_fini. Errors: as
 * ls_recorder_run; IO. */
ls_status cli_tracing_record(const cli_context *ctx, const cli_tracing *t, ls_trace *out, ls_error *err);
/* Whether the folder holds a trace. */
bool cli_tracing_is_there(const char *folder);

/* ---- LOCKSTEP_TRACE_DIR ---- */

/* Before a command evaluates: can its traces be written? Makes the folder. LS_OK where the variable is
 * not set. sub: a folder in it, for a second engine; NULL: itself. Errors: IO; USAGE: a trace is there
 * already. */
ls_status cli_tracing_check(const cli_context *ctx, const char *sub, ls_error *err);
/* After it: a trace of the same ids in the same engine, with every tap. Nothing where the variable is not
 * set. `t` needs neither folder nor taps; its engine's batch becomes that of the prompt. */
ls_status cli_tracing_write(const cli_context *ctx, const cli_tracing *t, const char *sub, ls_error *err);

#endif
