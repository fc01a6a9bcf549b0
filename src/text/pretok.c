// SPDX-License-Identifier: MIT
/* pretok.c - pre-tokenizers: the pattern that cuts text into words before byte-level BPE merges
 * them, and what goes with each name in tokenizer.ggml.pre. Patterns run over the classes of
 * chars.h, which stand for \p{L}, \p{N} and \s of the published ones. */
#include <stdio.h>
#include <string.h>

#include "text/chars.h"
#include "text/vocab.h"

#define L "A-Za-z\\x80"
#define N "0-9\\x81"
#define S "\\t-\\r \\x82"

static_assert(LS_CHAR_LETTER == 0x80 && LS_CHAR_NUMBER == 0x81 && LS_CHAR_SPACE == 0x82,
              "the patterns spell these numbers");

/* All but gpt-2 share everything but the length of a group of digits. */
#define MODERN(digits)                                                                             \
    "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\\r\\n" L N "]?[" L "]+|[" N "]" digits          \
    "| ?[^" S L N "]+[\\r\\n]*|[" S "]*[\\r\\n]+|[" S "]+(?![^" S "])|[" S "]+"

static const char llama3[] = MODERN("{1,3}");
static const char qwen2[] = MODERN("");
static const char gpt2[] = "'(?:[stmd]|re|ve|ll)| ?[" L "]+| ?[" N "]+| ?[^" S L N "]+"
                           "|[" S "]+(?![^" S "])|[" S "]+";

/* The first name of each pattern is the usual one. The others are those for which the reference
 * (llama.cpp) takes the same pattern and the same flags. */
static const struct {
    const char *pattern;
    bool        ignore_merges, add_bos;
    const char *names[15];
} pretoks[] = {
    {llama3, true, true,
     {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
      "jina-v5-nano"}},
    {gpt2, false, false,
     {"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "a.x-4.0", "mellum", "exaone4", "mpt",
      "olmo", "jais"}},
    {qwen2, false, false, {"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "hunyuan", "grok-2"}},
};
#define N_PRETOKS (sizeof(pretoks) / sizeof(pretoks[0]))

static ls_status compile(ls_tokenizer *t, const char *pattern, ls_error *err)
{
    int        code;
    PCRE2_SIZE at;
    t->pattern =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &code, &at, NULL);
    if (!t->pattern) {
        return ls_fail(err, LS_ERR_NOMEM, "cannot compile the pre-tokenizer's pattern (PCRE2 %d)",
                       code);
    }
    pcre2_jit_compile(t->pattern, PCRE2_JIT_COMPLETE); /* without JIT it is slower, not wrong */
    return LS_OK;
}

static ls_status unknown(const ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    char   list[128] = "";
    size_t n = 0;
    for (size_t i = 0; i < N_PRETOKS; i++) {
        n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s",
                              i == 0              ? ""
                              : i + 1 < N_PRETOKS ? ", "
                                                  : " and ",
                              pretoks[i].names[0]);
    }
    if (t->pre[0]) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "pre-tokenizer '%s' is not supported", t->pre);
    } else {
        ls_fail(err, LS_ERR_UNSUPPORTED, "the file does not name its pre-tokenizer");
    }
    ls_fail_at(err, "%s: metadata key 'tokenizer.ggml.pre'", ls_gguf_path(g));
    ls_fail_hint(err, "supported are %s, and names for the same", list);
    return LS_ERR_UNSUPPORTED;
}

ls_status ls_pretok_init(ls_tokenizer *t, const ls_gguf *g, ls_error *err)
{
    for (size_t i = 0; i < N_PRETOKS; i++) {
        for (const char *const *name = pretoks[i].names; *name; name++) {
            if (strcmp(t->pre, *name) != 0) continue;
            t->ignore_merges = pretoks[i].ignore_merges;
            t->add_bos = pretoks[i].add_bos;
            return compile(t, pretoks[i].pattern, err);
        }
    }
    return unknown(t, g, err);
}
