// SPDX-License-Identifier: MIT
/* gguf.h - a GGUF file (version 2 or 3) opened read-only: metadata and tensor directory.
 *
 * Specification: the GGUF document of the ggml project. Every length, count and offset is
 * checked against the mapping before use; an ls_gguf that opened can be walked without
 * further checks. Immutable after open and safe to share between threads.
 */
#ifndef LOCKSTEP_GGUF_H
#define LOCKSTEP_GGUF_H

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef struct ls_gguf ls_gguf;

typedef enum ls_gguf_type { /* values of the file format */
    LS_GGUF_U8 = 0, LS_GGUF_I8, LS_GGUF_U16, LS_GGUF_I16, LS_GGUF_U32, LS_GGUF_I32, LS_GGUF_F32,
    LS_GGUF_BOOL, LS_GGUF_STR, LS_GGUF_ARRAY, LS_GGUF_U64, LS_GGUF_I64, LS_GGUF_F64,
    LS_GGUF_N_TYPES,
} ls_gguf_type;

/* One metadata entry. Scalars: `data` holds the little-endian value. Strings: `str`.
 * Arrays: `elem_type`, `n` elements starting at `data` (strings: length-prefixed; walk
 * them with ls_gguf_next_str). Everything is borrowed until ls_gguf_close. */
typedef struct ls_gguf_kv {
    ls_str       key;
    ls_gguf_type type;
    ls_gguf_type elem_type; /* arrays only */
    uint64_t     n;         /* arrays only */
    const void  *data;
    ls_str       str;       /* strings only */
} ls_gguf_kv;

#define LS_MAX_DIMS 4

/* One tensor. ne[0] is the contiguous dimension (GGUF order); unused dimensions are 1. */
typedef struct ls_tensor {
    ls_str      name;
    int         dtype; /* GGUF id; may be a type that Lockstep does not support */
    uint32_t    n_dims;
    int64_t     ne[LS_MAX_DIMS];
    uint64_t    file_off; /* absolute byte offset of the data in the file */
    size_t      n_bytes;  /* 0 when the type is not supported             */
    const void *data;     /* in the mapping; NULL when n_bytes is 0       */
} ls_tensor;

/* Open and check `path`.
 * Errors: IO (missing, unreadable), FORMAT (with the byte where the specification is broken),
 * UNSUPPORTED (version, big-endian, split file, another format such as a PyTorch file), NOMEM.
 * On success *out is owned: close it. On failure *out is NULL. */
LS_API ls_status ls_gguf_open(ls_gguf **out, const char *path, ls_error *err);
LS_API void      ls_gguf_close(ls_gguf *g); /* NULL is allowed */

/* Byte offset in the file of something that this interface handed out (a key, a tensor name),
 * for error messages. */
LS_API uint64_t ls_gguf_offset(const ls_gguf *g, const void *p);

LS_API const char *ls_gguf_path(const ls_gguf *g);
LS_API uint32_t    ls_gguf_version(const ls_gguf *g);
LS_API uint64_t    ls_gguf_alignment(const ls_gguf *g);
LS_API uint64_t    ls_gguf_file_bytes(const ls_gguf *g);
LS_API uint64_t    ls_gguf_data_off(const ls_gguf *g); /* first byte of tensor data */

LS_API size_t            ls_gguf_n_kv(const ls_gguf *g);
LS_API const ls_gguf_kv *ls_gguf_kv_at(const ls_gguf *g, size_t i);
/* Entry with this exact key, or NULL. */
LS_API const ls_gguf_kv *ls_gguf_find(const ls_gguf *g, const char *key);

LS_API size_t           ls_gguf_n_tensors(const ls_gguf *g);
LS_API const ls_tensor *ls_gguf_tensor_at(const ls_gguf *g, size_t i);
/* Tensor with this exact name, or NULL. */
LS_API const ls_tensor *ls_gguf_tensor(const ls_gguf *g, const char *name);

/* Typed look-ups. Any integer type (and bool) serves ls_gguf_int; any float or integer type
 * serves ls_gguf_float. False when the key is absent or of another kind; *out is then untouched. */
LS_API bool ls_gguf_int(const ls_gguf *g, const char *key, int64_t *out);
LS_API bool ls_gguf_float(const ls_gguf *g, const char *key, double *out);
LS_API bool ls_gguf_bool(const ls_gguf *g, const char *key, bool *out);
LS_API bool ls_gguf_str(const ls_gguf *g, const char *key, ls_str *out);
/* Entry `key` if it is an array of `elem_type`, else NULL. */
LS_API const ls_gguf_kv *ls_gguf_array(const ls_gguf *g, const char *key, ls_gguf_type elem_type);

/* Walk an array of strings: *cursor starts at kv->data; each call yields one string and moves
 * on. The caller counts to kv->n. */
LS_API ls_str ls_gguf_next_str(const void **cursor);
/* Element i of an array of numbers, as double (exact for every 32-bit type). i < kv->n. */
LS_API double ls_gguf_num_at(const ls_gguf_kv *kv, size_t i);
/* Format a value for people, arrays abbreviated to a few elements; always NUL-terminated. */
LS_API void ls_gguf_format(const ls_gguf_kv *kv, char *buf, size_t cap);
LS_API const char *ls_gguf_type_name(ls_gguf_type type);

#endif
