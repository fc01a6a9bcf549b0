// SPDX-License-Identifier: MIT
/* avx2_chains.c - the sums of attention for AVX2: a strip is two registers, tiles 6 x 1 to 1 x 4.
 */
#include <immintrin.h>

#include "dtype/dtype.h"
#include "kernel/numeric_inl.h"
#include "kernel/x86/tile_inl.h"

typedef enum elem { F32, F16, BF16, Q8_0 } elem;
typedef __m256 vec;

#define VECS           2
#define MAX_STRIPS     4
#define TILE_STRIPS(C) ((C) >= 4 ? 1 : (C) >= 2 ? 2 : 4)

LS_INLINE vec vec_load(elem e, const uint8_t *p)
{
    const __m128i *at = (const __m128i *)(const void *)p;
    switch (e) {
    case F32:
        return _mm256_loadu_ps((const float *)(const void *)p);
    case F16:
        return _mm256_cvtph_ps(_mm_loadu_si128(at));
    case BF16:
        return _mm256_castsi256_ps(
            _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(at)), 16));
    default:
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(at)));
    }
}

/* The F16 number at p, in every lane. */
LS_INLINE vec vec_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_set1_epi16((short)ls_load_u16(p, 0)));
}

LS_INLINE vec  vec_set1(float a) { return _mm256_set1_ps(a); }
LS_INLINE vec  vec_zero(void) { return _mm256_setzero_ps(); }
LS_INLINE vec  vec_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
LS_INLINE vec  vec_add(vec a, vec b) { return _mm256_add_ps(a, b); }
LS_INLINE vec  vec_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
LS_INLINE void vec_store(float *p, vec a) { _mm256_storeu_ps(p, a); }

#include "kernel/chains_inl.h"

static void chains_f32(const ls_chains *m) { run_chains(F32, m); }
static void chains_f16(const ls_chains *m) { run_chains(F16, m); }
static void chains_bf16(const ls_chains *m) { run_chains(BF16, m); }
static void chains_q8_0(const ls_chains *m) { run_chains(Q8_0, m); }

static void round_f16(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i h = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(h));
    }
    for (; i < n; i++) y[i] = ls_f16_to_f32(ls_f32_to_f16(x[i]));
}

void ls_kernels_avx2_chains(ls_kernels *k)
{
    k->chains_f32 = chains_f32;
    k->chains_f16 = chains_f16;
    k->chains_bf16 = chains_bf16;
    k->chains_q8_0 = chains_q8_0;
    k->round_f16 = round_f16;
}
