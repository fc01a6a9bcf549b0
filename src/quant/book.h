// SPDX-License-Identifier: MIT
/* book.h - a code book of the IQ formats, prepared for finding the entry nearest to some weights.
 *
 * An entry is a few levels, 0 to 2 or 0 to 7, one per weight. For every combination of levels that is
 * no entry the book lists the entries around it, nearest first, out of which weights choose. */
#ifndef LS_QUANT_BOOK_H
#define LS_QUANT_BOOK_H

#include "quant/quant_priv.h"

typedef struct ls_book {
    int       dtype, dims, bits; /* weights of an entry, bits of a level in a key */
    int       n_levels, n_entries;
    uint8_t (*entry)[8];
    int32_t  *map;  /* by key: an entry, or -1 - the place of its list in `near` */
    uint16_t *near; /* lists: length, entries                                    */
    size_t    n_near, cap_near;
} ls_book;

/* The book of a type; owned: ls_book_destroy. Errors: NOMEM. */
ls_status ls_book_create(ls_book **out, int dtype, ls_error *err);
void      ls_book_destroy(ls_book *b); /* NULL is allowed */

/* The levels as a key. */
int ls_book_key(const ls_book *b, const uint8_t *level);
/* The entry for these levels; where they are none, the one near them with the smallest sum of
 * w * (scale * value[level] - x)^2, whose levels replace them, and *exact becomes false. */
int ls_book_entry(const ls_book *b, uint8_t *level, const float *x, const float *w,
                  const float *value, float scale, bool *exact);

/* One row of an IQ type. */
typedef void ls_encode_book_fn(const ls_book *b, void *out, const float *x, size_t n,
                               const float *importance);
ls_encode_book_fn ls_encode_IQ2_XXS, ls_encode_IQ2_XS, ls_encode_IQ2_S, ls_encode_IQ3_XXS,
    ls_encode_IQ3_S, ls_encode_IQ1_S, ls_encode_IQ1_M;

#endif
