// SPDX-License-Identifier: MIT
/* plain_inl.h - products of F32, F16 and BF16 weights in the engine's own order.
 *
 * A lane of a register is a row, so that nothing is added across lanes: every 64 elements are one
 * chain of fused multiplications, and the chains are added in order (NUMERICS.md, clause 2).
 * Several columns read a panel, a piece of 16 rows as floats that stays in the cache; one column
 * reads a strip as it is stored. Rows that are not in strips become panels, too.
 *
 * A tier defines, before it includes this: elem and elem_bytes; PLAIN_LANES, the lanes of a
 * register; pf, a register; the pf_ functions; PLAIN_STRIPS and PLAIN_COLS, the strips and columns
 * that share loads; pf_square, v[i] = element k + i of as many rows as a register has lanes. */
#ifndef LS_KERNEL_PLAIN_INL_H
#define LS_KERNEL_PLAIN_INL_H

#include "dtype/strips.h"
#include "kernel/kernel_priv.h"
#include "kernel/numeric_inl.h"

enum {
    PIECE = 256, /* elements of a panel: whole chains that stay in the first cache */
    PLAIN_REGS = LS_STRIP_ROWS / PLAIN_LANES,
    PLAIN_CHAINS = 4,   /* at once for one column, at most */
    PLAIN_RESIDENT = 96 /* columns whose pieces stay in the second cache */
};

/* A piece of S strips and C columns: w[s] [n][16] numbers, x[c] [n] floats, and what y[c] [S][16]
 * grows by. */
typedef struct plain_job {
    const uint8_t *w[PLAIN_STRIPS];
    const float   *x[PLAIN_COLS];
    float         *y[PLAIN_COLS];
    size_t         n;
    bool           first; /* y is not yet anything: from 0 */
} plain_job;

typedef void plain_fn(const plain_job *j);

/* Elements i to end of the piece. */
LS_INLINE void plain_chain(elem e, const plain_job *j, int S, int C, size_t i, size_t end)
{
    const int V = S * PLAIN_REGS;
    bool      first = j->first && i == 0;
    pf        part[PLAIN_COLS][PLAIN_STRIPS * PLAIN_REGS];
    for (int c = 0; c < C; c++) {
        for (int v = 0; v < V; v++) part[c][v] = pf_set(0);
    }
    for (; i < end; i++) {
        pf w[PLAIN_STRIPS * PLAIN_REGS];
        for (int v = 0; v < V; v++) {
            size_t at = LS_STRIP_ROWS * i + PLAIN_LANES * (size_t)(v % PLAIN_REGS);
            w[v] = pf_load(e, j->w[v / PLAIN_REGS], at);
        }
#pragma GCC unroll 12
        for (int c = 0; c < C; c++) {
            pf x = pf_set(j->x[c][i]);
            for (int v = 0; v < V; v++) part[c][v] = pf_fma(w[v], x, part[c][v]);
        }
    }
    for (int c = 0; c < C; c++) {
        for (int v = 0; v < V; v++) {
            float *y = j->y[c] + PLAIN_LANES * v;
            pf     sum = first ? pf_set(0) : pf_load(F32, (const uint8_t *)y, 0);
            pf_store(y, pf_add(sum, part[c][v]));
        }
    }
}

LS_INLINE void plain_piece(elem e, const plain_job *j, int S, int C)
{
    for (size_t i = 0; i == 0 || i < j->n; i += LS_CHAIN) {
        plain_chain(e, j, S, C, i, j->n - i < LS_CHAIN ? j->n : i + LS_CHAIN);
    }
}

#define PLAIN_PIECE(name, e, S, C) \
    static void name(const plain_job *j) { plain_piece(e, j, S, C); }

/* Chains of one column that take turns, to hide latency: what is fetched ahead is then behind them. */
LS_INLINE size_t chains_at_once(elem e)
{
    return LS_FETCH_AHEAD / (LS_CHAIN * LS_STRIP_ROWS * elem_bytes(e));
}

/* That many chains of a strip as it is stored. */
LS_INLINE void plain_stored(elem e, const plain_job *j)
{
    const size_t   chains = chains_at_once(e);
    const uint8_t *w = j->w[0];
    pf             part[PLAIN_CHAINS][PLAIN_REGS];
    for (size_t k = 0; k < chains; k++) {
        for (size_t v = 0; v < PLAIN_REGS; v++) part[k][v] = pf_set(0);
    }
    for (size_t i = 0; i < LS_CHAIN; i++) {
        ls_fetch_lines(w, LS_FETCH_AHEAD, i, LS_CHAIN);
        for (size_t k = 0, at = i; k < chains; k++, at += LS_CHAIN) {
            pf x = pf_set(j->x[0][at]);
            for (size_t v = 0; v < PLAIN_REGS; v++)
                part[k][v] =
                    pf_fma(pf_load(e, w, LS_STRIP_ROWS * at + PLAIN_LANES * v), x, part[k][v]);
        }
    }
    for (size_t v = 0; v < PLAIN_REGS; v++) {
        float *y = j->y[0] + PLAIN_LANES * v;
        pf     sum = j->first ? pf_set(0) : pf_load(F32, (const uint8_t *)y, 0);
        for (size_t k = 0; k < chains; k++) sum = pf_add(sum, part[k][v]);
        pf_store(y, sum);
    }
}

/* Columns of a panel: as many as there are registers for, half of that, two, one. */
enum { PLAIN_STEPS = 4 };
static const int plain_steps[PLAIN_STEPS] = {PLAIN_COLS, PLAIN_COLS / 2, 2, 1};
PLAIN_PIECE(piece_all, F32, 1, PLAIN_COLS)
PLAIN_PIECE(piece_half, F32, 1, PLAIN_COLS / 2)
PLAIN_PIECE(piece_two, F32, 1, 2)
PLAIN_PIECE(piece_one, F32, 1, 1)
#if PLAIN_STRIPS == 2
PLAIN_PIECE(piece_all_2, F32, 2, PLAIN_COLS)
PLAIN_PIECE(piece_half_2, F32, 2, PLAIN_COLS / 2)
PLAIN_PIECE(piece_two_2, F32, 2, 2)
PLAIN_PIECE(piece_one_2, F32, 2, 1)
#endif
static plain_fn *const plain_many[PLAIN_STRIPS][PLAIN_STEPS] = {
    {piece_all, piece_half, piece_two, piece_one},
#if PLAIN_STRIPS == 2
    {piece_all_2, piece_half_2, piece_two_2, piece_one_2},
#endif
};

/* ---- panels ---- */

LS_INLINE void panel_of_strip(elem e, float *panel, const uint8_t *strip, size_t n)
{
    for (size_t i = 0; i < n * LS_STRIP_ROWS; i += PLAIN_LANES)
        pf_store(panel + i, pf_load(e, strip, i));
}

LS_INLINE float load1(elem e, const uint8_t *p, size_t i)
{
    uint8_t one[4 * PLAIN_LANES] = {0};
    float   lanes[PLAIN_LANES];
    memcpy(one, p + i * elem_bytes(e), elem_bytes(e));
    if (e == F32) return ls_load_f32(one, 0);
    pf_store(lanes, pf_load(e, one, 0));
    return lanes[0];
}

LS_INLINE void floats_of(elem e, float *to, const uint8_t *p, size_t n)
{
    size_t i = 0;
    for (; i + PLAIN_LANES <= n; i += PLAIN_LANES) pf_store(to + i, pf_load(e, p, i));
    for (; i < n; i++) to[i] = load1(e, p, i);
}

/* Element i of 16 rows from row r on; behind the last row, that row again. */
LS_INLINE void rows_at(elem e, const uint8_t *rows[LS_STRIP_ROWS], const ls_matmul *m, size_t r,
                       size_t i)
{
    for (size_t k = 0; k < LS_STRIP_ROWS; k++) {
        size_t row = r + k < m->n_rows ? r + k : m->n_rows - 1;
        rows[k] = (const uint8_t *)m->w + row * m->row_bytes + i * elem_bytes(e);
    }
}

/* n elements of 16 rows. */
LS_INLINE void panel_of_rows(elem e, float *panel, const uint8_t *const rows[LS_STRIP_ROWS], size_t n)
{
    size_t k = 0;
    for (; k + PLAIN_LANES <= n; k += PLAIN_LANES) {
#pragma GCC unroll 4
        for (size_t h = 0; h < LS_STRIP_ROWS; h += PLAIN_LANES) {
            pf v[PLAIN_LANES];
            pf_square(e, rows + h, k, v);
            for (size_t l = 0; l < PLAIN_LANES; l++)
                pf_store(panel + (k + l) * LS_STRIP_ROWS + h, v[l]);
        }
    }
    for (; k < n; k++) {
        for (size_t l = 0; l < LS_STRIP_ROWS; l++) {
            panel[k * LS_STRIP_ROWS + l] = load1(e, rows[l], k);
        }
    }
}

/* ---- products ---- */

LS_INLINE const float *plain_x(const ls_matmul *m, size_t c, size_t i)
{
    return (const float *)(const void *)((const uint8_t *)m->x + c * m->x_bytes) + i;
}

static void plain_columns(plain_job *j, const ls_matmul *m, plain_fn *const *fns, size_t r,
                          size_t i, size_t c, size_t end)
{
    for (int step = 0; c < end; step++) {
        size_t n = (size_t)plain_steps[step];
        for (; c + n <= end; c += n) {
            for (size_t k = 0; k < n; k++) {
                j->x[k] = plain_x(m, c + k, i);
                j->y[k] = m->y + (c + k) * m->ldy + r;
            }
            fns[step](j);
        }
    }
}

/* Several columns of strips, one piece after the other. */
LS_INLINE void plain_strips_many(elem e, const ls_matmul *m, size_t c0, size_t c1)
{
    _Alignas(64) float panel[PLAIN_STRIPS][PIECE * LS_STRIP_ROWS];
    plain_job          j;
    for (size_t i = 0; i == 0 || i < m->n; i += PIECE) {
        j.n = m->n - i < PIECE ? m->n - i : PIECE;
        j.first = i == 0;
        for (size_t r = 0, S; r < m->n_rows; r += S * LS_STRIP_ROWS) {
            S = m->n_rows - r < PLAIN_STRIPS * LS_STRIP_ROWS ? 1 : PLAIN_STRIPS;
            for (size_t s = 0; s < S; s++) {
                j.w[s] = (const uint8_t *)m->w + (r + s * LS_STRIP_ROWS) * m->row_bytes +
                         i * LS_STRIP_ROWS * elem_bytes(e);
                if (e == F32) continue;
                panel_of_strip(e, panel[s], j.w[s], j.n);
                j.w[s] = (const uint8_t *)panel[s];
            }
            plain_columns(&j, m, plain_many[S - 1], r, i, c0, c1);
        }
    }
}

/* One column: a strip is read once, as it is stored. */
LS_INLINE void plain_strips_one(elem e, const ls_matmul *m)
{
    const size_t whole = chains_at_once(e) * LS_CHAIN;
    plain_job    j;
    for (size_t r = 0; r < m->n_rows; r += LS_STRIP_ROWS) {
        j.y[0] = m->y + r;
        for (size_t i = 0; i == 0 || i < m->n; i += whole) {
            j.n = m->n - i < whole ? m->n - i : whole;
            j.first = i == 0;
            j.x[0] = plain_x(m, 0, i);
            j.w[0] = (const uint8_t *)m->w + r * m->row_bytes + i * LS_STRIP_ROWS * elem_bytes(e);
            if (j.n == whole) plain_stored(e, &j);
            else plain_piece(e, &j, 1, 1);
        }
    }
}

LS_INLINE void plain_strips(elem e, const ls_matmul *m)
{
    if (m->n_cols == 1) {
        plain_strips_one(e, m);
        return;
    }
    for (size_t c = 0; c < m->n_cols; c += PLAIN_RESIDENT) {
        plain_strips_many(e, m, c, m->n_cols - c < PLAIN_RESIDENT ? m->n_cols : c + PLAIN_RESIDENT);
    }
}

/* One column, PIECE elements of 16 rows, without a panel. `next` are as many bytes of the next 16 rows, which
 * are asked for in the order of memory: short rows in turns the processor does not fetch early enough. */
LS_INLINE void rows_piece(elem e, const uint8_t *const rows[LS_STRIP_ROWS], uintptr_t next,
                          const float *x, float *y, bool first)
{
    for (size_t h = 0; h < LS_STRIP_ROWS; h += PLAIN_LANES) {
        pf part[PLAIN_CHAINS], sum = first ? pf_set(0) : pf_load(F32, (const uint8_t *)(y + h), 0);
        for (size_t c = 0; c < PLAIN_CHAINS; c++) part[c] = pf_set(0);
        for (size_t i = 0; i < LS_CHAIN; i += PLAIN_LANES) {
#pragma GCC unroll 4
            for (size_t c = 0; c < PLAIN_CHAINS; c++) {
                const size_t k = c * LS_CHAIN + i;
                pf           v[PLAIN_LANES];
                for (uintptr_t end = next + PLAIN_LANES * PLAIN_LANES * elem_bytes(e); next < end; next += 64)
                    __builtin_prefetch((const void *)next, 0, 2);
                pf_square(e, rows + h, k, v);
#pragma GCC unroll 16
                for (size_t l = 0; l < PLAIN_LANES; l++)
                    part[c] = pf_fma(v[l], pf_set(x[k + l]), part[c]);
            }
        }
        for (size_t c = 0; c < PLAIN_CHAINS; c++) sum = pf_add(sum, part[c]);
        pf_store(y + h, sum);
    }
}

_Static_assert((int)PIECE == (int)PLAIN_CHAINS * LS_CHAIN, "chains of a piece");

/* Rows that are not in strips, their activations in the type's form: 16 rows and a few columns at
 * a time become panels and floats. */
LS_INLINE void plain_rows(elem e, const ls_matmul *m)
{
    _Alignas(64) float panel[PIECE * LS_STRIP_ROWS], x[PLAIN_COLS][PIECE],
        y[PLAIN_COLS][LS_STRIP_ROWS];
    plain_job      j = {.w = {(const uint8_t *)panel}};
    const uint8_t *rows[LS_STRIP_ROWS];
    for (size_t r = 0; r < m->n_rows; r += LS_STRIP_ROWS) {
        size_t    n_rows = m->n_rows - r < LS_STRIP_ROWS ? m->n_rows - r : LS_STRIP_ROWS;
        uintptr_t next = (uintptr_t)m->w + (r + LS_STRIP_ROWS) * m->row_bytes;
        for (size_t i = 0; i == 0 || i < m->n; i += PIECE) {
            j.n = m->n - i < PIECE ? m->n - i : PIECE;
            j.first = i == 0;
            rows_at(e, rows, m, r, i);
            if (m->n_cols == 1 && j.n == PIECE) { /* y[0] keeps the sums */
                floats_of(e, x[0], (const uint8_t *)m->x + i * elem_bytes(e), PIECE);
                rows_piece(e, rows, next + LS_STRIP_ROWS * i * elem_bytes(e), x[0], y[0], j.first);
                memcpy(m->y + r, y[0], n_rows * sizeof(float));
                continue;
            }
            panel_of_rows(e, panel, rows, j.n);
            for (size_t c = 0, n, step; c < m->n_cols; c += n) {
                for (step = 0; (n = (size_t)plain_steps[step]) > m->n_cols - c;) step++;
                for (size_t k = 0; k < n; k++) {
                    const uint8_t *row = (const uint8_t *)m->x + (c + k) * m->x_bytes;
                    floats_of(e, x[k], row + i * elem_bytes(e), j.n);
                    j.x[k] = x[k];
                    j.y[k] = y[k];
                    if (i) memcpy(y[k], m->y + (c + k) * m->ldy + r, n_rows * sizeof(float));
                }
                plain_many[0][step](&j);
                for (size_t k = 0; k < n; k++) {
                    memcpy(m->y + (c + k) * m->ldy + r, y[k], n_rows * sizeof(float));
                }
            }
        }
    }
}

static void strips_f32(const ls_matmul *m) { plain_strips(F32, m); }
static void strips_f16(const ls_matmul *m) { plain_strips(F16, m); }
static void strips_bf16(const ls_matmul *m) { plain_strips(BF16, m); }
static void rows_f32(const ls_matmul *m) { plain_rows(F32, m); }
static void rows_f16(const ls_matmul *m) { plain_rows(F16, m); }
static void rows_bf16(const ls_matmul *m) { plain_rows(BF16, m); }

#endif
