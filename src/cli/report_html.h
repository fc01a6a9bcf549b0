// SPDX-License-Identifier: MIT
/* report_html.h - the data in the page of `--format html`: a JSON document for its script.
 *
 *   {"report": the JSON report, "texts": {"ID": "piece"}, "budget": NMSE of a tap, "values": K,
 *    "map": [rows]}
 *
 * A row of the map is {"op", "layer" (-1: none), "heads", "n", "i", "a", "c", "w"}. "i" and "a" are the
 * isolated and the accumulated NMSE of every position: base64 of little-endian doubles, or one number
 * where all are that number (0, or -1: not compared). "c" is base64 of a byte per position: how many
 * values are kept; "w" of those values, 12 bytes each: index (u32), subject, reference (f32). Of each
 * cell the K largest are kept, so many as fit. */
#ifndef LS_CLI_REPORT_HTML_H
#define LS_CLI_REPORT_HTML_H

#include "cli/report.h"

/* Safe inside a script element, whatever tokens and file names hold. Errors: NOMEM. */
ls_status cli_report_data(const cli_report *r, FILE *f, ls_error *err);

#endif
