// SPDX-License-Identifier: MIT
/* walk.h - one evaluation of the reference held in memory, and the subject compared with it.
 *
 * The reference is evaluated first, with ls_walk_hold as its watch. Then either the subject runs free
 * (ls_walk_free as its watch: the error it has accumulated), or in the reference's steps (ls_walk_step
 * as its tap function: each value is compared and then replaced by the reference's, so that what
 * differs was made by that operation alone). ls_walk_drop before the next evaluation.
 */
#ifndef LS_RECORD_WALK_H
#define LS_RECORD_WALK_H

#include "lockstep/record.h"

/* A tap of the reference, all positions of the evaluation at work. */
typedef struct ls_walk_tap {
    ls_op         op;
    int32_t       layer, pos; /* pos: of row 0 */
    size_t        heads, rows, n;
    float        *data;     /* [heads][rows][n]                                      */
    double       *d2, *r2;  /* [heads][rows]: of the subject in the reference's steps; d2 -1: not compared */
    ls_map_cell  *free_run; /* [rows]: accumulated and worst; NULL: the subject did not run free */
    /* With an oracle, else NULL: what it makes of the reference's input, as data; and of each row
     * [heads][rows] the squared distances of subject and reference from that, and its own square. */
    double       *exact, *s2, *f2, *e2;
} ls_walk_tap;

typedef struct ls_walk {
    /* Layers whose values are held, and beside them the output of the layer before, so that all that is
     * computed in them comes from the reference's values; the final norm only after the last layer. */
    int32_t      first, last;
    size_t       max_bytes;
    size_t       n_layers;
    bool         free_run;  /* make room for the subject's own run */
    bool         oracle;    /* make room for the oracle's values */
    bool         judging;   /* of this tap alone */
    ls_op        judged_op;
    int32_t      judged_layer;
    ls_walk_tap *taps;      /* in the order of evaluation */
    size_t       n, cap, bytes;
    size_t      *index;     /* [LS_N_OPS][n_layers + 1]: tap + 1, 0: none */
    ls_status    status;    /* of a watch, which cannot return one */
    ls_error     error;
} ls_walk;

/* Set n_layers, max_bytes and free_run before. Errors: NOMEM. */
ls_status ls_walk_init(ls_walk *w, ls_error *err);
void      ls_walk_fini(ls_walk *w); /* zeroed structs are allowed */
void      ls_walk_drop(ls_walk *w);

ls_watch_fn ls_walk_hold; /* ctx: the ls_walk */
ls_watch_fn ls_walk_free;
ls_tap_fn   ls_walk_step; /* from any thread, each row once */
/* The same for the oracle, which goes before the subject and computes what is needed alone. */
ls_tap64_fn ls_walk_step64;
ls_given_fn ls_walk_given;

/* What a tap of that shape takes here. */
size_t       ls_walk_tap_bytes(const ls_walk *w, size_t heads, size_t rows, size_t n, bool exact);
ls_walk_tap *ls_walk_find(const ls_walk *w, ls_op op, int32_t layer); /* NULL: not held */

/* NMSE of row `row` of a tap in the reference's steps, all heads together. -1: not compared; NaN: NaN or
 * Inf. */
double ls_walk_isolated(const ls_walk_tap *t, size_t row);
/* NMSE of the subject and of the reference against the oracle, of row `row` in the reference's steps. */
typedef struct ls_walk_errors {
    double subject, reference;
} ls_walk_errors;
ls_walk_errors ls_walk_oracle_errors(const ls_walk_tap *t, size_t row);
/* d2 / r2, NaN where either is not finite. */
double ls_walk_nmse(double d2, double r2);
/* NMSE of two rows, each minus its mean: a constant added to all logits changes no probability. */
double ls_walk_centred_nmse(const float *subject, const float *reference, size_t n);
/* Remember coordinates where the two differ most. */
void ls_walk_keep_worst(ls_map_cell *c, size_t index, float subject, float reference);

#endif
