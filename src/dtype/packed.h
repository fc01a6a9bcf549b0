// SPDX-License-Identifier: MIT
/* packed.h - ternary matrices stored as a whole: where an element lies depends on the shape.
 *
 *   I2_S_ARM, I2_S_1X4    bitnet.cpp's I2_S as other builds of it pack the codes
 *   TL1, TL2              bitnet.cpp's lookup-table layouts, cut into tiles
 *   I2_S32, I2_S32_SPLIT, I2_S256   the three layouts of BitNet-rs
 *
 * Nothing is multiplied in this form: a matrix's rows are taken out of it once (model/bind.c).
 * [rows][n] throughout; `tiles` is asked for by TL1 and TL2 only and ignored by the others. */
#ifndef LS_DTYPE_PACKED_H
#define LS_DTYPE_PACKED_H

#include "lockstep/error.h"
#include "lockstep/gguf.h"

bool ls_dtype_is_packed(int dtype);
/* The number that stands for this type in files. */
int ls_dtype_file_id(int dtype);

/* Bytes of a matrix in a file, scale and padding included, without padding to the file's alignment.
 * 0 if no such matrix can be or the size overflows. For every type: rows of all outer dimensions. */
size_t ls_matrix_bytes(int dtype, size_t rows, size_t n);

/* Tiles that bitnet.cpp's preset kernels have for the shape; false if there is none. */
bool ls_tiles_preset(int dtype, size_t rows, size_t n, ls_tiles *out);
/* Tiles for any shape: the preset, else 32 rows at a time (bmm), the largest BM up to 256 that is a
 * multiple of 32 and divides the rows, and BK 128 or 64 for TL1, 96 for TL2. False if none fits. */
bool ls_tiles_for(int dtype, size_t rows, size_t n, ls_tiles *out);
/* Whether a matrix can be cut into such tiles. */
bool ls_tiles_fit(int dtype, size_t rows, size_t n, ls_tiles t);

/* The codes of one row, -2 to 2, each to be multiplied with its scale. A code that no encoder writes
 * is 0. */
void ls_packed_codes(int8_t *out, const ls_tensor *t, size_t row);
/* Scale of element `j` of a row. */
float ls_packed_scale(const ls_tensor *t, size_t row, size_t j);
/* Put a row of codes -1, 0, 1 into a TL1 or TL2 matrix that was zero before; and its scale. */
void ls_packed_put_row(uint8_t *out, const ls_tensor *t, size_t row, const int8_t *codes);
void ls_packed_put_scale(uint8_t *out, const ls_tensor *t, float scale);

/* Rows [row, row + n_rows) of any tensor whose type is supported, decoded to float. */
void ls_tensor_decode(float *out, const ls_tensor *t, size_t row, size_t n_rows);

#endif
