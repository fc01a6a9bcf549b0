// SPDX-License-Identifier: MIT
/* kernel_priv.h - what each family of each tier puts into the kernel table, and how all of them fetch
 * weights ahead. */
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

/* What is read once, out of memory, does not come fast enough by itself: the lines that lie
 * LS_FETCH_AHEAD behind part i of n of these bytes. Memory takes few lines at a time, so each part asks
 * for its own, and the compiler, which would move them together, does not see where they are. */
enum { LS_FETCH_AHEAD = 8192 };
static inline void ls_fetch_lines(const uint8_t *p, size_t bytes, size_t i, size_t n)
{
    size_t line = (bytes * i / n + 63) / 64, end = (bytes * (i + 1) / n + 63) / 64;
    if (line == end) return;
    __asm__ volatile("" : "+r"(p));
    for (; line < end; line++)
        __builtin_prefetch((const void *)((uintptr_t)p + LS_FETCH_AHEAD + 64 * line));
}

#endif
