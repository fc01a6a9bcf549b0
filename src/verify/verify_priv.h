// SPDX-License-Identifier: MIT
/* verify_priv.h - what the files of the verifier share: from rows to positions, from positions
 * to a summary, from a summary to a verdict. */
#ifndef LS_VERIFY_VERIFY_PRIV_H
#define LS_VERIFY_VERIFY_PRIV_H

#include "lockstep/verify.h"

/* More near ties than one and than this part of the positions is a divergence. */
#define LS_NEAR_TIE_SHARE 0.02

/* What can be said of one engine's row alone: arg max, margin, whether every logit is finite. The
 * metrics of a comparison become NaN. The arg max goes to the side that ran; the other gets -1. */
void ls_describe_row(ls_position *out, const float *row, size_t n, bool is_reference);

/* Extremes with their positions, means, agreement. NaN counts as the worst value there is; without
 * positions every value is NaN. first_divergence is the first position that is not ok. */
void ls_summarise(ls_summary *out, const ls_position *positions, size_t n);

/* Name what puts a position outside its budget: a word into code, a sentence into text. */
void ls_explain_position(const ls_position *p, const ls_budget *budget, char *code, size_t code_cap,
                         char *text, size_t text_cap);

/* What the run noticed beside the numbers. */
typedef struct ls_findings {
    bool compares;          /* both engines were to run                                  */
    char non_finite[160];   /* whose logit was NaN or infinite first; "": none was       */
    char obstacle_code[32]; /* what kept the run from its end; "": nothing did           */
    char obstacle[720];
} ls_findings;

/* Fill summary, verdict, reason and reason_code from everything else in `r`. */
void ls_decide(ls_per_token_result *r, const ls_budget *budget, const ls_findings *f);

#endif
