// SPDX-License-Identifier: MIT
/* test_locate_reverse.c - what was found, the other way round: one engine beside another that is
 * itself but for a fault. Scaled by 1.5, the error is 1/4 of the sound value and 1/9 of the other.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/lockstep.h"

enum { N_PROMPT = 5, N_DECODED = 2 };

static char path[128];

/* The two engines of a search. */
typedef struct sides {
    ls_faults   faults;
    ls_op       hidden;  /* an operation that the reference does not let change; LS_N_OPS: none */
    bool        spoiled; /* the fault is the reference's, not the subject's */
    bool        fails;   /* a reference that is to change cannot be opened */
    ls_tap_fn  *tap;
    void       *tap_ctx;
    atomic_bool changed[LS_N_OPS]; /* of layer 1 of such a reference, in some row */
    size_t      n_changing;        /* references that were opened to be changed */
} sides;

static void hide(void *ctx, const ls_tap *tap)
{
    sides *s = ctx;
    float  before = tap->data[0];
    if (tap->op != s->hidden) s->tap(s->tap_ctx, tap);
    if (tap->layer == 1 && memcmp(&before, tap->data, sizeof(before)) != 0)
        atomic_store(&s->changed[tap->op], true);
}

static ls_status open_side(void *ctx, bool subject, ls_watch watch, ls_tap_fn *tap, void *tap_ctx,
                           ls_engine **out, ls_error *err)
{
    sides            *s = ctx;
    ls_engine_options opt = {.model_path = path,
                             .n_ctx = 32,
                             .n_batch = 32,
                             .n_threads = 2,
                             .watch = watch,
                             .tap = tap,
                             .tap_ctx = tap_ctx};
    if (subject != s->spoiled) opt.faults = &s->faults;
    if (!subject && tap) {
        s->n_changing++;
        if (s->fails) return ls_fail(err, LS_ERR_REFERENCE, "it is gone");
        s->tap = tap;
        s->tap_ctx = tap_ctx;
        opt.tap = hide;
        opt.tap_ctx = s;
    }
    return ls_engine_open_native(out, &opt, err);
}

static ls_status search(sides *s, const char *fault, double tap_tol, bool reverse, ls_located *out,
                        ls_error *err)
{
    static const int32_t prompt[N_PROMPT] = {1, 5, 9, 200, 7}, decoded[N_DECODED] = {3, 4};
    ls_locate_options    opt = {.prompt = prompt,
                                .n_prompt = N_PROMPT,
                                .decoded = decoded,
                                .n_decoded = N_DECODED,
                                .tap_tol = tap_tol,
                                .reverse = reverse,
                                .open = open_side,
                                .ctx = s};
    memset(&s->faults, 0, sizeof(s->faults));
    s->n_changing = 0;
    if (fault) assert_int_equal(ls_faults_add(&s->faults, fault, NULL), LS_OK);
    return ls_locate(out, &opt, err);
}

static ls_located locate(sides *s, const char *fault, double tap_tol)
{
    ls_located out;
    ls_error   err = {0};
    if (search(s, fault, tap_tol, true, &out, &err) != LS_OK) fail_msg("%s", err.what);
    return out;
}

static size_t n_not_stepped(const ls_located *l)
{
    size_t n = 0;
    for (int op = 0; op < LS_N_OPS; op++) n += l->not_stepped[op];
    return n;
}

static void both_ways_are_known_for_every_operation(void **state)
{
    static const char *const ops[] = {
        "embeddings",    "0.attn_norm",           "1.q_proj",   "1.v_proj",   "1.k_rope",
        "0.attn_scores", "1.attn_scores_softmax", "1.attn_out", "0.residual", "1.ffn_up",
        "0.ffn_act",     "1.layer_out",           "final_norm", "logits"};
    static const int positions[] = {0, 3, N_PROMPT - 1, N_PROMPT, N_PROMPT + N_DECODED - 1};
    sides            s = {.hidden = LS_N_OPS};
    (void)state;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        char       fault[64];
        int        pos = positions[i % 5];
        ls_located l;
        if (strstr(ops[i], "scores")) pos = 3; /* more than one value, of both signs */
        snprintf(fault, sizeof(fault), "%s@%d=scale:1.5", ops[i], pos);
        l = locate(&s, fault, 1e-6);
        if (!l.born || !l.reversed || l.position != pos || fabs(l.isolated - 0.25) > 1e-5 ||
            fabs(l.isolated_reverse - 1.0 / 9) > 1e-5 || n_not_stepped(&l) > 0) {
            fail_msg("%s: born %d, reversed %d, position %d, %g and %g", fault, l.born, l.reversed,
                     l.position, l.isolated, l.isolated_reverse);
        }
        assert_false(ls_located_ways_disagree(&l));
        ls_located_fini(&l);
    }
}

/* What came in is replaced, where it is another; a NaN is not put into anybody's graph. */
static void the_result_in_question_is_only_compared(void **state)
{
    sides      s = {.hidden = LS_N_OPS};
    ls_located l;
    (void)state;
    l = locate(&s, "1.ffn_norm@3=nan", 1e-6);
    assert_true(l.reversed && l.op == LS_OP_FFN_NORM);
    for (int op = 0; op < LS_N_OPS; op++) assert_false(s.changed[op]);
    ls_located_fini(&l);
    s.spoiled = true;
    l = locate(&s, "1.ffn_norm@3=scale:1.5", 0.05);
    assert_true(l.reversed && l.op == LS_OP_FFN_NORM);
    for (int op = 0; op < LS_N_OPS; op++) assert_false(s.changed[op]);
    ls_located_fini(&l);
}

/* Then the sound value is the subject's. */
static void a_fault_of_the_reference_is_the_mirror_image(void **state)
{
    sides      s = {.hidden = LS_N_OPS, .spoiled = true};
    ls_located l = locate(&s, "1.ffn_act@3=scale:1.5", 1e-6);
    (void)state;
    assert_true(l.born && l.reversed && l.op == LS_OP_FFN_ACT && l.position == 3);
    assert_true(fabs(l.isolated - 1.0 / 9) < 1e-5 && fabs(l.isolated_reverse - 0.25) < 1e-5);
    ls_located_fini(&l);
}

static void nan_is_nan_both_ways(void **state)
{
    sides      s = {.hidden = LS_N_OPS};
    ls_located l = locate(&s, "1.ffn_act@2#3=nan", 1e-6);
    (void)state;
    assert_true(l.born && l.reversed && isnan(l.isolated) && isnan(l.isolated_reverse));
    assert_false(ls_located_ways_disagree(&l));
    ls_located_fini(&l);
}

/* A budget between the two: found the one way, and not the other. */
static void the_two_ways_may_disagree(void **state)
{
    sides      s = {.hidden = LS_N_OPS};
    ls_located l = locate(&s, "1.layer_out=scale:1.5", 0.2);
    (void)state;
    assert_true(l.born && l.reversed && l.isolated > 0.2 && l.isolated_reverse < 0.2);
    assert_true(ls_located_ways_disagree(&l));
    l.by_oracle = true; /* that budget is of something else */
    assert_false(ls_located_ways_disagree(&l));
    ls_located_fini(&l);
}

/* An operation on the way that stays the reference's own is named; where it is the one in question,
 * there is nothing to say. */
static void what_the_reference_keeps_is_said(void **state)
{
    sides      s = {.hidden = LS_OP_RESIDUAL};
    ls_located l = locate(&s, "1.ffn_norm@2=scale:1.5", 1e-6);
    (void)state;
    assert_true(l.reversed && l.not_stepped[LS_OP_RESIDUAL] && n_not_stepped(&l) == 1);
    assert_true(fabs(l.isolated_reverse - 1.0 / 9) < 1e-5);
    ls_located_fini(&l);
    s.hidden = LS_OP_FFN_NORM;
    l = locate(&s, "1.ffn_norm@2=scale:1.5", 1e-6);
    assert_true(l.born && !l.reversed && l.isolated_reverse == 0 && n_not_stepped(&l) == 0);
    assert_false(ls_located_ways_disagree(&l));
    ls_located_fini(&l);
}

static void nothing_runs_again_without_need(void **state)
{
    sides      s = {.hidden = LS_N_OPS};
    ls_located l = locate(&s, NULL, 1e-6);
    ls_error   err = {0};
    (void)state;
    assert_false(l.found || l.reversed);
    assert_int_equal(s.n_changing, 0);
    ls_located_fini(&l);
    assert_int_equal(search(&s, "1.ffn_act@2=scale:1.5", 1e-6, false, &l, &err), LS_OK);
    assert_true(l.born && !l.reversed);
    assert_int_equal(s.n_changing, 0);
    ls_located_fini(&l);
    l = locate(&s, "1.ffn_act@2=scale:1.5", 1e-6);
    assert_int_equal(s.n_changing, 1);
    ls_located_fini(&l);
}

static void an_engine_that_fails_then_is_an_error(void **state)
{
    sides      s = {.hidden = LS_N_OPS, .fails = true};
    ls_located l;
    ls_error   err = {0};
    (void)state;
    assert_int_equal(search(&s, "1.ffn_act@2=scale:1.5", 1e-6, true, &l, &err), LS_ERR_REFERENCE);
    assert_string_equal(err.what, "it is gone");
    ls_located_fini(&l);
}

static int make_model(void **state)
{
    ls_mini_options opt = {.arch = "llama", .dtype = LS_DTYPE_F32, .seed = 3};
    (void)state;
    snprintf(path, sizeof(path), "/tmp/test_locate_reverse.%d.gguf", (int)getpid());
    return ls_mini_write(path, &opt, NULL) == LS_OK ? 0 : -1;
}

static int remove_model(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_are_known_for_every_operation),
        cmocka_unit_test(the_result_in_question_is_only_compared),
        cmocka_unit_test(a_fault_of_the_reference_is_the_mirror_image),
        cmocka_unit_test(nan_is_nan_both_ways),
        cmocka_unit_test(the_two_ways_may_disagree),
        cmocka_unit_test(what_the_reference_keeps_is_said),
        cmocka_unit_test(nothing_runs_again_without_need),
        cmocka_unit_test(an_engine_that_fails_then_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
