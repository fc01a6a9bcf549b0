// SPDX-License-Identifier: MIT
/* ugm.c - unigram vocabularies: the pieces whose probabilities multiply to the most (Kudo 2018,
 * arXiv:1804.10959), found from left to right. The text is normalized before, by the map that the
 * vocabulary brings along.
 */
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"
#include "text/vocab.h"

static const char space[] = "\xe2\x96\x81";

#define UNKNOWN_PENALTY 10.0f /* an unknown character is that much below the worst token */

static ls_status read_charsmap(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    static const char key[] = "tokenizer.ggml.precompiled_charsmap";
    const ls_gguf_kv *kv = ls_gguf_array(g, key, LS_GGUF_I8);
    const char       *why;
    if (!kv) kv = ls_gguf_array(g, key, LS_GGUF_U8);
    if (!kv && !ls_gguf_find(g, key)) return LS_OK;
    why = kv ? ls_charsmap_init(&t->charsmap, (ls_str){kv->data, (size_t)kv->n})
             : "is no list of bytes";
    return why ? ls_vocab_bad_key(g, key, why, err) : LS_OK;
}

ls_status ls_ugm_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    float least = FLT_MAX;
    LS_TRY(read_charsmap(t, g, err));
    LS_TRY(ls_trie_init(&t->trie, err));
    LS_TRY(ls_trie_init(&t->user_trie, err));
    for (int32_t i = 0; i < t->n_vocab; i++) {
        bool user = t->type[i] == LS_TOKEN_USER_DEFINED, normal = t->type[i] == LS_TOKEN_NORMAL;
        if (normal && t->score[i] < least) least = t->score[i];
        if (normal || user || t->type[i] == LS_TOKEN_UNUSED) {
            LS_TRY(ls_trie_put(&t->trie, t->text[i], i, err));
        }
        if (user) LS_TRY(ls_trie_put(&t->user_trie, t->text[i], i, err));
    }
    t->unk_score = least - UNKNOWN_PENALTY;
    return LS_OK;
}

/* ---- normalizing ---- */

typedef struct text {
    char  *p;
    size_t n, cap;
} text;

static ls_status append(text *out, const char *p, size_t n, ls_error *err)
{
    LS_TRY(ls_grow(&out->p, &out->cap, out->n + n, 1, "a tokenizer", err));
    memcpy(out->p + out->n, p, n);
    out->n += n;
    return LS_OK;
}

/* What is written for the start of s, and how much of it that stands for. */
static ls_status replace(const ls_tokenizer *t, ls_str s, size_t *used, ls_str *by, ls_error *err)
{
    int32_t  node = 0, value;
    uint32_t c;
    size_t   n = 0;
    while (n < s.len && ls_trie_step(&t->user_trie, &node, s.p[n], &value)) n++;
    *used = n; /* as the reference: even the start of a user-defined token stays */
    *by = (ls_str){s.p, n};
    if (n) return LS_OK;
    LS_TRY(ls_charsmap_find(&t->charsmap, s, false, used, by, err));
    if (*used) return LS_OK;
    n = ls_utf8_decode(s.p, s.len, &c);
    *used = n ? n : 1;
    *by = n ? (ls_str){s.p, n} : LS_STR("\xef\xbf\xbd");
    return LS_OK;
}

static ls_status normalize(const ls_tokenizer *t, ls_str s, text *out, ls_error *err)
{
    ls_str mark = LS_STR(space), by;
    bool   prepended = false, in_word = false;
    for (size_t i = 0, used; i < s.len; i += used) {
        LS_TRY(replace(t, (ls_str){s.p + i, s.len - i}, &used, &by, err));
        for (size_t k = 0; k < by.len; k++) {
            bool is_space = by.p[k] == ' ';
            bool begins = !is_space && !in_word;
            if (begins && ((t->add_space_prefix && !prepended) || t->merge_spaces)) {
                LS_TRY(append(out, mark.p, mark.len, err));
                prepended = true;
            }
            in_word = !is_space;
            if (!is_space) LS_TRY(append(out, by.p + k, 1, err));
            if (is_space && !t->merge_spaces) LS_TRY(append(out, mark.p, mark.len, err));
        }
    }
    return LS_OK;
}

/* ---- the best way ---- */

typedef struct arrival { /* the best way to a place in the text */
    double  score;
    int32_t id;
    int32_t from;
} arrival;

/* The score of a token of `len` bytes: user-defined ones are always to be taken. */
static double score_of(const ls_tokenizer *t, int32_t id, size_t len)
{
    bool user = t->type[id] == LS_TOKEN_USER_DEFINED;
    if (user && t->sp) return (double)len * (double)t->max_score - 0.1;
    return user && !t->tj ? 0.0 : (double)t->score[id];
}

/* SentencePiece adds up in floats, everybody else in doubles. */
static double add(const ls_tokenizer *t, double a, double b)
{
    return t->sp ? (double)((float)a + (float)b) : a + b;
}

static void improve(arrival *a, double score, int32_t id, size_t from)
{
    if (score > a->score) *a = (arrival){score, id, (int32_t)from};
}

/* From place `at`: every token that the text goes on with, and the unknown one where no token is
 * just the next character. */
static void go_on(const ls_tokenizer *t, ls_str s, size_t at, size_t char_len, arrival *ways)
{
    double  base = ways[at].score;
    bool    known = false;
    int32_t node = 0, id;
    for (size_t i = at; i < s.len && ls_trie_step(&t->trie, &node, s.p[i], &id); i++) {
        if (id < 0) continue;
        if (i + 1 - at == char_len) known = true;
        improve(&ways[i + 1], add(t, base, score_of(t, id, i + 1 - at)), id, at);
    }
    if (!known) {
        improve(&ways[at + char_len], add(t, base, (double)t->unk_score), t->unk, at);
    }
}

/* The unknown text from `from` to `to`: bytes, if a tokenizer.json says so, or the unknown token.
 */
static ls_status push_unknown(const ls_tokenizer *t, ls_str s, size_t from, size_t to, ls_ids *out,
                              ls_error *err)
{
    bool bytes = t->byte_fallback;
    for (size_t i = from; i < to && bytes; i++) bytes = t->byte_id[(uint8_t)s.p[i]] >= 0;
    for (size_t i = from; i < to && bytes; i++) {
        LS_TRY(ls_ids_push(out, t->byte_id[(uint8_t)s.p[i]], err));
    }
    return bytes || t->unk < 0 ? LS_OK : ls_ids_push(out, t->unk, err);
}

/* Ids along the best way; unknown ones in a row are one. The links are turned around first. */
static ls_status collect(const ls_tokenizer *t, ls_str s, arrival *ways, ls_ids *out, ls_error *err)
{
    size_t next = 0, unknown_from = 0;
    bool   unknown = false;
    for (size_t at = s.len; at > 0;) {
        size_t from = (size_t)ways[at].from;
        ways[at].from = (int32_t)next;
        next = at;
        at = from;
    }
    for (size_t start = 0, at = next; at; start = at, at = (size_t)ways[at].from) {
        if (ways[at].id == t->unk) {
            if (!unknown) unknown_from = start;
            unknown = true;
            continue;
        }
        if (unknown) LS_TRY(push_unknown(t, s, unknown_from, start, out, err));
        unknown = false;
        LS_TRY(ls_ids_push(out, ways[at].id, err));
    }
    return unknown ? push_unknown(t, s, unknown_from, s.len, out, err) : LS_OK;
}

ls_status ls_ugm_best(const ls_tokenizer *t, ls_str s, ls_ids *out, ls_error *err)
{
    arrival  *ways;
    ls_status status;
    LS_TRY(ls_alloc(&ways, s.len + 1, sizeof(*ways), "a tokenizer", err));
    for (size_t i = 1; i <= s.len; i++) ways[i] = (arrival){-DBL_MAX, t->unk, 0};
    for (size_t at = 0, len; at < s.len; at += len) {
        len = ls_utf8_len(s.p[at]);
        if (len > s.len - at) len = s.len - at;
        go_on(t, s, at, len, ways);
    }
    status = collect(t, s, ways, out, err);
    free(ways);
    return status;
}

ls_status ls_ugm_encode(const ls_tokenizer *t, ls_str s, ls_ids *out, ls_error *err)
{
    text      normal = {0};
    ls_status status = normalize(t, s, &normal, err);
    if (status == LS_OK) status = ls_ugm_best(t, (ls_str){normal.p, normal.n}, out, err);
    free(normal.p);
    return status;
}
