// SPDX-License-Identifier: MIT
/* kernel_priv.h - what each family of each tier puts into the kernel table. */
#ifndef LS_KERNEL_KERNEL_PRIV_H
#define LS_KERNEL_KERNEL_PRIV_H

#include "kernel/kernel.h"

/* Dense products; sums of attention; block formats; ternary formats; formats without a kernel of their
 * own; strips; tables of sums; rounding and row operations. */
void ls_kernels_scalar_dense(ls_kernels *k);
void ls_kernels_scalar_chains(ls_kernels *k);
void ls_kernels_scalar_blocks(ls_kernels *k);
void ls_kernels_scalar_ternary(ls_kernels *k);
void ls_kernels_scalar_codes(ls_kernels *k);
void ls_kernels_scalar_strips(ls_kernels *k);
void ls_kernels_scalar_lookup(ls_kernels *k);
void ls_kernels_scalar_rowops(ls_kernels *k);

void ls_kernels_avx2_dense(ls_kernels *k);
void ls_kernels_avx2_chains(ls_kernels *k);
void ls_kernels_avx2_blocks(ls_kernels *k);
void ls_kernels_avx2_ternary(ls_kernels *k);
void ls_kernels_avx2_codes(ls_kernels *k);
void ls_kernels_avx2_grid(ls_kernels *k);
void ls_kernels_avx2_strips(ls_kernels *k);
void ls_kernels_avx2_lookup(ls_kernels *k);
void ls_kernels_avx2_rowops(ls_kernels *k);

void ls_kernels_avx512_dense(ls_kernels *k);
void ls_kernels_avx512_chains(ls_kernels *k);
void ls_kernels_avx512_blocks(ls_kernels *k);
void ls_kernels_avx512_ternary(ls_kernels *k);
void ls_kernels_avx512_strips(ls_kernels *k);
void ls_kernels_avx512_rowops(ls_kernels *k);

void ls_kernels_neon_dense(ls_kernels *k);
void ls_kernels_neon_chains(ls_kernels *k);
void ls_kernels_neon_codes(ls_kernels *k);
void ls_kernels_neon_strips(ls_kernels *k);
void ls_kernels_neon_lookup(ls_kernels *k);
void ls_kernels_neon_acts(ls_kernels *k);
void ls_kernels_neon_dots(ls_kernels *k);
void ls_kernels_neon_rowops(ls_kernels *k);

void ls_kernels_dotprod_codes(ls_kernels *k);
void ls_kernels_dotprod_strips(ls_kernels *k);

#endif
