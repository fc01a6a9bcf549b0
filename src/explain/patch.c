// SPDX-License-Identifier: MIT
/* patch.c - other weights: a tensor, rows of it, a block of a row or one element that is something
 * else in the reference.
 *
 * An operation is linear in its weights. What some of them contribute is the difference of two
 * evaluations, with them and without; a factor f adds (f - 1) times that, so that the factor is a
 * fit, and the part to name the one whose fit leaves least. In the same way what an element more
 * would add is a fit.
 *
 * Every value of the result comes from one row of weights (of a vector: one element), its unit.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/patch_priv.h"

enum { MAX_BLOCKS = 4096, FEW = 4, MIN_POSITIONS = 3 };
#define MAX_PARTS ((size_t)1 << 24)
#define NO_UNIT   SIZE_MAX
#define BIT(op)   ((uint64_t)1 << LS_OP_##op)

/* ---- which values come from which row ---- */

static size_t unit_of(const patcher *p, size_t position, size_t head, size_t j)
{
    const work *w = p->w;
    const held *chosen = &w->held[LS_OP_FFN_MOE_TOPK];
    double      e;
    if (w->opt->op == LS_OP_EMBEDDINGS) return (size_t)ls_explain_id(w, position);
    if (!p->of.expert) return (head * w->held[w->opt->op].n + j) % p->of.rows;
    if (!chosen->rows || !chosen->rows[position] || head >= chosen->n) return NO_UNIT;
    e = (double)chosen->rows[position][head];
    if (!(e >= 0 && e < (double)(p->of.rows / p->of.expert))) return NO_UNIT;
    return (size_t)e * p->of.expert + j;
}

static void find_units(patcher *p)
{
    const held *h = &p->w->held[p->w->opt->op];
    for (size_t i = 0; i < p->n; i++) {
        size_t position = i / p->width, k = i % p->width;
        p->unit[i] = h->rows[position] ? unit_of(p, position, k / h->n, k % h->n) : NO_UNIT;
        p->d[i] = p->unit[i] == NO_UNIT ? 0 : (double)h->rows[position][k] - p->own[i];
    }
}

/* ---- evaluations ---- */

static bool evaluate(patcher *p, const ls_sem_patch *patch, double *into)
{
    ls_semantics s = p->w->own;
    if (patch) s.patch[p->w->n_patches] = *patch;
    p->w->capture = into;
    ls_explain_evaluate(p->w, &s);
    p->w->capture = NULL;
    return p->w->status == LS_OK;
}

static ls_sem_patch region(const patcher *p, size_t row, size_t n_rows, size_t col, size_t n_cols)
{
    return (ls_sem_patch){.op = p->w->opt->op,
                          .layer = p->w->opt->layer,
                          .part = p->part,
                          .row = row,
                          .n_rows = n_rows,
                          .col = col,
                          .n_cols = n_cols,
                          .factor = 1};
}

/* What these weights contribute (form FACTOR), or one more in each of them (ADD). */
static bool contribution(patcher *p, ls_sem_patch patch, patch_form form, double *into)
{
    if (form == FACTOR)
        patch.factor = 0;
    else
        patch.add = 1;
    patch.only = p->of.cols > 1 && patch.n_rows < p->of.rows; /* what is read of it is_in */
    if (!evaluate(p, &patch, into)) return false;
    for (size_t i = 0; i < p->n; i++)
        into[i] = form == FACTOR ? p->own[i] - into[i] : into[i] - p->own[i];
    return true;
}

/* ---- fits ---- */

static bool is_in(const patcher *p, const ls_sem_patch *patch, size_t i)
{
    size_t u = p->unit[i];
    return u != NO_UNIT && u >= patch->row && u - patch->row < patch->n_rows;
}

/* How much of `part` explains the difference, over the patch's rows. */
static void offer(const patcher *p, patch_fit *best, const double *part, ls_sem_patch patch,
                  patch_form form)
{
    double dp = 0, pp = 0, left = 0, a;
    for (size_t i = 0; i < p->n; i++) {
        if (!is_in(p, &patch, i)) continue;
        dp += p->d[i] * part[i];
        pp += part[i] * part[i];
    }
    a = pp > 0 ? dp / pp : 0;
    for (size_t i = 0; i < p->n; i++) {
        double x = p->d[i] - (is_in(p, &patch, i) ? a * part[i] : 0);
        left += x * x;
    }
    if (pp == 0 || !(left < 0.99 * best->left)) return;
    patch.factor = form == FACTOR ? 1 + a : 1;
    patch.add = form == ADD ? a : 0;
    *best = (patch_fit){left, form, patch};
}

/* ---- where the difference is ---- */

typedef struct span {
    size_t first, last, count; /* units whose difference is not small beside the largest */
    size_t largest;
} span;

static ls_status find_span(const patcher *p, span *out, ls_error *err)
{
    double *sum, max = 0;
    *out = (span){.first = p->of.rows};
    LS_TRY(ls_alloc(&sum, p->of.rows, sizeof(*sum), "rows of weights", err));
    for (size_t i = 0; i < p->n; i++) {
        if (p->unit[i] < p->of.rows) sum[p->unit[i]] += p->d[i] * p->d[i];
    }
    for (size_t u = 0; u < p->of.rows; u++) {
        if (!(sum[u] > max)) continue;
        max = sum[u];
        out->largest = u;
    }
    for (size_t u = 0; u < p->of.rows; u++) {
        if (!(sum[u] > max * 1e-6)) continue;
        if (out->count++ == 0) out->first = u;
        out->last = u;
    }
    free(sum);
    return LS_OK;
}

/* All rows, those of one expert, those that differ. */
static bool try_rows(patcher *p, patch_fit *best, const span *at, patch_form form)
{
    size_t e = p->of.expert, n = at->last - at->first + 1;
    if (!contribution(p, region(p, 0, p->of.rows, 0, p->of.cols), form, p->part_of)) return false;
    offer(p, best, p->part_of, region(p, 0, p->of.rows, 0, p->of.cols), form);
    if (e && at->first / e == at->last / e)
        offer(p, best, p->part_of, region(p, at->first / e * e, e, 0, p->of.cols), form);
    if (n < p->of.rows) offer(p, best, p->part_of, region(p, at->first, n, 0, p->of.cols), form);
    return true;
}

/* ---- blocks of a row, and elements ---- */

/* Blocks of the finest width, and wider ones as sums of them, aligned as block formats are. */
static ls_status try_blocks(patcher *p, patch_fit *best, const span *at, ls_error *err)
{
    size_t fine = ls_dtype_block(p->of.t->dtype) == 256 ? 16 : 32, n = p->of.cols / fine,
           rows = at->last - at->first + 1;
    double *parts;
    if (p->of.cols % fine || n > MAX_BLOCKS || n < 2 || n * p->n > MAX_PARTS) return LS_OK;
    if (!p->parts) LS_TRY(ls_alloc(&p->parts, n * p->n, sizeof(double), "blocks of a matrix", err));
    parts = p->parts;
    for (size_t b = 0; b < n; b++) {
        if (!contribution(p, region(p, at->first, rows, b * fine, fine), FACTOR, parts + b * p->n))
            return LS_OK;
    }
    for (size_t width = 1; width < n && width * fine <= 256; width *= 2) {
        for (size_t b = 0; b + width <= n; b += width) {
            memset(p->part_of, 0, p->n * sizeof(double));
            for (size_t k = b; k < b + width; k++) {
                for (size_t i = 0; i < p->n; i++) p->part_of[i] += parts[k * p->n + i];
            }
            offer(p, best, p->part_of, region(p, at->first, rows, b * fine, width * fine), FACTOR);
        }
    }
    return LS_OK;
}

static void try_element(patcher *p, patch_fit *best, size_t row, size_t col)
{
    ls_sem_patch one = region(p, row, 1, col, 1);
    if (p->w->status == LS_OK && contribution(p, one, ADD, p->part_of))
        offer(p, best, p->part_of, one, ADD);
}

/* What goes into a product, as the reference showed it; the first that is there and as wide. */
static const held *input_of(const patcher *p)
{
    static const struct {
        uint64_t ops;
        ls_op    in[3];
    } inputs[] = {
        {BIT(Q_PROJ) | BIT(K_PROJ) | BIT(V_PROJ), {LS_OP_ATTN_NORM, LS_OP_LAYER_OUT}},
        {BIT(ATTN_PROJ), {LS_OP_ATTN_SUB_NORM, LS_OP_ATTN_OUT}},
        {BIT(FFN_ROUTER) | BIT(FFN_GATE) | BIT(FFN_UP),
         {LS_OP_FFN_NORM, LS_OP_ATTN_NORM, LS_OP_RESIDUAL}},
        {BIT(FFN_DOWN), {LS_OP_FFN_SUB_NORM, LS_OP_FFN_ACT}},
        {BIT(LOGITS), {LS_OP_FINAL_NORM}},
    };
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        for (int k = 0; inputs[i].ops >> p->w->opt->op & 1 && k < 3; k++) {
            ls_op       op = inputs[i].in[k];
            const held *h = op == LS_OP_LAYER_OUT ? &p->w->before : &p->w->held[op];
            if (h->rows && h->n == p->of.cols) return h;
        }
    }
    return NULL;
}

/* How much of the difference the input's element c explains; roundings aside. */
static double share_of(const patcher *p, const held *in, size_t row, size_t c)
{
    size_t wide = p->w->held[p->w->opt->op].n;
    double dx = 0, xx = 0;
    for (size_t i = 0; i < p->n; i++) {
        size_t       head = in->heads > 1 ? i % p->width / wide : 0;
        const float *x = in->rows[i / p->width];
        if (p->unit[i] != row || !x) continue;
        dx += p->d[i] * (double)x[head * in->n + c];
        xx += (double)x[head * in->n + c] * (double)x[head * in->n + c];
    }
    return xx > 0 ? dx * dx / xx : 0;
}

/* One element of a row: of a product the one whose input is most alike; of embeddings those of the
 * block that came nearest. */
static void try_elements(patcher *p, patch_fit *best, size_t row)
{
    const held *in = input_of(p);
    size_t      top = 0, n = best->patch.n_cols, from = best->patch.col;
    double      most = -1;
    if (!in) {
        for (size_t c = from; n <= 32 && c < from + n; c++) try_element(p, best, row, c);
        return;
    }
    for (size_t c = 0; c < p->of.cols; c++) {
        double share = share_of(p, in, row, c);
        if (!(share > most)) continue;
        most = share;
        top = c;
    }
    try_element(p, best, row, top);
}

/* ---- all elements of a vector at once ---- */

static double *new_vector(patcher *p, size_t n, ls_error *err)
{
    work   *w = p->w;
    double *v = NULL;
    if (ls_grow(&w->vectors, &w->vectors_cap, w->n_vectors + 1, sizeof(*w->vectors), "vectors",
                err) != LS_OK ||
        ls_alloc(&v, n, sizeof(*v), "a vector", err) != LS_OK)
        return NULL;
    return w->vectors[w->n_vectors++] = v;
}

/* What each element would have to be; p->part_of is what one more in each adds. */
static ls_status fit_each(patcher *p, double *each, ls_error *err)
{
    double *pp;
    LS_TRY(ls_alloc(&pp, p->of.rows, sizeof(*pp), "a vector", err));
    for (size_t i = 0; i < p->n; i++) {
        if (p->unit[i] == NO_UNIT) continue;
        each[p->unit[i]] += p->d[i] * p->part_of[i];
        pp[p->unit[i]] += p->part_of[i] * p->part_of[i];
    }
    for (size_t u = 0; u < p->of.rows; u++) each[u] = pp[u] > 0 ? each[u] / pp[u] : 0;
    free(pp);
    return LS_OK;
}

static ls_status try_each(patcher *p, const span *at, ls_error *err)
{
    ls_sem_patch all = region(p, 0, p->of.rows, 0, p->of.cols);
    double      *each;
    if (p->w->positions < MIN_POSITIONS) return LS_OK;
    each = new_vector(p, p->of.rows, err);
    if (!each) return err->status;
    if (!contribution(p, all, ADD, p->part_of)) return LS_OK;
    LS_TRY(fit_each(p, each, err));
    all.each = each;
    ls_explain_name_each(p, &all, at->count);
    return LS_OK;
}

/* ---- one part of an operation's weights ---- */

static ls_status try_span(patcher *p, patch_fit *best, const span *at, ls_error *err)
{
    bool vector = p->of.cols == 1;
    *best = (patch_fit){(double)INFINITY, FACTOR, {0}};
    if (vector && at->count == 1 && !try_rows(p, best, at, ADD)) return LS_OK;
    if (!try_rows(p, best, at, FACTOR)) return LS_OK;
    if (vector && !try_rows(p, best, at, ADD)) return LS_OK;
    if (!vector && at->count <= FEW) LS_TRY(try_blocks(p, best, at, err));
    if (!vector && at->count == 1 && isfinite(best->left)) try_elements(p, best, at->first);
    if (p->w->status == LS_OK && isfinite(best->left) && best->patch.n_rows)
        ls_explain_name_patch(p, best);
    return LS_OK;
}

/* All that differs as one thing; where that fails the row that differs most, as one of several. */
static ls_status search(patcher *p, ls_error *err)
{
    patch_fit best = {(double)INFINITY, FACTOR, {0}};
    double    all = 0;
    span      at, one;
    if (!evaluate(p, NULL, p->own)) return LS_OK;
    find_units(p);
    for (size_t i = 0; i < p->n; i++) all += p->d[i] * p->d[i];
    if (!isfinite(all) || all == 0) return LS_OK;
    LS_TRY(find_span(p, &at, err));
    if (at.count == 0) return LS_OK;
    if (p->of.t) LS_TRY(try_span(p, &best, &at, err));
    if (p->w->status != LS_OK || best.left <= 1e-9 * all) return LS_OK;
    one = (span){at.largest, at.largest, 1, at.largest};
    if (p->of.t && at.count > 1 && at.count <= FEW) LS_TRY(try_span(p, &best, &one, err));
    return p->of.cols == 1 && p->w->status == LS_OK ? try_each(p, &at, err) : LS_OK;
}

static void try_part(work *w, ls_sem_part part)
{
    patcher   p = {.w = w, .part = part};
    ls_status status;
    held     *h = &w->held[w->opt->op];
    if (w->status != LS_OK || w->n_patches == LS_SEM_PATCHES ||
        !ls_oracle_weights(w->oracle, w->opt->op, w->opt->layer, part, &p.of))
        return;
    p.width = h->heads * h->n;
    p.n = w->positions * p.width;
    if (w->opt->op == LS_OP_EMBEDDINGS
            ? h->n != p.of.cols
            : h->n != (p.of.expert ? p.of.expert : p.of.rows) && h->n % p.of.rows != 0)
        return;
    status = ls_alloc(&p.own, p.n, sizeof(double), "a product", &w->error);
    if (status == LS_OK) status = ls_alloc(&p.part_of, p.n, sizeof(double), "a product", &w->error);
    if (status == LS_OK) status = ls_alloc(&p.d, p.n, sizeof(double), "a product", &w->error);
    if (status == LS_OK) status = ls_alloc(&p.unit, p.n, sizeof(*p.unit), "a product", &w->error);
    if (status == LS_OK) status = search(&p, &w->error);
    if (w->status == LS_OK) w->status = status;
    free(p.own);
    free(p.part_of);
    free(p.d);
    free(p.unit);
    free(p.parts);
}

void ls_explain_patch(work *w)
{
    try_part(w, LS_SEM_WEIGHTS);
    if (w->opt->op != LS_OP_EMBEDDINGS) try_part(w, LS_SEM_BIAS);
}
