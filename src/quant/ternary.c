// SPDX-License-Identifier: MIT
/* ternary.c - weights that are -s, 0 and s to I2_S, TL1 and TL2: nothing is rounded, or refused. */
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "dtype/blocks.h"
#include "dtype/packed.h"
#include "quant/quant_priv.h"

static ls_status not_ternary(int dtype, size_t row, size_t column, float x, ls_error *err)
{
    ls_fail(err, LS_ERR_UNSUPPORTED, "cannot quantise %g to %s: weights are not -s, 0 and s",
            (double)x, ls_dtype_name(dtype));
    ls_fail_at(err, "row %zu, column %zu", row, column);
    return LS_ERR_UNSUPPORTED;
}

static void put_i2_s(uint8_t *out, size_t row, size_t n, const int8_t *codes)
{
    for (size_t j = 0, i = row * n; j < n; j++, i++) {
        out[i / 128 * 32 + i % 32] |= (uint8_t)((codes[j] + 1) << (6 - 2 * (i % 128 / 32)));
    }
}

ls_status ls_encode_ternary(int dtype, uint8_t *out, const float *x, size_t n_rows, size_t n,
                            ls_error *err)
{
    size_t    all = n_rows * n, bytes = ls_matrix_bytes(dtype, n_rows, n);
    ls_tensor t = {.dtype = dtype, .n_dims = 2, .ne = {(int64_t)n, (int64_t)n_rows, 1, 1}};
    float     scale = 0;
    int8_t   *codes;
    ls_status status = LS_OK;
    if (dtype != LS_DTYPE_I2_S) ls_tiles_for(dtype, n_rows, n, &t.tiles);
    LS_TRY(ls_alloc(&codes, n, 1, "a row of codes", err));
    memset(out, 0, bytes);
    for (size_t i = 0; i < all && scale == 0; i++) scale = fabsf(x[i]);
    for (size_t r = 0; r < n_rows && status == LS_OK; r++, x += n) {
        for (size_t j = 0; j < n && status == LS_OK; j++) {
            codes[j] = (int8_t)((x[j] > 0) - (x[j] < 0));
            if (x[j] != 0 && fabsf(x[j]) != scale) status = not_ternary(dtype, r, j, x[j], err);
        }
        if (dtype == LS_DTYPE_I2_S) {
            put_i2_s(out, r, n, codes);
        } else {
            ls_packed_put_row(out, &t, r, codes);
        }
    }
    memcpy(out + bytes - LS_I2_S_TAIL, &scale, sizeof(scale));
    free(codes);
    return status;
}
