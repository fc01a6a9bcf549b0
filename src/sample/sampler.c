// SPDX-License-Identifier: MIT
/* sampler.c - from logits to a token; the same seed gives the same text on every machine. */
#include "lockstep/sampler.h"

#include <math.h>

#include "kernel/mathd.h"

/* splitmix64 (Steele et al. 2014): spreads a seed over the state, as xoshiro's authors advise. */
static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t rotl(uint64_t x, int k) { return x << k | x >> (64 - k); }

/* xoshiro256** 1.0 (Blackman and Vigna 2018). */
static uint64_t next(uint64_t s[4])
{
    uint64_t result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

void ls_sampler_init(ls_sampler *s, float temperature, uint64_t seed)
{
    s->temperature = temperature;
    for (int i = 0; i < 4; i++) s->state[i] = splitmix(&seed);
}

int32_t ls_argmax(const float *logits, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (logits[i] > logits[best] || (isnan(logits[best]) && !isnan(logits[i]))) best = i;
    }
    return (int32_t)best;
}

ls_status ls_sampler_pick(ls_sampler *s, const float *logits, size_t n, int32_t *out, ls_error *err)
{
    int32_t top = ls_argmax(logits, n);
    double  max = (double)logits[top], sum = 0, u;
    size_t  last = (size_t)top;

    if (!isfinite(max)) return ls_fail(err, LS_ERR_USAGE, "no logit is a finite number");
    *out = top;
    if (!(s->temperature > 0)) return LS_OK;
    for (size_t i = 0; i < n; i++) {
        if (!isnan(logits[i])) sum += ls_exp_d(((double)logits[i] - max) / (double)s->temperature);
    }
    /* 53 random bits, uniform in [0, sum); then walk the distribution. */
    u = (double)(next(s->state) >> 11) * 0x1p-53 * sum;
    for (size_t i = 0; i < n; i++) {
        double p;
        if (isnan(logits[i])) continue;
        p = ls_exp_d(((double)logits[i] - max) / (double)s->temperature);
        if (p > 0) last = i;
        if (u < p) break;
        u -= p;
    }
    *out = (int32_t)last;
    return LS_OK;
}
