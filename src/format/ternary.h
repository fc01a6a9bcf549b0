// SPDX-License-Identifier: MIT
/* ternary.h - which ternary layout a tensor has whose number in files stands for several. */
#ifndef LS_FORMAT_TERNARY_H
#define LS_FORMAT_TERNARY_H

#include "lockstep/gguf.h"

/* What is known of the tensors of one part: their directory, offsets still relative. */
typedef struct ls_ternary_part {
    ls_tensor        *tensors;
    size_t            n_tensors;
    const ls_gguf_kv *kv; /* the model's metadata */
    size_t            n_kv;
    const uint8_t    *data; /* the part's tensor data */
    uint64_t          data_bytes, alignment;
    const ls_gguf_hints *hints; /* NULL: none */
} ls_ternary_part;

/* Set the types of tensors of types 36, 38 and 39 (dtypes.def), their tiles and their scales. TL1
 * and TL2 matrices whose tiles nobody names keep tiles of zero. Errors: NOMEM; FORMAT, for a value
 * of the keys above that means nothing, naming *at. */
ls_status ls_ternary_resolve(const ls_ternary_part *p, const void **at, ls_error *err);

#endif
