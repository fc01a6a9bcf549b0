// SPDX-License-Identifier: MIT
/* kernel.h - arithmetic on plain pointers, one table of typed functions per tier.
 *
 * Scalar code is the specification (NUMERICS.md); every other tier gives the same bits.
 */
#ifndef LS_KERNEL_KERNEL_H
#define LS_KERNEL_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "dtype/blocks.h"
#include "lockstep/types.h"

/* Orders of Q4_0, IQ4_NL and MXFP4 where the reference does not interleave the rows: eight sums as in
 * Q8_0; twice eight, for even and odd blocks, and a last block without a partner by itself. */
typedef enum ls_rows { LS_ROWS_INTERLEAVED = 0, LS_ROWS_LANES, LS_ROWS_PAIRS } ls_rows;

/* y[c * ldy + r] = sum over n of w[r][i] * x[c][i],  r < n_rows, c < n_cols. */
typedef struct ls_matmul {
    float      *y;
    size_t      ldy;       /* floats between columns of y           */
    const void *w;         /* weight rows                           */
    size_t      row_bytes; /* bytes between weight rows             */
    size_t      n_rows;
    const void *x;       /* activation rows in the type's form    */
    size_t      x_bytes; /* bytes between activation rows         */
    size_t      n_cols;  /* tokens                                */
    size_t      n;       /* elements per row                      */
    float       w_scale; /* I2_S, TERNARY: the tensor's scale  */
    int         lanes;   /* plain numbers: reduction width, 8 or 16 */
    bool follow; /* Q4_K, not whole: the last n_cols % 4 columns are summed per 256 elements, as
                  * the reference's matrix-vector kernel sums them */
    ls_rows rows; /* Q4_0, IQ4_NL, MXFP4 */
    bool whole; /* quantised types: a float sum per row, fed by the integers of a whole block, and
                 * one for minimums (NUMERICS.md, clause 4); F32, F16, BF16: chains of LS_CHAIN
                 * (clause 2); otherwise as the reference adds */
    void *scratch; /* strips: ls_strips_scratch(n) bytes, aligned to 64 */
} ls_matmul;

/* Terms [from, to) of a sum. */
typedef struct ls_span {
    size_t from, to;
} ls_span;

enum { LS_CHAIN_LANES = 16, LS_CHAIN_GROUP = 16 };

/* Bytes of a group of Q8_0. */
enum { LS_CHAIN_GROUP_BYTES = LS_CHAIN_GROUP * (2 + LS_CHAIN_LANES) };

/* Sums of attention (NUMERICS.md, clause 7): outputs in strips of 16, whose terms lie side by side:
 * y[c * ldy + 16 s + l] = sum over i of x[c * ldx + i] * w[s * strip + 16 i + l]. Scores: a strip
 * is 16 positions, i an element of the head; values: a strip is 16 elements, i a position. A sum
 * starts at +0 and takes blocks in ascending order, each a chain of fmaf that starts at +0.
 * Q8_0 has a scale for each i and comes in groups of LS_CHAIN_GROUP of them: first their F16 scales,
 * then the codes, 16 for each i. `strip` counts elements and is a multiple of a group's. */
typedef struct ls_chains {
    float         *y;
    size_t         ldy; /* floats between columns of y */
    const void    *w;
    size_t         strip; /* elements between strips   */
    size_t         n_strips;
    const float   *x;
    size_t         ldx; /* floats between columns of x */
    size_t         n_cols;
    size_t         n;     /* terms                     */
    size_t         block; /* terms to a chain, > 0     */
    const ls_span *spans; /* of each column, within n; NULL: all n terms */
} ls_chains;

/* Weighted values of one head in `stripes` sums, an even number: y[s][width] takes the positions s,
 * s + stripes, ... of v, in ascending order, with one fmaf each, from +0. */
typedef struct ls_mix {
    float       *y;
    const float *weights; /* [n] */
    const void  *v;       /* [n][ld] */
    size_t       ld, n, width, stripes;
} ls_mix;

typedef struct ls_kernels {
    ls_tier tier;
#define LS_KERNEL(name, ret, params) ret(*name) params;
#include "kernel/kernels.def"
#undef LS_KERNEL
} ls_kernels;

typedef void ls_matmul_fn(const ls_matmul *m);
typedef void ls_chains_fn(const ls_chains *m);
typedef void ls_act_fn(void *restrict y, const float *restrict x, size_t n);
typedef void ls_tables_fn(void *row, size_t n);

/* The table of a tier; LS_TIER_AUTO gives the best one. The tier must be available. */
ls_kernels ls_kernels_for(ls_tier tier);
/* Product kernel of a supported weight type; rounding kernel of an activation form
 * (NULL for F32, which needs none). */
ls_matmul_fn *ls_kernels_matmul(const ls_kernels *k, int dtype);
/* Product kernel of a type in strips (dtype/strips.h): whole, or where ls_strips_follow says so as the
 * reference adds rows that it interleaves; n_rows a multiple of 16, row_bytes as of plain rows;
 * activations of F16 and BF16 are floats (floats_f16, floats_bf16), behind rows of Q8_0 stands what sums_q8_0
 * makes. NULL: the type is not stored in strips. */
ls_matmul_fn *ls_kernels_strips(const ls_kernels *k, int dtype);
ls_act_fn    *ls_kernels_act(const ls_kernels *k, int act);
/* Sums of attention over a cache of this type: F32, F16, BF16 or Q8_0. */
ls_chains_fn *ls_kernels_chains(const ls_kernels *k, int dtype);

/* Filled from weak to strong; each overrides what it implements. */
void ls_kernels_init_scalar(ls_kernels *k);
void ls_kernels_init_avx2(ls_kernels *k);
void ls_kernels_init_avx512(ls_kernels *k);
void ls_kernels_init_neon(ls_kernels *k);
void ls_kernels_init_dotprod(ls_kernels *k);

#endif
