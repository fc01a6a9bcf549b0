// SPDX-License-Identifier: MIT
/* quantize.h - a whole model in fewer bits: mixtures of types, and measured importance of weights.
 *
 * A mixture says which type each tensor gets. Types, bytes, order and metadata are those of
 * llama.cpp v0.5.0's llama-quantize, so that the files are the same.
 */
#ifndef LOCKSTEP_QUANTIZE_H
#define LOCKSTEP_QUANTIZE_H

#include "lockstep/gguf.h"

/* ---- importance ---- */

/* What llama-imatrix measured: for each tensor how much each of its columns matters. */
typedef struct ls_imatrix ls_imatrix;

typedef struct ls_imatrix_entry {
    ls_str       name;    /* of the tensor                                                 */
    const float *weights; /* finite, zero or larger; of stacked experts one row after the other */
    size_t       n;
} ls_imatrix_entry;

/* Read llama.cpp's file of importance, as GGUF or in its older binary form.
 * Errors: IO, NOMEM; FORMAT with the place. On success *out is owned: close it. */
LS_API ls_status ls_imatrix_open(ls_imatrix **out, const char *path, ls_error *err);
LS_API void      ls_imatrix_close(ls_imatrix *m); /* NULL is allowed */

LS_API size_t                  ls_imatrix_n_entries(const ls_imatrix *m);
LS_API const ls_imatrix_entry *ls_imatrix_at(const ls_imatrix *m, size_t i); /* sorted by name */
LS_API const ls_imatrix_entry *ls_imatrix_find(const ls_imatrix *m, ls_str name); /* or NULL */
/* First of the texts that it was measured on, empty if it is not said; batches of that text, 0 if
 * not said; the path given to open. */
LS_API ls_str      ls_imatrix_dataset(const ls_imatrix *m);
LS_API int64_t     ls_imatrix_n_chunks(const ls_imatrix *m);
LS_API const char *ls_imatrix_path(const ls_imatrix *m);

/* ---- mixtures ---- */

/* Types that hold ternary matrices as a whole (I2_S) are no matter of mixtures: ls_convert_to_gguf
 * writes them, and nothing is lost. */
/* Name of mixture i ("Q4_K_M"), NULL behind the last. They are compared without regard to case. */
LS_API const char *ls_mixture_name(size_t i);
LS_API bool        ls_mixture_known(const char *name);

/* ---- the model ---- */

/* Tensors whose name this regular expression (PCRE2) matches somewhere get this type. */
typedef struct ls_quantize_override {
    const char *pattern;
    int         dtype;
} ls_quantize_override;

/* What becomes of one tensor. */
typedef struct ls_quantize_tensor {
    ls_str   name;
    int      from, to;          /* types                                                      */
    bool     fallback;          /* its rows do not fit the type that the mixture wanted       */
    bool     importance;        /* quantised with weights of importance                       */
    bool     missing;           /* needs importance and has none; in a dry run only           */
    uint64_t n_elements, bytes_in, bytes_out;
    double   error;             /* RMS of the difference / RMS of the weights; 0: nothing lost */
} ls_quantize_tensor;

typedef void ls_quantize_tensor_fn(void *ctx, const ls_quantize_tensor *t);
typedef void ls_quantize_progress_fn(void *ctx, size_t done, size_t total); /* bytes read */

typedef struct ls_quantize_options {
    const char *mixture;
    bool        pure;           /* the mixture's own type for everything                     */
    bool        keep_output;    /* output.weight stays what it is                            */
    bool        requantize;     /* weights that are quantised already may be quantised again */
    bool        dry_run;        /* tell of every tensor, write nothing; errors are 0         */
    int         output_type;    /* of output.weight; LS_DTYPE_NONE: as the mixture has it    */
    int         embedding_type; /* of token_embd.weight; the same                            */
    const ls_quantize_override *overrides; /* the first that matches holds */
    size_t                      n_overrides;
    const ls_imatrix           *imatrix;   /* borrowed; NULL: none         */
    int                         n_threads; /* 0: one per core              */
    ls_quantize_progress_fn    *progress;  /* NULL: none                   */
    void                       *progress_ctx;
    ls_quantize_tensor_fn      *tensor;    /* for each, in the order of the new file; NULL: none */
    void                       *tensor_ctx;
    const volatile int         *cancelled; /* stop when this becomes non-zero; NULL: never       */
} ls_quantize_options;

/* Write a model, whatever it was read from, as one GGUF file in that mixture. The bytes do not
 * depend on the number of threads. What is at `path` is replaced when all is written; `path` is
 * ignored in a dry run. Everything but the values of weights is checked before anything is written.
 * Errors: USAGE (no such mixture, type or pattern; importance is needed), UNSUPPORTED (a tensor
 * that cannot get its type), FORMAT (a hyper-parameter is missing; importance of another model),
 * IO, NOMEM, CANCELLED. */
LS_API ls_status ls_quantize_model(const char *path, const ls_gguf *model,
                                   const ls_quantize_options *opt, ls_error *err);

#endif
