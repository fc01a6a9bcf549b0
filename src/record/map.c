// SPDX-License-Identifier: MIT
/* map.c - the errors of every tap at every position: what a report draws. */
#include "record/map.h"

#include <stdlib.h>

#include "base/mem.h"

void ls_tap_map_fini(ls_tap_map *m)
{
    if (!m) return;
    for (size_t i = 0; i < m->n_rows; i++) free(m->rows[i].cells);
    free(m->rows);
    *m = (ls_tap_map){0};
}

void ls_located_fini(ls_located *l)
{
    if (!l) return;
    ls_tap_map_fini(&l->map);
    *l = (ls_located){0};
}

static ls_status add_row(ls_tap_map *m, ls_op op, int32_t layer, size_t heads, size_t n,
                         ls_error *err)
{
    ls_map_row *row = &m->rows[m->n_rows];
    *row = (ls_map_row){.op = op, .layer = layer, .heads = heads, .n = n};
    LS_TRY(ls_alloc(&row->cells, m->n_positions, sizeof(*row->cells), "a map of taps", err));
    for (size_t i = 0; i < m->n_positions; i++)
        row->cells[i] =
            (ls_map_cell){.isolated = -1, .accumulated = -1, .subject = -1, .reference = -1};
    m->n_rows++;
    return LS_OK;
}

ls_status ls_tap_map_create(ls_tap_map *m, const ls_trace_diff *d, size_t n_positions,
                            ls_error *err)
{
    size_t n_vocab = 0;
    *m = (ls_tap_map){.n_positions = n_positions};
    LS_TRY(ls_alloc(&m->rows, d->n_rows + 1, sizeof(*m->rows), "a map of taps", err));
    for (size_t i = 0; i < d->n_rows; i++) {
        const ls_trace_record *a = d->rows[i].a, *b = d->rows[i].b;
        if (a && a->op == LS_OP_LOGITS) n_vocab = a->n;
        if (!a || !b || a->seq != 0 || a->op == LS_OP_LOGITS) continue;
        LS_TRY(add_row(m, a->op, a->layer, a->heads, a->heads > 1 ? n_positions : a->n, err));
    }
    return add_row(m, LS_OP_LOGITS, -1, 1, n_vocab, err);
}

static ls_map_row *find(ls_tap_map *m, ls_op op, int32_t layer)
{
    for (size_t i = 0; i < m->n_rows; i++)
        if (m->rows[i].op == op && m->rows[i].layer == layer) return &m->rows[i];
    return NULL;
}

static void take_oracle(ls_map_cell *c, ls_walk_errors e)
{
    c->subject = e.subject;
    c->reference = e.reference;
}

void ls_tap_map_take(ls_tap_map *m, const ls_walk *w)
{
    for (size_t i = 0; i < w->n; i++) {
        const ls_walk_tap *t = &w->taps[i];
        bool               before = t->layer >= 0 && t->layer < w->first;
        ls_map_row        *row = before ? NULL : find(m, t->op, t->layer);
        for (size_t r = 0; row && r < t->rows && (size_t)t->pos + r < m->n_positions; r++) {
            ls_map_cell *c = &row->cells[(size_t)t->pos + r];
            *c = t->free_run[r];
            c->isolated = ls_walk_isolated(t, r);
            take_oracle(c, t->exact && c->isolated != -1
                               ? ls_walk_oracle_errors(t, r)
                               : (ls_walk_errors){.subject = -1, .reference = -1});
        }
    }
}

void ls_tap_map_take_logits(ls_tap_map *m, size_t position, bool free_run, const float *subject,
                            const float *reference, size_t n)
{
    ls_map_cell *c = &m->rows[m->n_rows - 1].cells[position];
    double       nmse = ls_walk_centred_nmse(subject, reference, n);
    if (!free_run) {
        c->isolated = nmse;
        return;
    }
    c->accumulated = nmse;
    for (size_t i = 0; i < n; i++) ls_walk_keep_worst(c, i, subject[i], reference[i]);
}

void ls_tap_map_take_logits_oracle(ls_tap_map *m, size_t position, ls_walk_errors e)
{
    take_oracle(&m->rows[m->n_rows - 1].cells[position], e);
}
