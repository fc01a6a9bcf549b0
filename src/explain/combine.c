// SPDX-License-Identifier: MIT
/* combine.c - one change; where none explains the difference, several: the best one, then with it
 * made the best further one. */
#include <math.h>
#include <string.h>

#include "explain/explain_priv.h"

enum { STARTS = 3, PASSES = 3, POLISHED = 2 };

/* A change that belongs to the cause has a share in it: so much of the error may be left. */
#define WORTH 0.8

/* Below it there is nothing to explain. */
#define NOISE 1e-11

static bool explains(const work *w, size_t i) { return ls_explain_agrees(w, &w->out->rows[i]); }

static bool any_explains(const work *w)
{
    for (size_t i = 0; i < w->out->n_rows; i++) {
        if (explains(w, i)) return true;
    }
    return false;
}

static void try_everything(work *w)
{
    w->planned = w->done + ls_explain_plan(w);
    ls_explain_table(w);
    ls_explain_patch(w);
}

/* Of two that are as near the simpler one. */
static double distance(const work *w, size_t i)
{
    return w->out->rows[i].nmse * (1 + 0.05 * w->out->rows[i].effort);
}

/* The nearest of rows [first, end) that is farther than `than`; end: there is none. */
static size_t nearest(const work *w, size_t first, size_t end, double than)
{
    size_t best = end;
    for (size_t i = first; i < end; i++) {
        double y = distance(w, i);
        if (y > than && (best == end || y < distance(w, best))) best = i;
    }
    return best;
}

/* The nearest of rows [first, n), the numbers of the first few searched for together. */
static size_t polish(work *w, size_t first)
{
    size_t n = w->out->n_rows;
    double than = -1;
    for (int k = 0; k < POLISHED && w->status == LS_OK; k++) {
        size_t i = nearest(w, first, n, than);
        trial  t;
        if (i == n || explains(w, i)) break;
        than = distance(w, i);
        t = w->trials[w->out->rows[i].order - 1];
        ls_explain_polish(w, &t);
        if (t.nmse < w->out->rows[i].nmse) ls_explain_add_trial(w, &t);
    }
    return nearest(w, first, w->out->n_rows, -1);
}

/* From row i one change after the other, each the best there is. */
static void try_from(work *w, size_t i)
{
    for (int pass = 0; pass < PASSES && w->status == LS_OK; pass++) {
        size_t first = w->out->n_rows;
        double before = w->out->rows[i].nmse;
        ls_explain_go_on(w, i);
        try_everything(w);
        i = polish(w, first);
        if (i == w->out->n_rows || explains(w, i) || !(w->out->rows[i].nmse <= WORTH * before))
            return;
    }
}

/* A choice alone may make things no better, though it is one of two causes. */
static bool is_choice(const ls_explain_row *r)
{
    return r->effort == 0 && strcmp(r->what, "rope-dims") != 0 && strcmp(r->what, "window") != 0 &&
           strcmp(r->what, "activation-rounding") != 0;
}

/* Where to start from: of each kind the nearest row that is worth something, then choices. */
static bool is_start(const work *w, size_t i, const size_t *tried, int n_tried, bool choices)
{
    const ls_explain_row *r = &w->out->rows[i];
    if (r->changes > 1 || (choices ? !is_choice(r) : !(r->nmse <= WORTH * w->out->own)))
        return false;
    for (int k = 0; k < n_tried; k++) {
        if (tried[k] == i || (!choices && strcmp(w->out->rows[tried[k]].what, r->what) == 0))
            return false;
    }
    return true;
}

void ls_explain_all(work *w)
{
    size_t tried[2 * STARTS], n;
    int    n_tried = 0;
    w->base.nmse = w->out->own;
    w->base.s = w->own;
    try_everything(w);
    n = w->out->n_rows;
    for (int choices = 0; choices < 2 && w->out->own > NOISE; choices++) {
        double than = -1;
        size_t i;
        while (n_tried < (choices + 1) * STARTS && w->status == LS_OK && !any_explains(w) &&
               (i = nearest(w, 0, n, than)) < n) {
            than = distance(w, i);
            if (!is_start(w, i, tried, n_tried, choices)) continue;
            tried[n_tried++] = i;
            try_from(w, i);
        }
    }
}
