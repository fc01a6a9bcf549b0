// SPDX-License-Identifier: MIT
/* tj_steps.c - the normalizer, pre_tokenizer and decoder of a tokenizer.json as lists of steps: one
 * table of the types that each may have, one reader per set of parameters. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/base64.h"
#include "text/tj.h"

typedef struct reader {
    const ls_tj_file *f;
    ls_steps         *out;
    int               depth;
} reader;

enum { MAX_DEPTH = 16, MAX_STEPS = 64 };

typedef ls_status read_fn(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                          ls_error *err);

typedef struct step_type {
    const char  *name;
    ls_step_kind kind;
    read_fn     *read; /* NULL: no parameters */
} step_type;

void ls_steps_fini(ls_steps *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free((void *)(uintptr_t)s->at[i].text.p);
        ls_regex_destroy(s->at[i].pattern);
        free(s->at[i].charsmap_bytes);
    }
    free(s->at);
    *s = (ls_steps){0};
}

/* ---- parameters ---- */

static ls_status required(const reader *r, const ls_tj_place *at, const json_t *o, const char *key,
                          ls_str *out, ls_error *err)
{
    const ls_tj_place here = {at, key, 0};
    LS_TRY(ls_tj_str(r->f, at, o, key, out, err));
    if (out->p) return LS_OK;
    return ls_tj_fail(r->f, &here, LS_ERR_FORMAT, err, "is missing");
}

/* One of the words, by its place in the list; *out stays where there is none. */
static ls_status one_of(const reader *r, const ls_tj_place *at, const json_t *o, const char *key,
                        const char *const *words, size_t n, int *out, ls_error *err)
{
    const json_t     *v = json_object_get(o, key);
    const ls_tj_place here = {at, key, 0};
    if (!v || json_is_null(v)) return LS_OK;
    for (size_t i = 0; i < n && json_is_string(v); i++) {
        if (strcmp(json_string_value(v), words[i]) == 0) {
            *out = (int)i;
            return LS_OK;
        }
    }
    return ls_tj_fail(r->f, &here, LS_ERR_FORMAT, err, "is none of the known words");
}

/* {"String": text} or {"Regex": expression}. */
static ls_status read_pattern(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                              ls_error *err)
{
    const ls_tj_place here = {at, "pattern", 0};
    const json_t     *v = json_object_get(o, "pattern"), *text = json_object_get(v, "String");
    bool              literal = text != NULL;
    ls_status         status;
    if (!text) text = json_object_get(v, "Regex");
    if (!json_is_string(text)) {
        return ls_tj_fail(r->f, &here, LS_ERR_FORMAT, err, "is neither String nor Regex");
    }
    status = ls_regex_create(
        &s->pattern, (ls_str){json_string_value(text), json_string_length(text)}, literal, err);
    if (status != LS_OK) ls_tj_at(r->f, &here, err);
    return status;
}

static const char *const behaviors[] = {"Removed", "Isolated", "MergedWithPrevious",
                                        "MergedWithNext", "Contiguous"};

static ls_status read_behavior(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                               ls_error *err)
{
    int behavior = LS_SPLIT_ISOLATED;
    LS_TRY(one_of(r, at, o, "behavior", behaviors, 5, &behavior, err));
    s->behavior = (ls_split_behavior)behavior;
    return LS_OK;
}

static ls_status read_split(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                            ls_error *err)
{
    LS_TRY(read_pattern(r, at, o, s, err));
    LS_TRY(read_behavior(r, at, o, s, err));
    return ls_tj_bool(r->f, at, o, "invert", &s->invert, err);
}

static ls_status read_replace(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                              ls_error *err)
{
    LS_TRY(read_pattern(r, at, o, s, err));
    return required(r, at, o, "content", &s->text, err);
}

static ls_status read_prepend(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                              ls_error *err)
{
    return required(r, at, o, "prepend", &s->text, err);
}

static ls_status read_strip(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                            ls_error *err)
{
    s->left = s->right = true;
    LS_TRY(ls_tj_bool(r->f, at, o, "strip_left", &s->left, err));
    return ls_tj_bool(r->f, at, o, "strip_right", &s->right, err);
}

static ls_status read_bert(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                           ls_error *err)
{
    s->clean = s->chinese = s->lower = true;
    LS_TRY(ls_tj_bool(r->f, at, o, "clean_text", &s->clean, err));
    LS_TRY(ls_tj_bool(r->f, at, o, "handle_chinese_chars", &s->chinese, err));
    LS_TRY(ls_tj_bool(r->f, at, o, "lowercase", &s->lower, err));
    s->accents = s->lower;
    return ls_tj_bool(r->f, at, o, "strip_accents", &s->accents, err);
}

static ls_status read_charsmap(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                               ls_error *err)
{
    static const char key[] = "precompiled_charsmap";
    const ls_tj_place here = {at, key, 0};
    ls_str            text = {NULL, 0};
    size_t            n;
    ls_status         status;
    LS_TRY(required(r, at, o, key, &text, err));
    status = ls_alloc(&s->charsmap_bytes, text.len, 1, "a tokenizer", err);
    if (status == LS_OK && (!ls_base64_decode(text, s->charsmap_bytes, &n) ||
                            ls_charsmap_init(&s->charsmap, (ls_str){s->charsmap_bytes, n}))) {
        status = ls_tj_fail(r->f, &here, LS_ERR_FORMAT, err, "is no map of characters in base64");
    }
    free((void *)(uintptr_t)text.p);
    return status;
}

static ls_status read_byte_level(const reader *r, const ls_tj_place *at, const json_t *o,
                                 ls_step *s, ls_error *err)
{
    static const char gpt2[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|"
                               "\\s+(?!\\S)|\\s+";
    s->prefix_space = s->words = true;
    LS_TRY(ls_tj_bool(r->f, at, o, "add_prefix_space", &s->prefix_space, err));
    LS_TRY(ls_tj_bool(r->f, at, o, "use_regex", &s->words, err));
    return s->words ? ls_regex_create(&s->pattern, LS_STR(gpt2), false, err) : LS_OK;
}

static ls_status read_byte_normalizer(const reader *r, const ls_tj_place *at, const json_t *o,
                                      ls_step *s, ls_error *err)
{
    (void)r, (void)at, (void)o, (void)err;
    s->prefix_space = s->words = false;
    return LS_OK;
}

static ls_status read_metaspace(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                                ls_error *err)
{
    static const char *const schemes[] = {"always", "first", "never"};
    bool                     prefix = true;
    int                      scheme = LS_PREPEND_ALWAYS;
    LS_TRY(required(r, at, o, "replacement", &s->text, err));
    LS_TRY(ls_tj_bool(r->f, at, o, "add_prefix_space", &prefix, err)); /* as it once was */
    if (!prefix) scheme = LS_PREPEND_NEVER;
    LS_TRY(one_of(r, at, o, "prepend_scheme", schemes, 3, &scheme, err));
    s->scheme = (ls_prepend_scheme)scheme;
    s->split = true;
    return ls_tj_bool(r->f, at, o, "split", &s->split, err);
}

static ls_status read_delimiter(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                                ls_error *err)
{
    return required(r, at, o, "delimiter", &s->text, err);
}

static ls_status read_digits(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                             ls_error *err)
{
    return ls_tj_bool(r->f, at, o, "individual_digits", &s->each, err);
}

static ls_status read_fixed(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                            ls_error *err)
{
    int64_t n = 5;
    LS_TRY(ls_tj_int(r->f, at, o, "length", 1, INT32_MAX, &n, err));
    s->start = (size_t)n;
    return LS_OK;
}

static ls_status read_strip_decoder(const reader *r, const ls_tj_place *at, const json_t *o,
                                    ls_step *s, ls_error *err)
{
    int64_t start = 0, stop = 0;
    LS_TRY(required(r, at, o, "content", &s->text, err));
    LS_TRY(ls_tj_int(r->f, at, o, "start", 0, INT32_MAX, &start, err));
    LS_TRY(ls_tj_int(r->f, at, o, "stop", 0, INT32_MAX, &stop, err));
    s->start = (size_t)start;
    s->stop = (size_t)stop;
    return LS_OK;
}

static ls_status read_wordpiece(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                                ls_error *err)
{
    s->clean = true;
    LS_TRY(ls_tj_bool(r->f, at, o, "cleanup", &s->clean, err));
    return required(r, at, o, "prefix", &s->text, err);
}

static ls_status read_suffix(const reader *r, const ls_tj_place *at, const json_t *o, ls_step *s,
                             ls_error *err)
{
    return required(r, at, o, "suffix", &s->text, err);
}

/* ---- lists ---- */

static const step_type normalizers[] = {
    {"NFC", LS_STEP_NFC, NULL},
    {"NFD", LS_STEP_NFD, NULL},
    {"NFKC", LS_STEP_NFKC, NULL},
    {"NFKD", LS_STEP_NFKD, NULL},
    {"Lowercase", LS_STEP_LOWERCASE, NULL},
    {"Strip", LS_STEP_STRIP, read_strip},
    {"StripAccents", LS_STEP_STRIP_ACCENTS, NULL},
    {"Replace", LS_STEP_REPLACE, read_replace},
    {"Prepend", LS_STEP_PREPEND, read_prepend},
    {"BertNormalizer", LS_STEP_BERT, read_bert},
    {"Nmt", LS_STEP_NMT, NULL},
    {"Precompiled", LS_STEP_CHARSMAP, read_charsmap},
    {"ByteLevel", LS_STEP_BYTE_LEVEL, read_byte_normalizer},
    {NULL, 0, NULL},
};

static const step_type pretokenizers[] = {
    {"BertPreTokenizer", LS_STEP_BERT_WORDS, NULL},
    {"ByteLevel", LS_STEP_BYTE_LEVEL, read_byte_level},
    {"CharDelimiterSplit", LS_STEP_DELIMITER, read_delimiter},
    {"Metaspace", LS_STEP_METASPACE, read_metaspace},
    {"Whitespace", LS_STEP_WORDS, NULL},
    {"WhitespaceSplit", LS_STEP_SPACE_SPLIT, NULL},
    {"Split", LS_STEP_SPLIT, read_split},
    {"Punctuation", LS_STEP_PUNCTUATION, read_behavior},
    {"Digits", LS_STEP_DIGITS, read_digits},
    {"FixedLength", LS_STEP_FIXED, read_fixed},
    {NULL, 0, NULL},
};

static const step_type decoders[] = {
    {"ByteLevel", LS_STEP_BYTE_LEVEL, NULL},
    {"Metaspace", LS_STEP_METASPACE, read_metaspace},
    {"ByteFallback", LS_STEP_BYTE_FALLBACK, NULL},
    {"Fuse", LS_STEP_FUSE, NULL},
    {"Strip", LS_STEP_STRIP, read_strip_decoder},
    {"Replace", LS_STEP_REPLACE, read_replace},
    {"WordPiece", LS_STEP_WORDPIECE, read_wordpiece},
    {"BPEDecoder", LS_STEP_BPE_SUFFIX, read_suffix},
    {NULL, 0, NULL},
};

static ls_status read_step(reader *r, const ls_tj_place *at, const json_t *o,
                           const step_type *types, const char *list_key, ls_error *err);

static ls_status read_sequence(reader *r, const ls_tj_place *at, const json_t *o,
                               const step_type *types, const char *list_key, ls_error *err)
{
    const ls_tj_place here = {at, list_key, 0};
    const json_t     *list = json_object_get(o, list_key);
    if (!json_is_array(list)) {
        return ls_tj_fail(r->f, &here, LS_ERR_FORMAT, err, "is no list");
    }
    if (++r->depth > MAX_DEPTH) {
        return ls_tj_fail(r->f, at, LS_ERR_FORMAT, err, "is nested too deep");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const ls_tj_place item = {&here, NULL, i};
        LS_TRY(read_step(r, &item, json_array_get(list, i), types, list_key, err));
    }
    r->depth--;
    return LS_OK;
}

static ls_status read_step(reader *r, const ls_tj_place *at, const json_t *o,
                           const step_type *types, const char *list_key, ls_error *err)
{
    const json_t     *name = json_object_get(o, "type");
    const ls_tj_place here = {at, "type", 0};
    ls_step          *s;
    if (!json_is_string(name)) {
        return ls_tj_fail(r->f, &here, LS_ERR_FORMAT, err, "is missing or no string");
    }
    if (strcmp(json_string_value(name), "Sequence") == 0) {
        return read_sequence(r, at, o, types, list_key, err);
    }
    while (types->name && strcmp(types->name, json_string_value(name)) != 0) types++;
    if (!types->name) {
        return ls_tj_fail(r->f, &here, LS_ERR_UNSUPPORTED, err, "'%.64s' is not supported",
                          json_string_value(name));
    }
    if (r->out->n >= MAX_STEPS) {
        return ls_tj_fail(r->f, at, LS_ERR_FORMAT, err, "is one step too many");
    }
    LS_TRY(ls_grow(&r->out->at, &r->out->cap, r->out->n + 1, sizeof(*s), "a tokenizer", err));
    s = &r->out->at[r->out->n++];
    *s = (ls_step){.kind = types->kind};
    return types->read ? types->read(r, at, o, s, err) : LS_OK;
}

static ls_status read_list(ls_steps *out, const ls_tj_file *f, const json_t *root, const char *key,
                           const step_type *types, const char *list_key, ls_error *err)
{
    const json_t     *o = json_object_get(root, key);
    const ls_tj_place at = {NULL, key, 0};
    reader            r = {f, out, 0};
    if (!o || json_is_null(o)) return LS_OK;
    return read_step(&r, &at, o, types, list_key, err);
}

ls_status ls_tj_read_normalizer(ls_tj *tj, const ls_tj_file *f, const json_t *root, ls_error *err)
{
    return read_list(&tj->normalizer, f, root, "normalizer", normalizers, "normalizers", err);
}

ls_status ls_tj_read_pretok(ls_tj *tj, const ls_tj_file *f, const json_t *root, ls_error *err)
{
    return read_list(&tj->pretok, f, root, "pre_tokenizer", pretokenizers, "pretokenizers", err);
}

ls_status ls_tj_read_decoder(ls_tj *tj, const ls_tj_file *f, const json_t *root, ls_error *err)
{
    return read_list(&tj->decoder, f, root, "decoder", decoders, "decoders", err);
}
