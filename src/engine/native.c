// SPDX-License-Identifier: MIT
/* native.c - the native engine behind the common interface. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/engine_ops.h"
#include "lockstep/lockstep.h"

typedef struct native {
    ls_engine     base; /* first: the public handle */
    ls_model     *model;
    ls_tokenizer *tokenizer; /* NULL until a text comes */
    ls_session   *session;
    ls_faults     faults;
    size_t        n_uses; /* of the weights (ls_model_pack_some), without the first evaluation */
    bool          ready;  /* the weights are in the form that they keep */
} native;

static ls_status native_tokenize(ls_engine *e, const char *text, size_t len,
                                 const ls_encode_options *opt, int32_t **ids, size_t *n,
                                 ls_error *err)
{
    native *own = (native *)e;
    if (!own->tokenizer)
        LS_TRY(ls_tokenizer_create(&own->tokenizer, ls_model_gguf(own->model), err));
    return ls_tokenizer_encode(own->tokenizer, text, len, opt, ids, n, err);
}

static ls_status pack_for(native *n, size_t n_uses, ls_error *err)
{
    uint64_t  start = ls_now_ns();
    int       n_threads = ls_session_get_options(n->session)->n_threads;
    ls_status status;
    if (n->ready) return LS_OK;
    status = ls_model_pack_some(n->model, n_uses, n_threads, &n->ready, err);
    n->base.stats.load_ns += ls_now_ns() - start;
    return status;
}

static ls_status native_pack(ls_engine *e, ls_error *err)
{
    return pack_for((native *)e, SIZE_MAX, err);
}

/* Memory for packed weights is fresh, and that takes longer than an evaluation that reads the rows
 * as they are mapped: each one packs as much as those so far are worth, the first one nothing. From
 * some tokens on rows are put into strips for a product that shares them, which costs the same for
 * all further tokens: no more of them count. No other session has the model. */
static ls_status pack_some(native *n, size_t n_tokens, ls_error *err)
{
    enum { SHARED_FROM = 8 };
    if (n->ready || n->base.stats.n_tokens == 0) return LS_OK;
    n->n_uses += n_tokens < SHARED_FROM ? n_tokens : SHARED_FROM;
    return pack_for(n, n->n_uses, err);
}

static ls_status native_eval(ls_engine *e, const int32_t *tokens, size_t n, ls_error *err)
{
    uint64_t  start;
    ls_status status;
    LS_TRY(pack_some((native *)e, n, err));
    start = ls_now_ns();
    status = ls_session_eval(((native *)e)->session, tokens, n, err);
    e->stats.eval_ns += ls_now_ns() - start;
    return status;
}

static ls_status native_logits(ls_engine *e, size_t i, const float **row, ls_error *err)
{
    uint64_t  start = ls_now_ns();
    ls_status status = ls_session_logits(((native *)e)->session, i, row, err);
    e->stats.eval_ns += ls_now_ns() - start;
    return status;
}

static ls_status native_rewind(ls_engine *e, size_t n_keep, ls_error *err)
{
    (void)err;
    ls_session_rewind(((native *)e)->session, (int32_t)n_keep);
    return LS_OK;
}

static void native_close(ls_engine *e)
{
    native *n = (native *)e;
    ls_session_destroy(n->session);
    ls_tokenizer_destroy(n->tokenizer);
    ls_model_close(n->model);
    free(n);
}

static const ls_engine_ops native_ops = {native_tokenize, native_eval,  native_logits,
                                         native_rewind,   native_close, native_pack};

/* Elements of a tap's rows, in the widest layer. */
static int32_t width_of(const ls_model_config *c, ls_op op)
{
    switch (op) {
    case LS_OP_Q_PROJ:
    case LS_OP_Q_NORM:
    case LS_OP_Q_ROPE:
    case LS_OP_ATTN_OUT:
    case LS_OP_ATTN_SUB_NORM:
        return c->n_heads * c->head_dim;
    case LS_OP_K_PROJ:
    case LS_OP_V_PROJ:
    case LS_OP_K_NORM:
    case LS_OP_K_ROPE:
        return c->n_kv_heads * c->head_dim;
    case LS_OP_ATTN_SCORES:
    case LS_OP_ATTN_SCORES_SOFTMAX:
        return c->n_ctx_train;
    case LS_OP_FFN_GATE:
    case LS_OP_FFN_UP:
    case LS_OP_FFN_ACT:
    case LS_OP_FFN_SUB_NORM:
        return c->n_ff > c->n_ff_expert ? c->n_ff : c->n_ff_expert;
    case LS_OP_FFN_ROUTER:
        return c->n_expert;
    case LS_OP_LOGITS:
        return c->n_vocab;
    default:
        return c->n_embd;
    }
}

/* A fault that can never act would let a harness seem proved when it is not. */
static ls_status check_faults(const native *n, ls_error *err)
{
    const ls_model_config *c = ls_model_get_config(n->model);
    for (size_t i = 0; i < n->faults.n; i++) {
        const ls_fault *f = &n->faults.at[i];
        if (f->layer >= c->n_layers) {
            return ls_fail(err, LS_ERR_USAGE, "fault in layer %d: the model has layers 0 to %d",
                           f->layer, c->n_layers - 1);
        }
        if (f->op == LS_N_OPS) continue;
        if (f->last >= width_of(c, f->op)) {
            return ls_fail(err, LS_ERR_USAGE, "fault at element %d: %s has elements 0 to %d",
                           f->last, ls_op_name(f->op), width_of(c, f->op) - 1);
        }
        if (!ls_model_has_op(n->model, f->op)) {
            return ls_fail(err, LS_ERR_USAGE,
                           "fault at %s: architecture '%s' has no such operation",
                           ls_op_name(f->op), c->arch);
        }
    }
    return LS_OK;
}

static ls_status open_session(native *n, const ls_engine_options *opt, ls_error *err)
{
    ls_session_options so = {
        .n_ctx = opt->n_ctx,
        .n_batch = opt->n_batch,
        .n_threads = opt->n_threads,
        .kv_type = opt->kv_type,
        .tier = opt->tier,
        .rounding = opt->rounding,
        .lanes = opt->lanes,
        .follow = opt->follow,
        .last_only = opt->last_only || opt->for_speed,
        .bf16_pairs = opt->bf16_pairs,
        .watch = opt->watch,
    };
    if (opt->faults) n->faults = *opt->faults;
    LS_TRY(check_faults(n, err));
    if (n->faults.n) {
        so.taps[0].fn = ls_faults_tap;
        so.taps[0].ctx = &n->faults;
    }
    so.taps[1].fn = opt->tap;
    so.taps[1].ctx = opt->tap_ctx;
    return ls_session_create(&n->session, n->model, &so, err);
}

/* Weights in the form of the fast products, where a file holds them; else see pack_some. A file
 * that somebody asked for must be right; one that just lies there is passed over with a note. */
static ls_status use_prepacked(native *n, const ls_engine_options *opt, ls_error *err)
{
    const char *path = opt->prepacked;
    ls_error    why = {0};
    bool        used = false;
    ls_status   status;
    n->ready = opt->follow; /* the reference's order of sums has kernels of its own */
    if (n->ready) return LS_OK;
    if (!path || *path) {
        status = ls_model_use_prepacked(n->model, path, &used, &why);
        if (status == LS_ERR_NOMEM || (status != LS_OK && path)) {
            if (err) *err = why;
            return status;
        }
        if (status != LS_OK) snprintf(n->base.info.note, sizeof(n->base.info.note), "%s", why.what);
    }
    n->ready = used;
    return LS_OK;
}

static void describe(native *n)
{
    const ls_session_options *o = ls_session_get_options(n->session);
    ls_engine_info           *info = &n->base.info;
    snprintf(info->engine, sizeof(info->engine), "native");
    snprintf(info->version, sizeof(info->version), "%s", ls_version());
    snprintf(info->isa, sizeof(info->isa), "%s", ls_tier_name(o->tier));
    snprintf(info->kv_type, sizeof(info->kv_type), "%s", ls_dtype_name(o->kv_type));
    info->lanes = o->lanes;
    info->follow = o->follow;
    info->bf16_pairs = o->bf16_pairs;
    info->n_threads = o->n_threads;
    info->n_batch = o->n_batch;
    info->n_ctx = o->n_ctx;
    info->n_vocab = ls_model_get_config(n->model)->n_vocab;
}

ls_status ls_engine_open_native(ls_engine **out, const ls_engine_options *opt, ls_error *err)
{
    native   *n;
    uint64_t  start = ls_now_ns();
    ls_status status;

    *out = NULL;
    LS_TRY(ls_alloc(&n, 1, sizeof(*n), "an engine", err));
    n->base.ops = &native_ops;
    status = opt->model ? ls_model_open_gguf(&n->model, opt->model, err)
                        : ls_model_open(&n->model, opt->model_path, err);
    if (status == LS_OK) status = open_session(n, opt, err);
    if (status == LS_OK) status = use_prepacked(n, opt, err);
    if (status != LS_OK) {
        native_close(&n->base);
        return status;
    }
    describe(n);
    n->base.stats.load_ns = ls_now_ns() - start;
    *out = &n->base;
    return LS_OK;
}
