// SPDX-License-Identifier: MIT
/* ref_sources.h - the adapters' source files, built into the library by cmake/embed.cmake.
 *
 * An adapter has to be compiled against the headers of the engine that it adapts, which are on
 * the user's machine and not on ours.
 */
#ifndef LS_ENGINE_REF_SOURCES_H
#define LS_ENGINE_REF_SOURCES_H

#include <stddef.h>

typedef struct ls_ref_source {
    const char          *name; /* "ref_main.c" */
    const unsigned char *data;
    size_t               len;
} ls_ref_source;

extern const ls_ref_source ls_ref_sources[];
extern const size_t        ls_ref_n_sources;

#endif
