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
/* A small image has smaller ones, so that there are so many; none is smaller than LEAST. */
enum { MANY_PIECES = 128, LEAST = 4096 };

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

/* Strips of an item that begin in bytes [from, to) of the image. */
static void strips_within(const ls_strip_item *it, size_t from, size_t to, size_t *begin,
                          size_t *end)
{
    size_t bytes = ls_strip_bytes(it);
    *begin = from <= it->at ? 0 : (from - it->at + bytes - 1) / bytes;
    *end = to <= it->at ? 0 : (to - it->at + bytes - 1) / bytes;
    if (*end > it->n_strips) *end = it->n_strips;
}

void ls_strip_plan_use(const ls_strip_plan *p, uint8_t *image, size_t bytes)
{
    for (size_t i = 0, begin, end; i < p->n; i++) {
        const ls_strip_item *it = &p->items[i];
        strips_within(it, 0, bytes, &begin, &end);
        it->w->n_packed = end * LS_STRIP_ROWS;
        it->w->strips = end ? image + it->at : NULL;
    }
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

/* It grows from its beginning to its end, a piece at a time. */
struct ls_packing {
    ls_strip_plan  plan; /* owned */
    ls_pool       *pool; /* owned */
    const ls_gguf *gguf;
    uint8_t       *image;
    size_t         piece; /* its bytes */
    size_t         n_pieces, n_filled;
    size_t         n_uses; /* after which all is packed */
};
typedef struct ls_packing packing;

static void fetch_piece(const packing *p, size_t piece)
{
    size_t begin, end;
    for (size_t i = 0; i < p->plan.n; i++) {
        const ls_strip_item *it = &p->plan.items[i];
        strips_within(it, piece * p->piece, (piece + 1) * p->piece, &begin, &end);
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
        strips_within(it, piece * p->piece, (piece + 1) * p->piece, &begin, &end);
        if (begin >= end) continue;
        ls_matrix_to_strips(it->w, p->image + it->at + begin * ls_strip_bytes(it), begin, end);
        ls_gguf_forget(p->gguf, (const uint8_t *)it->w->data + begin * source,
                       (end - begin) * source);
    }
}

static void fill(void *ctx, size_t begin, size_t end, int thread)
{
    const packing *p = ctx;
    (void)thread;
    for (size_t piece = p->n_filled + begin; piece < p->n_filled + end; piece++) {
        for (size_t i = piece ? piece + AHEAD : 0; i <= piece + AHEAD; i++) fetch_piece(p, i);
        fill_piece(p, piece);
    }
}

/* A model that hardly fits stays a mapped file, of which the system can drop what it likes. */
static bool too_large(size_t bytes)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 && bytes / 3 > (size_t)pages / 4 * (size_t)page;
}

void ls_packing_end(ls_model *m)
{
    if (!m->packing) return;
    ls_pool_destroy(m->packing->pool);
    ls_strip_plan_fini(&m->packing->plan);
    free(m->packing);
    m->packing = NULL;
}

/* Uses after which a matrix is packed: about 1.4 times those in which the time that strips save
 * makes good that of packing, fresh memory included (docs/performance.md, Loading). */
static size_t uses_of(const ls_matrix *w)
{
    enum { FAST_ROWS = 256, PLAIN_ROWS = 128, SLOW_ROWS = 64, NO_ROWS = 16 };
    switch (w->dtype) {
    case LS_DTYPE_Q8_0:
    case LS_DTYPE_Q6_K:
    case LS_DTYPE_TQ2_0:
        return FAST_ROWS; /* as rows they are read nearly as fast */
    case LS_DTYPE_F32:
    case LS_DTYPE_F16:
    case LS_DTYPE_BF16:
        return PLAIN_ROWS;
    case LS_DTYPE_Q4_0:
    case LS_DTYPE_Q4_K:
    case LS_DTYPE_I2_S:
    case LS_DTYPE_TERNARY:
        return SLOW_ROWS;
    default:
        return NO_ROWS; /* packed for each product, or multiplied by a slow kernel */
    }
}

/* Of all matrices together, by their bytes. */
static size_t uses_of_plan(const ls_strip_plan *p)
{
    double sum = 0;
    for (size_t i = 0; i < p->n; i++)
        sum += (double)p->items[i].bytes * (double)uses_of(p->items[i].w);
    return (size_t)(sum / (double)p->bytes) + 1;
}

/* m->packing stays NULL where nothing is to be packed. */
static ls_status begin_packing(ls_model *m, int n_threads, ls_error *err)
{
    packing  *p;
    ls_status status;
    LS_TRY(ls_alloc(&p, 1, sizeof(*p), "the packing of weights", err));
    m->packing = p;
    status = ls_strip_plan_make(&p->plan, m, err);
    if (status != LS_OK || p->plan.bytes == 0 || too_large(p->plan.bytes)) {
        ls_packing_end(m);
        return status;
    }
    status = ls_pool_create(&p->pool, n_threads, err);
    if (status == LS_OK) status = ls_pages_alloc(&m->strips, p->plan.bytes, "the weights", err);
    if (status != LS_OK) {
        ls_packing_end(m);
        return status;
    }
    p->image = m->strips.data;
    p->gguf = m->gguf;
    for (p->piece = PIECE; p->piece > LEAST && p->plan.bytes / p->piece < MANY_PIECES;)
        p->piece /= 2;
    p->n_pieces = (p->plan.bytes + p->piece - 1) / p->piece;
    p->n_uses = uses_of_plan(&p->plan);
    return LS_OK;
}

/* Fill it up to a piece. The rows of what is there are not read any more, and their pages go: also
 * those that two pieces share. */
static void fill_up_to(ls_model *m, size_t piece)
{
    packing *p = m->packing;
    size_t   before = p->n_filled * p->piece, now = piece * p->piece;
    if (piece == p->n_pieces) ls_gguf_forget(m->gguf, NULL, 0); /* each comes once more, and goes */
    ls_pool_run(p->pool, fill, p, piece - p->n_filled, 1);
    p->n_filled = piece;
    ls_strip_plan_use(&p->plan, p->image, now);
    for (size_t i = 0; i < p->plan.n; i++) {
        const ls_strip_item *it = &p->plan.items[i];
        size_t               end = it->at + it->bytes;
        if (end > before && end <= now) ls_gguf_forget(m->gguf, it->w->data, ls_strips_source(it));
    }
    if (piece == p->n_pieces) ls_packing_end(m);
}

ls_status ls_model_pack_some(ls_model *m, size_t n_uses, int n_threads, bool *done, ls_error *err)
{
    const packing *p;
    size_t         piece;
    *done = m->prepacked.data || (m->strips.data && !m->packing);
    if (*done) return LS_OK;
    if (!m->packing) LS_TRY(begin_packing(m, n_threads, err));
    p = m->packing;
    if (p) {
        piece =
            n_uses >= p->n_uses ? p->n_pieces : (p->n_pieces * n_uses + p->n_uses - 1) / p->n_uses;
        if (piece > p->n_filled) fill_up_to(m, piece);
    }
    *done = !m->packing;
    return LS_OK;
}

ls_status ls_model_pack(ls_model *m, int n_threads, ls_error *err)
{
    bool done;
    return ls_model_pack_some(m, SIZE_MAX, n_threads, &done, err);
}
