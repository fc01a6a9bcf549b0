// SPDX-License-Identifier: MIT
/* gguf.c - GGUF reader: the header of a file to metadata and a tensor directory.
 *
 * Validates every length against the mapping before use and never reads tensor data.
 * Layout (GGUF specification, versions 2 and 3, little-endian):
 *   "GGUF" u32 version  u64 n_tensors  u64 n_kv
 *   n_kv x     { string key, u32 type, value }      string = u64 length, bytes
 *   n_tensors x { string name, u32 n_dims, u64 ne[n_dims], u32 type, u64 offset }
 *   padding to `general.alignment` (32 unless given), then tensor data
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/mem.h"
#include "dtype/dtype.h"
#include "format/gguf_priv.h"

/* The shortest entries, for bounding counts by what the file could possibly hold. */
enum { MIN_KV_BYTES = 8 + 4 + 1, MIN_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8 };
#define MAX_NAME 65535 /* the specification's limit on key length, applied to names too */

/* Record where, at which byte of the file, the specification is broken. */
LS_PRINTF(4, 5)
static ls_status broken(const ls_gguf *g, uint64_t at, ls_error *err, const char *fmt, ...)
{
    char    what[sizeof(err->what)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(err, LS_ERR_FORMAT, "%s", what);
    ls_fail_at(err, "%s: byte %llu", g->path, (unsigned long long)at);
    return LS_ERR_FORMAT;
}

static ls_status truncated(const ls_gguf *g, const ls_cursor *c, const char *what, ls_error *err)
{
    broken(g, c->off, err, "the file ends inside %s", what);
    ls_fail_hint(err, "the file has %zu bytes; the download is probably truncated", g->map.size);
    return LS_ERR_FORMAT;
}

static ls_status read_str(const ls_gguf *g, ls_cursor *c, ls_str *out, const char *what,
                          ls_error *err)
{
    size_t   at = c->off;
    uint64_t len;
    if (!ls_cursor_u64(c, &len)) return truncated(g, c, what, err);
    out->p = (const char *)ls_cursor_take(c, len);
    if (!out->p) {
        return broken(g, at, err, "%s has a length of %llu bytes, but %zu are left in the file",
                      what, (unsigned long long)len, c->size - c->off);
    }
    out->len = (size_t)len;
    return LS_OK;
}

static ls_status read_name(const ls_gguf *g, ls_cursor *c, ls_str *out, const char *what,
                           ls_error *err)
{
    size_t at = c->off;
    LS_TRY(read_str(g, c, out, what, err));
    if (out->len == 0 || out->len > MAX_NAME || memchr(out->p, 0, out->len)) {
        return broken(g, at, err, "%s is empty, too long or holds a zero byte", what);
    }
    return LS_OK;
}

static ls_status read_array(const ls_gguf *g, ls_cursor *c, ls_gguf_kv *kv, ls_error *err)
{
    size_t   at = c->off, bytes;
    uint32_t type;
    if (!ls_cursor_u32(c, &type) || !ls_cursor_u64(c, &kv->n)) {
        return truncated(g, c, "an array of the metadata", err);
    }
    if (type == LS_GGUF_ARRAY) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "array '%.*s' holds arrays, which Lockstep does not read",
                LS_FMT(kv->key));
        ls_fail_at(err, "%s: byte %zu", g->path, at);
        return LS_ERR_UNSUPPORTED;
    }
    if (type >= LS_GGUF_N_TYPES) {
        return broken(g, at, err, "array '%.*s' has elements of type %u, which GGUF does not allow",
                      LS_FMT(kv->key), type);
    }
    kv->elem_type = (ls_gguf_type)type;
    kv->data = c->data + c->off;
    bytes = ls_gguf_type_bytes(kv->elem_type);
    if (kv->n > (c->size - c->off) / (bytes ? bytes : 8)) {
        return broken(g, at, err, "array '%.*s' claims %llu elements, more than the file can hold",
                      LS_FMT(kv->key), (unsigned long long)kv->n);
    }
    if (bytes) {
        ls_cursor_take(c, kv->n * bytes);
        return LS_OK;
    }
    for (uint64_t i = 0; i < kv->n; i++) {
        ls_str s;
        LS_TRY(read_str(g, c, &s, "a string of an array", err));
    }
    return LS_OK;
}

static ls_status read_kv(const ls_gguf *g, ls_cursor *c, ls_gguf_kv *kv, ls_error *err)
{
    size_t   at;
    uint32_t type;
    LS_TRY(read_name(g, c, &kv->key, "a metadata key", err));
    at = c->off;
    if (!ls_cursor_u32(c, &type)) return truncated(g, c, "the metadata", err);
    if (type >= LS_GGUF_N_TYPES) {
        return broken(g, at, err, "key '%.*s' has value type %u, GGUF knows 0 to %d",
                      LS_FMT(kv->key), type, LS_GGUF_N_TYPES - 1);
    }
    kv->type = (ls_gguf_type)type;
    if (kv->type == LS_GGUF_ARRAY) return read_array(g, c, kv, err);
    if (kv->type == LS_GGUF_STR) return read_str(g, c, &kv->str, "a metadata string", err);
    kv->data = ls_cursor_take(c, ls_gguf_type_bytes(kv->type));
    if (!kv->data) return truncated(g, c, "the metadata", err);
    if (kv->type == LS_GGUF_BOOL && *(const uint8_t *)kv->data > 1) {
        return broken(g, c->off - 1, err, "boolean '%.*s' is %u, not 0 or 1", LS_FMT(kv->key),
                      *(const uint8_t *)kv->data);
    }
    return LS_OK;
}

static int by_key(const void *a, const void *b)
{
    ls_str x = (*(const ls_gguf_kv *const *)a)->key, y = (*(const ls_gguf_kv *const *)b)->key;
    int    d = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);
    return d ? d : (x.len > y.len) - (x.len < y.len);
}

static int by_name(const void *a, const void *b)
{
    ls_str x = (*(const ls_tensor *const *)a)->name, y = (*(const ls_tensor *const *)b)->name;
    int    d = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);
    return d ? d : (x.len > y.len) - (x.len < y.len);
}

/* Two entries of one name would make the file mean different things to different readers. */
static ls_status check_unique(const ls_gguf *g, ls_error *err)
{
    size_t       n = g->n_kv > g->n_tensors ? g->n_kv : g->n_tensors;
    const void **sorted;
    ls_status    status = LS_OK;

    LS_TRY(ls_alloc(&sorted, n, sizeof(*sorted), "the tensor directory", err));
    for (size_t i = 0; i < g->n_kv; i++) sorted[i] = &g->kv[i];
    qsort(sorted, g->n_kv, sizeof(*sorted), by_key);
    for (size_t i = 1; i < g->n_kv && status == LS_OK; i++) {
        const ls_gguf_kv *kv = sorted[i];
        if (by_key(&sorted[i - 1], &sorted[i]) == 0) {
            status = broken(g, ls_gguf_offset(g, kv->key.p), err,
                            "metadata key '%.*s' occurs twice", LS_FMT(kv->key));
        }
    }
    for (size_t i = 0; i < g->n_tensors; i++) sorted[i] = &g->tensors[i];
    qsort(sorted, g->n_tensors, sizeof(*sorted), by_name);
    for (size_t i = 1; i < g->n_tensors && status == LS_OK; i++) {
        const ls_tensor *t = sorted[i];
        if (by_name(&sorted[i - 1], &sorted[i]) == 0) {
            status = broken(g, ls_gguf_offset(g, t->name.p), err, "tensor '%.*s' occurs twice",
                            LS_FMT(t->name));
        }
    }
    free(sorted);
    return status;
}

static ls_status read_tensor(const ls_gguf *g, ls_cursor *c, ls_tensor *t, ls_error *err)
{
    size_t   at;
    uint32_t type;
    uint64_t n_elements = 1;

    LS_TRY(read_name(g, c, &t->name, "a tensor name", err));
    at = c->off;
    if (!ls_cursor_u32(c, &t->n_dims)) return truncated(g, c, "the tensor directory", err);
    if (t->n_dims == 0 || t->n_dims > LS_MAX_DIMS) {
        return broken(g, at, err, "tensor '%.*s' has %u dimensions, GGUF allows 1 to %d",
                      LS_FMT(t->name), t->n_dims, LS_MAX_DIMS);
    }
    for (uint32_t i = 0; i < LS_MAX_DIMS; i++) {
        uint64_t ne = 1;
        at = c->off;
        if (i < t->n_dims && !ls_cursor_u64(c, &ne)) {
            return truncated(g, c, "the tensor directory", err);
        }
        if (ne == 0 || __builtin_mul_overflow(n_elements, ne, &n_elements) ||
            n_elements > INT64_MAX) {
            return broken(g, at, err,
                          "dimension %u of tensor '%.*s' is %llu, which no tensor can have", i,
                          LS_FMT(t->name), (unsigned long long)ne);
        }
        t->ne[i] = (int64_t)ne;
    }
    at = c->off;
    if (!ls_cursor_u32(c, &type) || !ls_cursor_u64(c, &t->file_off)) {
        return truncated(g, c, "the tensor directory", err);
    }
    t->dtype = (int)type;
    if (type > INT32_MAX || !ls_dtype_name(t->dtype)) {
        return broken(g, at, err, "tensor '%.*s' has type %u, which GGUF does not define",
                      LS_FMT(t->name), type);
    }
    if (ls_dtype_supported(t->dtype) && (uint64_t)t->ne[0] % ls_dtype_block(t->dtype) != 0) {
        return broken(g, at, err,
                      "tensor '%.*s' has rows of %lld elements, %s needs multiples of %zu",
                      LS_FMT(t->name), (long long)t->ne[0], ls_dtype_name(t->dtype),
                      ls_dtype_block(t->dtype));
    }
    return LS_OK;
}

/* Offsets become absolute, and data pointers are set once they are known to lie in the file. */
static ls_status place_tensor(const ls_gguf *g, ls_tensor *t, size_t entry, ls_error *err)
{
    size_t   n = (size_t)t->ne[0] * (size_t)t->ne[1] * (size_t)t->ne[2] * (size_t)t->ne[3], end;
    uint64_t off = t->file_off;

    if (off % g->alignment != 0) {
        return broken(g, entry, err, "tensor '%.*s' starts at offset %llu, no multiple of %llu",
                      LS_FMT(t->name), (unsigned long long)off, (unsigned long long)g->alignment);
    }
    if (__builtin_add_overflow(off, g->data_off, &t->file_off) || t->file_off > g->map.size) {
        broken(g, entry, err, "tensor '%.*s' starts past the end of the file", LS_FMT(t->name));
        ls_fail_hint(err, "the file has %zu bytes; the download is probably truncated",
                     g->map.size);
        return LS_ERR_FORMAT;
    }
    if (!ls_dtype_supported(t->dtype)) return LS_OK;
    t->n_bytes = ls_dtype_tensor_bytes(t->dtype, n);
    if (!t->n_bytes || !ls_add_size((size_t)t->file_off, t->n_bytes, &end) || end > g->map.size) {
        broken(g, t->file_off, err, "tensor '%.*s' ends past the end of the file", LS_FMT(t->name));
        ls_fail_hint(err,
                     "it needs %zu bytes and %llu are left; the download is probably truncated",
                     t->n_bytes, (unsigned long long)(g->map.size - t->file_off));
        return LS_ERR_FORMAT;
    }
    t->data = g->map.data + t->file_off;
    return LS_OK;
}

static ls_status check_magic(const ls_gguf *g, ls_error *err)
{
    const uint8_t *p = g->map.data;
    if (g->map.size < 4) {
        return broken(g, 0, err, "the file has %zu bytes, too few for a GGUF header", g->map.size);
    }
    if (memcmp(p, "GGUF", 4) == 0) return LS_OK;
    if (memcmp(p, "PK\3\4", 4) == 0) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "this is a zip archive, as PyTorch writes, not GGUF");
    } else if (g->map.size > 9 && p[8] == '{') {
        ls_fail(err, LS_ERR_UNSUPPORTED, "this is a safetensors file, not GGUF");
    } else {
        broken(g, 0, err, "the file does not start with 'GGUF'");
    }
    ls_fail_at(err, "%s: byte 0", g->path);
    ls_fail_hint(err,
                 "give a GGUF file, for instance one written by llama.cpp's convert_hf_to_gguf");
    return err ? err->status : LS_ERR_FORMAT;
}

static ls_status read_header(ls_gguf *g, ls_cursor *c, ls_error *err)
{
    uint64_t n_tensors, n_kv;
    LS_TRY(check_magic(g, err));
    c->off = 4;
    if (!ls_cursor_u32(c, &g->version)) return truncated(g, c, "the header", err);
    if (g->version != 2 && g->version != 3) {
        bool swapped = g->version != 0 && (g->version & 0xffff) == 0;
        ls_fail(err, LS_ERR_UNSUPPORTED,
                swapped ? "big-endian GGUF files are not supported"
                        : "GGUF version %u is not supported; versions 2 and 3 are",
                g->version);
        ls_fail_at(err, "%s: byte 4", g->path);
        return LS_ERR_UNSUPPORTED;
    }
    if (!ls_cursor_u64(c, &n_tensors) || !ls_cursor_u64(c, &n_kv)) {
        return truncated(g, c, "the header", err);
    }
    if (n_tensors > c->size / MIN_TENSOR_BYTES) {
        return broken(g, 8, err, "the header claims %llu tensors, more than the file can hold",
                      (unsigned long long)n_tensors);
    }
    if (n_kv > c->size / MIN_KV_BYTES) {
        return broken(g, 16, err,
                      "the header claims %llu metadata entries, more than the file can hold",
                      (unsigned long long)n_kv);
    }
    g->n_tensors = (size_t)n_tensors;
    g->n_kv = (size_t)n_kv;
    return LS_OK;
}

static ls_status read_alignment(ls_gguf *g, ls_error *err)
{
    int64_t           v = 32;
    const ls_gguf_kv *kv = ls_gguf_find(g, "general.alignment");
    if (kv && (kv->type != LS_GGUF_U32 || !ls_gguf_int(g, "general.alignment", &v) || v < 8 ||
               v > 1 << 30 || (v & (v - 1)) != 0)) {
        return broken(g, ls_gguf_offset(g, kv->key.p), err,
                      "general.alignment is not a power of two of 8 or more");
    }
    g->alignment = (uint64_t)v;
    return LS_OK;
}

static ls_status refuse_split(const ls_gguf *g, ls_error *err)
{
    int64_t count = 1;
    if (!ls_gguf_int(g, "split.count", &count) || count <= 1) return LS_OK;
    ls_fail(err, LS_ERR_UNSUPPORTED, "this is one of %lld parts of a split model",
            (long long)count);
    ls_fail_at(err, "%s", g->path);
    ls_fail_hint(err, "join the parts first: llama-gguf-split --merge FIRST-PART OUTPUT");
    return LS_ERR_UNSUPPORTED;
}

static ls_status read_all(ls_gguf *g, ls_error *err)
{
    ls_cursor c = {g->map.data, g->map.size, 0};
    size_t   *entries = NULL;
    ls_status status = LS_OK;

    LS_TRY(read_header(g, &c, err));
    LS_TRY(ls_alloc(&g->kv, g->n_kv, sizeof(*g->kv), "the metadata", err));
    for (size_t i = 0; i < g->n_kv; i++) LS_TRY(read_kv(g, &c, &g->kv[i], err));
    LS_TRY(read_alignment(g, err));
    LS_TRY(refuse_split(g, err));
    LS_TRY(ls_alloc(&g->tensors, g->n_tensors, sizeof(*g->tensors), "the tensor directory", err));
    LS_TRY(ls_alloc(&entries, g->n_tensors, sizeof(*entries), "the tensor directory", err));
    for (size_t i = 0; i < g->n_tensors && status == LS_OK; i++) {
        entries[i] = c.off;
        status = read_tensor(g, &c, &g->tensors[i], err);
    }
    g->data_off = (c.off + g->alignment - 1) & ~(g->alignment - 1);
    for (size_t i = 0; i < g->n_tensors && status == LS_OK; i++) {
        status = place_tensor(g, &g->tensors[i], entries[i], err);
    }
    free(entries);
    return status == LS_OK ? check_unique(g, err) : status;
}

ls_status ls_gguf_open(ls_gguf **out, const char *path, ls_error *err)
{
    ls_gguf  *g;
    ls_error  local = {0};
    ls_status status;

    *out = NULL;
    if (!err) err = &local; /* check_magic tells two statuses apart by it */
    LS_TRY(ls_alloc(&g, 1, sizeof(*g), "a model file", err));
    g->path = strdup(path);
    status = g->path ? ls_map_open(&g->map, path, err)
                     : ls_fail(err, LS_ERR_NOMEM, "not enough memory for a model file");
    if (status == LS_OK) status = read_all(g, err);
    if (status != LS_OK) {
        ls_gguf_close(g);
        return status;
    }
    *out = g;
    return LS_OK;
}

void ls_gguf_close(ls_gguf *g)
{
    if (!g) return;
    ls_map_close(&g->map);
    free(g->kv);
    free(g->tensors);
    free(g->path);
    free(g);
}
