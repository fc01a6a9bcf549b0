// SPDX-License-Identifier: MIT
/* test_ref_llama.c - the adapter around the real llama.cpp, where it is installed: known text
 * comes out of a known model, and what the reference refuses is told from what it cannot do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/engine.h"
#include "support/real_reference.h"

static ls_ref_status reference;
static char          story[4096];

static ls_engine *open_story(int32_t n_threads, int kv_type)
{
    ls_engine_options o = {.model_path = story,
                           .n_ctx = 256,
                           .n_batch = 64,
                           .n_threads = n_threads,
                           .kv_type = kv_type,
                           .timeout_s = 60};
    ls_engine        *e;
    ls_error          err = {0};
    if (ls_engine_open_reference(&e, reference.exe, &o, &err) != LS_OK) fail_msg("%s", err.what);
    return e;
}

static int32_t *tokens_of(ls_engine *e, const char *text, ls_bos_mode bos, size_t *n)
{
    ls_encode_options o = {.bos = bos};
    ls_error          err = {0};
    int32_t          *ids;
    if (ls_engine_tokenize(e, text, strlen(text), &o, &ids, n, &err) != LS_OK)
        fail_msg("%s", err.what);
    return ids;
}

/* Token with the largest logit after token i of the last evaluation. */
static int32_t best(ls_engine *e, size_t i)
{
    const float *row;
    int32_t      top = 0;
    assert_int_equal(ls_engine_logits(e, i, &row, NULL), LS_OK);
    for (int32_t j = 1; j < ls_engine_get_info(e)->n_vocab; j++) {
        if (row[j] > row[top]) top = j;
    }
    return top;
}

static void tells_the_story_that_the_model_is_known_for(void **state)
{
    static const char told[] = "Once upon a time, there was a little girl named Lily. She loved to "
                               "play outside in the park. One day, she saw a big, red ball.";
    ls_engine        *e = open_story(1, LS_DTYPE_F16);
    size_t            n, n_prompt;
    int32_t          *ids = tokens_of(e, told, LS_BOS_AUTO, &n);
    int32_t          *prompt = tokens_of(e, "Once upon a time", LS_BOS_AUTO, &n_prompt);
    (void)state;
    assert_memory_equal(ids, prompt, n_prompt * sizeof(*ids));
    assert_int_equal(ls_engine_eval(e, ids, n_prompt, NULL), LS_OK);
    for (size_t i = n_prompt; i < n; i++) {
        int32_t next = best(e, i == n_prompt ? n_prompt - 1 : 0);
        if (next != ids[i]) fail_msg("token %zu is %d, not %d", i, next, ids[i]);
        assert_int_equal(ls_engine_eval(e, &next, 1, NULL), LS_OK);
    }
    assert_int_equal(ls_engine_get_stats(e).n_tokens, n);
    free(ids);
    free(prompt);
    ls_engine_close(e);
}

static void says_which_library_it_is(void **state)
{
    ls_engine            *e = open_story(2, LS_DTYPE_F32);
    const ls_engine_info *i = ls_engine_get_info(e);
    (void)state;
    assert_string_equal(i->engine, "llama");
    assert_string_not_equal(i->version, "");
    assert_string_not_equal(i->isa, "");
    assert_string_equal(i->kv_type, "f32");
    assert_int_equal(i->n_vocab, 512);
    assert_int_equal(i->n_batch, 64);
    assert_int_equal(i->n_threads, 2);
    assert_int_equal(i->flash_attn, 0);
    assert_non_null(strstr(i->library, "libllama"));
    assert_int_equal(access(i->library, R_OK), 0);
    ls_engine_close(e);
}

static void adds_bos_once_or_not_at_all(void **state)
{
    ls_engine *e = open_story(1, LS_DTYPE_F16);
    size_t     n_auto, n_yes, n_no;
    int32_t   *by_model = tokens_of(e, "Once", LS_BOS_AUTO, &n_auto);
    int32_t   *yes = tokens_of(e, "Once", LS_BOS_YES, &n_yes),
            *no = tokens_of(e, "Once", LS_BOS_NO, &n_no);
    (void)state;
    assert_int_equal(n_auto, n_yes); /* the model asks for BOS, id 1 */
    assert_memory_equal(by_model, yes, n_yes * sizeof(*yes));
    assert_int_equal(n_no + 1, n_yes);
    assert_int_equal(yes[0], 1);
    assert_memory_equal(no, yes + 1, n_no * sizeof(*no));
    free(by_model);
    free(yes);
    free(no);
    ls_engine_close(e);
}

static void starts_over_with_an_empty_cache(void **state)
{
    ls_engine   *e = open_story(1, LS_DTYPE_F16);
    const float *row;
    float        first[512];
    size_t       n;
    int32_t     *ids = tokens_of(e, "Lily had a ball", LS_BOS_AUTO, &n);
    (void)state;
    assert_int_equal(ls_engine_eval(e, ids, n, NULL), LS_OK);
    assert_int_equal(ls_engine_logits(e, n - 1, &row, NULL), LS_OK);
    memcpy(first, row, sizeof(first));
    assert_int_equal(ls_engine_eval(e, ids, n, NULL), LS_OK);
    assert_int_equal(ls_engine_logits(e, n - 1, &row, NULL), LS_OK);
    assert_memory_not_equal(first, row, sizeof(first)); /* positions matter */
    assert_int_equal(ls_engine_reset(e, NULL), LS_OK);
    assert_int_equal(ls_engine_eval(e, ids, n, NULL), LS_OK);
    assert_int_equal(ls_engine_logits(e, n - 1, &row, NULL), LS_OK);
    assert_memory_equal(first, row, sizeof(first));
    free(ids);
    ls_engine_close(e);
}

static void a_full_context_is_a_limit_and_not_a_crash(void **state)
{
    static int32_t ids[64];
    ls_engine     *e = open_story(1, LS_DTYPE_F16);
    ls_error       err = {0};
    (void)state;
    for (int i = 0; i < 64; i++) ids[i] = 5;
    for (int i = 0; i < ls_engine_get_info(e)->n_ctx / 64; i++) {
        assert_int_equal(ls_engine_eval(e, ids, 64, NULL), LS_OK);
    }
    assert_int_equal(ls_engine_eval(e, ids, 1, &err), LS_ERR_LIMIT);
    ls_engine_close(e);
}

static void a_file_that_it_refuses_is_a_matter_of_format(void **state)
{
    ls_engine_options o = {.model_path = LS_SOURCE_DIR "/CMakeLists.txt", .timeout_s = 60};
    ls_engine        *e;
    ls_error          err = {0};
    (void)state;
    assert_int_equal(ls_engine_open_reference(&e, reference.exe, &o, &err), LS_ERR_FORMAT);
    assert_non_null(strstr(err.what, "llama.cpp refuses the model: "));
    assert_string_equal(err.where, o.model_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_story_that_the_model_is_known_for),
        cmocka_unit_test(says_which_library_it_is),
        cmocka_unit_test(adds_bos_once_or_not_at_all),
        cmocka_unit_test(starts_over_with_an_empty_cache),
        cmocka_unit_test(a_full_context_is_a_limit_and_not_a_crash),
        cmocka_unit_test(a_file_that_it_refuses_is_a_matter_of_format),
    };
    if (!real_reference(&reference, LS_REF_LLAMA)) return TEST_SKIPPED;
    if (!shared_file(story, sizeof(story), "models/stories260K.gguf")) return TEST_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
