// SPDX-License-Identifier: MIT
/* tokenizer.c - the public tokenizer: special tokens are cut out of the text, what lies between
 * goes to spm.c, bpe.c, wpm.c or ugm.c, BOS and EOS are put on; and the way back to text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/vocab.h"

static const ls_vocab_model models[] = {
    {"llama", LS_VOCAB_SPM, NULL, 1, 2, 0, -1, true, false, true},
    {"gpt2", LS_VOCAB_BPE, NULL, 11, 11, -1, -1, false, false, false},
    {"gemma4", LS_VOCAB_BPE, "gemma4", -1, -1, -1, -1, false, false, false},
    {"bert", LS_VOCAB_WPM, NULL, 101, -1, 100, 102, true, false, false},
    {"t5", LS_VOCAB_UGM, NULL, -1, 1, 2, -1, false, true, false},
};

static ls_status find_model(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    static const char key[] = "tokenizer.ggml.model";
    ls_str            name;
    if (!ls_gguf_str(g, key, &name)) return ls_vocab_bad_key(g, key, "is no string", err);
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        if (ls_str_is(name, models[i].name)) t->model = &models[i];
    }
    if (t->model) return LS_OK;
    ls_fail(err, LS_ERR_UNSUPPORTED, "the tokenizer model '%.*s' is not supported", LS_FMT(name));
    ls_fail_at(err, "%s: metadata key '%s'", ls_gguf_path(g), key);
    ls_fail_hint(err, "supported are llama (SentencePiece), gpt2 (BPE), gemma4, bert and t5");
    return LS_ERR_UNSUPPORTED;
}

static ls_status build(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    static const char key[] = "tokenizer.ggml.pre";
    ls_str            pre = LS_STR("");
    LS_TRY(find_model(t, g, err));
    t->add_bos = t->model->add_bos;
    t->add_eos = t->model->add_eos;
    t->add_space_prefix = t->model->add_space_prefix;
    if (t->model->pre) {
        pre = (ls_str){t->model->pre, strlen(t->model->pre)};
    } else if (!ls_gguf_str(g, key, &pre) && ls_gguf_find(g, key)) {
        return ls_vocab_bad_key(g, key, "is no string", err);
    }
    snprintf(t->pre, sizeof(t->pre), "%.*s", LS_FMT(pre));
    if (t->model->kind == LS_VOCAB_BPE) LS_TRY(ls_bpe_init(t, g, pre, err));
    LS_TRY(ls_vocab_load(t, g, err));
    switch (t->model->kind) {
    case LS_VOCAB_SPM:
        ls_spm_init(t);
        break;
    case LS_VOCAB_BPE:
        ls_bpe_init_bytes(t);
        if (t->traits & LS_PRETOK_MUST_BOS) t->add_bos = true;
        break;
    case LS_VOCAB_WPM:
        t->add_bos = true; /* as the reference, whatever the metadata say */
        break;
    case LS_VOCAB_UGM:
        LS_TRY(ls_ugm_init(t, g, err));
        break;
    }
    LS_TRY(ls_strip_init(t, g, err));
    return ls_special_init(t, err);
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
    ls_pretok_destroy(t->pretok);
    ls_ugm_destroy(t->ugm);
    ls_str_map_fini(&t->ids);
    ls_str_map_fini(&t->merges);
    free(t->text);
    free(t->type);
    free(t->score);
    free(t->is_end);
    free(t->names);
    free(t->special_lens);
    free(t->strip);
    free(t);
}

/* ---- encoding ---- */

static ls_status encode_text(const ls_tokenizer *t, ls_str s, bool after_special, ls_ids *out,
                             ls_error *err)
{
    switch (t->model->kind) {
    case LS_VOCAB_SPM: /* a space before the first word, and after each special token */
        return ls_spm_encode(t, s, t->add_space_prefix && after_special, out, err);
    case LS_VOCAB_WPM:
        return ls_wpm_encode(t, s, out, err);
    case LS_VOCAB_UGM:
        return ls_ugm_encode(t, s, out, err);
    case LS_VOCAB_BPE:
        break;
    }
    return ls_bpe_encode(t, s, out, err);
}

static ls_status encode_fragments(const ls_tokenizer *t, const ls_fragments *f, ls_ids *out,
                                  ls_error *err)
{
    bool after_special = true;
    for (size_t i = 0; i < f->n; i++) {
        if (f->at[i].id >= 0) {
            LS_TRY(ls_ids_push(out, f->at[i].id, err));
        } else {
            LS_TRY(encode_text(t, f->at[i].text, after_special, out, err));
        }
        after_special = f->at[i].id >= 0;
    }
    return LS_OK;
}

static ls_status encode(const ls_tokenizer *t, ls_str text, const ls_encode_options *opt,
                        ls_ids *out, ls_error *err)
{
    int32_t      last = t->add_eos ? t->eos : -1;
    ls_bos_mode  mode = opt ? opt->bos : LS_BOS_AUTO;
    bool         bos = mode == LS_BOS_YES || (mode == LS_BOS_AUTO && t->add_bos);
    ls_fragments fragments = {0};
    ls_status    status;
    LS_TRY(ls_grow(&out->at, &out->cap, 1, sizeof(*out->at), "token ids", err));
    if (bos && t->bos >= 0) LS_TRY(ls_ids_push(out, t->bos, err));
    status = ls_special_split(t, text, opt && opt->parse_special, &fragments, err);
    if (status == LS_OK) status = encode_fragments(t, &fragments, out, err);
    free(fragments.at);
    if (t->model->kind == LS_VOCAB_WPM) last = t->sep;
    if (status == LS_OK && mode == LS_BOS_AUTO && last >= 0) {
        status = ls_ids_push(out, last, err);
    }
    return status;
}

ls_status ls_tokenizer_encode(const ls_tokenizer *t, const char *text, size_t len,
                              const ls_encode_options *opt, int32_t **ids, size_t *n, ls_error *err)
{
    ls_ids    out = {0};
    ls_status status;
    *ids = NULL;
    *n = 0;
    if (len > INT32_MAX / 4) { /* a byte can become three, and symbols are numbered in 32 bits */
        return ls_fail(err, LS_ERR_LIMIT, "a text of %zu bytes is too long to tokenize", len);
    }
    status = encode(t, (ls_str){text, len}, opt, &out, err);
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

size_t ls_tokenizer_piece(const ls_tokenizer *t, int32_t id, bool special, char *buf, size_t cap)
{
    ls_str s;
    if (id < 0 || id >= t->n_vocab) return 0;
    s = t->text[id];
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
    if (t->model->kind != LS_VOCAB_BPE || (t->traits & LS_PRETOK_ESCAPE)) {
        return ls_spm_bytes(s, buf, cap);
    }
    return ls_bpe_bytes(t, s, buf, cap);
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
        if (first && out[at] == ' ') memmove(out + at, out + at + 1, --need);
        first = false;
        at += need;
    }
    if (ls_grow(&out, &cap, at + 1, 1, "a text", err) != LS_OK) {
        free(out);
        return LS_ERR_NOMEM;
    }
    out[at] = '\0';
    *text = out;
    if (len) *len = at;
    return LS_OK;
}

/* ---- what the vocabulary says ---- */

static bool has(const ls_tokenizer *t, int32_t id) { return id >= 0 && id < t->n_vocab; }

int32_t ls_tokenizer_n_vocab(const ls_tokenizer *t) { return t->n_vocab; }

ls_str ls_tokenizer_text(const ls_tokenizer *t, int32_t id)
{
    return has(t, id) ? t->text[id] : LS_STR("");
}

ls_token_type ls_tokenizer_type(const ls_tokenizer *t, int32_t id)
{
    return has(t, id) ? (ls_token_type)t->type[id] : LS_TOKEN_UNDEFINED;
}

int32_t ls_tokenizer_find(const ls_tokenizer *t, const char *text)
{
    return ls_str_map_get(&t->ids, (ls_str){text, strlen(text)});
}

int32_t ls_tokenizer_bos(const ls_tokenizer *t) { return t->bos; }
int32_t ls_tokenizer_eos(const ls_tokenizer *t) { return t->eos; }
int32_t ls_tokenizer_eot(const ls_tokenizer *t) { return t->eot; }
bool    ls_tokenizer_adds_bos(const ls_tokenizer *t) { return t->add_bos && t->bos >= 0; }

bool ls_tokenizer_is_end(const ls_tokenizer *t, int32_t id) { return has(t, id) && t->is_end[id]; }

const char *ls_tokenizer_model(const ls_tokenizer *t) { return t->model->name; }
const char *ls_tokenizer_pre(const ls_tokenizer *t) { return t->pre; }
