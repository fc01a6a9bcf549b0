// SPDX-License-Identifier: MIT
/* cmd_model_quantize.c - `lockstep model quantize`: a model in fewer bits, and what that costs. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/text.h"
#include "lockstep/quant.h"

typedef struct quantize_opts {
    cli_model_opts model;
    const char    *output, *type;
    bool           force;
} quantize_opts;

enum { SHOWN = 10 };

typedef struct report {
    ls_convert_tensor *at;
    size_t             n;
    uint64_t           in, out;
    cli_progress       progress;
} report;

static const char *type_at(size_t i)
{
    for (int dtype = 0; dtype < 256; dtype++) {
        if (ls_quant_supported(dtype) && i-- == 0) return ls_dtype_name(dtype);
    }
    return NULL;
}

static ls_status parse_type(const cli_context *ctx, const char *name, int *out, ls_error *err)
{
    if (!name) return cli_usage(ctx, err, "option '--type' is missing");
    for (size_t i = 0; type_at(i); i++) {
        if (strcasecmp(type_at(i), name) != 0) continue;
        for (*out = 0; !ls_dtype_name(*out) || strcmp(ls_dtype_name(*out), type_at(i)) != 0;)
            ++*out;
        return LS_OK;
    }
    return cli_usage(ctx, err, "there is no quantiser for type '%s'", name);
}

static void keep(void *ctx, const ls_convert_tensor *t)
{
    report *r = ctx;
    r->at[r->n++] = *t;
    r->in += t->bytes_in;
    r->out += t->bytes_out;
}

static int by_error(const void *a, const void *b)
{
    const ls_convert_tensor *x = a, *y = b;
    return (x->error < y->error) - (x->error > y->error);
}

static void print_text(const report *r, const char *path)
{
    char in[32], out[32];
    printf("%s: %s, was %s (%.1f %%)\n", path, cli_format_bytes(r->out, out, sizeof(out)),
           cli_format_bytes(r->in, in, sizeof(in)), 100.0 * (double)r->out / (double)r->in);
    printf("  %-34s %-8s %-8s %s\n", "tensor, worst first", "from", "to", "relative RMSE");
    for (size_t i = 0; i < r->n && i < SHOWN; i++) {
        const ls_convert_tensor *t = &r->at[i];
        printf("  %-34.*s %-8s %-8s %.3e\n", LS_FMT(t->name), ls_dtype_name(t->from),
               ls_dtype_name(t->to), t->error);
    }
    if (r->n > SHOWN) printf("  ... %zu more, see --json\n", r->n - SHOWN);
}

static json_t *report_json(const report *r, const char *path)
{
    json_t *tensors = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const ls_convert_tensor *t = &r->at[i];
        json_array_append_new(tensors, json_pack("{s:o, s:s, s:s, s:I, s:I, s:o}", "name",
                                                 cli_json_text(t->name.p, t->name.len), "from",
                                                 ls_dtype_name(t->from), "to", ls_dtype_name(t->to),
                                                 "bytes_in", (json_int_t)t->bytes_in, "bytes_out",
                                                 (json_int_t)t->bytes_out, "relative_rmse",
                                                 cli_json_real(t->error)));
    }
    return json_pack("{s:s, s:o, s:I, s:I, s:o}", "schema", "lockstep.quantize/1", "path",
                     cli_json_text(path, strlen(path)), "bytes_in", (json_int_t)r->in, "bytes_out",
                     (json_int_t)r->out, "tensors", tensors);
}

static ls_status quantize(cli_context *ctx, const quantize_opts *o, int dtype, const ls_gguf *g,
                          ls_error *err)
{
    report             r = {.at = calloc(ls_gguf_n_tensors(g) + 1, sizeof(*r.at))};
    ls_convert_options opt = {.dtype = dtype,
                              .progress = cli_progress_update,
                              .progress_ctx = &r.progress,
                              .tensor = keep,
                              .tensor_ctx = &r};
    ls_status          status;
    if (!r.at) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the report");
    cli_progress_begin(&r.progress, ctx, "quantising");
    status = ls_convert_to_gguf(o->output, g, &opt, err);
    cli_progress_end(&r.progress);
    qsort(r.at, r.n, sizeof(*r.at), by_error);
    if (status == LS_OK && ctx->json) {
        status = cli_json_print(report_json(&r, o->output), NULL, err);
    } else if (status == LS_OK) {
        print_text(&r, o->output);
    }
    free(r.at);
    return status;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    const quantize_opts *o = opts;
    ls_gguf             *g = NULL;
    struct stat          st;
    ls_status            status;
    int                  dtype = 0;
    LS_TRY(cli_model_check(ctx, &o->model, err));
    if (!o->output || !*o->output) return cli_usage(ctx, err, "option '--output' is missing");
    LS_TRY(parse_type(ctx, o->type, &dtype, err));
    if (!o->force && stat(o->output, &st) == 0) {
        return cli_usage(ctx, err, "'%s' is there already; --force replaces it", o->output);
    }
    LS_TRY(ls_gguf_open(&g, o->model.path, err));
    status = quantize(ctx, o, dtype, g, err);
    ls_gguf_close(g);
    return status;
}

static const cli_option table[] = {
    {.name = "type",
     .kind = CLI_STRING,
     .off = offsetof(quantize_opts, type),
     .metavar = "TYPE",
     .suggest = type_at,
     .help = "Tensor type of the matrices, for example q8_0, q4_K or iq4_nl. Required."},
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .off = offsetof(quantize_opts, output),
     .metavar = "FILE",
     .help = "The GGUF file to write. Required."},
    {.name = "force",
     .kind = CLI_FLAG,
     .off = offsetof(quantize_opts, force),
     .help = "Replace a file that is there."},
    {0},
};

static const cli_group groups[] = {
    {"Model", cli_model_table, offsetof(quantize_opts, model)}, {"Result", table, 0}, {0}};

const cli_command cli_cmd_model_quantize = {
    .noun = "model",
    .verb = "quantize",
    .summary = "Write a model in fewer bits, and say what that costs",
    .details =
        "Every matrix becomes one type; the bytes are those that llama.cpp's quantiser writes. "
        "Where the rows are no multiple of the type's block they become Q8_0, or F16. Weights "
        "that are quantised already stay as they are.\n",
    .examples = "$ lockstep model quantize -m model-f16.gguf -o model-q4_K.gguf --type q4_K\n",
    .groups = groups,
    .opts_bytes = sizeof(quantize_opts),
    .reports = true,
    .run = run,
};
