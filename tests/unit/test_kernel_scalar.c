// SPDX-License-Identifier: MIT
/* test_kernel_scalar.c - the scalar kernels, which define all others, against arithmetic that is
 * not ours: the C library in double and long double, the compiler's _Float16, and sums of
 * decoded values in double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dtype/dtype.h"
#include "dtype/strips.h"
#include "kernel/kernel.h"
#include "kernel/mathd.h"
#include "kernel/numeric_inl.h"

enum { N = 1024 };

static uint64_t state = 42;

/* Uniform in [-1, 1). */
static float uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(state >> 32) * 0x1p-31f;
}

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = uniform();
}

/* ---- elementary functions ---- */

static double ulp_error(float got, double want)
{
    double ulp = fabs(want) >= 0x1p-126 ? ldexp(1, ilogb(want) - 23) : 0x1p-149;
    return fabs((double)got - want) / ulp;
}

static void expf_stays_within_its_bound_of_the_c_library(void **unused)
{
    (void)unused;
    for (int lanes = 8; lanes <= 16; lanes += 8) {
        double worst = 0;
        for (uint32_t u = 0; u < 0xfffff000; u += 4001) {
            float x = ls_bits_f32(u), y;
            if (isnan(x) || x > 88.72283f) continue;
            y = ls_expf(x, lanes);
            if (ulp_error(y, exp((double)x)) > worst) worst = ulp_error(y, exp((double)x));
        }
        assert_true(worst > 0.5 && worst < 2.3);
    }
}

static void expf_meets_its_edges_exactly(void **unused)
{
    (void)unused;
    for (int lanes = 8; lanes <= 16; lanes += 8) {
        assert_true(ls_expf(0.0f, lanes) == 1.0f && ls_expf(-0.0f, lanes) == 1.0f);
        assert_true(isnan(ls_expf(NAN, lanes)) && isinf(ls_expf(INFINITY, lanes)));
        assert_true(ls_expf(-INFINITY, lanes) == 0.0f && ls_expf(-104.0f, lanes) == 0.0f);
        assert_true(isfinite(ls_expf(88.72283f, lanes)) && isinf(ls_expf(88.72284f, lanes)));
        assert_true(ls_expf(-103.97f, lanes) == 0x1p-149f);
    }
}

/* Whatever the C library is, its expf errs by less than one unit in the last place; glibc's is this
 * very algorithm. */
static void exp_f_is_the_c_librarys(void **unused)
{
    size_t n = 0, n_equal = 0;
    (void)unused;
    for (uint32_t u = 0; u < 0xfffff000; u += 1009) {
        float x = ls_bits_f32(u), y, want;
        if (isnan(x) || fabsf(x) > 88.0f) continue;
        y = ls_exp_f(x), want = expf(x);
        assert_true(ulp_error(y, exp((double)x)) < 0.51);
        n++, n_equal += y == want;
    }
    assert_true(n > 1000000);
#if defined(__GLIBC__)
    assert_true(n_equal == n);
#endif
    assert_true(isnan(ls_exp_f(NAN)) && isinf(ls_exp_f(88.8f)) && ls_exp_f(-104.0f) == 0.0f);
    assert_true(isinf(ls_exp_f(INFINITY)) && ls_exp_f(-INFINITY) == 0.0f && ls_exp_f(0.0f) == 1.0f);
}

static double relative(double got, long double want)
{
    return want == 0 ? fabs(got) : (double)fabsl(((long double)got - want) / want);
}

static void double_exp_log_and_pow_agree_with_the_long_double_library(void **unused)
{
    (void)unused;
    for (int i = 0; i < 200000; i++) {
        double x = 700.0 * (double)uniform(), p = exp(40.0 * (double)uniform());
        double base = 1.0 + 2e6 * fabs((double)uniform()), e = (double)uniform();
        assert_true(relative(ls_exp_d(x), expl((long double)x)) < 0x1p-51);
        assert_true(relative(ls_log_d(p), logl((long double)p)) < 0x1p-50);
        assert_true(relative(ls_pow_d(base, e), powl((long double)base, (long double)e)) <
                    0x1p-51 * (2 + fabs(e * log(base))));
    }
    assert_true(ls_pow_d(10000.0, 0.0) == 1.0 && ls_exp_d(0.0) == 1.0 && ls_log_d(1.0) == 0.0);
    assert_true(isinf(ls_exp_d(710.0)) && ls_exp_d(-800.0) == 0.0 && isnan(ls_exp_d((double)NAN)));
    assert_true(isnan(ls_log_d(-1.0)) && isinf(ls_log_d(0.0)));
    assert_true(relative(ls_log_d(0x1p-1070), -1070.0L * logl(2.0L)) < 0x1p-50);
}

static void sine_and_cosine_agree_with_the_long_double_library(void **unused)
{
    (void)unused;
    for (int i = 0; i < 400000; i++) {
        double range = i % 2 ? 0x1p20 : 0x1p31, bound = i % 2 ? 0x1p-51 : 1e-12, s, c;
        double x = i % 4 == 2 ? 10.0 * (double)uniform() : range * (double)uniform();
        ls_sincos_d(x, &s, &c);
        assert_true(fabsl((long double)s - sinl((long double)x)) < (long double)bound);
        assert_true(fabsl((long double)c - cosl((long double)x)) < (long double)bound);
    }
    double s, c;
    ls_sincos_d(0.0, &s, &c);
    assert_true(s == 0.0 && c == 1.0);
    ls_sincos_d((double)INFINITY, &s, &c);
    assert_true(isnan(s) && isnan(c));
}

#if defined(__FLT16_MAX__)
__extension__ typedef _Float16 half;

static void f16_conversion_agrees_with_the_compiler(void **unused)
{
    (void)unused;
    for (uint32_t h = 0; h < 0x10000; h++) {
        uint16_t bits = (uint16_t)h;
        half     v;
        memcpy(&v, &bits, 2);
        if (isnan((float)v)) {
            assert_true(isnan(ls_f16_to_f32(bits)));
        } else {
            assert_true(ls_f32_bits(ls_f16_to_f32(bits)) == ls_f32_bits((float)v));
        }
    }
    for (uint64_t u = 0; u < 0x100000000; u += 977) {
        float    f = ls_bits_f32((uint32_t)u);
        half     v = (half)f;
        uint16_t bits;
        memcpy(&bits, &v, 2);
        if (!isnan(f)) assert_int_equal(ls_f32_to_f16(f), bits);
    }
    assert_true(isnan(ls_f16_to_f32(ls_f32_to_f16(NAN))));
}
#endif

/* ---- products ---- */

static const struct {
    int    dtype;
    size_t scale[2]; /* where the F16 scales of a block are */
    size_t n_scales;
} types[] = {
    {LS_DTYPE_F32, {0}, 0},     {LS_DTYPE_F16, {0}, 0},       {LS_DTYPE_BF16, {0}, 0},
    {LS_DTYPE_Q4_0, {0}, 1},    {LS_DTYPE_Q8_0, {0}, 1},      {LS_DTYPE_Q4_K, {0, 2}, 2},
    {LS_DTYPE_Q6_K, {208}, 1},  {LS_DTYPE_TQ2_0, {64}, 1},    {LS_DTYPE_I2_S, {0}, 0},
    {LS_DTYPE_Q4_1, {0, 2}, 2}, {LS_DTYPE_Q5_0, {0}, 1},      {LS_DTYPE_Q5_1, {0, 2}, 2},
    {LS_DTYPE_Q8_1, {0, 2}, 2}, {LS_DTYPE_Q2_K, {80, 82}, 2}, {LS_DTYPE_Q3_K, {108}, 1},
    {LS_DTYPE_Q5_K, {0, 2}, 2}, {LS_DTYPE_IQ2_XXS, {0}, 1},   {LS_DTYPE_IQ2_XS, {0}, 1},
    {LS_DTYPE_IQ2_S, {0}, 1},   {LS_DTYPE_IQ3_XXS, {0}, 1},   {LS_DTYPE_IQ3_S, {0}, 1},
    {LS_DTYPE_IQ1_S, {0}, 1},   {LS_DTYPE_IQ4_NL, {0}, 1},    {LS_DTYPE_IQ4_XS, {0}, 1},
    {LS_DTYPE_TQ1_0, {52}, 1},  {LS_DTYPE_Q1_0, {0}, 1},      {LS_DTYPE_Q2_0, {0}, 1},
    {LS_DTYPE_NVFP4, {0}, 0},   {LS_DTYPE_I8, {0}, 0},        {LS_DTYPE_I16, {0}, 0},
    {LS_DTYPE_I32, {0}, 0},     {LS_DTYPE_I64, {0}, 0},
};
#define N_TYPES (sizeof(types) / sizeof(types[0]))

/* A row of random weights: any byte is a valid quant, only the scales must be numbers. */
static void random_row(size_t t, uint8_t *w)
{
    size_t block = ls_dtype_block(types[t].dtype), bytes = ls_dtype_block_bytes(types[t].dtype);
    for (size_t b = 0; b < N / block; b++, w += bytes) {
        float    f = uniform();
        uint16_t h = types[t].dtype == LS_DTYPE_F16 ? ls_f32_to_f16(f) : ls_f32_to_bf16(f);
        for (size_t i = 0; i < bytes; i++) w[i] = (uint8_t)((int)(uniform() * 128.0f) + 128);
        if (types[t].dtype == LS_DTYPE_F32) memcpy(w, &f, 4);
        if (bytes == 2) memcpy(w, &h, 2);
        for (size_t s = 0; s < types[t].n_scales; s++) {
            h = ls_f32_to_f16(uniform());
            memcpy(w + types[t].scale[s], &h, 2);
        }
    }
}

/* What a rounded activation row means, from the layout of blocks.h alone. */
static void decode_act(ls_act act, const void *row, double *x)
{
    for (size_t i = 0; i < N; i++) {
        const ls_q8_0   *q0 = (const ls_q8_0 *)row + i / 32;
        const ls_q8_1   *q1 = (const ls_q8_1 *)row + i / 32;
        const ls_q8_k   *qk = (const ls_q8_k *)row + i / 256;
        const ls_i8_row *qr = row;
        switch (act) {
        case LS_ACT_F32:
            x[i] = (double)((const float *)row)[i];
            break;
        case LS_ACT_F16:
            x[i] = (double)ls_f16_to_f32(((const uint16_t *)row)[i]);
            break;
        case LS_ACT_BF16:
            x[i] = (double)ls_bf16_to_f32(((const uint16_t *)row)[i]);
            break;
        case LS_ACT_Q8_0:
            x[i] = (double)ls_f16_to_f32(q0->d) * q0->qs[i % 32];
            break;
        case LS_ACT_Q8_1:
            x[i] = (double)ls_f16_to_f32(q1->d) * q1->qs[i % 32];
            break;
        case LS_ACT_Q8_K:
            x[i] = (double)qk->d * qk->qs[i % 256];
            break;
        default:
            x[i] = qr->qs[i] / (double)qr->s;
            break;
        }
    }
}

/* One output of weight type t for input x; also the rounded activations in `act`. */
static float product(size_t t, const uint8_t *w, const float *x, uint8_t *act)
{
    ls_kernels k = ls_kernels_for(LS_TIER_SCALAR);
    int        dtype = types[t].dtype;
    ls_act_fn *round = ls_kernels_act(&k, (int)ls_dtype_act(dtype));
    float      y = 0;
    ls_matmul  m = {.y = &y,
                    .ldy = 1,
                    .w = w,
                    .row_bytes = ls_dtype_row_bytes(dtype, N),
                    .n_rows = 1,
                    .x = act,
                    .n_cols = 1,
                    .n = N,
                    .w_scale = 0.75f,
                    .lanes = 16,
                    .whole = state >> 40 & 1};
    if (round) {
        round(act, x, N);
    } else {
        memcpy(act, x, N * sizeof(float));
    }
    ls_kernels_matmul(&k, dtype)(&m);
    m.lanes = 8;
    float other = y;
    ls_kernels_matmul(&k, dtype)(&m);
    assert_true(!(fabsf(y - other) > 1e-3f * (1 + fabsf(y))));
    return y;
}

static void products_agree_with_sums_of_decoded_values_in_double(void **unused)
{
    static _Alignas(64) uint8_t w[8 * N], act[8 * N];
    static float                x[N], dw[N];
    static double               dx[N];
    (void)unused;
    for (size_t t = 0; t < N_TYPES; t++) {
        for (int round = 0; round < 50; round++) {
            double sum = 0, size = 0;
            random_row(t, w);
            fill(x, N);
            float y = product(t, w, x, act);
            ls_dtype_decode(types[t].dtype, dw, w, N, 0.75f);
            decode_act(ls_dtype_act(types[t].dtype), act, dx);
            for (size_t i = 0; i < N; i++) {
                sum += (double)dw[i] * dx[i];
                size += fabs((double)dw[i] * dx[i]);
            }
            /* Q8_1's sum, which the minimums multiply, is rounded to F16 by itself */
            bool own_sum = types[t].dtype == LS_DTYPE_Q4_1 || types[t].dtype == LS_DTYPE_Q5_1;
            assert_true(size > 1 && fabs((double)y - sum) < (own_sum ? 1e-3 : 2e-6) * size);
        }
    }
}

/* Of every type that is stored so: rows of every length have plain numbers side by side in a strip,
 * and come back from it. Code 3 of I2_S, which does not, is not in these bytes. */
static void strips_hold_the_bytes_of_their_rows(void **unused)
{
    static uint8_t rows[16 * 4 * N], strip[16 * 4 * N], row[4 * N];
    size_t         n_types = 0;
    (void)unused;
    for (int dtype = 0; dtype <= LS_DTYPE_TERNARY; dtype++) {
        bool   ternary = dtype == LS_DTYPE_I2_S || dtype == LS_DTYPE_TERNARY;
        size_t block = ls_strips_of(dtype) ? ls_dtype_block(dtype) : 0;
        size_t size = ls_strips_of(dtype) ? ls_dtype_block_bytes(dtype) : 0;
        n_types += block != 0;
        for (size_t i = 0; i < sizeof(rows); i++)
            rows[i] = (uint8_t)((i * i >> 3) & (ternary ? 0x55 : 0xff));
        for (size_t n = 0; block && n <= (block == 1 ? 150 : 3 * block); n += block) {
            size_t bytes = ls_dtype_row_bytes(dtype, n);
            memset(strip, 0xa5, sizeof(strip));
            ls_strips_pack(dtype, strip, rows, bytes, n);
            assert_int_equal(strip[16 * bytes], 0xa5);
            for (size_t r = 0; r < 16; r++) {
                ls_strips_row(dtype, row, strip, r, n);
                assert_memory_equal(row, rows + r * bytes, bytes);
                for (size_t i = 0; i < n && block == 1; i++)
                    assert_memory_equal(strip + (16 * i + r) * size, row + i * size, size);
            }
        }
    }
    assert_int_equal(n_types, 32);
}

/* Whether rows of plain numbers are in a strip or not, and the activations floats or not. */
static void products_of_plain_numbers_are_the_same_in_strips(void **unused)
{
    static const int         forms[] = {LS_DTYPE_F32, LS_DTYPE_F16, LS_DTYPE_BF16};
    static _Alignas(64) char rows[16 * 4 * N], strip[16 * 4 * N], act[4 * N], scratch[64 * N];
    static float             w[16 * N], x[N];
    const ls_kernels         k = ls_kernels_for(LS_TIER_SCALAR);
    (void)unused;
    fill(w, 16 * N);
    fill(x, N);
    for (size_t t = 0; t < 3; t++) {
        ls_act_fn *floats[] = {NULL, k.floats_f16, k.floats_bf16};
        ls_act_fn *form = ls_kernels_act(&k, (int)ls_dtype_act(forms[t]));
        float      a[16], b[16];
        ls_matmul  m = {.y = a,
                        .ldy = 16,
                        .w = rows,
                        .row_bytes = ls_dtype_row_bytes(forms[t], N),
                        .n_rows = 16,
                        .x = t ? (const void *)act : x,
                        .n_cols = 1,
                        .n = N,
                        .lanes = 8,
                        .whole = true,
                        .scratch = scratch};
        for (size_t i = 0; i < 16 * N; i++) {
            uint16_t h = t == 1 ? ls_f32_to_f16(w[i]) : ls_f32_to_bf16(w[i]);
            memcpy(rows + (t ? 2 : 4) * i, t ? (const void *)&h : &w[i], t ? 2 : 4);
        }
        ls_strips_pack(forms[t], strip, rows, m.row_bytes, N);
        if (form) form(act, x, N);
        ls_kernels_matmul(&k, forms[t])(&m);
        if (form) floats[t](act, x, N);
        m.y = b;
        m.w = strip;
        ls_kernels_strips(&k, forms[t])(&m);
        assert_memory_equal(a, b, sizeof(a));
    }
}

static void a_value_that_is_no_number_reaches_every_output(void **unused)
{
    static _Alignas(64) uint8_t w[8 * N], act[8 * N];
    static float                x[N];
    static const float          bad[] = {NAN, INFINITY, -INFINITY};
    (void)unused;
    for (size_t t = 0; t < N_TYPES; t++) {
        for (size_t b = 0; b < 3; b++) {
            for (size_t at = 0; at < N; at += 93) {
                random_row(t, w);
                fill(x, N);
                x[at] = bad[b];
                float y = product(t, w, x, act);
                assert_true(types[t].n_scales || types[t].dtype == LS_DTYPE_I2_S ? isnan(y)
                                                                                 : !isfinite(y));
            }
        }
    }
}

/* ---- rounding of activations ---- */

static void activations_round_ties_to_even_on_every_form(void **unused)
{
    static const float   in[6] = {127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -2.5f};
    static const int8_t  want[6] = {127, 0, 2, 2, 0, -2};
    ls_kernels           k = ls_kernels_for(LS_TIER_SCALAR);
    float                x[256] = {0};
    ls_q8_0              q0[8];
    ls_q8_k              qk;
    _Alignas(64) uint8_t row[sizeof(ls_i8_row) + 256];
    ls_i8_row           *qr = (ls_i8_row *)(void *)row;
    (void)unused;
    memcpy(x, in, sizeof(in));
    k.act_q8_0(q0, x, 256);
    k.act_q8_k(&qk, x, 256);
    k.act_i8_row(qr, x, 256);
    assert_memory_equal(q0[0].qs, want, 6);
    assert_memory_equal(qr->qs, want, 6);
    for (int i = 0; i < 6; i++) assert_int_equal(qk.qs[i], -want[i]);
    assert_true(q0[0].d == 0x3c00 && q0[1].d == 0 && qk.d == -1.0f && qr->s == 1.0f);
    assert_true(qr->sum == 129 && qk.bsums[0] == -129 && qk.bsums[1] == 0);
}

static void the_first_of_equal_magnitudes_gives_q8_k_its_sign(void **unused)
{
    ls_kernels k = ls_kernels_for(LS_TIER_SCALAR);
    float      x[256] = {0};
    ls_q8_k    q;
    (void)unused;
    x[7] = -2.0f;
    x[200] = 2.0f;
    k.act_q8_k(&q, x, 256);
    assert_true(q.d == 2.0f / 127.0f && q.qs[7] == -127 && q.qs[200] == 127);
    x[3] = 2.0f;
    k.act_q8_k(&q, x, 256);
    assert_true(q.d == -2.0f / 127.0f && q.qs[3] == -127 && q.qs[7] == 127);
}

static void magnitudes_too_small_for_a_scale_round_to_zero(void **unused)
{
    ls_kernels           k = ls_kernels_for(LS_TIER_SCALAR);
    float                x[256];
    ls_q8_0              q0[8];
    ls_q8_k              qk;
    static const uint8_t zero[256];
    (void)unused;
    for (int i = 0; i < 256; i++) x[i] = i % 2 ? 1e-40f : -1e-40f;
    k.act_q8_0(q0, x, 256);
    k.act_q8_k(&qk, x, 256);
    assert_true(q0[0].d == 0 && qk.d == 0.0f);
    assert_memory_equal(q0[0].qs, zero, 32);
    assert_memory_equal(qk.qs, zero, 256);
}

/* ---- row operations ---- */

static void rmsnorm_agrees_with_double(void **unused)
{
    ls_kernels k = ls_kernels_for(LS_TIER_SCALAR);
    float      x[N], w[N], y[N];
    double     sum = 0;
    (void)unused;
    fill(x, N);
    fill(w, N);
    k.rmsnorm(y, x, w, N, 1e-5f);
    for (int i = 0; i < N; i++) sum += (double)x[i] * (double)x[i];
    for (int i = 0; i < N; i++) {
        double want = (double)x[i] / sqrt(sum / N + 1e-5) * (double)w[i];
        assert_true(fabs((double)y[i] - want) <= 4e-7 * fabs(want));
    }
    x[5] = NAN;
    k.rmsnorm(y, x, w, N, 1e-5f);
    assert_true(isnan(y[0]) && isnan(y[N - 1]));
}

static void softmax_agrees_with_double_and_ignores_minus_infinity(void **unused)
{
    ls_kernels k = ls_kernels_for(LS_TIER_SCALAR);
    (void)unused;
    for (int lanes = 8; lanes <= 16; lanes += 8) {
        float  x[101], y[101];
        double sum = 0;
        for (int i = 0; i < 101; i++) x[i] = 20.0f * uniform();
        x[17] = -INFINITY;
        memcpy(y, x, sizeof(x));
        k.softmax(y, 101, -INFINITY, lanes);
        for (int i = 0; i < 101; i++) sum += exp((double)x[i]);
        for (int i = 0; i < 101; i++) {
            double want = exp((double)x[i]) / sum;
            assert_true(fabs((double)y[i] - want) <= 4e-6 * want);
        }
        assert_true(y[17] == 0.0f);
        y[50] = NAN;
        k.softmax(y, 101, -INFINITY, lanes);
        assert_true(isnan(y[0]) && isnan(y[100]));
    }
}

static void gates_and_rotations_agree_with_double(void **unused)
{
    ls_kernels k = ls_kernels_for(LS_TIER_SCALAR);
    float      g[64], u[64], y[64], x[64], sc[64];
    (void)unused;
    fill(g, 64);
    fill(u, 64);
    k.silu_mul(y, g, u, 64, 8);
    for (int i = 0; i < 64; i++) {
        double want = (double)g[i] / (1 + exp(-(double)g[i])) * (double)u[i];
        assert_true(fabs((double)y[i] - want) <= 6e-7 * fabs(want));
    }
    k.relu2_mul(y, g, u, 64);
    for (int i = 0; i < 64; i++) {
        double r = g[i] > 0 ? (double)g[i] : 0;
        assert_true(fabs((double)y[i] - r * r * (double)u[i]) <= 2e-7 * r * r);
    }
    g[1] = NAN;
    k.relu2_mul(y, g, u, 64);
    assert_true(isnan(y[1]));
    for (int neox = 0; neox < 2; neox++) {
        fill(x, 64);
        fill(sc, 64);
        memcpy(y, x, sizeof(x));
        (neox ? k.rope_neox : k.rope_normal)(y, sc, 64);
        for (int i = 0; i < 32; i++) {
            int    a = neox ? i : 2 * i, b = neox ? i + 32 : 2 * i + 1;
            double c = (double)sc[2 * i], s = (double)sc[2 * i + 1];
            assert_true(fabs((double)y[a] - ((double)x[a] * c - (double)x[b] * s)) < 2e-7);
            assert_true(fabs((double)y[b] - ((double)x[a] * s + (double)x[b] * c)) < 2e-7);
        }
    }
}

static void tiers_are_named_and_the_best_one_is_available(void **unused)
{
    ls_tier t;
    (void)unused;
    for (int i = 0; i < LS_N_TIERS; i++) {
        assert_true(ls_tier_parse(ls_tier_name((ls_tier)i), &t) && t == (ls_tier)i);
    }
    assert_false(ls_tier_parse("AVX2", &t));
    assert_true(ls_tier_available(LS_TIER_AUTO) && ls_tier_available(LS_TIER_SCALAR));
    assert_true(ls_tier_available(ls_tier_best()));
    assert_false(ls_tier_available(LS_TIER_AVX2) && ls_tier_available(LS_TIER_NEON));
    assert_int_equal(ls_kernels_for(LS_TIER_AUTO).tier, ls_tier_best());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expf_stays_within_its_bound_of_the_c_library),
        cmocka_unit_test(expf_meets_its_edges_exactly),
        cmocka_unit_test(exp_f_is_the_c_librarys),
        cmocka_unit_test(double_exp_log_and_pow_agree_with_the_long_double_library),
        cmocka_unit_test(sine_and_cosine_agree_with_the_long_double_library),
#if defined(__FLT16_MAX__)
        cmocka_unit_test(f16_conversion_agrees_with_the_compiler),
#endif
        cmocka_unit_test(products_agree_with_sums_of_decoded_values_in_double),
        cmocka_unit_test(strips_hold_the_bytes_of_their_rows),
        cmocka_unit_test(products_of_plain_numbers_are_the_same_in_strips),
        cmocka_unit_test(a_value_that_is_no_number_reaches_every_output),
        cmocka_unit_test(activations_round_ties_to_even_on_every_form),
        cmocka_unit_test(the_first_of_equal_magnitudes_gives_q8_k_its_sign),
        cmocka_unit_test(magnitudes_too_small_for_a_scale_round_to_zero),
        cmocka_unit_test(rmsnorm_agrees_with_double),
        cmocka_unit_test(softmax_agrees_with_double_and_ignores_minus_infinity),
        cmocka_unit_test(gates_and_rotations_agree_with_double),
        cmocka_unit_test(tiers_are_named_and_the_best_one_is_available),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
