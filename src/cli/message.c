// SPDX-License-Identifier: MIT
/* message.c - what the user sees on standard error: errors, notes, the progress bar, Ctrl-C. */
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli_json.h"
#include "cli/framework.h"

/* The terminal is one: so is the bar on it. */
static bool bar_drawn;

uint64_t cli_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- errors and notes ---- */

/* Control characters of a file name or of a model must not reach the terminal. */
static void print_clean(FILE *f, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '\n')
            fputs("\n        ", f);
        else
            fputc(c < 32 || c == 127 ? '?' : c, f);
    }
}

static void print_line(const char *label, const char *text)
{
    if (!text[0]) return;
    fputs(label, stderr);
    print_clean(stderr, text);
    fputc('\n', stderr);
}

int cli_print_error(const cli_context *ctx, const ls_error *err)
{
    cli_progress_erase();
    if (ctx->json_errors) {
        json_t *j = cli_json_error(err);
        char   *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
        json_decref(j);
        if (text) {
            fprintf(stderr, "%s\n", text);
            free(text);
            return ls_exit_code(err->status, err);
        }
    }
    print_line("lockstep: error: ", err->what[0] ? err->what : "unknown failure");
    print_line("     at: ", err->where);
    print_line("   hint: ", err->hint);
    return ls_exit_code(err->status, err);
}

void cli_note(const cli_context *ctx, const char *fmt, ...)
{
    va_list ap;
    char    text[2048];
    if (ctx->quiet) return;
    cli_progress_erase();
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    print_line("lockstep: ", text);
}

ls_status cli_hint_help(const cli_context *ctx, ls_error *err)
{
    char name[64] = "";
    if (!ctx->command) return ls_fail_hint(err, "see 'lockstep --help'");
    return ls_fail_hint(err, "see 'lockstep %s --help'",
                        cli_command_name(ctx->command, name, sizeof(name)));
}

ls_status cli_usage(const cli_context *ctx, ls_error *err, const char *fmt, ...)
{
    va_list ap;
    char    what[sizeof(err->what)];
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(err, LS_ERR_USAGE, "%s", what);
    cli_hint_help(ctx, err);
    return LS_ERR_USAGE;
}

/* ---- progress ---- */

void cli_progress_begin(cli_progress *p, const cli_context *ctx, const char *label)
{
    *p = (cli_progress){.begin_ns = cli_now_ns()};
    snprintf(p->label, sizeof(p->label), "%s", label);
    p->on = !ctx->quiet && isatty(STDERR_FILENO) && !ctx->env->dumb_terminal;
}

static int terminal_width(void)
{
    struct winsize w;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20) return w.ws_col;
    return 80;
}

/* "  0:42 left" once there is something to extrapolate from. */
static void time_left(const cli_progress *p, uint64_t now, double part, char *buf, size_t cap)
{
    double s = part > 0 ? (double)(now - p->begin_ns) * 1e-9 * (1 - part) / part : 0;
    buf[0] = '\0';
    if (s >= 1 && s < 360000) snprintf(buf, cap, "  %d:%02d left", (int)s / 60, (int)s % 60);
}

void cli_progress_update(void *progress, size_t done, size_t total)
{
    cli_progress *p = progress;
    uint64_t      now;
    char          tail[80], left[24];
    int           room, filled;
    double        part = total ? (double)done / (double)total : 0;
    if (!p->on) return;
    now = cli_now_ns();
    if (p->drawn_ns && now - p->drawn_ns < 50000000u && done < total) return;
    p->drawn_ns = now;
    time_left(p, now, part, left, sizeof(left));
    snprintf(tail, sizeof(tail), "] %3.0f %%  %zu/%zu%s", part * 100, done, total, left);
    room = terminal_width() - 3 - (int)(strlen(p->label) + strlen(tail));
    if (room > 40) room = 40;
    if (room < 0) room = 0;
    filled = (int)(part * room + 0.5);
    fprintf(stderr, "\r\033[K%s [", p->label);
    for (int i = 0; i < room; i++) fputc(i < filled ? '#' : '.', stderr);
    fputs(tail, stderr);
    fflush(stderr);
    bar_drawn = true;
}

void cli_progress_erase(void)
{
    if (!bar_drawn) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    bar_drawn = false;
}

void cli_progress_end(cli_progress *p)
{
    if (p->on) cli_progress_erase();
    p->on = false;
}

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
    interrupted = 1;
    signal(sig, SIG_DFL); /* the second one kills */
}

const volatile int *cli_catch_interrupt(void)
{
    struct sigaction now = {.sa_handler = on_interrupt};
    struct sigaction old;
    /* A shell that started us in the background ignores Ctrl-C on our behalf: leave it so. */
    if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(SIGINT, &now, NULL);
    return &interrupted;
}

ls_status cli_check_interrupt(ls_error *err)
{
    return interrupted ? ls_fail(err, LS_ERR_CANCELLED, "interrupted") : LS_OK;
}
