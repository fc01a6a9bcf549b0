// SPDX-License-Identifier: MIT
/* report_html.h - what the files of the page share: pieces, tables, and the data for its script.
 *
 * The page is a skeleton (report.html) whose sections these functions fill. */
#ifndef LS_CLI_REPORT_HTML_H
#define LS_CLI_REPORT_HTML_H

#include "cli/report.h"

/* ---- pieces (report_pieces.c) ---- */

void cli_html_text(FILE *f, const char *s); /* of unknown origin */
void cli_html_not_measured(FILE *f);
void cli_html_not_known(FILE *f);
/* A <data> element: the value exactly and as JavaScript spells it, and the text for people. */
void cli_html_number(FILE *f, double x, cli_real form);
/* The same in a cell of a table, which says so where nothing was measured. */
void cli_html_cell(FILE *f, double x, cli_real form, bool measured);
/* A token's id and text; -1: not measured. */
void cli_html_token_cell(const cli_report *r, FILE *f, int32_t id);

/* A section with its heading; `id` names both. */
void cli_html_begin_section(FILE *f, const char *id, const char *heading);
void cli_html_end_section(FILE *f);
/* A table in a section of the same id; a long one scrolls, which the keyboard can do, too. */
void cli_html_begin_table(FILE *f, const char *id);
void cli_html_begin_long_table(FILE *f, const char *id);
/* Its head: NULL ends the names, '<' begins those of columns of text. */
void cli_html_columns(FILE *f, const char *const *names);
void cli_html_end_table(FILE *f);

/* ---- sections (report_tables.c) ---- */

/* Each writes nothing where there is nothing to show. */
void cli_html_tokens(const cli_report *r, FILE *f);
void cli_html_summary(const cli_report *r, FILE *f);
void cli_html_positions(const cli_report *r, FILE *f);
void cli_html_taps(const cli_report *r, FILE *f);

/* ---- the data (report_map.c) ---- */

/* A JSON document for the script:
 *
 *   {"report": the JSON report, "texts": {"ID": "piece"}, "budget": NMSE of a tap, "values": K,
 *    "map": [rows]}
 *
 * A row of the map is {"op", "layer" (-1: none), "heads", "n", "i", "a", "c", "w"}. "i" and "a" are the
 * isolated and the accumulated NMSE of every position: base64 of little-endian doubles, or one number
 * where all are that number (0, or -1: not compared). "c" is base64 of a byte per position: how many
 * values are kept; "w" of those values, 12 bytes each: index (u32), subject, reference (f32). Of each
 * cell the K largest are kept, as many as fit.
 *
 * Safe inside a script element, whatever tokens and file names hold. Errors: NOMEM. */
ls_status cli_report_data(const cli_report *r, FILE *f, ls_error *err);

#endif
