// SPDX-License-Identifier: MIT
/* engine.h - one interface for everything that evaluates a model.
 *
 * The verifier sees only this. The native engine runs in process; a reference runs in a child
 * process of its own, so that its abort, hang, leak or changed floating-point mode cannot touch
 * the verdict. One thread per engine.
 */
#ifndef LOCKSTEP_ENGINE_H
#define LOCKSTEP_ENGINE_H

#include "lockstep/model.h"
#include "lockstep/tokenizer.h"

/* Who and how: what a receipt has to say of an engine. Empty strings and -1 mean unknown. */
typedef struct ls_engine_info {
    char    engine[32];   /* "native", "llama", "bitnet"       */
    char    version[64];
    char    isa[64];      /* "avx2", or the CPU library picked  */
    char    library[512]; /* path of the library; "" for native */
    int32_t n_threads, n_batch, n_ctx, n_vocab;
    char    kv_type[8];   /* "f16", "f32", "bf16", "q8_0"       */
    int32_t flash_attn;   /* 0 off, 1 on, -1 the engine decides */
    int32_t lanes;        /* width of its vector sums: 8 or 16  */
    bool    follow;       /* native: sums follow the reference  */
    bool    bf16_pairs;   /* adds products of BF16 two by two   */
    char    note[512];    /* native: why a file of prepacked weights beside the model is not used; "": nothing
                             to say                             */
} ls_engine_info;

/* Work done so far, measured inside the engine (without waiting for the verifier). */
typedef struct ls_engine_stats {
    uint64_t load_ns; /* opening the model; native: and packing it */
    uint64_t eval_ns; /* evaluating, with logits   */
    uint64_t n_tokens;
} ls_engine_stats;

typedef struct ls_engine_options { /* zero means: default */
    const char *model_path;
    ls_gguf    *model;      /* native only: the model where it is open already, shared; NULL: opened */
    int32_t     n_ctx, n_batch, n_threads;
    int         kv_type;           /* LS_DTYPE_F32 (which is 0), _F16, _BF16, _Q8_0 */
    double      timeout_s;         /* references: per request; 0: 300    */
    const volatile int *cancelled; /* references: becomes non-zero on SIGINT, which ends a wait with
                                      CANCELLED; NULL: never; borrowed until close */
    ls_watch    watch;             /* sees every tap that the engine shows, but logits; ctx is
                                      borrowed until close */
    ls_tap_fn      *tap;           /* sees every row of every tap and may change it: what is computed later
                                      is computed from that; NULL: none. Native: after the faults, with
                                      logits. References: of taps that they let change, without; the first
                                      evaluation is done twice. ctx borrowed until close */
    void           *tap_ctx;
    bool        for_speed;     /* for timing: a reference runs as fast as it does by default, with flash
                                  attention, AMX and polling threads where it has them, and its logits
                                  are those of an eval's last token alone */
    /* native only */
    bool            last_only;     /* logits are asked for of an eval's last token alone, see model.h;
                                      for_speed implies it */
    ls_tier         tier;
    ls_act_rounding rounding;
    int             lanes;         /* width of vector sums, 8 or 16; 0: 16 */
    bool            follow;        /* sums in the reference's order for each batch, see model.h */
    bool            bf16_pairs;    /* part of that order, see model.h    */
    const ls_faults *faults;       /* NULL: none; borrowed until close   */
    const char     *prepacked;     /* what ls_model_prepack wrote; NULL: the file beside the model if it
                                      is there and fits; "": none. Without `follow` alone */
} ls_engine_options;

typedef struct ls_engine ls_engine;

/* The native engine. Without prepacked weights it calls ls_model_pack_some at the beginning of each evaluation
 * but the first, until all are packed, so that no result waits for all of it; the time counts as load_ns.
 * Errors: as ls_model_open and ls_session_create. */
LS_API ls_status ls_engine_open_native(ls_engine **out, const ls_engine_options *opt, ls_error *err);

/* A reference: starts the adapter program `exe` (the absolute path of an installed reference
 * host) as a child and opens the model there. Errors: REFERENCE with the child's last words;
 * FORMAT when the reference itself refuses the file. */
LS_API ls_status ls_engine_open_reference(ls_engine **out, const char *exe,
                                          const ls_engine_options *opt, ls_error *err);
LS_API void ls_engine_close(ls_engine *e); /* NULL is allowed; reaps the child */

LS_API const ls_engine_info *ls_engine_get_info(const ls_engine *e);
LS_API ls_engine_stats       ls_engine_get_stats(const ls_engine *e);

/* Token ids as this engine sees the text. *ids is owned: free(). The native engine makes its tokenizer when the
 * first text comes: errors also as ls_tokenizer_create. */
LS_API ls_status ls_engine_tokenize(ls_engine *e, const char *text, size_t len,
                                    const ls_encode_options *opt, int32_t **ids, size_t *n,
                                    ls_error *err);

/* Evaluate n tokens (1 to n_batch) after the current position; logits are asked for with
 * ls_engine_logits. Errors: LIMIT, REFERENCE, USAGE, NOMEM. */
LS_API ls_status ls_engine_eval(ls_engine *e, const int32_t *tokens, size_t n, ls_error *err);

/* Logits [info.n_vocab] of token i of the last eval. Cheapest in ascending order.
 * Borrowed until the next call on this engine. */
LS_API ls_status ls_engine_logits(ls_engine *e, size_t i, const float **row, ls_error *err);

/* Do now what the engine would otherwise spread over its next evaluations: the native one packs what is left of its
 * weights. For whoever times evaluations; the numbers do not change. Errors: as ls_model_pack. */
LS_API ls_status ls_engine_pack(ls_engine *e, ls_error *err);

/* Back to position 0 with an empty KV cache. */
LS_API ls_status ls_engine_reset(ls_engine *e, ls_error *err);

/* Back to position n_keep, at most the number of tokens evaluated since the last reset. Errors: USAGE;
 * REFERENCE for an engine that can only forget everything. */
LS_API ls_status ls_engine_rewind(ls_engine *e, size_t n_keep, ls_error *err);

/* The most memory that the process of this engine has had in use so far, mapped files included;
 * 0: not known. Of the native engine that is this process. */
LS_API uint64_t ls_engine_peak_bytes(const ls_engine *e);

/* ---- references: which are there, where, and how to get them ---- */

typedef enum ls_ref_kind { LS_REF_LLAMA = 0, LS_REF_BITNET, LS_N_REFS } ls_ref_kind;

LS_API const char *ls_ref_name(ls_ref_kind kind);         /* "llama", "bitnet"         */
LS_API const char *ls_ref_display_name(ls_ref_kind kind); /* "llama.cpp", "bitnet.cpp" */
LS_API bool        ls_ref_parse(const char *name, ls_ref_kind *out);
/* By the path of the model, lower-cased: "bitnet" anywhere gives bitnet, else llama. */
LS_API ls_ref_kind ls_ref_for_model(const char *model_path);

/* Where references are looked for. The library reads no environment: cli fills this. NULL: unset. */
typedef struct ls_ref_dirs {
    const char *cache_dir;       /* Lockstep's cache folder (engines live in <cache_dir>/engines) */
    const char *crossval_libdir; /* BITNET_CROSSVAL_LIBDIR: exclusive when set                    */
    const char *bitnet_cpp_dir;  /* BITNET_CPP_DIR                                                 */
    const char *bitnet_cpp_path; /* BITNET_CPP_PATH                                                */
    const char *llama_cpp_dir;   /* LLAMA_CPP_DIR                                                  */
    const char *home;            /* HOME: ~/.cache/bitnet_cpp                                      */
    const char *rpath[LS_N_REFS];/* CROSSVAL_RPATH_LLAMA, CROSSVAL_RPATH_BITNET                    */
} ls_ref_dirs;

typedef enum ls_ref_state {
    LS_REF_READY,     /* an adapter is built and its libraries are there          */
    LS_REF_UNBUILT,   /* libraries and headers found, adapter not compiled yet    */
    LS_REF_INCOMPLETE,/* found something, but `missing` is not there              */
    LS_REF_ABSENT,
} ls_ref_state;

typedef struct ls_ref_status {
    ls_ref_kind  kind;
    ls_ref_state state;
    char         exe[512];     /* adapter program; "" unless ready             */
    char         lib_dir[512]; /* where the libraries are                      */
    char         version[64];
    char         source[64];   /* which rule of the discovery order found it   */
    char         missing[512]; /* what is missing, in words                    */
    char         fix[512];     /* the command that fixes it                    */
} ls_ref_status;

/* Look for one reference. Never fails: the answer is in the status. */
LS_API void ls_ref_find(ls_ref_status *out, ls_ref_kind kind, const ls_ref_dirs *dirs);

/* Progress of a setup: one line per step. */
typedef void ls_progress_fn(void *ctx, const char *step);

typedef struct ls_setup_options {
    const char *dir;    /* an existing build; NULL: the pinned npm build (llama only) */
    bool        force;  /* install again even when it is there                        */
    ls_progress_fn *progress; void *progress_ctx; /* NULL: silent */
} ls_setup_options;

/* Install the pinned build (npm pack, sha512 check, unpack) or adopt `dir`, compile the adapter
 * against its headers, try it, and move everything into place in one rename.
 * Errors: REFERENCE (no network, no npm/git/cc, wrong hash, no compiler output), IO. */
LS_API ls_status ls_ref_setup(ls_ref_kind kind, const ls_ref_dirs *dirs,
                              const ls_setup_options *opt, ls_ref_status *out, ls_error *err);

#endif
