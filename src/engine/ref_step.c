// SPDX-License-Identifier: MIT
/* ref_step.c - nodes of a reference's graph, changed by a tap function (ref_step.h). */
#include "engine/ref_step.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MAX_LAYERS 4096 /* what a child says of layers is not to cost more memory than that */

/* What a layer's graph is like. */
typedef struct known {
    uint32_t nodes[LS_N_OPS]; /* of each operation                      */
    uint32_t seen[LS_N_OPS];  /* of these, in the evaluation at work    */
    bool     halves;          /* see ls_ref_step_halves                 */
} known;

struct ls_ref_step {
    ls_tap_fn *fn;
    void      *ctx;
    bool       learning;
    int32_t    pos;
    size_t     rows;
    known     *layers; /* [n_layers]; the first is of what belongs to none */
    size_t     n_layers, cap_layers;
    float     *row, *before, *mask;
    size_t     cap_row, cap_before, cap_mask;
    size_t     padded; /* columns of the mask */
    float      scale;
};

ls_status ls_ref_step_create(ls_ref_step **out, ls_tap_fn *fn, void *ctx, ls_error *err)
{
    LS_TRY(ls_alloc(out, 1, sizeof(**out), "taps of a reference", err));
    (*out)->fn = fn;
    (*out)->ctx = ctx;
    return LS_OK;
}

void ls_ref_step_destroy(ls_ref_step *s)
{
    if (!s) return;
    free(s->layers);
    free(s->row);
    free(s->before);
    free(s->mask);
    free(s);
}

void ls_ref_step_begin(ls_ref_step *s, int32_t pos, size_t n, bool learning)
{
    s->pos = pos;
    s->rows = n;
    s->learning = learning;
    s->padded = 0;
    for (size_t i = 0; i < s->n_layers; i++)
        memset(s->layers[i].seen, 0, sizeof(s->layers[i].seen));
}

/* NULL: nothing was learned of this layer. */
static known *layer_of(ls_ref_step *s, int32_t layer)
{
    size_t at = layer < 0 ? 0 : (size_t)layer + 1;
    if (at < s->n_layers) return &s->layers[at];
    if (!s->learning || at > MAX_LAYERS ||
        ls_grow(&s->layers, &s->cap_layers, at + 1, sizeof(*s->layers), "layers", NULL) != LS_OK)
        return NULL;
    memset(s->layers + s->n_layers, 0, (at + 1 - s->n_layers) * sizeof(*s->layers));
    s->n_layers = at + 1;
    return &s->layers[at];
}

bool ls_ref_step_is_last(ls_ref_step *s, ls_op op, int32_t layer)
{
    known *k = layer_of(s, layer);
    if (!k) return false;
    if (!s->learning) return ++k->seen[op] == k->nodes[op];
    k->nodes[op]++;
    return false;
}

void ls_ref_step_halves(ls_ref_step *s, int32_t layer)
{
    known *k = s->learning ? layer_of(s, layer) : NULL;
    if (k) k->halves = true;
}

/* ---- rows ---- */

static ls_status make_room(ls_ref_step *s, size_t n, ls_error *err)
{
    LS_TRY(ls_grow(&s->row, &s->cap_row, n, sizeof(float), "a row", err));
    return ls_grow(&s->before, &s->cap_before, n, sizeof(float), "a row", err);
}

static bool same_bits(const float *a, const float *b) { return memcmp(a, b, sizeof(*a)) == 0; }

/* Row i of the evaluation, as s->row has it. */
static void tap(ls_ref_step *s, ls_op op, int32_t layer, size_t i, int32_t head, size_t n)
{
    ls_tap t = {op, layer, s->pos + (int32_t)i, head, s->row, n, s->rows == 1};
    s->fn(s->ctx, &t);
}

static void change_row(ls_ref_step *s, const ls_tap *at, bool *changed)
{
    memcpy(s->row, at->data, at->n * sizeof(float));
    tap(s, at->op, at->layer, (size_t)(at->pos - s->pos), at->head, at->n);
    if (memcmp(s->row, at->data, at->n * sizeof(float)) == 0) return;
    memcpy(at->data, s->row, at->n * sizeof(float));
    *changed = true;
}

ls_status ls_ref_step_rows(ls_ref_step *s, ls_op op, int32_t layer, float *data, size_t n,
                           bool *changed, ls_error *err)
{
    const known *k = layer_of(s, layer);
    bool         halves = op == LS_OP_FFN_UP && k && k->halves && n % 2 == 0;
    LS_TRY(make_room(s, n, err));
    for (size_t i = 0; i < s->rows; i++) {
        ls_tap t = {op, layer, s->pos + (int32_t)i, -1, data + i * n, n, s->rows == 1};
        if (halves) {
            t.n = n / 2;
            t.op = LS_OP_FFN_GATE;
            change_row(s, &t, changed);
            t.op = op;
            t.data += n / 2;
        }
        change_row(s, &t, changed);
    }
    return LS_OK;
}

ls_status ls_ref_step_experts(ls_ref_step *s, ls_op op, int32_t layer, float *data, size_t chosen,
                              size_t n, bool *changed, ls_error *err)
{
    LS_TRY(make_room(s, n, err));
    for (size_t i = 0; i < s->rows * chosen; i++) {
        ls_tap t = {.op = op,
                    .layer = layer,
                    .pos = s->pos + (int32_t)(i / chosen),
                    .head = (int32_t)(i % chosen),
                    .data = data + i * n,
                    .n = n,
                    .alone = s->rows == 1};
        change_row(s, &t, changed);
    }
    return LS_OK;
}

/* ---- attention: a row ends at its position ---- */

ls_status ls_ref_step_weights(ls_ref_step *s, int32_t layer, float *data, size_t heads,
                              size_t padded, bool *changed, ls_error *err)
{
    LS_TRY(make_room(s, padded, err));
    for (size_t i = 0; i < heads * s->rows; i++) {
        size_t r = i % s->rows;
        ls_tap t = {.op = LS_OP_ATTN_SCORES_SOFTMAX,
                    .layer = layer,
                    .pos = s->pos + (int32_t)r,
                    .head = (int32_t)(i / s->rows),
                    .data = data + i * padded,
                    .n = (size_t)s->pos + r + 1,
                    .alone = s->rows == 1};
        change_row(s, &t, changed);
    }
    return LS_OK;
}

ls_status ls_ref_step_mask(ls_ref_step *s, const float *mask, size_t padded, float scale,
                           ls_error *err)
{
    size_t n = s->rows * padded;
    LS_TRY(ls_grow(&s->mask, &s->cap_mask, n, sizeof(float), "a mask", err));
    memcpy(s->mask, mask, n * sizeof(float));
    s->padded = padded;
    s->scale = scale;
    return LS_OK;
}

/* Values that are not changed keep their bits: the way through scale and mask may cost some. */
ls_status ls_ref_step_scores(ls_ref_step *s, int32_t layer, float *data, size_t heads,
                             size_t padded, bool *changed, ls_error *err)
{
    if (s->learning || padded != s->padded || s->scale == 0) return LS_OK;
    LS_TRY(make_room(s, padded, err));
    for (size_t i = 0; i < heads * s->rows; i++) {
        size_t       r = i % s->rows, n = (size_t)s->pos + r + 1;
        float       *raw = data + i * padded;
        const float *mask = s->mask + r * padded;
        for (size_t p = 0; p < n; p++)
            s->row[p] = mask[p] == -INFINITY ? -INFINITY : raw[p] * s->scale + mask[p];
        memcpy(s->before, s->row, n * sizeof(float));
        tap(s, LS_OP_ATTN_SCORES, layer, r, (int32_t)(i / s->rows), n);
        for (size_t p = 0; p < n; p++) {
            if (same_bits(&s->row[p], &s->before[p])) continue;
            raw[p] = (s->row[p] - mask[p]) / s->scale;
            *changed = true;
        }
    }
    return LS_OK;
}
