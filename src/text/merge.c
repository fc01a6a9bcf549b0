// SPDX-License-Identifier: MIT
/* merge.c - greedy pair merging over a linked list of symbols and a heap of candidate pairs:
 * O(n log n) in the length of the word (Sennrich et al. 2016, arXiv:1508.07909, algorithm 1). */
#include "text/merge.h"

#include <stdlib.h>

#include "base/mem.h"

static bool before(const ls_candidate *a, const ls_candidate *b)
{
    if (a->priority != b->priority) return a->priority < b->priority;
    return a->left < b->left;
}

static ls_status push(ls_merger *m, ls_candidate c, ls_error *err)
{
    size_t i = m->n_heap;
    LS_TRY(ls_grow(&m->heap, &m->heap_cap, m->n_heap + 1, sizeof(*m->heap), "a tokenizer", err));
    m->n_heap++;
    while (i > 0 && before(&c, &m->heap[(i - 1) / 2])) {
        m->heap[i] = m->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    m->heap[i] = c;
    return LS_OK;
}

static ls_candidate pop(ls_merger *m)
{
    ls_candidate top = m->heap[0], last = m->heap[--m->n_heap];
    size_t       i = 0, child;
    while ((child = 2 * i + 1) < m->n_heap) {
        if (child + 1 < m->n_heap && before(&m->heap[child + 1], &m->heap[child])) child++;
        if (!before(&m->heap[child], &last)) break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    if (m->n_heap) m->heap[i] = last;
    return top;
}

ls_status ls_merger_add(ls_merger *m, ls_str s, int32_t sym, ls_error *err)
{
    int32_t i = (int32_t)m->n_symbols;
    LS_TRY(ls_grow(&m->symbols, &m->symbols_cap, m->n_symbols + 1, sizeof(*m->symbols),
                   "a tokenizer", err));
    m->symbols[i] = (ls_symbol){s, sym, i - 1, -1};
    if (i > 0) m->symbols[i - 1].next = i;
    m->n_symbols++;
    return LS_OK;
}

static ls_status consider(ls_merger *m, const ls_tokenizer *t, ls_pair_fn *pair, int32_t left,
                          int32_t right, ls_error *err)
{
    ls_candidate     c = {.left = left, .right = right, .sym = -1};
    const ls_symbol *l, *r;
    if (left < 0 || right < 0) return LS_OK;
    l = &m->symbols[left];
    r = &m->symbols[right];
    if (!pair(t, l, r, &c.priority, &c.sym)) return LS_OK;
    c.len = (uint32_t)(l->s.len + r->s.len);
    return push(m, c, err);
}

ls_status ls_merger_run(ls_merger *m, const ls_tokenizer *t, ls_pair_fn *pair, ls_error *err)
{
    m->n_heap = 0;
    for (size_t i = 1; i < m->n_symbols; i++) {
        LS_TRY(consider(m, t, pair, (int32_t)i - 1, (int32_t)i, err));
    }
    while (m->n_heap) {
        ls_candidate c = pop(m);
        ls_symbol   *l = &m->symbols[c.left], *r = &m->symbols[c.right];
        if (!l->s.len || !r->s.len || l->s.len + r->s.len != c.len || l->next != c.right) continue;
        l->s.len += r->s.len;
        l->sym = c.sym;
        r->s.len = 0;
        l->next = r->next;
        if (r->next >= 0) m->symbols[r->next].prev = c.left;
        LS_TRY(consider(m, t, pair, l->prev, c.left, err));
        LS_TRY(consider(m, t, pair, c.left, l->next, err));
    }
    return LS_OK;
}

void ls_merger_fini(ls_merger *m)
{
    free(m->symbols);
    free(m->heap);
    *m = (ls_merger){0};
}
