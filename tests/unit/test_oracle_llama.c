// SPDX-License-Identifier: MIT
/* test_oracle_llama.c - the oracle's logits against those of the installed llama.cpp, on a model of
 * every architecture that it reads. Two programs that share nothing but the file. */
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

#include "lockstep/lockstep.h"
#include "support/real_reference.h"

enum { N = 9, N_CTX = 32 };

static ls_ref_status reference;

static const int32_t ids[N] = {1, 40, 7, 99, 12, 250, 31, 8, 301};

/* Of two rows without their means. */
static double centred_nmse(const double *a, const float *b, size_t n)
{
    double mean_a = 0, mean_b = 0, d2 = 0, r2 = 0;
    for (size_t i = 0; i < n; i++) {
        mean_a += a[i] / (double)n;
        mean_b += (double)b[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        double x = a[i] - mean_a, y = (double)b[i] - mean_b;
        d2 += (x - y) * (x - y);
        r2 += y * y;
    }
    return d2 / r2;
}

static double worst_row(const char *path, int kv_oracle, int kv_llama)
{
    ls_oracle_options opt = {
        .base = {.model_path = path, .n_ctx = N_CTX, .n_threads = 1, .kv_type = kv_oracle}};
    ls_engine *oracle, *llama;
    ls_error   err = {0};
    double     worst = 0;
    assert_int_equal(ls_engine_open_oracle(&oracle, &opt, &err), LS_OK);
    opt.base.kv_type = kv_llama;
    if (ls_engine_open_reference(&llama, reference.exe, &opt.base, &err) != LS_OK) {
        print_error("%s\n", err.what);
        fail();
    }
    assert_int_equal(ls_engine_eval(oracle, ids, N, &err), LS_OK);
    assert_int_equal(ls_engine_eval(llama, ids, N, &err), LS_OK);
    for (size_t i = 0; i < N; i++) {
        const double *a;
        const float  *b;
        double        x;
        assert_int_equal(ls_oracle_logits(oracle, i, &a, &err), LS_OK);
        assert_int_equal(ls_engine_logits(llama, i, &b, &err), LS_OK);
        x = centred_nmse(a, b, (size_t)ls_engine_get_info(oracle)->n_vocab);
        if (!(x <= worst)) worst = x;
    }
    ls_engine_close(oracle);
    ls_engine_close(llama);
    return worst;
}

static bool has_gelu(const char *path)
{
    ls_model    *m;
    ls_semantics s;
    assert_int_equal(ls_model_open(&m, path, NULL), LS_OK);
    assert_int_equal(ls_oracle_semantics(&s, m, NULL), LS_OK);
    ls_model_close(m);
    return s.act == LS_SEM_GELU_F16;
}

/* A table of F16 takes an argument that lies between two entries to either. */
static void logits_of_every_architecture_are_those_of_llama(void **state)
{
    char path[128];
    (void)state;
    snprintf(path, sizeof(path), "/tmp/test_oracle_llama.%d.gguf", (int)getpid());
    for (size_t i = 0; ls_mini_arch(i); i++) {
        ls_mini_options opt = {.arch = ls_mini_arch(i), .dtype = LS_DTYPE_F32, .seed = 11};
        double          x;
        if (strcmp(opt.arch, "bitnet-b1.58") == 0) continue; /* which it does not read */
        assert_int_equal(ls_mini_write(path, &opt, NULL), LS_OK);
        x = worst_row(path, LS_DTYPE_F32, LS_DTYPE_F32);
        if (!(x <= (has_gelu(path) ? 1e-6 : 1e-11))) {
            print_error("%s: NMSE %g\n", opt.arch, x);
            fail();
        }
    }
    unlink(path);
}

/* The comparison can fail; where activations are rounded to int8 a last bit is a step now and then.
 */
static void another_cache_is_seen(void **state)
{
    char            path[128];
    ls_mini_options opt = {.arch = "llama", .dtype = LS_DTYPE_F32, .seed = 11};
    (void)state;
    snprintf(path, sizeof(path), "/tmp/test_oracle_llama.%d.gguf", (int)getpid());
    assert_int_equal(ls_mini_write(path, &opt, NULL), LS_OK);
    assert_true(worst_row(path, LS_DTYPE_F16, LS_DTYPE_F16) < 1e-8);
    assert_true(worst_row(path, LS_DTYPE_F16, LS_DTYPE_F32) > 1e-7);
    opt.dtype = LS_DTYPE_Q8_0;
    assert_int_equal(ls_mini_write(path, &opt, NULL), LS_OK);
    assert_true(worst_row(path, LS_DTYPE_F16, LS_DTYPE_F16) < 1e-3);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_of_every_architecture_are_those_of_llama),
        cmocka_unit_test(another_cache_is_seen),
    };
    if (!real_reference(&reference, LS_REF_LLAMA)) return TEST_SKIPPED;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
