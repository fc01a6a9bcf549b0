// SPDX-License-Identifier: MIT
/* tj_pretok.c - the pre-tokenizers of a tokenizer.json. Each step cuts the pieces that the one
 * before it left; two of them write the text anew, too. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"
#include "text/tj.h"
#include "text/unicode.h"

ls_status ls_pieces_append(ls_pieces *p, const char *s, size_t len, ls_error *err)
{
    LS_TRY(ls_grow(&p->text, &p->cap, p->len + len + 1, 1, "a tokenizer", err));
    if (len) memcpy(p->text + p->len, s, len);
    p->len += len;
    return LS_OK;
}

ls_status ls_pieces_cut(ls_pieces *p, size_t at, size_t len, ls_error *err)
{
    if (len == 0) return LS_OK;
    LS_TRY(ls_grow(&p->at, &p->n_cap, p->n + 1, sizeof(*p->at), "a tokenizer", err));
    p->at[p->n++] = (ls_piece){at, len};
    return LS_OK;
}

void ls_pieces_fini(ls_pieces *p)
{
    free(p->text);
    free(p->at);
    *p = (ls_pieces){0};
}

/* ---- cutting at matches ---- */

/* What a behavior makes of matches and of what lies between them, in order. */
typedef struct cutter {
    ls_split_behavior behavior;
    bool              invert;
    ls_pieces        *out;
    /* the piece that may still grow */
    size_t at, len;
    bool   open, was_match;
} cutter;

static ls_status flush(cutter *c, ls_error *err)
{
    if (!c->open) return LS_OK;
    c->open = false;
    return ls_pieces_cut(c->out, c->at, c->len, err);
}

static ls_status part(cutter *c, size_t at, size_t len, bool match, ls_error *err)
{
    bool join = false;
    match ^= c->invert;
    switch (c->behavior) {
    case LS_SPLIT_REMOVED:
        return match ? LS_OK : ls_pieces_cut(c->out, at, len, err);
    case LS_SPLIT_ISOLATED:
        return ls_pieces_cut(c->out, at, len, err);
    case LS_SPLIT_CONTIGUOUS:
        join = c->open && match == c->was_match;
        break;
    case LS_SPLIT_WITH_PREVIOUS:
        join = c->open && match && !c->was_match;
        break;
    case LS_SPLIT_WITH_NEXT:
        join = c->open && c->was_match && !match;
        break;
    }
    if (join) {
        c->len += len;
    } else {
        LS_TRY(flush(c, err));
        c->open = true;
        c->at = at;
        c->len = len;
    }
    c->was_match = match;
    return LS_OK;
}

/* Parts of one piece by a pattern. An empty match right behind another one does not count. */
static ls_status parts_by_pattern(const ls_regex *r, ls_regex_match *m, const char *text,
                                  ls_piece p, cutter *c, ls_error *err)
{
    ls_str s = {text + p.at, p.len};
    size_t from = 0, at = 0, start, end;
    bool   found, matched = false;
    while (at <= s.len) {
        LS_TRY(ls_regex_find(r, m, s, at, &found, &start, &end, err));
        if (!found) break;
        at = end;
        if (start == end) at += at < s.len ? ls_utf8_len(s.p[at]) : 1;
        if (start == end && matched && start == from) continue;
        if (start > from) LS_TRY(part(c, p.at + from, start - from, false, err));
        LS_TRY(part(c, p.at + start, end - start, true, err));
        from = end;
        matched = true;
    }
    return from < s.len ? part(c, p.at + from, s.len - from, false, err) : LS_OK;
}

static ls_status cut_by_pattern(const ls_step *s, const ls_pieces *in, ls_pieces *out,
                                ls_error *err)
{
    ls_regex_match *m;
    ls_status       status;
    LS_TRY(ls_regex_match_create(&m, s->pattern, in->len, err));
    status = LS_OK;
    for (size_t i = 0; i < in->n && status == LS_OK; i++) {
        cutter c = {.behavior = s->behavior, .invert = s->invert, .out = out};
        status = parts_by_pattern(s->pattern, m, in->text, in->at[i], &c, err);
        if (status == LS_OK) status = flush(&c, err);
    }
    ls_regex_match_destroy(m);
    return status;
}

/* ---- cutting at characters ---- */

/* Kind of a character to a step: 0 none that matters. */
typedef int kind_fn(const ls_step *s, uint32_t c, ls_str utf8);

static int space_kind(const ls_step *s, uint32_t c, ls_str utf8)
{
    (void)s, (void)utf8;
    return ls_unicode_category(c) == LS_KIND_SPACE;
}

static int sign_kind(const ls_step *s, uint32_t c, ls_str utf8)
{
    uint8_t kind = ls_unicode_category(c);
    (void)s, (void)utf8;
    return kind == LS_KIND_PUNCT || (c < 0x80 && kind == LS_KIND_SYMBOL);
}

static int number_kind(const ls_step *s, uint32_t c, ls_str utf8)
{
    (void)s, (void)utf8;
    return ls_unicode_category(c) == LS_KIND_NUMBER;
}

static int delimiter_kind(const ls_step *s, uint32_t c, ls_str utf8)
{
    (void)c;
    return ls_str_eq(utf8, s->text);
}

/* \w of Rust's regular expressions: letters, marks, digits, joiners, and circled letters. */
static bool is_word(uint32_t c)
{
    switch ((int)utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default:
        return c == 0x200c || c == 0x200d || (c >= 0x24b6 && c <= 0x24e9) ||
               (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169) ||
               (c >= 0x1f170 && c <= 0x1f189);
    }
}

/* Every character is a part of its own. */
static ls_status cut_by_kind(const ls_step *s, kind_fn *kind, ls_split_behavior behavior,
                             const ls_pieces *in, ls_pieces *out, ls_error *err)
{
    for (size_t i = 0; i < in->n; i++) {
        cutter c = {.behavior = behavior, .out = out};
        size_t end = in->at[i].at + in->at[i].len, from = in->at[i].at;
        for (size_t at = from, n; at < end; at += n) {
            uint32_t u = 0xfffd;
            n = ls_utf8_decode(in->text + at, end - at, &u);
            if (!n) n = 1;
            if (!kind(s, u, (ls_str){in->text + at, n})) continue;
            if (at > from) LS_TRY(part(&c, from, at - from, false, err));
            LS_TRY(part(&c, at, n, true, err));
            from = at + n;
        }
        if (from < end) LS_TRY(part(&c, from, end - from, false, err));
        LS_TRY(flush(&c, err));
    }
    return LS_OK;
}

/* Runs of word characters and runs of others; white space goes. */
static ls_status cut_words(const ls_pieces *in, ls_pieces *out, ls_error *err)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t end = in->at[i].at + in->at[i].len, from = in->at[i].at;
        int    was = 0;
        for (size_t at = from, n; at < end; at += n) {
            uint32_t u = 0xfffd;
            int      kind;
            n = ls_utf8_decode(in->text + at, end - at, &u);
            if (!n) n = 1;
            kind = is_word(u) ? 1 : ls_unicode_category(u) == LS_KIND_SPACE ? 0 : 2;
            if (kind == was) continue;
            if (was) LS_TRY(ls_pieces_cut(out, from, at - from, err));
            from = at;
            was = kind;
        }
        if (was) LS_TRY(ls_pieces_cut(out, from, end - from, err));
    }
    return LS_OK;
}

static ls_status cut_fixed(const ls_step *s, const ls_pieces *in, ls_pieces *out, ls_error *err)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t end = in->at[i].at + in->at[i].len, from = in->at[i].at, n = 0;
        for (size_t at = from; at < end;) {
            size_t k = ls_utf8_len(in->text[at]);
            at += k < end - at ? k : end - at;
            if (++n < s->start && at < end) continue;
            LS_TRY(ls_pieces_cut(out, from, at - from, err));
            from = at;
            n = 0;
        }
    }
    return LS_OK;
}

/* ---- writing the text anew ---- */

/* A copy of the pieces, each with `prefix` before it if it does not begin so (but where `first`,
 * only the one at the start of all). Spaces become `space`. */
static ls_status rewrite(const ls_pieces *in, ls_str prefix, bool only_first, bool at_start,
                         ls_str space, ls_pieces *out, ls_error *err)
{
    for (size_t i = 0; i < in->n; i++) {
        ls_piece    p = in->at[i];
        const char *s = in->text + p.at;
        size_t      start = out->len, done = 0;
        bool        here = prefix.len && (!only_first || (at_start && p.at == 0));
        bool        has = p.len >= prefix.len && !memcmp(s, prefix.p, prefix.len);
        if (p.len && s[0] == ' ' && space.p) has = true; /* it becomes the prefix */
        if (here && !has) LS_TRY(ls_pieces_append(out, prefix.p, prefix.len, err));
        for (size_t k = 0; space.p && k < p.len; k++) {
            if (s[k] != ' ') continue;
            LS_TRY(ls_pieces_append(out, s + done, k - done, err));
            LS_TRY(ls_pieces_append(out, space.p, space.len, err));
            done = k + 1;
        }
        LS_TRY(ls_pieces_append(out, s + done, p.len - done, err));
        LS_TRY(ls_pieces_cut(out, start, out->len - start, err));
    }
    return LS_OK;
}

static ls_status write_byte_chars(const ls_pieces *in, ls_pieces *out, ls_error *err)
{
    for (size_t i = 0; i < in->n; i++) {
        size_t start = out->len;
        LS_TRY(ls_grow(&out->text, &out->cap, out->len + 2 * in->at[i].len + 4, 1, "a tokenizer",
                       err));
        for (size_t k = 0; k < in->at[i].len; k++) {
            uint8_t byte = (uint8_t)in->text[in->at[i].at + k];
            out->len += ls_utf8_encode(ls_byte_char(byte), out->text + out->len);
        }
        LS_TRY(ls_pieces_cut(out, start, out->len - start, err));
    }
    return LS_OK;
}

static void swap(ls_pieces *a, ls_pieces *b)
{
    ls_pieces t = *a;
    *a = *b;
    *b = t;
}

/* The cuts of `next`, which are of the text of *p, become those of *p. */
static void take_cuts(ls_pieces *p, ls_pieces *next)
{
    ls_pieces old = *p;
    p->at = next->at;
    p->n = next->n;
    p->n_cap = next->n_cap;
    next->at = old.at;
    next->n = 0;
    next->n_cap = old.n_cap;
}

static void take_text(ls_pieces *p, ls_pieces *next)
{
    swap(p, next);
    next->len = next->n = 0;
}

static ls_status byte_level(const ls_step *s, ls_pieces *p, ls_pieces *next, ls_error *err)
{
    if (s->prefix_space) {
        LS_TRY(rewrite(p, LS_STR(" "), false, false, (ls_str){NULL, 0}, next, err));
        take_text(p, next);
    }
    if (s->words) {
        ls_step by_words = {.pattern = s->pattern, .behavior = LS_SPLIT_ISOLATED};
        LS_TRY(cut_by_pattern(&by_words, p, next, err));
        take_cuts(p, next);
    }
    LS_TRY(write_byte_chars(p, next, err));
    take_text(p, next);
    return LS_OK;
}

static ls_status metaspace(const ls_step *s, bool at_start, ls_pieces *p, ls_pieces *next,
                           ls_error *err)
{
    ls_str prefix = s->scheme == LS_PREPEND_NEVER ? LS_STR("") : s->text;
    LS_TRY(rewrite(p, prefix, s->scheme == LS_PREPEND_FIRST, at_start, s->text, next, err));
    take_text(p, next);
    if (!s->split) return LS_OK;
    LS_TRY(cut_by_kind(s, delimiter_kind, LS_SPLIT_WITH_NEXT, p, next, err));
    take_cuts(p, next);
    return LS_OK;
}

static ls_status cut(const ls_step *s, const ls_pieces *p, ls_pieces *next, ls_error *err)
{
    switch ((int)s->kind) {
    case LS_STEP_SPLIT:
        return cut_by_pattern(s, p, next, err);
    case LS_STEP_WORDS:
        return cut_words(p, next, err);
    case LS_STEP_SPACE_SPLIT:
    case LS_STEP_BERT_WORDS:
        return cut_by_kind(s, space_kind, LS_SPLIT_REMOVED, p, next, err);
    case LS_STEP_PUNCTUATION:
        return cut_by_kind(s, sign_kind, s->behavior, p, next, err);
    case LS_STEP_DIGITS:
        return cut_by_kind(s, number_kind, s->each ? LS_SPLIT_ISOLATED : LS_SPLIT_CONTIGUOUS, p,
                           next, err);
    case LS_STEP_DELIMITER:
        return cut_by_kind(s, delimiter_kind, LS_SPLIT_REMOVED, p, next, err);
    case LS_STEP_FIXED:
        return cut_fixed(s, p, next, err);
    default:
        return ls_fail(err, LS_ERR_INTERNAL, "step %d cuts nothing", (int)s->kind);
    }
}

static ls_status apply(const ls_step *s, bool at_start, ls_pieces *p, ls_pieces *next,
                       ls_error *err)
{
    if (s->kind == LS_STEP_BYTE_LEVEL) return byte_level(s, p, next, err);
    if (s->kind == LS_STEP_METASPACE) return metaspace(s, at_start, p, next, err);
    LS_TRY(cut(s, p, next, err));
    take_cuts(p, next);
    if (s->kind == LS_STEP_BERT_WORDS) {
        LS_TRY(cut_by_kind(s, sign_kind, LS_SPLIT_ISOLATED, p, next, err));
        take_cuts(p, next);
    }
    return LS_OK;
}

ls_status ls_tj_pretokenize(const ls_tj *tj, ls_str text, bool at_start, ls_pieces *out,
                            ls_error *err)
{
    ls_pieces next = {0};
    ls_status status;
    *out = (ls_pieces){0};
    status = ls_pieces_append(out, text.p, text.len, err);
    if (status == LS_OK) status = ls_pieces_cut(out, 0, text.len, err);
    for (size_t i = 0; i < tj->pretok.n && status == LS_OK; i++) {
        status = apply(&tj->pretok.at[i], at_start, out, &next, err);
    }
    ls_pieces_fini(&next);
    return status;
}
