// SPDX-License-Identifier: MIT
/* wpm.c - WordPiece (BERT, Devlin et al. 2019): text is cut at white space and around punctuation
 * and ideographs; a word becomes the longest tokens from its beginning, or one unknown token.
 * U+2581 stands before a word. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"
#include "text/vocab.h"

typedef struct encoder {
    const ls_tokenizer *t;
    char               *word; /* with its mark */
    size_t              n, cap;
    ls_ids             *out;
} encoder;

static const char mark[] = "\xe2\x96\x81";

enum { MARK = sizeof(mark) - 1 };

/* The blocks that BERT's tokenizers put spaces around, as the reference has them. */
static bool is_ideograph(uint32_t c)
{
    static const struct {
        uint32_t first, last;
    } blocks[] = {{0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfaff},   {0x20000, 0x2a6df},
                  {0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, {0x2f800, 0x2fa1f}};
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        if (c >= blocks[i].first && c <= blocks[i].last) return true;
    }
    return false;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || ls_unicode_kind(c) == LS_KIND_SPACE;
}

static bool is_dropped(uint32_t c)
{
    return c < ' ' || c == 0x7f || c == 0xfffd || ls_unicode_kind(c) == LS_KIND_CONTROL;
}

/* ASCII's symbols are signs, too, others are letters of a word. */
static bool is_sign(uint32_t c)
{
    bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    return c < 0x80 ? c > ' ' && !alphanumeric : ls_unicode_kind(c) == LS_KIND_PUNCT;
}

/* Length of the longest token that the text begins with, 0 for none. */
static size_t longest(const ls_tokenizer *t, ls_str s, int32_t *id)
{
    for (size_t n = s.len < t->max_len ? s.len : t->max_len; n > 0; n--) {
        *id = ls_str_map_get(&t->ids, (ls_str){s.p, n});
        if (*id >= 0) return n;
    }
    return 0;
}

static ls_status end_word(encoder *e, ls_error *err)
{
    size_t before = e->out->n;
    for (size_t i = 0, k; i < e->n && e->n > MARK; i += k) {
        int32_t id = -1;
        k = longest(e->t, (ls_str){e->word + i, e->n - i}, &id);
        if (k == 0) e->out->n = before;
        if (k == 0) id = e->t->unk;
        if (id >= 0) LS_TRY(ls_ids_push(e->out, id, err));
        if (k == 0) break;
    }
    e->n = MARK;
    return LS_OK;
}

static ls_status add_char(encoder *e, uint32_t c, ls_error *err)
{
    bool alone;
    if (e->t->strip_accents) c = ls_unicode_base(c);
    if (is_space(c)) return end_word(e, err);
    if (is_dropped(c)) return LS_OK;
    if (e->t->strip_accents && ls_unicode_kind(c) == LS_KIND_MARK) return LS_OK;
    alone = is_sign(c) || is_ideograph(c);
    if (e->t->lower_case) c = ls_unicode_lower(c);
    if (alone) LS_TRY(end_word(e, err));
    LS_TRY(ls_grow(&e->word, &e->cap, e->n + 4, 1, "a tokenizer", err));
    e->n += ls_utf8_encode(c, e->word + e->n);
    return alone ? end_word(e, err) : LS_OK;
}

ls_status ls_wpm_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    encoder   e = {.t = t, .n = MARK, .out = out};
    ls_status status = ls_grow(&e.word, &e.cap, MARK, 1, "a tokenizer", err);
    if (status == LS_OK) memcpy(e.word, mark, MARK);
    for (size_t i = 0; i < text.len && status == LS_OK;) {
        uint32_t c = 0xfffd;
        size_t   k = ls_utf8_decode(text.p + i, text.len - i, &c);
        status = add_char(&e, c, err);
        i += k ? k : 1;
    }
    if (status == LS_OK) status = end_word(&e, err);
    free(e.word);
    return status;
}
