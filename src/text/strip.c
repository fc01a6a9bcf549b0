// SPDX-License-Identifier: MIT
/* strip.c - special tokens that take the white space beside them along. Files do not say which do:
 * the reference (llama.cpp v0.5.0) goes by names, and ids have to agree. */
#include <string.h>

#include "base/mem.h"
#include "text/vocab.h"

typedef struct rule {
    const char *key;      /* whose string holds ... */
    const char *words[3]; /* ... one of these, in small letters */
    const char *token;    /* NULL: all special tokens and </s>, but for `spared` */
    uint8_t     sides;
} rule;

/* The first that applies is the only one. */
static const rule rules[] = {
    {"tokenizer.ggml.pre", {"jina-v2-de", "jina-v2-es", "jina-v2-code"}, "<mask>", LS_STRIP_LEFT},
    {"general.architecture", {"nomic-bert-moe", "jina-bert-v3"}, "<mask>", LS_STRIP_LEFT},
    {"general.name", {"phi-3", "phi3"}, NULL, LS_STRIP_RIGHT},
    {"general.name", {"modern-bert"}, "[MASK]", LS_STRIP_LEFT},
};

static const char *const spared[] = {"<unk>", "<s>", "<|endoftext|>"};

static char small(char c) { return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); }

static bool has_word(ls_str s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.len; i++) {
        size_t k = 0;
        while (k < n && small(s.p[i + k]) == word[k]) k++;
        if (k == n) return true;
    }
    return false;
}

static bool applies(const rule *r, const ls_gguf *g)
{
    ls_str s;
    if (!ls_gguf_str(g, r->key, &s)) return false;
    for (size_t i = 0; i < sizeof(r->words) / sizeof(r->words[0]) && r->words[i]; i++) {
        if (has_word(s, r->words[i])) return true;
    }
    return false;
}

static void mark(ls_tokenizer *t, const char *text, uint8_t sides)
{
    int32_t id = ls_tokenizer_find(t, text);
    if (id >= 0) t->strip[id] = sides;
}

static void mark_all(ls_tokenizer *t, uint8_t sides)
{
    for (int32_t i = 0; i < t->n_vocab; i++) {
        ls_token_type type = (ls_token_type)t->type[i];
        bool          special =
            type == LS_TOKEN_CONTROL || type == LS_TOKEN_USER_DEFINED || type == LS_TOKEN_UNKNOWN;
        if (special) t->strip[i] = sides;
    }
    mark(t, "</s>", sides);
    for (size_t i = 0; i < sizeof(spared) / sizeof(spared[0]); i++) mark(t, spared[i], 0);
}

ls_status ls_strip_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const rule *r = &rules[i];
        if (!applies(r, g)) continue;
        LS_TRY(ls_alloc(&t->strip, (size_t)t->n_vocab, 1, "the vocabulary", err));
        if (r->token) {
            mark(t, r->token, r->sides);
        } else {
            mark_all(t, r->sides);
        }
        break;
    }
    return LS_OK;
}
