// SPDX-License-Identifier: MIT
/* ref_npm.h - the pinned build of llama.cpp out of two npm packages. */
#ifndef LS_ENGINE_REF_NPM_H
#define LS_ENGINE_REF_NPM_H

#include "lockstep/engine.h"

/* Fetch both packages with `npm pack` (which runs no package's scripts), check their SHA-512,
 * and unpack: libraries into <folder>/lib, headers into <folder>/headers. `scratch` is an empty
 * folder for what is in between.
 * Errors: REFERENCE (no npm, tar or git; no network; wrong hash), UNSUPPORTED (processor), IO. */
ls_status ls_ref_npm_fetch(const char *folder, const char *scratch, const ls_setup_options *opt,
                           ls_error *err);

#endif
