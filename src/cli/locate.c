// SPDX-License-Identifier: MIT
/* locate.c - `--locate`: engines with taps, and what is found becomes part of the verdict. */
#include "cli/locate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ls_status open_engine(void *ctx, bool subject, ls_watch watch, ls_tap_fn *tap, void *tap_ctx,
                             ls_engine **out, ls_error *err)
{
    const cli_locate *l = ctx;
    ls_engine_options opt = subject ? *l->subject : *l->reference;
    opt.watch = watch;
    if (opt.n_batch < l->n_batch) opt.n_batch = l->n_batch;
    opt.tap = tap;
    opt.tap_ctx = tap_ctx;
    if (!subject && l->reference_exe)
        return ls_engine_open_reference(out, l->reference_exe, &opt, err);
    return ls_engine_open_native(out, &opt, err);
}

/* The subject's model and settings, but not its faults. */
static ls_status open_oracle(void *ctx, ls_tap64_fn *tap, ls_given_fn *given, void *tap_ctx,
                             ls_engine **out, ls_error *err)
{
    const cli_locate *l = ctx;
    ls_oracle_options opt = {.base = *l->subject, .tap = tap, .given = given, .ctx = tap_ctx};
    opt.base.faults = NULL;
    if (opt.base.n_batch < l->n_batch) opt.base.n_batch = l->n_batch;
    return ls_engine_open_oracle(out, &opt, err);
}

const char *cli_located_place(const ls_located *l, char *buf, size_t cap)
{
    if (l->layer >= 0)
        snprintf(buf, cap, "layer %d, %s, position %d", (int)l->layer, ls_op_name(l->op),
                 (int)l->position);
    else
        snprintf(buf, cap, "%s, position %d", ls_op_name(l->op), (int)l->position);
    return buf;
}

/* A fault that the logits hide is a fault all the same. */
void cli_locate_judge(const ls_located *l, ls_per_token_result *x)
{
    char place[96];
    if (!l->found || !l->born || x->verdict != LS_VERDICT_MATCH) return;
    x->verdict = LS_VERDICT_DIVERGED;
    cli_located_place(l, place, sizeof(place));
    if (l->by_oracle)
        snprintf(
            x->reason, sizeof(x->reason),
            "%s: NMSE to the oracle is %.3g, and of the reference %.3g, on the reference's own "
            "input; the logits hide it",
            place, l->subject_error, l->reference_error);
    else
        snprintf(x->reason, sizeof(x->reason),
                 "%s: NMSE %.3g on the reference's own input is over %g; the logits hide it", place,
                 l->isolated, l->budget);
    snprintf(x->reason_code, sizeof(x->reason_code), "%s", isnan(l->isolated) ? "nan" : "tap");
}

/* The prompt's tokens but the first become decoded ones. */
static ls_status take_alone(ls_locate_options *opt, int32_t **ids, ls_error *err)
{
    size_t n = opt->n_prompt, decoded = opt->n_decoded;
    *ids = malloc((n + decoded) * sizeof(**ids));
    if (!*ids) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the prompt");
    memcpy(*ids, opt->prompt, n * sizeof(**ids));
    if (decoded) memcpy(*ids + n, opt->decoded, decoded * sizeof(**ids));
    opt->prompt = *ids;
    opt->n_prompt = 1;
    opt->decoded = *ids + 1;
    opt->n_decoded = n + decoded - 1;
    return LS_OK;
}

ls_status cli_locate_run(const cli_locate *l, ls_per_token_result *result, ls_located *out,
                         ls_error *err)
{
    ls_locate_options opt = {.prompt = result->ids_subject,
                             .n_prompt = result->n_ids_subject,
                             .decoded = result->decoded,
                             .n_decoded = result->n_decoded,
                             .tap_tol = l->budget->tap_tol,
                             .rho_tol = l->budget->rho_tol,
                             .rho_floor = l->budget->rho_floor,
                             .by_oracle = l->by_oracle,
                             .map = l->map,
                             .reverse = true,
                             .open = open_engine,
                             .open_oracle = open_oracle,
                             .ctx = (void *)(uintptr_t)l,
                             .cancelled = l->cancelled};
    int32_t          *ids = NULL;
    ls_status         status = l->alone ? take_alone(&opt, &ids, err) : LS_OK;
    if (status == LS_OK) status = ls_locate(out, &opt, err);
    free(ids);
    LS_TRY(status);
    result->coverage.taps_planned = out->taps_planned;
    result->coverage.taps_compared = out->taps_compared;
    cli_locate_judge(out, result);
    return LS_OK;
}
