// SPDX-License-Identifier: MIT
/* gguf.c - one GGUF file: its header to metadata and a tensor directory.
 *
 * Validates every length against the mapping before use and never reads tensor data.
 * Layout (GGUF specification, versions 1 to 3, little-endian; version 1 has 32-bit counts,
 * lengths and dimensions where the later ones have 64-bit ones, written u64 here):
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
#include "dtype/packed.h"
#include "format/gguf_priv.h"
#include "format/magic.h"
#include "format/ternary.h"

#define MAX_TYPE 128   /* our own numbers begin here: dtypes.def */
#define MAX_NAME 65535 /* the specification's limit on key length, applied to names too */

typedef struct reader {
    ls_gguf       *g;
    const ls_part *part;
    ls_cursor      c;
    uint32_t       version;
    uint64_t       alignment;
    size_t         n_tensors, n_kv;
    ls_gguf_kv    *kv; /* owned until handed out */
    ls_error      *err;
} reader;

/* Record where, at which byte of the file, the specification is broken. */
LS_PRINTF(3, 4)
static ls_status broken(const reader *r, uint64_t at, const char *fmt, ...)
{
    char    what[sizeof(r->err->what)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(r->err, LS_ERR_FORMAT, "%s", what);
    ls_fail_at(r->err, "%s: byte %llu", r->part->path, (unsigned long long)at);
    return LS_ERR_FORMAT;
}

static ls_status truncated(const reader *r, const char *what)
{
    broken(r, r->c.off, "the file ends inside %s", what);
    ls_fail_hint(r->err, "the file has %zu bytes; the download is probably truncated", r->c.size);
    return LS_ERR_FORMAT;
}

/* A count, a length or a dimension: 32 bits in version 1, 64 since. */
static bool read_count(reader *r, uint64_t *out)
{
    uint32_t v;
    if (r->version > 1) return ls_cursor_u64(&r->c, out);
    if (!ls_cursor_u32(&r->c, &v)) return false;
    *out = v;
    return true;
}

static size_t count_bytes(const reader *r) { return r->version > 1 ? 8 : 4; }

static ls_status read_str(reader *r, ls_str *out, const char *what)
{
    size_t   at = r->c.off;
    uint64_t len;
    if (!read_count(r, &len)) return truncated(r, what);
    out->p = (const char *)ls_cursor_take(&r->c, len);
    if (!out->p) {
        return broken(r, at, "%s has a length of %llu bytes, but %zu are left in the file", what,
                      (unsigned long long)len, r->c.size - r->c.off);
    }
    out->len = (size_t)len;
    return LS_OK;
}

static ls_status read_name(reader *r, ls_str *out, const char *what)
{
    size_t at = r->c.off;
    LS_TRY(read_str(r, out, what));
    if (out->len == 0 || out->len > MAX_NAME || memchr(out->p, 0, out->len)) {
        return broken(r, at, "%s is empty, too long or holds a zero byte", what);
    }
    return LS_OK;
}

/* The elements of an array of strings. Those of version 1 have 32-bit lengths: they are laid out
 * anew, so that there is one form to walk. */
static ls_status read_strings(reader *r, ls_gguf_kv *kv)
{
    size_t start = r->c.off;
    char  *p;
    for (uint64_t i = 0; i < kv->n; i++) {
        ls_str s;
        LS_TRY(read_str(r, &s, "a string of an array"));
    }
    if (r->version > 1) return LS_OK;
    /* n is at most a quarter of the file's size, so that the sum cannot overflow */
    LS_TRY(ls_arena_alloc(&r->g->mem, &p, r->c.off - start + 4 * (size_t)kv->n, 1,
                          "an array of strings", r->err));
    kv->data = p;
    r->c.off = start;
    for (uint64_t i = 0; i < kv->n; i++) {
        ls_str   s;
        uint64_t len;
        LS_TRY(read_str(r, &s, "a string of an array"));
        len = s.len;
        memcpy(p, &len, 8);
        if (len) memcpy(p + 8, s.p, s.len);
        p += 8 + len;
    }
    return LS_OK;
}

static ls_status read_array(reader *r, ls_gguf_kv *kv)
{
    size_t   at = r->c.off, bytes;
    uint32_t type;
    if (!ls_cursor_u32(&r->c, &type) || !read_count(r, &kv->n)) {
        return truncated(r, "an array of the metadata");
    }
    if (type == LS_GGUF_ARRAY) {
        ls_fail(r->err, LS_ERR_UNSUPPORTED,
                "array '%.*s' holds arrays, which Lockstep does not read", LS_FMT(kv->key));
        ls_fail_at(r->err, "%s: byte %zu", r->part->path, at);
        return LS_ERR_UNSUPPORTED;
    }
    if (type >= LS_GGUF_N_TYPES) {
        return broken(r, at, "array '%.*s' has elements of type %u, which GGUF does not allow",
                      LS_FMT(kv->key), type);
    }
    kv->elem_type = (ls_gguf_type)type;
    kv->data = r->c.data + r->c.off;
    bytes = ls_gguf_type_bytes(kv->elem_type);
    if (kv->n > (r->c.size - r->c.off) / (bytes ? bytes : count_bytes(r))) {
        return broken(r, at, "array '%.*s' claims %llu elements, more than the file can hold",
                      LS_FMT(kv->key), (unsigned long long)kv->n);
    }
    if (!bytes) return read_strings(r, kv);
    ls_cursor_take(&r->c, kv->n * bytes);
    return LS_OK;
}

static ls_status read_kv(reader *r, ls_gguf_kv *kv)
{
    size_t   at;
    uint32_t type;
    LS_TRY(read_name(r, &kv->key, "a metadata key"));
    at = r->c.off;
    if (!ls_cursor_u32(&r->c, &type)) return truncated(r, "the metadata");
    if (type >= LS_GGUF_N_TYPES) {
        return broken(r, at, "key '%.*s' has value type %u, GGUF knows 0 to %d", LS_FMT(kv->key),
                      type, LS_GGUF_N_TYPES - 1);
    }
    kv->type = (ls_gguf_type)type;
    if (kv->type == LS_GGUF_ARRAY) return read_array(r, kv);
    if (kv->type == LS_GGUF_STR) return read_str(r, &kv->str, "a metadata string");
    kv->data = ls_cursor_take(&r->c, ls_gguf_type_bytes(kv->type));
    if (!kv->data) return truncated(r, "the metadata");
    if (kv->type == LS_GGUF_BOOL && *(const uint8_t *)kv->data > 1) {
        return broken(r, r->c.off - 1, "boolean '%.*s' is %u, not 0 or 1", LS_FMT(kv->key),
                      *(const uint8_t *)kv->data);
    }
    return LS_OK;
}

static ls_status read_dims(reader *r, ls_tensor *t)
{
    uint64_t n_elements = 1;
    size_t   at = r->c.off;
    if (!ls_cursor_u32(&r->c, &t->n_dims)) return truncated(r, "the tensor directory");
    if (t->n_dims == 0 || t->n_dims > LS_MAX_DIMS) {
        return broken(r, at, "tensor '%.*s' has %u dimensions, GGUF allows 1 to %d",
                      LS_FMT(t->name), t->n_dims, LS_MAX_DIMS);
    }
    for (uint32_t i = 0; i < LS_MAX_DIMS; i++) {
        uint64_t ne = 1;
        at = r->c.off;
        if (i < t->n_dims && !read_count(r, &ne)) return truncated(r, "the tensor directory");
        if (ne == 0 || __builtin_mul_overflow(n_elements, ne, &n_elements) ||
            n_elements > INT64_MAX) {
            return broken(r, at, "dimension %u of tensor '%.*s' is %llu, which no tensor can have",
                          i, LS_FMT(t->name), (unsigned long long)ne);
        }
        t->ne[i] = (int64_t)ne;
    }
    return LS_OK;
}

static ls_status read_tensor(reader *r, ls_tensor *t)
{
    size_t   at;
    uint32_t type;

    LS_TRY(read_name(r, &t->name, "a tensor name"));
    LS_TRY(read_dims(r, t));
    at = r->c.off;
    if (!ls_cursor_u32(&r->c, &type) || !ls_cursor_u64(&r->c, &t->file_off)) {
        return truncated(r, "the tensor directory");
    }
    t->dtype = (int)type;
    if (type >= MAX_TYPE || !ls_dtype_name(t->dtype)) {
        return broken(r, at, "tensor '%.*s' has type %u, which GGUF does not define",
                      LS_FMT(t->name), type);
    }
    /* I2_S stands for layouts that ask for different rows: place_tensor */
    if (t->dtype == LS_DTYPE_I2_S || (uint64_t)t->ne[0] % ls_dtype_block(t->dtype) == 0)
        return LS_OK;
    return broken(r, at, "tensor '%.*s' has rows of %lld elements, %s needs multiples of %zu",
                  LS_FMT(t->name), (long long)t->ne[0], ls_dtype_name(t->dtype),
                  ls_dtype_block(t->dtype));
}

/* Offsets become absolute, and data pointers are set once they are known to lie in the file. */
static ls_status place_tensor(const reader *r, ls_tensor *t, size_t entry)
{
    size_t   rows = (size_t)t->ne[1] * (size_t)t->ne[2] * (size_t)t->ne[3], end;
    bool     tiled = t->dtype == LS_DTYPE_TL1 || t->dtype == LS_DTYPE_TL2;
    uint64_t off = t->file_off, size = r->part->map.size;

    if (off % r->alignment != 0) {
        return broken(r, entry, "tensor '%.*s' starts at offset %llu, no multiple of %llu",
                      LS_FMT(t->name), (unsigned long long)off, (unsigned long long)r->alignment);
    }
    if (__builtin_add_overflow(off, r->part->data_off, &t->file_off) || t->file_off > size) {
        broken(r, entry, "tensor '%.*s' starts past the end of the file", LS_FMT(t->name));
        ls_fail_hint(r->err, "the file has %zu bytes; the download is probably truncated",
                     (size_t)size);
        return LS_ERR_FORMAT;
    }
    t->n_bytes = ls_matrix_bytes(t->dtype, rows, (size_t)t->ne[0]);
    if (!t->n_bytes && ls_dtype_flavour(t->dtype)) {
        return broken(r, entry, "tensor '%.*s' has %zu rows of %lld elements, which %s cannot hold",
                      LS_FMT(t->name), rows, (long long)t->ne[0], ls_dtype_name(t->dtype));
    }
    if (tiled && !t->tiles.bm) { /* to be looked at, not to be used */
        t->n_bytes = 0;
        return LS_OK;
    }
    if (!t->n_bytes || !ls_add_size((size_t)t->file_off, t->n_bytes, &end) || end > size) {
        broken(r, t->file_off, "tensor '%.*s' ends past the end of the file", LS_FMT(t->name));
        ls_fail_hint(r->err,
                     "it needs %zu bytes and %llu are left; the download is probably truncated",
                     t->n_bytes, (unsigned long long)(size - t->file_off));
        return LS_ERR_FORMAT;
    }
    t->data = r->part->map.data + t->file_off;
    return LS_OK;
}

static ls_status read_header(reader *r)
{
    uint64_t n_tensors, n_kv, at = 8;
    size_t   min_kv, min_tensor; /* the shortest entries bound the counts by the file's size */
    LS_TRY(ls_magic_check_gguf(&r->part->map, r->part->path, r->err));
    r->c.off = 4;
    if (!ls_cursor_u32(&r->c, &r->version)) return truncated(r, "the header");
    if (r->version < 1 || r->version > 3) {
        bool swapped = r->version != 0 && (r->version & 0xffff) == 0;
        ls_fail(r->err, LS_ERR_UNSUPPORTED,
                swapped ? "big-endian GGUF files are not supported"
                        : "GGUF version %u is not supported; versions 1 to 3 are",
                r->version);
        ls_fail_at(r->err, "%s: byte 4", r->part->path);
        return LS_ERR_UNSUPPORTED;
    }
    if (!read_count(r, &n_tensors) || !read_count(r, &n_kv)) return truncated(r, "the header");
    min_kv = count_bytes(r) + 4 + 1;
    min_tensor = 2 * count_bytes(r) + 4 + 4 + 8;
    if (n_tensors > r->c.size / min_tensor) {
        return broken(r, at, "the header claims %llu tensors, more than the file can hold",
                      (unsigned long long)n_tensors);
    }
    at += count_bytes(r);
    if (n_kv > r->c.size / min_kv) {
        return broken(r, at, "the header claims %llu metadata entries, more than the file can hold",
                      (unsigned long long)n_kv);
    }
    r->n_tensors = (size_t)n_tensors;
    r->n_kv = (size_t)n_kv;
    return LS_OK;
}

static ls_status read_alignment(reader *r)
{
    uint32_t v = 32;
    for (size_t i = 0; i < r->n_kv; i++) {
        const ls_gguf_kv *kv = &r->kv[i];
        if (!ls_str_is(kv->key, "general.alignment")) continue;
        if (kv->type == LS_GGUF_U32) memcpy(&v, kv->data, 4);
        if (kv->type != LS_GGUF_U32 || v < 8 || v > 1 << 30 || (v & (v - 1)) != 0) {
            return broken(r, (uint64_t)((const uint8_t *)kv->key.p - r->c.data),
                          "general.alignment is not a power of two of 8 or more");
        }
    }
    r->alignment = v;
    return LS_OK;
}

static ls_status resolve_types(reader *r, size_t index, size_t first)
{
    const ls_part  *part = &r->g->parts[index];
    uint64_t        size = part->map.size, off = part->data_off < size ? part->data_off : size;
    const void     *at = NULL;
    ls_ternary_part p = {.tensors = r->g->tensors + first,
                         .n_tensors = r->n_tensors,
                         .kv = index ? r->g->kv : r->kv,
                         .n_kv = index ? r->g->n_kv : r->n_kv,
                         .data = part->map.data + off,
                         .data_bytes = size - off,
                         .alignment = r->alignment,
                         .hints = r->g->hints};
    ls_status       status = ls_ternary_resolve(&p, &at, r->err);
    if (at && !index) {
        ls_fail_at(r->err, "%s: byte %llu", part->path,
                   (unsigned long long)((const uint8_t *)at - r->c.data));
    }
    return status;
}

static ls_status read_tensors(reader *r, size_t index)
{
    ls_gguf  *g = r->g;
    size_t    cap = g->n_tensors, first = g->n_tensors, *entries, total;
    ls_status status = LS_OK;

    if (!ls_add_size(first, r->n_tensors, &total)) total = SIZE_MAX;
    if (!g->tensors) {
        LS_TRY(ls_alloc(&g->tensors, total, sizeof(*g->tensors), "the tensor directory", r->err));
    } else {
        LS_TRY(
            ls_grow(&g->tensors, &cap, total, sizeof(*g->tensors), "the tensor directory", r->err));
        memset(g->tensors + first, 0, r->n_tensors * sizeof(*g->tensors));
    }
    LS_TRY(ls_alloc(&entries, r->n_tensors, sizeof(*entries), "the tensor directory", r->err));
    for (size_t i = 0; i < r->n_tensors && status == LS_OK; i++) {
        entries[i] = r->c.off;
        g->tensors[first + i].part = (uint32_t)index;
        status = read_tensor(r, &g->tensors[first + i]);
    }
    g->parts[index].data_off = (r->c.off + r->alignment - 1) & ~(r->alignment - 1);
    if (status == LS_OK) status = resolve_types(r, index, first);
    for (size_t i = 0; i < r->n_tensors && status == LS_OK; i++) {
        status = place_tensor(r, &g->tensors[first + i], entries[i]);
    }
    free(entries);
    if (status == LS_OK) g->n_tensors = total;
    return status;
}

static ls_status read_all(reader *r, size_t index)
{
    LS_TRY(read_header(r));
    LS_TRY(ls_alloc(&r->kv, r->n_kv, sizeof(*r->kv), "the metadata", r->err));
    for (size_t i = 0; i < r->n_kv; i++) LS_TRY(read_kv(r, &r->kv[i]));
    LS_TRY(read_alignment(r));
    return read_tensors(r, index);
}

ls_status ls_gguf_read_part(ls_gguf *g, size_t index, ls_gguf_kv **kv, size_t *n_kv, ls_error *err)
{
    const ls_part *part = &g->parts[index];
    reader         r = {.g = g, .part = part, .c = {part->map.data, part->map.size, 0}, .err = err};
    ls_status      status = read_all(&r, index);
    if (status != LS_OK) {
        free(r.kv);
        return status;
    }
    if (index == 0) {
        g->version = r.version;
        g->alignment = r.alignment;
    }
    *kv = r.kv;
    *n_kv = r.n_kv;
    return LS_OK;
}
