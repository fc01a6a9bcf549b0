// SPDX-License-Identifier: MIT
/* trace_write.c - a trace into its folder: the records first, then the manifest that counts them.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/outfile.h"
#include "lockstep/record.h"

static json_t *shape_of(const ls_trace_record *r)
{
    json_t *shape = json_array();
    if (r->heads != 1) json_array_append_new(shape, json_integer((json_int_t)r->heads));
    json_array_append_new(shape, json_integer((json_int_t)r->rows));
    json_array_append_new(shape, json_integer((json_int_t)r->n));
    return shape;
}

static json_t *record_json(const ls_trace_record *r)
{
    const ls_sketch *s = &r->sketch;
    char             name[96];
    json_t          *projections = json_array();
    for (int k = 0; k < LS_SKETCH_PROJECTIONS; k++) {
        json_array_append_new(projections, json_real(s->projection[k]));
    }
    return json_pack("{s:s, s:o, s:s, s:s, s:f, s:I, s:i, s:i, s:s, s:i, s:f, s:f, s:I, s:o}",
                     "name", ls_trace_record_name(r, name, sizeof(name)), "shape", shape_of(r),
                     "dtype", "F32", "blake3", s->blake3, "rms", s->rms, "num_elements",
                     (json_int_t)s->n, "seq", r->seq, "layer", r->layer, "stage", ls_op_name(r->op),
                     "pos", r->pos, "sum", s->sum, "max_abs", s->max_abs, "not_finite",
                     (json_int_t)s->n_not_finite, "projections", projections);
}

/* A JSON document as a file, on one line or many. */
static ls_status write_json(json_t *j, const char *path, size_t flags, ls_error *err)
{
    ls_outfile o;
    ls_status  status;
    if (!j) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a trace");
    status = ls_outfile_open(&o, path, err);
    if (status == LS_OK) {
        json_dumpf(j, o.f, flags);
        fputc('\n', o.f);
        status = ls_outfile_commit(&o, err);
    }
    json_decref(j);
    return status;
}

static ls_status write_records(const ls_trace *t, const char *folder, ls_error *err)
{
    char       path[4096];
    ls_outfile o;
    snprintf(path, sizeof(path), "%.4000s/trace.jsonl", folder);
    LS_TRY(ls_outfile_open(&o, path, err));
    for (size_t i = 0; i < t->n_records; i++) {
        json_t *j = record_json(&t->records[i]);
        if (!j) {
            ls_outfile_abort(&o);
            return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a trace");
        }
        json_dumpf(j, o.f, JSON_COMPACT);
        fputc('\n', o.f);
        json_decref(j);
    }
    return ls_outfile_commit(&o, err);
}

/* One file per record, its name with '_' for '/'. */
static ls_status write_files(const ls_trace *t, const char *folder, ls_error *err)
{
    char path[4096], name[96];
    for (size_t i = 0; i < t->n_records; i++) {
        ls_trace_record_name(&t->records[i], name, sizeof(name));
        for (char *p = name; *p; p++) *p = *p == '/' ? '_' : *p;
        snprintf(path, sizeof(path), "%.3900s/%s.trace", folder, name);
        LS_TRY(write_json(record_json(&t->records[i]), path, JSON_INDENT(2), err));
    }
    return LS_OK;
}

static json_t *ids_json(const int32_t *ids, size_t n)
{
    json_t *a = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(a, json_integer(ids[i]));
    return a;
}

static json_t *manifest_json(const ls_trace *t)
{
    const ls_engine_info *e = &t->engine;
    json_t               *declined = json_array();
    for (int op = 0; op < LS_N_OPS; op++) {
        if (t->declined[op]) json_array_append_new(declined, json_string(ls_op_name((ls_op)op)));
    }
    return json_pack(
        "{s:s, s:{s:s, s:s, s:s, s:s, s:i, s:i, s:s}, s:{s:s, s:s, s:s}, s:{s:o, s:o}, s:I, s:o, "
        "s:s, s:s, s:o}",
        "schema", "lockstep.trace/1", "engine", "engine", e->engine, "version", e->version, "isa",
        e->isa, "library", e->library, "threads", e->n_threads, "batch", e->n_batch, "kv_type",
        e->kv_type, "model", "path", t->model_path, "sha256", t->model_sha256, "architecture",
        t->arch, "tokens", "prompt", ids_json(t->tokens, t->n_prompt), "decoded",
        ids_json(t->tokens + t->n_prompt, t->n_tokens - t->n_prompt), "n_records",
        (json_int_t)t->n_records, "declined", declined, "values", t->has_values ? "full" : "sketch",
        "logits_sha256", t->logits_sha256, "perturbed",
        t->perturbed < 0 ? json_null() : json_boolean(t->perturbed));
}

ls_status ls_trace_write(const ls_trace *t, const char *folder, bool per_file, ls_error *err)
{
    char path[4096];
    LS_TRY(write_records(t, folder, err));
    if (per_file) LS_TRY(write_files(t, folder, err));
    snprintf(path, sizeof(path), "%.4000s/manifest.json", folder);
    return write_json(manifest_json(t), path, JSON_INDENT(1), err);
}
