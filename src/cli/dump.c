// SPDX-License-Identifier: MIT
/* dump.c - logits to files, written beside and renamed. */
#include "cli/dump.h"

#include <errno.h>

static ls_status open_one(cli_output *o, const char *prefix, const char *suffix, ls_error *err)
{
    char path[4096];
    int  n = snprintf(path, sizeof(path), "%s.%s.f32", prefix, suffix);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return ls_fail_errno(err, ENAMETOOLONG, "cannot write the logits");
    }
    return cli_output_open(o, path, err);
}

ls_status cli_dump_open(cli_dump *d, const char *prefix, bool subject, bool reference,
                        ls_error *err)
{
    if (subject) LS_TRY(open_one(&d->subject, prefix, "subject", err));
    if (reference) LS_TRY(open_one(&d->reference, prefix, "reference", err));
    return LS_OK;
}

static ls_status write_row(cli_output *o, const float *row, size_t n, ls_error *err)
{
    if (!o->f || !row) return LS_OK;
    if (fwrite(row, sizeof(float), n, o->f) == n) return LS_OK;
    return ls_fail_errno(err, errno, "cannot write '%s'", o->path);
}

ls_status cli_dump_rows(void *dump, const float *subject, const float *reference, size_t n,
                        ls_error *err)
{
    cli_dump *d = dump;
    LS_TRY(write_row(&d->subject, subject, n, err));
    return write_row(&d->reference, reference, n, err);
}

ls_status cli_dump_commit(cli_dump *d, ls_error *err)
{
    if (d->subject.f) LS_TRY(cli_output_commit(&d->subject, err));
    if (d->reference.f) LS_TRY(cli_output_commit(&d->reference, err));
    return LS_OK;
}

void cli_dump_abort(cli_dump *d)
{
    cli_output_abort(&d->subject);
    cli_output_abort(&d->reference);
}
