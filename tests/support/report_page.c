// SPDX-License-Identifier: MIT
/* report_page.c - a report of a made-up comparison, and its numbers by another way than the
 * report's.
 *
 *   usage: report_page FORM POSITIONS LAYERS           the report: html, junit, markdown, csv ...
 *          report_page tap POSITIONS LAYERS POS ROW    a cell of the map as it was made, as JSON:
 *                                                      [isolated, accumulated, [index, subject,
 *                                                      reference], ...]; NaN and Inf as strings */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/made_report.h"

static void number(double x)
{
    if (isfinite(x))
        printf("%.17g", x);
    else
        printf("\"%s\"", isnan(x) ? "NaN" : "Infinity");
}

static void print_cell(const made_report *m, size_t pos, size_t row)
{
    const ls_map_cell *c = &m->located.map.rows[row].cells[pos];
    putchar('[');
    number(c->isolated);
    putchar(',');
    number(c->accumulated);
    for (uint32_t k = 0; k < c->n_worst; k++) {
        printf(",[%u,", (unsigned)c->worst[k].index);
        number((double)c->worst[k].subject);
        putchar(',');
        number((double)c->worst[k].reference);
        putchar(']');
    }
    puts("]");
}

static ls_status print(const made_report *m, int argc, char **argv, ls_error *err)
{
    if (argc == 6) {
        print_cell(m, strtoul(argv[4], NULL, 10), strtoul(argv[5], NULL, 10));
        return LS_OK;
    }
    for (const cli_choice *c = cli_report_names; c->name; c++)
        if (strcmp(c->name, argv[1]) == 0)
            return cli_report_forms[c->value].write(&m->report, stdout, err);
    return ls_fail(err, LS_ERR_USAGE, "no form '%s'", argv[1]);
}

int main(int argc, char **argv)
{
    made_report m;
    ls_error    err = {0};
    ls_status   status;
    if (argc != 4 && argc != 6) return 64;
    status = made_report_init(&m, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10), &err);
    if (status == LS_OK) status = print(&m, argc, argv, &err);
    if (status != LS_OK) fprintf(stderr, "report_page: %s\n", err.what);
    made_report_fini(&m);
    return status == LS_OK ? 0 : 1;
}
