// SPDX-License-Identifier: MIT
/* trace_files.c - a folder of NAME.trace files alone, one record each, as BitNet-rs leaves it.
 *
 * It has no manifest: neither model nor tokens nor what was planned are known, and such files hold
 * a hash and the RMS, no projections. Two of these can be told to be equal or not, hardly how much
 * they differ. A stage that Lockstep has no tap for is kept under its own name.
 */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/mem.h"
#include "record/record_priv.h"

/* ---- one record ---- */

/* "t2/blk3/attn_norm", "t0/logits", "t1_all_layers_out": what is not said by fields of its own. */
static void take_name(const char *name, ls_trace_record *r, char *stage, size_t cap)
{
    int used = 0, seq = 0, layer = -1;
    r->seq = 0;
    r->layer = -1;
    if (sscanf(name, "t%9d%n", &seq, &used) == 1 && seq >= 0 && strchr("/_", name[used])) {
        r->seq = seq;
        name += used + (name[used] != '\0');
        used = 0;
        if (sscanf(name, "blk%9d%n", &layer, &used) == 1 && layer >= 0 && name[used] == '/') {
            r->layer = layer;
            name += used + 1;
        }
    }
    snprintf(stage, cap, "%s", name);
}

static const char *take_place(const json_t *j, ls_trace_record *r)
{
    const char   *name = json_string_value(json_object_get(j, "name"));
    const json_t *seq = json_object_get(j, "seq"), *layer = json_object_get(j, "layer"),
                 *stage = json_object_get(j, "stage");
    char text[sizeof(r->stage)];
    if (!name || !*name || strlen(name) >= sizeof(r->stage)) return "'name' is missing or too long";
    take_name(name, r, text, sizeof(text));
    if (json_is_integer(seq)) {
        if (json_integer_value(seq) < 0 || json_integer_value(seq) > INT32_MAX)
            return "'seq' is no number of an evaluation";
        r->seq = (int32_t)json_integer_value(seq);
    }
    if (json_is_integer(layer)) {
        if (json_integer_value(layer) < -2 || json_integer_value(layer) > 1 << 20)
            return "'layer' is no number of a layer";
        r->layer = (int32_t)json_integer_value(layer);
    }
    if (json_is_string(stage)) {
        if (json_string_length(stage) == 0 || json_string_length(stage) >= sizeof(text))
            return "'stage' is empty or too long";
        snprintf(text, sizeof(text), "%s", json_string_value(stage));
    }
    if (!text[0]) return "neither 'stage' nor 'name' says which tap it is";
    if (ls_op_parse(text, strlen(text), &r->op) && (r->layer >= 0) == ls_op_per_layer(r->op))
        return NULL;
    r->op = LS_N_OPS;
    memcpy(r->stage, text, sizeof(text));
    return NULL;
}

/* [heads][rows][n], from up to four numbers of which the first ones may be 1. */
static const char *take_shape(const json_t *j, ls_trace_record *r)
{
    const json_t *shape = json_object_get(j, "shape");
    size_t        n = json_array_size(shape), product = 1, skip = 0, d[3] = {1, 1, 1};
    if (n == 0 || n > 8) return "'shape' is missing or no shape of a tap";
    while (n - skip > 2 && json_integer_value(json_array_get(shape, skip)) == 1) skip++;
    if (n - skip > 3) return "'shape' is no shape of a tap";
    for (size_t i = skip; i < n; i++) {
        json_int_t x = json_integer_value(json_array_get(shape, i));
        if (x < 1 || !ls_mul_size(product, (size_t)x, &product)) return "'shape' is no shape";
        d[3 - n + i] = (size_t)x;
    }
    r->heads = d[0];
    r->rows = d[1];
    r->n = d[2];
    if (json_integer_value(json_object_get(j, "num_elements")) != (json_int_t)product)
        return "'num_elements' is missing or not that of its shape";
    r->sketch.n = product;
    return NULL;
}

/* RMS null or missing: NaN, which JSON cannot hold. */
static const char *take_statistics(const json_t *j, ls_trace_record *r)
{
    const char *hash = json_string_value(json_object_get(j, "blake3")),
               *dtype = json_string_value(json_object_get(j, "dtype"));
    const json_t *rms = json_object_get(j, "rms");
    ls_sketch    *s = &r->sketch;
    if (!hash) {
        hash = json_string_value(json_object_get(j, "sha256"));
        r->sha256 = true;
    }
    if (!hash || strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64)
        return "'blake3' is no hash of 64 hex digits";
    memcpy(s->blake3, hash, 65);
    if (!dtype || strlen(dtype) >= sizeof(r->dtype)) return "'dtype' is missing";
    snprintf(r->dtype, sizeof(r->dtype), "%s", dtype);
    if (rms && !json_is_number(rms) && !json_is_null(rms)) return "'rms' is no number";
    s->rms = json_number_value(rms);
    if (!json_is_number(rms) || !isfinite(s->rms)) s->n_not_finite = 1;
    if (s->rms < 0) return "'rms' is below 0";
    r->hash_only = true;
    return NULL;
}

/* What is wrong with a record, NULL if nothing is. */
static const char *take_record(const json_t *j, ls_trace_record *r)
{
    const char *wrong;
    if (!json_is_object(j)) return "a record is no JSON object";
    if (!ls_trace_take_record(j, r)) return NULL; /* one of ours, with everything */
    *r = (ls_trace_record){0};
    wrong = take_place(j, r);
    if (!wrong) wrong = take_shape(j, r);
    return wrong ? wrong : take_statistics(j, r);
}

/* ---- the folder ---- */

static bool is_trace(const char *name)
{
    size_t n = strlen(name);
    return n > 6 && strcmp(name + n - 6, ".trace") == 0 && name[0] != '.';
}

static ls_status read_one(ls_trace *t, size_t *cap, const char *folder, const char *name,
                          ls_error *err)
{
    ls_trace_record r = {0};
    char            path[4096], *text;
    size_t          len;
    json_t         *j;
    const char     *wrong;
    snprintf(path, sizeof(path), "%.3800s/%.255s", folder, name);
    LS_TRY(ls_read_file(&text, &len, path, err));
    j = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    wrong = j ? take_record(j, &r) : "it is no JSON";
    json_decref(j);
    free(text);
    if (!wrong) return ls_trace_add(t, &r, cap, err);
    ls_fail(err, LS_ERR_FORMAT, "%s", wrong);
    return ls_fail_at(err, "%s", path), LS_ERR_FORMAT;
}

static int phase_of(const ls_trace_record *r)
{
    if (r->layer >= 0) return 1;
    return r->op == LS_OP_EMBEDDINGS ? 0 : 2;
}

/* The order of the graph: what belongs to no layer stands before or behind all of them. */
static int by_graph(const void *x, const void *y)
{
    const ls_trace_record *a = x, *b = y;
    if (a->seq != b->seq) return a->seq < b->seq ? -1 : 1;
    if (phase_of(a) != phase_of(b)) return phase_of(a) - phase_of(b);
    if (a->layer >= 0 && a->layer != b->layer) return a->layer < b->layer ? -1 : 1;
    if (a->op != b->op) return a->op < b->op ? -1 : 1;
    return strcmp(a->stage, b->stage);
}

/* An evaluation begins where the one before it ended: as many rows as most of its taps have. */
static void find_positions(ls_trace *t)
{
    size_t pos = 0, rows = 0;
    for (size_t i = 0, begin = 0; i < t->n_records; i++) {
        if (t->records[i].op == LS_N_OPS) continue;
        if (t->records[i].seq != t->records[begin].seq) {
            pos += rows;
            rows = 0;
            begin = i;
        }
        if (t->records[i].rows > rows) rows = t->records[i].rows;
        if (t->records[i].hash_only) t->records[i].pos = (int32_t)(pos & INT32_MAX);
    }
}

ls_status ls_trace_read_files(ls_trace *t, const char *folder, ls_error *err)
{
    DIR           *d = opendir(folder);
    struct dirent *e;
    size_t         cap = 0;
    ls_status      status = LS_OK;
    if (!d) return ls_fail_errno(err, errno, "cannot read the folder '%.300s'", folder);
    while (status == LS_OK && (e = readdir(d)) != NULL) {
        if (is_trace(e->d_name)) status = read_one(t, &cap, folder, e->d_name, err);
    }
    closedir(d);
    LS_TRY(status);
    t->bare = true;
    t->perturbed = -1;
    if (t->n_records == 0) return LS_OK;
    qsort(t->records, t->n_records, sizeof(*t->records), by_graph);
    find_positions(t);
    return LS_OK;
}
