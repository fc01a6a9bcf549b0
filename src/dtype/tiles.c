// SPDX-License-Identifier: MIT
/* tiles.c - TL1 and TL2: ternary weights as indices into tables of sums of activations.
 *
 * A matrix is cut into tiles of BM rows and BK columns, a tile into strips of bmm rows, and a strip
 * lies in the order in which vector registers read it. The numbers are those of the kernels that a
 * build of bitnet.cpp was made for, its kernel_config.ini: files do not carry them.
 *
 *   TL1   two weights a, b are one index 3a + b + 4, 0 to 8; two indices of a row a byte, the first
 *         in the high nibble; 16 rows side by side. Then, at rows * n / 4, the f32 scale.
 *   TL2   three weights are the magnitude of 9a + 3b + c, 0 to 13, and its sign; magnitudes of the
 *         whole matrix first, two of a row a byte, 32 rows side by side (rows 8-15 and 16-23 of
 *         them exchanged); then the signs: of 24 columns and 32 rows 16 words, row r's column of
 *         triple p in word r % 16 at bit 15 - 2p - r / 16. Columns behind the last BK are pairs
 *         as in TL1, in strips of 32 columns. Then room as if 256 columns were pairs, and the
 *         scale at the next multiple of 32. */
#include "dtype/tiles.h"

#include <string.h>

#include "base/mem.h"
#include "dtype/blocks.h"

/* preset_kernels/NAME/kernel_config_tl[12].ini of bitnet.cpp. (TL2's third of `large` says bmm =
 * 64, for which there is no kernel; its header has 32.) */
static const struct preset {
    int      dtype;
    uint32_t rows, n;
    ls_tiles tiles;
} presets[] = {
    {LS_DTYPE_TL1, 1536, 4096, {256, 128, 32}},  {LS_DTYPE_TL1, 1536, 1536, {128, 64, 64}},
    {LS_DTYPE_TL1, 4096, 1536, {256, 128, 32}},  {LS_DTYPE_TL1, 3200, 8640, {160, 64, 32}},
    {LS_DTYPE_TL1, 3200, 3200, {320, 128, 64}},  {LS_DTYPE_TL1, 8640, 3200, {320, 64, 32}},
    {LS_DTYPE_TL1, 14336, 4096, {256, 128, 64}}, {LS_DTYPE_TL1, 4096, 14336, {256, 128, 32}},
    {LS_DTYPE_TL1, 1024, 4096, {128, 64, 64}},   {LS_DTYPE_TL1, 4096, 4096, {128, 64, 32}},
    {LS_DTYPE_TL2, 1536, 4096, {256, 96, 32}},   {LS_DTYPE_TL2, 1536, 1536, {128, 192, 32}},
    {LS_DTYPE_TL2, 4096, 1536, {256, 96, 32}},   {LS_DTYPE_TL2, 3200, 8640, {160, 96, 32}},
    {LS_DTYPE_TL2, 3200, 3200, {320, 96, 32}},   {LS_DTYPE_TL2, 8640, 3200, {320, 96, 32}},
    {LS_DTYPE_TL2, 14336, 4096, {256, 96, 32}},  {LS_DTYPE_TL2, 4096, 14336, {128, 96, 32}},
    {LS_DTYPE_TL2, 1024, 4096, {256, 96, 32}},   {LS_DTYPE_TL2, 4096, 4096, {128, 96, 32}},
};

bool ls_tiles_preset(int dtype, size_t rows, size_t n, ls_tiles *out)
{
    for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++) {
        const struct preset *p = &presets[i];
        if (p->dtype != dtype || p->rows != rows || p->n != n) continue;
        *out = p->tiles;
        return true;
    }
    return false;
}

bool ls_tiles_for(int dtype, size_t rows, size_t n, ls_tiles *out)
{
    static const uint32_t widths[] = {128, 64};
    if (ls_tiles_preset(dtype, rows, n, out)) return true;
    for (uint32_t bm = 256; bm; bm -= 32) {
        for (size_t k = 0; rows % bm == 0 && k < 2; k++) {
            *out = (ls_tiles){bm, dtype == LS_DTYPE_TL1 ? widths[k] : 96, 32};
            if (ls_tiles_fit(dtype, rows, n, *out)) return true;
        }
    }
    return false;
}

/* Columns of a TL2 row that are triples. */
static size_t triples_of(size_t n, ls_tiles t) { return n / t.bk * t.bk; }

bool ls_tiles_fit(int dtype, size_t rows, size_t n, ls_tiles t)
{
    size_t pairs;
    if (!t.bm || !t.bk || !t.bmm || t.bm > rows || t.bk > n) return false;
    if (rows % t.bm || t.bm % t.bmm || !ls_tiles_bytes(dtype, rows, n)) return false;
    if (dtype == LS_DTYPE_TL1) {
        return (t.bmm == 32 || t.bmm == 64) && n % t.bk == 0 && t.bk % (256 / t.bmm) == 0;
    }
    pairs = n - triples_of(n, t);
    if (t.bmm != 32 || t.bk % 24 || pairs % 32) return false;
    return (n - pairs) / 24 * rows * 5 + pairs * rows / 4 <=
           ls_tiles_bytes(dtype, rows, n) - LS_I2_S_TAIL;
}

size_t ls_tiles_bytes(int dtype, size_t rows, size_t n)
{
    size_t all, bytes;
    if (!ls_mul_size(rows, n, &all) || all > SIZE_MAX / 8) return 0;
    if (dtype == LS_DTYPE_TL1) return all % 128 ? 0 : all / 4 + LS_I2_S_TAIL;
    if (n < 256 || rows % 32) return 0;
    bytes = (n - 256) * rows / 3 * 5 / 8 + 256 * rows / 2 * 4 / 8; /* rounded down as there */
    return (bytes + 31) / 32 * 32 + LS_I2_S_TAIL;
}

/* ---- indices ---- */

/* What indices stand for; those that no encoder writes are zeros. */
static const int8_t pairs_of[16][2] = {{-1, -1}, {-1, 0}, {-1, 1}, {0, -1}, {0, 0},
                                       {0, 1},   {1, -1}, {1, 0},  {1, 1}};

static unsigned pair_of(const int8_t *w) { return (unsigned)(3 * w[0] + w[1] + 4); }

/* By sign and magnitude. */
static const int8_t triples_with[2][16][3] = {
    {{0, 0, 0},
     {0, 0, 1},
     {0, 1, -1},
     {0, 1, 0},
     {0, 1, 1},
     {1, -1, -1},
     {1, -1, 0},
     {1, -1, 1},
     {1, 0, -1},
     {1, 0, 0},
     {1, 0, 1},
     {1, 1, -1},
     {1, 1, 0},
     {1, 1, 1}},
    {{0, 0, 0},
     {0, 0, -1},
     {0, -1, 1},
     {0, -1, 0},
     {0, -1, -1},
     {-1, 1, 1},
     {-1, 1, 0},
     {-1, 1, -1},
     {-1, 0, 1},
     {-1, 0, 0},
     {-1, 0, -1},
     {-1, -1, 1},
     {-1, -1, 0},
     {-1, -1, -1}},
};

static int triple_of(const int8_t *w) { return 9 * w[0] + 3 * w[1] + w[2]; }

/* ---- TL1 ---- */

/* Where the strips of one row lie: one for every BK columns. */
typedef struct walk {
    size_t start, next;       /* the first; bytes from one to the next  */
    size_t n_strips, n_bytes; /* how many; bytes that the row has in one */
} walk;

static walk tl1_walk(const ls_tensor *t, size_t row)
{
    ls_tiles s = t->tiles;
    size_t   n_strips = (size_t)t->ne[0] / s.bk, strip = (size_t)s.bk * s.bmm / 4;
    size_t   tile = strip * (s.bm / s.bmm), in = row % s.bm;
    return (walk){.start = row / s.bm * n_strips * tile + in / s.bmm * strip,
                  .next = tile,
                  .n_strips = n_strips,
                  .n_bytes = s.bk / 4};
}

/* Byte `i` of a row in its strip: 64 bytes hold 256 / bmm columns of bmm rows, and of those the
 * columns in fours lie behind the rows in sixteens. */
static size_t tl1_byte(const ls_tensor *t, size_t row, size_t i)
{
    size_t bmm = t->tiles.bmm, fours = 64 / bmm, in = row % t->tiles.bm % bmm;
    return i / fours * 64 + (in / 16 * fours + i % fours) * 16 + in % 16;
}

void ls_tl1_codes(int8_t *out, const ls_tensor *t, size_t row)
{
    walk           w = tl1_walk(t, row);
    const uint8_t *p = (const uint8_t *)t->data + w.start + tl1_byte(t, row, 0);
    size_t         fours = 64 / t->tiles.bmm; /* of these bytes are 16 apart, then comes a gap */
    for (size_t k = 0; k < w.n_strips; k++, p += w.next) {
        for (size_t at = 0; at < w.n_bytes / fours * 64; at += 64) {
            for (size_t j = 0; j < fours; j++, out += 4) {
                uint8_t byte = p[at + j * 16];
                memcpy(out, pairs_of[byte >> 4], 2);
                memcpy(out + 2, pairs_of[byte & 15], 2);
            }
        }
    }
}

void ls_tl1_put(uint8_t *out, const ls_tensor *t, size_t row, const int8_t *codes)
{
    walk     w = tl1_walk(t, row);
    uint8_t *p = out + w.start;
    for (size_t k = 0; k < w.n_strips; k++, p += w.next) {
        for (size_t i = 0; i < w.n_bytes; i++, codes += 4) {
            p[tl1_byte(t, row, i)] = (uint8_t)(pair_of(codes) << 4 | pair_of(codes + 2));
        }
    }
}

/* ---- TL2 ---- */

/* The matrix's parts, and a row's places in a strip of 32. */
typedef struct parts {
    size_t triples; /* columns                                       */
    size_t strips;  /* 32-row strips of one tile                     */
    size_t tile, in_tile;
    size_t signs, pairs; /* bytes in front of them                   */
    size_t byte, word, bit;
} parts;

static parts tl2_parts(const ls_tensor *t, size_t row)
{
    static const uint8_t exchanged[4] = {0, 2, 1, 3};
    size_t               rows = (size_t)t->ne[1], in = row % 32;
    parts                p = {.triples = triples_of((size_t)t->ne[0], t->tiles)};
    p.strips = t->tiles.bm / 32;
    p.tile = row / t->tiles.bm;
    p.in_tile = row % t->tiles.bm / 32;
    p.signs = rows * p.triples / 6;
    p.pairs = p.signs + rows * p.triples / 24;
    p.byte = exchanged[in / 8] * 8u + in % 8;
    p.word = in % 16;
    p.bit = 15 - in / 16;
    return p;
}

/* Strip k of `n` with `bytes` each. */
static size_t strip_at(const parts *p, size_t n, size_t k, size_t bytes)
{
    return ((p->tile * n + k) * p->strips + p->in_tile) * bytes;
}

/* Words are little-endian. */
static size_t sign_byte(const parts *p, size_t triple, unsigned *bit)
{
    size_t at = p->bit - triple % 8 * 2;
    *bit = at % 8;
    return triple / 8 * 32 + p->word * 2 + at / 8;
}

void ls_tl2_codes(int8_t *out, const ls_tensor *t, size_t row)
{
    const parts    p = tl2_parts(t, row);
    const uint8_t *b = t->data;
    size_t         bk = t->tiles.bk, n = p.triples / bk, n2 = ((size_t)t->ne[0] - p.triples) / 32;
    for (size_t k = 0; k < n; k++) {
        const uint8_t *m = b + strip_at(&p, n, k, bk / 6 * 32);
        const uint8_t *signs = b + p.signs + strip_at(&p, n, k, bk / 24 * 32);
        for (size_t i = 0; i < bk / 3; i += 8) { /* triples with their signs in one word */
            const uint8_t *word = signs + i / 8 * 32 + p.word * 2;
            unsigned       bits = (unsigned)(word[0] | word[1] << 8) >> (p.bit - 14);
            for (unsigned j = 0; j < 8; j += 2, out += 6) {
                uint8_t byte = m[(i + j) / 2 * 32 + p.byte];
                memcpy(out, triples_with[bits >> (14 - 2 * j) & 1][byte >> 4], 3);
                memcpy(out + 3, triples_with[bits >> (12 - 2 * j) & 1][byte & 15], 3);
            }
        }
    }
    for (size_t k = 0; k < n2; k++) {
        const uint8_t *m = b + p.pairs + strip_at(&p, n2, k, 8 * 32);
        for (size_t i = 0; i < 8; i++, out += 4) {
            memcpy(out, pairs_of[m[i * 32 + p.byte] >> 4], 2);
            memcpy(out + 2, pairs_of[m[i * 32 + p.byte] & 15], 2);
        }
    }
}

void ls_tl2_put(uint8_t *out, const ls_tensor *t, size_t row, const int8_t *codes)
{
    const parts p = tl2_parts(t, row);
    size_t      bk = t->tiles.bk, n = p.triples / bk, n2 = ((size_t)t->ne[0] - p.triples) / 32;
    for (size_t k = 0; k < n; k++) {
        uint8_t *m = out + strip_at(&p, n, k, bk / 6 * 32);
        uint8_t *signs = out + p.signs + strip_at(&p, n, k, bk / 24 * 32);
        for (size_t i = 0; i < bk / 3; i++, codes += 3) {
            int      v = triple_of(codes);
            unsigned bit, size = (unsigned)(v < 0 ? -v : v);
            size_t   sign = sign_byte(&p, i, &bit);
            m[i / 2 * 32 + p.byte] |= (uint8_t)(i % 2 ? size : size << 4);
            if (v < 0) signs[sign] |= (uint8_t)(1u << bit);
        }
    }
    for (size_t k = 0; k < n2; k++) {
        uint8_t *m = out + p.pairs + strip_at(&p, n2, k, 8 * 32);
        for (size_t i = 0; i < 8; i++, codes += 4) {
            m[i * 32 + p.byte] = (uint8_t)(pair_of(codes) << 4 | pair_of(codes + 2));
        }
    }
}
