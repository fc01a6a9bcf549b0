// SPDX-License-Identifier: MIT
/* unicode.h - code points: UTF-8 in and out, and the few kinds that pre-tokenizers tell apart.
 *
 * The tables are ours and hold Unicode 15.1, as the tokenizer of llama.cpp v0.5.0 does: with those
 * of an installed library, ids would depend on the library's version. White space is the property
 * White_Space (U+180E, which PCRE2's \s has, is not in it).
 */
#ifndef LS_TEXT_UNICODE_H
#define LS_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kind of a code point as one byte: ASCII stands for itself. */
enum {
    LS_KIND_SPACE = 0x80,
    LS_KIND_LETTER,  /* L*, any letter       */
    LS_KIND_NUMBER,  /* N*, any number       */
    LS_KIND_PUNCT,   /* P*, any punctuation  */
    LS_KIND_MARK,    /* M*, combining marks  */
    LS_KIND_SYMBOL,  /* S*, any symbol       */
    LS_KIND_CONTROL, /* C*, without Cn       */
    LS_KIND_OTHER,   /* not assigned         */
};

typedef struct ls_kind_range {
    uint32_t first, last;
    uint8_t  kind;
} ls_kind_range;

extern const ls_kind_range ls_kind_ranges[]; /* ascending, disjoint */
extern const size_t        ls_n_kind_ranges;

uint8_t ls_unicode_kind(uint32_t c);
/* As kind, with a kind for ASCII, too. */
uint8_t ls_unicode_category(uint32_t c);
/* The printable character that stands for a byte in byte-level BPE. */
uint32_t ls_byte_char(uint8_t byte);
/* Kind of the range that holds c, or 0. The ranges are ascending and disjoint. */
uint8_t ls_kind_among(const ls_kind_range *ranges, size_t n, uint32_t c);

typedef struct ls_case_pair {
    uint32_t upper, lower;
} ls_case_pair;

typedef struct ls_base_range {
    uint32_t first, last, base;
} ls_base_range;

extern const ls_case_pair  ls_case_pairs[]; /* ascending */
extern const size_t        ls_n_case_pairs;
extern const ls_base_range ls_base_ranges[]; /* ascending, disjoint */
extern const size_t        ls_n_base_ranges;

/* The lower case letter of c, and the first code point of its canonical decomposition; else c. */
uint32_t ls_unicode_lower(uint32_t c);
uint32_t ls_unicode_base(uint32_t c);

/* Length of a sequence by its first byte, 1 to 4; stray bytes count as 1. */
size_t ls_utf8_len(char first);
/* Decode the sequence at p (left > 0 bytes there) and return its length. Lenient as the reference
 * is: overlong forms and surrogates are decoded. Returns 0 where no sequence of the right shape
 * starts or it is past U+10FFFF. */
size_t ls_utf8_decode(const char *p, size_t left, uint32_t *c);
/* Whether all of it is UTF-8 as RFC 3629 has it. */
bool ls_utf8_is_valid(const char *p, size_t n);
/* Write c <= 0x10ffff to out [4]; returns the length. */
size_t ls_utf8_encode(uint32_t c, char *out);

#endif
