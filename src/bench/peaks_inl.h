// SPDX-License-Identifier: MIT
/* peaks_inl.h - what the loops that measure limits look like (peaks.c). */
#ifndef LS_BENCH_PEAKS_INL_H
#define LS_BENCH_PEAKS_INL_H

#include <stdint.h>
#include <string.h>

/* Sums that are on their way at once: more than any of these instructions takes cycles times the number
 * that start in one. */
enum { PEAK_SUMS = 12 };

#if defined(__x86_64__)
#define PEAK_REG "v"
#else
#define PEAK_REG "w"
#endif

/* Define NAME: sums of TYPE from ZERO, n turns of STEP on each sum s[k] with factors a and b of type
 * FACTORS. The empty asm makes the factors unknown for each sum, so that no product is shared,
 * and keeps the sums in registers. */
#define PEAK_LOOP(prefix, name, type, zero, factors, factor, step)                                 \
    prefix uint64_t name(size_t n)                                                                 \
    {                                                                                              \
        type     s[PEAK_SUMS];                                                                     \
        factors  a = factor, b = factor;                                                           \
        uint64_t out[sizeof(type) / 8];                                                            \
        for (int k = 0; k < PEAK_SUMS; k++) s[k] = zero;                                           \
        for (size_t i = 0; i < n; i++) {                                                           \
            _Pragma("GCC unroll 12") for (int k = 0; k < PEAK_SUMS; k++)                           \
            {                                                                                      \
                __asm__ volatile("" : "+" PEAK_REG(a), "+" PEAK_REG(b));                           \
                type sum = step;                                                                   \
                __asm__ volatile("" : "+" PEAK_REG(sum));                                          \
                s[k] = sum;                                                                        \
            }                                                                                      \
        }                                                                                          \
        type first = s[0]; /* whose address may be taken */                                        \
        memcpy(out, &first, sizeof(out));                                                          \
        return out[0];                                                                             \
    }

/* Define NAME: all of n bytes at p through eight sums; TYPE is as long as what LOAD reads. */
#define PEAK_READ(prefix, name, type, zero, load, combine)                                         \
    prefix uint64_t name(const void *p, size_t n)                                                  \
    {                                                                                              \
        const type *at = p;                                                                        \
        type        s[8];                                                                          \
        uint64_t    out[sizeof(type) / 8], all = 0;                                                \
        for (int k = 0; k < 8; k++) s[k] = zero;                                                   \
        for (size_t i = 0; i < n / sizeof(*at); i += 8) {                                          \
            _Pragma("GCC unroll 8") for (size_t k = 0; k < 8; k++)                                 \
            {                                                                                      \
                s[k] = combine(s[k], load(at + i + k));                                            \
            }                                                                                      \
        }                                                                                          \
        for (int k = 1; k < 8; k++) s[0] = combine(s[0], s[k]);                                    \
        type first = s[0];                                                                         \
        memcpy(out, &first, sizeof(out));                                                          \
        for (size_t k = 0; k < sizeof(out) / sizeof(out[0]); k++) all ^= out[k];                   \
        return all;                                                                                \
    }

#endif
