// SPDX-License-Identifier: MIT
/* cmd_model_quantize.c - `lockstep model quantize`: a model in fewer bits, and what that costs. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/text.h"

typedef struct quantize_opts {
    cli_model_opts model;
    const char    *output, *type, *imatrix, *output_type, *embedding_type;
    cli_list       tensor_types;
    int32_t        threads;
    bool           pure, keep_output, requantize, dry_run, force;
} quantize_opts;

enum { SHOWN = 10 };

typedef struct report {
    ls_quantize_tensor *at;
    size_t              n, n_fallback, n_missing;
    uint64_t            in, out, n_elements;
    cli_progress        progress;
} report;

/* ---- types ---- */

/* Name of the i-th type with a quantiser of rows, or, `whole`, of ternary matrices as a whole. */
static const char *type_of_kind(size_t i, bool whole)
{
    for (int dtype = 0; dtype < 256; dtype++) {
        bool rows = ls_quant_by_rows(dtype);
        if (ls_quant_supported(dtype) && rows != whole && i-- == 0) return ls_dtype_name(dtype);
    }
    return NULL;
}

static const char *type_at(size_t i) { return type_of_kind(i, false); }

/* What --type takes: mixtures, then ternary types. */
static const char *choice_at(size_t i)
{
    size_t n = 0;
    if (ls_mixture_name(i)) return ls_mixture_name(i);
    while (ls_mixture_name(n)) n++;
    return type_of_kind(i - n, true);
}

static bool is_ternary(const char *type)
{
    for (size_t i = 0; type_of_kind(i, true); i++) {
        if (strcasecmp(type_of_kind(i, true), type) == 0) return true;
    }
    return false;
}

/* `name` NULL: as the mixture has it. */
static ls_status parse_type(const cli_context *ctx, const char *option, const char *name, int *out,
                            ls_error *err)
{
    *out = LS_DTYPE_NONE;
    if (!name) return LS_OK;
    for (int dtype = 0; dtype < 256; dtype++) {
        const char *known = ls_dtype_name(dtype);
        if (!ls_quant_supported(dtype) || strcasecmp(known, name) != 0) continue;
        *out = dtype;
        return LS_OK;
    }
    return cli_usage(ctx, err, "option '--%s': there is no quantiser for type '%s'", option, name);
}

/* "PATTERN=TYPE"; the pattern is copied. */
static ls_status parse_override(const cli_context *ctx, const char *text, ls_quantize_override *out,
                                ls_error *err)
{
    const char *sign = strrchr(text, '=');
    char       *pattern;
    if (!sign || sign == text) {
        return cli_usage(ctx, err, "option '--tensor-type': '%s' is not PATTERN=TYPE", text);
    }
    LS_TRY(parse_type(ctx, "tensor-type", sign + 1, &out->dtype, err));
    pattern = strndup(text, (size_t)(sign - text));
    if (!pattern) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a pattern");
    out->pattern = pattern;
    return LS_OK;
}

/* ---- the report ---- */

static void keep(void *ctx, const ls_quantize_tensor *t)
{
    report *r = ctx;
    r->at[r->n++] = *t;
    r->in += t->bytes_in;
    r->out += t->bytes_out;
    r->n_elements += t->n_elements;
    r->n_fallback += t->fallback;
    r->n_missing += t->missing;
}

static int by_error(const void *a, const void *b)
{
    const ls_quantize_tensor *x = a, *y = b;
    if (x->error != y->error) return x->error < y->error ? 1 : -1;
    return (x->name.p > y->name.p) - (x->name.p < y->name.p);
}

static double bits(uint64_t bytes, uint64_t n) { return n ? 8.0 * (double)bytes / (double)n : 0; }

static void print_summary(const report *r, const quantize_opts *o)
{
    char in[32], out[32];
    printf("%s: %s, was %s (%.1f %%), %.2f bits per weight, were %.2f\n",
           o->dry_run ? o->type : o->output, cli_format_bytes(r->out, out, sizeof(out)),
           cli_format_bytes(r->in, in, sizeof(in)), 100.0 * (double)r->out / (double)r->in,
           bits(r->out, r->n_elements), bits(r->in, r->n_elements));
}

static void print_tensors(const report *r, bool dry_run)
{
    size_t shown = dry_run || r->n < SHOWN ? r->n : SHOWN;
    printf("  %-34s %-8s %-8s %s\n", dry_run ? "tensor" : "tensor, worst first", "from", "to",
           dry_run ? "size" : "relative RMSE");
    for (size_t i = 0; i < shown; i++) {
        const ls_quantize_tensor *t = &r->at[i];
        char                      size[32];
        printf("  ");
        cli_print_padded(stdout, t->name, 34);
        printf(" %-8s %-8s ", ls_dtype_name(t->from), ls_dtype_name(t->to));
        if (dry_run) {
            printf("%s\n", cli_format_bytes(t->bytes_out, size, sizeof(size)));
        } else {
            printf("%.3e\n", t->error);
        }
    }
    if (r->n > shown) printf("  ... %zu more, see --json\n", r->n - shown);
}

static json_t *tensor_json(const ls_quantize_tensor *t, bool dry_run)
{
    json_t *j =
        json_pack("{s:o, s:s, s:s, s:I, s:I, s:b, s:b}", "name",
                  cli_json_text(t->name.p, t->name.len), "from", ls_dtype_name(t->from), "to",
                  ls_dtype_name(t->to), "bytes_in", (json_int_t)t->bytes_in, "bytes_out",
                  (json_int_t)t->bytes_out, "fallback", t->fallback, "importance", t->importance);
    if (!dry_run) json_object_set_new(j, "relative_rmse", cli_json_real(t->error));
    if (dry_run) json_object_set_new(j, "importance_missing", json_boolean(t->missing));
    return j;
}

static json_t *report_json(const report *r, const quantize_opts *o)
{
    json_t *tensors = json_array();
    json_t *path = o->dry_run ? json_null() : cli_json_text(o->output, strlen(o->output));
    for (size_t i = 0; i < r->n; i++) {
        json_array_append_new(tensors, tensor_json(&r->at[i], o->dry_run));
    }
    return json_pack(
        "{s:s, s:o, s:s, s:b, s:I, s:I, s:o, s:o, s:o}", "schema", "lockstep.quantize/1", "path",
        path, "type", o->type, "dry_run", o->dry_run, "bytes_in", (json_int_t)r->in, "bytes_out",
        (json_int_t)r->out, "bits_per_weight_in", cli_json_real(bits(r->in, r->n_elements)),
        "bits_per_weight", cli_json_real(bits(r->out, r->n_elements)), "tensors", tensors);
}

static ls_status print_report(const cli_context *ctx, report *r, const quantize_opts *o,
                              ls_error *err)
{
    if (!o->dry_run) qsort(r->at, r->n, sizeof(*r->at), by_error);
    if (r->n_fallback) {
        cli_note(ctx, "note: rows of %zu tensors do not fit their type; they got another",
                 r->n_fallback);
    }
    if (r->n_missing) {
        cli_note(ctx, "note: %zu tensors need importance, which --imatrix would give",
                 r->n_missing);
    }
    if (ctx->json) return cli_json_print(report_json(r, o), NULL, err);
    print_summary(r, o);
    print_tensors(r, o->dry_run);
    return LS_OK;
}

/* ---- the command ---- */

static void keep_converted(void *ctx, const ls_convert_tensor *t)
{
    ls_quantize_tensor q = {.name = t->name,
                            .from = t->from,
                            .to = t->to,
                            .bytes_in = t->bytes_in,
                            .bytes_out = t->bytes_out,
                            .error = t->error};
    keep(ctx, &q);
}

/* Ternary matrices in another packing, which loses nothing. */
static ls_status pack(const quantize_opts *o, const ls_gguf *g, report *r, ls_error *err)
{
    ls_convert_options opt = {.progress = cli_progress_update,
                              .progress_ctx = &r->progress,
                              .tensor = keep_converted,
                              .tensor_ctx = r};
    LS_TRY(parse_type(NULL, "type", o->type, &opt.dtype, err));
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        r->n_elements += (uint64_t)(t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3]);
    }
    return ls_convert_to_gguf(o->output, g, &opt, err);
}

static ls_status quantize(cli_context *ctx, const quantize_opts *o, const ls_gguf *g,
                          ls_quantize_options *opt, ls_error *err)
{
    report    r = {.at = calloc(ls_gguf_n_tensors(g) + 1, sizeof(*r.at))};
    ls_status status;
    if (!r.at) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the report");
    opt->tensor = keep;
    opt->tensor_ctx = &r;
    opt->progress = cli_progress_update;
    opt->progress_ctx = &r.progress;
    cli_progress_begin(&r.progress, ctx, "quantising");
    status = is_ternary(o->type) ? pack(o, g, &r, err) : ls_quantize_model(o->output, g, opt, err);
    cli_progress_end(&r.progress);
    if (status == LS_OK) status = print_report(ctx, &r, o, err);
    free(r.at);
    return status;
}

static ls_status with_files(cli_context *ctx, const quantize_opts *o, ls_quantize_options *opt,
                            ls_error *err)
{
    ls_gguf    *g = NULL;
    ls_imatrix *im = NULL;
    ls_status   status = ls_gguf_open(&g, o->model.path, err);
    if (status == LS_OK && o->imatrix) status = ls_imatrix_open(&im, o->imatrix, err);
    opt->imatrix = im;
    if (status == LS_OK) status = quantize(ctx, o, g, opt, err);
    ls_imatrix_close(im);
    ls_gguf_close(g);
    return status;
}

static ls_status check(const cli_context *ctx, const quantize_opts *o, ls_error *err)
{
    struct stat st, in;
    LS_TRY(cli_model_check(ctx, &o->model, err));
    if (!o->type) return cli_usage(ctx, err, "option '--type' is missing");
    if (!ls_mixture_known(o->type) && !is_ternary(o->type)) {
        return cli_usage(ctx, err, "there is no type or mixture '%s'", o->type);
    }
    if (is_ternary(o->type) && (o->dry_run || o->pure || o->keep_output || o->imatrix ||
                                o->output_type || o->embedding_type || o->tensor_types.n)) {
        return cli_usage(ctx, err, "'%s' is for all matrices of the layers: it takes no options",
                         o->type);
    }
    if (o->dry_run) return LS_OK;
    if (!o->output || !*o->output) return cli_usage(ctx, err, "option '--output' is missing");
    if (stat(o->output, &st) != 0) return LS_OK;
    if (!o->force) {
        return cli_usage(ctx, err, "'%s' is there already; --force replaces it", o->output);
    }
    if (stat(o->model.path, &in) == 0 && in.st_dev == st.st_dev && in.st_ino == st.st_ino) {
        return cli_usage(ctx, err, "'%s' is the model itself", o->output);
    }
    return LS_OK;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    quantize_opts       *o = opts;
    ls_quantize_override own[CLI_MAX_LIST] = {0};
    ls_quantize_options  opt = {.mixture = o->type,
                                .pure = o->pure,
                                .keep_output = o->keep_output,
                                .requantize = o->requantize,
                                .dry_run = o->dry_run,
                                .overrides = own,
                                .cancelled = cli_catch_interrupt()};
    ls_status            status;
    LS_TRY(check(ctx, o, err));
    if (!cli_given(ctx, "threads")) LS_TRY(cli_env_threads(ctx->env, &o->threads, err));
    opt.n_threads = o->threads;
    LS_TRY(parse_type(ctx, "output-tensor-type", o->output_type, &opt.output_type, err));
    LS_TRY(parse_type(ctx, "token-embedding-type", o->embedding_type, &opt.embedding_type, err));
    status = LS_OK;
    for (size_t i = 0; i < o->tensor_types.n && status == LS_OK; i++) {
        status = parse_override(ctx, o->tensor_types.at[i], &own[i], err);
        opt.n_overrides += status == LS_OK;
    }
    if (status == LS_OK) status = with_files(ctx, o, &opt, err);
    for (size_t i = 0; i < opt.n_overrides; i++) free((char *)(uintptr_t)own[i].pattern);
    return status;
}

static const cli_option result_table[] = {
    {.name = "type",
     .kind = CLI_STRING,
     .off = offsetof(quantize_opts, type),
     .metavar = "NAME",
     .suggest = choice_at,
     .help = "Mixture of types, as llama-quantize names them: Q4_K_M, Q6_K, Q8_0, IQ4_XS, F16 and "
             "so on. Required."},
    {.name = "output",
     .letter = 'o',
     .kind = CLI_STRING,
     .off = offsetof(quantize_opts, output),
     .metavar = "FILE",
     .help = "The GGUF file to write. Required, but for --dry-run."},
    {.name = "force",
     .kind = CLI_FLAG,
     .off = offsetof(quantize_opts, force),
     .help = "Replace a file that is there."},
    {.name = "dry-run",
     .kind = CLI_FLAG,
     .off = offsetof(quantize_opts, dry_run),
     .help = "Only say what each tensor would become, and how large."},
    {.name = "threads",
     .letter = 't',
     .kind = CLI_INT,
     .off = offsetof(quantize_opts, threads),
     .metavar = "N",
     .min = 1,
     .max = 1024,
     .def = "one per core",
     .help = "Threads to quantise with; the file is the same."},
    {0},
};

static const cli_option choice_table[] = {
    {.name = "imatrix",
     .kind = CLI_STRING,
     .off = offsetof(quantize_opts, imatrix),
     .metavar = "FILE",
     .help = "Importance of the weights, measured by llama-imatrix (GGUF or the older form)."},
    {.name = "pure",
     .kind = CLI_FLAG,
     .off = offsetof(quantize_opts, pure),
     .help = "No mixture: every matrix gets the type that most of them have."},
    {.name = "output-tensor-type",
     .kind = CLI_STRING,
     .off = offsetof(quantize_opts, output_type),
     .metavar = "TYPE",
     .suggest = type_at,
     .help = "Type of output.weight."},
    {.name = "token-embedding-type",
     .kind = CLI_STRING,
     .off = offsetof(quantize_opts, embedding_type),
     .metavar = "TYPE",
     .suggest = type_at,
     .help = "Type of token_embd.weight."},
    {.name = "tensor-type",
     .kind = CLI_LIST,
     .off = offsetof(quantize_opts, tensor_types),
     .metavar = "PATTERN=TYPE",
     .help = "Type of the tensors whose name this regular expression matches somewhere, "
             "attn_v=q8_0 for instance. May be given several times; the first match holds."},
    {.name = "leave-output-tensor",
     .kind = CLI_FLAG,
     .off = offsetof(quantize_opts, keep_output),
     .help = "output.weight stays what it is."},
    {.name = "allow-requantize",
     .kind = CLI_FLAG,
     .off = offsetof(quantize_opts, requantize),
     .help = "Weights that are quantised already may be quantised again, which loses twice."},
    {0},
};

static const cli_group groups[] = {{"Model", cli_model_table, offsetof(quantize_opts, model)},
                                   {"Result", result_table, 0},
                                   {"Types", choice_table, 0},
                                   {0}};

const cli_command cli_cmd_model_quantize = {
    .noun = "model",
    .verb = "quantize",
    .summary = "Write a model in fewer bits, and say what that costs",
    .details = "Types of tensors, bytes and metadata are those that llama-quantize of llama.cpp "
               "writes. Beside its names there are NVFP4, and I2_S for the layers of ternary "
               "models, which loses nothing.\n",
    .examples = "$ lockstep model quantize -m model-f16.gguf -o model-Q4_K_M.gguf --type Q4_K_M\n"
                "$ lockstep model quantize -m model-f16.gguf --type IQ3_XS --dry-run\n",
    .groups = groups,
    .opts_bytes = sizeof(quantize_opts),
    .reports = true,
    .run = run,
};
