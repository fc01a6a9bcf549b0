// SPDX-License-Identifier: MIT
/* load.c - a vocabulary from the tokenizer.ggml.* metadata of a GGUF file: texts, scores, types,
 * special ids, and the tokens that files mark wrongly but everybody knows by their text.
 *
 * The lists of known texts are facts about published vocabularies; the reference (llama.cpp
 * v0.5.0) goes by the same ones, and ids have to agree.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/vocab.h"

#define KEY     "tokenizer.ggml."
#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* A part that a token plays: named by an id in the metadata or else known by its text. A token
 * known by its text is a control token whatever the file calls it. */
typedef struct role {
    const char *key, *old_key;
    bool        ends; /* generation ends at it */
    const char *texts[12];
} role;

enum { ROLE_EOT = 0 };

static const role roles[] = {
    {KEY "eot_token_id",
     NULL,
     true,
     {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>",
      "<EOT>", "_<EOT>", "[EOT]", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<end_of_utterance>"}},
    {KEY "eom_token_id", NULL, true, {"<|eom_id|>"}},
    {KEY "fim_pre_token_id",
     KEY "prefix_token_id",
     false,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<\uff5cfim\u2581begin\uff5c>", "<PRE>",
      "\u2581<PRE>", "<|code_prefix|>", "<|prefix|>"}},
    {KEY "fim_suf_token_id",
     KEY "suffix_token_id",
     false,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<\uff5cfim\u2581hole\uff5c>", "<SUF>",
      "\u2581<SUF>", "<|code_suffix|>", "<|suffix|>"}},
    {KEY "fim_mid_token_id",
     KEY "middle_token_id",
     false,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<\uff5cfim\u2581end\uff5c>", "<MID>",
      "\u2581<MID>", "<|code_middle|>", "<|middle|>"}},
    {KEY "fim_pad_token_id",
     NULL,
     true,
     {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {KEY "fim_rep_token_id",
     NULL,
     true,
     {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {KEY "fim_sep_token_id", NULL, true, {"<|file_sep|>"}},
};

/* Control tokens at which generation ends in every vocabulary that has them. */
static const char *const end_texts[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "[e~[",
};

/* Channel marks of harmony vocabularies: part of the text that is shown. */
static const char *const shown_texts[] = {"<|channel|>", "<|message|>", "<|start|>",
                                          "<|constrain|>"};

/* A token that ends generation elsewhere, but not beside these others (NULL: ignored). */
static const struct {
    const char *text, *beside[2];
    uint8_t     type; /* what it is then */
} not_ends[] = {
    {"<|end|>", {"<|return|>", "<|call|>"}, LS_TOKEN_USER_DEFINED},
    {"<|end|>", {"<|return|>", "<|calls|>"}, LS_TOKEN_USER_DEFINED},
    {"<|end|>", {"<|flush|>", "<|call|>"}, LS_TOKEN_USER_DEFINED},
    {"<|end|>", {"<|flush|>", "<|calls|>"}, LS_TOKEN_USER_DEFINED},
    {"</s>", {"<|tool_response>", NULL}, LS_TOKEN_NORMAL},
};

ls_status ls_vocab_bad_key(const ls_gguf *g, const char *key, const char *why, ls_error *err)
{
    const ls_gguf_kv *kv = ls_gguf_find(g, key);
    ls_fail(err, LS_ERR_FORMAT, "metadata key '%s' %s", key, kv ? why : "is missing");
    if (kv) {
        ls_gguf_fail_at(g, kv->key.p, err);
    } else {
        ls_fail_at(err, "%s", ls_gguf_path(g));
    }
    return LS_ERR_FORMAT;
}

/* ---- lists ---- */

/* A token without a text gets one, so that no two tokens have the same. */
static ls_status name_empty_tokens(ls_tokenizer *t, ls_error *err)
{
    const size_t size = sizeof("[EMPTY_2147483647]");
    size_t       n = 0;
    for (int32_t i = 0; i < t->n_vocab; i++) n += t->text[i].len == 0;
    LS_TRY(ls_alloc(&t->names, n, size, "the vocabulary", err));
    n = 0;
    for (int32_t i = 0; i < t->n_vocab; i++) {
        char *name = t->names + n * size;
        if (t->text[i].len) continue;
        t->text[i] = (ls_str){name, (size_t)snprintf(name, size, "[EMPTY_%d]", (int)i)};
        n++;
    }
    return LS_OK;
}

static ls_status read_texts(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    static const char key[] = KEY "tokens";
    const ls_gguf_kv *kv = ls_gguf_array(g, key, LS_GGUF_STR);
    const void       *cursor;
    if (!kv || kv->n == 0 || kv->n > INT32_MAX) {
        return ls_vocab_bad_key(g, key, "is no list of strings", err);
    }
    t->n_vocab = (int32_t)kv->n;
    LS_TRY(ls_alloc(&t->text, (size_t)kv->n, sizeof(*t->text), "the vocabulary", err));
    LS_TRY(ls_alloc(&t->type, (size_t)kv->n, 1, "the vocabulary", err));
    LS_TRY(ls_alloc(&t->is_end, (size_t)kv->n, 1, "the vocabulary", err));
    LS_TRY(ls_alloc(&t->score, (size_t)kv->n, sizeof(float), "the vocabulary", err));
    LS_TRY(ls_str_map_init(&t->ids, (size_t)kv->n, err));
    cursor = kv->data;
    for (int32_t i = 0; i < t->n_vocab; i++) t->text[i] = ls_gguf_next_str(&cursor);
    LS_TRY(name_empty_tokens(t, err));
    for (int32_t i = 0; i < t->n_vocab; i++) {
        if (t->text[i].len > t->max_len) t->max_len = t->text[i].len;
        if (!ls_str_map_put(&t->ids, t->text[i], i)) {
            return ls_vocab_bad_key(g, key, "has two tokens of the same text", err);
        }
    }
    return LS_OK;
}

/* List `key` of one number per token; *kv is NULL where there is none. */
static ls_status find_list(const ls_tokenizer *t, const ls_gguf *g, const char *key,
                           ls_gguf_type type, const ls_gguf_kv **kv, ls_error *err)
{
    *kv = ls_gguf_array(g, key, type);
    if (!*kv && type == LS_GGUF_F32) *kv = ls_gguf_array(g, key, LS_GGUF_I32);
    if (!*kv && ls_gguf_find(g, key)) return ls_vocab_bad_key(g, key, "is no list of numbers", err);
    if (*kv && (*kv)->n != (uint64_t)t->n_vocab) {
        return ls_vocab_bad_key(g, key, "does not have one entry per token", err);
    }
    return LS_OK;
}

static ls_status read_scores(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    static const char key[] = KEY "scores";
    const ls_gguf_kv *kv;
    LS_TRY(find_list(t, g, key, LS_GGUF_F32, &kv, err));
    if (!kv) return t->model->kind == LS_VOCAB_SPM ? ls_vocab_bad_key(g, key, "", err) : LS_OK;
    for (int32_t i = 0; i < t->n_vocab; i++) {
        t->score[i] = (float)ls_gguf_num_at(kv, (size_t)i);
        if (t->score[i] != t->score[i]) return ls_vocab_bad_key(g, key, "has a NaN", err);
    }
    return LS_OK;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int ls_vocab_byte_of(ls_str s)
{
    if (s.len != 6 || memcmp(s.p, "<0x", 3) || s.p[5] != '>') return -1;
    return hex(s.p[3]) < 0 || hex(s.p[4]) < 0 ? -1 : hex(s.p[3]) << 4 | hex(s.p[4]);
}

void ls_vocab_find_bytes(ls_tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        char name[8];
        snprintf(name, sizeof(name), "<0x%02X>", (unsigned)b);
        t->byte_id[b] = ls_tokenizer_find(t, name);
    }
}

static ls_status read_types(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    static const char key[] = KEY "token_type";
    const ls_gguf_kv *kv;
    LS_TRY(find_list(t, g, key, LS_GGUF_I32, &kv, err));
    for (int32_t i = 0; i < t->n_vocab; i++) {
        double v = kv ? ls_gguf_num_at(kv, (size_t)i) : LS_TOKEN_NORMAL;
        t->type[i] = v >= 0 && v <= LS_TOKEN_BYTE ? (uint8_t)v : LS_TOKEN_UNDEFINED;
        if (t->type[i] == LS_TOKEN_BYTE && ls_vocab_byte_of(t->text[i]) < 0) {
            return ls_vocab_bad_key(g, key, "has a byte token whose text is not like <0x0A>", err);
        }
    }
    return LS_OK;
}

/* ---- special tokens ---- */

/* An id of the metadata, if it is there. All ones mean that there is none. */
static ls_status read_id(const ls_tokenizer *t, const ls_gguf *g, const char *key, int32_t *id,
                         ls_error *err)
{
    int64_t v;
    if (!key || !ls_gguf_find(g, key)) return LS_OK;
    if (!ls_gguf_int(g, key, &v)) return ls_vocab_bad_key(g, key, "is no token id", err);
    if (v == UINT32_MAX || v == -1) {
        *id = -1;
        return LS_OK;
    }
    if (v < 0 || v >= t->n_vocab) {
        return ls_vocab_bad_key(g, key, "names a token past the vocabulary", err);
    }
    *id = (int32_t)v;
    return LS_OK;
}

static ls_status read_flag(const ls_gguf *g, const char *key, bool *flag, ls_error *err)
{
    if (ls_gguf_bool(g, key, flag) || !ls_gguf_find(g, key)) return LS_OK;
    return ls_vocab_bad_key(g, key, "is neither true nor false", err);
}

static ls_status read_role(ls_tokenizer *t, const ls_gguf *g, const role *r, int32_t *id,
                           ls_error *err)
{
    *id = -1;
    LS_TRY(read_id(t, g, r->key, id, err));
    LS_TRY(read_id(t, g, r->old_key, id, err));
    for (size_t i = 0; i < N_OF(r->texts) && r->texts[i] && *id < 0; i++) {
        *id = ls_tokenizer_find(t, r->texts[i]);
        if (*id >= 0) t->type[*id] = LS_TOKEN_CONTROL;
    }
    if (*id >= 0 && r->ends) t->is_end[*id] = 1;
    return LS_OK;
}

static bool ends(const ls_tokenizer *t, const char *text)
{
    int32_t id = ls_tokenizer_find(t, text);
    return id >= 0 && t->is_end[id];
}

static void mark_known_texts(ls_tokenizer *t)
{
    int32_t id;
    for (size_t i = 0; i < N_OF(end_texts); i++) {
        if ((id = ls_tokenizer_find(t, end_texts[i])) < 0) continue;
        t->is_end[id] = 1;
        t->type[id] = LS_TOKEN_CONTROL;
    }
    for (size_t i = 0; i < N_OF(shown_texts); i++) {
        if ((id = ls_tokenizer_find(t, shown_texts[i])) >= 0) t->type[id] = LS_TOKEN_USER_DEFINED;
    }
    if (t->eos >= 0) t->is_end[t->eos] = 1;
    for (size_t i = 0; i < N_OF(not_ends); i++) {
        const char *const *beside = not_ends[i].beside;
        if (!ends(t, beside[0]) || (beside[1] && !ends(t, beside[1]))) continue;
        if ((id = ls_tokenizer_find(t, not_ends[i].text)) < 0) continue;
        t->is_end[id] = 0;
        t->type[id] = not_ends[i].type;
    }
}

void ls_vocab_mark_ends(ls_tokenizer *t)
{
    t->eot = -1;
    for (size_t i = 0; i < N_OF(roles[ROLE_EOT].texts) && t->eot < 0; i++) {
        if (roles[ROLE_EOT].texts[i]) t->eot = ls_tokenizer_find(t, roles[ROLE_EOT].texts[i]);
    }
    for (size_t i = 0; i < N_OF(end_texts); i++) {
        int32_t id = ls_tokenizer_find(t, end_texts[i]);
        if (id >= 0) t->is_end[id] = 1;
    }
    if (t->eos >= 0) t->is_end[t->eos] = 1;
    if (t->eot >= 0) t->is_end[t->eot] = 1;
}

ls_status ls_vocab_named_ids(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    LS_TRY(read_id(t, g, KEY "bos_token_id", &t->bos, err));
    return read_id(t, g, KEY "eos_token_id", &t->eos, err);
}

static ls_status read_special_ids(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    t->bos = t->traits & LS_PRETOK_NO_BOS_ID ? -1 : t->model->bos;
    t->eos = t->model->eos;
    t->unk = t->model->unk;
    t->sep = t->model->sep;
    if (t->bos >= t->n_vocab) t->bos = -1;
    if (t->eos >= t->n_vocab) t->eos = -1;
    if (t->unk >= t->n_vocab) t->unk = -1;
    if (t->sep >= t->n_vocab) t->sep = -1;
    LS_TRY(ls_vocab_named_ids(t, g, err));
    LS_TRY(read_id(t, g, KEY "unknown_token_id", &t->unk, err));
    LS_TRY(read_id(t, g, KEY "seperator_token_id", &t->sep, err)); /* spelled so */
    for (size_t i = 0; i < N_OF(roles); i++) {
        int32_t id;
        LS_TRY(read_role(t, g, &roles[i], &id, err));
        if (i == ROLE_EOT) t->eot = id;
    }
    mark_known_texts(t);
    return LS_OK;
}

ls_status ls_vocab_load(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    LS_TRY(read_texts(t, g, err));
    LS_TRY(read_scores(t, g, err));
    LS_TRY(read_types(t, g, err));
    LS_TRY(read_special_ids(t, g, err));
    LS_TRY(read_flag(g, KEY "add_bos_token", &t->add_bos, err));
    LS_TRY(read_flag(g, KEY "add_eos_token", &t->add_eos, err));
    LS_TRY(read_flag(g, KEY "add_space_prefix", &t->add_space_prefix, err));
    LS_TRY(read_flag(g, KEY "remove_extra_whitespaces", &t->merge_spaces, err));
    t->lower_case = strcmp(t->pre, "whitespace") != 0;
    LS_TRY(read_flag(g, KEY "normalizer.lowercase", &t->lower_case, err));
    t->strip_accents = t->lower_case;
    return read_flag(g, KEY "normalizer.strip_accents", &t->strip_accents, err);
}
