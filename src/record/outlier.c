// SPDX-License-Identifier: MIT
/* outlier.c - who is wrong about an operation: the subject, the oracle and the reference, all on
 * the reference's input. */
#include "record/outlier.h"

#include <math.h>

/* So many times as far from the oracle as the other: wrong. Both round, each in its own order, and
 * that alone makes them differ by a factor below two. */
#define RHO 3.0

const char *ls_outlier_name(ls_outlier o)
{
    static const char *const names[] = {"unclear", "subject", "reference"};
    return (unsigned)o < sizeof(names) / sizeof(names[0]) ? names[o] : NULL;
}

/* NMSE of x against the oracle's row, all heads together; what a window hides is left out. */
static double error_of(const ls_walk_tap *t, const float *x, size_t row)
{
    double d2 = 0, r2 = 0;
    for (size_t h = 0; h < t->heads; h++) {
        size_t at = (h * t->rows + row) * t->n;
        for (size_t i = at; i < at + t->n; i++) {
            double d = (double)x[i] - t->exact[i];
            if (t->exact[i] == -(double)INFINITY && (x[i] == 0 || x[i] == -INFINITY)) continue;
            d2 += d * d;
            r2 += t->exact[i] * t->exact[i];
        }
    }
    return ls_walk_nmse(d2, r2);
}

static void judge(ls_located *out, double subject, double reference)
{
    out->judged = true;
    out->subject_error = subject;
    out->reference_error = reference;
    out->rho = sqrt(subject / reference);
    if (isnan(subject) != isnan(reference))
        out->outlier = isnan(subject) ? LS_OUTLIER_SUBJECT : LS_OUTLIER_REFERENCE;
    else if (subject > RHO * RHO * reference)
        out->outlier = LS_OUTLIER_SUBJECT;
    else if (reference > RHO * RHO * subject)
        out->outlier = LS_OUTLIER_REFERENCE;
}

void ls_outlier_take(ls_located *out, const ls_walk *w, int32_t pos)
{
    const ls_walk_tap *t = ls_walk_find(w, w->judged_op, w->judged_layer);
    size_t             row;
    if (!t || !t->exact || out->position < pos || (size_t)(out->position - pos) >= t->rows) return;
    row = (size_t)(out->position - pos);
    judge(out, error_of(t, t->stepped, row), error_of(t, t->data, row));
}

ls_status ls_outlier_take_logits(ls_located *out, ls_engine *subject, ls_engine *reference,
                                 ls_engine *oracle, size_t n, int32_t pos, ls_error *err)
{
    size_t V = (size_t)ls_engine_get_info(subject)->n_vocab, i = (size_t)(out->position - pos);
    const float *s, *r, *o;
    if (out->position < pos || i >= n) return LS_OK;
    LS_TRY(ls_engine_logits(subject, i, &s, err));
    LS_TRY(ls_engine_logits(reference, i, &r, err));
    LS_TRY(ls_engine_logits(oracle, i, &o, err));
    judge(out, ls_walk_centred_nmse(s, o, V), ls_walk_centred_nmse(r, o, V));
    return LS_OK;
}
