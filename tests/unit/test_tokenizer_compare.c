// SPDX-License-Identifier: MIT
/* test_tokenizer_compare.c - two descriptions of one vocabulary: which differences are found, and
 * which are none. Each pair is a tokenizer.json and the same with one change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/text_vocab.h"

static char path[512];

/* ' stands for a quote */
static ls_tokenizer *open_text(const char *text)
{
    char          json[2048];
    ls_tokenizer *t;
    ls_error      err = {0};
    snprintf(json, sizeof(json), "%s", text);
    for (char *q = json; *q; q++) *q = *q == '\'' ? '"' : *q;
    file_write(path, json, strlen(json));
    if (ls_tokenizer_open(&t, path, &err) != LS_OK) fail_msg("%s: %s", text, err.what);
    return t;
}

static ls_vocab_comparison compare(const char *a, const char *b)
{
    ls_tokenizer       *x = open_text(a), *y = open_text(b);
    ls_vocab_comparison c;
    assert_int_equal(ls_tokenizer_compare(x, y, &c, NULL), LS_OK);
    ls_tokenizer_destroy(x);
    ls_tokenizer_destroy(y);
    return c;
}

#define VOCAB(merges, more)                                                                        \
    "'model': {'type': 'BPE', 'vocab': {'H': 0, 'e': 1, 'l': 2, 'He': 3, 'll': 4, 'x': 5" more     \
    "}, 'merges': [" merges "]}"
#define BASE "{" VOCAB("'H e', 'l l'", "") "}"

static void a_vocabulary_agrees_with_itself(void **state)
{
    ls_vocab_comparison c = compare(BASE, BASE);
    (void)state;
    assert_int_equal(c.difference, LS_VOCABS_AGREE);
    assert_true(c.n_texts > 30 && c.normalized.len == 0);
}

static void a_merge_that_is_missing_shows_in_a_text(void **state)
{
    ls_vocab_comparison c = compare(BASE, "{" VOCAB("'H e'", "") "}");
    (void)state;
    assert_int_equal(c.difference, LS_VOCABS_TEXT);
    assert_true(ls_str_is(c.text, "Hello world"));
    assert_int_equal(c.place, 1);
    assert_int_equal(c.id[0], 4);
    assert_int_equal(c.id[1], 2);
}

static void another_text_of_a_token_is_named(void **state)
{
    ls_vocab_comparison c =
        compare("{'model': {'type': 'WordLevel', 'vocab': {'a': 0, 'b': 1, 'c': 2}}}",
                "{'model': {'type': 'WordLevel', 'vocab': {'a': 0, 'd': 1, 'e': 2}}}");
    (void)state;
    assert_int_equal(c.difference, LS_VOCABS_TOKEN);
    assert_int_equal(c.id[0], 1);
    assert_int_equal(c.id[1], 1);
}

static void a_token_too_many_is_named(void **state)
{
    ls_vocab_comparison c = compare("{" VOCAB("'H e', 'l l'", ", 'y': 6") "}", BASE);
    (void)state;
    assert_int_equal(c.difference, LS_VOCABS_TOKEN);
    assert_int_equal(c.id[0], 6);
    assert_int_equal(c.id[1], -1);
}

#define WITH_BOS(id, ids)                                                                          \
    "{'added_tokens': [{'id': 6, 'content': '<s>', 'special': true}, {'id': 7, 'content': '<b>', " \
    "'special': true}], 'post_processor': {'type': 'TemplateProcessing', 'single': "               \
    "[{'SpecialToken': {'id': '" id "'}}, {'Sequence': {}}], 'special_tokens': {'" id              \
    "': {'ids': [" ids "]}}}, " VOCAB("'H e', 'l l'", "") "}"
#define WITHOUT_BOS                                                                                \
    "{'added_tokens': [{'id': 6, 'content': '<s>', 'special': true}, {'id': 7, 'content': '<b>', " \
    "'special': true}], " VOCAB("'H e', 'l l'", "") "}"

static void other_special_ids_are_named(void **state)
{
    ls_vocab_comparison c = compare(WITH_BOS("<s>", "6"), WITH_BOS("<b>", "7"));
    (void)state;
    assert_int_equal(c.difference, LS_VOCABS_SPECIAL);
    assert_string_equal(c.role, "BOS");
    assert_int_equal(c.id[0], 6);
    assert_int_equal(c.id[1], 7);
    c = compare(WITH_BOS("<s>", "6"), WITHOUT_BOS);
    assert_int_equal(c.difference, LS_VOCABS_SPECIAL);
    assert_int_equal(c.id[1], -1);
}

static void what_only_a_normalizer_changes_is_a_note(void **state)
{
    static const char spaces[] = "{'normalizer': {'type': 'Replace', 'pattern': {'Regex': ' +'}, "
                                 "'content': 'x'}, " VOCAB("'H e', 'l l'", "") "}",
                      space[] = "{'normalizer': {'type': 'Replace', 'pattern': {'String': ' '}, "
                                "'content': 'x'}, " VOCAB("'H e', 'l l'", "") "}";
    ls_vocab_comparison c = compare(spaces, space);
    (void)state;
    /* indented code is no text that only a normalizer changes */
    assert_int_equal(c.difference, LS_VOCABS_TEXT);
    c = compare("{'normalizer': {'type': 'Strip'}, " VOCAB("'H e', 'l l'", ", ' ': 6") "}",
                "{" VOCAB("'H e', 'l l'", ", ' ': 6") "}");
    assert_int_equal(c.difference, LS_VOCABS_AGREE);
    assert_true(ls_str_is(c.normalized, " leading space"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vocabulary_agrees_with_itself),
        cmocka_unit_test(a_merge_that_is_missing_shows_in_a_text),
        cmocka_unit_test(another_text_of_a_token_is_named),
        cmocka_unit_test(a_token_too_many_is_named),
        cmocka_unit_test(other_special_ids_are_named),
        cmocka_unit_test(what_only_a_normalizer_changes_is_a_note),
    };
    int rc;
    file_temporary(path, sizeof(path), "lockstep-compare");
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return rc;
}
