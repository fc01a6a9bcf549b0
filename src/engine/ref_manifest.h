// SPDX-License-Identifier: MIT
/* ref_manifest.h - engine.manifest: what an engine folder holds.
 *
 * Lines of "key value", read by the host and by the adapter program itself (ref_main.c):
 *
 *   protocol 2              ref_protocol.h of the Lockstep that built the adapter
 *   adapter 5f0c...         SHA-256 of the adapter's sources
 *   engine llama            kind
 *   version v0.5.0
 *   dir /path               the installation it was built for; absent: files of this folder
 *   header /path/llama.h    compiled against this header,
 *   stamp 94120:1763...     when it had this size and time (only with dir)
 *   lib_dir lib             where the engine looks for its CPU libraries
 *   library lib/libllama.so in the order in which they are loaded; relative to this folder
 */
#ifndef LS_ENGINE_REF_MANIFEST_H
#define LS_ENGINE_REF_MANIFEST_H

#include "engine/ref_layout.h"
#include "lockstep/engine.h"

#define LS_REF_MANIFEST "engine.manifest"

typedef struct ls_ref_manifest {
    unsigned protocol;
    char     adapter[65], engine[32], version[64], dir[LS_REF_PATH];
    char     header[LS_REF_PATH], stamp[64];
    char     lib_dir[LS_REF_PATH];
    char     libraries[LS_REF_MAX_LIBRARIES][LS_REF_PATH];
    size_t   n_libraries;
} ls_ref_manifest;

/* Read <folder>/engine.manifest; paths of files become absolute. False: none, or not one. */
bool ls_ref_manifest_read(ls_ref_manifest *out, const char *folder);

/* Write it; paths inside the folder become relative to it, so that the folder can be moved. */
ls_status ls_ref_manifest_write(const ls_ref_manifest *m, const char *folder, ls_error *err);

/* Size and time of a file as one word; "" if it is not there. */
void ls_ref_stamp(char *out, size_t cap, const char *path);

/* Judge the engine folder for one kind of reference: fills state, exe, lib_dir, version, missing
 * and fix. False: the folder holds no engine of this kind. */
bool ls_ref_folder_check(ls_ref_status *out, ls_ref_kind kind, const char *folder);

#endif
