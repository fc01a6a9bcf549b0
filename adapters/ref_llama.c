// SPDX-License-Identifier: MIT
/* ref_llama.c - the adapter for llama.cpp and its forks (bitnet.cpp), any version since autumn
 * 2024.
 *
 * Compiled against one installation's own headers, because its parameter structs are passed by
 * value and differ between versions; linked against nothing: the libraries are loaded at run
 * time from the paths in the manifest. For comparing numbers everything is turned off that makes
 * them depend on more than the model (flash attention, AMX, polling threads); for timing nothing
 * is: it is then run as its own benchmark runs it. What a version has is decided once, by looking
 * into its headers (src/engine/ref_layout.c), and arrives as LS_HAS_* macros:
 *
 *   LS_HAS_VOCAB        llama_model_get_vocab: tokenizing needs a vocabulary, not a model
 *   LS_HAS_LOAD         llama_model_load_from_file and llama_model_free, else *_load_model_*
 *   LS_HAS_INIT         llama_init_from_model, else llama_new_context_with_model
 *   LS_HAS_MEMORY       llama_get_memory and llama_memory_clear
 *   LS_HAS_KV_SELF      llama_kv_self_clear; neither: llama_kv_cache_clear
 *   LS_HAS_FLASH_TYPE   the context parameter flash_attn_type, else the boolean flash_attn
 *   LS_HAS_LOGITS_ALL   the context parameter logits_all
 *   LS_HAS_OP_OFFLOAD   the context parameter op_offload
 *   LS_HAS_VERSION      llama_version
 *   LS_HAS_BACKEND_DIR  ggml_backend_load_all_from_path: one CPU library per instruction set
 *   LS_HAS_THREADPOOL   llama_attach_threadpool
 */
#include "ref_engine.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "llama.h"
#if LS_HAS_BACKEND_DIR
#include "ggml-backend.h"
#include "ggml-cpu.h"
#endif
#define USE_POOL (LS_HAS_BACKEND_DIR && LS_HAS_THREADPOOL)

#if LS_HAS_LOAD
#define LOAD_MODEL llama_model_load_from_file
#define FREE_MODEL llama_model_free
#else
#define LOAD_MODEL llama_load_model_from_file
#define FREE_MODEL llama_free_model
#endif
#if LS_HAS_INIT
#define NEW_CONTEXT llama_init_from_model
#else
#define NEW_CONTEXT llama_new_context_with_model
#endif
#if LS_HAS_VOCAB
#define N_VOCAB   llama_vocab_n_tokens
#define TOKEN_BOS llama_vocab_bos
#else
#define N_VOCAB   llama_n_vocab
#define TOKEN_BOS llama_token_bos
#endif

/* Every function used, typed by the installation's own declaration. */
// clang-format off
#define FUNCTIONS(X)                                                                               \
    X(llama_backend_init) X(llama_log_set) X(llama_model_default_params)                           \
    X(llama_context_default_params) X(LOAD_MODEL) X(FREE_MODEL) X(NEW_CONTEXT) X(llama_free)       \
    X(N_VOCAB) X(TOKEN_BOS) X(llama_tokenize) X(llama_n_ctx) X(llama_n_batch)                      \
    X(llama_batch_init) X(llama_batch_free) X(llama_decode) X(llama_get_logits_ith)                \
    X(llama_print_system_info) X(ggml_op_name) X(ggml_fp16_to_fp32) X(ggml_fp32_to_fp16)           \
    FUNCTIONS_KV(X) FUNCTIONS_VOCAB(X) FUNCTIONS_VERSION(X) FUNCTIONS_BACKEND(X) FUNCTIONS_POOL(X)
// clang-format on

#if LS_HAS_MEMORY
#define FUNCTIONS_KV(X) X(llama_get_memory) X(llama_memory_clear) X(llama_memory_seq_rm)
#elif LS_HAS_KV_SELF
#define FUNCTIONS_KV(X) X(llama_kv_self_clear)
#else
#define FUNCTIONS_KV(X) X(llama_kv_cache_clear)
#endif
#if LS_HAS_VOCAB
#define FUNCTIONS_VOCAB(X) X(llama_model_get_vocab)
#else
#define FUNCTIONS_VOCAB(X)
#endif
#if LS_HAS_VERSION
#define FUNCTIONS_VERSION(X) X(llama_version)
#else
#define FUNCTIONS_VERSION(X)
#endif
#if LS_HAS_BACKEND_DIR
#define FUNCTIONS_BACKEND(X) X(ggml_backend_load_all_from_path) X(ggml_backend_load)
#else
#define FUNCTIONS_BACKEND(X)
#endif

// clang-format off
#if USE_POOL
#define FUNCTIONS_POOL(X)                                                                          \
    X(llama_attach_threadpool) X(ggml_threadpool_params_default) X(ggml_backend_dev_by_type)       \
    X(ggml_backend_dev_backend_reg) X(ggml_backend_reg_get_proc_address)
#else
#define FUNCTIONS_POOL(X)
#endif
// clang-format on

#define NAME_(f) #f
#define NAME(f)  NAME_(f) /* of a function, after the renaming macros above */
#define FIELD(f) __typeof__(f) *f;

static struct {
    FUNCTIONS(FIELD)
} api;

static struct {
    char                  first_error[LS_REF_MAX_ERROR / 2]; /* that the engine logged */
    struct llama_model   *model;
    struct llama_context *ctx;
    struct llama_batch    batch;
    bool                  has_batch;
    void                 *pool; /* threads that live as long as the context; NULL: none */
    int32_t               n_past, n_ctx, n_vocab;
    const char           *watched; /* lines of "NAME OP"; NULL: none            */
    bool                  answers; /* the host may change what a node has          */
    float                *shown;   /* values of the node that is being shown         */
    size_t                n_shown;
    const void           *last;    /* the node that was shown last: it is evaluated        */
    const void           *entered; /* softmax whose input was shown before its evaluation */
} llama;

/* The engine's log: all of it to standard error, its first complaint kept for the host. */
static void keep_log(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    if (level == GGML_LOG_LEVEL_ERROR && !llama.first_error[0]) {
        snprintf(llama.first_error, sizeof(llama.first_error), "%s", text);
        llama.first_error[strcspn(llama.first_error, "\n")] = '\0';
    }
    fputs(text, stderr);
}

static uint32_t find_function(void *lib, const char *path, const char *name, void *out)
{
    void *f = dlsym(lib, name);
    if (!f) return ref_fail(LS_REF_FAILED, "'%s' has no function '%s'", path, name);
    memcpy(out, &f, sizeof(f)); /* POSIX: an object pointer that holds a function's address */
    return LS_REF_DONE;
}

#if LS_HAS_BACKEND_DIR
/* The CPU library to take instead of the one that the engine picks: the user's choice, and where
 * the processor has AMX the best one without. AMX's tiles add quantised products in an order of
 * their own, which is no error and would look like one. NULL: the engine picks. */
static const char *chosen_cpu(void)
{
    const char *name = getenv("LOCKSTEP_LLAMA_CPU");
#if defined(__x86_64__)
    unsigned a, b, c, d;
    if (!ref_for_speed && (!name || !*name) && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
        d & 1u << 25) {
        return "cooperlake"; /* every processor with AMX_INT8 runs it */
    }
#endif
    return name && *name ? name : NULL;
}

static uint32_t load_backends(const char *dir)
{
    const char *name = chosen_cpu();
    char        path[4096];
    snprintf(path, sizeof(path), "%s/libggml-cpu-%s.so", dir, name ? name : "");
    if (name && access(path, R_OK) == 0 && api.ggml_backend_load(path)) return LS_REF_DONE;
    if (name && getenv("LOCKSTEP_LLAMA_CPU")) {
        return ref_fail(LS_REF_FAILED, "LOCKSTEP_LLAMA_CPU: '%s' cannot be loaded", path);
    }
    api.ggml_backend_load_all_from_path(dir);
    return LS_REF_DONE;
}
#endif

uint32_t ref_load(const ref_manifest *m, ls_ref_identity *out)
{
    const char *path = m->n_libraries ? m->libraries[m->n_libraries - 1] : "";
    void       *lib = NULL;
    /* By absolute path and in the order of their dependencies, so that LD_LIBRARY_PATH cannot
     * slip another installation's libggml under this libllama. */
    for (int i = 0; i < m->n_libraries; i++) {
        lib = dlopen(m->libraries[i], RTLD_NOW | RTLD_LOCAL);
        if (!lib) return ref_fail(LS_REF_FAILED, "cannot load a library: %s", dlerror());
    }
    if (!lib) return ref_fail(LS_REF_FAILED, "engine.manifest names no library");
#define FIND(f)                                                                                    \
    if (find_function(lib, path, NAME(f), &api.f) != LS_REF_DONE) return LS_REF_FAILED;
    FUNCTIONS(FIND)
    snprintf(out->library, sizeof(out->library), "%s", path);
    api.llama_log_set(keep_log, NULL);
#if LS_HAS_BACKEND_DIR
    if (load_backends(m->lib_dir) != LS_REF_DONE) return LS_REF_FAILED; /* before all else */
#endif
#if LS_HAS_VERSION
    if (!out->version[0]) snprintf(out->version, sizeof(out->version), "%s", api.llama_version());
#endif
    return LS_REF_DONE;
}

/* The CPU library that was picked ("haswell" of libggml-cpu-haswell.so), else the best
 * instruction set that the engine says it uses. */
static void find_isa(char *out, size_t cap)
{
    static const char *const sets[][2] = {{"AVX512 = 1", "avx512"}, {"AVX2 = 1", "avx2"},
                                          {"AVX = 1", "avx"},       {"SVE = 1", "sve"},
                                          {"NEON = 1", "neon"},     {"SSE3 = 1", "sse3"}};
    static const char        stem[] = "/libggml-cpu-";
    const char              *info = api.llama_print_system_info();
    char                     line[1024], *p, *end;
    FILE                    *f = fopen("/proc/self/maps", "re");
    out[0] = '\0';
    while (f && !out[0] && fgets(line, sizeof(line), f)) {
        p = strstr(line, stem);
        end = p ? strstr(p, ".so") : NULL;
        if (!end) continue;
        p += sizeof(stem) - 1;
        snprintf(out, cap, "%.*s", (int)(end - p), p);
    }
    if (f) fclose(f);
    for (size_t i = 0; info && !out[0] && i < sizeof(sets) / sizeof(sets[0]); i++) {
        if (strstr(info, sets[i][0])) snprintf(out, cap, "%s", sets[i][1]);
    }
}

uint32_t ref_watch(const char *names, int answers)
{
    llama.watched = names;
    llama.answers = answers != 0;
    return LS_REF_DONE;
}

/* Whether "NAME OP" stands in the list of what is watched. */
static bool is_listed(const char *name, size_t n, const char *op)
{
    size_t n_op = strlen(op);
    for (const char *at = llama.watched; *at; at = strchr(at, '\n') + 1) {
        if (strncmp(at, name, n) == 0 && at[n] == ' ' && strncmp(at + n + 1, op, n_op) == 0 &&
            at[n + 1 + n_op] == '\n') {
            return true;
        }
    }
    return false;
}

static bool take_name(ls_ref_tap *tap, const char *name, size_t n, long layer)
{
    if (n == 0 || n >= sizeof(tap->name) || !is_listed(name, n, tap->op)) return false;
    memcpy(tap->name, name, n);
    tap->layer = (int32_t)layer;
    return true;
}

/* Whether a node is watched: by its own name, "Qcur" and 3 of "Qcur-3", or by that of a weight that
 * it takes, "attn_q.weight" and 3 of "blk.3.attn_q.weight". Many nodes have no name of their own.
 */
static bool is_watched(const struct ggml_tensor *t, ls_ref_tap *tap)
{
    const char *dash = strrchr(t->name, '-');
    char       *end = NULL;
    long        layer = -1;
    memset(tap, 0, sizeof(*tap));
    snprintf(tap->op, sizeof(tap->op), "%s", api.ggml_op_name(t->op));
    for (int i = 0; i < 2 && t->src[i]; i++) {
        const char *name = t->src[i]->name;
        if (strncmp(name, "blk.", 4) != 0 || name[4] < '0' || name[4] > '9') continue;
        layer = strtol(name + 4, &end, 10);
        if (*end == '.' && take_name(tap, end + 1, strlen(end + 1), layer)) return true;
    }
    if (dash && dash[1] >= '0' && dash[1] <= '9') {
        layer = strtol(dash + 1, &end, 10);
        return !*end && take_name(tap, t->name, (size_t)(dash - t->name), layer);
    }
    return take_name(tap, t->name, strlen(t->name), -1);
}

/* Any element as a float. */
static float element(const struct ggml_tensor *t, const char *p)
{
    switch (t->type) {
    case GGML_TYPE_F16: {
        uint16_t h;
        memcpy(&h, p, sizeof(h));
        return api.ggml_fp16_to_fp32(h);
    }
    case GGML_TYPE_I32: {
        int32_t i;
        memcpy(&i, p, sizeof(i));
        return (float)i;
    }
    default: {
        float f;
        memcpy(&f, p, sizeof(f));
        return f;
    }
    }
}

/* The other way. Whole numbers are choices among what they were sorted from, and stay such. */
static void set_element(const struct ggml_tensor *t, char *p, float x)
{
    switch (t->type) {
    case GGML_TYPE_F16: {
        uint16_t h = api.ggml_fp32_to_fp16(x);
        memcpy(p, &h, sizeof(h));
        break;
    }
    case GGML_TYPE_I32: {
        float   limit = t->src[0] ? (float)t->src[0]->ne[0] : 0;
        int32_t i = x >= 0 && x < limit ? (int32_t)x : -1;
        if (i >= 0) memcpy(p, &i, sizeof(i));
        break;
    }
    default:
        memcpy(p, &x, sizeof(x));
    }
}

/* All elements, row after row whatever the strides: into x, or out of it. */
static void copy_elements(const struct ggml_tensor *t, float *x, bool out_of_x)
{
    for (int64_t i3 = 0; i3 < t->ne[3]; i3++)
        for (int64_t i2 = 0; i2 < t->ne[2]; i2++)
            for (int64_t i1 = 0; i1 < t->ne[1]; i1++) {
                char *row = (char *)t->data + (size_t)i1 * t->nb[1] + (size_t)i2 * t->nb[2] +
                            (size_t)i3 * t->nb[3];
                for (int64_t i0 = 0; i0 < t->ne[0]; i0++, x++, row += t->nb[0]) {
                    if (out_of_x)
                        set_element(t, row, *x);
                    else
                        *x = element(t, row);
                }
            }
}

/* A tensor's values to the host, and into the tensor what the host has made of them. */
static void show(const struct ggml_tensor *t, ls_ref_tap *tap)
{
    size_t n = (size_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
    if (t->type != GGML_TYPE_F32 && t->type != GGML_TYPE_F16 && t->type != GGML_TYPE_I32) {
        return; /* nobody asks for such */
    }
    if (n > llama.n_shown) {
        float *more = realloc(llama.shown, n * sizeof(*more));
        if (!more) exit(1);
        llama.shown = more;
        llama.n_shown = n;
    }
    copy_elements(t, llama.shown, false);
    tap->n_dims = 4;
    for (int d = 0; d < 4; d++) tap->ne[d] = t->ne[d];
    switch (ref_tap(tap, llama.shown)) {
    case REF_TAP_KEPT:
        break;
    case REF_TAP_REPLACED:
        copy_elements(t, llama.shown, true);
        break;
    default:
        exit(1); /* the host is gone */
    }
}

/* What softmax adds to the scores. */
static void show_mask(const struct ggml_tensor *t, ls_ref_tap *tap)
{
    snprintf(tap->name, sizeof(tap->name), "mask");
    show(t->src[1], tap);
}

/* Before softmax is evaluated what it takes can still be changed. It is there if it was the last
 * to be shown; what lies between is evaluated only together with softmax. */
static void show_scores(const struct ggml_tensor *t, ls_ref_tap *tap)
{
    if (!t->src[1] || t->src[0] != llama.last) return;
    llama.entered = t;
    memcpy(tap->params, t->op_params, sizeof(tap->params));
    show_mask(t, tap);
    snprintf(tap->name, sizeof(tap->name), "scores");
    show(t->src[0], tap);
}

/* Called by the engine for every node of its graph: before (does anybody ask for its values?) and,
 * where the answer was yes, after it was evaluated. */
static bool on_node(struct ggml_tensor *t, bool ask, void *ctx)
{
    ls_ref_tap tap;
    (void)ctx;
    if (!is_watched(t, &tap)) return !ask;
    if (ask && llama.answers && t->op == GGML_OP_SOFT_MAX) show_scores(t, &tap);
    if (ask) return true;
    memcpy(tap.params, t->op_params, sizeof(tap.params));
    show(t, &tap);
    if (t->op == GGML_OP_SOFT_MAX && t->src[1] && t != llama.entered) show_mask(t, &tap);
    llama.last = t;
    return true;
}

static const enum ggml_type kv_types[LS_REF_N_KV] = {[LS_REF_KV_F32] = GGML_TYPE_F32,
                                                     [LS_REF_KV_F16] = GGML_TYPE_F16,
                                                     [LS_REF_KV_BF16] = GGML_TYPE_BF16,
                                                     [LS_REF_KV_Q8_0] = GGML_TYPE_Q8_0};

/* Values that are quantised the engine has with flash attention only. */
static bool needs_flash(const ls_ref_open *opt) { return opt->kv_type == LS_REF_KV_Q8_0; }

static struct llama_context_params context_params(const ls_ref_open *opt)
{
    struct llama_context_params p = api.llama_context_default_params();
    p.n_ctx = (uint32_t)opt->n_ctx;
    p.n_batch = (uint32_t)opt->n_batch;
    p.n_threads = p.n_threads_batch = opt->n_threads;
    p.type_k = p.type_v = kv_types[opt->kv_type];
    p.offload_kqv = false;
#if LS_HAS_OP_OFFLOAD
    p.op_offload = false;
#endif
    if (llama.watched) p.cb_eval = on_node;
    if (needs_flash(opt) || !ref_for_speed) {
#if LS_HAS_FLASH_TYPE
        p.flash_attn_type =
            needs_flash(opt) ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
#else
        p.flash_attn = needs_flash(opt);
#endif
    }
    if (ref_for_speed) return p; /* with its own n_ubatch and flash attention */
    p.n_ubatch = p.n_batch;
#if LS_HAS_LOGITS_ALL
    p.logits_all = true;
#endif
    return p;
}

#if USE_POOL
/* A function of the CPU library that was picked. */
static void *cpu_function(const char *name)
{
    ggml_backend_dev_t cpu = api.ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    ggml_backend_reg_t reg = cpu ? api.ggml_backend_dev_backend_reg(cpu) : NULL;
    return reg ? api.ggml_backend_reg_get_proc_address(reg, name) : NULL;
}
#endif

/* Give the context threads of its own. Without, the library starts new ones for every
 * evaluation, and since this process sleeps between evaluations they are now and then put on one
 * core, where they wait for each other. Without polling they sleep while the other engine works;
 * for timing they poll as they do by default, and the host waits until they have stopped. */
static void start_threads(int32_t n_threads)
{
#if USE_POOL
    struct ggml_threadpool_params    params = api.ggml_threadpool_params_default(n_threads);
    __typeof__(ggml_threadpool_new) *create;
    void                            *f = cpu_function("ggml_threadpool_new");
    memcpy(&create, &f, sizeof(f));
    if (!ref_for_speed) params.poll = 0;
    llama.pool = f && (n_threads > 1 || ref_for_speed) ? create(&params) : NULL;
    if (llama.pool) api.llama_attach_threadpool(llama.ctx, llama.pool, llama.pool);
#else
    (void)n_threads;
#endif
}

static void stop_threads(void)
{
#if USE_POOL
    __typeof__(ggml_threadpool_free) *destroy;
    void                             *f = cpu_function("ggml_threadpool_free");
    memcpy(&destroy, &f, sizeof(f));
    if (llama.pool && f) destroy(llama.pool);
#endif
}

static int32_t n_vocab_of(const struct llama_model *model)
{
#if LS_HAS_VOCAB
    return api.N_VOCAB(api.llama_model_get_vocab(model));
#else
    return api.N_VOCAB(model);
#endif
}

uint32_t ref_open(const char *path, const ls_ref_open *opt, ls_ref_opened *out)
{
    struct llama_model_params params;
    if (opt->kv_type < 0 || opt->kv_type >= LS_REF_N_KV)
        return ref_fail(LS_REF_MISUSED, "a KV cache of type %d", (int)opt->kv_type);
    api.llama_backend_init();
    params = api.llama_model_default_params();
    params.n_gpu_layers = 0;
    llama.model = api.LOAD_MODEL(path, params);
    if (!llama.model) {
        return ref_fail(LS_REF_REFUSED, "%s",
                        llama.first_error[0] ? llama.first_error : "no reason given");
    }
    llama.ctx = api.NEW_CONTEXT(llama.model, context_params(opt));
    if (!llama.ctx) {
        return ref_fail(LS_REF_FAILED, "no context of %d positions: %s", opt->n_ctx,
                        llama.first_error);
    }
    start_threads(opt->n_threads);
    llama.batch = api.llama_batch_init(opt->n_batch, 0, 1);
    llama.has_batch = true;
    llama.n_ctx = (int32_t)api.llama_n_ctx(llama.ctx);
    llama.n_vocab = n_vocab_of(llama.model);
    out->n_vocab = llama.n_vocab;
    out->n_ctx = llama.n_ctx;
    /* never above the request: that is what the batch above holds */
    out->n_batch = (int32_t)api.llama_n_batch(llama.ctx);
    if (out->n_batch > opt->n_batch) out->n_batch = opt->n_batch;
    out->n_threads = opt->n_threads;
    out->kv_type = opt->kv_type;
    out->flash_attn = needs_flash(opt) ? 1 : ref_for_speed ? -1 : 0; /* -1: it decides */
    find_isa(out->isa, sizeof(out->isa));
    return LS_REF_DONE;
}

uint32_t ref_tokenize(const char *text, size_t len, const ls_ref_tokenize *opt, int32_t **ids,
                      size_t *n)
{
#if LS_HAS_VOCAB
    const struct llama_vocab *vocab = api.llama_model_get_vocab(llama.model);
#else
    const struct llama_model *vocab = llama.model;
#endif
    bool     special = opt->parse_special != 0, add = opt->bos == LS_REF_BOS_AUTO;
    size_t   lead = opt->bos == LS_REF_BOS_YES ? 1 : 0;
    int32_t  cap = (int32_t)len + 8, got = 0;
    int32_t *out = NULL;
    if (lead && api.TOKEN_BOS(vocab) < 0) {
        return ref_fail(LS_REF_MISUSED, "the vocabulary has no token for the beginning of text");
    }
    for (int attempt = 0; attempt < 2; attempt++) { /* a negative answer says how many there are */
        free(out);
        out = malloc(((size_t)cap + lead) * sizeof(*out));
        if (!out) return ref_fail(LS_REF_FAILED, "not enough memory for %d tokens", cap);
        got = api.llama_tokenize(vocab, text, (int32_t)len, out + lead, cap, add, special);
        if (got >= 0 || got == INT32_MIN) break;
        cap = -got;
    }
    if (got < 0) {
        free(out);
        return ref_fail(LS_REF_FAILED, "the text cannot be tokenized");
    }
    if (lead) out[0] = api.TOKEN_BOS(vocab);
    *ids = out;
    *n = (size_t)got + lead;
    return LS_REF_DONE;
}

uint32_t ref_eval(const int32_t *ids, size_t n, ls_ref_evaluated *out)
{
    struct llama_batch *b = &llama.batch;
    uint64_t            begin;
    int32_t             rc;
    if ((int64_t)n > llama.n_ctx - llama.n_past) {
        return ref_fail(LS_REF_FULL, "%zu more tokens do not fit into a context of %d", n,
                        llama.n_ctx);
    }
    b->n_tokens = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        b->token[i] = ids[i];
        b->pos[i] = llama.n_past + (int32_t)i;
        b->n_seq_id[i] = 1;
        b->seq_id[i][0] = 0;
        b->logits[i] = !ref_for_speed || i + 1 == n;
    }
    llama.first_error[0] = '\0';
    llama.last = llama.entered = NULL; /* nodes of another graph may have the same address */
    begin = ref_now_ns();
    rc = api.llama_decode(llama.ctx, *b);
    if (rc == 0 && !api.llama_get_logits_ith(llama.ctx, (int32_t)n - 1))
        rc = -1; /* waits for the result */
    out->wall_ns = ref_now_ns() - begin;
    if (rc != 0) {
        return ref_fail(rc == 1 ? LS_REF_FULL : LS_REF_FAILED, "llama_decode returned %d. %s",
                        (int)rc, llama.first_error);
    }
    llama.n_past += (int32_t)n;
    return LS_REF_DONE;
}

const float *ref_row(size_t i) { return api.llama_get_logits_ith(llama.ctx, (int32_t)i); }

uint32_t ref_reset(uint32_t n_keep)
{
#if LS_HAS_MEMORY
    if (n_keep > 0) {
        if (!api.llama_memory_seq_rm(api.llama_get_memory(llama.ctx), 0, (int32_t)n_keep, -1)) {
            return ref_fail(LS_REF_FAILED, "llama_memory_seq_rm keeps no %u positions", n_keep);
        }
        llama.n_past = (int32_t)n_keep;
        return LS_REF_DONE;
    }
    api.llama_memory_clear(api.llama_get_memory(llama.ctx), true);
#else
    if (n_keep > 0) return ref_fail(LS_REF_MISUSED, "this version forgets everything or nothing");
#if LS_HAS_KV_SELF
    api.llama_kv_self_clear(llama.ctx);
#else
    api.llama_kv_cache_clear(llama.ctx);
#endif
#endif
    llama.n_past = 0;
    return LS_REF_DONE;
}

void ref_close(void)
{
    if (llama.has_batch) api.llama_batch_free(llama.batch);
    if (llama.ctx) api.llama_free(llama.ctx);
    if (llama.pool) stop_threads();
    if (llama.model) api.FREE_MODEL(llama.model);
    free(llama.shown);
}
