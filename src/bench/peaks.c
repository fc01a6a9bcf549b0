// SPDX-License-Identifier: MIT
/* peaks.c - the loops, one for each instruction that dot products are made of.
 *
 * Twelve sums are on their way at once, more than any of these instructions takes cycles times the
 * number that start in one.
 */
#include "bench/peaks.h"

#include <stdio.h>
#include <string.h>

#include "lockstep/types.h"

enum { SUMS = 12 };

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

/* Declare LOOP: sums of TYPE from ZERO, n turns of STEP on sum s with factors a and b. The empty
 * asm makes the factors unknown in each turn. */
#define LOOP(name, isa, type, zero, factor, step)                                                  \
    __attribute__((target(isa))) static uint64_t name(size_t n)                                    \
    {                                                                                              \
        type     s[SUMS], a = factor, b = factor;                                                  \
        uint64_t out[sizeof(type) / 8];                                                            \
        for (int k = 0; k < SUMS; k++) s[k] = zero;                                                \
        for (size_t i = 0; i < n; i++) {                                                           \
            __asm__ volatile("" : "+v"(a), "+v"(b));                                               \
            _Pragma("GCC unroll 12") for (int k = 0; k < SUMS; k++) s[k] = step;                   \
        }                                                                                          \
        for (int k = 1; k < SUMS; k++) __asm__ volatile("" : : "v"(s[k]));                         \
        memcpy(out, &s[0], sizeof(out));                                                           \
        return out[0];                                                                             \
    }

LOOP(bytes_512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(), _mm512_set1_epi8(1),
     _mm512_dpbusd_epi32(s[k], a, b))
LOOP(bytes_vnni_256, "avx2,avxvnni", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
     _mm256_dpbusd_avx_epi32(s[k], a, b))
LOOP(bytes_256, "avx2", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
     _mm256_add_epi32(s[k], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), a)))
LOOP(floats_512, "avx512f", __m512, _mm512_setzero_ps(), _mm512_set1_ps(0.5f),
     _mm512_fmadd_ps(a, b, s[k]))
LOOP(floats_256, "avx2,fma", __m256, _mm256_setzero_ps(), _mm256_set1_ps(0.5f),
     _mm256_fmadd_ps(a, b, s[k]))

/* BF16 pairs are of a type of their own, which the empty asm does not take. */
__attribute__((target("avx512f,avx512bf16"))) static uint64_t pairs_512(size_t n)
{
    __m512   s[SUMS];
    __m512i  a = _mm512_set1_epi16(0x3f00);
    uint64_t out[8];
    for (int k = 0; k < SUMS; k++) s[k] = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i++) {
        __asm__ volatile("" : "+v"(a));
        _Pragma("GCC unroll 12") for (int k = 0; k < SUMS; k++)
        {
            s[k] = _mm512_dpbf16_ps(s[k], (__m512bh)a, (__m512bh)a);
        }
    }
    for (int k = 1; k < SUMS; k++) __asm__ volatile("" : : "v"(s[k]));
    memcpy(out, &s[0], sizeof(out));
    return out[0];
}

__attribute__((target("avx2"))) static uint64_t read_256(const void *p, size_t n)
{
    const __m256i *at = p;
    __m256i        s[8];
    uint64_t       out[4];
    for (int k = 0; k < 8; k++) s[k] = _mm256_setzero_si256();
    for (size_t i = 0; i < n / sizeof(*at); i += 8) {
        _Pragma("GCC unroll 8") for (size_t k = 0; k < 8; k++)
        {
            s[k] = _mm256_xor_si256(s[k], _mm256_load_si256(at + i + k));
        }
    }
    for (int k = 1; k < 8; k++) s[0] = _mm256_xor_si256(s[0], s[k]);
    memcpy(out, &s[0], sizeof(out));
    return out[0] ^ out[1] ^ out[2] ^ out[3];
}

__attribute__((target("avx512f"))) static uint64_t read_512(const void *p, size_t n)
{
    const __m512i *at = p;
    __m512i        s[8];
    uint64_t       out[8];
    for (int k = 0; k < 8; k++) s[k] = _mm512_setzero_si512();
    for (size_t i = 0; i < n / sizeof(*at); i += 8) {
        _Pragma("GCC unroll 8") for (size_t k = 0; k < 8; k++)
        {
            s[k] = _mm512_xor_si512(s[k], _mm512_load_si512(at + i + k));
        }
    }
    for (int k = 1; k < 8; k++) s[0] = _mm512_xor_si512(s[0], s[k]);
    memcpy(out, &s[0], sizeof(out));
    return out[0] ^ out[1] ^ out[2] ^ out[3] ^ out[4] ^ out[5] ^ out[6] ^ out[7];
}
#endif

/* ---- any processor ---- */

static bool always(void) { return true; }

static uint64_t floats_plain(size_t n)
{
    float s[4 * SUMS] = {0}, a = 0.5f, sum = 0;
    for (size_t i = 0; i < n; i++) {
        __asm__ volatile("" : "+r"(i));
        for (int k = 0; k < 4 * SUMS; k++) s[k] = s[k] * a + a;
    }
    for (int k = 0; k < 4 * SUMS; k++) sum += s[k];
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
    {LS_PEAK_INT8, "vpdpbusd, 512 bits", SUMS * 128, bytes_512, has_avx512},
    {LS_PEAK_INT8, "vpdpbusd, 256 bits", SUMS * 64, bytes_vnni_256, has_avx_vnni},
    {LS_PEAK_INT8, "vpmaddubsw, vpmaddwd and vpaddd, 256 bits", SUMS * 64, bytes_256, has_avx2},
    {LS_PEAK_FP32, "vfmadd, 512 bits", SUMS * 32, floats_512, has_avx512},
    {LS_PEAK_FP32, "vfmadd, 256 bits", SUMS * 16, floats_256, has_avx2},
    {LS_PEAK_BF16, "vdpbf16ps, 512 bits", SUMS * 64, pairs_512, has_avx512_bf16},
#endif
    {LS_PEAK_FP32, "plain C", 4 * SUMS * 2, floats_plain, always},
    {LS_N_PEAKS, NULL, 0, NULL, NULL},
};

ls_read_fn *ls_read_loop(void)
{
#if defined(__x86_64__)
    if (has_avx512()) return read_512;
    if (has_avx2()) return read_256;
#endif
    return read_plain;
}

void ls_cpu_features(char *out, size_t cap)
{
    size_t n = 0;
    out[0] = '\0';
#if defined(__x86_64__)
    const struct {
        const char *name;
        bool        here;
    } rows[] = {
        {"avx2", has_avx2()},
        {"fma", has_avx2()},
        {"f16c", has_avx2()},
        {"avx-vnni", has_avx_vnni()},
        {"avx512", has_avx512()},
        {"avx512-vnni", has_avx512()},
        {"avx512-bf16", has_avx512_bf16()},
        {"amx-int8", (leaf7(0, 3) & 1u << 25) != 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && n < cap; i++) {
        if (!rows[i].here) continue;
        n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? " " : "", rows[i].name);
    }
#else
    snprintf(out, cap, "%s", ls_tier_name(ls_tier_best()));
    (void)n;
#endif
}
