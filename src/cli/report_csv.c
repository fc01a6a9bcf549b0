// SPDX-License-Identifier: MIT
/* report_csv.c - a per-token comparison as a table: RFC 4180, one row per position.
 *
 * An empty field is a number that was not measured. Text stands in single quotes, which also keeps
 * spreadsheets from taking a token for a formula. */
#include <math.h>

#include "cli/markup.h"
#include "cli/report.h"

static const char *const columns[] = {
    "pos",  "token",   "phase",         "cosine",       "cosine_centred",
    "l2",   "max_abs", "max_abs_token", "mean_abs",     "nmse",
    "kl",   "margin",  "sigma",         "top1_subject", "top1_reference",
    "flip", "finite",  "bit_equal",     "ok",           "broken",
    "text",
};

static void number(FILE *f, double x, bool measured)
{
    if (!measured)
        fputc(',', f);
    else if (isnan(x)) /* without the sign that printf may give it */
        fputs(",nan", f);
    else
        fprintf(f, ",%.17g", x);
}

static void index_or_nothing(FILE *f, int32_t i, bool measured)
{
    fputc(',', f);
    if (measured && i >= 0) fprintf(f, "%d", (int)i);
}

static void word(FILE *f, const char *s, bool measured) { fprintf(f, ",%s", measured ? s : ""); }

static void row(const cli_report *r, FILE *f, const ls_position *p, bool both)
{
    static const char *const flips[] = {"none", "near_tie", "flip"};
    char                     piece[256];
    fprintf(f, "%d,%d,%s", (int)p->pos, (int)p->token, p->decode ? "decode" : "prompt");
    number(f, p->cosine, both);
    number(f, p->cosine_centred, both);
    number(f, p->l2, both);
    number(f, p->max_abs, both);
    index_or_nothing(f, p->max_abs_token, both);
    number(f, p->mean_abs, both);
    number(f, p->nmse, both);
    number(f, p->kl, both);
    number(f, p->margin, true);
    number(f, p->sigma, both);
    index_or_nothing(f, p->top1_subject, true);
    index_or_nothing(f, p->top1_reference, true);
    word(f, flips[p->flip], both);
    word(f, p->finite ? "true" : "false", true);
    word(f, p->equal ? "true" : "false", both);
    word(f, p->ok ? "true" : "false", both);
    fputs(",\"", f);
    if (both && !p->ok) fputs(cli_broken_part(p, &r->budget), f);
    fputs("\",\"'", f);
    cli_markup_csv(f, cli_token_text(r, p->token, piece, sizeof(piece)));
    fputs("'\"\r\n", f);
}

ls_status cli_report_csv(const cli_report *r, FILE *f, ls_error *err)
{
    const ls_per_token_result *x = r->result;
    size_t                     n = sizeof(columns) / sizeof(columns[0]);
    for (size_t i = 0; i < n; i++) fprintf(f, "%s%s", i ? "," : "", columns[i]);
    fputs("\r\n", f);
    for (size_t i = 0; i < x->n_positions; i++)
        row(r, f, &x->positions[i], x->coverage.positions_compared > 0);
    (void)err; /* nothing but the stream can fail */
    return LS_OK;
}
