// SPDX-License-Identifier: MIT
/* mini_tiles.c - random TL1 and TL2 matrices: which shapes a model has, how they are cut, and their
 * codes.
 *
 * 32 rows are drawn from a seed of their own, so that threads can share a matrix: no two groups of
 * 32 share a byte, which of TL2's signs is not true of single rows. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "convert/mini_priv.h"
#include "dtype/packed.h"

enum { GROUP = 32 };

bool ls_mini_is_tiled(int dtype) { return dtype == LS_DTYPE_TL1 || dtype == LS_DTYPE_TL2; }

ls_status ls_mini_add_tiles(ls_mini_tiles *all, int dtype, const char *name, const int64_t *ne,
                            ls_error *err)
{
    const uint32_t rows = (uint32_t)ne[1], n = (uint32_t)ne[0];
    ls_tiles       s;
    size_t         i = 0;
    if (ne[2] != 1 || !ls_tiles_for(dtype, rows, n, &s)) {
        return ls_fail(
            err, LS_ERR_UNSUPPORTED,
            "tensor '%s' of %lld x %u rows of %u elements cannot be cut into tiles of %s", name,
            (long long)ne[2], rows, n, ls_dtype_name(dtype));
    }
    while (i < all->n && (all->v[i][0] != rows || all->v[i][1] != n)) i++;
    if (i == LS_MINI_MOST_TILES) return ls_fail(err, LS_ERR_LIMIT, "too many shapes of tiles");
    if (i == all->n)
        memcpy(all->v[all->n++], (uint32_t[]){rows, n, s.bm, s.bk, s.bmm}, sizeof(all->v[0]));
    return LS_OK;
}

ls_status ls_mini_put_tiles(ls_gguf_writer *w, const ls_mini_tiles *all, ls_error *err)
{
    if (!all->n) return LS_OK;
    return ls_gguf_write_array(w, LS_KEY_TILES, LS_GGUF_U32, all->v, 5 * all->n, err);
}

typedef struct drawing {
    ls_tensor t;
    uint8_t  *out;
    int8_t   *codes; /* a row for each thread */
    uint64_t  seed;
} drawing;

/* -1, 0 or 1 each, equally often but for 2^-32 of it. */
static void draw_codes(int8_t *codes, size_t n, uint64_t *random)
{
    for (size_t i = 0; i < n; i++) {
        *random = *random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
        codes[i] = (int8_t)((int)((*random >> 32) * 3 >> 32) - 1);
    }
}

static void draw_groups(void *ctx, size_t begin, size_t end, int thread)
{
    const drawing *d = ctx;
    size_t         n = (size_t)d->t.ne[0];
    int8_t        *codes = d->codes + (size_t)thread * n;
    for (size_t g = begin; g < end; g++) {
        uint64_t random = d->seed + g * 0xd1342543de82ef95u;
        for (size_t r = g * GROUP; r < (g + 1) * GROUP; r++) {
            draw_codes(codes, n, &random);
            ls_packed_put_row(d->out, &d->t, r, codes);
        }
    }
}

ls_status ls_mini_draw_tiles(uint8_t **out, size_t *bytes, int dtype, const int64_t *ne,
                             float scale, uint64_t seed, ls_pool *pool, ls_error *err)
{
    size_t  rows = (size_t)ne[1], n = (size_t)ne[0];
    drawing d = {.t = {.dtype = dtype, .n_dims = 2, .ne = {ne[0], ne[1], 1, 1}}, .seed = seed};
    *out = NULL;
    *bytes = ls_matrix_bytes(dtype, rows, n);
    if (!ls_tiles_for(dtype, rows, n, &d.t.tiles))
        return ls_fail(err, LS_ERR_INTERNAL, "a matrix that was announced cannot be cut");
    LS_TRY(ls_alloc(&d.codes, (size_t)ls_pool_n_threads(pool), n, "rows of codes", err));
    if (ls_alloc(&d.out, *bytes, 1, "weights", err) == LS_OK) {
        ls_pool_run(pool, draw_groups, &d, rows / GROUP, 1);
        ls_packed_put_scale(d.out, &d.t, scale);
        *out = d.out;
    }
    free(d.codes);
    return *out ? LS_OK : LS_ERR_NOMEM;
}
