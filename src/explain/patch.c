// SPDX-License-Identifier: MIT
/* patch.c - one wrong scale: a matrix, some rows of it or a block of a row that is multiplied by
 * something in the reference.
 *
 * What a block contributes is the difference of two evaluations, with it and without. A factor f
 * adds (f - 1) times that, so that the factor is a fit and the block the one whose fit leaves
 * least. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/explain_priv.h"

enum { MAX_BLOCKS = 4096 };

typedef struct patcher {
    work            *w;
    const ls_tensor *t;
    size_t           from, rows, cols; /* of the tensor */
    size_t           n;                /* positions * rows */
    double          *own, *without,
        *d;        /* [positions][rows]: own result, one without something, reference - own */
    double *parts; /* [blocks][positions * rows of the patch] */
} patcher;

typedef struct fit {
    double       left; /* sum of squares */
    ls_sem_patch patch;
} fit;

static bool evaluate(patcher *p, const ls_sem_patch *patch, double *into)
{
    ls_semantics s = p->w->own;
    if (patch) s.patch = *patch;
    p->w->capture = into;
    ls_explain_evaluate(p->w, &s);
    p->w->capture = NULL;
    return p->w->status == LS_OK;
}

static void difference(patcher *p)
{
    const held *h = &p->w->held[p->w->opt->op];
    for (size_t i = 0; i < p->n; i++) {
        const float *row = h->rows[i / p->rows];
        p->d[i] = row ? (double)row[i % p->rows] - p->own[i] : 0;
    }
}

/* Rows [first, last] hold every difference that is not small beside the largest. */
static bool rows_that_differ(const patcher *p, size_t *first, size_t *last, size_t *count)
{
    double max = 0;
    *first = p->rows;
    *last = *count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t r = 0; r < p->rows; r++) {
            double sum = 0;
            for (size_t i = r; i < p->n; i += p->rows) sum += p->d[i] * p->d[i];
            if (!isfinite(sum)) return false;
            if (pass == 0 && sum > max) max = sum;
            if (pass == 0 || sum <= max * 1e-6) continue;
            if (*count == 0) *first = r;
            *last = r;
            ++*count;
        }
    }
    return *count > 0;
}

/* The factor that makes `part` explain the difference, over rows [row, row + n_rows). */
static void offer(const patcher *p, fit *best, const double *part, ls_sem_patch patch)
{
    double dp = 0, pp = 0, left = 0, a;
    for (size_t i = 0; i < p->n; i++) {
        size_t r = i % p->rows;
        if (r < patch.row || r >= patch.row + patch.n_rows) continue;
        dp += p->d[i] * part[i];
        pp += part[i] * part[i];
    }
    a = pp > 0 ? dp / pp : 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t r = i % p->rows;
        bool   in = r >= patch.row && r < patch.row + patch.n_rows;
        double x = p->d[i] - (in ? a * part[i] : 0);
        left += x * x;
    }
    if (pp == 0 || !(left < 0.99 * best->left)) return;
    patch.factor = 1 + a;
    *best = (fit){left, patch};
}

static ls_sem_patch region(const patcher *p, size_t row, size_t n_rows, size_t col, size_t n_cols)
{
    return (ls_sem_patch){p->w->opt->op, p->w->opt->layer, row, n_rows, col, n_cols, 0};
}

/* own - without */
static bool contribution(patcher *p, const ls_sem_patch *patch)
{
    if (!evaluate(p, patch, p->without)) return false;
    for (size_t i = 0; i < p->n; i++) p->without[i] = p->own[i] - p->without[i];
    return true;
}

/* Blocks of the finest width, and wider ones as sums of them, aligned as block formats are. */
static ls_status try_blocks(patcher *p, fit *best, size_t row, size_t n_rows, ls_error *err)
{
    size_t fine = ls_dtype_block(p->t->dtype) == 256 ? 16 : 32, n = p->cols / fine;
    if (p->cols % fine || n > MAX_BLOCKS || n < 2) return LS_OK;
    LS_TRY(ls_alloc(&p->parts, n * p->n, sizeof(double), "blocks of a matrix", err));
    for (size_t b = 0; b < n; b++) {
        ls_sem_patch patch = region(p, row, n_rows, b * fine, fine);
        if (!contribution(p, &patch)) return LS_OK;
        memcpy(p->parts + b * p->n, p->without, p->n * sizeof(double));
    }
    for (size_t width = 1; width < n && width * fine <= 256; width *= 2) {
        for (size_t b = 0; b + width <= n; b += width) {
            memset(p->without, 0, p->n * sizeof(double));
            for (size_t k = b; k < b + width; k++) {
                for (size_t i = 0; i < p->n; i++) p->without[i] += p->parts[k * p->n + i];
            }
            offer(p, best, p->without, region(p, row, n_rows, b * fine, width * fine));
        }
    }
    return LS_OK;
}

typedef struct refit {
    patcher     *p;
    ls_sem_patch patch;
} refit;

static double with_factor(void *ctx, double factor)
{
    const refit *j = ctx;
    ls_semantics s = j->p->w->own;
    s.patch = j->patch;
    s.patch.factor = factor;
    return ls_explain_evaluate(j->p->w, &s);
}

/* "row 17 of blk.1.ffn_up.weight, columns 64 to 95," */
static void name_patch(const patcher *p, const ls_sem_patch *s, char *buf, size_t cap)
{
    char rows[64] = "", cols[64] = "";
    if (s->n_rows == 1)
        snprintf(rows, sizeof(rows), "row %zu of ", p->from + s->row);
    else if (s->n_rows < p->rows)
        snprintf(rows, sizeof(rows), "rows %zu to %zu of ", p->from + s->row,
                 p->from + s->row + s->n_rows - 1);
    if (s->n_cols < p->cols)
        snprintf(cols, sizeof(cols), ", columns %zu to %zu,", s->col, s->col + s->n_cols - 1);
    snprintf(buf, cap, "%s%s%.*s%s", rows, rows[0] ? "" : "tensor ", LS_FMT(p->t->name), cols);
}

static void report(patcher *p, const fit *best)
{
    refit  j = {p, best->patch};
    double y = with_factor(&j, best->patch.factor);
    double factor = ls_explain_nice(with_factor, &j, best->patch.factor, &y);
    char   name[400], noun[432], value[32];
    name_patch(p, &best->patch, name, sizeof(name));
    snprintf(noun, sizeof(noun), "%s is multiplied by", name);
    snprintf(value, sizeof(value), "%.7g", factor);
    ls_explain_add(p->w, "weights", noun, value, "1", y, 2);
}

static ls_status search(patcher *p, ls_error *err)
{
    fit          best = {(double)INFINITY, {0}};
    size_t       first, last, count;
    ls_sem_patch all = region(p, 0, p->rows, 0, p->cols);
    if (!evaluate(p, NULL, p->own)) return LS_OK;
    difference(p);
    if (!rows_that_differ(p, &first, &last, &count) || !contribution(p, &all)) return LS_OK;
    offer(p, &best, p->without, all);
    if (last - first + 1 < p->rows)
        offer(p, &best, p->without, region(p, first, last - first + 1, 0, p->cols));
    if (count <= 4) LS_TRY(try_blocks(p, &best, first, last - first + 1, err));
    if (p->w->status == LS_OK && isfinite(best.left) && best.patch.n_rows) report(p, &best);
    return LS_OK;
}

void ls_explain_patch(work *w)
{
    patcher   p = {.w = w};
    ls_status status;
    if (w->status != LS_OK ||
        !ls_oracle_matrix(w->oracle, w->opt->op, w->opt->layer, &p.t, &p.from, &p.rows))
        return;
    if (w->opt->op == LS_OP_EMBEDDINGS || w->held[w->opt->op].n != p.rows) return;
    p.cols = (size_t)p.t->ne[0];
    p.n = w->positions * p.rows;
    status = ls_alloc(&p.own, p.n, sizeof(double), "a product", &w->error);
    if (status == LS_OK) status = ls_alloc(&p.without, p.n, sizeof(double), "a product", &w->error);
    if (status == LS_OK) status = ls_alloc(&p.d, p.n, sizeof(double), "a product", &w->error);
    if (status == LS_OK) status = search(&p, &w->error);
    if (w->status == LS_OK) w->status = status;
    free(p.own);
    free(p.without);
    free(p.d);
    free(p.parts);
}
