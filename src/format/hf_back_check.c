// SPDX-License-Identifier: MIT
/* hf_back_check.c - what was written is read again and compared with the model: a key that would
 * compute something else if it were lost is an error, one that only describes is told. */
#include <stdio.h>
#include <string.h>

#include "format/hf_back.h"
#include "format/hf_vocab.h"

static bool starts(ls_str s, const char *with)
{
    size_t n = strlen(with);
    return s.len >= n && memcmp(s.p, with, n) == 0;
}

static double number_of(const ls_gguf_kv *kv)
{
    ls_gguf_kv one = *kv;
    if (kv->type == LS_GGUF_ARRAY || kv->type == LS_GGUF_STR) return -1;
    one.elem_type = kv->type; /* as a list of one */
    one.n = 1;
    return ls_gguf_num_at(&one, 0);
}

static bool equal(const ls_gguf_kv *x, const ls_gguf_kv *y)
{
    if (x->type == LS_GGUF_STR) return y->type == LS_GGUF_STR && ls_str_eq(x->str, y->str);
    if (x->type == LS_GGUF_ARRAY) {
        size_t n = ls_gguf_value_bytes(x);
        return y->type == LS_GGUF_ARRAY && x->elem_type == y->elem_type && x->n == y->n &&
               n == ls_gguf_value_bytes(y) && memcmp(x->data, y->data, n) == 0;
    }
    return y->type != LS_GGUF_ARRAY && y->type != LS_GGUF_STR && number_of(x) == number_of(y);
}

static const ls_gguf_kv *find(const ls_gguf *g, ls_str key)
{
    for (size_t i = 0; i < ls_gguf_n_kv(g); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(g, i);
        if (ls_str_eq(kv->key, key)) return kv;
    }
    return NULL;
}

/* Keys that say again what follows from the rest, with the value that does. */
static bool says_nothing(const ls_hf_back *b, const char *suffix, const ls_gguf_kv *kv)
{
    static const char *const names[] = {"attention.causal", "tensor_data_layout",
                                        "rope.scaling.finetuned", "vocab_size"};
    double                   embd = 0, dims = 0;
    double                   v = number_of(kv);
    ls_hf_back_num(b, "embedding_length", &embd);
    dims = (double)(size_t)(embd / (double)b->heads.n);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], suffix) == 0) return true;
    }
    if (strcmp(suffix, "rope.dimension_count") == 0 ||
        strcmp(suffix, "rope.dimension_count_swa") == 0)
        return v == (double)b->heads.dim || ls_gguf_tensor(b->g, "position_embd.weight");
    if (strcmp(suffix, "attention.key_length") == 0 ||
        strcmp(suffix, "attention.value_length") == 0)
        return v == dims;
    if (strcmp(suffix, "attention.head_count_kv") == 0) return v == (double)b->heads.n;
    if (strcmp(suffix, "expert_count") == 0 || strcmp(suffix, "expert_used_count") == 0)
        return v == 0;
    if (strcmp(suffix, "rope.scaling.type") == 0) {
        return kv->type == LS_GGUF_STR && ls_str_is(kv->str, "none");
    }
    if (strcmp(suffix, "rope.scaling.factor") == 0) return v == 1;
    /* The width of what no layer of such a model has. */
    return strcmp(suffix, "feed_forward_length") == 0 &&
           !ls_gguf_tensor(b->g, "blk.0.ffn_up.weight");
}

static void tell(const ls_hf_back *b, const ls_gguf_kv *kv, const char *what)
{
    char note[256];
    if (!b->opt->note) return;
    snprintf(note, sizeof(note), "'%.*s' %s", LS_FMT(kv->key), what);
    b->opt->note(b->opt->note_ctx, note);
}

static ls_status check_key(const ls_hf_back *b, const ls_gguf *again, const ls_gguf_kv *kv)
{
    const ls_gguf_kv *got = find(again, kv->key);
    size_t            n = strlen(b->arch->name);
    char              suffix[128];
    if (got && equal(kv, got)) return LS_OK;
    if (starts(kv->key, "tokenizer.")) {
        if (!ls_str_is(kv->key, "tokenizer.ggml.merges")) {
            tell(b, kv, got ? "is not the same in the folder" : "has no place in a folder");
            return LS_OK;
        }
    } else if (!starts(kv->key, b->arch->name) || kv->key.len <= n || kv->key.p[n] != '.') {
        if (!starts(kv->key, "general.") && !starts(kv->key, "split.")) {
            tell(b, kv, "has no place in a folder");
        }
        return LS_OK;
    } else {
        snprintf(suffix, sizeof(suffix), "%.*s", (int)(kv->key.len - n - 1), kv->key.p + n + 1);
        if (says_nothing(b, suffix, kv)) return LS_OK;
    }
    ls_fail(b->err, LS_ERR_UNSUPPORTED, "'%.*s' cannot be said by a folder of '%s'",
            LS_FMT(kv->key), b->arch->classes[0]);
    ls_gguf_fail_at(b->g, kv->key.p, b->err);
    return LS_ERR_UNSUPPORTED;
}

/* Every id means the same text. */
static ls_status check_tokens(const ls_hf_back *b, const ls_gguf *again)
{
    const char       *key = "tokenizer.ggml.tokens";
    const ls_gguf_kv *was = ls_gguf_array(b->g, key, LS_GGUF_STR),
                     *is = ls_gguf_array(again, key, LS_GGUF_STR);
    const void *p = was ? was->data : NULL, *q = is ? is->data : NULL;
    if (!was || !is) return LS_OK;
    for (uint64_t i = 0; i < was->n; i++) {
        ls_str x = ls_gguf_next_str(&p), y = i < is->n ? ls_gguf_next_str(&q) : LS_STR("");
        if (i < is->n && ls_str_eq(x, y)) continue;
        ls_fail(b->err, LS_ERR_UNSUPPORTED,
                "token %llu is '%.*s' here, and would be '%.*s' in a folder", (unsigned long long)i,
                LS_FMT(x), LS_FMT(y));
        ls_gguf_fail_at(b->g, was->key.p, b->err);
        return LS_ERR_UNSUPPORTED;
    }
    return LS_OK;
}

ls_status ls_hf_back_check(const ls_hf_back *b)
{
    ls_gguf  *again;
    ls_status status;
    LS_TRY(ls_hf_open_dry(&again, b->folder, b->err));
    status = check_tokens(b, again);
    for (size_t i = 0; i < ls_gguf_n_kv(b->g) && status == LS_OK; i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(b->g, i);
        if (ls_str_is(kv->key, "tokenizer.ggml.tokens")) continue;
        status = check_key(b, again, kv);
    }
    ls_gguf_close(again);
    return status;
}
