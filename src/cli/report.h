// SPDX-License-Identifier: MIT
/* report.h - what a per-token comparison has to say, in six forms.
 *
 * The writers print; they decide nothing. One exit code serves all of them. A form is a row of
 * cli_report_forms and a file report_NAME.c. */
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
    const char                *locate_command; /* this comparison with --locate; NULL: it has that */
} cli_report;

/* Write to f (the caller opened it). A failed write stays in the FILE. Errors: NOMEM. */
typedef ls_status cli_report_fn(const cli_report *r, FILE *f, ls_error *err);
cli_report_fn cli_report_text, cli_report_json, cli_report_html, cli_report_junit,
    cli_report_markdown, cli_report_csv;

typedef enum cli_form {
    CLI_FORM_TEXT,
    CLI_FORM_JSON,
    CLI_FORM_HTML,
    CLI_FORM_JUNIT,
    CLI_FORM_MARKDOWN,
    CLI_FORM_CSV,
    CLI_N_FORMS
} cli_form;

typedef struct cli_report_form {
    cli_report_fn *write;
    bool always;  /* written also where an error ended the run without a verdict */
    bool locates; /* operations are compared without being asked for             */
    bool map;     /* where they are compared: every one at every position        */
} cli_report_form;
extern const cli_report_form cli_report_forms[CLI_N_FORMS];
extern const cli_choice      cli_report_names[]; /* of --format */

/* Both sides' token ids, where they part, and what to do about it: for TOKENS_DIFFER. */
void cli_report_mismatch(const cli_report *r, FILE *f);

/* What --locate has found, as lines of the text report. */
void cli_report_located(const ls_located *l, FILE *f);

/* "native", "llama.cpp": how people call the engine. */
const char *cli_engine_name(const ls_engine_info *e);

/* Tensor types of a file, most frequent first: fills type and count, both [cap]; returns how many.
 */
size_t cli_tensor_types(const ls_gguf *g, int *type, size_t *count, size_t cap);

/* The document of the JSON report; NULL: no memory. The caller drops it. */
json_t *cli_report_json_build(const cli_report *r);

/* The sentence behind the verdict: the reason, or that all is well; "" where there is neither. */
const char *cli_report_sentence(const cli_report *r);
/* "MATCH", and "ERROR" where an error ended the run. */
const char *cli_report_verdict(const cli_report *r);

/* The first part of the budget that a position breaks, in the order of the predicate. */
const char *cli_broken_part(const ls_position *p, const ls_budget *b);

/* The text of a token as the tokenizer has it, any bytes; "" without a tokenizer. */
ls_str cli_token_text(const cli_report *r, int32_t id, char *buf, size_t cap);

/* A number for people: NaN and Inf as such. Returns buf. */
typedef enum cli_real { CLI_FIXED /* 0.99991234 */, CLI_SCIENCE /* 1.234e-05 */, CLI_SHORT } cli_real;
const char *cli_format_real(double x, cli_real form, char buf[32]);

/* The errors of one tap over all positions. NaN is worse than any number; -1: not compared. */
typedef struct cli_tap_summary {
    double isolated, accumulated;       /* the worst               */
    size_t isolated_at, accumulated_at; /* positions of those      */
    size_t n_isolated, n_accumulated;   /* positions compared      */
    size_t n_over;                      /* over the budget in isolation */
} cli_tap_summary;
cli_tap_summary cli_summarise_tap(const ls_map_row *row, size_t n_positions, double budget);

#endif
