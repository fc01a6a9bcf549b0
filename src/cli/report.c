// SPDX-License-Identifier: MIT
/* report.c - the forms of a report, and what several of them say in the same words. */
#include "cli/report.h"

#include <math.h>
#include <string.h>

const cli_report_form cli_report_forms[CLI_N_FORMS] = {
    [CLI_FORM_TEXT] = {cli_report_text, .always = false},
    [CLI_FORM_JSON] = {cli_report_json, .always = true},
    [CLI_FORM_HTML] = {cli_report_html, .always = true, .locates = true, .map = true},
    [CLI_FORM_JUNIT] = {cli_report_junit, .always = true, .map = true},
    [CLI_FORM_MARKDOWN] = {cli_report_markdown, .always = true},
    [CLI_FORM_CSV] = {cli_report_csv, .always = true},
};

const cli_choice cli_report_names[] = {
    {"text", CLI_FORM_TEXT},
    {"json", CLI_FORM_JSON},
    {"html", CLI_FORM_HTML},
    {"junit", CLI_FORM_JUNIT},
    {"markdown", CLI_FORM_MARKDOWN},
    {"csv", CLI_FORM_CSV},
    {NULL, 0},
};

const char *cli_report_verdict(const cli_report *r)
{
    return r->error ? "ERROR" : ls_verdict_name(r->result->verdict);
}

const char *cli_report_sentence(const cli_report *r)
{
    const ls_per_token_result *x = r->result;
    if (r->error) return r->error->what;
    if (x->verdict == LS_VERDICT_MATCH)
        return x->summary.near_ties
                   ? "every position is inside its budget (near ties count as equal)"
                   : "every position is inside its budget";
    if (x->verdict == LS_VERDICT_NONE) return "one engine ran alone: nothing was compared";
    return x->reason;
}

const char *cli_broken_part(const ls_position *p, const ls_budget *b)
{
    if (!p->finite) return "NaN or Inf";
    if (!(p->cosine_centred >= b->cos_tol)) return "cosine";
    if (!(p->nmse <= b->nmse_tol)) return "NMSE";
    if (!(p->kl <= b->kl_tol)) return "KL";
    return p->flip == LS_FLIP_NEAR_TIE ? "near tie, strict" : "top-1";
}

ls_str cli_token_text(const cli_report *r, int32_t id, char *buf, size_t cap)
{
    size_t n = 0;
    if (r->tokenizer && id >= 0) n = ls_tokenizer_piece(r->tokenizer, id, true, buf, cap);
    return (ls_str){buf, n < cap ? n : cap};
}

const char *cli_format_real(double x, cli_real form, char buf[32])
{
    if (isnan(x))
        snprintf(buf, 32, "NaN");
    else if (isinf(x))
        snprintf(buf, 32, x < 0 ? "-Inf" : "Inf");
    else if (form == CLI_FIXED && x > -1e9 && x < 1e9)
        snprintf(buf, 32, "%.8f", x);
    else if (form == CLI_SHORT)
        snprintf(buf, 32, "%.6g", x);
    else
        snprintf(buf, 32, "%.3e", x);
    return buf;
}

/* -1 is no error but the lack of one. */
static bool worse(double a, double b)
{
    if (a == -1 || isnan(b)) return false;
    return b == -1 || isnan(a) || a > b;
}

static void take(double x, size_t at, double *worst, size_t *worst_at, size_t *n)
{
    *n += x != -1;
    if (!worse(x, *worst)) return;
    *worst = x;
    *worst_at = at;
}

cli_tap_summary cli_summarise_tap(const ls_map_row *row, size_t n_positions, double budget)
{
    cli_tap_summary s = {.isolated = -1, .accumulated = -1};
    for (size_t i = 0; i < n_positions; i++) {
        const ls_map_cell *c = &row->cells[i];
        take(c->isolated, i, &s.isolated, &s.isolated_at, &s.n_isolated);
        take(c->accumulated, i, &s.accumulated, &s.accumulated_at, &s.n_accumulated);
        s.n_over += c->isolated != -1 && !(c->isolated <= budget);
    }
    return s;
}
