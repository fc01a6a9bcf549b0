// SPDX-License-Identifier: MIT
/* child.c - see child.h. */
#include "support/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void become(const char *const argv[], const char *out, int err_fd)
{
    int   in = open("/dev/null", O_RDONLY);
    int   to = open(out ? out : "/dev/null", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char *copy[64] = {0};
    for (size_t i = 0; argv[i] && i < 63; i++) copy[i] = strdup(argv[i]);
    if (in < 0 || to < 0 || dup2(in, 0) < 0 || dup2(to, 1) < 0 || dup2(err_fd, 2) < 0) _exit(125);
    execv(argv[0], copy);
    _exit(126);
}

bool child_run(child_result *r, const char *const argv[], const char *out, double timeout_s)
{
    char          name[] = "/tmp/lockstep-child-XXXXXX";
    int           fd = mkstemp(name), ws = 0;
    double        start = now();
    struct rusage use;
    pid_t         pid;
    ssize_t       n;

    memset(r, 0, sizeof(*r));
    if (fd < 0) return false;
    unlink(name);
    pid = fork();
    if (pid < 0) return false;
    if (pid == 0) become(argv, out, fd);
    while (wait4(pid, &ws, WNOHANG, &use) == 0) {
        if (now() - start > timeout_s) {
            kill(pid, SIGKILL);
            wait4(pid, &ws, 0, &use);
            r->status = 124;
            break;
        }
        usleep(2000);
    }
    r->seconds = now() - start;
    r->max_rss_kib = use.ru_maxrss;
    if (r->status == 0) r->status = WIFEXITED(ws) ? WEXITSTATUS(ws) : 128 + WTERMSIG(ws);
    n = pread(fd, r->err, sizeof(r->err) - 1, 0);
    r->err[n > 0 ? n : 0] = '\0';
    close(fd);
    return true;
}
