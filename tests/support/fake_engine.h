// SPDX-License-Identifier: MIT
/* fake_engine.h - an engine without a model: deterministic logits, and faults on demand.
 *
 * Logits depend on every token evaluated so far, so that two fakes agree to the bit exactly as
 * long as both see the same tokens in the same order.
 */
#ifndef LS_TESTS_FAKE_ENGINE_H
#define LS_TESTS_FAKE_ENGINE_H

#include "lockstep/engine.h"

typedef enum fake_fault {
    FAKE_FAULTLESS = 0,
    /* tokens */
    FAKE_TOKENIZE_FAILS,
    FAKE_OTHER_ID, /* the id at position `at` is another one */
    FAKE_ID_LESS,  /* the last id is missing                 */
    FAKE_ID_MORE,  /* one id too many                        */
    FAKE_NO_IDS,
    FAKE_OTHER_VOCAB,
    /* calls */
    FAKE_EVAL_FAILS,  /* in the call that evaluates position `at` */
    FAKE_LOGITS_FAIL, /* of position `at`                         */
    FAKE_NULL_ROW,    /* LS_OK, but no row                        */
    /* numbers, at position `at` */
    FAKE_NAN,
    FAKE_INF,
    FAKE_ZERO_ROW,
    FAKE_SCALED, /* by 1.5 */
    FAKE_NEGATED,
    FAKE_ONE_LOGIT, /* one logit 20 higher: another arg max           */
    FAKE_STALE_ROW, /* the logits of another history                  */
    FAKE_ROTATED,   /* each logit with the id of its neighbour        */
    FAKE_DEAF,      /* the token was not taken into the history       */
    FAKE_N_FAULTS,
} fake_fault;

typedef struct fake_options { /* zero means: default */
    const char *name;         /* "fake"              */
    int32_t     n_vocab;      /* 64                  */
    int32_t     n_ctx;        /* 4096                */
    int32_t     n_batch;      /* 512                 */
    int32_t     n_threads;    /* that it says it has: 1 */
    fake_fault  fault;
    int32_t     at;
    /* Change a row that is about to be handed out. */
    void (*edit)(void *ctx, int32_t pos, float *row, size_t n);
    void *edit_ctx;
    /* Called at the begin of every evaluation. */
    void (*on_eval)(void *ctx);
    void *on_eval_ctx;
} fake_options;

/* An engine to be closed with ls_engine_close. Text is tokenized byte by byte; BOS, id 1, is put
 * first unless the mode is LS_BOS_NO. */
ls_engine *fake_open(const fake_options *opt);
/* Calls of eval and of logits so far. */
size_t fake_n_evals(const ls_engine *e);
size_t fake_n_rows(const ls_engine *e);
/* The most tokens that one evaluation had. */
size_t fake_max_batch(const ls_engine *e);

#endif
