// SPDX-License-Identifier: MIT
/* cmd_model_mini.c - `lockstep model mini`: small models with random weights, for tests. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

typedef struct mini_opts {
    const char *arch, *type, *output;
    int         size;
    uint64_t    seed;
    bool        optional, all, force;
} mini_opts;

/* Name of the i-th type that can be made up. */
static const char *type_at(size_t i)
{
    for (int dtype = 0; dtype < 256; dtype++) {
        if (ls_mini_has_dtype(dtype) && i-- == 0) return ls_dtype_name(dtype);
    }
    return NULL;
}

static ls_status parse_type(const cli_context *ctx, const char *name, int *out, ls_error *err)
{
    for (int dtype = 0; dtype < 256; dtype++) {
        const char *known = ls_dtype_name(dtype);
        if (!known || strcasecmp(known, name) != 0) continue;
        *out = dtype;
        return LS_OK;
    }
    return cli_usage(ctx, err, "there is no tensor type '%s'", name);
}

static ls_status write_one(const cli_context *ctx, const mini_opts *o, ls_mini_options *mini,
                           const char *path, ls_error *err)
{
    struct stat st;
    if (!o->force && stat(path, &st) == 0) {
        return cli_usage(ctx, err, "'%s' is there already; --force replaces it", path);
    }
    return ls_mini_write(path, mini, err);
}

static ls_status write_all(const cli_context *ctx, const mini_opts *o, ls_mini_options *mini,
                           ls_error *err)
{
    cli_progress progress;
    ls_status    status = LS_OK;
    size_t       n = 0;
    while (ls_mini_arch(n)) n++;
    cli_progress_begin(&progress, ctx, "writing models");
    for (size_t i = 0; i < n && status == LS_OK; i++) {
        char path[4096];
        int  len;
        mini->arch = ls_mini_arch(i);
        len = snprintf(path, sizeof(path), "%s/%s-%s.gguf", o->output, mini->arch,
                       ls_dtype_name(mini->dtype));
        if (len < 0 || (size_t)len >= sizeof(path)) {
            status = ls_fail(err, LS_ERR_USAGE, "the path of the folder is too long");
        } else {
            status = write_one(ctx, o, mini, path, err);
        }
        cli_progress_update(&progress, i + 1, n);
    }
    cli_progress_end(&progress);
    if (status == LS_OK) cli_note(ctx, "%zu models in %s", n, o->output);
    return status;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    mini_opts      *o = opts;
    ls_mini_options mini = {
        .arch = o->arch, .size = (ls_mini_size)o->size, .seed = o->seed, .optional = o->optional};
    if (!o->output) return cli_usage(ctx, err, "option '--output' is missing");
    LS_TRY(parse_type(ctx, o->type, &mini.dtype, err));
    return o->all ? write_all(ctx, o, &mini, err) : write_one(ctx, o, &mini, o->output, err);
}

static const cli_choice sizes[] = {{"tiny", LS_MINI_TINY},
                                   {"small", LS_MINI_SMALL},
                                   {"medium", LS_MINI_MEDIUM},
                                   {"1b", LS_MINI_1B},
                                   {0}};

static const cli_option table[] = {
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .off = offsetof(mini_opts, output),
     .metavar = "FILE",
     .help = "Where to write it; with --all a folder. Required."},
    {.name = "arch",
     .kind = CLI_STRING,
     .off = offsetof(mini_opts, arch),
     .metavar = "NAME",
     .suggest = ls_mini_arch,
     .help = "Architecture, as a model file names it.",
     .def = "llama"},
    {.name = "type",
     .kind = CLI_STRING,
     .off = offsetof(mini_opts, type),
     .metavar = "TYPE",
     .suggest = type_at,
     .help = "Tensor type of the matrices.",
     .def = "f16"},
    {.name = "size",
     .kind = CLI_ENUM,
     .off = offsetof(mini_opts, size),
     .metavar = "SIZE",
     .choices = sizes,
     .help =
         "About 2, 15 or 45 million weights; 1b: a thousand million, in the shape of such a model.",
     .def = "tiny"},
    {.name = "seed",
     .kind = CLI_U64,
     .off = offsetof(mini_opts, seed),
     .metavar = "N",
     .help = "The same seed gives the same file on every machine.",
     .def = "0"},
    {.name = "optional",
     .kind = CLI_FLAG,
     .off = offsetof(mini_opts, optional),
     .help = "With what the architecture may have or not: biases, norms, experts, blocks side by "
             "side."},
    {.name = "all",
     .kind = CLI_FLAG,
     .off = offsetof(mini_opts, all),
     .help = "Write a model of every architecture, OUTPUT/NAME-TYPE.gguf."},
    {.name = "force",
     .kind = CLI_FLAG,
     .off = offsetof(mini_opts, force),
     .help = "Replace files that are there."},
    {0},
};

static const cli_group groups[] = {{"Model", table, 0}, {0}};
static const mini_opts defaults = {.arch = "llama", .type = "f16"};

const cli_command cli_cmd_model_mini = {
    .noun = "model",
    .verb = "mini",
    .summary = "Write a small model with random weights",
    .details =
        "It makes no sense, but every engine computes it: what to try an engine, a kernel or "
        "a converter with. Widths are multiples of 256, the vocabulary is of bytes and "
        "letters.\n",
    .examples =
        "$ lockstep model mini --arch qwen3moe --type q4_K -o mini.gguf\n"
        "$ lockstep crossval per-token -m mini.gguf -p \"once upon a time\" --against llama\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(mini_opts),
    .run = run,
};
