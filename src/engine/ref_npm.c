// SPDX-License-Identifier: MIT
/* ref_npm.c - fetching the pinned llama.cpp (ref_npm.h).
 *
 * node-llama-cpp publishes the libraries of one llama.cpp release for each platform, and in its
 * main package a git bundle with that release's sources, of which the headers are needed. What
 * npm delivers is believed only if it has the SHA-512 written here, before anything is unpacked.
 */
#include "engine/ref_npm.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/proc.h"
#include "engine/ref_layout.h"
#include "lockstep/hash.h"

#define NPM_VERSION "3.22.1" /* the release that carries llama.cpp v0.5.0 */
#define FETCH_S     900.0
#define UNPACK_S    300.0

typedef struct package {
    const char *name, *sha512; /* npm's "integrity" */
    const char *wanted;        /* the only part that is unpacked */
    const char *size;          /* for people */
} package;

#if defined(__x86_64__)
#define PLATFORM "linux-x64"
#define PLATFORM_SHA512                                                                            \
    "sha512-5uCCDNqWCNfaAm8aR/Uzxbo4HBpKgNF91kCHPepKhgMgV2OAmatoefbOlMihsqCiH2Od35E/"              \
    "eUHQCFbfRBJuOg=="
#elif defined(__aarch64__)
#define PLATFORM "linux-arm64"
#define PLATFORM_SHA512                                                                            \
    "sha512-W+7naKCXX9/eEjjFmRS8vvx91QyLXDbeFxexZc3bh/PtQABZgmRL3C0AtYYXn4YGTj/"                   \
    "3Qor4lWZn2tpjZFPLdQ=="
#else
#define PLATFORM        ""
#define PLATFORM_SHA512 ""
#endif

static const package packages[] = {
    {"@node-llama-cpp/" PLATFORM, PLATFORM_SHA512, "package/bins/" PLATFORM, "11 MB"},
    {"node-llama-cpp",
     "sha512-bltIipuWmc123H7tMIgDGKSsSrhmhlQYeVUC48XTjVW7XGJJiJJyCdlTMzQ/"
     "LiWoPkGDpcL4FviDpgw7qfTiDw==",
     "package/llama/gitRelease.bundle", "36 MB"},
};
#define N_PACKAGES (sizeof(packages) / sizeof(packages[0]))

static void step(const ls_setup_options *opt, const char *fmt, ...) LS_PRINTF(2, 3);

static void step(const ls_setup_options *opt, const char *fmt, ...)
{
    char    line[256];
    va_list ap;
    if (!opt->progress) return;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    opt->progress(opt->progress_ctx, line);
}

/* Run one of the tools; a missing one is named with the Debian package that has it. */
static ls_status run_tool(const char *const *argv, const char *dir, double seconds,
                          const char *doing, ls_error *err)
{
    char            output[280];
    int             code = 0;
    ls_proc_options opt = {.argv = argv, .dir = dir};
    LS_TRY(ls_proc_run(&opt, seconds, &code, output, sizeof(output), err));
    if (code == 127) {
        ls_fail(err, LS_ERR_REFERENCE, "the program '%s' is needed for %s and is not installed",
                argv[0], doing);
        ls_fail_hint(err, "apt-get install %s", argv[0]);
        return LS_ERR_REFERENCE;
    }
    if (code == 0) return LS_OK;
    return ls_fail(err, LS_ERR_REFERENCE, "%s failed: '%s' exited with status %d: %s", doing,
                   argv[0], code, output);
}

/* The one .tgz that npm has left in the folder; its name is npm's choice. */
static bool find_tarball(char *out, size_t cap, const char *folder)
{
    DIR           *d = opendir(folder);
    struct dirent *e;
    bool           found = false;
    while (d && !found && (e = readdir(d)) != NULL) {
        size_t n = strlen(e->d_name);
        found = n > 4 && strcmp(e->d_name + n - 4, ".tgz") == 0 &&
                ls_path(out, cap, "%s/%s", folder, e->d_name);
    }
    if (d) closedir(d);
    return found;
}

/* Compare with npm's notation: "sha512-" and base64. */
static ls_status check_hash(const char *path, const package *p, ls_error *err)
{
    char          hex[2 * LS_HASH_MAX + 1], have[128] = "sha512-";
    unsigned char digest[64];
    LS_TRY(ls_hash_file(hex, sizeof(hex), LS_SHA512, path, err));
    for (size_t i = 0; i < sizeof(digest); i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        digest[i] = (unsigned char)byte;
    }
    EVP_EncodeBlock((unsigned char *)have + 7, digest, sizeof(digest));
    if (strcmp(have, p->sha512) == 0) return LS_OK;
    ls_fail(err, LS_ERR_REFERENCE,
            "the package '%s' " NPM_VERSION
            " is not the expected one: its hash is %.24s..., not %.24s...",
            p->name, have, p->sha512);
    ls_fail_hint(err, "nothing was installed; npm may be set to another registry, or its cache may "
                      "be damaged (npm cache verify)");
    return LS_ERR_REFERENCE;
}

/* Fetch, check and unpack one package into <scratch>/N. */
static ls_status fetch_package(const package *p, const char *folder, const ls_setup_options *opt,
                               ls_error *err)
{
    char              spec[96], tarball[LS_REF_PATH];
    const char *const pack[] = {"npm", "pack", spec, "--loglevel=error", "--prefer-offline", NULL};
    const char *const unpack[] = {"tar", "-xzf", tarball, "--no-same-owner", p->wanted, NULL};
    ls_status         status;
    snprintf(spec, sizeof(spec), "%s@" NPM_VERSION, p->name);
    step(opt, "fetching %s with npm (%s)", spec, p->size);
    if (mkdir(folder, 0777) != 0)
        return ls_fail_errno(err, errno, "cannot make the folder '%.300s'", folder);
    status = run_tool(pack, folder, FETCH_S, "fetching llama.cpp", err);
    if (status != LS_OK) {
        ls_fail_hint(err, "is there a network? without one: lockstep engine setup llama --dir DIR, "
                          "with DIR a build of llama.cpp");
        return status;
    }
    if (!find_tarball(tarball, sizeof(tarball), folder)) {
        return ls_fail(err, LS_ERR_REFERENCE, "'npm pack %s' succeeded, but left no package", spec);
    }
    step(opt, "checking the SHA-512 of %s", spec);
    LS_TRY(check_hash(tarball, p, err));
    step(opt, "unpacking %s", spec);
    return run_tool(unpack, folder, UNPACK_S, "unpacking llama.cpp", err);
}

/* Headers (and the licence) out of the git bundle. */
static ls_status extract_headers(const char *scratch, const char *folder, const char *bundle,
                                 ls_error *err)
{
    char              headers[LS_REF_PATH];
    const char *const clone[] = {"git", "clone", "--quiet", "--bare", bundle, "sources.git", NULL};
    const char *const archive[] = {"git",     "--git-dir=sources.git", "archive", "--format=tar",
                                   "-o",      "headers.tar",           "HEAD",    "LICENSE",
                                   "include", "ggml/include",          NULL};
    const char *const unpack[] = {"tar", "-xf",   "headers.tar", "--no-same-owner",
                                  "-C",  headers, NULL};
    if (!ls_path(headers, sizeof(headers), "%s/headers", folder) || mkdir(headers, 0777) != 0) {
        return ls_fail_errno(err, errno, "cannot make the folder '%.300s/headers'", folder);
    }
    LS_TRY(run_tool(clone, scratch, UNPACK_S, "extracting llama.cpp's headers", err));
    LS_TRY(run_tool(archive, scratch, UNPACK_S, "extracting llama.cpp's headers", err));
    return run_tool(unpack, scratch, UNPACK_S, "extracting llama.cpp's headers", err);
}

ls_status ls_ref_npm_fetch(const char *folder, const char *scratch, const ls_setup_options *opt,
                           ls_error *err)
{
    char part[N_PACKAGES][LS_REF_PATH], from[LS_REF_PATH + 64], to[LS_REF_PATH + 64];
    if (!PLATFORM[0]) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "the pinned llama.cpp is built for x86-64 and Arm only");
        ls_fail_hint(err, "build llama.cpp here and run: lockstep engine setup llama --dir DIR");
        return LS_ERR_UNSUPPORTED;
    }
    for (size_t i = 0; i < N_PACKAGES; i++) {
        if (!ls_path(part[i], sizeof(part[i]), "%s/%zu", scratch, i)) {
            return ls_fail(err, LS_ERR_USAGE, "the path '%.400s' is too long", scratch);
        }
        LS_TRY(fetch_package(&packages[i], part[i], opt, err));
    }
    step(opt, "extracting llama.cpp's headers");
    ls_path(from, sizeof(from), "%s/%s", part[0], packages[0].wanted);
    ls_path(to, sizeof(to), "%s/lib", folder);
    if (rename(from, to) != 0) return ls_fail_errno(err, errno, "cannot move '%.300s'", from);
    ls_path(from, sizeof(from), "%s/lib/llama-addon.node", folder);
    unlink(from); /* for node alone */
    ls_path(from, sizeof(from), "%s/%s", part[1], packages[1].wanted);
    return extract_headers(scratch, folder, from, err);
}
