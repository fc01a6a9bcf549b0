// SPDX-License-Identifier: MIT
/* charsmap.h - SentencePiece's precompiled_charsmap: what is written for the start of a text.
 *
 * Private. An XOR-compressed double array (Kanda 2018, "Space- and Time-Efficient String
 * Dictionaries") of 32-bit units, its size in bytes before it, and NUL-terminated replacements
 * behind it.
 */
#ifndef LS_TEXT_CHARSMAP_H
#define LS_TEXT_CHARSMAP_H

#include "lockstep/error.h"
#include "lockstep/types.h"

typedef struct ls_charsmap { /* zeroed: replaces nothing */
    const char *units; /* little-endian, unaligned; borrowed */
    size_t      n_units;
    ls_str      texts;
} ls_charsmap;

/* NULL, or what is wrong with the bytes. */
const char *ls_charsmap_init(ls_charsmap *m, ls_str bytes);
/* *used: length of the longest (shortest) key that `text` begins with, 0 for none; *by (which stays
 * as it is then): its replacement. Errors: FORMAT (the map points past its end). */
ls_status ls_charsmap_find(const ls_charsmap *m, ls_str text, bool shortest, size_t *used,
                           ls_str *by, ls_error *err);

#endif
