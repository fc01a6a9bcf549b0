// SPDX-License-Identifier: MIT
/* gguf_split.c - the other parts of a split model.
 *
 * llama-gguf-split writes PREFIX-00001-of-0000N.gguf and so on. Each part has split.no (from 0),
 * split.count and split.tensors.count; the rest of the metadata is in the first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/gguf_priv.h"

enum { SUFFIX = sizeof("-00001-of-00001.gguf") - 1, MAX_PARTS = 99999 };

/* A count among the metadata of one part; -1 where there is none. */
static int64_t count_of(const ls_gguf_kv *kv, size_t n_kv, const char *key)
{
    ls_gguf part = {.kv = (ls_gguf_kv *)(uintptr_t)kv, .n_kv = n_kv};
    int64_t v = -1;
    if (!ls_gguf_int(&part, key, &v)) return -1;
    return v < 0 ? -1 : v;
}

/* The path of part `no` (from 0) beside a part whose path is given; false if that one is not named
 * like a part of `count`. Owned. */
static bool sibling(char **out, const char *path, int64_t no, int64_t count)
{
    size_t n = strlen(path);
    int    own = 0, of = 0, end = 0;
    char   suffix[64]; /* SUFFIX characters: no and count are at most MAX_PARTS */
    if (n < SUFFIX || sscanf(path + n - SUFFIX, "-%5d-of-%5d.gguf%n", &own, &of, &end) != 2 ||
        end != SUFFIX || of != count) {
        return false;
    }
    snprintf(suffix, sizeof(suffix), "-%05d-of-%05d.gguf", (int)no + 1, (int)count);
    *out = malloc(n + 1);
    if (!*out) return true;
    memcpy(*out, path, n - SUFFIX);
    memcpy(*out + n - SUFFIX, suffix, SUFFIX);
    (*out)[n] = '\0';
    return true;
}

static ls_status bad_part(const ls_part *part, ls_error *err, const char *key, int64_t got,
                          int64_t want)
{
    ls_fail(err, LS_ERR_FORMAT, "this part has %s %lld, the first part asks for %lld", key,
            (long long)got, (long long)want);
    ls_fail_at(err, "%s: byte 24 (the metadata)", part->path);
    ls_fail_hint(err, "the parts are not of one model, or were renamed");
    return LS_ERR_FORMAT;
}

static ls_status read_part(ls_gguf *g, size_t no, int64_t count, ls_error *err)
{
    ls_part    *part = &g->parts[no];
    ls_gguf_kv *kv = NULL;
    size_t      n_kv = 0;
    int64_t     got_no, got_count;

    sibling(&part->path, g->path, (int64_t)no, count);
    if (!part->path) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a file name");
    if (ls_map_open(&part->map, part->path, err) != LS_OK) {
        ls_fail_at(err, "part %zu of %lld of %s", no + 1, (long long)count, g->path);
        ls_fail_hint(err, "all %lld parts must lie in one folder", (long long)count);
        return err ? err->status : LS_ERR_IO;
    }
    LS_TRY(ls_gguf_read_part(g, no, &kv, &n_kv, err));
    got_no = count_of(kv, n_kv, "split.no");
    got_count = count_of(kv, n_kv, "split.count");
    free(kv);
    if (got_count != count) return bad_part(part, err, "split.count", got_count, count);
    if (got_no != (int64_t)no) return bad_part(part, err, "split.no", got_no, (int64_t)no);
    return LS_OK;
}

static ls_status not_first(const ls_gguf *g, int64_t no, int64_t count, ls_error *err)
{
    char *first = NULL;
    ls_fail(err, LS_ERR_UNSUPPORTED, "this is part %lld of %lld of a split model, not the first",
            (long long)no + 1, (long long)count);
    ls_fail_at(err, "%s", g->path);
    if (sibling(&first, g->path, 0, count) && first) {
        ls_fail_hint(err, "open the first part: %s", first);
    } else {
        ls_fail_hint(err, "open the first part, NAME-00001-of-%05lld.gguf", (long long)count);
    }
    free(first);
    return LS_ERR_UNSUPPORTED;
}

static ls_status bad_name(const ls_gguf *g, int64_t count, ls_error *err)
{
    ls_fail(err, LS_ERR_FORMAT,
            "this is the first of %lld parts of a split model, but its name does not say so",
            (long long)count);
    ls_fail_at(err, "%s", g->path);
    ls_fail_hint(err, "name the parts NAME-00001-of-%05lld.gguf and so on", (long long)count);
    return LS_ERR_FORMAT;
}

ls_status ls_gguf_read_split(ls_gguf *g, ls_error *err)
{
    int64_t  count = count_of(g->kv, g->n_kv, "split.count");
    int64_t  no = count_of(g->kv, g->n_kv, "split.no");
    int64_t  n_tensors = count_of(g->kv, g->n_kv, "split.tensors.count");
    size_t   cap = 1;
    char    *own = NULL;
    ls_part *parts;

    if (count <= 1) return LS_OK;
    if (no > 0) return not_first(g, no, count, err);
    if (count > MAX_PARTS || !sibling(&own, g->path, 0, count)) return bad_name(g, count, err);
    free(own);
    parts = g->parts;
    LS_TRY(ls_grow(&parts, &cap, (size_t)count, sizeof(*parts), "the parts of a model", err));
    memset(parts + 1, 0, ((size_t)count - 1) * sizeof(*parts));
    g->parts = parts;
    for (g->n_parts = 1; g->n_parts < (size_t)count;) {
        g->n_parts++;
        LS_TRY(read_part(g, g->n_parts - 1, count, err));
    }
    if (n_tensors >= 0 && (uint64_t)n_tensors != g->n_tensors) {
        ls_fail(err, LS_ERR_FORMAT, "the parts hold %zu tensors, split.tensors.count is %lld",
                g->n_tensors, (long long)n_tensors);
        return ls_gguf_fail_at(g, ls_gguf_find(g, "split.tensors.count")->key.p, err);
    }
    return LS_OK;
}
