// SPDX-License-Identifier: MIT
/* test_quant_live.c - our quantisers against the installed libggml: the same bytes for the same
 * floats and weights of importance, whatever the floats are like. Skipped, with the reason, where
 * no libggml is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dtype/dtype.h"
#include "quant/book.h"
#include "quant/quant_priv.h"
#include "ref/ggml_lib.h"
#include "support/real_reference.h"

enum { N = 1024, ROUNDS = 220 };

static ggml_lib ggml;

typedef void row_fn(const float *x, void *y, int64_t n);

static const struct {
    const char   *name;
    int           dtype;
    ls_encode_fn *encode;
    const char   *row; /* a function of libggml that ggml_quantize_chunk does not reach, or NULL */
    ls_encode_book_fn *with_book;
} types[] = {
    {"q1_0", 41, ls_encode_Q1_0, NULL, NULL},
    {"q2_0", 42, ls_encode_Q2_0, NULL, NULL},
    {"q4_0", 2, ls_encode_Q4_0, NULL, NULL},
    {"q4_1", 3, ls_encode_Q4_1, NULL, NULL},
    {"q5_0", 6, ls_encode_Q5_0, NULL, NULL},
    {"q5_1", 7, ls_encode_Q5_1, NULL, NULL},
    {"q8_0", 8, ls_encode_Q8_0, NULL, NULL},
    {"q8_1", 9, ls_encode_Q8_1, "quantize_row_q8_1_ref", NULL},
    {"q2_K", 10, ls_encode_Q2_K, NULL, NULL},
    {"q3_K", 11, ls_encode_Q3_K, NULL, NULL},
    {"q4_K", 12, ls_encode_Q4_K, NULL, NULL},
    {"q5_K", 13, ls_encode_Q5_K, NULL, NULL},
    {"q6_K", 14, ls_encode_Q6_K, NULL, NULL},
    {"q8_K", 15, ls_encode_Q8_K, "quantize_row_q8_K_ref", NULL},
    {"iq4_nl", 20, ls_encode_IQ4_NL, NULL, NULL},
    {"iq4_xs", 23, ls_encode_IQ4_XS, NULL, NULL},
    {"tq1_0", 34, ls_encode_TQ1_0, NULL, NULL},
    {"tq2_0", 35, ls_encode_TQ2_0, NULL, NULL},
    {"mxfp4", 39, ls_encode_MXFP4, NULL, NULL},
    {"nvfp4", 40, ls_encode_NVFP4, NULL, NULL},
    {"iq2_xxs", 16, NULL, NULL, ls_encode_IQ2_XXS},
    {"iq2_xs", 17, NULL, NULL, ls_encode_IQ2_XS},
    {"iq2_s", 22, NULL, NULL, ls_encode_IQ2_S},
    {"iq3_xxs", 18, NULL, NULL, ls_encode_IQ3_XXS},
    {"iq3_s", 21, NULL, NULL, ls_encode_IQ3_S},
    {"iq1_s", 19, NULL, NULL, ls_encode_IQ1_S},
    {"iq1_m", 29, NULL, NULL, ls_encode_IQ1_M},
};

/* One way of filling a row for each kind that has gone wrong in some quantiser. */
enum {
    BELL,
    CONSTANT,
    ZERO,
    TINY,
    LARGE,
    POSITIVE,
    TERNARY,
    HALVES,
    LONE,
    POWERS,
    EVERY_SIZE,
    N_KINDS,
};

static void fill(rng *r, int kind, float *x)
{
    static const float widths[N_KINDS] = {
        [BELL] = 0.05f, [TINY] = 1e-18f, [LARGE] = 1e17f, [POSITIVE] = 1};
    float one = rng_unit(r);
    if (widths[kind] != 0) rng_row(r, x, N, widths[kind]);
    for (size_t i = 0; i < N; i++) {
        switch (kind) {
        case CONSTANT:
            x[i] = one;
            break;
        case ZERO:
            x[i] = rng_below(r, 2) ? 0.0f : -0.0f;
            break;
        case POSITIVE:
            x[i] = fabsf(x[i]);
            break;
        case TERNARY:
            x[i] = (float)((int)rng_below(r, 3) - 1) * 0.37f;
            break;
        case HALVES: /* ties of all kinds */
            x[i] = 0.5f * (float)((int)rng_below(r, 511) - 255);
            break;
        case LONE:
            x[i] = rng_below(r, 200) ? 0 : rng_unit(r);
            break;
        case POWERS: /* at, above and below powers of two, which turn the exponent of MXFP4 */
            x[i] = ldexpf(1.0f, (int)(i / 32) - 16);
            x[i] = i % 32 ? 0 : rng_below(r, 3) ? nextafterf(x[i], (float)rng_below(r, 2)) : x[i];
            break;
        case EVERY_SIZE:
            if (i % 32 == 0) one = ldexpf(1.0f, (int)rng_below(r, 240) - 120);
            x[i] = one * rng_unit(r);
            break;
        default:
            break;
        }
    }
}

/* libggml's bytes; false: it has no way to use weights of importance here. */
static bool theirs_of(size_t t, const float *x, const float *importance, void *out)
{
    row_fn *row;
    void   *p;
    if (!types[t].row) {
        ggml.quantize_chunk(types[t].dtype, x, out, 0, 1, N, importance);
        return true;
    }
    p = dlsym(ggml.base, types[t].row);
    assert_non_null(p);
    memcpy(&row, &p, sizeof(row));
    row(x, out, N);
    return importance == NULL;
}

/* Rows that libggml's IQ types take: it ends the program where an error overflows, writes IQ3_S
 * wrong behind a group of zeros (src/quant/grid.c), and has IQ2_XXS and IQ2_XS only with
 * importance. */
static bool fits(size_t t, int kind, bool with_importance)
{
    int  dtype = types[t].dtype;
    bool zeros = kind == LONE || kind == POWERS || kind == HALVES;
    if (!types[t].with_book) return true;
    if (kind == LARGE || kind == EVERY_SIZE) return false;
    if (dtype == LS_DTYPE_IQ3_S && zeros) return false;
    return with_importance ||
           (dtype != LS_DTYPE_IQ2_XXS && dtype != LS_DTYPE_IQ2_XS && dtype != LS_DTYPE_IQ1_S);
}

/* Differing bytes over all kinds of rows; `spoil` changes one float of ours beforehand. */
static size_t differences(size_t t, bool with_importance, bool spoil, bool report)
{
    static float   x[N], importance[N];
    static uint8_t ours[4 * N], theirs[4 * N];
    size_t         bytes = ls_dtype_row_bytes(types[t].dtype, N), n = 0;
    rng            r = {77 + t};
    ls_book       *book = NULL;
    if (types[t].with_book) {
        assert_int_equal(ls_book_create(&book, types[t].dtype, NULL), LS_OK);
    }
    for (int round = 0; round < ROUNDS; round++) {
        size_t here = 0;
        fill(&r, round % N_KINDS, x);
        if (!fits(t, round % N_KINDS, with_importance)) continue;
        for (size_t i = 0; i < N; i++) importance[i] = fabsf(rng_unit(&r)) + (i % 7 ? 0.01f : 0);
        memset(ours, 0, sizeof(ours));
        memset(theirs, 0, sizeof(theirs));
        if (!theirs_of(t, x, with_importance ? importance : NULL, theirs)) break;
        if (spoil) x[N / 2] = x[N / 2] == 0 ? 1.0f : -x[N / 2];
        if (book)
            types[t].with_book(book, ours, x, N, with_importance ? importance : NULL);
        else
            types[t].encode(ours, x, N, with_importance ? importance : NULL);
        for (size_t i = 0; i < bytes; i++) here += ours[i] != theirs[i];
        if (here && report) {
            print_message("%s, kind %d%s: %zu bytes differ\n", types[t].name, round % N_KINDS,
                          with_importance ? ", importance" : "", here);
        }
        n += here;
    }
    ls_book_destroy(book);
    return n;
}

static void quantises_to_the_bytes_of_the_installed_libggml(void **state)
{
    size_t n = 0;
    (void)state;
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        n += differences(t, false, false, true);
    }
    assert_int_equal(n, 0);
}

static void quantises_with_importance_to_the_bytes_of_the_installed_libggml(void **state)
{
    size_t n = 0;
    (void)state;
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        n += differences(t, true, false, true);
    }
    assert_int_equal(n, 0);
}

static void one_other_float_is_noticed_in_every_type(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        assert_true(differences(t, types[t].with_book != NULL, true, false) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantises_to_the_bytes_of_the_installed_libggml),
        cmocka_unit_test(quantises_with_importance_to_the_bytes_of_the_installed_libggml),
        cmocka_unit_test(one_other_float_is_noticed_in_every_type),
    };
    ls_ref_status reference;
    int           rc;
    if (!real_reference(&reference, LS_REF_LLAMA)) return TEST_SKIPPED;
    if (!ggml_lib_open(&ggml, reference.lib_dir)) {
        printf("SKIP: '%s' is not laid out as llama.cpp's packages are\n", reference.lib_dir);
        return TEST_SKIPPED;
    }
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    ggml_lib_close(&ggml);
    return rc;
}
