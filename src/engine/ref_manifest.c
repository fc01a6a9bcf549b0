// SPDX-License-Identifier: MIT
/* ref_manifest.c - reading, writing and judging engine folders (ref_manifest.h). */
#include "engine/ref_manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapters/ref_protocol.h"
#include "base/outfile.h"

void ls_ref_stamp(char *out, size_t cap, const char *path)
{
    struct stat st;
    out[0] = '\0';
    if (stat(path, &st) != 0) return;
    snprintf(out, cap, "%lld:%lld.%09ld", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
             st.st_mtim.tv_nsec);
}

/* The text fields by key; `path` fields are relative to the folder unless absolute. */
typedef struct field {
    const char *key;
    size_t      at, cap;
    bool        path;
} field;
#define FIELD(name, is_path)                                                                       \
    {                                                                                              \
#name, offsetof(ls_ref_manifest, name), sizeof(((ls_ref_manifest *)0)->name), is_path      \
    }
static const field fields[] = {
    FIELD(adapter, false), FIELD(engine, false), FIELD(version, false), FIELD(dir, false),
    FIELD(header, true),   FIELD(stamp, false),  FIELD(lib_dir, true),
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static bool take_value(char *out, size_t cap, const char *folder, const char *value, bool path)
{
    if (!path || value[0] == '/') return ls_path(out, cap, "%s", value);
    return ls_path(out, cap, "%s/%s", folder, value);
}

static bool take_line(ls_ref_manifest *m, const char *folder, const char *key, const char *value)
{
    if (strcmp(key, "protocol") == 0) m->protocol = (unsigned)strtoul(value, NULL, 10);
    if (strcmp(key, "library") == 0) {
        if (m->n_libraries == LS_REF_MAX_LIBRARIES) return false;
        return take_value(m->libraries[m->n_libraries++], LS_REF_PATH, folder, value, true);
    }
    for (size_t i = 0; i < N_FIELDS; i++) {
        if (strcmp(key, fields[i].key) != 0) continue;
        return take_value((char *)m + fields[i].at, fields[i].cap, folder, value, fields[i].path);
    }
    return true;
}

bool ls_ref_manifest_read(ls_ref_manifest *out, const char *folder)
{
    char  line[LS_REF_PATH + 64];
    FILE *f;
    bool  ok = true;
    memset(out, 0, sizeof(*out));
    if (!ls_path(line, sizeof(line), "%s/" LS_REF_MANIFEST, folder)) return false;
    f = fopen(line, "re");
    if (!f) return false;
    while (ok && fgets(line, sizeof(line), f)) {
        char *space;
        line[strcspn(line, "\n")] = '\0';
        space = strchr(line, ' ');
        if (!space) continue;
        *space = '\0';
        ok = take_line(out, folder, line, space + 1);
    }
    fclose(f);
    return ok && out->engine[0];
}

static void put_path(FILE *f, const char *key, const char *path, const char *folder)
{
    size_t n = strlen(folder);
    bool   inside = strncmp(path, folder, n) == 0 && path[n] == '/';
    fprintf(f, "%s %s\n", key, inside ? path + n + 1 : path);
}

ls_status ls_ref_manifest_write(const ls_ref_manifest *m, const char *folder, ls_error *err)
{
    char       path[LS_REF_PATH + 32];
    ls_outfile o;
    if (!ls_path(path, sizeof(path), "%s/" LS_REF_MANIFEST, folder)) {
        return ls_fail(err, LS_ERR_USAGE, "the path '%.400s' is too long", folder);
    }
    LS_TRY(ls_outfile_open(&o, path, err));
    fprintf(o.f, "protocol %u\n", m->protocol);
    for (size_t i = 0; i < N_FIELDS; i++) {
        const char *value = (const char *)m + fields[i].at;
        if (value[0]) put_path(o.f, fields[i].key, value, fields[i].path ? folder : "\n");
    }
    for (size_t i = 0; i < m->n_libraries; i++) put_path(o.f, "library", m->libraries[i], folder);
    return ls_outfile_commit(&o, err);
}

/* The command that builds this engine again. */
static void tell_fix(ls_ref_status *out, const ls_ref_manifest *m)
{
    if (m->dir[0]) {
        ls_path(out->fix, sizeof(out->fix), "lockstep engine setup %s --dir '%s'",
                ls_ref_name(out->kind), m->dir);
    } else {
        ls_path(out->fix, sizeof(out->fix), "lockstep engine setup %s%s", ls_ref_name(out->kind),
                out->state == LS_REF_INCOMPLETE ? " --force" : "");
    }
}

bool ls_ref_folder_check(ls_ref_status *out, ls_ref_kind kind, const char *folder)
{
    ls_ref_manifest m;
    char            stamp[64], exe[LS_REF_PATH];
    if (!ls_ref_manifest_read(&m, folder) || strcmp(m.engine, ls_ref_name(kind)) != 0) return false;
    out->kind = kind;
    out->state = LS_REF_READY;
    out->missing[0] = out->fix[0] = out->exe[0] = '\0';
    snprintf(out->version, sizeof(out->version), "%s", m.version);
    snprintf(out->lib_dir, sizeof(out->lib_dir), "%s", m.lib_dir);
    for (size_t i = 0; i < m.n_libraries; i++) {
        if (access(m.libraries[i], R_OK) == 0) continue;
        out->state = LS_REF_INCOMPLETE;
        ls_path(out->missing, sizeof(out->missing), "the library '%.400s' is gone", m.libraries[i]);
    }
    ls_ref_stamp(stamp, sizeof(stamp), m.header);
    if (out->state == LS_REF_READY && stamp[0] && m.stamp[0] && strcmp(stamp, m.stamp) != 0) {
        out->state = LS_REF_UNBUILT;
        ls_path(out->missing, sizeof(out->missing),
                "'%.300s' has changed since the adapter was compiled against it", m.header);
    }
    if (out->state == LS_REF_READY && m.protocol != LS_REF_VERSION) {
        out->state = LS_REF_UNBUILT;
        ls_path(out->missing, sizeof(out->missing),
                "the adapter was built by another version of Lockstep");
    }
    if (!ls_path(exe, sizeof(exe), "%s/lockstep-ref-%s", folder, m.engine) ||
        (out->state == LS_REF_READY && access(exe, X_OK) != 0)) {
        out->state = LS_REF_INCOMPLETE;
        ls_path(out->missing, sizeof(out->missing), "the adapter program '%.400s' is gone", exe);
    }
    if (out->state == LS_REF_READY)
        memcpy(out->exe, exe, sizeof(out->exe));
    else
        tell_fix(out, &m);
    return true;
}
