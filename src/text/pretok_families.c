// SPDX-License-Identifier: MIT
/* pretok_families.c - every pre-tokenizer by its names: what it cuts text with, in order, and what
 * else its name implies. The names and what they mean are those of llama.cpp v0.5.0.
 *
 * Patterns are written over the outline (text/pretok.h): ASCII as it is, other characters by kind,
 * so "A-Z" is the capitals of ASCII and "\x81" every letter beyond.
 */
#include "text/pretok.h"

/* Insides of character classes over the outline. */
#define S     "\\t-\\r \\x80"
#define L     "A-Za-z\\x81"
#define UPPER "A-Z\\x81" /* what is no capital of ASCII may be one: the reference cannot tell */
#define LOWER "a-z\\x81"
#define N     "0-9\\x82"
#define P     "!-#%-*,-/:;?@\\[-\\]_{}\\x83"
#define M     "\\x84"
#define Y     "$+<->^`|~\\x85"
#define ASCII "!-/:-@\\[-`{-~" /* its punctuation and symbols */

#define CONTRACTIONS     "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"
#define WORDS            "[^\\r\\n" L N "]?[" L "]+"
#define MARKED_WORDS     "[^\\r\\n" L N "]?[" L M "]+"
#define SPACES           "[" S "]+(?![^" S "])|[" S "]+"
#define LINES            "[" S "]*[\\r\\n]+"
#define SIGNS            " ?[^" S L N "]+"
#define SIGNS_AND_SPACES SIGNS "[\\r\\n]*|" LINES "|" SPACES
/* Words in which capitals come first; u and l hold what counts as either. */
#define CASED(u, l, end)                                                                           \
    "[^\\r\\n" L N "]?[" u "]*[" l "]+" end "|[^\\r\\n" L N "]?[" u "]+[" l "]*" end

#define GPT2     "'(?:[stmd]|re|ve|ll)| ?[" L "]+| ?[" N "]+|" SIGNS "|" SPACES
#define NO_APOS  WORDS "|[" N "]|" SIGNS_AND_SPACES
#define QWEN2    CONTRACTIONS "|" NO_APOS
#define LLAMA3   CONTRACTIONS "|" WORDS "|[" N "]{1,3}|" SIGNS_AND_SPACES
#define MINICPM5 CONTRACTIONS "|" WORDS "|[" N "]+|" SIGNS_AND_SPACES
#define QWEN35   CONTRACTIONS "|" MARKED_WORDS "|[" N "]| ?[^" S L M N "]+[\\r\\n]*|" LINES "|" SPACES
#define GPT4O                                                                                      \
    CASED(UPPER, LOWER, "(?:" CONTRACTIONS ")?")                                                   \
    "|[" N "]{1,3}|" SIGNS "[\\r\\n/]*|" LINES "|" SPACES
#define GRANITE_EMBED                                                                              \
    CASED(UPPER M, LOWER M, "(?:" CONTRACTIONS ")?")                                               \
    "|[" N "]{1,3}|" SIGNS "[\\r\\n/]*|" LINES "|" SPACES
#define TEKKEN CASED(UPPER, LOWER, "") "|[" N "]|" SIGNS "[\\r\\n/]*|" LINES "|" SPACES
/* Patterns that ask for the case of every letter: the reference takes any letter for both. */
#define YOUTU MARKED_WORDS "(?:" CONTRACTIONS ")?|[" N "]|" SIGNS "[\\r\\n/]*|" LINES "|" SPACES
#define TINY_AYA                                                                                   \
    MARKED_WORDS "(?:" CONTRACTIONS ")?|[" N "]{1,3}|" SIGNS "[\\r\\n/]*|" LINES "|" SPACES
#define DEEPSEEK_WORDS "[" ASCII "][A-Za-z]+|[^\\r\\n" L P Y "]?[" L M "]+| ?[" P Y "]+"
#define DEEPSEEK3      DEEPSEEK_WORDS "[\\r\\n]*|" LINES "|" SPACES
#define SPARK          DEEPSEEK_WORDS "|[\\r\\n]|" SPACES
#define BAILING        CONTRACTIONS "|" WORDS "|[" N "]|" SIGNS "[\\r\\n]*|[" S "]*[\\r\\n]|" SPACES
#define SEED           CONTRACTIONS "|" WORDS "|[" N "]| ?[^" S L N "\\r\\n]+|" LINES "|" SPACES
/* Words and single spaces between them stay together. Nothing after them could fail, so that
 * possessive repeats change nothing but the stack they need. */
#define EXAONE_MOE                                                                                 \
    CONTRACTIONS "|[^\\r\\n" L N "]?(?:[" L "][" M "]*+(?: [" L "][" M "]*+)*+)++|[" N "]|" SIGNS  \
                 "[\\r\\n/]?|[" S "]*[\\r\\n]|" SPACES
/* A: Han that are letters, B: Han that are none. */
#define KIMI                                                                                       \
    "[\\x90\\x91]+|[^\\r\\n" L N "\\x90]?[" L "]+(?:" CONTRACTIONS ")?|[" N "]{1,3}| ?[^" S L N    \
    "\\x90]+[\\r\\n]*|" LINES "|" SPACES
#define SENTENCES " ?[^" S "()|.,!?\\x90]+"

#define BY(p)                                                                                      \
    {                                                                                              \
        .pattern = (p)                                                                             \
    }
#define IN(p, with)                                                                                \
    {                                                                                              \
        .pattern = (p), .sets = &(with)                                                            \
    }
#define RULE(name)                                                                                 \
    {                                                                                              \
        .rule = LS_PRETOK_##name                                                                   \
    }

enum { KEEP = LS_PRETOK_KEEP_SPACES };

static const ls_pretok_family families[] = {
    {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
      "jina-v5-nano"},
     LS_PRETOK_IGNORE_MERGES | LS_PRETOK_ADD_BOS,
     {BY(LLAMA3)}},
    {{"dbrx", "smaug-bpe"}, 0, {BY(LLAMA3)}},
    {{"glm4", "chatglm-bpe"}, LS_PRETOK_NO_BOS_ID, {BY(LLAMA3)}},
    {{"jais-2"}, 0, {BY(LLAMA3), RULE(HALVES)}},
    {{"minicpm5"}, LS_PRETOK_IGNORE_MERGES, {BY("[" N "]{1,3}"), BY(MINICPM5)}},
    {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "solar-open", "grok-2"},
     KEEP,
     {BY(QWEN2)}},
    {{"megrez", "stablelm2"}, 0, {BY(QWEN2)}},
    {{"qwen35"}, KEEP, {BY(QWEN35)}},
    {{"ufakzeka"}, KEEP, {BY(NO_APOS)}},
    {{"laguna"}, KEEP, {BY("[^\\n]+|\\n+"), BY(QWEN2)}},
    {{"bailingmoe", "bailingmoe2", "llada-moe"}, KEEP, {BY(BAILING)}},
    {{"seed-coder"}, KEEP, {BY(SEED)}},
    {{"exaone-moe"}, 0, {BY(EXAONE_MOE)}},
    {{"gpt-2", "phi-2", "gigachat", "a.x-4.0", "mellum", "exaone4", "mpt", "olmo", "jais",
      "modern-bert"},
     0,
     {BY(GPT2)}},
    {{"trillion", "granite-docling"}, KEEP, {BY(GPT2)}},
    {{"jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en", "jina-v2-code",
      "roberta-bpe"},
     0,
     {BY(GPT2)}},
    {{"starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"},
     0,
     {BY("[" N "]"), BY(GPT2)}},
    {{"command-r", "smollm"}, KEEP, {BY("[" N "]"), BY(GPT2)}},
    {{"falcon"}, 0, {BY("[" P "$+<=>^~|`]+"), BY(GPT2), BY("[0-9]{3}")}},
    {{"default", ""}, 0, {BY("[" P "$+<=>^~|]+"), BY(GPT2), BY("[" N "]+"), BY("[0-9]{3}")}},
    {{"chameleon"},
     KEEP | LS_PRETOK_ADD_BOS,
     {BY("<sentinel:[0-9]+>"), BY("IMGIMG[A-I]{1,4}Z"), BY("[\\t\\n]|    |  "), BY("[" N "]"),
      BY("[" P ASCII "]"), BY(GPT2)}},
    {{"bloom", "gpt3-finnish"}, 0, {IN(SENTENCES, ls_pretok_sentence_marks)}},
    {{"poro-chat"}, KEEP, {IN(SENTENCES, ls_pretok_sentence_marks)}},
    {{"viking"}, KEEP, {IN(SENTENCES, ls_pretok_sentence_marks), BY("[" N "]")}},
    {{"deepseek-llm"},
     KEEP,
     {BY("[\\r\\n]"), IN("[" S "]?[A-Za-z\\x90]+", ls_pretok_deepseek_letters),
      IN("[" S "]?[!-/:-~\\x90]+", ls_pretok_deepseek_signs), BY("[" S "]+\\z"),
      IN("\\x90+", ls_pretok_deepseek_east), BY("[" N "]+")}},
    {{"deepseek-coder"},
     KEEP,
     {BY("[\\r\\n]"), BY("[" S "]?[" L "]+"), BY("[" S "]?[" P "]+"),
      IN("\\x90+", ls_pretok_deepseek_east), BY("[" N "]")}},
    {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
     KEEP,
     {BY("[" N "]{1,3}"), IN("\\x90+", ls_pretok_kana_and_han), BY(DEEPSEEK3)}},
    {{"spark2_5"},
     KEEP,
     {BY("[" N "]{1,3}"), IN("\\x90+", ls_pretok_kana_and_han), BY(SPARK), BY("[" N "]")}},
    {{"afmoe"}, KEEP, {RULE(BEHIND_THREES), IN("\\x90+", ls_pretok_afmoe_scripts), BY(DEEPSEEK3)}},
    {{"tiny_aya", "cohere2moe"}, KEEP, {RULE(BEHIND_THREES), BY(TINY_AYA)}},
    {{"youtu"},
     KEEP | LS_PRETOK_IGNORE_MERGES,
     {IN("\\x90+|\\x91+|\\x92+|\\x93+", ls_pretok_youtu), BY(YOUTU)}},
    {{"tekken"}, KEEP | LS_PRETOK_IGNORE_MERGES | LS_PRETOK_ADD_BOS, {BY(TEKKEN)}},
    {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, KEEP, {BY(GPT4O)}},
    {{"granite-embed-multi-97m"}, KEEP | LS_PRETOK_IGNORE_MERGES, {BY(GRANITE_EMBED)}},
    {{"kimi-k2"}, KEEP | LS_PRETOK_NO_MERGES, {IN(KIMI, ls_pretok_han)}},
    {{"superbpe"}, KEEP, {BY("[" N "]+"), RULE(BEFORE_THREES)}},
    {{"gemma4", "granite-embed-multi-311m"},
     LS_PRETOK_RAW | LS_PRETOK_ESCAPE | LS_PRETOK_LINES | LS_PRETOK_MUST_BOS,
     {BY("[^\\n]+|\\n+")}},
    {{"sarvam-moe"}, KEEP | LS_PRETOK_RAW | LS_PRETOK_ESCAPE, {BY("[^\\n]+|\\n+")}},
    {{"whitespace"}, LS_PRETOK_RAW, {BY("[^" S "]+")}},
};

const ls_pretok_family *ls_pretok_find(ls_str name)
{
    const size_t n = sizeof(families) / sizeof(families[0]);
    const size_t n_names = sizeof(families[0].names) / sizeof(families[0].names[0]);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n_names && families[i].names[j]; j++) {
            if (ls_str_is(name, families[i].names[j])) return &families[i];
        }
    }
    return NULL;
}

const ls_pretok_family *ls_pretok_family_at(size_t i)
{
    return i < sizeof(families) / sizeof(families[0]) ? &families[i] : NULL;
}
