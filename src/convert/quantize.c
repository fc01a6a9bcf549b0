// SPDX-License-Identifier: MIT
/* quantize.c - a model in a mixture of types: a tensor at a time, its rows shared by threads.
 *
 * A tensor is cut into stretches, which bound the memory, and those into chunks of rows that do not
 * depend on the number of threads; sums over chunks are taken in their order. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pool.h"
#include "convert/mixture.h"
#include "dtype/dtype.h"
#include "dtype/packed.h"
#include "lockstep/gguf_write.h"
#include "lockstep/quant.h"

enum { CHUNK = 1 << 14, CHUNKS = 256, MAX_THREADS = 1024, N_DTYPES = 64 };

/* Sums for the error of a tensor. */
typedef struct loss {
    double squares, differences;
} loss;

/* What one thread has for itself. */
typedef struct worker {
    float   *x, *y; /* rows of a chunk; one row decoded again */
    size_t   room;  /* floats in x                            */
    ls_error err;   /* of the first chunk that failed here    */
    size_t   failed;
} worker;

typedef struct quantizing {
    const ls_quantize_options *opt;
    ls_gguf_writer            *w;
    ls_pool                   *pool;
    worker                    *workers;
    uint8_t                   *out; /* a stretch of rows */
    size_t                     room;
    loss                       chunk_loss[CHUNKS];
    ls_quantizer              *quantizers[N_DTYPES]; /* made when they are needed */
    uint64_t                   done, total;
} quantizing;

/* A stretch of rows of one tensor. */
typedef struct stretch {
    quantizing         *z;
    const ls_plan      *p;
    const ls_quantizer *q;
    size_t              n, row_out;         /* weights of a row, its bytes */
    size_t              first, rows, chunk; /* rows; those of a chunk      */
} stretch;

static size_t n_elements(const ls_tensor *t)
{
    return (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
}

/* ---- rows ---- */

static void add_loss(loss *l, const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - (double)y[i];
        l->squares += (double)x[i] * (double)x[i];
        l->differences += d * d;
    }
}

/* Importance of a row: experts that lie in one tensor have their own. */
static const float *importance_of(const stretch *s, size_t row)
{
    const ls_tensor *t = s->p->tensor;
    size_t           expert = row / (size_t)t->ne[1] % (size_t)t->ne[2];
    return s->p->importance ? s->p->importance->weights + expert * s->n : NULL;
}

static ls_status convert_rows(const stretch *s, worker *w, size_t first, size_t rows, loss *l,
                              ls_error *err)
{
    const ls_tensor *t = s->p->tensor;
    uint8_t         *out = s->z->out + (first - s->first) * s->row_out;
    ls_tensor_decode(w->x, t, first, rows);
    for (size_t r = 0, k; r < rows; r += k) { /* stretches of one expert */
        k = (size_t)t->ne[1] - (first + r) % (size_t)t->ne[1];
        if (k > rows - r || !s->p->importance) k = rows - r;
        LS_TRY(ls_quantizer_rows(s->q, out + r * s->row_out, w->x + r * s->n, first + r, k, s->n,
                                 importance_of(s, first + r), err));
    }
    for (size_t r = 0; r < rows; r++) {
        ls_dtype_decode(s->p->dtype, w->y, out + r * s->row_out, s->n, 1);
        add_loss(l, w->x + r * s->n, w->y, s->n);
    }
    return LS_OK;
}

static void convert_chunks(void *ctx, size_t begin, size_t end, int thread)
{
    const stretch *s = ctx;
    worker        *w = &s->z->workers[thread];
    for (size_t c = begin; c < end; c++) {
        size_t   from = c * s->chunk, rows = s->rows - from < s->chunk ? s->rows - from : s->chunk;
        ls_error err = {0};
        loss    *l = &s->z->chunk_loss[c];
        *l = (loss){0};
        if (convert_rows(s, w, s->first + from, rows, l, &err) == LS_OK) continue;
        if (w->err.status != LS_OK && w->failed < c) continue;
        w->err = err;
        w->failed = c;
    }
}

/* The failure of the first chunk that failed, whichever thread had it. */
static ls_status first_failure(const quantizing *z, ls_error *err)
{
    const worker *first = NULL;
    for (int i = 0; i < ls_pool_n_threads(z->pool); i++) {
        const worker *w = &z->workers[i];
        if (w->err.status != LS_OK && (!first || w->failed < first->failed)) first = w;
    }
    if (!first) return LS_OK;
    if (err && err->status == LS_OK) *err = first->err;
    return first->err.status;
}

/* ---- one tensor ---- */

static ls_status make_room(quantizing *z, size_t out, size_t x, size_t y, ls_error *err)
{
    if (out > z->room) {
        free(z->out);
        z->out = NULL;
        z->room = 0;
        LS_TRY(ls_alloc(&z->out, out, 1, "quantised rows", err));
        z->room = out;
    }
    for (int i = 0; i < ls_pool_n_threads(z->pool); i++) {
        worker *w = &z->workers[i];
        if (x + y <= w->room) {
            w->y = w->x + x;
            continue;
        }
        free(w->x);
        w->x = NULL;
        w->room = 0;
        LS_TRY(ls_alloc(&w->x, x + y, sizeof(float), "rows of weights", err));
        w->room = x + y;
        w->y = w->x + x;
    }
    return LS_OK;
}

static ls_status quantizer_of(quantizing *z, int dtype, const ls_quantizer **out, ls_error *err)
{
    ls_quantizer **q = &z->quantizers[dtype % N_DTYPES]; /* those of rows have small numbers */
    if (!*q) LS_TRY(ls_quantizer_create(q, dtype, err));
    *out = *q;
    return LS_OK;
}

static ls_status check_cancelled(const quantizing *z, ls_error *err)
{
    if (!z->opt->cancelled || !*z->opt->cancelled) return LS_OK;
    return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
}

static void advance(quantizing *z, size_t bytes)
{
    z->done += bytes;
    if (z->opt->progress) z->opt->progress(z->opt->progress_ctx, z->done, z->total);
}

/* A tensor that keeps its type, piece by piece. */
static ls_status copy(quantizing *z, const ls_tensor *t, ls_error *err)
{
    enum { PIECE = 1 << 24 };
    for (size_t at = 0, k; at < t->n_bytes; at += k) {
        k = t->n_bytes - at < PIECE ? t->n_bytes - at : PIECE;
        LS_TRY(check_cancelled(z, err));
        LS_TRY(ls_gguf_write_data(z->w, (const uint8_t *)t->data + at, k, err));
        advance(z, k);
    }
    return LS_OK;
}

static ls_status convert(quantizing *z, const ls_plan *p, loss *l, ls_error *err)
{
    const ls_tensor *t = p->tensor;
    size_t           n = (size_t)t->ne[0], rows = n_elements(t) / n, at_once;
    stretch          s = {.z = z, .p = p, .n = n};
    s.row_out = ls_dtype_row_bytes(p->dtype, n);
    s.chunk = n < CHUNK ? CHUNK / n : 1;
    if (s.chunk > rows) s.chunk = rows;
    at_once = s.chunk * CHUNKS < rows ? s.chunk * CHUNKS : rows;
    LS_TRY(quantizer_of(z, p->dtype, &s.q, err));
    LS_TRY(make_room(z, at_once * s.row_out, s.chunk * n, n, err));
    for (s.first = 0; s.first < rows; s.first += s.rows) {
        size_t n_chunks;
        s.rows = rows - s.first < at_once ? rows - s.first : at_once;
        n_chunks = (s.rows + s.chunk - 1) / s.chunk;
        LS_TRY(check_cancelled(z, err));
        ls_pool_run(z->pool, convert_chunks, &s, n_chunks, 1);
        LS_TRY(first_failure(z, err));
        for (size_t c = 0; c < n_chunks; c++) {
            l->squares += z->chunk_loss[c].squares;
            l->differences += z->chunk_loss[c].differences;
        }
        LS_TRY(ls_gguf_write_data(z->w, z->out, s.rows * s.row_out, err));
        advance(z, t->n_bytes / rows * s.rows);
    }
    return LS_OK;
}

static ls_status put_tensor(quantizing *z, const ls_plan *p, loss *l, ls_error *err)
{
    ls_status status;
    char      where[sizeof(((ls_error *)0)->where)];
    if (p->dtype == p->tensor->dtype) return copy(z, p->tensor, err);
    status = convert(z, p, l, err);
    if (status == LS_ERR_UNSUPPORTED && err) {
        memcpy(where, err->where, sizeof(where));
        err->where[0] = '\0';
        ls_fail_at(err, "tensor '%.*s', %.200s", LS_FMT(p->tensor->name), where);
    }
    return status;
}

static void tell(const ls_quantize_options *opt, const ls_plan *p, const loss *l)
{
    const ls_tensor   *t = p->tensor;
    ls_quantize_tensor told = {.name = t->name,
                               .from = t->dtype,
                               .to = p->dtype,
                               .fallback = p->fallback,
                               .importance = p->importance && ls_quant_uses_importance(p->dtype),
                               .missing = p->missing,
                               .n_elements = n_elements(t),
                               .bytes_in = t->n_bytes,
                               .bytes_out = ls_dtype_tensor_bytes(p->dtype, n_elements(t))};
    if (p->dtype == t->dtype) told.bytes_out = t->n_bytes;
    if (l->squares > 0) told.error = sqrt(l->differences / l->squares);
    if (opt->tensor) opt->tensor(opt->tensor_ctx, &told);
}

/* ---- the file ---- */

/* At the end, as llama.cpp puts it, and in place of what was there. */
static ls_status put_int(ls_gguf_writer *w, const char *key, int64_t v, ls_error *err)
{
    ls_gguf_write_remove(w, key);
    return ls_gguf_write_int(w, key, LS_GGUF_U32, v, err);
}

static ls_status put_str(ls_gguf_writer *w, const char *key, ls_str v, ls_error *err)
{
    enum { LONGEST = 127 }; /* llama-quantize cuts them there */
    ls_gguf_write_remove(w, key);
    if (v.len > LONGEST) v.len = LONGEST;
    return ls_gguf_write_str(w, key, v, err);
}

static ls_status put_importance(ls_gguf_writer *w, const ls_imatrix *im, ls_error *err)
{
    const char *path = ls_imatrix_path(im);
    LS_TRY(put_str(w, "quantize.imatrix.file", (ls_str){path, strlen(path)}, err));
    if (ls_imatrix_dataset(im).p) {
        LS_TRY(put_str(w, "quantize.imatrix.dataset", ls_imatrix_dataset(im), err));
    }
    LS_TRY(put_int(w, "quantize.imatrix.entries_count", (int64_t)ls_imatrix_n_entries(im), err));
    if (ls_imatrix_n_chunks(im) <= 0) return LS_OK;
    return put_int(w, "quantize.imatrix.chunks_count", ls_imatrix_n_chunks(im), err);
}

static ls_status put_metadata(const quantizing *z, const ls_mixture *m, const ls_gguf *g,
                              ls_error *err)
{
    enum { QUANTIZATION_VERSION = 2 }; /* of the block formats */
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        LS_TRY(ls_gguf_write_kv(z->w, ls_gguf_kv_at(g, i), err));
    }
    LS_TRY(put_int(z->w, "general.quantization_version", QUANTIZATION_VERSION, err));
    if (m->file_type >= 0) LS_TRY(put_int(z->w, "general.file_type", m->file_type, err));
    ls_gguf_write_remove(z->w, "split.no");
    ls_gguf_write_remove(z->w, "split.count");
    ls_gguf_write_remove(z->w, "split.tensors.count");
    return z->opt->imatrix ? put_importance(z->w, z->opt->imatrix, err) : LS_OK;
}

/* Dimensions without ones at the end. */
static uint32_t rank(const ls_tensor *t)
{
    uint32_t n = LS_MAX_DIMS;
    while (n > 1 && t->ne[n - 1] == 1) n--;
    return n;
}

static ls_status write_all(quantizing *z, const char *path, const ls_mixture *m, const ls_gguf *g,
                           const ls_plan *plan, ls_error *err)
{
    size_t n = ls_gguf_n_tensors(g);
    LS_TRY(put_metadata(z, m, g, err));
    for (size_t i = 0; i < n; i++) {
        const ls_tensor *t = plan[i].tensor;
        LS_TRY(ls_gguf_write_tensor(z->w, t->name, plan[i].dtype, rank(t), t->ne,
                                    plan[i].dtype == t->dtype ? t->n_bytes : 0, err));
        z->total += t->n_bytes;
    }
    LS_TRY(ls_gguf_write_begin(z->w, path, err));
    for (size_t i = 0; i < n; i++) {
        loss l = {0};
        LS_TRY(put_tensor(z, &plan[i], &l, err));
        tell(z->opt, &plan[i], &l);
    }
    return ls_gguf_write_finish(z->w, err);
}

static ls_status set_up(quantizing *z, ls_error *err)
{
    int  n = z->opt->n_threads;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 0 || n > MAX_THREADS) {
        return ls_fail(err, LS_ERR_USAGE, "%d threads: 0 to %d are possible", n, MAX_THREADS);
    }
    if (n == 0) n = cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (int)cores;
    LS_TRY(ls_alloc(&z->workers, (size_t)n, sizeof(*z->workers), "threads", err));
    LS_TRY(ls_pool_create(&z->pool, n, err));
    return ls_gguf_writer_create(&z->w, err);
}

static ls_status quantize(const char *path, const ls_mixture *m, const ls_gguf *g,
                          const ls_quantize_options *opt, const ls_plan *plan, ls_error *err)
{
    quantizing *z;
    ls_status   status;
    LS_TRY(ls_alloc(&z, 1, sizeof(*z), "quantising", err));
    z->opt = opt;
    status = set_up(z, err);
    if (status == LS_OK) status = write_all(z, path, m, g, plan, err);
    for (int i = 0; z->pool && i < ls_pool_n_threads(z->pool); i++) free(z->workers[i].x);
    for (int i = 0; i < N_DTYPES; i++) ls_quantizer_destroy(z->quantizers[i]);
    ls_gguf_writer_destroy(z->w);
    ls_pool_destroy(z->pool);
    free(z->workers);
    free(z->out);
    free(z);
    return status;
}

ls_status ls_quantize_model(const char *path, const ls_gguf *g, const ls_quantize_options *opt,
                            ls_error *err)
{
    const ls_mixture *m = ls_mixture_find(opt->mixture);
    size_t            n = ls_gguf_n_tensors(g);
    ls_plan          *plan;
    ls_status         status;
    if (!m) {
        return ls_fail(err, LS_ERR_USAGE, "there is no mixture '%s'",
                       opt->mixture ? opt->mixture : "");
    }
    LS_TRY(ls_alloc(&plan, n, sizeof(*plan), "a plan", err));
    status = ls_plan_make(plan, m, g, opt, err);
    if (status == LS_OK && opt->dry_run) {
        for (size_t i = 0; i < n; i++) tell(opt, &plan[i], &(loss){0});
    } else if (status == LS_OK) {
        status = quantize(path, m, g, opt, plan, err);
    }
    free(plan);
    return status;
}
