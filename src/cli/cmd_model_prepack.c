// SPDX-License-Identifier: MIT
/* cmd_model_prepack.c - `lockstep model prepack`: a model's weights in the order that the fast
 * products read, in a file beside the model. */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_json.h"

typedef struct prepack_opts {
    cli_model_opts model;
    const char    *output;
    int32_t        threads;
} prepack_opts;

static ls_status write_it(const cli_context *ctx, const prepack_opts *o, ls_model *m,
                          ls_prepacked *out, ls_error *err)
{
    cli_progress       progress;
    ls_prepack_options opt = {.n_threads = o->threads,
                              .progress = cli_progress_update,
                              .progress_ctx = &progress,
                              .cancelled = cli_catch_interrupt()};
    ls_status          status;
    if (!cli_given(ctx, "threads")) LS_TRY(cli_env_threads(ctx->env, &opt.n_threads, err));
    cli_progress_begin(&progress, ctx, "prepacking");
    status = ls_model_prepack(out, m, o->output, &opt, err);
    cli_progress_end(&progress);
    return status;
}

static ls_status report(const cli_context *ctx, const prepack_opts *o, const ls_prepacked *p,
                        uint64_t ns, ls_error *err)
{
    const char *end = o->output ? "" : LS_PREPACKED_SUFFIX;
    size_t      cap = strlen(o->output ? o->output : o->model.path) + sizeof(LS_PREPACKED_SUFFIX);
    char       *path = malloc(cap), size[32];
    ls_status   status = LS_OK;
    if (!path) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a file name");
    snprintf(path, cap, "%s%s", o->output ? o->output : o->model.path, end);
    if (ctx->json) {
        status = cli_json_print(
            json_pack("{s:s, s:o, s:o, s:I, s:I, s:s, s:f}", "schema", "lockstep.prepack/1", "path",
                      cli_json_text(path, strlen(path)), "model",
                      cli_json_text(o->model.path, strlen(o->model.path)), "matrices",
                      (json_int_t)p->n_matrices, "bytes", (json_int_t)p->n_bytes, "blake3",
                      p->blake3, "seconds", (double)ns * 1e-9),
            NULL, err);
    } else {
        cli_note(ctx, "%s: %zu matrices, %s", path, p->n_matrices,
                 cli_format_bytes(p->n_bytes, size, sizeof(size)));
    }
    free(path);
    return status;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    const prepack_opts *o = opts;
    ls_model           *m;
    ls_prepacked        p;
    uint64_t            begin = cli_now_ns();
    ls_status           status;
    LS_TRY(cli_model_check(ctx, &o->model, err));
    LS_TRY(ls_model_open(&m, o->model.path, err));
    status = write_it(ctx, o, m, &p, err);
    ls_model_close(m);
    LS_TRY(status);
    return report(ctx, o, &p, cli_now_ns() - begin, err);
}

static const cli_option table[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .off = offsetof(prepack_opts, output),
     .metavar = "FILE",
     .help =
         "Where to write it. Only the file beside the model is found by itself; another has to be "
         "named with --prepacked. Default: the model's name and '.strips'."},
    {.name = "threads",
     .letter = 't',
     .kind = CLI_INT,
     .off = offsetof(prepack_opts, threads),
     .metavar = "N",
     .min = 1,
     .max = 1024,
     .def = "one per core",
     .help = "Threads to pack with."},
    {0},
};

static const cli_group groups[] = {
    {"Model", cli_model_table, offsetof(prepack_opts, model)}, {"Result", table, 0}, {0}};

const cli_command cli_cmd_model_prepack = {
    .noun = "model",
    .verb = "prepack",
    .summary = "Write weights as they are read, to open at once",
    .details =
        "The native engine puts the rows of matrices side by side when a model is opened, which "
        "takes a copy of the weights. Where a file with this copy lies beside the model, the file "
        "is mapped "
        "instead. It is as large as the weights, belongs to this very model file, and is passed "
        "over with a "
        "note when that has been changed, copied or renamed since; `model verify` compares "
        "every byte. Results are the same to the bit.\n",
    .examples =
        "$ lockstep model prepack -m model.gguf\n"
        "$ lockstep model prepack -m /mnt/readonly/model.gguf -o model.strips\n"
        "$ lockstep run -m /mnt/readonly/model.gguf --prepacked model.strips -p \"Hello\"\n",
    .groups = groups,
    .opts_bytes = sizeof(prepack_opts),
    .reports = true,
    .run = run,
};
