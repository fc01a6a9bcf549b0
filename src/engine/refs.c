// SPDX-License-Identifier: MIT
/* refs.c - the kinds of references, and where they are looked for.
 *
 * The order of discovery (rules[] below). A folder that the user names decides as soon as it
 * holds a libllama, whether its adapter is built or not: Lockstep never compares with another
 * build than the one that was asked for. A named folder without one is passed over, with a note
 * in `missing`; BITNET_CROSSVAL_LIBDIR is exclusive: where it is set, nothing else is looked at.
 *
 *   1 BITNET_CROSSVAL_LIBDIR        both kinds, exclusive
 *   2 CROSSVAL_RPATH_LLAMA, _BITNET folders separated by ':'
 *   3 LLAMA_CPP_DIR, BITNET_CPP_DIR a checkout or an installation
 *   4 BITNET_CPP_PATH               the same, for bitnet
 *   5 the cache                     what `lockstep engine setup` set up last
 *   6 ~/.cache/bitnet_cpp           for bitnet
 *
 * A folder is either an engine folder (it has engine.manifest) or an installation; the adapter
 * for an installation is in the cache under a name made from the installation's real path.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/ref_manifest.h"
#include "engine/refs.h"
#include "lockstep/hash.h"

static const struct {
    const char *name, *display_name;
} kinds[LS_N_REFS] = {
    [LS_REF_LLAMA] = {"llama", "llama.cpp"}, [LS_REF_BITNET] = {"bitnet", "bitnet.cpp"}};

const char *ls_ref_name(ls_ref_kind kind) { return kinds[kind].name; }

const char *ls_ref_display_name(ls_ref_kind kind) { return kinds[kind].display_name; }

bool ls_ref_parse(const char *name, ls_ref_kind *out)
{
    for (int i = 0; name && i < LS_N_REFS; i++) {
        if (strcmp(name, kinds[i].name) != 0) continue;
        *out = (ls_ref_kind)i;
        return true;
    }
    return false;
}

ls_ref_kind ls_ref_for_model(const char *model_path)
{
    static const char needle[] = "bitnet";
    for (const char *p = model_path; p && *p; p++) {
        size_t n = 0;
        while (needle[n] && tolower((unsigned char)p[n]) == needle[n]) n++;
        if (!needle[n]) return LS_REF_BITNET;
    }
    return LS_REF_LLAMA;
}

bool ls_ref_dir_folder(char *out, size_t cap, const ls_ref_dirs *dirs, ls_ref_kind kind,
                       const char *real)
{
    uint8_t  digest[LS_HASH_MAX];
    char     hex[2 * LS_HASH_MAX + 1];
    ls_hash *h;
    if (!dirs->cache_dir || ls_hash_create(&h, LS_SHA256, NULL) != LS_OK) return false;
    ls_hash_update(h, real, strlen(real));
    ls_hex(hex, digest, ls_hash_final(h, digest));
    ls_hash_destroy(h);
    return ls_path(out, cap, "%s/engines/%s-dir-%.16s", dirs->cache_dir, ls_ref_name(kind), hex);
}

/* One installation folder: its adapter in the cache, else what could be adopted. False: nothing
 * there, and out->missing says so. */
static bool look_into(ls_ref_status *out, ls_ref_kind kind, const ls_ref_dirs *dirs,
                      const char *folder)
{
    char          adapter[LS_REF_PATH], *real = realpath(folder, NULL);
    ls_ref_layout layout;
    ls_ref_found  found = LS_REF_FOUND_NOTHING;
    if (!real || strlen(real) > 400) {
        ls_path(out->missing, sizeof(out->missing), "the folder '%.400s' is not there", folder);
        free(real);
        return false;
    }
    if (ls_ref_folder_check(out, kind, real) ||
        (ls_ref_dir_folder(adapter, sizeof(adapter), dirs, kind, real) &&
         ls_ref_folder_check(out, kind, adapter))) {
        free(real);
        return true;
    }
    found = ls_ref_layout_find(&layout, real);
    memcpy(out->missing, layout.missing, sizeof(out->missing));
    if (found == LS_REF_FOUND_ALL) {
        out->state = LS_REF_UNBUILT;
        ls_path(out->missing, sizeof(out->missing), "the adapter for '%.400s' is not compiled yet",
                real);
    } else if (found == LS_REF_FOUND_PART) {
        out->state = LS_REF_INCOMPLETE;
    }
    if (found != LS_REF_FOUND_NOTHING) {
        memcpy(out->lib_dir, layout.lib_dir, sizeof(out->lib_dir));
        ls_path(out->fix, sizeof(out->fix), "lockstep engine setup %s --dir '%s'",
                ls_ref_name(kind), real);
    }
    free(real);
    return found != LS_REF_FOUND_NOTHING;
}

/* A rule's value: the folder or folders to look into. */
typedef const char *value_fn(const ls_ref_dirs *d, ls_ref_kind kind, char *buf, size_t cap);

static const char *libdir_value(const ls_ref_dirs *d, ls_ref_kind kind, char *buf, size_t cap)
{
    (void)kind, (void)buf, (void)cap;
    return d->crossval_libdir;
}

static const char *rpath_value(const ls_ref_dirs *d, ls_ref_kind kind, char *buf, size_t cap)
{
    (void)buf, (void)cap;
    return d->rpath[kind];
}

static const char *cpp_dir_value(const ls_ref_dirs *d, ls_ref_kind kind, char *buf, size_t cap)
{
    (void)buf, (void)cap;
    return kind == LS_REF_BITNET ? d->bitnet_cpp_dir : d->llama_cpp_dir;
}

static const char *cpp_path_value(const ls_ref_dirs *d, ls_ref_kind kind, char *buf, size_t cap)
{
    (void)kind, (void)buf, (void)cap;
    return d->bitnet_cpp_path;
}

/* The engine that was set up last; else the pinned one, should the link be lost. */
static const char *cache_value(const ls_ref_dirs *d, ls_ref_kind kind, char *buf, size_t cap)
{
    if (!d->cache_dir) return NULL;
    if (!ls_path(buf, cap, "%s/engines/%s", d->cache_dir, ls_ref_name(kind))) return NULL;
    if (access(buf, F_OK) == 0 || kind != LS_REF_LLAMA) return access(buf, F_OK) == 0 ? buf : NULL;
    if (!ls_path(buf, cap, "%s/engines/" LS_REF_PINNED, d->cache_dir)) return NULL;
    return access(buf, F_OK) == 0 ? buf : NULL;
}

static const char *home_value(const ls_ref_dirs *d, ls_ref_kind kind, char *buf, size_t cap)
{
    (void)kind;
    if (!d->home || !d->home[0] || !ls_path(buf, cap, "%s/.cache/bitnet_cpp", d->home)) return NULL;
    return access(buf, F_OK) == 0 ? buf : NULL;
}

static const struct {
    const char *source[LS_N_REFS]; /* name of the rule for each kind; NULL: not for this kind */
    value_fn   *value;
    bool        exclusive; /* where it is set, no later rule is asked         */
    bool        list;      /* folders separated by ':'                        */
    bool        named;     /* by the user: worth a note when nothing is there */
} rules[] = {
    {{"BITNET_CROSSVAL_LIBDIR", "BITNET_CROSSVAL_LIBDIR"}, libdir_value, true, false, true},
    {{"CROSSVAL_RPATH_LLAMA", "CROSSVAL_RPATH_BITNET"}, rpath_value, false, true, true},
    {{"LLAMA_CPP_DIR", "BITNET_CPP_DIR"}, cpp_dir_value, false, false, true},
    {{NULL, "BITNET_CPP_PATH"}, cpp_path_value, false, false, true},
    {{"cache", "cache"}, cache_value, false, false, false},
    {{NULL, "~/.cache/bitnet_cpp"}, home_value, false, false, false},
};

/* Try each folder of a rule's value. */
static bool try_rule(ls_ref_status *out, size_t rule, const ls_ref_dirs *dirs, const char *value)
{
    char one[LS_REF_PATH];
    if (!rules[rule].list) return look_into(out, out->kind, dirs, value);
    while (*value) {
        size_t n = strcspn(value, ":");
        if (n > 0 && ls_path(one, sizeof(one), "%.*s", (int)n, value) &&
            look_into(out, out->kind, dirs, one)) {
            return true;
        }
        value += n + (value[n] == ':');
    }
    return false;
}

/* Nothing anywhere: what to do about it. */
static void tell_absent(ls_ref_status *out, const char *note)
{
    bool bitnet = out->kind == LS_REF_BITNET;
    out->state = LS_REF_ABSENT;
    out->source[0] = out->lib_dir[0] = '\0';
    ls_path(out->missing, sizeof(out->missing), "%s%s%s", note, note[0] ? "; " : "",
            bitnet ? "no build of bitnet.cpp was found (its repository, microsoft/BitNet, builds "
                     "no libbitnet: what is needed is the libllama and libggml of its fork)"
                   : "llama.cpp is not installed");
    ls_path(out->fix, sizeof(out->fix), "%s",
            bitnet ? "lockstep engine setup bitnet --dir DIR   (DIR: a built checkout of "
                     "microsoft/BitNet)"
                   : "lockstep engine setup llama");
}

void ls_ref_find(ls_ref_status *out, ls_ref_kind kind, const ls_ref_dirs *dirs)
{
    char note[200] = "", buf[LS_REF_PATH];
    memset(out, 0, sizeof(*out));
    out->kind = kind;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const char *value, *source = rules[i].source[kind];
        value = source ? rules[i].value(dirs, kind, buf, sizeof(buf)) : NULL;
        if (!value || !value[0]) continue;
        if (try_rule(out, i, dirs, value)) {
            snprintf(out->source, sizeof(out->source), "%s", source);
            if (out->state == LS_REF_READY) memcpy(out->missing, note, sizeof(note));
            return;
        }
        if (rules[i].named && !note[0]) {
            snprintf(note, sizeof(note), "%s is set, but %.140s", source, out->missing);
        }
        if (rules[i].exclusive) {
            out->state = LS_REF_ABSENT;
            memcpy(out->missing, note, sizeof(note));
            snprintf(out->source, sizeof(out->source), "%s", source);
            snprintf(out->fix, sizeof(out->fix), "unset %s, or set it to a folder with libllama.so",
                     source);
            return;
        }
    }
    tell_absent(out, note);
}
