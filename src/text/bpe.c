// SPDX-License-Identifier: MIT
/* bpe.c - byte-pair encoding: pairs of symbols are joined by merge rank. In byte-level vocabularies
 * (Radford et al. 2019, section 2.2) the bytes of a word are symbols, written as printable
 * characters; in plain ones its characters are. pretok.c cuts the words.
 *
 * A merge is a pair of numbers, so that joining looks nothing up by text; words that a text has
 * again take the ids of the first time.
 */
#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"

static const char merges_key[] = "tokenizer.ggml.merges";
static const char space[] = "\xe2\x96\x81";

void ls_bpe_init_bytes(ls_tokenizer *t)
{
    ls_bpe *b = &t->bpe;
    for (size_t c = 0; c < LS_N_BYTE_CHARS; c++) b->char_byte[c] = -1;
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t c = ls_byte_char((uint8_t)byte);
        char     utf8[4] = {0};
        b->byte_char_len[byte] = (uint8_t)ls_utf8_encode(c, utf8);
        memcpy(b->byte_char[byte], utf8, sizeof(b->byte_char[byte]));
        b->char_byte[c] = (int16_t)byte;
        b->byte_sym[byte] = ls_str_map_get(&t->ids, (ls_str){utf8, b->byte_char_len[byte]});
    }
}

/* ---- merges ---- */

/* A text that is no token, copied. */
struct ls_bpe_text {
    struct ls_bpe_text *next;
    char                p[];
};

static ls_status keep_text(ls_bpe *b, ls_str *text, ls_error *err)
{
    struct ls_bpe_text *kept;
    LS_TRY(ls_alloc(&kept, sizeof(*kept) + text->len, 1, "the vocabulary", err));
    memcpy(kept->p, text->p, text->len);
    kept->next = b->texts;
    b->texts = kept;
    text->p = kept->p;
    return LS_OK;
}

static int32_t known_symbol(const ls_tokenizer *t, ls_str text)
{
    int32_t sym = ls_str_map_get(&t->ids, text);
    return sym >= 0 ? sym : ls_str_map_get(&t->bpe.extra, text);
}

/* Texts that are no tokens are numbered from n_vocab on. */
static ls_status symbol_of(ls_tokenizer *t, ls_str text, bool copy, int32_t *sym, ls_error *err)
{
    ls_bpe *b = &t->bpe;
    *sym = known_symbol(t, text);
    if (*sym >= 0) return LS_OK;
    if (b->n_extra >= INT32_MAX - t->n_vocab) {
        return ls_fail(err, LS_ERR_LIMIT, "the vocabulary has too many merges");
    }
    if (copy) LS_TRY(keep_text(b, &text, err));
    *sym = t->n_vocab + b->n_extra++;
    return ls_str_map_add(&b->extra, text, *sym, err);
}

bool ls_bpe_parts(ls_str merge, ls_str *left, ls_str *right)
{
    const char *at = merge.len > 2 ? memchr(merge.p + 1, ' ', merge.len - 2) : NULL;
    if (!at) return false;
    *left = (ls_str){merge.p, (size_t)(at - merge.p)};
    *right = (ls_str){at + 1, merge.len - left->len - 1};
    return true;
}

ls_status ls_bpe_begin(ls_tokenizer *t, size_t n, ls_error *err)
{
    if (n > INT32_MAX) return ls_fail(err, LS_ERR_LIMIT, "the vocabulary has too many merges");
    LS_TRY(ls_pair_map_init(&t->bpe.merges, n, err));
    return ls_str_map_init(&t->bpe.extra, 16, err);
}

ls_status ls_bpe_add(ls_tokenizer *t, ls_str left, ls_str right, const ls_str *joined, int32_t rank,
                     ls_error *err)
{
    ls_bpe       *b = &t->bpe;
    ls_pair_slot *slot;
    ls_str        both = {NULL, left.len + right.len};
    int32_t       l, r, sym;
    if (right.len >= 3 && !memcmp(right.p, space, 3) && left.len) {
        t->bpe.crosses[(uint8_t)left.p[left.len - 1]] = true;
    }
    LS_TRY(symbol_of(t, left, false, &l, err));
    LS_TRY(symbol_of(t, right, false, &r, err));
    LS_TRY(ls_pair_map_put(&b->merges, l, r, &slot, err));
    if (slot->value >= 0) return LS_OK; /* the first of two equal ones counts */
    if (!joined) {
        LS_TRY(ls_grow(&b->scratch, &b->scratch_cap, both.len, 1, "the vocabulary", err));
        memcpy(b->scratch, left.p, left.len);
        memcpy(b->scratch + left.len, right.p, right.len);
        both.p = b->scratch;
        joined = &both;
    }
    LS_TRY(symbol_of(t, *joined, true, &sym, err));
    slot->value = rank;
    slot->other = sym;
    return LS_OK;
}

void ls_bpe_fini(ls_bpe *b)
{
    while (b->texts) {
        struct ls_bpe_text *next = b->texts->next;
        free(b->texts);
        b->texts = next;
    }
    ls_pair_map_fini(&b->merges);
    ls_str_map_fini(&b->extra);
    free(b->scratch);
}

ls_status ls_bpe_open_pretok(ls_tokenizer *t, const ls_gguf *g, ls_str pre, ls_error *err)
{
    ls_status status = ls_pretok_create(&t->pretok, pre, &t->traits, err);
    if (status == LS_ERR_UNSUPPORTED) {
        ls_fail_at(err, "%s: metadata key 'tokenizer.ggml.pre'", ls_gguf_path(g));
    }
    if (status != LS_OK) return status;
    t->clean_spaces = !(t->traits & LS_PRETOK_KEEP_SPACES);
    if (t->traits & LS_PRETOK_ADD_BOS) t->add_bos = true;
    return LS_OK;
}

void ls_bpe_find_bytes(ls_tokenizer *t)
{
    ls_vocab_find_bytes(t);
    for (int b = 0; b < 256; b++) {
        char   self = (char)b;
        ls_str c = {t->bpe.byte_char[b], t->bpe.byte_char_len[b]};
        if (!(t->traits & LS_PRETOK_RAW))
            t->byte_id[b] = ls_str_map_get(&t->ids, (ls_str){&self, 1});
        t->bpe.byte_sym[b] = known_symbol(t, c);
    }
}

ls_status ls_bpe_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    const ls_gguf_kv *kv = ls_gguf_array(g, merges_key, LS_GGUF_STR);
    const void       *cursor = kv ? kv->data : NULL;
    bool              none = !kv && !ls_gguf_find(g, merges_key);
    if (!(none && (t->traits & LS_PRETOK_NO_MERGES)) && (!kv || kv->n > INT32_MAX)) {
        return ls_vocab_bad_key(g, merges_key, "is no list of strings", err);
    }
    ls_bpe_init_bytes(t);
    LS_TRY(ls_bpe_begin(t, kv ? (size_t)kv->n : 0, err));
    for (uint64_t i = 0; kv && i < kv->n; i++) {
        ls_str left, right;
        if (!ls_bpe_parts(ls_gguf_next_str(&cursor), &left, &right)) continue;
        LS_TRY(ls_bpe_add(t, left, right, NULL, (int32_t)i, err));
    }
    ls_bpe_find_bytes(t);
    return LS_OK;
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
        if (c < LS_N_BYTE_CHARS && t->bpe.char_byte[c] >= 0) {
            byte = (char)t->bpe.char_byte[c];
            from = &byte;
            k = 1;
        }
        for (size_t j = 0; j < k; j++, n++) {
            if (n < cap) buf[n] = from[j];
        }
    }
    return n;
}

bool ls_bpe_pair(const ls_tokenizer *t, const ls_symbol *a, const ls_symbol *b, double *priority,
                 int32_t *sym)
{
    const ls_pair_slot *slot;
    if (a->sym < 0 || b->sym < 0) return false;
    slot = ls_pair_map_get(&t->bpe.merges, a->sym, b->sym);
    if (!slot) return false;
    *priority = slot->value;
    *sym = slot->other;
    return true;
}

/* ---- words ---- */

typedef struct encoder {
    const ls_tokenizer *t;
    ls_merger           m;
    ls_word_cache       cache;
    char               *word; /* the word's bytes as characters */
    size_t              cap;
    ls_ids             *out;
} encoder;

/* What a symbol that is no token is spelled with, as in the reference: byte by byte of what the
 * vocabulary writes, if there. */
static ls_status spell(encoder *e, ls_str s, ls_error *err)
{
    const ls_tokenizer *t = e->t;
    for (size_t i = 0; i < s.len; i++) {
        bool        raw = t->traits & LS_PRETOK_RAW;
        uint8_t     b = (uint8_t)s.p[i];
        const char *as = raw ? s.p + i : t->bpe.byte_char[b];
        for (size_t k = 0; k < (raw ? 1 : t->bpe.byte_char_len[b]); k++) {
            int32_t id = t->byte_id[(uint8_t)as[k]];
            if (id >= 0) LS_TRY(ls_ids_push(e->out, id, err));
        }
    }
    return LS_OK;
}

static ls_status emit(encoder *e, ls_error *err)
{
    for (int32_t i = e->m.n_symbols ? 0 : -1; i >= 0; i = e->m.symbols[i].next) {
        const ls_symbol *s = &e->m.symbols[i];
        if (s->sym >= 0 && s->sym < e->t->n_vocab) {
            LS_TRY(ls_ids_push(e->out, s->sym, err));
        } else {
            LS_TRY(spell(e, s->s, err));
        }
    }
    return LS_OK;
}

/* The token that a word is as a whole; -1: none. */
static ls_status whole_word(encoder *e, ls_str word, int32_t *id, ls_error *err)
{
    const ls_bpe *b = &e->t->bpe;
    size_t        n = 0;
    *id = -1;
    if (word.len > e->t->max_len) return LS_OK;
    if (!(e->t->traits & LS_PRETOK_RAW)) {
        LS_TRY(ls_grow(&e->word, &e->cap, 2 * word.len, 1, "a tokenizer", err));
        for (size_t i = 0; i < word.len; i++) {
            uint8_t byte = (uint8_t)word.p[i];
            memcpy(e->word + n, b->byte_char[byte], b->byte_char_len[byte]);
            n += b->byte_char_len[byte];
        }
        word = (ls_str){e->word, n};
    }
    *id = ls_str_map_get(&e->t->ids, word);
    return LS_OK;
}

static ls_status add_symbols(encoder *e, ls_str word, ls_error *err)
{
    e->m.n_symbols = 0;
    for (size_t at = 0; at < word.len;) {
        ls_str  s = {word.p + at, 1};
        int32_t sym;
        if (e->t->traits & LS_PRETOK_RAW) {
            s.len = ls_utf8_len(*s.p);
            sym = known_symbol(e->t, s);
        } else {
            sym = e->t->bpe.byte_sym[(uint8_t)*s.p];
        }
        LS_TRY(ls_merger_add(&e->m, s, sym, err));
        at += s.len;
    }
    return LS_OK;
}

static bool may_be_whole(const ls_tokenizer *t, ls_str word)
{
    if (t->traits & LS_PRETOK_IGNORE_MERGES) return true;
    return (t->traits & LS_PRETOK_LINES) && word.len && word.p[0] == '\n';
}

static ls_status encode_word(encoder *e, ls_str word, ls_error *err)
{
    int32_t id = -1;
    if (may_be_whole(e->t, word)) {
        LS_TRY(whole_word(e, word, &id, err));
        if (id >= 0) return ls_ids_push(e->out, id, err);
    }
    LS_TRY(add_symbols(e, word, err));
    LS_TRY(ls_merger_run(&e->m, e->t, ls_bpe_pair, err));
    return emit(e, err);
}

static ls_status encode_or_recall(encoder *e, ls_str word, ls_error *err)
{
    ls_word_slot *slot = ls_word_cache_slot(&e->cache, word);
    size_t        at = e->out->n;
    if (slot->word.p && ls_str_eq(slot->word, word))
        return ls_ids_repeat(e->out, slot->at, slot->n, err);
    LS_TRY(encode_word(e, word, err));
    *slot = (ls_word_slot){word, at, e->out->n - at};
    return LS_OK;
}

/* A word that is a whole line, piece by piece: it is cut before U+2581 where no merge joins. */
static ls_status encode_line(encoder *e, ls_str line, ls_error *err)
{
    size_t start = 0;
    for (size_t i = 1; i + 3 <= line.len; i++) {
        if (line.p[i] != space[0] || memcmp(line.p + i, space, 3)) continue;
        if (e->t->bpe.crosses[(uint8_t)line.p[i - 1]]) continue;
        LS_TRY(encode_or_recall(e, (ls_str){line.p + start, i - start}, err));
        start = i;
    }
    return encode_or_recall(e, (ls_str){line.p + start, line.len - start}, err);
}

static ls_status encode_text(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    encoder     e = {.t = t, .out = out};
    ls_words    words;
    ls_status   status = ls_pretok_split(t->pretok, text.p, text.len, &words, err);
    const char *at = words.text;
    if (status == LS_OK) status = ls_word_cache_init(&e.cache, text.len, err);
    for (size_t i = 0; i < words.n && status == LS_OK; at += words.len[i++]) {
        ls_str word = {at, words.len[i]};
        status = t->traits & LS_PRETOK_ESCAPE ? encode_line(&e, word, err)
                                              : encode_or_recall(&e, word, err);
    }
    ls_words_fini(&words);
    ls_word_cache_fini(&e.cache);
    ls_merger_fini(&e.m);
    free(e.word);
    return status;
}

/* Vocabularies without spaces: what lies between them is encoded piece by piece, in lower case if
 * the metadata say so. */
static ls_status encode_pieces(const ls_tokenizer *t, ls_str text, char *piece, ls_ids *out,
                               ls_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        uint32_t c = 0xfffd;
        size_t   k = ls_utf8_decode(text.p + i, text.len - i, &c);
        bool     is_space = ls_unicode_category(c) == LS_KIND_SPACE;
        i += k ? k : 1;
        if (!is_space) n += ls_utf8_encode(t->lower_case ? ls_unicode_lower(c) : c, piece + n);
        if (n && (is_space || i == text.len)) {
            LS_TRY(encode_text(t, (ls_str){piece, n}, out, err));
            n = 0;
        }
    }
    return LS_OK;
}

ls_status ls_bpe_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    bool      pieces = t->traits & LS_PRETOK_DROP_SPACES;
    char     *copy;
    ls_status status;
    if (!pieces && !(t->traits & LS_PRETOK_ESCAPE)) return encode_text(t, text, out, err);
    LS_TRY(ls_alloc(&copy, text.len, 4, "a tokenizer", err));
    status = pieces ? encode_pieces(t, text, copy, out, err)
                    : encode_text(t, ls_spm_escape(text, copy), out, err);
    free(copy);
    return status;
}
