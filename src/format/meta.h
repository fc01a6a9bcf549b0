// SPDX-License-Identifier: MIT
/* meta.h - metadata being put together: what the GGUF writer writes and what a folder shows. */
#ifndef LS_FORMAT_META_H
#define LS_FORMAT_META_H

#include "format/arena.h"
#include "lockstep/gguf.h"

typedef struct ls_meta { /* zeroed but for `mem`; `kv` is released with ls_meta_fini */
    ls_arena   *mem;     /* borrowed: keys and values live there */
    ls_gguf_kv *kv;
    size_t      n, cap;
} ls_meta;

/* Each sets `key`, replacing a value that it had. Everything is copied. Errors: NOMEM;
 * USAGE for an integer that `type` cannot hold. */
ls_status ls_meta_int(ls_meta *m, const char *key, ls_gguf_type type, int64_t v, ls_error *err);
ls_status ls_meta_float(ls_meta *m, const char *key, ls_gguf_type type, double v, ls_error *err);
ls_status ls_meta_bool(ls_meta *m, const char *key, bool v, ls_error *err);
ls_status ls_meta_str(ls_meta *m, const char *key, ls_str v, ls_error *err);
/* n numbers of `type` as they lie in a file. */
ls_status ls_meta_array(ls_meta *m, const char *key, ls_gguf_type type, const void *data, size_t n,
                        ls_error *err);
ls_status ls_meta_strs(ls_meta *m, const char *key, const ls_str *v, size_t n, ls_error *err);
ls_status ls_meta_copy(ls_meta *m, const ls_gguf_kv *kv, ls_error *err);
bool      ls_meta_remove(ls_meta *m, const char *key); /* false: it was not there */
const ls_gguf_kv *ls_meta_find(const ls_meta *m, const char *key);
void      ls_meta_fini(ls_meta *m);

#endif
