// SPDX-License-Identifier: MIT
/* report_tables.c - the tables of the page: token ids that differ, summary, positions, taps. They hold
 * what the map shows, for those who do not see it, and for paper. */
#include <math.h>

#include "cli/report_html.h"

enum { TOKENS_AROUND = 12 };

/* An error of the map: -1 is the lack of one. */
static void error_cell(FILE *f, double nmse, size_t at)
{
    cli_html_cell(f, nmse, CLI_SCIENCE, nmse != -1);
    if (nmse == -1)
        fputs("<td></td>", f);
    else
        fprintf(f, "<td>%zu</td>", at);
}

/* ---- token ids that differ ---- */

static void id_cell(const cli_report *r, FILE *f, const int32_t *ids, size_t n, size_t i)
{
    if (i < n)
        cli_html_token_cell(r, f, ids[i]);
    else
        fputs("<td class=\"text unknown\">(end)</td>", f);
}

void cli_html_tokens(const cli_report *r, FILE *f)
{
    static const char *const   names[] = {"index", "<subject", "<reference", NULL};
    const ls_per_token_result *x = r->result;
    size_t at, n = x->n_ids_subject > x->n_ids_reference ? x->n_ids_subject : x->n_ids_reference;
    if (x->first_difference < 0) return;
    at = (size_t)x->first_difference;
    cli_html_begin_section(f, "tokens", "Token ids");
    fprintf(f,
            "<p>They differ from index <data value=\"%zu\">%zu</data> on; nothing was evaluated.",
            at, at);
    fputs("</p>\n", f);
    cli_html_begin_table(f, "ids");
    cli_html_columns(f, names);
    for (size_t i = at > TOKENS_AROUND ? at - TOKENS_AROUND : 0; i < n && i < at + TOKENS_AROUND;
         i++) {
        fprintf(f, "<tr%s><th scope=\"row\">%zu</th>", i == at ? " class=\"bad\"" : "", i);
        id_cell(r, f, x->ids_subject, x->n_ids_subject, i);
        id_cell(r, f, x->ids_reference, x->n_ids_reference, i);
        fputs("</tr>\n", f);
    }
    cli_html_end_table(f);
    cli_html_end_section(f);
}

/* ---- tables ---- */

static void summary_row(FILE *f, const char *name, const ls_extreme *e, const double *mean,
                        cli_real form, const char *budget)
{
    bool measured = e->pos >= 0;
    fprintf(f, "<tr><th scope=\"row\">%s</th>", name);
    cli_html_cell(f, e->value, form, measured);
    fputs("<td>", f);
    if (measured) fprintf(f, "%d", (int)e->pos);
    fputs("</td>", f);
    if (mean)
        cli_html_cell(f, *mean, form, measured);
    else
        fputs("<td></td>", f);
    fprintf(f, "<td class=\"text\">%s</td></tr>\n", budget);
}

void cli_html_summary(const cli_report *r, FILE *f)
{
    static const char *const names[] = {"<number", "worst", "at position", "mean", "<budget", NULL};
    const ls_summary *s = &r->result->summary;
    char              cos[64], nmse[64], kl[64];
    snprintf(cos, sizeof(cos), "at least %.10g", r->budget.cos_tol);
    snprintf(nmse, sizeof(nmse), "at most %g", r->budget.nmse_tol);
    snprintf(kl, sizeof(kl), "at most %g", r->budget.kl_tol);
    cli_html_begin_section(f, "summary", "Summary");
    cli_html_begin_table(f, "summary");
    cli_html_columns(f, names);
    summary_row(f, "cosine", &s->min_cosine, &s->mean_cosine, CLI_FIXED, "");
    summary_row(f, "centred cosine", &s->min_cosine_centred, NULL, CLI_FIXED, cos);
    summary_row(f, "centred NMSE", &s->max_nmse, &s->mean_nmse, CLI_SCIENCE, nmse);
    summary_row(f, "KL divergence, nats", &s->max_kl, &s->mean_kl, CLI_SCIENCE, kl);
    summary_row(f, "L2 distance", &s->max_l2, &s->mean_l2, CLI_SCIENCE, "");
    summary_row(f, "largest difference", &s->max_abs, &s->mean_abs, CLI_SCIENCE, "");
    cli_html_end_table(f);
    if (r->result->coverage.positions_compared)
        fprintf(
            f,
            "<p>The most likely token agrees at %.4g %% of the positions (near ties: %d, flips: %d); "
            "%zu of %zu positions are equal to the last bit.</p>\n",
            s->top1_agreement * 100, (int)s->near_ties, (int)s->flips, s->n_equal,
            r->result->n_positions);
    cli_html_end_section(f);
}

static void position_row(const cli_report *r, FILE *f, const ls_position *p, bool both)
{
    bool bad = !p->finite || (both && !p->ok);
    fprintf(f, "<tr id=\"p%d\"%s><th scope=\"row\">%d</th>", (int)p->pos,
            bad ? " class=\"bad\"" : "", (int)p->pos);
    cli_html_token_cell(r, f, p->token);
    cli_html_cell(f, p->cosine, CLI_FIXED, both);
    cli_html_cell(f, p->cosine_centred, CLI_FIXED, both);
    cli_html_cell(f, p->nmse, CLI_SCIENCE, both);
    cli_html_cell(f, p->kl, CLI_SCIENCE, both);
    cli_html_cell(f, p->max_abs, CLI_SCIENCE, both);
    cli_html_cell(f, p->margin, CLI_SCIENCE, true);
    cli_html_token_cell(r, f, p->top1_subject);
    cli_html_token_cell(r, f, p->top1_reference);
    fprintf(f, "<td class=\"text\">%s</td></tr>\n",
            !p->finite ? "NaN or Inf"
            : bad      ? cli_broken_part(p, &r->budget)
                       : "");
}

void cli_html_positions(const cli_report *r, FILE *f)
{
    static const char *const names[] = {"position", "<token", "cosine", "centred", "NMSE", "KL",
        "max |d|", "margin", "<subject's choice", "<reference's choice", "<outside", NULL};
    const ls_per_token_result *x = r->result;
    if (!x->n_positions) return;
    cli_html_begin_section(f, "positions", "Positions");
    cli_html_begin_long_table(f, "positions");
    cli_html_columns(f, names);
    for (size_t i = 0; i < x->n_positions; i++)
        position_row(r, f, &x->positions[i], x->coverage.positions_compared > 0);
    cli_html_end_table(f);
    cli_html_end_section(f);
}

static void tap_row(FILE *f, const ls_map_row *row, size_t i, size_t n_positions, double budget)
{
    cli_tap_summary t = cli_summarise_tap(row, n_positions, budget);
    fprintf(f, "<tr data-row=\"%zu\"%s><td>", i, t.n_over ? " class=\"bad\"" : "");
    if (row->layer >= 0) fprintf(f, "%d", (int)row->layer);
    fprintf(f, "</td><th scope=\"row\">%s</th><td class=\"text\">", ls_op_name(row->op));
    if (row->heads > 1) fprintf(f, "%zu &times; ", row->heads);
    fprintf(f, "%zu</td>", row->n);
    error_cell(f, t.isolated, t.isolated_at);
    error_cell(f, t.accumulated, t.accumulated_at);
    if (t.n_isolated)
        fprintf(f, "<td>%zu of %zu</td></tr>\n", t.n_over, t.n_isolated);
    else
        fputs("<td></td></tr>\n", f);
}

static void not_shown(const ls_located *l, FILE *f)
{
    bool any = false;
    for (int op = 0; op < LS_N_OPS; op++) {
        if (!l->declined[op]) continue;
        fprintf(f, "%s%s", any ? ", " : "<p>Not shown by the reference: ", ls_op_name((ls_op)op));
        any = true;
    }
    if (any) fputs(".</p>\n", f);
}

void cli_html_taps(const cli_report *r, FILE *f)
{
    static const char *const names[] = {"<layer", "<operation", "<shape", "worst isolated NMSE", "at",
        "worst accumulated NMSE", "at", "positions over budget", NULL};
    const ls_located *l = r->located;
    if (!l) return;
    cli_html_begin_section(f, "taps", "Taps");
    fprintf(
        f,
        "<p>%zu of %zu compared, %zu equal to the last bit. A tap is the result of one operation"
        " at every position.</p>\n",
        l->taps_compared, l->taps_planned, l->taps_equal);
    not_shown(l, f);
    if (l->map.n_rows) {
        cli_html_begin_long_table(f, "taps");
        cli_html_columns(f, names);
        for (size_t i = 0; i < l->map.n_rows; i++)
            tap_row(f, &l->map.rows[i], i, l->map.n_positions, l->budget);
        cli_html_end_table(f);
    }
    cli_html_end_section(f);
}

