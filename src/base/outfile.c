// SPDX-License-Identifier: MIT
/* outfile.c - nothing a user has is lost: write beside, sync, rename. */
#include "base/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ls_status ls_outfile_open(ls_outfile *o, const char *path, ls_error *err)
{
    int fd, n;
    memset(o, 0, sizeof(*o));
    n = snprintf(o->path, sizeof(o->path), "%s", path);
    if (n < 0 || (size_t)n >= sizeof(o->path)) {
        return ls_fail_errno(err, ENAMETOOLONG, "cannot write '%.100s...'", path);
    }
    snprintf(o->tmp, sizeof(o->tmp), "%s.tmp-%ld", path, (long)getpid());
    fd = open(o->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) return ls_fail_errno(err, errno, "cannot write '%s'", path);
    o->f = fdopen(fd, "wb");
    if (!o->f) {
        int e = errno;
        close(fd);
        unlink(o->tmp);
        return ls_fail_errno(err, e, "cannot write '%s'", path);
    }
    return LS_OK;
}

ls_status ls_outfile_commit(ls_outfile *o, ls_error *err)
{
    int failed = 0;
    errno = 0;
    if (ferror(o->f)) failed = errno ? errno : EIO;
    if (fflush(o->f) != 0 && !failed) failed = errno;
    if (!failed && fsync(fileno(o->f)) != 0 && errno != EINVAL && errno != EROFS) failed = errno;
    if (fclose(o->f) != 0 && !failed) failed = errno;
    o->f = NULL;
    if (!failed && rename(o->tmp, o->path) != 0) failed = errno;
    if (!failed) return LS_OK;
    unlink(o->tmp);
    return ls_fail_errno(err, failed, "cannot write '%s'", o->path);
}

void ls_outfile_abort(ls_outfile *o)
{
    if (!o || !o->f) return;
    fclose(o->f);
    o->f = NULL;
    unlink(o->tmp);
}
