// SPDX-License-Identifier: MIT
/* special.c - cutting special tokens out of text, longest first as the reference does it.
 *
 * One pass over the text for each length that a special token has: the first byte sieves, the
 * vocabulary's hash table decides. User-defined tokens are always cut out, control and unknown
 * ones only where the caller asks for it.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "text/vocab.h"

static bool is_special(const ls_tokenizer *t, int32_t id, bool parse_special)
{
    switch ((ls_token_type)t->type[id]) {
    case LS_TOKEN_USER_DEFINED:
        return true;
    case LS_TOKEN_CONTROL:
    case LS_TOKEN_UNKNOWN:
        return parse_special;
    case LS_TOKEN_UNDEFINED:
    case LS_TOKEN_NORMAL:
    case LS_TOKEN_UNUSED:
    case LS_TOKEN_BYTE:
        break;
    }
    return false;
}

static int longest_first(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x < y) - (x > y);
}

ls_status ls_special_init(ls_tokenizer *t, ls_error *err)
{
    size_t n = 0, kept = 0;
    for (int32_t i = 0; i < t->n_vocab; i++) n += is_special(t, i, true);
    LS_TRY(ls_alloc(&t->special_lens, n, sizeof(*t->special_lens), "the vocabulary", err));
    n = 0;
    for (int32_t i = 0; i < t->n_vocab; i++) {
        if (!is_special(t, i, true)) continue;
        t->special_lens[n++] = t->text[i].len;
        t->special_first[(uint8_t)t->text[i].p[0]] = true;
    }
    qsort(t->special_lens, n, sizeof(*t->special_lens), longest_first);
    for (size_t i = 0; i < n; i++) {
        if (kept && t->special_lens[i] == t->special_lens[kept - 1]) continue;
        t->special_lens[kept++] = t->special_lens[i];
    }
    t->n_special_lens = kept;
    return LS_OK;
}

static ls_status push(ls_fragments *f, ls_str text, int32_t id, ls_error *err)
{
    LS_TRY(ls_grow(&f->at, &f->cap, f->n + 1, sizeof(*f->at), "a tokenizer", err));
    f->at[f->n++] = (ls_fragment){text, id};
    return LS_OK;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static size_t without_spaces(const char *p, size_t n)
{
    while (n && is_space(p[n - 1])) n--;
    return n;
}

static bool strips(const ls_tokenizer *t, int32_t id, int side)
{
    return t->strip && (t->strip[id] & side);
}

/* Cut special tokens of one length out of a piece of text. */
static ls_status cut(const ls_tokenizer *t, ls_str s, size_t len, bool parse_special,
                     ls_fragments *out, ls_error *err)
{
    size_t start = 0, end;
    for (size_t i = 0; s.len >= len && i <= s.len - len;) {
        int32_t id = -1;
        if (t->special_first[(uint8_t)s.p[i]]) id = ls_str_map_get(&t->ids, (ls_str){s.p + i, len});
        if (id < 0 || !is_special(t, id, parse_special)) {
            i++;
            continue;
        }
        end = i;
        if (strips(t, id, LS_STRIP_LEFT)) end = start + without_spaces(s.p + start, i - start);
        if (end > start) LS_TRY(push(out, (ls_str){s.p + start, end - start}, -1, err));
        LS_TRY(push(out, (ls_str){s.p + i, len}, id, err));
        i += len;
        while (i < s.len && strips(t, id, LS_STRIP_RIGHT) && is_space(s.p[i])) i++;
        start = i;
    }
    return start < s.len ? push(out, (ls_str){s.p + start, s.len - start}, -1, err) : LS_OK;
}

ls_status ls_special_split(const ls_tokenizer *t, ls_str text, bool parse_special,
                           ls_fragments *out, ls_error *err)
{
    ls_fragments next = {0}, swap;
    ls_status    status = LS_OK;
    if (text.len) status = push(out, text, -1, err);
    for (size_t k = 0; k < t->n_special_lens && status == LS_OK; k++) {
        if (t->special_lens[k] > text.len) continue;
        next.n = 0;
        for (size_t i = 0; i < out->n && status == LS_OK; i++) {
            ls_fragment f = out->at[i];
            status = f.id >= 0 ? push(&next, f.text, f.id, err)
                               : cut(t, f.text, t->special_lens[k], parse_special, &next, err);
        }
        swap = *out;
        *out = next;
        next = swap;
    }
    free(next.at);
    return status;
}
