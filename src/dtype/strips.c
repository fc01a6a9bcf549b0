// SPDX-License-Identifier: MIT
/* strips.c - rows into strips and back (strips.h). */
#include "dtype/strips.h"

#include <string.h>

#include "dtype/blocks.h"
#include "lockstep/types.h"

static const ls_strip_form forms[] = {
    [LS_DTYPE_F32] = {4, 0, 0, 0, false},      [LS_DTYPE_F16] = {2, 1, 0, 0, false},
    [LS_DTYPE_BF16] = {2, 1, 0, 0, false},     [LS_DTYPE_Q4_0] = {18, 1, 0, 0, false},
    [LS_DTYPE_Q4_1] = {20, 2, 0, 0, false},    [LS_DTYPE_Q5_0] = {22, 1, 0, 0, false},
    [LS_DTYPE_Q5_1] = {24, 2, 0, 0, false},    [LS_DTYPE_Q8_0] = {34, 1, 0, 0, false},
    [LS_DTYPE_Q8_1] = {36, 2, 0, 0, false},    [LS_DTYPE_IQ4_NL] = {18, 1, 0, 0, false},
    [LS_DTYPE_MXFP4] = {17, 0, 0, 1, false},   [LS_DTYPE_Q2_K] = {84, 2, 80, 0, false},
    [LS_DTYPE_Q3_K] = {110, 1, 108, 0, false}, [LS_DTYPE_Q4_K] = {144, 2, 0, 0, false},
    [LS_DTYPE_Q5_K] = {176, 2, 0, 0, false},   [LS_DTYPE_Q6_K] = {210, 1, 208, 0, false},
    [LS_DTYPE_Q8_K] = {292, 0, 0, 0, false},   [LS_DTYPE_IQ4_XS] = {136, 2, 0, 0, false},
    [LS_DTYPE_TQ1_0] = {54, 1, 52, 0, false},  [LS_DTYPE_TQ2_0] = {66, 1, 64, 0, false},
    [LS_DTYPE_I2_S] = {32, 0, 0, 0, false},    [LS_DTYPE_TERNARY] = {32, 0, 0, 0, false},
    [LS_DTYPE_IQ1_S] = {50, 0, 0, 0, true},    [LS_DTYPE_IQ1_M] = {56, 0, 0, 0, true},
    [LS_DTYPE_IQ2_XXS] = {66, 0, 0, 0, true},  [LS_DTYPE_IQ2_XS] = {74, 0, 0, 0, true},
    [LS_DTYPE_IQ2_S] = {82, 0, 0, 0, true},    [LS_DTYPE_IQ3_XXS] = {98, 0, 0, 0, true},
    [LS_DTYPE_IQ3_S] = {110, 0, 0, 0, true},   [LS_DTYPE_NVFP4] = {36, 0, 0, 0, false},
    [LS_DTYPE_Q1_0] = {18, 1, 0, 0, false},    [LS_DTYPE_Q2_0] = {18, 1, 0, 0, false},
};

const ls_strip_form *ls_strips_of(int dtype)
{
    if (dtype < 0 || (size_t)dtype >= sizeof(forms) / sizeof(forms[0])) return NULL;
    return forms[dtype].bytes ? &forms[dtype] : NULL;
}

bool ls_strips_follow(int dtype)
{
    const ls_strip_form *f = ls_strips_of(dtype);
    switch (dtype) {
    case LS_DTYPE_F32:
    case LS_DTYPE_F16:
    case LS_DTYPE_BF16:
    case LS_DTYPE_IQ4_XS:
    case LS_DTYPE_NVFP4:
    case LS_DTYPE_Q1_0:
    case LS_DTYPE_Q2_0:
        return false;
    default:
        return f && !f->rows;
    }
}

static bool is_i2_s(int dtype) { return dtype == LS_DTYPE_I2_S || dtype == LS_DTYPE_TERNARY; }

/* Where both bits of a code are set, clear the upper one. */
static uint32_t without_3(uint32_t codes)
{
    return codes ^ (codes & codes >> 1 & 0x55555555u) << 1;
}

/* Where word `w` of the block begins: the words go around the scales. */
static size_t word_at(const ls_strip_form *f, size_t w)
{
    return f->halves_at ? 4 * w : 2u * f->n_halves + f->n_bytes + 4 * w;
}

static size_t words_of(const ls_strip_form *f)
{
    return (f->bytes - 2u * f->n_halves - f->n_bytes) / 4;
}

static size_t blocks_of(int dtype, size_t n)
{
    size_t block = is_i2_s(dtype) ? 128 : (size_t)ls_dtype_block(dtype);
    return (n + block - 1) / block;
}

/* n words, one after the other in each row, to where they stand side by side. */
static void spread(uint8_t *restrict out, const uint8_t *restrict rows, size_t row_bytes, size_t n)
{
    for (size_t w = 0; w < n; w++, rows += 4, out += 4 * LS_STRIP_ROWS) {
#pragma GCC unroll 16
        for (size_t r = 0; r < LS_STRIP_ROWS; r++) memcpy(out + 4 * r, rows + r * row_bytes, 4);
    }
}

/* Pairs of 16-bit numbers, side by side, to the first of each and the second of each. */
static void split(uint8_t *restrict out, const uint32_t *restrict pairs, size_t n)
{
    for (size_t i = 0; i < n; i++, pairs += LS_STRIP_ROWS, out += 4 * LS_STRIP_ROWS) {
        uint16_t low[LS_STRIP_ROWS], high[LS_STRIP_ROWS];
        for (size_t r = 0; r < LS_STRIP_ROWS; r++) {
            low[r] = (uint16_t)(pairs[r] & 0xffff);
            high[r] = (uint16_t)(pairs[r] >> 16);
        }
        memcpy(out, low, sizeof(low));
        memcpy(out + sizeof(low), high, sizeof(high));
    }
}

/* Plain numbers, a line of the cache of each row at a time: the rows often lie a power of two
 * apart, and then 16 of them do not stay in the cache together. */
static void pack_plain(uint8_t *out, const uint8_t *rows, size_t row_bytes, size_t n, size_t bytes)
{
    enum { LINE = 64 };
    uint8_t lines[LS_STRIP_ROWS * LINE] = {0};
    for (size_t at = 0, size; at < n * bytes; at += size, out += size * LS_STRIP_ROWS) {
        uint32_t pairs[LINE / 4 * LS_STRIP_ROWS];
        size = n * bytes - at < LINE ? n * bytes - at : LINE;
        for (size_t r = 0; r < LS_STRIP_ROWS; r++) {
            if (size == LINE)
                memcpy(lines + LINE * r, rows + r * row_bytes + at, LINE);
            else
                memcpy(lines + LINE * r, rows + r * row_bytes + at, size);
        }
        if (bytes == 4) {
            spread(out, lines, LINE, size / 4);
            continue;
        }
        spread((uint8_t *)pairs, lines, LINE, (size + 3) / 4);
        split(out, pairs, size / 4);
        for (size_t r = 0; r < LS_STRIP_ROWS && size % 4; r++) {
            memcpy(out + size / 4 * 4 * LS_STRIP_ROWS + 2 * r, lines + LINE * r + size / 4 * 4, 2);
        }
    }
}

void ls_strips_pack(int dtype, void *strip, const void *rows, size_t row_bytes, size_t n)
{
    const ls_strip_form f = *ls_strips_of(dtype);
    const size_t        words = words_of(&f), blocks = blocks_of(dtype, n);
    uint8_t            *out = strip;
    for (size_t r = 0; r < LS_STRIP_ROWS && f.rows; r++, out += blocks * f.bytes)
        memcpy(out, (const uint8_t *)rows + r * row_bytes, blocks * f.bytes);
    if (f.rows) return;
    if (ls_dtype_block(dtype) == 1) {
        pack_plain(out, rows, row_bytes, n, f.bytes);
        return;
    }
    for (size_t b = 0; b < blocks; b++) {
        const uint8_t *block = (const uint8_t *)rows + b * f.bytes;
        for (size_t i = 0; i < f.n_bytes; i++) {
            for (size_t r = 0; r < LS_STRIP_ROWS; r++) *out++ = block[r * row_bytes + i];
        }
        for (size_t h = 0; h < f.n_halves; h++) {
            for (size_t r = 0; r < LS_STRIP_ROWS; r++, out += 2)
                memcpy(out, block + r * row_bytes + f.halves_at + 2 * h, 2);
        }
        spread(out, block + word_at(&f, 0), row_bytes, words);
        for (size_t w = 0; w < words * LS_STRIP_ROWS && is_i2_s(dtype); w++) {
            uint32_t word;
            memcpy(&word, out + 4 * w, 4);
            word = without_3(word);
            memcpy(out + 4 * w, &word, 4);
        }
        out += words * 4 * LS_STRIP_ROWS;
    }
}

void ls_strips_row(int dtype, void *row, const void *strip, size_t r, size_t n)
{
    const ls_strip_form *f = ls_strips_of(dtype);
    const size_t         blocks = blocks_of(dtype, n);
    const uint8_t       *in = strip;
    if (f->rows) {
        memcpy(row, in + r * blocks * f->bytes, blocks * f->bytes);
        return;
    }
    for (size_t b = 0; b < blocks; b++) {
        uint8_t *block = (uint8_t *)row + b * f->bytes;
        for (size_t i = 0; i < f->n_bytes; i++, in += LS_STRIP_ROWS) block[i] = in[r];
        for (size_t h = 0; h < f->n_halves; h++, in += 2 * LS_STRIP_ROWS)
            memcpy(block + f->halves_at + 2 * h, in + 2 * r, 2);
        for (size_t w = 0; w < words_of(f); w++, in += 4 * LS_STRIP_ROWS)
            memcpy(block + word_at(f, w), in + 4 * r, 4);
    }
}
