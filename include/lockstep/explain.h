// SPDX-License-Identifier: MIT
/* explain.h - why two engines differ: one operation, on the reference's own input, evaluated by the
 * oracle under other meanings until one of them agrees.
 */
#ifndef LOCKSTEP_EXPLAIN_H
#define LOCKSTEP_EXPLAIN_H

#include "lockstep/record.h"

typedef enum ls_explain_outcome {
    LS_EXPLAIN_NOTHING = 0, /* no candidate is near enough                               */
    LS_EXPLAIN_CANDIDATE,   /* rows[0] makes the reference agree                         */
    LS_EXPLAIN_SUBJECT,     /* the reference does what the model says; the subject does not */
} ls_explain_outcome;

LS_API const char *ls_explain_outcome_name(ls_explain_outcome o); /* "nothing", "candidate", "subject" */

typedef struct ls_explain_options {
    const int32_t *prompt, *decoded;
    size_t         n_prompt, n_decoded;
    ls_op          op; /* as ls_locate found it */
    int32_t        layer, position;
    double         isolated; /* NMSE of the subject there, on the reference's input */
    ls_locate_open_fn   *open; /* called for the reference alone */
    ls_locate_oracle_fn *open_oracle;
    ls_locate_close_fn  *close; /* of the reference; NULL: ls_engine_close */
    void                *ctx;
    const volatile int *cancelled;
    void (*progress)(void *ctx, size_t done, size_t total); /* evaluations; NULL: none */
    void *progress_ctx;
} ls_explain_options;

/* Changes that are made at once, where one alone does not explain it. */
enum { LS_EXPLAIN_CHANGES = 3 };

/* One candidate: a meaning in which the operation was evaluated. */
typedef struct ls_explain_row {
    char   what[128];      /* "activation"; of several changes "activation + epsilon" */
    char   value[500];     /* "SiLU", "10100"; of several joined by " and "           */
    char   own[500];       /* what the model's own meaning has there                  */
    char   sentence[1600]; /* "the activation is SiLU, not squared ReLU"; of several joined by ", and " */
    int    changes;        /* how many these are                                      */
    double nmse;          /* against the reference, over all positions; NaN: NaN or Inf */
    bool   agrees;        /* near enough to explain the difference, as others may be, too */
    int    effort;        /* how easily it fits: 0 a choice, 1 a number that was searched for, 2 other
                           * weights, 3 other weights everywhere; their sum, and 1 more for each further
                           * change */
    size_t order;         /* in which it was tried, from 1                            */
} ls_explain_row;

typedef struct ls_explained {
    ls_explain_outcome outcome;
    ls_op              op;
    int32_t            layer;
    size_t             positions; /* that were evaluated                            */
    double             own;       /* NMSE of the model's own meaning                */
    ls_explain_row    *rows;      /* owned; the nearest first                       */
    size_t             n_rows, cap;
    char               sentence[1700];
} ls_explained;

/* Errors: those of the engines; REFERENCE where the reference does not show this operation or what
 * goes into it; NOMEM, CANCELLED. */
LS_API ls_status ls_explain(ls_explained *out, const ls_explain_options *opt, ls_error *err);
LS_API void      ls_explained_fini(ls_explained *e); /* NULL and zeroed structs are allowed */

/* Token ids that differ: a sentence where the difference has a name (a BOS that one side lacks or
 * has twice, an EOS at the end), else false. */
LS_API bool ls_explain_ids(char *buf, size_t cap, const int32_t *subject, size_t n_subject,
                           const int32_t *reference, size_t n_reference, const ls_tokenizer *t);

#endif
