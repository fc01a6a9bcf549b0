// SPDX-License-Identifier: MIT
/* avx2_ternary.c - products of the ternary formats, compiled for AVX2, FMA and F16C. */
#include "kernel/x86/ternary_inl.h"

void ls_kernels_avx2_ternary(ls_kernels *k) { ternary_fill(k); }
