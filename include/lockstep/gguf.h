// SPDX-License-Identifier: MIT
/* gguf.h - a model opened read-only: metadata and tensor directory, in the terms of GGUF.
 *
 * The model is a GGUF file (version 1 to 3), the first of the files that it is split into, or a
 * Hugging Face folder, which is shown under GGUF's keys and tensor names. Specification: the GGUF
 * document of the ggml project. Every length, count and offset is checked against the mapping
 * before use; an ls_gguf that opened can be walked without further checks. Immutable after open
 * and safe to share between threads.
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

/* Keys of ours that say what bytes of ternary matrices cannot: how I2_S is packed ("x86", "arm" or
 * "1x4"), and the tiles of TL1 and TL2, five u32 for each shape, as bitnet.cpp's kernel_config.ini
 * has them: m (rows), k (columns), bm, bk, bmm. */
#define LS_KEY_PACKING "lockstep.i2_s.packing"
#define LS_KEY_TILES   "lockstep.tl.kernels"

#define LS_MAX_DIMS 4

/* How a TL1 or TL2 matrix is cut, in the words of bitnet.cpp's kernel_config.ini: BM rows and BK
 * columns a tile, bmm rows a strip of it. */
typedef struct ls_tiles {
    uint32_t bm, bk, bmm;
} ls_tiles;

/* One tensor. ne[0] is the contiguous dimension (GGUF order); unused dimensions are 1. */
typedef struct ls_tensor {
    ls_str      name;
    int         dtype; /* GGUF id, or that of types.h where several types share one in files; may
                        * be a type that Lockstep does not support */
    uint32_t    n_dims;
    int64_t     ne[LS_MAX_DIMS];
    uint32_t    part;     /* which file holds it: ls_gguf_part_path            */
    uint64_t    file_off; /* absolute byte offset of the data in that file     */
    size_t      n_bytes;  /* 0 when the type is not supported                  */
    const void *data;     /* in the mapping, or in memory where the bytes of a
                           * folder had to be rearranged; NULL when n_bytes is 0 */
    ls_tiles    tiles;        /* TL1 and TL2, else zero                              */
    const void *scales;       /* I2_S32_SPLIT: one for 32 elements, in another tensor */
    int         scales_dtype; /* their type                                          */
} ls_tensor;

typedef enum ls_gguf_source {
    LS_SOURCE_GGUF = 0, /* a GGUF file, whole or split                                */
    LS_SOURCE_HF,       /* a Hugging Face folder: config.json, weights, tokenizer.json */
} ls_gguf_source;

/* Open and check `path`: a GGUF file, the first part of a split one (the others are looked for
 * beside it), a Hugging Face folder, or the config.json in it.
 * Errors: IO (missing, unreadable), FORMAT (with the byte where the specification is broken),
 * UNSUPPORTED (version, big-endian, a part that is not the first, another format such as ONNX, an
 * architecture that no folder is read for), NOMEM.
 * On success *out is owned: close it. On failure *out is NULL. */
LS_API ls_status ls_gguf_open(ls_gguf **out, const char *path, ls_error *err);
/* What somebody knows of a file and no byte of it says; it stands above the file's own keys. */
typedef struct ls_gguf_hints {
    int             packing; /* how bitnet.cpp's I2_S is packed: LS_DTYPE_I2_S, LS_DTYPE_I2_S_ARM or
                              * LS_DTYPE_I2_S_1X4; 0: as the file says, else as on x86 */
    const uint32_t *kernels; /* as LS_KEY_TILES; borrowed until open returns */
    size_t          n_kernels; /* shapes; 0: as the file says */
} ls_gguf_hints;
/* As ls_gguf_open; hints NULL: none. */
LS_API ls_status ls_gguf_open_as(ls_gguf **out, const char *path, const ls_gguf_hints *hints,
                                 ls_error *err);
/* These bytes of a tensor's data will not be read soon: their memory may be given to others. They
 * stay readable. Ignored where the data are not those of a mapped file. NULL: all that files of the
 * model have in memory, metadata and names, too. */
LS_API void      ls_gguf_forget(const ls_gguf *g, const void *data, size_t n);
/* These bytes of a tensor's data will be read soon: the system may begin to. Ignored as above. */
LS_API void      ls_gguf_fetch(const ls_gguf *g, const void *data, size_t n);
LS_API void      ls_gguf_close(ls_gguf *g); /* NULL is allowed */
/* One more owner of an open model: it stays open until each has closed it. Returns g. */
LS_API ls_gguf *ls_gguf_share(ls_gguf *g);

/* Byte offset of something that this interface handed out (a key, a tensor name) in the file that
 * it lies in, for error messages; 0 for what lies in no file as it is. */
LS_API uint64_t ls_gguf_offset(const ls_gguf *g, const void *p);
/* Fill `where` with the file and the byte of something that this interface handed out, or with the
 * path alone where it lies in no file. Returns what ls_fail_at does. */
LS_API ls_status ls_gguf_fail_at(const ls_gguf *g, const void *p, ls_error *err);

/* Files of the model's tensors: 1, or as many as it is split into. */
LS_API size_t         ls_gguf_n_parts(const ls_gguf *g);
LS_API const char    *ls_gguf_part_path(const ls_gguf *g, size_t i); /* NULL past the last */
LS_API ls_gguf_source ls_gguf_get_source(const ls_gguf *g);

/* SHA-256 of the model's files as hex: of one file its own, of several that of their bytes one file
 * after the other. Errors: IO, NOMEM. */
LS_API ls_status ls_gguf_sha256(char hex[65], const ls_gguf *g, ls_error *err);

/* What tells this file from others, and from itself before and after a change, without reading its
 * weights. `head`: BLAKE3 of everything before the tensor data; `files`: of length, inode and times
 * of change, as they were when the file was opened; of several files one after the other. `changed_s` and
 * `changed_ns`: when any of them was last written or renamed (since 1970). UNSUPPORTED for a Hugging Face folder; NOMEM. */
typedef struct ls_gguf_identity {
    uint8_t head[32], files[32];
    int64_t changed_s, changed_ns;
} ls_gguf_identity;
LS_API ls_status ls_gguf_identify(ls_gguf_identity *out, const ls_gguf *g, ls_error *err);

LS_API const char *ls_gguf_path(const ls_gguf *g);    /* as given to open           */
LS_API uint32_t    ls_gguf_version(const ls_gguf *g); /* 3 for a Hugging Face folder */
LS_API uint64_t    ls_gguf_alignment(const ls_gguf *g);
LS_API uint64_t    ls_gguf_file_bytes(const ls_gguf *g); /* of all parts */
LS_API uint64_t    ls_gguf_data_off(const ls_gguf *g);   /* first byte of tensor data in part 0 */

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
