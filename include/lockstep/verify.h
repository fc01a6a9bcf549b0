// SPDX-License-Identifier: MIT
/* verify.h - do two engines compute the same thing? Fails closed.
 *
 * Works on ls_engine only: it cannot see a model, a kernel or a weight.
 */
#ifndef LOCKSTEP_VERIFY_H
#define LOCKSTEP_VERIFY_H

#include "lockstep/engine.h"

typedef enum ls_verdict {
    LS_VERDICT_NONE = 0,      /* nothing was to be compared: exit 0, never MATCH */
    LS_VERDICT_MATCH,         /* exit 0 */
    LS_VERDICT_DIVERGED,      /* exit 1 */
    LS_VERDICT_TOKENS_DIFFER, /* exit 2 */
    LS_VERDICT_INCONCLUSIVE,  /* exit 3 */
} ls_verdict;

LS_API const char *ls_verdict_name(ls_verdict v);   /* "MATCH" */
LS_API const char *ls_verdict_status(ls_verdict v); /* "ok", "diverged", ... of the JSON */
LS_API int         ls_verdict_exit_code(ls_verdict v);

typedef enum ls_flip { LS_FLIP_NONE = 0, LS_FLIP_NEAR_TIE, LS_FLIP_HARD } ls_flip;

/* The budget of a position and of an operation. What each is and its default: tolerances.def. Zero is a
 * budget of zero. */
typedef struct ls_budget {
    double cos_tol, nmse_tol, kl_tol;
    double tie_tol, tie_sigmas;
    double tap_tol, rho_tol, rho_floor;
    bool   strict; /* near ties do not count as MATCH */
} ls_budget;

LS_API ls_budget ls_budget_default(void);

typedef struct ls_position {
    int32_t pos;
    int32_t token;
    bool    decode;          /* else a prompt position */
    double  cosine;          /* raw rows               */
    double  cosine_centred;  /* each row minus its mean */
    double  l2;              /* raw                    */
    double  max_abs;
    int32_t max_abs_token;
    double  mean_abs;
    double  nmse;            /* centred: sum d^2 / sum r^2 */
    double  kl;              /* nats, whole vocabulary     */
    int32_t top1_subject, top1_reference;
    double  margin;          /* reference: best minus second best */
    double  sigma;           /* RMS of the centred difference     */
    ls_flip flip;
    bool    finite;          /* no NaN or Inf on either side      */
    bool    equal;           /* every logit to the last bit       */
    bool    ok;              /* inside the budget (near ties are inside unless strict) */
} ls_position;

/* Compare one row of logits; fills everything but pos, token, decode. n >= 1. */
LS_API void ls_compare_row(ls_position *out, const float *subject, const float *reference,
                           size_t n, const ls_budget *budget);

/* The worst value and where it is; without positions NaN and -1. NaN is worse than any number. */
typedef struct ls_extreme { double value; int32_t pos; } ls_extreme;

typedef struct ls_summary {
    ls_extreme min_cosine, min_cosine_centred, max_l2, max_abs, max_nmse, max_kl;
    int32_t    max_abs_token;
    double     mean_cosine, mean_l2, mean_abs, mean_nmse, mean_kl;
    double     top1_agreement; /* 0 to 1 */
    int32_t    near_ties, flips;
    size_t     n_equal;          /* positions equal to the last bit */
    int32_t    first_unequal;    /* first position that is not, -1: none */
    int32_t    first_divergence; /* first position that is not ok, -1: none. Where there are too
                                  * many near ties, and nothing else is wrong, the first of them */
} ls_summary;

/* In pairs: positions, logits of each compared position (of the vocabulary), taps. */
typedef struct ls_coverage {
    size_t positions_planned, positions_compared, vocab, logits_compared, taps_planned, taps_compared;
} ls_coverage;

typedef void ls_verify_progress_fn(void *ctx, size_t done, size_t total);
/* Called for every compared position with both rows (for --dump-logits); a failure ends the run. */
typedef ls_status ls_rows_fn(void *ctx, const float *subject, const float *reference, size_t n,
                             ls_error *err);

typedef struct ls_per_token_options {
    const char       *text;       /* prompt after its template */
    size_t            len;
    const int32_t    *ids;        /* the prompt's ids, for both sides; NULL: of the text */
    size_t            n_ids;
    ls_encode_options encode;             /* what the template says: for the reference */
    ls_bos_mode       subject_bos;        /* LS_BOS_AUTO: as encode.bos; else acts on the subject only */
    int32_t           max_tokens; /* decoded positions         */
    size_t            batch;      /* of the prompt, at most; 0: as the engines have it */
    ls_budget         budget;
    ls_verify_progress_fn *progress; void *progress_ctx;
    ls_rows_fn            *rows;     void *rows_ctx;
    const volatile int    *cancelled; /* becomes non-zero on SIGINT; NULL: never */
} ls_per_token_options;

/* Everything a report needs. Release with ls_per_token_fini. */
typedef struct ls_per_token_result {
    ls_verdict   verdict;
    char         reason[1024];  /* one sentence; "" for MATCH */
    char         reason_code[32]; /* machine word: "cosine", "nan", "reference-crashed" ... */
    ls_error     error;         /* the failure behind INCONCLUSIVE, status LS_OK if none */
    int32_t     *ids_subject;   size_t n_ids_subject;
    int32_t     *ids_reference; size_t n_ids_reference;
    int32_t      first_difference; /* index of the first differing id, -1: none */
    int32_t     *decoded;       size_t n_decoded; /* ids fed after the prompt */
    ls_position *positions;     size_t n_positions;
    size_t       n_batch;       /* tokens of the prompt evaluated together, but the last; 0: none were */
    ls_summary   summary;
    ls_coverage  coverage;
    ls_engine_info  subject_info, reference_info;   /* engine "" when that side was not used */
    ls_engine_stats subject_stats, reference_stats;
} ls_per_token_result;

/* Run both engines over the prompt and max_tokens teacher-forced tokens, in lockstep.
 * subject or reference NULL: that engine runs alone, nothing is compared, verdict NONE.
 * Returns LS_OK whenever there is a verdict, INCONCLUSIVE included (reference failures land in
 * result->error). Other statuses: the subject failed or the user interrupted; the result then
 * holds what was compared so far and must still be finished. */
LS_API ls_status ls_verify_per_token(ls_per_token_result *result, ls_engine *subject,
                                     ls_engine *reference, const ls_per_token_options *opt,
                                     ls_error *err);
/* Release everything; leaves an empty result (INCONCLUSIVE). NULL and zeroed structs are allowed. */
LS_API void ls_per_token_fini(ls_per_token_result *result);

/* ---- three engines and more: who is alone ---- */

#define LS_VOTE_MAX 6

/* Distances are centred NMSE of logits at one position; that of a pair is relative to the energy of the
 * second (the later engine). NaN: NaN or Inf. */
typedef struct ls_vote {
    size_t  n, n_positions;
    double *nmse;                          /* [n_positions][n][n], upper triangle; owned */
    double  worst[LS_VOTE_MAX][LS_VOTE_MAX]; /* over positions, both triangles           */
    int32_t worst_at[LS_VOTE_MAX][LS_VOTE_MAX];
    int32_t outlier; /* farther than tol from each of the others, which are within it of one another;
                      * -1: none, nobody has a majority, or n < 3                        */
    bool    agree;   /* every pair is within tol */
} ls_vote;

typedef struct ls_vote_options {
    const int32_t      *prompt, *decoded; /* teacher-forced on all engines */
    size_t              n_prompt, n_decoded;
    double              tol;              /* centred NMSE                  */
    const volatile int *cancelled;
    ls_verify_progress_fn *progress; void *progress_ctx;
} ls_vote_options;

/* Evaluate the same tokens with n engines (2 to LS_VOTE_MAX, each at position 0) and compare each with
 * each. Errors: those of the engines; USAGE; LIMIT (vocabularies of other sizes); CANCELLED; NOMEM.
 * Release with ls_vote_fini, also after a failure. */
LS_API ls_status ls_vote_run(ls_vote *out, ls_engine *const *engines, size_t n,
                             const ls_vote_options *opt, ls_error *err);
/* At one position; i != j. */
LS_API double ls_vote_nmse(const ls_vote *v, size_t position, size_t i, size_t j);
LS_API void   ls_vote_fini(ls_vote *v); /* NULL and zeroed structs are allowed */

/* ---- one engine against itself ---- */

#define LS_FINGERPRINT_BYTES 32

/* SHA-256 of the float bytes of logits: of every row, and of all rows in order. */
typedef struct ls_fingerprint {
    uint8_t  all[LS_FINGERPRINT_BYTES];
    uint8_t *rows;          /* [n][LS_FINGERPRINT_BYTES], owned */
    size_t   n, n_vocab;
    bool     finite;        /* no NaN or Inf                    */
} ls_fingerprint;

/* Evaluate n ids from where the engine stands, in batches of n_batch (or what the engine takes at
 * most). Errors: those of the engine, CANCELLED, NOMEM, USAGE (n or n_batch 0). Release with
 * ls_fingerprint_fini, also after a failure. */
LS_API ls_status ls_fingerprint_run(ls_fingerprint *out, ls_engine *e, const int32_t *ids, size_t n,
                                    size_t n_batch, const volatile int *cancelled, ls_error *err);
/* First position whose logits differ in any bit, -1: none. Unequal lengths differ where the
 * shorter one ends. */
LS_API int32_t ls_fingerprint_compare(const ls_fingerprint *a, const ls_fingerprint *b);
LS_API void    ls_fingerprint_fini(ls_fingerprint *f); /* NULL is allowed */

#endif
