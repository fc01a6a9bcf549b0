// SPDX-License-Identifier: MIT
/* search.c - a number that is not known: a coarse grid over six powers of ten, a fine one around
 * what is expected, then the golden section around the best of both. */
#include <math.h>

#include "explain/explain_priv.h"

#define NOISE 1e-13 /* what sums in float leave: below it one value is as good as another */

enum { COARSE = 30, FINE = 20, SECTIONS = 60 };

typedef struct point {
    double x, y, step; /* step: logarithm of the ratio to its neighbours */
} point;

static void try_point(ls_explain_fn *f, void *ctx, point *best, double x, double step)
{
    double y = f(ctx, x);
    if (y < best->y) *best = (point){x, y, step};
}

double ls_explain_search(ls_explain_fn *f, void *ctx, double around, double *value)
{
    const double ratio = 0.6180339887498949, coarse = log(1000) / COARSE, fine = log(1.1) / FINE;
    point        best = {around, f(ctx, around), coarse};
    double       a, b, c, d, yc, yd;
    for (int k = -COARSE; k <= COARSE; k++)
        try_point(f, ctx, &best, around * exp(k * coarse), coarse);
    for (int k = -FINE; k <= FINE; k++) {
        if (k) try_point(f, ctx, &best, around * exp(k * fine), fine);
    }
    a = log(best.x) - best.step;
    b = log(best.x) + best.step;
    c = b - ratio * (b - a);
    d = a + ratio * (b - a);
    yc = f(ctx, exp(c));
    yd = f(ctx, exp(d));
    for (int k = 0; k < SECTIONS && b - a > 1e-8; k++) {
        if (yc < yd) {
            b = d;
            d = c;
            yd = yc;
            c = b - ratio * (b - a);
            yc = f(ctx, exp(c));
        } else {
            a = c;
            c = d;
            yc = yd;
            d = a + ratio * (b - a);
            yd = f(ctx, exp(d));
        }
    }
    *value = f(ctx, exp((a + b) / 2));
    return exp((a + b) / 2);
}

double ls_explain_nice(ls_explain_fn *f, void *ctx, double x, double *value)
{
    double best = *value;
    for (int digits = 1; digits <= 6; digits++) {
        double unit = pow(10, digits - 1 - floor(log10(fabs(x)))), near = round(x * unit) / unit;
        double y = f(ctx, near);
        if (!(y <= 2 * best + NOISE)) continue;
        *value = y;
        return near;
    }
    return x;
}
