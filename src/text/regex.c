// SPDX-License-Identifier: MIT
/* regex.c - see regex.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/regex.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A file's pattern may be slow by malice: steps per match, a number and so many for each byte of
 * the text, and memory in KiB. */
enum { STEPS = 1000 * 1000, STEPS_PER_BYTE = 64, MAX_HEAP_KIB = 512 * 1024 };

struct ls_regex {
    pcre2_code *code;
    bool        jit;
    ls_str      literal; /* found by memmem; owned */
};

struct ls_regex_match {
    pcre2_match_data    *data; /* NULL for literals */
    pcre2_match_context *limits;
};

static ls_status no_memory(ls_error *err)
{
    return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a pattern");
}

/* ---- translation ---- */

/* \w of Oniguruma: of the numbers that are no digits, those of Latin-1 alone. */
#define WORD "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}"

/* Inside and outside of brackets. \s of PCRE2 has U+180E. */
static const struct {
    char        letter;
    const char *outside, *inside; /* NULL: not to be said there */
} classes[] = {
    {'s', "\\p{White_Space}", "\\p{White_Space}"},
    {'S', "\\P{White_Space}", "\\P{White_Space}"},
    {'w', "[" WORD "]", WORD},
    {'W', "[^" WORD "]", NULL},
    {'h', "[0-9A-Fa-f]", "0-9A-Fa-f"},
    {'H', "[^0-9A-Fa-f]", NULL},
};

typedef struct writer {
    char  *p;
    size_t n, cap;
} writer;

static ls_status put(writer *w, const char *s, size_t n, ls_error *err)
{
    LS_TRY(ls_grow(&w->p, &w->cap, w->n + n + 1, 1, "a pattern", err));
    memcpy(w->p + w->n, s, n);
    w->n += n;
    return LS_OK;
}

/* The escape at p[0] = '\\'; *used bytes of it are read. */
static ls_status put_escape(writer *w, const char *p, size_t left, bool inside, size_t *used,
                            ls_error *err)
{
    *used = left < 2 ? left : 2;
    for (size_t i = 0; left >= 2 && i < sizeof(classes) / sizeof(classes[0]); i++) {
        const char *as = inside ? classes[i].inside : classes[i].outside;
        if (classes[i].letter != p[1]) continue;
        if (as) return put(w, as, strlen(as), err);
        return ls_fail(err, LS_ERR_UNSUPPORTED, "'\\%c' in brackets is not supported", p[1]);
    }
    return put(w, p, *used, err);
}

static ls_status translate(writer *w, ls_str s, ls_error *err)
{
    bool inside = false, posix = false; /* in brackets; in [: :] inside them */
    for (size_t i = 0, used; i < s.len; i += used) {
        used = 1;
        if (s.p[i] == '\\') {
            LS_TRY(put_escape(w, s.p + i, s.len - i, inside, &used, err));
            continue;
        }
        if (s.p[i] == '[' && inside && i + 1 < s.len && s.p[i + 1] == ':') {
            posix = true;
        } else if (s.p[i] == '[' && inside) {
            return ls_fail(err, LS_ERR_UNSUPPORTED, "brackets in brackets are not supported");
        }
        if (inside && s.p[i] == '&' && i + 1 < s.len && s.p[i + 1] == '&') {
            return ls_fail(err, LS_ERR_UNSUPPORTED, "'&&' in brackets is not supported");
        }
        if (s.p[i] == '[' && !inside) {
            inside = true;
            if (i + 1 < s.len && s.p[i + 1] == '^') used = 2;
            if (i + used < s.len && s.p[i + used] == ']') used++; /* a bracket that stands first */
        } else if (s.p[i] == ']' && posix && s.p[i - 1] == ':') {
            posix = false;
        } else if (s.p[i] == ']') {
            inside = posix = false;
        }
        LS_TRY(put(w, s.p + i, used, err));
    }
    return LS_OK;
}

/* ---- compiling ---- */

static ls_status compile(ls_regex *r, ls_str pattern, ls_error *err)
{
    int        code;
    PCRE2_SIZE at;
    uint32_t   options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C;
    writer     w = {0};
    ls_status  status = put(&w, "", 0, err);
    if (status == LS_OK) status = translate(&w, pattern, err);
    if (status == LS_OK) {
        r->code = pcre2_compile((PCRE2_SPTR)w.p, w.n, options, &code, &at, NULL);
        if (!r->code && code == PCRE2_ERROR_HEAP_FAILED) status = no_memory(err);
        if (!r->code && status == LS_OK) {
            PCRE2_UCHAR why[128] = "";
            pcre2_get_error_message(code, why, sizeof(why));
            status = ls_fail(err, LS_ERR_FORMAT, "the pattern '%.*s' is wrong at byte %zu: %s",
                             LS_FMT(pattern), (size_t)at, (const char *)why);
        }
    }
    free(w.p);
    if (status != LS_OK) return status;
    r->jit = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
    return LS_OK;
}

ls_status ls_regex_create(ls_regex **out, ls_str pattern, bool literal, ls_error *err)
{
    ls_regex *r;
    ls_status status;
    *out = NULL;
    LS_TRY(ls_alloc(&r, 1, sizeof(*r), "a pattern", err));
    if (literal) {
        char *copy;
        status = ls_alloc(&copy, pattern.len, 1, "a pattern", err);
        if (status == LS_OK) {
            if (pattern.len) memcpy(copy, pattern.p, pattern.len);
            r->literal = (ls_str){copy, pattern.len};
        }
    } else {
        status = compile(r, pattern, err);
    }
    if (status != LS_OK) {
        ls_regex_destroy(r);
        return status;
    }
    *out = r;
    return LS_OK;
}

void ls_regex_destroy(ls_regex *r)
{
    if (!r) return;
    pcre2_code_free(r->code);
    free((void *)(uintptr_t)r->literal.p);
    free(r);
}

/* ---- matching ---- */

ls_status ls_regex_match_create(ls_regex_match **out, const ls_regex *r, size_t len, ls_error *err)
{
    size_t          limit = STEPS + len * STEPS_PER_BYTE;
    ls_regex_match *m;
    *out = NULL;
    LS_TRY(ls_alloc(&m, 1, sizeof(*m), "a pattern", err));
    if (r->code) {
        m->data = pcre2_match_data_create_from_pattern(r->code, NULL);
        m->limits = pcre2_match_context_create(NULL);
        if (!m->data || !m->limits) {
            ls_regex_match_destroy(m);
            return no_memory(err);
        }
        pcre2_set_match_limit(m->limits, limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX);
        pcre2_set_heap_limit(m->limits, MAX_HEAP_KIB);
    }
    *out = m;
    return LS_OK;
}

void ls_regex_match_destroy(ls_regex_match *m)
{
    if (!m) return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->limits);
    free(m);
}

ls_status ls_regex_find(const ls_regex *r, ls_regex_match *m, ls_str text, size_t at, bool *found,
                        size_t *start, size_t *end, ls_error *err)
{
    int               rc = PCRE2_ERROR_JIT_STACKLIMIT;
    const PCRE2_SIZE *place;
    PCRE2_SPTR        s = (PCRE2_SPTR)text.p;
    *found = false;
    if (!r->code) {
        const char *hit = r->literal.len
                              ? memmem(text.p + at, text.len - at, r->literal.p, r->literal.len)
                              : NULL;
        if (!hit) return LS_OK;
        *found = true;
        *start = (size_t)(hit - text.p);
        *end = *start + r->literal.len;
        return LS_OK;
    }
    if (r->jit) rc = pcre2_jit_match(r->code, s, text.len, at, 0, m->data, m->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) {
        rc = pcre2_match(r->code, s, text.len, at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->data,
                         m->limits);
    }
    if (rc == PCRE2_ERROR_NOMATCH) return LS_OK;
    if (rc == PCRE2_ERROR_NOMEMORY) return no_memory(err);
    if (rc < 0) return ls_fail(err, LS_ERR_LIMIT, "a pattern gave up on the text (PCRE2 %d)", rc);
    place = pcre2_get_ovector_pointer(m->data);
    if (place[0] > place[1] || place[0] < at) { /* \K in a look-around */
        return ls_fail(err, LS_ERR_UNSUPPORTED, "a pattern whose match ends before it starts");
    }
    *found = true;
    *start = place[0];
    *end = place[1];
    return LS_OK;
}
