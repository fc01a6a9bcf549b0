// SPDX-License-Identifier: MIT
/* avx512_ternary.c - products of the ternary formats, compiled for AVX-512 with VNNI, in 256-bit
 * registers. */
#include "kernel/x86/ternary_inl.h"

void ls_kernels_avx512_ternary(ls_kernels *k) { ternary_fill(k); }
