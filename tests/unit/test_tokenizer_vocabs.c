// SPDX-License-Identifier: MIT
/* test_tokenizer_vocabs.c - the vocabularies in the folder LOCKSTEP_VOCABS, else ../shared/vocabs:
 * every text of an .inp file becomes the ids on its line of the .out file, which llama.cpp's
 * project publishes. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockstep/tokenizer.h"
#include "support/text_vocab.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_of_every_vocabulary_is_identical),
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
