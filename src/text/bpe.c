// SPDX-License-Identifier: MIT
/* bpe.c - byte-level BPE (Radford et al. 2019, section 2.2): a pattern cuts the text into words,
 * the bytes of a word become printable characters, and pairs are joined by merge rank. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/chars.h"
#include "text/merge.h"

/* ---- bytes as printable characters ---- */

/* Printable Latin-1 stays itself; the other 68 bytes become U+0100 upwards, in order. */
static uint32_t char_of_byte(uint8_t b)
{
    if (b <= 32) return 0x100u + b;
    if (b >= 127 && b <= 160) return 0x100u + 33 + (b - 127u);
    return b == 173 ? 0x100u + 67 : b;
}

/* The byte that a character stands for, or -1. */
static int byte_of_char(uint32_t c)
{
    if (c >= 0x100 && c < 0x100 + 33) return (int)c - 0x100;
    if (c >= 0x100 + 33 && c < 0x100 + 67) return (int)c - 0x100 - 33 + 127;
    if (c == 0x100 + 67) return 173;
    return c < 0x100 && char_of_byte((uint8_t)c) == c ? (int)c : -1;
}

size_t ls_bpe_bytes(ls_str text, char *buf, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t c;
        size_t   k = ls_char_get(text.p + i, text.len - i, &c);
        int      b = byte_of_char(c);
        for (size_t j = 0; j < (b >= 0 ? 1 : k); j++, n++) { /* not one of ours: stands for itself */
            if (n < cap) buf[n] = b >= 0 ? (char)b : text.p[i + j];
        }
        i += k;
    }
    return n;
}

/* ---- words ---- */

typedef struct encoder {
    const ls_tokenizer *t;
    ls_merger           m;
    char               *word; /* the word's bytes as characters */
    size_t              word_cap;
    ls_ids             *out;
} encoder;

static bool pair_by_rank(const ls_tokenizer *t, ls_str a, ls_str b, double *priority)
{
    int32_t rank = ls_str_map_get_pair(&t->merges, a, b);
    *priority = rank;
    return rank >= 0;
}

static ls_status emit(encoder *e, ls_error *err)
{
    for (int32_t i = e->m.n_symbols ? 0 : -1; i >= 0; i = e->m.symbols[i].next) {
        ls_str  s = e->m.symbols[i].s;
        int32_t id = ls_str_map_get(&e->t->ids, s);
        if (id >= 0) {
            LS_TRY(ls_ids_push(e->out, id, err));
            continue;
        }
        for (size_t j = 0; j < s.len; j++) { /* as the reference: byte by byte, if there */
            id = ls_str_map_get(&e->t->ids, (ls_str){s.p + j, 1});
            if (id >= 0) LS_TRY(ls_ids_push(e->out, id, err));
        }
    }
    return LS_OK;
}

static ls_status encode_word(encoder *e, ls_str bytes, ls_error *err)
{
    size_t  n = 0, k;
    int32_t id;

    LS_TRY(ls_grow(&e->word, &e->word_cap, 2 * bytes.len + 4, 1, "a tokenizer", err));
    for (size_t i = 0; i < bytes.len; i++) {
        n += ls_char_put(e->word + n, char_of_byte((uint8_t)bytes.p[i]));
    }
    if (e->t->ignore_merges && (id = ls_str_map_get(&e->t->ids, (ls_str){e->word, n})) >= 0) {
        return ls_ids_push(e->out, id, err);
    }
    e->m.n_symbols = 0;
    for (size_t at = 0; at < n; at += k) {
        k = (uint8_t)e->word[at] < 0x80 ? 1 : 2;
        LS_TRY(ls_merger_add(&e->m, (ls_str){e->word + at, k}, err));
    }
    LS_TRY(ls_merger_run(&e->m, e->t, pair_by_rank, err));
    return emit(e, err);
}

/* ---- text ---- */

/* Text in clean UTF-8, and the class of each of its characters. */
typedef struct classified {
    char    *text;
    uint8_t *classes;
    size_t   n; /* characters */
} classified;

static ls_status classify(classified *c, ls_str text, ls_error *err)
{
    size_t at = 0;
    LS_TRY(ls_alloc(&c->text, text.len + 2, 3, "a tokenizer", err)); /* U+FFFD has three bytes */
    LS_TRY(ls_alloc(&c->classes, text.len, 1, "a tokenizer", err));
    for (size_t i = 0; i < text.len; c->n++) {
        uint32_t code;
        i += ls_char_get(text.p + i, text.len - i, &code);
        c->classes[c->n] = ls_char_class(code);
        at += ls_char_put(c->text + at, code);
    }
    return LS_OK;
}

/* The bytes of the next n characters of *text, which moves on. */
static ls_str take(const char **text, size_t n)
{
    const char *start = *text;
    for (; n > 0; n--) {
        uint8_t first = (uint8_t)**text;
        *text += first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    }
    return (ls_str){start, (size_t)(*text - start)};
}

static ls_status encode_words(encoder *e, const classified *c, pcre2_match_data *match,
                              ls_error *err)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(match);
    const char       *text = c->text;

    for (size_t at = 0; at < c->n; at = found[1]) {
        int rc = pcre2_match(e->t->pattern, c->classes, c->n, at, 0, match, NULL);
        if (rc == PCRE2_ERROR_NOMATCH) return encode_word(e, take(&text, c->n - at), err);
        if (rc < 0) {
            return ls_fail(err, LS_ERR_LIMIT, "the pre-tokenizer gave up on the text (PCRE2 %d)",
                           rc);
        }
        if (found[0] > at) LS_TRY(encode_word(e, take(&text, found[0] - at), err));
        LS_TRY(encode_word(e, take(&text, found[1] - found[0]), err));
    }
    return LS_OK;
}

ls_status ls_bpe_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    encoder           e = {.t = t, .out = out};
    classified        c = {0};
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(t->pattern, NULL);
    ls_status         status = LS_OK;

    if (!match) status = ls_fail(err, LS_ERR_NOMEM, "not enough memory for a tokenizer");
    if (status == LS_OK) status = classify(&c, text, err);
    if (status == LS_OK) status = encode_words(&e, &c, match, err);
    pcre2_match_data_free(match);
    ls_merger_fini(&e.m);
    free(e.word);
    free(c.text);
    free(c.classes);
    return status;
}
