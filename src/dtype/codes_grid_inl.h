// SPDX-License-Identifier: MIT
/* codes_grid_inl.h - the formats that draw four or eight elements at a time from a code book, as
 * small integers with integer scales (codes_inl.h). */
#ifndef LS_DTYPE_CODES_GRID_INL_H
#define LS_DTYPE_CODES_GRID_INL_H

#include "dtype/codes_inl.h"
#include "dtype/grid_tables.h"

/* 256 codes negated where `signs` has a bit, all at once: reading what was only just written in
 * smaller pieces would stall a processor. A tier may bring its own. */
#ifndef LS_CODES_NEGATE
static inline void codes_negate(int8_t *q, const uint32_t *signs)
{
    for (int j = 0; j < 256; j++) q[j] = (int8_t)(signs[j / 32] >> (j % 32) & 1 ? -q[j] : q[j]);
}
#endif

/* Four times eight signs out of four times seven: the number of each eight is even. */
static inline uint32_t codes_even_signs(uint32_t sevens)
{
    uint32_t s = (sevens & 0x7f) | (sevens & 0x3f80) << 1 | (sevens & 0x1fc000) << 2 |
                 (sevens & 0xfe00000) << 3;
    uint32_t odd = s ^ s >> 4;
    odd ^= odd >> 2;
    odd ^= odd >> 1;
    return s | (odd & 0x01010101) << 7;
}

static inline void codes_IQ2_XXS(ls_codes *c, const void *block)
{
    const ls_iq2_xxs *b = block;
    uint32_t          signs[8];
    codes_plain(c, ls_f16_to_f32(b->d) * 0.125f, 16);
    for (int g = 0; g < 8; g++) {
        uint32_t index = ls_word(b->qs + 4 * g), rest = ls_word(b->qs + 4 * g + 2);
        c->scale[2 * g] = c->scale[2 * g + 1] = (int32_t)(2 * (rest >> 28) + 1);
        for (int l = 0; l < 4; l++) {
            memcpy(c->q + 32 * g + 8 * l, &ls_grid_iq2_xxs[index >> (8 * l) & 255], 8);
        }
        signs[g] = codes_even_signs(rest);
    }
    codes_negate(c->q, signs);
}

static inline void codes_scales_iq2(ls_codes *c, const uint8_t *scales)
{
    for (int j = 0; j < 16; j++) c->scale[j] = 2 * (scales[j / 2] >> (4 * (j % 2)) & 15) + 1;
}

static inline void codes_IQ2_XS(ls_codes *c, const void *block)
{
    const ls_iq2_xs *b = block;
    uint32_t         signs[8];
    codes_plain(c, ls_f16_to_f32(b->d) * 0.125f, 16);
    codes_scales_iq2(c, b->scales);
    for (int g = 0; g < 8; g++) {
        uint32_t sevens = 0;
        for (int l = 0; l < 4; l++) {
            uint32_t word = b->qs[4 * g + l];
            memcpy(c->q + 32 * g + 8 * l, &ls_grid_iq2_xs[word & 511], 8);
            sevens |= word >> 9 << (7 * l);
        }
        signs[g] = codes_even_signs(sevens);
    }
    codes_negate(c->q, signs);
}

static inline void codes_IQ2_S(ls_codes *c, const void *block)
{
    const ls_iq2_s *b = block;
    uint32_t        signs[8];
    codes_plain(c, ls_f16_to_f32(b->d) * 0.125f, 16);
    codes_scales_iq2(c, b->scales);
    for (int g = 0; g < 8; g++) {
        for (int l = 0; l < 4; l++) {
            int index = b->qs[4 * g + l] | (b->qh[g] >> (2 * l) & 3) << 8;
            memcpy(c->q + 32 * g + 8 * l, &ls_grid_iq2_s[index], 8);
        }
        signs[g] = ls_word(b->signs + 4 * g);
    }
    codes_negate(c->q, signs);
}

static inline void codes_IQ3_XXS(ls_codes *c, const void *block)
{
    const ls_iq3_xxs *b = block;
    uint32_t          signs[8];
    codes_plain(c, ls_f16_to_f32(b->d) * 0.25f, 16);
    for (int g = 0; g < 8; g++) {
        uint32_t rest = ls_word(b->words + 4 * g);
        c->scale[2 * g] = c->scale[2 * g + 1] = (int32_t)(2 * (rest >> 28) + 1);
        for (int l = 0; l < 8; l++) {
            memcpy(c->q + 32 * g + 4 * l, &ls_grid_iq3_xxs[b->qs[8 * g + l]], 4);
        }
        signs[g] = codes_even_signs(rest);
    }
    codes_negate(c->q, signs);
}

static inline void codes_IQ3_S(ls_codes *c, const void *block)
{
    const ls_iq3_s *b = block;
    uint32_t        signs[8];
    codes_plain(c, ls_f16_to_f32(b->d), 16);
    for (int j = 0; j < 16; j++) {
        c->scale[j] = 2 * (b->scales[j / 4] >> (4 * (j / 2 % 2)) & 15) + 1;
    }
    for (int g = 0; g < 8; g++) {
        for (int l = 0; l < 8; l++) {
            int index = b->qs[8 * g + l] | (b->qh[g] >> l & 1) << 8;
            memcpy(c->q + 32 * g + 4 * l, &ls_grid_iq3_s[index], 4);
        }
        signs[g] = ls_word(b->signs + 4 * g);
    }
    codes_negate(c->q, signs);
}

/* IQ1: codes of -1, 0, 1 plus or minus an eighth, in eighths. */
static inline void codes_grid_iq1(int8_t *q, int index, int negative)
{
    const uint64_t ones = 0x0101010101010101u, minus = 0 - (uint64_t)negative;
    uint64_t       word = ls_grid_iq1[index] << 3 & ones * 0xf8; /* -8, 0, 8 */
    word ^= ones * 0x80;                                          /* 0x78, 0x80, 0x88: no carries */
    word = (word + (ones ^ minus) - minus) ^ ones * 0x80;
    memcpy(q, &word, 8);
}

static inline void codes_IQ1_S(ls_codes *c, const void *block)
{
    const ls_iq1_s *b = block;
    codes_plain(c, ls_f16_to_f32(b->d) * 0.125f, 16);
    for (int g = 0; g < 8; g++) {
        int h = b->qh[g];
        c->scale[2 * g] = c->scale[2 * g + 1] = 2 * (h >> 12 & 7) + 1;
        for (int l = 0; l < 4; l++) {
            codes_grid_iq1(c->q + 32 * g + 8 * l, b->qs[4 * g + l] | (h >> (3 * l) & 7) << 8,
                           h >> 15);
        }
    }
}

static inline void codes_IQ1_M(ls_codes *c, const void *block)
{
    const ls_iq1_m *b = block;
    uint16_t        s[4], d = 0;
    memcpy(s, b->scales, 8);
    for (int j = 0; j < 4; j++) d = (uint16_t)(d | (s[j] >> 12) << (4 * j));
    codes_plain(c, ls_f16_to_f32(d) * 0.125f, 16);
    for (int j = 0; j < 16; j++) {
        int h = b->qh[j];
        c->scale[j] = 2 * (s[j / 4] >> (3 * (j % 4)) & 7) + 1;
        codes_grid_iq1(c->q + 16 * j, b->qs[2 * j] | (h & 7) << 8, h >> 3 & 1);
        codes_grid_iq1(c->q + 16 * j + 8, b->qs[2 * j + 1] | (h >> 4 & 7) << 8, h >> 7);
    }
}

#endif
