// SPDX-License-Identifier: MIT
/* hf_back_vocab.c - tokenizer.ggml.* to tokenizer.json and tokenizer_config.json.
 *
 * A tokenizer.json that the model carries is written as it is. Otherwise byte-level BPE becomes
 * one; SentencePiece's vocabularies become a tokenizer.model (hf_back_spm.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/hf_back.h"
#include "format/hf_vocab.h"

static ls_status no_memory(const ls_hf_back *b)
{
    return ls_fail(b->err, LS_ERR_NOMEM, "not enough memory for the vocabulary");
}

static ls_status refuse(const ls_hf_back *b, const char *key, const char *what, ls_str value)
{
    const ls_gguf_kv *kv = ls_gguf_find(b->g, key);
    ls_fail(b->err, LS_ERR_UNSUPPORTED, "%s: '%.*s'", what, LS_FMT(value));
    ls_gguf_fail_at(b->g, kv ? kv->key.p : NULL, b->err);
    return LS_ERR_UNSUPPORTED;
}

int32_t ls_hf_token_type(const ls_hf_tokens *v, size_t i)
{
    return v->type && i < v->type->n ? (int32_t)ls_gguf_num_at(v->type, i) : LS_HF_NORMAL;
}

static ls_status read_tokens(const ls_hf_back *b, ls_hf_tokens *v)
{
    const ls_gguf_kv *kv = ls_gguf_array(b->g, "tokenizer.ggml.tokens", LS_GGUF_STR);
    const void       *p = kv ? kv->data : NULL;
    v->n = kv ? (size_t)kv->n : 0;
    v->type = ls_gguf_array(b->g, "tokenizer.ggml.token_type", LS_GGUF_I32);
    v->score = ls_gguf_array(b->g, "tokenizer.ggml.scores", LS_GGUF_F32);
    LS_TRY(ls_alloc(&v->text, v->n, sizeof(*v->text), "the vocabulary", b->err));
    for (size_t i = 0; i < v->n; i++) v->text[i] = ls_gguf_next_str(&p);
    return LS_OK;
}

/* A place that no token has; the reader fills such by itself. */
static bool is_gap(const ls_hf_tokens *v, size_t i)
{
    char text[32];
    snprintf(text, sizeof(text), "[PAD%zu]", i);
    return ls_hf_token_type(v, i) == LS_HF_UNUSED && ls_str_is(v->text[i], text);
}

static int64_t role_id(const ls_hf_back *b, size_t role)
{
    char    key[64];
    int64_t id;
    snprintf(key, sizeof(key), "tokenizer.ggml.%s", ls_hf_roles[role].gguf_id);
    return ls_gguf_int(b->g, key, &id) ? id : -1;
}

/* Whether a token is put in front (role 0) or behind (role 1); `fallback` where nothing says so. */
static bool is_added(const ls_hf_back *b, size_t role, bool fallback)
{
    char key[64];
    bool v = fallback;
    snprintf(key, sizeof(key), "tokenizer.ggml.%s", ls_hf_roles[role].gguf_add);
    ls_gguf_bool(b->g, key, &v);
    return v;
}

/* ---- tokenizer.json ---- */

static json_t *added_token(ls_str text, int64_t id, bool special)
{
    json_t *o =
        json_pack("{s:s%, s:b, s:b, s:b, s:b, s:b}", "content", text.p, text.len, "single_word", 0,
                  "lstrip", 0, "rstrip", 0, "normalized", 0, "special", (int)special);
    if (o && id >= 0) json_object_set_new(o, "id", json_integer(id));
    return o;
}

static bool is_added_type(int32_t type) { return type == LS_HF_CONTROL || type == LS_HF_USER; }

static ls_status put_vocab(const ls_hf_back *b, const ls_hf_tokens *v, json_t *vocab, json_t *added)
{
    for (size_t i = 0; i < v->n; i++) {
        ls_str  s = v->text[i];
        int32_t type = ls_hf_token_type(v, i);
        if (is_gap(v, i)) continue;
        if (json_object_getn(vocab, s.p, s.len)) {
            return refuse(b, "tokenizer.ggml.tokens",
                          "a token is there twice, which tokenizer.json cannot say", s);
        }
        if (json_object_setn_new(vocab, s.p, s.len, json_integer((json_int_t)i)) != 0) {
            return refuse(b, "tokenizer.ggml.tokens",
                          "a token is not UTF-8, which tokenizer.json cannot say", s);
        }
        if (is_added_type(type) &&
            json_array_append_new(added, added_token(s, (int64_t)i, type == LS_HF_CONTROL)) != 0) {
            return no_memory(b);
        }
    }
    return LS_OK;
}

static ls_status put_merges(const ls_hf_back *b, json_t *merges)
{
    const ls_gguf_kv *kv = ls_gguf_array(b->g, "tokenizer.ggml.merges", LS_GGUF_STR);
    const void       *p = kv ? kv->data : NULL;
    for (uint64_t i = 0; kv && i < kv->n; i++) {
        ls_str  s = ls_gguf_next_str(&p);
        json_t *pair = json_stringn(s.p, s.len);
        if (!pair || json_array_append_new(merges, pair) != 0) {
            return refuse(b, "tokenizer.ggml.merges", "a merge is no text in UTF-8", s);
        }
    }
    return LS_OK;
}

/* Tokens in front of and behind a text. */
static json_t *post_processor(const ls_hf_back *b, const ls_hf_tokens *v, bool bos, bool eos)
{
    json_t *single = json_array(), *pair = json_array(), *special = json_object();
    for (int part = 0; part < 2; part++) {
        const char *name = part ? "B" : "A";
        for (size_t role = 0; role < 2; role++) {
            int64_t id = role_id(b, role);
            json_t *s, *item;
            if (role == 1) {
                item = json_pack("{s:{s:s, s:i}}", "Sequence", "id", name, "type_id", part);
                if (!part) json_array_append(single, item);
                json_array_append_new(pair, item);
            }
            if (!(role ? eos : bos) || id < 0 || (size_t)id >= v->n) continue;
            s = json_stringn(v->text[id].p, v->text[id].len);
            item = json_pack("{s:{s:O, s:i}}", "SpecialToken", "id", s, "type_id", part);
            if (!part) json_array_append(single, item);
            json_array_append_new(pair, item);
            json_object_setn_new(
                special, v->text[id].p, v->text[id].len,
                json_pack("{s:O, s:[I], s:[O]}", "id", s, "ids", (json_int_t)id, "tokens", s));
            json_decref(s);
        }
    }
    return json_pack("{s:s, s:o, s:o, s:o}", "type", "TemplateProcessing", "single", single, "pair",
                     pair, "special_tokens", special);
}

static json_t *byte_level(void)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 1, "use_regex", 1);
}

static ls_status write_bpe(ls_hf_back *b, const ls_hf_tokens *v, bool *adds_bos)
{
    ls_str    pre = LS_STR("default");
    bool      ignore_merges = false, bos, eos;
    json_t   *vocab = json_object(), *merges = json_array(), *added = json_array(), *root, *cut;
    ls_status status;
    ls_gguf_str(b->g, "tokenizer.ggml.pre", &pre);
    cut = ls_hf_pretok_json(pre, &ignore_merges, adds_bos);
    bos = is_added(b, 0, *adds_bos) && role_id(b, 0) >= 0;
    eos = is_added(b, 1, false) && role_id(b, 1) >= 0;
    root = json_pack(
        "{s:s, s:n, s:n, s:O, s:n, s:o*, s:o, s:o, s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:O, "
        "s:O}}",
        "version", "1.0", "truncation", "padding", "added_tokens", added, "normalizer",
        "pre_tokenizer", cut, "post_processor",
        bos || eos ? post_processor(b, v, bos, eos) : byte_level(), "decoder", byte_level(),
        "model", "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix",
        "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges",
        (int)ignore_merges, "vocab", vocab, "merges", merges);
    status = !cut   ? refuse(b, "tokenizer.ggml.pre",
                             "tokenizer.json has no declaration for this pre-tokenizer", pre)
             : root ? put_vocab(b, v, vocab, added)
                    : no_memory(b);
    if (status == LS_OK) status = put_merges(b, merges);
    if (status == LS_OK) status = ls_hf_back_json(b, "tokenizer.json", root);
    json_decref(root);
    json_decref(vocab);
    json_decref(merges);
    json_decref(added);
    return status;
}

/* ---- tokenizer_config.json ---- */

static ls_status set(const ls_hf_back *b, json_t *o, const char *key, json_t *v)
{
    return v && json_object_set_new(o, key, v) == 0 ? LS_OK : no_memory(b);
}

/* Tokens beside those of SentencePiece: texts of the user, and special ones with the score that
 * such get. */
static ls_status put_decoder(const ls_hf_back *b, const ls_hf_tokens *v, json_t *config)
{
    json_t *map = json_object();
    LS_TRY(set(b, config, "added_tokens_decoder", map));
    for (size_t i = 0; i < v->n; i++) {
        int32_t type = ls_hf_token_type(v, i);
        double  score = v->score && i < v->score->n ? ls_gguf_num_at(v->score, i) : 0;
        char    key[24];
        if (type != LS_HF_USER && (type != LS_HF_CONTROL || score != -1000)) continue;
        snprintf(key, sizeof(key), "%zu", i);
        LS_TRY(set(b, map, key, added_token(v->text[i], -1, type == LS_HF_CONTROL)));
    }
    return LS_OK;
}

static ls_status put_roles(const ls_hf_back *b, const ls_hf_tokens *v, json_t *config,
                           bool adds_bos)
{
    for (size_t i = 0; ls_hf_roles[i].name; i++) {
        int64_t id = role_id(b, i);
        char    key[64];
        if (id >= 0 && (size_t)id < v->n && strcmp(ls_hf_roles[i].name, "eot") != 0) {
            snprintf(key, sizeof(key), "%s_token", ls_hf_roles[i].name);
            LS_TRY(set(b, config, key, json_stringn(v->text[id].p, v->text[id].len)));
        }
        if (!ls_hf_roles[i].gguf_add) continue;
        snprintf(key, sizeof(key), "tokenizer.ggml.%s", ls_hf_roles[i].gguf_add);
        if (i > 0 && !ls_gguf_find(b->g, key)) continue;
        if (i == 0 && role_id(b, 0) < 0 && !ls_gguf_find(b->g, key)) continue;
        snprintf(key, sizeof(key), "add_%s_token", ls_hf_roles[i].name);
        LS_TRY(set(b, config, key, json_boolean(is_added(b, i, i == 0 && adds_bos))));
    }
    return LS_OK;
}

/* The template, and those with names of their own. */
static ls_status put_chat(const ls_hf_back *b, json_t *config)
{
    static const char prefix[] = "tokenizer.chat_template.";
    ls_str            text;
    json_t           *list, *one;
    bool              has = ls_gguf_str(b->g, "tokenizer.chat_template", &text);
    one = has ? json_stringn(text.p, text.len) : NULL;
    if (has && !one) {
        return refuse(b, "tokenizer.chat_template", "the template of chats is no text in UTF-8",
                      text);
    }
    list = json_array();
    if (one)
        json_array_append_new(list, json_pack("{s:s, s:O}", "name", "default", "template", one));
    for (size_t i = 0; i < ls_gguf_n_kv(b->g); i++) {
        const ls_gguf_kv *kv = ls_gguf_kv_at(b->g, i);
        size_t            n = sizeof(prefix) - 1;
        if (kv->type != LS_GGUF_STR || kv->key.len <= n || memcmp(kv->key.p, prefix, n) != 0)
            continue;
        json_array_append_new(list, json_pack("{s:s%, s:s%}", "name", kv->key.p + n,
                                              kv->key.len - n, "template", kv->str.p, kv->str.len));
    }
    if (json_array_size(list) > 1) {
        json_decref(one);
        return set(b, config, "chat_template", list);
    }
    json_decref(list);
    return one ? set(b, config, "chat_template", one) : LS_OK;
}

static ls_status write_config(const ls_hf_back *b, const ls_hf_tokens *v, bool spm, bool adds_bos)
{
    json_t   *config = json_object();
    bool      prefix;
    double    ctx;
    ls_status status = put_roles(b, v, config, adds_bos);
    if (status == LS_OK && spm) status = put_decoder(b, v, config);
    if (status == LS_OK && spm && ls_gguf_bool(b->g, "tokenizer.ggml.add_space_prefix", &prefix)) {
        status = set(b, config, "add_prefix_space", json_boolean(prefix));
    }
    if (status == LS_OK) status = put_chat(b, config);
    if (status == LS_OK && ls_hf_back_num(b, "context_length", &ctx)) {
        status = set(b, config, "model_max_length", json_integer((json_int_t)ctx));
    }
    if (status == LS_OK) status = set(b, config, "clean_up_tokenization_spaces", json_false());
    if (status == LS_OK) {
        status = set(b, config, "tokenizer_class",
                     json_string(spm ? "LlamaTokenizer" : "PreTrainedTokenizerFast"));
    }
    if (status == LS_OK) status = ls_hf_back_json(b, "tokenizer_config.json", config);
    json_decref(config);
    return status;
}

static ls_status write_vocab(ls_hf_back *b, const ls_hf_tokens *v, ls_str model)
{
    ls_str json;
    bool   spm = ls_str_is(model, "llama"), unigram = ls_str_is(model, "t5"), adds_bos = spm;
    bool   carried = ls_gguf_str(b->g, "tokenizer.huggingface.json", &json);
    if (carried) LS_TRY(ls_hf_back_file(b, "tokenizer.json", json.p, json.len));
    if (spm || unigram) {
        LS_TRY(ls_hf_back_spm(b, v, unigram));
    } else if (ls_str_is(model, "gpt2")) {
        if (carried) {
            ls_str  pre = LS_STR("default");
            bool    ignored;
            json_t *known;
            ls_gguf_str(b->g, "tokenizer.ggml.pre", &pre);
            known = ls_hf_pretok_json(pre, &ignored, &adds_bos);
            json_decref(known);
        } else {
            LS_TRY(write_bpe(b, v, &adds_bos));
        }
    } else if (!carried) {
        return refuse(b, "tokenizer.ggml.model", "folders have no vocabulary of this kind", model);
    }
    return write_config(b, v, spm || unigram, adds_bos);
}

ls_status ls_hf_back_vocab(ls_hf_back *b)
{
    ls_hf_tokens v = {0};
    ls_str       model;
    ls_status    status;
    if (!ls_gguf_str(b->g, "tokenizer.ggml.model", &model)) return LS_OK;
    status = read_tokens(b, &v);
    if (status == LS_OK) status = write_vocab(b, &v, model);
    free(v.text);
    return status;
}
