// SPDX-License-Identifier: MIT
/* avx512_blocks.c - products of the block formats, compiled for AVX-512 with VNNI, in 256-bit
 * registers. */
#include "kernel/x86/blocks_inl.h"

void ls_kernels_avx512_blocks(ls_kernels *k) { blocks_fill(k); }
