// SPDX-License-Identifier: MIT
/* detokenize.c - token ids back to text: the bytes of one token, and those of many with what
 * belongs to the text as a whole: the space before the first word, and spaces before punctuation.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/tj.h"

static size_t copy(ls_str s, char *buf, size_t cap)
{
    size_t n = s.len < cap ? s.len : cap;
    if (n) memcpy(buf, s.p, n);
    return s.len;
}

/* A byte token: load.c has seen to it that the text is like <0x0A>. */
static size_t copy_byte(ls_str s, char *buf, size_t cap)
{
    char name[3] = {s.p[3], s.p[4], '\0'}, byte = (char)strtoul(name, NULL, 16);
    return copy((ls_str){&byte, 1}, buf, cap);
}

/* Of a vocabulary whose tokens have types. */
static size_t typed_piece(const ls_tokenizer *t, int32_t id, bool special, char *buf, size_t cap)
{
    ls_str s = t->text[id];
    switch ((ls_token_type)t->type[id]) {
    case LS_TOKEN_CONTROL:
    case LS_TOKEN_UNKNOWN:
        return special ? copy(s, buf, cap) : 0;
    case LS_TOKEN_USER_DEFINED:
        return copy(s, buf, cap);
    case LS_TOKEN_BYTE:
        return copy_byte(s, buf, cap);
    case LS_TOKEN_NORMAL:
        break;
    case LS_TOKEN_UNDEFINED:
    case LS_TOKEN_UNUSED:
        return 0;
    }
    if (t->model->kind == LS_VOCAB_BPE && !(t->traits & LS_PRETOK_ESCAPE)) {
        return ls_bpe_bytes(t, s, buf, cap);
    }
    return ls_spm_bytes(s, buf, cap);
}

size_t ls_tokenizer_piece(const ls_tokenizer *t, int32_t id, bool special, char *buf, size_t cap)
{
    bool hidden;
    if (id < 0 || id >= t->n_vocab) return 0;
    hidden = !special && (t->type[id] == LS_TOKEN_CONTROL || t->type[id] == LS_TOKEN_UNKNOWN);
    switch (t->model->kind) {
    case LS_VOCAB_RWKV:
        return hidden ? 0 : ls_rwkv_bytes(t->text[id], buf, cap);
    case LS_VOCAB_PLAMO2: /* as the reference: its tokens are their texts */
        if (t->type[id] == LS_TOKEN_BYTE) return copy_byte(t->text[id], buf, cap);
        return hidden ? 0 : copy(t->text[id], buf, cap);
    case LS_VOCAB_TJ:
        if (t->type[id] != LS_TOKEN_CONTROL) return copy(t->tj->pieces[id], buf, cap);
        break;
    case LS_VOCAB_SPM:
    case LS_VOCAB_BPE:
    case LS_VOCAB_WPM:
    case LS_VOCAB_UGM:
    case LS_VOCAB_SP:
        break;
    }
    return typed_piece(t, id, special, buf, cap);
}

/* The space before the first word goes; Metaspace drops those of the whole first token. */
static size_t drop_spaces(const ls_tokenizer *t, char *s, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool drop = s[i] == ' ' && (i == 0 || t->drop_first_spaces);
        if (!drop) s[kept++] = s[i];
    }
    return kept;
}

/* ---- spaces before punctuation ---- */

/* One pass over a text: whether the space before s[i] goes, and the one behind it. */
typedef void clean_fn(const char *s, size_t n, size_t i, bool *before, bool *behind);

static void at_mark(const char *s, size_t n, size_t i, bool *before, bool *behind)
{
    (void)n, (void)behind;
    *before = s[i] == '?' || s[i] == '!' || s[i] == '.' || s[i] == ',';
}

static void at_lone_apostrophe(const char *s, size_t n, size_t i, bool *before, bool *behind)
{
    *before = *behind = s[i] == '\'' && i + 1 < n && s[i + 1] == ' ';
}

/* 's and 'm, 're and 've; 't, 'd and 'll keep theirs. */
static void at_contraction(const char *s, size_t n, size_t i, bool *before, bool *behind)
{
    char a = i + 1 < n ? s[i + 1] : '\0', b = i + 2 < n ? s[i + 2] : '\0';
    (void)behind;
    *before = s[i] == '\'' && (a == 's' || a == 'm' || ((a == 'r' || a == 'v') && b == 'e'));
}

/* As the reference tidies up decoded text; the new length. */
static size_t clean(char *s, size_t n, clean_fn *at)
{
    size_t kept = n ? 1 : 0;
    for (size_t i = 1; i < n; i++) {
        bool before = false, behind = false;
        if (s[i - 1] == ' ') at(s, n, i, &before, &behind);
        if (before) kept--;
        s[kept++] = s[i];
        if (behind) s[++i] = '\0';
    }
    return kept;
}

ls_status ls_tokenizer_decode(const ls_tokenizer *t, const int32_t *ids, size_t n, bool special,
                              char **text, size_t *len, ls_error *err)
{
    char  *out = NULL;
    size_t cap = 0, at = 0;
    bool   first = t->add_space_prefix; /* nothing but control tokens so far */

    *text = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t need = ls_tokenizer_piece(t, ids[i], special, NULL, 0);
        if (ls_grow(&out, &cap, at + need, 1, "a text", err) != LS_OK) {
            free(out);
            return LS_ERR_NOMEM;
        }
        if (need == 0) continue;
        ls_tokenizer_piece(t, ids[i], special, out + at, need);
        if (first) need = drop_spaces(t, out + at, need);
        first = false;
        at += need;
    }
    if (t->space_suffix && at && out[at - 1] == ' ') at--; /* behind the last word */
    if (ls_grow(&out, &cap, at + 1, 1, "a text", err) != LS_OK) {
        free(out);
        return LS_ERR_NOMEM;
    }
    if (t->clean_spaces) {
        at = clean(out, at, at_mark);
        at = clean(out, at, at_lone_apostrophe);
        at = clean(out, at, at_contraction);
    }
    out[at] = '\0';
    *text = out;
    if (len) *len = at;
    return LS_OK;
}
