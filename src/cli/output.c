// SPDX-License-Identifier: MIT
/* output.c - files in and out: whole files read, complete files written, sizes for people. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

ls_status cli_output_open(cli_output *o, const char *path, ls_error *err)
{
    struct stat st;
    *o = (cli_output){0};
    if (!path || strcmp(path, "-") == 0) {
        o->f = stdout;
        return LS_OK;
    }
    if (strlen(path) >= sizeof(o->path))
        return ls_fail(err, LS_ERR_USAGE, "the output path is longer than %zu bytes",
                       sizeof(o->path) - 1);
    snprintf(o->path, sizeof(o->path), "%s", path);
    /* /dev/null must stay what it is: only regular files are replaced. */
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        o->f = fopen(path, "wb");
    } else {
        snprintf(o->tmp, sizeof(o->tmp), "%s.%ld.part", path, (long)getpid());
        o->f = fopen(o->tmp, "wb");
    }
    return o->f ? LS_OK : ls_fail_errno(err, errno, "cannot write '%s'", path);
}

ls_status cli_output_commit(cli_output *o, ls_error *err)
{
    bool ok;
    int  saved;
    if (!o->f) return LS_OK;
    ok = fflush(o->f) == 0 && !ferror(o->f);
    saved = ok ? 0 : errno;
    if (o->f == stdout) {
        o->f = NULL;
        return ok ? LS_OK : ls_fail_errno(err, saved, "cannot write to standard output");
    }
    if (fclose(o->f) != 0 && ok) ok = false, saved = errno;
    o->f = NULL;
    if (ok && o->tmp[0] && rename(o->tmp, o->path) != 0) ok = false, saved = errno;
    if (!ok && o->tmp[0]) remove(o->tmp);
    o->tmp[0] = '\0';
    return ok ? LS_OK : ls_fail_errno(err, saved ? saved : EIO, "cannot write '%s'", o->path);
}

void cli_output_abort(cli_output *o)
{
    if (o->f && o->f != stdout) fclose(o->f);
    if (o->f && o->tmp[0]) remove(o->tmp);
    o->f = NULL;
}

/* Everything left in `f` into *text; errno tells of a failure. */
static bool read_all(FILE *f, char **text, size_t *len)
{
    size_t cap = 0;
    *text = NULL;
    *len = 0;
    for (;;) {
        if (cap - *len < 4096 + 1) {
            char *grown = realloc(*text, cap = cap * 2 + 65536);
            if (!grown) return false;
            *text = grown;
        }
        errno = 0;
        size_t n = fread(*text + *len, 1, cap - *len - 1, f);
        *len += n;
        if (n == 0) break;
    }
    (*text)[*len] = '\0';
    return !ferror(f);
}

ls_status cli_read_file(const char *path, char **text, size_t *len, ls_error *err)
{
    bool  is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "rb");
    bool  ok;
    int   saved;
    *text = NULL;
    *len = 0;
    if (!f) return ls_fail_errno(err, errno, "cannot open '%s'", path);
    ok = read_all(f, text, len);
    saved = errno;
    if (!is_stdin) fclose(f);
    if (ok) return LS_OK;
    free(*text);
    *text = NULL;
    if (saved == ENOMEM) return ls_fail(err, LS_ERR_NOMEM, "'%s' does not fit into memory", path);
    return ls_fail_errno(err, saved, "cannot read %s%s%s", is_stdin ? "" : "'",
                         is_stdin ? "standard input" : path, is_stdin ? "" : "'");
}

const char *cli_format_bytes(uint64_t n, char *buf, size_t cap)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double                   x = (double)n;
    size_t                   u = 0;
    while (x >= 1024 && u + 1 < sizeof(units) / sizeof(units[0])) x /= 1024, u++;
    snprintf(buf, cap, u == 0 ? "%.0f %s" : "%.1f %s", x, units[u]);
    return buf;
}

const char *cli_format_count(uint64_t n, char *buf, size_t cap)
{
    char   digits[24];
    size_t len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n), k = 0;
    for (size_t i = 0; i < len && k + 2 < cap; i++) {
        if (i > 0 && (len - i) % 3 == 0) buf[k++] = ',';
        buf[k++] = digits[i];
    }
    if (cap) buf[k] = '\0';
    return buf;
}
