// SPDX-License-Identifier: MIT
/* ref_layout.h - where a build of llama.cpp or bitnet.cpp keeps its libraries and headers. */
#ifndef LS_ENGINE_REF_LAYOUT_H
#define LS_ENGINE_REF_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "lockstep/error.h"

#define LS_REF_PATH          512
#define LS_REF_MAX_LIBRARIES 8
#define LS_REF_MAX_FEATURES  16

typedef enum ls_ref_found {
    LS_REF_FOUND_NOTHING, /* no libllama anywhere in the folder       */
    LS_REF_FOUND_PART,    /* something, but `missing` is not there    */
    LS_REF_FOUND_ALL,     /* libraries and headers: it can be adopted */
} ls_ref_found;

typedef struct ls_ref_layout {
    char   libraries[LS_REF_MAX_LIBRARIES][LS_REF_PATH]; /* in the order of their dependencies */
    size_t n_libraries;                                  /* the last one is libllama           */
    char   lib_dir[LS_REF_PATH];                         /* where the CPU libraries are        */
    char   llama_h[LS_REF_PATH], ggml_h[LS_REF_PATH];    /* folders that hold these headers    */
    char   include[LS_REF_PATH];                         /* a third include folder; "": none   */
    char   missing[LS_REF_PATH];                         /* in words; "": nothing              */
} ls_ref_layout;

/* Look for libraries and headers below `dir`, and for headers also beside it (dir may be the
 * folder of the libraries alone). */
ls_ref_found ls_ref_layout_find(ls_ref_layout *out, const char *dir);

/* What this version's headers have: compiler arguments "-DLS_HAS_...=1" into features, NULL
 * after the last. Errors: IO. */
ls_status ls_ref_layout_features(const ls_ref_layout *l, const char *features[LS_REF_MAX_FEATURES],
                                 ls_error *err);

/* printf into a path of `cap` bytes; false when it does not fit. */
bool ls_path(char *out, size_t cap, const char *fmt, ...) LS_PRINTF(3, 4);

#endif
