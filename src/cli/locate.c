// SPDX-License-Identifier: MIT
/* locate.c - `--locate`: engines with taps, and what is found becomes part of the verdict. */
#include "cli/locate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the callbacks below get. */
typedef struct opener {
    const cli_locate *l;
    int32_t           n_batch; /* the longest evaluation: what engines keep for one depends on it */
} opener;

static ls_status open_engine(void *ctx, bool subject, ls_watch watch, ls_tap_fn *tap, void *tap_ctx,
                             ls_engine **out, ls_error *err)
{
    const opener     *o = ctx;
    const cli_locate *l = o->l;
    ls_engine_options opt = subject ? *l->subject : *l->reference;
    opt.watch = watch;
    opt.n_batch = o->n_batch;
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
    const opener     *o = ctx;
    ls_oracle_options opt = {.base = *o->l->subject, .tap = tap, .given = given, .ctx = tap_ctx};
    opt.base.faults = NULL;
    opt.base.n_batch = o->n_batch;
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

ls_status cli_locate_cut(ls_cut *cut, ls_gguf *gguf, size_t n_prompt, size_t n_positions,
                         size_t batch, bool by_oracle, ls_error *err)
{
    ls_model *model;
    ls_status status;
    LS_TRY(ls_model_open_gguf(&model, gguf, err));
    status = ls_locate_cut(cut, ls_model_get_config(model), n_prompt, n_positions, batch, by_oracle,
                           err);
    ls_model_close(model);
    return status;
}

void cli_locate_tell(void *progress, const char *pass, size_t done, size_t total)
{
    cli_locate_progress *p = progress;
    if (strncmp(p->bar.label, pass, sizeof(p->bar.label) - 1) != 0) {
        cli_progress_end(&p->bar);
        cli_progress_begin(&p->bar, p->ctx, pass);
    }
    cli_progress_update(&p->bar, done, total);
}

ls_status cli_locate_run(const cli_locate *l, ls_per_token_result *result, ls_located *out,
                         ls_error *err)
{
    cli_locate_progress progress = {.ctx = l->ctx};
    opener              o = {l, (int32_t)ls_cut_longest(l->cut, result->n_ids_subject)};
    ls_status           status;
    ls_locate_options   opt = {.prompt = result->ids_subject,
                               .n_prompt = result->n_ids_subject,
                               .cut = l->cut,
                               .max_bytes = LS_LOCATE_BYTES,
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
                               .ctx = &o,
                               .cancelled = l->cancelled,
                               .progress = cli_locate_tell,
                               .progress_ctx = &progress};
    status = ls_locate(out, &opt, err);
    cli_progress_end(&progress.bar);
    if (status != LS_OK) return status;
    result->coverage.taps_planned = out->taps_planned;
    result->coverage.taps_compared = out->taps_compared;
    cli_locate_judge(out, result);
    return LS_OK;
}
