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

/* One thing that is another: "the activation is" "SiLU", not "squared ReLU". */
typedef struct change {
    char   what[40], noun[384], value[160], own[160];
    size_t at;   /* offset of its number in ls_semantics, a double; 0: it has none */
    double from; /* the value that is shown is the number and this                 */
} change;

/* What a line of the table stands for. */
typedef struct trial {
    ls_semantics s;
    change       changes[LS_EXPLAIN_CHANGES];
    int          n, effort, n_patches;
    double       nmse;
} trial;

typedef struct work {
    const ls_explain_options *opt;
    ls_explained             *out;
    size_t                    positions; /* that are evaluated */
    int32_t                   n_layers;
    held                      held[LS_N_OPS]; /* of the operation's layer and of no layer */
    held                      before;         /* what the layer before gave out           */
    ls_engine                *oracle;
    ls_semantics              own;       /* the meaning that is changed: the model's, or that of `base` */
    trial                     base;      /* changes that are made already; n 0: none                    */
    int                       n_patches; /* of these those of weights                                   */
    trial                    *trials;    /* of the rows, by their order */
    size_t                    trials_cap;
    double                  **vectors; /* that patches refer to */
    size_t                    n_vectors, vectors_cap;
    size_t                    done, planned; /* evaluations */
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

/* The token at a position. */
int32_t ls_explain_id(const work *w, size_t position);

/* table.c: evaluate every candidate that the operation has. */
void   ls_explain_table(work *w);
size_t ls_explain_plan(const work *w); /* how many evaluations that will be, about */

/* rows.c: one more line, of the meaning s. Its sentence is made from `noun`. */
void ls_explain_add(work *w, const char *what, const char *noun, const char *value, const char *own,
                    double nmse, int effort, const ls_semantics *s);
void ls_explain_add_change(work *w, const change *c, double nmse, int effort, const ls_semantics *s);
/* A line for changes that are made already. */
void ls_explain_add_trial(work *w, const trial *t);
void ls_explain_sort(work *w); /* the nearest first */
bool ls_explain_explains(double nmse, double own);
bool ls_explain_agrees(const work *w, const ls_explain_row *r);
/* Go on from row i: what is tried now comes on top of its changes. */
void ls_explain_go_on(work *w, size_t i);

/* search.c: the value of a number that comes nearest, between own / 1000 and own * 1000. */
typedef double ls_explain_fn(void *ctx, double x);
double ls_explain_search(ls_explain_fn *f, void *ctx, double around, double *value);
/* The shortest decimal that is as good. */
double ls_explain_nice(ls_explain_fn *f, void *ctx, double x, double *value);

/* combine.c: one change, and where none explains it several. */
void ls_explain_all(work *w);
/* polish.c: the numbers of a trial, searched for all at once. */
void ls_explain_polish(work *w, trial *t);

/* patch.c: other weights. */
void ls_explain_patch(work *w);

#endif
