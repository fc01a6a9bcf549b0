// SPDX-License-Identifier: MIT
/* recount.c - an independent look at a comparison: the reference's logits through its own
 * interface, and everything that a report claims recomputed from the dumped logits.
 *
 * Shares no code with Lockstep and is compiled by matrix.sh against the headers of the reference
 * that is installed, whose libraries it loads at run time.
 *
 * usage: recount LIB_DIR MODEL IDS CLAIMS PREFIX N_CTX BATCH THREADS f16|f32
 *   IDS     number of prompt tokens, then all token ids
 *   CLAIMS  "VERDICT VOCABULARY POSITIONS", then for each position
 *           "COSINE TOP1_SUBJECT TOP1_REFERENCE OK" of the report
 *   PREFIX  of the files .subject.f32 and .reference.f32
 * Exit 0 when all is as claimed, 1 when it is not, 2 when it cannot be found out.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ggml-backend.h"
#include "llama.h"

// clang-format off
#define USED(X)                                                                                    \
    X(llama_log_set) X(llama_backend_init) X(llama_model_default_params)                           \
    X(llama_model_load_from_file) X(llama_context_default_params) X(llama_init_from_model)         \
    X(llama_model_get_vocab) X(llama_vocab_n_tokens) X(llama_batch_init) X(llama_batch_free)       \
    X(llama_decode) X(llama_get_logits_ith) X(llama_free) X(llama_model_free)                      \
    X(ggml_backend_load_all_from_path)
// clang-format on

#define POINTER(f) __typeof__(f) *f;
static struct {
    USED(POINTER)
} lib;

typedef struct claim {
    double cosine;
    int    top1_subject, top1_reference, ok;
} claim;

static struct {
    char     verdict[32];
    size_t   n_vocab, n;
    claim   *of;
    int32_t *ids;
    size_t   n_prompt;
    float   *subject, *reference;
} job;

static int n_wrong;

#define WRONG(...)                                                                                 \
    (n_wrong++ < 5 ? (void)(printf("wrong: " __VA_ARGS__), putchar('\n')) : (void)0)

static void die(const char *what, const char *which)
{
    fprintf(stderr, "recount: %s '%s'\n", what, which);
    exit(2);
}

static void *need(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p) die("not enough memory for", "the files");
    return p;
}

/* ---- input ---- */

static void read_claims(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%31s %zu %zu", job.verdict, &job.n_vocab, &job.n) != 3 || !job.n ||
        job.n_vocab < 2) {
        die("no claims in", path);
    }
    job.of = need(job.n, sizeof(*job.of));
    for (size_t i = 0; i < job.n; i++) {
        claim *c = &job.of[i];
        if (fscanf(f, "%lf %d %d %d", &c->cosine, &c->top1_subject, &c->top1_reference, &c->ok) !=
            4) {
            die("too few claims in", path);
        }
    }
    fclose(f);
}

static void read_ids(const char *path)
{
    FILE *f = fopen(path, "r");
    if (!f || fscanf(f, "%zu", &job.n_prompt) != 1 || job.n_prompt > job.n) die("no ids in", path);
    job.ids = need(job.n, sizeof(*job.ids));
    for (size_t i = 0; i < job.n; i++)
        if (fscanf(f, "%d", &job.ids[i]) != 1) die("too few ids in", path);
    fclose(f);
}

static float *read_logits(const char *prefix, const char *side)
{
    char   path[4096];
    size_t n = job.n * job.n_vocab;
    float *v = need(n, sizeof(*v));
    FILE  *f;
    snprintf(path, sizeof(path), "%s.%s.f32", prefix, side);
    f = fopen(path, "rb");
    if (!f || fread(v, sizeof(*v), n, f) != n || fgetc(f) != EOF)
        die("another size than claimed:", path);
    fclose(f);
    return v;
}

/* ---- the predicate of MATCH, from its definition, in double ---- */

static size_t top_of(const float *v)
{
    size_t top = 0;
    for (size_t i = 1; i < job.n_vocab; i++)
        if (v[i] > v[top]) top = i;
    return top;
}

static double log_sum(const float *v)
{
    double max = (double)v[top_of(v)], sum = 0;
    for (size_t i = 0; i < job.n_vocab; i++) sum += exp((double)v[i] - max);
    return max + log(sum);
}

/* The verdict on one position; *near_tie is set where the most likely token is another, but by
 * less than chance. */
static bool inside_budget(const float *s, const float *r, size_t ts, size_t tr, bool *near_tie)
{
    double n = (double)job.n_vocab, ms = 0, mr = 0, sr = 0, ss = 0, rr = 0, dd = 0, kl = 0;
    double zs = log_sum(s), zr = log_sum(r), slack;
    for (size_t i = 0; i < job.n_vocab; i++) {
        if (!isfinite(s[i]) || !isfinite(r[i])) return false;
        ms += (double)s[i] / n;
        mr += (double)r[i] / n;
    }
    for (size_t i = 0; i < job.n_vocab; i++) {
        double a = (double)s[i] - ms, b = (double)r[i] - mr, lp = (double)r[i] - zr;
        sr += a * b;
        ss += a * a;
        rr += b * b;
        dd += (a - b) * (a - b);
        kl += exp(lp) * (lp - ((double)s[i] - zs));
    }
    slack = 4 * sqrt(2) * sqrt(dd / n);
    slack = slack > 1e-4 ? slack : 1e-4;
    *near_tie = ts != tr && (double)r[tr] - (double)r[ts] <= slack;
    return sr / sqrt(ss * rr) >= 0.999 && dd / rr <= 1e-4 && kl <= 1e-3 && (ts == tr || *near_tie);
}

static void check_position(size_t p, size_t *near_ties, size_t *outside)
{
    const float *s = job.subject + p * job.n_vocab, *r = job.reference + p * job.n_vocab;
    const claim *c = &job.of[p];
    size_t       ts = top_of(s), tr = top_of(r), next = p + 1;
    double       dot = 0, ss = 0, rr = 0, cosine;
    bool         near_tie = false, ok = inside_budget(s, r, ts, tr, &near_tie);
    for (size_t i = 0; i < job.n_vocab; i++) {
        dot += (double)s[i] * (double)r[i];
        ss += (double)s[i] * (double)s[i];
        rr += (double)r[i] * (double)r[i];
    }
    cosine = dot / sqrt(ss * rr);
    if (!(fabs(cosine - c->cosine) <= 1e-12))
        WRONG("position %zu: cosine %.17g, claimed %.17g", p, cosine, c->cosine);
    if ((int)ts != c->top1_subject || (int)tr != c->top1_reference)
        WRONG("position %zu: most likely %zu and %zu, claimed %d and %d", p, ts, tr,
              c->top1_subject, c->top1_reference);
    if (ok != (c->ok != 0)) WRONG("position %zu: ok is %d, claimed %d", p, ok, c->ok);
    if (next < job.n && next >= job.n_prompt && job.ids[next] != (int32_t)tr)
        WRONG("position %zu: decoded token %d is not the reference's choice %zu", next,
              job.ids[next], tr);
    *near_ties += near_tie;
    *outside += !ok;
}

static void check_claims(void)
{
    size_t near_ties = 0, outside = 0;
    bool   match;
    for (size_t p = 0; p < job.n; p++) check_position(p, &near_ties, &outside);
    match = outside == 0 && !(near_ties > 1 && (double)near_ties > 0.02 * (double)job.n);
    if (strcmp(job.verdict, match ? "MATCH" : "DIVERGED") != 0)
        WRONG("verdict %s, but %zu positions are outside the budget", job.verdict, outside);
}

/* ---- the reference itself ---- */

static void quiet(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

/* The one file of the folder that begins like this. */
static void *load_library(const char *dir, const char *stem)
{
    char           path[4096] = "";
    struct dirent *e;
    DIR           *d = opendir(dir);
    void          *handle;
    while (d && (e = readdir(d)) != NULL)
        if (strncmp(e->d_name, stem, strlen(stem)) == 0)
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
    if (d) closedir(d);
    handle = path[0] ? dlopen(path, RTLD_NOW | RTLD_GLOBAL) : NULL;
    if (!handle) die(path[0] ? dlerror() : "no library", stem);
    return handle;
}

static void load(const char *dir)
{
    void *handle;
    load_library(dir, "libggml-base.");
    load_library(dir, "libggml.");
    handle = load_library(dir, "libllama.");
#define FIND(f)                                                                                    \
    *(void **)&lib.f = dlsym(handle, #f);                                                          \
    if (!lib.f) die("no function", #f);
    USED(FIND)
    lib.llama_log_set(quiet, NULL);
    lib.ggml_backend_load_all_from_path(dir);
    lib.llama_backend_init();
}

/* Evaluate ids [at, at + n) and compare each row with what the program says it received. */
static void evaluate(struct llama_context *ctx, struct llama_batch *b, size_t at, size_t n,
                     double *max)
{
    b->n_tokens = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        b->token[i] = job.ids[at + i];
        b->pos[i] = (llama_pos)(at + i);
        b->n_seq_id[i] = 1;
        b->seq_id[i][0] = 0;
        b->logits[i] = 1;
    }
    if (lib.llama_decode(ctx, *b) != 0) die("llama_decode fails", "");
    for (size_t i = 0; i < n; i++) {
        const float *got = lib.llama_get_logits_ith(ctx, (int32_t)i);
        const float *said = job.reference + (at + i) * job.n_vocab;
        if (!got) die("no logits", "");
        for (size_t k = 0; k < job.n_vocab; k++) {
            double d = fabs((double)got[k] - (double)said[k]);
            if (!(d <= *max)) *max = d;
        }
    }
}

static void check_reference(char **argv)
{
    struct llama_model_params   mp;
    struct llama_context_params cp;
    struct llama_model         *model;
    struct llama_context       *ctx;
    struct llama_batch          batch;
    size_t                      step = strtoul(argv[7], NULL, 10);
    double                      max = 0;
    load(argv[1]);
    mp = lib.llama_model_default_params();
    mp.n_gpu_layers = 0;
    model = lib.llama_model_load_from_file(argv[2], mp);
    if (!model) die("the reference refuses", argv[2]);
    if ((size_t)lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model)) != job.n_vocab)
        WRONG("another size of vocabulary");
    cp = lib.llama_context_default_params();
    cp.n_ctx = (uint32_t)strtoul(argv[6], NULL, 10);
    cp.n_batch = cp.n_ubatch = (uint32_t)step;
    cp.n_threads = cp.n_threads_batch = (int32_t)strtol(argv[8], NULL, 10);
    cp.type_k = cp.type_v = strcmp(argv[9], "f32") == 0 ? GGML_TYPE_F32 : GGML_TYPE_F16;
    cp.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    cp.offload_kqv = cp.op_offload = false;
    ctx = lib.llama_init_from_model(model, cp);
    if (!ctx) die("no context for", argv[2]);
    batch = lib.llama_batch_init((int32_t)step, 0, 1);
    for (size_t at = 0, n; at < job.n; at += n) {
        n = at < job.n_prompt ? job.n_prompt - at : 1;
        n = n < step ? n : step;
        evaluate(ctx, &batch, at, n, &max);
    }
    if (max != 0) WRONG("the reference's own logits differ from those received by up to %g", max);
    lib.llama_batch_free(batch);
    lib.llama_free(ctx);
    lib.llama_model_free(model);
}

int main(int argc, char **argv)
{
    if (argc != 10) die("usage: LIB_DIR MODEL IDS CLAIMS PREFIX N_CTX BATCH THREADS KV, not", "");
    read_claims(argv[4]);
    read_ids(argv[3]);
    job.subject = read_logits(argv[5], "subject");
    job.reference = read_logits(argv[5], "reference");
    check_claims();
    check_reference(argv);
    printf("%zu positions x %zu logits: %s\n", job.n, job.n_vocab,
           n_wrong ? "not as claimed" : "as claimed");
    return n_wrong ? 1 : 0;
}
