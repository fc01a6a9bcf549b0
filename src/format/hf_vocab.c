// SPDX-License-Identifier: MIT
/* hf_vocab.c - what a folder says about its vocabulary: which file has the tokens, which tokens are
 * added and special, and how a chat is written. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "format/hf_vocab.h"

enum { MAX_TEMPLATE = 4 << 20, MAX_UNPROVEN = 1 << 16 };

ls_status ls_hf_vocab_init(ls_hf *hf, ls_hf_vocab *v, size_t n, bool scores)
{
    ls_arena *mem = &hf->g->mem;
    *v = (ls_hf_vocab){.n = n};
    LS_TRY(ls_arena_alloc(mem, &v->text, n, sizeof(*v->text), "the vocabulary", hf->err));
    LS_TRY(ls_arena_alloc(mem, &v->type, n, sizeof(*v->type), "the vocabulary", hf->err));
    if (scores) {
        LS_TRY(ls_arena_alloc(mem, &v->score, n, sizeof(*v->score), "the vocabulary", hf->err));
    }
    for (size_t i = 0; i < n; i++) {
        v->type[i] = LS_HF_UNUSED;
        if (scores) v->score[i] = -10000;
    }
    return LS_OK;
}

ls_status ls_hf_vocab_write(ls_hf *hf, const ls_hf_vocab *v, const char *model, ls_str pre)
{
    ls_meta *m = &hf->meta;
    for (size_t i = 0; i < v->n; i++) {
        if (v->text[i].p) continue;
        LS_TRY(ls_arena_printf(&hf->g->mem, &v->text[i], hf->err, "[PAD%zu]", i));
    }
    LS_TRY(ls_meta_str(m, "tokenizer.ggml.model", (ls_str){model, strlen(model)}, hf->err));
    LS_TRY(ls_meta_str(m, "tokenizer.ggml.pre", pre, hf->err));
    LS_TRY(ls_meta_strs(m, "tokenizer.ggml.tokens", v->text, v->n, hf->err));
    if (v->score) {
        LS_TRY(ls_meta_array(m, "tokenizer.ggml.scores", LS_GGUF_F32, v->score, v->n, hf->err));
    }
    return ls_meta_array(m, "tokenizer.ggml.token_type", LS_GGUF_I32, v->type, v->n, hf->err);
}

/* ---- added tokens ---- */

static bool starts(ls_str s, const char *with)
{
    return s.len >= strlen(with) && memcmp(s.p, with, strlen(with)) == 0;
}

static bool ends(ls_str s, const char *with)
{
    size_t n = strlen(with);
    return s.len >= n && memcmp(s.p + s.len - n, with, n) == 0;
}

/* Some models do not mark tokens as special that nobody means as text. */
static bool looks_special(ls_str s)
{
    static const char *const texts[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (ls_str_is(s, texts[i])) return true;
    }
    return (starts(s, "<|") && ends(s, "|>")) ||
           (starts(s, "<\xef\xbd\x9c") && ends(s, "\xef\xbd\x9c>")) ||
           (starts(s, "<unused") && ends(s, ">"));
}

/* The text of a token that is not special, with spaces in place of SentencePiece's mark. */
static ls_status plain_text(ls_hf *hf, ls_str *out, ls_str s)
{
    char  *p;
    size_t n = 0;
    LS_TRY(ls_arena_alloc(&hf->g->mem, &p, s.len + 1, 1, "a token", hf->err));
    for (size_t i = 0; i < s.len; i++) {
        if (s.len - i >= 3 && memcmp(s.p + i, "\xe2\x96\x81", 3) == 0) {
            p[n++] = ' ';
            i += 2;
        } else {
            p[n++] = s.p[i];
        }
    }
    *out = (ls_str){p, n};
    return LS_OK;
}

static ls_status add_token(ls_hf *hf, ls_hf_vocab *v, const ls_json *j, json_int_t id,
                           const json_t *token)
{
    ls_str text = ls_json_str(json_object_get(token, "content"));
    if (!text.p || id < 0) {
        return ls_json_fail(j, "added_tokens", hf->err, "an added token has no id or no content");
    }
    if ((uint64_t)id >= v->n) return LS_OK; /* the model has no embedding for it */
    if (json_is_true(json_object_get(token, "special")) || looks_special(text)) {
        v->type[id] = LS_HF_CONTROL;
        LS_TRY(ls_arena_str(&hf->g->mem, &v->text[id], text.p, text.len, hf->err));
    } else {
        v->type[id] = LS_HF_USER;
        LS_TRY(plain_text(hf, &v->text[id], text));
    }
    if (v->score) v->score[id] = -1000;
    return LS_OK;
}

ls_status ls_hf_add_tokens(ls_hf *hf, ls_hf_vocab *v)
{
    const json_t *list = json_object_get(hf->tokenizer.root, "added_tokens");
    json_t       *map = json_object_get(hf->tokenizer_config.root, "added_tokens_decoder"), *token;
    const char   *key;
    if (list && !json_is_array(list)) {
        return ls_json_fail(&hf->tokenizer, "added_tokens", hf->err,
                            "\"added_tokens\" of tokenizer.json is no list");
    }
    json_object_foreach(map, key, token)
    {
        char *end;
        long  id = strtol(key, &end, 10);
        if (end == key || *end) id = -1;
        LS_TRY(add_token(hf, v, &hf->tokenizer_config, id, token));
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *id;
        token = json_array_get(list, i);
        id = json_object_get(token, "id");
        LS_TRY(add_token(hf, v, &hf->tokenizer, json_is_integer(id) ? json_integer_value(id) : -1,
                         token));
    }
    return LS_OK;
}

/* ---- special tokens ---- */

const ls_hf_role ls_hf_roles[] = {
    {"bos", "bos_token_id", "add_bos_token"},
    {"eos", "eos_token_id", "add_eos_token"},
    {"unk", "unknown_token_id", NULL},
    {"sep", "seperator_token_id", "add_sep_token"}, /* spelled so in GGUF */
    {"pad", "padding_token_id", NULL},
    {"cls", "cls_token_id", NULL},
    {"mask", "mask_token_id", NULL},
    {"eot", "eot_token_id", NULL},
    {NULL, NULL, NULL},
};
enum { BOS, EOS, N_ROLES = sizeof(ls_hf_roles) / sizeof(ls_hf_roles[0]) - 1 };

/* "bos_token" of tokenizer_config.json: a text, or an object with one. */
static ls_str role_text(const ls_hf *hf, const char *name)
{
    char          key[32];
    const json_t *v;
    snprintf(key, sizeof(key), "%s_token", name);
    v = json_object_get(hf->tokenizer_config.root, key);
    if (json_is_object(v)) v = json_object_get(v, "content");
    return ls_json_str(v);
}

/* The id of a token by its text: among the added ones, then in the vocabulary. */
static int64_t id_of(const ls_hf *hf, ls_str text)
{
    const json_t *list = json_object_get(hf->tokenizer.root, "added_tokens");
    const json_t *map = json_object_get(hf->tokenizer_config.root, "added_tokens_decoder"), *id;
    const char   *key;
    json_t       *token;
    for (size_t i = 0; text.p && i < json_array_size(list); i++) {
        ls_str s;
        token = json_array_get(list, i);
        s = ls_json_str(json_object_get(token, "content"));
        id = json_object_get(token, "id");
        if (s.p && ls_str_eq(s, text) && json_is_integer(id)) return json_integer_value(id);
    }
    json_object_foreach((json_t *)(uintptr_t)map, key, token)
    {
        ls_str s = ls_json_str(json_object_get(token, "content"));
        if (text.p && s.p && ls_str_eq(s, text)) return strtol(key, NULL, 10);
    }
    return -1;
}

static ls_status set_role(ls_hf *hf, size_t role, int64_t id)
{
    char key[64];
    if (id < 0 || id > INT32_MAX || (hf->n_vocab && id >= hf->n_vocab)) return LS_OK;
    snprintf(key, sizeof(key), "tokenizer.ggml.%s", ls_hf_roles[role].gguf_id);
    return ls_meta_int(&hf->meta, key, LS_GGUF_U32, id, hf->err);
}

static ls_status set_flag(ls_hf *hf, size_t role, bool v)
{
    char key[64];
    if (!ls_hf_roles[role].gguf_add) return LS_OK;
    snprintf(key, sizeof(key), "tokenizer.ggml.%s", ls_hf_roles[role].gguf_add);
    return ls_meta_bool(&hf->meta, key, v, hf->err);
}

/* What a template puts in front and behind. */
static ls_status read_template(ls_hf *hf, const json_t *p, ls_str *bos, ls_str *eos)
{
    ls_str        type = ls_json_str(json_object_get(p, "type")), first, last;
    const json_t *single = json_object_get(p, "single");
    size_t        n = json_array_size(single);
    if (!type.p || !ls_str_is(type, "TemplateProcessing") || n < 2) return LS_OK;
    first = ls_json_str(
        json_object_get(json_object_get(json_array_get(single, 0), "SpecialToken"), "id"));
    last = ls_json_str(
        json_object_get(json_object_get(json_array_get(single, n - 1), "SpecialToken"), "id"));
    if (first.p) {
        if (!bos->p) *bos = first;
        LS_TRY(set_flag(hf, BOS, ls_str_eq(first, *bos)));
    }
    if (last.p) {
        if (!eos->p) *eos = last;
        LS_TRY(set_flag(hf, EOS, ls_str_eq(last, *eos)));
    }
    return LS_OK;
}

static ls_status read_roles(ls_hf *hf)
{
    const json_t *post = json_object_get(hf->tokenizer.root, "post_processor");
    const json_t *list = json_object_get(post, "processors");
    ls_str        text[N_ROLES];
    for (size_t i = 0; i < N_ROLES; i++) text[i] = role_text(hf, ls_hf_roles[i].name);
    LS_TRY(read_template(hf, post, &text[BOS], &text[EOS]));
    for (size_t i = 0; i < json_array_size(list); i++) {
        LS_TRY(read_template(hf, json_array_get(list, i), &text[BOS], &text[EOS]));
    }
    for (size_t i = 0; i < N_ROLES; i++) {
        char          key[32];
        int64_t       id = id_of(hf, text[i]);
        const json_t *v;
        snprintf(key, sizeof(key), "%s_token_id", ls_hf_roles[i].name);
        v = ls_hf_get(hf, key);
        if (!v) v = json_object_get(hf->generation.root, key);
        if (json_is_array(v)) v = json_array_get(v, 0);
        if (id < 0 && json_is_integer(v)) id = json_integer_value(v);
        LS_TRY(set_role(hf, i, id));
        snprintf(key, sizeof(key), "add_%s_token", ls_hf_roles[i].name);
        v = json_object_get(hf->tokenizer_config.root, key);
        if (json_is_boolean(v)) LS_TRY(set_flag(hf, i, json_is_true(v)));
    }
    return LS_OK;
}

/* ---- chat templates ---- */

static ls_status read_template_file(ls_hf *hf)
{
    char      path[4096], *text;
    size_t    len;
    ls_status status;
    int       n = snprintf(path, sizeof(path), "%schat_template.jinja", hf->folder);
    if (n < 0 || (size_t)n >= sizeof(path) || access(path, F_OK) != 0) return LS_OK;
    LS_TRY(ls_read_file(&text, &len, path, hf->err));
    status = len > MAX_TEMPLATE
                 ? LS_OK
                 : ls_meta_str(&hf->meta, "tokenizer.chat_template", (ls_str){text, len}, hf->err);
    free(text);
    return status;
}

/* A text, or a list of named ones of which "default" is the one. */
static ls_status read_chat(ls_hf *hf)
{
    const json_t *v = json_object_get(hf->tokenizer_config.root, "chat_template");
    if (json_is_string(v)) {
        return ls_meta_str(&hf->meta, "tokenizer.chat_template", ls_json_str(v), hf->err);
    }
    for (size_t i = 0; i < json_array_size(v); i++) {
        ls_str name = ls_json_str(json_object_get(json_array_get(v, i), "name"));
        ls_str text = ls_json_str(json_object_get(json_array_get(v, i), "template"));
        char   key[128];
        if (!name.p || !text.p || name.len > 64) continue;
        if (ls_str_is(name, "default")) {
            snprintf(key, sizeof(key), "tokenizer.chat_template");
        } else {
            snprintf(key, sizeof(key), "tokenizer.chat_template.%.*s", LS_FMT(name));
        }
        LS_TRY(ls_meta_str(&hf->meta, key, text, hf->err));
    }
    return json_is_array(v) ? LS_OK : read_template_file(hf);
}

/* A vocabulary is as large as the file can prove: one row of the embedding for each token. */
static ls_status check_size(ls_hf *hf)
{
    const ls_tensor *t = ls_gguf_tensor(hf->g, "token_embd.weight");
    int64_t          rows = t ? t->ne[1] : MAX_UNPROVEN;
    if (hf->n_vocab <= rows) return LS_OK;
    return ls_json_fail(&hf->config, "vocab_size", hf->err,
                        "\"vocab_size\" of config.json is %lld, the embedding has %lld rows",
                        (long long)hf->n_vocab, (long long)(t ? rows : 0));
}

ls_status ls_hf_read_vocab(ls_hf *hf)
{
    bool found;
    if (!hf->dry) LS_TRY(check_size(hf));
    LS_TRY(ls_hf_read_spm(hf, &found));
    if (!found && hf->tokenizer.root) LS_TRY(ls_hf_read_bpe(hf));
    LS_TRY(read_roles(hf));
    LS_TRY(read_chat(hf));
    if (!hf->tokenizer.root) return LS_OK;
    return ls_meta_str(&hf->meta, "tokenizer.huggingface.json",
                       (ls_str){hf->tokenizer.text, hf->tokenizer.n}, hf->err);
}
