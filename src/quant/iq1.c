// SPDX-License-Identifier: MIT
/* iq1.c - encoders of IQ1_S and IQ1_M: weights of -1, 0 and 1, all of a group moved by an eighth up
 * or down, times a scale, drawn eight at a time from a code book.
 *
 * The best split into three is found exactly: in the order of the weights it has two borders, and
 * with running sums each pair of borders costs a few operations. */
#include <float.h>
#include <math.h>

#include "quant/book.h"

static const float up[3] = {-0.875f, 0.125f, 1.125f}, down[3] = {-1.125f, -0.125f, 0.875f};

/* One group of 16 or 32, as the search leaves it. */
typedef struct split {
    float    scale;
    uint16_t entry[4];
    int      shift; /* bit 0: the last half is moved down, bit 1: the first */
} split;

/* Numbers of the weights in ascending order, equal ones in their own. */
static void sort(uint8_t *order, const float *x, int n)
{
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && x[order[at - 1]] > x[i]; at--) order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
}

static float largest(const float *x, int n)
{
    float max;
    return ls_q_largest(x, (size_t)n, &max);
}

static const float *values_of(int shift, int half) { return shift >> (1 - half) & 1 ? down : up; }

/* Levels of a split, turned round where the scale is negative; the entries near them; the scale
 * again if one was no entry. `eights` groups of eight belong to each half. */
static void settle(const ls_book *b, split *s, const float *x, const float *w, const uint8_t *order,
                   int n, int border1, int border2)
{
    uint8_t level[32];
    bool    exact = true, all = true;
    float   lx = 0, l2 = 0;
    for (int j = 0; j < n; j++) level[order[j]] = j < border1 ? 0 : j < border2 ? 1 : 2;
    if (s->scale < 0) {
        for (int j = 0; j < n; j++) level[j] = (uint8_t)(2 - level[j]);
        s->scale = -s->scale;
        s->shift ^= 3;
    }
    for (int k = 0; k < n / 8; k++) {
        const float *value = values_of(s->shift, 2 * 8 * k / n);
        s->entry[k] = (uint16_t)ls_book_entry(b, level + 8 * k, x + 8 * k, w + 8 * k, value,
                                              s->scale, &exact);
        all &= exact;
    }
    for (int i = 0; i < n && !all; i++) {
        float q = values_of(s->shift, 2 * i / n)[level[i]];
        lx += w[i] * q * x[i];
        l2 += w[i] * q * q;
    }
    if (lx > 0 && l2 > 0) s->scale = lx / l2;
}

/* ---- IQ1_S: 32 weights, one shift ---- */

static void score_iq1_s(const float *value, const float *px, const float *pw, int a, int c,
                        float *lx, float *l2)
{
    *lx = (px[a] - px[0]) * value[0] + (px[c] - px[a]) * value[1] + (px[32] - px[c]) * value[2];
    *l2 = (pw[a] - pw[0]) * value[0] * value[0] + (pw[c] - pw[a]) * value[1] * value[1] +
          (pw[32] - pw[c]) * value[2] * value[2];
}

static void split_iq1_s(const ls_book *b, split *s, const float *x, const float *w)
{
    float   px[33] = {0}, pw[33] = {0}, best = -FLT_MAX, lx, l2;
    uint8_t order[32];
    int     border1 = -1, border2 = -1;
    *s = (split){0};
    if (largest(x, 32) < 1e-12f) return;
    sort(order, x, 32);
    for (int j = 0; j < 32; j++) {
        px[j + 1] = px[j] + w[order[j]] * x[order[j]];
        pw[j + 1] = pw[j] + w[order[j]];
    }
    for (int a = 0; a <= 32; a++) {
        for (int c = a; c <= 32; c++) {
            for (int shift = 0; shift < 4; shift += 3) {
                score_iq1_s(shift ? down : up, px, pw, a, c, &lx, &l2);
                if (!(l2 > 0 && lx * lx > best * l2)) continue;
                s->scale = lx / l2;
                best = s->scale * lx;
                border1 = a;
                border2 = c;
                s->shift = shift;
            }
        }
    }
    if (border1 < 0) return;
    settle(b, s, x, w, order, 32, border1, border2);
}

void ls_encode_IQ1_S(const ls_book *b, void *out, const float *x, size_t n, const float *importance)
{
    ls_iq1_s *y = out;
    for (size_t i = 0; i < n; i += 256, y++, x += 256) {
        float sigma2 = 2 * ls_q_sum_squares(x, 256) / 256.0f, max = 0, w[32], inverse;
        split s[8];
        memset(y, 0, sizeof(*y));
        for (int j = 0; j < 8; j++) {
            ls_q_weigh(w, x + 32 * j, importance + i + 32 * j, sigma2, 32);
            split_iq1_s(b, &s[j], x + 32 * j, w);
            for (int k = 0; k < 4; k++) {
                y->qs[4 * j + k] = (uint8_t)s[j].entry[k];
                y->qh[j] = (uint16_t)(y->qh[j] | (s[j].entry[k] >> 8) << (3 * k));
            }
            max = max > s[j].scale ? max : s[j].scale;
        }
        if (max == 0) continue;
        y->d = ls_f32_to_f16(max / 15 * 1.125f);
        inverse = 1 / (max / 15);
        for (int j = 0; j < 8; j++) {
            int l = ls_q_clamp(ls_q_nearest(0.5f * (inverse * s[j].scale - 1)), 0, 7);
            y->qh[j] = (uint16_t)(y->qh[j] | (l | (s[j].shift ? 8 : 0)) << 12);
        }
    }
}

/* ---- IQ1_M: 16 weights, a shift for each half ---- */

/* Running sums of one half over the order of both. */
typedef struct half {
    float px[17], pw[17];
} half;

/* Sums of the fit of one half, moved up (0) and down (1). */
static void score_half(const half *h, int a, int c, float lx[2], float l2[2])
{
    float sx = h->px[a] + h->px[c];
    for (int k = 0; k < 2; k++) {
        const float *v = k ? down : up;
        lx[k] = h->px[16] * v[2] - sx;
        l2[k] = h->pw[16] * v[2] * v[2] + h->pw[a] * (v[0] * v[0] - v[1] * v[1]) +
                h->pw[c] * (v[1] * v[1] - v[2] * v[2]);
    }
}

static void split_iq1_m(const ls_book *b, split *s, const float *x, const float *w)
{
    half    h[2] = {{{0}, {0}}, {{0}, {0}}};
    float   best = -FLT_MAX;
    uint8_t order[16];
    int     border1 = -1, border2 = -1;
    *s = (split){0};
    if (largest(x, 16) < 1e-7f) return;
    sort(order, x, 16);
    for (int j = 0; j < 16; j++) {
        int i = order[j], here = i / 8;
        h[1 - here].px[j + 1] = h[1 - here].px[j];
        h[1 - here].pw[j + 1] = h[1 - here].pw[j];
        h[here].px[j + 1] = h[here].px[j] + w[i] * x[i];
        h[here].pw[j + 1] = h[here].pw[j] + w[i];
    }
    for (int a = 0; a <= 16; a++) {
        for (int c = a; c <= 16; c++) {
            float lx[2][2], l2[2][2];
            score_half(&h[0], a, c, lx[0], l2[0]);
            score_half(&h[1], a, c, lx[1], l2[1]);
            for (int shift = 0; shift < 4; shift++) {
                float x1 = lx[0][shift >> 1] + lx[1][shift & 1];
                float x2 = l2[0][shift >> 1] + l2[1][shift & 1];
                if (!(x2 > 0 && x1 * x1 > best * x2)) continue;
                s->scale = x1 / x2;
                best = s->scale * x1;
                border1 = a;
                border2 = c;
                s->shift = shift;
            }
        }
    }
    if (border1 < 0) return;
    settle(b, s, x, w, order, 16, border1, border2);
}

static void weigh_iq1_m(float *w, const float *x, const float *importance, float sigma2)
{
    if (importance) ls_q_weigh(w, x, importance, sigma2, 16);
    for (int i = 0; i < 16 && !importance; i++) w[i] = x[i] * x[i];
}

/* Scales of the groups, and the block's by a fit of all that is chosen by now. */
static void scales_iq1_m(const ls_book *b, ls_iq1_m *y, const split *s, const float *x,
                         const float *importance, float sigma2, float max)
{
    uint16_t word[4] = {0}, d;
    float    lx = 0, l2 = 0, scale = max / 15, inverse = 1 / scale, w[16];
    for (int j = 0; j < 16; j++) {
        int l = ls_q_clamp(ls_q_nearest(0.5f * (inverse * s[j].scale - 1)), 0, 7);
        word[j / 4] = (uint16_t)(word[j / 4] | l << (3 * (j % 4)));
        y->qh[j] |= (uint8_t)((s[j].shift & 1 ? 0x80 : 0) | (s[j].shift & 2 ? 0x08 : 0));
        weigh_iq1_m(w, x + 16 * j, importance ? importance + 16 * j : NULL, sigma2);
        for (int i = 0; i < 16; i++) {
            uint8_t level = b->entry[s[j].entry[i / 8]][i % 8];
            float   q = values_of(s[j].shift, i / 8)[level] * (float)(2 * l + 1);
            lx += w[i] * q * x[16 * j + i];
            l2 += w[i] * q * q;
        }
    }
    if (l2 > 0) scale = lx / l2;
    d = ls_f32_to_f16(scale * 1.1125f);
    for (int k = 0; k < 4; k++) {
        word[k] = (uint16_t)(word[k] | (d >> (4 * k) & 15) << 12);
        memcpy(y->scales + 2 * k, &word[k], 2);
    }
}

void ls_encode_IQ1_M(const ls_book *b, void *out, const float *x, size_t n, const float *importance)
{
    ls_iq1_m *y = out;
    for (size_t i = 0; i < n; i += 256, y++, x += 256) {
        float        sigma2 = 2 * ls_q_sum_squares(x, 256) / 256.0f, max = 0, w[16];
        const float *weights = importance ? importance + i : NULL;
        split        s[16];
        memset(y, 0, sizeof(*y));
        for (int j = 0; j < 16; j++) {
            weigh_iq1_m(w, x + 16 * j, weights ? weights + 16 * j : NULL, sigma2);
            split_iq1_m(b, &s[j], x + 16 * j, w);
            y->qs[2 * j] = (uint8_t)s[j].entry[0];
            y->qs[2 * j + 1] = (uint8_t)s[j].entry[1];
            y->qh[j] = (uint8_t)(s[j].entry[0] >> 8 | (s[j].entry[1] >> 8) << 4);
            max = max > s[j].scale ? max : s[j].scale;
        }
        if (max == 0) continue;
        scales_iq1_m(b, y, s, x, weights, sigma2, max);
    }
}
