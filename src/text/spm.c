// SPDX-License-Identifier: MIT
/* spm.c - SentencePiece vocabularies: pairs are joined by the score of the joined text
 * (Kudo and Richardson 2018, arXiv:1808.06226); what the vocabulary lacks is spelled in byte
 * tokens. U+2581 stands for a space. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/merge.h"
#include "text/unicode.h"

static const char space[] = "\xe2\x96\x81";

void ls_spm_init(ls_tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        char name[8], self = (char)b;
        snprintf(name, sizeof(name), "<0x%02X>", (unsigned)b);
        t->byte_id[b] = ls_tokenizer_find(t, name);
        if (t->byte_id[b] < 0) t->byte_id[b] = ls_str_map_get(&t->ids, (ls_str){&self, 1});
    }
}

static bool pair_by_score(const ls_tokenizer *t, ls_str a, ls_str b, double *priority)
{
    int32_t id = ls_str_map_get(&t->ids, (ls_str){a.p, a.len + b.len});
    if (id < 0) return false;
    *priority = -(double)t->score[id];
    return true;
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

ls_status ls_spm_encode(const ls_tokenizer *t, ls_str text, bool add_space, ls_ids *out,
                        ls_error *err)
{
    ls_merger m = {0};
    char     *buf;
    size_t    n = 0;
    ls_status status = LS_OK;

    LS_TRY(ls_alloc(&buf, text.len + 1, 3, "a tokenizer", err));
    if (add_space) n = ls_spm_escape(LS_STR(" "), buf).len;
    n += ls_spm_escape(text, buf + n).len;
    for (size_t i = 0; i < n && status == LS_OK;) {
        size_t k = ls_utf8_len(buf[i]);
        if (k > n - i) k = n - i;
        status = ls_merger_add(&m, (ls_str){buf + i, k}, err);
        i += k;
    }
    if (status == LS_OK) status = ls_merger_run(&m, t, pair_by_score, err);
    if (status == LS_OK) status = emit(t, &m, out, err);
    ls_merger_fini(&m);
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
