// SPDX-License-Identifier: MIT
/* trace.h - taps: named points of the forward pass where values can be read or changed. */
#ifndef LOCKSTEP_TRACE_H
#define LOCKSTEP_TRACE_H

#include "lockstep/error.h"
#include "lockstep/types.h"

/* Operations, in the order of the forward pass. */
typedef enum ls_op {
#define LS_TRACEPOINT(sym, name, per_layer, meaning) LS_OP_##sym,
#include "lockstep/tracepoints.def"
#undef LS_TRACEPOINT
    LS_N_OPS,
} ls_op;

/* "attn_norm", ...; NULL past the end. */
LS_API const char *ls_op_name(ls_op op);
LS_API bool        ls_op_parse(const char *name, size_t len, ls_op *out);
LS_API bool        ls_op_per_layer(ls_op op);

/* One row of values at a tap: everything that belongs to one position (and, for attn_scores and
 * attn_scores_softmax, to one head; inside experts, ffn_gate to ffn_down, to one of the chosen). */
typedef struct ls_tap {
    ls_op   op;
    int32_t layer; /* 0-based; -1 for what belongs to no layer */
    int32_t pos;   /* 0-based position in the sequence         */
    int32_t head;  /* the head; which of the chosen experts, 0 the best; else -1 */
    float  *data;  /* [n], may be changed: later operations see the change */
    size_t  n;
    bool    alone; /* its token is the only one of the evaluation, as in decoding */
} ls_tap;

/* Called for every row of every tap, from any worker thread, in no promised order. */
typedef void ls_tap_fn(void *ctx, const ls_tap *tap);

/* A tap as an engine computed it for all rows of one batch: what traces are made of.
 * Attention scores and weights have a row for each head and position: data [heads][rows][n] with
 * n = pos + rows; what a query does not see (later positions, those before its window) is 0. Taps
 * inside experts have a row for each chosen expert and position, the best expert first. All other taps
 * have heads 1. */
typedef struct ls_tap_values {
    ls_op        op;
    int32_t      layer; /* 0-based; -1 for what belongs to no layer */
    int32_t      pos;   /* position of row 0                        */
    size_t       heads, rows, n;
    const float *data;  /* [heads][rows][n], borrowed for the call  */
} ls_tap_values;

/* Called once per tap and batch, in the order of evaluation, by the thread that evaluates. */
typedef void ls_watch_fn(void *ctx, const ls_tap_values *v);
typedef struct ls_watch {
    ls_watch_fn *fn; /* NULL: nobody watches */
    void        *ctx;
} ls_watch;

/* Known-bad injection: a list of faults, each changing one tap, or every one.
 * Text form: LAYER.OP[@POSITION][#ELEMENT[-LAST]]=scale:X|add:X|nan|ulp[:N], without "LAYER." for what
 * belongs to no layer; '*' instead of LAYER.OP: every tap of every layer (but the numbers of experts).
 * ulp moves each value by N (1) floats, up or down by a fixed hash of where it stands: noise. */
typedef enum ls_fault_kind { LS_FAULT_SCALE, LS_FAULT_ADD, LS_FAULT_NAN, LS_FAULT_ULP } ls_fault_kind;

typedef struct ls_fault {
    ls_op         op;    /* LS_N_OPS: every one, of every layer */
    int32_t       layer; /* -1: no layer     */
    int32_t       pos;   /* -1: all positions */
    bool          alone; /* only where a token is evaluated alone */
    int32_t       element, last; /* of the row, the first and the last; -1: all of them */
    ls_fault_kind kind;
    float         x;     /* of ulp: N, whole */
} ls_fault;

#define LS_MAX_FAULTS 16
typedef struct ls_faults {
    ls_fault at[LS_MAX_FAULTS];
    size_t   n;
} ls_faults;

/* Parse one fault and append it. Errors: USAGE (names what is wrong), LIMIT (too many). */
LS_API ls_status ls_faults_add(ls_faults *f, const char *text, ls_error *err);
/* Its text form. Returns buf. */
LS_API const char *ls_fault_text(const ls_fault *f, char *buf, size_t cap);
/* A tap function: pass an ls_faults as ctx. Pure, therefore safe from every thread. */
LS_API void ls_faults_tap(void *faults, const ls_tap *tap);

#endif
