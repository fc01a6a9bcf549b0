// SPDX-License-Identifier: MIT
/* work.c - what a token costs at least: the bytes that are read for it and the operations that are
 * done, counted from a model's tensors. */
#include <string.h>

#include "lockstep/bench.h"

static bool ends_with(ls_str s, const char *end)
{
    size_t n = strlen(end);
    return s.len >= n && memcmp(s.p + s.len - n, end, n) == 0;
}

static bool has(ls_str s, const char *part) { return memmem(s.p, s.len, part, strlen(part)); }

/* The share of a tensor that one token needs. */
static double share_of(const ls_tensor *t, const ls_gguf *g, const ls_model_config *c)
{
    bool tied = ls_gguf_tensor(g, "output.weight") == NULL;
    if (ls_str_is(t->name, "token_embd.weight") && !tied) return 1 / (double)t->ne[1];
    if (ls_str_is(t->name, "position_embd.weight")) return 1 / (double)t->ne[1];
    if (has(t->name, "_exps.") && c->n_expert > 0) {
        return (double)c->n_expert_used / (double)c->n_expert;
    }
    return 1;
}

void ls_bench_work_of(ls_bench_work *out, const ls_gguf *g, const ls_model_config *c, int kv_dtype)
{
    double by_type[256] = {0}, most = 0, bytes = 0;
    *out = (ls_bench_work){.dtype = LS_DTYPE_F32};
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i);
        double           n = 1, share = share_of(t, g, c), ops;
        bool             output =
            ls_str_is(t->name, "output.weight") || ls_str_is(t->name, "token_embd.weight");
        for (uint32_t d = 0; d < LS_MAX_DIMS; d++) n *= (double)t->ne[d];
        out->n_params += (uint64_t)n;
        out->n_bytes += t->n_bytes;
        bytes += share * (double)t->n_bytes;
        /* rows that are looked up are not multiplied */
        if (t->n_dims < 2 || !ends_with(t->name, ".weight") || (output && share < 1)) continue;
        if (ls_str_is(t->name, "position_embd.weight")) continue;
        ops = 2 * n * share;
        out->matrix_ops += ops;
        if (!output) out->prefill_ops += ops;
        if (t->dtype >= 0 && t->dtype < 256) by_type[t->dtype] += output ? 0 : ops;
    }
    out->weight_bytes = (uint64_t)bytes;
    for (int type = 0; type < 256; type++) {
        if (by_type[type] <= most) continue;
        most = by_type[type];
        out->dtype = type;
    }
    out->kv_bytes = (uint64_t)c->n_layers * 2u * (uint64_t)c->n_kv_heads * (uint64_t)c->head_dim *
                    ls_dtype_block_bytes(kv_dtype) / ls_dtype_block(kv_dtype);
    out->attention_ops = 4.0 * c->n_layers * c->n_heads * c->head_dim;
}

double ls_bench_bytes_per_token(const ls_bench_work *w, int32_t depth, int32_t n)
{
    return (double)w->weight_bytes + (double)w->kv_bytes * (depth + (n + 1) / 2.0);
}
