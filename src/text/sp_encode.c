// SPDX-License-Identifier: MIT
/* sp_encode.c - text to ids as SentencePiece does it: normalizing (Kudo and Richardson 2018), then
 * one of its four models. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/merge.h"
#include "text/sp.h"
#include "text/unicode.h"

static const char space[] = "\xe2\x96\x81";

typedef struct buffer {
    char  *p;
    size_t n, cap;
} buffer;

static ls_status put(buffer *b, const char *s, size_t n, ls_error *err)
{
    LS_TRY(ls_grow(&b->p, &b->cap, b->n + n, 1, "a tokenizer", err));
    if (n) memcpy(b->p + b->n, s, n);
    b->n += n;
    return LS_OK;
}

/* Length of the longest user-defined piece that s begins with, 0 for none. */
static size_t user_piece(const ls_tokenizer *t, ls_str s)
{
    int32_t node = 0, value;
    size_t  found = 0;
    for (size_t i = 0; i < s.len && ls_trie_step(&t->user_trie, &node, s.p[i], &value); i++) {
        if (value >= 0) found = i + 1;
    }
    return found;
}

/* What is written for the start of s, and how much of it that stands for. */
static ls_status replace(const ls_tokenizer *t, ls_str s, size_t *used, ls_str *by, ls_error *err)
{
    uint32_t c;
    size_t   n = user_piece(t, s);
    *used = n;
    *by = (ls_str){s.p, n};
    if (n) return LS_OK;
    LS_TRY(ls_charsmap_find(&t->charsmap, s, false, used, by, err));
    if (*used) return LS_OK;
    n = ls_utf8_decode(s.p, s.len, &c);
    *used = n ? n : 1;
    *by = n ? (ls_str){s.p, n} : LS_STR("\xef\xbf\xbd");
    return LS_OK;
}

static ls_status put_space(const ls_tokenizer *t, buffer *out, ls_error *err)
{
    return t->sp->escape_spaces ? put(out, space, 3, err) : put(out, " ", 1, err);
}

static ls_status put_escaped(const ls_tokenizer *t, buffer *out, ls_str s, ls_error *err)
{
    for (size_t i = 0; i < s.len; i++) {
        LS_TRY(s.p[i] == ' ' ? put_space(t, out, err) : put(out, s.p + i, 1, err));
    }
    return LS_OK;
}

static void drop_spaces_behind(const ls_tokenizer *t, buffer *out)
{
    size_t k = t->sp->escape_spaces ? 3 : 1;
    while (out->n >= k && !memcmp(out->p + out->n - k, t->sp->escape_spaces ? space : " ", k)) {
        out->n -= k;
    }
}

static ls_status normalize(const ls_tokenizer *t, ls_str s, buffer *out, ls_error *err)
{
    const ls_sp *sp = t->sp;
    bool         after_space = sp->merge_spaces;
    ls_str       by;
    size_t       at = 0, n;
    while (sp->merge_spaces && at < s.len) { /* before the first word */
        LS_TRY(replace(t, (ls_str){s.p + at, s.len - at}, &n, &by, err));
        if (!ls_str_is(by, " ")) break;
        at += n;
    }
    if (at == s.len) return LS_OK;
    if (sp->dummy_prefix && !sp->space_suffix) LS_TRY(put_space(t, out, err));
    while (at < s.len) {
        LS_TRY(replace(t, (ls_str){s.p + at, s.len - at}, &n, &by, err));
        at += n;
        while (after_space && by.len && by.p[0] == ' ') by = (ls_str){by.p + 1, by.len - 1};
        if (!by.len) continue;
        LS_TRY(put_escaped(t, out, by, err));
        after_space = sp->merge_spaces && by.p[by.len - 1] == ' ';
    }
    if (sp->merge_spaces) drop_spaces_behind(t, out);
    return sp->dummy_prefix && sp->space_suffix ? put_space(t, out, err) : LS_OK;
}

/* ---- models ---- */

/* Id of a piece that text may become, -1 for others. */
static int32_t piece_id(const ls_tokenizer *t, ls_str s)
{
    int32_t id = s.len <= t->max_len ? ls_str_map_get(&t->ids, s) : -1;
    if (id < 0) return -1;
    return t->type[id] == LS_TOKEN_NORMAL || t->type[id] == LS_TOKEN_USER_DEFINED ? id : -1;
}

typedef struct emitter {
    const ls_tokenizer *t;
    ls_ids             *out;
    bool                was_unknown;
} emitter;

/* Several unknown pieces in a row are one, unless they are spelled in bytes. */
static ls_status emit(emitter *e, ls_str s, ls_error *err)
{
    const ls_tokenizer *t = e->t;
    int32_t             id = piece_id(t, s);
    bool                bytes = id < 0 && t->byte_fallback;
    for (size_t i = 0; i < s.len && bytes; i++) bytes = t->byte_id[(uint8_t)s.p[i]] >= 0;
    for (size_t i = 0; i < s.len && bytes; i++) {
        LS_TRY(ls_ids_push(e->out, t->byte_id[(uint8_t)s.p[i]], err));
    }
    if (id < 0 && !bytes && !e->was_unknown && t->unk >= 0) {
        LS_TRY(ls_ids_push(e->out, t->unk, err));
    }
    e->was_unknown = id < 0 && !bytes;
    return id >= 0 ? ls_ids_push(e->out, id, err) : LS_OK;
}

static bool pair_by_score(const ls_tokenizer *t, const ls_symbol *a, const ls_symbol *b,
                          double *priority, int32_t *sym)
{
    int32_t id;
    if (a->sym == -2 || b->sym == -2) return false; /* user-defined: stays as it is */
    id = piece_id(t, (ls_str){a->s.p, a->s.len + b->s.len});
    if (id < 0) return false;
    *priority = -(double)t->score[id];
    *sym = id;
    return true;
}

/* The symbol at s[at]: a user-defined piece, or a character. */
static ls_str next_symbol(const ls_tokenizer *t, ls_str s, size_t at, bool *user)
{
    size_t left = s.len - at, n = user_piece(t, (ls_str){s.p + at, left});
    *user = n > 0;
    if (!n) n = ls_utf8_len(s.p[at]);
    return (ls_str){s.p + at, n < left ? n : left};
}

static ls_status encode_bpe(emitter *e, ls_str s, ls_error *err)
{
    ls_merger m = {0};
    ls_status status = LS_OK;
    bool      user;
    for (size_t at = 0; at < s.len && status == LS_OK;) {
        ls_str symbol = next_symbol(e->t, s, at, &user);
        status = ls_merger_add(&m, symbol, user ? -2 : -1, err);
        at += symbol.len;
    }
    if (status == LS_OK) status = ls_merger_run(&m, e->t, pair_by_score, err);
    for (int32_t i = m.n_symbols ? 0 : -1; i >= 0 && status == LS_OK; i = m.symbols[i].next) {
        status = emit(e, m.symbols[i].s, err);
    }
    ls_merger_fini(&m);
    return status;
}

static ls_status encode_chars(emitter *e, ls_str s, ls_error *err)
{
    bool user;
    for (size_t at = 0; at < s.len;) {
        ls_str symbol = next_symbol(e->t, s, at, &user);
        LS_TRY(emit(e, symbol, err));
        at += symbol.len;
    }
    return LS_OK;
}

/* Words begin with U+2581, or end with it. */
static ls_status encode_words(emitter *e, ls_str s, ls_error *err)
{
    bool   suffix = e->t->sp->space_suffix;
    size_t start = 0;
    for (size_t at = 0, n; at < s.len; at += n) {
        bool is_space = s.len - at >= 3 && !memcmp(s.p + at, space, 3);
        n = is_space ? 3 : 1;
        if (is_space && !suffix && at > start) {
            LS_TRY(emit(e, (ls_str){s.p + start, at - start}, err));
            start = at;
        } else if (is_space && suffix) {
            LS_TRY(emit(e, (ls_str){s.p + start, at + n - start}, err));
            start = at + n;
        }
    }
    return start < s.len ? emit(e, (ls_str){s.p + start, s.len - start}, err) : LS_OK;
}

static ls_status encode_normal(const ls_tokenizer *t, ls_str s, ls_ids *out, ls_error *err)
{
    emitter e = {.t = t, .out = out};
    switch (t->sp->model) {
    case LS_SP_BPE:
        return encode_bpe(&e, s, err);
    case LS_SP_WORD:
        return encode_words(&e, s, err);
    case LS_SP_CHAR:
        return encode_chars(&e, s, err);
    default:
        return ls_ugm_best(t, s, out, err);
    }
}

ls_status ls_sp_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    buffer    normal = {0};
    ls_status status = normalize(t, text, &normal, err);
    if (status == LS_OK) status = encode_normal(t, (ls_str){normal.p, normal.n}, out, err);
    free(normal.p);
    return status;
}
