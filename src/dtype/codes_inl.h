// SPDX-License-Identifier: MIT
/* codes_inl.h - block formats as what they have in common: small integers with integer scales.
 *
 *   value of element i = (d * scale[i / 16]) * q[i]  -  dmin * min[i / 16]
 *
 * One function per format unpacks a block into that form; decoders and products are written once,
 * on top of it. All d are powers of two away from the stored ones, so that rounding happens where
 * the formula of blocks.h rounds. Static inline: tier files compile it under their own flags. */
#ifndef LS_DTYPE_CODES_INL_H
#define LS_DTYPE_CODES_INL_H

#include <string.h>

#include "dtype/blocks.h"
#include "dtype/dtype.h"

typedef struct ls_codes {
    float   d, dmin;
    int32_t scale[16]; /* below 2^15 in magnitude, except NVFP4's */
    int32_t min[16];   /* zero where the format has no minimums   */
    int8_t  q[256];
} ls_codes;

typedef void ls_unpack_fn(ls_codes *c, const void *block);

static const int8_t ls_values_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                         1,    13,   25,  38,  53,  69,  89,  113};
static const int8_t ls_values_fp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

static inline uint32_t ls_word(const void *p)
{
    uint32_t u;
    memcpy(&u, p, 4);
    return u;
}

/* n groups of 16 elements with one scale and no minimums. */
static inline void codes_plain(ls_codes *c, float d, int n)
{
    c->d = d;
    c->dmin = 0;
    for (int j = 0; j < n; j++) {
        c->scale[j] = 1;
        c->min[j] = 0;
    }
}

/* 32 nibbles in 16 bytes, low ones first. */
static inline void codes_nibbles(int8_t *q, const uint8_t *qs, int less)
{
    for (int j = 0; j < 16; j++) {
        q[j] = (int8_t)((qs[j] & 15) - less);
        q[j + 16] = (int8_t)((qs[j] >> 4) - less);
    }
}

/* 2 * half nibbles as indices of sixteen values. A tier may bring its own. */
#ifndef LS_CODES_TABLE
static inline void codes_table(int8_t *q, const uint8_t *qs, int half, const int8_t *values)
{
    for (int j = 0; j < half; j++) {
        q[j] = values[qs[j] & 15];
        q[j + half] = values[qs[j] >> 4];
    }
}
#endif

/* Bit 4 of 32 elements. */
static inline void codes_fifth_bits(int8_t *q, const uint8_t *qh)
{
    for (int k = 0; k < 4; k++) {
        for (int j = 0; j < 8; j++) q[8 * k + j] = (int8_t)(q[8 * k + j] + (qh[k] & 1 << j ? 16 : 0));
    }
}

/* 2 bits: per 128 elements 32 bytes, element j of those in byte j % 32, bits 2 * (j / 32). */
static inline void codes_pairs(int8_t *q, const uint8_t *qs, int less)
{
    for (int g = 0; g < 8; g++) {
        for (int l = 0; l < 32; l++) {
            q[32 * g + l] = (int8_t)((qs[32 * (g / 4) + l] >> (2 * (g % 4)) & 3) - less);
        }
    }
}

/* Bit i / 32 of byte i % 32 adds `value` to element i. */
static inline void codes_high_bits(int8_t *q, const uint8_t *bits, int value)
{
    for (int g = 0; g < 8; g++) {
        for (int l = 0; l < 32; l++) {
            q[32 * g + l] = (int8_t)(q[32 * g + l] + value * (bits[l] >> g & 1));
        }
    }
}

/* Q4_K and Q5_K: eight scales and minimums of 6 bits, for 32 elements each. */
static inline void codes_scales_k4(ls_codes *c, const uint8_t *s)
{
    for (int j = 0; j < 16; j++) {
        int k = j / 2;
        c->scale[j] = k < 4 ? s[k] & 63 : (s[k + 4] & 15) | (s[k - 4] >> 6) << 4;
        c->min[j] = k < 4 ? s[k + 4] & 63 : s[k + 4] >> 4 | (s[k] >> 6) << 4;
    }
}

static inline void codes_nibbles_k4(int8_t *q, const uint8_t *qs)
{
    for (int g = 0; g < 8; g++) {
        for (int l = 0; l < 32; l++) {
            q[32 * g + l] = (int8_t)(qs[32 * (g / 2) + l] >> (4 * (g % 2)) & 15);
        }
    }
}

static inline void codes_Q4_0(ls_codes *c, const void *block)
{
    const ls_q4_0 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 2);
    codes_nibbles(c->q, b->qs, 8);
}

/* value = d * q + m: the minimum is -m, one of it. */
static inline void codes_Q4_1(ls_codes *c, const void *block)
{
    const ls_q4_1 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 2);
    codes_nibbles(c->q, b->qs, 0);
    c->dmin = -ls_f16_to_f32(b->m);
    c->min[0] = c->min[1] = 1;
}

static inline void codes_Q5_0(ls_codes *c, const void *block)
{
    const ls_q5_0 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 2);
    codes_nibbles(c->q, b->qs, 16);
    codes_fifth_bits(c->q, b->qh);
}

static inline void codes_Q5_1(ls_codes *c, const void *block)
{
    const ls_q5_1 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 2);
    codes_nibbles(c->q, b->qs, 0);
    codes_fifth_bits(c->q, b->qh);
    c->dmin = -ls_f16_to_f32(b->m);
    c->min[0] = c->min[1] = 1;
}

static inline void codes_Q8_0(ls_codes *c, const void *block)
{
    const ls_q8_0 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 2);
    memcpy(c->q, b->qs, 32);
}

static inline void codes_Q8_1(ls_codes *c, const void *block)
{
    const ls_q8_1 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 2);
    memcpy(c->q, b->qs, 32);
}

static inline void codes_Q1_0(ls_codes *c, const void *block)
{
    const ls_q1_0 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 8);
    for (int k = 0; k < 16; k++) {
        for (int j = 0; j < 8; j++) c->q[8 * k + j] = (int8_t)(b->qs[k] & 1 << j ? 1 : -1);
    }
}

static inline void codes_Q2_0(ls_codes *c, const void *block)
{
    const ls_q2_0 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 4);
    for (int k = 0; k < 16; k++) {
        for (int j = 0; j < 4; j++) c->q[4 * k + j] = (int8_t)((b->qs[k] >> (2 * j) & 3) - 1);
    }
}

static inline void codes_IQ4_NL(ls_codes *c, const void *block)
{
    const ls_iq4_nl *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 2);
    codes_table(c->q, b->qs, 16, ls_values_iq4);
}

/* Half of 2^(e - 127), subnormal for e below 2; e = 255, a NaN by the standard, is 2^127 here as
 * in the reference. */
static inline float ls_half_e8m0(uint8_t e)
{
    uint32_t u = e < 2 ? 0x200000u << e : (uint32_t)(e - 1) << 23;
    float    f;
    memcpy(&f, &u, 4);
    return f;
}

static inline void codes_MXFP4(ls_codes *c, const void *block)
{
    const ls_mxfp4 *b = block;
    codes_plain(c, ls_half_e8m0(b->e), 2);
    codes_table(c->q, b->qs, 16, ls_values_fp4);
}

/* Scales E4M3, halved, in units of 2^-10; bit 7 is ignored, except that 0x7f alone (a NaN by the
 * standard) is zero. */
static inline void codes_NVFP4(ls_codes *c, const void *block)
{
    const ls_nvfp4 *b = block;
    codes_plain(c, 0x1p-10f, 4);
    for (int j = 0; j < 4; j++) {
        int e = b->d[j] >> 3 & 15, m = b->d[j] & 7;
        c->scale[j] = b->d[j] == 0x7f ? 0 : e ? (8 + m) << (e - 1) : m;
        codes_table(c->q + 16 * j, b->qs + 8 * j, 8, ls_values_fp4);
    }
}

static inline void codes_Q2_K(ls_codes *c, const void *block)
{
    const ls_q2_k *b = block;
    c->d = ls_f16_to_f32(b->d);
    c->dmin = ls_f16_to_f32(b->dmin);
    for (int j = 0; j < 16; j++) {
        c->scale[j] = b->scales[j] & 15;
        c->min[j] = b->scales[j] >> 4;
    }
    codes_pairs(c->q, b->qs, 0);
}

static inline void codes_Q3_K(ls_codes *c, const void *block)
{
    const ls_q3_k *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 16);
    for (int j = 0; j < 16; j++) {
        int low = b->scales[j % 8] >> (4 * (j / 8)) & 15;
        int high = b->scales[8 + j % 4] >> (2 * (j / 4)) & 3;
        c->scale[j] = (low | high << 4) - 32;
    }
    codes_pairs(c->q, b->qs, 4);
    codes_high_bits(c->q, b->hmask, 4);
}

static inline void codes_Q4_K(ls_codes *c, const void *block)
{
    const ls_q4_k *b = block;
    c->d = ls_f16_to_f32(b->d);
    c->dmin = ls_f16_to_f32(b->dmin);
    codes_scales_k4(c, b->scales);
    codes_nibbles_k4(c->q, b->qs);
}

static inline void codes_Q5_K(ls_codes *c, const void *block)
{
    const ls_q5_k *b = block;
    c->d = ls_f16_to_f32(b->d);
    c->dmin = ls_f16_to_f32(b->dmin);
    codes_scales_k4(c, b->scales);
    codes_nibbles_k4(c->q, b->qs);
    codes_high_bits(c->q, b->qh, 16);
}

static inline void codes_Q6_K(ls_codes *c, const void *block)
{
    const ls_q6_k *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 16);
    for (int j = 0; j < 16; j++) c->scale[j] = b->scales[j];
    for (int g = 0; g < 8; g++) {
        int h = g / 4, part = g % 4;
        for (int l = 0; l < 32; l++) {
            int lo = b->ql[64 * h + 32 * (part & 1) + l] >> (4 * (part >> 1)) & 15;
            int hi = b->qh[32 * h + l] >> (2 * part) & 3;
            c->q[32 * g + l] = (int8_t)((lo | hi << 4) - 32);
        }
    }
}

/* The scale is a float, which a tensor's bytes need not be aligned for. */
static inline void codes_Q8_K(ls_codes *c, const void *block)
{
    float d;
    memcpy(&d, block, 4);
    codes_plain(c, d, 16);
    memcpy(c->q, (const uint8_t *)block + offsetof(ls_q8_k, qs), 256);
}

static inline void codes_IQ4_XS(ls_codes *c, const void *block)
{
    const ls_iq4_xs *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 16);
    for (int j = 0; j < 8; j++) {
        int low = b->scales_l[j / 2] >> (4 * (j % 2)) & 15, high = b->scales_h >> (2 * j) & 3;
        c->scale[2 * j] = c->scale[2 * j + 1] = (low | high << 4) - 32;
        codes_table(c->q + 32 * j, b->qs + 16 * j, 16, ls_values_iq4);
    }
}

/* Digit n of a fraction in base 3 (blocks.h), less 1. */
static inline int8_t codes_digit(uint8_t byte, int n)
{
    static const uint8_t pow3[5] = {1, 3, 9, 27, 81};
    return (int8_t)(((uint8_t)(byte * pow3[n]) * 3 >> 8) - 1);
}

static inline void codes_TQ1_0(ls_codes *c, const void *block)
{
    const ls_tq1_0 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 16);
    for (int n = 0; n < 5; n++) {
        for (int m = 0; m < 32; m++) c->q[32 * n + m] = codes_digit(b->qs[m], n);
        for (int m = 0; m < 16; m++) c->q[160 + 16 * n + m] = codes_digit(b->qs[32 + m], n);
        for (int m = 0; m < 4 && n < 4; m++) c->q[240 + 4 * n + m] = codes_digit(b->qh[m], n);
    }
}

static inline void codes_TQ2_0(ls_codes *c, const void *block)
{
    const ls_tq2_0 *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 16);
    codes_pairs(c->q, b->qs, 1);
}

#endif
