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

static ls_located locate_any(bool oracle, const char *fault, const char *more, size_t max_bytes,
                             ls_cut cut)
{
    static const int32_t prompt[N_PROMPT] = {1, 5, 9, 200, 7}, decoded[N_DECODED] = {3, 4};
    ls_faults            faults = {0};
    ls_located           out;
    ls_error             err = {0};
    ls_locate_options    opt = {.prompt = prompt,
                                .n_prompt = N_PROMPT,
                                .cut = cut,
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
    if (more) assert_int_equal(ls_faults_add(&faults, more, NULL), LS_OK);
    if (ls_locate(&out, &opt, &err) != LS_OK) fail_msg("%s", err.what);
    assert_int_equal(out.map.n_positions, N_POSITIONS);
    assert_true(out.map.n_rows == N_LAYERS * 17 + 3);
    return out;
}

static ls_located locate(const char *fault, size_t max_bytes)
{
    return locate_any(false, fault, NULL, max_bytes, (ls_cut){0});
}

static ls_located locate_cut(const char *fault, const char *more, size_t max_bytes, ls_cut cut)
{
    return locate_any(false, fault, more, max_bytes, cut);
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

static void assert_same_map(const ls_tap_map *a, const ls_tap_map *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    for (size_t i = 0; i < a->n_rows; i++) {
        assert_int_equal(a->rows[i].op, b->rows[i].op);
        assert_int_equal(a->rows[i].layer, b->rows[i].layer);
        for (size_t p = 0; p < N_POSITIONS; p++) {
            const ls_map_cell *x = &a->rows[i].cells[p], *y = &b->rows[i].cells[p];
            assert_true(x->isolated == y->isolated && x->accumulated == y->accumulated);
            assert_int_equal(x->n_worst, y->n_worst);
            for (size_t k = 0; k < x->n_worst; k++) {
                assert_true(x->worst[k].subject == y->worst[k].subject);
                assert_true(x->worst[k].reference == y->worst[k].reference);
            }
        }
    }
}

/* One layer after the other instead of all at once: the same map. */
static void memory_changes_nothing(void **state)
{
    ls_located a = locate("1.q_rope@1=scale:1.5", 0), b = locate("1.q_rope@1=scale:1.5", 16000);
    (void)state;
    assert_same_map(&a.map, &b.map);
    ls_located_fini(&a);
    ls_located_fini(&b);
}

/* Both are equally far from the oracle where they agree; the fault is farther by what it did. */
static void the_map_says_how_far_both_are_from_the_oracle(void **state)
{
    ls_located l = locate_any(true, "1.ffn_act@4#3=add:2", NULL, 0, (ls_cut){0}),
               plain = locate(NULL, 0);
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

/* The prompt in several evaluations instead of one: the same map, and the same place. */
static void the_cut_of_the_prompt_changes_nothing(void **state)
{
    ls_located a = locate("1.q_rope@3=scale:1.5", 0);
    (void)state;
    for (size_t batch = 1; batch <= N_PROMPT; batch++) {
        ls_located b = locate_cut("1.q_rope@3=scale:1.5", NULL, 0, (ls_cut){batch, 0});
        assert_same_map(&a.map, &b.map);
        assert_true(b.found && b.born && b.op == LS_OP_Q_ROPE);
        assert_int_equal(b.layer, 1);
        assert_int_equal(b.position, 3);
        assert_true(b.isolated == a.isolated);
        assert_true(b.other_bits && b.bits_op == LS_OP_Q_ROPE && b.bits_layer == 1);
        ls_located_fini(&b);
    }
    ls_located_fini(&a);
}

/* A later piece of the prompt shows the earlier operation: that is the headline, however it is cut.
 */
static void what_is_first_is_first_in_the_graph(void **state)
{
    static const struct {
        const char *early, *late; /* in the graph; the early one at a later position */
        ls_op       op;
        int32_t     layer, position;
    } cases[] = {
        {"0.v_proj@4=scale:1.5", "2.ffn_act@0=scale:1.5", LS_OP_V_PROJ, 0, 4},
        {"1.attn_norm@3=add:0.5", "1.ffn_down@1=nan", LS_OP_ATTN_NORM, 1, 3},
        {"final_norm@4=scale:2", "logits@0=scale:2", LS_OP_FINAL_NORM, -1, 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t batch = 0; batch <= N_PROMPT; batch++) {
            ls_located l = locate_cut(cases[i].early, cases[i].late, 0, (ls_cut){batch, 0});
            assert_true(l.born && l.op == cases[i].op && l.bits_op == cases[i].op);
            assert_int_equal(l.layer, cases[i].layer);
            assert_int_equal(l.position, cases[i].position);
            ls_located_fini(&l);
        }
    }
}

/* Pieces end where batches end and are 8 tokens or more, unless a batch itself is shorter; their
 * lengths keep what is left of 4 (NUMERICS.md, clause 9). */
static void pieces_are_of_the_kind_that_batches_are(void **state)
{
    (void)state;
    for (size_t n = 1; n < 200; n++) {
        for (size_t batch = 1; batch < 100; batch += 3) {
            ls_cut cut = {batch, 16};
            size_t k, longest = 0;
            for (size_t done = 0; done < n; done += k) {
                size_t begin = done - done % batch, end = begin + batch < n ? begin + batch : n;
                k = ls_cut_next(cut, n, done);
                assert_true(k > 0 && done + k <= end);
                assert_true(k == end - begin || (k >= 8 && k < 16 + 8));
                assert_true(done + k == end || k % 8 == 0);
                if (k > longest) longest = k;
            }
            assert_int_equal(ls_cut_longest(cut, n), longest);
        }
    }
    assert_int_equal(ls_cut_next((ls_cut){0}, 1000, 0), 1000);
}

/* The shape of a model with 30 layers, 20 heads and a vocabulary of 128,256. */
static void what_cannot_fit_is_known_before(void **state)
{
    ls_model_config c = {.n_layers = 30,
                         .n_embd = 2560,
                         .n_heads = 20,
                         .n_kv_heads = 5,
                         .head_dim = 128,
                         .n_ff = 6912,
                         .n_vocab = 128256};
    ls_cut          cut;
    ls_error        err = {0};
    size_t          last = SIZE_MAX;
    (void)state;
    for (size_t n = 16; n <= 8192;
         n *= 2) { /* scores alone are 20 * n floats for each token, twice */
        size_t longest;
        assert_int_equal(ls_locate_cut(&cut, &c, n, n, 0, false, &err), LS_OK);
        longest = ls_cut_longest(cut, n);
        assert_true(longest * 2 * 20 * n * sizeof(float) < LS_LOCATE_BYTES);
        assert_true(longest >= 8 && (n < 256 || longest <= last));
        last = longest;
    }
    assert_int_equal(ls_locate_cut(&cut, &c, 30, 64, 7, false, &err), LS_OK);
    assert_true(cut.batch == 7 && cut.piece == 0);
    assert_int_equal(ls_locate_cut(&cut, &c, 1 << 20, 1 << 20, 0, false, &err), LS_ERR_LIMIT);
    assert_non_null(strstr(err.what, "1048576 positions"));
    assert_non_null(strstr(err.hint, "shorter"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_beside_itself_has_no_error_anywhere),
        cmocka_unit_test(an_error_is_made_once_and_carried_from_there),
        cmocka_unit_test(nan_is_the_worst_value_and_no_number),
        cmocka_unit_test(memory_changes_nothing),
        cmocka_unit_test(the_map_says_how_far_both_are_from_the_oracle),
        cmocka_unit_test(the_cut_of_the_prompt_changes_nothing),
        cmocka_unit_test(what_is_first_is_first_in_the_graph),
        cmocka_unit_test(pieces_are_of_the_kind_that_batches_are),
        cmocka_unit_test(what_cannot_fit_is_known_before),
    };
    return cmocka_run_group_tests(tests, make_model, remove_model);
}
