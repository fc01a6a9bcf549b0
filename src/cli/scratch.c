// SPDX-License-Identifier: MIT
/* scratch.c - a Hugging Face folder for engines that read GGUF alone. */
#include "cli/scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

ls_status cli_scratch_gguf(cli_scratch *s, cli_context *ctx, const ls_gguf *g, ls_error *err)
{
    cli_progress       progress;
    ls_convert_options convert = {
        .dtype = -1, .progress = cli_progress_update, .progress_ctx = &progress};
    ls_status status;
    int n = snprintf(s->folder, sizeof(s->folder), "%s/lockstep-XXXXXX", ctx->env->scratch_dir);
    if (n < 0 || (size_t)n >= sizeof(s->folder)) {
        s->folder[0] = '\0';
        return ls_fail(err, LS_ERR_USAGE, "the path in TMPDIR is too long");
    }
    if (!mkdtemp(s->folder)) {
        s->folder[0] = '\0';
        ls_fail_errno(err, errno, "cannot make a scratch folder in '%s'", ctx->env->scratch_dir);
        ls_fail_hint(err, "set TMPDIR to a folder with room for the model");
        return LS_ERR_IO;
    }
    snprintf(s->file, sizeof(s->file), "%s/model.gguf", s->folder);
    cli_note(ctx,
             "note: the reference does not read Hugging Face folders; it gets the model as "
             "GGUF, written to %s and removed again",
             s->folder);
    cli_progress_begin(&progress, ctx, "converting");
    status = ls_convert_to_gguf(s->file, g, &convert, err);
    cli_progress_end(&progress);
    if (status != LS_OK) cli_scratch_remove(s);
    return status;
}

void cli_scratch_remove(cli_scratch *s)
{
    if (!s->folder[0]) return;
    unlink(s->file);
    rmdir(s->folder);
    s->folder[0] = '\0';
}
