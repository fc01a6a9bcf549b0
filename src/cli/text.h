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

/* The next character of text (len > 0), as itself or as one of these escapes, into out: *n_out bytes,
 * without a NUL. Returns the bytes read. */
size_t cli_clean_one(const char *p, size_t len, char out[8], size_t *n_out);

/* Bytes of the well-formed UTF-8 sequence at p, 0 if there is none. */
size_t cli_utf8_sequence(const char *p, size_t len);

#endif
