// SPDX-License-Identifier: MIT
/* llama_quantize.c - what libllama's own quantiser makes of a model, through llama.h and gguf.h
 * alone: the second witness of mixtures and importance. Compiled by tests against an installation's
 * own headers; shares no code with Lockstep.
 *
 *   usage: llama_quantize LIBRARY_FOLDER < LINES
 *
 * A line is one of
 *   quantize IN OUT NAME [pure] [keep-output] [requantize] [output=TYPE] [embedding=TYPE]
 *            [tensor=PATTERN=TYPE] [imatrix=FILE] [threads=N]
 *   model OUT ARCH LAYERS EXPERTS HEADS KV_HEADS COLUMNS [tied] [fused] [apart] [f16]
 *   imatrix MODEL OUT SEED [old]
 * with NAME as llama-quantize has it, `model` a file with the tensors that mixtures tell apart (two
 * rows each, so that everything can be tried), `apart` with every expert a tensor of its own, and
 * `imatrix` random importance of the model's matrices. It prints one line for each: "ok" or
 * "failed". */
#include <math.h>
#include <strings.h>

#define WITNESS "llama_quantize"
#include "llama_lib.h"

#include "gguf.h"

/* ---- names ---- */

static const struct {
    const char      *name;
    enum llama_ftype ftype;
} mixtures[] = {
    {"Q1_0", LLAMA_FTYPE_MOSTLY_Q1_0},
    {"Q2_0", LLAMA_FTYPE_MOSTLY_Q2_0},
    {"Q4_0", LLAMA_FTYPE_MOSTLY_Q4_0},
    {"Q4_1", LLAMA_FTYPE_MOSTLY_Q4_1},
    {"Q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},
    {"Q5_1", LLAMA_FTYPE_MOSTLY_Q5_1},
    {"IQ2_XXS", LLAMA_FTYPE_MOSTLY_IQ2_XXS},
    {"IQ2_XS", LLAMA_FTYPE_MOSTLY_IQ2_XS},
    {"IQ2_S", LLAMA_FTYPE_MOSTLY_IQ2_S},
    {"IQ2_M", LLAMA_FTYPE_MOSTLY_IQ2_M},
    {"IQ1_S", LLAMA_FTYPE_MOSTLY_IQ1_S},
    {"IQ1_M", LLAMA_FTYPE_MOSTLY_IQ1_M},
    {"TQ1_0", LLAMA_FTYPE_MOSTLY_TQ1_0},
    {"TQ2_0", LLAMA_FTYPE_MOSTLY_TQ2_0},
    {"Q2_K", LLAMA_FTYPE_MOSTLY_Q2_K},
    {"Q2_K_S", LLAMA_FTYPE_MOSTLY_Q2_K_S},
    {"IQ3_XXS", LLAMA_FTYPE_MOSTLY_IQ3_XXS},
    {"IQ3_S", LLAMA_FTYPE_MOSTLY_IQ3_S},
    {"IQ3_M", LLAMA_FTYPE_MOSTLY_IQ3_M},
    {"IQ3_XS", LLAMA_FTYPE_MOSTLY_IQ3_XS},
    {"Q3_K", LLAMA_FTYPE_MOSTLY_Q3_K_M},
    {"Q3_K_S", LLAMA_FTYPE_MOSTLY_Q3_K_S},
    {"Q3_K_M", LLAMA_FTYPE_MOSTLY_Q3_K_M},
    {"Q3_K_L", LLAMA_FTYPE_MOSTLY_Q3_K_L},
    {"IQ4_NL", LLAMA_FTYPE_MOSTLY_IQ4_NL},
    {"IQ4_XS", LLAMA_FTYPE_MOSTLY_IQ4_XS},
    {"Q4_K", LLAMA_FTYPE_MOSTLY_Q4_K_M},
    {"Q4_K_S", LLAMA_FTYPE_MOSTLY_Q4_K_S},
    {"Q4_K_M", LLAMA_FTYPE_MOSTLY_Q4_K_M},
    {"Q5_K", LLAMA_FTYPE_MOSTLY_Q5_K_M},
    {"Q5_K_S", LLAMA_FTYPE_MOSTLY_Q5_K_S},
    {"Q5_K_M", LLAMA_FTYPE_MOSTLY_Q5_K_M},
    {"Q6_K", LLAMA_FTYPE_MOSTLY_Q6_K},
    {"Q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
    {"F16", LLAMA_FTYPE_MOSTLY_F16},
    {"BF16", LLAMA_FTYPE_MOSTLY_BF16},
    {"F32", LLAMA_FTYPE_ALL_F32},
    {"MXFP4_MOE", LLAMA_FTYPE_MOSTLY_MXFP4_MOE},
};

static enum llama_ftype ftype_of(const char *name)
{
    for (size_t i = 0; i < sizeof(mixtures) / sizeof(mixtures[0]); i++) {
        if (strcasecmp(name, mixtures[i].name) == 0) return mixtures[i].ftype;
    }
    die(name);
    return LLAMA_FTYPE_ALL_F32;
}

static enum ggml_type type_of(const char *name)
{
    for (int i = 0; i < GGML_TYPE_COUNT; i++) {
        const char *known = CALL(ggml_type_name)((enum ggml_type)i);
        if (known && strcasecmp(known, name) == 0) return (enum ggml_type)i;
    }
    die(name);
    return GGML_TYPE_COUNT;
}

/* What stands behind "key=" among the words of a line, or NULL; a flag: "". */
static const char *option(char **words, int n, const char *key)
{
    size_t len = strlen(key);
    for (int i = 0; i < n; i++) {
        if (strcmp(words[i], key) == 0) return "";
        if (strncmp(words[i], key, len) == 0 && words[i][len] == '=') return words[i] + len + 1;
    }
    return NULL;
}

/* ---- importance ---- */

typedef struct importance {
    struct llama_model_imatrix_data at[4096];
    int                             n;
    struct llama_model_kv_override  kv[5];
} importance;

static void put_kv(importance *im, int i, const char *key, const char *text, int64_t number)
{
    struct llama_model_kv_override *kv = &im->kv[i];
    memset(kv, 0, sizeof(*kv));
    snprintf(kv->key, sizeof(kv->key), "%s", key);
    kv->tag = text ? LLAMA_KV_OVERRIDE_TYPE_STR : LLAMA_KV_OVERRIDE_TYPE_INT;
    if (text) {
        snprintf(kv->val_str, sizeof(kv->val_str), "%s", text);
    } else {
        kv->val_i64 = number;
    }
}

/* A file as llama-imatrix writes it today; false: it is none. */
static int read_gguf(importance *im, const char *path, char *dataset, int64_t *chunks)
{
    struct ggml_context    *tensors = NULL;
    struct gguf_init_params params = {.no_alloc = false, .ctx = &tensors};
    struct gguf_context    *g = CALL(gguf_init_from_file)(path, params);
    if (!g) return 0;
    *chunks = CALL(gguf_get_val_u32)(g, CALL(gguf_find_key)(g, "imatrix.chunk_count"));
    snprintf(dataset, 128, "%s",
             CALL(gguf_get_arr_str)(g, CALL(gguf_find_key)(g, "imatrix.datasets"), 0));
    for (struct ggml_tensor *t = CALL(ggml_get_first_tensor)(tensors); t;
         t = CALL(ggml_get_next_tensor)(tensors, t)) {
        char                name[128], *end = strstr(t->name, ".in_sum2");
        struct ggml_tensor *counts;
        int64_t             n = CALL(ggml_nelements)(t), width;
        float              *mean = malloc((size_t)n * sizeof(float));
        if (!end) continue;
        snprintf(name, sizeof(name), "%.*s", (int)(end - t->name), t->name);
        im->at[im->n].name = strdup(name);
        strncat(name, ".counts", sizeof(name) - strlen(name) - 1);
        counts = CALL(ggml_get_tensor)(tensors, name);
        width = n / CALL(ggml_nelements)(counts);
        for (int64_t i = 0; i < n; i++) {
            float count = ((const float *)counts->data)[i / width];
            mean[i] = count > 0 ? ((const float *)t->data)[i] / count : 1;
        }
        im->at[im->n].data = mean;
        im->at[im->n++].size = (size_t)n;
    }
    return 1;
}

static int32_t int_from(FILE *f)
{
    int32_t v = 0;
    if (fread(&v, 4, 1, f) != 1) die("a short file of importance");
    return v;
}

static void read_old(importance *im, const char *path, char *dataset, int64_t *chunks)
{
    FILE *f = fopen(path, "rb");
    int   n = f ? int_from(f) : 0;
    for (int i = 0; i < n; i++) {
        char  *name = calloc(200, 1);
        int    len = int_from(f), calls, values;
        float *mean;
        if (fread(name, 1, (size_t)len, f) != (size_t)len) die("a short file of importance");
        calls = int_from(f);
        values = int_from(f);
        mean = malloc((size_t)values * sizeof(float));
        if (fread(mean, 4, (size_t)values, f) != (size_t)values) die("a short file");
        for (int k = 0; k < values && calls > 0; k++) mean[k] /= (float)calls;
        im->at[im->n].name = name;
        im->at[im->n].data = mean;
        im->at[im->n++].size = (size_t)values;
    }
    *chunks = int_from(f);
    n = int_from(f);
    memset(dataset, 0, 128);
    if (fread(dataset, 1, (size_t)n, f) != (size_t)n) die("a short file of importance");
    fclose(f);
}

static importance *read_importance(const char *path)
{
    importance *im = calloc(1, sizeof(*im));
    char        dataset[128];
    int64_t     chunks;
    if (!read_gguf(im, path, dataset, &chunks)) read_old(im, path, dataset, &chunks);
    /* What llama-quantize has libllama write of it. */
    put_kv(im, 0, "quantize.imatrix.file", path, 0);
    put_kv(im, 1, "quantize.imatrix.dataset", dataset, 0);
    put_kv(im, 2, "quantize.imatrix.entries_count", NULL, im->n);
    put_kv(im, 3, "quantize.imatrix.chunks_count", NULL, chunks);
    return im;
}

/* ---- lines ---- */

static int quantize(char **words, int n)
{
    struct llama_model_quantize_params p = CALL(llama_model_quantize_default_params)();
    struct llama_model_tensor_override own[2] = {{0}};
    const char *output = option(words, n, "output"), *embed = option(words, n, "embedding");
    const char *tensor = option(words, n, "tensor"), *im = option(words, n, "imatrix");
    const char *threads = option(words, n, "threads");
    char        pattern[100];
    p.nthread = threads ? atoi(threads) : 1;
    p.ftype = ftype_of(words[3]);
    p.pure = option(words, n, "pure") != NULL;
    p.quantize_output_tensor = option(words, n, "keep-output") == NULL;
    p.allow_requantize = option(words, n, "requantize") != NULL;
    if (output) p.output_tensor_type = type_of(output);
    if (embed) p.token_embedding_type = type_of(embed);
    if (tensor) {
        snprintf(pattern, sizeof(pattern), "%.*s", (int)(strchr(tensor, '=') - tensor), tensor);
        own[0].pattern = pattern;
        own[0].type = type_of(strchr(tensor, '=') + 1);
        p.tt_overrides = own;
    }
    if (im) {
        importance *read = read_importance(im);
        p.imatrix = read->at;
        p.kv_overrides = read->kv;
    }
    return CALL(llama_model_quantize)(words[1], words[2], &p) == 0;
}

static uint64_t state;
static float    unit(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (float)((z ^ (z >> 31)) >> 40) / 16777216.0f;
}

static void add(struct gguf_context *g, struct ggml_context *c, const char *name,
                enum ggml_type type, int64_t n0, int64_t n1, int64_t n2)
{
    struct ggml_tensor *t = CALL(ggml_new_tensor_3d)(c, type, n0, n1, n2);
    int64_t             n = n0 * n1 * n2;
    CALL(ggml_set_name)(t, name);
    for (int64_t i = 0; i < n; i++) {
        float x = (unit() + unit() + unit() + unit() - 2) * (i % 97 ? 0.05f : 0.4f);
        if (type == GGML_TYPE_F32) ((float *)t->data)[i] = x;
        if (type == GGML_TYPE_F16) ((uint16_t *)t->data)[i] = CALL(ggml_fp32_to_fp16)(x);
    }
    CALL(gguf_add_tensor)(g, t);
}

static void set(struct gguf_context *g, const char *arch, const char *key, uint32_t v)
{
    char full[100];
    snprintf(full, sizeof(full), "%s.%s", arch, key);
    CALL(gguf_set_val_u32)(g, full, v);
}

static int make_model(char **words, int n)
{
    static const char *const plain[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                        "ffn_gate", "ffn_up", "ffn_down"};
    const char              *arch = words[2];
    int layers = atoi(words[3]), experts = atoi(words[4]), cols = atoi(words[7]);
    int fused = option(words, n, "fused") != NULL, apart = option(words, n, "apart") != NULL;
    enum ggml_type          type = option(words, n, "f16") ? GGML_TYPE_F16 : GGML_TYPE_F32;
    struct ggml_init_params room = {.mem_size = (size_t)256 << 20};
    struct ggml_context    *c = CALL(ggml_init)(room);
    struct gguf_context    *g = CALL(gguf_init_empty)();
    char                    key[100], name[100];
    int                     ok;
    state = 11;
    CALL(gguf_set_val_u32)(g, "general.file_type", 1);
    CALL(gguf_set_val_str)(g, "general.architecture", arch);
    CALL(gguf_set_val_str)(g, "general.name", "layers to tell apart");
    set(g, arch, "block_count", (uint32_t)layers);
    set(g, arch, "context_length", 512);
    set(g, arch, "embedding_length", (uint32_t)cols);
    set(g, arch, "feed_forward_length", (uint32_t)cols);
    set(g, arch, "attention.head_count", (uint32_t)atoi(words[5]));
    set(g, arch, "attention.head_count_kv", (uint32_t)atoi(words[6]));
    if (experts) set(g, arch, "expert_count", (uint32_t)experts);
    if (experts) set(g, arch, "expert_used_count", 2);
    snprintf(key, sizeof(key), "%s.attention.layer_norm_rms_epsilon", arch);
    CALL(gguf_set_val_f32)(g, key, 1e-5f);
    snprintf(key, sizeof(key), "%s.attention.layer_norm_epsilon", arch);
    CALL(gguf_set_val_f32)(g, key, 1e-5f);
    add(g, c, "token_embd.weight", type, cols, 4, 1);
    if (!option(words, n, "tied")) add(g, c, "output.weight", type, cols, 4, 1);
    add(g, c, "output_norm.weight", GGML_TYPE_F32, cols, 1, 1);
    for (int i = 0; i < layers; i++) {
        snprintf(name, sizeof(name), "blk.%d.attn_norm.weight", i);
        add(g, c, name, GGML_TYPE_F32, cols, 1, 1);
        for (int k = 0; k < 7; k++) {
            int ffn = strncmp(plain[k], "ffn", 3) == 0;
            if (fused && (k == 1 || k == 2 || k == 4)) continue;
            for (int e = 0; e < (ffn && apart ? experts : 1); e++) {
                snprintf(name, sizeof(name), "blk.%d.%s%s.weight", i,
                         fused && k == 0 ? "attn_qkv" : plain[k],
                         ffn && experts && !apart ? "_exps" : "");
                if (ffn && apart)
                    snprintf(name, sizeof(name), "blk.%d.%s.%d.weight", i, plain[k], e);
                add(g, c, name, type, cols, 2, ffn && !apart && experts ? experts : 1);
            }
        }
        if (!experts) continue;
        snprintf(name, sizeof(name), "blk.%d.ffn_gate_inp.weight", i);
        add(g, c, name, GGML_TYPE_F32, cols, experts, 1);
        snprintf(name, sizeof(name), "blk.%d.ffn_down_shexp.weight", i);
        add(g, c, name, type, cols, 2, 1);
    }
    ok = CALL(gguf_write_to_file)(g, words[1], false);
    CALL(gguf_free)(g);
    CALL(ggml_free)(c);
    return ok;
}

static void old_entry(FILE *f, const char *name, const float *sums, int32_t n)
{
    int32_t len = (int32_t)strlen(name), calls = 3;
    fwrite(&len, 4, 1, f);
    fwrite(name, 1, (size_t)len, f);
    fwrite(&calls, 4, 1, f);
    fwrite(&n, 4, 1, f);
    fwrite(sums, 4, (size_t)n, f);
}

static int make_imatrix(char **words, int n)
{
    struct ggml_context    *model = NULL;
    struct gguf_init_params params = {.no_alloc = true, .ctx = &model};
    struct gguf_context    *in = CALL(gguf_init_from_file)(words[1], params);
    struct ggml_init_params room = {.mem_size = (size_t)64 << 20};
    struct ggml_context    *c = CALL(ggml_init)(room);
    struct gguf_context    *g = CALL(gguf_init_empty)();
    const char             *sets[] = {"some text", "another"};
    FILE                   *old = option(words, n, "old") ? fopen(words[2], "wb") : NULL;
    int32_t                 n_entries = 0, tail[2] = {12, 9};
    int                     ok = 1;
    if (!in) die(words[1]);
    state = (uint64_t)atoi(words[3]);
    if (old) fwrite(&n_entries, 4, 1, old);
    CALL(gguf_set_val_str)(g, "general.type", "imatrix");
    CALL(gguf_set_arr_str)(g, "imatrix.datasets", sets, 2);
    CALL(gguf_set_val_u32)(g, "imatrix.chunk_count", 12);
    CALL(gguf_set_val_u32)(g, "imatrix.chunk_size", 512);
    for (struct ggml_tensor *t = CALL(ggml_get_first_tensor)(model); t;
         t = CALL(ggml_get_next_tensor)(model, t)) {
        struct ggml_tensor *sums, *counts;
        int64_t             n2 = t->ne[2], width = t->ne[0];
        char                name[128];
        /* llama-imatrix measures nothing for embeddings, nor here for some tensor */
        if (t->ne[1] < 2 || strstr(t->name, "token_embd") || strstr(t->name, "_inp.")) continue;
        sums = CALL(ggml_new_tensor_3d)(c, GGML_TYPE_F32, width, 1, n2);
        counts = CALL(ggml_new_tensor_3d)(c, GGML_TYPE_F32, 1, 1, n2);
        for (int64_t i = 0; i < width * n2; i++) ((float *)sums->data)[i] = unit() * unit() * 40;
        /* one expert that was never asked */
        for (int64_t i = 0; i < n2; i++) ((float *)counts->data)[i] = i == 1 ? 0 : 512 + (float)i;
        n_entries++;
        if (old) old_entry(old, t->name, sums->data, (int32_t)(width * n2));
        snprintf(name, sizeof(name), "%s.in_sum2", t->name);
        CALL(ggml_set_name)(sums, name);
        snprintf(name, sizeof(name), "%s.counts", t->name);
        CALL(ggml_set_name)(counts, name);
        CALL(gguf_add_tensor)(g, sums);
        CALL(gguf_add_tensor)(g, counts);
    }
    if (old) {
        fwrite(tail, 4, 2, old);
        fwrite("some text", 1, 9, old);
        rewind(old);
        fwrite(&n_entries, 4, 1, old);
        ok = fclose(old) == 0;
    } else {
        ok = CALL(gguf_write_to_file)(g, words[2], false);
    }
    CALL(gguf_free)(in);
    CALL(gguf_free)(g);
    CALL(ggml_free)(c);
    CALL(ggml_free)(model);
    return ok;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(char **words, int n);
        int least;
    } kinds[] = {{"quantize", quantize, 4}, {"model", make_model, 8}, {"imatrix", make_imatrix, 4}};
    char line[8192];
    if (argc != 2) die("usage: llama_quantize LIBRARY_FOLDER < LINES");
    load_llama(argv[1]);
    while (fgets(line, sizeof(line), stdin)) {
        char *words[16], *save = NULL;
        int   n = 0, ok = -1;
        for (char *w = strtok_r(line, " \n", &save); w && n < 16;
             w = strtok_r(NULL, " \n", &save)) {
            words[n++] = w;
        }
        for (size_t i = 0; n && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
            if (strcmp(words[0], kinds[i].name) == 0 && n >= kinds[i].least) {
                ok = kinds[i].run(words, n);
            }
        }
        if (n && ok < 0) die("a line that is not understood");
        if (n) printf("%s\n", ok ? "ok" : "failed");
        fflush(stdout);
    }
    return 0;
}
