// SPDX-License-Identifier: MIT
/* test_tokenizer_json.c - tokenizer.json: every step against what Hugging Face's own library makes
 * of it (tests/golden/tokenizer_json), the shared folders against the GGUF files of the same
 * models, and files that are wrong in all ways. */
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

/* ---- wrong files ---- */

static const struct {
    const char *text; /* ' stands for a quote */
    ls_status   status;
    const char *what, *where; /* parts */
} broken[] = {
    {"{", LS_ERR_FORMAT, "no JSON", "line 1, column 1"},
    {"{'a': 1,\n 'b' 2}", LS_ERR_FORMAT, "no JSON", "line 2"},
    {"{} x", LS_ERR_FORMAT, "no JSON", "line 1"},
    {"{}", LS_ERR_FORMAT, "model is missing", ": model"},
    {"{'model': 1}", LS_ERR_FORMAT, "model is missing or no object", ": model"},
    {"{'model': {'type': 'Magic', 'vocab': {}}}", LS_ERR_UNSUPPORTED, "'Magic' is not supported",
     ": model.type"},
    {"{'model': {'type': 3, 'vocab': {}}}", LS_ERR_FORMAT, "model.type is no string", "model.type"},
    {"{'model': {'type': 'BPE', 'merges': []}}", LS_ERR_FORMAT, "model.vocab is no object",
     ": model.vocab"},
    {"{'model': {'type': 'BPE', 'vocab': {}, 'merges': []}}", LS_ERR_FORMAT, "has no tokens",
     ": model.vocab"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': -1}, 'merges': []}}", LS_ERR_FORMAT,
     "model.vocab.a is no token id", ": model.vocab.a"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 'b'}, 'merges': []}}", LS_ERR_FORMAT,
     "is no token id", ": model.vocab.a"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 2000000000}, 'merges': []}}", LS_ERR_FORMAT,
     "far past", ": model.vocab"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 0}, 'merges': []}}", LS_ERR_FORMAT,
     "id 0 of another", ": model.vocab.b"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}}}", LS_ERR_FORMAT, "merges is missing",
     ": model.merges"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': ['aa']}}", LS_ERR_FORMAT, "no pair",
     ": model.merges[0]"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [['a']]}}", LS_ERR_FORMAT, "no pair",
     ": model.merges[0]"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': ['a b']}}", LS_ERR_FORMAT,
     "not in the vocabulary", ": model.merges[0]"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1}, 'merges': ['a b']}}", LS_ERR_FORMAT,
     "not in the vocabulary", ": model.merges[0]"},
    {"{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [], 'fuse_unk': 'yes'}}",
     LS_ERR_FORMAT, "neither true nor false", ": model.fuse_unk"},
    {"{'model': {'type': 'Unigram', 'vocab': {'a': 0}}}", LS_ERR_FORMAT, "is no list",
     ": model.vocab"},
    {"{'model': {'type': 'Unigram', 'vocab': [['a', 0], ['b']]}}", LS_ERR_FORMAT, "no pair",
     ": model.vocab[1]"},
    {"{'model': {'type': 'Unigram', 'vocab': [['a', 1e300]]}}", LS_ERR_FORMAT, "no score",
     ": model.vocab[0]"},
    {"{'model': {'type': 'Unigram', 'vocab': [['a', 0]], 'unk_id': 1}}", LS_ERR_FORMAT,
     "is no integer from 0 to 0", ": model.unk_id"},
    {"{'model': {'type': 'WordPiece', 'vocab': {'a': 0}, 'unk_token': '?'}}", LS_ERR_FORMAT,
     "not in the vocabulary", ": model.unk_token"},
    {"{'added_tokens': {}, 'model': {'type': 'WordLevel', 'vocab': {'a': 0}}}", LS_ERR_FORMAT,
     "added_tokens is no list", ": added_tokens"},
    {"{'added_tokens': [{'id': 1}], 'model': {'type': 'WordLevel', 'vocab': {'a': 0}}}",
     LS_ERR_FORMAT, "has no content", ": added_tokens[0]"},
    {"{'added_tokens': [{'id': 0, 'content': 'b'}], 'model': {'type': 'WordLevel', 'vocab': "
     "{'a': 0}}}",
     LS_ERR_FORMAT, "id 0 of another token", ": added_tokens[0]"},
    {"{'normalizer': {'type': 'Magic'}, 'model': {'vocab': {'a': 0}}}", LS_ERR_UNSUPPORTED,
     "'Magic' is not supported", ": normalizer.type"},
    {"{'normalizer': 'NFC', 'model': {'vocab': {'a': 0}}}", LS_ERR_FORMAT, "is missing",
     ": normalizer.type"},
    {"{'normalizer': {'type': 'Sequence', 'normalizers': [{'type': 'NFC'}, {'type': 'Replace', "
     "'content': '', 'pattern': {'Regex': '['}}]}}",
     LS_ERR_FORMAT, "pattern '[' is wrong", ": normalizer.normalizers[1].pattern"},
    {"{'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': 'AAAA'}}", LS_ERR_FORMAT,
     "no map of characters", "precompiled_charsmap"},
    {"{'normalizer': {'type': 'Prepend'}}", LS_ERR_FORMAT, "prepend is missing", ".prepend"},
    {"{'pre_tokenizer': {'type': 'Split', 'pattern': 1}}", LS_ERR_FORMAT, "neither String nor",
     ": pre_tokenizer.pattern"},
    {"{'pre_tokenizer': {'type': 'Split', 'pattern': {'String': 'a'}, 'behavior': 'x'}}",
     LS_ERR_FORMAT, "none of the known words", ": pre_tokenizer.behavior"},
    {"{'pre_tokenizer': {'type': 'Split', 'pattern': {'Regex': '[a&&b]'}}}", LS_ERR_UNSUPPORTED,
     "'&&' in brackets", ": pre_tokenizer.pattern"},
    {"{'decoder': {'type': 'CTC'}}", LS_ERR_UNSUPPORTED, "'CTC' is not supported", "decoder.type"},
    {"{'post_processor': {'type': 'BertProcessing', 'cls': ['a', 7], 'sep': ['a', 0]}, 'model': "
     "{'vocab': {'a': 0}}}",
     LS_ERR_FORMAT, "names no token", ": post_processor.cls"},
    {"{'post_processor': {'type': 'TemplateProcessing', 'single': [{'SpecialToken': {'id': 'x'}}]},"
     " 'model': {'vocab': {'a': 0}}}",
     LS_ERR_FORMAT, "not among the special_tokens", ": post_processor.single[0]"},
};

static void a_broken_file_is_refused_with_the_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        char          text[512];
        ls_error      err = {0};
        ls_tokenizer *t;
        ls_status     status;
        snprintf(text, sizeof(text), "%s", broken[i].text);
        for (char *q = text; *q; q++) *q = *q == '\'' ? '"' : *q;
        file_write(path, text, strlen(text));
        status = ls_tokenizer_open(&t, path, &err);
        if (status != broken[i].status || t || !strstr(err.what, broken[i].what) ||
            !strstr(err.where, broken[i].where)) {
            fail_msg("%s: %d, '%s', '%s'", broken[i].text, status, err.what, err.where);
        }
    }
}

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
        cmocka_unit_test(a_broken_file_is_refused_with_the_place),
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
