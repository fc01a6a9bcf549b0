// SPDX-License-Identifier: MIT
/* avx512_rowops.c - rounding of activations and row operations, compiled for AVX-512.
 *
 * The source is rowops_inl.h, as for the scalar tier; only the conversion to F16 differs. */
#include <immintrin.h>

#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"

static void act_f16(void *restrict y, const float *restrict x, size_t n)
{
    uint16_t *h = y;
    size_t    i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256i v = _mm512_cvtps_ph(_mm512_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_storeu_si256((__m256i *)(h + i), v);
    }
    for (; i < n; i++) h[i] = ls_f32_to_f16(x[i]);
}

void ls_kernels_avx512_rowops(ls_kernels *k)
{
    k->act_f16 = act_f16;
    k->act_bf16 = row_act_bf16;
    k->act_q8_0 = row_act_q8_0;
    k->act_q8_k = row_act_q8_k;
    k->act_i8_row = row_act_i8_row;
    k->dot_f32 = row_dot_f32;
    k->rmsnorm = row_rmsnorm;
    k->softmax = row_softmax;
    k->silu_mul = row_silu_mul;
    k->relu2_mul = row_relu2_mul;
    k->add = row_add;
    k->scale = row_scale;
    k->rope_normal = row_rope_normal;
    k->rope_neox = row_rope_neox;
}
