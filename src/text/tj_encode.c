// SPDX-License-Identifier: MIT
/* tj_encode.c - text to ids as a tokenizer.json says: added tokens are cut out, the rest is
 * normalized, cut into words, and each word becomes pieces by the model. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bpe.h"
#include "text/tj.h"
#include "text/unicode.h"

typedef struct encoder {
    const ls_tokenizer *t;
    ls_merger           m;
    char               *word; /* scratch */
    size_t              cap;
    ls_ids             *out;
} encoder;

/* ---- models ---- */

/* Bytes of s as byte tokens. False: one of them is not in the vocabulary. */
static bool has_bytes(const ls_tokenizer *t, ls_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (t->byte_id[(uint8_t)s.p[i]] < 0) return false;
    }
    return true;
}

/* Text of a character as the vocabulary has it: with a prefix inside a word, a suffix at its end.
 */
static ls_status decorated(encoder *e, ls_str s, bool first, bool last, ls_str *out, ls_error *err)
{
    const ls_tj *tj = e->t->tj;
    size_t       n = 0;
    *out = s;
    if (!(tj->prefix.len && !first) && !(tj->suffix.len && last)) return LS_OK;
    LS_TRY(
        ls_grow(&e->word, &e->cap, tj->prefix.len + s.len + tj->suffix.len, 1, "a tokenizer", err));
    if (tj->prefix.len && !first) {
        memcpy(e->word, tj->prefix.p, tj->prefix.len);
        n = tj->prefix.len;
    }
    memcpy(e->word + n, s.p, s.len);
    n += s.len;
    if (tj->suffix.len && last) {
        memcpy(e->word + n, tj->suffix.p, tj->suffix.len);
        n += tj->suffix.len;
    }
    *out = (ls_str){e->word, n};
    return LS_OK;
}

/* What is no token becomes its bytes, the unknown token (one for several in a row, if the file says
 * so), or nothing. */
static ls_status add_unknown(encoder *e, ls_str s, bool *was_unknown, ls_error *err)
{
    const ls_tokenizer *t = e->t;
    if (t->tj->byte_fallback && has_bytes(t, s)) {
        for (size_t i = 0; i < s.len; i++) {
            LS_TRY(ls_merger_add(&e->m, (ls_str){s.p + i, 1}, t->byte_id[(uint8_t)s.p[i]], err));
        }
        *was_unknown = false;
        return LS_OK;
    }
    if (t->unk < 0 || (*was_unknown && t->tj->fuse_unk)) return LS_OK;
    *was_unknown = true;
    return ls_merger_add(&e->m, s, t->unk, err);
}

static ls_status encode_bpe(encoder *e, ls_str word, ls_error *err)
{
    const ls_tokenizer *t = e->t;
    bool                was_unknown = false;
    int32_t             id;
    if (t->tj->ignore_merges && (id = ls_str_map_get(&t->tj->model_ids, word)) >= 0) {
        return ls_ids_push(e->out, id, err);
    }
    e->m.n_symbols = 0;
    for (size_t at = 0, n; at < word.len; at += n) {
        ls_str text;
        n = ls_utf8_len(word.p[at]);
        if (n > word.len - at) n = word.len - at;
        LS_TRY(decorated(e, (ls_str){word.p + at, n}, at == 0, at + n == word.len, &text, err));
        id = ls_str_map_get(&t->tj->model_ids, text);
        if (id >= 0) {
            LS_TRY(ls_merger_add(&e->m, (ls_str){word.p + at, n}, id, err));
            was_unknown = false;
        } else {
            LS_TRY(add_unknown(e, (ls_str){word.p + at, n}, &was_unknown, err));
        }
    }
    LS_TRY(ls_merger_run(&e->m, t, ls_bpe_pair, err));
    for (int32_t i = e->m.n_symbols ? 0 : -1; i >= 0; i = e->m.symbols[i].next) {
        LS_TRY(ls_ids_push(e->out, e->m.symbols[i].sym, err));
    }
    return LS_OK;
}

static size_t n_chars(ls_str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* The longest piece of s, which stands inside a word if `inside`; its length and id. */
static ls_status longest_piece(encoder *e, ls_str s, bool inside, size_t *len, int32_t *id,
                               ls_error *err)
{
    const ls_tj *tj = e->t->tj;
    ls_str       text;
    size_t       prefix = inside ? tj->prefix.len : 0;
    if (s.len > e->t->max_len) s.len = e->t->max_len; /* may cut a character, which cuts below */
    text = s;
    if (prefix) {
        LS_TRY(ls_grow(&e->word, &e->cap, prefix + s.len, 1, "a tokenizer", err));
        memcpy(e->word, tj->prefix.p, prefix);
        memcpy(e->word + prefix, s.p, s.len);
        text.p = e->word;
    }
    *id = -1;
    for (*len = s.len; *len; --*len) {
        if (*len < s.len && ((uint8_t)s.p[*len] & 0xc0) == 0x80) continue;
        *id = ls_str_map_get(&tj->model_ids, (ls_str){text.p, prefix + *len});
        if (*id >= 0) break;
    }
    return LS_OK;
}

static ls_status encode_wordpiece(encoder *e, ls_str word, ls_error *err)
{
    const ls_tokenizer *t = e->t;
    size_t              before = e->out->n;
    bool                known = n_chars(word) <= t->tj->max_chars;
    for (size_t at = 0, len; at < word.len && known; at += len) {
        int32_t id;
        ls_str  rest = {word.p + at, word.len - at};
        LS_TRY(longest_piece(e, rest, at > 0, &len, &id, err));
        known = id >= 0;
        if (known) LS_TRY(ls_ids_push(e->out, id, err));
    }
    if (known) return LS_OK;
    e->out->n = before;
    return t->unk >= 0 ? ls_ids_push(e->out, t->unk, err) : LS_OK;
}

static ls_status encode_word_as_model(encoder *e, ls_str word, ls_error *err)
{
    const ls_tokenizer *t = e->t;
    int32_t             id;
    switch (t->tj->model) {
    case LS_TJ_BPE:
        return encode_bpe(e, word, err);
    case LS_TJ_UNIGRAM:
        return ls_ugm_best(t, word, e->out, err);
    case LS_TJ_WORDPIECE:
        return encode_wordpiece(e, word, err);
    case LS_TJ_WORDLEVEL:
        id = ls_str_map_get(&t->tj->model_ids, word);
        if (id < 0) id = t->unk;
        return id >= 0 ? ls_ids_push(e->out, id, err) : LS_OK;
    }
    return LS_OK;
}

static ls_status encode_words(encoder *e, ls_str text, bool at_start, ls_error *err)
{
    ls_word_cache cache = {0}; /* of these words, which go in the end */
    ls_pieces     words;
    ls_status     status = ls_tj_pretokenize(e->t->tj, text, at_start, &words, err);
    if (status == LS_OK) status = ls_word_cache_init(&cache, text.len, err);
    for (size_t i = 0; i < words.n && status == LS_OK; i++) {
        ls_str        word = {words.text + words.at[i].at, words.at[i].len};
        ls_word_slot *slot = ls_word_cache_slot(&cache, word);
        size_t        at = e->out->n;
        if (slot->word.p && ls_str_eq(slot->word, word)) {
            for (size_t k = 0; k < slot->n && status == LS_OK; k++) {
                status = ls_ids_push(e->out, e->out->at[slot->at + k], err);
            }
            continue;
        }
        status = encode_word_as_model(e, word, err);
        *slot = (ls_word_slot){word, at, e->out->n - at};
    }
    ls_pieces_fini(&words);
    ls_word_cache_fini(&cache);
    return status;
}

/* ---- added tokens ---- */

static uint32_t char_at(ls_str s, size_t at)
{
    uint32_t c = 0;
    ls_utf8_decode(s.p + at, s.len - at, &c);
    return c;
}

static size_t char_before(ls_str s, size_t at)
{
    do at--;
    while (at && ((uint8_t)s.p[at] & 0xc0) == 0x80);
    return at;
}

static bool is_word_char(uint32_t c)
{
    uint8_t kind = ls_unicode_category(c);
    return kind == LS_KIND_LETTER || kind == LS_KIND_NUMBER || kind == LS_KIND_MARK || c == '_';
}

/* A match of an added token, and the place of it with the spaces that go along. */
static bool fits(const ls_tokenizer *t, int32_t id, ls_str s, size_t from, size_t *start,
                 size_t *end, bool parse_special)
{
    uint8_t flags = t->tj->added[id];
    if ((flags & LS_ADDED_SPECIAL) && !parse_special) return false;
    if (flags & LS_ADDED_WORD) {
        if (*start > 0 && is_word_char(char_at(s, char_before(s, *start)))) return false;
        if (*end < s.len && is_word_char(char_at(s, *end))) return false;
    }
    while ((flags & LS_ADDED_LEFT) && *start > from) {
        size_t at = char_before(s, *start);
        if (ls_unicode_category(char_at(s, at)) != LS_KIND_SPACE) break;
        *start = at < from ? from : at;
    }
    while ((flags & LS_ADDED_RIGHT) && *end < s.len) {
        if (ls_unicode_category(char_at(s, *end)) != LS_KIND_SPACE) break;
        *end += ls_utf8_len(s.p[*end]);
    }
    return true;
}

/* The longest added token that s goes on with at `at`; -1: none. */
static int32_t longest_added(const ls_trie *trie, ls_str s, size_t at, size_t *end)
{
    int32_t node = 0, value, id = -1;
    for (size_t i = at; i < s.len && ls_trie_step(trie, &node, s.p[i], &value); i++) {
        if (value < 0) continue;
        id = value;
        *end = i + 1;
    }
    return id;
}

typedef ls_status text_fn(encoder *e, ls_str text, bool at_start, bool parse_special,
                          ls_error *err);

/* Cut added tokens out of s; what lies between goes on to `then`. */
static ls_status split_added(encoder *e, const ls_trie *trie, ls_str s, bool at_start,
                             bool parse_special, text_fn *then, ls_error *err)
{
    size_t from = 0;
    for (size_t at = 0, end = 0; at < s.len;) {
        int32_t id = longest_added(trie, s, at, &end);
        size_t  start = at;
        if (id < 0) {
            at++;
            continue;
        }
        at = end;
        if (!fits(e->t, id, s, from, &start, &end, parse_special)) continue;
        if (start > from) {
            LS_TRY(then(e, (ls_str){s.p + from, start - from}, at_start && from == 0, parse_special,
                        err));
        }
        LS_TRY(ls_ids_push(e->out, id, err));
        from = at = end;
    }
    if (from == s.len) return LS_OK;
    return then(e, (ls_str){s.p + from, s.len - from}, at_start && from == 0, parse_special, err);
}

static ls_status encode_normal(encoder *e, ls_str text, bool at_start, bool parse_special,
                               ls_error *err)
{
    (void)parse_special;
    return encode_words(e, text, at_start, err);
}

static ls_status encode_raw(encoder *e, ls_str text, bool at_start, bool parse_special,
                            ls_error *err)
{
    char     *copy;
    size_t    len = text.len;
    ls_status status;
    LS_TRY(ls_alloc(&copy, len + 1, 1, "a tokenizer", err));
    if (len) memcpy(copy, text.p, len);
    status = ls_tj_normalize(e->t->tj, &copy, &len, err);
    if (status == LS_OK) {
        status = split_added(e, &e->t->tj->normal, (ls_str){copy, len}, at_start, parse_special,
                             encode_normal, err);
    }
    free(copy);
    return status;
}

/* Well-formed UTF-8: U+FFFD for every byte that is none. */
static ls_status sanitize(ls_str s, char **out, size_t *n, ls_error *err)
{
    *n = 0;
    LS_TRY(ls_alloc(out, s.len + 1, 3, "a tokenizer", err));
    for (size_t i = 0; i < s.len;) {
        uint32_t c = 0xfffd;
        size_t   k = ls_utf8_decode(s.p + i, s.len - i, &c);
        if (c >= 0xd800 && c < 0xe000) {
            c = 0xfffd;
            k = 1;
        }
        i += k ? k : 1;
        *n += ls_utf8_encode(c, *out + *n);
    }
    return LS_OK;
}

ls_status ls_tj_encode(const ls_tokenizer *t, ls_str text, bool parse_special, ls_ids *out,
                       ls_error *err)
{
    encoder   e = {.t = t, .out = out};
    char     *clean;
    size_t    n;
    ls_status status;
    LS_TRY(sanitize(text, &clean, &n, err));
    status = split_added(&e, &t->tj->raw, (ls_str){clean, n}, true, parse_special, encode_raw, err);
    ls_merger_fini(&e.m);
    free(e.word);
    free(clean);
    return status;
}
