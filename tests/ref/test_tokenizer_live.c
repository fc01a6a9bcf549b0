// SPDX-License-Identifier: MIT
/* test_tokenizer_live.c - our ids, and the text that they decode to, against those of the installed
 * llama.cpp (llama_ids.c, compiled against its headers): every pre-tokenizer by name, and the
 * tokenizer models that no file at hand has, on vocabularies that are made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lockstep/tokenizer.h"
#include "support/child.h"
#include "support/files.h"
#include "support/gguf_build.h"
#include "support/real_reference.h"
#include "support/rng.h"
#include "text/pretok.h"
#include "text/unicode.h"

enum { WORDS, SENTENCES, BYTES, N_TEXTS };
static const char *const text_names[N_TEXTS] = {"random words", "sentences", "random bytes"};

static ls_ref_status reference;
static char          folder[256], program[512], texts[N_TEXTS][512], copy[512], ids_file[512];

/* ---- texts ---- */

/* What pre-tokenizers look at: short runs of characters of one kind. */
static size_t random_run(rng *r, char *out)
{
    static const char *const kinds[] = {
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "abc",
        "XYZ",
        "aB",
        "0123456789",
        "'s",
        "'LL",
        "'re",
        ".,!?",
        "$+<=>^~|`",
        "_-/\\",
        "()[]{}",
        "\u00e4\u00d6\u0159",
        "\u4f60\u597d",
        "\u304b\u30ca",
        "\ud55c\uae00",
        "\u0301\u0308",
        "\u0905\u093f\u0902",
        "\u0e01\u0e34",
        "\u0661\u0662",
        "\u00bd\u2167",
        "\u3000",
        "\u00a0",
        "\u2003",
        "\u2028",
        "\xc2\x85",
        "\u200d",
        "\u2014",
        "\u201c\u201d",
        "\u3002\u3001",
        "\uff01\uff0c",
        "\u20ac\u00a3",
        "\U0001f600",
        "\u01c5",
        "\ufb01",
        "\U00020000",
        "\U0002fa20",
        "<sentinel:12>",
        "IMGIMGABCZ",
        "\u0964",
        "\u2581",
        "#@&*%",
        "\u02b0",
        "\u0130",
        "\ue000",
    };
    const char *kind = kinds[rng_below(r, sizeof(kinds) / sizeof(kinds[0]))];
    size_t      n = 0, len = strlen(kind), times = 1 + rng_below(r, 4);
    if (rng_below(r, 3) == 0) {
        memcpy(out, kind, len);
        return len;
    }
    for (size_t i = 0; i < times; i++) { /* characters of the kind in any order */
        size_t at = rng_below(r, len);
        while (at && ((uint8_t)kind[at] & 0xc0) == 0x80) at--;
        memcpy(out + n, kind + at, ls_utf8_len(kind[at]));
        n += ls_utf8_len(kind[at]);
    }
    return n;
}

/* What decoding tidies up: spaces before marks and contractions. */
static size_t sentence_part(rng *r, char *out)
{
    static const char *const parts[] = {"it",   " it", " ",   " .",  ",",   " ,",  " ?",    " !",
                                        " '",   "'",   " 's", " 'm", " 't", " 'd", " 'll",  " 're",
                                        " 've", "  ",  "'s",  ".",   "a",   " b",  " ' n't"};
    const char              *part = parts[rng_below(r, sizeof(parts) / sizeof(parts[0]))];
    memcpy(out, part, strlen(part));
    return strlen(part);
}

static void write_text(int which, size_t size)
{
    char  *text = malloc(size + 64);
    size_t n = 0;
    rng    r = {20 + (uint64_t)which};
    assert_non_null(text);
    while (n < size) {
        if (which == WORDS) n += random_run(&r, text + n);
        if (which == SENTENCES) n += sentence_part(&r, text + n);
        if (which == BYTES)
            text[n++] = (char)(rng_below(&r, 3) ? 'a' + rng_below(&r, 26) : rng_next(&r));
    }
    file_write(texts[which], text, n);
    free(text);
}

/* ---- comparing ---- */

/* Ids and text of one text are those at *at, which moves on. */
static bool holds(const ls_tokenizer *t, const char *what, int which, const int32_t **at)
{
    const ls_encode_options o = {LS_BOS_NO, false};
    size_t                  len, n, n_ref = (size_t)(*at)[0], text_len, back_len;
    char                   *text = (char *)file_read(texts[which], &len), *back;
    const int32_t          *theirs = *at + 1;
    const char             *their_text = (const char *)(theirs + n_ref + 1);
    int32_t                *ours;
    bool                    ids_ok, text_ok;
    text_len = (size_t)theirs[n_ref];
    assert_int_equal(ls_tokenizer_encode(t, text, len, &o, &ours, &n, NULL), LS_OK);
    ids_ok = n == n_ref && memcmp(ours, theirs, n * sizeof(*ours)) == 0;
    assert_int_equal(ls_tokenizer_decode(t, theirs, n_ref, true, &back, &back_len, NULL), LS_OK);
    text_ok = back_len == text_len && memcmp(back, their_text, text_len) == 0;
    if (!ids_ok)
        print_error("%s, %s: other ids (%zu, not %zu)\n", what, text_names[which], n, n_ref);
    if (!text_ok) {
        size_t i = 0;
        while (i < back_len && i < text_len && back[i] == their_text[i]) i++;
        print_error("%s, %s: another text at byte %zu: '%.20s', not '%.20s'\n", what,
                    text_names[which], i, back + i, their_text + i);
    }
    free(ours);
    free(back);
    free(text);
    *at = theirs + n_ref + 1 + (text_len + 3) / 4;
    return ids_ok && text_ok;
}

/* Number of texts on which our reading of a vocabulary differs; spoil: theirs are changed first. */
static int compare(const char *path, const char *what, bool spoil)
{
    const char    *argv[8] = {program, reference.lib_dir, path, ids_file};
    ls_error       err = {0};
    child_result   r;
    ls_tokenizer  *t;
    size_t         n;
    uint8_t       *theirs;
    const int32_t *at;
    int            n_bad = 0;
    if (ls_tokenizer_open(&t, path, &err) != LS_OK) fail_msg("%s: %s", what, err.what);
    for (int i = 0; i < N_TEXTS; i++) argv[4 + i] = texts[i];
    assert_true(child_run(&r, argv, NULL, 280));
    if (r.status != 0) print_error("%s: llama_ids: %d: %s\n", what, r.status, r.err);
    assert_int_equal(r.status, 0);
    theirs = file_read(ids_file, &n);
    if (spoil) theirs[8] ^= 1;
    at = (const int32_t *)(const void *)theirs;
    for (int i = 0; i < N_TEXTS; i++) n_bad += !holds(t, what, i, &at);
    free(theirs);
    ls_tokenizer_destroy(t);
    return n_bad;
}

/* ---- vocabularies made here ---- */

typedef struct token {
    char     text[32];
    float    score;
    uint32_t type;
} token;

/* The common part, behind two entries that are in *b already. */
static void write_vocabulary(gguf_build *b, const char *model, const token *tokens, size_t n,
                             const char *path)
{
    gguf_build_kv_str(b, "general.architecture", "llama");
    gguf_build_kv_str(b, "tokenizer.ggml.model", model);
    gguf_build_kv_array(b, "tokenizer.ggml.tokens", 8, n);
    for (size_t i = 0; i < n; i++) gguf_build_str(b, tokens[i].text);
    gguf_build_kv_array(b, "tokenizer.ggml.token_type", 5, n);
    for (size_t i = 0; i < n; i++) gguf_build_u32(b, tokens[i].type);
    gguf_build_pad(b, 32);
    file_write(path, b->data, b->n);
    gguf_build_free(b);
}

static void write_scored(const char *model, const token *tokens, size_t n, const char *path)
{
    gguf_build b = {0};
    gguf_build_header(&b, 3, 0, 6);
    gguf_build_kv_u32(&b, "tokenizer.ggml.unknown_token_id", 0);
    gguf_build_kv_array(&b, "tokenizer.ggml.scores", 6, n);
    for (size_t i = 0; i < n; i++) gguf_build_f32(&b, tokens[i].score);
    write_vocabulary(&b, model, tokens, n, path);
}

/* Short words of a few letters, each once. */
static size_t add_words(token *tokens, size_t n, size_t end, rng *r)
{
    static const char *const letters[] = {"a", "b",      "e",      "i", "t", " ",      "s", ".",
                                          "x", "\u00e4", "\u4f60", "1", "2", "\u3042", ",", "?"};
    while (n < end) {
        token  t = {.score = -(float)rng_below(r, 120000) / 10000.0f, .type = 1};
        size_t len = 1 + rng_below(r, 4);
        bool   known = false;
        for (size_t i = 0; i < len; i++) strcat(t.text, letters[rng_below(r, 16)]);
        for (size_t i = 0; i < n; i++) known |= strcmp(tokens[i].text, t.text) == 0;
        if (!known) tokens[n++] = t;
    }
    return n;
}

static void plamo2_gives_ids_and_text_of_the_installed_llama_cpp(void **state)
{
    static token tokens[900];
    rng          r = {5};
    size_t       n = 4;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        snprintf(tokens[i].text, sizeof(tokens[i].text), "<|special:%zu|>", i);
        tokens[i].type = i ? 3 : 2;
    }
    for (unsigned i = 0; i < 256; i++) {
        snprintf(tokens[n].text, sizeof(tokens[n].text), "<0x%02X>", i);
        tokens[n++].type = 6;
    }
    n = add_words(tokens, n, 900, &r);
    write_scored("plamo2", tokens, n, copy);
    assert_int_equal(compare(copy, "plamo2", false), 0);
}

static void rwkv_gives_ids_and_text_of_the_installed_llama_cpp(void **state)
{
    static token tokens[700];
    rng          r = {6};
    size_t       n = 1;
    (void)state;
    strcpy(tokens[0].text, "<s>");
    tokens[0].type = 3;
    for (unsigned i = 0; i < 256; i++) {
        if (i % 16 == 11 && i > 128) continue; /* bytes without a token become the unknown one */
        snprintf(tokens[n].text, sizeof(tokens[n].text), "\\x%02x", i);
        tokens[n++].type = 1;
    }
    for (size_t i = 0; i < 2; i++) {
        strcpy(tokens[n].text, i ? "\\t\\n" : "\\r\\n\\\\");
        tokens[n++].type = 1;
    }
    for (n = add_words(tokens, n, 690, &r); n-- > 0;) {
        /* a word of one letter has its bytes' token already */
        if (tokens[n].text[0] != '\\' && tokens[n].text[1] == '\0') strcat(tokens[n].text, "q");
    }
    write_scored("rwkv", tokens, 690, copy);
    assert_int_equal(compare(copy, "rwkv", false), 0);
}

/* ---- pre-tokenizers ---- */

enum { N_TOKENS = 1600, N_MERGES = 1000 };

/* Tokens for every byte, as byte-level BPE and as plain BPE write them, and random merges of them.
 */
static void write_bpe(const char *model, const char *pre, const char *path)
{
    static token tokens[N_TOKENS];
    static char  merges[N_MERGES][64];
    gguf_build   b = {0};
    rng          r = {7};
    size_t       n = 0, n_merges = 0;
    memset(tokens, 0, sizeof(tokens));
    for (unsigned i = 0; i < 256; i++) {
        ls_utf8_encode(ls_byte_char((uint8_t)i), tokens[n].text);
        tokens[n++].type = 1;
    }
    for (unsigned i = 0; i < 256; i++) {
        snprintf(tokens[n].text, sizeof(tokens[n].text), "<0x%02X>", i);
        tokens[n++].type = 6;
    }
    /* where it stands for no space, the reference decodes it to a note that it is no byte */
    strcpy(tokens[n].text, strcmp(model, "gpt2") == 0 ? "\u2581" : "qq");
    tokens[n++].type = 1;
    strcpy(tokens[n].text, "\n\n");
    tokens[n++].type = 1;
    while (n_merges < N_MERGES) {
        /* what runs of random words have: letters, digits, signs, spaces, and merges of these */
        size_t x = rng_below(&r, 3) ? 33 + rng_below(&r, 94) : 512 + rng_below(&r, n - 512);
        size_t y = rng_below(&r, 3) ? 32 + rng_below(&r, 160) : 512 + rng_below(&r, n - 512);
        token  t = {.type = 1};
        bool   known = strlen(tokens[x].text) + strlen(tokens[y].text) >= sizeof(t.text);
        if (known) continue;
        strcat(strcpy(t.text, tokens[x].text), tokens[y].text);
        for (size_t i = 0; i < n; i++) known |= strcmp(tokens[i].text, t.text) == 0;
        if (known) continue;
        snprintf(merges[n_merges++], sizeof(merges[0]), "%s %s", tokens[x].text, tokens[y].text);
        tokens[n++] = t;
    }
    gguf_build_header(&b, 3, 0, 6);
    gguf_build_kv_str(&b, "tokenizer.ggml.pre", pre);
    gguf_build_kv_array(&b, "tokenizer.ggml.merges", 8, n_merges);
    for (size_t i = 0; i < n_merges; i++) gguf_build_str(&b, merges[i]);
    write_vocabulary(&b, model, tokens, n, path);
}

static void every_pre_tokenizer_gives_ids_and_text_of_the_installed_llama_cpp(void **state)
{
    const ls_pretok_family *f;
    int                     n_bad = 0, n = 0;
    (void)state;
    for (size_t i = 0; (f = ls_pretok_family_at(i)) != NULL; i++) {
        for (size_t k = 0; k < 12 && f->names[k] && f->names[k][0]; k++, n++) {
            /* one has a tokenizer model of its own: with another, the reference aborts at spaces */
            bool own = strcmp(f->names[k], "whitespace") == 0;
            write_bpe(own ? "whitespace" : "gpt2", f->names[k], copy);
            n_bad += compare(copy, f->names[k], false) != 0;
        }
    }
    print_message("%d of %d pre-tokenizers differ\n", n_bad, n);
    assert_true(n > 80);
    assert_int_equal(n_bad, 0);
}

/* Each with both neighbours, so that what joins with what shows. */
static void write_all_characters(const char *path, bool assigned)
{
    char  *text = malloc(0x110000 * 4);
    size_t n = 0;
    assert_non_null(text);
    for (uint32_t c = 1; c < (assigned ? 0xe0000 : 0x14000); c++) {
        if (c >= 0xd800 && c < 0xf900) continue; /* surrogates and private ones */
        if ((ls_unicode_category(c) == LS_KIND_OTHER) == assigned) continue;
        n += ls_utf8_encode(c, text + n);
        if (c % 7 == 0) text[n++] = 'a';
        if (c % 11 == 0) text[n++] = ' ';
    }
    file_write(path, text, n);
    free(text);
}

/* Which Unicode version the tables hold is no matter of belief: both sides tell the same kinds. */
static void every_character_of_unicode_is_cut_alike(void **state)
{
    static const char *const names[] = {"qwen35", "default"};
    (void)state;
    for (int assigned = 0; assigned < 2; assigned++) {
        write_all_characters(texts[WORDS], assigned);
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            write_bpe("gpt2", names[i], copy);
            assert_int_equal(compare(copy, names[i], false), 0);
        }
    }
}

static void one_wrong_id_is_noticed(void **state)
{
    (void)state;
    assert_true(compare(LS_SOURCE_DIR "/models/stories260K.gguf", "stories260K", false) == 0);
    assert_true(compare(LS_SOURCE_DIR "/models/stories260K.gguf", "spoiled", true) > 0);
}

/* Compile llama_ids.c against the reference's own headers. */
static bool compile_program(void)
{
    char         headers[600], more[600], *slash;
    child_result r;
    const char  *argv[] = {
         "/usr/bin/cc", "-std=gnu11", "-O1",   headers,
         more,          "-o",         program, LS_SOURCE_DIR "/tests/ref/llama_ids.c",
         "-ldl",        NULL};
    snprintf(headers, sizeof(headers), "-I%s", reference.exe);
    slash = strrchr(headers, '/');
    snprintf(slash, sizeof(headers) - (size_t)(slash - headers), "/headers/ggml/include");
    snprintf(more, sizeof(more), "%.*s/headers/include", (int)(slash - headers), headers);
    if (child_run(&r, argv, NULL, 120) && r.status == 0) return true;
    printf("SKIP: llama_ids.c cannot be compiled against the reference's headers: %s\n", r.err);
    return false;
}

static bool prepare(void)
{
    if (!real_reference(&reference, LS_REF_LLAMA)) return false;
    snprintf(folder, sizeof(folder), "/tmp/lockstep-live-XXXXXX");
    if (!mkdtemp(folder)) return false;
    snprintf(program, sizeof(program), "%s/llama_ids", folder);
    snprintf(copy, sizeof(copy), "%s/copy.gguf", folder);
    snprintf(ids_file, sizeof(ids_file), "%s/ids", folder);
    for (int i = 0; i < N_TEXTS; i++) snprintf(texts[i], sizeof(texts[i]), "%s/text%d", folder, i);
    if (!compile_program()) return false;
    write_text(WORDS, 1 << 13);
    write_text(SENTENCES, 1 << 12);
    write_text(BYTES, 1 << 12);
    return true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pre_tokenizer_gives_ids_and_text_of_the_installed_llama_cpp),
        cmocka_unit_test(plamo2_gives_ids_and_text_of_the_installed_llama_cpp),
        cmocka_unit_test(rwkv_gives_ids_and_text_of_the_installed_llama_cpp),
        cmocka_unit_test(one_wrong_id_is_noticed),
        cmocka_unit_test(every_character_of_unicode_is_cut_alike),
    };
    int rc = TEST_SKIPPED;
    if (prepare()) rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(program);
    unlink(copy);
    unlink(ids_file);
    for (int i = 0; i < N_TEXTS; i++) unlink(texts[i]);
    rmdir(folder);
    return rc;
}
