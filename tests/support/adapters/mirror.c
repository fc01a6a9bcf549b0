// SPDX-License-Identifier: MIT
/* mirror.c - Lockstep's own engine as a reference: what it computes must agree with itself to
 * the bit, and with a fault of faults.c it must not. For tests of the whole program that are to
 * run where no other engine is installed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults.h"
#include "lockstep/engine.h"
#include "ref_engine.h"

static struct {
    ls_engine *engine;
    ls_error   err;
    int32_t    n_vocab, pos, first;
    float     *row;
} mirror;

static uint32_t failed(uint32_t status) { return ref_fail(status, "%.400s", mirror.err.what); }

uint32_t ref_load(const ref_manifest *m, ls_ref_identity *out)
{
    (void)m;
    if (!out->engine[0]) snprintf(out->engine, sizeof(out->engine), "llama");
    if (!out->version[0]) snprintf(out->version, sizeof(out->version), "mirror");
    return LS_REF_DONE;
}

uint32_t ref_open(const char *path, const ls_ref_open *opt, ls_ref_opened *out)
{
    static const int      kv_types[LS_REF_N_KV] = {LS_DTYPE_F32, LS_DTYPE_F16, LS_DTYPE_BF16,
                                                   LS_DTYPE_Q8_0};
    ls_engine_options     o = {.model_path = path,
                               .n_ctx = opt->n_ctx,
                               .n_batch = opt->n_batch,
                               .n_threads = opt->n_threads,
                               .kv_type = kv_types[opt->kv_type % LS_REF_N_KV]};
    const ls_engine_info *info;
    if (fault_is("refuse")) return ref_fail(LS_REF_REFUSED, "the mirror refuses it");
    if (ls_engine_open_native(&mirror.engine, &o, &mirror.err) != LS_OK)
        return failed(LS_REF_REFUSED);
    info = ls_engine_get_info(mirror.engine);
    mirror.n_vocab = out->n_vocab = info->n_vocab;
    mirror.row = malloc((size_t)info->n_vocab * sizeof(*mirror.row));
    if (!mirror.row) return ref_fail(LS_REF_FAILED, "not enough memory");
    out->n_ctx = info->n_ctx;
    out->n_batch = info->n_batch;
    out->n_threads = info->n_threads;
    out->kv_type = opt->kv_type;
    snprintf(out->isa, sizeof(out->isa), "%.60s", info->isa);
    return LS_REF_DONE;
}

uint32_t ref_tokenize(const char *text, size_t len, const ls_ref_tokenize *opt, int32_t **ids,
                      size_t *n)
{
    ls_encode_options o = {.parse_special = opt->parse_special != 0};
    o.bos = opt->bos == LS_REF_BOS_YES  ? LS_BOS_YES
            : opt->bos == LS_REF_BOS_NO ? LS_BOS_NO
                                        : LS_BOS_AUTO;
    if (ls_engine_tokenize(mirror.engine, text, len, &o, ids, n, &mirror.err) == LS_OK)
        return LS_REF_DONE;
    return failed(LS_REF_FAILED);
}

uint32_t ref_eval(const int32_t *ids, size_t n, ls_ref_evaluated *out)
{
    uint64_t before = ls_engine_get_stats(mirror.engine).eval_ns;
    fault_eval();
    if (ls_engine_eval(mirror.engine, ids, n, &mirror.err) != LS_OK) {
        return failed(mirror.err.status == LS_ERR_LIMIT ? LS_REF_FULL : LS_REF_FAILED);
    }
    mirror.first = mirror.pos;
    mirror.pos += (int32_t)n;
    out->wall_ns = ls_engine_get_stats(mirror.engine).eval_ns - before;
    return LS_REF_DONE;
}

const float *ref_row(size_t i)
{
    const float *row;
    if (ls_engine_logits(mirror.engine, i, &row, &mirror.err) != LS_OK) return NULL;
    memcpy(mirror.row, row, (size_t)mirror.n_vocab * sizeof(*row));
    fault_row(mirror.row, mirror.n_vocab, mirror.first + (int32_t)i);
    return mirror.row;
}

uint32_t ref_watch(const char *names, int answers)
{
    (void)names;
    (void)answers;
    return ref_fail(LS_REF_FAILED, "this engine shows no taps");
}

uint32_t ref_reset(uint32_t n_keep)
{
    mirror.pos = (int32_t)n_keep;
    return ls_engine_rewind(mirror.engine, n_keep, &mirror.err) == LS_OK ? LS_REF_DONE
                                                                         : failed(LS_REF_FAILED);
}

void ref_close(void)
{
    ls_engine_close(mirror.engine);
    free(mirror.row);
}
