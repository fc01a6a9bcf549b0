// SPDX-License-Identifier: MIT
/* test_bench.c - what timing promises whatever the time is: which tokens an engine is given and in
 * what order, what samples say together, what a token costs by a model's tensors, limits that are
 * limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lockstep/lockstep.h"
#include "support/fake_engine.h"

static char folder[] = "/tmp/lockstep-bench-XXXXXX";

/* cmocka's own for doubles is younger than some that are in use. */
static void assert_near(double a, double b, double tolerance)
{
    if (!(a - b <= tolerance && b - a <= tolerance)) fail_msg("%.17g, not %.17g", a, b);
}

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* ---- numbers ---- */

/* The textbook's sample: mean 5, standard deviation of the population 2, so sqrt(32 / 7) here. */
static void says_of_samples_what_a_textbook_says(void **state)
{
    static const double x[] = {9, 2, 4, 5, 4, 4, 7, 5}, one[] = {3};
    ls_bench_stats      s;
    (void)state;
    assert_int_equal(ls_bench_stats_of(&s, x, 8, NULL), LS_OK);
    assert_near(s.mean, 5, 1e-12);
    assert_near(s.stddev, 2.138089935299395, 1e-12);
    assert_near(s.median, 4.5, 0);
    assert_near(s.min, 2, 0);
    assert_near(s.max, 9, 0);
    assert_int_equal(ls_bench_stats_of(&s, x, 7, NULL), LS_OK);
    assert_near(s.median, 4, 0);
    assert_int_equal(ls_bench_stats_of(&s, one, 1, NULL), LS_OK);
    assert_near(s.stddev, 0, 0);
    assert_int_equal(ls_bench_stats_of(&s, x, 0, NULL), LS_ERR_USAGE);
}

/* ---- engines ---- */

static void count_eval(void *ctx) { ++*(size_t *)ctx; }

static void evaluates_prompts_together_and_generated_tokens_one_by_one(void **state)
{
    size_t              n_evals = 0;
    fake_options        o = {.n_batch = 100, .on_eval = count_eval, .on_eval_ctx = &n_evals};
    const ls_bench_test prompt = {.n_prompt = 250}, gen = {.n_gen = 7, .n_depth = 150},
                        both = {.n_prompt = 10, .n_gen = 3};
    ls_engine *e = fake_open(&o);
    uint64_t   ns, before;
    (void)state;
    assert_int_equal(ls_bench_prepare(e, &prompt, NULL), LS_OK);
    assert_int_equal(n_evals, 3);
    before = ls_engine_get_stats(e).n_tokens;
    assert_int_equal(ls_bench_sample(e, &prompt, &ns, NULL), LS_OK);
    assert_int_equal(n_evals, 6); /* 100, 100, 50 */
    assert_int_equal(ls_engine_get_stats(e).n_tokens - before, 250);
    n_evals = 0;
    assert_int_equal(ls_bench_prepare(e, &gen, NULL), LS_OK);
    assert_int_equal(n_evals, 2 + 1);
    n_evals = 0; /* this engine can only forget everything: the depth is evaluated again */
    assert_int_equal(ls_bench_sample(e, &gen, &ns, NULL), LS_OK);
    assert_int_equal(n_evals, 2 + 7);
    n_evals = 0;
    assert_int_equal(ls_bench_sample(e, &both, &ns, NULL), LS_OK);
    assert_int_equal(n_evals, 1 + 3);
    ls_engine_close(e);
}

static void goes_back_without_evaluating_the_depth_again(void **state)
{
    const ls_bench_test  t = {.n_gen = 3, .n_depth = 20};
    ls_engine_options    o = {.model_path = LS_SOURCE_DIR "/models/stories260K.gguf",
                              .n_ctx = 32,
                              .n_threads = 1,
                              .kv_type = LS_DTYPE_F16,
                              .for_speed = true};
    ls_engine           *e;
    uint64_t             ns = 0, before, load_ns;
    const float         *row;
    static const int32_t id = 5;
    static float         first[512];
    (void)state;
    assert_int_equal(ls_engine_open_native(&e, &o, NULL), LS_OK);
    load_ns = ls_engine_get_stats(e).load_ns;
    assert_int_equal(ls_bench_prepare(e, &t, NULL), LS_OK);
    assert_true(ls_engine_get_stats(e).load_ns > load_ns); /* weights are packed */
    load_ns = ls_engine_get_stats(e).load_ns;
    for (int i = 0; i < 2; i++) {
        before = ls_engine_get_stats(e).n_tokens;
        assert_int_equal(ls_bench_sample(e, &t, &ns, NULL), LS_OK);
        assert_int_equal(ls_engine_get_stats(e).n_tokens - before, 3);
        assert_true(ns > 0);
        /* the same history gives the same bits, whatever stood behind it before */
        assert_int_equal(ls_engine_rewind(e, 20, NULL), LS_OK);
        assert_int_equal(ls_engine_eval(e, &id, 1, NULL), LS_OK);
        assert_int_equal(ls_engine_logits(e, 0, &row, NULL), LS_OK);
        if (i == 0) memcpy(first, row, sizeof(first));
        assert_memory_equal(first, row, sizeof(first));
    }
    assert_int_equal(ls_engine_get_stats(e).load_ns, load_ns); /* not while it is timed */
    assert_int_equal(ls_engine_rewind(e, 22, NULL), LS_ERR_USAGE);
    assert_true(ls_engine_peak_bytes(e) > 1 << 20);
    ls_engine_close(e);
}

static void refuses_what_cannot_be_measured(void **state)
{
    fake_options        o = {.n_ctx = 50};
    const ls_bench_test none = {.n_depth = 4}, deep = {.n_gen = 1, .n_depth = 50};
    ls_engine          *e = fake_open(&o);
    ls_error            err = {0};
    (void)state;
    assert_int_equal(ls_bench_prepare(e, &none, &err), LS_ERR_USAGE);
    ls_error_clear(&err);
    assert_int_equal(ls_bench_prepare(e, &deep, &err), LS_ERR_LIMIT);
    ls_engine_close(e);
}

/* ---- what a token costs ---- */

static void work_of(ls_bench_work *w, ls_mini_options *mini)
{
    const char *path = path_of("m.gguf");
    ls_model   *m;
    assert_int_equal(ls_mini_write(path, mini, NULL), LS_OK);
    assert_int_equal(ls_model_open(&m, path, NULL), LS_OK);
    ls_bench_work_of(w, ls_model_gguf(m), ls_model_get_config(m), LS_DTYPE_F16);
    ls_model_close(m);
    unlink(path);
}

/* By hand: 2 layers of 256 wide, 512 in the feed-forward part, 8 heads of 32, 2 KV heads; 320
 * tokens. */
static void counts_bytes_and_operations_of_a_token(void **state)
{
    enum { LAYER = 256 * 256 * 2 + 2 * 256 * 64 + 3 * 256 * 512, OUT = 256 * 320, NORMS = 5 * 256 };
    ls_mini_options mini = {.arch = "llama", .dtype = LS_DTYPE_F16};
    ls_bench_work   w;
    (void)state;
    work_of(&w, &mini);
    assert_int_equal(w.n_params, 2 * LAYER + 2 * OUT + NORMS);
    assert_near(w.prefill_ops, 2.0 * 2 * LAYER, 0);
    assert_near(w.matrix_ops, 2.0 * (2 * LAYER + OUT), 0);
    assert_int_equal(w.weight_bytes, 2 * (2 * LAYER + OUT) + 4 * NORMS + 2 * 256);
    assert_int_equal(w.kv_bytes, 2 * 2 * 64 * 2);
    assert_near(w.attention_ops, 4.0 * 2 * 256, 0);
    assert_int_equal(w.dtype, LS_DTYPE_F16);
    assert_near(ls_bench_bytes_per_token(&w, 10, 3), (double)w.weight_bytes + 12 * 512.0, 0);
}

/* 2 of 4 experts, 256 wide each: half of their bytes. */
static void counts_the_experts_that_a_token_uses(void **state)
{
    enum { EXPERTS = 3 * 4 * 256 * 256 };
    ls_mini_options mini = {.arch = "qwen3moe", .dtype = LS_DTYPE_F16};
    ls_bench_work   w;
    (void)state;
    work_of(&w, &mini);
    assert_true(w.n_bytes - w.weight_bytes > 2 * EXPERTS);                 /* half of two layers' */
    assert_true(w.n_bytes - w.weight_bytes < 2 * EXPERTS + 320 * 256 * 2); /* and embeddings */
}

/* ---- shapes ---- */

static void draws_the_same_bytes_with_any_number_of_threads(void **state)
{
    char            hash[2][65];
    ls_mini_options mini = {
        .arch = "llama", .mixture = "Q4_0", .shape = LS_MINI_LLAMA_100M, .seed = 1};
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char      *path = path_of("100m.gguf");
        ls_gguf         *g;
        ls_model        *m;
        ls_bench_work    w;
        const ls_tensor *t;
        mini.n_threads = i ? 3 : 1;
        assert_int_equal(ls_mini_write(path, &mini, NULL), LS_OK);
        assert_int_equal(ls_gguf_open(&g, path, NULL), LS_OK);
        assert_int_equal(ls_gguf_sha256(hash[i], g, NULL), LS_OK);
        assert_int_equal(ls_model_open_gguf(&m, g, NULL), LS_OK);
        ls_bench_work_of(&w, g, ls_model_get_config(m), LS_DTYPE_F16);
        /* one matrix is both; llama-quantize gives it Q6_K in this mixture */
        t = ls_gguf_tensor(g, "token_embd.weight");
        assert_int_equal(t->dtype, LS_DTYPE_Q6_K);
        assert_null(ls_gguf_tensor(g, "output.weight"));
        assert_int_equal(w.dtype, LS_DTYPE_Q4_0);
        assert_int_equal(w.weight_bytes, w.n_bytes);
        ls_model_close(m);
        ls_gguf_close(g);
        unlink(path);
    }
    assert_string_equal(hash[0], hash[1]);
}

static void makes_ternary_matrices_with_embeddings_in_half_precision(void **state)
{
    ls_mini_options      mini = {.arch = "bitnet", .dtype = LS_DTYPE_I2_S, .seed = 1};
    const char          *path = path_of("i2_s.gguf");
    ls_engine           *e;
    ls_engine_options    o = {.model_path = path, .n_ctx = 16, .n_threads = 1};
    ls_gguf             *g;
    ls_tensor_stats      s;
    const float         *row;
    static const int32_t id = 5;
    (void)state;
    assert_int_equal(ls_mini_write(path, &mini, NULL), LS_OK);
    assert_int_equal(ls_gguf_open(&g, path, NULL), LS_OK);
    assert_int_equal(ls_gguf_tensor(g, "token_embd.weight")->dtype, LS_DTYPE_F16);
    assert_int_equal(ls_gguf_tensor(g, "blk.0.attn_q.weight")->dtype, LS_DTYPE_I2_S);
    assert_int_equal(ls_tensor_stats_get(&s, g, ls_gguf_tensor(g, "blk.1.ffn_down.weight"), NULL),
                     LS_OK);
    assert_near(s.max, 2 / 22.62741699796952, 1e-7); /* 2 / sqrt(512) */
    assert_near(s.min, -s.max, 0);
    ls_gguf_close(g);
    assert_int_equal(ls_engine_open_native(&e, &o, NULL), LS_OK);
    assert_int_equal(ls_engine_eval(e, &id, 1, NULL), LS_OK);
    assert_int_equal(ls_engine_logits(e, 0, &row, NULL), LS_OK);
    for (int32_t i = 0; i < 320; i++) assert_true(row[i] > -1e6f && row[i] < 1e6f);
    ls_engine_close(e);
    unlink(path);
}

/* ---- the machine ---- */

static void measures_limits_that_are_larger_than_nothing(void **state)
{
    ls_limits_options o = {.n_threads = 2, .buffer_bytes = 4 << 20, .seconds = 0.01};
    ls_limits         l;
    ls_machine        m;
    (void)state;
    assert_int_equal(ls_limits_measure(&l, &o, NULL), LS_OK);
    assert_int_equal(l.n_threads, 2);
    assert_true(l.read_bytes > 1e6 && l.read_bytes < 1e14);
    assert_true(l.fp32.per_second > 1e6 && l.fp32.per_second < 1e14);
    assert_ptr_equal(ls_limits_for(&l, LS_DTYPE_F32), &l.fp32);
    assert_ptr_equal(ls_limits_for(&l, LS_DTYPE_Q4_K), &l.int8);
    ls_machine_describe(&m);
    assert_true(m.n_cpus >= 1);
    assert_int_equal(m.tier, ls_tier_best());
    if (m.tier == LS_TIER_AVX2 || m.tier == LS_TIER_AVX512) {
        assert_true(l.int8.per_second > 1e6);
        assert_non_null(strstr(m.features, "avx2"));
    }
    o.n_threads = -1;
    assert_int_equal(ls_limits_measure(&l, &o, NULL), LS_ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_of_samples_what_a_textbook_says),
        cmocka_unit_test(evaluates_prompts_together_and_generated_tokens_one_by_one),
        cmocka_unit_test(goes_back_without_evaluating_the_depth_again),
        cmocka_unit_test(refuses_what_cannot_be_measured),
        cmocka_unit_test(counts_bytes_and_operations_of_a_token),
        cmocka_unit_test(counts_the_experts_that_a_token_uses),
        cmocka_unit_test(draws_the_same_bytes_with_any_number_of_threads),
        cmocka_unit_test(makes_ternary_matrices_with_embeddings_in_half_precision),
        cmocka_unit_test(measures_limits_that_are_larger_than_nothing),
    };
    int failed;
    if (!mkdtemp(folder)) return 2;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
