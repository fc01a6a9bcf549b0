// SPDX-License-Identifier: MIT
/* chars.h - characters as pre-tokenizers see them. Private.
 *
 * Patterns do not run over UTF-8 but over one byte per character: ASCII stands for itself, all else
 * for its class. So words do not depend on the Unicode version of the regular-expression library,
 * and text that is not valid UTF-8 needs no special case.
 */
#ifndef LS_TEXT_CHARS_H
#define LS_TEXT_CHARS_H

#include <stddef.h>
#include <stdint.h>

enum { LS_CHAR_LETTER = 0x80, LS_CHAR_NUMBER, LS_CHAR_SPACE, LS_CHAR_OTHER };

/* The byte that stands for code point c in patterns. */
uint8_t ls_char_class(uint32_t c);

/* Read one character of [p, p + left), left > 0; returns its length. Lenient as the reference is:
 * overlong forms and surrogates are read as what they spell. A byte that begins no character has
 * length 1 and reads as U+FFFD. */
size_t ls_char_get(const char *p, size_t left, uint32_t *c);
/* Write c as UTF-8, the shortest form; returns its length. */
size_t ls_char_put(char out[4], uint32_t c);

#endif
