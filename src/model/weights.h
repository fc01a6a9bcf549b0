// SPDX-License-Identifier: MIT
/* weights.h - an opened model: hyper-parameters and weights addressed by meaning.
 *
 * Included by model/ and session/. Letters as in model.h; matrices are [n_rows][n] as stored.
 */
#ifndef LS_MODEL_WEIGHTS_H
#define LS_MODEL_WEIGHTS_H

#include "lockstep/model.h"

/* A weight matrix in the mapping: y[n_rows] = W [n_rows][n] . x[n]. */
typedef struct ls_matrix {
    const void *data;
    int         dtype;
    size_t      n_rows, n, row_bytes;
    float       scale; /* I2_S: the tensor's scale, else 1 */
} ls_matrix;

typedef struct ls_layer {
    const float *attn_norm, *attn_sub_norm, *ffn_norm, *ffn_sub_norm; /* [D] [H*K] [D] [F] */
    ls_matrix    q, k, v, o;       /* [H*K][D] [G*K][D] [G*K][D] [D][H*K] */
    ls_matrix    gate, up, down;   /* [F][D] [F][D] [D][F]               */
} ls_layer;

struct ls_model {
    ls_gguf        *gguf;
    ls_model_config config;
    ls_matrix       token_embd, output; /* [V][D]; the same data when tied        */
    const float    *output_norm;        /* [D]                                    */
    const float    *rope_factors;       /* [rope_dims / 2] frequency divisors, or NULL */
    ls_layer       *layers;             /* [L]                                    */
    float          *vectors;            /* owned: every vector above, decoded     */
};

/* config.c: read and check the hyper-parameters.
 * Errors: UNSUPPORTED (architecture, or a key that would change the result), FORMAT. */
ls_status ls_config_read(ls_model_config *c, const ls_gguf *g, ls_error *err);

#endif
