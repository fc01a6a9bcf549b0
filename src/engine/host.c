// SPDX-License-Identifier: MIT
/* host.c - a reference as an engine: opens the child, sizes the shared window, hands out rows.
 *
 * Logits are written by the child into sealed shared memory (it can be neither shrunk nor grown
 * once mapped, so no write of the child's can make our reads fault) and are read there in place;
 * nothing that the child sends is used as an index or a length before it was checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_ops.h"
#include "engine/host.h"
#include "engine/link.h"
#include "engine/ref_taps.h"

/* Rows are fetched many at a time, but the window is to stay small beside the engines. */
#define WINDOW_BYTES ((size_t)4 << 20)

typedef struct host {
    ls_engine    base; /* first: the public handle */
    ls_link      link;
    int          window_fd;
    float       *window;
    size_t       window_bytes;
    size_t       n_window;       /* rows that fit                   */
    size_t       first, n_valid; /* rows of the last eval now there */
    int32_t      pos;
    ls_ref_taps *taps;                 /* NULL: nobody watches */
    bool         answers, knows_graph; /* taps may be changed; it was looked at for that */
} host;

/* Ids that the child sent: whole numbers of the vocabulary. */
static ls_status check_ids(host *h, const int32_t *ids, size_t bytes, ls_error *err)
{
    if (bytes % sizeof(*ids) != 0) {
        return ls_link_break(&h->link, err, "sent %zu bytes, which is no number of token ids",
                             bytes);
    }
    for (size_t i = 0; i < bytes / sizeof(*ids); i++) {
        if (ids[i] >= 0 && ids[i] < h->base.info.n_vocab) continue;
        return ls_link_break(&h->link, err, "tokenized into id %d, but its vocabulary has %d",
                             ids[i], h->base.info.n_vocab);
    }
    return LS_OK;
}

static ls_status host_tokenize(ls_engine *e, const char *text, size_t len,
                               const ls_encode_options *opt, int32_t **ids, size_t *n,
                               ls_error *err)
{
    static const uint32_t bos[] = {[LS_BOS_AUTO] = LS_REF_BOS_AUTO,
                                   [LS_BOS_YES] = LS_REF_BOS_YES,
                                   [LS_BOS_NO] = LS_REF_BOS_NO};
    host                 *h = (host *)e;
    ls_ref_tokenize       head = {.bos = bos[opt->bos], .parse_special = opt->parse_special};
    void                 *data = NULL;
    size_t                bytes = 0;
    ls_status             status;
    ls_link_call          call = {.op = LS_REF_TOKENIZE,
                                  .doing = "tokenizing",
                                  .head = &head,
                                  .head_len = sizeof(head),
                                  .body = text,
                                  .body_len = len,
                                  .owned = &data,
                                  .owned_len = &bytes};
    if (len > LS_REF_MAX_PAYLOAD - sizeof(head)) {
        return ls_fail(err, LS_ERR_LIMIT, "%zu bytes of text are too many for '%s'", len,
                       e->info.engine);
    }
    LS_TRY(ls_link_ask(&h->link, &call, err));
    status = check_ids(h, data, bytes, err);
    if (status != LS_OK) {
        free(data);
        return status;
    }
    *ids = data;
    *n = bytes / sizeof(**ids);
    return LS_OK;
}

static ls_status take_tap(void *ctx, const ls_ref_tap *tap, float *data, size_t n_floats,
                          bool *changed, ls_error *err)
{
    return ls_ref_taps_node(ctx, tap, data, n_floats, changed, err);
}

static ls_status host_rewind(ls_engine *e, size_t n_keep, ls_error *err)
{
    host        *h = (host *)e;
    uint32_t     keep = (uint32_t)n_keep;
    ls_link_call call = {.op = LS_REF_RESET,
                         .doing = n_keep ? "going back" : "starting over",
                         .head = &keep,
                         .head_len = sizeof(keep)};
    h->n_valid = 0;
    LS_TRY(ls_link_ask(&h->link, &call, err));
    h->pos = (int32_t)n_keep;
    return LS_OK;
}

static ls_status evaluate(host *h, const int32_t *tokens, size_t n, ls_error *err)
{
    ls_engine       *e = &h->base;
    uint64_t         begin = ls_now_ns(), elapsed;
    char             doing[48];
    ls_ref_evaluated done;
    ls_link_call     call = {.op = LS_REF_EVAL,
                             .doing = doing,
                             .body = tokens,
                             .body_len = n * sizeof(*tokens),
                             .reply = &done,
                             .reply_len = sizeof(done),
                             .tap = h->taps ? take_tap : NULL,
                             .tap_ctx = h->taps,
                             .answers = h->answers};
    h->n_valid = 0;
    if ((int64_t)n > e->info.n_ctx - h->pos) {
        return ls_fail(err, LS_ERR_LIMIT, "the context of %d positions of '%s' is full",
                       e->info.n_ctx, e->info.engine);
    }
    snprintf(doing, sizeof(doing), "evaluating %zu token%s", n, n == 1 ? "" : "s");
    if (h->taps) ls_ref_taps_begin(h->taps, h->pos, n);
    LS_TRY(ls_link_ask(&h->link, &call, err));
    if (done.n_rows != n || done.n_vocab != (uint32_t)e->info.n_vocab) {
        return ls_link_break(&h->link, err, "evaluated %u rows of %u logits instead of %zu of %d",
                             done.n_rows, done.n_vocab, n, e->info.n_vocab);
    }
    if (h->taps) ls_ref_taps_end(h->taps);
    elapsed = ls_now_ns() - begin;
    e->stats.eval_ns += done.wall_ns < elapsed ? done.wall_ns : elapsed;
    h->pos += (int32_t)n;
    return LS_OK;
}

/* Before anything is changed the graph is looked at once: the first evaluation is done twice. */
static ls_status host_eval(ls_engine *e, const int32_t *tokens, size_t n, ls_error *err)
{
    host *h = (host *)e;
    if (h->answers && !h->knows_graph) {
        ls_ref_taps_learn(h->taps, true);
        LS_TRY(evaluate(h, tokens, n, err));
        LS_TRY(host_rewind(e, (size_t)h->pos - n, err));
        ls_ref_taps_learn(h->taps, false);
        h->knows_graph = true;
    }
    return evaluate(h, tokens, n, err);
}

static ls_status host_logits(ls_engine *e, size_t i, const float **row, ls_error *err)
{
    host  *h = (host *)e;
    size_t n_vocab = (size_t)e->info.n_vocab;
    if (h->n_valid == 0 || i < h->first || i - h->first >= h->n_valid) {
        size_t       count = e->n_last - i < h->n_window ? e->n_last - i : h->n_window;
        ls_ref_rows  want = {(uint32_t)i, (uint32_t)count, count * n_vocab * sizeof(float)}, got;
        ls_link_call call = {.op = LS_REF_ROWS,
                             .doing = "sending logits",
                             .head = &want,
                             .head_len = sizeof(want),
                             .reply = &got,
                             .reply_len = sizeof(got)};
        h->n_valid = 0;
        LS_TRY(ls_link_ask(&h->link, &call, err));
        if (got.first != want.first || got.count != want.count || got.bytes != want.bytes) {
            return ls_link_break(&h->link, err,
                                 "sent %u rows (%llu bytes) of logits instead of %u (%llu bytes)",
                                 got.count, (unsigned long long)got.bytes, want.count,
                                 (unsigned long long)want.bytes);
        }
        h->first = i;
        h->n_valid = count;
    }
    *row = h->window + (i - h->first) * n_vocab;
    return LS_OK;
}

static void host_close(ls_engine *e)
{
    host *h = (host *)e;
    ls_link_close(&h->link);
    if (h->window) munmap(h->window, h->window_bytes);
    if (h->window_fd >= 0) close(h->window_fd);
    ls_ref_taps_destroy(h->taps);
    free(h);
}

static const ls_engine_ops host_ops = {
    .tokenize = host_tokenize,
    .eval = host_eval,
    .logits = host_logits,
    .rewind = host_rewind,
    .close = host_close,
};

/* Text that the child sent in a field of fixed size: it may lack its NUL. */
static void take_text(char *out, size_t cap, const char *field, size_t field_len)
{
    snprintf(out, cap, "%.*s", (int)strnlen(field, field_len), field);
    ls_proc_clean(out);
}

static ls_status say_hello(host *h, ls_error *err)
{
    ls_ref_sizes    sizes = ls_ref_sizes_here();
    ls_ref_identity id;
    ls_ref_kind     kind;
    ls_engine_info *info = &h->base.info;
    ls_link_call    call = {.op = LS_REF_HELLO,
                            .doing = "starting",
                            .head = &sizes,
                            .head_len = sizeof(sizes),
                            .reply = &id,
                            .reply_len = sizeof(id)};
    LS_TRY(ls_link_ask(&h->link, &call, err));
    if (memcmp(&id.sizes, &sizes, sizeof(sizes)) != 0) {
        return ls_link_break(&h->link, err, "was built for another layout of the protocol");
    }
    take_text(info->engine, sizeof(info->engine), id.engine, sizeof(id.engine));
    take_text(info->version, sizeof(info->version), id.version, sizeof(id.version));
    take_text(info->library, sizeof(info->library), id.library, sizeof(id.library));
    if (ls_ref_parse(info->engine, &kind)) {
        snprintf(h->link.name, sizeof(h->link.name), "%s", ls_ref_display_name(kind));
    }
    return LS_OK;
}

/* How llama.cpp's CPU libraries add, by their names: those built for AVX-512 take 16 floats at a
 * time, those for AVX2 8; some multiply BF16 two by two. A library of another name was built for
 * the machine it is on. */
static void describe_sums(ls_engine_info *info)
{
    static const struct {
        const char *isa;
        int32_t     lanes;
        bool        bf16_pairs;
    } known[] = {
        {"x64", 8, false},         {"sse42", 8, false},        {"sandybridge", 8, false},
        {"ivybridge", 8, false},   {"piledriver", 8, false},   {"haswell", 8, false},
        {"alderlake", 8, false},   {"avx2", 8, false},         {"skylakex", 16, false},
        {"cannonlake", 16, false}, {"cascadelake", 16, false}, {"icelake", 16, false},
        {"cooperlake", 16, true},  {"zen4", 16, true},         {"sapphirerapids", 16, true},
    };
    info->lanes = 16;
#if defined(__x86_64__)
    info->lanes = __builtin_cpu_supports("avx512f") ? 16 : 8;
    info->bf16_pairs = __builtin_cpu_supports("avx512bf16");
#endif
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (strcmp(info->isa, known[i].isa) != 0) continue;
        info->lanes = known[i].lanes;
        info->bf16_pairs = known[i].bf16_pairs;
    }
}

/* Ask for the nodes of the graph that are taps; before the model is opened. */
static ls_status watch(host *h, const ls_engine_options *opt, ls_error *err)
{
    char         names[LS_REF_MAX_NAMES];
    ls_ref_watch head = {.answers = opt->tap != NULL};
    ls_link_call call = {.op = LS_REF_WATCH,
                         .doing = "being asked for taps",
                         .head = &head,
                         .head_len = sizeof(head),
                         .body = names};
    if (!opt->watch.fn && !opt->tap) return LS_OK;
    h->answers = opt->tap != NULL;
    LS_TRY(ls_ref_taps_create(&h->taps, opt->watch, opt->tap, opt->tap_ctx, err));
    call.body_len = ls_ref_taps_names(names, sizeof(names));
    return ls_link_ask(&h->link, &call, err);
}

/* LS_REF_KV_* of an element type; LS_REF_N_KV: there is none. */
static int32_t kv_of(int dtype)
{
    static const int types[LS_REF_N_KV] = {[LS_REF_KV_F32] = LS_DTYPE_F32,
                                           [LS_REF_KV_F16] = LS_DTYPE_F16,
                                           [LS_REF_KV_BF16] = LS_DTYPE_BF16,
                                           [LS_REF_KV_Q8_0] = LS_DTYPE_Q8_0};
    int32_t          i = 0;
    while (i < LS_REF_N_KV && types[i] != dtype) i++;
    return i;
}

static ls_status open_model(host *h, const ls_engine_options *opt, ls_error *err)
{
    size_t          path_len = strlen(opt->model_path);
    ls_engine_info *info = &h->base.info;
    ls_ref_open     head = {.n_ctx = opt->n_ctx,
                            .n_batch = opt->n_batch,
                            .n_threads = opt->n_threads,
                            .kv_type = kv_of(opt->kv_type),
                            .path_len = (uint32_t)path_len};
    ls_ref_opened   got;
    ls_link_call    call = {.op = LS_REF_OPEN,
                            .doing = "opening the model",
                            .head = &head,
                            .head_len = sizeof(head),
                            .body = opt->model_path,
                            .body_len = path_len,
                            .reply = &got,
                            .reply_len = sizeof(got)};
    ls_status       status = ls_link_ask(&h->link, &call, err);
    if (status == LS_ERR_FORMAT) ls_fail_at(err, "%s", opt->model_path);
    if (status != LS_OK) return status;
    if (got.n_vocab < 1 || got.n_vocab > LS_REF_MAX_VOCAB || got.n_ctx < 1 || got.n_batch < 1 ||
        got.n_batch > head.n_batch || got.kv_type != head.kv_type) {
        return ls_link_break(
            &h->link, err,
            "opened the model with a vocabulary of %d, a context of %d, batches of "
            "%d and KV type %d, which cannot be",
            got.n_vocab, got.n_ctx, got.n_batch, got.kv_type);
    }
    take_text(info->isa, sizeof(info->isa), got.isa, sizeof(got.isa));
    describe_sums(info);
    snprintf(info->kv_type, sizeof(info->kv_type), "%s", ls_dtype_name(opt->kv_type));
    info->n_threads = got.n_threads;
    info->n_batch = got.n_batch;
    info->n_ctx = got.n_ctx;
    info->n_vocab = got.n_vocab;
    info->flash_attn = got.flash_attn;
    h->base.stats.load_ns = got.load_ns;
    return LS_OK;
}

/* Size, seal and map the window, and have the child map it. */
static ls_status share_window(host *h, ls_error *err)
{
    size_t        row_bytes = (size_t)h->base.info.n_vocab * sizeof(float);
    int           seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, failed;
    void         *p;
    ls_ref_window w;
    ls_link_call  call = {
         .op = LS_REF_WINDOW, .doing = "mapping shared memory", .head = &w, .head_len = sizeof(w)};
    h->n_window = WINDOW_BYTES / row_bytes > 0 ? WINDOW_BYTES / row_bytes : 1;
    if (h->n_window > (size_t)h->base.info.n_batch) h->n_window = (size_t)h->base.info.n_batch;
    w.bytes = h->n_window * row_bytes;
    /* allocated now: a full /dev/shm is an error here and not a fault while reading */
    failed = posix_fallocate(h->window_fd, 0, (off_t)w.bytes);
    if (failed) return ls_fail_errno(err, failed, "cannot make shared memory for logits");
    if (fcntl(h->window_fd, F_ADD_SEALS, seals) != 0) {
        return ls_fail_errno(err, errno, "cannot seal shared memory for logits");
    }
    p = mmap(NULL, (size_t)w.bytes, PROT_READ, MAP_SHARED, h->window_fd, 0);
    if (p == MAP_FAILED) return ls_fail_errno(err, errno, "cannot map shared memory for logits");
    h->window = p;
    h->window_bytes = (size_t)w.bytes;
    return ls_link_ask(&h->link, &call, err);
}

/* Defaults are chosen here, not by the reference: both engines are to run alike. */
static ls_status resolve(ls_engine_options *o, ls_error *err)
{
    if (!o->model_path || !o->model_path[0]) return ls_fail(err, LS_ERR_USAGE, "no model given");
    if (kv_of(o->kv_type) == LS_REF_N_KV) {
        return ls_fail(err, LS_ERR_UNSUPPORTED,
                       "the KV cache of a reference is f32, f16, bf16 or q8_0");
    }
    if (o->n_ctx < 0) o->n_ctx = 0; /* the training context */
    if (o->n_batch <= 0) o->n_batch = 512;
    if (o->n_threads <= 0) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        o->n_threads = n > 0 && n < 4096 ? (int32_t)n : 1;
    }
    return LS_OK;
}

ls_status ls_engine_open_reference(ls_engine **out, const char *exe, const ls_engine_options *opt,
                                   ls_error *err)
{
    ls_engine_options o = *opt;
    host             *h;
    ls_status         status;
    *out = NULL;
    LS_TRY(resolve(&o, err));
    LS_TRY(ls_alloc(&h, 1, sizeof(*h), "a reference engine", err));
    h->base.ops = &host_ops;
    h->link.fd = -1;
    h->window_fd = memfd_create("lockstep-logits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (h->window_fd < 0) {
        status = ls_fail_errno(err, errno, "cannot make shared memory for logits");
    } else {
        status = ls_link_open(&h->link, exe, o.for_speed ? LS_REF_FOR_SPEED : NULL, h->window_fd,
                              o.timeout_s, err);
        h->link.cancelled = o.cancelled;
    }
    if (status == LS_OK) status = say_hello(h, err);
    if (status == LS_OK) status = watch(h, &o, err);
    if (status == LS_OK) status = open_model(h, &o, err);
    if (status == LS_OK) status = share_window(h, err);
    if (status != LS_OK) {
        host_close(&h->base);
        return status;
    }
    h->base.pid = h->link.proc.pid;
    *out = &h->base;
    return LS_OK;
}

ls_status ls_host_try(const char *exe, double timeout_s, ls_engine_info *info, ls_error *err)
{
    host     *h;
    ls_status status;
    memset(info, 0, sizeof(*info));
    LS_TRY(ls_alloc(&h, 1, sizeof(*h), "a reference engine", err));
    h->link.fd = -1;
    h->window_fd = memfd_create("lockstep-logits", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (h->window_fd < 0) {
        status = ls_fail_errno(err, errno, "cannot make shared memory for logits");
    } else {
        status = ls_link_open(&h->link, exe, NULL, h->window_fd, timeout_s, err);
    }
    if (status == LS_OK) status = say_hello(h, err);
    *info = h->base.info;
    host_close(&h->base);
    return status;
}
