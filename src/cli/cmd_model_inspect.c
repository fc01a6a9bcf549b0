// SPDX-License-Identifier: MIT
/* cmd_model_inspect.c - `lockstep model inspect`: what a model file holds.
 *
 * Works on every well-formed GGUF file, also on those that no engine here can run.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/cli_json.h"
#include "cli/facts.h"
#include "cli/norm_gate.h"
#include "cli/text.h"

typedef struct inspect_opts {
    cli_model_opts model;
    bool           full, ln_stats;
    int            gate;
    const char    *policy, *policy_key;
} inspect_opts;

typedef enum gate_choice { GATE_NONE, GATE_AUTO, GATE_POLICY } gate_choice;

enum { ARRAY_SHOWN = 8, STRING_SHOWN = 48 };

/* One tensor type and what it takes up. */
typedef struct type_sum {
    int      dtype;
    size_t   n_tensors;
    uint64_t n_elements, n_bytes;
} type_sum;

/* What the report says beyond the file itself. */
typedef struct summary {
    type_sum    types[64];
    size_t      n_types;
    uint64_t    n_elements, n_bytes;
    uint64_t   *bytes; /* [n_tensors]: size in the file, also of types that we do not know */
    model_facts facts;
    ls_error    native; /* why the native engine cannot run it; status LS_OK if it can      */
} summary;

/* ---- collecting ---- */

static uint64_t tensor_elements(const ls_tensor *t)
{
    uint64_t n = 1;
    for (int d = 0; d < LS_MAX_DIMS; d++) n *= (uint64_t)t->ne[d];
    return n;
}

typedef struct placed {
    uint32_t part;
    uint64_t off;
    size_t   tensor;
} placed;

static int by_offset(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->part != y->part) return x->part < y->part ? -1 : 1;
    return (x->off > y->off) - (x->off < y->off);
}

/* A type whose block size we do not know takes what lies before the next tensor of the file. */
static ls_status measure_tensors(const ls_gguf *g, uint64_t *bytes, ls_error *err)
{
    size_t  n = ls_gguf_n_tensors(g);
    placed *order = calloc(n ? n : 1, sizeof(*order));
    if (!order) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for %zu tensors", n);
    for (size_t i = 0; i < n; i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        order[i] = (placed){t->part, t->file_off, i};
    }
    qsort(order, n, sizeof(*order), by_offset);
    for (size_t i = 0; i < n; i++) {
        bool     last = i + 1 == n || order[i + 1].part != order[i].part;
        uint64_t end = ls_gguf_n_parts(g) == 1 ? ls_gguf_file_bytes(g) : 0;
        uint64_t next = last ? end : order[i + 1].off;
        uint64_t known = ls_gguf_tensor_at(g, order[i].tensor)->n_bytes;
        bytes[order[i].tensor] = known ? known : next > order[i].off ? next - order[i].off : 0;
    }
    free(order);
    return LS_OK;
}

static void add_type(summary *s, const ls_tensor *t, uint64_t n_bytes)
{
    size_t   k = 0;
    uint64_t n = tensor_elements(t);
    while (k < s->n_types && s->types[k].dtype != t->dtype) k++;
    if (k == sizeof(s->types) / sizeof(s->types[0])) return;
    if (k == s->n_types) s->types[s->n_types++] = (type_sum){.dtype = t->dtype};
    s->types[k].n_tensors++;
    s->types[k].n_elements += n;
    s->types[k].n_bytes += n_bytes;
    s->n_elements += n;
    s->n_bytes += n_bytes;
}

static int by_bytes(const void *a, const void *b)
{
    const type_sum *x = a, *y = b;
    return (x->n_bytes < y->n_bytes) - (x->n_bytes > y->n_bytes);
}

static ls_status summarise(ls_gguf *g, summary *s, ls_error *err)
{
    size_t    n = ls_gguf_n_tensors(g);
    ls_model *m = NULL;
    s->bytes = calloc(n ? n : 1, sizeof(*s->bytes));
    if (!s->bytes) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for %zu tensors", n);
    LS_TRY(measure_tensors(g, s->bytes, err));
    for (size_t i = 0; i < n; i++) add_type(s, ls_gguf_tensor_at(g, i), s->bytes[i]);
    qsort(s->types, s->n_types, sizeof(s->types[0]), by_bytes);
    ls_model_open_gguf(&m, g, &s->native);
    model_facts_of(&s->facts, g, m ? ls_model_get_config(m) : NULL);
    ls_model_close(m);
    return LS_OK;
}

static const char *type_name(int dtype, char *buf, size_t cap)
{
    const char *name = ls_dtype_name(dtype);
    if (name) return name;
    snprintf(buf, cap, "type %d", dtype);
    return buf;
}

/* ---- for people ---- */

/* The shortest decimal that reads back as the same number: 1e-05, not 9.99999975e-06. */
static void print_number(double x, ls_gguf_type type)
{
    char text[32];
    int  digits = 7, most = type == LS_GGUF_F32 ? 9 : 17;
    for (; digits <= most; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, x);
        if (type == LS_GGUF_F32 ? strtof(text, NULL) == (float)x : strtod(text, NULL) == x) break;
    }
    fputs(text, stdout);
}

static void print_array(const ls_gguf_kv *kv, bool full)
{
    const void *cursor = kv->data;
    uint64_t    shown = full || kv->n < ARRAY_SHOWN ? kv->n : ARRAY_SHOWN;
    char        n[32];
    if (kv->elem_type == LS_GGUF_ARRAY) shown = 0;
    fputc('[', stdout);
    for (uint64_t i = 0; i < shown; i++) {
        if (i) fputs(", ", stdout);
        if (kv->elem_type == LS_GGUF_STR)
            cli_print_quoted(stdout, ls_gguf_next_str(&cursor), full ? 0 : STRING_SHOWN);
        else if (kv->elem_type == LS_GGUF_BOOL)
            fputs(ls_gguf_num_at(kv, (size_t)i) != 0 ? "true" : "false", stdout);
        else
            print_number(ls_gguf_num_at(kv, (size_t)i), kv->elem_type);
    }
    if (shown < kv->n)
        printf("%s... %s in all", shown ? ", " : "", cli_format_count(kv->n, n, sizeof(n)));
    fputc(']', stdout);
}

/* The value of a floating-point entry. */
static bool float_value(const ls_gguf *g, const ls_gguf_kv *kv, double *x)
{
    char key[512];
    if (kv->type != LS_GGUF_F32 && kv->type != LS_GGUF_F64) return false;
    if (snprintf(key, sizeof(key), "%.*s", (int)kv->key.len, kv->key.p) >= (int)sizeof(key))
        return false;
    return ls_gguf_float(g, key, x);
}

static void print_metadata(const ls_gguf *g, bool full)
{
    int width = 0;
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        size_t len = ls_gguf_kv_at(g, i)->key.len;
        if (len <= 48 && (int)len > width) width = (int)len;
    }
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(g, i);
        char              value[256], type[32];
        double            x;
        snprintf(type, sizeof(type), "%s%s",
                 ls_gguf_type_name(kv->type == LS_GGUF_ARRAY ? kv->elem_type : kv->type),
                 kv->type == LS_GGUF_ARRAY ? "[]" : "");
        fputs("  ", stdout);
        cli_print_padded(stdout, kv->key, width);
        printf("  %-7s  ", type);
        if (kv->type == LS_GGUF_STR) {
            cli_print_quoted(stdout, kv->str, full ? 0 : STRING_SHOWN);
        } else if (kv->type == LS_GGUF_ARRAY) {
            print_array(kv, full);
        } else if (float_value(g, kv, &x)) {
            print_number(x, kv->type);
        } else {
            ls_gguf_format(kv, value, sizeof(value));
            fputs(value, stdout);
        }
        fputc('\n', stdout);
    }
}

static void print_tensors(const ls_gguf *g, const summary *s)
{
    int width = 4;
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        size_t len = ls_gguf_tensor_at(g, i)->name.len;
        if (len <= 48 && (int)len > width) width = (int)len;
    }
    printf("  %-*s  %-7s  %-20s  %9s\n", width, "name", "type", "shape", "size");
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        char             shape[96] = "", size[32], type[32];
        for (uint32_t d = 0, n = 0; d < t->n_dims && n < sizeof(shape); d++)
            n += (uint32_t)snprintf(shape + n, sizeof(shape) - n, "%s%lld", d ? " x " : "",
                                    (long long)t->ne[d]);
        fputs("  ", stdout);
        cli_print_padded(stdout, t->name, width);
        printf("  %-7s  %-20s  %9s\n", type_name(t->dtype, type, sizeof(type)), shape,
               cli_format_bytes(s->bytes[i], size, sizeof(size)));
    }
}

static void print_types(const summary *s)
{
    printf("  %-7s  %7s  %15s  %9s  %12s  %s\n", "type", "tensors", "elements", "size",
           "bits/element", "block");
    for (size_t i = 0; i < s->n_types; i++) {
        const type_sum *t = &s->types[i];
        char            type[32], n[32], size[32];
        printf("  %-7s  %7zu  %15s  %9s  %12.2f", type_name(t->dtype, type, sizeof(type)),
               t->n_tensors, cli_format_count(t->n_elements, n, sizeof(n)),
               cli_format_bytes(t->n_bytes, size, sizeof(size)),
               t->n_elements ? 8.0 * (double)t->n_bytes / (double)t->n_elements : 0);
        if (ls_dtype_block(t->dtype) > 1) {
            printf("  %zu in %zu bytes", ls_dtype_block(t->dtype), ls_dtype_block_bytes(t->dtype));
        }
        fputc('\n', stdout);
    }
}

static void print_format(const ls_gguf *g)
{
    if (ls_gguf_get_source(g) == LS_SOURCE_HF) {
        fputs("Format:        Hugging Face folder", stdout);
    } else {
        printf("Format:        GGUF version %u", ls_gguf_version(g));
    }
    if (ls_gguf_n_parts(g) > 1) printf(" in %zu files", ls_gguf_n_parts(g));
}

/* Types whose number in files stands for several: whose layout each is. */
static void print_flavours(const summary *s)
{
    bool any = false;
    for (size_t i = 0; i < s->n_types; i++) {
        const char *flavour = ls_dtype_flavour(s->types[i].dtype);
        if (!flavour) continue;
        if (!any) puts("\nTernary layouts:");
        any = true;
        printf("  %-12s  %s\n", ls_dtype_name(s->types[i].dtype), flavour);
    }
}

static void print_report(const ls_gguf *g, const summary *s, bool full)
{
    ls_str arch = {"unknown", 7}, name = {NULL, 0};
    char   n[32], size[32], count[32];
    ls_gguf_str(g, "general.architecture", &arch);
    ls_gguf_str(g, "general.name", &name);
    printf("File:          %s\n", ls_gguf_path(g));
    print_format(g);
    printf(", %s (%s bytes), alignment %llu\n",
           cli_format_bytes(ls_gguf_file_bytes(g), size, sizeof(size)),
           cli_format_count(ls_gguf_file_bytes(g), n, sizeof(n)),
           (unsigned long long)ls_gguf_alignment(g));
    fputs("Architecture:  ", stdout);
    cli_print_clean(stdout, arch);
    fputc('\n', stdout);
    if (name.p) {
        fputs("Name:          ", stdout);
        cli_print_clean(stdout, name);
        fputc('\n', stdout);
    }
    printf("Parameters:    %s\n", cli_format_count(s->n_elements, n, sizeof(n)));
    model_facts_print(&s->facts);
    if (s->native.status == LS_OK)
        puts("Native engine: runs this file");
    else
        printf("Native engine: cannot run this file: %s\n", s->native.what);
    printf("\nMetadata (%zu entries):\n", ls_gguf_n_kv(g));
    print_metadata(g, full);
    if (ls_gguf_n_tensors(g) == 0) {
        puts("\nTensors: none (a vocabulary alone)");
        return;
    }
    printf("\nTensors (%s, %s):\n", cli_format_count(ls_gguf_n_tensors(g), count, sizeof(count)),
           cli_format_bytes(s->n_bytes, size, sizeof(size)));
    print_tensors(g, s);
    puts("\nBy type:");
    print_types(s);
    print_flavours(s);
}

/* ---- JSON ---- */

static json_t *scalar_json(const ls_gguf *g, const ls_gguf_kv *kv)
{
    char    key[512], text[64];
    int64_t i;
    double  x;
    if (kv->type == LS_GGUF_STR) return cli_json_text(kv->str.p, kv->str.len);
    if (kv->key.len < sizeof(key)) {
        memcpy(key, kv->key.p, kv->key.len);
        key[kv->key.len] = '\0';
        if (kv->type == LS_GGUF_BOOL) {
            bool b = false;
            if (ls_gguf_bool(g, key, &b)) return json_boolean(b);
        } else if (ls_gguf_int(g, key, &i)) {
            return json_integer(i);
        } else if (ls_gguf_float(g, key, &x)) {
            return cli_json_real(x);
        }
    }
    ls_gguf_format(kv, text, sizeof(text));
    return json_string(text);
}

static json_t *array_json(const ls_gguf_kv *kv, bool full)
{
    json_t     *a = json_array();
    const void *cursor = kv->data;
    uint64_t    shown = full || kv->n < ARRAY_SHOWN ? kv->n : ARRAY_SHOWN;
    if (kv->elem_type == LS_GGUF_ARRAY) shown = 0;
    for (uint64_t i = 0; i < shown; i++) {
        json_t *e;
        if (kv->elem_type == LS_GGUF_STR) {
            ls_str s = ls_gguf_next_str(&cursor);
            e = cli_json_text(s.p, s.len);
        } else {
            double x = ls_gguf_num_at(kv, (size_t)i);
            if (kv->elem_type == LS_GGUF_BOOL)
                e = json_boolean(x != 0);
            else if (kv->elem_type == LS_GGUF_F32 || kv->elem_type == LS_GGUF_F64)
                e = cli_json_real(x);
            else
                e = json_integer((json_int_t)x);
        }
        json_array_append_new(a, e);
    }
    return a;
}

static json_t *metadata_json(const ls_gguf *g, bool full)
{
    json_t *all = json_array();
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(g, i);
        json_t           *j = json_object();
        json_object_set_new(j, "key", cli_json_text(kv->key.p, kv->key.len));
        json_object_set_new(j, "type", json_string(ls_gguf_type_name(kv->type)));
        if (kv->type == LS_GGUF_ARRAY) {
            json_t *values = array_json(kv, full);
            json_object_set_new(j, "element_type", json_string(ls_gguf_type_name(kv->elem_type)));
            json_object_set_new(j, "count", json_integer((json_int_t)kv->n));
            json_object_set_new(j, "truncated", json_boolean(json_array_size(values) < kv->n));
            json_object_set_new(j, "value", values);
        } else {
            json_object_set_new(j, "value", scalar_json(g, kv));
        }
        json_array_append_new(all, j);
    }
    return all;
}

/* How a TL1 or TL2 matrix is cut; NULL for others, and where nobody knows. */
static json_t *tiles_json(const ls_tensor *t)
{
    if (!t->tiles.bm) return NULL;
    return json_pack("{s:i, s:i, s:i}", "bm", (int)t->tiles.bm, "bk", (int)t->tiles.bk, "bmm",
                     (int)t->tiles.bmm);
}

static json_t *tensors_json(const ls_gguf *g, const summary *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        json_t          *shape = json_array();
        char             type[32];
        for (uint32_t d = 0; d < t->n_dims; d++)
            json_array_append_new(shape, json_integer((json_int_t)t->ne[d]));
        json_array_append_new(all, json_pack("{s:o, s:s, s:s*, s:o*, s:o, s:I, s:I}", "name",
                                             cli_json_text(t->name.p, t->name.len), "type",
                                             type_name(t->dtype, type, sizeof(type)), "flavour",
                                             ls_dtype_flavour(t->dtype), "tiles", tiles_json(t),
                                             "shape", shape, "offset", (json_int_t)t->file_off,
                                             "bytes", (json_int_t)s->bytes[i]));
    }
    return all;
}

static json_t *types_json(const summary *s)
{
    json_t *all = json_array();
    for (size_t i = 0; i < s->n_types; i++) {
        const type_sum *t = &s->types[i];
        char            type[32];
        json_array_append_new(
            all, json_pack("{s:s, s:s*, s:I, s:I, s:I, s:I, s:I}", "type",
                           type_name(t->dtype, type, sizeof(type)), "flavour",
                           ls_dtype_flavour(t->dtype), "tensors", (json_int_t)t->n_tensors,
                           "elements", (json_int_t)t->n_elements, "bytes", (json_int_t)t->n_bytes,
                           "block", (json_int_t)ls_dtype_block(t->dtype), "block_bytes",
                           (json_int_t)ls_dtype_block_bytes(t->dtype)));
    }
    return all;
}

static json_t *report_json(const ls_gguf *g, const summary *s, bool full)
{
    ls_str arch = {"", 0};
    bool   runs = s->native.status == LS_OK;
    ls_gguf_str(g, "general.architecture", &arch);
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:i, s:I, s:I, s:o, s:I, s:o, s:o, s:{s:b, s:o}, s:o, s:o, s:o}",
        "schema", "lockstep.inspect/1", "path", ls_gguf_path(g), "format",
        ls_gguf_get_source(g) == LS_SOURCE_HF ? "huggingface" : "gguf", "bytes",
        (json_int_t)ls_gguf_file_bytes(g), "version", (int)ls_gguf_version(g), "alignment",
        (json_int_t)ls_gguf_alignment(g), "data_offset", (json_int_t)ls_gguf_data_off(g),
        "architecture", cli_json_text(arch.p, arch.len), "parameters", (json_int_t)s->n_elements,
        "shape", model_facts_shape_json(&s->facts), "flavour", model_facts_flavour_json(&s->facts),
        "native", "runs", (int)runs, "reason", runs ? json_null() : cli_json_error(&s->native),
        "types", types_json(s), "metadata", metadata_json(g, full), "tensors", tensors_json(g, s));
}

/* ---- statistics of norms ---- */

static json_t *gate_json(const gate_report *r, const gate_rules *rules, const char *sha256)
{
    bool        bad = r->bad_norms + r->bad_proj > 0;
    const char *status = bad ? rules ? "failed" : "warning" : "ok";
    return json_pack("{s:s, s:s, s:s, s:{s:I, s:I}, s:{s:I, s:I}, s:b, s:O, s:s}", "schema",
                     "lockstep.ln-stats/1", "model_sha256", sha256, "ruleset",
                     rules ? rules->name : "none", "layernorm", "total", (json_int_t)r->n_norms,
                     "suspicious", (json_int_t)r->bad_norms, "projection", "total",
                     (json_int_t)r->n_proj, "suspicious", (json_int_t)r->bad_proj, "strict_mode",
                     rules != NULL, "tensors", r->tensors, "status", status);
}

static ls_status choose_rules(const cli_context *ctx, const inspect_opts *o, const ls_gguf *g,
                              gate_rules *policy, const gate_rules **out, ls_error *err)
{
    *out = NULL;
    if (o->gate == GATE_AUTO) *out = gate_rules_for(g);
    if (o->gate != GATE_POLICY) return LS_OK;
    if (!o->policy) return cli_usage(ctx, err, "option '--gate policy' needs '--policy FILE'");
    LS_TRY(gate_rules_read(policy, o->policy, o->policy_key, err));
    *out = policy;
    return LS_OK;
}

/* Exit 5 where a gate was asked for and something is outside of it. */
static ls_status norm_statistics(cli_context *ctx, const inspect_opts *o, const ls_gguf *g,
                                 ls_error *err)
{
    gate_rules        policy;
    const gate_rules *rules;
    gate_report       r;
    ls_status         status;
    char              sha256[65];
    LS_TRY(choose_rules(ctx, o, g, &policy, &rules, err));
    status = gate_run(&r, g, rules, !ctx->json, err);
    if (status == LS_OK && rules && r.bad_norms + r.bad_proj > 0) ctx->exit_code = 5;
    if (status == LS_OK && rules && r.n_norms == 0) {
        status = ls_fail(err, LS_ERR_FORMAT, "the file has no norms to look at");
    }
    if (status == LS_OK && ctx->json) {
        status = ls_gguf_sha256(sha256, g, err);
        if (status == LS_OK) status = cli_json_print(gate_json(&r, rules, sha256), NULL, err);
    } else if (status == LS_OK && rules) {
        printf("%s LN RMS gate %s (%s): %zu of %zu norms and %zu of %zu matrices suspicious\n",
               ctx->exit_code ? "❌" : "✅", ctx->exit_code ? "failed" : "passed", rules->name,
               r.bad_norms, r.n_norms, r.bad_proj, r.n_proj);
    }
    json_decref(r.tensors);
    return status;
}

/* ---- the command ---- */

static ls_status run(cli_context *ctx, void *opts, ls_error *err)
{
    const inspect_opts *o = opts;
    ls_gguf            *g = NULL;
    summary             s = {0};
    ls_status           status;
    LS_TRY(cli_model_check(ctx, &o->model, err));
    LS_TRY(ls_gguf_open(&g, o->model.path, err));
    if (o->ln_stats || o->gate != GATE_NONE) {
        status = norm_statistics(ctx, o, g, err);
        ls_gguf_close(g);
        return status;
    }
    status = summarise(g, &s, err);
    if (status == LS_OK && ctx->json)
        status = cli_json_print(report_json(g, &s, o->full), NULL, err);
    else if (status == LS_OK)
        print_report(g, &s, o->full);
    free(s.bytes);
    ls_gguf_close(g);
    return status;
}

static const cli_choice gates[] = {
    {"none", GATE_NONE}, {"auto", GATE_AUTO}, {"policy", GATE_POLICY}, {0}};

static const cli_option stats_table[] = {
    {.name = "ln-stats",
     .kind = CLI_FLAG,
     .off = offsetof(inspect_opts, ln_stats),
     .help = "Instead: the RMS of every norm and of every matrix of the layers."},
    {.name = "gate",
     .kind = CLI_ENUM,
     .off = offsetof(inspect_opts, gate),
     .metavar = "WHICH",
     .choices = gates,
     .help = "Exit 5 if one is outside the range that models of its kind keep; auto: by "
             "architecture and file type, policy: by the rules of --policy. Implies --ln-stats.",
     .def = "none"},
    {.name = "policy",
     .kind = CLI_STRING,
     .off = offsetof(inspect_opts, policy),
     .metavar = "FILE",
     .help = "Rules, as JSON."},
    {.name = "policy-key",
     .kind = CLI_STRING,
     .off = offsetof(inspect_opts, policy_key),
     .metavar = "KEY",
     .help = "Which of the policy's rule sets.",
     .def = "default"},
    {0},
};

static const cli_option table[] = {
    {.name = "full",
     .kind = CLI_FLAG,
     .off = offsetof(inspect_opts, full),
     .help = "Print long strings and arrays in full."},
    {0},
};

static const cli_group groups[] = {
    {"Model", cli_model_table, offsetof(inspect_opts, model)},
    {"Output", table, 0},
    {"Norms", stats_table, 0},
    {0},
};

static const inspect_opts inspect_defaults = {.policy_key = "default"};

const cli_command cli_cmd_model_inspect = {
    .noun = "model",
    .verb = "inspect",
    .summary = "Show what a model file holds: metadata, tensors, types, sizes",
    .details = "Works on every well-formed GGUF file, also on those whose architecture or tensor "
               "types cannot be run here, and on vocabularies without weights.\n",
    .examples = "$ lockstep model inspect -m model.gguf\n"
                "$ lockstep model inspect -m model.gguf --gate auto\n"
                "$ lockstep model inspect -m model.gguf --json --full\n",
    .groups = groups,
    .defaults = &inspect_defaults,
    .opts_bytes = sizeof(inspect_opts),
    .reports = true,
    .run = run,
};
