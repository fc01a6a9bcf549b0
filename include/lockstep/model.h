// SPDX-License-Identifier: MIT
/* model.h - a model opened for the native engine, and sessions that evaluate it.
 *
 * ls_model: immutable after open, shareable between threads.
 * ls_session: one timeline (KV cache, position, scratch); one thread at a time.
 */
#ifndef LOCKSTEP_MODEL_H
#define LOCKSTEP_MODEL_H

#include "lockstep/gguf.h"
#include "lockstep/trace.h"

typedef enum ls_rope_order { LS_ROPE_NORMAL, LS_ROPE_NEOX, LS_ROPE_NONE } ls_rope_order;

/* Hyper-parameters as read from the metadata. Letters as in the kernels:
 * D width, H query heads, G KV heads, K head width, F feed-forward width, V vocabulary, L layers. */
typedef struct ls_model_config {
    char          arch[32];
    int32_t       n_layers, n_ctx_train, n_embd, n_heads, n_kv_heads, head_dim, n_ff, n_vocab;
    float         norm_eps;
    bool          tied_output; /* token_embd serves as output matrix      */
    ls_rope_order rope_order;
    int32_t       rope_dims;   /* rotated elements per head */
    double        rope_base;
    double        rope_scale;       /* positions are multiplied by this: 1/factor */
    bool          rope_yarn;
    double        rope_attn_factor; /* multiplies cosine and sine */
    int32_t       rope_ctx_orig;
    int32_t       n_expert, n_expert_used, n_ff_expert, n_ff_shared; /* 0: none */
    int32_t       n_swa;         /* width of the sliding window, 0: none */
    int32_t       swa_period;    /* every such layer has no window       */
    double        rope_base_swa; /* of the layers with a window          */
    double        rope_scale_swa;
    bool          rope_plain_swa; /* those layers have no YaRN            */
    double        attn_scale;     /* of queries and keys; 0: 1 / sqrt(K)  */
    double        attn_softcap, final_softcap;       /* 0: none */
    double        logit_scale, residual_scale, embedding_scale; /* 1: none */
    bool          parallel;       /* attention and feed-forward side by side */
} ls_model_config;

typedef struct ls_model ls_model;

/* Open a GGUF file and bind its weights (mapped, not copied).
 * Errors: as ls_gguf_open; FORMAT for missing or misshapen tensors and keys; UNSUPPORTED for an
 * architecture, tensor type or tensor that Lockstep does not evaluate (nothing is skipped silently). */
LS_API ls_status ls_model_open(ls_model **out, const char *path, ls_error *err);
/* The same for what is open already, which is shared (ls_gguf_share), not read a second time. */
LS_API ls_status ls_model_open_gguf(ls_model **out, ls_gguf *g, ls_error *err);
LS_API void      ls_model_close(ls_model *m); /* NULL is allowed; sessions must be gone */
/* Copy the matrices into the form that the fast products read, on n_threads threads (at least 1);
 * sessions without `follow` then use it. The numbers do not change. Without it products read rows as they are mapped, and put some of
 * them into that form for as long as a product of many tokens takes. Done once, and not at all where it would take more than three
 * quarters of the machine's memory; no session of the
 * model may be at work. Errors: NOMEM, IO (threads); the model remains usable. */
LS_API ls_status ls_model_pack(ls_model *m, int n_threads, ls_error *err);
/* The same little by little, so that nobody waits for all of it: as much as is worth its time after n_uses uses of the weights,
 * from the first matrix on, with the threads of the first call. A use is an evaluation of one token; one of several tokens is as many,
 * 8 at most. All is packed after some number of them that depends on the types, not on the machine or on
 * a clock (docs/performance.md, Loading). Sessions use what is there. n_uses is all of them so far; *done: nothing is left to pack.
 * Errors and what else holds as above. */
LS_API ls_status ls_model_pack_some(ls_model *m, size_t n_uses, int n_threads, bool *done, ls_error *err);

/* ---- the same form, in a file ---- */

/* What goes after the name of a model's file. */
#define LS_PREPACKED_SUFFIX ".strips"

typedef struct ls_prepack_options { /* zero means: default */
    int n_threads;                  /* 0: one per core */
    void (*progress)(void *ctx, size_t done, size_t total); /* bytes; NULL: silent */
    void *progress_ctx;
    const volatile int *cancelled;  /* becomes non-zero: give up with CANCELLED; NULL: never */
} ls_prepack_options;

typedef struct ls_prepacked {
    size_t   n_matrices; /* all experts of a kind in a layer count as one    */
    uint64_t n_bytes;    /* of the weights; the file has a head before them  */
    char     blake3[65]; /* of the weights                                   */
} ls_prepacked;

/* Write what ls_model_pack makes to a file, which ls_model_use_prepacked then maps. path NULL:
 * beside the model's file, with LS_PREPACKED_SUFFIX; a file that is there is replaced when the new one is complete.
 * Never more than one matrix is held in memory. out may be NULL.
 * Errors: UNSUPPORTED (no GGUF file; no matrix has such a form), IO, NOMEM, CANCELLED. */
LS_API ls_status ls_model_prepack(ls_prepacked *out, ls_model *m, const char *path,
                                  const ls_prepack_options *opt, ls_error *err);
/* Do what ls_model_pack does by mapping such a file. *used false and LS_OK: path is NULL and there is
 * no file beside the model. Where packing has begun nothing is done, and *used is true. The file must have been made of this very file: head, length, inode and times of
 * change are compared, and some rows of every matrix. Errors: FORMAT with the reason, and nothing of the file
 * is used; IO, NOMEM. The model remains usable. No session of it may be at work. */
LS_API ls_status ls_model_use_prepacked(ls_model *m, const char *path, bool *used, ls_error *err);
/* Compare every byte of such a file with the model. Parameters and errors as above; out may be NULL. */
LS_API ls_status ls_model_verify_prepacked(ls_prepacked *out, ls_model *m, const char *path,
                                           bool *found, ls_error *err);

LS_API const ls_gguf         *ls_model_gguf(const ls_model *m);
LS_API const ls_model_config *ls_model_get_config(const ls_model *m);

/* Whether this model has the operation, so that a tap of it is ever called. */
LS_API bool ls_model_has_op(const ls_model *m, ls_op op);

typedef struct ls_session ls_session;

/* Rounding of activations before a matrix of the layers. */
typedef enum ls_act_rounding {
    LS_ROUND_AUTO = 0, /* as the weight's type asks (dtypes.def)                         */
    LS_ROUND_I8,       /* int8 per row, as I2_S does, whatever the type of a layer weight */
} ls_act_rounding;

#define LS_MAX_TAPS 4

typedef struct ls_session_options { /* zero means: default */
    int32_t         n_ctx;     /* positions the KV cache holds; 0: the training context  */
    int32_t         n_batch;   /* tokens evaluated together at most; 0: 512              */
    int32_t         n_threads; /* 0: one per core                                        */
    int             kv_type;   /* LS_DTYPE_F32 (which is 0), _F16, _BF16 or _Q8_0       */
    ls_tier         tier;      /* LS_TIER_AUTO: the best                                 */
    ls_act_rounding rounding;
    int             lanes;     /* width of vector sums, 8 or 16; 0: 16. Part of the arithmetic
                                * (NUMERICS.md, clause 2), not of the machine: llama.cpp's AVX2
                                * builds sum 8 wide, its AVX-512 builds 16 wide              */
    bool            follow;    /* add in the order of llama.cpp's kernels for a batch of this very
                                * shape (NUMERICS.md, clause 9). Results then depend on the
                                * batches, as the reference's do                             */
    bool            last_only; /* logits are asked for of an eval's last token alone: what the
                                * last layer would compute for the others is left out, unless
                                * taps or a watch want to see it, or `follow` its shape. The
                                * logits are the same bits                                   */
    bool            bf16_pairs; /* with `follow`: BF16 products two by two, as llama.cpp's builds
                                * for AVX512_BF16 add them                                   */
    struct { ls_tap_fn *fn; void *ctx; } taps[LS_MAX_TAPS]; /* called in order; fn NULL: unused */
    ls_watch        watch;     /* sees what the taps have left */
} ls_session_options;

/* Errors: LIMIT (n_ctx above the training context, memory), UNSUPPORTED (tier not on this
 * machine, kv_type), NOMEM. The model must outlive the session. */
LS_API ls_status ls_session_create(ls_session **out, const ls_model *m,
                                   const ls_session_options *opt, ls_error *err);
LS_API void      ls_session_destroy(ls_session *s); /* NULL is allowed */

/* Evaluate n tokens after the current position.
 *   tokens [n] ids below n_vocab;  n 1 to n_ctx - ls_session_pos(); cut into batches as needed
 * Errors: LIMIT when the context is full, USAGE for an id out of range (nothing is evaluated).
 * Keeps what ls_session_logits needs for the last min(n, n_batch) tokens. Allocates nothing. */
LS_API ls_status ls_session_eval(ls_session *s, const int32_t *tokens, size_t n, ls_error *err);

/* Logits [n_vocab] of token i of the last ls_session_eval call (0-based; one of the last
 * n_batch tokens of that call; with last_only the last one alone). Computed on demand, several rows
 * at a time. Borrowed until the next eval, logits or destroy. Errors: USAGE (i out of range). */
LS_API ls_status ls_session_logits(ls_session *s, size_t i, const float **row, ls_error *err);

/* Forget everything after position n_keep (0: all). n_keep must not exceed the position. */
LS_API void    ls_session_rewind(ls_session *s, int32_t n_keep);
LS_API int32_t ls_session_pos(const ls_session *s);
/* The settings in force, with every default resolved. */
LS_API const ls_session_options *ls_session_get_options(const ls_session *s);

#endif
