// SPDX-License-Identifier: MIT
/* lookup.c - rows of I2_S blocks to indices of tables and back (lookup.h). */
#include "dtype/lookup.h"

#include <string.h>

#include "dtype/blocks.h"
#include "dtype/strips.h"

size_t ls_lookup_row_bytes(int dtype, size_t n)
{
    ls_lookup_units u = ls_lookup_units_of(dtype, n);
    size_t          strip = u.triples * ls_lookup_unit_bytes(true);
    return (strip + u.pairs * ls_lookup_unit_bytes(false)) / LS_STRIP_ROWS;
}

size_t ls_lookup_table_bytes(int dtype, size_t n)
{
    ls_lookup_units u = ls_lookup_units_of(dtype, n);
    return (u.triples + u.pairs) * LS_LOOKUP_TABLES;
}

/* Columns [from, from + count) of a row; what lies behind its end, and code 3, is 0. */
static void take(int8_t *w, const ls_i2_s *row, size_t from, size_t count, size_t n)
{
    static const int8_t value[4] = {-1, 0, 1, 0};
    for (size_t i = 0; i < count; i++) {
        size_t j = from + i;
        w[i] = j < n ? value[row[j / 128].qs[j % 32] >> (6 - 2 * (j % 128 / 32)) & 3] : 0;
    }
}

static void put(ls_i2_s *row, size_t j, int w)
{
    unsigned bit = (unsigned)(6 - 2 * (j % 128 / 32));
    row[j / 128].qs[j % 32] ^= (uint8_t)((unsigned)(1 ^ (w + 1)) << bit);
}

static void pack_unit(uint8_t *unit, const int8_t *w, size_t r, bool triples)
{
    uint8_t *indices = unit + (triples ? LS_LOOKUP_SIGNS : 0) + r;
    for (size_t i = 0; i < LS_LOOKUP_INDICES; i++) {
        int index = triples ? 9 * w[3 * i] + 3 * w[3 * i + 1] + w[3 * i + 2]
                            : 3 * w[2 * i] + w[2 * i + 1] + 4;
        if (index < 0) unit[16 * (i % 4) + r] |= (uint8_t)(128u >> i / 4);
        index = index < 0 ? -index : index;
        indices[ls_lookup_byte(i)] |= (uint8_t)((unsigned)index << ls_lookup_shift(i));
    }
}

void ls_lookup_pack(int dtype, void *strip, const void *rows, size_t row_bytes, size_t n)
{
    const ls_lookup_units u = ls_lookup_units_of(dtype, n);
    uint8_t              *out = strip;
    size_t                from = 0;
    memset(strip, 0, LS_STRIP_ROWS * ls_lookup_row_bytes(dtype, n));
    for (size_t k = 0; k < u.triples + u.pairs; k++) {
        bool   triples = k < u.triples;
        size_t columns = triples ? LS_LOOKUP_TRIPLES : LS_LOOKUP_PAIRS;
        for (size_t r = 0; r < LS_STRIP_ROWS; r++) {
            int8_t w[LS_LOOKUP_TRIPLES];
            take(w, (const ls_i2_s *)(const void *)((const uint8_t *)rows + r * row_bytes), from,
                 columns, n);
            pack_unit(out, w, r, triples);
        }
        out += ls_lookup_unit_bytes(triples);
        from += columns;
    }
}

static void put_index(ls_i2_s *row, size_t j, const uint8_t *unit, size_t r, size_t i, bool triples,
                      size_t n)
{
    const uint8_t *indices = unit + (triples ? LS_LOOKUP_SIGNS : 0) + r;
    int            index = indices[ls_lookup_byte(i)] >> ls_lookup_shift(i) & 15;
    bool           negative = triples && unit[16 * (i % 4) + r] >> (7 - i / 4) & 1;
    int            w[3], rest;
    if (triples) {
        w[0] = (index + 4) / 9;
        rest = index - 9 * w[0];
        w[1] = (rest + 4) / 3 - 1;
        w[2] = rest - 3 * w[1];
    } else {
        w[0] = index / 3 - 1;
        w[1] = index % 3 - 1;
    }
    for (size_t k = 0; k < (triples ? 3 : 2) && j + k < n; k++)
        put(row, j + k, negative ? -w[k] : w[k]);
}

void ls_lookup_row(int dtype, void *row, const void *strip, size_t r, size_t n)
{
    const ls_lookup_units u = ls_lookup_units_of(dtype, n);
    const uint8_t        *unit = strip;
    size_t                at = 0;
    memset(row, 0x55, (n + 127) / 128 * sizeof(ls_i2_s)); /* all zeros */
    for (size_t k = 0; k < u.triples + u.pairs; k++) {
        bool   triples = k < u.triples;
        size_t step = triples ? 3 : 2;
        for (size_t i = 0; i < LS_LOOKUP_INDICES; i++, at += step)
            put_index(row, at, unit, r, i, triples, n);
        unit += ls_lookup_unit_bytes(triples);
    }
}
