// SPDX-License-Identifier: MIT
/* ref_layout.c - finding libraries and headers in the folders that builds of llama.cpp and
 * bitnet.cpp are known to use, and reading off the headers which API this is. */
#include "engine/ref_layout.h"

#include <assert.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"

/* Folders with libraries, relative to the installation: packages, llama.cpp by cmake (bin since
 * late 2024, src and ggml/src before), bitnet.cpp around its fork of llama.cpp. */
static const char *const library_dirs[] = {
    "",
    "lib",
    "lib64",
    "bin",
    "build/bin",
    "build/lib",
    "build",
    "build/3rdparty/llama.cpp/build/bin",
    "build/3rdparty/llama.cpp/src",
    "build/3rdparty/llama.cpp/ggml/src",
    "build/src",
    "build/ggml/src",
    "build/ggml/src/ggml-cpu",
    "3rdparty/llama.cpp/build/bin",
    "3rdparty/llama.cpp/build/src",
    "3rdparty/llama.cpp/build/ggml/src",
    "src",
    "ggml/src",
    "../ggml/src",
};

/* Folders with headers; also tried from the folders above, for a folder of libraries alone. */
static const char *const header_dirs[] = {
    "include",
    "ggml/include",
    "3rdparty/llama.cpp/include",
    "3rdparty/llama.cpp/ggml/include",
    "headers/include",
    "headers/ggml/include",
    "",
};
static const char *const ups[] = {"", "../", "../../", "../../../", "../../../../"};

/* Libraries in the order of their dependencies, so that each finds the ones before it loaded. */
static const struct {
    const char *stem;
    bool        needed;
} stems[] = {
    {"libggml-base", false}, {"libggml-cpu", false}, {"libggml", false}, {"libllama", true}};

/* Which API a version has, by names that its headers declare (adapters/ref_llama.c). */
static const struct {
    const char *header, *needle, *argument;
} features[] = {
    {"llama.h", "llama_model_get_vocab", "-DLS_HAS_VOCAB=1"},
    {"llama.h", "llama_model_load_from_file", "-DLS_HAS_LOAD=1"},
    {"llama.h", "llama_init_from_model", "-DLS_HAS_INIT=1"},
    {"llama.h", "llama_memory_clear", "-DLS_HAS_MEMORY=1"},
    {"llama.h", "llama_kv_self_clear", "-DLS_HAS_KV_SELF=1"},
    {"llama.h", "flash_attn_type;", "-DLS_HAS_FLASH_TYPE=1"},
    {"llama.h", "logits_all", "-DLS_HAS_LOGITS_ALL=1"},
    {"llama.h", "op_offload;", "-DLS_HAS_OP_OFFLOAD=1"},
    {"llama.h", "llama_version", "-DLS_HAS_VERSION=1"},
    {"llama.h", "llama_attach_threadpool", "-DLS_HAS_THREADPOOL=1"},
    {"ggml-backend.h", "ggml_backend_load_all_from_path", "-DLS_HAS_BACKEND_DIR=1"},
};
#define N(table) (sizeof(table) / sizeof((table)[0]))
static_assert(N(features) < LS_REF_MAX_FEATURES, "room for NULL");

bool ls_path(char *out, size_t cap, const char *fmt, ...)
{
    va_list ap;
    int     n;
    va_start(ap, fmt);
    n = vsnprintf(out, cap, fmt, ap);
    va_end(ap);
    return n >= 0 && (size_t)n < cap;
}

/* "libllama.so", "libllama.so.0", "libllama.v0.5.0.so", but not "libllama-common.so". */
static bool is_library(const char *name, const char *stem)
{
    size_t n = strlen(stem);
    return strncmp(name, stem, n) == 0 && name[n] == '.' && strstr(name + n, ".so") != NULL;
}

/* The library of this stem in one folder: the plain name, else the first by name. */
static bool library_in(char *out, const char *folder, const char *stem)
{
    char           best[256] = "";
    DIR           *d;
    struct dirent *e;
    if (ls_path(out, LS_REF_PATH, "%s/%s.so", folder, stem) && access(out, R_OK) == 0) return true;
    d = opendir(folder);
    if (!d) return false;
    while ((e = readdir(d)) != NULL) {
        if (is_library(e->d_name, stem) && (!best[0] || strcmp(e->d_name, best) < 0)) {
            snprintf(best, sizeof(best), "%s", e->d_name);
        }
    }
    closedir(d);
    return best[0] && ls_path(out, LS_REF_PATH, "%s/%s", folder, best) && access(out, R_OK) == 0;
}

/* Join and resolve, so that texts and manifests hold plain absolute paths. */
static bool folder_at(char *out, const char *dir, const char *up, const char *sub)
{
    char joined[2 * LS_REF_PATH], *real;
    bool ok;
    if (!ls_path(joined, sizeof(joined), "%s/%s%s", dir, up, sub)) return false;
    real = realpath(joined, NULL);
    ok = real && ls_path(out, LS_REF_PATH, "%s", real);
    free(real);
    return ok;
}

static bool find_library(char *out, const char *dir, const char *stem)
{
    char folder[LS_REF_PATH];
    for (size_t i = 0; i < N(library_dirs); i++) {
        if (folder_at(folder, dir, "", library_dirs[i]) && library_in(out, folder, stem))
            return true;
    }
    return false;
}

/* The folder with the engine's CPU libraries, one per instruction set, else libllama's own. */
static void find_lib_dir(ls_ref_layout *l)
{
    for (size_t i = l->n_libraries; i-- > 0;) {
        DIR           *d;
        struct dirent *e;
        bool           here = false;
        snprintf(l->lib_dir, sizeof(l->lib_dir), "%s", l->libraries[i]);
        *strrchr(l->lib_dir, '/') = '\0';
        d = opendir(l->lib_dir);
        while (d && !here && (e = readdir(d)) != NULL)
            here = strncmp(e->d_name, "libggml-cpu", 11) == 0;
        if (d) closedir(d);
        if (here) return;
    }
    snprintf(l->lib_dir, sizeof(l->lib_dir), "%s", l->libraries[l->n_libraries - 1]);
    *strrchr(l->lib_dir, '/') = '\0';
}

static bool has_file(const char *folder, const char *name)
{
    char path[LS_REF_PATH + 64];
    return ls_path(path, sizeof(path), "%s/%s", folder, name) && access(path, R_OK) == 0;
}

/* llama.h and ggml.h, both from the same installation. */
static bool find_headers(ls_ref_layout *l, const char *dir)
{
    for (size_t u = 0; u < N(ups); u++) {
        l->llama_h[0] = l->ggml_h[0] = '\0';
        for (size_t i = 0; i < N(header_dirs); i++) {
            char folder[LS_REF_PATH];
            if (!folder_at(folder, dir, ups[u], header_dirs[i])) continue;
            if (!l->llama_h[0] && has_file(folder, "llama.h"))
                memcpy(l->llama_h, folder, LS_REF_PATH);
            if (!l->ggml_h[0] && has_file(folder, "ggml.h")) memcpy(l->ggml_h, folder, LS_REF_PATH);
        }
        if (l->llama_h[0] && l->ggml_h[0]) {
            /* bitnet.cpp keeps ggml-bitnet.h in an include folder of its own */
            if (!folder_at(l->include, dir, ups[u], "include")) l->include[0] = '\0';
            return true;
        }
    }
    return false;
}

ls_ref_found ls_ref_layout_find(ls_ref_layout *out, const char *dir)
{
    char path[LS_REF_PATH], folder[LS_REF_PATH];
    memset(out, 0, sizeof(*out));
    if (!find_library(path, dir, "libllama")) {
        for (size_t i = 0; i < N(library_dirs); i++) {
            if (!folder_at(folder, dir, "", library_dirs[i]) || !has_file(folder, "libllama.a"))
                continue;
            ls_path(out->missing, sizeof(out->missing),
                    "'%.300s' has only the static libllama.a; build it again with "
                    "-DBUILD_SHARED_LIBS=ON",
                    folder);
            return LS_REF_FOUND_PART;
        }
        ls_path(out->missing, sizeof(out->missing), "'%.400s' holds no libllama.so", dir);
        return LS_REF_FOUND_NOTHING;
    }
    ls_path(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    for (size_t i = 0; i < N(stems); i++) { /* first of all from libllama's own folder */
        char *to = out->libraries[out->n_libraries];
        if (library_in(to, folder, stems[i].stem) || find_library(to, dir, stems[i].stem)) {
            out->n_libraries++;
        }
    }
    find_lib_dir(out);
    if (find_headers(out, dir)) return LS_REF_FOUND_ALL;
    ls_path(
        out->missing, sizeof(out->missing),
        "'%.200s' has libraries, but the headers llama.h and ggml.h that belong to them are not "
        "there",
        dir);
    return LS_REF_FOUND_PART;
}

ls_status ls_ref_layout_features(const ls_ref_layout *l, const char *found[LS_REF_MAX_FEATURES],
                                 ls_error *err)
{
    const char *const folders[] = {l->llama_h, l->ggml_h};
    size_t            n = 0;
    for (size_t h = 0; h < N(folders); h++) {
        const char *header = h == 0 ? "llama.h" : "ggml-backend.h";
        char        path[LS_REF_PATH + 64], *text;
        size_t      len;
        if (h == 1 && !has_file(folders[h], header)) continue; /* older than its backends */
        ls_path(path, sizeof(path), "%s/%s", folders[h], header);
        LS_TRY(ls_read_file(&text, &len, path, err));
        for (size_t i = 0; i < N(features); i++) {
            if (strcmp(features[i].header, header) == 0 && strstr(text, features[i].needle)) {
                found[n++] = features[i].argument;
            }
        }
        free(text);
    }
    found[n] = NULL;
    return LS_OK;
}
