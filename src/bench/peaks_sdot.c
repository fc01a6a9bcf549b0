// SPDX-License-Identifier: MIT
/* peaks_sdot.c - the loop that needs Arm's dot product, compiled with it. */
#include <arm_neon.h>

#include "bench/peaks.h"
#include "bench/peaks_inl.h"

PEAK_LOOP(, ls_peak_sdot, int32x4_t, vdupq_n_s32(0), int8x16_t, vdupq_n_s8(1),
          vdotq_s32(s[k], a, b))
