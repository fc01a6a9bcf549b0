// SPDX-License-Identifier: MIT
/* explain_priv.h - the reference's values around one operation, and the oracle that is given them. */
#ifndef LS_EXPLAIN_EXPLAIN_PRIV_H
#define LS_EXPLAIN_EXPLAIN_PRIV_H

#include "lockstep/explain.h"
#include "lockstep/oracle.h"

/* One tap of the reference: of position p [heads][n], of attention's rows [heads][p + 1]. */
typedef struct held {
    size_t  heads, n;
    float **rows; /* [positions], NULL: not shown */
} held;

typedef struct work {
    const ls_explain_options *opt;
    ls_explained             *out;
    size_t                    positions; /* that are evaluated */
    int32_t                   n_layers;
    held                      held[LS_N_OPS]; /* of the operation's layer and of no layer */
    held                      before;         /* what the layer before gave out           */
    ls_engine                *oracle;
    ls_semantics              own;
    bool                      window; /* the layer has a sliding window */

    double  d2, r2;  /* of the evaluation at work */
    double *capture; /* NULL, or where the operation's rows are copied: [positions][n] */
    bool    nobody;  /* the operation was not called */

    ls_status status;      /* of callbacks */
    ls_error  error;
} work;

/* held.c */
void      ls_explain_watch(void *work, const ls_tap_values *v);
void      ls_explain_drop(work *w);
ls_status ls_explain_hold_logits(work *w, ls_engine *reference, size_t n, size_t pos,
                                 ls_error *err);

/* evaluate.c: taps of the oracle, and one evaluation: the NMSE of the operation. NaN after a
 * failure, which stays in w->status. */
void   ls_explain_tap(void *work, const ls_tap64 *tap);
bool   ls_explain_given(void *work, ls_op op, int32_t layer);
double ls_explain_evaluate(work *w, const ls_semantics *s);

/* table.c: evaluate every candidate that the operation has. */
void ls_explain_table(work *w);
/* One more line. The sentence is made from `noun`. */
void ls_explain_add(work *w, const char *what, const char *noun, const char *value, const char *own,
                    double nmse, int effort);

/* search.c: the value of a number that comes nearest, between own / 1000 and own * 1000. */
typedef double ls_explain_fn(void *ctx, double x);
double ls_explain_search(ls_explain_fn *f, void *ctx, double around, double *value);
/* The shortest decimal that is as good. */
double ls_explain_nice(ls_explain_fn *f, void *ctx, double x, double *value);

/* patch.c: a matrix, rows of it or a block of a row multiplied by something. */
void ls_explain_patch(work *w);

#endif
