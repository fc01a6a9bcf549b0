// SPDX-License-Identifier: MIT
/* held.c - what the reference showed around one operation: its layer's taps and the layer's input.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "explain/explain_priv.h"

static bool is_scores(ls_op op)
{
    return op == LS_OP_ATTN_SCORES || op == LS_OP_ATTN_SCORES_SOFTMAX;
}

/* Where a tap is kept; NULL: it is not. */
static held *place(work *w, ls_op op, int32_t layer)
{
    int32_t at = w->opt->layer;
    if (!ls_op_per_layer(op)) return op == LS_OP_LOGITS ? NULL : &w->held[op];
    if (op == LS_OP_LAYER_OUT && layer == (at < 0 ? w->n_layers : at) - 1) return &w->before;
    return layer == at ? &w->held[op] : NULL;
}

static ls_status hold(work *w, held *h, const ls_tap_values *v, ls_error *err)
{
    if (!h->rows) LS_TRY(ls_alloc(&h->rows, w->positions, sizeof(*h->rows), "a tap", err));
    h->heads = v->heads;
    h->n = v->n;
    for (size_t r = 0; r < v->rows; r++) {
        size_t pos = (size_t)v->pos + r, n = is_scores(v->op) ? pos + 1 : v->n;
        if (pos >= w->positions) continue;
        if (!h->rows[pos])
            LS_TRY(ls_alloc(&h->rows[pos], v->heads * n, sizeof(float), "a tap", err));
        for (size_t head = 0; head < v->heads; head++)
            memcpy(h->rows[pos] + head * n, v->data + (head * v->rows + r) * v->n,
                   n * sizeof(float));
    }
    return LS_OK;
}

void ls_explain_watch(void *ctx, const ls_tap_values *v)
{
    work *w = ctx;
    held *h = place(w, v->op, v->layer);
    if (w->status == LS_OK && h) w->status = hold(w, h, v, &w->error);
}

ls_status ls_explain_hold_logits(work *w, ls_engine *reference, size_t n, size_t pos, ls_error *err)
{
    for (size_t i = 0; i < n && pos + i < w->positions; i++) {
        ls_tap_values v = {.op = LS_OP_LOGITS,
                           .layer = -1,
                           .pos = (int32_t)(pos + i),
                           .heads = 1,
                           .rows = 1,
                           .n = (size_t)ls_engine_get_info(reference)->n_vocab};
        LS_TRY(ls_engine_logits(reference, i, &v.data, err));
        LS_TRY(hold(w, &w->held[LS_OP_LOGITS], &v, err));
    }
    return LS_OK;
}

static void drop(work *w, held *h)
{
    for (size_t i = 0; h->rows && i < w->positions; i++) free(h->rows[i]);
    free(h->rows);
    *h = (held){0};
}

void ls_explain_drop(work *w)
{
    for (int op = 0; op < LS_N_OPS; op++) drop(w, &w->held[op]);
    drop(w, &w->before);
    for (size_t i = 0; i < w->n_vectors; i++) free(w->vectors[i]);
    free(w->vectors);
    free(w->trials);
}
