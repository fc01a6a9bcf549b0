// SPDX-License-Identifier: MIT
/* imatrix.c - importance of weights as llama-imatrix writes it: a GGUF file with sums and counts
 * per tensor, or the older binary form. Either becomes means per column. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/map.h"
#include "base/mem.h"
#include "lockstep/quantize.h"

typedef struct slot {
    ls_imatrix_entry e; /* of what is owned here: */
    char            *name;
    float           *weights;
} slot;

struct ls_imatrix {
    char   *path, *dataset;
    int64_t n_chunks;
    slot   *at;
    size_t  n, cap;
};

/* ---- what is asked of it ---- */

size_t                  ls_imatrix_n_entries(const ls_imatrix *m) { return m->n; }
const ls_imatrix_entry *ls_imatrix_at(const ls_imatrix *m, size_t i) { return &m->at[i].e; }
int64_t                 ls_imatrix_n_chunks(const ls_imatrix *m) { return m->n_chunks; }
const char             *ls_imatrix_path(const ls_imatrix *m) { return m->path; }

ls_str ls_imatrix_dataset(const ls_imatrix *m)
{
    return (ls_str){m->dataset, m->dataset ? strlen(m->dataset) : 0};
}

static int by_name(const void *a, const void *b)
{
    ls_str x = ((const slot *)a)->e.name, y = ((const slot *)b)->e.name;
    int    d = memcmp(x.p, y.p, x.len < y.len ? x.len : y.len);
    return d ? d : (x.len > y.len) - (x.len < y.len);
}

const ls_imatrix_entry *ls_imatrix_find(const ls_imatrix *m, ls_str name)
{
    slot        key = {.e = {.name = name}};
    const slot *found = m->n ? bsearch(&key, m->at, m->n, sizeof(*m->at), by_name) : NULL;
    return found ? &found->e : NULL;
}

void ls_imatrix_close(ls_imatrix *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->n; i++) {
        free(m->at[i].name);
        free(m->at[i].weights);
    }
    free(m->at);
    free(m->path);
    free(m->dataset);
    free(m);
}

/* ---- entries ---- */

static ls_status copy_text(char **out, const char *p, size_t n, ls_error *err)
{
    LS_TRY(ls_alloc(out, n + 1, 1, "a name", err));
    if (n) memcpy(*out, p, n);
    return LS_OK;
}

/* A new entry of n weights that are still zero. */
static ls_status add(ls_imatrix *m, ls_str name, size_t n, float **weights, ls_error *err)
{
    slot      s = {.e = {.n = n}};
    ls_status status;
    LS_TRY(ls_grow(&m->at, &m->cap, m->n + 1, sizeof(*m->at), "importance", err));
    LS_TRY(copy_text(&s.name, name.p, name.len, err));
    status = ls_alloc(&s.weights, n, sizeof(float), "importance", err);
    if (status != LS_OK) {
        free(s.name);
        return status;
    }
    s.e.name = (ls_str){s.name, name.len};
    s.e.weights = *weights = s.weights;
    m->at[m->n++] = s;
    return LS_OK;
}

static float float_at(const void *data, size_t i)
{
    float v;
    memcpy(&v, (const char *)data + 4 * i, 4);
    return v;
}

/* Index of the first value that is no weight of importance, n: none. */
static size_t first_bad(const float *w, size_t n)
{
    size_t i = 0;
    while (i < n && isfinite(w[i]) && w[i] >= 0) i++;
    return i;
}

/* ---- GGUF ---- */

static const char sums_suffix[] = ".in_sum2", counts_suffix[] = ".counts";

static bool ends_with(ls_str s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.p + s.len - n, end, n) == 0;
}

LS_PRINTF(4, 5)
static ls_status bad_tensor(const ls_gguf *g, const ls_tensor *t, ls_error *err, const char *fmt,
                            ...)
{
    char    what[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(err, LS_ERR_FORMAT, "tensor '%.*s' %s", LS_FMT(t->name), what);
    return ls_gguf_fail_at(g, t->name.p, err), LS_ERR_FORMAT;
}

/* The tensor of the same name with the other ending. */
static const ls_tensor *partner(const ls_gguf *g, ls_str stem, const char *suffix)
{
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        if (t->name.len != stem.len + strlen(suffix) || !ends_with(t->name, suffix)) continue;
        if (memcmp(t->name.p, stem.p, stem.len) == 0) return t;
    }
    return NULL;
}

static size_t elements(const ls_tensor *t) { return t->n_bytes / sizeof(float); }

static ls_status read_pair(ls_imatrix *m, const ls_gguf *g, const ls_tensor *sums, ls_error *err)
{
    ls_str           stem = {sums->name.p, sums->name.len - strlen(sums_suffix)};
    const ls_tensor *counts = partner(g, stem, counts_suffix);
    size_t           n = elements(sums), n_counts, width, bad;
    float           *w;
    if (!counts) return bad_tensor(g, sums, err, "has no counts beside it");
    if (sums->dtype != LS_DTYPE_F32 || counts->dtype != LS_DTYPE_F32) {
        return bad_tensor(g, sums, err, "or its counts are not f32");
    }
    n_counts = elements(counts);
    if (n % n_counts != 0) {
        return bad_tensor(g, sums, err, "has %zu sums for %zu counts", n, n_counts);
    }
    if (stem.len == 0) return bad_tensor(g, sums, err, "is of a tensor without a name");
    LS_TRY(add(m, stem, n, &w, err));
    width = n / n_counts;
    for (size_t i = 0; i < n; i++) {
        float count = float_at(counts->data, i / width);
        if (!(count >= 0 && count <= 9e15f)) {
            return bad_tensor(g, counts, err, "says %g at %zu, which is no count", (double)count,
                              i / width);
        }
        count = (float)llround((double)count);
        /* An expert that was never asked: all columns alike. */
        w[i] = count > 0 ? float_at(sums->data, i) / count : 1;
    }
    bad = first_bad(w, n);
    if (bad == n) return LS_OK;
    return bad_tensor(g, sums, err, "has %g at %zu, which is no importance", (double)w[bad], bad);
}

static ls_status read_pairs(ls_imatrix *m, const ls_gguf *g, ls_error *err)
{
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        if (ends_with(t->name, sums_suffix)) {
            LS_TRY(read_pair(m, g, t, err));
        } else if (ends_with(t->name, counts_suffix)) {
            ls_str stem = {t->name.p, t->name.len - strlen(counts_suffix)};
            if (!partner(g, stem, sums_suffix)) {
                return bad_tensor(g, t, err, "has no sums beside it");
            }
        }
    }
    return LS_OK;
}

static ls_status read_metadata(ls_imatrix *m, const ls_gguf *g, ls_error *err)
{
    static const char *const needed[] = {"imatrix.datasets", "imatrix.chunk_count",
                                         "imatrix.chunk_size"};
    const ls_gguf_kv        *sets = ls_gguf_array(g, needed[0], LS_GGUF_STR);
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (ls_gguf_find(g, needed[i])) continue;
        ls_fail(err, LS_ERR_FORMAT, "metadata key '%s' is missing: no file of importance",
                needed[i]);
        return ls_fail_at(err, "%s: byte 24 (the metadata)", m->path), LS_ERR_FORMAT;
    }
    if (!ls_gguf_int(g, needed[1], &m->n_chunks) || m->n_chunks < 0) {
        ls_fail(err, LS_ERR_FORMAT, "metadata key '%s' is no count", needed[1]);
        return ls_gguf_fail_at(g, ls_gguf_find(g, needed[1])->key.p, err), LS_ERR_FORMAT;
    }
    if (sets && sets->n > 0) {
        const void *cursor = sets->data;
        ls_str      first = ls_gguf_next_str(&cursor);
        LS_TRY(copy_text(&m->dataset, first.p, first.len, err));
    }
    return LS_OK;
}

static ls_status read_gguf(ls_imatrix *m, ls_error *err)
{
    ls_gguf  *g;
    ls_status status;
    LS_TRY(ls_gguf_open(&g, m->path, err));
    status = read_metadata(m, g, err);
    if (status == LS_OK) status = read_pairs(m, g, err);
    ls_gguf_close(g);
    return status;
}

/* ---- the older form ---- */

/* int32 entries, then for each: int32 length, name, int32 calls, int32 values, values as f32;
 * behind them, in later versions, int32 chunks, int32 length, name of the text. */
typedef struct old_file {
    ls_cursor c;
    size_t    at; /* where what is being read begins */
} old_file;

LS_PRINTF(4, 5)
static ls_status bad_byte(const ls_imatrix *m, const old_file *f, ls_error *err, const char *fmt,
                          ...)
{
    char    what[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(err, LS_ERR_FORMAT, "%s", what);
    ls_fail_hint(err, "expected is a file that llama-imatrix wrote");
    return ls_fail_at(err, "%s: byte %zu", m->path, f->at), LS_ERR_FORMAT;
}

/* A count of at least `least`, of things of `size` bytes that must be in the file. */
static ls_status old_count(const ls_imatrix *m, old_file *f, const char *what, int32_t least,
                           size_t size, int32_t *out, ls_error *err)
{
    uint32_t v;
    f->at = f->c.off;
    if (!ls_cursor_u32(&f->c, &v)) return bad_byte(m, f, err, "the file ends before %s", what);
    *out = (int32_t)v;
    if (*out < least) return bad_byte(m, f, err, "%s is %d", what, (int)*out);
    if ((uint64_t)v * size > f->c.size - f->c.off) {
        return bad_byte(m, f, err, "%s is %d, but only %zu bytes are left", what, (int)*out,
                        f->c.size - f->c.off);
    }
    return LS_OK;
}

static ls_status old_entry(ls_imatrix *m, old_file *f, ls_error *err)
{
    int32_t     len = 0, calls = 0, n = 0;
    const char *name;
    const void *values;
    float      *w;
    size_t      bad;
    LS_TRY(old_count(m, f, "the length of a name", 1, 1, &len, err));
    name = (const char *)ls_cursor_take(&f->c, (uint64_t)len);
    if (memchr(name, 0, (size_t)len)) return bad_byte(m, f, err, "a name holds a zero byte");
    LS_TRY(old_count(m, f, "the number of calls", INT32_MIN, 0, &calls, err));
    LS_TRY(old_count(m, f, "the number of values", 1, 4, &n, err));
    f->at = f->c.off;
    values = ls_cursor_take(&f->c, 4 * (uint64_t)n);
    LS_TRY(add(m, (ls_str){name, (size_t)len}, (size_t)n, &w, err));
    for (int32_t i = 0; i < n; i++) {
        w[i] = float_at(values, (size_t)i);
        if (calls > 0) w[i] /= (float)calls;
    }
    bad = first_bad(w, (size_t)n);
    if (bad == (size_t)n) return LS_OK;
    f->at += 4 * bad;
    return bad_byte(m, f, err, "%g is no importance", (double)w[bad]);
}

static ls_status read_old(ls_imatrix *m, const ls_map *map, ls_error *err)
{
    enum { SMALLEST = 17 }; /* bytes of an entry: one letter, one value */
    old_file f = {.c = {.data = map->data, .size = map->size}};
    int32_t  n = 0, n_chunks = 0, len = 0;
    LS_TRY(old_count(m, &f, "the number of entries", 1, SMALLEST, &n, err));
    for (int32_t i = 0; i < n; i++) LS_TRY(old_entry(m, &f, err));
    if (f.c.off == f.c.size) return LS_OK;
    LS_TRY(old_count(m, &f, "the number of chunks", 0, 0, &n_chunks, err));
    m->n_chunks = n_chunks;
    if (f.c.off == f.c.size) return LS_OK;
    LS_TRY(old_count(m, &f, "the length of the text's name", 0, 1, &len, err));
    if (len > 0) {
        const char *name = (const char *)ls_cursor_take(&f.c, (uint64_t)len);
        LS_TRY(copy_text(&m->dataset, name, strnlen(name, (size_t)len), err));
    }
    f.at = f.c.off;
    if (f.c.off == f.c.size) return LS_OK;
    return bad_byte(m, &f, err, "%zu bytes behind the end", f.c.size - f.c.off);
}

/* ---- either ---- */

static ls_status check_entries(ls_imatrix *m, ls_error *err)
{
    if (m->n == 0) {
        ls_fail(err, LS_ERR_FORMAT, "the file holds no importance");
        return ls_fail_at(err, "%s", m->path), LS_ERR_FORMAT;
    }
    qsort(m->at, m->n, sizeof(*m->at), by_name);
    for (size_t i = 1; i < m->n; i++) {
        if (!ls_str_eq(m->at[i - 1].e.name, m->at[i].e.name)) continue;
        ls_fail(err, LS_ERR_FORMAT, "importance of '%.*s' occurs twice", LS_FMT(m->at[i].e.name));
        return ls_fail_at(err, "%s", m->path), LS_ERR_FORMAT;
    }
    return LS_OK;
}

static ls_status read_file(ls_imatrix *m, const char *path, ls_error *err)
{
    ls_map    map;
    ls_status status;
    LS_TRY(copy_text(&m->path, path, strlen(path), err));
    LS_TRY(ls_map_open(&map, path, err));
    if (map.size >= 4 && memcmp(map.data, "GGUF", 4) == 0) {
        status = read_gguf(m, err);
    } else {
        status = read_old(m, &map, err);
    }
    ls_map_close(&map);
    return status == LS_OK ? check_entries(m, err) : status;
}

ls_status ls_imatrix_open(ls_imatrix **out, const char *path, ls_error *err)
{
    ls_imatrix *m;
    ls_status   status;
    *out = NULL;
    LS_TRY(ls_alloc(&m, 1, sizeof(*m), "importance", err));
    status = read_file(m, path, err);
    if (status == LS_OK) {
        *out = m;
    } else {
        ls_imatrix_close(m);
    }
    return status;
}
