// SPDX-License-Identifier: MIT
/* text.h - printing text that came out of a file: nothing in it may act on the terminal. */
#ifndef LS_CLI_TEXT_H
#define LS_CLI_TEXT_H

#include <stdio.h>

#include "lockstep/types.h"

/* Control characters and invalid UTF-8 become escapes: \n, \t, \x1b. */
void cli_print_clean(FILE *f, ls_str s);
/* As cli_print_clean, padded with spaces to `width` characters. */
void cli_print_padded(FILE *f, ls_str s, int width);
/* In double quotes, with `"` and `\` escaped as well. At most `shown` bytes (0: all), then
 * "... (N bytes)". */
void cli_print_quoted(FILE *f, ls_str s, size_t shown);

/* Bytes of the well-formed UTF-8 sequence at p, 0 if there is none. */
size_t cli_utf8_sequence(const char *p, size_t len);

#endif
