// SPDX-License-Identifier: MIT
/* test_verify_metrics.c - the numbers behind a position, and the predicate.
 *
 * Expected numbers were computed from the definitions (cosine = r.s/(|r||s|), KL = sum p ln(p/q),
 * ...) with 60 decimal digits by Python's decimal module, which shares neither the formulas'
 * arrangement nor the arithmetic with the code under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lockstep/verify.h"

#define MAX_N 8

typedef struct expectation {
    size_t  n;
    float   s[MAX_N], r[MAX_N];
    double  cosine, cosine_centred, l2, max_abs, mean_abs, nmse, kl, sigma, margin;
    int32_t max_abs_token, top1_subject, top1_reference;
} expectation;

static const expectation expected[] = {
    {5,
     {1.125f, 1.875f, 3.25f, 4.5f, -0.5f},
     {1, 2, 3, 4.5f, -0.25f},
     9.98010576221709078126e-01,
     9.95922172434363317528e-01,
     3.95284707521047440348e-01,
     0.25,
     0.15,
     1.17481203007518790471e-02,
     5.63519655133785761503e-03,
     1.76776695296636893184e-01,
     1.5,
     2,
     3,
     3},
    {4,
     {-1, 2, -3, 4},
     {1, -2, 3, -4},
     -1,
     -1,
     1.09544511501033223766e+01,
     8,
     5,
     4,
     6.45625980266868104707,
     5.38516480713450373941,
     2,
     3,
     3,
     2},
    {4,
     {1000.5f, 1001, 1002.25f, 1003},
     {0, 1, 2, 3},
     8.02366982772585446426e-01,
     9.87975514640864194149e-01,
     2.00037504296069437260e+03,
     1000.5,
     1000.1875,
     3.43750000000000027756e-02,
     9.16268288390602834992e-03,
     2.07289049397212488124e-01,
     1,
     0,
     3,
     3},
    {4,
     {1, 2, 3, 4.00000095367431640625f},
     {1, 2, 3, 4},
     9.99999999999992894573e-01,
     9.99999999999972688514e-01,
     9.5367431640625e-07,
     9.5367431640625e-07,
     2.384185791015625e-07,
     1.36424205265939230639e-13,
     1.04268412915818540634e-13,
     4.12953092472285555166e-07,
     1,
     3,
     3,
     3},
    {4,
     {8, 0, 0, 0},
     {0, 0, 0, 8},
     0,
     -1.0 / 3,
     1.13137084989847611638e+01,
     8,
     4,
     2.66666666666666651864,
     7.98927598842243558153,
     5.65685424949238058190,
     8,
     0,
     0,
     3},
};

static void assert_near(double got, double want, double tol)
{
    if (fabs(got - want) <= tol * (1e-300 + fabs(want)) || fabs(got - want) <= 4e-16) return;
    print_error("got %.17g, expected %.17g\n", got, want);
    fail();
}

static void agrees_with_the_definitions_in_60_digits(void **state)
{
    ls_budget b = ls_budget_default();
    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const expectation *e = &expected[i];
        ls_position        p = {.pos = 7, .token = 9};
        ls_compare_row(&p, e->s, e->r, e->n, &b);
        assert_near(p.cosine, e->cosine, 1e-14);
        assert_near(p.cosine_centred, e->cosine_centred, 1e-14);
        assert_near(p.l2, e->l2, 1e-14);
        assert_near(p.max_abs, e->max_abs, 1e-14);
        assert_near(p.mean_abs, e->mean_abs, 1e-14);
        assert_near(p.nmse, e->nmse, 1e-12);
        assert_near(p.kl, e->kl, 1e-12);
        assert_near(p.sigma, e->sigma, 1e-12);
        assert_near(p.margin, e->margin, 1e-14);
        assert_int_equal(p.max_abs_token, e->max_abs_token);
        assert_int_equal(p.top1_subject, e->top1_subject);
        assert_int_equal(p.top1_reference, e->top1_reference);
        assert_true(p.finite);
        assert_int_equal(p.pos, 7);
        assert_int_equal(p.token, 9);
    }
}

/* A row of about-normal logits, as a model's are. */
static float *random_row(size_t n, unsigned seed)
{
    float   *v = malloc(n * sizeof(*v));
    uint32_t x = seed * 2654435761u + 1;
    assert_non_null(v);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++) {
            x = x * 1664525u + 1013904223u;
            sum += (double)(x >> 8) / 16777216.0 - 0.5;
        }
        v[i] = (float)(sum * 5);
    }
    return v;
}

static void a_row_matches_itself_exactly(void **state)
{
    ls_budget   b = {.cos_tol = 1, .nmse_tol = 0, .kl_tol = 0, .strict = true};
    float      *v = random_row(5000, 1);
    ls_position p = {0};
    (void)state;
    ls_compare_row(&p, v, v, 5000, &b);
    assert_true(p.ok);
    assert_true(p.cosine == 1 && p.cosine_centred == 1 && p.nmse == 0 && p.kl == 0 && p.l2 == 0);
    free(v);
}

static void a_constant_added_to_a_row_changes_nothing_that_counts(void **state)
{
    ls_budget b = ls_budget_default();
    float    *r = random_row(5000, 2), *s = random_row(5000, 2);
    (void)state;
    for (double shift = -1000; shift <= 1000; shift += 250) {
        ls_position p = {0};
        for (size_t i = 0; i < 5000; i++) s[i] = r[i] + (float)shift;
        ls_compare_row(&p, s, r, 5000, &b);
        assert_true(p.ok);
        assert_true(p.cosine_centred > 0.999999999 && p.nmse < 1e-9 && p.kl < 1e-8);
        if (shift != 0) assert_true(p.cosine < 0.1);
    }
    free(r);
    free(s);
}

static void knows_rows_that_are_equal_to_the_last_bit(void **state)
{
    float       s[3] = {1, 0.0f, 3}, r[3] = {1, 0.0f, 3};
    ls_position p = {0};
    ls_budget   b = ls_budget_default();
    (void)state;
    ls_compare_row(&p, s, r, 3, &b);
    assert_true(p.equal && p.ok);
    s[1] = -0.0f; /* another bit, no other number */
    ls_compare_row(&p, s, r, 3, &b);
    assert_true(!p.equal && p.ok && p.max_abs == 0);
    s[1] = 0.0f, s[2] = nextafterf(3, 4);
    ls_compare_row(&p, s, r, 3, &b);
    assert_true(!p.equal && p.ok);
    s[2] = r[2] = NAN;
    ls_compare_row(&p, s, r, 3, &b);
    assert_true(!p.equal && !p.ok);
}

static void noise_of_one_ulp_is_inside_any_sensible_budget(void **state)
{
    ls_budget   b = {.cos_tol = 1 - 1e-12, .nmse_tol = 1e-12, .kl_tol = 1e-12, .strict = true};
    float      *r = random_row(5000, 3), *s = random_row(5000, 3);
    ls_position p = {0};
    (void)state;
    for (size_t i = 0; i < 5000; i++) s[i] = nextafterf(r[i], i % 2 ? INFINITY : -INFINITY);
    ls_compare_row(&p, s, r, 5000, &b);
    assert_true(p.ok);
    assert_true(p.nmse > 0);
    free(r);
    free(s);
}

/* One budget at a time is broken, the others stay wide open. */
static void each_part_of_the_budget_can_fail_alone(void **state)
{
    const ls_budget wide = {.cos_tol = -1, .nmse_tol = HUGE_VAL, .kl_tol = HUGE_VAL};
    const float     s[] = {1.125f, 1.875f, 3.25f, 4.5f, -0.5f}, r[] = {1, 2, 3, 4.5f, -0.25f};
    ls_position     p = {0};
    ls_budget       b = wide;
    (void)state;
    ls_compare_row(&p, s, r, 5, &b);
    assert_true(p.ok);
    b.cos_tol = p.cosine_centred;
    ls_compare_row(&p, s, r, 5, &b);
    assert_true(p.ok);
    b.cos_tol = nextafter(p.cosine_centred, 2);
    ls_compare_row(&p, s, r, 5, &b);
    assert_false(p.ok);
    b = wide;
    b.nmse_tol = nextafter(p.nmse, 0);
    ls_compare_row(&p, s, r, 5, &b);
    assert_false(p.ok);
    b = wide;
    b.kl_tol = nextafter(p.kl, 0);
    ls_compare_row(&p, s, r, 5, &b);
    assert_false(p.ok);
}

static void a_tolerance_that_is_nan_passes_nothing(void **state)
{
    const float     v[] = {1, 2, 3};
    ls_position     p = {0};
    const ls_budget nan_budgets[] = {{.cos_tol = (double)NAN, .nmse_tol = 1, .kl_tol = 1},
                                     {.nmse_tol = (double)NAN, .kl_tol = 1},
                                     {.nmse_tol = 1, .kl_tol = (double)NAN}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        ls_compare_row(&p, v, v, 3, &nan_budgets[i]);
        assert_false(p.ok);
    }
}

static void nan_and_infinity_on_either_side_are_outside(void **state)
{
    const ls_budget wide = {.cos_tol = -HUGE_VAL, .nmse_tol = HUGE_VAL, .kl_tol = HUGE_VAL};
    const float     bad[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < 5; i++) {
            for (int both = 0; both < 3; both++) {
                float       s[] = {1, 2, 3, 4, 5}, r[] = {1, 2, 3, 4, 5};
                ls_position p = {0};
                if (both != 0) s[i] = bad[k];
                if (both != 1) r[i] = bad[k];
                ls_compare_row(&p, s, r, 5, &wide);
                assert_false(p.finite);
                assert_false(p.ok);
                assert_true(isnan(p.cosine) && isnan(p.cosine_centred) && isnan(p.nmse));
                assert_true(isnan(p.kl) && isnan(p.l2) && isnan(p.max_abs));
                assert_int_equal(p.max_abs_token, (int)i);
            }
        }
    }
}

static void nan_ranks_lowest_and_the_lowest_of_equals_is_the_top(void **state)
{
    const float s[] = {NAN, 1, 3, 3, 2}, r[] = {NAN, NAN, NAN, NAN, -5}, all[] = {NAN, NAN};
    ls_budget   b = ls_budget_default();
    ls_position p = {0};
    (void)state;
    ls_compare_row(&p, s, r, 5, &b);
    assert_int_equal(p.top1_subject, 2);
    assert_int_equal(p.top1_reference, 4);
    ls_compare_row(&p, all, all, 2, &b);
    assert_int_equal(p.top1_subject, 0);
    assert_false(p.ok);
}

static void constant_rows_have_no_centred_norm_however_long_they_are(void **state)
{
    const size_t n = 128256;
    float       *s = malloc(n * sizeof(*s)), *r = malloc(n * sizeof(*r));
    ls_budget    b = ls_budget_default();
    ls_position  p = {0};
    (void)state;
    assert_non_null(s);
    assert_non_null(r);
    for (size_t i = 0; i < n; i++) s[i] = 0.1f, r[i] = -33.3333f;
    ls_compare_row(&p, s, r, n, &b);
    assert_true(p.cosine_centred == 1 && p.nmse == 0 && p.sigma == 0 && p.kl == 0);
    free(s);
    free(r);
}

static void rows_of_zero_norm_have_defined_metrics(void **state)
{
    const float zero[] = {0, 0, 0}, tenth[] = {0.1f, 0.1f, 0.1f}, one[] = {1, 2, 4};
    ls_budget   b = ls_budget_default();
    ls_position p = {0};
    (void)state;
    ls_compare_row(&p, zero, zero, 3, &b);
    assert_true(p.cosine == 1 && p.cosine_centred == 1 && p.nmse == 0 && p.kl == 0);
    ls_compare_row(&p, tenth, zero, 3, &b); /* constant rows differ by a constant */
    assert_true(p.cosine == 0 && p.cosine_centred == 1 && p.nmse == 0 && p.kl == 0);
    ls_compare_row(&p, one, tenth, 3, &b);
    assert_true(p.cosine_centred == 0 && isinf(p.nmse));
    assert_false(p.ok);
    ls_compare_row(&p, tenth, one, 3, &b);
    assert_true(p.cosine_centred == 0);
    assert_near(p.nmse, 1, 1e-15);
    assert_false(p.ok);
}

/* Two candidates `gap` apart, swapped in the subject. */
static ls_position flip(size_t n, float gap, bool strict)
{
    ls_budget   b = {.cos_tol = -1,
                     .nmse_tol = HUGE_VAL,
                     .kl_tol = HUGE_VAL,
                     .strict = strict,
                     .tie_tol = 1e-4,
                     .tie_sigmas = 4};
    float      *s = calloc(n, sizeof(*s)), *r = calloc(n, sizeof(*r));
    ls_position p = {0};
    assert_non_null(s);
    assert_non_null(r);
    r[0] = s[1] = 2;
    r[1] = s[0] = 2 - gap;
    ls_compare_row(&p, s, r, n, &b);
    free(s);
    free(r);
    return p;
}

static void a_flip_within_a_ten_thousandth_is_a_near_tie(void **state)
{
    (void)state;
    /* In 4,096 logits sigma is too small to matter: 8 gap / 64. */
    assert_int_equal(flip(4096, 9.99e-5f, false).flip, LS_FLIP_NEAR_TIE);
    assert_int_equal(flip(4096, 1.002e-4f, false).flip, LS_FLIP_HARD);
    assert_true(flip(4096, 9.99e-5f, false).ok);
    assert_false(flip(4096, 1.002e-4f, false).ok);
    assert_false(flip(4096, 9.99e-5f, true).ok);
}

static void a_flip_within_the_noise_is_a_near_tie(void **state)
{
    (void)state;
    /* By hand: swapping two logits a gap g apart gives sigma = g sqrt(2/n), so that
     * 4 sqrt(2) sigma = 8 g / sqrt(n), which is g at n = 64. */
    assert_int_equal(flip(63, 1, false).flip, LS_FLIP_NEAR_TIE);
    assert_int_equal(flip(65, 1, false).flip, LS_FLIP_HARD);
    assert_near(flip(65, 1, false).sigma, sqrt(2.0 / 65), 1e-14);
}

static void sees_a_difference_of_one_part_in_ten_million_in_100000_logits(void **state)
{
    size_t      n = 100000;
    float      *r = random_row(n, 4), *s = random_row(n, 4);
    ls_budget   b = ls_budget_default();
    ls_position p = {0};
    (void)state;
    for (size_t i = 0; i < n; i++) s[i] *= 1 + 1e-7f * (i % 3 == 0);
    ls_compare_row(&p, s, r, n, &b);
    /* a third of the logits moved by 2^-23 of themselves: nmse near 2^-46 / 3 */
    assert_true(p.nmse > 4e-15 && p.nmse < 6e-15);
    assert_true(1 - p.cosine_centred > 1e-15 && 1 - p.cosine_centred < 3e-15);
    free(r);
    free(s);
}

static void the_default_budget_is_the_published_one(void **state)
{
    ls_budget b = ls_budget_default();
    (void)state;
    assert_true(b.cos_tol == 0.999 && b.nmse_tol == 1e-4 && b.kl_tol == 1e-3 && !b.strict);
}

/* Rows as the definitions read, in long double. */
typedef long double wide;
static void         judge(const float *s, const float *r, size_t n, ls_position *o)
{
    wide ms = 0, mr = 0, ss = 0, rr = 0, sr = 0, d2 = 0, c2 = 0, cr = 0, abs = 0, zs = 0, zr = 0;
    wide kl = 0, top_s = (wide)s[0], top_r = (wide)r[0];
    for (size_t i = 0; i < n; i++) {
        ms += (wide)s[i] / (wide)n;
        mr += (wide)r[i] / (wide)n;
        if ((wide)s[i] > top_s) top_s = (wide)s[i];
        if ((wide)r[i] > top_r) top_r = (wide)r[i];
    }
    for (size_t i = 0; i < n; i++) {
        wide x = (wide)s[i], y = (wide)r[i], c = (x - ms) - (y - mr);
        ss += x * x;
        rr += y * y;
        sr += x * y;
        d2 += (x - y) * (x - y);
        abs += fabsl(x - y);
        c2 += c * c;
        cr += (y - mr) * (y - mr);
        zs += expl(x - top_s);
        zr += expl(y - top_r);
    }
    for (size_t i = 0; i < n; i++) {
        wide x = (wide)s[i] - top_s - logl(zs), y = (wide)r[i] - top_r - logl(zr);
        kl += expl(y) * (y - x);
    }
    o->cosine = (double)(sr / sqrtl(ss * rr));
    o->l2 = (double)sqrtl(d2);
    o->mean_abs = (double)(abs / (long double)n);
    o->sigma = (double)sqrtl(c2 / (long double)n);
    o->nmse = (double)(c2 / cr);
    o->kl = (double)kl;
}

static bool is_near(double a, double b, double tol) { return fabs(a - b) <= tol * (1 + fabs(b)); }

static void rows_of_every_length_agree_with_the_definitions(void **state)
{
    uint64_t  rng = 1;
    ls_budget b = ls_budget_default();
    (void)state;
    for (size_t n = 2; n < 70; n++) {
        float       s[70], r[70];
        ls_position o, want;
        for (size_t i = 0; i < n; i++) {
            rng = rng * 6364136223846793005u + 1442695040888963407u;
            r[i] = (float)(int32_t)(rng >> 32) * 0x1p-27f; /* within 16 */
            if (rng >> 8 & 1 && n % 2) r[i] -= 1500;       /* too far below the largest to count */
            s[i] = r[i] + (float)(int32_t)(rng >> 16) * 0x1p-33f;
        }
        ls_compare_row(&o, s, r, n, &b);
        judge(s, r, n, &want);
        if (!is_near(o.cosine, want.cosine, 1e-13) || !is_near(o.l2, want.l2, 1e-13) ||
            !is_near(o.mean_abs, want.mean_abs, 1e-13) || !is_near(o.kl, want.kl, 1e-13) ||
            !is_near(o.sigma, want.sigma, 1e-12) || !is_near(o.nmse, want.nmse, 1e-12)) {
            print_error("%zu logits: kl %.17g, not %.17g; nmse %.17g, not %.17g\n", n, o.kl,
                        want.kl, o.nmse, want.nmse);
            fail();
        }
        for (size_t i = 0; i < n; i++) {
            assert_true(fabs((double)s[i] - (double)r[i]) <= o.max_abs);
            assert_true(s[i] <= s[o.top1_subject] && r[i] <= r[o.top1_reference]);
            assert_true(i == (size_t)o.top1_reference ||
                        (double)r[o.top1_reference] - (double)r[i] >= o.margin);
        }
        assert_true(fabs((double)s[o.max_abs_token] - (double)r[o.max_abs_token]) == o.max_abs);
    }
}

static void verdicts_have_their_public_exit_codes(void **state)
{
    (void)state;
    assert_int_equal(ls_verdict_exit_code(LS_VERDICT_NONE), 0);
    assert_int_equal(ls_verdict_exit_code(LS_VERDICT_MATCH), 0);
    assert_int_equal(ls_verdict_exit_code(LS_VERDICT_DIVERGED), 1);
    assert_int_equal(ls_verdict_exit_code(LS_VERDICT_TOKENS_DIFFER), 2);
    assert_int_equal(ls_verdict_exit_code(LS_VERDICT_INCONCLUSIVE), 3);
    assert_int_equal(ls_verdict_exit_code((ls_verdict)77), 3);
    assert_string_equal(ls_verdict_name(LS_VERDICT_TOKENS_DIFFER), "TOKENS_DIFFER");
    assert_string_equal(ls_verdict_status(LS_VERDICT_MATCH), "ok");
    assert_string_equal(ls_verdict_status(LS_VERDICT_INCONCLUSIVE), "inconclusive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_definitions_in_60_digits),
        cmocka_unit_test(a_row_matches_itself_exactly),
        cmocka_unit_test(a_constant_added_to_a_row_changes_nothing_that_counts),
        cmocka_unit_test(knows_rows_that_are_equal_to_the_last_bit),
        cmocka_unit_test(noise_of_one_ulp_is_inside_any_sensible_budget),
        cmocka_unit_test(each_part_of_the_budget_can_fail_alone),
        cmocka_unit_test(a_tolerance_that_is_nan_passes_nothing),
        cmocka_unit_test(nan_and_infinity_on_either_side_are_outside),
        cmocka_unit_test(nan_ranks_lowest_and_the_lowest_of_equals_is_the_top),
        cmocka_unit_test(constant_rows_have_no_centred_norm_however_long_they_are),
        cmocka_unit_test(rows_of_zero_norm_have_defined_metrics),
        cmocka_unit_test(a_flip_within_a_ten_thousandth_is_a_near_tie),
        cmocka_unit_test(a_flip_within_the_noise_is_a_near_tie),
        cmocka_unit_test(sees_a_difference_of_one_part_in_ten_million_in_100000_logits),
        cmocka_unit_test(the_default_budget_is_the_published_one),
        cmocka_unit_test(rows_of_every_length_agree_with_the_definitions),
        cmocka_unit_test(verdicts_have_their_public_exit_codes),
    };
    return cmocka_run_group_tests_name("verify_metrics", tests, NULL, NULL);
}
