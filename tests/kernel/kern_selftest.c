// SPDX-License-Identifier: MIT
/* kern_selftest.c - checkkern must be able to fail: wrong kernels that it has to catch. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dtype/strips.h"
#include "kern.h"
#include "kernel/numeric_inl.h"
#include "kernel/rowops_inl.h"

enum { N_WRONG = 13 };

/* One unit in the last place off, in the last of more than 16 elements. */
static void add_one_ulp(float *y, const float *a, const float *b, size_t n)
{
    ls_kernels_for(LS_TIER_SCALAR).add(y, a, b, n);
    if (n > 16) {
        uint32_t u;
        memcpy(&u, y + n - 1, 4);
        u += 1;
        memcpy(y + n - 1, &u, 4);
    }
}

/* Two lanes swapped: rows 1 and 2 of every column. */
static void matmul_swapped(const ls_matmul *m)
{
    ls_kernels_for(LS_TIER_SCALAR).matmul_q8_0(m);
    for (size_t c = 0; c < m->n_cols && m->n_rows > 2; c++) {
        float *y = m->y + c * m->ldy, t = y[1];
        y[1] = y[2];
        y[2] = t;
    }
}

/* Another order of the same sum: 8 stripes instead of 16. */
static float dot_8_stripes(const float *a, const float *b, size_t n, int lanes)
{
    (void)lanes;
    float s[8] = {0};
    for (size_t i = 0; i < n; i++) s[i % 8] = __builtin_fmaf(a[i], b[i], s[i % 8]);
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* Another order of a longer row: one chain instead of one for 64 elements. */
static void strips_one_chain(const ls_matmul *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        for (size_t r = 0; r < m->n_rows; r++) {
            const uint8_t *w = (const uint8_t *)m->w + r / 16 * 16 * m->row_bytes + r % 16 * 2;
            const uint8_t *x = (const uint8_t *)m->x + c * m->x_bytes;
            float          sum = 0;
            for (size_t i = 0; i < m->n; i++) {
                float bf16 = ls_bf16_to_f32(ls_load_u16(w, 16 * i));
                sum = __builtin_fmaf(bf16, ls_load_f32(x, i), sum);
            }
            m->y[c * m->ldy + r] = sum;
        }
    }
}

/* The sign of every eighth index of triples taken for the one before. */
static void strips_last_sign(const ls_matmul *m)
{
    static uint8_t strips[1 << 20];
    ls_matmul      wrong = *m;
    memcpy(strips, m->w, m->n_rows * m->row_bytes);
    for (size_t r = 0; r < m->n_rows && m->n >= 96; r += 16) {
        uint8_t *signs = strips + r * m->row_bytes;
        for (size_t i = 0; i < 64; i++)
            signs[i] = (uint8_t)((signs[i] & ~1u) | (signs[i] >> 1 & 1));
    }
    wrong.w = strips;
    ls_kernels_for(LS_TIER_SCALAR).strips_tl2(&wrong);
}

/* Sums of four products in 16 bits, which two fill at most: they wrap. */
static void strips_wrap(const ls_matmul *m)
{
    for (size_t c = 0; c < m->n_cols; c++) {
        for (size_t r = 0; r < m->n_rows; r++) {
            const ls_q8_0 *x = (const void *)((const uint8_t *)m->x + c * m->x_bytes);
            const ls_q8_0 *w = m->scratch;
            float          sum = 0;
            ls_strips_row(LS_DTYPE_Q8_0, m->scratch,
                          (const uint8_t *)m->w + r / 16 * 16 * m->row_bytes, r % 16, m->n);
            for (size_t i = 0; i < m->n / 32; i++, w++, x++) {
                int32_t isum = 0;
                for (int j = 0; j < 32; j += 4) {
                    int32_t four = 0;
                    for (int k = j; k < j + 4; k++) four += w->qs[k] * x->qs[k];
                    isum += (int16_t)four;
                }
                sum = __builtin_fmaf(ls_f16_to_f32(w->d) * ls_f16_to_f32(x->d), (float)isum, sum);
            }
            m->y[c * m->ldy + r] = sum;
        }
    }
}

/* The strip of a type with bytes before its words, read as if it were rows. */
static void strips_as_rows(const ls_matmul *m)
{
    ls_matmul rows = *m;
    rows.whole = true;
    ls_kernels_for(LS_TIER_SCALAR).matmul_mxfp4(&rows);
}

/* Products in pairs of whole steps, by another rule for one of them. */
typedef float step_fn(float w, float x, float sum);

static void pairs_by(step_fn *step, const ls_matmul *m)
{
    size_t width = 2 * (size_t)m->lanes;
    ls_kernels_for(LS_TIER_SCALAR).matmul_bf16_pairs(m);
    for (size_t c = 0; c < m->n_cols && m->n % (2 * width) == 0; c++) {
        for (size_t r = 0; r < m->n_rows; r++) {
            const uint8_t *w = (const uint8_t *)m->w + r * m->row_bytes;
            const uint8_t *x = (const uint8_t *)m->x + c * m->x_bytes;
            float          s[2 * LS_STRIPES] = {0};
            for (size_t i = 0; i < m->n; i++) {
                float *sum = s + i / 2 % width;
                *sum = step(row_bf16(ls_load_u16(w, i ^ 1)), row_bf16(ls_load_u16(x, i ^ 1)), *sum);
            }
            m->y[c * m->ldy + r] = row_bf16_pairs_end(s, NULL, NULL, 0, m->lanes);
        }
    }
}

static float step_gradual(float w, float x, float sum)
{
    return __builtin_fmaf(row_flush(w), row_flush(x), sum);
}

/* What a processor that flushes results does: it looks at them before they are rounded up. */
static float step_flushed(float w, float x, float sum)
{
    float  y = row_flush(__builtin_fmaf(row_flush(w), row_flush(x), sum));
    double exact = (double)row_flush(w) * (double)row_flush(x) + (double)sum;
    return fabs(exact) < 0x1p-126 - 0x1p-151 ? y * 0.0f : y;
}

static void pairs_gradual(const ls_matmul *m) { pairs_by(step_gradual, m); }
static void pairs_flushed(const ls_matmul *m) { pairs_by(step_flushed, m); }

/* A NaN that is lost. */
static void relu2_no_nan(float *y, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float r = gate[i] > 0.0f ? gate[i] : 0.0f;
        y[i] = (r * r) * up[i];
    }
}

/* One element written behind the end, unless the guard page would notice. */
static void scale_too_long(float *y, float a, size_t n)
{
    ls_kernels_for(LS_TIER_SCALAR).scale(y, a, n);
    if (((uintptr_t)(y + n) & 4095) != 0) y[n] = 1.0f;
}

/* One byte read behind the end: ends the process. */
static void act_reads_on(void *restrict y, const float *restrict x, size_t n)
{
    *(volatile float *)y = *(const volatile float *)(x + n);
    ls_kernels_for(LS_TIER_SCALAR).act_bf16(y, x, n);
}

/* Blocks that are not kept apart: one chain for all of a sum. */
static void chains_one_block(const ls_chains *m)
{
    ls_chains all = *m;
    all.block = m->n + 1;
    ls_kernels_for(LS_TIER_SCALAR).chains_f16(&all);
}

/* Whether one of a small set of cases differs. */
static bool caught(int kernel, const ls_kernels *wrong)
{
    static const size_t lengths[] = {32, 96, 512};
    ls_kernels          scalar = ls_kernels_for(LS_TIER_SCALAR);
    for (int p = 0; p < N_PATTERNS; p++) {
        for (int place = 0; place < N_PLACES; place++) {
            for (size_t i = 0; i < 12; i++) {
                kern_case c = {kernel, (kern_pattern)p, 1 + i / 3, lengths[i % 3], 5, 2, place, 16};
                if (!kern_check(&c, &scalar, wrong, true)) return true;
            }
        }
    }
    return false;
}

static bool caught_in_child(int kernel, const ls_kernels *wrong)
{
    int   status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen("/dev/null", "w", stderr)) _exit(0);
        (void)caught(kernel, wrong);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
           WEXITSTATUS(status) == 1;
}

void kern_put_wrong(ls_kernels *k) { k->add = add_one_ulp; }

int kern_self_test(void)
{
    const ls_kernels right = ls_kernels_for(LS_TIER_SCALAR);
    ls_kernels       k[N_WRONG];
    int              missed = 0;
    static const struct {
        int         kernel;
        const char *what;
    } wrong[N_WRONG] = {
        {KERN_add, "one ULP off in the last element"},
        {KERN_matmul_q8_0, "two rows swapped"},
        {KERN_dot_f32, "8 stripes instead of 16"},
        {KERN_relu2_mul, "a NaN swallowed"},
        {KERN_scale, "one element written behind the end"},
        {KERN_chains_f16, "blocks that are not kept apart"},
        {KERN_strips_bf16, "one chain for the whole row"},
        {KERN_strips_tl2, "the sign of another index"},
        {KERN_strips_q8_0, "16-bit sums that wrap"},
        {KERN_strips_mxfp4, "a strip read as rows"},
        {KERN_matmul_bf16_pairs, "results below the normal range"},
        {KERN_matmul_bf16_pairs, "zero for the least normal number"},
        {KERN_act_bf16, "one element read behind the end"},
    };
    for (int i = 0; i < N_WRONG; i++) k[i] = right;
    k[0].add = add_one_ulp;
    k[1].matmul_q8_0 = matmul_swapped;
    k[2].dot_f32 = dot_8_stripes;
    k[3].relu2_mul = relu2_no_nan;
    k[4].scale = scale_too_long;
    k[5].chains_f16 = chains_one_block;
    k[6].strips_bf16 = strips_one_chain;
    k[7].strips_tl2 = strips_last_sign;
    k[8].strips_q8_0 = strips_wrap;
    k[9].strips_mxfp4 = strips_as_rows;
    k[10].matmul_bf16_pairs = pairs_gradual;
    k[11].matmul_bf16_pairs = pairs_flushed;
    k[N_WRONG - 1].act_bf16 = act_reads_on; /* in a child: the last one */
    for (int i = 0; i < N_WRONG; i++) {
        bool ok = i == N_WRONG - 1 ? caught_in_child(wrong[i].kernel, &k[i])
                                   : caught(wrong[i].kernel, &k[i]);
        bool clean = !caught(wrong[i].kernel, &right);
        printf("%-12s %-36s %s\n", kern_info_of(wrong[i].kernel)->name, wrong[i].what,
               !ok     ? "NOT CAUGHT"
               : clean ? "caught"
                       : "THE RIGHT KERNEL FAILS TOO");
        missed += !ok || !clean;
    }
    printf("checkkern: self-test: %d of %d wrong kernels caught\n", N_WRONG - missed, N_WRONG);
    return missed ? 1 : 0;
}
