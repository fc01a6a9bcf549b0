// SPDX-License-Identifier: MIT
/* error.c - recording errors, their names and their exit codes. */
#include "lockstep/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One row per status: its name, and the exit code of the public contract. */
static const struct {
    const char *name;
    int         exit_code;
} statuses[] = {
    [LS_OK] = {"ok", 0},
    [LS_ERR_USAGE] = {"usage", 64},
    [LS_ERR_IO] = {"io", 5},
    [LS_ERR_FORMAT] = {"format", 5},
    [LS_ERR_UNSUPPORTED] = {"unsupported", 5},
    [LS_ERR_LIMIT] = {"limit", 6},
    [LS_ERR_NOMEM] = {"memory", 6},
    [LS_ERR_REFERENCE] = {"reference", 3},
    [LS_ERR_TEMPLATE] = {"template", 4},
    [LS_ERR_CANCELLED] = {"cancelled", 130},
    [LS_ERR_INTERNAL] = {"internal", 70},
};

ls_status ls_fail(ls_error *err, ls_status status, const char *fmt, ...)
{
    va_list ap;
    if (!err || err->status != LS_OK) return status;
    err->status = status;
    va_start(ap, fmt);
    vsnprintf(err->what, sizeof(err->what), fmt, ap);
    va_end(ap);
    return status;
}

ls_status ls_fail_errno(ls_error *err, int sys_errno, const char *fmt, ...)
{
    va_list ap;
    size_t  n;
    if (!err || err->status != LS_OK) return LS_ERR_IO;
    err->status = LS_ERR_IO;
    err->sys_errno = sys_errno;
    va_start(ap, fmt);
    vsnprintf(err->what, sizeof(err->what), fmt, ap);
    va_end(ap);
    n = strlen(err->what);
    snprintf(err->what + n, sizeof(err->what) - n, ": %s", strerror(sys_errno));
    return LS_ERR_IO;
}

ls_status ls_fail_at(ls_error *err, const char *fmt, ...)
{
    va_list ap;
    if (!err) return LS_ERR_INTERNAL;
    if (err->status != LS_OK && !err->where[0]) {
        va_start(ap, fmt);
        vsnprintf(err->where, sizeof(err->where), fmt, ap);
        va_end(ap);
    }
    return err->status;
}

ls_status ls_fail_hint(ls_error *err, const char *fmt, ...)
{
    va_list ap;
    if (!err) return LS_ERR_INTERNAL;
    if (err->status != LS_OK && !err->hint[0]) {
        va_start(ap, fmt);
        vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
        va_end(ap);
    }
    return err->status;
}

void ls_error_clear(ls_error *err)
{
    if (err) memset(err, 0, sizeof(*err));
}

const char *ls_status_name(ls_status status)
{
    size_t i = (size_t)status;
    return i < sizeof(statuses) / sizeof(statuses[0]) ? statuses[i].name : "internal";
}

int ls_exit_code(ls_status status, const ls_error *err)
{
    size_t i = (size_t)status;
    if (i >= sizeof(statuses) / sizeof(statuses[0])) return 70;
    if (status == LS_ERR_IO && err) {
        int e = err->sys_errno;
        if (e == ENOSPC || e == EDQUOT || e == ENOMEM || e == EMFILE || e == ENFILE) return 6;
    }
    return statuses[i].exit_code;
}
