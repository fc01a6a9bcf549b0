// SPDX-License-Identifier: MIT
/* report_pieces.c - numbers, tokens and tables of the page. */
#include <math.h>
#include <string.h>

#include "cli/markup.h"
#include "cli/report_html.h"

void cli_html_text(FILE *f, const char *s) { cli_markup_xml(f, (ls_str){s, strlen(s)}); }

void cli_html_not_measured(FILE *f) { fputs("<span class=\"unknown\">not measured</span>", f); }

/* The value as JavaScript spells it. */
void cli_html_number(FILE *f, double x, cli_real form)
{
    char shown[32];
    if (isfinite(x))
        fprintf(f, "<data value=\"%.17g\">", x);
    else
        fprintf(f, "<data value=\"%s\">", isnan(x) ? "NaN" : x < 0 ? "-Infinity" : "Infinity");
    fprintf(f, "%s</data>", cli_format_real(x, form, shown));
}

void cli_html_cell(FILE *f, double x, cli_real form, bool measured)
{
    fputs("<td>", f);
    if (measured)
        cli_html_number(f, x, form);
    else
        cli_html_not_measured(f);
    fputs("</td>", f);
}

static void token(const cli_report *r, FILE *f, int32_t id)
{
    char   piece[256];
    ls_str s = cli_token_text(r, id, piece, sizeof(piece));
    if (id < 0) {
        cli_html_not_measured(f);
        return;
    }
    fprintf(f, "%d", (int)id);
    if (!s.len) return;
    fputs(" <q>", f);
    cli_markup_xml(f, s);
    fputs("</q>", f);
}

void cli_html_token_cell(const cli_report *r, FILE *f, int32_t id)
{
    fputs("<td class=\"text\">", f);
    token(r, f, id);
    fputs("</td>", f);
}

void cli_html_not_known(FILE *f) { fputs("<span class=\"unknown\">not known</span>", f); }

/* The head of a table: NULL ends the names, '<' begins those of columns of text. */
void cli_html_columns(FILE *f, const char *const *names)
{
    fputs("<thead><tr>", f);
    for (; *names; names++)
        fprintf(f, "<th scope=\"col\"%s>%s</th>", **names == '<' ? " class=\"text\"" : "",
                *names + (**names == '<'));
    fputs("</tr></thead>\n<tbody>\n", f);
}

/* A section with its heading; `id` names both. */
void cli_html_begin_section(FILE *f, const char *id, const char *heading)
{
    fprintf(f, "<section aria-labelledby=\"%s-title\">\n<h2 id=\"%s-title\">%s</h2>\n", id, id,
            heading);
}

/* A table that scrolls within its section, which the keyboard can do, too. */
void cli_html_begin_long_table(FILE *f, const char *id)
{
    fprintf(f,
            "<div class=\"wide tall\" tabindex=\"0\" role=\"region\" aria-labelledby=\"%s-title\">"
            "<table id=\"%s\" class=\"sortable\">\n",
            id, id);
}

void cli_html_begin_table(FILE *f, const char *id)
{
    fprintf(f, "<div class=\"wide\"><table id=\"%s\">\n", id);
}

void cli_html_end_table(FILE *f) { fputs("</tbody></table></div>\n", f); }
void cli_html_end_section(FILE *f) { fputs("</section>\n", f); }
