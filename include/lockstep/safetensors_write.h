// SPDX-License-Identifier: MIT
/* safetensors_write.h - writing safetensors files: a header of named tensors, then streamed data.
 *
 * Order of calls as for GGUF (gguf_write.h): create, add, begin, the data of every tensor in the
 * order in which they were added, finish, destroy. The file appears under its name only when finish
 * succeeds. Data follow each other without padding, as the format asks for: add tensors of larger
 * elements first where readers shall find them aligned.
 */
#ifndef LOCKSTEP_SAFETENSORS_WRITE_H
#define LOCKSTEP_SAFETENSORS_WRITE_H

#include "lockstep/checkpoint.h"

typedef struct ls_safetensors_writer ls_safetensors_writer;

/* Errors: NOMEM. */
LS_API ls_status ls_safetensors_writer_create(ls_safetensors_writer **out, ls_error *err);
/* Also gives up a file that was begun and not finished. NULL is allowed. */
LS_API void      ls_safetensors_writer_destroy(ls_safetensors_writer *w);

/* A text of the header's "__metadata__". Errors: NOMEM; USAGE (after begin, no UTF-8). */
LS_API ls_status ls_safetensors_note(ls_safetensors_writer *w, const char *key, ls_str value,
                                     ls_error *err);
/* Announce a tensor; shape[n_dims - 1] is contiguous, n_dims 0 is a single number.
 * Errors: NOMEM; USAGE (after begin, a name that is empty, no UTF-8 or there already, a shape that
 * no tensor can have). */
LS_API ls_status ls_safetensors_add(ls_safetensors_writer *w, ls_str name, ls_ckpt_dtype dtype,
                                    uint32_t n_dims, const int64_t *shape, ls_error *err);

/* Create the file beside `path` and write the header. Errors: IO, NOMEM, USAGE. */
LS_API ls_status ls_safetensors_begin(ls_safetensors_writer *w, const char *path, ls_error *err);
/* The next n bytes of data. Errors: IO; USAGE (more than was announced). */
LS_API ls_status ls_safetensors_data(ls_safetensors_writer *w, const void *data, size_t n,
                                     ls_error *err);
/* Flush, sync, rename. Errors: IO; USAGE (less than was announced); nothing is then left behind. */
LS_API ls_status ls_safetensors_finish(ls_safetensors_writer *w, ls_error *err);

#endif
