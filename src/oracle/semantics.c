// SPDX-License-Identifier: MIT
/* semantics.c - what each architecture means, one row of a table per architecture, and the
 * hyper-parameters of a model put beside it.
 *
 * The rows were written from the papers and the reference's graphs, not from src/arch: two
 * statements of the same thing, which the tests hold against each other.
 */
#include <math.h>
#include <string.h>

#include "lockstep/oracle.h"

enum {
    PRE = 1 << 0,           /* a norm before each block                     */
    SUB = 1 << 1,           /* and inside, before the output projections    */
    POST = 1 << 2,          /* and behind                                   */
    GATED = 1 << 3,         /* act(gate x) * up x                           */
    SCALED_Q = 1 << 4,      /* attention's scale is that of the queries     */
    SINKS = 1 << 5,         /* logits of positions that hold nothing        */
    TOP_SOFTMAX = 1 << 6,   /* experts: softmax of the chosen               */
    UNIT_WEIGHTS = 1 << 7,  /* experts: their weights add up to 1           */
    SHARED_EXPERT = 1 << 8, /* experts: one more for all tokens             */
};

#define LLAMA (PRE | GATED)

static const struct row {
    const char    *arch;
    ls_sem_norm    norm;
    ls_sem_block   block;
    ls_sem_qk_norm qk_norm;
    ls_sem_act     act;
    unsigned       has;
    int32_t        rope_skip;
    const char    *ffn_norm;
} rows[] = {
#define RMS   LS_SEM_RMS_NORM
#define LAYER LS_SEM_LAYER_NORM
#define ROW(arch, norm, block, qk, act, has)                                                       \
    {                                                                                              \
        arch, norm, LS_SEM_##block, LS_SEM_QK_##qk, LS_SEM_##act, has, 0, "ffn_norm"               \
    }
    ROW("llama", RMS, SERIAL, NONE, SILU, LLAMA | UNIT_WEIGHTS),
    ROW("bitnet", RMS, SERIAL, NONE, SILU, LLAMA | SUB),
    ROW("bitnet-b1.58", RMS, SERIAL, NONE, RELU2, LLAMA | SUB),
    ROW("qwen2", RMS, SERIAL, NONE, SILU, LLAMA),
    ROW("qwen3", RMS, SERIAL, SHARED, SILU, LLAMA),
    ROW("qwen2moe", RMS, SERIAL, NONE, SILU, LLAMA | SHARED_EXPERT),
    ROW("qwen3moe", RMS, SERIAL, SHARED, SILU, LLAMA | UNIT_WEIGHTS),
    ROW("gemma", RMS, SERIAL, NONE, GELU_F16, LLAMA | SCALED_Q),
    ROW("gemma2", RMS, SERIAL, NONE, GELU_F16, LLAMA | SCALED_Q | POST),
    ROW("gemma3", RMS, SERIAL, SHARED, GELU_F16, LLAMA | SCALED_Q | POST),
    ROW("phi3", RMS, SERIAL, NONE, SILU, LLAMA | SCALED_Q),
    ROW("gpt2", LAYER, SERIAL, NONE, GELU_F16, PRE),
    ROW("starcoder2", LAYER, SERIAL, NONE, GELU_F16, PRE),
    ROW("gptneox", LAYER, FFN_FIRST, NONE, GELU_F16, PRE), /* unless the file says one by one */
    ROW("falcon", LAYER, BRANCHES, NONE, GELU_F16, PRE),
    ROW("command-r", LAYER, FFN_FIRST, HEADS, SILU, LLAMA),
    ROW("stablelm", LAYER, SERIAL, HEADS, SILU, LLAMA),
    ROW("olmo2", RMS, SERIAL, ALL, SILU, GATED | POST),
    ROW("olmoe", RMS, SERIAL, ALL, SILU, LLAMA),
    ROW("granite", RMS, SERIAL, NONE, SILU, LLAMA),
#undef ROW
    {"smollm3", RMS, LS_SEM_SERIAL, LS_SEM_QK_NONE, LS_SEM_SILU, LLAMA, 4, "ffn_norm"},
    {"gpt-oss", RMS, LS_SEM_SERIAL, LS_SEM_QK_NONE, LS_SEM_SWIGLU_OAI, LLAMA | SINKS | TOP_SOFTMAX,
     0, "post_attention_norm"},
#undef RMS
#undef LAYER
};

static void take_row(ls_semantics *s, const struct row *r)
{
    s->norm = r->norm;
    s->block = r->block;
    s->qk_norm = r->qk_norm;
    s->act = r->act;
    s->pre_norms = r->has & PRE;
    s->sub_norms = r->has & SUB;
    s->post_norms = r->has & POST;
    s->gated = r->has & GATED;
    s->scale_queries = r->has & SCALED_Q;
    s->sinks = r->has & SINKS;
    s->experts_softmax_chosen = r->has & TOP_SOFTMAX;
    s->experts_normalise = r->has & UNIT_WEIGHTS;
    s->experts_shared = r->has & SHARED_EXPERT;
    s->rope_skip = r->rope_skip;
    s->ffn_norm = r->ffn_norm;
}

static void take_config(ls_semantics *s, const ls_model_config *c)
{
    s->norm_eps = (double)c->norm_eps;
    s->embedding_scale = c->embedding_scale;
    s->residual_scale = c->residual_scale;
    s->rope_order = c->rope_order;
    s->rope_dims = c->rope_dims;
    s->rope_base[0] = c->rope_base;
    s->rope_base[1] = c->rope_base_swa;
    s->rope_scale[0] = c->rope_scale;
    s->rope_scale[1] = c->rope_scale_swa;
    s->rope_yarn[0] = c->rope_yarn;
    s->rope_yarn[1] = c->rope_yarn && !c->rope_plain_swa;
    s->rope_attn_factor[0] = c->rope_attn_factor;
    s->rope_attn_factor[1] = c->rope_plain_swa ? 1 : c->rope_attn_factor;
    s->rope_ctx_orig = c->rope_ctx_orig;
    s->attn_scale = c->attn_scale > 0 ? c->attn_scale : 1 / sqrt((double)c->head_dim);
    s->attn_softcap = c->attn_softcap;
    s->window = c->n_swa;
    s->window_period = c->swa_period;
    s->logit_scale = c->logit_scale;
    s->final_softcap = c->final_softcap;
    s->tied_output = c->tied_output;
}

ls_status ls_oracle_semantics(ls_semantics *out, const ls_model *m, ls_error *err)
{
    const ls_model_config *c = ls_model_get_config(m);
    *out = (ls_semantics){.kv = LS_SEM_KV_F32};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(rows[i].arch, c->arch) != 0) continue;
        take_row(out, &rows[i]);
        take_config(out, c);
        if (out->block == LS_SEM_FFN_FIRST && strcmp(c->arch, "gptneox") == 0 && !c->parallel)
            out->block = LS_SEM_SERIAL;
        return LS_OK;
    }
    return ls_fail(err, LS_ERR_UNSUPPORTED, "the oracle does not evaluate architecture '%s'",
                   c->arch);
}
