// SPDX-License-Identifier: MIT
/* ref_main.c - the program around an adapter: the child's side of ref_protocol.h.
 *
 * Compiled together with one adapter (ref_llama.c) into lockstep-ref-NAME, plain C without
 * liblockstep. Reads requests from file descriptor 3, answers them one at a time, and exits when
 * the socket closes: a reference without its host has nothing left to do. What the engine logs
 * goes to standard error, where the host keeps the last words.
 */
#include "ref_engine.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

char ref_why[LS_REF_MAX_ERROR + 1];
int  ref_for_speed;

static struct {
    ref_manifest  manifest;
    ls_ref_opened model;  /* n_vocab 0: no model yet              */
    size_t        n_rows; /* tokens of the last evaluation        */
    float        *window;
    size_t        window_bytes;
    char         *payload; /* of the request being answered       */
    size_t        payload_cap;
    uint32_t      seq;     /* its number                          */
    char         *watched; /* names of nodes; NULL: none          */
    int           answers; /* the host answers each tap           */
} host;

uint32_t ref_fail(uint32_t status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(ref_why, sizeof(ref_why), fmt, ap);
    va_end(ap);
    return status;
}

uint64_t ref_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* 1: all n bytes, 0: the other side is gone. */
static int read_all(void *buf, size_t n)
{
    char *p = buf;
    while (n > 0) {
        ssize_t k = recv(LS_REF_SOCKET_FD, p, n, 0);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return 0;
        p += k;
        n -= (size_t)k;
    }
    return 1;
}

static int write_all(const void *buf, size_t n)
{
    const char *p = buf;
    while (n > 0) {
        ssize_t k = send(LS_REF_SOCKET_FD, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return 0;
        p += k;
        n -= (size_t)k;
    }
    return 1;
}

/* Answer a request; with a status other than DONE the payload is the text in ref_why. */
static int reply(const ls_ref_msg *req, uint32_t status, const void *payload, size_t len)
{
    ls_ref_msg m = {LS_REF_MAGIC, LS_REF_VERSION, req->op, req->seq, status, len};
    if (status != LS_REF_DONE) {
        payload = ref_why;
        m.len = len = strlen(ref_why);
    }
    return write_all(&m, sizeof(m)) && (len == 0 || write_all(payload, len));
}

/* Copy `value` to `out`, made absolute from the manifest's folder; 0 if it is too long. */
static int take_path(char *out, size_t cap, const char *folder, const char *value)
{
    int n = value[0] == '/' ? snprintf(out, cap, "%s", value)
                            : snprintf(out, cap, "%s/%s", folder, value);
    return n > 0 && (size_t)n < cap;
}

static int take_line(ref_manifest *m, const char *folder, const char *key, const char *value)
{
    if (!strcmp(key, "engine")) snprintf(m->engine, sizeof(m->engine), "%s", value);
    if (!strcmp(key, "version")) snprintf(m->version, sizeof(m->version), "%s", value);
    if (!strcmp(key, "lib_dir")) return take_path(m->lib_dir, sizeof(m->lib_dir), folder, value);
    if (!strcmp(key, "library")) {
        if (m->n_libraries == REF_MAX_LIBRARIES) return 0;
        return take_path(m->libraries[m->n_libraries++], sizeof(m->libraries[0]), folder, value);
    }
    return 1;
}

/* engine.manifest beside the program: "key value" lines. Tests' adapters may have none. */
static uint32_t read_manifest(ref_manifest *m)
{
    char    folder[400], path[440], line[640], *space;
    ssize_t n = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
    FILE   *f;
    int     ok = 1;
    if (n <= 0) return ref_fail(LS_REF_FAILED, "the adapter cannot find its own folder");
    folder[n] = '\0';
    if (strrchr(folder, '/')) *strrchr(folder, '/') = '\0';
    snprintf(path, sizeof(path), "%s/engine.manifest", folder);
    f = fopen(path, "re");
    if (!f) return LS_REF_DONE;
    while (ok && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        space = strchr(line, ' ');
        if (!space) continue;
        *space = '\0';
        ok = take_line(m, folder, line, space + 1);
    }
    fclose(f);
    return ok ? LS_REF_DONE : ref_fail(LS_REF_FAILED, "'%s' has paths that are too long", path);
}

static int do_hello(const ls_ref_msg *req)
{
    ls_ref_identity id;
    ls_ref_sizes    here = ls_ref_sizes_here();
    uint32_t        st;
    if (req->len != sizeof(here) || memcmp(host.payload, &here, sizeof(here)) != 0) {
        st = ref_fail(LS_REF_MISUSED, "the adapter was built for another layout of the protocol");
        return reply(req, st, NULL, 0);
    }
    memset(&id, 0, sizeof(id));
    id.sizes = here;
    st = read_manifest(&host.manifest);
    memcpy(id.engine, host.manifest.engine, sizeof(id.engine));
    memcpy(id.version, host.manifest.version, sizeof(id.version));
    if (st == LS_REF_DONE) st = ref_load(&host.manifest, &id);
    return reply(req, st, &id, sizeof(id));
}

static int do_watch(const ls_ref_msg *req)
{
    ls_ref_watch w;
    if (host.model.n_vocab > 0 || host.watched || req->len < sizeof(w) + 2 ||
        req->len > sizeof(w) + LS_REF_MAX_NAMES) {
        return reply(req, ref_fail(LS_REF_MISUSED, "bad request to watch"), NULL, 0);
    }
    memcpy(&w, host.payload, sizeof(w));
    host.watched = strdup(host.payload + sizeof(w));
    host.answers = w.answers != 0;
    if (!host.watched) return reply(req, ref_fail(LS_REF_FAILED, "out of memory"), NULL, 0);
    return reply(req, ref_watch(host.watched, host.answers), NULL, 0);
}

/* What the host makes of a tap of so many bytes. */
static int read_answer(float *data, size_t bytes)
{
    ls_ref_msg m;
    if (!read_all(&m, sizeof(m))) return REF_TAP_GONE;
    if (m.magic != LS_REF_MAGIC || m.version != LS_REF_VERSION || m.op != LS_REF_TAP ||
        m.seq != host.seq || (m.len != 0 && m.len != bytes)) {
        fprintf(stderr, "the host answers a tap of %zu bytes with %llu\n", bytes,
                (unsigned long long)m.len);
        return REF_TAP_GONE;
    }
    if (m.len == 0) return REF_TAP_KEPT;
    return read_all(data, bytes) ? REF_TAP_REPLACED : REF_TAP_GONE;
}

int ref_tap(const ls_ref_tap *tap, float *data)
{
    size_t     bytes = (size_t)(tap->ne[0] * tap->ne[1] * tap->ne[2] * tap->ne[3]) * sizeof(*data);
    ls_ref_msg m = {LS_REF_MAGIC, LS_REF_VERSION, LS_REF_TAP,
                    host.seq,     LS_REF_DONE,    sizeof(*tap) + bytes};
    if (!write_all(&m, sizeof(m)) || !write_all(tap, sizeof(*tap)) || !write_all(data, bytes))
        return REF_TAP_GONE;
    return host.answers ? read_answer(data, bytes) : REF_TAP_KEPT;
}

static int do_open(const ls_ref_msg *req)
{
    ls_ref_open opt;
    uint64_t    begin = ref_now_ns();
    uint32_t    st;
    if (req->len < sizeof(opt)) {
        return reply(req, ref_fail(LS_REF_MISUSED, "short request to open a model"), NULL, 0);
    }
    memcpy(&opt, host.payload, sizeof(opt));
    if (opt.path_len != req->len - sizeof(opt) || opt.path_len == 0 || opt.n_ctx < 0 ||
        opt.n_batch < 1 || opt.n_threads < 1 || host.model.n_vocab > 0) {
        return reply(req, ref_fail(LS_REF_MISUSED, "bad request to open a model"), NULL, 0);
    }
    /* payload is NUL-terminated by the reader */
    st = ref_open(host.payload + sizeof(opt), &opt, &host.model);
    host.model.load_ns = ref_now_ns() - begin;
    if (st == LS_REF_DONE && (host.model.n_vocab < 1 || host.model.n_vocab > LS_REF_MAX_VOCAB)) {
        st = ref_fail(LS_REF_FAILED, "the model has a vocabulary of %d", host.model.n_vocab);
    }
    if (st != LS_REF_DONE) host.model.n_vocab = 0;
    return reply(req, st, &host.model, sizeof(host.model));
}

static int do_window(const ls_ref_msg *req)
{
    ls_ref_window w;
    struct stat   sb;
    void         *p;
    if (req->len != sizeof(w) || host.model.n_vocab == 0 || host.window) {
        return reply(req, ref_fail(LS_REF_MISUSED, "bad request for a window"), NULL, 0);
    }
    memcpy(&w, host.payload, sizeof(w));
    if (fstat(LS_REF_WINDOW_FD, &sb) != 0 || w.bytes < (uint64_t)host.model.n_vocab * 4 ||
        (uint64_t)sb.st_size < w.bytes) {
        return reply(req, ref_fail(LS_REF_MISUSED, "the window is too small"), NULL, 0);
    }
    p = mmap(NULL, (size_t)w.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, LS_REF_WINDOW_FD, 0);
    if (p == MAP_FAILED) {
        uint32_t st = ref_fail(LS_REF_FAILED, "cannot map the window: %s", strerror(errno));
        return reply(req, st, NULL, 0);
    }
    host.window = p;
    host.window_bytes = (size_t)w.bytes;
    return reply(req, LS_REF_DONE, NULL, 0);
}

static int do_tokenize(const ls_ref_msg *req)
{
    ls_ref_tokenize opt;
    int32_t        *ids = NULL;
    size_t          n = 0;
    uint32_t        st;
    int             ok;
    if (req->len < sizeof(opt) || host.model.n_vocab == 0) {
        return reply(req, ref_fail(LS_REF_MISUSED, "bad request to tokenize"), NULL, 0);
    }
    memcpy(&opt, host.payload, sizeof(opt));
    st = ref_tokenize(host.payload + sizeof(opt), (size_t)req->len - sizeof(opt), &opt, &ids, &n);
    if (st == LS_REF_DONE && n > LS_REF_MAX_PAYLOAD / sizeof(*ids)) {
        st = ref_fail(LS_REF_FULL, "%zu tokens are too many for one message", n);
    }
    ok = reply(req, st, ids, n * sizeof(*ids));
    free(ids);
    return ok;
}

static int do_eval(const ls_ref_msg *req)
{
    size_t           n = (size_t)(req->len / sizeof(int32_t));
    ls_ref_evaluated done;
    uint32_t         st = LS_REF_DONE;
    int32_t         *ids = (int32_t *)(void *)host.payload; /* from realloc: aligned */
    memset(&done, 0, sizeof(done));
    host.n_rows = 0;
    if (req->len % sizeof(int32_t) != 0 || !host.window || n < 1 ||
        n > (size_t)host.model.n_batch) {
        st = ref_fail(LS_REF_MISUSED, "bad request to evaluate %zu tokens", n);
    }
    for (size_t i = 0; st == LS_REF_DONE && i < n; i++) {
        if (ids[i] < 0 || ids[i] >= host.model.n_vocab) {
            st = ref_fail(LS_REF_MISUSED, "token %d is not in the vocabulary of %d", ids[i],
                          host.model.n_vocab);
        }
    }
    if (st == LS_REF_DONE) st = ref_eval(ids, n, &done);
    if (st == LS_REF_DONE) {
        host.n_rows = n;
        done.n_rows = (uint32_t)n;
        done.n_vocab = (uint32_t)host.model.n_vocab;
    }
    return reply(req, st, &done, sizeof(done));
}

static int do_rows(const ls_ref_msg *req)
{
    size_t      row_bytes = (size_t)host.model.n_vocab * sizeof(float);
    ls_ref_rows r;
    if (req->len != sizeof(r) || !host.window) {
        return reply(req, ref_fail(LS_REF_MISUSED, "bad request for logits"), NULL, 0);
    }
    memcpy(&r, host.payload, sizeof(r));
    if (r.count < 1 || r.first >= host.n_rows || r.count > host.n_rows - r.first ||
        r.count > host.window_bytes / row_bytes || r.bytes != r.count * (uint64_t)row_bytes) {
        return reply(req, ref_fail(LS_REF_MISUSED, "bad range of logits"), NULL, 0);
    }
    for (size_t i = 0; i < r.count; i++) {
        const float *row = ref_row(r.first + i);
        if (!row) {
            uint32_t st = ref_fail(LS_REF_FAILED, "no logits for token %zu", r.first + i);
            return reply(req, st, NULL, 0);
        }
        memcpy((char *)host.window + i * row_bytes, row, row_bytes);
    }
    return reply(req, LS_REF_DONE, &r, sizeof(r));
}

static int do_reset(const ls_ref_msg *req)
{
    uint32_t n_keep;
    host.n_rows = 0;
    if (req->len != sizeof(n_keep)) {
        return reply(req, ref_fail(LS_REF_MISUSED, "bad request to start over"), NULL, 0);
    }
    memcpy(&n_keep, host.payload, sizeof(n_keep));
    return reply(req, host.model.n_vocab ? ref_reset(n_keep) : LS_REF_DONE, NULL, 0);
}

/* Read one request's payload, NUL-terminated; 0 when the host is gone or does not make sense. */
static int read_payload(uint64_t len)
{
    if (len > LS_REF_MAX_PAYLOAD + sizeof(ls_ref_open)) return 0;
    if (host.payload_cap < len + 1) {
        char *p = realloc(host.payload, (size_t)len + 1);
        if (!p) return 0;
        host.payload = p;
        host.payload_cap = (size_t)len + 1;
    }
    host.payload[len] = '\0';
    return read_all(host.payload, (size_t)len);
}

int main(int argc, char **argv)
{
    static int (*const answers[])(const ls_ref_msg *) = {
        [LS_REF_HELLO] = do_hello, [LS_REF_OPEN] = do_open,         [LS_REF_WINDOW] = do_window,
        [LS_REF_EVAL] = do_eval,   [LS_REF_TOKENIZE] = do_tokenize, [LS_REF_ROWS] = do_rows,
        [LS_REF_RESET] = do_reset, [LS_REF_WATCH] = do_watch,
    };
    ls_ref_msg  req;
    struct stat sb;
    signal(SIGPIPE, SIG_IGN);
    ref_for_speed = argc > 1 && strcmp(argv[1], LS_REF_FOR_SPEED) == 0;
    if (fstat(LS_REF_SOCKET_FD, &sb) != 0 || !S_ISSOCK(sb.st_mode)) {
        fprintf(stderr, "this program is started by lockstep\n");
        return 64;
    }
    while (read_all(&req, sizeof(req))) {
        if (req.magic != LS_REF_MAGIC || req.version != LS_REF_VERSION || req.op < LS_REF_HELLO ||
            req.op > LS_REF_WATCH) {
            fprintf(stderr, "the host speaks another protocol: version %u, not %u\n",
                    (unsigned)req.version, LS_REF_VERSION);
            return 76;
        }
        if (!read_payload(req.len)) break;
        if (req.op == LS_REF_CLOSE) {
            reply(&req, LS_REF_DONE, NULL, 0);
            break;
        }
        ref_why[0] = '\0';
        host.seq = req.seq;
        if (!answers[req.op](&req)) break;
    }
    ref_close();
    free(host.watched);
    return 0;
}
