// SPDX-License-Identifier: MIT
/* ref_build.h - compiling an adapter against one installation's headers. */
#ifndef LS_ENGINE_REF_BUILD_H
#define LS_ENGINE_REF_BUILD_H

#include "engine/ref_layout.h"
#include "engine/ref_manifest.h"

/* SHA-256 (hex) of the adapter sources in this library. */
ls_status ls_ref_adapter_hash(char hex[65], ls_error *err);

/* Compile the adapter for `kind` against `layout` into `folder`, write the manifest (m: engine,
 * version and dir are given, the rest is filled in), and try it: it must start, load the
 * libraries and say hello. Errors: REFERENCE (no compiler, does not compile, does not start). */
ls_status ls_ref_build(ls_ref_kind kind, const ls_ref_layout *layout, ls_ref_manifest *m,
                       const char *folder, ls_error *err);

#endif
