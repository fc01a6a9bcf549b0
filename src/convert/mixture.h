// SPDX-License-Identifier: MIT
/* mixture.h - which type a mixture has for each tensor of a model.
 *
 * mixture.c knows the mixtures and their rules; plan.c puts what the user asks for around them. */
#ifndef LS_CONVERT_MIXTURE_H
#define LS_CONVERT_MIXTURE_H

#include "lockstep/quantize.h"

typedef struct ls_mixture {
    const char *name;
    int         file_type, dtype; /* general.file_type, -1: none; its own type */
    bool        pure;             /* no rules                                  */
    uint64_t    bit;              /* in the sets of the rules                  */
} ls_mixture;

/* By name, whatever its case; NULL: none. */
const ls_mixture *ls_mixture_find(const char *name);
/* Whether measured importance is needed: the type is garbage without it in this mixture. */
bool ls_mixture_needs_importance(const ls_mixture *m, int dtype);

/* What a tensor is to the rules. */
typedef enum ls_role {
    LS_ROLE_OTHER  = 0,
    LS_ROLE_EMBED  = 1 << 0,
    LS_ROLE_OUTPUT = 1 << 1,
    LS_ROLE_QKV    = 1 << 2,
    LS_ROLE_KV_B   = 1 << 3,
    LS_ROLE_V      = 1 << 4,
    LS_ROLE_K      = 1 << 5,
    LS_ROLE_Q      = 1 << 6,
    LS_ROLE_ATTN_O = 1 << 7,
    LS_ROLE_UP     = 1 << 8,
    LS_ROLE_GATE   = 1 << 9,
    LS_ROLE_DOWN   = 1 << 10,
} ls_role;
ls_role ls_role_of(ls_str tensor);
/* The number in "blk.N.", -1: there is none. */
int  ls_layer_in(ls_str tensor);
bool ls_contains(ls_str s, const char *part);

/* A walk over the tensors of a model in the order of llama.cpp's files: rules count layers. */
typedef struct ls_mixer {
    const ls_mixture *m;
    unsigned          facts; /* of the whole model */
    bool              bailing, large, tied;
    int               n_layers, n_experts, n_v;
    int               seen_v, seen_up, seen_gate, seen_down;
} ls_mixer;

/* For a model that is known by its hyper-parameters alone; the caller sets `tied` and, where layers
 * have other values than one matrix each, `n_v`. */
void ls_mixer_start(ls_mixer *x, const ls_mixture *m, ls_str arch, int64_t n_layers,
                    int64_t n_heads, int64_t n_kv_heads, int64_t n_experts, bool importance);
/* For an open one. Errors: FORMAT (a hyper-parameter that rules ask for is missing). */
ls_status ls_mixer_init(ls_mixer *x, const ls_mixture *m, const ls_gguf *g, bool importance,
                        ls_error *err);
/* The type of the next tensor. Errors: FORMAT (experts whose name has no layer). */
ls_status ls_mixer_next(ls_mixer *x, const ls_tensor *t, int *dtype, ls_error *err);

/* One tensor of the file that is to be written. */
typedef struct ls_plan {
    const ls_tensor        *tensor;
    int                     dtype;
    bool                    fallback;   /* rows do not fit what the mixture wanted        */
    bool                    missing;    /* importance is needed and absent (dry run only) */
    const ls_imatrix_entry *importance; /* NULL: none                                     */
} ls_plan;

/* Fill plan[ls_gguf_n_tensors(g)], in the order of llama.cpp's files: what belongs to no layer by
 * name, then the layers. Errors: as ls_quantize_model. */
ls_status ls_plan_make(ls_plan *plan, const ls_mixture *m, const ls_gguf *g,
                       const ls_quantize_options *opt, ls_error *err);

#endif
