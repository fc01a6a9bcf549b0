// SPDX-License-Identifier: MIT
/* tiles_inl.h - a product of rows as tiles of LS_TILE_ROWS weight rows and one or LS_TILE_COLS columns,
 * which share the decoding of the weights.
 *
 * A tier defines LS_TILE_ROWS and LS_TILE_COLS before it includes this. */
#ifndef LS_KERNEL_TILES_INL_H
#define LS_KERNEL_TILES_INL_H

#include "kernel/kernel_priv.h"

#define LS_INLINE static inline __attribute__((always_inline))

/* Rows past the last one repeat it; their results are not stored. */
typedef struct ls_tile {
    const uint8_t *w[LS_TILE_ROWS];
    const uint8_t *x[LS_TILE_COLS];
    float         *y[LS_TILE_COLS];
    size_t         n_rows, n;
    size_t         ahead; /* from a row to that of the next tile */
    float          w_scale;
    bool           follow, whole;
} ls_tile;

typedef void ls_tile_fn(const ls_tile *t);

/* Of a single column the weights are read once, and the processor alone does not fetch several short
 * rows early enough: the bytes from `off` on of row r in the next tile. */
LS_INLINE void ls_tile_fetch(const ls_tile *t, int nc, int r, size_t off, size_t bytes)
{
    const uint8_t *p = t->w[r] + off;
    for (size_t line = 0; nc == 1 && line < bytes; line += 64)
        __builtin_prefetch((const void *)((uintptr_t)p + t->ahead + line));
}

/* Run `one` or `several` columns at a time over all of m. */
LS_INLINE void ls_tiles_run(const ls_matmul *m, ls_tile_fn *one, ls_tile_fn *several)
{
    ls_tile t = {.n = m->n, .w_scale = m->w_scale, .follow = m->follow, .whole = m->whole};
    t.ahead = LS_TILE_ROWS * m->row_bytes;
    for (size_t r = 0; r < m->n_rows; r += LS_TILE_ROWS) {
        t.n_rows = m->n_rows - r < LS_TILE_ROWS ? m->n_rows - r : LS_TILE_ROWS;
        for (size_t i = 0; i < LS_TILE_ROWS; i++) {
            size_t row = i < t.n_rows ? r + i : m->n_rows - 1;
            t.w[i] = (const uint8_t *)m->w + row * m->row_bytes;
        }
        for (size_t c = 0, step; c < m->n_cols; c += step) {
            step = m->n_cols - c < LS_TILE_COLS ? 1 : LS_TILE_COLS;
            for (size_t i = 0; i < step; i++) {
                t.x[i] = (const uint8_t *)m->x + (c + i) * m->x_bytes;
                t.y[i] = m->y + (c + i) * m->ldy + r;
            }
            (step == 1 ? one : several)(&t);
        }
    }
}

#endif
