// SPDX-License-Identifier: MIT
/* ref_setup.c - installing a reference: everything is made in a scratch folder beside its
 * place in the cache and moved there in one rename, so that nobody ever sees half an engine.
 *
 *   <cache_dir>/engines/llama-v0.5.0          the pinned build
 *   <cache_dir>/engines/bitnet-dir-0123...    the adapter for an installation of the user's
 *   <cache_dir>/engines/llama -> ...          what was set up last, which is what is used
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/proc.h"
#include "engine/ref_build.h"
#include "engine/ref_npm.h"
#include "engine/refs.h"

#define SCRATCH       ".setup-"
#define SCRATCH_OLD_S 3600 /* a scratch folder that nobody has touched for so long is litter */

typedef struct setup {
    ls_ref_kind             kind;
    const ls_ref_dirs      *dirs;
    const ls_setup_options *opt;
    char                    engines[LS_REF_PATH]; /* <cache_dir>/engines                       */
    char                    target[LS_REF_PATH];  /* where the engine folder goes              */
    char                    scratch[LS_REF_PATH]; /* made for this run                         */
    char                    made[LS_REF_PATH];    /* <scratch>/engine: the engine folder so far */
    char                    dir[LS_REF_PATH];     /* the installation; "": the pinned build    */
} setup;

static void step(const setup *s, const char *line)
{
    if (s->opt->progress) s->opt->progress(s->opt->progress_ctx, line);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_tree(const char *path) { nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

/* mkdir -p */
static ls_status make_folders(const char *path, ls_error *err)
{
    char part[LS_REF_PATH];
    if (!ls_path(part, sizeof(part), "%s/", path)) {
        return ls_fail(err, LS_ERR_USAGE, "the path '%.400s' is too long", path);
    }
    for (char *p = strchr(part + 1, '/'); p; p = strchr(p + 1, '/')) {
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST) {
            return ls_fail_errno(err, errno, "cannot make the folder '%.400s'", part);
        }
        *p = '/';
    }
    return LS_OK;
}

/* Scratch folders of setups that were killed: old, and their process is gone. */
static void sweep(const char *engines)
{
    DIR           *d = opendir(engines);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        char        path[LS_REF_PATH + 256];
        struct stat st;
        long        pid;
        if (strncmp(e->d_name, SCRATCH, strlen(SCRATCH)) != 0) continue;
        pid = strtol(e->d_name + strlen(SCRATCH), NULL, 10);
        if (!ls_path(path, sizeof(path), "%s/%s", engines, e->d_name) || stat(path, &st) != 0)
            continue;
        if (pid > 0 && kill((pid_t)pid, 0) == 0) continue;
        if (time(NULL) - st.st_mtime > SCRATCH_OLD_S) remove_tree(path);
    }
    if (d) closedir(d);
}

/* Is the engine there already, built from today's adapter sources? */
static bool is_current(const setup *s, ls_ref_status *out)
{
    ls_ref_manifest m;
    char            hash[65];
    return ls_ref_folder_check(out, s->kind, s->target) && out->state == LS_REF_READY &&
           ls_ref_manifest_read(&m, s->target) && ls_ref_adapter_hash(hash, NULL) == LS_OK &&
           strcmp(hash, m.adapter) == 0;
}

/* <engines>/llama -> llama-v0.5.0, swapped in one rename. */
static ls_status point_to(const setup *s, ls_error *err)
{
    char        link[LS_REF_PATH + 32], fresh[LS_REF_PATH + 32];
    const char *name = strrchr(s->target, '/') + 1;
    char        now[LS_REF_PATH];
    ssize_t     n;
    ls_path(link, sizeof(link), "%s/%s", s->engines, ls_ref_name(s->kind));
    n = readlink(link, now, sizeof(now) - 1);
    if (n > 0) now[n] = '\0';
    if (n > 0 && strcmp(now, name) == 0) return LS_OK;
    ls_path(fresh, sizeof(fresh), "%s/.%s-%ld", s->engines, ls_ref_name(s->kind), (long)getpid());
    unlink(fresh);
    if (symlink(name, fresh) != 0 || rename(fresh, link) != 0) {
        int e = errno;
        unlink(fresh);
        return ls_fail_errno(err, e, "cannot make the link '%.400s'", link);
    }
    return LS_OK;
}

/* Into place. An engine that is there already is exchanged when it was asked for or is no good;
 * one that somebody else has just installed is kept. */
static ls_status move_in(const setup *s, ls_error *err)
{
    ls_ref_status there;
    if (rename(s->made, s->target) == 0) return LS_OK;
    if (errno != EEXIST && errno != ENOTEMPTY) {
        return ls_fail_errno(err, errno, "cannot move the engine to '%.400s'", s->target);
    }
    if (!s->opt->force && is_current(s, &there)) return LS_OK;
    if (renameat2(AT_FDCWD, s->made, AT_FDCWD, s->target, RENAME_EXCHANGE) == 0) return LS_OK;
    /* a file system that cannot exchange: for a moment there is none */
    char old[LS_REF_PATH + 8];
    ls_path(old, sizeof(old), "%s/old", s->scratch);
    if (rename(s->target, old) != 0 || rename(s->made, s->target) != 0) {
        return ls_fail_errno(err, errno, "cannot replace the engine in '%.400s'", s->target);
    }
    return LS_OK;
}

/* Libraries and headers of an installed pinned build, by hard links: only the adapter is out of
 * date, and nothing needs fetching again. */
static bool reuse_pinned(const setup *s)
{
    char              lib[LS_REF_PATH + 16], headers[LS_REF_PATH + 16];
    const char *const argv[] = {"cp", "-al", lib, headers, s->made, NULL};
    ls_proc_options   opt = {.argv = argv};
    ls_ref_layout     layout;
    int               code = 1;
    if (s->opt->force || ls_ref_layout_find(&layout, s->target) != LS_REF_FOUND_ALL) return false;
    ls_path(lib, sizeof(lib), "%s/lib", s->target);
    ls_path(headers, sizeof(headers), "%s/headers", s->target);
    return ls_proc_run(&opt, 60, &code, NULL, 0, NULL) == LS_OK && code == 0;
}

/* What `git describe` calls a checkout; stays empty where there is none. */
static void describe(char *version, size_t cap, const char *dir)
{
    /* named in full, so that a GIT_DIR in the environment (in a hook, say) does not matter */
    char              git[LS_REF_PATH + 32], tree[LS_REF_PATH + 32], output[128];
    const char *const argv[] = {"git",    git,        tree,      "describe",
                                "--tags", "--always", "--dirty", NULL};
    ls_proc_options   opt = {.argv = argv};
    int               code = 1;
    ls_path(tree, sizeof(tree), "--work-tree=%s", dir);
    ls_path(git, sizeof(git), "--git-dir=%s/.git", dir);
    if (access(strchr(git, '=') + 1, F_OK) != 0) return;
    if (ls_proc_run(&opt, 30, &code, output, sizeof(output), NULL) != LS_OK || code != 0) return;
    if (!strchr(output, ' ')) snprintf(version, cap, "%.60s", output);
}

/* Fill s->made, from libraries and headers to an adapter that has said hello. */
static ls_status make_engine(const setup *s, ls_error *err)
{
    ls_ref_layout   layout;
    ls_ref_manifest m;
    const char     *from = s->dir[0] ? s->dir : s->made;
    memset(&m, 0, sizeof(m));
    snprintf(m.engine, sizeof(m.engine), "%s", ls_ref_name(s->kind));
    if (mkdir(s->made, 0777) != 0)
        return ls_fail_errno(err, errno, "cannot make '%.400s'", s->made);
    if (s->dir[0]) {
        memcpy(m.dir, s->dir, sizeof(m.dir));
        describe(m.version, sizeof(m.version), s->dir);
    } else {
        snprintf(m.version, sizeof(m.version), LS_REF_PINNED_VERSION);
        if (!reuse_pinned(s)) LS_TRY(ls_ref_npm_fetch(s->made, s->scratch, s->opt, err));
    }
    if (ls_ref_layout_find(&layout, from) != LS_REF_FOUND_ALL) {
        return ls_fail(err, LS_ERR_REFERENCE, "%s", layout.missing);
    }
    step(s, "compiling the adapter against its headers, and trying it");
    return ls_ref_build(s->kind, &layout, &m, s->made, err);
}

static ls_status install(setup *s, ls_error *err)
{
    ls_status status;
    sweep(s->engines);
    if (!ls_path(s->scratch, sizeof(s->scratch), "%s/" SCRATCH "%ld-XXXXXX", s->engines,
                 (long)getpid()) ||
        strlen(s->scratch) + 64 > sizeof(s->made)) {
        return ls_fail(err, LS_ERR_USAGE, "the path '%.400s' is too long", s->engines);
    }
    if (!mkdtemp(s->scratch)) return ls_fail_errno(err, errno, "cannot make '%.400s'", s->scratch);
    ls_path(s->made, sizeof(s->made), "%.480s/engine", s->scratch);
    status = make_engine(s, err);
    if (status == LS_OK) status = move_in(s, err);
    remove_tree(s->scratch);
    return status;
}

/* Where the engine comes from and goes to. */
static ls_status plan(setup *s, ls_error *err)
{
    char *real;
    bool  ok;
    if (!s->dirs->cache_dir || !s->dirs->cache_dir[0]) {
        return ls_fail(err, LS_ERR_USAGE, "no cache folder to install the engine into");
    }
    LS_TRY(make_folders(s->dirs->cache_dir, err));
    real = realpath(s->dirs->cache_dir, NULL);
    if (!real) return ls_fail_errno(err, errno, "cannot use '%.400s'", s->dirs->cache_dir);
    ok = ls_path(s->engines, sizeof(s->engines), "%s/engines", real) && strlen(real) < 350;
    free(real);
    if (!ok) return ls_fail(err, LS_ERR_USAGE, "the path of the cache folder is too long");
    LS_TRY(make_folders(s->engines, err));
    if (!s->opt->dir) {
        if (s->kind != LS_REF_LLAMA) {
            ls_fail(err, LS_ERR_REFERENCE,
                    "there is no ready-made %s to install: Lockstep needs the folder of a build",
                    ls_ref_display_name(s->kind));
            ls_fail_hint(err, "build microsoft/BitNet (it makes libllama and libggml of its fork, "
                              "no libbitnet), then: lockstep engine setup bitnet --dir DIR");
            return LS_ERR_REFERENCE;
        }
        ls_path(s->target, sizeof(s->target), "%.450s/" LS_REF_PINNED, s->engines);
        return LS_OK;
    }
    real = realpath(s->opt->dir, NULL);
    if (!real) {
        return ls_fail(err, LS_ERR_REFERENCE, "cannot use the folder '%.400s': %s", s->opt->dir,
                       strerror(errno));
    }
    ok = strlen(real) < 400 && !strchr(real, '\n') && ls_path(s->dir, sizeof(s->dir), "%s", real) &&
         ls_ref_dir_folder(s->target, sizeof(s->target), s->dirs, s->kind, real);
    free(real);
    return ok ? LS_OK : ls_fail(err, LS_ERR_USAGE, "the path '%.400s' cannot be used", s->opt->dir);
}

ls_status ls_ref_setup(ls_ref_kind kind, const ls_ref_dirs *dirs, const ls_setup_options *opt,
                       ls_ref_status *out, ls_error *err)
{
    static const ls_setup_options defaults;
    setup                         s = {.kind = kind, .dirs = dirs, .opt = opt ? opt : &defaults};
    memset(out, 0, sizeof(*out));
    out->kind = kind;
    out->state = LS_REF_ABSENT;
    LS_TRY(plan(&s, err));
    if (s.opt->force || !is_current(&s, out)) LS_TRY(install(&s, err));
    LS_TRY(point_to(&s, err));
    if (!ls_ref_folder_check(out, kind, s.target) || out->state != LS_REF_READY) {
        return ls_fail(err, LS_ERR_REFERENCE, "the engine in '%.200s' was set up, but: %.200s",
                       s.target, out->missing);
    }
    snprintf(out->source, sizeof(out->source), "%s", s.dir[0] ? "--dir" : "npm");
    return LS_OK;
}
