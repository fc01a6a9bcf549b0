// SPDX-License-Identifier: MIT
/* test_ternary_weights.c - the I2_S and the TQ2_0 file of one model hold the weights of its F16
 * file, which are exactly {-s, 0, +s}: every one of them, to the last bit. Needs the shared models.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtype/dtype.h"
#include "lockstep/gguf.h"
#include "support/real_reference.h"

static ls_gguf *f16, *i2s, *tq2;

static float *decode(const ls_tensor *t, size_t n)
{
    float *x = malloc(n * sizeof(*x));
    assert_non_null(x);
    assert_non_null(t->data);
    ls_dtype_decode(t->dtype, x, t->data, n, ls_dtype_tensor_scale(t->dtype, t->data, n));
    return x;
}

/* Number of weights of `type` in g that are not bit for bit those of the F16 file; -0 and +0 are
 * one. */
static size_t compare(const ls_gguf *g, int type, size_t *n_compared)
{
    size_t n_wrong = 0;
    *n_compared = 0;
    for (size_t i = 0; i < ls_gguf_n_tensors(g); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(g, i), *u;
        size_t           n = (size_t)(t->ne[0] * t->ne[1]);
        char             name[128];
        float           *a, *b;
        if (t->dtype != type) continue;
        snprintf(name, sizeof(name), "%.*s", LS_FMT(t->name));
        u = ls_gguf_tensor(f16, name);
        assert_non_null(u);
        assert_int_equal(u->dtype, LS_DTYPE_F16);
        a = decode(t, n);
        b = decode(u, n);
        for (size_t j = 0; j < n; j++) n_wrong += a[j] != b[j];
        *n_compared += n;
        free(a);
        free(b);
    }
    return n_wrong;
}

static void holds_in_I2_S_every_weight_of_the_F16_file(void **state)
{
    size_t n;
    (void)state;
    assert_int_equal(compare(i2s, LS_DTYPE_I2_S, &n), 0);
    print_message("%zu weights\n", n);
    assert_true(n > 4000000);
}

static void holds_in_TQ2_0_every_weight_of_the_F16_file(void **state)
{
    size_t n;
    (void)state;
    assert_int_equal(compare(tq2, LS_DTYPE_TQ2_0, &n), 0);
    assert_true(n > 4000000);
}

static void has_ternary_weights_with_scales_exact_in_F16(void **state)
{
    size_t n_tensors = 0;
    (void)state;
    for (size_t i = 0; i < ls_gguf_n_tensors(i2s); i++) {
        const ls_tensor *t = ls_gguf_tensor_at(i2s, i);
        size_t           n = (size_t)(t->ne[0] * t->ne[1]), seen[3] = {0};
        float            s, *x;
        if (t->dtype != LS_DTYPE_I2_S) continue;
        s = ls_dtype_tensor_scale(t->dtype, t->data, n);
        assert_true(s > 0 && ls_f16_to_f32(ls_f32_to_f16(s)) == s);
        x = decode(t, n);
        for (size_t j = 0; j < n; j++) {
            assert_true(x[j] == 0 || x[j] == s || x[j] == -s);
            seen[x[j] < 0 ? 0 : x[j] > 0 ? 2 : 1]++;
        }
        assert_true(seen[0] && seen[1] && seen[2]);
        free(x);
        n_tensors++;
    }
    assert_true(n_tensors >= 7 * 6);
}

/* The comparison can fail: against another model's file it finds differences. */
static void would_notice_other_weights(void **state)
{
    const ls_tensor *t = NULL;
    size_t           n;
    float           *a, *b;
    (void)state;
    for (size_t i = 0; i < ls_gguf_n_tensors(i2s) && !t; i++) {
        if (ls_gguf_tensor_at(i2s, i)->dtype == LS_DTYPE_I2_S) t = ls_gguf_tensor_at(i2s, i);
    }
    assert_non_null(t);
    n = (size_t)(t->ne[0] * t->ne[1]);
    a = decode(t, n);
    b = malloc(n * sizeof(*b));
    assert_non_null(b);
    ls_dtype_decode(t->dtype, b, t->data, n, nextafterf(a[0] != 0 ? fabsf(a[0]) : 1, 2));
    assert_int_not_equal(memcmp(a, b, n * sizeof(*a)), 0);
    free(a);
    free(b);
}

static ls_gguf *open_shared(const char *name)
{
    char     path[4096];
    ls_gguf *g;
    ls_error err = {0};
    if (!shared_file(path, sizeof(path), name)) return NULL;
    if (ls_gguf_open(&g, path, &err) != LS_OK) {
        fprintf(stderr, "%s: %s\n", path, err.what);
        exit(1);
    }
    return g;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_in_I2_S_every_weight_of_the_F16_file),
        cmocka_unit_test(holds_in_TQ2_0_every_weight_of_the_F16_file),
        cmocka_unit_test(has_ternary_weights_with_scales_exact_in_F16),
        cmocka_unit_test(would_notice_other_weights),
    };
    int rc;
    f16 = open_shared("models/fables-bitnet-5m-F16.gguf");
    i2s = f16 ? open_shared("models/fables-bitnet-5m-I2_S.gguf") : NULL;
    tq2 = i2s ? open_shared("models/fables-bitnet-5m-TQ2_0.gguf") : NULL;
    if (!tq2) {
        ls_gguf_close(f16);
        ls_gguf_close(i2s);
        return TEST_SKIPPED;
    }
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    ls_gguf_close(f16);
    ls_gguf_close(i2s);
    ls_gguf_close(tq2);
    return rc;
}
