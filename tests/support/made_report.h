// SPDX-License-Identifier: MIT
/* made_report.h - a comparison that never took place, for tests of the reports: every number is made
 * by a formula, the tokens hold what breaks documents, and an error is born in one place. */
#ifndef TESTS_MADE_REPORT_H
#define TESTS_MADE_REPORT_H

#include "cli/report.h"

typedef struct made_report {
    cli_report          report; /* of the fields below */
    ls_per_token_result result;
    ls_located          located;
    cli_list            faults;
    ls_gguf            *gguf;
    ls_tokenizer       *tokenizer;
} made_report;

/* n_layers 0: nothing was located. The error is born in layer n_layers / 2, ffn_act, at position
 * n_positions / 3. LS_OK or the reason why the vocabulary cannot be opened. */
ls_status made_report_init(made_report *m, size_t n_positions, size_t n_layers, ls_error *err);
void      made_report_fini(made_report *m);

/* One token more than positions are told apart by; ids are taken modulo this. */
#define MADE_TOKENS 16
extern const char *const made_tokens[MADE_TOKENS];

#endif
