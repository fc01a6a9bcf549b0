// SPDX-License-Identifier: MIT
/* tracing.c - traces that commands leave behind. They are recorded by a run of their own, so that
 * what the command itself computes, measures and prints is the same with and without. */
#include "cli/tracing.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH = 4096 };

static ls_status run(const cli_tracing *t, const ls_trace_options *opt, bool watched, ls_trace *out,
                     ls_error *err)
{
    ls_engine_options eo = *t->engine;
    ls_recorder      *r;
    ls_engine        *e = NULL;
    ls_status         status;
    LS_TRY(ls_recorder_create(&r, opt, err));
    if (watched) eo.watch = ls_recorder_watch(r);
    status = t->exe ? ls_engine_open_reference(&e, t->exe, &eo, err)
                    : ls_engine_open_native(&e, &eo, err);
    if (status == LS_OK) status = ls_recorder_run(r, e, out, err);
    ls_engine_close(e);
    ls_recorder_destroy(r);
    return status;
}

/* The same run with nobody watching: are the logits the same? */
static ls_status check_effect(const cli_tracing *t, ls_trace *trace, ls_error *err)
{
    ls_trace_options blind = t->trace;
    ls_trace         other = {0};
    ls_status        status;
    memset(blind.ops, 0, sizeof(blind.ops));
    blind.values_path = NULL;
    status = run(t, &blind, false, &other, err);
    if (status == LS_OK) trace->perturbed = strcmp(other.logits_sha256, trace->logits_sha256) != 0;
    ls_trace_fini(&other);
    return status;
}

static const char *path_in(const char *folder, const char *name, char path[PATH])
{
    snprintf(path, PATH, "%.4000s/%s", folder, name);
    return path;
}

bool cli_tracing_is_there(const char *folder)
{
    static const char *const names[] = {"manifest.json", "trace.jsonl"};
    struct stat              sb;
    char                     path[PATH];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (stat(path_in(folder, names[i], path), &sb) == 0) return true;
    }
    return false;
}

static ls_status make_folder(const char *folder, ls_error *err)
{
    if (mkdir(folder, 0777) == 0 || errno == EEXIST) return LS_OK;
    return ls_fail_errno(err, errno, "cannot make the folder '%s'", folder);
}

ls_status cli_tracing_record(const cli_context *ctx, const cli_tracing *t, ls_trace *out,
                             ls_error *err)
{
    ls_trace_options opt = t->trace;
    ls_str           arch = {"", 0};
    char             path[PATH];
    cli_progress     progress;
    ls_status        status;
    LS_TRY(make_folder(t->folder, err));
    unlink(path_in(t->folder, "manifest.json", path)); /* what is half written is no trace */
    unlink(path_in(t->folder, "values.safetensors", path));
    if (t->values) opt.values_path = path;
    opt.progress = cli_progress_update;
    opt.progress_ctx = &progress;
    cli_progress_begin(&progress, ctx, "tracing");
    status = run(t, &opt, true, out, err);
    if (status == LS_OK && !t->no_check) status = check_effect(t, out, err);
    cli_progress_end(&progress);
    LS_TRY(status);
    ls_gguf_str(t->gguf, "general.architecture", &arch);
    snprintf(out->arch, sizeof(out->arch), "%.*s", LS_FMT(arch));
    snprintf(out->model_path, sizeof(out->model_path), "%.500s", t->model_path);
    LS_TRY(ls_gguf_sha256(out->model_sha256, t->gguf, err));
    return ls_trace_write(out, t->folder, t->per_file, err);
}

/* ---- LOCKSTEP_TRACE_DIR ---- */

/* The folder that the variable names, or one in it; NULL: it is not set. */
static const char *env_folder(const cli_context *ctx, const char *sub, char path[PATH])
{
    if (!ctx->env->trace_dir) return NULL;
    if (sub) return path_in(ctx->env->trace_dir, sub, path);
    snprintf(path, PATH, "%.4000s", ctx->env->trace_dir);
    return path;
}

ls_status cli_tracing_check(const cli_context *ctx, const char *sub, ls_error *err)
{
    char        path[PATH];
    const char *folder = env_folder(ctx, sub, path);
    struct stat sb;
    if (!folder) return LS_OK;
    LS_TRY(make_folder(folder, err));
    if (stat(folder, &sb) == 0 && !S_ISDIR(sb.st_mode)) {
        ls_fail(err, LS_ERR_IO, "'%s' is no folder", folder);
        return ls_fail_hint(err, "%s asks for traces there", ctx->env->trace_name), LS_ERR_IO;
    }
    if (access(folder, W_OK | X_OK) != 0) {
        ls_fail_errno(err, errno, "traces cannot be written to '%s'", folder);
        return ls_fail_hint(err, "%s asks for them", ctx->env->trace_name), LS_ERR_IO;
    }
    if (!cli_tracing_is_there(folder)) return LS_OK;
    ls_fail(err, LS_ERR_USAGE, "'%s' holds a trace already", folder);
    ls_fail_hint(err, "let %s name another folder, or unset it", ctx->env->trace_name);
    return LS_ERR_USAGE;
}

ls_status cli_tracing_write(const cli_context *ctx, const cli_tracing *t, const char *sub,
                            ls_error *err)
{
    char              path[PATH];
    cli_tracing       all = *t;
    ls_engine_options engine = *t->engine;
    ls_trace          trace = {0};
    int32_t           n = (int32_t)(t->trace.n_prompt + (size_t)t->trace.max_tokens);
    ls_status         status;
    all.folder = env_folder(ctx, sub, path);
    if (!all.folder || t->trace.n_prompt == 0) return LS_OK;
    all.per_file = ctx->env->trace_per_file;
    all.engine = &engine;
    engine.n_batch = (int32_t)t->trace.n_prompt; /* one evaluation, one record of each tap */
    if (engine.n_ctx < n) engine.n_ctx = n;
    for (int op = 0; op < LS_N_OPS; op++) all.trace.ops[op] = true;
    all.trace.cancelled = cli_catch_interrupt();
    status = cli_tracing_record(ctx, &all, &trace, err);
    if (status == LS_OK) {
        cli_note(ctx, "note: %zu taps of %s are in %s (%s)", trace.n_records, trace.engine.engine,
                 all.folder, ctx->env->trace_name);
    }
    ls_trace_fini(&trace);
    return status;
}
