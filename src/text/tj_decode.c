// SPDX-License-Identifier: MIT
/* tj_decode.c - the decoder of a tokenizer.json, applied to every token once, when the file is
 * read: writing text is then copying. What a decoder does only at the start or the end of a whole
 * text is the space before the first word (add_space_prefix) and the one behind the last
 * (space_suffix).
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bpe.h"
#include "text/tj.h"
#include "text/unicode.h"

typedef struct decoder {
    ls_tokenizer *t;
    char         *text; /* of the token at hand; owned */
    size_t        len;
    char         *all; /* of all tokens */
    size_t        n, cap;
} decoder;

static ls_status set(decoder *d, const char *prefix, ls_str s, ls_error *err)
{
    size_t n = strlen(prefix);
    char  *next;
    LS_TRY(ls_alloc(&next, n + s.len + 1, 1, "a tokenizer", err));
    memcpy(next, prefix, n);
    if (s.len) memcpy(next + n, s.p, s.len);
    free(d->text);
    d->text = next;
    d->len = n + s.len;
    return LS_OK;
}

static ls_status replace_literal(decoder *d, ls_str what, ls_str by, ls_error *err)
{
    ls_step   s = {.kind = LS_STEP_REPLACE, .text = by};
    ls_status status;
    if (!what.len || !memmem(d->text, d->len, what.p, what.len)) return LS_OK;
    status = ls_regex_create(&s.pattern, what, true, err);
    if (status == LS_OK) status = ls_tj_apply(&s, &d->text, &d->len, SIZE_MAX, err);
    ls_regex_destroy(s.pattern);
    return status;
}

static ls_status byte_level(decoder *d, ls_error *err)
{
    char  *bytes;
    size_t n = ls_bpe_bytes(d->t, (ls_str){d->text, d->len}, NULL, 0);
    LS_TRY(ls_alloc(&bytes, n + 1, 1, "a tokenizer", err));
    ls_bpe_bytes(d->t, (ls_str){d->text, d->len}, bytes, n);
    free(d->text);
    d->text = bytes;
    d->len = n;
    return LS_OK;
}

/* Texts of which the second is written for the first, in this order. */
static const char *const cleanups[][2] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};

static ls_status wordpiece(decoder *d, const ls_step *s, ls_error *err)
{
    ls_str text = {d->text, d->len};
    if (s->text.len && d->len >= s->text.len && !memcmp(d->text, s->text.p, s->text.len)) {
        LS_TRY(set(d, "", (ls_str){d->text + s->text.len, d->len - s->text.len}, err));
    } else {
        LS_TRY(set(d, " ", text, err));
    }
    for (size_t i = 0; i < sizeof(cleanups) / sizeof(cleanups[0]) && s->clean; i++) {
        ls_str what = {cleanups[i][0], strlen(cleanups[i][0])};
        LS_TRY(replace_literal(d, what, (ls_str){cleanups[i][1], strlen(cleanups[i][1])}, err));
    }
    return LS_OK;
}

static ls_status strip(decoder *d, const ls_step *s, ls_error *err)
{
    ls_str text = {d->text, d->len};
    size_t k = s->text.len;
    for (size_t i = 0; i < s->start && k && text.len >= k && !memcmp(text.p, s->text.p, k); i++) {
        text = (ls_str){text.p + k, text.len - k};
    }
    for (size_t i = 0; i < s->stop && k && text.len >= k; i++) {
        if (memcmp(text.p + text.len - k, s->text.p, k)) break;
        text.len -= k;
    }
    return set(d, "", text, err);
}

static ls_status apply(decoder *d, const ls_step *s, int32_t id, ls_error *err)
{
    int byte;
    switch ((int)s->kind) {
    case LS_STEP_BYTE_LEVEL: /* added tokens are text, not bytes */
        return d->t->type[id] == LS_TOKEN_NORMAL ? byte_level(d, err) : LS_OK;
    case LS_STEP_METASPACE:
        return replace_literal(d, s->text, LS_STR(" "), err);
    case LS_STEP_BYTE_FALLBACK:
        byte = ls_vocab_byte_of(d->t->text[id]);
        if (byte < 0 || d->len != 6) return LS_OK;
        d->text[0] = (char)byte;
        d->len = 1;
        d->t->type[id] = LS_TOKEN_BYTE;
        return LS_OK;
    case LS_STEP_STRIP:
        return strip(d, s, err);
    case LS_STEP_REPLACE: /* patterns look at UTF-8; a byte of a character stays as it is */
        if (!ls_utf8_is_valid(d->text, d->len)) return LS_OK;
        return ls_tj_apply(s, &d->text, &d->len, 64 * d->len + 65536, err);
    case LS_STEP_WORDPIECE:
        return wordpiece(d, s, err);
    case LS_STEP_BPE_SUFFIX:
        return replace_literal(d, s->text, LS_STR(" "), err);
    default:
        return LS_OK;
    }
}

/* Steps behind Fuse see the whole text: what of it is known is the space before it. */
static ls_status read_whole(ls_tokenizer *t, const ls_tj_file *f, size_t *n_steps, ls_error *err)
{
    static const ls_tj_place at = {NULL, "decoder", 0};
    ls_steps                *d = &t->tj->decoder;
    bool                     whole = false;
    *n_steps = d->n;
    t->add_space_prefix = d->n == 0; /* without a decoder there are spaces between tokens */
    for (size_t i = 0; i < d->n; i++) {
        const ls_step *s = &d->at[i];
        if (s->kind == LS_STEP_FUSE) {
            whole = true;
            *n_steps = i;
        }
        if (s->kind == LS_STEP_METASPACE && s->scheme != LS_PREPEND_NEVER) {
            t->add_space_prefix = t->drop_first_spaces = true;
        }
        if (s->kind == LS_STEP_WORDPIECE) t->add_space_prefix = true;
        if (s->kind == LS_STEP_BPE_SUFFIX) t->space_suffix = true;
        if (!whole || s->kind == LS_STEP_FUSE) continue;
        if (s->kind != LS_STEP_STRIP || !ls_str_is(s->text, " ") || s->start > 1 || s->stop) {
            return ls_tj_fail(f, &at, LS_ERR_UNSUPPORTED, err,
                              "has a step behind Fuse that is not supported");
        }
        t->add_space_prefix = s->start == 1;
    }
    return LS_OK;
}

static ls_status decode(decoder *d, size_t n_steps, int32_t id, ls_error *err)
{
    const ls_tj *tj = d->t->tj;
    LS_TRY(set(d, tj->decoder.n || d->t->type[id] == LS_TOKEN_UNDEFINED ? "" : " ", d->t->text[id],
               err));
    for (size_t i = 0; i < n_steps; i++) LS_TRY(apply(d, &tj->decoder.at[i], id, err));
    LS_TRY(ls_grow(&d->all, &d->cap, d->n + d->len, 1, "the vocabulary", err));
    if (d->len) memcpy(d->all + d->n, d->text, d->len);
    tj->pieces[id].len = d->len;
    d->n += d->len;
    return LS_OK;
}

ls_status ls_tj_decode_all(ls_tokenizer *t, const ls_tj_file *f, ls_error *err)
{
    decoder   d = {.t = t};
    size_t    n_steps, at = 0;
    ls_status status;
    LS_TRY(read_whole(t, f, &n_steps, err));
    ls_bpe_init_bytes(t);
    LS_TRY(ls_alloc(&t->tj->pieces, (size_t)t->n_vocab, sizeof(ls_str), "the vocabulary", err));
    status = LS_OK;
    for (int32_t i = 0; i < t->n_vocab && status == LS_OK; i++)
        status = decode(&d, n_steps, i, err);
    for (int32_t i = 0; i < t->n_vocab && status == LS_OK; i++) {
        t->tj->pieces[i].p = d.all + at;
        at += t->tj->pieces[i].len;
    }
    t->tj->piece_texts = d.all;
    free(d.text);
    return status;
}
