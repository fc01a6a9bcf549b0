// SPDX-License-Identifier: MIT
/* test_session.c - the native engine's promises: the same bits for every batch, thread count and
 * tier, with a warm cache and under observation; faults act where they are told to. */
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

#include "lockstep/mini.h"
#include "lockstep/model.h"

#define MODEL_DIR LS_SOURCE_DIR "/models/"

enum { N = 40 };

/* Under ThreadSanitizer, which is slow, only what several threads do, with one tier. */
#if defined(__SANITIZE_THREAD__)
enum { FIRST_TIER = LS_TIER_AVX2, FIRST_THREADS = 2 };
#else
enum { FIRST_TIER = LS_TIER_SCALAR, FIRST_THREADS = 1 };
#endif

static int32_t token(int i) { return 1 + (i * 37 + 11) % 500; }

/* All logits of N tokens, evaluated in calls of `call` tokens. Owned: free(). */
static float *all_logits(const ls_model *m, const ls_session_options *opt, int call)
{
    size_t      V = (size_t)ls_model_get_config(m)->n_vocab;
    float      *out = malloc(N * V * sizeof(float));
    ls_session *s = NULL;
    int32_t     ids[N];

    assert_non_null(out);
    for (int i = 0; i < N; i++) ids[i] = token(i);
    assert_int_equal(ls_session_create(&s, m, opt, NULL), LS_OK);
    for (int i = 0; i < N; i += call) {
        int n = N - i < call ? N - i : call;
        assert_int_equal(ls_session_eval(s, ids + i, (size_t)n, NULL), LS_OK);
        for (int j = 0; j < n; j++) {
            const float *row = NULL;
            assert_int_equal(ls_session_logits(s, (size_t)j, &row, NULL), LS_OK);
            memcpy(out + (size_t)(i + j) * V, row, V * sizeof(float));
        }
    }
    assert_int_equal(ls_session_pos(s), N);
    ls_session_destroy(s);
    return out;
}

static ls_model *open_model(const char *name)
{
    char      path[512];
    ls_model *m = NULL;
    ls_error  err = {0};
    snprintf(path, sizeof(path), MODEL_DIR "%s", name);
    if (ls_model_open(&m, path, &err) != LS_OK) fail_msg("%s", err.what);
    return m;
}

static void check_identity(const char *name, int kv_type)
{
    static const int   calls[] = {1, 7, N};
    ls_model          *m = open_model(name);
    size_t             bytes = N * (size_t)ls_model_get_config(m)->n_vocab * sizeof(float);
    ls_session_options base = {
        .n_ctx = N, .n_batch = N, .n_threads = 1, .kv_type = kv_type, .tier = LS_TIER_SCALAR};
    float *expected = all_logits(m, &base, N);

    for (int tier = FIRST_TIER; tier < LS_N_TIERS; tier++) {
        if (!ls_tier_available((ls_tier)tier)) continue;
        for (int threads = FIRST_THREADS; threads <= 3; threads++) {
            for (size_t c = 0; c < 3; c++) {
                ls_session_options opt = base;
                float             *got;
                opt.tier = (ls_tier)tier;
                opt.n_threads = threads;
                got = all_logits(m, &opt, calls[c]);
                if (memcmp(got, expected, bytes) != 0) {
                    fail_msg("%s: tier %s, %d threads, calls of %d differ", name,
                             ls_tier_name((ls_tier)tier), threads, calls[c]);
                }
                free(got);
            }
        }
    }
    free(expected);
    ls_model_close(m);
}

static void gives_the_same_bits_for_every_batch_thread_count_and_tier(void **state)
{
    (void)state;
    check_identity("stories260K.gguf", LS_DTYPE_F16);
    check_identity("stories260K.gguf", LS_DTYPE_F32);
    check_identity("stories260K.gguf", LS_DTYPE_BF16);
    check_identity("fables-bitnet-5m-I2_S.gguf", LS_DTYPE_F16);
    check_identity("fables-bitnet-5m-I2_S.gguf", LS_DTYPE_Q8_0);
}

/* With `follow` the cut into calls is part of the arithmetic; threads and tiers are not. */
static void follows_the_reference_with_the_same_bits_on_every_tier(void **state)
{
    static const char *const names[] = {"stories260K.gguf", "fables-llama-5m-Q8_0.gguf"};
    (void)state;
    static const int kv_types[] = {LS_DTYPE_F16, LS_DTYPE_F16, LS_DTYPE_BF16, LS_DTYPE_Q8_0};
    for (int i = 0; i < 8; i++) {
        if (i == 6) continue; /* heads of 8 are too short for Q8_0 */
        ls_model          *m = open_model(names[i % 2]);
        size_t             bytes = N * (size_t)ls_model_get_config(m)->n_vocab * sizeof(float);
        ls_session_options base = {.n_ctx = N,
                                   .n_batch = N,
                                   .n_threads = 1,
                                   .kv_type = kv_types[i / 2],
                                   .tier = LS_TIER_SCALAR,
                                   .follow = true,
                                   .lanes = i < 2 ? 8 : 16};
        float             *expected = all_logits(m, &base, 13), *single = all_logits(m, &base, 1);
        /* int8 rounding of activations can hide the difference; F32 weights show it */
        if (i % 2 == 0) assert_memory_not_equal(single, expected, bytes);
        for (int tier = FIRST_TIER; tier < LS_N_TIERS; tier++) {
            if (!ls_tier_available((ls_tier)tier)) continue;
            for (int threads = FIRST_THREADS; threads <= 2; threads++) {
                ls_session_options opt = base;
                float             *got;
                opt.tier = (ls_tier)tier;
                opt.n_threads = threads;
                got = all_logits(m, &opt, 13);
                if (memcmp(got, expected, bytes) != 0) {
                    fail_msg("%s: tier %s, %d threads differ", names[i % 2],
                             ls_tier_name((ls_tier)tier), threads);
                }
                free(got);
            }
        }
        free(expected);
        free(single);
        ls_model_close(m);
    }
}

static void cuts_one_call_into_batches_and_keeps_the_last_rows(void **state)
{
    ls_model          *m = open_model("stories260K.gguf");
    size_t             V = (size_t)ls_model_get_config(m)->n_vocab;
    ls_session_options whole = {.n_ctx = N, .n_batch = N}, cut = {.n_ctx = N, .n_batch = 16};
    float             *expected = all_logits(m, &whole, N);
    ls_session        *s = NULL;
    const float       *row = NULL;
    int32_t            ids[N];
    (void)state;
    for (int i = 0; i < N; i++) ids[i] = token(i);
    assert_int_equal(ls_session_create(&s, m, &cut, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, N, NULL), LS_OK);
    assert_int_equal(ls_session_logits(s, N - 17, &row, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_session_logits(s, N, &row, NULL), LS_ERR_USAGE);
    for (size_t i = N - 16; i < N; i++) {
        assert_int_equal(ls_session_logits(s, i, &row, NULL), LS_OK);
        assert_memory_equal(row, expected + i * V, V * sizeof(float));
    }
    ls_session_destroy(s);
    free(expected);
    ls_model_close(m);
}

/* Long batches pass through the layers in parts, unless somebody watches. Nobody can tell. */
static void long_batches_give_the_same_bits_as_short_ones(void **state)
{
    enum { MANY = 469, SHORT = 67 };
    ls_model          *m = open_model("stories260K.gguf");
    size_t             V = (size_t)ls_model_get_config(m)->n_vocab;
    ls_session_options opt[] = {
        {.n_ctx = MANY, .n_batch = SHORT, .n_threads = 2},
        {.n_ctx = MANY, .n_batch = MANY, .n_threads = 2},
        {.n_ctx = MANY, .n_batch = MANY, .n_threads = 2, .last_only = true}};
    ls_session *s[3];
    int32_t     ids[MANY];
    (void)state;
    for (int i = 0; i < MANY; i++) ids[i] = token(i);
    for (int k = 0; k < 3; k++) assert_int_equal(ls_session_create(&s[k], m, &opt[k], NULL), LS_OK);
    for (size_t k = 1; k < 3; k++) assert_int_equal(ls_session_eval(s[k], ids, MANY, NULL), LS_OK);
    for (size_t i = 0; i < MANY; i++) {
        const float *row = NULL, *expected = NULL;
        if (i % SHORT == 0) assert_int_equal(ls_session_eval(s[0], ids + i, SHORT, NULL), LS_OK);
        assert_int_equal(ls_session_logits(s[0], i % SHORT, &expected, NULL), LS_OK);
        for (size_t k = 1; k < 3; k++) {
            ls_status got = ls_session_logits(s[k], i, &row, NULL);
            assert_int_equal(got, k == 1 || i == MANY - 1 ? LS_OK : LS_ERR_USAGE);
            if (got == LS_OK) assert_memory_equal(row, expected, V * sizeof(float));
        }
    }
    for (int k = 0; k < 3; k++) ls_session_destroy(s[k]);
    ls_model_close(m);
}

static void gives_the_same_bits_after_a_rewind(void **state)
{
    ls_model          *m = open_model("stories260K.gguf");
    size_t             V = (size_t)ls_model_get_config(m)->n_vocab;
    ls_session_options opt = {.n_ctx = N, .n_batch = N};
    float             *expected = all_logits(m, &opt, N);
    ls_session        *s = NULL;
    const float       *row = NULL;
    int32_t            ids[N], other[N];
    (void)state;
    for (int i = 0; i < N; i++) ids[i] = token(i), other[i] = token(i + 3);
    assert_int_equal(ls_session_create(&s, m, &opt, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, 10, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, other, N - 10, NULL), LS_OK);
    ls_session_rewind(s, 10);
    assert_int_equal(ls_session_logits(s, 0, &row, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_session_eval(s, ids + 10, N - 10, NULL), LS_OK);
    assert_int_equal(ls_session_logits(s, N - 11, &row, NULL), LS_OK);
    assert_memory_equal(row, expected + (N - 1) * V, V * sizeof(float));
    ls_session_destroy(s);
    free(expected);
    ls_model_close(m);
}

static void refuses_what_does_not_fit(void **state)
{
    ls_model          *m = open_model("stories260K.gguf");
    ls_session        *s = NULL;
    int32_t            ids[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, bad[2] = {1, 512}, negative = -1;
    ls_session_options opt = {.n_ctx = 8}, long_ctx = {.n_ctx = 513},
                       odd_kv = {.kv_type = LS_DTYPE_Q4_0}, blocks = {.kv_type = LS_DTYPE_Q8_0};
    (void)state;
    assert_int_equal(ls_session_create(&s, m, &long_ctx, NULL), LS_ERR_LIMIT);
    assert_int_equal(ls_session_create(&s, m, &odd_kv, NULL), LS_ERR_UNSUPPORTED);
    assert_int_equal(ls_session_create(&s, m, &blocks, NULL), LS_ERR_UNSUPPORTED); /* heads of 8 */
    assert_int_equal(ls_session_create(&s, m, &opt, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, 9, NULL), LS_ERR_LIMIT);
    assert_int_equal(ls_session_eval(s, ids, 0, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_session_eval(s, bad, 2, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_session_eval(s, &negative, 1, NULL), LS_ERR_USAGE);
    assert_int_equal(ls_session_pos(s), 0);
    assert_int_equal(ls_session_eval(s, ids, 8, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, 1, NULL), LS_ERR_LIMIT);
    ls_session_destroy(s);
    ls_model_close(m);
}

/* ---- taps ---- */

typedef struct census {
    atomic_int seen[LS_N_OPS];
    atomic_int bad; /* layer or position out of range */
} census;

static void count_tap(void *ctx, const ls_tap *tap)
{
    census *c = ctx;
    atomic_fetch_add(&c->seen[tap->op], 1);
    if (tap->pos < 0 || tap->pos >= N || (tap->layer >= 0) != ls_op_per_layer(tap->op)) {
        atomic_fetch_add(&c->bad, 1);
    }
}

static void shows_every_tap_once_and_is_not_changed_by_being_watched(void **state)
{
    ls_model              *m = open_model("fables-bitnet-5m-TQ2_0.gguf");
    const ls_model_config *c = ls_model_get_config(m);
    size_t                 bytes = N * (size_t)c->n_vocab * sizeof(float);
    census                 seen = {0};
    ls_session_options     plain = {.n_ctx = N, .n_batch = N, .n_threads = 2}, watched = plain;
    float                 *expected = all_logits(m, &plain, N), *got;
    (void)state;
    watched.taps[0].fn = count_tap;
    watched.taps[0].ctx = &seen;
    got = all_logits(m, &watched, N);
    assert_memory_equal(got, expected, bytes);
    for (int op = 0; op < LS_N_OPS; op++) {
        int heads = op == LS_OP_ATTN_SCORES || op == LS_OP_ATTN_SCORES_SOFTMAX ? c->n_heads : 1;
        int layers = ls_op_per_layer((ls_op)op) ? c->n_layers : 1;
        if (!ls_model_has_op(m, (ls_op)op)) layers = 0;
        if (seen.seen[op] != N * heads * layers) {
            fail_msg("%s seen %d times, expected %d", ls_op_name((ls_op)op), seen.seen[op],
                     N * heads * layers);
        }
    }
    assert_int_equal(seen.bad, 0);
    free(expected);
    free(got);
    ls_model_close(m);
}

/* A tap that a model says it has is shown, and no other: a fault at it can act. */
static void check_taps_of(const char *arch, bool optional)
{
    ls_mini_options    opt = {.arch = arch, .dtype = LS_DTYPE_F32, .seed = 7, .optional = optional};
    census             seen = {0};
    ls_session_options watched = {.n_ctx = 2, .n_batch = 2, .n_threads = 1};
    const int32_t      ids[] = {3, 5};
    const float       *row;
    ls_session        *s = NULL;
    char               path[] = "/tmp/lockstep-test-XXXXXX";
    int                fd = mkstemp(path);
    ls_model          *m = NULL;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(ls_mini_write(path, &opt, NULL), LS_OK);
    assert_int_equal(ls_model_open(&m, path, NULL), LS_OK);
    watched.taps[0].fn = count_tap;
    watched.taps[0].ctx = &seen;
    assert_int_equal(ls_session_create(&s, m, &watched, NULL), LS_OK);
    assert_int_equal(ls_session_eval(s, ids, 2, NULL), LS_OK);
    assert_int_equal(ls_session_logits(s, 0, &row, NULL), LS_OK);
    ls_session_destroy(s);
    for (int op = 0; op < LS_N_OPS; op++)
        if (ls_model_has_op(m, (ls_op)op) != (seen.seen[op] > 0))
            fail_msg("%s%s: %s is %s", arch, optional ? " with options" : "", ls_op_name((ls_op)op),
                     seen.seen[op] ? "shown, but not announced" : "announced, but not shown");
    ls_model_close(m);
    unlink(path);
}

static void announces_of_every_architecture_the_taps_that_it_shows(void **state)
{
    (void)state;
    for (size_t i = 0; ls_mini_arch(i); i++) {
        check_taps_of(ls_mini_arch(i), false);
        check_taps_of(ls_mini_arch(i), true);
    }
}

/* A fault at one position must leave every earlier row alone and change that very row. */
static void check_fault(const ls_model *m, const float *expected, const char *text, int pos)
{
    size_t             V = (size_t)ls_model_get_config(m)->n_vocab;
    ls_faults          f = {0};
    ls_session_options opt = {.n_ctx = N, .n_batch = N, .n_threads = 2};
    float             *got;
    assert_int_equal(ls_faults_add(&f, text, NULL), LS_OK);
    opt.taps[0].fn = ls_faults_tap;
    opt.taps[0].ctx = &f;
    got = all_logits(m, &opt, N);
    if (memcmp(got, expected, (size_t)pos * V * sizeof(float)) != 0) {
        fail_msg("%s changed a row before position %d", text, pos);
    }
    if (memcmp(got + (size_t)pos * V, expected + (size_t)pos * V, V * sizeof(float)) == 0) {
        fail_msg("%s did not change position %d", text, pos);
    }
    free(got);
}

static void lets_a_fault_act_at_its_position_for_every_operation(void **state)
{
    /* BitNet only for its sub-norms: elsewhere they undo a scaling. */
    static const char *const names[] = {"fables-llama-5m-Q8_0.gguf", "fables-bitnet-5m-TQ2_0.gguf"};
    ls_session_options       opt = {.n_ctx = N, .n_batch = N, .n_threads = 2};
    (void)state;
    for (int i = 0; i < 2; i++) {
        ls_model *m = open_model(names[i]);
        float    *expected = all_logits(m, &opt, N);
        for (int op = 0; op < LS_N_OPS; op++) {
            static const char *const kinds[] = {"scale:1.5", "add:0.25", "nan"};
            if (!ls_model_has_op(m, (ls_op)op)) continue;
            if ((op == LS_OP_ATTN_SUB_NORM || op == LS_OP_FFN_SUB_NORM) != (i == 1)) continue;
            for (int k = 0; k < 3; k++) {
                char text[128];
                /* A constant added to all scores of a head cancels in the softmax. */
                if (op == LS_OP_ATTN_SCORES && k == 1) continue;
                snprintf(text, sizeof(text), "%s%s@%d=%s", ls_op_per_layer((ls_op)op) ? "2." : "",
                         ls_op_name((ls_op)op), 13, kinds[k]);
                check_fault(m, expected, text, 13);
            }
        }
        free(expected);
        ls_model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_same_bits_for_every_batch_thread_count_and_tier),
        cmocka_unit_test(follows_the_reference_with_the_same_bits_on_every_tier),
        cmocka_unit_test(cuts_one_call_into_batches_and_keeps_the_last_rows),
        cmocka_unit_test(long_batches_give_the_same_bits_as_short_ones),
        cmocka_unit_test(gives_the_same_bits_after_a_rewind),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(shows_every_tap_once_and_is_not_changed_by_being_watched),
        cmocka_unit_test(announces_of_every_architecture_the_taps_that_it_shows),
        cmocka_unit_test(lets_a_fault_act_at_its_position_for_every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
