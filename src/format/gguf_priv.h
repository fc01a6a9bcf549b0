// SPDX-License-Identifier: MIT
/* gguf_priv.h - the opened file, shared by the reader and the value look-ups. */
#ifndef LS_FORMAT_GGUF_PRIV_H
#define LS_FORMAT_GGUF_PRIV_H

#include "base/map.h"
#include "lockstep/gguf.h"

struct ls_gguf {
    ls_map      map;
    char       *path;
    uint32_t    version;
    uint64_t    alignment, data_off;
    size_t      n_kv, n_tensors;
    ls_gguf_kv *kv;
    ls_tensor  *tensors;
};

/* Bytes of one value of a fixed-size type; 0 for strings and arrays. */
size_t ls_gguf_type_bytes(ls_gguf_type type);

#endif
