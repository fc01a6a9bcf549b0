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
    ls_cut                   cut;       /* of the prompt */
    const cli_context       *ctx;
    const volatile int      *cancelled;
} cli_locate;

/* After a comparison with a verdict: run both engines again with taps. Fills *out, the coverage of
 * taps, and turns MATCH into DIVERGED where an operation is over its budget on the reference's own
 * input. Errors: as ls_locate. */
ls_status cli_locate_run(const cli_locate *l, ls_per_token_result *result, ls_located *out,
                         ls_error *err);

/* Whether the operations of a prompt can be compared in bounded memory, known before anything is
 * evaluated; *cut is how. batch: of the comparison; 0: not known yet. Errors: LIMIT; as
 * ls_model_open_gguf. */
ls_status cli_locate_cut(ls_cut *cut, ls_gguf *gguf, size_t n_prompt, size_t n_positions,
                         size_t batch, bool by_oracle, ls_error *err);

/* What was found may turn MATCH into DIVERGED. */
void cli_locate_judge(const ls_located *l, ls_per_token_result *x);

/* "layer 3, ffn_act, position 17". Returns buf. */
const char *cli_located_place(const ls_located *l, char *buf, size_t cap);

/* One bar after the other, of each pass (the function of ls_locate_options.progress). End with
 * cli_progress_end(&p->bar). */
typedef struct cli_locate_progress {
    const cli_context *ctx;
    cli_progress       bar;
} cli_locate_progress;
void cli_locate_tell(void *progress, const char *pass, size_t done, size_t total);

#endif
