// SPDX-License-Identifier: MIT
/* acts_inl.h - rounding of activations to int8, in registers: Q8_0, Q8_1, Q8_K and rows.
 *
 * rowops_inl.h is the definition, and carries out what is not finite or too small to be divided by.
 *
 * A tier defines, before it includes this: amax_bits(x, n), row_amax_bits of whole blocks of 32;
 * round_32(q, x, id), row_round_i8 of 32; first_of(x, bits), the first value of that magnitude;
 * sum_32(q, sums), the sums of 16 and 16 codes; half_of(x), x as F16 for x not NaN. */
#ifndef LS_KERNEL_ACTS_INL_H
#define LS_KERNEL_ACTS_INL_H

#include "kernel/rowops_inl.h"

/* The codes and the scale of a block, that one as F16 and before it is rounded; false and nothing if
 * row_act_q8_0 has to make them. */
static inline bool round_q8_0(int8_t *q, uint16_t *d16, float *d, const float *x)
{
    uint32_t bits = amax_bits(x, 32);
    float    amax = ls_bits_f32(bits), id = 127.0f / amax;
    if (bits >= ROW_INF_BITS || ls_f32_bits(id) == ROW_INF_BITS) return false;
    *d = amax / 127.0f;
    *d16 = half_of(*d);
    round_32(q, x, id);
    return true;
}

static void act_q8_0(void *restrict y, const float *restrict x, size_t n)
{
    ls_q8_0 *b = y;
    float    d;
    for (; n; n -= 32, b++, x += 32) {
        if (!round_q8_0(b->qs, &b->d, &d, x)) row_act_q8_0(b, x, 32);
    }
}

static void act_q8_1(void *restrict y, const float *restrict x, size_t n)
{
    ls_q8_1 *b = y;
    int16_t  sums[2];
    float    d;
    for (; n; n -= 32, b++, x += 32) {
        if (!round_q8_0(b->qs, &b->d, &d, x)) {
            row_act_q8_1(b, x, 32);
            continue;
        }
        sum_32(b->qs, sums);
        b->s = half_of(d * (float)(sums[0] + sums[1]));
    }
}

static void act_q8_k(void *restrict y, const float *restrict x, size_t n)
{
    ls_q8_k *b = y;
    for (; n; n -= 256, b++, x += 256) {
        uint32_t bits = amax_bits(x, 256);
        float    iscale = -127.0f / ls_bits_f32(bits);
        if (bits >= ROW_INF_BITS || ls_f32_bits(iscale) == (ROW_INF_BITS | 0x80000000u)) {
            row_act_q8_k(b, x, 256);
            continue;
        }
        if (first_of(x, bits) < 0) iscale = -iscale;
        for (int i = 0; i < 256; i += 32) {
            round_32(b->qs + i, x + i, iscale);
            sum_32(b->qs + i, b->bsums + i / 16);
        }
        b->d = 1.0f / iscale;
    }
}

static inline void act_i8(void *restrict y, const float *restrict x, size_t n, float least)
{
    ls_i8_row *row = y;
    size_t     whole = n - n % 32;
    uint32_t   bits = amax_bits(x, whole), rest = row_amax_bits(x + whole, n - whole);
    float      amax;
    int16_t    sums[2];
    int32_t    sum = 0;
    bits = rest > bits ? rest : bits;
    amax = ls_bits_f32(bits);
    if (bits >= ROW_INF_BITS) {
        row_act_i8(y, x, n, least);
        return;
    }
    row->s = 127.0f / (amax > least ? amax : least);
    memset(row->qs + n, 0, (128 - n % 128) % 128);
    for (size_t i = 0; i < whole; i += 32) {
        round_32(row->qs + i, x + i, row->s);
        sum_32(row->qs + i, sums);
        sum += sums[0] + sums[1];
    }
    row_round_i8(row->qs + whole, x + whole, row->s, n - whole);
    for (size_t i = whole; i < n; i++) sum += row->qs[i];
    row->sum = sum;
}

static void act_i8_row(void *restrict y, const float *restrict x, size_t n)
{
    act_i8(y, x, n, 1e-5f);
}

static void act_i8_tl(void *restrict y, const float *restrict x, size_t n)
{
    act_i8(y, x, n, 0x1p-121f);
}

#endif
