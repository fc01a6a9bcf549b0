// SPDX-License-Identifier: MIT
/* locate.h - `--locate` of `crossval per-token`: which operation the difference comes from. */
#ifndef LS_CLI_LOCATE_H
#define LS_CLI_LOCATE_H

#include "cli/cli.h"

typedef struct cli_locate {
    const ls_engine_options *subject;
    const ls_engine_options *reference;
    const char              *reference_exe; /* NULL: the reference is native    */
    const ls_budget         *budget;
    bool                     by_oracle; /* see ls_locate_options */
    bool                     map;       /* every tap at every position */
    bool                     alone;     /* tokens one at a time, as in decoding */
    int32_t                  n_batch;   /* at least, for taps take the prompt in one; 0: as it is */
    const volatile int      *cancelled;
} cli_locate;

/* After a comparison with a verdict: run both engines again with taps. Fills *out, the coverage of
 * taps, and turns MATCH into DIVERGED where an operation is over its budget on the reference's own
 * input. Errors: as ls_locate. */
ls_status cli_locate_run(const cli_locate *l, ls_per_token_result *result, ls_located *out,
                         ls_error *err);

/* What was found may turn MATCH into DIVERGED. */
void cli_locate_judge(const ls_located *l, ls_per_token_result *x);

/* "layer 3, ffn_act, position 17". Returns buf. */
const char *cli_located_place(const ls_located *l, char *buf, size_t cap);

#endif
