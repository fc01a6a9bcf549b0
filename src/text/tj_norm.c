// SPDX-License-Identifier: MIT
/* tj_norm.c - the normalizers of a tokenizer.json. Normal forms are those of the installed
 * utf8proc; white space, marks and cases those of text/unicode.h. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"
#include "text/tj.h"
#include "text/unicode.h"

typedef struct buffer {
    char  *p;
    size_t n, cap, limit; /* limit 0: none */
} buffer;

static ls_status put(buffer *b, const char *s, size_t n, ls_error *err)
{
    if (b->limit && b->n + n > b->limit) {
        return ls_fail(err, LS_ERR_LIMIT, "the normalizer makes a text of %zu bytes too long",
                       b->limit);
    }
    LS_TRY(ls_grow(&b->p, &b->cap, b->n + n + 1, 1, "a tokenizer", err));
    if (n) memcpy(b->p + b->n, s, n);
    b->n += n;
    return LS_OK;
}

static ls_status put_char(buffer *b, uint32_t c, ls_error *err)
{
    char utf8[4];
    return put(b, utf8, ls_utf8_encode(c, utf8), err);
}

static bool is_ascii(ls_str s)
{
    uint8_t all = 0;
    for (size_t i = 0; i < s.len; i++) all |= (uint8_t)s.p[i];
    return all < 0x80;
}

/* ---- normal forms ---- */

static ls_status normal_form(ls_str s, int options, buffer *out, ls_error *err)
{
    utf8proc_uint8_t *made = NULL;
    utf8proc_ssize_t  n;
    ls_status         status;
    if (is_ascii(s)) return put(out, s.p, s.len, err);
    n = utf8proc_map((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.len, &made,
                     (utf8proc_option_t)(UTF8PROC_STABLE | options));
    if (n == UTF8PROC_ERROR_NOMEM)
        return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a text");
    if (n < 0) return ls_fail(err, LS_ERR_INTERNAL, "utf8proc: %s", utf8proc_errmsg(n));
    status = put(out, (const char *)made, (size_t)n, err);
    free(made);
    return status;
}

/* ---- character by character ---- */

static ls_status put_lower(buffer *out, uint32_t c, ls_error *err)
{
    if (c != 0x130) return put_char(out, ls_unicode_lower(c), err);
    return put(out, "i\xcc\x87", 3, err); /* the one that becomes two */
}

/* BERT's accents are marks that take no space, those of StripAccents all marks. */
static bool is_accent(const ls_step *s, uint32_t c)
{
    if (c < 0x300) return false;
    if (s->kind != LS_STEP_BERT) return ls_unicode_kind(c) == LS_KIND_MARK;
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_MN;
}

/* As SentencePiece's rule set of that name: some controls go, some become spaces. */
static ls_status put_nmt(buffer *out, uint32_t c, ls_error *err)
{
    bool gone = (c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f ||
                c == 0x8f || c == 0x9f;
    bool space = c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 ||
                 (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                 c == 0xfeff || c == 0xfffd;
    if (gone) return LS_OK;
    return put_char(out, space ? ' ' : c, err);
}

static bool is_ideograph(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
           (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
           (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

/* The part of BERT's that looks at single characters; accents and case come after. */
static ls_status put_bert(const ls_step *s, buffer *out, uint32_t c, ls_error *err)
{
    uint8_t kind = ls_unicode_category(c);
    if (s->clean) {
        bool space = kind == LS_KIND_SPACE;
        bool other = kind == LS_KIND_CONTROL || kind == LS_KIND_OTHER;
        if (c == 0 || c == 0xfffd || (other && !space)) return LS_OK;
        if (space) c = ' ';
    }
    if (!s->chinese || !is_ideograph(c)) return put_char(out, c, err);
    LS_TRY(put(out, " ", 1, err));
    LS_TRY(put_char(out, c, err));
    return put(out, " ", 1, err);
}

static ls_status map_char(const ls_step *s, ls_step_kind kind, uint32_t c, buffer *out,
                          ls_error *err)
{
    switch ((int)kind) {
    case LS_STEP_LOWERCASE:
        return put_lower(out, c, err);
    case LS_STEP_STRIP_ACCENTS:
        return is_accent(s, c) ? LS_OK : put_char(out, c, err);
    case LS_STEP_NMT:
        return put_nmt(out, c, err);
    case LS_STEP_BERT:
        return put_bert(s, out, c, err);
    default:
        return put_char(out, c, err);
    }
}

static ls_status map_chars(const ls_step *s, ls_step_kind kind, ls_str text, buffer *out,
                           ls_error *err)
{
    for (size_t i = 0; i < text.len;) {
        uint32_t c = 0xfffd;
        size_t   n = ls_utf8_decode(text.p + i, text.len - i, &c);
        i += n ? n : 1;
        LS_TRY(map_char(s, kind, c, out, err));
    }
    return LS_OK;
}

static ls_status bert(const ls_step *s, ls_str text, buffer *out, ls_error *err)
{
    buffer    a = {0}, b = {0};
    ls_status status = map_chars(s, LS_STEP_BERT, text, &a, err);
    if (status == LS_OK && s->accents) {
        status = normal_form((ls_str){a.p, a.n}, UTF8PROC_DECOMPOSE, &b, err);
        a.n = 0;
        if (status == LS_OK) {
            status = map_chars(s, LS_STEP_STRIP_ACCENTS, (ls_str){b.p, b.n}, &a, err);
        }
    }
    if (status == LS_OK && s->lower) {
        status = map_chars(s, LS_STEP_LOWERCASE, (ls_str){a.p, a.n}, out, err);
    } else if (status == LS_OK) {
        status = put(out, a.p, a.n, err);
    }
    free(a.p);
    free(b.p);
    return status;
}

/* ---- pieces of text ---- */

static ls_status replace_all(const ls_step *s, ls_str text, buffer *out, ls_error *err)
{
    ls_regex_match *m;
    ls_status       status;
    size_t          at = 0, from = 0, start = 0, end = 0;
    bool            found;
    LS_TRY(ls_regex_match_create(&m, s->pattern, text.len, err));
    status = LS_OK;
    while (at <= text.len) {
        status = ls_regex_find(s->pattern, m, text, at, &found, &start, &end, err);
        if (status != LS_OK || !found) break;
        status = put(out, text.p + from, start - from, err);
        if (status == LS_OK) status = put(out, s->text.p, s->text.len, err);
        if (status != LS_OK) break;
        from = end;
        at = end;
        if (start == end) at += at < text.len ? ls_utf8_len(text.p[at]) : 1;
    }
    if (status == LS_OK) status = put(out, text.p + from, text.len - from, err);
    ls_regex_match_destroy(m);
    return status;
}

/* Length of the white space that s begins with (or ends with). */
static size_t space_before(ls_str s)
{
    size_t   i = 0, n;
    uint32_t c = 0;
    while (i < s.len && (n = ls_utf8_decode(s.p + i, s.len - i, &c)) > 0 &&
           ls_unicode_category(c) == LS_KIND_SPACE) {
        i += n;
    }
    return i;
}

static size_t space_behind(ls_str s)
{
    size_t end = s.len;
    while (end) {
        size_t   at = end - 1;
        uint32_t c = 0;
        while (at && ((uint8_t)s.p[at] & 0xc0) == 0x80) at--;
        if (!ls_utf8_decode(s.p + at, end - at, &c) || ls_unicode_category(c) != LS_KIND_SPACE) {
            break;
        }
        end = at;
    }
    return s.len - end;
}

/* The first character of s and the marks and joiners that go with it. */
static size_t grapheme(ls_str s)
{
    utf8proc_int32_t state = 0;
    uint32_t         last, c = 0;
    size_t           at = ls_utf8_decode(s.p, s.len, &last), n;
    while (at && at < s.len && (n = ls_utf8_decode(s.p + at, s.len - at, &c)) > 0) {
        if (utf8proc_grapheme_break_stateful((utf8proc_int32_t)last, (utf8proc_int32_t)c, &state)) {
            break;
        }
        last = c;
        at += n;
    }
    return at ? at : 1;
}

/* As Hugging Face's tokenizers do it, which is not quite SentencePiece's way: a short grapheme is
 * replaced as a whole by what stands for its beginning, a long one character by character. */
static ls_status replace_graphemes(const ls_step *s, ls_str text, buffer *out, ls_error *err)
{
    for (size_t i = 0, end, used; i < text.len; i = end) {
        ls_str by, whole = {text.p + i, grapheme((ls_str){text.p + i, text.len - i})};
        end = i + whole.len;
        used = 0;
        if (whole.len < 6) LS_TRY(ls_charsmap_find(&s->charsmap, whole, true, &used, &by, err));
        if (used) LS_TRY(put(out, by.p, by.len, err));
        for (size_t k = 0, n; k < whole.len && !used; k += n) {
            size_t ignored;
            n = ls_utf8_len(whole.p[k]);
            if (n > whole.len - k) n = whole.len - k;
            by = (ls_str){whole.p + k, n};
            LS_TRY(ls_charsmap_find(&s->charsmap, by, true, &ignored, &by, err));
            LS_TRY(put(out, by.p, by.len, err));
        }
    }
    return LS_OK;
}

/* The file's replacements may be any bytes; what goes on is UTF-8. */
static ls_status apply_charsmap(const ls_step *s, ls_str text, buffer *out, ls_error *err)
{
    buffer    raw = {.limit = out->limit};
    ls_status status = replace_graphemes(s, text, &raw, err);
    if (status == LS_OK && ls_utf8_is_valid(raw.p, raw.n)) {
        status = put(out, raw.p, raw.n, err);
    } else if (status == LS_OK) {
        status = ls_fail(err, LS_ERR_FORMAT, "the 'precompiled_charsmap' writes what is no UTF-8");
    }
    free(raw.p);
    return status;
}

static ls_status to_byte_chars(ls_str text, buffer *out, ls_error *err)
{
    for (size_t i = 0; i < text.len; i++) {
        LS_TRY(put_char(out, ls_byte_char((uint8_t)text.p[i]), err));
    }
    return LS_OK;
}

static ls_status apply(const ls_step *s, ls_str text, buffer *out, ls_error *err)
{
    switch ((int)s->kind) {
    case LS_STEP_NFC:
        return normal_form(text, UTF8PROC_COMPOSE, out, err);
    case LS_STEP_NFD:
        return normal_form(text, UTF8PROC_DECOMPOSE, out, err);
    case LS_STEP_NFKC:
        return normal_form(text, UTF8PROC_COMPOSE | UTF8PROC_COMPAT, out, err);
    case LS_STEP_NFKD:
        return normal_form(text, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, out, err);
    case LS_STEP_STRIP: {
        size_t before = s->left ? space_before(text) : 0, behind;
        text = (ls_str){text.p + before, text.len - before};
        behind = s->right ? space_behind(text) : 0;
        return put(out, text.p, text.len - behind, err);
    }
    case LS_STEP_REPLACE:
        return replace_all(s, text, out, err);
    case LS_STEP_PREPEND:
        if (text.len) LS_TRY(put(out, s->text.p, s->text.len, err));
        return put(out, text.p, text.len, err);
    case LS_STEP_BERT:
        return bert(s, text, out, err);
    case LS_STEP_CHARSMAP:
        return apply_charsmap(s, text, out, err);
    case LS_STEP_BYTE_LEVEL:
        return to_byte_chars(text, out, err);
    default:
        return map_chars(s, s->kind, text, out, err);
    }
}

ls_status ls_tj_apply(const ls_step *s, char **text, size_t *len, size_t limit, ls_error *err)
{
    buffer    out = {.limit = limit};
    ls_status status = put(&out, "", 0, err);
    if (status == LS_OK) status = apply(s, (ls_str){*text, *len}, &out, err);
    if (status != LS_OK) {
        free(out.p);
        return status;
    }
    free(*text);
    *text = out.p;
    *len = out.n;
    return LS_OK;
}

ls_status ls_tj_normalize(const ls_tj *tj, char **text, size_t *len, ls_error *err)
{
    /* No honest normalizer makes a text this much longer; a malicious one could, step by step. */
    size_t limit = 64 * *len + 65536;
    for (size_t i = 0; i < tj->normalizer.n; i++) {
        LS_TRY(ls_tj_apply(&tj->normalizer.at[i], text, len, limit, err));
    }
    return LS_OK;
}
