// SPDX-License-Identifier: MIT
/* shared.h - models and texts that lie beside the source tree; absent, tests that need them skip. */
#ifndef TESTS_SHARED_H
#define TESTS_SHARED_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* LOCKSTEP_SHARED or SOURCE/../shared, with `name` behind it. */
static inline const char *shared_path(const char *name)
{
    static char path[2][1024];
    static int  i;
    const char *root = getenv("LOCKSTEP_SHARED");
    i = !i;
    if (root && root[0]) {
        snprintf(path[i], sizeof(path[i]), "%s/%s", root, name);
    } else {
        snprintf(path[i], sizeof(path[i]), "%s/../shared/%s", LS_SOURCE_DIR, name);
    }
    return path[i];
}

static inline int shared_missing(const char *name)
{
    if (access(shared_path(name), R_OK) == 0) return 0;
    fprintf(stderr, "skipped: '%s' is not there\n", shared_path(name));
    return 1;
}

#endif
