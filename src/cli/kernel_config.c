// SPDX-License-Identifier: MIT
/* kernel_config.c - bitnet.cpp's kernel_config.ini: how the matrices of TL1 and TL2 are cut. */
#include "cli/kernel_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static ls_status bad(const char *path, size_t line, const char *why, ls_error *err)
{
    ls_fail(err, LS_ERR_FORMAT, "%s", why);
    ls_fail_at(err, "%s: line %zu", path, line);
    return LS_ERR_FORMAT;
}

/* "name = 123" into the section's five numbers. */
static bool assign(uint32_t section[5], const char *text)
{
    static const char *const names[5] = {"m", "k", "bm", "bk", "bmm"};
    char                     name[8], end;
    unsigned                 v;
    if (sscanf(text, " %7[A-Za-z_] = %9u %c", name, &v, &end) != 2 || v == 0) return false;
    for (size_t i = 0; i < 5; i++) {
        if (strcasecmp(name, names[i]) != 0) continue;
        section[i] = v;
        return true;
    }
    return false;
}

static ls_status read_lines(kernel_config *out, FILE *f, const char *path, ls_error *err)
{
    char   line[128];
    size_t n_line = 0;
    while (fgets(line, sizeof(line), f)) {
        const char *p = line + strspn(line, " \t\r\n");
        n_line++;
        if (*p == '\0' || *p == '#' || *p == ';') continue;
        if (*p == '[') {
            if (out->n == KERNEL_CONFIG_MAX) return bad(path, n_line, "too many sections", err);
            memset(out->kernels[out->n++], 0, sizeof(out->kernels[0]));
        } else if (!out->n || !assign(out->kernels[out->n - 1], p)) {
            return bad(path, n_line,
                       "this is none of m, k, bm, bk and bmm of a section, each with a number",
                       err);
        }
    }
    for (size_t i = 0; i < 5 * out->n; i++) {
        if (out->kernels[i / 5][i % 5]) continue;
        return bad(path, n_line, "a section lacks one of m, k, bm, bk and bmm", err);
    }
    return out->n ? LS_OK : bad(path, n_line, "there is no section", err);
}

ls_status kernel_config_read(kernel_config *out, const char *path, ls_error *err)
{
    FILE     *f = fopen(path, "r");
    ls_status status;
    out->n = 0;
    if (!f) return ls_fail_errno(err, errno, "cannot open '%s'", path);
    status = read_lines(out, f, path, err);
    fclose(f);
    return status;
}
