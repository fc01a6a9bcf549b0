// SPDX-License-Identifier: MIT
/* spm.c - SentencePiece vocabularies: pairs are joined by the score of the joined text
 * (Kudo and Richardson 2018, arXiv:1808.06226); what the vocabulary lacks is spelled in byte
 * tokens. U+2581 stands for a space.
 *
 * No pair is ever joined across a place where no token has the two characters side by side, so that
 * the text can be cut there; nearly all such places are before a U+2581, and these are looked for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/merge.h"
#include "text/unicode.h"

static const char space[] = "\xe2\x96\x81";

void ls_spm_init(ls_tokenizer *t)
{
    ls_vocab_find_bytes(t);
    for (int b = 0; b < 256; b++) {
        char self = (char)b;
        if (t->byte_id[b] < 0) t->byte_id[b] = ls_str_map_get(&t->ids, (ls_str){&self, 1});
    }
    for (int32_t i = 0; i < t->n_vocab; i++) {
        ls_str s = t->text[i];
        for (size_t k = 1; k + 3 <= s.len; k++) {
            if (!memcmp(s.p + k, space, 3)) t->bpe.crosses[(uint8_t)s.p[k - 1]] = true;
        }
    }
}

ls_str ls_spm_escape(ls_str text, char *buf)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == ' ') {
            memcpy(buf + n, space, 3);
            n += 3;
        } else {
            buf[n++] = text.p[i];
        }
    }
    return (ls_str){buf, n};
}

static bool pair_by_score(const ls_tokenizer *t, const ls_symbol *a, const ls_symbol *b,
                          double *priority, int32_t *sym)
{
    int32_t id;
    if (a->s.len + b->s.len > t->max_len) return false;
    id = ls_str_map_get(&t->ids, (ls_str){a->s.p, a->s.len + b->s.len});
    if (id < 0) return false;
    *priority = -(double)t->score[id];
    *sym = id;
    return true;
}

typedef struct encoder {
    const ls_tokenizer *t;
    ls_merger           m;
    ls_word_cache       cache;
    ls_ids             *out;
} encoder;

static ls_status emit(encoder *e, ls_error *err)
{
    const ls_tokenizer *t = e->t;
    for (int32_t i = e->m.n_symbols ? 0 : -1; i >= 0; i = e->m.symbols[i].next) {
        ls_str  s = e->m.symbols[i].s;
        int32_t id = ls_str_map_get(&t->ids, s);
        if (id >= 0) {
            LS_TRY(ls_ids_push(e->out, id, err));
            continue;
        }
        for (size_t j = 0; j < s.len; j++) {
            id = t->byte_id[(uint8_t)s.p[j]];
            if (id < 0) id = t->unk;
            if (id >= 0) LS_TRY(ls_ids_push(e->out, id, err));
        }
    }
    return LS_OK;
}

/* Encode what stands in the merger, the text `word`. */
static ls_status encode_word(encoder *e, ls_str word, ls_error *err)
{
    ls_word_slot *slot = ls_word_cache_slot(&e->cache, word);
    size_t        at = e->out->n;
    if (slot->word.p && ls_str_eq(slot->word, word))
        return ls_ids_repeat(e->out, slot->at, slot->n, err);
    LS_TRY(ls_merger_run(&e->m, e->t, pair_by_score, err));
    LS_TRY(emit(e, err));
    *slot = (ls_word_slot){word, at, e->out->n - at};
    return LS_OK;
}

/* Characters by their first byte, as the reference counts them: the last one may be cut short. */
static ls_status encode_words(encoder *e, ls_str s, ls_error *err)
{
    size_t start = 0;
    for (size_t i = 0; i < s.len;) {
        size_t k = ls_utf8_len(s.p[i]);
        if (k > s.len - i) k = s.len - i;
        if (i > start && k == 3 && !memcmp(s.p + i, space, 3) &&
            !e->t->bpe.crosses[(uint8_t)s.p[i - 1]]) {
            LS_TRY(encode_word(e, (ls_str){s.p + start, i - start}, err));
            e->m.n_symbols = 0;
            start = i;
        }
        LS_TRY(ls_merger_add(&e->m, (ls_str){s.p + i, k}, -1, err));
        i += k;
    }
    return start < s.len ? encode_word(e, (ls_str){s.p + start, s.len - start}, err) : LS_OK;
}

ls_status ls_spm_encode(const ls_tokenizer *t, ls_str text, bool add_space, ls_ids *out,
                        ls_error *err)
{
    encoder   e = {.t = t, .out = out};
    char     *buf;
    size_t    n = 0;
    ls_status status;
    LS_TRY(ls_alloc(&buf, text.len + 1, 3, "a tokenizer", err));
    if (add_space) n = ls_spm_escape(LS_STR(" "), buf).len;
    n += ls_spm_escape(text, buf + n).len;
    status = ls_word_cache_init(&e.cache, n, err);
    if (status == LS_OK) status = encode_words(&e, (ls_str){buf, n}, err);
    ls_word_cache_fini(&e.cache);
    ls_merger_fini(&e.m);
    free(buf);
    return status;
}

size_t ls_spm_bytes(ls_str text, char *buf, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; n++) {
        bool is_space = i + 3 <= text.len && memcmp(text.p + i, space, 3) == 0;
        if (n < cap) buf[n] = is_space ? ' ' : text.p[i];
        i += is_space ? 3 : 1;
    }
    return n;
}
