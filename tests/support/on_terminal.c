// SPDX-License-Identifier: MIT
/* on_terminal.c - on_terminal ANSWER COMMAND...: runs COMMAND with a terminal as its standard input
 * and standard error, and types ANSWER when what it says there ends in "] " (\n: Enter; \x04: the
 * end of the input). What it says goes to our standard error, its standard output is ours; exits as
 * it does. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    exit(99);
}

static int open_terminal(const char **name)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0 || !(*name = ptsname(fd))) die("terminal");
    return fd;
}

static void become(const char *terminal, char **command)
{
    int fd;
    setsid();
    fd = open(terminal, O_RDWR);
    if (fd < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) die(terminal);
    execvp(command[0], command);
    die(command[0]);
}

int main(int argc, char **argv)
{
    char        said[1 << 16];
    size_t      n = 0;
    int         fd, status, asked = 0;
    const char *terminal;
    pid_t       child;
    if (argc < 3) return fprintf(stderr, "usage: on_terminal ANSWER COMMAND...\n"), 99;
    fd = open_terminal(&terminal);
    child = fork();
    if (child < 0) die("fork");
    if (child == 0) become(terminal, argv + 2);
    while (n < sizeof(said)) {
        ssize_t got = read(fd, said + n, sizeof(said) - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break; /* EIO: nobody has the other end open any more */
        if (write(STDERR_FILENO, said + n, (size_t)got) != got) die("standard error");
        n += (size_t)got;
        if (asked || n < 2 || memcmp(said + n - 2, "] ", 2) != 0) continue;
        asked = 1;
        if (write(fd, argv[1], strlen(argv[1])) != (ssize_t)strlen(argv[1])) die("terminal");
    }
    if (waitpid(child, &status, 0) != child) die("wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}
