// SPDX-License-Identifier: MIT
/* test_bad_tokenizers.c - tokenizer.json and tokenizer.model files that are wrong in one way each:
 * every one is refused with its status, its sentence and its place (tests/golden/errors), and the
 * program ends with 5. One sound file of each kind shows that it is not all that is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "lockstep/tokenizer.h"
#include "support/refusals.h"

/* ---- tokenizer.json ---- */

static const struct {
    const char *name, *text; /* ' stands for a quote */
} json_cases[] = {
    {"not_closed", "{"},
    {"comma_missing", "{'a': 1,\n 'b' 2}"},
    {"text_behind_it", "{} x"},
    {"nothing_in_it", "{}"},
    {"model_is_number", "{'model': 1}"},
    {"model_unknown", "{'model': {'type': 'Magic', 'vocab': {}}}"},
    {"type_is_number", "{'model': {'type': 3, 'vocab': {}}}"},
    {"no_vocabulary", "{'model': {'type': 'BPE', 'merges': []}}"},
    {"vocabulary_empty", "{'model': {'type': 'BPE', 'vocab': {}, 'merges': []}}"},
    {"id_negative", "{'model': {'type': 'BPE', 'vocab': {'a': -1}, 'merges': []}}"},
    {"id_is_text", "{'model': {'type': 'BPE', 'vocab': {'a': 'b'}, 'merges': []}}"},
    {"id_huge", "{'model': {'type': 'BPE', 'vocab': {'a': 2000000000}, 'merges': []}}"},
    {"id_twice", "{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 0}, 'merges': []}}"},
    {"no_merges", "{'model': {'type': 'BPE', 'vocab': {'a': 0}}}"},
    {"merge_without_space", "{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': ['aa']}}"},
    {"merge_of_one", "{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [['a']]}}"},
    {"merge_of_unknown", "{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': ['a b']}}"},
    {"merge_gives_unknown",
     "{'model': {'type': 'BPE', 'vocab': {'a': 0, 'b': 1}, 'merges': ['a b']}}"},
    {"flag_is_text",
     "{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': [], 'fuse_unk': 'yes'}}"},
    {"unigram_vocabulary_is_object", "{'model': {'type': 'Unigram', 'vocab': {'a': 0}}}"},
    {"unigram_without_score", "{'model': {'type': 'Unigram', 'vocab': [['a', 0], ['b']]}}"},
    {"score_infinite", "{'model': {'type': 'Unigram', 'vocab': [['a', 1e300]]}}"},
    {"unknown_past_the_end", "{'model': {'type': 'Unigram', 'vocab': [['a', 0]], 'unk_id': 1}}"},
    {"unknown_not_there", "{'model': {'type': 'WordPiece', 'vocab': {'a': 0}, 'unk_token': '?'}}"},
    {"added_is_object", "{'added_tokens': {}, 'model': {'type': 'WordLevel', 'vocab': {'a': 0}}}"},
    {"added_without_content",
     "{'added_tokens': [{'id': 1}], 'model': {'type': 'WordLevel', 'vocab': {'a': 0}}}"},
    {"added_with_a_taken_id", "{'added_tokens': [{'id': 0, 'content': 'b'}], 'model': {'type': "
                              "'WordLevel', 'vocab': {'a': 0}}}"},
    {"normalizer_unknown", "{'normalizer': {'type': 'Magic'}, 'model': {'vocab': {'a': 0}}}"},
    {"normalizer_is_text", "{'normalizer': 'NFC', 'model': {'vocab': {'a': 0}}}"},
    {"normalizer_pattern_broken",
     "{'normalizer': {'type': 'Sequence', 'normalizers': [{'type': 'NFC'}, {'type': 'Replace', "
     "'content': '', 'pattern': {'Regex': '['}}]}}"},
    {"charsmap_too_short",
     "{'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': 'AAAA'}}"},
    {"prepend_without_text", "{'normalizer': {'type': 'Prepend'}}"},
    {"split_pattern_is_number", "{'pre_tokenizer': {'type': 'Split', 'pattern': 1}}"},
    {"split_behavior_unknown",
     "{'pre_tokenizer': {'type': 'Split', 'pattern': {'String': 'a'}, 'behavior': 'x'}}"},
    {"split_pattern_intersects",
     "{'pre_tokenizer': {'type': 'Split', 'pattern': {'Regex': '[a&&b]'}}}"},
    {"decoder_unknown", "{'decoder': {'type': 'CTC'}}"},
    {"cls_past_the_end", "{'post_processor': {'type': 'BertProcessing', 'cls': ['a', 7], 'sep': "
                         "['a', 0]}, 'model': {'vocab': {'a': 0}}}"},
    {"template_token_unknown", "{'post_processor': {'type': 'TemplateProcessing', 'single': "
                               "[{'SpecialToken': {'id': 'x'}}]}, 'model': {'vocab': {'a': 0}}}"},
    {"vocabulary_is_list", "{'model': {'type': 'BPE', 'vocab': [], 'merges': []}}"},
    {"merges_are_object", "{'model': {'type': 'BPE', 'vocab': {'a': 0}, 'merges': {}}}"},
    {"id_is_fraction", "{'model': {'type': 'WordLevel', 'vocab': {'a': 0.5}}}"},
    {"flag_of_added_is_number",
     "{'added_tokens': [{'id': 0, 'content': 'a', 'special': 1}], 'model': {'vocab': {'a': 0}}}"},
    {"normalizers_no_list", "{'normalizer': {'type': 'Sequence', 'normalizers': 1}}"},
    {"charsmap_no_base64", "{'normalizer': {'type': 'Precompiled', 'precompiled_charsmap': '?'}}"},
    {"replace_without_content", "{'normalizer': {'type': 'Replace', 'pattern': {'String': 'a'}}}"},
    {"strip_start_negative",
     "{'decoder': {'type': 'Strip', 'content': ' ', 'start': -1, 'stop': 0}}"},
    {"step_behind_fuse",
     "{'model': {'vocab': {'a': 0}}, 'decoder': {'type': 'Sequence', 'decoders': "
     "[{'type': 'Fuse'}, {'type': 'ByteFallback'}]}}"},
    {"post_processor_unknown",
     "{'model': {'vocab': {'a': 0}}, 'post_processor': {'type': 'Magic'}}"},
    {"processors_no_list",
     "{'model': {'vocab': {'a': 0}}, 'post_processor': {'type': 'Sequence', 'processors': {}}}"},
    {"template_no_list",
     "{'model': {'vocab': {'a': 0}}, 'post_processor': {'type': 'TemplateProcessing'}}"},
    {"pattern_calls_out", "{'pre_tokenizer': {'type': 'Split', 'pattern': {'Regex': '(?P<'}}}"},
};

/* Status of opening the file, whose error must be one if it is refused. */
static ls_status open_tokenizer(const char *name, ls_error *err)
{
    ls_tokenizer *t;
    ls_status     status = ls_tokenizer_open(&t, in_folder(name), err);
    assert_true((status == LS_OK) == (t != NULL));
    ls_tokenizer_destroy(t);
    return status;
}

static void a_broken_tokenizer_json_is_refused_with_the_place(void **state)
{
    expectation e;
    (void)state;
    read_expectation(&e, "tokenizer_json.expect");
    for (size_t i = 0; i < sizeof(json_cases) / sizeof(json_cases[0]); i++) {
        char     text[512];
        ls_error err = {0};
        snprintf(text, sizeof(text), "%s", json_cases[i].text);
        for (char *q = text; *q; q++) *q = *q == '\'' ? '"' : *q;
        write_text("tokenizer.json", text);
        check_line(&e, json_cases[i].name, open_tokenizer("tokenizer.json", &err), &err);
    }
    write_text("tokenizer.json", "{\"model\": {\"vocab\": {\"a\": 0}}}");
    assert_int_equal(open_tokenizer("tokenizer.json", NULL), LS_OK);
    write_text("tokenizer.json", NULL);
    end_expectation(&e);
}

/* ---- tokenizer.model ---- */

#define A                                                                                          \
    "\x0a\x08\x0a\x01"                                                                             \
    "a"                                                                                            \
    "\x15\0\0\0\0" /* the piece a with score 0 */
#define CASE(name, bytes)                                                                          \
    {                                                                                              \
        name, bytes, sizeof(bytes) - 1                                                             \
    }

static const struct {
    const char *name, *bytes;
    size_t      n;
} model_cases[] = {
    CASE("piece_past_the_end", "\x0a\x09\x0a\x01"
                               "a"
                               "\x15\0\0\0\0"),
    CASE("length_without_end", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    CASE("number_cut_off", A "\x10\x80"),
    CASE("field_zero", A "\x00\x01\x01"),
    CASE("wire_type_unknown", A "\x0b\x01\x01"),
    CASE("score_cut_off", "\x0a\x05\x0a\x01"
                          "a"
                          "\x15\0" A),
    CASE("text_past_the_piece", "\x0a\x03\x0a\x05"
                                "a" A),
    CASE("piece_without_text", A "\x0a\x05\x15\0\0\0\0"),
    CASE("score_nan", "\x0a\x08\x0a\x01"
                      "a"
                      "\x15\0\0\xc0\x7f"),
    CASE("type_unknown", "\x0a\x0a\x0a\x01"
                         "a"
                         "\x15\0\0\0\0\x18\x09"),
    CASE("byte_without_number", "\x0a\x0a\x0a\x01"
                                "a"
                                "\x15\0\0\0\0\x18\x06"),
    CASE("piece_twice", A A),
    CASE("model_type_unknown", A "\x12\x02\x18\x07"),
    CASE("charsmap_cut_off", A "\x1a\x05\x12\x03\x01\0\0"),
};

static void a_broken_tokenizer_model_is_refused_with_the_place(void **state)
{
    expectation e;
    (void)state;
    read_expectation(&e, "tokenizer_model.expect");
    for (size_t i = 0; i < sizeof(model_cases) / sizeof(model_cases[0]); i++) {
        ls_error err = {0};
        file_write(in_folder("tokenizer.model"), model_cases[i].bytes, model_cases[i].n);
        check_line(&e, model_cases[i].name, open_tokenizer("tokenizer.model", &err), &err);
    }
    file_write(in_folder("tokenizer.model"), A, sizeof(A) - 1);
    assert_int_equal(open_tokenizer("tokenizer.model", NULL), LS_OK);
    write_text("tokenizer.model", NULL);
    end_expectation(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_tokenizer_json_is_refused_with_the_place),
        cmocka_unit_test(a_broken_tokenizer_model_is_refused_with_the_place),
    };
    int rc;
    snprintf(folder, sizeof(folder), "/tmp/lockstep-tokenizers-XXXXXX");
    if (!mkdtemp(folder)) return 1;
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return rc;
}
