// SPDX-License-Identifier: MIT
/* compare.c - whether two descriptions of one vocabulary agree: tokens by id, special ids, and the
 * ids of the texts in battery.c. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/battery.h"
#include "text/tj.h"

/* ---- tokens ---- */

/* Nothing that text becomes: rows of the embedding that were never trained. */
static bool is_padding(const ls_tokenizer *t, int32_t id)
{
    ls_token_type type = ls_tokenizer_type(t, id);
    return type == LS_TOKEN_UNDEFINED || type == LS_TOKEN_UNUSED;
}

/* What WordPiece's files write in two ways: "hello" and "##llo", or "\u2581hello" and "llo". */
static ls_str without_mark(const ls_tokenizer *t, ls_str s, bool *starts_word)
{
    ls_str mark = t->tj ? t->tj->prefix : LS_STR("\xe2\x96\x81");
    bool   has = mark.len && s.len > mark.len && !memcmp(s.p, mark.p, mark.len);
    *starts_word = has == !t->tj;
    return has ? (ls_str){s.p + mark.len, s.len - mark.len} : s;
}

static bool is_wordpiece(const ls_tokenizer *t)
{
    return t->model->kind == LS_VOCAB_WPM || (t->tj && t->tj->model == LS_TJ_WORDPIECE);
}

static bool same_pieces(const ls_tokenizer *a, const ls_tokenizer *b, int32_t id)
{
    char   x[256], y[256];
    size_t n = ls_tokenizer_piece(a, id, true, x, sizeof(x));
    return n && n <= sizeof(x) && n == ls_tokenizer_piece(b, id, true, y, sizeof(y)) &&
           !memcmp(x, y, n);
}

static bool same_token(const ls_tokenizer *a, const ls_tokenizer *b, int32_t id)
{
    ls_str x = ls_tokenizer_text(a, id), y = ls_tokenizer_text(b, id);
    bool   p, q;
    if (is_padding(a, id) && is_padding(b, id)) return true;
    if (id >= a->n_vocab || id >= b->n_vocab) return false;
    if (ls_str_eq(x, y)) return true;
    if (!is_wordpiece(a) || !is_wordpiece(b)) return same_pieces(a, b, id);
    x = without_mark(a, x, &p);
    y = without_mark(b, y, &q);
    return p == q && ls_str_eq(x, y);
}

static bool compare_tokens(const ls_tokenizer *a, const ls_tokenizer *b, ls_vocab_comparison *out)
{
    int32_t n = a->n_vocab > b->n_vocab ? a->n_vocab : b->n_vocab;
    for (int32_t id = 0; id < n; id++) {
        if (same_token(a, b, id)) continue;
        out->difference = LS_VOCABS_TOKEN;
        out->id[0] = id < a->n_vocab ? id : -1;
        out->id[1] = id < b->n_vocab ? id : -1;
        return false;
    }
    return true;
}

/* ---- special tokens ---- */

/* What only one side names is no disagreement: many files leave it to others. */
static bool compare_special(const ls_tokenizer *a, const ls_tokenizer *b, ls_vocab_comparison *out)
{
    const struct {
        const char *name;
        int32_t     a, b;
    } roles[] = {{"BOS", a->bos, b->bos}, {"EOS", a->eos, b->eos}};
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (roles[i].a < 0 || roles[i].b < 0 || roles[i].a == roles[i].b) continue;
        *out = (ls_vocab_comparison){
            .difference = LS_VOCABS_SPECIAL, .role = roles[i].name, .id = {roles[i].a, roles[i].b}};
        return false;
    }
    if (a->sp || b->sp || ls_tokenizer_adds_bos(a) == ls_tokenizer_adds_bos(b)) return true;
    *out = (ls_vocab_comparison){
        .difference = LS_VOCABS_SPECIAL,
        .role = "a BOS token before every text",
        .id = {ls_tokenizer_adds_bos(a) ? a->bos : -1, ls_tokenizer_adds_bos(b) ? b->bos : -1}};
    return false;
}

/* ---- texts ---- */

static ls_status compare_text(const ls_tokenizer *a, const ls_tokenizer *b, ls_str text, bool *same,
                              ls_vocab_comparison *out, ls_error *err)
{
    const ls_encode_options o = {.bos = LS_BOS_NO};
    int32_t                *x = NULL, *y = NULL;
    size_t                  n_x = 0, n_y = 0, i = 0;
    ls_status               status;
    status = ls_tokenizer_encode(a, text.p, text.len, &o, &x, &n_x, err);
    if (status == LS_OK) status = ls_tokenizer_encode(b, text.p, text.len, &o, &y, &n_y, err);
    while (status == LS_OK && i < n_x && i < n_y && x[i] == y[i]) i++;
    *same = status == LS_OK && i == n_x && i == n_y;
    if (status == LS_OK && !*same) {
        out->place = i;
        out->id[0] = i < n_x ? x[i] : -1;
        out->id[1] = i < n_y ? y[i] : -1;
    }
    free(x);
    free(y);
    return status;
}

static ls_status compare_texts(const ls_tokenizer *a, const ls_tokenizer *b,
                               ls_vocab_comparison *out, ls_error *err)
{
    for (size_t i = 0; i < ls_n_battery; i++) {
        const ls_battery_text *t = &ls_battery[i];
        ls_vocab_comparison    here = {.text = t->text};
        bool                   same;
        LS_TRY(compare_text(a, b, t->text, &same, &here, err));
        if (same) continue;
        if (t->plain) {
            here.difference = LS_VOCABS_TEXT;
            here.n_texts = out->n_texts;
            *out = here;
            return LS_OK;
        }
        if (!out->normalized.len) out->normalized = t->text;
    }
    return LS_OK;
}

ls_status ls_tokenizer_compare(const ls_tokenizer *a, const ls_tokenizer *b,
                               ls_vocab_comparison *out, ls_error *err)
{
    *out = (ls_vocab_comparison){.id = {-1, -1}, .n_texts = ls_n_battery};
    if (!compare_tokens(a, b, out) || !compare_special(a, b, out)) return LS_OK;
    return compare_texts(a, b, out, err);
}
