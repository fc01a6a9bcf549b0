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
/* In memory, a row of TL1 and TL2 is such blocks too, the last one filled with code 1. */

/* ---- 32 elements (64 and 128 where it says so), one scale ---- */

/*  byte 0..1 d, 2..3 m: f16; 4..19 qs as in Q4_0.  value = d * nibble + m */
typedef struct ls_q4_1 { uint16_t d, m; uint8_t qs[16]; } ls_q4_1;
static_assert(sizeof(ls_q4_1) == 20, "q4_1 block");

/*  byte 0..1 d: f16; 2..5 qh: bit j is bit 4 of element j; 6..21 qs as in Q4_0.
 *  value = d * (q - 16) */
typedef struct ls_q5_0 { uint16_t d; uint8_t qh[4], qs[16]; } ls_q5_0;
static_assert(sizeof(ls_q5_0) == 22, "q5_0 block");

/*  as Q5_0 with a minimum m (f16) behind d.  value = d * q + m */
typedef struct ls_q5_1 { uint16_t d, m; uint8_t qh[4], qs[16]; } ls_q5_1;
static_assert(sizeof(ls_q5_1) == 24, "q5_1 block");

/*  byte 0..1 d, 2..3 s: f16, s = d * sum of q; 4..35 qs 32 x int8.  value = d * q */
typedef struct ls_q8_1 { uint16_t d, s; int8_t qs[32]; } ls_q8_1;
static_assert(sizeof(ls_q8_1) == 36, "q8_1 block");

/*  128 elements: byte 0..1 d: f16; 2..17 qs: element j in bit j % 8 of byte j / 8.
 *  value = bit ? d : -d */
typedef struct ls_q1_0 { uint16_t d; uint8_t qs[16]; } ls_q1_0;
static_assert(sizeof(ls_q1_0) == 18, "q1_0 block");

/*  64 elements: byte 0..1 d: f16; 2..17 qs: element j in bits 2 * (j % 4) of byte j / 4.
 *  value = d * (code - 1) */
typedef struct ls_q2_0 { uint16_t d; uint8_t qs[16]; } ls_q2_0;
static_assert(sizeof(ls_q2_0) == 18, "q2_0 block");

/*  as Q4_0, the nibbles being indices of the sixteen values of ls_values_iq4 */
typedef struct ls_iq4_nl { uint16_t d; uint8_t qs[16]; } ls_iq4_nl;
static_assert(sizeof(ls_iq4_nl) == 18, "iq4_nl block");

/*  byte 0 e: the scale 2^(e - 127); 1..16 qs as in Q4_0, nibbles E2M1 (OCP microscaling formats,
 *  version 1.0). ls_values_fp4 holds twice the values, and the scale here is half of it. */
typedef struct ls_mxfp4 { uint8_t e, qs[16]; } ls_mxfp4;
static_assert(sizeof(ls_mxfp4) == 17, "mxfp4 block");

/*  64 elements: byte 0..3 d: an unsigned E4M3 scale per 16 elements; 4..35 qs: per 16 elements
 *  8 bytes, low nibbles first, E2M1 */
typedef struct ls_nvfp4 { uint8_t d[4], qs[32]; } ls_nvfp4;
static_assert(sizeof(ls_nvfp4) == 36, "nvfp4 block");

/* ---- 256 elements, scales of scales ---- */

/*  byte 0..15 scales: low nibble the scale, high nibble the minimum of 16 elements
 *      16..79 qs: 2 bits as in TQ2_0;  80..81 d, 82..83 dmin: f16
 *  value = d * scale * q - dmin * min */
typedef struct ls_q2_k { uint8_t scales[16], qs[64]; uint16_t d, dmin; } ls_q2_k;
static_assert(sizeof(ls_q2_k) == 84, "q2_K block");

/*  byte 0..31 hmask: bit i / 32 of byte i % 32 set: element i is not lowered by 4
 *      32..95 qs: 2 bits as in TQ2_0
 *      96..107 scales: sixteen of 6 bits: low nibbles of scales 0..7, high ones of 8..15 in bytes
 *              0..7; the upper two bits of scale j in bits 2 * (j / 4) of byte 8 + j % 4
 *      108..109 d: f16.   value = d * (scale - 32) * (q - (hmask bit ? 0 : 4)) */
typedef struct ls_q3_k { uint8_t hmask[32], qs[64], scales[12]; uint16_t d; } ls_q3_k;
static_assert(sizeof(ls_q3_k) == 110, "q3_K block");

/*  d, dmin, scales and qs as in Q4_K; between scales and qs 32 bytes qh: bit i / 32 of byte i % 32
 *  is bit 4 of element i */
typedef struct ls_q5_k { uint16_t d, dmin; uint8_t scales[12], qh[32], qs[128]; } ls_q5_k;
static_assert(sizeof(ls_q5_k) == 176, "q5_K block");

/*  byte 0..1 d: f16; 2..3 scales_h: upper two bits of scale j at 2 * j; 4..7 scales_l: lower four
 *      bits, two to a byte; 8..135 qs: per 32 elements 16 bytes as in IQ4_NL
 *  value = d * (scale - 32) * ls_values_iq4[nibble] */
typedef struct ls_iq4_xs { uint16_t d, scales_h; uint8_t scales_l[4], qs[128]; } ls_iq4_xs;
static_assert(sizeof(ls_iq4_xs) == 136, "iq4_xs block");

/*  qs: base 3, five digits to a byte as a fraction of 256: byte * 3^n mod 256 has the digits from
 *  the n-th on. Bytes 0..31: digit n of byte m is element 32 n + m; bytes 32..47: element
 *  160 + 16 n + m; qh: four digits, element 240 + 4 n + m.   value = d * (digit - 1) */
typedef struct ls_tq1_0 { uint8_t qs[48], qh[4]; uint16_t d; } ls_tq1_0;
static_assert(sizeof(ls_tq1_0) == 54, "tq1_0 block");

/* ---- 256 elements out of code books (grid_tables.h) ----
 * Signs of 8 elements in 7 bits: bit 7 makes their number even. */

/*  per 32 elements eight bytes qs: four indices, then a word: four times seven signs, and a scale
 *  in its upper four bits.   value = d / 8 * (2 * scale + 1) * sign * grid */
typedef struct ls_iq2_xxs { uint16_t d, qs[32]; } ls_iq2_xxs;
static_assert(sizeof(ls_iq2_xxs) == 66, "iq2_xxs block");

/*  qs: per 8 elements nine bits of index and seven of signs; scales: two nibbles per 32 elements */
typedef struct ls_iq2_xs { uint16_t d, qs[32]; uint8_t scales[8]; } ls_iq2_xs;
static_assert(sizeof(ls_iq2_xs) == 74, "iq2_xs block");

/*  qs: per 8 elements the low byte of the index; signs: eight bits; qh: bits 8 and 9 of the indices
 *  of 32 elements; scales as in IQ2_XS */
typedef struct ls_iq2_s { uint16_t d; uint8_t qs[32], signs[32], qh[8], scales[8]; } ls_iq2_s;
static_assert(sizeof(ls_iq2_s) == 82, "iq2_s block");

/*  qs: an index per 4 elements; words: per 32 elements signs and scale as in IQ2_XXS
 *  value = d / 4 * (2 * scale + 1) * sign * grid */
typedef struct ls_iq3_xxs { uint16_t d; uint8_t qs[64], words[32]; } ls_iq3_xxs;
static_assert(sizeof(ls_iq3_xxs) == 98, "iq3_xxs block");

/*  qs: the low byte of the index per 4 elements, qh: bit 8 of those of 32 elements; signs: eight
 *  bits; scales: a nibble per 32 elements.   value = d * (2 * scale + 1) * sign * grid */
typedef struct ls_iq3_s { uint16_t d; uint8_t qs[64], qh[8], signs[32], scales[4]; } ls_iq3_s;
static_assert(sizeof(ls_iq3_s) == 110, "iq3_s block");

/*  qs: the low byte of the index per 8 elements; qh, per 32 elements: bits 8 to 10 of the four
 *  indices, a scale of three bits, and the sign of the shift
 *  value = d * (2 * scale + 1) * (grid + (sign ? -1/8 : 1/8)) */
typedef struct ls_iq1_s { uint16_t d; uint8_t qs[32]; uint16_t qh[8]; } ls_iq1_s;
static_assert(sizeof(ls_iq1_s) == 50, "iq1_s block");

/*  qs as in IQ1_S; qh, a nibble per 8 elements: bits 8 to 10 of the index, sign of the shift;
 *  scales, four little-endian words: three bits per 16 elements, and in the upper four bits of
 *  each a quarter of d (f16), the lowest first */
typedef struct ls_iq1_m { uint8_t qs[32], qh[16], scales[8]; } ls_iq1_m;
static_assert(sizeof(ls_iq1_m) == 56, "iq1_m block");

/* ---- activations ---- */

/* Q8_0, Q8_1: as above. Q8_K: 256 elements, float scale, sums of 16 elements each. */
typedef struct ls_q8_k { float d; int8_t qs[256]; int16_t bsums[16]; } ls_q8_k;
static_assert(sizeof(ls_q8_k) == 292, "q8_K block");

/* Behind a row of Q8_0, where strips are multiplied: of each block d as a float, and the sum of its codes. */
typedef struct ls_q8_sum { float d; int32_t sum; } ls_q8_sum;
static_assert(sizeof(ls_q8_sum) == 8, "q8_0 sum");

/* I8_ROW: one row of int8: value = q / s. `sum` is the sum of all q.
 * The row's int8 values follow the header, padded with zeros to a multiple of 128. */
typedef struct ls_i8_row { float s; int32_t sum; int8_t qs[]; } ls_i8_row;
static_assert(sizeof(ls_i8_row) == 8, "i8 row header");

#endif
