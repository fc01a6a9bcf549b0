// SPDX-License-Identifier: MIT
/* avx2_grid.c - AVX2 products of the formats out of code books, row by row. */
#include "kernel/x86/grid_inl.h"

void ls_kernels_avx2_grid(ls_kernels *k) { grid_fill(k); }
