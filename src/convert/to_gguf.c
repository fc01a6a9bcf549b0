// SPDX-License-Identifier: MIT
/* to_gguf.c - any opened model as one GGUF file. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "convert/mini_priv.h"
#include "dtype/dtype.h"
#include "lockstep/convert.h"
#include "lockstep/gguf_write.h"

/* Values of general.file_type for files that are mostly of one type. */
static const struct {
    int     dtype;
    int64_t file_type;
} file_types[] = {{LS_DTYPE_F32, 0}, {LS_DTYPE_F16, 1}, {LS_DTYPE_BF16, 32}};

/* Keys that say how a model was split; one file is not. */
static bool is_split_key(ls_str key) { return key.len > 6 && memcmp(key.p, "split.", 6) == 0; }

static ls_status put_metadata(ls_gguf_writer *w, const ls_gguf *g, const ls_convert_options *opt,
                              ls_error *err)
{
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(g, i);
        if (!is_split_key(kv->key)) LS_TRY(ls_gguf_write_kv(w, kv, err));
    }
    for (size_t i = 0; i < sizeof(file_types) / sizeof(file_types[0]); i++) {
        if (file_types[i].dtype != opt->dtype) continue;
        return ls_gguf_write_int(w, "general.file_type", LS_GGUF_U32, file_types[i].file_type, err);
    }
    return LS_OK;
}

/* The type in which a tensor is written. */
static int target(const ls_tensor *t, const ls_convert_options *opt)
{
    if (!ls_mini_is_plain(t->dtype)) return t->dtype;
    if (t->n_dims < 2) return LS_DTYPE_F32;
    return opt->dtype < 0 ? t->dtype : opt->dtype;
}

static size_t n_elements(const ls_tensor *t)
{
    return (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
}

static ls_status put_data(ls_gguf_writer *w, const ls_tensor *t, int dtype, ls_error *err)
{
    enum { CHUNK = 4096 };
    float  x[CHUNK];
    size_t n = n_elements(t), unit = ls_dtype_row_bytes(t->dtype, 1);
    if (dtype == t->dtype) return ls_gguf_write_data(w, t->data, t->n_bytes, err);
    for (size_t i = 0; i < n; i += CHUNK) {
        size_t  k = n - i < CHUNK ? n - i : CHUNK;
        uint8_t out[CHUNK * sizeof(float)];
        ls_dtype_decode(t->dtype, x, (const uint8_t *)t->data + i * unit, k, 1);
        ls_mini_encode(dtype, out, x, k);
        LS_TRY(ls_gguf_write_data(w, out, ls_dtype_row_bytes(dtype, k), err));
    }
    return LS_OK;
}

static ls_status write_all(ls_gguf_writer *w, const char *path, const ls_gguf *g,
                           const ls_convert_options *opt, ls_error *err)
{
    size_t n = ls_gguf_n_tensors(g);
    LS_TRY(put_metadata(w, g, opt, err));
    for (size_t i = 0; i < n; i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        int              dtype = target(t, opt);
        if (!t->data) {
            const char *name = ls_dtype_name(t->dtype);
            ls_fail(err, LS_ERR_UNSUPPORTED, "tensor '%.*s' has type %s, which cannot be written",
                    LS_FMT(t->name), name ? name : "?");
            return ls_gguf_fail_at(g, t->name.p, err), LS_ERR_UNSUPPORTED;
        }
        LS_TRY(ls_gguf_write_tensor(w, t->name, dtype, t->n_dims, t->ne,
                                    dtype == t->dtype ? t->n_bytes : 0, err));
    }
    LS_TRY(ls_gguf_write_begin(w, path, err));
    for (size_t i = 0; i < n; i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        LS_TRY(put_data(w, t, target(t, opt), err));
        if (opt->progress) opt->progress(opt->progress_ctx, i + 1, n);
    }
    return ls_gguf_write_finish(w, err);
}

ls_status ls_convert_to_gguf(const char *path, const ls_gguf *model, const ls_convert_options *opt,
                             ls_error *err)
{
    ls_gguf_writer *w;
    ls_status       status;
    if (opt->dtype >= 0 && !ls_mini_is_plain(opt->dtype)) {
        const char *name = ls_dtype_name(opt->dtype);
        return ls_fail(err, LS_ERR_UNSUPPORTED, "matrices cannot be converted to %s",
                       name ? name : "?");
    }
    LS_TRY(ls_gguf_writer_create(&w, err));
    status = write_all(w, path, model, opt, err);
    ls_gguf_writer_destroy(w);
    return status;
}
