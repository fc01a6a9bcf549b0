// SPDX-License-Identifier: MIT
/* llama_lib.h - an installation of llama.cpp, loaded at run time by its own headers: for programs of
 * the tests that are witnesses of what the reference says and share no code with Lockstep or its
 * adapter. Before it is included, WITNESS names the program. */
#ifndef TESTS_LLAMA_LIB_H
#define TESTS_LLAMA_LIB_H

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ggml-backend.h"
#include "llama.h"

static void *libraries[3];

static void errors_alone(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    if (level == GGML_LOG_LEVEL_ERROR) fprintf(stderr, "%s", text);
}

static void die(const char *what)
{
    fprintf(stderr, WITNESS ": %s\n", what);
    exit(1);
}

static void *function(const char *name)
{
    void *f = NULL;
    for (int i = 0; i < 3 && !f; i++) f = dlsym(libraries[i], name);
    if (!f) die(name);
    return f;
}
#define CALL(f) ((__typeof__(f) *)function(#f))

/* Load the library of that stem ("libllama.") with whatever version its name carries. */
static void *load(const char *dir, const char *stem)
{
    DIR           *d = opendir(dir);
    struct dirent *e;
    char           path[4096];
    void          *lib = NULL;
    while (d && !lib && (e = readdir(d)) != NULL) {
        if (strncmp(e->d_name, stem, strlen(stem)) != 0 || !strstr(e->d_name, ".so")) continue;
        snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
        lib = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    }
    if (d) closedir(d);
    if (!lib) die(stem);
    return lib;
}

/* Everything that comes before a model is opened. */
static void load_llama(const char *dir)
{
    libraries[0] = load(dir, "libggml-base.");
    libraries[1] = load(dir, "libggml.");
    libraries[2] = load(dir, "libllama.");
    CALL(llama_log_set)(errors_alone, NULL);
    CALL(ggml_backend_load_all_from_path)(dir);
    CALL(llama_backend_init)();
}

#endif
