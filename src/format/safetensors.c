// SPDX-License-Identifier: MIT
/* safetensors.c - one safetensors file: u64 length of a JSON header, the header, the data.
 *
 * The header is {"NAME": {"dtype", "shape", "data_offsets": [begin, end]}, ..., "__metadata__": {}}
 * with offsets from the end of the header. The data are covered without overlap and without gaps,
 * so that a file means one thing and hides nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/checkpoint_priv.h"
#include "format/json.h"

enum { MAX_NAME = 4096 };
#define MAX_HEADER 100000000 /* the limit of the format's own library */

typedef struct reader {
    ls_checkpoint *c;
    ls_ckpt_part  *part;
    size_t         index;
    ls_json        json;
    size_t         data_off;
    ls_error      *err;
} reader;

static ls_status broken(const reader *r, size_t at, const char *what)
{
    ls_fail(r->err, LS_ERR_FORMAT, "%s", what);
    ls_fail_at(r->err, "%s: byte %zu", r->part->path, at);
    return LS_ERR_FORMAT;
}

static ls_status read_shape(reader *r, ls_ckpt_tensor *t, const json_t *shape, const char *name)
{
    if (!json_is_array(shape) || json_array_size(shape) > LS_CKPT_MAX_DIMS) {
        return ls_json_fail(&r->json, name, r->err,
                            "tensor '%s' has no shape of at most %d dimensions", name,
                            LS_CKPT_MAX_DIMS);
    }
    t->n_dims = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < t->n_dims; i++) {
        const json_t *v = json_array_get(shape, i);
        t->shape[i] = json_integer_value(v);
        if (!json_is_integer(v) || t->shape[i] < 0) {
            return ls_json_fail(&r->json, name, r->err,
                                "dimension %u of tensor '%s' is no number of elements", i, name);
        }
    }
    return LS_OK;
}

static ls_status read_place(reader *r, ls_ckpt_tensor *t, const json_t *offsets, const char *name)
{
    const json_t *b = json_array_get(offsets, 0), *e = json_array_get(offsets, 1);
    json_int_t    begin = json_integer_value(b), end = json_integer_value(e);
    size_t        size = r->part->map.size - r->data_off;
    if (json_array_size(offsets) != 2 || !json_is_integer(b) || !json_is_integer(e) || begin < 0 ||
        end < begin) {
        return ls_json_fail(&r->json, name, r->err,
                            "tensor '%s' has no data_offsets [begin, end] with begin <= end", name);
    }
    if ((uint64_t)end > size) {
        ls_json_fail(&r->json, name, r->err, "tensor '%s' ends at %lld, past the %zu bytes of data",
                     name, (long long)end, size);
        ls_fail_hint(r->err, "the download is probably truncated");
        return LS_ERR_FORMAT;
    }
    if (!ls_ckpt_bytes(t, &t->n_bytes) || t->n_bytes != (size_t)(end - begin)) {
        return ls_json_fail(&r->json, name, r->err,
                            "tensor '%s' has %lld bytes of data, its shape and type %s ask for "
                            "another number",
                            name, (long long)(end - begin), ls_ckpt_dtype_name(t->dtype));
    }
    t->file_off = r->data_off + (size_t)begin;
    t->data = r->part->map.data + t->file_off;
    return LS_OK;
}

static ls_status read_tensor(reader *r, const char *name, size_t len, const json_t *v)
{
    ls_ckpt_tensor t = {.part = (uint32_t)r->index};
    ls_str         dtype = ls_json_str(json_object_get(v, "dtype"));
    if (len == 0 || len > MAX_NAME || memchr(name, 0, len)) {
        return ls_json_fail(&r->json, name, r->err,
                            "a tensor name is empty, too long or holds a zero byte");
    }
    if (!json_is_object(v) || !dtype.p) {
        return ls_json_fail(&r->json, name, r->err, "tensor '%s' has no dtype", name);
    }
    t.dtype = ls_ckpt_dtype_parse(dtype);
    if (t.dtype == LS_CKPT_N_DTYPES) {
        ls_json_fail(&r->json, name, r->err, "tensor '%s' has dtype '%.*s', which is not known",
                     name, LS_FMT(dtype));
        return LS_ERR_FORMAT;
    }
    LS_TRY(read_shape(r, &t, json_object_get(v, "shape"), name));
    LS_TRY(read_place(r, &t, json_object_get(v, "data_offsets"), name));
    LS_TRY(ls_arena_str(&r->c->mem, &t.name, name, len, r->err));
    return ls_checkpoint_add(r->c, &t, r->err);
}

static int by_offset(const void *a, const void *b)
{
    const ls_ckpt_tensor *x = *(const ls_ckpt_tensor *const *)a,
                         *y = *(const ls_ckpt_tensor *const *)b;
    if (x->file_off != y->file_off) return x->file_off < y->file_off ? -1 : 1;
    return (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
}

/* Every byte of the data belongs to exactly one tensor. */
static ls_status check_cover(const reader *r, size_t first)
{
    const ls_checkpoint   *c = r->c;
    size_t                 n = c->n - first, at = r->data_off;
    const ls_ckpt_tensor **sorted;
    ls_status              status = LS_OK;
    LS_TRY(ls_alloc(&sorted, n, sizeof(*sorted), "the tensors", r->err));
    for (size_t i = 0; i < n; i++) sorted[i] = &c->tensors[first + i];
    qsort(sorted, n, sizeof(*sorted), by_offset);
    for (size_t i = 0; i < n && status == LS_OK; i++) {
        const ls_ckpt_tensor *t = sorted[i];
        if (t->file_off != at) {
            ls_fail(r->err, LS_ERR_FORMAT, "tensor '%.*s' %s", LS_FMT(t->name),
                    t->file_off < at ? "overlaps another one"
                                     : "leaves a gap behind the one before it");
            ls_fail_at(r->err, "%s: byte %llu", r->part->path, (unsigned long long)t->file_off);
            status = LS_ERR_FORMAT;
        }
        at = (size_t)t->file_off + t->n_bytes;
    }
    free(sorted);
    if (status == LS_OK && at != r->part->map.size) {
        return broken(r, at, "bytes behind the last tensor belong to none");
    }
    return status;
}

static ls_status read_header(reader *r)
{
    const ls_map *m = &r->part->map;
    uint64_t      n;
    memcpy(&n, m->data, 8);
    if (n > MAX_HEADER || n > m->size - 8) {
        return broken(r, 0, "the header is longer than the file or than 100 MB");
    }
    r->data_off = 8 + (size_t)n;
    LS_TRY(ls_json_parse(&r->json, (const char *)m->data + 8, (size_t)n, r->part->path, 8, r->err));
    r->json.text = (char *)(uintptr_t)m->data + 8; /* borrowed, for places */
    return LS_OK;
}

static ls_status read_all(reader *r)
{
    const char *name;
    json_t     *v;
    size_t      first = r->c->n;
    json_object_foreach(r->json.root, name, v)
    {
        if (strcmp(name, "__metadata__") == 0) continue;
        LS_TRY(read_tensor(r, name, json_object_iter_key_len(json_object_key_to_iter(name)), v));
    }
    return check_cover(r, first);
}

ls_status ls_safetensors_read(ls_checkpoint *c, size_t index, ls_error *err)
{
    reader    r = {.c = c, .part = &c->parts[index], .index = index, .err = err};
    ls_status status;
    LS_TRY(read_header(&r));
    status = read_all(&r);
    r.json.text = NULL;
    ls_json_free(&r.json);
    return status;
}
