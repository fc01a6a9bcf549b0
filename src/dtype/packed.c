// SPDX-License-Identifier: MIT
/* packed.c - sizes of ternary matrices that are stored as a whole, their codes, their scales.
 *
 * The two layouts of tiles are in tiles.c. */
#include "dtype/packed.h"

#include <string.h>

#include "base/mem.h"
#include "dtype/blocks.h"
#include "dtype/dtype.h"
#include "dtype/tiles.h"

bool ls_dtype_is_packed(int dtype)
{
    switch (dtype) {
    case LS_DTYPE_I2_S_ARM:
    case LS_DTYPE_I2_S_1X4:
    case LS_DTYPE_I2_S32:
    case LS_DTYPE_I2_S32_SPLIT:
    case LS_DTYPE_I2_S256:
    case LS_DTYPE_TL1:
    case LS_DTYPE_TL2:
        return true;
    default:
        return false;
    }
}

int ls_dtype_file_id(int dtype)
{
    switch (dtype) {
    case LS_DTYPE_I2_S_ARM:
    case LS_DTYPE_I2_S_1X4:
    case LS_DTYPE_I2_S32:
    case LS_DTYPE_I2_S32_SPLIT:
    case LS_DTYPE_I2_S256:
        return LS_DTYPE_I2_S;
    case LS_DTYPE_TL2:
        return LS_DTYPE_MXFP4; /* both are 39 */
    default:
        return dtype;
    }
}

const char *ls_dtype_flavour(int dtype)
{
    switch (dtype) {
    case LS_DTYPE_I2_S:
        return "Microsoft x86";
    case LS_DTYPE_I2_S_ARM:
        return "Microsoft Arm";
    case LS_DTYPE_I2_S_1X4:
        return "Microsoft 1x4";
    case LS_DTYPE_I2_S32:
        return "BitNet32-F16";
    case LS_DTYPE_I2_S32_SPLIT:
        return "Split32WithSibling";
    case LS_DTYPE_I2_S256:
        return "GgmlQk256NoScale";
    case LS_DTYPE_TL1:
        return "bitnet.cpp TL1";
    case LS_DTYPE_TL2:
        return "bitnet.cpp TL2";
    default:
        return NULL;
    }
}

size_t ls_matrix_bytes(int dtype, size_t rows, size_t n)
{
    size_t all, bytes = 0;
    if (!rows || !n || !ls_mul_size(rows, n, &all)) return 0;
    if (!ls_dtype_is_packed(dtype)) {
        return n % (ls_dtype_block(dtype) ? ls_dtype_block(dtype) : 1)
                   ? 0
                   : ls_dtype_tensor_bytes(dtype, all);
    }
    if (all > SIZE_MAX / 2) return 0; /* no layout below has more than a byte for an element */
    switch (dtype) {
    case LS_DTYPE_I2_S_ARM:
        return n % 64 ? 0 : all / 4 + LS_I2_S_TAIL;
    case LS_DTYPE_I2_S_1X4:
        return rows % 4 || all % 128 ? 0 : all / 4 + LS_I2_S_TAIL;
    case LS_DTYPE_I2_S32:
        return n % 32 ? 0 : all / 32 * 10;
    case LS_DTYPE_I2_S32_SPLIT:
        return n % 32 ? 0 : all / 32 * 8;
    case LS_DTYPE_I2_S256:
        return ls_mul_size(rows, (n + 255) / 256 * 64, &bytes) ? bytes : 0;
    default:
        return ls_tiles_bytes(dtype, rows, n);
    }
}

/* Where the f32 scale of a whole matrix lies: in front of the last 32 bytes. */
static size_t scale_at(const ls_tensor *t)
{
    size_t rows = (size_t)(t->ne[1] * t->ne[2] * t->ne[3]);
    return ls_matrix_bytes(t->dtype, rows, (size_t)t->ne[0]) - LS_I2_S_TAIL;
}

static void i2_s_codes(int8_t *out, const ls_tensor *t, size_t row)
{
    static const int8_t value[4] = {-1, 0, 1, 0};
    const uint8_t      *b = t->data;
    size_t              n = (size_t)t->ne[0];
    for (size_t j = 0, e = row * n; j < n; j++, e++) {
        bool    arm = t->dtype == LS_DTYPE_I2_S_ARM;
        uint8_t byte = arm ? b[e / 64 * 16 + e % 16] : b[row / 4 * n + j];
        size_t  place = arm ? e % 64 / 16 : row % 4;
        out[j] = value[byte >> (6 - 2 * place) & 3];
    }
}

/* Codes from bit 0 up, in blocks of 32 elements that follow each other every `stride` bytes. */
static void i2_s32_codes(int8_t *out, const ls_tensor *t, size_t row, size_t stride)
{
    size_t n = (size_t)t->ne[0];
    for (size_t j = 0, e = row * n; j < n; j++, e++) {
        uint8_t byte = ((const uint8_t *)t->data)[e / 32 * stride + e % 32 / 4];
        out[j] = (int8_t)((byte >> 2 * (e % 4) & 3) - 2);
    }
}

/* No zero: BitNet-rs reads the four codes so. */
static void i2_s256_codes(int8_t *out, const ls_tensor *t, size_t row)
{
    static const int8_t value[4] = {-2, -1, 1, 2};
    size_t              n = (size_t)t->ne[0];
    const uint8_t      *b = (const uint8_t *)t->data + row * ((n + 255) / 256 * 64);
    for (size_t j = 0; j < n; j++) out[j] = value[b[j / 4] >> 2 * (j % 4) & 3];
}

void ls_packed_codes(int8_t *out, const ls_tensor *t, size_t row)
{
    switch (t->dtype) {
    case LS_DTYPE_I2_S_ARM:
    case LS_DTYPE_I2_S_1X4:
        i2_s_codes(out, t, row);
        return;
    case LS_DTYPE_I2_S32:
        i2_s32_codes(out, t, row, 10);
        return;
    case LS_DTYPE_I2_S32_SPLIT:
        i2_s32_codes(out, t, row, 8);
        return;
    case LS_DTYPE_I2_S256:
        i2_s256_codes(out, t, row);
        return;
    case LS_DTYPE_TL1:
        ls_tl1_codes(out, t, row);
        return;
    case LS_DTYPE_TL2:
        ls_tl2_codes(out, t, row);
        return;
    default:
        return;
    }
}

float ls_packed_scale(const ls_tensor *t, size_t row, size_t j)
{
    size_t   block = (row * (size_t)t->ne[0] + j) / 32;
    uint16_t half;
    float    scale = 1;
    switch (t->dtype) {
    case LS_DTYPE_I2_S256:
        return 1;
    case LS_DTYPE_I2_S32:
        memcpy(&half, (const uint8_t *)t->data + block * 10 + 8, 2);
        return ls_f16_to_f32(half);
    case LS_DTYPE_I2_S32_SPLIT:
        ls_dtype_decode(t->scales_dtype, &scale,
                        (const uint8_t *)t->scales + block * ls_dtype_block_bytes(t->scales_dtype),
                        1, 1);
        return scale;
    default:
        memcpy(&scale, (const uint8_t *)t->data + scale_at(t), sizeof(scale));
        return scale;
    }
}

void ls_packed_put_row(uint8_t *out, const ls_tensor *t, size_t row, const int8_t *codes)
{
    (t->dtype == LS_DTYPE_TL1 ? ls_tl1_put : ls_tl2_put)(out, t, row, codes);
}

void ls_packed_put_scale(uint8_t *out, const ls_tensor *t, float scale)
{
    memcpy(out + scale_at(t), &scale, sizeof(scale));
}

static void decode_packed(float *out, const ls_tensor *t, size_t row)
{
    size_t  n = (size_t)t->ne[0];
    int8_t *codes =
        (int8_t *)(out + n) - n; /* in the last quarter: read before it is overwritten */
    float scale = 0;
    bool  blocks = t->dtype == LS_DTYPE_I2_S32 || t->dtype == LS_DTYPE_I2_S32_SPLIT;
    ls_packed_codes(codes, t, row);
    for (size_t j = 0; j < n; j++) {
        float code = (float)codes[j];
        if (j == 0 || (blocks && j % 32 == 0)) scale = ls_packed_scale(t, row, j);
        out[j] = code * scale;
    }
}

void ls_tensor_decode(float *out, const ls_tensor *t, size_t row, size_t n_rows)
{
    size_t n = (size_t)t->ne[0], all = n * (size_t)(t->ne[1] * t->ne[2] * t->ne[3]);
    if (ls_dtype_is_packed(t->dtype)) {
        for (size_t r = 0; r < n_rows; r++) decode_packed(out + r * n, t, row + r);
        return;
    }
    ls_dtype_decode(t->dtype, out, (const uint8_t *)t->data + row * ls_dtype_row_bytes(t->dtype, n),
                    n_rows * n, ls_dtype_tensor_scale(t->dtype, t->data, all));
}
