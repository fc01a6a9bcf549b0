// SPDX-License-Identifier: MIT
/* rows.c - lines of the table: what each stands for, its words, and which comes first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/explain_priv.h"

/* A candidate explains when it is this much nearer than the model's own meaning, and near at all:
 * what floats leave of a correct operation is 1e-12 at most, with roundings to F16 1e-8. */
#define NEARER 50.0
#define NEAR   1e-8

/* Several changes fit more than one does: they have to agree to what floats leave. */
#define TOGETHER 1e-11

bool ls_explain_explains(double nmse, double own) { return nmse <= NEAR && nmse * NEARER <= own; }

bool ls_explain_agrees(const work *w, const ls_explain_row *r)
{
    return ls_explain_explains(r->nmse, w->out->own) && (r->changes == 1 || r->nmse <= TOGETHER);
}

/* ---- words ---- */

/* The change takes the place of an earlier one of the same thing; of weights there may be several.
 */
static bool put_change(trial *t, const change *c)
{
    for (int i = 0; i < t->n; i++) {
        if (strcmp(t->changes[i].what, c->what) != 0 || strcmp(c->what, "weights") == 0) continue;
        snprintf(t->changes[i].value, sizeof(c->value), "%s", c->value);
        t->changes[i].at = c->at;
        t->changes[i].from = c->from;
        if (strcmp(t->changes[i].value, t->changes[i].own) != 0) return true;
        memmove(&t->changes[i], &t->changes[i + 1], (size_t)(--t->n - i) * sizeof(*c));
        return t->n > 0;
    }
    if (t->n == LS_EXPLAIN_CHANGES) return false;
    t->changes[t->n++] = *c;
    return true;
}

static void append(char *buf, size_t cap, const char *between, const char *text)
{
    size_t n = strlen(buf);
    snprintf(buf + n, cap - n, "%s%s", n ? between : "", text);
}

/* A bias times 0 is none. */
static void write_change(char *buf, size_t cap, const change *c)
{
    const char *times = strstr(c->noun, " multiplied by");
    if (times && strcmp(c->value, "0") == 0 && strstr(c->noun, ".bias "))
        snprintf(buf, cap, "%.*s left out, not added", (int)(times - c->noun), c->noun);
    else
        snprintf(buf, cap, "%s %s, not %s", c->noun, c->value, c->own);
}

static void write_row(ls_explain_row *r, const trial *t)
{
    char text[700];
    for (int i = 0; i < t->n; i++) {
        const change *c = &t->changes[i];
        append(r->what, sizeof(r->what), " + ", c->what);
        append(r->value, sizeof(r->value), " and ", c->value);
        append(r->own, sizeof(r->own), " and ", c->own);
        write_change(text, sizeof(text), c);
        append(r->sentence, sizeof(r->sentence), ", and ", text);
    }
}

/* ---- rows ---- */

static ls_status put_row(work *w, const trial *t, ls_error *err)
{
    ls_explained   *out = w->out;
    ls_explain_row *r;
    LS_TRY(ls_grow(&out->rows, &out->cap, out->n_rows + 1, sizeof(*r), "a table", err));
    LS_TRY(ls_grow(&w->trials, &w->trials_cap, out->n_rows + 1, sizeof(*t), "a table", err));
    w->trials[out->n_rows] = *t;
    r = &out->rows[out->n_rows++];
    *r = (ls_explain_row){.nmse = t->nmse,
                          .effort = t->effort + (t->n > 1 ? t->n - 1 : 0),
                          .changes = t->n,
                          .order = out->n_rows};
    write_row(r, t);
    return LS_OK;
}

void ls_explain_add_trial(work *w, const trial *t)
{
    if (w->status == LS_OK) w->status = put_row(w, t, &w->error);
}

void ls_explain_add_change(work *w, const change *c, double nmse, int effort, const ls_semantics *s)
{
    trial t = w->base;
    if (w->status != LS_OK || nmse == w->base.nmse) return; /* the same: it does not act here */
    if (t.n > 0 && !(nmse < t.nmse)) return;
    if (!put_change(&t, c)) return;
    t.s = *s;
    t.nmse = nmse;
    t.effort += t.n > w->base.n ? effort : 0;
    for (t.n_patches = 0; t.n_patches < LS_SEM_PATCHES && s->patch[t.n_patches].n_rows;)
        t.n_patches++;
    ls_explain_add_trial(w, &t);
}

void ls_explain_add(work *w, const char *what, const char *noun, const char *value, const char *own,
                    double nmse, int effort, const ls_semantics *s)
{
    change c = {.at = 0};
    snprintf(c.what, sizeof(c.what), "%s", what);
    snprintf(c.noun, sizeof(c.noun), "%s", noun);
    snprintf(c.value, sizeof(c.value), "%s", value);
    snprintf(c.own, sizeof(c.own), "%s", own);
    ls_explain_add_change(w, &c, nmse, effort, s);
}

/* A number that was searched for fits better than a choice by its nature, a change of weights more
 * so: each has to be ten times as near. */
static double rank(const ls_explain_row *r)
{
    double x = isnan(r->nmse) ? (double)INFINITY : fmax(r->nmse, 1e-13);
    return x * pow(10, r->effort);
}

static int nearest_first(const void *a, const void *b)
{
    const ls_explain_row *p = a, *q = b;
    double                x = rank(p), y = rank(q);
    if (x == y) return p->order < q->order ? -1 : p->order > q->order;
    return x < y ? -1 : 1;
}

void ls_explain_sort(work *w)
{
    if (w->out->n_rows > 1)
        qsort(w->out->rows, w->out->n_rows, sizeof(*w->out->rows), nearest_first);
}

void ls_explain_go_on(work *w, size_t i)
{
    w->base = w->trials[w->out->rows[i].order - 1];
    w->own = w->base.s;
    w->n_patches = w->base.n_patches;
}
