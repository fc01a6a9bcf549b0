// SPDX-License-Identifier: MIT
/* avx2_rowops.c - rounding of activations and row operations, compiled for AVX2, FMA and F16C.
 *
 * rowops_inl.h is the definition, and the source of what compilers vectorise well; conversion to
 * F16, rounding to int8, RoPE of neighbours and what takes e^x are spelled out. */
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
LS_INLINE __m256i round_32(const float *x, __m256 id)
{
    __m256i a = _mm256_packs_epi32(round_8(x, id), round_8(x + 8, id));
    __m256i b = _mm256_packs_epi32(round_8(x + 16, id), round_8(x + 24, id));
    return _mm256_permutevar8x32_epi32(_mm256_packs_epi16(a, b),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

static void act_q8_0(void *restrict y, const float *restrict x, size_t n)
{
    ls_q8_0 *b = y;
    for (; n; n -= 32, b++, x += 32) {
        uint32_t bits = amax_bits(x, 32);
        float    amax = ls_bits_f32(bits), id = 127.0f / amax;
        if (bits >= ROW_INF_BITS || ls_f32_bits(id) == ROW_INF_BITS) {
            row_act_q8_0(b, x, 32);
            continue;
        }
        b->d = (uint16_t)_cvtss_sh(amax / 127.0f, _MM_FROUND_TO_NEAREST_INT);
        _mm256_storeu_si256((__m256i *)(void *)b->qs, round_32(x, _mm256_set1_ps(id)));
    }
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

static void act_q8_k(void *restrict y, const float *restrict x, size_t n)
{
    const __m256i ones = _mm256_set1_epi8(1), words = _mm256_set1_epi16(1);
    ls_q8_k      *b = y;
    for (; n; n -= 256, b++, x += 256) {
        uint32_t bits = amax_bits(x, 256);
        float    iscale = -127.0f / ls_bits_f32(bits);
        if (bits >= ROW_INF_BITS || ls_f32_bits(iscale) == (ROW_INF_BITS | 0x80000000u)) {
            row_act_q8_k(b, x, 256);
            continue;
        }
        if (first_of(x, bits) < 0) iscale = -iscale;
        for (int i = 0; i < 256; i += 32) {
            __m256i q = round_32(x + i, _mm256_set1_ps(iscale));
            __m256i s = _mm256_madd_epi16(_mm256_maddubs_epi16(ones, q), words);
            _mm256_storeu_si256((__m256i *)(void *)(b->qs + i), q);
            s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0x4e));
            s = _mm256_add_epi32(s, _mm256_shuffle_epi32(s, 0xb1));
            b->bsums[i / 16] = (int16_t)_mm256_cvtsi256_si32(s);
            b->bsums[i / 16 + 1] = (int16_t)_mm256_extract_epi32(s, 4);
        }
        b->d = 1.0f / iscale;
    }
}

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

LS_INLINE void silu_of(float *y, const float *gate, const float *up, size_t n, int lanes)
{
    const __m256 one = _mm256_set1_ps(1.0f), sign = _mm256_set1_ps(-0.0f);
    size_t       i = 0, whole = n - n % (size_t)lanes;
    for (; i < whole; i += 8) {
        __m256 g = _mm256_loadu_ps(gate + i);
        __m256 e = exp256(_mm256_xor_ps(g, sign), lanes);
        g = _mm256_div_ps(g, _mm256_add_ps(one, e));
        _mm256_storeu_ps(y + i, _mm256_mul_ps(g, _mm256_loadu_ps(up + i)));
    }
    row_silu_mul(y + i, gate + i, up + i, n - i, lanes);
}

static void silu_mul(float *y, const float *gate, const float *up, size_t n, int lanes)
{
    if (lanes == 8) {
        silu_of(y, gate, up, n, 8);
    } else {
        silu_of(y, gate, up, n, 16);
    }
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
    k->act_q8_0 = act_q8_0;
    k->sums_q8_0 = row_sums_q8_0;
    k->act_q8_k = act_q8_k;
    k->act_i8_row = row_act_i8_row;
    k->act_i8_tl = row_act_i8_tl;
    k->dot_f32 = row_dot_f32;
    k->dot_bf16_wide = row_dot_bf16_wide;
    k->dot_bf16_pairs = row_dot_bf16_pairs;
    k->dot_f16_wide = dot_f16_wide;
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
