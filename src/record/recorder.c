// SPDX-License-Identifier: MIT
/* recorder.c - an engine's run as a trace: prompt in one evaluation (or as it is cut), then token
 * by token. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "lockstep/hash.h"
#include "lockstep/record.h"
#include "lockstep/safetensors_write.h"

struct ls_recorder {
    ls_trace_options opt;
    ls_trace         trace;
    size_t           cap; /* of trace.records */
    int32_t          seq;
    FILE            *values; /* floats of every record, one after the other */
    char             values_tmp[4200];
    ls_status        status; /* of what could not be reported when it happened */
    ls_error         error;
};

const char *ls_trace_record_stage(const ls_trace_record *r)
{
    return r->op < LS_N_OPS ? ls_op_name(r->op) : r->stage;
}

const char *ls_trace_record_name(const ls_trace_record *r, char *buf, size_t cap)
{
    if (r->layer >= 0)
        snprintf(buf, cap, "t%d/blk%d/%s", r->seq, r->layer, ls_trace_record_stage(r));
    else
        snprintf(buf, cap, "t%d/%s", r->seq, ls_trace_record_stage(r));
    return buf;
}

void ls_trace_fini(ls_trace *t)
{
    if (!t) return;
    free(t->tokens);
    free(t->records);
    memset(t, 0, sizeof(*t));
}

ls_status ls_recorder_create(ls_recorder **out, const ls_trace_options *opt, ls_error *err)
{
    ls_recorder *r;
    *out = NULL;
    if (opt->n_prompt == 0 || opt->max_tokens < 0) {
        return ls_fail(err, LS_ERR_USAGE, "there are no tokens to trace");
    }
    LS_TRY(ls_alloc(&r, 1, sizeof(*r), "a trace", err));
    r->opt = *opt;
    if (opt->values_path) {
        snprintf(r->values_tmp, sizeof(r->values_tmp), "%.4000s.part", opt->values_path);
        r->values = fopen(r->values_tmp, "w+b");
        if (!r->values) {
            ls_fail_errno(err, errno, "cannot write '%.300s'", r->values_tmp);
            ls_recorder_destroy(r);
            return LS_ERR_IO;
        }
    }
    *out = r;
    return LS_OK;
}

void ls_recorder_destroy(ls_recorder *r)
{
    if (!r) return;
    if (r->values) fclose(r->values);
    if (r->values_tmp[0]) unlink(r->values_tmp);
    ls_trace_fini(&r->trace);
    free(r);
}

static ls_status add_record(ls_recorder *r, const ls_trace_record *rec, ls_error *err)
{
    ls_trace *t = &r->trace;
    if (t->n_records == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 256;
        void  *more = realloc(t->records, cap * sizeof(*t->records));
        if (!more) return ls_fail(err, LS_ERR_NOMEM, "not enough memory for %zu records", cap);
        t->records = more;
        r->cap = cap;
    }
    t->records[t->n_records++] = *rec;
    return LS_OK;
}

static ls_status keep_values(ls_recorder *r, const float *data, size_t n, ls_error *err)
{
    if (!r->values || fwrite(data, sizeof(*data), n, r->values) == n) return LS_OK;
    return ls_fail_errno(err, errno, "cannot write '%.300s'", r->values_tmp);
}

static ls_status record(ls_recorder *r, const ls_tap_values *v, ls_error *err)
{
    ls_trace_record rec = {.seq = r->seq,
                           .layer = v->layer,
                           .op = v->op,
                           .pos = v->pos,
                           .heads = v->heads,
                           .rows = v->rows,
                           .n = v->n};
    size_t          n = v->heads * v->rows * v->n;
    ls_sketcher    *k;
    LS_TRY(ls_sketcher_create(&k, err));
    ls_sketcher_add(k, v->data, n);
    ls_sketcher_finish(k, &rec.sketch);
    ls_sketcher_destroy(k);
    LS_TRY(keep_values(r, v->data, n, err));
    return add_record(r, &rec, err);
}

static void watch(void *ctx, const ls_tap_values *v)
{
    ls_recorder *r = ctx;
    if (r->status != LS_OK || v->op == LS_OP_LOGITS || !r->opt.ops[v->op]) return;
    r->status = record(r, v, &r->error);
}

ls_watch ls_recorder_watch(ls_recorder *r) { return (ls_watch){watch, r}; }

static int32_t arg_max(const float *row, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (row[i] > row[best]) best = i;
    }
    return (int32_t)best;
}

/* All rows of the last evaluation's logits, as one record; the arg max of the last. */
static ls_status record_logits(ls_recorder *r, ls_engine *e, size_t n, int32_t pos, ls_hash *all,
                               int32_t *next, ls_error *err)
{
    size_t          V = (size_t)ls_engine_get_info(e)->n_vocab;
    ls_trace_record rec = {
        .seq = r->seq, .layer = -1, .op = LS_OP_LOGITS, .pos = pos, .heads = 1, .rows = n, .n = V};
    ls_sketcher *k;
    ls_status    status = LS_OK;
    LS_TRY(ls_sketcher_create(&k, err));
    for (size_t i = 0; status == LS_OK && i < n; i++) {
        const float *row;
        status = ls_engine_logits(e, i, &row, err);
        if (status != LS_OK) break;
        ls_sketcher_add(k, row, V);
        ls_hash_update(all, row, V * sizeof(*row));
        *next = arg_max(row, V);
        if (r->opt.ops[LS_OP_LOGITS]) status = keep_values(r, row, V, err);
    }
    if (status == LS_OK) ls_sketcher_finish(k, &rec.sketch);
    ls_sketcher_destroy(k);
    if (status != LS_OK || !r->opt.ops[LS_OP_LOGITS]) return status;
    return add_record(r, &rec, err);
}

static ls_status evaluate(ls_recorder *r, ls_engine *e, ls_hash *all, ls_error *err)
{
    ls_trace *t = &r->trace;
    size_t    done = 0, n;
    int32_t   next = 0;
    for (r->seq = 0; done < t->n_tokens; r->seq++) {
        if (r->opt.cancelled && *r->opt.cancelled) {
            return ls_fail(err, LS_ERR_CANCELLED, "interrupted");
        }
        n = done < t->n_prompt ? ls_cut_next(r->opt.cut, t->n_prompt, done) : 1;
        if (done >= t->n_prompt)
            t->tokens[done] = r->opt.decoded ? r->opt.decoded[done - t->n_prompt] : next;
        LS_TRY(ls_engine_eval(e, t->tokens + done, n, err));
        LS_TRY(record_logits(r, e, n, (int32_t)done, all, &next, err));
        if (r->status != LS_OK) {
            *err = r->error;
            return r->status;
        }
        done += n;
        if (r->opt.progress) r->opt.progress(r->opt.progress_ctx, done, t->n_tokens);
    }
    return LS_OK;
}

/* What was asked for and never came: the engine does not show it. */
static void find_declined(ls_recorder *r)
{
    ls_trace *t = &r->trace;
    for (int op = 0; op < LS_N_OPS; op++) t->declined[op] = r->opt.ops[op];
    for (size_t i = 0; i < t->n_records; i++) t->declined[t->records[i].op] = false;
}

/* The floats that were kept, behind a header that names them. */
static ls_status write_values(ls_recorder *r, ls_error *err)
{
    const ls_trace        *t = &r->trace;
    ls_safetensors_writer *w;
    static const size_t    block = 1 << 16;
    char                   name[96];
    void                  *buf = NULL;
    size_t                 n;
    ls_status              status;
    LS_TRY(ls_safetensors_writer_create(&w, err));
    status = ls_alloc(&buf, block, 1, "the values of a trace", err);
    for (size_t i = 0; status == LS_OK && i < t->n_records; i++) {
        const ls_trace_record *rec = &t->records[i];
        int64_t                shape[] = {(int64_t)rec->heads, (int64_t)rec->rows, (int64_t)rec->n};
        uint32_t               flat = rec->heads == 1;
        ls_trace_record_name(rec, name, sizeof(name));
        status = ls_safetensors_add(w, (ls_str){name, strlen(name)}, LS_CKPT_F32, 3 - flat,
                                    shape + flat, err);
    }
    if (status == LS_OK) status = ls_safetensors_begin(w, r->opt.values_path, err);
    if (status == LS_OK && (fflush(r->values) != 0 || fseek(r->values, 0, SEEK_SET) != 0)) {
        status = ls_fail_errno(err, errno, "cannot write '%.300s'", r->values_tmp);
    }
    while (status == LS_OK && (n = fread(buf, 1, block, r->values)) > 0) {
        status = ls_safetensors_data(w, buf, n, err);
    }
    if (status == LS_OK) status = ls_safetensors_finish(w, err);
    ls_safetensors_writer_destroy(w);
    free(buf);
    return status;
}

ls_status ls_recorder_run(ls_recorder *r, ls_engine *e, ls_trace *out, ls_error *err)
{
    const ls_engine_info *info = ls_engine_get_info(e);
    ls_trace             *t = &r->trace;
    uint8_t               digest[LS_HASH_MAX];
    ls_hash              *all;
    ls_status             status;
    t->engine = *info;
    t->n_prompt = r->opt.n_prompt;
    t->n_tokens = t->n_prompt + (size_t)r->opt.max_tokens;
    t->perturbed = -1;
    if (ls_cut_longest(r->opt.cut, t->n_prompt) > (size_t)info->n_batch) {
        return ls_fail(err, LS_ERR_LIMIT, "a prompt of %zu tokens is longer than a batch of %d",
                       t->n_prompt, info->n_batch);
    }
    LS_TRY(ls_alloc(&t->tokens, t->n_tokens, sizeof(*t->tokens), "the tokens of a trace", err));
    memcpy(t->tokens, r->opt.prompt, t->n_prompt * sizeof(*t->tokens));
    LS_TRY(ls_hash_create(&all, LS_SHA256, err));
    status = evaluate(r, e, all, err);
    ls_hex(t->logits_sha256, digest, ls_hash_final(all, digest));
    ls_hash_destroy(all);
    find_declined(r);
    if (status == LS_OK && r->values) status = write_values(r, err);
    t->has_values = r->values != NULL;
    if (status == LS_OK) {
        *out = *t;
        memset(t, 0, sizeof(*t));
    }
    return status;
}
