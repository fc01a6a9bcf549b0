// SPDX-License-Identifier: MIT
/* test_verify_per_token.c - the run over two engines: order of work, verdicts, coverage, and that
 * nothing an engine does wrong ever ends in MATCH. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockstep/verify.h"
#include "support/fake_engine.h"

static const char text[] = "fourteen bytes"; /* and BOS: 15 tokens */

typedef struct outcome {
    ls_status           status;
    ls_error            err;
    ls_per_token_result r;
    size_t              evals_subject, evals_reference;
} outcome;

static ls_per_token_options options(void)
{
    return (ls_per_token_options){
        .text = text, .len = strlen(text), .max_tokens = 5, .budget = ls_budget_default()};
}

/* Run two fakes; NULL options leave that side out. Free with ls_per_token_fini(&o.r). */
static outcome run_fakes(const fake_options *s, const fake_options *t,
                         const ls_per_token_options *opt)
{
    outcome    o = {0};
    ls_engine *subject = s ? fake_open(s) : NULL, *reference = t ? fake_open(t) : NULL;
    o.status = ls_verify_per_token(&o.r, subject, reference, opt, &o.err);
    if (s) o.evals_subject = fake_n_evals(subject);
    if (t) o.evals_reference = fake_n_evals(reference);
    if (s) ls_engine_close(subject);
    if (t) ls_engine_close(reference);
    return o;
}

static void equal_engines_match_and_everything_was_compared(void **state)
{
    fake_options         s = {.name = "s", .n_batch = 4}, t = {.name = "t", .n_batch = 7};
    ls_per_token_options opt = options();
    outcome              o = run_fakes(&s, &t, &opt);
    (void)state;
    assert_int_equal(o.status, LS_OK);
    assert_int_equal(o.r.verdict, LS_VERDICT_MATCH);
    assert_string_equal(o.r.reason, "");
    assert_string_equal(o.r.reason_code, "");
    assert_int_equal(o.r.coverage.positions_planned, 20);
    assert_int_equal(o.r.coverage.positions_compared, 20);
    assert_int_equal(o.r.coverage.vocab, 64);
    assert_int_equal(o.r.coverage.logits_compared, 64);
    assert_int_equal(o.r.n_positions, 20);
    assert_int_equal(o.r.n_decoded, 5);
    assert_int_equal(o.r.summary.first_divergence, -1);
    assert_int_equal(o.r.summary.first_unequal, -1);
    assert_int_equal(o.r.summary.n_equal, o.r.n_positions);
    assert_true(o.r.summary.top1_agreement == 1);
    assert_true(o.r.summary.min_cosine.value == 1 && o.r.summary.max_l2.value == 0);
    assert_string_equal(o.r.subject_info.engine, "s");
    assert_string_equal(o.r.reference_info.engine, "t");
    assert_int_equal(o.r.subject_stats.n_tokens, 20);
    assert_int_equal(o.evals_subject, 4 + 5); /* 15 in batches of 4, then one by one */
    ls_per_token_fini(&o.r);
}

static void positions_are_the_prompt_and_then_the_references_choices(void **state)
{
    fake_options         s = {.fault = FAKE_ONE_LOGIT, .at = 14}, t = {0};
    ls_per_token_options opt = options();
    outcome              o = run_fakes(&s, &t, &opt);
    (void)state;
    for (size_t i = 0; i < o.r.n_positions; i++) {
        const ls_position *p = &o.r.positions[i];
        assert_int_equal(p->pos, (int)i);
        assert_int_equal(p->decode, i >= 15);
        assert_int_equal(p->token, i < 15 ? o.r.ids_subject[i] : o.r.decoded[i - 15]);
        if (i >= 15) assert_int_equal(p->token, o.r.positions[i - 1].top1_reference);
        assert_int_equal(p->ok, i != 14); /* one flip does not spoil what follows */
    }
    assert_int_not_equal(o.r.positions[14].top1_subject, o.r.decoded[0]);
    assert_int_equal(o.r.verdict, LS_VERDICT_DIVERGED);
    ls_per_token_fini(&o.r);
}

static void no_decoded_tokens_compare_the_prompt_alone(void **state)
{
    fake_options         e = {0};
    ls_per_token_options opt = options();
    outcome              o;
    (void)state;
    opt.max_tokens = 0;
    o = run_fakes(&e, &e, &opt);
    assert_int_equal(o.r.verdict, LS_VERDICT_MATCH);
    assert_int_equal(o.r.coverage.positions_compared, 15);
    ls_per_token_fini(&o.r);
}

/* ---- tokens ---- */

static void other_ids_are_exit_2_and_nothing_is_evaluated(void **state)
{
    static const struct {
        fake_fault fault;
        int32_t    at, index;
    } cases[] = {
        {FAKE_OTHER_ID, 0, 0}, {FAKE_OTHER_ID, 9, 9}, {FAKE_ID_LESS, 0, 14}, {FAKE_ID_MORE, 0, 15}};
    ls_per_token_options opt = options();
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (int side = 0; side < 2; side++) {
            fake_options bad = {.name = "bad", .fault = cases[i].fault, .at = cases[i].at};
            fake_options good = {.name = "good"};
            outcome      o = run_fakes(side ? &bad : &good, side ? &good : &bad, &opt);
            assert_int_equal(o.status, LS_OK);
            assert_int_equal(o.r.verdict, LS_VERDICT_TOKENS_DIFFER);
            assert_int_equal(o.r.first_difference, cases[i].index);
            assert_int_equal(o.evals_subject + o.evals_reference, 0);
            assert_int_equal(o.r.coverage.positions_compared, 0);
            assert_int_equal(o.r.coverage.positions_planned, o.r.n_ids_subject + 5);
            assert_non_null(strstr(o.r.reason, "bad has"));
            ls_per_token_fini(&o.r);
        }
    }
}

static void names_both_ids_where_they_differ(void **state)
{
    fake_options         s = {.name = "s"}, t = {.name = "t", .fault = FAKE_OTHER_ID, .at = 3};
    ls_per_token_options opt = options();
    outcome              o = run_fakes(&s, &t, &opt);
    char                 both[96];
    (void)state;
    snprintf(both, sizeof(both), "subject s has token %d, reference t has token %d",
             o.r.ids_subject[3], o.r.ids_reference[3]);
    assert_int_not_equal(o.r.ids_subject[3], o.r.ids_reference[3]);
    assert_non_null(strstr(o.r.reason, both));
    ls_per_token_fini(&o.r);
}

static void the_bos_switch_acts_on_the_subject_alone(void **state)
{
    fake_options         e = {0};
    ls_per_token_options opt = options();
    outcome              o;
    (void)state;
    opt.subject_bos = LS_BOS_NO;
    o = run_fakes(&e, &e, &opt);
    assert_int_equal(o.r.verdict, LS_VERDICT_TOKENS_DIFFER);
    assert_int_equal(o.r.n_ids_subject, 14);
    assert_int_equal(o.r.n_ids_reference, 15);
    ls_per_token_fini(&o.r);
    opt.encode.bos = LS_BOS_NO; /* the template says no: both sides */
    opt.subject_bos = LS_BOS_AUTO;
    o = run_fakes(&e, &e, &opt);
    assert_int_equal(o.r.verdict, LS_VERDICT_MATCH);
    assert_int_equal(o.r.n_ids_subject, 14);
    ls_per_token_fini(&o.r);
}

static void a_prompt_without_tokens_is_inconclusive(void **state)
{
    fake_options         e = {.fault = FAKE_NO_IDS};
    ls_per_token_options opt = options();
    const fake_options  *sides[][2] = {{&e, &e}, {&e, NULL}, {NULL, &e}};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        outcome o;
        opt.max_tokens = i ? 0 : 5;
        o = run_fakes(sides[i][0], sides[i][1], &opt);
        assert_int_equal(o.status, LS_OK);
        assert_int_equal(o.r.verdict, LS_VERDICT_INCONCLUSIVE);
        assert_string_equal(o.r.reason_code, "no-positions");
        ls_per_token_fini(&o.r);
    }
}

static void vocabularies_of_two_sizes_are_inconclusive(void **state)
{
    fake_options         s = {0}, t = {.fault = FAKE_OTHER_VOCAB};
    ls_per_token_options opt = options();
    outcome              o = run_fakes(&s, &t, &opt);
    (void)state;
    assert_int_equal(o.status, LS_OK);
    assert_int_equal(o.r.verdict, LS_VERDICT_INCONCLUSIVE);
    assert_string_equal(o.r.reason_code, "vocabulary-size");
    assert_int_equal(o.evals_subject + o.evals_reference, 0);
    ls_per_token_fini(&o.r);
}

static void more_positions_than_the_context_holds_is_a_limit(void **state)
{
    fake_options         small = {.n_ctx = 19}, large = {.n_ctx = 20};
    ls_per_token_options opt = options();
    outcome              o = run_fakes(&small, &large, &opt);
    (void)state;
    assert_int_equal(o.status, LS_ERR_LIMIT);
    assert_int_equal(o.r.verdict, LS_VERDICT_INCONCLUSIVE);
    assert_int_equal(o.evals_subject + o.evals_reference, 0);
    ls_per_token_fini(&o.r);
    o = run_fakes(&large, &small, &opt);
    assert_int_equal(o.status, LS_ERR_LIMIT);
    ls_per_token_fini(&o.r);
    o = run_fakes(&large, &large, &opt);
    assert_int_equal(o.r.verdict, LS_VERDICT_MATCH);
    ls_per_token_fini(&o.r);
}

/* ---- failures ---- */

static void a_reference_that_fails_is_inconclusive_wherever_it_fails(void **state)
{
    static const fake_fault faults[] = {FAKE_TOKENIZE_FAILS, FAKE_EVAL_FAILS, FAKE_LOGITS_FAIL,
                                        FAKE_NULL_ROW};
    ls_per_token_options    opt = options();
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        for (int32_t at = 0; at < 20; at++) {
            fake_options s = {.n_batch = 4};
            fake_options t = {.n_batch = 4, .fault = faults[i], .at = at};
            outcome      o = run_fakes(&s, &t, &opt);
            assert_int_equal(o.status, LS_OK);
            assert_int_equal(o.r.verdict, LS_VERDICT_INCONCLUSIVE);
            assert_int_not_equal(o.r.error.status, LS_OK);
            assert_string_equal(o.r.reason_code, "reference-failed");
            assert_non_null(strstr(o.r.reason, o.r.error.what));
            assert_true(o.r.coverage.positions_compared <= (size_t)at);
            ls_per_token_fini(&o.r);
            o = run_fakes(NULL, &t, &opt); /* alone as well */
            assert_int_equal(o.status, LS_OK);
            assert_int_equal(o.r.verdict, LS_VERDICT_INCONCLUSIVE);
            ls_per_token_fini(&o.r);
        }
    }
}

static void a_subject_that_fails_is_an_error(void **state)
{
    static const fake_fault faults[] = {FAKE_TOKENIZE_FAILS, FAKE_EVAL_FAILS, FAKE_LOGITS_FAIL,
                                        FAKE_NULL_ROW};
    ls_per_token_options    opt = options();
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        fake_options s = {.fault = faults[i], .at = 16}, t = {0};
        outcome      o = run_fakes(&s, &t, &opt);
        assert_int_not_equal(o.status, LS_OK);
        assert_int_equal(o.err.status, o.status);
        assert_int_equal(o.r.verdict, LS_VERDICT_INCONCLUSIVE);
        assert_string_equal(o.r.reason_code, "subject-failed");
        ls_per_token_fini(&o.r);
    }
}

static void a_divergence_seen_before_the_failure_is_still_said(void **state)
{
    fake_options         s = {.n_batch = 4, .fault = FAKE_NEGATED, .at = 2};
    fake_options         t = {.n_batch = 4, .fault = FAKE_EVAL_FAILS, .at = 10};
    ls_per_token_options opt = options();
    outcome              o = run_fakes(&s, &t, &opt);
    (void)state;
    assert_int_equal(o.r.verdict, LS_VERDICT_INCONCLUSIVE);
    assert_int_equal(o.r.coverage.positions_compared, 8);
    assert_int_equal(o.r.summary.first_divergence, 2);
    assert_int_equal(o.r.summary.first_unequal, 2);
    assert_non_null(strstr(o.r.reason, "diverged already at position 2"));
    ls_per_token_fini(&o.r);
}

static void no_fault_of_either_engine_ends_in_match(void **state)
{
    ls_per_token_options opt = options();
    (void)state;
    for (int fault = FAKE_FAULTLESS + 1; fault < FAKE_N_FAULTS; fault++) {
        for (int32_t at = 0; at < 20; at++) {
            for (int side = 0; side < 2; side++) {
                fake_options bad = {.n_batch = 6, .fault = (fake_fault)fault, .at = at};
                fake_options good = {.n_batch = 4};
                outcome      o;
                if (fault == FAKE_OTHER_ID && at >= 15) continue; /* there is no such id */
                o = run_fakes(side ? &bad : &good, side ? &good : &bad, &opt);
                if (o.status == LS_OK && ls_verdict_exit_code(o.r.verdict) == 0) {
                    print_error("fault %d at %d, side %d: %s\n", fault, at, side,
                                ls_verdict_name(o.r.verdict));
                    fail();
                }
                if (fault >= FAKE_NAN) {
                    assert_int_equal(o.r.verdict, LS_VERDICT_DIVERGED);
                    assert_int_equal(o.r.summary.first_divergence, at);
                    assert_int_equal(o.r.coverage.positions_compared, 20);
                }
                ls_per_token_fini(&o.r);
            }
        }
    }
}

/* What engines with several threads are compared with is compared by several threads, too. */
static void threads_say_what_one_thread_says(void **state)
{
    ls_per_token_options opt = options();
    (void)state;
    for (int fault = FAKE_FAULTLESS; fault < FAKE_N_FAULTS; fault++) {
        for (int side = 0; side < 2; side++) {
            fake_options bad = {.n_batch = 13, .fault = (fake_fault)fault, .at = 9}, good = {0};
            outcome      one, five;
            one = run_fakes(side ? &bad : &good, side ? &good : &bad, &opt);
            good.n_threads = 5;
            five = run_fakes(side ? &bad : &good, side ? &good : &bad, &opt);
            assert_int_equal(one.status, five.status);
            assert_int_equal(one.r.verdict, five.r.verdict);
            assert_string_equal(one.r.reason, five.r.reason);
            assert_int_equal(one.r.n_positions, five.r.n_positions);
            assert_int_equal(one.r.coverage.positions_compared, five.r.coverage.positions_compared);
            for (size_t i = 0; i < one.r.n_positions; i++)
                assert_memory_equal(&one.r.positions[i], &five.r.positions[i],
                                    sizeof(one.r.positions[i]));
            ls_per_token_fini(&one.r);
            ls_per_token_fini(&five.r);
        }
    }
}

static void nan_names_the_side_and_poisons_the_summary(void **state)
{
    fake_options         s = {.name = "mine"}, t = {.name = "theirs", .fault = FAKE_NAN, .at = 11};
    ls_per_token_options opt = options();
    outcome              o = run_fakes(&s, &t, &opt);
    (void)state;
    assert_int_equal(o.r.verdict, LS_VERDICT_DIVERGED);
    assert_string_equal(o.r.reason_code, "nan");
    assert_non_null(strstr(o.r.reason, "a logit of theirs is NaN (token 32)"));
    assert_true(isnan(o.r.summary.min_cosine.value) && o.r.summary.min_cosine.pos == 11);
    assert_true(isnan(o.r.summary.max_kl.value) && isnan(o.r.summary.mean_kl));
    assert_int_equal(o.r.summary.max_kl.pos, 11);
    ls_per_token_fini(&o.r);
}

static void nan_from_11_on(void *ctx, int32_t pos, float *row, size_t n)
{
    (void)ctx;
    (void)n;
    if (pos >= 11) row[0] = NAN;
}

static void the_worst_position_is_the_first_of_several_that_are_nan(void **state)
{
    fake_options         s = {.edit = nan_from_11_on}, t = {0};
    ls_per_token_options opt = options();
    outcome              o = run_fakes(&s, &t, &opt);
    (void)state;
    assert_int_equal(o.r.summary.min_cosine.pos, 11);
    assert_int_equal(o.r.summary.max_nmse.pos, 11);
    assert_int_equal(o.r.summary.first_divergence, 11);
    assert_int_equal(o.r.summary.max_abs_token, 0);
    ls_per_token_fini(&o.r);
}

/* ---- near ties ---- */

typedef struct tie {
    int32_t every, limit; /* positions 0, every, 2 every, ... below limit */
    bool    swap;
} tie;

/* The two first logits lead by far and are `2^-15` apart; the subject swaps them. */
static void make_tie(void *ctx, int32_t pos, float *row, size_t n)
{
    const tie *t = ctx;
    (void)n;
    if (pos % t->every != 0 || pos >= t->limit) return;
    row[0] = t->swap ? 20 - 0x1p-15f : 20;
    row[1] = t->swap ? 20 : 20 - 0x1p-15f;
}

static outcome run_ties(int32_t n_positions, int32_t n_ties, bool strict)
{
    tie                  in_s = {3, 3 * n_ties, true}, in_t = {3, 3 * n_ties, false};
    fake_options         s = {.edit = make_tie, .edit_ctx = &in_s};
    fake_options         t = {.edit = make_tie, .edit_ctx = &in_t};
    ls_per_token_options opt = options();
    opt.max_tokens = n_positions - 15;
    opt.budget.strict = strict;
    return run_fakes(&s, &t, &opt);
}

static void near_ties_count_as_match_unless_they_are_many(void **state)
{
    static const struct {
        int32_t    n, ties;
        ls_verdict verdict;
    } cases[] = {
        {20, 1, LS_VERDICT_MATCH},     /* 5 %, but one alone       */
        {100, 2, LS_VERDICT_MATCH},    /* 2 %: not more            */
        {99, 2, LS_VERDICT_DIVERGED},  /* 2.02 %                   */
        {101, 3, LS_VERDICT_DIVERGED}, /* 2.97 %                   */
        {150, 3, LS_VERDICT_MATCH},    /* 2 %                      */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        outcome o = run_ties(cases[i].n, cases[i].ties, false);
        assert_int_equal(o.r.verdict, cases[i].verdict);
        assert_int_equal(o.r.summary.near_ties, cases[i].ties);
        assert_int_equal(o.r.summary.flips, 0);
        assert_int_equal(o.r.coverage.positions_compared, cases[i].n);
        if (o.r.verdict == LS_VERDICT_DIVERGED) {
            assert_string_equal(o.r.reason_code, "near-ties");
            assert_int_equal(o.r.summary.first_divergence, 0);
        } else {
            assert_int_equal(o.r.summary.first_divergence, -1);
        }
        ls_per_token_fini(&o.r);
    }
}

static void strict_lets_no_near_tie_pass(void **state)
{
    outcome o = run_ties(100, 1, true);
    (void)state;
    assert_int_equal(o.r.verdict, LS_VERDICT_DIVERGED);
    assert_string_equal(o.r.reason_code, "near-tie");
    assert_int_equal(o.r.summary.first_divergence, 0);
    assert_true(o.r.summary.top1_agreement == 0.99);
    ls_per_token_fini(&o.r);
}

/* ---- noise that must pass ---- */

static void add_100(void *ctx, int32_t pos, float *row, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++) row[i] += (float)(100 + pos);
}

static void one_ulp(void *ctx, int32_t pos, float *row, size_t n)
{
    (void)ctx;
    for (size_t i = 0; i < n; i++)
        row[i] = nextafterf(row[i], ((size_t)pos + i) % 2 ? INFINITY : -INFINITY);
}

static void a_constant_per_row_and_noise_of_one_ulp_match(void **state)
{
    fake_options         s = {.edit = add_100}, u = {.edit = one_ulp}, t = {0};
    ls_per_token_options opt = options();
    outcome              o = run_fakes(&s, &t, &opt);
    (void)state;
    assert_int_equal(o.r.verdict, LS_VERDICT_MATCH);
    ls_per_token_fini(&o.r);
    o = run_fakes(&u, &t, &opt);
    assert_int_equal(o.r.verdict, LS_VERDICT_MATCH);
    assert_true(o.r.summary.max_l2.value > 0);
    ls_per_token_fini(&o.r);
}

/* ---- one engine alone, interruption, callbacks ---- */

static void one_engine_alone_is_never_a_match(void **state)
{
    fake_options         e = {0};
    ls_per_token_options opt = options();
    (void)state;
    for (int side = 0; side < 2; side++) {
        outcome o = run_fakes(side ? NULL : &e, side ? &e : NULL, &opt);
        assert_int_equal(o.status, LS_OK);
        assert_int_equal(o.r.verdict, LS_VERDICT_NONE);
        assert_int_equal(o.r.coverage.positions_compared, 0);
        assert_int_equal(o.r.n_positions, 20);
        assert_int_equal(o.r.n_decoded, 5);
        assert_true(isnan(o.r.summary.min_cosine.value));
        assert_int_equal(o.r.decoded[0],
                         side ? o.r.positions[14].top1_reference : o.r.positions[14].top1_subject);
        ls_per_token_fini(&o.r);
    }
}

static void interrupt(void *ctx) { *(volatile int *)ctx = 1; }

static void an_interrupt_ends_the_run_without_a_verdict(void **state)
{
    volatile int         flag = 1;
    fake_options         e = {0}, slow = {0}, dying = {.fault = FAKE_EVAL_FAILS};
    ls_per_token_options opt = options();
    outcome              o;
    (void)state;
    opt.cancelled = &flag;
    o = run_fakes(&e, &e, &opt);
    assert_int_equal(o.status, LS_ERR_CANCELLED);
    assert_int_equal(o.r.verdict, LS_VERDICT_INCONCLUSIVE);
    ls_per_token_fini(&o.r);
    flag = 0;
    slow.on_eval = interrupt;
    slow.on_eval_ctx = (void *)(uintptr_t)&flag;
    o = run_fakes(&slow, &e, &opt);
    assert_int_equal(o.status, LS_ERR_CANCELLED);
    ls_per_token_fini(&o.r);
    flag = 0; /* a child that dies of the same Ctrl-C is not the news */
    dying.on_eval = interrupt;
    dying.on_eval_ctx = slow.on_eval_ctx;
    o = run_fakes(&e, &dying, &opt);
    assert_int_equal(o.status, LS_ERR_CANCELLED);
    assert_string_equal(o.r.reason_code, "interrupted");
    ls_per_token_fini(&o.r);
}

typedef struct heard {
    size_t n_rows, fail_at, done, total;
    bool   subject, reference;
} heard;

static ls_status hear_rows(void *ctx, const float *s, const float *t, size_t n, ls_error *err)
{
    heard *h = ctx;
    assert_int_equal(n, 64);
    h->subject = s != NULL;
    h->reference = t != NULL;
    if (++h->n_rows == h->fail_at) return ls_fail(err, LS_ERR_IO, "disk full");
    return LS_OK;
}

static void hear_progress(void *ctx, size_t done, size_t total)
{
    heard *h = ctx;
    assert_int_equal(done, h->done + 1);
    h->done = done;
    h->total = total;
}

static void rows_and_progress_are_reported_once_per_position(void **state)
{
    heard                h = {0};
    fake_options         e = {.n_batch = 4};
    ls_per_token_options opt = options();
    outcome              o;
    (void)state;
    opt.rows = hear_rows;
    opt.progress = hear_progress;
    opt.rows_ctx = opt.progress_ctx = &h;
    o = run_fakes(&e, &e, &opt);
    assert_int_equal(h.n_rows, 20);
    assert_int_equal(h.done, 20);
    assert_int_equal(h.total, 20);
    assert_true(h.subject && h.reference);
    ls_per_token_fini(&o.r);
    h = (heard){0};
    o = run_fakes(&e, NULL, &opt);
    assert_true(h.subject && !h.reference && h.n_rows == 20);
    ls_per_token_fini(&o.r);
    h = (heard){.fail_at = 17};
    o = run_fakes(&e, &e, &opt);
    assert_int_equal(o.status, LS_ERR_IO);
    assert_int_equal(o.r.verdict, LS_VERDICT_INCONCLUSIVE);
    ls_per_token_fini(&o.r);
}

static void refuses_calls_that_make_no_sense(void **state)
{
    ls_per_token_options opt = options();
    ls_per_token_result  r;
    fake_options         plain = {0};
    ls_engine           *e = fake_open(&plain);
    (void)state;
    assert_int_equal(ls_verify_per_token(&r, NULL, NULL, &opt, NULL), LS_ERR_USAGE);
    assert_int_equal(r.verdict, LS_VERDICT_INCONCLUSIVE);
    assert_int_equal(ls_verify_per_token(&r, e, e, &opt, NULL), LS_ERR_USAGE);
    opt.max_tokens = -1;
    assert_int_equal(ls_verify_per_token(&r, e, NULL, &opt, NULL), LS_ERR_USAGE);
    ls_per_token_fini(&r);
    ls_per_token_fini(NULL);
    ls_engine_close(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_engines_match_and_everything_was_compared),
        cmocka_unit_test(positions_are_the_prompt_and_then_the_references_choices),
        cmocka_unit_test(no_decoded_tokens_compare_the_prompt_alone),
        cmocka_unit_test(other_ids_are_exit_2_and_nothing_is_evaluated),
        cmocka_unit_test(names_both_ids_where_they_differ),
        cmocka_unit_test(the_bos_switch_acts_on_the_subject_alone),
        cmocka_unit_test(a_prompt_without_tokens_is_inconclusive),
        cmocka_unit_test(vocabularies_of_two_sizes_are_inconclusive),
        cmocka_unit_test(more_positions_than_the_context_holds_is_a_limit),
        cmocka_unit_test(a_reference_that_fails_is_inconclusive_wherever_it_fails),
        cmocka_unit_test(a_subject_that_fails_is_an_error),
        cmocka_unit_test(a_divergence_seen_before_the_failure_is_still_said),
        cmocka_unit_test(no_fault_of_either_engine_ends_in_match),
        cmocka_unit_test(threads_say_what_one_thread_says),
        cmocka_unit_test(nan_names_the_side_and_poisons_the_summary),
        cmocka_unit_test(the_worst_position_is_the_first_of_several_that_are_nan),
        cmocka_unit_test(near_ties_count_as_match_unless_they_are_many),
        cmocka_unit_test(strict_lets_no_near_tie_pass),
        cmocka_unit_test(a_constant_per_row_and_noise_of_one_ulp_match),
        cmocka_unit_test(one_engine_alone_is_never_a_match),
        cmocka_unit_test(an_interrupt_ends_the_run_without_a_verdict),
        cmocka_unit_test(rows_and_progress_are_reported_once_per_position),
        cmocka_unit_test(refuses_calls_that_make_no_sense),
    };
    return cmocka_run_group_tests_name("verify_per_token", tests, NULL, NULL);
}
