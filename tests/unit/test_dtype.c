// SPDX-License-Identifier: MIT
/* test_dtype.c - decoders of every block format against blocks and floats that libggml wrote
 * (tests/golden/dtype), half-precision conversions against hashes of libggml's, and sizes. */
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
#include "ref/ggml_lib.h"
#include "support/files.h"

#define GOLDEN LS_SOURCE_DIR "/tests/golden/dtype/"

enum { N = 1024 };

static uint8_t *golden(const char *name, const char *ext, size_t *n)
{
    char path[512];
    snprintf(path, sizeof(path), GOLDEN "%s.%s", name, ext);
    return file_read(path, n);
}

/* Index of the first element that decodes to other bits than libggml gave, or N. */
static size_t first_difference(const ggml_format *f, const void *blocks, const float *expected)
{
    float got[N];
    ls_dtype_decode(f->dtype, got, blocks, N, 1.0f);
    for (size_t i = 0; i < N; i++) {
        if (memcmp(&got[i], &expected[i], 4) != 0) return i;
    }
    return N;
}

static void decodes_every_block_to_the_bits_that_libggml_gives(void **state)
{
    (void)state;
    for (size_t t = 0; t < ggml_n_formats; t++) {
        const ggml_format *f = &ggml_formats[t];
        size_t             n_blocks, n_values, at;
        uint8_t           *blocks = golden(f->name, "blocks", &n_blocks);
        uint8_t           *values = golden(f->name, "f32", &n_values);
        float              expected[N];
        assert_int_equal(n_blocks, N / f->block * f->bytes);
        assert_int_equal(n_values, sizeof(expected));
        memcpy(expected, values, sizeof(expected));
        at = first_difference(f, blocks, expected);
        if (at != N) fail_msg("%s: element %zu is not %a", f->name, at, (double)expected[at]);
        free(blocks);
        free(values);
    }
}

/* The comparison itself must be able to say no: one wrong bit in any byte of the quantised half is
 * one too many. (In the random half a scale can be too small to be seen beside the other.) */
static void notices_each_wrong_byte_of_blocks_and_of_values(void **state)
{
    (void)state;
    for (size_t t = 0; t < ggml_n_formats; t++) {
        const ggml_format *f = &ggml_formats[t];
        size_t             n_blocks, n_values;
        uint8_t           *blocks = golden(f->name, "blocks", &n_blocks);
        uint8_t           *values = golden(f->name, "f32", &n_values);
        float              expected[N];
        for (size_t i = 0; i < n_blocks / 2; i++) {
            /* a digit of base 3 has room for more than one byte; Q8_K's sums are not decoded */
            uint8_t bit = f->dtype == LS_DTYPE_TQ1_0 ? 16 : 1;
            if (f->dtype == LS_DTYPE_Q8_K && i % f->bytes >= 260) continue;
            memcpy(expected, values, sizeof(expected));
            blocks[i] ^= bit;
            if (first_difference(f, blocks, expected) == N) {
                fail_msg("%s: byte %zu of the blocks does not matter", f->name, i);
            }
            blocks[i] ^= bit;
        }
        for (size_t i = 0; i < n_values; i += 97) {
            memcpy(expected, values, sizeof(expected));
            ((uint8_t *)expected)[i] ^= 1;
            assert_int_equal(first_difference(f, blocks, expected), i / 4);
        }
        free(blocks);
        free(values);
    }
}

/* libggml has no decoder of Q8_1: it is Q8_0 with a sum between scale and numbers. */
static void decodes_Q8_1_as_the_Q8_0_that_it_contains(void **state)
{
    size_t   n_blocks, n_values;
    uint8_t *blocks = golden("q8_0", "blocks", &n_blocks);
    uint8_t *values = golden("q8_0", "f32", &n_values);
    uint8_t  other[N / 32 * 36];
    float    got[N];
    (void)state;
    assert_int_equal(n_blocks, N / 32 * 34);
    for (size_t b = 0; b < N / 32; b++) {
        memcpy(other + 36 * b, blocks + 34 * b, 2);
        memset(other + 36 * b + 2, 0x5a, 2);
        memcpy(other + 36 * b + 4, blocks + 34 * b + 2, 32);
    }
    ls_dtype_decode(LS_DTYPE_Q8_1, got, other, N, 1.0f);
    assert_memory_equal(got, values, sizeof(got));
    free(blocks);
    free(values);
}

static void decodes_plain_numbers_by_one_rounding(void **state)
{
    const int8_t  b[3] = {-128, 127, 5};
    const int16_t h[3] = {-32768, 32767, 5};
    const int32_t w[3] = {INT32_MIN, 16777217, 5}; /* 2^24 + 1 is a tie: to even */
    const int64_t l[3] = {INT64_MIN, 16777219, 5};
    const double  d[3] = {-1e300, 1 + 0x1p-24, 0x1p-150};
    float         x[3];
    (void)state;
    ls_dtype_decode(LS_DTYPE_I8, x, b, 3, 1.0f);
    assert_true(x[0] == -128 && x[1] == 127 && x[2] == 5);
    ls_dtype_decode(LS_DTYPE_I16, x, h, 3, 1.0f);
    assert_true(x[0] == -32768 && x[1] == 32767 && x[2] == 5);
    ls_dtype_decode(LS_DTYPE_I32, x, w, 3, 1.0f);
    assert_true(x[0] == -0x1p31f && x[1] == 16777216 && x[2] == 5);
    ls_dtype_decode(LS_DTYPE_I64, x, l, 3, 1.0f);
    assert_true(x[0] == -0x1p63f && x[1] == 16777220 && x[2] == 5);
    ls_dtype_decode(LS_DTYPE_F64, x, d, 3, 1.0f);
    assert_true(x[0] == -INFINITY && x[1] == 1 && x[2] == 0);
    ls_dtype_decode(LS_DTYPE_F32, x, &(float){2.5f}, 1, 1.0f);
    assert_true(x[0] == 2.5f);
}

/* One row for each type of the table: none is left without expected values. */
static void the_table_and_these_tests_speak_of_the_same_types(void **state)
{
    static const int here[] = {LS_DTYPE_F32,  LS_DTYPE_F64,  LS_DTYPE_I8,
                               LS_DTYPE_I16,  LS_DTYPE_I32,  LS_DTYPE_I64,
                               LS_DTYPE_Q8_1, LS_DTYPE_I2_S, LS_DTYPE_TL1 /* test_packed.c */};
    (void)state;
    for (int id = 0; id < 64; id++) {
        bool known = false;
        for (size_t t = 0; t < ggml_n_formats; t++) known |= ggml_formats[t].dtype == id;
        for (size_t t = 0; t < sizeof(here) / sizeof(here[0]); t++) known |= here[t] == id;
        if (known != ls_dtype_supported(id)) fail_msg("type %d", id);
    }
}

static uint16_t truncating_f16(float f)
{
    uint16_t h = ls_f32_to_f16(f);
    return h && (h & 1) ? (uint16_t)(h - 1) : h;
}

static void converts_every_half_as_libggml_does(void **state)
{
    size_t             n;
    uint8_t           *text = golden("halves", "txt", &n);
    unsigned long long want[4];
    char               copy[512] = {0};
    (void)state;
    memcpy(copy, text, n < sizeof(copy) ? n : sizeof(copy) - 1);
    assert_int_equal(sscanf(copy,
                            "f16_to_f32 %llx f32_to_f16 %llx bf16_to_f32 %llx f32_to_bf16 %llx",
                            &want[0], &want[1], &want[2], &want[3]),
                     4);
    assert_true(ggml_hash_widen(ls_f16_to_f32) == want[0]);
    assert_true(ggml_hash_narrow(ls_f32_to_f16, ls_f16_to_f32) == want[1]);
    assert_true(ggml_hash_widen(ls_bf16_to_f32) == want[2]);
    assert_true(ggml_hash_narrow(ls_f32_to_bf16, ls_bf16_to_f32) == want[3]);
    assert_false(ggml_hash_narrow(truncating_f16, ls_f16_to_f32) == want[1]);
    free(text);
}

/* I2_S has no decoder in libggml: bitnet.cpp's tool wrote this file from the weights that
 * llama.cpp's tool wrote as TQ2_0, and both must mean the same ternary numbers. */
static void decodes_I2_S_to_the_weights_of_the_TQ2_0_file(void **state)
{
    ls_gguf *a, *b;
    size_t   n_compared = 0;
    (void)state;
    assert_int_equal(ls_gguf_open(&a, LS_SOURCE_DIR "/models/fables-bitnet-5m-I2_S.gguf", NULL),
                     LS_OK);
    assert_int_equal(ls_gguf_open(&b, LS_SOURCE_DIR "/models/fables-bitnet-5m-TQ2_0.gguf", NULL),
                     LS_OK);
    for (size_t i = 0; i < ls_gguf_n_tensors(a); i++) {
        const ls_tensor *x = ls_gguf_tensor_at(a, i), *y;
        char             name[128];
        size_t           n = (size_t)(x->ne[0] * x->ne[1]);
        float           *vx, *vy;
        if (x->dtype != LS_DTYPE_I2_S) continue;
        snprintf(name, sizeof(name), "%.*s", LS_FMT(x->name));
        y = ls_gguf_tensor(b, name);
        assert_non_null(y);
        assert_int_equal(y->dtype, LS_DTYPE_TQ2_0);
        vx = malloc(2 * n * sizeof(*vx));
        assert_non_null(vx);
        vy = vx + n;
        ls_dtype_decode(x->dtype, vx, x->data, n, ls_dtype_tensor_scale(x->dtype, x->data, n));
        ls_dtype_decode(y->dtype, vy, y->data, n, 1.0f);
        for (size_t j = 0; j < n; j++) { /* -0 and +0 are one weight */
            if (vx[j] != vy[j])
                fail_msg("%s: weight %zu: %a, %a", name, j, (double)vx[j], (double)vy[j]);
        }
        n_compared += n;
        free(vx);
    }
    assert_true(n_compared > 4000000);
    ls_gguf_close(a);
    ls_gguf_close(b);
}

static void knows_the_sizes_of_rows_and_refuses_what_is_no_multiple_of_a_block(void **state)
{
    (void)state;
    for (size_t t = 0; t < ggml_n_formats; t++) {
        const ggml_format *f = &ggml_formats[t];
        assert_true(ls_dtype_supported(f->dtype));
        assert_string_equal(ls_dtype_name(f->dtype), f->name);
        assert_int_equal(ls_dtype_block(f->dtype), f->block);
        assert_int_equal(ls_dtype_block_bytes(f->dtype), f->bytes);
        assert_int_equal(ls_dtype_row_bytes(f->dtype, 512), 512 / f->block * f->bytes);
        assert_int_equal(ls_dtype_tensor_bytes(f->dtype, 512), 512 / f->block * f->bytes);
        if (f->block > 1) assert_int_equal(ls_dtype_row_bytes(f->dtype, f->block + 1), 0);
        if (f->bytes > f->block) assert_int_equal(ls_dtype_row_bytes(f->dtype, SIZE_MAX - 255), 0);
    }
    assert_int_equal(ls_dtype_tensor_bytes(LS_DTYPE_I2_S, 256), 64 + 32);
    assert_int_equal(ls_dtype_row_bytes(LS_DTYPE_I2_S, 256), 64);
    assert_int_equal(ls_dtype_row_bytes(4, 256), 0); /* given up by llama.cpp */
    assert_false(ls_dtype_supported(4));
    assert_null(ls_dtype_name(4));
    assert_null(ls_dtype_name(-1));
    assert_false(ls_dtype_supported(1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_every_block_to_the_bits_that_libggml_gives),
        cmocka_unit_test(notices_each_wrong_byte_of_blocks_and_of_values),
        cmocka_unit_test(decodes_Q8_1_as_the_Q8_0_that_it_contains),
        cmocka_unit_test(decodes_plain_numbers_by_one_rounding),
        cmocka_unit_test(the_table_and_these_tests_speak_of_the_same_types),
        cmocka_unit_test(converts_every_half_as_libggml_does),
        cmocka_unit_test(decodes_I2_S_to_the_weights_of_the_TQ2_0_file),
        cmocka_unit_test(knows_the_sizes_of_rows_and_refuses_what_is_no_multiple_of_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
