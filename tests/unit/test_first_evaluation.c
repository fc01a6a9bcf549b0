// SPDX-License-Identifier: MIT
/* test_first_evaluation.c - the native engine reads rows as the file has them in its first
 * evaluation, puts a few of them into strips where many tokens share them, and packs some more for
 * good before each of those that follow: the same bits every time, for every type of weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/lockstep.h"
#include "lockstep/mini.h"
#include "model/weights.h"

enum { MOST = 20 };

static void make(char path[], const char *arch, int dtype)
{
    ls_mini_options opt = {.arch = arch, .dtype = dtype, .seed = 3, .n_threads = 1};
    ls_error        err = {0};
    int             fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    if (ls_mini_write(path, &opt, &err) != LS_OK)
        fail_msg("%s: %s", ls_dtype_name(dtype), err.what);
}

static ls_engine *open_engine(const char *path, int32_t n_threads)
{
    ls_engine_options o = {.model_path = path,
                           .n_ctx = MOST,
                           .n_threads = n_threads,
                           .kv_type = LS_DTYPE_F16,
                           .prepacked = ""};
    ls_engine        *e;
    ls_error          err = {0};
    if (ls_engine_open_native(&e, &o, &err) != LS_OK) fail_msg("%s", err.what);
    return e;
}

/* The logits of T tokens from the beginning, and whether packing was at work before them. */
static bool evaluate(ls_engine *e, size_t T, float *out)
{
    size_t       V = (size_t)ls_engine_get_info(e)->n_vocab;
    uint64_t     before = ls_engine_get_stats(e).load_ns;
    int32_t      ids[MOST];
    const float *row;
    ls_error     err = {0};
    for (size_t t = 0; t < T; t++) ids[t] = (int32_t)((t * 37 + 11) % V);
    assert_int_equal(ls_engine_reset(e, NULL), LS_OK);
    if (ls_engine_eval(e, ids, T, &err) != LS_OK) fail_msg("%s", err.what);
    for (size_t t = 0; t < T; t++) {
        assert_int_equal(ls_engine_logits(e, t, &row, NULL), LS_OK);
        memcpy(out + t * V, row, V * sizeof(float));
    }
    return ls_engine_get_stats(e).load_ns > before;
}

/* Evaluations of the first tokens of MOST, over and over until a while after all is packed: the
 * bits of MOST tokens evaluated first, by rows as they are mapped. Their number, 0: other bits. */
static size_t equal_until_packed(const char *path, const size_t tokens[3], int32_t n_threads)
{
    ls_engine *e = open_engine(path, n_threads);
    size_t     row = (size_t)ls_engine_get_info(e)->n_vocab * sizeof(float), n = 0, after = 0;
    float     *first = malloc(MOST * row), *now = malloc(MOST * row);
    bool       equal = true;
    assert_true(first && now);
    assert_false(evaluate(e, MOST, first));
    while (equal && after < 4 && n < 1000) {
        size_t T = tokens[n++ % 3];
        after = evaluate(e, T, now) ? 0 : after + 1;
        equal = memcmp(first, now, T * row) == 0;
    }
    free(first);
    free(now);
    ls_engine_close(e);
    assert_true(n < 1000); /* it ends */
    return equal ? n - after : 0;
}

static void check_states(const char *arch, int dtype, size_t at_least)
{
    static const size_t tokens[][3] = {{1, 1, 1}, {1, 3, 9}, {MOST, 7, 8}};
    char                path[] = "/tmp/lockstep-test-XXXXXX";
    make(path, arch, dtype);
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        for (int32_t n_threads = 1; n_threads <= 2; n_threads++) {
            size_t n = equal_until_packed(path, tokens[i], n_threads);
            if (n == 0)
                fail_msg("%s, %s: %zu tokens and so on, %d threads", arch, ls_dtype_name(dtype),
                         tokens[i][0], n_threads);
            if (i == 0) assert_true(n >= at_least); /* states that were seen */
        }
    }
    unlink(path);
}

static void every_state_of_packing_gives_the_bits_of_the_first_evaluation(void **state)
{
    size_t n_types = 0;
    (void)state;
    for (int dtype = 0; dtype < 256; dtype++) {
        if (!ls_mini_has_dtype(dtype)) continue;
        check_states("llama", dtype, 1);
        n_types++;
    }
    assert_true(n_types > 30);
    check_states("llama", LS_DTYPE_Q4_0, 60);
}

/* All experts of a kind are one matrix of the image, which may end in any of them. */
static void experts_that_are_packed_in_part_give_the_same_bits(void **state)
{
    (void)state;
    check_states("qwen3moe", LS_DTYPE_F16, 60);
    check_states("qwen3moe", LS_DTYPE_Q4_0, 60);
    check_states("qwen3moe", LS_DTYPE_Q5_K, 15);
    check_states("qwen2moe", LS_DTYPE_Q8_0, 60);
}

static size_t packed_bytes(const ls_matrix *w) { return w->n_packed * ls_matrix_strip_row(w); }

static size_t packed_of(const ls_model *m)
{
    size_t sum = packed_bytes(&m->output);
    for (int32_t i = 0; i < m->config.n_layers; i++) {
        const ls_layer *l = &m->layers[i];
        sum += packed_bytes(&l->q) + packed_bytes(&l->k) + packed_bytes(&l->v) +
               packed_bytes(&l->o) + packed_bytes(&l->gate) + packed_bytes(&l->up) +
               packed_bytes(&l->down);
    }
    return sum;
}

/* No use packs more than twice its share, and all of them everything. */
static void packing_is_spread(int dtype, size_t uses, bool use_all)
{
    char      path[] = "/tmp/lockstep-test-XXXXXX";
    size_t    last = 0, now, total, n;
    bool      done = false;
    ls_model *m, *whole;
    ls_error  err = {0};
    make(path, "llama", dtype);
    if (ls_model_open(&m, path, &err) != LS_OK) fail_msg("%s", err.what);
    assert_int_equal(ls_model_open(&whole, path, NULL), LS_OK);
    assert_int_equal(ls_model_pack(whole, 2, NULL), LS_OK);
    total = packed_of(whole);
    assert_true(total > 64 << 10);
    assert_int_equal(ls_model_pack_some(m, 0, 2, &done, NULL), LS_OK);
    assert_int_equal(packed_of(m), 0);
    for (n = 0; !done && n < (use_all ? 2 * uses : uses / 2); last = now) {
        assert_int_equal(ls_model_pack_some(m, ++n, 2, &done, NULL), LS_OK);
        now = packed_of(m);
        assert_true(now >= last && now - last <= total * 2 / uses + 8192);
        assert_true(!done || now == total);
        assert_int_equal(ls_model_pack_some(m, n, 2, &done, NULL), LS_OK); /* nothing more */
        assert_int_equal(packed_of(m), now);
    }
    if (use_all) assert_true(n >= uses * 9 / 10 && n <= uses * 11 / 10 && m->strips.data);
    if (!use_all) assert_true(last > total / 4 && last < total * 3 / 4);
    ls_model_close(m); /* half packed */
    ls_model_close(whole);
    unlink(path);
}

static void each_evaluation_packs_its_share(void **state)
{
    (void)state;
    for (int all = 0; all <= 1; all++) {
        packing_is_spread(LS_DTYPE_Q8_0, 256, all);
        packing_is_spread(LS_DTYPE_F16, 128, all);
        packing_is_spread(LS_DTYPE_Q4_0, 64, all);
        packing_is_spread(LS_DTYPE_Q5_0, 16, all);
    }
}

/* Who wants to time evaluations does not wait for so many. */
static void an_engine_packs_at_once_when_it_is_told_to(void **state)
{
    char       path[] = "/tmp/lockstep-test-XXXXXX";
    ls_engine *e;
    size_t     row;
    float     *first, *now;
    (void)state;
    make(path, "llama", LS_DTYPE_Q4_0);
    e = open_engine(path, 2);
    row = (size_t)ls_engine_get_info(e)->n_vocab * sizeof(float);
    first = malloc(3 * row);
    now = malloc(3 * row);
    assert_true(first && now);
    assert_false(evaluate(e, 3, first));
    assert_true(evaluate(e, 3, now));
    assert_int_equal(ls_engine_pack(e, NULL), LS_OK);
    for (int i = 0; i < 3; i++) assert_false(evaluate(e, 3, now));
    assert_memory_equal(first, now, 3 * row);
    free(first);
    free(now);
    ls_engine_close(e);
    unlink(path);
}

/* What another thread evaluates. */
typedef struct other {
    ls_engine *e;
    ls_status  status;
    float      first; /* of the logits */
} other;

static void *evaluate_often(void *ctx)
{
    other        *o = ctx;
    const int32_t ids[] = {5, 6, 7, 8, 9, 10, 11, 12};
    const float  *row = NULL;
    for (int i = 0; i < 12 && o->status == LS_OK; i++) {
        o->status = ls_engine_reset(o->e, NULL);
        if (o->status == LS_OK) o->status = ls_engine_eval(o->e, ids, 8, NULL);
        if (o->status == LS_OK) o->status = ls_engine_logits(o->e, 7, &row, NULL);
        if (row) o->first = row[0];
    }
    return NULL;
}

/* Each has a model of its own, and both the same mapped file. */
static void engines_that_share_a_file_pack_on_their_own(void **state)
{
    char              path[] = "/tmp/lockstep-test-XXXXXX";
    ls_gguf          *g;
    ls_engine_options o = {.n_ctx = MOST, .n_threads = 2, .prepacked = ""};
    other             a = {0}, b = {0};
    pthread_t         thread;
    ls_error          err = {0};
    (void)state;
    make(path, "llama", LS_DTYPE_Q4_0);
    if (ls_gguf_open(&g, path, &err) != LS_OK) fail_msg("%s", err.what);
    o.model = g;
    assert_int_equal(ls_engine_open_native(&a.e, &o, &err), LS_OK);
    assert_int_equal(ls_engine_open_native(&b.e, &o, &err), LS_OK);
    assert_int_equal(pthread_create(&thread, NULL, evaluate_often, &a), 0);
    evaluate_often(&b);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(a.status, LS_OK);
    assert_int_equal(b.status, LS_OK);
    assert_memory_equal(&a.first, &b.first, sizeof(float));
    ls_engine_close(a.e);
    ls_engine_close(b.e);
    ls_gguf_close(g);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_state_of_packing_gives_the_bits_of_the_first_evaluation),
        cmocka_unit_test(experts_that_are_packed_in_part_give_the_same_bits),
        cmocka_unit_test(each_evaluation_packs_its_share),
        cmocka_unit_test(an_engine_packs_at_once_when_it_is_told_to),
        cmocka_unit_test(engines_that_share_a_file_pack_on_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
