// SPDX-License-Identifier: MIT
/* peaks.c - the loops, one for each instruction that dot products are made of. */
#include "bench/peaks.h"

#include <stdio.h>
#include <string.h>

#include "bench/peaks_inl.h"
#include "lockstep/types.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

/* CPUID leaf 7, subleaf 0 (EBX, ECX) and 1 (EAX): Intel SDM volume 2, CPUID. */
static unsigned leaf7(unsigned sub, int reg)
{
    unsigned r[4] = {0};
    if (!__get_cpuid_count(7, sub, &r[0], &r[1], &r[2], &r[3])) return 0;
    return r[reg];
}
static bool has_avx512(void) { return ls_tier_available(LS_TIER_AVX512); }
static bool has_avx2(void) { return ls_tier_available(LS_TIER_AVX2); }
static bool has_avx_vnni(void) { return has_avx2() && leaf7(1, 0) & 1u << 4; }
static bool has_avx512_bf16(void) { return has_avx512() && leaf7(1, 0) & 1u << 5; }

#define WITH(isa) static __attribute__((target(isa)))

PEAK_LOOP(WITH("avx512f,avx512vnni"), bytes_512, __m512i, _mm512_setzero_si512(), __m512i,
          _mm512_set1_epi8(1), _mm512_dpbusd_epi32(s[k], a, b))
PEAK_LOOP(WITH("avx2,avxvnni"), bytes_vnni_256, __m256i, _mm256_setzero_si256(), __m256i,
          _mm256_set1_epi8(1), _mm256_dpbusd_avx_epi32(s[k], a, b))
PEAK_LOOP(WITH("avx2"), bytes_256, __m256i, _mm256_setzero_si256(), __m256i, _mm256_set1_epi8(1),
          _mm256_add_epi32(s[k], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), a)))
PEAK_LOOP(WITH("avx512f"), floats_512, __m512, _mm512_setzero_ps(), __m512, _mm512_set1_ps(0.5f),
          _mm512_fmadd_ps(a, b, s[k]))
PEAK_LOOP(WITH("avx2,fma"), floats_256, __m256, _mm256_setzero_ps(), __m256, _mm256_set1_ps(0.5f),
          _mm256_fmadd_ps(a, b, s[k]))
/* BF16 pairs are of a type of their own, which the empty asm does not take. */
PEAK_LOOP(WITH("avx512f,avx512bf16"), pairs_512, __m512, _mm512_setzero_ps(), __m512i,
          _mm512_set1_epi16(0x3f00), _mm512_dpbf16_ps(s[k], (__m512bh)a, (__m512bh)b))

PEAK_READ(WITH("avx2"), read_256, __m256i, _mm256_setzero_si256(), _mm256_load_si256,
          _mm256_xor_si256)
PEAK_READ(WITH("avx512f"), read_512, __m512i, _mm512_setzero_si512(), _mm512_load_si512,
          _mm512_xor_si512)
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>

static bool has_dotprod(void) { return ls_tier_available(LS_TIER_DOTPROD); }
static bool has_neon(void) { return ls_tier_available(LS_TIER_NEON); }

/* Products of bytes, in 16 bits as long as they fit: two, as with any codes. */
PEAK_LOOP(static, bytes_128, int32x4_t, vdupq_n_s32(0), int8x16_t, vdupq_n_s8(1),
          vpadalq_s16(s[k], vmlal_high_s8(vmull_s8(vget_low_s8(a), vget_low_s8(b)), a, b)))
PEAK_LOOP(static, floats_128, float32x4_t, vdupq_n_f32(0), float32x4_t, vdupq_n_f32(0.5f),
          vfmaq_f32(s[k], a, b))

static uint64x2_t load_128(const uint64x2_t *p) { return vld1q_u64((const uint64_t *)p); }
PEAK_READ(static, read_128, uint64x2_t, vdupq_n_u64(0), load_128, veorq_u64)
#endif

/* ---- any processor ---- */

static bool always(void) { return true; }

static uint64_t floats_plain(size_t n)
{
    float s[4 * PEAK_SUMS] = {0}, a = 0.5f, sum = 0;
    for (size_t i = 0; i < n; i++) {
        __asm__ volatile("" : "+r"(i));
        for (int k = 0; k < 4 * PEAK_SUMS; k++) s[k] = s[k] * a + a;
    }
    for (int k = 0; k < 4 * PEAK_SUMS; k++) sum += s[k];
    return (uint64_t)sum;
}

static uint64_t read_plain(const void *p, size_t n)
{
    const uint64_t *at = p;
    uint64_t        s[8] = {0};
    for (size_t i = 0; i < n / sizeof(*at); i += 8) {
        for (size_t k = 0; k < 8; k++) s[k] ^= at[i + k];
    }
    return s[0] ^ s[1] ^ s[2] ^ s[3] ^ s[4] ^ s[5] ^ s[6] ^ s[7];
}

const ls_peak_loop ls_peak_loops[] = {
#if defined(__x86_64__)
    {LS_PEAK_INT8, "vpdpbusd, 512 bits", PEAK_SUMS * 128, bytes_512, has_avx512},
    {LS_PEAK_INT8, "vpdpbusd, 256 bits", PEAK_SUMS * 64, bytes_vnni_256, has_avx_vnni},
    {LS_PEAK_INT8, "vpmaddubsw, vpmaddwd and vpaddd, 256 bits", PEAK_SUMS * 64, bytes_256,
     has_avx2},
    {LS_PEAK_FP32, "vfmadd, 512 bits", PEAK_SUMS * 32, floats_512, has_avx512},
    {LS_PEAK_FP32, "vfmadd, 256 bits", PEAK_SUMS * 16, floats_256, has_avx2},
    {LS_PEAK_BF16, "vdpbf16ps, 512 bits", PEAK_SUMS * 64, pairs_512, has_avx512_bf16},
#elif defined(__aarch64__)
    {LS_PEAK_INT8, "sdot, 128 bits", PEAK_SUMS * 32, ls_peak_sdot, has_dotprod},
    {LS_PEAK_INT8, "smull, smlal2 and sadalp, 128 bits", PEAK_SUMS * 32, bytes_128, has_neon},
    {LS_PEAK_FP32, "fmla, 128 bits", PEAK_SUMS * 8, floats_128, has_neon},
#endif
    {LS_PEAK_FP32, "plain C", 4 * PEAK_SUMS * 2, floats_plain, always},
    {LS_N_PEAKS, NULL, 0, NULL, NULL},
};

ls_read_fn *ls_read_loop(void)
{
#if defined(__x86_64__)
    if (has_avx512()) return read_512;
    if (has_avx2()) return read_256;
#elif defined(__aarch64__)
    if (has_neon()) return read_128;
#endif
    return read_plain;
}

/* What a processor may have, and this one has. */
typedef struct feature {
    const char *name;
    bool        here;
} feature;

static size_t features(feature out[8])
{
#if defined(__x86_64__)
    const feature rows[] = {
        {"avx2", has_avx2()},
        {"fma", has_avx2()},
        {"f16c", has_avx2()},
        {"avx-vnni", has_avx_vnni()},
        {"avx512", has_avx512()},
        {"avx512-vnni", has_avx512()},
        {"avx512-bf16", has_avx512_bf16()},
        {"amx-int8", (leaf7(0, 3) & 1u << 25) != 0},
    };
#elif defined(__aarch64__) /* bits of asm/hwcap.h */
    const unsigned long one = getauxval(AT_HWCAP), two = getauxval(AT_HWCAP2);
    const feature       rows[] = {
              {"neon", has_neon()},
              {"fp16", (one & 1ul << 10) != 0},
              {"dotprod", has_dotprod()},
              {"sve", (one & 1ul << 22) != 0},
              {"i8mm", (two & 1ul << 13) != 0},
              {"bf16", (two & 1ul << 14) != 0},
    };
#else
    const feature rows[] = {{"", false}};
#endif
    memcpy(out, rows, sizeof(rows));
    return sizeof(rows) / sizeof(rows[0]);
}

void ls_cpu_features(char *out, size_t cap)
{
    feature      rows[8];
    const size_t n_rows = features(rows);
    size_t       n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < n_rows && n < cap; i++) {
        if (!rows[i].here) continue;
        n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? " " : "", rows[i].name);
    }
}
