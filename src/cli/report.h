// SPDX-License-Identifier: MIT
/* report.h - what a per-token comparison has to say, as text and as JSON.
 *
 * The writers print; they decide nothing. One exit code serves both. */
#ifndef LS_CLI_REPORT_H
#define LS_CLI_REPORT_H

#include <jansson.h>

#include "cli/cli.h"

typedef struct cli_report {
    const char                *model_path;
    char                       sha256[65];    /* "" when the file was not read        */
    char                       arch[64];
    char                       types[128];    /* "q8_0 43, f32 13"                    */
    const char                *backend;       /* "native", "cpp", "both"              */
    const char                *template_name; /* the one applied; "" before that      */
    const char                *bos;           /* "auto", "yes", "no": the subject's   */
    ls_budget                  budget;
    bool                       verbose;
    const ls_per_token_result *result;
    const ls_error            *error;         /* NULL, or what ended the run without a verdict */
    int                        exit_code;
} cli_report;

/* Write to f (the caller opened it). Errors: IO, NOMEM. */
ls_status cli_report_text(const cli_report *r, FILE *f, ls_error *err);
ls_status cli_report_json(const cli_report *r, FILE *f, ls_error *err);

/* "q8_0 43, f32 13": the types of the tensors, most frequent first. */
void cli_report_types(char *buf, size_t cap, const ls_gguf *g);

#endif
