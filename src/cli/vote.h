// SPDX-License-Identifier: MIT
/* vote.h - `--against` given again, `--oracle`: the same tokens through more engines, and who is alone. */
#ifndef LS_CLI_VOTE_H
#define LS_CLI_VOTE_H

#include "cli/cli.h"

/* An engine of the vote. */
typedef struct cli_voter {
    char              name[48]; /* "native", "llama.cpp", "native (scalar)", "oracle" */
    ls_engine_options options;
    char              exe[512]; /* of a reference; "": native or the oracle           */
    bool              oracle;
    ls_engine_info    info;     /* filled by the run */
} cli_voter;

typedef struct cli_vote {
    cli_voter voters[LS_VOTE_MAX]; /* the subject, the first reference, others */
    size_t    n;
    int       oracle;              /* index of the oracle, -1: it is not there */
    ls_vote   result;
} cli_vote;

/* Evaluate what the comparison evaluated, prompt and decoded tokens, with every engine of the vote.
 * Errors: as ls_vote_run, and those of opening engines. */
ls_status cli_vote_run(cli_vote *v, cli_context *ctx, const ls_per_token_result *compared, double tol,
                       ls_error *err);
void      cli_vote_fini(cli_vote *v); /* zeroed is allowed */

/* How many times as far from the oracle the subject is as the first reference, at one position: the
 * square root of the quotient of the NMSEs. NaN: NaN or Inf, or both are equal to the oracle. */
double cli_vote_rho(const cli_vote *v, size_t position);
/* The largest, and where; position -1: there is none. */
ls_extreme cli_vote_worst_rho(const cli_vote *v);

#endif
