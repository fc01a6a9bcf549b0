// SPDX-License-Identifier: MIT
/* codes.c - scalar products of the formats without a kernel of their own; codes_inl.h defines
 * them, this file the integer sums that they are made of. */
#include "dtype/codes_inl.h"

/* isum[l] = sum of scale * q * x over elements 4l to 4l + 3 of each of `groups` times 32. */
static inline void ls_code_lanes(int32_t isum[8], const int8_t *q, const int32_t *scale,
                                 const int8_t *x, int groups)
{
    for (int l = 0; l < 8; l++) isum[l] = 0;
    for (int g = 0; g < groups; g++, q += 32, x += 32, scale += 2) {
        for (int l = 0; l < 8; l++) {
            int32_t sum = 0;
            for (int j = 4 * l; j < 4 * l + 4; j++) sum += q[j] * x[j];
            isum[l] += scale[l / 4] * sum;
        }
    }
}

#include "kernel/codes_inl.h"

void ls_kernels_scalar_codes(ls_kernels *k) { codes_fill(k); }
