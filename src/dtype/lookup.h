// SPDX-License-Identifier: MIT
/* lookup.h - ternary matrices as indices into tables of sums, the form that the lookup products read.
 *
 * Rows lie in strips of 16, as in strips.h, and a strip is one unit after the other. A unit holds 32
 * indices of each row: index i of row r in byte 64 * (i / 8) + 16 * (i % 4) + r, in the low nibble
 * if i / 4 is even, else in the high one. So whatever the width of a register, its bytes are rows,
 * and each sixteen of them look into one table.
 *
 *   pairs     256 bytes, 64 columns: weights a, b are the index 3a + b + 4, 0 to 8
 *   triples   320 bytes, 96 columns: weights a, b, c are the magnitude of 9a + 3b + c, 0 to 13; in
 *             front of the indices 64 bytes of signs, that of index i in byte 16 * (i % 4) + r at
 *             bit 7 - i / 4
 *
 * TL1 is pairs. TL2 is triples as long as there are 96 columns, and the rest is pairs. Columns behind
 * the end of a row are zeros.
 *
 * A table holds the sum of activations that each index stands for, a 16-bit number 31 * high + low
 * kept as two bytes, so that eight of either can be added in a byte. Tables lie as the indices do:
 * those of a unit are 1024 bytes, the low bytes of index i at 128 * (i / 4) + 16 * (i % 4), the high
 * ones 64 bytes on. What no index stands for is 0. */
#ifndef LS_DTYPE_LOOKUP_H
#define LS_DTYPE_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lockstep/types.h"

enum {
    LS_LOOKUP_INDICES = 32, /* of a row in a unit */
    LS_LOOKUP_SIGNS = 64,   /* bytes in front of the indices of triples */
    LS_LOOKUP_TABLES = 1024,
    LS_LOOKUP_BASE = 31,
    LS_LOOKUP_PAIRS = 2 * LS_LOOKUP_INDICES, /* columns */
    LS_LOOKUP_TRIPLES = 3 * LS_LOOKUP_INDICES,
    LS_LOOKUP_COLS = 8, /* as many activation rows at once need no tables */
};

/* Units of a row of n elements: triples, then pairs. */
typedef struct ls_lookup_units {
    size_t triples, pairs;
} ls_lookup_units;

static inline ls_lookup_units ls_lookup_units_of(int dtype, size_t n)
{
    size_t triples = dtype == LS_DTYPE_TL2 ? n / LS_LOOKUP_TRIPLES : 0;
    size_t rest = n - triples * LS_LOOKUP_TRIPLES;
    return (ls_lookup_units){triples, (rest + LS_LOOKUP_PAIRS - 1) / LS_LOOKUP_PAIRS};
}

/* Bytes of a unit in a strip. */
static inline size_t ls_lookup_unit_bytes(bool triples)
{
    return 8 * LS_LOOKUP_INDICES + (triples ? (size_t)LS_LOOKUP_SIGNS : 0);
}

/* Byte of an index of row 0 behind the signs, and its place there. */
static inline size_t   ls_lookup_byte(size_t i) { return 64 * (i / 8) + 16 * (i % 4); }
static inline unsigned ls_lookup_shift(size_t i) { return i / 4 % 2 * 4; }

/* Bytes of one row in strips, a sixteenth of the strip; of the tables of an activation row. */
size_t ls_lookup_row_bytes(int dtype, size_t n);
size_t ls_lookup_table_bytes(int dtype, size_t n);

/* One strip of TL1 or TL2 from 16 rows of I2_S blocks that lie row_bytes apart; and row r back. */
void ls_lookup_pack(int dtype, void *strip, const void *rows, size_t row_bytes, size_t n);
void ls_lookup_row(int dtype, void *row, const void *strip, size_t r, size_t n);

#endif
