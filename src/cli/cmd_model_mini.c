// SPDX-License-Identifier: MIT
/* cmd_model_mini.c - `lockstep model mini`: small models with random weights, for tests. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

typedef struct mini_opts {
    const char *arch, *type, *output; /* arch NULL: that of the shape */
    int         shape;
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

/* A type for every matrix, or a mixture: shapes of real models get what `model quantize` would
 * make of them, which is how such models are found. */
static ls_status parse_type(const cli_context *ctx, const char *name, ls_mini_options *out,
                            ls_error *err)
{
    if (ls_mixture_known(name) && out->shape >= LS_MINI_LLAMA_100M) {
        out->mixture = name;
        return LS_OK;
    }
    for (int dtype = 0; dtype < 256; dtype++) {
        const char *known = ls_dtype_name(dtype);
        if (!known || strcasecmp(known, name) != 0) continue;
        out->dtype = dtype;
        return LS_OK;
    }
    if (ls_mixture_known(name)) {
        out->mixture = name;
        return LS_OK;
    }
    return cli_usage(ctx, err, "there is no tensor type '%s'", name);
}

static ls_status write_one(const cli_context *ctx, const mini_opts *o, ls_mini_options *mini,
                           const char *path, ls_error *err)
{
    cli_progress progress;
    ls_status    status;
    struct stat  st;
    if (!o->force && stat(path, &st) == 0) {
        return cli_usage(ctx, err, "'%s' is there already; --force replaces it", path);
    }
    if (o->all) return ls_mini_write(path, mini, err);
    cli_progress_begin(&progress, ctx, "drawing weights");
    mini->progress = cli_progress_update;
    mini->progress_ctx = &progress;
    status = ls_mini_write(path, mini, err);
    cli_progress_end(&progress);
    return status;
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
    ls_mini_options mini = {.arch = o->arch ? o->arch : ls_mini_shape_arch((ls_mini_shape)o->shape),
                            .shape = (ls_mini_shape)o->shape,
                            .seed = o->seed,
                            .optional = o->optional};
    if (!o->output) return cli_usage(ctx, err, "option '--output' is missing");
    LS_TRY(parse_type(ctx, o->type, &mini, err));
    return o->all ? write_all(ctx, o, &mini, err) : write_one(ctx, o, &mini, o->output, err);
}

static const cli_choice shapes[] = {{"tiny", LS_MINI_TINY},
                                    {"small", LS_MINI_SMALL},
                                    {"medium", LS_MINI_MEDIUM},
                                    {"llama-100m", LS_MINI_LLAMA_100M},
                                    {"llama-1b", LS_MINI_LLAMA_1B},
                                    {"bitnet-2b", LS_MINI_BITNET_2B},
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
     .def = "that of the shape"},
    {.name = "type",
     .kind = CLI_STRING,
     .off = offsetof(mini_opts, type),
     .metavar = "TYPE",
     .suggest = type_at,
     .help = "Tensor type of the matrices. Where the shape is a real model's: a mixture as model "
             "quantize makes it. i2_s, tl1, tl2: with embeddings in f16.",
     .def = "f16"},
    {.name = "shape",
     .kind = CLI_ENUM,
     .off = offsetof(mini_opts, shape),
     .metavar = "SHAPE",
     .choices = shapes,
     .aliases = "size",
     .help = "Widths, heads and layers. The first three have about 2, 15 and 45 million weights; "
             "llama-1b is that of Llama 3.2 1B and bitnet-2b that of BitNet b1.58 2B4T, to time "
             "with.",
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
static const mini_opts defaults = {.type = "f16"};

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
        "$ lockstep crossval per-token -m mini.gguf -p \"once upon a time\" --against llama\n"
        "$ lockstep model mini --shape llama-1b --type q4_0 --seed 1 -o 1b.gguf\n",
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(mini_opts),
    .run = run,
};
