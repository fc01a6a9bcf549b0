// SPDX-License-Identifier: MIT
/* tokenizer.c - the public tokenizer: built from metadata, special tokens cut out of the text,
 * BOS and EOS put on. What lies between special tokens goes to spm.c or bpe.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/vocab.h"

/* Texts that end generation wherever a vocabulary has them as control tokens. */
static const char *const end_texts[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|end_of_text|>", "<|endoftext|>", "<end_of_turn>",
    "<|eom_id|>", "<EOT>", "</s>", "<|return|>", "<|call|>",
};
/* Of those, the ones that serve as end-of-turn when the metadata name none. */
static const char *const eot_texts[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>",
                                        "<|endoftext|>", "<EOT>"};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static ls_status bad_key(const ls_gguf *g, const char *key, const char *why, ls_error *err)
{
    const ls_gguf_kv *kv = ls_gguf_find(g, key);
    ls_fail(err, LS_ERR_FORMAT, "metadata key '%s' %s", key, kv ? why : "is missing");
    ls_fail_at(err, "%s: byte %llu", ls_gguf_path(g),
               kv ? (unsigned long long)ls_gguf_offset(g, kv->key.p) : 24ull);
    return LS_ERR_FORMAT;
}

static ls_status read_texts(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    const ls_gguf_kv *kv = ls_gguf_array(g, "tokenizer.ggml.tokens", LS_GGUF_STR);
    const void       *cursor;
    if (!kv || kv->n == 0 || kv->n > INT32_MAX) {
        return bad_key(g, "tokenizer.ggml.tokens", "is no list of strings", err);
    }
    t->n_vocab = (int32_t)kv->n;
    LS_TRY(ls_alloc(&t->text, (size_t)kv->n, sizeof(*t->text), "the vocabulary", err));
    LS_TRY(ls_alloc(&t->type, (size_t)kv->n, 1, "the vocabulary", err));
    LS_TRY(ls_alloc(&t->is_end, (size_t)kv->n, 1, "the vocabulary", err));
    LS_TRY(ls_alloc(&t->score, (size_t)kv->n, sizeof(float), "the vocabulary", err));
    LS_TRY(ls_str_map_init(&t->ids, (size_t)kv->n, err));
    cursor = kv->data;
    for (int32_t i = 0; i < t->n_vocab; i++) {
        t->text[i] = ls_gguf_next_str(&cursor);
        t->type[i] = LS_TOKEN_NORMAL;
        ls_str_map_put(&t->ids, t->text[i], i);
    }
    return LS_OK;
}

static ls_status read_scores_and_types(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    const ls_gguf_kv *scores = ls_gguf_array(g, "tokenizer.ggml.scores", LS_GGUF_F32);
    const ls_gguf_kv *types = ls_gguf_array(g, "tokenizer.ggml.token_type", LS_GGUF_I32);
    uint64_t          n = (uint64_t)t->n_vocab;

    if ((scores && scores->n != n) || (t->model == LS_VOCAB_SPM && !scores)) {
        return bad_key(g, "tokenizer.ggml.scores", "does not have one entry per token", err);
    }
    if (types && types->n != n) {
        return bad_key(g, "tokenizer.ggml.token_type", "does not have one entry per token", err);
    }
    for (size_t i = 0; i < n; i++) {
        double type = types ? ls_gguf_num_at(types, i) : LS_TOKEN_NORMAL;
        if (scores) t->score[i] = (float)ls_gguf_num_at(scores, i);
        if (t->score[i] != t->score[i]) t->score[i] = -1e30f; /* NaN would break the ordering */
        t->type[i] = type >= 0 && type <= LS_TOKEN_BYTE ? (uint8_t)type : LS_TOKEN_NORMAL;
    }
    return LS_OK;
}

/* An id of the metadata: absent or all ones means none. */
static ls_status read_id(const ls_tokenizer *t, const ls_gguf *g, const char *key, int32_t *id,
                         ls_error *err)
{
    int64_t v;
    if (!ls_gguf_int(g, key, &v)) return LS_OK;
    if (v == UINT32_MAX || v == -1) {
        *id = -1;
        return LS_OK;
    }
    if (v < 0 || v >= t->n_vocab) return bad_key(g, key, "names a token past the vocabulary", err);
    *id = (int32_t)v;
    return LS_OK;
}

static ls_status read_special_ids(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    bool spm = t->model == LS_VOCAB_SPM;
    t->bos = spm ? 1 : 11;
    t->eos = spm ? 2 : 11;
    t->unk = spm ? 0 : -1;
    t->eot = -1;
    if (t->bos >= t->n_vocab) t->bos = -1;
    if (t->eos >= t->n_vocab) t->eos = -1;
    LS_TRY(read_id(t, g, "tokenizer.ggml.bos_token_id", &t->bos, err));
    LS_TRY(read_id(t, g, "tokenizer.ggml.eos_token_id", &t->eos, err));
    LS_TRY(read_id(t, g, "tokenizer.ggml.eot_token_id", &t->eot, err));
    LS_TRY(read_id(t, g, "tokenizer.ggml.unknown_token_id", &t->unk, err));
    for (size_t i = 0; i < N_OF(eot_texts) && t->eot < 0; i++) {
        t->eot = ls_tokenizer_find(t, eot_texts[i]);
    }
    for (size_t i = 0; i < N_OF(end_texts); i++) {
        int32_t id = ls_tokenizer_find(t, end_texts[i]);
        if (id >= 0 && t->type[id] == LS_TOKEN_CONTROL) t->is_end[id] = 1;
    }
    if (t->eos >= 0) t->is_end[t->eos] = 1;
    if (t->eot >= 0) t->is_end[t->eot] = 1;
    return LS_OK;
}

static int compare_longest_first(const void *a, const void *b, void *tokenizer)
{
    const ls_tokenizer *t = tokenizer;
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    if (t->text[x].len != t->text[y].len) return t->text[x].len < t->text[y].len ? 1 : -1;
    return (x > y) - (x < y);
}

static bool is_special(const ls_tokenizer *t, int32_t id)
{
    return t->type[id] == LS_TOKEN_CONTROL || t->type[id] == LS_TOKEN_USER_DEFINED ||
           t->type[id] == LS_TOKEN_UNKNOWN;
}

static ls_status collect_specials(ls_tokenizer *t, ls_error *err)
{
    size_t n = 0;
    for (int32_t i = 0; i < t->n_vocab; i++) n += is_special(t, i);
    LS_TRY(ls_alloc(&t->specials, n, sizeof(*t->specials), "the vocabulary", err));
    for (int32_t i = 0; i < t->n_vocab; i++) {
        if (is_special(t, i) && t->text[i].len) t->specials[t->n_specials++] = i;
    }
    qsort_r(t->specials, t->n_specials, sizeof(*t->specials), compare_longest_first, t);
    return LS_OK;
}

static void find_byte_tokens(ls_tokenizer *t)
{
    for (int b = 0; b < 256; b++) {
        char name[8], self = (char)b;
        snprintf(name, sizeof(name), "<0x%02X>", (unsigned)b);
        t->byte_id[b] = ls_tokenizer_find(t, name);
        if (t->byte_id[b] < 0) t->byte_id[b] = ls_str_map_get(&t->ids, (ls_str){&self, 1});
    }
}

static ls_status build(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    ls_str model, pre = LS_STR("");
    if (!ls_gguf_str(g, "tokenizer.ggml.model", &model)) {
        return bad_key(g, "tokenizer.ggml.model", "is no string", err);
    }
    ls_gguf_str(g, "tokenizer.ggml.pre", &pre);
    snprintf(t->pre, sizeof(t->pre), "%.*s", LS_FMT(pre));
    if (ls_str_is(model, "llama")) {
        t->model = LS_VOCAB_SPM;
    } else if (ls_str_is(model, "gpt2")) {
        t->model = LS_VOCAB_BPE;
    } else {
        ls_fail(err, LS_ERR_UNSUPPORTED, "tokenizer model '%.*s' is not supported", LS_FMT(model));
        ls_fail_at(err, "%s: metadata key 'tokenizer.ggml.model'", ls_gguf_path(g));
        return LS_ERR_UNSUPPORTED;
    }
    t->add_bos = t->add_space_prefix = t->model == LS_VOCAB_SPM;
    LS_TRY(read_texts(t, g, err));
    LS_TRY(read_scores_and_types(t, g, err));
    if (t->model == LS_VOCAB_BPE) LS_TRY(ls_bpe_init(t, g, err));
    LS_TRY(read_special_ids(t, g, err));
    LS_TRY(collect_specials(t, err));
    find_byte_tokens(t);
    ls_gguf_bool(g, "tokenizer.ggml.add_bos_token", &t->add_bos);
    ls_gguf_bool(g, "tokenizer.ggml.add_eos_token", &t->add_eos);
    ls_gguf_bool(g, "tokenizer.ggml.add_space_prefix", &t->add_space_prefix);
    return LS_OK;
}

ls_status ls_tokenizer_create(ls_tokenizer **out, const ls_gguf *g, ls_error *err)
{
    ls_tokenizer *t;
    ls_status     status;
    *out = NULL;
    LS_TRY(ls_alloc(&t, 1, sizeof(*t), "a tokenizer", err));
    status = build(t, g, err);
    if (status != LS_OK) {
        ls_tokenizer_destroy(t);
        return status;
    }
    *out = t;
    return LS_OK;
}

void ls_tokenizer_destroy(ls_tokenizer *t)
{
    if (!t) return;
    pcre2_code_free(t->pattern);
    ls_str_map_fini(&t->ids);
    ls_str_map_fini(&t->merges);
    free(t->text);
    free(t->type);
    free(t->is_end);
    free(t->score);
    free(t->specials);
    free(t);
}

/* ---- encoding ---- */

/* Text between special tokens. SentencePiece sets a space before the first word. */
static ls_status encode_plain(const ls_tokenizer *t, const char *text, size_t len,
                              bool after_special, ls_ids *out, ls_error *err)
{
    char     *prefixed;
    ls_status status;
    if (len == 0) return LS_OK;
    if (t->model == LS_VOCAB_BPE) return ls_bpe_encode(t, text, len, out, err);
    if (!t->add_space_prefix || !after_special) return ls_spm_encode(t, text, len, out, err);
    LS_TRY(ls_alloc(&prefixed, len + 1, 1, "a tokenizer", err));
    prefixed[0] = ' ';
    memcpy(prefixed + 1, text, len);
    status = ls_spm_encode(t, prefixed, len + 1, out, err);
    free(prefixed);
    return status;
}

/* Cut at special token number `first` of the list, then what lies between at the ones after it:
 * the same order as trying each special on all pieces in turn, longest first. */
static ls_status encode_pieces(const ls_tokenizer *t, const char *text, size_t len, size_t first,
                               bool parse_special, bool *after_special, ls_ids *out, ls_error *err)
{
    for (size_t i = first; i < t->n_specials && len; i++) {
        ls_str      s = t->text[t->specials[i]];
        const char *hit, *end = text + len;
        if (!parse_special && t->type[t->specials[i]] != LS_TOKEN_USER_DEFINED) continue;
        if (s.len > len || !(hit = memmem(text, len, s.p, s.len))) continue;
        for (; hit; hit = memmem(text, (size_t)(end - text), s.p, s.len)) {
            LS_TRY(encode_pieces(t, text, (size_t)(hit - text), i + 1, parse_special, after_special,
                                 out, err));
            LS_TRY(ls_ids_push(out, t->specials[i], err));
            *after_special = true;
            text = hit + s.len;
        }
        return encode_pieces(t, text, (size_t)(end - text), i + 1, parse_special, after_special,
                             out, err);
    }
    if (len == 0) return LS_OK;
    LS_TRY(encode_plain(t, text, len, *after_special, out, err));
    *after_special = false;
    return LS_OK;
}

ls_status ls_tokenizer_encode(const ls_tokenizer *t, const char *text, size_t len,
                              const ls_encode_options *opt, int32_t **ids, size_t *n, ls_error *err)
{
    ls_bos_mode mode = opt ? opt->bos : LS_BOS_AUTO;
    bool        bos = mode == LS_BOS_YES || (mode == LS_BOS_AUTO && t->add_bos);
    bool        after_special = true;
    ls_ids      out = {0};
    ls_status   status = LS_OK;

    *ids = NULL;
    *n = 0;
    if (len > INT32_MAX / 4) {
        return ls_fail(err, LS_ERR_LIMIT, "a text of %zu bytes is too long to tokenize", len);
    }
    status = ls_grow(&out.at, &out.cap, 16, sizeof(*out.at), "token ids", err);
    if (status == LS_OK && bos && t->bos >= 0) status = ls_ids_push(&out, t->bos, err);
    if (status == LS_OK) {
        status = encode_pieces(t, text, len, 0, opt && opt->parse_special, &after_special, &out, err);
    }
    if (status == LS_OK && mode == LS_BOS_AUTO && t->add_eos && t->eos >= 0) {
        status = ls_ids_push(&out, t->eos, err);
    }
    if (status != LS_OK) {
        free(out.at);
        return status;
    }
    *ids = out.at;
    *n = out.n;
    return LS_OK;
}

/* ---- decoding ---- */

static size_t copy(ls_str s, char *buf, size_t cap)
{
    if (cap) memcpy(buf, s.p, s.len < cap ? s.len : cap);
    return s.len;
}

/* SentencePiece text: U+2581 becomes a space. */
static size_t spm_bytes(ls_str s, char *buf, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; n++) {
        bool space = i + 3 <= s.len && memcmp(s.p + i, "\xe2\x96\x81", 3) == 0;
        if (n < cap) buf[n] = space ? ' ' : s.p[i];
        i += space ? 3 : 1;
    }
    return n;
}

size_t ls_tokenizer_piece(const ls_tokenizer *t, int32_t id, bool special, char *buf, size_t cap)
{
    ls_str s;
    if (id < 0 || id >= t->n_vocab) return 0;
    s = t->text[id];
    switch ((ls_token_type)t->type[id]) {
    case LS_TOKEN_CONTROL:
    case LS_TOKEN_UNKNOWN: return special ? copy(s, buf, cap) : 0;
    case LS_TOKEN_USER_DEFINED: return copy(s, buf, cap);
    case LS_TOKEN_UNUSED:
        if (t->model == LS_VOCAB_SPM) return 0;
        break;
    case LS_TOKEN_BYTE:
        if (t->model == LS_VOCAB_BPE) break;
        for (int b = 0; b < 256; b++) {
            char c = (char)b;
            if (t->byte_id[b] == id) return copy((ls_str){&c, 1}, buf, cap);
        }
        return 0;
    case LS_TOKEN_UNDEFINED:
    case LS_TOKEN_NORMAL: break;
    }
    return t->model == LS_VOCAB_SPM ? spm_bytes(s, buf, cap) : ls_bpe_bytes(s, buf, cap);
}

ls_status ls_tokenizer_decode(const ls_tokenizer *t, const int32_t *ids, size_t n, bool special,
                              char **text, size_t *len, ls_error *err)
{
    char  *out = NULL;
    size_t cap = 0, at = 0;
    bool   first = t->model == LS_VOCAB_SPM && t->add_space_prefix;

    *text = NULL;
    for (size_t i = 0; i <= n; i++) { /* one round more: room for the final zero byte */
        size_t need = i < n ? ls_tokenizer_piece(t, ids[i], special, NULL, 0) : 1;
        if (ls_grow(&out, &cap, at + need + 1, 1, "a text", err) != LS_OK) {
            free(out);
            return LS_ERR_NOMEM;
        }
        if (i == n) break;
        ls_tokenizer_piece(t, ids[i], special, out + at, need);
        if (first && need && out[at] == ' ') memmove(out + at, out + at + 1, --need);
        if (need || (first && !need && t->type[ids[i] < 0 ? 0 : ids[i]] != LS_TOKEN_CONTROL)) first = false;
        at += need;
    }
    out[at] = '\0';
    *text = out;
    if (len) *len = at;
    return LS_OK;
}

/* ---- what the vocabulary says ---- */

static bool has(const ls_tokenizer *t, int32_t id) { return id >= 0 && id < t->n_vocab; }

int32_t       ls_tokenizer_n_vocab(const ls_tokenizer *t) { return t->n_vocab; }
ls_str        ls_tokenizer_text(const ls_tokenizer *t, int32_t id) { return has(t, id) ? t->text[id] : LS_STR(""); }
ls_token_type ls_tokenizer_type(const ls_tokenizer *t, int32_t id)
{
    return has(t, id) ? (ls_token_type)t->type[id] : LS_TOKEN_UNDEFINED;
}
int32_t ls_tokenizer_find(const ls_tokenizer *t, const char *text)
{
    return ls_str_map_get(&t->ids, (ls_str){text, strlen(text)});
}
int32_t     ls_tokenizer_bos(const ls_tokenizer *t) { return t->bos; }
int32_t     ls_tokenizer_eos(const ls_tokenizer *t) { return t->eos; }
int32_t     ls_tokenizer_eot(const ls_tokenizer *t) { return t->eot; }
bool        ls_tokenizer_adds_bos(const ls_tokenizer *t) { return t->add_bos && t->bos >= 0; }
bool        ls_tokenizer_is_end(const ls_tokenizer *t, int32_t id) { return has(t, id) && t->is_end[id]; }
const char *ls_tokenizer_model(const ls_tokenizer *t) { return t->model == LS_VOCAB_SPM ? "llama" : "gpt2"; }
const char *ls_tokenizer_pre(const ls_tokenizer *t) { return t->pre; }
