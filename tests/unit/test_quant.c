// SPDX-License-Identifier: MIT
/* test_quant.c - quantisers against the blocks that libggml wrote (tests/golden/dtype) from floats
 * that any machine can make again, I2_S against a file of bitnet.cpp, and what is refused. */
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
#include "lockstep/quant.h"
#include "ref/ggml_lib.h"
#include "support/files.h"

enum { N = 512 };

/* The floats of a golden file: the generator's seed is its place in the list (ggml_golden.c). */
static void floats_of(size_t t, float *x, float *importance)
{
    rng r = {0x1057e9 + t};
    rng_row(&r, x, N, 0.05f);
    for (size_t i = 0; i < N; i++) importance[i] = 0.05f + fabsf(rng_unit(&r));
}

static size_t compare_with_golden(size_t t, const float *x, const float *importance)
{
    const ggml_format *f = &ggml_formats[t];
    uint8_t            ours[4 * N];
    size_t             n_file, bytes = N / f->block * f->bytes, n = 0;
    uint8_t           *theirs;
    char               path[512];
    ls_error           err = {0};
    snprintf(path, sizeof(path), LS_SOURCE_DIR "/tests/golden/dtype/%s.blocks", f->name);
    theirs = file_read(path, &n_file);
    assert_int_equal(n_file, 2 * bytes);
    if (!f->importance) importance = NULL;
    if (ls_quantize(f->dtype, ours, x, 1, N, importance, &err) != LS_OK) {
        fail_msg("%s: %s", f->name, err.what);
    }
    for (size_t i = 0; i < bytes; i++) n += ours[i] != theirs[i];
    free(theirs);
    return n;
}

static void quantises_to_the_golden_blocks_of_libggml(void **state)
{
    size_t n_compared = 0;
    float  x[N], importance[N];
    (void)state;
    for (size_t t = 0; t < ggml_n_formats; t++) {
        if (!ls_quant_supported(ggml_formats[t].dtype)) continue;
        floats_of(t, x, importance);
        if (compare_with_golden(t, x, importance))
            fail_msg("%s: other bytes", ggml_formats[t].name);
        x[100] = -3.0f;
        if (!compare_with_golden(t, x, importance))
            fail_msg("%s: anything passes", ggml_formats[t].name);
        n_compared++;
    }
    assert_int_equal(n_compared, 28);
}

/* bitnet.cpp wrote one file, llama.cpp the other, from the same weights. */
static void writes_I2_S_as_bitnet_cpp_does(void **state)
{
    ls_gguf *a, *b;
    size_t   n_tensors = 0;
    (void)state;
    assert_int_equal(ls_gguf_open(&a, LS_SOURCE_DIR "/models/fables-bitnet-5m-I2_S.gguf", NULL),
                     LS_OK);
    assert_int_equal(ls_gguf_open(&b, LS_SOURCE_DIR "/models/fables-bitnet-5m-TQ2_0.gguf", NULL),
                     LS_OK);
    for (size_t i = 0; i < ls_gguf_n_tensors(a); i++) {
        const ls_tensor *x = ls_gguf_tensor_at(a, i), *y;
        char             name[128];
        size_t           n = (size_t)(x->ne[0] * x->ne[1]);
        float           *values;
        uint8_t         *blocks;
        if (x->dtype != LS_DTYPE_I2_S) continue;
        snprintf(name, sizeof(name), "%.*s", LS_FMT(x->name));
        y = ls_gguf_tensor(b, name);
        assert_non_null(y);
        values = malloc(n * sizeof(*values));
        blocks = malloc(x->n_bytes);
        assert_true(values && blocks);
        ls_dtype_decode(y->dtype, values, y->data, n, 1.0f);
        assert_int_equal(ls_quant_bytes(LS_DTYPE_I2_S, (size_t)x->ne[1], (size_t)x->ne[0]),
                         x->n_bytes);
        assert_int_equal(ls_quantize(LS_DTYPE_I2_S, blocks, values, (size_t)x->ne[1],
                                     (size_t)x->ne[0], NULL, NULL),
                         LS_OK);
        assert_memory_equal(blocks, x->data, n / 4 + 4); /* the rest of the tail is undefined */
        n_tensors++;
        free(values);
        free(blocks);
    }
    assert_true(n_tensors > 20);
    ls_gguf_close(a);
    ls_gguf_close(b);
}

static void plain_types_are_rounded_once(void **state)
{
    const float x[3] = {1.0f + 0x1p-11f, 1.0f + 0x1p-9f, -65504.0f};
    uint16_t    h[3];
    float       f[3];
    (void)state;
    assert_int_equal(ls_quantize(LS_DTYPE_F32, f, x, 1, 3, NULL, NULL), LS_OK);
    assert_memory_equal(f, x, sizeof(x));
    assert_int_equal(ls_quantize(LS_DTYPE_F16, h, x, 3, 1, NULL, NULL), LS_OK);
    assert_true(h[0] == 0x3c00 && h[1] == 0x3c02 && h[2] == 0xfbff); /* a tie goes to even */
    assert_int_equal(ls_quantize(LS_DTYPE_BF16, h, x, 1, 2, NULL, NULL), LS_OK);
    assert_true(h[0] == 0x3f80 && h[1] == 0x3f80);
}

static void refuse(int dtype, float value, ls_status status, const char *what, const char *where)
{
    float    x[N] = {0};
    uint8_t  out[4 * N];
    ls_error err = {0};
    for (size_t i = 0; i < N; i++) x[i] = (float)((int)(i % 3) - 1);
    x[N / 2 + 7] = value;
    assert_int_equal(ls_quantize(dtype, out, x, 2, N / 2, NULL, &err), status);
    if (!strstr(err.what, what) || !strstr(err.where, where)) {
        fail_msg("%s (%s)", err.what, err.where);
    }
}

static void refuses_what_it_cannot_hold(void **state)
{
    const char *at = "row 1, column 7";
    float       x[N] = {0}, importance[N] = {0};
    uint8_t     out[4 * N];
    ls_error    err = {0};
    (void)state;
    refuse(LS_DTYPE_Q4_K, NAN, LS_ERR_UNSUPPORTED, "no finite number", at);
    refuse(LS_DTYPE_F32, INFINITY, LS_ERR_UNSUPPORTED, "no finite number", at);
    refuse(LS_DTYPE_F16, 7e4f, LS_ERR_UNSUPPORTED, "beyond the range", at);
    refuse(LS_DTYPE_Q8_0, 1e8f, LS_ERR_UNSUPPORTED, "beyond the range", "row 1");
    refuse(LS_DTYPE_I2_S, 0.5f, LS_ERR_UNSUPPORTED, "weights are not -s, 0 and s", at);
    refuse(LS_DTYPE_I32, 1, LS_ERR_USAGE, "i32", "");
    refuse(LS_DTYPE_IQ2_XS, 1, LS_ERR_USAGE, "needs weights of importance", "");
    refuse(4, 1, LS_ERR_USAGE, "a type that does not exist", "");
    assert_int_equal(ls_quantize(LS_DTYPE_Q8_0, out, x, 1, 33, NULL, &err), LS_ERR_USAGE);
    importance[3] = -1;
    assert_int_equal(ls_quantize(LS_DTYPE_Q4_0, out, x, 1, N, importance, NULL),
                     LS_ERR_UNSUPPORTED);
    importance[3] = 0; /* no weight at all: still some bytes */
    assert_int_equal(ls_quantize(LS_DTYPE_Q4_K, out, x, 1, N, importance, NULL), LS_OK);
}

static void knows_what_it_can_write(void **state)
{
    (void)state;
    assert_true(ls_quant_supported(LS_DTYPE_Q8_0) && !ls_quant_uses_importance(LS_DTYPE_Q8_0));
    assert_true(ls_quant_supported(LS_DTYPE_Q5_K) && ls_quant_uses_importance(LS_DTYPE_Q5_K));
    assert_true(ls_quant_supported(LS_DTYPE_IQ2_XS) && ls_quant_uses_importance(LS_DTYPE_IQ2_XS));
    assert_false(ls_quant_supported(LS_DTYPE_I32) || ls_quant_uses_importance(LS_DTYPE_I32));
    assert_false(ls_quant_supported(4));
    assert_int_equal(ls_quant_bytes(LS_DTYPE_Q6_K, 3, 512), 3 * 2 * 210);
    assert_int_equal(ls_quant_bytes(LS_DTYPE_I2_S, 3, 256), 3 * 64 + 32);
    assert_int_equal(ls_quant_bytes(LS_DTYPE_Q6_K, 3, 500), 0);
    assert_int_equal(ls_quant_bytes(LS_DTYPE_F32, SIZE_MAX / 2, 4), 0);
    assert_int_equal(ls_quant_bytes(LS_DTYPE_I16, 1, 256), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantises_to_the_golden_blocks_of_libggml),
        cmocka_unit_test(writes_I2_S_as_bitnet_cpp_does),
        cmocka_unit_test(plain_types_are_rounded_once),
        cmocka_unit_test(refuses_what_it_cannot_hold),
        cmocka_unit_test(knows_what_it_can_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
