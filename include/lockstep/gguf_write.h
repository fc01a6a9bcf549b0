// SPDX-License-Identifier: MIT
/* gguf_write.h - writing GGUF files (version 3): metadata, then a directory, then streamed data.
 *
 * Order of calls: create, any number of set and add_tensor calls, begin, the data of every tensor
 * in the order in which they were added, finish, destroy. The file appears under its name only
 * when finish succeeds; until then nothing that was there before is touched.
 */
#ifndef LOCKSTEP_GGUF_WRITE_H
#define LOCKSTEP_GGUF_WRITE_H

#include "lockstep/gguf.h"

typedef struct ls_gguf_writer ls_gguf_writer;

/* Errors: NOMEM. */
LS_API ls_status ls_gguf_writer_create(ls_gguf_writer **out, ls_error *err);
/* Also gives up a file that was begun and not finished. NULL is allowed. */
LS_API void      ls_gguf_writer_destroy(ls_gguf_writer *w);

/* Set one metadata key, replacing the value that it had; everything is copied. `general.alignment`
 * (a power of two of 8 or more, u32) is obeyed. Errors: NOMEM; USAGE (after begin, a key that is
 * empty or too long, a value that the type cannot hold). */
LS_API ls_status ls_gguf_write_int(ls_gguf_writer *w, const char *key, ls_gguf_type type, int64_t v,
                                   ls_error *err);
LS_API ls_status ls_gguf_write_float(ls_gguf_writer *w, const char *key, ls_gguf_type type, double v,
                                     ls_error *err);
LS_API ls_status ls_gguf_write_bool(ls_gguf_writer *w, const char *key, bool v, ls_error *err);
LS_API ls_status ls_gguf_write_str(ls_gguf_writer *w, const char *key, ls_str v, ls_error *err);
/* n numbers of `type`, little-endian as they lie in the file. */
LS_API ls_status ls_gguf_write_array(ls_gguf_writer *w, const char *key, ls_gguf_type type,
                                     const void *data, size_t n, ls_error *err);
LS_API ls_status ls_gguf_write_strs(ls_gguf_writer *w, const char *key, const ls_str *v, size_t n,
                                    ls_error *err);
/* An entry of an opened model, as it is. */
LS_API ls_status ls_gguf_write_kv(ls_gguf_writer *w, const ls_gguf_kv *kv, ls_error *err);
/* Remove a key that was set; absent is fine. */
LS_API void ls_gguf_write_remove(ls_gguf_writer *w, const char *key);

/* Announce a tensor of ne[n_dims] elements; ne[0] is contiguous. Its size follows from type and
 * shape; for a type that Lockstep does not decode, n_bytes says it, else n_bytes is 0 or the same.
 * Errors: NOMEM; USAGE (after begin, a name that is empty, too long or there already, a shape that
 * no tensor can have, rows that are no multiple of the type's block). */
LS_API ls_status ls_gguf_write_tensor(ls_gguf_writer *w, ls_str name, int dtype, uint32_t n_dims,
                                      const int64_t *ne, size_t n_bytes, ls_error *err);

/* Create the file beside `path` and write everything but the data. Errors: IO, NOMEM, USAGE. */
LS_API ls_status ls_gguf_write_begin(ls_gguf_writer *w, const char *path, ls_error *err);
/* The next n bytes of data. Padding is put between tensors by itself. Errors: IO; USAGE (more than
 * was announced). */
LS_API ls_status ls_gguf_write_data(ls_gguf_writer *w, const void *data, size_t n, ls_error *err);
/* Flush, sync, rename. Errors: IO; USAGE (less than was announced); nothing is then left behind. */
LS_API ls_status ls_gguf_write_finish(ls_gguf_writer *w, ls_error *err);

/* Bytes of the whole file, known after begin. */
LS_API uint64_t ls_gguf_writer_bytes(const ls_gguf_writer *w);

#endif
