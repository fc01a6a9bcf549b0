// SPDX-License-Identifier: MIT
/* test_tokenizer_json.c - tokenizer.json: every step against what Hugging Face's own library makes
 * of it (tests/golden/tokenizer_json), and the shared folders against the GGUF files of the same
 * models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "support/text_vocab.h"

static char path[512];

static ls_tokenizer *open_json(const json_t *root, ls_error *err)
{
    ls_tokenizer *t = NULL;
    char         *text = json_dumps(root, 0);
    assert_non_null(text);
    file_write(path, text, strlen(text));
    free(text);
    (void)ls_tokenizer_open(&t, path, err);
    return t;
}

/* ---- golden cases ---- */

/* The base with the members of the case's patch; of the model single members, unless it names
 * another type. */
static json_t *patched(const json_t *base, const json_t *patch)
{
    json_t     *root = json_deep_copy(base), *value, *copy;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)patch, key, value)
    {
        copy = json_deep_copy(value);
        if (strcmp(key, "model") == 0 && !json_object_get(value, "type")) {
            json_object_update(json_object_get(root, "model"), copy);
            json_decref(copy);
        } else {
            json_object_set_new(root, key, copy);
        }
    }
    return root;
}

/* Written "1 2 3". */
static void write_ids(const json_t *ids, char *out)
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(ids); i++) {
        n += (size_t)sprintf(out + n, "%s%d", i ? " " : "",
                             (int)json_integer_value(json_array_get(ids, i)));
    }
}

static bool line_holds(const ls_tokenizer *t, const char *name, const json_t *line,
                       const json_t *ids, const json_t *back, bool quiet)
{
    char     expected[16384], *got, *text;
    int32_t *list;
    size_t   n = 0, len;
    bool     ok;
    write_ids(ids, expected);
    got = text_ids(t, json_string_value(line), json_string_length(line), LS_BOS_AUTO, true);
    ok = got && strcmp(got, expected) == 0;
    if (!ok && !quiet) {
        print_error("%s: '%s':\n  %s\n, not\n  %s\n", name, json_string_value(line), got, expected);
    }
    free(got);
    list = calloc(json_array_size(ids) + 1, sizeof(*list));
    assert_non_null(list);
    for (; n < json_array_size(ids); n++) {
        list[n] = (int32_t)json_integer_value(json_array_get(ids, n));
    }
    assert_int_equal(ls_tokenizer_decode(t, list, n, false, &text, &len, NULL), LS_OK);
    if (len != json_string_length(back) || memcmp(text, json_string_value(back), len) != 0) {
        if (!quiet) print_error("%s: '%s', not '%s'\n", name, text, json_string_value(back));
        ok = false;
    }
    free(text);
    free(list);
    return ok;
}

static json_t *load_cases(void)
{
    json_t *g = json_load_file(LS_SOURCE_DIR "/tests/golden/tokenizer_json/cases.json",
                               JSON_ALLOW_NUL, NULL);
    assert_non_null(g);
    return g;
}

static int count_bad_lines(const json_t *g, const json_t *c, bool quiet)
{
    const json_t *lines = json_object_get(g, "lines");
    const char   *name = json_string_value(json_object_get(c, "name"));
    ls_error      err = {0};
    json_t       *root = patched(json_object_get(g, "base"), json_object_get(c, "patch"));
    ls_tokenizer *t = open_json(root, &err);
    int           n_bad = 0;
    json_decref(root);
    if (!t) print_error("%s: %s\n", name, err.what);
    assert_non_null(t);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        n_bad += !line_holds(t, name, json_array_get(lines, i),
                             json_array_get(json_object_get(c, "ids"), i),
                             json_array_get(json_object_get(c, "texts"), i), quiet);
    }
    ls_tokenizer_destroy(t);
    return n_bad;
}

static void every_step_does_what_hugging_face_s_library_does(void **state)
{
    json_t *g = load_cases(), *cases = json_object_get(g, "cases");
    int     n_bad = 0;
    (void)state;
    assert_true(json_array_size(cases) >= 80);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        n_bad += count_bad_lines(g, json_array_get(cases, i), false);
    }
    json_decref(g);
    assert_int_equal(n_bad, 0);
}

static void a_wrong_id_and_a_wrong_text_are_noticed(void **state)
{
    json_t *g = load_cases(), *c = json_array_get(json_object_get(g, "cases"), 0);
    (void)state;
    json_array_set_new(json_array_get(json_object_get(c, "ids"), 0), 0, json_integer(1));
    json_array_set_new(json_object_get(c, "texts"), 4, json_string("x"));
    assert_int_equal(count_bad_lines(g, c, true), 2);
    json_decref(g);
}

/* ---- the same model from GGUF and from a folder ---- */

static ls_tokenizer *open_shared(const char *name)
{
    char          file[512];
    ls_tokenizer *t = NULL;
    ls_error      err = {0};
    snprintf(file, sizeof(file), "%s/models/%s", text_shared(), name);
    if (access(file, R_OK) != 0) return NULL;
    if (ls_tokenizer_open(&t, file, &err) != LS_OK) fail_msg("%s: %s", file, err.what);
    return t;
}

static void check_pair(const char *folder, const char *gguf)
{
    const ls_encode_options o = {LS_BOS_AUTO, true};
    ls_tokenizer           *a = open_shared(folder), *b = open_shared(gguf);
    char                    file[512];
    uint8_t                *text;
    int32_t                *x, *y;
    size_t                  len, n_x, n_y;
    snprintf(file, sizeof(file), "%s/corpus/christmas-carol.txt", text_shared());
    if (!a || !b || access(file, R_OK) != 0) {
        ls_tokenizer_destroy(a);
        ls_tokenizer_destroy(b);
        print_message("SKIP: '%s' or '%s' is not there\n", folder, gguf);
        skip();
    }
    text = file_read(file, &len);
    assert_int_equal(ls_tokenizer_n_vocab(a), ls_tokenizer_n_vocab(b));
    assert_int_equal(ls_tokenizer_bos(a), ls_tokenizer_bos(b));
    assert_int_equal(ls_tokenizer_eos(a), ls_tokenizer_eos(b));
    assert_int_equal(ls_tokenizer_eot(a), ls_tokenizer_eot(b));
    assert_int_equal(ls_tokenizer_adds_bos(a), ls_tokenizer_adds_bos(b));
    for (int32_t i = 0; i < ls_tokenizer_n_vocab(a); i++) {
        assert_int_equal(ls_tokenizer_type(a, i), ls_tokenizer_type(b, i));
        assert_int_equal(ls_tokenizer_is_end(a, i), ls_tokenizer_is_end(b, i));
    }
    assert_int_equal(ls_tokenizer_encode(a, (char *)text, len, &o, &x, &n_x, NULL), LS_OK);
    assert_int_equal(ls_tokenizer_encode(b, (char *)text, len, &o, &y, &n_y, NULL), LS_OK);
    assert_int_equal(n_x, n_y);
    assert_memory_equal(x, y, n_x * sizeof(*x));
    free(x);
    free(y);
    free(text);
    ls_tokenizer_destroy(a);
    ls_tokenizer_destroy(b);
}

static void the_llama_folder_gives_the_ids_of_its_gguf_file(void **state)
{
    (void)state;
    check_pair("fables-llama-5m", "fables-llama-5m-F16.gguf");
}

static void the_bitnet_folder_gives_the_ids_of_its_gguf_file(void **state)
{
    (void)state;
    check_pair("fables-bitnet-5m/tokenizer.json", "fables-bitnet-5m-TQ2_0.gguf");
}

/* ---- what a file cannot do ---- */

static void sequences_within_sequences_have_a_limit(void **state)
{
    static const char open[] = "{\"type\": \"Sequence\", \"normalizers\": [";
    char              text[4096] = "{\"normalizer\": ";
    ls_error          err = {0};
    ls_tokenizer     *t;
    (void)state;
    for (int i = 0; i < 40; i++) strcat(text, open);
    strcat(text, "{\"type\": \"NFC\"}");
    for (int i = 0; i < 40; i++) strcat(text, "]}");
    strcat(text, "}");
    file_write(path, text, strlen(text));
    assert_int_equal(ls_tokenizer_open(&t, path, &err), LS_ERR_FORMAT);
    assert_non_null(strstr(err.what, "nested too deep"));
}

static void a_normalizer_cannot_blow_a_text_up(void **state)
{
    char          text[4096] = "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [";
    ls_error      err = {0};
    ls_tokenizer *t;
    int32_t      *ids;
    size_t        n;
    (void)state;
    for (int i = 0; i < 30; i++) {
        strcat(text, "{\"type\": \"Replace\", \"pattern\": {\"String\": \"a\"}, \"content\": "
                     "\"aaaa\"},");
    }
    strcat(text, "{\"type\": \"NFC\"}]}, \"model\": {\"vocab\": {\"a\": 0}}}");
    file_write(path, text, strlen(text));
    assert_int_equal(ls_tokenizer_open(&t, path, &err), LS_OK);
    assert_int_equal(ls_tokenizer_encode(t, "a", 1, NULL, &ids, &n, &err), LS_ERR_LIMIT);
    ls_tokenizer_destroy(t);
}

static void a_missing_file_and_an_empty_folder_are_told(void **state)
{
    ls_error      err = {0};
    ls_tokenizer *t;
    (void)state;
    assert_int_equal(ls_tokenizer_open(&t, "/nonexistent/tokenizer.json", &err), LS_ERR_IO);
    ls_error_clear(&err);
    assert_int_equal(ls_tokenizer_open(&t, LS_SOURCE_DIR "/tests/golden", &err), LS_ERR_IO);
    assert_non_null(strstr(err.what, "tests/golden"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_step_does_what_hugging_face_s_library_does),
        cmocka_unit_test(a_wrong_id_and_a_wrong_text_are_noticed),
        cmocka_unit_test(the_llama_folder_gives_the_ids_of_its_gguf_file),
        cmocka_unit_test(the_bitnet_folder_gives_the_ids_of_its_gguf_file),
        cmocka_unit_test(sequences_within_sequences_have_a_limit),
        cmocka_unit_test(a_normalizer_cannot_blow_a_text_up),
        cmocka_unit_test(a_missing_file_and_an_empty_folder_are_told),
    };
    int rc;
    file_temporary(path, sizeof(path), "lockstep-json");
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return rc;
}
