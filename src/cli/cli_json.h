// SPDX-License-Identifier: MIT
/* cli_json.h - JSON output: built with jansson, printed to standard output alone. */
#ifndef LS_CLI_JSON_H
#define LS_CLI_JSON_H

#include <jansson.h>

#include "lockstep/error.h"
#include "lockstep/types.h"

/* A real; null for NaN and Inf, which JSON cannot hold. */
json_t *cli_json_real(double x);
/* A string; bytes that are not UTF-8 become U+FFFD. */
json_t *cli_json_text(const char *p, size_t len);
/* {"status", "what", "where", "hint", "exit_code"} of an error. */
json_t *cli_json_error(const ls_error *err);
/* Print `root` and a newline to path (written beside it and renamed), or to standard output where
 * path is NULL or "-". `root` is consumed; NULL means that memory ran out while it was built.
 * Errors: NOMEM, IO. */
ls_status cli_json_print(json_t *root, const char *path, ls_error *err);

#endif
