// SPDX-License-Identifier: MIT
/* test_tokenizer_vocabs.c - the vocabularies in the folder LOCKSTEP_VOCABS, else ../shared/vocabs:
 * every text of an .inp file becomes the ids on its line of the .out file, which llama.cpp's
 * project publishes. And every pre-tokenizer's name, on one text and one vocabulary, against
 * llama.cpp's ids. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockstep/tokenizer.h"
#include "support/text_vocab.h"
#include "text/bpe.h"

#define GOLDEN LS_SOURCE_DIR "/tests/golden/tokenizer/"

static const char separator[] = "\n__ggml_vocab_test__\n";

static const char *folder(char *path, size_t cap)
{
    const char *vocabs = getenv("LOCKSTEP_VOCABS");
    if (vocabs && vocabs[0]) return vocabs;
    snprintf(path, cap, "%s/vocabs", text_shared());
    return path;
}

static void path_of(char *path, size_t cap, const char *name, const char *ext)
{
    char where[400];
    snprintf(path, cap, "%s/%s.gguf%s", folder(where, sizeof(where)), name, ext);
}

static char *read_text(const char *name, const char *ext, size_t *n)
{
    char  path[512];
    char *text;
    path_of(path, sizeof(path), name, ext);
    text = (char *)file_read(path, n);
    text[*n] = '\0';
    return text;
}

/* The expected ids of a line without the spaces around them. */
static char *next_line(char **at)
{
    char *line = *at + strspn(*at, " "), *end;
    if (**at == '\0') return NULL;
    end = strchr(line, '\n');
    *at = end ? end + 1 : line + strlen(line);
    if (!end) end = line + strlen(line);
    while (end > line && end[-1] == ' ') end--;
    *end = '\0';
    return line;
}

/* Number of texts whose ids are as expected; *n_texts counts all. */
static size_t count_equal(const ls_tokenizer *t, char *in, size_t in_len, char *out,
                          size_t *n_texts)
{
    size_t n_equal = 0;
    char  *end = in + in_len;
    *n_texts = 0;
    for (char *next; in < end; in = next) {
        char  *stop = memmem(in, (size_t)(end - in), separator, sizeof(separator) - 1);
        char  *expected = next_line(&out), *ids;
        size_t len = (size_t)((stop ? stop : end) - in);
        next = stop ? stop + sizeof(separator) - 1 : end;
        ids = text_ids(t, in, len, LS_BOS_NO, false);
        ++*n_texts;
        if (expected && ids && strcmp(ids, expected) == 0) {
            n_equal++;
        } else {
            print_message("'%.*s': %s, not %s\n", (int)len, in, ids, expected);
        }
        free(ids);
    }
    return next_line(&out) ? 0 : n_equal; /* as many lines as texts */
}

/* Whether every text of a vocabulary becomes the ids expected (all but one if they are spoiled). */
static bool holds(const char *name, bool spoil)
{
    char          path[512];
    size_t        n_in, n_out, n_texts, n_equal;
    char         *in = read_text(name, ".inp", &n_in), *out = read_text(name, ".out", &n_out);
    ls_error      err = {0};
    ls_gguf      *g = NULL;
    ls_tokenizer *t = NULL;
    path_of(path, sizeof(path), name, "");
    if (ls_gguf_open(&g, path, &err) != LS_OK || ls_tokenizer_create(&t, g, &err) != LS_OK) {
        print_message("%s: %s\n", name, err.what);
        n_equal = n_texts = 0;
    } else {
        if (spoil) out[strcspn(out, "0123456789")] ^= 1;
        n_equal = count_equal(t, in, n_in, out, &n_texts);
        print_message("%s: %zu of %zu texts\n", name, n_equal, n_texts);
    }
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
    free(in);
    free(out);
    return n_texts >= 40 && n_equal == n_texts - spoil;
}

static void every_line_of_every_vocabulary_is_identical(void **state)
{
    static const char ext[] = ".gguf.inp";
    char              where[400];
    DIR              *d = opendir(folder(where, sizeof(where)));
    size_t            n = 0, n_held = 0;
    (void)state;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char *end = strstr(e->d_name, ext);
        if (!end || strlen(end) != strlen(ext)) continue;
        *end = '\0';
        n++;
        n_held += holds(e->d_name, false);
    }
    closedir(d);
    assert_true(n >= 4);
    assert_int_equal(n_held, n);
}

static void one_wrong_digit_is_noticed(void **state)
{
    (void)state;
    assert_true(holds("ggml-vocab-llama-spm", true));
}

/* ---- names ---- */

/* Give a tokenizer of byte-level BPE another pre-tokenizer, as if its file had named that. */
static void rename_pretok(ls_tokenizer *t, const char *name)
{
    ls_pretok_destroy(t->pretok);
    assert_int_equal(ls_pretok_create(&t->pretok, (ls_str){name, strlen(name)}, &t->traits, NULL),
                     LS_OK);
    t->add_bos = (t->traits & (LS_PRETOK_ADD_BOS | LS_PRETOK_MUST_BOS)) != 0;
    ls_bpe_find_bytes(t);
}

/* Whether a line "name, number of ids, hash" is true of a text. */
static bool line_holds(ls_tokenizer *t, const char *line, const char *text, size_t len)
{
    char               name[64];
    size_t             n, expected_n;
    unsigned long long expected;
    uint64_t           h = 0xcbf29ce484222325u;
    int32_t           *ids;
    assert_int_equal(sscanf(line, "%63s %zu %llx", name, &expected_n, &expected), 3);
    rename_pretok(t, name);
    assert_int_equal(ls_tokenizer_encode(t, text, len, NULL, &ids, &n, NULL), LS_OK);
    for (size_t i = 0; i < 4 * n; i++) {
        h = (h ^ (uint8_t)((uint32_t)ids[i / 4] >> 8 * (i % 4))) * 0x100000001b3u;
    }
    free(ids);
    if (n == expected_n && h == expected) return true;
    print_message("%s: %zu ids, not %zu; hash %llx\n", name, n, expected_n, (unsigned long long)h);
    return false;
}

static void every_pre_tokenizer_cuts_as_the_reference_does(void **state)
{
    char          path[512], line[128];
    size_t        len, n = 0, n_held = 0;
    char         *text = (char *)file_read(GOLDEN "pretok-text.txt", &len);
    FILE         *f = fopen(GOLDEN "pretok.txt", "r");
    ls_gguf      *g = NULL;
    ls_tokenizer *t = NULL;
    (void)state;
    path_of(path, sizeof(path), "ggml-vocab-qwen2", "");
    assert_non_null(f);
    if (access(path, R_OK) != 0) skip();
    assert_int_equal(ls_gguf_open(&g, path, NULL), LS_OK);
    assert_int_equal(ls_tokenizer_create(&t, g, NULL), LS_OK);
    while (fgets(line, sizeof(line), f)) {
        if (line[0] == '#') continue;
        n++;
        n_held += line_holds(t, line, text, len);
    }
    assert_int_equal(n, 89);
    assert_int_equal(n_held, n);
    assert_false(line_holds(t, "llama-bpe 4875 0123456789abcdef", text, len));
    fclose(f);
    free(text);
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_of_every_vocabulary_is_identical),
        cmocka_unit_test(every_pre_tokenizer_cuts_as_the_reference_does),
        cmocka_unit_test(one_wrong_digit_is_noticed),
    };
    char        where[400];
    const char *path = folder(where, sizeof(where));
    if (access(path, R_OK) != 0) {
        printf("SKIP: the vocabularies '%s' are not there (set LOCKSTEP_VOCABS)\n", path);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
