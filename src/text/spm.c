// SPDX-License-Identifier: MIT
/* spm.c - SentencePiece vocabularies: pairs are joined by the score of the joined text
 * (Kudo and Richardson 2018, arXiv:1808.06226); what the vocabulary lacks is spelled in byte tokens. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/merge.h"

static const char space[] = "\xe2\x96\x81"; /* U+2581 stands for a space */

static bool pair_by_score(const ls_tokenizer *t, ls_str a, ls_str b, double *priority)
{
    size_t  len = a.len + b.len;
    int32_t id = len <= t->longest ? ls_str_map_get(&t->ids, (ls_str){a.p, len}) : -1;
    if (id < 0) return false;
    *priority = -(double)t->score[id];
    return true;
}

/* Length of the character that starts at p, by its first byte; never past the end. */
static size_t char_len(const char *p, size_t left)
{
    static const uint8_t by_high_nibble[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 3, 4};
    size_t               n = by_high_nibble[(uint8_t)*p >> 4];
    return n < left ? n : left;
}

static ls_status emit(const ls_tokenizer *t, const ls_merger *m, ls_ids *out, ls_error *err)
{
    for (int32_t i = m->n_symbols ? 0 : -1; i >= 0; i = m->symbols[i].next) {
        ls_str  s = m->symbols[i].s;
        int32_t id = ls_str_map_get(&t->ids, s);
        if (id >= 0) {
            LS_TRY(ls_ids_push(out, id, err));
            continue;
        }
        for (size_t j = 0; j < s.len; j++) {
            id = t->byte_id[(uint8_t)s.p[j]];
            if (id < 0) id = t->unk;
            if (id >= 0) LS_TRY(ls_ids_push(out, id, err));
        }
    }
    return LS_OK;
}

static size_t put_space(char *out)
{
    memcpy(out, space, sizeof(space) - 1);
    return sizeof(space) - 1;
}

ls_status ls_spm_encode(const ls_tokenizer *t, ls_str text, bool prefix, ls_ids *out, ls_error *err)
{
    ls_merger m = {0};
    char     *buf;
    size_t    n = 0, k;
    ls_status status = LS_OK;

    LS_TRY(ls_alloc(&buf, text.len + 1, 3, "a tokenizer", err));
    if (prefix) n = put_space(buf);
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == ' ') {
            n += put_space(buf + n);
        } else {
            buf[n++] = text.p[i];
        }
    }
    for (size_t i = 0; i < n && status == LS_OK; i += k) {
        k = char_len(buf + i, n - i);
        status = ls_merger_add(&m, (ls_str){buf + i, k}, err);
    }
    if (status == LS_OK) status = ls_merger_run(&m, t, pair_by_score, err);
    if (status == LS_OK) status = emit(t, &m, out, err);
    ls_merger_fini(&m);
    free(buf);
    return status;
}
