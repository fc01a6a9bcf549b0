// SPDX-License-Identifier: MIT
/* test_ggml_live.c - our decoders, roundings and scalar products against the installed libggml, on
 * fresh blocks. What tests/golden/dtype fixes for one build is repeated here for the one that is
 * there; skipped, with the reason, where none is. The code books of the IQ formats, which libggml
 * prepares for quantising, take it most of a minute. */
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
#include "kernel/kernel.h"
#include "ref/ggml_lib.h"
#include "support/real_reference.h"

enum { N = 2048, ROUNDS = 40 };

static ggml_lib    ggml;
static const char *variant; /* of libggml's CPU library */

static void decodes_fresh_blocks_to_the_bits_of_the_installed_libggml(void **state)
{
    static float   ours[N], theirs[N];
    static uint8_t blocks[4 * N];
    rng            r = {2026};
    (void)state;
    for (size_t t = 0; t < ggml_n_formats; t++) {
        for (int round = 0; round < ROUNDS; round++) {
            ggml_lib_blocks(&ggml, &ggml_formats[t], &r, round & 1, blocks, N);
            assert_true(ggml_lib_decode(&ggml, &ggml_formats[t], blocks, theirs, N));
            ls_dtype_decode(ggml_formats[t].dtype, ours, blocks, N, 1.0f);
            if (memcmp(ours, theirs, sizeof(ours)) != 0) {
                fail_msg("%s, round %d: other values", ggml_formats[t].name, round);
            }
        }
    }
}

static void converts_halves_as_the_installed_libggml_does(void **state)
{
    (void)state;
    assert_true(ggml_hash_widen(ls_f16_to_f32) == ggml_hash_widen(ggml.f16_to_f32));
    assert_true(ggml_hash_widen(ls_bf16_to_f32) == ggml_hash_widen(ggml.bf16_to_f32));
    assert_true(ggml_hash_narrow(ls_f32_to_f16, ls_f16_to_f32) ==
                ggml_hash_narrow(ggml.f32_to_f16, ggml.f16_to_f32));
    assert_true(ggml_hash_narrow(ls_f32_to_bf16, ls_bf16_to_f32) ==
                ggml_hash_narrow(ggml.f32_to_bf16, ggml.bf16_to_f32));
}

/* Rows that make rounding hard: ordinary ones of every size, exact ties, zeros, one lone value. */
static void activation_row(rng *r, int round, float *x)
{
    rng_row(r, x, N, ldexpf(1.0f, (int)rng_below(r, 24) - 12));
    for (size_t i = 0; i < N; i += 256) {
        for (size_t j = i; j < i + 256 && round % 4 == 1; j++) { /* multiples of 0.5 below 127 */
            x[j] = 0.5f * (float)((int)rng_below(r, 507) - 253);
            if (j % 32 == 0) x[j] = rng_below(r, 2) ? 127.0f : -127.0f;
        }
        if (round % 4 == 2 && rng_below(r, 3) == 0) memset(x + i, 0, 256 * sizeof(*x));
        if (round % 4 == 3) {
            memset(x + i, 0, 256 * sizeof(*x));
            x[i + rng_below(r, 256)] = rng_unit(r);
        }
    }
}

static void rounds_activations_to_the_bytes_of_the_installed_libggml(void **state)
{
    static float   x[N];
    static uint8_t ours[8 * N], theirs[8 * N];
    ls_kernels     k = ls_kernels_for(LS_TIER_SCALAR);
    rng            r = {7};
    (void)state;
    for (size_t t = 0; t < ggml_n_formats; t++) {
        const ggml_format     *f = &ggml_formats[t];
        ls_act                 act = ls_dtype_act(f->dtype);
        const ggml_cpu_traits *traits = ggml.cpu_traits(f->dtype);
        const ggml_cpu_traits *operand = ggml.cpu_traits(traits->vec_dot_type);
        if (!traits->vec_dot) continue;
        for (int round = 0; round < ROUNDS; round++) {
            size_t bytes = act == LS_ACT_Q8_K   ? N / 256 * sizeof(ls_q8_k)
                           : act == LS_ACT_Q8_0 ? N / 32 * sizeof(ls_q8_0)
                           : act == LS_ACT_Q8_1 ? N / 32 * sizeof(ls_q8_1)
                                                : N * 2;
            activation_row(&r, round, x);
            memset(ours, 0, sizeof(ours));
            memset(theirs, 0,
                   sizeof(theirs)); /* libggml leaves the sums of a zero block as they are */
            ls_kernels_act(&k, (int)act)(ours, x, N);
            operand->from_float(x, theirs, N);
            for (size_t i = 0; i < bytes; i++) {
                if (ours[i] != theirs[i]) {
                    fail_msg("operand of %s, round %d: byte %zu is %u, not %u", f->name, round, i,
                             ours[i], theirs[i]);
                }
            }
        }
    }
}

/* Is one product of two vectors added in our order? Not where our order is that of libggml's matrix
 * kernels, which it takes for whole tensors (NUMERICS.md, clauses 4 and 9). */
static bool same_order(int dtype)
{
    return ls_dtype_block(dtype) > 1 && dtype != LS_DTYPE_Q4_0 && dtype != LS_DTYPE_Q4_K &&
           dtype != LS_DTYPE_IQ4_NL && dtype != LS_DTYPE_MXFP4;
}

/* Both products differ from each other by the order of their float sums at most. */
static void multiplies_as_the_installed_libggml_does(void **state)
{
    static float   x[N], w[N];
    static uint8_t blocks[4 * N], act[8 * N];
    ls_kernels     k = ls_kernels_for(LS_TIER_SCALAR);
    rng            r = {11};
    (void)state;
    for (size_t t = 0; t < ggml_n_formats; t++) {
        const ggml_format     *f = &ggml_formats[t];
        const ggml_cpu_traits *traits = ggml.cpu_traits(f->dtype);
        int                    n_same = 0;
        double                 worst = 0;
        if (!traits->vec_dot) continue; /* Q8_K: never a weight there */
        for (int round = 0; round < ROUNDS; round++) {
            float     theirs, ours;
            double    magnitude = 0;
            ls_matmul m = {.y = &ours,
                           .ldy = 1,
                           .w = blocks,
                           .n_rows = 1,
                           .x = act,
                           .n_cols = 1,
                           .n = N,
                           .w_scale = 1.0f,
                           .lanes = 8,
                           .follow = true};
            ggml_lib_blocks(&ggml, f, &r, false, blocks, N);
            rng_row(&r, x, N, 1.0f);
            ls_kernels_act(&k, (int)ls_dtype_act(f->dtype))(act, x, N);
            ls_dtype_decode(f->dtype, w, blocks, N, 1.0f);
            for (size_t i = 0; i < N; i++) magnitude += fabs((double)w[i] * (double)x[i]);
            traits->vec_dot(N, &theirs, 0, blocks, 0, act, 0, 1);
            ls_kernels_matmul(&k, f->dtype)(&m);
            n_same += memcmp(&ours, &theirs, 4) == 0;
            worst = fmax(worst, fabs((double)ours - (double)theirs) / magnitude);
        }
        print_message("%-7s %-8s %d of %d products have the same bits; worst difference %.1e\n",
                      f->name, variant, n_same, ROUNDS, worst);
        assert_true(worst <= 1e-6);
        if (same_order(f->dtype) && strcmp(variant, "x64") != 0) assert_int_equal(n_same, ROUNDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_fresh_blocks_to_the_bits_of_the_installed_libggml),
        cmocka_unit_test(converts_halves_as_the_installed_libggml_does),
        cmocka_unit_test(rounds_activations_to_the_bytes_of_the_installed_libggml),
        cmocka_unit_test(multiplies_as_the_installed_libggml_does),
    };
    ls_ref_status reference;
    int           rc;
    if (!real_reference(&reference, LS_REF_LLAMA)) return TEST_SKIPPED;
    variant = ls_tier_available(LS_TIER_AVX512) ? "skylakex"
              : ls_tier_available(LS_TIER_AVX2) ? "haswell"
                                                : "x64";
    if (!ggml_lib_open(&ggml, reference.lib_dir) ||
        !ggml_lib_open_cpu(&ggml, reference.lib_dir, variant)) {
        printf("SKIP: '%s' is not laid out as llama.cpp's packages are\n", reference.lib_dir);
        return TEST_SKIPPED;
    }
    rc = cmocka_run_group_tests(tests, NULL, NULL);
    ggml_lib_close(&ggml);
    return rc;
}
