// SPDX-License-Identifier: MIT
/* ref_build.c - from the adapter's sources to a program that has said hello (ref_build.h). */
#include "engine/ref_build.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "adapters/ref_protocol.h"
#include "base/outfile.h"
#include "engine/host.h"
#include "engine/proc.h"
#include "engine/ref_sources.h"
#include "lockstep/hash.h"

#define COMPILE_S 120.0
#define HELLO_S   60.0

ls_status ls_ref_adapter_hash(char hex[65], ls_error *err)
{
    uint8_t  digest[LS_HASH_MAX];
    ls_hash *h;
    LS_TRY(ls_hash_create(&h, LS_SHA256, err));
    for (size_t i = 0; i < ls_ref_n_sources; i++) {
        ls_hash_update(h, ls_ref_sources[i].name, strlen(ls_ref_sources[i].name) + 1);
        ls_hash_update(h, ls_ref_sources[i].data, ls_ref_sources[i].len);
    }
    ls_hex(hex, digest, ls_hash_final(h, digest));
    ls_hash_destroy(h);
    return LS_OK;
}

/* The sources go into the engine folder and stay there: who doubts a verdict can read them. */
static ls_status write_sources(const char *folder, ls_error *err)
{
    char path[LS_REF_PATH + 64];
    if (!ls_path(path, sizeof(path), "%s/adapter", folder) || mkdir(path, 0777) != 0) {
        return ls_fail(err, LS_ERR_IO, "cannot make the folder '%.400s/adapter'", folder);
    }
    for (size_t i = 0; i < ls_ref_n_sources; i++) {
        ls_outfile o;
        ls_path(path, sizeof(path), "%s/adapter/%s", folder, ls_ref_sources[i].name);
        LS_TRY(ls_outfile_open(&o, path, err));
        fwrite(ls_ref_sources[i].data, 1, ls_ref_sources[i].len, o.f);
        LS_TRY(ls_outfile_commit(&o, err));
    }
    return LS_OK;
}

static ls_status compile(const ls_ref_layout *l, const char *exe, const char *folder, ls_error *err)
{
    const char     *features[LS_REF_MAX_FEATURES], *argv[32];
    char            include[3][LS_REF_PATH + 8], output[400];
    const char     *folders[3] = {l->llama_h, l->ggml_h, l->include};
    size_t          n = 0;
    int             code;
    ls_proc_options opt = {.argv = argv, .dir = folder};
    LS_TRY(ls_ref_layout_features(l, features, err));
    argv[n++] = "cc";
    argv[n++] = "-std=gnu11";
    argv[n++] = "-O2";
    argv[n++] = "-w"; /* the installation's headers are not ours to warn about */
    argv[n++] = "-o";
    argv[n++] = exe;
    for (size_t i = 0; features[i]; i++) argv[n++] = features[i];
    for (size_t i = 0; i < 3; i++) {
        if (!folders[i][0]) continue;
        ls_path(include[i], sizeof(include[i]), "-I%s", folders[i]);
        argv[n++] = include[i];
    }
    argv[n++] = "adapter/ref_main.c";
    argv[n++] = "adapter/ref_llama.c";
    argv[n++] = "-ldl";
    argv[n] = NULL;
    LS_TRY(ls_proc_run(&opt, COMPILE_S, &code, output, sizeof(output), err));
    if (code == 127) {
        ls_fail(err, LS_ERR_REFERENCE, "there is no C compiler 'cc' to build the adapter with");
        ls_fail_hint(err, "install one: apt-get install gcc libc6-dev");
        return LS_ERR_REFERENCE;
    }
    if (code != 0) {
        return ls_fail(err, LS_ERR_REFERENCE,
                       "the adapter does not compile against the headers in '%.200s': %.250s",
                       l->llama_h, output);
    }
    return LS_OK;
}

static void fill_manifest(ls_ref_manifest *m, const ls_ref_layout *l)
{
    m->protocol = LS_REF_VERSION;
    ls_path(m->header, sizeof(m->header), "%.500s/llama.h", l->llama_h);
    /* headers of our own do not change, but copying a cache folder changes their time */
    if (m->dir[0]) ls_ref_stamp(m->stamp, sizeof(m->stamp), m->header);
    memcpy(m->lib_dir, l->lib_dir, sizeof(m->lib_dir));
    memcpy(m->libraries, l->libraries, sizeof(m->libraries));
    m->n_libraries = l->n_libraries;
}

ls_status ls_ref_build(ls_ref_kind kind, const ls_ref_layout *layout, ls_ref_manifest *m,
                       const char *folder, ls_error *err)
{
    char           exe[LS_REF_PATH + 32];
    ls_engine_info info;
    ls_path(exe, sizeof(exe), "%s/lockstep-ref-%s", folder, ls_ref_name(kind));
    fill_manifest(m, layout);
    LS_TRY(ls_ref_adapter_hash(m->adapter, err));
    LS_TRY(write_sources(folder, err));
    LS_TRY(compile(layout, exe, folder, err));
    LS_TRY(ls_ref_manifest_write(m, folder, err));
    LS_TRY(ls_host_try(exe, HELLO_S, &info, err));
    if (m->version[0]) return LS_OK;
    memcpy(m->version, info.version, sizeof(m->version)); /* the library knows its version */
    return ls_ref_manifest_write(m, folder, err);
}
