// SPDX-License-Identifier: MIT
/* trace_read.c - a trace out of its folder; whatever is missing, doubled or misshapen is said. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/map.h"
#include "base/mem.h"
#include "record/record_priv.h"

enum { MAX_RECORDS = 1 << 22 };

static ls_status bad(ls_error *err, const char *path, size_t line, const char *what)
{
    ls_fail(err, LS_ERR_FORMAT, "%s", what);
    if (line)
        ls_fail_at(err, "%s, line %zu", path, line);
    else
        ls_fail_at(err, "%s", path);
    return LS_ERR_FORMAT;
}

/* A whole number within [min, max]; false: none. */
static bool take_int(const json_t *o, const char *key, int64_t min, int64_t max, int64_t *out)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v)) return false;
    *out = json_integer_value(v);
    return *out >= min && *out <= max;
}

static bool take_real(const json_t *o, const char *key, double *out)
{
    const json_t *v = json_object_get(o, key);
    *out = json_number_value(v);
    return json_is_number(v) && isfinite(*out);
}

static bool take_text(const json_t *o, const char *key, char *out, size_t cap)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (!s || strlen(s) >= cap) return false;
    strcpy(out, s);
    return true;
}

static bool take_hash(const json_t *o, const char *key, char out[65])
{
    return take_text(o, key, out, 65) && strlen(out) == 64 && strspn(out, "0123456789abcdef") == 64;
}

static bool take_shape(const json_t *o, ls_trace_record *r)
{
    const json_t *shape = json_object_get(o, "shape");
    size_t        n = json_array_size(shape), product = 1;
    size_t        dims[3] = {1, 1, 1};
    if (n != 2 && n != 3) return false;
    for (size_t i = 0; i < n; i++) {
        json_int_t d = json_integer_value(json_array_get(shape, i));
        if (d < 1 || !ls_mul_size(product, (size_t)d, &product)) return false;
        dims[3 - n + i] = (size_t)d;
    }
    r->heads = dims[0];
    r->rows = dims[1];
    r->n = dims[2];
    return r->sketch.n == product;
}

/* What is wrong with a record, NULL if nothing is. */
const char *ls_trace_take_record(const json_t *j, ls_trace_record *r)
{
    ls_sketch    *s = &r->sketch;
    const json_t *stage = json_object_get(j, "stage"), *p = json_object_get(j, "projections");
    int64_t       seq, layer, pos, n, bad_floats;
    const char   *dtype = json_string_value(json_object_get(j, "dtype"));
    if (!json_is_object(j)) return "a record is no JSON object";
    if (!json_is_string(stage) ||
        !ls_op_parse(json_string_value(stage), json_string_length(stage), &r->op))
        return "'stage' is no tap that Lockstep knows";
    if (!dtype || strcmp(dtype, "F32") != 0) return "'dtype' is not F32";
    if (!take_int(j, "seq", 0, INT32_MAX, &seq) || !take_int(j, "layer", -1, INT32_MAX, &layer) ||
        !take_int(j, "pos", 0, INT32_MAX, &pos))
        return "'seq', 'layer' or 'pos' is missing or no such number";
    if ((layer >= 0) != ls_op_per_layer(r->op)) return "'layer' does not go with its stage";
    if (!take_int(j, "num_elements", 1, INT64_MAX, &n) ||
        !take_int(j, "not_finite", 0, n, &bad_floats))
        return "'num_elements' or 'not_finite' is missing or no such number";
    s->n = (size_t)n;
    s->n_not_finite = (size_t)bad_floats;
    if (!take_shape(j, r)) return "'shape' is missing or has another number of elements";
    if (!take_hash(j, "blake3", s->blake3)) return "'blake3' is no hash of 64 hex digits";
    if (!take_real(j, "rms", &s->rms) || !take_real(j, "sum", &s->sum) ||
        !take_real(j, "max_abs", &s->max_abs))
        return "'rms', 'sum' or 'max_abs' is missing or no number";
    if (json_array_size(p) != LS_SKETCH_PROJECTIONS) return "'projections' are not eight numbers";
    for (size_t k = 0; k < LS_SKETCH_PROJECTIONS; k++) {
        s->projection[k] = json_number_value(json_array_get(p, k));
        if (!json_is_number(json_array_get(p, k))) return "'projections' are not eight numbers";
    }
    if (s->rms > s->max_abs * 1.000001 || fabs(s->sum) > s->rms * (double)s->n * 1.000001)
        return "its statistics contradict each other";
    r->seq = (int32_t)seq;
    r->layer = (int32_t)layer;
    r->pos = (int32_t)pos;
    return NULL;
}

ls_status ls_trace_add(ls_trace *t, const ls_trace_record *r, size_t *cap, ls_error *err)
{
    if (t->n_records == MAX_RECORDS)
        return ls_fail(err, LS_ERR_LIMIT, "more than %d records", MAX_RECORDS);
    if (t->n_records == *cap) {
        size_t more = *cap ? 2 * *cap : 256;
        void  *p = realloc(t->records, more * sizeof(*t->records));
        if (!p) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a trace");
        t->records = p;
        *cap = more;
    }
    t->records[t->n_records++] = *r;
    return LS_OK;
}

static ls_status parse_lines(ls_trace *t, const char *text, size_t len, const char *path,
                             ls_error *err)
{
    const char *end = text + len, *stop;
    size_t      line = 1, cap = 0;
    for (; text < end; text = stop + 1, line++) {
        ls_trace_record r = {0};
        json_t         *j;
        const char     *wrong;
        stop = memchr(text, '\n', (size_t)(end - text));
        if (!stop) return bad(err, path, line, "the last line is cut off");
        j = json_loadb(text, (size_t)(stop - text), JSON_REJECT_DUPLICATES, NULL);
        wrong = j ? ls_trace_take_record(j, &r) : "a line is no JSON";
        json_decref(j);
        if (wrong) return bad(err, path, line, wrong);
        LS_TRY(ls_trace_add(t, &r, &cap, err));
    }
    return LS_OK;
}

static ls_status read_records(ls_trace *t, const char *folder, ls_error *err)
{
    char      path[4096], *text;
    size_t    len;
    ls_status status;
    snprintf(path, sizeof(path), "%.4000s/trace.jsonl", folder);
    LS_TRY(ls_read_file(&text, &len, path, err));
    status = parse_lines(t, text, len, path, err);
    free(text);
    return status;
}

static bool take_ids(const json_t *a, int32_t *out)
{
    for (size_t i = 0; i < json_array_size(a); i++) {
        json_int_t id = json_integer_value(json_array_get(a, i));
        if (!json_is_integer(json_array_get(a, i)) || id < 0 || id > INT32_MAX) return false;
        out[i] = (int32_t)id;
    }
    return true;
}

/* What is wrong with the manifest, NULL if nothing is. */
static const char *take_manifest(const json_t *j, ls_trace *t, ls_error *err)
{
    const json_t *e = json_object_get(j, "engine"), *m = json_object_get(j, "model"),
                 *ids = json_object_get(j, "tokens"), *declined = json_object_get(j, "declined"),
                 *prompt = json_object_get(ids, "prompt"),
                 *decoded = json_object_get(ids, "decoded");
    const char *schema = json_string_value(json_object_get(j, "schema")),
               *values = json_string_value(json_object_get(j, "values"));
    ls_op op;
    if (!schema || strcmp(schema, "lockstep.trace/1") != 0)
        return "its schema is not lockstep.trace/1";
    if (!take_text(e, "engine", t->engine.engine, sizeof(t->engine.engine)) ||
        !take_text(e, "version", t->engine.version, sizeof(t->engine.version)) ||
        !take_text(e, "isa", t->engine.isa, sizeof(t->engine.isa)))
        return "'engine' is incomplete";
    if (!take_text(m, "path", t->model_path, sizeof(t->model_path)) ||
        !take_text(m, "architecture", t->arch, sizeof(t->arch)) ||
        !take_hash(m, "sha256", t->model_sha256))
        return "'model' is incomplete";
    t->n_prompt = json_array_size(prompt);
    t->n_tokens = t->n_prompt + json_array_size(decoded);
    if (t->n_prompt == 0) return "it has no tokens";
    if (ls_alloc(&t->tokens, t->n_tokens, sizeof(*t->tokens), "tokens", err) != LS_OK)
        return "too long";
    if (!take_ids(prompt, t->tokens) || !take_ids(decoded, t->tokens + t->n_prompt))
        return "'tokens' are no ids";
    for (size_t i = 0; i < json_array_size(declined); i++) {
        const json_t *s = json_array_get(declined, i);
        if (!json_is_string(s) || !ls_op_parse(json_string_value(s), json_string_length(s), &op))
            return "'declined' names no tap";
        t->declined[op] = true;
    }
    if (!take_hash(j, "logits_sha256", t->logits_sha256)) return "'logits_sha256' is no hash";
    t->perturbed = json_is_boolean(json_object_get(j, "perturbed"))
                       ? json_is_true(json_object_get(j, "perturbed"))
                       : -1;
    t->has_values = values && strcmp(values, "full") == 0;
    return NULL;
}

int ls_trace_by_key(const void *x, const void *y)
{
    const ls_trace_record *a = *(ls_trace_record *const *)x, *b = *(ls_trace_record *const *)y;
    if (a->seq != b->seq) return a->seq < b->seq ? -1 : 1;
    if (a->layer != b->layer) return a->layer < b->layer ? -1 : 1;
    if (a->op != b->op) return a->op < b->op ? -1 : 1;
    return strcmp(a->stage, b->stage);
}

/* A record that stands twice would be compared once. */
static ls_status check_twins(const ls_trace *t, ls_error *err)
{
    const ls_trace_record **order;
    char                    name[96];
    LS_TRY(ls_alloc(&order, t->n_records, sizeof(*order), "a trace", err));
    for (size_t i = 0; i < t->n_records; i++) order[i] = &t->records[i];
    qsort(order, t->n_records, sizeof(*order), ls_trace_by_key);
    for (size_t i = 1; i < t->n_records; i++) {
        if (ls_trace_by_key(&order[i - 1], &order[i]) != 0) continue;
        ls_trace_record_name(order[i], name, sizeof(name));
        free(order);
        ls_fail(err, LS_ERR_FORMAT, "the tap '%s' is recorded twice", name);
        return ls_fail_at(err, "%s", t->folder), LS_ERR_FORMAT;
    }
    free(order);
    return LS_OK;
}

static ls_status no_trace(const char *folder, const char *what, ls_error *err)
{
    ls_fail(err, LS_ERR_REFERENCE, "'%.300s' holds no trace: %s", folder, what);
    return ls_fail_hint(err, "lockstep trace record -m MODEL -p TEXT -o %.200s", folder),
           LS_ERR_REFERENCE;
}

/* Without a manifest: files of one tap each, but not what is left of a trace that was half written.
 */
static ls_status read_bare(ls_trace *t, const char *folder, ls_error *err)
{
    char        path[4096];
    struct stat sb;
    snprintf(path, sizeof(path), "%.4000s/trace.jsonl", folder);
    if (stat(path, &sb) == 0) return no_trace(folder, "it has no manifest.json", err);
    LS_TRY(ls_trace_read_files(t, folder, err));
    if (t->n_records == 0)
        return no_trace(folder, "it has neither manifest.json nor NAME.trace files", err);
    return check_twins(t, err);
}

static ls_status read_manifest(ls_trace *t, const char *path, int64_t *n, ls_error *err)
{
    char         what[160];
    json_error_t why;
    const char  *wrong;
    json_t      *j = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (!j) {
        snprintf(what, sizeof(what), "no JSON: %.120s", why.text);
        return bad(err, path, (size_t)(why.line > 0 ? why.line : 0), what);
    }
    wrong = take_manifest(j, t, err);
    if (!wrong && !take_int(j, "n_records", 0, MAX_RECORDS, n)) wrong = "'n_records' is no number";
    json_decref(j);
    return wrong ? bad(err, path, 0, wrong) : LS_OK;
}

static ls_status read_folder(ls_trace *t, const char *folder, ls_error *err)
{
    char        path[4096];
    struct stat sb;
    int64_t     n = -1;
    snprintf(t->folder, sizeof(t->folder), "%.500s", folder);
    if (stat(folder, &sb) != 0 || !S_ISDIR(sb.st_mode)) {
        return ls_fail(err, LS_ERR_IO, "'%.300s' is no folder", folder);
    }
    snprintf(path, sizeof(path), "%.4000s/manifest.json", folder);
    if (stat(path, &sb) != 0) return read_bare(t, folder, err);
    LS_TRY(read_manifest(t, path, &n, err));
    LS_TRY(read_records(t, folder, err));
    if (t->n_records == 0) {
        return ls_fail(err, LS_ERR_REFERENCE, "the trace in '%.300s' has no records", folder);
    }
    if ((int64_t)t->n_records != n) {
        ls_fail(err, LS_ERR_FORMAT, "it has %zu records, its manifest says %lld", t->n_records,
                (long long)n);
        return ls_fail_at(err, "%.400s/trace.jsonl", folder), LS_ERR_FORMAT;
    }
    return check_twins(t, err);
}

ls_status ls_trace_read(ls_trace *out, const char *folder, ls_error *err)
{
    ls_status status;
    memset(out, 0, sizeof(*out));
    status = read_folder(out, folder, err);
    if (status != LS_OK) ls_trace_fini(out);
    return status;
}
