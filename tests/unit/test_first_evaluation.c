// SPDX-License-Identifier: MIT
/* test_first_evaluation.c - the native engine reads rows as the file has them in its first
 * evaluation, puts a few of them into strips where many tokens share them, and packs all before the
 * second: the same bits every time, for every type of weights. */
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

enum { MOST = 64 };

static void make(char path[], int dtype)
{
    ls_mini_options opt = {.arch = "llama", .dtype = dtype, .seed = 3, .n_threads = 1};
    ls_error        err = {0};
    int             fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    if (ls_mini_write(path, &opt, &err) != LS_OK)
        fail_msg("%s: %s", ls_dtype_name(dtype), err.what);
}

/* The logits of T tokens from the beginning, and whether weights were packed before them. */
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

/* false: the results differ. */
static bool first_equals_second(const char *path, size_t T, int32_t n_threads)
{
    ls_engine_options o = {.model_path = path,
                           .n_ctx = MOST,
                           .n_threads = n_threads,
                           .kv_type = LS_DTYPE_F16,
                           .prepacked = ""};
    ls_engine        *e;
    ls_error          err = {0};
    float            *a, *b;
    size_t            bytes;
    bool              equal;
    if (ls_engine_open_native(&e, &o, &err) != LS_OK) fail_msg("%s", err.what);
    bytes = T * (size_t)ls_engine_get_info(e)->n_vocab * sizeof(float);
    a = malloc(bytes);
    b = malloc(bytes);
    assert_true(a && b);
    assert_false(evaluate(e, T, a));
    assert_true(evaluate(e, T, b));
    equal = memcmp(a, b, bytes) == 0;
    assert_false(evaluate(e, T, b)); /* once */
    free(a);
    free(b);
    ls_engine_close(e);
    return equal;
}

static void the_first_evaluation_gives_the_bits_of_the_second(void **state)
{
    static const size_t tokens[] = {1, 7, 8, MOST};
    size_t              n_types = 0;
    (void)state;
    for (int dtype = 0; dtype < 256; dtype++) {
        char path[] = "/tmp/lockstep-test-XXXXXX";
        if (!ls_mini_has_dtype(dtype)) continue;
        make(path, dtype);
        for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
            for (int32_t n_threads = 1; n_threads <= 2; n_threads++) {
                if (!first_equals_second(path, tokens[i], n_threads))
                    fail_msg("%s: %zu tokens, %d threads", ls_dtype_name(dtype), tokens[i],
                             n_threads);
            }
        }
        unlink(path);
        n_types++;
    }
    assert_true(n_types > 30);
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
    for (int i = 0; i < 4 && o->status == LS_OK; i++) {
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
    make(path, LS_DTYPE_Q8_0);
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
        cmocka_unit_test(the_first_evaluation_gives_the_bits_of_the_second),
        cmocka_unit_test(engines_that_share_a_file_pack_on_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
