// SPDX-License-Identifier: MIT
/* markup.h - text of unknown origin (tokens, file names, messages) inside documents of another
 * language. Control characters and invalid UTF-8 become visible escapes as in text.h, and what
 * would be markup there is spelt otherwise. */
#ifndef LS_CLI_MARKUP_H
#define LS_CLI_MARKUP_H

#include <stdio.h>

#include "lockstep/types.h"

/* Inside an element or a quoted attribute of HTML or XML 1.0. */
void cli_markup_xml(FILE *f, ls_str s);
/* Inside a line or a table of GitHub's Markdown. */
void cli_markup_md(FILE *f, ls_str s);
/* Inside the quotes of a JSON string that stands in a script element of HTML. */
void cli_markup_json(FILE *f, ls_str s);
/* Inside the quotes of a field of CSV. */
void cli_markup_csv(FILE *f, ls_str s);

/* Bytes as base64, in any number of pieces; end pads. */
typedef struct cli_base64 {
    FILE         *f;
    unsigned char held[3];
    size_t        n;
} cli_base64;
void cli_base64_put(cli_base64 *b, const void *bytes, size_t n);
void cli_base64_end(cli_base64 *b);

#endif
