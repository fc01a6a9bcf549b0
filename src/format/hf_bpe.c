// SPDX-License-Identifier: MIT
/* hf_bpe.c - the vocabulary of tokenizer.json to tokenizer.ggml.*.
 *
 * BPE over bytes is GGUF's "gpt2" with its merges. BPE that falls back to byte tokens is what
 * SentencePiece trains: GGUF's "llama", whose merges are the order of scores. Other models are
 * left to those who read tokenizer.huggingface.json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "format/hf_vocab.h"

enum { MAX_GAP = 1 << 16 }; /* ids without a token, where config.json has no count */

static ls_status bad(ls_hf *hf, const char *key, const char *what)
{
    return ls_json_fail(&hf->tokenizer, key, hf->err, "\"%s\" of tokenizer.json %s", key, what);
}

/* One past the highest id of the model and of what is added to it. */
static ls_status count_tokens(ls_hf *hf, const json_t *vocab, size_t *n)
{
    const json_t *added = json_object_get(hf->tokenizer.root, "added_tokens");
    const char   *text;
    json_t       *id;
    size_t        limit = json_object_size(vocab) + json_array_size(added) + MAX_GAP;
    *n = (size_t)hf->n_vocab;
    json_object_foreach((json_t *)(uintptr_t)vocab, text, id)
    {
        json_int_t v = json_integer_value(id);
        if (!json_is_integer(id) || v < 0 || (uint64_t)v >= limit + (size_t)hf->n_vocab) {
            return ls_json_fail(&hf->tokenizer, text, hf->err, "token '%s' has no valid id", text);
        }
        if ((size_t)v >= *n && hf->n_vocab) {
            return ls_json_fail(&hf->tokenizer, text, hf->err,
                                "token '%s' has id %lld, config.json has a vocabulary of %lld",
                                text, (long long)v, (long long)hf->n_vocab);
        }
        if ((size_t)v >= *n) *n = (size_t)v + 1;
    }
    for (size_t i = 0; i < json_array_size(added) && !hf->n_vocab; i++) {
        json_int_t v = json_integer_value(json_object_get(json_array_get(added, i), "id"));
        if (v >= 0 && (uint64_t)v < limit && (size_t)v >= *n) *n = (size_t)v + 1;
    }
    return LS_OK;
}

static bool is_byte_token(ls_str s)
{
    return s.len == 6 && memcmp(s.p, "<0x", 3) == 0 && s.p[5] == '>' &&
           strspn(s.p + 3, "0123456789ABCDEFabcdef") >= 2;
}

static ls_status read_texts(ls_hf *hf, ls_hf_vocab *v, const json_t *model)
{
    const json_t *vocab = json_object_get(model, "vocab");
    bool          fallback = json_is_true(json_object_get(model, "byte_fallback"));
    ls_str        unk = ls_json_str(json_object_get(model, "unk_token"));
    const char   *text;
    json_t       *id;
    json_object_foreach((json_t *)(uintptr_t)vocab, text, id)
    {
        size_t i = (size_t)json_integer_value(id);
        size_t n = json_object_iter_key_len(json_object_key_to_iter(text));
        if (v->type[i] != LS_HF_UNUSED) {
            return ls_json_fail(&hf->tokenizer, text, hf->err, "token '%s' has the id of another",
                                text);
        }
        LS_TRY(ls_arena_str(&hf->g->mem, &v->text[i], text, n, hf->err));
        v->type[i] = fallback && is_byte_token(v->text[i])             ? LS_HF_BYTE
                     : fallback && unk.p && ls_str_eq(unk, v->text[i]) ? LS_HF_UNKNOWN
                                                                       : LS_HF_NORMAL;
        if (v->score) v->score[i] = 0;
    }
    return LS_OK;
}

/* One half of a merge, with spaces as the byte level writes them: the list has them between. */
static void put_half(char *out, size_t *n, ls_str half)
{
    for (size_t i = 0; i < half.len; i++) {
        if (half.p[i] == ' ') {
            memcpy(out + *n, "\xc4\xa0", 2);
            *n += 2;
        } else {
            out[(*n)++] = half.p[i];
        }
    }
}

static ls_status read_merge(ls_hf *hf, const json_t *m, ls_str *left, ls_str *right)
{
    ls_str      s = ls_json_str(m);
    const char *space;
    if (json_is_array(m) && json_array_size(m) == 2) {
        *left = ls_json_str(json_array_get(m, 0));
        *right = ls_json_str(json_array_get(m, 1));
        if (left->p && right->p) return LS_OK;
    }
    space = s.p ? memchr(s.p, ' ', s.len) : NULL;
    if (!space) return bad(hf, "merges", "hold something that is no pair of texts");
    *left = (ls_str){s.p, (size_t)(space - s.p)};
    *right = (ls_str){space + 1, s.len - left->len - 1};
    return LS_OK;
}

static ls_status write_merges(ls_hf *hf, const json_t *merges)
{
    size_t    n = json_array_size(merges);
    ls_str   *list;
    ls_status status = LS_OK;
    LS_TRY(ls_alloc(&list, n, sizeof(*list), "the merges", hf->err));
    for (size_t i = 0; i < n && status == LS_OK; i++) {
        ls_str left, right;
        char  *p;
        size_t len = 0;
        status = read_merge(hf, json_array_get(merges, i), &left, &right);
        if (status != LS_OK) break;
        status = ls_arena_alloc(&hf->g->mem, &p, 2 * (left.len + right.len) + 1, 1, "the merges",
                                hf->err);
        if (status != LS_OK) break;
        put_half(p, &len, left);
        p[len++] = ' ';
        put_half(p, &len, right);
        list[i] = (ls_str){p, len};
    }
    if (status == LS_OK) {
        status = ls_meta_strs(&hf->meta, "tokenizer.ggml.merges", list, n, hf->err);
    }
    free(list);
    return status;
}

/* The order of merges as scores: what is merged first has the higher one. */
static ls_status merges_to_scores(ls_hf *hf, ls_hf_vocab *v, const json_t *model)
{
    const json_t *merges = json_object_get(model, "merges"),
                 *vocab = json_object_get(model, "vocab");
    for (size_t i = 0; i < json_array_size(merges); i++) {
        char          text[512];
        ls_str        left, right;
        const json_t *id;
        size_t        at;
        LS_TRY(read_merge(hf, json_array_get(merges, i), &left, &right));
        if (left.len + right.len > sizeof(text)) continue;
        memcpy(text, left.p, left.len);
        memcpy(text + left.len, right.p, right.len);
        id = json_object_getn(vocab, text, left.len + right.len);
        at = (size_t)json_integer_value(id);
        if (json_is_integer(id) && v->score[at] == 0) v->score[at] = -1 - (float)i;
    }
    return LS_OK;
}

ls_status ls_hf_read_bpe(ls_hf *hf)
{
    const json_t *model = json_object_get(hf->tokenizer.root, "model");
    const json_t *vocab = json_object_get(model, "vocab"),
                 *merges = json_object_get(model, "merges");
    ls_str      type = ls_json_str(json_object_get(model, "type"));
    bool        fallback = json_is_true(json_object_get(model, "byte_fallback"));
    ls_hf_vocab v;
    size_t      n;
    if (!json_is_object(model)) return bad(hf, "model", "is missing or no object");
    /* Old files do not name the type; they all are BPE with merges. */
    if (type.p ? !ls_str_is(type, "BPE") : !merges) return LS_OK;
    if (!json_is_object(vocab)) return bad(hf, "vocab", "is missing or no object");
    if (!json_is_array(merges)) return bad(hf, "merges", "is missing or no list");
    LS_TRY(count_tokens(hf, vocab, &n));
    LS_TRY(ls_hf_vocab_init(hf, &v, n, fallback));
    LS_TRY(read_texts(hf, &v, model));
    if (fallback) LS_TRY(merges_to_scores(hf, &v, model));
    LS_TRY(ls_hf_add_tokens(hf, &v));
    if (fallback) return ls_hf_vocab_write(hf, &v, "llama", LS_STR("default"));
    LS_TRY(ls_hf_vocab_write(hf, &v, "gpt2", ls_hf_pretok_name(hf)));
    return write_merges(hf, merges);
}
