// SPDX-License-Identifier: MIT
/* bpe.c - byte-level BPE (Radford et al. 2019, section 2.2): the bytes of a word become printable
 * characters, and pairs of them are joined by merge rank. pretok.c cuts the words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/merge.h"
#include "text/unicode.h"

static const char merges_key[] = "tokenizer.ggml.merges";

/* Printable Latin-1 stays itself; the other 68 bytes become U+0100 upwards, in order. */
static void init_byte_chars(ls_tokenizer *t)
{
    uint32_t next = 256;
    for (size_t c = 0; c < LS_N_BYTE_CHARS; c++) t->char_byte[c] = -1;
    for (uint32_t b = 0; b < 256; b++) {
        bool     printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        uint32_t c = printable ? b : next++;
        char     utf8[4] = {0};
        t->byte_char_len[b] = (uint8_t)ls_utf8_encode(c, utf8);
        memcpy(t->byte_char[b], utf8, sizeof(t->byte_char[b]));
        t->char_byte[c] = (int16_t)b;
    }
}

static ls_status read_merges(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    const ls_gguf_kv *kv = ls_gguf_array(g, merges_key, LS_GGUF_STR);
    const void       *cursor;
    if (!kv && !ls_gguf_find(g, merges_key) && (t->traits & LS_PRETOK_NO_MERGES)) {
        return ls_str_map_init(&t->merges, 0, err);
    }
    if (!kv || kv->n > INT32_MAX) {
        return ls_vocab_bad_key(g, merges_key, "is no list of strings", err);
    }
    LS_TRY(ls_str_map_init(&t->merges, (size_t)kv->n, err));
    cursor = kv->data;
    for (uint64_t i = 0; i < kv->n; i++) {
        ls_str_map_put(&t->merges, ls_gguf_next_str(&cursor), (int32_t)i);
    }
    return LS_OK;
}

ls_status ls_bpe_init(ls_tokenizer *t, const ls_gguf *g, ls_str pre, ls_error *err)
{
    ls_status status = ls_pretok_create(&t->pretok, pre, &t->traits, err);
    if (status == LS_ERR_UNSUPPORTED) {
        ls_fail_at(err, "%s: metadata key 'tokenizer.ggml.pre'", ls_gguf_path(g));
    }
    if (status != LS_OK) return status;
    if (t->traits & LS_PRETOK_ADD_BOS) t->add_bos = true;
    init_byte_chars(t);
    return read_merges(t, g, err);
}

void ls_bpe_init_bytes(ls_tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        char name[8], self = (char)b;
        snprintf(name, sizeof(name), "<0x%02X>", (unsigned)b);
        t->byte_id[b] = t->traits & LS_PRETOK_RAW ? ls_tokenizer_find(t, name)
                                                  : ls_str_map_get(&t->ids, (ls_str){&self, 1});
    }
}

size_t ls_bpe_bytes(const ls_tokenizer *t, ls_str text, char *buf, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t    c = LS_N_BYTE_CHARS;
        size_t      k = ls_utf8_decode(text.p + i, text.len - i, &c);
        char        byte;
        const char *from = text.p + i; /* what stands for no byte stays as it is */
        if (k == 0) k = 1;
        i += k;
        if (c < LS_N_BYTE_CHARS && t->char_byte[c] >= 0) {
            byte = (char)t->char_byte[c];
            from = &byte;
            k = 1;
        }
        for (size_t j = 0; j < k; j++, n++) {
            if (n < cap) buf[n] = from[j];
        }
    }
    return n;
}

/* ---- words ---- */

typedef struct encoder {
    const ls_tokenizer *t;
    ls_merger           m;
    char               *word; /* the word's bytes as characters */
    size_t              cap;
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
            id = e->t->byte_id[(uint8_t)s.p[j]];
            if (id >= 0) LS_TRY(ls_ids_push(e->out, id, err));
        }
    }
    return LS_OK;
}

/* The word as the vocabulary spells it. */
static ls_status spell(encoder *e, ls_str word, ls_str *out, ls_error *err)
{
    const ls_tokenizer *t = e->t;
    size_t              n = 0;
    *out = word;
    if (t->traits & LS_PRETOK_RAW) return LS_OK;
    LS_TRY(ls_grow(&e->word, &e->cap, 2 * word.len + 1, 1, "a tokenizer", err));
    for (size_t i = 0; i < word.len; i++) {
        uint8_t b = (uint8_t)word.p[i];
        memcpy(e->word + n, t->byte_char[b], t->byte_char_len[b]);
        n += t->byte_char_len[b];
    }
    *out = (ls_str){e->word, n};
    return LS_OK;
}

static bool is_whole(const ls_tokenizer *t, ls_str word)
{
    if (t->traits & LS_PRETOK_IGNORE_MERGES) return true;
    return (t->traits & LS_PRETOK_LINES) && word.len && word.p[0] == '\n';
}

static ls_status encode_word(encoder *e, ls_str word, ls_error *err)
{
    const ls_tokenizer *t = e->t;
    int32_t             id;
    LS_TRY(spell(e, word, &word, err));
    if (is_whole(t, word) && (id = ls_str_map_get(&t->ids, word)) >= 0) {
        return ls_ids_push(e->out, id, err);
    }
    e->m.n_symbols = 0;
    for (size_t at = 0; at < word.len;) {
        size_t k = ls_utf8_len(word.p[at]);
        if (k > word.len - at) k = word.len - at;
        LS_TRY(ls_merger_add(&e->m, (ls_str){word.p + at, k}, err));
        at += k;
    }
    LS_TRY(ls_merger_run(&e->m, t, pair_by_rank, err));
    return emit(e, err);
}

static ls_status encode_words(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    encoder     e = {.t = t, .out = out};
    ls_words    words;
    ls_status   status = ls_pretok_split(t->pretok, text.p, text.len, &words, err);
    const char *at = words.text;
    for (size_t i = 0; i < words.n && status == LS_OK; at += words.len[i++]) {
        status = encode_word(&e, (ls_str){at, words.len[i]}, err);
    }
    ls_words_fini(&words);
    ls_merger_fini(&e.m);
    free(e.word);
    return status;
}

ls_status ls_bpe_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    char     *escaped;
    ls_status status;
    if (!(t->traits & LS_PRETOK_ESCAPE)) return encode_words(t, text, out, err);
    LS_TRY(ls_alloc(&escaped, text.len, 3, "a tokenizer", err));
    status = encode_words(t, ls_spm_escape(text, escaped), out, err);
    free(escaped);
    return status;
}
