// SPDX-License-Identifier: MIT
/* checkpoint.c - opening weights: one file or several with an index, each read by its own reader.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/checkpoint_priv.h"
#include "format/json.h"
#include "format/magic.h"

enum { MAX_PARTS = 10000, MAX_INDEX_BYTES = 256 << 20 };

static const struct {
    const char *name;
    size_t      bytes;
} dtypes[LS_CKPT_N_DTYPES] = {
    [LS_CKPT_F64] = {"F64", 8},         [LS_CKPT_F32] = {"F32", 4},
    [LS_CKPT_F16] = {"F16", 2},         [LS_CKPT_BF16] = {"BF16", 2},
    [LS_CKPT_I64] = {"I64", 8},         [LS_CKPT_I32] = {"I32", 4},
    [LS_CKPT_I16] = {"I16", 2},         [LS_CKPT_I8] = {"I8", 1},
    [LS_CKPT_U64] = {"U64", 8},         [LS_CKPT_U32] = {"U32", 4},
    [LS_CKPT_U16] = {"U16", 2},         [LS_CKPT_U8] = {"U8", 1},
    [LS_CKPT_BOOL] = {"BOOL", 1},       [LS_CKPT_F8_E4M3] = {"F8_E4M3", 1},
    [LS_CKPT_F8_E5M2] = {"F8_E5M2", 1}, [LS_CKPT_F8_E8M0] = {"F8_E8M0", 1},
};

const char *ls_ckpt_dtype_name(ls_ckpt_dtype dtype)
{
    return (unsigned)dtype < LS_CKPT_N_DTYPES ? dtypes[dtype].name : "?";
}

size_t ls_ckpt_dtype_bytes(ls_ckpt_dtype dtype)
{
    return (unsigned)dtype < LS_CKPT_N_DTYPES ? dtypes[dtype].bytes : 0;
}

ls_ckpt_dtype ls_ckpt_dtype_parse(ls_str name)
{
    ls_ckpt_dtype d = LS_CKPT_F64;
    while (d < LS_CKPT_N_DTYPES && !ls_str_is(name, dtypes[d].name)) d++;
    return d;
}

bool ls_ckpt_bytes(const ls_ckpt_tensor *t, size_t *out)
{
    size_t n = ls_ckpt_dtype_bytes(t->dtype);
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (t->shape[i] < 0 || !ls_mul_size(n, (size_t)t->shape[i], &n)) return false;
    }
    *out = n;
    return n <= INT64_MAX;
}

ls_status ls_checkpoint_add(ls_checkpoint *c, const ls_ckpt_tensor *t, ls_error *err)
{
    LS_TRY(ls_grow(&c->tensors, &c->cap, c->n + 1, sizeof(*c->tensors), "the tensors", err));
    c->tensors[c->n++] = *t;
    return LS_OK;
}

static int compare(ls_str x, ls_str y)
{
    int d = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);
    return d ? d : (x.len > y.len) - (x.len < y.len);
}

static int by_name(const void *a, const void *b)
{
    return compare(((const ls_ckpt_tensor *)a)->name, ((const ls_ckpt_tensor *)b)->name);
}

static ls_status sort_tensors(ls_checkpoint *c, ls_error *err)
{
    if (c->n) qsort(c->tensors, c->n, sizeof(*c->tensors), by_name);
    for (size_t i = 1; i < c->n; i++) {
        const ls_ckpt_tensor *a = &c->tensors[i - 1], *b = &c->tensors[i];
        if (by_name(a, b) != 0) continue;
        ls_fail(err, LS_ERR_FORMAT, "tensor '%.*s' is there twice", LS_FMT(b->name));
        ls_fail_at(err, "%s: byte %llu", c->parts[b->part].path, (unsigned long long)b->file_off);
        return LS_ERR_FORMAT;
    }
    return LS_OK;
}

static bool is_zip(const ls_map *m) { return m->size >= 4 && memcmp(m->data, "PK\3\4", 4) == 0; }

/* A header length that is no more than 2^40, and the brace that its header starts with. */
static bool is_safetensors(const ls_map *m)
{
    return m->size > 8 && memcmp(m->data + 5, "\0\0\0{", 4) == 0;
}

static ls_status read_part(ls_checkpoint *c, size_t index, ls_error *err)
{
    ls_ckpt_part *part = &c->parts[index];
    LS_TRY(ls_map_open(&part->map, part->path, err));
    if (is_zip(&part->map)) return ls_pytorch_read(c, index, err);
    if (is_safetensors(&part->map)) return ls_safetensors_read(c, index, err);
    return ls_magic_refuse_weights(&part->map, part->path, err);
}

static ls_status add_part(ls_checkpoint *c, const char *folder, size_t folder_len, const char *name,
                          size_t *index, ls_error *err)
{
    size_t cap = c->n_parts, len = strlen(name);
    char  *path = malloc(folder_len + len + 1);
    if (!path) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a file name");
    memcpy(path, folder, folder_len);
    memcpy(path + folder_len, name, len + 1);
    for (size_t i = 0; i < c->n_parts; i++) {
        if (strcmp(c->parts[i].path, path) != 0) continue;
        free(path);
        *index = i;
        return LS_OK;
    }
    if (ls_grow(&c->parts, &cap, c->n_parts + 1, sizeof(*c->parts), "the files", err) != LS_OK) {
        free(path);
        return LS_ERR_NOMEM;
    }
    c->parts[c->n_parts] = (ls_ckpt_part){.path = path};
    *index = c->n_parts++;
    return LS_OK;
}

/* The index says which file each tensor is in; the files must agree. */
static ls_status check_index(const ls_checkpoint *c, const ls_json *j, const json_t *map,
                             size_t folder_len, ls_error *err)
{
    const char *name;
    json_t     *file;
    for (size_t i = 0; i < c->n; i++) {
        const ls_ckpt_tensor *t = &c->tensors[i];
        const char           *path = c->parts[t->part].path;
        file = json_object_getn(map, t->name.p, t->name.len);
        if (file && strcmp(json_string_value(file), path + folder_len) == 0) continue;
        ls_fail(err, LS_ERR_FORMAT, "the index does not say that tensor '%.*s' is in '%s'",
                LS_FMT(t->name), path + folder_len);
        ls_fail_at(err, "%s: byte %llu", path, (unsigned long long)t->file_off);
        return LS_ERR_FORMAT;
    }
    json_object_foreach((json_t *)(uintptr_t)map, name, file)
    {
        if (ls_checkpoint_tensor(c, (ls_str){name, strlen(name)})) continue;
        return ls_json_fail(j, name, err, "tensor '%s' should be in '%s', but is not", name,
                            json_string_value(file));
    }
    return LS_OK;
}

static ls_status list_parts(ls_checkpoint *c, const ls_json *j, const json_t *map, const char *path,
                            size_t folder_len, ls_error *err)
{
    const char *name;
    json_t     *file;
    size_t      index;
    json_object_foreach((json_t *)(uintptr_t)map, name, file)
    {
        const char *s = json_string_value(file);
        if (!s || !*s || *s == '.' || strchr(s, '/') || strlen(s) != json_string_length(file)) {
            return ls_json_fail(j, name, err, "the file of tensor '%s' is no name of a file", name);
        }
        if (c->n_parts == MAX_PARTS) {
            return ls_json_fail(j, name, err, "the index names more than %d files", MAX_PARTS);
        }
        LS_TRY(add_part(c, path, folder_len, s, &index, err));
    }
    return LS_OK;
}

static ls_status read_index(ls_checkpoint *c, const char *path, ls_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t      folder_len = slash ? (size_t)(slash - path) + 1 : 0;
    ls_json     j;
    json_t     *map;
    ls_status   status;

    LS_TRY(ls_json_open(&j, path, MAX_INDEX_BYTES, err));
    map = json_object_get(j.root, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0) {
        status = ls_json_fail(&j, "weight_map", err, "the index has no 'weight_map' of tensors");
    } else {
        status = list_parts(c, &j, map, path, folder_len, err);
    }
    for (size_t i = 0; i < c->n_parts && status == LS_OK; i++) {
        status = read_part(c, i, err);
        if (status == LS_ERR_IO) ls_fail_hint(err, "'%s' names it among the model's files", path);
    }
    if (status == LS_OK) status = sort_tensors(c, err);
    if (status == LS_OK) status = check_index(c, &j, map, folder_len, err);
    ls_json_free(&j);
    return status;
}

static bool is_index(const char *path)
{
    static const char suffix[] = ".index.json";
    size_t            n = strlen(path), m = sizeof(suffix) - 1;
    return n > m && strcmp(path + n - m, suffix) == 0;
}

ls_status ls_checkpoint_open(ls_checkpoint **out, const char *path, ls_error *err)
{
    ls_checkpoint *c;
    ls_error       local = {0};
    ls_status      status;
    size_t         index;

    *out = NULL;
    if (!err) err = &local;
    LS_TRY(ls_alloc(&c, 1, sizeof(*c), "a checkpoint", err));
    if (is_index(path)) {
        status = read_index(c, path, err);
    } else {
        status = add_part(c, "", 0, path, &index, err);
        if (status == LS_OK) status = read_part(c, 0, err);
        if (status == LS_OK) status = sort_tensors(c, err);
    }
    if (status != LS_OK) {
        ls_checkpoint_close(c);
        return status;
    }
    *out = c;
    return LS_OK;
}

void ls_checkpoint_close(ls_checkpoint *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->n_parts; i++) {
        ls_map_close(&c->parts[i].map);
        free(c->parts[i].path);
    }
    ls_arena_free(&c->mem);
    free(c->parts);
    free(c->tensors);
    free(c);
}

size_t ls_checkpoint_n_tensors(const ls_checkpoint *c) { return c->n; }
size_t ls_checkpoint_n_parts(const ls_checkpoint *c) { return c->n_parts; }

const ls_ckpt_tensor *ls_checkpoint_tensor_at(const ls_checkpoint *c, size_t i)
{
    return i < c->n ? &c->tensors[i] : NULL;
}

const ls_ckpt_tensor *ls_checkpoint_tensor(const ls_checkpoint *c, ls_str name)
{
    ls_ckpt_tensor key = {.name = name};
    if (!c->n) return NULL;
    return bsearch(&key, c->tensors, c->n, sizeof(key), by_name);
}

const char *ls_checkpoint_part_path(const ls_checkpoint *c, size_t i)
{
    return i < c->n_parts ? c->parts[i].path : NULL;
}

uint64_t ls_checkpoint_file_bytes(const ls_checkpoint *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->n_parts; i++) n += c->parts[i].map.size;
    return n;
}
