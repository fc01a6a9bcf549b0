// SPDX-License-Identifier: MIT
/* hf_pretok.c - the name by which GGUF knows a pre-tokenizer, from its declaration.
 *
 * The declaration is written down as a line: S(pattern) for a split by a regular expression, D or d
 * for digits alone or in runs, P for punctuation, B or b for the byte level with or without GPT-2's
 * own pattern. The patterns are those of the tokenizers that llama.cpp's converter knows; names
 * that cut alike are one row.
 */
#include <string.h>

#include "format/hf_back.h"
#include "format/hf_vocab.h"

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL         "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER        "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}"
#define LOWER        "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"
#define WORD         "[^\\r\\n\\p{L}\\p{N}]?"

static const struct {
    const char *declared, *name;
} names[] = {
    {"S(" CONTRACTIONS "|" WORD "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL ")b",
     "llama-bpe"},
    {"S(" CONTRACTIONS "|" WORD "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" TAIL ")b", "qwen2"},
    {"S(" CONTRACTIONS "|" WORD "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" TAIL
     ")b",
     "qwen35"},
    {"S(" WORD "[" UPPER "]*[" LOWER "]+" CONTRACTIONS "?|" WORD "[" UPPER "]+[" LOWER
     "]*" CONTRACTIONS "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" TAIL ")b",
     "gpt-4o"},
    {"S(" WORD "[" UPPER "]*[" LOWER "]+|" WORD "[" UPPER "]+[" LOWER
     "]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" TAIL ")b",
     "tekken"},
    {"B", "gpt-2"},
    {"DB", "starcoder"},
    {"PBdS([0-9][0-9][0-9])", "falcon"},
    {"PBDS([0-9][0-9][0-9])", "falcon"},
};

/* Other names for the same, in the order of llama.cpp; and what its names imply. */
static const struct {
    const char *name, *like;
    bool        ignore_merges, adds_bos;
} known[] = {
    {"llama-bpe", "llama-bpe", true, true},    {"llama3", "llama-bpe", true, true},
    {"llama-v3", "llama-bpe", true, true},     {"falcon3", "llama-bpe", true, true},
    {"falcon-h1", "llama-bpe", true, true},    {"pixtral", "llama-bpe", true, true},
    {"midm-2.0", "llama-bpe", true, true},     {"lfm2", "llama-bpe", true, true},
    {"dbrx", "llama-bpe", false, false},       {"smaug-bpe", "llama-bpe", false, false},
    {"qwen2", "qwen2", false, false},          {"deepseek-r1-qwen", "qwen2", false, false},
    {"megrez", "qwen2", false, false},         {"stablelm2", "qwen2", false, false},
    {"hunyuan", "qwen2", false, false},        {"solar-open", "qwen2", false, false},
    {"qwen35", "qwen35", false, false},        {"gpt-4o", "gpt-4o", false, false},
    {"llama4", "gpt-4o", false, false},        {"kanana2", "gpt-4o", false, false},
    {"tekken", "tekken", true, true},          {"gpt-2", "gpt-2", false, false},
    {"phi-2", "gpt-2", false, false},          {"mpt", "gpt-2", false, false},
    {"olmo", "gpt-2", false, false},           {"jais", "gpt-2", false, false},
    {"trillion", "gpt-2", false, false},       {"exaone4", "gpt-2", false, false},
    {"gigachat", "gpt-2", false, false},       {"granite-docling", "gpt-2", false, false},
    {"starcoder", "starcoder", false, false},  {"refact", "starcoder", false, false},
    {"command-r", "starcoder", false, false},  {"smollm", "starcoder", false, false},
    {"codeshell", "starcoder", false, false},  {"exaone", "starcoder", false, false},
    {"minerva-7b", "starcoder", false, false}, {"falcon", "falcon", false, false},
};

/* A line that is too long for any row stays cut and fits none. */
typedef struct line {
    char   s[1024];
    size_t n;
} line;

static void put(line *l, const char *p, size_t n)
{
    if (n > sizeof(l->s) - l->n) n = sizeof(l->s) - l->n;
    memcpy(l->s + l->n, p, n);
    l->n += n;
}

static void describe(line *l, const json_t *p)
{
    ls_str        type = ls_json_str(json_object_get(p, "type"));
    const json_t *pattern = json_object_get(p, "pattern"), *flag;
    ls_str        regex = ls_json_str(json_object_get(pattern, "Regex"));
    if (!type.p) return;
    if (ls_str_is(type, "Split") && regex.p && !json_is_true(json_object_get(p, "invert"))) {
        put(l, "S(", 2);
        put(l, regex.p, regex.len);
        put(l, ")", 1);
    } else if (ls_str_is(type, "Digits")) {
        put(l, json_is_true(json_object_get(p, "individual_digits")) ? "D" : "d", 1);
    } else if (ls_str_is(type, "Punctuation")) {
        put(l, "P", 1);
    } else if (ls_str_is(type, "ByteLevel")) {
        flag = json_object_get(p, "use_regex");
        put(l, json_is_false(flag) ? "b" : "B", 1);
    } else {
        put(l, "?", 1);
    }
}

ls_str ls_hf_pretok_name(const ls_hf *hf)
{
    const json_t *p = json_object_get(hf->tokenizer.root, "pre_tokenizer");
    const json_t *list = json_object_get(p, "pretokenizers");
    line          l = {.n = 0};
    if (json_is_array(list)) {
        for (size_t i = 0; i < json_array_size(list); i++) describe(&l, json_array_get(list, i));
    } else {
        describe(&l, p);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (ls_str_is((ls_str){l.s, l.n}, names[i].declared)) {
            return (ls_str){names[i].name, strlen(names[i].name)};
        }
    }
    return LS_STR("unknown");
}

/* ---- and back ---- */

/* One element of a declaration, *p behind it. */
static json_t *element(const char **p)
{
    const char *start = *p, *end = strrchr(start, ')');
    switch (*start) {
    case 'S': /* one split a line: the pattern ends at its last parenthesis */
        *p = end + 1;
        return json_pack("{s:s, s:{s:s#}, s:s, s:b}", "type", "Split", "pattern", "Regex",
                         start + 2, (int)(end - start - 2), "behavior", "Isolated", "invert", 0);
    case 'D':
    case 'd':
        ++*p;
        return json_pack("{s:s, s:b}", "type", "Digits", "individual_digits", *start == 'D');
    case 'P':
        ++*p;
        return json_pack("{s:s, s:s}", "type", "Punctuation", "behavior", "Contiguous");
    default:
        ++*p;
        return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                         "trim_offsets", 1, "use_regex", *start == 'B');
    }
}

json_t *ls_hf_pretok_json(ls_str name, bool *ignore_merges, bool *adds_bos)
{
    size_t      i = 0, k = 0;
    const char *p;
    json_t     *list;
    while (i < sizeof(known) / sizeof(known[0]) && !ls_str_is(name, known[i].name)) i++;
    if (i == sizeof(known) / sizeof(known[0])) return NULL;
    *ignore_merges = known[i].ignore_merges;
    *adds_bos = known[i].adds_bos;
    while (strcmp(names[k].name, known[i].like) != 0) k++;
    list = json_array();
    for (p = names[k].declared; *p;) json_array_append_new(list, element(&p));
    return json_pack("{s:s, s:o}", "type", "Sequence", "pretokenizers", list);
}
