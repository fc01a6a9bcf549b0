// SPDX-License-Identifier: MIT
/* tiles.h - TL1 and TL2, the layouts of bitnet.cpp's lookup-table kernels; private to dtype/. */
#ifndef LS_DTYPE_TILES_H
#define LS_DTYPE_TILES_H

#include "dtype/packed.h"

/* As ls_matrix_bytes, ls_packed_codes and ls_packed_put_row. */
size_t ls_tiles_bytes(int dtype, size_t rows, size_t n);
void   ls_tl1_codes(int8_t *out, const ls_tensor *t, size_t row);
void   ls_tl2_codes(int8_t *out, const ls_tensor *t, size_t row);
void   ls_tl1_put(uint8_t *out, const ls_tensor *t, size_t row, const int8_t *codes);
void   ls_tl2_put(uint8_t *out, const ls_tensor *t, size_t row, const int8_t *codes);

#endif
