// SPDX-License-Identifier: MIT
/* facts.c - a model's shape and flavour. */
#include "cli/facts.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/text.h"

/* general.file_type: its name, and the type that most of such a file's elements have (llama.h of
 * llama.cpp v0.5.0). bitnet.cpp gave 38 to 40 to its own types before llama.cpp gave them to
 * others; what the matrices are says which it is. Where nothing matches, the first row has the
 * name. */
static const struct {
    int         number, dtype;
    const char *name;
} file_types[] = {
    {0, LS_DTYPE_F32, "F32"},          {1, LS_DTYPE_F16, "F16"},
    {2, LS_DTYPE_Q4_0, "Q4_0"},        {3, LS_DTYPE_Q4_1, "Q4_1"},
    {7, LS_DTYPE_Q8_0, "Q8_0"},        {8, LS_DTYPE_Q5_0, "Q5_0"},
    {9, LS_DTYPE_Q5_1, "Q5_1"},        {10, LS_DTYPE_Q2_K, "Q2_K"},
    {11, LS_DTYPE_Q3_K, "Q3_K_S"},     {12, LS_DTYPE_Q3_K, "Q3_K_M"},
    {13, LS_DTYPE_Q3_K, "Q3_K_L"},     {14, LS_DTYPE_Q4_K, "Q4_K_S"},
    {15, LS_DTYPE_Q4_K, "Q4_K_M"},     {16, LS_DTYPE_Q5_K, "Q5_K_S"},
    {17, LS_DTYPE_Q5_K, "Q5_K_M"},     {18, LS_DTYPE_Q6_K, "Q6_K"},
    {19, LS_DTYPE_IQ2_XXS, "IQ2_XXS"}, {20, LS_DTYPE_IQ2_XS, "IQ2_XS"},
    {21, LS_DTYPE_Q2_K, "Q2_K_S"},     {22, LS_DTYPE_IQ3_S, "IQ3_XS"},
    {23, LS_DTYPE_IQ3_XXS, "IQ3_XXS"}, {24, LS_DTYPE_IQ1_S, "IQ1_S"},
    {25, LS_DTYPE_IQ4_NL, "IQ4_NL"},   {26, LS_DTYPE_IQ3_S, "IQ3_S"},
    {27, LS_DTYPE_IQ3_S, "IQ3_M"},     {28, LS_DTYPE_IQ2_XS, "IQ2_S"},
    {29, LS_DTYPE_IQ2_S, "IQ2_M"},     {30, LS_DTYPE_IQ4_XS, "IQ4_XS"},
    {31, LS_DTYPE_IQ1_M, "IQ1_M"},     {32, LS_DTYPE_BF16, "BF16"},
    {36, LS_DTYPE_TQ1_0, "TQ1_0"},     {37, LS_DTYPE_TQ2_0, "TQ2_0"},
    {38, LS_DTYPE_MXFP4, "MXFP4_MOE"}, {39, LS_DTYPE_NVFP4, "NVFP4"},
    {38, LS_DTYPE_TL1, "TL1"},         {39, LS_DTYPE_TL2, "TL2"},
    {40, LS_DTYPE_I2_S, "I2_S"},       {40, LS_DTYPE_I2_S_ARM, "I2_S"},
    {40, LS_DTYPE_I2_S_1X4, "I2_S"},   {40, LS_DTYPE_Q1_0, "Q1_0"},
    {41, LS_DTYPE_Q2_0, "Q2_0"},
};

/* What a type's blocks do not say by themselves. */
static const struct {
    int         dtype;
    const char *text;
} remarks[] = {
    {LS_DTYPE_I2_S, "one scale a tensor, in a 32-byte tail"},
    {LS_DTYPE_I2_S_ARM, "packed as on Arm, one scale a tensor, in a 32-byte tail"},
    {LS_DTYPE_I2_S_1X4, "packed 1x4, one scale a tensor, in a 32-byte tail"},
    {LS_DTYPE_TL1, "indices of pairs, in tiles, one scale a tensor"},
    {LS_DTYPE_TL2, "indices of triples, in tiles, one scale a tensor"},
};

/* ---- the metadata ---- */

typedef struct source {
    const ls_gguf *g;
    ls_str         arch;
} source;

static bool number(const source *s, const char *suffix, double *out)
{
    char    key[160];
    int64_t i;
    int     n = snprintf(key, sizeof(key), "%.*s.%s", LS_FMT(s->arch), suffix);
    if (n < 0 || (size_t)n >= sizeof(key)) return false;
    if (ls_gguf_int(s->g, key, &i)) {
        *out = (double)i;
        return true;
    }
    return ls_gguf_float(s->g, key, out);
}

static int64_t count(const source *s, const char *suffix)
{
    double v = 0;
    number(s, suffix, &v);
    return v > 0 && v < 1e15 ? (int64_t)v : 0;
}

static void read_shape(model_facts *f, const source *s)
{
    const ls_gguf_kv *tokens = ls_gguf_array(s->g, "tokenizer.ggml.tokens", LS_GGUF_STR);
    const ls_tensor  *embd = ls_gguf_tensor(s->g, "token_embd.weight");
    f->layers = count(s, "block_count");
    f->width = count(s, "embedding_length");
    f->feed_forward = count(s, "feed_forward_length");
    f->context = count(s, "context_length");
    f->vocabulary = embd ? embd->ne[1] : tokens ? (int64_t)tokens->n : count(s, "vocab_size");
    f->heads = count(s, "attention.head_count");
    f->kv_heads = count(s, "attention.head_count_kv");
    if (!f->kv_heads) f->kv_heads = f->heads;
    f->head_size = count(s, "attention.key_length");
    if (!f->head_size && f->heads) f->head_size = f->width / f->heads;
    if (f->kv_heads) f->group_size = f->heads / f->kv_heads;
    f->window = count(s, "attention.sliding_window");
    f->experts = count(s, "expert_count");
    f->experts_used = count(s, "expert_used_count");
    f->expert_width = count(s, "expert_feed_forward_length");
    f->shared_width = count(s, "expert_shared_feed_forward_length");
}

static void read_rope(model_facts *f, const source *s, const ls_model_config *c)
{
    static const char *const orders[] = {"normal", "neox", NULL};
    char                     key[160];
    ls_str                   type;
    double                   v;
    f->rope_dims = count(s, "rope.dimension_count");
    if (!f->rope_dims) f->rope_dims = f->head_size;
    f->rope_base = number(s, "rope.freq_base", &v) ? v : 10000;
    if (c) {
        f->rope_order = orders[c->rope_order];
        f->rope_dims = c->rope_dims;
        f->rope_base = c->rope_base;
    }
    f->rope_factor = number(s, "rope.scaling.factor", &v) ? v : 0;
    f->rope_context = count(s, "rope.scaling.original_context_length");
    snprintf(key, sizeof(key), "%.*s.rope.scaling.type", LS_FMT(s->arch));
    if (ls_gguf_str(s->g, key, &type) && !ls_str_is(type, "none")) {
        snprintf(f->rope_scaling, sizeof(f->rope_scaling), "%.*s", LS_FMT(type));
    }
    if (ls_gguf_tensor(s->g, "rope_factors_long.weight")) {
        snprintf(f->rope_scaling, sizeof(f->rope_scaling), "longrope");
    }
    if (ls_gguf_tensor(s->g, "rope_freqs.weight")) {
        snprintf(f->rope_scaling, sizeof(f->rope_scaling), "llama3 factors");
    }
}

/* ---- the flavour ---- */

/* What files of any type keep as floats. */
static bool is_float_anyway(ls_str name)
{
    static const char end[] = ".weight";
    size_t            n = sizeof(end) - 1;
    return name.len < n || memcmp(name.p + name.len - n, end, n) != 0 ||
           memmem(name.p, name.len, "gate_inp", 8) || memmem(name.p, name.len, "norm", 4);
}

/* Embeddings and outputs aside, where there are layers: mixtures give them more bits. */
static void find_main_type(model_facts *f, const ls_gguf *g)
{
    uint64_t sum[256] = {0}, best = 0;
    size_t   n[256] = {0};
    f->main_type = -1;
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        if (t->n_dims < 2 || t->dtype < 0 || t->dtype > 255 || is_float_anyway(t->name)) continue;
        if (f->layers && t->name.len > 4 && memcmp(t->name.p, "blk.", 4) != 0) continue;
        sum[t->dtype] += (uint64_t)t->ne[0] * (uint64_t)t->ne[1] * (uint64_t)t->ne[2];
        n[t->dtype]++;
        f->n_matrices++;
        if (sum[t->dtype] > best) {
            best = sum[t->dtype];
            f->main_type = t->dtype;
        }
    }
    if (f->main_type >= 0) f->n_main = n[f->main_type];
}

static void upper(char *out, size_t cap, const char *name)
{
    size_t i = 0;
    for (; name[i] && i + 1 < cap; i++) out[i] = (char)toupper((unsigned char)name[i]);
    out[i] = '\0';
}

static void read_flavour(model_facts *f, const ls_gguf *g)
{
    const char *name;
    size_t      i = 0;
    int64_t     v;
    bool        matches = false;
    f->file_type = ls_gguf_int(g, "general.file_type", &v) ? v : -1;
    f->agrees = true;
    find_main_type(f, g);
    for (; i < sizeof(file_types) / sizeof(file_types[0]) && !matches; i++) {
        if (file_types[i].number != f->file_type) continue;
        matches = file_types[i].dtype == f->main_type;
        if (matches || !f->claimed) f->claimed = file_types[i].name;
    }
    if (f->main_type < 0) {
        snprintf(f->flavour, sizeof(f->flavour), "%s", f->claimed ? f->claimed : "");
        return;
    }
    f->agrees = matches || !f->claimed;
    name = matches ? f->claimed : ls_dtype_name(f->main_type);
    if (name) {
        upper(f->flavour, sizeof(f->flavour), name);
    } else {
        snprintf(f->flavour, sizeof(f->flavour), "type %d", f->main_type);
    }
}

void model_facts_of(model_facts *f, const ls_gguf *g, const ls_model_config *config)
{
    source s = {g, {"", 0}};
    *f = (model_facts){0};
    ls_gguf_str(g, "general.architecture", &s.arch);
    read_shape(f, &s);
    read_rope(f, &s, config);
    read_flavour(f, g);
}

/* ---- for people ---- */

static void put(const char *before, int64_t v, const char *after)
{
    char n[32];
    if (v) printf("%s%s%s", before, cli_format_count((uint64_t)v, n, sizeof(n)), after);
}

static void print_rope(const model_facts *f)
{
    if (!f->rope_order && !f->rope_scaling[0] && f->rope_base == 10000) return;
    printf("RoPE:          ");
    if (f->rope_order) printf("%s order, ", f->rope_order);
    printf("%lld of %lld dimensions, base %.9g", (long long)f->rope_dims, (long long)f->head_size,
           f->rope_base);
    if (f->rope_scaling[0]) printf(", %s", f->rope_scaling);
    if (f->rope_factor > 0) printf(" x%.9g", f->rope_factor);
    put(" from ", f->rope_context, "");
    fputc('\n', stdout);
}

static void print_flavour(const model_facts *f)
{
    if (!f->flavour[0]) return;
    printf("Quantisation:  %s", f->flavour);
    for (size_t i = 0; i < sizeof(remarks) / sizeof(remarks[0]); i++) {
        if (remarks[i].dtype == f->main_type) printf(", %s", remarks[i].text);
    }
    if (f->n_matrices && f->main_type >= 0) {
        size_t block = ls_dtype_block(f->main_type);
        printf("; %zu of %zu matrices of the layers", f->n_main, f->n_matrices);
        if (block > 1) printf(", in blocks of %zu", block);
    }
    if (f->file_type >= 0 && !f->agrees) {
        printf(" (but general.file_type %lld says %s)", (long long)f->file_type, f->claimed);
    } else if (f->file_type >= 0) {
        printf(" (general.file_type %lld%s)", (long long)f->file_type,
               f->claimed ? "" : ", which is not known");
    }
    fputc('\n', stdout);
}

void model_facts_print(const model_facts *f)
{
    if (f->layers) {
        printf("Shape:         %lld layers of width %lld", (long long)f->layers,
               (long long)f->width);
        put(", feed-forward ", f->feed_forward, "");
        put(", vocabulary ", f->vocabulary, "");
        put(", context ", f->context, "");
        fputc('\n', stdout);
    }
    if (f->heads) {
        printf("Attention:     %lld heads of %lld, %lld KV heads (groups of %lld)",
               (long long)f->heads, (long long)f->head_size, (long long)f->kv_heads,
               (long long)f->group_size);
        put(", window of ", f->window, "");
        fputc('\n', stdout);
        print_rope(f);
    }
    if (f->experts) {
        printf("Experts:       %lld, %lld used", (long long)f->experts, (long long)f->experts_used);
        put(", width ", f->expert_width, "");
        put(", shared ", f->shared_width, "");
        fputc('\n', stdout);
    }
    print_flavour(f);
}

/* ---- JSON ---- */

static json_t *known(int64_t v) { return v ? json_integer(v) : json_null(); }

json_t *model_facts_shape_json(const model_facts *f)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:s?, s:o, s:f, s:s?, s:o, s:o}, "
        "s:{s:I, s:I, s:o, s:o}}",
        "layers", known(f->layers), "width", known(f->width), "feed_forward",
        known(f->feed_forward), "vocabulary", known(f->vocabulary), "context", known(f->context),
        "heads", known(f->heads), "kv_heads", known(f->kv_heads), "head_size", known(f->head_size),
        "group_size", known(f->group_size), "window", known(f->window), "rope", "order",
        f->rope_order, "dimensions", known(f->rope_dims), "base", f->rope_base, "scaling",
        f->rope_scaling[0] ? f->rope_scaling : NULL, "factor",
        f->rope_factor > 0 ? json_real(f->rope_factor) : json_null(), "original_context",
        known(f->rope_context), "experts", "count", (json_int_t)f->experts, "used",
        (json_int_t)f->experts_used, "width", known(f->expert_width), "shared_width",
        known(f->shared_width));
}

json_t *model_facts_flavour_json(const model_facts *f)
{
    const char *remark = NULL, *name = f->main_type >= 0 ? ls_dtype_name(f->main_type) : NULL;
    size_t      block = f->main_type >= 0 ? ls_dtype_block(f->main_type) : 0;
    for (size_t i = 0; i < sizeof(remarks) / sizeof(remarks[0]); i++) {
        if (remarks[i].dtype == f->main_type) remark = remarks[i].text;
    }
    return json_pack("{s:s?, s:o, s:s?, s:s?, s:o, s:I, s:I, s:b, s:s?}", "name",
                     f->flavour[0] ? f->flavour : NULL, "file_type",
                     f->file_type >= 0 ? json_integer(f->file_type) : json_null(), "file_type_name",
                     f->claimed, "main_type", name, "block", known((int64_t)block), "main_matrices",
                     (json_int_t)f->n_main, "matrices", (json_int_t)f->n_matrices, "agrees",
                     (int)f->agrees, "remark", remark);
}
