// SPDX-License-Identifier: MIT
/* weights.c - tensors of the file by the names that GGUF gives them.
 *
 * ls_model_open has checked every shape. Fused tensors are cut here, a second time and on purpose:
 * nothing of the engine's binding is used. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dtype/packed.h"
#include "oracle/oracle_priv.h"

static const ls_tensor *find(const oracle *o, int32_t l, const char *name)
{
    char full[96];
    if (l < 0) return ls_gguf_tensor(ls_model_gguf(o->model), name);
    snprintf(full, sizeof(full), "blk.%d.%s", (int)l, name);
    return ls_gguf_tensor(ls_model_gguf(o->model), full);
}

bool ls_oracle_has(const oracle *o, int32_t l, const char *name) { return find(o, l, name); }

bool ls_oracle_vector(const oracle *o, int32_t l, const char *name, double *out)
{
    const ls_tensor *t = find(o, l, name);
    size_t           n;
    float           *f = (float *)(void *)out;
    if (!t) return false;
    n = (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
    ls_tensor_decode(f, t, 0, n / (size_t)t->ne[0]);
    for (size_t i = n; i-- > 0;) { /* in place, from the end */
        float x;
        memcpy(&x, f + i, sizeof(x));
        out[i] = (double)x;
    }
    return true;
}

static matrix whole(const ls_tensor *t)
{
    if (!t) return (matrix){0};
    return (matrix){t, 0, (size_t)(t->ne[1] * t->ne[2] * t->ne[3]), (size_t)t->ne[0]};
}

static matrix part(matrix m, size_t from, size_t rows)
{
    m.from = from;
    m.rows = rows;
    return m;
}

/* Queries, keys and values in one tensor; gate and up in one. */
static void cut_fused(const oracle *o, layer *y, int32_t l)
{
    size_t K = (size_t)o->c->head_dim, Q = (size_t)o->c->n_heads * K,
           KV = (size_t)o->c->n_kv_heads * K, F = (size_t)o->c->n_ff;
    matrix qkv = whole(find(o, l, "attn_qkv.weight"));
    if (qkv.t) {
        y->q = part(qkv, 0, Q);
        y->k = part(qkv, Q, KV);
        y->v = part(qkv, Q + KV, KV);
    }
    if (y->up.t && !y->gate.t && y->up.rows == 2 * F && o->s.gated) {
        y->gate = part(y->up, 0, F);
        y->up = part(y->up, F, F);
    }
}

ls_status ls_oracle_bind(oracle *o, ls_error *err)
{
    LS_TRY(ls_alloc(&o->layers, (size_t)o->c->n_layers, sizeof(*o->layers), "the layers", err));
    o->embedding = whole(find(o, -1, "token_embd.weight"));
    o->positions = whole(find(o, -1, "position_embd.weight"));
    o->output = whole(find(o, -1, "output.weight"));
    for (int32_t l = 0; l < o->c->n_layers; l++) {
        layer *y = &o->layers[l];
#define BIND(name, tensor) y->name = whole(find(o, l, tensor ".weight"));
        LS_ORACLE_MATRICES(BIND)
#undef BIND
        cut_fused(o, y, l);
    }
    return LS_OK;
}

/* ---- the weights of an operation ---- */

static matrix of_op(const oracle *o, ls_op op, int32_t i)
{
    const layer *l;
    bool         experts;
    if (op == LS_OP_LOGITS) return o->output.t && !o->s.tied_output ? o->output : o->embedding;
    if (op == LS_OP_EMBEDDINGS) return o->embedding;
    if (i < 0 || i >= o->c->n_layers) return (matrix){0};
    l = &o->layers[i];
    experts = l->router.t != NULL;
    switch (op) {
    case LS_OP_Q_PROJ:
        return l->q;
    case LS_OP_K_PROJ:
        return l->k;
    case LS_OP_V_PROJ:
        return l->v;
    case LS_OP_ATTN_PROJ:
        return l->o;
    case LS_OP_FFN_ROUTER:
        return l->router;
    case LS_OP_FFN_GATE:
        return experts ? l->gate_exps : l->gate;
    case LS_OP_FFN_UP:
        return experts ? l->up_exps : l->up;
    case LS_OP_FFN_DOWN:
        return experts ? l->down_exps : l->down;
    default:
        return (matrix){0};
    }
}

/* Name of an operation's norm, without ".weight"; NULL: it is none. */
static const char *norm_of(const oracle *o, ls_op op, int32_t l)
{
    bool two = l >= 0 && ls_oracle_has(o, l, "attn_norm_2.weight");
    switch (op) {
    case LS_OP_ATTN_NORM:
        return two ? "attn_norm_2" : "attn_norm";
    case LS_OP_FFN_NORM:
        return two ? "attn_norm" : o->s.ffn_norm;
    case LS_OP_ATTN_POST_NORM:
        return "post_attention_norm";
    case LS_OP_FFN_POST_NORM:
        return "post_ffw_norm";
    case LS_OP_ATTN_SUB_NORM:
        return "attn_sub_norm";
    case LS_OP_FFN_SUB_NORM:
        return "ffn_sub_norm";
    case LS_OP_Q_NORM:
        return "attn_q_norm";
    case LS_OP_K_NORM:
        return "attn_k_norm";
    case LS_OP_FINAL_NORM:
        return "output_norm";
    default:
        return NULL;
    }
}

/* Name of a product's bias. */
static const char *bias_of(const oracle *o, ls_op op, int32_t l, size_t *from)
{
    const layer *y = l >= 0 ? &o->layers[l] : NULL;
    bool         fused = y && ls_oracle_has(o, l, "attn_qkv.bias"), experts = y && y->router.t;
    switch (op) {
    case LS_OP_Q_PROJ:
        return fused ? "attn_qkv.bias" : "attn_q.bias";
    case LS_OP_K_PROJ:
        *from = fused ? y->q.rows : 0;
        return fused ? "attn_qkv.bias" : "attn_k.bias";
    case LS_OP_V_PROJ:
        *from = fused ? y->q.rows + y->k.rows : 0;
        return fused ? "attn_qkv.bias" : "attn_v.bias";
    case LS_OP_ATTN_PROJ:
        return "attn_output.bias";
    case LS_OP_FFN_ROUTER:
        return "ffn_gate_inp.bias";
    case LS_OP_FFN_GATE:
        return experts ? "ffn_gate_exps.bias" : "ffn_gate.bias";
    case LS_OP_FFN_UP:
        return experts ? "ffn_up_exps.bias" : "ffn_up.bias";
    case LS_OP_FFN_DOWN:
        return experts ? "ffn_down_exps.bias" : "ffn_down.bias";
    case LS_OP_LOGITS:
        return "output.bias";
    default:
        return NULL;
    }
}

static size_t elements(const ls_tensor *t)
{
    return (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
}

static bool part_of_norm(const oracle *o, int32_t l, const char *norm, ls_sem_part part,
                         ls_oracle_part *out)
{
    char name[80];
    snprintf(name, sizeof(name), "%s.%s", norm, part == LS_SEM_BIAS ? "bias" : "weight");
    out->t = find(o, l, name);
    if (!out->t) return false;
    out->rows = elements(out->t);
    out->cols = 1;
    return true;
}

static bool part_of_product(const oracle *o, ls_op op, int32_t l, ls_sem_part part,
                            ls_oracle_part *out)
{
    matrix      m = of_op(o, op, l);
    const char *bias;
    if (!m.t) return false;
    *out = (ls_oracle_part){.t = m.t, .from = m.from, .rows = m.rows, .cols = m.n};
    if (l >= 0 && o->layers[l].router.t && op >= LS_OP_FFN_GATE && op <= LS_OP_FFN_DOWN)
        out->expert = m.rows / (size_t)o->c->n_expert;
    if (part == LS_SEM_WEIGHTS) return true;
    out->from = 0;
    bias = bias_of(o, op, l, &out->from);
    if (!bias) return false;
    out->t = find(o, l, bias);
    out->cols = 1;
    return true;
}

bool ls_oracle_weights(const ls_engine *e, ls_op op, int32_t l, ls_sem_part part,
                       ls_oracle_part *out)
{
    const oracle *o = (const oracle *)e;
    const char   *norm = norm_of(o, op, l);
    bool          is;
    *out = (ls_oracle_part){0};
    if (l >= o->c->n_layers || (l < 0 && ls_op_per_layer(op))) return false;
    is = norm ? part_of_norm(o, l, norm, part, out) : part_of_product(o, op, l, part, out);
    if (is && out->t) snprintf(out->name, sizeof(out->name), "%.*s", LS_FMT(out->t->name));
    return is;
}

double ls_oracle_weight(const ls_oracle_part *part, size_t row, size_t col)
{
    size_t n = (size_t)part->t->ne[0], at = part->from + row;
    bool   vector = part->cols == 1;
    float *x = malloc(n * sizeof(*x));
    double value = (double)NAN;
    if (x) {
        ls_tensor_decode(x, part->t, vector ? at / n : at, 1);
        value = (double)x[vector ? at % n : col];
    }
    free(x);
    return value;
}
