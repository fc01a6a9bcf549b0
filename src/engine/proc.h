// SPDX-License-Identifier: MIT
/* proc.h - child processes: started safely, listened to, never left behind.
 *
 * A child gets its own process group and dies with the thread that started it. What it writes
 * to standard output and standard error is collected; the last words are kept for messages.
 */
#ifndef LS_ENGINE_PROC_H
#define LS_ENGINE_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lockstep/error.h"

#define LS_PROC_OUTPUT 4096 /* bytes of output that are kept: the last ones */

typedef struct ls_proc {
    pid_t  pid;    /* 0: none, or reaped                     */
    int    out_fd; /* its output; -1: closed                 */
    int    status; /* as waitpid gives it, once reaped       */
    char   output[LS_PROC_OUTPUT];
    size_t n_output;
} ls_proc;

typedef struct ls_proc_options {
    const char *const *argv; /* NULL-terminated; argv[0] without '/' is looked up in PATH    */
    const char        *dir;  /* working folder; NULL: ours                                   */
    const int         *pass; /* descriptors that become 3, 4, ... in the child               */
    size_t             n_pass;
} ls_proc_options;

/* Start a child. Errors: IO (the system refused to start one). A program that does not exist
 * shows as exit status 127 with a sentence in the output. */
ls_status ls_proc_start(ls_proc *p, const ls_proc_options *opt, ls_error *err);

/* Collect what the child has written so far. Never blocks. */
void ls_proc_drain(ls_proc *p);

/* Wait until the child has ended, at most `seconds`, and reap it. False: it still runs. */
bool ls_proc_wait(ls_proc *p, double seconds);

/* Kill the child's process group, reap it, close its output. Safe on a zeroed or ended ls_proc. */
void ls_proc_stop(ls_proc *p);

/* How a reaped child ended: "exited with status 3", "was killed by signal 9 (Killed)". */
void ls_proc_how(const ls_proc *p, char *out, size_t cap);

/* The end of the output as one printable line; "" if there was none. */
void ls_proc_last_words(const ls_proc *p, char *out, size_t cap);

/* Make one printable line of well-formed UTF-8: text from another process goes into messages
 * and into JSON. Runs of space and control characters become one space, wrong bytes '?'. */
void ls_proc_clean(char *text);

/* Run a program to its end. *exit_code gets 0 to 255, 127 when there is no such program, 128 +
 * the signal that killed it. `output` (may be NULL) gets its last words.
 * Errors: IO; REFERENCE when it ran longer than `seconds` (it is killed). */
ls_status ls_proc_run(const ls_proc_options *opt, double seconds, int *exit_code, char *output,
                      size_t cap, ls_error *err);

#endif
