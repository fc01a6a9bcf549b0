// SPDX-License-Identifier: MIT
/* test_mirrored.c - the verifier has no favourite: with the real llama.cpp as the subject and the
 * native engine, faults and all, as its reference, every verdict is that of the other way round. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "lockstep/lockstep.h"
#include "support/real_reference.h"

static ls_ref_status installed;
static const char    text[] = "Once upon a time there was a King";

typedef struct pair {
    ls_engine *native, *llama;
    ls_faults  faults;
} pair;

static void tap(void *ctx, const ls_tap *t) { ls_faults_tap(&((pair *)ctx)->faults, t); }

static void open_pair(pair *p, const char *model)
{
    char              path[512];
    ls_engine_options opt = {.model_path = path, .n_ctx = 64, .n_batch = 32, .n_threads = 1};
    ls_error          err = {0};
    snprintf(path, sizeof(path), LS_SOURCE_DIR "/models/%s", model);
    *p = (pair){0};
    if (ls_engine_open_reference(&p->llama, installed.exe, &opt, &err) != LS_OK)
        fail_msg("%s", err.what);
    opt.tap = tap;
    opt.tap_ctx = p;
    assert_int_equal(ls_engine_open_native(&p->native, &opt, &err), LS_OK);
}

static void close_pair(pair *p)
{
    ls_engine_close(p->native);
    ls_engine_close(p->llama);
}

static ls_per_token_result compare(ls_engine *subject, ls_engine *reference, ls_bos_mode bos)
{
    ls_per_token_result  r;
    ls_per_token_options opt = {.text = text,
                                .len = sizeof(text) - 1,
                                .subject_bos = bos,
                                .max_tokens = 2,
                                .budget = ls_budget_default()};
    ls_error             err = {0};
    assert_int_equal(ls_engine_reset(subject, &err), LS_OK);
    assert_int_equal(ls_engine_reset(reference, &err), LS_OK);
    if (ls_verify_per_token(&r, subject, reference, &opt, &err) != LS_OK) fail_msg("%s", err.what);
    return r;
}

static void expect_close(double a, double b)
{
    if (isnan(a) && isnan(b)) return;
    assert_true(fabs(a - b) <= 1e-9 * (fabs(a) + 1e-300) || a == b);
}

static void expect_mirrored(const ls_position *a, const ls_position *b)
{
    assert_int_equal(a->token, b->token);
    assert_int_equal(a->finite, b->finite);
    assert_int_equal(a->equal, b->equal);
    assert_int_equal(a->ok, b->ok);
    assert_int_equal(a->top1_subject, b->top1_reference);
    assert_int_equal(a->top1_reference, b->top1_subject);
    expect_close(a->cosine, b->cosine);
    expect_close(a->cosine_centred, b->cosine_centred);
    expect_close(a->l2, b->l2);
    expect_close(a->max_abs, b->max_abs);
}

static const struct {
    const char *fault;
    ls_verdict  verdict;
    int32_t     first; /* divergence */
} cases[] = {
    {NULL, LS_VERDICT_MATCH, -1},
    {"logits=add:7.25", LS_VERDICT_MATCH, -1},
    {"logits=ulp", LS_VERDICT_MATCH, -1},
    {"logits@4#0-255=add:1", LS_VERDICT_DIVERGED, 4},
    {"2.attn_norm@3=scale:2", LS_VERDICT_DIVERGED, 3},
    {"1.ffn_act@5=nan", LS_VERDICT_DIVERGED, 5},
    {"logits@2#7=nan", LS_VERDICT_DIVERGED, 2},
    {"*=ulp:100000", LS_VERDICT_DIVERGED, 0},
};

static void check(const char *model)
{
    pair p;
    open_pair(&p, model);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ls_per_token_result there, back;
        const char         *name = cases[i].fault ? cases[i].fault : "no fault";
        p.faults = (ls_faults){0};
        if (cases[i].fault) assert_int_equal(ls_faults_add(&p.faults, cases[i].fault, NULL), LS_OK);
        there = compare(p.native, p.llama, LS_BOS_AUTO);
        back = compare(p.llama, p.native, LS_BOS_AUTO);
        print_message("%s, %s: %s and back %s\n", model, name, ls_verdict_name(there.verdict),
                      ls_verdict_name(back.verdict));
        assert_int_equal(there.verdict, cases[i].verdict);
        assert_int_equal(back.verdict, cases[i].verdict);
        assert_int_equal(there.summary.first_divergence, cases[i].first);
        assert_int_equal(back.summary.first_divergence, cases[i].first);
        /* Decoded ids are the reference's choice: those of the prompt are the same for sure. */
        assert_int_equal(there.n_ids_subject, back.n_ids_subject);
        for (size_t k = 0; k < there.n_ids_subject; k++)
            expect_mirrored(&there.positions[k], &back.positions[k]);
        ls_per_token_fini(&there);
        ls_per_token_fini(&back);
    }
    close_pair(&p);
}

static void a_llama_gives_mirrored_verdicts(void **state)
{
    (void)state;
    check("stories260K.gguf");
}

static void a_bitnet_gives_mirrored_verdicts(void **state)
{
    (void)state;
    check("fables-bitnet-5m-TQ2_0.gguf");
}

static void other_ids_differ_from_either_side(void **state)
{
    pair                p;
    ls_per_token_result there, back;
    (void)state;
    open_pair(&p, "stories260K.gguf");
    there = compare(p.native, p.llama, LS_BOS_NO);
    back = compare(p.llama, p.native, LS_BOS_NO);
    assert_int_equal(there.verdict, LS_VERDICT_TOKENS_DIFFER);
    assert_int_equal(back.verdict, LS_VERDICT_TOKENS_DIFFER);
    assert_int_equal(there.first_difference, 0);
    assert_int_equal(back.first_difference, 0);
    assert_int_equal(there.n_ids_subject, back.n_ids_subject);
    ls_per_token_fini(&there);
    ls_per_token_fini(&back);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_llama_gives_mirrored_verdicts),
        cmocka_unit_test(a_bitnet_gives_mirrored_verdicts),
        cmocka_unit_test(other_ids_differ_from_either_side),
    };
    if (!real_reference(&installed, LS_REF_LLAMA)) return TEST_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
