// SPDX-License-Identifier: MIT
/* test_trace.c - the table of taps and the fault language. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "lockstep/trace.h"

static void names_the_operations_in_the_order_of_the_forward_pass(void **state)
{
    static const char *const expected[] = {"embeddings",
                                           "attn_norm",
                                           "q_proj",
                                           "k_proj",
                                           "v_proj",
                                           "q_norm",
                                           "k_norm",
                                           "q_rope",
                                           "k_rope",
                                           "attn_scores",
                                           "attn_scores_softmax",
                                           "attn_out",
                                           "attn_sub_norm",
                                           "attn_proj",
                                           "attn_post_norm",
                                           "residual",
                                           "ffn_norm",
                                           "ffn_router",
                                           "ffn_moe_topk",
                                           "ffn_moe_weights",
                                           "ffn_gate",
                                           "ffn_up",
                                           "ffn_act",
                                           "ffn_sub_norm",
                                           "ffn_down",
                                           "ffn_moe_out",
                                           "ffn_post_norm",
                                           "layer_out",
                                           "final_norm",
                                           "logits"};
    (void)state;
    assert_int_equal(LS_N_OPS, sizeof(expected) / sizeof(expected[0]));
    for (int i = 0; i < LS_N_OPS; i++) {
        ls_op op;
        assert_string_equal(ls_op_name((ls_op)i), expected[i]);
        assert_true(ls_op_parse(expected[i], strlen(expected[i]), &op));
        assert_int_equal(op, i);
    }
    assert_null(ls_op_name(LS_N_OPS));
}

static void reads_every_form_of_a_fault(void **state)
{
    ls_faults f = {0};
    ls_error  err = {0};
    (void)state;
    assert_int_equal(ls_faults_add(&f, "1.attn_norm=scale:2", &err), LS_OK);
    assert_int_equal(ls_faults_add(&f, "12.ffn_down@7=add:-0.5", &err), LS_OK);
    assert_int_equal(ls_faults_add(&f, "final_norm=nan", &err), LS_OK);
    assert_int_equal(f.n, 3);
    assert_int_equal(f.at[0].layer, 1);
    assert_int_equal(f.at[0].op, LS_OP_ATTN_NORM);
    assert_int_equal(f.at[0].pos, -1);
    assert_int_equal(f.at[0].kind, LS_FAULT_SCALE);
    assert_true(f.at[0].x == 2.0f);
    assert_int_equal(f.at[1].layer, 12);
    assert_int_equal(f.at[1].pos, 7);
    assert_int_equal(f.at[1].kind, LS_FAULT_ADD);
    assert_true(f.at[1].x == -0.5f);
    assert_int_equal(f.at[2].layer, -1);
    assert_int_equal(f.at[2].op, LS_OP_FINAL_NORM);
    assert_int_equal(f.at[2].kind, LS_FAULT_NAN);
}

static void refuses_what_is_not_a_fault(void **state)
{
    static const char *const bad[] = {"",
                                      "=",
                                      "attn_norm=scale:2",
                                      "1.final_norm=scale:2",
                                      "1.nothing=nan",
                                      "1.attn_norm",
                                      "1.attn_norm=",
                                      "1.attn_norm=scale",
                                      "1.attn_norm=scale:",
                                      "1.attn_norm=scale:x",
                                      "1.attn_norm=scale:2x",
                                      "1.attn_norm=scale: 2",
                                      "1.attn_norm=scale:inf",
                                      "1.attn_norm=nanx",
                                      "1.attn_norm@=nan",
                                      "1.attn_norm@x=nan",
                                      "1.attn_norm@1",
                                      "1.attn_norm#=nan",
                                      "1.attn_norm#2@1=nan",
                                      "1.attn_norm#3-2=nan",
                                      "1.attn_norm#3-=nan",
                                      "1.attn_norm#-2=nan",
                                      "*",
                                      "**=nan",
                                      "1.*=nan",
                                      "*.attn_norm=nan",
                                      "1.attn_norm=ulp:0",
                                      "1.attn_norm=ulp:-1",
                                      "1.attn_norm=ulp:1.5",
                                      "1.attn_norm=ulp:8388609",
                                      "1.attn_norm=ulp:",
                                      "1.attn_norm=nan:1",
                                      "-1.attn_norm=nan",
                                      "99999999999.attn_norm=nan",
                                      "1.attn_norm@99999999999=nan",
                                      "1.=nan",
                                      "logits@alone=nan",
                                      "1.attn_norm@alone@2=nan",
                                      "1attn_norm=nan",
                                      "1.attn_normx=nan",
                                      "1.attn_nor=nan"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ls_faults f = {0};
        ls_error  err = {0};
        if (ls_faults_add(&f, bad[i], &err) != LS_ERR_USAGE) fail_msg("accepted '%s'", bad[i]);
        assert_int_equal(f.n, 0);
        assert_int_not_equal(err.what[0], 0);
        assert_int_not_equal(err.hint[0], 0);
    }
}

static void refuses_more_faults_than_it_can_hold(void **state)
{
    ls_faults f = {0};
    ls_error  err = {0};
    (void)state;
    for (int i = 0; i < LS_MAX_FAULTS; i++) {
        assert_int_equal(ls_faults_add(&f, "logits=nan", &err), LS_OK);
    }
    assert_int_equal(ls_faults_add(&f, "logits=nan", &err), LS_ERR_LIMIT);
}

static void acts_on_its_own_tap_and_position_only(void **state)
{
    ls_faults f = {0};
    float     v[2] = {1, 3};
    ls_tap    tap = {LS_OP_FFN_UP, 2, 5, -1, v, 2, false};
    (void)state;
    ls_faults_add(&f, "2.ffn_up@5=scale:2", NULL);
    ls_faults_add(&f, "2.ffn_up@5=add:1", NULL);
    for (int32_t pos = 4; pos <= 6; pos++) {
        tap.pos = pos;
        v[0] = 1, v[1] = 3;
        ls_faults_tap(&f, &tap);
        assert_true(v[0] == (pos == 5 ? 3.0f : 1.0f));
        assert_true(v[1] == (pos == 5 ? 7.0f : 3.0f));
    }
    tap.pos = 5, tap.layer = 1, v[0] = 1;
    ls_faults_tap(&f, &tap);
    assert_true(v[0] == 1.0f);
    tap.layer = 2, tap.op = LS_OP_FFN_GATE;
    ls_faults_tap(&f, &tap);
    assert_true(v[0] == 1.0f);
    v[1] = 3;
    ls_faults_add(&f, "2.ffn_gate#1=scale:2", NULL);
    ls_faults_tap(&f, &tap);
    assert_true(v[0] == 1.0f && v[1] == 6.0f);
    ls_faults_add(&f, "2.ffn_gate@5#7=nan", NULL); /* past the end of this row */
    ls_faults_tap(&f, &tap);
    assert_true(v[0] == 1.0f && v[1] == 12.0f);
    ls_faults_add(&f, "2.ffn_gate=nan", NULL);
    ls_faults_tap(&f, &tap);
    assert_true(isnan(v[0]) && isnan(v[1]));
}

static void writes_what_it_reads(void **state)
{
    static const char *const faults[] = {"1.attn_norm=scale:2", "12.ffn_down@7#3=add:-0.5",
                                         "final_norm=nan",      "logits#0-99=add:0.100000001",
                                         "*@4=ulp:8388608",     "*=ulp:1"};
    enum { N = sizeof(faults) / sizeof(faults[0]) };
    ls_faults f = {0};
    char      buf[96];
    (void)state;
    for (int i = 0; i < N; i++) {
        assert_int_equal(ls_faults_add(&f, faults[i], NULL), LS_OK);
        assert_string_equal(ls_fault_text(&f.at[i], buf, sizeof(buf)), faults[i]);
    }
    assert_int_equal(ls_faults_add(&f, "*=ulp", NULL), LS_OK);
    assert_string_equal(ls_fault_text(&f.at[N], buf, sizeof(buf)), "*=ulp:1");
}

static void acts_on_a_range_of_elements_and_on_every_tap(void **state)
{
    ls_faults some = {0}, all = {0};
    float     v[5] = {1, 1, 1, 1, 1};
    ls_tap    tap = {LS_OP_LOGITS, -1, 0, -1, v, 5, false};
    (void)state;
    ls_faults_add(&some, "logits#1-2=add:1", NULL);
    ls_faults_add(&some, "logits#4-9=add:2", NULL); /* past the end of this row */
    ls_faults_tap(&some, &tap);
    assert_true(v[0] == 1 && v[1] == 2 && v[2] == 2 && v[3] == 1 && v[4] == 3);
    ls_faults_add(&all, "*=scale:2", NULL);
    for (int op = 0; op < LS_N_OPS; op++) {
        tap = (ls_tap){(ls_op)op, ls_op_per_layer((ls_op)op) ? 3 : -1, 7, -1, v, 1, false};
        v[0] = 1;
        ls_faults_tap(&all, &tap);
        assert_true(v[0] == (op == LS_OP_FFN_MOE_TOPK ? 1 : 2)); /* numbers of experts are none */
    }
}

/* Against the C library's nextafterf. */
static void moves_values_to_their_neighbours(void **state)
{
    static const float values[] = {1,       -1,       0,       -0.0f,    0.1f,     -3e38f,
                                   FLT_MAX, 1.5e-40f, FLT_MIN, -FLT_MIN, 16777216, -65504};
    enum { N = sizeof(values) / sizeof(values[0]) };
    ls_faults one = {0}, many = {0};
    float     v[N], w[1000], inf = INFINITY, nan_value = NAN;
    int       n_up = 0;
    ls_tap    tap = {LS_OP_FFN_UP, 2, 5, -1, v, N, false};
    ls_tap    row = {LS_OP_LOGITS, -1, 3, -1, w, 1000, false};
    (void)state;
    ls_faults_add(&one, "*=ulp", NULL);
    ls_faults_add(&many, "*=ulp:3", NULL);
    for (int i = 0; i < N; i++) v[i] = values[i];
    ls_faults_tap(&one, &tap);
    for (int i = 0; i < N; i++) {
        float above = nextafterf(values[i], INFINITY), below = nextafterf(values[i], -INFINITY);
        if (isinf(above)) above = values[i];
        assert_true(v[i] == above || v[i] == below);
    }
    for (int i = 0; i < 1000; i++) w[i] = 1;
    ls_faults_tap(&many, &row);
    for (int i = 0; i < 1000; i++) {
        float up = 1, down = 1;
        for (int k = 0; k < 3; k++) up = nextafterf(up, 2), down = nextafterf(down, 0);
        assert_true(w[i] == up || w[i] == down);
        n_up += w[i] == up;
    }
    assert_true(n_up > 400 && n_up < 600); /* five standard deviations are 79 */
    tap.data = &inf, tap.n = 1;
    ls_faults_tap(&one, &tap);
    tap.data = &nan_value;
    ls_faults_tap(&one, &tap);
    assert_true(isinf(inf) && isnan(nan_value));
}

static void acts_on_lone_tokens_only(void **state)
{
    ls_faults f = {0};
    float     v[1] = {3};
    ls_tap    tap = {LS_OP_FFN_UP, 2, 5, -1, v, 1, false};
    (void)state;
    assert_int_equal(ls_faults_add(&f, "2.ffn_up@alone#0=scale:2", NULL), LS_OK);
    ls_faults_tap(&f, &tap);
    assert_true(v[0] == 3);
    tap.alone = true;
    ls_faults_tap(&f, &tap);
    assert_true(v[0] == 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_operations_in_the_order_of_the_forward_pass),
        cmocka_unit_test(reads_every_form_of_a_fault),
        cmocka_unit_test(refuses_what_is_not_a_fault),
        cmocka_unit_test(refuses_more_faults_than_it_can_hold),
        cmocka_unit_test(acts_on_lone_tokens_only),
        cmocka_unit_test(acts_on_its_own_tap_and_position_only),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(acts_on_a_range_of_elements_and_on_every_tap),
        cmocka_unit_test(moves_values_to_their_neighbours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
