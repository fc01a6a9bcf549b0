// SPDX-License-Identifier: MIT
/* cmd_model_convert.c - `lockstep model convert`: a model in another form. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/kernel_config.h"

typedef enum convert_form { FORM_AUTO, FORM_GGUF, FORM_FOLDER } convert_form;

typedef struct convert_opts {
    cli_model_opts model;
    const char    *output, *kernels, *max_shard_size;
    int            type, packing, to;
    bool           force;
} convert_opts;

/* "500MB", "5G", "1000000": powers of ten, as file systems and hubs count. */
static ls_status parse_size(const cli_context *ctx, const char *text, uint64_t *out, ls_error *err)
{
    static const char units[] = "KMGT";
    char             *end;
    const char       *unit;
    double            v = strtod(text, &end);
    *out = 0;
    unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
    for (const char *u = units; unit && u <= unit; u++) v *= 1000;
    if (unit) end++;
    if (toupper((unsigned char)*end) == 'B') end++;
    if (end == text || *end || !(v >= 1 && v < 1e18)) {
        return cli_usage(ctx, err, "'%s' is no size; write 500MB or 5G", text);
    }
    *out = (uint64_t)v;
    return LS_OK;
}

/* A folder is what ends with a slash or is one already. */
static bool is_folder(const convert_opts *o)
{
    struct stat st;
    size_t      n = strlen(o->output);
    if (o->to != FORM_AUTO) return o->to == FORM_FOLDER;
    return o->output[n - 1] == '/' || (stat(o->output, &st) == 0 && S_ISDIR(st.st_mode));
}

static void note(void *ctx, const char *text) { cli_note(ctx, "note: %s", text); }

static ls_status convert_model(cli_context *ctx, const convert_opts *o, const ls_gguf *g,
                               bool folder, ls_error *err)
{
    cli_progress       progress;
    ls_convert_options convert = {.dtype = o->type,
                                  .progress = cli_progress_update,
                                  .progress_ctx = &progress,
                                  .note = note,
                                  .note_ctx = ctx,
                                  .replace = o->force};
    ls_status          status;
    if (o->max_shard_size) {
        LS_TRY(parse_size(ctx, o->max_shard_size, &convert.max_shard_bytes, err));
    }
    cli_progress_begin(&progress, ctx, "converting");
    status = folder ? ls_convert_to_folder(o->output, g, &convert, err)
                    : ls_convert_to_gguf(o->output, g, &convert, err);
    cli_progress_end(&progress);
    return status;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    const convert_opts *o = opts;
    kernel_config       config = {.n = 0};
    ls_gguf_hints       hints = {.packing = o->packing};
    ls_gguf            *g = NULL;
    struct stat         st;
    bool                folder;
    ls_status           status;
    LS_TRY(cli_model_check(ctx, &o->model, err));
    if (!o->output || !*o->output) return cli_usage(ctx, err, "option '--output' is missing");
    folder = is_folder(o);
    if (o->max_shard_size && !folder) {
        return cli_usage(ctx, err,
                         "'--max-shard-size' is for folders; a GGUF file is written whole");
    }
    if (!o->force && stat(o->output, &st) == 0) {
        return cli_usage(ctx, err, "'%s' is there already; --force replaces it", o->output);
    }
    if (o->kernels) LS_TRY(kernel_config_read(&config, o->kernels, err));
    hints.kernels = &config.kernels[0][0];
    hints.n_kernels = config.n;
    LS_TRY(ls_gguf_open_as(&g, o->model.path, &hints, err));
    status = convert_model(ctx, o, g, folder, err);
    if (status == LS_OK) {
        cli_note(ctx, "%s: %zu tensors, %zu metadata entries", o->output, ls_gguf_n_tensors(g),
                 ls_gguf_n_kv(g));
    }
    ls_gguf_close(g);
    return status;
}

static const cli_choice forms[] = {
    {"auto", FORM_AUTO}, {"gguf", FORM_GGUF}, {"safetensors", FORM_FOLDER}, {0}};
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
     .metavar = "PATH",
     .help = "The GGUF file to write, or the folder: a path that ends with a slash. Required."},
    {.name = "to",
     .kind = CLI_ENUM,
     .off = offsetof(convert_opts, to),
     .metavar = "FORM",
     .choices = forms,
     .help = "What to write: one GGUF file, or a Hugging Face folder with safetensors. auto: by "
             "the output.",
     .def = "auto"},
    {.name = "type",
     .kind = CLI_ENUM,
     .off = offsetof(convert_opts, type),
     .metavar = "TYPE",
     .choices = types,
     .help = "Type of matrices that are F32, F16 or BF16; vectors become F32. In a folder all "
             "matrices; keep: quantised ones become F16.",
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
    {.name = "max-shard-size",
     .kind = CLI_STRING,
     .off = offsetof(convert_opts, max_shard_size),
     .metavar = "SIZE",
     .help = "Of a folder: weights beyond this go into several files with an index: 500MB, 5G. "
             "Default 5G."},
    {.name = "force",
     .kind = CLI_FLAG,
     .off = offsetof(convert_opts, force),
     .help = "Replace a file that is there, or a folder with nothing but the files of a model."},
    {0},
};

static const cli_group groups[] = {
    {"Model", cli_model_table, offsetof(convert_opts, model)}, {"Result", table, 0}, {0}};
static const convert_opts defaults = {.type = -1};

const cli_command cli_cmd_model_convert = {
    .noun = "model",
    .verb = "convert",
    .summary = "Write a model as one GGUF file or as a Hugging Face folder",
    .details =
        "From a Hugging Face folder, from a GGUF file of an older version or in several parts, "
        "or from one type of weights to another; and back to a folder with model.safetensors, "
        "config.json and the tokenizer's files. Values of one type stay what they are, to the "
        "bit. What a folder cannot say is refused if a result depends on it, and noted if not.\n",
    .examples = "$ lockstep model convert -m folder/ -o model.gguf --type f16\n"
                "$ lockstep model convert -m model-00001-of-00003.gguf -o model.gguf\n"
                "$ lockstep model convert -m model.gguf -o folder/ --max-shard-size 2G\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(convert_opts),
    .run = run,
};
