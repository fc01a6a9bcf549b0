// SPDX-License-Identifier: MIT
/* json.h - JSON files with a limit on their size, and typed look-ups that name the key. */
#ifndef LS_FORMAT_JSON_H
#define LS_FORMAT_JSON_H

#include <jansson.h>

#include "lockstep/error.h"
#include "lockstep/types.h"

/* A JSON document and the file it came from, for error messages. */
typedef struct ls_json {
    json_t     *root;  /* an object; owned: ls_json_free */
    char       *text;  /* the bytes, for places; owned, may be NULL */
    size_t      n;
    const char *path;  /* borrowed */
    size_t      offset; /* of text[0] in the file */
} ls_json;

/* Read `path` (at most `limit` bytes), which must hold one object without a key that occurs twice.
 * Errors: IO, FORMAT (with the byte), LIMIT, NOMEM. */
ls_status ls_json_open(ls_json *j, const char *path, size_t limit, ls_error *err);
/* Parse n bytes that lie at `offset` of the file `path`; `text` stays borrowed. */
ls_status ls_json_parse(ls_json *j, const char *text, size_t n, const char *path, size_t offset,
                        ls_error *err);
void      ls_json_free(ls_json *j); /* zeroed structs are allowed */

/* FORMAT at the byte where `key` stands between quotes, or at the start of the document. */
ls_status ls_json_fail(const ls_json *j, const char *key, ls_error *err, const char *fmt, ...)
    LS_PRINTF(4, 5);

/* A string as bytes; {NULL, 0} for what is none. */
ls_str ls_json_str(const json_t *v);

#endif
