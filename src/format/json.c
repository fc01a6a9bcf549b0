// SPDX-License-Identifier: MIT
/* json.c - JSON files: what jansson parses, with our limits and places. */
#include "format/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/map.h"

ls_status ls_json_parse(ls_json *j, const char *text, size_t n, const char *path, size_t offset,
                        ls_error *err)
{
    json_error_t at;
    *j = (ls_json){.text = (char *)(uintptr_t)text, .n = n, .path = path, .offset = offset};
    j->root = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &at);
    if (j->root && json_is_object(j->root)) {
        j->text = NULL;
        return LS_OK;
    }
    if (j->root) {
        ls_fail(err, LS_ERR_FORMAT, "the JSON is no object");
        at.position = 0;
    } else if (json_error_code(&at) == json_error_out_of_memory) {
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for the JSON of '%s'", path);
    } else {
        ls_fail(err, LS_ERR_FORMAT, "the JSON cannot be read: %s", at.text);
    }
    ls_fail_at(err, "%s: byte %zu", path, offset + (at.position > 0 ? (size_t)at.position : 0));
    json_decref(j->root);
    *j = (ls_json){0};
    return LS_ERR_FORMAT;
}

ls_status ls_json_open(ls_json *j, const char *path, size_t limit, ls_error *err)
{
    struct stat st;
    char       *text;
    size_t      n;
    ls_status   status;
    *j = (ls_json){0};
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > limit) {
        ls_fail(err, LS_ERR_LIMIT, "the JSON file has %lld bytes, at most %zu are read",
                (long long)st.st_size, limit);
        return ls_fail_at(err, "%s", path);
    }
    LS_TRY(ls_read_file(&text, &n, path, err));
    status = ls_json_parse(j, text, n, path, 0, err);
    if (status != LS_OK) {
        free(text);
        return status;
    }
    j->text = text;
    return LS_OK;
}

void ls_json_free(ls_json *j)
{
    json_decref(j->root);
    free(j->text);
    *j = (ls_json){0};
}

/* The byte at which "key" first stands between quotes; 0 where it does not. */
static size_t place(const ls_json *j, const char *key)
{
    char        quoted[256];
    const char *p;
    int         n = key ? snprintf(quoted, sizeof(quoted), "\"%s\"", key) : 0;
    if (!j->text || n <= 0 || (size_t)n >= sizeof(quoted)) return j->offset;
    p = memmem(j->text, j->n, quoted, (size_t)n);
    return j->offset + (p ? (size_t)(p - j->text) : 0);
}

ls_status ls_json_fail(const ls_json *j, const char *key, ls_error *err, const char *fmt, ...)
{
    char    what[sizeof(err->what)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    ls_fail(err, LS_ERR_FORMAT, "%s", what);
    ls_fail_at(err, "%s: byte %zu", j->path, place(j, key));
    return LS_ERR_FORMAT;
}

ls_str ls_json_str(const json_t *v)
{
    return (ls_str){json_string_value(v), json_string_length(v)};
}
