// SPDX-License-Identifier: MIT
/* ref_taps.c - nodes of llama.cpp's graph as taps (ref_taps.h).
 *
 * One operation of ours may be several nodes (a product, then its bias), and nothing says which is
 * the last: a node is held back until one of a later step arrives, and a second node of the same
 * operation takes its place. Scores are what softmax sees: the product, scaled, with the mask.
 */
#include "engine/ref_taps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "engine/ref_step.h"

/* Steps of a layer: within one, nodes may come in any order. */
enum {
    BEGIN,
    NORM,
    QKV,
    SCORES,
    WEIGHTS,
    MIX,
    SUB_NORM,
    PROJ,
    POST,
    SUM,
    FFN_NORM,
    ROUTER,
    CHOICE,
    UP,
    ACT,
    ACT_NORM,
    DOWN,
    EXPERTS,
    FFN_POST,
    OUT,
    END
};

typedef enum kind { ROWS, PRODUCT, SOFTMAX, MASK, ENTRY, EXPERT } kind;

static const struct node {
    const char *name, *op;
    ls_op       tap;
    int         step;
    kind        kind;
    ls_op       after; /* only while this one is held back; 0: always */
} nodes[] = {
    {"embd", "GET_ROWS", LS_OP_EMBEDDINGS, BEGIN, ROWS, 0},
    {"embd", "SCALE", LS_OP_EMBEDDINGS, BEGIN, ROWS, 0},
    {"inp_scaled", "SCALE", LS_OP_EMBEDDINGS, BEGIN, ROWS, 0},
    {"inpL", "ADD", LS_OP_EMBEDDINGS, BEGIN, ROWS, 0},
    {"attn_norm", "MUL", LS_OP_ATTN_NORM, NORM, ROWS, 0},
    {"attn_norm", "ADD", LS_OP_ATTN_NORM, NORM, ROWS, 0},
    {"attn_norm_2", "MUL", LS_OP_ATTN_NORM, NORM, ROWS, 0},
    {"attn_norm_2", "ADD", LS_OP_ATTN_NORM, NORM, ROWS, 0},
    {"attn_q.weight", "MUL_MAT", LS_OP_Q_PROJ, QKV, ROWS, 0},
    {"attn_q.scale", "MUL", LS_OP_Q_PROJ, QKV, ROWS, 0},
    {"attn_q.bias", "ADD", LS_OP_Q_PROJ, QKV, ROWS, 0},
    {"attn_k.weight", "MUL_MAT", LS_OP_K_PROJ, QKV, ROWS, 0},
    {"attn_k.scale", "MUL", LS_OP_K_PROJ, QKV, ROWS, 0},
    {"attn_k.bias", "ADD", LS_OP_K_PROJ, QKV, ROWS, 0},
    {"attn_v.weight", "MUL_MAT", LS_OP_V_PROJ, QKV, ROWS, 0},
    {"attn_v.scale", "MUL", LS_OP_V_PROJ, QKV, ROWS, 0},
    {"attn_v.bias", "ADD", LS_OP_V_PROJ, QKV, ROWS, 0},
    {"Qcur", "VIEW", LS_OP_Q_PROJ, QKV, ROWS, 0}, /* parts of one product */
    {"Kcur", "VIEW", LS_OP_K_PROJ, QKV, ROWS, 0},
    {"Vcur", "VIEW", LS_OP_V_PROJ, QKV, ROWS, 0},
    {"attn_q_norm.weight", "MUL", LS_OP_Q_NORM, QKV, ROWS, 0},
    {"attn_k_norm.weight", "MUL", LS_OP_K_NORM, QKV, ROWS, 0},
    {"Qcur", "ROPE", LS_OP_Q_ROPE, QKV, ROWS, 0},
    {"Kcur", "ROPE", LS_OP_K_ROPE, QKV, ROWS, 0},
    {"kq", "MUL_MAT", LS_OP_ATTN_SCORES, SCORES, PRODUCT, 0},
    {"kq_scaled_2", "SCALE", LS_OP_ATTN_SCORES, SCORES, PRODUCT, 0}, /* after a cap */
    {"kq_soft_max", "SOFT_MAX", LS_OP_ATTN_SCORES_SOFTMAX, WEIGHTS, SOFTMAX, 0},
    {"mask", "SOFT_MAX", LS_OP_ATTN_SCORES, SCORES, MASK, 0},
    {"scores", "SOFT_MAX", LS_OP_ATTN_SCORES, SCORES, ENTRY, 0}, /* to be changed */
    {"kqv_out", "CONT", LS_OP_ATTN_OUT, MIX, ROWS, 0},
    {"attn_sub_norm", "MUL", LS_OP_ATTN_SUB_NORM, SUB_NORM, ROWS, 0},
    {"attn_output.weight", "MUL_MAT", LS_OP_ATTN_PROJ, PROJ, ROWS, 0},
    {"attn_output.scale", "MUL", LS_OP_ATTN_PROJ, PROJ, ROWS, 0},
    {"attn_output.bias", "ADD", LS_OP_ATTN_PROJ, PROJ, ROWS, 0},
    {"attn_post_norm", "MUL", LS_OP_FFN_NORM, FFN_NORM, ROWS, LS_OP_RESIDUAL},
    {"attn_post_norm", "MUL", LS_OP_ATTN_POST_NORM, POST, ROWS, 0},
    {"ffn_inp", "ADD", LS_OP_RESIDUAL, SUM, ROWS, 0},
    {"sa_out", "ADD", LS_OP_RESIDUAL, SUM, ROWS, 0},
    {"ffn_norm", "MUL", LS_OP_FFN_NORM, FFN_NORM, ROWS, 0},
    {"ffn_norm", "ADD", LS_OP_FFN_NORM, FFN_NORM, ROWS, 0},
    {"ffn_gate_inp.weight", "MUL_MAT", LS_OP_FFN_ROUTER, ROUTER, ROWS, 0},
    {"ffn_gate_inp.bias", "ADD", LS_OP_FFN_ROUTER, ROUTER, ROWS, 0},
    {"ffn_moe_topk", "VIEW", LS_OP_FFN_MOE_TOPK, CHOICE, ROWS, 0},
    {"ffn_moe_weights", "GET_ROWS", LS_OP_FFN_MOE_WEIGHTS, CHOICE, ROWS, 0},
    {"ffn_moe_weights_softmax", "RESHAPE", LS_OP_FFN_MOE_WEIGHTS, CHOICE, ROWS, 0},
    {"ffn_moe_weights_norm", "DIV", LS_OP_FFN_MOE_WEIGHTS, CHOICE, ROWS, 0},
    {"ffn_gate_exps.weight", "MUL_MAT_ID", LS_OP_FFN_GATE, UP, EXPERT, 0},
    {"ffn_gate_exps.bias", "ADD_ID", LS_OP_FFN_GATE, UP, EXPERT, 0},
    {"ffn_up_exps.weight", "MUL_MAT_ID", LS_OP_FFN_UP, UP, EXPERT, 0},
    {"ffn_up_exps.bias", "ADD_ID", LS_OP_FFN_UP, UP, EXPERT, 0},
    {"ffn_moe_swiglu", "GLU", LS_OP_FFN_ACT, ACT, EXPERT, 0},
    {"ffn_moe_swiglu_oai", "GLU", LS_OP_FFN_ACT, ACT, EXPERT, 0},
    {"ffn_moe_geglu", "GLU", LS_OP_FFN_ACT, ACT, EXPERT, 0},
    {"ffn_down_exps.weight", "MUL_MAT_ID", LS_OP_FFN_DOWN, DOWN, EXPERT, 0},
    {"ffn_down_exps.bias", "ADD_ID", LS_OP_FFN_DOWN, DOWN, EXPERT, 0},
    {"ffn_gate.weight", "MUL_MAT", LS_OP_FFN_GATE, UP, ROWS, 0},
    {"ffn_gate.scale", "MUL", LS_OP_FFN_GATE, UP, ROWS, 0},
    {"ffn_gate.bias", "ADD", LS_OP_FFN_GATE, UP, ROWS, 0},
    {"ffn_up.weight", "MUL_MAT", LS_OP_FFN_UP, UP, ROWS, 0},
    {"ffn_up.scale", "MUL", LS_OP_FFN_UP, UP, ROWS, 0},
    {"ffn_up.bias", "ADD", LS_OP_FFN_UP, UP, ROWS, 0},
    {"ffn_swiglu", "GLU", LS_OP_FFN_ACT, ACT, ROWS, 0},
    {"ffn_geglu", "GLU", LS_OP_FFN_ACT, ACT, ROWS, 0},
    {"ffn_reglu", "GLU", LS_OP_FFN_ACT, ACT, ROWS, 0},
    {"ffn_gelu", "UNARY", LS_OP_FFN_ACT, ACT, ROWS, 0},
    {"ffn_silu", "UNARY", LS_OP_FFN_ACT, ACT, ROWS, 0},
    {"ffn_sqr(relu)", "SQR", LS_OP_FFN_ACT, ACT, ROWS, 0},
    {"ffn_gate_par", "MUL", LS_OP_FFN_ACT, ACT, ROWS, 0},
    {"ffn_sub_out", "GLU", LS_OP_FFN_ACT, ACT, ROWS, 0},
    {"ffn_sub_out", "MUL", LS_OP_FFN_ACT, ACT, ROWS, 0},
    {"ffn_sub_norm", "MUL", LS_OP_FFN_SUB_NORM, ACT_NORM, ROWS, 0},
    {"ffn_down.weight", "MUL_MAT", LS_OP_FFN_DOWN, DOWN, ROWS, 0},
    {"ffn_down.scale", "MUL", LS_OP_FFN_DOWN, DOWN, ROWS, 0},
    {"ffn_down.bias", "ADD", LS_OP_FFN_DOWN, DOWN, ROWS, 0},
    {"ffn_moe_out", "ADD", LS_OP_FFN_MOE_OUT, EXPERTS, ROWS, 0},
    {"ffn_out", "ADD", LS_OP_FFN_MOE_OUT, EXPERTS, ROWS, LS_OP_FFN_MOE_OUT}, /* with a shared one */
    {"ffn_post_norm", "MUL", LS_OP_FFN_POST_NORM, FFN_POST, ROWS, 0},
    {"l_out", "ADD", LS_OP_LAYER_OUT, OUT, ROWS, 0},
    {"result_norm", "MUL", LS_OP_FINAL_NORM, END, ROWS, 0},
    {"result_norm", "ADD", LS_OP_FINAL_NORM, END, ROWS, 0},
};
enum { N_NODES = sizeof(nodes) / sizeof(nodes[0]) };

/* A tap that is held back. */
typedef struct held {
    bool   there;
    int    step;
    size_t heads, n, cap;
    float *data;
} held;

struct ls_ref_taps {
    ls_watch     watch;
    ls_ref_step *step; /* NULL: nobody changes values */
    bool         learning;
    int32_t      pos, layer; /* of what is held back */
    size_t       rows;
    bool         two_norms; /* attention has had one of its own in this layer */
    bool experts; /* the layer has them: what looks like a block of its own is the shared one */
    held held[LS_N_OPS];
};

ls_status ls_ref_taps_create(ls_ref_taps **out, ls_watch watch, ls_tap_fn *tap, void *tap_ctx,
                             ls_error *err)
{
    LS_TRY(ls_alloc(out, 1, sizeof(**out), "taps of a reference", err));
    (*out)->watch = watch;
    return tap ? ls_ref_step_create(&(*out)->step, tap, tap_ctx, err) : LS_OK;
}

void ls_ref_taps_destroy(ls_ref_taps *t)
{
    if (!t) return;
    for (int op = 0; op < LS_N_OPS; op++) free(t->held[op].data);
    ls_ref_step_destroy(t->step);
    free(t);
}

size_t ls_ref_taps_names(char *out, size_t cap)
{
    size_t n = 0;
    for (int i = 0; i < N_NODES; i++) {
        if (nodes[i].kind == MASK || nodes[i].kind == ENTRY) continue; /* come with softmax */
        n +=
            (size_t)snprintf(out + n, n < cap ? cap - n : 0, "%s %s\n", nodes[i].name, nodes[i].op);
    }
    return n;
}

/* Show what is held back of steps before this one, in the order of the table of taps. */
static void show_before(ls_ref_taps *t, int step)
{
    for (int op = 0; op < LS_N_OPS; op++) {
        held         *h = &t->held[op];
        ls_tap_values v = {
            (ls_op)op, ls_op_per_layer((ls_op)op) ? t->layer : -1, t->pos, h->heads, t->rows, h->n,
            h->data};
        if (!h->there || h->step >= step) continue;
        h->there = false;
        if (t->watch.fn && !t->learning) t->watch.fn(t->watch.ctx, &v);
    }
}

void ls_ref_taps_learn(ls_ref_taps *t, bool on) { t->learning = on; }

void ls_ref_taps_begin(ls_ref_taps *t, int32_t pos, size_t n)
{
    for (int op = 0; op < LS_N_OPS; op++) t->held[op].there = false;
    t->pos = pos;
    t->layer = -1;
    t->rows = n;
    if (t->step) ls_ref_step_begin(t->step, pos, n, t->learning);
}

void ls_ref_taps_end(ls_ref_taps *t) { show_before(t, END + 1); }

static ls_status bad_shape(const ls_ref_tap *node, ls_error *err)
{
    return ls_fail(err, LS_ERR_REFERENCE,
                   "its node '%s' of layer %d has the shape %lld x %lld x %lld x %lld, which "
                   "does not fit the tokens evaluated",
                   node->name, node->layer, (long long)node->ne[0], (long long)node->ne[1],
                   (long long)node->ne[2], (long long)node->ne[3]);
}

static ls_status hold(ls_ref_taps *t, const struct node *d, size_t heads, size_t n, float **data,
                      ls_error *err)
{
    held  *h = &t->held[d->tap];
    size_t need = heads * t->rows * n;
    if (need > h->cap) {
        free(h->data);
        h->cap = 0;
        LS_TRY(ls_alloc(&h->data, need, sizeof(float), "a tap of a reference", err));
        h->cap = need;
    }
    h->there = true;
    h->step = d->step;
    h->heads = heads;
    h->n = n;
    *data = h->data;
    return LS_OK;
}

/* [heads][rows][padded] to [heads][rows][visible]. */
static ls_status take_scores(ls_ref_taps *t, const struct node *d, const ls_ref_tap *node,
                             const float *data, ls_error *err)
{
    size_t padded = (size_t)node->ne[0], heads = (size_t)node->ne[2], n = (size_t)t->pos + t->rows;
    float *out;
    if (n > padded || (size_t)node->ne[1] != t->rows || node->ne[3] != 1)
        return bad_shape(node, err);
    LS_TRY(hold(t, d, heads, n, &out, err));
    for (size_t r = 0; r < heads * t->rows; r++)
        memcpy(out + r * n, data + r * padded, n * sizeof(*out));
    return LS_OK;
}

/* What softmax makes of the product before its exponential: scaled, and with the mask, whose
 * minus infinities hide a position. */
static ls_status take_mask(ls_ref_taps *t, const ls_ref_tap *node, const float *mask, ls_error *err)
{
    held  *h = &t->held[LS_OP_ATTN_SCORES];
    size_t padded = (size_t)node->ne[0];
    float  scale = node->params[0];
    if (!h->there) return LS_OK;
    if (padded < h->n || (size_t)node->ne[1] < t->rows || node->ne[2] != 1)
        return bad_shape(node, err);
    for (size_t r = 0; r < h->heads * t->rows; r++) {
        float *row = h->data + r * h->n;
        for (size_t p = 0; p < h->n; p++) {
            float m = mask[r % t->rows * padded + p];
            row[p] = m == -INFINITY ? 0.0f : row[p] * scale + m;
        }
    }
    return t->step ? ls_ref_step_mask(t->step, mask, padded, scale, err) : LS_OK;
}

static ls_status enter_softmax(ls_ref_taps *t, const ls_ref_tap *node, float *data, bool *changed,
                               ls_error *err)
{
    if (!t->step || !t->held[LS_OP_ATTN_SCORES].there) return LS_OK;
    if ((size_t)node->ne[1] != t->rows || node->ne[3] != 1) return bad_shape(node, err);
    return ls_ref_step_scores(t->step, t->layer, data, (size_t)node->ne[2], (size_t)node->ne[0],
                              changed, err);
}

/* [rows][chosen][n] to [chosen][rows][n]. */
static ls_status take_experts(ls_ref_taps *t, const struct node *d, const ls_ref_tap *node,
                              const float *data, size_t n_floats, ls_error *err)
{
    size_t n = (size_t)node->ne[0], chosen = (size_t)node->ne[1];
    float *out;
    if ((size_t)node->ne[2] != t->rows || n_floats != n * chosen * t->rows)
        return bad_shape(node, err);
    LS_TRY(hold(t, d, chosen, n, &out, err));
    for (size_t r = 0; r < t->rows; r++) {
        for (size_t u = 0; u < chosen; u++)
            memcpy(out + (u * t->rows + r) * n, data + (r * chosen + u) * n, n * sizeof(*out));
    }
    return LS_OK;
}

static ls_status take_rows(ls_ref_taps *t, const struct node *d, const ls_ref_tap *node,
                           const float *data, size_t n_floats, ls_error *err)
{
    float *out;
    if (n_floats % t->rows != 0) return bad_shape(node, err);
    LS_TRY(hold(t, d, 1, n_floats / t->rows, &out, err));
    memcpy(out, data, n_floats * sizeof(*out));
    return LS_OK;
}

/* Gate and up projection as halves of one product: shown as the two that they are. */
static ls_status split_gate(ls_ref_taps *t, ls_error *err)
{
    static const struct node gate = {"", "", LS_OP_FFN_GATE, UP, ROWS, 0};
    held                    *up = &t->held[LS_OP_FFN_UP];
    size_t                   n = t->held[LS_OP_FFN_ACT].n;
    float                   *out;
    if (!up->there || t->held[LS_OP_FFN_GATE].there || up->n != 2 * n) return LS_OK;
    LS_TRY(hold(t, &gate, 1, n, &out, err));
    for (size_t r = 0; r < t->rows; r++) {
        memcpy(out + r * n, up->data + r * 2 * n, n * sizeof(*out));
        memmove(up->data + r * n, up->data + (r * 2 + 1) * n, n * sizeof(*out));
    }
    up->n = n;
    if (t->step) ls_ref_step_halves(t->step, t->layer);
    return LS_OK;
}

/* A node that was taken in, to whoever changes values. */
static ls_status change(ls_ref_taps *t, const struct node *d, const ls_ref_tap *node, float *data,
                        size_t n_floats, bool *changed, ls_error *err)
{
    size_t n = (size_t)node->ne[0];
    if (!t->step || d->kind == PRODUCT || !ls_ref_step_is_last(t->step, d->tap, t->layer))
        return LS_OK;
    if (d->kind == EXPERT)
        return ls_ref_step_experts(t->step, d->tap, t->layer, data, (size_t)node->ne[1], n, changed,
                                   err);
    if (d->kind == SOFTMAX)
        return ls_ref_step_weights(t->step, t->layer, data, (size_t)node->ne[2], n, changed, err);
    return ls_ref_step_rows(t->step, d->tap, ls_op_per_layer(d->tap) ? t->layer : -1, data,
                            n_floats / t->rows, changed, err);
}

static const struct node *find_node(const ls_ref_taps *t, const ls_ref_tap *node)
{
    for (int i = 0; i < N_NODES; i++) {
        const struct node *d = &nodes[i];
        if (strcmp(d->name, node->name) == 0 && strcmp(d->op, node->op) == 0 &&
            (!d->after || t->held[d->after].there)) {
            return d;
        }
    }
    return NULL;
}

/* Into what is held back. */
static ls_status take(ls_ref_taps *t, const struct node *d, const ls_ref_tap *node,
                      const float *data, size_t n_floats, ls_error *err)
{
    if (d->kind == EXPERT) return take_experts(t, d, node, data, n_floats, err);
    if (d->kind != ROWS) return take_scores(t, d, node, data, err);
    LS_TRY(take_rows(t, d, node, data, n_floats, err));
    return d->tap == LS_OP_FFN_ACT ? split_gate(t, err) : LS_OK;
}

ls_status ls_ref_taps_node(ls_ref_taps *t, const ls_ref_tap *node, float *data, size_t n_floats,
                           bool *changed, ls_error *err)
{
    static const struct node of_ffn = {"attn_norm", "", LS_OP_FFN_NORM, FFN_NORM, ROWS, 0};
    const struct node       *d = find_node(t, node);
    int32_t                  layer;
    if (!d || n_floats == 0) return LS_OK;
    if (t->experts && d->kind == ROWS && d->step >= UP && d->step <= DOWN) return LS_OK;
    if (t->two_norms && node->layer == t->layer && strcmp(d->name, of_ffn.name) == 0) d = &of_ffn;
    if (d->kind == MASK) return take_mask(t, node, data, err);
    if (d->kind == ENTRY) return enter_softmax(t, node, data, changed, err);
    /* some nodes of a layer are named without it */
    layer = node->layer < 0 && ls_op_per_layer(d->tap) ? t->layer : node->layer;
    if (layer != t->layer)
        show_before(t, END + 1);
    else /* when the weights come scores still lack their mask, and halves may have to be parted */
        show_before(t, d->kind == SOFTMAX ? SCORES : d->tap == LS_OP_FFN_ACT ? UP : d->step);
    t->two_norms = (t->two_norms && layer == t->layer) || strcmp(d->name, "attn_norm_2") == 0;
    t->experts = (t->experts && layer == t->layer) || d->tap == LS_OP_FFN_ROUTER;
    t->layer = layer;
    LS_TRY(take(t, d, node, data, n_floats, err));
    return change(t, d, node, data, n_floats, changed, err);
}
