// SPDX-License-Identifier: MIT
/* real_reference.h - where tests find an installed reference and the shared models: the same
 * environment variables as the program's. Tests that lack one print why and return 77. */
#ifndef TESTS_REAL_REFERENCE_H
#define TESTS_REAL_REFERENCE_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lockstep/engine.h"

#define TEST_SKIPPED 77

/* Find a reference as the program would. False: prints why there is none. */
static inline bool real_reference(ls_ref_status *out, ls_ref_kind kind)
{
    static char cache[4096];
    const char *own = getenv("LOCKSTEP_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    ls_ref_dirs dirs = {.cache_dir = cache,
                        .crossval_libdir = getenv("BITNET_CROSSVAL_LIBDIR"),
                        .bitnet_cpp_dir = getenv("BITNET_CPP_DIR"),
                        .bitnet_cpp_path = getenv("BITNET_CPP_PATH"),
                        .llama_cpp_dir = getenv("LLAMA_CPP_DIR"),
                        .home = home,
                        .rpath = {getenv("CROSSVAL_RPATH_LLAMA"), getenv("CROSSVAL_RPATH_BITNET")}};
    if (own && own[0]) snprintf(cache, sizeof(cache), "%s", own);
    else if (xdg && xdg[0]) snprintf(cache, sizeof(cache), "%s/lockstep", xdg);
    else snprintf(cache, sizeof(cache), "%s/.cache/lockstep", home ? home : "");
    ls_ref_find(out, kind, &dirs);
    if (out->state == LS_REF_READY) return true;
    printf("SKIP: %s (%s)\n", out->missing, out->fix);
    return false;
}

/* Path of a file in the shared folder beside the repository. False: prints that it is absent. */
static inline bool shared_file(char *out, size_t cap, const char *name)
{
    const char *shared = getenv("LOCKSTEP_SHARED");
    if (shared && shared[0]) snprintf(out, cap, "%s/%s", shared, name);
    else snprintf(out, cap, "%s/../shared/%s", LS_SOURCE_DIR, name);
    if (access(out, R_OK) == 0) return true;
    printf("SKIP: '%s' is not there\n", out);
    return false;
}

#endif
