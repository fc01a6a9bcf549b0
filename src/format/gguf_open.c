// SPDX-License-Identifier: MIT
/* gguf_open.c - opening a model: which reader a path needs, and what holds for all of them.
 *
 * A file is GGUF (one part, or the first of several); a folder, or the config.json in it, is a
 * Hugging Face model. What comes out is the same: metadata and tensors.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "format/gguf_priv.h"

static int compare(ls_str x, ls_str y)
{
    int d = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);
    return d ? d : (x.len > y.len) - (x.len < y.len);
}

static int by_key(const void *a, const void *b)
{
    return compare((*(const ls_gguf_kv *const *)a)->key, (*(const ls_gguf_kv *const *)b)->key);
}

static int by_name(const void *a, const void *b)
{
    return compare((*(const ls_tensor *const *)a)->name, (*(const ls_tensor *const *)b)->name);
}

static ls_status twice(const ls_gguf *g, const char *what, ls_str name, ls_error *err)
{
    ls_fail(err, LS_ERR_FORMAT, "%s '%.*s' occurs twice", what, LS_FMT(name));
    ls_gguf_fail_at(g, name.p, err);
    return LS_ERR_FORMAT;
}

ls_status ls_gguf_check_unique(const ls_gguf *g, ls_error *err)
{
    size_t       n = g->n_kv > g->n_tensors ? g->n_kv : g->n_tensors;
    const void **sorted;
    ls_status    status = LS_OK;

    LS_TRY(ls_alloc(&sorted, n, sizeof(*sorted), "the tensor directory", err));
    for (size_t i = 0; i < g->n_kv; i++) sorted[i] = &g->kv[i];
    qsort(sorted, g->n_kv, sizeof(*sorted), by_key);
    for (size_t i = 1; i < g->n_kv && status == LS_OK; i++) {
        if (by_key(&sorted[i - 1], &sorted[i]) != 0) continue;
        status = twice(g, "metadata key", ((const ls_gguf_kv *)sorted[i])->key, err);
    }
    for (size_t i = 0; i < g->n_tensors; i++) sorted[i] = &g->tensors[i];
    qsort(sorted, g->n_tensors, sizeof(*sorted), by_name);
    for (size_t i = 1; i < g->n_tensors && status == LS_OK; i++) {
        if (by_name(&sorted[i - 1], &sorted[i]) != 0) continue;
        status = twice(g, "tensor", ((const ls_tensor *)sorted[i])->name, err);
    }
    free(sorted);
    return status;
}

static ls_status read_gguf(ls_gguf *g, ls_error *err)
{
    LS_TRY(ls_alloc(&g->parts, 1, sizeof(*g->parts), "a model file", err));
    g->n_parts = 1;
    g->parts[0].path = strdup(g->path);
    if (!g->parts[0].path) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a file name");
    LS_TRY(ls_map_open(&g->parts[0].map, g->path, err));
    LS_TRY(ls_gguf_read_part(g, 0, &g->kv, &g->n_kv, err));
    LS_TRY(ls_gguf_read_split(g, err));
    return ls_gguf_check_unique(g, err);
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_config(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash ? slash + 1 : path, "config.json") == 0;
}

static ls_status open_model(ls_gguf **out, const char *path, const ls_gguf_hints *hints, bool dry,
                            ls_error *err)
{
    ls_gguf  *g;
    ls_error  local = {0};
    ls_status status;

    *out = NULL;
    if (!err) err = &local; /* places and hints are added to what inner frames recorded */
    LS_TRY(ls_alloc(&g, 1, sizeof(*g), "a model file", err));
    atomic_init(&g->n_owners, 1);
    g->path = strdup(path);
    g->hints = hints;
    if (!g->path) {
        status = ls_fail(err, LS_ERR_NOMEM, "not enough memory for a file name");
    } else if (is_folder(path) || is_config(path)) {
        status = ls_hf_read(g, dry, err);
    } else {
        status = read_gguf(g, err);
    }
    if (status != LS_OK) {
        ls_gguf_close(g);
        return status;
    }
    g->hints = NULL;
    *out = g;
    return LS_OK;
}

ls_status ls_gguf_open(ls_gguf **out, const char *path, ls_error *err)
{
    return open_model(out, path, NULL, false, err);
}

ls_status ls_gguf_open_as(ls_gguf **out, const char *path, const ls_gguf_hints *hints,
                          ls_error *err)
{
    return open_model(out, path, hints, false, err);
}

ls_status ls_hf_open_dry(ls_gguf **out, const char *path, ls_error *err)
{
    return open_model(out, path, NULL, true, err);
}

ls_gguf *ls_gguf_share(ls_gguf *g)
{
    atomic_fetch_add(&g->n_owners, 1);
    return g;
}

void ls_gguf_forget(const ls_gguf *g, const void *data, size_t n)
{
    for (size_t i = 0; i < g->n_parts; i++) {
        const ls_map *map = &g->parts[i].map;
        ls_map_forget(map, data ? data : map->data, data ? n : map->size);
    }
}

void ls_gguf_fetch(const ls_gguf *g, const void *data, size_t n)
{
    for (size_t i = 0; i < g->n_parts; i++) ls_map_fetch(&g->parts[i].map, data, n);
}

void ls_gguf_close(ls_gguf *g)
{
    if (!g || atomic_fetch_sub(&g->n_owners, 1) > 1) return;
    for (size_t i = 0; i < g->n_parts; i++) {
        ls_map_close(&g->parts[i].map);
        free(g->parts[i].path);
    }
    ls_checkpoint_close(g->checkpoint);
    ls_arena_free(&g->mem);
    free(g->parts);
    free(g->kv);
    free(g->tensors);
    free(g->path);
    free(g);
}
