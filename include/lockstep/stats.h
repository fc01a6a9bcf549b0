// SPDX-License-Identifier: MIT
/* stats.h - what the numbers of a tensor are like: size, range, and whether they are numbers. */
#ifndef LOCKSTEP_STATS_H
#define LOCKSTEP_STATS_H

#include "lockstep/gguf.h"

typedef struct ls_tensor_stats {
    uint64_t n, n_bad;  /* elements; of them NaN or infinite          */
    uint64_t first_bad; /* index of the first such; n_bad 0: undefined */
    double   rms;       /* sqrt(mean of the squares); of finite elements */
    double   min, max;  /* NaN where no element is finite             */
} ls_tensor_stats;

/* Decode the whole tensor and look at every element. Errors: UNSUPPORTED (a type that Lockstep
 * does not decode), NOMEM. */
LS_API ls_status ls_tensor_stats_get(ls_tensor_stats *out, const ls_gguf *g, const ls_tensor *t,
                                     ls_error *err);

#endif
