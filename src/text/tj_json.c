// SPDX-License-Identifier: MIT
/* tj_json.c - members of JSON objects with their types checked, and errors that say where. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/tj.h"

/* "model.merges[17]", as much of it as fits. */
static size_t write_place(const ls_tj_place *at, char *buf, size_t cap)
{
    size_t n = at->up ? write_place(at->up, buf, cap) : 0;
    int    k = at->key ? snprintf(buf + n, cap - n, "%s%s", n ? "." : "", at->key)
                       : snprintf(buf + n, cap - n, "[%zu]", at->index);
    if (k > 0) n += (size_t)k;
    return n < cap ? n : cap - 1;
}

ls_status ls_tj_fail(const ls_tj_file *f, const ls_tj_place *at, ls_status status, ls_error *err,
                     const char *fmt, ...)
{
    char    what[256], place[256] = "";
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    if (at) write_place(at, place, sizeof(place));
    ls_fail(err, status, "%s%s%s", place, place[0] ? " " : "", what);
    ls_fail_at(err, "%s%s%s", f->path, place[0] ? ": " : "", place);
    return status;
}

void ls_tj_at(const ls_tj_file *f, const ls_tj_place *at, ls_error *err)
{
    char place[256];
    write_place(at, place, sizeof(place));
    ls_fail_at(err, "%s: %s", f->path, place);
}

static const json_t *member(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_null(v) ? NULL : v;
}

ls_status ls_tj_bool(const ls_tj_file *f, const ls_tj_place *at, const json_t *o, const char *key,
                     bool *out, ls_error *err)
{
    const json_t     *v = member(o, key);
    const ls_tj_place here = {at, key, 0};
    if (!v) return LS_OK;
    if (!json_is_boolean(v)) {
        return ls_tj_fail(f, &here, LS_ERR_FORMAT, err, "is neither true nor false");
    }
    *out = json_is_true(v);
    return LS_OK;
}

ls_status ls_tj_int(const ls_tj_file *f, const ls_tj_place *at, const json_t *o, const char *key,
                    int64_t least, int64_t most, int64_t *out, ls_error *err)
{
    const json_t     *v = member(o, key);
    const ls_tj_place here = {at, key, 0};
    if (!v) return LS_OK;
    if (!json_is_integer(v) || json_integer_value(v) < least || json_integer_value(v) > most) {
        return ls_tj_fail(f, &here, LS_ERR_FORMAT, err, "is no integer from %lld to %lld",
                          (long long)least, (long long)most);
    }
    *out = json_integer_value(v);
    return LS_OK;
}

ls_status ls_tj_str(const ls_tj_file *f, const ls_tj_place *at, const json_t *o, const char *key,
                    ls_str *out, ls_error *err)
{
    const json_t     *v = member(o, key);
    const ls_tj_place here = {at, key, 0};
    char             *copy;
    if (!v) return LS_OK;
    if (!json_is_string(v)) return ls_tj_fail(f, &here, LS_ERR_FORMAT, err, "is no string");
    LS_TRY(ls_alloc(&copy, json_string_length(v) + 1, 1, "a tokenizer", err));
    memcpy(copy, json_string_value(v), json_string_length(v));
    *out = (ls_str){copy, json_string_length(v)};
    return LS_OK;
}
