// SPDX-License-Identifier: MIT
/* test_shrink.c - the shortest sequence that passes a test whose shortest sequence is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "lockstep/record.h"

enum { N = 100 };

/* Passes with all of these ids, in this order. */
typedef struct needs {
    int32_t ids[8];
    size_t  n;
    size_t  n_asked;
    size_t  fail_at; /* that question is not answered; 0: all are */
} needs;

static ls_status holds(void *ctx, const int32_t *ids, size_t n, bool *still, ls_error *err)
{
    needs *x = ctx;
    size_t found = 0;
    if (++x->n_asked == x->fail_at) return ls_fail(err, LS_ERR_REFERENCE, "gone");
    for (size_t i = 0; i < n && found < x->n; i++) found += ids[i] == x->ids[found];
    *still = found == x->n;
    return LS_OK;
}

/* At least so many ids, whichever: a fault at a position. */
static ls_status long_enough(void *ctx, const int32_t *ids, size_t n, bool *still, ls_error *err)
{
    (void)ids;
    (void)err;
    *still = n >= *(const size_t *)ctx;
    return LS_OK;
}

static void count_up(int32_t *ids)
{
    for (int32_t i = 0; i < N; i++) ids[i] = i;
}

static void what_is_needed_is_left_and_nothing_else(void **state)
{
    static const needs cases[] = {
        {.ids = {0}, .n = 1},
        {.ids = {99}, .n = 1},
        {.ids = {3, 17}, .n = 2},
        {.ids = {49, 50}, .n = 2},
        {.ids = {0, 13, 14, 50, 77, 98, 99}, .n = 7},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        needs             x = cases[i], again = cases[i];
        ls_shrink_options opt = {.test = holds, .ctx = &x};
        int32_t           ids[N], same[N];
        ls_shrunk         out, twice;
        count_up(ids);
        count_up(same);
        assert_int_equal(ls_shrink(ids, N, &opt, &out, NULL), LS_OK);
        assert_true(out.minimal);
        assert_int_equal(out.n, x.n);
        assert_memory_equal(ids, x.ids, x.n * sizeof(*ids));
        assert_int_equal(out.n_tests, x.n_asked);
        opt.ctx = &again; /* the same tests, the same way */
        assert_int_equal(ls_shrink(same, N, &opt, &twice, NULL), LS_OK);
        assert_int_equal(twice.n_tests, out.n_tests);
    }
}

static void a_length_is_found(void **state)
{
    (void)state;
    for (size_t length = 1; length <= N; length += 7) {
        ls_shrink_options opt = {.test = long_enough, .ctx = &length};
        int32_t           ids[N];
        ls_shrunk         out;
        count_up(ids);
        assert_int_equal(ls_shrink(ids, N, &opt, &out, NULL), LS_OK);
        assert_int_equal(out.n, length);
        assert_true(out.minimal);
        for (size_t i = 1; i < out.n; i++) assert_true(ids[i] > ids[i - 1]); /* in their order */
    }
}

static void a_limit_ends_the_search_and_says_so(void **state)
{
    needs             x = {.ids = {3, 17, 60}, .n = 3};
    ls_shrink_options opt = {.test = holds, .ctx = &x, .max_tests = 4};
    int32_t           ids[N];
    ls_shrunk         out;
    bool              still;
    (void)state;
    count_up(ids);
    assert_int_equal(ls_shrink(ids, N, &opt, &out, NULL), LS_OK);
    assert_false(out.minimal);
    assert_int_equal(x.n_asked, 4);
    assert_int_equal(holds(&x, ids, out.n, &still, NULL), LS_OK);
    assert_true(still); /* what is left passes all the same */
}

static void a_test_that_fails_ends_the_search(void **state)
{
    needs             x = {.ids = {3, 17}, .n = 2, .fail_at = 3};
    ls_shrink_options opt = {.test = holds, .ctx = &x};
    int32_t           ids[N];
    ls_shrunk         out;
    ls_error          err = {0};
    (void)state;
    count_up(ids);
    assert_int_equal(ls_shrink(ids, N, &opt, &out, &err), LS_ERR_REFERENCE);
    assert_string_equal(err.what, "gone");
    assert_false(out.minimal);
    assert_int_equal(x.n_asked, 3);
}

static void a_single_id_is_the_shortest(void **state)
{
    needs             x = {.ids = {5}, .n = 1};
    ls_shrink_options opt = {.test = holds, .ctx = &x};
    int32_t           id = 5;
    ls_shrunk         out;
    (void)state;
    assert_int_equal(ls_shrink(&id, 1, &opt, &out, NULL), LS_OK);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.n_tests, 0);
    assert_true(out.minimal);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_needed_is_left_and_nothing_else),
        cmocka_unit_test(a_length_is_found),
        cmocka_unit_test(a_limit_ends_the_search_and_says_so),
        cmocka_unit_test(a_test_that_fails_ends_the_search),
        cmocka_unit_test(a_single_id_is_the_shortest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
