// SPDX-License-Identifier: MIT
/* test_report.c - the forms of a report: what tokens and file names hold stays text, every number
 * is what was measured, and what was not measured is no number. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/markup.h"
#include "support/made_report.h"

/* ---- escapes ---- */

typedef void escape_fn(FILE *f, ls_str s);

static void expect(escape_fn *escape, const char *s, size_t len, const char *want)
{
    char  *text = NULL;
    size_t n = 0;
    FILE  *f = open_memstream(&text, &n);
    escape(f, (ls_str){s, len});
    fclose(f);
    assert_string_equal(text, want);
    free(text);
}

static void markup_in_a_token_is_text_in_every_form(void **state)
{
    static const char evil[] = "</a>&\"'|`\\";
    (void)state;
    expect(cli_markup_xml, evil, sizeof(evil) - 1, "&lt;/a&gt;&amp;&quot;&#39;|`\\");
    expect(cli_markup_md, evil, sizeof(evil) - 1, "&#60;/a&#62;&#38;&#34;&#39;&#124;&#96;&#92;");
    expect(cli_markup_json, evil, sizeof(evil) - 1, "\\u003c/a\\u003e\\u0026\\u0022'|`\\u005c");
    expect(cli_markup_csv, evil, sizeof(evil) - 1, "</a>&\"\"'|`\\");
}

static void what_no_document_may_hold_becomes_an_escape(void **state)
{
    static const char evil[] = "\x01\n\xff\xc2\x85\xef\xbf\xbe\xe2\x80\xae\xed\xa0\x80\0x";
    (void)state;
    expect(cli_markup_xml, evil, sizeof(evil) - 1,
           "\\x01\\n\\xff\\xc2\\x85\\ufffe\\u202e\\xed\\xa0\\x80\\x00x");
    expect(cli_markup_json, "\n", 1, "\\u005cn");
    expect(cli_markup_xml, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
           "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
}

static void base64_is_that_of_rfc_4648(void **state)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char      *text = NULL;
        size_t     n = 0;
        cli_base64 b = {.f = open_memstream(&text, &n)};
        for (const char *p = cases[i][0]; *p; p++) cli_base64_put(&b, p, 1);
        cli_base64_end(&b);
        fclose(b.f);
        assert_string_equal(text, cases[i][1]);
        free(text);
    }
}

/* ---- whole reports ---- */

static made_report m;

static int make(void **state)
{
    ls_error err = {0};
    (void)state;
    return made_report_init(&m, 30, 4, &err) == LS_OK ? 0 : -1;
}

static int drop(void **state)
{
    (void)state;
    made_report_fini(&m);
    return 0;
}

static char *report(cli_form form)
{
    char    *text = NULL;
    size_t   n = 0;
    FILE    *f = open_memstream(&text, &n);
    ls_error err = {0};
    assert_int_equal(cli_report_forms[form].write(&m.report, f, &err), LS_OK);
    fclose(f);
    assert_int_equal(strlen(text), n); /* no NUL in it */
    return text;
}

static size_t occurrences(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what)) n++;
    return n;
}

static void assert_has(const char *text, const char *what)
{
    if (!strstr(text, what)) fail_msg("not there: %s", what);
}

/* Field k of a line of CSV whose fields before it have no commas. */
static double csv_number(const char *line, int k)
{
    for (; k > 0; k--) line = strchr(line, ',') + 1;
    return strtod(line, NULL);
}

static void csv_has_every_number_to_the_last_bit(void **state)
{
    char       *text = report(CLI_FORM_CSV);
    const char *line = strstr(text, "\r\n") + 2;
    (void)state;
    for (size_t i = 0; i < m.result.n_positions; i++, line = strstr(line, "\r\n") + 2) {
        const ls_position *p = &m.result.positions[i];
        const double       want[] = {p->cosine, p->cosine_centred, p->l2, p->max_abs};
        assert_int_equal((int)csv_number(line, 0), (int)i);
        for (int k = 0; k < 4; k++) {
            double got = csv_number(line, 3 + k);
            if (!(got == want[k] || (isnan(got) && isnan(want[k])))) fail_msg("position %zu", i);
        }
        if (!p->finite) assert_memory_equal(strchr(strstr(line, "decode"), ','), ",nan,", 5);
    }
    assert_int_equal(*line, '\0');
    assert_int_equal(occurrences(text, "\r\n"), m.result.n_positions + 1);
    assert_int_equal(occurrences(text, "\n"), m.result.n_positions + 1);
    free(text);
}

static void csv_leaves_empty_what_one_engine_alone_cannot_say(void **state)
{
    char *text;
    (void)state;
    m.result.coverage.positions_compared = 0;
    text = report(CLI_FORM_CSV);
    assert_has(text, "\n0,1,prompt,,,,,,,,,");
    free(text);
}

static void junit_counts_its_cases(void **state)
{
    char  *text = report(CLI_FORM_JUNIT), head[160];
    size_t n_bad = 0, n_over = 0, n_skipped = 1, n_rows = m.located.map.n_rows;
    (void)state;
    for (size_t i = 0; i < m.result.n_positions; i++) n_bad += !m.result.positions[i].ok;
    for (size_t i = 0; i < n_rows; i++) {
        n_over += m.located.map.rows[i].op == LS_OP_FFN_ACT && m.located.map.rows[i].layer == 2;
        n_skipped += i % 18 == 9; /* has position 0 alone */
    }
    snprintf(head, sizeof(head), "tests=\"%zu\" failures=\"%zu\" errors=\"", 1 + 30 + n_rows + 1,
             1 + n_bad + n_over);
    assert_has(text, head);
    assert_int_equal(occurrences(text, "<testcase "), 1 + 30 + n_rows + 1);
    assert_int_equal(occurrences(text, "<failure "), 1 + n_bad + n_over);
    assert_int_equal(occurrences(text, "<error ") + occurrences(text, "<skipped "), n_skipped);
    assert_has(text, "name=\"layer 2, ffn_act\"");
    free(text);
}

static void junit_calls_what_has_no_verdict_an_error(void **state)
{
    char *text;
    (void)state;
    m.result.verdict = LS_VERDICT_INCONCLUSIVE;
    snprintf(m.result.reason_code, sizeof(m.result.reason_code), "reference-crashed");
    m.result.coverage.positions_planned = 32; /* of 30 */
    m.report.located = NULL;
    text = report(CLI_FORM_JUNIT);
    assert_has(text, "<error type=\"reference-crashed\" message=\"INCONCLUSIVE: ");
    assert_has(text, "errors=\"3\"");
    assert_int_equal(occurrences(text, "<error type=\"not-compared\""), 2);
    free(text);
}

static void junit_calls_an_engine_alone_skipped_not_passed(void **state)
{
    char *text;
    (void)state;
    m.result.verdict = LS_VERDICT_NONE;
    m.result.coverage.positions_compared = 0;
    m.report.located = NULL;
    text = report(CLI_FORM_JUNIT);
    assert_has(text, "tests=\"31\" failures=\"1\" errors=\"0\" skipped=\"30\""); /* one is NaN */
    free(text);
}

static void markdown_tables_keep_their_columns(void **state)
{
    char *text = report(CLI_FORM_MARKDOWN), *rest = NULL;
    (void)state;
    assert_null(strstr(text, "</script"));
    assert_has(text, "### \xe2\x9d\x8c DIVERGED");
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "| ", 2) != 0) continue;
        if (occurrences(line, "|") != 9 && occurrences(line, "|") != 6) fail_msg("%s", line);
    }
    free(text);
}

static void the_page_holds_markup_of_its_own_alone(void **state)
{
    char *text = report(CLI_FORM_HTML);
    (void)state;
    assert_int_equal(occurrences(text, "</script"), 2);
    assert_int_equal(occurrences(text, "<!--"), 0);
    assert_int_equal(occurrences(text, "http://") + occurrences(text, "https://"), 0);
    assert_int_equal(occurrences(text, "{{"), 0);
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < 32 && *p != '\n') fail_msg("a control character in the page");
    free(text);
}

static void the_data_of_the_page_are_one_json_document(void **state)
{
    static const char begin[] = "id=\"data\">";
    char             *text = report(CLI_FORM_HTML), *p = strstr(text, begin) + sizeof(begin) - 1;
    json_error_t      err;
    json_t           *root;
    (void)state;
    *strstr(p, "</script>") = '\0';
    root = json_loads(p, JSON_REJECT_DUPLICATES, &err);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "map")), m.located.map.n_rows);
    assert_string_equal(json_string_value(json_object_get(json_object_get(root, "texts"), "1")),
                        made_tokens[1]);
    json_decref(root);
    free(text);
}

static void what_was_not_measured_is_said_so_and_is_no_zero(void **state)
{
    char *text;
    (void)state;
    m.result.coverage.positions_compared = 0;
    m.result.coverage.taps_planned = m.result.coverage.taps_compared = 0;
    m.report.located = NULL;
    for (size_t i = 0; i < 30; i++) m.result.positions[i].kl = 0;
    m.result.summary.max_kl = (ls_extreme){(double)NAN, -1};
    text = report(CLI_FORM_HTML);
    assert_has(text, "<dt>taps</dt><dd><span class=\"unknown\">not measured");
    assert_has(text, "KL divergence, nats</th><td><span class=\"unknown\">not measured");
    assert_has(text, "No taps: run with <code>--locate</code>");
    assert_int_equal(occurrences(text, "<data value=\"0\">0.000e+00</data>"), 0);
    free(text);
}

static void nan_is_shown_in_every_form(void **state)
{
    (void)state;
    assert_false(m.result.positions[28].finite);
    for (cli_form form = CLI_FORM_HTML; form < CLI_N_FORMS; form++) {
        char *text = report(form);
        if (!strstr(text, "NaN") && !strstr(text, ",nan,")) fail_msg("form %d", (int)form);
        free(text);
    }
}

static void the_worst_of_a_tap_is_nan_before_any_number(void **state)
{
    ls_map_cell     cells[] = {{.isolated = -1, .accumulated = 2},
                               {.isolated = 1e-9, .accumulated = (double)NAN},
                               {.isolated = 1e-3, .accumulated = 5},
                               {.isolated = 1e-4, .accumulated = -1}};
    ls_map_row      row = {.cells = cells};
    cli_tap_summary s = cli_summarise_tap(&row, 4, 1e-6), none = cli_summarise_tap(&row, 0, 1e-6);
    (void)state;
    assert_true(s.isolated == 1e-3 && s.isolated_at == 2 && s.n_isolated == 3 && s.n_over == 2);
    assert_true(isnan(s.accumulated) && s.accumulated_at == 1 && s.n_accumulated == 3);
    assert_true(none.isolated == -1 && none.n_over == 0);
}

#define MADE(test) cmocka_unit_test_setup_teardown(test, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(markup_in_a_token_is_text_in_every_form),
        cmocka_unit_test(what_no_document_may_hold_becomes_an_escape),
        cmocka_unit_test(base64_is_that_of_rfc_4648),
        MADE(csv_has_every_number_to_the_last_bit),
        MADE(csv_leaves_empty_what_one_engine_alone_cannot_say),
        MADE(junit_counts_its_cases),
        MADE(junit_calls_what_has_no_verdict_an_error),
        MADE(junit_calls_an_engine_alone_skipped_not_passed),
        MADE(markdown_tables_keep_their_columns),
        MADE(the_page_holds_markup_of_its_own_alone),
        MADE(the_data_of_the_page_are_one_json_document),
        MADE(what_was_not_measured_is_said_so_and_is_no_zero),
        MADE(nan_is_shown_in_every_form),
        cmocka_unit_test(the_worst_of_a_tap_is_nan_before_any_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
