// SPDX-License-Identifier: MIT
/* cmd_trace_diff.c - `lockstep trace diff`: two traces, tap by tap. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/text.h"

typedef struct diff_opts {
    double nmse_tol;
    bool   all;
} diff_opts;

typedef struct state {
    cli_context     *ctx;
    const diff_opts *o;
    ls_trace         a, b;
    ls_trace_diff    diff;
} state;

static json_t *side_json(const ls_trace_record *r)
{
    if (!r) return json_null();
    return json_pack("{s:s, s:f, s:f, s:f, s:I}", "blake3", r->sketch.blake3, "rms", r->sketch.rms,
                     "sum", r->sketch.sum, "max_abs", r->sketch.max_abs, "num_elements",
                     (json_int_t)r->sketch.n);
}

static json_t *row_json(const ls_trace_diff_row *row)
{
    const ls_trace_record *r = row->a ? row->a : row->b;
    char                   name[96];
    return json_pack("{s:s, s:i, s:i, s:s, s:o, s:o, s:b, s:o, s:b, s:b, s:s}", "name",
                     ls_trace_record_name(r, name, sizeof(name)), "seq", r->seq, "layer", r->layer,
                     "stage", ls_trace_record_stage(r), "a", side_json(row->a), "b",
                     side_json(row->b), "same_bits", row->d.same_bits, "nmse",
                     row->finding[0] ? json_null() : cli_json_real(row->d.nmse), "estimated",
                     row->d.estimated, "ok", row->d.ok, "finding", row->finding);
}

static ls_status print_json(const state *s, ls_error *err)
{
    const ls_trace_diff *d = &s->diff;
    json_t              *rows = json_array();
    for (size_t i = 0; i < d->n_rows; i++) json_array_append_new(rows, row_json(&d->rows[i]));
    return cli_json_print(
        json_pack("{s:s, s:s, s:i, s:s, s:s, s:{s:I, s:I, s:I, s:I}, s:o, s:o, s:o}", "schema",
                  "lockstep.trace-diff/1", "verdict", ls_verdict_name(d->verdict), "exit_code",
                  ls_verdict_exit_code(d->verdict), "reason", d->reason, "unchecked", d->unchecked,
                  "coverage", "taps_planned", (json_int_t)d->n_planned, "taps_compared",
                  (json_int_t)d->n_compared, "same_bits", (json_int_t)d->n_same_bits, "findings",
                  (json_int_t)d->n_findings, "first_bits",
                  d->first_bits < 0 ? json_null() : row_json(&d->rows[d->first_bits]), "first_over",
                  d->first_over < 0 ? json_null() : row_json(&d->rows[d->first_over]), "taps",
                  rows),
        NULL, err);
}

static void print_first(const char *what, const ls_trace_diff_row *r)
{
    const ls_sketch *a = &r->a->sketch, *b = &r->b->sketch;
    double           delta = fabs(a->rms - b->rms);
    printf("%s at seq=%d, layer=%d, stage=%s:\n", what, r->a->seq, r->a->layer,
           ls_trace_record_stage(r->a));
    printf("  A RMS: %.6f  BLAKE3: %.16s\n", a->rms, a->blake3);
    printf("  B RMS: %.6f  BLAKE3: %.16s\n", b->rms, b->blake3);
    printf("  RMS delta %.6g (%.2f%%), NMSE %.3g%s\n", delta,
           b->rms > 0 ? 100 * delta / b->rms : 0.0, r->d.nmse,
           r->d.estimated ? " (estimated)" : "");
}

static void print_rows(const state *s)
{
    char name[96];
    for (size_t i = 0; i < s->diff.n_rows; i++) {
        const ls_trace_diff_row *r = &s->diff.rows[i];
        ls_trace_record_name(r->a ? r->a : r->b, name, sizeof(name));
        if (r->finding[0])
            printf("%-36s %s\n", name, r->finding);
        else if (s->o->all || !r->d.ok)
            printf("%-36s %-9s NMSE %.3g%s\n", name,
                   r->d.same_bits ? "same bits"
                   : r->d.ok      ? "ok"
                                  : "OVER",
                   r->d.nmse, r->d.estimated && !r->d.same_bits ? " (estimated)" : "");
    }
}

static void print_text(const state *s)
{
    const ls_trace_diff *d = &s->diff;
    print_rows(s);
    if (d->first_bits >= 0) print_first("first difference in bits", &d->rows[d->first_bits]);
    if (d->first_over >= 0) print_first("first over budget", &d->rows[d->first_over]);
    printf("%s%s%s\n", ls_verdict_name(d->verdict), d->reason[0] ? ": " : "", d->reason);
    if (d->unchecked[0]) printf("not checked: %s\n", d->unchecked);
    printf("compared %zu/%zu taps, %zu equal to the last bit, %zu findings\n", d->n_compared,
           d->n_planned, d->n_same_bits, d->n_findings);
}

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    state     s = {.ctx = ctx, .o = opts};
    ls_status status = ls_trace_read(&s.a, ctx->args[0], err);
    if (status == LS_OK) status = ls_trace_read(&s.b, ctx->args[1], err);
    if (status == LS_OK) status = ls_trace_compare(&s.diff, &s.a, &s.b, s.o->nmse_tol, err);
    if (status == LS_OK) {
        ctx->exit_code = ls_verdict_exit_code(s.diff.verdict);
        if (ctx->json)
            status = print_json(&s, err);
        else
            print_text(&s);
    }
    ls_trace_diff_fini(&s.diff);
    ls_trace_fini(&s.a);
    ls_trace_fini(&s.b);
    return status;
}

static const cli_option table[] = {
    {.name = "nmse-tol",
     .kind = CLI_DOUBLE,
     .off = offsetof(diff_opts, nmse_tol),
     .metavar = "X",
     .min = 0,
     .max = 1e9,
     .def = "1e-4",
     .help = "Largest normalised mean square error of a tap: sum (a - b)^2 / sum b^2."},
    {.name = "all",
     .kind = CLI_FLAG,
     .off = offsetof(diff_opts, all),
     .help = "List every tap, not only those that are over the budget or missing."},
    {0},
};
static const cli_group groups[] = {{"Comparison", table, 0}, {0}};
static const diff_opts defaults = {.nmse_tol = 1e-4};

const cli_command cli_cmd_trace_diff = {
    .noun = "trace",
    .verb = "diff",
    .summary = "Compare two traces, tap by tap",
    .details =
        "B is the reference. Names the first tap whose bits differ and the first that is over "
        "the budget. Traces of other tokens or another model are exit 2; a trace without "
        "records, or a tap that one side lacks without having said so, is exit 3.",
    .examples = "$ lockstep trace diff native llama",
    .operands = "A B",
    .min_args = 2,
    .max_args = 2,
    .groups = groups,
    .defaults = &defaults,
    .opts_bytes = sizeof(diff_opts),
    .reports = true,
    .run = run,
};
