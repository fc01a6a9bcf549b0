// SPDX-License-Identifier: MIT
/* chains_inl.h - tiles of columns and strips for the sums of attention, in registers of any width.
 *
 * The file that includes this defines `elem` (F32, F16, BF16, Q8_0), `vec`, VECS (registers to a
 * strip), TILE_STRIPS(columns) and MAX_STRIPS, the most of them, and the operations vec_*; vec_load
 * of Q8_0 gives the codes, vec_f16 an F16 number in every lane. A lane is an output, so that nothing is
 * added across lanes; columns share the loads of the strips and their decoding. Strips are worked on
 * in groups, and a block of a group stays in the cache while the columns go by.
 * scalar/chains.c is the definition. */
#ifndef LS_KERNEL_CHAINS_INL_H
#define LS_KERNEL_CHAINS_INL_H

enum { TILE_COLS = 6, TILE_VECS = MAX_STRIPS * VECS, VEC_LANES = LS_CHAIN_LANES / VECS };

LS_INLINE size_t elem_bytes(elem e) { return e == F32 ? 4 : e == Q8_0 ? 1 : 2; }

/* Bytes of n elements of a strip. */
LS_INLINE size_t strip_bytes(elem e, size_t n)
{
    if (e == Q8_0) return n / (LS_CHAIN_GROUP * LS_CHAIN_LANES) * LS_CHAIN_GROUP_BYTES;
    return n * elem_bytes(e);
}

/* Lanes [lane, lane + VEC_LANES) of term i of a strip. */
LS_INLINE vec vec_term(elem e, const uint8_t *strip, size_t i, size_t lane)
{
    const uint8_t *group = strip + i / LS_CHAIN_GROUP * LS_CHAIN_GROUP_BYTES;
    if (e != Q8_0) return vec_load(e, strip + (i * LS_CHAIN_LANES + lane) * elem_bytes(e));
    return vec_mul(vec_f16(group + 2 * (i % LS_CHAIN_GROUP)),
                   vec_load(e, group + 2 * LS_CHAIN_GROUP +
                                   i % LS_CHAIN_GROUP * LS_CHAIN_LANES + lane));
}

/* One tile at work: the terms of each column that lie in the block, and where its x and y are. */
typedef struct tile {
    const float   *x[TILE_COLS];
    float         *y[TILE_COLS];
    ls_span        span[TILE_COLS];
    const uint8_t *w;
    size_t         strip; /* bytes */
} tile;

/* Terms [begin, end) of C columns from column c0 on. */
LS_INLINE void add_terms(elem e, int c0, int C, int S, const tile *t, vec (*acc)[TILE_VECS],
                         size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++) {
        vec w[TILE_VECS];
#pragma GCC unroll 16
        for (int v = 0; v < S * VECS; v++) {
            const uint8_t *strip = t->w + (size_t)(v / VECS) * t->strip;
            w[v] = vec_term(e, strip, i, (size_t)(v % VECS) * VEC_LANES);
        }
#pragma GCC unroll 8
        for (int c = c0; c < c0 + C; c++) {
            vec x = vec_set1(t->x[c][i]);
#pragma GCC unroll 16
            for (int v = 0; v < S * VECS; v++) acc[c][v] = vec_fma(x, w[v], acc[c][v]);
        }
    }
}

/* A block of C columns and S strips, both constant. The terms that all columns have are added
 * together; those that only some have, before and behind, by themselves. */
LS_INLINE void run_tile(elem e, int C, int S, const tile *t, size_t s, bool first)
{
    vec    acc[TILE_COLS][TILE_VECS];
    size_t lo = 0, hi = SIZE_MAX;
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) {
        lo = t->span[c].from > lo ? t->span[c].from : lo;
        hi = t->span[c].to < hi ? t->span[c].to : hi;
#pragma GCC unroll 16
        for (int v = 0; v < S * VECS; v++) acc[c][v] = vec_zero();
    }
    if (lo >= hi) lo = hi = SIZE_MAX; /* nothing in common */
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) {
        add_terms(e, c, 1, S, t, acc, t->span[c].from, lo < t->span[c].to ? lo : t->span[c].to);
    }
    add_terms(e, 0, C, S, t, acc, lo, hi);
#pragma GCC unroll 8
    for (int c = 0; c < C; c++) {
        float *y = t->y[c] + s * LS_CHAIN_LANES;
        add_terms(e, c, 1, S, t, acc, hi, t->span[c].to);
#pragma GCC unroll 16
        for (int v = 0; v < S * VECS; v++) {
            vec sum = first ? vec_zero() : vec_load(F32, (const uint8_t *)(y + v * VEC_LANES));
            vec_store(y + v * VEC_LANES, vec_add(sum, acc[c][v]));
        }
    }
}

/* C columns of the tile over strips [s, end). */
LS_INLINE void run_columns(elem e, int C, const ls_chains *m, tile *t, size_t s, size_t end,
                           bool first)
{
    const int      S = TILE_STRIPS(C);
    const uint8_t *w = m->w;
    for (; s + (size_t)S <= end; s += (size_t)S) {
        t->w = w + s * t->strip;
        run_tile(e, C, S, t, s, first);
    }
    for (; S > 2 && s + (size_t)S / 2 <= end; s += (size_t)S / 2) {
        t->w = w + s * t->strip;
        run_tile(e, C, S / 2, t, s, first);
    }
    for (; s < end; s++) {
        t->w = w + s * t->strip;
        run_tile(e, C, 1, t, s, first);
    }
}

/* How many of the columns that are left make the next tile: two of four are better than six and
 * the rest. */
LS_INLINE size_t tile_cols(size_t left)
{
    return left == 7 || left == 8 ? 4 : left < TILE_COLS ? left : TILE_COLS;
}

/* Block b of strips [s, end), all columns. */
LS_INLINE void run_block(elem e, const ls_chains *m, size_t b, size_t s, size_t end, bool first)
{
    size_t stop = m->n - b < m->block ? m->n : b + m->block;
    for (size_t c = 0, n; c < m->n_cols; c += n) {
        tile t = {.strip = strip_bytes(e, m->strip)};
        n = tile_cols(m->n_cols - c);
        for (size_t i = 0; i < n; i++) {
            ls_span span = m->spans ? m->spans[c + i] : (ls_span){0, m->n};
            t.x[i] = m->x + (c + i) * m->ldx;
            t.y[i] = m->y + (c + i) * m->ldy;
            t.span[i].from = span.from > b ? span.from : b;
            t.span[i].to = span.to < stop ? span.to : stop;
        }
        switch (n) {
        case 1:
            run_columns(e, 1, m, &t, s, end, first);
            break;
        case 2:
            run_columns(e, 2, m, &t, s, end, first);
            break;
        case 3:
            run_columns(e, 3, m, &t, s, end, first);
            break;
        case 4:
            run_columns(e, 4, m, &t, s, end, first);
            break;
        case 5:
            run_columns(e, 5, m, &t, s, end, first);
            break;
        default:
            run_columns(e, 6, m, &t, s, end, first);
        }
    }
}

LS_INLINE void run_chains(elem e, const ls_chains *m)
{
    size_t from = SIZE_MAX, b;
    for (size_t c = 0; c < m->n_cols; c++) { /* blocks that nobody sees are left out */
        size_t at = m->spans ? m->spans[c].from : 0;
        from = at < from ? at : from;
    }
    for (size_t s = 0, end; s < m->n_strips; s = end) {
        end = m->n_strips - s < MAX_STRIPS ? m->n_strips : s + MAX_STRIPS;
        b = from / m->block * m->block;
        do { /* once at least: with no terms sums are 0 */
            run_block(e, m, b, s, end, b == from / m->block * m->block);
            b += m->block;
        } while (b < m->n);
    }
}

#endif
