// SPDX-License-Identifier: MIT
/* strips.c - a model's matrices in the form that the fast products read (dtype/strips.h).
 *
 * One allocation on large pages, where the system has them: what is streamed once per token is read
 * faster from there. It is filled in pieces that begin where a large page can: a page that two
 * threads touch first at the same time is cleared twice, and a new page costs more than its
 * contents. Who fills a piece touches it first, so that on machines whose memory is in several
 * places it spreads over all of them. Pages of the file are fetched ahead of their use and handed
 * back after it, so that a model is not in memory twice. */
#include "model/strips.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pool.h"
#include "dtype/strips.h"

enum { PIECE = 2 << 20, AHEAD = 16 }; /* bytes of a piece; pieces that are fetched ahead */

static const size_t of_layer[] = {
    offsetof(ls_layer, q),         offsetof(ls_layer, k),           offsetof(ls_layer, v),
    offsetof(ls_layer, o),         offsetof(ls_layer, gate),        offsetof(ls_layer, up),
    offsetof(ls_layer, down),      offsetof(ls_layer, router),      offsetof(ls_layer, gate_shared),
    offsetof(ls_layer, up_shared), offsetof(ls_layer, down_shared), offsetof(ls_layer, gate_exps),
    offsetof(ls_layer, up_exps),   offsetof(ls_layer, down_exps),
};
enum { N_OF_LAYER = sizeof(of_layer) / sizeof(of_layer[0]), FIRST_OF_EXPERTS = N_OF_LAYER - 3 };

/* Matrix i of the model, and how many of its kind follow it (experts); NULL: there are no more. */
static ls_matrix *matrix_at(ls_model *m, size_t i, size_t *n)
{
    size_t layer = i / N_OF_LAYER;
    *n = 1;
    if (layer == (size_t)m->config.n_layers) return i % N_OF_LAYER ? NULL : &m->output;
    if (i % N_OF_LAYER >= FIRST_OF_EXPERTS) *n = (size_t)m->config.n_expert;
    return (ls_matrix *)(void *)((uint8_t *)&m->layers[layer] + of_layer[i % N_OF_LAYER]);
}

bool ls_matrix_has_strips(const ls_matrix *w)
{
    return w->data && w->n_rows && w->n_rows % LS_STRIP_ROWS == 0 && ls_strips_of(w->dtype) != NULL;
}

static size_t aligned(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

ls_status ls_strip_plan_make(ls_strip_plan *out, ls_model *m, ls_error *err)
{
    size_t     n;
    ls_matrix *w;
    *out = (ls_strip_plan){0};
    LS_TRY(ls_alloc(&out->items, (size_t)m->config.n_layers * N_OF_LAYER + 1, sizeof(*out->items),
                    "a list of the weights", err));
    for (size_t i = 0; (w = matrix_at(m, i, &n)); i++) {
        size_t bytes = ls_matrix_has_strips(w) ? n * w->n_rows * ls_matrix_strip_row(w) : 0;
        if (bytes == 0) continue;
        out->items[out->n++] = (ls_strip_item){
            .w = w, .n_strips = n * w->n_rows / LS_STRIP_ROWS, .at = out->bytes, .bytes = bytes};
        out->bytes += aligned(bytes);
    }
    return LS_OK;
}

void ls_strip_plan_fini(ls_strip_plan *p)
{
    free(p->items);
    *p = (ls_strip_plan){0};
}

void ls_strip_plan_use(const ls_strip_plan *p, uint8_t *image)
{
    for (size_t i = 0; i < p->n; i++) p->items[i].w->strips = image + p->items[i].at;
}

/* Some columns of 16 rows at a time, by way of a buffer. Rows often lie a power of two apart, and
 * then 16 of them do not stay in the cache together; from the buffer they do. */
static void pack_strip(const ls_matrix *w, uint8_t *strip, const uint8_t *rows)
{
    enum { PART = 2048, STRIDE = PART + 64, COLUMNS = 256 };
    uint8_t buffer[LS_STRIP_ROWS * STRIDE];
    size_t  unit = w->n % COLUMNS ? 0 : w->row_bytes / (w->n / COLUMNS), size;
    if (w->lookup) {
        ls_lookup_pack(w->lookup, strip, rows, w->row_bytes, w->n);
        return;
    }
    if (unit == 0 || unit > PART) {
        ls_strips_pack(w->dtype, strip, rows, w->row_bytes, w->n);
        return;
    }
    for (size_t at = 0; at < w->row_bytes; at += size) {
        size = PART / unit * unit;
        if (size > w->row_bytes - at) size = w->row_bytes - at;
        for (size_t r = 0; r < LS_STRIP_ROWS; r++)
            memcpy(buffer + r * STRIDE, rows + r * w->row_bytes + at, size);
        ls_strips_pack(w->dtype, strip + LS_STRIP_ROWS * at, buffer, STRIDE, size / unit * COLUMNS);
    }
}

void ls_matrix_to_strips(const ls_matrix *w, uint8_t *to, size_t begin, size_t end)
{
    size_t         bytes = LS_STRIP_ROWS * ls_matrix_strip_row(w);
    const uint8_t *rows = w->data;
    for (size_t s = begin; s < end; s++)
        pack_strip(w, to + (s - begin) * bytes, rows + s * LS_STRIP_ROWS * w->row_bytes);
}

/* ---- the image in memory ---- */

typedef struct packing {
    ls_strip_plan  plan;
    uint8_t       *image;
    const ls_gguf *gguf;
} packing;

/* Strips of an item that begin in bytes [from, to) of the image. */
static void strips_within(const ls_strip_item *it, size_t from, size_t to, size_t *begin,
                          size_t *end)
{
    size_t bytes = ls_strip_bytes(it);
    *begin = from <= it->at ? 0 : (from - it->at + bytes - 1) / bytes;
    *end = to <= it->at ? 0 : (to - it->at + bytes - 1) / bytes;
    if (*end > it->n_strips) *end = it->n_strips;
}

static void fetch_piece(const packing *p, size_t piece)
{
    size_t begin, end;
    for (size_t i = 0; i < p->plan.n; i++) {
        const ls_strip_item *it = &p->plan.items[i];
        strips_within(it, piece * PIECE, (piece + 1) * PIECE, &begin, &end);
        if (begin < end)
            ls_gguf_fetch(p->gguf, (const uint8_t *)it->w->data + begin * ls_strip_source(it),
                          (end - begin) * ls_strip_source(it));
    }
}

static void fill_piece(const packing *p, size_t piece)
{
    size_t begin, end;
    for (size_t i = 0; i < p->plan.n; i++) {
        const ls_strip_item *it = &p->plan.items[i];
        size_t               source = ls_strip_source(it);
        strips_within(it, piece * PIECE, (piece + 1) * PIECE, &begin, &end);
        if (begin >= end) continue;
        ls_matrix_to_strips(it->w, p->image + it->at + begin * ls_strip_bytes(it), begin, end);
        ls_gguf_forget(p->gguf, (const uint8_t *)it->w->data + begin * source,
                       (end - begin) * source);
    }
}

static void fill(void *ctx, size_t begin, size_t end, int thread)
{
    (void)thread;
    for (size_t piece = begin; piece < end; piece++) {
        for (size_t i = piece ? piece + AHEAD : 0; i <= piece + AHEAD; i++) fetch_piece(ctx, i);
        fill_piece(ctx, piece);
    }
}

/* A model that hardly fits stays a mapped file, of which the system can drop what it likes. */
static bool too_large(size_t bytes)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 && bytes / 3 > (size_t)pages / 4 * (size_t)page;
}

static ls_status fill_image(ls_model *m, packing *p, int n_threads, ls_error *err)
{
    ls_pool  *pool;
    ls_status status;
    LS_TRY(ls_pool_create(&pool, n_threads, err));
    status = ls_pages_alloc(&m->strips, p->plan.bytes, "the weights", err);
    if (status != LS_OK) {
        ls_pool_destroy(pool);
        return status;
    }
    p->image = m->strips.data;
    p->gguf = m->gguf;
    ls_pool_run(pool, fill, p, (p->plan.bytes + PIECE - 1) / PIECE, 1);
    ls_pool_destroy(pool);
    for (size_t i = 0; i < p->plan.n; i++) /* the pages that two pieces share */
        ls_gguf_forget(m->gguf, p->plan.items[i].w->data, ls_strips_source(&p->plan.items[i]));
    ls_strip_plan_use(&p->plan, p->image);
    return LS_OK;
}

ls_status ls_model_pack(ls_model *m, int n_threads, ls_error *err)
{
    packing   p = {0};
    ls_status status = LS_OK;
    if (m->strips.data || m->prepacked.data) return LS_OK;
    LS_TRY(ls_strip_plan_make(&p.plan, m, err));
    if (p.plan.bytes && !too_large(p.plan.bytes)) status = fill_image(m, &p, n_threads, err);
    ls_strip_plan_fini(&p.plan);
    return status;
}
