// SPDX-License-Identifier: MIT
/* codes_grid_inl.h - the formats that draw four or eight elements at a time from a code book, as
 * small integers with integer scales (codes_inl.h). */
#ifndef LS_DTYPE_CODES_GRID_INL_H
#define LS_DTYPE_CODES_GRID_INL_H

#include "dtype/codes_inl.h"
#include "dtype/grid_tables.h"

/* n bytes of a code word, 8 or 4, negated where the signs have a bit; none is zero, so that the bytes of
 * ~v + 1 do not touch each other. */
static inline void codes_grid(int8_t *q, uint64_t word, unsigned signs, int n)
{
    uint64_t bits = (signs & 255) * 0x0101010101010101u & 0x8040201008040201u;
    uint64_t ones = ((bits + 0x7f7f7f7f7f7f7f7fu) | bits) >> 7 & 0x0101010101010101u;
    word = (word ^ ones * 255) + ones;
    memcpy(q, &word, n == 8 ? 8 : 4);
}

/* Eight signs out of seven: their number is even. */
static inline unsigned codes_even_signs(unsigned seven)
{
    unsigned odd = seven ^ seven >> 4;
    odd ^= odd >> 2;
    odd ^= odd >> 1;
    return seven | (odd & 1) << 7;
}

static inline void codes_IQ2_XXS(ls_codes *c, const void *block)
{
    const ls_iq2_xxs *b = block;
    codes_plain(c, ls_f16_to_f32(b->d) * 0.125f, 16);
    for (int g = 0; g < 8; g++) {
        uint32_t index = ls_word(b->qs + 4 * g), rest = ls_word(b->qs + 4 * g + 2);
        c->scale[2 * g] = c->scale[2 * g + 1] = (int32_t)(2 * (rest >> 28) + 1);
        for (int l = 0; l < 4; l++) {
            codes_grid(c->q + 32 * g + 8 * l, ls_grid_iq2_xxs[index >> (8 * l) & 255],
                       codes_even_signs(rest >> (7 * l) & 127), 8);
        }
    }
}

static inline void codes_scales_iq2(ls_codes *c, const uint8_t *scales)
{
    for (int j = 0; j < 16; j++) c->scale[j] = 2 * (scales[j / 2] >> (4 * (j % 2)) & 15) + 1;
}

static inline void codes_IQ2_XS(ls_codes *c, const void *block)
{
    const ls_iq2_xs *b = block;
    codes_plain(c, ls_f16_to_f32(b->d) * 0.125f, 16);
    codes_scales_iq2(c, b->scales);
    for (int k = 0; k < 32; k++) {
        codes_grid(c->q + 8 * k, ls_grid_iq2_xs[b->qs[k] & 511], codes_even_signs(b->qs[k] >> 9),
                   8);
    }
}

static inline void codes_IQ2_S(ls_codes *c, const void *block)
{
    const ls_iq2_s *b = block;
    codes_plain(c, ls_f16_to_f32(b->d) * 0.125f, 16);
    codes_scales_iq2(c, b->scales);
    for (int k = 0; k < 32; k++) {
        int index = b->qs[k] | (b->qh[k / 4] >> (2 * (k % 4)) & 3) << 8;
        codes_grid(c->q + 8 * k, ls_grid_iq2_s[index], b->signs[k], 8);
    }
}

static inline void codes_IQ3_XXS(ls_codes *c, const void *block)
{
    const ls_iq3_xxs *b = block;
    codes_plain(c, ls_f16_to_f32(b->d) * 0.25f, 16);
    for (int g = 0; g < 8; g++) {
        uint32_t rest = ls_word(b->words + 4 * g);
        c->scale[2 * g] = c->scale[2 * g + 1] = (int32_t)(2 * (rest >> 28) + 1);
        for (int l = 0; l < 8; l++) {
            unsigned signs = codes_even_signs(rest >> (7 * (l / 2)) & 127);
            codes_grid(c->q + 32 * g + 4 * l, ls_grid_iq3_xxs[b->qs[8 * g + l]],
                       signs >> (4 * (l % 2)), 4);
        }
    }
}

static inline void codes_IQ3_S(ls_codes *c, const void *block)
{
    const ls_iq3_s *b = block;
    codes_plain(c, ls_f16_to_f32(b->d), 16);
    for (int j = 0; j < 16; j++) {
        c->scale[j] = 2 * (b->scales[j / 4] >> (4 * (j / 2 % 2)) & 15) + 1;
    }
    for (int k = 0; k < 64; k++) {
        int index = b->qs[k] | (b->qh[k / 8] >> (k % 8) & 1) << 8;
        codes_grid(c->q + 4 * k, ls_grid_iq3_s[index],
                   (unsigned)b->signs[k / 2] >> (4 * (k % 2)), 4);
    }
}

/* IQ1: codes of -1, 0, 1 plus or minus an eighth, in eighths. */
static inline void codes_grid_iq1(int8_t *q, int index, int negative)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t       word = ls_grid_iq1[index] << 3 & ones * 0xf8; /* -8, 0, 8 */
    word ^= ones * 0x80;                                          /* 0x78, 0x80, 0x88: no carries */
    word = (word - ones + (negative ? 0 : 2 * ones)) ^ ones * 0x80;
    memcpy(q, &word, 8);
}

static inline void codes_IQ1_S(ls_codes *c, const void *block)
{
    const ls_iq1_s *b = block;
    codes_plain(c, ls_f16_to_f32(b->d) * 0.125f, 16);
    for (int k = 0; k < 32; k++) {
        int h = b->qh[k / 4];
        c->scale[k / 2] = 2 * (h >> 12 & 7) + 1;
        codes_grid_iq1(c->q + 8 * k, b->qs[k] | (h >> (3 * (k % 4)) & 7) << 8, h >> 15);
    }
}

static inline void codes_IQ1_M(ls_codes *c, const void *block)
{
    const ls_iq1_m *b = block;
    uint16_t        s[4], d = 0;
    memcpy(s, b->scales, 8);
    for (int j = 0; j < 4; j++) d = (uint16_t)(d | (s[j] >> 12) << (4 * j));
    codes_plain(c, ls_f16_to_f32(d) * 0.125f, 16);
    for (int j = 0; j < 16; j++) c->scale[j] = 2 * (s[j / 4] >> (3 * (j % 4)) & 7) + 1;
    for (int k = 0; k < 32; k++) {
        int h = b->qh[k / 2] >> (4 * (k % 2)) & 15;
        codes_grid_iq1(c->q + 8 * k, b->qs[k] | (h & 7) << 8, h >> 3);
    }
}

#endif
