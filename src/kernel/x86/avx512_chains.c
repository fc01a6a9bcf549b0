// SPDX-License-Identifier: MIT
/* avx512_chains.c - the sums of attention for AVX-512: a strip is a register, tiles 6 x 2 to 1 x 8.
 */
#include <immintrin.h>

#include "dtype/dtype.h"
#include "kernel/numeric_inl.h"
#include "kernel/x86/tile_inl.h"

typedef enum elem { F32, F16, BF16, Q8_0 } elem;
typedef __m512 vec;

#define VECS           1
#define MAX_STRIPS     8
#define TILE_STRIPS(C) ((C) >= 5 ? 2 : (C) >= 2 ? 4 : 8)

LS_INLINE vec vec_load(elem e, const uint8_t *p)
{
    switch (e) {
    case F32:
        return _mm512_loadu_ps(p);
    case F16:
        return _mm512_cvtph_ps(ls_load256(p));
    case BF16:
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(ls_load256(p)), 16));
    default:
        return _mm512_cvtepi32_ps(
            _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
    }
}

/* The F16 number at p, in every lane. */
LS_INLINE vec vec_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)ls_load_u16(p, 0)));
}

LS_INLINE vec  vec_set1(float a) { return _mm512_set1_ps(a); }
LS_INLINE vec  vec_zero(void) { return _mm512_setzero_ps(); }
LS_INLINE vec  vec_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
LS_INLINE vec  vec_add(vec a, vec b) { return _mm512_add_ps(a, b); }
LS_INLINE vec  vec_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
LS_INLINE void vec_store(float *p, vec a) { _mm512_storeu_ps(p, a); }

#include "kernel/chains_inl.h"

static void chains_f32(const ls_chains *m) { run_chains(F32, m); }
static void chains_f16(const ls_chains *m) { run_chains(F16, m); }
static void chains_bf16(const ls_chains *m) { run_chains(BF16, m); }
static void chains_q8_0(const ls_chains *m) { run_chains(Q8_0, m); }

static void round_f16(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m256i h = _mm512_cvtps_ph(_mm512_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
        _mm512_storeu_ps(y + i, _mm512_cvtph_ps(h));
    }
    for (; i < n; i++) y[i] = ls_f16_to_f32(ls_f32_to_f16(x[i]));
}

void ls_kernels_avx512_chains(ls_kernels *k)
{
    k->chains_f32 = chains_f32;
    k->chains_f16 = chains_f16;
    k->chains_bf16 = chains_bf16;
    k->chains_q8_0 = chains_q8_0;
    k->round_f16 = round_f16;
}
