// SPDX-License-Identifier: MIT
/* table.c - what an operation could mean instead: one row per choice, one row per number.
 *
 * A new hypothesis is a new row. Each row says which operations it acts on, so that one operation
 * is tried with what can matter to it and nothing else. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "explain/explain_priv.h"

#define BIT(op)  ((uint64_t)1 << LS_OP_##op)
#define ROPE     (BIT(Q_ROPE) | BIT(K_ROPE))
#define QK_NORMS (BIT(Q_NORM) | BIT(K_NORM))
#define STREAM                                                                                     \
    (BIT(ATTN_NORM) | BIT(FFN_NORM) | BIT(ATTN_POST_NORM) | BIT(FFN_POST_NORM) | BIT(FINAL_NORM))
#define NORMS (STREAM | QK_NORMS | BIT(ATTN_SUB_NORM) | BIT(FFN_SUB_NORM))
#define PRODUCTS                                                                                   \
    (BIT(Q_PROJ) | BIT(K_PROJ) | BIT(V_PROJ) | BIT(ATTN_PROJ) | BIT(FFN_ROUTER) | BIT(FFN_GATE) |  \
     BIT(FFN_UP) | BIT(FFN_DOWN))

/* ---- choices ---- */

enum { MAX_VALUES = 9 };

typedef struct choice {
    const char *what, *noun;
    uint64_t    ops;
    size_t      at; /* in ls_semantics: of an enum, or of a bool */
    bool        flag;
    const char *values[MAX_VALUES]; /* names of 0, 1, ... up to NULL; "": not tried */
} choice;

#define AT(field) offsetof(ls_semantics, field)

static const choice choices[] = {
    {"activation",
     "the activation is",
     BIT(FFN_ACT) | BIT(FFN_MOE_OUT),
     AT(act),
     false,
     {"SiLU", "ReLU", "squared ReLU", "GELU (exact)", "GELU (tanh form)",
      "GELU (tanh form, by a table of F16)", "GELU (quick)", "the clamped unit of gpt-oss"}},
    {"rope-order",
     "RoPE turns",
     ROPE,
     AT(rope_order),
     false,
     {"neighbours (normal order)", "halves (NeoX order)", "nothing"}},
    {"rope-factors",
     "RoPE's frequency factors are",
     ROPE,
     AT(rope_factors),
     false,
     {"those of the file", "absent", "the long ones", "the short ones"}},
    {"norm", "the norm is", STREAM, AT(norm), false, {"RMSNorm", "LayerNorm"}},
    {"sub-norms",
     "the norms inside the blocks are",
     BIT(ATTN_PROJ) | BIT(FFN_DOWN),
     AT(sub_norms),
     true,
     {"absent", "applied"}},
    {"qk-rows",
     "the rows of Q and K are",
     BIT(Q_PROJ) | BIT(K_PROJ),
     AT(qk_rows),
     false,
     {"as in the file", "permuted to neighbours", "permuted to halves"}},
    {"kv-type",
     "the KV cache is",
     BIT(ATTN_SCORES) | BIT(ATTN_OUT),
     AT(kv),
     false,
     {"", "F32", "F16", "BF16", "Q8_0"}},
    {"sinks",
     "attention's sinks are",
     BIT(ATTN_SCORES_SOFTMAX),
     AT(sinks),
     true,
     {"absent", "applied"}},
    {"tied-head",
     "the output matrix is",
     BIT(LOGITS),
     AT(tied_output),
     true,
     {"output.weight", "token_embd.weight (tied)"}},
    {"expert-sum",
     "the experts' weights are",
     BIT(FFN_MOE_WEIGHTS),
     AT(experts_normalise),
     true,
     {"as they come", "divided by their sum"}},
    {"expert-softmax",
     "the experts' weights are",
     BIT(FFN_MOE_WEIGHTS),
     AT(experts_softmax_chosen),
     true,
     {"the softmax of all, then the chosen", "the softmax of the chosen"}},
    {"shared-expert",
     "the shared expert is",
     BIT(FFN_MOE_OUT),
     AT(experts_shared),
     true,
     {"absent", "added"}},
    {"gate", "the gate is", BIT(FFN_ACT), AT(gated), true, {"absent", "applied"}},
};

static int get(const ls_semantics *s, const choice *c)
{
    const char *p = (const char *)s + c->at;
    int         value;
    if (c->flag) return *(const bool *)(const void *)p;
    memcpy(&value, p, sizeof(value));
    return value;
}

static void set(ls_semantics *s, const choice *c, int value)
{
    char *p = (char *)s + c->at;
    if (c->flag)
        *(bool *)(void *)p = value;
    else
        memcpy(p, &value, sizeof(value));
}

static void try_choice(work *w, const choice *c)
{
    int          own = get(&w->own, c);
    ls_semantics s = w->own;
    for (int v = 0; v < MAX_VALUES && c->values[v]; v++) {
        if (v == own || !*c->values[v]) continue;
        set(&s, c, v);
        ls_explain_add(w, c->what, c->noun, c->values[v], c->values[own],
                       ls_explain_evaluate(w, &s), 0, &s);
    }
}

/* ---- rounding in front of products: a form and what becomes of halves ---- */

static void try_roundings(work *w)
{
    static const char *const forms[] = {
        "as the weight's type asks", "none", "F16", "BF16", "Q8_0", "Q8_K", "int8 per row"};
    bool         head = w->opt->op == LS_OP_LOGITS;
    ls_sem_round own = head ? w->own.head_round : w->own.round;
    char         value[80], mine[80];
    snprintf(mine, sizeof(mine), "%s%s", forms[own],
             w->own.half_away ? ", halves away from 0" : "");
    for (int form = 0; form < LS_SEM_N_ROUNDS; form++) {
        for (int away = 0; away < 2; away++) {
            ls_semantics s = w->own;
            if (form == (int)own && away == w->own.half_away) continue;
            if (away && form >= LS_SEM_EXACT && form <= LS_SEM_BF16) continue;
            *(head ? &s.head_round : &s.round) = (ls_sem_round)form;
            s.half_away = away;
            snprintf(value, sizeof(value), "%s%s", forms[form], away ? ", halves away from 0" : "");
            ls_explain_add(w, "activation-rounding", "the rounding of activations is", value, mine,
                           ls_explain_evaluate(w, &s), 0, &s);
        }
    }
}

/* ---- whole numbers ---- */

static void try_rope_dims(work *w)
{
    int32_t K = ls_model_get_config(ls_oracle_model(w->oracle))->head_dim;
    char    value[24], mine[24];
    snprintf(mine, sizeof(mine), "%d", (int)w->own.rope_dims);
    for (int32_t n = 2; n <= K; n += 2) {
        ls_semantics s = w->own;
        if (n == s.rope_dims) continue;
        s.rope_dims = n;
        snprintf(value, sizeof(value), "%d", (int)n);
        ls_explain_add(w, "rope-dims", "the elements of a head that RoPE turns are", value, mine,
                       ls_explain_evaluate(w, &s), 0, &s);
    }
}

/* What the reference hides of its last row is 0 there. */
static int32_t hidden_by_reference(const work *w)
{
    const held *h = &w->held[w->opt->op];
    int32_t     n = 0;
    while (h->rows && (size_t)n < w->positions && h->rows[w->positions - 1] &&
           h->rows[w->positions - 1][n] == 0)
        n++;
    return n;
}

static void try_window(work *w)
{
    int32_t      hidden = hidden_by_reference(w);
    ls_semantics s = w->own;
    char         value[40] = "absent", mine[40] = "absent";
    s.window = hidden > 0 && (size_t)hidden < w->positions ? (int32_t)w->positions - hidden : 0;
    s.window_period = 0;
    if (s.window == (w->window ? w->own.window : 0)) return;
    if (s.window) snprintf(value, sizeof(value), "of %d positions", (int)s.window);
    if (w->window) snprintf(mine, sizeof(mine), "of %d positions", (int)w->own.window);
    ls_explain_add(w, "window", "the sliding window is", value, mine, ls_explain_evaluate(w, &s), 0,
                   &s);
}

/* YaRN, its factor and the context of pre-training change together. */
typedef struct yarn {
    work   *w;
    int32_t ctx;
} yarn;

static ls_semantics yarned(const yarn *j, double factor)
{
    ls_semantics s = j->w->own;
    s.rope_yarn[j->w->window] = true;
    s.rope_scale[0] = s.rope_scale[1] = 1 / factor;
    s.rope_ctx_orig = j->ctx;
    return s;
}

static double with_yarn(void *ctx, double factor)
{
    ls_semantics s = yarned(ctx, factor);
    return ls_explain_evaluate(((yarn *)ctx)->w, &s);
}

/* The model's own context, else the power of two that comes nearest; a first guess of the factor.
 */
static double guess_yarn(yarn *j)
{
    int32_t own = j->w->own.rope_ctx_orig, best_ctx = own;
    double  best = (double)INFINITY, factor = 4;
    for (int32_t k = 5; k <= 18; k++) {
        j->ctx = k == 5 ? own : (int32_t)1 << k;
        for (double f = 2; f <= 64; f *= 2) {
            double y = with_yarn(j, f);
            if (!(y < best)) continue;
            best = y;
            best_ctx = j->ctx;
            factor = f;
        }
    }
    j->ctx = best_ctx;
    return factor;
}

static void try_yarn(work *w)
{
    yarn         j = {w, w->own.rope_ctx_orig};
    ls_semantics s = w->own;
    char         value[80], mine[40] = "absent";
    double       factor, y;
    if (s.rope_yarn[w->window]) {
        snprintf(mine, sizeof(mine), "applied");
        s.rope_yarn[w->window] = false;
        ls_explain_add(w, "rope-yarn", "YaRN is", "absent", mine, ls_explain_evaluate(w, &s), 0,
                       &s);
    }
    factor = ls_explain_search(with_yarn, &j, guess_yarn(&j), &y);
    if (isfinite(factor) && isfinite(y)) factor = ls_explain_nice(with_yarn, &j, factor, &y);
    snprintf(value, sizeof(value), "applied with factor %.7g", factor);
    if (j.ctx != w->own.rope_ctx_orig)
        snprintf(value, sizeof(value), "applied with factor %.7g over a context of %d", factor,
                 (int)j.ctx);
    s = yarned(&j, factor);
    if (y < w->base.nmse) ls_explain_add(w, "rope-yarn", "YaRN is", value, mine, y, 1, &s);
}

/* ---- numbers ---- */

typedef struct number {
    const char *what, *noun;
    uint64_t    ops;
    size_t      at;
    bool        pair;  /* [1]: layers with a window */
    double      guess; /* where the own one is 0: that there is none */
} number;

static const number numbers[] = {
    {"epsilon", "the norm's epsilon is", NORMS, AT(norm_eps), false, 1e-5},
    {"rope-base", "RoPE's base is", ROPE, AT(rope_base), true, 0},
    {"rope-scale", "RoPE's positions are multiplied by", ROPE, AT(rope_scale), true, 0},
    {"rope-magnitude", "RoPE's cosine and sine are multiplied by", ROPE, AT(rope_attn_factor), true,
     0},
    {"attention-scale", "attention's scale is", BIT(ATTN_SCORES), AT(attn_scale), false, 0},
    {"attention-softcap", "attention's soft cap is", BIT(ATTN_SCORES), AT(attn_softcap), false, 30},
    {"logit-softcap", "the soft cap of the logits is", BIT(LOGITS), AT(final_softcap), false, 30},
    {"logit-scale", "the logits are multiplied by", BIT(LOGITS), AT(logit_scale), false, 0},
    {"embedding-scale", "the embeddings are multiplied by", BIT(EMBEDDINGS), AT(embedding_scale),
     false, 0},
    {"residual-scale", "what a block adds is multiplied by", BIT(RESIDUAL) | BIT(LAYER_OUT),
     AT(residual_scale), false, 0},
};

typedef struct search {
    work         *w;
    const number *n;
} search;

static double *field(const work *w, const number *n, ls_semantics *s)
{
    return (double *)(void *)((char *)s + n->at) + (n->pair && w->window ? 1 : 0);
}

static ls_semantics numbered(const search *j, double x)
{
    ls_semantics s = j->w->own;
    *field(j->w, j->n, &s) = x;
    return s;
}

static double with_number(void *ctx, double x)
{
    const search *j = ctx;
    ls_semantics  s = numbered(j, x);
    return ls_explain_evaluate(j->w, &s);
}

static void name_number(char *buf, size_t cap, const number *n, double x)
{
    if (x == 0 && n->guess > 0)
        snprintf(buf, cap, "absent");
    else
        snprintf(buf, cap, "%.7g", x);
}

static void add_number(work *w, const number *n, const char *value, const char *own, double y,
                       const ls_semantics *s)
{
    change c = {.at = n->at + (n->pair && w->window ? sizeof(double) : 0)};
    snprintf(c.what, sizeof(c.what), "%s", n->what);
    snprintf(c.noun, sizeof(c.noun), "%s", n->noun);
    snprintf(c.value, sizeof(c.value), "%s", value);
    snprintf(c.own, sizeof(c.own), "%s", own);
    ls_explain_add_change(w, &c, y, 1, s);
}

static void try_number(work *w, const number *n)
{
    search       j = {w, n};
    double       own = *field(w, n, &w->own), y, x;
    char         value[40], mine[40];
    ls_semantics s = numbered(&j, 0);
    name_number(mine, sizeof(mine), n, own);
    if (own > 0 && n->guess > 0)
        ls_explain_add(w, n->what, n->noun, "absent", mine, with_number(&j, 0), 0, &s);
    x = ls_explain_search(with_number, &j, own > 0 ? own : n->guess, &y);
    if (isfinite(x) && isfinite(y)) x = ls_explain_nice(with_number, &j, x, &y);
    name_number(value, sizeof(value), n, x);
    s = numbered(&j, x);
    if (strcmp(value, mine) != 0 && y < w->base.nmse) add_number(w, n, value, mine, y, &s);
}

/* ---- all of them ---- */

/* A search takes a hundred evaluations: it is left out where something agrees to the last digit. */
static bool agreed(const work *w)
{
    for (size_t i = 0; i < w->out->n_rows; i++) {
        if (w->out->rows[i].nmse <= 1e-12 && w->out->rows[i].nmse < 1e-3 * w->out->own) return true;
    }
    return false;
}

enum { OF_NUMBER = 170 }; /* evaluations of a search */

size_t ls_explain_plan(const work *w)
{
    uint64_t       op = (uint64_t)1 << w->opt->op;
    size_t         n = 20; /* weights */
    ls_oracle_part of;
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        for (int v = 1; choices[i].ops & op && v < MAX_VALUES && choices[i].values[v]; v++) n++;
    }
    if ((PRODUCTS | BIT(LOGITS)) & op) n += 10;
    if (ROPE & op)
        n += OF_NUMBER + (size_t)ls_model_get_config(ls_oracle_model(w->oracle))->head_dim / 2;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].ops & op) n += OF_NUMBER;
    if (ls_oracle_weights(w->oracle, w->opt->op, w->opt->layer, LS_SEM_WEIGHTS, &of))
        n += of.cols / 32;
    return n;
}

void ls_explain_table(work *w)
{
    uint64_t op = (uint64_t)1 << w->opt->op;
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++)
        if (choices[i].ops & op) try_choice(w, &choices[i]);
    if ((PRODUCTS | BIT(LOGITS)) & op) try_roundings(w);
    if (ROPE & op) try_rope_dims(w);
    if ((BIT(ATTN_SCORES) | BIT(ATTN_SCORES_SOFTMAX)) & op) try_window(w);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].ops & op && !agreed(w)) try_number(w, &numbers[i]);
    if (ROPE & op && !agreed(w)) try_yarn(w);
}
