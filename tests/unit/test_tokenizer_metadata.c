// SPDX-License-Identifier: MIT
/* test_tokenizer_metadata.c - vocabularies built by hand: what each metadata key does, and that a
 * broken one is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "lockstep/tokenizer.h"
#include "support/text_vocab.h"

#define N_OF(a) (sizeof(a) / sizeof((a)[0]))

/* ---- writers ---- */

static void write_strings(gguf_build *b, const char *key, const char *const *s, size_t n)
{
    gguf_build_kv_array(b, key, LS_GGUF_STR, n);
    for (size_t i = 0; i < n; i++) gguf_build_str(b, s[i]);
}

static void write_types(gguf_build *b, const char *key, const uint32_t *v, size_t n)
{
    gguf_build_kv_array(b, key, LS_GGUF_I32, n);
    for (size_t i = 0; i < n; i++) gguf_build_u32(b, v[i]);
}

static void write_scores(gguf_build *b, const char *key, const float *v, size_t n)
{
    gguf_build_kv_array(b, key, LS_GGUF_F32, n);
    for (size_t i = 0; i < n; i++) gguf_build_f32(b, v[i]);
}

static void write_bool(gguf_build *b, const char *key, bool v)
{
    gguf_build_key(b, key, LS_GGUF_BOOL);
    gguf_build_u8(b, v);
}

/* SentencePiece: three special tokens, one byte, user-defined ones, words. */
static const char *const spm_tokens[] = {
    "<unk>", "<s>", "</s>", "<0x41>",        "aa", "aaa", "", "\xe2\x96\x81",
    "x",     "y",   "xy",   "\xe2\x96\x81x", "[u]"};
static const uint32_t spm_types[] = {2, 3, 3, 6, 4, 4, 1, 1, 1, 1, 1, 1, 5};
static const float    spm_scores[] = {0, 0, 0, 0, 0, 0, 0, -3, -4, -5, -2, -1, -9};

static void llama(gguf_build *b, const char *key) { gguf_build_kv_str(b, key, "llama"); }
static void tokens(gguf_build *b, const char *key)
{
    write_strings(b, key, spm_tokens, N_OF(spm_tokens));
}
static void types(gguf_build *b, const char *key)
{
    write_types(b, key, spm_types, N_OF(spm_types));
}
static void scores(gguf_build *b, const char *key)
{
    write_scores(b, key, spm_scores, N_OF(spm_scores));
}

static const text_entry spm[] = {
    {"model", llama}, {"tokens", tokens}, {"token_type", types}, {"scores", scores}};

/* Byte-level BPE over the letters a to d; U+0120 stands for a space. */
static const char *const bpe_tokens[] = {
    "a",       "b",          "c",       "d",          "ab",       "cd", "abcd",     "\u0120",
    "\u0120a", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "bc", "<|start|>"};
static const char *const bpe_merges[] = {"b c", "a b", "c d", "ab cd", "\u0120 a"};

static void gpt2(gguf_build *b, const char *key) { gguf_build_kv_str(b, key, "gpt2"); }
static void gpt_2(gguf_build *b, const char *key) { gguf_build_kv_str(b, key, "gpt-2"); }
static void letters(gguf_build *b, const char *key)
{
    write_strings(b, key, bpe_tokens, N_OF(bpe_tokens));
}
static void merges(gguf_build *b, const char *key)
{
    write_strings(b, key, bpe_merges, N_OF(bpe_merges));
}

static const text_entry bpe[] = {
    {"model", gpt2}, {"pre", gpt_2}, {"tokens", letters}, {"merges", merges}};

/* Replacements, right and wrong. */
static void a_number(gguf_build *b, const char *key) { gguf_build_kv_u32(b, key, 1); }
static void a_string(gguf_build *b, const char *key) { gguf_build_kv_str(b, key, "nonsense"); }
static void none(gguf_build *b, const char *key) { gguf_build_kv_u32(b, key, UINT32_MAX); }
static void thirteen(gguf_build *b, const char *key) { gguf_build_kv_u32(b, key, 13); }
static void sixteen(gguf_build *b, const char *key) { gguf_build_kv_u32(b, key, 16); }
static void yes(gguf_build *b, const char *key) { write_bool(b, key, true); }
static void no(gguf_build *b, const char *key) { write_bool(b, key, false); }
static void no_strings(gguf_build *b, const char *key) { write_strings(b, key, spm_tokens, 0); }
static void few_types(gguf_build *b, const char *key) { write_types(b, key, spm_types, 12); }
static void few_scores(gguf_build *b, const char *key) { write_scores(b, key, spm_scores, 12); }
static void nan_scores(gguf_build *b, const char *key)
{
    float v[N_OF(spm_scores)] = {NAN};
    write_scores(b, key, v, N_OF(v));
}
static void twice(gguf_build *b, const char *key)
{
    const char *t[N_OF(spm_tokens)];
    memcpy(t, spm_tokens, sizeof(t));
    t[4] = t[8];
    write_strings(b, key, t, N_OF(t));
}
static void bytes_everywhere(gguf_build *b, const char *key)
{
    uint32_t v[N_OF(spm_types)];
    for (size_t i = 0; i < N_OF(v); i++) v[i] = 6;
    write_types(b, key, v, N_OF(v));
}
static void odd_types(gguf_build *b, const char *key)
{
    uint32_t v[N_OF(spm_types)] = {7, 99, UINT32_MAX, 6, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    write_types(b, key, v, N_OF(v));
}
static void unheard_of(gguf_build *b, const char *key) { gguf_build_kv_str(b, key, "unheard-of"); }
static void llama_bpe(gguf_build *b, const char *key) { gguf_build_kv_str(b, key, "llama-bpe"); }

/* ---- broken ---- */

static const struct {
    bool        bpe;
    text_entry  change;
    ls_status   status;
    const char *what; /* part of the error's text */
} broken[] = {
    {false, {"model", NULL}, LS_ERR_FORMAT, "'tokenizer.ggml.model' is missing"},
    {false, {"model", a_number}, LS_ERR_FORMAT, "'tokenizer.ggml.model' is no string"},
    {false, {"model", a_string}, LS_ERR_UNSUPPORTED, "tokenizer model 'nonsense'"},
    {false, {"tokens", NULL}, LS_ERR_FORMAT, "'tokenizer.ggml.tokens' is missing"},
    {false, {"tokens", scores}, LS_ERR_FORMAT, "'tokenizer.ggml.tokens'"},
    {false, {"tokens", no_strings}, LS_ERR_FORMAT, "'tokenizer.ggml.tokens'"},
    {false, {"tokens", twice}, LS_ERR_FORMAT, "two tokens of the same text"},
    {false, {"token_type", few_types}, LS_ERR_FORMAT, "'tokenizer.ggml.token_type'"},
    {false, {"token_type", tokens}, LS_ERR_FORMAT, "'tokenizer.ggml.token_type'"},
    {false, {"token_type", bytes_everywhere}, LS_ERR_FORMAT, "byte token"},
    {false, {"scores", NULL}, LS_ERR_FORMAT, "'tokenizer.ggml.scores' is missing"},
    {false, {"scores", few_scores}, LS_ERR_FORMAT, "'tokenizer.ggml.scores'"},
    {false, {"scores", nan_scores}, LS_ERR_FORMAT, "NaN"},
    {false, {"scores", a_number}, LS_ERR_FORMAT, "'tokenizer.ggml.scores'"},
    {false, {"bos_token_id", thirteen}, LS_ERR_FORMAT, "'tokenizer.ggml.bos_token_id'"},
    {false, {"eos_token_id", a_string}, LS_ERR_FORMAT, "'tokenizer.ggml.eos_token_id'"},
    {false, {"eot_token_id", thirteen}, LS_ERR_FORMAT, "'tokenizer.ggml.eot_token_id'"},
    {false, {"unknown_token_id", thirteen}, LS_ERR_FORMAT, "'tokenizer.ggml.unknown_token_id'"},
    {false, {"fim_pad_token_id", thirteen}, LS_ERR_FORMAT, "'tokenizer.ggml.fim_pad_token_id'"},
    {false, {"add_bos_token", a_number}, LS_ERR_FORMAT, "'tokenizer.ggml.add_bos_token'"},
    {false, {"add_eos_token", a_string}, LS_ERR_FORMAT, "'tokenizer.ggml.add_eos_token'"},
    {false, {"add_space_prefix", a_number}, LS_ERR_FORMAT, "'tokenizer.ggml.add_space_prefix'"},
    {true, {"merges", NULL}, LS_ERR_FORMAT, "'tokenizer.ggml.merges' is missing"},
    {true, {"merges", a_number}, LS_ERR_FORMAT, "'tokenizer.ggml.merges'"},
    {true, {"pre", a_number}, LS_ERR_FORMAT, "'tokenizer.ggml.pre'"},
    {true, {"pre", unheard_of}, LS_ERR_UNSUPPORTED, "pre-tokenizer 'unheard-of' is not supported"},
    {true, {"tokens", NULL}, LS_ERR_FORMAT, "'tokenizer.ggml.tokens' is missing"},
    {true, {"bos_token_id", sixteen}, LS_ERR_FORMAT, "'tokenizer.ggml.bos_token_id'"},
};

static void a_broken_key_is_refused_by_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_OF(broken); i++) {
        ls_error      err = {0};
        ls_gguf      *g;
        ls_tokenizer *t;
        ls_status     status =
            text_vocab_open(broken[i].bpe ? bpe : spm, 4, &broken[i].change, &g, &t, &err);
        if (status != broken[i].status || !strstr(err.what, broken[i].what) || t) {
            fail_msg("case %zu: status %d, '%s', not '%s'", i, status, err.what, broken[i].what);
        }
        assert_int_not_equal(err.where[0], '\0');
        ls_gguf_close(g);
    }
}

/* ---- right ---- */

/* Ids of a text with a vocabulary of which one key is changed. */
static void assert_ids(const text_entry *base, const text_entry *change, const char *text,
                       ls_bos_mode bos, bool special, const char *expected)
{
    ls_error      err = {0};
    ls_gguf      *g;
    ls_tokenizer *t;
    char         *ids;
    if (text_vocab_open(base, 4, change, &g, &t, &err) != LS_OK) fail_msg("%s", err.what);
    ids = text_ids(t, text, strlen(text), bos, special);
    if (!ids || strcmp(ids, expected) != 0) fail_msg("'%s': %s, not %s", text, ids, expected);
    free(ids);
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
}

static void joins_the_pair_of_the_highest_score_first(void **state)
{
    (void)state;
    assert_ids(spm, NULL, "xy", LS_BOS_NO, false, "11 9"); /* space+x before x+y */
    assert_ids(spm, NULL, "yxy", LS_BOS_NO, false, "7 9 10");
}

static void spells_what_it_lacks_in_bytes_or_as_unknown(void **state)
{
    const text_entry no_unknown = {"unknown_token_id", none};
    (void)state;
    assert_ids(spm, NULL, "A\xc3\xa9", LS_BOS_NO, false, "7 3 0 0");
    assert_ids(spm, &no_unknown, "A\xc3\xa9", LS_BOS_NO, false, "7 3");
}

static void a_space_goes_before_the_first_word_unless_the_file_says_no(void **state)
{
    const text_entry off = {"add_space_prefix", no};
    (void)state;
    assert_ids(spm, NULL, "x", LS_BOS_NO, false, "11");
    assert_ids(spm, &off, "x", LS_BOS_NO, false, "8");
    assert_ids(spm, NULL, "x<s>x", LS_BOS_NO, true, "11 1 11");
    assert_ids(spm, &off, "x<s>x", LS_BOS_NO, true, "8 1 8");
}

static void user_defined_tokens_are_always_cut_out_longest_first(void **state)
{
    const text_entry off = {"add_space_prefix", no};
    (void)state;
    assert_ids(spm, &off, "aaaaa", LS_BOS_NO, false, "5 4");
    assert_ids(spm, &off, "xaaay", LS_BOS_NO, false, "8 5 9");
    assert_ids(spm, &off, "aaaa<s>", LS_BOS_NO, false, "5 0 0 0 0");
    assert_ids(spm, &off, "aa<unk></s>", LS_BOS_NO, true, "4 0 2");
}

static void flags_of_the_file_decide_over_bos_and_eos(void **state)
{
    const text_entry bos_off = {"add_bos_token", no}, eos_on = {"add_eos_token", yes};
    const text_entry no_bos = {"bos_token_id", none};
    (void)state;
    assert_ids(spm, NULL, "x", LS_BOS_AUTO, false, "1 11");
    assert_ids(spm, &bos_off, "x", LS_BOS_AUTO, false, "11");
    assert_ids(spm, &bos_off, "x", LS_BOS_YES, false, "1 11");
    assert_ids(spm, &no_bos, "x", LS_BOS_YES, false, "11");
    assert_ids(spm, &eos_on, "x", LS_BOS_AUTO, false, "1 11 2");
    assert_ids(spm, &eos_on, "x", LS_BOS_NO, false, "11"); /* EOS is part of "as the file says" */
}

static void joins_the_pair_of_the_lowest_rank_first(void **state)
{
    (void)state;
    assert_ids(bpe, NULL, "abcd", LS_BOS_NO, false, "0 13 3"); /* b c ranks before a b */
    assert_ids(bpe, NULL, "abd cd a", LS_BOS_NO, false, "4 3 7 5 8");
}

static void llama_bpe_takes_a_whole_word_before_any_merge(void **state)
{
    const text_entry pre = {"pre", llama_bpe};
    (void)state;
    assert_ids(bpe, &pre, "abcd", LS_BOS_NO, false, "6");
    assert_ids(bpe, &pre, "abcd", LS_BOS_AUTO, false, "11 6"); /* and adds BOS: 11 by default */
}

static void a_missing_pre_tokenizer_means_default(void **state)
{
    const text_entry no_pre = {"pre", NULL};
    (void)state;
    assert_ids(bpe, &no_pre, "abcd a", LS_BOS_NO, false, "0 13 3 8");
}

static void known_texts_make_a_token_special(void **state)
{
    ls_gguf      *g;
    ls_tokenizer *t;
    (void)state;
    assert_int_equal(text_vocab_open(bpe, 4, NULL, &g, &t, NULL), LS_OK);
    assert_int_equal(ls_tokenizer_type(t, 9), LS_TOKEN_CONTROL);
    assert_true(ls_tokenizer_is_end(t, 9));
    assert_int_equal(ls_tokenizer_eot(t), 9);
    assert_false(ls_tokenizer_is_end(t, 10)); /* <|end|> beside <|return|> and <|call|> */
    assert_int_equal(ls_tokenizer_type(t, 10), LS_TOKEN_USER_DEFINED);
    assert_true(ls_tokenizer_is_end(t, 12));
    assert_int_equal(ls_tokenizer_type(t, 14), LS_TOKEN_USER_DEFINED);
    assert_int_equal(ls_tokenizer_type(t, 0), LS_TOKEN_NORMAL);
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
}

static void types_decide_what_a_token_looks_like(void **state)
{
    const text_entry odd = {"token_type", odd_types};
    ls_gguf         *g;
    ls_tokenizer    *t;
    char             buf[16];
    (void)state;
    assert_int_equal(text_vocab_open(spm, 4, NULL, &g, &t, NULL), LS_OK);
    assert_int_equal(ls_tokenizer_piece(t, 3, false, buf, sizeof(buf)), 1);
    assert_int_equal(buf[0], 'A');
    assert_int_equal(ls_tokenizer_piece(t, 11, false, buf, sizeof(buf)), 2);
    assert_memory_equal(buf, " x", 2);
    assert_int_equal(ls_tokenizer_piece(t, 12, true, buf, sizeof(buf)), 0); /* unused */
    assert_int_equal(ls_tokenizer_piece(t, 4, false, buf, sizeof(buf)), 2);
    assert_int_equal(ls_tokenizer_piece(t, 0, false, buf, sizeof(buf)), 0);
    assert_int_equal(ls_tokenizer_piece(t, 0, true, buf, sizeof(buf)), 5);
    assert_true(ls_str_is(ls_tokenizer_text(t, 6), "[EMPTY_6]"));
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
    assert_int_equal(text_vocab_open(spm, 4, &odd, &g, &t, NULL), LS_OK);
    assert_int_equal(ls_tokenizer_type(t, 0), LS_TOKEN_UNDEFINED);
    assert_int_equal(ls_tokenizer_type(t, 1), LS_TOKEN_UNDEFINED);
    assert_int_equal(ls_tokenizer_type(t, 2), LS_TOKEN_CONTROL); /* </s>, by its text */
    ls_tokenizer_destroy(t);
    ls_gguf_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broken_key_is_refused_by_name),
        cmocka_unit_test(joins_the_pair_of_the_highest_score_first),
        cmocka_unit_test(spells_what_it_lacks_in_bytes_or_as_unknown),
        cmocka_unit_test(a_space_goes_before_the_first_word_unless_the_file_says_no),
        cmocka_unit_test(user_defined_tokens_are_always_cut_out_longest_first),
        cmocka_unit_test(flags_of_the_file_decide_over_bos_and_eos),
        cmocka_unit_test(joins_the_pair_of_the_lowest_rank_first),
        cmocka_unit_test(llama_bpe_takes_a_whole_word_before_any_merge),
        cmocka_unit_test(a_missing_pre_tokenizer_means_default),
        cmocka_unit_test(known_texts_make_a_token_special),
        cmocka_unit_test(types_decide_what_a_token_looks_like),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
