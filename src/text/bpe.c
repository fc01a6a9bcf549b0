// SPDX-License-Identifier: MIT
/* bpe.c - byte-level BPE (Radford et al. 2019, section 2.2): a pattern cuts the text into words,
 * the bytes of a word become printable characters, and pairs are joined by merge rank. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/merge.h"

/* Pre-tokenizers: the pattern that cuts words, and what the reference assumes with it. */
#define LLAMA3_CONTRACTIONS "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
static const char llama_bpe[] = LLAMA3_CONTRACTIONS
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen2[] = LLAMA3_CONTRACTIONS
    "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
                           "|\\s+(?!\\S)|\\s+";

static const struct {
    const char *name, *pattern;
    bool        ignore_merges, add_bos;
} pres[] = {
    {"llama-bpe", llama_bpe, true, true}, {"llama3", llama_bpe, true, true},
    {"llama-v3", llama_bpe, true, true},  {"gpt-2", gpt2, false, false},
    {"qwen2", qwen2, false, false},
};

static ls_status compile(ls_tokenizer *t, const char *pattern, ls_error *err)
{
    int        code;
    PCRE2_SIZE at;
    t->pattern = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP,
                               &code, &at, NULL);
    if (!t->pattern) {
        return ls_fail(err, LS_ERR_NOMEM, "cannot compile the pre-tokenizer's pattern (PCRE2 %d)",
                       code);
    }
    pcre2_jit_compile(t->pattern, PCRE2_JIT_COMPLETE); /* without JIT it is slower, not wrong */
    return LS_OK;
}

static ls_status read_merges(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    const ls_gguf_kv *kv = ls_gguf_array(g, "tokenizer.ggml.merges", LS_GGUF_STR);
    const void       *cursor;
    if (!kv || kv->n > INT32_MAX) {
        ls_fail(err, LS_ERR_FORMAT, "metadata key 'tokenizer.ggml.merges' is missing");
        return ls_fail_at(err, "%s", ls_gguf_path(g)), LS_ERR_FORMAT;
    }
    LS_TRY(ls_str_map_init(&t->merges, (size_t)kv->n, err));
    cursor = kv->data;
    for (uint64_t i = 0; i < kv->n; i++) {
        ls_str_map_put(&t->merges, ls_gguf_next_str(&cursor), (int32_t)i);
    }
    return LS_OK;
}

ls_status ls_bpe_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    for (size_t i = 0; i < sizeof(pres) / sizeof(pres[0]); i++) {
        if (strcmp(t->pre, pres[i].name)) continue;
        t->ignore_merges = pres[i].ignore_merges;
        t->add_bos = pres[i].add_bos;
        LS_TRY(read_merges(t, g, err));
        return compile(t, pres[i].pattern, err);
    }
    ls_fail(err, LS_ERR_UNSUPPORTED, "pre-tokenizer '%s' is not supported", t->pre);
    ls_fail_at(err, "%s: metadata key 'tokenizer.ggml.pre'", ls_gguf_path(g));
    ls_fail_hint(err, "supported are llama-bpe, gpt-2 and qwen2");
    return LS_ERR_UNSUPPORTED;
}

/* ---- bytes as printable characters ---- */

/* Printable Latin-1 stays itself; the other 68 bytes become U+0100 upwards, in order. */
static uint32_t byte_char(uint8_t b)
{
    uint32_t next = 256;
    if ((b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174) return b;
    for (uint32_t i = 0; i < b; i++) {
        if (!((i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174)) next++;
    }
    return next;
}

static size_t put_char(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = (char)(0xc0 | c >> 6);
    out[1] = (char)(0x80 | (c & 63));
    return 2;
}

size_t ls_bpe_bytes(ls_str text, char *buf, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        uint8_t  b = (uint8_t)text.p[i];
        uint32_t c = b;
        size_t   k = 1;
        if (b >= 0xc0 && b < 0xe0 && i + 1 < text.len) {
            c = (uint32_t)(b & 31) << 6 | ((uint8_t)text.p[i + 1] & 63);
            k = 2;
        }
        for (int j = 0; k == 2 && j < 256; j++) {
            if (byte_char((uint8_t)j) == c) {
                b = (uint8_t)j;
                k = 3;
            }
        }
        if (k == 2) { /* not one of ours: its bytes stand for themselves */
            if (n < cap) buf[n] = text.p[i];
            n++;
            b = (uint8_t)text.p[i + 1];
        }
        if (n < cap) buf[n] = (char)b;
        n++;
        i += k > 1 ? 2 : 1;
    }
    return n;
}

/* ---- words ---- */

static bool pair_by_rank(const ls_tokenizer *t, ls_str a, ls_str b, double *priority)
{
    int32_t rank = ls_str_map_get_pair(&t->merges, a, b);
    *priority = rank;
    return rank >= 0;
}

typedef struct encoder {
    const ls_tokenizer *t;
    ls_merger           m;
    char               *word; /* the word's bytes as characters */
    size_t              word_cap;
    char                chars[256][2];
    uint8_t             char_len[256];
    ls_ids             *out;
} encoder;

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

static ls_status encode_word(encoder *e, const char *p, size_t len, ls_error *err)
{
    size_t  n = 0;
    int32_t id;
    LS_TRY(ls_grow(&e->word, &e->word_cap, 2 * len + 1, 1, "a tokenizer", err));
    e->m.n_symbols = 0;
    for (size_t i = 0; i < len; i++) {
        uint8_t b = (uint8_t)p[i];
        memcpy(e->word + n, e->chars[b], e->char_len[b]);
        n += e->char_len[b];
    }
    if (e->t->ignore_merges && (id = ls_str_map_get(&e->t->ids, (ls_str){e->word, n})) >= 0) {
        return ls_ids_push(e->out, id, err);
    }
    for (size_t i = 0, at = 0; i < len; at += e->char_len[(uint8_t)p[i++]]) {
        LS_TRY(ls_merger_add(&e->m, (ls_str){e->word + at, e->char_len[(uint8_t)p[i]]}, err));
    }
    LS_TRY(ls_merger_run(&e->m, e->t, pair_by_rank, err));
    return emit(e, err);
}

/* Length of a valid character at p, 0 if there is none. */
static size_t valid_char(const uint8_t *p, size_t left)
{
    size_t   n = *p < 0x80 ? 1 : *p >= 0xc2 && *p < 0xe0 ? 2 : *p >= 0xe0 && *p < 0xf0 ? 3
               : *p >= 0xf0 && *p < 0xf5 ? 4 : 0;
    uint32_t c;
    if (n == 0 || n > left) return 0;
    if (n == 1) return 1;
    c = *p & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (p[i] & 63);
    }
    if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c < 0xe000))) ||
        (n == 4 && (c < 0x10000 || c > 0x10ffff))) {
        return 0;
    }
    return n;
}

/* Patterns need valid UTF-8: every byte that is not part of any becomes U+FFFD. */
static ls_status sanitize(const char *text, size_t len, char **out, size_t *n, ls_error *err)
{
    char *buf;
    LS_TRY(ls_alloc(&buf, len, 3, "a tokenizer", err));
    *n = 0;
    for (size_t i = 0; i < len;) {
        size_t k = valid_char((const uint8_t *)text + i, len - i);
        memcpy(buf + *n, k ? text + i : "\xef\xbf\xbd", k ? k : 3);
        *n += k ? k : 3;
        i += k ? k : 1;
    }
    *out = buf;
    return LS_OK;
}

static ls_status encode_words(encoder *e, const char *text, size_t n, pcre2_match_data *match,
                              ls_error *err)
{
    size_t at = 0;
    while (at < n) {
        PCRE2_SIZE *found = pcre2_get_ovector_pointer(match);
        int rc = pcre2_match(e->t->pattern, (PCRE2_SPTR)text, n, at, PCRE2_NO_UTF_CHECK, match, NULL);
        if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
            return ls_fail(err, LS_ERR_LIMIT, "the pre-tokenizer gave up on the text (PCRE2 %d)", rc);
        }
        if (rc < 0 || found[1] <= at) {
            return encode_word(e, text + at, n - at, err);
        }
        if (found[0] > at) LS_TRY(encode_word(e, text + at, found[0] - at, err));
        LS_TRY(encode_word(e, text + found[0], found[1] - found[0], err));
        at = found[1];
    }
    return LS_OK;
}

ls_status ls_bpe_encode(const ls_tokenizer *t, const char *text, size_t len, ls_ids *out,
                        ls_error *err)
{
    encoder           e = {.t = t, .out = out};
    pcre2_match_data *match = pcre2_match_data_create_from_pattern(t->pattern, NULL);
    char             *clean = NULL;
    size_t            n = 0;
    ls_status         status = LS_OK;

    for (int b = 0; b < 256; b++) e.char_len[b] = (uint8_t)put_char(e.chars[b], byte_char((uint8_t)b));
    if (!match) status = ls_fail(err, LS_ERR_NOMEM, "not enough memory for a tokenizer");
    if (status == LS_OK) status = sanitize(text, len, &clean, &n, err);
    if (status == LS_OK) status = encode_words(&e, clean, n, match, err);
    pcre2_match_data_free(match);
    ls_merger_fini(&e.m);
    free(e.word);
    free(clean);
    return status;
}
