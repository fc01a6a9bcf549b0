// SPDX-License-Identifier: MIT
/* search.c - scales for a group of weights: try some, keep the one with the smallest error.
 *
 * All sums are single floats in ascending order, products associate to the left: the choice between
 * two scales hangs on the last bit. */
#include <math.h>

#include "quant/quant_priv.h"

float ls_q_largest(const float *x, size_t n, float *value)
{
    float amax = 0;
    *value = 0;
    for (size_t i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        if (!(a > amax)) continue;
        amax = a;
        *value = x[i];
    }
    return amax;
}

void ls_q_weigh(float *w, const float *x, const float *importance, float sigma2, int n)
{
    for (int i = 0; i < n; i++) w[i] = importance[i] * sqrtf(sigma2 + x[i] * x[i]);
}

/* Sums of a least-squares fit of x by codes. */
typedef struct fit {
    float lx, l2;
} fit;

static int symmetric_code(float v, int nmax)
{
    return ls_q_clamp(ls_q_nearest(v), -nmax, nmax - 1);
}

static void fit_add(fit *f, float w, float x, int l)
{
    f->lx += w * x * (float)l;
    f->l2 += w * (float)l * (float)l;
}

/* Scales are tried side by side, so that each sum keeps its order and processors work on several;
 * 20 are five times the four floats that every x86 processor has in a register. */
enum { N_TRIES = 20, N_STEPS = 18 };

static void fit_symmetric(int n, int nmax, const float *x, const float *w, const float *inverse,
                          float *lx, float *l2)
{
    for (int i = 0; i < n; i++) {
        float weight = w ? w[i] : x[i] * x[i], wx = weight * x[i];
        for (int t = 0; t < N_TRIES; t++) {
            float l = (float)symmetric_code(inverse[t] * x[i], nmax);
            lx[t] += wx * l;
            l2[t] += weight * l * l;
        }
    }
}

float ls_q_symmetric(int n, int nmax, const float *x, const float *w, int8_t *code)
{
    float inverse[N_TRIES] = {0}, lx[N_TRIES] = {0}, l2[N_TRIES] = {0}, max, best, scale;
    int   chosen = 0;
    for (int i = 0; i < n; i++) code[i] = 0;
    if (ls_q_largest(x, (size_t)n, &max) < LS_Q_TINY) return 0;
    inverse[0] = (float)-nmax / max;
    for (int t = 1; t <= N_STEPS; t++) {
        int step = t <= 9 ? t - 10 : t - 9; /* -9 to 9 without 0 */
        inverse[t] = -((float)nmax + 0.1f * (float)step) / max;
    }
    fit_symmetric(n, nmax, x, w, inverse, lx, l2);
    scale = l2[0] != 0 ? lx[0] / l2[0] : 0;
    best = scale * lx[0];
    for (int t = 1; t <= N_STEPS; t++) {
        if (!(l2[t] > 0 && lx[t] * lx[t] > best * l2[t])) continue;
        chosen = t;
        scale = lx[t] / l2[t];
        best = scale * lx[t];
    }
    for (int i = 0; i < n; i++) {
        code[i] = (int8_t)(symmetric_code(inverse[chosen] * x[i], nmax) + nmax);
    }
    return scale;
}

float ls_q_descent(int n, int nmax, const float *x, int8_t *code)
{
    float max, inverse;
    fit   f = {0, 0};
    for (int i = 0; i < n; i++) code[i] = 0;
    if (ls_q_largest(x, (size_t)n, &max) < LS_Q_TINY) return 0;
    inverse = (float)-nmax / max;
    for (int i = 0; i < n; i++) {
        code[i] = (int8_t)symmetric_code(inverse * x[i], nmax);
        fit_add(&f, x[i] * x[i], x[i], code[i]);
    }
    for (int round = 0, changed = 1; round < 5 && changed; round++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            float w = x[i] * x[i], old = (float)code[i];
            fit   g = {f.lx - w * x[i] * old, 0};
            int   l;
            if (!(g.lx > 0)) continue;
            g.l2 = f.l2 - w * old * old;
            l = symmetric_code(x[i] * g.l2 / g.lx, nmax);
            if (l == code[i]) continue;
            fit_add(&g, w, x[i], l);
            if (!(g.l2 > 0 && g.lx * g.lx * f.l2 > f.lx * f.lx * g.l2)) continue;
            code[i] = (int8_t)l;
            f = g;
            changed++;
        }
    }
    for (int i = 0; i < n; i++) code[i] = (int8_t)(code[i] + nmax);
    return f.l2 > 0 ? f.lx / f.l2 : 0;
}

/* The best of nine scales by squared error, inverted. */
static float positive_inverse(int n, int nmax, const float *x, const float *w, float max)
{
    float inverse = (float)nmax / max, scale = 1 / inverse, least = 0;
    for (int i = 0; i < n; i++) { /* these codes are bytes, without a limit */
        float diff = x[i] - scale * (float)(uint8_t)ls_q_nearest(inverse * x[i]);
        least += w[i] * diff * diff;
    }
    for (int step = -4; step <= 4; step++) {
        float other = (0.1f * (float)step + (float)nmax) / max, error = 0;
        if (!step) continue;
        scale = 1 / other;
        for (int i = 0; i < n; i++) {
            int   l = ls_q_nearest(other * x[i]);
            float diff = x[i] - scale * (float)(l < nmax ? l : nmax);
            error += w[i] * diff * diff;
        }
        if (!(error < least)) continue;
        least = error;
        inverse = other;
    }
    return inverse;
}

float ls_q_positive(int n, int nmax, const float *x, const float *w, uint8_t *code)
{
    float max = 0, inverse;
    fit   f = {0, 0};
    for (int i = 0; i < n; i++) max = max > x[i] ? max : x[i];
    for (int i = 0; i < n; i++) code[i] = 0;
    if (max < LS_Q_TINY) return 0;
    inverse = positive_inverse(n, nmax, x, w, max);
    for (int i = 0; i < n; i++) {
        int l = ls_q_nearest(inverse * x[i]);
        l = l < nmax ? l : nmax;
        code[i] = (uint8_t)l;
        fit_add(&f, w[i], x[i], l);
    }
    for (int round = 0, changed = 1; round < 5 && changed; round++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            float old = (float)code[i];
            fit   g = {f.lx - w[i] * x[i] * old, f.l2 - w[i] * old * old};
            int   l;
            if (!(g.lx > 0 && g.l2 > 0)) continue;
            l = ls_q_nearest(x[i] * g.l2 / g.lx);
            l = l < nmax ? l : nmax;
            if (l == code[i]) continue;
            fit_add(&g, w[i], x[i], l);
            if (!(g.lx * g.lx * f.l2 > f.lx * f.lx * g.l2)) continue;
            code[i] = (uint8_t)l;
            f = g;
            changed++;
        }
    }
    return f.l2 > 0 ? f.lx / f.l2 : 0;
}

/* Weighted error of x against scale * code + low. */
static float affine_error(int n, const float *x, const float *w, const uint8_t *code, float scale,
                          float low, bool absolute)
{
    float error = 0;
    for (int i = 0; i < n; i++) {
        float diff = scale * (float)code[i] + low - x[i];
        error += w[i] * (absolute ? fabsf(diff) : diff * diff);
    }
    return error;
}

/* Fits of x by codes of four steps side by side, for one minimum so far. */
enum { SIDE = 4, GROUP = 32 };
typedef struct affine_fits {
    float scale[SIDE], low[SIDE], error[SIDE], code[GROUP][SIDE];
} affine_fits;

static void affine_codes(affine_fits *f, int n, int nmax, const float *x, const float *w, float low,
                         const float *inverse, float (*sums)[SIDE])
{
    for (int i = 0; i < n; i++) {
        for (int t = 0; t < SIDE; t++) {
            float l = (float)ls_q_clamp(ls_q_nearest(inverse[t] * (x[i] - low)), 0, nmax);
            f->code[i][t] = l;
            sums[0][t] += w[i] * l;
            sums[1][t] += w[i] * l * l;
            sums[2][t] += w[i] * l * x[i];
        }
    }
}

static void affine_errors(affine_fits *f, int n, const float *x, const float *w, bool absolute)
{
    for (int t = 0; t < SIDE; t++) f->error[t] = 0;
    for (int i = 0; i < n; i++) {
        for (int t = 0; t < SIDE; t++) {
            float diff = f->scale[t] * f->code[i][t] + f->low[t] - x[i];
            f->error[t] += w[i] * (absolute ? fabsf(diff) : diff * diff);
        }
    }
}

/* An error of infinity where there is no fit. */
static void affine_fit(affine_fits *f, int n, int nmax, const float *x, const float *w, float low,
                       const float *inverse, float sum_w, float sum_x, bool absolute)
{
    float sums[3][SIDE] = {{0}};
    bool  none[SIDE];
    affine_codes(f, n, nmax, x, w, low, inverse, sums);
    for (int t = 0; t < SIDE; t++) {
        float l = sums[0][t], l2 = sums[1][t], xl = sums[2][t], det = sum_w * l2 - l * l;
        none[t] = !(det > 0);
        f->scale[t] = (sum_w * xl - sum_x * l) / det;
        f->low[t] = (l2 * sum_x - l * xl) / det;
        if (!(f->low[t] > 0)) continue;
        f->low[t] = 0;
        f->scale[t] = xl / l2;
    }
    affine_errors(f, n, x, w, absolute);
    for (int t = 0; t < SIDE; t++) f->error[t] = none[t] ? INFINITY : f->error[t];
}

float ls_q_affine(int n, int nmax, const float *x, const float *w, uint8_t *code, float *min,
                  const ls_q_steps *steps)
{
    float low = x[0], high = x[0], sum_w = w[0], sum_x = w[0] * x[0], scale, least;
    for (int i = 1; i < n; i++) {
        if (x[i] < low) low = x[i];
        if (x[i] > high) high = x[i];
        sum_w += w[i];
        sum_x += w[i] * x[i];
    }
    if (low > 0) low = 0;
    *min = -low;
    for (int i = 0; i < n; i++) code[i] = 0;
    if (high == low) return 0;
    scale = 1 / ((float)nmax / (high - low));
    for (int i = 0; i < n; i++) {
        int l = ls_q_nearest((float)nmax / (high - low) * (x[i] - low));
        code[i] = (uint8_t)ls_q_clamp(l, 0, nmax);
    }
    least = affine_error(n, x, w, code, scale, low, steps->absolute);
    for (int step = 0, done; step <= steps->n; step += done) {
        affine_fits f;
        float       inverse[SIDE], from = low;
        for (int t = 0; t < SIDE; t++) {
            inverse[t] =
                (steps->first + steps->step * (float)(step + t) + (float)nmax) / (high - low);
        }
        affine_fit(&f, n, nmax, x, w, low, inverse, sum_w, sum_x, steps->absolute);
        /* Each step starts from the best minimum so far: another one spoils those behind it. */
        for (done = 0; done < SIDE && step + done <= steps->n && low == from; done++) {
            if (!(f.error[done] < least)) continue;
            for (int i = 0; i < n; i++) code[i] = (uint8_t)f.code[i][done];
            least = f.error[done];
            scale = f.scale[done];
            low = f.low[done];
        }
    }
    *min = -low;
    return scale;
}
