// SPDX-License-Identifier: MIT
/* json.c - what jansson leaves to its users: NaN, bytes that are not UTF-8, complete files. */
#include "cli/cli_json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/text.h"

json_t *cli_json_real(double x) { return isfinite(x) ? json_real(x) : json_null(); }

json_t *cli_json_text(const char *p, size_t len)
{
    char   *clean;
    size_t  n = 0;
    json_t *j;
    if (len > SIZE_MAX / 3 || !(clean = malloc(3 * len + 1))) return NULL;
    for (size_t i = 0; i < len;) {
        size_t k = cli_utf8_sequence(p + i, len - i);
        memcpy(clean + n, k ? p + i : "\xef\xbf\xbd", k ? k : 3);
        n += k ? k : 3;
        i += k ? k : 1;
    }
    j = json_stringn_nocheck(clean, n);
    free(clean);
    return j;
}

json_t *cli_json_error(const ls_error *err)
{
    return json_pack("{s:s, s:i, s:o, s:o, s:o}", "status", ls_status_name(err->status),
                     "exit_code", ls_exit_code(err->status, err), "what",
                     cli_json_text(err->what, strlen(err->what)), "where",
                     cli_json_text(err->where, strlen(err->where)), "hint",
                     cli_json_text(err->hint, strlen(err->hint)));
}

ls_status cli_json_print(json_t *root, const char *path, ls_error *err)
{
    cli_output o = {0};
    ls_status  status = LS_OK;
    if (!root) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the JSON document");
    status = cli_output_open(&o, path, err);
    if (status == LS_OK) {
        /* A failed write is kept in the stream and reported by commit. */
        json_dumpf(root, o.f, JSON_INDENT(2));
        fputc('\n', o.f);
        status = cli_output_commit(&o, err);
    }
    json_decref(root);
    return status;
}
