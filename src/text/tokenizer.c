// SPDX-License-Identifier: MIT
/* tokenizer.c - the public tokenizer: special tokens are cut out of the text, what lies between
 * goes to the model's file (spm.c, bpe.c, ...), BOS and EOS are put on. detokenize.c is the way
 * back, open.c reads other files than GGUF. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bpe.h"
#include "text/sp.h"
#include "text/tj.h"

static const char model_key[] = "tokenizer.ggml.model";
static const char pre_key[] = "tokenizer.ggml.pre";
static const char json_key[] = "tokenizer.huggingface.json";

static const ls_vocab_model models[] = {
    {"llama", LS_VOCAB_SPM, NULL, 1, 2, 0, -1, true, false, true},
    {"gpt2", LS_VOCAB_BPE, NULL, 11, 11, -1, -1, false, false, false},
    {"whitespace", LS_VOCAB_BPE, NULL, 11, 11, -1, -1, false, false, false},
    {"gemma4", LS_VOCAB_BPE, "gemma4", -1, -1, -1, -1, false, false, false},
    {"bert", LS_VOCAB_WPM, NULL, 101, -1, 100, 102, true, false, false},
    {"t5", LS_VOCAB_UGM, NULL, -1, 1, 2, -1, false, true, false},
    {"rwkv", LS_VOCAB_RWKV, NULL, -1, -1, -1, -1, false, false, false},
    {"plamo2", LS_VOCAB_PLAMO2, NULL, 1, 2, 0, -1, false, false, false},
};

static ls_status find_model(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    ls_str name;
    if (!ls_gguf_str(g, model_key, &name)) {
        return ls_vocab_bad_key(g, model_key, "is no string", err);
    }
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        if (ls_str_is(name, models[i].name)) t->model = &models[i];
    }
    if (t->model) return LS_OK;
    ls_fail(err, LS_ERR_UNSUPPORTED, "the tokenizer model '%.*s' is not supported", LS_FMT(name));
    ls_fail_at(err, "%s: metadata key '%s'", ls_gguf_path(g), model_key);
    ls_fail_hint(err, "supported are llama (SentencePiece), gpt2, gemma4 and whitespace (BPE), t5 "
                      "(unigrams), bert (WordPiece), rwkv and plamo2");
    return LS_ERR_UNSUPPORTED;
}

/* What the model needs beside the lists of the metadata. */
static ls_status init_model(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    switch (t->model->kind) {
    case LS_VOCAB_SPM:
        ls_spm_init(t);
        return LS_OK;
    case LS_VOCAB_BPE:
        if (t->traits & LS_PRETOK_MUST_BOS) t->add_bos = true;
        return ls_bpe_init(t, g, err);
    case LS_VOCAB_WPM:
        t->add_bos = t->clean_spaces = true; /* as the reference, whatever the metadata say */
        return LS_OK;
    case LS_VOCAB_UGM:
        return ls_ugm_init(t, g, err);
    case LS_VOCAB_RWKV:
        t->add_bos = t->add_eos = false;
        return ls_rwkv_init(t, err);
    case LS_VOCAB_PLAMO2:
        t->add_bos = t->add_eos = false;
        return ls_plamo2_init(t, g, err);
    case LS_VOCAB_TJ:
    case LS_VOCAB_SP:
        break;
    }
    return LS_OK;
}

static ls_status build(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    ls_str pre = LS_STR("");
    LS_TRY(find_model(t, g, err));
    t->add_bos = t->model->add_bos;
    t->add_eos = t->model->add_eos;
    t->add_space_prefix = t->model->add_space_prefix;
    if (t->model->pre) {
        pre = (ls_str){t->model->pre, strlen(t->model->pre)};
    } else if (!ls_gguf_str(g, pre_key, &pre) && ls_gguf_find(g, pre_key)) {
        return ls_vocab_bad_key(g, pre_key, "is no string", err);
    }
    snprintf(t->pre, sizeof(t->pre), "%.*s", LS_FMT(pre));
    if (t->model->kind == LS_VOCAB_BPE) LS_TRY(ls_bpe_open_pretok(t, g, pre, err));
    if (strcmp(t->model->name, "whitespace") == 0) t->traits |= LS_PRETOK_DROP_SPACES;
    LS_TRY(ls_vocab_load(t, g, err));
    LS_TRY(init_model(t, g, err));
    LS_TRY(ls_strip_init(t, g, err));
    return ls_special_init(t, err);
}

/* Whether the tokenizer.json that the metadata hold is all there is: folders whose vocabulary has
 * no form in tokenizer.ggml.*, or whose pre-tokenizer has no name there. */
static bool has_only_json(const ls_gguf *g, ls_str *json)
{
    ls_str pre;
    if (!ls_gguf_str(g, json_key, json)) return false;
    return !ls_gguf_find(g, model_key) ||
           (ls_gguf_str(g, pre_key, &pre) && ls_str_is(pre, "unknown"));
}

static ls_status build_from_json(ls_tokenizer *t, const ls_gguf *g, ls_str json, ls_error *err)
{
    LS_TRY(ls_tj_open(t, ls_gguf_path(g), json, LS_STR(""), err));
    LS_TRY(ls_vocab_named_ids(t, g, err));
    ls_vocab_mark_ends(t);
    return LS_OK;
}

/* json.p NULL: from tokenizer.ggml.*. */
static ls_status create(ls_tokenizer **out, const ls_gguf *g, ls_str json, ls_error *err)
{
    ls_tokenizer *t;
    ls_status     status;
    *out = NULL;
    LS_TRY(ls_alloc(&t, 1, sizeof(*t), "a tokenizer", err));
    status = json.p ? build_from_json(t, g, json, err) : build(t, g, err);
    if (status != LS_OK) {
        ls_tokenizer_destroy(t);
        return status;
    }
    *out = t;
    return LS_OK;
}

ls_status ls_tokenizer_create(ls_tokenizer **out, const ls_gguf *g, ls_error *err)
{
    ls_str json;
    return create(out, g, has_only_json(g, &json) ? json : (ls_str){NULL, 0}, err);
}

ls_status ls_tokenizer_create_json(ls_tokenizer **out, const ls_gguf *g, ls_error *err)
{
    ls_str json;
    *out = NULL;
    if (!ls_gguf_str(g, json_key, &json)) return ls_vocab_bad_key(g, json_key, "is no string", err);
    return create(out, g, json, err);
}

void ls_tokenizer_destroy(ls_tokenizer *t)
{
    if (!t) return;
    ls_pretok_destroy(t->pretok);
    ls_str_map_fini(&t->ids);
    ls_bpe_fini(&t->bpe);
    ls_trie_fini(&t->trie);
    ls_trie_fini(&t->user_trie);
    free(t->text);
    free(t->type);
    free(t->score);
    free(t->is_end);
    free(t->names);
    free(t->special_lens);
    free(t->strip);
    ls_tj_destroy(t->tj);
    ls_sp_destroy(t->sp);
    ls_gguf_close(t->own_gguf);
    free(t);
}

/* ---- encoding ---- */

static ls_status encode_text(const ls_tokenizer *t, ls_str s, bool after_special, ls_ids *out,
                             ls_error *err)
{
    switch (t->model->kind) {
    case LS_VOCAB_SPM: /* a space before the first word, and after each special token */
        return ls_spm_encode(t, s, t->add_space_prefix && after_special, out, err);
    case LS_VOCAB_WPM:
        return ls_wpm_encode(t, s, out, err);
    case LS_VOCAB_UGM:
        return ls_ugm_encode(t, s, out, err);
    case LS_VOCAB_RWKV:
        return ls_rwkv_encode(t, s, out, err);
    case LS_VOCAB_PLAMO2:
        return ls_plamo2_encode(t, s, out, err);
    case LS_VOCAB_SP:
        return ls_sp_encode(t, s, out, err);
    case LS_VOCAB_BPE:
    case LS_VOCAB_TJ:
        break;
    }
    return ls_bpe_encode(t, s, out, err);
}

static ls_status encode_fragments(const ls_tokenizer *t, const ls_fragments *f, ls_ids *out,
                                  ls_error *err)
{
    bool after_special = true;
    for (size_t i = 0; i < f->n; i++) {
        if (f->at[i].id >= 0) {
            LS_TRY(ls_ids_push(out, f->at[i].id, err));
        } else {
            LS_TRY(encode_text(t, f->at[i].text, after_special, out, err));
        }
        after_special = f->at[i].id >= 0;
    }
    return LS_OK;
}

static ls_status push_all(ls_ids *out, const ls_ids *ids, ls_error *err)
{
    for (size_t i = 0; i < ids->n; i++) LS_TRY(ls_ids_push(out, ids->at[i], err));
    return LS_OK;
}

/* As a tokenizer.json says: its post-processor puts on what stands before and behind. */
static ls_status encode_json(const ls_tokenizer *t, ls_str text, const ls_encode_options *opt,
                             ls_ids *out, ls_error *err)
{
    ls_bos_mode mode = opt ? opt->bos : LS_BOS_AUTO;
    LS_TRY(ls_grow(&out->at, &out->cap, text.len / 4 + 2, sizeof(*out->at), "token ids", err));
    if (mode == LS_BOS_AUTO) LS_TRY(push_all(out, &t->tj->before, err));
    if (mode == LS_BOS_YES && t->bos >= 0) LS_TRY(ls_ids_push(out, t->bos, err));
    LS_TRY(ls_tj_encode(t, text, opt && opt->parse_special, out, err));
    return mode == LS_BOS_AUTO ? push_all(out, &t->tj->behind, err) : LS_OK;
}

static ls_status encode(const ls_tokenizer *t, ls_str text, const ls_encode_options *opt,
                        ls_ids *out, ls_error *err)
{
    int32_t      last = t->add_eos ? t->eos : -1;
    ls_bos_mode  mode = opt ? opt->bos : LS_BOS_AUTO;
    bool         bos = mode == LS_BOS_YES || (mode == LS_BOS_AUTO && t->add_bos);
    ls_fragments fragments = {0};
    ls_status    status;
    LS_TRY(ls_grow(&out->at, &out->cap, text.len / 4 + 2, sizeof(*out->at), "token ids", err));
    if (bos && t->bos >= 0) LS_TRY(ls_ids_push(out, t->bos, err));
    status = ls_special_split(t, text, opt && opt->parse_special, &fragments, err);
    if (status == LS_OK) status = encode_fragments(t, &fragments, out, err);
    free(fragments.at);
    if (t->model->kind == LS_VOCAB_WPM) last = t->sep;
    if (status == LS_OK && mode == LS_BOS_AUTO && last >= 0) {
        status = ls_ids_push(out, last, err);
    }
    return status;
}

ls_status ls_tokenizer_encode(const ls_tokenizer *t, const char *text, size_t len,
                              const ls_encode_options *opt, int32_t **ids, size_t *n, ls_error *err)
{
    ls_ids    out = {0};
    ls_status status;
    *ids = NULL;
    *n = 0;
    if (len > INT32_MAX / 4) { /* a byte can become three, and symbols are numbered in 32 bits */
        return ls_fail(err, LS_ERR_LIMIT, "a text of %zu bytes is too long to tokenize", len);
    }
    status = (t->tj ? encode_json : encode)(t, (ls_str){text, len}, opt, &out, err);
    if (status != LS_OK) {
        free(out.at);
        return status;
    }
    *ids = out.at;
    *n = out.n;
    return LS_OK;
}

/* ---- what the vocabulary says ---- */

static bool has(const ls_tokenizer *t, int32_t id) { return id >= 0 && id < t->n_vocab; }

int32_t ls_tokenizer_n_vocab(const ls_tokenizer *t) { return t->n_vocab; }

ls_str ls_tokenizer_text(const ls_tokenizer *t, int32_t id)
{
    return has(t, id) ? t->text[id] : LS_STR("");
}

ls_token_type ls_tokenizer_type(const ls_tokenizer *t, int32_t id)
{
    return has(t, id) ? (ls_token_type)t->type[id] : LS_TOKEN_UNDEFINED;
}

int32_t ls_tokenizer_find(const ls_tokenizer *t, const char *text)
{
    return ls_str_map_get(&t->ids, (ls_str){text, strlen(text)});
}

int32_t ls_tokenizer_bos(const ls_tokenizer *t) { return t->bos; }
int32_t ls_tokenizer_eos(const ls_tokenizer *t) { return t->eos; }
int32_t ls_tokenizer_eot(const ls_tokenizer *t) { return t->eot; }
bool    ls_tokenizer_adds_bos(const ls_tokenizer *t) { return t->add_bos && t->bos >= 0; }

bool ls_tokenizer_is_end(const ls_tokenizer *t, int32_t id) { return has(t, id) && t->is_end[id]; }

const char *ls_tokenizer_model(const ls_tokenizer *t) { return t->model->name; }
const char *ls_tokenizer_pre(const ls_tokenizer *t) { return t->pre; }

ls_status ls_ids_push(ls_ids *ids, int32_t id, ls_error *err)
{
    LS_TRY(ls_grow(&ids->at, &ids->cap, ids->n + 1, sizeof(*ids->at), "token ids", err));
    ids->at[ids->n++] = id;
    return LS_OK;
}

ls_status ls_ids_repeat(ls_ids *ids, size_t at, size_t n, ls_error *err)
{
    for (size_t i = 0; i < n; i++) LS_TRY(ls_ids_push(ids, ids->at[at + i], err));
    return LS_OK;
}
