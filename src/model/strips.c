// SPDX-License-Identifier: MIT
/* strips.c - a model's matrices in the form that the fast products read (dtype/strips.h).
 *
 * One allocation on large pages, where the system has them: what is streamed once per token is read
 * faster from there. Matrices go there one after the other, and the pages of the file are
 * handed back, so that a model is not in memory twice. */
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/pages.h"
#include "base/pool.h"
#include "dtype/strips.h"
#include "model/weights.h"

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

static bool fits(const ls_matrix *w)
{
    return w->data && w->n_rows && w->n_rows % LS_STRIP_ROWS == 0 && ls_strips_of(w->dtype) != NULL;
}

static void pack(void *ctx, size_t begin, size_t end, int thread)
{
    const ls_matrix *w = ctx;
    size_t           bytes = LS_STRIP_ROWS * ls_matrix_strip_row(w);
    (void)thread;
    for (size_t s = begin; s < end; s++) {
        (w->lookup ? ls_lookup_pack : ls_strips_pack)(
            ls_matrix_form(w), w->strips + s * bytes,
            (const uint8_t *)w->data + s * LS_STRIP_ROWS * w->row_bytes, w->row_bytes, w->n);
    }
}

/* A model that hardly fits stays a mapped file, of which the system can drop what it likes. */
static bool too_large(size_t bytes)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 && bytes / 3 > (size_t)pages / 4 * (size_t)page;
}

static size_t aligned(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

ls_status ls_model_pack(ls_model *m, int n_threads, ls_error *err)
{
    size_t     bytes = 0, n;
    ls_matrix *w;
    ls_pool   *pool;
    uint8_t   *at;
    if (m->strips.data) return LS_OK;
    for (size_t i = 0; (w = matrix_at(m, i, &n)); i++)
        bytes += fits(w) ? aligned(n * w->n_rows * ls_matrix_strip_row(w)) : 0;
    if (bytes == 0 || too_large(bytes)) return LS_OK;
    LS_TRY(ls_pages_alloc(&m->strips, bytes, "the weights", err));
    LS_TRY(ls_pool_create(&pool, n_threads, err));
    at = m->strips.data;
    for (size_t i = 0; (w = matrix_at(m, i, &n)); i++) {
        if (!fits(w)) continue;
        w->strips = at;
        ls_pool_run(pool, pack, w, n * w->n_rows / LS_STRIP_ROWS, 4);
        ls_gguf_forget(m->gguf, w->data, n * w->n_rows * w->row_bytes);
        at += aligned(n * w->n_rows * ls_matrix_strip_row(w));
    }
    ls_pool_destroy(pool);
    return LS_OK;
}
