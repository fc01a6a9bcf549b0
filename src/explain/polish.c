// SPDX-License-Identifier: MIT
/* polish.c - several numbers at once: the simplex of Nelder and Mead (1965), then each number as
 * short as it can be. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "explain/explain_priv.h"

enum { MOST = LS_EXPLAIN_CHANGES, STEPS = 300 };

typedef struct simplex {
    work  *w;
    trial *t;
    int    n, of[MOST]; /* changes that have a number */
    double x[MOST + 1][MOST], y[MOST + 1];
    int    one; /* the number that ls_explain_nice varies */
} simplex;

static double *number(trial *t, int i)
{
    return (double *)(void *)((char *)&t->s + t->changes[i].at);
}

static double evaluate(simplex *m, const double *x)
{
    trial t = *m->t;
    for (int i = 0; i < m->n; i++) *number(&t, m->of[i]) = x[i];
    return ls_explain_evaluate(m->w, &t.s);
}

/* ---- the simplex ---- */

static void put(simplex *m, int k, const double *x, double y)
{
    memcpy(m->x[k], x, sizeof(m->x[k]));
    m->y[k] = isnan(y) ? (double)INFINITY : y;
}

static void sort(simplex *m)
{
    for (int i = 1; i <= m->n; i++) {
        for (int k = i; k > 0 && m->y[k] < m->y[k - 1]; k--) {
            double x[MOST], y = m->y[k];
            memcpy(x, m->x[k], sizeof(x));
            put(m, k, m->x[k - 1], m->y[k - 1]);
            put(m, k - 1, x, y);
        }
    }
}

/* Around the numbers that are there: a tenth of each. */
static void begin(simplex *m)
{
    double x[MOST] = {0};
    for (int i = 0; i < m->n; i++) x[i] = *number(m->t, m->of[i]);
    for (int k = 0; k <= m->n; k++) {
        double at[MOST];
        memcpy(at, x, sizeof(at));
        if (k > 0) at[k - 1] += at[k - 1] != 0 ? 0.1 * at[k - 1] : 0.01;
        put(m, k, at, evaluate(m, at));
    }
}

/* The point at `c` times the way from the worst one through the middle of the others. */
static double beyond(simplex *m, double c, double *x)
{
    for (int i = 0; i < MOST; i++) {
        double middle = 0;
        for (int k = 0; k < m->n; k++) middle += m->x[k][i] / m->n;
        x[i] = middle + c * (middle - m->x[m->n][i]);
    }
    return evaluate(m, x);
}

static void shrink(simplex *m)
{
    for (int k = 1; k <= m->n; k++) {
        double x[MOST];
        for (int i = 0; i < MOST; i++) x[i] = (m->x[0][i] + m->x[k][i]) / 2;
        put(m, k, x, evaluate(m, x));
    }
}

static void step(simplex *m)
{
    double x[MOST], more[MOST], y = beyond(m, 1, x), z;
    if (y < m->y[0]) {
        z = beyond(m, 2, more);
        put(m, m->n, z < y ? more : x, z < y ? z : y);
        return;
    }
    if (y < m->y[m->n - 1]) {
        put(m, m->n, x, y);
        return;
    }
    z = beyond(m, y < m->y[m->n] ? 0.5 : -0.5, more);
    if (z < m->y[m->n] && z <= y)
        put(m, m->n, more, z);
    else
        shrink(m);
}

/* ---- short numbers ---- */

static double with_one(void *ctx, double shown)
{
    simplex *m = ctx;
    double   x[MOST];
    memcpy(x, m->x[0], sizeof(x));
    x[m->one] = shown - m->t->changes[m->of[m->one]].from;
    return evaluate(m, x);
}

static void shorten(simplex *m)
{
    for (int i = 0; i < m->n; i++) {
        double from = m->t->changes[m->of[i]].from, shown = from + m->x[0][i], y = m->y[0], at_0;
        m->one = i;
        at_0 = with_one(m, 0);
        if (at_0 <= 2 * y + 1e-13) {
            shown = 0;
            y = at_0;
        } else if (shown != 0 && isfinite(shown)) {
            shown = ls_explain_nice(with_one, m, shown, &y);
        }
        m->x[0][i] = shown - from;
        m->y[0] = y;
    }
}

static void take(simplex *m)
{
    for (int i = 0; i < m->n; i++) {
        change *c = &m->t->changes[m->of[i]];
        double  shown = c->from + m->x[0][i];
        *number(m->t, m->of[i]) = m->x[0][i];
        snprintf(c->value, sizeof(c->value), "%.7g", shown);
    }
    m->t->nmse = m->y[0];
}

void ls_explain_polish(work *w, trial *t)
{
    simplex m = {.w = w, .t = t};
    for (int i = 0; i < t->n; i++) {
        if (t->changes[i].at) m.of[m.n++] = i;
    }
    if (m.n < 2) return;
    begin(&m);
    for (int k = 0; k < STEPS && w->status == LS_OK; k++) {
        sort(&m);
        if (m.y[0] <= 1e-15 || m.y[m.n] - m.y[0] <= 1e-3 * m.y[0]) break;
        step(&m);
    }
    sort(&m);
    if (w->status != LS_OK || !isfinite(m.y[0])) return;
    shorten(&m);
    if (w->status == LS_OK && m.y[0] < t->nmse) take(&m);
}
