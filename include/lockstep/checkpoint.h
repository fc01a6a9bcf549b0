// SPDX-License-Identifier: MIT
/* checkpoint.h - weights as training programs store them: named tensors with their data.
 *
 * Reads safetensors (one file, or several with their index) and PyTorch's zip files with a pickle
 * in them, which is interpreted by a reader that executes nothing. Every offset and shape is
 * checked before use. Immutable after open and safe to share between threads.
 */
#ifndef LOCKSTEP_CHECKPOINT_H
#define LOCKSTEP_CHECKPOINT_H

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef struct ls_checkpoint ls_checkpoint;

typedef enum ls_ckpt_dtype {
    LS_CKPT_F64, LS_CKPT_F32, LS_CKPT_F16, LS_CKPT_BF16, LS_CKPT_I64, LS_CKPT_I32, LS_CKPT_I16,
    LS_CKPT_I8, LS_CKPT_U64, LS_CKPT_U32, LS_CKPT_U16, LS_CKPT_U8, LS_CKPT_BOOL, LS_CKPT_F8_E4M3,
    LS_CKPT_F8_E5M2, LS_CKPT_F8_E8M0, LS_CKPT_N_DTYPES,
} ls_ckpt_dtype;

#define LS_CKPT_MAX_DIMS 8

/* One tensor, row-major: shape[n_dims - 1] is contiguous. n_dims 0 is a single number. */
typedef struct ls_ckpt_tensor {
    ls_str        name;
    ls_ckpt_dtype dtype;
    uint32_t      n_dims;
    int64_t       shape[LS_CKPT_MAX_DIMS];
    uint32_t      part;     /* which file: ls_checkpoint_part_path                   */
    uint64_t      file_off; /* of the data in that file; 0 where it was decompressed */
    size_t        n_bytes;
    const void   *data;     /* borrowed until close */
} ls_ckpt_tensor;

/* Open `path`: a .safetensors file, a PyTorch zip file, or the *.index.json of several of either;
 * what it is is decided by its content.
 * Errors: IO, FORMAT (with the place), UNSUPPORTED (another format; a pickle that asks for
 * anything but tensors in plain containers, which is named), LIMIT, NOMEM. */
LS_API ls_status ls_checkpoint_open(ls_checkpoint **out, const char *path, ls_error *err);
LS_API void      ls_checkpoint_close(ls_checkpoint *c); /* NULL is allowed */

LS_API size_t                ls_checkpoint_n_tensors(const ls_checkpoint *c);
LS_API const ls_ckpt_tensor *ls_checkpoint_tensor_at(const ls_checkpoint *c, size_t i); /* by name */
/* Tensor with this exact name, or NULL. */
LS_API const ls_ckpt_tensor *ls_checkpoint_tensor(const ls_checkpoint *c, ls_str name);

LS_API size_t      ls_checkpoint_n_parts(const ls_checkpoint *c);
LS_API const char *ls_checkpoint_part_path(const ls_checkpoint *c, size_t i); /* NULL past the last */
LS_API uint64_t    ls_checkpoint_file_bytes(const ls_checkpoint *c); /* of all parts */

/* "F32", as safetensors writes it. Never NULL. */
LS_API const char *ls_ckpt_dtype_name(ls_ckpt_dtype dtype);
LS_API size_t      ls_ckpt_dtype_bytes(ls_ckpt_dtype dtype);

#endif
