// SPDX-License-Identifier: MIT
/* child.h - run a program to its end, with a time limit, and keep what it said. */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <stdbool.h>
#include <stddef.h>

typedef struct child_result {
    int    status; /* exit code, or 128 + signal, or 124 when the time was up */
    double seconds;
    long   max_rss_kib;
    char   err[8192]; /* the beginning of standard error; NUL-terminated */
} child_result;

/* argv[0] is a path; argv ends in NULL. Standard output goes to the file `out` (NULL: nowhere),
 * standard input is empty. False: it could not be started. */
bool child_run(child_result *r, const char *const argv[], const char *out, double timeout_s);

#endif
