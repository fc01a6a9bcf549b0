// SPDX-License-Identifier: MIT
/* strip_forms_inl.h - what strips of each weight type are made of, for strips_inl.h.
 *
 * A row of the table below per type, and functions that take codes, scales and minimums of 8 or 16
 * rows out of a stored block. The type is a constant wherever they are called, so that nothing of
 * the table is left when they are compiled. */
#ifndef LS_KERNEL_STRIP_FORMS_INL_H
#define LS_KERNEL_STRIP_FORMS_INL_H

#include "dtype/codes_inl.h"
#include "dtype/strips.h"
#include "kernel/kernel_priv.h"

/* What a product has to know of a type. */
typedef struct strip_type {
    int16_t block;
    int16_t group;  /* elements with one integer scale (NVFP4: a float scale); 0: there is none */
    int16_t adds;   /* products of pairs that may be added in 16 bits: codes times 127, 2^15 at
                     * most; 0: signed codes                                                    */
    int16_t offset; /* what codes are larger by than what they stand for                        */
    bool    min;
} strip_type;

static const strip_type strip_types[] = {
    [LS_DTYPE_Q4_0]    = {32, 0, 8, 8, false},
    [LS_DTYPE_Q4_1]    = {32, 0, 8, 0, true},
    [LS_DTYPE_Q5_0]    = {32, 0, 4, 16, false},
    [LS_DTYPE_Q5_1]    = {32, 0, 4, 0, true},
    [LS_DTYPE_Q8_0]    = {32, 0, 0, STRIP_BIAS, false},
    [LS_DTYPE_Q8_1]    = {32, 0, 0, STRIP_BIAS, false},
    [LS_DTYPE_IQ4_NL]  = {32, 0, 0, STRIP_BIAS, false},
    [LS_DTYPE_MXFP4]   = {32, 0, 4, 12, false},
    [LS_DTYPE_NVFP4]   = {64, 16, 0, STRIP_BIAS, false},
    [LS_DTYPE_Q1_0]    = {128, 0, 8, 1, false},
    [LS_DTYPE_Q2_0]    = {64, 0, 8, 1, false},
    [LS_DTYPE_Q2_K]    = {256, 16, 32, 0, true},
    [LS_DTYPE_Q3_K]    = {256, 16, 8, 4, false},
    [LS_DTYPE_Q4_K]    = {256, 32, 8, 0, true},
    [LS_DTYPE_Q5_K]    = {256, 32, 4, 0, true},
    [LS_DTYPE_Q6_K]    = {256, 16, 2, 32, false},
    [LS_DTYPE_Q8_K]    = {256, 0, 0, STRIP_BIAS, false},
    [LS_DTYPE_TQ1_0]   = {256, 0, 32, 1, false},
    [LS_DTYPE_TQ2_0]   = {256, 0, 32, 1, false},
    [LS_DTYPE_IQ4_XS]  = {256, 32, 0, STRIP_BIAS, false},
    [LS_DTYPE_IQ1_S]   = {256, 32, 4, 9, false},
    [LS_DTYPE_IQ1_M]   = {256, 16, 4, 9, false},
    [LS_DTYPE_IQ2_XXS] = {256, 32, 1, 43, false},
    [LS_DTYPE_IQ2_XS]  = {256, 16, 1, 43, false},
    [LS_DTYPE_IQ2_S]   = {256, 16, 1, 43, false},
    [LS_DTYPE_IQ3_XXS] = {256, 32, 1, 62, false},
    [LS_DTYPE_IQ3_S]   = {256, 32, 4, 15, false},
    [LS_DTYPE_I2_S]    = {128, 0, 32, 0, false},
};

LS_INLINE int  block_of(int t) { return strip_types[t].block; }
LS_INLINE int  group_of(int t) { return strip_types[t].group; }
LS_INLINE int  adds_of(int t) { return strip_types[t].adds; }
LS_INLINE int  offset_of(int t) { return strip_types[t].offset; }
LS_INLINE bool has_min(int t) { return strip_types[t].min; }

/* Sums of activations that go into an integer sum of their own, in blocks of 256. */
LS_INLINE bool has_pairs(int t) { return has_min(t) || offset_of(t); }

/* Elements that are summed before a float takes them, in smaller blocks; such sums in a block. */
LS_INLINE int part_of(int t) { return t == LS_DTYPE_NVFP4 ? 16 : 32; }
LS_INLINE int parts_of(int t) { return block_of(t) / part_of(t); }

/* Bytes of a block; whether its activations are Q8_1; 16-bit scales before the words. */
LS_INLINE size_t bytes_of(int t)
{
    switch (t) {
#define LS_DTYPE(sym, id, name, block, bytes, act) \
    case LS_DTYPE_##sym:                           \
        return bytes;
#include "lockstep/dtypes.def"
#undef LS_DTYPE
    default:
        return 0;
    }
}

LS_INLINE bool takes_q8_1(int t) { return block_of(t) == 32 && (has_min(t) || t == LS_DTYPE_Q8_1); }

LS_INLINE size_t halves_of(int t)
{
    bool two = has_min(t) || t == LS_DTYPE_Q8_1 || t == LS_DTYPE_IQ4_XS;
    bool none = t == LS_DTYPE_I2_S || t == LS_DTYPE_Q8_K || t == LS_DTYPE_MXFP4 ||
                t == LS_DTYPE_NVFP4;
    return two ? 2 : none ? 0 : 1;
}

/* ---- a stored block: p, half h of the rows ---- */

LS_INLINE vi word_at(int t, const uint8_t *p, int w, int h)
{
    size_t before = 32 * halves_of(t) + (t == LS_DTYPE_MXFP4 ? 16 : 0);
    return v_load(p + before + 64 * (size_t)w + 4 * V_ROWS * (size_t)h);
}

/* Half of 2^(e - 127), e in bytes, as ls_half_e8m0: where e is 0 or 1 the result is below the
 * normal range, and its bits are on another line. */
LS_INLINE vf half_e8m0(const uint8_t *e)
{
    vi bits = v_bytes(e);
    return v_as_float(v_max32(v_sub32(v_sll32(bits, 23), v_set32(0x800000)),
                              v_sub32(v_sll32(bits, 21), v_set32(-0x200000))));
}

/* Byte i of each word as E4M3, halved: its bits in those of a float that is 2^119 times smaller.
 * Bit 7 is ignored, but 0x7f alone is zero. */
LS_INLINE vf half_e4m3(vi words, int i)
{
    vi byte = v_pick(words, i, -1, -1, -1);
    vi valid = v_sub32(v_zero(), v_min8(v_sub8(byte, v_set32(0x7f)), v_set32(1)));
    vi bits = v_and(v_sll32(v_and(byte, v_set32(0x7f)), 20), valid);
    return vf_mul(v_as_float(bits), vf_set(0x1p119f));
}

/* Scale i of the block. */
LS_INLINE vf stored_d(int t, const uint8_t *p, int i, int h)
{
    if (t == LS_DTYPE_MXFP4) return half_e8m0(p + V_ROWS * h);
    if (t == LS_DTYPE_NVFP4) return half_e4m3(word_at(t, p, 0, h), i);
    if (t == LS_DTYPE_Q8_K) return vf_load((const float *)(const void *)p + V_ROWS * h);
    return v_f16(p + 32 * (size_t)i + 2 * V_ROWS * (size_t)h);
}

/* Bits of each byte, `mask` once they have come from number `from` to number `to`. */
LS_INLINE vi bits_to(vi w, int from, int to, int mask)
{
    if (from < to) w = v_sll16(w, to - from);
    if (from > to) w = v_srl16(w, from - to);
    return v_and(w, v_set8(mask));
}

LS_INLINE vi low_bits(vi w, int shift, int mask) { return bits_to(w, shift, 0, mask); }

/* Bits 4k to 4k + 3 of each word, a byte each, times 2^up. */
LS_INLINE vi four_bits(vi w, int k, int up)
{
    vi mask = v_set32(k % 2 ? (int)0x80402010 : 0x08040201);
    vi bits = v_and(v_pick(w, k / 2, k / 2, k / 2, k / 2), mask);
    return v_sll16(v_min8(bits, v_set8(1)), up);
}

/* The four pairs of bits in byte k of each word, a byte each. */
LS_INLINE vi four_pairs(vi w, int k)
{
    vi bits = v_pick(w, k, k, k, k);
    vi low = v_or(v_and(bits, v_set32(0x3)), v_and(v_srl16(bits, 2), v_set32(0x300)));
    vi third = v_and(v_srl16(bits, 4), v_set32(0x30000));
    vi fourth = v_and(v_srl16(bits, 6), v_set32(0x3000000));
    return v_or(low, v_or(third, fourth));
}

/* Digit n of each byte, a fraction in base 3: times 3^n, modulo 256, it is the first one, and
 * that is a matter of two thresholds. */
LS_INLINE vi digit(vi byte, int n)
{
    for (int i = 0; i < n; i++) byte = v_add8(v_add8(byte, byte), byte);
    return v_add8(v_min8(v_subs8(byte, v_set8(85)), v_set8(1)),
                  v_min8(v_subs8(byte, v_set8(170)), v_set8(1)));
}

LS_INLINE vi digits_tq1(int t, const uint8_t *p, int k, int h)
{
    if (k < 40) return digit(word_at(t, p, k % 8, h), k / 8);
    if (k < 60) return digit(word_at(t, p, 8 + k % 4, h), (k - 40) / 4);
    return digit(word_at(t, p, 12, h), k - 60);
}

/* The values of ls_values_fp4, which are 12 at most, and that. */
static const int8_t strip_fp4[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

/* Codes of elements 4k to 4k + 3 of the block. */
LS_INLINE vi stored_codes(int t, const uint8_t *p, int k, int h)
{
    switch (t) {
    case LS_DTYPE_Q4_0:
    case LS_DTYPE_Q4_1:
        return low_bits(word_at(t, p, k % 4, h), 4 * (k / 4), 15);
    case LS_DTYPE_IQ4_NL:
        return v_table(ls_values_iq4, low_bits(word_at(t, p, k % 4, h), 4 * (k / 4), 15));
    case LS_DTYPE_IQ4_XS:
        return v_table(ls_values_iq4,
                       low_bits(word_at(t, p, 1 + 4 * (k / 8) + k % 4, h), 4 * (k % 8 / 4), 15));
    case LS_DTYPE_MXFP4:
        return v_table(strip_fp4, low_bits(word_at(t, p, k % 4, h), 4 * (k / 4), 15));
    case LS_DTYPE_Q5_0:
    case LS_DTYPE_Q5_1:
        return v_or(low_bits(word_at(t, p, 1 + k % 4, h), 4 * (k / 4), 15),
                    four_bits(word_at(t, p, 0, h), k, 4));
    case LS_DTYPE_NVFP4:
        return v_table(ls_values_fp4,
                       low_bits(word_at(t, p, 1 + 2 * (k / 4) + k % 2, h), 4 * (k % 4 / 2), 15));
    case LS_DTYPE_Q1_0:
        return four_bits(word_at(t, p, k / 8, h), k % 8, 1);
    case LS_DTYPE_Q2_0:
        return four_pairs(word_at(t, p, k / 4, h), k % 4);
    case LS_DTYPE_Q8_0:
    case LS_DTYPE_Q8_1:
        return word_at(t, p, k, h);
    case LS_DTYPE_Q8_K:
        return word_at(t, p, 1 + k, h);
    case LS_DTYPE_Q2_K:
        return low_bits(word_at(t, p, 4 + 8 * (k / 32) + k % 8, h), 2 * (k % 32 / 8), 3);
    case LS_DTYPE_Q3_K:
        return v_or(low_bits(word_at(t, p, 8 + 8 * (k / 32) + k % 8, h), 2 * (k % 32 / 8), 3),
                    bits_to(word_at(t, p, k % 8, h), k / 8, 2, 4));
    case LS_DTYPE_TQ1_0:
        return digits_tq1(t, p, k, h);
    case LS_DTYPE_TQ2_0:
        return low_bits(word_at(t, p, 8 * (k / 32) + k % 8, h), 2 * (k % 32 / 8), 3);
    case LS_DTYPE_I2_S:
        return low_bits(word_at(t, p, k % 8, h), 6 - 2 * (k / 8), 3);
    case LS_DTYPE_Q4_K:
        return low_bits(word_at(t, p, 3 + 8 * (k / 16) + k % 8, h), 4 * (k % 16 / 8), 15);
    case LS_DTYPE_Q5_K:
        return v_or(low_bits(word_at(t, p, 11 + 8 * (k / 16) + k % 8, h), 4 * (k % 16 / 8), 15),
                    bits_to(word_at(t, p, 3 + k % 8, h), k / 8, 4, 16));
    default: { /* Q6_K */
        int part = k % 32 / 8, low = 16 * (k / 32) + 8 * (part & 1) + k % 8;
        vi  high = bits_to(word_at(t, p, 32 + 8 * (k / 32) + k % 8, h), 2 * part, 4, 48);
        return v_or(low_bits(word_at(t, p, low, h), 4 * (part >> 1), 15), high);
    }
    }
}

/* Scales and minimums of a block, four groups to a word, a byte each: unpacked once a block, and
 * taken from there by a shuffle. */
typedef struct strip_scales {
    vi scale[4], min[4];
} strip_scales;

LS_INLINE void scales_k4(int t, const uint8_t *p, int h, strip_scales *s)
{
    vi w[3], low = v_set8(15), six = v_set8(63), top = v_set8(48);
    for (int i = 0; i < 3; i++) w[i] = word_at(t, p, i, h);
    s->scale[0] = v_and(w[0], six);
    s->min[0] = v_and(w[1], six);
    s->scale[1] = v_or(v_and(w[2], low), v_and(v_srl16(w[0], 2), top));
    s->min[1] = v_or(v_and(v_srl16(w[2], 4), low), v_and(v_srl16(w[1], 2), top));
}

/* Q3_K: words 24 and 25 are the lower four bits, word 26 the upper two of all. */
LS_INLINE void scales_q3(int t, const uint8_t *p, int h, strip_scales *s)
{
    vi high = word_at(t, p, 26, h), top = v_set8(48);
    vi high4[4] = {v_sll16(high, 4), v_sll16(high, 2), high, v_srl16(high, 2)};
    for (int i = 0; i < 4; i++) {
        vi low = low_bits(word_at(t, p, 24 + i % 2, h), 4 * (i / 2), 15);
        s->scale[i] = v_sub8(v_or(low, v_and(high4[i], top)), v_set8(32));
    }
}

/* IQ4_XS: word 0 is the lower four bits of the eight, half 1 the upper two. */
LS_INLINE void scales_iq4(int t, const uint8_t *p, int h, strip_scales *s)
{
    vi low = word_at(t, p, 0, h), high = v_halves(p + 32 + 2 * V_ROWS * (size_t)h);
    for (int i = 0; i < 2; i++) {
        vi a = v_pick(low, 2 * i, 2 * i, 2 * i + 1, 2 * i + 1), b = v_pick(high, i, i, i, i);
        vi four = v_or(v_and(a, v_set32(0x000f000f)), v_and(v_srl16(a, 4), v_set32(0x0f000f00)));
        vi even = v_or(v_and(v_sll16(b, 4), v_set32(0x30)), v_and(b, v_set32(0x300000)));
        vi second = v_and(v_sll16(b, 2), v_set32(0x3000));
        vi odd = v_or(second, v_and(v_srl16(b, 2), v_set32(0x30000000)));
        s->scale[i] = v_sub8(v_or(four, v_or(even, odd)), v_set8(32));
    }
}

LS_INLINE void stored_scales(int t, const uint8_t *p, int h, strip_scales *s)
{
    for (int i = 0; i < 4; i++) s->scale[i] = s->min[i] = v_zero();
    if (t == LS_DTYPE_Q4_K || t == LS_DTYPE_Q5_K) scales_k4(t, p, h, s);
    if (t == LS_DTYPE_Q3_K) scales_q3(t, p, h, s);
    if (t == LS_DTYPE_IQ4_XS) scales_iq4(t, p, h, s);
    for (int i = 0; i < 4 && (t == LS_DTYPE_Q2_K || t == LS_DTYPE_Q6_K); i++) {
        vi w = word_at(t, p, t == LS_DTYPE_Q2_K ? i : 48 + i, h);
        s->scale[i] = t == LS_DTYPE_Q2_K ? v_and(w, v_set8(15)) : w;
        s->min[i] = t == LS_DTYPE_Q2_K ? v_and(v_srl16(w, 4), v_set8(15)) : w;
    }
}

/* The scale of group g, twice; types without minimums have signed ones. */
LS_INLINE vi stored_scale(int t, const strip_scales *s, int g)
{
    int i = g % 4;
    if (has_min(t)) return v_pick(s->scale[g / 4], i, -1, i, -1);
    return v_sra16(v_pick(s->scale[g / 4], -1, i, -1, i), 8);
}

/* A scale in the upper byte, times the offset, a power of two up to 128, in the lower. */
LS_INLINE vi times_offset(int t, vi scale)
{
    return v_sra16(scale, offset_of(t) == 4 ? 6 : offset_of(t) == 32 ? 3 : 1);
}

/* What multiplies the activations' sums of 16 elements 2i and 2i + 1: minimums, or the offset times
 * the scale. */
LS_INLINE vi stored_pair(int t, const strip_scales *s, int i)
{
    int at = 2 * (i % 2);
    if (group_of(t) == 16 && has_min(t)) return v_pick(s->min[i / 2], at, -1, at + 1, -1);
    if (group_of(t) == 16) return times_offset(t, v_pick(s->scale[i / 2], -1, at, -1, at + 1));
    at = i % 4;
    if (has_min(t)) return v_pick(s->min[i / 4], at, -1, at, -1);
    return times_offset(t, v_pick(s->scale[i / 4], -1, at, -1, at));
}

#endif
