// SPDX-License-Identifier: MIT
/* rng.h - deterministic numbers for tests: SplitMix64 (Steele, Lea, Flood 2014). The same seed
 * gives the same sequence on every machine, so that a failing case can be named by its seed. */
#ifndef TESTS_RNG_H
#define TESTS_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct rng {
    uint64_t state;
} rng;

static inline uint64_t rng_next(rng *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 to n - 1; the bias of the remainder does not matter here. n >= 1. */
static inline size_t rng_below(rng *r, size_t n) { return (size_t)(rng_next(r) % n); }

/* Even in [-1, 1), exact multiples of 2^-23. */
static inline float rng_unit(rng *r)
{
    return (float)(int32_t)(rng_next(r) >> 40) * 0x1p-23f - 1.0f;
}

static inline void rng_bytes(rng *r, void *out, size_t n)
{
    for (size_t i = 0; i < n; i++) ((uint8_t *)out)[i] = (uint8_t)(rng_next(r) >> 56);
}

/* Like a row of activations or weights: a bell of width `scale`, with a few outliers. */
static inline void rng_row(rng *r, float *out, size_t n, float scale)
{
    for (size_t i = 0; i < n; i++) {
        float x = rng_unit(r) + rng_unit(r) + rng_unit(r);
        out[i] = scale * (rng_below(r, 61) ? x : 12.0f * x);
    }
}

#endif
