// SPDX-License-Identifier: MIT
/* bench_probe.c - load time and peak memory of an engine.
 *
 * A reference is a process of its own anyway. The native engine runs in a fork of this one, so that
 * what was measured before does not count as its memory; the fork starts with the few MiB of the
 * program.
 */
#include "cli/bench_probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/bench.h"

static ls_status measure(bench_probe *out, const ls_engine_options *opt, const char *exe,
                         int32_t n_prompt, ls_error *err)
{
    const ls_bench_test one = {.n_gen = 1}, rest = {.n_prompt = n_prompt, .n_gen = 1};
    ls_engine          *e;
    uint64_t            ns = 0;
    ls_status           status;
    LS_TRY(bench_open_engine(opt, exe, &e, err));
    status = ls_bench_sample(e, &one, &ns, err);
    out->first_ns = ls_engine_get_stats(e).load_ns + ns;
    if (status == LS_OK) status = ls_engine_pack(e, err); /* the peak is that of packed weights */
    if (status == LS_OK) status = ls_bench_sample(e, &rest, &ns, err);
    out->peak_bytes = ls_engine_peak_bytes(e);
    ls_engine_close(e);
    return status;
}

/* What the fork sends. */
typedef struct report {
    ls_status   status;
    ls_error    err;
    bench_probe probe;
} report;

static _Noreturn void in_fork(int fd, const ls_engine_options *opt, int32_t n_prompt)
{
    report r;
    memset(&r, 0, sizeof(r));
    r.status = measure(&r.probe, opt, NULL, n_prompt, &r.err);
    _exit(write(fd, &r, sizeof(r)) == (ssize_t)sizeof(r) ? 0 : 1);
}

/* All of a report; false where the fork ended before it was sent. */
static bool receive(int fd, report *r)
{
    char  *p = (char *)r;
    size_t n = 0;
    while (n < sizeof(*r)) {
        ssize_t k = read(fd, p + n, sizeof(*r) - n);
        if (k == 0 || (k < 0 && errno != EINTR)) return false;
        if (k > 0) n += (size_t)k;
    }
    return true;
}

ls_status bench_probe_run(bench_probe *out, const ls_engine_options *opt, const char *exe,
                          int32_t n_prompt, ls_error *err)
{
    int    fds[2], how = 0;
    pid_t  pid;
    report r;
    bool   complete;
    *out = (bench_probe){0};
    if (exe) return measure(out, opt, exe, n_prompt, err);
    if (pipe(fds) != 0) return ls_fail_errno(err, errno, "cannot make a pipe");
    fflush(NULL);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        in_fork(fds[1], opt, n_prompt);
    }
    close(fds[1]);
    complete = pid > 0 && receive(fds[0], &r);
    close(fds[0]);
    if (pid < 0) return ls_fail_errno(err, errno, "cannot start a process");
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR) {
    }
    if (!complete) return ls_fail(err, LS_ERR_INTERNAL, "the native engine's process ended early");
    *out = r.probe;
    if (r.status != LS_OK && err) *err = r.err;
    return r.status;
}
