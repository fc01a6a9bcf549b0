// SPDX-License-Identifier: MIT
/* test_stream.c - text as it comes: no half characters, no stop texts, nothing lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/framework.h"
#include "cli/stream.h"
#include "cli/text.h"

/* What a reader sees after each of the pieces (NULL-terminated), parted by '|', and the end. */
static void expect(const char *const *stops, const char *const *pieces, const char *seen)
{
    char       got[256] = "", *text = NULL;
    size_t     len = 0, before = 0;
    FILE      *f = open_memstream(&text, &len);
    cli_stream s;
    ls_error   err = {0};
    cli_stream_init(&s, f, stops, stops ? 2 : 0);
    for (; *pieces; pieces++) {
        assert_int_equal(cli_stream_add(&s, *pieces, strlen(*pieces), &err), LS_OK);
        fflush(f);
        strncat(got, text + before, len - before);
        strcat(got, "|");
        before = len;
    }
    cli_stream_end(&s);
    strncat(got, text + before, len - before);
    assert_string_equal(got, seen);
    cli_stream_fini(&s);
    fclose(f);
    free(text);
}

static void a_character_is_printed_when_it_is_complete(void **state)
{
    const char *two[] = {"caf\xc3", "\xa9", NULL};
    const char *four[] = {"\xf0", "\x9f", "\x98", "\x80!", NULL};
    (void)state;
    expect(NULL, two, "caf|\xc3\xa9|\n");
    expect(NULL, four, "|||\xf0\x9f\x98\x80!|\n");
}

static void bytes_that_are_no_utf8_pass_unchanged(void **state)
{
    const char *stray[] = {"a\x80",
                           "\xff"
                           "b",
                           NULL};
    const char *cut[] = {"a\xe2\x82", NULL};
    (void)state;
    expect(NULL, stray,
           "a\x80|\xff"
           "b|\n");
    expect(NULL, cut, "a|\xe2\x82\n");
}

static void a_stop_text_and_what_follows_is_not_printed(void **state)
{
    const char *stops[] = {"\n\nQ:", NULL};
    const char *whole[] = {"yes\n\nQ: no", "more", NULL};
    const char *split[] = {"yes\n", "\nQ", ": no", NULL};
    const char *almost[] = {"yes\n", "\nQ", "uestion", NULL};
    (void)state;
    expect(stops, whole, "yes||\n");
    expect(stops, split, "yes|||\n");
    expect(stops, almost, "yes||\n\nQuestion|\n");
}

static void the_first_of_several_stop_texts_counts(void **state)
{
    const char *stops[] = {"<end>", "STOP"};
    const char *pieces[] = {"a STOP b <end>", NULL};
    (void)state;
    expect(stops, pieces, "a |\n");
}

static void the_newline_at_the_end_is_not_doubled(void **state)
{
    const char *with[] = {"a\n", NULL};
    const char *without[] = {"a", NULL};
    (void)state;
    expect(NULL, with, "a\n|");
    expect(NULL, without, "a|\n");
}

static void a_slip_of_the_finger_finds_the_word(void **state)
{
    static const char *const words[] = {"threads", "temp", "template", "kv-type", "isa"};
    static const char *const pairs[][2] = {{"thread", "threads"}, {"htreads", "threads"},
                                           {"tmep", "temp"},      {"kvtype", "kv-type"},
                                           {"nonsense", NULL},    {"x", NULL}};
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        cli_closest c = {.typed = pairs[i][0]};
        for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
            cli_closest_offer(&c, words[k], words[k]);
        if (pairs[i][1])
            assert_string_equal(c.best, pairs[i][1]);
        else
            assert_null(c.best);
    }
}

static void nothing_in_a_file_acts_on_the_terminal(void **state)
{
    static const char evil[] = "a\x1b[31m\n\"\\\xc2\x9b\xff\x7f\xc3\xa9";
    char             *text = NULL;
    size_t            len = 0;
    FILE             *f = open_memstream(&text, &len);
    (void)state;
    cli_print_quoted(f, (ls_str){evil, sizeof(evil) - 1}, 0);
    cli_print_quoted(f, LS_STR("\xc3\xa9\xc3\xa9"), 3);
    fclose(f);
    assert_string_equal(text, "\"a\\x1b[31m\\n\\\"\\\\\\xc2\\x9b\\xff\\x7f\xc3\xa9\""
                              "\"\xc3\xa9\"... (4 bytes)");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_character_is_printed_when_it_is_complete),
        cmocka_unit_test(bytes_that_are_no_utf8_pass_unchanged),
        cmocka_unit_test(a_stop_text_and_what_follows_is_not_printed),
        cmocka_unit_test(the_first_of_several_stop_texts_counts),
        cmocka_unit_test(the_newline_at_the_end_is_not_doubled),
        cmocka_unit_test(a_slip_of_the_finger_finds_the_word),
        cmocka_unit_test(nothing_in_a_file_acts_on_the_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
