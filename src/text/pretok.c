// SPDX-License-Identifier: MIT
/* pretok.c - pre-tokenizers: patterns that cut text into words.
 *
 * Patterns do not see the text but its outline: one byte per character, ASCII as it is and the rest
 * by kind (text/unicode.h). So they need no Unicode mode, and ids do not depend on the Unicode
 * version of the installed PCRE2. A pre-tokenizer is up to four patterns; each cuts the pieces that
 * the one before it left, into what it matches and what lies between.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pretok.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"

/* Insides of character classes over the outline. */
#define S "\\t-\\r \\x80"
#define L "A-Za-z\\x81"
#define N "0-9\\x82"
#define P "!-#%-*,-/:;?@\\[-\\]_{}\\x83"

#define CONTRACTIONS     "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])"
#define WORDS            "[^\\r\\n" L N "]?[" L "]+"
#define SPACES           "[" S "]+(?![^" S "])|[" S "]+"
#define SIGNS_AND_SPACES " ?[^" S L N "]+[\\r\\n]*|[" S "]*[\\r\\n]+|" SPACES

#define LLAMA3 CONTRACTIONS "|" WORDS "|[" N "]{1,3}|" SIGNS_AND_SPACES
#define QWEN2  CONTRACTIONS "|" WORDS "|[" N "]|" SIGNS_AND_SPACES
#define GPT2   "'(?:[stmd]|re|ve|ll)| ?[" L "]+| ?[" N "]+| ?[^" S L N "]+|" SPACES

#define MAX_PATTERNS 4

enum { PLAIN = 0, IGNORE_MERGES = 1, ADD_BOS = 2 };

typedef struct family {
    const char *names[11]; /* as tokenizer.ggml.pre has them; NULL ends the list */
    int         traits;
    const char *patterns[MAX_PATTERNS];
} family;

/* Names that the reference treats alike stand in one row. */
static const family families[] = {
    {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
      "jina-v5-nano"},
     IGNORE_MERGES | ADD_BOS,
     {LLAMA3}},
    {{"dbrx", "smaug-bpe"}, PLAIN, {LLAMA3}},
    {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan",
      "solar-open"},
     PLAIN,
     {QWEN2}},
    {{"gpt-2", "phi-2", "gigachat", "a.x-4.0", "mellum", "exaone4", "mpt", "olmo", "jais",
      "trillion", "granite-docling"},
     PLAIN,
     {GPT2}},
    {{"default", ""}, PLAIN, {"[" P "$+<=>^~|]+", GPT2, "[" N "]+", "[0-9]{3}"}},
};

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

struct ls_pretok {
    pcre2_code          *patterns[MAX_PATTERNS];
    pcre2_match_context *limits;
    size_t               n_patterns;
};

static const family *find(ls_str name)
{
    for (size_t i = 0; i < N_OF(families); i++) {
        for (size_t j = 0; j < N_OF(families[i].names) && families[i].names[j]; j++) {
            if (ls_str_is(name, families[i].names[j])) return &families[i];
        }
    }
    return NULL;
}

static ls_status no_memory(ls_error *err)
{
    return ls_fail(err, LS_ERR_NOMEM, "not enough memory for a pre-tokenizer");
}

static ls_status compile(ls_pretok *p, const family *f, ls_error *err)
{
    /* A long run of spaces is many steps back, but never more than its length. */
    p->limits = pcre2_match_context_create(NULL);
    if (!p->limits) return no_memory(err);
    pcre2_set_match_limit(p->limits, UINT32_MAX);
    for (; p->n_patterns < MAX_PATTERNS && f->patterns[p->n_patterns]; p->n_patterns++) {
        int         code;
        PCRE2_SIZE  at;
        pcre2_code *c = pcre2_compile((PCRE2_SPTR)f->patterns[p->n_patterns], PCRE2_ZERO_TERMINATED,
                                      0, &code, &at, NULL);
        if (!c && code == PCRE2_ERROR_HEAP_FAILED) return no_memory(err);
        if (!c) return ls_fail(err, LS_ERR_INTERNAL, "PCRE2 error %d in a built-in pattern", code);
        p->patterns[p->n_patterns] = c;
        pcre2_jit_compile(c, PCRE2_JIT_COMPLETE); /* without JIT it is slower, not wrong */
    }
    return LS_OK;
}

ls_status ls_pretok_create(ls_pretok **out, ls_str name, ls_pretok_traits *traits, ls_error *err)
{
    const family *f = find(name);
    ls_pretok    *p;
    ls_status     status;
    *out = NULL;
    if (!f) {
        ls_fail(err, LS_ERR_UNSUPPORTED, "the pre-tokenizer '%.*s' is not supported", LS_FMT(name));
        ls_fail_hint(err, "supported are llama-bpe, gpt-2, qwen2, default and those equal to them");
        return LS_ERR_UNSUPPORTED;
    }
    *traits = (ls_pretok_traits){f->traits & IGNORE_MERGES, f->traits & ADD_BOS};
    LS_TRY(ls_alloc(&p, 1, sizeof(*p), "a pre-tokenizer", err));
    status = compile(p, f, err);
    if (status != LS_OK) {
        ls_pretok_destroy(p);
        return status;
    }
    *out = p;
    return LS_OK;
}

void ls_pretok_destroy(ls_pretok *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n_patterns; i++) pcre2_code_free(p->patterns[i]);
    pcre2_match_context_free(p->limits);
    free(p);
}

/* ---- cutting ---- */

/* The text in well-formed UTF-8 (surrogates apart) and its outline. */
static ls_status read_text(const char *text, size_t len, ls_words *w, uint8_t **outline,
                           size_t *n_chars, ls_error *err)
{
    size_t n = 0;
    *n_chars = 0;
    LS_TRY(ls_alloc(&w->text, len, 3, "a tokenizer", err)); /* U+FFFD for one byte at worst */
    LS_TRY(ls_alloc(outline, len, 1, "a tokenizer", err));
    for (size_t i = 0; i < len;) {
        uint32_t c = 0xfffd;
        size_t   k = ls_utf8_decode(text + i, len - i, &c);
        i += k ? k : 1;
        n += ls_utf8_encode(c, w->text + n);
        (*outline)[(*n_chars)++] = ls_unicode_kind(c);
    }
    return LS_OK;
}

static ls_status add(ls_words *w, size_t len, ls_error *err)
{
    LS_TRY(ls_grow(&w->len, &w->cap, w->n + 1, sizeof(*w->len), "a tokenizer", err));
    w->len[w->n++] = len;
    return LS_OK;
}

static int match_at(const ls_pretok *p, const pcre2_code *c, const uint8_t *s, size_t n, size_t at,
                    pcre2_match_data *m)
{
    int rc = pcre2_match(c, s, n, at, 0, m, p->limits);
    if (rc == PCRE2_ERROR_JIT_STACKLIMIT) rc = pcre2_match(c, s, n, at, PCRE2_NO_JIT, m, p->limits);
    return rc;
}

/* Cut one piece of n characters: matches, and what lies between them. */
static ls_status cut(const ls_pretok *p, const pcre2_code *c, const uint8_t *s, size_t n,
                     pcre2_match_data *m, ls_words *out, ls_error *err)
{
    const PCRE2_SIZE *found = pcre2_get_ovector_pointer(m);
    for (size_t at = 0; at < n; at = found[1]) {
        int rc = match_at(p, c, s, n, at, m);
        if (rc < 0 && rc != PCRE2_ERROR_NOMATCH) {
            if (rc == PCRE2_ERROR_NOMEMORY) return no_memory(err);
            return ls_fail(err, LS_ERR_LIMIT, "the pre-tokenizer gave up on the text (PCRE2 %d)",
                           rc);
        }
        if (rc < 0 || found[1] <= at) return add(out, n - at, err);
        if (found[0] > at) LS_TRY(add(out, found[0] - at, err));
        LS_TRY(add(out, found[1] - found[0], err));
    }
    return LS_OK;
}

/* Cut every piece of *w (lengths in characters) by one pattern. */
static ls_status cut_all(const ls_pretok *p, const pcre2_code *c, const uint8_t *outline,
                         ls_words *w, ls_error *err)
{
    ls_words          next = {0};
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(c, NULL);
    ls_status         status = m ? LS_OK : no_memory(err);
    for (size_t i = 0; i < w->n && status == LS_OK; outline += w->len[i++]) {
        status = cut(p, c, outline, w->len[i], m, &next, err);
    }
    pcre2_match_data_free(m);
    free(w->len);
    w->len = next.len;
    w->n = next.n;
    w->cap = next.cap;
    return status;
}

/* Lengths in characters become lengths in bytes. */
static void to_bytes(ls_words *w)
{
    const char *at = w->text;
    for (size_t i = 0; i < w->n; i++) {
        const char *start = at;
        for (size_t k = 0; k < w->len[i]; k++) at += ls_utf8_len(*at);
        w->len[i] = (size_t)(at - start);
    }
}

ls_status ls_pretok_split(const ls_pretok *p, const char *text, size_t len, ls_words *out,
                          ls_error *err)
{
    uint8_t  *outline = NULL;
    size_t    n_chars = 0;
    ls_status status;
    *out = (ls_words){0};
    status = read_text(text, len, out, &outline, &n_chars, err);
    if (status == LS_OK) status = add(out, n_chars, err);
    for (size_t i = 0; i < p->n_patterns && status == LS_OK; i++) {
        status = cut_all(p, p->patterns[i], outline, out, err);
    }
    if (status == LS_OK) to_bytes(out);
    free(outline);
    return status;
}

void ls_words_fini(ls_words *w)
{
    free(w->text);
    free(w->len);
    *w = (ls_words){0};
}
