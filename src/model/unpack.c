// SPDX-License-Identifier: MIT
/* unpack.c - rows that can be multiplied, out of ternary matrices that files hold as a whole.
 *
 * No value changes. Microsoft's layouts become I2_S rows (TL1's and TL2's activations are rounded a
 * little differently: TERNARY). BitNet-rs has a scale for 32 elements, as Q4_0 has, so that is what
 * its layouts become; where a scale is no F16 number, or rows are no multiple of 32, floats. */
#include "model/unpack.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dtype/blocks.h"
#include "dtype/dtype.h"
#include "dtype/packed.h"

static bool scales_are_halves(const ls_tensor *t)
{
    size_t n = (size_t)t->ne[0], rows = (size_t)(t->ne[1] * t->ne[2] * t->ne[3]);
    for (size_t r = 0; r < rows; r++) {
        for (size_t j = 0; j < n; j += 32) {
            float s = ls_packed_scale(t, r, j);
            if (ls_f16_to_f32(ls_f32_to_f16(s)) != s) return false;
        }
    }
    return true;
}

int ls_unpacked_dtype(const ls_tensor *t)
{
    switch (t->dtype) {
    case LS_DTYPE_I2_S_ARM:
    case LS_DTYPE_I2_S_1X4:
        return LS_DTYPE_I2_S;
    case LS_DTYPE_TL1:
    case LS_DTYPE_TL2:
        return LS_DTYPE_TERNARY;
    default:
        return t->ne[0] % 32 == 0 && scales_are_halves(t) ? LS_DTYPE_Q4_0 : LS_DTYPE_F32;
    }
}

size_t ls_unpacked_row_bytes(int dtype, size_t n)
{
    bool codes = dtype == LS_DTYPE_I2_S || dtype == LS_DTYPE_TERNARY;
    return codes ? (n + 127) / 128 * sizeof(ls_i2_s) : ls_dtype_row_bytes(dtype, n);
}

static void put_ternary(ls_i2_s *b, const int8_t *codes, size_t n)
{
    memset(b, 0x55, (n + 127) / 128 * sizeof(*b)); /* all zeros */
    for (size_t i = 0; i < n; i += 32) {           /* what shares its bits in as many bytes */
        uint8_t *qs = b[i / 128].qs;
        size_t   bit = 6 - i % 128 / 32 * 2, end = n - i < 32 ? n - i : 32;
        for (size_t k = 0; k < end; k++) qs[k] ^= (uint8_t)((1 ^ (codes[i + k] + 1)) << bit);
    }
}

static void put_q4_0(ls_q4_0 *b, const ls_tensor *t, size_t row, const int8_t *codes)
{
    for (size_t i = 0; i < (size_t)t->ne[0]; i += 32, b++, codes += 32) {
        b->d = ls_f32_to_f16(ls_packed_scale(t, row, i));
        for (int j = 0; j < 16; j++) {
            b->qs[j] = (uint8_t)((codes[j] + 8) | (codes[j + 16] + 8) << 4);
        }
    }
}

ls_status ls_unpack(uint8_t *out, int dtype, const ls_tensor *t, size_t from, size_t n_rows,
                    ls_error *err)
{
    size_t  n = (size_t)t->ne[0], bytes = ls_unpacked_row_bytes(dtype, n);
    int8_t *codes;
    LS_TRY(ls_alloc(&codes, n, 1, "a row of codes", err));
    for (size_t r = 0; r < n_rows; r++, out += bytes) {
        if (dtype == LS_DTYPE_F32) {
            ls_tensor_decode((float *)(void *)out, t, from + r, 1);
            continue;
        }
        ls_packed_codes(codes, t, from + r);
        if (dtype == LS_DTYPE_Q4_0) {
            put_q4_0((ls_q4_0 *)(void *)out, t, from + r, codes);
        } else {
            put_ternary((ls_i2_s *)(void *)out, codes, n);
        }
    }
    free(codes);
    return LS_OK;
}
