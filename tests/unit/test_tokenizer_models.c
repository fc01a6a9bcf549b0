// SPDX-License-Identifier: MIT
/* test_tokenizer_models.c - the tokenizer models bert and t5 on vocabularies of a few tokens: ids
 * as llama.cpp v0.5.0 gives them for the same files, and maps of characters that are broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockstep/tokenizer.h"
#include "support/text_vocab.h"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

static void write_strings(gguf_build *b, const char *key, const char *const *s, size_t n)
{
    gguf_build_kv_array(b, key, LS_GGUF_STR, n);
    for (size_t i = 0; i < n; i++) gguf_build_str(b, s[i]);
}

static void number(gguf_build *b, const char *key, uint32_t v) { gguf_build_kv_u32(b, key, v); }

static void zero(gguf_build *b, const char *key) { number(b, key, 0); }
static void two(gguf_build *b, const char *key) { number(b, key, 2); }
static void one(gguf_build *b, const char *key) { number(b, key, 1); }

static void yes(gguf_build *b, const char *key)
{
    gguf_build_key(b, key, LS_GGUF_BOOL);
    gguf_build_u8(b, 1);
}

static void no(gguf_build *b, const char *key)
{
    gguf_build_key(b, key, LS_GGUF_BOOL);
    gguf_build_u8(b, 0);
}

/* ---- t5 ---- */

#define SPACE "\xe2\x96\x81"

static const char *const t5_tokens[] = {"<pad>",  "</s>", "<unk>", SPACE, "a",         "b",
                                        "ab",     "abb",  "bb",    "x",   SPACE "ab",  "<u>",
                                        "\u00e9", "c",    "ba",    "y",   SPACE "abba"};
static const uint32_t    t5_types[] = {3, 3, 2, 1, 1, 1, 1, 1, 1, 1, 1, 4, 1, 5, 1, 1, 1};
static const float       t5_scores[] = {0,  0,     0, -2, -3, -3, -4, -8, -4,
                                        -5, -4.5f, 0, -6, -7, -5, -5, -20};

static void t5(gguf_build *b, const char *key) { gguf_build_kv_str(b, key, "t5"); }
static void tokens(gguf_build *b, const char *key)
{
    write_strings(b, key, t5_tokens, N_OF(t5_tokens));
}
static void types(gguf_build *b, const char *key)
{
    gguf_build_kv_array(b, key, LS_GGUF_I32, N_OF(t5_types));
    for (size_t i = 0; i < N_OF(t5_types); i++) gguf_build_u32(b, t5_types[i]);
}
static void scores(gguf_build *b, const char *key)
{
    gguf_build_kv_array(b, key, LS_GGUF_F32, N_OF(t5_scores));
    for (size_t i = 0; i < N_OF(t5_scores); i++) gguf_build_f32(b, t5_scores[i]);
}

/* A map that makes "ab" of "A": the root's children are at 0x100 ^ byte. */
static void write_map(gguf_build *b, const char *key, uint32_t n_nodes, uint32_t value,
                      uint8_t last)
{
    gguf_build_kv_array(b, key, LS_GGUF_U8, 4 + 4 * (uint64_t)n_nodes + 4);
    gguf_build_u32(b, 4 * n_nodes);
    for (uint32_t i = 0; i < n_nodes; i++) {
        uint32_t node = i == 0       ? 0x100u << 10
                        : i == 0x141 ? 0x41u | 1u << 8 | 2u << 10
                        : i == 0x143 ? 0x80000000u | value
                                     : 0;
        gguf_build_u32(b, node);
    }
    gguf_build_u8(b, 'z');
    gguf_build_u8(b, 'a');
    gguf_build_u8(b, 'b');
    gguf_build_u8(b, last);
}

static void map(gguf_build *b, const char *key) { write_map(b, key, 512, 1, 0); }
static void map_without_end(gguf_build *b, const char *key) { write_map(b, key, 512, 1, 'b'); }
static void map_past_texts(gguf_build *b, const char *key) { write_map(b, key, 512, 4, 0); }
static void map_past_nodes(gguf_build *b, const char *key) { write_map(b, key, 8, 0, 0); }
static void map_too_short(gguf_build *b, const char *key)
{
    gguf_build_kv_array(b, key, LS_GGUF_U8, 5);
    gguf_build_u32(b, 4);
    gguf_build_u8(b, 0);
}

static const text_entry t5_vocab[] = {{"model", t5},
                                      {"tokens", tokens},
                                      {"token_type", types},
                                      {"scores", scores},
                                      {"add_space_prefix", yes},
                                      {"remove_extra_whitespaces", no},
                                      {"precompiled_charsmap", map}};

/* ---- bert ---- */

static const char *const bert_tokens[] = {
    "[CLS]", "[SEP]",   "[UNK]",        SPACE "un",     "able", "aff",     SPACE "a", SPACE "e",
    "b",     SPACE "!", SPACE "\u4e2d", SPACE "\u00e9", "s",    SPACE "E", SPACE "+", "\u00d7"};

static void bert(gguf_build *b, const char *key) { gguf_build_kv_str(b, key, "bert"); }
static void pieces(gguf_build *b, const char *key)
{
    write_strings(b, key, bert_tokens, N_OF(bert_tokens));
}

static const text_entry bert_vocab[] = {{"model", bert},
                                        {"tokens", pieces},
                                        {"bos_token_id", zero},
                                        {"seperator_token_id", one},
                                        {"unknown_token_id", two}};

/* ---- ids ---- */

static void assert_ids(const text_entry *base, size_t n, const text_entry *change, const char *text,
                       ls_bos_mode bos, const char *expected)
{
    ls_error      err = {0};
    ls_gguf      *g;
    ls_tokenizer *t;
    char         *ids;
    if (text_vocab_open(base, n, change, &g, &t, &err) != LS_OK) fail_msg("%s", err.what);
    ids = text_ids(t, text, strlen(text), bos, false);
    if (!ids || strcmp(ids, expected) != 0) fail_msg("'%s': %s, not %s", text, ids, expected);
    free(ids);
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
}

#define T5(change, text, expected)                                                                 \
    assert_ids(t5_vocab, N_OF(t5_vocab), change, text, LS_BOS_NO, expected)
#define BERT(change, text, expected)                                                               \
    assert_ids(bert_vocab, N_OF(bert_vocab), change, text, LS_BOS_NO, expected)

static void unigrams_spell_a_text_with_the_greatest_sum(void **state)
{
    const text_entry merge = {"remove_extra_whitespaces", yes}, bare = {"add_space_prefix", no};
    (void)state;
    T5(NULL, "abba", "10 14");
    T5(NULL, "abab", "10 6");
    T5(NULL, "", "");
    T5(NULL, "  ab  x ", "3 3 10 3 3 9 3");
    T5(&merge, "  ab  x ", "10 3 9");
    T5(&bare, "  ab  x ", "3 10 3 3 9 3");
    T5(&bare, "abba", "6 14");
}

static void unigrams_are_normalized_by_the_map_but_in_user_defined_tokens(void **state)
{
    const text_entry bare = {"add_space_prefix", no}, no_map = {"precompiled_charsmap", NULL};
    (void)state;
    T5(NULL, "A bb", "10 3 8");
    T5(&bare, "A bb", "6 3 8");
    T5(NULL, "<u>A", "11 10");
    T5(NULL, "c\u00e9", "3 13 12");
    T5(&no_map, "A", "3 2");
}

static void neighbouring_unknown_characters_are_one_token(void **state)
{
    (void)state;
    T5(NULL, "zz a", "3 2 3 4");
    T5(NULL, "<x", "3 2 9");
}

static void word_pieces_are_the_longest_first(void **state)
{
    (void)state;
    BERT(NULL, "unaffable", "3 5 4");
    BERT(NULL, "UNable!", "3 4 9");
    BERT(NULL, "a+b", "6 14 2");
    BERT(NULL, "a\u00d7b", "6 15 8"); /* a symbol beyond ASCII is part of the word */
    BERT(NULL, "a\u00a1", "6 2");
    BERT(NULL, "\u4e2das", "10 6 12");
    BERT(NULL, "aq", "2"); /* not one piece of a word that cannot be finished */
    BERT(NULL, "", "");
}

static void word_pieces_lose_case_and_accents_as_the_file_says(void **state)
{
    const text_entry cased = {"normalizer.lowercase", no};
    const text_entry accents = {"normalizer.strip_accents", no};
    (void)state;
    BERT(NULL, "\u00e9", "7");
    BERT(NULL, "E", "7");
    BERT(&cased, "\u00e9", "11");
    BERT(&cased, "E", "13");
    BERT(&cased, "UNable!", "2 9");
    BERT(&accents, "\u00e9", "11");
    BERT(&accents, "E", "7");
}

static void bert_and_t5_end_a_text_with_their_own_tokens(void **state)
{
    (void)state;
    assert_ids(t5_vocab, N_OF(t5_vocab), NULL, "ab", LS_BOS_AUTO, "10 1");
    assert_ids(bert_vocab, N_OF(bert_vocab), NULL, "ab", LS_BOS_AUTO, "0 6 8 1");
}

/* ---- broken maps ---- */

static void a_map_that_is_cut_off_is_refused(void **state)
{
    const text_entry changes[] = {{"precompiled_charsmap", map_without_end},
                                  {"precompiled_charsmap", map_too_short},
                                  {"precompiled_charsmap", one}};
    (void)state;
    for (size_t i = 0; i < N_OF(changes); i++) {
        ls_error      err = {0};
        ls_gguf      *g;
        ls_tokenizer *t;
        assert_int_equal(text_vocab_open(t5_vocab, N_OF(t5_vocab), &changes[i], &g, &t, &err),
                         LS_ERR_FORMAT);
        assert_non_null(strstr(err.what, "precompiled_charsmap"));
        assert_null(t);
        ls_gguf_close(g);
    }
}

static void a_map_that_points_past_its_end_fails_when_it_is_used(void **state)
{
    const text_entry changes[] = {{"precompiled_charsmap", map_past_texts},
                                  {"precompiled_charsmap", map_past_nodes}};
    (void)state;
    for (size_t i = 0; i < N_OF(changes); i++) {
        ls_error      err = {0};
        ls_gguf      *g;
        ls_tokenizer *t;
        int32_t      *ids;
        size_t        n;
        assert_int_equal(text_vocab_open(t5_vocab, N_OF(t5_vocab), &changes[i], &g, &t, &err),
                         LS_OK);
        assert_int_equal(ls_tokenizer_encode(t, "A", 1, NULL, &ids, &n, &err), LS_ERR_FORMAT);
        assert_non_null(strstr(err.what, "points past its end"));
        assert_null(ids);
        ls_tokenizer_destroy(t);
        ls_gguf_close(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unigrams_spell_a_text_with_the_greatest_sum),
        cmocka_unit_test(unigrams_are_normalized_by_the_map_but_in_user_defined_tokens),
        cmocka_unit_test(neighbouring_unknown_characters_are_one_token),
        cmocka_unit_test(word_pieces_are_the_longest_first),
        cmocka_unit_test(word_pieces_lose_case_and_accents_as_the_file_says),
        cmocka_unit_test(bert_and_t5_end_a_text_with_their_own_tokens),
        cmocka_unit_test(a_map_that_is_cut_off_is_refused),
        cmocka_unit_test(a_map_that_points_past_its_end_fails_when_it_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
