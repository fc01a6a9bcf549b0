// SPDX-License-Identifier: MIT
/* gguf_priv.h - the opened model: shared by the readers of files, of folders, and the look-ups. */
#ifndef LS_FORMAT_GGUF_PRIV_H
#define LS_FORMAT_GGUF_PRIV_H

#include <stdatomic.h>

#include "base/map.h"
#include "format/arena.h"
#include "lockstep/checkpoint.h"
#include "lockstep/gguf.h"

/* One file of the model: a GGUF file is one part, a split model several. */
typedef struct ls_part {
    ls_map   map;
    char    *path;
    uint64_t data_off; /* first byte of tensor data */
} ls_part;

struct ls_gguf {
    atomic_uint    n_owners;
    char          *path; /* as it was given to open */
    ls_gguf_source source;
    ls_part       *parts;
    size_t         n_parts;
    uint32_t       version;
    uint64_t       alignment;
    size_t         n_kv, n_tensors;
    ls_gguf_kv    *kv;
    ls_tensor     *tensors;
    ls_arena       mem;        /* what no file holds in this form */
    ls_checkpoint *checkpoint; /* a folder's weights */
    const ls_gguf_hints *hints; /* borrowed while opening */
};

/* Bytes of one value of a fixed-size type; 0 for strings and arrays. */
size_t ls_gguf_type_bytes(ls_gguf_type type);
/* Bytes that a value takes in a file of version 3, without an array's head. */
size_t ls_gguf_value_bytes(const ls_gguf_kv *kv);

/* Read part `index`, whose map and path are set: metadata go to *kv (owned, free()), tensors are
 * appended to g->tensors. */
ls_status ls_gguf_read_part(ls_gguf *g, size_t index, ls_gguf_kv **kv, size_t *n_kv, ls_error *err);
/* Open the other parts of a split model whose first part has been read. */
ls_status ls_gguf_read_split(ls_gguf *g, ls_error *err);
/* Fill g, whose path is set, from the folder at its path; `dry`: no tensors. */
ls_status ls_hf_read(ls_gguf *g, bool dry, ls_error *err);
/* ls_gguf_open for metadata and vocabulary of a folder that need not have weights yet. */
ls_status ls_hf_open_dry(ls_gguf **out, const char *path, ls_error *err);
/* Two entries of one name would make the file mean different things to different readers. */
ls_status ls_gguf_check_unique(const ls_gguf *g, ls_error *err);

#endif
