// SPDX-License-Identifier: MIT
/* test_session_forms.c - the same bits whichever way the work is cut: every operation by itself, as
 * somebody watches, or several at once (norm and rounding, RoPE and the cache, the feed-forward
 * block); all rows of the last layer or the one that is asked for; rows of weights or strips. For
 * every architecture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtype/dtype.h"
#include "lockstep/convert.h"
#include "lockstep/mini.h"
#include "model/weights.h"

enum { N = 15, MORE = 3, ALL = N + MORE }; /* the cache has strips of 16 positions */

static int32_t token(int i) { return 1 + (i * 37 + 11) % 300; }

/* I2_S to TL2, in place. */
static void look_up(const char *path)
{
    ls_convert_options opt = {.dtype = LS_DTYPE_TL2};
    ls_error           err = {0};
    ls_gguf           *g = NULL;
    if (ls_gguf_open(&g, path, &err) != LS_OK) fail_msg("%s", err.what);
    if (ls_convert_to_gguf(path, g, &opt, &err) != LS_OK) fail_msg("%s", err.what);
    ls_gguf_close(g);
}

static ls_model *make(const char *arch, bool optional, int dtype)
{
    int             from = dtype == LS_DTYPE_TL2 ? LS_DTYPE_I2_S : dtype;
    ls_mini_options opt = {
        .arch = arch, .dtype = from, .seed = 7, .optional = optional, .n_threads = 1};
    char      path[] = "/tmp/lockstep-test-XXXXXX";
    int       fd = mkstemp(path);
    ls_model *m = NULL;
    ls_error  err = {0};
    assert_true(fd >= 0);
    close(fd);
    if (ls_mini_write(path, &opt, &err) != LS_OK) fail_msg("%s: %s", arch, err.what);
    if (dtype != from) look_up(path);
    if (ls_model_open(&m, path, &err) != LS_OK) fail_msg("%s: %s", arch, err.what);
    assert_int_equal(m->lookups, ls_lookup_pays(dtype, ls_tier_best()));
    unlink(path);
    return m;
}

static void see_tap(void *ctx, const ls_tap *tap)
{
    (void)tap;
    atomic_fetch_add((atomic_int *)ctx, 1);
}

static void see_values(void *ctx, const ls_tap_values *values)
{
    (void)values;
    atomic_fetch_add((atomic_int *)ctx, 1);
}

/* Logits of N tokens at once and MORE one by one; with last_only of the last of the N alone. */
static void evaluate(const ls_model *m, const ls_session_options *opt, float *out)
{
    size_t       V = (size_t)ls_model_get_config(m)->n_vocab;
    int32_t      ids[ALL];
    const float *row = NULL;
    ls_session  *s = NULL;
    for (int i = 0; i < ALL; i++) ids[i] = token(i);
    assert_int_equal(ls_session_create(&s, m, opt, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, N, NULL), LS_OK);
    for (size_t i = opt->last_only || opt->n_batch < N ? N - 1 : 0; i < N; i++) {
        assert_int_equal(ls_session_logits(s, i, &row, NULL), LS_OK);
        memcpy(out + i * V, row, V * sizeof(float));
    }
    for (size_t i = N; i < ALL; i++) {
        assert_int_equal(ls_session_eval(s, ids + i, 1, NULL), LS_OK);
        assert_int_equal(ls_session_logits(s, 0, &row, NULL), LS_OK);
        memcpy(out + i * V, row, V * sizeof(float));
    }
    ls_session_destroy(s);
}

static void check(const char *name, const ls_model *m, ls_session_options opt,
                  const float *expected, bool all)
{
    size_t V = (size_t)ls_model_get_config(m)->n_vocab, from = all ? 0 : (N - 1) * V;
    float *got = calloc(ALL * V, sizeof(float));
    assert_non_null(got);
    evaluate(m, &opt, got);
    if (memcmp(got + from, expected + from, (ALL * V - from) * sizeof(float)) != 0) {
        fail_msg("%s: %d threads%s%s, batches of %d differ", name, opt.n_threads,
                 opt.last_only ? ", last row" : "", opt.watch.fn ? ", watched" : "", opt.n_batch);
    }
    free(got);
}

static void check_ways(const char *name, const ls_model *m, ls_session_options opt,
                       const float *expected, bool short_cut)
{
    for (opt.n_threads = 1; opt.n_threads <= 3; opt.n_threads += 2) {
        check(name, m, opt, expected, true);
        opt.last_only = true;
        check(name, m, opt, expected, false);
        opt.last_only = false;
    }
    if (short_cut) return;
    opt.n_threads = 2;
    opt.last_only = true;
    opt.n_batch = 4;
    check(name, m, opt, expected, false);
}

/* Closes the model. */
static void check_model(const char *arch, ls_model *m, int kv_type, ls_act_rounding rounding,
                        bool short_cut)
{
    size_t             V = (size_t)ls_model_get_config(m)->n_vocab;
    float             *expected = calloc(ALL * V, sizeof(float));
    atomic_int         seen = 0, watched = 0;
    ls_session_options plain = {.n_ctx = ALL,
                                .n_batch = ALL,
                                .n_threads = 1,
                                .kv_type = kv_type,
                                .rounding = rounding},
                       opt = plain;
    assert_non_null(expected);
    opt.taps[0].fn = see_tap;
    opt.taps[0].ctx = &seen;
    evaluate(m, &opt, expected);
    assert_true(seen > 0);
    assert_memory_not_equal(expected + (N - 2) * V, expected + (N - 1) * V, V * sizeof(float));
    check_ways(arch, m, plain, expected, short_cut);
    opt.taps[0].fn = NULL;
    opt.watch = (ls_watch){see_values, &watched};
    opt.last_only = true;
    check(arch, m, opt, expected, false);
    assert_true(watched > 0);
    assert_int_equal(ls_model_pack(m, 1, NULL), LS_OK);
    check_ways(arch, m, plain, expected, true);
    free(expected);
    ls_model_close(m);
}

static void check_arch(const char *arch, bool optional, int dtype)
{
    check_model(arch, make(arch, optional, dtype), LS_DTYPE_F16, LS_ROUND_AUTO, optional);
}

static void fused_and_watched_work_gives_the_same_bits_for_every_architecture(void **state)
{
    (void)state;
    for (size_t i = 0; ls_mini_arch(i); i++) check_arch(ls_mini_arch(i), false, LS_DTYPE_Q8_0);
}

static void so_it_is_with_the_optional_parts_and_plain_weights(void **state)
{
    (void)state;
    for (size_t i = 0; ls_mini_arch(i); i++) check_arch(ls_mini_arch(i), true, LS_DTYPE_F16);
}

/* Types whose activations are rounded in different ways cannot share them. */
static void so_it_is_with_types_that_round_activations_in_their_own_way(void **state)
{
    static const int types[] = {LS_DTYPE_Q4_K, LS_DTYPE_F32, LS_DTYPE_I2_S, LS_DTYPE_Q5_1,
                                LS_DTYPE_TL2};
    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        check_arch("llama", i % 2 == 1, types[i]);
    check_arch("bitnet", false, LS_DTYPE_I2_S);
    check_model("bitnet", make("bitnet", false, LS_DTYPE_F16), LS_DTYPE_F16, LS_ROUND_I8, true);
}

/* Decode a matrix; who calls frees the rows. */
static void *make_plain(ls_matrix *w)
{
    float *rows = malloc(w->n_rows * w->n * sizeof(float));
    assert_non_null(rows);
    for (size_t r = 0; r < w->n_rows; r++)
        ls_dtype_decode(w->dtype, rows + r * w->n, (const uint8_t *)w->data + r * w->row_bytes,
                        w->n, w->scale);
    *w = (ls_matrix){.data = rows,
                     .dtype = LS_DTYPE_F32,
                     .n_rows = w->n_rows,
                     .n = w->n,
                     .row_bytes = w->n * sizeof(float),
                     .scale = 1};
    return rows;
}

/* Queries and values, gate and up: normed once, rounded twice, the second time as they are. */
static void so_it_is_with_products_that_round_the_same_rows_differently(void **state)
{
    static const char *const archs[] = {"llama", "bitnet", "gptneox", "command-r"};
    (void)state;
    for (size_t i = 0; i < sizeof(archs) / sizeof(archs[0]); i++) {
        ls_model *m = make(archs[i], false, LS_DTYPE_Q8_0);
        void     *values = make_plain(&m->layers[0].v), *up = make_plain(&m->layers[1].up);
        check_model(archs[i], m, LS_DTYPE_F16, LS_ROUND_AUTO, true);
        free(values);
        free(up);
    }
}

static void so_it_is_with_every_type_of_cache(void **state)
{
    static const char *const archs[] = {"llama", "gemma3",
                                        "gptneox"}; /* neighbours, halves, a part */
    static const int         types[] = {LS_DTYPE_F32, LS_DTYPE_BF16, LS_DTYPE_Q8_0};
    (void)state;
    for (size_t i = 0; i < 9; i++)
        check_model(archs[i / 3], make(archs[i / 3], false, LS_DTYPE_Q8_0), types[i % 3],
                    LS_ROUND_AUTO, false);
}

/* What follows each other in a token; of experts nobody knows before. */
static void matrices_know_which_is_read_next(void **state)
{
    ls_model *m = make("llama", false, LS_DTYPE_Q8_0), *moe = make("llama", true, LS_DTYPE_Q8_0);
    ls_layer *l = m->layers;
    (void)state;
    const ls_matrix *order[] = {&l->q,   &l->k,      &l->v,    &l->o,      &l->gate,
                                &l->up,  &l->down,   &l[1].q,  &l[1].k,    &l[1].v,
                                &l[1].o, &l[1].gate, &l[1].up, &l[1].down, &m->output};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        size_t k = (i + 1) % (sizeof(order) / sizeof(order[0]));
        assert_ptr_equal(order[i]->next, order[k]);
        assert_int_equal(order[i]->joined, i < 14 && (i % 7 < 2 || i % 7 == 4));
    }
    assert_ptr_equal(moe->layers[0].o.next, &moe->layers[0].router);
    assert_null(moe->layers[0].router.next);
    assert_null(moe->layers[0].down_exps.next);
    ls_model_close(m);
    ls_model_close(moe);
}

static void refuses_rows_that_were_left_out(void **state)
{
    ls_model          *m = make("llama", false, LS_DTYPE_Q8_0);
    ls_session_options opt = {.n_ctx = ALL, .n_threads = 1, .last_only = true};
    const int32_t      ids[] = {3, 5, 7};
    const float       *row;
    ls_session        *s = NULL;
    (void)state;
    assert_int_equal(ls_session_create(&s, m, &opt, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, 3, NULL), LS_OK);
    assert_int_equal(ls_session_logits(s, 0, &row, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_session_logits(s, 1, &row, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_session_logits(s, 3, &row, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_session_logits(s, 2, &row, NULL), LS_OK);
    assert_int_equal(ls_session_pos(s), 3);
    ls_session_destroy(s);
    ls_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fused_and_watched_work_gives_the_same_bits_for_every_architecture),
        cmocka_unit_test(so_it_is_with_the_optional_parts_and_plain_weights),
        cmocka_unit_test(so_it_is_with_types_that_round_activations_in_their_own_way),
        cmocka_unit_test(so_it_is_with_products_that_round_the_same_rows_differently),
        cmocka_unit_test(so_it_is_with_every_type_of_cache),
        cmocka_unit_test(matrices_know_which_is_read_next),
        cmocka_unit_test(refuses_rows_that_were_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
