// SPDX-License-Identifier: MIT
/* cmd_model_convert.c - `lockstep model convert`: a model in another form. */
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/kernel_config.h"

typedef struct convert_opts {
    cli_model_opts model;
    const char    *output;
    const char    *kernels;
    int            type, packing;
    bool           force;
} convert_opts;

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    const convert_opts *o = opts;
    kernel_config       config = {.n = 0};
    ls_gguf_hints       hints = {.packing = o->packing};
    cli_progress        progress;
    ls_convert_options  convert = {
         .dtype = o->type, .progress = cli_progress_update, .progress_ctx = &progress};
    ls_gguf    *g = NULL;
    struct stat st;
    ls_status   status;
    LS_TRY(cli_model_check(ctx, &o->model, err));
    if (!o->output || !*o->output) return cli_usage(ctx, err, "option '--output' is missing");
    if (!o->force && stat(o->output, &st) == 0) {
        return cli_usage(ctx, err, "'%s' is there already; --force replaces it", o->output);
    }
    if (o->kernels) LS_TRY(kernel_config_read(&config, o->kernels, err));
    hints.kernels = &config.kernels[0][0];
    hints.n_kernels = config.n;
    LS_TRY(ls_gguf_open_as(&g, o->model.path, &hints, err));
    cli_progress_begin(&progress, ctx, "converting");
    status = ls_convert_to_gguf(o->output, g, &convert, err);
    cli_progress_end(&progress);
    if (status == LS_OK) {
        cli_note(ctx, "%s: %zu tensors, %zu metadata entries", o->output, ls_gguf_n_tensors(g),
                 ls_gguf_n_kv(g));
    }
    ls_gguf_close(g);
    return status;
}

static const cli_choice types[] = {
    {"keep", -1}, {"f32", LS_DTYPE_F32}, {"f16", LS_DTYPE_F16}, {"bf16", LS_DTYPE_BF16}, {0}};

static const cli_choice packings[] = {{"auto", 0},
                                      {"x86", LS_DTYPE_I2_S},
                                      {"arm", LS_DTYPE_I2_S_ARM},
                                      {"1x4", LS_DTYPE_I2_S_1X4},
                                      {0}};

static const cli_option table[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .off = offsetof(convert_opts, output),
     .metavar = "FILE",
     .help = "The GGUF file to write. Required."},
    {.name = "type",
     .kind = CLI_ENUM,
     .off = offsetof(convert_opts, type),
     .metavar = "TYPE",
     .choices = types,
     .help = "Type of matrices that are F32, F16 or BF16; vectors become F32.",
     .def = "keep"},
    {.name = "i2s-packing",
     .kind = CLI_ENUM,
     .off = offsetof(convert_opts, packing),
     .metavar = "MACHINE",
     .choices = packings,
     .help = "Where bitnet.cpp wrote the I2_S matrices: no byte of a file tells it. They are "
             "written as x86 packs them; auto takes them for that, unless the file says otherwise.",
     .def = "auto"},
    {.name = "kernels",
     .kind = CLI_STRING,
     .off = offsetof(convert_opts, kernels),
     .metavar = "FILE",
     .help =
         "The kernel_config.ini of the bitnet.cpp build that TL1 or TL2 matrices were made for, "
         "where it is not that of its preset kernels."},
    {.name = "force",
     .kind = CLI_FLAG,
     .off = offsetof(convert_opts, force),
     .help = "Replace a file that is there."},
    {0},
};

static const cli_group groups[] = {
    {"Model", cli_model_table, offsetof(convert_opts, model)}, {"Result", table, 0}, {0}};
static const convert_opts defaults = {.type = -1};

const cli_command cli_cmd_model_convert = {
    .noun = "model",
    .verb = "convert",
    .summary = "Write a model as one GGUF file",
    .details =
        "From a Hugging Face folder, from a GGUF file of an older version or in several parts, "
        "or from one type of weights to another. Values of one type stay what they are, to "
        "the bit.\n",
    .examples = "$ lockstep model convert -m folder/ -o model.gguf --type f16\n"
                "$ lockstep model convert -m model-00001-of-00003.gguf -o model.gguf\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(convert_opts),
    .run = run,
};
