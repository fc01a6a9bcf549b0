// SPDX-License-Identifier: MIT
/* strips.h - sixteen rows of a weight matrix side by side, the form that the fast products read.
 *
 * A strip holds 16 rows, block after block. Of each block first come its 8-bit and its 16-bit scales,
 * as many as the type has, each for all 16 rows; then its other bytes as 32-bit words: word 0 of the
 * 16 rows, word 1, and so on. A plain number is a block by itself: element 0 of the 16 rows, element 1,
 * and so on. Types whose elements are drawn from code books are 16 rows one after the other:
 * nothing is gained from having their words side by side.
 *
 * Nothing but the order is changed, so a matrix takes as many bytes as before,
 * except that code 3 of I2_S, which counts as 0, is written as code 1, which is 0. */
#ifndef LS_DTYPE_STRIPS_H
#define LS_DTYPE_STRIPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LS_STRIP_ROWS = 16 };
/* Counts up whenever the bytes of a strip change, here or in lookup.h, or which types have strips:
 * files with strips (model/prepacked.c) name it. */
enum { LS_STRIPS_LAYOUT = 2 };

/* A block of the type: bytes, how many 16-bit scales, and where they begin; how many 8-bit scales
 * the block begins with. */
typedef struct ls_strip_form {
    uint16_t bytes, n_halves, halves_at, n_bytes;
    bool     rows; /* one after the other */
} ls_strip_form;

/* NULL: the type is not stored in strips. */
const ls_strip_form *ls_strips_of(int dtype);

/* Can a product of its strips add as the reference does, too (ls_matmul.whole)? */
bool ls_strips_follow(int dtype);

/* One strip of n elements a row, from 16 rows that lie row_bytes apart. */
void ls_strips_pack(int dtype, void *strip, const void *rows, size_t row_bytes, size_t n);
/* Row r of a strip as it was before. */
void ls_strips_row(int dtype, void *row, const void *strip, size_t r, size_t n);

/* Bytes of scratch that a product of strips asks for, whatever the type. */
static inline size_t ls_strips_scratch(size_t n) { return 64 * n + 8192; }

#endif
