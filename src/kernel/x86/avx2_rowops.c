// SPDX-License-Identifier: MIT
/* avx2_rowops.c - rounding of activations and row operations, compiled for AVX2, FMA and F16C.
 *
 * The source is rowops_inl.h, as for the scalar tier; only the conversion to F16 and softmax
 * differ. */
#include <immintrin.h>

#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"
#include "kernel/x86/softmax_inl.h"

static void act_f16(void *restrict y, const float *restrict x, size_t n)
{
    uint16_t *h = y;
    size_t    i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i v = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
        _mm_storeu_si128((__m128i *)(h + i), v);
    }
    for (; i < n; i++) h[i] = ls_f32_to_f16(x[i]);
}

static void floats_f16(void *restrict y, const float *restrict x, size_t n)
{
    float *f = y;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i v = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_storeu_ps(f + i, _mm256_cvtph_ps(v));
    }
    for (; i < n; i++) f[i] = ls_f16_to_f32(ls_f32_to_f16(x[i]));
}

static void halves(float *restrict y, const uint16_t *restrict x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(x + i))));
    }
    for (; i < n; i++) y[i] = ls_f16_to_f32(x[i]);
}

static float dot_f16_wide(const uint16_t *a, const uint16_t *b, size_t n, int lanes)
{
    return lanes == 8 ? row_dot_f16_wide(a, b, n, 8, halves)
                      : row_dot_f16_wide(a, b, n, 16, halves);
}

static void softmax(float *x, size_t n, float sink, int lanes)
{
    if (lanes == 8) {
        softmax256(x, n, sink, 8);
    } else {
        softmax256(x, n, sink, 16);
    }
}

void ls_kernels_avx2_rowops(ls_kernels *k)
{
    k->act_f16 = act_f16;
    k->act_bf16 = row_act_bf16;
    k->floats_f16 = floats_f16;
    k->floats_bf16 = row_floats_bf16;
    k->round_bf16 = row_round_bf16;
    k->act_q8_0 = row_act_q8_0;
    k->sums_q8_0 = row_sums_q8_0;
    k->act_q8_k = row_act_q8_k;
    k->act_i8_row = row_act_i8_row;
    k->act_i8_tl = row_act_i8_tl;
    k->dot_f32 = row_dot_f32;
    k->dot_bf16_wide = row_dot_bf16_wide;
    k->dot_bf16_pairs = row_dot_bf16_pairs;
    k->dot_f16_wide = dot_f16_wide;
    k->rmsnorm = row_rmsnorm;
    k->layernorm = row_layernorm;
    k->softmax = softmax;
    k->silu_mul = row_silu_mul;
    k->relu2_mul = row_relu2_mul;
    k->add = row_add;
    k->scale = row_scale;
    k->rope_normal = row_rope_normal;
    k->rope_neox = row_rope_neox;
}
