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
    const ls_gguf             *gguf;       /* NULL: the file could not be read           */
    const ls_tokenizer        *tokenizer;  /* NULL: the same                             */
    char                       sha256[65]; /* "" when the file was not read              */
    const char                *prompt;     /* before its template; NULL: there was none  */
    size_t                     prompt_len;
    const char                *backend;       /* "native", "cpp", "both"                    */
    const char                *template_name; /* the one applied, else the one asked for    */
    ls_budget                  budget;
    const cli_list            *faults;    /* injected into the subject, as given        */
    int                        act_quant; /* ls_act_rounding of the subject             */
    bool                       verbose;
    const ls_per_token_result *result;
    const ls_located          *located; /* NULL: nobody looked */
    const struct cli_vote     *vote;    /* NULL: two engines alone */
    const ls_error            *error; /* NULL, or what ended the run without a verdict */
    int                        exit_code;
} cli_report;

/* Write to f (the caller opened it). A failed write stays in the FILE. Errors: NOMEM. */
void      cli_report_text(const cli_report *r, FILE *f);
ls_status cli_report_json(const cli_report *r, FILE *f, ls_error *err);

/* Both sides' token ids, where they part, and what to do about it: for TOKENS_DIFFER. */
void cli_report_mismatch(const cli_report *r, FILE *f);

/* "native", "llama.cpp": how people call the engine. */
const char *cli_engine_name(const ls_engine_info *e);

/* Tensor types of a file, most frequent first: fills type and count, both [cap]; returns how many.
 */
size_t cli_tensor_types(const ls_gguf *g, int *type, size_t *count, size_t cap);

#endif
