// SPDX-License-Identifier: MIT
/* record.h - traces: the taps of a run as records, in a folder, and two of them compared.
 *
 * A record holds a tap of one evaluation: shape, BLAKE3 of its floats and a sketch of them, by which
 * two taps can be compared without their values. A trace is a folder: manifest.json says which run
 * it is and how many records it has, trace.jsonl holds one record per line, values.safetensors the
 * values where they were asked for.
 */
#ifndef LOCKSTEP_RECORD_H
#define LOCKSTEP_RECORD_H

#include "lockstep/engine.h"
#include "lockstep/oracle.h"
#include "lockstep/verify.h"

#define LS_SKETCH_PROJECTIONS 8

/* Of n floats in order. Projection k is their sum with signs drawn from a fixed generator
 * (NUMERICS.md, "Traces"): the mean of the squared differences of two such sets estimates the
 * squared distance of the vectors (Johnson and Lindenstrauss 1984; signs: Achlioptas 2003). */
typedef struct ls_sketch {
    char   blake3[65];       /* of the little-endian bytes, hex */
    size_t n, n_not_finite;
    double sum, rms, max_abs; /* of the finite ones */
    double projection[LS_SKETCH_PROJECTIONS];
} ls_sketch;

/* Floats in any number of pieces. Errors: NOMEM. */
typedef struct ls_sketcher ls_sketcher;
LS_API ls_status ls_sketcher_create(ls_sketcher **out, ls_error *err);
LS_API void      ls_sketcher_add(ls_sketcher *k, const float *x, size_t n);
/* The sketch of all that was added; only destroy may follow. */
LS_API void ls_sketcher_finish(ls_sketcher *k, ls_sketch *out);
LS_API void ls_sketcher_destroy(ls_sketcher *k); /* NULL is allowed */

typedef struct ls_trace_record {
    int32_t   seq;   /* evaluation: 0 the prompt (or each of its pieces one), then decoded tokens */
    int32_t   layer; /* -1: none */
    ls_op     op;
    int32_t   pos;   /* of the first row */
    size_t    heads, rows, n; /* [heads][rows][n]; heads 1: shape [rows][n] */
    ls_sketch sketch;
    /* only of NAME.trace files of others: */
    bool hash_only;  /* of the sketch hash, n and RMS alone are known (RMS unknown: n_not_finite 1) */
    bool sha256;     /* the hash is one, in the field of the other */
    char dtype[12];  /* of what was hashed as floats; "": F32 */
    char stage[64];  /* with op LS_N_OPS, a tap that Lockstep does not have: its name; layer may be -2 */
} ls_trace_record;

/* Its operation, or the name that somebody else gave it. */
LS_API const char *ls_trace_record_stage(const ls_trace_record *r);
/* "t0/blk3/attn_norm", "t1/logits". Returns buf. */
LS_API const char *ls_trace_record_name(const ls_trace_record *r, char *buf, size_t cap);

typedef struct ls_trace {
    ls_engine_info   engine;
    char             model_path[512], model_sha256[65], arch[32];
    int32_t         *tokens; /* owned; the prompt, then what was decoded */
    size_t           n_tokens, n_prompt;
    ls_trace_record *records; /* owned; in the order of evaluation */
    size_t           n_records;
    bool             declined[LS_N_OPS]; /* the engine has or shows no such tap */
    char             logits_sha256[65];  /* of all rows of logits */
    int              perturbed; /* 1: without taps the logits are others; 0: they are not; -1: not tried */
    char             folder[512]; /* where it was read from; "": nowhere */
    bool             has_values;
    bool             bare; /* a folder of NAME.trace files alone: engine, model, tokens and what was
                            * planned are not known */
} ls_trace;

LS_API void ls_trace_fini(ls_trace *t); /* NULL and zeroed structs are allowed */

/* How a prompt is cut into evaluations: into batches, and these into pieces (0: not). A rest shorter than
 * 8 joins the piece before it. */
typedef struct ls_cut {
    size_t batch, piece;
} ls_cut;

/* Tokens of the evaluation after `done` of n; those of the longest. */
LS_API size_t ls_cut_next(ls_cut cut, size_t n, size_t done);
LS_API size_t ls_cut_longest(ls_cut cut, size_t n);

typedef struct ls_trace_options {
    const int32_t *prompt;
    size_t         n_prompt;
    ls_cut         cut;          /* of the prompt; zeros: one evaluation */
    int32_t        max_tokens;   /* decoded after the prompt           */
    const int32_t *decoded;      /* [max_tokens] their ids; NULL: greedily */
    bool           ops[LS_N_OPS]; /* which taps to record                */
    const char    *values_path;  /* every tap's values go there; NULL: sketches alone */
    const volatile int *cancelled;
    void (*progress)(void *ctx, size_t done, size_t total);
    void *progress_ctx;
} ls_trace_options;

/* A recorder is made before its engine, whose options take ls_recorder_watch(). */
typedef struct ls_recorder ls_recorder;
LS_API ls_status ls_recorder_create(ls_recorder **out, const ls_trace_options *opt, ls_error *err);
LS_API ls_watch  ls_recorder_watch(ls_recorder *r);
/* Run the engine and give out the records; engine, tokens and logits' hash are filled, model and
 * perturbed are the caller's. Errors: those of the engine; IO, NOMEM, CANCELLED, LIMIT (the prompt, or
 * a piece of it, is longer than the engine's batch). */
LS_API ls_status ls_recorder_run(ls_recorder *r, ls_engine *e, ls_trace *out, ls_error *err);
LS_API void      ls_recorder_destroy(ls_recorder *r); /* NULL is allowed */

/* Write manifest.json and trace.jsonl (and with per_file one NAME.trace per record) into a folder
 * that exists. Errors: IO, NOMEM. */
LS_API ls_status ls_trace_write(const ls_trace *t, const char *folder, bool per_file, ls_error *err);
/* Read a folder; where neither manifest.json nor trace.jsonl is there, its NAME.trace files. Errors: IO; FORMAT with file and line, also where the number of records is not
 * the manifest's or a record stands twice; NOMEM. A folder without records: REFERENCE, nothing can be
 * compared. */
LS_API ls_status ls_trace_read(ls_trace *out, const char *folder, ls_error *err);

/* ---- two traces ---- */

typedef struct ls_tap_difference {
    bool   same_bits;
    double nmse; /* sum d^2 / sum b^2; from values where both have them, else estimated */
    bool   estimated;
    bool   finite;
    bool   ok;   /* inside the budget */
} ls_tap_difference;

typedef struct ls_trace_diff_row {
    const ls_trace_record *a, *b; /* borrowed from the traces; NULL: missing there */
    ls_tap_difference      d;
    const char            *finding; /* "" or what is wrong beside the values: "missing in A" */
} ls_trace_diff_row;

typedef struct ls_trace_diff {
    ls_verdict         verdict;
    char               reason[512];
    char               unchecked[512]; /* what a folder without a manifest leaves open; "": nothing */
    ls_trace_diff_row *rows; /* owned; in the order of A's evaluation, then what A lacks */
    size_t             n_rows, n_planned, n_compared, n_same_bits, n_findings;
    ptrdiff_t          first_bits, first_over; /* indices into rows; -1: none */
} ls_trace_diff;

/* A against B, B the reference. nmse_tol: what a tap may differ. Errors: NOMEM, IO (of values). */
LS_API ls_status ls_trace_compare(ls_trace_diff *out, const ls_trace *a, const ls_trace *b,
                                  double nmse_tol, ls_error *err);
LS_API void      ls_trace_diff_fini(ls_trace_diff *d); /* NULL and zeroed structs are allowed */

/* ---- where two engines part ---- */

/* Open one of the two engines, ready at position 0, with somebody who watches and a function that may
 * change its values (of the reference only where options ask for `reverse`). The caller closes it. */
typedef ls_status ls_locate_open_fn(void *ctx, bool subject, ls_watch watch, ls_tap_fn *tap,
                                    void *tap_ctx, ls_engine **out, ls_error *err);

/* The same for the oracle (oracle.h). */
typedef ls_status ls_locate_oracle_fn(void *ctx, ls_tap64_fn *tap, ls_given_fn *given, void *tap_ctx,
                                      ls_engine **out, ls_error *err);

/* Which of the two is farther from the oracle, on the reference's own input. */
typedef enum ls_outlier { LS_OUTLIER_UNCLEAR = 0, LS_OUTLIER_SUBJECT, LS_OUTLIER_REFERENCE } ls_outlier;

LS_API const char *ls_outlier_name(ls_outlier o); /* "unclear", "subject", "reference" */
/* The engine is not needed any more; it may serve the next open. */
typedef void ls_locate_close_fn(void *ctx, ls_engine *e);

typedef struct ls_locate_options {
    const int32_t *prompt, *decoded;
    size_t         n_prompt, n_decoded;
    ls_cut         cut;       /* of the prompt, see ls_locate_cut; zeros: one evaluation */
    double         tap_tol;   /* NMSE of a tap at one position, in isolation and accumulated */
    double         rho_tol, rho_floor; /* see tolerances.def; rho_tol 0: the defaults of both */
    bool           by_oracle; /* budgets from the oracle: an operation is over when one engine is rho_tol
                               * times as far from it as the other, whatever tap_tol says. Searches
                               * all layers */
    size_t         max_bytes; /* of the reference's values held at once, unless one layer has more (at
                               * most LS_LOCATE_MOST); 0: that */
    bool           map;       /* every tap of every layer, not just around the break         */
    bool           reverse;   /* what was born is also looked at the other way round         */
    ls_locate_open_fn  *open;
    ls_locate_oracle_fn *open_oracle; /* NULL: nobody says who is wrong */
    ls_locate_close_fn *close; /* NULL: ls_engine_close */
    void               *ctx;
    const volatile int *cancelled;
    /* Positions that a pass over all of them has done; pass: what it does, in a few words. NULL: silent */
    void (*progress)(void *ctx, const char *pass, size_t done, size_t total);
    void               *progress_ctx;
} ls_locate_options;

/* What the taps of an evaluation, and engines for each of its tokens, may take with the cut below;
 * besides them there are KV caches, rows of logits and vocabularies, as in any run. */
#define LS_LOCATE_BYTES (40 << 20)
#define LS_LOCATE_MOST  (256 << 20) /* where the shortest pieces take more than that */

/* The cut of a prompt that keeps to that, with evaluations as long as possible, at most `batch` (0: 512): the
 * batches of the run that is looked into. n_positions: with decoded tokens. Before anything is evaluated.
 * Errors: LIMIT, where even the shortest would take more than LS_LOCATE_MOST. */
LS_API ls_status ls_locate_cut(ls_cut *out, const ls_model_config *c, size_t n_prompt, size_t n_positions,
                               size_t batch, bool by_oracle, ls_error *err);

/* Every tap of every position: what reports draw. NMSE of that row (of all its heads together); NaN: NaN or
 * Inf; -1: not compared. The coordinates that differ most as the subject ran, largest first. */
typedef struct ls_map_value {
    uint32_t index; /* in the row; with heads: head * width + index */
    float    subject, reference;
} ls_map_value;
#define LS_MAP_VALUES 4
typedef struct ls_map_cell {
    double       isolated;    /* on the reference's own input */
    double       accumulated; /* as the subject ran           */
    double       subject, reference; /* NMSE to the oracle, both on the reference's own input; -1: there was none */
    ls_map_value worst[LS_MAP_VALUES];
    uint32_t     n_worst;     /* how many of them there are   */
} ls_map_cell;
typedef struct ls_map_row {
    ls_op        op;
    int32_t      layer;    /* -1: none */
    size_t       heads, n; /* shape of one position: [heads][n] (scores: n is the longest row) */
    ls_map_cell *cells;    /* [n_positions], owned */
} ls_map_row;
typedef struct ls_tap_map {
    ls_map_row *rows; /* owned; in the order of evaluation; logits are the last */
    size_t      n_rows, n_positions;
} ls_tap_map;
LS_API void ls_tap_map_fini(ls_tap_map *m); /* NULL and zeroed structs are allowed */

typedef struct ls_located {
    bool    found;
    bool    born;       /* over the budget on the reference's own input; else it is only carried */
    ls_op   op;         /* of the first such operation in graph order */
    int32_t layer, position; /* layer -1: none */
    double  isolated;   /* NMSE at that position, on the reference's input; NaN: NaN or Inf */
    bool    reversed;    /* the reference has computed it on the subject's input, see `reverse` */
    double  isolated_reverse; /* then NMSE of that against the subject's own at that position */
    bool    not_stepped[LS_N_OPS]; /* then: operations before it which the reference did not take over
                                    * from the subject, so that their error is in it, too */
    double  accumulated; /* NMSE of the tap as the subject computed it, over all positions  */
    double  budget;     /* of isolated; by_oracle: of the larger of the two errors to it     */
    ls_outlier outlier;      /* of the operation that was found, where it was born there          */
    bool    by_oracle;       /* the budget is the oracle's: see ls_locate_options                 */
    bool    judged;          /* the oracle has computed it; else the next three are 0             */
    double  subject_error, reference_error; /* NMSE to the oracle at that position                */
    double  rho;             /* sqrt(subject_error / reference_error)                             */
    bool    other_bits; /* some tap is not equal to the last bit: the first, as the subject ran */
    ls_op   bits_op;
    int32_t bits_layer;
    size_t  taps_planned, taps_compared, taps_equal; /* records of both runs, equal to the last bit */
    bool    declined[LS_N_OPS]; /* taps that the reference does not show, though the subject has them */
    ls_tap_map map; /* owned; where the options ask for it, else empty */
} ls_located;
LS_API void ls_located_fini(ls_located *l); /* NULL and zeroed structs are allowed */
/* Born by the one way and inside the budget by the other (an oracle's budget is not of either). */
LS_API bool ls_located_ways_disagree(const ls_located *l);

/* Two passes: sketches of everything; then, in the layers around the first tap that is over the
 * budget, every operation of the subject on the reference's own input: each of its results is
 * compared and then replaced by the reference's. With `reverse` the one that was found also the other
 * way round: the reference's results are compared and replaced by the subject's. Errors: those of the engines; REFERENCE where
 * nothing could be compared. */
LS_API ls_status ls_locate(ls_located *out, const ls_locate_options *opt, ls_error *err);

/* ---- the shortest sequence that still does it ---- */

/* Whether these ids still show what is looked for. A failure ends the search. */
typedef ls_status ls_shrink_test_fn(void *ctx, const int32_t *ids, size_t n, bool *still,
                                    ls_error *err);

typedef struct ls_shrink_options {
    ls_shrink_test_fn *test;
    void              *ctx;
    size_t             max_tests; /* 0: 1000 */
    void (*progress)(void *ctx, size_t done, size_t total); /* tests; NULL: none */
    void              *progress_ctx;
} ls_shrink_options;

typedef struct ls_shrunk {
    size_t n;       /* ids that are left                                        */
    size_t n_tests;
    bool   minimal; /* none of them can be left out; else max_tests was reached */
} ls_shrunk;

/* Delta debugging (Zeller and Hildebrandt 2002, "ddmin"): leave out ids, large parts first, as long as
 * the rest passes the test, which all n ids are known to do. ids [n] becomes the shortest sequence
 * found. The same tests give the same sequence. Errors: those of the test; NOMEM. */
LS_API ls_status ls_shrink(int32_t *ids, size_t n, const ls_shrink_options *opt, ls_shrunk *out,
                           ls_error *err);

#endif
