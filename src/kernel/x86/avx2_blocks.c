// SPDX-License-Identifier: MIT
/* avx2_blocks.c - products of the block formats, compiled for AVX2, FMA and F16C. */
#include "kernel/x86/blocks_inl.h"

void ls_kernels_avx2_blocks(ls_kernels *k) { blocks_fill(k); }
