// SPDX-License-Identifier: MIT
/* avx2_rowops.c - rounding of activations and row operations, compiled for AVX2, FMA and F16C.
 *
 * rowops_inl.h is the definition, and the source of what compilers vectorise well; conversion to
 * F16, rounding to int8, RoPE of neighbours and what takes e^x are spelled out. */
#include <immintrin.h>

#include "kernel/kernel_priv.h"
#include "kernel/rowops_inl.h"

#define LS_INLINE static inline __attribute__((always_inline))

/* ---- registers of floats (exp_inl.h) ---- */

#define R_LANES 8
typedef __m256 rf;

LS_INLINE rf   rf_load(const float *p) { return _mm256_loadu_ps(p); }
LS_INLINE void rf_store(float *p, rf a) { _mm256_storeu_ps(p, a); }
LS_INLINE rf   rf_set(float a) { return _mm256_set1_ps(a); }
LS_INLINE rf   rf_add(rf a, rf b) { return _mm256_add_ps(a, b); }
LS_INLINE rf   rf_sub(rf a, rf b) { return _mm256_sub_ps(a, b); }
LS_INLINE rf   rf_mul(rf a, rf b) { return _mm256_mul_ps(a, b); }
LS_INLINE rf   rf_div(rf a, rf b) { return _mm256_div_ps(a, b); }
LS_INLINE rf   rf_fma(rf a, rf b, rf c) { return _mm256_fmadd_ps(a, b, c); }
LS_INLINE rf   rf_fnma(rf a, rf b, rf c) { return _mm256_fnmadd_ps(a, b, c); }
LS_INLINE rf   rf_negative(rf a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
LS_INLINE rf   rf_larger(rf a, rf b) { return _mm256_max_ps(a, b); }

/* The bounds come first: min and max give their second operand where one is NaN. */
LS_INLINE rf rf_within(rf a, float least, float most)
{
    return _mm256_max_ps(_mm256_set1_ps(least), _mm256_min_ps(_mm256_set1_ps(most), a));
}

/* 2^n for integers n that floats have room for. */
LS_INLINE rf power(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}

LS_INLINE void rf_powers(rf z, rf *a, rf *b)
{
    __m256i n = _mm256_sub_epi32(_mm256_castps_si256(z), _mm256_set1_epi32(0x4b400000));
    __m256i half = _mm256_srai_epi32(_mm256_add_epi32(n, _mm256_srli_epi32(n, 31)), 1);
    *a = power(half); /* rounded towards 0 */
    *b = power(_mm256_sub_epi32(n, half));
}

LS_INLINE float rf_tree(const rf *v, int lanes)
{
    __m256 s8 = lanes == 16 ? _mm256_add_ps(v[0], v[1]) : v[0];
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}

#include "kernel/exp_inl.h"

/* ---- F16 ---- */

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

/* ---- int8 ---- */

/* The larger magnitude of each lane, as bits. */
LS_INLINE __m256i larger_bits(__m256i m, const float *x)
{
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)x);
    return _mm256_max_epi32(m, _mm256_and_si256(a, _mm256_set1_epi32(0x7fffffff)));
}

LS_INLINE uint32_t largest_lane(__m256i m)
{
    __m128i a = _mm_max_epi32(_mm256_castsi256_si128(m), _mm256_extracti128_si256(m, 1));
    a = _mm_max_epi32(a, _mm_shuffle_epi32(a, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epi32(a, _mm_shuffle_epi32(a, 0xb1)));
}

/* row_amax_bits of whole blocks of 32. */
LS_INLINE uint32_t amax_bits(const float *x, size_t n)
{
    __m256i m[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                    _mm256_setzero_si256()};
    for (size_t i = 0; i < n; i += 32) {
        for (int k = 0; k < 4; k++) m[k] = larger_bits(m[k], x + i + 8 * k);
    }
    m[0] = _mm256_max_epi32(m[0], m[1]);
    return largest_lane(_mm256_max_epi32(m[0], _mm256_max_epi32(m[2], m[3])));
}

LS_INLINE __m256i round_8(const float *x, __m256 id)
{
    return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), id));
}

/* row_round_i8 of 32. Packing works in halves of registers, so groups of four come out of order. */
LS_INLINE void round_32(int8_t *q, const float *x, float scale)
{
    __m256  id = _mm256_set1_ps(scale);
    __m256i a = _mm256_packs_epi32(round_8(x, id), round_8(x + 8, id));
    __m256i b = _mm256_packs_epi32(round_8(x + 16, id), round_8(x + 24, id));
    __m256i v = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b),
                                            _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)(void *)q, v);
}

/* The first value of that magnitude. */
LS_INLINE float first_of(const float *x, uint32_t bits)
{
    for (;; x += 8) {
        __m256i at = larger_bits(_mm256_setzero_si256(), x);
        int     found = _mm256_movemask_ps(
                _mm256_castsi256_ps(_mm256_cmpeq_epi32(at, _mm256_set1_epi32((int)bits))));
        if (found) return x[__builtin_ctz((unsigned)found)];
    }
}

/* The sums of 16 and 16 codes. */
LS_INLINE void sum_32(const int8_t *q, int16_t sums[2])
{
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)q);
    __m256i s = _mm256_maddubs_epi16(_mm256_set1_epi8(1), v);
    s = _mm256_madd_epi16(s, _mm256_set1_epi16(1));
    s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0x4e));
    s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0xb1));
    sums[0] = (int16_t)_mm256_cvtsi256_si32(s);
    sums[1] = (int16_t)_mm256_extract_epi32(s, 4);
}

LS_INLINE uint16_t half_of(float x) { return (uint16_t)_cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT); }

#include "kernel/acts_inl.h"

/* ---- row operations ---- */

/* Sines and cosines of pairs stand as c, s; fmaddsub takes off in even lanes and adds in odd ones.
 */
static void rope_normal(float *restrict x, const float *restrict sincos, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i), cs = _mm256_loadu_ps(sincos + i);
        __m256 b = _mm256_mul_ps(_mm256_movehdup_ps(v), _mm256_permute_ps(cs, 0xb1));
        _mm256_storeu_ps(x + i, _mm256_fmaddsub_ps(_mm256_moveldup_ps(v), cs, b));
    }
    row_rope_normal(x + i, sincos + i, n - i);
}

void ls_kernels_avx2_rowops(ls_kernels *k)
{
    k->act_f16 = act_f16;
    k->act_bf16 = row_act_bf16;
    k->floats_f16 = floats_f16;
    k->floats_bf16 = row_floats_bf16;
    k->round_bf16 = row_round_bf16;
    k->act_q8_0 = act_q8_0;
    k->sums_q8_0 = row_sums_q8_0;
    k->act_q8_1 = act_q8_1;
    k->act_q8_k = act_q8_k;
    k->act_i8_row = act_i8_row;
    k->act_i8_tl = act_i8_tl;
    k->dot_f32 = row_dot_f32;
    k->dot_bf16_wide = row_dot_bf16_wide;
    k->rmsnorm = row_rmsnorm;
    k->layernorm = row_layernorm;
    k->softmax = softmax;
    k->silu_mul = silu_mul;
    k->relu2_mul = row_relu2_mul;
    k->add = row_add;
    k->scale = row_scale;
    k->rope_normal = rope_normal;
    k->rope_neox = row_rope_neox;
}
