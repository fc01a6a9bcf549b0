// SPDX-License-Identifier: MIT
/* patch_name.c - words for weights that are others: which, and what they are instead. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "explain/patch_priv.h"

/* ---- the number ---- */

typedef struct refit {
    patcher     *p;
    ls_sem_patch patch;
    patch_form   form;
    double       from; /* what is added is the difference to it */
} refit;

static ls_semantics patched(const refit *j, double x)
{
    ls_semantics  s = j->p->w->own;
    ls_sem_patch *to = &s.patch[j->p->w->n_patches];
    *to = j->patch;
    if (j->form == FACTOR)
        to->factor = x;
    else
        to->add = x - j->from;
    return s;
}

static double with(void *ctx, double x)
{
    const refit *j = ctx;
    ls_semantics s = patched(j, x);
    return ls_explain_evaluate(j->p->w, &s);
}

/* The shortest that is as good; that may be 0. */
static double shortest(refit *j, double x, double *value)
{
    double at_0;
    *value = with(j, x);
    at_0 = fabs(x) < 1e-3 ? with(j, 0) : (double)NAN;
    if (at_0 <= 2 * *value + 1e-13) {
        *value = at_0;
        return 0;
    }
    return x == 0 || !isfinite(x) ? x : ls_explain_nice(with, j, x, value);
}

/* ---- names ---- */

/* "row 17 of ", "expert 2 of ", "row 3 of expert 2 of ", "" for all. */
static void name_rows(const patcher *p, const ls_sem_patch *s, char *buf, size_t cap)
{
    size_t first = p->of.from + s->row, e = p->of.expert, n = s->n_rows;
    char   expert[48] = "";
    buf[0] = '\0';
    if (n == p->of.rows) return;
    if (e && s->row / e == (s->row + n - 1) / e) {
        snprintf(expert, sizeof(expert), "expert %zu of ", s->row / e);
        first = s->row % e;
        if (n == e) {
            snprintf(buf, cap, "%s", expert);
            return;
        }
    }
    if (n == 1)
        snprintf(buf, cap, "%s %zu of %s", p->of.cols == 1 ? "element" : "row", first, expert);
    else
        snprintf(buf, cap, "%s %zu to %zu of %s", p->of.cols == 1 ? "elements" : "rows", first,
                 first + n - 1, expert);
}

/* "row 17 of blk.1.ffn_up.weight, columns 64 to 95," */
static void name_patch(const patcher *p, const ls_sem_patch *s, char *buf, size_t cap)
{
    char rows[120], cols[64] = "", one[48] = "";
    name_rows(p, s, rows, sizeof(rows));
    if (s->n_cols < p->of.cols && s->n_cols == 1)
        snprintf(one, sizeof(one), "element %zu of ", s->col);
    else if (s->n_cols < p->of.cols)
        snprintf(cols, sizeof(cols), ", columns %zu to %zu,", s->col, s->col + s->n_cols - 1);
    snprintf(buf, cap, "%s%s%s%s%s", one, rows, rows[0] ? "" : "tensor ", p->of.name, cols);
}

static bool is_element(const patcher *p, const ls_sem_patch *s)
{
    return s->n_rows == 1 && (s->n_cols == 1 || p->of.cols == 1);
}

/* "rows 3 to 5 of ... are", "row 3 of ... is", "expert 2 of ... is". */
static const char *is_many(const patcher *p, const ls_sem_patch *s)
{
    bool whole = s->n_rows == p->of.rows || s->n_rows == p->of.expert;
    return s->n_rows > 1 && !whole ? "are" : "is";
}

static void add(patcher *p, const char *noun, const char *value, const char *own, double y,
                const ls_semantics *s, const patch_fit *best, double from)
{
    size_t k = offsetof(ls_semantics, patch) + (size_t)p->w->n_patches * sizeof(ls_sem_patch);
    change c = {.what = "weights", .from = from};
    c.at =
        k + (best->form == FACTOR ? offsetof(ls_sem_patch, factor) : offsetof(ls_sem_patch, add));
    snprintf(c.noun, sizeof(c.noun), "%s", noun);
    snprintf(c.value, sizeof(c.value), "%s", value);
    snprintf(c.own, sizeof(c.own), "%s", own);
    ls_explain_add_change(p->w, &c, y, 2, s);
}

void ls_explain_name_patch(patcher *p, const patch_fit *best)
{
    refit        j = {p, best->patch, best->form, 0};
    char         name[336], noun[384], value[32], own[32] = "1";
    double       x, y;
    ls_semantics s;
    name_patch(p, &best->patch, name, sizeof(name));
    if (best->form == ADD && is_element(p, &best->patch))
        j.from = ls_oracle_weight(&p->of, best->patch.row, best->patch.col);
    if (!isfinite(j.from)) return;
    x = shortest(&j, best->form == FACTOR ? best->patch.factor : j.from + best->patch.add, &y);
    s = patched(&j, x);
    snprintf(value, sizeof(value), "%.7g", x);
    if (best->form == ADD && is_element(p, &best->patch)) {
        snprintf(noun, sizeof(noun), "%s is", name);
        snprintf(own, sizeof(own), "%.7g", j.from);
    } else if (best->form == ADD) {
        snprintf(noun, sizeof(noun), "what is added to every element of %s is",
                 strncmp(name, "tensor ", 7) == 0 ? name + 7 : name);
        snprintf(own, sizeof(own), "0");
    } else {
        snprintf(noun, sizeof(noun), "%s %s multiplied by", name, is_many(p, &best->patch));
    }
    add(p, noun, value, own, y, &s, best, j.from);
}

void ls_explain_name_each(patcher *p, const ls_sem_patch *all, size_t count)
{
    char         noun[160], value[80];
    ls_semantics s = p->w->own;
    double       y;
    s.patch[p->w->n_patches] = *all;
    y = ls_explain_evaluate(p->w, &s);
    if (!p->of.t) {
        snprintf(noun, sizeof(noun), "a bias of %s, which the model does not have, is",
                 ls_op_name(p->w->opt->op));
        ls_explain_add(p->w, "bias", noun, "added", "absent", y, 2, &s);
        return;
    }
    snprintf(noun, sizeof(noun), "the elements of %s are", p->of.name);
    snprintf(value, sizeof(value), "others (%zu of %zu)", count, p->of.rows);
    ls_explain_add(p->w, "weights", noun, value, "those of the file", y, 3, &s);
}
