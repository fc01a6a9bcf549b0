// SPDX-License-Identifier: MIT
/* stats.c - statistics of a tensor, decoded row by row. */
#include "lockstep/stats.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dtype/packed.h"

static void add_row(ls_tensor_stats *s, double *squares, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i];
        if (!isfinite(x[i])) {
            if (s->n_bad++ == 0) s->first_bad = s->n + i;
            continue;
        }
        *squares += v * v;
        if (!(v >= s->min)) s->min = v;
        if (!(v <= s->max)) s->max = v;
    }
    s->n += n;
}

ls_status ls_tensor_stats_get(ls_tensor_stats *out, const ls_gguf *g, const ls_tensor *t,
                              ls_error *err)
{
    size_t cols = (size_t)t->ne[0], rows = (size_t)(t->ne[1] * t->ne[2] * t->ne[3]);
    float *x;
    double squares = 0;

    *out = (ls_tensor_stats){.rms = (double)NAN, .min = (double)NAN, .max = (double)NAN};
    if (!t->data) {
        const char *name = ls_dtype_name(t->dtype);
        ls_fail(err, LS_ERR_UNSUPPORTED,
                "tensor '%.*s' has type %s, which Lockstep does not decode", LS_FMT(t->name),
                name ? name : "?");
        ls_gguf_fail_at(g, t->name.p, err);
        return LS_ERR_UNSUPPORTED;
    }
    LS_TRY(ls_alloc(&x, cols, sizeof(*x), "a row of a tensor", err));
    for (size_t r = 0; r < rows; r++) {
        ls_tensor_decode(x, t, r, 1);
        add_row(out, &squares, x, cols);
    }
    if (out->n > out->n_bad) out->rms = sqrt(squares / (double)(out->n - out->n_bad));
    free(x);
    return LS_OK;
}
