// SPDX-License-Identifier: MIT
/* test_sampler.c - greedy ties, seeds, temperatures, and the frequencies of what is drawn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "lockstep/sampler.h"

static void picks_the_lowest_index_among_equal_logits(void **state)
{
    const float v[] = {NAN, 1, 3, 3, 2};
    (void)state;
    assert_int_equal(ls_argmax(v, 5), 2);
    assert_int_equal(ls_argmax(v, 1), 0);
    assert_int_equal(ls_argmax(v, 2), 1);
}

static void is_greedy_at_temperature_zero(void **state)
{
    const float v[] = {0.5f, 0.9f, 0.1f};
    ls_sampler  s;
    int32_t     id = -1;
    (void)state;
    ls_sampler_init(&s, 0, 7);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(ls_sampler_pick(&s, v, 3, &id, NULL), LS_OK);
        assert_int_equal(id, 1);
    }
}

static void refuses_logits_of_which_none_is_finite(void **state)
{
    const float v[] = {NAN, NAN}, inf[] = {INFINITY, 1};
    ls_sampler  s;
    ls_error    err = {0};
    int32_t     id;
    (void)state;
    ls_sampler_init(&s, 1, 7);
    assert_int_equal(ls_sampler_pick(&s, v, 2, &id, &err), LS_ERR_USAGE);
    assert_int_equal(ls_sampler_pick(&s, inf, 2, &id, NULL), LS_ERR_USAGE);
}

static void draws_the_same_tokens_from_the_same_seed(void **state)
{
    const float v[] = {1, 1, 1, 1, 1, 1, 1, 1};
    ls_sampler  a, b, c;
    int         other = 0;
    (void)state;
    ls_sampler_init(&a, 1, 42);
    ls_sampler_init(&b, 1, 42);
    ls_sampler_init(&c, 1, 43);
    for (int i = 0; i < 200; i++) {
        int32_t x, y, z;
        ls_sampler_pick(&a, v, 8, &x, NULL);
        ls_sampler_pick(&b, v, 8, &y, NULL);
        ls_sampler_pick(&c, v, 8, &z, NULL);
        assert_int_equal(x, y);
        other += x != z;
    }
    assert_true(other > 100);
}

/* ln 1, ln 2, ln 5 and a NaN that must never be drawn: expected shares 1/8, 2/8, 5/8. */
static void draws_tokens_as_often_as_softmax_says(void **state)
{
    const float  v[] = {0, 0.69314718f, NAN, 1.60943791f};
    const double share[] = {0.125, 0.25, 0, 0.625};
    enum { N = 40000 };
    int        count[4] = {0};
    ls_sampler s;
    (void)state;
    ls_sampler_init(&s, 1, 1);
    for (int i = 0; i < N; i++) {
        int32_t id = -1;
        assert_int_equal(ls_sampler_pick(&s, v, 4, &id, NULL), LS_OK);
        count[id]++;
    }
    for (int i = 0; i < 4; i++) {
        double sd = sqrt(N * share[i] * (1 - share[i]));
        assert_true(fabs(count[i] - N * share[i]) <= 5 * sd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_the_lowest_index_among_equal_logits),
        cmocka_unit_test(is_greedy_at_temperature_zero),
        cmocka_unit_test(refuses_logits_of_which_none_is_finite),
        cmocka_unit_test(draws_the_same_tokens_from_the_same_seed),
        cmocka_unit_test(draws_tokens_as_often_as_softmax_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
