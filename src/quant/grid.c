// SPDX-License-Identifier: MIT
/* grid.c - encoders of IQ2 and IQ3: signs apart, magnitudes 1, 3, 5, ... times a scale, drawn four
 * or eight at a time from a code book.
 *
 * One difference from libggml's bytes is wanted: where 32 weights of IQ3_S are all zero, it writes
 * the groups behind them in the wrong place; here they stay where they belong. */
#include <math.h>

#include "quant/book.h"

typedef struct grid {
    int   group;       /* weights with one scale                                  */
    float spread;      /* of the block's mean square, with importance             */
    float plain;       /* weights without importance: plain * mean square + x^2   */
    bool  even;        /* the number of negative signs is even                    */
    float tiny;        /* a group whose largest weight is below this is zero      */
    int   steps;       /* scales tried on either side of the largest weight's     */
    float step;        /* their distance                                          */
    bool  from_search; /* they surround the result of ls_q_positive instead       */
    bool  refit_all;   /* the last search goes over all entries, not inexact ones */
    float factor;      /* on the stored scale                                     */
} grid;

/* What a level stands for. */
static const float magnitude[8] = {1, 3, 5, 7, 9, 11, 13, 15};

static const grid grid_iq2_xxs = {32, 1, 0, true, LS_Q_TINY, 6, 0.1f, true, true, 1};
static const grid grid_iq2_xs = {16, 1, 0, true, LS_Q_TINY, 9, 0.1f, false, false, 1};
static const grid grid_iq2_s = {16, 2, 0.25f, false, 1e-8f, 9, 0.1f, false, false, 0.9875f};
static const grid grid_iq3_xxs = {32, 2, 0, true, 1e-8f, 15, 0.2f, false, false, 1.0125f};
static const grid grid_iq3_s = {32, 2, 0, false, 0x1p-149f, 9, 0.2f, false, true, 1.033f};

/* One group: what is known of it and what the search finds. */
typedef struct group {
    float   x[32], weight[32], root[32]; /* magnitudes, weights and their roots */
    uint8_t level[32], sign[4];
    bool    exact[8]; /* the entry is the nearest combination of levels */
    float   scale;
} group;

/* x as magnitudes and signs. Where the signs must be even, the weight that costs least turns. */
static void split_signs(const grid *g, group *p, const float *x)
{
    for (int k = 0; k < g->group; k += 8) {
        unsigned signs = 0;
        int      least = 0;
        for (int i = 0; i < 8; i++) {
            const float *w = p->weight + k, *v = x + k;
            if (!(v[i] >= 0)) signs |= 1u << i;
            p->x[k + i] = v[i] >= 0 ? v[i] : -v[i];
            if (w[i] * v[i] * v[i] < w[least] * v[least] * v[least]) least = i;
        }
        if (g->even && __builtin_popcount(signs) % 2) {
            p->x[k + least] = -p->x[k + least];
            signs ^= 1u << least;
        }
        p->sign[k / 8] = (uint8_t)signs;
    }
}

static void levels_at(const ls_book *b, uint8_t *level, const float *x, float inverse)
{
    for (int i = 0; i < b->dims; i++) {
        int l = ls_q_nearest(0.5f * (inverse * x[i] - 1));
        level[i] = (uint8_t)ls_q_clamp(l, 0, b->n_levels - 1);
    }
}

/* Sums of the fit of the group by its levels. */
static void fit_levels(const grid *g, const group *p, const uint8_t *level, float *lx, float *l2)
{
    *lx = *l2 = 0;
    for (int i = 0; i < g->group; i++) {
        float q = (float)(2 * level[i] + 1);
        *lx += p->weight[i] * p->x[i] * q;
        *l2 += p->weight[i] * q * q;
    }
}

/* Try the scales around that of the largest weight. */
static void search_scale(const ls_book *b, const grid *g, group *p, float reach)
{
    float best = 0, top = (float)(2 * b->n_levels - 1), lx, l2;
    for (int step = -g->steps; step <= g->steps; step++) {
        float   inverse = (top + (float)step * g->step) / reach;
        uint8_t level[32];
        bool    exact[8];
        for (int k = 0; k < g->group / b->dims; k++) {
            int at = k * b->dims;
            levels_at(b, level + at, p->x + at, inverse);
            ls_book_entry(b, level + at, p->x + at, p->root + at, magnitude, 1 / inverse,
                          &exact[k]);
        }
        fit_levels(g, p, level, &lx, &l2);
        if (!(l2 > 0 && lx * lx > best * l2)) continue;
        p->scale = lx / l2;
        best = p->scale * lx;
        memcpy(p->level, level, sizeof(level));
        memcpy(p->exact, exact, sizeof(exact));
    }
}

/* With the scale found: the entries once more, then the scale. */
static void refit(const ls_book *b, const grid *g, group *p)
{
    int   n = g->group / b->dims, n_exact = 0;
    float lx, l2;
    bool  exact;
    for (int k = 0; k < n; k++) n_exact += p->exact[k];
    if (!(p->scale > 0) || (n_exact == n && !g->from_search)) return;
    for (int k = 0; k < n; k++) {
        int at = k * b->dims;
        if (p->exact[k] && !g->refit_all) continue;
        levels_at(b, p->level + at, p->x + at, 1 / p->scale);
        ls_book_entry(b, p->level + at, p->x + at, p->root + at, magnitude, p->scale, &exact);
    }
    fit_levels(g, p, p->level, &lx, &l2);
    if (l2 > 0) p->scale = lx / l2;
}

/* Scale, levels and signs of one group; all of them 0 where it counts as zero. */
static void find_group(const ls_book *b, const grid *g, group *p, const float *x,
                       const float *importance, float sigma2)
{
    float max, reach;
    if (importance) ls_q_weigh(p->weight, x, importance, sigma2, g->group);
    for (int i = 0; i < g->group; i++) {
        if (!importance) p->weight[i] = g->plain * sigma2 + x[i] * x[i];
        p->root[i] = sqrtf(p->weight[i]);
    }
    split_signs(g, p, x);
    memset(p->level, 0, sizeof(p->level));
    p->scale = 0;
    max = p->x[0];
    for (int i = 1; i < g->group; i++) max = max > p->x[i] ? max : p->x[i];
    reach = max;
    if (!(max < g->tiny) && g->from_search) {
        p->scale = ls_q_positive(g->group, b->n_levels + 1, p->x, p->weight, p->level);
        reach = p->scale * (float)b->n_levels;
    }
    if (max < g->tiny || reach <= 0) {
        memset(p->sign, 0, sizeof(p->sign));
        memset(p->level, 0, sizeof(p->level));
        p->scale = 0;
        return;
    }
    if (!g->from_search) p->scale = max / (float)(2 * b->n_levels - 1);
    for (int k = 0; k < 8; k++) p->exact[k] = !g->refit_all;
    search_scale(b, g, p, reach);
    refit(b, g, p);
    if (!(p->scale < 0)) return;
    p->scale = -p->scale;
    for (int k = 0; k < 4; k++) p->sign[k] = (uint8_t)~p->sign[k];
}

/* What a block comes to: entries in order, signs of eight, scales of the groups in 0 to 15. */
typedef struct block {
    uint16_t entry[64], d;
    uint8_t  sign[32], scale[16];
} block;

static void find_block(const ls_book *b, const grid *g, block *out, const float *x,
                       const float *importance)
{
    float scale[16], max = 0, inverse, sigma2 = g->spread * ls_q_sum_squares(x, 256) / 256.0f;
    memset(out, 0, sizeof(*out));
    for (int j = 0; j < 256 / g->group; j++) {
        int   at = j * g->group;
        group p;
        find_group(b, g, &p, x + at, importance ? importance + at : NULL, sigma2);
        for (int k = 0; k < g->group / b->dims; k++) {
            /* a level that is no entry occurs only where nothing was found: the scale is 0 */
            int e = b->map[ls_book_key(b, p.level + k * b->dims)];
            out->entry[at / b->dims + k] = (uint16_t)(e < 0 ? 0 : e);
        }
        memcpy(out->sign + at / 8, p.sign, (size_t)g->group / 8);
        scale[j] = p.scale;
        max = max > p.scale ? max : p.scale;
    }
    if (max == 0) { /* nothing is left of so small weights but, where signs are free, their codes */
        if (g->even) memset(out, 0, sizeof(*out));
        return;
    }
    out->d = ls_f32_to_f16(max / 31 * g->factor);
    inverse = 1 / (max / 31);
    for (int j = 0; j < 256 / g->group; j++) {
        int l = ls_q_nearest(0.5f * (inverse * scale[j] - 1));
        out->scale[j] = (uint8_t)ls_q_clamp(l, 0, 15);
    }
}

/* Four times seven signs and a scale. */
static uint32_t signs_and_scale(const block *f, int j)
{
    uint32_t word = (uint32_t)f->scale[j] << 28;
    for (int k = 0; k < 4; k++) word |= (uint32_t)(f->sign[4 * j + k] & 127) << (7 * k);
    return word;
}

void ls_encode_IQ2_XXS(const ls_book *b, void *out, const float *x, size_t n,
                       const float *importance)
{
    ls_iq2_xxs *y = out;
    for (size_t i = 0; i < n; i += 256, y++) {
        block f;
        find_block(b, &grid_iq2_xxs, &f, x + i, importance ? importance + i : NULL);
        y->d = f.d;
        for (int j = 0; j < 8; j++) {
            const uint16_t *e = f.entry + 4 * j;
            uint32_t        rest = signs_and_scale(&f, j);
            y->qs[4 * j] = (uint16_t)(e[0] | e[1] << 8);
            y->qs[4 * j + 1] = (uint16_t)(e[2] | e[3] << 8);
            memcpy(y->qs + 4 * j + 2, &rest, 4);
        }
    }
}

void ls_encode_IQ2_XS(const ls_book *b, void *out, const float *x, size_t n,
                      const float *importance)
{
    ls_iq2_xs *y = out;
    for (size_t i = 0; i < n; i += 256, y++) {
        block f;
        find_block(b, &grid_iq2_xs, &f, x + i, importance ? importance + i : NULL);
        y->d = f.d;
        for (int k = 0; k < 32; k++) y->qs[k] = (uint16_t)(f.entry[k] | (f.sign[k] & 127) << 9);
        for (int j = 0; j < 8; j++) {
            y->scales[j] = (uint8_t)(f.scale[2 * j] | f.scale[2 * j + 1] << 4);
        }
    }
}

void ls_encode_IQ2_S(const ls_book *b, void *out, const float *x, size_t n, const float *importance)
{
    ls_iq2_s *y = out;
    for (size_t i = 0; i < n; i += 256, y++) {
        block f;
        find_block(b, &grid_iq2_s, &f, x + i, importance ? importance + i : NULL);
        memset(y, 0, sizeof(*y));
        y->d = f.d;
        memcpy(y->signs, f.sign, sizeof(y->signs));
        for (int k = 0; k < 32; k++) {
            y->qs[k] = (uint8_t)f.entry[k];
            y->qh[k / 4] |= (uint8_t)((f.entry[k] >> 8) << (2 * (k % 4)));
        }
        for (int j = 0; j < 8; j++) {
            y->scales[j] = (uint8_t)(f.scale[2 * j] | f.scale[2 * j + 1] << 4);
        }
    }
}

void ls_encode_IQ3_XXS(const ls_book *b, void *out, const float *x, size_t n,
                       const float *importance)
{
    ls_iq3_xxs *y = out;
    for (size_t i = 0; i < n; i += 256, y++) {
        block f;
        find_block(b, &grid_iq3_xxs, &f, x + i, importance ? importance + i : NULL);
        y->d = f.d;
        for (int k = 0; k < 64; k++) y->qs[k] = (uint8_t)f.entry[k];
        for (int j = 0; j < 8; j++) {
            uint32_t rest = signs_and_scale(&f, j);
            memcpy(y->words + 4 * j, &rest, 4);
        }
    }
}

void ls_encode_IQ3_S(const ls_book *b, void *out, const float *x, size_t n, const float *importance)
{
    ls_iq3_s *y = out;
    for (size_t i = 0; i < n; i += 256, y++) {
        block f;
        find_block(b, &grid_iq3_s, &f, x + i, importance ? importance + i : NULL);
        memset(y, 0, sizeof(*y));
        y->d = f.d;
        memcpy(y->signs, f.sign, sizeof(y->signs));
        for (int k = 0; k < 64; k++) {
            y->qs[k] = (uint8_t)f.entry[k];
            y->qh[k / 8] |= (uint8_t)((f.entry[k] >> 8) << (k % 8));
        }
        for (int j = 0; j < 4; j++) {
            y->scales[j] = (uint8_t)(f.scale[2 * j] | f.scale[2 * j + 1] << 4);
        }
    }
}
