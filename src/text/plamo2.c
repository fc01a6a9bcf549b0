// SPDX-License-Identifier: MIT
/* plamo2.c - vocabularies of PLaMo-2: of all ways to spell a text in tokens the one whose scores
 * have the greatest sum, found from its end. Scores count in ten-thousandths; a character that no
 * token spells costs a thousand and becomes its bytes.
 */
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "text/unicode.h"
#include "text/vocab.h"

enum { UNKNOWN = -10000000, LEAST = -20000000 }; /* what costs more is never taken */

ls_status ls_plamo2_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    ls_vocab_find_bytes(t);
    for (int b = 0; b < 256; b++) {
        int32_t id = t->byte_id[b];
        if (id > 0 && t->type[id] == LS_TOKEN_BYTE) continue; /* the reference cannot do with 0 */
        return ls_vocab_bad_key(g, "tokenizer.ggml.tokens", "lacks the token of a byte", err);
    }
    LS_TRY(ls_trie_init(&t->trie, err));
    for (int32_t i = 0; i < t->n_vocab; i++) {
        if (t->type[i] == LS_TOKEN_BYTE) continue;
        LS_TRY(ls_trie_put(&t->trie, t->text[i], i, err));
    }
    return LS_OK;
}

/* The best way from a place to the text's end. */
typedef struct way {
    int64_t cost;
    size_t  len; /* of the first token, 0: a character without one */
    int32_t id;
} way;

static int32_t score_of(const ls_tokenizer *t, int32_t id)
{
    double s = round((double)t->score[id] * 1e4);
    return s > LEAST && s < INT_MAX ? (int32_t)s : LEAST;
}

/* Ways from `at`, where a character of `len` bytes stands; of equal ones the longest token counts.
 */
static way best(const ls_tokenizer *t, ls_str s, size_t at, size_t len, const way *ways)
{
    way     w = {ways[at + len].cost - UNKNOWN, 0, -1};
    int32_t node = 0, id;
    for (size_t i = at; i < s.len && ls_trie_step(&t->trie, &node, s.p[i], &id); i++) {
        int32_t score = id < 0 ? LEAST : score_of(t, id);
        int64_t cost;
        if (score == LEAST) continue;
        cost = ways[i + 1].cost - score;
        if (cost <= w.cost) w = (way){cost, i + 1 - at, id};
    }
    return w;
}

static ls_status follow(const ls_tokenizer *t, ls_str s, const way *ways, ls_ids *out,
                        ls_error *err)
{
    for (size_t at = 0, len; at < s.len; at += len) {
        len = ways[at].len ? ways[at].len : ls_utf8_len(s.p[at]);
        if (ways[at].len) {
            LS_TRY(ls_ids_push(out, ways[at].id, err));
            continue;
        }
        for (size_t k = 0; k < len; k++) {
            LS_TRY(ls_ids_push(out, t->byte_id[(uint8_t)s.p[at + k]], err));
        }
    }
    return LS_OK;
}

static ls_status encode(const ls_tokenizer *t, ls_str s, ls_ids *out, ls_error *err)
{
    way      *ways;
    ls_status status;
    LS_TRY(ls_alloc(&ways, s.len + 1, sizeof(*ways), "a tokenizer", err));
    for (size_t at = s.len, end = s.len; at-- > 0;) {
        if (((uint8_t)s.p[at] & 0xc0) == 0x80) continue; /* inside a character */
        ways[at] = best(t, s, at, end - at, ways);
        end = at;
    }
    status = follow(t, s, ways, out, err);
    free(ways);
    return status;
}

ls_status ls_plamo2_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    char     *copy; /* well-formed, without the mark that a text may begin with */
    size_t    n = 0;
    ls_status status;
    LS_TRY(ls_alloc(&copy, text.len, 3, "a tokenizer", err));
    for (size_t i = 0; i < text.len;) {
        uint32_t c = 0xfffd;
        size_t   k = ls_utf8_decode(text.p + i, text.len - i, &c);
        if (i > 0 || c != 0xfeff) n += ls_utf8_encode(c, copy + n);
        i += k ? k : 1;
    }
    status = encode(t, (ls_str){copy, n}, out, err);
    free(copy);
    return status;
}
