// SPDX-License-Identifier: MIT
/* gguf_write.c - GGUF files: everything is announced first, so that the directory is written once
 * and data of any size can be streamed behind it. */
#include "lockstep/gguf_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/outfile.h"
#include "dtype/packed.h"
#include "format/gguf_priv.h"
#include "format/meta.h"

enum { MAX_NAME = 65535, DEFAULT_ALIGNMENT = 32, VERSION = 3 };

typedef struct entry {
    ls_str   name;
    int      dtype;
    uint32_t n_dims;
    int64_t  ne[LS_MAX_DIMS];
    size_t   n_bytes;
    uint64_t off; /* from the start of the data; known at begin */
} entry;

struct ls_gguf_writer {
    ls_arena   mem;
    ls_meta    meta;
    entry     *tensors;
    size_t     n_tensors, cap;
    uint64_t   alignment, data_off, total;
    size_t     tensor, done; /* what is being written, and bytes of it that are */
    bool       begun;
    ls_outfile out;
};

ls_status ls_gguf_writer_create(ls_gguf_writer **out, ls_error *err)
{
    LS_TRY(ls_alloc(out, 1, sizeof(**out), "a file to write", err));
    (*out)->meta.mem = &(*out)->mem;
    return LS_OK;
}

void ls_gguf_writer_destroy(ls_gguf_writer *w)
{
    if (!w) return;
    ls_outfile_abort(&w->out);
    ls_meta_fini(&w->meta);
    ls_arena_free(&w->mem);
    free(w->tensors);
    free(w);
}

/* ---- metadata ---- */

static ls_status check_key(const ls_gguf_writer *w, const char *key, ls_error *err)
{
    size_t n = strlen(key);
    if (w->begun) return ls_fail(err, LS_ERR_USAGE, "metadata are set before the file is begun");
    if (n == 0 || n > MAX_NAME) {
        return ls_fail(err, LS_ERR_USAGE, "a metadata key of %zu bytes cannot be written", n);
    }
    return LS_OK;
}

ls_status ls_gguf_write_int(ls_gguf_writer *w, const char *key, ls_gguf_type type, int64_t v,
                            ls_error *err)
{
    LS_TRY(check_key(w, key, err));
    return ls_meta_int(&w->meta, key, type, v, err);
}

ls_status ls_gguf_write_float(ls_gguf_writer *w, const char *key, ls_gguf_type type, double v,
                              ls_error *err)
{
    LS_TRY(check_key(w, key, err));
    if (type != LS_GGUF_F32 && type != LS_GGUF_F64) {
        return ls_fail(err, LS_ERR_USAGE, "metadata key '%s': %s is no floating-point type", key,
                       ls_gguf_type_name(type));
    }
    return ls_meta_float(&w->meta, key, type, v, err);
}

ls_status ls_gguf_write_bool(ls_gguf_writer *w, const char *key, bool v, ls_error *err)
{
    LS_TRY(check_key(w, key, err));
    return ls_meta_bool(&w->meta, key, v, err);
}

ls_status ls_gguf_write_str(ls_gguf_writer *w, const char *key, ls_str v, ls_error *err)
{
    LS_TRY(check_key(w, key, err));
    return ls_meta_str(&w->meta, key, v, err);
}

ls_status ls_gguf_write_array(ls_gguf_writer *w, const char *key, ls_gguf_type type,
                              const void *data, size_t n, ls_error *err)
{
    LS_TRY(check_key(w, key, err));
    if ((unsigned)type >= LS_GGUF_N_TYPES || !ls_gguf_type_bytes(type)) {
        return ls_fail(err, LS_ERR_USAGE, "metadata key '%s': no array of numbers of type %s", key,
                       ls_gguf_type_name(type));
    }
    return ls_meta_array(&w->meta, key, type, data, n, err);
}

ls_status ls_gguf_write_strs(ls_gguf_writer *w, const char *key, const ls_str *v, size_t n,
                             ls_error *err)
{
    LS_TRY(check_key(w, key, err));
    return ls_meta_strs(&w->meta, key, v, n, err);
}

ls_status ls_gguf_write_kv(ls_gguf_writer *w, const ls_gguf_kv *kv, ls_error *err)
{
    LS_TRY(check_key(w, "of an opened model", err));
    return ls_meta_copy(&w->meta, kv, err);
}

void ls_gguf_write_remove(ls_gguf_writer *w, const char *key) { ls_meta_remove(&w->meta, key); }

/* ---- the directory ---- */

ls_status ls_gguf_write_tensor(ls_gguf_writer *w, ls_str name, int dtype, uint32_t n_dims,
                               const int64_t *ne, size_t n_bytes, ls_error *err)
{
    entry  e = {.dtype = dtype, .n_dims = n_dims, .ne = {1, 1, 1, 1}, .n_bytes = n_bytes};
    size_t n = 1, known;
    if (w->begun) return ls_fail(err, LS_ERR_USAGE, "tensors are added before the file is begun");
    if (name.len == 0 || name.len > MAX_NAME || n_dims < 1 || n_dims > LS_MAX_DIMS) {
        return ls_fail(err, LS_ERR_USAGE, "tensor '%.*s' with %u dimensions cannot be written",
                       LS_FMT(name), n_dims);
    }
    for (uint32_t i = 0; i < n_dims; i++) {
        e.ne[i] = ne[i];
        if (ne[i] < 1 || !ls_mul_size(n, (size_t)ne[i], &n)) {
            return ls_fail(err, LS_ERR_USAGE, "dimension %u of tensor '%.*s' is %lld", i,
                           LS_FMT(name), (long long)ne[i]);
        }
    }
    if (ls_dtype_supported(dtype) && ls_dtype_file_id(dtype) < LS_DTYPE_I2_S_ARM) {
        known = ls_matrix_bytes(dtype, n / (size_t)ne[0], (size_t)ne[0]);
        if (!known || (n_bytes && n_bytes != known)) {
            return ls_fail(err, LS_ERR_USAGE, "tensor '%.*s': its shape does not suit type %s",
                           LS_FMT(name), ls_dtype_name(dtype));
        }
        e.n_bytes = known;
    } else if (!ls_dtype_name(dtype) || !n_bytes) {
        return ls_fail(err, LS_ERR_USAGE, "tensor '%.*s' has type %d, whose size is not known",
                       LS_FMT(name), dtype);
    }
    for (size_t i = 0; i < w->n_tensors; i++) {
        if (ls_str_eq(w->tensors[i].name, name)) {
            return ls_fail(err, LS_ERR_USAGE, "tensor '%.*s' is there twice", LS_FMT(name));
        }
    }
    LS_TRY(ls_grow(&w->tensors, &w->cap, w->n_tensors + 1, sizeof(e), "the tensors", err));
    LS_TRY(ls_arena_str(&w->mem, &e.name, name.p, name.len, err));
    w->tensors[w->n_tensors++] = e;
    return LS_OK;
}

/* ---- bytes ---- */

/* Errors of the stream are kept by it and reported by commit. */
static void put(ls_gguf_writer *w, const void *p, size_t n)
{
    if (n) fwrite(p, 1, n, w->out.f);
    w->total += n;
}

static void put_u32(ls_gguf_writer *w, uint32_t v) { put(w, &v, 4); }
static void put_u64(ls_gguf_writer *w, uint64_t v) { put(w, &v, 8); }

static void put_str(ls_gguf_writer *w, ls_str s)
{
    put_u64(w, s.len);
    put(w, s.p, s.len);
}

static void put_padding(ls_gguf_writer *w)
{
    static const char zeros[64];
    while (w->total % w->alignment != 0) {
        uint64_t n = w->alignment - w->total % w->alignment;
        put(w, zeros, n < sizeof(zeros) ? (size_t)n : sizeof(zeros));
    }
}

static void put_kv(ls_gguf_writer *w, const ls_gguf_kv *kv)
{
    put_str(w, kv->key);
    put_u32(w, kv->type);
    if (kv->type == LS_GGUF_STR) {
        put_str(w, kv->str);
        return;
    }
    if (kv->type == LS_GGUF_ARRAY) {
        put_u32(w, kv->elem_type);
        put_u64(w, kv->n);
    }
    put(w, kv->data, ls_gguf_value_bytes(kv));
}

static void put_entry(ls_gguf_writer *w, const entry *e)
{
    put_str(w, e->name);
    put_u32(w, e->n_dims);
    for (uint32_t i = 0; i < e->n_dims; i++) put_u64(w, (uint64_t)e->ne[i]);
    put_u32(w, (uint32_t)ls_dtype_file_id(e->dtype));
    put_u64(w, e->off);
}

static ls_status read_alignment(ls_gguf_writer *w, ls_error *err)
{
    const ls_gguf_kv *kv = ls_meta_find(&w->meta, "general.alignment");
    uint32_t          v = DEFAULT_ALIGNMENT;
    if (kv && kv->type == LS_GGUF_U32) memcpy(&v, kv->data, 4);
    if ((kv && kv->type != LS_GGUF_U32) || v < 8 || v > 1 << 30 || (v & (v - 1)) != 0) {
        return ls_fail(err, LS_ERR_USAGE, "general.alignment is no power of two of 8 or more");
    }
    w->alignment = v;
    return LS_OK;
}

ls_status ls_gguf_write_begin(ls_gguf_writer *w, const char *path, ls_error *err)
{
    uint64_t off = 0;
    if (w->begun) return ls_fail(err, LS_ERR_USAGE, "the file has been begun already");
    LS_TRY(read_alignment(w, err));
    LS_TRY(ls_outfile_open(&w->out, path, err));
    w->begun = true;
    put(w, "GGUF", 4);
    put_u32(w, VERSION);
    put_u64(w, w->n_tensors);
    put_u64(w, w->meta.n);
    for (size_t i = 0; i < w->meta.n; i++) put_kv(w, &w->meta.kv[i]);
    for (size_t i = 0; i < w->n_tensors; i++) {
        w->tensors[i].off = off;
        put_entry(w, &w->tensors[i]);
        off += (w->tensors[i].n_bytes + w->alignment - 1) & ~(w->alignment - 1);
    }
    put_padding(w);
    w->data_off = w->total;
    return LS_OK;
}

uint64_t ls_gguf_writer_bytes(const ls_gguf_writer *w)
{
    uint64_t n = w->data_off;
    for (size_t i = 0; i < w->n_tensors; i++) {
        n += (w->tensors[i].n_bytes + w->alignment - 1) & ~(w->alignment - 1);
    }
    return n;
}

ls_status ls_gguf_write_data(ls_gguf_writer *w, const void *data, size_t n, ls_error *err)
{
    const char *p = data;
    if (!w->begun) return ls_fail(err, LS_ERR_USAGE, "data are written after the file is begun");
    while (n) {
        size_t left;
        if (w->tensor == w->n_tensors) {
            return ls_fail(err, LS_ERR_USAGE, "%zu bytes more than the tensors have", n);
        }
        left = w->tensors[w->tensor].n_bytes - w->done;
        if (left > n) left = n;
        put(w, p, left);
        p += left;
        n -= left;
        w->done += left;
        if (w->done < w->tensors[w->tensor].n_bytes) break;
        put_padding(w);
        w->tensor++;
        w->done = 0;
    }
    if (ferror(w->out.f)) {
        return ls_fail_errno(err, errno ? errno : EIO, "cannot write '%s'", w->out.path);
    }
    return LS_OK;
}

ls_status ls_gguf_write_finish(ls_gguf_writer *w, ls_error *err)
{
    if (!w->begun || w->tensor != w->n_tensors) {
        ls_outfile_abort(&w->out);
        return ls_fail(err, LS_ERR_USAGE, "%zu of %zu tensors have no data yet",
                       w->n_tensors - w->tensor, w->n_tensors);
    }
    return ls_outfile_commit(&w->out, err);
}
