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

enum { GROUP = 32 }; /* columns whose codes are in the same bits of as many bytes */

/* Codes of `count` columns from `from` on, both multiples of 32; what lies behind the end of the
 * row, and code 3, is 0. */
static void take(int8_t *w, const ls_i2_s *row, size_t from, size_t count, size_t n)
{
    for (size_t j = from; j < from + count; j += GROUP, w += GROUP) {
        size_t shift = 6 - j % 128 / GROUP * 2;
        if (j >= n) {
            memset(w, 0, GROUP);
            continue;
        }
        for (size_t i = 0; i < GROUP; i++) {
            int code = row[j / 128].qs[i] >> shift & 3;
            w[i] = (int8_t)(code == 3 ? 0 : code - 1);
        }
    }
}

/* The indices of 16 rows in a unit, and of triples whether what they stand for is negative. */
typedef struct unit_rows {
    uint8_t index[LS_STRIP_ROWS][LS_LOOKUP_INDICES], sign[LS_STRIP_ROWS][LS_LOOKUP_INDICES];
} unit_rows;

static void index_row(unit_rows *u, size_t r, const int8_t *w, bool triples)
{
    for (size_t i = 0; i < LS_LOOKUP_INDICES && !triples; i++, w += 2)
        u->index[r][i] = (uint8_t)(3 * w[0] + w[1] + 4);
    for (size_t i = 0; i < LS_LOOKUP_INDICES && triples; i++, w += 3) {
        int v = 9 * w[0] + 3 * w[1] + w[2];
        u->sign[r][i] = v < 0;
        u->index[r][i] = (uint8_t)(v < 0 ? -v : v);
    }
}

/* Rows to where they stand side by side. */
static void put_unit(uint8_t *unit, const unit_rows *u, bool triples)
{
    for (size_t at = 0; at < LS_LOOKUP_SIGNS && triples; at++) {
        const uint8_t *sign = u->sign[at % 16] + at / 16;
        unsigned       byte = 0;
        for (size_t k = 0; k < 8; k++) byte = byte << 1 | sign[4 * k];
        *unit++ = (uint8_t)byte;
    }
    for (size_t i = 0; i < LS_LOOKUP_INDICES; i += i % 4 == 3 ? 5 : 1) { /* the low nibbles */
        for (size_t r = 0; r < LS_STRIP_ROWS; r++)
            unit[ls_lookup_byte(i) + r] = (uint8_t)(u->index[r][i] | u->index[r][i + 4] << 4);
    }
}

void ls_lookup_pack(int dtype, void *strip, const void *rows, size_t row_bytes, size_t n)
{
    const ls_lookup_units units = ls_lookup_units_of(dtype, n);
    uint8_t              *out = strip;
    size_t                from = 0;
    for (size_t k = 0; k < units.triples + units.pairs; k++) {
        bool      triples = k < units.triples;
        size_t    columns = triples ? LS_LOOKUP_TRIPLES : LS_LOOKUP_PAIRS;
        unit_rows u;
        for (size_t r = 0; r < LS_STRIP_ROWS; r++) {
            const void *row = (const uint8_t *)rows + r * row_bytes;
            int8_t      w[LS_LOOKUP_TRIPLES];
            take(w, row, from, columns, n);
            index_row(&u, r, w, triples);
        }
        put_unit(out, &u, triples);
        out += ls_lookup_unit_bytes(triples);
        from += columns;
    }
}

static void put(ls_i2_s *row, size_t j, int w)
{
    unsigned bit = (unsigned)(6 - 2 * (j % 128 / 32));
    row[j / 128].qs[j % 32] ^= (uint8_t)((unsigned)(1 ^ (w + 1)) << bit);
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
