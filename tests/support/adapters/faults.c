// SPDX-License-Identifier: MIT
/* faults.c - adapters that misbehave on purpose (faults.h). */
#include "faults.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "ref_protocol.h"

ssize_t __real_send(int fd, const void *buf, size_t n, int flags);
ssize_t __wrap_send(int fd, const void *buf, size_t n, int flags);

static const char *fault(void)
{
    const char *f = getenv("LS_FAKE_FAULT");
    return f ? f : "";
}

bool fault_is(const char *name)
{
    size_t n = strlen(name);
    return strncmp(fault(), name, n) == 0 && (fault()[n] == '\0' || fault()[n] == '@');
}

static void hang(void)
{
    for (;;) pause();
}

/* Before main: what goes wrong at the start, and the process id for tests that look for it. */
__attribute__((constructor)) static void fault_start(void)
{
    const char *path = getenv("LS_FAKE_PIDFILE");
    FILE       *f = path ? fopen(path, "w") : NULL;
    pid_t       child = fault_is("grandchild") ? fork() : -1;
    if (child == 0) hang();
    if (f) {
        fprintf(f, "%ld\n", child > 0 ? (long)child : (long)getpid());
        fclose(f);
    }
    if (fault_is("start-exit")) {
        fprintf(stderr, "cannot find libgomp.so.1\nbecause \033[31mof\a a test\n");
        exit(3);
    }
    if (fault_is("start-silent")) exit(0);
    if (fault_is("start-hang")) hang();
}

void fault_eval(void)
{
    if (fault_is("eval-crash")) raise(SIGSEGV);
    if (fault_is("eval-abort")) {
        fprintf(stderr, "ggml.c:1234: GGML_ASSERT(n > 0) failed\n");
        abort();
    }
    if (fault_is("eval-exit")) _exit(0);
    if (fault_is("eval-hang")) hang();
    if (fault_is("eval-noise")) { /* hangs, and never stops talking */
        for (;;) fputs("the same line over and over\n", stderr);
    }
    if (fault_is("eval-chatty")) { /* more than a pipe holds, then goes on: no fault of its own */
        for (int i = 0; i < 20000; i++) fputs("a line of log that nobody will ever read\n", stderr);
    }
}

void fault_tap(const ls_ref_tap *tap, const float *data, size_t n_floats)
{
    size_t     bytes = n_floats * sizeof(*data);
    ls_ref_msg m = {LS_REF_MAGIC, LS_REF_VERSION, LS_REF_TAP, 5, LS_REF_DONE, sizeof(*tap) + bytes};
    if (fault_is("tap-hang")) hang();
    if (fault_is("tap-exit")) _exit(0);
    while (fault_is("tap-flood")) { /* the fifth request: hello, watch, open, window, eval */
        if (__real_send(LS_REF_SOCKET_FD, &m, sizeof(m), MSG_NOSIGNAL) < 0 ||
            __real_send(LS_REF_SOCKET_FD, tap, sizeof(*tap), MSG_NOSIGNAL) < 0 ||
            __real_send(LS_REF_SOCKET_FD, data, bytes, MSG_NOSIGNAL) < 0)
            _exit(1);
    }
}

void fault_row(float *row, int32_t n, int32_t pos)
{
    const char *at = strchr(fault(), '@');
    if (at && atoi(at + 1) != pos) return;
    if (fault_is("nan")) row[n / 2] = NAN;
    if (fault_is("inf")) row[n / 2] = INFINITY;
    for (int32_t j = 0; fault_is("scale") && j < n; j++) row[j] *= 1.5f;
    for (int32_t j = 0; fault_is("add") && j < n; j++) row[j] += (float)(j % 7);
    if (fault_is("rotate")) {
        float first = row[0];
        memmove(row, row + 1, (size_t)(n - 1) * sizeof(*row));
        row[n - 1] = first;
    }
}

/* Faults of the header of a response: which operation, which fault, what becomes of it. */
static void spoil_header(ls_ref_msg *m)
{
    if (fault_is("version")) m->version = 9;
    if (fault_is("magic") && m->op == LS_REF_EVAL) memcpy(&m->magic, "HTTP", 4);
    if (fault_is("sequence") && m->op == LS_REF_EVAL) m->seq += 1;
    if (fault_is("operation") && m->op == LS_REF_EVAL) m->op = LS_REF_RESET;
    if (fault_is("length-huge") && m->op == LS_REF_EVAL) m->len = UINT64_MAX;
    if (fault_is("length-short") && m->op == LS_REF_EVAL) m->len -= 4;
    if (fault_is("ids-huge") && m->op == LS_REF_TOKENIZE) m->len = (uint64_t)1 << 40;
    if (fault_is("ids-odd") && m->op == LS_REF_TOKENIZE) m->len -= 1;
    if (fault_is("error-huge") && m->op == LS_REF_EVAL) {
        m->status = LS_REF_FAILED;
        m->len = 1000000;
    }
    if (fault_is("tap-long") && m->op == LS_REF_TAP) m->len += 4;
    if (fault_is("tap-short") && m->op == LS_REF_TAP) m->len = 4;
    if (fault_is("tap-endless") && m->op == LS_REF_TAP) m->len = UINT64_MAX;
    if (fault_is("tap-sequence") && m->op == LS_REF_TAP) m->seq += 1;
    if (fault_is("rows-hang") && m->op == LS_REF_ROWS) hang();
    if (fault_is("close-hang") && m->op == LS_REF_CLOSE) hang();
}

/* Faults of a response's content. */
static void spoil_payload(uint16_t op, void *data)
{
    ls_ref_opened    *opened = data;
    ls_ref_evaluated *done = data;
    ls_ref_rows      *rows = data;
    ls_ref_identity  *id = data;
    ls_ref_tap       *tap = data;
    if (op == LS_REF_HELLO && fault_is("sizes")) id->sizes.rows += 8;
    if (op == LS_REF_HELLO && fault_is("unterminated"))
        memset(id->version, 'x', sizeof(id->version));
    if (op == LS_REF_OPEN && fault_is("vocab-zero")) opened->n_vocab = 0;
    if (op == LS_REF_OPEN && fault_is("vocab-huge")) opened->n_vocab = INT32_MAX;
    if (op == LS_REF_OPEN && fault_is("batch-huge")) opened->n_batch = INT32_MAX;
    if (op == LS_REF_OPEN && fault_is("kv-other")) opened->kv_type = 7;
    if (op == LS_REF_EVAL && fault_is("vocab-change")) done->n_vocab += 1;
    if (op == LS_REF_EVAL && fault_is("rows-missing")) done->n_rows -= 1;
    if (op == LS_REF_EVAL && fault_is("time-absurd")) done->wall_ns = UINT64_MAX;
    if (op == LS_REF_ROWS && fault_is("rows-short")) rows->count -= 1;
    if (op == LS_REF_ROWS && fault_is("rows-bytes")) rows->bytes = UINT64_MAX;
    if (op == LS_REF_TAP && fault_is("tap-layer")) tap->layer = -7;
    if (op == LS_REF_TAP && fault_is("tap-negative")) tap->ne[0] = tap->ne[1] = -4;
    if (op == LS_REF_TAP && fault_is("tap-overflow")) tap->ne[2] = tap->ne[3] = (int64_t)1 << 32;
    if (op == LS_REF_TAP && fault_is("tap-name")) memset(tap->name, 'x', sizeof(tap->name));
    if (op == LS_REF_TOKENIZE && fault_is("ids-range")) memset(data, 0x7f, 4);
    if (op == LS_REF_TOKENIZE && fault_is("ids-negative")) memset(data, 0xff, 4);
}

/* Every message is one send of the header and one of the payload (ref_main.c, reply); of taps, one
 * more of the values, which are no 24 bytes. */
ssize_t __wrap_send(int fd, const void *buf, size_t n, int flags)
{
    static uint16_t op; /* of the header that went out last; 0: a payload is not next */
    ls_ref_msg      m;
    char            copy[sizeof(ls_ref_identity)];
    ssize_t         sent;
    if (op == 0 && n == sizeof(m)) {
        memcpy(&m, buf, n);
        op = m.len ? m.op : 0;
        spoil_header(&m);
        if (fault_is("header-cut") && m.op == LS_REF_EVAL) {
            __real_send(fd, &m, 10, flags);
            _exit(0);
        }
        return __real_send(fd, &m, sizeof(m), flags);
    }
    if (n > sizeof(copy)) { /* ids of a long text */
        sent = __real_send(fd, buf, n, flags);
        if (sent == (ssize_t)n) op = 0;
        return sent;
    }
    memcpy(copy, buf, n);
    spoil_payload(op, copy);
    op = 0;
    return __real_send(fd, copy, n, flags);
}
