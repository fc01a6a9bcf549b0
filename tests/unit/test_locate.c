// SPDX-License-Identifier: MIT
/* test_locate.c - the errors of every tap at every position: one engine beside another that is
 * itself but for a fault, so that what each error must be is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/record.h"
#include "support/tiny_model.h"

enum { N_LAYERS = 3, N_PROMPT = 5, N_DECODED = 2, N_POSITIONS = N_PROMPT + N_DECODED };

static char model_path[] = "/tmp/lockstep-locate-XXXXXX";

static int make_model(void **state)
{
    gguf_build b = {0};
    tiny_model t = {.layers = N_LAYERS, .seed = 3};
    int        fd = mkstemp(model_path);
    FILE      *f = fd < 0 ? NULL : fdopen(fd, "wb");
    bool       ok;
    (void)state;
    if (!f) return -1;
    tiny_model_build(&b, &t);
    ok = fwrite(b.data, 1, b.n, f) == b.n;
    ok = fclose(f) == 0 && ok;
    gguf_build_free(&b);
    return ok ? 0 : -1;
}

static int remove_model(void **state)
{
    (void)state;
    return unlink(model_path);
}

static ls_status open_engine(void *ctx, bool subject, ls_watch watch, ls_tap_fn *tap, void *tap_ctx,
                             ls_engine **out, ls_error *err)
{
    ls_engine_options opt = {.model_path = model_path,
                             .n_ctx = 32,
                             .n_batch = 32,
                             .n_threads = 2,
                             .watch = watch,
                             .tap = tap,
                             .tap_ctx = tap_ctx};
    if (subject) opt.faults = ctx;
    return ls_engine_open_native(out, &opt, err);
}

static ls_status open_oracle(void *ctx, ls_tap64_fn *tap, ls_given_fn *given, void *tap_ctx,
                             ls_engine **out, ls_error *err)
{
    ls_oracle_options opt = {
        .base = {.model_path = model_path, .n_ctx = 32, .n_batch = 32, .n_threads = 2},
        .tap = tap,
        .given = given,
        .ctx = tap_ctx};
    (void)ctx;
    return ls_engine_open_oracle(out, &opt, err);
}

static ls_located locate_by(bool oracle, const char *fault, size_t max_bytes)
{
    static const int32_t prompt[N_PROMPT] = {1, 5, 9, 200, 7}, decoded[N_DECODED] = {3, 4};
    ls_faults            faults = {0};
    ls_located           out;
    ls_error             err = {0};
    ls_locate_options    opt = {.prompt = prompt,
                                .n_prompt = N_PROMPT,
                                .decoded = decoded,
                                .n_decoded = N_DECODED,
                                .tap_tol = 1e-4,
                                .max_bytes = max_bytes,
                                .map = true,
                                .open = open_engine,
                                .open_oracle = oracle ? open_oracle : NULL,
                                .by_oracle = oracle,
                                .ctx = &faults};
    if (fault) assert_int_equal(ls_faults_add(&faults, fault, NULL), LS_OK);
    if (ls_locate(&out, &opt, &err) != LS_OK) fail_msg("%s", err.what);
    assert_int_equal(out.map.n_positions, N_POSITIONS);
    assert_true(out.map.n_rows == N_LAYERS * 17 + 3);
    return out;
}

static ls_located locate(const char *fault, size_t max_bytes)
{
    return locate_by(false, fault, max_bytes);
}

static void a_run_beside_itself_has_no_error_anywhere(void **state)
{
    ls_located l = locate(NULL, 0);
    (void)state;
    assert_false(l.found);
    for (size_t i = 0; i < l.map.n_rows; i++) {
        for (size_t p = 0; p < N_POSITIONS; p++) {
            const ls_map_cell *c = &l.map.rows[i].cells[p];
            assert_true(c->isolated == 0 && c->accumulated == 0 && c->n_worst == 0);
        }
    }
    assert_int_equal(l.map.rows[0].op, LS_OP_EMBEDDINGS);
    assert_int_equal(l.map.rows[l.map.n_rows - 2].op, LS_OP_FINAL_NORM);
    assert_int_equal(l.map.rows[l.map.n_rows - 1].op, LS_OP_LOGITS);
    ls_located_fini(&l);
}

/* Later operations at that position and after it carry the error; none but the fault's makes one.
 */
static void an_error_is_made_once_and_carried_from_there(void **state)
{
    ls_located l = locate("1.ffn_act@4#3=add:2", 0);
    bool       behind = false;
    (void)state;
    assert_true(l.found && l.born && l.op == LS_OP_FFN_ACT && l.layer == 1 && l.position == 4);
    for (size_t i = 0; i < l.map.n_rows; i++) {
        const ls_map_row *row = &l.map.rows[i];
        bool              here = row->op == LS_OP_FFN_ACT && row->layer == 1;
        behind |= here;
        for (int p = 0; p < N_POSITIONS; p++) {
            const ls_map_cell *c = &row->cells[p];
            bool own = p > 4 && row->layer < 2; /* not reached through attention yet */
            if (here && p == 4)
                assert_true(c->isolated > 1e-4 && c->isolated == c->accumulated);
            else
                assert_true(c->isolated == 0);
            if (p < 4 || !behind) assert_true(c->accumulated == 0);
            if (p == 4 && behind) assert_true(c->accumulated > 0);
            if (own)
                assert_true(c->accumulated == 0 || row->op == LS_OP_FINAL_NORM ||
                            row->op == LS_OP_LOGITS);
        }
        if (here) {
            const ls_map_value *v = &row->cells[4].worst[0];
            assert_int_equal(row->cells[4].n_worst, 1);
            assert_int_equal(v->index, 3);
            assert_true(fabsf(v->subject - v->reference - 2) < 1e-5f);
        }
    }
    assert_true(behind);
    ls_located_fini(&l);
}

static void nan_is_the_worst_value_and_no_number(void **state)
{
    ls_located l = locate("0.residual@2#7=nan", 0);
    (void)state;
    assert_true(l.found && l.born && isnan(l.isolated));
    for (size_t i = 0; i < l.map.n_rows; i++) {
        const ls_map_row *row = &l.map.rows[i];
        if (row->op != LS_OP_RESIDUAL || row->layer != 0) continue;
        assert_true(isnan(row->cells[2].isolated) && isnan(row->cells[2].accumulated));
        assert_int_equal(row->cells[2].worst[0].index, 7);
        assert_true(isnan(row->cells[2].worst[0].subject));
    }
    ls_located_fini(&l);
}

/* One layer after the other instead of all at once: the same map. */
static void memory_changes_nothing(void **state)
{
    ls_located a = locate("1.q_rope@1=scale:1.5", 0), b = locate("1.q_rope@1=scale:1.5", 16000);
    (void)state;
    assert_int_equal(a.map.n_rows, b.map.n_rows);
    for (size_t i = 0; i < a.map.n_rows; i++) {
        assert_int_equal(a.map.rows[i].op, b.map.rows[i].op);
        assert_int_equal(a.map.rows[i].layer, b.map.rows[i].layer);
        for (size_t p = 0; p < N_POSITIONS; p++) {
            const ls_map_cell *x = &a.map.rows[i].cells[p], *y = &b.map.rows[i].cells[p];
            assert_true(x->isolated == y->isolated && x->accumulated == y->accumulated);
            assert_memory_equal(x->worst, y->worst, sizeof(x->worst));
        }
    }
    ls_located_fini(&a);
    ls_located_fini(&b);
}

/* Both are equally far from the oracle where they agree; the fault is farther by what it did. */
static void the_map_says_how_far_both_are_from_the_oracle(void **state)
{
    ls_located l = locate_by(true, "1.ffn_act@4#3=add:2", 0), plain = locate(NULL, 0);
    (void)state;
    assert_true(l.found && l.born && l.judged && l.op == LS_OP_FFN_ACT && l.position == 4);
    for (size_t i = 0; i < l.map.n_rows; i++) {
        const ls_map_row *row = &l.map.rows[i];
        for (int p = 0; p < N_POSITIONS; p++) {
            const ls_map_cell *c = &row->cells[p];
            bool               here = row->op == LS_OP_FFN_ACT && row->layer == 1 && p == 4;
            assert_true(c->reference >= 0 && c->reference < 1e-4);
            assert_true(plain.map.rows[i].cells[p].subject == -1);
            assert_true(plain.map.rows[i].cells[p].reference == -1);
            if (!here) assert_true(c->subject == c->reference);
            if (!here) continue;
            assert_true(c->subject == l.subject_error && c->reference == l.reference_error);
            assert_true(fabs(c->subject / c->isolated - 1) < 1e-3);
        }
    }
    ls_located_fini(&l);
    ls_located_fini(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_beside_itself_has_no_error_anywhere),
        cmocka_unit_test(an_error_is_made_once_and_carried_from_there),
        cmocka_unit_test(nan_is_the_worst_value_and_no_number),
        cmocka_unit_test(memory_changes_nothing),
        cmocka_unit_test(the_map_says_how_far_both_are_from_the_oracle),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
