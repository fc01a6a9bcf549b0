// SPDX-License-Identifier: MIT
/* vote.c - opening the engines of a vote, and what comes of it. */
#include "cli/vote.h"

#include <math.h>

static ls_status open_voter(cli_voter *v, ls_engine **out, ls_error *err)
{
    ls_oracle_options exact = {.base = v->options};
    ls_status         status;
    if (v->oracle)
        status = ls_engine_open_oracle(out, &exact, err);
    else if (v->exe[0])
        status = ls_engine_open_reference(out, v->exe, &v->options, err);
    else
        status = ls_engine_open_native(out, &v->options, err);
    if (status == LS_OK) v->info = *ls_engine_get_info(*out);
    return status;
}

ls_status cli_vote_run(cli_vote *v, cli_context *ctx, const ls_per_token_result *compared,
                       double tol, ls_error *err)
{
    ls_engine      *engines[LS_VOTE_MAX] = {NULL};
    cli_progress    progress;
    ls_vote_options opt = {.prompt = compared->ids_subject,
                           .n_prompt = compared->n_ids_subject,
                           .decoded = compared->decoded,
                           .n_decoded = compared->n_decoded,
                           .tol = tol,
                           .cancelled = cli_catch_interrupt(),
                           .progress = cli_progress_update,
                           .progress_ctx = &progress};
    ls_status       status = LS_OK;
    for (size_t i = 0; status == LS_OK && i < v->n; i++)
        status = open_voter(&v->voters[i], &engines[i], err);
    if (status == LS_OK) {
        cli_progress_begin(&progress, ctx, "voting");
        status = ls_vote_run(&v->result, engines, v->n, &opt, err);
        cli_progress_end(&progress);
    }
    for (size_t i = 0; i < v->n; i++) ls_engine_close(engines[i]);
    return status;
}

void cli_vote_fini(cli_vote *v) { ls_vote_fini(&v->result); }

double cli_vote_rho(const cli_vote *v, size_t position)
{
    double subject, reference;
    if (v->oracle < 0) return (double)NAN;
    subject = ls_vote_nmse(&v->result, position, 0, (size_t)v->oracle);
    reference = ls_vote_nmse(&v->result, position, 1, (size_t)v->oracle);
    if (!(subject >= 0) || !(reference >= 0) || (subject == 0 && reference == 0))
        return (double)NAN;
    return sqrt(subject / reference);
}

ls_extreme cli_vote_worst_rho(const cli_vote *v)
{
    ls_extreme worst = {(double)NAN, -1};
    for (size_t i = 0; i < v->result.n_positions; i++) {
        double rho = cli_vote_rho(v, i);
        if (!isnan(rho) && !(rho <= worst.value)) worst = (ls_extreme){rho, (int32_t)i};
    }
    return worst;
}
