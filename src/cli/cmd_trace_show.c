// SPDX-License-Identifier: MIT
/* cmd_trace_show.c - `lockstep trace show`: the taps of a trace as a table, or one of them with its
 * values and how they are spread. */
#include <math.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_json.h"
#include "lockstep/checkpoint.h"

enum { BINS = 16, BAR = 48 };

typedef struct show_opts {
    int32_t rows, columns;
} show_opts;

typedef struct state {
    cli_context     *ctx;
    const show_opts *o;
    ls_trace         trace;
    ls_checkpoint   *values; /* NULL: the trace has none */
} state;

static const char *shape_text(const ls_trace_record *r, char *buf, size_t cap)
{
    if (r->heads == 1)
        snprintf(buf, cap, "%zu x %zu", r->rows, r->n);
    else
        snprintf(buf, cap, "%zu x %zu x %zu", r->heads, r->rows, r->n);
    return buf;
}

/* ---- all taps ---- */

static json_t *record_json(const ls_trace_record *r)
{
    char name[96];
    return json_pack("{s:s, s:i, s:i, s:s, s:[I, I, I], s:f, s:f, s:f, s:I, s:s}", "name",
                     ls_trace_record_name(r, name, sizeof(name)), "seq", (int)r->seq, "layer",
                     (int)r->layer, "stage", ls_trace_record_stage(r), "shape",
                     (json_int_t)r->heads, (json_int_t)r->rows, (json_int_t)r->n, "rms",
                     r->sketch.rms, "sum", r->sketch.sum, "max_abs", r->sketch.max_abs,
                     "not_finite", (json_int_t)r->sketch.n_not_finite, "blake3", r->sketch.blake3);
}

static ls_status list(const state *s, ls_error *err)
{
    const ls_trace *t = &s->trace;
    char            name[96], shape[64];
    json_t         *rows;
    if (s->ctx->json) {
        rows = json_array();
        for (size_t i = 0; i < t->n_records; i++)
            json_array_append_new(rows, record_json(&t->records[i]));
        return cli_json_print(json_pack("{s:s, s:s, s:o}", "engine", t->engine.engine, "model",
                                        t->model_path, "taps", rows),
                              NULL, err);
    }
    if (t->bare)
        puts("NAME.trace files without a manifest: engine, model and tokens are not known");
    else
        printf("%s %s%s%s, %s, %zu tokens (%zu of them prompt)\n", t->engine.engine,
               t->engine.version, t->engine.isa[0] ? ", " : "", t->engine.isa, t->model_path,
               t->n_tokens, t->n_prompt);
    printf("%-32s %-18s %14s %14s  %s\n", "tap", "shape", "RMS", "max |x|", "BLAKE3");
    for (size_t i = 0; i < t->n_records; i++) {
        const ls_trace_record *r = &t->records[i];
        printf("%-32s %-18s %14.7g %14.7g  %.16s%s\n", ls_trace_record_name(r, name, sizeof(name)),
               shape_text(r, shape, sizeof(shape)), r->sketch.rms, r->sketch.max_abs,
               r->sketch.blake3, r->sketch.n_not_finite ? "  NaN or Inf" : "");
    }
    return LS_OK;
}

/* ---- one tap ---- */

static const ls_trace_record *find(const ls_trace *t, const char *want)
{
    char name[96];
    for (size_t i = 0; i < t->n_records; i++)
        if (strcmp(ls_trace_record_name(&t->records[i], name, sizeof(name)), want) == 0)
            return &t->records[i];
    return NULL;
}

static float value_at(const ls_ckpt_tensor *v, size_t i)
{
    float x;
    memcpy(&x, (const char *)v->data + i * sizeof(x), sizeof(x));
    return x;
}

/* How many values lie where between the largest magnitude's negative and itself. */
static void print_spread(const ls_trace_record *r, const ls_ckpt_tensor *v)
{
    size_t count[BINS] = {0}, most = 1;
    double max = r->sketch.max_abs > 0 ? r->sketch.max_abs : 1;
    for (size_t i = 0; i < r->sketch.n; i++) {
        double x = (double)value_at(v, i);
        int    bin = isfinite(x) ? (int)((x / max + 1) * BINS / 2) : -1;
        if (bin < 0) continue;
        if (bin >= BINS) bin = BINS - 1;
        if (++count[bin] > most) most = count[bin];
    }
    putchar('\n');
    for (int b = 0; b < BINS; b++) {
        int len = (int)(count[b] * BAR / most);
        printf("%12.4g to %-12.4g %8zu  ", max * (2.0 * b / BINS - 1),
               max * (2.0 * (b + 1) / BINS - 1), count[b]);
        for (int k = 0; k < len; k++) fputs("\u2588", stdout);
        puts(count[b] && !len ? "\u258f" : "");
    }
}

static void print_values(const state *s, const ls_trace_record *r, const ls_ckpt_tensor *v)
{
    size_t all = r->heads * r->rows, rows = (size_t)s->o->rows, columns = (size_t)s->o->columns;
    for (size_t i = 0; i < all && i < rows; i++) {
        if (r->heads == 1)
            printf("position %zu:", (size_t)r->pos + i);
        else
            printf("head %zu, position %zu:", i / r->rows, (size_t)r->pos + i % r->rows);
        for (size_t k = 0; k < r->n && k < columns; k++)
            printf(" %.9g", (double)value_at(v, i * r->n + k));
        puts(columns < r->n ? " ..." : "");
    }
    if (rows < all) printf("... %zu more rows\n", all - rows);
}

static ls_status show(const state *s, const char *name, ls_error *err)
{
    const ls_trace_record *r = find(&s->trace, name);
    const ls_sketch       *k;
    const ls_ckpt_tensor  *v;
    char                   shape[64];
    if (!r) {
        ls_fail(err, LS_ERR_USAGE, "the trace has no tap '%s'", name);
        return ls_fail_hint(err, "without a name 'trace show' lists them"), LS_ERR_USAGE;
    }
    if (s->ctx->json) return cli_json_print(record_json(r), NULL, err);
    k = &r->sketch;
    printf("%s: %s of %s, first position %d\n", name, shape_text(r, shape, sizeof(shape)),
           s->trace.engine.engine, (int)r->pos);
    printf("RMS %.9g, sum %.9g, max |x| %.9g, %zu not finite\nBLAKE3 %s\n", k->rms, k->sum,
           k->max_abs, k->n_not_finite, k->blake3);
    v = s->values ? ls_checkpoint_tensor(s->values, (ls_str){name, strlen(name)}) : NULL;
    if (!v || v->dtype != LS_CKPT_F32 || v->n_bytes != k->n * sizeof(float)) {
        puts("its values were not recorded (trace record --values full)");
        return LS_OK;
    }
    print_values(s, r, v);
    print_spread(r, v);
    return LS_OK;
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    state     s = {.ctx = ctx, .o = opts};
    char      path[4096];
    ls_status status = ls_trace_read(&s.trace, ctx->args[0], err);
    if (status == LS_OK && s.trace.has_values) {
        snprintf(path, sizeof(path), "%.4000s/values.safetensors", ctx->args[0]);
        status = ls_checkpoint_open(&s.values, path, err);
    }
    if (status == LS_OK) status = ctx->n_args > 1 ? show(&s, ctx->args[1], err) : list(&s, err);
    ls_checkpoint_close(s.values);
    ls_trace_fini(&s.trace);
    return status;
}

static const cli_option table[] = {
    {.name = "rows",
     .kind = CLI_INT,
     .off = offsetof(show_opts, rows),
     .metavar = "N",
     .min = 0,
     .max = INT32_MAX,
     .def = "8",
     .help = "Rows of values to print."},
    {.name = "columns",
     .kind = CLI_INT,
     .off = offsetof(show_opts, columns),
     .metavar = "N",
     .min = 0,
     .max = INT32_MAX,
     .def = "8",
     .help = "Values of a row to print."},
    {0},
};
static const cli_group groups[] = {{"Values", table, 0}, {0}};
static const show_opts defaults = {.rows = 8, .columns = 8};

const cli_command cli_cmd_trace_show = {
    .noun = "trace",
    .verb = "show",
    .summary = "List the taps of a trace, or show one of them",
    .details =
        "With a name, as 'trace show DIR' lists them: shape, statistics and hash of that tap, "
        "and where the values were recorded, their beginning and a histogram.",
    .examples = "$ lockstep trace show native\n"
                "$ lockstep trace show native t0/blk3/attn_norm",
    .operands = "DIR [TAP]",
    .min_args = 1,
    .max_args = 2,
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(show_opts),
    .reports = true,
    .run = run,
};
