// SPDX-License-Identifier: MIT
/* dtype.h - element types: sizes, decoding rows of weights to float, half-precision helpers. */
#ifndef LS_DTYPE_DTYPE_H
#define LS_DTYPE_DTYPE_H

#include "lockstep/error.h"
#include "lockstep/types.h"

/* Forms that activations are rounded to before a dot product (NUMERICS.md, clause 3). */
typedef enum ls_act {
    LS_ACT_F32, LS_ACT_F16, LS_ACT_BF16, LS_ACT_Q8_0, LS_ACT_Q8_1, LS_ACT_Q8_K, LS_ACT_I8_ROW,
    LS_ACT_I8_TL, LS_N_ACTS,
} ls_act;

/* Activation form of a supported weight type. */
ls_act ls_dtype_act(int dtype);
/* Bytes of one activation row of n elements in form `act` (a multiple of 64). n must be a
 * multiple of the form's block: 1, 32 (Q8_0, Q8_1), 256 (Q8_K), 1 (I8_ROW, I8_TL: the last 128 are filled with zeros). */
size_t ls_act_row_bytes(ls_act act, size_t n);

/* Bytes of a row of n elements / of a whole tensor of n elements (with I2_S's tail), of types that
 * are no packed matrices (packed.h has those). 0 if unsupported, n is no multiple of the block, or the product overflows. */
size_t ls_dtype_row_bytes(int dtype, size_t n);
size_t ls_dtype_tensor_bytes(int dtype, size_t n);

/* Decode n elements (a multiple of the block; TERNARY: any) to float.
 * `scale` is the tensor's scale for I2_S and ignored otherwise. Code 3 of I2_S decodes to 0. */
void ls_dtype_decode(int dtype, float *out, const void *blocks, size_t n, float scale);

/* The f32 scale in the tail of an I2_S tensor of n elements; 1 for every other type. */
float ls_dtype_tensor_scale(int dtype, const void *data, size_t n);

/* IEEE binary16 and bfloat16, round to nearest even, NaN stays NaN (quiet). */
float    ls_f16_to_f32(uint16_t h);
uint16_t ls_f32_to_f16(float f);
float    ls_bf16_to_f32(uint16_t h);
uint16_t ls_f32_to_bf16(float f);

#endif
