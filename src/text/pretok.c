// SPDX-License-Identifier: MIT
/* pretok.c - pre-tokenizers: patterns that cut text into words.
 *
 * Patterns do not see the text but its outline: one byte per character, ASCII as it is and the rest
 * by kind (text/unicode.h). So they need no Unicode mode, and ids do not depend on the Unicode
 * version of the installed PCRE2. A pre-tokenizer has several stages; each cuts the pieces that the
 * one before it left, into what it matches and what lies between.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretok.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"

#define MAX_STAGES LS_PRETOK_MAX_STAGES

struct ls_pretok {
    const ls_pretok_family *family;
    pcre2_code             *patterns[MAX_STAGES]; /* NULL: by rule */
    size_t                  n_stages;
    pcre2_match_context    *limits;
};

static ls_status no_memory(ls_error *err)
{
    return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a pre-tokenizer");
}

static ls_status compile(ls_pretok *p, ls_error *err)
{
    /* A long run of spaces is many steps back, but never more than its length. */
    p->limits = pcre2_match_context_create(NULL);
    if (!p->limits) return no_memory(err);
    pcre2_set_match_limit(p->limits, UINT32_MAX);
    for (; p->n_stages < MAX_STAGES; p->n_stages++) {
        const ls_pretok_stage *s = &p->family->stages[p->n_stages];
        int                    code;
        PCRE2_SIZE             at;
        pcre2_code            *c;
        if (s->rule) continue;
        if (!s->pattern) break;
        c = pcre2_compile((PCRE2_SPTR)s->pattern, PCRE2_ZERO_TERMINATED, 0, &code, &at, NULL);
        if (!c && code == PCRE2_ERROR_HEAP_FAILED) return no_memory(err);
        if (!c) return ls_fail(err, LS_ERR_INTERNAL, "PCRE2 error %d in a built-in pattern", code);
        p->patterns[p->n_stages] = c;
        pcre2_jit_compile(c, PCRE2_JIT_COMPLETE); /* without JIT it is slower, not wrong */
    }
    return LS_OK;
}

ls_status ls_pretok_create(ls_pretok **out, ls_str name, int *traits, ls_error *err)
{
    const ls_pretok_family *f = ls_pretok_find(name);
    ls_pretok              *p;
    ls_status               status;
    *out = NULL;
    if (!f) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "the pre-tokenizer '%.*s' is not supported", LS_FMT(name));
        ls_fail_hint(err, "supported are those that llama.cpp v0.5.0 knows by name");
        return LS_ERR_UNSUPPORTED;
    }
    *traits = f->traits;
    LS_TRY(ls_alloc(&p, 1, sizeof(*p), "a pre-tokenizer", err));
    p->family = f;
    status = compile(p, err);
    if (status != LS_OK) {
        ls_pretok_destroy(p);
        return status;
    }
    *out = p;
    return LS_OK;
}

void ls_pretok_destroy(ls_pretok *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n_stages; i++) pcre2_code_free(p->patterns[i]);
    pcre2_match_context_free(p->limits);
    free(p);
}

/* ---- cutting ---- */

/* The text in well-formed UTF-8, surrogates apart. */
static ls_status read_text(const char *text, size_t len, ls_words *w, size_t *n_chars,
                           ls_error *err)
{
    *n_chars = 0;
    LS_TRY(ls_alloc(&w->text, len, 3, "a tokenizer", err)); /* U+FFFD for one byte at worst */
    for (size_t i = 0; i < len; ++*n_chars) {
        uint32_t c = 0xfffd;
        size_t   k = ls_utf8_decode(text + i, len - i, &c);
        i += k ? k : 1;
        w->text_len += ls_utf8_encode(c, w->text + w->text_len);
    }
    return LS_OK;
}

static void draw_outline(const ls_words *w, const ls_pretok_sets *sets, uint8_t *outline)
{
    for (size_t i = 0; i < w->text_len; outline++) {
        uint32_t c = 0;
        uint8_t  among;
        i += ls_utf8_decode(w->text + i, w->text_len - i, &c);
        *outline = ls_unicode_kind(c);
        if (!sets || *outline <= LS_KIND_SPACE) continue;
        among = ls_kind_among(sets->ranges, sets->n, c);
        if (among) *outline = among;
    }
}

static ls_status add(ls_words *w, size_t len, ls_error *err)
{
    LS_TRY(ls_grow(&w->len, &w->cap, w->n + 1, sizeof(*w->len), "a tokenizer", err));
    w->len[w->n++] = len;
    return LS_OK;
}

static int match_at(const ls_pretok *p, const pcre2_code *c, const uint8_t *s, size_t n, size_t at,
                    pcre2_match_data *m)
{
    int rc = pcre2_match(c, s, n, at, 0, m, p->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) rc = pcre2_match(c, s, n, at, PCRE2_NO_JIT, m, p->limits);
    return rc;
}

/* Cut one piece of n characters: matches, and what lies between them. An empty match cuts, too. */
static ls_status cut(const ls_pretok *p, const pcre2_code *c, const uint8_t *s, size_t n,
                     pcre2_match_data *m, ls_words *out, ls_error *err)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(m);
    size_t            done = 0;
    for (size_t at = 0; at < n; at = found[1] + (found[1] == found[0])) {
        int rc = match_at(p, c, s, n, at, m);
        if (rc == PCRE2_ERROR_NOMATCH) break;
        if (rc == PCRE2_ERROR_NOMEMORY) return no_memory(err);
        if (rc < 0) {
            return ls_fail(err, LS_ERR_LIMIT, "the pre-tokenizer gave up on the text (PCRE2 %d)",
                           rc);
        }
        if (found[0] > done) LS_TRY(add(out, found[0] - done, err));
        if (found[1] > found[0]) LS_TRY(add(out, found[1] - found[0], err));
        done = found[1];
    }
    return done < n ? add(out, n - done, err) : LS_OK;
}

static bool is_number(uint8_t kind, ls_pretok_rule where)
{
    bool digit = kind >= '0' && kind <= '9';
    return digit || (kind == LS_KIND_NUMBER && where == LS_PRETOK_BEHIND_THREES);
}

/* As cut. What stands before a number goes with its first group: the pattern that comes next, or
 * came before, parts them. */
static ls_status cut_by_threes(ls_pretok_rule where, const uint8_t *s, size_t n, ls_words *out,
                               ls_error *err)
{
    size_t done = 0;
    for (size_t i = 0, end; i < n; i = end + 1) {
        size_t at, last;
        for (end = i; end < n && is_number(s[end], where);) end++;
        if (end == i) continue;
        at = i + (end - i) % 3;
        last = end - 1;
        if (where == LS_PRETOK_BEHIND_THREES) {
            last = end;
            if (at == i) at += 3;
        }
        for (; at <= last; at += 3) {
            if (at > done) LS_TRY(add(out, at - done, err));
            done = at;
        }
    }
    return done < n ? add(out, n - done, err) : LS_OK;
}

static bool is_blank(uint8_t kind)
{
    return kind == LS_KIND_SPACE || kind == ' ' || kind == '\t' || kind == '\v' || kind == '\f';
}

static ls_status cut_in_halves(const uint8_t *s, size_t n, ls_words *out, ls_error *err)
{
    size_t blanks = 0;
    while (blanks < n && is_blank(s[blanks])) blanks++;
    if (blanks < n) return add(out, n, err);
    for (size_t part = 512; n; part /= 2) {
        for (; n >= part; n -= part) LS_TRY(add(out, part, err));
        if (part == 2 && n) return add(out, n, err);
    }
    return LS_OK;
}

static ls_status cut_by_rule(ls_pretok_rule rule, const uint8_t *s, size_t n, ls_words *out,
                             ls_error *err)
{
    return rule == LS_PRETOK_HALVES ? cut_in_halves(s, n, out, err)
                                    : cut_by_threes(rule, s, n, out, err);
}

/* Cut every piece of *w (lengths in characters) by one stage. */
static ls_status cut_all(const ls_pretok *p, size_t stage, const uint8_t *outline, ls_words *w,
                         ls_error *err)
{
    const pcre2_code *c = p->patterns[stage];
    ls_pretok_rule    rule = p->family->stages[stage].rule;
    ls_words          next = {0};
    pcre2_match_data *m = c ? pcre2_match_data_create_from_pattern(c, NULL) : NULL;
    ls_status         status = m || !c ? LS_OK : no_memory(err);
    for (size_t i = 0; i < w->n && status == LS_OK; outline += w->len[i++]) {
        status = c ? cut(p, c, outline, w->len[i], m, &next, err)
                   : cut_by_rule(rule, outline, w->len[i], &next, err);
    }
    pcre2_match_data_free(m);
    free(w->len);
    w->len = next.len;
    w->n = next.n;
    w->cap = next.cap;
    return status;
}

/* Lengths in characters become lengths in bytes. */
static void to_bytes(ls_words *w)
{
    const char *at = w->text;
    for (size_t i = 0; i < w->n; i++) {
        const char *start = at;
        for (size_t k = 0; k < w->len[i]; k++) at += ls_utf8_len(*at);
        w->len[i] = (size_t)(at - start);
    }
}

ls_status ls_pretok_split(const ls_pretok *p, const char *text, size_t len, ls_words *out,
                          ls_error *err)
{
    const ls_pretok_stage *stages = p->family->stages;
    uint8_t               *outline = NULL;
    size_t                 n_chars = 0;
    ls_status              status;
    *out = (ls_words){0};
    status = read_text(text, len, out, &n_chars, err);
    if (status == LS_OK) status = ls_alloc(&outline, n_chars, 1, "a tokenizer", err);
    if (status == LS_OK) status = add(out, n_chars, err);
    for (size_t i = 0; i < p->n_stages && status == LS_OK; i++) {
        if (i == 0 || stages[i].sets != stages[i - 1].sets) {
            draw_outline(out, stages[i].sets, outline);
        }
        status = cut_all(p, i, outline, out, err);
    }
    if (status == LS_OK) to_bytes(out);
    free(outline);
    return status;
}

void ls_words_fini(ls_words *w)
{
    free(w->text);
    free(w->len);
    *w = (ls_words){0};
}
