// SPDX-License-Identifier: MIT
/* test_tokenizer_vocabs.c - the vocabularies of ../shared/vocabs: every text of an .inp file
 * becomes the ids on its line of the .out file, which llama.cpp's project publishes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockstep/tokenizer.h"
#include "support/text_vocab.h"

static const char separator[] = "\n__ggml_vocab_test__\n";

static char *read_text(const char *name, const char *ext, size_t *n)
{
    char  path[512];
    char *text;
    snprintf(path, sizeof(path), "%s/vocabs/%s.gguf%s", text_shared(), name, ext);
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

static void check(const char *name, bool spoil)
{
    char          path[512];
    size_t        n_in, n_out, n_texts, n_equal;
    char         *in = read_text(name, ".inp", &n_in), *out = read_text(name, ".out", &n_out);
    ls_gguf      *g;
    ls_tokenizer *t;
    snprintf(path, sizeof(path), "%s/vocabs/%s.gguf", text_shared(), name);
    assert_int_equal(ls_gguf_open(&g, path, NULL), LS_OK);
    assert_int_equal(ls_tokenizer_create(&t, g, NULL), LS_OK);
    if (spoil) out[strcspn(out, "0123456789")] ^= 1;
    n_equal = count_equal(t, in, n_in, out, &n_texts);
    assert_true(n_texts >= 40);
    assert_int_equal(n_equal, spoil ? n_texts - 1 : n_texts);
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
    free(in);
    free(out);
}

static void every_line_of_llama_spm_is_identical(void **state)
{
    (void)state;
    check("ggml-vocab-llama-spm", false);
}

static void every_line_of_llama_bpe_is_identical(void **state)
{
    (void)state;
    check("ggml-vocab-llama-bpe", false);
}

static void every_line_of_gpt_2_is_identical(void **state)
{
    (void)state;
    check("ggml-vocab-gpt-2", false);
}

static void every_line_of_qwen2_is_identical(void **state)
{
    (void)state;
    check("ggml-vocab-qwen2", false);
}

static void one_wrong_digit_is_noticed(void **state)
{
    (void)state;
    check("ggml-vocab-llama-spm", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_line_of_llama_spm_is_identical),
        cmocka_unit_test(every_line_of_llama_bpe_is_identical),
        cmocka_unit_test(every_line_of_gpt_2_is_identical),
        cmocka_unit_test(every_line_of_qwen2_is_identical),
        cmocka_unit_test(one_wrong_digit_is_noticed),
    };
    char path[512];
    snprintf(path, sizeof(path), "%s/vocabs", text_shared());
    if (access(path, R_OK) != 0) {
        printf("SKIP: the vocabularies '%s' are not there (set LOCKSTEP_SHARED)\n", path);
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
