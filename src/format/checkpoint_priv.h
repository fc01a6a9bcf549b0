// SPDX-License-Identifier: MIT
/* checkpoint_priv.h - the opened checkpoint, shared by its readers. */
#ifndef LS_FORMAT_CHECKPOINT_PRIV_H
#define LS_FORMAT_CHECKPOINT_PRIV_H

#include "base/map.h"
#include "format/arena.h"
#include "lockstep/checkpoint.h"

typedef struct ls_ckpt_part {
    ls_map map;
    char  *path;
} ls_ckpt_part;

struct ls_checkpoint {
    ls_ckpt_part   *parts;
    size_t          n_parts;
    ls_ckpt_tensor *tensors;
    size_t          n, cap;
    ls_arena        mem; /* names; tensors of PyTorch files */
};

/* Append one tensor (its name must live as long as c). Errors: NOMEM. */
ls_status ls_checkpoint_add(ls_checkpoint *c, const ls_ckpt_tensor *t, ls_error *err);
/* Read the tensors of part `index`, whose path and map are set. */
ls_status ls_safetensors_read(ls_checkpoint *c, size_t index, ls_error *err);
ls_status ls_pytorch_read(ls_checkpoint *c, size_t index, ls_error *err);
/* Bytes of a tensor of this type and shape; false if the product overflows. */
bool ls_ckpt_bytes(const ls_ckpt_tensor *t, size_t *out);
/* The type of this safetensors name, or LS_CKPT_N_DTYPES. */
ls_ckpt_dtype ls_ckpt_dtype_parse(ls_str name);

#endif
