// SPDX-License-Identifier: MIT
/* rwkv.c - vocabularies of RWKV: the longest token that the text goes on with. Their texts are
 * escaped as in the source of the model's own tokenizer: \t, \n, \r, \x0a.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "text/vocab.h"

static int hex_value(char c) { return c >= 'a' ? c - 'a' + 10 : c - '0'; }

/* The byte that starts at s[*i], which moves on; -1: an escape is cut off. */
static int next_byte(ls_str s, size_t *i)
{
    char c = s.p[(*i)++];
    if (c != '\\') return (uint8_t)c;
    if (*i == s.len) return -1;
    c = s.p[(*i)++];
    switch (c) {
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 'x':
        if (s.len - *i < 2) {
            *i = s.len;
            return -1;
        }
        *i += 2;
        return (hex_value(s.p[*i - 2]) << 4 | hex_value(s.p[*i - 1])) & 0xff;
    default:
        return (uint8_t)c;
    }
}

size_t ls_rwkv_bytes(ls_str text, char *buf, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len;) {
        int byte = next_byte(text, &i);
        if (byte < 0) break;
        if (n < cap) buf[n] = (char)byte;
        n++;
    }
    return n;
}

ls_status ls_rwkv_init(ls_tokenizer *t, ls_error *err)
{
    char     *bytes;
    ls_status status;
    LS_TRY(ls_trie_init(&t->trie, err));
    LS_TRY(ls_alloc(&bytes, t->max_len, 1, "the vocabulary", err));
    status = LS_OK;
    for (int32_t i = 0; i < t->n_vocab && status == LS_OK; i++) {
        size_t n = ls_rwkv_bytes(t->text[i], bytes, t->max_len);
        status = ls_trie_put(&t->trie, (ls_str){bytes, n}, i, err);
    }
    free(bytes);
    return status;
}

ls_status ls_rwkv_encode(const ls_tokenizer *t, ls_str text, ls_ids *out, ls_error *err)
{
    for (size_t at = 0, len; at < text.len; at += len) {
        int32_t node = 0, value, id = t->unk;
        len = 1;
        for (size_t i = at; i < text.len && ls_trie_step(&t->trie, &node, text.p[i], &value); i++) {
            if (value < 0) continue;
            id = value;
            len = i + 1 - at;
        }
        if (id >= 0) LS_TRY(ls_ids_push(out, id, err));
    }
    return LS_OK;
}
