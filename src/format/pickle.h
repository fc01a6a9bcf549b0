// SPDX-License-Identifier: MIT
/* pickle.h - the pickle inside a PyTorch file, read without executing anything.
 *
 * A pickle is a program for a stack machine that may call any function. Here it can build numbers,
 * texts, tuples, lists and dictionaries, and say where tensors lie; every other name that it asks
 * for is refused, and so is every instruction that would make or call an object.
 */
#ifndef LS_FORMAT_PICKLE_H
#define LS_FORMAT_PICKLE_H

#include "lockstep/checkpoint.h"

/* One tensor of the dictionary: a window on a storage, which is a file in the archive. */
typedef struct ls_pickle_tensor {
    ls_str        name;    /* of the tensor, borrowed during the call */
    ls_str        storage; /* "17" */
    ls_ckpt_dtype dtype;
    uint64_t      n_storage; /* elements that the storage has */
    uint64_t      offset;    /* first element of the window   */
    uint32_t      n_dims;
    int64_t       shape[LS_CKPT_MAX_DIMS], stride[LS_CKPT_MAX_DIMS];
} ls_pickle_tensor;

typedef ls_status ls_pickle_sink(void *ctx, const ls_pickle_tensor *t, ls_error *err);

/* Interpret n bytes and hand each tensor of the dictionary to `sink`. `place` names the pickle in
 * messages. Errors: FORMAT (with the byte), UNSUPPORTED (what it asks for, by name), LIMIT, NOMEM,
 * and what the sink returns. */
ls_status ls_pickle_read(const uint8_t *data, size_t n, const char *place, ls_pickle_sink *sink,
                         void *ctx, ls_error *err);

#endif
