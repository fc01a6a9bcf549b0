// SPDX-License-Identifier: MIT
/* test_vote.c - several engines over the same tokens: who stands alone, and when nobody can say. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lockstep/verify.h"
#include "support/fake_engine.h"

enum { N_PROMPT = 6, N_DECODED = 3 };

static void shifted(void *ctx, int32_t pos, float *row, size_t n)
{
    (void)ctx;
    if (pos == 7)
        for (size_t i = 0; i < n; i += 2) row[i] += 5;
}

static void constant(void *ctx, int32_t pos, float *row, size_t n)
{
    (void)ctx;
    (void)pos;
    for (size_t i = 0; i < n; i++) row[i] += 3;
}

static ls_status vote(ls_vote *v, const fake_options *opt, size_t n)
{
    static const int32_t prompt[N_PROMPT] = {1, 40, 41, 42, 43, 44};
    static const int32_t decoded[N_DECODED] = {50, 51, 52};
    ls_engine           *e[LS_VOTE_MAX + 1] = {NULL};
    ls_error             err = {0};
    ls_status            status;
    ls_vote_options      o = {.prompt = prompt,
                              .decoded = decoded,
                              .n_prompt = N_PROMPT,
                              .n_decoded = N_DECODED,
                              .tol = 1e-4};
    for (size_t i = 0; i < n; i++) e[i] = fake_open(&opt[i]);
    status = ls_vote_run(v, e, n, &o, &err);
    for (size_t i = 0; i < n; i++) ls_engine_close(e[i]);
    return status;
}

static void equal_engines_agree(void **state)
{
    fake_options opt[3] = {{0}, {.n_batch = 2}, {.edit = constant}};
    ls_vote      v;
    (void)state;
    assert_int_equal(vote(&v, opt, 3), LS_OK);
    assert_true(v.agree);
    assert_int_equal(v.outlier, -1);
    assert_int_equal(v.n_positions, N_PROMPT + N_DECODED);
    for (size_t p = 0; p < v.n_positions; p++) assert_true(ls_vote_nmse(&v, p, 1, 0) == 0);
    ls_vote_fini(&v);
}

static void one_that_differs_is_named_wherever_it_stands(void **state)
{
    (void)state;
    for (int at = 0; at < 4; at++) {
        fake_options opt[4] = {{0}};
        ls_vote      v;
        opt[at].edit = shifted;
        assert_int_equal(vote(&v, opt, 4), LS_OK);
        assert_false(v.agree);
        assert_int_equal(v.outlier, at);
        assert_int_equal(v.worst_at[at][(at + 1) % 4], 7);
        assert_true(ls_vote_nmse(&v, 6, (size_t)at, (size_t)(at + 1) % 4) == 0);
        assert_true(ls_vote_nmse(&v, 7, (size_t)at, (size_t)(at + 1) % 4) ==
                    v.worst[at][(at + 1) % 4]);
        ls_vote_fini(&v);
    }
}

static void two_cannot_outvote_each_other_nor_two_against_two(void **state)
{
    fake_options two[2] = {{0}, {.edit = shifted}};
    fake_options four[4] = {{0}, {.edit = shifted}, {0}, {.edit = shifted}};
    ls_vote      v;
    (void)state;
    assert_int_equal(vote(&v, two, 2), LS_OK);
    assert_true(!v.agree && v.outlier == -1);
    ls_vote_fini(&v);
    assert_int_equal(vote(&v, four, 4), LS_OK);
    assert_true(!v.agree && v.outlier == -1);
    ls_vote_fini(&v);
}

static void nan_agrees_with_nobody(void **state)
{
    fake_options opt[3] = {{0}, {0}, {.fault = FAKE_NAN, .at = 3}};
    fake_options all[3] = {
        {.fault = FAKE_NAN, .at = 3}, {.fault = FAKE_NAN, .at = 3}, {.fault = FAKE_NAN, .at = 3}};
    ls_vote v;
    (void)state;
    assert_int_equal(vote(&v, opt, 3), LS_OK);
    assert_int_equal(v.outlier, 2);
    assert_true(isnan(v.worst[2][0]) && v.worst_at[0][2] == 3);
    ls_vote_fini(&v);
    assert_int_equal(vote(&v, all, 3), LS_OK);
    assert_true(!v.agree && v.outlier == -1);
    ls_vote_fini(&v);
}

static void failures_are_not_votes(void **state)
{
    fake_options other[3] = {{0}, {0}, {.n_vocab = 65}};
    fake_options dead[3] = {{0}, {.fault = FAKE_EVAL_FAILS, .at = 2}, {0}};
    fake_options alone[LS_VOTE_MAX + 1] = {{0}};
    ls_vote      v;
    (void)state;
    assert_int_equal(vote(&v, other, 3), LS_ERR_LIMIT);
    assert_false(v.agree);
    ls_vote_fini(&v);
    assert_int_not_equal(vote(&v, dead, 3), LS_OK);
    assert_false(v.agree);
    ls_vote_fini(&v);
    assert_int_equal(vote(&v, alone, 1), LS_ERR_USAGE);
    assert_int_equal(vote(&v, alone, LS_VOTE_MAX + 1), LS_ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_engines_agree),
        cmocka_unit_test(one_that_differs_is_named_wherever_it_stands),
        cmocka_unit_test(two_cannot_outvote_each_other_nor_two_against_two),
        cmocka_unit_test(nan_agrees_with_nobody),
        cmocka_unit_test(failures_are_not_votes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
