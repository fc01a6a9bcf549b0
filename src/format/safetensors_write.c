// SPDX-License-Identifier: MIT
/* safetensors_write.c - safetensors files: the header is put together as JSON, data are streamed.
 */
#include "lockstep/safetensors_write.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/outfile.h"
#include "format/checkpoint_priv.h"

struct ls_safetensors_writer {
    json_t    *header, *notes;
    size_t     total, written; /* bytes of data */
    bool       begun;
    ls_outfile out;
};

static ls_status no_memory(ls_error *err)
{
    ls_fail(err, LS_ERR_NOMEM, "not enough memory for a header of tensors");
    return LS_ERR_NOMEM;
}

ls_status ls_safetensors_writer_create(ls_safetensors_writer **out, ls_error *err)
{
    ls_safetensors_writer *w = NULL;
    LS_TRY(ls_alloc(&w, 1, sizeof(*w), "a file to write", err));
    w->header = json_object();
    w->notes = json_object();
    *out = w;
    if (w->header && w->notes) return LS_OK;
    ls_safetensors_writer_destroy(w);
    *out = NULL;
    return no_memory(err);
}

void ls_safetensors_writer_destroy(ls_safetensors_writer *w)
{
    if (!w) return;
    ls_outfile_abort(&w->out);
    json_decref(w->header);
    json_decref(w->notes);
    free(w);
}

static ls_status check_begun(const ls_safetensors_writer *w, ls_error *err)
{
    if (!w->begun) return LS_OK;
    ls_fail(err, LS_ERR_USAGE, "the header has been written already");
    return LS_ERR_USAGE;
}

ls_status ls_safetensors_note(ls_safetensors_writer *w, const char *key, ls_str value,
                              ls_error *err)
{
    json_t *v;
    LS_TRY(check_begun(w, err));
    v = json_stringn(value.p, value.len); /* checks that it is UTF-8 */
    if (v && json_object_set_new(w->notes, key, v) == 0) return LS_OK;
    ls_fail(err, LS_ERR_USAGE, "the note '%s' is no text in UTF-8", key);
    return LS_ERR_USAGE;
}

/* {"dtype", "shape", "data_offsets"}; NULL without memory. */
static json_t *entry(const ls_ckpt_tensor *t, size_t begin, size_t end)
{
    json_t *shape = json_array();
    for (uint32_t i = 0; shape && i < t->n_dims; i++) {
        if (json_array_append_new(shape, json_integer(t->shape[i])) != 0) {
            json_decref(shape);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", ls_ckpt_dtype_name(t->dtype), "shape", shape,
                     "data_offsets", (json_int_t)begin, (json_int_t)end);
}

ls_status ls_safetensors_add(ls_safetensors_writer *w, ls_str name, ls_ckpt_dtype dtype,
                             uint32_t n_dims, const int64_t *shape, ls_error *err)
{
    ls_ckpt_tensor t = {.dtype = dtype, .n_dims = n_dims};
    json_t        *v;
    size_t         n, end;
    LS_TRY(check_begun(w, err));
    if (!name.len || memchr(name.p, 0, name.len) || n_dims > LS_CKPT_MAX_DIMS ||
        (unsigned)dtype >= LS_CKPT_N_DTYPES || json_object_getn(w->header, name.p, name.len)) {
        return ls_fail(err, LS_ERR_USAGE, "tensor '%.*s' cannot be written, or is there already",
                       LS_FMT(name));
    }
    if (n_dims) memcpy(t.shape, shape, n_dims * sizeof(*shape));
    if (!ls_ckpt_bytes(&t, &n) || !ls_add_size(w->total, n, &end) || end > INT64_MAX) {
        return ls_fail(err, LS_ERR_USAGE, "tensor '%.*s' has a shape that no tensor can have",
                       LS_FMT(name));
    }
    v = entry(&t, w->total, end);
    if (!v) return no_memory(err);
    if (json_object_setn_new(w->header, name.p, name.len, v) != 0) {
        return ls_fail(err, LS_ERR_USAGE, "the name '%.*s' is not UTF-8", LS_FMT(name));
    }
    w->total = end;
    return LS_OK;
}

ls_status ls_safetensors_begin(ls_safetensors_writer *w, const char *path, ls_error *err)
{
    char  *text;
    size_t len, padded;
    LS_TRY(check_begun(w, err));
    if (json_object_size(w->notes) && json_object_set(w->header, "__metadata__", w->notes) != 0) {
        return no_memory(err);
    }
    text = json_dumps(w->header, JSON_COMPACT);
    if (!text) return no_memory(err);
    if (ls_outfile_open(&w->out, path, err) != LS_OK) {
        free(text);
        return LS_ERR_IO;
    }
    w->begun = true;
    len = strlen(text);
    padded = (len + 7) & ~(size_t)7;
    fwrite(&(uint64_t){padded}, 8, 1, w->out.f);
    fwrite(text, 1, len, w->out.f);
    for (; len < padded; len++) fputc(' ', w->out.f);
    free(text);
    return LS_OK;
}

ls_status ls_safetensors_data(ls_safetensors_writer *w, const void *data, size_t n, ls_error *err)
{
    if (!w->begun || n > w->total - w->written) {
        return ls_fail(err, LS_ERR_USAGE, "data before the header, or more than the tensors have");
    }
    w->written += n;
    if (!n || fwrite(data, 1, n, w->out.f) == n) return LS_OK;
    return ls_fail_errno(err, errno ? errno : EIO, "cannot write '%s'", w->out.path);
}

ls_status ls_safetensors_finish(ls_safetensors_writer *w, ls_error *err)
{
    if (!w->begun || w->written != w->total) {
        ls_outfile_abort(&w->out);
        return ls_fail(err, LS_ERR_USAGE, "%zu of %zu bytes of data are missing",
                       w->total - w->written, w->total);
    }
    return ls_outfile_commit(&w->out, err);
}
