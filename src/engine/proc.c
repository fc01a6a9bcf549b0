// SPDX-License-Identifier: MIT
/* proc.c - starting, watching and ending child processes (proc.h). */
#include "engine/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define FIRST_PASSED 3  /* the descriptor that pass[0] becomes */
#define PARKED_FROM  64 /* where descriptors wait while 0 to 3 + n_pass are being filled */

/* The child between fork and exec. The parent may have threads, so only calls that POSIX lists
 * as async-signal-safe; execvp is not on the list, but neither allocates nor locks in glibc. */
_Noreturn static void become(const ls_proc_options *opt, pid_t parent, int out_fd)
{
    static const char prefix[] = "cannot start the program: ";
    const char       *why;
    char *const      *argv;
    sigset_t          none;
    int               null_fd, parked[4];
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127); /* it ended before prctl: nobody would end us */
    null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    out_fd = fcntl(out_fd, F_DUPFD_CLOEXEC, PARKED_FROM);
    null_fd = fcntl(null_fd, F_DUPFD_CLOEXEC, PARKED_FROM);
    for (size_t i = 0; i < opt->n_pass; i++) {
        parked[i] = fcntl(opt->pass[i], F_DUPFD_CLOEXEC, PARKED_FROM);
    }
    dup2(null_fd, 0);
    dup2(out_fd, 1);
    dup2(out_fd, 2);
    for (size_t i = 0; i < opt->n_pass; i++) dup2(parked[i], FIRST_PASSED + (int)i);
    close_range((unsigned)(FIRST_PASSED + opt->n_pass), ~0u, 0);
    memcpy(&argv, &opt->argv, sizeof(argv)); /* execvp's type lacks a const that it honours */
    if (!opt->dir || chdir(opt->dir) == 0) execvp(argv[0], argv);
    why = strerrordesc_np(errno);
    if (write(2, prefix, sizeof(prefix) - 1) < 0 || (why && write(2, why, strlen(why)) < 0)) {
        _exit(126);
    }
    _exit(127);
}

ls_status ls_proc_start(ls_proc *p, const ls_proc_options *opt, ls_error *err)
{
    pid_t parent = getpid();
    int   pipe_fds[2];
    memset(p, 0, sizeof(*p));
    p->out_fd = -1;
    if (opt->n_pass > 4) return ls_fail(err, LS_ERR_INTERNAL, "too many descriptors to pass");
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        return ls_fail_errno(err, errno, "cannot make a pipe for '%s'", opt->argv[0]);
    }
    p->pid = fork();
    if (p->pid == 0) become(opt, parent, pipe_fds[1]);
    if (p->pid < 0) {
        int e = errno;
        close(pipe_fds[0]);
        close(pipe_fds[1]);
        p->pid = 0;
        return ls_fail_errno(err, e, "cannot start a process for '%s'", opt->argv[0]);
    }
    close(pipe_fds[1]);
    setpgid(p->pid, p->pid); /* also done by the child: whoever comes first */
    p->out_fd = pipe_fds[0];
    fcntl(p->out_fd, F_SETFL, O_NONBLOCK);
    return LS_OK;
}

/* Append to the kept output; the older half goes when it is full. */
static void keep_output(ls_proc *p, const char *text, size_t n)
{
    if (n > sizeof(p->output)) {
        text += n - sizeof(p->output);
        n = sizeof(p->output);
    }
    if (p->n_output + n > sizeof(p->output)) {
        size_t drop = p->n_output + n - sizeof(p->output);
        if (drop < sizeof(p->output) / 2) drop = sizeof(p->output) / 2;
        if (drop > p->n_output) drop = p->n_output;
        memmove(p->output, p->output + drop, p->n_output - drop);
        p->n_output -= drop;
    }
    memcpy(p->output + p->n_output, text, n);
    p->n_output += n;
}

void ls_proc_drain(ls_proc *p)
{
    char buf[4096];
    /* bounded, so that a child that never stops talking cannot hold us past a deadline */
    for (int i = 0; i < 64 && p->out_fd >= 0; i++) {
        ssize_t n = read(p->out_fd, buf, sizeof(buf));
        if (n > 0) {
            keep_output(p, buf, (size_t)n);
        } else if (n < 0 && errno == EINTR) {
            continue;
        } else {
            if (n == 0 || errno != EAGAIN) {
                close(p->out_fd);
                p->out_fd = -1;
            }
            return;
        }
    }
}

/* Reap without waiting; processes that the child has left behind in its group are ended first,
 * while its zombie still keeps the group's number from being given to somebody else.
 * ECHILD (the program ignores SIGCHLD) counts as ended, status unknown. */
static bool reap(ls_proc *p)
{
    siginfo_t info = {0};
    pid_t     got;
    if (p->pid == 0) return true;
    if (waitid(P_PID, (id_t)p->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
        if (info.si_pid == 0) return false;
        kill(-p->pid, SIGKILL);
    }
    do got = waitpid(p->pid, &p->status, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) p->status = 0;
    p->pid = 0;
    return true;
}

bool ls_proc_wait(ls_proc *p, double seconds)
{
    uint64_t              end = ls_now_ns() + (uint64_t)(seconds * 1e9);
    const struct timespec nap = {0, 1000000};
    while (!reap(p)) {
        if (ls_now_ns() >= end) return false;
        ls_proc_drain(p); /* a full pipe must not keep it from ending */
        nanosleep(&nap, NULL);
    }
    ls_proc_drain(p);
    return true;
}

void ls_proc_stop(ls_proc *p)
{
    if (p->pid > 0) {
        pid_t got;
        kill(-p->pid, SIGKILL);
        kill(p->pid, SIGKILL);
        do got = waitpid(p->pid, &p->status, 0);
        while (got < 0 && errno == EINTR);
        p->pid = 0;
        ls_proc_drain(p);
    }
    if (p->out_fd > 0) close(p->out_fd);
    p->out_fd = -1;
}

void ls_proc_how(const ls_proc *p, char *out, size_t cap)
{
    if (WIFSIGNALED(p->status)) {
        int         sig = WTERMSIG(p->status);
        const char *name = sigdescr_np(sig);
        snprintf(out, cap, "was killed by signal %d (%s)", sig, name ? name : "unknown");
    } else {
        snprintf(out, cap, "exited with status %d", WEXITSTATUS(p->status));
    }
}

/* Bytes of the well-formed UTF-8 character at s (table 3-7 of the Unicode standard), 0 if
 * there is none. */
static size_t utf8_len(const unsigned char *s)
{
    size_t n = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : *s < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
    }
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) {
        return 0;
    }
    return n;
}

void ls_proc_clean(char *text)
{
    char                *to = text;
    const unsigned char *s = (const unsigned char *)text;
    while (*s) {
        size_t n = utf8_len(s);
        if (*s <= ' ' || *s == 0x7f) {
            if (to > text && to[-1] != ' ') *to++ = ' ';
            s++;
        } else if (n == 0) {
            *to++ = '?';
            s++;
        } else {
            memmove(to, s, n);
            to += n;
            s += n;
        }
    }
    if (to > text && to[-1] == ' ') to--;
    *to = '\0';
}

void ls_proc_last_words(const ls_proc *p, char *out, size_t cap)
{
    size_t begin = p->n_output > cap - 1 ? p->n_output - (cap - 1) : 0, n = p->n_output - begin;
    for (size_t i = 0; i < n; i++) out[i] = p->output[begin + i] ? p->output[begin + i] : ' ';
    out[n] = '\0';
    if (begin > 0) { /* begin with a whole line, or at least with a whole character */
        const char *line = strchr(out, '\n');
        const char *from = line && line[1] ? line + 1 : out;
        while (((unsigned char)*from & 0xc0) == 0x80) from++;
        memmove(out, from, strlen(from) + 1);
    }
    ls_proc_clean(out);
}

ls_status ls_proc_run(const ls_proc_options *opt, double seconds, int *exit_code, char *output,
                      size_t cap, ls_error *err)
{
    uint64_t end = ls_now_ns() + (uint64_t)(seconds * 1e9);
    ls_proc  p;
    bool     ended;
    LS_TRY(ls_proc_start(&p, opt, err));
    while (!(ended = reap(&p)) && ls_now_ns() < end) {
        struct pollfd fd = {p.out_fd, POLLIN, 0};
        poll(&fd, p.out_fd >= 0 ? 1 : 0, 20);
        ls_proc_drain(&p);
    }
    ls_proc_drain(&p);
    ls_proc_stop(&p);
    if (output) ls_proc_last_words(&p, output, cap);
    if (!ended) {
        return ls_fail(err, LS_ERR_REFERENCE, "'%s' did not end within %.0f s and was stopped",
                       opt->argv[0], seconds);
    }
    *exit_code = WIFSIGNALED(p.status) ? 128 + WTERMSIG(p.status) : WEXITSTATUS(p.status);
    return LS_OK;
}
