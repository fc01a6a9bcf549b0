// SPDX-License-Identifier: MIT
/* outlier.c - who is wrong about an operation: the subject, the oracle and the reference, all on
 * the reference's input. */
#include "record/outlier.h"

#include <math.h>

const char *ls_outlier_name(ls_outlier o)
{
    static const char *const names[] = {"unclear", "subject", "reference"};
    return (unsigned)o < sizeof(names) / sizeof(names[0]) ? names[o] : NULL;
}

double ls_outlier_budget(const ls_locate_options *o, ls_walk_errors e)
{
    double noise = e.subject < e.reference ? e.subject : e.reference;
    return o->rho_tol * o->rho_tol * (noise > o->rho_floor ? noise : o->rho_floor);
}

bool ls_outlier_over(const ls_locate_options *o, ls_walk_errors e)
{
    double worst = e.subject > e.reference ? e.subject : e.reference;
    return isnan(e.subject) || isnan(e.reference) || worst > ls_outlier_budget(o, e);
}

void ls_outlier_judge(const ls_locate_options *o, ls_located *out, ls_walk_errors e)
{
    double rho2 = o->rho_tol * o->rho_tol;
    out->judged = true;
    out->subject_error = e.subject;
    out->reference_error = e.reference;
    out->rho = sqrt(e.subject / e.reference);
    if (isnan(e.subject) != isnan(e.reference))
        out->outlier = isnan(e.subject) ? LS_OUTLIER_SUBJECT : LS_OUTLIER_REFERENCE;
    else if (e.subject > rho2 * e.reference)
        out->outlier = LS_OUTLIER_SUBJECT;
    else if (e.reference > rho2 * e.subject)
        out->outlier = LS_OUTLIER_REFERENCE;
}

void ls_outlier_take(const ls_locate_options *o, ls_located *out, const ls_walk *w, int32_t pos)
{
    const ls_walk_tap *t = ls_walk_find(w, w->judged_op, w->judged_layer);
    ls_walk_errors     e;
    if (!t || !t->exact || out->position < pos || (size_t)(out->position - pos) >= t->rows) return;
    e = ls_walk_oracle_errors(t, (size_t)(out->position - pos));
    ls_outlier_judge(o, out, e);
}

ls_status ls_outlier_logits(ls_engine *subject, ls_engine *reference, ls_engine *oracle, size_t i,
                            ls_walk_errors *out, ls_error *err)
{
    size_t       V = (size_t)ls_engine_get_info(subject)->n_vocab;
    const float *s, *r, *o;
    LS_TRY(ls_engine_logits(subject, i, &s, err));
    LS_TRY(ls_engine_logits(reference, i, &r, err));
    LS_TRY(ls_engine_logits(oracle, i, &o, err));
    out->subject = ls_walk_centred_nmse(s, o, V);
    out->reference = ls_walk_centred_nmse(r, o, V);
    return LS_OK;
}
