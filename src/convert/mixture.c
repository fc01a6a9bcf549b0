// SPDX-License-Identifier: MIT
/* mixture.c - the mixtures of types, and the rules by which their tensors deviate from them.
 *
 * The rules are those of llama.cpp v0.5.0 (llama-quantize), as a table: of the rows whose mixtures,
 * roles and facts hold, the first says the type. A mixture of your own is a row in mixtures.def
 * and rows here. */
#include "convert/mixture.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- the mixtures ---- */

typedef enum index_of {
#define LS_MIXTURE(sym, file_type, dtype)      INDEX_##sym,
#define LS_MIXTURE_PURE(sym, file_type, dtype) INDEX_##sym,
#define LS_MIXTURE_ALIAS(sym, of)
#include "convert/mixtures.def"
    N_MIXTURES,
} index_of;
_Static_assert(N_MIXTURES <= 64, "sets of mixtures are 64 bits wide");

static const ls_mixture mixtures[] = {
#define ROW(sym, file_type, dtype, pure)                                                           \
    {#sym, file_type, LS_DTYPE_##dtype, pure, (uint64_t)1 << INDEX_##sym},
#define LS_MIXTURE(sym, file_type, dtype)      ROW(sym, file_type, dtype, false)
#define LS_MIXTURE_PURE(sym, file_type, dtype) ROW(sym, file_type, dtype, true)
#define LS_MIXTURE_ALIAS(sym, of)
#include "convert/mixtures.def"
};

static const struct name {
    const char *name;
    index_of    index;
} names[] = {
#define LS_MIXTURE(sym, file_type, dtype)      {#sym, INDEX_##sym},
#define LS_MIXTURE_PURE(sym, file_type, dtype) {#sym, INDEX_##sym},
#define LS_MIXTURE_ALIAS(sym, of)              {#sym, INDEX_##of},
#include "convert/mixtures.def"
};

const char *ls_mixture_name(size_t i)
{
    return i < sizeof(names) / sizeof(names[0]) ? names[i].name : NULL;
}

const ls_mixture *ls_mixture_find(const char *name)
{
    for (size_t i = 0; name && ls_mixture_name(i); i++) {
        if (strcasecmp(names[i].name, name) == 0) return &mixtures[names[i].index];
    }
    return NULL;
}

bool ls_mixture_known(const char *name) { return ls_mixture_find(name) != NULL; }

/* ---- roles ---- */

bool ls_contains(ls_str s, const char *part)
{
    return memmem(s.p, s.len, part, strlen(part)) != NULL;
}

ls_role ls_role_of(ls_str tensor)
{
    static const struct {
        const char *part;
        ls_role     role;
    } parts[] = {
        {"attn_qkv.weight", LS_ROLE_QKV}, {"attn_kv_b.weight", LS_ROLE_KV_B},
        {"attn_v.weight", LS_ROLE_V},     {"attn_k.weight", LS_ROLE_K},
        {"attn_q.weight", LS_ROLE_Q},     {"attn_output.weight", LS_ROLE_ATTN_O},
        {"ffn_up", LS_ROLE_UP},           {"ffn_gate", LS_ROLE_GATE},
        {"ffn_down", LS_ROLE_DOWN},
    };
    if (ls_str_is(tensor, "output.weight")) return LS_ROLE_OUTPUT;
    if (ls_str_is(tensor, "token_embd.weight")) return LS_ROLE_EMBED;
    if (ls_str_is(tensor, "per_layer_token_embd.weight")) return LS_ROLE_EMBED;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (ls_contains(tensor, parts[i].part)) return parts[i].role;
    }
    return LS_ROLE_OTHER;
}

int ls_layer_in(ls_str name)
{
    char text[32];
    int  layer = -1;
    snprintf(text, sizeof(text), "%.*s", (int)(name.len < 31 ? name.len : 31), name.p);
    return sscanf(text, "blk.%9d.", &layer) == 1 ? layer : -1;
}

/* ---- facts ---- */

typedef enum fact {
    FALCON = 1 << 0,
    NOT_FALCON = 1 << 1,
    GQA4 = 1 << 2,     /* at least four query heads to a KV head */
    EXPERTS4 = 1 << 3, /* at least four experts                  */
    EXPERTS8 = 1 << 4, /* eight, neither more nor less           */
    IMPORTANCE = 1 << 5,
    NONE_KNOWN = 1 << 6, /* no importance                                  */
    ODD_ROWS = 1 << 7,   /* no multiple of the block of the mixture's type */
    STACKED = 1 << 8,    /* experts in one tensor                          */
    FIRST_2 = 1 << 9,    /* of the first two layers, and so on             */
    FIRST_4 = 1 << 10,
    FIRST_8TH = 1 << 11,
    FIRST_16TH = 1 << 12,
    MIDDLE = 1 << 13,    /* neither in the first nor in the last eighth          */
    MORE_BITS = 1 << 14, /* in the first or last eighth, and every third between */
} fact;

static unsigned facts_of_layer(int i, int n)
{
    bool     first = i < n / 8, last = i >= 7 * n / 8;
    unsigned f = 0;
    if (i < 2) f |= FIRST_2;
    if (i < 4) f |= FIRST_4;
    if (first) f |= FIRST_8TH;
    if (i < n / 16) f |= FIRST_16TH;
    if (!first && !last) f |= MIDDLE;
    if (first || last || (i - n / 8) % 3 == 2) f |= MORE_BITS;
    return f;
}

/* ---- rules ---- */

#define M(sym) ((uint64_t)1 << INDEX_##sym)
#define ANY    (~(uint64_t)0)
#define VALUES (LS_ROLE_V | LS_ROLE_QKV | LS_ROLE_KV_B)
#define FFN    (LS_ROLE_UP | LS_ROLE_GATE | LS_ROLE_DOWN)
#define EVERY  (~0u)
enum { KEEP = -1 }; /* the mixture's own type, whatever rows below say */
/* The mixtures of about two bits have rules of their own. */
#define ONE_BIT  (M(IQ1_S) | M(IQ1_M))
#define TWO_BITS (M(IQ2_XXS) | M(IQ2_XS))
#define TWO_HALF (M(IQ2_S) | M(IQ2_M))
#define LOW      (ONE_BIT | TWO_BITS | TWO_HALF)

static const struct rule {
    unsigned roles;
    uint64_t mixtures;
    unsigned facts;
    int      dtype;
} rules[] = {
#define RULE(roles, mixtures, facts, type)                                                         \
    {                                                                                              \
        roles, mixtures, facts, LS_DTYPE_##type                                                    \
    }
    RULE(LS_ROLE_OUTPUT, M(MXFP4_MOE), 0, Q8_0),
    RULE(LS_ROLE_OUTPUT, ANY, FALCON, Q8_0),
    RULE(LS_ROLE_OUTPUT, ANY, ODD_ROWS, Q8_0),
    RULE(LS_ROLE_OUTPUT, LOW | M(IQ3_XXS), 0, Q5_K),
    {LS_ROLE_OUTPUT, M(Q8_0), 0, KEEP},
    RULE(LS_ROLE_OUTPUT, ANY, 0, Q6_K),

    RULE(EVERY, M(MXFP4_MOE), STACKED, MXFP4),
    RULE(EVERY, M(MXFP4_MOE), 0, Q8_0),

    RULE(LS_ROLE_EMBED, TWO_BITS | ONE_BIT, 0, Q2_K),
    RULE(LS_ROLE_EMBED, TWO_HALF | M(IQ3_XXS), 0, IQ3_S),
    RULE(LS_ROLE_EMBED, M(TQ1_0) | M(TQ2_0) | M(Q2_0), 0, Q4_K),

    RULE(VALUES, LOW, GQA4, Q4_K),
    RULE(VALUES, LOW, EXPERTS4, Q4_K),
    RULE(VALUES, TWO_HALF, 0, IQ3_S),
    RULE(VALUES, LOW, 0, Q2_K),
    RULE(LS_ROLE_K, LOW, EXPERTS8, Q4_K),
    RULE(LS_ROLE_DOWN, TWO_HALF, FIRST_8TH, IQ3_S),
    RULE(LS_ROLE_DOWN, LOW, FIRST_8TH, Q2_K),
    RULE(LS_ROLE_ATTN_O, LOW, EXPERTS8, Q5_K),
    RULE(LS_ROLE_ATTN_O, ONE_BIT, 0, IQ2_XXS),
    RULE(LS_ROLE_ATTN_O, TWO_HALF, 0, IQ3_S),

    RULE(VALUES, ANY, EXPERTS8, Q8_0),
    RULE(VALUES, M(Q2_K) | M(Q2_K_S), GQA4, Q4_K),
    RULE(VALUES, M(Q2_K), 0, Q3_K),
    RULE(VALUES, M(IQ3_XXS) | M(IQ3_XS) | M(IQ3_S), GQA4, Q4_K),
    RULE(VALUES, M(IQ3_XXS), NONE_KNOWN, IQ3_S),
    RULE(VALUES, M(IQ3_M), 0, Q4_K),
    RULE(VALUES, M(Q3_K_M), FIRST_2, Q5_K),
    RULE(VALUES, M(Q3_K_M), 0, Q4_K),
    RULE(VALUES, M(Q3_K_L), 0, Q5_K),
    RULE(VALUES, M(IQ4_NL) | M(IQ4_XS), GQA4, Q5_K),
    RULE(VALUES, M(Q4_K_M) | M(Q5_K_M), MORE_BITS, Q6_K),
    RULE(VALUES, M(Q4_K_S), FIRST_4, Q5_K),

    RULE(LS_ROLE_K, ANY, EXPERTS8, Q8_0),
    RULE(LS_ROLE_K | LS_ROLE_Q, M(IQ3_XS), 0, IQ3_XXS),
    RULE(LS_ROLE_K | LS_ROLE_Q, M(IQ3_XXS), 0, IQ2_S),

    RULE(LS_ROLE_DOWN, M(Q2_K), 0, Q3_K),
    RULE(LS_ROLE_DOWN, M(Q2_K_S), FIRST_8TH, Q4_K),
    RULE(LS_ROLE_DOWN, M(IQ3_XXS), NONE_KNOWN | FIRST_8TH, Q4_K),
    RULE(LS_ROLE_DOWN, M(IQ3_XXS), NONE_KNOWN, Q3_K),
    RULE(LS_ROLE_DOWN, M(Q3_K_M), FIRST_16TH, Q5_K),
    RULE(LS_ROLE_DOWN, M(Q3_K_M), NOT_FALCON, Q4_K),
    RULE(LS_ROLE_DOWN, M(Q3_K_M), MORE_BITS, Q4_K),
    RULE(LS_ROLE_DOWN, M(IQ3_M), FIRST_8TH, Q4_K),
    RULE(LS_ROLE_DOWN, M(IQ3_M), EXPERTS8 | MORE_BITS, Q4_K),
    RULE(LS_ROLE_DOWN, M(Q3_K_L), FALCON, Q4_K),
    RULE(LS_ROLE_DOWN, M(Q3_K_L), 0, Q5_K),
    RULE(LS_ROLE_DOWN, M(Q4_K_M), FALCON | FIRST_16TH, Q6_K),
    RULE(LS_ROLE_DOWN, M(Q4_K_M), FALCON | MORE_BITS, Q5_K),
    RULE(LS_ROLE_DOWN, M(Q4_K_M), NOT_FALCON | MORE_BITS, Q6_K),
    RULE(LS_ROLE_DOWN, M(IQ4_NL) | M(IQ4_XS), NONE_KNOWN | FIRST_8TH, Q5_K),
    RULE(LS_ROLE_DOWN, M(Q5_K_M), MORE_BITS, Q6_K),
    RULE(LS_ROLE_DOWN, M(Q4_K_S), NOT_FALCON | FIRST_8TH, Q5_K),
    RULE(LS_ROLE_DOWN, M(Q4_0), IMPORTANCE | FIRST_8TH, Q4_1),
    RULE(LS_ROLE_DOWN, M(Q5_0), IMPORTANCE | FIRST_8TH, Q5_1),

    RULE(LS_ROLE_ATTN_O, M(Q3_K_L), FALCON, Q4_K),
    {LS_ROLE_ATTN_O, ANY, FALCON, KEEP},
    RULE(LS_ROLE_ATTN_O,
         M(Q2_K) | M(IQ3_XS) | M(IQ3_XXS) | M(Q3_K_S) | M(Q3_K_M) | M(IQ4_NL) | M(Q4_K_S) |
             M(Q4_K_M) | M(IQ3_S) | M(IQ3_M) | M(IQ4_XS),
         EXPERTS8, Q5_K),
    {LS_ROLE_ATTN_O, ANY, EXPERTS8, KEEP},
    RULE(LS_ROLE_ATTN_O, M(Q2_K), 0, Q3_K),
    RULE(LS_ROLE_ATTN_O, M(IQ3_XXS), 0, IQ3_S),
    RULE(LS_ROLE_ATTN_O, M(Q3_K_M) | M(IQ3_M), 0, Q4_K),
    RULE(LS_ROLE_ATTN_O, M(Q3_K_L), 0, Q5_K),

    RULE(LS_ROLE_GATE | LS_ROLE_UP, M(IQ3_XS), MIDDLE, IQ3_XXS),
#undef RULE
};

static int by_rules(const ls_mixer *x, unsigned role, unsigned facts)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *r = &rules[i];
        bool               fits = (role & r->roles) || r->roles == EVERY;
        if (!fits || !(r->mixtures & x->m->bit) || (facts & r->facts) != r->facts) continue;
        return r->dtype == KEEP ? x->m->dtype : r->dtype;
    }
    return x->m->dtype;
}

bool ls_mixture_needs_importance(const ls_mixture *m, int dtype)
{
    static const int low[] = {LS_DTYPE_IQ3_XXS, LS_DTYPE_IQ2_XXS, LS_DTYPE_IQ2_XS,
                              LS_DTYPE_IQ2_S,   LS_DTYPE_IQ1_M,   LS_DTYPE_IQ1_S};
    for (size_t i = 0; i < sizeof(low) / sizeof(low[0]); i++) {
        if (low[i] == dtype) return true;
    }
    return dtype == LS_DTYPE_Q2_K && (m->bit & M(Q2_K_S));
}

/* ---- the model ---- */

/* A hyper-parameter, or the first of one per layer; `fallback` where it is not said. */
static int64_t number(const ls_gguf *g, ls_str arch, const char *suffix, int64_t fallback)
{
    char              key[192];
    int64_t           v = fallback;
    const ls_gguf_kv *kv;
    snprintf(key, sizeof(key), "%.*s.%s", LS_FMT(arch), suffix);
    kv = ls_gguf_find(g, key);
    if (kv && kv->type == LS_GGUF_ARRAY && kv->n > 0 && kv->elem_type != LS_GGUF_STR) {
        double first = ls_gguf_num_at(kv, 0);
        return first >= 0 && first <= INT32_MAX ? (int64_t)first : fallback;
    }
    ls_gguf_int(g, key, &v);
    return v >= 0 && v <= INT32_MAX ? v : fallback;
}

/* Models with 70 billion weights by llama.cpp's reckoning, whose values are shared by many heads.
 */
static bool is_large(ls_str arch, int64_t n_layers, int64_t n_heads, int64_t n_kv_heads,
                     int64_t n_experts)
{
    static const struct {
        const char *arch;
        int         n_layers;
    } large[] = {{"qwen2", 80}, {"deci", 80}, {"olmo", 80}, {"jais2", 68}};
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
        if (ls_str_is(arch, large[i].arch)) return n_layers == large[i].n_layers;
    }
    return ls_str_is(arch, "llama") && n_layers == 80 && n_heads != n_kv_heads && n_experts != 8;
}

void ls_mixer_start(ls_mixer *x, const ls_mixture *m, ls_str arch, int64_t n_layers,
                    int64_t n_heads, int64_t n_kv_heads, int64_t n_experts, bool importance)
{
    *x = (ls_mixer){.m = m,
                    .bailing = ls_str_is(arch, "bailingmoe3"),
                    .large = is_large(arch, n_layers, n_heads, n_kv_heads, n_experts),
                    .n_layers = (int)n_layers,
                    .n_experts = (int)n_experts,
                    .n_v = (int)n_layers};
    x->facts |= ls_str_is(arch, "falcon") ? FALCON : NOT_FALCON;
    x->facts |= n_kv_heads > 0 && n_heads / n_kv_heads >= 4 ? GQA4 : 0;
    x->facts |= n_experts >= 4 ? EXPERTS4 : 0;
    x->facts |= n_experts == 8 ? EXPERTS8 : 0;
    x->facts |= importance ? IMPORTANCE : NONE_KNOWN;
}

ls_status ls_mixer_init(ls_mixer *x, const ls_mixture *m, const ls_gguf *g, bool importance,
                        ls_error *err)
{
    ls_str  arch;
    int64_t n_layers, n_heads;
    if (!ls_gguf_str(g, "general.architecture", &arch)) {
        ls_fail(err, LS_ERR_FORMAT, "metadata key 'general.architecture' is missing");
        return ls_fail_at(err, "%s", ls_gguf_path(g)), LS_ERR_FORMAT;
    }
    n_layers = number(g, arch, "block_count", 0);
    n_heads = number(g, arch, "attention.head_count", 0);
    if (n_layers < 1 && !ls_str_is(arch, "clip")) { /* whose layers have other names */
        ls_fail(err, LS_ERR_FORMAT, "the number of layers, '%.*s.block_count', is missing",
                LS_FMT(arch));
        return ls_fail_at(err, "%s", ls_gguf_path(g)), LS_ERR_FORMAT;
    }
    ls_mixer_start(x, m, arch, n_layers, n_heads,
                   number(g, arch, "attention.head_count_kv", n_heads),
                   number(g, arch, "expert_count", 0), importance);
    x->tied = ls_gguf_tensor(g, "output.weight") == NULL;
    x->n_v = 0;
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        x->n_v += (ls_role_of(ls_gguf_tensor_at(g, i)->name) & VALUES) != 0;
    }
    return LS_OK;
}

/* Which layer a tensor of the feed-forward part counts as: with experts that of its name, because
 * files may hold the experts of a layer one by one; the lowest mixtures count all the same. */
static ls_status ffn_layer(const ls_mixer *x, ls_str name, int *layer, ls_error *err)
{
    if (x->n_experts < 2 || (x->m->bit & (LOW | M(MXFP4_MOE)))) return LS_OK;
    *layer = ls_layer_in(name);
    if (*layer >= 0 && *layer < x->n_layers) return LS_OK;
    return ls_fail(err, LS_ERR_FORMAT, "tensor '%.*s' belongs to none of the %d layers",
                   LS_FMT(name), x->n_layers);
}

ls_status ls_mixer_next(ls_mixer *x, const ls_tensor *t, int *dtype, ls_error *err)
{
    unsigned role = ls_role_of(t->name), facts = x->facts;
    int     *seen = role & VALUES          ? &x->seen_v
                    : role == LS_ROLE_UP   ? &x->seen_up
                    : role == LS_ROLE_GATE ? &x->seen_gate
                    : role == LS_ROLE_DOWN ? &x->seen_down
                                           : NULL;
    if (role == LS_ROLE_EMBED && x->tied) role = LS_ROLE_OUTPUT;
    if ((size_t)t->ne[0] % ls_dtype_block(x->m->dtype) != 0) facts |= ODD_ROWS;
    if (t->ne[2] > 1 && (!x->bailing || (role & FFN))) facts |= STACKED;
    if (seen) {
        int layer = *seen, n = role & VALUES ? x->n_v : x->n_layers;
        if (role & FFN) LS_TRY(ffn_layer(x, t->name, &layer, err));
        facts |= facts_of_layer(layer, n);
        ++*seen;
    }
    *dtype = by_rules(x, role, facts);
    /* Values that eight heads share are few and matter much. */
    if (x->large && (role & VALUES) && !(x->m->bit & (LOW | M(MXFP4_MOE))) &&
        (*dtype == LS_DTYPE_Q3_K || *dtype == LS_DTYPE_Q4_K)) {
        *dtype = LS_DTYPE_Q5_K;
    }
    return LS_OK;
}
