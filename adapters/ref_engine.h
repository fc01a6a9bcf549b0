// SPDX-License-Identifier: MIT
/* ref_engine.h - what an adapter implements for ref_main.c, the child's side of the protocol.
 *
 * One engine per process, so there is no handle: the adapter keeps its state in static
 * variables. Every function that can fail returns LS_REF_DONE or why not, and then writes one
 * sentence into ref_why.
 */
#ifndef LOCKSTEP_REF_ENGINE_H
#define LOCKSTEP_REF_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "ref_protocol.h"

#define REF_MAX_LIBRARIES 8

/* The lines of engine.manifest that the adapter needs; paths are absolute. */
typedef struct ref_manifest {
    char engine[32], version[64];
    char lib_dir[512];                      /* where the engine looks for its CPU libraries */
    char libraries[REF_MAX_LIBRARIES][512]; /* in the order in which they are to be loaded  */
    int  n_libraries;
} ref_manifest;

/* Text of the last failure, at most LS_REF_MAX_ERROR bytes. Defined in ref_main.c. */
extern char ref_why[LS_REF_MAX_ERROR + 1];

/* Not for comparing numbers, but for timing: nothing is turned off that makes the engine fast, and
 * logits of the last token are enough. Defined in ref_main.c. */
extern int ref_for_speed;

/* Write ref_why and return `status`. */
uint32_t ref_fail(uint32_t status, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Monotonic time in nanoseconds. */
uint64_t ref_now_ns(void);

/* Hand a node's values to the host: tap->ne[0] * ... * ne[3] floats. Called by the adapter while
 * it evaluates. Defined in ref_main.c. */
enum {
    REF_TAP_GONE,    /* the host is                                 */
    REF_TAP_KEPT,    /* the node keeps its values                   */
    REF_TAP_REPLACED /* data are others now, which it is to take    */
};
int ref_tap(const ls_ref_tap *tap, float *data);

/* Load the libraries and fill the engine's version (the manifest's, unless the library knows
 * better) and the library's path. */
uint32_t ref_load(const ref_manifest *m, ls_ref_identity *out);
/* Watch nodes by lines of "NAME OP" (borrowed until the process ends): every evaluation of a model
 * opened later calls ref_tap for each. answers: its result may be REF_TAP_REPLACED. */
uint32_t ref_watch(const char *names, int answers);
/* Open a model: everything of *out but load_ns. */
uint32_t ref_open(const char *path, const ls_ref_open *opt, ls_ref_opened *out);
/* Token ids; *ids is owned by the caller: free(). */
uint32_t ref_tokenize(const char *text, size_t len, const ls_ref_tokenize *opt, int32_t **ids,
                      size_t *n);
/* Evaluate n ids (checked: 1 to n_batch, each below n_vocab), logits for every one. Fills
 * wall_ns, which covers the evaluation until the first row can be read. */
uint32_t ref_eval(const int32_t *ids, size_t n, ls_ref_evaluated *out);
/* Row i of the last evaluation, NULL if the engine has none. */
const float *ref_row(size_t i);
/* Forget every position from n_keep (at most those evaluated) on. */
uint32_t     ref_reset(uint32_t n_keep);
void         ref_close(void);

#endif
