// SPDX-License-Identifier: MIT
/* tj_vocab.c - the model and the added tokens of a tokenizer.json: texts, ids, scores, merges. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bpe.h"
#include "text/tj.h"

typedef struct loader {
    ls_tokenizer     *t;
    const ls_tj_file *f;
    const json_t     *model, *vocab, *added;
    size_t            n_entries, n_bytes;
    int64_t           max_id;
    char             *end; /* of the texts copied so far */
} loader;

static const ls_tj_place at_model = {NULL, "model", 0};
static const ls_tj_place at_vocab = {&at_model, "vocab", 0};
static const ls_tj_place at_merges = {&at_model, "merges", 0};
static const ls_tj_place at_added = {NULL, "added_tokens", 0};

/* ---- what there is ---- */

static ls_status note_id(loader *l, const ls_tj_place *at, const json_t *id, size_t len,
                         ls_error *err)
{
    if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) >= INT32_MAX) {
        return ls_tj_fail(l->f, at, LS_ERR_FORMAT, err, "is no token id");
    }
    if (json_integer_value(id) > l->max_id) l->max_id = json_integer_value(id);
    l->n_entries++;
    l->n_bytes += len; /* of a text in memory: no overflow */
    return LS_OK;
}

static ls_status count_object(loader *l, ls_error *err)
{
    for (void *i = json_object_iter((json_t *)(uintptr_t)l->vocab); i;
         i = json_object_iter_next((json_t *)(uintptr_t)l->vocab, i)) {
        const ls_tj_place here = {&at_vocab, json_object_iter_key(i), 0};
        LS_TRY(note_id(l, &here, json_object_iter_value(i), json_object_iter_key_len(i), err));
    }
    return LS_OK;
}

static ls_status count_list(loader *l, ls_error *err)
{
    size_t n = json_array_size(l->vocab);
    for (size_t i = 0; i < n; i++) {
        const ls_tj_place here = {&at_vocab, NULL, i};
        const json_t     *o = json_array_get(l->vocab, i), *text = json_array_get(o, 0);
        if (!json_is_string(text) || !json_is_number(json_array_get(o, 1))) {
            return ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err, "is no pair of text and score");
        }
        l->n_bytes += json_string_length(text);
    }
    l->n_entries += n;
    l->max_id = (int64_t)n - 1;
    return LS_OK;
}

static ls_status count_added(loader *l, ls_error *err)
{
    if (l->added && !json_is_null(l->added) && !json_is_array(l->added)) {
        return ls_tj_fail(l->f, &at_added, LS_ERR_FORMAT, err, "is no list");
    }
    for (size_t i = 0; i < json_array_size(l->added); i++) {
        const ls_tj_place here = {&at_added, NULL, i}, id = {&here, "id", 0};
        const json_t     *o = json_array_get(l->added, i), *text = json_object_get(o, "content");
        if (!json_is_string(text) || json_string_length(text) == 0) {
            return ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err, "has no content");
        }
        LS_TRY(note_id(l, &id, json_object_get(o, "id"), json_string_length(text), err));
    }
    return LS_OK;
}

static ls_status allocate(loader *l, ls_error *err)
{
    ls_tokenizer *t = l->t;
    size_t        n = (size_t)(l->max_id + 1);
    /* A single huge id would take all memory. */
    if (n > 16 * l->n_entries + 65536 || l->n_entries > INT32_MAX / 2) {
        return ls_tj_fail(l->f, &at_vocab, LS_ERR_FORMAT, err, "has an id far past its %zu tokens",
                          l->n_entries);
    }
    if (l->n_entries == 0) {
        return ls_tj_fail(l->f, &at_vocab, LS_ERR_FORMAT, err, "has no tokens");
    }
    t->n_vocab = (int32_t)n;
    LS_TRY(ls_alloc(&t->text, n, sizeof(*t->text), "the vocabulary", err));
    LS_TRY(ls_alloc(&t->type, n, 1, "the vocabulary", err));
    LS_TRY(ls_alloc(&t->is_end, n, 1, "the vocabulary", err));
    LS_TRY(ls_alloc(&t->score, n, sizeof(float), "the vocabulary", err));
    LS_TRY(ls_alloc(&t->tj->added, n, 1, "the vocabulary", err));
    LS_TRY(ls_alloc(&t->tj->texts, l->n_bytes, 1, "the vocabulary", err));
    LS_TRY(ls_str_map_init(&t->ids, l->n_entries, err));
    LS_TRY(ls_str_map_init(&t->tj->model_ids, l->n_entries, err));
    for (size_t i = 0; i < n; i++) t->text[i] = LS_STR("");
    l->end = t->tj->texts;
    return LS_OK;
}

/* ---- texts ---- */

static ls_str keep(loader *l, const char *text, size_t len)
{
    ls_str s = {l->end, len};
    if (len) memcpy(l->end, text, len);
    l->end += len;
    return s;
}

static void put_token(loader *l, ls_str text, int32_t id)
{
    ls_tokenizer *t = l->t;
    t->text[id] = text;
    t->type[id] = LS_TOKEN_NORMAL;
    if (text.len > t->max_len) t->max_len = text.len;
    ls_str_map_put(&t->ids, text, id);
    ls_str_map_put(&t->tj->model_ids, text, id);
}

static ls_status put_object(loader *l, ls_error *err)
{
    for (void *i = json_object_iter((json_t *)(uintptr_t)l->vocab); i;
         i = json_object_iter_next((json_t *)(uintptr_t)l->vocab, i)) {
        const ls_tj_place here = {&at_vocab, json_object_iter_key(i), 0};
        int32_t           id = (int32_t)json_integer_value(json_object_iter_value(i));
        if (l->t->type[id] != LS_TOKEN_UNDEFINED) {
            return ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err, "has the id %d of another token",
                              (int)id);
        }
        put_token(l, keep(l, json_object_iter_key(i), json_object_iter_key_len(i)), id);
    }
    return LS_OK;
}

static ls_status put_list(loader *l, ls_error *err)
{
    for (size_t i = 0; i < json_array_size(l->vocab); i++) {
        const ls_tj_place here = {&at_vocab, NULL, i};
        const json_t     *o = json_array_get(l->vocab, i), *text = json_array_get(o, 0);
        double            score = json_number_value(json_array_get(o, 1));
        if (!(fabs(score) <= (double)FLT_MAX)) {
            return ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err, "has no score that is a number");
        }
        put_token(l, keep(l, json_string_value(text), json_string_length(text)), (int32_t)i);
        l->t->score[i] = (float)score;
    }
    return LS_OK;
}

static const struct {
    const char *key;
    uint8_t     flag;
} added_flags[] = {
    {"special", LS_ADDED_SPECIAL},  {"normalized", LS_ADDED_NORMALIZED},
    {"single_word", LS_ADDED_WORD}, {"lstrip", LS_ADDED_LEFT},
    {"rstrip", LS_ADDED_RIGHT},
};

static ls_status put_added(loader *l, size_t i, ls_error *err)
{
    ls_tokenizer     *t = l->t;
    const ls_tj_place here = {&at_added, NULL, i};
    const json_t     *o = json_array_get(l->added, i), *v = json_object_get(o, "content");
    ls_str            text = keep(l, json_string_value(v), json_string_length(v));
    int32_t           id = (int32_t)json_integer_value(json_object_get(o, "id")), known;
    uint8_t           flags = 0;
    bool              on;
    for (size_t k = 0; k < sizeof(added_flags) / sizeof(added_flags[0]); k++) {
        on = false;
        LS_TRY(ls_tj_bool(l->f, &here, o, added_flags[k].key, &on, err));
        if (on) flags |= added_flags[k].flag;
    }
    known = ls_str_map_get(&t->ids, text);
    if (known >= 0) id = known; /* the model's id counts */
    if (known < 0 && t->type[id] != LS_TOKEN_UNDEFINED) {
        return ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err, "has the id %d of another token",
                          (int)id);
    }
    t->text[id] = text;
    t->type[id] = flags & LS_ADDED_SPECIAL ? LS_TOKEN_CONTROL : LS_TOKEN_USER_DEFINED;
    t->tj->added[id] = flags;
    if (text.len > t->max_len) t->max_len = text.len;
    ls_str_map_put(&t->ids, text, id);
    if (!(flags & LS_ADDED_NORMALIZED)) return ls_trie_put(&t->tj->raw, text, id, err);
    {
        char     *copy;
        size_t    len = text.len;
        ls_status status;
        LS_TRY(ls_alloc(&copy, len + 1, 1, "a tokenizer", err));
        memcpy(copy, text.p, len);
        status = ls_tj_normalize(t->tj, &copy, &len, err);
        if (status == LS_OK) status = ls_trie_put(&t->tj->normal, (ls_str){copy, len}, id, err);
        free(copy);
        return status;
    }
}

/* ---- models ---- */

static ls_status find_unknown(loader *l, ls_error *err)
{
    const ls_tj_place here = {&at_model, "unk_token", 0};
    const json_t     *v = json_object_get(l->model, "unk_token");
    ls_tokenizer     *t = l->t;
    if (!v || json_is_null(v)) return LS_OK;
    if (!json_is_string(v)) return ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err, "is no string");
    t->unk = ls_str_map_get(&t->ids, (ls_str){json_string_value(v), json_string_length(v)});
    if (t->unk < 0 && t->tj->model != LS_TJ_BPE) {
        return ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err, "is not in the vocabulary");
    }
    return LS_OK;
}

static ls_status read_merge(loader *l, size_t i, ls_error *err)
{
    const ls_tj_place here = {&at_merges, NULL, i};
    const json_t     *o = json_array_get(json_object_get(l->model, "merges"), i), *a = o, *b = NULL;
    ls_str            left, right, joined;
    char             *buf;
    size_t            prefix = l->t->tj->prefix.len;
    ls_status         status;
    if (json_is_array(o)) {
        a = json_array_get(o, 0);
        b = json_array_get(o, 1);
    }
    if (!json_is_string(a) ||
        (json_is_array(o) && (!json_is_string(b) || json_array_size(o) != 2))) {
        return ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err, "is no pair of texts");
    }
    left = (ls_str){json_string_value(a), json_string_length(a)};
    if (b) {
        right = (ls_str){json_string_value(b), json_string_length(b)};
    } else if (!ls_bpe_parts(left, &left, &right)) {
        return ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err, "is no pair of texts");
    }
    if (prefix > right.len) prefix = right.len;
    LS_TRY(ls_alloc(&buf, left.len + right.len, 1, "the vocabulary", err));
    if (left.len) memcpy(buf, left.p, left.len);
    if (right.len > prefix) memcpy(buf + left.len, right.p + prefix, right.len - prefix);
    joined = (ls_str){buf, left.len + right.len - prefix};
    if (ls_str_map_get(&l->t->tj->model_ids, left) < 0 ||
        ls_str_map_get(&l->t->tj->model_ids, right) < 0 ||
        ls_str_map_get(&l->t->tj->model_ids, joined) < 0) {
        status = ls_tj_fail(l->f, &here, LS_ERR_FORMAT, err,
                            "joins or gives what is not in the vocabulary");
    } else {
        status = ls_bpe_add(l->t, left, right, &joined, (int32_t)i, err);
    }
    free(buf);
    return status;
}

static ls_status init_bpe(loader *l, ls_error *err)
{
    const json_t *merges = json_object_get(l->model, "merges");
    ls_tj        *tj = l->t->tj;
    LS_TRY(ls_tj_str(l->f, &at_model, l->model, "continuing_subword_prefix", &tj->prefix, err));
    LS_TRY(ls_tj_str(l->f, &at_model, l->model, "end_of_word_suffix", &tj->suffix, err));
    LS_TRY(ls_tj_bool(l->f, &at_model, l->model, "fuse_unk", &tj->fuse_unk, err));
    LS_TRY(ls_tj_bool(l->f, &at_model, l->model, "byte_fallback", &tj->byte_fallback, err));
    LS_TRY(ls_tj_bool(l->f, &at_model, l->model, "ignore_merges", &tj->ignore_merges, err));
    if (!json_is_array(merges)) {
        return ls_tj_fail(l->f, &at_merges, LS_ERR_FORMAT, err, "is missing or no list");
    }
    ls_bpe_init_bytes(l->t);
    LS_TRY(ls_bpe_begin(l->t, json_array_size(merges), err));
    for (size_t i = 0; i < json_array_size(merges); i++) LS_TRY(read_merge(l, i, err));
    return LS_OK;
}

static ls_status init_unigram(loader *l, ls_error *err)
{
    ls_tokenizer *t = l->t;
    int64_t       unk = -1;
    size_t        n = json_array_size(l->vocab);
    float         least = FLT_MAX;
    LS_TRY(ls_tj_bool(l->f, &at_model, l->model, "byte_fallback", &t->byte_fallback, err));
    LS_TRY(ls_tj_int(l->f, &at_model, l->model, "unk_id", 0, (int64_t)n - 1, &unk, err));
    t->unk = (int32_t)unk;
    for (size_t i = 0; i < n; i++) {
        LS_TRY(ls_trie_put(&t->trie, t->text[i], (int32_t)i, err));
        if (t->score[i] < least) least = t->score[i];
    }
    t->unk_score = least - 10.0f;
    return LS_OK;
}

static ls_status init_wordpiece(loader *l, ls_error *err)
{
    int64_t max_chars = 100;
    ls_tj  *tj = l->t->tj;
    LS_TRY(ls_tj_str(l->f, &at_model, l->model, "continuing_subword_prefix", &tj->prefix, err));
    LS_TRY(ls_tj_int(l->f, &at_model, l->model, "max_input_chars_per_word", 0, INT32_MAX,
                     &max_chars, err));
    tj->max_chars = (size_t)max_chars;
    return LS_OK;
}

static ls_status init_wordlevel(loader *l, ls_error *err)
{
    (void)l, (void)err;
    return LS_OK;
}

#define MODEL(n)                                                                                   \
    {                                                                                              \
        .name = (n), .kind = LS_VOCAB_TJ                                                           \
    }
static const struct {
    ls_vocab_model row;
    ls_tj_model    model;
    bool           list; /* the vocabulary is a list with scores */
    ls_status (*init)(loader *l, ls_error *err);
} models[] = {
    {MODEL("BPE"), LS_TJ_BPE, false, init_bpe},
    {MODEL("Unigram"), LS_TJ_UNIGRAM, true, init_unigram},
    {MODEL("WordPiece"), LS_TJ_WORDPIECE, false, init_wordpiece},
    {MODEL("WordLevel"), LS_TJ_WORDLEVEL, false, init_wordlevel},
};

/* Old files do not say the type: their members tell. */
static const char *type_of(const json_t *model)
{
    const json_t *type = json_object_get(model, "type");
    if (type) return json_is_string(type) ? json_string_value(type) : NULL;
    if (json_object_get(model, "merges")) return "BPE";
    if (json_is_array(json_object_get(model, "vocab"))) return "Unigram";
    return json_object_get(model, "max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

static ls_status load(loader *l, size_t m, ls_error *err)
{
    ls_tokenizer *t = l->t;
    bool          fits = models[m].list ? json_is_array(l->vocab) : json_is_object(l->vocab);
    if (!fits) {
        return ls_tj_fail(l->f, &at_vocab, LS_ERR_FORMAT, err,
                          models[m].list ? "is no list" : "is no object");
    }
    LS_TRY(models[m].list ? count_list(l, err) : count_object(l, err));
    LS_TRY(count_added(l, err));
    LS_TRY(allocate(l, err));
    LS_TRY(models[m].list ? put_list(l, err) : put_object(l, err));
    for (size_t i = 0; i < json_array_size(l->added); i++) LS_TRY(put_added(l, i, err));
    ls_vocab_find_bytes(t);
    LS_TRY(find_unknown(l, err));
    return models[m].init(l, err);
}

ls_status ls_tj_read_vocab(ls_tokenizer *t, const ls_tj_file *f, const json_t *root, ls_error *err)
{
    const ls_tj_place at_type = {&at_model, "type", 0};
    const json_t     *model = json_object_get(root, "model");
    const char       *type = type_of(model);
    loader            l = {.t = t, .f = f, .model = model, .max_id = -1};
    l.vocab = json_object_get(model, "vocab");
    l.added = json_object_get(root, "added_tokens");
    if (!json_is_object(model)) {
        return ls_tj_fail(f, &at_model, LS_ERR_FORMAT, err, "is missing or no object");
    }
    LS_TRY(ls_trie_init(&t->trie, err));
    LS_TRY(ls_trie_init(&t->tj->raw, err));
    LS_TRY(ls_trie_init(&t->tj->normal, err));
    for (size_t m = 0; m < sizeof(models) / sizeof(models[0]); m++) {
        if (!type || strcmp(type, models[m].row.name) != 0) continue;
        t->tj->model = models[m].model;
        t->model = &models[m].row;
        return load(&l, m, err);
    }
    if (!type) return ls_tj_fail(f, &at_type, LS_ERR_FORMAT, err, "is no string");
    return ls_tj_fail(f, &at_type, LS_ERR_UNSUPPORTED, err, "'%.64s' is not supported", type);
}
