// SPDX-License-Identifier: MIT
/* sampler.h - from logits to a token: greedy or seeded temperature sampling. */
#ifndef LOCKSTEP_SAMPLER_H
#define LOCKSTEP_SAMPLER_H

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef struct ls_sampler { /* owned by the caller; init with ls_sampler_init */
    float    temperature; /* 0: greedy */
    uint64_t state[4];    /* xoshiro256** */
} ls_sampler;

LS_API void ls_sampler_init(ls_sampler *s, float temperature, uint64_t seed);

/* Index of the largest logit; the lowest index among equals; NaN ranks lowest. n >= 1. */
LS_API int32_t ls_argmax(const float *logits, size_t n);

/* Pick a token from logits [n]. Greedy at temperature 0. The same seed and logits give the
 * same choices on every machine. Errors: USAGE when no logit is finite. */
LS_API ls_status ls_sampler_pick(ls_sampler *s, const float *logits, size_t n, int32_t *out,
                                 ls_error *err);

#endif
