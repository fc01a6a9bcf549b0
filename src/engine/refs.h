// SPDX-License-Identifier: MIT
/* refs.h - names of engine folders in the cache, shared by finding and setting up. */
#ifndef LS_ENGINE_REFS_H
#define LS_ENGINE_REFS_H

#include "lockstep/engine.h"

/* The pinned build of llama.cpp: the folder's name below <cache_dir>/engines, and its version. */
#define LS_REF_PINNED         "llama-v0.5.0"
#define LS_REF_PINNED_VERSION "v0.5.0"

/* The engine folder of an installation, by its resolved path. False: no cache, or too long. */
bool ls_ref_dir_folder(char *out, size_t cap, const ls_ref_dirs *dirs, ls_ref_kind kind,
                       const char *real);

#endif
