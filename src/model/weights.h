// SPDX-License-Identifier: MIT
/* weights.h - an opened model: hyper-parameters and weights addressed by meaning.
 *
 * Included by model/, session/ and arch/. Letters as in model.h, E experts, FE their feed-forward
 * width; matrices are [n_rows][n] as stored. What an architecture does not have is zero or NULL.
 */
#ifndef LS_MODEL_WEIGHTS_H
#define LS_MODEL_WEIGHTS_H

#include "base/map.h"
#include "base/pages.h"
#include "dtype/lookup.h"
#include "lockstep/model.h"

/* A weight matrix in the mapping: y[n_rows] = W [n_rows][n] . x[n]. */
typedef struct ls_matrix {
    const void *data;
    int         dtype;
    size_t      n_rows, n, row_bytes;
    float       scale; /* I2_S, TERNARY: the tensor's scale, else 1 */
    uint8_t    *strips; /* the first n_packed rows in strips (dtype/strips.h); NULL: none are */
    size_t      n_packed; /* a multiple of 16, up to n_rows; of experts all together */
    int         lookup; /* TL1, TL2: the type whose indices the strips keep (dtype/lookup.h); 0: codes */
    const struct ls_matrix *next; /* that a token reads then (order.c); NULL: not known before */
    bool joined; /* with the next one in a loop, of the same activations */
} ls_matrix;

/* What the strips of a matrix hold, and bytes of a row there. */
static inline int ls_matrix_form(const ls_matrix *w) { return w->lookup ? w->lookup : w->dtype; }
static inline size_t ls_matrix_strip_row(const ls_matrix *w)
{
    return w->lookup ? ls_lookup_row_bytes(w->lookup, w->n) : w->row_bytes;
}

/* bind.c: whether looking sums up is no slower than multiplying (docs/performance.md): never with a
 * tier that has no kernels of its own for it. A model goes by the machine's best tier. */
bool ls_lookup_pays(int dtype, ls_tier tier);

/* A norm: weights and, for some, biases. */
typedef struct ls_norm {
    const float *w, *b;
} ls_norm;

typedef struct ls_layer {
    ls_norm      attn_norm, attn_norm_2, attn_sub_norm, attn_post_norm; /* [D] [D] [H*K] [D]  */
    ls_norm      q_norm, k_norm;                                        /* [K], [H][K], [H*K] */
    ls_norm      ffn_norm, ffn_sub_norm, ffn_post_norm;                 /* [D] [F] [D]        */
    ls_matrix    q, k, v, o;            /* [H*K][D] [G*K][D] [G*K][D] [D][H*K] */
    const float *q_b, *k_b, *v_b, *o_b; /* their biases                        */
    const float *sinks;                 /* [H] logits of a position that holds nothing */
    ls_matrix    gate, up, down;        /* [F][D] [F][D] [D][F]                */
    const float *gate_b, *up_b, *down_b;
    ls_matrix    router;                          /* [E][D]                             */
    ls_matrix    gate_exps, up_exps, down_exps;   /* of expert 0: [FE][D] [FE][D] [D][FE] */
    const float *router_b, *gate_exps_b, *up_exps_b, *down_exps_b; /* [E] [E][FE] ... [E][D] */
    ls_matrix    gate_shared, up_shared, down_shared; /* [FS][D] [FS][D] [D][FS]        */
    ls_matrix    router_shared;                       /* [1][D]                         */
} ls_layer;

struct ls_arch;

struct ls_model {
    ls_gguf              *gguf;
    const struct ls_arch *arch;
    ls_model_config       config;
    ls_matrix             token_embd, output; /* [V][D]; the same data when tied             */
    ls_matrix             pos_embd;           /* [P][D] learned positions                    */
    ls_norm               output_norm;        /* [D]                                         */
    const float          *output_b;           /* [V]                                         */
    const float *rope_factors, *rope_long, *rope_short; /* [rope_dims / 2] divisors, or NULL */
    ls_layer             *layers;             /* [L]                                         */
    float                *vectors;            /* owned: every vector above, decoded          */
    uint8_t              *unpacked;           /* owned: rows of matrices that the file packs */
    ls_pages              strips;             /* owned: matrices in strips (strips.c)        */
    struct ls_packing    *packing;            /* owned: how far they are; NULL: not begun, or all */
    ls_map                prepacked;          /* owned: a file that holds them (prepacked.c) */
    bool                  lookups;            /* are any of them looked up?                  */
};

/* config.c: read and check the hyper-parameters.
 * Errors: UNSUPPORTED (architecture, or a key that would change the result), FORMAT. */
ls_status ls_config_read(ls_model_config *c, const struct ls_arch **arch, const ls_gguf *g,
                         ls_error *err);

/* bind.c: find every tensor of the architecture, check its shape, and use each exactly once.
 * Errors: FORMAT, UNSUPPORTED (an element type, or a tensor that would be left over), NOMEM. */
ls_status ls_model_bind(ls_model *m, ls_error *err);

/* strips.c: be done with what is packed as it is. */
void ls_packing_end(ls_model *m);

/* order.c: set the next matrix of each. */
void ls_model_order(ls_model *m);

#endif
