// SPDX-License-Identifier: MIT
/* blocks.h - byte layout of every block format, weights and activations.
 *
 * Layouts of the ggml project (ggml-common.h), I2_S of bitnet.cpp. Values are little-endian.
 */
#ifndef LS_DTYPE_BLOCKS_H
#define LS_DTYPE_BLOCKS_H

#include <assert.h>
#include <stdint.h>

/*  byte 0..1   d   f16 scale
 *       2..17  qs  32 x 4 bit: element j in the low nibble of byte j, element j + 16 in the high
 *  value = d * (nibble - 8) */
typedef struct ls_q4_0 { uint16_t d; uint8_t qs[16]; } ls_q4_0;
static_assert(sizeof(ls_q4_0) == 18, "q4_0 block");

/*  byte 0..1   d   f16 scale;  2..33  qs  32 x int8.  value = d * q */
typedef struct ls_q8_0 { uint16_t d; int8_t qs[32]; } ls_q8_0;
static_assert(sizeof(ls_q8_0) == 34, "q8_0 block");

/*  byte 0..1   d      f16 scale of scales
 *       2..3   dmin   f16 scale of minimums
 *       4..15  scales eight 6-bit scales and eight 6-bit minimums, packed:
 *              j < 4: scale = s[j] & 63, min = s[j + 4] & 63
 *              else:  scale = (s[j + 4] & 15) | (s[j - 4] >> 6) << 4,
 *                     min   = (s[j + 4] >> 4) | (s[j] >> 6) << 4
 *      16..143 qs     256 x 4 bit: per 64 elements 32 bytes, low nibbles first
 *  value = d * scale * q - dmin * min, one scale and minimum per 32 elements */
typedef struct ls_q4_k { uint16_t d, dmin; uint8_t scales[12]; uint8_t qs[128]; } ls_q4_k;
static_assert(sizeof(ls_q4_k) == 144, "q4_K block");

/*  byte 0..127   ql      low 4 bits    128..191 qh  high 2 bits
 *       192..207 scales  16 x int8     208..209 d   f16
 *  Per half of 128 elements (64 ql bytes, 32 qh bytes, 8 scales), l = 0..31:
 *    element l:      ql[l]      & 15 | (qh[l] >> 0 & 3) << 4      scale l/16
 *    element l + 32: ql[l + 32] & 15 | (qh[l] >> 2 & 3) << 4      scale l/16 + 2
 *    element l + 64: ql[l]      >> 4 | (qh[l] >> 4 & 3) << 4      scale l/16 + 4
 *    element l + 96: ql[l + 32] >> 4 | (qh[l] >> 6 & 3) << 4      scale l/16 + 6
 *  value = d * scale * (q - 32) */
typedef struct ls_q6_k { uint8_t ql[128], qh[64]; int8_t scales[16]; uint16_t d; } ls_q6_k;
static_assert(sizeof(ls_q6_k) == 210, "q6_K block");

/*  byte 0..63  qs  256 x 2 bit: per 128 elements 32 bytes; element j of those in byte j % 32,
 *                  bits 2 * (j / 32)
 *      64..65  d   f16
 *  value = d * (code - 1) */
typedef struct ls_tq2_0 { uint8_t qs[64]; uint16_t d; } ls_tq2_0;
static_assert(sizeof(ls_tq2_0) == 66, "tq2_0 block");

/*  128 elements in 32 bytes: element j in byte j % 32, bits 6 - 2 * (j / 32); codes 0, 1, 2 are
 *  -1, 0, +1. One f32 scale follows the last block of the tensor, then 28 undefined bytes. */
typedef struct ls_i2_s { uint8_t qs[32]; } ls_i2_s;
static_assert(sizeof(ls_i2_s) == 32, "i2_s block");
#define LS_I2_S_TAIL 32

/* ---- activations ---- */

/* Q8_0: as above. Q8_K: 256 elements, float scale, sums of 16 elements each. */
typedef struct ls_q8_k { float d; int8_t qs[256]; int16_t bsums[16]; } ls_q8_k;
static_assert(sizeof(ls_q8_k) == 292, "q8_K block");

/* I8_ROW: one row of int8: value = q / s. `sum` is the sum of all q.
 * The row's int8 values follow the header, padded with zeros to a multiple of 128. */
typedef struct ls_i8_row { float s; int32_t sum; int8_t qs[]; } ls_i8_row;
static_assert(sizeof(ls_i8_row) == 8, "i8 row header");

#endif
